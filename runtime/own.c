/* SPDX-License-Identifier: Apache-2.0 */
#include "own.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kernel.h"

/* Rows. */
#define AHEAD 8
/* What stands before a CPU's list of slots. */
#define HEADER 64
/* Tables of more bytes are not made as large as they say for a replay. (A verifier follows offsets below 512 MiB.) */
#define REPLAY_BYTES (64u << 20)
#define REPLAY_LIVES (16u << 10)

static uint32_t power_of_two(uint64_t at_least)
{
	uint32_t power = 16;

	while (power < at_least)
		power *= 2;
	return power;
}

/* Rows that a CPU gets of a table's size. */
static uint32_t share(uint32_t rows, uint64_t slot_size, uint64_t copies)
{
	while (rows > 1 && rows * slot_size * copies > AMON_OWN_BYTES &&
	       (rows > AMON_OWN_ROWS || rows * slot_size > AMON_OWN_BYTES))
		rows /= 2;
	return rows;
}

/* The same of a table that is to have more than usual. */
static uint32_t large_share(uint64_t rows, uint64_t slot_size, uint32_t cpus, uint64_t copies)
{
	if (cpus > 2)
		rows = 2 * rows / cpus > AMON_OWN_ROWS ? 2 * rows / cpus : AMON_OWN_ROWS;
	while ((rows > AMON_OWN_ROWS && rows * slot_size * copies > AMON_OWN_MANY) ||
	       (rows > 1 && rows * slot_size > AMON_OWN_CPU_BYTES))
		rows /= 2;
	return (uint32_t)rows;
}

struct amon_own_shape amon_own_shape(const struct amon_export_table *table, uint32_t cpus, bool replay)
{
	uint64_t copies = (uint64_t)cpus * (table->twice ? AMON_CLONES : 1);
	uint32_t rows = table->size > AMON_OWN_USUAL ? large_share(table->size, table->slot_size, cpus, copies)
	                                             : share(table->size, table->slot_size, copies);
	bool exact = table->size <= AMON_OWN_ROWS && rows == table->size;
	struct amon_own_shape shape;

	if (amon_kernel_lacks(AMON_CAN_OWN_ROWS)) {
		shape = (struct amon_own_shape){ .slots = power_of_two(0), .spill = table->size };
		shape.value_size = HEADER + shape.slots * (4 + table->slot_size);
		return shape;
	}
	if (replay && table->size * (uint64_t)table->slot_size <= REPLAY_BYTES) {
		rows = table->size;
		exact = true;
	}
	/* a third more slots than rows keeps the way to a row short; twice as many has none spill */
	shape.slots = power_of_two(exact ? 2 * (uint64_t)rows + 16 : rows + rows / 3 + 1);
	shape.limit = exact ? rows - 1 : rows;
	shape.spill = exact ? 1 : table->size;
	shape.value_size = HEADER + shape.slots * (4 + table->slot_size);
	return shape;
}

/* Twice as many slots as lives, so that next to none finds no place. */
struct amon_own_shape amon_lives_shape(const struct amon_export_table *table, uint32_t cpus, bool replay)
{
	uint32_t slot_size = table->expire->slot_size, lives = share(table->size, slot_size, cpus);
	struct amon_own_shape shape = { .spill = 1 };

	/* more than its rows: of those that find the table full, too */
	if (replay && lives < REPLAY_LIVES)
		lives = REPLAY_LIVES;
	shape.slots = power_of_two(2 * (uint64_t)lives + 16);
	shape.value_size = HEADER + shape.slots * slot_size;
	return shape;
}

/* --- memory */

struct view {
	uint8_t *memory;
	uint32_t cpus, slots, stride;
};

static int map_memory(struct amon_map *map, unsigned int clone, const struct bpf_map_info *info, uint32_t stride)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	size_t size = ((size_t)stride * info->max_entries + page - 1) & ~(page - 1);
	void *memory;

	if (map->memory[clone])
		return 0;
	memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, map->fds[clone], 0);
	if (memory == MAP_FAILED)
		return -errno;
	map->memory[clone] = memory;
	map->memory_size = size;
	return 0;
}

/* The object may say anything: only what the kernel says of the map is believed. */
static int open_view(const struct amon_export_table *table, struct amon_map *map, unsigned int clone, struct view *view)
{
	struct bpf_map_info info = { 0 };
	uint32_t length = sizeof(info);
	int error;

	if (bpf_obj_get_info_by_fd(map->fds[clone], &info, &length))
		return -errno;
	if (info.type != BPF_MAP_TYPE_ARRAY || info.value_size < HEADER + 4 + table->slot_size)
		return -EINVAL;
	*view = (struct view){ .cpus = info.max_entries,
		               .slots = (info.value_size - HEADER) / (4 + table->slot_size),
		               .stride = (info.value_size + 7) & ~7u };
	error = map_memory(map, clone, &info, view->stride);
	view->memory = map->memory[clone];
	return error;
}

/* The rows of a CPU, in the order in which they were made; behind the number that is read here all of them are whole.
 */
static uint64_t count_of(const struct view *view, const uint8_t *cpu)
{
	uint64_t count = __atomic_load_n((const uint64_t *)(const void *)cpu, __ATOMIC_ACQUIRE);

	return count < view->slots ? count : view->slots;
}

/* Behind the count and the newest row. */
static bool has_spilled(const uint8_t *cpu)
{
	return __atomic_load_n((const uint64_t *)(const void *)(cpu + 16), __ATOMIC_ACQUIRE);
}

static uint8_t *slot_of(const struct view *view, uint8_t *cpu, uint64_t row, uint32_t slot_size)
{
	uint32_t slot = ((const uint32_t *)(const void *)(cpu + HEADER))[row];

	return cpu + HEADER + 4 * (size_t)view->slots + (size_t)(slot & (view->slots - 1)) * slot_size;
}

/* Slots lie in no order; the caches are asked for them some rows before. */
static void ask_ahead(const struct view *view, uint8_t *cpu, uint64_t row, uint64_t count, uint32_t slot_size)
{
	const uint8_t *slot = row + AHEAD < count ? slot_of(view, cpu, row + AHEAD, slot_size) : cpu;

	__builtin_prefetch(slot);
	__builtin_prefetch(slot + 64);
}

int amon_own_cpus(const struct amon_export_table *table, struct amon_map *map, unsigned int clone)
{
	struct view view = { NULL, 0, 0, 0 };
	int error = open_view(table, map, clone, &view);

	return error ? error : (int)view.cpus;
}

int amon_own_read(const struct amon_export_table *table, struct amon_map *map, unsigned int clone,
                  int (*visit)(const void *key, const void *record, void *data), void *data)
{
	struct view view = { NULL, 0, 0, 0 };
	int error = open_view(table, map, clone, &view);

	for (uint32_t i = 0; i < view.cpus && !error; i++) {
		uint8_t *cpu = view.memory + (size_t)i * view.stride;
		uint64_t count = count_of(&view, cpu);

		for (uint64_t row = 0; row < count && !error; row++) {
			const uint8_t *slot = slot_of(&view, cpu, row, table->slot_size);

			ask_ahead(&view, cpu, row, count, table->slot_size);
			error = visit(slot + 8, slot + 8 + table->key_size, data);
		}
	}
	return error;
}

int amon_own_spilled(const struct amon_export_table *table, struct amon_map *map, unsigned int clone)
{
	struct view view = { NULL, 0, 0, 0 };
	int error = open_view(table, map, clone, &view);
	bool spilled = false;

	for (uint32_t i = 0; i < view.cpus && !error; i++)
		spilled |= has_spilled(view.memory + (size_t)i * view.stride);
	return error ? error : spilled;
}

int amon_own_reset(const struct amon_export_table *table, struct amon_map *map, unsigned int clone)
{
	struct view view = { NULL, 0, 0, 0 };
	int error = open_view(table, map, clone, &view);

	for (uint32_t i = 0; i < view.cpus && !error; i++) {
		uint8_t *cpu = view.memory + (size_t)i * view.stride;
		uint64_t count = count_of(&view, cpu);

		for (uint64_t row = 0; row < count; row++) {
			ask_ahead(&view, cpu, row, count, table->slot_size);
			memset(slot_of(&view, cpu, row, table->slot_size), 0, table->slot_size);
		}
		memset(cpu + sizeof(uint64_t), 0, HEADER - sizeof(uint64_t));
		__atomic_store_n((uint64_t *)(void *)cpu, 0, __ATOMIC_RELEASE);
	}
	return error;
}
