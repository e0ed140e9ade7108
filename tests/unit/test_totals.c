/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "filled.h"
#include "runtime/totals.h"

#define SECOND 1000000000ull

/* A series of windows of ten seconds, each with rows of its own. */
struct series {
	struct fixture fixture;
	struct amon_totals *totals;
	struct amon_window window;
};

static int begin(void **state)
{
	struct series *series = calloc(1, sizeof(*series));

	series->fixture.arena = amon_arena_new();
	series->fixture.exports = sample_exports(series->fixture.arena);
	reset_all(series->fixture.exports);
	series->totals = amon_totals_new(series->fixture.exports);
	series->window = (struct amon_window){ .start = 1000 * SECOND };
	*state = series;
	return !series->totals;
}

static int end(void **state)
{
	struct series *series = *state;

	amon_totals_free(series->totals);
	amon_arena_free(series->fixture.arena);
	free(series);
	return 0;
}

static struct sample_section *open_window(struct series *series)
{
	series->fixture.collected = amon_collected_new(series->fixture.exports);
	return section_of(&series->fixture);
}

/* Of what was made since open_window(); `idle` seconds pass before the next. */
static void close_window(struct series *series, uint64_t idle)
{
	struct fixture *f = &series->fixture;

	series->window.sequence++;
	series->window.end = series->window.start + 10 * SECOND;
	assert_int_equal(amon_collected_sort(f->exports->sections[0].tables, f->collected->sections[0].tables), 0);
	assert_int_equal(amon_document(f->exports, f->collected, &series->window, &f->document), 0);
	assert_int_equal(amon_totals_add(series->totals, f->document), 0);
	amon_document_free(f->document);
	amon_collected_free(f->collected);
	series->window.start = series->window.end + idle * SECOND;
}

/* Bytes of a flow in the totals, by the last byte of its address; -1: it has no row. */
static int64_t bytes_of(const struct series *series, uint8_t address)
{
	const struct amon_table_rows *rows = &amon_totals_document(series->totals)->sections[0].tables[0];
	uint64_t place = 0;

	while (amon_rows_next(rows, &place)) {
		const struct amon_cell *cells = amon_row_cells(rows, 0, rows->table->column_count);

		if (cells[FLOW_SRC].address.bytes[3] == address)
			return cells[FLOW_BYTES].integer;
	}
	return -1;
}

static const struct amon_cell *cell_of(const struct series *series, uint32_t column)
{
	return &amon_totals_document(series->totals)->sections[0].cells[column];
}

static void test_sections(void **state)
{
	struct series *series = *state;
	struct sample_section *section = open_window(series);

	section->packets = 5;
	section->sizes = 300;
	section->sizes_buckets[1] = 2;
	section->seen.packets = 7;
	close_window(series, 0);
	section = open_window(series);
	section->packets = 4;
	section->sizes = 70;
	section->sizes_buckets[1] = section->sizes_buckets[2] = 1;
	section->seen.packets = 1;
	close_window(series, 0);
	assert_int_equal(cell_of(series, SAMPLE_PACKETS)->natural, 9);
	assert_int_equal(cell_of(series, SAMPLE_SIZES)->histogram->sum->integer, 370);
	assert_int_equal(cell_of(series, SAMPLE_SIZES)->histogram->buckets[1].count, 3);
	assert_int_equal(cell_of(series, SAMPLE_SIZES)->histogram->buckets[2].count, 1);
	assert_int_equal(amon_section_packets(amon_totals_document(series->totals)->sections, SECTION_AT(seen)).packets,
	                 8);
}

/* The sample exports the top two with more than one packet. */
static void test_rows(void **state)
{
	struct series *series = *state;
	const struct amon_table_rows *rows;

	open_window(series);
	add_flow(&series->fixture, 1, 2, 100);
	add_flow(&series->fixture, 2, 2, 200);
	add_flow(&series->fixture, 3, 2, 50); /* the third */
	close_window(series, 0);
	open_window(series);
	add_flow(&series->fixture, 3, 2, 70);
	add_flow(&series->fixture, 1, 2, 11);
	add_flow(&series->fixture, 2, 1, 999); /* one packet */
	close_window(series, 0);
	assert_int_equal(bytes_of(series, 1), 111);
	assert_int_equal(bytes_of(series, 2), 200);
	assert_int_equal(bytes_of(series, 3), 70);
	rows = &amon_totals_document(series->totals)->sections[0].tables[0];
	assert_int_equal(rows->row_count, 3);
	assert_int_equal(rows->rest[FLOW_BYTES].integer, 50 + 999);
	assert_null(rows->other);
}

static void test_other(void **state)
{
	struct series *series = *state;

	for (uint64_t i = 1; i <= 3; i++) {
		struct sample_section *section = open_window(series);
		struct sample_flow *other = (void *)series->fixture.collected->sections[0].tables[0].other;

		section->flows_other.packets = other->packets = i % 2;
		other->bytes = i % 2 * 100 * i;
		close_window(series, 0);
	}
	assert_int_equal(amon_totals_document(series->totals)->sections[0].tables[0].other[FLOW_BYTES].integer, 400);
}

/* Seen 290 seconds before the end of the last window; and 300. */
static void test_idle(void **state)
{
	struct series *series = *state;

	open_window(series);
	add_flow(&series->fixture, 1, 2, 100);
	close_window(series, 0);
	open_window(series);
	add_flow(&series->fixture, 2, 2, 200);
	close_window(series, 280);
	open_window(series);
	close_window(series, 0);
	assert_int_equal(bytes_of(series, 1), -1);
	assert_int_equal(bytes_of(series, 2), 200);
	open_window(series);
	add_flow(&series->fixture, 1, 2, 1);
	close_window(series, 0);
	assert_int_equal(bytes_of(series, 1), 1);
	assert_int_equal(bytes_of(series, 2), -1);
}

/* Whatever comes: what is in rows and in `rest` is all that came, and never less than before. */
static void test_monotone(void **state)
{
	struct series *series = *state;
	int64_t before[32] = { 0 }, rest = 0, all = 0;

	srandom(9);
	for (int window = 0; window < 200; window++) {
		const struct amon_table_rows *rows;
		int64_t sum = 0, rest_now;

		open_window(series);
		for (uint8_t i = 0; i < 32; i++) {
			int64_t bytes = random() % 1000;

			if (random() % 3)
				continue;
			add_flow(&series->fixture, i, (uint64_t)random() % 4, (uint64_t)bytes);
			all += bytes;
		}
		close_window(series, 0);
		for (uint8_t i = 0; i < 32; i++) {
			int64_t now = bytes_of(series, i);

			assert_true(now >= before[i] || now == -1);
			before[i] = now < 0 ? 0 : now;
			sum += before[i];
		}
		rows = &amon_totals_document(series->totals)->sections[0].tables[0];
		rest_now = rows->rest ? rows->rest[FLOW_BYTES].integer : 0;
		assert_true(rest_now >= rest);
		rest = rest_now;
		if (window < 25)
			assert_int_equal(sum + rest, all);
	}
}

/* What is a total already is not added: here the count of packets, the ledger and the table. */
static void test_mixed(void **state)
{
	struct series *series = *state;
	struct amon_export_section *section = series->fixture.exports->sections;

	amon_totals_free(series->totals);
	section->reset = section->tables[0].reset = section->columns[SAMPLE_PACKETS].reset = false;
	series->totals = amon_totals_new(series->fixture.exports);
	for (uint64_t i = 1; i <= 3; i++) {
		struct sample_section *record = open_window(series);

		record->packets = 10 * i;
		record->bytes = 100;
		record->seen.packets = 11 * i;
		record->flows_in_rows.packets = 7 * i;
		add_flow(&series->fixture, 1, 5 * i, 50 * i);
		if (i < 3)
			add_flow(&series->fixture, 2, 5, 50);
		add_flow(&series->fixture, 4, 2, 1);
		close_window(series, 0);
	}
	assert_int_equal(cell_of(series, SAMPLE_PACKETS)->natural, 30);
	assert_int_equal(cell_of(series, SAMPLE_BYTES)->integer, 300);
	assert_int_equal(amon_section_packets(amon_totals_document(series->totals)->sections, SECTION_AT(seen)).packets,
	                 33);
	assert_int_equal(
	        amon_section_packets(amon_totals_document(series->totals)->sections, SECTION_AT(flows_in_rows)).packets,
	        21);
	assert_int_equal(bytes_of(series, 1), 150);
	assert_int_equal(bytes_of(series, 2), -1);
	assert_null(amon_totals_document(series->totals)->sections[0].tables[0].rest);
}

/* In OpenMetrics counters are totals, `rest` too; all else is the last window's. */
static void test_openmetrics(void **state)
{
	static const struct amon_format_options none;
	struct series *series = *state;
	struct amon_format_options options = none;
	struct fixture *f = &series->fixture;
	char *text = NULL;

	options.totals = series->totals;
	for (int window = 0; window < 2; window++) {
		open_window(series)->packets = 5;
		add_flow(f, 1, 2, 100);
		add_flow(f, 2, 2, 100 + (uint64_t)window);
		add_flow(f, 3, 2, 50);
		series->window.end = series->window.start + 10 * SECOND;
		amon_document(f->exports, f->collected, &series->window, &f->document);
		text = text_of(f, "openmetrics", &options);
		amon_document_free(f->document);
		amon_collected_free(f->collected);
		series->window.start = series->window.end;
	}
	assert_non_null(strstr(text, "amon_sample_ingress_packets_total 10\n"));
	assert_non_null(strstr(text, "amon_sample_ingress_flows_bytes_total{net_src=\"10.0.0.2\",port=\"80\"} 201\n"));
	assert_non_null(strstr(text, "amon_sample_ingress_flows_bytes_total{row=\"rest\"} 100\n"));
	/* 808 bits in ten seconds */
	assert_non_null(strstr(text, "amon_sample_ingress_flows_rate_bits_per_second{net_src=\"10.0.0.2\",port=\"80\"} "
	                             "80.8\n"));
	assert_non_null(strstr(text, "amon_sample_all 10\n"));
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_sections), TEST(test_rows),  TEST(test_other),       TEST(test_idle),
		TEST(test_monotone), TEST(test_mixed), TEST(test_openmetrics),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
