/* SPDX-License-Identifier: Apache-2.0 */
#include "cli.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio_ext.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

int complain(int status, const char *format, ...)
{
	va_list arguments;

	fputs("amonc: error: ", stderr);
	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fputc('\n', stderr);
	return status;
}

bool use_color(const struct options *options, FILE *to)
{
	const char *no_color = getenv("NO_COLOR");

	if (options->color != COLOR_AUTO)
		return options->color == COLOR_ALWAYS;
	return isatty(fileno(to)) && !(no_color && *no_color);
}

/* --- failures */

/* Anything the kernel or a privilege refuses is 5; what is in the place already, 4. */
static int status_of(int error)
{
	switch (-error) {
	case EBUSY:
	case EEXIST:
	case ENOSPC:
		return EXIT_CONFLICT;
	case EPERM:
	case EACCES:
	case ENODEV:
	case EOPNOTSUPP:
	case ENOSYS:
	case ENOMEM:
	case E2BIG:
		return EXIT_REFUSED;
	default:
		return EXIT_FAILED;
	}
}

int report_failure(const struct options *options, const struct compilation *c, int error, struct amon_failure *failure)
{
	int status = failure->log ? EXIT_REFUSED : status_of(error);

	if (failure->log && c)
		report_refusal(options, c, failure);
	else
		complain(0, "%s", failure->message[0] ? failure->message : strerror(-error));
	amon_failure_clear(failure);
	return status;
}

int load_probe(const struct options *options, const struct compilation *c, struct amon_load_options *load,
               struct amon_loaded **loaded, struct amon_failure *failure)
{
	int error;

	load->verbose = options->verbose;
	error = amon_probe_load(c->object, c->object_size, c->exports, load, loaded, failure);
	if (error)
		return error;
	if (failure->log && options->verbose)
		fputs(failure->log, stderr);
	amon_failure_clear(failure);
	return 0;
}

/* --- output */

FILE *open_output(const struct options *options)
{
	FILE *file;

	if (!options->output || !strcmp(options->output, "-"))
		return stdout;
	file = fopen(options->output, "we");
	if (!file)
		complain(0, "%s: %s", options->output, strerror(errno));
	return file;
}

int close_stream(FILE *file, int error)
{
	if (!error && (fflush(file) || ferror(file)))
		error = errno ? -errno : -EIO;
	if (error)
		__fpurge(file); /* or the exit would write again, and wait for who does not read */
	if (file != stdout && fclose(file) && !error)
		error = -errno;
	return error;
}

int close_output(const struct options *options, FILE *file, int error)
{
	const char *name = file == stdout ? "standard output" : options->output;

	error = close_stream(file, error);
	return error ? complain(EXIT_FAILED, "%s: %s", name, strerror(-error)) : EXIT_DONE;
}

/* --- formats */

int wants_json(const struct options *options)
{
	if (!options->format || !strcmp(options->format, "table"))
		return 0;
	if (!strcmp(options->format, "json"))
		return 1;
	complain(0, "no format `%s` here; there are table and json", options->format);
	return -1;
}

bool format_exists(const struct options *options)
{
	char names[256] = "";

	if (!options->format || amon_format_find(options->format))
		return true;
	for (const struct amon_format *format = amon_formats; format->name; format++) {
		strcat(names, format == amon_formats ? "" : format[1].name ? ", " : " and ");
		strcat(names, format->name);
	}
	complain(0, "no format `%s`; there are %s", options->format, names);
	return false;
}

struct amon_format_options format_options(const struct options *options, FILE *to)
{
	struct amon_format_options result = { .color = use_color(options, to), .width = 0 };
	struct winsize size;

	if (!ioctl(fileno(to), TIOCGWINSZ, &size))
		result.width = size.ws_col;
	return result;
}
