/* SPDX-License-Identifier: Apache-2.0 */
#include "plan_internal.h"

/* What is read of one map becomes rows of at most so many bytes, and what of a section's becomes a record. */
#define ROW_MAX    16384u
#define RECORD_MAX 65536u

void plan_take_users(const struct amon_probe *probe, struct names *globals)
{
	for (const struct amon_section *section = probe->sections; section; section = section->next)
		for (const struct amon_user *user = section->users; user; user = user->next)
			for (uint32_t i = 0; i < user->file->name_count; i++)
				plan_take(globals, user->file->names[i]);
}

static void place_value(const struct amon_column *column, struct amon_layout *layout, uint32_t *offset)
{
	uint32_t size = amon_value_size(column->type.base);

	*layout = amon_layout_nowhere;
	layout->value_size = size;
	layout->value = plan_place(offset, size, size % 8 ? 4 : 8);
}

static void place_metrics(struct amon_plan *plan, struct amon_plan_export *export)
{
	const struct amon_columns *metrics = &export->export->metrics;
	uint32_t offset = 0, i = 0;

	export->metrics = amon_new_array(plan->arena, struct amon_layout, metrics->count + 1);
	for (const struct amon_column *column = metrics->first; column; column = column->next, i++) {
		place_value(column, &export->metrics[i], &offset);
		if (column->aggregation->parts & AMON_PART_COUNT)
			export->metrics[i].count = plan_place(&offset, 8, 8);
	}
	i = 0;
	for (const struct amon_column *column = metrics->first; column; column = column->next, i++)
		if (column->aggregation->parts & AMON_PART_HAS)
			export->metrics[i].has = plan_place(&offset, 1, 1);
	export->record_size = plan_align(offset ? offset : 1, 8);
}

static void place_keys(struct amon_plan *plan, struct amon_plan_export *export)
{
	const struct amon_columns *keys = &export->export->keys;
	uint32_t offset = 0, i = 0;

	export->keys = amon_new_array(plan->arena, struct amon_layout, keys->count + 1);
	for (const struct amon_column *column = keys->first; column; column = column->next)
		place_value(column, &export->keys[i++], &offset);
	export->key_size = plan_align(offset, 8);
}

static void plan_export(struct amon_plan *plan, struct amon_plan_export *export, struct amon_diagnostics *diagnostics)
{
	const struct amon_user_export *checked = export->export;

	export->twice = checked->timing.snapshot || checked->timing.reset;
	place_metrics(plan, export);
	place_keys(plan, export);
	if (export->key_size > ROW_MAX || export->record_size > ROW_MAX)
		amon_error(diagnostics, checked->span, "a row of the map `%s` takes %u bytes; %u at most",
		           checked->map->name, export->key_size + export->record_size, ROW_MAX);
}

static uint32_t count_exports(const struct amon_section *section)
{
	uint32_t count = 0;

	for (const struct amon_user *user = section->users; user; user = user->next)
		for (const struct amon_user_export *export = user->exports; export; export = export->next)
			count++;
	return count;
}

/* What is no table lies in the section's record, behind its own parts. */
static void place_parts(struct amon_plan_section *section, struct amon_diagnostics *diagnostics)
{
	uint32_t size = 0;

	for (uint32_t i = 0; i < section->part_count; i++)
		size += section->parts[i].record.size;
	for (uint32_t i = 0; i < section->export_count; i++) {
		struct amon_plan_export *export = &section->exports[i];

		if (export->export->is_table)
			continue;
		export->offset = size;
		size += export->record_size;
		if (size > RECORD_MAX)
			amon_error(diagnostics, export->export->span,
			           "the metrics of section `%s` take more than %u bytes", section->section->name,
			           RECORD_MAX);
	}
}

static void check_tables(const struct amon_plan_section *section, struct amon_diagnostics *diagnostics)
{
	uint32_t count = section->table_count;

	for (uint32_t i = 0; i < section->export_count; i++)
		if (section->exports[i].export->is_table && ++count == AMON_MAX_TABLES + 1)
			amon_error(diagnostics, section->exports[i].export->span, "a section has at most %d tables",
			           AMON_MAX_TABLES);
}

void plan_users(struct amon_plan *plan, struct amon_plan_section *section, struct names *globals,
                struct amon_diagnostics *diagnostics)
{
	const struct amon_section *checked = section->section;
	uint32_t i = 0;

	section->export_count = count_exports(checked);
	section->exports = amon_new_array(plan->arena, struct amon_plan_export, section->export_count + 1);
	for (const struct amon_user *user = checked->users; user; user = user->next) {
		plan->map_count += user->file->used_maps;
		for (const struct amon_user_export *export = user->exports; export; export = export->next, i++) {
			section->exports[i].export = export;
			plan_export(plan, &section->exports[i], diagnostics);
		}
	}
	if (checked->users && checked->where)
		section->selects = plan_prefixed(globals, "selects_", checked->name);
	place_parts(section, diagnostics);
	check_tables(section, diagnostics);
}
