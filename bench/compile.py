#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What compiling a spec costs, step by step, beside the clang program on the same C.

  compile.py [--build DIR] [--rounds N] [--metrics N,N,…] [--no-load]

Needs the targets amonc and bench-compile-driver. Each round takes every step of every size once, one after the other, so
that a noisy machine is noisy for all; the table has medians and the quartiles around them, in milliseconds, and ratios
to the clang program of the same round.
"""
import argparse
import pathlib
import statistics
import subprocess
import tempfile
import time

from driver import Driver

ROOT = pathlib.Path(__file__).resolve().parent.parent
STEPS = {
    "emit": "spec to C (amonc emit, a process)",
    "clang": "C to object, clang-19",
    "cold": "C to object, in process, the first",
    "warm": "C to object, in process, later ones",
    "load": "object to loaded (libbpf)",
}
# The shares of the clang program's time that are aimed at.
GOALS = {("warm", 1): 0.25, ("warm", 10): 0.25, ("warm", 100): 0.5, ("cold", 1): 0.5, ("cold", 10): 0.5, ("cold", 100): 0.5}


def spec(metrics):
    body = "\n".join(f"        metric m{i} = sum(frame.len) where tcp.dstport == {1000 + i};" for i in range(metrics))
    return f"probe bench {{\n    ingress xdp {{\n{body}\n    }}\n}}\n"


def emit(amonc, source, to):
    start = time.monotonic()
    subprocess.check_call([amonc, "emit", source, "-o", to])
    return (time.monotonic() - start) * 1e3


def measure(build, folder, sizes, steps, rounds):
    warm, cold = Driver(build / "bench-compile-driver"), Driver(build / "bench-compile-driver")
    times = {(size, step): [] for size in sizes for step in steps}
    for size in sizes:
        (folder / f"{size}.amon").write_text(spec(size))
        emit(build / "amonc", folder / f"{size}.amon", folder / f"{size}.c")
        for step in steps[1:]:
            (cold if step == "cold" else warm).ask(step, folder / f"{size}.c")
    for _ in range(rounds):
        for size in sizes:
            for step in steps:
                if step == "emit":
                    took = emit(build / "amonc", folder / f"{size}.amon", folder / "emitted.c")
                else:
                    [took] = (cold if step == "cold" else warm).ask(step, folder / f"{size}.c")
                times[size, step].append(took)
    return times


def verdict(step, size, ratio):
    goal = GOALS.get((step, size))
    return "" if goal is None else f"goal {goal:.2f}: {'met' if ratio <= goal else 'missed'}"


def print_table(times, sizes, steps):
    print(f"{'metrics':>7}  {'step':<38}{'median':>8}  {'quartiles':<17}{'of clang':>8}")
    for size in sizes:
        for step in steps:
            took = times[size, step]
            low, median, high = statistics.quantiles(took, n=4)
            ratio = statistics.median(a / b for a, b in zip(took, times[size, "clang"]))
            print(f"{size:>7}  {STEPS[step]:<38}{median:>8.2f}  {f'{low:.2f} to {high:.2f}':<17}{ratio:>8.2f}  "
                  f"{verdict(step, size, ratio)}".rstrip())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--metrics", default="1,10,100")
    parser.add_argument("--no-load", action="store_true", help="load nothing (needs no rights)")
    options = parser.parse_args()
    sizes = [int(size) for size in options.metrics.split(",")]
    steps = [step for step in STEPS if not (step == "load" and options.no_load)]
    with tempfile.TemporaryDirectory() as folder:
        times = measure(options.build.resolve(), pathlib.Path(folder), sizes, steps, options.rounds)
    print_table(times, sizes, steps)


if __name__ == "__main__":
    main()
