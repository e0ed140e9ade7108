// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * A generator of packets: each live frame of a test run becomes the next TCP SYN of a number of sessions and goes out of
 * an interface. It counts what it sent, so that a probe behind the interface can be held against it. What has
 * arrived there is counted too, so that no more is on its way than the interface has room for: on kernels up to 6.4
 * it may leave its packets lying for a while. And a mirror, which sends what comes in out of the same interface again.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/pkt_cls.h>
#include <linux/tcp.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "tests/kernel/traffic.h"

struct traffic_shared traffic;

/* Sent of each session: the user makes it as large as there are sessions. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} traffic_sessions SEC(".maps");

/* Sessions by their share of all packets. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, TRAFFIC_SHARES);
	__type(key, __u32);
	__type(value, __u64);
} traffic_shares SEC(".maps");

struct frame {
	struct ethhdr ethernet;
	struct iphdr ip;
	struct tcphdr tcp;
} __attribute__((packed));

/* Marsaglia's xorshift64 */
static __always_inline __u64 next_random(void)
{
	__u64 x = traffic.random;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	traffic.random = x;
	return x;
}

static __always_inline __u32 next_session(__u64 number)
{
	__u32 share;
	__u64 *session;

	if (traffic.order == TRAFFIC_IN_TURN)
		return number % traffic.sessions;
	if (traffic.order == TRAFFIC_SHUFFLED)
		return next_random() % traffic.sessions;
	share = next_random() % TRAFFIC_SHARES;
	session = bpf_map_lookup_elem(&traffic_shares, &share);
	return session ? *session : 0;
}

SEC("xdp.frags")
int generate(struct xdp_md *xdp)
{
	struct frame *frame = (void *)(long)xdp->data;
	__u64 number = traffic.sent, *count;
	__u32 session;

	if ((void *)(frame + 1) > (void *)(long)xdp->data_end ||
	    (traffic.paced && number - *(volatile __u64 *)&traffic.arrived >= TRAFFIC_ROOM))
		return XDP_DROP;
	session = next_session(number);
	count = bpf_map_lookup_elem(&traffic_sessions, &session);
	if (!count)
		return XDP_DROP;
	*count += 1;
	frame->ip.saddr = bpf_htonl(0x0a000000 + session);
	frame->tcp.source = bpf_htons(1024 + session % 50000);
	traffic.sent = number + 1;
	return bpf_redirect(traffic.ifindex, 0);
}

/* Packets of this generator are known by the sender's address. */
SEC("tc")
int arrive(struct __sk_buff *skb)
{
	struct ethhdr *ethernet = (void *)(long)skb->data;

	if ((void *)(ethernet + 1) > (void *)(long)skb->data_end)
		return TC_ACT_UNSPEC;
	if (ethernet->h_source[4] == traffic.id >> 8 && ethernet->h_source[5] == (traffic.id & 0xff))
		__sync_fetch_and_add(&traffic.arrived, 1);
	return TC_ACT_UNSPEC;
}

SEC("tc")
int mirror(struct __sk_buff *skb)
{
	return bpf_redirect(skb->ifindex, 0);
}

char license_text[] SEC("license") = "Dual BSD/GPL";
