/* SPDX-License-Identifier: Apache-2.0 */
#include "listen.h"

#include <bpf/libbpf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOG_BEGINS    "-- BEGIN PROG LOAD LOG --\n"
#define LOG_ENDS      "-- END PROG LOAD LOG --"
#define KERNEL_BEGINS "Kernel error message: "

static _Thread_local struct {
	char warning[512], kernel[512];
	char *log;
} heard;

static void keep_log(char *begin)
{
	char *end = strstr(begin, LOG_ENDS), *log;

	if (end)
		*end = '\0';
	if (asprintf(&log, "%s%s", heard.log ? heard.log : "", begin) < 0)
		return;
	free(heard.log);
	heard.log = log;
}

static void keep_line(char line[static 512], const char *text)
{
	snprintf(line, 512, "%.*s", (int)strcspn(text, "\n"), text);
}

static void keep(enum libbpf_print_level level, char *text)
{
	char *log = strstr(text, LOG_BEGINS);

	if (log)
		keep_log(log + strlen(LOG_BEGINS));
	else if (strstr(text, KERNEL_BEGINS))
		keep_line(heard.kernel, strstr(text, KERNEL_BEGINS) + strlen(KERNEL_BEGINS));
	else if (level == LIBBPF_WARN && !strstr(text, "failed to load object"))
		keep_line(heard.warning, strncmp(text, "libbpf: ", 8) ? text : text + 8);
}

/* Most of what libbpf says is of no use: only a warning, or a log that was asked for, is worth its formatting. */
__attribute__((format(printf, 2, 0))) static int hear(enum libbpf_print_level level, const char *format,
                                                      va_list arguments)
{
	char *text;

	if (level != LIBBPF_WARN && !strstr(format, LOG_BEGINS))
		return 0;
	if (vasprintf(&text, format, arguments) < 0)
		return 0;
	keep(level, text);
	free(text);
	return 0;
}

void amon_listen(void)
{
	libbpf_set_print(hear);
	free(heard.log);
	memset(&heard, 0, sizeof(heard));
}

const char *amon_heard(void)
{
	return heard.warning;
}

const char *amon_heard_kernel(void)
{
	return heard.kernel;
}

char *amon_heard_log(void)
{
	char *log = heard.log;

	heard.log = NULL;
	return log;
}
