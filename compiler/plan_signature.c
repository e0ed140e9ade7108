/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "plan.h"

/*
 * What tells whether a feature of one spec is a feature of another: a number made of all that its values depend on,
 * lets and params written out. FNV-1a, 64 bits, of which 63 are kept, since JSON's integers have a sign.
 */

#define FNV_START 0xcbf29ce484222325
#define FNV_PRIME 0x100000001b3

static void add_bytes(uint64_t *hash, const void *bytes, size_t size)
{
	for (const uint8_t *byte = bytes; size--; byte++)
		*hash = (*hash ^ *byte) * FNV_PRIME;
}

static void add_number(uint64_t *hash, uint64_t number)
{
	add_bytes(hash, &number, sizeof(number));
}

/* With its end, so that no two texts in a row are like two others. */
static void add_text(uint64_t *hash, const char *text)
{
	add_bytes(hash, text ? text : "", text ? strlen(text) + 1 : 1);
}

static void add_address(uint64_t *hash, const struct amon_address *address)
{
	add_number(hash, address->family);
	add_bytes(hash, address->bytes, sizeof(address->bytes));
	add_number(hash, address->prefix);
}

static void add_ranges(uint64_t *hash, const struct amon_value *value)
{
	add_number(hash, value->range_count);
	for (uint32_t i = 0; i < value->range_count; i++) {
		const struct amon_range *range = &value->ranges[i];

		add_number(hash, (uint64_t)range->low);
		add_number(hash, (uint64_t)range->high);
		add_address(hash, &range->address);
		add_address(hash, &range->address_high);
		add_number(hash, range->is_range);
	}
}

static void add_tree(uint64_t *hash, const struct amon_value *value, bool deep);

/* What a packet leaves there for the next. */
static void add_remembered(uint64_t *hash, const struct amon_column *column)
{
	add_text(hash, column->aggregation->name);
	add_tree(hash, column->argument, false);
	add_tree(hash, column->where, false);
	add_tree(hash, column->initial, false);
	add_tree(hash, column->narrowed ? column->narrowed->where : NULL, false);
	add_number(hash, column->width);
	add_number(hash, column->is_signed);
}

static bool is_previous(const struct amon_column *column)
{
	return column->aggregation == &amon_aggregation_previous;
}

/* States may read each other: of those that are read by what is read there are only the names. */
static void add_memory(uint64_t *hash, const struct amon_value *value, bool deep)
{
	const struct amon_column *column = value->kind == AMON_VALUE_MEMORY ? value->column : NULL;

	if (value->kind == AMON_VALUE_ROW)
		add_text(hash, value->table->name);
	if (!column)
		return;
	add_number(hash, value->asked);
	add_text(hash, column->table ? column->table->name : NULL);
	if (!is_previous(column))
		add_text(hash, column->name);
	if (deep || is_previous(column))
		add_remembered(hash, column);
}

static void add_tree(uint64_t *hash, const struct amon_value *value, bool deep)
{
	add_number(hash, value ? value->kind : UINT64_MAX);
	if (!value)
		return;
	add_number(hash, value->op);
	add_number(hash, value->type.base);
	add_number(hash, value->type.prefix);
	add_number(hash, value->type.prefix6);
	add_number(hash, (uint64_t)value->integer);
	add_address(hash, &value->address);
	add_text(hash, value->field ? value->field->name : NULL);
	add_text(hash, value->payload ? value->payload->name : NULL);
	add_number(hash, value->offset);
	add_number(hash, value->width);
	add_number(hash, value->is_signed);
	add_number(hash, value->layers);
	add_ranges(hash, value);
	add_memory(hash, value, deep);
	add_tree(hash, value->left, deep);
	add_tree(hash, value->middle, deep);
	add_tree(hash, value->right, deep);
}

static void add_value(uint64_t *hash, const struct amon_value *value)
{
	add_tree(hash, value, true);
}

static void add_buckets(uint64_t *hash, const struct amon_buckets *buckets)
{
	add_number(hash, buckets->kind);
	add_number(hash, (uint64_t)buckets->low);
	add_number(hash, (uint64_t)buckets->high);
	add_number(hash, (uint64_t)buckets->step);
	add_number(hash, buckets->bits);
	for (uint32_t i = 0; buckets->edges && i < buckets->edge_count; i++)
		add_number(hash, (uint64_t)buckets->edges[i]);
}

static uint64_t kept(uint64_t hash)
{
	return hash & INT64_MAX;
}

uint64_t amon_section_signature(const struct amon_section *section)
{
	uint64_t hash = FNV_START;

	add_text(&hash, section->name);
	for (uint32_t i = 0; i < section->hook_count; i++) {
		add_number(&hash, section->hooks[i].kind);
		add_number(&hash, section->hooks[i].choice);
		add_number(&hash, section->hooks[i].mode);
	}
	add_value(&hash, section->where);
	return kept(hash);
}

uint64_t amon_table_signature(const struct amon_table *table)
{
	uint64_t hash = amon_section_signature(table->section);

	add_text(&hash, table->name);
	add_number(&hash, table->events);
	for (const struct amon_column *key = table->keys.first; key; key = key->next) {
		add_text(&hash, key->name);
		add_value(&hash, key->value);
	}
	add_value(&hash, table->where);
	if (table->expire.span.source) {
		add_number(&hash, table->expire.idle);
		add_number(&hash, table->expire.active);
		add_value(&hash, table->expire.when);
		add_number(&hash, table->expire.linger);
	}
	return kept(hash);
}

uint64_t amon_metric_signature(const struct amon_column *column)
{
	uint64_t hash = column->table ? amon_table_signature(column->table) : amon_section_signature(column->section);

	add_text(&hash, column->name);
	add_text(&hash, column->aggregation->name);
	add_value(&hash, column->argument);
	add_value(&hash, column->where);
	add_value(&hash, column->initial);
	add_number(&hash, column->width);
	add_number(&hash, column->is_signed);
	add_buckets(&hash, &column->buckets);
	add_number(&hash, column->timing.snapshot);
	add_number(&hash, column->timing.reset);
	return kept(hash);
}

static void add_record(uint64_t *hash, const struct amon_plan_record *record)
{
	add_number(hash, record->size);
	for (uint32_t i = 0; i < record->metric_count; i++) {
		add_number(hash, amon_metric_signature(record->metrics[i].column));
		add_bytes(hash, &record->metrics[i].layout, sizeof(record->metrics[i].layout));
	}
}

static void add_keys(uint64_t *hash, const struct amon_plan_table *table)
{
	add_number(hash, table->key_size);
	for (uint32_t i = 0; i < table->key_count; i++) {
		add_number(hash, table->keys[i].offset);
		add_number(hash, table->keys[i].size);
	}
}

uint64_t amon_rows_signature(const struct amon_plan_table *table)
{
	uint64_t hash = amon_table_signature(table->table);

	/* versions of amon whose maps hold rows otherwise */
	add_number(&hash, 2);
	add_keys(&hash, table);
	add_record(&hash, &table->record);
	add_number(&hash, table->table->size);
	add_number(&hash, table->table->overflow);
	add_number(&hash, table->table->timing.snapshot);
	add_number(&hash, table->table->timing.reset);
	/* rows are numbered otherwise */
	if (table->expire && !table->expire->lives_map)
		add_text(&hash, table->memory->map);
	return kept(hash);
}

static void add_members(uint64_t *hash, const struct amon_columns *columns)
{
	for (const struct amon_column *column = columns->first; column; column = column->next) {
		add_text(hash, column->name);
		add_number(hash, column->type.base);
		add_text(hash, column->aggregation ? column->aggregation->name : NULL);
		add_number(hash, column->member->source.offset);
		add_number(hash, column->member->source.size);
		add_number(hash, column->member->source.form);
	}
}

/* What packets leave in a map is what the C makes it: two texts of it are never known to mean the same. */
uint64_t amon_export_signature(const struct amon_plan_export *export)
{
	const struct amon_user_export *checked = export->export;
	uint64_t hash = amon_section_signature(checked->section);

	for (const struct amon_user *user = checked->section->users; user; user = user->next)
		add_bytes(&hash, user->file->source->text, user->file->source->length);
	add_text(&hash, checked->map->name);
	add_number(&hash, checked->map->kind);
	add_number(&hash, checked->map->entries);
	add_members(&hash, &checked->keys);
	add_members(&hash, &checked->metrics);
	add_number(&hash, checked->timing.snapshot);
	add_number(&hash, checked->timing.reset);
	return kept(hash);
}

uint64_t amon_part_signature(const struct amon_plan *plan, const struct amon_plan_section *section,
                             const struct amon_plan_part *part)
{
	uint64_t hash = amon_section_signature(section->section);

	add_number(&hash, part == section->parts);
	add_number(&hash, section->section->timing.reset);
	for (int cause = 0; cause < AMON_CAUSE_COUNT; cause++)
		add_number(&hash, plan->causes[cause]);
	for (uint32_t i = 0; i < section->table_count; i++) {
		const struct amon_plan_table *table = &section->tables[i];

		if (table->part != part)
			continue;
		add_number(&hash, amon_table_signature(table->table));
		for (int c = 0; c < AMON_LEDGER_COUNT; c++)
			add_number(&hash, table->counters[c] ? table->counter_offsets[c] : UINT32_MAX);
	}
	add_record(&hash, &part->record);
	add_number(&hash, part->twice);
	return kept(hash);
}

static void add_items(uint64_t *hash, const struct amon_plan_record *record)
{
	add_number(hash, record->size);
	for (uint32_t i = 0; i < record->metric_count; i++) {
		add_text(hash, is_previous(record->metrics[i].column) ? NULL : record->metrics[i].column->name);
		add_remembered(hash, record->metrics[i].column);
		add_bytes(hash, &record->metrics[i].layout, sizeof(record->metrics[i].layout));
	}
}

uint64_t amon_memory_signature(const struct amon_plan_section *section, const struct amon_plan_table *table)
{
	const struct amon_plan_memory *memory = table ? table->memory : section->memory;
	uint64_t hash = table ? amon_table_signature(table->table) : amon_section_signature(section->section);

	if (table)
		add_keys(&hash, table);
	add_number(&hash, memory->value_size);
	add_number(&hash, memory->seen);
	add_number(&hash, memory->ends);
	add_number(&hash, memory->expires);
	add_number(&hash, memory->exchanged);
	add_items(&hash, &memory->state);
	for (uint32_t i = 0; i < memory->fold_count; i++) {
		add_number(&hash, memory->folds[i].anew);
		add_items(&hash, &memory->folds[i].record);
	}
	return kept(hash);
}
