/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef AMON_BENCH_CONSTANTS_H
#define AMON_BENCH_CONSTANTS_H

#include <linux/types.h>

/* What a program by hand is told when it is loaded: its only constants, so they are all of .rodata. */
struct constants {
	__s32 verdict;
	__u32 place; /* in a chain */
};

#endif
