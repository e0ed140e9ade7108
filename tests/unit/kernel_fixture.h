/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AMON_TEST_KERNEL_FIXTURE_H
#define AMON_TEST_KERNEL_FIXTURE_H

#include <stdlib.h>
#include <string.h>

#include "compiler/arena.h"
#include "compiler/diagnostic.h"
#include "compiler/plan.h"
#include "runtime/document.h"
#include "runtime/frontend.h"
#include "runtime/reader.h"

/* A spec, compiled and loaded, to be run packet by packet. */
struct fixture {
	struct amon_arena *arena;
	struct amon_exports *exports;
	const char *c; /* in the arena */
	struct amon_frontend_result object;
	struct amon_loaded *loaded;
};

static inline bool fixture_is_skipped(void)
{
	const char *no_bpf = getenv("AMON_NO_BPF");

	return no_bpf && !strcmp(no_bpf, "1");
}

/* The C with the first line that holds `line` left out; NULL: as it is. */
static inline void fixture_break(char *c, const char *line)
{
	char *at = line ? strstr(c, line) : NULL;

	if (!at)
		return;
	while (at > c && at[-1] != '\n')
		at--;
	/* a statement that does nothing, so that braces and conditions stay whole */
	*at++ = ';';
	while (*at != '\n')
		*at++ = ' ';
}

static inline struct fixture *fixture_load(const char *spec, const char *broken_line,
                                           const struct amon_load_options *load)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct amon_check_options options = { .defines = NULL };
	struct amon_failure failure = { .message = "" };
	struct amon_diagnostics diagnostics;
	struct amon_lines lines;
	struct amon_plan *plan;
	struct amon_file *file;
	char *c;

	f->arena = amon_arena_new();
	amon_diagnostics_init(&diagnostics, f->arena);
	file = amon_parse(f->arena, amon_source_from_text(f->arena, "test.amon", spec, strlen(spec)), &diagnostics);
	plan = amon_plan(f->arena, amon_check(f->arena, file, &options, &diagnostics), &diagnostics);
	f->exports = amon_plan_exports(plan);
	c = amon_emit(plan, &lines);
	fixture_break(c, broken_line);
	f->c = c;
	if (fixture_is_skipped())
		return f;
	if (amon_frontend_compile("test.bpf.c", c, strlen(c), &f->object) ||
	    amon_probe_load(f->object.object, f->object.object_size, f->exports, load, &f->loaded, &failure)) {
		print_error("%s\n", failure.message);
		exit(1);
	}
	return f;
}

static inline struct fixture *fixture_new(const char *spec, const char *broken_line)
{
	return fixture_load(spec, broken_line, &(struct amon_load_options){ .replay = false });
}

static inline void fixture_free(struct fixture *f)
{
	amon_probe_unload(f->loaded);
	amon_frontend_result_free(&f->object);
	amon_arena_free(f->arena);
	free(f);
}

#define SKIP_WITHOUT_BPF()                                                                                             \
	if (fixture_is_skipped())                                                                                      \
	skip()

#endif
