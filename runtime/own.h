/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AMON_OWN_H
#define AMON_OWN_H

#include "maps.h"

/*
 * Rows of each CPU's own (bpf-templates/own.h), in memory that user space has mapped: read without a system call for
 * each, and emptied at a cost of as many as there are.
 */

/** Tables of up to so many rows have room for all of them on each CPU and clone, unless that takes more bytes than
 * this. */
#define AMON_OWN_ROWS  4096u
#define AMON_OWN_EXACT (64u << 20)
/** A pool takes so many bytes at most: of a table of up to so many rows, and of any. */
#define AMON_OWN_USUAL 65536u
#define AMON_OWN_BYTES (16u << 20)
#define AMON_OWN_MOST  (256u << 20)
/** A map takes so many bytes at most: the verifier follows no offset beyond 512 MiB. Then CPUs take fewer rows. */
#define AMON_OWN_MAP (448u << 20)

/** What a table's map is made for: which clone, how many CPUs; all packets of a replay are one CPU's. */
struct amon_own_use {
	unsigned int clone;
	uint32_t cpus;
	bool replay;
};

/** How large a table's map is made. */
struct amon_own_shape {
	/* struct own_shape of bpf-templates/own.h: of each CPU, slots less 1, and how many of them may be taken; CPUs;
	   places for indices of a clone less 1; rows of the pool, and the bits of their numbers; where the indices of
	   the clone begin */
	struct amon_own_constant {
		uint32_t mask, limit, cpus, places, rows, numbers, indices;
	} constant;
	uint32_t spill; /* rows of the map for what finds no place */
	uint64_t size;  /* bytes */
};

/**
 * Small tables, and all in a replay, take as many rows from one CPU as their size says,
 * and no more: the last of them spills. Of larger ones the pool has as many rows as their size says, and a quarter more
 * where there are clones, for what comes while a window is read; all that finds no place spills. Where the kernel is
 * taken for one without mapped tables, all rows do.
 */
struct amon_own_shape amon_own_shape(const struct amon_export_table *table, const struct amon_own_use *use);

/** The same for how long a table's rows live (bpf-templates/flow.h), of each CPU: `constant.mask`, `size` alone. */
struct amon_own_shape amon_lives_shape(const struct amon_export_table *table, const struct amon_own_use *use);

/** The rows of a clone, borrowed. */
struct amon_own {
	const struct amon_export_table *table;
	struct amon_map *map; /* of all clones */
	unsigned int clone;
};

/** Writes into a map that was made in this shape what it is, for all who read it. 0 or -errno. */
int amon_own_describe(const struct amon_own *own, const struct amon_own_shape *shape);

/** CPUs that have rows of their own there, and a record in each row that spilled; or -errno. */
int amon_own_cpus(const struct amon_own *own);
/** Calls `visit` for every row of every CPU. 0, -errno, or what `visit` returned. */
int amon_own_read(const struct amon_own *own, int (*visit)(const void *key, const void *record, void *data),
                  void *data);
/** 1 where some rows found no place there since it was emptied last, 0 where all did, or -errno. */
int amon_own_spilled(const struct amon_own *own);
/**
 * Empties it, also of the note that rows spilled, and gives the rows back to the pool; no program may write there. 0 or
 * -errno. Where it was interrupted, by a kill at any instant, it is to be called again before it is for another clone.
 */
int amon_own_reset(const struct amon_own *own);

#endif
