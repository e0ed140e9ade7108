/* SPDX-License-Identifier: Apache-2.0 */
#include "diagnostic.h"

#include <ctype.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "utf8.h"

/* A line that is longer is shown in part, with the caret in it. */
#define LINE_SHOWN 120
#define WORD_MAX   64

void amon_diagnostics_init(struct amon_diagnostics *diagnostics, struct amon_arena *arena)
{
	*diagnostics = (struct amon_diagnostics){ .arena = arena };
	diagnostics->last = &diagnostics->first;
}

/* A message may quote any bytes of a spec; it is printed to terminals and into JSON. */
static char *clean(char *message)
{
	size_t left = strlen(message);
	for (char *c = message; left > 0;) {
		size_t length = amon_utf8_length(c, left);
		if (length == 0 || iscntrl((unsigned char)*c))
			*c = '?';
		length = length ? length : 1;
		c += length;
		left -= length;
	}
	return message;
}

/* Counts, and says whether there is still room. Where errors were left out, nothing after them is kept. */
static bool count(struct amon_diagnostics *diagnostics, enum amon_severity severity)
{
	if (severity == AMON_ERROR)
		diagnostics->errors++;
	else if (severity == AMON_WARNING)
		diagnostics->warnings++;
	return diagnostics->errors <= AMON_DIAGNOSTICS_MAX;
}

static struct amon_diagnostic *add(struct amon_diagnostics *diagnostics, enum amon_severity severity,
                                   struct amon_span span, const char *format, va_list arguments)
{
	struct amon_diagnostic *diagnostic = amon_new(diagnostics->arena, struct amon_diagnostic);
	diagnostic->severity = severity;
	diagnostic->span = span;
	diagnostic->message = clean(amon_arena_vprintf(diagnostics->arena, format, arguments));
	if (count(diagnostics, severity)) {
		*diagnostics->last = diagnostic;
		diagnostics->last = &diagnostic->next;
	}
	return diagnostic;
}

#define ADD(severity)                                                                                                  \
	va_list arguments;                                                                                             \
	va_start(arguments, format);                                                                                   \
	struct amon_diagnostic *diagnostic = add(diagnostics, severity, span, format, arguments);                      \
	va_end(arguments);                                                                                             \
	return diagnostic

struct amon_diagnostic *amon_error(struct amon_diagnostics *diagnostics, struct amon_span span, const char *format, ...)
{
	ADD(AMON_ERROR);
}

struct amon_diagnostic *amon_warning(struct amon_diagnostics *diagnostics, struct amon_span span, const char *format,
                                     ...)
{
	ADD(AMON_WARNING);
}

struct amon_diagnostic *amon_note(struct amon_diagnostics *diagnostics, struct amon_span span, const char *format, ...)
{
	ADD(AMON_NOTE);
}

static unsigned int smaller(unsigned int a, unsigned int b)
{
	return a < b ? a : b;
}

static bool same(char a, char b)
{
	return tolower((unsigned char)a) == tolower((unsigned char)b);
}

/* Optimal string alignment, letter case left aside; both words have at most WORD_MAX letters. */
static unsigned int distance(const char *a, size_t a_length, const char *b, size_t b_length)
{
	unsigned int rows[3][WORD_MAX + 1];
	unsigned int *before = rows[0], *last = rows[1], *row = rows[2];

	for (size_t j = 0; j <= b_length; j++)
		last[j] = (unsigned int)j;
	for (size_t i = 1; i <= a_length; i++) {
		row[0] = (unsigned int)i;
		for (size_t j = 1; j <= b_length; j++) {
			unsigned int change = last[j - 1] + !same(a[i - 1], b[j - 1]);
			row[j] = smaller(change, smaller(last[j], row[j - 1]) + 1);
			if (i > 1 && j > 1 && same(a[i - 1], b[j - 2]) && same(a[i - 2], b[j - 1]))
				row[j] = smaller(row[j], before[j - 2] + 1);
		}
		unsigned int *unused = before;
		before = last;
		last = row;
		row = unused;
	}
	return last[b_length];
}

/* The shortest candidate that begins as the word does; two letters say too little. */
static const char *longer(const char *word, size_t length, const char *const *candidates, size_t count)
{
	const char *best = NULL;
	for (size_t i = 0; i < count && length > 2; i++)
		if (strncasecmp(candidates[i], word, length) == 0 && (!best || strlen(candidates[i]) < strlen(best)))
			best = candidates[i];
	return best;
}

const char *amon_closest(const char *word, const char *const *candidates, size_t count)
{
	size_t length = strlen(word);
	if (length == 0 || length > WORD_MAX)
		return NULL;
	const char *best = NULL;
	unsigned int limit = length == 1 ? 0 : length < 6 ? 1 : (unsigned int)length / 3;
	for (size_t i = 0; i < count; i++) {
		size_t candidate_length = strlen(candidates[i]);
		if (candidate_length > length + limit || candidate_length + limit < length ||
		    candidate_length > WORD_MAX)
			continue;
		unsigned int d = distance(word, length, candidates[i], candidate_length);
		if (d < limit || (d == limit && !best)) {
			best = candidates[i];
			limit = d;
		}
	}
	return best ? best : longer(word, length, candidates, count);
}

/* A diagnostic with the notes behind it, and where it is printed. */
struct group {
	const struct amon_diagnostic *first;
	size_t source; /* in the order in which sources are first spoken of; what has none comes last */
	size_t index;
};

static int compare_groups(const void *left, const void *right)
{
	const struct group *a = left, *b = right;
	if (a->source != b->source)
		return a->source < b->source ? -1 : 1;
	if (a->first->span.start != b->first->span.start)
		return a->first->span.start < b->first->span.start ? -1 : 1;
	return a->index < b->index ? -1 : a->index > b->index;
}

static size_t source_rank(const struct group *groups, size_t count, const struct amon_source *source)
{
	if (!source)
		return SIZE_MAX;
	for (size_t i = 0; i < count; i++)
		if (groups[i].first->span.source == source)
			return groups[i].source;
	return count;
}

/* Returns an array from the arena, ended by a group without a first. */
static struct group *sorted(const struct amon_diagnostics *diagnostics)
{
	size_t count = 0, index = 0;
	for (const struct amon_diagnostic *d = diagnostics->first; d; d = d->next)
		count++;
	struct group *groups = amon_new_array(diagnostics->arena, struct group, count + 1);
	for (const struct amon_diagnostic *d = diagnostics->first; d; d = d->next) {
		if (d->severity == AMON_NOTE && index > 0)
			continue;
		groups[index] = (struct group){ d, source_rank(groups, index, d->span.source), index };
		index++;
	}
	qsort(groups, index, sizeof(*groups), compare_groups);
	return groups;
}

static const char *severity_name(enum amon_severity severity)
{
	static const char *const names[] = { [AMON_ERROR] = "error", [AMON_WARNING] = "warning", [AMON_NOTE] = "note" };
	return names[severity];
}

static const char *severity_color(enum amon_severity severity)
{
	static const char *const colors[] = {
		[AMON_ERROR] = "\033[1;31m", [AMON_WARNING] = "\033[1;35m", [AMON_NOTE] = "\033[1;36m"
	};
	return colors[severity];
}

/* The part of a line that is shown, and where in it the caret stands. */
struct excerpt {
	const char *text;
	uint32_t length, caret, caret_end;
	bool cut_before, cut_after;
};

static bool continues(char c)
{
	return ((unsigned char)c & 0xc0) == 0x80;
}

static void cut(struct excerpt *excerpt)
{
	uint32_t skip = 0;
	if (excerpt->length <= LINE_SHOWN)
		return;
	if (excerpt->caret > LINE_SHOWN / 2)
		skip = smaller(excerpt->caret - LINE_SHOWN / 2, excerpt->length - LINE_SHOWN);
	while (skip > 0 && continues(excerpt->text[skip]))
		skip--;
	uint32_t end = smaller(excerpt->length, skip + LINE_SHOWN);
	while (end < excerpt->length && continues(excerpt->text[end]))
		end++;
	excerpt->cut_before = skip > 0;
	excerpt->cut_after = end < excerpt->length;
	excerpt->text += skip;
	excerpt->length = end - skip;
	excerpt->caret -= skip;
	excerpt->caret_end = smaller(excerpt->caret_end - skip, excerpt->length);
}

static struct excerpt excerpt_of(struct amon_span span)
{
	uint32_t line, column, length;
	amon_source_position(span.source, span.start, &line, &column);
	struct excerpt excerpt = { .text = amon_source_line(span.source, line, &length), .caret = column - 1 };
	excerpt.length = length;
	uint32_t width = span.end > span.start ? span.end - span.start : 1;
	excerpt.caret_end = smaller(excerpt.caret + smaller(width, length + 1), length);
	cut(&excerpt);
	return excerpt;
}

/* Bytes that are no text are shown as `?`, so that a spec cannot drive the terminal. */
static void print_text(const struct excerpt *excerpt, FILE *to)
{
	for (uint32_t i = 0; i < excerpt->length;) {
		size_t length = amon_utf8_length(excerpt->text + i, excerpt->length - i);
		char c = excerpt->text[i];
		bool shown = length > 1 ? (unsigned char)c != 0xc2 || (unsigned char)excerpt->text[i + 1] >= 0xa0
		                        : length == 1 && (c == '\t' || !iscntrl((unsigned char)c));
		if (shown)
			fwrite(excerpt->text + i, 1, length, to);
		else
			fputc('?', to);
		i += length ? (uint32_t)length : 1;
	}
}

/* Walks the text as print_text() does, so that tabs and characters of several bytes keep the caret in its place. */
static void print_caret(const struct excerpt *excerpt, FILE *to)
{
	uint32_t i = 0;
	while (i < excerpt->caret && i < excerpt->length) {
		size_t length = amon_utf8_length(excerpt->text + i, excerpt->length - i);
		fputc(excerpt->text[i] == '\t' ? '\t' : ' ', to);
		i += length ? (uint32_t)length : 1;
	}
	fputc('^', to);
	while (i < excerpt->caret_end) {
		size_t length = amon_utf8_length(excerpt->text + i, excerpt->length - i);
		i += length ? (uint32_t)length : 1;
		if (i < excerpt->caret_end)
			fputc('~', to);
	}
}

static void print_excerpt(struct amon_span span, FILE *to, bool color)
{
	struct excerpt excerpt = excerpt_of(span);
	const char *margin = excerpt.cut_before ? "... " : "";
	fprintf(to, "    %s", margin);
	print_text(&excerpt, to);
	fprintf(to, "%s\n    %*s%s", excerpt.cut_after ? " ..." : "", (int)strlen(margin), "",
	        color ? "\033[1;32m" : "");
	print_caret(&excerpt, to);
	fprintf(to, "%s\n", color ? "\033[0m" : "");
}

static void print_one(const struct amon_diagnostic *diagnostic, FILE *to, bool color)
{
	struct amon_span span = diagnostic->span;
	const char *bold = color ? "\033[1m" : "", *plain = color ? "\033[0m" : "";
	if (span.source) {
		uint32_t line, column;
		amon_source_position(span.source, span.start, &line, &column);
		fprintf(to, "%s%s:%u:%u:%s ", bold, span.source->name, line, column, plain);
	}
	fprintf(to, "%s%s:%s %s%s%s\n", color ? severity_color(diagnostic->severity) : "",
	        severity_name(diagnostic->severity), plain, bold, diagnostic->message, plain);
	if (span.source)
		print_excerpt(span, to, color);
	if (diagnostic->suggestion)
		fprintf(to, "  help: %s\n", diagnostic->suggestion);
}

/* What follows a group's first up to the next group. */
static const struct amon_diagnostic *next_note(const struct amon_diagnostic *diagnostic)
{
	return diagnostic->next && diagnostic->next->severity == AMON_NOTE ? diagnostic->next : NULL;
}

void amon_diagnostics_print(const struct amon_diagnostics *diagnostics, FILE *to, bool color)
{
	for (const struct group *group = sorted(diagnostics); group->first; group++)
		for (const struct amon_diagnostic *d = group->first; d; d = next_note(d))
			print_one(d, to, color);
	if (diagnostics->errors > AMON_DIAGNOSTICS_MAX)
		fprintf(to, "error: too many errors: %u more are not shown\n",
		        diagnostics->errors - AMON_DIAGNOSTICS_MAX);
}

static json_t *json_text(struct amon_arena *arena, const char *text)
{
	return text ? json_string(clean(amon_arena_copy(arena, text, strlen(text)))) : json_null();
}

/* Lines and columns count from 1. */
static json_t *json_place(uint32_t number)
{
	return number ? json_integer(number) : json_null();
}

static json_t *json_one(struct amon_arena *arena, const struct amon_diagnostic *diagnostic)
{
	struct amon_span span = diagnostic->span;
	uint32_t line = 0, column = 0, end_line = 0, end_column = 0;
	if (span.source) {
		amon_source_position(span.source, span.start, &line, &column);
		amon_source_position(span.source, span.end, &end_line, &end_column);
	}
	json_t *object = json_object();
	json_object_set_new(object, "file", json_text(arena, span.source ? span.source->name : NULL));
	json_object_set_new(object, "line", json_place(line));
	json_object_set_new(object, "column", json_place(column));
	json_object_set_new(object, "end_line", json_place(end_line));
	json_object_set_new(object, "end_column", json_place(end_column));
	json_object_set_new(object, "severity", json_string(severity_name(diagnostic->severity)));
	json_object_set_new(object, "message", json_text(arena, diagnostic->message));
	json_object_set_new(object, "suggestion", json_text(arena, diagnostic->suggestion));
	return object;
}

void amon_diagnostics_print_json(const struct amon_diagnostics *diagnostics, FILE *to)
{
	json_t *array = json_array();
	for (const struct group *group = sorted(diagnostics); group->first; group++)
		for (const struct amon_diagnostic *d = group->first; d; d = next_note(d))
			json_array_append_new(array, json_one(diagnostics->arena, d));
	json_dumpf(array, to, JSON_INDENT(2));
	fputc('\n', to);
	json_decref(array);
}
