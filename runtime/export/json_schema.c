/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <jansson.h>
#include <string.h>

#include "schema.h"

/* Made whole, since a schema has no rows. */

static json_t *reference(const char *to)
{
	return json_pack("{s:s+}", "$ref", "#/$defs/", to);
}

static json_t *or_null(json_t *schema)
{
	return json_pack("{s:[o,{s:s}]}", "anyOf", schema, "type", "null");
}

/* An object that has the members of `properties` and no others; all but those that `optional` names. */
static json_t *object(json_t *properties, const char *optional)
{
	json_t *required = json_array(), *value;
	const char *key;

	json_object_foreach(properties, key, value) if (!optional || strcmp(key, optional) != 0)
	        json_array_append_new(required, json_string(key));
	return json_pack("{s:s, s:o, s:o, s:b}", "type", "object", "properties", properties, "required", required,
	                 "additionalProperties", 0);
}

static json_t *column_schema(const struct amon_export_column *column)
{
	static const char *const names[] = {
		[AMON_SHAPE_NATURAL] = "natural",
		[AMON_SHAPE_INTEGER] = "integer",
		[AMON_SHAPE_NUMBER] = "number",
		[AMON_SHAPE_BOOLEAN] = "boolean",
		[AMON_SHAPE_INSTANT] = "instant",
		[AMON_SHAPE_IPV4] = "ipv4",
		[AMON_SHAPE_IPV6] = "ipv6",
		[AMON_SHAPE_NET] = "net",
		[AMON_SHAPE_MAC] = "mac",
		[AMON_SHAPE_HISTOGRAM] = "histogram",
		[AMON_SHAPE_END_REASON] = "end_reason",
	};
	json_t *schema = reference(names[amon_shape_of(column)]);

	if (amon_may_be_null(column))
		schema = or_null(schema);
	if (*column->help)
		json_object_set_new(schema, "description", json_string(column->help));
	if (*column->unit)
		json_object_set_new(schema, "unit", json_string(column->unit));
	return schema;
}

/* Columns from `first` on. */
static json_t *columns_schema(const struct amon_export_column *columns, uint32_t first, uint32_t count)
{
	json_t *properties = json_object();

	for (uint32_t i = first; i < count; i++)
		json_object_set_new(properties, columns[i].name, column_schema(&columns[i]));
	return object(properties, NULL);
}

static json_t *table_schema(const struct amon_export_table *table)
{
	json_t *row = columns_schema(table->columns, 0, table->column_count);
	json_t *other = or_null(columns_schema(table->columns, table->key_count, table->column_count));
	json_t *rest = json_deep_copy(other);

	return object(json_pack("{s:{s:s, s:o}, s:o, s:o}", "rows", "type", "array", "items", row, "other", other,
	                        "rest", rest),
	              NULL);
}

static json_t *events_schema(const struct amon_export_table *events)
{
	json_t *row = columns_schema(events->columns, 0, events->column_count);

	return object(json_pack("{s:{s:s, s:o}, s:{s:s, s:i}}", "rows", "type", "array", "items", row, "lost", "type",
	                        "integer", "minimum", 0),
	              NULL);
}

/* The tables of a section, or its events. */
static void add_tables(json_t *members, const struct amon_export_section *section, bool events)
{
	json_t *tables = json_object();

	for (uint32_t i = 0; i < section->table_count; i++) {
		const struct amon_export_table *table = &section->tables[i];

		if (table->events == events)
			json_object_set_new(tables, table->name, events ? events_schema(table) : table_schema(table));
	}
	if (json_object_size(tables))
		json_object_set_new(members, events ? "events" : "tables", object(tables, NULL));
	else
		json_decref(tables);
}

static json_t *section_schema(const struct amon_export_section *section)
{
	json_t *members = json_object();

	json_object_set_new(members, "hooks", reference("hooks"));
	if (section->column_count)
		json_object_set_new(members, "metrics", columns_schema(section->columns, 0, section->column_count));
	add_tables(members, section, false);
	add_tables(members, section, true);
	json_object_set_new(members, "ledger", reference("ledger"));
	return object(members, NULL);
}

static json_t *exports_schema(const struct amon_exports *exports)
{
	json_t *members = json_object(), *schema, *any;

	json_object_set_new(members, "probe", json_pack("{s:s}", "const", exports->probe));
	json_object_set_new(members, "interface", json_pack("{s:s}", "type", "string"));
	json_object_set_new(members, "window", reference("window"));
	for (uint32_t i = 0; i < exports->section_count; i++)
		json_object_set_new(members, exports->sections[i].name, section_schema(&exports->sections[i]));
	if (exports->column_count)
		json_object_set_new(members, "metrics", columns_schema(exports->columns, 0, exports->column_count));
	schema = object(members, "interface");
	any = json_loads(amon_schema_text("amon.schema.json"), 0, NULL);
	json_object_set(schema, "$schema", json_object_get(any, "$schema"));
	json_object_set(schema, "$defs", json_object_get(any, "$defs"));
	json_object_set_new(schema, "title", json_string(exports->probe));
	if (*exports->help)
		json_object_set_new(schema, "description", json_string(exports->help));
	json_decref(any);
	return schema;
}

int amon_write_json_schema(const struct amon_exports *exports, FILE *to)
{
	json_t *schema = exports_schema(exports);

	errno = 0;
	json_dumpf(schema, to, JSON_INDENT(2));
	putc('\n', to);
	json_decref(schema);
	return amon_export_end(to);
}
