/* SPDX-License-Identifier: Apache-2.0 */
#include "schema.h"

#include <string.h>

const struct amon_schema_language amon_schema_languages[] = {
	{ "xsd", "of the XML", amon_write_xsd },
	{ "json-schema", "of the JSON", amon_write_json_schema },
	{ NULL, NULL, NULL },
};

const char *amon_schema_text(const char *name)
{
	for (const struct amon_text *text = amon_schemas; text->name; text++)
		if (!strcmp(text->name, name))
			return text->text;
	return NULL;
}

/* A derive of integers is a real where it leaves 64 bits. */
static enum amon_shape number_shape(const struct amon_export_column *column)
{
	bool converts = column->divisor != 1 || column->multiplier != 1;

	if (column->kind == AMON_COLUMN_DERIVE || column->type.base == AMON_BASE_REAL || converts)
		return AMON_SHAPE_NUMBER;
	if (column->type.bits || (column->kind == AMON_COLUMN_METRIC && column->aggregation->parts == AMON_PART_COUNT))
		return AMON_SHAPE_NATURAL;
	return AMON_SHAPE_INTEGER;
}

enum amon_shape amon_shape_of(const struct amon_export_column *column)
{
	static const enum amon_shape shapes[] = {
		[AMON_BASE_BOOL] = AMON_SHAPE_BOOLEAN, [AMON_BASE_TIME] = AMON_SHAPE_INSTANT,
		[AMON_BASE_IPV4] = AMON_SHAPE_IPV4,    [AMON_BASE_IPV6] = AMON_SHAPE_IPV6,
		[AMON_BASE_NET] = AMON_SHAPE_NET,      [AMON_BASE_MAC] = AMON_SHAPE_MAC,
	};

	if (column->kind == AMON_COLUMN_END)
		return AMON_SHAPE_END_REASON;
	if (column->kind == AMON_COLUMN_METRIC && column->aggregation->finish == AMON_FINISH_HISTOGRAM)
		return AMON_SHAPE_HISTOGRAM;
	if (column->kind == AMON_COLUMN_METRIC && column->aggregation->finish != AMON_FINISH_VALUE &&
	    column->aggregation->finish != AMON_FINISH_TOTAL)
		return AMON_SHAPE_NUMBER;
	switch (column->type.base) {
	case AMON_BASE_NONE:
	case AMON_BASE_INT:
	case AMON_BASE_REAL:
	case AMON_BASE_ROWS:
		return number_shape(column);
	default:
		return shapes[column->type.base];
	}
}

bool amon_may_be_null(const struct amon_export_column *column)
{
	if (column->kind == AMON_COLUMN_KEY)
		return column->layout.has != UINT32_MAX;
	if (column->kind == AMON_COLUMN_DERIVE || column->kind == AMON_COLUMN_END)
		return true;
	return column->aggregation->finish != AMON_FINISH_TOTAL && column->aggregation->finish != AMON_FINISH_HISTOGRAM;
}
