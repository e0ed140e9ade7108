/* SPDX-License-Identifier: Apache-2.0 */
#include "lines.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arena.h"

char *amon_lines_encode(struct amon_arena *arena, const char *name, const struct amon_lines *lines)
{
	char *text = NULL, *result;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);

	fprintf(out, "%s\n", name);
	for (uint32_t i = 0; i < lines->count; i++)
		fprintf(out, "%u %u %u\n", lines->lines[i].line, lines->lines[i].start, lines->lines[i].end);
	fclose(out);
	result = amon_arena_copy(arena, text, size);
	free(text);
	return result;
}

static uint32_t count_lines(const char *text)
{
	uint32_t count = 0;

	for (; (text = strchr(text, '\n')); text++)
		count++;
	return count;
}

static bool read_line(const char *text, struct amon_line *line)
{
	return sscanf(text, "%u %u %u\n", &line->line, &line->start, &line->end) == 3 && line->start <= line->end;
}

int amon_lines_decode(struct amon_arena *arena, const char *bytes, size_t length, const char **name,
                      struct amon_lines *lines)
{
	const char *text = amon_arena_copy(arena, bytes, length);
	uint32_t count = count_lines(text), before = 0;

	if (!count)
		return -EINVAL;
	*name = amon_arena_copy(arena, text, strcspn(text, "\n"));
	*lines = (struct amon_lines){ amon_new_array(arena, struct amon_line, count), count - 1 };
	for (uint32_t i = 0; i < lines->count; i++) {
		text = strchr(text, '\n') + 1;
		if (!read_line(text, &lines->lines[i]) || lines->lines[i].line < before)
			return -EINVAL;
		before = lines->lines[i].line;
	}
	return 0;
}

struct amon_span amon_lines_find(const struct amon_lines *lines, const struct amon_source *source, uint32_t line)
{
	const struct amon_line *last = NULL;

	for (uint32_t i = 0; i < lines->count && lines->lines[i].line <= line; i++)
		last = &lines->lines[i];
	if (!last || last->start == last->end || last->end > source->length)
		return (struct amon_span){ 0 };
	return (struct amon_span){ source, last->start, last->end };
}
