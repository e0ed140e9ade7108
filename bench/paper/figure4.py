# SPDX-License-Identifier: Apache-2.0
"""Figure 4a: from a spec to counted packets, against BCC. Figure 4b: what reading often costs the packets."""
import os
import pathlib
import platform
import subprocess
import sys

from driver import Driver
from measure import ROOT, cell, in_turn, ratios, spread, table
import deploy
import plot
import windows

NAMES = {"amon": "amon", "snapshot": "amon, snapshot and reset", "bcc": "BCC, a map a feature", "bcc-record": "BCC, one record"}


def kernel_headers(folder):
    """BCC wants headers of the kernel that runs; where there are none, Debian's of any kernel do for these programs."""
    parts = sorted(pathlib.Path("/usr/src").glob("linux-headers-*-common"))[-1:]
    parts += sorted(pathlib.Path("/usr/src").glob(f"{parts[0].name.removesuffix('-common')}-*64"))[-1:] if parts else []
    if pathlib.Path(f"/lib/modules/{platform.release()}/build").exists() or len(parts) < 2:
        return {}
    for part in parts:  # Debian's two halves in one tree of links
        subprocess.check_call(["cp", "-rsf", f"{part}/.", folder / "headers"])
    return {"BCC_KERNEL_SOURCE": str(folder / "headers")}


class Bcc:
    """Debian's BCC, which belongs to Debian's Python, in a process of its own."""

    def __init__(self, folder):
        self.process = subprocess.Popen(["/usr/bin/python3", ROOT / "bench/paper/bcc_driver.py"], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                        env={**os.environ, **kernel_headers(folder)})
        self.here = self.process.stdout.readline().strip() == "ready"

    def why(self):
        return self.process.stderr.read().strip().splitlines()[-1]

    def ask(self, shape, features):
        print(shape, features, file=self.process.stdin, flush=True)
        line = self.process.stdout.readline()
        if not line:
            sys.exit(f"BCC: {self.why()}")
        return float(line)


def measure_live(run, driver, name, features):
    """Milliseconds from the text of a spec to a program that is attached."""
    path = run.folder / f"live-{name}-{features}.amon"
    path.write_text(deploy.spec(features, "snapshot; reset;" if name == "snapshot" else ""))
    return sum(driver.ask("live", path))


def compile_and_inject(run):
    driver, bcc = Driver(run.options.build / "bench-deploy-driver"), Bcc(run.folder)
    print("\nFigure 4a: milliseconds from a text to a program at the XDP hook of a veth; a feature has a condition of its own\n")
    if not bcc.here:
        print(f"  no BCC (Debian's packages python3-bpfcc and linux-headers-amd64): {bcc.why()}")
    names = [name for name in NAMES if bcc.here or not name.startswith("bcc")]
    counts = [1, 10, 60] if run.options.quick else [1, 10, 20, 40, 60, 100]
    results = {count: in_turn(names, run.options.compile_rounds,
                              lambda name: bcc.ask(name, count) if name.startswith("bcc") else measure_live(run, driver, name, count))
               for count in counts}
    table(("features", *(NAMES[name] for name in names), "snapshot / without", *(["BCC / amon"] if bcc.here else [])),
          [(count, *(cell(result[name]) for name in names), cell(ratios(result["snapshot"], result["amon"]), "{:.2f}"),
            *([cell(ratios(result["bcc-record"], result["amon"]), "{:.2f}")] if bcc.here else [])) for count, result in results.items()])
    print("  (a program may use 64 maps: of BCC's, those beyond 60 are made, and not used)\n")
    for count, result in results.items():
        run.goal(f"{count} features, with snapshot of without,", spread(ratios(result["snapshot"], result["amon"])), 1.25)
        if bcc.here:
            run.goal(f"{count} features, times as fast as BCC on equal C,", spread(ratios(result["bcc-record"], result["amon"])), 5, most=False)
    plot.draw(run.output / "figure4a.svg", "Fig. 4a: compile and inject", "features", "milliseconds",
              {NAMES[name]: [(count, *spread(result[name])) for count, result in results.items()] for name in names})


def reading_often(run):
    intervals = [100, 10, 1] if run.options.quick else [5000, 1000, 100, 10, 1]
    driver = Driver(run.options.build / "bench-windows-driver")
    runs = windows.measure(driver, run.folder, intervals, 1 if run.options.quick else 20, 1 if run.options.quick else 5)
    print("\nFigure 4b: what windows cost the packets, 25,000 sessions with Zipf's shares, live at XDP, by turns with and without\n"
          "  reads (± is the standard error)\n")
    windows.print_runs(runs)
    print()
    for (spec, interval), result in runs.items():
        low, cost, high = spread(result.ratios)
        error = result.error()
        if interval >= 10:
            run.goal(f"{spec}, a read each {interval:g} ms, share of the throughput,",
                     [cost - error, cost, cost + error], 0.0015, form="{:.4f}")
    lost = sum(result.lost for result in runs.values())
    run.goal("packets lost or counted twice,", [lost] * 3, 0, form="{:.0f}")
    plot.draw(run.output / "figure4b.svg", "Fig. 4b: what reading often costs", "ms between reads", "a packet's cost, of that without reads",
              {spec: [(interval, *[1 + value for value in spread(result.ratios)]) for (name, interval), result in sorted(runs.items(), key=lambda run: run[0][1]) if name == spec]
               for spec in windows.SPECS}, log_x=True)


def run_figure(run):
    compile_and_inject(run)
    reading_often(run)
