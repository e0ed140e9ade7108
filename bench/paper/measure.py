# SPDX-License-Identifier: Apache-2.0
"""What the figures have in common: the driver, programs by hand, spreads, goals."""
import math
import pathlib
import platform
import random
import statistics
import subprocess

from driver import Driver

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
ORDERS = {"alike": 1, "Zipf": 2}  # enum traffic_order


class Run:
    """What all figures share: options, the driver, a folder to write in, goals so far."""

    def __init__(self, options, folder):
        self.options, self.folder, self.output = options, folder, options.output
        self.driver = Driver(options.build / "bench-paper-driver")
        self.missed = []

    def load_amon(self, name, spec):
        path = self.folder / f"{name}.amon"
        path.write_text(spec)
        return self.driver.ask("amon", name, path)[0]

    def load_hand(self, name, source, rows=1, copies=1, **defines):
        path = self.folder / f"{name}.o"
        flags = [f"-D{key}" if value is True else f"-D{key}={value}" for key, value in defines.items() if value]
        subprocess.check_call(["clang-19", "-target", "bpf", "-mcpu=v3", "-O2", "-g", "-Wall", "-Werror", *flags,
                               f"-I/usr/include/{platform.machine()}-linux-gnu", "-c", ROOT / "bench/hand" / source, "-o", path])
        return self.driver.ask("hand", name, path, rows, copies)[0]

    def goal(self, what, value, bound, most=True, form="{:.2f}"):
        """Says whether the worse end of a spread meets a goal, and by how much it does not."""
        worse = value[2] if most else value[0]
        good = worse <= bound if most else worse >= bound
        verdict = "met" if good else f"missed by {form.format(abs(worse - bound))}"
        print(f"  goal: {what} {'at most' if most else 'at least'} {form.format(bound)}: {form.format(value[1])} "
              f"({form.format(value[0])} to {form.format(value[2])}), {verdict}")
        if not good:
            self.missed.append(what)


def spread(values):
    """Lower quartile, median, upper quartile of what is a number."""
    values = [value for value in values if math.isfinite(value)]
    if len(values) < 2:
        return (values * 3)[:3] if values else [math.nan] * 3
    return statistics.quantiles(values, n=4, method="inclusive")


def in_turn(names, rounds, measure):
    """Measures each name once a round, in an order that is drawn anew, after a round that does not count."""
    results = {name: [] for name in names}
    for number in range(rounds + 1):
        order = list(names)
        random.shuffle(order)
        for name in order:
            result = measure(name)
            if number:
                results[name].append(result)
    return results


def above(costs, base):
    """Of each round, what one costs above another."""
    return [a - b for a, b in zip(costs, base)]


def ratios(a, b):
    return [x / y if y else math.nan for x, y in zip(a, b)]


def cell(values, form="{:.1f}"):
    low, middle, high = spread(values)
    return f"{form.format(middle)} ({form.format(low)} to {form.format(high)})"


def table(head, rows):
    widths = [max(len(str(row[i])) for row in [head, *rows]) for i in range(len(head))]
    for row in [head, *rows]:
        print("  " + "  ".join(str(word).ljust(width) if i == 0 else str(word).rjust(width)
                               for i, (word, width) in enumerate(zip(row, widths))).rstrip())


def machine():
    cpu = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), platform.machine())
    load = open("/proc/loadavg").read().split()[0]
    return f"Linux {platform.release()}, {platform.machine()}, {cpu}; load when it began {load}"
