/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cells.h"
#include "compiler/arena.h"
#include "storage.h"

/* A row and its place under `top`: long double holds every 64-bit integer. What is null comes last. */
struct ranked {
	long double rank;
	uint64_t row;
};

/** A table as it was collected, and which of its rows are exported. */
struct amon_selection {
	const struct amon_document *document;
	const struct amon_export_table *table;
	const struct amon_collected_table *from;
	struct amon_row row; /* that is turned to */
	uint64_t at;
	struct amon_cell *cells; /* its own */
	struct ranked *top;      /* under `top`: the rows that are exported, in their order */
	uint64_t top_count, top_room;
};

/* --- selection */

static void turn_to(struct amon_selection *selection, uint64_t row)
{
	selection->at = row;
	amon_row_set(&selection->row, selection->from->keys + row * selection->table->key_size,
	             selection->from->records + row * selection->table->record_size);
}

/* For expressions, whose names are those of the row turned to. */
static const struct amon_evaluation *evaluation_of(struct amon_selection *selection)
{
	selection->document->evaluation->row = &selection->row;
	return selection->document->evaluation;
}

static bool passes(struct amon_selection *selection)
{
	const struct amon_export_value *having = selection->table->having;

	return !having || amon_holds(amon_evaluate(evaluation_of(selection), having));
}

static struct ranked rank_of(struct amon_selection *selection)
{
	struct amon_result result =
	        amon_row_result(evaluation_of(selection), &selection->row, (uint32_t)selection->table->top_by);
	struct ranked ranked = { .rank = -INFINITY, .row = selection->at };

	if (result.kind == AMON_RESULT_INTEGER)
		ranked.rank = result.integer;
	else if (result.kind == AMON_RESULT_NATURAL)
		ranked.rank = result.natural;
	else if (result.kind == AMON_RESULT_REAL)
		ranked.rank = result.real;
	return ranked;
}

/* Rows come in the order of their keys, which settles ties. */
static bool is_before(const struct ranked *a, const struct ranked *b)
{
	return a->rank != b->rank ? a->rank > b->rank : a->row < b->row;
}

static int compare_ranked(const void *a, const void *b)
{
	return is_before(a, b) ? -1 : is_before(b, a);
}

/* Puts the first of a heap, whose children are before their parents, where it belongs. */
static void sink(struct ranked *heap, uint64_t count, uint64_t at)
{
	for (;;) {
		uint64_t last = at, child = 2 * at + 1;
		struct ranked moved = heap[at];

		if (child < count && is_before(&heap[last], &heap[child]))
			last = child;
		if (child + 1 < count && is_before(&heap[last], &heap[child + 1]))
			last = child + 1;
		if (last == at)
			return;
		heap[at] = heap[last];
		heap[last] = moved;
		at = last;
	}
}

/* A heap keeps the first N rows, with the last of them at its root, while the others pass by. */
static void offer(struct amon_selection *selection, struct ranked candidate)
{
	struct ranked *top = selection->top;

	if (selection->top_count == selection->top_room) {
		if (!is_before(&candidate, &top[0]))
			return;
		top[0] = candidate;
		sink(top, selection->top_count, 0);
		return;
	}
	top[selection->top_count++] = candidate;
	if (selection->top_count == selection->top_room)
		for (uint64_t i = selection->top_room / 2; i-- > 0;)
			sink(top, selection->top_room, i);
}

static void choose_top(struct amon_arena *arena, struct amon_selection *selection)
{
	uint64_t top = selection->table->top, row_count = selection->from->row_count;

	selection->top_room = top < row_count ? top : row_count;
	selection->top = amon_new_array(arena, struct ranked, selection->top_room);
	for (uint64_t i = 0; i < row_count; i++) {
		turn_to(selection, i);
		if (passes(selection))
			offer(selection, rank_of(selection));
	}
	qsort(selection->top, selection->top_count, sizeof(*selection->top), compare_ranked);
}

/* Of the row turned to. Ranks differ, so that the last row under `top` tells all that are from all that are not. */
static bool is_exported(struct amon_selection *selection)
{
	struct ranked ranked;

	if (!passes(selection))
		return false;
	if (!selection->top)
		return true;
	ranked = rank_of(selection);
	return !is_before(&selection->top[selection->top_count - 1], &ranked);
}

static uint64_t count_rows(struct amon_selection *selection)
{
	uint64_t count = 0;

	if (selection->top)
		return selection->top_count;
	if (!selection->table->having)
		return selection->from->row_count;
	for (uint64_t i = 0; i < selection->from->row_count; i++) {
		turn_to(selection, i);
		count += passes(selection);
	}
	return count;
}

/* --- walking */

bool amon_rows_next(const struct amon_table_rows *rows, uint64_t *place)
{
	struct amon_selection *selection = rows->selection;

	if (selection->top) {
		if (*place == selection->top_count)
			return false;
		turn_to(selection, selection->top[(*place)++].row);
		return true;
	}
	while (*place < selection->from->row_count) {
		turn_to(selection, (*place)++);
		if (passes(selection))
			return true;
	}
	return false;
}

const struct amon_cell *amon_row_cells(const struct amon_table_rows *rows, uint32_t first, uint32_t count)
{
	struct amon_selection *selection = rows->selection;

	amon_cells_fill(selection->document, evaluation_of(selection), &selection->row, first, count, selection->cells);
	return selection->cells;
}

const void *amon_row_key(const struct amon_table_rows *rows)
{
	return rows->selection->row.key;
}

const void *amon_row_record(const struct amon_table_rows *rows)
{
	return rows->selection->row.record;
}

/* --- tables */

/* A row of its own, without keys. */
static const struct amon_cell *keyless_cells(struct amon_selection *selection, const void *record)
{
	const struct amon_export_table *table = selection->table;
	const struct amon_document *document = selection->document;
	struct amon_cell *cells = amon_cells_new(document->arena, table->columns, table->column_count);

	amon_row_set(&selection->row, NULL, record);
	amon_cells_fill(document, evaluation_of(selection), &selection->row, 0, table->column_count, cells);
	return cells;
}

/* What was left out, merged as CPUs are. */
static void make_rest(struct amon_table_rows *into)
{
	const struct amon_export_table *table = into->table;
	struct amon_selection *selection = into->selection;
	void *merged;

	if (!into->left_out)
		return;
	merged = amon_arena_alloc(selection->document->arena, table->record_size);
	for (uint64_t i = 0; i < selection->from->row_count; i++) {
		turn_to(selection, i);
		if (!is_exported(selection))
			amon_merge_columns(table->columns, table->column_count, merged, selection->row.record);
	}
	amon_clear_alone(table, merged);
	amon_rows_set_rest(into, merged);
}

void amon_rows_set_rest(struct amon_table_rows *rows, const void *record)
{
	rows->rest_record = record;
	rows->rest = keyless_cells(rows->selection, record);
}

static void make_other(const void *section_record, struct amon_table_rows *into)
{
	uint64_t packets;

	if (!into->table->other_map)
		return;
	memcpy(&packets, (const char *)section_record + into->table->other, sizeof(packets));
	if (!packets)
		return;
	into->other_record = into->selection->from->other;
	into->other = keyless_cells(into->selection, into->other_record);
}

static void make_table(const struct amon_document *document, const struct amon_export_table *table,
                       const struct amon_collected_table *from, const void *section_record,
                       struct amon_table_rows *into)
{
	struct amon_selection *selection = amon_new(document->arena, struct amon_selection);

	*selection = (struct amon_selection){
		.document = document,
		.table = table,
		.from = from,
		.cells = amon_cells_new(document->arena, table->columns, table->column_count),
	};
	amon_row_init(document->arena, &selection->row, table->columns, table->column_count);
	if (table->top)
		choose_top(document->arena, selection);
	*into = (struct amon_table_rows){ .table = table, .selection = selection };
	into->row_count = count_rows(selection);
	into->left_out = from->row_count - into->row_count;
	make_rest(into);
	make_other(section_record, into);
}

/* --- the document */

static struct amon_cell *block_cells(struct amon_document *document, struct amon_row *row)
{
	struct amon_cell *cells = amon_cells_new(document->arena, row->columns, row->count);

	amon_cells_fill(document, document->evaluation, row, 0, row->count, cells);
	return cells;
}

static void make_section(struct amon_document *document, uint32_t index)
{
	const struct amon_export_section *section = &document->exports->sections[index];
	const struct amon_collected_section *from = &document->collected->sections[index];
	struct amon_section_rows *into = &document->sections[index];

	into->section = section;
	into->record = from->record;
	into->cells = block_cells(document, &document->evaluation->sections[index]);
	into->tables = amon_new_array(document->arena, struct amon_table_rows, section->table_count);
	for (uint32_t i = 0; i < section->table_count; i++)
		make_table(document, &section->tables[i], &from->tables[i], from->record, &into->tables[i]);
}

/* The rows of the probe and its sections, to which any expression may refer. */
static struct amon_evaluation *new_evaluation(const struct amon_document *document)
{
	struct amon_arena *arena = document->arena;
	const struct amon_exports *exports = document->exports;
	struct amon_evaluation *evaluation = amon_new(arena, struct amon_evaluation);

	*evaluation = (struct amon_evaluation){
		.window = document->window.end - document->window.start,
		.since_start = document->window.end - document->window.origin,
		.probe = amon_new(arena, struct amon_row),
		.sections = amon_new_array(arena, struct amon_row, exports->section_count),
	};
	amon_row_init(arena, evaluation->probe, exports->columns, exports->column_count);
	for (uint32_t i = 0; i < exports->section_count; i++) {
		const struct amon_export_section *section = &exports->sections[i];

		amon_row_init(arena, &evaluation->sections[i], section->columns, section->column_count);
		amon_row_set(&evaluation->sections[i], NULL, document->collected->sections[i].record);
	}
	return evaluation;
}

int amon_document(const struct amon_exports *exports, const struct amon_collected *collected,
                  const struct amon_window *window, struct amon_document **made)
{
	struct amon_arena *arena = amon_arena_new();
	struct amon_document *document = amon_new(arena, struct amon_document);

	*document = (struct amon_document){
		.exports = exports,
		.collected = collected,
		.window = *window,
		.arena = arena,
	};
	document->evaluation = new_evaluation(document);
	document->sections = amon_new_array(arena, struct amon_section_rows, exports->section_count);
	for (uint32_t i = 0; i < exports->section_count; i++)
		make_section(document, i);
	document->cells = block_cells(document, document->evaluation->probe);
	*made = document;
	return 0;
}

void amon_document_free(struct amon_document *document)
{
	if (document)
		amon_arena_free(document->arena);
}

struct amon_packets amon_section_packets(const struct amon_section_rows *section, uint32_t offset)
{
	struct amon_packets packets;

	memcpy(&packets, (const char *)section->record + offset, sizeof(packets));
	return packets;
}

uint64_t amon_events_lost(const struct amon_section_rows *section, const struct amon_export_table *events)
{
	uint64_t lost = 0;

	for (uint32_t i = 0; i < events->unaccounted_count; i++)
		lost += amon_section_packets(section, events->unaccounted[i].offset).packets;
	return lost;
}
