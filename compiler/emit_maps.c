/* SPDX-License-Identifier: Apache-2.0 */
#include "emit_internal.h"

static const char *value_type(const struct amon_plan_metric *metric)
{
	enum amon_base base = metric->column->argument ? metric->column->argument->type.base : AMON_BASE_INT;

	if (metric->layout.value_size != 8)
		return amon_plan_c_type(base, metric->layout.value_size);
	/* what is added wraps */
	return metric->is_signed ? "__s64" : "__u64";
}

static void write_wide_parts(FILE *out, const struct amon_plan_metric *metric)
{
	if (metric->count)
		emit_member(out, "__u64", metric->count);
	if (metric->squares)
		emit_member(out, "__u64[2]", metric->squares);
	if (metric->time)
		emit_member(out, "__u64", metric->time);
	if (metric->buckets)
		fprintf(out, "\t__u64 %s[%u];\n", metric->buckets, metric->layout.bucket_count);
}

void emit_record_bits(FILE *out, const struct amon_plan_record *record)
{
	const char *before = "enum { ";

	for (uint32_t i = 0; i < record->metric_count; i++) {
		const struct amon_plan_metric *metric = &record->metrics[i];

		if (!metric->has)
			continue;
		fprintf(out, "%s%s = 1%s << %u", before, metric->has, metric->has_bit < 31 ? "" : "ULL",
		        metric->has_bit);
		before = ", ";
	}
	fprintf(out, "%s", record->has ? " };\n" : "");
}

static void write_has(FILE *out, const struct amon_plan_record *record)
{
	static const char *const types[] = { [1] = "__u8", [2] = "__u16", [4] = "__u32", [8] = "__u64" };

	fprintf(out, "\t%s %s", types[record->has_size], record->has);
	if (record->has_words > 1)
		fprintf(out, "[%u]", record->has_words);
	fprintf(out, "; /* which metrics saw a packet */\n");
}

/* As plan_members() places them. */
void emit_record_members(FILE *out, const struct amon_plan_record *record)
{
	for (uint32_t alignment = 8; alignment; alignment /= 2) {
		for (uint32_t i = 0; i < record->metric_count; i++) {
			const struct amon_plan_metric *metric = &record->metrics[i];

			if (metric->layout.value != UINT32_MAX &&
			    amon_plan_alignment(metric->layout.value_size) == alignment)
				emit_member(out, value_type(metric), metric->member);
			if (alignment == 8)
				write_wide_parts(out, metric);
		}
		if (record->has_size == alignment)
			write_has(out, record);
	}
	for (uint32_t i = 0; i < record->metric_count; i++)
		if (record->metrics[i].version)
			emit_member(out, "__u8", record->metrics[i].version);
}

static void write_key_struct(struct emitter *e, const struct amon_plan_table *table)
{
	fprintf(e->out, "struct %s {\n", table->key_tag);
	for (uint32_t i = 0; i < table->key_count; i++)
		emit_member(e->out,
		            amon_plan_c_type(table->laid_out[i]->column->value->type.base, table->laid_out[i]->size),
		            table->laid_out[i]->member);
	if (table->version != UINT32_MAX)
		emit_member(e->out, "__u8", "net_version");
	for (uint32_t i = 0; i < table->key_count; i++)
		if (table->keys[i].has)
			emit_member(e->out, "__u8", table->keys[i].has);
	if (table->expire)
		emit_member(e->out, "__u64", "life");
	if (table->key_size > table->key_used)
		fprintf(e->out, "\t__u8 padding[%u];\n", table->key_size - table->key_used);
	fprintf(e->out, "}%s;\n\n", table->table->events ? "" : " __aligned(8)");
}

static void write_own_rows(struct emitter *e, const struct amon_plan_table *table)
{
	fprintf(e->out, "struct %s {\n\tstruct %s key;\n\tstruct %s row;\n} __aligned(%u);\n\n", table->slot_tag,
	        table->key_tag, table->record.tag, amon_plan_slot_alignment(table->slot_size));
	fprintf(e->out,
	        "/* Whoever loads it gives it as many slots and rows as the table's size asks for. */\n"
	        "const volatile struct own_shape %s = {\n"
	        "\t.mask = 15, .limit = 12, .cpus = 1, .places = 0, .rows = 32, .numbers = 511,\n\t.indices = "
	        "sizeof(struct own_pool) + 32 * sizeof(struct %s) + 16 * sizeof(__u32),\n};\n"
	        "struct {\n\t__uint(type, BPF_MAP_TYPE_ARRAY);\n\t__uint(map_flags, BPF_F_MMAPABLE);\n"
	        "\t__uint(max_entries, 1);\n\t__uint(key_size, sizeof(__u32));\n"
	        "\t__uint(value_size, sizeof(struct own_pool) + 32 * sizeof(struct %s) + 16 * sizeof(__u32) +\n"
	        "\t\t\t   sizeof(struct own_index) + 2 * 16 * sizeof(__u32));\n} %s SEC(\".maps\");\n\n",
	        table->shape, table->slot_tag, table->slot_tag, table->map);
}

static void write_lives(struct emitter *e, const struct amon_plan_table *table)
{
	const struct amon_plan_expire *expire = table->expire;

	fprintf(e->out,
	        "struct %s {\n\t__u64 used;\n\tstruct %s key;\n\tstruct life life;\n} "
	        "__aligned(%u);\n\n",
	        expire->slot_tag, table->key_tag, amon_plan_slot_alignment(expire->slot_size));
	fprintf(e->out,
	        "/* How long its rows live, on each CPU: no window cuts it. */\nconst volatile struct own_shape %s = { "
	        ".mask = 15 };\nstruct {\n\t__uint(type, BPF_MAP_TYPE_ARRAY);\n"
	        "\t__uint(max_entries, 1);\n\t__uint(key_size, sizeof(__u32));\n"
	        "\t__uint(value_size, sizeof(struct lives) + 16 * sizeof(struct %s));\n} %s SEC(\".maps\");\n\n",
	        expire->shape, expire->slot_tag, expire->lives_map);
}

static void write_table_maps(struct emitter *e, const struct amon_plan_table *table)
{
	const char *row = amon_arena_printf(e->arena, "struct %s", table->record.tag);

	write_key_struct(e, table);
	if (table->table->events) {
		fprintf(e->out,
		        "struct {\n\t__uint(type, BPF_MAP_TYPE_RINGBUF);\n\t__uint(max_entries, %u);\n} %s "
		        "SEC(\".maps\");\n\n",
		        table->ring_size, table->map);
		return;
	}
	if (table->table->is_private)
		return;
	emit_record_bits(e->out, &table->record);
	fprintf(e->out, "struct %s {\n", table->record.tag);
	if (table->expire)
		fprintf(e->out, "\tstruct flow flow;\n");
	emit_record_members(e->out, &table->record);
	if (!table->record.metric_count && !table->expire)
		fprintf(e->out, "\t__u64 unused;\n");
	fprintf(e->out, "} __aligned(8);\n\n");
	write_own_rows(e, table);
	if (table->expire && table->expire->lives_map)
		write_lives(e, table);
	fprintf(e->out,
	        "/* What finds no place there, with a record for each CPU; it grows with use. */\nstruct {\n"
	        "\t__uint(type, BPF_MAP_TYPE_HASH);\n\t__uint(map_flags, BPF_F_NO_PREALLOC);\n"
	        "\t__uint(max_entries, %u);\n\t__uint(key_size, sizeof(struct %s));\n"
	        "\t__uint(value_size, sizeof(%s));\n} %s SEC(\".maps\");\n\n",
	        table->table->size, table->key_tag, row, table->spill_map);
	if (table->other_map)
		emit_map(e->out, table->other_map, "PERCPU_ARRAY", "__u32", row, 1);
}

static void write_part(struct emitter *e, const struct amon_plan_section *section, const struct amon_plan_part *part)
{
	emit_record_bits(e->out, &part->record);
	fprintf(e->out, "struct %s {\n", part->record.tag);
	if (part == section->parts)
		fprintf(e->out, "\tstruct counter %s, %s;\n", section->seen_member, section->selected_member);
	if (part == section->parts && section->malformed_member)
		fprintf(e->out, "\tstruct counter %s[%u];\n", section->malformed_member, emit_count_causes(e->plan));
	for (uint32_t i = 0; i < section->table_count; i++)
		for (int c = 0; c < AMON_LEDGER_COUNT && section->tables[i].part == part; c++)
			if (section->tables[i].counters[c])
				fprintf(e->out, "\tstruct counter %s;\n", section->tables[i].counters[c]);
	emit_record_members(e->out, &part->record);
	fprintf(e->out, "};\n\n");
	emit_map(e->out, part->map, "PERCPU_ARRAY", "__u32", amon_arena_printf(e->arena, "struct %s", part->record.tag),
	         1);
}

void emit_section_maps(struct emitter *e, const struct amon_plan_section *section)
{
	for (uint32_t i = 0; i < section->table_count; i++)
		write_table_maps(e, &section->tables[i]);
	for (uint32_t i = 0; i < section->part_count; i++)
		write_part(e, section, &section->parts[i]);
	emit_memory_maps(e, section);
}
