#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Other kernels (others.sh AMONC [SUITE…]; bookworm: 6.1, the floor; trixie: 6.12): specs are compiled here, and the objects are
# replayed under QEMU on Debian's kernel, where there is no compiler. The output must be the same, byte for byte.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
amonc=$(readlink -f "$1")
shift
suites=("${@:-bookworm}")
cache=${AMON_KERNELS:-/var/tmp/amon-kernels}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
passed=0 failed=0

mkdir "$work/files"
cp "$amonc" "$work/files/amonc"
for capture in basic malformed; do
	python3 "$here/../tools/packets.py" $capture "$work/files/$capture.pcap"
done
for spec in "$here"/../golden/*.amon "$here"/../differential/specs/{fields_tcp,fields_ipv6,slices,keys,overflow_drop}.amon; do
	name=$(basename "$spec" .amon)
	"$amonc" build -q "$spec" -o "$work/files/$name.o" || { echo "FAILED: $name does not build"; failed=$((failed + 1)); }
done
# The output of every object over every capture, each under a line that names it.
cat >"$work/files/go" <<'G'
for object in *.o; do for capture in basic malformed; do
	echo "=== $object $capture"
	./amonc replay -q -f json $object $capture.pcap 2>&1 || echo "exit status $?"
done; done
G
(cd "$work/files" && bash go) >"$work/here"
# one_of FILE NAME: what stands under that name
one_of() { awk -v name="=== $2" '/^=== /{on = $0 == name; next} on' "$1"; }

for suite in "${suites[@]}"; do
	kernel=$cache/$suite-amd64
	[ -d "$kernel/boot" ] || { mkdir -p "$cache"; "$here/vm/debs" kernel "$suite" amd64 "$kernel" >/dev/null || exit; }
	(cd "$work/files" && LIMIT=600 "$here/vm/vm" "$kernel" 'uname -r; bash go') >"$work/$suite" 2>"$work/$suite.log"
	echo "$suite: $(head -1 "$work/$suite")"
	while read -r name; do
		if diff <(one_of "$work/here" "$name") <(one_of "$work/$suite" "$name") >"$work/diff"; then
			passed=$((passed + 1))
		else
			failed=$((failed + 1))
			echo "FAILED on $suite: $name"
			head -5 "$work/diff"
		fi
	done < <(sed -n 's/^=== //p' "$work/here")
done
echo "$passed passed, $failed failed"
[ $failed = 0 ]
