/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "compiler/parse.h"
#include "compiler/utf8.h"

static void report_byte(struct amon_parser *parser, bool *reported, uint32_t offset, const char *what)
{
	if (*reported)
		return;
	*reported = true;
	amon_error(parser->diagnostics, amon_span_of(parser, (struct amon_range){ offset, offset + 1 }), "%s", what);
}

static bool is_blank(char c)
{
	return c == '\n' || c == '\t' || c == '\r';
}

/* One error for each kind of byte that is no text, before anything is scanned. */
static void check_bytes(struct amon_parser *parser)
{
	const struct amon_source *source = parser->source;
	bool null = false, control = false, broken = false;
	for (uint32_t i = 0; i < source->length;) {
		size_t length = amon_utf8_length(source->text + i, source->length - i);
		char c = source->text[i];
		if (length == 0)
			report_byte(parser, &broken, i, "the text is not UTF-8");
		else if (c == '\0')
			report_byte(parser, &null, i, "a NUL byte in the text");
		else if (length == 1 && (((unsigned char)c < ' ' && !is_blank(c)) || c == 0x7f))
			report_byte(parser, &control, i, "a control character in the text");
		i += length ? (uint32_t)length : 1;
	}
}

static struct amon_file *start(struct amon_parser *parser)
{
	struct amon_file *file = amon_new(parser->arena, struct amon_file);
	file->source = parser->source;
	parser->last_comment = &file->comments;
	return file;
}

/* Leaves what stood in the text, wherever it belongs, in parser->statements. */
static void run(struct amon_parser *parser)
{
	check_bytes(parser);
	if (amon_scan_open(parser))
		abort();
	amon_yyparse(parser);
	amon_scan_close(parser);
}

struct amon_file *amon_parse(struct amon_arena *arena, const struct amon_source *source,
                             struct amon_diagnostics *diagnostics)
{
	struct amon_parser parser = { .arena = arena, .source = source, .diagnostics = diagnostics };
	struct amon_file *file = start(&parser);
	run(&parser);
	file->statements = amon_statement_place_file(&parser, AMON_LIST(parser.statements));
	return file;
}

/* The statements of a fragment by the place where they belong; rings. */
struct fragment {
	struct amon_statement *file, *probe, *section;
};

static bool is_section(enum amon_statement_kind kind)
{
	return kind == AMON_STATEMENT_SECTION || kind == AMON_STATEMENT_LEVEL;
}

static bool is_of_file(enum amon_statement_kind kind)
{
	return kind == AMON_STATEMENT_IMPORT || kind == AMON_STATEMENT_FEATURE;
}

/* Where sections are written, what may stand in both a probe and a section is the probe's. */
static void sort_statement(struct fragment *fragment, struct amon_statement *statement, bool has_sections)
{
	struct amon_statement **list;
	if (is_of_file(statement->kind))
		list = &fragment->file;
	else if (has_sections || !amon_statement_is_of_section(statement->kind))
		list = &fragment->probe;
	else
		list = &fragment->section;
	*list = AMON_APPEND(*list, statement);
}

static struct amon_statement *make(struct amon_parser *parser, enum amon_statement_kind kind, const char *name,
                                   struct amon_statement *body)
{
	struct amon_range start = { 0, 0 }, whole = { 0, parser->source->length };
	struct amon_name made = { name, amon_span_of(parser, start) };
	struct amon_statement *statement = amon_statement_new(parser, kind, whole, made, NULL);
	return amon_statement_block(parser, statement, 0, body);
}

static struct amon_statement *make_section(struct amon_parser *parser, struct amon_statement *body)
{
	static const struct amon_name none;
	struct amon_statement *section = make(parser, AMON_STATEMENT_SECTION, NULL, body);
	section->hooks = amon_hook_new(parser, (struct amon_range){ 0, 0 }, false, none, none);
	return section;
}

static struct amon_statement *wrap(struct amon_parser *parser, struct amon_statement *statements, bool has_sections)
{
	struct fragment fragment = { 0 };
	for (struct amon_statement *next; statements; statements = next) {
		next = statements->next;
		sort_statement(&fragment, statements, has_sections);
	}
	if (!has_sections)
		fragment.probe = AMON_APPEND(fragment.probe, make_section(parser, fragment.section));
	struct amon_statement *probe = make(parser, AMON_STATEMENT_PROBE, "command_line", fragment.probe);
	return AMON_LIST(AMON_APPEND(fragment.file, probe));
}

struct amon_file *amon_parse_fragment(struct amon_arena *arena, const struct amon_source *source,
                                      struct amon_diagnostics *diagnostics)
{
	struct amon_parser parser = { .arena = arena, .source = source, .diagnostics = diagnostics };
	struct amon_file *file = start(&parser);
	bool has_probe = false, has_sections = false, all_of_file = true;
	run(&parser);
	struct amon_statement *statements = AMON_LIST(parser.statements);
	for (const struct amon_statement *statement = statements; statement; statement = statement->next) {
		has_probe = has_probe || statement->kind == AMON_STATEMENT_PROBE;
		has_sections = has_sections || is_section(statement->kind);
		all_of_file = all_of_file && is_of_file(statement->kind);
	}
	if (!has_probe && !(statements && all_of_file))
		statements = wrap(&parser, statements, has_sections);
	file->statements = amon_statement_place_file(&parser, statements);
	return file;
}
