// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * What stands between a hook and the probes' own programs:
 *
 *   XDP  amon_root ─first─▶ gate ─next─▶ the next probe's gate, …
 *   TC   gate
 *
 * A gate calls the clone that the probe's control names, from a slot of its own, and goes on when that returns. Where
 * windows are short it announces that its CPU is inside, so that a reader need not wait for a grace period.
 *
 * Every arrow is a one-slot program array. The slots of a gate are held by the probe's process, or pinned: where they
 * go, the kernel empties them, and the gate lets packets pass on.
 */
#include <linux/bpf.h>
#include <linux/pkt_cls.h>

#include <bpf/bpf_helpers.h>

#include "runtime/bpf/control.h"

struct slot {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
};
struct slot amon_first SEC(".maps"), amon_next SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, AMON_SLOTS);
	__type(key, __u32);
	__type(value, __u32);
} amon_slots SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1); /* the probe's own map has one more for each CPU */
	__uint(key_size, sizeof(__u32));
	__uint(value_size, AMON_CONTROL_SIZE);
} amon_control SEC(".maps");

const volatile __u32 amon_announces;

/* An addition that is ordered with all around it, on every machine: plain ones are not on arm64. */
static __always_inline __u64 add_ordered(__u64 *word, __u64 value)
{
	asm volatile("%0 = atomic_fetch_add((u64 *)(%1 + 0), %0)" : "+r"(value) : "r"(word) : "memory");
	return value;
}

/* The CPU is inside from here on; NULL where it announces nothing. */
static __always_inline struct amon_inside *enter(void)
{
	__u32 entry = 1 + bpf_get_smp_processor_id();
	struct amon_inside *inside = bpf_map_lookup_elem(&amon_control, &entry);

	if (inside)
		add_ordered(&inside->word, 1);
	return inside;
}

/* Those who interrupt have left before those whom they interrupted, so the depth is this program's own. */
static __always_inline void leave(struct amon_inside *inside)
{
	__u32 depth = *(volatile __u64 *)&inside->word;

	add_ordered(&inside->word, depth == 1 ? (1ULL << 32) - 1 : -1ULL);
}

/* Each tail call is a direct jump. The caller goes on behind it. */
static __always_inline void call_clone(void *ctx)
{
	__u32 entry = 0;
	const volatile struct amon_control *control = bpf_map_lookup_elem(&amon_control, &entry);

	switch (control ? control->state & (AMON_SLOTS - 1) : 0) {
	case 0:
		bpf_tail_call_static(ctx, &amon_slots, 0);
		break;
	case 1:
		bpf_tail_call_static(ctx, &amon_slots, 1);
		break;
	case 2:
		bpf_tail_call_static(ctx, &amon_slots, 2);
		break;
	case 3:
		bpf_tail_call_static(ctx, &amon_slots, 3);
		break;
	}
}

static __noinline int run_xdp(struct xdp_md *xdp)
{
	call_clone(xdp);
	return 0;
}

static __noinline int run_tc(struct __sk_buff *skb)
{
	call_clone(skb);
	return 0;
}

SEC("xdp.frags")
int amon_root(struct xdp_md *xdp)
{
	bpf_tail_call_static(xdp, &amon_first, 0);
	return XDP_PASS;
}

SEC("xdp.frags")
int amon_gate_xdp(struct xdp_md *xdp)
{
	struct amon_inside *inside = amon_announces ? enter() : NULL;

	run_xdp(xdp);
	if (inside)
		leave(inside);
	bpf_tail_call_static(xdp, &amon_next, 0);
	return XDP_PASS;
}

SEC("tc")
int amon_gate_tc(struct __sk_buff *skb)
{
	struct amon_inside *inside = amon_announces ? enter() : NULL;

	run_tc(skb);
	if (inside)
		leave(inside);
	return TC_ACT_UNSPEC;
}

char license_text[] SEC("license") = "Dual BSD/GPL";
