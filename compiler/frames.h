/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AMON_FRAMES_H
#define AMON_FRAMES_H

#include "plan.h"

/*
 * Made traffic: frames that reach the features of a spec, to measure it where there is no capture. TCP, UDP and ICMP of
 * 1,000 flows over IPv4 and IPv6, and in each frame what one of the features asks for, in turn: the headers of its
 * fields, and what the conditions on its way compare with constants. The same spec gives the same frames.
 */

/** Frames that make a round; bytes of one that are there at most. */
#define AMON_MADE_FRAMES 4096
#define AMON_MADE_BYTES  1536

/** Makes the frame of this number; *captured bytes of it are there. Its length on the wire. */
uint32_t amon_made_frame(const struct amon_plan *plan, uint32_t number, uint8_t bytes[AMON_MADE_BYTES],
                         uint32_t *captured);

#endif
