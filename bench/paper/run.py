#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The figures of the paper, with rivals beside amon: each a table, an SVG, and whether its goals are met.

  run.py [--figure N,N,…] [--quick] [--build DIR] [--output DIR] [--rounds N] …

Figures: 4 (compiling and injecting; reading often), 5 (reading), 6 (features), 7 (NetFlow v9). Needs root, clang-19, two
CPUs, the targets bench-paper-driver, bench-deploy-driver, bench-read-driver and bench-windows-driver; rivals that are
not installed are named and left out. All that is compared takes turns within one run, in an order that is drawn anew
each round; times are of CPU (of compiling, by the clock), so that others who have the machine in between do not count,
and what a ratio is made of comes from one round. Tables have medians and quartiles; a goal is met when the worse
quartile meets it. README.md beside this file says more.

Traffic: TCP SYNs of 60 bytes. "Alone" are test runs (BPF_PROG_RUN with repeat) behind a program that writes the next
session into the frame; the same without a program to measure is subtracted. "Live" they come from live frames on one
core, over a veth pair, and are dropped behind the program.
"""
import argparse
import importlib
import pathlib
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]
from measure import ROOT, Run, machine  # noqa: E402

FIGURES = ("4", "5", "6", "7")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--figure", default=",".join(FIGURES))
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build")
    parser.add_argument("--output", type=pathlib.Path, help="where the SVGs go (DIR/paper of --build)")
    parser.add_argument("--rounds", type=int, default=9, help="test runs of each program")
    parser.add_argument("--packets", type=int, default=5000000, help="of a test run: about what comes in a second")
    parser.add_argument("--live-rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3, help="of a live run")
    parser.add_argument("--compile-rounds", type=int, default=9)
    parser.add_argument("--read-rounds", type=int, default=7)
    parser.add_argument("--peer-rounds", type=int, default=3)
    parser.add_argument("--peer-seconds", type=float, default=10)
    parser.add_argument("--features", type=lambda words: [int(word) for word in words.split(",")], help="of figures 6 and 7")
    parser.add_argument("--quick", action="store_true", help="a few minutes in all: shows that it works")
    options = parser.parse_args()
    if options.quick:
        options.rounds, options.packets, options.live_rounds, options.seconds = 3, 1000000, 2, 1
        options.compile_rounds = options.read_rounds = 3
        options.peer_rounds, options.peer_seconds = 1, 4
    options.build = options.build.resolve()
    options.output = options.output or options.build / "paper"
    return options


def main():
    options = arguments()
    figures = options.figure.split(",")
    unknown = [figure for figure in figures if figure not in FIGURES]
    if unknown:
        sys.exit(f"no figure {', '.join(unknown)}: there are {', '.join(FIGURES)}")
    options.output.mkdir(parents=True, exist_ok=True)
    print(machine())
    with tempfile.TemporaryDirectory() as folder:
        run = Run(options, pathlib.Path(folder))
        for figure in figures:
            importlib.import_module(f"figure{figure}").run_figure(run)
    print(f"\nplots: {options.output}")
    if run.missed:
        print(f"{len(run.missed)} goals missed")


if __name__ == "__main__":
    main()
