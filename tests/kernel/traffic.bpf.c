// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * A generator of packets: each live frame of a test run becomes the next TCP SYN of a number of sessions and goes out of
 * an interface. It counts what it sent, so that a probe behind the interface can be held against it.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/tcp.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "tests/kernel/traffic.h"

struct traffic_shared traffic;

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

SEC("xdp.frags")
int generate(struct xdp_md *xdp)
{
	struct frame *frame = (void *)(long)xdp->data;
	__u64 number = traffic.sent;
	__u32 session;

	if ((void *)(frame + 1) > (void *)(long)xdp->data_end)
		return XDP_DROP;
	session = traffic.shuffle ? next_random() % traffic.sessions : number % traffic.sessions;
	frame->ip.saddr = bpf_htonl(0x0a000000 + session);
	frame->tcp.source = bpf_htons(1024 + session % 50000);
	traffic.sent = number + 1;
	return bpf_redirect(traffic.ifindex, 0);
}

char license_text[] SEC("license") = "Dual BSD/GPL";
