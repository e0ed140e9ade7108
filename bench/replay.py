#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""How fast a replay is: packets a second of `amonc replay`, reading and start included, beside a system call a packet.

  replay.py [--build DIR] [--packets N] [--rounds N]

Both run the same built object over the same capture, one after the other in each round; medians, one line a hook.
"""
import argparse
import json
import pathlib
import statistics
import struct
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests/tools"))
import packets as make  # noqa: E402

SPEC = """probe bench {
    %s {
        metric packets = count();
        metric bytes = sum(frame.len);
        table flows by net.src, net.dst, net.proto, l4.srcport, l4.dstport {
            metric packets = count();
            metric bytes = sum(frame.len);
        }
    }
}
"""


def write_capture(path, count, flows=1000):
    """Packets of 60 to 550 bytes, 304 in the mean, of so many flows."""
    frames = [make.eth(make.IPV4, make.ip4(make.TCP, make.tcp(1024 + i, 80, bytes(6 + i * 491 // flows))))
              for i in range(flows)]
    with open(path, "wb") as out:
        out.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262144, 1))
        for i in range(count):
            frame = frames[i * 7 % flows]
            out.write(struct.pack("<IIII", i // 1000000, i % 1000000, len(frame), len(frame)) + frame)


def compile_rival(to):
    flags = subprocess.check_output(["pkg-config", "--cflags", "--libs", "libbpf", "libpcap"], text=True).split()
    sources = [ROOT / "bench/replay_calls.c", ROOT / "runtime/capture.c", ROOT / "runtime/blocks.c", ROOT / "runtime/failure.c"]
    subprocess.check_call(["cc", "-O2", "-D_GNU_SOURCE", f"-I{ROOT}", "-o", to, *sources, *flags])


def replay(amonc, program, capture, count):
    start = time.monotonic()
    output = subprocess.check_output([amonc, "replay", "-f", "json", program, capture], text=True)
    took = time.monotonic() - start
    seen = next(section["ledger"]["seen"]["packets"] for section in json.loads(output).values()
                if isinstance(section, dict) and "ledger" in section)
    if seen != count:
        sys.exit(f"amonc saw {seen} packets of {count}")
    return took


def calls(rival, program, capture, count):
    took, seen = subprocess.check_output([rival, program, capture], text=True).split()
    if int(seen) != count:
        sys.exit(f"the rival saw {seen} packets of {count}")
    return float(took)


def measure(hook, options, directory, capture):
    amonc, rival = options.build / "amonc", directory / "calls"
    spec, program = directory / "bench.amon", directory / "bench.o"
    spec.write_text(SPEC % hook)
    subprocess.check_call([amonc, "build", spec, "-o", program])
    took = [(replay(amonc, program, capture, options.packets), calls(rival, program, capture, options.packets))
            for _ in range(options.rounds)]
    ours, theirs = (options.packets / statistics.median(column) for column in zip(*took))
    print(f"{hook:12} {ours:12,.0f} {theirs:12,.0f} {ours / theirs:8.1f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build")
    parser.add_argument("--packets", type=int, default=1000000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        directory = pathlib.Path(name)
        capture = directory / "bench.pcap"
        write_capture(capture, options.packets)
        compile_rival(directory / "calls")
        print(f"{'hook':12} {'replay/s':>12} {'calls/s':>12} {'ratio':>8}")
        for hook in ("ingress xdp", "ingress tc"):
            measure(hook, options, directory, capture)


if __name__ == "__main__":
    main()
