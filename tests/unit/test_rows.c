/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <math.h>

#include "runtime/evaluate.h"
#include "runtime/storage.h"
#include "sample.h"

struct fixture {
	struct amon_arena *arena;
	struct amon_exports *exports;
	struct amon_collected *collected;
	struct amon_document *document;
};

static int setup(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));

	fixture->arena = amon_arena_new();
	fixture->exports = sample_exports(fixture->arena);
	fixture->collected = amon_collected_new(fixture->exports);
	*state = fixture;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *fixture = *state;

	amon_document_free(fixture->document);
	amon_collected_free(fixture->collected);
	amon_arena_free(fixture->arena);
	free(fixture);
	return 0;
}

/* Ten seconds of 2026. */
static const struct amon_window window = {
	.sequence = 1,
	.start = 1767225600000000000,
	.end = 1767225610000000000,
	.clock_offset = 1767225600000000000,
};

static const struct amon_table_rows *make(struct fixture *fixture)
{
	struct amon_export_table *table = fixture->exports->sections[0].tables;

	assert_int_equal(amon_collected_sort(table, fixture->collected->sections[0].tables), 0);
	assert_int_equal(amon_document(fixture->exports, fixture->collected, &window, &fixture->document), 0);
	return fixture->document->sections[0].tables;
}

static struct sample_section *section_of(struct fixture *fixture)
{
	return (struct sample_section *)(void *)fixture->collected->sections[0].record;
}

static struct sample_key key_of(uint32_t address, uint16_t port)
{
	struct sample_key key = { .port = port, .version = 4 };

	for (int i = 0; i < 4; i++)
		key.src[i] = (uint8_t)(address >> (24 - 8 * i));
	return key;
}

static void add_flow(struct fixture *fixture, struct sample_key key, struct sample_flow flow)
{
	assert_int_equal(amon_collected_add(fixture->exports->sections[0].tables,
	                                    fixture->collected->sections[0].tables, &key, &flow),
	                 0);
}

static void add_simple(struct fixture *fixture, uint32_t address, uint16_t port, uint64_t packets, uint64_t bytes)
{
	add_flow(fixture, key_of(address, port), (struct sample_flow){ .packets = packets, .bytes = bytes });
}

/* Walks there anew each time, and makes only that cell. */
static const struct amon_cell *cell_of(const struct amon_table_rows *rows, uint64_t row, uint32_t column)
{
	uint64_t place = 0;

	for (uint64_t i = 0; i <= row; i++)
		assert_true(amon_rows_next(rows, &place));
	return &amon_row_cells(rows, column, 1)[column];
}

/* --- expressions */

static struct amon_result evaluate(const struct amon_export_value *value)
{
	const struct amon_evaluation evaluation = { .window = 5 };

	return amon_evaluate(&evaluation, value);
}

static struct amon_result apply(struct amon_arena *arena, enum amon_operator op, struct amon_export_value *left,
                                struct amon_export_value *right)
{
	return evaluate(sample_binary(arena, op, sample_int, left, right));
}

static struct amon_result apply_integers(struct amon_arena *arena, enum amon_operator op, int64_t left, int64_t right)
{
	return apply(arena, op, sample_integer(arena, left), sample_integer(arena, right));
}

static void assert_integer(struct amon_result result, int64_t integer)
{
	assert_int_equal(result.kind, AMON_RESULT_INTEGER);
	assert_int_equal(result.integer, integer);
}

static void assert_real(struct amon_result result, double real)
{
	assert_int_equal(result.kind, AMON_RESULT_REAL);
	assert_true(result.real == real);
}

static void assert_null_result(struct amon_result result)
{
	assert_int_equal(result.kind, AMON_RESULT_NULL);
}

static void test_borders(void **state)
{
	struct amon_arena *arena = ((struct fixture *)*state)->arena;
	const double border = 9223372036854775808.0;

	assert_integer(apply_integers(arena, AMON_OP_ADD, INT64_MAX - 1, 1), INT64_MAX);
	assert_real(apply_integers(arena, AMON_OP_ADD, INT64_MAX, 1), border);
	assert_integer(apply_integers(arena, AMON_OP_SUBTRACT, INT64_MIN + 1, 1), INT64_MIN);
	assert_real(apply_integers(arena, AMON_OP_SUBTRACT, INT64_MIN, 1), -border);
	assert_real(apply_integers(arena, AMON_OP_SUBTRACT, 0, INT64_MIN), border);
	assert_real(apply_integers(arena, AMON_OP_MULTIPLY, INT64_MIN, -1), border);
	assert_real(apply_integers(arena, AMON_OP_MULTIPLY, 1LL << 32, 1LL << 31), border);
	assert_integer(apply_integers(arena, AMON_OP_MULTIPLY, 1LL << 32, -(1LL << 31)), INT64_MIN);
	assert_integer(apply_integers(arena, AMON_OP_MULTIPLY, 3037000499, 3037000499), 9223372030926249001);
	assert_real(apply_integers(arena, AMON_OP_MULTIPLY, INT64_MAX, INT64_MAX), 0x1p126);
	/* over 2^53 integers stay whole, until a decimal comes */
	assert_integer(apply_integers(arena, AMON_OP_ADD, 9007199254740992, 1), 9007199254740993);
	assert_real(apply(arena, AMON_OP_MULTIPLY, sample_integer(arena, 9007199254740993), sample_decimal(arena, 1)),
	            9007199254740992.0);
}

static void test_division(void **state)
{
	struct amon_arena *arena = ((struct fixture *)*state)->arena;

	assert_real(apply_integers(arena, AMON_OP_DIVIDE, 6, 3), 2);
	assert_real(apply_integers(arena, AMON_OP_DIVIDE, 1, 3), 1.0 / 3);
	assert_null_result(apply_integers(arena, AMON_OP_DIVIDE, 6, 0));
	assert_null_result(apply_integers(arena, AMON_OP_DIVIDE, 0, 0));
	assert_null_result(apply(arena, AMON_OP_DIVIDE, sample_decimal(arena, 1.5), sample_decimal(arena, 0)));
	assert_integer(apply_integers(arena, AMON_OP_MODULO, -7, 3), -1);
	assert_integer(apply_integers(arena, AMON_OP_MODULO, INT64_MIN, -1), 0);
	assert_null_result(apply_integers(arena, AMON_OP_MODULO, 7, 0));
	assert_real(apply(arena, AMON_OP_MODULO, sample_decimal(arena, 7.5), sample_integer(arena, 2)), 1.5);
}

static void test_bits(void **state)
{
	struct amon_arena *arena = ((struct fixture *)*state)->arena;

	assert_integer(apply_integers(arena, AMON_OP_BIT_AND, 12, 10), 8);
	assert_integer(apply_integers(arena, AMON_OP_BIT_XOR, 12, 10), 6);
	assert_integer(apply_integers(arena, AMON_OP_SHIFT_RIGHT, -8, 1), -4);
	assert_integer(apply_integers(arena, AMON_OP_SHIFT_LEFT, 1, 62), 1LL << 62);
	assert_real(apply_integers(arena, AMON_OP_SHIFT_LEFT, 1, 63), 0x1p63);
	assert_null_result(apply_integers(arena, AMON_OP_SHIFT_LEFT, 1, 64));
	assert_null_result(apply_integers(arena, AMON_OP_SHIFT_RIGHT, 1, -1));
}

static struct amon_export_value *nothing(struct amon_arena *arena)
{
	return sample_binary(arena, AMON_OP_DIVIDE, sample_real, sample_integer(arena, 1), sample_integer(arena, 0));
}

static struct amon_export_value *unary(struct amon_arena *arena, enum amon_value_kind kind, enum amon_operator op,
                                       struct amon_export_value *left)
{
	struct amon_export_value *value = sample_value(arena, kind, sample_int);

	value->op = op;
	value->left = left;
	return value;
}

static void test_absence(void **state)
{
	struct amon_arena *arena = ((struct fixture *)*state)->arena;
	struct amon_export_value *equal, *choice;

	assert_null_result(apply(arena, AMON_OP_ADD, nothing(arena), sample_integer(arena, 1)));
	assert_null_result(apply(arena, AMON_OP_MULTIPLY, sample_integer(arena, 0), nothing(arena)));
	for (enum amon_operator op = AMON_OP_EQ; op <= AMON_OP_GE; op++) {
		assert_integer(apply(arena, op, nothing(arena), sample_integer(arena, 1)), 0);
		assert_integer(apply(arena, op, nothing(arena), nothing(arena)), 0);
	}
	equal = sample_binary(arena, AMON_OP_EQ, sample_bool, nothing(arena), sample_integer(arena, 1));
	assert_integer(evaluate(unary(arena, AMON_VALUE_UNARY, AMON_OP_NOT, equal)), 1);
	assert_null_result(evaluate(unary(arena, AMON_VALUE_UNARY, AMON_OP_NEGATE, nothing(arena))));
	assert_integer(evaluate(unary(arena, AMON_VALUE_PRESENT, AMON_OP_NONE, nothing(arena))), 0);
	assert_integer(evaluate(unary(arena, AMON_VALUE_PRESENT, AMON_OP_NONE, sample_integer(arena, 0))), 1);
	choice = unary(arena, AMON_VALUE_CHOICE, AMON_OP_NONE, equal);
	choice->middle = sample_integer(arena, 1);
	choice->right = sample_integer(arena, 2);
	assert_integer(evaluate(choice), 2);
}

static void test_functions(void **state)
{
	struct amon_arena *arena = ((struct fixture *)*state)->arena;
	struct amon_export_value *least = unary(arena, AMON_VALUE_MIN, AMON_OP_NONE, sample_integer(arena, INT64_MAX));

	assert_real(evaluate(unary(arena, AMON_VALUE_LOG2, AMON_OP_NONE, sample_integer(arena, 1024))), 10);
	assert_null_result(evaluate(unary(arena, AMON_VALUE_LOG2, AMON_OP_NONE, sample_integer(arena, 0))));
	assert_real(evaluate(unary(arena, AMON_VALUE_SQRT, AMON_OP_NONE, sample_integer(arena, 9))), 3);
	assert_null_result(evaluate(unary(arena, AMON_VALUE_SQRT, AMON_OP_NONE, sample_integer(arena, -1))));
	assert_integer(evaluate(unary(arena, AMON_VALUE_ABS, AMON_OP_NONE, sample_integer(arena, -5))), 5);
	assert_real(evaluate(unary(arena, AMON_VALUE_ABS, AMON_OP_NONE, sample_integer(arena, INT64_MIN))), 0x1p63);
	/* 2^63 - 1 is less than 2^63, though they are the same double */
	least->right = sample_decimal(arena, 0x1p63);
	assert_integer(evaluate(least), INT64_MAX);
	/* where one side of it is real, so is it */
	least->type = sample_real;
	assert_real(evaluate(least), 0x1p63);
	assert_integer(evaluate(sample_value(arena, AMON_VALUE_WINDOW, sample_nanoseconds)), 5);
}

static struct amon_export_value *address_value(struct amon_arena *arena, struct amon_address address)
{
	struct amon_export_value *value =
	        sample_value(arena, AMON_VALUE_ADDRESS, (struct amon_type){ .base = AMON_BASE_NET });

	value->address = address;
	return value;
}

static struct amon_address ipv4(uint8_t a, uint8_t b, uint8_t c, uint8_t d, uint8_t prefix)
{
	return (struct amon_address){ .family = AMON_ADDRESS_IPV4, .bytes = { a, b, c, d }, .prefix = prefix };
}

static bool is_in(struct amon_arena *arena, struct amon_address address, struct amon_range range)
{
	struct amon_export_value *in = sample_value(arena, AMON_VALUE_IN, sample_bool);

	in->left = address_value(arena, address);
	in->ranges = &range;
	in->range_count = 1;
	return amon_holds(evaluate(in));
}

static void test_addresses(void **state)
{
	struct amon_arena *arena = ((struct fixture *)*state)->arena;
	struct amon_range ten = { .address = ipv4(10, 0, 0, 0, 8) }, odd = { .address = ipv4(10, 128, 0, 0, 9) };
	struct amon_range range = { .address = ipv4(10, 0, 0, 5, 32),
		                    .address_high = ipv4(10, 0, 0, 9, 32),
		                    .is_range = true };
	struct amon_address six = { .family = AMON_ADDRESS_IPV6, .bytes = { 10 }, .prefix = 128 };

	assert_true(is_in(arena, ipv4(10, 255, 0, 1, 32), ten));
	assert_false(is_in(arena, ipv4(11, 0, 0, 1, 32), ten));
	assert_true(is_in(arena, ipv4(10, 255, 0, 1, 32), odd));
	assert_false(is_in(arena, ipv4(10, 127, 0, 1, 32), odd));
	assert_true(is_in(arena, ipv4(10, 0, 0, 9, 32), range));
	assert_false(is_in(arena, ipv4(10, 0, 0, 10, 32), range));
	assert_false(is_in(arena, ipv4(10, 0, 0, 4, 32), range));
	assert_false(is_in(arena, six, ten));
	assert_integer(apply(arena, AMON_OP_EQ, address_value(arena, six), address_value(arena, ipv4(10, 0, 0, 0, 32))),
	               0);
	assert_integer(apply(arena, AMON_OP_LT, address_value(arena, ipv4(9, 9, 9, 9, 32)),
	                     address_value(arena, ipv4(10, 0, 0, 0, 32))),
	               1);
}

/* --- metrics */

static struct amon_result section_metric(struct fixture *fixture, uint32_t column, enum amon_member member)
{
	return amon_metric_result(&fixture->exports->sections[0].columns[column], section_of(fixture), member);
}

static void test_minimum(void **state)
{
	struct fixture *fixture = *state;

	assert_null_result(section_metric(fixture, SAMPLE_SMALLEST, AMON_MEMBER_VALUE));
	section_of(fixture)->has_smallest = 1;
	assert_integer(section_metric(fixture, SAMPLE_SMALLEST, AMON_MEMBER_VALUE), 0);
	section_of(fixture)->smallest = (uint64_t)-3;
	assert_integer(section_metric(fixture, SAMPLE_SMALLEST, AMON_MEMBER_VALUE), -3);
}

static void test_counts(void **state)
{
	struct fixture *fixture = *state;

	assert_integer(section_metric(fixture, SAMPLE_PACKETS, AMON_MEMBER_VALUE), 0);
	assert_integer(section_metric(fixture, SAMPLE_BYTES, AMON_MEMBER_VALUE), 0);
	section_of(fixture)->packets = UINT64_MAX;
	assert_int_equal(section_metric(fixture, SAMPLE_PACKETS, AMON_MEMBER_VALUE).kind, AMON_RESULT_NATURAL);
	section_of(fixture)->sizes = 500;
	section_of(fixture)->sizes_buckets[0] = 3;
	section_of(fixture)->sizes_buckets[2] = 4;
	assert_integer(section_metric(fixture, SAMPLE_SIZES, AMON_MEMBER_COUNT), 7);
	assert_integer(section_metric(fixture, SAMPLE_SIZES, AMON_MEMBER_SUM), 500);
	assert_null_result(section_metric(fixture, SAMPLE_SIZES, AMON_MEMBER_VALUE));
}

static void set_spread(struct fixture *fixture, const int64_t *values, size_t count)
{
	struct sample_section *section = section_of(fixture);
	unsigned __int128 squares = 0;

	section->spread = 0;
	section->spread_count = count;
	for (size_t i = 0; i < count; i++) {
		section->spread += (uint64_t)values[i];
		squares += (unsigned __int128)((__int128)values[i] * values[i]);
	}
	section->spread_squares[0] = (uint64_t)squares;
	section->spread_squares[1] = (uint64_t)(squares >> 64);
}

/* Numbers that are large and nearly the same: their squares differ in the last of 120 bits. */
static void test_variance(void **state)
{
	static const int64_t near[] = { (1LL << 60) + 1, (1LL << 60) + 2, (1LL << 60) + 3 };
	static const int64_t same[] = { -1234567890123, -1234567890123 };
	static const int64_t around[] = { -1, 1 };
	static const int64_t far[] = { 1LL << 62, -(1LL << 62) };
	struct fixture *fixture = *state;

	assert_null_result(section_metric(fixture, SAMPLE_SPREAD, AMON_MEMBER_VALUE));
	set_spread(fixture, near, 3);
	assert_real(section_metric(fixture, SAMPLE_SPREAD, AMON_MEMBER_VALUE), 2.0 / 3);
	set_spread(fixture, same, 2);
	assert_real(section_metric(fixture, SAMPLE_SPREAD, AMON_MEMBER_VALUE), 0);
	set_spread(fixture, around, 2);
	assert_real(section_metric(fixture, SAMPLE_SPREAD, AMON_MEMBER_VALUE), 1);
	set_spread(fixture, far, 2);
	assert_real(section_metric(fixture, SAMPLE_SPREAD, AMON_MEMBER_VALUE), 0x1p124);
}

/* --- documents */

static void test_cells(void **state)
{
	struct fixture *fixture = *state;
	struct sample_flow flow = { .packets = 2,
		                    .bytes = 1500,
		                    .lowest = 64,
		                    .start = 1500000000,
		                    .via = { 2, 0, 0, 0, 0, 7 },
		                    .has_lowest = 1,
		                    .has_start = 1,
		                    .has_via = 1 };
	const struct amon_table_rows *rows;

	section_of(fixture)->bytes = 6000;
	add_flow(fixture, key_of(0x0a000001, 443), flow);
	rows = make(fixture);
	assert_int_equal(rows->row_count, 1);
	assert_null(rows->rest);
	assert_null(rows->other);
	assert_int_equal(cell_of(rows, 0, FLOW_SRC)->kind, AMON_CELL_ADDRESS);
	assert_int_equal(cell_of(rows, 0, FLOW_SRC)->address.family, AMON_ADDRESS_IPV4);
	assert_int_equal(cell_of(rows, 0, FLOW_PORT)->natural, 443);
	assert_int_equal(cell_of(rows, 0, FLOW_PACKETS)->kind, AMON_CELL_UNSIGNED);
	assert_int_equal(cell_of(rows, 0, FLOW_BYTES)->kind, AMON_CELL_SIGNED);
	assert_int_equal(cell_of(rows, 0, FLOW_LOWEST)->kind, AMON_CELL_UNSIGNED);
	assert_int_equal(cell_of(rows, 0, FLOW_START)->kind, AMON_CELL_TIME);
	assert_int_equal(cell_of(rows, 0, FLOW_START)->time, 1767225601500000000);
	assert_int_equal(cell_of(rows, 0, FLOW_VIA)->address.family, AMON_ADDRESS_MAC);
	assert_true(cell_of(rows, 0, FLOW_SHARE)->real == 0.25);
	/* 12,000 bits in ten seconds */
	assert_true(cell_of(rows, 0, FLOW_RATE)->real == 1200);
}

static void test_histogram_cells(void **state)
{
	struct fixture *fixture = *state;
	const struct amon_histogram_cell *sizes, *gaps;

	section_of(fixture)->sizes = 300;
	section_of(fixture)->sizes_buckets[1] = 1;
	section_of(fixture)->sizes_buckets[2] = 2;
	section_of(fixture)->gaps = 3000000000;
	section_of(fixture)->gaps_buckets[30] = 1;
	section_of(fixture)->gaps_buckets[63] = 1;
	make(fixture);
	sizes = fixture->document->sections[0].cells[SAMPLE_SIZES].histogram;
	gaps = fixture->document->sections[0].cells[SAMPLE_GAPS].histogram;
	assert_int_equal(sizes->count, 3);
	assert_int_equal(sizes->bucket_count, 3);
	assert_int_equal(sizes->buckets[0].count, 0);
	assert_int_equal(sizes->buckets[1].le, 128);
	assert_int_equal(sizes->buckets[1].count, 1);
	assert_false(sizes->buckets[1].last);
	assert_true(sizes->buckets[2].last);
	assert_true(gaps->converted);
	assert_true(gaps->sum->real == 3);
	assert_true(gaps->buckets[30].le_real == 1.073741824);
	assert_int_equal(gaps->buckets[63].le, 1ULL << 63);
}

static void test_probe_derives(void **state)
{
	struct fixture *fixture = *state;

	section_of(fixture)->packets = 21;
	make(fixture);
	assert_int_equal(fixture->document->cells[0].integer, 42);
	/* 0 / 21, and then 21 / 0 */
	assert_true(fixture->document->sections[0].cells[SAMPLE_MEAN_SIZE].real == 0);
	section_of(fixture)->packets = 0;
	amon_document_free(fixture->document);
	make(fixture);
	assert_int_equal(fixture->document->sections[0].cells[SAMPLE_MEAN_SIZE].kind, AMON_CELL_NULL);
}

/* A derive may stand before what it is made of. */
static void test_derive_of_derives(void **state)
{
	struct fixture *fixture = *state;
	struct amon_export_section *section = fixture->exports->sections;

	section->columns[SAMPLE_SPREAD] =
	        sample_derive("twice", "",
	                      sample_binary(fixture->arena, AMON_OP_MULTIPLY, sample_real,
	                                    sample_column(fixture->arena, 0, -1, SAMPLE_MEAN_SIZE),
	                                    sample_integer(fixture->arena, 2)));
	section_of(fixture)->packets = 4;
	section_of(fixture)->bytes = 10;
	make(fixture);
	assert_true(fixture->document->sections[0].cells[SAMPLE_SPREAD].real == 5);
	assert_true(fixture->document->sections[0].cells[SAMPLE_MEAN_SIZE].real == 2.5);
}

static void test_having_and_top(void **state)
{
	struct fixture *fixture = *state;
	const struct amon_table_rows *rows;

	add_simple(fixture, 1, 1, 5, 100);
	add_simple(fixture, 2, 1, 1, 9999); /* having packets > 1 */
	add_simple(fixture, 3, 1, 2, 300);
	add_simple(fixture, 4, 1, 3, 200);
	rows = make(fixture);
	assert_int_equal(rows->row_count, 2);
	assert_int_equal(cell_of(rows, 0, FLOW_BYTES)->integer, 300);
	assert_int_equal(cell_of(rows, 1, FLOW_BYTES)->integer, 200);
	assert_int_equal(rows->left_out, 2);
	assert_int_equal(rows->rest[FLOW_SRC].kind, AMON_CELL_NULL);
	assert_int_equal(rows->rest[FLOW_PORT].kind, AMON_CELL_NULL);
	assert_int_equal(rows->rest[FLOW_PACKETS].natural, 6);
	assert_int_equal(rows->rest[FLOW_BYTES].integer, 10099);
}

/* Ties go by key: by its numbers, whatever their bytes in memory. */
static void test_ties(void **state)
{
	struct fixture *fixture = *state;
	struct sample_key six = { .src = { 0 }, .port = 1, .version = 6 };
	const struct amon_table_rows *rows;

	fixture->exports->sections[0].tables[0].top = 10;
	add_flow(fixture, six, (struct sample_flow){ .packets = 2, .bytes = 5 });
	add_simple(fixture, 0x0a000002, 256, 2, 5);
	add_simple(fixture, 0x0a000002, 1, 2, 5);
	add_simple(fixture, 0x0a000001, 0xffff, 2, 5);
	add_simple(fixture, 0xffffffff, 2, 2, 6);
	rows = make(fixture);
	assert_int_equal(cell_of(rows, 0, FLOW_PORT)->natural, 2);
	assert_int_equal(cell_of(rows, 1, FLOW_PORT)->natural, 0xffff);
	assert_int_equal(cell_of(rows, 2, FLOW_PORT)->natural, 1);
	assert_int_equal(cell_of(rows, 3, FLOW_PORT)->natural, 256);
	assert_int_equal(cell_of(rows, 4, FLOW_SRC)->address.family, AMON_ADDRESS_IPV6);
}

/* Rows in which the measure has no value come last. */
static void test_null_rank(void **state)
{
	struct fixture *fixture = *state;
	struct amon_export_table *table = fixture->exports->sections[0].tables;
	const struct amon_table_rows *rows;

	table->top_by = FLOW_LOWEST;
	table->having = NULL;
	add_simple(fixture, 1, 1, 1, 1);
	add_flow(fixture, key_of(2, 1), (struct sample_flow){ .lowest = 0, .has_lowest = 1 });
	add_flow(fixture, key_of(3, 1), (struct sample_flow){ .lowest = (uint64_t)-7, .has_lowest = 1 });
	rows = make(fixture);
	assert_int_equal(rows->row_count, 2);
	assert_int_equal(cell_of(rows, 0, FLOW_SRC)->address.bytes[3], 2);
	assert_int_equal(cell_of(rows, 1, FLOW_SRC)->address.bytes[3], 3);
	assert_int_equal(rows->rest[FLOW_LOWEST].kind, AMON_CELL_NULL);
	assert_int_equal(rows->rest[FLOW_PACKETS].natural, 1);
}

static void test_null_having(void **state)
{
	struct fixture *fixture = *state;
	struct amon_export_table *table = fixture->exports->sections[0].tables;

	table->having = sample_binary(fixture->arena, AMON_OP_NE, sample_bool, nothing(fixture->arena),
	                              sample_integer(fixture->arena, 1));
	add_simple(fixture, 1, 1, 1, 1);
	assert_int_equal(make(fixture)->row_count, 0);
}

static void test_other(void **state)
{
	struct fixture *fixture = *state;
	struct sample_flow *other = (struct sample_flow *)(void *)fixture->collected->sections[0].tables[0].other;
	const struct amon_table_rows *rows;

	other->packets = 9;
	other->bytes = 900;
	section_of(fixture)->flows_other.packets = 9;
	section_of(fixture)->bytes = 1800;
	rows = make(fixture);
	assert_non_null(rows->other);
	assert_int_equal(rows->other[FLOW_SRC].kind, AMON_CELL_NULL);
	assert_int_equal(rows->other[FLOW_PACKETS].natural, 9);
	assert_true(rows->other[FLOW_SHARE].real == 0.5);
	assert_int_equal(amon_section_packets(fixture->document->sections, SECTION_AT(flows_other)).packets, 9);
}

/* Whatever is chosen, rows and rest are all that there was; and the chosen ones are those that a plain sort chooses. */
static void check_sums(struct fixture *fixture, uint32_t top, uint64_t row_count)
{
	struct amon_export_table *table = fixture->exports->sections[0].tables;
	uint64_t packets = 0, bytes = 0, seen_packets = 0, last = UINT64_MAX;
	const struct amon_table_rows *rows;
	uint64_t seen_bytes = 0;

	table->top = top;
	for (uint64_t i = 0; i < row_count; i++) {
		uint64_t p = (uint64_t)random() % 4, b = (uint64_t)random() % 50;

		add_simple(fixture, (uint32_t)random() % 1000, (uint16_t)i, p, b);
		packets += p;
		bytes += b;
	}
	rows = make(fixture);
	assert_true(!top || rows->row_count <= top);
	for (uint64_t i = 0; i < rows->row_count; i++) {
		seen_packets += cell_of(rows, i, FLOW_PACKETS)->natural;
		seen_bytes += cell_of(rows, i, FLOW_BYTES)->natural;
		assert_true(cell_of(rows, i, FLOW_PACKETS)->natural > 1);
		assert_true(!top || cell_of(rows, i, FLOW_BYTES)->natural <= last);
		last = cell_of(rows, i, FLOW_BYTES)->natural;
	}
	if (rows->rest) {
		seen_packets += rows->rest[FLOW_PACKETS].natural;
		seen_bytes += rows->rest[FLOW_BYTES].natural;
	}
	assert_int_equal(rows->row_count + rows->left_out, row_count);
	assert_int_equal(seen_packets, packets);
	assert_int_equal(seen_bytes, bytes);
}

static void test_sums(void **state)
{
	(void)state;
	srandom(3);
	for (uint32_t i = 0; i < 200; i++) {
		void *fixture;

		setup(&fixture);
		check_sums(fixture, i % 12, (uint64_t)random() % 60);
		teardown(&fixture);
	}
}

static int descending(const void *a, const void *b)
{
	const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x < y) - (x > y);
}

static void test_top_is_top(void **state)
{
	struct fixture *fixture = *state;
	uint64_t bytes[500];
	const struct amon_table_rows *rows;

	srandom(5);
	fixture->exports->sections[0].tables[0].top = 40;
	for (uint16_t i = 0; i < 500; i++) {
		bytes[i] = (uint64_t)random() % 1000;
		add_simple(fixture, 1, i, 2, bytes[i]);
	}
	qsort(bytes, 500, sizeof(*bytes), descending);
	rows = make(fixture);
	for (uint64_t i = 0; i < 40; i++)
		assert_int_equal(cell_of(rows, i, FLOW_BYTES)->natural, bytes[i]);
}

/* --- two reads */

/* `reset` alone: what is said to be reset is a difference, all else a total. */
static void test_baseline(void **state)
{
	struct fixture *fixture = *state;
	struct amon_export_section *section = fixture->exports->sections;
	struct sample_section earlier = { .packets = 4, .bytes = 100, .seen = { 4, 400 }, .gaps_buckets = { 1 } };

	*section_of(fixture) =
	        (struct sample_section){ .packets = 10, .bytes = 900, .seen = { 10, 1000 }, .gaps_buckets = { 3 } };
	assert_false(amon_section_has_baseline(section));
	section->columns[SAMPLE_PACKETS].reset = section->columns[SAMPLE_GAPS].reset = section->reset = true;
	assert_true(amon_section_has_baseline(section));
	amon_subtract_baseline(section, section_of(fixture), &earlier);
	assert_int_equal(section_of(fixture)->packets, 6);
	assert_int_equal(section_of(fixture)->gaps_buckets[0], 2);
	assert_int_equal(section_of(fixture)->seen.bytes, 600);
	assert_int_equal(section_of(fixture)->bytes, 900);
}

/* What the clones have of their own is emptied, and has no baseline. */
static void test_no_baseline(void **state)
{
	struct fixture *fixture = *state;
	struct amon_export_section *section = fixture->exports->sections;
	struct amon_export_part part = { "ingress", 0, sizeof(struct sample_section), true, 0, NULL };

	section->parts = &part;
	section->columns[SAMPLE_PACKETS].reset = section->reset = true;
	assert_false(amon_section_has_baseline(section));
}

static void test_clear(void **state)
{
	struct fixture *fixture = *state;
	struct amon_export_section *section = fixture->exports->sections;

	*section_of(fixture) = (struct sample_section){ .packets = 10,
		                                        .smallest = 3,
		                                        .has_smallest = 1,
		                                        .gaps_buckets = { 3 },
		                                        .seen = { 10, 1000 },
		                                        .flows_in_rows = { 1, 1 } };
	section->columns[SAMPLE_SMALLEST].reset = section->columns[SAMPLE_GAPS].reset = section->reset = true;
	amon_clear_section(section, section_of(fixture));
	assert_int_equal(section_of(fixture)->has_smallest, 0);
	assert_int_equal(section_of(fixture)->gaps_buckets[0], 0);
	assert_int_equal(section_of(fixture)->seen.packets, 0);
	assert_int_equal(section_of(fixture)->packets, 10);
	assert_int_equal(section_of(fixture)->flows_in_rows.packets, 1);
	section->tables[0].reset = true;
	amon_clear_section(section, section_of(fixture));
	assert_int_equal(section_of(fixture)->flows_in_rows.packets, 0);
}

/* The two clones may each have a row of a key. */
static void test_rows_alike(void **state)
{
	struct fixture *fixture = *state;
	const struct amon_export_table *table = fixture->exports->sections[0].tables;
	struct amon_collected_table *rows = fixture->collected->sections[0].tables;

	add_simple(fixture, 2, 1, 13, 1003);
	add_simple(fixture, 1, 1, 1, 100);
	add_simple(fixture, 2, 1, 7, 7);
	add_simple(fixture, 2, 2, 1, 1);
	add_simple(fixture, 2, 1, 5, 5);
	assert_int_equal(amon_collected_sort(table, rows), 0);
	assert_int_equal(rows->row_count, 3);
	assert_int_equal(((const struct sample_flow *)(const void *)rows->records)[0].packets, 1);
	assert_int_equal(((const struct sample_flow *)(const void *)rows->records)[1].packets, 25);
	assert_int_equal(((const struct sample_flow *)(const void *)rows->records)[2].packets, 1);
}

static void test_merge_section(void **state)
{
	struct fixture *fixture = *state;
	struct sample_section other = { .packets = 2, .smallest = 5, .has_smallest = 1, .flows_full = { 1, 60 } };

	section_of(fixture)->packets = 1;
	section_of(fixture)->flows_full.bytes = 40;
	amon_merge_section(fixture->exports->sections, section_of(fixture), &other);
	assert_int_equal(section_of(fixture)->packets, 3);
	assert_int_equal(section_of(fixture)->smallest, 5);
	assert_int_equal(section_of(fixture)->flows_full.packets, 1);
	assert_int_equal(section_of(fixture)->flows_full.bytes, 100);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_borders),
		TEST(test_division),
		TEST(test_bits),
		TEST(test_absence),
		TEST(test_functions),
		TEST(test_addresses),
		TEST(test_minimum),
		TEST(test_counts),
		TEST(test_variance),
		TEST(test_cells),
		TEST(test_histogram_cells),
		TEST(test_probe_derives),
		TEST(test_derive_of_derives),
		TEST(test_having_and_top),
		TEST(test_ties),
		TEST(test_null_rank),
		TEST(test_null_having),
		TEST(test_other),
		cmocka_unit_test(test_sums),
		TEST(test_top_is_top),
		TEST(test_baseline),
		TEST(test_no_baseline),
		TEST(test_clear),
		TEST(test_rows_alike),
		TEST(test_merge_section),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
