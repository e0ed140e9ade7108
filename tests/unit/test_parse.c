/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <setjmp.h>

#include <cmocka.h>
#include <glob.h>
#include <stdlib.h>
#include <string.h>

#include "compiler/arena.h"
#include "compiler/diagnostic.h"
#include "compiler/syntax.h"

struct fixture {
	struct amon_arena *arena;
	struct amon_diagnostics diagnostics;
};

static int setup(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));
	fixture->arena = amon_arena_new();
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

typedef struct amon_file *parse_function(struct amon_arena *, const struct amon_source *, struct amon_diagnostics *);

static struct amon_file *parse_bytes(struct fixture *fixture, parse_function *parse, const char *text, size_t length)
{
	amon_diagnostics_init(&fixture->diagnostics, fixture->arena);
	return parse(fixture->arena, amon_source_from_text(fixture->arena, "t", text, length), &fixture->diagnostics);
}

static struct amon_file *parse_file(struct fixture *fixture, const char *text)
{
	return parse_bytes(fixture, amon_parse, text, strlen(text));
}

static struct amon_file *parse_fragment(struct fixture *fixture, const char *text)
{
	return parse_bytes(fixture, amon_parse_fragment, text, strlen(text));
}

static void assert_clean(const struct fixture *fixture, const char *text)
{
	if (fixture->diagnostics.errors == 0)
		return;
	amon_diagnostics_print(&fixture->diagnostics, stderr, false);
	fail_msg("errors in: %.100s", text);
}

/* --- a tree as text: every operation in parentheses */

static void show(FILE *to, const struct amon_syntax *syntax);

static void show_list(FILE *to, const char *open, const struct amon_syntax *item, const char *close)
{
	fputs(open, to);
	for (; item; item = item->next) {
		if (item->argument.text)
			fprintf(to, "%s=", item->argument.text);
		show(to, item);
		fputs(item->next ? ", " : "", to);
	}
	fputs(close, to);
}

static void show_operation(FILE *to, const struct amon_syntax *syntax)
{
	fputc('(', to);
	if (syntax->kind != AMON_SYNTAX_UNARY)
		show(to, syntax->left);
	if (syntax->kind == AMON_SYNTAX_CHOICE) {
		fputs(" ? ", to);
		show(to, syntax->middle);
		fputs(" : ", to);
	} else {
		fprintf(to, " %s ", amon_operator_text(syntax->op));
	}
	show(to, syntax->kind == AMON_SYNTAX_UNARY ? syntax->left : syntax->right);
	fputc(')', to);
}

static void show_address(FILE *to, const struct amon_address *address)
{
	static const int lengths[] = { 4, 16, 6 };
	for (int i = 0; i < lengths[address->family]; i++)
		fprintf(to, "%02x", address->bytes[i]);
	fprintf(to, "/%u%s", address->prefix, address->has_prefix ? "" : "!");
}

static void show(FILE *to, const struct amon_syntax *syntax)
{
	switch (syntax->kind) {
	case AMON_SYNTAX_INTEGER:
		fprintf(to, "%lld", (long long)syntax->integer);
		break;
	case AMON_SYNTAX_DURATION:
		fprintf(to, "%lldns", (long long)syntax->integer);
		break;
	case AMON_SYNTAX_BYTES:
		fprintf(to, "%lldB", (long long)syntax->integer);
		break;
	case AMON_SYNTAX_DECIMAL:
	case AMON_SYNTAX_PERCENT:
		fprintf(to, "%g%s", syntax->decimal, syntax->kind == AMON_SYNTAX_PERCENT ? "p" : "f");
		break;
	case AMON_SYNTAX_ADDRESS:
		show_address(to, &syntax->address);
		break;
	case AMON_SYNTAX_STRING:
		fprintf(to, "\"%s\"", syntax->text);
		break;
	case AMON_SYNTAX_NAME:
		fputs(syntax->text, to);
		break;
	case AMON_SYNTAX_CALL:
		fputs(syntax->text, to);
		show_list(to, "(", syntax->arguments, ")");
		break;
	case AMON_SYNTAX_SLICE:
		fprintf(to, "%s[%u:%u]", syntax->text, syntax->offset, syntax->width);
		break;
	case AMON_SYNTAX_LIST:
		show_list(to, "[", syntax->arguments, "]");
		break;
	case AMON_SYNTAX_SET:
		show_list(to, "{", syntax->arguments, "}");
		break;
	case AMON_SYNTAX_RANGE:
		show(to, syntax->left);
		fputs("..", to);
		show(to, syntax->right);
		break;
	case AMON_SYNTAX_UNARY:
	case AMON_SYNTAX_BINARY:
	case AMON_SYNTAX_CHOICE:
		show_operation(to, syntax);
		break;
	}
}

static void assert_shows(const struct amon_syntax *syntax, const char *expected)
{
	char *shown = NULL;
	size_t length = 0;
	FILE *to = open_memstream(&shown, &length);
	assert_non_null(syntax);
	show(to, syntax);
	fclose(to);
	assert_string_equal(shown, expected);
	free(shown);
}

static void assert_expression(struct fixture *fixture, const char *text, const char *expected)
{
	const char *spec = amon_arena_printf(fixture->arena, "let x = %s;", text);
	struct amon_file *file = parse_file(fixture, spec);
	assert_clean(fixture, text);
	assert_shows(file->statements->value, expected);
}

/* The names of all statements in the order of the text: "p(a t(b))". */
static void names(FILE *to, const struct amon_statement *statement)
{
	for (; statement; statement = statement->next) {
		fputs(statement->name.text ? statement->name.text : "-", to);
		if (statement->body) {
			fputc('(', to);
			names(to, statement->body);
			fputc(')', to);
		}
		fputs(statement->next ? " " : "", to);
	}
}

static void assert_names(const struct amon_file *file, const char *expected)
{
	char *shown = NULL;
	size_t length = 0;
	FILE *to = open_memstream(&shown, &length);
	names(to, file->statements);
	fclose(to);
	assert_string_equal(shown, expected);
	free(shown);
}

/* The one error of a text, by the offset where it stands. */
static const struct amon_diagnostic *the_error(const struct fixture *fixture, const char *text)
{
	const struct amon_diagnostic *error = fixture->diagnostics.first;
	if (fixture->diagnostics.errors != 1) {
		amon_diagnostics_print(&fixture->diagnostics, stderr, false);
		fail_msg("%u errors, not one, in: %.100s", fixture->diagnostics.errors, text);
	}
	return error;
}

static void assert_error(const struct fixture *fixture, const char *text, uint32_t offset, const char *message)
{
	const struct amon_diagnostic *error = the_error(fixture, text);
	assert_string_equal(error->message, message);
	assert_int_equal(error->span.start, offset);
}

/* --- expressions and literals */

static void test_precedence(void **state)
{
	struct fixture *fixture = *state;
	assert_expression(fixture, "a or b and not c == d", "(a or (b and ( not (c == d))))");
	assert_expression(fixture, "a & 3 == 1", "((a & 3) == 1)");
	assert_expression(fixture, "a | b ^ c & d << 1 + 2 * 3", "(a | (b ^ (c & (d << (1 + (2 * 3))))))");
	assert_expression(fixture, "a - b - c", "((a - b) - c)");
	assert_expression(fixture, "-a * ~b", "(( - a) * ( ~ b))");
	assert_expression(fixture, "a % 3 / 2", "((a % 3) / 2)");
	assert_expression(fixture, "a ? b : c ? d : e", "(a ? b : (c ? d : e))");
	assert_expression(fixture, "a ? b ? c : d : e", "(a ? (b ? c : d) : e)");
	assert_expression(fixture, "(a < b) == (c < d)", "((a < b) == (c < d))");
	assert_expression(fixture, "(a + b) * c", "((a + b) * c)");
	assert_expression(fixture, "a in {80, 443, 8000..8080} and b", "((a in {80, 443, 8000..8080}) and b)");
	assert_expression(fixture, "a in 8000..8080 or a in ours", "((a in 8000..8080) or (a in ours))");
	assert_expression(fixture, "53 in {udp.srcport, udp.dstport}", "(53 in {udp.srcport, udp.dstport})");
	assert_expression(fixture, "not present(x) and y", "(( not present(x)) and y)");
}

static void test_primaries(void **state)
{
	struct fixture *fixture = *state;
	assert_expression(fixture, "quantile(frame.len, [0.5, 0.9], error = 1%)",
	                  "quantile(frame.len, [0.5f, 0.9f], error=0.01p)");
	assert_expression(fixture, "linear(0, 1600, 100)", "linear(0, 1600, 100)");
	assert_expression(fixture, "count()", "count()");
	assert_expression(fixture, "udp.payload[8:4]", "udp.payload[8:4]");
	assert_expression(fixture, "tcp.payload[0]", "tcp.payload[0:1]");
	assert_expression(fixture, "{10.0.0.0/8}", "{0a000000/8}");
	/* Words that are reserved nowhere. */
	assert_expression(fixture, "size + top + idle + window + sample + source + map + next + unit + reset",
	                  "(((((((((size + top) + idle) + window) + sample) + source) + map) + next) + unit) + reset)");
	assert_expression(fixture, "\"a\\\"b\\\\c\\n\\t\\x41 \xc3\xa9\"", "\"a\"b\\c\n\tA \xc3\xa9\"");
}

static void test_numbers(void **state)
{
	struct fixture *fixture = *state;
	assert_expression(fixture, "[0, 10k, 64Ki, 1M, 1Mi, 2G, 1Gi]",
	                  "[0, 10000, 65536, 1000000, 1048576, 2000000000, 1073741824]");
	assert_expression(fixture, "[0x1F, 0xffff_ffff, 1_000_000, 1e6]", "[31, 4294967295, 1000000, 1000000]");
	assert_expression(fixture, "[9223372036854775807, 18446744073709551615, 0xffffffffffffffff]",
	                  "[9223372036854775807, -1, -1]");
	assert_expression(fixture, "[1.5, 1e-3, 2.5e1, 1.5k]", "[1.5f, 0.001f, 25f, 1500]");
	assert_expression(fixture, "[1%, 2.5%, 100%]", "[0.01p, 0.025p, 1p]");
	assert_expression(fixture, "[7ns, 7us, 7ms, 1.5s, 0.000000001s]",
	                  "[7ns, 7000ns, 7000000ns, 1500000000ns, 1ns]");
	assert_expression(fixture, "[2min, 1h, 1d]", "[120000000000ns, 3600000000000ns, 86400000000000ns]");
	assert_expression(fixture, "[1500B, 64KiB, 1.5KiB, 2MiB, 1GiB]",
	                  "[1500B, 65536B, 1536B, 2097152B, 1073741824B]");
	assert_expression(fixture, "[a%3, 5 % 3, 5%3]", "[(a % 3), (5 % 3), (5 % 3)]");
}

static void test_addresses(void **state)
{
	struct fixture *fixture = *state;
	assert_expression(fixture, "[10.0.0.1, 10.0.0.0/8, 0.0.0.0/0]", "[0a000001/32!, 0a000000/8, 00000000/0]");
	assert_expression(fixture, "::", "00000000000000000000000000000000/128!");
	assert_expression(fixture, "fc00::/7", "fc000000000000000000000000000000/7");
	assert_expression(fixture, "::ffff:10.0.0.1", "00000000000000000000ffff0a000001/128!");
	assert_expression(fixture, "2001:db8:0:1:2:3:4:5", "20010db8000000010002000300040005/128!");
	assert_expression(fixture, "64:ff9b::192.0.2.33/96", "0064ff9b0000000000000000c0000221/96");
	assert_expression(fixture, "[00:1b:21:0A:00:ff, 00:1b:21:00:00:00/24]", "[001b210a00ff/48!, 001b21000000/24]");
	assert_expression(fixture, "{10.0.0.1..10.0.0.9}", "{0a000001/32!..0a000009/32!}");
	/* A choice between words that could be parts of an address. */
	assert_expression(fixture, "a ? b : c", "(a ? b : c)");
	assert_expression(fixture, "a?b:c", "(a ? b : c)");
	assert_expression(fixture, "a ? ::1 : fe80::2",
	                  "(a ? 00000000000000000000000000000001/128! : fe800000000000000000000000000002/128!)");
}

static void test_wrong_literals(void **state)
{
	static const struct {
		const char *text, *message;
	} cases[] = {
		{ "5m", "`5m` could be minutes or milliseconds" },
		{ "10K", "unknown unit `K`" },
		{ "5sec", "unknown unit `sec`" },
		{ "1_", "unknown unit `_`" },
		{ "0x", "`0x` is no hexadecimal number" },
		{ "0xfg", "`0xfg` is no hexadecimal number" },
		{ "18446744073709551616", "`18446744073709551616` does not fit in 64 bits" },
		{ "0x10000000000000000", "`0x10000000000000000` does not fit in 64 bits" },
		{ "99999999999999999999999999999", "`99999999999999999999999999999` does not fit in 64 bits" },
		{ "1e999999999999", "`1e999999999999` does not fit in 64 bits" },
		{ "1.5e999", "`1.5e999` does not fit" },
		{ "9223372036854775808ns", "`9223372036854775808ns` does not fit in 64 bits" },
		{ "200000d", "`200000d` does not fit in 64 bits" },
		{ "0.5ns", "`0.5ns` is no whole number of nanoseconds" },
		{ "1.5B", "`1.5B` is no whole number of bytes" },
		{ "300.0.0.1", "`300.0.0.1` is not an IPv4 address" },
		{ "1.2.3", "`1.2.3` is not an IPv4 address" },
		{ "1.2.3.4.5", "`1.2.3.4.5` is not an IPv4 address" },
		{ "10.0.0.0/33", "a prefix of an IPv4 address has at most 32 bits" },
		{ "::/129", "a prefix of an IPv6 address has at most 128 bits" },
		{ "00:00:00:00:00:00/49", "a prefix of a MAC address has at most 48 bits" },
		{ "0:1:2:3:4:5", "`0:1:2:3:4:5` is not a MAC address" },
		{ "1:2:3:4:5:6:7", "`1:2:3:4:5:6:7` is not an IPv6 address" },
		{ "12345::", "`12345::` is not an IPv6 address" },
		{ "::10.0.0.256", "`::10.0.0.256` is not an IPv6 address" },
		{ "\"\\q\"", "unknown escape in a string" },
		{ "\"\\x00\"", "unknown escape in a string" },
		{ "\"\\xff\"", "the escapes in this string make no UTF-8 text" },
		{ "udp.payload[4294967296]", "the number is over 4294967295" },
	};
	struct fixture *fixture = *state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		const char *spec = amon_arena_printf(fixture->arena, "let x = %s; let y = 1;", cases[i].text);
		struct amon_file *file = parse_file(fixture, spec);
		assert_string_equal(the_error(fixture, spec)->message, cases[i].message);
		assert_names(file, "x y");
	}
}

/* --- statements */

static void test_statements(void **state)
{
	struct fixture *fixture = *state;
	const char *text = "import \"tcp.amon\" as tcp_features;\n"
	                   "probe p \"help\" { window 5s keep; limit memory 64MiB, series 10000; clock coarse; ;\n"
	                   "ingress tc, egress tc as edge { sample 1 in 100 scaled; use a.b, c except { d, e }; } }";
	struct amon_file *file = parse_file(fixture, text);
	assert_clean(fixture, text);
	const struct amon_statement *import = file->statements, *probe = import->next;
	assert_int_equal(import->kind, AMON_STATEMENT_IMPORT);
	assert_string_equal(import->name.text, "tcp_features");
	assert_shows(import->value, "\"tcp.amon\"");
	assert_string_equal(probe->attributes.help.text, "help");
	assert_int_equal(probe->head.end - probe->head.start, strlen("probe p \"help\""));
	assert_int_equal(probe->span.end, strlen(text));

	const struct amon_statement *window = probe->body, *limit = window->next, *clock = limit->next;
	assert_shows(window->value, "5000000000ns");
	assert_true(window->keep && !window->reset);
	assert_shows(limit->value, "[memory=67108864B, series=10000]");
	assert_string_equal(clock->word.text, "coarse");

	const struct amon_statement *section = clock->next, *sample = section->body, *use = sample->next;
	assert_string_equal(section->name.text, "edge");
	assert_false(section->hooks->egress);
	assert_string_equal(section->hooks->type.text, "tc");
	assert_null(section->hooks->mode.text);
	assert_true(section->hooks->next->egress);
	assert_null(section->hooks->next->next);
	assert_shows(sample->value, "1");
	assert_int_equal(sample->sample_in, 100);
	assert_true(sample->scaled);
	assert_string_equal(use->names->name.text, "a.b");
	assert_string_equal(use->names->next->name.text, "c");
	assert_string_equal(use->members->next->name.text, "e");
	assert_true(use->except);
}

static void test_table(void **state)
{
	struct fixture *fixture = *state;
	const char *text =
	        "private table t by net.src, dscp = net.dscp size 4Ki overflow evict having a > 1 top n by q.p99\n"
	        "expire idle 5s active 60s when tcp.flags.fin linger 1s where tcp snapshot reset \"help\"\n"
	        "{ metric a : u32 = 0 next a + 1 where forward unit packets as \"A\" ipfix 0/87; }";
	struct amon_file *file = parse_fragment(fixture, text);
	assert_clean(fixture, text);
	assert_names(file, "command_line(-(t(a)))");
	const struct amon_statement *table = file->statements->body->body;
	const struct amon_attributes *attributes = &table->attributes;
	assert_int_equal(table->kind, AMON_STATEMENT_TABLE);
	assert_true(table->is_private);
	assert_int_equal(table->span.start, 0);
	assert_null(table->keys->name.text);
	assert_shows(table->keys->value, "net.src");
	assert_string_equal(table->keys->next->name.text, "dscp");
	assert_shows(attributes->size, "4096");
	assert_string_equal(attributes->overflow.text, "evict");
	assert_shows(attributes->having, "(a > 1)");
	assert_shows(attributes->top, "n");
	assert_string_equal(attributes->top_by.text, "q.p99");
	assert_shows(attributes->idle, "5000000000ns");
	assert_shows(attributes->active, "60000000000ns");
	assert_shows(attributes->when, "tcp.flags.fin");
	assert_shows(attributes->linger, "1000000000ns");
	assert_int_equal(attributes->expire.start,
	                 strlen("private table t by net.src, dscp = net.dscp size 4Ki overflow "
	                        "evict having a > 1 top n by q.p99\n"));
	assert_shows(attributes->where, "tcp");
	assert_non_null(attributes->snapshot.text);
	assert_non_null(attributes->reset.text);

	const struct amon_statement *fold = table->body;
	assert_string_equal(fold->fold_type.text, "u32");
	assert_shows(fold->value, "0");
	assert_shows(fold->next_value, "(a + 1)");
	assert_shows(fold->attributes.where, "forward");
	assert_string_equal(fold->attributes.unit.text, "packets");
	assert_string_equal(fold->attributes.as.text, "A");
	assert_int_equal(fold->attributes.ipfix_pen, 0);
	assert_int_equal(fold->attributes.ipfix_id, 87);
}

static void test_levels_events_source(void **state)
{
	struct fixture *fixture = *state;
	const char *text = "probe p { level l when a.b > 10k for 3s until a.b < 1k for 60s { ingress {\n"
	                   "events e size 4096 where syn { net.src, port = tcp.dstport }\n"
	                   "source \"x.c\" { table t = map FLOWS snapshot reset \"h\"; metric m = map events aggregate "
	                   "sum; } } } }";
	struct amon_file *file = parse_file(fixture, text);
	assert_clean(fixture, text);
	assert_names(file, "p(l(-(e -(t m))))");
	const struct amon_statement *level = file->statements->body, *events = level->body->body,
	                            *source = events->next;
	assert_shows(level->level.when, "(a.b > 10000)");
	assert_shows(level->level.until, "(a.b < 1000)");
	assert_int_equal(level->level.when_for, 3000000000);
	assert_int_equal(level->level.until_for, 60000000000);
	assert_string_equal(events->keys->next->name.text, "port");
	assert_shows(events->attributes.size, "4096");
	assert_shows(source->value, "\"x.c\"");
	assert_int_equal(source->body->kind, AMON_STATEMENT_MAP_TABLE);
	assert_string_equal(source->body->word.text, "FLOWS");
	assert_string_equal(source->body->next->word.text, "events");
	assert_string_equal(source->body->next->attributes.aggregate.text, "sum");
}

static void test_comments(void **state)
{
	struct fixture *fixture = *state;
	struct amon_file *file = parse_file(fixture, "# one\nlet a = 1; # two\r\n#");
	assert_clean(fixture, "comments");
	assert_int_equal(file->comments->span.start, 0);
	assert_int_equal(file->comments->span.end, 5);
	assert_int_equal(file->comments->next->span.start, 17);
	assert_int_equal(file->comments->next->span.end, 22);
	assert_int_equal(file->comments->next->next->span.end, 25);
	assert_null(file->comments->next->next->next);
}

static void test_fragments(void **state)
{
	static const struct {
		const char *text, *names;
	} cases[] = {
		{ "metric p = count();", "command_line(-(p))" },
		{ "window 1s; where ip; metric p = count();", "command_line(- -(- p))" },
		{ "ingress { metric p = count(); } egress as out { }", "command_line(-(p) out)" },
		{ "window 1s; ingress { metric p = count(); } derive d = 1;", "command_line(- -(p) d)" },
		{ "import \"a\"; use f; metric p = count();", "- command_line(-(- p))" },
		{ "let a = 1; probe x { }", "a x" },
		{ "feature f { }", "f" },
	};
	struct fixture *fixture = *state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct amon_file *file = parse_fragment(fixture, cases[i].text);
		assert_clean(fixture, cases[i].text);
		assert_names(file, cases[i].names);
	}
	struct amon_file *file = parse_fragment(fixture, "metric p = count();");
	const struct amon_statement *section = file->statements->body;
	assert_int_equal(section->kind, AMON_STATEMENT_SECTION);
	assert_false(section->hooks->egress);
	assert_int_equal(section->body->span.start, 0);
	assert_int_equal(section->body->span.end, 19);
}

/* --- errors */

/* One error for one fault, in its place, and what is healthy around it is in the tree. */
static void test_recovery(void **state)
{
	static const struct {
		const char *text;
		uint32_t offset;
		const char *message, *names;
	} cases[] = {
		{ "probe p { ingress { metric a = count(; metric b = count(); } }", 37,
		  "expected an expression, not `;`", "p(-(b))" },
		{ "probe p { ingress { metirc a = count(); metric b = count(); } }", 20,
		  "a statement begins with a keyword, not with `metirc`", "p(-(b))" },
		{ "probe p { ingress { metric a = count()\nmetric b = count(); } }", 38, "`;` is missing",
		  "p(-(a b))" },
		{ "probe p { ingress { metric a = count() } egress { } }", 38, "`;` is missing", "p(-(a) -)" },
		{ "probe p { ingress { table t by ip.src sise 1 { metric a = count(); } } }", 38,
		  "expected `{` or an attribute, not `sise`", "p(-(t(a)))" },
		{ "probe p { ingress { table t by + { metric a = count(); } metric b = count(); } }", 31,
		  "expected an expression, not `+`", "p(-(b))" },
		{ "probe p { ingress tc egress { metric a = count(); } egress { } }", 21,
		  "expected `as` or `{` or `,`, not `egress`", "p(-(a) -)" },
		{ "probe p { ingress { where ip.src in {10.0.0.0/8, +} and tcp; metric b = count(); } }", 49,
		  "expected an expression, not `+`", "p(-(b))" },
		{ "probe p { ingress { where ip.src in {10.0.0.0/8; metric b = count(); } }", 47,
		  "expected `}` or `,`, not `;`", "p(-(b))" },
		{ "probe p { ingress { events e { ip.src, + } metric b = count(); } }", 39,
		  "expected an expression, not `+`", "p(-(b))" },
		{ "probe p { ingress { metric let = count(); metric b = count(); } }", 27,
		  "`let` is a reserved word, not a name", "p(-(b))" },
		{ "probe p { ingress { metric a = count(); } } }", 44, "this `}` closes nothing", "p(-(a))" },
		{ "probe p { ingress { metric a = count();", 39, "the text ends, and a `}` is missing", "p(-(a))" },
		{ "probe p { } let a = 1", 21, "`;` is missing", "p a" },
		{ "probe p { } let a =", 19, "the text ends in the middle of a statement", "p" },
		{ "probe p { ingress { metric a = count() \"x;\n metric b = count(); } }", 39,
		  "the string does not end on its line", "p(-(a b))" },
		{ "probe p { ingress { window 1s; metric b = count(); } }", 20, "a `window` cannot stand in a section",
		  "p(-(b))" },
		{ "probe p { ingress { metric a = ip.ttl; } }", 31, "a `metric` is an aggregation of packets",
		  "p(-(a))" },
		{ "probe p { ingress { metric a = count() size 5; } }", 39, "`size` cannot stand behind a `metric`",
		  "p(-(a))" },
		{ "let a = vlan.id#2 == 5;", 8, "Wireshark's layer operator `#2` is not amon's", "a" },
		{ "let a = b && c;", 10, "`&&` is written `and`", "a" },
		{ "let a = b || c;", 10, "`||` is written `or`", "a" },
		{ "let a = !b;", 8, "`!` is written `not`", "a" },
		{ "let a = b <> c;", 10, "`<>` is written `!=`", "a" },
		{ "let a = b = c;", 10, "`=` names a value; `==` compares", "a" },
		{ "let a = b < c < d;", 14, "comparisons do not chain", "a" },
		{ "let a = b in 5;", 13, "`in` asks for a set, a range, a prefix or a name of one", "a" },
		{ "let a = \xe2\x80\x9cx;", 8, "`\xe2\x80\x9c` cannot stand outside a string", "a" },
		{ "let a = 1;\x01\x02\x03", 10, "a control character in the text", "a" },
		{ "let a = 1;\xff\xfe", 10, "the text is not UTF-8", "a" },
	};
	struct fixture *fixture = *state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct amon_file *file = parse_file(fixture, cases[i].text);
		assert_error(fixture, cases[i].text, cases[i].offset, cases[i].message);
		assert_names(file, cases[i].names);
	}
}

static void test_several_errors(void **state)
{
	struct fixture *fixture = *state;
	parse_file(fixture, "probe p {\n window 5m;\n ingress { metric a = count(;\n metric b = cuont(x y); }\n egress "
	                    "{ where a <> b; }\n}");
	/* 5m; `;` in count; `y`; <> */
	assert_int_equal(fixture->diagnostics.errors, 4);
}

static void test_suggestions(void **state)
{
	static const struct {
		const char *text, *suggestion;
	} cases[] = {
		{ "probe p { ingress { metirc a = count(); } }", "did you mean `metric`?" },
		{ "probe p { ingress { metric a = count() unti bytes; } }", "did you mean `unit`?" },
		{ "let a = 5m;", "write `5min` or `5ms`" },
		{ "let a = 5sec;", "write `s`" },
		{ "let a = vlan.id#2;", "write `vlan.inner.id` for the second tag" },
		{ "let a = b < c <= d;", "`a < b <= c` is written `a < b and b <= c`" },
		{ "let a 5;", "write `let NAME = EXPRESSION;`" },
	};
	struct fixture *fixture = *state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		parse_file(fixture, cases[i].text);
		assert_string_equal(the_error(fixture, cases[i].text)->suggestion, cases[i].suggestion);
	}
}

static void test_twice(void **state)
{
	struct fixture *fixture = *state;
	parse_fragment(fixture, "metric a = count() unit bytes unit packets;");
	const struct amon_diagnostic *error = fixture->diagnostics.first;
	assert_int_equal(fixture->diagnostics.errors, 1);
	assert_string_equal(error->message, "`unit` stands twice");
	assert_int_equal(error->span.start, 30);
	assert_int_equal(error->next->severity, AMON_NOTE);
	assert_int_equal(error->next->span.start, 19);
}

static char *repeat(struct amon_arena *arena, const char *before, const char *part, size_t count, const char *after)
{
	size_t length = strlen(part);
	char *text = amon_arena_alloc(arena, strlen(before) + length * count + strlen(after) + 1);
	char *end = stpcpy(text, before);
	for (size_t i = 0; i < count; i++)
		end = mempcpy(end, part, length);
	strcpy(end, after);
	return text;
}

static void test_nesting(void **state)
{
	static const char *const parts[] = { "(", "not ", "-", "~", "[", "f(", "a in {", "a ? ", "a ? b : ", "-(not " };
	struct fixture *fixture = *state;
	for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++) {
		const char *text = repeat(fixture->arena, "let x = ", parts[i], 10000, "; let y = 1;");
		struct amon_file *file = parse_file(fixture, text);
		assert_string_equal(the_error(fixture, text)->message, "nested too deeply: more than 200 levels");
		assert_names(file, "y");
	}
	char *deepest = repeat(fixture->arena, "let x = ", "-", AMON_NESTING_MAX, "1;");
	parse_file(fixture, deepest);
	assert_clean(fixture, deepest);
	deepest = repeat(fixture->arena, "let x = ", "-", AMON_NESTING_MAX + 1, "1;");
	parse_file(fixture, deepest);
	assert_int_equal(fixture->diagnostics.errors, 1);
}

static void test_chains(void **state)
{
	struct fixture *fixture = *state;
	/* A chain of n operators is a tree of depth n + 1. */
	const char *text = repeat(fixture->arena, "let x = a", " + a", AMON_TREE_DEPTH_MAX - 1, "; let y = 1;");
	struct amon_file *file = parse_file(fixture, text);
	assert_clean(fixture, text);
	assert_int_equal(file->statements->value->depth, AMON_TREE_DEPTH_MAX);
	text = repeat(fixture->arena, "let x = a", " + a", 100000, "; let y = 1;");
	file = parse_file(fixture, text);
	assert_error(fixture, text, 8, "the expression is too long: more than 999 operators in a chain");
	assert_names(file, "y");
}

static void test_blocks(void **state)
{
	struct fixture *fixture = *state;
	const char *text = repeat(fixture->arena, "probe p { ingress ", "{", 10000, "");
	parse_file(fixture, text);
	assert_error(fixture, text, 19, "a statement begins with a keyword, not with `{`");
	text = repeat(fixture->arena, "probe p { ", "ingress { ", 10000, "");
	parse_file(fixture, text);
	assert_true(fixture->diagnostics.errors > 0);
}

static void test_nul(void **state)
{
	struct fixture *fixture = *state;
	static const char text[] = "let a = 1;\0\0let b\0= 2;";
	struct amon_file *file = parse_bytes(fixture, amon_parse, text, sizeof(text) - 1);
	assert_error(fixture, text, 10, "a NUL byte in the text");
	assert_names(file, "a b");
}

static void test_empty(void **state)
{
	struct fixture *fixture = *state;
	assert_null(parse_file(fixture, "")->statements);
	assert_clean(fixture, "");
	assert_null(parse_file(fixture, "\xef\xbb\xbf ;;; # nothing\n")->statements);
	assert_clean(fixture, "byte order mark");
}

/* Every spec that stands in the repository as an example. */
static void test_examples(void **state)
{
	static const char *const patterns[] = { "/examples/*.amon", "/tests/fuzz/corpus/*.amon" };
	struct fixture *fixture = *state;
	for (size_t i = 0; i < sizeof(patterns) / sizeof(*patterns); i++) {
		glob_t found;
		char *pattern = amon_arena_printf(fixture->arena, "%s%s", AMON_SOURCE_DIR, patterns[i]);
		if (glob(pattern, 0, NULL, &found) != 0)
			continue;
		for (size_t j = 0; j < found.gl_pathc; j++) {
			struct amon_source *source;
			assert_int_equal(amon_source_read(fixture->arena, found.gl_pathv[j], &source), 0);
			amon_diagnostics_init(&fixture->diagnostics, fixture->arena);
			assert_non_null(amon_parse(fixture->arena, source, &fixture->diagnostics)->statements);
			assert_clean(fixture, found.gl_pathv[j]);
		}
		globfree(&found);
	}
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_precedence),     TEST(test_primaries),  TEST(test_numbers),  TEST(test_addresses),
		TEST(test_wrong_literals), TEST(test_statements), TEST(test_table),    TEST(test_levels_events_source),
		TEST(test_comments),       TEST(test_fragments),  TEST(test_recovery), TEST(test_several_errors),
		TEST(test_suggestions),    TEST(test_twice),      TEST(test_nesting),  TEST(test_chains),
		TEST(test_blocks),         TEST(test_nul),        TEST(test_empty),    TEST(test_examples),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
