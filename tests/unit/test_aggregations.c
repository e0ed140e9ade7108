/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "compiler/aggregations.h"

#define EDGES_MAX 70000

/* --- buckets, against a list of edges written down by their definition */

struct edges {
	uint64_t list[EDGES_MAX];
	uint32_t count;
	bool rest; /* a bucket behind the last edge */
};

static struct edges expected;

static void expect_edge(uint64_t edge)
{
	assert_true(expected.count < EDGES_MAX);
	expected.list[expected.count++] = edge;
}

/* The first edge that is not below the value. */
static uint32_t bucket_by_loop(int64_t value, bool is_signed)
{
	for (uint32_t i = 0; i < expected.count; i++) {
		if (is_signed && value <= (int64_t)expected.list[i])
			return i;
		if (!is_signed && (value <= 0 || (uint64_t)value <= expected.list[i]))
			return i;
	}
	return expected.count;
}

static void check_value(const struct amon_buckets *buckets, int64_t value, bool is_signed)
{
	assert_int_equal(amon_bucket_of(buckets, value), bucket_by_loop(value, is_signed));
}

static void check_around(const struct amon_buckets *buckets, int64_t edge, bool is_signed)
{
	check_value(buckets, edge, is_signed);
	if (edge > INT64_MIN)
		check_value(buckets, edge - 1, is_signed);
	if (edge < INT64_MAX)
		check_value(buckets, edge + 1, is_signed);
}

static void check_form(const struct amon_buckets *buckets, bool is_signed)
{
	static const int64_t always[] = { INT64_MIN, -1000000, -1, 0, 1, 2, 3, 1000000, INT64_MAX };
	uint64_t edge;

	assert_int_equal(amon_bucket_count(buckets), expected.count + expected.rest);
	for (uint32_t i = 0; i < expected.count; i++) {
		assert_true(amon_bucket_edge(buckets, i, &edge));
		assert_int_equal(edge, expected.list[i]);
		/* 2^63 itself is no value */
		check_around(buckets, !is_signed && edge > INT64_MAX ? INT64_MAX : (int64_t)edge, is_signed);
	}
	if (expected.rest)
		assert_false(amon_bucket_edge(buckets, expected.count, &edge));
	for (size_t i = 0; i < sizeof(always) / sizeof(*always); i++)
		check_around(buckets, always[i], is_signed);
}

static void test_log2(void **state)
{
	const struct amon_buckets buckets = { .kind = AMON_BUCKETS_LOG2 };

	(void)state;
	expected.count = 0;
	expected.rest = false;
	for (uint64_t edge = 1; edge; edge *= 2)
		expect_edge(edge);
	assert_int_equal(expected.count, 64);
	check_form(&buckets, false);
}

/* Octaves (2^k, 2^(k+1)] are cut into 2^bits parts; where a part would be less than 1 wide, each number has its own. */
static void expect_loglinear(unsigned int bits)
{
	expected.count = 0;
	expected.rest = false;
	for (uint64_t edge = 1; edge <= 1ULL << bits; edge++)
		expect_edge(edge);
	for (unsigned int k = bits; k < 63; k++)
		for (uint64_t part = 1; part <= 1ULL << bits; part++)
			expect_edge((1ULL << k) + part * (1ULL << (k - bits)));
}

static void test_loglinear(void **state)
{
	(void)state;
	for (uint32_t bits = 0; bits <= 5; bits++) {
		const struct amon_buckets buckets = { .kind = AMON_BUCKETS_LOGLINEAR, .bits = bits };

		expect_loglinear(bits);
		check_form(&buckets, false);
	}
}

static void test_loglinear_by_hand(void **state)
{
	const struct amon_buckets buckets = { .kind = AMON_BUCKETS_LOGLINEAR, .bits = 1 };
	static const int64_t values[] = { -7, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 13, 16 };
	static const uint32_t places[] = { 0, 0, 0, 1, 2, 3, 4, 4, 5, 5, 6, 6, 7, 7 };

	(void)state;
	for (size_t i = 0; i < sizeof(values) / sizeof(*values); i++)
		assert_int_equal(amon_bucket_of(&buckets, values[i]), places[i]);
}

static void check_linear(int64_t low, int64_t high, int64_t step)
{
	struct amon_buckets buckets = { .kind = AMON_BUCKETS_LINEAR, .low = low, .high = high, .step = step };

	expected.count = 0;
	expected.rest = true;
	for (__int128 edge = low; edge <= high; edge += step)
		expect_edge((uint64_t)(int64_t)edge);
	buckets.edge_count = expected.count;
	check_form(&buckets, true);
}

static void test_linear(void **state)
{
	(void)state;
	check_linear(0, 1600, 100);
	check_linear(0, 1536, 64);
	check_linear(1, 10, 1);
	check_linear(5, 5, 1);
	check_linear(-100, 100, 7);
	check_linear(INT64_MIN, INT64_MAX, INT64_MAX);
	check_linear(INT64_MAX - 3, INT64_MAX, 1);
}

static void check_edges(const int64_t *edges, uint32_t count)
{
	const struct amon_buckets buckets = { .kind = AMON_BUCKETS_EDGES, .edges = edges, .edge_count = count };

	expected.count = 0;
	expected.rest = true;
	for (uint32_t i = 0; i < count; i++)
		expect_edge((uint64_t)edges[i]);
	check_form(&buckets, true);
}

static void test_edges(void **state)
{
	static const int64_t sizes[] = { 64, 128, 256, 512, 1024, 1518 };
	static const int64_t far[] = { INT64_MIN, -5, 0, 1, 2, INT64_MAX };
	static const int64_t one[] = { 7 };

	(void)state;
	check_edges(sizes, 6);
	check_edges(far, 6);
	check_edges(one, 1);
}

/* --- merging */

#define BUCKETS 5

struct record {
	uint64_t value;
	uint8_t address[16];
	uint64_t count, squares[2], time, buckets[BUCKETS];
	uint8_t has, version;
};

#define OFFSET(member) offsetof(struct record, member)

static struct amon_layout layout_of(const struct amon_aggregation *aggregation)
{
	unsigned int parts = aggregation->parts;

	return (struct amon_layout){
		.value = parts & AMON_PART_VALUE ? OFFSET(value) : UINT32_MAX,
		.count = parts & AMON_PART_COUNT ? OFFSET(count) : UINT32_MAX,
		.squares = parts & AMON_PART_SQUARES ? OFFSET(squares) : UINT32_MAX,
		.time = parts & AMON_PART_TIME ? OFFSET(time) : UINT32_MAX,
		.buckets = parts & AMON_PART_BUCKETS ? OFFSET(buckets) : UINT32_MAX,
		.has = parts & AMON_PART_HAS ? OFFSET(has) : UINT32_MAX,
		.value_size = 8,
		.version = UINT32_MAX,
		.bucket_count = parts & AMON_PART_BUCKETS ? BUCKETS : 0,
	};
}

static uint64_t random_word(void)
{
	uint64_t word = (uint64_t)random() << 42 ^ (uint64_t)random() << 21 ^ (uint64_t)random();

	return word >> (random() % 64);
}

/* A state as the data plane leaves it: where nothing was seen, all is zero. Times are few, so that some are the same.
 */
static struct record random_record(unsigned int parts)
{
	struct record record = { 0 };

	if (parts & AMON_PART_HAS && random() % 4 == 0)
		return record;
	if (parts & AMON_PART_VALUE)
		record.value = random_word() * (random() % 2 ? 1 : -1ULL);
	if (parts & AMON_PART_COUNT)
		record.count = random_word();
	for (int i = 0; parts & AMON_PART_SQUARES && i < 2; i++)
		record.squares[i] = random_word();
	if (parts & AMON_PART_TIME)
		record.time = (uint64_t)random() % 4;
	for (int i = 0; parts & AMON_PART_BUCKETS && i < BUCKETS; i++)
		record.buckets[i] = random_word();
	record.has = !!(parts & AMON_PART_HAS);
	return record;
}

static void check_associative(const struct amon_aggregation *aggregation)
{
	struct amon_layout layout = layout_of(aggregation);
	struct record a = random_record(aggregation->parts), b = random_record(aggregation->parts);
	struct record c = random_record(aggregation->parts), left = a, right = b;

	amon_merge_state(aggregation, &layout, &left, &b);
	amon_merge_state(aggregation, &layout, &left, &c);
	amon_merge_state(aggregation, &layout, &right, &c);
	amon_merge_state(aggregation, &layout, &a, &right);
	assert_memory_equal(&left, &a, sizeof(a));
}

static void check_neutral(const struct amon_aggregation *aggregation)
{
	struct amon_layout layout = layout_of(aggregation);
	struct record a = random_record(aggregation->parts), before = a, nothing = { 0 };

	amon_merge_state(aggregation, &layout, &a, &nothing);
	assert_memory_equal(&a, &before, sizeof(a));
	amon_merge_state(aggregation, &layout, &nothing, &a);
	assert_memory_equal(&nothing, &before, sizeof(a));
}

static void check_subtract(const struct amon_aggregation *aggregation)
{
	struct amon_layout layout = layout_of(aggregation);
	struct record a = random_record(aggregation->parts), b = random_record(aggregation->parts), sum = a;

	if (!aggregation->subtracts)
		return;
	amon_merge_state(aggregation, &layout, &sum, &b);
	amon_subtract_state(aggregation, &layout, &sum, &a);
	assert_memory_equal(&sum, &b, sizeof(b));
}

static void test_algebra(void **state)
{
	const struct amon_aggregation *row;

	(void)state;
	srandom(1);
	for (row = amon_aggregations; row->name; row++) {
		for (int i = 0; i < 2000; i++) {
			check_associative(row);
			check_neutral(row);
			check_subtract(row);
		}
	}
}

static struct record merged(const char *name, struct record into, struct record from)
{
	const struct amon_aggregation *aggregation = amon_aggregation_find(name);
	struct amon_layout layout = layout_of(aggregation);

	amon_merge_state(aggregation, &layout, &into, &from);
	return into;
}

static void test_values(void **state)
{
	struct record minus = { .value = (uint64_t)-5, .has = 1 }, zero = { .has = 1 }, six = { .value = 6, .has = 1 };

	(void)state;
	assert_int_equal(merged("min", zero, six).value, 0);
	assert_int_equal(merged("min", six, zero).value, 0);
	assert_int_equal((int64_t)merged("min", six, minus).value, -5);
	assert_int_equal(merged("max", minus, zero).value, 0);
	assert_int_equal(merged("bit_or", six, (struct record){ .value = 1, .has = 1 }).value, 7);
	assert_int_equal(merged("bit_and", six, (struct record){ .value = 12, .has = 1 }).value, 4);
	assert_int_equal(merged("bit_and", six, (struct record){ 0 }).value, 6);
}

/*
 * A number between bytes that are its neighbours', not aligned, and a byte of bits, of which the second is the
 * metric's.
 */
#define NARROW_AT  3
#define NARROW_HAS 12

struct narrow {
	uint8_t bytes[16];
};

static struct amon_layout narrow_layout(uint32_t size, enum amon_kept kept)
{
	struct amon_layout layout = amon_layout_nowhere;

	layout.value = NARROW_AT;
	layout.value_size = size;
	layout.has = NARROW_HAS;
	layout.has_bit = 1;
	layout.kept = kept;
	return layout;
}

/* As the data plane leaves it, which is told how by hand: the lowest byte first, as on this machine. */
static struct narrow narrow_record(uint32_t size, enum amon_kept kept, uint64_t value)
{
	struct narrow record = { { [NARROW_AT - 1] = 0x55, [NARROW_AT + 8] = 0x55, [NARROW_HAS] = 0xa2 } };

	for (uint32_t i = 0; i < size; i++)
		record.bytes[NARROW_AT + i] = (uint8_t)((kept == AMON_KEPT_COMPLEMENT ? ~value : value) >> 8 * i);
	return record;
}

static void check_narrow(const char *name, uint32_t size, enum amon_kept kept, uint64_t a, uint64_t b,
                         uint64_t expected)
{
	const struct amon_aggregation *aggregation = amon_aggregation_find(name);
	struct amon_layout layout = narrow_layout(size, kept);
	struct narrow into = narrow_record(size, kept, a), from = narrow_record(size, kept, b);
	struct narrow nothing = { { [NARROW_AT - 1] = 0x55, [NARROW_AT + 8] = 0x55, [NARROW_HAS] = 0xa0 } };
	struct narrow wanted = narrow_record(size, kept, expected), other = nothing;

	amon_merge_state(aggregation, &layout, &into, &from);
	assert_memory_equal(&into, &wanted, sizeof(into));
	assert_int_equal(amon_state_value(&layout, &into), expected);
	amon_merge_state(aggregation, &layout, &into, &nothing);
	assert_memory_equal(&into, &wanted, sizeof(into));
	assert_false(amon_state_has(&layout, &other));
	amon_merge_state(aggregation, &layout, &other, &into);
	assert_memory_equal(&other, &wanted, sizeof(other));
	amon_state_set_has(&layout, &other, false);
	assert_int_equal(other.bytes[NARROW_HAS], 0xa0);
}

/* The ends of each width: 0 is a value, and so is the largest number, whose complement is 0. */
static void test_narrow(void **state)
{
	static const struct {
		uint32_t size;
		uint64_t most;
	} widths[] = { { 1, 0xff }, { 2, 0xffff }, { 4, 0xffffffff }, { 8, INT64_MAX } };

	(void)state;
	for (size_t i = 0; i < sizeof(widths) / sizeof(*widths); i++) {
		uint32_t size = widths[i].size;
		uint64_t most = widths[i].most;

		check_narrow("min", size, AMON_KEPT_COMPLEMENT, most, 0, 0);
		check_narrow("min", size, AMON_KEPT_COMPLEMENT, 0, most, 0);
		check_narrow("min", size, AMON_KEPT_COMPLEMENT, most, most, most);
		check_narrow("min", size, AMON_KEPT_COMPLEMENT, 7, 5, 5);
		check_narrow("max", size, AMON_KEPT_PLAIN, most, 0, most);
		check_narrow("max", size, AMON_KEPT_PLAIN, 0, most, most);
		check_narrow("max", size, AMON_KEPT_PLAIN, 0, 0, 0);
		check_narrow("bit_or", size, AMON_KEPT_PLAIN, 0, 0, 0);
		check_narrow("bit_or", size, AMON_KEPT_PLAIN, 0x41, 0x12, 0x53);
		check_narrow("bit_and", size, AMON_KEPT_COMPLEMENT, most, most, most);
		check_narrow("bit_and", size, AMON_KEPT_COMPLEMENT, 0x41, 0x43, 0x41);
		check_narrow("bit_and", size, AMON_KEPT_COMPLEMENT, most, 0, 0);
	}
	/* the packet's time itself */
	check_narrow("first", 8, AMON_KEPT_COMPLEMENT, 9, 4, 4);
	check_narrow("first", 8, AMON_KEPT_COMPLEMENT, 0, 4, 0);
	check_narrow("last", 8, AMON_KEPT_PLAIN, 9, 4, 9);
	/* any bits, a sign too */
	check_narrow("bit_and", 8, AMON_KEPT_COMPLEMENT, UINT64_MAX, UINT64_MAX - 1, UINT64_MAX - 1);
	check_narrow("min", 8, AMON_KEPT_PLAIN, 3, (uint64_t)-3, (uint64_t)-3);
}

/* first(x): the time is the complement, the value is as it is. */
static void test_first_of_value(void **state)
{
	const struct amon_aggregation *first = amon_aggregation_find("first");
	struct amon_layout layout = layout_of(first);
	struct record early = { .value = 1, .time = ~10ULL, .has = 1 }, late = { .value = 2, .time = ~20ULL, .has = 1 };
	struct record same = { .value = 3, .time = ~10ULL, .has = 1 };

	(void)state;
	layout.kept = AMON_KEPT_COMPLEMENT;
	amon_merge_state(first, &layout, &late, &early);
	assert_int_equal(amon_state_value(&layout, &late), 1);
	assert_int_equal(late.time, ~10ULL);
	amon_merge_state(first, &layout, &early, &same);
	assert_int_equal(amon_state_value(&layout, &early), 1);
}

static void test_times(void **state)
{
	struct record early = { .value = 1, .time = 10, .has = 1 }, late = { .value = 2, .time = 20, .has = 1 };
	struct record same = { .value = 3, .time = 10, .has = 1 };

	(void)state;
	assert_int_equal(merged("first", late, early).value, 1);
	assert_int_equal(merged("last", early, late).value, 2);
	/* a tie goes to the lower CPU */
	assert_int_equal(merged("first", early, same).value, 1);
	assert_int_equal(merged("last", early, same).value, 1);
	assert_int_equal(merged("last", same, early).value, 3);
}

/* first(frame.time): the value is the time. */
static void test_own_time(void **state)
{
	const struct amon_aggregation *first = amon_aggregation_find("first"), *last = amon_aggregation_find("last");
	struct amon_layout layout = layout_of(first);
	struct record a = { .value = 10, .has = 1 }, b = { .value = 20, .has = 1 }, c = a;

	(void)state;
	layout.time = UINT32_MAX;
	amon_merge_state(first, &layout, &b, &a);
	assert_int_equal(b.value, 10);
	b.value = 20;
	amon_merge_state(last, &layout, &c, &b);
	assert_int_equal(c.value, 20);
}

static void test_addresses(void **state)
{
	const struct amon_aggregation *last = amon_aggregation_find("last");
	struct amon_layout layout = layout_of(last);
	struct record a = { .address = { 10, 0, 0, 1 }, .version = 4, .time = 1, .has = 1 };
	struct record b = { .address = { 0x20, 1, [15] = 9 }, .version = 6, .time = 2, .has = 1 };

	(void)state;
	layout.value = OFFSET(address);
	layout.value_size = 16;
	layout.version = OFFSET(version);
	amon_merge_state(last, &layout, &a, &b);
	assert_memory_equal(&a, &b, sizeof(a));
}

static void test_squares_carry(void **state)
{
	struct record a = { .squares = { UINT64_MAX, 1 } }, b = { .squares = { 2, 3 } };
	struct record sum = merged("variance", a, b);

	(void)state;
	assert_int_equal(sum.squares[0], 1);
	assert_int_equal(sum.squares[1], 5);
}

/* Records are packed as the plan likes, and parts need not be aligned. */
static void test_unaligned(void **state)
{
	const struct amon_aggregation *sum = amon_aggregation_find("sum");
	struct amon_layout layout = layout_of(sum);
	uint8_t a[16] = { [3] = 1 }, b[16] = { [3] = 2 };

	(void)state;
	layout.value = 3;
	amon_merge_state(sum, &layout, a, b);
	assert_int_equal(a[3], 3);
}

static void test_sizes(void **state)
{
	(void)state;
	assert_int_equal(amon_value_size(AMON_BASE_IPV4), 4);
	assert_int_equal(amon_value_size(AMON_BASE_IPV6), 16);
	assert_int_equal(amon_value_size(AMON_BASE_NET), 16);
	assert_int_equal(amon_value_size(AMON_BASE_MAC), 6);
	assert_int_equal(amon_value_size(AMON_BASE_INT), 8);
	assert_null(amon_aggregation_find("avg"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_log2),
		cmocka_unit_test(test_loglinear),
		cmocka_unit_test(test_loglinear_by_hand),
		cmocka_unit_test(test_linear),
		cmocka_unit_test(test_edges),
		cmocka_unit_test(test_algebra),
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_narrow),
		cmocka_unit_test(test_first_of_value),
		cmocka_unit_test(test_times),
		cmocka_unit_test(test_own_time),
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_squares_carry),
		cmocka_unit_test(test_unaligned),
		cmocka_unit_test(test_sizes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
