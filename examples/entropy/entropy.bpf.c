/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The entropy of IPv4 sources, in one pass: H = log2(N) - sum(n * log2(n)) / N over the packets n of each source. A
 * packet changes one term of the sum, so that the sum is kept up to date by differences; the spec does the rest.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/ip.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

/* Logarithms have so many bits behind the point. */
#define FRACTION 16

struct total {
	__u64 packets;
	__u64 weighted; /* n * log2(n), times 2^FRACTION */
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 65536);
	__type(key, __be32);
	__type(value, __u64);
} SOURCES SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct total);
} TOTAL SEC(".maps");

/* Of 1 to 2^32 - 1, rounded down: the whole part, then a bit for each squaring. */
static __u64 log2_fixed(__u64 n)
{
	__u64 whole = 0, result;

	for (int shift = 16; shift; shift /= 2)
		if (n >> (whole + shift))
			whole += shift;
	n = n << (31 - whole); /* 1 to below 2, with 31 bits behind the point */
	result = whole;
	for (int i = 0; i < FRACTION; i++) {
		n = n * n >> 31;
		result = result << 1 | n >> 32;
		n >>= n >> 32;
	}
	return result;
}

int amon_packet(struct __sk_buff *skb)
{
	void *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
	struct ethhdr *eth = data;
	struct iphdr *ip = (void *)(eth + 1);
	__u64 none = 0, before, *count;
	struct total *total;
	__u32 zero = 0;

	if ((void *)(ip + 1) > end || eth->h_proto != bpf_htons(ETH_P_IP))
		return 0;
	bpf_map_update_elem(&SOURCES, &ip->saddr, &none, BPF_NOEXIST);
	count = bpf_map_lookup_elem(&SOURCES, &ip->saddr);
	total = bpf_map_lookup_elem(&TOTAL, &zero);
	if (!count || !total)
		return 0;
	before = __sync_fetch_and_add(count, 1) & 0xffffffff;
	total->packets++;
	total->weighted += (before + 1) * log2_fixed(before + 1);
	if (before)
		total->weighted -= before * log2_fixed(before);
	return 0;
}
