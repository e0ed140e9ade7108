/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AMON_TAKEN_H
#define AMON_TAKEN_H

#include <stdbool.h>

#include "compiler/arena.h"

/** Names that are taken. All zeros is none of them; it keeps what it is given, which must live as long. */
struct amon_taken {
	void *tree;
};

bool amon_taken_has(const struct amon_taken *taken, const char *name);
void amon_taken_add(struct amon_taken *taken, const char *name);
/** The name as an identifier (amon_identifier) that nobody has yet, with as many `_` behind it as that takes; taken. */
char *amon_taken_identifier(struct amon_taken *taken, struct amon_arena *arena, const char *name, const char *also);
void amon_taken_free(struct amon_taken *taken);

#endif
