/* SPDX-License-Identifier: Apache-2.0 */
#include "cli.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "compiler/features.h"
#include "compiler/syntax.h"
#include "runtime/frontend.h"
#include "runtime/object.h"

/* An object holds its spec, and much more. */
#define OBJECT_MAX (64u << 20)

static bool is_object(const char *bytes, size_t length)
{
	return length >= 4 && !memcmp(bytes, "\177ELF", 4);
}

/* A built object brings its export table; the rest of it is loaded later. */
static int open_object(struct compilation *c, const char *path)
{
	const char *error = NULL;
	const void *json;
	size_t length;

	if (amon_object_find_section(c->object, c->object_size, AMON_EXPORTS_SECTION, &json, &length))
		return complain(EXIT_SPEC, "%s: not an object that amonc built: it has no export table", path);
	if (!is_sealed(c))
		return complain(EXIT_SPEC, "%s: damaged: it is not as amonc built it", path);
	c->exports = amon_exports_decode(c->arena, json, length, &error);
	if (!c->exports)
		return complain(EXIT_SPEC, "%s: its export table is damaged: %s", path, error);
	decode_users(c);
	return EXIT_DONE;
}

/* Reads a spec up to its limit, an object up to that of objects. Returns the bytes, or NULL with -errno in *error. */
static char *read_bytes(FILE *file, size_t *length, int *error)
{
	char *bytes = malloc(OBJECT_MAX + 1), *shorter;
	size_t limit = AMON_SOURCE_MAX;

	*error = -ENOMEM;
	if (!bytes)
		return NULL;
	errno = 0;
	*length = fread(bytes, 1, limit + 1, file);
	if (is_object(bytes, *length)) {
		limit = OBJECT_MAX;
		*length += fread(bytes + *length, 1, limit + 1 - *length, file);
	}
	*error = ferror(file) ? -errno : *length > limit ? -EFBIG : 0;
	shorter = *error ? NULL : realloc(bytes, *length + 1);
	if (!shorter)
		free(bytes);
	return shorter;
}

static int read_file(struct compilation *c, const char *spec)
{
	bool is_stdin = !strcmp(spec, "-");
	FILE *file = is_stdin ? stdin : fopen(spec, "re");
	size_t length = 0;
	char *bytes;
	int error;

	if (!file)
		return complain(EXIT_FAILED, "%s: %s", spec, strerror(errno));
	bytes = read_bytes(file, &length, &error);
	if (!is_stdin)
		fclose(file);
	if (error == -EFBIG)
		return complain(EXIT_SPEC, "%s: a spec has 1 MiB at most, an object 64 MiB", spec);
	if (!bytes)
		return complain(EXIT_FAILED, "%s: %s", spec, strerror(-error));
	if (is_object(bytes, length)) {
		c->object = bytes;
		c->object_size = length;
		return EXIT_DONE;
	}
	c->source = amon_source_from_text(c->arena, is_stdin ? "<stdin>" : spec, bytes, length);
	free(bytes);
	return EXIT_DONE;
}

static int read_spec(struct compilation *c, const struct options *options, const char *spec)
{
	if (!options->expression)
		return read_file(c, spec);
	if (strlen(spec) > AMON_SOURCE_MAX)
		return complain(EXIT_SPEC, "-e: a spec has 1 MiB at most");
	c->source = amon_source_from_text(c->arena, "<command line>", spec, strlen(spec));
	return EXIT_DONE;
}

static bool all_defines_used(const struct options *options)
{
	for (uint32_t i = 0; i < options->define_count; i++)
		if (!options->defines[i].used)
			return false;
	return true;
}

int compilation_of_object(struct compilation *c, void *object, size_t size, const char *name)
{
	memset(c, 0, sizeof(*c));
	c->arena = amon_arena_new();
	amon_diagnostics_init(&c->diagnostics, c->arena);
	c->object = object;
	c->object_size = size;
	return open_object(c, name);
}

/* Its text to a checked probe; NULL, and the diagnostics say why. */
static struct amon_probe *check_source(struct compilation *c, const struct options *options)
{
	struct amon_check_options check = { options->defines, options->define_count, NULL, 0 };
	struct amon_file *file = options->expression ? amon_parse_fragment(c->arena, c->source, &c->diagnostics)
	                                             : amon_parse(c->arena, c->source, &c->diagnostics);

	compile_users(c, file);
	check.users = c->users;
	check.user_count = c->user_count;
	return amon_check(c->arena, file, &check, &c->diagnostics);
}

int compile_check(struct compilation *c, const struct options *options, const char *spec)
{
	int status;

	memset(c, 0, sizeof(*c));
	c->arena = amon_arena_new();
	amon_diagnostics_init(&c->diagnostics, c->arena);
	status = read_spec(c, options, spec);
	if (status)
		return status;
	if (c->object) {
		if (options->define_count)
			return complain(EXIT_USAGE, "%s is a built object: -D sets params of specs only", spec);
		return open_object(c, spec);
	}
	c->probe = check_source(c, options);
	if (c->probe && all_defines_used(options))
		c->plan = amon_plan(c->arena, c->probe, &c->diagnostics);
	return c->plan ? EXIT_DONE : EXIT_SPEC;
}

void print_diagnostics(const struct compilation *c, const struct options *options)
{
	if (c->diagnostics.errors || !options->quiet)
		amon_diagnostics_print(&c->diagnostics, stderr, use_color(options, stderr));
}

static void emit(struct compilation *c)
{
	c->exports = amon_plan_exports(c->plan);
	c->c = amon_emit(c->plan, &c->lines);
}

int compile_emit(struct compilation *c, const struct options *options, const char *spec)
{
	int status = compile_check(c, options, spec);

	print_diagnostics(c, options);
	if (!status && c->plan)
		emit(c);
	return status;
}

/* What clang says of generated C is a fault of amon's, and told as such. */
static int report_frontend(const struct compilation *c, const struct amon_frontend_result *result, int error)
{
	if (error == -ENOENT)
		return complain(EXIT_FAILED, "%s",
		                result->message_count ? result->messages[0].text : "clang is not installed");
	for (size_t i = 0; i < result->message_count; i++)
		fprintf(stderr, "%s:%u:%u: %s\n", result->messages[i].file, result->messages[i].line,
		        result->messages[i].column, result->messages[i].text);
	return complain(EXIT_FAILED, "the C made from %s does not compile; this is a fault of amon's, please report it",
	                c->source->name);
}

static int add_sections(struct compilation *c)
{
	const char *exports = amon_exports_encode(c->arena, c->exports);
	/* without the path to it, so that the same spec gives the same object everywhere */
	const char *lines = amon_lines_encode(c->arena, basename(c->source->name), &c->lines);
	size_t users_length = 0;
	const char *users = encode_users(c, &users_length);
	const struct {
		const char *name, *text;
		size_t length;
	} sections[] = { { AMON_EXPORTS_SECTION, exports, strlen(exports) },
		         { AMON_SPEC_SECTION, c->source->text, c->source->length },
		         { AMON_SOURCE_SECTION, c->c, strlen(c->c) },
		         { AMON_LINES_SECTION, lines, strlen(lines) },
		         { AMON_USERS_SECTION, users, users_length } };

	int error = 0;

	for (size_t i = 0; i < sizeof(sections) / sizeof(sections[0]) && !error; i++)
		if (sections[i].text)
			error = amon_object_add_section(&c->object, &c->object_size, sections[i].name, sections[i].text,
			                                sections[i].length);
	if (!error)
		error = seal_object(c);
	if (error)
		return complain(EXIT_FAILED, "cannot put the export table into the object: %s", strerror(-error));
	return EXIT_DONE;
}

int compile_c(struct compilation *c)
{
	struct amon_frontend_result result = { 0 };
	int status = EXIT_DONE, error = amon_frontend_compile(amon_arena_printf(c->arena, "%s.bpf.c", c->probe->name),
	                                                      c->c, strlen(c->c), &result);

	if (error) {
		status = report_frontend(c, &result, error);
	} else {
		free(c->object);
		c->object = result.object;
		c->object_size = result.object_size;
		result.object = NULL;
		status = link_users(c);
	}
	amon_frontend_result_free(&result);
	return status;
}

int compile_object(struct compilation *c, const struct options *options, const char *spec)
{
	int status = compile_emit(c, options, spec);

	if (status || c->object)
		return status;
	status = compile_c(c);
	return status ? status : add_sections(c);
}

int compile_without(struct compilation *c, const struct options *options, const struct compilation *whole,
                    uint32_t feature)
{
	memset(c, 0, sizeof(*c));
	c->arena = amon_arena_new();
	amon_diagnostics_init(&c->diagnostics, c->arena);
	c->source = whole->source;
	c->probe = check_source(c, options);
	if (c->probe) {
		amon_feature_leave_out(c->arena, c->probe, feature);
		c->plan = amon_plan(c->arena, c->probe, &c->diagnostics);
	}
	if (!c->plan)
		return complain(EXIT_SPEC, "%s: what is left without a feature is no spec", c->source->name);
	emit(c);
	return compile_c(c);
}

void compilation_free(struct compilation *c)
{
	free(c->object);
	if (c->arena)
		amon_arena_free(c->arena);
}

const char *take_spec(struct options *options)
{
	const char *spec;

	if (options->expression)
		return options->expression;
	if (!options->argument_count)
		return NULL;
	spec = options->arguments[0];
	options->arguments++;
	options->argument_count--;
	return spec;
}

const char *only_spec(struct options *options, const char *command)
{
	const char *spec = take_spec(options);

	if (spec && !options->argument_count)
		return spec;
	if (spec)
		complain(0, "%s takes one spec; what is `%s`?", command, options->arguments[0]);
	else
		complain(0, "%s what? Name a spec, or give one behind -e", command);
	return NULL;
}
