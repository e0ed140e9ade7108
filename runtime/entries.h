/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AMON_ENTRIES_H
#define AMON_ENTRIES_H

#include <stdbool.h>
#include <stdint.h>

#include "compiler/map.h"

/*
 * The entries of a map of any kind: read, taken out, emptied, each the best way that the kernel offers: in memory that
 * user space maps, in batches, or one by one.
 *
 * What can be promised where programs write meanwhile depends on the kind. Every entry that is there all the while is
 * read once, in whatever way. Taking gives each entry of a hash, queue or stack once, to one taker; what a program adds
 * to an entry that it had found before it was taken is lost. Of arrays, in which nothing can be taken out but zeros
 * left behind, what comes between the two is lost, but from mapped memory, where words of 8 bytes are exchanged. An
 * LPM_TRIE that shrinks while it is walked may give an entry twice.
 */

/** An open map. */
struct amon_entries {
	int fd; /* borrowed */
	uint32_t key_size, value_size;
	uint32_t most;     /* entries; bytes of a ring */
	uint32_t cpus;     /* values of an entry: 1, or as many as there are possible CPUs */
	uint32_t stride;   /* of one CPU's value */
	bool mapped;       /* user space may map its memory */
	bool locked;       /* a value holds a bpf_spin_lock; set by the caller, who knows */
	uint64_t *ring_to; /* of a ring, set by the caller, whose it is: how far it was read, and so may be taken */
	const struct amon_entry_kind *kind;
};

/**
 * Called for every entry, with its key and the values of all CPUs, one a stride; a non-zero return ends the reading
 * with it. Keys of queues, stacks and rings are NULL. Neither pointer outlives the call.
 */
typedef int amon_visit_entry(const struct amon_entries *entries, const void *key, const void *values, void *data);

/** THE table of storage kinds: see entries.c. */
struct amon_entry_kind {
	uint32_t type; /* enum bpf_map_type */
	enum amon_map_kind kind;
	bool percpu;
	int (*read)(const struct amon_entries *entries, amon_visit_entry *visit, void *data);
	/** The same, and they are gone. NULL: what was read is taken by `reset`. */
	int (*take)(const struct amon_entries *entries, amon_visit_entry *visit, void *data);
	/** Empties it; no program writes there. */
	int (*reset)(const struct amon_entries *entries);
};

/** What a type of the kernel's is (enum bpf_map_type); AMON_MAP_KINDS: nothing that can be read. */
enum amon_map_kind amon_entries_kind(uint32_t type);
/**
 * Asks the kernel what the map is. 0, or -EINVAL where no such kind can be read, or its keys or values have other
 * sizes: what the kernel would write must fit what is allocated. (Of a ring `value_size` is what its records have.)
 */
int amon_entries_open(int fd, uint32_t key_size, uint32_t value_size, struct amon_entries *entries);
/**
 * Visits all entries; they stay. 0, -errno, or what `visit` returned. Those of a queue or stack are popped and pushed
 * back, so that no program may write there meanwhile.
 */
int amon_entries_read(const struct amon_entries *entries, amon_visit_entry *visit, void *data);
/** Visits them and takes them out; of a ring, they are only read. */
int amon_entries_take(const struct amon_entries *entries, amon_visit_entry *visit, void *data);
/** Takes all out, and of a ring what was read. No program may write there meanwhile, but into rings. 0 or -errno. */
int amon_entries_reset(const struct amon_entries *entries);

#endif
