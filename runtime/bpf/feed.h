/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef AMON_FEED_H
#define AMON_FEED_H

#include <linux/types.h>

/* What the feeder in the kernel (feed.bpf.c) shares with its user side (runtime/feeder.c). */

/** enum amon_hook_kind */
enum { AMON_FEED_XDP, AMON_FEED_TC_INGRESS, AMON_FEED_TC_EGRESS, AMON_FEED_HOOKS };

/** Bytes that the frame of a test run holds: AMON_REPLAY_FRAME. */
#define AMON_FEED_FRAME 16000
/** A packet of the batch starts below this. Small enough for a second-level cache, large enough to hide the system
 * call. */
#define AMON_FEED_BATCH (512 * 1024)
/** In place of a packet's start: there is none. */
#define AMON_FEED_NONE 0xffffffff

/** struct amon_frame of runtime/probe.h, whose header the BPF target cannot include. */
struct amon_feed_frame {
	__u64 time;
	__u32 length;
	__u32 captured;
	__u32 direction;
};

/** In the batch: a frame, its captured bytes, and nothing up to the next multiple of 8. */
struct amon_feed_packet {
	struct amon_feed_frame frame;
	__u32 next[AMON_FEED_HOOKS]; /* where the packet starts that follows this one at a hook, or NONE */
	__u8 bytes[];
};

struct amon_feed {
	__u64 cursor; /* where in the batch the next packet starts, or NONE */
	__u64 run;    /* packets that were handed to the probe */
	__u64 missed; /* the probe was not reached by the last call (XDP) */
	__u8 batch[AMON_FEED_BATCH + sizeof(struct amon_feed_packet) + AMON_FEED_FRAME];
};

#endif
