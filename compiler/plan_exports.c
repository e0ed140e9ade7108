/* SPDX-License-Identifier: Apache-2.0 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "ipfix.h"
#include "plan.h"

/* Metrics and derives stand in the order of the spec, keys before them. */
struct place {
	const struct amon_column *column;
	const struct amon_plan_metric *metric;
	uint32_t offset; /* of the metric's record in all that is read */
	const struct amon_plan_key *key;
	const struct amon_layout *layout; /* of what comes from a user's map */
};

struct block {
	struct place *places;
	uint32_t count;
};

struct builder {
	const struct amon_plan *plan;
	struct amon_arena *arena;
	struct block probe, *sections, **tables; /* [section], [section][table] */
};

static struct place *metrics_of(const struct amon_plan_record *record, uint32_t offset, struct place *to)
{
	for (uint32_t i = 0; i < record->metric_count; i++)
		*to++ = (struct place){ .column = record->metrics[i].column,
			                .metric = &record->metrics[i],
			                .offset = offset };
	return to;
}

/* Of a user's map, each with its place in a row or record. */
static struct place *members_of(const struct amon_columns *columns, const struct amon_layout *layouts, uint32_t offset,
                                struct place *to)
{
	for (const struct amon_column *c = columns->first; c; c = c->next)
		*to++ = (struct place){ .column = c, .offset = offset, .layout = layouts++ };
	return to;
}

static struct place *derives_of(const struct amon_columns *columns, struct place *to)
{
	for (const struct amon_column *c = columns->first; c; c = c->next)
		*to++ = (struct place){ .column = c };
	return to;
}

static int compare_places(const void *a, const void *b)
{
	const struct place *x = a, *y = b;

	return (x->column->order > y->column->order) - (x->column->order < y->column->order);
}

static struct block sort_block(struct place *places, uint32_t keys, struct place *end)
{
	qsort(places + keys, end - places - keys, sizeof(*places), compare_places);
	return (struct block){ places, end - places };
}

static struct block block_of_table(struct amon_arena *arena, const struct amon_plan_table *table)
{
	const struct amon_table *checked = table->table;
	uint32_t count = table->key_count + checked->metrics.count + checked->derives.count;
	struct place *places = amon_new_array(arena, struct place, count + 1), *to = places;

	for (uint32_t i = 0; i < table->key_count; i++)
		*to++ = (struct place){ .column = table->keys[i].column, .key = &table->keys[i] };
	to = metrics_of(&table->record, 0, to);
	return sort_block(places, table->key_count, derives_of(&checked->derives, to));
}

static struct block block_of_section(struct amon_arena *arena, const struct amon_plan_section *section)
{
	const struct amon_section *checked = section->section;
	uint32_t count = checked->metrics.count + checked->derives.count;
	struct place *places, *to;

	for (uint32_t i = 0; i < section->export_count; i++)
		count += section->exports[i].export->metrics.count;
	places = to = amon_new_array(arena, struct place, count + 1);
	for (uint32_t i = 0; i < section->part_count; i++)
		to = metrics_of(&section->parts[i].record, section->parts[i].offset, to);
	for (uint32_t i = 0; i < section->export_count; i++)
		if (!section->exports[i].export->is_table)
			to = members_of(&section->exports[i].export->metrics, section->exports[i].metrics,
			                section->exports[i].offset, to);
	return sort_block(places, 0, derives_of(&checked->derives, to));
}

static struct block block_of_probe(struct amon_arena *arena, const struct amon_probe *probe)
{
	struct place *places = amon_new_array(arena, struct place, probe->derives.count + 1);

	return sort_block(places, 0, derives_of(&probe->derives, places));
}

static int32_t index_in(const struct block *block, const struct amon_column *column)
{
	for (uint32_t i = 0; i < block->count; i++)
		if (block->places[i].column == column)
			return i;
	return -1;
}

/* --- expressions */

/* A table's columns, and its place among those that are exported. */
static const struct block *block_of(const struct builder *b, uint32_t section, const struct amon_table *table,
                                    int32_t *place)
{
	const struct amon_plan_table *tables = b->plan->sections[section].tables;
	uint32_t t = 0;

	*place = 0;
	for (; tables[t].table != table; t++)
		*place += !tables[t].table->is_private;
	return &b->tables[section][t];
}

static void locate(const struct builder *b, const struct amon_column *column, struct amon_export_value *to)
{
	int32_t t = -1;

	to->section = to->table = -1;
	for (uint32_t s = 0; s < b->plan->section_count; s++) {
		const struct amon_plan_section *section = &b->plan->sections[s];

		if (section->section != column->section)
			continue;
		to->section = s;
		to->column = index_in(column->table ? block_of(b, s, column->table, &t) : &b->sections[s], column);
		to->table = t;
		return;
	}
	to->column = index_in(&b->probe, column);
}

static struct amon_export_value *value_of(const struct builder *b, const struct amon_value *value)
{
	struct amon_export_value *to;

	if (!value)
		return NULL;
	to = amon_new(b->arena, struct amon_export_value);
	to->kind = value->kind;
	to->op = value->op;
	to->type = value->type;
	to->integer = value->integer;
	to->real = value->real;
	to->address = value->address;
	to->member = value->member;
	to->section = to->table = to->column = -1;
	if (value->kind == AMON_VALUE_COLUMN)
		locate(b, value->column, to);
	if (value->range_count) {
		to->range_count = value->range_count;
		to->ranges = amon_new_array(b->arena, struct amon_range, value->range_count);
		memcpy(to->ranges, value->ranges, sizeof(*to->ranges) * value->range_count);
	}
	to->left = value_of(b, value->left);
	to->middle = value_of(b, value->middle);
	to->right = value_of(b, value->right);
	return to;
}

/* --- columns */

static const char *or_empty(const char *text)
{
	return text ? text : "";
}

static void move(uint32_t *place, uint32_t offset)
{
	if (*place != UINT32_MAX)
		*place += offset;
}

/* The same layout, behind other parts of the record. */
static struct amon_layout moved(struct amon_layout layout, uint32_t offset)
{
	uint32_t *const places[] = { &layout.value,   &layout.count, &layout.squares, &layout.time,
		                     &layout.buckets, &layout.has,   &layout.version };

	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++)
		move(places[i], offset);
	return layout;
}

/* What a mean is made of has no decimals. */
static void member_of_map(const struct place *place, struct amon_export_column *to)
{
	const struct amon_user_member *member = place->column->member;

	to->layout = moved(*place->layout, place->offset);
	to->source = member->source;
	if (to->type.base == AMON_BASE_REAL)
		to->type.base = AMON_BASE_INT;
	/* as wide as it is kept */
	if (to->type.base == AMON_BASE_INT && to->type.bits)
		to->type.bits = 64;
}

static void column_of(const struct builder *b, const struct place *place, uint32_t version,
                      struct amon_export_column *to)
{
	const struct amon_column *column = place->column;

	*to = (struct amon_export_column){
		.kind = column->kind,
		.name = column->exported,
		.spec_name = column->name,
		.help = or_empty(column->help),
		.unit = or_empty(column->unit),
		.ipfix = or_empty(column->ipfix),
		.ipfix_pen = column->ipfix_pen,
		.ipfix_id = column->ipfix_id,
		.type = column->type,
		.divisor = column->divisor,
		.multiplier = column->multiplier,
		.aggregation = column->aggregation,
		.reset = column->timing.reset,
		.buckets = column->buckets,
		.layout = amon_layout_nowhere,
	};
	/* of 64 bits, and no sign */
	if (column->aggregation == &amon_aggregation_fold && column->width == 8 && !column->is_signed)
		to->type.bits = 64;
	if (place->metric)
		to->layout = moved(place->metric->layout, place->offset);
	if (place->key) {
		to->layout.value = place->key->offset;
		to->layout.value_size = place->key->size;
		if (place->key->has)
			to->layout.has = place->key->has_offset;
		if (column->value->type.base == AMON_BASE_NET)
			to->layout.version = version;
	}
	if (place->layout)
		member_of_map(place, to);
	else if (column->kind == AMON_COLUMN_METRIC)
		to->signature = amon_metric_signature(column);
	if (column->kind == AMON_COLUMN_DERIVE)
		to->value = value_of(b, column->value);
}

static struct amon_export_column *columns_of(const struct builder *b, const struct block *block, uint32_t version)
{
	/* and room for one more */
	struct amon_export_column *columns = amon_new_array(b->arena, struct amon_export_column, block->count + 1);

	for (uint32_t i = 0; i < block->count; i++)
		column_of(b, &block->places[i], version, &columns[i]);
	return columns;
}

/* Why a row ended: a number of IPFIX, in its record. */
static void add_end(const struct amon_plan_table *table, struct amon_export_table *to)
{
	struct amon_layout layout = amon_layout_nowhere;

	if (!table->expire)
		return;
	layout.value = AMON_FLOW_REASON;
	to->columns[to->column_count++] = (struct amon_export_column){
		.kind = AMON_COLUMN_END,
		.name = "end_reason",
		.spec_name = "end_reason",
		.help = "Why the row ended",
		.unit = "",
		.ipfix = "flowEndReason",
		.ipfix_id = amon_ipfix_find("flowEndReason")->id,
		.divisor = 1,
		.multiplier = 1,
		.layout = layout,
	};
}

static struct amon_export_expire *expire_of(const struct builder *b, const struct amon_plan_table *table)
{
	const struct amon_expire *checked = &table->table->expire;
	struct amon_export_expire *to;

	if (!table->expire)
		return NULL;
	to = amon_new(b->arena, struct amon_export_expire);
	*to = (struct amon_export_expire){
		.idle = checked->idle,
		.active = checked->active,
		.lives_map = table->expire->lives_map,
		.shape = table->expire->shape,
		.slot_size = table->expire->slot_size,
		.keeps = checked->keeps,
		.evicts = table->table->overflow == AMON_OVERFLOW_EVICT,
	};
	return to;
}

/* --- tables and sections */

static void counters_of(const struct builder *b, const struct amon_plan_table *table, struct amon_export_table *to)
{
	static const struct {
		enum amon_ledger counter;
		const char *name;
	} causes[] = { { AMON_LEDGER_NO_KEY, "no key" },
		       { AMON_LEDGER_FULL, "full" },
		       { AMON_LEDGER_BUSY, "busy" },
		       { AMON_LEDGER_NO_MEMORY, "no memory" },
		       { AMON_LEDGER_FAILED, "failed" } };
	uint32_t at = table->part->offset;

	to->selected = at + table->counter_offsets[AMON_LEDGER_SELECTED];
	to->in_rows = at + table->counter_offsets[AMON_LEDGER_IN_ROWS];
	to->other = table->counters[AMON_LEDGER_OTHER] ? at + table->counter_offsets[AMON_LEDGER_OTHER] : UINT32_MAX;
	to->unaccounted = amon_new_array(b->arena, struct amon_export_counter, sizeof(causes) / sizeof(causes[0]));
	for (size_t i = 0; i < sizeof(causes) / sizeof(causes[0]); i++)
		if (table->counters[causes[i].counter])
			to->unaccounted[to->unaccounted_count++] =
			        (struct amon_export_counter){ causes[i].name,
				                              at + table->counter_offsets[causes[i].counter] };
}

static void table_of(const struct builder *b, const struct amon_plan_table *table, const struct block *block,
                     struct amon_export_table *to)
{
	const struct amon_table *checked = table->table;

	*to = (struct amon_export_table){
		.name = checked->name,
		.help = or_empty(checked->help),
		.map = checked->is_private ? table->memory->map : table->map,
		.spill_map = table->spill_map,
		.shape = table->shape,
		.slot_size = table->slot_size,
		.events = checked->events,
		.signature = amon_table_signature(checked),
		.rows_signature = amon_rows_signature(table),
		.key_size = table->key_size,
		.record_size = table->record.size,
		.size = checked->size,
		.twice = table->twice,
		.reset = checked->timing.reset,
		.expire = expire_of(b, table),
		.other_map = checked->is_private ? table->memory->other_map : table->other_map,
		.columns = columns_of(b, block, table->version),
		.column_count = block->count,
		.key_count = table->key_count,
		.having = value_of(b, checked->having),
		.top = checked->top,
		.top_by = checked->top ? index_in(block, checked->top_by) : -1,
	};
	add_end(table, to);
	counters_of(b, table, to);
}

/* --- users' maps */

static const struct amon_export_user *user_of(const struct builder *b, const struct amon_user_map *map)
{
	struct amon_export_user *user = amon_new(b->arena, struct amon_export_user);

	*user = (struct amon_export_user){ map->kind, map->key.size, map->value.size, map->locked };
	return user;
}

static void export_of(const struct builder *b, const struct amon_plan_export *export, struct amon_export_table *to)
{
	const struct amon_user_export *checked = export->export;
	struct block block = { amon_new_array(b->arena, struct place, checked->keys.count + checked->metrics.count + 1),
		               checked->keys.count + checked->metrics.count };

	members_of(&checked->metrics, export->metrics, 0, members_of(&checked->keys, export->keys, 0, block.places));
	*to = (struct amon_export_table){
		.name = checked->name,
		.help = or_empty(checked->help),
		.map = checked->map->name,
		.user = user_of(b, checked->map),
		.signature = amon_export_signature(export),
		.rows_signature = amon_export_signature(export),
		.key_size = export->key_size,
		.record_size = export->record_size,
		.size = checked->map->entries,
		.twice = export->twice,
		.reset = checked->timing.reset,
		.columns = columns_of(b, &block, UINT32_MAX),
		.column_count = block.count,
		.key_count = checked->keys.count,
		.top_by = -1,
		.selected = UINT32_MAX,
		.in_rows = UINT32_MAX,
		.other = UINT32_MAX,
	};
}

static struct amon_export_part user_part_of(const struct builder *b, const struct amon_plan_export *export)
{
	return (struct amon_export_part){
		.map = export->export->map->name,
		.offset = export->offset,
		.size = export->record_size,
		.twice = export->twice,
		.signature = amon_export_signature(export),
		.user = user_of(b, export->export->map),
	};
}

static const char *lower(struct amon_arena *arena, const char *name)
{
	char *text = amon_arena_copy(arena, name, strlen(name));

	for (char *c = text; *c; c++)
		*c = tolower((unsigned char)*c);
	return text;
}

static void malformed_of(const struct builder *b, const struct amon_plan_section *section,
                         struct amon_export_section *to)
{
	to->malformed = amon_new_array(b->arena, struct amon_export_counter, AMON_CAUSE_COUNT);
	for (int cause = 1; cause < AMON_CAUSE_COUNT; cause++) {
		if (!b->plan->causes[cause])
			continue;
		to->malformed[to->malformed_count] =
		        (struct amon_export_counter){ lower(b->arena, amon_cause_names[cause]),
			                              section->malformed + 16 * to->malformed_count };
		to->malformed_count++;
	}
}

static void parts_of(const struct builder *b, const struct amon_plan_section *section, struct amon_export_section *to)
{
	to->parts = amon_new_array(b->arena, struct amon_export_part, section->part_count + section->export_count);
	to->part_count = section->part_count;
	for (uint32_t i = 0; i < section->part_count; i++) {
		const struct amon_plan_part *part = &section->parts[i];

		to->parts[i] = (struct amon_export_part){ part->map,
			                                  part->offset,
			                                  part->record.size,
			                                  part->twice,
			                                  amon_part_signature(b->plan, section, part),
			                                  NULL };
		to->record_size += part->record.size;
	}
	for (uint32_t i = 0; i < section->export_count; i++) {
		if (section->exports[i].export->is_table)
			continue;
		to->parts[to->part_count] = user_part_of(b, &section->exports[i]);
		to->record_size += to->parts[to->part_count++].size;
	}
}

/* Rows of this window and of the last live, and those of the one before may not be swept yet. */
#define WINDOWS_SWEPT 3
/* Behind the lock, and what aligns the next. */
#define MEMORY_LIFE 8

static struct amon_export_memory memory_of(const struct amon_plan_section *section, const struct amon_plan_table *table)
{
	const struct amon_plan_memory *memory = table->memory;

	return (struct amon_export_memory){
		.map = memory->map,
		.rows = table->map,
		.key_size = table->key_size,
		.value_size = memory->value_size,
		.size = table->table->size,
		.windows = memory->swept ? WINDOWS_SWEPT : 1,
		.signature = amon_memory_signature(section, table),
		.seen = memory->swept && !memory->expires ? memory->seen_at : UINT32_MAX,
		.life = memory->expires ? MEMORY_LIFE : UINT32_MAX,
		.idle = memory->idle,
	};
}

/* Of a section, or of a table's row `other`. */
static struct amon_export_memory array_of(const struct amon_plan_section *section, const struct amon_plan_table *table)
{
	const struct amon_plan_memory *memory = table ? table->memory : section->memory;

	return (struct amon_export_memory){
		.map = table ? memory->other_map : memory->map,
		.key_size = sizeof(uint32_t),
		.value_size = memory->value_size,
		.signature = amon_memory_signature(section, table),
		.seen = UINT32_MAX,
		.life = UINT32_MAX,
	};
}

static void memories_of(const struct builder *b, const struct amon_plan_section *section,
                        struct amon_export_section *to)
{
	to->memories = amon_new_array(b->arena, struct amon_export_memory, 2 * section->table_count + 1);
	if (section->memory)
		to->memories[to->memory_count++] = array_of(section, NULL);
	for (uint32_t i = 0; i < section->table_count; i++) {
		const struct amon_plan_memory *memory = section->tables[i].memory;

		if (!memory)
			continue;
		to->memories[to->memory_count++] = memory_of(section, &section->tables[i]);
		if (memory->other_map)
			to->memories[to->memory_count++] = array_of(section, &section->tables[i]);
	}
}

/* All that is in it is. */
static bool is_reset(const struct amon_section *section)
{
	bool all = section->metrics.count || section->table_count;

	for (const struct amon_column *c = section->metrics.first; c; c = c->next)
		all &= c->timing.reset;
	for (const struct amon_table *table = section->tables; table; table = table->next)
		all &= table->timing.reset;
	return all || section->timing.reset;
}

static void section_of(const struct builder *b, uint32_t index, struct amon_export_section *to)
{
	const struct amon_plan_section *section = &b->plan->sections[index];
	const struct amon_section *checked = section->section;

	*to = (struct amon_export_section){
		.name = checked->name,
		.reset = is_reset(checked),
		.signature = amon_section_signature(checked),
		.hook_count = checked->hook_count,
		.coarse = checked->coarse,
		.runs_users = checked->users,
		.columns = columns_of(b, &b->sections[index], UINT32_MAX),
		.column_count = b->sections[index].count,
		.tables = amon_new_array(b->arena, struct amon_export_table,
		                         section->table_count + section->export_count + 1),
		.privates = amon_new_array(b->arena, struct amon_export_table, section->table_count + 1),
		.seen = section->seen,
		.selected = section->selected,
	};
	parts_of(b, section, to);
	memcpy(to->hooks, checked->hooks, sizeof(to->hooks));
	malformed_of(b, section, to);
	memories_of(b, section, to);
	for (uint32_t t = 0; t < section->table_count; t++)
		table_of(b, &section->tables[t], &b->tables[index][t],
		         section->tables[t].table->is_private ? &to->privates[to->private_count++]
		                                              : &to->tables[to->table_count++]);
	for (uint32_t i = 0; i < section->export_count; i++) {
		if (!section->exports[i].export->is_table)
			continue;
		export_of(b, &section->exports[i], &to->tables[to->table_count++]);
		to->user_count++;
	}
}

static void builder_init(struct builder *b)
{
	const struct amon_plan *plan = b->plan;

	b->probe = block_of_probe(b->arena, plan->probe);
	b->sections = amon_new_array(b->arena, struct block, plan->section_count + 1);
	b->tables = amon_new_array(b->arena, struct block *, plan->section_count + 1);
	for (uint32_t s = 0; s < plan->section_count; s++) {
		const struct amon_plan_section *section = &plan->sections[s];

		b->sections[s] = block_of_section(b->arena, section);
		b->tables[s] = amon_new_array(b->arena, struct block, section->table_count + 1);
		for (uint32_t t = 0; t < section->table_count; t++)
			b->tables[s][t] = block_of_table(b->arena, &section->tables[t]);
	}
}

struct amon_exports *amon_plan_exports(const struct amon_plan *plan)
{
	struct amon_exports *exports = amon_new(plan->arena, struct amon_exports);
	struct builder b = { .plan = plan, .arena = plan->arena };

	builder_init(&b);
	exports->probe = plan->probe->name;
	exports->help = or_empty(plan->probe->help);
	exports->window = plan->probe->window;
	exports->announces = plan->announces;
	exports->uses_vlan = plan->probe->uses_vlan;
	exports->programs = amon_new_array(plan->arena, struct amon_export_program, AMON_HOOK_COUNT);
	for (int hook = 0; hook < AMON_HOOK_COUNT; hook++)
		if (plan->programs[hook])
			exports->programs[exports->program_count++] =
			        (struct amon_export_program){ amon_program_name(hook), hook };
	exports->sections = amon_new_array(plan->arena, struct amon_export_section, plan->section_count + 1);
	exports->section_count = plan->section_count;
	for (uint32_t s = 0; s < plan->section_count; s++)
		section_of(&b, s, &exports->sections[s]);
	exports->columns = columns_of(&b, &b.probe, UINT32_MAX);
	exports->column_count = b.probe.count;
	return exports;
}
