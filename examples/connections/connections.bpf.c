/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * TCP connections and the state that each is in, of both directions in one entry. `from` is who sent the first packet
 * that was seen; traffic[0] is what it sent.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/tcp.h>
#include <stdbool.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

enum state {
	ASKED = 1,   /* a SYN */
	ANSWERED,    /* SYN and ACK came back */
	ESTABLISHED, /* the first ACK, or the middle of a connection whose start was not seen */
	CLOSING,     /* one side has sent FIN */
	CLOSED,      /* both have */
	RESET,
};

struct end {
	__be32 address;
	__u16 port;
	__u16 unused;
};

struct connection {
	struct end from, to;
};

struct traffic {
	__u64 packets, bytes;
};

struct tracked {
	enum state state;
	_Bool finished[2]; /* who has sent FIN */
	struct traffic traffic[2];
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 65536);
	__type(key, struct connection);
	__type(value, struct tracked);
} CONNECTIONS SEC(".maps");

static void follow(struct tracked *tracked, const struct tcphdr *tcp, bool back)
{
	if (tcp->rst)
		tracked->state = RESET;
	else if (tcp->syn && tcp->ack && back && tracked->state == ASKED)
		tracked->state = ANSWERED;
	else if (tcp->ack && !tcp->syn && !back && tracked->state == ANSWERED)
		tracked->state = ESTABLISHED;
	if (!tcp->fin || tracked->state == RESET)
		return;
	tracked->finished[back] = true;
	tracked->state = tracked->finished[!back] ? CLOSED : CLOSING;
}

static void count(struct tracked *tracked, const struct tcphdr *tcp, bool back, __u32 bytes)
{
	struct traffic *traffic = back ? &tracked->traffic[1] : &tracked->traffic[0];

	__sync_fetch_and_add(&traffic->packets, 1);
	__sync_fetch_and_add(&traffic->bytes, bytes);
	follow(tracked, tcp, back);
}

int amon_packet(struct __sk_buff *skb)
{
	void *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
	struct ethhdr *eth = data;
	struct iphdr *ip = (void *)(eth + 1);
	struct tcphdr *tcp = (void *)(ip + 1);
	struct connection forth = {}, back = {};
	struct tracked first = {}, *tracked;

	/* IPv4 without options */
	if ((void *)(tcp + 1) > end || eth->h_proto != bpf_htons(ETH_P_IP) || ip->ihl != 5 ||
	    ip->protocol != IPPROTO_TCP || (ip->frag_off & bpf_htons(0x1fff)))
		return 0;
	forth.from.address = back.to.address = ip->saddr;
	forth.to.address = back.from.address = ip->daddr;
	forth.from.port = back.to.port = bpf_ntohs(tcp->source);
	forth.to.port = back.from.port = bpf_ntohs(tcp->dest);
	tracked = bpf_map_lookup_elem(&CONNECTIONS, &back);
	if (tracked) {
		count(tracked, tcp, true, skb->len);
		return 0;
	}
	first.state = tcp->syn ? ASKED : ESTABLISHED;
	bpf_map_update_elem(&CONNECTIONS, &forth, &first, BPF_NOEXIST);
	tracked = bpf_map_lookup_elem(&CONNECTIONS, &forth);
	if (tracked)
		count(tracked, tcp, false, skb->len);
	return 0;
}
