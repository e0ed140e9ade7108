/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AMON_EVALUATE_H
#define AMON_EVALUATE_H

#include "compiler/exports.h"

/* Inside amon_document(): what a metric's record says, and what derives and `having` make of it. Before any unit. */

enum amon_result_kind {
	AMON_RESULT_NULL,
	AMON_RESULT_INTEGER, /* a truth value too: 0, 1 */
	AMON_RESULT_NATURAL, /* over 2^63 - 1: exported as it is, in expressions a double */
	AMON_RESULT_REAL,    /* finite */
	AMON_RESULT_ADDRESS,
};

struct amon_result {
	enum amon_result_kind kind;
	union {
		int64_t integer;
		uint64_t natural;
		double real;
		struct amon_address address;
	};
};

/** The columns of one block and what they are in one record; each is found once, when it is first asked for. */
struct amon_row {
	const struct amon_export_column *columns;
	uint32_t count;
	const void *key;    /* NULL: keys are null */
	const void *record; /* NULL for the probe's own derives */
	struct amon_result *results;
	bool *known;
};

struct amon_evaluation {
	uint64_t window, since_start; /* what values cover that are reset, and totals; nanoseconds */
	struct amon_row *probe, *sections;
	struct amon_row *row; /* of a table; NULL outside */
};

void amon_row_init(struct amon_arena *arena, struct amon_row *row, const struct amon_export_column *columns,
                   uint32_t count);
/** Turns to another record. */
void amon_row_set(struct amon_row *row, const void *key, const void *record);

struct amon_result amon_row_result(const struct amon_evaluation *evaluation, struct amon_row *row, uint32_t column);
struct amon_result amon_evaluate(const struct amon_evaluation *evaluation, const struct amon_export_value *value);
/** Of a condition; null is false. */
bool amon_holds(struct amon_result result);

/* metric.c */
struct amon_result amon_key_result(const struct amon_export_column *column, const void *key);
/** What a record holds for a metric. Of a histogram only the members have a value. */
struct amon_result amon_metric_result(const struct amon_export_column *column, const void *record,
                                      enum amon_member member);
/** One bucket of a histogram. */
uint64_t amon_metric_bucket(const struct amon_export_column *column, const void *record, uint32_t bucket);

#endif
