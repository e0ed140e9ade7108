/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <errno.h>

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <linux/bpf.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "compiler/arena.h"
#include "compiler/exports.h"
#include "runtime/kernel.h"
#include "runtime/storage.h"

/*
 * Every kind of map that a user's C may have: filled by plain system calls, read as a user's table, and held against
 * what was put in. Entry i has i in its key, and a value that follows from i and the CPU.
 */

struct value {
	uint64_t wide;
	int32_t lower;
	uint16_t port; /* the highest byte first */
	uint8_t few[2];
};

#define VALUE_SIZE sizeof(struct value)

/* A map, and what it is filled with. */
struct subject {
	const char *name;
	enum amon_map_kind kind;
	enum bpf_map_type type;
	uint32_t flags, key_size, value_size, entries, filled;
};

static const struct subject subjects[] = {
	{ "array", AMON_MAP_ARRAY, BPF_MAP_TYPE_ARRAY, 0, 4, VALUE_SIZE, 100, 100 },
	{ "array of one", AMON_MAP_ARRAY, BPF_MAP_TYPE_ARRAY, 0, 4, VALUE_SIZE, 1, 1 },
	{ "mapped array", AMON_MAP_ARRAY, BPF_MAP_TYPE_ARRAY, BPF_F_MMAPABLE, 4, VALUE_SIZE, 1000, 1000 },
	{ "per-cpu array", AMON_MAP_PERCPU_ARRAY, BPF_MAP_TYPE_PERCPU_ARRAY, 0, 4, VALUE_SIZE, 100, 100 },
	{ "hash", AMON_MAP_HASH, BPF_MAP_TYPE_HASH, 0, 7, VALUE_SIZE, 2000, 1000 },
	{ "growing hash", AMON_MAP_HASH, BPF_MAP_TYPE_HASH, BPF_F_NO_PREALLOC, 8, VALUE_SIZE, 2000, 1000 },
	{ "hash of one", AMON_MAP_HASH, BPF_MAP_TYPE_HASH, 0, 4, VALUE_SIZE, 1, 1 },
	{ "empty hash", AMON_MAP_HASH, BPF_MAP_TYPE_HASH, 0, 4, VALUE_SIZE, 10, 0 },
	{ "lru hash", AMON_MAP_LRU_HASH, BPF_MAP_TYPE_LRU_HASH, 0, 8, VALUE_SIZE, 10000, 1000 },
	{ "per-cpu hash", AMON_MAP_PERCPU_HASH, BPF_MAP_TYPE_PERCPU_HASH, 0, 8, VALUE_SIZE, 2000, 1000 },
	{ "lru per-cpu hash", AMON_MAP_LRU_PERCPU_HASH, BPF_MAP_TYPE_LRU_PERCPU_HASH, 0, 8, VALUE_SIZE, 10000, 1000 },
	{ "trie", AMON_MAP_LPM_TRIE, BPF_MAP_TYPE_LPM_TRIE, BPF_F_NO_PREALLOC, 8, VALUE_SIZE, 2000, 1000 },
	{ "queue", AMON_MAP_QUEUE, BPF_MAP_TYPE_QUEUE, 0, 0, VALUE_SIZE, 1000, 1000 },
	{ "stack", AMON_MAP_STACK, BPF_MAP_TYPE_STACK, 0, 0, VALUE_SIZE, 1000, 999 },
	{ "ring", AMON_MAP_RINGBUF, BPF_MAP_TYPE_RINGBUF, 0, 0, VALUE_SIZE, 1 << 16, 500 },
	/* keys and values of other sizes */
	{ "key of a byte", AMON_MAP_HASH, BPF_MAP_TYPE_HASH, 0, 1, VALUE_SIZE, 300, 256 },
	{ "key of 512 bytes", AMON_MAP_HASH, BPF_MAP_TYPE_HASH, 0, 512, VALUE_SIZE, 500, 500 },
	{ "trie of 260 bytes", AMON_MAP_LPM_TRIE, BPF_MAP_TYPE_LPM_TRIE, BPF_F_NO_PREALLOC, 260, VALUE_SIZE, 500, 300 },
	{ "value of 17 bytes", AMON_MAP_PERCPU_HASH, BPF_MAP_TYPE_PERCPU_HASH, 0, 8, 17, 500, 300 },
	{ "mapped value of 17", AMON_MAP_ARRAY, BPF_MAP_TYPE_ARRAY, BPF_F_MMAPABLE, 4, 17, 300, 300 },
	{ "hash of 100 KiB", AMON_MAP_HASH, BPF_MAP_TYPE_HASH, 0, 8, 100 << 10, 20, 20 },
	{ "array of 1 MiB", AMON_MAP_ARRAY, BPF_MAP_TYPE_ARRAY, 0, 4, 1 << 20, 5, 5 },
	{ "per-cpu hash of 32 KiB", AMON_MAP_PERCPU_HASH, BPF_MAP_TYPE_PERCPU_HASH, 0, 8, 32 << 10, 60, 60 },
	{ "lru hash of 5 KiB", AMON_MAP_LRU_HASH, BPF_MAP_TYPE_LRU_HASH, 0, 8, 5000, 2000, 250 },
	{ "queue of 5 KiB", AMON_MAP_QUEUE, BPF_MAP_TYPE_QUEUE, 0, 0, 5000, 50, 50 },
	{ "ring of 5 KiB", AMON_MAP_RINGBUF, BPF_MAP_TYPE_RINGBUF, 0, 0, 5000, 1 << 20, 50 },
};

#define SUBJECTS (sizeof(subjects) / sizeof(*subjects))

/* --- what is put in */

static uint32_t cpus_of(const struct subject *subject)
{
	return amon_map_is_percpu(subject->kind) ? (uint32_t)libbpf_num_possible_cpus() : 1;
}

static uint32_t stride_of(const struct subject *subject)
{
	return amon_map_is_percpu(subject->kind) ? (subject->value_size + 7) & ~7u : subject->value_size;
}

static struct value value_of(uint32_t i, uint32_t cpu)
{
	return (struct value){ .wide = UINT64_MAX / 2 + 7ULL * i + cpu,
		               .lower = -5 * (int32_t)i - (int32_t)cpu,
		               .port = htons((uint16_t)(i + cpu)),
		               .few = { 0xff, (uint8_t)(3 * i + cpu) } };
}

static void put_values(const struct subject *subject, uint32_t i, uint8_t *values)
{
	memset(values, 0xee, (size_t)cpus_of(subject) * stride_of(subject));
	for (uint32_t cpu = 0; cpu < cpus_of(subject); cpu++) {
		struct value value = value_of(i, cpu);

		memcpy(values + (size_t)cpu * stride_of(subject), &value, sizeof(value));
	}
}

static uint32_t key_at(const struct subject *subject)
{
	return subject->kind == AMON_MAP_LPM_TRIE ? 4 : 0;
}

/* So many bytes of a key tell its number, the highest first but in an array. */
static uint32_t key_width(const struct subject *subject)
{
	uint32_t size = subject->key_size - key_at(subject);

	return size >= 4 ? 4 : size >= 2 ? 2 : 1;
}

static void put_key(const struct subject *subject, uint32_t i, uint8_t *key)
{
	uint32_t bits = 8 * (subject->key_size - 4), number = htonl(i << (32 - 8 * key_width(subject)));

	memset(key, 0xab, subject->key_size);
	if (subject->kind == AMON_MAP_LPM_TRIE)
		memcpy(key, &bits, 4);
	if (subject->kind == AMON_MAP_ARRAY || subject->kind == AMON_MAP_PERCPU_ARRAY)
		memcpy(key, &i, 4);
	else
		memcpy(key + key_at(subject), &number, key_width(subject));
}

/* Nothing but a program writes into a ring: one that gives it what it finds in an array. */
static int record_program(int ring, int array, uint32_t size)
{
	const struct bpf_insn code[] = {
		{ BPF_ST | BPF_MEM | BPF_W, BPF_REG_10, 0, -4, 0 },
		{ BPF_ALU64 | BPF_MOV | BPF_X, BPF_REG_2, BPF_REG_10, 0, 0 },
		{ BPF_ALU64 | BPF_ADD | BPF_K, BPF_REG_2, 0, 0, -4 },
		{ BPF_LD | BPF_IMM | BPF_DW, BPF_REG_1, BPF_PSEUDO_MAP_FD, 0, array },
		{ 0 },
		{ BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_map_lookup_elem },
		{ BPF_JMP | BPF_JEQ | BPF_K, BPF_REG_0, 0, 6, 0 },
		{ BPF_ALU64 | BPF_MOV | BPF_X, BPF_REG_2, BPF_REG_0, 0, 0 },
		{ BPF_LD | BPF_IMM | BPF_DW, BPF_REG_1, BPF_PSEUDO_MAP_FD, 0, ring },
		{ 0 },
		{ BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_3, 0, 0, (int32_t)size },
		{ BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_4, 0, 0, 0 },
		{ BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_ringbuf_output },
		{ BPF_JMP | BPF_EXIT, 0, 0, 0, 0 },
	};

	return bpf_prog_load(BPF_PROG_TYPE_SCHED_CLS, "put_record", "GPL", code, sizeof(code) / sizeof(*code), NULL);
}

static void put_record(int ring, const void *record, uint32_t size)
{
	uint8_t packet[64] = { 0 };
	LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = packet, .data_size_in = sizeof(packet));
	int array = bpf_map_create(BPF_MAP_TYPE_ARRAY, "record", 4, size, 1, NULL);
	int program = record_program(ring, array, size);

	assert_true(program >= 0);
	assert_int_equal(bpf_map_update_elem(array, &(uint32_t){ 0 }, record, BPF_ANY), 0);
	assert_int_equal(bpf_prog_test_run_opts(program, &run), 0);
	assert_int_equal(run.retval, 0);
	close(program);
	close(array);
}

static void put(const struct subject *subject, int map, uint32_t i)
{
	uint8_t *values = malloc((size_t)cpus_of(subject) * stride_of(subject)), key[4096];

	put_key(subject, i, key);
	put_values(subject, i, values);
	if (subject->kind == AMON_MAP_RINGBUF)
		put_record(map, values, subject->value_size);
	else
		assert_int_equal(bpf_map_update_elem(map, subject->key_size ? key : NULL, values, BPF_ANY), 0);
	free(values);
}

static void fill(const struct subject *subject, int map)
{
	for (uint32_t i = 0; i < subject->filled; i++)
		put(subject, map, i);
}

/* --- the table that says what is in it */

enum column { PREFIX, NUMBER, CPU, WIDE, LOWER, PORT, FEW, COLUMNS };

/* Numbers have 8 bytes each in a row's key; in its record 16, with what is beside the value. */
static void set_column(struct amon_export_column *column, enum column which, const struct amon_aggregation *aggregation,
                       struct amon_export_source source, uint8_t bits)
{
	static const char *const names[] = { "prefix", "number", "cpu", "wide", "lower", "port", "few" };
	uint32_t at = aggregation ? 16 * (which - WIDE) : 8 * which;
	bool counted = aggregation && aggregation->parts & AMON_PART_COUNT;

	*column = (struct amon_export_column){
		.kind = aggregation ? AMON_COLUMN_METRIC : AMON_COLUMN_KEY,
		.name = names[which],
		.spec_name = names[which],
		.help = "",
		.unit = "",
		.ipfix = "",
		.type = { .base = AMON_BASE_INT, .bits = bits },
		.divisor = 1,
		.multiplier = 1,
		.aggregation = aggregation,
		.layout = { .value = at,
		            .count = counted ? at + 8 : UINT32_MAX,
		            .squares = UINT32_MAX,
		            .time = UINT32_MAX,
		            .buckets = UINT32_MAX,
		            .has = aggregation && !counted ? at + 8 : UINT32_MAX,
		            .value_size = 8,
		            .version = UINT32_MAX },
		.source = source,
	};
}

static void add_keys(const struct subject *subject, struct amon_export_table *table, bool each_cpu)
{
	bool array = subject->kind == AMON_MAP_ARRAY || subject->kind == AMON_MAP_PERCPU_ARRAY;
	struct amon_export_source prefix = { 0, 4, AMON_FORM_UNSIGNED }, cpu = { 0, 0, AMON_FORM_CPU };
	struct amon_export_source number = { key_at(subject), key_width(subject),
		                             array ? AMON_FORM_UNSIGNED : AMON_FORM_NETWORK };

	if (subject->kind == AMON_MAP_LPM_TRIE)
		set_column(&table->columns[table->column_count++], PREFIX, NULL, prefix, 32);
	set_column(&table->columns[table->column_count++], NUMBER, NULL, number, 32);
	if (each_cpu)
		set_column(&table->columns[table->column_count++], CPU, NULL, cpu, 32);
}

/* What becomes of several CPUs: of numbers with a sign, and of 64 bits without. Both NULL: values are keys. */
struct merge {
	const char *name;
	const struct amon_aggregation *plain, *natural;
};

static const struct merge as_they_are = { "none", &amon_aggregation_value, &amon_aggregation_value };

static void add_values(struct amon_export_table *table, const struct merge *merge)
{
	static const struct {
		struct amon_export_source source;
		uint8_t bits;
	} values[] = {
		{ { offsetof(struct value, wide), 8, AMON_FORM_UNSIGNED }, 64 },
		{ { offsetof(struct value, lower), 4, AMON_FORM_SIGNED }, 0 },
		{ { offsetof(struct value, port), 2, AMON_FORM_NETWORK }, 16 },
		{ { offsetof(struct value, few) + 1, 1, AMON_FORM_UNSIGNED }, 8 },
	};

	for (uint32_t i = 0; i < sizeof(values) / sizeof(*values); i++)
		set_column(&table->columns[table->column_count++], WIDE + i,
		           values[i].bits == 64 ? merge->natural : merge->plain, values[i].source, values[i].bits);
}

struct fixture {
	struct amon_arena *arena;
	const struct subject *subject;
	struct amon_exports exports;
	struct amon_export_section section;
	struct amon_export_user user;
	struct amon_export_table table;
	struct amon_maps maps;
	struct amon_failure failure;
};

enum timing { KEPT, TAKEN, SNAPSHOT };

static int create(const struct subject *subject)
{
	LIBBPF_OPTS(bpf_map_create_opts, options, .map_flags = subject->flags);
	bool ring = subject->kind == AMON_MAP_RINGBUF;

	return bpf_map_create(subject->type, "subject", subject->key_size, ring ? 0 : subject->value_size,
	                      subject->entries, &options);
}

/* What a compiler would have made of `table subject = map subject …`, around maps that are there. */
static void describe(struct fixture *f, const struct subject *subject, const struct merge *merge, bool each_cpu,
                     enum timing timing)
{
	static const struct merge as_keys;
	const char *error;

	*f = (struct fixture){
		.arena = amon_arena_new(),
		.subject = subject,
		.user = { subject->kind, subject->key_size, subject->value_size, false },
		.section = { .name = "ingress",
		             .table_count = 1,
		             .user_count = 1,
		             .hook_count = 1,
		             .record_size = 32,
		             .selected = 16 },
		.exports = { .probe = "test", .section_count = 1 },
		.table = { .name = "subject",
		           .map = "subject",
		           .key_size = 8 * COLUMNS,
		           .record_size = 16 * (COLUMNS - WIDE),
		           .twice = timing == SNAPSHOT,
		           .reset = timing != KEPT,
		           .top_by = -1,
		           .selected = UINT32_MAX,
		           .in_rows = UINT32_MAX,
		           .other = UINT32_MAX },
	};
	f->table.user = &f->user;
	f->table.columns = amon_new_array(f->arena, struct amon_export_column, COLUMNS);
	if (!amon_map_is_list(subject->kind))
		add_keys(subject, &f->table, each_cpu);
	add_values(&f->table, amon_map_is_list(subject->kind) ? &as_keys : merge);
	while (f->table.key_count < f->table.column_count &&
	       f->table.columns[f->table.key_count].kind == AMON_COLUMN_KEY)
		f->table.key_count++;
	f->section.tables = &f->table;
	f->section.parts = amon_new(f->arena, struct amon_export_part);
	*f->section.parts = (struct amon_export_part){ "ledger", 0, 32, false, 0, NULL };
	f->section.part_count = 1;
	f->exports.sections = &f->section;
	error = amon_exports_encode(f->arena, &f->exports);
	assert_non_null(amon_exports_decode(f->arena, error, strlen(error), &error));
	assert_int_equal(amon_maps_list(&f->exports, &f->maps), 0);
	amon_maps_entry(&f->maps, "ledger")->skipped = true;
}

static int *fd_of(struct fixture *f, unsigned int clone)
{
	return &amon_maps_entry(&f->maps, "subject")->fds[clone];
}

static void setup_of(struct fixture *f, const struct subject *subject, const struct merge *merge, bool each_cpu,
                     enum timing timing)
{
	describe(f, subject, merge, each_cpu, timing);
	for (unsigned int clone = 0; clone < (timing == SNAPSHOT ? AMON_CLONES : 1); clone++) {
		*fd_of(f, clone) = create(subject);
		if (*fd_of(f, clone) < 0)
			fail_msg("%s: %s", subject->name, strerror(errno));
	}
}

static void teardown_of(struct fixture *f)
{
	amon_maps_close(&f->maps);
	amon_arena_free(f->arena);
}

static struct amon_collected *collect(struct fixture *f, unsigned int clone)
{
	struct amon_collected *collected = amon_collected_new(&f->exports);
	unsigned int which = f->table.twice ? AMON_RESET : AMON_SHARED | AMON_EVENTS;
	int error = amon_storage_read(&f->maps, &f->exports, clone, which, collected, &f->failure);

	if (error)
		fail_msg("%s: %s", f->subject->name, f->failure.message);
	assert_int_equal(amon_collected_sort(&f->table, collected->sections[0].tables), 0);
	return collected;
}

/* What amon_reader_done() empties. */
static void reset(struct fixture *f, unsigned int clone)
{
	unsigned int which = f->table.twice ? AMON_RESET : AMON_EVENTS;

	if (amon_storage_reset(&f->maps, &f->exports, clone, which, &f->failure))
		fail_msg("%s: %s", f->subject->name, f->failure.message);
}

/* --- what comes out */

static uint64_t word_at(const uint8_t *bytes, uint32_t at)
{
	uint64_t word;

	memcpy(&word, bytes + at, sizeof(word));
	return word;
}

static void check_word(const struct fixture *f, uint64_t row, enum column column, uint64_t is, uint64_t should)
{
	if (is != should)
		fail_msg("%s: row %lu, column %d: %lx is not %lx", f->subject->name, row, column, is, should);
}

/* Values as they are: of the first CPU, or of the row's own. */
static void check_values(const struct fixture *f, uint64_t row, uint32_t i, uint32_t cpu, const uint8_t *at,
                         uint32_t step)
{
	struct value value = value_of(i, cpu);

	check_word(f, row, WIDE, word_at(at, 0), value.wide);
	check_word(f, row, LOWER, word_at(at, step), (uint64_t)(int64_t)value.lower);
	check_word(f, row, PORT, word_at(at, 2 * step), (uint16_t)(i + cpu));
	check_word(f, row, FEW, word_at(at, 3 * step), (uint8_t)(3 * i + cpu));
}

static uint32_t item_of(const struct subject *subject, uint64_t row)
{
	return subject->kind == AMON_MAP_STACK ? subject->filled - 1 - (uint32_t)row : (uint32_t)row;
}

static void check_filled(const struct fixture *f, const struct amon_collected_table *rows)
{
	bool list = amon_map_is_list(f->subject->kind);

	check_word(f, 0, COLUMNS, rows->row_count, f->subject->filled);
	for (uint64_t row = 0; row < rows->row_count; row++) {
		const uint8_t *key = rows->keys + row * f->table.key_size;
		const uint8_t *record = rows->records + row * f->table.record_size;
		uint32_t i = item_of(f->subject, row);

		if (!list)
			check_word(f, row, NUMBER, word_at(key, 8 * NUMBER), i);
		check_values(f, row, i, 0, list ? key + 8 * WIDE : record, list ? 8 : 16);
	}
}

static bool is_array(const struct subject *subject)
{
	return subject->kind == AMON_MAP_ARRAY || subject->kind == AMON_MAP_PERCPU_ARRAY;
}

/* Arrays have all their entries still, with zeros. */
static void check_empty(struct fixture *f, unsigned int clone)
{
	struct amon_collected *collected = collect(f, clone);
	const struct amon_collected_table *rows = collected->sections[0].tables;

	check_word(f, 0, COLUMNS, rows->row_count, is_array(f->subject) ? f->subject->entries : 0);
	for (uint64_t row = 0; row < rows->row_count; row++)
		for (uint32_t column = 0; column < COLUMNS - WIDE; column++)
			check_word(f, row, WIDE + column,
			           word_at(rows->records + row * f->table.record_size, 16 * column), 0);
	amon_collected_free(collected);
}

static void check_read(struct fixture *f, unsigned int clone)
{
	struct amon_collected *collected = collect(f, clone);

	check_filled(f, collected->sections[0].tables);
	amon_collected_free(collected);
}

/* Queues and stacks cannot be read but by taking. */
static bool can_be_kept(const struct subject *subject)
{
	return subject->kind != AMON_MAP_QUEUE && subject->kind != AMON_MAP_STACK;
}

/* Each read says the same. */
static void check_kept(const struct subject *subject)
{
	struct fixture f;

	if (!can_be_kept(subject))
		return;
	setup_of(&f, subject, &as_they_are, false, KEPT);
	fill(subject, *fd_of(&f, 0));
	for (int i = 0; i < 2; i++) {
		check_read(&f, 0);
		reset(&f, 0);
	}
	teardown_of(&f);
}

/* One map: a read takes what is there, and the next has what came since. */
static void check_taken(const struct subject *subject)
{
	struct fixture f;

	setup_of(&f, subject, &as_they_are, false, TAKEN);
	for (int i = 0; i < 2; i++) {
		fill(subject, *fd_of(&f, 0));
		check_read(&f, 0);
		reset(&f, 0);
		check_empty(&f, 0);
	}
	teardown_of(&f);
}

/* Two maps: of the one that rests all may be read again, until it is emptied; the other is not touched. */
static void check_snapshot(const struct subject *subject)
{
	struct fixture f;

	setup_of(&f, subject, &as_they_are, false, SNAPSHOT);
	fill(subject, *fd_of(&f, 1));
	check_read(&f, 1);
	check_read(&f, 1);
	check_empty(&f, 0);
	reset(&f, 0);
	check_read(&f, 1);
	reset(&f, 1);
	check_empty(&f, 1);
	teardown_of(&f);
}

static void check_all(void (*check)(const struct subject *subject))
{
	for (size_t i = 0; i < SUBJECTS; i++)
		check(&subjects[i]);
}

/* The same twice: in batches, and one by one. */
static void check_both_ways(void (*check)(const struct subject *subject))
{
	check_all(check);
	assert_int_equal(amon_kernel_pretend("no-batch", NULL), 0);
	check_all(check);
	assert_int_equal(amon_kernel_pretend("", NULL), 0);
}

#define SKIP_WITHOUT_BPF()                                                                                             \
	if (getenv("AMON_NO_BPF"))                                                                                     \
	skip()

static void test_kept(void **state)
{
	(void)state;
	SKIP_WITHOUT_BPF();
	check_both_ways(check_kept);
}

static void test_taken(void **state)
{
	(void)state;
	SKIP_WITHOUT_BPF();
	check_both_ways(check_taken);
}

static void test_snapshot(void **state)
{
	(void)state;
	SKIP_WITHOUT_BPF();
	check_both_ways(check_snapshot);
}

/* --- CPUs */

/* What a map of each CPU has for an entry, all together. */
struct together {
	uint64_t sum, least, most;
	int64_t lowest, highest, total;
};

static struct together put_together(const struct subject *subject, uint32_t i)
{
	struct together all = { .least = UINT64_MAX, .lowest = INT64_MAX, .highest = INT64_MIN };

	for (uint32_t cpu = 0; cpu < cpus_of(subject); cpu++) {
		struct value value = value_of(i, cpu);

		all.sum += value.wide;
		all.least = value.wide < all.least ? value.wide : all.least;
		all.most = value.wide > all.most ? value.wide : all.most;
		all.total += value.lower;
		all.lowest = value.lower < all.lowest ? value.lower : all.lowest;
		all.highest = value.lower > all.highest ? value.lower : all.highest;
	}
	return all;
}

static void check_merged(const struct fixture *f, const struct merge *merge, uint64_t row, const uint8_t *record)
{
	struct together all = put_together(f->subject, (uint32_t)row);
	uint64_t wide = word_at(record, 0), lower = word_at(record, 16);

	if (!strcmp(merge->name, "sum") || !strcmp(merge->name, "avg")) {
		check_word(f, row, WIDE, wide, all.sum);
		check_word(f, row, LOWER, lower, (uint64_t)all.total);
	} else {
		bool least = !strcmp(merge->name, "min");

		check_word(f, row, WIDE, wide, least ? all.least : all.most);
		check_word(f, row, LOWER, lower, (uint64_t)(least ? all.lowest : all.highest));
	}
	if (!strcmp(merge->name, "avg"))
		check_word(f, row, WIDE, word_at(record, 8), cpus_of(f->subject));
}

static void check_merge(const struct subject *subject, const struct merge *merge)
{
	struct amon_collected *collected;
	const struct amon_collected_table *rows;
	struct fixture f;

	setup_of(&f, subject, merge, false, KEPT);
	fill(subject, *fd_of(&f, 0));
	collected = collect(&f, 0);
	rows = collected->sections[0].tables;
	check_word(&f, 0, COLUMNS, rows->row_count, subject->filled);
	for (uint64_t row = 0; row < rows->row_count; row++)
		check_merged(&f, merge, row, rows->records + row * f.table.record_size);
	amon_collected_free(collected);
	teardown_of(&f);
}

static void test_cpus_merge(void **state)
{
	const struct merge merges[] = {
		{ "sum", amon_aggregation_find("sum"), amon_aggregation_find("sum") },
		{ "avg", amon_aggregation_find("mean"), amon_aggregation_find("mean") },
		{ "min", amon_aggregation_find("min"), &amon_aggregation_least },
		{ "max", amon_aggregation_find("max"), &amon_aggregation_most },
	};

	(void)state;
	SKIP_WITHOUT_BPF();
	for (size_t i = 0; i < SUBJECTS; i++)
		for (size_t j = 0; j < sizeof(merges) / sizeof(*merges) && amon_map_is_percpu(subjects[i].kind); j++)
			check_merge(&subjects[i], &merges[j]);
}

static void check_each_cpu(const struct subject *subject)
{
	uint32_t cpus = cpus_of(subject);
	struct amon_collected *collected;
	const struct amon_collected_table *rows;
	struct fixture f;

	if (!amon_map_is_percpu(subject->kind))
		return;
	setup_of(&f, subject, &as_they_are, true, TAKEN);
	fill(subject, *fd_of(&f, 0));
	collected = collect(&f, 0);
	rows = collected->sections[0].tables;
	check_word(&f, 0, COLUMNS, rows->row_count, (uint64_t)subject->filled * cpus);
	for (uint64_t row = 0; row < rows->row_count; row++) {
		const uint8_t *key = rows->keys + row * f.table.key_size;

		check_word(&f, row, NUMBER, word_at(key, 8 * NUMBER), row / cpus);
		check_word(&f, row, CPU, word_at(key, 8 * CPU), row % cpus);
		check_values(&f, row, (uint32_t)(row / cpus), (uint32_t)(row % cpus),
		             rows->records + row * f.table.record_size, 16);
	}
	amon_collected_free(collected);
	teardown_of(&f);
}

/* CPUs that are possible, whether there or not. */
static void test_each_cpu(void **state)
{
	(void)state;
	SKIP_WITHOUT_BPF();
	check_both_ways(check_each_cpu);
}

/* --- programs write meanwhile: a thread that does what they do */

#define ADDED 20000

struct writer {
	pthread_t thread;
	const struct subject *subject;
	int map;
	bool done;
};

/* A full map waits for who takes. */
static void *add_entries(void *data)
{
	struct writer *writer = data;
	uint8_t key[64], values[4096];
	uint32_t i = 0;

	while (i < ADDED) {
		put_key(writer->subject, i, key);
		put_values(writer->subject, i, values);
		i += !bpf_map_update_elem(writer->map, writer->subject->key_size ? key : NULL, values, BPF_ANY);
	}
	__atomic_store_n(&writer->done, true, __ATOMIC_RELEASE);
	return NULL;
}

static void count_rows(struct fixture *f, uint8_t *seen, uint32_t *last)
{
	struct amon_collected *collected = collect(f, 0);
	const struct amon_collected_table *rows = collected->sections[0].tables;
	bool list = amon_map_is_list(f->subject->kind);

	for (uint64_t row = 0; row < rows->row_count; row++) {
		const uint8_t *values = list ? rows->keys + row * f->table.key_size + 8 * WIDE
		                             : rows->records + row * f->table.record_size;
		uint64_t i = (word_at(values, 0) - UINT64_MAX / 2) / 7;

		assert_true(i < ADDED);
		seen[i]++;
		check_values(f, row, (uint32_t)i, 0, values, list ? 8 : 16);
		if (f->subject->kind == AMON_MAP_QUEUE)
			check_word(f, row, COLUMNS, i, (*last)++);
	}
	amon_collected_free(collected);
}

static void check_beside(const struct subject *subject)
{
	uint8_t *seen = calloc(1, ADDED);
	struct writer writer = { .subject = subject };
	uint32_t last = 0;
	struct fixture f;

	setup_of(&f, subject, &as_they_are, false, TAKEN);
	writer.map = *fd_of(&f, 0);
	assert_int_equal(pthread_create(&writer.thread, NULL, add_entries, &writer), 0);
	while (!__atomic_load_n(&writer.done, __ATOMIC_ACQUIRE))
		count_rows(&f, seen, &last);
	pthread_join(writer.thread, NULL);
	count_rows(&f, seen, &last);
	for (uint32_t i = 0; i < ADDED; i++)
		check_word(&f, i, COLUMNS, seen[i], 1);
	teardown_of(&f);
	free(seen);
}

/* Each entry is taken once, whatever comes meanwhile. */
static void test_taken_beside_writers(void **state)
{
	static const struct subject beside[] = {
		{ "hash", AMON_MAP_HASH, BPF_MAP_TYPE_HASH, 0, 8, VALUE_SIZE, 2000, 0 },
		{ "growing hash", AMON_MAP_HASH, BPF_MAP_TYPE_HASH, BPF_F_NO_PREALLOC, 8, VALUE_SIZE, 2000, 0 },
		{ "per-cpu hash", AMON_MAP_PERCPU_HASH, BPF_MAP_TYPE_PERCPU_HASH, 0, 8, VALUE_SIZE, 2000, 0 },
		{ "queue", AMON_MAP_QUEUE, BPF_MAP_TYPE_QUEUE, 0, 0, VALUE_SIZE, 2000, 0 },
		{ "stack", AMON_MAP_STACK, BPF_MAP_TYPE_STACK, 0, 0, VALUE_SIZE, 2000, 0 },
	};

	(void)state;
	SKIP_WITHOUT_BPF();
	for (size_t i = 0; i < sizeof(beside) / sizeof(*beside); i++) {
		check_beside(&beside[i]);
		assert_int_equal(amon_kernel_pretend("no-batch", NULL), 0);
		check_beside(&beside[i]);
		assert_int_equal(amon_kernel_pretend("", NULL), 0);
	}
}

static void *add_to_memory(void *data)
{
	struct writer *writer = data;
	uint64_t *memory = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, writer->map, 0);

	for (uint32_t i = 0; memory != MAP_FAILED && i < 50 * ADDED; i++)
		__atomic_fetch_add(&memory[i % 10 * (VALUE_SIZE / 8)], 1, __ATOMIC_RELAXED);
	__atomic_store_n(&writer->done, true, __ATOMIC_RELEASE);
	return NULL;
}

static uint64_t sum_of(struct fixture *f)
{
	struct amon_collected *collected = collect(f, 0);
	const struct amon_collected_table *rows = collected->sections[0].tables;
	uint64_t sum = 0;

	for (uint64_t row = 0; row < rows->row_count; row++)
		sum += word_at(rows->records + row * f->table.record_size, 0);
	amon_collected_free(collected);
	return sum;
}

/* What is added to mapped memory by whole words is counted once, too. */
static void test_words_beside_writers(void **state)
{
	static const struct subject array = {
		"mapped array", AMON_MAP_ARRAY, BPF_MAP_TYPE_ARRAY, BPF_F_MMAPABLE, 4, VALUE_SIZE, 10, 0
	};
	struct writer writer = { .subject = &array };
	uint64_t sum = 0;
	struct fixture f;

	(void)state;
	SKIP_WITHOUT_BPF();
	setup_of(&f, &array, &as_they_are, false, TAKEN);
	writer.map = *fd_of(&f, 0);
	assert_int_equal(pthread_create(&writer.thread, NULL, add_to_memory, &writer), 0);
	while (!__atomic_load_n(&writer.done, __ATOMIC_ACQUIRE))
		sum += sum_of(&f);
	pthread_join(writer.thread, NULL);
	assert_int_equal(sum + sum_of(&f), 50 * ADDED);
	teardown_of(&f);
}

/* --- locks and timers, which the kernel knows by the names in a map's BTF */

#define GUARDED_SIZE (VALUE_SIZE + 24)

static struct btf *describe_guarded(bool timer)
{
	struct btf *btf = btf__new_empty();
	int word = btf__add_int(btf, "unsigned int", 4, 0), wide = btf__add_int(btf, "unsigned long", 8, 0), guard;

	guard = btf__add_struct(btf, timer ? "bpf_timer" : "bpf_spin_lock", timer ? 16 : 4);
	btf__add_field(btf, "val", timer ? wide : word, 0, 0);
	if (timer)
		btf__add_field(btf, "more", wide, 64, 0);
	btf__add_struct(btf, "value", GUARDED_SIZE);
	btf__add_field(btf, "wide", wide, 0, 0);
	btf__add_field(btf, "rest", wide, 64, 0);
	btf__add_field(btf, "guard", guard, 8 * VALUE_SIZE, 0);
	assert_int_equal(btf__load_into_kernel(btf), 0);
	return btf;
}

static int create_guarded(const struct subject *subject, bool timer)
{
	struct btf *btf = describe_guarded(timer);
	LIBBPF_OPTS(bpf_map_create_opts, options, .btf_fd = (uint32_t)btf__fd(btf), .btf_key_type_id = 1,
	            .btf_value_type_id = 4);
	int map = bpf_map_create(subject->type, "guarded", subject->key_size, subject->value_size, subject->entries,
	                         &options);

	if (map < 0)
		fail_msg("%s: %s", subject->name, strerror(errno));
	btf__free(btf);
	return map;
}

static const struct subject guarded[] = {
	{ "guarded hash", AMON_MAP_HASH, BPF_MAP_TYPE_HASH, 0, 4, GUARDED_SIZE, 500, 300 },
	{ "guarded array", AMON_MAP_ARRAY, BPF_MAP_TYPE_ARRAY, 0, 4, GUARDED_SIZE, 300, 300 },
};

static void check_guarded(const struct subject *subject, bool timer)
{
	struct fixture f;

	describe(&f, subject, &as_they_are, false, TAKEN);
	f.user.locked = !timer;
	*fd_of(&f, 0) = create_guarded(subject, timer);
	fill(subject, *fd_of(&f, 0));
	check_read(&f, 0);
	check_empty(&f, 0);
	teardown_of(&f);
}

static void test_guarded(void **state)
{
	(void)state;
	SKIP_WITHOUT_BPF();
	for (int i = 0; i < 8; i++) {
		assert_int_equal(amon_kernel_pretend(i & 4 ? "no-batch" : "", NULL), 0);
		check_guarded(&guarded[i & 1], i & 2);
	}
	assert_int_equal(amon_kernel_pretend("", NULL), 0);
}

/* One entry, which a thread rewrites under its lock. */
static void *rewrite(void *data)
{
	struct writer *writer = data;
	uint8_t key[4], values[GUARDED_SIZE];

	for (uint32_t i = 0; i < ADDED; i++) {
		put_key(writer->subject, 0, key);
		put_values(writer->subject, i, values);
		assert_int_equal(bpf_map_update_elem(writer->map, key, values, BPF_F_LOCK), 0);
	}
	__atomic_store_n(&writer->done, true, __ATOMIC_RELEASE);
	return NULL;
}

static void check_locked(const struct subject *subject)
{
	struct writer writer = { .subject = subject };
	struct fixture f;

	describe(&f, subject, &as_they_are, false, KEPT);
	f.user.locked = true;
	writer.map = *fd_of(&f, 0) = create_guarded(subject, false);
	put(subject, writer.map, 0);
	assert_int_equal(pthread_create(&writer.thread, NULL, rewrite, &writer), 0);
	while (!__atomic_load_n(&writer.done, __ATOMIC_ACQUIRE)) {
		struct amon_collected *collected = collect(&f, 0);
		const uint8_t *record = collected->sections[0].tables[0].records;

		check_values(&f, 0, (uint32_t)((word_at(record, 0) - UINT64_MAX / 2) / 7), 0, record, 16);
		amon_collected_free(collected);
	}
	pthread_join(writer.thread, NULL);
	teardown_of(&f);
}

/* A value is read whole. */
static void test_locked_beside_writers(void **state)
{
	(void)state;
	SKIP_WITHOUT_BPF();
	for (int i = 0; i < 4; i++) {
		assert_int_equal(amon_kernel_pretend(i & 2 ? "no-batch" : "", NULL), 0);
		check_locked(&guarded[i & 1]);
	}
	assert_int_equal(amon_kernel_pretend("", NULL), 0);
}

/* --- a million */

#define MILLION 1000000

/* In batches of a thousand, where the kind has them. */
static void fill_million(const struct subject *subject, int map)
{
	uint8_t *keys = malloc(1000 * (size_t)subject->key_size + 1), *values = malloc(1000 * VALUE_SIZE);
	uint32_t done = 0;

	for (uint32_t i = 0; i < MILLION; i++) {
		__u32 count = ++done;

		put_key(subject, i, keys + (count - 1) * (size_t)subject->key_size);
		put_values(subject, i, values + (count - 1) * VALUE_SIZE);
		if (!subject->key_size)
			assert_int_equal(bpf_map_update_elem(map, NULL, values, BPF_ANY), 0);
		else if (count == 1000)
			assert_int_equal(bpf_map_update_batch(map, keys, values, &count, NULL), 0);
		done = subject->key_size ? done % 1000 : 0;
	}
	free(keys);
	free(values);
}

static void test_million(void **state)
{
	static const struct subject large[] = {
		{ "hash", AMON_MAP_HASH, BPF_MAP_TYPE_HASH, 0, 4, VALUE_SIZE, MILLION, MILLION },
		{ "mapped array", AMON_MAP_ARRAY, BPF_MAP_TYPE_ARRAY, BPF_F_MMAPABLE, 4, VALUE_SIZE, MILLION, MILLION },
		{ "queue", AMON_MAP_QUEUE, BPF_MAP_TYPE_QUEUE, 0, 0, VALUE_SIZE, MILLION, MILLION },
	};

	(void)state;
	SKIP_WITHOUT_BPF();
	for (size_t i = 0; i < sizeof(large) / sizeof(*large); i++) {
		struct fixture f;

		setup_of(&f, &large[i], &as_they_are, false, TAKEN);
		fill_million(&large[i], *fd_of(&f, 0));
		check_read(&f, 0);
		check_empty(&f, 0);
		teardown_of(&f);
	}
}

/* --- a part of a section's record */

static void check_part(const struct subject *subject, const struct merge *merge, enum timing timing, uint64_t wide)
{
	struct amon_export_part *part;
	struct fixture f;

	describe(&f, subject, merge, false, KEPT);
	amon_maps_close(&f.maps);
	f.section.columns = f.table.columns + f.table.key_count;
	f.section.column_count = f.table.column_count - f.table.key_count;
	f.section.table_count = f.section.user_count = 0;
	part = f.section.parts;
	*part = (struct amon_export_part){ "subject", 0, 64, false, 0, &f.user };
	f.section.seen = 64;
	f.section.selected = 80;
	f.section.record_size = 96;
	for (uint32_t i = 0; i < f.section.column_count; i++)
		f.section.columns[i].reset = timing != KEPT;
	assert_int_equal(amon_maps_list(&f.exports, &f.maps), 0);
	*fd_of(&f, 0) = create(subject);
	fill(subject, *fd_of(&f, 0));
	assert_false(amon_section_has_baseline(&f.section));
	for (int i = 0; i < 2; i++) {
		struct amon_collected *collected = collect(&f, 0);

		assert_int_equal(word_at(collected->sections[0].record, 0), i && timing == TAKEN ? 0 : wide);
		amon_collected_free(collected);
	}
	teardown_of(&f);
}

static void test_parts(void **state)
{
	static const struct subject one = { "one", AMON_MAP_ARRAY, BPF_MAP_TYPE_ARRAY, 0, 4, VALUE_SIZE, 1, 1 };
	static const struct subject each = {
		"one of each CPU", AMON_MAP_PERCPU_ARRAY, BPF_MAP_TYPE_PERCPU_ARRAY, 0, 4, VALUE_SIZE, 1, 1
	};
	const struct merge sum = { "sum", amon_aggregation_find("sum"), amon_aggregation_find("sum") };

	(void)state;
	SKIP_WITHOUT_BPF();
	check_part(&one, &as_they_are, KEPT, value_of(0, 0).wide);
	check_part(&one, &as_they_are, TAKEN, value_of(0, 0).wide);
	check_part(&each, &sum, KEPT, put_together(&each, 0).sum);
	check_part(&each, &sum, TAKEN, put_together(&each, 0).sum);
}

/* --- what is not what it is said to be */

static void check_refused(struct fixture *f)
{
	struct amon_collected *collected = amon_collected_new(&f->exports);

	assert_int_equal(amon_storage_read(&f->maps, &f->exports, 0, AMON_SHARED, collected, &f->failure), -EINVAL);
	assert_string_equal(f->failure.message, "map subject is not what the export table says");
	amon_collected_free(collected);
	teardown_of(f);
}

static void test_refused(void **state)
{
	static const struct subject hash = { "hash", AMON_MAP_HASH, BPF_MAP_TYPE_HASH, 0, 4, VALUE_SIZE, 10, 0 };
	static const struct subject others[] = {
		{ "lru", AMON_MAP_HASH, BPF_MAP_TYPE_LRU_HASH, 0, 4, VALUE_SIZE, 100, 0 },
		{ "per-cpu", AMON_MAP_HASH, BPF_MAP_TYPE_PERCPU_HASH, 0, 4, VALUE_SIZE, 10, 0 },
		{ "larger key", AMON_MAP_HASH, BPF_MAP_TYPE_HASH, 0, 8, VALUE_SIZE, 10, 0 },
		{ "larger value", AMON_MAP_HASH, BPF_MAP_TYPE_HASH, 0, 4, 2 * VALUE_SIZE, 10, 0 },
		{ "bloom filter", AMON_MAP_HASH, BPF_MAP_TYPE_BLOOM_FILTER, 0, 0, VALUE_SIZE, 10, 0 },
		{ "programs", AMON_MAP_HASH, BPF_MAP_TYPE_PROG_ARRAY, 0, 4, 4, 10, 0 },
	};
	struct fixture f;

	(void)state;
	SKIP_WITHOUT_BPF();
	for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++) {
		describe(&f, &hash, &as_they_are, false, KEPT);
		*fd_of(&f, 0) = create(&others[i]);
		assert_true(*fd_of(&f, 0) >= 0);
		check_refused(&f);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kept),
		cmocka_unit_test(test_taken),
		cmocka_unit_test(test_snapshot),
		cmocka_unit_test(test_cpus_merge),
		cmocka_unit_test(test_each_cpu),
		cmocka_unit_test(test_taken_beside_writers),
		cmocka_unit_test(test_words_beside_writers),
		cmocka_unit_test(test_guarded),
		cmocka_unit_test(test_locked_beside_writers),
		cmocka_unit_test(test_million),
		cmocka_unit_test(test_parts),
		cmocka_unit_test(test_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
