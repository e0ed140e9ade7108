#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""From a spec to counted packets, step by step, and how much longer it takes when all is read at one instant.

  deploy.py [--build DIR] [--rounds N] [--features N,N,…] [--quick]

Needs the target bench-deploy-driver and root. A feature is a metric with a condition of its own. Each round takes each
size once without and once with `snapshot reset`, which loads the object twice (what the second clone takes is
the difference), and puts such a probe in the place of one that has a feature less. Medians and quartiles in
milliseconds; ratios of the same round.
"""
import argparse
import pathlib
import statistics
import tempfile

from driver import Driver

ROOT = pathlib.Path(__file__).resolve().parent.parent
GOAL = 1.25  # with snapshot, of without


def spec(features, timing):
    body = "\n".join(f"        metric m{i} = sum(frame.len) where tcp.dstport == {1000 + i};" for i in range(features))
    return f"probe bench {{\n    {timing}\n    ingress xdp {{\n{body}\n    }}\n}}\n"


def one_round(driver, folder, size):
    """Milliseconds by the name of the step."""
    once, twice, before = (folder / f"{name}{size}.amon" for name in ("once", "twice", "before"))
    compile_once, load_once, attach_once = driver.ask("live", once)
    compile_twice, load_twice, attach_twice = driver.ask("live", twice)
    recompile, replace = driver.ask("replace", before, twice)
    return {
        "compile": compile_once,
        "load": load_once,
        "attach": attach_once,
        "spec to live": compile_once + load_once + attach_once,
        "compile, snapshot": compile_twice,
        "load the other clone": load_twice - load_once,
        "attach, snapshot": attach_twice,
        "spec to live, snapshot": compile_twice + load_twice + attach_twice,
        "take another's place": replace,
        "spec to replaced, snapshot": recompile + replace,
    }


def write_specs(folder, size):
    (folder / f"once{size}.amon").write_text(spec(size, ""))
    (folder / f"twice{size}.amon").write_text(spec(size, "snapshot; reset;"))
    (folder / f"before{size}.amon").write_text(spec(max(size - 1, 1), "snapshot; reset;"))


def verdict(step, ratio):
    if step != "spec to live, snapshot":
        return ""
    return f"goal {GOAL}: {'met' if ratio <= GOAL else 'missed'}"


def print_table(rounds, sizes):
    print(f"{'features':>8}  {'step':<28}{'median':>8}  {'quartiles':<17}{'of spec to live':>16}")
    for size in sizes:
        for step in rounds[size][0]:
            took = [times[step] for times in rounds[size]]
            low, median, high = statistics.quantiles(took, n=4)
            ratio = statistics.median(times[step] / times["spec to live"] for times in rounds[size])
            print(f"{size:>8}  {step:<28}{median:>8.2f}  {f'{low:.2f} to {high:.2f}':<17}{ratio:>16.2f}  {verdict(step, ratio)}".rstrip())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--features", default="1,10,100")
    parser.add_argument("--quick", action="store_true", help="seconds in all: shows that it works")
    options = parser.parse_args()
    if options.quick:
        options.rounds, options.features = 3, "1,10"
    sizes = [int(size) for size in options.features.split(",")]
    driver = Driver(options.build.resolve() / "bench-deploy-driver")
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        for size in sizes:
            write_specs(folder, size)
            one_round(driver, folder, size)  # the first compilation opens the module, and is not measured
        rounds = {size: [] for size in sizes}
        for _ in range(options.rounds):
            for size in sizes:
                rounds[size].append(one_round(driver, folder, size))
    print_table(rounds, sizes)


if __name__ == "__main__":
    main()
