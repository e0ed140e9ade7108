#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Other kernels (others.sh AMONC [SUITE…]; bookworm: 6.1, the floor; trixie: 6.12): specs are compiled here, and the objects are
# replayed under QEMU on Debian's kernel, where there is no compiler. The output must be the same, byte for byte. Then
# windows are cut there, under packets at full speed. The machine there could have more CPUs than it has: what is read of
# each CPU is told by those that are possible.
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
# What runs there beside it: unit tests of the same build, which need its compiler.
build=$(dirname "$amonc")
cat >"$work/files/live" <<L
echo "=== cpus"
cat /sys/devices/system/cpu/possible /sys/devices/system/cpu/online
for test in test_windows test_reader; do
	echo "=== \$test"
	AMON_MODULE="$build/amon-clang.so" "$build/\$test" 2>&1
done
L
# one_of FILE NAME: what stands under that name
one_of() { awk -v name="=== $2" '/^=== /{on = $0 == name; next} on' "$1"; }
# passes FILE: a cmocka program ran some test, and none failed
passes() { grep -q '^\[  PASSED  \] [1-9]' "$1" && ! grep -q '^\[  FAILED  \]' "$1"; }
# check NAME COMMAND…: one test that passes by its exit status
check() {
	if "${@:2}"; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		echo "FAILED on $suite: $1"
	fi
}

for suite in "${suites[@]}"; do
	kernel=$cache/$suite-amd64
	[ -d "$kernel/boot" ] || { mkdir -p "$cache"; "$here/vm/debs" kernel "$suite" amd64 "$kernel" >/dev/null || exit; }
	(cd "$work/files" && SMP=2,maxcpus=8 LIMIT=600 "$here/vm/vm" "$kernel" 'uname -r; bash go; bash live') >"$work/$suite" 2>"$work/$suite.log"
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
	check "CPUs that are possible and there" [ "$(one_of "$work/$suite" cpus | xargs)" = "0-7 0-1" ]
	for test in test_windows test_reader; do
		one_of "$work/$suite" $test >"$work/diff"
		check $test passes "$work/diff"
		passes "$work/diff" || cat "$work/diff"
	done
done
echo "$passed passed, $failed failed"
[ $failed = 0 ]
