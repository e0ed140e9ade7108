// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* A record for each flow, in a map of the kernel's: -DTABLE=HASH, LRU_HASH (both with -DSHARED) or PERCPU_HASH. */
#include "netflow.h"

#define TYPE_OF(table)	TYPE_OF_(table)
#define TYPE_OF_(table) BPF_MAP_TYPE_##table

struct key {
	__be32 saddr, daddr;
	__be16 source, dest;
	__u32 protocol;
};

struct {
	__uint(type, TYPE_OF(TABLE));
	__uint(max_entries, 32768);
	__type(key, struct key);
	__type(value, struct record);
} records SEC(".maps");

SEC(HOOK)
int netflow(CONTEXT *ctx)
{
	struct packet packet;
	struct record *record, fresh;

	if (!parse(ctx, &packet))
		return constants.verdict;
	struct key key = { packet.ip->saddr, packet.ip->daddr, packet.source, packet.dest, packet.ip->protocol };

	record = bpf_map_lookup_elem(&records, &key);
	if (!record) {
		begin(&fresh);
		bpf_map_update_elem(&records, &key, &fresh, BPF_NOEXIST);
		record = bpf_map_lookup_elem(&records, &key);
	}
	if (record)
		update(record, &packet);
	return constants.verdict;
}
