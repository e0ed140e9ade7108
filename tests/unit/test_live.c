/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "filled.h"

#define SECOND 1000000000ull

/* A table that is redrawn in place: the text that reaches the terminal. */

static struct amon_live *live_of(unsigned int width, unsigned int height)
{
	struct amon_live *live = amon_live_new();

	assert_non_null(live);
	amon_live_size(live, width, height);
	return live;
}

/* All metrics of the sample but counters make its page long. */
static void only_counters(struct fixture *fixture)
{
	struct amon_export_section *section = fixture->exports->sections;

	section->column_count = SAMPLE_SMALLEST;
	section->tables[0].column_count = FLOW_LOWEST;
	fixture->exports->column_count = 0;
}

static void read_between(struct fixture *fixture, uint64_t start, uint64_t end)
{
	struct amon_window window = ten_seconds;

	window.end = window.start + end * SECOND;
	window.start += start * SECOND;
	amon_document_free(fixture->document);
	assert_int_equal(amon_document(fixture->exports, fixture->collected, &window, &fixture->document), 0);
}

static char *draw(struct fixture *fixture, struct amon_live *live, unsigned int width)
{
	const struct amon_format_options options = { .live = live, .width = width };

	return text_of(fixture, "table", &options);
}

#define END "\033[K\n"

/* 900 bytes in ten seconds, and then 300 in two. A row that is new had nothing before. */
static void test_totals(void **state)
{
	static const char first[] =
	        "sample, window 1: 2026-01-01T00:00:00.000Z to 2026-01-01T00:00:10.000Z" END END "ingress (xdp)" END
	        "  13 packets (960 bytes) seen, 12 (900) selected" END
	        "  malformed, ip_truncated: 1 packets, 60 bytes" END "  not in flows, full: 1 packets, 60 bytes" END
	        "  packets  12  1.2/s" END "  bytes    900 bytes  90/s" END END "flows: 2 rows" END
	        "  net.src   port  packets  packets/s  bytes  bytes/s" END
	        "                                      bytes         " END
	        "  10.0.0.1    80        5        0.5    450       45" END
	        "  10.0.0.2    80        5        0.5    300       30" END
	        "  rest (1)              1        0.1     90        9" END END "\033[J";
	static const char second[] = "  packets  16  2/s" END "  bytes    1200 bytes  150/s" END END "flows: 2 rows" END
	                             "  net.src   port  packets  packets/s  bytes  bytes/s" END
	                             "                                      bytes         " END
	                             "  10.0.0.9    80        7        3.5    600      300" END
	                             "  10.0.0.1    80        5          0    450        0" END
	                             "  rest (2)              6          -    390        -" END END "\033[J";
	struct fixture *fixture = *state;
	struct amon_live *live = live_of(100, 40);
	char *text;

	only_counters(fixture);
	read_between(fixture, 0, 10);
	assert_string_equal(draw(fixture, live, 100), first);
	section_of(fixture)->packets += 4;
	section_of(fixture)->bytes += 300;
	add_flow(fixture, 9, 7, 600);
	read_between(fixture, 0, 12);
	text = draw(fixture, live, 100);
	assert_memory_equal(text, "\033[16A\rsample, ", 14);
	assert_string_equal(text + strlen(text) - strlen(second), second);
	amon_live_free(live);
}

/* Each read is a window of its own. */
static void test_windows(void **state)
{
	struct fixture *fixture = *state;
	struct amon_live *live = live_of(100, 40);

	reset_all(fixture->exports);
	for (unsigned int i = 0; i < 3; i++) {
		char *text;

		read_between(fixture, 10 * i, 10 * i + 10);
		text = draw(fixture, live, 100);
		assert_non_null(strstr(text, "  packets    12  1.2/s" END));
		assert_non_null(strstr(text, "  rest (1)              1        0.1     90        9  "));
	}
	amon_live_free(live);
}

static unsigned int lines_of(const char *text)
{
	unsigned int lines = 0;

	for (; *text; text++)
		lines += *text == '\n';
	return lines;
}

/* No line is wider than the terminal, and none scrolls away: the cursor's own stays free. */
static void test_size(void **state)
{
	struct fixture *fixture = *state;

	for (unsigned int width = 20; width < 120; width += 7) {
		struct amon_live *live = live_of(width, 12);
		char *text, *line, *rest = NULL;

		draw(fixture, live, width);
		text = draw(fixture, live, width);
		assert_memory_equal(text, "\033[11A\r", 6);
		assert_int_equal(lines_of(text), 11);
		assert_non_null(strstr(text, "for want of heig") ?: strstr(text, "… more, not shown"));
		for (line = strtok_r(text + 6, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
			unsigned int characters = 0;

			for (char *c = line; *c && *c != '\033'; c++)
				characters += (*c & 0xc0) != 0x80;
			assert_true(characters <= width);
		}
		amon_live_free(live);
	}
}

/* Where the page gets shorter, what stood below goes; where colors are cut, they end. */
static void test_color(void **state)
{
	struct fixture *fixture = *state;
	struct amon_live *live = live_of(4, 40);
	const struct amon_format_options options = { .live = live, .width = 4, .color = true };

	assert_memory_equal(text_of(fixture, "table", &options), "\033[1msamp\033[0m\033[0m" END, 18);
	amon_live_free(live);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_totals),
		TEST(test_windows),
		TEST(test_size),
		TEST(test_color),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
