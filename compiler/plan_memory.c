/* SPDX-License-Identifier: Apache-2.0 */
#include "plan_internal.h"

/*
 * Memory: one map for each section or table that remembers anything, shared by clones and CPUs. A packet takes the lock
 * of its row, copies what it finds, leaves what it makes of it, and goes on with the copy.
 */

/* A row's memory is copied as a whole. */
#define MEMORY_MAX 1024

static bool is_fold(const struct amon_column *column)
{
	return column->aggregation == &amon_aggregation_fold;
}

static bool has_folds(const struct amon_columns *columns)
{
	for (const struct amon_column *c = columns->first; c; c = c->next)
		if (is_fold(c))
			return true;
	return false;
}

/* In the order in which folds begin. */
static struct amon_plan_metric *insert(struct amon_plan_record *record, uint32_t begun)
{
	struct amon_plan_metric *item = &record->metrics[record->metric_count++];

	for (; item > record->metrics && item[-1].column->begun > begun; item--)
		item[0] = item[-1];
	*item = (struct amon_plan_metric){ 0 };
	return item;
}

static void add_item(struct amon_plan_record *record, const struct amon_column *column)
{
	struct amon_plan_metric *item = insert(record, column->begun);

	item->column = column;
	item->parts = column->aggregation->parts;
	/* what comes last is known by the order in which packets take the lock; what begins with a number stays one */
	if (is_fold(column))
		item->parts = AMON_PART_VALUE | (column->initial->kind == AMON_VALUE_INTEGER ? 0 : AMON_PART_HAS);
}

/* --- what an expression reads */

static bool reads(const struct amon_value *value)
{
	if (!value)
		return false;
	return value->kind == AMON_VALUE_MEMORY || value->kind == AMON_VALUE_ROW || reads(value->left) ||
	       reads(value->middle) || reads(value->right);
}

static bool reads_own(const struct amon_value *value, const struct amon_table *table)
{
	if (!value)
		return false;
	return (value->kind == AMON_VALUE_MEMORY && value->column->table == table) || reads_own(value->left, table) ||
	       reads_own(value->middle, table) || reads_own(value->right, table);
}

/* --- states and previous values */

static void plan_state(struct amon_plan *plan, struct amon_plan_memory *memory, const struct amon_columns *items,
                       const char *base, struct names *globals)
{
	struct names members = { .arena = plan->arena };

	memory->state.metrics = amon_new_array(plan->arena, struct amon_plan_metric, items->count + 1);
	for (const struct amon_column *c = items->first; c; c = c->next)
		add_item(&memory->state, c);
	if (memory->seen)
		plan_take(&members, "seen");
	plan_members(&memory->state, &members, globals, memory->seen ? 8 : 0);
	if (memory->state.size)
		memory->state_tag = plan_unique(globals, amon_arena_printf(plan->arena, "%s_state", base));
}

/* --- folds that are metrics */

static bool expires(const struct amon_table *table)
{
	return table && table->expire.span.source;
}

/* In each window; those of rows that end begin anew with their row, and no window touches them. */
static bool begins_anew(const struct amon_column *fold)
{
	return fold->table ? fold->table->timing.reset && !expires(fold->table) : fold->timing.reset;
}

static void plan_folds(struct amon_plan *plan, struct amon_plan_memory *memory, const struct amon_columns *metrics,
                       bool anew, const char *base, struct names *globals)
{
	struct amon_plan_folds *folds = &memory->folds[memory->fold_count];
	struct names members = { .arena = plan->arena };

	folds->record.metrics = amon_new_array(plan->arena, struct amon_plan_metric, metrics->count + 1);
	for (const struct amon_column *c = metrics->first; c; c = c->next)
		if (is_fold(c) && begins_anew(c) == anew)
			add_item(&folds->record, c);
	if (!folds->record.metric_count)
		return;
	plan_take(&members, "window");
	plan_take(&members, "order");
	plan_members(&folds->record, &members, globals, 16);
	folds->anew = anew;
	folds->member = memory->fold_count ? "totals" : "folds";
	folds->tag = plan_unique(globals, amon_arena_printf(plan->arena, "%s_%s", base, folds->member));
	memory->fold_count++;
}

/* --- one number */

/* With a bit more it fits a word. */
static bool leaves_a_bit(struct amon_type type)
{
	return type.base == AMON_BASE_TIME || type.base == AMON_BASE_BOOL ||
	       (type.base == AMON_BASE_INT && type.bits && type.bits < 64);
}

static bool is_exchanged(const struct amon_plan_memory *memory, const struct amon_table *table)
{
	const struct amon_column *item = memory->state.metric_count == 1 ? memory->state.metrics->column : NULL;

	return item && item->aggregation == &amon_aggregation_previous && leaves_a_bit(item->type) && !memory->seen &&
	       !memory->expires && !memory->fold_count && !(table && reads_own(table->where, table));
}

/* --- maps */

static void plan_map(struct amon_plan *plan, struct amon_plan_memory *memory, const struct amon_table *table,
                     const char *base, struct names *globals)
{
	memory->tag = plan_unique(globals, amon_arena_printf(plan->arena, "%s_memory", base));
	memory->map = memory->tag;
	plan->map_count++;
	if (!table || table->overflow != AMON_OVERFLOW_OTHER)
		return;
	memory->other_map = plan_unique(globals, amon_arena_printf(plan->arena, "%s_other_memory", base));
	plan->map_count++;
}

static void measure(struct amon_plan_memory *memory)
{
	/* behind the lock, and what aligns the next */
	memory->seen_at = 8;
	memory->value_size = memory->exchanged ? 8 : 8 + memory->state.size + (memory->expires ? AMON_LIFE_SIZE : 0);
	for (uint32_t i = 0; i < memory->fold_count; i++)
		memory->value_size += memory->folds[i].record.size * (1 + memory->folds[i].anew);
}

static void check_size(const struct amon_plan_memory *memory, const struct amon_section *section,
                       const struct amon_table *table, struct amon_diagnostics *diagnostics)
{
	if (memory->value_size > MEMORY_MAX)
		amon_error(diagnostics, table ? table->span : section->span,
		           "what %s `%s` remembers takes %u bytes; %u at most", table ? "a row of table" : "section",
		           table ? table->name : section->name, memory->value_size, MEMORY_MAX);
}

struct amon_plan_memory *plan_memory(struct amon_plan *plan, const struct amon_section *section,
                                     const struct amon_table *table, struct names *globals,
                                     struct amon_diagnostics *diagnostics)
{
	const struct amon_memory *checked = table ? &table->memory : &section->memory;
	const struct amon_columns *metrics = table ? &table->metrics : &section->metrics;
	const char *base = table ? amon_arena_printf(plan->arena, "%s_%s", section->name, table->name) : section->name;
	struct amon_plan_memory *memory = amon_new(plan->arena, struct amon_plan_memory);
	bool is_private = table && table->is_private;

	if (!checked->items.count && !checked->asked && !has_folds(metrics) && !is_private)
		return NULL;
	memory->expires = expires(table);
	if (memory->expires)
		memory->number = plan->expiring++;
	if (memory->expires)
		memory->idle = table->expire.idle < INT64_MAX ? table->expire.idle : table->expire.active;
	memory->ends = table && plan->probe->window && !memory->expires;
	memory->swept = memory->expires || (memory->ends && table->timing.reset);
	/* a fold must know whether its row is new, and who asks whether there is one */
	memory->seen =
	        memory->ends || checked->asked || has_folds(&checked->items) || (is_private && !checked->items.count);
	plan_state(plan, memory, &checked->items, base, globals);
	plan_folds(plan, memory, metrics, true, base, globals);
	plan_folds(plan, memory, metrics, false, base, globals);
	memory->exchanged = is_exchanged(memory, table);
	measure(memory);
	plan_map(plan, memory, table, base, globals);
	check_size(memory, section, table, diagnostics);
	return memory;
}

/* --- what a packet finds */

static bool columns_read(const struct amon_columns *columns)
{
	for (const struct amon_column *c = columns->first; c; c = c->next)
		if (reads(c->value) || reads(c->argument) || reads(c->where))
			return true;
	return false;
}

static bool table_reads(const struct amon_table *table)
{
	return reads(table->where) || reads(table->expire.when) || columns_read(&table->keys) ||
	       columns_read(&table->metrics);
}

static void name_before(struct amon_plan *plan, struct amon_plan_memory *memory, const char *name, bool asked,
                        struct names *members)
{
	memory->before = plan_unique(members, name);
	if (memory->expires)
		memory->life = plan_unique(members, amon_arena_printf(plan->arena, "%s_life", name));
	else if (memory->swept)
		memory->leaves = plan_unique(members, amon_arena_printf(plan->arena, "%s_leaves", name));
	if (asked)
		memory->asked = plan_unique(members, amon_arena_printf(plan->arena, "%s_asked", name));
	for (uint32_t i = 0; i < memory->fold_count; i++) {
		struct amon_plan_folds *folds = &memory->folds[i];

		folds->before = plan_unique(members, amon_arena_printf(plan->arena, "%s_%s", name, folds->member));
		if (memory->expires)
			folds->left = plan_unique(members, amon_arena_printf(plan->arena, "%s_left", folds->before));
		if (asked)
			folds->asked = plan_unique(members,
			                           amon_arena_printf(plan->arena, "%s_asked_%s", name, folds->member));
	}
}

static bool waits_for(const struct amon_plan_section *section, const struct amon_plan_table *table)
{
	for (uint32_t i = 0; i < section->table_count; i++)
		if (section->tables[i].find && !section->tables[i].found &&
		    amon_keys_ask(table->table, section->tables[i].table))
			return true;
	return false;
}

/* They ask for each other in no circle, so that one can be found at any time. */
static void order_asked(struct amon_plan *plan, struct amon_plan_section *section)
{
	uint32_t found = UINT32_MAX;

	section->asked = amon_new_array(plan->arena, struct amon_plan_table *, section->table_count + 1);
	while (found != section->asked_count) {
		found = section->asked_count;
		for (uint32_t i = 0; i < section->table_count; i++) {
			struct amon_plan_table *table = &section->tables[i];

			if (!table->find || table->found || waits_for(section, table))
				continue;
			table->found = true;
			section->asked[section->asked_count++] = table;
		}
	}
}

void plan_before(struct amon_plan *plan, struct amon_plan_section *section, struct names *globals)
{
	struct names members = { .arena = plan->arena };
	const struct amon_section *checked = section->section;
	bool any = section->memory != NULL;

	plan_take(&members, "window");
	plan_take(&members, "sweeping");
	if (section->memory)
		name_before(plan, section->memory, "section", false, &members);
	section->where_looks = section->looks = reads(checked->where);
	for (uint32_t i = 0; i < section->table_count; i++) {
		const struct amon_table *table = section->tables[i].table;
		struct amon_plan_memory *memory = section->tables[i].memory;

		section->looks |= !table->events &&
		                  (reads(table->where) || reads(table->expire.when) || columns_read(&table->keys));
		section->tables[i].reads = memory || table_reads(table);
		if (!memory)
			continue;
		any = true;
		memory->asks_itself = reads_own(table->where, table);
		section->finds_own |= memory->asks_itself;
		name_before(plan, memory, table->name, table->memory.asked || memory->asks_itself, &members);
		if (memory->asked)
			section->tables[i].find = plan_unique(
			        globals, amon_arena_printf(plan->arena, "find_%s_%s", checked->name, table->name));
		section->numbered |= memory->ends || memory->folds[0].anew;
		section->swept |= memory->swept;
	}
	section->numbered |= section->memory && section->memory->folds[0].anew;
	plan->numbered |= section->numbered || section->swept;
	if (!any)
		return;
	order_asked(plan, section);
	section->before = plan_unique(globals, amon_arena_printf(plan->arena, "%s_before", checked->name));
	plan->map_count++;
}
