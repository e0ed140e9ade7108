/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "arena.h"
#include "exports_schema.h"

/*
 * An object comes from anywhere, and the runtime follows its export table into memory. So every offset, index and count
 * is held against the size of what it points into, once, here.
 */

/* The kernel's limit for one value of a per-CPU map. */
#define RECORD_MAX 65536
/* More than any record can hold, and far from where the shift that counts them would overflow. */
#define BITS_MAX 12

/* One block's columns. */
struct list {
	const struct amon_export_column *columns;
	uint32_t count;
	int32_t section, table;
	const struct amon_export_value *having;
	uint16_t *depths; /* of each derive's expression; 0: not known yet */
};

/* A derive whose depth is being found: who meets it again stands in a circle. */
#define IN_PROGRESS UINT16_MAX

struct validation {
	struct amon_arena *arena;
	const struct amon_exports *exports;
	struct list *lists; /* the probe's, then each section's with those of its tables behind it */
	uint32_t list_count;
	uint32_t *first; /* list of each section */
	const char *error;
};

static bool refuse(struct validation *validation, const char *name, const char *why)
{
	if (!validation->error)
		validation->error =
		        amon_arena_printf(validation->arena, "the export table is damaged: \"%s\" %s", name, why);
	return false;
}

static bool fits(uint32_t offset, uint64_t size, uint32_t whole)
{
	return offset + size <= whole;
}

/* --- columns */

static bool linear_is_sound(const struct amon_buckets *buckets)
{
	__int128 last = buckets->low + (__int128)buckets->step * ((__int128)buckets->edge_count - 1);

	return buckets->step > 0 && buckets->edge_count && buckets->edge_count <= AMON_EXPORT_ITEMS &&
	       last <= buckets->high;
}

static bool edges_are_sound(const struct amon_buckets *buckets)
{
	if (!buckets->edges || !buckets->edge_count)
		return false;
	for (uint32_t i = 1; i < buckets->edge_count; i++)
		if (buckets->edges[i - 1] >= buckets->edges[i])
			return false;
	return true;
}

static bool buckets_are_sound(const struct amon_buckets *buckets)
{
	switch (buckets->kind) {
	case AMON_BUCKETS_LOG2:
		return true;
	case AMON_BUCKETS_LOGLINEAR:
		return buckets->bits <= BITS_MAX;
	case AMON_BUCKETS_LINEAR:
		return linear_is_sound(buckets);
	case AMON_BUCKETS_EDGES:
		return edges_are_sound(buckets);
	case AMON_BUCKETS_NONE:
		break;
	}
	return false;
}

static bool address_value_fits(const struct amon_export_column *column, uint32_t size)
{
	const struct amon_layout *layout = &column->layout;

	if (layout->value_size != amon_value_size(column->type.base) || !fits(layout->value, layout->value_size, size))
		return false;
	return column->type.base != AMON_BASE_NET || fits(layout->version, 1, size);
}

/* Numbers take no more bytes than they need. */
static bool number_fits(const struct amon_export_column *column, uint32_t size)
{
	uint32_t width = column->layout.value_size;

	if (column->type.base != AMON_BASE_INT && column->type.base != AMON_BASE_BOOL)
		return address_value_fits(column, size);
	return (width == 1 || width == 2 || width == 4 || width == 8) && fits(column->layout.value, width, size);
}

/* What adds has 8 bytes, and addresses have their own. */
static bool value_fits(const struct amon_export_column *column, uint32_t size)
{
	if (column->aggregation->merge != AMON_MERGE_ADD)
		return number_fits(column, size);
	return address_value_fits(column, size);
}

/* Of `first` and `last`, whose merge copies each part that has an offset. */
static bool time_fits(const struct amon_export_column *column, uint32_t size)
{
	const struct amon_layout *layout = &column->layout;

	if (layout->time == UINT32_MAX)
		return layout->value_size == 8;
	return fits(layout->time, 8, size);
}

static bool buckets_fit(const struct amon_export_column *column, uint32_t size)
{
	const struct amon_layout *layout = &column->layout;

	return buckets_are_sound(&column->buckets) && layout->bucket_count == amon_bucket_count(&column->buckets) &&
	       fits(layout->buckets, 8 * (uint64_t)layout->bucket_count, size);
}

static bool parts_fit(const struct amon_export_column *column, uint32_t size)
{
	const struct amon_layout *layout = &column->layout;
	unsigned int parts = column->aggregation->parts;

	if (parts & AMON_PART_VALUE && !value_fits(column, size))
		return false;
	if (parts & AMON_PART_COUNT && !fits(layout->count, 8, size))
		return false;
	if (parts & AMON_PART_SQUARES && !fits(layout->squares, 16, size))
		return false;
	if (parts & AMON_PART_TIME && !time_fits(column, size))
		return false;
	if (parts & AMON_PART_HAS && !fits(layout->has, 1, size))
		return false;
	return !(parts & AMON_PART_BUCKETS) || buckets_fit(column, size);
}

/* What has no place of its own must say so: the merge copies the rest. */
static bool no_stray_parts(const struct amon_export_column *column, uint32_t size)
{
	const struct amon_layout *layout = &column->layout;
	unsigned int parts = column->aggregation->parts;

	return (parts & AMON_PART_TIME || layout->time == UINT32_MAX) &&
	       (layout->version == UINT32_MAX || fits(layout->version, 1, size));
}

static bool metric_is_sound(struct validation *validation, const struct amon_export_column *column,
                            uint32_t record_size)
{
	if (!column->aggregation)
		return refuse(validation, column->name, "has no aggregation");
	if (!column->aggregation->takes_address && amon_base_is_address(column->type.base))
		return refuse(validation, column->name, "aggregates addresses");
	if (!parts_fit(column, record_size) || !no_stray_parts(column, record_size))
		return refuse(validation, column->name, "lies outside its record");
	return true;
}

static bool column_is_sound(struct validation *validation, const struct amon_export_column *column,
                            uint32_t record_size, uint32_t key_size)
{
	if (!*column->name)
		return refuse(validation, "name", "of a column is missing");
	if (!column->divisor || !column->multiplier)
		return refuse(validation, column->name, "is divided or multiplied by 0");
	if (column->kind == AMON_COLUMN_DERIVE)
		return column->value || refuse(validation, column->name, "has no expression");
	if (column->kind == AMON_COLUMN_METRIC)
		return metric_is_sound(validation, column, record_size);
	if (column->kind == AMON_COLUMN_END)
		return fits(column->layout.value, 8, record_size) ||
		       refuse(validation, column->name, "lies outside its record");
	return (number_fits(column, key_size) &&
	        (column->layout.has == UINT32_MAX || fits(column->layout.has, 1, key_size))) ||
	       refuse(validation, column->name, "lies outside its key");
}

/* --- expressions */

static bool column_depth(struct validation *validation, struct list *list, uint32_t index, uint32_t level,
                         uint32_t *depth);

static struct list *find_list(struct validation *validation, const struct list *here,
                              const struct amon_export_value *value)
{
	if (value->section < -1 || value->section >= (int64_t)validation->exports->section_count || value->table < -1)
		return NULL;
	if (value->section == -1)
		return value->table == -1 ? &validation->lists[0] : NULL;
	if (value->table >= 0 && (value->section != here->section || value->table != here->table))
		return NULL;
	return &validation->lists[validation->first[value->section] + (uint32_t)(value->table + 1)];
}

static bool reference_depth(struct validation *validation, struct list *here, const struct amon_export_value *value,
                            uint32_t level, uint32_t *depth)
{
	struct list *list = find_list(validation, here, value);
	const struct amon_export_column *column;

	if (!list || value->column < 0 || (uint32_t)value->column >= list->count)
		return refuse(validation, "column", "refers to nothing");
	column = &list->columns[value->column];
	if (value->member != AMON_MEMBER_VALUE &&
	    (column->kind != AMON_COLUMN_METRIC || column->aggregation->finish != AMON_FINISH_HISTOGRAM))
		return refuse(validation, column->name, "has no members");
	return column_depth(validation, list, (uint32_t)value->column, level, depth);
}

static bool range_is_sound(const struct amon_range *range)
{
	static const uint8_t bits[] = {
		[AMON_ADDRESS_IPV4] = 32,
		[AMON_ADDRESS_IPV6] = 128,
		[AMON_ADDRESS_MAC] = 48,
	};

	return range->address.prefix <= bits[range->address.family] &&
	       range->address_high.prefix <= bits[range->address_high.family];
}

/* Which children an expression of a kind has, and which operators. */
struct shape {
	bool left, middle, right;
	enum amon_operator from, to;
};

static const struct shape *shape_of(enum amon_value_kind kind)
{
	static const struct shape shapes[] = {
		[AMON_VALUE_PRESENT] = { .left = true },
		[AMON_VALUE_UNARY] = { .left = true, .from = AMON_OP_NOT, .to = AMON_OP_COMPLEMENT },
		[AMON_VALUE_BINARY] = { .left = true, .right = true, .from = AMON_OP_OR, .to = AMON_OP_MODULO },
		[AMON_VALUE_IN] = { .left = true, .from = AMON_OP_NONE, .to = AMON_OP_MODULO },
		[AMON_VALUE_CHOICE] = { .left = true, .middle = true, .right = true },
		[AMON_VALUE_ABS] = { .left = true },
		[AMON_VALUE_MIN] = { .left = true, .right = true },
		[AMON_VALUE_MAX] = { .left = true, .right = true },
		[AMON_VALUE_LOG2] = { .left = true },
		[AMON_VALUE_SQRT] = { .left = true },
	};
	static const struct shape leaf;

	return kind < sizeof(shapes) / sizeof(*shapes) ? &shapes[kind] : &leaf;
}

static bool shape_is_sound(struct validation *validation, const struct amon_export_value *value)
{
	const struct shape *shape = shape_of(value->kind);

	if (!value->left != !shape->left || !value->middle != !shape->middle || !value->right != !shape->right)
		return refuse(validation, "value", "has operands too few or too many");
	if (value->op < shape->from || value->op > shape->to)
		return refuse(validation, "op", "does not go with its operands");
	if (value->kind == AMON_VALUE_BINARY && value->op == AMON_OP_IN)
		return refuse(validation, "op", "does not go with its operands");
	for (uint32_t i = 0; i < value->range_count; i++)
		if (!range_is_sound(&value->ranges[i]))
			return refuse(validation, "ranges", "holds a prefix that is too long");
	return true;
}

/* Also how deep it is: the runtime recurses on it. */
static bool value_depth(struct validation *validation, struct list *here, const struct amon_export_value *value,
                        uint32_t level, uint32_t *depth)
{
	const struct amon_export_value *children[] = { value->left, value->middle, value->right };
	uint32_t deepest = 0;

	if (level >= AMON_EXPORT_DEPTH)
		return refuse(validation, "value", "is nested too deep");
	if (!shape_is_sound(validation, value))
		return false;
	if (value->kind == AMON_VALUE_COLUMN && !reference_depth(validation, here, value, level + 1, &deepest))
		return false;
	for (size_t i = 0; i < sizeof(children) / sizeof(*children); i++) {
		uint32_t child = 0;

		if (children[i] && !value_depth(validation, here, children[i], level + 1, &child))
			return false;
		deepest = child > deepest ? child : deepest;
	}
	*depth = deepest + 1;
	return true;
}

static bool column_depth(struct validation *validation, struct list *list, uint32_t index, uint32_t level,
                         uint32_t *depth)
{
	const struct amon_export_column *column = &list->columns[index];
	uint16_t *known = &list->depths[index];

	if (column->kind != AMON_COLUMN_DERIVE)
		return true;
	if (*known == IN_PROGRESS)
		return refuse(validation, column->name, "refers to itself");
	if (*known && level + *known > AMON_EXPORT_DEPTH)
		return refuse(validation, column->name, "is nested too deep");
	if (!*known) {
		*known = IN_PROGRESS;
		if (!value_depth(validation, list, column->value, level, depth))
			return false;
		*known = (uint16_t)*depth;
	}
	*depth = *known;
	return true;
}

/* --- blocks */

static bool columns_are_sound(struct validation *validation, const struct list *list, uint32_t record_size,
                              uint32_t key_size, uint32_t key_count)
{
	for (uint32_t i = 0; i < list->count; i++) {
		const struct amon_export_column *column = &list->columns[i];

		if (!column_is_sound(validation, column, record_size, key_size))
			return false;
		if ((column->kind == AMON_COLUMN_KEY) != (i < key_count))
			return refuse(validation, column->name, "stands where no such column belongs");
		if (!record_size && column->kind == AMON_COLUMN_METRIC)
			return refuse(validation, column->name, "has no record");
	}
	return true;
}

static bool counter_fits(struct validation *validation, const struct amon_export_section *section, uint32_t offset)
{
	return fits(offset, 16, section->record_size) ||
	       refuse(validation, section->name, "has counters outside its record");
}

static bool counters_fit(struct validation *validation, const struct amon_export_section *section,
                         const struct amon_export_counter *counters, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		if (!counter_fits(validation, section, counters[i].offset))
			return false;
	return true;
}

static bool sizes_are_sound(struct validation *validation, const char *name, uint32_t record_size)
{
	if (!*name)
		return refuse(validation, "name", "of a section or table is missing");
	if (!record_size || record_size > RECORD_MAX)
		return refuse(validation, name, "has a record of no such size");
	return true;
}

static bool table_counters_fit(struct validation *validation, const struct amon_export_section *section,
                               const struct amon_export_table *table)
{
	if (!table->other_map != (table->other == UINT32_MAX))
		return refuse(validation, table->name, "has half of an `other` row");
	if (table->other_map && !counter_fits(validation, section, table->other))
		return false;
	return counter_fits(validation, section, table->selected) &&
	       counter_fits(validation, section, table->in_rows) &&
	       counters_fit(validation, section, table->unaccounted, table->unaccounted_count);
}

/* So that there are no more of them than bytes. */
static bool keys_lie_apart(struct validation *validation, const struct amon_export_table *table)
{
	uint64_t size = 0;

	for (uint32_t i = 0; i < table->key_count; i++)
		size += table->columns[i].layout.value_size;
	return size <= table->key_size || refuse(validation, table->name, "has keys that lie over each other");
}

static bool users_are_sound(struct validation *validation, const struct amon_export_table *table,
                            const struct list *list)
{
	const char *name, *fault = amon_user_table_fault(table, &name);

	if (fault)
		return refuse(validation, name, fault);
	return columns_are_sound(validation, list, table->record_size, table->key_size, table->key_count);
}

static bool selection_is_sound(struct validation *validation, const struct amon_export_table *table)
{
	if (!*table->name)
		return refuse(validation, "name", "of a section or table is missing");
	if (!*table->map)
		return refuse(validation, table->name, "has no map");
	if (!table->key_size || table->key_count > table->column_count)
		return refuse(validation, table->name, "has a key of no such size");
	if (table->top && (table->top_by < 0 || (uint32_t)table->top_by >= table->column_count))
		return refuse(validation, table->name, "is sorted by a column that it does not have");
	return true;
}

static bool expire_is_sound(struct validation *validation, const struct amon_export_table *table)
{
	const struct amon_export_expire *expire = table->expire;

	if (!expire)
		return true;
	if (table->events || !table->twice || !table->reset || table->key_size < 8 || !expire->idle ||
	    !expire->active || !expire->lives_map != !expire->shape)
		return refuse(validation, table->name, "has rows that cannot end");
	if (expire->lives_map &&
	    (expire->slot_size % 8 || expire->slot_size < 8 + (uint64_t)table->key_size + AMON_LIFE_SIZE))
		return refuse(validation, table->name, "has slots of no such size");
	return fits(expire->flow, AMON_FLOW_SIZE, table->record_size) ||
	       refuse(validation, table->name, "has rows that end outside of their records");
}

static bool table_is_sound(struct validation *validation, const struct amon_export_section *section,
                           const struct amon_export_table *table, const struct list *list)
{
	/* an event has a byte more for each field that may be absent, at most one for each of its bytes */
	uint32_t key_most = table->events ? 2 * AMON_MAX_EVENT : table->expire ? AMON_MAX_LAID_KEY : AMON_MAX_KEY;

	if (!selection_is_sound(validation, table))
		return false;
	if (table->user)
		return users_are_sound(validation, table, list) && keys_lie_apart(validation, table);
	if (table->events == (table->spill_map && table->shape))
		return refuse(validation, table->name, "has no map");
	if (!table->events &&
	    (table->slot_size % 8 || table->slot_size < (uint64_t)table->key_size + table->record_size))
		return refuse(validation, table->name, "has slots of no such size");
	if (!sizes_are_sound(validation, table->name, table->record_size) ||
	    !table_counters_fit(validation, section, table) || !expire_is_sound(validation, table))
		return false;
	if (table->key_size > key_most)
		return refuse(validation, table->name, "has a key of no such size");
	return columns_are_sound(validation, list, table->record_size, table->key_size, table->key_count) &&
	       keys_lie_apart(validation, table);
}

/* Nothing is read of a private table but its counters. */
static bool private_is_sound(struct validation *validation, const struct amon_export_section *section,
                             const struct amon_export_table *table)
{
	if (!*table->name)
		return refuse(validation, "name", "of a section or table is missing");
	return table_counters_fit(validation, section, table);
}

static bool memory_is_sound(struct validation *validation, const struct amon_export_memory *memory)
{
	if (!*memory->map)
		return refuse(validation, "memories", "holds one without a map");
	if (!memory->key_size || memory->key_size > AMON_MAX_LAID_KEY || !memory->value_size ||
	    memory->value_size > RECORD_MAX)
		return refuse(validation, memory->map, "has entries of no such size");
	if (memory->life != UINT32_MAX && !fits(memory->life, AMON_LIFE_SIZE, memory->value_size))
		return refuse(validation, memory->map, "has rows that end outside of its values");
	return memory->seen == UINT32_MAX || fits(memory->seen, 8, memory->value_size) ||
	       refuse(validation, memory->map, "notes windows outside of its values");
}

static bool parts_are_sound(struct validation *validation, const struct amon_export_section *section)
{
	uint64_t end = 0;

	for (uint32_t i = 0; i < section->part_count; i++) {
		const struct amon_export_part *part = &section->parts[i];

		const char *name, *fault = part->user ? amon_user_part_fault(section, part, &name) : NULL;

		if (fault)
			return refuse(validation, name, fault);
		if (!*part->map || part->offset != end || !part->size)
			return refuse(validation, section->name, "has a record in pieces");
		end += part->size;
	}
	return end == section->record_size || refuse(validation, section->name, "has a record in pieces");
}

/* All others have a ledger. */
static bool users_are_last(struct validation *validation, const struct amon_export_section *section)
{
	bool good = section->user_count <= section->table_count;

	for (uint32_t i = 0; i < section->table_count; i++)
		good &= !section->tables[i].user == (i < section->table_count - section->user_count);
	return good || refuse(validation, section->name, "has tables of users' maps elsewhere than behind its own");
}

static bool section_is_sound(struct validation *validation, const struct amon_export_section *section,
                             const struct list *lists)
{
	if (!sizes_are_sound(validation, section->name, section->record_size) ||
	    !parts_are_sound(validation, section) || !counter_fits(validation, section, section->seen) ||
	    !counter_fits(validation, section, section->selected) ||
	    !counters_fit(validation, section, section->malformed, section->malformed_count))
		return false;
	if (!section->hook_count)
		return refuse(validation, section->name, "has no hook");
	if (!columns_are_sound(validation, lists, section->record_size, 0, 0))
		return false;
	if (!users_are_last(validation, section))
		return false;
	for (uint32_t i = 0; i < section->table_count; i++)
		if (!table_is_sound(validation, section, &section->tables[i], &lists[i + 1]))
			return false;
	for (uint32_t i = 0; i < section->private_count; i++)
		if (!private_is_sound(validation, section, &section->privates[i]))
			return false;
	for (uint32_t i = 0; i < section->memory_count; i++)
		if (!memory_is_sound(validation, &section->memories[i]))
			return false;
	return true;
}

static bool blocks_are_sound(struct validation *validation)
{
	const struct amon_exports *exports = validation->exports;

	for (uint32_t i = 0; i < exports->section_count; i++)
		if (!section_is_sound(validation, &exports->sections[i], &validation->lists[validation->first[i]]))
			return false;
	return columns_are_sound(validation, &validation->lists[0], 0, 0, 0);
}

/* Once all columns are sound: an expression may refer to any of them. */
static bool derives_are_sound(struct validation *validation)
{
	uint32_t depth;

	for (uint32_t i = 0; i < validation->list_count; i++)
		for (uint32_t j = 0; j < validation->lists[i].count; j++)
			if (!column_depth(validation, &validation->lists[i], j, 0, &depth))
				return false;
	return true;
}

static bool havings_are_sound(struct validation *validation)
{
	uint32_t depth;

	for (uint32_t i = 0; i < validation->list_count; i++) {
		struct list *list = &validation->lists[i];

		if (list->having && !value_depth(validation, list, list->having, 0, &depth))
			return false;
	}
	return true;
}

static void add_list(struct validation *validation, const struct amon_export_column *columns, uint32_t count,
                     int32_t section, int32_t table)
{
	validation->lists[validation->list_count++] = (struct list){
		.columns = columns,
		.count = count,
		.section = section,
		.table = table,
		.depths = amon_new_array(validation->arena, uint16_t, count),
	};
}

static void add_section(struct validation *validation, const struct amon_export_section *section, int32_t index)
{
	validation->first[index] = validation->list_count;
	add_list(validation, section->columns, section->column_count, index, -1);
	for (uint32_t i = 0; i < section->table_count; i++) {
		const struct amon_export_table *table = &section->tables[i];

		add_list(validation, table->columns, table->column_count, index, (int32_t)i);
		validation->lists[validation->list_count - 1].having = table->having;
	}
}

static void make_lists(struct validation *validation)
{
	const struct amon_exports *exports = validation->exports;
	size_t count = 1;

	for (uint32_t i = 0; i < exports->section_count; i++)
		count += 1 + exports->sections[i].table_count;
	validation->lists = amon_new_array(validation->arena, struct list, count);
	validation->first = amon_new_array(validation->arena, uint32_t, exports->section_count);
	add_list(validation, exports->columns, exports->column_count, -1, -1);
	for (uint32_t i = 0; i < exports->section_count; i++)
		add_section(validation, &exports->sections[i], (int32_t)i);
}

const char *amon_exports_validate(struct amon_arena *arena, const struct amon_exports *exports)
{
	struct validation validation = { .arena = arena, .exports = exports };

	make_lists(&validation);
	if (!*exports->probe)
		refuse(&validation, "probe", "has no name");
	else if (blocks_are_sound(&validation) && derives_are_sound(&validation))
		havings_are_sound(&validation);
	return validation.error;
}
