/* SPDX-License-Identifier: Apache-2.0 */
#include "emit_internal.h"

#include <string.h>

/* Functions that are verified apart hold so many metrics at most: jumps in eBPF have 16 bits. */
#define METRICS_A_FUNCTION 64

/* The section's functions are verified apart, or drawn into the program. */
static const char *linkage(const struct amon_plan_section *section)
{
	return section->shared ? "__noinline __u32" : "static __always_inline void";
}

static const char *packet_type(const struct amon_plan_section *section)
{
	return section->shared ? "const volatile struct packet" : "const struct packet";
}

static void write_leave(struct amon_writer *w, const struct amon_plan_section *section)
{
	amon_write(w, section->shared ? "return 0;\n" : "return;\n");
}

static struct amon_writer begin_body(struct emitter *e, const struct amon_plan_section *section,
                                     unsigned int *temporaries)
{
	struct amon_writer w = { .arena = e->arena,
		                 .out = e->out,
		                 .indent = 1,
		                 .temporaries = temporaries,
		                 .section = section,
		                 .time = section->time };

	*temporaries = 0;
	return w;
}

/* What a packet finds remembered, as a parameter, where the function reads it. */
static const char *before_parameter(struct emitter *e, const struct amon_plan_section *section, bool reads)
{
	return reads ? amon_arena_printf(e->arena, ", struct %s *b", section->before) : "";
}

static const char *before_argument(bool reads)
{
	return reads ? ", b" : "";
}

/* The verifier proves functions apart, for any pointers. */
static void write_null_checks(struct amon_writer *w, const struct amon_plan_section *section, const char *pointer,
                              bool reads)
{
	if (section->shared)
		amon_write(w, "if (!p || !%s%s)\n\t\treturn 0;\n", pointer, reads ? " || !b" : "");
}

static void learn_section(struct amon_writer *w, const struct amon_section *section)
{
	amon_c_learn(w, section->where);
}

static void learn_table(struct amon_writer *w, const struct amon_table *table)
{
	learn_section(w, table->section);
	amon_c_learn(w, table->where);
	for (const struct amon_column *key = table->keys.first; key; key = key->next)
		if (!key->port_key)
			amon_c_learn_present(w, key->value);
}

/* Metrics that see a super-packet once stand in a look of their own. Folds are written with the memory. */
static bool is_written(const struct amon_plan_metric *metric, bool once, bool split)
{
	return metric->column->aggregation != &amon_aggregation_fold && (!split || metric->column->once == once);
}

static uint32_t count_kind(const struct amon_plan_record *record, bool once, bool split)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < record->metric_count; i++)
		count += is_written(&record->metrics[i], once, split);
	return count;
}

/* Those of [from, to) that have the `where` of the first: a condition that stands again is not asked again. */
static void write_alike(struct amon_writer *w, const struct scope *s, const struct amon_plan_record *record,
                        uint32_t from, uint32_t to, bool once, bool *written, struct seen *seen)
{
	const struct amon_plan_metric *alike[METRICS_A_FUNCTION];
	const struct amon_value *where = record->metrics[from].column->where;
	uint32_t count = 0;

	for (uint32_t i = from; i < to && count < METRICS_A_FUNCTION && (i == from || where); i++)
		if (!written[i] && is_written(&record->metrics[i], once, s->section->weighted) &&
		    amon_same_value(where, record->metrics[i].column->where)) {
			alike[count++] = &record->metrics[i];
			written[i] = true;
		}
	emit_metrics(w, s, alike, count, seen);
}

/* Metrics from `from` on, until `most` are written; where the section runs at TC, those that see a super-packet once or
 * the others. */
static uint32_t write_metrics(struct amon_writer *w, const struct scope *s, const struct amon_plan_record *record,
                              uint32_t from, uint32_t most, bool once)
{
	bool *written = amon_new_array(w->arena, bool, record->metric_count + 1);
	struct seen seen = { amon_new_array(w->arena, const struct amon_plan_metric *, record->metric_count + 1), 0 };
	uint32_t to = from;

	for (; to < record->metric_count && most; to++)
		most -= is_written(&record->metrics[to], once, s->section->weighted);
	for (uint32_t i = from; i < to; i++)
		if (!written[i] && is_written(&record->metrics[i], once, s->section->weighted))
			write_alike(w, s, record, i, to, once, written, &seen);
	emit_seen(w, s, &seen);
	return to;
}

/* Metrics beyond what one function holds go to functions of their own, written before it. Returns how many there are.
 */
static uint32_t write_overflow_functions(struct emitter *e, const struct amon_plan_section *section,
                                         const char *function, const struct amon_plan_record *record,
                                         const struct amon_table *table, const char *pointer, bool reads)
{
	uint32_t from = 0, number = 0, skipped = METRICS_A_FUNCTION;
	unsigned int temporaries;

	if (!section->shared || count_kind(record, false, section->weighted) <= METRICS_A_FUNCTION)
		return 0;
	for (; from < record->metric_count && skipped; from++)
		skipped -= is_written(&record->metrics[from], false, section->weighted);
	while (from < record->metric_count) {
		struct amon_writer w = begin_body(e, section, &temporaries);
		struct scope s = { e, section, pointer };

		emit_mark(e->out, table ? table->span : section->section->span);
		fprintf(e->out, "__noinline __u32 %s_%u(%s *p, struct %s *%s%s)\n{\n", function, ++number,
		        packet_type(section), record->tag, pointer, before_parameter(e, section, reads));
		write_null_checks(&w, section, pointer, reads);
		if (table)
			learn_table(&w, table);
		else
			learn_section(&w, section->section);
		from = write_metrics(&w, &s, record, from, METRICS_A_FUNCTION, false);
		fprintf(e->out, "\treturn 0;\n}\n\n");
	}
	return number;
}

static void call_overflow_functions(struct amon_writer *w, const char *function, uint32_t count, const char *pointer,
                                    bool reads)
{
	for (uint32_t i = 1; i <= count; i++)
		amon_write(w, "%s_%u(p, %s%s);\n", function, i, pointer, before_argument(reads));
}

static void write_where_alone(struct amon_writer *w, const struct amon_plan_section *section,
                              const struct amon_value *where)
{
	struct amon_c condition;

	if (!where)
		return;
	emit_comment(w->arena, w->out, w->indent, "where ", where->span);
	condition = amon_c_condition(w, where);
	amon_write(w, "if (!%s)\n", amon_c_tight(w, condition));
	w->indent++;
	write_leave(w, section);
	w->indent--;
	amon_c_learn(w, where);
}

/* A block's `where`, and the clock for those whom it lets through, or for itself. */
static void write_where(struct amon_writer *w, const struct amon_plan_section *section, const struct amon_value *where,
                        enum amon_clock clock)
{
	if (clock == AMON_CLOCK_AHEAD)
		amon_write(w, "read_%s(p);\n", w->time);
	write_where_alone(w, section, where);
	if (clock == AMON_CLOCK_BEHIND)
		amon_write(w, "read_%s(p);\n", w->time);
}

static void write_ledger(struct amon_writer *w, const struct amon_plan_section *section, const char *member)
{
	amon_write(w, "ledger_add(&m->%s, %s, p->frame_len);\n", member, section->weighted ? "p->weight" : "1");
}

/* --- tables */

static void write_key_part(struct amon_writer *w, const char *record, const struct amon_plan_key *key,
                           struct amon_c text)
{
	emit_copy(w, amon_arena_printf(w->arena, "%s%s", record, key->member), key->size, text);
}

/* Fills the key; a packet without one makes no row. */
static void write_key(struct amon_writer *w, const struct amon_plan_section *section,
                      const struct amon_plan_table *table, bool once)
{
	struct amon_c_value *values = amon_new_array(w->arena, struct amon_c_value, table->key_count + 1);
	struct amon_c there = { NULL, 100 };
	struct lines lines;
	struct amon_writer inner;

	for (uint32_t i = 0; i < table->key_count; i++) {
		emit_mark(w->out, table->keys[i].column->span);
		values[i] = amon_c_value(w, table->keys[i].column->value);
		if (table->keys[i].column->port_key)
			continue;
		there = amon_c_and(w, there, values[i].when);
		amon_c_learn_present(w, table->keys[i].column->value);
	}
	if (there.text) {
		inner = emit_open_lines(w, &lines);
		if (!once)
			write_ledger(&inner, section, table->counters[AMON_LEDGER_NO_KEY]);
		write_leave(&inner, section);
		emit_close_lines(w, &inner,
		                 (struct amon_c){ amon_arena_printf(w->arena, "!%s", amon_c_tight(w, there)), 100 },
		                 &lines);
	}
	for (uint32_t i = 0; i < table->key_count; i++) {
		emit_mark(w->out, table->keys[i].column->span);
		if (table->keys[i].column->port_key && values[i].when.text)
			amon_write(w, "if (%s)\n\t\tkey.%s = %s;\n", values[i].when.text, table->keys[i].member,
			           values[i].value.text);
		else
			write_key_part(w, "key.", &table->keys[i], values[i].value);
	}
	if (table->version != UINT32_MAX)
		amon_write(w, "key.net_version = p->net_version;\n");
}

/* One field of an event. */
static void write_event_part(struct amon_writer *w, const struct amon_plan_key *key)
{
	struct amon_c_value value = amon_c_value(w, key->column->value);
	struct lines lines;
	struct amon_writer inner = emit_open_lines(w, &lines);

	write_key_part(&inner, "event->", key, value.value);
	if (key->has)
		amon_write(&inner, "event->%s = 1;\n", key->has);
	emit_close_lines(w, &inner, value.when, &lines);
}

/* Each packet is a row of its own, in a ring that the next read takes. */
static void write_events_function(struct emitter *e, const struct amon_plan_section *section,
                                  const struct amon_plan_table *table)
{
	unsigned int temporaries;
	struct amon_writer w = begin_body(e, section, &temporaries);

	emit_comment(e->arena, e->out, 0, "", table->table->span);
	fprintf(e->out, "%s %s%s(%s *p, struct %s *m%s)\n{\n", linkage(section), table->function,
	        section->weighted ? "_once" : "", packet_type(section), table->part->record.tag,
	        before_parameter(e, section, table->reads));
	amon_write(&w, "struct %s *event;\n\n", table->key_tag);
	write_null_checks(&w, section, "m", table->reads);
	learn_section(&w, section->section);
	write_where(&w, section, table->table->where, table->clock);
	write_ledger(&w, section, table->counters[AMON_LEDGER_SELECTED]);
	emit_mark(e->out, table->table->span);
	amon_write(&w, "event = bpf_ringbuf_reserve(&%s, sizeof(*event), 0);\n", table->map);
	amon_write(&w, "if (!event) {\n");
	w.indent++;
	write_ledger(&w, section, table->counters[AMON_LEDGER_FULL]);
	write_leave(&w, section);
	w.indent--;
	amon_write(&w, "}\n");
	amon_write(&w, "__builtin_memset(event, 0, sizeof(*event));\n");
	for (uint32_t i = 0; i < table->key_count; i++) {
		emit_mark(e->out, table->keys[i].column->span);
		write_event_part(&w, &table->keys[i]);
	}
	emit_mark(e->out, table->table->span);
	if (table->version != UINT32_MAX)
		amon_write(&w, "event->net_version = p->net_version;\n");
	amon_write(&w, "bpf_ringbuf_submit(event, BPF_RB_NO_WAKEUP);\n");
	write_ledger(&w, section, table->counters[AMON_LEDGER_IN_ROWS]);
	fprintf(e->out, "%s}\n\n", section->shared ? "\treturn 0;\n" : "");
}

/* " | (__u64)key.l4_srcport << 32", `at` bytes into a word */
static const char *word_piece(struct amon_arena *arena, const char *text, const char *member, uint32_t at)
{
	return at ? amon_arena_printf(arena, "%s%s(__u64)%s << %u", text, *text ? " | " : "", member, 8 * at)
	          : amon_arena_printf(arena, "%s%s%s", text, *text ? " | " : "", member);
}

/* What of a key's member lies in a word, behind what lies there before it; NULL: bytes that cannot be named so. */
static const char *word_of_member(struct amon_arena *arena, const char *text, const struct amon_plan_key *key,
                                  uint32_t word)
{
	uint32_t size = key->size == 16 ? 4 : key->size, at;

	if (key->offset + key->size <= 8 * word || key->offset >= 8 * (word + 1))
		return text;
	if (key->size == 6)
		return NULL;
	for (uint32_t i = 0; i < key->size / size && text; i++) {
		at = key->offset + i * size - 8 * word;
		if (at < 8)
			text = word_piece(arena, text,
			                  size == key->size ? amon_arena_printf(arena, "key.%s", key->member)
			                                    : amon_arena_printf(arena, "key.%s[%u]", key->member, i),
			                  at);
	}
	return text;
}

/*
 * The key, by words of 8 bytes, for its row. They are put together out of its members, since a word that was stored in
 * pieces is long in coming back from memory.
 */
static void write_words(struct amon_writer *w, const struct amon_plan_table *table)
{
	uint32_t life = table->expire ? table->expire->life / 8 : UINT32_MAX;

	for (uint32_t word = 0; word < table->key_size / 8; word++) {
		const char *text = "";

		if (word == life)
			continue;
		for (uint32_t i = 0; i < table->key_count && text; i++)
			text = word_of_member(w->arena, text, table->laid_out[i], word);
		if (text && table->version / 8 == word)
			text = word_piece(w->arena, text, "key.net_version", table->version % 8);
		if (text)
			amon_write(w, "words[%u] = %s;\n", word, text);
		else
			amon_write(w, "words[%u] = ((const __u64 *)&key)[%u];\n", word, word);
	}
}

/* The slot of the CPU's own rows, or a row among those that spilled. */
static void write_find(struct amon_writer *w, const struct amon_plan_table *table)
{
	amon_write(w, "slot = own_row(&%s, words, sizeof(key) / 8, sizeof(*slot), &%s);\n", table->map, table->shape);
	amon_write(w, "row = slot ? &slot->row : spilled(&%s, &key, sizeof(*row), &%s);\n", table->spill_map,
	           table->shape);
}

static bool has_other(const struct amon_plan_table *table)
{
	return table->table->overflow == AMON_OVERFLOW_OTHER;
}

/* What is remembered of its rows ends with them. */
static bool remembers_flows(const struct amon_plan_table *table)
{
	return table->memory && table->memory->expires;
}

/* "row && memory" */
static const char *place(const struct amon_plan_table *table)
{
	if (remembers_flows(table))
		return table->map ? "row" : has_other(table) ? "own" : "memory";
	return !table->memory ? "row" : table->map ? "row && memory" : "memory";
}

/* "!row || !memory" */
static const char *missing(const struct amon_plan_table *table)
{
	if (remembers_flows(table))
		return table->map || has_other(table) ? "!row" : "!memory";
	return !table->memory ? "!row" : table->map ? "!row || !memory" : "!memory";
}

static void write_new_row(struct amon_writer *w, const struct amon_plan_table *table)
{
	amon_write(w, "if (!row) {\n");
	amon_write(w, "\t%sspill(&%s, &key);\n", has_other(table) ? "" : "error = ", table->spill_map);
	amon_write(w, "\trow = spilled(&%s, &key, sizeof(*row), &%s);\n", table->spill_map, table->shape);
	amon_write(w, "}\n");
}

static void write_new_memory(struct amon_writer *w, const struct amon_plan_table *table)
{
	const struct amon_plan_memory *memory = table->memory;

	amon_write(w, "if (%s!memory) {\n", table->map ? "row && " : "");
	amon_write(w, "\t%sbpf_map_update_elem(&%s, &key, &%s_new, BPF_NOEXIST);\n",
	           has_other(table) ? "" : "error = ", memory->map, memory->tag);
	amon_write(w, "\tmemory = bpf_map_lookup_elem(&%s, &key);\n", memory->map);
	amon_write(w, "}\n");
}

/* Memory is made for keys that have a row, and so for no more keys than there can be rows. */
static void write_places(struct amon_writer *w, const struct amon_plan_table *table)
{
	if (table->map) {
		write_find(w, table);
		write_new_row(w, table);
	}
	if (table->memory)
		write_new_memory(w, table);
}

/* What has ended is no packet's while a reader takes it out, or what the packet leaves would go with it. */
static void write_remembered_places(struct amon_writer *w, const struct amon_plan_table *table)
{
	const struct amon_plan_memory *memory = table->memory;

	amon_write(w, "memory = bpf_map_lookup_elem(&%s, &key);\n", memory->map);
	if (!memory->swept) {
		write_places(w, table);
		return;
	}
	amon_write(w, "b->%s = memory && b->sweeping && memory->state.seen + 1 < b->window;\n", memory->leaves);
	amon_write(w, "if (b->%s) {\n", memory->leaves);
	w->indent++;
	amon_write(w, "memory = 0;\n");
	if (!has_other(table))
		amon_write(w, "error = -EBUSY;\n");
	w->indent--;
	amon_write(w, "} else {\n");
	w->indent++;
	write_places(w, table);
	w->indent--;
	amon_write(w, "}\n");
}

static void write_other(struct amon_writer *w, const struct amon_plan_table *table)
{
	if (table->map)
		amon_write(w, "row = bpf_map_lookup_elem(&%s, &zero);\n", table->other_map);
	if (table->memory && !remembers_flows(table))
		amon_write(w, "memory = bpf_map_lookup_elem(&%s, &zero);\n", table->memory->other_map);
}

/* What finds the life of the key's row, a call behind whose arguments more may stand. */
static const char *life_call(struct amon_writer *w, const struct amon_plan_table *table, const char *function)
{
	const struct amon_plan_expire *expire = table->expire;

	return amon_arena_printf(w->arena, "%s(&%s, words, sizeof(key) / 8 - 1, sizeof(struct %s), &%s", function,
	                         expire->lives_map, expire->slot_tag, expire->shape);
}

/* A row that ends is found by its key and its life. */
static void write_life(struct amon_writer *w, const struct amon_plan_section *section,
                       const struct amon_plan_table *table)
{
	const struct amon_expire *expire = &table->table->expire;

	emit_comment(w->arena, w->out, w->indent, "", expire->span);
	if (strcmp(w->time, section->tick) != 0 || !(section->clock || table->clock))
		amon_write(w, "read_%s(p);\n", section->tick);
	amon_write(w, "life = %s, p->%s, %lluULL, %lluULL);\n", life_call(w, table, "live"), section->tick,
	           (unsigned long long)expire->idle, (unsigned long long)expire->active);
	amon_write(w, "key.life = words[%u] = life ? life->number : 0;\n", table->expire->life / 8);
	emit_mark(w->out, table->table->span);
}

static void write_flow(struct amon_writer *w, const struct amon_plan_section *section,
                       const struct amon_plan_table *table)
{
	const struct amon_expire *expire = &table->table->expire;
	struct amon_writer inner;
	struct lines lines;
	struct amon_c when;

	emit_mark(w->out, expire->span);
	amon_write(w, "add_to_flow(&row->flow, p->%s, %s, p->frame_len);\n", section->tick,
	           section->weighted ? "p->weight" : "1");
	if (!expire->when)
		return;
	if (remembers_flows(table)) {
		amon_write(w, "if (until)\n\t\tend_flow(&row->flow, 0, until);\n");
		return;
	}
	when = amon_c_condition(w, expire->when);
	inner = emit_open_lines(w, &lines);
	amon_write(&inner, "end_flow(&row->flow, life, p->%s%s);\n", section->tick,
	           expire->linger ? amon_arena_printf(w->arena, " + %lluULL", (unsigned long long)expire->linger) : "");
	emit_close_lines(w, &inner, when, &lines);
}

/* What found no place goes to `other`, or is told by cause. */
static void write_outcome(struct amon_writer *w, const struct amon_plan_section *section,
                          const struct amon_plan_table *table)
{
	if (has_other(table)) {
		amon_write(w, "if (%s) {\n", place(table));
		w->indent++;
		write_ledger(w, section, table->counters[AMON_LEDGER_IN_ROWS]);
		w->indent--;
		amon_write(w, "} else {\n");
		w->indent++;
		write_ledger(w, section, table->counters[AMON_LEDGER_OTHER]);
		write_other(w, table);
		if (table->map || !remembers_flows(table))
			amon_write(w, "if (%s)\n\t\t\treturn%s;\n", missing(table), section->shared ? " 0" : "");
		w->indent--;
		amon_write(w, "}\n");
		return;
	}
	amon_write(w, "if (%s) {\n", missing(table));
	w->indent++;
	for (int cause = AMON_LEDGER_FULL; cause < AMON_LEDGER_COUNT; cause++) {
		static const char *const errors[] = { [AMON_LEDGER_FULL] = "if (error == -E2BIG)\n",
			                              [AMON_LEDGER_BUSY] = "else if (error == -EBUSY)\n",
			                              [AMON_LEDGER_NO_MEMORY] = "else if (error == -ENOMEM)\n",
			                              [AMON_LEDGER_FAILED] = "else\n" };

		amon_write(w, "%s", errors[cause]);
		w->indent++;
		write_ledger(w, section, table->counters[cause]);
		w->indent--;
	}
	write_leave(w, section);
	w->indent--;
	amon_write(w, "}\n");
	write_ledger(w, section, table->counters[AMON_LEDGER_IN_ROWS]);
}

static void write_row(struct amon_writer *w, const struct amon_plan_section *section,
                      const struct amon_plan_table *table)
{
	if (table->memory)
		write_remembered_places(w, table);
	else
		write_places(w, table);
	write_outcome(w, section, table);
}

/* --- rows that end, of which packets remember something: the memory comes first, and tells which row it is */

static void write_flow_memory(struct amon_writer *w, const struct amon_plan_section *section,
                              const struct amon_plan_table *table)
{
	const struct amon_plan_memory *memory = table->memory;
	const char *error = has_other(table) ? "" : "error = ";

	emit_comment(w->arena, w->out, w->indent, "", table->table->expire.span);
	amon_write(w, "read_%s(p);\n", section->tick);
	amon_write(w, "memory = bpf_map_lookup_elem(&%s, &key);\n", memory->map);
	amon_write(w, "if (!memory) {\n");
	amon_write(w, "\t%sbpf_map_update_elem(&%s, &key, &%s_new, BPF_NOEXIST);\n", error, memory->map, memory->tag);
	amon_write(w, "\tmemory = bpf_map_lookup_elem(&%s, &key);\n", memory->map);
	amon_write(w, "} else if (b->sweeping && %s) {\n", emit_forgotten(w, section, memory));
	amon_write(w, "\t/* a reader may be taking it out, and with it what this packet would leave */\n");
	amon_write(w, "\tmemory = 0;\n");
	if (*error)
		amon_write(w, "\terror = -EBUSY;\n");
	amon_write(w, "}\n");
	if (has_other(table))
		amon_write(w, "own = memory != 0;\n");
	emit_mark(w->out, table->table->span);
}

/* What has no memory of its own has that of the row `other`, or none. */
static void write_other_memory(struct amon_writer *w, const struct amon_plan_section *section,
                               const struct amon_plan_table *table)
{
	if (has_other(table))
		amon_write(w, "if (!memory)\n\t\tmemory = bpf_map_lookup_elem(&%s, &zero);\n",
		           table->memory->other_map);
	amon_write(w, "if (!memory)\n");
	w->indent++;
	write_leave(w, section);
	w->indent--;
}

static struct amon_writer begin_own(struct amon_writer *w, const char *condition)
{
	struct amon_writer inner = *w;

	amon_write(w, "if (%s) {\n", condition);
	inner.indent++;
	return inner;
}

static void write_flow_place(struct amon_writer *w, const struct amon_plan_table *table)
{
	amon_write(w, "key.life = words[%u] = b->%s;\n", table->expire->life / 8, table->memory->life);
	write_find(w, table);
}

/* What the folds became, in the row. */
static void write_flow_left(struct amon_writer *w, const struct scope *s, const struct amon_plan_table *table)
{
	struct amon_writer inner;

	if (!table->memory->fold_count)
		return;
	inner = begin_own(w, "row");
	emit_flow_folds(&inner, s, table);
	amon_write(w, "}\n");
}

/* In the first look, or the only one. */
static void write_flow_row(struct amon_writer *w, const struct scope *s, const struct amon_plan_table *table)
{
	bool only = !s->section->weighted, other = only && has_other(table);
	struct amon_writer inner;

	write_flow_memory(w, s->section, table);
	if (other) {
		write_other_memory(w, s->section, table);
		emit_flow_step(w, s, table, (struct amon_flow_look){ true, only, "own" });
	}
	if (table->map || !other) {
		inner = begin_own(w, other ? "own" : "memory");
		if (!other)
			emit_flow_step(&inner, s, table, (struct amon_flow_look){ true, only, NULL });
		if (table->map) {
			write_flow_place(&inner, table);
			write_new_row(&inner, table);
		}
		if (only)
			write_flow_left(&inner, s, table);
		amon_write(w, "}\n");
	}
	write_outcome(w, s->section, table);
}

/* In the look at a super-packet as a whole, its row is there already. */
static void write_flow_row_again(struct amon_writer *w, const struct scope *s, const struct amon_plan_table *table)
{
	const struct amon_plan_memory *memory = table->memory;
	struct amon_writer inner;

	amon_write(w, "if (!(%s))\n\t\tb->%s = 0;\n", emit_flow_entered(w, memory), memory->life);
	amon_write(w, "memory = b->%s ? bpf_map_lookup_elem(&%s, &key) : 0;\n", memory->life, memory->map);
	write_other_memory(w, s->section, table);
	emit_flow_step(w, s, table, (struct amon_flow_look){ false, true, NULL });
	if (!table->map)
		return;
	inner = begin_own(w, amon_arena_printf(w->arena, "b->%s", memory->life));
	write_flow_place(&inner, table);
	write_flow_left(&inner, s, table);
	amon_write(w, "}\n");
	if (has_other(table))
		amon_write(w, "if (!row)\n\t\trow = bpf_map_lookup_elem(&%s, &zero);\n", table->other_map);
	amon_write(w, "if (!row)\n");
	write_leave(&inner, s->section);
}

/* In the second look at a super-packet its rows are there already. */
static void write_row_again(struct amon_writer *w, const struct amon_plan_section *section,
                            const struct amon_plan_table *table)
{
	if (table->memory && table->memory->swept)
		amon_write(w, "memory = b->%s ? 0 : bpf_map_lookup_elem(&%s, &key);\n", table->memory->leaves,
		           table->memory->map);
	else if (table->memory)
		amon_write(w, "memory = bpf_map_lookup_elem(&%s, &key);\n", table->memory->map);
	if (table->map && table->memory)
		amon_write(w, "if (memory) {\n");
	w->indent += table->memory != NULL;
	if (table->map)
		write_find(w, table);
	w->indent -= table->memory != NULL;
	if (table->map && table->memory)
		amon_write(w, "}\n");
	if (has_other(table)) {
		amon_write(w, "if (%s) {\n", missing(table));
		w->indent++;
		write_other(w, table);
		w->indent--;
		amon_write(w, "}\n");
	}
	amon_write(w, "if (%s)\n", missing(table));
	w->indent++;
	write_leave(w, section);
	w->indent--;
}

static void write_table_variables(struct amon_writer *w, const struct amon_plan_table *table, bool once)
{
	if (has_other(table))
		amon_write(w, "__u32 zero = 0;\n");
	amon_write(w, "struct %s key;\n", table->key_tag);
	if (table->map)
		amon_write(w, "__u64 words[sizeof(key) / 8];\n\tstruct %s *slot;\n\tstruct %s *row%s;\n",
		           table->slot_tag, table->record.tag, table->memory ? " = 0" : "");
	if (table->memory)
		amon_write(w, "struct %s *memory;\n", table->memory->tag);
	if (!once && table->expire && !remembers_flows(table))
		amon_write(w, "struct life *life;\n");
	if (!once && remembers_flows(table) && has_other(table))
		amon_write(w, "bool own; /* and not that of the row `other` */\n");
	if (!once && remembers_flows(table) && table->expire && table->table->expire.when)
		amon_write(w, "__u64 until = 0;\n");
	if (!once && !has_other(table))
		amon_write(w, "int error = 0; /* not long: before Linux 6.4 its upper half is not set */\n");
	fputc('\n', w->out);
}

/* A table's own `where` reads what is remembered of the row that there may be. */
static void write_table_where(struct amon_writer *w, const struct amon_plan_section *section,
                              const struct amon_plan_table *table)
{
	w->asking = table->table;
	write_where(w, section, table->table->where, table->clock);
	w->asking = NULL;
}

static void write_table_function(struct emitter *e, const struct amon_plan_section *section,
                                 const struct amon_plan_table *table, bool once)
{
	unsigned int temporaries;
	uint32_t more = once ? 0
	                     : write_overflow_functions(e, section, table->function, &table->record, table->table,
	                                                "row", table->reads);
	struct amon_writer w = begin_body(e, section, &temporaries);
	struct scope s = { e, section, "row" };

	emit_comment(e->arena, e->out, 0, "", table->table->span);
	fprintf(e->out, "%s %s%s(%s *p, struct %s *m%s)\n{\n", linkage(section), table->function, once ? "_once" : "",
	        packet_type(section), table->part->record.tag, before_parameter(e, section, table->reads));
	write_table_variables(&w, table, once);
	write_null_checks(&w, section, "m", table->reads);
	learn_section(&w, section->section);
	write_table_where(&w, section, table);
	emit_mark(e->out, table->table->span);
	if (!once)
		write_ledger(&w, section, table->counters[AMON_LEDGER_SELECTED]);
	amon_write(&w, "__builtin_memset(&key, 0, sizeof(key));\n");
	write_key(&w, section, table, once);
	emit_mark(e->out, table->table->span);
	if (table->map)
		write_words(&w, table);
	if (table->clock == AMON_CLOCK_ROW)
		amon_write(&w, "read_%s(p);\n", w.time);
	if (remembers_flows(table)) {
		(once ? write_flow_row_again : write_flow_row)(&w, &s, table);
	} else {
		if (once && table->expire)
			amon_write(&w, "key.life = words[%u] = %s);\n", table->expire->life / 8,
			           life_call(&w, table, "life_number"));
		else if (table->expire)
			write_life(&w, section, table);
		(once ? write_row_again : write_row)(&w, section, table);
	}
	if (table->expire && !once)
		write_flow(&w, section, table);
	if (table->memory && !remembers_flows(table) && once == section->weighted)
		emit_memory_step(&w, &s, table);
	write_metrics(&w, &s, &table->record, 0, once ? UINT32_MAX : METRICS_A_FUNCTION, once);
	emit_mark(e->out, table->table->span);
	call_overflow_functions(&w, table->function, more, "row", table->reads);
	fprintf(e->out, "%s}\n\n", section->shared ? "\treturn 0;\n" : "");
}

/* --- sections */

static void write_section_ledger(struct amon_writer *w, const struct emitter *e,
                                 const struct amon_plan_section *section)
{
	write_ledger(w, section, section->seen_member);
	if (section->malformed_member) {
		amon_write(w, "cause = p->cause - 1;\n");
		amon_write(w, "if (cause < %u)\n", emit_count_causes(e->plan));
		w->indent++;
		amon_write(w, "ledger_add(&m->%s[cause], %s, p->frame_len);\n", section->malformed_member,
		           section->weighted ? "p->weight" : "1");
		w->indent--;
	}
}

/* --- what packets look up in other rows */

/* The row that a packet's key selects, for those who ask the table. */
static void write_find_function(struct emitter *e, const struct amon_plan_section *section,
                                const struct amon_plan_table *table)
{
	unsigned int temporaries;
	struct amon_writer w = begin_body(e, section, &temporaries);

	fprintf(e->out, "/* %s: what it remembers of the row that the packet's key selects, if there is one */\n",
	        table->table->name);
	fprintf(e->out, "%s %s(%s *p%s)\n{\n", linkage(section), table->find, packet_type(section),
	        before_parameter(e, section, true));
	amon_write(&w, "struct %s key;\n", table->key_tag);
	amon_write(&w, "struct %s *memory;\n\n", table->memory->tag);
	write_null_checks(&w, section, "b", false);
	if (!section->where_looks)
		learn_section(&w, section->section);
	emit_memory_none(&w, table);
	amon_write(&w, "__builtin_memset(&key, 0, sizeof(key));\n");
	write_key(&w, section, table, true);
	amon_write(&w, "memory = bpf_map_lookup_elem(&%s, &key);\n", table->memory->map);
	amon_write(&w, "if (!memory)\n");
	w.indent++;
	write_leave(&w, section);
	w.indent--;
	if (remembers_flows(table))
		amon_write(&w, "read_%s(p);\n", section->tick);
	emit_memory_asked(&w, section, table);
	fprintf(e->out, "%s}\n\n", section->shared ? "\treturn 0;\n" : "");
}

/* Before anything of the packet is remembered. `steps`: in a look that leaves something, where the section's own memory
 * is copied when it is changed. */
static void write_looks(struct amon_writer *w, const struct amon_plan_section *section, bool steps)
{
	if (section->memory && (section->where_looks || section->finds_own || !steps))
		emit_memory_look(w, section);
	for (uint32_t i = 0; i < section->asked_count; i++)
		amon_write(w, "%s(p, b);\n", section->asked[i]->find);
}

/* A packet changes memory in one look: at TC in the one that sees super-packets once. */
struct look {
	bool once, steps, looks;
};

static struct look look_of(const struct amon_plan_section *section, bool once)
{
	struct look look = { .once = once, .steps = section->before && once == section->weighted };

	look.looks = look.steps ? section->where_looks || section->asked_count : section->looks;
	return look;
}

/* The records of the section, in variables named by their pointers. */
static void write_records(struct amon_writer *w, const struct amon_plan_section *section, struct look look)
{
	const char *test = section->shared ? "!p" : NULL;

	for (uint32_t i = 0; i < section->part_count; i++) {
		const struct amon_plan_part *part = &section->parts[i];

		amon_write(w, "%s = bpf_map_lookup_elem(&%s, &zero);\n", part->pointer, part->map);
		test = amon_arena_printf(w->arena, "%s%s!%s", test ? test : "", test ? " || " : "", part->pointer);
	}
	if (section->before) {
		amon_write(w, "b = bpf_map_lookup_elem(&%s, &zero);\n", section->before);
		test = amon_arena_printf(w->arena, "%s || !b", test);
	}
	if (section->memory && (look.steps || look.looks)) {
		amon_write(w, "memory = bpf_map_lookup_elem(&%s, &zero);\n", section->memory->map);
		test = amon_arena_printf(w->arena, "%s || !memory", test);
	}
	amon_write(w, "if (%s)\n", test);
	w->indent++;
	write_leave(w, section);
	w->indent--;
	if (section->numbered && (look.steps || look.looks || section->swept))
		amon_write(w, "b->window = window_number();\n");
	if (section->swept && !look.once)
		amon_write(w, "b->sweeping = is_sweeping();\n");
}

static void write_section_variables(struct amon_writer *w, const struct amon_plan_section *section, struct look look)
{
	for (uint32_t i = 0; i < section->part_count; i++)
		amon_write(w, "struct %s *%s;\n", section->parts[i].record.tag, section->parts[i].pointer);
	if (section->before)
		amon_write(w, "struct %s *b;\n", section->before);
	if (section->memory && (look.steps || look.looks))
		amon_write(w, "struct %s *memory;\n", section->memory->tag);
	amon_write(w, "__u32 zero = 0%s;\n\n", !look.once && section->malformed_member ? ", cause" : "");
}

/* A part's metrics, beyond those that one function holds in functions of their own. */
static const char *part_function(struct emitter *e, const struct amon_plan_section *section,
                                 const struct amon_plan_part *part)
{
	return part == section->parts ? section->function
	                              : amon_arena_printf(e->arena, "%s_%s", section->function, part->pointer);
}

static void write_section_function(struct emitter *e, const struct amon_plan_section *section, bool once)
{
	unsigned int temporaries;
	uint32_t more[AMON_PLAN_PARTS] = { 0 };
	struct look look = look_of(section, once);
	struct amon_writer w;

	for (uint32_t i = 0; i < section->part_count && !once; i++)
		more[i] = write_overflow_functions(e, section, part_function(e, section, &section->parts[i]),
		                                   &section->parts[i].record, NULL, section->parts[i].pointer,
		                                   section->before);
	w = begin_body(e, section, &temporaries);
	emit_comment(e->arena, e->out, 0, "", section->section->span);
	fprintf(e->out, "%s %s%s(%s *p)\n{\n", linkage(section), section->function, once ? "_once" : "",
	        packet_type(section));
	write_section_variables(&w, section, look);
	write_records(&w, section, look);
	if (!once)
		write_section_ledger(&w, e, section);
	if (look.looks && section->where_looks)
		write_looks(&w, section, look.steps);
	write_where(&w, section, section->section->where, section->clock);
	emit_mark(e->out, section->section->span);
	if (!once)
		write_ledger(&w, section, section->selected_member);
	if (look.looks && !section->where_looks)
		write_looks(&w, section, look.steps);
	if (look.steps && section->memory)
		emit_memory_step(&w, &(struct scope){ e, section, section->parts[0].pointer }, NULL);
	for (uint32_t i = 0; i < section->part_count && i < AMON_PLAN_PARTS; i++) {
		struct scope s = { e, section, section->parts[i].pointer };

		write_metrics(&w, &s, &section->parts[i].record, 0, once ? UINT32_MAX : METRICS_A_FUNCTION, once);
		emit_mark(e->out, section->section->span);
		call_overflow_functions(&w, part_function(e, section, &section->parts[i]), more[i], s.record,
		                        section->before);
	}
	for (uint32_t i = 0; i < section->table_count; i++)
		if (section->tables[i].table->events ? once == section->weighted : !once || section->tables[i].once)
			amon_write(&w, "%s%s(p, %s%s);\n", section->tables[i].function, once ? "_once" : "",
			           section->tables[i].part->pointer, before_argument(section->tables[i].reads));
	fprintf(e->out, "%s}\n\n", section->shared ? "\treturn 0;\n" : "");
}

/* Which packets the users' C of the section sees. */
static void write_selects_function(struct emitter *e, const struct amon_plan_section *section)
{
	unsigned int temporaries;
	struct amon_writer w = begin_body(e, section, &temporaries);
	struct amon_c condition;

	emit_comment(e->arena, e->out, 0, "where ", section->section->where->span);
	fprintf(e->out, "static __noinline bool %s(%s *p)\n{\n", section->selects, packet_type(section));
	condition = amon_c_condition(&w, section->section->where);
	amon_write(&w, "return %s;\n", condition.text);
	fprintf(e->out, "}\n\n");
	emit_mark(e->out, AMON_NO_SPAN);
}

void emit_section(struct emitter *e, const struct amon_plan_section *section)
{
	for (uint32_t i = 0; i < section->asked_count; i++)
		write_find_function(e, section, section->asked[i]);
	for (uint32_t i = 0; i < section->table_count; i++) {
		if (section->tables[i].table->events) {
			write_events_function(e, section, &section->tables[i]);
			continue;
		}
		write_table_function(e, section, &section->tables[i], false);
		if (section->weighted && section->tables[i].once)
			write_table_function(e, section, &section->tables[i], true);
	}
	write_section_function(e, section, false);
	if (section->weighted && section->once)
		write_section_function(e, section, true);
	if (section->selects)
		write_selects_function(e, section);
}
