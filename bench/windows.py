#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What cutting windows costs the packets, and whether any is lost: reads each 5 s, 1 s, 100, 10 and 1 ms against none.

  windows.py [--build DIR] [--rounds N] [--seconds S] [--intervals MS,MS,…] [--quick]

Needs the target bench-windows-driver, root, and two CPUs: one sends 25,000 TCP sessions with Zipf's shares through a veth
pair into native XDP, where they are dropped behind the probe; from the other windows are cut. A packet's cost is the CPU time
of the sender, generator and probe together. Within each run, stretches of 50 ms (or of the interval) with reads and
without take turns, and a cost is the median of the ratios of two neighbours, with its standard error: what else the machine does
is nearly the same for both. A table's rows are made anew in each window, which its packets pay for, whoever reads. And
the gate before a probe: test runs of an empty program alone, behind a gate, and behind one that announces.
"""
import argparse
import math
import pathlib
import random
import statistics
import sys
import tempfile

from driver import Driver

ROOT = pathlib.Path(__file__).resolve().parent.parent
SPECS = {
    "scalars": "metric packets = count(); metric bytes = sum(frame.len); metric largest = max(frame.len);",
    "table": "table flows by flow size 64Ki { metric packets = count(); metric bytes = sum(frame.len); }",
}
GATES = {"empty": "an empty program", "plain": "behind a gate", "announcing": "behind a gate that announces"}
GOAL = ("scalars", 10.0, 0.0015)  # reads each 10 ms cost no more than this share


class Runs:
    """All runs of one spec with one interval."""

    def __init__(self):
        self.without, self.ratios, self.reader, self.windows, self.packets, self.lost = [], [], [], 0, 0, 0

    def add(self, sent, windows, lost, reader, *costs):
        # where the sender did not come to run in a stretch, it has no cost
        pairs = [pair for pair in zip(costs[::2], costs[1::2]) if all(map(math.isfinite, pair))]
        self.without += [without for without, _ in pairs]
        self.ratios += [reads / without - 1 for without, reads in pairs]
        self.packets += int(sent)
        self.windows += int(windows)
        self.lost += abs(int(lost))
        self.reader.append(reader)

    def error(self):
        return 1.25 * statistics.stdev(self.ratios) / math.sqrt(len(self.ratios)) if len(self.ratios) > 1 else math.inf


def measure(driver, folder, intervals, seconds, rounds):
    runs = {(spec, interval): Runs() for spec in SPECS for interval in intervals}
    for name, body in SPECS.items():
        (folder / f"{name}.amon").write_text(f"probe bench {{ window 1ms; ingress xdp {{ {body} }} }}\n")
    for _ in range(rounds):
        order = list(runs)
        random.shuffle(order)
        for spec, interval in order:
            runs[spec, interval].add(*driver.ask("run", folder / f"{spec}.amon", interval / 1e3, seconds))
    return runs


def verdict(spec, interval, ratio, error):
    if (spec, interval) != GOAL[:2] or not math.isfinite(error):
        return ""
    word = "met" if ratio + error <= GOAL[2] else "missed" if ratio - error > GOAL[2] else "within the error"
    return f"goal {GOAL[2]:.2%}: {word}"


def print_runs(runs):
    print(f"{'spec':<9}{'read each':>10}{'windows':>9}{'packets':>12}{'lost':>6}{'ns/packet':>11}{'cost':>9}{'±':>7}"
          f"  {'quartiles':<18}{'reader CPU':>10}")
    for (spec, interval), run in runs.items():
        low, ratio, high = statistics.quantiles(run.ratios * 2 if len(run.ratios) == 1 else run.ratios, n=4)
        print(f"{spec:<9}{f'{interval:g} ms':>10}{run.windows:>9}{run.packets:>12}{run.lost:>6}"
              f"{statistics.median(run.without):>11.1f}{ratio:>+9.2%}{run.error():>7.2%}  {f'{low:+.2%} to {high:+.2%}':<18}"
              f"{statistics.median(run.reader):>10.2%}  {verdict(spec, interval, ratio, run.error())}".rstrip())


def print_gates(driver, rounds, repeat):
    costs = {kind: [] for kind in GATES}
    for _ in range(rounds):
        for kind in GATES:
            costs[kind] += driver.ask("gate", kind, repeat)
    print()
    for kind, name in GATES.items():
        more = statistics.median(a - b for a, b in zip(costs[kind], costs["empty"]))
        print(f"{name:<30}{statistics.median(costs[kind]):>5.0f} ns a test run, {more:+.0f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=20, help="of one run")
    parser.add_argument("--intervals", default="5000,1000,100,10,1", help="ms between reads")
    parser.add_argument("--quick", action="store_true", help="seconds in all: shows that it works")
    options = parser.parse_args()
    if options.quick:
        options.rounds, options.seconds, options.intervals = 1, 1, "100,10,1"
    intervals = [float(interval) for interval in options.intervals.split(",")]
    driver = Driver(options.build.resolve() / "bench-windows-driver")
    with tempfile.TemporaryDirectory() as folder:
        runs = measure(driver, pathlib.Path(folder), intervals, options.seconds, options.rounds)
    print_runs(runs)
    print_gates(driver, 3 if options.quick else 15, 300000 if options.quick else 3000000)
    if any(run.lost for run in runs.values()):
        sys.exit("packets were lost or doubled")


if __name__ == "__main__":
    main()
