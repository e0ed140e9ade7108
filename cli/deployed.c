/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "follow.h"
#include "runtime/deployment.h"
#include "runtime/flows.h"
#include "runtime/kernel.h"
#include "runtime/object.h"

/* Commands on probes that run without a process. */

#define SECOND 1000000000ull

static const char *only_name(struct options *options, const char *usage)
{
	if (options->argument_count == 1)
		return options->arguments[0];
	complain(0, "write amonc %s", usage);
	return NULL;
}

static void close_deployment(struct amon_deployment *deployment)
{
	amon_deployment_close(deployment);
}

/* A deployed probe and its export table. */
struct opened {
	struct amon_deployment deployment;
	struct compilation c;
};

static int open_probe(const struct options *options, const char *name, struct opened *opened)
{
	struct amon_failure failure = { .message = "" };
	int error = amon_deployment_open(name, &opened->deployment, &failure), status;

	memset(&opened->c, 0, sizeof(opened->c));
	if (error) {
		amon_deployment_close(&opened->deployment);
		return report_failure(options, NULL, error, &failure);
	}
	status = compilation_of_object(&opened->c, opened->deployment.object, opened->deployment.object_size, name);
	opened->deployment.object = NULL;
	if (status)
		amon_deployment_close(&opened->deployment);
	return status;
}

static void close_probe(struct opened *opened)
{
	amon_deployment_close(&opened->deployment);
	compilation_free(&opened->c);
}

/* --- deploy */

static int leave_running(const struct options *options, const struct compilation *c, struct amon_loaded *loaded,
                         struct amon_failure *failure)
{
	struct amon_attached *attached = NULL;
	int error = amon_probe_attach(loaded, options->interface, &attached, failure);

	if (error)
		return error;
	tell_hooks(options, attached, c->exports->probe);
	error = amon_deployment_create(loaded, attached, c->object, c->object_size, options->interface, failure);
	if (error)
		amon_probe_detach(attached);
	return error;
}

static int deploy(const struct options *options, const struct compilation *c)
{
	struct amon_loaded *loaded __attribute__((cleanup(amon_probe_cleanup))) = NULL;
	struct amon_load_options load = { .replay = false };
	struct amon_failure failure = { .message = "" };
	int error = amon_kernel_check(&failure);

	if (!error)
		error = amon_deployment_check(c->exports->probe, options->interface, &failure);
	if (!error)
		error = amon_probe_choose(c->exports, options->interface, &load.choice, &failure);
	if (!error)
		error = load_probe(options, c, &load, &loaded, &failure);
	if (!error && !options->dry_run)
		error = leave_running(options, c, loaded, &failure);
	return error ? report_failure(options, c, error, &failure) : EXIT_DONE;
}

int command_deploy(struct options *options)
{
	const char *spec = take_spec(options);
	struct compilation c;
	int status;

	if (!spec || options->argument_count)
		return complain(EXIT_USAGE, "write amonc deploy SPEC -i IFACE");
	if (!options->interface)
		return complain(EXIT_USAGE, "deploy on which interface? Write -i IFACE");
	status = compile_object(&c, options, spec);
	if (!status)
		status = deploy(options, &c);
	compilation_free(&c);
	return status;
}

/* --- list */

static int list_json(const struct amon_deployed *list, int count)
{
	json_t *array = json_array();

	for (int i = 0; i < count; i++)
		json_array_append_new(array,
		                      json_pack("{s:s, s:s}", "probe", list[i].name, "interface", list[i].interface));
	json_dumpf(array, stdout, JSON_INDENT(2));
	putchar('\n');
	json_decref(array);
	return close_output(&(struct options){ 0 }, stdout, 0);
}

int command_list(struct options *options)
{
	struct amon_failure failure = { .message = "" };
	struct amon_deployed *list = NULL;
	int json = wants_json(options), count, status = EXIT_DONE;

	if (options->argument_count)
		return complain(EXIT_USAGE, "write amonc list");
	if (json < 0)
		return EXIT_USAGE;
	count = amon_deployed_list(&list, &failure);
	if (count < 0)
		return report_failure(options, NULL, count, &failure);
	if (json) {
		status = list_json(list, count);
	} else {
		for (int i = 0; i < count; i++)
			printf("%s@%s\n", list[i].name, list[i].interface);
		status = close_output(options, stdout, 0);
	}
	free(list);
	return status;
}

/* --- read */

/* `last`: the probe ends with this read. */
static int read_probe(const struct options *options, struct opened *opened, bool last)
{
	struct amon_failure failure = { .message = "" };
	struct amon_reader reader;
	struct session s = { .options = options,
		             .exports = opened->c.exports,
		             .reader = &reader,
		             .attached = opened->deployment.attached,
		             .interface = opened->deployment.at.interface,
		             .ingress_tc = opened->deployment.ingress_tc };
	bool follow = options->follow || options->count || options->interval;
	int status = documents_open(&s.documents, options, s.exports, follow ? DOCUMENTS_LIVE : DOCUMENTS_ONE);
	int error;

	if (status)
		return status;
	s.interval = session_interval(options, s.exports);
	error = amon_deployment_reader(&opened->deployment, s.exports, &reader, &failure);
	if (!error) {
		reader.last = last;
		session_catch_signals(&s);
		error = follow ? session_follow(&s, &failure) : session_read(&s, &failure);
		amon_reader_close(&reader);
	}
	status = documents_close(&s.documents);
	return error && !s.documents.error ? report_failure(options, NULL, error, &failure) : status;
}

int command_read(struct options *options)
{
	const char *name = only_name(options, "read NAME");
	struct opened opened;
	int status;

	if (!name || !format_exists(options))
		return EXIT_USAGE;
	status = open_probe(options, name, &opened);
	if (!status)
		status = read_probe(options, &opened, false);
	close_probe(&opened);
	return status;
}

/* --- show */

static int show(const struct options *options, const struct compilation *c)
{
	const char *section = options->source ? AMON_SOURCE_SECTION : AMON_SPEC_SECTION;
	const void *text;
	size_t length;
	FILE *out = open_output(options);

	if (!out)
		return EXIT_FAILED;
	if (amon_object_find_section(c->object, c->object_size, section, &text, &length))
		return complain(EXIT_FAILED, "the probe's object has no section %s", section);
	fwrite(text, 1, length, out);
	return close_output(options, out, 0);
}

int command_show(struct options *options)
{
	const char *name = only_name(options, "show NAME");
	struct opened opened;
	int status;

	if (!name)
		return EXIT_USAGE;
	status = open_probe(options, name, &opened);
	if (!status)
		status = show(options, &opened.c);
	close_probe(&opened);
	return status;
}

/* --- remove */

/* Rows that are open end with the probe: they are its last read. What another version of amon left running may say
 * nothing to this one, and is taken away all the same. */
static int read_last(const struct options *options, struct amon_deployment *deployment, const char *name)
{
	struct opened opened = { .deployment = *deployment };
	int status = EXIT_DONE;

	if (compilation_of_object(&opened.c, deployment->object, deployment->object_size, name))
		fprintf(stderr, "amonc: warning: %s is removed without a last read\n", name);
	else if (amon_exports_expire(opened.c.exports))
		status = read_probe(options, &opened, true);
	deployment->object = NULL;
	compilation_free(&opened.c);
	return status;
}

int command_remove(struct options *options)
{
	const char *name = only_name(options, "remove NAME");
	__attribute__((cleanup(close_deployment))) struct amon_deployment deployment = { .lock = -1 };
	struct amon_failure failure = { .message = "" };
	int error, status = EXIT_DONE;

	if (!name || !format_exists(options))
		return EXIT_USAGE;
	error = amon_deployment_open(name, &deployment, &failure);
	if (!error)
		status = read_last(options, &deployment, name);
	if (status)
		return status;
	/* what is damaged is taken away all the same */
	if (!error || deployment.lock >= 0) {
		amon_failure_clear(&failure);
		failure = (struct amon_failure){ .message = "" };
		error = amon_deployment_remove(&deployment, &failure);
	}
	return error ? report_failure(options, NULL, error, &failure) : EXIT_DONE;
}

/* --- diff */

/* One feature of a probe: where it stands, and a number that is equal where another means the same. */
struct feature {
	char name[512];
	uint64_t signature;
};

struct features {
	struct feature *list;
	size_t count;
};

static void add_feature(struct features *features, uint64_t signature, const char *section, const char *table,
                        const char *column)
{
	struct feature *feature;

	features->list = reallocarray(features->list, features->count + 1, sizeof(*features->list));
	if (!features->list)
		abort();
	feature = &features->list[features->count++];
	feature->signature = signature;
	snprintf(feature->name, sizeof(feature->name), "%s%s%s%s%s", section, table ? "." : "", table ? table : "",
	         column ? "." : "", column ? column : "");
}

static void add_columns(struct features *features, const struct amon_export_column *columns, uint32_t count,
                        const char *section, const char *table)
{
	for (uint32_t i = 0; i < count; i++)
		if (columns[i].kind != AMON_COLUMN_KEY)
			add_feature(features, columns[i].signature, section, table, columns[i].name);
}

static struct features features_of(const struct amon_exports *exports)
{
	struct features features = { NULL, 0 };

	for (uint32_t i = 0; i < exports->section_count; i++) {
		const struct amon_export_section *section = &exports->sections[i];

		add_feature(&features, section->signature, section->name, NULL, NULL);
		add_columns(&features, section->columns, section->column_count, section->name, NULL);
		for (uint32_t j = 0; j < section->table_count; j++) {
			const struct amon_export_table *table = &section->tables[j];

			add_feature(&features, table->signature, section->name, table->name, NULL);
			add_columns(&features, table->columns, table->column_count, section->name, table->name);
		}
	}
	return features;
}

static const struct feature *find_feature(const struct features *features, const char *name)
{
	for (size_t i = 0; i < features->count; i++)
		if (!strcmp(features->list[i].name, name))
			return &features->list[i];
	return NULL;
}

/* Says what is in the one and not in the other, and what differs; how many there are. */
static int print_differences(const struct features *old, const struct features *new)
{
	int differences = 0;

	for (size_t i = 0; i < old->count; i++) {
		const struct feature *same = find_feature(new, old->list[i].name);

		if (same && same->signature == old->list[i].signature)
			continue;
		printf("%c %s\n", same ? '~' : '-', old->list[i].name);
		differences++;
	}
	for (size_t i = 0; i < new->count; i++)
		if (!find_feature(old, new->list[i].name)) {
			printf("+ %s\n", new->list[i].name);
			differences++;
		}
	return differences;
}

static int diff(struct options *options, const struct opened *opened, const char *spec)
{
	struct features old = features_of(opened->c.exports), new;
	struct compilation c;
	int status = compile_emit(&c, options, spec), differences;

	if (!status) {
		new = features_of(c.exports);
		differences = print_differences(&old, &new);
		free(new.list);
		status = close_output(&(struct options){ 0 }, stdout, 0);
		if (!status && (differences || c.exports->window != opened->c.exports->window))
			status = EXIT_FAILED;
		if (c.exports->window != opened->c.exports->window)
			printf("~ window\n");
	}
	free(old.list);
	compilation_free(&c);
	return status;
}

/* NAME and a spec; the name is taken from the arguments. NULL after a complaint. */
static const char *name_and_spec(struct options *options, const char *command, const char **spec)
{
	const char *name = options->argument_count ? options->arguments[0] : NULL;

	options->arguments += name != NULL;
	options->argument_count -= name != NULL;
	*spec = name ? take_spec(options) : NULL;
	if (*spec && !options->argument_count)
		return name;
	complain(0, "write amonc %s NAME SPEC", command);
	return NULL;
}

int command_diff(struct options *options)
{
	struct opened opened;
	const char *spec, *name = name_and_spec(options, "diff", &spec);
	int status;

	if (!name)
		return EXIT_USAGE;
	status = open_probe(options, name, &opened);
	if (!status)
		status = diff(options, &opened, spec);
	close_probe(&opened);
	return status;
}

/* --- replace */

static int replace(const struct options *options, struct opened *opened, const struct compilation *c)
{
	struct amon_failure failure = { .message = "" };
	struct amon_replacement by = { .object = c->object,
		                       .object_size = c->object_size,
		                       .exports = c->exports,
		                       .load.verbose = options->verbose,
		                       .dry_run = options->dry_run };
	int error;

	if (strcmp(c->exports->probe, opened->c.exports->probe))
		return complain(EXIT_USAGE, "the spec's probe is called %s, not %s: a probe keeps its name",
		                c->exports->probe, opened->c.exports->probe);
	error = amon_probe_choose(c->exports, opened->deployment.at.interface, &by.load.choice, &failure);
	if (!error)
		error = amon_deployment_replace(&opened->deployment, opened->c.exports, &by, &failure);
	if (error)
		return report_failure(options, c, error, &failure);
	amon_failure_clear(&failure);
	return EXIT_DONE;
}

int command_replace(struct options *options)
{
	struct compilation c;
	struct opened opened;
	const char *spec, *name = name_and_spec(options, "replace", &spec);
	int status;

	if (!name)
		return EXIT_USAGE;
	/* compiled first, so that the probe is not locked for longer than it must be */
	status = compile_object(&c, options, spec);
	if (!status) {
		status = open_probe(options, name, &opened);
		if (!status)
			status = replace(options, &opened, &c);
		close_probe(&opened);
	}
	compilation_free(&c);
	return status;
}
