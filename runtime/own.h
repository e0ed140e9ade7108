/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AMON_OWN_H
#define AMON_OWN_H

#include "maps.h"

/*
 * Rows of each CPU's own (bpf-templates/own.h), in memory that user space has mapped: read without a system call for
 * each, and emptied at a cost of as many as there are.
 */

/** What the rows of all CPUs and clones may take together, before each gets a share of the table's size. */
#define AMON_OWN_BYTES (16u << 20)
/** The share is this many rows at least, unless they alone would take as much. */
#define AMON_OWN_ROWS 4096u
/**
 * Of a table that is said to have more rows than usual, each CPU gets twice its even share, as long as all take no more
 * than this together, and those of one CPU no more than that: to spill costs many times what a row of its own does.
 */
#define AMON_OWN_USUAL     65536u
#define AMON_OWN_MANY      (512u << 20)
#define AMON_OWN_CPU_BYTES (128u << 20)

/** How large a table's map is made. */
struct amon_own_shape {
	uint32_t slots, limit; /* of each CPU; how many of them may be taken */
	uint32_t spill;        /* rows of the map for what finds none */
	uint32_t value_size;   /* of each CPU */
};

/**
 * For a machine of so many CPUs. Small tables, and all in a replay, take as many rows from one CPU as their size says,
 * and no more: the last of them spills. Where the kernel is taken for one without mapped tables, all rows do.
 */
struct amon_own_shape amon_own_shape(const struct amon_export_table *table, uint32_t cpus, bool replay);

/** The same for how long a table's rows live (bpf-templates/flow.h): slots and value_size alone. */
struct amon_own_shape amon_lives_shape(const struct amon_export_table *table, uint32_t cpus, bool replay);

/** CPUs that have rows of their own there, and a record in each row that spilled; or -errno. */
int amon_own_cpus(const struct amon_export_table *table, struct amon_map *map, unsigned int clone);
/** Calls `visit` for every row of every CPU. 0, -errno, or what `visit` returned. */
int amon_own_read(const struct amon_export_table *table, struct amon_map *map, unsigned int clone,
                  int (*visit)(const void *key, const void *record, void *data), void *data);
/** 1 where some rows found no place there since it was emptied last, 0 where all did, or -errno. */
int amon_own_spilled(const struct amon_export_table *table, struct amon_map *map, unsigned int clone);
/** Empties it, also of the note that rows spilled; no program may write there. 0 or -errno. */
int amon_own_reset(const struct amon_export_table *table, struct amon_map *map, unsigned int clone);

#endif
