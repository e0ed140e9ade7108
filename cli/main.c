/* SPDX-License-Identifier: Apache-2.0 */
#include <getopt.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"
#include "compiler/syntax.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Flags that have no letter. */
enum { FLAG_COLOR = 'C', FLAG_COUNT = 'N', FLAG_INTERVAL = 'T', FLAG_VERSION = 'V' };

static const struct command {
	const char *name, *arguments, *help;
	const char *flags; /* that it takes beside those of every command */
	int (*run)(struct options *options);
} commands[] = {
	{ "check", "SPEC...", "diagnose specs", "eDf", command_check },
	{ "emit", "SPEC", "the C, self-contained, for audit", "eDo", command_emit },
	{ "build", "SPEC", "the object, with its export table inside", "eDo", command_build },
	{ "explain", "SPEC", "what it parses, its maps and bytes, what it exports", "eDf", command_explain },
	{ "fields", "[PATTERN]", "fields, protocols and aggregations", "f", command_fields },
	{ "replay", "SPEC TRACE", "run the kernel program over a capture", "eDfo", command_replay },
	{ "run", "SPEC -i IFACE", "attach, print each interval, detach at the end", "eDfionNT", command_run },
};

static const struct flag {
	int key;
	const char *name, *argument, *help;
} flags[] = {
	{ 'e', NULL, "TEXT", "the spec itself: a probe, a section, or what stands in an ingress section" },
	{ 'D', NULL, "NAME=VALUE", "set a param of the spec" },
	{ 'i', "interface", "IFACE", "run: the interface" },
	{ FLAG_INTERVAL, "interval", "TIME", "run: time between reads, such as 1s or 500ms" },
	{ FLAG_COUNT, "count", "N", "run: stop after N reads" },
	{ 'f', "format", "FORMAT", "table, json or jsonl; a table on a terminal, JSON elsewhere" },
	{ 'o', "output", "FILE", "write there: emit, build (else PROBE.o), replay, run" },
	{ 'n', "dry-run", NULL, "run: all but attaching" },
	{ 'q', "quiet", NULL, "no progress, no warnings" },
	{ 'v', "verbose", NULL, "the verifier's whole log" },
	{ FLAG_COLOR, "color", "WHEN", "auto, always or never" },
	{ 'h', "help", NULL, "this text" },
	{ FLAG_VERSION, "version", NULL, "the version" },
};

/* --- help */

static int print_help(void)
{
	printf("Usage: amonc COMMAND [FLAG...] [ARGUMENT...]\n"
	       "amon compiles declarative specs of traffic metrics to eBPF and reads them exactly.\n\n");
	for (size_t i = 0; i < COUNT(commands); i++)
		printf("  amonc %-8s %-14s %s\n", commands[i].name, commands[i].arguments, commands[i].help);
	putchar('\n');
	for (const struct flag *flag = flags; flag < flags + COUNT(flags); flag++)
		printf("  %c%c%s%s%-*s%s\n", flag->key > 'Z' || !flag->name ? '-' : ' ',
		       flag->key > 'Z' || !flag->name ? flag->key : ' ', flag->name ? " --" : " ",
		       flag->name ? flag->name : "",
		       (int)(26 - (flag->name ? strlen(flag->name) + 2 : 0)),
		       flag->argument ? flag->argument : "", flag->help);
	printf("\nSPEC is a file, `-` for standard input, or a built object. Exit status: 0 done, 1 failed, 2 usage,\n"
	       "3 the spec is wrong, 4 conflict, 5 the kernel or a privilege refused.\n");
	return close_output(NULL, stdout);
}
