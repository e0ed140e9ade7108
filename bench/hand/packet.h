/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What all programs written by hand have in common: the hook that they are compiled for (-DTC: TC, else XDP), and a
 * parser as the kernel's samples have it: Ethernet, IPv4, TCP or UDP, at fixed places, nothing else.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/pkt_cls.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include <stdbool.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "constants.h"

#ifdef TC
#define HOOK	"tc"
#define CONTEXT struct __sk_buff
#define PASS	TC_ACT_UNSPEC
#else
#define HOOK	"xdp.frags"
#define CONTEXT struct xdp_md
#define PASS	XDP_PASS
#endif

const volatile struct constants constants = { .verdict = PASS };

struct packet {
	struct iphdr *ip;
	__u16 source, dest, flags;
};

/* False for what is not a whole IPv4 packet. */
static __always_inline bool parse(CONTEXT *ctx, struct packet *packet)
{
	void *end = (void *)(long)ctx->data_end;
	struct ethhdr *ethernet = (void *)(long)ctx->data;
	struct tcphdr *tcp;
	struct udphdr *udp;

	packet->ip = (void *)(ethernet + 1);
	if ((void *)(packet->ip + 1) > end || ethernet->h_proto != bpf_htons(ETH_P_IP))
		return false;
	packet->source = packet->dest = packet->flags = 0;
	if (packet->ip->protocol == IPPROTO_TCP) {
		tcp = (void *)packet->ip + packet->ip->ihl * 4;
		if ((void *)(tcp + 1) > end)
			return false;
		packet->source = tcp->source;
		packet->dest = tcp->dest;
		packet->flags = ((__u8 *)tcp)[13];
	} else if (packet->ip->protocol == IPPROTO_UDP) {
		udp = (void *)packet->ip + packet->ip->ihl * 4;
		if ((void *)(udp + 1) > end)
			return false;
		packet->source = udp->source;
		packet->dest = udp->dest;
	}
	return true;
}

char license_text[] SEC("license") = "Dual BSD/GPL";
