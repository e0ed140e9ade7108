/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AMON_MAP_H
#define AMON_MAP_H

#include <stdbool.h>
#include <stdint.h>

/* Maps of users' C: which can be exported, and how what is in them lies there. */

/** The kinds of maps that can be read, of all that a user's C may have: what it means to read one is in storage.c. */
enum amon_map_kind {
	AMON_MAP_ARRAY,
	AMON_MAP_PERCPU_ARRAY,
	AMON_MAP_HASH,
	AMON_MAP_PERCPU_HASH,
	AMON_MAP_LRU_HASH,
	AMON_MAP_LRU_PERCPU_HASH,
	AMON_MAP_LPM_TRIE,
	/* lists: rows without keys, in their order */
	AMON_MAP_QUEUE,   /* the oldest first */
	AMON_MAP_STACK,   /* the newest first */
	AMON_MAP_RINGBUF, /* the oldest first; records of one size */
	AMON_MAP_KINDS,
};

static inline bool amon_map_is_percpu(enum amon_map_kind kind)
{
	return kind == AMON_MAP_PERCPU_ARRAY || kind == AMON_MAP_PERCPU_HASH || kind == AMON_MAP_LRU_PERCPU_HASH;
}

static inline bool amon_map_is_list(enum amon_map_kind kind)
{
	return kind >= AMON_MAP_QUEUE;
}

/** How a number lies in a user's map. */
enum amon_form {
	AMON_FORM_UNSIGNED,
	AMON_FORM_SIGNED,
	AMON_FORM_NETWORK, /* unsigned, its highest byte first: __be16, __be32, __be64 */
	AMON_FORM_CPU,     /* no bytes: the number of the CPU whose value this row is */
};

/**
 * Where a column of a user's map comes from: 1, 2, 4 or 8 bytes of a number, or an address's. Structs and arrays are
 * told member by member. As rows are read, they become what amon's own maps hold: see struct amon_export_user.
 */
struct amon_export_source {
	uint32_t offset, size; /* in the map's key or value */
	enum amon_form form;
};

#endif
