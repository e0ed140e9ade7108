// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The shape of the programs behind the paper's figures: one record for all traffic, in an array of one entry, in
 * which each packet leaves its fields. It needs -DKEYLESS, and is no flow table.
 */
#include "netflow.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct record);
} records SEC(".maps");

SEC(HOOK)
int record(CONTEXT *ctx)
{
	struct packet packet;
	struct record *record;
	__u32 zero = 0;

	if (!parse(ctx, &packet))
		return constants.verdict;
	record = bpf_map_lookup_elem(&records, &zero);
	if (!record)
		return constants.verdict;
#if FEATURES >= 3
	if (!record->packets)
		begin(record);
#endif
	update(record, &packet);
	return constants.verdict;
}
