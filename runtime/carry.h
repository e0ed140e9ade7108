/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AMON_CARRY_H
#define AMON_CARRY_H

#include "document.h"

/*
 * What a probe had counted when another took its place, for features that both have but whose maps differ: said in the
 * records of the new one, kept in a map that only readers write, and merged into every read.
 */

/** The same counts in the records of another export table: features with equal signatures, all else left out. */
int amon_carry_convert(const struct amon_exports *from, const struct amon_collected *counts,
                       const struct amon_exports *to, struct amon_collected **converted);
/** A record of a section alone, such as a baseline's. */
void amon_carry_section(const struct amon_export_section *from, const void *record,
                        const struct amon_export_section *to, void *into);

/** Puts counts into a map of their own: its descriptor, or -errno. */
int amon_carry_write(const struct amon_exports *exports, const struct amon_collected *counts);
/** Reads them back. 0 or -errno: -EINVAL where the map holds no such counts. */
int amon_carry_read(const struct amon_exports *exports, int map, struct amon_collected **counts);
/** Empties both of what a reset empties. */
int amon_carry_reset(const struct amon_exports *exports, struct amon_collected *counts, int map);

#endif
