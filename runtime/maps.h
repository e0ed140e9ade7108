/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AMON_MAPS_H
#define AMON_MAPS_H

#include "compiler/exports.h"

/* A probe runs as two clones, each with maps of its own for what windows cut. */
#define AMON_CLONES 2

/** A map of the export table, and its descriptors. */
struct amon_map {
	const char *name; /* the export table's */
	bool twice;
	bool skipped;              /* a reading leaves it out */
	int fds[AMON_CLONES];      /* owned; -1: none. Of a shared map the first alone */
	void *memory[AMON_CLONES]; /* of rows that CPUs own, once they were read: mapped */
	size_t memory_size;
	uint64_t read[AMON_CLONES]; /* of rings: how far they were read, and so may be taken */
};

struct amon_maps {
	struct amon_map *maps;
	uint32_t count;
};

/** Lists the maps that an export table names, none of them open yet. 0 or -ENOMEM. */
int amon_maps_list(const struct amon_exports *exports, struct amon_maps *maps);
/** Closes all. */
void amon_maps_close(struct amon_maps *maps);
/** A clone's map by its name; a descriptor (borrowed), or -ENOENT. */
int amon_maps_find(const struct amon_maps *maps, const char *name, unsigned int clone);
/** The same with all that is known of it; NULL for no such map. */
struct amon_map *amon_maps_entry(const struct amon_maps *maps, const char *name);
bool amon_maps_skips(const struct amon_maps *maps, const char *name);
/** Where it is noted how far a clone's ring was read; NULL for no such map. */
uint64_t *amon_maps_read(const struct amon_maps *maps, const char *name, unsigned int clone);

#endif
