/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AMON_ARENA_H
#define AMON_ARENA_H

#include <stdarg.h>
#include <stddef.h>

/**
 * The one allocation style of the compiler: memory that lives as long as the compilation.
 * Nothing taken from an arena is freed by itself. Running out of memory ends the process (abort), as it
 * would under overcommit anyway, so callers need not check.
 */
struct amon_arena;

struct amon_arena *amon_arena_new(void);
void amon_arena_free(struct amon_arena *arena);
static inline void amon_arena_cleanup(struct amon_arena **arena)
{
	amon_arena_free(*arena);
}

/** Zeroed memory, aligned for any type. */
void *amon_arena_alloc(struct amon_arena *arena, size_t size);
/** A NUL-terminated copy of `length` bytes at `text`. */
char *amon_arena_copy(struct amon_arena *arena, const char *text, size_t length);
char *amon_arena_printf(struct amon_arena *arena, const char *format, ...) __attribute__((format(printf, 2, 3)));
char *amon_arena_vprintf(struct amon_arena *arena, const char *format, va_list arguments);

#define amon_new(arena, type)          ((type *)amon_arena_alloc(arena, sizeof(type)))
#define amon_new_array(arena, type, n) ((type *)amon_arena_alloc(arena, sizeof(type) * (n)))

#endif
