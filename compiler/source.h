/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AMON_SOURCE_H
#define AMON_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct amon_arena;

/** Specs are at most 1 MiB (docs/language.md, Limits). */
#define AMON_SOURCE_MAX (1024 * 1024)

/** One text: a file, standard input ("-" gives the name "<stdin>"), or what stood behind -e ("<command line>"). */
struct amon_source {
	const char *name;
	const char *text; /* NUL-terminated at text[length]; may hold NUL bytes before it */
	uint32_t length;
	uint32_t line_count;
	uint32_t *line_starts; /* byte offset of each line */
};

/** Bytes [start, end) of a source. */
struct amon_span {
	const struct amon_source *source;
	uint32_t start, end;
};

/** Makes a source of `text`, which is copied into the arena. */
struct amon_source *amon_source_from_text(struct amon_arena *arena, const char *name, const char *text, size_t length);
/**
 * Reads a file ("-": standard input) into the arena.
 * Returns 0, or -errno (-EFBIG where it is longer than AMON_SOURCE_MAX, -EISDIR for a directory); *source is then NULL.
 */
int amon_source_read(struct amon_arena *arena, const char *path, struct amon_source **source);

/** Line and column of an offset, both from 1; columns count bytes. */
void amon_source_position(const struct amon_source *source, uint32_t offset, uint32_t *line, uint32_t *column);
/** The offset of such a place, which may be behind a line's last byte. False: the text has no such place. */
bool amon_source_offset(const struct amon_source *source, uint32_t line, uint32_t column, uint32_t *offset);
/** The text of a line (from 1) without its newline; not NUL-terminated: its length is put into *length. */
const char *amon_source_line(const struct amon_source *source, uint32_t line, uint32_t *length);

#endif
