/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AMON_FEATURES_H
#define AMON_FEATURES_H

#include "arena.h"
#include "check.h"

/*
 * Features: what a user may leave out of a spec and pay less. A metric, a table with all that is in it, or events. A
 * table's metric is one where the table has others, since a table without metrics is no spec. States and private
 * tables are none: they are there for those that read them.
 */

struct amon_feature {
	const struct amon_section *section;
	const struct amon_table *table;   /* NULL: the section's metric */
	const struct amon_column *metric; /* NULL: the table, or events */
};

/** In the order of the sections: metrics, then each table and its metrics. Equal in every check of the same file. */
uint32_t amon_feature_count(const struct amon_probe *probe);
struct amon_feature amon_feature_at(const struct amon_probe *probe, uint32_t index);

#define AMON_FEATURES_ALL UINT32_MAX

/**
 * Takes a feature (by its index), or all of them, out of a checked probe that has not been planned, and with it what
 * only it reads: states, previous values, private tables. What others read of it stays, and is not exported. The probe
 * is for what packets do: it has no derives, `having` and `top` any more.
 */
void amon_feature_leave_out(struct amon_arena *arena, struct amon_probe *probe, uint32_t index);

#endif
