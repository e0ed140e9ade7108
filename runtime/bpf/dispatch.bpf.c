// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * What stands between a hook and the probes' own programs:
 *
 *   XDP  amon_root ─first─▶ amon_gate_xdp ─slot─▶ the probe's program ─next─▶ the next probe's gate, …
 *   TC   amon_gate_tc ─slot─▶ the probe's program
 *
 * Every arrow is a one-slot program array. Only the probe's process holds its `slot`, so the kernel empties it when the
 * process dies, and the gate lets packets pass on.
 */
#include <linux/bpf.h>
#include <linux/pkt_cls.h>

#include <bpf/bpf_helpers.h>

struct slot {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
};
struct slot amon_first SEC(".maps"), amon_slot SEC(".maps");
struct slot amon_next SEC(".maps"); /* the probe's own map */

SEC("xdp.frags")
int amon_root(struct xdp_md *xdp)
{
	bpf_tail_call_static(xdp, &amon_first, 0);
	return XDP_PASS;
}

SEC("xdp.frags")
int amon_gate_xdp(struct xdp_md *xdp)
{
	bpf_tail_call_static(xdp, &amon_slot, 0);
	bpf_tail_call_static(xdp, &amon_next, 0);
	return XDP_PASS;
}

SEC("tc")
int amon_gate_tc(struct __sk_buff *skb)
{
	bpf_tail_call_static(skb, &amon_slot, 0);
	return TC_ACT_UNSPEC;
}

char license_text[] SEC("license") = "Dual BSD/GPL";
