/* SPDX-License-Identifier: Apache-2.0 */
#include "cells.h"

#include <math.h>
#include <string.h>

#include "compiler/arena.h"
#include "flows.h"

static struct amon_cell real_cell(long double real)
{
	if (!isfinite((double)real))
		return (struct amon_cell){ .kind = AMON_CELL_NULL };
	return (struct amon_cell){ .kind = AMON_CELL_REAL, .real = (double)real };
}

static bool converts(const struct amon_export_column *column)
{
	return column->divisor != 1 || column->multiplier != 1;
}

/* An integer is whole until here, so that it is rounded once. */
static long double convert(const struct amon_export_column *column, long double number)
{
	return number * column->multiplier / column->divisor;
}

static long double number_of(const struct amon_result *result)
{
	if (result->kind == AMON_RESULT_REAL)
		return result->real;
	return result->kind == AMON_RESULT_NATURAL ? (long double)result->natural : (long double)result->integer;
}

/* Instants of the data plane's clock become times since 1970; what lies beyond all clocks has no name. */
static struct amon_cell time_cell(const struct amon_document *document, const struct amon_result *result)
{
	int64_t instant = result->integer;

	if (result->kind != AMON_RESULT_INTEGER) {
		if (fabsl(number_of(result)) >= 0x1p63L)
			return (struct amon_cell){ .kind = AMON_CELL_NULL };
		instant = (int64_t)result->real;
	}
	return (struct amon_cell){
		.kind = AMON_CELL_TIME,
		.time = (uint64_t)instant + (uint64_t)document->window.clock_offset,
	};
}

static bool is_natural(const struct amon_export_column *column, const struct amon_result *result)
{
	if (result->kind == AMON_RESULT_NATURAL || column->type.bits)
		return true;
	return column->kind == AMON_COLUMN_METRIC && column->aggregation->parts == AMON_PART_COUNT;
}

static struct amon_cell number_cell(const struct amon_export_column *column, const struct amon_result *result)
{
	if (converts(column))
		return real_cell(convert(column, number_of(result)));
	if (result->kind == AMON_RESULT_REAL)
		return real_cell(result->real);
	if (column->type.base == AMON_BASE_BOOL)
		return (struct amon_cell){ .kind = AMON_CELL_BOOL, .boolean = result->integer };
	if (is_natural(column, result))
		return (struct amon_cell){ .kind = AMON_CELL_UNSIGNED, .natural = result->natural };
	return (struct amon_cell){ .kind = AMON_CELL_SIGNED, .integer = result->integer };
}

static struct amon_cell result_cell(const struct amon_document *document, const struct amon_export_column *column,
                                    const struct amon_result *result)
{
	if (result->kind == AMON_RESULT_NULL)
		return (struct amon_cell){ .kind = AMON_CELL_NULL };
	if (result->kind == AMON_RESULT_ADDRESS)
		return (struct amon_cell){ .kind = AMON_CELL_ADDRESS, .address = result->address };
	if (column->type.base == AMON_BASE_TIME)
		return time_cell(document, result);
	return number_cell(column, result);
}

/*
 * A rate: the quotient and its unit are rounded once, so that 2400 bits in ten seconds are 240 bits per second, and not
 * 239.99999999999997.
 */
static bool is_rate(const struct amon_export_column *column)
{
	return column->kind == AMON_COLUMN_DERIVE && converts(column) && column->value->kind == AMON_VALUE_BINARY &&
	       column->value->op == AMON_OP_DIVIDE;
}

static struct amon_cell rate_cell(const struct amon_evaluation *evaluation, const struct amon_export_column *column)
{
	struct amon_result left = amon_evaluate(evaluation, column->value->left);
	struct amon_result right = amon_evaluate(evaluation, column->value->right);

	return real_cell(convert(column, number_of(&left)) / number_of(&right));
}

/* --- histograms: their edges are made once, their counts for each row */

static bool is_histogram(const struct amon_export_column *column)
{
	return column->kind == AMON_COLUMN_METRIC && column->aggregation->finish == AMON_FINISH_HISTOGRAM;
}

static void init_bucket(const struct amon_export_column *column, bool is_signed, uint32_t index,
                        struct amon_bucket_cell *bucket)
{
	bucket->last = !amon_bucket_edge(&column->buckets, index, &bucket->le);
	bucket->le_real =
	        (double)convert(column, is_signed ? (long double)(int64_t)bucket->le : (long double)bucket->le);
}

static struct amon_histogram_cell *new_histogram(struct amon_arena *arena, const struct amon_export_column *column)
{
	struct amon_histogram_cell *cell = amon_new(arena, struct amon_histogram_cell);

	cell->sum = amon_new(arena, struct amon_cell);
	cell->converted = converts(column);
	cell->is_signed = column->buckets.kind == AMON_BUCKETS_LINEAR || column->buckets.kind == AMON_BUCKETS_EDGES;
	cell->bucket_count = column->layout.bucket_count;
	cell->buckets = amon_new_array(arena, struct amon_bucket_cell, cell->bucket_count);
	for (uint32_t i = 0; i < cell->bucket_count; i++)
		init_bucket(column, cell->is_signed, i, &cell->buckets[i]);
	return cell;
}

static void fill_histogram(const struct amon_export_column *column, const void *record,
                           struct amon_histogram_cell *cell)
{
	struct amon_result sum = amon_metric_result(column, record, AMON_MEMBER_SUM);

	*cell->sum = number_cell(column, &sum);
	cell->count = 0;
	for (uint32_t i = 0; i < cell->bucket_count; i++) {
		cell->buckets[i].count = amon_metric_bucket(column, record, i);
		cell->count += cell->buckets[i].count;
	}
}

/* --- blocks */

struct amon_cell *amon_cells_new(struct amon_arena *arena, const struct amon_export_column *columns, uint32_t count)
{
	struct amon_cell *cells = amon_new_array(arena, struct amon_cell, count);

	for (uint32_t i = 0; i < count; i++)
		if (is_histogram(&columns[i]))
			cells[i] = (struct amon_cell){
				.kind = AMON_CELL_HISTOGRAM,
				.histogram = new_histogram(arena, &columns[i]),
			};
	return cells;
}

static struct amon_cell end_cell(const struct amon_export_column *column, const void *record)
{
	enum amon_end reason = AMON_END_NONE;
	const char *word;

	if (record)
		memcpy(&reason, (const char *)record + column->layout.value, sizeof(reason));
	word = reason < AMON_END_COUNT ? amon_end_words[reason] : NULL;
	return (struct amon_cell){ .kind = word ? AMON_CELL_WORD : AMON_CELL_NULL, .word = word };
}

static struct amon_cell cell_of(const struct amon_document *document, const struct amon_evaluation *evaluation,
                                struct amon_row *row, uint32_t column)
{
	const struct amon_export_column *exported = &row->columns[column];
	struct amon_result result;

	if (exported->kind == AMON_COLUMN_END)
		return end_cell(exported, row->record);
	result = amon_row_result(evaluation, row, column);

	if (result.kind == AMON_RESULT_REAL && is_rate(exported))
		return rate_cell(evaluation, exported);
	return result_cell(document, exported, &result);
}

void amon_cells_fill(const struct amon_document *document, const struct amon_evaluation *evaluation,
                     struct amon_row *row, uint32_t first, uint32_t count, struct amon_cell *cells)
{
	for (uint32_t i = first; i < first + count; i++)
		if (is_histogram(&row->columns[i]))
			fill_histogram(&row->columns[i], row->record, cells[i].histogram);
		else
			cells[i] = cell_of(document, evaluation, row, i);
}
