/* SPDX-License-Identifier: Apache-2.0 */
#include "arena.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK_SIZE (64 * 1024)

struct chunk {
	struct chunk *next;
	size_t used, size;
	_Alignas(max_align_t) char bytes[];
};

struct amon_arena {
	struct chunk *chunks; /* the first is the one that is filled */
};

static void *must(void *memory)
{
	if (!memory)
		abort();
	return memory;
}

struct amon_arena *amon_arena_new(void)
{
	return must(calloc(1, sizeof(struct amon_arena)));
}

void amon_arena_free(struct amon_arena *arena)
{
	if (!arena)
		return;
	for (struct chunk *chunk = arena->chunks, *next; chunk; chunk = next) {
		next = chunk->next;
		free(chunk);
	}
	free(arena);
}

static struct chunk *chunk_new(size_t size)
{
	if (size > SIZE_MAX / 2)
		abort();
	struct chunk *chunk = must(calloc(1, sizeof(*chunk) + size));
	chunk->size = size;
	return chunk;
}

/* What is larger than a quarter of a chunk gets one of its own, behind the one that is being filled. */
static void *alloc_large(struct amon_arena *arena, size_t size)
{
	struct chunk *chunk = chunk_new(size);
	struct chunk **place = arena->chunks ? &arena->chunks->next : &arena->chunks;
	chunk->used = size;
	chunk->next = *place;
	*place = chunk;
	return chunk->bytes;
}

void *amon_arena_alloc(struct amon_arena *arena, size_t size)
{
	size_t mask = _Alignof(max_align_t) - 1;
	if (size > CHUNK_SIZE / 4)
		return alloc_large(arena, size);
	size = (size + mask) & ~mask;
	if (!arena->chunks || arena->chunks->used + size > arena->chunks->size) {
		struct chunk *chunk = chunk_new(CHUNK_SIZE);
		chunk->next = arena->chunks;
		arena->chunks = chunk;
	}
	void *memory = arena->chunks->bytes + arena->chunks->used;
	arena->chunks->used += size;
	return memory;
}

char *amon_arena_copy(struct amon_arena *arena, const char *text, size_t length)
{
	char *copy = amon_arena_alloc(arena, length + 1);
	if (length)
		memcpy(copy, text, length);
	return copy;
}

char *amon_arena_vprintf(struct amon_arena *arena, const char *format, va_list arguments)
{
	va_list again;
	va_copy(again, arguments);
	int length = vsnprintf(NULL, 0, format, again);
	va_end(again);
	if (length < 0)
		abort();
	char *text = amon_arena_alloc(arena, (size_t)length + 1);
	vsnprintf(text, (size_t)length + 1, format, arguments);
	return text;
}

char *amon_arena_printf(struct amon_arena *arena, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	char *text = amon_arena_vprintf(arena, format, arguments);
	va_end(arguments);
	return text;
}
