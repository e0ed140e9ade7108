# SPDX-License-Identifier: Apache-2.0
"""Compiles and attaches with BCC: reads lines "SHAPE FEATURES" and answers each with milliseconds. Says "ready" first.

The C does what amon's does for the same features (bench/deploy.py), by itself, in a record (bcc-record) or with a map for each
(bcc), which is how BCC's programs are written. Needs Debian's python3-bpfcc, and so Debian's Python.
"""
import ctypes
import os
import sys
import time

from bcc import BPF

HEAD = """
#include <uapi/linux/bpf.h>
#include <uapi/linux/if_ether.h>
#include <uapi/linux/in.h>
#include <uapi/linux/ip.h>
#include <uapi/linux/tcp.h>
"""
BODY = """
int monitor(struct xdp_md *ctx)
{
	void *end = (void *)(long)ctx->data_end;
	struct ethhdr *ethernet = (void *)(long)ctx->data;
	struct iphdr *ip = (void *)(ethernet + 1);
	struct tcphdr *tcp;
	u64 length = ctx->data_end - ctx->data;
	u32 zero = 0;

	if ((void *)(ip + 1) > end || ethernet->h_proto != htons(ETH_P_IP) || ip->protocol != IPPROTO_TCP)
		return XDP_PASS;
	tcp = (void *)ip + ip->ihl * 4;
	if ((void *)(tcp + 1) > end)
		return XDP_PASS;
%s	return XDP_PASS;
}
"""
MAPS = 60  # that a program uses


def with_maps(features):
    maps = "".join(f"BPF_ARRAY(m{i}, u64, 1);\n" for i in range(features))
    updates = "".join(f"\tif (tcp->dest == htons({1000 + i})) {{\n\t\tu64 *value = m{i}.lookup(&zero);\n\t\tif (value)\n\t\t\t*value += length;\n\t}}\n"
                      for i in range(min(features, MAPS)))
    return HEAD + maps + BODY % updates


def with_record(features):
    members = "".join(f"\tu64 m{i};\n" for i in range(features))
    updates = "".join(f"\tif (tcp->dest == htons({1000 + i}))\n\t\trecord->m{i} += length;\n" for i in range(features))
    return (HEAD + f"struct record {{\n{members}}};\nBPF_PERCPU_ARRAY(records, struct record, 1);\n"
            + BODY % f"\tstruct record *record = records.lookup(&zero);\n\tif (!record)\n\t\treturn XDP_PASS;\n{updates}")


def measure(text):
    start = time.monotonic()
    program = BPF(text=text)
    function = program.load_func("monitor", BPF.XDP)
    program.attach_xdp("v0", function, 0)
    took = (time.monotonic() - start) * 1e3
    program.remove_xdp("v0", 0)
    program.cleanup()
    return took


def network():
    """A veth pair in a network of its own."""
    if ctypes.CDLL(None, use_errno=True).unshare(0x40000000):
        raise OSError(ctypes.get_errno(), "no network of its own")
    if os.system("ip link add v0 type veth peer name v1 && ip link set v0 up && ip link set v1 up"):
        raise OSError("no veth pair")


network()
measure(with_maps(1))
print("ready", flush=True)
for line in sys.stdin:
    shape, count = line.split()
    print(measure((with_maps if shape == "bcc" else with_record)(int(count))), flush=True)
