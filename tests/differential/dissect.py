# SPDX-License-Identifier: Apache-2.0
"""From a frame's bytes to its layers and fields.

A layer is there where its header is whole: all of it captured and, above IP, inside the IP packet by the IP length. Two VLAN
tags, a PPPoE session or up to four MPLS labels, and up to eight IPv6 extension headers are looked through.
"""
import struct
from typing import Callable, NamedTuple

TPIDS = {0x8100, 0x88A8, 0x9100}
NETWORKS = {4: 0x0800, 6: 0x86DD}
PPP_NETWORKS = {0x0021: 0x0800, 0x0057: 0x86DD}
# mobility, HIP and shim6 are extension headers too (RFC 7045), without fields of their own
EXTENSIONS = {0: "ipv6.hopopts", 43: "ipv6.routing", 44: "ipv6.fraghdr", 51: "ah", 60: "ipv6.dstopts", 135: None, 139: None, 140: None}
TRANSPORTS = {6: ("tcp", 20), 17: ("udp", 8), 132: ("sctp", 12), 1: ("icmp", 8), 58: ("icmpv6", 4)}
PORTS = {6, 17, 132}


class Packet:
    """One packet as a section sees it. `at` holds the offset of each whole header, the outermost of its name."""

    def __init__(self, record, index, direction):
        self.data, self.wire, self.time = record.data, record.wire, record.time
        self.index, self.direction = index, direction
        self.at = {}
        self.proto = None      # past extension headers
        self.chain = []        # the numbers of the extension headers stepped over
        self.fragment = False  # an offset, or more to come
        self.later = False     # an offset
        self.length = None     # of the IP packet
        self.end = None        # where the IP packet ends by its length, captured or not
        self.inside = 0        # where what is both captured and inside the IP packet ends
        self.above = None      # where the header above IP starts
        self._ethernet()

    def holds(self, at, size):
        return len(self.data) >= at + size

    def u8(self, at):
        return self.data[at]

    def u16(self, at):
        return self.data[at] << 8 | self.data[at + 1]

    def u32(self, at):
        return struct.unpack_from("!I", self.data, at)[0]

    def _ethernet(self):
        if not self.holds(0, 14):
            return
        self.at["eth"] = 0
        kind, at = self.u16(12), 14
        for name in ("vlan", "vlan.inner"):
            if kind in TPIDS and self.holds(at, 4):
                self.at[name] = at
                kind, at = self.u16(at + 2), at + 4
        if kind == 0x8864:
            self._pppoe(at)
        elif kind == 0x8847:
            self._mpls(at)
        elif kind == 0x0806:
            self._arp(at)
        else:
            self._network(kind, at)

    def _pppoe(self, at):
        if self.holds(at, 6):
            self.at["pppoe"] = at
        if self.holds(at, 8):
            self.at["ppp"] = at + 6
            self._network(PPP_NETWORKS.get(self.u16(at + 6)), at + 8)

    def _mpls(self, at):
        for label in range(4):
            if not self.holds(at, 4):
                return
            if label == 0:
                self.at["mpls"] = at
            bottom, at = self.u8(at + 2) & 1, at + 4
            if bottom:
                if self.holds(at, 1):
                    self._network(NETWORKS.get(self.u8(at) >> 4), at)
                return

    def _arp(self, at):
        if not self.holds(at, 8):
            return
        self.at["arp"] = at
        if self.holds(at, 28) and self.data[at:at + 6] == b"\x00\x01\x08\x00\x06\x04":
            self.at["arp.ipv4"] = at

    def _network(self, kind, at):
        if kind == 0x0800:
            self._ipv4(at)
        elif kind == 0x86DD:
            self._ipv6(at)

    def _ipv4(self, at):
        if not self.holds(at, 20) or self.u8(at) >> 4 != 4 or self.u8(at) & 15 < 5:
            return
        size = (self.u8(at) & 15) * 4
        if not self.holds(at, size):
            return
        self.at["ip"] = at
        self.length = self.u16(at + 2) or self.wire - at  # 0: a super-packet, the rest of the frame
        self.end = at + self.length
        self.inside = min(self.end, len(self.data))
        self.proto = self.u8(at + 9)
        self.later = self.u16(at + 6) & 0x1FFF != 0
        self.fragment = self.u16(at + 6) & 0x3FFF != 0
        self._transport(at + size)

    def _ipv6(self, at):
        if not self.holds(at, 40) or self.u8(at) >> 4 != 6:
            return
        self.at["ipv6"] = at
        payload = self.u16(at + 4)
        self.length = 40 + payload
        # a payload length of 0 bounds nothing
        self.end = at + 40 + payload if payload else self.wire
        self.inside = min(self.end, len(self.data)) if payload else len(self.data)
        self.proto = self.u8(at + 6)
        at += 40
        for _ in range(8):
            if self.later or self.proto not in EXTENSIONS or self.inside < at + 8:
                break
            at = self._extension(at)
        self._transport(at)

    def _extension(self, at):
        """Steps over one extension header whose first eight bytes are there. It has fields where it is whole."""
        name = EXTENSIONS[self.proto]
        self.chain.append(self.proto)
        size = 8
        if name == "ipv6.fraghdr":
            self.later = self.u16(at + 2) >> 3 != 0
            self.fragment = self.fragment or self.later or self.u16(at + 2) & 1 == 1
        elif name == "ah":
            size = (self.u8(at + 1) + 2) * 4
        else:
            size = (self.u8(at + 1) + 1) * 8
        # An AH of length 0 holds its first eight bytes by its own word; its fields take twelve.
        if name and self.inside >= at + max(size, 12 if name == "ah" else 8):
            self.at.setdefault(name, at)
        self.proto = self.u8(at)
        return at + size

    def _transport(self, at):
        self.above = at
        if not self.later and self.proto in TRANSPORTS:
            name, size = TRANSPORTS[self.proto]
            if self.inside >= at + size:
                self.at[name] = at

    def payload(self):
        """Where the payload of TCP, UDP or SCTP starts, or None: also where TCP's own header length is wrong."""
        if "tcp" in self.at:
            size = (self.u8(self.above + 12) >> 4) * 4
            return self.above + size if size >= 20 and self.above + size <= self.end else None
        if "udp" in self.at:
            return self.above + 8
        if "sctp" in self.at:
            return self.above + 12
        return None

    def payload_length(self):
        """l4.len: by the IP length; in a later fragment the fragment's payload."""
        if self.later and self.proto in PORTS:
            start = self.above
        else:
            start = self.payload()
        return self.end - start if start is not None and start <= self.end else None

    def slice(self, layer, offset, width):
        """Payload bytes as a big-endian number, None past the end; eight of them are signed."""
        start = self.payload() if layer in self.at else None
        if start is None or start + offset + width > self.inside:
            return None
        return int.from_bytes(self.data[start + offset:start + offset + width], "big", signed=width == 8)


# Protocols -----------------------------------------------------------------------------------------------------------

PROTOCOLS = {name: (name,) for name in ("eth", "vlan", "mpls", "arp", "ip", "ipv6", "ipv6.hopopts", "ipv6.routing",
                                        "ipv6.fraghdr", "ipv6.dstopts", "ah", "tcp", "udp", "sctp", "icmp", "icmpv6")}
PROTOCOLS |= {"net": ("ip", "ipv6"), "pppoes": ("pppoe",)}

# Fields --------------------------------------------------------------------------------------------------------------


class Field(NamedTuple):
    kind: str                                # int, bool, ip4, ip6, net, mac, time
    layers: tuple                            # one of them must be there; none: always
    read: Callable[[Packet, int], object]    # the value at that layer's offset; None: absent
    time: int = 0                            # 1: nanoseconds


FIELDS = {}


def _field(name, kind, layer, read):
    layers = (layer,) if isinstance(layer, str) else layer
    FIELDS[name] = Field(kind, layers, read)


def _u8(name, layer, offset, shift=0, mask=0xFF):
    _field(name, "int", layer, lambda p, at: p.data[at + offset] >> shift & mask)


def _u16(name, layer, offset, shift=0, mask=0xFFFF):
    _field(name, "int", layer, lambda p, at: p.u16(at + offset) >> shift & mask)


def _u32(name, layer, offset, shift=0, mask=0xFFFFFFFF):
    _field(name, "int", layer, lambda p, at: p.u32(at + offset) >> shift & mask)


def _bit(name, layer, offset, mask):
    """A bit of a 16-bit word."""
    _field(name, "bool", layer, lambda p, at: p.u16(at + offset) & mask != 0)


def _address(name, kind, layer, offset, size):
    _field(name, kind, layer, lambda p, at: p.data[at + offset:at + offset + size])


def _only(test, read):
    """Absent where the test does not hold."""
    return lambda p, at: read(p, at) if test(p, at) else None


def _define():
    _field("frame.len", "int", (), lambda p, at: p.wire)
    _field("frame.time", "time", (), lambda p, at: p.time)
    _field("frame.segments", "int", (), lambda p, at: 1)
    _field("hook.direction", "int", (), lambda p, at: int(p.direction == "egress"))

    _address("eth.dst", "mac", "eth", 0, 6)
    _address("eth.src", "mac", "eth", 6, 6)
    for side, offset in (("dst", 0), ("src", 6)):
        _bit(f"eth.{side}.ig", "eth", offset, 0x0100)
        _bit(f"eth.{side}.lg", "eth", offset, 0x0200)
    # as Wireshark: 1 to 1500 is a length, 0 and from 1536 on a type, between them neither
    _field("eth.type", "int", ("eth",), _only(lambda p, at: p.u16(12) == 0 or p.u16(12) >= 1536, lambda p, at: p.u16(12)))
    _field("eth.len", "int", ("eth",), _only(lambda p, at: 1 <= p.u16(12) <= 1500, lambda p, at: p.u16(12)))

    for name in ("vlan", "vlan.inner"):
        _u16(f"{name}.priority", name, 0, 13, 7)
        _bit(f"{name}.dei", name, 0, 0x1000)
        _u16(f"{name}.id", name, 0, 0, 0xFFF)
        _field(f"{name}.etype", "int", (name,), _only(lambda p, at: p.u16(at + 2) > 1500, lambda p, at: p.u16(at + 2)))

    _u8("pppoe.code", "pppoe", 1)
    _u16("pppoe.session_id", "pppoe", 2)
    _u16("pppoe.payload_length", "pppoe", 4)
    _u16("ppp.protocol", "ppp", 0)

    _u32("mpls.label", "mpls", 0, 12, 0xFFFFF)
    _u32("mpls.exp", "mpls", 0, 9, 7)
    _bit("mpls.bottom", "mpls", 2, 0x0100)
    _u32("mpls.ttl", "mpls", 0, 0, 0xFF)

    _u16("arp.hw.type", "arp", 0)
    _u16("arp.proto.type", "arp", 2)
    _u8("arp.hw.size", "arp", 4)
    _u8("arp.proto.size", "arp", 5)
    _u16("arp.opcode", "arp", 6)
    _address("arp.src.hw_mac", "mac", "arp.ipv4", 8, 6)
    _address("arp.src.proto_ipv4", "ip4", "arp.ipv4", 14, 4)
    _address("arp.dst.hw_mac", "mac", "arp.ipv4", 18, 6)
    _address("arp.dst.proto_ipv4", "ip4", "arp.ipv4", 24, 4)

    _u8("ip.version", "ip", 0, 4)
    _field("ip.hdr_len", "int", ("ip",), lambda p, at: (p.data[at] & 15) * 4)
    _u8("ip.dsfield", "ip", 1)
    _u8("ip.dsfield.dscp", "ip", 1, 2)
    _u8("ip.dsfield.ecn", "ip", 1, 0, 3)
    _field("ip.len", "int", ("ip",), lambda p, at: p.length)
    _u16("ip.id", "ip", 4)
    _u16("ip.flags", "ip", 6, 13)
    _bit("ip.flags.rb", "ip", 6, 0x8000)
    _bit("ip.flags.df", "ip", 6, 0x4000)
    _bit("ip.flags.mf", "ip", 6, 0x2000)
    _u16("ip.frag_offset", "ip", 6, 0, 0x1FFF)  # tshark 4.0's -T fields: in units of eight bytes
    _u8("ip.ttl", "ip", 8)
    _u8("ip.proto", "ip", 9)
    _u16("ip.checksum", "ip", 10)
    _address("ip.src", "ip4", "ip", 12, 4)
    _address("ip.dst", "ip4", "ip", 16, 4)

    _u32("ipv6.version", "ipv6", 0, 28)
    _u32("ipv6.tclass", "ipv6", 0, 20, 0xFF)
    _u32("ipv6.tclass.dscp", "ipv6", 0, 22, 0x3F)
    _u32("ipv6.tclass.ecn", "ipv6", 0, 20, 3)
    _u32("ipv6.flow", "ipv6", 0, 0, 0xFFFFF)
    _u16("ipv6.plen", "ipv6", 4)
    _u8("ipv6.nxt", "ipv6", 6)
    _u8("ipv6.hlim", "ipv6", 7)
    _address("ipv6.src", "ip6", "ipv6", 8, 16)
    _address("ipv6.dst", "ip6", "ipv6", 24, 16)
    _u8("ipv6.fraghdr.nxt", "ipv6.fraghdr", 0)
    _u16("ipv6.fraghdr.offset", "ipv6.fraghdr", 2, 3)  # tshark: in units of eight bytes
    _bit("ipv6.fraghdr.more", "ipv6.fraghdr", 2, 1)
    _u32("ipv6.fraghdr.ident", "ipv6.fraghdr", 4)

    def four(p):
        return "ip" in p.at

    net = ("ip", "ipv6")
    _field("net.src", "net", net, lambda p, at: p.data[at + 12:at + 16] if four(p) else p.data[at + 8:at + 24])
    _field("net.dst", "net", net, lambda p, at: p.data[at + 16:at + 20] if four(p) else p.data[at + 24:at + 40])
    _field("net.proto", "int", net, lambda p, at: p.proto)
    _field("net.len", "int", net, lambda p, at: p.length)
    _field("net.ttl", "int", net, lambda p, at: p.data[at + (8 if four(p) else 7)])
    _field("net.dscp", "int", net, lambda p, at: p.data[at + 1] >> 2 if four(p) else p.u16(at) >> 6 & 0x3F)
    _field("net.ecn", "int", net, lambda p, at: p.data[at + 1] & 3 if four(p) else p.u16(at) >> 4 & 3)
    _field("net.fragment", "bool", net, lambda p, at: p.fragment)
    _field("net.version", "int", net, lambda p, at: p.data[at] >> 4)

    _u16("tcp.srcport", "tcp", 0)
    _u16("tcp.dstport", "tcp", 2)
    _u32("tcp.seq_raw", "tcp", 4)
    _u32("tcp.ack_raw", "tcp", 8)
    _field("tcp.hdr_len", "int", ("tcp",), lambda p, at: (p.data[at + 12] >> 4) * 4)
    _u16("tcp.flags", "tcp", 12, 0, 0xFFF)
    for bit, name in enumerate(("fin", "syn", "reset", "push", "ack", "urg", "ece", "cwr", "ae")):
        _bit(f"tcp.flags.{name}", "tcp", 12, 1 << bit)
    _bit("tcp.flags.res", "tcp", 12, 0xE00)
    _u16("tcp.window_size_value", "tcp", 14)
    _u16("tcp.checksum", "tcp", 16)
    _u16("tcp.urgent_pointer", "tcp", 18)
    _field("tcp.len", "int", ("tcp",), lambda p, at: p.payload_length())

    _u16("udp.srcport", "udp", 0)
    _u16("udp.dstport", "udp", 2)
    _u16("udp.length", "udp", 4)
    _u16("udp.checksum", "udp", 6)

    _u16("sctp.srcport", "sctp", 0)
    _u16("sctp.dstport", "sctp", 2)
    _u32("sctp.verification_tag", "sctp", 4)
    _u32("sctp.checksum", "sctp", 8)

    ports = ("tcp", "udp", "sctp")
    _u16("l4.srcport", ports, 0)
    _u16("l4.dstport", ports, 2)
    _field("l4.len", "int", net, lambda p, at: p.payload_length())

    for name in ("icmp", "icmpv6"):
        _u8(f"{name}.type", name, 0)
        _u8(f"{name}.code", name, 1)
        _u16(f"{name}.checksum", name, 2)
    query = {0, 8, 13, 14, 15, 16, 17, 18}
    _field("icmp.ident", "int", ("icmp",), _only(lambda p, at: p.data[at] in query | {42, 43}, lambda p, at: p.u16(at + 4)))
    _field("icmp.seq", "int", ("icmp",), _only(lambda p, at: p.data[at] in query, lambda p, at: p.u16(at + 6)))
    _field("icmpv6.echo.identifier", "int", ("icmpv6",),
           _only(lambda p, at: p.data[at] in (128, 129, 160, 161) and p.inside >= at + 8, lambda p, at: p.u16(at + 4)))
    _field("icmpv6.echo.sequence_number", "int", ("icmpv6",),
           _only(lambda p, at: p.data[at] in (128, 129) and p.inside >= at + 8, lambda p, at: p.u16(at + 6)))


_define()
# `tcp.payload[0:4]`
PAYLOADS = {"tcp.payload": "tcp", "udp.payload": "udp"}


def reader(name):
    """A function from a packet to the field's value, None where it is absent."""
    field = FIELDS[name]
    if not field.layers:
        return lambda p: field.read(p, 0)

    def read(p):
        for layer in field.layers:
            at = p.at.get(layer)
            if at is not None:
                return field.read(p, at)
        return None
    return read
