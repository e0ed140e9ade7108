/* SPDX-License-Identifier: Apache-2.0 */
#include "listen.h"

#include <bpf/libbpf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LIBBPF        "libbpf: "
#define LOG_BEGINS    "-- BEGIN PROG LOAD LOG --\n"
#define LOG_ENDS      "-- END PROG LOAD LOG --"
#define KERNEL_BEGINS "Kernel error message: "

static _Thread_local struct {
	char warning[512], kernel[512];
	char *log;
} heard;

/* With the line before it, which names the program. */
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
	char *said = strncmp(text, LIBBPF, strlen(LIBBPF)) ? text : text + strlen(LIBBPF);

	if (strstr(text, LOG_BEGINS))
		keep_log(said);
	else if (strstr(text, KERNEL_BEGINS))
		keep_line(heard.kernel, strstr(text, KERNEL_BEGINS) + strlen(KERNEL_BEGINS));
	else if (level == LIBBPF_WARN && !strstr(text, "failed to load object"))
		keep_line(heard.warning, said);
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
