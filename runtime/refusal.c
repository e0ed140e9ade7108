/* SPDX-License-Identifier: Apache-2.0 */
#include "refusal.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A line of a log, or of C. */
struct line {
	const char *text;
	size_t length;
};

/* Takes a line from the front of the text; false at its end. */
static bool next_line(const char **text, struct line *line)
{
	if (!**text)
		return false;
	*line = (struct line){ *text, strcspn(*text, "\n") };
	*text += line->length + ((*text)[line->length] == '\n');
	return true;
}

static bool begins(struct line line, const char *prefix)
{
	return line.length >= strlen(prefix) && !memcmp(line.text, prefix, strlen(prefix));
}

static bool begins_any(struct line line, const char *const *prefixes)
{
	for (; *prefixes; prefixes++)
		if (begins(line, *prefixes))
			return true;
	return false;
}

/* Copies up to a byte that is not wanted, as far as there is room. */
static void copy_until(char to[static 64], const char *from, const char *end)
{
	snprintf(to, 64, "%.*s", (int)strcspn(from, end), from);
}

/* The log */

/* What the verifier says of its way, or of itself: no reason. Instructions and states begin with a number or a space.
 */
static bool is_step(struct line line)
{
	static const char *const prefixes[] = {
		" ",       "from ",   "func#",     "Func#",          "cur state:", "old state:",         "frame",
		"caller:", "callee:", "to caller", "returning from", "processed ", "verification time ", "stack depth ",
		NULL,
	};
	size_t digits = strspn(line.text, "0123456789");

	if (digits)
		return line.text[digits] == ':';
	if (line.text[0] == 'R') /* a state, "R0=…"; "R0 invalid mem access" is a reason */
		return strcspn(line.text, "=") < strcspn(line.text, " \n");
	return !line.length || begins_any(line, prefixes);
}

/* Where the verifier's patience ends is no fault of the instruction there. */
static bool is_limit(const char *reason)
{
	static const char *const prefixes[] = { "BPF program is too large", "The sequence of ", "combined stack size",
		                                NULL };

	return begins_any((struct line){ reason, strlen(reason) }, prefixes);
}

/* "; row->packets++; @ flows.bpf.c:512" */
static struct amon_refusal_note read_note(struct line line)
{
	struct amon_refusal_note note = { line.text + 2, (uint32_t)line.length - 2, 0 };
	const char *end = line.text + line.length;

	for (const char *at = end; at-- > note.text + 1;) {
		if (memcmp(at - 1, " @", 2) != 0)
			continue;
		for (const char *colon = end; colon-- > at && !note.line;)
			if (*colon == ':')
				note.line = (uint32_t)strtoul(colon + 1, NULL, 10);
		note.length = (uint32_t)(at - 1 - note.text);
		break;
	}
	return note;
}

static void add_note(struct amon_refusal *refusal, struct line line)
{
	memmove(refusal->notes + 1, refusal->notes, sizeof(refusal->notes) - sizeof(refusal->notes[0]));
	refusal->notes[0] = read_note(line);
	refusal->note_count += refusal->note_count < AMON_REFUSAL_NOTES;
}

static void add_reason(struct amon_refusal *refusal, struct line line)
{
	size_t length = strlen(refusal->reason);

	snprintf(refusal->reason + length, sizeof(refusal->reason) - length, "%s%.*s", length ? "; " : "",
	         (int)line.length, line.text);
	for (length = strlen(refusal->reason); length && refusal->reason[length - 1] == ' '; length--)
		refusal->reason[length - 1] = '\0';
}

/* "Validating parse_xdp() func#1...": from here on, a function that is verified apart. */
static bool begins_function(struct amon_refusal *refusal, struct line line)
{
	static const char validating[] = "Validating ";

	if (!begins(line, validating))
		return false;
	copy_until(refusal->function, line.text + strlen(validating), "(\n");
	refusal->note_count = 0;
	return true;
}

/* "prog 'amon_xdp': -- BEGIN PROG LOAD LOG --" */
static bool begins_program(struct amon_refusal *refusal, struct line line)
{
	static const char program[] = "prog '";

	if (!begins(line, program))
		return false;
	*refusal = (struct amon_refusal){ .reason = "" };
	copy_until(refusal->program, line.text + strlen(program), "'\n");
	return true;
}

void amon_refusal_read(const char *log, struct amon_refusal *refusal)
{
	bool apart = false; /* the lines of one reason follow each other; a step between them begins another */
	struct line line;

	*refusal = (struct amon_refusal){ .reason = "" };
	while (next_line(&log, &line)) {
		if (begins_program(refusal, line) || begins_function(refusal, line) || is_step(line)) {
			apart = true;
		} else if (begins(line, "; ")) {
			add_note(refusal, line);
			apart = true;
		} else {
			if (apart)
				refusal->reason[0] = '\0';
			add_reason(refusal, line);
			apart = false;
		}
	}
	if (is_limit(refusal->reason))
		refusal->note_count = 0;
}

/* The C */

static struct line without_indent(struct line line)
{
	size_t indent = strspn(line.text, " \t");

	return (struct line){ line.text + indent, line.length - (indent < line.length ? indent : line.length) };
}

uint32_t amon_refusal_line(const struct amon_refusal_note *note, const char *c)
{
	uint32_t number = 0, found = 0, count = 0;
	struct line line, text;

	if (note->line)
		return note->line;
	while (next_line(&c, &line)) {
		number++;
		text = without_indent(line);
		if (text.length == note->length && !memcmp(text.text, note->text, note->length)) {
			found = number;
			count++;
		}
	}
	return count == 1 ? found : 0;
}

/* The head of a function's definition stands at the left margin; its name is put into `name`. */
static bool is_head(struct line line, char name[static 64])
{
	const char *parenthesis = memchr(line.text, '(', line.length), *begin = parenthesis;

	if (!parenthesis || !(isalpha((unsigned char)line.text[0]) || line.text[0] == '_') ||
	    line.text[line.length - 1] == ';')
		return false;
	while (begin > line.text && (isalnum((unsigned char)begin[-1]) || begin[-1] == '_'))
		begin--;
	copy_until(name, begin, "(");
	return true;
}

void amon_refusal_function(const char *c, uint32_t number, char name[static 64])
{
	struct line line;

	name[0] = '\0';
	for (uint32_t i = 1; i <= number && next_line(&c, &line); i++)
		is_head(line, name);
}

uint32_t amon_refusal_find(const char *c, const char *wanted)
{
	char name[64];
	struct line line;

	for (uint32_t number = 1; next_line(&c, &line); number++)
		if (is_head(line, name) && !strcmp(name, wanted))
			return number;
	return 0;
}
