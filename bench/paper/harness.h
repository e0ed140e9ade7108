/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef AMON_BENCH_HARNESS_H
#define AMON_BENCH_HARNESS_H

#include <linux/types.h>

#define HARNESS_SESSIONS (1u << 21)

/* The sessions of test runs, one a packet, again and again. */
struct harness {
	__u64 next;
	__u32 sessions[HARNESS_SESSIONS];
};

#endif
