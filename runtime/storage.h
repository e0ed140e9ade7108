/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AMON_STORAGE_H
#define AMON_STORAGE_H

#include "document.h"

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
/** Sorts rows by key: address after address, number after number, in the order of the spec. 0 or -ENOMEM. */
int amon_collected_sort(const struct amon_export_table *table, struct amon_collected_table *rows);

/** Their order: below 0, 0 or above. */
int amon_compare_keys(const struct amon_export_table *table, const void *a, const void *b);

/** A number or truth value of a key: 8 bytes are signed, fewer are not. */
int64_t amon_key_number(const struct amon_layout *layout, const void *key);

/** Merges record `from` into `into`: every metric by its aggregation. */
void amon_merge_columns(const struct amon_export_column *columns, uint32_t count, void *into, const void *from);
/** The same for a section's record, whose ledger adds too. */
void amon_merge_section(const struct amon_export_section *section, void *into, const void *from);

#endif
