/* SPDX-License-Identifier: Apache-2.0 */
#include "exports_schema.h"

/* What of an export table comes from users' maps: as exports_validate.c does, before anything of it is followed. */

/* The kernel's own limit for keys and values, and no more columns than a record of ours can hold. */
#define MAP_BYTES (4u << 20)
#define ROW_BYTES (1u << 20)

static bool fits(uint32_t offset, uint64_t size, uint32_t whole)
{
	return offset + size <= whole;
}

static bool is_array(enum amon_map_kind kind)
{
	return kind == AMON_MAP_ARRAY || kind == AMON_MAP_PERCPU_ARRAY;
}

static bool may_be_locked(enum amon_map_kind kind)
{
	return kind == AMON_MAP_ARRAY || kind == AMON_MAP_HASH;
}

static const char *map_fault(const struct amon_export_user *user)
{
	bool keyless = amon_map_is_list(user->kind);

	if (!user->value_size || user->value_size > MAP_BYTES || user->key_size > MAP_BYTES)
		return "is of a map with entries of no such size";
	if (keyless != !user->key_size || (is_array(user->kind) && user->key_size != sizeof(uint32_t)))
		return "is of a map with keys of no such size";
	return user->locked && !may_be_locked(user->kind) ? "is of a map that has no locks" : NULL;
}

/* What may be made of several values. */
static bool is_merged_so(const struct amon_export_column *column)
{
	static const char *const names[] = { "sum", "mean", "min", "max" };

	if (column->aggregation == &amon_aggregation_value)
		return true;
	if (amon_base_is_address(column->type.base))
		return false;
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (column->aggregation == amon_aggregation_find(names[i]))
			return true;
	return column->aggregation == &amon_aggregation_least || column->aggregation == &amon_aggregation_most;
}

static bool is_number(const struct amon_export_column *column)
{
	enum amon_base base = column->type.base;

	return base == AMON_BASE_INT || base == AMON_BASE_BOOL || base == AMON_BASE_TIME;
}

/* The bytes that it is made from, and those that it becomes. */
static bool source_is_sound(const struct amon_export_column *column, uint32_t from)
{
	const struct amon_export_source *source = &column->source;
	uint32_t width = source->size;

	if (!fits(source->offset, width, from) || column->type.base == AMON_BASE_NET ||
	    column->layout.value_size != amon_value_size(column->type.base))
		return false;
	if (amon_base_is_address(column->type.base))
		return width == column->layout.value_size && source->form == AMON_FORM_UNSIGNED;
	return is_number(column) && (width == 1 || width == 2 || width == 4 || width == 8);
}

static const char *column_fault(const struct amon_export_user *user, const struct amon_export_column *column)
{
	bool from_key = column->kind == AMON_COLUMN_KEY && !amon_map_is_list(user->kind);

	if (column->source.form == AMON_FORM_CPU)
		return from_key && !column->source.size && amon_map_is_percpu(user->kind) && is_number(column) &&
		                       column->layout.value_size == 8
		               ? NULL
		               : "is the number of a CPU where there is none";
	if (!source_is_sound(column, from_key ? user->key_size : user->value_size))
		return "lies outside of its map";
	if (column->kind == AMON_COLUMN_KEY)
		return NULL;
	if (amon_map_is_list(user->kind))
		return "is a value of a map that has keys alone";
	return is_merged_so(column) ? NULL : "has an aggregation that is none of a map's";
}

static const char *columns_fault(const struct amon_export_user *user, const struct amon_export_column *columns,
                                 uint32_t count, const char **name)
{
	const char *fault = NULL;

	for (uint32_t i = 0; i < count && !fault; i++) {
		*name = columns[i].name;
		if (columns[i].kind != AMON_COLUMN_DERIVE)
			fault = column_fault(user, &columns[i]);
	}
	return fault;
}

const char *amon_user_table_fault(const struct amon_export_table *table, const char **name)
{
	const struct amon_export_user *user = table->user;
	const char *fault = map_fault(user);

	*name = table->name;
	if (fault)
		return fault;
	if (table->events || table->spill_map || table->shape || table->other_map)
		return "is a user's map, and more";
	if (table->selected != UINT32_MAX || table->in_rows != UINT32_MAX || table->other != UINT32_MAX ||
	    table->unaccounted_count)
		return "is a user's map, and has a ledger";
	/* they cannot be read but by taking what is in them */
	if ((user->kind == AMON_MAP_QUEUE || user->kind == AMON_MAP_STACK) && !table->reset)
		return "is a queue or stack that no read empties";
	if (!table->key_size || table->key_size > ROW_BYTES || !table->record_size || table->record_size > ROW_BYTES)
		return "has rows of no such size";
	return columns_fault(user, table->columns, table->column_count, name);
}

/* The columns that lie in it, by their values. */
static bool lies_in(const struct amon_export_part *part, const struct amon_export_column *column)
{
	return column->kind == AMON_COLUMN_METRIC && column->layout.value != UINT32_MAX &&
	       column->layout.value - part->offset < part->size;
}

const char *amon_user_part_fault(const struct amon_export_section *section, const struct amon_export_part *part,
                                 const char **name)
{
	const char *fault = map_fault(part->user);

	*name = part->map;
	if (!fault && !is_array(part->user->kind))
		fault = "is a part of a record, and no array";
	for (uint32_t i = 0; i < section->column_count && !fault; i++) {
		if (!lies_in(part, &section->columns[i]))
			continue;
		*name = section->columns[i].name;
		fault = column_fault(part->user, &section->columns[i]);
	}
	return fault;
}
