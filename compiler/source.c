/* SPDX-License-Identifier: Apache-2.0 */
#include "source.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "arena.h"

static uint32_t count_lines(const char *text, size_t length)
{
	uint32_t lines = 1;
	for (size_t i = 0; i < length; i++)
		lines += text[i] == '\n';
	return lines;
}

struct amon_source *amon_source_from_text(struct amon_arena *arena, const char *name, const char *text, size_t length)
{
	struct amon_source *source = amon_new(arena, struct amon_source);
	source->name = amon_arena_copy(arena, name, strlen(name));
	source->text = amon_arena_copy(arena, text, length);
	source->length = (uint32_t)length;
	source->line_count = count_lines(text, length);
	source->line_starts = amon_new_array(arena, uint32_t, source->line_count);
	for (uint32_t i = 0, line = 1; i < source->length; i++)
		if (text[i] == '\n')
			source->line_starts[line++] = i + 1;
	return source;
}

/* Returns the number of bytes read, at most `size`, or -errno. */
static ssize_t read_all(int fd, char *buffer, size_t size)
{
	size_t length = 0;
	while (length < size) {
		ssize_t n = read(fd, buffer + length, size - length);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		length += (size_t)n;
	}
	return (ssize_t)length;
}

static int read_source(struct amon_arena *arena, const char *name, int fd, struct amon_source **source)
{
	/* One byte more than is allowed, to see that there is more. */
	size_t size = AMON_SOURCE_MAX + 1;
	char *buffer = malloc(size);
	if (!buffer)
		return -ENOMEM;
	ssize_t length = read_all(fd, buffer, size);
	if (length > AMON_SOURCE_MAX)
		length = -EFBIG;
	if (length >= 0)
		*source = amon_source_from_text(arena, name, buffer, (size_t)length);
	free(buffer);
	return length < 0 ? (int)length : 0;
}

int amon_source_read(struct amon_arena *arena, const char *path, struct amon_source **source)
{
	*source = NULL;
	if (strcmp(path, "-") == 0)
		return read_source(arena, "<stdin>", STDIN_FILENO, source);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	int error = read_source(arena, path, fd, source);
	close(fd);
	return error;
}

/* The line, from 0, in which an offset lies: the last that starts at it or before. */
static uint32_t line_of(const struct amon_source *source, uint32_t offset)
{
	uint32_t low = 0, high = source->line_count - 1;
	while (low < high) {
		uint32_t middle = (low + high + 1) / 2;
		if (source->line_starts[middle] <= offset)
			low = middle;
		else
			high = middle - 1;
	}
	return low;
}

void amon_source_position(const struct amon_source *source, uint32_t offset, uint32_t *line, uint32_t *column)
{
	if (offset > source->length)
		offset = source->length;
	uint32_t index = line_of(source, offset);
	*line = index + 1;
	*column = offset - source->line_starts[index] + 1;
}

const char *amon_source_line(const struct amon_source *source, uint32_t line, uint32_t *length)
{
	uint32_t start = source->line_starts[line - 1];
	uint32_t end = line < source->line_count ? source->line_starts[line] - 1 : source->length;
	if (end > start && source->text[end - 1] == '\r')
		end--;
	*length = end - start;
	return source->text + start;
}

bool amon_source_offset(const struct amon_source *source, uint32_t line, uint32_t column, uint32_t *offset)
{
	uint32_t length;

	if (!line || line > source->line_count)
		return false;
	amon_source_line(source, line, &length);
	*offset = source->line_starts[line - 1] + column - 1;
	return column && column <= length + 1;
}
