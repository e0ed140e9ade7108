/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The first FEATURES of fifteen fields of NetFlow v9, in this order: IN_PKTS, IN_BYTES, MIN_PKT_LNGTH, MAX_PKT_LNGTH,
 * IPV4_SRC_ADDR, IPV4_DST_ADDR, PROTOCOL, L4_SRC_PORT, L4_DST_PORT (these five are the key of a flow), TCP_FLAGS,
 * SRC_TOS, MIN_TTL, MAX_TTL, FIRST_SWITCHED, LAST_SWITCHED. What is left out takes neither time nor memory.
 */
#include "packet.h"

#ifdef COARSE
#define clock bpf_ktime_get_coarse_ns
#else
#define clock bpf_ktime_get_ns
#endif

/* Where CPUs share a record, only atomic additions are exact. */
#ifdef SHARED
#define add(to, x) __sync_fetch_and_add(&(to), x)
#else
#define add(to, x) (to) += (x)
#endif

struct record {
	__u64 packets;
#if FEATURES >= 2
	__u64 bytes;
#endif
#if FEATURES >= 14
	__u64 first;
#endif
#if FEATURES >= 15
	__u64 last;
#endif
#if FEATURES >= 5 && defined(KEYLESS)
	__be32 saddr;
#endif
#if FEATURES >= 6 && defined(KEYLESS)
	__be32 daddr;
#endif
#if FEATURES >= 8 && defined(KEYLESS)
	__be16 source;
#endif
#if FEATURES >= 9 && defined(KEYLESS)
	__be16 dest;
#endif
#if FEATURES >= 3
	__u16 shortest;
#endif
#if FEATURES >= 4
	__u16 longest;
#endif
#if FEATURES >= 7 && defined(KEYLESS)
	__u8 protocol;
#endif
#if FEATURES >= 10
	__u8 flags;
#endif
#if FEATURES >= 11
	__u8 tos;
#endif
#if FEATURES >= 12
	__u8 lowest_ttl;
#endif
#if FEATURES >= 13
	__u8 highest_ttl;
#endif
};

/* A record as its first packet finds it. */
static __always_inline void begin(struct record *record)
{
	__builtin_memset(record, 0, sizeof(*record));
#if FEATURES >= 3
	record->shortest = 0xffff;
#endif
#if FEATURES >= 12
	record->lowest_ttl = 0xff;
#endif
}

static __always_inline void update(struct record *record, const struct packet *packet)
{
#if FEATURES >= 2
	__u16 length = bpf_ntohs(packet->ip->tot_len);
#endif
#if FEATURES >= 14
	__u64 now = clock();
#endif

	add(record->packets, 1);
#if FEATURES >= 2
	add(record->bytes, length);
#endif
#if FEATURES >= 3
	if (length < record->shortest)
		record->shortest = length;
#endif
#if FEATURES >= 4
	if (length > record->longest)
		record->longest = length;
#endif
#if FEATURES >= 5 && defined(KEYLESS)
	record->saddr = packet->ip->saddr;
#endif
#if FEATURES >= 6 && defined(KEYLESS)
	record->daddr = packet->ip->daddr;
#endif
#if FEATURES >= 7 && defined(KEYLESS)
	record->protocol = packet->ip->protocol;
#endif
#if FEATURES >= 8 && defined(KEYLESS)
	record->source = packet->source;
#endif
#if FEATURES >= 9 && defined(KEYLESS)
	record->dest = packet->dest;
#endif
#if FEATURES >= 10
	record->flags |= packet->flags;
#endif
#if FEATURES >= 11
	record->tos |= packet->ip->tos;
#endif
#if FEATURES >= 12
	if (packet->ip->ttl < record->lowest_ttl)
		record->lowest_ttl = packet->ip->ttl;
#endif
#if FEATURES >= 13
	if (packet->ip->ttl > record->highest_ttl)
		record->highest_ttl = packet->ip->ttl;
#endif
#if FEATURES >= 14
	if (!record->first)
		record->first = now;
#endif
#if FEATURES >= 15
	record->last = now;
#endif
}
