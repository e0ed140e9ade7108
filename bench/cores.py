#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Whether a second CPU doubles what a probe counts, and whether it all adds up: two senders on two CPUs against one.

  cores.py [--build DIR] [--rounds N] [--seconds S] [--quick]

Needs the target bench-windows-driver, root, and two CPUs. Each sends 25,000 TCP sessions with Zipf's shares, the same ones, through a
queue of its own of a veth pair into native XDP, where they are dropped behind the probe. Runs with one CPU and with two take turns. What
two can do is told by the CPU time of a packet, generator and probe together: it is the same where nothing is shared, and then
two do twice as much. Packets a second say the same where nothing else runs on the machine.
"""
import argparse
import pathlib
import statistics
import sys
import tempfile

from driver import Driver
from windows import ROOT, SPECS


def measure(driver, folder, seconds, rounds):
    runs = {(name, cores): [] for name in SPECS for cores in (1, 2)}
    for name, body in SPECS.items():
        (folder / f"{name}.amon").write_text(f"probe bench {{ ingress xdp {{ {body} }} }}\n")
    for _ in range(rounds):
        for name, cores in runs:
            runs[name, cores].append(driver.ask("cores", folder / f"{name}.amon", cores, seconds))
    return runs


def spread(ratios):
    return f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=2, help="of one run")
    parser.add_argument("--quick", action="store_true", help="seconds in all: shows that it works")
    options = parser.parse_args()
    if options.quick:
        options.rounds, options.seconds = 1, 0.5
    driver = Driver(options.build.resolve() / "bench-windows-driver")
    with tempfile.TemporaryDirectory() as folder:
        runs = measure(driver, pathlib.Path(folder), options.seconds, options.rounds)
    print(f"{'spec':<9}{'CPUs':>5}{'packets':>12}{'not seen':>9}{'not in rows':>12}{'packets/s':>12}{'CPU ns/packet':>14}"
          f"  {'two by CPU time':<21}two by packets/s")
    for (name, cores), found in runs.items():
        rates, costs = [run[0] for run in found], [run[1] for run in found]
        line = (f"{name:<9}{cores:>5}{sum(int(run[2]) for run in found):>12}{sum(abs(int(run[3])) for run in found):>9}"
                f"{sum(abs(int(run[4])) for run in found):>12}{statistics.median(rates):>12.0f}{statistics.median(costs):>14.1f}")
        if cores == 2:
            one = runs[name, 1]
            line += (f"  {spread([2 * a[1] / b for a, b in zip(one, costs)]):<21}"
                     f"{spread([b / a[0] for a, b in zip(one, rates)])}")
        print(line)
    if any(run[3] or run[4] for found in runs.values() for run in found):
        sys.exit("packets were lost or doubled")


if __name__ == "__main__":
    main()
