// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Test runs of a program alone: each time this one writes the next session of a list that user space has made into the
 * frame, and calls the program that is in its slot.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/pkt_cls.h>
#include <linux/tcp.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "bench/paper/harness.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct harness);
} harness_list SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} harness_xdp SEC(".maps"), harness_tc SEC(".maps");

struct frame {
	struct ethhdr ethernet;
	struct iphdr ip;
	struct tcphdr tcp;
} __attribute__((packed));

static __always_inline void next_session(struct frame *frame, void *end)
{
	__u32 zero = 0, session;
	struct harness *harness = bpf_map_lookup_elem(&harness_list, &zero);

	if (!harness || (void *)(frame + 1) > end)
		return;
	session = harness->sessions[harness->next++ % HARNESS_SESSIONS];
	frame->ip.saddr = bpf_htonl(0x0a000000 + session);
	frame->tcp.source = bpf_htons(1024 + session % 50000);
}

SEC("xdp.frags")
int run_xdp(struct xdp_md *xdp)
{
	next_session((void *)(long)xdp->data, (void *)(long)xdp->data_end);
	bpf_tail_call_static(xdp, &harness_xdp, 0);
	return XDP_PASS;
}

SEC("tc")
int run_tc(struct __sk_buff *skb)
{
	next_session((void *)(long)skb->data, (void *)(long)skb->data_end);
	bpf_tail_call_static(skb, &harness_tc, 0);
	return TC_ACT_UNSPEC;
}

char license_text[] SEC("license") = "Dual BSD/GPL";
