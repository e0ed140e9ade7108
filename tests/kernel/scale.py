#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Large specs and the verifier: four times the metrics cost at most five times the instructions it processes, and the largest
spec that the language's limits allow loads at every hook. scale.py AMONC; as root."""
import json, subprocess, sys

AMONC, passed, failed = sys.argv[1], 0, 0
FLAGS = ["fin", "syn", "reset", "push", "ack", "urg", "ece", "cwr"]
KINDS = [
    lambda i: f"count() where tcp.flags.{FLAGS[i // 8 % 8]} and frame.len > {i}",
    lambda i: f"sum(frame.len) where tcp.dstport == {i}",
    lambda i: f"count() where udp.srcport in {{{i}, 53, 1000..{1000 + i}}}",
    lambda i: "max(net.ttl) where ip.src in 10.0.0.0/8 and tcp.flags.ack",
    lambda i: f"mean(l4.len) where not tcp.flags.{FLAGS[i // 8 % 8]}",
    lambda i: "histogram(frame.len, [64, 128]) where ipv6",
    lambda i: f"first(frame.time) where net.dscp == {i % 64}",
    lambda i: f"sum(ip.id / (ip.ttl - {i % 200})) where icmp.type == 8 or tcp.window_size_value == 0",
    lambda i: f"variance(abs(tcp.srcport - tcp.dstport)) where net.src in {{fc00::/7, 192.168.0.0/16}} and udp.payload[{i % 40}] == 7",
]


def metrics(count):
    return "".join(f"metric m{i} = {KINDS[i % len(KINDS)](i)};\n" for i in range(count))


def spec(hook, count, tables=0, each=0):
    rows = "".join(f"table t{t} by net.src, k{t} = l4.len / {t + 1} where frame.len > {t} size 64 {{\n{metrics(each)}}}\n" for t in range(tables))
    return f"probe scale {{ {hook} {{\n{metrics(count)}{rows}}} }}"


def instructions(text):
    result = subprocess.run([AMONC, "explain", "-f", "json", "-"], input=text, capture_output=True, text=True)
    if result.returncode:
        print(result.stderr[-2000:])
        return [0]
    return [program["instructions"] for program in json.loads(result.stdout)["programs"]]


def check(what, good, detail):
    global passed, failed
    passed, failed = passed + bool(good), failed + (not good)
    print(("ok     " if good else "FAILED ") + what, detail)


for hook in ("ingress xdp", "ingress tc"):
    costs = {n: max(instructions(spec(hook, n))) for n in (3, 10, 40, 160, 640)}
    for few, many in ((10, 40), (40, 160), (160, 640)):
        check(f"{hook}: {few} and {many} metrics", costs[few] and 0 < costs[many] <= 5 * costs[few], costs)
for hook in ("ingress xdp", "egress"):
    # 16 tables of 256 metrics beside 1,024: what docs/language.md allows, less what 32 KiB of section hold
    largest = instructions(spec(hook, 640, 16, 256))
    check(f"{hook}: the largest spec loads", all(largest), largest)
print(f"{passed} passed, {failed} failed")
sys.exit(bool(failed))
