# SPDX-License-Identifier: Apache-2.0
"""Reads pcap and pcapng, link type Ethernet: yields the packets as they lie in the file."""
import struct
from typing import NamedTuple


class CaptureError(Exception):
    pass


class Record(NamedTuple):
    time: int             # nanoseconds since 1970
    wire: int             # length on the wire
    data: bytes           # what was captured of it
    direction: str | None  # "ingress" or "egress", where the capture says so


def read_capture(path):
    with open(path, "rb") as file:
        content = file.read()
    return list(_pcapng(content) if content[:4] == b"\x0a\x0d\x0d\x0a" else _pcap(content))


PCAP_MAGICS = {b"\xd4\xc3\xb2\xa1": ("<", 1000), b"\xa1\xb2\xc3\xd4": (">", 1000),
               b"\x4d\x3c\xb2\xa1": ("<", 1), b"\xa1\xb2\x3c\x4d": (">", 1)}


def _pcap(content):
    if content[:4] not in PCAP_MAGICS or len(content) < 24:
        raise CaptureError("neither pcap nor pcapng")
    order, scale = PCAP_MAGICS[content[:4]]
    _require_ethernet(struct.unpack_from(order + "I", content, 20)[0] & 0xFFFF)
    at = 24
    while at + 16 <= len(content):
        seconds, rest, captured, wire = struct.unpack_from(order + "IIII", content, at)
        at += 16
        if at + captured > len(content):
            return
        yield Record(seconds * 10**9 + rest * scale, wire, content[at:at + captured], None)
        at += captured


def _require_ethernet(link):
    if link != 1:
        raise CaptureError(f"link type {link} is not Ethernet")


def _options(order, body, at):
    while at + 4 <= len(body):
        code, length = struct.unpack_from(order + "HH", body, at)
        if code == 0:
            return
        yield code, body[at + 4:at + 4 + length]
        at += 4 + (length + 3) // 4 * 4


class _Interface:
    """An interface of a pcapng section: its clock's units and offset."""

    def __init__(self, order, body):
        link, _, self.snaplen = struct.unpack_from(order + "HHI", body, 0)
        _require_ethernet(link)
        self.units, self.offset = 10**6, 0
        for code, value in _options(order, body, 8):
            if code == 9:
                self.units = 2**(value[0] & 0x7F) if value[0] & 0x80 else 10**value[0]
            elif code == 14:
                self.offset = struct.unpack(order + "q", value)[0]

    def time(self, stamp):
        return self.offset * 10**9 + stamp * 10**9 // self.units


def _pcapng(content):
    at, order, interfaces = 0, "<", []
    while at + 12 <= len(content):
        kind = struct.unpack_from(order + "I", content, at)[0]
        if kind == 0x0A0D0D0A:
            order = "<" if content[at + 8:at + 12] == b"\x4d\x3c\x2b\x1a" else ">"
            interfaces = []
        length = struct.unpack_from(order + "I", content, at + 4)[0]
        if length < 12 or at + length > len(content):
            return
        body = content[at + 8:at + length - 4]
        if kind == 1:
            interfaces.append(_Interface(order, body))
        elif kind == 6:
            number, high, low, captured, wire = struct.unpack_from(order + "IIIII", body, 0)
            flags = 0
            for code, value in _options(order, body, 20 + (captured + 3) // 4 * 4):
                if code == 2:
                    flags = struct.unpack(order + "I", value)[0]
            yield Record(interfaces[number].time(high << 32 | low), wire, body[20:20 + captured],
                         {1: "ingress", 2: "egress"}.get(flags & 3))
        elif kind in (2, 3):
            raise CaptureError("obsolete and simple packet blocks are not read")
        at += length
