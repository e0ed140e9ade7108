# SPDX-License-Identifier: Apache-2.0
"""Figure 5: reading and emptying 1 to 1,000,000 entries, one by one, in batches, and a table of amon's."""
from driver import Driver
from measure import cell, in_turn, ratios, spread, table
import plot
import read

NAMES = {
    "each": "HASH, one by one",
    "batch": "HASH, batches",
    "percpu-each": "PERCPU_HASH, one by one",
    "percpu-batch": "PERCPU_HASH, batches",
    "amon": "amon's table, merged and sorted",
}


class Ways:
    """Each takes the rows out and leaves the map empty; milliseconds."""

    def __init__(self, run):
        self.maps = Driver(run.options.build / "bench-read-driver")
        self.drain = Driver(run.options.build / "bench-windows-driver")
        self.spec = run.folder / "drain.amon"
        self.spec.write_text(read.SPEC)

    def measure(self, way, size):
        if way == "amon":
            rows, reading, emptying = self.drain.ask("drain", self.spec, size)
            if rows != size:
                raise SystemExit(f"{rows:.0f} rows of {size}")
            return reading + emptying
        kind, how = "percpu-hash" if way.startswith("percpu") else "hash", way.split("-")[-1]
        if how == "batch":
            return self.maps.ask(kind, "empty-batch", size)[0]  # reads as it empties
        return self.maps.ask(kind, "each", size)[0] + self.maps.ask(kind, "empty-each", size)[0]


def run_figure(run):
    ways = Ways(run)
    sizes = [1, 100, 10000, 100000] if run.options.quick else [10 ** i for i in range(7)]
    results = {size: in_turn(NAMES, run.options.read_rounds, lambda way: ways.measure(way, size)) for size in sizes}
    print("\nFigure 5: milliseconds of CPU until all entries are in user space and the map is empty; keys of 16 bytes (amon: 8),\n"
          "  values of 48 (amon: 16); amon's from the cut of a window on, rows of both CPUs merged and in order\n")
    table(("entries", *NAMES.values(), "one by one / amon", "batches / amon"),
          [(size, *(cell(result[way], "{:.3f}") for way in NAMES), cell(ratios(result["each"], result["amon"])),
            cell(ratios(result["batch"], result["amon"]))) for size, result in results.items()])
    print()
    for size, result in results.items():
        run.goal(f"{size:,} entries, one by one over amon,", spread(ratios(result["each"], result["amon"])), 20, most=False, form="{:.1f}")
        if size >= 10000:
            run.goal(f"{size:,} entries, batches over amon,", spread(ratios(result["batch"], result["amon"])), 10, most=False, form="{:.1f}")
    plot.draw(run.output / "figure5.svg", "Fig. 5: reading and emptying", "entries", "milliseconds of CPU",
              {name: [(size, *spread(result[way])) for size, result in results.items()] for way, name in NAMES.items()},
              log_x=True, log_y=True)
