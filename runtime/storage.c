/* SPDX-License-Identifier: Apache-2.0 */
#include "storage.h"
#include "kernel.h"
#include "own.h"
#include "ring.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* What old kernels say to batches; user space has no name for it. */
#define KERNEL_ENOTSUPP 524

/* Values of one batch, about: more saves no time. */
#define BATCH_BYTES (1u << 20)
#define BATCH_MIN   64u
#define BATCH_MAX   8192u
/* A cursor of the kernel's: 4 bytes for hashes, a key for others. */
#define CURSOR_SIZE AMON_MAX_LAID_KEY

struct map {
	const char *name;
	int fd;
	uint32_t key_size, value_size;
	uint32_t cpus;   /* possible ones */
	uint32_t stride; /* of one CPU's value */
};

/** Whose maps are read, or emptied. */
struct reading {
	const struct amon_maps *maps;
	unsigned int clone, which;
	struct amon_failure *failure;
};

/** Called for every entry with its key and `map->cpus` values; a non-zero return ends the reading with it. */
typedef int visit_entry(const struct map *map, const void *key, const void *values, void *data);

/** THE table of storage kinds: how each is read and emptied, the best way that the kernel offers. */
struct storage {
	enum bpf_map_type type;
	bool shared; /* one value for all CPUs */
	int (*read)(const struct map *map, visit_entry *visit, void *data);
	int (*reset)(const struct map *map);
};

/* --- arrays of one entry */

static int read_array(const struct map *map, visit_entry *visit, void *data)
{
	uint32_t zero = 0;
	void *values = calloc(map->cpus, map->stride);
	int error = -ENOMEM;

	if (values)
		error = bpf_map_lookup_elem(map->fd, &zero, values);
	if (!error)
		error = visit(map, &zero, values, data);
	free(values);
	return error;
}

static int reset_array(const struct map *map)
{
	uint32_t zero = 0;
	void *values = calloc(map->cpus, map->stride);
	int error = -ENOMEM;

	if (values)
		error = bpf_map_update_elem(map->fd, &zero, values, BPF_ANY);
	free(values);
	return error;
}

/* --- hashes: in batches, or one by one where the kernel has none */

typedef int batch_call(int fd, void *in, void *out, void *keys, void *values, __u32 *count,
                       const struct bpf_map_batch_opts *options);

struct batch {
	uint32_t room, count;
	uint8_t *keys, *values;
	uint8_t cursors[2][CURSOR_SIZE]; /* where this call starts, and where the next one does */
	bool started;
};

static int batch_room(const struct map *map, struct batch *batch, uint32_t room)
{
	free(batch->keys);
	free(batch->values);
	batch->room = room;
	batch->keys = reallocarray(NULL, room, map->key_size);
	batch->values = reallocarray(NULL, room, (size_t)map->cpus * map->stride);
	return batch->keys && batch->values ? 0 : -ENOMEM;
}

static int batch_init(const struct map *map, struct batch *batch)
{
	uint32_t room = BATCH_BYTES / (map->cpus * map->stride);

	*batch = (struct batch){ 0 };
	return batch_room(map, batch, room < BATCH_MIN ? BATCH_MIN : room > BATCH_MAX ? BATCH_MAX : room);
}

static void batch_free(struct batch *batch)
{
	free(batch->keys);
	free(batch->values);
}

static int visit_batch(const struct map *map, const struct batch *batch, visit_entry *visit, void *data)
{
	int error = 0;

	for (uint32_t i = 0; visit && !error && i < batch->count; i++)
		error = visit(map, batch->keys + (size_t)i * map->key_size,
		              batch->values + (size_t)i * map->cpus * map->stride, data);
	return error;
}

/*
 * One call. The kernel takes whole buckets of its hash: ENOSPC says that one alone is larger than the batch (nothing
 * was taken, and the cursor stays), ENOENT that this was the last batch, which may hold entries all the same.
 */
static int batch_next(const struct map *map, struct batch *batch, batch_call *call)
{
	int error;

	for (;;) {
		batch->count = batch->room;
		error = call(map->fd, batch->started ? batch->cursors[0] : NULL, batch->cursors[1], batch->keys,
		             batch->values, &batch->count, NULL);
		if (error != -ENOSPC)
			break;
		error = batch_room(map, batch, 2 * batch->room);
		if (error)
			break;
	}
	if (!error) {
		batch->started = true;
		memcpy(batch->cursors[0], batch->cursors[1], CURSOR_SIZE);
	}
	return error;
}

static int run_batches(const struct map *map, batch_call *call, visit_entry *visit, void *data)
{
	struct batch batch = { 0 };
	int error = amon_kernel_lacks(AMON_CAN_BATCH) ? -EOPNOTSUPP : batch_init(map, &batch);

	while (!error) {
		error = batch_next(map, &batch, call);
		if (!error || error == -ENOENT) {
			int stop = visit_batch(map, &batch, visit, data);

			error = stop ? stop : error;
		}
	}
	batch_free(&batch);
	return error == -ENOENT ? 0 : error;
}

/* Only a first call can say so, before anything was visited. */
static bool has_no_batches(int error)
{
	return error == -EINVAL || error == -KERNEL_ENOTSUPP || error == -EOPNOTSUPP;
}

static int read_entry(const struct map *map, const void *key, void *values, visit_entry *visit, void *data)
{
	int error = bpf_map_lookup_elem(map->fd, key, values);

	/* gone since its key was asked for */
	if (error == -ENOENT)
		return 0;
	return error ? error : visit(map, key, values, data);
}

static int read_one_by_one(const struct map *map, visit_entry *visit, void *data)
{
	uint8_t key[AMON_MAX_LAID_KEY], next[AMON_MAX_LAID_KEY];
	void *values = calloc(map->cpus, map->stride);
	int error = values ? bpf_map_get_next_key(map->fd, NULL, next) : -ENOMEM;

	while (!error) {
		memcpy(key, next, map->key_size);
		error = read_entry(map, key, values, visit, data);
		if (!error)
			error = bpf_map_get_next_key(map->fd, key, next);
	}
	free(values);
	return error == -ENOENT ? 0 : error;
}

static int read_hash(const struct map *map, visit_entry *visit, void *data)
{
	int error = run_batches(map, bpf_map_lookup_batch, visit, data);

	return has_no_batches(error) ? read_one_by_one(map, visit, data) : error;
}

/* The next key is asked for before this one goes: without it the kernel would search from the start, for each. */
static int empty_one_by_one(const struct map *map)
{
	uint8_t key[AMON_MAX_LAID_KEY], next[AMON_MAX_LAID_KEY];
	int error = bpf_map_get_next_key(map->fd, NULL, next);

	while (!error) {
		int gone;

		memcpy(key, next, map->key_size);
		error = bpf_map_get_next_key(map->fd, key, next);
		gone = bpf_map_delete_elem(map->fd, key);
		if (gone && gone != -ENOENT)
			return gone;
	}
	return error == -ENOENT ? 0 : error;
}

static int reset_hash(const struct map *map)
{
	int error = run_batches(map, bpf_map_lookup_and_delete_batch, NULL, NULL);

	return has_no_batches(error) ? empty_one_by_one(map) : error;
}

static const struct storage storages[] = {
	{ BPF_MAP_TYPE_PERCPU_ARRAY, false, read_array, reset_array },
	{ BPF_MAP_TYPE_PERCPU_HASH, false, read_hash, reset_hash },
	{ BPF_MAP_TYPE_HASH, true, read_hash, reset_hash },
};

/* --- maps of the export table */

static const struct storage *storage_of(const struct bpf_map_info *info)
{
	for (size_t i = 0; i < sizeof(storages) / sizeof(*storages); i++)
		if (storages[i].type == info->type)
			return &storages[i];
	return NULL;
}

/* The sizes in the export table are only as true as the object: what the kernel would write must fit what is allocated.
 */
static const struct storage *open_map(const struct reading *reading, struct map *map)
{
	struct bpf_map_info info = { 0 };
	__u32 length = sizeof(info);
	int cpus = libbpf_num_possible_cpus();
	const struct storage *storage = NULL;

	map->fd = amon_maps_find(reading->maps, map->name, reading->clone);
	if (map->fd >= 0 && cpus > 0 && !bpf_obj_get_info_by_fd(map->fd, &info, &length))
		storage = storage_of(&info);
	if (storage && info.key_size == map->key_size && info.value_size == map->value_size) {
		map->cpus = storage->shared ? 1 : (uint32_t)cpus;
		map->stride = storage->shared ? map->value_size : (map->value_size + 7) & ~7u;
		return storage;
	}
	amon_fail(reading->failure, -EINVAL, "map %s is not what the export table says", map->name);
	return NULL;
}

static struct map record_map(const char *name, uint32_t record_size)
{
	return (struct map){ .name = name, .key_size = sizeof(uint32_t), .value_size = record_size };
}

/* Of the rows that spilled. */
static struct map rows_map(const struct amon_export_table *table)
{
	return (struct map){ .name = table->spill_map, .key_size = table->key_size, .value_size = table->record_size };
}

static int read_map(const struct reading *reading, struct map map, visit_entry *visit, void *data)
{
	const struct storage *storage = open_map(reading, &map);
	int error;

	if (!storage)
		return -EINVAL;
	error = storage->read(&map, visit, data);
	return error ? amon_fail(reading->failure, error, "cannot read map %s: %s", map.name, strerror(-error)) : 0;
}

static int reset_map(const struct reading *reading, struct map map)
{
	const struct storage *storage = open_map(reading, &map);
	int error;

	if (!storage)
		return -EINVAL;
	error = storage->reset(&map);
	return error ? amon_fail(reading->failure, error, "cannot empty map %s: %s", map.name, strerror(-error)) : 0;
}

static bool takes_table(const struct reading *reading, const struct amon_export_table *table)
{
	enum amon_which shared = table->events ? AMON_EVENTS : AMON_SHARED;
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
};

static int visit_part(const struct map *map, const void *key, const void *values, void *data)
{
	const struct part_reading *reading = data;

	(void)key;
	for (uint32_t cpu = 0; cpu < map->cpus; cpu++) {
		memcpy(reading->read + reading->part->offset, (const uint8_t *)values + (size_t)cpu * map->stride,
		       map->value_size);
		if (reading->kept)
			amon_clear_section(reading->section, reading->read);
		amon_merge_section(reading->section, reading->record, reading->read);
	}
	memset(reading->read + reading->part->offset, 0, map->value_size);
	return 0;
}

static void merge_cpus(const struct map *map, const struct amon_export_table *table, uint8_t *record,
                       const uint8_t *values, uint32_t from)
{
	for (uint32_t cpu = from; cpu < map->cpus; cpu++)
		amon_merge_row(table, record, values + (size_t)cpu * map->stride);
}

static int visit_other(const struct map *map, const void *key, const void *values, void *data)
{
	const struct table_reading *reading = data;

	(void)key;
	merge_cpus(map, reading->table, reading->rows->other, values, 0);
	return 0;
}

static int visit_row(const struct map *map, const void *key, const void *values, void *data)
{
	const struct table_reading *reading = data;

	memcpy(reading->record, values, map->value_size);
	merge_cpus(map, reading->table, reading->record, values, 1);
	return amon_collected_add(reading->table, reading->rows, key, reading->record);
}

/* --- events */

/* An open ring: no key, no value, and as many entries as it has bytes. */
static int open_ring(const struct reading *reading, const struct amon_export_table *table, uint32_t *size)
{
	struct bpf_map_info info = { 0 };
	__u32 length = sizeof(info);
	int fd = amon_maps_find(reading->maps, table->map, reading->clone);

	if (fd < 0 || bpf_obj_get_info_by_fd(fd, &info, &length) || info.type != BPF_MAP_TYPE_RINGBUF)
		return amon_fail(reading->failure, -EINVAL, "map %s is not what the export table says", table->map);
	*size = info.max_entries;
	return fd;
}

static int visit_event(const void *event, uint32_t length, void *data)
{
	const struct table_reading *reading = data;

	if (length != reading->table->key_size)
		return -EINVAL;
	return amon_collected_add(reading->table, reading->rows, event, reading->record);
}

static int read_events(const struct reading *reading, const struct amon_export_table *table, struct table_reading *data)
{
	uint64_t *read = amon_maps_read(reading->maps, table->map, reading->clone);
	uint32_t size = 0;
	int fd = open_ring(reading, table, &size), error;

	if (fd < 0)
		return fd;
	error = amon_ring_read(fd, size, visit_event, data, read);
	return error ? amon_fail(reading->failure, error, "cannot read events %s: %s", table->map, strerror(-error))
	             : 0;
}

static int take_events(const struct reading *reading, const struct amon_export_table *table)
{
	const uint64_t *read = amon_maps_read(reading->maps, table->map, reading->clone);
	int fd = amon_maps_find(reading->maps, table->map, reading->clone), error;

	/* a reader that died had written out all that rests, and of what goes on nobody knows how much */
	if (*read == AMON_NOT_READ && !table->twice)
		return 0;
	error = fd < 0 ? fd : *read == AMON_NOT_READ ? amon_ring_take_all(fd) : amon_ring_take(fd, *read);
	return error ? amon_fail(reading->failure, error, "cannot empty events %s: %s", table->map, strerror(-error))
	             : 0;
}

/* --- rows that CPUs own */

static int visit_own(const void *key, const void *record, void *data)
{
	const struct table_reading *reading = data;

	return amon_collected_add(reading->table, reading->rows, key, record);
}

static struct amon_map *open_own(const struct reading *reading, const struct amon_export_table *table,
                                 unsigned int *clone)
{
	struct amon_map *map = amon_maps_entry(reading->maps, table->map);

	*clone = table->twice ? reading->clone : 0;
	if (map && map->fds[*clone] >= 0)
		return map;
	amon_fail(reading->failure, -EINVAL, "map %s is not what the export table says", table->map);
	return NULL;
}

static int read_own(const struct reading *reading, const struct amon_export_table *table, struct table_reading *data)
{
	unsigned int clone;
	struct amon_map *map = open_own(reading, table, &clone);
	int error = map ? amon_own_read(table, map, clone, visit_own, data) : -EINVAL;

	return error && map ? amon_fail(reading->failure, error, "cannot read map %s: %s", table->map, strerror(-error))
	                    : error;
}

static int reset_own(const struct reading *reading, const struct amon_export_table *table)
{
	unsigned int clone;
	struct amon_map *map = open_own(reading, table, &clone);
	int error = map ? amon_own_reset(table, map, clone) : -EINVAL;

	return error && map
	               ? amon_fail(reading->failure, error, "cannot empty map %s: %s", table->map, strerror(-error))
	               : error;
}

static int read_rows(const struct reading *reading, const struct amon_export_table *table, struct table_reading *data)
{
	int error = read_own(reading, table, data);

	if (!error)
		error = read_map(reading, rows_map(table), visit_row, data);

	if (!error && table->other_map)
		error = read_map(reading, record_map(table->other_map, table->record_size), visit_other, data);
	return error;
}

static int read_table(const struct reading *reading, const struct amon_export_table *table,
                      struct amon_collected_table *rows)
{
	struct table_reading data = { table, rows, calloc(1, table->record_size) };
	int error;

	if (!data.record)
		return amon_fail(reading->failure, -ENOMEM, "out of memory");
	error = table->events ? read_events(reading, table, &data) : read_rows(reading, table, &data);
	free(data.record);
	return error;
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
			error = read_map(reading, record_map(data.part->map, data.part->size), visit_part, &data);
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
		if (!section->tables[i].events)
			continue;
		error = read_table(&reading, &section->tables[i], &into->tables[i]);
		if (!error)
			error = take_events(&reading, &section->tables[i]);
	}
	return error;
}

/* --- memory */

struct memory_reading {
	amon_visit_memory *visit;
	void *data;
};

static int visit_memory(const struct map *map, const void *key, const void *values, void *data)
{
	const struct memory_reading *reading = data;

	(void)map;
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
static int visit_emptying(const struct map *map, const void *key, const void *values, void *data)
{
	const struct part_emptying *emptying = data;
	uint8_t *all = malloc((size_t)map->cpus * map->stride);
	int error;

	if (!all)
		return -ENOMEM;
	memcpy(all, values, (size_t)map->cpus * map->stride);
	for (uint32_t cpu = 0; cpu < map->cpus; cpu++) {
		memcpy(emptying->record + emptying->part->offset, all + (size_t)cpu * map->stride, map->value_size);
		amon_clear_section(emptying->section, emptying->record);
		memcpy(all + (size_t)cpu * map->stride, emptying->record + emptying->part->offset, map->value_size);
	}
	error = bpf_map_update_elem(map->fd, key, all, BPF_ANY);
	free(all);
	return error;
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
			error = read_map(reading, record_map(data.part->map, data.part->size), visit_emptying, &data);
	}
	free(data.record);
	return error;
}

static int reset_table(const struct reading *reading, const struct amon_export_table *table)
{
	int error;

	if (table->events)
		return take_events(reading, table);
	error = reset_own(reading, table);
	if (!error)
		error = reset_map(reading, rows_map(table));
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
