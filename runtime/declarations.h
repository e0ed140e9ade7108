/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AMON_DECLARATIONS_H
#define AMON_DECLARATIONS_H

#include "compiler/user_file.h"
#include "failure.h"
#include "frontend.h"

struct amon_arena;

/**
 * Reads what a user's file declares from its object: types, sizes and offsets from the BTF, which is what the kernel
 * goes by, places in the text from the compiler. `file->source` and `file->entry` are set already; all that is made
 * lives in the arena. 0, or -errno and a message: no object that can be loaded.
 */
int amon_declarations(struct amon_arena *arena, const struct amon_frontend_result *compiled,
                      struct amon_user_file *file, struct amon_failure *failure);

#endif
