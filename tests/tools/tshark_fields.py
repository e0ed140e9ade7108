#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Holds amon's fields against tshark's of the same name.

  tshark_fields.py AMONC TRACE [FIELD]...

For every field that `AMONC fields` lists and tshark knows, a table by that field counts the packets of each value; tshark's first
occurrence in each packet must give the same counts. `interpreter` in place of AMONC checks tests/differential instead.

Of the trace, only those packets are used where the two should agree (docs: "Where amon differs from Wireshark"):
- whole ones: neither cut by the capture nor malformed or short to tshark;
- no PPP protocol of one byte;
- one IP header: no tunnels, no packet that an ICMP error quotes (tshark shows their fields as well);
- no 802.1ad outer tag (tshark calls it ieee8021ad), no more than two tags and four labels;
- no headers behind which amon stops and tshark goes on, or the other way about: AH in IPv4, mobility, HIP, shim6, ESP; no extension
  header twice;
- no lengths that lie: IP version and header lengths, TCP data offsets, UDP lengths and IP lengths are in order;
- no first fragment of TCP (tshark shows no tcp.len), no ARP but that of Ethernet and IPv4.
The last line is `N fields, M differ`.
"""
import argparse
import collections
import functools
import json
import os
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "differential")]
import dissect  # noqa: E402
import packets  # noqa: E402
from capture import read_capture  # noqa: E402
from compare import canonical, documents_of  # noqa: E402
from interpreter import Interpreter  # noqa: E402

# All others are switched off: what they say of a payload is not asked here.
PROTOCOLS = set("""frame eth ethertype vlan ieee8021ad llc pppoes ppp mpls arp ip ipv6 ipv6.hopopts ipv6.routing ipv6.fraghdr ipv6.dstopts
ah tcp udp sctp icmp icmpv6 data""".split())
# not the packet's own: made by the tool, or of another meaning
LEFT_OUT = {"frame.time", "frame.segments"}
# tshark gives IPv6 headers an ip.version too
ONLY_WITH = {"ip.version": "ip"}
SETTINGS = ["ip.defragment:FALSE", "ipv6.defragment:FALSE", "tcp.desegment_tcp_streams:FALSE", "tcp.analyze_sequence_numbers:FALSE"]
TABLES_A_SECTION = 12
STOPPED = {135, 139, 140}  # mobility, HIP, shim6


@functools.cache
def disabled():
    run = subprocess.run(["tshark", "-G", "protocols"], capture_output=True, text=True, check=True)
    names = {line.split("\t")[2] for line in run.stdout.split("\n") if line}
    return [option for name in sorted(names - PROTOCOLS) if not name.startswith("_ws") for option in ("--disable-protocol", name)]


def tshark(path, fields):
    """The first occurrence of each field, a line of texts a packet."""
    command = ["tshark", "-n", "-r", path, "-T", "fields", "-E", "occurrence=f", "-E", "separator=/t", *disabled()]
    for setting in SETTINGS:
        command += ["-o", setting]
    for field in fields:
        command += ["-e", field]
    run = subprocess.run(command, capture_output=True, text=True)
    if run.returncode:
        sys.exit(f"tshark: {run.stderr.strip()[:400]}")
    return [line.split("\t") for line in run.stdout.split("\n")[:-1]]


def known_to_tshark():
    run = subprocess.run(["tshark", "-G", "fields"], capture_output=True, text=True, check=True)
    return {line.split("\t")[2] for line in run.stdout.split("\n") if line.startswith("F\t")}


def comparable(record, row):
    """Whether both should see the same in a packet; row holds tshark's frame.protocols, malformed and short marks."""
    protocols, malformed, short = row
    names = protocols.split(":")
    packet = dissect.Packet(record, 0, "ingress")
    if len(record.data) < max(record.wire, 14) or malformed or short or "ieee8021ad" in names:
        return False
    if names.count("ip") + names.count("ipv6") > 1 or names.count("vlan") > 2 or names.count("eth") > 1:
        return False
    if ("ip" in packet.at or "ipv6" in packet.at) != ("ip" in names or "ipv6" in names):
        return False
    if ("mpls" in packet.at) != ("mpls" in names) or "ppp" in packet.at and packet.u8(packet.at["ppp"]) & 1:
        return False
    return not walked_otherwise(packet) and well_sized(packet)


def walked_otherwise(packet):
    """Chains of extension headers that one of the two does not walk, or not to their end."""
    return bool(packet.proto in {0, 43, 44, 50, 51, 60} | STOPPED or STOPPED & set(packet.chain)
                or len(set(packet.chain)) < len(packet.chain))


def well_sized(packet):
    if packet.end is not None and not packet.above <= packet.end <= packet.wire:
        return False
    if "tcp" in packet.at and packet.fragment or "arp" in packet.at and "arp.ipv4" not in packet.at:
        return False
    if "ipv6" in packet.at and packet.length == 40 and packet.wire > packet.at["ipv6"] + 40:
        return False
    if packet.proto in (6, 17, 132) and not packet.later and packet.payload() is None:
        return False
    if "udp" in packet.at:
        return packet.u16(packet.above + 4) == packet.end - packet.above or packet.fragment
    return True


def select(trace, path):
    """Writes the packets that can be compared; returns how many of how many."""
    records = read_capture(trace)
    rows = tshark(trace, ["frame.protocols", "_ws.malformed", "_ws.short"])
    chosen = [record for record, row in zip(records, rows) if comparable(record, row)]
    packets.write_pcap(path, [packets.Frame(record.data, record.time, record.wire) for record in chosen], nano=True)
    return len(chosen), len(records)


def fields_of(amonc):
    if amonc == "interpreter":
        return list(dissect.FIELDS)
    run = subprocess.run([amonc, "fields", "-f", "json"], capture_output=True, text=True, check=True)
    return [field["name"] for field in json.loads(run.stdout)]


def replayed(amonc, path, fields, folder):
    """{field: {value: packets}} by a spec with a table for each."""
    tables = "".join(f"table t{i} by value = {field} size 256Ki {{ metric packets = count(); }}\n" for i, field in enumerate(fields))
    spec = f"probe tshark {{ ingress {{\n{tables}}} }}\n"
    if amonc == "interpreter":
        document = next(Interpreter(spec).run(read_capture(path)))
    else:
        name = os.path.join(folder, "fields.amon")
        with open(name, "w", encoding="utf-8") as file:
            file.write(spec)
        run = subprocess.run([amonc, "replay", name, path, "-q", "-f", "json"], capture_output=True, text=True)
        if run.returncode:
            sys.exit(f"{amonc}: {run.stderr}")
        document, = documents_of(run.stdout)
    found = {}
    for i, field in enumerate(fields):
        rows = document["ingress"]["tables"][f"t{i}"]["rows"]
        found[field] = collections.Counter({plain(row["value"]): row["packets"] for row in rows})
    return found


def plain(value):
    """Numbers and flags as integers, addresses in one spelling: of JSON and of tshark's texts."""
    if isinstance(value, (bool, int)):
        return int(value)
    try:
        return int(value, 0)
    except ValueError:
        return {"True": 1, "False": 0}.get(value, canonical(value))


def main():
    ask = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ask.add_argument("amonc")
    ask.add_argument("trace")
    ask.add_argument("fields", nargs="*")
    options = ask.parse_args()
    known = known_to_tshark()
    fields = [name for name in options.fields or fields_of(options.amonc) if name in known - LEFT_OUT]
    wrong = 0
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "selected.pcap")
        chosen, all_of_them = select(options.trace, path)
        rows = tshark(path, fields)
        protocols = [row[0].split(":") for row in tshark(path, ["frame.protocols"])]
        for start in range(0, len(fields), TABLES_A_SECTION):
            part = fields[start:start + TABLES_A_SECTION]
            ours = replayed(options.amonc, path, part, folder)
            for field in part:
                needed = ONLY_WITH.get(field)
                column = [row[fields.index(field)] for row, names in zip(rows, protocols) if needed is None or needed in names]
                theirs = collections.Counter(plain(text) for text in column if text)
                if ours[field] == theirs:
                    continue
                wrong += 1
                print(f"{field}: only amon {dict((ours[field] - theirs).most_common(5))}, only tshark {dict((theirs - ours[field]).most_common(5))}")
    print(f"{os.path.basename(options.trace)}: {chosen} of {all_of_them} packets; {len(fields)} fields, {wrong} differ")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
