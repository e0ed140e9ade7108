/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AMON_EXPOSITION_H
#define AMON_EXPOSITION_H

#include "export.h"
#include "taken.h"

/* OpenMetrics 1.0: its families and samples (exposition.c), and what of a document becomes which (openmetrics.c). */

struct exposition {
	FILE *to;
	struct amon_arena *arena;
	const struct amon_document *document;
	const struct amon_document *totals; /* the same one where it holds totals itself */
	struct amon_taken families;
};

enum type { COUNTER, GAUGE, HISTOGRAM, INFO };

struct family {
	const char *name, *help, *unit;
	enum type type;
};

/* What tells one series of a family from the others. */
struct series {
	char *const *labels;          /* of the keys */
	const struct amon_cell *keys; /* as many cells */
	uint32_t key_count;
	const char *row; /* "other", "rest": no key */
};

/** A label; `before` is the bracket or comma before it. */
void om_put_label(FILE *to, char *before, const char *name, const char *value);

/**
 * A family that nobody has yet, nor names of samples. A unit is the name's end, once; so is `_total`, which the samples
 * of a counter have. Names that would meet get a `_` more.
 */
struct family om_family(struct exposition *e, const char *text, enum type type, const char *unit, const char *help);
/** What stands before its samples. */
void om_put_family(struct exposition *e, const struct family *family);
/** Of a table's keys: dots become `_`; what would then be the same, or one of ours, gets another `_` behind it. */
char **om_key_labels(struct exposition *e, const struct amon_export_table *table);
/** The samples of one cell: none where it is null. */
void om_put_point(struct exposition *e, const struct family *family, const struct series *series,
                  const struct amon_cell *cell);

#endif
