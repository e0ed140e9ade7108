#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Every field against tshark's of the same name, over made captures. fields.sh AMONC; as root.
amonc=$(readlink -f "$1")
cd "$(dirname "$0")"
passed=0 failed=0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for capture in basic random; do
	python3 packets.py $capture "$work/$capture.pcap"
	last=$(python3 tshark_fields.py "$amonc" "$work/$capture.pcap" | tee "$work/log" | tail -1)
	fields=$(sed -nE 's/.* ([0-9]+) fields, [0-9]+ differ$/\1/p' <<<"$last")
	differ=$(sed -nE 's/.* ([0-9]+) differ$/\1/p' <<<"$last")
	if [ -z "$fields" ]; then
		failed=$((failed + 1))
		cat "$work/log"
		continue
	fi
	passed=$((passed + fields - differ)) failed=$((failed + differ))
	[ "$differ" = 0 ] || cat "$work/log"
done
echo "$passed passed, $failed failed"
[ $failed = 0 ]
