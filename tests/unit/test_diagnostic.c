/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <setjmp.h>

#include <cmocka.h>
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "compiler/arena.h"
#include "compiler/diagnostic.h"

struct fixture {
	struct amon_arena *arena;
	struct amon_diagnostics diagnostics;
};

static int setup(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));
	fixture->arena = amon_arena_new();
	amon_diagnostics_init(&fixture->diagnostics, fixture->arena);
	*state = fixture;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *fixture = *state;
	amon_arena_free(fixture->arena);
	free(fixture);
	return 0;
}

static const struct amon_source *text(struct fixture *fixture, const char *content)
{
	return amon_source_from_text(fixture->arena, "a.amon", content, strlen(content));
}

static void assert_prints(const struct fixture *fixture, const char *expected)
{
	char *printed = NULL;
	size_t length = 0;
	FILE *to = open_memstream(&printed, &length);
	amon_diagnostics_print(&fixture->diagnostics, to, false);
	fclose(to);
	assert_string_equal(printed, expected);
	free(printed);
}

static void test_print(void **state)
{
	struct fixture *fixture = *state;
	const struct amon_source *source = text(fixture, "window 1s;\n  where x > 5m;\n");
	/* line 2 starts at 11; `5m` stands 12 behind that */
	struct amon_span span = { source, 23, 25 };
	amon_error(&fixture->diagnostics, span, "`%s` is unclear", "5m")->suggestion = "write `5min`";
	assert_prints(fixture, "a.amon:2:13: error: `5m` is unclear\n"
	                       "      where x > 5m;\n"
	                       "                ^~\n"
	                       "  help: write `5min`\n");
}

static void test_order(void **state)
{
	struct fixture *fixture = *state;
	const struct amon_source *source = text(fixture, "ab\ncd");
	amon_error(&fixture->diagnostics, (struct amon_span){ NULL, 0, 0 }, "nowhere");
	amon_error(&fixture->diagnostics, (struct amon_span){ source, 3, 5 }, "second");
	amon_note(&fixture->diagnostics, (struct amon_span){ source, 0, 1 }, "of the second");
	amon_warning(&fixture->diagnostics, (struct amon_span){ source, 1, 2 }, "first");
	assert_int_equal(fixture->diagnostics.errors, 2);
	assert_int_equal(fixture->diagnostics.warnings, 1);
	assert_prints(fixture, "a.amon:1:2: warning: first\n"
	                       "    ab\n"
	                       "     ^\n"
	                       "a.amon:2:1: error: second\n"
	                       "    cd\n"
	                       "    ^~\n"
	                       "a.amon:1:1: note: of the second\n"
	                       "    ab\n"
	                       "    ^\n"
	                       "error: nowhere\n");
}

static void test_hostile_line(void **state)
{
	struct fixture *fixture = *state;
	/* A tab, an escape sequence, two characters of two bytes, a byte that is no UTF-8; then the fault. */
	const struct amon_source *source = text(fixture, "\t\033[2J\xc3\xa9\xc3\xa9\xff!x\r\n");
	amon_error(&fixture->diagnostics, (struct amon_span){ source, 10, 12 }, "at \033[31m\xff");
	assert_prints(fixture, "a.amon:1:11: error: at ?[31m?\n"
	                       "    \t?[2J\xc3\xa9\xc3\xa9?!x\n"
	                       "    \t       ^~\n");
}

static void test_end_of_text(void **state)
{
	struct fixture *fixture = *state;
	const struct amon_source *source = text(fixture, "ab");
	amon_error(&fixture->diagnostics, (struct amon_span){ source, 2, 2 }, "end");
	assert_prints(fixture, "a.amon:1:3: error: end\n"
	                       "    ab\n"
	                       "      ^\n");
}

static void test_long_line(void **state)
{
	struct fixture *fixture = *state;
	char line[1001] = { 0 }, expected[1024];
	memset(line, 'a', 1000);
	line[500] = 'X';
	const struct amon_source *source = text(fixture, line);
	amon_error(&fixture->diagnostics, (struct amon_span){ source, 500, 501 }, "here");
	/* 60 in front of the caret, 120 in all */
	char before[61] = { 0 }, after[60] = { 0 };
	memset(before, 'a', 60);
	memset(after, 'a', 59);
	snprintf(expected, sizeof(expected), "a.amon:1:501: error: here\n    ... %sX%s ...\n    %64s^\n", before, after,
	         "");
	assert_prints(fixture, expected);
}

static void test_too_many(void **state)
{
	struct fixture *fixture = *state;
	for (int i = 0; i < AMON_DIAGNOSTICS_MAX + 7; i++)
		assert_non_null(amon_error(&fixture->diagnostics, (struct amon_span){ NULL, 0, 0 }, "e"));
	amon_note(&fixture->diagnostics, (struct amon_span){ NULL, 0, 0 }, "lost with its error");
	assert_int_equal(fixture->diagnostics.errors, 107);
	char expected[4096] = "";
	for (int i = 0; i < AMON_DIAGNOSTICS_MAX; i++)
		strcat(expected, "error: e\n");
	strcat(expected, "error: too many errors: 7 more are not shown\n");
	assert_prints(fixture, expected);
}

static void test_color(void **state)
{
	struct fixture *fixture = *state;
	char *printed = NULL;
	size_t length = 0;
	amon_error(&fixture->diagnostics, (struct amon_span){ NULL, 0, 0 }, "e");
	FILE *to = open_memstream(&printed, &length);
	amon_diagnostics_print(&fixture->diagnostics, to, true);
	fclose(to);
	assert_string_equal(printed, "\033[1;31merror:\033[0m \033[1me\033[0m\n");
	free(printed);
}

static void test_json(void **state)
{
	struct fixture *fixture = *state;
	char *printed = NULL;
	size_t length = 0;
	const struct amon_source *source = text(fixture, "ab\ncd");
	amon_error(&fixture->diagnostics, (struct amon_span){ source, 1, 4 }, "e")->suggestion = "s";
	amon_warning(&fixture->diagnostics, (struct amon_span){ NULL, 0, 0 }, "w");
	FILE *to = open_memstream(&printed, &length);
	amon_diagnostics_print_json(&fixture->diagnostics, to);
	fclose(to);
	json_t *array = json_loads(printed, 0, NULL);
	json_t *expected = json_loads(
	        "[{\"file\": \"a.amon\", \"line\": 1, \"column\": 2, \"end_line\": 2, \"end_column\": 2,"
	        "\"severity\": \"error\", \"message\": \"e\", \"suggestion\": \"s\"},"
	        "{\"file\": null, \"line\": null, \"column\": null, \"end_line\": null, \"end_column\": null,"
	        "\"severity\": \"warning\", \"message\": \"w\", \"suggestion\": null}]",
	        0, NULL);
	assert_non_null(expected);
	assert_true(json_equal(array, expected));
	json_decref(array);
	json_decref(expected);
	free(printed);
}

static void test_closest(void **state)
{
	static const char *const words[] = { "where", "metric", "table", "tcp.flags.syn", "min" };
	(void)state;
#define CLOSEST(word) amon_closest(word, words, 5)
	assert_string_equal(CLOSEST("metirc"), "metric"); /* two letters changed places */
	assert_string_equal(CLOSEST("tables"), "table");  /* one too many */
	assert_string_equal(CLOSEST("wher"), "where");    /* one too few */
	assert_string_equal(CLOSEST("Metric"), "metric"); /* case */
	assert_string_equal(CLOSEST("tcp.flags.sync"), "tcp.flags.syn");
	assert_string_equal(CLOSEST("tcp.fl"), "tcp.flags.syn"); /* a beginning */
	assert_null(CLOSEST("label"));                           /* two off, of five letters */
	assert_null(CLOSEST("x"));
	assert_null(CLOSEST(""));
	assert_null(amon_closest("where", words, 0));
}

static void test_positions(void **state)
{
	struct fixture *fixture = *state;
	const struct amon_source *source = text(fixture, "ab\r\n\ncd\n");
	uint32_t line, column, length;
	assert_int_equal(source->line_count, 4);
	amon_source_position(source, 0, &line, &column);
	assert_int_equal(line, 1);
	assert_int_equal(column, 1);
	amon_source_position(source, 6, &line, &column);
	assert_int_equal(line, 3);
	assert_int_equal(column, 2);
	amon_source_position(source, 8, &line, &column);
	assert_int_equal(line, 4);
	assert_int_equal(column, 1);
	assert_memory_equal(amon_source_line(source, 1, &length), "ab", 2);
	assert_int_equal(length, 2);
	amon_source_line(source, 2, &length);
	assert_int_equal(length, 0);
}

static int read_of_size(struct amon_arena *arena, size_t size, struct amon_source **source)
{
	char path[] = "/tmp/amon-source-XXXXXX";
	int fd = mkstemp(path);
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)size), 0);
	close(fd);
	int error = amon_source_read(arena, path, source);
	unlink(path);
	return error;
}

static void test_read(void **state)
{
	struct fixture *fixture = *state;
	struct amon_source *source;
	assert_int_equal(amon_source_read(fixture->arena, "/", &source), -EISDIR);
	assert_null(source);
	assert_int_equal(amon_source_read(fixture->arena, "/nonexistent/a.amon", &source), -ENOENT);
	assert_int_equal(read_of_size(fixture->arena, AMON_SOURCE_MAX + 1, &source), -EFBIG);
	assert_null(source);
	assert_int_equal(read_of_size(fixture->arena, AMON_SOURCE_MAX, &source), 0);
	assert_int_equal(source->length, 1024 * 1024);
	assert_int_equal(read_of_size(fixture->arena, 0, &source), 0);
	assert_int_equal(source->length, 0);
	assert_int_equal(source->line_count, 1);
}

static void test_arena(void **state)
{
	struct fixture *fixture = *state;
	char *small = amon_arena_alloc(fixture->arena, 3);
	char *large = amon_arena_alloc(fixture->arena, 1 << 20);
	char *other = amon_arena_alloc(fixture->arena, 3);
	memset(small, 1, 3);
	memset(large, 2, 1 << 20);
	assert_memory_equal(other, "\0\0\0", 3);
	assert_int_equal((uintptr_t)small % _Alignof(max_align_t), 0);
	assert_int_equal((uintptr_t)large % _Alignof(max_align_t), 0);
	assert_int_equal((uintptr_t)other % _Alignof(max_align_t), 0);
	assert_string_equal(amon_arena_copy(fixture->arena, "abc", 2), "ab");
	assert_string_equal(amon_arena_printf(fixture->arena, "%d-%s", 7, "x"), "7-x");
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_print),     TEST(test_order),     TEST(test_hostile_line), TEST(test_end_of_text),
		TEST(test_long_line), TEST(test_too_many),  TEST(test_color),        TEST(test_json),
		TEST(test_closest),   TEST(test_positions), TEST(test_read),         TEST(test_arena),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
