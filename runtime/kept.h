/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AMON_KEPT_H
#define AMON_KEPT_H

#include "flows.h"

/*
 * The flows that are open, of a probe that runs without a process: in maps that are pinned beside the probe's own, so
 * that the next reader goes on with them. There are two places, for windows of even and of odd numbers: those with
 * which a window begins stay until it was written out, whoever dies on the way.
 */

/** Keeps the flows with which a window begins, in place of older ones. 0 or -errno: then those stay. */
int amon_kept_write(const struct amon_exports *exports, const struct amon_flows *flows, const char *directory,
                    uint64_t window);
/** Takes them up; none where none were kept. 0 or -errno. */
int amon_kept_read(const struct amon_exports *exports, const char *directory, uint64_t window,
                   struct amon_flows *flows);
/** Keeps those of one probe for another that takes its place, as far as its tables are the same. 0 or -errno. */
int amon_kept_convert(const struct amon_exports *from, const struct amon_flows *flows, const struct amon_exports *to,
                      const char *directory, uint64_t window);

#endif
