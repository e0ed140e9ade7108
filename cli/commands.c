/* SPDX-License-Identifier: Apache-2.0 */
#include "cli.h"

#include <errno.h>
#include <jansson.h>
#include <string.h>
#include <unistd.h>

static int no_spec(const char *command)
{
	return complain(EXIT_USAGE, "%s what? Name a spec, or give one behind -e", command);
}

static int check_one(const struct options *options, const char *spec)
{
	struct compilation c;
	int status = compile_check(&c, options, spec);

	if (options->format && !strcmp(options->format, "json"))
		amon_diagnostics_print_json(&c.diagnostics, stdout);
	else if (c.diagnostics.errors || !options->quiet)
		amon_diagnostics_print(&c.diagnostics, stderr, options->color);
	compilation_free(&c);
	return status;
}

int command_check(struct options *options)
{
	const char *spec = take_spec(options);
	int worst = EXIT_DONE;

	if (!spec)
		return no_spec("check");
	for (; spec; spec = options->expression ? NULL : take_spec(options)) {
		int status = check_one(options, spec);

		worst = status > worst ? status : worst;
	}
	return worst;
}

int command_emit(struct options *options)
{
	const char *spec = take_spec(options);
	struct compilation c;
	FILE *out;
	int status;

	if (!spec)
		return no_spec("emit");
	status = compile_emit(&c, options, spec);
	if (!status && !c.c)
		status = complain(EXIT_USAGE, "%s is a built object; emit takes a spec", spec);
	if (!status) {
		out = open_output(options);
		status = EXIT_FAILED;
		if (out) {
			fputs(c.c, out);
			status = close_output(options, out);
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
	return close_output(&to, out);
}

int command_build(struct options *options)
{
	const char *spec = take_spec(options);
	struct compilation c;
	int status;

	if (!spec)
		return no_spec("build");
	status = compile_object(&c, options, spec);
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
	json_dumpf(array, stdout, JSON_INDENT(2));
	putchar('\n');
	json_decref(array);
	return EXIT_DONE;
}

static void print_entry(const char *name, const char *type, const char *help, const char *ipfix)
{
	printf("  %-28s %-18s %s%s%s%s\n", name, type, help, ipfix ? " [" : "", ipfix ? ipfix : "", ipfix ? "]" : "");
}

static int fields_text(const char *pattern)
{
	printf("Fields [IPFIX element]\n");
	for (const struct amon_field *field = amon_fields; field->name; field++)
		if (!field->refused && matches(pattern, field->name, field->help))
			print_entry(field->name, type_name(field), field->help, field->ipfix);
	printf("\nProtocols, as conditions\n");
	for (const struct amon_protocol *protocol = amon_protocols; protocol->name; protocol++)
		if (matches(pattern, protocol->name, protocol->help))
			print_entry(protocol->name, "", protocol->help, NULL);
	printf("\nPayload slices, such as udp.payload[0:2]\n");
	for (const struct amon_payload *payload = amon_payloads; payload->name; payload++)
		if (matches(pattern, payload->name, ""))
			print_entry(payload->name, "", "1 to 8 bytes from an offset, big-endian", NULL);
	printf("\nAggregations\n");
	for (const struct amon_aggregation *a = amon_aggregations; a->name; a++)
		if (matches(pattern, a->name, a->help))
			print_entry(a->name, "", a->help, NULL);
	return EXIT_DONE;
}

int command_fields(struct options *options)
{
	const char *pattern = options->argument_count ? options->arguments[0] : NULL;

	if (options->format && !strcmp(options->format, "json"))
		return fields_json(pattern);
	return fields_text(pattern);
}
