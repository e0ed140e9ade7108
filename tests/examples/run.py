#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every example, over a made capture, against sums worked out here from the frames themselves. run.py AMONC; as root."""
import json, os, struct, subprocess, sys, tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.join(HERE, "..", "..")
sys.path.insert(0, os.path.join(HERE, "..", "tools"))
import packets  # noqa: E402

AMONC, passed, failed = sys.argv[1], 0, 0


def check(what, got, wanted):
    global passed, failed
    passed, failed = passed + (got == wanted), failed + (got != wanted)
    if got != wanted:
        print(f"FAILED {what}: got {got}, wanted {wanted}")


def read_frames(path):
    with open(path, "rb") as file:
        data = file.read()
    order = "<" if data[:4] in (b"\xd4\xc3\xb2\xa1", b"\x4d\x3c\xb2\xa1") else ">"
    at = 24
    while at + 16 <= len(data):
        captured, wire = struct.unpack_from(order + "II", data, at + 8)
        yield data[at + 16:at + 16 + captured], wire
        at += 16 + captured


def replay(example, trace):
    """All documents of a replay."""
    result = subprocess.run([AMONC, "replay", os.path.join(ROOT, "examples", example), trace, "-f", "jsonl"], capture_output=True, text=True)
    if result.returncode:
        check(f"{example}: exit status", result.returncode, 0)
        print(result.stderr)
    return [json.loads(line) for line in result.stdout.splitlines()]


def total(documents, *path):
    """A number summed over the windows."""
    sum_ = 0
    for document in documents:
        for step in path:
            document = document[step]
        sum_ += document
    return sum_


def rows(documents, table):
    return [row for document in documents for row in document["ingress"]["tables"][table]["rows"]]


def everything(documents, table, metric):
    """A metric over rows, other and rest of all windows."""
    found = 0
    for document in documents:
        part = document["ingress"]["tables"][table]
        found += sum(row[metric] for row in part["rows"] + [part["other"] or {}, part["rest"] or {}] if metric in row)
    return found


def is_ip(frame):
    return frame[12:14] == b"\x08\x00"


def is_tcp(frame):
    return is_ip(frame) and frame[23] == 6


def main():
    with tempfile.TemporaryDirectory() as folder:
        trace = os.path.join(folder, "enterprise.pcap")
        subprocess.run([sys.executable, os.path.join(ROOT, "tests/tools/packets.py"), "enterprise", trace], check=True)
        frames = list(read_frames(trace))
        ip = [(frame, wire) for frame, wire in frames if is_ip(frame)]
        tcp = [(frame, wire) for frame, wire in frames if is_tcp(frame)]
        arp = [frame for frame, _ in frames if frame[12:14] == b"\x08\x06"]

        interface = replay("interface.amon", trace)
        check("interface: packets", total(interface, "ingress", "metrics", "packets"), len(frames))
        check("interface: bytes", total(interface, "ingress", "metrics", "bytes"), sum(wire for _, wire in frames))
        check("interface: multicast", total(interface, "ingress", "metrics", "multicast"), sum(frame[0] & 1 for frame, _ in frames))
        check("interface: sizes", total(interface, "ingress", "metrics", "frame_size", "count"), len(frames))

        talkers = replay("talkers.amon", trace)
        check("talkers: five rows", len(rows(talkers, "networks")), 5)
        check("talkers: bytes add up", everything(talkers, "networks", "bytes"), sum(wire for _, wire in ip))

        flows = replay("flows.amon", trace)
        check("flows: packets add up", everything(flows, "flows", "packets"), total(flows, "ingress", "ledger", "selected", "packets"))
        check("flows: twenty rows", len(rows(flows, "flows")), 20)

        flood = replay("syn_flood.amon", trace)
        syn = [frame for frame, _ in tcp if frame[14 + (frame[14] & 15) * 4 + 13] & 0x12 == 2]
        check("syn_flood: SYNs add up", everything(flood, "victims", "syns"), len(syn))
        check("syn_flood: the metric agrees", total(flood, "ingress", "metrics", "syns"), len(syn))
        check("syn_flood: the flood is found", len({row["net.dst"] for row in rows(flood, "victims")}), 1)

        qos = replay("qos.amon", trace)
        check("qos: packets add up", everything(qos, "class", "packets"), total(qos, "ingress", "ledger", "selected", "packets"))

        vlans = replay("vlans.amon", trace)
        check("vlans: none in this capture", rows(vlans, "vlans"), [])

        health = replay("tcp_health.amon", trace)
        check("tcp_health: packets add up", everything(health, "servers", "packets"), len(tcp))

        senders = replay("arp.amon", trace)
        check("arp: requests and replies add up", everything(senders, "senders", "requests") + everything(senders, "senders", "replies"), len(arp))

        fragments = replay("fragments.amon", trace)
        ipv6 = [frame for frame, _ in frames if frame[12:14] == b"\x86\xdd"]
        check("fragments: packets", total(fragments, "ingress", "metrics", "packets"), len(ip) + len(ipv6))
        tried = {"interface.amon", "talkers.amon", "flows.amon", "syn_flood.amon", "qos.amon", "vlans.amon", "tcp_health.amon", "arp.amon", "fragments.amon"}
        check("every example is tried", set(os.listdir(os.path.join(ROOT, "examples"))), tried)
    print(f"{passed} passed, {failed} failed")
    sys.exit(bool(failed))


main()
