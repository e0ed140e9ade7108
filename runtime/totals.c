/* SPDX-License-Identifier: Apache-2.0 */
#include "totals.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cells.h"
#include "compiler/arena.h"
#include "storage.h"

struct amon_totals {
	struct amon_arena *arena;
	/* As the reads', but no row is left out, and behind each record stands when its row was last exported. */
	struct amon_exports exports;
	struct amon_collected *collected;
	void ***rests; /* [section][table]: a record; NULL: nothing was left out yet */
	struct amon_document *document;
};

/* --- the export table of totals */

static struct amon_export_table *plain_tables(struct amon_arena *arena, const struct amon_export_section *section)
{
	struct amon_export_table *tables = amon_new_array(arena, struct amon_export_table, section->table_count);

	for (uint32_t i = 0; i < section->table_count; i++) {
		tables[i] = section->tables[i];
		tables[i].having = NULL;
		tables[i].top = 0;
		/* rows that are open are there once more in each read */
		tables[i].reset &= !tables[i].expire || !tables[i].expire->keeps;
		/* a key's flows add up to one row */
		tables[i].expire = NULL;
		tables[i].record_size += sizeof(uint64_t);
	}
	return tables;
}

static void init_exports(struct amon_totals *totals, const struct amon_exports *exports)
{
	struct amon_arena *arena = totals->arena;

	totals->exports = *exports;
	totals->exports.sections = amon_new_array(arena, struct amon_export_section, exports->section_count);
	totals->rests = amon_new_array(arena, void **, exports->section_count);
	for (uint32_t i = 0; i < exports->section_count; i++) {
		const struct amon_export_section *section = &exports->sections[i];

		totals->exports.sections[i] = *section;
		totals->exports.sections[i].tables = plain_tables(arena, section);
		totals->rests[i] = amon_new_array(arena, void *, section->table_count);
	}
}

struct amon_totals *amon_totals_new(const struct amon_exports *exports)
{
	struct amon_arena *arena = amon_arena_new();
	struct amon_totals *totals = amon_new(arena, struct amon_totals);

	totals->arena = arena;
	init_exports(totals, exports);
	totals->collected = amon_collected_new(&totals->exports);
	if (totals->collected)
		return totals;
	amon_arena_free(arena);
	return NULL;
}

void amon_totals_free(struct amon_totals *totals)
{
	if (!totals)
		return;
	amon_document_free(totals->document);
	amon_collected_free(totals->collected);
	amon_arena_free(totals->arena);
}

/* --- rows */

static void rows_free(struct amon_collected_table *rows)
{
	free(rows->keys);
	free(rows->records);
}

/* The rows of a read, each with its end. */
static int gather(const struct amon_export_table *table, const struct amon_table_rows *read, uint64_t end,
                  struct amon_collected_table *into)
{
	uint8_t *record = malloc(table->record_size);
	uint64_t place = 0;
	int error = record ? 0 : -ENOMEM;

	while (!error && amon_rows_next(read, &place)) {
		memcpy(record, amon_row_record(read), table->record_size - sizeof(end));
		memcpy(record + table->record_size - sizeof(end), &end, sizeof(end));
		error = amon_collected_add(table, into, amon_row_key(read), record);
	}
	free(record);
	return error ? error : amon_collected_sort(table, into);
}

static bool is_idle(const struct amon_export_table *table, const uint8_t *record, uint64_t now)
{
	uint64_t end;

	memcpy(&end, record + table->record_size - sizeof(end), sizeof(end));
	return now > end && now - end >= AMON_TOTALS_IDLE;
}

/* Both are sorted, and so is what becomes of them. */
static int merge_rows(const struct amon_export_table *table, const struct amon_collected_table *old,
                      const struct amon_collected_table *fresh, uint64_t now, struct amon_collected_table *into)
{
	uint64_t o = 0, f = 0;
	int error = 0;

	while (!error && (o < old->row_count || f < fresh->row_count)) {
		const uint8_t *old_key = old->keys + o * table->key_size, *key = fresh->keys + f * table->key_size;
		const uint8_t *old_record = old->records + o * table->record_size;
		uint8_t *record = fresh->records + f * table->record_size;
		int order = o == old->row_count     ? 1
		            : f == fresh->row_count ? -1
		                                    : amon_compare_keys(table, old_key, key);

		if (!order)
			amon_merge_columns(table->columns, table->column_count, record, old_record);
		if (order >= 0)
			error = amon_collected_add(table, into, key, record);
		else if (!is_idle(table, old_record, now))
			error = amon_collected_add(table, into, old_key, old_record);
		o += order <= 0;
		f += order >= 0;
	}
	return error;
}

/* Of a table whose rows are totals already, only those of this read are left. */
static int add_rows(const struct amon_export_table *table, const struct amon_table_rows *read, uint64_t end,
                    struct amon_collected_table *into)
{
	static const struct amon_collected_table none;
	struct amon_collected_table fresh = { 0 }, merged = { 0 };
	int error = gather(table, read, end, &fresh);

	if (!error)
		error = merge_rows(table, table->reset ? into : &none, &fresh, end, &merged);
	rows_free(&fresh);
	if (error) {
		rows_free(&merged);
		return error;
	}
	rows_free(into);
	merged.other = into->other;
	*into = merged;
	return 0;
}

/* --- reads */

static void add_rest(struct amon_totals *totals, const struct amon_export_table *table, void **rest, const void *record)
{
	if (!record)
		return;
	if (!*rest)
		*rest = amon_arena_alloc(totals->arena, table->record_size);
	amon_merge_columns(table->columns, table->column_count, *rest, record);
}

static int add_table(struct amon_totals *totals, const struct amon_document *read, uint32_t section, uint32_t index)
{
	const struct amon_export_table *table = &totals->exports.sections[section].tables[index];
	const struct amon_table_rows *rows = &read->sections[section].tables[index];
	struct amon_collected_table *into = &totals->collected->sections[section].tables[index];

	if (table->events)
		return 0;
	if (!table->reset && into->other)
		memset(into->other, 0, table->record_size);
	if (rows->other_record)
		amon_merge_columns(table->columns, table->column_count, into->other, rows->other_record);
	if (table->reset)
		add_rest(totals, table, &totals->rests[section][index], rows->rest_record);
	return add_rows(table, rows, read->window.end, into);
}

/* The read's record, to which the totals before are added where it is none. */
static int add_record(const struct amon_export_section *section, const void *read, uint8_t **totals)
{
	uint8_t *fresh = malloc(section->record_size);

	if (!fresh)
		return -ENOMEM;
	memcpy(fresh, read, section->record_size);
	amon_merge_reset(section, fresh, *totals);
	free(*totals);
	*totals = fresh;
	return 0;
}

static int add_section(struct amon_totals *totals, const struct amon_document *read, uint32_t index)
{
	const struct amon_export_section *section = &totals->exports.sections[index];
	int error = add_record(section, read->sections[index].record, &totals->collected->sections[index].record);

	for (uint32_t i = 0; !error && i < section->table_count; i++)
		error = add_table(totals, read, index, i);
	return error;
}

static void set_rests(struct amon_totals *totals, struct amon_document *document)
{
	for (uint32_t s = 0; s < totals->exports.section_count; s++)
		for (uint32_t t = 0; t < totals->exports.sections[s].table_count; t++)
			if (totals->rests[s][t])
				amon_rows_set_rest(&document->sections[s].tables[t], totals->rests[s][t]);
}

static int renew_document(struct amon_totals *totals, const struct amon_document *read)
{
	struct amon_document *document;
	int error;

	amon_document_free(totals->document);
	totals->document = NULL;
	error = amon_document(&totals->exports, totals->collected, &read->window, &document);
	if (error)
		return error;
	set_rests(totals, document);
	totals->document = document;
	return 0;
}

int amon_totals_add(struct amon_totals *totals, const struct amon_document *read)
{
	int error = 0;

	for (uint32_t i = 0; !error && i < totals->exports.section_count; i++)
		error = add_section(totals, read, i);
	return error ? error : renew_document(totals, read);
}

const struct amon_document *amon_totals_document(const struct amon_totals *totals)
{
	return totals->document;
}
