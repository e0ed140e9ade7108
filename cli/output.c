/* SPDX-License-Identifier: Apache-2.0 */
#include "cli.h"

#include <errno.h>
#include <stdarg.h>
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

/* Anything the kernel or a privilege refuses is 5. */
static int status_of(int error)
{
	switch (-error) {
	case EPERM:
	case EACCES:
	case ENODEV:
	case EOPNOTSUPP:
	case ENOSYS:
	case EBUSY:
	case ENOMEM:
	case E2BIG:
		return EXIT_REFUSED;
	default:
		return EXIT_FAILED;
	}
}

int report_failure(const struct options *options, int error, struct amon_failure *failure)
{
	complain(0, "%s", failure->message[0] ? failure->message : strerror(-error));
	if (failure->log && options->verbose)
		fputs(failure->log, stderr);
	else if (failure->log)
		fputs("amonc: -v shows the verifier's whole log\n", stderr);
	if (failure->log) {
		amon_failure_clear(failure);
		return EXIT_REFUSED;
	}
	amon_failure_clear(failure);
	return status_of(error);
}

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

int close_output(const struct options *options, FILE *file)
{
	bool failed = fflush(file) || ferror(file);

	if (file != stdout)
		failed |= fclose(file) != 0;
	if (failed)
		return complain(EXIT_FAILED, "%s: %s", options->output ? options->output : "standard output",
		                strerror(errno));
	return EXIT_DONE;
}

const struct amon_format *choose_format(const struct options *options, FILE *to, bool many)
{
	const char *name = options->format;
	const struct amon_format *format;

	if (!name)
		name = isatty(fileno(to)) ? "table" : many ? "jsonl" : "json";
	format = amon_format_find(name);
	if (!format)
		complain(0, "no format `%s`; there are table, json and jsonl", name);
	return format;
}

struct amon_format_options format_options(const struct options *options, FILE *to)
{
	struct amon_format_options result = { .color = options->color && isatty(fileno(to)), .width = 0 };
	struct winsize size;

	if (!ioctl(fileno(to), TIOCGWINSZ, &size))
		result.width = size.ws_col;
	return result;
}
