/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AMON_OWN_H
#define AMON_OWN_H

#include "maps.h"

/*
 * Rows of each CPU's own (bpf-templates/own.h), in memory that user space has mapped: read without a system call for
 * each, and emptied at a cost of as many as there are.
 */

/** What the rows of one CPU and clone may take, all CPUs and clones together, before each gets a share of its size. */
#define AMON_OWN_BYTES (16u << 20)
/** The share is this many rows at least, unless they alone would take as much. */
#define AMON_OWN_ROWS 4096u

/** How large a table's map is made. */
struct amon_own_shape {
	uint32_t slots, limit; /* of each CPU; how many of them may be taken */
	uint32_t spill;        /* rows of the map for what finds none */
	uint32_t value_size;   /* of each CPU */
};

/**
 * For a machine of so many CPUs. Small tables, and all in a replay, take as many rows from one CPU as their size says,
 * and no more: the last of them spills.
 */
struct amon_own_shape amon_own_shape(const struct amon_export_table *table, uint32_t cpus, bool replay);

/** CPUs that have rows of their own there, and a record in each row that spilled; or -errno. */
int amon_own_cpus(const struct amon_export_table *table, struct amon_map *map, unsigned int clone);
/** Calls `visit` for every row of every CPU. 0, -errno, or what `visit` returned. */
int amon_own_read(const struct amon_export_table *table, struct amon_map *map, unsigned int clone,
                  int (*visit)(const void *key, const void *record, void *data), void *data);
/** Empties it; no program may write there. 0 or -errno. */
int amon_own_reset(const struct amon_export_table *table, struct amon_map *map, unsigned int clone);

#endif
