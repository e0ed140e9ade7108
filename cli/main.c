/* SPDX-License-Identifier: Apache-2.0 */
#include <argp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"
#include "compiler/syntax.h"

const char *argp_program_version = "amonc " AMON_VERSION;

static const struct {
	const char *name, *arguments, *help;
	int (*run)(struct options *options);
} commands[] = {
	{ "check", "SPEC…", "diagnose specs", command_check },
	{ "emit", "SPEC [-o FILE]", "the C, self-contained, for audit", command_emit },
	{ "build", "SPEC [-o FILE.o]", "the object, with its export table inside", command_build },
	{ "explain", "SPEC", "what it parses, its maps and bytes, what it exports", command_explain },
	{ "fields", "[PATTERN]", "fields, protocols and aggregations", command_fields },
	{ "replay", "SPEC TRACE", "run the kernel program over a capture", command_replay },
	{ "run", "SPEC -i IFACE", "attach, print each interval, detach at the end", command_run },
};

enum { OPTION_COLOR = 256, OPTION_INTERVAL, OPTION_COUNT };

static const struct argp_option argp_options[] = {
	{ NULL, 'e', "TEXT", 0, "the spec itself: a probe, a section, or what stands in an ingress section", 0 },
	{ NULL, 'D', "NAME=VALUE", 0, "set a param of the spec", 0 },
	{ "interface", 'i', "IFACE", 0, "run: the interface", 0 },
	{ "interval", OPTION_INTERVAL, "TIME", 0, "run: time between reads, such as 1s or 500ms", 0 },
	{ "count", OPTION_COUNT, "N", 0, "run: stop after N reads", 0 },
	{ "format", 'f', "FORMAT", 0, "table, json or jsonl; a table on a terminal, JSON elsewhere", 0 },
	{ "output", 'o', "FILE", 0, "write there instead of to standard output", 0 },
	{ "dry-run", 'n', NULL, 0, "run: all but attaching", 0 },
	{ "quiet", 'q', NULL, 0, "no progress, no warnings", 0 },
	{ "verbose", 'v', NULL, 0, "the verifier's whole log, and how long things took", 0 },
	{ "color", OPTION_COLOR, "WHEN", 0, "auto, always or never", 0 },
	{ NULL, 0, NULL, 0, NULL, 0 },
};

struct parsed {
	struct options options;
	const char *command;
	const char *color;
};

static void add_define(struct argp_state *state, struct options *options, char *text)
{
	char *equals = strchr(text, '=');

	if (!equals || equals == text)
		argp_error(state, "-D %s: write -D NAME=VALUE", text);
	*equals = '\0';
	options->defines = reallocarray(options->defines, options->define_count + 1, sizeof(*options->defines));
	if (!options->defines)
		argp_failure(state, EXIT_FAILED, 0, "out of memory");
	options->defines[options->define_count++] = (struct amon_define){ text, equals + 1, false };
}

/* `500ms`: as durations are written in specs. */
static uint64_t parse_duration(struct argp_state *state, const char *text)
{
	static const struct {
		const char *unit;
		uint64_t nanoseconds;
	} units[] = { { "ns", 1 },	       { "us", 1000 },		{ "ms", 1000000 }, { "s", 1000000000 },
		      { "min", 60000000000 }, { "h", 3600000000000 }, { "d", 86400000000000 } };
	char *end;
	double value = strtod(text, &end);

	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
		if (!strcmp(end, units[i].unit) && end != text && value * units[i].nanoseconds >= 1 &&
		    value * units[i].nanoseconds < 1e18)
			return value * units[i].nanoseconds;
	argp_error(state, "--interval %s: write a time such as 1s, 500ms or 1min", text);
	return 0;
}

static uint64_t parse_count(struct argp_state *state, const char *text)
{
	char *end;
	unsigned long long value = strtoull(text, &end, 10);

	if (*end || end == text || text[0] == '-' || !value)
		argp_error(state, "--count %s: write a number from 1 up", text);
	return value;
}

static error_t parse_option(int key, char *argument, struct argp_state *state)
{
	struct parsed *parsed = state->input;
	struct options *options = &parsed->options;

	switch (key) {
	case 'e':
		options->expression = argument;
		return 0;
	case 'D':
		add_define(state, options, argument);
		return 0;
	case 'i':
		options->interface = argument;
		return 0;
	case OPTION_INTERVAL:
		options->interval = parse_duration(state, argument);
		return 0;
	case OPTION_COUNT:
		options->count = parse_count(state, argument);
		return 0;
	case 'f':
		options->format = argument;
		return 0;
	case 'o':
		options->output = argument;
		return 0;
	case 'n':
		options->dry_run = true;
		return 0;
	case 'q':
		options->quiet = true;
		return 0;
	case 'v':
		options->verbose = true;
		return 0;
	case OPTION_COLOR:
		parsed->color = argument;
		if (strcmp(argument, "auto") && strcmp(argument, "always") && strcmp(argument, "never"))
			argp_error(state, "--color %s: write auto, always or never", argument);
		return 0;
	case ARGP_KEY_ARG:
		if (!parsed->command)
			parsed->command = argument;
		else
			options->arguments[options->argument_count++] = argument;
		return 0;
	case ARGP_KEY_NO_ARGS:
		argp_usage(state);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static char *command_list(int key, const char *text, void *input)
{
	char *list = NULL;
	size_t size;
	FILE *out;

	(void)input;
	if (key != ARGP_KEY_HELP_POST_DOC)
		return (char *)text;
	out = open_memstream(&list, &size);
	fprintf(out, "Commands:\n\n");
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		fprintf(out, "  amonc %-8s %-18s %s\n", commands[i].name, commands[i].arguments, commands[i].help);
	fprintf(out, "\nSPEC is a file, `-` for standard input, or a built object. Exit status: 0 done, 1 failed, 2 usage,\n"
		     "3 the spec is wrong, 4 conflict, 5 the kernel or a privilege refused.\n");
	fclose(out);
	return list;
}

static const struct argp argp = {
	argp_options, parse_option, "COMMAND …", "amon compiles declarative specs of traffic metrics to eBPF and reads them exactly.\v",
	NULL, command_list, NULL,
};

static int run_command(struct parsed *parsed)
{
	const char *names[sizeof(commands) / sizeof(commands[0])], *closest;

	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		names[i] = commands[i].name;
		if (!strcmp(parsed->command, commands[i].name))
			return commands[i].run(&parsed->options);
	}
	closest = amon_closest(parsed->command, names, sizeof(commands) / sizeof(commands[0]));
	return complain(EXIT_USAGE, closest ? "no command `%s`; did you mean `%s`?" : "no command `%s`; see amonc --help",
			parsed->command, closest);
}

static bool use_color(const struct parsed *parsed)
{
	if (parsed->color && strcmp(parsed->color, "auto") != 0)
		return !strcmp(parsed->color, "always");
	return isatty(STDERR_FILENO) && !getenv("NO_COLOR");
}

int main(int argc, char **argv)
{
	struct parsed parsed = { .command = NULL };
	char **arguments = calloc(argc + 1, sizeof(char *));
	int status;

	argp_err_exit_status = EXIT_USAGE;
	parsed.options.arguments = arguments; /* commands take them from the front */
	if (!arguments)
		return complain(EXIT_FAILED, "out of memory");
	argp_parse(&argp, argc, argv, 0, NULL, &parsed);
	parsed.options.color = use_color(&parsed);
	status = run_command(&parsed);
	free(arguments);
	free(parsed.options.defines);
	return status;
}
