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
/* Rows that are taken from the pool at a time. */
#define PART 32
/* There are so many numbers of rows at least. */
#define NUMBERS 512
/* Tables of more bytes are not made as large as they say for a replay. */
#define REPLAY_BYTES (64u << 20)
#define REPLAY_LIVES (16u << 10)

/* What stands in front, as in bpf-templates/own.h. */
struct index {
	uint64_t count, newest, spilled;
	uint32_t next, end;
	/* while it is emptied: what the pool was given ever, with what this gives back; 0: its rows are not empty yet
	 */
	uint64_t giving;
	uint64_t given; /* 1: that was done */
	uint64_t unused[2];
};
struct pool {
	uint64_t taken, given, unused[6];
};

static uint32_t power_of_two(uint64_t at_least, uint32_t power)
{
	while (power < at_least)
		power *= 2;
	return power;
}

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t most(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

static uint64_t copies_of(const struct amon_export_table *table, uint32_t cpus)
{
	return (uint64_t)cpus * (table->twice ? AMON_CLONES : 1);
}

/* One CPU may take all there is: then all keys have a place wherever they come. */
static bool is_exact(const struct amon_export_table *table, uint32_t cpus, bool replay)
{
	uint64_t bytes = (uint64_t)table->size * table->slot_size;

	if (replay)
		return bytes <= REPLAY_BYTES;
	return table->size <= AMON_OWN_ROWS && copies_of(table, cpus) * bytes <= AMON_OWN_EXACT;
}

/* Rows of the pool, were they all used. */
static uint64_t pool_rows(const struct amon_export_table *table)
{
	uint64_t rows = table->twice ? table->size + table->size / 4u : table->size;

	if (table->size <= AMON_OWN_USUAL && rows * table->slot_size > AMON_OWN_BYTES)
		rows = most(AMON_OWN_BYTES / table->slot_size, least(table->size, AMON_OWN_ROWS));
	return least(rows, AMON_OWN_MOST / table->slot_size);
}

/* Of each CPU; where there are many, no more than twice what is even. */
static uint64_t cpu_rows(const struct amon_export_table *table, uint32_t cpus)
{
	return cpus > 2 ? least(table->size, most(2 * (uint64_t)table->size / cpus, AMON_OWN_ROWS)) : table->size;
}

/* Four bytes for each slot, and for each of those that may be taken, three of four. */
static uint32_t index_size(uint32_t slots)
{
	return sizeof(struct index) + 7 * slots;
}

/* Rows, and the list of what was given back. */
static uint32_t pool_size(uint32_t rows, uint32_t numbers, uint32_t slot_size)
{
	return sizeof(struct pool) + 4 * (numbers / PART) + rows * slot_size;
}

struct amon_own_shape amon_own_shape(const struct amon_export_table *table, uint32_t cpus, bool replay)
{
	bool none = amon_kernel_lacks(AMON_CAN_OWN_ROWS), exact = !none && is_exact(table, cpus, replay);
	uint64_t copies = copies_of(table, cpus), rows = exact ? copies * (table->size + PART - 1) : pool_rows(table);
	uint64_t limit = none ? 0 : exact ? table->size - 1 : least(cpu_rows(table, cpus), rows);
	/* a third more slots than rows keeps the way to a row short; twice as many has none spill */
	uint32_t slots = power_of_two(exact ? 2 * limit + 16 : limit + limit / 3 + 1, 16);
	struct amon_own_shape shape = { .spill = exact ? 1 : table->size };

	/* row 0 is none, and each CPU and clone may leave some of what it took */
	rows = none ? PART : rows / PART * PART + PART * (copies + 1);
	shape.constant.mask = slots - 1;
	shape.constant.limit = (uint32_t)limit;
	shape.constant.cpus = cpus;
	shape.constant.rows = (uint32_t)rows;
	shape.constant.numbers = power_of_two(rows, NUMBERS) - 1;
	shape.index_size = index_size(slots);
	shape.pool_size = pool_size((uint32_t)rows, shape.constant.numbers + 1, table->slot_size);
	return shape;
}

/* Twice as many slots as lives, so that next to none finds no place. */
struct amon_own_shape amon_lives_shape(const struct amon_export_table *table, uint32_t cpus, bool replay)
{
	uint32_t slot_size = table->expire->slot_size;
	uint64_t lives = most(least(cpu_rows(table, cpus), AMON_OWN_BYTES / slot_size), 1);
	struct amon_own_shape shape = { .spill = 1 };
	uint32_t slots;

	/* more than its rows: of those that find the table full, too */
	if (replay)
		lives = most(lives, REPLAY_LIVES);
	slots = power_of_two(2 * lives + 16, 16);
	shape.constant.mask = slots - 1;
	shape.constant.cpus = cpus;
	shape.index_size = sizeof(struct index) + slots * slot_size;
	return shape;
}

/* --- memory */

struct view {
	uint8_t *memory, *rows;
	uint32_t cpus, stride, slots; /* bytes of each CPU, and its slots */
	struct pool *pool;
	uint32_t *given;
	uint32_t row_count, row_size, numbers;
};

static int map_memory(struct amon_map *map, unsigned int clone, uint64_t size)
{
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
	void *memory;

	if (map->memory[clone])
		return 0;
	size = (size + page - 1) & ~(page - 1);
	memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, map->fds[clone], 0);
	if (memory == MAP_FAILED)
		return -errno;
	map->memory[clone] = memory;
	map->memory_size = size;
	return 0;
}

static int map_array(struct amon_map *map, unsigned int clone, uint64_t least_size, struct bpf_map_info *info)
{
	uint32_t length = sizeof(*info);

	*info = (struct bpf_map_info){ 0 };
	if (bpf_obj_get_info_by_fd(map->fds[clone], info, &length))
		return -errno;
	if (info->type != BPF_MAP_TYPE_ARRAY || info->value_size < least_size)
		return -EINVAL;
	return map_memory(map, clone, (uint64_t)((info->value_size + 7) & ~7u) * info->max_entries);
}

/* The object may say anything: only what the kernel says of the maps is believed. */
static int open_index(const struct amon_own *own, struct view *view)
{
	struct bpf_map_info info;
	int error = map_array(own->index, own->clone, index_size(16), &info);

	view->memory = own->index->memory[own->clone];
	view->cpus = info.max_entries;
	view->stride = (info.value_size + 7) & ~7u;
	view->slots = (info.value_size - (uint32_t)sizeof(struct index)) / 7;
	return error || (view->slots & (view->slots - 1)) == 0 ? error : -EINVAL;
}

/* As many rows as make a pool of this size. */
static int open_pool(const struct amon_own *own, struct view *view)
{
	uint32_t size = own->table->slot_size;
	struct bpf_map_info info;
	int error = map_array(own->pool, 0, pool_size(PART, NUMBERS, size), &info);

	if (error)
		return error;
	for (view->numbers = NUMBERS; view->numbers < NUMBERS << 16; view->numbers *= 2) {
		view->row_count = (info.value_size - pool_size(0, view->numbers, 0)) / size;
		if (view->row_count <= view->numbers)
			break;
	}
	view->row_size = size;
	view->pool = own->pool->memory[0];
	view->rows = (uint8_t *)(view->pool + 1);
	view->given = (uint32_t *)(void *)(view->rows + (size_t)view->row_count * size);
	return 0;
}

static int open_view(const struct amon_own *own, struct view *view)
{
	int error = open_index(own, view);

	return error ? error : open_pool(own, view);
}

/* The rows of a CPU, in the order in which they were made. */
static struct index *index_of(const struct view *view, uint32_t cpu)
{
	return (struct index *)(void *)(view->memory + (size_t)cpu * view->stride);
}

/* Behind the number that is read here all rows are whole. */
static uint64_t count_of(const struct view *view, const struct index *index)
{
	return least(__atomic_load_n(&index->count, __ATOMIC_ACQUIRE), view->slots / 4 * 3);
}

static uint32_t *slot_of(const struct view *view, struct index *index, uint64_t i)
{
	uint32_t *slots = (uint32_t *)(index + 1), *list = slots + view->slots;

	return slots + (list[i] & (view->slots - 1));
}

static uint32_t number_of(const struct view *view, struct index *index, uint64_t i)
{
	return (uint32_t)least(*slot_of(view, index, i) & (view->numbers - 1), view->row_count - 1);
}

static uint8_t *row_of(const struct view *view, struct index *index, uint64_t i)
{
	return view->rows + (size_t)number_of(view, index, i) * view->row_size;
}

/* Slots lie in no order; the caches are asked for them, and for what they say, some rows before. */
static void ask_ahead(const struct view *view, struct index *index, uint64_t i, uint64_t count)
{
	if (i + 2 * AHEAD < count)
		__builtin_prefetch(slot_of(view, index, i + 2 * AHEAD));
	if (i + AHEAD < count)
		__builtin_prefetch(row_of(view, index, i + AHEAD));
}

int amon_own_cpus(const struct amon_own *own)
{
	struct view view = { 0 };
	int error = open_view(own, &view);

	return error ? error : (int)view.cpus;
}

int amon_own_read(const struct amon_own *own, int (*visit)(const void *key, const void *record, void *data), void *data)
{
	struct view view = { 0 };
	int error = open_view(own, &view);

	for (uint32_t cpu = 0; cpu < view.cpus && !error; cpu++) {
		struct index *index = index_of(&view, cpu);
		uint64_t count = count_of(&view, index);

		for (uint64_t i = 0; i < count && !error; i++) {
			const uint8_t *row = row_of(&view, index, i);

			ask_ahead(&view, index, i, count);
			error = visit(row, row + own->table->key_size, data);
		}
	}
	return error;
}

int amon_own_spilled(const struct amon_own *own)
{
	struct view view = { 0 };
	int error = open_view(own, &view);
	bool spilled = false;

	for (uint32_t cpu = 0; cpu < view.cpus && !error; cpu++)
		spilled |= __atomic_load_n(&index_of(&view, cpu)->spilled, __ATOMIC_ACQUIRE) != 0;
	return error ? error : spilled;
}

/* --- emptying: each step may be repeated, and says that it was done before the next undoes what it rests on */

static void clear_rows(const struct view *view, struct index *index, uint64_t count)
{
	for (uint64_t i = 0; i < count; i++) {
		ask_ahead(view, index, i, count);
		memset(row_of(view, index, i), 0, view->row_size);
	}
}

/* The first row of each part that was taken from the pool: all of a part were used before another was taken. */
static bool begins_part(const struct view *view, struct index *index, uint64_t i)
{
	return !i || number_of(view, index, i) / PART != number_of(view, index, i - 1) / PART;
}

/*
 * To the places behind what was given back before, which are agreed on first: whoever is killed here, and begins anew,
 * writes the same there.
 */
static void give_back(const struct view *view, struct index *index, uint64_t count)
{
	uint64_t parts = 0, at;

	for (uint64_t i = 0; i < count; i++)
		parts += begins_part(view, index, i);
	if (!index->giving)
		__atomic_store_n(&index->giving, view->pool->given + parts, __ATOMIC_RELEASE);
	at = view->row_count / PART + index->giving - parts;
	for (uint64_t i = 0; i < count; i++)
		if (begins_part(view, index, i))
			view->given[at++ & (view->numbers / PART - 1)] = number_of(view, index, i) / PART;
	__atomic_store_n(&view->pool->given, index->giving, __ATOMIC_RELEASE);
	__atomic_store_n(&index->given, 1, __ATOMIC_RELEASE);
}

static void empty_index(const struct view *view, struct index *index, uint64_t count)
{
	for (uint64_t i = 0; i < count; i++)
		*slot_of(view, index, i) = 0;
	index->spilled = index->newest = 0;
	index->next = index->end = 0;
	__atomic_store_n(&index->count, 0, __ATOMIC_RELEASE);
	__atomic_store_n(&index->giving, 0, __ATOMIC_RELEASE);
	__atomic_store_n(&index->given, 0, __ATOMIC_RELEASE);
}

int amon_own_reset(const struct amon_own *own)
{
	struct view view = { 0 };
	int error = open_view(own, &view);

	for (uint32_t cpu = 0; cpu < view.cpus && !error; cpu++) {
		struct index *index = index_of(&view, cpu);
		uint64_t count = count_of(&view, index);

		if (count && !index->giving)
			clear_rows(&view, index, count);
		if (count && !index->given)
			give_back(&view, index, count);
		empty_index(&view, index, count);
	}
	return error;
}
