#!/bin/bash
# Installs, builds and runs every test. The last line says how many ran and how many were skipped.
# Kernel tests need root and BPF: where they cannot run, this fails, unless AMON_NO_BPF=1 says that they shall be skipped.
# FUZZ_SECONDS (20) bounds each fuzz target.
set -uo pipefail
cd "$(dirname "$0")/.."
scripts/build.sh || exit

passed=0 failed=0 skipped=0
log=$(mktemp)
trap 'rm -f "$log"' EXIT

# suite NAME COMMAND…: its output ends with "N passed, M failed[, K skipped]"
suite() {
	local name=$1 status last begun=$SECONDS
	shift
	printf '%-28s ' "$name"
	"$@" >"$log" 2>&1
	status=$?
	last=$(grep -E '^[0-9]+ passed, [0-9]+ failed(, [0-9]+ skipped)?$' "$log" | tail -1)
	read -r p _ f _ s _ <<<"${last:-0 passed, 1 failed} 0"
	if [ $status != 0 ] && [ "$f" = 0 ]; then f=1; fi
	passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
	echo "${last:-no result} ($((SECONDS - begun)) s)"
	if [ $status != 0 ] || [ "$f" != 0 ]; then tail -60 "$log"; fi
}

# A cmocka program counts in its own words.
cmocka() {
	"$@" >"$log.out" 2>&1
	local status=$? p f s
	p=$(sed -nE 's/^\[  PASSED  \] ([0-9]+) test.*/\1/p' "$log.out" | awk '{n += $1} END {print n + 0}')
	f=$(grep -cE '^\[  FAILED  \] [A-Za-z_]' "$log.out")
	s=$(sed -nE 's/^\[  SKIPPED \] ([0-9]+) test.*/\1/p' "$log.out" | awk '{n += $1} END {print n + 0}')
	if [ $status != 0 ] && [ "$f" = 0 ]; then f=1; fi
	[ "$f" = 0 ] || cat "$log.out"
	rm -f "$log.out"
	echo "$p passed, $f failed, $s skipped"
	return $status
}

# check NAME COMMAND…: one test that passes by its exit status
check() {
	if "${@:2}"; then echo "1 passed, 0 failed"; else echo "0 passed, 1 failed"; return 1; fi
}

formatted() { clang-format-19 --dry-run -Werror compiler/*.[ch] runtime/*.[ch] runtime/*.cc runtime/export/*.[ch] cli/*.[ch] tests/unit/*.c; }

tidied() { scripts/tidy.sh; }

sanitized() {
	[ -f build-asan/build.ninja ] || cmake -S . -B build-asan -G Ninja -DAMON_SANITIZE=ON >/dev/null || return
	ninja -C build-asan --quiet
}

fuzz() {
	[ -f build-fuzz/build.ninja ] || CC=clang-19 CXX=clang++-19 cmake -S . -B build-fuzz -G Ninja -DAMON_FUZZ=ON \
		-DCMAKE_C_FLAGS='-fsanitize=address,undefined,fuzzer-no-link' >/dev/null || return
	ninja -C build-fuzz --quiet "$1" || return
	local corpus
	corpus=$(mktemp -d)
	"build-fuzz/$1" -max_total_time="${FUZZ_SECONDS:-20}" -rss_limit_mb=4096 "$corpus" tests/fuzz/corpus
	local status=$?
	rm -rf "$corpus"
	return $status
}

suite "clang-format" check format formatted
suite "clang-tidy" check tidy tidied
for test in build/test_*; do
	[ -x "$test" ] && suite "$(basename "$test")" cmocka "$test"
done
suite "golden C" tests/golden/run.sh
suite "sanitizer build" check asan sanitized
for test in build-asan/test_*; do
	# clang is not ours to sanitize, and catching its crashes is what that test is about; what was freed is kept there
	case $(basename "$test") in test_frontend | test_memory) continue ;; esac
	[ -x "$test" ] && suite "$(basename "$test") (ASan, UBSan)" cmocka env ASAN_OPTIONS=detect_leaks=1 "$test"
done
for target in tests/fuzz/fuzz_*.c; do
	suite "$(basename "$target" .c)" check fuzz fuzz "$(basename "$target" .c)"
done
suite "command line" tests/cli/run.py build/amonc
suite "documentation" tests/docs/run.py build/amonc
suite "interpreter" tests/differential/test_interpreter.py
if [ "${AMON_NO_BPF:-}" = 1 ]; then
	echo "AMON_NO_BPF=1: kernel tests are skipped"
	skipped=$((skipped + 1))
else
	suite "examples" tests/examples/run.py build/amonc
	suite "formats" tests/formats/run.py build/amonc
	suite "users' C" tests/users/run.py build/amonc
	suite "differential" tests/differential/run.py build/amonc --random 8 --memory 8
	suite "fields against tshark" tests/tools/fields.sh build/amonc
	suite "live, between namespaces" tests/kernel/live.py build/amonc
	suite "large specs" tests/kernel/scale.py build/amonc
	suite "Debian's 6.1" tests/kernel/others.sh build/amonc bookworm
	if [ $skipped != 0 ]; then
		echo "kernel tests were skipped though AMON_NO_BPF=1 is not set"
		failed=$((failed + 1))
	fi
fi
echo "$passed passed, $failed failed, $skipped skipped"
[ $failed = 0 ]
