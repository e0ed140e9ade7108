#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What keys that all hash alike cost a packet, were the seed known, against random ones.

  flood.py [--build DIR] [--rounds N] [--quick]

Needs root. The seed is drawn when a probe is loaded; for replays, and so for `amonc explain --measure`, it is always the one that
stands in the C, and keys that collide under it are made from it here. They are 20,000 IPv6 addresses, a packet each; all but
32 of the colliding ones find no slot, and lie in the hash that all CPUs share. The cost is that of the table, as explain
--measure tells it; the two captures take turns.
"""
import argparse
import json
import pathlib
import random
import re
import statistics
import struct
import subprocess
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
SPEC = "metric packets = count(); table hosts by ipv6.src size 64Ki { metric packets = count(); }"
KEYS = 20000
LOW = 0xffffffff


def random_keys(_):
    draw = random.Random(1)
    return [draw.randbytes(16) for _ in range(KEYS)]


def colliding_keys(seed):
    """A word's product is its halves plus the seed's, multiplied: with the first of them 1, it is what we like."""
    first, second = seed[:2]
    return [struct.pack("<4I", (1 - first) & LOW, (number - (first >> 32)) & LOW, (1 - second) & LOW, (KEYS - number - (second >> 32)) & LOW)
            for number in range(KEYS)]


def write_capture(path, keys):
    with path.open("wb") as file:
        file.write(struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 65535, 1))
        for key in keys:
            frame = bytes(12) + b"\x86\xdd\x60" + bytes(5) + b"\x3b\x40" + key + bytes(16)
            file.write(struct.pack("<IIII", 0, 0, len(frame), len(frame)) + frame)


def measure(amonc, capture):
    done = subprocess.run([amonc, "explain", "--measure", "-f", "json", "-e", SPEC, capture], capture_output=True, check=True)
    return next(feature for feature in json.loads(done.stdout)["features"] if feature["kind"] == "table")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="seconds in all: shows that it works")
    options = parser.parse_args()
    amonc = options.build.resolve() / "amonc"
    c = subprocess.run([amonc, "emit", "-e", SPEC], capture_output=True, check=True, text=True).stdout
    seed = [int(word, 16) for word in re.findall("0x[0-9a-f]+", re.search(r"amon_seed\[8\] = \{(.*?)\}", c, re.S)[1])]
    kinds = {"random": random_keys(seed), "colliding": colliding_keys(seed)}
    found = {kind: [] for kind in kinds}
    with tempfile.TemporaryDirectory() as folder:
        for kind, keys in kinds.items():
            write_capture(pathlib.Path(folder) / kind, keys)
        for _ in range(1 if options.quick else options.rounds):
            for kind in kinds:
                found[kind].append(measure(amonc, pathlib.Path(folder) / kind))
    print(f"{'keys':<12}{'look-ups':>9}{'ns a packet':>13}{'lowest':>9}{'highest':>9}{'times':>7}")
    costs = {kind: [feature["nanoseconds"]["median"] for feature in features] for kind, features in found.items()}
    for kind, features in found.items():
        ratio = statistics.median(one / other for one, other in zip(costs[kind], costs["random"]))
        print(f"{kind:<12}{features[0]['lookups']:>9.2f}{statistics.median(costs[kind]):>13.1f}{min(costs[kind]):>9.1f}"
              f"{max(costs[kind]):>9.1f}{ratio:>7.2f}")


if __name__ == "__main__":
    main()
