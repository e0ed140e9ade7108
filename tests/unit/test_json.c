/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <errno.h>
#include <jansson.h>

#include "filled.h"

static void test_whole(void **state)
{
	static const char expected[] =
	        "{\"probe\":\"sample\",\"interface\":\"eth0\","
	        "\"window\":{\"sequence\":1,\"start\":\"2026-01-01T00:00:00.000000000Z\","
	        "\"end\":\"2026-01-01T00:00:10.000000000Z\"},"
	        "\"ingress\":{\"hooks\":[{\"direction\":\"ingress\",\"type\":\"xdp\",\"mode\":\"native\"}],"
	        "\"metrics\":{\"packets\":12,\"bytes\":900,\"smallest\":null,\"spread\":null,"
	        "\"sizes\":{\"count\":12,\"sum\":900,\"buckets\":[{\"le\":64,\"count\":3},{\"le\":null,\"count\":9}]},"
	        "\"gaps\":{\"count\":0,\"sum\":0.0,\"buckets\":[]},\"mean_size\":75.0},"
	        "\"tables\":{\"flows\":{\"rows\":["
	        "{\"net.src\":\"10.0.0.1\",\"port\":80,\"packets\":5,\"bytes\":450,\"lowest\":64,"
	        "\"start\":\"2026-01-01T00:00:00.000000001Z\",\"via\":\"02:00:00:00:00:01\",\"share\":0.5,\"rate\":360."
	        "0},"
	        "{\"net.src\":\"10.0.0.2\",\"port\":80,\"packets\":5,\"bytes\":300,\"lowest\":64,"
	        "\"start\":\"2026-01-01T00:00:00.000000001Z\",\"via\":\"02:00:00:00:00:02\","
	        "\"share\":0.3333333333333333,\"rate\":240.0}],"
	        "\"other\":null,"
	        "\"rest\":{\"packets\":1,\"bytes\":90,\"lowest\":64,\"start\":\"2026-01-01T00:00:00.000000001Z\","
	        "\"via\":\"02:00:00:00:00:03\",\"share\":0.1,\"rate\":72.0}}},"
	        "\"ledger\":{\"seen\":{\"packets\":13,\"bytes\":960},\"selected\":{\"packets\":12,\"bytes\":900},"
	        "\"malformed\":{\"ip_truncated\":{\"packets\":1,\"bytes\":60}},"
	        "\"tables\":{\"flows\":{\"selected\":{\"packets\":12,\"bytes\":900},"
	        "\"in_rows\":{\"packets\":11,\"bytes\":840},\"other\":{\"packets\":0,\"bytes\":0},"
	        "\"unaccounted\":{\"full\":{\"packets\":1,\"bytes\":60}}}}}},"
	        "\"metrics\":{\"all\":24}}\n";
	static const struct amon_attached_hook hook = { AMON_HOOK_XDP, AMON_XDP_NATIVE };
	struct fixture *fixture = *state;

	fixture->document->interface = "eth0";
	fixture->document->hooks = &hook;
	fixture->document->hook_count = 1;
	assert_string_equal(text_of(fixture, "jsonl", NULL), expected);
}

/* The same document, but with lines; an independent parser reads both alike. */
static void test_pretty(void **state)
{
	struct fixture *fixture = *state;
	const char *pretty = text_of(fixture, "json", NULL);
	json_t *a = json_loads(pretty, JSON_REJECT_DUPLICATES, NULL);
	json_t *b = json_loads(text_of(fixture, "jsonl", NULL), JSON_REJECT_DUPLICATES, NULL);

	assert_non_null(a);
	assert_true(json_equal(a, b));
	json_decref(a);
	json_decref(b);
	assert_non_null(strstr(pretty, "{\n  \"probe\": \"sample\",\n  \"window\": {\n    \"sequence\": 1,"));
	assert_non_null(strstr(pretty, "\"buckets\": []"));
	assert_non_null(strstr(pretty, "\n  }\n}\n"));
}

static void test_replay(void **state)
{
	const char *text = text_of(*state, "jsonl", NULL);

	assert_null(strstr(text, "interface"));
	assert_non_null(strstr(text, "\"hooks\":[{\"direction\":\"ingress\",\"type\":\"xdp\"}]"));
}

/* `ingress` alone may have become TC, and TC has no mode. */
static void test_hooks(void **state)
{
	static const struct amon_attached_hook hooks[] = { { AMON_HOOK_TC_EGRESS, 0 }, { AMON_HOOK_TC_INGRESS, 0 } };
	struct fixture *fixture = *state;

	fixture->exports->sections[0].hooks[1].kind = AMON_HOOK_TC_EGRESS;
	fixture->exports->sections[0].hook_count = 2;
	fixture->document->hooks = hooks;
	fixture->document->hook_count = 2;
	assert_non_null(strstr(text_of(fixture, "jsonl", NULL),
	                       "\"hooks\":[{\"direction\":\"ingress\",\"type\":\"tc\"},"
	                       "{\"direction\":\"egress\",\"type\":\"tc\"}]"));
}

static void set_cell(struct fixture *fixture, struct amon_cell cell)
{
	fixture->document->cells[0] = cell;
}

static void assert_cell(struct fixture *fixture, struct amon_cell cell, const char *expected)
{
	char member[256];

	set_cell(fixture, cell);
	snprintf(member, sizeof(member), "\"metrics\":{\"all\":%s}}\n", expected);
	if (!strstr(text_of(fixture, "jsonl", NULL), member))
		fail_msg("%s is not in %s", member, text_of(fixture, "jsonl", NULL));
}

static struct amon_cell real(double number)
{
	return (struct amon_cell){ .kind = AMON_CELL_REAL, .real = number };
}

static void test_numbers(void **state)
{
	struct fixture *f = *state;

	assert_cell(f, (struct amon_cell){ .kind = AMON_CELL_UNSIGNED, .natural = UINT64_MAX }, "18446744073709551615");
	assert_cell(f, (struct amon_cell){ .kind = AMON_CELL_SIGNED, .integer = INT64_MIN }, "-9223372036854775808");
	assert_cell(f, (struct amon_cell){ .kind = AMON_CELL_BOOL, .boolean = true }, "true");
	assert_cell(f, (struct amon_cell){ .kind = AMON_CELL_NULL }, "null");
	assert_cell(f, real(0.1), "0.1");
	assert_cell(f, real(0.1 + 0.2), "0.30000000000000004");
	assert_cell(f, real(5), "5.0");
	assert_cell(f, real(-0.0), "-0.0");
	assert_cell(f, real(1e300), "1e+300");
	assert_cell(f, real(5e-324), "4.94065645841247e-324");
	assert_cell(f, real(9007199254740993.0), "9007199254740992.0");
}

static struct amon_cell address(enum amon_address_family family, uint8_t first, uint8_t last, uint8_t prefix)
{
	struct amon_cell cell = { .kind = AMON_CELL_ADDRESS };

	cell.address.family = family;
	cell.address.bytes[0] = first;
	cell.address.bytes[15] = last;
	cell.address.prefix = prefix;
	cell.address.has_prefix = prefix;
	return cell;
}

static void test_addresses(void **state)
{
	struct fixture *f = *state;

	assert_cell(f, address(AMON_ADDRESS_IPV4, 10, 0, 24), "\"10.0.0.0/24\"");
	assert_cell(f, address(AMON_ADDRESS_IPV6, 0xfc, 1, 0), "\"fc00::1\"");
	assert_cell(f, address(AMON_ADDRESS_IPV6, 0xfc, 0, 48), "\"fc00::/48\"");
	assert_cell(f, address(AMON_ADDRESS_MAC, 0xfe, 0, 24), "\"fe:00:00:00:00:00/24\"");
}

/* Every real reads back as it was. */
static void test_round_trip(void **state)
{
	char text[AMON_TEXT_MAX];

	(void)state;
	srandom(11);
	for (int i = 0; i < 100000; i++) {
		uint64_t bits = (uint64_t)random() << 42 ^ (uint64_t)random() << 21 ^ (uint64_t)random();
		double number;

		memcpy(&number, &bits, sizeof(number));
		if (!__builtin_isfinite(number))
			continue;
		amon_real_text(number, text);
		assert_true(strtod(text, NULL) == number);
		assert_true(strlen(text) <= 25);
	}
}

static void test_strings(void **state)
{
	struct fixture *fixture = *state;

	fixture->document->interface = "a\"b\\c\n\x01\x7f \xc3\xa9 \xff";
	assert_non_null(strstr(text_of(fixture, "jsonl", NULL),
	                       "\"interface\":\"a\\\"b\\\\c\\u000a\\u0001\\u007f \xc3\xa9 \\ufffd\""));
}

static void test_edges(void **state)
{
	struct fixture *fixture = *state;
	struct amon_bucket_cell buckets[] = { { .le = (uint64_t)-5, .count = 1 }, { .le = 1ULL << 63, .count = 2 } };
	struct amon_cell sum = { .kind = AMON_CELL_SIGNED, .integer = -4 };
	struct amon_histogram_cell histogram = {
		.count = 1, .sum = &sum, .is_signed = true, .bucket_count = 1, .buckets = buckets
	};
	struct amon_cell cell = { .kind = AMON_CELL_HISTOGRAM, .histogram = &histogram };

	assert_cell(fixture, cell, "{\"count\":1,\"sum\":-4,\"buckets\":[{\"le\":-5,\"count\":1}]}");
	histogram.is_signed = false;
	histogram.buckets = &buckets[1];
	assert_cell(fixture, cell, "{\"count\":1,\"sum\":-4,\"buckets\":[{\"le\":9223372036854775808,\"count\":2}]}");
}

static void test_no_tables(void **state)
{
	struct fixture *fixture = *state;
	const char *text;

	fixture->exports->sections[0].table_count = 0;
	fixture->exports->sections[0].column_count = 0;
	fixture->exports->column_count = 0;
	text = text_of(fixture, "jsonl", NULL);
	assert_null(strstr(text, "tables"));
	assert_null(strstr(text, "metrics"));
}

static void test_full_disk(void **state)
{
	struct fixture *fixture = *state;

	for (const struct amon_format *format = amon_formats; format->name; format++) {
		FILE *full = fopen("/dev/full", "w");

		assert_non_null(full);
		assert_int_equal(format->write(fixture->document, full, NULL), -ENOSPC);
		fclose(full);
	}
	assert_null(amon_format_find("yaml"));
}

/* --- the table, for people */

static void test_table(void **state)
{
	static const char expected[] = "sample, window 1: 2026-01-01T00:00:00.000Z to 2026-01-01T00:00:10.000Z\n"
	                               "\n"
	                               "ingress (xdp)\n"
	                               "  13 packets (960 bytes) seen, 12 (900) selected\n"
	                               "  malformed, ip_truncated: 1 packets, 60 bytes\n"
	                               "  not in flows, full: 1 packets, 60 bytes\n"
	                               "  packets    12\n"
	                               "  bytes      900 bytes\n"
	                               "  smallest   -\n"
	                               "  spread     -\n"
	                               "  sizes      12, sum 900 bytes\n"
	                               "              ≤ 64  3  ████████\n"
	                               "             above  9  ████████████████████████\n"
	                               "  gaps       0, sum 0 seconds\n"
	                               "  mean_size  75 bytes\n"
	                               "\n"
	                               "flows: 2 rows\n"
	                               "  net.src   port  packets  bytes\n"
	                               "                           bytes\n"
	                               "  10.0.0.1    80        5    450\n"
	                               "  10.0.0.2    80        5    300\n"
	                               "  rest (1)              1     90\n"
	                               "  not shown for want of width: lowest, start, via, share, rate\n"
	                               "\n"
	                               "  all  24\n"
	                               "\n";
	const struct amon_format_options narrow = { .width = 36 };

	assert_string_equal(text_of(*state, "table", &narrow), expected);
}

static void test_table_width(void **state)
{
	struct fixture *fixture = *state;
	char *text, *line, *rest = NULL;

	for (unsigned int width = 30; width < 160; width++) {
		const struct amon_format_options options = { .width = width };
		bool grid = false;

		text = text_of(fixture, "table", &options);
		for (line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
			if (strstr(line, "not shown"))
				grid = false;
			assert_true(!grid || strlen(line) <= width);
			grid |= !strcmp(line, "flows: 2 rows");
		}
	}
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_whole),
		TEST(test_pretty),
		TEST(test_replay),
		TEST(test_hooks),
		TEST(test_numbers),
		TEST(test_addresses),
		cmocka_unit_test(test_round_trip),
		TEST(test_strings),
		TEST(test_edges),
		TEST(test_no_tables),
		TEST(test_full_disk),
		TEST(test_table),
		TEST(test_table_width),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
