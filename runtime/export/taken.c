/* SPDX-License-Identifier: Apache-2.0 */
#include "taken.h"

#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "export.h"

static int compare(const void *a, const void *b)
{
	return strcmp(a, b);
}

static void keep(void *name)
{
	(void)name;
}

bool amon_taken_has(const struct amon_taken *taken, const char *name)
{
	return tfind(name, &taken->tree, compare);
}

/* As in an arena, running out of memory ends the process. */
void amon_taken_add(struct amon_taken *taken, const char *name)
{
	if (!tsearch(name, &taken->tree, compare))
		abort();
}

char *amon_taken_identifier(struct amon_taken *taken, struct amon_arena *arena, const char *name, const char *also)
{
	char *text = amon_identifier(arena, name, also);

	while (amon_taken_has(taken, text))
		text = amon_arena_printf(arena, "%s_", text);
	amon_taken_add(taken, text);
	return text;
}

void amon_taken_free(struct amon_taken *taken)
{
	tdestroy(taken->tree, keep);
}
