// SPDX-License-Identifier: Apache-2.0
/*
 * From a verifier's log to the spec: the reason is found in logs of old and new kernels, and each line of C leads to
 * the statement that it was made for. The logs are those of Linux 6.1 and 6.18, shortened.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "compiler/arena.h"
#include "compiler/diagnostic.h"
#include "compiler/plan.h"
#include "runtime/refusal.h"

/* The log */

static void reads_the_reason(void **state)
{
	static const char log[] = "prog 'amon_tc_egress': -- BEGIN PROG LOAD LOG --\n"
	                          "0: R1=ctx() R10=fp0\n"
	                          "; p->weight = 1; @ p.bpf.c:40\n"
	                          "0: (b7) r0 = 1    ; R0_w=1\n"
	                          "processed 1 insns (limit 1000000) max_states_per_insn 0\n"
	                          "prog 'amon_xdp': -- BEGIN PROG LOAD LOG --\n"
	                          "Func#1 ('parse_xdp') is global and assumed valid.\n"
	                          "; void f(void); /* me @ home */ @ p.bpf.c:512\n"
	                          "12: (79) r1 = *(u64 *)(r2 +8)\n"
	                          "invalid access to map value, value_size=8 off=8 size=8\n"
	                          "R2 max value is outside of the allowed memory range\n"
	                          "processed 13 insns (limit 1000000) max_states_per_insn 0\n";
	struct amon_refusal refusal;

	(void)state;
	amon_refusal_read(log, &refusal);
	assert_string_equal(refusal.reason, "invalid access to map value, value_size=8 off=8 size=8; "
	                                    "R2 max value is outside of the allowed memory range");
	assert_string_equal(refusal.program, "amon_xdp");
	assert_string_equal(refusal.function, "");
	assert_int_equal(refusal.note_count, 1);
	assert_int_equal(refusal.notes[0].line, 512);
	assert_int_equal(refusal.notes[0].length, strlen("void f(void); /* me @ home */"));
	assert_memory_equal(refusal.notes[0].text, "void f(", 7);
}

/* A line between two others that reads as a reason is none where the verifier goes on. */
static void keeps_the_last_reason(void **state)
{
	struct amon_refusal refusal;

	(void)state;
	amon_refusal_read("something new that kernels say\n1: (95) exit\nR0 !read_ok\nprocessed 2 insns\n", &refusal);
	assert_string_equal(refusal.reason, "R0 !read_ok");
	amon_refusal_read("1: (95) exit\nprocessed 2 insns\n", &refusal);
	assert_string_equal(refusal.reason, "");
	amon_refusal_read("", &refusal);
	assert_string_equal(refusal.reason, "");
}

static void reads_functions_and_limits(void **state)
{
	struct amon_refusal refusal;

	(void)state;
	amon_refusal_read("; a @ p.bpf.c:9\n0: (95) exit\nValidating tcp_part() func#3...\n; b @ p.bpf.c:8\n"
	                  "7: R1=ctx()\nBPF program is too large. Processed 1000001 insn\nprocessed 1000001 insns\n",
	                  &refusal);
	assert_string_equal(refusal.reason, "BPF program is too large. Processed 1000001 insn");
	assert_string_equal(refusal.function, "tcp_part");
	assert_int_equal(refusal.note_count, 0);
}

static void keeps_the_newest_notes(void **state)
{
	char log[2000] = "", line[40];
	struct amon_refusal refusal;

	(void)state;
	for (int i = 1; i <= AMON_REFUSAL_NOTES + 5; i++) {
		snprintf(line, sizeof(line), "; x%d @ p.bpf.c:%d\n%d: (95) exit\n", i, i, i);
		strcat(log, line);
	}
	amon_refusal_read(strcat(log, "R0 !read_ok\n"), &refusal);
	assert_int_equal(refusal.note_count, AMON_REFUSAL_NOTES);
	assert_int_equal(refusal.notes[0].line, AMON_REFUSAL_NOTES + 5);
	assert_int_equal(refusal.notes[AMON_REFUSAL_NOTES - 1].line, 6);
}

/* The C */

static const char c[] = "int used(int x);\n"           /* 1 */
                        "\n"                           /* 2 */
                        "/* f(x) */\n"                 /* 3 */
                        "static inline int f(int x)\n" /* 4 */
                        "{\n"                          /* 5 */
                        "\tif (!x)\n"                  /* 6 */
                        "\t\treturn 0;\n"              /* 7 */
                        "\treturn used(x);\n"          /* 8 */
                        "}\n"                          /* 9 */
                        "SEC(\"tc\")\n"                /* 10 */
                        "int used(int x)\n"            /* 11 */
                        "{\n"                          /* 12 */
                        "\tif (!x)\n"                  /* 13 */
                        "\t\treturn 1;\n"              /* 14 */
                        "}\n";

static uint32_t line_of_old_note(const char *log)
{
	struct amon_refusal refusal;

	amon_refusal_read(log, &refusal);
	assert_int_equal(refusal.notes[0].line, 0);
	return amon_refusal_line(refusal.notes, c);
}

/* Linux 6.1 quotes lines of C without their numbers. */
static void finds_lines_by_their_text(void **state)
{
	(void)state;
	assert_int_equal(line_of_old_note("; return 1;\n0: (95) exit\nR0 !read_ok\n"), 14);
	assert_int_equal(line_of_old_note("; if (!x)\n0: (95) exit\nR0 !read_ok\n"), 0);
	assert_int_equal(line_of_old_note("; gone\n0: (95) exit\nR0 !read_ok\n"), 0);
}

static void finds_functions(void **state)
{
	char name[64];

	(void)state;
	amon_refusal_function(c, 8, name);
	assert_string_equal(name, "f");
	amon_refusal_function(c, 13, name);
	assert_string_equal(name, "used");
	amon_refusal_function(c, 2, name);
	assert_string_equal(name, "");
	assert_int_equal(amon_refusal_find(c, "used"), 11);
	assert_int_equal(amon_refusal_find(c, "nothing"), 0);
}

/* From C to the spec */

static const char spec[] = "probe p {\n"                                     /* 1 */
                           "    ingress xdp {\n"                             /* 2 */
                           "        metric packets = count();\n"             /* 3 */
                           "        table a by net.src where tcp {\n"        /* 4 */
                           "            metric packets = count();\n"         /* 5 */
                           "        }\n"                                     /* 6 */
                           "        table b by k = ip.ttl / 2 where udp {\n" /* 7 */
                           "            metric packets = count();\n"         /* 8 */
                           "        }\n"                                     /* 9 */
                           "    }\n"
                           "}\n";

/* The line of the spec for the first line of C that holds `text`, behind one that holds `behind`; 0: none. */
static uint32_t spec_line(struct amon_arena *arena, const char *behind, const char *text)
{
	const struct amon_source *source = amon_source_from_text(arena, "p.amon", spec, strlen(spec));
	struct amon_check_options options = { .defines = NULL };
	struct amon_diagnostics diagnostics;
	struct amon_lines lines, read;
	const char *made, *at, *name;
	uint32_t line = 1, place, column;
	struct amon_span span;

	amon_diagnostics_init(&diagnostics, arena);
	made = amon_emit(amon_plan(arena,
	                           amon_check(arena, amon_parse(arena, source, &diagnostics), &options, &diagnostics),
	                           &diagnostics),
	                 &lines);
	at = amon_lines_encode(arena, "p.amon", &lines);
	assert_int_equal(amon_lines_decode(arena, at, strlen(at), &name, &read), 0);
	assert_string_equal(name, "p.amon");
	at = strstr(strstr(made, behind), text);
	assert_non_null(at);
	for (const char *end = made; (end = strchr(end, '\n')) && end < at; end++)
		line++;
	span = amon_lines_find(&read, source, line);
	if (!span.source)
		return 0;
	amon_source_position(source, span.start, &place, &column);
	return place;
}

static void leads_to_the_spec(void **state)
{
	struct amon_arena *arena = amon_arena_new();

	(void)state;
	assert_int_equal(spec_line(arena, "void count_ingress(", "m->packets++"), 3);
	assert_int_equal(spec_line(arena, "void count_ingress_a", "row->packets++"), 5);
	assert_int_equal(spec_line(arena, "void count_ingress_b", "row->packets++"), 8);
	assert_int_equal(spec_line(arena, "void count_ingress_b", "ip_ttl"), 7);
	assert_int_equal(spec_line(arena, "void count_ingress_b", "\tspill(&"), 7);
	assert_int_equal(spec_line(arena, "void count_ingress(", "m->seen"), 2);
	assert_int_equal(spec_line(arena, "void count_ingress(", "count_ingress_b(p"), 2);
	assert_int_equal(spec_line(arena, "__u32 tcp(", "TCP_TRUNCATED"), 0);
	assert_int_equal(spec_line(arena, "int amon_xdp(", "return XDP_PASS"), 0);
	amon_arena_free(arena);
}

static void refuses_what_is_no_table(void **state)
{
	static const char *const texts[] = {
		"", "p.amon", "p.amon\nx\n", "p.amon\n1 2\n", "p.amon\n2 0 1\n1 0 1\n", "p.amon\n1 5 4\n"
	};
	struct amon_arena *arena = amon_arena_new();
	const struct amon_source *source = amon_source_from_text(arena, "p.amon", "four", 4);
	struct amon_lines lines;
	const char *name;

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		assert_int_equal(amon_lines_decode(arena, texts[i], strlen(texts[i]), &name, &lines), -EINVAL);
	assert_int_equal(amon_lines_decode(arena, "p.amon\n1 0 5\n", 13, &name, &lines), 0);
	assert_null(amon_lines_find(&lines, source, 1).source);
	amon_arena_free(arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_the_reason),           cmocka_unit_test(keeps_the_last_reason),
		cmocka_unit_test(reads_functions_and_limits), cmocka_unit_test(keeps_the_newest_notes),
		cmocka_unit_test(finds_lines_by_their_text),  cmocka_unit_test(finds_functions),
		cmocka_unit_test(leads_to_the_spec),          cmocka_unit_test(refuses_what_is_no_table),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
