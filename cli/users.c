/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cli.h"
#include "runtime/declarations.h"
#include "runtime/frontend.h"
#include "runtime/link.h"
#include "runtime/object.h"

/* A spec's files of C: read, compiled apart, and at last linked with amon's own. */

/* --- reading */

/* Beside the spec; where that is no file, beside what the shell stands in. */
static const char *path_of(struct compilation *c, const char *written)
{
	char *copy = amon_arena_copy(c->arena, c->source->name, strlen(c->source->name));

	if (*written == '/' || *c->source->name == '<' || !strchr(c->source->name, '/'))
		return written;
	return amon_arena_printf(c->arena, "%s/%s", dirname(copy), written);
}

static bool is_text(const char *bytes, size_t length)
{
	return !memchr(bytes, '\0', length);
}

/* What is wrong with the file, or NULL. */
static const char *read_text(const char *path, char *bytes, size_t *length)
{
	struct stat status;
	FILE *file = fopen(path, "re");
	const char *fault = NULL;

	if (!file)
		return strerror(errno);
	if (fstat(fileno(file), &status) || !S_ISREG(status.st_mode)) {
		fclose(file);
		return "it is no file of text";
	}
	*length = fread(bytes, 1, AMON_SOURCE_MAX + 1, file);
	if (ferror(file))
		fault = strerror(errno);
	else if (*length > AMON_SOURCE_MAX)
		fault = "a file of C has 1 MiB at most";
	else if (!*length)
		fault = "it is empty";
	else if (!is_text(bytes, *length))
		fault = "it holds bytes that are no text";
	fclose(file);
	return fault;
}

static const struct amon_source *read_source(struct compilation *c, const struct amon_statement *statement)
{
	const char *path = path_of(c, statement->value->text), *fault = "out of memory";
	const struct amon_source *source = NULL;
	char *bytes = malloc(AMON_SOURCE_MAX + 1);
	size_t length = 0;

	if (bytes)
		fault = read_text(path, bytes, &length);
	if (fault)
		amon_error(&c->diagnostics, statement->value->span, "cannot use %s: %s", path, fault);
	else
		source = amon_source_from_text(c->arena, path, bytes, length);
	free(bytes);
	return source;
}

/* --- compiling */

static struct amon_span span_at(const struct amon_source *source, uint32_t line, uint32_t column)
{
	uint32_t start;

	if (!amon_source_offset(source, line, column, &start) && !amon_source_offset(source, line, 1, &start))
		return (struct amon_span){ 0 };
	return (struct amon_span){ source, start, start + (start < source->length) };
}

/* Where its place is not in the file itself, it is told of the line that brings the file in. */
static void tell(struct compilation *c, const struct amon_user_file *file, const struct amon_source *source,
                 const struct amon_frontend_message *message)
{
	bool here = message->line && !strcmp(message->file, source->name);
	struct amon_span span = here ? span_at(source, message->line, message->column) : file->statement->value->span;
	const char *text = message->line && !here ? amon_arena_printf(c->arena, "%s:%u:%u: %s", message->file,
	                                                              message->line, message->column, message->text)
	                                          : message->text;

	if (message->severity >= 2)
		amon_error(&c->diagnostics, span, "%s", text);
	else if (message->severity == 1)
		amon_warning(&c->diagnostics, span, "%s", text);
	else if (c->diagnostics.first)
		amon_note(&c->diagnostics, span, "%s", text);
}

static int compile(struct compilation *c, struct amon_user_file *file, const struct amon_source *source,
                   struct amon_frontend_result *result)
{
	char *copy = amon_arena_copy(c->arena, source->name, strlen(source->name));
	const struct amon_frontend_user user = { source->name, source->text, source->length, dirname(copy),
		                                 file->entry };
	int error = amon_frontend_compile_user(&user, result);
	unsigned int errors = c->diagnostics.errors;

	for (size_t i = 0; i < result->message_count; i++)
		tell(c, file, source, &result->messages[i]);
	if (error && c->diagnostics.errors == errors)
		amon_error(&c->diagnostics, file->statement->value->span, "cannot compile %s: %s", source->name,
		           strerror(-error));
	return error;
}

static void compile_user(struct compilation *c, struct amon_user_file *file, struct amon_image *image)
{
	const struct amon_source *source = read_source(c, file->statement);
	struct amon_frontend_result result = { 0 };
	struct amon_failure failure = { .message = "" };

	if (!source)
		return;
	if (!compile(c, file, source, &result)) {
		file->source = source;
		if (amon_declarations(c->arena, &result, file, &failure)) {
			amon_error(&c->diagnostics, file->statement->value->span, "cannot use %s: %s", source->name,
			           failure.message);
			file->source = NULL;
		}
		image->size = result.object_size;
		image->bytes = amon_arena_copy(c->arena, result.object, result.object_size);
	}
	amon_frontend_result_free(&result);
}

/* --- all of a spec's */

typedef void visit_source(struct compilation *c, const struct amon_statement *statement);

static void for_each_source(struct compilation *c, const struct amon_statement *statements, visit_source *visit)
{
	for (; statements; statements = statements->next) {
		if (statements->kind == AMON_STATEMENT_SOURCE)
			visit(c, statements);
		else
			for_each_source(c, statements->body, visit);
	}
}

static void count_source(struct compilation *c, const struct amon_statement *statement)
{
	(void)statement;
	c->user_count++;
}

/* One alone keeps its name. */
static void add_source(struct compilation *c, const struct amon_statement *statement)
{
	uint32_t i = 0;

	while (c->users[i].statement)
		i++;
	c->users[i].statement = statement;
	c->users[i].entry = c->user_count == 1 ? "amon_packet" : amon_arena_printf(c->arena, "amon_packet_%u", i + 1);
	compile_user(c, &c->users[i], &c->images[i + 1]);
}

void compile_users(struct compilation *c, const struct amon_file *file)
{
	for_each_source(c, file->statements, count_source);
	if (!c->user_count)
		return;
	c->users = amon_new_array(c->arena, struct amon_user_file, c->user_count);
	c->images = amon_new_array(c->arena, struct amon_image, c->user_count + 1);
	for_each_source(c, file->statements, add_source);
}

int link_users(struct compilation *c)
{
	struct amon_failure failure = { .message = "" };
	void *linked;
	size_t size;

	if (!c->user_count)
		return EXIT_DONE;
	c->images[0] = (struct amon_image){ c->object, c->object_size };
	if (amon_link(c->images, c->user_count + 1, &linked, &size, &failure))
		return complain(EXIT_SPEC, "%s: the files of C do not go together: %s", c->source->name,
		                failure.message);
	free(c->object);
	c->object = linked;
	c->object_size = size;
	return EXIT_DONE;
}

/* --- in the object */

char *encode_users(const struct compilation *c, size_t *length)
{
	char *bytes = NULL, *copy;
	FILE *to = c->user_count ? open_memstream(&bytes, length) : NULL;

	if (!to)
		return NULL;
	for (uint32_t i = 0; i < c->user_count; i++) {
		const struct amon_source *source = c->users[i].source;
		char *path = amon_arena_copy(c->arena, source->name, strlen(source->name));

		/* without the way to it, as the spec's own name */
		fprintf(to, "%s%c%s%c%s%c", basename(path), 0, c->users[i].entry, 0, source->text, 0);
	}
	fclose(to);
	copy = amon_arena_copy(c->arena, bytes, *length);
	free(bytes);
	return copy;
}

/* The text at *at, which goes behind it; NULL where there is no whole one. */
static const char *next_text(const char **at, const char *end)
{
	const char *text = *at, *nul = memchr(text, '\0', (size_t)(end - text));

	*at = nul ? nul + 1 : end;
	return nul ? text : NULL;
}

void decode_users(struct compilation *c)
{
	const void *bytes;
	size_t length, texts = 0;
	const char *at, *end, *name, *entry, *text;

	if (amon_object_find_section(c->object, c->object_size, AMON_USERS_SECTION, &bytes, &length))
		return;
	at = amon_arena_copy(c->arena, bytes, length);
	end = at + length;
	for (size_t i = 0; i < length; i++)
		texts += !at[i];
	c->users = amon_new_array(c->arena, struct amon_user_file, texts / 3 + 1);
	while ((name = next_text(&at, end)) && (entry = next_text(&at, end)) && (text = next_text(&at, end)))
		c->users[c->user_count++] =
		        (struct amon_user_file){ .source = amon_source_from_text(c->arena, name, text, strlen(text)),
			                         .entry = entry };
}
