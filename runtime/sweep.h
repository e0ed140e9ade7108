/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AMON_SWEEP_H
#define AMON_SWEEP_H

#include "compiler/exports.h"
#include "failure.h"
#include "maps.h"

/*
 * What packets remember is theirs: a packet that finds a row past its time starts it anew in place. Readers only take
 * out the rows that nobody comes to any more, so that new ones find room.
 */

/**
 * Deletes the rows that had no packet in the window before the one that is open, nor in that. A packet that comes to
 * such a row while it is being deleted may lose what it leaves there; one that came since the row was looked at gets it
 * back, and between the two, for about a microsecond, a packet of that key finds none and starts a new one. 0 or
 * -errno.
 */
int amon_sweep(const struct amon_maps *maps, const struct amon_exports *exports, uint64_t open,
               struct amon_failure *failure);

#endif
