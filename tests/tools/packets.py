#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Packets and captures, made byte by byte.

  packets.py NAME OUT      writes the capture NAME to OUT (pcap, or pcapng for `directions`); the same bytes every time
  packets.py --list        the names and what they hold

As a module: each builder takes what its header carries and returns bytes, so that a packet is written from the outside in:

  eth(0x8100, vlan(7, 0x0800, ip4(6, tcp(1234, 80, b"GET /"))))

Lengths and checksums are right unless a caller says otherwise.
"""
import argparse
import bisect
import ipaddress
import random
import struct
import sys

IPV4, ARP, VLAN, IPV6, QINQ, MPLS, PPPOE, QINQ_OLD = 0x0800, 0x0806, 0x8100, 0x86DD, 0x88A8, 0x8847, 0x8864, 0x9100
ICMP, TCP, UDP, ICMPV6, SCTP = 1, 6, 17, 58, 132
HOPOPTS, ROUTING, FRAGMENT, AH, NONE, DSTOPTS, MOBILITY, HIP, SHIM6 = 0, 43, 44, 51, 59, 60, 135, 139, 140
FIN, SYN, RST, PSH, ACK, URG, ECE, CWR, NS = (1 << bit for bit in range(9))

START = 1767225600 * 10**9  # 2026-01-01T00:00:00Z
SECOND = 10**9


def mac(text):
    return bytes.fromhex(text.replace(":", ""))


def address(text):
    return text if isinstance(text, bytes) else ipaddress.ip_address(text).packed


def checksum(data):
    """The Internet checksum."""
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total ^ 0xFFFF


# Link layer ----------------------------------------------------------------------------------------------------------

def eth(kind, payload, src="02:00:00:00:00:01", dst="02:00:00:00:00:02"):
    return mac(dst) + mac(src) + struct.pack("!H", kind) + payload


def vlan(vid, kind, payload, pcp=0, dei=0):
    """What follows a TPID: a tag and what it encloses."""
    return struct.pack("!HH", pcp << 13 | dei << 12 | vid, kind) + payload


def pppoe(session, protocol, payload, length=None, code=0):
    length = len(payload) + 2 if length is None else length
    return struct.pack("!BBHHH", 0x11, code, session, length, protocol) + payload


def mpls(labels, payload, exp=0, ttl=64, bottom=True):
    """A stack of labels; bottom=False leaves the last one without its mark."""
    stack = b""
    for i, label in enumerate(labels):
        mark = bottom and i == len(labels) - 1
        stack += struct.pack("!I", label << 12 | exp << 9 | mark << 8 | ttl)
    return stack + payload


def arp(opcode=1, src_mac="02:00:00:00:00:01", src="10.0.0.1", dst_mac="00:00:00:00:00:00", dst="10.0.0.2",
        hw=1, proto=IPV4, hw_size=6, proto_size=4):
    return (struct.pack("!HHBBH", hw, proto, hw_size, proto_size, opcode)
            + mac(src_mac) + address(src) + mac(dst_mac) + address(dst))


# Internet layer ------------------------------------------------------------------------------------------------------

# protocol: where its checksum lies
CHECKSUM_AT = {TCP: 16, UDP: 6, ICMP: 2, ICMPV6: 2}


def sealed(protocol, payload, src, dst):
    """The payload with its transport checksum, where it is whole and left at 0."""
    at = CHECKSUM_AT.get(protocol)
    if at is None or len(payload) < at + 2 or payload[at:at + 2] != b"\0\0":
        return payload
    pseudo = b"" if protocol == ICMP else src + dst + struct.pack("!II", len(payload), protocol)
    total = checksum(pseudo + payload)
    return payload[:at] + struct.pack("!H", total or (0xFFFF if protocol == UDP else 0)) + payload[at + 2:]


def ip4(protocol, payload, src="10.0.0.1", dst="10.0.0.2", ttl=64, tos=0, ident=0, df=0, mf=0, offset=0, options=b"",
        length=None, ihl=None, version=4, reserved=0):
    """offset is in bytes; options are padded to whole words."""
    src, dst = address(src), address(dst)
    options += b"\0" * (-len(options) % 4)
    if not offset and not mf:
        payload = sealed(protocol, payload, src, dst)
    ihl = 5 + len(options) // 4 if ihl is None else ihl
    length = 20 + len(options) + len(payload) if length is None else length
    fragment = reserved << 15 | df << 14 | mf << 13 | offset // 8
    head = struct.pack("!BBHHHBBH", version << 4 | ihl, tos, length & 0xFFFF, ident, fragment, ttl, protocol, 0)
    total = checksum(head + src + dst + options)
    return head[:10] + struct.pack("!H", total) + src + dst + options + payload


def ip6(protocol, payload, src="2001:db8::1", dst="2001:db8::2", hlim=64, tclass=0, flow=0, length=None, version=6,
        upper=None):
    """upper is the transport protocol behind the extension headers, where its checksum is wanted."""
    src, dst = address(src), address(dst)
    if upper is None:
        payload = sealed(protocol, payload, src, dst)
    length = len(payload) if length is None else length
    return struct.pack("!IHBB", version << 28 | tclass << 20 | flow, length & 0xFFFF, protocol, hlim) + src + dst + payload


def options_header(following, payload, size=8, length=None):
    """Hop-by-hop, destination, mobility, HIP, shim6: size bytes, PadN inside."""
    length = size // 8 - 1 if length is None else length
    return struct.pack("!BB", following, length) + bytes([1, size - 4]) + b"\0" * (size - 4) + payload


def routing_header(following, payload, kind=2, left=1, size=24, length=None):
    length = size // 8 - 1 if length is None else length
    return struct.pack("!BBBB", following, length, kind, left) + b"\0" * (size - 4) + payload


def fragment_header(following, payload, offset=0, more=0, ident=0x12345678):
    return struct.pack("!BBHI", following, 0, offset & 0xFFF8 | more, ident) + payload


def ah_header(following, payload, spi=0x1000, sequence=1, icv=12, length=None):
    length = (12 + icv) // 4 - 2 if length is None else length
    return struct.pack("!BBHII", following, length, 0, spi, sequence) + b"\x5A" * icv + payload


# Transport layer -----------------------------------------------------------------------------------------------------

def tcp(sport, dport, payload=b"", flags=ACK, seq=1000, ack=2000, window=65535, options=b"", doff=None, urgent=0):
    """flags has twelve bits."""
    options += b"\0" * (-len(options) % 4)
    doff = 5 + len(options) // 4 if doff is None else doff
    return struct.pack("!HHIIHHHH", sport, dport, seq, ack, doff << 12 | flags & 0xFFF, window, 0, urgent) + options + payload


def udp(sport, dport, payload=b"", length=None):
    return struct.pack("!HHHH", sport, dport, 8 + len(payload) if length is None else length, 0) + payload


def sctp(sport, dport, payload=b"", tag=0xCAFE, crc=0x01020304):
    return struct.pack("!HHII", sport, dport, tag, crc) + payload


def icmp(kind=8, code=0, ident=1, sequence=1, payload=b"ping"):
    """ICMP and ICMPv6 alike."""
    return struct.pack("!BBHHH", kind, code, 0, ident, sequence) + payload


def dns(ident=1, response=False, rcode=0, name="example.org"):
    flags = 0x8180 | rcode if response else 0x0100
    question = b"".join(bytes([len(part)]) + part.encode() for part in name.split(".")) + b"\0" + struct.pack("!HH", 1, 1)
    answer = b"\xc0\x0c" + struct.pack("!HHIH", 1, 1, 300, 4) + b"\xc0\0\x02\x01" if response and not rcode else b""
    return struct.pack("!HHHHHH", ident, flags, 1, bool(answer), 0, 0) + question + answer


# Captures ------------------------------------------------------------------------------------------------------------

class Frame:
    """One packet of a capture: its bytes, its time in ns, its length on the wire, and (in pcapng) its direction."""

    def __init__(self, data, time, wire=None, direction=None):
        self.data, self.time, self.direction = data, time, direction
        self.wire = len(data) if wire is None else wire


def write_pcap(path, frames, order="<", nano=False, snaplen=262144):
    with open(path, "wb") as out:
        out.write(struct.pack(order + "IHHiIII", 0xA1B23C4D if nano else 0xA1B2C3D4, 2, 4, 0, 0, snaplen, 1))
        for frame in frames:
            seconds, rest = divmod(frame.time, SECOND)
            data = frame.data[:snaplen]
            out.write(struct.pack(order + "IIII", seconds, rest if nano else rest // 1000, len(data), frame.wire) + data)


def write_pcapng(path, frames, order="<", nano=True):
    def block(kind, body):
        body += b"\0" * (-len(body) % 4)
        return struct.pack(order + "II", kind, len(body) + 12) + body + struct.pack(order + "I", len(body) + 12)

    def option(code, value):
        return struct.pack(order + "HH", code, len(value)) + value + b"\0" * (-len(value) % 4)

    end = option(0, b"")
    with open(path, "wb") as out:
        out.write(block(0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, -1)))
        out.write(block(1, struct.pack(order + "HHI", 1, 0, 262144) + option(9, bytes([9 if nano else 6])) + end))
        for frame in frames:
            stamp = frame.time if nano else frame.time // 1000
            body = struct.pack(order + "IIIII", 0, stamp >> 32, stamp & 0xFFFFFFFF, len(frame.data), frame.wire)
            body += frame.data + b"\0" * (-len(frame.data) % 4)
            if frame.direction:
                flags = {"ingress": 1, "egress": 2}[frame.direction]
                body += option(2, struct.pack(order + "I", flags)) + end
            out.write(block(6, body))


def spaced(packets, gap=SECOND // 1000):
    """Frames a millisecond apart, out of bytes or of (bytes, wire length)."""
    frames = []
    for i, packet in enumerate(packets):
        data, wire = packet if isinstance(packet, tuple) else (packet, None)
        frames.append(Frame(data, START + i * gap, wire))
    return frames


# The named captures --------------------------------------------------------------------------------------------------

def basic():
    """30 frames, hand-countable, 100 ms apart: 4 ARP, 17 IPv4, 9 IPv6; 10 TCP, 8 UDP, 2 SCTP, 3 ICMP, 2 ICMPv6."""
    web = dict(src="10.0.0.1", dst="192.0.2.80")
    back = dict(src="192.0.2.80", dst="10.0.0.1")
    to6 = dict(src="2001:db8::1", dst="2001:db8::80")
    mss = b"\x02\x04\x05\xb4"
    packets = [
        # 4 ARP: two requests, a reply, a gratuitous one
        eth(ARP, arp(1), dst="ff:ff:ff:ff:ff:ff"),
        eth(ARP, arp(1, src="10.0.0.3"), dst="ff:ff:ff:ff:ff:ff"),
        eth(ARP, arp(2, src_mac="02:00:00:00:00:02", src="10.0.0.2", dst_mac="02:00:00:00:00:01", dst="10.0.0.1")),
        eth(ARP, arp(1, src="10.0.0.1", dst="10.0.0.1"), dst="ff:ff:ff:ff:ff:ff"),
        # 5 TCP over IPv4: a handshake, data, a reset
        eth(IPV4, ip4(TCP, tcp(40000, 80, flags=SYN, seq=100, ack=0, window=64240, options=mss), df=1, ident=1, **web)),
        eth(IPV4, ip4(TCP, tcp(80, 40000, flags=SYN | ACK, seq=900, ack=101, window=65160, options=mss), ttl=55, **back)),
        eth(IPV4, ip4(TCP, tcp(40000, 80, flags=ACK, seq=101, ack=901, window=502), df=1, ident=2, **web)),
        eth(IPV4, ip4(TCP, tcp(40000, 80, b"GET / HTTP/1.0\r\n\r\n", PSH | ACK, 101, 901, 502), df=1, ident=3, **web)),
        eth(IPV4, ip4(TCP, tcp(80, 40000, flags=RST | ACK, seq=901, ack=119, window=0), ttl=55, tos=0x03, **back)),
        # 3 UDP over IPv4: DNS and NTP
        eth(IPV4, ip4(UDP, udp(50000, 53, dns(7)), src="10.0.0.1", dst="10.0.0.53")),
        eth(IPV4, ip4(UDP, udp(53, 50000, dns(7, response=True)), src="10.0.0.53", dst="10.0.0.1")),
        eth(IPV4, ip4(UDP, udp(123, 123, b"\x23" + b"\0" * 47), src="10.0.0.1", dst="198.51.100.123", tos=0xB8)),
        # 1 SCTP, 3 ICMP (echo, reply, unreachable quoting UDP)
        eth(IPV4, ip4(SCTP, sctp(2905, 2906, b"\x01\0\0\x14" + b"\0" * 16))),
        eth(IPV4, ip4(ICMP, icmp(8, ident=77, sequence=1))),
        eth(IPV4, ip4(ICMP, icmp(0, ident=77, sequence=1), src="10.0.0.2", dst="10.0.0.1")),
        eth(IPV4, ip4(ICMP, icmp(3, 3, 0, 0, ip4(UDP, udp(5000, 6000))), src="10.0.0.2", dst="10.0.0.1")),
        # 2 fragments of one UDP datagram over IPv4
        eth(IPV4, ip4(UDP, udp(7000, 7001, b"a" * 16, length=48), mf=1, ident=9)),
        eth(IPV4, ip4(UDP, b"b" * 24, offset=24, ident=9)),
        # 2 TCP and 1 UDP over IPv6
        eth(IPV6, ip6(TCP, tcp(40001, 443, flags=SYN, seq=5, ack=0), flow=0xABCDE, **to6)),
        eth(IPV6, ip6(TCP, tcp(443, 40001, flags=SYN | ACK), src="2001:db8::80", dst="2001:db8::1", tclass=0x29)),
        eth(IPV6, ip6(UDP, udp(50001, 53, dns(8)), src="2001:db8::1", dst="2001:db8::53")),
        # 2 ICMPv6: neighbour solicitation, echo
        eth(IPV6, ip6(ICMPV6, icmp(135, 0, 0, 0, address("fe80::2")), src="fe80::1", dst="ff02::1:ff00:2", hlim=255)),
        eth(IPV6, ip6(ICMPV6, icmp(128, 0, 3, 4))),
        # IPv6 extension headers: 1 TCP behind hop-by-hop and destination, 1 TCP behind AH, 1 atomic fragment of UDP
        eth(IPV6, ip6(HOPOPTS, options_header(DSTOPTS, options_header(TCP, tcp(1, 2), size=16)))),
        eth(IPV6, ip6(AH, ah_header(TCP, tcp(3, 4)))),
        eth(IPV6, ip6(FRAGMENT, fragment_header(UDP, udp(5, 6, b"whole")))),
        # VLAN 10 with UDP/IPv4; QinQ 20.30 with SCTP/IPv6; two MPLS labels with TCP/IPv4; PPPoE with UDP/IPv4
        eth(VLAN, vlan(10, IPV4, ip4(UDP, udp(1111, 2222, b"tagged")), pcp=5)),
        eth(QINQ, vlan(20, VLAN, vlan(30, IPV6, ip6(SCTP, sctp(7, 8)), pcp=1), pcp=2, dei=1)),
        eth(MPLS, mpls([100, 200], ip4(TCP, tcp(9, 10, flags=FIN | ACK)), exp=3, ttl=63)),
        eth(PPPOE, pppoe(0x1234, 0x0021, ip4(UDP, udp(3333, 4444, b"session")))),
    ]
    return spaced(packets, SECOND // 10)


def whole():
    """Well-formed packets of each shape, to be cut."""
    inner = ip4(TCP, tcp(1000, 2000, b"payload", PSH | ACK, options=b"\x01" * 4))
    inner6 = ip6(UDP, udp(3000, 4000, b"payload"))
    return [
        eth(ARP, arp(2)),
        eth(IPV4, inner),
        eth(IPV4, ip4(UDP, udp(53, 5353, b"12345678"), options=b"\x94\x04\0\0")),
        eth(IPV4, ip4(ICMP, icmp(8))),
        eth(IPV4, ip4(SCTP, sctp(5, 6, b"\0" * 8))),
        eth(IPV4, ip4(UDP, b"later fragment..", offset=64)),
        eth(IPV6, inner6),
        eth(IPV6, ip6(ICMPV6, icmp(128))),
        eth(IPV6, ip6(HOPOPTS, options_header(ROUTING, routing_header(DSTOPTS, options_header(TCP, tcp(11, 12, b"x"), 16))))),
        eth(IPV6, ip6(AH, ah_header(FRAGMENT, fragment_header(UDP, udp(13, 14, b"first piece"), more=1)))),
        eth(IPV6, ip6(FRAGMENT, fragment_header(TCP, b"later fragment..", offset=128))),
        eth(VLAN, vlan(5, IPV4, ip4(TCP, tcp(15, 16)))),
        eth(QINQ, vlan(6, VLAN, vlan(7, IPV6, ip6(SCTP, sctp(17, 18))))),
        eth(PPPOE, pppoe(99, 0x0021, ip4(UDP, udp(19, 20, b"ppp")))),
        eth(PPPOE, pppoe(98, 0x0057, ip6(TCP, tcp(21, 22)))),
        eth(VLAN, vlan(8, MPLS, mpls([1, 2, 3], ip4(UDP, udp(23, 24))))),
        eth(MPLS, mpls([4], ip6(TCP, tcp(25, 26)))),
    ]


def wrong():
    """Headers that lie, and stacks that go on for too long."""
    good_tcp, good_udp = tcp(100, 200, b"data", PSH | ACK), udp(300, 400, b"data")
    packets = []
    for ihl in range(16):
        packets.append(eth(IPV4, ip4(TCP, good_tcp, ihl=ihl)))
    for version in range(16):
        packets += [eth(IPV4, ip4(TCP, good_tcp, version=version)), eth(IPV6, ip6(UDP, good_udp, version=version))]
    for length in [0, 1, 19, 20, 21, 27, 28, 39, 40, 41, 43, 44, 45, 1500, 65535]:
        packets += [eth(IPV4, ip4(TCP, good_tcp, length=length)), eth(IPV4, ip4(UDP, good_udp, length=length)),
                    eth(IPV4, ip4(UDP, good_udp, length=length, offset=800)),
                    eth(IPV4, ip4(TCP, good_tcp, length=length) + b"\0" * 20)]
    for length in [0, 1, 7, 8, 11, 12, 13, 19, 20, 21, 23, 24, 25, 65535]:
        packets += [eth(IPV6, ip6(TCP, good_tcp, length=length)), eth(IPV6, ip6(UDP, good_udp, length=length)),
                    eth(IPV6, ip6(HOPOPTS, options_header(UDP, good_udp), length=length)),
                    eth(IPV6, ip6(FRAGMENT, fragment_header(TCP, b"x" * 16, offset=80), length=length)),
                    eth(IPV6, ip6(TCP, good_tcp, length=length) + b"\0" * 20)]
    for doff in range(16):
        packets += [eth(IPV4, ip4(TCP, tcp(1, 2, b"0123456789", doff=doff))),
                    eth(IPV6, ip6(TCP, tcp(1, 2, b"0123456789", doff=doff)))]
    for length in [0, 1, 7, 8, 9, 12, 13, 1000, 65535]:
        packets.append(eth(IPV4, ip4(UDP, udp(1, 2, b"data", length=length))))
    # extension headers: one to eleven, lengths beyond the end, several of a kind, those with a number of their own
    for count in range(1, 12):
        chain = tcp(500, 600 + count)
        following = TCP
        for _ in range(count):
            chain, following = options_header(following, chain), DSTOPTS
        packets.append(eth(IPV6, ip6(DSTOPTS, chain)))
    for kind in [HOPOPTS, ROUTING, DSTOPTS, MOBILITY, HIP, SHIM6]:
        for length in [0, 1, 2, 3, 5, 255]:
            packets.append(eth(IPV6, ip6(kind, options_header(UDP, good_udp, 16, length=length))))
    for length in [0, 1, 2, 3, 4, 5, 255]:
        packets.append(eth(IPV6, ip6(AH, ah_header(UDP, good_udp, length=length))))
    for offset in [0, 8, 0xFFF8]:
        for more in [0, 1]:
            for following in [TCP, DSTOPTS, NONE, FRAGMENT, ICMPV6]:
                inner = fragment_header(TCP, tcp(7, 8), more=1) if following == FRAGMENT else options_header(TCP, tcp(7, 8))
                packets.append(eth(IPV6, ip6(FRAGMENT, fragment_header(following, inner, offset, more))))
    for following in [NONE, ICMP, ICMPV6, 4, 41, 50, 253]:
        packets.append(eth(IPV6, ip6(following, icmp(128, payload=b"x" * 40))))
        packets.append(eth(IPV4, ip4(following, icmp(8, payload=b"x" * 40))))
    # one to four tags, of every TPID; with an 802.3 length inside
    for tpid in [VLAN, QINQ, QINQ_OLD, 0x9200, 0x88E7]:
        body, kind = ip4(UDP, udp(9, 10)), IPV4
        for vid in range(1, 5):
            body, kind = vlan(vid, kind, body, pcp=vid), tpid
            packets.append(eth(kind, body))
    for kind in [0, 46, 1500, 1501, 1535, 1536]:
        packets += [eth(kind, b"\xaa\xaa\x03\0\0\0\x08\0" + ip4(UDP, udp(9, 10))), eth(VLAN, vlan(1, kind, b"\x42\x42\x03" + b"\0" * 43))]
    # one to six labels, without a bottom, with neither IPv4 nor IPv6 below; multicast MPLS
    for count in range(1, 7):
        for bottom in [True, False]:
            packets.append(eth(MPLS, mpls(range(16, 16 + count), ip4(UDP, udp(9, 10)), bottom=bottom)))
        packets.append(eth(MPLS, mpls(range(16, 16 + count), ip6(UDP, udp(9, 10)))))
        packets.append(eth(0x8848, mpls(range(16, 16 + count), ip4(UDP, udp(9, 10)))))
    for nibble in [0, 1, 5, 15]:
        packets.append(eth(MPLS, mpls([77], bytes([nibble << 4 | 5]) + b"\0" * 40)))
    # PPPoE: other protocols, wrong lengths, discovery
    for protocol in [0x0021, 0x0057, 0xC021, 0x8021, 0]:
        for length in [None, 0, 1, 10, 65535]:
            packets.append(eth(PPPOE, pppoe(1, protocol, ip4(UDP, udp(9, 10)), length=length)))
    packets.append(eth(0x8863, pppoe(1, 0x0021, ip4(UDP, udp(9, 10)))))
    packets += [eth(VLAN, vlan(3, PPPOE, pppoe(2, 0x0021, ip4(TCP, tcp(9, 10))))),
                eth(PPPOE, pppoe(2, 0x0021, mpls([5], ip4(TCP, tcp(9, 10)))))]
    # ARP for other networks
    for change in [dict(hw=6), dict(hw=7), dict(proto=IPV6), dict(hw_size=8), dict(proto_size=16), dict(hw_size=0, proto_size=0)]:
        packets.append(eth(ARP, arp(**change)))
    packets.append(eth(MPLS, mpls([5], arp())))
    # a mapped address is not the IPv4 one
    packets += [eth(IPV6, ip6(UDP, good_udp, src="::ffff:10.0.0.1", dst="::ffff:10.0.0.2")), eth(IPV4, ip4(UDP, good_udp)),
                eth(IPV6, ip6(UDP, good_udp, src="::a00:1", dst="::a00:2"))]
    return packets


def malformed():
    """Each header cut at every byte, on the wire and by the capture; and headers that lie."""
    packets = []
    for packet in whole():
        for cut in range(len(packet) + 1):
            packets += [packet[:cut], (packet[:cut], len(packet))]
    return spaced(packets + wrong())


def random_packet(r):
    """One packet out of a wide mix; mostly well-formed."""
    def payload():
        return r.randbytes(r.choice([0, 1, 2, 4, 8, r.randrange(64), r.randrange(64), r.randrange(1400)]))

    def port():
        return r.choice([53, 80, 443, r.randrange(1024), r.randrange(65536)])

    def four():
        return r.choice([bytes([10, 0, 0, r.randrange(8)]), bytes([192, 168, r.randrange(4), r.randrange(4)]), r.randbytes(4)])

    def six():
        return r.choice([address("2001:db8::")[:15] + bytes([r.randrange(8)]), address("fe80::")[:15] + bytes([r.randrange(4)]),
                         b"\0" * 10 + b"\xff\xff" + four(), r.randbytes(16)])

    def transport():
        kind = r.choice([TCP, TCP, TCP, UDP, UDP, SCTP, ICMP, ICMPV6, r.randrange(256)])
        if kind == TCP:
            flags = r.choice([SYN, SYN | ACK, ACK, PSH | ACK, FIN | ACK, RST, r.randrange(4096)])
            doff = r.choice([None] * 9 + [r.randrange(16)])
            return kind, tcp(port(), port(), payload(), flags, r.getrandbits(32), r.getrandbits(32), r.choice([0, r.randrange(65536)]),
                             r.choice([b"", b"", r.randbytes(r.randrange(41))])[:40], doff, r.choice([0, 0, r.randrange(65536)]))
        if kind == UDP:
            return kind, udp(port(), port(), payload(), r.choice([None] * 9 + [r.randrange(65536)]))
        if kind == SCTP:
            return kind, sctp(port(), port(), payload(), r.getrandbits(32), r.getrandbits(32))
        if kind in (ICMP, ICMPV6):
            types = [0, 3, 5, 8, 11, 13] if kind == ICMP else [1, 2, 128, 129, 135, 136]
            return kind, icmp(r.choice(types + [r.randrange(256)]), r.randrange(4), r.randrange(65536), r.randrange(9), payload())
        return kind, payload()

    def internet():
        kind, body = transport()
        if r.random() < 0.55:
            offset = r.choice([0] * 8 + [8 * r.randrange(8192)])
            return IPV4, ip4(kind, body, four(), four(), r.choice([1, 64, 255, r.randrange(256)]), r.choice([0, r.randrange(256)]),
                             r.randrange(65536), r.randrange(2), r.choice([0] * 8 + [1]), offset,
                             r.choice([b""] * 5 + [r.randbytes(r.randrange(41))]), r.choice([None] * 12 + [0, r.randrange(200)]),
                             r.choice([None] * 30 + [r.randrange(16)]), r.choice([4] * 30 + [r.randrange(16)]), r.choice([0] * 9 + [1]))
        for _ in range(r.choice([0, 0, 0, 0, 1, 1, 2, 3, 7, 8, 9])):
            step = r.choice([HOPOPTS, ROUTING, DSTOPTS, FRAGMENT, AH, MOBILITY, HIP, SHIM6])
            if step == FRAGMENT:
                body = fragment_header(kind, body, r.choice([0, 0, 8 * r.randrange(8192)]), r.randrange(2), r.getrandbits(32))
            elif step == AH:
                body = ah_header(kind, body, r.getrandbits(32), r.getrandbits(32), r.choice([0, 12, 16, 20]))
            elif step == ROUTING:
                body = routing_header(kind, body, r.randrange(5), r.randrange(3), r.choice([8, 24]))
            else:
                body = options_header(kind, body, r.choice([8, 8, 16, 24]))
            kind = step
        return IPV6, ip6(kind, body, six(), six(), r.randrange(256), r.choice([0, r.randrange(256)]), r.getrandbits(20),
                         r.choice([None] * 12 + [0, r.randrange(200)]), r.choice([6] * 30 + [r.randrange(16)]))

    def link():
        if r.random() < 0.05:
            return ARP, arp(r.choice([1, 2, r.randrange(65536)]), src_mac=r.randbytes(6).hex(), src=four(), dst_mac=r.randbytes(6).hex(),
                            dst=four(), hw=r.choice([1] * 8 + [6]), proto_size=r.choice([4] * 8 + [r.randrange(256)]))
        if r.random() < 0.03:
            return r.randrange(65536), payload()
        kind, body = internet()
        if r.random() < 0.08:
            return MPLS, mpls([r.getrandbits(20) for _ in range(r.choice([1, 2, 3, 4, 5]))], body, r.randrange(8), r.randrange(256),
                              r.random() < 0.95)
        if r.random() < 0.08:
            return PPPOE, pppoe(r.randrange(65536), r.choice([0x0021 if kind == IPV4 else 0x0057] * 9 + [0xC021]), body)
        return kind, body

    kind, body = link()
    for _ in range(r.choice([0, 0, 0, 0, 0, 0, 1, 1, 2, 3])):
        body, kind = vlan(r.randrange(4096) if r.random() < 0.3 else r.randrange(4), kind, body, r.randrange(8), r.randrange(2)), \
            r.choice([VLAN, VLAN, QINQ, QINQ_OLD])
    first = r.choice([0x02, 0x01, 0x33, 0xFF, r.randrange(256)])
    src = f"02:00:00:00:00:{r.randrange(6):02x}"
    return eth(kind, body, src, bytes([first] + [0, 0, 0, 0, r.randrange(6)]).hex())


def mutated(r, packet):
    """The packet with a few bytes changed in its headers."""
    data = bytearray(packet)
    for _ in range(r.choice([1, 1, 2, 4])):
        if data:
            data[r.randrange(min(len(data), 90))] = r.randrange(256)
    return bytes(data)


def random_mix(seed=20260101, count=4000):
    """Thousands of packets of all protocols, some with changed bytes, cut, padded or cut by the capture."""
    r = random.Random(seed)
    frames, time = [], START
    for _ in range(count):
        packet = random_packet(r)
        if r.random() < 0.15:
            packet = mutated(r, packet)
        if r.random() < 0.05:
            packet = packet[:r.randrange(len(packet) + 1)]
        if len(packet) < 60 and r.random() < 0.5:
            packet += b"\0" * (60 - len(packet))
        if len(packet) < 14 and r.random() < 0.8:
            continue
        wire = len(packet)
        if r.random() < 0.08:
            packet = packet[:r.choice([0, 14, 34, 54, 64, 68, 96])]
        time += r.choice([r.randrange(10**6), r.randrange(10**8), 1])
        frames.append(Frame(packet, time, wire))
    return frames


def sizes():
    """Frames of 0 to 70 bytes, of 1,514 up to 262,144, and such as the capture cut."""
    def sized(size, body=b"\xA5", family=IPV4):
        if size < 54 + 20 * (family == IPV6):
            whole_one = ip4(TCP, tcp(80, 81)) if family == IPV4 else ip6(UDP, udp(80, 81, b"twelve bytes"))
            return eth(family, whole_one)[:size]
        if family == IPV4:
            return eth(IPV4, ip4(TCP, tcp(80, 81, (body * size)[:size - 54]), length=0 if size > 65549 else None))
        return eth(IPV6, ip6(UDP, udp(80, 81, (body * size)[:size - 62], length=0 if size > 65549 else None),
                             length=0 if size > 65589 else None))

    packets = []
    for size in range(71):
        packets += [sized(size), sized(size, family=IPV6)]
    for padding in range(0, 20):
        packets.append(eth(IPV4, ip4(TCP, tcp(90, 91))) + b"\0" * padding)
    for size in [127, 128, 129, 1513, 1514, 1515, 1518, 1522, 3519, 3520, 3521, 3712, 3713, 4096, 9000, 16000, 16064, 16065, 32768,
                 65534, 65535, 65536, 65549, 65550, 72000, 131072, 262144]:
        packets += [sized(size), sized(size, family=IPV6)]
    for cut in [0, 1, 13, 14, 34, 54, 60, 64, 68, 96, 128, 1500]:
        packets += [(sized(9000)[:cut], 9000), (sized(1514, family=IPV6)[:cut], 1514), (sized(262144)[:cut], 262144)]
    return spaced(packets)


def clock():
    """Half an hour of three hosts' UDP: bursts, ties, gaps of minutes, times that go backwards."""
    r = random.Random(7)
    frames, time = [], START + 3_700_000_123
    for i in range(600):
        step = r.random()
        if step < 0.15:
            pass  # a tie
        elif step < 0.25:
            time -= r.randrange(12 * SECOND)
        elif step < 0.30:
            time += r.randrange(200 * SECOND)
        elif step < 0.35:
            time += SECOND - time % SECOND  # on the edge of a window
        else:
            time += r.randrange(SECOND)
        host = r.randrange(1, 4)
        packet = eth(IPV4, ip4(UDP, udp(1000 + host, 53, b"q" * r.randrange(50)), src=f"10.0.0.{host}", ttl=60 + host, ident=i))
        frames.append(Frame(packet, time))
    return frames


def directions():
    """A pcapng whose packets say which way they went: 30 in, 20 out, 10 that do not say."""
    frames = []
    for i in range(60):
        way = ["ingress", "ingress", "egress", "ingress", "egress", None][i % 6]
        src, dst = ("192.0.2.9", "10.0.0.1") if way == "ingress" else ("10.0.0.1", "192.0.2.9")
        packet = eth(IPV4, ip4(TCP, tcp(1000 + i % 4, 80, b"x" * i), src=src, dst=dst))
        frames.append(Frame(packet, START + i * SECOND // 4, direction=way))
    return frames


class Enterprise:
    """A small company's traffic: clients, servers, a resolver, a scanner and a flood."""

    def __init__(self, seed=42):
        self.r = random.Random(seed)
        self.frames = []
        self.clients = [f"10.1.0.{n}" for n in range(10, 34)]
        self.servers = ["10.2.0.10", "10.2.0.11", "10.2.0.12", "198.51.100.20", "198.51.100.44", "203.0.113.5", "203.0.113.80"]
        weights = [1 / rank for rank in range(1, 51)]
        self.sizes = [40 + 28 * rank for rank in range(50)]
        self.weights = [sum(weights[:n + 1]) for n in range(50)]

    def mac_of(self, host):
        return "02:42:" + ":".join(f"{b:02x}" for b in address(host)[-4:])

    def zipf(self):
        """A response's size: most are small, a few are long."""
        rank = bisect.bisect(self.weights, self.r.random() * self.weights[-1])
        return self.sizes[min(rank, 49)] * self.r.choice([1, 1, 2, 8])

    def send(self, time, src, dst, protocol, body, ttl=64, **more):
        frame = eth(IPV4, ip4(protocol, body, src, dst, ttl, ident=self.r.randrange(65536), **more), self.mac_of(src), self.mac_of(dst))
        self.frames.append(Frame(frame + b"\0" * max(0, 60 - len(frame)), time))

    def ask(self, time, client):
        ident, port, fails = self.r.randrange(65536), self.r.randrange(32768, 61000), self.r.random() < 0.1
        name = self.r.choice(["www.example.org", "mail.example.com", "cdn.example.net", "intranet.corp.example"])
        self.send(time, client, "10.2.0.53", UDP, udp(port, 53, dns(ident, name=name)))
        time += int(self.r.expovariate(1 / 4e6)) + 200_000
        self.send(time, "10.2.0.53", client, UDP, udp(53, port, dns(ident, True, 3 if fails else 0, name)))
        return time

    def visit(self, time, client, server):
        """A TCP connection: handshake, requests, responses, now and then a retransmission, an end."""
        r, port, here, there = self.r, self.r.randrange(32768, 61000), self.r.getrandbits(32), self.r.getrandbits(32)
        service = r.choice([443, 443, 443, 80, 22])
        trip = int(r.expovariate(1 / 15e6)) + 1_000_000
        mss = b"\x02\x04\x05\xb4\x04\x02\x01\x03\x03\x07"

        def up(payload=b"", flags=ACK, **more):
            self.send(time, client, server, TCP, tcp(port, service, payload, flags, here, there, 502, **more), df=1)

        def down(payload=b"", flags=ACK, **more):
            self.send(time, server, client, TCP, tcp(service, port, payload, flags, there, here, 509, **more), ttl=57, df=1)

        up(flags=SYN, options=mss)
        time += trip
        if r.random() < 0.05:
            down(flags=RST | ACK)
            return
        down(flags=SYN | ACK, options=mss)
        here, there = (here + 1) % 2**32, (there + 1) % 2**32
        time += trip // 4
        up()
        for _ in range(r.choice([1, 1, 2, 3])):
            time += r.randrange(5_000_000)
            request = r.randbytes(r.randrange(80, 600))
            up(request, PSH | ACK)
            if r.random() < 0.04:
                time += 200_000_000
                up(request, PSH | ACK)
            here = (here + len(request)) % 2**32
            time += trip
            left = self.zipf() * 4
            while left > 0:
                piece = r.randbytes(min(left, 1448))
                left -= len(piece)
                down(piece, PSH | ACK if left <= 0 else ACK)
                if r.random() < 0.02:
                    time += 40_000_000
                    down(piece)
                there = (there + len(piece)) % 2**32
                time += r.randrange(20_000, 300_000)
            up()
        time += r.randrange(50_000_000)
        up(flags=FIN | ACK)
        time += trip
        down(flags=FIN | ACK)
        here, there = (here + 1) % 2**32, (there + 1) % 2**32
        up()

    def arp_round(self, time, client):
        ask = eth(ARP, arp(1, self.mac_of(client), client, dst="10.1.0.1"), self.mac_of(client), "ff:ff:ff:ff:ff:ff")
        answer = eth(ARP, arp(2, self.mac_of("10.1.0.1"), "10.1.0.1", self.mac_of(client), client), self.mac_of("10.1.0.1"), self.mac_of(client))
        self.frames += [Frame(ask + b"\0" * 18, time), Frame(answer + b"\0" * 18, time + 300_000)]

    def scan(self, time):
        """One host tries the ports of one server; most are refused."""
        for port in self.r.sample(range(1, 1025), 250):
            self.send(time, "10.1.0.66", "10.2.0.11", TCP, tcp(45000, port, flags=SYN, ack=0, window=1024))
            if port not in (22, 80, 443):
                self.send(time + 400_000, "10.2.0.11", "10.1.0.66", TCP, tcp(port, 45000, flags=RST | ACK, seq=0, window=0), ttl=63)
            time += 4_000_000

    def flood(self, time):
        """SYNs from all over the world against one server, which answers some."""
        for _ in range(900):
            source, port = str(ipaddress.IPv4Address(self.r.getrandbits(32) % 0xDF000000 | 0x01000000)), self.r.randrange(1024, 65536)
            self.send(time, source, "10.2.0.10", TCP, tcp(port, 443, flags=SYN, seq=self.r.getrandbits(32), ack=0, window=512), ttl=self.r.randrange(30, 120))
            if self.r.random() < 0.3:
                self.send(time + 100_000, "10.2.0.10", source, TCP, tcp(443, port, flags=SYN | ACK), ttl=64)
            time += int(self.r.expovariate(1 / 1.5e6))

    def six(self, time, client):
        """A little IPv6: neighbours and a ping."""
        src = f"2001:db8:1::{int(client.split('.')[3]):x}"
        for body in [icmp(135, 0, 0, 0, address("2001:db8:1::1")), icmp(128, 0, 9, 1, b"x" * 32)]:
            dst = "ff02::1:ff00:1" if body[0] == 135 else "2001:db8:1::1"
            self.frames.append(Frame(eth(IPV6, ip6(ICMPV6, body, src, dst, 255), self.mac_of(client)), time))
            time += 2_000_000

    def build(self):
        for _ in range(190):
            time = START + self.r.randrange(60 * SECOND)
            client = self.clients[min(int(self.r.paretovariate(1.1)) - 1, len(self.clients) - 1)]
            server = self.servers[min(int(self.r.paretovariate(1.2)) - 1, len(self.servers) - 1)]
            self.visit(self.ask(time, client), client, server)
        for client in self.clients:
            self.arp_round(START + self.r.randrange(60 * SECOND), client)
            self.six(START + self.r.randrange(60 * SECOND), client)
            self.send(START + self.r.randrange(60 * SECOND), client, "10.2.0.12", ICMP, icmp(8, ident=9))
        self.scan(START + 20 * SECOND)
        self.flood(START + 40 * SECOND)
        self.frames.sort(key=lambda frame: frame.time)
        return self.frames


def enterprise():
    """A minute of a small company, some 5,000 packets: DNS, HTTPS, ARP, a port scan, a SYN flood."""
    return Enterprise().build()


class Remembered:
    """Traffic whose meaning lies in what came before: see `memory`. Times are in milliseconds from the start."""

    def __init__(self):
        self.frames = []

    def at(self, ms, kind, payload):
        self.frames.append(Frame(eth(kind, payload), START + round(ms * SECOND / 1000)))

    def udp(self, ms, host, body=b"", port=7000, ttl=64):
        self.at(ms, IPV4, ip4(UDP, udp(port, 9, body), src=f"10.9.0.{host}", dst="10.9.1.1", ttl=ttl))

    def silences(self):
        """Hosts 1 to 8, by how long they say nothing; the number of bytes tells a host's packets apart."""
        seen = {1: [50 + 500 * n for n in range(24)],             # never silent for a window
                2: [100, 950, 1850, 2750],                        # less than a window
                3: [10, 1990, 2010, 3990],                        # 1.98 s, and yet in each window
                4: [999, 2000, 3999, 6000],                       # 1.001 s and 2.001 s: one whole window, and two
                5: [500, 1500, 3500, 4500],                       # one whole window
                6: [500, 3500, 4500, 7500],                       # two whole windows
                7: [0, 1000, 2000, 3000, 3999.999, 6000, 7000],   # on the edges of windows
                8: [200, 210, 220, 11200, 11210]}                 # eleven windows
        for host, times in seen.items():
            for n, ms in enumerate(times):
                self.udp(ms, host, b"s" * (n + host), ttl=60 + n % 3)

    def connections(self):
        """Three TCP connections, interleaved: data, answers, zero windows, segments sent again."""
        for flow in range(3):
            client, seq, ack, sent = f"10.9.2.{flow + 1}", 1000 * flow, 5000 * flow, 300 + 7 * flow
            there = dict(src=client, dst="10.9.3.80")
            back = dict(src="10.9.3.80", dst=client)
            self.at(sent, IPV4, ip4(TCP, tcp(4000 + flow, 80, flags=SYN, seq=seq, ack=0), **there))
            self.at(sent + 20, IPV4, ip4(TCP, tcp(80, 4000 + flow, flags=SYN | ACK, seq=ack, ack=seq + 1), **back))
            seq, ack = seq + 1, ack + 1
            for n in range(12):
                sent += 40 + 31 * (n % 4) + 100 * flow
                body = b"d" * (10 + n)
                self.at(sent, IPV4, ip4(TCP, tcp(4000 + flow, 80, body, PSH | ACK, seq, ack, window=500 + n), **there))
                if n % 3 == 2:
                    self.at(sent + 25, IPV4, ip4(TCP, tcp(4000 + flow, 80, body, PSH | ACK, seq, ack, window=500 + n), **there))
                seq += len(body)
                window = 0 if n % 4 in (1, 2) else 8000 - n
                self.at(sent + 30, IPV4, ip4(TCP, tcp(80, 4000 + flow, flags=ACK, seq=ack, ack=seq, window=window), ttl=60, **back))
            self.at(sent + 60, IPV4, ip4(TCP, tcp(4000 + flow, 80, flags=(FIN | ACK) if flow else RST, seq=seq, ack=ack), **there))

    def questions(self):
        """DNS, each query with an answer but every fifth; every seventh is asked twice; a few answers come without a query."""
        for n in range(25):
            client, port, ms = f"10.9.4.{n % 4}", 30000 + n, 137 * n + 3
            query = ip4(UDP, udp(port, 53, dns(n)), src=client, dst="10.9.0.53")
            self.at(ms, IPV4, query)
            if n % 7 == 3:
                self.at(ms + 5, IPV4, query)
            if n % 5 != 4:
                answer = ip4(UDP, udp(53, port, dns(n, True, 3 * (n % 3 == 0))), src="10.9.0.53", dst=client)
                self.at(ms + 11 + 90 * (n % 3), IPV4, answer)
        for n in range(3):
            self.at(1234 + 900 * n, IPV4, ip4(UDP, udp(53, 999, dns(n, True)), src="10.9.0.53", dst="10.9.4.9"))

    def crowd(self):
        """Forty hosts twice in one window, half of them in the next, ten of them again after a whole window."""
        for n in range(40):
            self.udp(5100 + 5 * n, 100 + n, b"c" * (n % 6))
            self.udp(5500 + 5 * n, 139 - n, b"cc")
        for n in range(20):
            self.udp(6100 + 7 * n, 100 + 2 * n, b"c" * n)
        for n in range(10):
            self.udp(8100 + 7 * n, 100 + 3 * n, b"c" * n)

    def absent(self):
        """Between them what lacks most fields: ARP, IPv6 without ports, later fragments."""
        for n in range(14):
            self.at(333 * n + 1, ARP, arp(1 + n % 2, src=f"10.9.0.{1 + n % 3}"))
        for n in range(10):
            self.at(470 * n + 2, IPV6, ip6(ICMPV6, icmp(128, 0, 5, n), hlim=64 - n % 2))
        for n in range(6):
            self.at(51 + 700 * n, IPV4, ip4(UDP, b"f" * 16, src="10.9.0.1", dst="10.9.1.1", offset=24 * (n + 1), ident=n))

    def build(self):
        for part in (self.silences, self.connections, self.questions, self.crowd, self.absent):
            part()
        self.frames.sort(key=lambda frame: frame.time)
        return self.frames


def memory():
    """12 seconds of what needs memory: keys silent for less than a window of 1 s, one or two, segments sent again, a crowd."""
    return Remembered().build()


class Ended:
    """Flows by how they end: see `flows`. Times are in milliseconds from the start."""

    def __init__(self):
        self.frames = []

    def at(self, ms, payload):
        self.frames.append(Frame(eth(IPV4, payload), START + round(ms * SECOND / 1000)))

    def udp(self, host, *times):
        for n, ms in enumerate(times):
            self.at(ms, ip4(UDP, udp(6000, 9, b"u" * (host + n % 5)), src=f"10.8.0.{host}", dst="10.8.1.1"))

    def tcp(self, host, *sent):
        for ms, flags in sent:
            self.at(ms, ip4(TCP, tcp(6000, 80, b"t" * host, flags), src=f"10.8.2.{host}", dst="10.8.3.1"))

    def build(self):
        # silent for less than 15 s, for just as long, and for longer; and, before, for less than a second
        self.udp(1, 0, 14_999, 29_998)
        self.udp(2, 500, 15_500, 30_499.999999)
        self.udp(3, 100, 15_100.000001, 15_101, 45_000, 110_000)
        self.udp(4, 10, 700, 1690, 2690, 2700, 3710)
        # for minutes, a packet every 7 s, and one every 150 ms for 70 s: beyond 60 s
        self.udp(5, *range(250, 175_000, 7000))
        self.udp(6, *range(0, 70_000, 150))
        self.udp(7, 1000, 15_000, 29_000, 43_000, 57_000, 60_999, 61_000, 61_000.000001, 75_000)
        # ended by FIN or RST: what follows comes at once, soon, late, and at the same instant
        self.tcp(1, (100, SYN), (120, ACK), (140, FIN | ACK), (150, ACK), (289, ACK), (290, ACK), (1200, ACK))
        self.tcp(2, (300, SYN), (310, RST), (310, RST), (310, ACK), (311, RST))
        self.tcp(3, (5000, SYN), (5500, FIN | ACK), (5600, FIN | ACK), (5649, FIN | ACK), (5651, ACK), (25_000, RST))
        self.tcp(4, (59_990, SYN), (60_000, FIN | ACK), (60_000, ACK), (60_149.999, ACK))
        self.tcp(5, *((200 + 13 * n, RST if n % 7 == 3 else ACK) for n in range(60)))
        # ended by whichever comes first
        self.tcp(6, *((40_000 + 9_999 * n, FIN if n == 9 else ACK) for n in range(12)))
        # a crowd of which each is silent for good
        for n in range(60):
            self.udp(20 + n, 90_000 + 50 * n, 90_010 + 61 * n)
        self.frames.sort(key=lambda frame: frame.time)
        return self.frames


def flows():
    """Three minutes of flows that end by silence, by age, by FIN and RST; a crowd."""
    return Ended().build()


# name: (frames, how it is written); the formats are spread so that a reader meets them all
CAPTURES = {
    "basic": (basic, lambda path, frames: write_pcap(path, frames)),
    "malformed": (malformed, lambda path, frames: write_pcap(path, frames, order=">")),
    "random": (random_mix, lambda path, frames: write_pcap(path, frames, nano=True)),
    "sizes": (sizes, lambda path, frames: write_pcap(path, frames)),
    "clock": (clock, lambda path, frames: write_pcap(path, frames, order=">", nano=True)),
    "directions": (directions, lambda path, frames: write_pcapng(path, frames)),
    "memory": (memory, lambda path, frames: write_pcap(path, frames, nano=True)),
    "flows": (flows, lambda path, frames: write_pcap(path, frames, nano=True)),
    "enterprise": (enterprise, lambda path, frames: write_pcap(path, frames)),
}


def write_capture(name, path):
    """Writes a named capture; returns the number of its packets."""
    make, write = CAPTURES[name]
    frames = make()
    write(path, frames)
    return len(frames)


def main():
    ask = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ask.add_argument("--list", action="store_true")
    ask.add_argument("--seed", type=int, help="of `random`: other packets")
    ask.add_argument("name", nargs="?", choices=list(CAPTURES))
    ask.add_argument("out", nargs="?")
    options = ask.parse_args()
    if options.list:
        for name, (make, _) in CAPTURES.items():
            print(f"{name:12} {make.__doc__}")
        return
    if not options.out:
        ask.error("NAME and OUT are needed")
    if options.seed is not None and options.name == "random":
        write_pcap(options.out, random_mix(options.seed), nano=True)
    else:
        write_capture(options.name, options.out)


if __name__ == "__main__":
    sys.exit(main())
