#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every example, over a made capture, against sums worked out here from the frames themselves. run.py AMONC; as root."""
import collections, json, math, os, socket, struct, subprocess, sys, tempfile

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


# Users' C: what it keeps is kept here once more.

SYN, ACK, RST, FIN = 0x02, 0x10, 0x04, 0x01


def segments(frames):
    """Both ends, flags and bytes of TCP in IPv4 without options."""
    for frame, _ in frames:
        if len(frame) >= 54 and is_tcp(frame) and frame[14] == 0x45 and not struct.unpack_from("!H", frame, 20)[0] & 0x1FFF:
            source, target = socket.inet_ntoa(frame[26:30]), socket.inet_ntoa(frame[30:34])
            ports = struct.unpack_from("!HH", frame, 34)
            yield (source, ports[0]), (target, ports[1]), frame[47], len(frame)


def ddos(trace, frames):
    begun, half_open, suspects, attacked, listed, cleared = set(), collections.Counter(), set(), collections.defaultdict(lambda: [0, 0]), 0, 0
    for source, target, flags, size in segments(frames):
        if flags & SYN and not flags & ACK:
            if (source, target) not in begun:
                begun.add((source, target))
                half_open[target] += 1
                if half_open[target] > 64 and source[0] not in suspects:
                    suspects.add(source[0])
                    listed += 1
            if source[0] in suspects:
                attacked[target][0] += 1
                attacked[target][1] += size
        elif flags & ACK and not flags & (SYN | RST) and (source, target) in begun:
            begun.remove((source, target))
            half_open[target] -= 1
            cleared += source[0] in suspects
            suspects.discard(source[0])
    documents, found = replay("ddos/ddos.amon", trace), collections.defaultdict(lambda: [0, 0])
    for row in rows(documents, "attacked"):
        found[row["address"], row["port"]][0] += row["syns"]
        found[row["address"], row["port"]][1] += row["bytes"]
    check("ddos: what is under attack", dict(found), dict(attacked))
    check("ddos: the flood is found", max(attacked, key=attacked.get), ("10.2.0.10", 443))
    check("ddos: listed", total(documents, "ingress", "metrics", "suspects.listed"), listed)
    check("ddos: cleared", total(documents, "ingress", "metrics", "suspects.cleared"), cleared)
    check("ddos: the list stays private", set(documents[0]["ingress"]["tables"]), {"attacked"})


def entropy(trace, timed):
    windows = collections.defaultdict(collections.Counter)
    for when, frame in timed:
        if is_ip(frame):
            windows[when // 10][socket.inet_ntoa(frame[26:30])] += 1
    documents = replay("entropy/entropy.amon", trace)
    check("entropy: windows", len(documents), len(windows))
    for (_, counts), document in zip(sorted(windows.items()), documents):
        section, packets = document["sources"], sum(counts.values())
        wanted = -sum(n / packets * math.log2(n / packets) for n in counts.values())
        check("entropy: counts", {row["key"]: row["value"] for row in section["tables"]["counts"]["rows"]}, dict(counts))
        check("entropy: packets", section["metrics"]["total.packets"], packets)
        check(f"entropy: {section['metrics']['bits']} is {wanted}", abs(section["metrics"]["bits"] - wanted) < 0.001, True)


def connections(trace, frames):
    asked, answered, established, closing, closed, reset = range(1, 7)
    tracked = {}
    for source, target, flags, size in segments(frames):
        back = (target, source) in tracked
        key = (target, source) if back else (source, target)
        one = tracked.setdefault(key, {"state": asked if flags & SYN else established, "finished": [False, False], "traffic": [[0, 0], [0, 0]]})
        one["traffic"][back][0] += 1
        one["traffic"][back][1] += size
        if flags & RST:
            one["state"] = reset
        elif flags & SYN and flags & ACK and back and one["state"] == asked:
            one["state"] = answered
        elif flags & ACK and not flags & SYN and not back and one["state"] == answered:
            one["state"] = established
        if flags & FIN and one["state"] != reset:
            one["finished"][back] = True
            one["state"] = closed if one["finished"][not back] else closing
    (document,) = replay("connections/connections.amon", trace)
    found = {((row["from.address"], row["from.port"]), (row["to.address"], row["to.port"])):
             {"state": row["state"], "finished": [row["finished[0]"], row["finished[1]"]],
              "traffic": [[row[f"traffic[{i}].packets"], row[f"traffic[{i}].bytes"]] for i in range(2)]}
             for row in document["tracked"]["tables"]["connections"]["rows"]}
    check("connections", found, tracked)
    check("connections: many states", len({one["state"] for one in tracked.values()}) >= 4, True)


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
        with open(trace, "rb") as file:
            data = file.read()
        at, timed = 24, []
        for frame, _ in frames:
            timed.append((struct.unpack_from("<I" if data[0] in (0xd4, 0x4d) else ">I", data, at)[0], frame))
            at += 16 + len(frame)
        ddos(trace, frames)
        entropy(trace, timed)
        connections(trace, frames)
        tried |= {"ddos", "entropy", "connections"}
        check("every example is tried", set(os.listdir(os.path.join(ROOT, "examples"))), tried)
    print(f"{passed} passed, {failed} failed")
    sys.exit(bool(failed))


main()
