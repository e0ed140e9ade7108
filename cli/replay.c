/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/replay.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"
#include "runtime/kernel.h"

struct sink {
	struct documents documents;
	bool shows_progress;
};

static int write_window(const struct amon_document *document, void *data)
{
	struct sink *sink = data;

	if (sink->shows_progress)
		fputs("\r\033[K", stderr);
	return documents_write(&sink->documents, document);
}

static void show_progress(uint64_t done, uint64_t total, void *data)
{
	static const char bar[] = "########################################";
	struct sink *sink = data;
	int percent = total ? done * 100 / total : 0;

	if (sink->shows_progress && total)
		fprintf(stderr, "\r[%-40.*s] %3d %%", percent * 40 / 100, bar, percent);
}

static int replay(const struct options *options, const struct compilation *c, const char *trace)
{
	struct amon_load_options load = { .replay = true };
	struct amon_loaded *loaded __attribute__((cleanup(amon_probe_cleanup))) = NULL;
	struct amon_failure failure = { .message = "" };
	struct sink sink = { .shows_progress = isatty(STDERR_FILENO) && !options->quiet };
	struct amon_replay_options replay_options = { write_window, &sink, show_progress, options->local,
		                                      options->local_count };
	int error, status;

	status = documents_open(&sink.documents, options, c->exports,
	                        c->exports->window ? DOCUMENTS_SEVERAL : DOCUMENTS_ONE);
	if (status)
		return status;
	error = amon_kernel_check(&failure);
	if (!error)
		error = load_probe(options, c, &load, &loaded, &failure);
	if (!error)
		error = amon_replay(loaded, trace, &replay_options, &failure);
	if (sink.shows_progress)
		fputs("\r\033[K", stderr);
	if (loaded && error == -EACCES) /* a file that may not be read: nothing of the kernel's */
		error = -EIO;
	status = documents_close(&sink.documents);
	return error && !sink.documents.error ? report_failure(options, c, error, &failure) : status;
}

int command_replay(struct options *options)
{
	const char *spec = take_spec(options);
	struct compilation c;
	int status;

	if (!spec || options->argument_count != 1)
		return complain(EXIT_USAGE, "write amonc replay SPEC TRACE");
	if (!format_exists(options))
		return EXIT_USAGE;
	status = compile_object(&c, options, spec);
	if (!status)
		status = replay(options, &c, options->arguments[0]);
	compilation_free(&c);
	return status;
}
