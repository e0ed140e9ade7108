/* SPDX-License-Identifier: Apache-2.0 */
#include "memory.h"

#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bpf/control.h"
#include "listen.h"
#include "probe.h"
#include "reader.h"

/*
 * The sizes of the kernel's own structures, as in Linux 6.18 on 64 bits. Other versions differ by some dozen bytes a
 * map, and two an element. Since 6.4 a map's fdinfo tells `memlock` by the same sums: an estimate, which leaves out
 * what the allocators round up to, and the index of a per-CPU hash's free elements. Before, it told pages.
 */
#define ARRAY_SIZE   312 /* struct bpf_array */
#define HASH_SIZE    896 /* struct bpf_htab */
#define ELEMENT_SIZE 48  /* struct htab_elem */
#define BUCKET_SIZE  16
#define POINTER_SIZE 8
#define PAGE_SIZE    4096
#define RING_SIZE    64 /* struct bpf_ringbuf_map, and three pages */
#define RING_PAGES   3

static uint64_t round_up(uint64_t value, uint64_t to)
{
	return (value + to - 1) / to * to;
}

static uint64_t array_bytes(const struct amon_memory_map *map, uint32_t cpus)
{
	uint64_t values = map->entries * round_up(map->value_size, 8);

	if (map->type == BPF_MAP_TYPE_PERCPU_ARRAY)
		return ARRAY_SIZE + (uint64_t)map->entries * POINTER_SIZE + values * cpus;
	if (map->flags & BPF_F_MMAPABLE)
		return round_up(ARRAY_SIZE, PAGE_SIZE) + round_up(values, PAGE_SIZE);
	return ARRAY_SIZE + values;
}

/* Rows that spill and what is remembered take their elements as they come. */
static uint64_t hash_bytes(const struct amon_memory_map *map, uint32_t cpus)
{
	uint64_t element = ELEMENT_SIZE + round_up(map->key_size, 8) + POINTER_SIZE;
	uint64_t buckets = 1;

	while (buckets < map->entries)
		buckets *= 2;
	if (map->flags & BPF_F_NO_PREALLOC)
		return HASH_SIZE + buckets * BUCKET_SIZE;
	return HASH_SIZE + buckets * BUCKET_SIZE + map->entries * (element + round_up(map->value_size, 8) * cpus);
}

/* The pages of the data are mapped twice, one behind the other. */
static uint64_t ring_bytes(const struct amon_memory_map *map)
{
	uint64_t pages = map->entries / PAGE_SIZE;

	return RING_SIZE + (RING_PAGES + pages) * PAGE_SIZE + (RING_PAGES + 2 * pages) * POINTER_SIZE;
}

static uint64_t bytes_of(const struct amon_memory_map *map, uint32_t cpus)
{
	if (map->type == BPF_MAP_TYPE_RINGBUF)
		return ring_bytes(map);
	if (map->type == BPF_MAP_TYPE_PERCPU_HASH || map->type == BPF_MAP_TYPE_HASH)
		return hash_bytes(map, cpus);
	return array_bytes(map, cpus);
}

static void add(struct amon_map_costs *memory, struct amon_memory_map map, uint32_t cpus)
{
	if (!map.copies)
		return;
	map.bytes = bytes_of(&map, cpus);
	memory->all += map.copies;
	memory->bytes += map.copies * map.bytes;
	memory->maps[memory->count++] = map;
}

static bool is_twice(const struct amon_maps *maps, const char *name)
{
	for (uint32_t i = 0; i < maps->count; i++)
		if (!strcmp(maps->maps[i].name, name))
			return maps->maps[i].twice;
	return false;
}

static uint32_t count_clones(const struct amon_maps *maps)
{
	for (uint32_t i = 0; i < maps->count; i++)
		if (maps->maps[i].twice)
			return AMON_CLONES;
	return 1;
}

/* The reader's own takes its place, and is counted there. */
#define CONTROL_MAP "amon_control"

/* Each clone has its constants. */
static void add_of_object(struct amon_map_costs *memory, const struct bpf_object *object, const struct amon_maps *maps,
                          uint32_t cpus)
{
	const struct bpf_map *map;

	bpf_object__for_each_map(map, object)
	{
		bool own = amon_map_is_constants(map) || is_twice(maps, bpf_map__name(map));
		struct amon_memory_map one = {
			.type = bpf_map__type(map),
			.key_size = bpf_map__key_size(map),
			.value_size = bpf_map__value_size(map),
			.entries = bpf_map__max_entries(map),
			.flags = bpf_map__map_flags(map),
			.copies = !strcmp(bpf_map__name(map), CONTROL_MAP) ? 0
			          : own                                    ? count_clones(maps)
			                                                   : 1,
		};

		snprintf(one.name, sizeof(one.name), "%s", bpf_map__name(map));
		add(memory, one, cpus);
	}
}

/* runtime/reader.c makes them */
static void add_of_reader(struct amon_map_costs *memory, const struct amon_exports *exports, uint32_t cpus)
{
	uint32_t records = amon_baseline_size(exports);

	add(memory,
	    (struct amon_memory_map){ CONTROL_MAP, BPF_MAP_TYPE_ARRAY, 4, AMON_CONTROL_SIZE, 1 + cpus, BPF_F_MMAPABLE,
	                              1, 0 },
	    cpus);
	add(memory, (struct amon_memory_map){ "amon_baseline", BPF_MAP_TYPE_ARRAY, 4, records, 2, 0, records != 0, 0 },
	    cpus);
}

static bool uses(const struct amon_exports *exports, enum amon_hook_kind kind)
{
	for (uint32_t i = 0; i < exports->section_count; i++)
		for (uint32_t j = 0; j < exports->sections[i].hook_count; j++)
			if (exports->sections[i].hooks[j].kind == kind)
				return true;
	return false;
}

/* runtime/bpf/dispatch.bpf.c has them: a gate for each hook, and at XDP the root before the gates of an interface. */
static void add_of_gates(struct amon_map_costs *memory, const struct amon_exports *exports, uint32_t cpus)
{
	uint32_t root = uses(exports, AMON_HOOK_XDP);
	uint32_t gates = root + uses(exports, AMON_HOOK_TC_INGRESS) + uses(exports, AMON_HOOK_TC_EGRESS);
	const struct amon_memory_map maps[] = {
		{ "amon_slots", BPF_MAP_TYPE_PROG_ARRAY, 4, 4, AMON_SLOTS, 0, gates, 0 },
		{ "amon_next", BPF_MAP_TYPE_PROG_ARRAY, 4, 4, 1, 0, root, 0 },
		{ "amon_first", BPF_MAP_TYPE_PROG_ARRAY, 4, 4, 1, 0, root, 0 },
		{ "gates' .rodata", BPF_MAP_TYPE_ARRAY, 4, 4, 1, BPF_F_MMAPABLE, gates + root, 0 },
	};

	for (size_t i = 0; i < sizeof(maps) / sizeof(maps[0]); i++)
		add(memory, maps[i], cpus);
}

/* Of the reader and the gates there are six kinds. */
static int make_room(const struct bpf_object *object, struct amon_map_costs *memory)
{
	const struct bpf_map *map;
	size_t count = 6;

	bpf_object__for_each_map(map, object) count++;
	*memory = (struct amon_map_costs){ .maps = calloc(count, sizeof(*memory->maps)) };
	return memory->maps ? 0 : -ENOMEM;
}

int amon_memory_list(const void *data, size_t size, const struct amon_exports *exports, uint32_t cpus,
                     struct amon_map_costs *memory, struct amon_failure *failure)
{
	LIBBPF_OPTS(bpf_object_open_opts, options, .object_name = exports->probe);
	struct bpf_object *object;
	struct amon_maps maps;
	int error;

	amon_listen();
	object = bpf_object__open_mem(data, size, &options);
	if (!object)
		return amon_fail(failure, -EINVAL, "not an object of amon, or a broken one: %s", amon_heard());
	amon_probe_shape(object, exports, 0, false);
	error = amon_maps_list(exports, &maps);
	if (!error)
		error = make_room(object, memory);
	if (!error) {
		add_of_object(memory, object, &maps, cpus);
		add_of_reader(memory, exports, cpus);
		add_of_gates(memory, exports, cpus);
	}
	amon_maps_close(&maps);
	bpf_object__close(object);
	return error ? amon_fail(failure, error, "out of memory") : 0;
}

void amon_memory_free(struct amon_map_costs *memory)
{
	free(memory->maps);
	*memory = (struct amon_map_costs){ NULL };
}
