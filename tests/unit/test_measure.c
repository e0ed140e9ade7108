/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "compiler/features.h"
#include "compiler/frames.h"
#include "kernel_fixture.h"
#include "runtime/measure.h"
#include "specs.h"

/* --- leaving out: the C is that of a spec that was written without the feature */

static struct amon_probe *check_text(struct amon_arena *arena, const char *text)
{
	struct amon_check_options options = { .defines = NULL };
	struct amon_diagnostics diagnostics;
	const struct amon_source *source = amon_source_from_text(arena, "test.amon", text, strlen(text));

	amon_diagnostics_init(&diagnostics, arena);
	return amon_check(arena, amon_parse(arena, source, &diagnostics), &options, &diagnostics);
}

static struct amon_plan *plan_of(struct amon_arena *arena, const struct amon_probe *probe)
{
	struct amon_diagnostics diagnostics;

	amon_diagnostics_init(&diagnostics, arena);
	return amon_plan(arena, probe, &diagnostics);
}

static const char *emit(struct amon_arena *arena, const struct amon_probe *probe)
{
	struct amon_plan *plan = plan_of(arena, probe);
	struct amon_lines lines;

	return plan ? amon_emit(plan, &lines) : NULL;
}

/* The feature that bears the name; AMON_FEATURES_ALL for none. */
static uint32_t feature_named(const struct amon_probe *probe, const char *name)
{
	for (uint32_t i = 0; name && i < amon_feature_count(probe); i++) {
		struct amon_feature feature = amon_feature_at(probe, i);

		if (!strcmp(feature.metric ? feature.metric->name : feature.table->name, name))
			return i;
	}
	assert_null(name);
	return AMON_FEATURES_ALL;
}

static const char *emit_without(struct amon_arena *arena, const char *text, const char *name)
{
	struct amon_probe *probe = check_text(arena, text);

	assert_non_null(probe);
	amon_feature_leave_out(arena, probe, feature_named(probe, name));
	return emit(arena, probe);
}

/* They quote the spec. */
static const char *without_comments(struct amon_arena *arena, const char *c)
{
	char *text = amon_arena_copy(arena, c, strlen(c)), *open, *close;

	for (char *from = text; (open = strstr(from, "/*")); from = open) {
		close = strstr(open, "*/") + 2;
		memmove(open, close, strlen(close) + 1);
	}
	return text;
}

static void test_the_rest_is_as_if_it_had_never_stood_there(void **state)
{
	static const struct {
		const char *with, *name, *without;
	} cases[] = {
		{ "probe p { ingress { metric a = count(); metric b = sum(net.len) where tcp; derive c = b / a; } }",
		  "b", "probe p { ingress { metric a = count(); } }" },
		{ "probe p { ingress { metric a = count(); table t by flow top 3 by n { metric n = count(); } } "
		  "derive twice = 2 * ingress.a; }",
		  "t", "probe p { ingress { metric a = count(); } }" },
		{ "probe p { ingress { table t by net.src having n > 1 top 3 by n { metric n = count(); "
		  "metric ttl = max(ip.ttl); derive x = n + ttl; } } }",
		  "n", "probe p { ingress { table t by net.src { metric ttl = max(ip.ttl); } } }" },
		{ "probe p { ingress tc { events e where tcp.flags.syn { net.src } metric a = count(); } }", "e",
		  "probe p { ingress tc { metric a = count(); } }" },
		/* what only the feature reads goes with it */
		{ "probe p { ingress { metric a = count(); metric gap = mean(delta(frame.time)) where ip; } }", "gap",
		  "probe p { ingress { metric a = count(); } }" },
		{ "probe p { ingress { state syns = count() where tcp.flags.syn; metric a = max(syns); "
		  "metric b = count(); } }",
		  "a", "probe p { ingress { metric b = count(); } }" },
		{ "probe p { ingress { private table asked by ip.src { state at = first(frame.time); } "
		  "metric known = count() where asked; metric b = count(); } }",
		  "known", "probe p { ingress { metric b = count(); } }" },
		{ "probe p { ingress { table t by flow { state at = first(frame.time); metric x = max(frame.time - "
		  "at); "
		  "metric n = count(); } } }",
		  "x", "probe p { ingress { table t by flow { metric n = count(); } } }" },
		/* what another reads stays */
		{ "probe p { ingress { let gap = delta(frame.time); metric a = mean(gap); metric b = max(gap); } }",
		  "a", "probe p { ingress { let gap = delta(frame.time); metric b = max(gap); } }" },
		{ "probe p { ingress { table t by ip.src { state at = first(frame.time); metric n = count(); } "
		  "metric old = count() where t.at < frame.time; } }",
		  "t",
		  "probe p { ingress { private table t by ip.src { state at = first(frame.time); } "
		  "metric old = count() where t.at < frame.time; } }" },
		/* all of them */
		{ "probe p { ingress { where ip; metric a = count(); table t by flow { metric n = count(); } } }", NULL,
		  "probe p { ingress { where ip; } }" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		__attribute__((cleanup(amon_arena_cleanup))) struct amon_arena *arena = amon_arena_new();
		const char *c = emit_without(arena, cases[i].with, cases[i].name);
		const char *wanted = emit(arena, check_text(arena, cases[i].without));

		assert_non_null(c);
		assert_non_null(wanted);
		assert_string_equal(without_comments(arena, c), without_comments(arena, wanted));
	}
}

static void test_a_fold_that_others_read_goes_on(void **state)
{
	__attribute__((cleanup(amon_arena_cleanup))) struct amon_arena *arena = amon_arena_new();
	const char *c = emit_without(arena,
	                             "probe p { ingress { metric n : u32 = 0 next n + 1; metric odd = count() "
	                             "where n & 1 == 1; } }",
	                             "n");

	(void)state;
	assert_non_null(strstr(c, "odd"));
	assert_non_null(strstr(c, "ingress_memory"));
	assert_null(strstr(emit_without(arena,
	                                "probe p { ingress { metric n : u32 = 0 next n + 1; metric all = count(); } }",
	                                "n"),
	                   "ingress_memory"));
}

static void test_features(void **state)
{
	__attribute__((cleanup(amon_arena_cleanup))) struct amon_arena *arena = amon_arena_new();
	/* neither the state, nor the private table, nor the only metric of a table */
	const struct amon_probe *probe = check_text(
	        arena,
	        "probe p { ingress { metric a = count(); state s = count(); table t by ip.src { metric b = count(); "
	        "metric c = max(s); } table u by ip.dst { metric d = count(); } private table v by ip.src { state e = "
	        "count(); } } egress { metric f = count(); events g { ip.src } } }");
	static const char *const names[] = { "a", "t", "b", "c", "u", "f", "g" };

	(void)state;
	assert_int_equal(amon_feature_count(probe), sizeof(names) / sizeof(names[0]));
	for (uint32_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		assert_int_equal(feature_named(probe, names[i]), i);
}

static void compile(const char *c)
{
	struct amon_frontend_result result;

	assert_int_equal(amon_frontend_compile("test.bpf.c", c, strlen(c), &result), 0);
	assert_int_equal(result.message_count, 0);
	amon_frontend_result_free(&result);
}

/* Every spec that we have, without each of its features, is one that compiles. (Clang sees some: it takes its time.) */
#define COMPILED_EACH 5
static void take_apart(const char *text, void *data)
{
	__attribute__((cleanup(amon_arena_cleanup))) struct amon_arena *arena = amon_arena_new();
	uint32_t count = amon_feature_count(check_text(arena, text)), *variants = data;

	for (uint32_t feature = 0; count && feature <= count; feature++) {
		struct amon_probe *probe = check_text(arena, text);
		const char *c;

		amon_feature_leave_out(arena, probe, feature < count ? feature : AMON_FEATURES_ALL);
		c = emit(arena, probe);
		assert_non_null(c);
		if (!((*variants)++ % COMPILED_EACH))
			compile(c);
	}
}

static void test_every_spec_can_be_taken_apart(void **state)
{
	uint32_t variants = 0;

	(void)state;
	for_each_spec(take_apart, &variants);
}

/* --- made traffic */

static struct amon_test_packets make_packets(struct amon_arena *arena, const char *spec)
{
	const struct amon_plan *plan = plan_of(arena, check_text(arena, spec));
	struct amon_test_packets packets = { amon_new_array(arena, struct amon_test_packet, AMON_MADE_FRAMES),
		                             AMON_MADE_FRAMES };

	for (uint32_t i = 0; i < AMON_MADE_FRAMES; i++) {
		uint8_t *bytes = amon_arena_alloc(arena, AMON_MADE_BYTES);
		struct amon_frame *frame = &packets.packets[i].frame;

		frame->length = amon_made_frame(plan, i, bytes, &frame->captured);
		packets.packets[i].bytes = bytes;
	}
	return packets;
}

static struct amon_subject subject_of(const struct fixture *f)
{
	return (struct amon_subject){ f->object.object, f->object.object_size, f->exports, false };
}

/* Conditions of all kinds, each of which some made frame meets. */
static const char reached_spec[] =
        "probe p { ingress {\n"
        "metric all = count(); metric tcp = count() where tcp; metric udp = count() where udp;\n"
        "metric icmp = count() where icmp; metric icmpv6 = count() where icmpv6; metric sctp = count() where sctp;\n"
        "metric arp = count() where arp; metric request = count() where arp.opcode == 1;\n"
        "metric target = count() where present(arp.dst.proto_ipv4);\n"
        "metric ipv6 = count() where ipv6; metric not_ip = count() where not ip;\n"
        "metric tag = count() where vlan.id == 7; metric inner = count() where vlan.inner.id in 20..30;\n"
        "metric label = count() where mpls.label == 99; metric session = count() where pppoe.session_id == 5;\n"
        "metric syn = count() where tcp.flags.syn and not tcp.flags.ack; metric urgent = count() where tcp.flags.urg;\n"
        "metric reset = count() where tcp.flags == 4; metric closed = count() where tcp.window_size_value == 0;\n"
        "metric web = count() where tcp.dstport in {80, 443, 8000..8080}; metric dns = count() where udp.dstport == "
        "53;\n"
        "metric odd = count() where 4789 == udp.dstport; metric high = count() where l4.srcport > 60000;\n"
        "metric ours = count() where net.src in {172.16.0.0/12, fc00::/7} and net.dst == 198.51.100.7;\n"
        "metric theirs = count() where ipv6.dst in 2001:db8::/32; metric mac = count() where eth.src == "
        "00:1b:21:01:02:03;\n"
        "metric ef = count() where net.dscp == 46; metric marked = count() where net.ecn == 3;\n"
        "metric ttl = count() where ip.ttl < 5; metric fragment = count() where net.fragment;\n"
        "metric long = count() where frame.len > 1000; metric short = count() where net.len <= 40;\n"
        "metric payload = count() where tcp.len >= 100; metric slice = count() where udp.payload[2:2] == 0x8180;\n"
        "metric masked = count() where udp.payload[3] & 0x0f != 0; metric echo = count() where icmp.type == 8;\n"
        "metric unreachable = count() where icmp.type == 3 and icmp.code == 4;\n"
        "metric protocol = count() where net.proto == 47; metric other = count() where eth.type == 0x88cc;\n"
        "metric hops = count() where ipv6.hopopts; metric pieces = count() where ipv6.fraghdr;\n"
        "metric either = count() where tcp.dstport == 1883 or udp.dstport == 5683;\n"
        "table flows by flow { metric n = count(); } table tags by vlan.id, vlan.priority { metric n = count(); }\n"
        "} }\n";

static uint64_t cell_number(const struct amon_cell *cell)
{
	assert_int_equal(cell->kind, AMON_CELL_UNSIGNED);
	return cell->natural;
}

static void test_made_frames_reach_every_feature(void **state)
{
	struct fixture *f = fixture_load(reached_spec, NULL, &(struct amon_load_options){ .replay = true });
	struct amon_window window = { .sequence = 1 };
	struct amon_failure failure = { .message = "" };
	struct amon_collected *collected = NULL;
	struct amon_document *document = NULL;
	struct amon_test_packets packets;
	struct amon_subject subject;
	uint32_t instructions;

	(void)state;
	if (fixture_is_skipped()) {
		fixture_free(f);
		skip();
	}
	packets = make_packets(f->arena, reached_spec);
	subject = subject_of(f);
	assert_int_equal(amon_measure_once(&subject, &packets, &instructions, &collected, &failure), 0);
	assert_int_equal(amon_document(f->exports, collected, &window, &document), 0);
	assert_int_equal(cell_number(&document->sections[0].cells[0]), AMON_MADE_FRAMES);
	for (uint32_t i = 0; i < f->exports->sections[0].column_count; i++)
		if (!cell_number(&document->sections[0].cells[i]))
			fail_msg("no frame reaches %s", f->exports->sections[0].columns[i].name);
	/* no header is cut by mistake */
	for (uint32_t i = 0; i < f->exports->sections[0].malformed_count; i++)
		assert_int_equal(
		        amon_section_packets(&document->sections[0], f->exports->sections[0].malformed[i].offset)
		                .packets,
		        0);
	assert_in_range(document->sections[0].tables[0].row_count, 500, AMON_MADE_FRAMES);
	assert_in_range(document->sections[0].tables[1].row_count, 16, AMON_MADE_FRAMES);
	amon_document_free(document);
	amon_collected_free(collected);
	fixture_free(f);
}

static void test_the_same_spec_gives_the_same_frames(void **state)
{
	__attribute__((cleanup(amon_arena_cleanup))) struct amon_arena *arena = amon_arena_new();
	struct amon_test_packets one = make_packets(arena, reached_spec), other = make_packets(arena, reached_spec);

	(void)state;
	for (uint32_t i = 0; i < one.count; i++) {
		const struct amon_frame *frame = &one.packets[i].frame;

		assert_memory_equal(frame, &other.packets[i].frame, sizeof(*frame));
		assert_memory_equal(one.packets[i].bytes, other.packets[i].bytes, AMON_MADE_BYTES);
		assert_true(frame->captured <= frame->length && frame->length >= 14);
	}
}

/* --- costs */

struct counted {
	uint32_t instructions;
	double lookups;
};

static struct counted count(const char *spec)
{
	struct fixture *f = fixture_load(spec, NULL, &(struct amon_load_options){ .replay = true });
	struct amon_failure failure = { .message = "" };
	struct amon_test_packets packets = make_packets(f->arena, spec);
	struct amon_collected *collected = NULL;
	struct amon_subject subject = subject_of(f);
	struct amon_frontend_result object;
	struct amon_lines lines;
	struct counted counted;
	const char *c = amon_arena_printf(f->arena, "%s%s", AMON_LOOKUPS_C,
	                                  amon_emit(plan_of(f->arena, check_text(f->arena, spec)), &lines));

	assert_int_equal(amon_measure_once(&subject, &packets, &counted.instructions, &collected, &failure), 0);
	amon_collected_free(collected);
	assert_int_equal(amon_frontend_compile("test.bpf.c", c, strlen(c), &object), 0);
	subject = (struct amon_subject){ object.object, object.object_size, f->exports, false };
	assert_int_equal(amon_measure_lookups(&subject, &packets, &counted.lookups, &failure), 0);
	amon_frontend_result_free(&object);
	fixture_free(f);
	return counted;
}

/* A counter is an addition; a row is a key, a look-up, and what comes of it. */
static void test_a_table_costs_more_than_a_counter(void **state)
{
	struct counted counter, two, table;

	(void)state;
	SKIP_WITHOUT_BPF();
	counter = count("probe p { ingress { metric a = count(); } }");
	two = count("probe p { ingress { metric a = count(); metric b = count() where tcp; } }");
	table = count("probe p { ingress { metric a = count(); table t by flow { metric n = count(); } } }");
	assert_true(two.instructions > counter.instructions);
	assert_true(table.instructions - counter.instructions > 50);
	/* the section's record, and the CPU's rows of the table */
	assert_true(counter.lookups == 1);
	assert_true(two.lookups == 1);
	assert_true(table.lookups > 1.9 && table.lookups <= 2);
}

/* Two hundred variances take many times as long as the noise of a busy machine. */
static void test_time(void **state)
{
	struct amon_failure failure = { .message = "" };
	struct amon_test_packets packets;
	struct amon_subject dear, empty;
	struct amon_cost cost;
	struct fixture *f;
	char *spec = NULL;
	size_t size = 0;
	FILE *text;

	(void)state;
	SKIP_WITHOUT_BPF();
	text = open_memstream(&spec, &size);
	fprintf(text, "probe p { ingress {");
	for (int i = 0; i < 200; i++)
		fprintf(text, " metric m%d = variance(frame.len * %d);", i, i);
	fprintf(text, " } }");
	fclose(text);
	f = fixture_load(spec, NULL, &(struct amon_load_options){ .replay = true });
	packets = make_packets(f->arena, spec);
	dear = empty = subject_of(f);
	empty.empty = true;
	assert_int_equal(amon_measure(&dear, &empty, &packets, &cost, &failure), 0);
	assert_true(cost.low <= cost.median && cost.median <= cost.high);
	assert_true(cost.median > 100);
	fixture_free(f);
	free(spec);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_rest_is_as_if_it_had_never_stood_there),
		cmocka_unit_test(test_a_fold_that_others_read_goes_on),
		cmocka_unit_test(test_features),
		cmocka_unit_test(test_every_spec_can_be_taken_apart),
		cmocka_unit_test(test_made_frames_reach_every_feature),
		cmocka_unit_test(test_the_same_spec_gives_the_same_frames),
		cmocka_unit_test(test_a_table_costs_more_than_a_counter),
		cmocka_unit_test(test_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
