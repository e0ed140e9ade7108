/* SPDX-License-Identifier: Apache-2.0 */
#include "own.h"

#include <assert.h>
#include <bpf/bpf.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kernel.h"

/* Slots. */
#define AHEAD 16
/* Rows that are taken from the pool at a time. */
#define PART 32
/* There are so many numbers of rows at least. */
#define NUMBERS 512
/* Tables of more bytes are not made as large as they say for a replay. */
#define REPLAY_BYTES (64u << 20)
#define REPLAY_LIVES (16u << 10)

/* As in bpf-templates/own.h; user space's are the words that a packet does not touch. */
struct pool {
	uint64_t used, given, taken;
	struct amon_own_constant shape; /* the first clone's */
	uint32_t unused[3];
};
struct index {
	uint64_t count, newest, spilled;
	uint32_t next, end;
	/* while it is emptied: what the pool was given ever, with this; 0: its rows are not empty yet */
	uint64_t giving;
	uint64_t given; /* 1: that was done */
	uint64_t unused[2];
};
static_assert(sizeof(struct pool) == 64 && sizeof(struct index) == 64, "headers are as in bpf-templates/own.h");

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

/* Four bytes for each slot, and four in the list of those in use. */
static uint64_t index_size(uint64_t slots)
{
	return sizeof(struct index) + 8 * slots;
}

/* Rows, and the list of what was given back. */
static uint64_t pool_size(uint64_t rows, uint64_t numbers, uint32_t slot_size)
{
	return sizeof(struct pool) + rows * slot_size + 4 * (numbers / PART);
}

/* So many rows in the pool, of which a CPU may take so many. */
static struct amon_own_shape lay_out(const struct amon_export_table *table, const struct amon_own_use *use,
                                     uint64_t rows, uint64_t limit, uint64_t slots_wanted)
{
	uint64_t clone = table->twice ? use->clone : 0, places = power_of_two(use->cpus, 1), pool;
	uint32_t slots = power_of_two(slots_wanted, 16), numbers;

	/* row 0 is none, and each CPU and clone may leave some of what it took */
	rows = rows / PART * PART + PART * (copies_of(table, use->cpus) + 1);
	numbers = power_of_two(rows, NUMBERS);
	pool = pool_size(rows, numbers, table->slot_size);
	return (struct amon_own_shape){
		.constant = { .mask = slots - 1,
		              .limit = (uint32_t)limit,
		              .cpus = use->cpus,
		              .places = (uint32_t)places - 1,
		              .rows = (uint32_t)rows,
		              .numbers = numbers - 1,
		              .indices = (uint32_t)(pool + clone * places * index_size(slots)) },
		.spill = table->size,
		.size = pool + copies_of(table, (uint32_t)places) * index_size(slots),
	};
}

/* One CPU may take all there is: then all keys have a place wherever they come. Twice as many slots have none spill. */
static struct amon_own_shape exact_shape(const struct amon_export_table *table, const struct amon_own_use *use)
{
	uint64_t rows = copies_of(table, use->cpus) * (table->size + PART - 1), limit = table->size - 1;
	struct amon_own_shape shape = lay_out(table, use, rows, limit, 2 * limit + 16);

	shape.spill = 1;
	return shape;
}

static bool may_be_exact(const struct amon_export_table *table, const struct amon_own_use *use)
{
	uint64_t bytes = (uint64_t)table->size * table->slot_size;

	if (use->replay)
		return bytes <= REPLAY_BYTES && exact_shape(table, use).size <= AMON_OWN_MAP;
	return table->size <= AMON_OWN_ROWS && copies_of(table, use->cpus) * bytes <= AMON_OWN_EXACT;
}

struct amon_own_shape amon_own_shape(const struct amon_export_table *table, const struct amon_own_use *use)
{
	uint64_t rows = pool_rows(table), limit = least(cpu_rows(table, use->cpus), rows);
	struct amon_own_shape shape;

	if (amon_kernel_lacks(AMON_CAN_OWN_ROWS))
		return lay_out(table, use, 0, 0, 0);
	if (may_be_exact(table, use))
		return exact_shape(table, use);
	/* a third more slots than rows keeps the way to a row short */
	shape = lay_out(table, use, rows, limit, limit + limit / 3 + 1);
	while (shape.size > AMON_OWN_MAP) {
		limit /= 2;
		shape = lay_out(table, use, rows, limit, limit + limit / 3 + 1);
	}
	return shape;
}

/* Twice as many slots as lives, so that next to none finds no place. */
struct amon_own_shape amon_lives_shape(const struct amon_export_table *table, const struct amon_own_use *use)
{
	uint32_t slot_size = table->expire->slot_size;
	uint64_t lives = most(least(cpu_rows(table, use->cpus), AMON_OWN_BYTES / slot_size), 1);
	uint32_t slots;

	/* more than its rows: of those that find the table full, too */
	if (use->replay)
		lives = most(lives, REPLAY_LIVES);
	slots = power_of_two(2 * lives + 16, 16);
	return (struct amon_own_shape){ .constant.mask = slots - 1,
		                        .size = sizeof(struct index) + (uint64_t)slots * slot_size };
}

/* --- memory */

struct view {
	struct pool *pool;
	uint8_t *rows, *indices;
	uint32_t *given; /* a list of parts of the pool */
	struct amon_own_constant shape;
	uint32_t row_size, slots, numbers;
};

static int map_memory(const struct amon_own *own, uint32_t *size)
{
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
	struct bpf_map_info info = { 0 };
	uint32_t length = sizeof(info);
	struct amon_map *map = own->map;
	void *memory;

	if (bpf_obj_get_info_by_fd(map->fds[0], &info, &length))
		return -errno;
	if (info.type != BPF_MAP_TYPE_ARRAY || info.value_size < sizeof(struct pool))
		return -EINVAL;
	*size = info.value_size;
	if (map->memory[0])
		return 0;
	map->memory_size = (info.value_size + page - 1) & ~(page - 1);
	memory = mmap(NULL, map->memory_size, PROT_READ | PROT_WRITE, MAP_SHARED, map->fds[0], 0);
	if (memory == MAP_FAILED)
		return -errno;
	map->memory[0] = memory;
	return 0;
}

int amon_own_describe(const struct amon_own *own, const struct amon_own_shape *shape)
{
	struct pool *pool;
	uint32_t size = 0;
	int error = map_memory(own, &size);

	if (error || size != shape->size)
		return error ? error : -EINVAL;
	pool = own->map->memory[0];
	pool->shape = shape->constant;
	return 0;
}

static bool is_power_of_two(uint64_t x)
{
	return x && !(x & (x - 1));
}

/* What it says of itself must be what the kernel says that it takes. */
static bool is_sound(const struct amon_own_constant *shape, uint32_t slot_size, uint64_t copies, uint32_t size)
{
	uint64_t slots = (uint64_t)shape->mask + 1, numbers = (uint64_t)shape->numbers + 1;
	uint64_t pool = pool_size(shape->rows, numbers, slot_size);

	return is_power_of_two(slots) && is_power_of_two(numbers) && shape->cpus <= shape->places + 1 && shape->rows &&
	       shape->rows <= numbers && shape->indices == pool && copies * index_size(slots) == size - pool;
}

static int open_view(const struct amon_own *own, struct view *view)
{
	uint32_t size = 0, row_size = own->table->slot_size;
	int error = map_memory(own, &size);
	struct pool *pool = own->map->memory[0];

	if (error)
		return error;
	*view = (struct view){
		.pool = pool, .rows = (uint8_t *)(pool + 1), .shape = pool->shape, .row_size = row_size
	};
	if (!is_sound(&view->shape, row_size, copies_of(own->table, view->shape.places + 1), size))
		return -EINVAL;
	view->slots = view->shape.mask + 1;
	view->numbers = view->shape.numbers + 1;
	view->given = (uint32_t *)(void *)(view->rows + (size_t)view->shape.rows * row_size);
	view->indices = (uint8_t *)pool + view->shape.indices +
	                (size_t)own->clone * (view->shape.places + 1) * index_size(view->slots);
	return 0;
}

/* The rows of a CPU, in the order in which they were made. */
static struct index *index_of(const struct view *view, uint32_t cpu)
{
	return (struct index *)(void *)(view->indices + (size_t)cpu * index_size(view->slots));
}

/* Behind the number that is read here all rows are whole. */
static uint64_t count_of(const struct view *view, const struct index *index)
{
	return least(__atomic_load_n(&index->count, __ATOMIC_ACQUIRE), view->slots);
}

static uint32_t *slot_of(const struct view *view, struct index *index, uint64_t i)
{
	uint32_t *slots = (uint32_t *)(index + 1), *list = slots + view->slots;

	return slots + (list[i] & (view->slots - 1));
}

/* Rows that were made one after another, and so lie one behind the other: what was used of a part of the pool. */
struct run {
	uint64_t at, count; /* which of the CPU's rows */
	uint32_t part;
	uint8_t *rows;
};

/* The rows behind those of `run`; false: there are no more. */
static bool next_run(const struct view *view, struct index *index, uint64_t count, struct run *run)
{
	uint64_t at = run->at + run->count;
	uint32_t first;

	if (at >= count)
		return false;
	first = (uint32_t)least(*slot_of(view, index, at) & view->shape.numbers, view->shape.rows - 1);
	*run = (struct run){ .at = at,
		             .count = least(count - at, PART - first % PART),
		             .part = first / PART,
		             .rows = view->rows + (size_t)first * view->row_size };
	return true;
}

int amon_own_cpus(const struct amon_own *own)
{
	struct view view = { NULL };
	int error = open_view(own, &view);

	return error ? error : (int)view.shape.cpus;
}

static int visit_rows(const struct amon_own *own, const struct run *run,
                      int (*visit)(const void *key, const void *record, void *data), void *data)
{
	const uint8_t *row = run->rows;
	int error = 0;

	for (uint64_t i = 0; i < run->count && !error; i++, row += own->table->slot_size)
		error = visit(row, row + own->table->key_size, data);
	return error;
}

int amon_own_read(const struct amon_own *own, int (*visit)(const void *key, const void *record, void *data), void *data)
{
	struct view view = { NULL };
	int error = open_view(own, &view);

	for (uint32_t cpu = 0; cpu < view.shape.cpus && !error; cpu++) {
		struct index *index = index_of(&view, cpu);
		uint64_t count = count_of(&view, index);
		struct run run = { 0 };

		while (!error && next_run(&view, index, count, &run))
			error = visit_rows(own, &run, visit, data);
	}
	return error;
}

int amon_own_spilled(const struct amon_own *own)
{
	struct view view = { NULL };
	int error = open_view(own, &view);
	bool spilled = false;

	for (uint32_t cpu = 0; cpu < view.shape.cpus && !error; cpu++)
		spilled |= __atomic_load_n(&index_of(&view, cpu)->spilled, __ATOMIC_ACQUIRE) != 0;
	return error ? error : spilled;
}

/* --- emptying: each step may be repeated, and says that it was done before the next undoes what it rests on */

static void clear_rows(const struct view *view, struct index *index, uint64_t count)
{
	struct run run = { 0 };

	while (next_run(view, index, count, &run))
		memset(run.rows, 0, run.count * view->row_size);
}

/*
 * To the places behind what was given back before, which are agreed on first: whoever is killed here, and begins anew,
 * writes the same there.
 */
static void give_back(const struct view *view, struct index *index, uint64_t count)
{
	uint64_t parts = 0, at;
	struct run run = { 0 };

	while (next_run(view, index, count, &run))
		parts++;
	if (!index->giving)
		__atomic_store_n(&index->giving, view->pool->given + parts, __ATOMIC_RELEASE);
	at = index->giving - parts;
	run = (struct run){ 0 };
	while (next_run(view, index, count, &run))
		view->given[at++ & (view->numbers / PART - 1)] = run.part;
	__atomic_store_n(&view->pool->given, index->giving, __ATOMIC_RELEASE);
	__atomic_store_n(&index->given, 1, __ATOMIC_RELEASE);
}

/* Slots lie in no order; the caches are asked for them some before. */
static void empty_index(const struct view *view, struct index *index, uint64_t count)
{
	for (uint64_t i = 0; i < count; i++) {
		if (i + AHEAD < count)
			__builtin_prefetch(slot_of(view, index, i + AHEAD), 1);
		*slot_of(view, index, i) = 0;
	}
	index->spilled = index->newest = 0;
	index->next = index->end = 0;
	__atomic_store_n(&index->count, 0, __ATOMIC_RELEASE);
	__atomic_store_n(&index->giving, 0, __ATOMIC_RELEASE);
	__atomic_store_n(&index->given, 0, __ATOMIC_RELEASE);
}

int amon_own_reset(const struct amon_own *own)
{
	struct view view = { NULL };
	int error = open_view(own, &view);

	for (uint32_t cpu = 0; cpu < view.shape.cpus && !error; cpu++) {
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
