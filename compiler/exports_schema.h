/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AMON_EXPORTS_SCHEMA_H
#define AMON_EXPORTS_SCHEMA_H

#include "exports.h"

/*
 * THE table of what the export table's JSON holds: one row for one member of a struct, read by encode and decode alike.
 * What is as usual (zero, where nothing is said) is left out, so that the text stays short.
 */
enum amon_schema_form {
	AMON_SCHEMA_INTEGER, /* `size` bytes, low … high, signed where low is negative; left out where `usual` */
	AMON_SCHEMA_PLACE,   /* uint32_t; always there unless UINT32_MAX */
	AMON_SCHEMA_REAL,    /* a number, or "inf", "-inf", "nan" */
	AMON_SCHEMA_TEXT,    /* never NULL when decoded: "" */
	AMON_SCHEMA_NAME,    /* NULL for none */
	AMON_SCHEMA_WORD,    /* an enum, by name; always there unless its name is NULL */
	AMON_SCHEMA_HEX,     /* `size` bytes, without the zeros at the end */
	AMON_SCHEMA_STRUCT,  /* an object, in place */
	AMON_SCHEMA_POINTER, /* an object, or NULL */
	AMON_SCHEMA_ARRAY,   /* `count` objects behind a pointer */
	AMON_SCHEMA_INLINE,  /* `count` objects in place, at most `high` */
	AMON_SCHEMA_NUMBERS, /* `count` int64_t behind a pointer */
	AMON_SCHEMA_AGGREGATION,
	AMON_SCHEMA_FORMS,
};

struct amon_schema {
	const char *key;
	enum amon_schema_form form;
	size_t offset, size; /* size of one item for arrays and pointers */
	size_t count;        /* offset of the uint32_t that counts the items */
	int64_t low, high, usual;
	const char *const *words;          /* WORD; `high` of them */
	const struct amon_schema *members; /* ended by a NULL key */
};

/** struct amon_exports, behind its version. */
extern const struct amon_schema amon_exports_schema[];

/** Most items of one array, and how deep an expression may be, the derives that it refers to included. */
#define AMON_EXPORT_ITEMS 65536
#define AMON_EXPORT_DEPTH 2000

/** NULL where all is in bounds, else what is not (in the arena). */
const char *amon_exports_validate(struct amon_arena *arena, const struct amon_exports *exports);

/** The same of what comes from users' maps: what is wrong, and in *name where; NULL for nothing. */
const char *amon_user_table_fault(const struct amon_export_table *table, const char **name);
const char *amon_user_part_fault(const struct amon_export_section *section, const struct amon_export_part *part,
                                 const char **name);

#endif
