/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AMON_SCHEMA_H
#define AMON_SCHEMA_H

#include "compiler/text.h"
#include "export.h"

/**
 * A schema language: what the documents of one spec look like, made from its export table. `write` returns 0 or -errno
 * of the stream.
 */
struct amon_schema_language {
	const char *name, *help;
	int (*write)(const struct amon_exports *exports, FILE *to);
};
/** THE table of them, ended by a NULL name. */
extern const struct amon_schema_language amon_schema_languages[];

int amon_write_xsd(const struct amon_exports *exports, FILE *to);
int amon_write_json_schema(const struct amon_exports *exports, FILE *to);

/** schemas/, for the documents of any spec: by its name there. Types that schemas of one spec share are taken from it.
 */
const char *amon_schema_text(const char *name);

/** What a cell can be, beside null. */
enum amon_shape {
	AMON_SHAPE_NATURAL,
	AMON_SHAPE_INTEGER,
	AMON_SHAPE_NUMBER,
	AMON_SHAPE_BOOLEAN,
	AMON_SHAPE_INSTANT,
	AMON_SHAPE_IPV4,
	AMON_SHAPE_IPV6,
	AMON_SHAPE_NET,
	AMON_SHAPE_MAC,
	AMON_SHAPE_HISTOGRAM,
	AMON_SHAPE_END_REASON,
};
enum amon_shape amon_shape_of(const struct amon_export_column *column);
/** Whether a cell of the column may be null, in a row. */
bool amon_may_be_null(const struct amon_export_column *column);

#endif
