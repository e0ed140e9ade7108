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
	/* As the windows', but no row is left out, and behind each record stands the end of its row's last window. */
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

/* The rows of a window, each with its end. */
static int gather(const struct amon_export_table *table, const struct amon_table_rows *window, uint64_t end,
                  struct amon_collected_table *into)
{
	uint8_t *record = malloc(table->record_size);
	uint64_t place = 0;
	int error = record ? 0 : -ENOMEM;

	while (!error && amon_rows_next(window, &place)) {
		memcpy(record, amon_row_record(window), table->record_size - sizeof(end));
		memcpy(record + table->record_size - sizeof(end), &end, sizeof(end));
		error = amon_collected_add(table, into, amon_row_key(window), record);
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

static int add_rows(const struct amon_export_table *table, const struct amon_table_rows *window, uint64_t end,
                    struct amon_collected_table *into)
{
	struct amon_collected_table fresh = { 0 }, merged = { 0 };
	int error = gather(table, window, end, &fresh);

	if (!error)
		error = merge_rows(table, into, &fresh, end, &merged);
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

/* --- windows */

static int add_table(struct amon_totals *totals, const struct amon_document *window, uint32_t section, uint32_t index)
{
	const struct amon_export_table *table = &totals->exports.sections[section].tables[index];
	const struct amon_table_rows *rows = &window->sections[section].tables[index];
	struct amon_collected_table *into = &totals->collected->sections[section].tables[index];
	void **rest = &totals->rests[section][index];

	if (rows->other_record)
		amon_merge_columns(table->columns, table->column_count, into->other, rows->other_record);
	if (rows->rest_record && !*rest)
		*rest = amon_arena_alloc(totals->arena, table->record_size);
	if (rows->rest_record)
		amon_merge_columns(table->columns, table->column_count, *rest, rows->rest_record);
	return add_rows(table, rows, window->window.end, into);
}

static int renew_document(struct amon_totals *totals, const struct amon_document *window)
{
	int error;

	amon_document_free(totals->document);
	totals->document = NULL;
	error = amon_document(&totals->exports, totals->collected, &window->window, &totals->document);
	for (uint32_t s = 0; !error && s < totals->exports.section_count; s++)
		for (uint32_t t = 0; t < totals->exports.sections[s].table_count; t++)
			if (totals->rests[s][t])
				amon_rows_set_rest(&totals->document->sections[s].tables[t], totals->rests[s][t]);
	return error;
}

int amon_totals_add(struct amon_totals *totals, const struct amon_document *window)
{
	int error = 0;

	for (uint32_t s = 0; s < totals->exports.section_count; s++) {
		const struct amon_export_section *section = &totals->exports.sections[s];

		amon_merge_section(section, totals->collected->sections[s].record, window->sections[s].record);
		for (uint32_t t = 0; !error && t < section->table_count; t++)
			error = add_table(totals, window, s, t);
	}
	return error ? error : renew_document(totals, window);
}

const struct amon_document *amon_totals_document(const struct amon_totals *totals)
{
	return totals->document;
}
