/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AMON_BENCH_PROBE_H
#define AMON_BENCH_PROBE_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "compiler/arena.h"
#include "compiler/diagnostic.h"
#include "compiler/plan.h"
#include "runtime/frontend.h"
#include "runtime/probe.h"

/* A spec on its way to the kernel, for benchmarks: what fails ends the program. */

struct bench_probe {
	struct amon_arena *arena;
	struct amon_exports *exports;
	struct amon_frontend_result object;
};

static inline double bench_now(clockid_t clock)
{
	struct timespec time;

	clock_gettime(clock, &time);
	return (double)time.tv_sec * 1e3 + (double)time.tv_nsec / 1e6;
}

static inline void bench_die(const char *what, const char *why)
{
	fprintf(stderr, "%s: %s\n", what, why);
	exit(1);
}

static inline char *bench_read_file(const char *name)
{
	FILE *file = fopen(name, "r");
	char *text = NULL;
	size_t size = 0;

	if (!file || getdelim(&text, &size, '\0', file) < 0)
		bench_die(name, "cannot be read");
	fclose(file);
	return text;
}

/** Spec to object, all in this process. */
static inline void bench_compile(const char *name, const char *spec, struct bench_probe *probe)
{
	struct amon_check_options options = { .defines = NULL };
	struct amon_diagnostics diagnostics;
	struct amon_plan *plan;
	struct amon_file *file;
	struct amon_lines lines;
	const char *c;

	probe->arena = amon_arena_new();
	amon_diagnostics_init(&diagnostics, probe->arena);
	file = amon_parse(probe->arena, amon_source_from_text(probe->arena, name, spec, strlen(spec)), &diagnostics);
	plan = amon_plan(probe->arena, amon_check(probe->arena, file, &options, &diagnostics), &diagnostics);
	if (!plan)
		bench_die(name, "is no spec");
	probe->exports = amon_plan_exports(plan);
	c = amon_emit(plan, &lines);
	if (amon_frontend_compile(name, c, strlen(c), &probe->object))
		bench_die(name, "does not compile");
}

static inline void bench_free(struct bench_probe *probe)
{
	amon_frontend_result_free(&probe->object);
	amon_arena_free(probe->arena);
}

#endif
