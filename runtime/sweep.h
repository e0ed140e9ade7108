/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AMON_SWEEP_H
#define AMON_SWEEP_H

#include "compiler/exports.h"
#include "failure.h"
#include "maps.h"

/*
 * What packets remember is theirs: a packet that finds a row past its time starts it anew in place. Readers only take
 * out the rows that nobody comes to any more, so that new ones find room, and only of maps in which these could get
 * short of it. While they do, packets must leave such rows alone.
 */

struct amon_swept;

/** The rows to be taken out, all maps together. */
struct amon_sweep {
	const struct amon_maps *maps; /* borrowed */
	uint64_t open;                /* the window that is open */
	uint64_t now;                 /* an instant that no packet is before, by the clock that ages rows */
	struct amon_swept *rows;      /* of each map that is swept */
	uint32_t row_count;
	uint64_t count; /* 0: there is nothing to be done */
};

/** Some rows end by `expire`, not with windows. */
bool amon_sweep_expires(const struct amon_exports *exports);
/**
 * Notes the rows that had no packet in the window before the one that is open, nor in that, and those that ended by
 * `expire` before `now`, of maps that are more full than one window makes them. Packets may go on with any of them. To
 * be ended by amon_sweep_end() in any case. 0 or -errno.
 */
int amon_sweep_begin(const struct amon_maps *maps, const struct amon_exports *exports, uint64_t open, uint64_t now,
                     struct amon_sweep *sweep, struct amon_failure *failure);
/** Deletes those of them to which no packet has come meanwhile. Nobody may begin such a row anew now. 0 or -errno. */
int amon_sweep_finish(const struct amon_sweep *sweep, struct amon_failure *failure);
void amon_sweep_end(struct amon_sweep *sweep);

#endif
