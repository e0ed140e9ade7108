// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The feeder of a replay: each run takes the hook's next packet of a mapped batch, sets it into the frame of the test
 * run, and tail-calls the probe. One program and one slot for each hook, so that every call is direct.
 *
 * At TC a test run is repeated for each packet. At XDP the kernel waits for two grace periods where a test run repeats,
 * so it runs once, and the probe is called as often as a run may tail-call.
 */
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <stdbool.h>

#include <bpf/bpf_helpers.h>

#include "runtime/bpf/feed.h"

/* A user's C goes by the frame's size, where amon's own goes by what it is told of the packet. */
const volatile bool amon_feed_exact;

struct amon_feed amon_feed;
struct amon_feed_frame amon_frame SEC(".data.replay"); /* the probe's own map */

struct slot {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
};
struct slot slot_xdp SEC(".maps"), slot_tc_ingress SEC(".maps"), slot_tc_egress SEC(".maps");

/**
 * The bytes of a hook's next packet, its header already told to the probe; NULL at the end of the batch. A packet
 * without bytes says that it has one, which nobody reads: no helper takes none.
 */
static __always_inline const __u8 *take(int hook, __u64 cursor, __u32 *size)
{
	const struct amon_feed_packet *packet;
	__u64 at = cursor;

	/* a copy of its own: of what was put onto the stack before, the verifier of 6.1 knows no bound */
	barrier_var(at);
	if (at >= AMON_FEED_BATCH)
		return NULL;
	packet = (const void *)&amon_feed.batch[at];
	amon_frame = packet->frame;
	amon_feed.cursor = packet->next[hook];
	amon_feed.run++;
	*size = packet->frame.captured - 1;
	if (*size >= AMON_FEED_FRAME)
		*size = 0;
	barrier_var(*size);
	*size += 1;
	return packet->bytes;
}

/** The probe was not reached: the packet is the next run's. */
static __always_inline void give_back(__u64 cursor)
{
	if (amon_feed.cursor == cursor)
		return;
	amon_feed.cursor = cursor;
	amon_feed.run--;
}

/** The kernel has no shorter frames; what a packet lacks of one is 0. */
#define SHORTEST 14
static const __u8 nothing[SHORTEST];

static __always_inline bool fit_xdp(struct xdp_md *xdp, __u32 size)
{
	int wanted = size < SHORTEST ? SHORTEST : (int)size;

	return !bpf_xdp_adjust_tail(xdp, wanted - (int)bpf_xdp_get_buff_len(xdp)) &&
	       (size >= SHORTEST || !bpf_xdp_store_bytes(xdp, 0, (void *)nothing, SHORTEST));
}

static __always_inline bool fit_tc(struct __sk_buff *skb, __u32 size)
{
	return !bpf_skb_change_tail(skb, size < SHORTEST ? SHORTEST : size, 0) &&
	       (size >= SHORTEST || !bpf_skb_store_bytes(skb, 0, nothing, SHORTEST, 0));
}

static __always_inline bool set_xdp(struct xdp_md *xdp, __u64 cursor)
{
	__u32 size;
	const __u8 *bytes = take(AMON_FEED_XDP, cursor, &size);

	return bytes && (!amon_feed_exact || fit_xdp(xdp, size)) &&
	       !bpf_xdp_store_bytes(xdp, 0, (void *)bytes, size);
}

/** A test run takes less than a page into an skb, so the first run of each makes it the frame's size. */
static __always_inline bool set_tc(struct __sk_buff *skb, int hook, __u64 cursor)
{
	const __u8 *bytes;
	__u32 size;

	if (!amon_feed_exact && skb->len < AMON_FEED_FRAME && bpf_skb_change_tail(skb, AMON_FEED_FRAME, 0))
		return false;
	bytes = take(hook, cursor, &size);
	return bytes && (!amon_feed_exact || fit_tc(skb, size)) && !bpf_skb_store_bytes(skb, 0, bytes, size, 0);
}

/* A run may make 33 tail calls. */
#define CALLS 32

/* Told in memory: what is returned here is what the verifier of 6.1 takes for all that a call can return. */
static __noinline int call_xdp(struct xdp_md *xdp)
{
	bpf_tail_call_static(xdp, &slot_xdp, 0);
	amon_feed.missed = 1;
	return 0;
}

static __always_inline bool reaches_probe(struct xdp_md *xdp)
{
	amon_feed.missed = 0;
	call_xdp(xdp);
	return !*(volatile __u64 *)&amon_feed.missed;
}

SEC("xdp.frags")
int feed_xdp(struct xdp_md *xdp)
{
	for (int i = 0; i < CALLS; i++) {
		__u64 cursor = amon_feed.cursor;

		if (set_xdp(xdp, cursor) && reaches_probe(xdp))
			continue;
		give_back(cursor);
		break;
	}
	return XDP_PASS;
}

SEC("tc")
int feed_tc_ingress(struct __sk_buff *skb)
{
	__u64 cursor = amon_feed.cursor;

	if (set_tc(skb, AMON_FEED_TC_INGRESS, cursor))
		bpf_tail_call_static(skb, &slot_tc_ingress, 0);
	give_back(cursor);
	return TC_ACT_UNSPEC;
}

SEC("tc")
int feed_tc_egress(struct __sk_buff *skb)
{
	__u64 cursor = amon_feed.cursor;

	if (set_tc(skb, AMON_FEED_TC_EGRESS, cursor))
		bpf_tail_call_static(skb, &slot_tc_egress, 0);
	give_back(cursor);
	return TC_ACT_UNSPEC;
}

/* In the probe's place, where its cost is to be measured. */
SEC("xdp.frags")
int empty_xdp(struct xdp_md *xdp __attribute__((unused)))
{
	return XDP_PASS;
}

SEC("tc")
int empty_tc(struct __sk_buff *skb __attribute__((unused)))
{
	return TC_ACT_UNSPEC;
}

char license_text[] SEC("license") = "Dual BSD/GPL";
