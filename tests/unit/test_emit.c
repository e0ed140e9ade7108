/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "compiler/arena.h"
#include "compiler/diagnostic.h"
#include "compiler/plan.h"
#include "specs.h"

/* What a packet must not pay for in the C: a clock that nobody needs or that was read before, headers that were parsed
 * before, conditions that were asked before. */

static const char *emit(struct amon_arena *arena, const char *spec)
{
	struct amon_check_options options = { .define_count = 0 };
	struct amon_diagnostics diagnostics;
	struct amon_lines lines;
	struct amon_plan *plan;
	struct amon_file *file;

	amon_diagnostics_init(&diagnostics, arena);
	file = amon_parse(arena, amon_source_from_text(arena, "test.amon", spec, strlen(spec)), &diagnostics);
	plan = amon_plan(arena, amon_check(arena, file, &options, &diagnostics), &diagnostics);
	assert_non_null(plan);
	return amon_emit(plan, &lines);
}

static unsigned int count(const char *c, const char *text)
{
	unsigned int found = 0;

	for (; (c = strstr(c, text)); c += strlen(text))
		found++;
	return found;
}

/* In this order. */
static void assert_order(const char *c, const char *first, const char *second)
{
	const char *at = strstr(c, first);

	if (!at || !strstr(at, second))
		fail_msg("`%s` is not followed by `%s`", first, second);
}

#define EXACT  "bpf_ktime_get_ns()"
#define COARSE "bpf_ktime_get_coarse_ns()"

static void test_no_clock_is_read_twice(void **state)
{
	static const struct {
		const char *spec;
		unsigned int exact, coarse;
	} cases[] = {
		{ "probe p { window 1s; ingress { metric a = count(); table t by flow { metric n = count(); } } }", 0,
		  0 },
		{ "probe p { ingress { metric a = last(frame.time); metric b = max(frame.time) where tcp; metric d = "
		  "mean(delta(frame.time)); table t by flow { metric c = first(net.len); } } }",
		  1, 0 },
		{ "probe p { clock coarse; ingress { metric a = last(frame.time); table t by flow { metric c = "
		  "first(net.len); } } }",
		  0, 1 },
		{ "probe p { ingress tc { metric a = last(frame.time); } ingress xdp as b { clock coarse; metric a = "
		  "last(frame.time); } }",
		  1, 1 },
		{ "probe p { ingress tc { metric a = count(); } ingress xdp as b { clock coarse; metric a = "
		  "last(frame.time); } }",
		  0, 1 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		__attribute__((cleanup(amon_arena_cleanup))) struct amon_arena *arena = amon_arena_new();
		const char *c = emit(arena, cases[i].spec);

		assert_int_equal(count(c, EXACT), cases[i].exact);
		assert_int_equal(count(c, COARSE), cases[i].coarse);
		/* and only where it has not been read */
		assert_int_equal(count(c, "if (!p->time)\n") + count(c, "if (!p->coarse_time)\n"),
		                 cases[i].exact + cases[i].coarse);
	}
}

static void test_no_clock_is_read_for_nothing(void **state)
{
	__attribute__((cleanup(amon_arena_cleanup))) struct amon_arena *arena = amon_arena_new();
	static const char read[] = "\tread_time(p);";
	const char *c;

	(void)state;
	/* behind the section's `where` */
	c = emit(arena, "probe p { ingress xdp { where tcp; metric a = last(frame.time); } }");
	assert_order(c, "if (!(p->layers & TCP))", read);
	assert_int_equal(count(c, read), 1);
	/* but for one that asks for the time */
	c = emit(arena, "probe p { ingress xdp { where delta(frame.time) > 1ms; metric a = count(); } }");
	assert_order(c, read, "/* where delta(frame.time) > 1ms */");
	/* behind a table's `where` and its key */
	c = emit(arena,
	         "probe p { ingress xdp { metric n = count(); table t by tcp.dstport where net.ttl == 9 { metric a "
	         "= last(frame.time); } } }");
	assert_order(c, "p->net_ttl == 9", "t_no_key, 1, p->frame_len);");
	assert_order(c, "t_no_key, 1, p->frame_len);", read);
	assert_int_equal(count(c, read), 1);
	/* in the metric that alone needs it */
	c = emit(arena,
	         "probe p { ingress xdp { metric n = count(); metric a = last(frame.time) where tcp.flags.syn; } }");
	assert_order(c, "p->tcp_flags & 0x002", "\t\tread_time(p);");
	assert_int_equal(count(c, read), 1);
	/* once for the section and its tables */
	c = emit(arena, "probe p { ingress xdp { metric a = last(frame.time); table t by ip.src { metric b = "
	                "first(frame.time); metric c = last(ip.ttl) where tcp; } } }");
	assert_int_equal(count(c, read), 1);
}

static void test_sections_share_one_parse(void **state)
{
	__attribute__((cleanup(amon_arena_cleanup))) struct amon_arena *arena = amon_arena_new();
	const char *c = emit(
	        arena, "probe p { ingress tc as a { where tcp; metric n = count(); } ingress tc as b { where udp; "
	               "metric n = sum(l4.len); } ingress tc as d { table t by net.src { metric n = count(); } } }");

	(void)state;
	assert_int_equal(count(c, "= parse_skb(skb, p);"), 1);
	assert_int_equal(count(c, "\tcount_a(p);"), 1);
	assert_int_equal(count(c, "\tcount_b(p);"), 1);
	assert_int_equal(count(c, "\tcount_d(p);"), 1);
}

static void test_a_condition_is_asked_once(void **state)
{
	static const struct {
		const char *one, *several, *field;
	} cases[] = {
		{ "metric a = count() where tcp.dstport in {80, 443};",
		  "metric a = count() where tcp.dstport in {80, 443}; metric b = count(); metric c = sum(frame.len) "
		  "where "
		  "tcp.dstport in {80, 443}; metric d = max(frame.len) where tcp.dstport in {80, 443};",
		  "p->tcp_dstport" },
		{ "table t by net.src { metric a = count() where udp.payload[0:2] == 7; }",
		  "table t by net.src { metric a = count() where udp.payload[0:2] == 7; metric b = first(frame.len) "
		  "where "
		  "udp.payload[0:2] == 7; }",
		  "p->udp_payload_0_2 " },
		{ "let web = tcp.flags.syn and net.ttl < 9; metric a = count() where web;",
		  "let web = tcp.flags.syn and net.ttl < 9; metric a = count() where web; metric b = "
		  "histogram(frame.len, log2) "
		  "where web;",
		  "p->net_ttl" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		for (int hook = 0; hook < 2; hook++) {
			__attribute__((cleanup(amon_arena_cleanup))) struct amon_arena *arena = amon_arena_new();
			static const char *const sections[] = { "xdp", "tc" };
			const char *one =
			        amon_arena_printf(arena, "probe p { ingress %s { %s } }", sections[hook], cases[i].one);
			const char *several = amon_arena_printf(arena, "probe p { ingress %s { %s } }", sections[hook],
			                                        cases[i].several);

			assert_true(count(emit(arena, one), cases[i].field) > 0);
			assert_int_equal(count(emit(arena, several), cases[i].field),
			                 count(emit(arena, one), cases[i].field));
		}
}

static void reads_clocks_once(const char *text, void *data)
{
	__attribute__((cleanup(amon_arena_cleanup))) struct amon_arena *arena = amon_arena_new();
	const char *c = emit(arena, text);

	(void)data;
	assert_true(count(c, EXACT) <= 1 && count(c, COARSE) <= 1);
	assert_true(count(c, "= parse_xdp(xdp, p);") <= 1);
	assert_true(count(c, "= parse_skb(skb, p);") <= 2); /* ingress, egress */
}

/* All that we have keeps to it. */
static void test_every_spec_reads_clocks_once(void **state)
{
	(void)state;
	for_each_spec(reads_clocks_once, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_no_clock_is_read_twice),
		cmocka_unit_test(test_no_clock_is_read_for_nothing),
		cmocka_unit_test(test_sections_share_one_parse),
		cmocka_unit_test(test_a_condition_is_asked_once),
		cmocka_unit_test(test_every_spec_reads_clocks_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
