/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli.h"
#include "runtime/reader.h"
#include "runtime/totals.h"

/* --- where they go */

static bool is_directory(const struct options *options)
{
	size_t length = options->output ? strlen(options->output) : 0;

	return length && options->output[length - 1] == '/';
}

/* A file that each document replaces whole, so that who reads it never sees a half: what is no file cannot be. */
static bool is_replaced(const struct documents *d)
{
	struct stat status;

	if (!d->format->latest || !d->options->output || !strcmp(d->options->output, "-"))
		return false;
	return stat(d->options->output, &status) || S_ISREG(status.st_mode);
}

static int open_parts(struct documents *d, const struct amon_exports *exports)
{
	const char *directory = d->options->output;
	uint32_t count = 0;

	if (!d->format->part)
		return complain(EXIT_USAGE, "-o %s: %s is one file; leave out the `/`", directory, d->format->name);
	if (mkdir(directory, 0777) && errno != EEXIST)
		return complain(EXIT_FAILED, "%s: %s", directory, strerror(errno));
	while (d->format->part(d->arena, exports, count))
		count++;
	d->parts = amon_new_array(d->arena, struct part, count);
	for (; d->part_count < count; d->part_count++) {
		struct part *part = &d->parts[d->part_count];

		part->index = d->part_count;
		part->path = amon_arena_printf(d->arena, "%s%s.%s", directory,
		                               d->format->part(d->arena, exports, part->index), d->format->name);
		part->to = fopen(part->path, "we");
		if (!part->to)
			return complain(EXIT_FAILED, "%s: %s", part->path, strerror(errno));
	}
	return EXIT_DONE;
}

static int open_stream(struct documents *d, const struct amon_exports *exports)
{
	int64_t only = d->format->only ? d->format->only(exports) : 0;
	bool named = d->options->output && strcmp(d->options->output, "-");

	if (only < 0)
		return complain(EXIT_USAGE,
		                "%s is a file a table, and this spec has several: write them into a directory, -o DIR/",
		                d->format->name);
	d->parts = amon_new(d->arena, struct part);
	*d->parts = (struct part){
		.path = named ? d->options->output : "standard output",
		.beside = is_replaced(d) ? amon_arena_printf(d->arena, "%s.new", d->options->output) : NULL,
		.index = (uint32_t)only,
	};
	if (!d->parts->beside)
		d->parts->to = open_output(d->options);
	d->part_count = 1;
	return d->parts->beside || d->parts->to ? EXIT_DONE : EXIT_FAILED;
}

/* --- how they look */

/* What a document is shown on; NULL where that is a file that each replaces. */
static FILE *stream_of(const struct documents *d)
{
	return d->part_count ? d->parts[0].to : NULL;
}

static int prepare(struct documents *d, const struct amon_exports *exports, bool follows_time)
{
	struct amon_format_options *options = &d->format_options;
	FILE *to = stream_of(d);
	bool is_table = !strcmp(d->format->name, "table"), adds = amon_exports_reset(exports) && d->format->latest;
	bool live = follows_time && !d->options->quiet && is_table && to && isatty(fileno(to));

	if (to)
		*options = format_options(d->options, to);
	if (live)
		options->live = amon_live_new();
	if (adds)
		options->totals = amon_totals_new(exports);
	if ((live && !options->live) || (adds && !options->totals))
		return complain(EXIT_FAILED, "out of memory");
	return EXIT_DONE;
}

int documents_open(struct documents *d, const struct options *options, const struct amon_exports *exports,
                   enum documents_kind kind)
{
	bool named = options->output && strcmp(options->output, "-") != 0;
	bool terminal = !named && isatty(STDOUT_FILENO);
	int status;

	*d = (struct documents){ .options = options, .arena = amon_arena_new() };
	d->format = amon_format_find(options->format         ? options->format
	                             : terminal              ? "table"
	                             : kind == DOCUMENTS_ONE ? "json"
	                                                     : "jsonl");
	status = is_directory(options) ? open_parts(d, exports) : open_stream(d, exports);
	if (!status)
		status = prepare(d, exports, kind == DOCUMENTS_LIVE);
	if (status)
		documents_close(d);
	return status;
}

/* --- writing */

static int write_part(struct documents *d, const struct part *part, const struct amon_document *document)
{
	d->format_options.part = part->index;
	return d->format->write(document, part->to, &d->format_options);
}

/* Beside the file, and then in its place. */
static int replace(struct documents *d, struct part *part, const struct amon_document *document)
{
	int error;

	part->to = fopen(part->beside, "we");
	if (!part->to)
		return -errno;
	error = write_part(d, part, document);
	if (fclose(part->to) && !error)
		error = -errno;
	part->to = NULL;
	if (!error && rename(part->beside, part->path))
		error = -errno;
	if (error)
		unlink(part->beside);
	return error;
}

static void measure_terminal(struct documents *d)
{
	struct winsize size;

	if (!d->format_options.live || ioctl(fileno(stream_of(d)), TIOCGWINSZ, &size))
		return;
	d->format_options.width = size.ws_col;
	amon_live_size(d->format_options.live, size.ws_col, size.ws_row);
}

int documents_write(struct documents *d, const struct amon_document *document)
{
	measure_terminal(d);
	for (uint32_t i = 0; !d->error && i < d->part_count; i++) {
		d->failed = &d->parts[i];
		d->error = d->failed->beside ? replace(d, d->failed, document) : write_part(d, d->failed, document);
	}
	d->format_options.follows = true;
	return d->error;
}

static void end_part(struct documents *d, struct part *part)
{
	int error = d->error;

	if (!part->to)
		return;
	if (!error && d->format->end && d->format_options.follows)
		error = d->format->end(part->to);
	error = close_stream(part->to, error);
	if (error && !d->error) {
		d->error = error;
		d->failed = part;
	}
}

int documents_close(struct documents *d)
{
	int status = EXIT_DONE;

	for (uint32_t i = 0; i < d->part_count; i++)
		end_part(d, &d->parts[i]);
	if (d->error)
		status = complain(EXIT_FAILED, "%s: %s", d->failed->path, strerror(-d->error));
	amon_live_free(d->format_options.live);
	amon_totals_free(d->format_options.totals);
	amon_arena_free(d->arena);
	return status;
}
