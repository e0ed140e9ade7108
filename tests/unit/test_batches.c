/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <errno.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "runtime/storage.h"
#include "sample.h"

/* A kernel of its own under the file that is tested, with the manners of the real one, and without privileges. */

#define CPUS    3
#define BUCKETS 8
#define MAX     20000

enum { SECTION_MAP = 3, OWN_MAP, ROWS_MAP, OTHER_MAP };

/* Rows that CPUs own: a pool of them, and of each CPU a header, slots, and a list of those in use. */
#define SLOTS   16
#define ROWS    96
#define NUMBERS 512
#define PLACES  4 /* CPUs, as a power of two */

static struct own_rows {
	uint64_t used, given, taken;
	uint32_t mask, limit, cpus, places, rows_there, numbers, indices, unused[3];
	struct own_row {
		struct sample_key key;
		struct sample_flow flow;
		uint8_t padding[128 - sizeof(struct sample_key) - sizeof(struct sample_flow)];
	} rows[ROWS];
	uint32_t given_parts[NUMBERS / 32];
	struct own_cpu {
		uint64_t count, newest, spilled;
		uint32_t next, end;
		uint64_t giving, given, unused[2];
		uint32_t slots[SLOTS], list[SLOTS];
	} cpu[PLACES];
} own;

struct entry {
	struct sample_key key;
	struct sample_flow values[CPUS];
};

static struct {
	struct sample_section section[CPUS];
	struct sample_flow other[CPUS];
	struct entry entries[MAX]; /* bucket after bucket */
	uint32_t count, bucket_starts[BUCKETS + 1];
	bool no_batches, wrong_size;
	unsigned int calls;
} kernel;

static int fake_cpus(void)
{
	return CPUS;
}

static int fake_info(int fd, void *to, __u32 *length)
{
	struct bpf_map_info *info = to;

	assert_int_equal(*length, sizeof(*info));
	info->type = fd == ROWS_MAP ? BPF_MAP_TYPE_HASH : BPF_MAP_TYPE_PERCPU_ARRAY;
	info->key_size = fd == ROWS_MAP ? sizeof(struct sample_key) : 4;
	info->value_size = fd == SECTION_MAP ? sizeof(struct sample_section) : sizeof(struct sample_flow);
	if (fd == ROWS_MAP)
		info->value_size *= CPUS;
	info->value_size += kernel.wrong_size;
	info->max_entries = fd == ROWS_MAP ? MAX : 1;
	if (fd == OWN_MAP) {
		info->type = BPF_MAP_TYPE_ARRAY;
		info->value_size = sizeof(own);
	}
	return 0;
}

static int32_t find_entry(const void *key)
{
	for (uint32_t i = 0; i < kernel.count; i++)
		if (!memcmp(&kernel.entries[i].key, key, sizeof(struct sample_key)))
			return (int32_t)i;
	return -1;
}

static int fake_lookup(int fd, const void *key, void *value, __u64 flags)
{
	assert_int_equal(flags, 0);
	if (fd == SECTION_MAP)
		memcpy(value, kernel.section, sizeof(kernel.section));
	else if (fd == OTHER_MAP)
		memcpy(value, kernel.other, sizeof(kernel.other));
	else if (find_entry(key) < 0)
		return -ENOENT;
	else
		memcpy(value, kernel.entries[find_entry(key)].values, sizeof(kernel.entries->values));
	return 0;
}

static int fake_update(int fd, const void *key, const void *value, __u64 flags)
{
	(void)key;
	(void)flags;
	assert_int_not_equal(fd, ROWS_MAP);
	memcpy(fd == SECTION_MAP ? (void *)kernel.section : (void *)kernel.other, value,
	       fd == SECTION_MAP ? sizeof(kernel.section) : sizeof(kernel.other));
	return 0;
}

static void remove_entry(uint32_t at)
{
	memmove(&kernel.entries[at], &kernel.entries[at + 1], (kernel.count - at - 1) * sizeof(*kernel.entries));
	kernel.count--;
	for (int i = 0; i <= BUCKETS; i++)
		if (kernel.bucket_starts[i] > at)
			kernel.bucket_starts[i]--;
}

static int fake_delete(int fd, const void *key)
{
	int32_t at = find_entry(key);

	assert_int_equal(fd, ROWS_MAP);
	if (at < 0)
		return -ENOENT;
	remove_entry((uint32_t)at);
	return 0;
}

static int fake_take(int fd, const void *key, void *value, __u64 flags)
{
	int error = fake_lookup(fd, key, value, flags);

	return error ? error : fake_delete(fd, key);
}

/* A key that is not there starts anew, as in the kernel. */
static int fake_next(int fd, const void *key, void *next)
{
	uint32_t at = key ? (uint32_t)(find_entry(key) + 1) : 0;

	assert_int_equal(fd, ROWS_MAP);
	if (at >= kernel.count)
		return -ENOENT;
	memcpy(next, &kernel.entries[at].key, sizeof(struct sample_key));
	return 0;
}

static void copy_entry(const struct entry *entry, uint32_t place, void *keys, void *values)
{
	memcpy((struct sample_key *)keys + place, &entry->key, sizeof(entry->key));
	memcpy((uint8_t *)values + place * sizeof(entry->values), entry->values, sizeof(entry->values));
}

/* Bucket by bucket, each whole or not at all. */
static int fake_batch(int fd, void *in, void *out, void *keys, void *values, __u32 *count,
                      const struct bpf_map_batch_opts *options)
{
	uint32_t bucket = 0, room = *count, total = 0;
	int error = 0;

	assert_int_equal(fd, ROWS_MAP);
	assert_int_equal(options->elem_flags, 0);
	kernel.calls++;
	if (kernel.no_batches)
		return -524; /* ENOTSUPP, which user space has no name for */
	if (in)
		memcpy(&bucket, in, sizeof(bucket));
	for (; bucket < BUCKETS; bucket++) {
		uint32_t first = kernel.bucket_starts[bucket], last = kernel.bucket_starts[bucket + 1];

		if (last - first > room - total) {
			error = total ? 0 : -ENOSPC;
			break;
		}
		for (uint32_t i = first; i < last; i++)
			copy_entry(&kernel.entries[i], total++, keys, values);
	}
	if (bucket == BUCKETS)
		error = -ENOENT;
	*count = total;
	memcpy(out, &bucket, sizeof(bucket));
	return error;
}

static int fake_delete_batch(int fd, void *in, void *out, void *keys, void *values, __u32 *count,
                             const struct bpf_map_batch_opts *options)
{
	int error = fake_batch(fd, in, out, keys, values, count, options);

	for (uint32_t i = 0; (!error || error == -ENOENT) && i < *count; i++)
		assert_int_equal(fake_delete(fd, (struct sample_key *)keys + i), 0);
	return error;
}

#define libbpf_num_possible_cpus             fake_cpus
#define bpf_obj_get_info_by_fd               fake_info
#define bpf_map_lookup_elem_flags            fake_lookup
#define bpf_map_lookup_and_delete_elem_flags fake_take
#define bpf_map_update_elem                  fake_update
#define bpf_map_get_next_key                 fake_next
#define bpf_map_lookup_batch                 fake_batch
#define bpf_map_lookup_and_delete_batch      fake_delete_batch

#include "runtime/entries.c"
#include "runtime/own.c"
#include "runtime/storage.c"

/* --- tests */

struct fixture {
	struct amon_arena *arena;
	struct amon_exports *exports;
	struct amon_maps maps;
	struct amon_failure failure;
};

static int fd_of(const char *name)
{
	if (!strcmp(name, "ingress_flows_spill"))
		return ROWS_MAP;
	return !strcmp(name, "ingress") ? SECTION_MAP : strcmp(name, "ingress_flows") ? OTHER_MAP : OWN_MAP;
}

/* What amon_reader_cut() does of a read. */
static int collect(const struct fixture *fixture, struct amon_collected **collected)
{
	int error;

	*collected = amon_collected_new(fixture->exports);
	error = amon_storage_read(&fixture->maps, fixture->exports, 0, AMON_SHARED, *collected,
	                          (struct amon_failure *)&fixture->failure);
	if (!error)
		error = amon_collected_sort(fixture->exports->sections[0].tables, (*collected)->sections[0].tables);
	return error;
}

static int reset(struct fixture *fixture)
{
	fixture->exports->sections[0].reset = true;
	fixture->exports->sections[0].tables[0].reset = true;
	for (uint32_t i = 0; i < fixture->exports->sections[0].column_count; i++)
		fixture->exports->sections[0].columns[i].reset = true;
	return amon_storage_reset(&fixture->maps, fixture->exports, 0, AMON_SHARED, &fixture->failure);
}

static int setup(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));

	memset(&kernel, 0, sizeof(kernel));
	own = (struct own_rows){ .mask = SLOTS - 1,
		                 .limit = 12,
		                 .cpus = CPUS,
		                 .places = PLACES - 1,
		                 .rows_there = ROWS,
		                 .numbers = NUMBERS - 1,
		                 .indices = offsetof(struct own_rows, cpu) };
	fixture->arena = amon_arena_new();
	fixture->exports = sample_exports(fixture->arena);
	assert_int_equal(amon_maps_list(fixture->exports, &fixture->maps), 0);
	for (uint32_t i = 0; i < fixture->maps.count; i++)
		fixture->maps.maps[i].fds[0] = fd_of(fixture->maps.maps[i].name);
	amon_maps_entry(&fixture->maps, "ingress_flows")->memory[0] = &own;
	*state = fixture;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *fixture = *state;

	amon_kernel_pretend("", NULL);
	free(fixture->maps.maps);
	amon_arena_free(fixture->arena);
	free(fixture);
	return 0;
}

/* `count` rows in buckets of the given sizes; row n has n packets on each CPU and n as its address. */
static void fill_rows(const uint32_t sizes[BUCKETS])
{
	own.cpu[0].spilled = 1;
	for (uint32_t bucket = 0; bucket < BUCKETS; bucket++) {
		for (uint32_t i = 0; i < sizes[bucket]; i++) {
			struct entry *entry = &kernel.entries[kernel.count++];

			entry->key.version = 4;
			memcpy(entry->key.src, &kernel.count, 4);
			for (uint32_t cpu = 0; cpu < CPUS; cpu++)
				entry->values[cpu].packets = kernel.count;
			entry->values[1].lowest = kernel.count;
			entry->values[1].has_lowest = 1;
		}
		kernel.bucket_starts[bucket + 1] = kernel.count;
	}
}

static void check_rows(const struct fixture *fixture)
{
	struct amon_collected *collected;
	const struct amon_collected_table *rows;
	uint64_t sum = 0, lowest = 0;

	assert_int_equal(collect(fixture, &collected), 0);
	rows = collected->sections[0].tables;
	assert_int_equal(rows->row_count, kernel.count);
	for (uint64_t i = 0; i < rows->row_count; i++) {
		const struct sample_flow *flow = (const struct sample_flow *)(const void *)rows->records + i;

		sum += flow->packets;
		lowest += flow->lowest;
		assert_int_equal(flow->has_lowest, 1);
	}
	assert_int_equal(lowest, (uint64_t)kernel.count * (kernel.count + 1) / 2);
	assert_int_equal(sum, CPUS * lowest);
	amon_collected_free(collected);
}

static const uint32_t even[BUCKETS] = { 3, 1, 0, 2, 5, 0, 0, 1 };
static const uint32_t uneven[BUCKETS] = { 2, 7000, 0, 1, 12000, 0, 0, 1 };
static const uint32_t empty[BUCKETS];

static void test_read(void **state)
{
	fill_rows(even);
	check_rows(*state);
	assert_int_equal(kernel.calls, 1);
}

/* A bucket that is larger than a batch makes it grow. */
static void test_large_buckets(void **state)
{
	fill_rows(uneven);
	check_rows(*state);
	assert_true(kernel.calls > 2);
}

static void test_empty(void **state)
{
	fill_rows(empty);
	check_rows(*state);
}

static void test_no_batches(void **state)
{
	kernel.no_batches = true;
	fill_rows(even);
	check_rows(*state);
}

/* A command that pretends asks for none. */
static void test_pretends_no_batches(void **state)
{
	assert_int_equal(amon_kernel_pretend("no-batch", NULL), 0);
	fill_rows(even);
	check_rows(*state);
	assert_int_equal(reset(*state), 0);
	assert_int_equal(kernel.count, 0);
	assert_int_equal(kernel.calls, 0);
}

static void test_records(void **state)
{
	struct fixture *fixture = *state;
	struct amon_collected *collected;
	const struct sample_section *section;

	for (uint32_t cpu = 0; cpu < CPUS; cpu++) {
		kernel.section[cpu].packets = cpu + 1;
		kernel.section[cpu].seen.bytes = 10;
		kernel.section[cpu].gaps_buckets[63] = 1;
		kernel.other[cpu].bytes = 5;
	}
	kernel.section[2].has_smallest = 1;
	assert_int_equal(collect(fixture, &collected), 0);
	section = (const struct sample_section *)(const void *)collected->sections[0].record;
	assert_int_equal(section->packets, 6);
	assert_int_equal(section->seen.bytes, 30);
	assert_int_equal(section->gaps_buckets[63], 3);
	assert_int_equal(section->has_smallest, 1);
	assert_int_equal(((const struct sample_flow *)(const void *)collected->sections[0].tables[0].other)->bytes, 15);
	amon_collected_free(collected);
}

static void check_reset(struct fixture *fixture, const uint32_t sizes[BUCKETS])
{
	static const struct sample_section zero;

	fill_rows(sizes);
	kernel.section[1].packets = 7;
	kernel.other[2].packets = 7;
	assert_int_equal(reset(fixture), 0);
	assert_int_equal(kernel.count, 0);
	assert_memory_equal(&kernel.section[1], &zero, sizeof(zero));
	assert_int_equal(kernel.other[2].packets, 0);
}

static void test_reset(void **state)
{
	check_reset(*state, even);
	check_reset(*state, empty);
}

static void test_reset_without_batches(void **state)
{
	kernel.no_batches = true;
	check_reset(*state, even);
	check_reset(*state, empty);
}

/* The export table and the object must say the same, or the kernel would write past what is allocated. */
static void test_wrong_size(void **state)
{
	struct fixture *fixture = *state;
	struct amon_collected *collected;

	kernel.wrong_size = true;
	assert_int_equal(collect(fixture, &collected), -EINVAL);
	amon_collected_free(collected);
	assert_non_null(strstr(fixture->failure.message, "ingress"));
	assert_int_equal(reset(fixture), -EINVAL);
}

static void own_row(uint32_t cpu, uint32_t slot, uint32_t number, uint8_t address, uint64_t packets)
{
	struct own_cpu *index = &own.cpu[cpu];

	index->list[index->count++] = slot;
	index->slots[slot] = 0xabcdU * NUMBERS + number; /* above the number, a part of a hash */
	own.rows[number] =
	        (struct own_row){ .key = { .version = 4, .src = { address } }, .flow = { .packets = packets } };
}

/* Rows of one key become one, on whichever CPUs and in whichever maps they are. */
static void test_own_rows(void **state)
{
	struct fixture *fixture = *state;
	struct amon_collected *collected;
	const struct sample_flow *flows;

	own_row(0, 3, 1, 7, 10);
	own_row(0, 15, 2, 8, 1);
	own_row(2, 0, 95, 7, 5);
	kernel.entries[0].key = (struct sample_key){ .version = 4, .src = { 8 } };
	kernel.entries[0].values[1].packets = 100;
	own.cpu[1].spilled = 1;
	kernel.count = 1;
	for (int i = 1; i <= BUCKETS; i++)
		kernel.bucket_starts[i] = 1;
	assert_int_equal(collect(fixture, &collected), 0);
	assert_int_equal(collected->sections[0].tables[0].row_count, 2);
	flows = (const struct sample_flow *)(const void *)collected->sections[0].tables[0].records;
	assert_int_equal(flows[0].packets, 15);
	assert_int_equal(flows[1].packets, 101);
	amon_collected_free(collected);
}

/* Row n has the bits of n in bytes of its address, more of them than rows are sorted by before any two are compared. */
static void test_order(void **state)
{
	const struct fixture *fixture = *state;
	const struct amon_export_table *table = fixture->exports->sections[0].tables;
	struct amon_collected *collected = amon_collected_new(fixture->exports);
	struct amon_collected_table *rows = collected->sections[0].tables;
	const struct sample_flow *flows;

	/* each number twice, in an order that is not theirs: 2,741 and 4,096 have no common divisor */
	for (uint32_t i = 0; i < 2 * 4096; i++) {
		struct sample_flow flow = { .packets = i * 2741 % 4096 };
		struct sample_key key = { .version = 6 };

		for (uint32_t bit = 0; bit < 12; bit++)
			key.src[bit] = flow.packets >> (11 - bit) & 1;
		assert_int_equal(amon_collected_add(table, rows, &key, &flow), 0);
	}
	assert_int_equal(amon_collected_sort(table, rows), 0);
	assert_int_equal(rows->row_count, 4096);
	flows = (const struct sample_flow *)(const void *)rows->records;
	for (uint32_t i = 0; i < 4096; i++)
		assert_int_equal(flows[i].packets, 2 * i);
	amon_collected_free(collected);
}

/* To the last byte, so that the next window's first packet finds an empty slot, and whoever takes a row an empty one.
 */
static void test_reset_own_rows(void **state)
{
	static const struct own_cpu empty;
	static const struct own_row zero;

	own_row(1, 4, 31, 9, 3);
	own_row(1, 5, 64, 10, 3);
	own.cpu[1].spilled = 1;
	own.cpu[1].next = 65;
	own.cpu[1].end = 96;
	own.used = 3;
	assert_int_equal(reset(*state), 0);
	assert_memory_equal(&own.cpu[1], &empty, offsetof(struct own_cpu, list));
	assert_memory_equal(&own.rows[31], &zero, sizeof(zero));
	assert_memory_equal(&own.rows[64], &zero, sizeof(zero));
	/* rows 0 to 31 and 64 to 95 */
	assert_int_equal(own.given, 2);
	assert_int_equal(own.given_parts[0], 0);
	assert_int_equal(own.given_parts[1], 2);
}

/* Killed when the rows were the pool's again: another has them by now. Nothing is given back twice. */
static void test_reset_own_rows_again(void **state)
{
	static const struct own_cpu empty;

	own_row(1, 4, 64, 9, 3);
	own.cpu[1].giving = own.given = 1;
	own.given_parts[0] = 2;
	assert_int_equal(reset(*state), 0);
	assert_int_equal(own.given, 1);
	assert_int_equal(own.given_parts[0], 2);
	assert_int_equal(own.rows[64].flow.packets, 3);
	assert_memory_equal(&own.cpu[1], &empty, offsetof(struct own_cpu, list));
}

/* Killed when some slots were empty: what they said is not known any longer. */
static void test_reset_own_index_again(void **state)
{
	static const struct own_cpu empty;

	own_row(1, 4, 64, 9, 3);
	own_row(1, 5, 65, 9, 3);
	own.cpu[1].slots[4] = 0;
	own.cpu[1].giving = own.given = 1;
	own.cpu[1].given = 1;
	own.given_parts[0] = 2;
	assert_int_equal(reset(*state), 0);
	assert_int_equal(own.given, 1);
	assert_int_equal(own.given_parts[0], 2);
	assert_memory_equal(&own.cpu[1], &empty, offsetof(struct own_cpu, list));
}

/* Rows of the pool that are one's whoever else takes some: row 0 is none, others leave up to 31 of what they took. */
static uint32_t sure_rows(const struct amon_own_shape *shape, uint32_t others)
{
	return shape->constant.rows - 1 - 31 * others;
}

static struct amon_own_shape shape_of(const struct amon_export_table *table, uint32_t cpus, bool replay)
{
	struct amon_own_use use = { 1, cpus, replay };

	return amon_own_shape(table, &use);
}

/* As many as the table's size says, wherever they come, where that takes little memory. */
static void test_small_shapes(void **state)
{
	const struct fixture *fixture = *state;
	struct amon_export_table table = fixture->exports->sections[0].tables[0];
	struct amon_own_shape shape;

	table.twice = true;
	table.size = 1;
	shape = shape_of(&table, 2, false);
	assert_int_equal(shape.constant.limit + shape.spill, 1);
	table.size = 1000;
	shape = shape_of(&table, 2, false);
	assert_int_equal(shape.constant.limit + shape.spill, 1000);
	assert_int_equal(shape.constant.mask + 1, 2048);
	/* 999 on each CPU of each clone */
	assert_true(sure_rows(&shape, 3) >= 4 * 999);
	/* all in a replay, of 64 MiB at most */
	table.size = 300000;
	shape = shape_of(&table, 1, true);
	assert_int_equal(shape.constant.limit + shape.spill, 300000);
}

/* As many as the table's size says, and a quarter more while clones are read; what finds no place spills. */
static void test_large_shapes(void **state)
{
	const struct fixture *fixture = *state;
	struct amon_export_table table = fixture->exports->sections[0].tables[0];
	struct amon_own_shape shape;

	table.twice = true;
	table.size = 65536;
	shape = shape_of(&table, 2, false);
	assert_int_equal(shape.constant.limit, 65536);
	assert_int_equal(shape.spill, 65536);
	assert_in_range(sure_rows(&shape, 3), 81920, 81920 + 200);
	/* 64 bytes, 128 for a row, 4 for each 32 of the numbers that they may have; then the second clone's, behind
	   those of the first on two CPUs: 64 bytes, and 8 for each slot, of which there are a third more than rows, as
	   a power of two */
	assert_int_equal(shape.constant.indices,
	                 64 + 128 * shape.constant.rows + 4 * 131072 / 32 + 2 * (64 + 8 * 131072));
	assert_int_equal(shape.size, shape.constant.indices + 2 * (64 + 8 * 131072));
	/* twice what is even */
	shape = shape_of(&table, 32, false);
	assert_int_equal(shape.constant.limit, 4096);
	table.size = 1 << 20;
	shape = shape_of(&table, 64, false);
	assert_int_equal(shape.constant.limit, 1 << 15);
	/* pools have 256 MiB at most, and 16 MiB where tables have up to 65,536 rows */
	table.size = 1 << 22;
	shape = shape_of(&table, 2, false);
	assert_in_range(shape.constant.rows, (256 << 20) / 128, (256 << 20) / 128 + 200);
	/* with the indices, 448 MiB: 2^24 rows are a pool of 256 MiB, and slots for them on two CPUs in two clones 1
	 * GiB */
	table.size = 1 << 24;
	table.slot_size = 16;
	shape = shape_of(&table, 2, false);
	assert_in_range(shape.size, 256 << 20, 448 << 20);
	assert_in_range(shape.constant.rows, 1 << 24, (1 << 24) + 200);
	assert_int_equal(shape.spill, 1 << 24);
	table.size = 65536;
	table.slot_size = 1024;
	shape = shape_of(&table, 2, false);
	assert_in_range(shape.constant.rows, (16 << 20) / 1024, (16 << 20) / 1024 + 200);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_read),
		TEST(test_large_buckets),
		TEST(test_empty),
		TEST(test_no_batches),
		TEST(test_pretends_no_batches),
		TEST(test_records),
		TEST(test_reset),
		TEST(test_reset_without_batches),
		TEST(test_wrong_size),
		TEST(test_own_rows),
		TEST(test_reset_own_rows),
		TEST(test_order),
		TEST(test_reset_own_rows_again),
		TEST(test_reset_own_index_again),
		TEST(test_small_shapes),
		TEST(test_large_shapes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
