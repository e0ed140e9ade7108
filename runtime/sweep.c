/* SPDX-License-Identifier: Apache-2.0 */
#include "sweep.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "storage.h"

/* The keys that are to go: a map that changes is not deleted from while it is walked. */
struct amon_swept {
	const struct amon_export_memory *memory;
	uint64_t open, now;
	uint8_t *keys;
	size_t count, room;
	uint64_t found; /* rows of the map, those that stay included */
};

/* struct life of bpf-templates/flow.h */
struct life {
	uint64_t number, first, last, until;
};

static bool is_forgotten(const struct amon_swept *rows, const void *value)
{
	struct life life;

	memcpy(&life, (const char *)value + rows->memory->life, sizeof(life));
	if (life.until)
		return rows->now >= life.until;
	return life.number && (int64_t)(rows->now - life.last) >= (int64_t)rows->memory->idle;
}

/* As packets decide it. */
static bool has_ended(const struct amon_swept *rows, const void *value)
{
	uint64_t seen;

	if (rows->memory->life != UINT32_MAX)
		return is_forgotten(rows, value);
	memcpy(&seen, (const char *)value + rows->memory->seen, sizeof(seen));
	return seen + 1 < rows->open;
}

static int note_ended(const void *key, const void *value, void *data)
{
	struct amon_swept *rows = data;
	uint32_t size = rows->memory->key_size;

	rows->found++;
	if (!has_ended(rows, value))
		return 0;
	if (rows->count == rows->room) {
		size_t room = rows->room ? 2 * rows->room : 64;
		uint8_t *keys = reallocarray(rows->keys, room, size);

		if (!keys)
			return -ENOMEM;
		rows->keys = keys;
		rows->room = room;
	}
	memcpy(rows->keys + rows->count++ * size, key, size);
	return 0;
}

/*
 * A map has room for `windows` times the rows of one window. As long as there are no more than those of one, all new
 * ones of this window and of the next, until the sweep after that, find room.
 */
static int look(const struct amon_maps *maps, struct amon_swept *rows, struct amon_failure *failure)
{
	struct bpf_map_info info = { 0 };
	uint32_t length = sizeof(info);
	int error = amon_storage_visit(maps, rows->memory, note_ended, rows, failure);

	if (error)
		return error;
	if (bpf_obj_get_info_by_fd(amon_maps_find(maps, rows->memory->map, 0), &info, &length))
		return amon_fail(failure, -errno, "the kernel does not tell the size of map %s: %s", rows->memory->map,
		                 strerror(errno));
	if (rows->found * rows->memory->windows <= info.max_entries)
		rows->count = 0;
	return 0;
}

static bool is_swept(const struct amon_export_memory *memory)
{
	return memory->seen != UINT32_MAX || memory->life != UINT32_MAX;
}

static uint32_t count_swept(const struct amon_exports *exports)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < exports->section_count; i++)
		for (uint32_t j = 0; j < exports->sections[i].memory_count; j++)
			count += is_swept(&exports->sections[i].memories[j]);
	return count;
}

bool amon_sweep_expires(const struct amon_exports *exports)
{
	for (uint32_t i = 0; i < exports->section_count; i++)
		for (uint32_t j = 0; j < exports->sections[i].memory_count; j++)
			if (exports->sections[i].memories[j].life != UINT32_MAX)
				return true;
	return false;
}

static int look_at_section(const struct amon_export_section *section, struct amon_sweep *sweep,
                           struct amon_failure *failure)
{
	int error = 0;

	for (uint32_t i = 0; i < section->memory_count && !error; i++) {
		struct amon_swept *rows = &sweep->rows[sweep->row_count];

		if (!is_swept(&section->memories[i]))
			continue;
		*rows = (struct amon_swept){ .memory = &section->memories[i], .open = sweep->open, .now = sweep->now };
		sweep->row_count++;
		error = look(sweep->maps, rows, failure);
		sweep->count += rows->count;
	}
	return error;
}

int amon_sweep_begin(const struct amon_maps *maps, const struct amon_exports *exports, uint64_t open, uint64_t now,
                     struct amon_sweep *sweep, struct amon_failure *failure)
{
	uint32_t count = count_swept(exports);
	int error = 0;

	*sweep = (struct amon_sweep){ .maps = maps, .open = open, .now = now };
	if (!count)
		return 0;
	sweep->rows = calloc(count, sizeof(*sweep->rows));
	if (!sweep->rows)
		return amon_fail(failure, -ENOMEM, "out of memory");
	for (uint32_t i = 0; i < exports->section_count && !error; i++)
		error = look_at_section(&exports->sections[i], sweep, failure);
	return error;
}

/* A packet may have come since its key was noted. */
static int delete_row(const struct amon_swept *rows, int fd, const void *key, void *value)
{
	int error = bpf_map_lookup_elem_flags(fd, key, value, BPF_F_LOCK);

	if (!error && has_ended(rows, value))
		error = bpf_map_delete_elem(fd, key);
	return error == -ENOENT ? 0 : error;
}

static int delete_rows(const struct amon_swept *rows, int fd)
{
	AMON_FREES void *value = malloc(rows->memory->value_size);
	int error = value ? 0 : -ENOMEM;

	for (size_t i = 0; i < rows->count && !error; i++)
		error = delete_row(rows, fd, rows->keys + i * rows->memory->key_size, value);
	return error;
}

int amon_sweep_finish(const struct amon_sweep *sweep, struct amon_failure *failure)
{
	for (uint32_t i = 0; i < sweep->row_count; i++) {
		const char *map = sweep->rows[i].memory->map;
		int error = delete_rows(&sweep->rows[i], amon_maps_find(sweep->maps, map, 0));

		if (error)
			return amon_fail(failure, error, "cannot sweep map %s: %s", map, strerror(-error));
	}
	return 0;
}

void amon_sweep_end(struct amon_sweep *sweep)
{
	for (uint32_t i = 0; i < sweep->row_count; i++)
		free(sweep->rows[i].keys);
	free(sweep->rows);
	*sweep = (struct amon_sweep){ NULL };
}
