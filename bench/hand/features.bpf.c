// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * FEATURES counters of bytes in one record for all traffic, each with a condition of its own. Alone, it is the monitor
 * that has all that may ever be asked for always on. With -DCHAIN it is one of many programs that call each other: what
 * is asked for is put together from programs made before, each of which parses the packet for itself.
 */
#include "packet.h"

struct record {
	__u64 bytes[FEATURES];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct record);
} records SEC(".maps");

#ifdef CHAIN
/* A packet may go through 33 tail calls at most. */
struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 33);
	__type(key, __u32);
	__type(value, __u32);
} chain SEC(".maps");
#define next(ctx) bpf_tail_call(ctx, &chain, constants.place + 1)
#else
#define next(ctx)
#endif

static __always_inline void count(CONTEXT *ctx)
{
	__u32 zero = 0, length = ctx->data_end - ctx->data;
	struct record *record = bpf_map_lookup_elem(&records, &zero);
	struct packet packet;

	if (!record || !parse(ctx, &packet) || packet.ip->protocol != IPPROTO_TCP)
		return;
#pragma unroll
	for (int i = 0; i < FEATURES; i++)
		if (bpf_ntohs(packet.dest) != 1000 + constants.place * FEATURES + i)
			record->bytes[i] += length;
}

SEC(HOOK)
int features(CONTEXT *ctx)
{
	count(ctx);
	next(ctx);
	return constants.verdict;
}
