/* SPDX-License-Identifier: Apache-2.0 */
#include <bpf/libbpf.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "runtime/export/schema.h"
#include "runtime/kernel.h"
#include "runtime/probe.h"

/* --- what one needs to know before running a probe */

struct cost {
	uint64_t bytes;   /* of all maps, all CPUs */
	uint64_t growing; /* and so many more as rows of memory come */
	uint32_t maps;
};

static uint64_t round_up(uint64_t value, uint64_t to)
{
	return (value + to - 1) / to * to;
}

/* The kernel's element of 48 bytes, key and value; and the buckets. */
static uint64_t hash_bytes(uint64_t entries, uint32_t key_size, uint64_t value)
{
	uint64_t buckets = 1;

	while (buckets < entries)
		buckets *= 2;
	return entries * (48 + round_up(key_size, 8) + value) + buckets * 16;
}

/* A row of a preallocated per-CPU hash has a pointer, and the value on each CPU. */
static uint64_t table_bytes(const struct amon_export_table *table, uint32_t cpus)
{
	uint64_t value = round_up(table->record_size, 8) * cpus;

	return hash_bytes(table->size, table->key_size, 8 + value) + (table->other_map ? value : 0);
}

static void add_memory(struct cost *cost, const struct amon_export_memory *memory)
{
	uint64_t bytes = memory->entries == 1 ? memory->value_size
	                                      : hash_bytes(memory->entries, memory->key_size, memory->value_size);

	*(memory->grows ? &cost->growing : &cost->bytes) += bytes;
	cost->maps++;
}

static struct cost cost_of(const struct amon_exports *exports, uint32_t cpus)
{
	struct cost cost = { 0, 0, 0 };

	for (uint32_t s = 0; s < exports->section_count; s++) {
		const struct amon_export_section *section = &exports->sections[s];

		for (uint32_t p = 0; p < section->part_count; p++) {
			cost.bytes += round_up(section->parts[p].size, 8) * cpus * (1 + section->parts[p].twice);
			cost.maps += 1 + section->parts[p].twice;
		}
		for (uint32_t t = 0; t < section->table_count; t++) {
			const struct amon_export_table *table = &section->tables[t];

			cost.bytes += table_bytes(table, cpus) * (1 + table->twice);
			cost.maps += (1 + (table->other_map != NULL)) * (1 + table->twice);
		}
		for (uint32_t m = 0; m < section->memory_count; m++)
			add_memory(&cost, &section->memories[m]);
	}
	return cost;
}

/* Loads the probe to ask the verifier; 0 where it does not load here, and why. */
static uint32_t verified_instructions(const struct compilation *c, enum amon_hook_kind hook,
                                      struct amon_failure *failure)
{
	struct amon_load_options options = { .choice.ingress_tc = hook == AMON_HOOK_TC_INGRESS };
	struct amon_loaded *loaded __attribute__((cleanup(amon_probe_cleanup))) = NULL;
	uint32_t count = 0;

	*failure = (struct amon_failure){ .message = "" };
	if (!amon_probe_load(c->object, c->object_size, c->exports, &options, &loaded, failure) &&
	    loaded->clones[0].programs[hook] >= 0)
		count = amon_kernel_verified_instructions(loaded->clones[0].programs[hook]);
	free(failure->log);
	failure->log = NULL;
	return count;
}

static const char *hook_name(enum amon_hook_kind hook)
{
	static const char *const names[AMON_HOOK_COUNT] = { "XDP", "TC ingress", "TC egress" };

	return names[hook];
}

/* --- as text */

static void print_parsed(const struct amon_plan *plan)
{
	const char *separator = "";

	printf("parses      ");
	for (int layer = 0; layer < AMON_LAYER_COUNT; layer++)
		if (plan->walked & AMON_LAYER_BIT(layer)) {
			printf("%s%s", separator, amon_layer_name(layer));
			separator = " ";
		}
	printf("%s\nkeeps       ", *separator ? "" : "nothing");
	separator = "";
	for (uint32_t i = 0; i < plan->member_count; i++) {
		printf("%s%s", separator, plan->members[i].field->name);
		separator = " ";
	}
	putchar('\n');
}

static void print_once(const struct amon_plan_record *record, const char *block)
{
	for (uint32_t i = 0; i < record->metric_count; i++)
		if (record->metrics[i].column->once)
			printf("once        %s.%s sees a super-packet once, with its own lengths\n", block,
			       record->metrics[i].column->name);
}

static void print_memory(const struct amon_plan_memory *memory, const char *section, const char *table)
{
	if (!memory)
		return;
	printf("memory      %s%s%s: %u bytes%s, shared by all CPUs: a packet %s%s\n", section, table ? "." : "",
	       table ? table : "", memory->value_size, table ? " a row" : "",
	       memory->exchanged ? "exchanges them, without a lock" : "takes the lock, and waits for CPUs that have it",
	       memory->ends ? "; a row ends after a whole window without one" : "");
}

static void print_memories(const struct amon_plan_section *section)
{
	print_memory(section->memory, section->section->name, NULL);
	for (uint32_t t = 0; t < section->table_count; t++)
		print_memory(section->tables[t].memory, section->section->name, section->tables[t].table->name);
}

static void print_plan(const struct amon_plan *plan)
{
	print_parsed(plan);
	for (uint32_t s = 0; s < plan->section_count; s++) {
		for (uint32_t p = 0; p < plan->sections[s].part_count; p++)
			print_once(&plan->sections[s].parts[p].record, plan->sections[s].section->name);
		for (uint32_t t = 0; t < plan->sections[s].table_count; t++)
			print_once(&plan->sections[s].tables[t].record, plan->sections[s].tables[t].table->name);
		print_memories(&plan->sections[s]);
	}
	if (plan->coarse)
		printf("clock       coarse: the kernel's tick, 4 ms at HZ=250\n");
}

static void print_columns(const struct amon_export_column *columns, uint32_t count, const char *indent)
{
	static const char *const kinds[] = { "key", "metric", "derive" };

	for (uint32_t i = 0; i < count; i++) {
		const struct amon_export_column *column = &columns[i];

		printf("%s%-7s %-24s %-14s %s%s%s\n", indent, kinds[column->kind], column->name,
		       column->aggregation ? column->aggregation->name : amon_base_name(column->type.base),
		       column->unit, *column->unit && *column->help ? "  " : "", column->help);
	}
}

static void print_exports(const struct amon_exports *exports)
{
	for (uint32_t s = 0; s < exports->section_count; s++) {
		const struct amon_export_section *section = &exports->sections[s];

		printf("\n%s\n", section->name);
		print_columns(section->columns, section->column_count, "  ");
		for (uint32_t t = 0; t < section->table_count; t++) {
			const struct amon_export_table *table = &section->tables[t];

			printf("  table %s: %u rows, key %u bytes, record %u bytes a CPU, overflow %s\n", table->name,
			       table->size, table->key_size, table->record_size, table->other_map ? "other" : "drop");
			print_columns(table->columns, table->column_count, "    ");
		}
		for (uint32_t t = 0; t < section->private_count; t++)
			printf("  private table %s: its ledger\n", section->privates[t].name);
	}
	if (exports->column_count)
		printf("\nprobe\n");
	print_columns(exports->columns, exports->column_count, "  ");
}

static void print_program(const struct compilation *c, enum amon_hook_kind hook)
{
	struct amon_failure failure;
	uint32_t count = verified_instructions(c, hook, &failure);

	if (count)
		printf("program     %s: the verifier processed %u instructions\n", hook_name(hook), count);
	else
		printf("program     %s: not loaded here, so the verifier's instructions are not known: %s\n",
		       hook_name(hook), failure.message);
}

static int explain_text(const struct compilation *c, uint32_t cpus)
{
	struct cost cost = cost_of(c->exports, cpus);

	printf("probe       %s%s%s\n", c->exports->probe, *c->exports->help ? ": " : "", c->exports->help);
	if (c->exports->window)
		printf("window      %g s\n", c->exports->window / 1e9);
	if (c->plan)
		print_plan(c->plan);
	printf("maps        %u, %llu bytes on %u possible CPUs\n", cost.maps, (unsigned long long)cost.bytes, cpus);
	if (cost.growing)
		printf("grows       by %llu bytes at most, as rows are remembered\n", (unsigned long long)cost.growing);
	for (uint32_t i = 0; i < c->exports->program_count; i++)
		print_program(c, c->exports->programs[i].hook);
	printf("kernel      6.1 and later: xdp.frags, per-CPU maps, bpf_xdp_load_bytes\n");
	print_exports(c->exports);
	return close_output(&(struct options){ 0 }, stdout, 0);
}

/* --- as JSON */

static json_t *program_json(const struct compilation *c, const struct amon_export_program *program)
{
	struct amon_failure failure;
	uint32_t count = verified_instructions(c, program->hook, &failure);
	json_t *json = json_pack("{s:s, s:s}", "name", program->name, "hook", hook_name(program->hook));

	json_object_set_new(json, "instructions", count ? json_integer(count) : json_null());
	if (!count)
		json_object_set_new(json, "refused", json_string(failure.message));
	return json;
}

static int explain_json(const struct compilation *c, uint32_t cpus)
{
	struct cost cost = cost_of(c->exports, cpus);
	json_t *programs = json_array(), *layers = json_array(), *root;
	json_error_t error;

	for (uint32_t i = 0; i < c->exports->program_count; i++)
		json_array_append_new(programs, program_json(c, &c->exports->programs[i]));
	for (int layer = 0; c->plan && layer < AMON_LAYER_COUNT; layer++)
		if (c->plan->walked & AMON_LAYER_BIT(layer))
			json_array_append_new(layers, json_string(amon_layer_name(layer)));
	root = json_pack("{s:s, s:o, s:i, s:I, s:I, s:o, s:s, s:o}", "probe", c->exports->probe, "parses", layers,
	                 "maps", (int)cost.maps, "bytes", (json_int_t)cost.bytes, "growing", (json_int_t)cost.growing,
	                 "programs", programs, "kernel", "6.1", "exports",
	                 json_loads(amon_exports_encode(c->arena, c->exports), 0, &error));
	json_dumpf(root, stdout, JSON_INDENT(2));
	putchar('\n');
	json_decref(root);
	return close_output(&(struct options){ 0 }, stdout, 0);
}

/* --- as a schema */

static const struct amon_schema_language *find_language(const char *name)
{
	for (const struct amon_schema_language *language = amon_schema_languages; language->name; language++)
		if (name && !strcmp(language->name, name))
			return language;
	return NULL;
}

/* The spec is enough: neither clang nor the kernel is asked. */
static int explain_schema(const struct options *options, const char *spec, const struct amon_schema_language *language)
{
	struct compilation c;
	int status = compile_emit(&c, options, spec);

	if (!status)
		status = close_output(&(struct options){ 0 }, stdout, language->write(c.exports, stdout));
	compilation_free(&c);
	return status;
}

int command_explain(struct options *options)
{
	const char *spec = only_spec(options, "explain");
	const struct amon_schema_language *language = find_language(options->format);
	struct compilation c;
	int status, cpus = libbpf_num_possible_cpus(), json = language ? 0 : wants_json(options);

	if (!spec || json < 0)
		return EXIT_USAGE;
	if (language)
		return explain_schema(options, spec, language);
	status = compile_object(&c, options, spec);
	if (!status)
		status = json ? explain_json(&c, cpus) : explain_text(&c, cpus);
	compilation_free(&c);
	return status;
}
