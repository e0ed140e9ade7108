/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "filled.h"

/*
 * A document, and each format of it, takes as much memory for a million rows as for ten thousand: what a child process
 * took at most beyond the rows themselves is held against that.
 */
#define FEW  10000
#define MANY 1000000
/* KiB: libc's own buffers, and pages that were touched by chance. */
#define SLACK 1024

static long peak(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return usage.ru_maxrss;
}

/* Rows as a map would give them, in the order of their keys. */
static void make_rows(struct fixture *fixture, uint32_t count)
{
	struct amon_collected_table *rows = fixture->collected->sections[0].tables;

	rows->keys = calloc(count, sizeof(struct sample_key));
	rows->records = calloc(count, sizeof(struct sample_flow));
	rows->row_count = rows->room = count;
	for (uint32_t i = 0; i < count; i++) {
		struct sample_key *key = (struct sample_key *)(void *)rows->keys + i;
		struct sample_flow *flow = (struct sample_flow *)(void *)rows->records + i;

		*key = (struct sample_key){ .src = { 10, (uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i },
			                    .version = 4 };
		*flow = (struct sample_flow){ .packets = i % 5, .bytes = i };
	}
}

/* What a form of the table leaves out of it. */
static void all_rows(struct amon_export_table *table)
{
	table->having = NULL;
	table->top = 0;
}

static void having_rows(struct amon_export_table *table)
{
	table->top = 0;
}

static void top_rows(struct amon_export_table *table)
{
	table->top = 100;
}

static uint64_t rows_written(struct fixture *fixture)
{
	uint64_t place = 0, count = 0;

	while (amon_rows_next(&fixture->document->sections[0].tables[0], &place))
		count++;
	return count;
}

/* In a child: prints how far the peak rises once the rows are there. */
static void measure(const struct amon_format *format, void (*form)(struct amon_export_table *), uint32_t count, int to)
{
	const struct amon_format_options options = { .part = 1 };
	struct fixture fixture = { .arena = amon_arena_new() };
	FILE *null = fopen("/dev/null", "w");
	long before, grown;

	fixture.exports = sample_exports(fixture.arena);
	form(fixture.exports->sections[0].tables);
	fixture.collected = amon_collected_new(fixture.exports);
	make_rows(&fixture, count);
	before = peak();
	if (amon_document(fixture.exports, fixture.collected, &ten_seconds, &fixture.document) ||
	    format->write(fixture.document, null, &options) || rows_written(&fixture) == 0)
		_exit(1);
	grown = peak() - before;
	_exit(write(to, &grown, sizeof(grown)) != sizeof(grown));
}

static long growth(const struct amon_format *format, void (*form)(struct amon_export_table *), uint32_t count)
{
	int ends[2], status;
	long grown;
	pid_t child;

	assert_int_equal(pipe(ends), 0);
	child = fork();
	if (!child)
		measure(format, form, count, ends[1]);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	assert_int_equal(read(ends[0], &grown, sizeof(grown)), sizeof(grown));
	close(ends[0]);
	close(ends[1]);
	return grown;
}

static void check(const struct amon_format *format, void (*form)(struct amon_export_table *))
{
	long few, many;

	few = growth(format, form, FEW);
	many = growth(format, form, MANY);
	print_message("%s: %ld KiB of few rows, %ld KiB of many\n", format->name, few, many);
	assert_true(many <= few + SLACK);
}

static void test_formats(void **state)
{
	(void)state;
	for (const struct amon_format *format = amon_formats; format->name; format++)
		check(format, all_rows);
}

static void test_having(void **state)
{
	(void)state;
	check(amon_format_find("jsonl"), having_rows);
}

static void test_top(void **state)
{
	(void)state;
	check(amon_format_find("jsonl"), top_rows);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_formats),
		cmocka_unit_test(test_having),
		cmocka_unit_test(test_top),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
