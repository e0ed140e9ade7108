/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef AMON_CONTROL_H
#define AMON_CONTROL_H

#include <linux/types.h>

/*
 * What a probe's gates, its programs and its readers share: an ARRAY in memory that user space has mapped. Its first
 * entry says what runs; behind it each CPU has one in which it announces that it is inside.
 *
 * The state is one word, so that one store changes all of it at once, on every hook of the probe:
 *
 *   bit  0      the clone that runs: the parity of the window's number
 *   bit  1      the pair of clones that runs: a replacement takes the other
 *   bits 2, 3   how far a reader is with the window before this one (enum amon_phase in runtime/window.h)
 *   bits 4 …    the number of the window that is open
 */
#define AMON_CONTROL_SIZE 64 /* of an entry: a cache line */
#define AMON_SLOTS        4  /* of a gate: two pairs of clones */

struct amon_control {
	__u64 state;
	/* The readers' own. Nanoseconds since 1970, of the windows whose numbers are even, and odd. */
	__u64 start[2];
	__u64 end;    /* of the window that was cut */
	__u64 origin; /* the start of totals */
	__u64 seed;   /* of the keys' hash: another for each probe, so that nobody can send keys that all hash alike */
	/* How the probe hangs on its interface, for who reads or removes it later. */
	__u8 announces, ingress_tc, xdp_mode;
	/* of the filters at ingress and egress, where there are no TCX links */
	__u16 filter_priorities[2];
	__u32 filter_handles[2];
};

/*
 * The lower half counts how deep the CPU is inside (a hook may interrupt another), the upper how often it left for
 * good. So a reader knows that nobody is left of those who were inside when it looked: the depth was 0 then, or the
 * upper half has changed since.
 */
struct amon_inside {
	__u64 word;
};

#endif
