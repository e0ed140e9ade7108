/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/refusal.h"

#include <string.h>

#include "cli.h"
#include "runtime/object.h"

/* Lines of C that are shown before and behind the one that was refused. */
#define LINES_BEFORE 3
#define LINES_BEHIND 2

/* The two texts, and what leads from one to the other. */
struct texts {
	const char *c; /* NULL: none of them is there */
	const struct amon_source *source;
	struct amon_lines lines;
};

/* What the verifier stumbled over: its place in both texts. */
struct place {
	uint32_t line;         /* of the C; 0: none */
	struct amon_span span; /* of the spec */
	char function[64];     /* of the C */
};

static const char *section_text(const struct compilation *c, const char *name, size_t *length)
{
	const void *bytes;

	if (amon_object_find_section(c->object, c->object_size, name, &bytes, length))
		return NULL;
	return amon_arena_copy(c->arena, bytes, *length);
}

/* A built object brings them with it. */
static struct texts texts_of_object(const struct compilation *c)
{
	size_t c_length, spec_length, lines_length;
	const char *text = section_text(c, AMON_SOURCE_SECTION, &c_length), *name;
	const char *spec = section_text(c, AMON_SPEC_SECTION, &spec_length);
	const char *lines = section_text(c, AMON_LINES_SECTION, &lines_length);
	struct texts texts = { .c = NULL };

	if (!text || !spec || !lines || amon_lines_decode(c->arena, lines, lines_length, &name, &texts.lines))
		return (struct texts){ .c = NULL };
	texts.c = text;
	texts.source = amon_source_from_text(c->arena, name, spec, spec_length);
	return texts;
}

static struct texts texts_of(const struct compilation *c)
{
	return c->c ? (struct texts){ c->c, c->source, c->lines } : texts_of_object(c);
}

/*
 * A line of a helper, which clang has drawn into a section's function, is no line of the spec: then the one that led to
 * it is. What the program itself does, or a function that is verified apart, is led to by no line of the spec.
 */
static struct amon_span find_span(const struct texts *texts, const struct amon_refusal *refusal)
{
	const char *outermost = refusal->function[0] ? refusal->function : refusal->program;
	struct amon_span span = { 0 };

	for (uint32_t i = 0; i < refusal->note_count && !span.source; i++) {
		uint32_t line = amon_refusal_line(&refusal->notes[i], texts->c);
		char function[64];

		span = amon_lines_find(&texts->lines, texts->source, line);
		amon_refusal_function(texts->c, line, function);
		if (!strcmp(function, outermost))
			break;
	}
	return span;
}

static struct place find_place(const struct texts *texts, const struct amon_refusal *refusal)
{
	struct place place = { .line = refusal->note_count ? amon_refusal_line(refusal->notes, texts->c) : 0 };
	uint32_t head = amon_refusal_find(texts->c, refusal->function);

	if (place.line) {
		place.span = find_span(texts, refusal);
		amon_refusal_function(texts->c, place.line, place.function);
	} else {
		place.span = amon_lines_find(&texts->lines, texts->source, head);
		strcpy(place.function, refusal->function);
	}
	return place;
}

/* The lines around the one that was refused, as far as its function goes. */
static void print_c(const char *c, const struct place *place)
{
	uint32_t head = amon_refusal_find(c, place->function), line = 1;
	bool inside = true;

	fprintf(stderr, "  in the C that `amonc emit` prints:\n");
	for (const char *end; inside && (end = strchr(c, '\n')); c = end + 1, line++) {
		if (line < head || line + LINES_BEFORE < place->line)
			continue;
		fprintf(stderr, "  %c %5u  %.*s\n", line == place->line ? '>' : ' ', line, (int)(end - c), c);
		inside = *c != '}' && line < place->line + LINES_BEHIND;
	}
}

/* --- users' C */

/* The function that was verified, where it is a user's. */
static const struct amon_user_file *find_user(const struct compilation *c, const struct amon_refusal *refusal)
{
	for (uint32_t i = 0; i < c->user_count; i++)
		if (!strcmp(c->users[i].entry, refusal->function))
			return &c->users[i];
	return NULL;
}

static bool is_line(const struct amon_source *source, uint32_t number, const struct amon_refusal_note *note,
                    struct amon_span *span)
{
	uint32_t length, indent;
	const char *text = amon_source_line(source, number, &length);

	indent = (uint32_t)strspn(text, " \t");
	indent = indent > length ? length : indent;
	if (length - indent != note->length || memcmp(text + indent, note->text, note->length) != 0)
		return false;
	*span = (struct amon_span){ source, source->line_starts[number - 1] + indent,
		                    source->line_starts[number - 1] + length };
	return true;
}

/* A line of the file. Old kernels tell its text alone, which may stand there twice: then nobody knows. */
static bool find_line(const struct amon_source *source, const struct amon_refusal_note *note, struct amon_span *span)
{
	uint32_t found = 0;

	if (note->line)
		return note->line <= source->line_count && is_line(source, note->line, note, span);
	for (uint32_t number = 1; number <= source->line_count; number++)
		found += is_line(source, number, note, span);
	return found == 1;
}

/* The line that the verifier stood at, or of what the file includes, the one that led there. */
static struct amon_span user_span(const struct amon_user_file *user, const struct amon_refusal *refusal)
{
	struct amon_span span = { 0 };

	for (uint32_t i = 0; i < refusal->note_count; i++)
		if (find_line(user->source, &refusal->notes[i], &span))
			return span;
	return (struct amon_span){ 0 };
}

static void print_span(const struct options *options, const struct compilation *c, struct amon_span span,
                       const char *reason)
{
	struct amon_diagnostics diagnostics;

	amon_diagnostics_init(&diagnostics, c->arena);
	amon_error(&diagnostics, span, "the kernel's verifier refuses this: %s", reason);
	amon_diagnostics_print(&diagnostics, stderr, use_color(options, stderr));
}

static void print_refusal(const struct options *options, const struct compilation *c, const struct texts *texts,
                          const struct amon_refusal *refusal)
{
	struct place place = find_place(texts, refusal);

	if (place.span.source)
		print_span(options, c, place.span, refusal->reason);
	else if (place.function[0])
		complain(0, "the kernel's verifier refuses %s(): %s; this is a fault of amon's, please report it",
		         place.function, refusal->reason);
	else
		complain(0, "the kernel's verifier refuses the program %s: %s", refusal->program, refusal->reason);
	if (place.line)
		print_c(texts->c, &place);
}

static void print_user(const struct options *options, const struct compilation *c, const struct amon_user_file *user,
                       const struct amon_refusal *refusal)
{
	struct amon_span span = user_span(user, refusal);

	if (span.source)
		print_span(options, c, span, refusal->reason);
	else
		complain(0, "the kernel's verifier refuses amon_packet() of %s: %s%s%.*s%s", user->source->name,
		         refusal->reason, refusal->note_count ? ", at `" : "",
		         refusal->note_count ? (int)refusal->notes->length : 0,
		         refusal->note_count ? refusal->notes->text : "", refusal->note_count ? "`" : "");
}

void report_refusal(const struct options *options, const struct compilation *c, const struct amon_failure *failure)
{
	struct texts texts = texts_of(c);
	const struct amon_user_file *user;
	struct amon_refusal refusal;

	amon_refusal_read(failure->log, &refusal);
	user = find_user(c, &refusal);
	if (user && refusal.reason[0])
		print_user(options, c, user, &refusal);
	else if (texts.c && refusal.reason[0])
		print_refusal(options, c, &texts, &refusal);
	else
		complain(0, "%s", failure->message);
	fputs(options->verbose ? failure->log : "amonc: -v shows the verifier's whole log\n", stderr);
}
