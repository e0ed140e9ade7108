/* SPDX-License-Identifier: Apache-2.0 */
#include <getopt.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "compiler/syntax.h"
#include "runtime/kernel.h"

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

static const struct command {
	const char *name, *arguments, *help;
	const char *flags; /* that it takes beside those of every command */
	int (*run)(struct options *options);
} commands[] = {
	{ "check", "SPEC...", "diagnose specs", "eDf", command_check },
	{ "emit", "SPEC", "the C, self-contained, for audit", "eDo", command_emit },
	{ "build", "SPEC", "the object, with its export table inside", "eDo", command_build },
	{ "explain", "SPEC [TRACE]", "what it parses, its maps and bytes, what it exports", "eDfmt", command_explain },
	{ "fields", "[PATTERN]", "fields, protocols and aggregations", "f", command_fields },
	{ "replay", "SPEC TRACE", "run the kernel program over a capture", "eDfolt", command_replay },
	{ "run", "SPEC -i IFACE", "attach, print each interval, detach at the end", "eDfoinct", command_run },
	{ "deploy", "SPEC -i IFACE", "attach, and leave it running", "eDint", command_deploy },
	{ "list", "", "the probes that run", "f", command_list },
	{ "read", "NAME", "what a probe has counted", "focFt", command_read },
	{ "show", "NAME", "its spec, or its C", "os", command_show },
	{ "replace", "NAME SPEC", "put another in its place, without a gap", "eDnt", command_replace },
	{ "diff", "NAME SPEC", "what differs; status 1 where anything does", "eD", command_diff },
	{ "remove", "NAME", "detach it; rows that are open are its last read", "fo", command_remove },
};

/* Flags without a letter. */
enum { FLAG_COLOR = 1, FLAG_COUNT, FLAG_INTERVAL, FLAG_LOCAL, FLAG_FOLLOW, FLAG_SOURCE, FLAG_TARGET, FLAG_MEASURE };

static const struct flag {
	int key;
	char taken_with; /* a letter in a command's `flags`; 0: every command takes it */
	const char *name, *argument, *help;
} flags[] = {
	{ 'e', 'e', NULL, "TEXT", "the spec itself: a probe, a section, or what stands in an ingress section" },
	{ 'D', 'D', NULL, "NAME=VALUE", "set a param of the spec" },
	{ 'i', 'i', "interface", "IFACE", "run, deploy: the interface" },
	{ FLAG_INTERVAL, 'c', "interval", "TIME", "run, read: time between reads, such as 1s or 500ms" },
	{ FLAG_COUNT, 'c', "count", "N", "run, read: stop after N reads" },
	{ FLAG_FOLLOW, 'F', "follow", NULL, "read: again and again, on the clock" },
	{ FLAG_SOURCE, 's', "source", NULL, "show: the C" },
	{ 'n', 'n', "dry-run", NULL, "run, deploy, replace: all but attaching" },
	{ FLAG_LOCAL, 'l', "local", "PREFIX", "replay: packets from there go out, all others come in" },
	{ FLAG_MEASURE, 'm', "measure", NULL, "explain: what each feature costs here, over TRACE or made traffic" },
	{ 'f', 'f', "format", "FORMAT", "how to print it; a table on a terminal, JSON elsewhere" },
	{ 'o', 'o', "output", "FILE", "write there, csv: to DIR/, instead of to standard output; build: to PROBE.o" },
	{ FLAG_TARGET, 't', "target", "LIST",
	  "do without: no-batch, no-mapped-tables, no-native-xdp, no-ringbuf, no-tcx" },
	{ 'q', 0, "quiet", NULL, "no progress, no warnings" },
	{ 'v', 0, "verbose", NULL, "the verifier's whole log" },
	{ FLAG_COLOR, 0, "color", "WHEN", "auto, always or never" },
	{ 'h', 0, "help", NULL, "this text" },
	{ 'V', 0, "version", NULL, "the version" },
};

struct parsed {
	struct options options;
	const char *command;
	uint32_t given; /* of flags[], a bit each */
	bool help, version;
};

/* --- help */

static void print_flag(const struct flag *flag)
{
	char name[64], letter[] = "    ";

	if (flag->key > ' ')
		snprintf(letter, sizeof(letter), "-%c%s", flag->key, flag->name ? ", " : " ");
	snprintf(name, sizeof(name), "%-4s%s%s%s%s", letter, flag->name ? "--" : "", flag->name ? flag->name : "",
	         flag->name && flag->argument ? "=" : "", flag->argument ? flag->argument : "");
	printf("  %-23s %s\n", name, flag->help);
}

static int print_help(void)
{
	printf("Usage: amonc COMMAND [FLAG...] [ARGUMENT...]\n"
	       "amon compiles declarative specs of traffic metrics to eBPF and reads them exactly.\n\n");
	for (size_t i = 0; i < COUNT_OF(commands); i++)
		printf("  amonc %-8s %-14s %s\n", commands[i].name, commands[i].arguments, commands[i].help);
	putchar('\n');
	for (size_t i = 0; i < COUNT_OF(flags); i++)
		print_flag(&flags[i]);
	printf("\nreplay and run write these formats; explain writes json, xsd and json-schema, check and fields "
	       "json:\n");
	for (const struct amon_format *format = amon_formats; format->name; format++)
		printf("  %-23s %s\n", format->name, format->help);
	printf("\nSPEC is a file, `-` for standard input, or a built object. Exit status: 0 done, 1 failed, 2 usage,\n"
	       "3 the spec is wrong, 4 conflict, 5 the kernel or a privilege refused.\n");
	return close_output(&(struct options){ 0 }, stdout, 0);
}

static int print_version(void)
{
	puts("amonc " AMON_VERSION);
	return close_output(&(struct options){ 0 }, stdout, 0);
}

/* --- flags */

static int add_define(struct options *options, char *text)
{
	char *equals = strchr(text, '=');

	if (!equals || equals == text)
		return complain(EXIT_USAGE, "-D %s: write -D NAME=VALUE", text);
	*equals = '\0';
	options->defines = reallocarray(options->defines, options->define_count + 1, sizeof(*options->defines));
	if (!options->defines)
		return complain(EXIT_FAILED, "out of memory");
	options->defines[options->define_count++] = (struct amon_define){ text, equals + 1, false };
	return EXIT_DONE;
}

/* `500ms`: as durations are written in specs. */
static int read_interval(struct options *options, const char *text)
{
	static const struct {
		const char *unit;
		uint64_t nanoseconds;
	} units[] = {
		{ "ns", 1 },
		{ "us", 1000 },
		{ "ms", 1000000 },
		{ "s", 1000000000 },
		{ "min", 60000000000 },
		{ "h", 3600000000000 },
		{ "d", 86400000000000 },
	};
	char *end;
	double value = strtod(text, &end);

	for (size_t i = 0; i < COUNT_OF(units); i++)
		if (!strcmp(end, units[i].unit) && value * units[i].nanoseconds >= 1 &&
		    value * units[i].nanoseconds < 1e18) {
			options->interval = value * units[i].nanoseconds;
			return EXIT_DONE;
		}
	return complain(EXIT_USAGE, "--interval %s: write a time such as 1s, 500ms or 1min", text);
}

static int read_count(struct options *options, const char *text)
{
	char *end;

	options->count = strtoull(text, &end, 10);
	if (*end || text[0] < '0' || text[0] > '9' || !options->count)
		return complain(EXIT_USAGE, "--count %s: write a number from 1 up", text);
	return EXIT_DONE;
}

static int add_local(struct options *options, const char *text)
{
	options->local = reallocarray(options->local, options->local_count + 1, sizeof(*options->local));
	if (!options->local)
		return complain(EXIT_FAILED, "out of memory");
	if (!amon_prefix_read(text, &options->local[options->local_count]))
		return complain(EXIT_USAGE, "--local %s: write an address or a prefix such as 192.0.2.0/24", text);
	options->local_count++;
	return EXIT_DONE;
}

static int read_target(const char *list)
{
	struct amon_failure failure = { .message = "" };

	return amon_kernel_pretend(list, &failure) ? complain(EXIT_USAGE, "--target %s: %s", list, failure.message)
	                                           : EXIT_DONE;
}

static int read_color(struct options *options, const char *text)
{
	static const char *const words[] = {
		[COLOR_AUTO] = "auto", [COLOR_ALWAYS] = "always", [COLOR_NEVER] = "never"
	};

	for (size_t i = 0; i < COUNT_OF(words); i++)
		if (!strcmp(text, words[i])) {
			options->color = i;
			return EXIT_DONE;
		}
	return complain(EXIT_USAGE, "--color %s: write auto, always or never", text);
}

static int read_flag(struct parsed *parsed, int key, char *argument)
{
	struct options *options = &parsed->options;

	switch (key) {
	case 'e':
		options->expression = argument;
		return EXIT_DONE;
	case 'D':
		return add_define(options, argument);
	case 'i':
		options->interface = argument;
		return EXIT_DONE;
	case FLAG_INTERVAL:
		return read_interval(options, argument);
	case FLAG_COUNT:
		return read_count(options, argument);
	case FLAG_LOCAL:
		return add_local(options, argument);
	case FLAG_TARGET:
		return read_target(argument);
	case FLAG_FOLLOW:
		options->follow = true;
		return EXIT_DONE;
	case FLAG_MEASURE:
		options->measure = true;
		return EXIT_DONE;
	case FLAG_SOURCE:
		options->source = true;
		return EXIT_DONE;
	case 'n':
		options->dry_run = true;
		return EXIT_DONE;
	case 'f':
		options->format = argument;
		return EXIT_DONE;
	case 'o':
		options->output = argument;
		return EXIT_DONE;
	case 'q':
		options->quiet = true;
		return EXIT_DONE;
	case 'v':
		options->verbose = true;
		return EXIT_DONE;
	case FLAG_COLOR:
		return read_color(options, argument);
	case 'h':
		parsed->help = true;
		return EXIT_DONE;
	default:
		parsed->version = true;
		return EXIT_DONE;
	}
}

static const struct flag *find_flag(int key)
{
	for (size_t i = 0; i < COUNT_OF(flags); i++)
		if (flags[i].key == key)
			return &flags[i];
	return NULL;
}

/* "--interface", or "-e" where that is the only name. */
static const char *flag_name(const struct flag *flag)
{
	static char name[32];

	if (flag->name)
		snprintf(name, sizeof(name), "--%s", flag->name);
	else
		snprintf(name, sizeof(name), "-%c", flag->key);
	return name;
}

/* getopt_long() leaves what it did not like in optopt, or, where that is a word, only in the arguments. */
static int complain_flag(int result, const char *word)
{
	const char *names[COUNT_OF(flags)], *closest;
	const struct flag *flag = find_flag(optopt);
	size_t count = 0;

	if (flag)
		return complain(EXIT_USAGE, result == ':' ? "%s needs a value" : "%s takes no value", flag_name(flag));
	if (optopt)
		return complain(EXIT_USAGE, "no flag -%c; see amonc --help", optopt);
	for (size_t i = 0; i < COUNT_OF(flags); i++)
		if (flags[i].name)
			names[count++] = flags[i].name;
	closest = amon_closest(strndupa(word + 2, strcspn(word + 2, "=")), names, count);
	return complain(EXIT_USAGE, closest ? "no flag %s; did you mean --%s?" : "no flag %s; see amonc --help", word,
	                closest);
}

/* What getopt_long() wants to know of flags[]. */
static void describe_flags(struct option *names, char *letters)
{
	*letters++ = ':';
	for (size_t i = 0; i < COUNT_OF(flags); i++) {
		if (flags[i].key > ' ') {
			*letters++ = flags[i].key;
			if (flags[i].argument)
				*letters++ = ':';
		}
		if (flags[i].name)
			*names++ = (struct option){ flags[i].name, flags[i].argument ? required_argument : no_argument,
				                    NULL, flags[i].key };
	}
	*letters = '\0';
	*names = (struct option){ 0 };
}

static int parse(int argc, char **argv, struct parsed *parsed)
{
	struct option names[COUNT_OF(flags) + 1];
	char letters[2 * COUNT_OF(flags) + 2];
	int key, status;

	describe_flags(names, letters);
	while ((key = getopt_long(argc, argv, letters, names, NULL)) != -1) {
		if (key == '?' || key == ':')
			return complain_flag(key, argv[optind - 1]);
		status = read_flag(parsed, key, optarg);
		if (status)
			return status;
		for (size_t i = 0; i < COUNT_OF(flags); i++)
			parsed->given |= (uint32_t)(flags[i].key == key) << i;
	}
	parsed->command = argv[optind];
	parsed->options.arguments = argv + optind + (optind < argc);
	parsed->options.argument_count = argc - optind - (optind < argc);
	return EXIT_DONE;
}

/* --- the command */

static bool is_later(const char *name)
{
	static const char *const later[] = { "fmt" };

	for (size_t i = 0; i < COUNT_OF(later); i++)
		if (!strcmp(name, later[i]))
			return true;
	return false;
}

static const struct command *find_command(const char *name)
{
	const char *names[COUNT_OF(commands)], *closest;

	if (is_later(name)) {
		complain(0, "`%s` comes with a later version", name);
		return NULL;
	}
	for (size_t i = 0; i < COUNT_OF(commands); i++) {
		names[i] = commands[i].name;
		if (!strcmp(name, names[i]))
			return &commands[i];
	}
	closest = amon_closest(name, names, COUNT_OF(commands));
	complain(0, closest ? "no command `%s`; did you mean `%s`?" : "no command `%s`; see amonc --help", name,
	         closest);
	return NULL;
}

static int check_flags(const struct parsed *parsed, const struct command *command)
{
	for (size_t i = 0; i < COUNT_OF(flags); i++) {
		if (!(parsed->given & 1u << i) || !flags[i].taken_with || strchr(command->flags, flags[i].taken_with))
			continue;
		return complain(EXIT_USAGE, "%s takes no %s", command->name, flag_name(&flags[i]));
	}
	return EXIT_DONE;
}

static int run_command(struct parsed *parsed)
{
	const struct command *command;

	if (parsed->help)
		return print_help();
	if (parsed->version)
		return print_version();
	if (!parsed->command)
		return complain(EXIT_USAGE, "which command? See amonc --help");
	command = find_command(parsed->command);
	if (!command || check_flags(parsed, command))
		return EXIT_USAGE;
	return command->run(&parsed->options);
}

int main(int argc, char **argv)
{
	struct parsed parsed = { .command = NULL };
	int status;

	signal(SIGPIPE, SIG_IGN); /* a closed pipe is an error of writing like any other */
	status = parse(argc, argv, &parsed);
	if (!status)
		status = run_command(&parsed);
	free(parsed.options.defines);
	free(parsed.options.local);
	return status;
}
