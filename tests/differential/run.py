#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""All specs of specs/ over all captures of packets.py, at XDP and at TC: the product against the interpreter.

  run.py AMONC [--spec PATTERN] [--capture NAME]... [--extra FILE]... [--random N] [--memory N] [--seed S] [--keep DIR]

--extra adds a capture; --random adds N specs of generate.py, from seed S on, and --memory N that need memory. The last line is
`N passed, M failed`.
"""
import argparse
import concurrent.futures
import fnmatch
import os
import re
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "tools"))
import packets  # noqa: E402
from capture import read_capture  # noqa: E402
from compare import ProductRefused, Refused, compare  # noqa: E402
from generate import generate  # noqa: E402

SHOWN = 6
HEAD = re.compile(r"\bingress(?:\s+(?:xdp(?:\s+(?:native|generic))?|tc))?(?=\s*[{,]|\s+as\b)")


def variants(text):
    """The spec at XDP and at TC, once where it has no ingress hook; comments are left alone."""
    lines = text.split("\n")

    def at(hook):
        return "\n".join(line if line.lstrip().startswith("#") else HEAD.sub(f"ingress {hook}", line) for line in lines)
    return {"xdp": at("xdp"), "tc": at("tc")} if at("xdp") != at("tc") else {"tc": text}


def written(folder, pattern):
    """(name, text) of each spec of a folder."""
    for name in sorted(os.listdir(folder)):
        if name.endswith(".amon") and fnmatch.fnmatch(name, pattern):
            with open(os.path.join(folder, name), encoding="utf-8") as file:
                yield name[:-5], file.read()


def specs(options):
    """(name, text) of each spec."""
    folder, seeds = os.path.join(HERE, "specs"), range(options.seed, options.seed + max(options.random, options.memory))
    yield from written(folder, options.spec)
    yield from ((f"random{seed}", generate(seed)) for seed in seeds[:options.random])
    yield from written(os.path.join(folder, "memory"), options.spec)
    yield from ((f"memory{seed}", generate(seed, memory=True)) for seed in seeds[:options.memory])


def defines_of(text):
    """`# -D NAME=VALUE` in a spec's comments: run with that."""
    return re.findall(r"^# -D (\S+)", text, re.M)


def over_captures(amonc, path, name, traces):
    """Compares a spec over each capture: a list of differences for each; what is refused is said once, not for each."""
    with open(path, encoding="utf-8") as file:
        defines = defines_of(file.read())
    results, refused = {}, None
    for trace, trace_path in traces.items():
        try:
            results[trace] = refused or compare(amonc, path, trace_path, defines, read_capture(trace_path))
        except Refused as error:
            refused = results[trace] = [f"the interpreter does not know it: {error}"]
        except ProductRefused as error:
            if name.startswith(("random", "memory")) and "a key is no constant" in str(error):
                break  # chance made a key that the product folds: no spec to compare
            refused = results[trace] = [f"the product refuses it: {error}"]
        except subprocess.TimeoutExpired:
            results[trace] = ["the product did not end"]
    return results


def write_specs(options, folder):
    """(name, hook, path) of each spec at each hook."""
    for name, text in specs(options):
        for hook, changed in variants(text).items():
            path = os.path.join(folder, f"{name}.{hook}.amon")
            with open(path, "w", encoding="utf-8") as file:
                file.write(changed)
            yield name, hook, path


def main():
    ask = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ask.add_argument("amonc")
    ask.add_argument("--spec", default="*.amon")
    ask.add_argument("--capture", action="append", choices=list(packets.CAPTURES))
    ask.add_argument("--extra", action="append", default=[])
    ask.add_argument("--random", type=int, default=0)
    ask.add_argument("--memory", type=int, default=0)
    ask.add_argument("--seed", type=int, default=1)
    ask.add_argument("--keep", metavar="DIR", help="leave specs and captures there")
    options = ask.parse_args()
    passed = failed = 0
    with tempfile.TemporaryDirectory() as temporary, concurrent.futures.ProcessPoolExecutor() as pool:
        folder = options.keep or temporary
        os.makedirs(folder, exist_ok=True)
        traces = {}
        for name in options.capture or packets.CAPTURES:
            traces[name] = os.path.join(folder, f"{name}.pcap")
            packets.write_capture(name, traces[name])
        traces |= {os.path.basename(path): path for path in options.extra}
        running = [(name, hook, pool.submit(over_captures, options.amonc, path, name, traces))
                   for name, hook, path in write_specs(options, folder)]
        for name, hook, result in running:
            for trace, differences in result.result().items():
                passed, failed = passed + (not differences), failed + bool(differences)
                if differences:
                    print(f"FAIL {name} at {hook} over {trace}: {len(differences)} differences")
                    print("".join(f"  {line}\n" for line in differences[:SHOWN]), end="", flush=True)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
