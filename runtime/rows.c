/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cells.h"
#include "compiler/arena.h"
#include "storage.h"

/* What making a document needs at hand. */
struct making {
	const struct amon_exports *exports;
	const struct amon_collected *collected;
	struct amon_document *document;
	struct amon_evaluation evaluation;
};

/** A table and which of its rows are exported. */
struct selection {
	const struct amon_export_table *table;
	const struct amon_collected_table *from;
	struct amon_row row;
	struct ranked *ranked; /* those that are exported, in their order */
	uint64_t count;
	bool *chosen; /* for each row of `from` */
};

/* A row and its place under `top`: long double holds every 64-bit integer. What is null comes last. */
struct ranked {
	long double rank;
	uint64_t row;
};

/* --- selection */

static void turn_to(struct selection *selection, uint64_t row)
{
	amon_row_set(&selection->row, selection->from->keys + row * selection->table->key_size,
	             selection->from->records + row * selection->table->record_size);
}

static bool passes(struct making *making, const struct selection *selection)
{
	return !selection->table->having || amon_holds(amon_evaluate(&making->evaluation, selection->table->having));
}

static long double rank_of(struct making *making, struct selection *selection)
{
	struct amon_result result;

	if (!selection->table->top)
		return 0;
	result = amon_row_result(&making->evaluation, &selection->row, (uint32_t)selection->table->top_by);
	switch (result.kind) {
	case AMON_RESULT_INTEGER:
		return result.integer;
	case AMON_RESULT_NATURAL:
		return result.natural;
	case AMON_RESULT_REAL:
		return result.real;
	default:
		return -INFINITY;
	}
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

/* Leaves the first `top` rows, in order. A heap keeps them, with the last at its root, while the others pass by. */
static void choose_top(struct selection *selection)
{
	struct ranked *ranked = selection->ranked;
	uint64_t top = selection->table->top < selection->count ? selection->table->top : selection->count;

	for (uint64_t i = top / 2; i-- > 0;)
		sink(ranked, top, i);
	for (uint64_t i = top; i < selection->count; i++) {
		if (!is_before(&ranked[i], &ranked[0]))
			continue;
		ranked[0] = ranked[i];
		sink(ranked, top, 0);
	}
	qsort(ranked, top, sizeof(*ranked), compare_ranked);
	selection->count = top;
}

static int select_rows(struct making *making, struct selection *selection)
{
	uint64_t row_count = selection->from->row_count;

	selection->ranked = reallocarray(NULL, row_count + 1, sizeof(*selection->ranked));
	selection->chosen = calloc(row_count + 1, sizeof(*selection->chosen));
	if (!selection->ranked || !selection->chosen)
		return -ENOMEM;
	for (uint64_t i = 0; i < row_count; i++) {
		turn_to(selection, i);
		if (passes(making, selection))
			selection->ranked[selection->count++] = (struct ranked){ rank_of(making, selection), i };
	}
	if (selection->table->top)
		choose_top(selection);
	for (uint64_t i = 0; i < selection->count; i++)
		selection->chosen[selection->ranked[i].row] = true;
	return 0;
}

/* --- cells */

static void fill_cells(struct making *making, struct amon_row *row, struct amon_cell *cells)
{
	for (uint32_t i = 0; i < row->count; i++)
		cells[i] = amon_cell_of(making->document, &making->evaluation, row, i);
}

static struct amon_cell *new_cells(struct making *making, uint64_t rows, uint32_t columns)
{
	return amon_new_array(making->document->arena, struct amon_cell, rows * columns);
}

/* A row of its own, without keys. */
static struct amon_cell *keyless_cells(struct making *making, struct selection *selection, const void *record)
{
	struct amon_cell *cells = new_cells(making, 1, selection->table->column_count);

	amon_row_set(&selection->row, NULL, record);
	fill_cells(making, &selection->row, cells);
	return cells;
}

static void fill_rows(struct making *making, struct selection *selection, struct amon_table_rows *into)
{
	uint32_t columns = selection->table->column_count;

	into->row_count = selection->count;
	into->cells = new_cells(making, selection->count, columns);
	for (uint64_t i = 0; i < selection->count; i++) {
		turn_to(selection, selection->ranked[i].row);
		fill_cells(making, &selection->row, into->cells + i * columns);
	}
}

/* What was left out, merged as CPUs are. */
static void fill_rest(struct making *making, struct selection *selection, struct amon_table_rows *into)
{
	const struct amon_export_table *table = selection->table;
	void *merged;

	into->left_out = selection->from->row_count - selection->count;
	if (!into->left_out)
		return;
	merged = amon_arena_alloc(making->document->arena, table->record_size);
	for (uint64_t i = 0; i < selection->from->row_count; i++)
		if (!selection->chosen[i])
			amon_merge_columns(table->columns, table->column_count, merged,
			                   selection->from->records + i * table->record_size);
	into->rest = keyless_cells(making, selection, merged);
}

static void fill_other(struct making *making, struct selection *selection, const void *section_record,
                       struct amon_table_rows *into)
{
	uint64_t packets;

	if (!selection->table->other_map)
		return;
	memcpy(&packets, (const char *)section_record + selection->table->other, sizeof(packets));
	if (packets)
		into->other = keyless_cells(making, selection, selection->from->other);
}

static int make_table(struct making *making, const struct amon_export_table *table,
                      const struct amon_collected_table *from, const void *section_record, struct amon_table_rows *into)
{
	struct selection selection = { .table = table, .from = from };
	int error;

	into->table = table;
	amon_row_init(making->document->arena, &selection.row, table->columns, table->column_count);
	making->evaluation.row = &selection.row;
	error = select_rows(making, &selection);
	if (!error) {
		fill_rows(making, &selection, into);
		fill_rest(making, &selection, into);
		fill_other(making, &selection, section_record, into);
	}
	making->evaluation.row = NULL;
	free(selection.ranked);
	free(selection.chosen);
	return error;
}

/* --- the document */

static int make_section(struct making *making, uint32_t index)
{
	const struct amon_export_section *section = &making->exports->sections[index];
	const struct amon_collected_section *from = &making->collected->sections[index];
	struct amon_section_rows *into = &making->document->sections[index];
	int error = 0;

	into->section = section;
	into->record = from->record;
	into->cells = new_cells(making, 1, section->column_count);
	fill_cells(making, &making->evaluation.sections[index], into->cells);
	into->tables = amon_new_array(making->document->arena, struct amon_table_rows, section->table_count);
	for (uint32_t i = 0; !error && i < section->table_count; i++)
		error = make_table(making, &section->tables[i], &from->tables[i], from->record, &into->tables[i]);
	return error;
}

/* The rows of the probe and its sections, to which any expression may refer. */
static void init_evaluation(struct making *making, struct amon_row *probe)
{
	struct amon_arena *arena = making->document->arena;
	const struct amon_exports *exports = making->exports;
	const struct amon_window *window = &making->document->window;
	struct amon_row *sections = amon_new_array(arena, struct amon_row, exports->section_count);

	amon_row_init(arena, probe, exports->columns, exports->column_count);
	for (uint32_t i = 0; i < exports->section_count; i++) {
		amon_row_init(arena, &sections[i], exports->sections[i].columns, exports->sections[i].column_count);
		amon_row_set(&sections[i], NULL, making->collected->sections[i].record);
	}
	making->evaluation = (struct amon_evaluation){
		.window = window->end - window->start,
		.probe = probe,
		.sections = sections,
	};
}

static int make_document(struct making *making)
{
	struct amon_document *document = making->document;
	const struct amon_exports *exports = making->exports;
	struct amon_row probe;
	int error = 0;

	init_evaluation(making, &probe);
	document->sections = amon_new_array(document->arena, struct amon_section_rows, exports->section_count);
	for (uint32_t i = 0; !error && i < exports->section_count; i++)
		error = make_section(making, i);
	document->cells = new_cells(making, 1, exports->column_count);
	fill_cells(making, &probe, document->cells);
	return error;
}

int amon_document(const struct amon_exports *exports, const struct amon_collected *collected,
                  const struct amon_window *window, struct amon_document **document)
{
	struct amon_arena *arena = amon_arena_new();
	struct making making = { .exports = exports, .collected = collected };
	int error;

	making.document = amon_new(arena, struct amon_document);
	*making.document = (struct amon_document){ .exports = exports, .window = *window, .arena = arena };
	error = make_document(&making);
	*document = error ? NULL : making.document;
	if (error)
		amon_arena_free(arena);
	return error;
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
