/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AMON_STORAGE_H
#define AMON_STORAGE_H

#include "document.h"
#include "maps.h"

/* Inside amon_collect() and amon_document(): raw records, as the maps hold them, CPUs merged. */

struct amon_collected_table {
	uint64_t row_count, room;
	uint8_t *keys;    /* key_size bytes a row, ascending (amon_collected_sort) */
	uint8_t *records; /* record_size bytes a row */
	uint8_t *other;   /* one record; NULL where the table has no such row */
};

struct amon_collected_section {
	uint8_t *record;
	struct amon_collected_table *tables;
	uint32_t table_count;
};

struct amon_collected {
	struct amon_collected_section *sections;
	uint32_t section_count;
};

/** All zeros, no rows; NULL where memory ran out. */
struct amon_collected *amon_collected_new(const struct amon_exports *exports);
/** Appends a row. 0 or -ENOMEM. */
int amon_collected_add(const struct amon_export_table *table, struct amon_collected_table *rows, const void *key,
                       const void *record);
/** Sorts rows by key: address after address, number after number, in the order of the spec; rows of one key become one,
 * but for those that end. Lists stay as they are. 0 or -ENOMEM. */
int amon_collected_sort(const struct amon_export_table *table, struct amon_collected_table *rows);

/** Their order: below 0, 0 or above. */
int amon_compare_keys(const struct amon_export_table *table, const void *a, const void *b);

/** The same once more, of the caller's own. 0 or -ENOMEM. */
int amon_collected_copy(const struct amon_exports *exports, const struct amon_collected *collected,
                        struct amon_collected **copy);

/** A number or truth value of a key: 8 bytes are signed (but where its type has 64 bits), fewer are not. */
int64_t amon_key_number(const struct amon_layout *layout, const void *key);

/** Merges record `from` into `into`: every metric by its aggregation. */
void amon_merge_columns(const struct amon_export_column *columns, uint32_t count, void *into, const void *from);
/** In a record that is of several rows of a table, what stands alone (a fold) has no value. */
void amon_clear_alone(const struct amon_export_table *table, void *record);
/** The same for the record of a table's row. */
void amon_merge_row(const struct amon_export_table *table, void *into, const void *from);
/** The same for a section's record, whose ledger adds too. */
void amon_merge_section(const struct amon_export_section *section, void *into, const void *from);

/** Only what a reset empties, the ledgers of its tables included: two reads of it add up. */
void amon_merge_reset(const struct amon_export_section *section, void *into, const void *from);
/** Adds all counts to others of the same export table; to be sorted then. 0 or -ENOMEM. */
int amon_collected_merge(const struct amon_exports *exports, struct amon_collected *into,
                         const struct amon_collected *from);

/* `reset` without `snapshot`: what a read returns is a difference, and nothing is written to the kernel. */

bool amon_section_has_baseline(const struct amon_export_section *section);
/** record -= baseline, an earlier record, where it is such. */
void amon_subtract_baseline(const struct amon_export_section *section, void *record, const void *baseline);
/** Zeros all that a reset empties, the ledgers of its tables included. */
void amon_clear_section(const struct amon_export_section *section, void *record);

/** Which maps a reading takes. */
enum amon_which {
	AMON_SHARED = 1, /* those that clones share */
	AMON_RESET = 2,  /* of a clone's own: those that a reset empties */
	AMON_KEPT = 4,   /* those that it does not */
	AMON_EVENTS = 8, /* shared rings of events; a reset takes out what was read */
	AMON_FLOWS = 16, /* of a clone's own: rows that end; a reset empties them */
};

/**
 * Adds what the maps of one clone hold to what is collected already: sections by merging, rows by appending
 * (amon_collected_sort() then merges those of one key). 0 or -errno.
 */
int amon_storage_read(const struct amon_maps *maps, const struct amon_exports *exports, unsigned int clone,
                      unsigned int which, struct amon_collected *into, struct amon_failure *failure);
/** In a replay: takes a section's events out of their rings, behind those that were gathered before. 0 or -errno. */
int amon_storage_gather(const struct amon_maps *maps, const struct amon_export_section *section,
                        struct amon_collected_section *into, struct amon_failure *failure);
/**
 * Empties a clone of what a reset empties. No program may write there meanwhile. With AMON_SHARED, also what clones
 * share: only in a replay, where nothing runs beside it.
 */
int amon_storage_reset(const struct amon_maps *maps, const struct amon_exports *exports, unsigned int clone,
                       unsigned int which, struct amon_failure *failure);

/** Called for an entry of a memory's map; a non-zero return ends the reading with it. */
typedef int amon_visit_memory(const void *key, const void *value, void *data);
/** Visits all entries of a HASH that packets go on changing: each as it was at some instant. 0 or -errno. */
int amon_storage_visit(const struct amon_maps *maps, const struct amon_export_memory *memory, amon_visit_memory *visit,
                       void *data, struct amon_failure *failure);

#endif
