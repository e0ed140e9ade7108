/* SPDX-License-Identifier: Apache-2.0 */
#include "emit_internal.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/* Begins a mark in the text of the making: "\001START END", up to the end of the line. */
#define MARK '\001'

/* What has no words of its own, such as the section that is made around the text of -e, stands for all of the text. */
void emit_mark(FILE *out, struct amon_span span)
{
	if (span.source && span.start == span.end)
		span.end = span.source->length;
	fprintf(out, "%c%u %u\n", MARK, span.start, span.end);
}

/* The statement's text on one line, fit for a comment; "" for what has no place in a text. */
static const char *quote(struct amon_arena *arena, struct amon_span span)
{
	char *line, *to;
	bool space = true, string = false;

	if (!span.source || span.end <= span.start)
		return "";
	line = to = amon_arena_alloc(arena, (size_t)(span.end - span.start) * 2 + 1);
	for (const char *from = span.source->text + span.start; from < span.source->text + span.end; from++) {
		bool is_space = isspace((unsigned char)*from) || !*from;

		if (*from == '"' && from[-1] != '\\')
			string = !string;
		if (*from == '#' && !string) { /* the spec's comment: to the end of its line */
			while (from + 1 < span.source->text + span.end && *from != '\n')
				from++;
			is_space = true;
		}
		if (is_space && space)
			continue;
		*to++ = is_space ? ' ' : *from;
		if (from[0] == '*' && from[1] == '/')
			*to++ = ' ';
		space = is_space;
	}
	while (to > line && to[-1] == ' ')
		to--;
	*to = '\0';
	return line;
}

void emit_comment(struct amon_arena *arena, FILE *out, int indent, const char *before, struct amon_span span)
{
	const char *text = quote(arena, span);

	if (*text)
		fprintf(out, "%.*s/* %s%s */", indent, "\t\t\t\t\t\t\t\t", before, text);
	emit_mark(out, span);
}

#define COLUMNS 120

/* Where a line that is too long may break: behind an operator, else behind a comma. 0: nowhere. */
static size_t break_before(const char *line, size_t length)
{
	size_t column = 0, operator_at = 0, comma_at = 0;

	for (size_t i = 0; i < length; i++) {
		column = line[i] == '\t' ? column / 8 * 8 + 8 : column + 1;
		if (column > COLUMNS && (operator_at || comma_at))
			return operator_at ? operator_at : comma_at;
		if (i && line[i] == ' ' && strchr("&|?:+", line[i - 1]))
			operator_at = i + 1;
		if (i && line[i] == ' ' && line[i - 1] == ',')
			comma_at = i + 1;
	}
	return 0;
}

static bool is_comment(const char *line)
{
	return !strncmp(line, "/*", 2) || !strncmp(line, " *", 2);
}

/* How many lines it makes of one. */
static uint32_t write_wrapped(FILE *out, const char *line, size_t length)
{
	size_t tabs = strspn(line, "\t"), indent = tabs, at;
	uint32_t lines = 1;

	while (!is_comment(line + tabs) && (at = break_before(line, length))) {
		fprintf(out, "%.*s\n%.*s\t", (int)at - 1, line, (int)indent, "\t\t\t\t\t\t\t\t");
		line += at;
		length -= at;
		tabs = 0;
		lines++;
	}
	fprintf(out, "%.*s\n", (int)length, line);
	return lines;
}

/* A mark stands for the line of the tidied text that comes next. */
static void take_mark(struct amon_lines *lines, uint32_t line, const char *mark)
{
	struct amon_line *to = &lines->lines[lines->count++];

	to->line = line;
	sscanf(mark + 1, "%u %u", &to->start, &to->end);
}

static uint32_t count_marks(const char *text)
{
	uint32_t count = 0;

	for (; (text = strchr(text, MARK)); text++)
		count++;
	return count;
}

char *emit_tidy(struct amon_arena *arena, const char *text, struct amon_lines *lines)
{
	char *tidied = NULL, *result;
	size_t size = 0;
	FILE *out = open_memstream(&tidied, &size);
	bool blank = false;
	uint32_t line = 1;

	*lines = (struct amon_lines){ amon_new_array(arena, struct amon_line, count_marks(text)), 0 };
	for (const char *end, *mark; (end = strchr(text, '\n')); text = end + 1) {
		mark = memrchr(text, MARK, end - text);
		if (mark)
			take_mark(lines, line, mark);
		if (mark == text)
			continue;
		if (end != text)
			line += write_wrapped(out, text, (mark ? mark : end) - text);
		else if (!blank)
			line += fputc('\n', out) == '\n';
		blank = end == text;
	}
	fclose(out);
	result = amon_arena_copy(arena, tidied, size);
	free(tidied);
	return result;
}

struct amon_writer emit_open_lines(const struct amon_writer *w, struct lines *lines)
{
	struct amon_writer inner = *w;

	*lines = (struct lines){ NULL, 0 };
	inner.out = open_memstream(&lines->text, &lines->size);
	inner.indent++;
	return inner;
}

static int count_lines(const struct lines *lines)
{
	int count = 0;

	for (size_t i = 0; i < lines->size; i++)
		count += lines->text[i] == '\n';
	return count;
}

static void write_dedented(FILE *out, const char *text)
{
	for (const char *end; (end = strchr(text, '\n')); text = end + 1)
		fprintf(out, "%.*s\n", (int)(end - text - 1), text + 1);
}

/* The lines under a condition, with braces only where they are needed; without one, as they are. Closes `inner`. */
void emit_close_lines(struct amon_writer *w, struct amon_writer *inner, struct amon_c when, struct lines *lines)
{
	bool braces;

	fclose(inner->out);
	braces = count_lines(lines) > 1;
	if (when.text) {
		amon_write(w, "if (%s)%s\n", when.text, braces ? " {" : "");
		fputs(lines->text, w->out);
		if (braces)
			amon_write(w, "}\n");
	} else {
		write_dedented(w->out, lines->text);
	}
	free(lines->text);
}

uint32_t emit_count_causes(const struct amon_plan *plan)
{
	uint32_t count = 0;

	for (int cause = 1; cause < AMON_CAUSE_COUNT; cause++)
		count += plan->causes[cause];
	return count;
}

void emit_member(FILE *out, const char *c_type, const char *name)
{
	const char *array = strchr(c_type, '[');

	fprintf(out, "\t%.*s %s%s;\n", array ? (int)(array - c_type) : (int)strlen(c_type), c_type, name,
	        array ? array : "");
}

void emit_map(FILE *out, const char *name, const char *type, const char *key, const char *value, uint32_t size)
{
	fprintf(out,
	        "struct {\n\t__uint(type, BPF_MAP_TYPE_%s);\n\t__uint(max_entries, %u);\n\t__type(key, "
	        "%s);\n\t__type(value, %s);\n"
	        "} %s SEC(\".maps\");\n\n",
	        type, size, key, value, name);
}

bool emit_has_member(const struct amon_plan *plan, const char *member)
{
	for (uint32_t i = 0; i < plan->member_count; i++)
		if (!strcmp(plan->members[i].field->member, member))
			return true;
	return false;
}

bool emit_at_tc(const struct amon_plan *plan)
{
	return plan->programs[AMON_HOOK_TC_INGRESS] || plan->programs[AMON_HOOK_TC_EGRESS];
}
