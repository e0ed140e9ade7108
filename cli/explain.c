/* SPDX-License-Identifier: Apache-2.0 */
#include <bpf/libbpf.h>
#include <jansson.h>
#include <linux/bpf.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "runtime/export/schema.h"
#include "runtime/kernel.h"
#include "runtime/memory.h"
#include "runtime/probe.h"

/* --- what one needs to know before running a probe */

struct explanation {
	const struct options *options;
	const struct compilation *c;
	uint32_t cpus;
	struct amon_map_costs memory;
	bool refused; /* by the verifier, and told */
};

/* Loads the probe to ask the verifier; 0 where it does not load here, and why. */
static uint32_t verified_instructions(struct explanation *explanation, enum amon_hook_kind hook,
                                      struct amon_failure *failure)
{
	struct amon_load_options options = { .choice.ingress_tc = hook == AMON_HOOK_TC_INGRESS };
	struct amon_loaded *loaded __attribute__((cleanup(amon_probe_cleanup))) = NULL;
	const struct compilation *c = explanation->c;
	uint32_t count = 0;
	int error;

	*failure = (struct amon_failure){ .message = "" };
	error = amon_probe_load(c->object, c->object_size, c->exports, &options, &loaded, failure);
	if (!error && loaded->clones[0].programs[hook] >= 0)
		count = amon_kernel_verified_instructions(loaded->clones[0].programs[hook]);
	if (error && failure->log && !explanation->refused) {
		report_refusal(explanation->options, c, failure);
		explanation->refused = true;
	}
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

static void print_remembered(const struct amon_plan_memory *memory, const char *section, const char *table)
{
	if (!memory)
		return;
	printf("memory      %s%s%s: %u bytes%s, shared by all CPUs: a packet %s%s\n", section, table ? "." : "",
	       table ? table : "", memory->value_size, table ? " a row" : "",
	       memory->exchanged ? "exchanges them, without a lock" : "takes the lock, and waits for CPUs that have it",
	       memory->expires ? "; a row's ends by `expire`"
	       : memory->ends  ? "; a row ends after a whole window without one"
	                       : "");
}

static void print_memories(const struct amon_plan_section *section)
{
	print_remembered(section->memory, section->section->name, NULL);
	for (uint32_t t = 0; t < section->table_count; t++)
		print_remembered(section->tables[t].memory, section->section->name, section->tables[t].table->name);
}

static void print_clock(const struct amon_plan *plan)
{
	const char *separator = " in ";
	bool any = false;

	for (uint32_t s = 0; s < plan->section_count; s++)
		any |= plan->sections[s].section->coarse;
	if (plan->expires)
		printf("ages        of rows that end: by the kernel's tick, 4 ms at HZ=250\n");
	if (!plan->coarse || !any)
		return;
	printf("clock       coarse");
	for (uint32_t s = 0; plan->exact && s < plan->section_count; s++)
		if (plan->sections[s].section->coarse) {
			printf("%s%s", separator, plan->sections[s].section->name);
			separator = ", ";
		}
	printf(": the kernel's tick, 4 ms at HZ=250\n");
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
	print_clock(plan);
}

static void print_columns(const struct amon_export_column *columns, uint32_t count, const char *indent)
{
	static const char *const kinds[] = { "key", "metric", "derive", "end" };

	for (uint32_t i = 0; i < count; i++) {
		const struct amon_export_column *column = &columns[i];

		printf("%s%-7s %-24s %-14s %s%s%s\n", indent, kinds[column->kind], column->name,
		       column->kind == AMON_COLUMN_END ? "a word"
		       : column->aggregation           ? column->aggregation->name
		                                       : amon_base_name(column->type.base),
		       column->unit, *column->unit && *column->help ? "  " : "", column->help);
	}
}

static void print_time(const char *word, uint64_t time)
{
	if (time != INT64_MAX)
		printf(" %s %gs", word, time / 1e9);
}

static void print_expire(const struct amon_export_expire *expire)
{
	if (!expire)
		return;
	printf("    expire");
	print_time("idle", expire->idle);
	print_time("active", expire->active);
	if (expire->lives_map)
		printf(": each CPU keeps %u bytes for how long a row lives", expire->slot_size);
	else
		printf(": what is remembered of a row tells how long it lives");
	printf("; user space keeps the rows that are open\n");
}

static const char *overflow_of(const struct amon_export_table *table)
{
	if (table->other_map)
		return "other";
	return table->expire && table->expire->evicts ? "evict" : "drop";
}

static void print_table(const struct amon_export_table *table)
{
	if (table->user)
		printf("  table %s: map %s\n", table->name, table->map);
	else
		printf("  table %s: %u rows, key %u bytes, record %u bytes a CPU, overflow %s\n", table->name,
		       table->size, table->key_size, table->record_size, overflow_of(table));
	print_expire(table->expire);
	print_columns(table->columns, table->column_count, "    ");
}

static void print_exports(const struct amon_exports *exports)
{
	for (uint32_t s = 0; s < exports->section_count; s++) {
		const struct amon_export_section *section = &exports->sections[s];

		printf("\n%s\n", section->name);
		print_columns(section->columns, section->column_count, "  ");
		for (uint32_t t = 0; t < section->table_count; t++)
			print_table(&section->tables[t]);
		for (uint32_t t = 0; t < section->private_count; t++)
			printf("  private table %s: its ledger\n", section->privates[t].name);
	}
	if (exports->column_count)
		printf("\nprobe\n");
	print_columns(exports->columns, exports->column_count, "  ");
}

static const char *type_name(uint32_t type)
{
	static const char *const names[] = {
		[BPF_MAP_TYPE_HASH] = "hash",
		[BPF_MAP_TYPE_ARRAY] = "array",
		[BPF_MAP_TYPE_PROG_ARRAY] = "programs",
		[BPF_MAP_TYPE_PERCPU_ARRAY] = "per-CPU array",
		[BPF_MAP_TYPE_PERCPU_HASH] = "per-CPU hash",
		[BPF_MAP_TYPE_LRU_HASH] = "LRU hash",
		[BPF_MAP_TYPE_LRU_PERCPU_HASH] = "per-CPU LRU hash",
		[BPF_MAP_TYPE_LPM_TRIE] = "LPM trie",
		[BPF_MAP_TYPE_QUEUE] = "queue",
		[BPF_MAP_TYPE_STACK] = "stack",
		[BPF_MAP_TYPE_RINGBUF] = "ring buffer",
	};

	return type < sizeof(names) / sizeof(names[0]) && names[type] ? names[type] : "other";
}

static void print_memory(const struct explanation *explanation)
{
	const struct amon_map_costs *memory = &explanation->memory;

	printf("maps        %u, %llu bytes on %u possible CPUs\n", memory->all, (unsigned long long)memory->bytes,
	       explanation->cpus);
	printf("  %-32s %-14s %5s %6s %9s %12s\n", "", "", "key", "value", "entries", "bytes");
	for (uint32_t i = 0; i < memory->count; i++) {
		const struct amon_memory_map *map = &memory->maps[i];

		printf("  %-32s %-14s %5u %6u %9u %12llu", map->name, type_name(map->type), map->key_size,
		       map->value_size, map->entries, (unsigned long long)map->bytes);
		if (map->copies > 1)
			printf("  x %u", map->copies);
		putchar('\n');
	}
}

static void print_program(struct explanation *explanation, enum amon_hook_kind hook)
{
	struct amon_failure failure;
	uint32_t count = verified_instructions(explanation, hook, &failure);

	if (count)
		printf("program     %s: the verifier processed %u instructions\n", hook_name(hook), count);
	else
		printf("program     %s: not loaded here, so the verifier's instructions are not known: %s\n",
		       hook_name(hook), failure.message);
}

static int explain_text(struct explanation *explanation)
{
	const struct compilation *c = explanation->c;

	printf("probe       %s%s%s\n", c->exports->probe, *c->exports->help ? ": " : "", c->exports->help);
	if (c->exports->window)
		printf("window      %g s\n", c->exports->window / 1e9);
	if (c->plan)
		print_plan(c->plan);
	print_memory(explanation);
	for (uint32_t i = 0; i < c->exports->program_count; i++)
		print_program(explanation, c->exports->programs[i].hook);
	printf("kernel      6.1 and later: xdp.frags, per-CPU and mapped maps, bpf_xdp_load_bytes\n");
	print_exports(c->exports);
	return close_output(&(struct options){ 0 }, stdout, 0);
}

/* --- as JSON */

static json_t *memory_json(const struct amon_map_costs *memory)
{
	json_t *maps = json_array();

	for (uint32_t i = 0; i < memory->count; i++) {
		const struct amon_memory_map *map = &memory->maps[i];

		json_array_append_new(maps,
		                      json_pack("{s:s, s:s, s:I, s:I, s:I, s:I, s:I}", "name", map->name, "type",
		                                type_name(map->type), "key", (json_int_t)map->key_size, "value",
		                                (json_int_t)map->value_size, "entries", (json_int_t)map->entries,
		                                "bytes", (json_int_t)map->bytes, "copies", (json_int_t)map->copies));
	}
	return maps;
}

static json_t *program_json(struct explanation *explanation, const struct amon_export_program *program)
{
	struct amon_failure failure;
	uint32_t count = verified_instructions(explanation, program->hook, &failure);
	json_t *json = json_pack("{s:s, s:s}", "name", program->name, "hook", hook_name(program->hook));

	json_object_set_new(json, "instructions", count ? json_integer(count) : json_null());
	if (!count)
		json_object_set_new(json, "refused", json_string(failure.message));
	return json;
}

static int explain_json(struct explanation *explanation)
{
	const struct compilation *c = explanation->c;
	json_t *programs = json_array(), *layers = json_array(), *root;
	json_error_t error;

	for (uint32_t i = 0; i < c->exports->program_count; i++)
		json_array_append_new(programs, program_json(explanation, &c->exports->programs[i]));
	for (int layer = 0; c->plan && layer < AMON_LAYER_COUNT; layer++)
		if (c->plan->walked & AMON_LAYER_BIT(layer))
			json_array_append_new(layers, json_string(amon_layer_name(layer)));
	root = json_pack("{s:s, s:o, s:i, s:I, s:o, s:o, s:s, s:o}", "probe", c->exports->probe, "parses", layers,
	                 "maps", (int)explanation->memory.all, "bytes", (json_int_t)explanation->memory.bytes, "memory",
	                 memory_json(&explanation->memory), "programs", programs, "kernel", "6.1", "exports",
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

/* `--measure` takes a capture behind the spec. */
static const char *explained_spec(struct options *options)
{
	const char *spec;

	if (!options->measure)
		return only_spec(options, "explain");
	spec = take_spec(options);
	if (spec && options->argument_count <= 1)
		return spec;
	complain(0, "write amonc explain --measure SPEC [TRACE]");
	return NULL;
}

static int explain(struct explanation *explanation, bool json)
{
	const struct compilation *c = explanation->c;
	struct amon_failure failure = { .message = "" };
	int status, error = amon_memory_list(c->object, c->object_size, c->exports, explanation->cpus,
	                                     &explanation->memory, &failure);

	if (error)
		return report_failure(explanation->options, c, error, &failure);
	status = json ? explain_json(explanation) : explain_text(explanation);
	amon_memory_free(&explanation->memory);
	return !status && explanation->refused ? EXIT_REFUSED : status;
}

int command_explain(struct options *options)
{
	const char *spec = explained_spec(options);
	const struct amon_schema_language *language = find_language(options->format);
	struct compilation c;
	struct explanation explanation = { options, &c, (uint32_t)libbpf_num_possible_cpus(), { NULL }, false };
	int status, json = language ? 0 : wants_json(options);

	if (!spec || json < 0)
		return EXIT_USAGE;
	if (language && options->measure)
		return complain(EXIT_USAGE, "--measure writes text or json, no schema");
	if (language)
		return explain_schema(options, spec, language);
	status = compile_object(&c, options, spec);
	if (!status && options->measure)
		status = explain_measured(options, &c, options->arguments[0], json);
	else if (!status)
		status = explain(&explanation, json);
	compilation_free(&c);
	return status;
}
