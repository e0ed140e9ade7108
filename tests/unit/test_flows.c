/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/flows.h"
#include "runtime/storage.h"

/* Parts of flows as a reader would find them, with times of a few seconds; what becomes of them is worked out by hand.
 */

#define SECOND 1000000000ull
#define NONE   UINT32_MAX

struct flow {
	uint64_t first, last, until, packets, bytes, end_reason;
};

struct record {
	struct flow flow;
	uint64_t count;
};

struct key {
	uint64_t host, life;
};

/* The ledger alone is in a section's record. */
struct ledger {
	uint64_t seen[2], selected[2], table_selected[2], in_rows[2], other[2];
};

struct fixture {
	struct amon_export_column columns[3];
	struct amon_export_expire expire;
	struct amon_export_table table;
	struct amon_export_section section;
	struct amon_exports exports;
	struct amon_flows *flows;
	struct amon_collected *collected;
	uint64_t at; /* of the ended rows, the one that is asked for next */
};

static int begin(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct amon_layout layout = amon_layout_nowhere;

	f->columns[0] =
	        (struct amon_export_column){ .kind = AMON_COLUMN_KEY, .type.base = AMON_BASE_INT, .layout = layout };
	f->columns[0].layout.value = 0;
	f->columns[1] = (struct amon_export_column){ .kind = AMON_COLUMN_METRIC,
		                                     .aggregation = amon_aggregation_find("count"),
		                                     .layout = layout };
	f->columns[1].layout.count = offsetof(struct record, count);
	f->columns[2] = (struct amon_export_column){ .kind = AMON_COLUMN_END, .layout = layout };
	f->expire = (struct amon_export_expire){ .idle = 15 * SECOND, .active = 60 * SECOND, .lives_map = "lives" };
	f->table = (struct amon_export_table){ .name = "t",
		                               .key_size = sizeof(struct key),
		                               .record_size = sizeof(struct record),
		                               .size = 100,
		                               .reset = true,
		                               .expire = &f->expire,
		                               .other_map = "other",
		                               .columns = f->columns,
		                               .column_count = 3,
		                               .key_count = 1,
		                               .selected = offsetof(struct ledger, table_selected),
		                               .in_rows = offsetof(struct ledger, in_rows),
		                               .other = offsetof(struct ledger, other) };
	f->section = (struct amon_export_section){ .tables = &f->table,
		                                   .table_count = 1,
		                                   .record_size = sizeof(struct ledger),
		                                   .selected = offsetof(struct ledger, selected) };
	f->exports = (struct amon_exports){ .sections = &f->section, .section_count = 1 };
	f->flows = amon_flows_new(&f->exports);
	f->collected = amon_collected_new(&f->exports);
	*state = f;
	return !f->flows || !f->collected;
}

static int end(void **state)
{
	struct fixture *f = *state;

	amon_flows_free(f->flows);
	amon_collected_free(f->collected);
	free(f);
	return 0;
}

static struct amon_collected_table *rows_of(struct fixture *f)
{
	return f->collected->sections[0].tables;
}

static struct ledger *ledger_of(struct fixture *f)
{
	return (struct ledger *)(void *)f->collected->sections[0].record;
}

/* Of a host: a packet at `first`, one at `last`. In milliseconds; `until` 0 for none. */
static void part(struct fixture *f, uint64_t host, uint64_t life, uint64_t first, uint64_t last, uint64_t until)
{
	const struct key key = { host, life };
	const struct record record = {
		{ first * (SECOND / 1000), last * (SECOND / 1000), until * (SECOND / 1000), 2, 120, 0 }, 2
	};

	assert_int_equal(amon_collected_add(&f->table, rows_of(f), &key, &record), 0);
	ledger_of(f)->in_rows[0] += 2;
	ledger_of(f)->in_rows[1] += 120;
}

static void cut(struct fixture *f, uint64_t until, bool all)
{
	assert_int_equal(amon_flows_add(f->flows, f->collected), 0);
	assert_int_equal(rows_of(f)->row_count, 0);
	assert_int_equal(amon_flows_end(f->flows, until * (SECOND / 1000), all, f->collected), 0);
	f->at = 0;
}

static void ended(struct fixture *f, uint64_t host, uint64_t packets, uint64_t last, enum amon_end reason)
{
	const struct key *key = (const struct key *)(const void *)rows_of(f)->keys + f->at;
	const struct record *record = (const struct record *)(const void *)rows_of(f)->records + f->at;

	assert_true(f->at++ < rows_of(f)->row_count);
	assert_int_equal(key->host, host);
	assert_int_equal(record->count, packets);
	assert_int_equal(record->flow.packets, packets);
	assert_int_equal(record->flow.bytes, 60 * packets);
	assert_int_equal(record->flow.last, last * (SECOND / 1000));
	assert_int_equal(record->flow.end_reason, reason);
}

static void no_more(struct fixture *f)
{
	assert_int_equal(f->at, rows_of(f)->row_count);
	rows_of(f)->row_count = 0;
}

static void test_silence(void **state)
{
	struct fixture *f = *state;

	part(f, 1, 1, 100, 900, 0);
	cut(f, 1000, false);
	no_more(f);
	assert_int_equal(amon_flows_next(f->flows), 15900 * (SECOND / 1000));
	part(f, 1, 1, 15899, 15899, 0);
	cut(f, 16000, false);
	no_more(f);
	/* 15 s to the nanosecond: another row, though the kernel may not know */
	part(f, 1, 0, 30899, 30950, 0);
	cut(f, 31000, false);
	ended(f, 1, 4, 15899, AMON_END_IDLE);
	no_more(f);
	cut(f, 45949, false);
	no_more(f);
	cut(f, 45950, false);
	ended(f, 1, 2, 30950, AMON_END_IDLE);
	no_more(f);
	assert_int_equal(amon_flows_next(f->flows), UINT64_MAX);
}

static void test_age(void **state)
{
	struct fixture *f = *state;

	for (uint64_t s = 0; s < 59; s++) {
		part(f, 1, 1, 1000 * s, 1000 * s + 900, 0);
		cut(f, 1000 * s + 999, false);
		no_more(f);
	}
	/* within one cut the one life ends, and the next begins */
	part(f, 1, 2, 60000, 60100, 0);
	part(f, 1, 1, 59000, 59900, 0);
	cut(f, 60200, false);
	ended(f, 1, 120, 59900, AMON_END_ACTIVE);
	no_more(f);
	cut(f, 90000, true);
	ended(f, 1, 2, 60100, AMON_END_IDLE);
	no_more(f);
}

static void test_condition(void **state)
{
	struct fixture *f = *state;

	part(f, 1, 1, 100, 200, 0);
	part(f, 2, 2, 100, 200, 200);
	part(f, 2, 3, 200, 200, 200);
	part(f, 2, 4, 200, 300, 0);
	cut(f, 400, false);
	ended(f, 2, 2, 200, AMON_END_WHEN);
	ended(f, 2, 2, 200, AMON_END_WHEN);
	no_more(f);
	/* it lingers into the next cut, and is silent for longer */
	part(f, 1, 1, 900, 1000, 21000);
	cut(f, 1100, false);
	no_more(f);
	part(f, 1, 1, 20000, 20999, 0);
	cut(f, 21000, false);
	ended(f, 1, 6, 20999, AMON_END_WHEN);
	ended(f, 2, 2, 300, AMON_END_IDLE);
	no_more(f);
}

/* Two CPUs see a host: their parts lie over each other, and what is silent on one is not silent. */
static void test_cpus(void **state)
{
	struct fixture *f = *state;

	part(f, 1, 4096, 100, 500, 0);
	part(f, 1, 4097, 300, 14000, 0);
	cut(f, 14000, false);
	part(f, 1, 8192, 16000, 17000, 0);
	cut(f, 17000, false);
	no_more(f);
	cut(f, 18000, true);
	ended(f, 1, 6, 17000, AMON_END_FORCED);
	no_more(f);
}

/* Lives that CPUs share tell what is of one flow where the clock does not: all within a tick. */
static void test_shared(void **state)
{
	struct fixture *f = *state;

	f->expire.lives_map = NULL;
	part(f, 1, 8, 200, 200, 200);
	part(f, 2, 7, 200, 200, 0);
	part(f, 1, 7, 100, 200, 200);
	part(f, 1, 9, 200, 300, 0);
	part(f, 1, 7, 200, 200, 0);
	part(f, 1, 8, 200, 200, 0);
	cut(f, 400, false);
	ended(f, 1, 4, 200, AMON_END_WHEN);
	ended(f, 1, 4, 200, AMON_END_WHEN);
	no_more(f);
	cut(f, 500, true);
	ended(f, 1, 2, 300, AMON_END_FORCED);
	ended(f, 2, 2, 200, AMON_END_FORCED);
	no_more(f);
}

static void test_full(void **state)
{
	struct fixture *f = *state;

	f->table.size = 2;
	part(f, 1, 1, 100, 200, 0);
	part(f, 2, 2, 150, 250, 300);
	part(f, 3, 3, 299, 400, 0);
	part(f, 4, 4, 300, 400, 0);
	part(f, 1, 1, 500, 600, 0);
	cut(f, 1000, false);
	ended(f, 2, 2, 250, AMON_END_WHEN);
	no_more(f);
	assert_int_equal(ledger_of(f)->in_rows[0], 8);
	assert_int_equal(ledger_of(f)->other[0], 2);
	assert_int_equal(ledger_of(f)->other[1], 120);
	assert_int_equal(((const struct record *)(const void *)rows_of(f)->other)->count, 2);
	cut(f, 2000, true);
	ended(f, 1, 4, 600, AMON_END_FORCED);
	ended(f, 4, 2, 400, AMON_END_FORCED);
	no_more(f);
}

/* Host 1 was seen before 2, though it came behind it; 3 makes room by itself. */
static void test_evicted(void **state)
{
	struct fixture *f = *state;

	f->table.size = 2;
	f->expire.evicts = true;
	part(f, 2, 1, 100, 900, 0);
	part(f, 1, 2, 200, 300, 0);
	part(f, 3, 3, 400, 500, 600);
	part(f, 4, 4, 600, 700, 0);
	part(f, 5, 5, 800, 850, 0);
	cut(f, 1000, false);
	ended(f, 1, 2, 300, AMON_END_EVICTED);
	ended(f, 3, 2, 500, AMON_END_WHEN);
	ended(f, 4, 2, 700, AMON_END_EVICTED);
	no_more(f);
	assert_int_equal(ledger_of(f)->in_rows[0], 10);
	/* it was evicted, and comes again */
	part(f, 1, 2, 1100, 1200, 0);
	cut(f, 2000, true);
	ended(f, 1, 2, 1200, AMON_END_FORCED);
	ended(f, 2, 2, 900, AMON_END_FORCED);
	ended(f, 5, 2, 850, AMON_END_EVICTED);
	no_more(f);
}

static void test_open(void **state)
{
	struct fixture *f = *state;

	f->expire.keeps = true;
	part(f, 1, 1, 100, 200, 0);
	part(f, 1, 2, 20000, 20100, 0);
	cut(f, 21000, false);
	ended(f, 1, 2, 200, AMON_END_IDLE);
	ended(f, 1, 2, 20100, AMON_END_NONE);
	no_more(f);
	part(f, 1, 2, 22000, 22100, 0);
	cut(f, 22500, false);
	ended(f, 1, 4, 22100, AMON_END_NONE);
	no_more(f);
}

/* As many that the store grows, of which some are always on their way out. */
static void test_many(void **state)
{
	struct fixture *f = *state;
	uint64_t count = 0;

	f->table.size = 1u << 20;
	for (uint64_t s = 0; s < 60; s++) {
		for (uint64_t host = 0; host < 500; host++)
			part(f, 1 + (s / 20 * 250 + host) % 800, 1 + s, 1000 * s + host, 1000 * s + host + 10, 0);
		cut(f, 1000 * s + 999, s == 59);
		for (uint64_t i = 0; i < rows_of(f)->row_count; i++)
			count += ((const struct record *)(const void *)rows_of(f)->records)[i].count;
		rows_of(f)->row_count = 0;
	}
	assert_int_equal(count, 60 * 500 * 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_silence, begin, end),
		cmocka_unit_test_setup_teardown(test_age, begin, end),
		cmocka_unit_test_setup_teardown(test_condition, begin, end),
		cmocka_unit_test_setup_teardown(test_cpus, begin, end),
		cmocka_unit_test_setup_teardown(test_shared, begin, end),
		cmocka_unit_test_setup_teardown(test_full, begin, end),
		cmocka_unit_test_setup_teardown(test_evicted, begin, end),
		cmocka_unit_test_setup_teardown(test_open, begin, end),
		cmocka_unit_test_setup_teardown(test_many, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
