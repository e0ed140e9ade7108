#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Other kernels (others.sh AMONC [SUITE[:arm64]…]; bookworm: 6.1, the floor; trixie: 6.12): specs are compiled here, and the
# objects are replayed under QEMU on Debian's kernel, where there is no compiler. The output must be the same, byte for byte.
# Then windows are cut there: live ones; and, but on arm64, which gets a runtime built across and no compiler, those of unit
# tests under packets at full speed. The machine there could have more CPUs than it has: what is read of each CPU is told by
# those that are possible.
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
cp "$amonc" "$work/files/amonc"
(cd "$work/files" && sh go) >"$work/here"
# A hundred packets, each seen going out and coming in.
"$amonc" build -q -o "$work/files/pings.live" \
	-e 'probe pings { window 100ms; ingress tc, egress tc { metric requests = count() where icmp.type == 8; } }' || exit
cat >"$work/files/live" <<'L'
echo "=== cpus"
cat /sys/devices/system/cpu/possible /sys/devices/system/cpu/online
echo "=== pings"
./amonc run -q -f jsonl pings.live -i lo >/tmp/pings &
until [ -s /tmp/pings ]; do sleep 0.1; done
/run/busybox ping -q -A -c 100 127.0.0.1 >/tmp/ping
kill $!
wait $!
cat /tmp/pings
L
# What runs there beside it: unit tests of the same build, which need its compiler.
build=$(dirname "$amonc")
cat >"$work/files/units" <<L
for test in test_windows test_reader test_storage; do
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

# arm64 SUITE: builds the runtime across, against that suite's libraries, and says what the machine's root is.
arm64() {
	local root=$cache/$1-arm64-root log=$work/arm64.log
	[ -d "$root/usr" ] || "$here/vm/debs" root "$1" arm64 "$root" >/dev/null || return
	{
		command -v aarch64-linux-gnu-gcc qemu-system-aarch64 ||
			apt-get -qq install -y --no-install-recommends gcc-aarch64-linux-gnu qemu-system-arm
		cmake -S "$here/../.." -B "$cache/$1-arm64-build" -G Ninja -DAMON_CLANG=OFF -DCMAKE_SYSROOT="$root" \
			-DCMAKE_TOOLCHAIN_FILE="$here/../../cmake/arm64.cmake" && ninja -C "$cache/$1-arm64-build"
	} >"$log" 2>&1 || { cat "$log" >&2; return 1; }
	cp "$cache/$1-arm64-build/amonc" "$work/files/amonc"
	echo "$root"
}

for suite in "${suites[@]}"; do
	IFS=: read -r release arch <<<"$suite"
	kernel=$cache/$release-${arch:=amd64} root=/ commands='uname -r; sh go; sh live; sh units'
	mkdir -p "$cache"
	[ -d "$kernel/boot" ] || "$here/vm/debs" kernel "$release" "$arch" "$kernel" >/dev/null || exit
	cp "$amonc" "$work/files/amonc"
	if [ "$arch" = arm64 ]; then
		root=$(arm64 "$release") || exit
		commands='uname -r; sh go; sh live'
	fi
	(cd "$work/files" && SMP=2,maxcpus=8 LIMIT=1500 ROOT=$root "$here/vm/vm" "$kernel" "$commands") >"$work/$suite" 2>"$work/$suite.log"
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
	# elsewhere the kernel counts those that are there
	[ "$suite" = bookworm ] && check "CPUs that are possible and there" [ "$(one_of "$work/$suite" cpus | xargs)" = "0-7 0-1" ]
	check "windows add up" [ "$(one_of "$work/$suite" pings | grep -o '"requests":[0-9]*' | awk -F: '{n += $2} END {print n + 0}')" = 200 ]
	[ "$arch" = arm64 ] && continue
	for test in test_windows test_reader test_storage; do
		one_of "$work/$suite" $test >"$work/diff"
		check $test passes "$work/diff"
		passes "$work/diff" || cat "$work/diff"
	done
done
echo "$passed passed, $failed failed"
[ $failed = 0 ]
