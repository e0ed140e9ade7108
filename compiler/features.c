/* SPDX-License-Identifier: Apache-2.0 */
#include "features.h"

#include <string.h>

/* --- which there are */

/* Calls `each` for every feature until it returns true. */
static void for_each(const struct amon_probe *probe, bool (*each)(struct amon_feature feature, void *data), void *data)
{
	for (const struct amon_section *section = probe->sections; section; section = section->next) {
		for (const struct amon_column *c = section->metrics.first; c; c = c->next)
			if (each((struct amon_feature){ section, NULL, c }, data))
				return;
		for (const struct amon_table *table = section->tables; table; table = table->next) {
			if (table->is_private)
				continue;
			if (each((struct amon_feature){ section, table, NULL }, data))
				return;
			for (const struct amon_column *c = table->metrics.first; c && table->metrics.count > 1;
			     c = c->next)
				if (each((struct amon_feature){ section, table, c }, data))
					return;
		}
	}
}

static bool count(struct amon_feature feature, void *data)
{
	(void)feature;
	(*(uint32_t *)data)++;
	return false;
}

uint32_t amon_feature_count(const struct amon_probe *probe)
{
	uint32_t features = 0;

	for_each(probe, count, &features);
	return features;
}

struct search {
	struct amon_feature found;
	uint32_t left;
};

static bool find(struct amon_feature feature, void *data)
{
	struct search *search = data;

	search->found = feature;
	return !search->left--;
}

struct amon_feature amon_feature_at(const struct amon_probe *probe, uint32_t index)
{
	struct search search = { .left = index };

	for_each(probe, find, &search);
	return search.found;
}

/* --- what is read by what stays */

/* Columns of memory and tables that packets read. */
struct reads {
	struct amon_arena *arena;
	const void **things;
	uint32_t count, capacity;
};

static bool is_read(const struct reads *reads, const void *thing)
{
	for (uint32_t i = 0; i < reads->count; i++)
		if (reads->things[i] == thing)
			return true;
	return false;
}

/* False where it has been noted before. */
static bool note(struct reads *reads, const void *thing)
{
	if (is_read(reads, thing))
		return false;
	if (reads->count == reads->capacity) {
		const void **grown = amon_new_array(reads->arena, const void *, 2 * reads->capacity + 16);

		if (reads->count)
			memcpy(grown, reads->things, reads->count * sizeof(*grown));
		reads->things = grown;
		reads->capacity = 2 * reads->capacity + 16;
	}
	reads->things[reads->count++] = thing;
	return true;
}

static void read_value(struct reads *reads, const struct amon_value *value);

static void read_column(struct reads *reads, const struct amon_column *column)
{
	read_value(reads, column->initial);
	read_value(reads, column->argument);
	read_value(reads, column->where);
	read_value(reads, column->narrowed ? column->narrowed->where : NULL);
}

/* What makes a row, and ends it. */
static void read_rows(struct reads *reads, const struct amon_table *table)
{
	read_value(reads, table->where);
	read_value(reads, table->expire.when);
	for (const struct amon_column *key = table->keys.first; key; key = key->next)
		read_value(reads, key->value);
}

static void read_value(struct reads *reads, const struct amon_value *value)
{
	const struct amon_table *table;

	if (!value)
		return;
	table = value->kind == AMON_VALUE_ROW ? value->table : value->column ? value->column->table : NULL;
	if (value->kind == AMON_VALUE_MEMORY && value->column && note(reads, value->column))
		read_column(reads, value->column);
	if (table && note(reads, table))
		read_rows(reads, table);
	/* a table that is asked has a function of its own */
	if (table && (value->kind == AMON_VALUE_ROW || value->asked))
		note(reads, &table->memory.asked);
	read_value(reads, value->left);
	read_value(reads, value->middle);
	read_value(reads, value->right);
}

static void read_columns(struct reads *reads, const struct amon_columns *columns)
{
	for (const struct amon_column *c = columns->first; c; c = c->next)
		read_column(reads, c);
}

static void read_probe(struct reads *reads, const struct amon_probe *probe)
{
	for (const struct amon_section *section = probe->sections; section; section = section->next) {
		read_value(reads, section->where);
		read_columns(reads, &section->metrics);
		for (const struct amon_table *table = section->tables; table; table = table->next) {
			if (table->is_private)
				continue;
			read_rows(reads, table);
			read_columns(reads, &table->metrics);
		}
	}
}

/* --- taking out */

struct leaving {
	const struct amon_feature *feature; /* NULL: all */
	struct reads before, after;
	struct reads left; /* tables that are not exported any more */
};

static void remove_all(struct amon_columns *columns)
{
	columns->first = NULL;
	columns->last = &columns->first;
	columns->count = 0;
}

static void append(struct amon_columns *columns, struct amon_column *column)
{
	column->next = NULL;
	*columns->last = column;
	columns->last = &column->next;
	columns->count++;
}

/* A metric that goes; all of them where it is NULL. What packets read of it, they go on reading: it is a fold. */
static void remove_metrics(struct leaving *leaving, struct amon_columns *metrics, struct amon_memory *memory,
                           const struct amon_column *metric)
{
	struct amon_column *column = metrics->first, *next;

	remove_all(metrics);
	for (; column; column = next) {
		next = column->next;
		if (metric && column != metric) {
			append(metrics, column);
		} else if (column->aggregation == &amon_aggregation_fold && is_read(&leaving->before, column)) {
			column->is_state = true;
			append(&memory->items, column);
		}
	}
}

/* A table that goes is remembered as long as somebody reads it. */
static void remove_table(struct leaving *leaving, struct amon_table *table)
{
	note(&leaving->left, table);
	remove_metrics(leaving, &table->metrics, &table->memory, NULL);
	table->is_private = true;
	table->expire = (struct amon_expire){ .when = NULL };
}

static bool leaves(const struct leaving *leaving, const struct amon_section *section, const struct amon_table *table)
{
	if (!leaving->feature)
		return !table || !table->is_private;
	return leaving->feature->section == section && leaving->feature->table == table;
}

static void remove_feature(struct leaving *leaving, struct amon_probe *probe)
{
	const struct amon_column *metric = leaving->feature ? leaving->feature->metric : NULL;

	for (struct amon_section *section = probe->sections; section; section = section->next) {
		if (leaves(leaving, section, NULL))
			remove_metrics(leaving, &section->metrics, &section->memory, metric);
		for (struct amon_table *table = section->tables; table; table = table->next) {
			if (!leaves(leaving, section, table))
				continue;
			if (metric)
				remove_metrics(leaving, &table->metrics, &table->memory, metric);
			else
				remove_table(leaving, table);
		}
	}
}

/* What nobody read before stays, as it did, unless it goes with its table. */
static bool stays(const struct leaving *leaving, const void *thing, const struct amon_table *table)
{
	return is_read(&leaving->after, thing) ||
	       (!is_read(&leaving->before, thing) && !is_read(&leaving->left, table));
}

static void forget(const struct leaving *leaving, struct amon_memory *memory, const struct amon_table *table)
{
	struct amon_column *item = memory->items.first, *next;

	remove_all(&memory->items);
	for (; item; item = next) {
		next = item->next;
		if (stays(leaving, item, table))
			append(&memory->items, item);
	}
	memory->asked = is_read(&leaving->after, &memory->asked);
}

static void sweep(const struct leaving *leaving, struct amon_section *section)
{
	struct amon_table **link = &section->tables;

	forget(leaving, &section->memory, NULL);
	while (*link) {
		struct amon_table *table = *link;

		forget(leaving, &table->memory, table);
		if (!table->is_private || stays(leaving, table, table)) {
			link = &table->next;
		} else {
			*link = table->next;
			section->table_count--;
		}
	}
}

static void remove_exports(struct amon_probe *probe)
{
	remove_all(&probe->derives);
	for (struct amon_section *section = probe->sections; section; section = section->next) {
		remove_all(&section->derives);
		for (struct amon_table *table = section->tables; table; table = table->next) {
			remove_all(&table->derives);
			table->having = NULL;
			table->top = 0;
			table->top_by = NULL;
		}
	}
}

void amon_feature_leave_out(struct amon_arena *arena, struct amon_probe *probe, uint32_t index)
{
	struct amon_feature feature = { NULL, NULL, NULL };
	struct leaving leaving = { .before.arena = arena, .after.arena = arena, .left.arena = arena };

	if (index != AMON_FEATURES_ALL) {
		feature = amon_feature_at(probe, index);
		leaving.feature = &feature;
	}
	read_probe(&leaving.before, probe);
	remove_feature(&leaving, probe);
	read_probe(&leaving.after, probe);
	for (struct amon_section *section = probe->sections; section; section = section->next)
		sweep(&leaving, section);
	remove_exports(probe);
}
