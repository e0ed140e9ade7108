/* SPDX-License-Identifier: Apache-2.0 */
#include "storage.h"
#include "cleanup.h"
#include "entries.h"
#include "own.h"
#include "ring.h"
#include "user.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/** Whose maps are read, or emptied. */
struct reading {
	const struct amon_maps *maps;
	unsigned int clone, which;
	struct amon_failure *failure;
};

/* --- maps of the export table */

/** A map of the export table, and the sizes that it must have. */
struct map {
	const char *name;
	uint32_t key_size, value_size;
};

static int open_map(const struct reading *reading, const struct map *map, struct amon_entries *entries)
{
	int fd = amon_maps_find(reading->maps, map->name, reading->clone);
	int error = fd < 0 ? fd : amon_entries_open(fd, map->key_size, map->value_size, entries);

	if (error) {
		amon_fail(reading->failure, -EINVAL, "map %s is not what the export table says", map->name);
		return -EINVAL;
	}
	entries->ring_to = amon_maps_read(reading->maps, map->name, reading->clone);
	return 0;
}

static struct map record_map(const char *name, uint32_t record_size)
{
	return (struct map){ name, sizeof(uint32_t), record_size };
}

static struct map events_map(const struct amon_export_table *table)
{
	return (struct map){ table->map, 0, table->key_size };
}

static int cannot_read(const struct reading *reading, const char *map, int error)
{
	return error ? amon_fail(reading->failure, error, "cannot read map %s: %s", map, strerror(-error)) : 0;
}

static int cannot_empty(const struct reading *reading, const char *map, int error)
{
	return error ? amon_fail(reading->failure, error, "cannot empty map %s: %s", map, strerror(-error)) : 0;
}

static int read_map(const struct reading *reading, struct map map, amon_visit_entry *visit, void *data)
{
	struct amon_entries entries;
	int error = open_map(reading, &map, &entries);

	return error ? error : cannot_read(reading, map.name, amon_entries_read(&entries, visit, data));
}

static int reset_map(const struct reading *reading, struct map map)
{
	struct amon_entries entries;
	int error = open_map(reading, &map, &entries);

	return error ? error : cannot_empty(reading, map.name, amon_entries_reset(&entries));
}

/* --- users' maps */

/* Which must be of the very kind: what CPUs have of their own is merged otherwise. */
static int open_user(const struct reading *reading, const char *name, const struct amon_export_user *user,
                     struct amon_entries *entries)
{
	const struct map map = { name, user->key_size, user->value_size };
	int error = open_map(reading, &map, entries);

	if (error)
		return error;
	entries->locked = user->locked;
	return entries->kind->kind == user->kind
	               ? 0
	               : amon_fail(reading->failure, -EINVAL, "map %s is not what the export table says", name);
}

/* Without a clone that rests, what a reset empties is taken as it is read: later there would be more. */
static int read_user(const struct reading *reading, const char *name, const struct amon_export_user *user, bool takes,
                     amon_visit_entry *visit, void *data)
{
	struct amon_entries entries;
	int error = open_user(reading, name, user, &entries);

	if (!error)
		error = cannot_read(reading, name,
		                    (takes ? amon_entries_take : amon_entries_read)(&entries, visit, data));
	return error;
}

static int reset_user(const struct reading *reading, const char *name, const struct amon_export_user *user)
{
	struct amon_entries entries;
	int error = open_user(reading, name, user, &entries);

	return error ? error : cannot_empty(reading, name, amon_entries_reset(&entries));
}

static bool is_ring(const struct amon_export_table *table)
{
	return table->events || (table->user && table->user->kind == AMON_MAP_RINGBUF);
}

static bool takes_table(const struct reading *reading, const struct amon_export_table *table)
{
	enum amon_which shared = is_ring(table) ? AMON_EVENTS : AMON_SHARED;
	enum amon_which kind = table->expire   ? AMON_FLOWS
	                       : !table->twice ? shared
	                       : table->reset  ? AMON_RESET
	                                       : AMON_KEPT;

	return !amon_maps_skips(reading->maps, table->map) && (reading->which & kind);
}

/* A part of the clones' own may hold both what a reset empties and what it does not. */
static bool takes_part(const struct reading *reading, const struct amon_export_part *part)
{
	return !amon_maps_skips(reading->maps, part->map) &&
	       (reading->which & (part->twice ? AMON_RESET | AMON_KEPT : AMON_SHARED));
}

/* --- reading */

struct part_reading {
	const struct amon_export_section *section;
	const struct amon_export_part *part;
	uint8_t *read, *record; /* of the whole section: one that is zero but for a CPU's part, and all together */
	bool kept;              /* without what a reset empties */
};

struct table_reading {
	const struct amon_export_table *table;
	struct amon_collected_table *rows;
	uint8_t *record; /* of the row at hand */
	/* of users' maps */
	uint8_t *key;
	uint8_t *more; /* of another CPU */
};

static int visit_part(const struct amon_entries *entries, const void *key, const void *values, void *data)
{
	const struct part_reading *reading = data;

	(void)key;
	for (uint32_t cpu = 0; cpu < entries->cpus; cpu++) {
		memcpy(reading->read + reading->part->offset, (const uint8_t *)values + (size_t)cpu * entries->stride,
		       entries->value_size);
		if (reading->kept)
			amon_clear_section(reading->section, reading->read);
		amon_merge_section(reading->section, reading->record, reading->read);
	}
	memset(reading->read + reading->part->offset, 0, entries->value_size);
	return 0;
}

static void merge_cpus(const struct amon_entries *entries, const struct amon_export_table *table, uint8_t *record,
                       const uint8_t *values, uint32_t from)
{
	for (uint32_t cpu = from; cpu < entries->cpus; cpu++)
		amon_merge_row(table, record, values + (size_t)cpu * entries->stride);
}

static int visit_other(const struct amon_entries *entries, const void *key, const void *values, void *data)
{
	const struct table_reading *reading = data;

	(void)key;
	merge_cpus(entries, reading->table, reading->rows->other, values, 0);
	return 0;
}

/* --- events */

static int visit_event(const struct amon_entries *entries, const void *key, const void *event, void *data)
{
	const struct table_reading *reading = data;

	(void)entries;
	(void)key;
	return amon_collected_add(reading->table, reading->rows, event, reading->record);
}

/* A reader that died had written out all that rests; of what goes on nobody knows how much. */
static bool was_not_read(const struct reading *reading, const struct amon_export_table *table)
{
	return !table->twice && *amon_maps_read(reading->maps, table->map, reading->clone) == AMON_RING_UNREAD;
}

static int empty_ring(const struct reading *reading, const struct amon_export_table *table)
{
	if (was_not_read(reading, table))
		return 0;
	return table->user ? reset_user(reading, table->map, table->user) : reset_map(reading, events_map(table));
}

/* --- rows of users' maps */

static int add_user_row(const struct table_reading *reading, const void *key, uint32_t cpu)
{
	amon_user_key(reading->table->columns, reading->table->column_count, key, cpu, reading->key);
	return amon_collected_add(reading->table, reading->rows, reading->key, reading->record);
}

static void merge_user_cpus(const struct amon_entries *entries, const struct table_reading *reading,
                            const uint8_t *values)
{
	const struct amon_export_table *table = reading->table;

	for (uint32_t cpu = 0; cpu < entries->cpus; cpu++) {
		amon_user_record(table->columns, table->column_count, values + (size_t)cpu * entries->stride,
		                 cpu ? reading->more : reading->record);
		if (cpu)
			amon_merge_columns(table->columns, table->column_count, reading->record, reading->more);
	}
}

static int visit_user(const struct amon_entries *entries, const void *key, const void *values, void *data)
{
	const struct table_reading *reading = data;

	merge_user_cpus(entries, reading, values);
	return add_user_row(reading, key, 0);
}

static int visit_each_cpu(const struct amon_entries *entries, const void *key, const void *values, void *data)
{
	const struct table_reading *reading = data;
	const struct amon_export_table *table = reading->table;
	int error = 0;

	for (uint32_t cpu = 0; cpu < entries->cpus && !error; cpu++) {
		amon_user_record(table->columns, table->column_count,
		                 (const uint8_t *)values + (size_t)cpu * entries->stride, reading->record);
		error = add_user_row(reading, key, cpu);
	}
	return error;
}

/* All that is in it is a key. */
static int visit_item(const struct amon_entries *entries, const void *key, const void *values, void *data)
{
	(void)entries;
	(void)key;
	return add_user_row(data, values, 0);
}

static bool has_cpus(const struct amon_export_table *table)
{
	for (uint32_t i = 0; i < table->key_count; i++)
		if (table->columns[i].source.form == AMON_FORM_CPU)
			return true;
	return false;
}

static int read_user_rows(const struct reading *reading, const struct amon_export_table *table,
                          struct table_reading *data)
{
	amon_visit_entry *visit = amon_map_is_list(table->user->kind) ? visit_item
	                          : has_cpus(table)                   ? visit_each_cpu
	                                                              : visit_user;

	return read_user(reading, table->map, table->user, table->reset && !table->twice, visit, data);
}

/* --- rows that CPUs own */

static int visit_own(const void *key, const void *record, void *data)
{
	const struct table_reading *reading = data;

	return amon_collected_add(reading->table, reading->rows, key, record);
}

/* Rows that CPUs own, of the clone that is read. */
static int open_own(const struct reading *reading, const struct amon_export_table *table, struct amon_own *own)
{
	*own = (struct amon_own){ .table = table,
		                  .map = amon_maps_entry(reading->maps, table->map),
		                  .clone = table->twice ? reading->clone : 0 };
	if (own->map && own->map->fds[0] >= 0)
		return 0;
	return amon_fail(reading->failure, -EINVAL, "map %s is not what the export table says", table->map);
}

/* The records of CPUs, one behind the other. */
static int visit_spilled(const struct amon_entries *entries, const void *key, const void *values, void *data)
{
	const struct table_reading *reading = data;
	const struct amon_export_table *table = reading->table;

	memcpy(reading->record, values, table->record_size);
	for (uint32_t at = table->record_size; at < entries->value_size; at += table->record_size)
		amon_merge_columns(table->columns, table->column_count, reading->record, (const uint8_t *)values + at);
	return amon_collected_add(table, reading->rows, key, reading->record);
}

/* What found no place. */
static int open_spilled(const struct reading *reading, const struct amon_export_table *table, struct map *map)
{
	struct amon_own own;
	int error = open_own(reading, table, &own);
	int cpus = error ? error : amon_own_cpus(&own);

	*map = (struct map){ table->spill_map, table->key_size, (uint32_t)cpus * table->record_size };
	return cpus < 0 && !error ? cannot_read(reading, table->map, cpus) : error;
}

static int read_spilled(const struct reading *reading, const struct amon_export_table *table,
                        struct table_reading *data)
{
	struct map map;
	int error = open_spilled(reading, table, &map);

	return error ? error : read_map(reading, map, visit_spilled, data);
}

static int reset_spilled(const struct reading *reading, const struct amon_export_table *table)
{
	struct map map;
	int error = open_spilled(reading, table, &map);

	return error ? error : reset_map(reading, map);
}

static int read_own(const struct reading *reading, const struct amon_export_table *table, struct table_reading *data)
{
	struct amon_own own;
	int error = open_own(reading, table, &own);

	return error ? error : cannot_read(reading, table->map, amon_own_read(&own, visit_own, data));
}

static int reset_own(const struct reading *reading, const struct amon_export_table *table)
{
	struct amon_own own;
	int error = open_own(reading, table, &own);

	return error ? error : cannot_empty(reading, table->map, amon_own_reset(&own));
}

/* An empty hash is as long to walk as a full one, and most tables never spill. */
static int rows_spilled(const struct reading *reading, const struct amon_export_table *table)
{
	struct amon_own own;
	int error = open_own(reading, table, &own), spilled = error ? error : amon_own_spilled(&own);

	return spilled < 0 && !error ? cannot_read(reading, table->map, spilled) : spilled;
}

static int read_rows(const struct reading *reading, const struct amon_export_table *table, struct table_reading *data)
{
	int error = read_own(reading, table, data);

	if (!error)
		error = rows_spilled(reading, table);
	if (error > 0)
		error = read_spilled(reading, table, data);
	if (!error && table->other_map)
		error = read_map(reading, record_map(table->other_map, table->record_size), visit_other, data);
	return error;
}

static int read_any(const struct reading *reading, const struct amon_export_table *table, struct table_reading *data)
{
	if (table->user)
		return read_user_rows(reading, table, data);
	if (table->events)
		return read_map(reading, events_map(table), visit_event, data);
	return read_rows(reading, table, data);
}

static int read_table(const struct reading *reading, const struct amon_export_table *table,
                      struct amon_collected_table *rows)
{
	AMON_FREES uint8_t *memory = calloc(1, table->key_size + 2 * (size_t)table->record_size);
	struct table_reading data = { .table = table,
		                      .rows = rows,
		                      .record = memory,
		                      .more = memory + table->record_size,
		                      .key = memory + 2 * (size_t)table->record_size };

	return memory ? read_any(reading, table, &data) : amon_fail(reading->failure, -ENOMEM, "out of memory");
}

/* --- parts of records that are users' maps */

static bool lies_in(const struct amon_export_part *part, const struct amon_export_column *column)
{
	return column->kind == AMON_COLUMN_METRIC && column->layout.value - part->offset < part->size;
}

static int visit_user_part(const struct amon_entries *entries, const void *key, const void *values, void *data)
{
	const struct part_reading *reading = data;
	const struct amon_export_section *section = reading->section;

	(void)key;
	for (uint32_t cpu = 0; cpu < entries->cpus; cpu++) {
		for (uint32_t i = 0; i < section->column_count; i++)
			if (lies_in(reading->part, &section->columns[i]))
				amon_user_record(&section->columns[i], 1,
				                 (const uint8_t *)values + (size_t)cpu * entries->stride,
				                 reading->read);
		if (reading->kept)
			amon_clear_section(section, reading->read);
		amon_merge_section(section, reading->record, reading->read);
	}
	memset(reading->read, 0, section->record_size);
	return 0;
}

/* It is emptied as a whole, where anything of it is. */
static bool is_reset(const struct amon_export_section *section, const struct amon_export_part *part)
{
	for (uint32_t i = 0; i < section->column_count; i++)
		if (section->columns[i].reset && lies_in(part, &section->columns[i]))
			return true;
	return false;
}

static int read_part(const struct reading *reading, struct part_reading *data)
{
	const struct amon_export_part *part = data->part;

	if (part->user)
		return read_user(reading, part->map, part->user, !part->twice && is_reset(data->section, part),
		                 visit_user_part, data);
	return read_map(reading, record_map(part->map, part->size), visit_part, data);
}

static int read_parts(const struct reading *reading, const struct amon_export_section *section, uint8_t *record)
{
	struct part_reading data = { .section = section,
		                     .read = calloc(1, section->record_size),
		                     .record = record,
		                     .kept = !(reading->which & (AMON_RESET | AMON_SHARED)) };
	int error = 0;

	if (!data.read)
		return amon_fail(reading->failure, -ENOMEM, "out of memory");
	for (uint32_t i = 0; !error && i < section->part_count; i++) {
		data.part = &section->parts[i];
		if (takes_part(reading, data.part))
			error = read_part(reading, &data);
	}
	free(data.read);
	return error;
}

static int read_section(const struct reading *reading, const struct amon_export_section *section,
                        struct amon_collected_section *into)
{
	int error = read_parts(reading, section, into->record);

	for (uint32_t i = 0; !error && i < section->table_count; i++)
		if (takes_table(reading, &section->tables[i]))
			error = read_table(reading, &section->tables[i], &into->tables[i]);
	return error;
}

int amon_storage_read(const struct amon_maps *maps, const struct amon_exports *exports, unsigned int clone,
                      unsigned int which, struct amon_collected *into, struct amon_failure *failure)
{
	const struct reading reading = { maps, clone, which, failure };
	int error = 0;

	for (uint32_t i = 0; !error && i < exports->section_count; i++)
		error = read_section(&reading, &exports->sections[i], &into->sections[i]);
	return error;
}

int amon_storage_gather(const struct amon_maps *maps, const struct amon_export_section *section,
                        struct amon_collected_section *into, struct amon_failure *failure)
{
	const struct reading reading = { maps, 0, AMON_EVENTS, failure };
	int error = 0;

	for (uint32_t i = 0; i < section->table_count && !error; i++) {
		if (!is_ring(&section->tables[i]))
			continue;
		error = read_table(&reading, &section->tables[i], &into->tables[i]);
		if (!error)
			error = empty_ring(&reading, &section->tables[i]);
	}
	return error;
}

/* --- memory */

struct memory_reading {
	amon_visit_memory *visit;
	void *data;
};

static int visit_memory(const struct amon_entries *entries, const void *key, const void *values, void *data)
{
	const struct memory_reading *reading = data;

	(void)entries;
	return reading->visit(key, values, reading->data);
}

int amon_storage_visit(const struct amon_maps *maps, const struct amon_export_memory *memory, amon_visit_memory *visit,
                       void *data, struct amon_failure *failure)
{
	const struct reading reading = { maps, 0, 0, failure };
	struct memory_reading visiting = { visit, data };
	struct map map = { .name = memory->map, .key_size = memory->key_size, .value_size = memory->value_size };

	return read_map(&reading, map, visit_memory, &visiting);
}

/* --- emptying */

struct part_emptying {
	const struct amon_export_section *section;
	const struct amon_export_part *part;
	uint8_t *record; /* of the whole section */
};

/* Writes back what a reset leaves. */
static int visit_emptying(const struct amon_entries *entries, const void *key, const void *values, void *data)
{
	const struct part_emptying *emptying = data;
	uint8_t *all = malloc((size_t)entries->cpus * entries->stride);
	int error;

	if (!all)
		return -ENOMEM;
	memcpy(all, values, (size_t)entries->cpus * entries->stride);
	for (uint32_t cpu = 0; cpu < entries->cpus; cpu++) {
		memcpy(emptying->record + emptying->part->offset, all + (size_t)cpu * entries->stride,
		       entries->value_size);
		amon_clear_section(emptying->section, emptying->record);
		memcpy(all + (size_t)cpu * entries->stride, emptying->record + emptying->part->offset,
		       entries->value_size);
	}
	error = bpf_map_update_elem(entries->fd, key, all, BPF_ANY);
	free(all);
	return error;
}

static int reset_part(const struct reading *reading, struct part_emptying *data)
{
	const struct amon_export_part *part = data->part;

	if (!part->user)
		return read_map(reading, record_map(part->map, part->size), visit_emptying, data);
	return is_reset(data->section, part) ? reset_user(reading, part->map, part->user) : 0;
}

static int reset_parts(const struct reading *reading, const struct amon_export_section *section)
{
	struct part_emptying data = { .section = section, .record = calloc(1, section->record_size) };
	int error = 0;

	if (!data.record)
		return amon_fail(reading->failure, -ENOMEM, "out of memory");
	for (uint32_t i = 0; !error && i < section->part_count; i++) {
		data.part = &section->parts[i];
		if (takes_part(reading, data.part))
			error = reset_part(reading, &data);
	}
	free(data.record);
	return error;
}

static int reset_table(const struct reading *reading, const struct amon_export_table *table)
{
	int error;

	if (is_ring(table))
		return empty_ring(reading, table);
	if (table->user)
		return reset_user(reading, table->map, table->user);
	error = rows_spilled(reading, table);
	if (error > 0)
		error = reset_spilled(reading, table);
	/* last, for a reader that dies in between: what it leaves says that there are still rows that spilled */
	if (!error)
		error = reset_own(reading, table);
	if (!error && table->other_map)
		error = reset_map(reading, record_map(table->other_map, table->record_size));
	return error;
}

int amon_storage_reset(const struct amon_maps *maps, const struct amon_exports *exports, unsigned int clone,
                       unsigned int which, struct amon_failure *failure)
{
	const struct reading reading = { maps, clone, which, failure };
	int error = 0;

	for (uint32_t i = 0; !error && i < exports->section_count; i++) {
		const struct amon_export_section *section = &exports->sections[i];

		error = reset_parts(&reading, section);
		for (uint32_t j = 0; !error && j < section->table_count; j++)
			if (section->tables[j].reset && takes_table(&reading, &section->tables[j]))
				error = reset_table(&reading, &section->tables[j]);
	}
	return error;
}
