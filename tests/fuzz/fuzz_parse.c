/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes at all: the parser says what is wrong with them, and neither crashes nor hangs. */
#include <stdlib.h>
#include <string.h>

#include "compiler/arena.h"
#include "compiler/diagnostic.h"
#include "compiler/syntax.h"

static FILE *nowhere;

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	nowhere = fopen("/dev/null", "w");
	return nowhere ? 0 : -1;
}

typedef struct amon_file *parse_function(struct amon_arena *, const struct amon_source *, struct amon_diagnostics *);

static void check_span(const struct amon_source *source, struct amon_span span)
{
	if (span.start > span.end || span.end > source->length)
		abort();
}

static unsigned int visit(const struct amon_source *source, const struct amon_statement *statement, unsigned int level)
{
	unsigned int count = 0;
	if (level > AMON_NESTING_MAX)
		abort();
	for (; statement; statement = statement->next) {
		check_span(source, statement->span);
		check_span(source, statement->head);
		count += 1 + visit(source, statement->body, level + 1);
	}
	return count;
}

static void parse_with(parse_function *parse, const uint8_t *data, size_t size)
{
	struct amon_arena *arena = amon_arena_new();
	struct amon_diagnostics diagnostics;
	amon_diagnostics_init(&diagnostics, arena);
	struct amon_source *source = amon_source_from_text(arena, "fuzz", (const char *)data, size);
	struct amon_file *file = parse(arena, source, &diagnostics);
	if (!file)
		abort();
	visit(source, file->statements, 0);
	amon_diagnostics_print(&diagnostics, nowhere, true);
	amon_diagnostics_print_json(&diagnostics, nowhere);
	amon_arena_free(arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size > AMON_SOURCE_MAX)
		return -1;
	parse_with(amon_parse, data, size);
	parse_with(amon_parse_fragment, data, size);
	return 0;
}
