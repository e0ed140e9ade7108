/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AMON_MEMORY_H
#define AMON_MEMORY_H

#include "compiler/exports.h"
#include "failure.h"

/* What a probe that is attached takes of the kernel's memory: its maps, told without a kernel. */

/** A map and its like. */
struct amon_memory_map {
	char name[64];
	uint32_t type; /* enum bpf_map_type */
	uint32_t key_size, value_size, entries, flags;
	uint32_t copies; /* a clone, a gate */
	uint64_t bytes;  /* of each */
};

struct amon_map_costs {
	struct amon_memory_map *maps; /* malloc'd */
	uint32_t count;               /* of different ones */
	uint32_t all;                 /* with their copies */
	uint64_t bytes;               /* of all */
};

/**
 * Lists the maps of an object, of its two clones, of its reader and of its gates, as on a machine of so many possible
 * CPUs, where `ingress` alone is XDP. 0, -ENOMEM, or -EINVAL where it is no such object.
 */
int amon_memory_list(const void *object, size_t size, const struct amon_exports *exports, uint32_t cpus,
                     struct amon_map_costs *memory, struct amon_failure *failure);
void amon_memory_free(struct amon_map_costs *memory);

#endif
