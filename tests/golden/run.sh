#!/bin/bash
# The C of each spec here is what stands beside it, and compiles as an auditor would compile it.
# `run.sh --accept` writes what amonc emits now: read the difference before you commit it.
cd "$(dirname "$0")"
amonc=../../build/amonc
made=$(mktemp --suffix=.c)
trap 'rm -f "$made" "$made.o" "$made.log"' EXIT
passed=0 failed=0

check() {
	if "$@" >"$made.log" 2>&1; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		echo "FAILED: $spec: ${*:1:1}"
		head -40 "$made.log"
	fi
}

for spec in *.amon; do
	golden=${spec%.amon}.c
	$amonc emit "$spec" -o "$made" || { failed=$((failed + 1)); continue; }
	[ "${1:-}" = --accept ] && cp "$made" "$golden"
	check diff -u "$golden" "$made"
	check clang-19 -nostdinc -target bpf -mcpu=v3 -O2 -g -Wall -Wextra -Werror -c "$golden" -o "$made.o"
done
# One metric more changes only that metric's lines: nothing goes, and what comes names it or its field.
more() {
	sed 's/metric rst = .*/&\n        metric urgent = count() where tcp.flags.urg;/' tcp_flags.amon >"$made.amon"
	$amonc emit "$made.amon" | diff tcp_flags.c - | grep '^[<>]' | grep -vE 'urgent|tcp_flags & 0x020' | grep -vx '>' && return 1
	return 0
}
# The same input gives the same bytes.
again() { diff <($amonc emit netflow.amon) <($amonc emit - <netflow.amon); }
spec=tcp_flags.amon
check more
spec=netflow.amon
check again
rm -f "$made.amon"
echo "$passed passed, $failed failed"
[ $failed = 0 ]
