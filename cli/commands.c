/* SPDX-License-Identifier: Apache-2.0 */
#include "cli.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

/* --- check */

/* The diagnostics of all specs are one array. */
static void add_json(const struct amon_diagnostics *diagnostics, json_t *all)
{
	char *text = NULL;
	size_t size;
	FILE *memory = open_memstream(&text, &size);
	json_t *these;

	if (!memory)
		return;
	amon_diagnostics_print_json(diagnostics, memory);
	fclose(memory);
	these = json_loadb(text, size, 0, NULL);
	json_array_extend(all, these);
	json_decref(these);
	free(text);
}

static int check_one(const struct options *options, const char *spec, json_t *all)
{
	struct compilation c;
	int status = compile_check(&c, options, spec);

	if (all)
		add_json(&c.diagnostics, all);
	else
		print_diagnostics(&c, options);
	compilation_free(&c);
	return status;
}

static int print_json(json_t *json)
{
	json_dumpf(json, stdout, JSON_INDENT(2));
	putchar('\n');
	json_decref(json);
	return close_output(&(struct options){ 0 }, stdout, 0);
}

int command_check(struct options *options)
{
	bool several = !options->expression && options->argument_count > 1;
	const char *spec = several ? take_spec(options) : only_spec(options, "check");
	int worst = EXIT_DONE, json = wants_json(options), status;
	json_t *all;

	if (!spec || json < 0)
		return EXIT_USAGE;
	all = json ? json_array() : NULL;
	for (; spec; spec = several ? take_spec(options) : NULL) {
		status = check_one(options, spec, all);
		worst = status > worst ? status : worst;
	}
	status = all ? print_json(all) : EXIT_DONE;
	return status > worst ? status : worst;
}

/* --- emit, build */

int command_emit(struct options *options)
{
	const char *spec = only_spec(options, "emit");
	struct compilation c;
	FILE *out;
	int status;

	if (!spec)
		return EXIT_USAGE;
	status = compile_emit(&c, options, spec);
	if (!status && !c.c)
		status = complain(EXIT_USAGE, "%s is a built object; emit takes a spec", spec);
	if (!status) {
		out = open_output(options);
		status = EXIT_FAILED;
		if (out) {
			fputs(c.c, out);
			status = close_output(options, out, 0);
		}
	}
	compilation_free(&c);
	return status;
}

static int write_object(const struct compilation *c, const struct options *options)
{
	struct options to = *options;
	FILE *out;

	if (!to.output)
		to.output = amon_arena_printf(c->arena, "%s.o", c->exports->probe);
	out = open_output(&to);
	if (!out)
		return EXIT_FAILED;
	fwrite(c->object, 1, c->object_size, out);
	return close_output(&to, out, 0);
}

int command_build(struct options *options)
{
	const char *spec = only_spec(options, "build");
	struct compilation c;
	int status;

	if (!spec)
		return EXIT_USAGE;
	status = compile_object(&c, options, spec);
	if (!status && !c.c)
		status = complain(EXIT_USAGE, "%s is a built object already", spec);
	if (!status)
		status = write_object(&c, options);
	compilation_free(&c);
	return status;
}

/* --- fields */

static const char *type_name(const struct amon_field *field)
{
	return amon_base_name(field->type.base);
}

static json_t *field_json(const struct amon_field *field)
{
	json_t *json = json_pack("{s:s, s:s, s:s}", "name", field->name, "type", type_name(field), "help", field->help);

	if (field->type.base == AMON_BASE_INT && field->type.bits)
		json_object_set_new(json, "bits", json_integer(field->type.bits));
	if (field->unit)
		json_object_set_new(json, "unit", json_string(field->unit));
	if (field->ipfix)
		json_object_set_new(json, "ipfix", json_string(field->ipfix));
	return json;
}

static bool matches(const char *pattern, const char *name, const char *help)
{
	return !pattern || strcasestr(name, pattern) || (help && strcasestr(help, pattern));
}

static int fields_json(const char *pattern)
{
	json_t *array = json_array();

	for (const struct amon_field *field = amon_fields; field->name; field++)
		if (!field->refused && matches(pattern, field->name, field->help))
			json_array_append_new(array, field_json(field));
	return print_json(array);
}

/* An entry, with its heading where it is the first below it. */
static void print_entry(const char **heading, const char *name, const char *type, const char *help, const char *ipfix)
{
	if (*heading)
		printf("%s\n", *heading);
	*heading = NULL;
	printf("  %-28s %-18s %s%s%s%s\n", name, type, help, ipfix ? " [" : "", ipfix ? ipfix : "", ipfix ? "]" : "");
}

static bool print_fields(const char *pattern)
{
	const char *heading = "Fields [IPFIX element]";

	for (const struct amon_field *field = amon_fields; field->name; field++)
		if (!field->refused && matches(pattern, field->name, field->help))
			print_entry(&heading, field->name, type_name(field), field->help, field->ipfix);
	return !heading;
}

static bool print_protocols(const char *pattern)
{
	const char *heading = "Protocols, as conditions";

	for (const struct amon_protocol *protocol = amon_protocols; protocol->name; protocol++)
		if (matches(pattern, protocol->name, protocol->help))
			print_entry(&heading, protocol->name, "", protocol->help, NULL);
	return !heading;
}

static bool print_payloads(const char *pattern)
{
	const char *heading = "Payload slices, such as udp.payload[0:2]";

	for (const struct amon_payload *payload = amon_payloads; payload->name; payload++)
		if (matches(pattern, payload->name, NULL))
			print_entry(&heading, payload->name, "", "1 to 8 bytes from an offset, big-endian", NULL);
	return !heading;
}

static bool print_aggregations(const char *pattern)
{
	const char *heading = "Aggregations";

	for (const struct amon_aggregation *a = amon_aggregations; a->name; a++)
		if (matches(pattern, a->name, a->help))
			print_entry(&heading, a->name, "", a->help, NULL);
	return !heading;
}

static int fields_text(const char *pattern)
{
	static bool (*const lists[])(const char *) = { print_fields, print_protocols, print_payloads,
		                                       print_aggregations };
	bool any = false;

	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++)
		any |= lists[i](pattern);
	if (!any)
		return complain(EXIT_FAILED, "nothing is called or described as `%s`", pattern);
	return close_output(&(struct options){ 0 }, stdout, 0);
}

int command_fields(struct options *options)
{
	int json = wants_json(options);

	if (options->argument_count > 1)
		return complain(EXIT_USAGE, "write amonc fields [PATTERN]");
	if (json < 0)
		return EXIT_USAGE;
	return json ? fields_json(options->arguments[0]) : fields_text(options->arguments[0]);
}
