/* SPDX-License-Identifier: Apache-2.0 */
#include "emit_internal.h"

#include <stdlib.h>
#include <string.h>

/*
 * What is remembered from packet to packet. `b` is what this packet finds, a copy that only its CPU has; `memory` is
 * the row that CPUs share, `state` and `folds` are its parts. All that a packet computes reads `b`.
 */

/* --- structs and maps */

static void write_state_struct(FILE *out, const struct amon_plan_memory *memory)
{
	if (!memory->state.size)
		return;
	emit_record_bits(out, &memory->state);
	fprintf(out, "struct %s {\n", memory->state_tag);
	if (memory->seen)
		fprintf(out, "\t__u64 seen; /* %s */\n",
		        memory->ends ? "the window of the last packet" : "1 once there was a packet");
	emit_record_members(out, &memory->state);
	fprintf(out, "} __aligned(8);\n\n");
}

static void write_folds_struct(FILE *out, const struct amon_plan_folds *folds)
{
	emit_record_bits(out, &folds->record);
	fprintf(out, "struct %s {\n\t__u64 window; /* %s */\n\t__u64 order; /* of packets */\n", folds->tag,
	        folds->anew ? "in which they began" : "1 once they have begun");
	emit_record_members(out, &folds->record);
	fprintf(out, "};\n\n");
}

static void write_value_struct(FILE *out, const struct amon_plan_memory *memory)
{
	if (memory->exchanged) {
		fprintf(out, "struct %s {\n\t__u64 %s; /* twice, and 1 where there is one */\n};\n\n", memory->tag,
		        memory->state.metrics->member);
		return;
	}
	for (uint32_t i = 0; i < memory->fold_count; i++)
		write_folds_struct(out, &memory->folds[i]);
	fprintf(out, "struct %s {\n\tstruct bpf_spin_lock lock;\n", memory->tag);
	if (memory->expires)
		fprintf(out, "\tstruct life life;\n");
	if (memory->state.size)
		fprintf(out, "\tstruct %s state;\n", memory->state_tag);
	for (uint32_t i = 0; i < memory->fold_count; i++)
		fprintf(out, "\tstruct %s %s%s;\n", memory->folds[i].tag, memory->folds[i].member,
		        memory->folds[i].anew ? "[2]" : "");
	fprintf(out, "};\n\n");
}

static void write_hash(struct emitter *e, const struct amon_plan_table *table)
{
	const struct amon_plan_memory *memory = table->memory;

	fprintf(e->out, "static const struct %s %s_new;\n\n", memory->tag, memory->tag);
	fprintf(e->out,
	        "/* Its entries are set at load. */\nstruct {\n\t__uint(type, BPF_MAP_TYPE_HASH);\n"
	        "\t__uint(map_flags, BPF_F_NO_PREALLOC);\n\t__uint(max_entries, %u);\n"
	        "\t__type(key, struct %s);\n\t__type(value, struct %s);\n} %s SEC(\".maps\");\n\n",
	        table->table->size, table->key_tag, memory->tag, memory->map);
	if (memory->other_map)
		emit_map(e->out, memory->other_map, "ARRAY", "__u32",
		         amon_arena_printf(e->arena, "struct %s", memory->tag), 1);
}

static void write_found(FILE *out, const struct amon_plan_memory *memory)
{
	if (memory->state.size)
		fprintf(out, "\tstruct %s %s;\n", memory->state_tag, memory->before);
	if (memory->state.size && memory->asked)
		fprintf(out, "\tstruct %s %s;\n", memory->state_tag, memory->asked);
	if (memory->leaves)
		fprintf(out, "\tbool %s; /* a reader may be taking it out */\n", memory->leaves);
	if (memory->life)
		fprintf(out, "\t__u64 %s; /* the number of its row; 0: it is remembered with what finds none */\n",
		        memory->life);
	for (uint32_t i = 0; i < memory->fold_count; i++) {
		fprintf(out, "\tstruct %s %s;\n", memory->folds[i].tag, memory->folds[i].before);
		if (memory->folds[i].left)
			fprintf(out, "\tstruct %s %s;\n", memory->folds[i].tag, memory->folds[i].left);
		if (memory->asked)
			fprintf(out, "\tstruct %s %s;\n", memory->folds[i].tag, memory->folds[i].asked);
	}
}

static void write_before(struct emitter *e, const struct amon_plan_section *section)
{
	fprintf(e->out, "/* What a packet finds remembered */\nstruct %s {\n", section->before);
	if (section->numbered)
		fprintf(e->out, "\t__u64 window;\n");
	if (section->swept)
		fprintf(e->out, "\tbool sweeping;\n");
	if (section->memory)
		write_found(e->out, section->memory);
	for (uint32_t i = 0; i < section->table_count; i++)
		if (section->tables[i].memory)
			write_found(e->out, section->tables[i].memory);
	fprintf(e->out, "};\n\n");
	emit_map(e->out, section->before, "PERCPU_ARRAY", "__u32",
	         amon_arena_printf(e->arena, "struct %s", section->before), 1);
}

void emit_memory_maps(struct emitter *e, const struct amon_plan_section *section)
{
	const struct amon_plan_memory *own = section->memory;

	if (!section->before)
		return;
	for (uint32_t i = 0; i < section->table_count; i++) {
		if (!section->tables[i].memory)
			continue;
		fprintf(e->out, "/* What a row of %s remembers from packet to packet */\n",
		        section->tables[i].table->name);
		write_state_struct(e->out, section->tables[i].memory);
		write_value_struct(e->out, section->tables[i].memory);
		write_hash(e, &section->tables[i]);
	}
	if (own) {
		fprintf(e->out, "/* What %s remembers from packet to packet */\n", section->section->name);
		write_state_struct(e->out, own);
		write_value_struct(e->out, own);
		emit_map(e->out, own->map, "ARRAY", "__u32", amon_arena_printf(e->arena, "struct %s", own->tag), 1);
	}
	write_before(e, section);
}

/* --- reading what the packet found */

static const struct amon_plan_metric *find_item(const struct amon_plan_record *record, const struct amon_column *column)
{
	for (uint32_t i = 0; i < record->metric_count; i++)
		if (record->metrics[i].column == column)
			return &record->metrics[i];
	return NULL;
}

static const struct amon_plan_memory *memory_of(const struct amon_plan_section *section, const struct amon_table *table)
{
	for (uint32_t i = 0; table && i < section->table_count; i++)
		if (section->tables[i].table == table)
			return section->tables[i].memory;
	return section->memory;
}

/* Where an item is found: "b->class.frame_time" is `of` b->class. */
struct found {
	const struct amon_plan_memory *memory;
	const struct amon_plan_metric *item;
	const char *of;
};

static struct found find(struct amon_writer *w, const struct amon_value *value)
{
	const struct amon_column *column = value->column;
	bool asked = value->asked || (column->table && column->table == w->asking);
	struct found found = { .memory = memory_of(w->section, column->table) };

	found.item = find_item(&found.memory->state, column);
	found.of = asked ? found.memory->asked : found.memory->before;
	for (uint32_t i = 0; !found.item; i++) {
		found.item = find_item(&found.memory->folds[i].record, column);
		found.of = asked ? found.memory->folds[i].asked : found.memory->folds[i].before;
	}
	return found;
}

/* What a fold begins with may have been put where there is no row. */
static struct amon_c there_asked(struct amon_writer *w, const struct amon_value *value, struct found found)
{
	bool fold = value->column->aggregation == &amon_aggregation_fold;
	bool metric = strcmp(found.of, found.memory->asked);
	struct amon_c row = { amon_arena_printf(w->arena, "b->%s.%s", found.of, metric ? "window" : "seen"), 100 };
	struct amon_c has = { NULL, 100 };

	if (found.item->has)
		has = emit_has(w, amon_arena_printf(w->arena, "b->%s.", found.of), found.item);
	return fold || !has.text ? amon_c_and(w, row, has) : has;
}

/* A count, a sum and a fold that begins with a number always have a value. */
static struct amon_c there(struct amon_writer *w, const struct amon_value *value, struct found found)
{
	struct amon_c when = { NULL, 100 };

	if (value->asked)
		return there_asked(w, value, found);
	if (found.item->has)
		when = emit_has(w, amon_arena_printf(w->arena, "b->%s.", found.of), found.item);
	return when;
}

/* C computes with four bytes at least. */
static const char *complement(struct amon_writer *w, const char *text, uint32_t size)
{
	return size < 4 ? amon_arena_printf(w->arena, "(__u%u)~%s", 8 * size, text)
	                : amon_arena_printf(w->arena, "~%s", text);
}

struct amon_c_value amon_c_memory(struct amon_writer *w, const struct amon_value *value)
{
	struct found found = find(w, value);
	const char *member = found.item->member ? found.item->member : found.item->count;
	const char *text = amon_arena_printf(w->arena, "b->%s.%s", found.of, member);

	if (found.item->layout.kept == AMON_KEPT_COMPLEMENT && !found.item->time)
		text = complement(w, text, found.item->layout.value_size);
	if (value->type.base == AMON_BASE_INT || value->type.base == AMON_BASE_TIME)
		text = amon_arena_printf(w->arena, "(__s64)%s", text);
	else if (value->type.base == AMON_BASE_BOOL)
		text = amon_arena_printf(w->arena, "(%s != 0)", text);
	return (struct amon_c_value){ there(w, value, found), { text, 100 } };
}

struct amon_c amon_c_row(struct amon_writer *w, const struct amon_value *value)
{
	const struct amon_plan_memory *memory = memory_of(w->section, value->table);

	return (struct amon_c){ amon_arena_printf(w->arena, "b->%s.seen", memory->asked), 100 };
}

const char *amon_c_version(struct amon_writer *w, const struct amon_value *value)
{
	struct found found;

	if (value->kind != AMON_VALUE_MEMORY)
		return "p->net_version";
	found = find(w, value);
	return amon_arena_printf(w->arena, "b->%s.%s", found.of, found.item->version);
}

/* --- what a fold begins with, and what it becomes */

static bool begins_with_zero(const struct amon_column *fold)
{
	return fold->initial->kind == AMON_VALUE_INTEGER && !fold->initial->integer;
}

static bool has_beginnings(const struct amon_plan_record *record)
{
	for (uint32_t i = 0; i < record->metric_count; i++)
		if (record->metrics[i].column->initial && !begins_with_zero(record->metrics[i].column))
			return true;
	return false;
}

static void write_fold_value(struct amon_writer *w, const char *record, const struct amon_plan_metric *fold,
                             struct amon_c value)
{
	const struct amon_column *column = fold->column;

	/* constants have been cut already */
	if (column->width < 8 && strspn(value.text, "-0123456789") < strlen(value.text))
		amon_write(w, "%s%s = (__%c%u)%s;\n", record, fold->member, column->is_signed ? 's' : 'u',
		           8 * column->width, amon_c_tight(w, value));
	else
		amon_write(w, "%s%s = %s;\n", record, fold->member, value.text);
	if (fold->has)
		emit_set_has(w, record, fold);
}

static void write_beginnings(struct amon_writer *w, const struct amon_plan_record *record, const char *of)
{
	for (uint32_t i = 0; i < record->metric_count; i++) {
		const struct amon_plan_metric *item = &record->metrics[i];
		struct amon_c_value value;
		struct amon_writer inner;
		struct lines lines;

		if (!item->column->initial || begins_with_zero(item->column))
			continue;
		value = amon_c_value(w, item->column->initial);
		inner = emit_open_lines(w, &lines);
		write_fold_value(&inner, amon_arena_printf(w->arena, "b->%s.", of), item, value.value);
		emit_close_lines(w, &inner, value.when, &lines);
	}
}

static void write_fold(struct amon_writer *w, const struct scope *s, const struct amon_plan_metric *fold,
                       const char *record)
{
	const struct amon_column *column = fold->column;
	struct amon_c when = { NULL, 100 };
	struct amon_c_value value;
	struct amon_writer inner, innermost;
	struct lines lines, update;

	emit_comment(s->e->arena, w->out, w->indent, "", column->span);
	if (column->where)
		when = amon_c_condition(w, column->where);
	inner = emit_open_lines(w, &lines);
	amon_c_learn(&inner, column->where);
	value = amon_c_value(&inner, column->argument);
	innermost = emit_open_lines(&inner, &update);
	write_fold_value(&innermost, record, fold, value.value);
	emit_close_lines(&inner, &innermost, value.when, &update);
	emit_close_lines(w, &inner, when, &lines);
}

/* There is a value now, or none any more. */
static void write_has_if(struct amon_writer *w, const char *record, const struct amon_plan_metric *metric,
                         struct amon_c when)
{
	const char *word = amon_arena_printf(w->arena, "%s%s", record, metric->has_word);

	amon_write(w, "%s = %s ? %s | %s : %s & ~%s;\n", word, amon_c_tight(w, when), word, metric->has, word,
	           metric->has);
}

/* --- previous packets */

static void write_previous(struct amon_writer *w, const struct scope *s, const struct amon_plan_metric *item)
{
	const struct amon_column *narrowed = item->column->narrowed;
	const struct amon_value *where = narrowed ? narrowed->where : NULL;
	struct amon_c when = { NULL, 100 };
	struct amon_c_value value;
	struct amon_writer inner;
	struct lines lines;

	emit_comment(s->e->arena, w->out, w->indent, "", item->column->span);
	if (where)
		when = amon_c_condition(w, where);
	inner = emit_open_lines(w, &lines);
	amon_c_learn(&inner, where);
	value = amon_c_value(&inner, item->column->argument);
	emit_copy(&inner, amon_arena_printf(w->arena, "state->%s", item->member), item->layout.value_size, value.value);
	if (item->version)
		amon_write(&inner, "state->%s = %s;\n", item->version, amon_c_version(w, item->column->argument));
	if (value.when.text)
		write_has_if(&inner, "state->", item, value.when);
	else
		emit_set_has(&inner, "state->", item);
	emit_close_lines(w, &inner, when, &lines);
}

/* --- one number, without a lock */

static void write_word(struct amon_writer *w, const struct amon_plan_memory *memory, const char *word)
{
	const struct amon_plan_metric *item = memory->state.metrics;

	amon_write(w, "b->%s.%s = %s >> 1;\n", memory->before, item->member, word);
	amon_write(w, "b->%s.%s = %s & 1;\n", memory->before, item->has_word, word);
}

static void write_exchange(struct amon_writer *w, const struct scope *s, const struct amon_plan_memory *memory)
{
	const struct amon_plan_metric *item = memory->state.metrics;
	const struct amon_value *where = item->column->narrowed ? item->column->narrowed->where : NULL;
	const char *at = amon_arena_printf(w->arena, "memory->%s", item->member), *left;
	const char *declared = where ? "was" : "const __u64 was";
	struct amon_c when = { NULL, 100 };
	struct amon_c_value value;
	struct amon_writer inner;
	struct lines lines;

	emit_comment(s->e->arena, w->out, w->indent, "", item->column->span);
	if (where)
		amon_write(w, "__u64 was = %s;\n\n", at);
	if (where)
		when = amon_c_condition(w, where);
	inner = emit_open_lines(w, &lines);
	amon_c_learn(&inner, where);
	value = amon_c_value(&inner, item->column->argument);
	left = amon_arena_printf(w->arena, "(__u64)%s << 1 | 1", amon_c_tight(w, value.value));
	if (value.when.text)
		left = amon_arena_printf(w->arena, "%s ? %s : 0", amon_c_tight(w, value.when), left);
	amon_write(&inner, "%s = __sync_lock_test_and_set(&%s, %s);\n", declared, at, left);
	emit_close_lines(w, &inner, when, &lines);
	write_word(w, memory, "was");
	fputc('\n', w->out);
}

/* --- the step: what the packet finds, and what it leaves */

static const char *window(const struct amon_plan_folds *folds)
{
	return folds->anew ? "b->window" : "1";
}

/* `life`: the number of a row that ends; NULL: of one that does not. A key's later row has the later order. */
static void write_begin_folds(struct amon_writer *w, const struct amon_plan_folds *folds, const char *life, bool keep)
{
	const char *of = folds->before;

	if (folds->anew)
		amon_write(w, "if (b->%s.window != b->window) {\n", of);
	else
		amon_write(w, "if (!b->%s.window) {\n", of);
	w->indent++;
	if (life)
		amon_write(w, "const __u64 order = b->%s.order;\n\n", of);
	if (folds->anew || life)
		amon_write(w, "__builtin_memset(&b->%s, 0, sizeof(b->%s));\n", of, of);
	amon_write(w, "b->%s.window = %s;\n", of, window(folds));
	if (folds->anew)
		amon_write(w, "b->%s.order = b->window << 32;\n", of);
	if (life)
		amon_write(w, "b->%s.order = order > b->%s ? order : b->%s;\n", of, life, life);
	write_beginnings(w, &folds->record, of);
	if (keep)
		amon_write(w, "*%s = b->%s;\n", folds->member, of);
	w->indent--;
	amon_write(w, "}\n");
}

static void write_begin_state(struct amon_writer *w, const struct amon_plan_memory *memory)
{
	struct amon_writer inner;
	struct lines lines;

	if (memory->ends)
		amon_write(w, "if (b->%s.seen + 1 < b->window)\n%.*s\t__builtin_memset(&b->%s, 0, sizeof(b->%s));\n",
		           memory->before, w->indent, "\t\t\t\t\t\t\t\t", memory->before, memory->before);
	if (!has_beginnings(&memory->state))
		return;
	inner = emit_open_lines(w, &lines);
	write_beginnings(&inner, &memory->state, memory->before);
	emit_close_lines(w, &inner, (struct amon_c){ amon_arena_printf(w->arena, "!b->%s.seen", memory->before), 100 },
	                 &lines);
}

static void write_state_items(struct amon_writer *w, const struct scope *s, const struct amon_plan_memory *memory)
{
	const struct scope of_state = { s->e, s->section, "state" };
	struct seen seen = { amon_new_array(w->arena, const struct amon_plan_metric *, memory->state.metric_count + 1),
		             0 };

	for (uint32_t i = 0; i < memory->state.metric_count; i++) {
		const struct amon_plan_metric *item = &memory->state.metrics[i];

		if (item->column->aggregation == &amon_aggregation_previous)
			write_previous(w, s, item);
		else if (item->column->aggregation == &amon_aggregation_fold)
			write_fold(w, s, item, "state->");
		else
			emit_metrics(w, &of_state, &item, 1, &seen);
	}
	emit_seen(w, &of_state, &seen);
	if (memory->seen)
		amon_write(w, "state->seen = %s;\n", memory->ends ? "b->window" : "1");
}

/* The value behind the packet goes to this CPU's record, with the order in which it became that. */
static void write_exported(struct amon_writer *w, const char *from, const struct amon_plan_metric *fold,
                           const struct amon_plan_metric *to, const char *pointer)
{
	const char *record = amon_arena_printf(w->arena, "%s->", pointer);

	amon_write(w, "%s%s = %s%s;\n", record, to->member, from, fold->member);
	amon_write(w, "%s%s = %sorder;\n", record, to->time, from);
	if (fold->has)
		write_has_if(w, record, to, emit_has(w, from, fold));
	else
		emit_set_has(w, record, to);
}

static void write_export(struct amon_writer *w, const struct scope *s, const struct amon_plan_table *table,
                         const struct amon_plan_folds *folds, const struct amon_plan_metric *fold)
{
	const char *from = amon_arena_printf(w->arena, "%s->", folds->member);
	const struct amon_plan_metric *to;

	if (table) {
		write_exported(w, from, fold, find_item(&table->record, fold->column), "row");
		return;
	}
	for (uint32_t i = 0; i < s->section->part_count; i++) {
		to = find_item(&s->section->parts[i].record, fold->column);
		if (to)
			write_exported(w, from, fold, to, s->section->parts[i].pointer);
	}
}

static void write_folds(struct amon_writer *w, const struct scope *s, const struct amon_plan_table *table,
                        const struct amon_plan_folds *folds)
{
	const char *record = amon_arena_printf(w->arena, "%s->", folds->member);

	amon_write(w, "%s->order++;\n", folds->member);
	for (uint32_t i = 0; i < folds->record.metric_count; i++) {
		write_fold(w, s, &folds->record.metrics[i], record);
		if (!folds->left)
			write_export(w, s, table, folds, &folds->record.metrics[i]);
	}
}

static void write_pointers(struct amon_writer *w, const struct amon_plan_memory *memory)
{
	if (memory->state.size)
		amon_write(w, "struct %s *state = &memory->state;\n", memory->state_tag);
	for (uint32_t i = 0; i < memory->fold_count; i++)
		amon_write(w, "struct %s *%s = &memory->%s%s;\n", memory->folds[i].tag, memory->folds[i].member,
		           memory->folds[i].member, memory->folds[i].anew ? "[b->window & 1]" : "");
}

void emit_memory_step(struct amon_writer *w, const struct scope *s, const struct amon_plan_table *table)
{
	const struct amon_plan_memory *memory = table ? table->memory : s->section->memory;

	if (memory->exchanged) {
		write_exchange(w, s, memory);
		return;
	}
	amon_write(w, "/* What is remembered: as this packet finds it, and as it leaves it */\n");
	write_pointers(w, memory);
	fputc('\n', w->out);
	amon_write(w, "bpf_spin_lock(&memory->lock);\n");
	if (memory->state.size)
		amon_write(w, "b->%s = *state;\n", memory->before);
	write_begin_state(w, memory);
	if (memory->ends || has_beginnings(&memory->state))
		amon_write(w, "*state = b->%s;\n", memory->before);
	for (uint32_t i = 0; i < memory->fold_count; i++) {
		amon_write(w, "b->%s = *%s;\n", memory->folds[i].before, memory->folds[i].member);
		write_begin_folds(w, &memory->folds[i], NULL, true);
	}
	write_state_items(w, s, memory);
	for (uint32_t i = 0; i < memory->fold_count; i++)
		write_folds(w, s, table, &memory->folds[i]);
	amon_write(w, "bpf_spin_unlock(&memory->lock);\n\n");
}

/* --- the step of a row that ends */

const char *emit_flow_entered(struct amon_writer *w, const struct amon_plan_memory *memory)
{
	return amon_arena_printf(w->arena, "p->rows & %lluULL", 1ULL << memory->number);
}

const char *emit_forgotten(struct amon_writer *w, const struct amon_plan_section *section,
                           const struct amon_plan_memory *memory)
{
	return amon_arena_printf(w->arena, "is_forgotten(&memory->life, p->%s, %lluULL)", section->tick,
	                         (unsigned long long)memory->idle);
}

static void write_arrival(struct amon_writer *w, const struct scope *s, const struct amon_plan_table *table)
{
	const struct amon_plan_memory *memory = table->memory;
	const struct amon_expire *expire = &table->table->expire;
	const char *next =
	        amon_arena_printf(w->arena, "next_row(&memory->life, p->%s, %lluULL, %lluULL)", s->section->tick,
	                          (unsigned long long)expire->idle, (unsigned long long)expire->active);

	if (memory->state.size) {
		amon_write(w, "if (%s)\n", emit_forgotten(w, s->section, memory));
		amon_write(w, "\t__builtin_memset(&memory->state, 0, sizeof(memory->state));\n");
	}
	if (memory->fold_count) {
		amon_write(w, "if (%s)\n", next);
		amon_write(w, "\tmemory->%s.window = 0;\n", memory->folds->member);
	} else {
		amon_write(w, "%s;\n", next);
	}
}

static void write_flow_found(struct amon_writer *w, const struct amon_plan_memory *memory)
{
	if (memory->state.size)
		amon_write(w, "b->%s = *state;\n", memory->before);
	for (uint32_t i = 0; i < memory->fold_count; i++)
		amon_write(w, "b->%s = *%s;\n", memory->folds[i].before, memory->folds[i].member);
	write_begin_state(w, memory);
	for (uint32_t i = 0; i < memory->fold_count; i++)
		write_begin_folds(w, &memory->folds[i], memory->life, false);
}

static void write_when(struct amon_writer *w, const struct scope *s, const struct amon_plan_table *table)
{
	const struct amon_expire *expire = &table->table->expire;
	struct lines lines;
	struct amon_writer inner;
	struct amon_c when;

	emit_mark(w->out, expire->span);
	when = amon_c_and(w, (struct amon_c){ amon_arena_printf(w->arena, "b->%s", table->memory->life), 100 },
	                  amon_c_condition(w, expire->when));
	inner = emit_open_lines(w, &lines);
	amon_write(&inner, "%send_row(&memory->life, p->%s%s);\n", table->expire ? "until = " : "", s->section->tick,
	           expire->linger ? amon_arena_printf(w->arena, " + %lluULL", (unsigned long long)expire->linger) : "");
	emit_close_lines(w, &inner, when, &lines);
	emit_mark(w->out, table->table->span);
}

static void write_flow_left(struct amon_writer *w, const struct scope *s, const struct amon_plan_table *table)
{
	const struct amon_plan_memory *memory = table->memory;

	if (has_beginnings(&memory->state))
		amon_write(w, "*state = b->%s;\n", memory->before);
	for (uint32_t i = 0; i < memory->fold_count; i++)
		amon_write(w, "*%s = b->%s;\n", memory->folds[i].member, memory->folds[i].before);
	if (memory->state.size)
		write_state_items(w, s, memory);
	for (uint32_t i = 0; i < memory->fold_count; i++) {
		write_folds(w, s, table, &memory->folds[i]);
		amon_write(w, "b->%s = *%s;\n", memory->folds[i].left, memory->folds[i].member);
	}
}

/* The packet learns in which row it is, and what is remembered of it. */
static void write_arrives(struct amon_writer *w, const struct scope *s, const struct amon_plan_table *table,
                          const char *own)
{
	const struct amon_plan_memory *memory = table->memory;
	struct amon_writer inner = *w;

	if (own) {
		amon_write(w, "if (%s) {\n", own);
		inner.indent++;
	}
	write_arrival(&inner, s, table);
	if (own)
		amon_write(w, "}\n");
	amon_write(w, "b->%s = memory->life.number;\n", memory->life);
	if (s->section->weighted)
		amon_write(w, "((struct packet *)p)->rows |= %lluULL;\n", 1ULL << memory->number);
	write_flow_found(w, memory);
	if (table->table->expire.when)
		write_when(w, s, table);
}

/* Another CPU's packet may have begun the next row since this one's was found: there, nothing is left by this packet.
 */
static void write_steps_apart(struct amon_writer *w, const struct scope *s, const struct amon_plan_table *table)
{
	const struct amon_plan_memory *memory = table->memory;
	struct amon_writer inner = *w;

	if (memory->fold_count)
		amon_write(w, "b->%s.window = 0;\n", memory->folds->left);
	amon_write(w, "if (memory->life.number == b->%s) {\n", memory->life);
	inner.indent++;
	write_flow_found(&inner, memory);
	write_flow_left(&inner, s, table);
	amon_write(w, "}\n");
}

void emit_flow_step(struct amon_writer *w, const struct scope *s, const struct amon_plan_table *table,
                    struct amon_flow_look look)
{
	write_pointers(w, table->memory);
	fputc('\n', w->out);
	amon_write(w, "bpf_spin_lock(&memory->lock);\n");
	if (look.arrives)
		write_arrives(w, s, table, look.own);
	if (look.arrives && look.steps)
		write_flow_left(w, s, table);
	else if (look.steps)
		write_steps_apart(w, s, table);
	amon_write(w, "bpf_spin_unlock(&memory->lock);\n");
}

void emit_flow_folds(struct amon_writer *w, const struct scope *s, const struct amon_plan_table *table)
{
	const struct amon_plan_folds *folds = table->memory->folds;
	bool apart = s->section->weighted;

	if (!table->memory->fold_count)
		return;
	if (apart) {
		amon_write(w, "if (b->%s.window) {\n", folds->left);
		w->indent++;
	}
	for (uint32_t i = 0; i < folds->record.metric_count; i++)
		write_exported(w, amon_arena_printf(w->arena, "b->%s.", folds->left), &folds->record.metrics[i],
		               find_item(&table->record, folds->record.metrics[i].column), "row");
	if (apart) {
		w->indent--;
		amon_write(w, "}\n");
	}
}

/* --- reading alone */

void emit_memory_look(struct amon_writer *w, const struct amon_plan_section *section)
{
	const struct amon_plan_memory *memory = section->memory;

	if (memory->exchanged) {
		write_word(w, memory, amon_arena_printf(w->arena, "memory->%s", memory->state.metrics->member));
		return;
	}
	amon_write(w, "bpf_spin_lock(&memory->lock);\n");
	if (memory->state.size)
		amon_write(w, "b->%s = memory->state;\n", memory->before);
	for (uint32_t i = 0; i < memory->fold_count; i++)
		amon_write(w, "b->%s = memory->%s%s;\n", memory->folds[i].before, memory->folds[i].member,
		           memory->folds[i].anew ? "[b->window & 1]" : "");
	amon_write(w, "bpf_spin_unlock(&memory->lock);\n");
	write_begin_state(w, memory);
	for (uint32_t i = 0; i < memory->fold_count; i++)
		write_begin_folds(w, &memory->folds[i], NULL, false);
}

void emit_memory_none(struct amon_writer *w, const struct amon_plan_table *table)
{
	const struct amon_plan_memory *memory = table->memory;

	if (memory->state.size)
		amon_write(w, "__builtin_memset(&b->%s, 0, sizeof(b->%s));\n", memory->asked, memory->asked);
	for (uint32_t i = 0; i < memory->fold_count; i++)
		amon_write(w, "__builtin_memset(&b->%s, 0, sizeof(b->%s));\n", memory->folds[i].asked,
		           memory->folds[i].asked);
	if (!memory->asks_itself)
		return;
	write_beginnings(w, &memory->state, memory->asked);
	for (uint32_t i = 0; i < memory->fold_count; i++)
		write_beginnings(w, &memory->folds[i].record, memory->folds[i].asked);
}

static void write_asked_folds(struct amon_writer *w, const struct amon_plan_folds *folds)
{
	const char *of =
	        amon_arena_printf(w->arena, "memory->%s%s", folds->member, folds->anew ? "[b->window & 1]" : "");

	if (folds->anew)
		amon_write(w, "if (%s.window == b->window)\n", of);
	else
		amon_write(w, "if (%s.window)\n", of);
	amon_write(w, "\tb->%s = %s;\n", folds->asked, of);
}

/* At TC the packet may be in that row already, and may have ended it: it asks for what was there before. */
static const char *not_over(struct amon_writer *w, const struct amon_plan_section *section,
                            const struct amon_plan_memory *memory, const char *over)
{
	if (!section->weighted)
		return amon_arena_printf(w->arena, "!%s", over);
	return amon_arena_printf(w->arena, "(((%s) && b->%s == memory->life.number) || !%s)",
	                         emit_flow_entered(w, memory), memory->life, over);
}

static void write_asked_flow(struct amon_writer *w, const struct amon_plan_section *section,
                             const struct amon_plan_table *table)
{
	const struct amon_plan_memory *memory = table->memory;
	const struct amon_expire *expire = &table->table->expire;
	const char *over = amon_arena_printf(w->arena, "is_over(&memory->life, p->%s, %lluULL, %lluULL)", section->tick,
	                                     (unsigned long long)expire->idle, (unsigned long long)expire->active);

	if (memory->state.size) {
		amon_write(w, "if (%s%s)\n", memory->seen ? "memory->state.seen && " : "",
		           not_over(w, section, memory, emit_forgotten(w, section, memory)));
		amon_write(w, "\tb->%s = memory->state;\n", memory->asked);
	}
	if (memory->fold_count) {
		amon_write(w, "if (memory->%s.window && %s)\n", memory->folds->member,
		           not_over(w, section, memory, over));
		amon_write(w, "\tb->%s = memory->%s;\n", memory->folds->asked, memory->folds->member);
	}
}

static void write_asked_state(struct amon_writer *w, const struct amon_plan_memory *memory)
{
	if (memory->ends)
		amon_write(w, "if (memory->state.seen && memory->state.seen + 1 >= b->window)\n\t");
	else if (memory->seen)
		amon_write(w, "if (memory->state.seen)\n\t");
	if (memory->state.size)
		amon_write(w, "b->%s = memory->state;\n", memory->asked);
}

void emit_memory_asked(struct amon_writer *w, const struct amon_plan_section *section,
                       const struct amon_plan_table *table)
{
	const struct amon_plan_memory *memory = table->memory;

	amon_write(w, "bpf_spin_lock(&memory->lock);\n");
	if (memory->expires)
		write_asked_flow(w, section, table);
	else
		write_asked_state(w, memory);
	for (uint32_t i = 0; i < memory->fold_count && !memory->expires; i++)
		write_asked_folds(w, &memory->folds[i]);
	amon_write(w, "bpf_spin_unlock(&memory->lock);\n");
}
