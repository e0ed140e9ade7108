#!/bin/bash
# Installs, builds, and does amon's main job: a spec over a capture in the kernel, then the same spec live between two
# network namespaces of its own, with traffic.
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/build.sh

trace=$(mktemp --suffix=.pcap)
left=amon-demo-$$-a right=amon-demo-$$-b
cleanup() {
	ip netns del "$left" 2>/dev/null || true
	ip netns del "$right" 2>/dev/null || true
	rm -f "$trace"
}
trap cleanup EXIT

echo "== examples/talkers.amon over a capture that tests/tools/packets.py makes"
python3 tests/tools/packets.py enterprise "$trace"
build/amonc replay examples/talkers.amon "$trace" --format table

echo
echo "== the same spec live: a veth pair, three reads"
ip netns add "$left"
ip netns add "$right"
ip -n "$left" link add demo0 type veth peer name demo1 netns "$right"
ip -n "$left" address add 192.0.2.1/24 dev demo0
ip -n "$right" address add 192.0.2.2/24 dev demo1
ip -n "$left" link set demo0 up
ip -n "$right" link set demo1 up
nsenter --net="/run/netns/$left" ping -q -i 0.01 -c 250 -W 1 192.0.2.2 >/dev/null &
nsenter --net="/run/netns/$right" build/amonc run examples/talkers.amon -i demo1 --interval 1s --count 3 --format table
wait
