#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""How long it takes to read maps, and to empty them: in batches and one by one, beside memory that is mapped, and amon.

  read.py [--build DIR] [--rounds N] [--entries N,N,…] [--quick]

Needs the targets bench-read-driver and bench-windows-driver, and root. Keys have 16 bytes (arrays: 4), values 48 on each CPU. Each round takes
every map, way and size once; medians in milliseconds of CPU and the quartiles around them, nanoseconds an entry, and how many
times as long one by one takes in the same round. A system call that does nothing is measured beside them: it is the
bound of what goes one by one. What batches cost beyond it is the kernel's copying: a bucket's lock, a key and a value
for each CPU; what is mapped costs what memory does. Last, a table of amon's with so many rows: from the cut until they are
merged and sorted in user space, and until the table is empty again.
"""
import argparse
import pathlib
import statistics
import sys
import tempfile

from driver import Driver

ROOT = pathlib.Path(__file__).resolve().parent.parent
MAPS = ("hash", "percpu-hash", "array", "percpu-array")
SPEC = """probe bench { window 1ms; ingress xdp {
    table t by ip.src size 1Mi { metric packets = count(); metric bytes = sum(frame.len); } } }
"""
# A way, and the one that it is compared with.
WAYS = (("each", "each"), ("batch", "each"), ("empty-each", "empty-each"), ("empty-batch", "empty-each"))


def all_steps(sizes):
    """(map, way, size), in the order of the table; the mapped array beside the shared one."""
    for size in sizes:
        for kind in MAPS:
            for way, _ in WAYS:
                yield kind, way, size
        yield "mapped", "copy", size
        yield "mapped", "clear", size


def print_table(times, sizes):
    print(f"{'entries':>8}  {'map':<13}{'way':<12}{'ms':>10}  {'quartiles':<19}{'ns/entry':>9}{'times':>7}")
    rivals = {**dict(WAYS), "copy": "each", "clear": "empty-each"}
    for kind, way, size in all_steps(sizes):
        took = times[kind, way, size]
        rival = times["array" if kind == "mapped" else kind, rivals[way], size]
        low, median, high = statistics.quantiles(took * 2 if len(took) == 1 else took, n=4)
        ratio = statistics.median(b / a for a, b in zip(took, rival))
        print(f"{size:>8}  {kind:<13}{way:<12}{median:>10.4f}  {f'{low:.4f} to {high:.4f}':<19}{median / size * 1e6:>9.0f}"
              f"{ratio:>7.1f}")


def drain(driver, sizes, rounds):
    times = {size: [] for size in sizes}
    with tempfile.NamedTemporaryFile("w", suffix=".amon") as spec:
        spec.write(SPEC)
        spec.flush()
        for _ in range(rounds):
            for size in sizes:
                rows, *took = driver.ask("drain", spec.name, size)
                if rows != size:
                    sys.exit(f"{rows:.0f} rows of {size}")
                times[size].append(took)
    print(f"\n{'rows':>8}  {'read, ms':>10}{'empty, ms':>11}{'ns/row':>8}")
    for size in sizes:
        read, empty = (statistics.median(took) for took in zip(*times[size]))
        print(f"{size:>8}  {read:>10.3f}{empty:>11.3f}{(read + empty) / size * 1e6:>8.0f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--entries", default="1,10,100,1000,10000,100000,1000000")
    parser.add_argument("--quick", action="store_true", help="seconds in all: shows that it works")
    options = parser.parse_args()
    if options.quick:
        options.rounds, options.entries = 2, "1,100,10000"
    sizes = [int(size) for size in options.entries.split(",")]
    driver = Driver(options.build.resolve() / "bench-read-driver")
    times, calls = {step: [] for step in all_steps(sizes)}, []
    for _ in range(options.rounds):
        for step, took in times.items():
            took += driver.ask(*step)
        calls += driver.ask("call", "call", 100000)
    print_table(times, sizes)
    print(f"\na system call that does nothing: {statistics.median(calls) * 10:.0f} ns")
    drain(Driver(options.build.resolve() / "bench-windows-driver"), sizes, options.rounds)


if __name__ == "__main__":
    main()
