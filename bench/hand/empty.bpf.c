// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* A program that does nothing: what a packet costs without a monitor. */
#include "packet.h"

SEC(HOOK)
int empty(CONTEXT *ctx)
{
	return constants.verdict;
}
