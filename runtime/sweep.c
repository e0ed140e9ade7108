/* SPDX-License-Identifier: Apache-2.0 */
#include "sweep.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "storage.h"

/* The keys that are to go: a map that changes is not deleted from while it is walked. */
struct sweep {
	const struct amon_export_memory *memory;
	uint64_t open;
	uint8_t *keys;
	size_t count, room;
};

/* As packets decide it. */
static bool has_ended(const struct sweep *sweep, const void *value)
{
	uint64_t seen;

	memcpy(&seen, (const char *)value + sweep->memory->seen, sizeof(seen));
	return seen + 1 < sweep->open;
}

static int note_ended(const void *key, const void *value, void *data)
{
	struct sweep *sweep = data;
	uint32_t size = sweep->memory->key_size;

	if (!has_ended(sweep, value))
		return 0;
	if (sweep->count == sweep->room) {
		size_t room = sweep->room ? 2 * sweep->room : 64;
		uint8_t *keys = reallocarray(sweep->keys, room, size);

		if (!keys)
			return -ENOMEM;
		sweep->keys = keys;
		sweep->room = room;
	}
	memcpy(sweep->keys + sweep->count++ * size, key, size);
	return 0;
}

/* A packet may have come since its key was noted: what was taken out then goes back, unless there is a new one. */
static int delete_row(const struct sweep *sweep, int fd, const void *key, void *value)
{
	int error = bpf_map_lookup_and_delete_elem_flags(fd, key, value, BPF_F_LOCK);

	if (!error && !has_ended(sweep, value))
		error = bpf_map_update_elem(fd, key, value, BPF_NOEXIST);
	return error == -ENOENT || error == -EEXIST ? 0 : error;
}

static int delete_rows(const struct sweep *sweep, int fd)
{
	AMON_FREES void *value = malloc(sweep->memory->value_size);
	int error = value ? 0 : -ENOMEM;

	for (size_t i = 0; i < sweep->count && !error; i++)
		error = delete_row(sweep, fd, sweep->keys + i * sweep->memory->key_size, value);
	return error;
}

static int sweep_map(const struct amon_maps *maps, const struct amon_export_memory *memory, uint64_t open,
                     struct amon_failure *failure)
{
	struct sweep sweep = { .memory = memory, .open = open };
	int error = amon_storage_visit(maps, memory, note_ended, &sweep, failure), fd;

	if (!error) {
		fd = amon_maps_find(maps, memory->map, 0);
		error = delete_rows(&sweep, fd);
		if (error)
			amon_fail(failure, error, "cannot sweep map %s: %s", memory->map, strerror(-error));
	}
	free(sweep.keys);
	return error;
}

int amon_sweep(const struct amon_maps *maps, const struct amon_exports *exports, uint64_t open,
               struct amon_failure *failure)
{
	int error = 0;

	for (uint32_t i = 0; i < exports->section_count; i++)
		for (uint32_t j = 0; j < exports->sections[i].memory_count && !error; j++)
			if (exports->sections[i].memories[j].seen != UINT32_MAX)
				error = sweep_map(maps, &exports->sections[i].memories[j], open, failure);
	return error;
}
