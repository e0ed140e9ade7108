/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AMON_LINES_H
#define AMON_LINES_H

#include "source.h"

/*
 * Which lines of the generated C stand for what of the spec. It travels in the object (section .amon.lines) beside both
 * texts, so that what the verifier says of a line of C can be told of the spec.
 */

#define AMON_LINES_SECTION ".amon.lines"

/** From this line of the C on, up to the next entry: bytes [start, end) of the spec. Both 0: nothing of the spec. */
struct amon_line {
	uint32_t line, start, end;
};

struct amon_lines {
	struct amon_line *lines; /* in the arena; ascending */
	uint32_t count;
};

/** The table as text, with the spec's name (NUL-terminated, in the arena). */
char *amon_lines_encode(struct amon_arena *arena, const char *name, const struct amon_lines *lines);
/** Reads one back, with the name in the arena. 0, or -EINVAL where the text is no such table. */
int amon_lines_decode(struct amon_arena *arena, const char *text, size_t length, const char **name,
                      struct amon_lines *lines);
/** What a line of the C (from 1) stands for; its source is NULL where that is nothing of the spec. */
struct amon_span amon_lines_find(const struct amon_lines *lines, const struct amon_source *source, uint32_t line);

#endif
