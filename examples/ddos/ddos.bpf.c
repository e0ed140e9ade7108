/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * SYN floods, by who does not finish what it began. A service with more than LIMIT half-open connections is under
 * attack; whoever opens another one then is a suspect, until it completes a handshake. Services and counts are
 * exported. Who is a suspect, and which handshakes are open, stays here.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/tcp.h>
#include <stdbool.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define LIMIT 64

struct service {
	__be32 address;
	__u16 port;
	__u16 unused;
};

struct handshake {
	__be32 client, server;
	__be16 client_port, server_port;
};

struct attack {
	__u64 syns, bytes; /* of suspects */
};

struct verdicts {
	__u64 listed, cleared;
};

/* --- exported */

struct {
	__uint(type, BPF_MAP_TYPE_LRU_PERCPU_HASH);
	__uint(max_entries, 4096);
	__type(key, struct service);
	__type(value, struct attack);
} ATTACKED SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct verdicts);
} VERDICTS SEC(".maps");

/* --- private */

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 65536);
	__type(key, __be32);
	__type(value, __u8);
} SUSPECTS SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 65536);
	__type(key, struct handshake);
	__type(value, __u8);
} OPEN SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, struct service);
	__type(value, __s64);
} HALF_OPEN SEC(".maps");

static __s64 count_open(const struct service *service, __s64 by)
{
	__s64 none = 0, *open;

	bpf_map_update_elem(&HALF_OPEN, service, &none, BPF_NOEXIST);
	open = bpf_map_lookup_elem(&HALF_OPEN, service);
	return open ? __sync_fetch_and_add(open, by) + by : 0;
}

static void count_attack(const struct service *service, __u32 bytes)
{
	static const struct attack none;
	struct attack *attack;

	bpf_map_update_elem(&ATTACKED, service, &none, BPF_NOEXIST);
	attack = bpf_map_lookup_elem(&ATTACKED, service);
	if (!attack)
		return;
	attack->syns++;
	attack->bytes += bytes;
}

static struct verdicts *own_verdicts(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&VERDICTS, &zero);
}

static void suspect(__be32 client)
{
	struct verdicts *verdicts = own_verdicts();
	__u8 yes = 1;

	if (!bpf_map_update_elem(&SUSPECTS, &client, &yes, BPF_NOEXIST) && verdicts)
		verdicts->listed++;
}

static void clear(__be32 client)
{
	struct verdicts *verdicts = own_verdicts();

	if (!bpf_map_delete_elem(&SUSPECTS, &client) && verdicts)
		verdicts->cleared++;
}

static void begun(const struct handshake *handshake, const struct service *service, __u32 bytes)
{
	__u8 yes = 1;

	/* a SYN that is sent again opens nothing more */
	if (!bpf_map_update_elem(&OPEN, handshake, &yes, BPF_NOEXIST) && count_open(service, 1) > LIMIT)
		suspect(handshake->client);
	if (bpf_map_lookup_elem(&SUSPECTS, &handshake->client))
		count_attack(service, bytes);
}

static void completed(const struct handshake *handshake, const struct service *service)
{
	if (bpf_map_delete_elem(&OPEN, handshake))
		return;
	count_open(service, -1);
	clear(handshake->client);
}

int amon_packet(struct xdp_md *xdp)
{
	void *data = (void *)(long)xdp->data, *end = (void *)(long)xdp->data_end;
	struct ethhdr *eth = data;
	struct iphdr *ip = (void *)(eth + 1);
	struct tcphdr *tcp = (void *)(ip + 1);
	struct handshake handshake;
	struct service service = {};

	/* IPv4 without options */
	if ((void *)(tcp + 1) > end || eth->h_proto != bpf_htons(ETH_P_IP) || ip->ihl != 5 ||
	    ip->protocol != IPPROTO_TCP || (ip->frag_off & bpf_htons(0x1fff)))
		return 0;
	handshake = (struct handshake){ ip->saddr, ip->daddr, tcp->source, tcp->dest };
	service.address = ip->daddr;
	service.port = bpf_ntohs(tcp->dest);
	if (tcp->syn && !tcp->ack)
		begun(&handshake, &service, end - data);
	else if (tcp->ack && !tcp->syn && !tcp->rst)
		completed(&handshake, &service);
	return 0;
}
