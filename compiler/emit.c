/* SPDX-License-Identifier: Apache-2.0 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "emit_expression.h"
#include "template.h"

#define BIT(layer) AMON_LAYER_BIT(AMON_LAYER_##layer)
#define NET        (BIT(IPV4) | BIT(IPV6))

/* Functions that are verified apart hold so many metrics at most: jumps in eBPF have 16 bits. */
#define METRICS_A_FUNCTION 64
/* More edges than this are searched in a table. */
#define EDGES_INLINE 16

/* What the generated functions use of the templates' helpers; found by writing them first. */
enum use {
	USE_LOWEST,
	USE_HIGHEST,
	USE_IS_FIRST,
	USE_IS_LAST,
	USE_DIVIDE,
	USE_MODULO,
	USE_ADD_SQUARE,
	USE_MAC_NUMBER,
	USE_SAME_ADDRESS,
	USE_ADDRESS_AT_MOST,
	USE_BUCKET_LOG2,
	USE_BUCKET_LOGLINEAR,
	USE_BUCKET_LINEAR,
	USE_BUCKET_EDGES,
	USE_ABOVE,
	USE_BIT_LENGTH,
	USE_AT_MOST,
	USE_QUOTIENT,
	USE_REMAINDER,
	USE_COUNT
};

static const char *const use_names[USE_COUNT] = {
	"lowest",      "highest",          "is_first",      "is_last",      "divide",
	"modulo",      "add_square",       "mac_number",    "same_address", "address_at_most",
	"bucket_log2", "bucket_loglinear", "bucket_linear", "bucket_edges", "above",
	"bit_length",  "at_most",          "quotient",      "remainder",
};

struct emitter {
	const struct amon_plan *plan;
	struct amon_arena *arena;
	FILE *out;
	bool uses[USE_COUNT];
	unsigned int tables; /* of edges, to number them */
	FILE *edges;         /* their definitions */
};

/* --- the spec's own lines */

/* The statement's text on one line, fit for a comment. */
static const char *quote(struct amon_arena *arena, struct amon_span span)
{
	char *line, *to;
	bool space = true;

	if (!span.source || span.end <= span.start)
		return "";
	line = to = amon_arena_alloc(arena, (size_t)(span.end - span.start) * 2 + 1);
	for (const char *from = span.source->text + span.start; from < span.source->text + span.end; from++) {
		bool is_space = isspace((unsigned char)*from) || !*from;

		if (*from == '#') { /* the spec's comment: to the end of its line */
			while (from + 1 < span.source->text + span.end && *from != '\n')
				from++;
			is_space = true;
		}
		if (is_space && space)
			continue;
		*to++ = is_space ? ' ' : *from;
		if (from[0] == '*' && from[1] == '/')
			*to++ = ' ';
		space = is_space;
	}
	while (to > line && to[-1] == ' ')
		to--;
	*to = '\0';
	return line;
}

static void comment(struct emitter *e, FILE *out, int indent, struct amon_span span)
{
	const char *text = quote(e->arena, span);

	if (*text)
		fprintf(out, "%.*s/* %s */\n", indent, "\t\t\t\t\t\t\t\t", text);
}

/* --- one metric */

struct scope {
	struct emitter *e;
	const struct amon_plan_section *section;
	const char *record; /* "m" or "row" */
};

static const char *weight(const struct scope *s)
{
	return s->section->weighted ? "p->weight" : "1";
}

/* value × weight, to be added to a sum that wraps. */
static const char *weighed(struct amon_writer *w, const struct scope *s, struct amon_c value)
{
	if (!s->section->weighted)
		return value.text;
	return amon_arena_printf(w->arena, "(__u64)%s * p->weight", amon_c_tight(w, value));
}

static void write_count(struct amon_writer *w, const struct scope *s, const char *member)
{
	if (s->section->weighted)
		amon_write(w, "%s->%s += p->weight;\n", s->record, member);
	else
		amon_write(w, "%s->%s++;\n", s->record, member);
}

static void write_sum(struct amon_writer *w, const struct scope *s, const char *member, struct amon_c value)
{
	amon_write(w, "%s->%s += %s;\n", s->record, member, weighed(w, s, value));
}

static const char *edges_table(struct emitter *e, const struct amon_buckets *buckets, uint32_t size)
{
	const char *name = amon_arena_printf(e->arena, "edges_%u", ++e->tables);

	fprintf(e->edges, "static const __s64 %s[%u] = {", name, size);
	for (uint32_t i = 0; i < size; i++)
		fprintf(e->edges, "%s%lldll,", i % 8 ? " " : "\n\t",
		        i < buckets->edge_count ? (long long)buckets->edges[i] : (long long)INT64_MAX);
	fprintf(e->edges, "\n};\n");
	return name;
}

static const char *bucket_of(struct amon_writer *w, struct emitter *e, const struct amon_buckets *b, const char *x)
{
	char *text = NULL;
	uint32_t size = 2;

	switch (b->kind) {
	case AMON_BUCKETS_LOG2:
		return amon_arena_printf(w->arena, "bucket_log2(%s)", x);
	case AMON_BUCKETS_LOGLINEAR:
		return amon_arena_printf(w->arena, "bucket_loglinear(%s, %u)", x, b->bits);
	case AMON_BUCKETS_LINEAR:
		return amon_arena_printf(w->arena, "bucket_linear(%s, %s, %s)", x, amon_c_number(w, b->low).text,
		                         amon_c_number(w, b->step).text);
	default:
		break;
	}
	if (b->edge_count > EDGES_INLINE) {
		while (size <= b->edge_count)
			size *= 2;
		return amon_arena_printf(w->arena, "bucket_edges(%s, %s, %u)", x, edges_table(e, b, size), size);
	}
	for (uint32_t i = 0; i < b->edge_count; i++)
		text = amon_arena_printf(w->arena, "%s%sabove(%s, %s)", text ? text : "", text ? " + " : "", x,
		                         amon_c_number(w, b->edges[i]).text);
	return text;
}

static void write_histogram(struct amon_writer *w, const struct scope *s, const struct amon_plan_metric *metric,
                            struct amon_c value)
{
	uint32_t last = metric->layout.bucket_count - 1;
	const char *x = amon_arena_printf(w->arena, "x%u", ++*w->temporaries);
	const char *bucket = amon_arena_printf(w->arena, "b%u", *w->temporaries);

	amon_write(w, "const __s64 %s = %s;\n", x, value.text);
	amon_write(w, "const __u64 %s = %s;\n", bucket, bucket_of(w, s->e, &metric->column->buckets, x));
	write_sum(w, s, metric->member, (struct amon_c){ x, 100 });
	write_count(w, s, amon_arena_printf(w->arena, "%s[at_most(%s, %u)]", metric->buckets, bucket, last));
}

static bool is_address(const struct amon_value *value)
{
	return value->type.base == AMON_BASE_MAC || value->type.base == AMON_BASE_IPV6 ||
	       value->type.base == AMON_BASE_NET;
}

static void write_copy(struct amon_writer *w, const char *to, const struct amon_value *value, struct amon_c text)
{
	if (is_address(value))
		amon_write(w, "__builtin_memcpy(%s, (const void *)%s, %u);\n", to, text.text,
		           amon_value_size(value->type.base));
	else
		amon_write(w, "%s = %s;\n", to, text.text);
}

/* first(), last(): the value is put in where this packet is earlier, or later, than what is there. */
static void write_by_time(struct amon_writer *w, const struct scope *s, const struct amon_plan_metric *metric,
                          struct amon_c value)
{
	const char *test = metric->column->aggregation->merge == AMON_MERGE_EARLIER ? "is_first" : "is_last";

	if (!metric->time) {
		amon_write(w, "%s(&%s->%s, &%s->%s, p->time);\n", test, s->record, metric->member, s->record,
		           metric->has);
		return;
	}
	amon_write(w, "if (%s(&%s->%s, &%s->%s, p->time))%s\n", test, s->record, metric->time, s->record, metric->has,
	           metric->version ? " {" : "");
	w->indent++;
	write_copy(w, amon_arena_printf(w->arena, "%s->%s", s->record, metric->member), metric->column->argument,
	           value);
	if (metric->version)
		amon_write(w, "%s->%s = p->net_version;\n", s->record, metric->version);
	w->indent--;
	if (metric->version)
		amon_write(w, "}\n");
}

static void write_update(struct amon_writer *w, const struct scope *s, const struct amon_plan_metric *metric,
                         struct amon_c value)
{
	const struct amon_aggregation *aggregation = metric->column->aggregation;
	const char *r = s->record, *member = metric->member;

	if (aggregation->finish == AMON_FINISH_HISTOGRAM) {
		write_histogram(w, s, metric, value);
	} else if (aggregation->parts & AMON_PART_TIME) {
		write_by_time(w, s, metric, value);
	} else if (aggregation->merge == AMON_MERGE_MIN || aggregation->merge == AMON_MERGE_MAX) {
		amon_write(w, "%s(&%s->%s, &%s->%s, %s);\n",
		           aggregation->merge == AMON_MERGE_MIN ? "lowest" : "highest", r, member, r, metric->has,
		           value.text);
	} else if (aggregation->merge == AMON_MERGE_OR) {
		amon_write(w, "%s->%s |= %s;\n", r, member, value.text);
		amon_write(w, "%s->%s = 1;\n", r, metric->has);
	} else if (aggregation->merge == AMON_MERGE_AND) {
		amon_write(w, "%s->%s = %s->%s ? %s->%s & %s : (__u64)%s;\n", r, member, r, metric->has, r, member,
		           amon_c_tight(w, value), amon_c_tight(w, value));
		amon_write(w, "%s->%s = 1;\n", r, metric->has);
	} else if (aggregation->parts & AMON_PART_SQUARES) {
		const char *x = amon_c_once(
		        w, (struct amon_c){ amon_arena_printf(w->arena, "(__s64)%s", amon_c_tight(w, value)), 0 });

		write_sum(w, s, member, (struct amon_c){ x, 100 });
		write_count(w, s, metric->count);
		amon_write(w, "add_square(%s->%s, %s, %s);\n", r, metric->squares, x, weight(s));
	} else if (aggregation->parts & AMON_PART_VALUE) {
		write_sum(w, s, member, value);
		if (metric->count)
			write_count(w, s, metric->count);
	} else {
		write_count(w, s, metric->count);
	}
}

/* Lines written to memory first, one step further in than what they may end up in. */
struct lines {
	char *text;
	size_t size;
};

static struct amon_writer open_lines(const struct amon_writer *w, struct lines *lines)
{
	struct amon_writer inner = *w;

	*lines = (struct lines){ NULL, 0 };
	inner.out = open_memstream(&lines->text, &lines->size);
	inner.indent++;
	return inner;
}

static int count_lines(const struct lines *lines)
{
	int count = 0;

	for (size_t i = 0; i < lines->size; i++)
		count += lines->text[i] == '\n';
	return count;
}

static void write_dedented(FILE *out, const char *text)
{
	for (const char *end; (end = strchr(text, '\n')); text = end + 1)
		fprintf(out, "%.*s\n", (int)(end - text - 1), text + 1);
}

/* The lines under a condition, with braces only where they are needed; without one, as they are. Closes `inner`. */
static void close_lines(struct amon_writer *w, struct amon_writer *inner, struct amon_c when, struct lines *lines)
{
	bool braces;

	fclose(inner->out);
	braces = count_lines(lines) > 1;
	if (when.text) {
		amon_write(w, "if (%s)%s\n", when.text, braces ? " {" : "");
		fputs(lines->text, w->out);
		if (braces)
			amon_write(w, "}\n");
	} else {
		write_dedented(w->out, lines->text);
	}
	free(lines->text);
}

/* A metric: its `where` lets the packet through, and its argument has a value. */
static void write_metric(struct amon_writer *w, const struct scope *s, const struct amon_plan_metric *metric)
{
	const struct amon_column *column = metric->column;
	struct amon_c when = { NULL, 100 };
	struct amon_c_value value = { { NULL, 100 }, { NULL, 100 } };
	struct lines body, update;
	struct amon_writer inner, innermost;

	comment(s->e, w->out, w->indent, column->span);
	if (column->where)
		when = amon_c_condition(w, column->where);
	inner = open_lines(w, &body);
	amon_c_learn(&inner, column->where);
	if (column->argument)
		value = amon_c_value(&inner, column->argument);
	fflush(inner.out);
	if (body.size && value.when.text) {
		/* the presence of what needs variables is asked behind them */
		innermost = open_lines(&inner, &update);
		write_update(&innermost, s, metric, value.value);
		close_lines(&inner, &innermost, value.when, &update);
	} else {
		when = amon_c_and(w, when, value.when);
		write_update(&inner, s, metric, value.value);
	}
	close_lines(w, &inner, when, &body);
}

/* --- functions */

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

static struct amon_writer begin_body(struct emitter *e, unsigned int *temporaries)
{
	struct amon_writer w = { .arena = e->arena, .out = e->out, .indent = 1, .temporaries = temporaries };

	*temporaries = 0;
	return w;
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

static uint32_t count_kind(const struct amon_plan_record *record, bool once, bool split)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < record->metric_count; i++)
		count += !split || record->metrics[i].column->once == once;
	return count;
}

/* Metrics from `from` on, until `most` are written; where the section runs at TC, those that see a super-packet once or
 * the others. */
static uint32_t write_metrics(struct amon_writer *w, const struct scope *s, const struct amon_plan_record *record,
                              uint32_t from, uint32_t most, bool once)
{
	uint32_t i = from;

	for (; i < record->metric_count && most; i++)
		if (!s->section->weighted || record->metrics[i].column->once == once) {
			write_metric(w, s, &record->metrics[i]);
			most--;
		}
	return i;
}

/* Metrics beyond what one function holds go to functions of their own, written before it. Returns how many there are.
 */
static uint32_t write_overflow_functions(struct emitter *e, const struct amon_plan_section *section,
                                         const char *function, const struct amon_plan_record *record,
                                         const struct amon_table *table, const char *pointer)
{
	uint32_t from = 0, number = 0, skipped = METRICS_A_FUNCTION;
	unsigned int temporaries;

	if (!section->shared || count_kind(record, false, section->weighted) <= METRICS_A_FUNCTION)
		return 0;
	for (; from < record->metric_count && skipped; from++)
		skipped -= !section->weighted || !record->metrics[from].column->once;
	while (from < record->metric_count) {
		struct amon_writer w = begin_body(e, &temporaries);
		struct scope s = { e, section, pointer };

		fprintf(e->out, "__noinline __u32 %s_%u(%s *p, struct %s *%s)\n{\n", function, ++number,
		        packet_type(section), record->tag, pointer);
		amon_write(&w, "if (!p || !%s)\n\t\treturn 0;\n", pointer);
		if (table)
			learn_table(&w, table);
		else
			learn_section(&w, section->section);
		from = write_metrics(&w, &s, record, from, METRICS_A_FUNCTION, false);
		fprintf(e->out, "\treturn 0;\n}\n\n");
	}
	return number;
}

static void call_overflow_functions(struct amon_writer *w, const char *function, uint32_t count, const char *pointer)
{
	for (uint32_t i = 1; i <= count; i++)
		amon_write(w, "%s_%u(p, %s);\n", function, i, pointer);
}

static void write_where(struct amon_writer *w, const struct amon_plan_section *section, const struct amon_value *where)
{
	struct amon_c condition;

	if (!where)
		return;
	if (*quote(w->arena, where->span))
		amon_write(w, "/* where %s */\n", quote(w->arena, where->span));
	condition = amon_c_condition(w, where);
	amon_write(w, "if (!%s)\n", amon_c_tight(w, condition));
	w->indent++;
	write_leave(w, section);
	w->indent--;
	amon_c_learn(w, where);
}

static void write_ledger(struct amon_writer *w, const struct amon_plan_section *section, const char *member)
{
	amon_write(w, "ledger_add(&m->%s, %s, p->frame_len);\n", member, section->weighted ? "p->weight" : "1");
}

/* --- tables */

static void write_key_part(struct amon_writer *w, const struct amon_plan_key *key, struct amon_c text)
{
	const char *to = amon_arena_printf(w->arena, "key.%s", key->member);

	write_copy(w, to, key->column->value, text);
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
		values[i] = amon_c_value(w, table->keys[i].column->value);
		if (table->keys[i].column->port_key)
			continue;
		there = amon_c_and(w, there, values[i].when);
		amon_c_learn_present(w, table->keys[i].column->value);
	}
	if (there.text) {
		inner = open_lines(w, &lines);
		if (!once)
			write_ledger(&inner, section, table->counters[AMON_LEDGER_NO_KEY]);
		write_leave(&inner, section);
		close_lines(w, &inner,
		            (struct amon_c){ amon_arena_printf(w->arena, "!%s", amon_c_tight(w, there)), 100 }, &lines);
	}
	for (uint32_t i = 0; i < table->key_count; i++)
		if (table->keys[i].column->port_key && values[i].when.text)
			amon_write(w, "if (%s)\n\t\tkey.%s = %s;\n", values[i].when.text, table->keys[i].member,
			           values[i].value.text);
		else
			write_key_part(w, &table->keys[i], values[i].value);
	if (table->version != UINT32_MAX)
		amon_write(w, "key.net_version = p->net_version;\n");
}

/* The row, new where the key is; what finds no place goes to `other`, or is told by cause. */
static void write_row(struct amon_writer *w, const struct amon_plan_section *section,
                      const struct amon_plan_table *table)
{
	amon_write(w, "row = bpf_map_lookup_elem(&%s, &key);\n", table->map);
	amon_write(w, "if (!row) {\n");
	amon_write(w, "\t%sbpf_map_update_elem(&%s, &key, &%s_new, BPF_NOEXIST);\n",
	           table->other_map ? "" : "error = ", table->map, table->record.tag);
	amon_write(w, "\trow = bpf_map_lookup_elem(&%s, &key);\n", table->map);
	amon_write(w, "}\n");
	if (table->other_map) {
		amon_write(w, "if (row) {\n");
		w->indent++;
		write_ledger(w, section, table->counters[AMON_LEDGER_IN_ROWS]);
		w->indent--;
		amon_write(w, "} else {\n");
		w->indent++;
		write_ledger(w, section, table->counters[AMON_LEDGER_OTHER]);
		amon_write(w, "row = bpf_map_lookup_elem(&%s, &zero);\n", table->other_map);
		amon_write(w, "if (!row)\n\t\t\treturn%s;\n", section->shared ? " 0" : "");
		w->indent--;
		amon_write(w, "}\n");
		return;
	}
	amon_write(w, "if (!row) {\n");
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

/* In the second look at a super-packet its rows are there already. */
static void write_row_again(struct amon_writer *w, const struct amon_plan_section *section,
                            const struct amon_plan_table *table)
{
	amon_write(w, "row = bpf_map_lookup_elem(&%s, &key);\n", table->map);
	if (table->other_map)
		amon_write(w, "if (!row)\n\t\trow = bpf_map_lookup_elem(&%s, &zero);\n", table->other_map);
	amon_write(w, "if (!row)\n");
	w->indent++;
	write_leave(w, section);
	w->indent--;
}

static void write_table_function(struct emitter *e, const struct amon_plan_section *section,
                                 const struct amon_plan_table *table, bool once)
{
	unsigned int temporaries;
	uint32_t more =
	        once ? 0 : write_overflow_functions(e, section, table->function, &table->record, table->table, "row");
	struct amon_writer w = begin_body(e, &temporaries);
	struct scope s = { e, section, "row" };

	comment(e, e->out, 0, table->table->span);
	fprintf(e->out, "%s %s%s(%s *p, struct %s *m)\n{\n", linkage(section), table->function, once ? "_once" : "",
	        packet_type(section), section->record.tag);
	if (table->other_map)
		amon_write(&w, "__u32 zero = 0;\n");
	amon_write(&w, "struct %s key;\n\tstruct %s *row;\n", table->key_tag, table->record.tag);
	if (!once && !table->other_map)
		amon_write(&w, "int error = 0; /* not long: before Linux 6.4 its upper half is not set */\n");
	fputc('\n', e->out);
	if (section->shared)
		amon_write(&w, "if (!p || !m)\n\t\treturn 0;\n");
	learn_section(&w, section->section);
	write_where(&w, section, table->table->where);
	if (!once)
		write_ledger(&w, section, table->counters[AMON_LEDGER_SELECTED]);
	amon_write(&w, "__builtin_memset(&key, 0, sizeof(key));\n");
	write_key(&w, section, table, once);
	if (once)
		write_row_again(&w, section, table);
	else
		write_row(&w, section, table);
	write_metrics(&w, &s, &table->record, 0, once ? UINT32_MAX : METRICS_A_FUNCTION, once);
	call_overflow_functions(&w, table->function, more, "row");
	fprintf(e->out, "%s}\n\n", section->shared ? "\treturn 0;\n" : "");
}

/* --- sections */

static uint32_t count_causes(const struct amon_plan *plan)
{
	uint32_t count = 0;

	for (int cause = 1; cause < AMON_CAUSE_COUNT; cause++)
		count += plan->causes[cause];
	return count;
}

static void write_section_ledger(struct amon_writer *w, const struct emitter *e,
                                 const struct amon_plan_section *section)
{
	write_ledger(w, section, section->seen_member);
	if (section->malformed_member) {
		amon_write(w, "cause = p->cause - 1;\n");
		amon_write(w, "if (cause < %u)\n", count_causes(e->plan));
		w->indent++;
		amon_write(w, "ledger_add(&m->%s[cause], %s, p->frame_len);\n", section->malformed_member,
		           section->weighted ? "p->weight" : "1");
		w->indent--;
	}
}

static void write_section_function(struct emitter *e, const struct amon_plan_section *section, bool once)
{
	unsigned int temporaries;
	uint32_t more = once ? 0 : write_overflow_functions(e, section, section->function, &section->record, NULL, "m");
	struct amon_writer w = begin_body(e, &temporaries);
	struct scope s = { e, section, "m" };

	comment(e, e->out, 0, section->section->span);
	fprintf(e->out, "%s %s%s(%s *p)\n{\n", linkage(section), section->function, once ? "_once" : "",
	        packet_type(section));
	amon_write(&w, "struct %s *m;\n", section->record.tag);
	amon_write(&w, "__u32 zero = 0%s;\n\n", !once && section->malformed_member ? ", cause" : "");
	amon_write(&w, "m = bpf_map_lookup_elem(&%s, &zero);\n", section->map);
	amon_write(&w, section->shared ? "if (!p || !m)\n" : "if (!m)\n");
	w.indent++;
	write_leave(&w, section);
	w.indent--;
	if (!once)
		write_section_ledger(&w, e, section);
	write_where(&w, section, section->section->where);
	if (!once)
		write_ledger(&w, section, section->selected_member);
	write_metrics(&w, &s, &section->record, 0, once ? UINT32_MAX : METRICS_A_FUNCTION, once);
	call_overflow_functions(&w, section->function, more, "m");
	for (uint32_t i = 0; i < section->table_count; i++)
		if (!once || section->tables[i].once)
			amon_write(&w, "%s%s(p, m);\n", section->tables[i].function, once ? "_once" : "");
	fprintf(e->out, "%s}\n\n", section->shared ? "\treturn 0;\n" : "");
}

static void write_section(struct emitter *e, const struct amon_plan_section *section)
{
	for (uint32_t i = 0; i < section->table_count; i++) {
		write_table_function(e, section, &section->tables[i], false);
		if (section->weighted && section->tables[i].once)
			write_table_function(e, section, &section->tables[i], true);
	}
	write_section_function(e, section, false);
	if (section->weighted && section->once)
		write_section_function(e, section, true);
}

/* --- records, keys, maps */

static void write_member(FILE *out, const char *c_type, const char *name)
{
	const char *array = strchr(c_type, '[');

	fprintf(out, "\t%.*s %s%s;\n", array ? (int)(array - c_type) : (int)strlen(c_type), c_type, name,
	        array ? array : "");
}

static const char *value_type(const struct amon_plan_metric *metric)
{
	const struct amon_aggregation *aggregation = metric->column->aggregation;
	enum amon_base base = metric->column->argument ? metric->column->argument->type.base : AMON_BASE_INT;

	if (metric->layout.value_size != 8)
		return amon_plan_c_type(base, metric->layout.value_size);
	/* what is compared has a sign; what is added wraps */
	if (aggregation->merge == AMON_MERGE_MIN || aggregation->merge == AMON_MERGE_MAX)
		return "__s64";
	return "__u64";
}

static void write_record_members(FILE *out, const struct amon_plan_record *record)
{
	for (uint32_t i = 0; i < record->metric_count; i++) {
		const struct amon_plan_metric *metric = &record->metrics[i];

		if (metric->layout.value != UINT32_MAX)
			write_member(out, value_type(metric), metric->member);
		if (metric->count)
			write_member(out, "__u64", metric->count);
		if (metric->squares)
			write_member(out, "__u64[2]", metric->squares);
		if (metric->time)
			write_member(out, "__u64", metric->time);
		if (metric->buckets)
			fprintf(out, "\t__u64 %s[%u];\n", metric->buckets, metric->layout.bucket_count);
	}
	for (uint32_t i = 0; i < record->metric_count; i++) {
		if (record->metrics[i].has)
			write_member(out, "__u8", record->metrics[i].has);
		if (record->metrics[i].version)
			write_member(out, "__u8", record->metrics[i].version);
	}
}

static void write_map(FILE *out, const char *name, const char *type, const char *key, const char *value, uint32_t size)
{
	fprintf(out,
	        "struct {\n\t__uint(type, BPF_MAP_TYPE_%s);\n\t__uint(max_entries, %u);\n\t__type(key, "
	        "%s);\n\t__type(value, %s);\n"
	        "} %s SEC(\".maps\");\n\n",
	        type, size, key, value, name);
}

static void write_key_struct(struct emitter *e, const struct amon_plan_table *table)
{
	fprintf(e->out, "struct %s {\n", table->key_tag);
	for (uint32_t i = 0; i < table->key_count; i++)
		write_member(e->out,
		             amon_plan_c_type(table->laid_out[i]->column->value->type.base, table->laid_out[i]->size),
		             table->laid_out[i]->member);
	if (table->version != UINT32_MAX)
		write_member(e->out, "__u8", "net_version");
	if (table->key_size > table->key_used)
		fprintf(e->out, "\t__u8 padding[%u];\n", table->key_size - table->key_used);
	fprintf(e->out, "};\n\n");
}

static void write_table_maps(struct emitter *e, const struct amon_plan_table *table)
{
	const char *row = amon_arena_printf(e->arena, "struct %s", table->record.tag);

	write_key_struct(e, table);
	fprintf(e->out, "struct %s {\n", table->record.tag);
	write_record_members(e->out, &table->record);
	if (!table->record.metric_count)
		fprintf(e->out, "\t__u64 unused;\n");
	fprintf(e->out, "};\n\nstatic const struct %s %s_new;\n\n", table->record.tag, table->record.tag);
	write_map(e->out, table->map, "PERCPU_HASH", amon_arena_printf(e->arena, "struct %s", table->key_tag), row,
	          table->table->size);
	if (table->other_map)
		write_map(e->out, table->other_map, "PERCPU_ARRAY", "__u32", row, 1);
}

static void write_section_maps(struct emitter *e, const struct amon_plan_section *section)
{
	for (uint32_t i = 0; i < section->table_count; i++)
		write_table_maps(e, &section->tables[i]);
	fprintf(e->out, "struct %s {\n\tstruct counter %s, %s;\n", section->record.tag, section->seen_member,
	        section->selected_member);
	if (section->malformed_member)
		fprintf(e->out, "\tstruct counter %s[%u];\n", section->malformed_member, count_causes(e->plan));
	for (uint32_t i = 0; i < section->table_count; i++)
		for (int c = 0; c < AMON_LEDGER_COUNT; c++)
			if (section->tables[i].counters[c])
				fprintf(e->out, "\tstruct counter %s;\n", section->tables[i].counters[c]);
	write_record_members(e->out, &section->record);
	fprintf(e->out, "};\n\n");
	write_map(e->out, section->map, "PERCPU_ARRAY", "__u32",
	          amon_arena_printf(e->arena, "struct %s", section->record.tag), 1);
}

/* --- the parser: templates and what they ask */

static bool has_member(const struct amon_plan *plan, const char *member)
{
	for (uint32_t i = 0; i < plan->member_count; i++)
		if (!strcmp(plan->members[i].field->member, member))
			return true;
	return false;
}

static bool reads_in(const struct amon_plan *plan, enum amon_layer layer)
{
	for (uint32_t i = 0; i < plan->member_count; i++)
		for (int r = 0; r < 3 && plan->members[i].field->reads[r].expression; r++)
			if (plan->members[i].field->reads[r].layer == layer)
				return true;
	return plan->layers & AMON_LAYER_BIT(layer);
}

static bool reads_vlan(const struct amon_plan *plan, enum amon_layer tag, enum amon_layer type)
{
	return reads_in(plan, tag) || reads_in(plan, type);
}

static bool reads_traffic_class(const struct amon_plan *plan)
{
	return has_member(plan, "net_dsfield");
}

static bool tc(const struct amon_plan *plan)
{
	return plan->programs[AMON_HOOK_TC_INGRESS] || plan->programs[AMON_HOOK_TC_EGRESS];
}

static bool payload(const struct amon_plan *plan)
{
	return (plan->walked & (BIT(L4_LEN) | BIT(TCP_PAYLOAD))) || plan->slice_count;
}

/* The words of templates' conditions that are no layer, member or helper. */
static const struct {
	const char *word;
	uint32_t walked;
} walk_words[] = {
	{ "WALK_VLAN", BIT(VLAN) },
	{ "LINK", BIT(PPPOE) | BIT(MPLS) },
	{ "WALK_ARP", BIT(ARP) },
	{ "WALK_NET", NET },
	{ "WALK_IPV4", BIT(IPV4) },
	{ "WALK_IPV6", BIT(IPV6) },
	{ "WALK_L4", BIT(TCP) | BIT(UDP) | BIT(SCTP) | BIT(ICMP) | BIT(ICMPV6) },
	{ "WALK_TCP", BIT(TCP) },
	{ "WALK_UDP", BIT(UDP) },
	{ "WALK_SCTP", BIT(SCTP) },
	{ "WALK_ICMP", BIT(ICMP) },
	{ "WALK_ICMPV6", BIT(ICMPV6) },
};

static bool holds_word(const struct emitter *e, const char *word)
{
	const struct amon_plan *plan = e->plan;

	if (!strcmp(word, "BOTH_HOOKS"))
		return plan->programs[AMON_HOOK_XDP] && tc(plan);
	if (!strcmp(word, "FORGET"))
		return plan->forget;
	if (!strcmp(word, "WALK_EXTENSIONS"))
		return plan->walks_extensions;
	if (!strcmp(word, "PAYLOAD"))
		return payload(plan);
	if (!strcmp(word, "SUPER") || !strcmp(word, "TAG_IN_SKB"))
		return tc(plan);
	if (!strcmp(word, "SLICES_APART"))
		return plan->slice_count > 8;
	if (!strcmp(word, "VLAN_FIELDS"))
		return reads_vlan(plan, AMON_LAYER_VLAN, AMON_LAYER_VLAN_TYPE) ||
		       reads_vlan(plan, AMON_LAYER_VLAN_INNER, AMON_LAYER_VLAN_INNER_TYPE);
	if (!strcmp(word, "VLAN_OUTER"))
		return reads_vlan(plan, AMON_LAYER_VLAN, AMON_LAYER_VLAN_TYPE);
	if (!strcmp(word, "VLAN_INNER_FIELDS"))
		return reads_vlan(plan, AMON_LAYER_VLAN_INNER, AMON_LAYER_VLAN_INNER_TYPE);
	if (!strcmp(word, "MPLS_FIELDS"))
		return reads_in(plan, AMON_LAYER_MPLS);
	if (!strcmp(word, "traffic_class"))
		return reads_traffic_class(plan);
	return has_member(plan, word);
}

static bool template_holds(void *data, const char *word)
{
	const struct emitter *e = data;

	for (int layer = 0; layer < AMON_LAYER_COUNT; layer++)
		if (!strcmp(word, amon_layer_name(layer)))
			return reads_in(e->plan, layer);
	for (size_t i = 0; i < sizeof(walk_words) / sizeof(walk_words[0]); i++)
		if (!strcmp(word, walk_words[i].word))
			return e->plan->walked & walk_words[i].walked;
	for (int use = 0; use < USE_COUNT; use++)
		if (!strcmp(word, use_names[use]))
			return e->uses[use];
	return holds_word(e, word);
}

static void expand_reads(const struct amon_plan *plan, FILE *out, enum amon_layer layer, bool late, const char *indent)
{
	for (uint32_t i = 0; i < plan->member_count; i++) {
		const struct amon_field *field = plan->members[i].field;

		for (int r = 0; r < 3 && field->reads[r].expression; r++) {
			if (field->reads[r].layer != layer || field->reads[r].late != late ||
			    layer == AMON_LAYER_TCP_PAYLOAD || layer == AMON_LAYER_L4_LEN)
				continue;
			if (!strcmp(field->c_type, "__be32[4]") && layer == AMON_LAYER_IPV4)
				fprintf(out, "%sc->p->%s[0] = %s;\n", indent, field->member,
				        field->reads[r].expression);
			else if (strchr(field->c_type, '['))
				fprintf(out, "%s__builtin_memcpy(c->p->%s, %s, %s);\n", indent, field->member,
				        field->reads[r].expression, strcmp(field->c_type, "__u8[6]") ? "16" : "6");
			else
				fprintf(out, "%sc->p->%s = %s;\n", indent, field->member, field->reads[r].expression);
		}
	}
}

static int layer_of(const char *name)
{
	int layer = 0;

	while (layer < AMON_LAYER_COUNT && strcmp(name, amon_layer_name(layer)) != 0)
		layer++;
	return layer;
}

static void expand_late(const struct emitter *e, FILE *out, const char *indent)
{
	char *text = NULL, inner[8];
	size_t size = 0;
	FILE *lines = open_memstream(&text, &size);

	snprintf(inner, sizeof(inner), "%s\t", indent);
	expand_reads(e->plan, lines, AMON_LAYER_IPV6, true, inner);
	fclose(lines);
	if (size)
		fprintf(out, "%sif (c->type == 0x86dd) {\n%s%s}\n", indent, text, indent);
	free(text);
}

static void expand_slices(const struct emitter *e, FILE *out, const char *payload_name, const char *indent)
{
	for (uint32_t i = 0; i < e->plan->slice_count; i++) {
		const struct amon_plan_slice *slice = &e->plan->slices[i];

		if (!strcmp(slice->payload->name, payload_name))
			fprintf(out, "%sc->p->has_%s = slice(c, c->at + %u, %u, &c->p->%s);\n", indent, slice->member,
			        slice->offset, slice->width, slice->member);
	}
}

/* Lengths that a wire packet of a super-packet has less of than the buffer. */
static void expand_lengths(const struct emitter *e, FILE *out, const char *format, const char *indent)
{
	for (uint32_t i = 0; i < e->plan->member_count; i++) {
		const struct amon_field *field = e->plan->members[i].field;

		if (field->per_packet && strcmp(field->member, "frame_len") != 0 &&
		    strcmp(field->member, "tcp_flags") != 0)
			fprintf(out, format, indent, field->member, field->member);
	}
}

static void expand_pieces(const struct emitter *e, FILE *out, const char *indent)
{
	expand_lengths(e, out, "%sp->%s = s->%s - less;\n", indent);
	if (!has_member(e->plan, "tcp_flags"))
		return;
	fprintf(out, "%s/* FIN and PSH belong to the last, CWR to the first */\n", indent);
	fprintf(out,
	        "%sp->tcp_flags = s->tcp_flags & ~(s->count == 1 ? 0 : i == 0 ? 0x009 : i == 1 ? 0x089 : 0x080);\n",
	        indent);
}

/* What differs between the two kinds of hooks, told by a constant where both are there. */
static void expand_access(const struct emitter *e, FILE *out)
{
	bool xdp = e->plan->programs[AMON_HOOK_XDP], skb = tc(e->plan);

	fprintf(out,
	        "static __always_inline long load_bytes(const struct cursor *c, __u32 at, void *to, __u32 size)\n{\n");
	if (xdp && skb)
		fprintf(out, "\tif (c->xdp)\n\t\treturn bpf_xdp_load_bytes(c->ctx, at, to, size);\n");
	fprintf(out, "\treturn bpf_%s_load_bytes(c->ctx, at, to, size);\n}\n\n", skb ? "skb" : "xdp");
	if (skb && (e->plan->walked & BIT(VLAN))) {
		fprintf(out, "static __always_inline bool tag_in_skb(const struct cursor *c)\n{\n");
		fprintf(out, "\treturn %s((struct __sk_buff *)c->ctx)->vlan_present;\n}\n\n", xdp ? "!c->xdp && " : "");
	}
	if (skb && (e->plan->walked & BIT(IPV6)))
		fprintf(out,
		        "static __always_inline bool is_super(const struct cursor *c)\n{\n"
		        "\treturn %s((struct __sk_buff *)c->ctx)->gso_size;\n}\n\n",
		        xdp ? "!c->xdp && " : "");
}

/* Many slices are read by a function that is verified once. */
static void write_slice_function(FILE *out, const char *name, const char *context)
{
	fprintf(out,
	        "/* `width` bytes at `at`, big-endian; 0 where they are not all in the IP packet. */\n"
	        "__noinline __u32 slice_%s(struct %s *%s, __u32 at, __u32 limit, __u32 width, __s64 *value)\n{\n"
	        "\t__u8 copy[8] = {};\n\t__u64 number = 0;\n\t__u32 i;\n\n"
	        "\twidth = ((width - 1) & 7) + 1; /* a bound that no compiler turns into one the verifier misses */\n"
	        "\tif (!value || at + width > limit)\n\t\treturn 0;\n"
	        "\tif (bpf_%s_load_bytes(%s, at, copy, width))\n\t\treturn 0;\n"
	        "\tfor (i = 0; i < 8; i++)\n\t\tif (i < width)\n\t\t\tnumber = number << 8 | copy[i];\n"
	        "\t*value = number;\n\treturn 1;\n}\n\n",
	        name, context, name, name, name);
}

static void expand_slice_functions(const struct emitter *e, FILE *out)
{
	bool xdp = e->plan->programs[AMON_HOOK_XDP], skb = tc(e->plan);

	if (xdp)
		write_slice_function(out, "xdp", "xdp_md");
	if (skb)
		write_slice_function(out, "skb", "__sk_buff");
	fprintf(out,
	        "static __always_inline bool slice(const struct cursor *c, __u32 at, __u32 width, __s64 *value)\n{\n");
	if (xdp && skb)
		fprintf(out, "\tif (c->xdp)\n\t\treturn slice_xdp(c->ctx, at, c->limit, width, value);\n");
	fprintf(out, "\treturn slice_%s(c->ctx, at, c->limit, width, value);\n}\n", skb ? "skb" : "xdp");
}

static void template_expand(void *data, FILE *out, const char *directive, const char *arguments, const char *indent)
{
	struct emitter *e = data;
	char words[128], *rest;

	snprintf(words, sizeof(words), "%s", arguments);
	if (!strcmp(directive, "fields")) {
		for (char *word = strtok_r(words, " ", &rest); word; word = strtok_r(NULL, " ", &rest))
			expand_reads(e->plan, out, layer_of(word), false, indent);
	} else if (!strcmp(directive, "layer")) {
		if (e->plan->layers & AMON_LAYER_BIT(layer_of(words)))
			fprintf(out, "%sc->p->layers |= %s;\n", indent, words);
	} else if (!strcmp(directive, "late")) {
		expand_late(e, out, indent);
	} else if (!strcmp(directive, "slices")) {
		expand_slices(e, out, words, indent);
	} else if (!strcmp(directive, "originals")) {
		for (uint32_t i = 0; i < e->plan->member_count; i++)
			if (e->plan->members[i].field->per_packet &&
			    strcmp(e->plan->members[i].field->member, "frame_len") != 0)
				fprintf(out, "%s__u32 %s;\n", indent, e->plan->members[i].field->member);
	} else if (!strcmp(directive, "slice_functions")) {
		expand_slice_functions(e, out);
	} else if (!strcmp(directive, "access")) {
		expand_access(e, out);
	} else if (!strcmp(directive, "pieces")) {
		expand_pieces(e, out, indent);
	}
}

static void quote_template(struct emitter *e, const char *name)
{
	struct amon_template_user user = { template_holds, template_expand, e };

	amon_template(e->out, name, &user);
	fputc('\n', e->out);
}

/* In the order in which they are written. */
static const struct {
	const char *file;
	uint32_t walked;
} layer_templates[] = {
	{ "ethernet.h", BIT(ETH) }, { "vlan.h", BIT(VLAN) }, { "pppoe.h", BIT(PPPOE) }, { "mpls.h", BIT(MPLS) },
	{ "arp.h", BIT(ARP) },      { "ipv4.h", BIT(IPV4) }, { "ipv6.h", BIT(IPV6) },
};
static const struct {
	const char *file;
	uint32_t walked;
} transport_templates[] = {
	{ "tcp.h", BIT(TCP) },   { "udp.h", BIT(UDP) },       { "sctp.h", BIT(SCTP) },
	{ "icmp.h", BIT(ICMP) }, { "icmpv6.h", BIT(ICMPV6) },
};

static void write_payload_of(struct emitter *e)
{
	if (!reads_in(e->plan, AMON_LAYER_L4_LEN))
		return;
	fprintf(e->out, "/* Behind the transport header, by the IP length. */\n"
	                "static __always_inline void payload_of(struct cursor *c)\n{\n");
	if (e->plan->layers & BIT(L4_LEN))
		fprintf(e->out, "\tc->p->layers |= L4_LEN;\n");
	fprintf(e->out, "\tc->p->l4_len = c->ip_end - c->at;\n}\n\n");
}

static void write_parse_function(struct emitter *e, bool xdp)
{
	const char *name = xdp ? "xdp" : "skb";
	bool both = e->plan->programs[AMON_HOOK_XDP] && tc(e->plan);

	fprintf(e->out, "__noinline __u32 parse_%s(struct %s *%s, struct packet *p)\n{\n", name,
	        xdp ? "xdp_md" : "__sk_buff", name);
	fprintf(e->out, "\tstruct cursor c = {\n\t\t.ctx = %s,\n\t\t.p = p,\n", name);
	fprintf(e->out, "\t\t.data = (void *)(long)%s->data,\n\t\t.end = (void *)(long)%s->data_end,\n", name, name);
	if (both)
		fprintf(e->out, "\t\t.xdp = %d,\n", xdp);
	fprintf(e->out, "\t};\n\n\tif (!p)\n\t\treturn WHOLE;\n");
	fprintf(e->out, "\tc.wire = amon_replay ? amon_frame.length : %s;\n", xdp ? "p->frame_len" : "skb->len");
	fprintf(e->out, "\tc.captured = amon_replay ? amon_frame.captured : c.wire;\n\treturn parse(&c);\n}\n\n");
}

static void write_parser(struct emitter *e)
{
	uint32_t walked = e->plan->walked;

	quote_template(e, "cursor.h");
	for (size_t i = 0; i < sizeof(layer_templates) / sizeof(layer_templates[0]); i++)
		if (walked & layer_templates[i].walked)
			quote_template(e, layer_templates[i].file);
	if (e->plan->walks_extensions)
		quote_template(e, "extensions.h");
	write_payload_of(e);
	if (e->plan->slice_count)
		quote_template(e, "slice.h");
	for (size_t i = 0; i < sizeof(transport_templates) / sizeof(transport_templates[0]); i++)
		if (walked & transport_templates[i].walked)
			quote_template(e, transport_templates[i].file);
	quote_template(e, "parse.h");
	if (e->plan->programs[AMON_HOOK_XDP])
		write_parse_function(e, true);
	if (tc(e->plan))
		write_parse_function(e, false);
}

/* --- programs */

/* The section's hook that a program runs at: two programs have one that says `ingress` alone. */
static const struct amon_hook *hook_at(const struct amon_section *section, enum amon_hook_kind kind)
{
	const struct amon_hook *hook = section->hooks;

	while (hook->kind != kind && !(hook->choice && kind == AMON_HOOK_TC_INGRESS))
		hook++;
	return hook;
}

static void write_section_call(struct emitter *e, const struct amon_plan_section *section, enum amon_hook_kind hook,
                               bool once)
{
	const struct amon_hook *at = hook_at(section->section, hook);
	const char *chosen = !at->choice ? "" : hook == AMON_HOOK_XDP ? "!amon_ingress_tc" : "amon_ingress_tc";
	/* a packet whose direction a replay does not know is the first hook's */
	const char *known = at == section->section->hooks ? "" : "!amon_replay || amon_frame.direction";

	if (*chosen && *known)
		fprintf(e->out, "\tif (%s && (%s))\n\t", chosen, known);
	else if (*chosen || *known)
		fprintf(e->out, "\tif (%s%s)\n\t", chosen, known);
	fprintf(e->out, "\t%s%s(p);\n", section->function, once ? "_once" : "");
}

static bool any_once(const struct amon_plan *plan, enum amon_hook_kind hook)
{
	for (uint32_t i = 0; i < plan->section_count; i++)
		if (plan->sections[i].weighted && plan->sections[i].once &&
		    amon_plan_runs_at(plan->sections[i].section, hook))
			return true;
	return false;
}

static void write_section_calls(struct emitter *e, enum amon_hook_kind hook, bool once)
{
	fprintf(e->out, "static __always_inline void sections_%s%s(struct packet *p)\n{\n", amon_program_name(hook) + 5,
	        once ? "_once" : "");
	for (uint32_t i = 0; i < e->plan->section_count; i++) {
		const struct amon_plan_section *section = &e->plan->sections[i];

		if (amon_plan_runs_at(section->section, hook) && (!once || (section->weighted && section->once)))
			write_section_call(e, section, hook, once);
	}
	fprintf(e->out, "}\n\n");
}

/* What the hook knows of a packet. */
static void write_hook_members(struct emitter *e, enum amon_hook_kind hook)
{
	for (uint32_t i = 0; i < e->plan->member_count; i++) {
		const struct amon_field *field = e->plan->members[i].field;
		const char *text = hook == AMON_HOOK_XDP ? field->xdp : field->tc;

		if (field->source != AMON_FIELD_HOOK || !strcmp(field->member, "frame_len"))
			continue;
		if (!strcmp(field->member, "time"))
			text = e->plan->coarse ? "amon_replay ? amon_frame.time : bpf_ktime_get_coarse_ns()"
			                       : "amon_replay ? amon_frame.time : bpf_ktime_get_ns()";
		else if (!strcmp(field->member, "hook_direction"))
			text = hook == AMON_HOOK_TC_EGRESS ? "1" : "0";
		else if (!strcmp(field->member, "segments"))
			text = "1";
		fprintf(e->out, "\tp->%s = %s;\n", field->member, text);
	}
}

static void begin_program(struct emitter *e, enum amon_hook_kind hook)
{
	bool xdp = hook == AMON_HOOK_XDP;
	const char *leave = xdp ? "XDP_PASS" : "TC_ACT_UNSPEC";

	fprintf(e->out, "SEC(\"%s\")\nint %s(struct %s)\n{\n", xdp ? "xdp.frags" : "tc", amon_program_name(hook),
	        xdp ? "xdp_md *xdp" : "__sk_buff *skb");
	if (e->plan->scratch)
		fprintf(e->out,
		        "\t__u32 zero = 0;\n\tstruct packet *p = bpf_map_lookup_elem(&amon_packet, &zero);\n\n"
		        "\tif (!p)\n\t\treturn %s;\n\t__builtin_memset(p, 0, sizeof(*p));\n",
		        leave);
	else
		fprintf(e->out, "\tstruct packet packet, *p = &packet;\n\n\t__builtin_memset(p, 0, sizeof(*p));\n");
}

static void write_xdp_program(struct emitter *e)
{
	bool weighted = false;

	for (uint32_t i = 0; i < e->plan->section_count; i++)
		weighted |= e->plan->sections[i].weighted;
	begin_program(e, AMON_HOOK_XDP);
	fprintf(e->out, "\tp->frame_len = amon_replay ? amon_frame.length : bpf_xdp_get_buff_len(xdp);\n");
	if (weighted)
		fprintf(e->out, "\tp->weight = 1;\n");
	write_hook_members(e, AMON_HOOK_XDP);
	if (e->plan->parses)
		fprintf(e->out, "\tp->cause = parse_xdp(xdp, p);\n");
	fprintf(e->out,
	        "\tif (amon_frame_max && p->frame_len > amon_frame_max && !p->cause)\n\t\tp->cause = OVERSIZED;\n");
	fprintf(e->out, "\tsections_xdp(p);\n");
	if (any_once(e->plan, AMON_HOOK_XDP))
		fprintf(e->out, "\tsections_xdp_once(p);\n");
	fprintf(e->out, "\tbpf_tail_call(xdp, &amon_next, 0);\n\treturn XDP_PASS;\n}\n\n");
}

static void write_super(struct emitter *e, enum amon_hook_kind hook)
{
	const char *suffix = amon_program_name(hook) + 5;
	bool once = any_once(e->plan, hook);

	fprintf(e->out, "\tif (!skb->gso_size) {\n\t\tsections_%s(p);\n", suffix);
	if (once)
		fprintf(e->out, "\t\tsections_%s_once(p);\n", suffix);
	fprintf(e->out, "\t} else {\n\t\tstruct super s = { .frame_len = p->frame_len };\n\n");
	for (uint32_t i = 0; i < e->plan->member_count; i++)
		if (e->plan->members[i].field->per_packet &&
		    strcmp(e->plan->members[i].field->member, "frame_len") != 0)
			fprintf(e->out, "\t\ts.%s = p->%s;\n", e->plan->members[i].field->member,
			        e->plan->members[i].field->member);
	fprintf(e->out, "\t\tif (!super_measure(skb, &s) && !p->cause)\n\t\t\tp->cause = UNSIZED;\n");
	if (has_member(e->plan, "segments"))
		fprintf(e->out, "\t\tp->segments = s.count;\n");
	fprintf(e->out,
	        "\t\tfor (__u32 i = 0; i < 3; i++)\n\t\t\tif (super_piece(p, &s, i))\n\t\t\t\tsections_%s(p);\n",
	        suffix);
	if (once) {
		fprintf(e->out, "\t\tp->frame_len = s.frame_len;\n\t\tp->weight = 1;\n");
		for (uint32_t i = 0; i < e->plan->member_count; i++)
			if (e->plan->members[i].field->per_packet &&
			    strcmp(e->plan->members[i].field->member, "frame_len") != 0)
				fprintf(e->out, "\t\tp->%s = s.%s;\n", e->plan->members[i].field->member,
				        e->plan->members[i].field->member);
		fprintf(e->out, "\t\tsections_%s_once(p);\n", suffix);
	}
	fprintf(e->out, "\t}\n");
}

static void write_tc_program(struct emitter *e, enum amon_hook_kind hook)
{
	begin_program(e, hook);
	fprintf(e->out, "\tp->frame_len = amon_replay ? amon_frame.length : skb->len + (skb->vlan_present ? 4 : 0);\n"
	                "\tp->weight = 1;\n");
	write_hook_members(e, hook);
	if (e->plan->parses)
		fprintf(e->out, "\tp->cause = parse_skb(skb, p);\n");
	write_super(e, hook);
	fprintf(e->out, "\treturn TC_ACT_UNSPEC;\n}\n\n");
}

static void write_programs(struct emitter *e)
{
	for (int hook = 0; hook < AMON_HOOK_COUNT; hook++) {
		if (!e->plan->programs[hook])
			continue;
		write_section_calls(e, hook, false);
		if (any_once(e->plan, hook))
			write_section_calls(e, hook, true);
		if (hook == AMON_HOOK_XDP)
			write_xdp_program(e);
		else
			write_tc_program(e, hook);
	}
	fprintf(e->out, "char amon_license[] SEC(\"license\") = \"Dual BSD/GPL\";\n");
}

/* --- the file's head */

static const struct {
	const char *name, *declaration;
	int number;
} helpers[] = {
	{ "bpf_map_lookup_elem", "void *(*bpf_map_lookup_elem)(void *map, const void *key)", 1 },
	{ "bpf_map_update_elem",
	  "long (*bpf_map_update_elem)(void *map, const void *key, const void *value, __u64 flags)", 2 },
	{ "bpf_ktime_get_ns", "__u64 (*bpf_ktime_get_ns)(void)", 5 },
	{ "bpf_get_smp_processor_id", "__u32 (*bpf_get_smp_processor_id)(void)", 8 },
	{ "bpf_tail_call", "long (*bpf_tail_call)(void *ctx, void *programs, __u32 index)", 12 },
	{ "bpf_skb_load_bytes", "long (*bpf_skb_load_bytes)(const void *skb, __u32 offset, void *to, __u32 size)", 26 },
	{ "bpf_ktime_get_coarse_ns", "__u64 (*bpf_ktime_get_coarse_ns)(void)", 160 },
	{ "bpf_xdp_get_buff_len", "__u64 (*bpf_xdp_get_buff_len)(struct xdp_md *xdp)", 188 },
	{ "bpf_xdp_load_bytes", "long (*bpf_xdp_load_bytes)(void *xdp, __u32 offset, void *to, __u32 size)", 189 },
};

static const struct {
	const char *name, *definition;
} constants[] = {
	{ "BPF_MAP_TYPE_PROG_ARRAY", "BPF_MAP_TYPE_PROG_ARRAY = 3" },
	{ "BPF_MAP_TYPE_PERCPU_HASH", "BPF_MAP_TYPE_PERCPU_HASH = 5" },
	{ "BPF_MAP_TYPE_PERCPU_ARRAY", "BPF_MAP_TYPE_PERCPU_ARRAY = 6" },
	{ "BPF_NOEXIST", "BPF_NOEXIST = 1" },
	{ "-E2BIG", "E2BIG = 7" },
	{ "-ENOMEM", "ENOMEM = 12" },
	{ "-EBUSY", "EBUSY = 16" },
};

static void write_head(struct emitter *e, const char *body)
{
	bool any = false;

	fprintf(e->out, "/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */\n");
	fprintf(e->out, "/* Probe %s, made by amonc %s; do not edit. */\n\n", e->plan->probe->name, AMON_VERSION);
	quote_template(e, "base.h");
	if (e->plan->programs[AMON_HOOK_XDP])
		quote_template(e, "xdp.h");
	if (tc(e->plan))
		quote_template(e, "tc.h");
	for (size_t i = 0; i < sizeof(constants) / sizeof(constants[0]); i++)
		if (strstr(body, constants[i].name)) {
			fprintf(e->out, "%s%s", any ? ", " : "enum { ", constants[i].definition);
			any = true;
		}
	fprintf(e->out, "%s", any ? " };\n\n" : "");
	for (size_t i = 0; i < sizeof(helpers) / sizeof(helpers[0]); i++)
		if (strstr(body, amon_arena_printf(e->arena, "%s(", helpers[i].name)))
			fprintf(e->out, "static %s = (void *)%d;\n", helpers[i].declaration, helpers[i].number);
	fprintf(e->out, "\n");
	quote_template(e, "replay.h");
	if (e->plan->programs[AMON_HOOK_XDP])
		fprintf(e->out, "/* At generic XDP: what is longer is a super-packet, which nothing tells there; 0 "
		                "elsewhere. */\n"
		                "const volatile __u32 amon_frame_max;\n\n");
	if (e->plan->choice)
		fprintf(e->out, "/* Sections that say `ingress` alone are counted at TC where the interface has no "
		                "native XDP. */\n"
		                "const volatile __u32 amon_ingress_tc;\n\n");
	if (has_member(e->plan, "hook_mode"))
		fprintf(e->out, "/* 1 native, 2 generic */\nconst volatile __u32 amon_xdp_mode = 1;\n\n");
	if (e->plan->layers) {
		fprintf(e->out, "/* Headers that a packet has */\nenum {");
		for (int layer = 0; layer < AMON_LAYER_COUNT; layer++)
			if (e->plan->layers & AMON_LAYER_BIT(layer))
				fprintf(e->out, "\n\t%s = 1 << %d,", amon_layer_name(layer), layer);
		fprintf(e->out, "\n};\n\n");
	}
	if (e->plan->parses || count_causes(e->plan)) {
		fprintf(e->out, "/* What is wrong with the first header that is not whole */\nenum { WHOLE");
		for (int cause = 1; cause < AMON_CAUSE_COUNT; cause++)
			if (e->plan->causes[cause])
				fprintf(e->out, ", %s", amon_cause_names[cause]);
		fprintf(e->out, " };\n\n");
	}
}

static void write_packet(struct emitter *e)
{
	bool weighted = tc(e->plan);

	fprintf(e->out,
	        "/* What the spec reads of a packet, in host byte order but for addresses */\nstruct packet {\n");
	for (uint32_t i = 0; i < e->plan->member_count; i++)
		if (!strcmp(e->plan->members[i].field->member, "time"))
			write_member(e->out, "__u64", "time");
	for (uint32_t i = 0; i < e->plan->slice_count; i++)
		write_member(e->out, "__s64", e->plan->slices[i].member);
	fprintf(e->out, "\t__u32 layers, cause;\n");
	if (weighted)
		fprintf(e->out, "\t__u32 weight; /* wire packets that this run stands for */\n");
	if (e->plan->forget)
		fprintf(e->out, "\t__u32 at; /* the parser's */\n");
	for (uint32_t i = 0; i < e->plan->member_count; i++)
		if (strcmp(e->plan->members[i].field->member, "time") != 0)
			write_member(e->out, e->plan->members[i].field->c_type, e->plan->members[i].field->member);
	for (uint32_t i = 0; i < e->plan->slice_count; i++)
		fprintf(e->out, "\tbool has_%s;\n", e->plan->slices[i].member);
	fprintf(e->out, "};\n\n");
}

static void find_uses(struct emitter *e, const char *body)
{
	for (int use = 0; use < USE_COUNT; use++)
		e->uses[use] |= strstr(body, amon_arena_printf(e->arena, "%s(", use_names[use])) != NULL;
	e->uses[USE_BIT_LENGTH] |= e->uses[USE_BUCKET_LOG2] || e->uses[USE_BUCKET_LOGLINEAR];
	e->uses[USE_ABOVE] |= e->uses[USE_BUCKET_LINEAR] || e->uses[USE_BUCKET_EDGES];
}

/* Everything behind the head, so that the head holds only what it uses. */
static void write_body(struct emitter *e)
{
	char *functions = NULL, *edges = NULL;
	size_t functions_size = 0, edges_size = 0;
	FILE *out = e->out;

	e->out = open_memstream(&functions, &functions_size);
	e->edges = open_memstream(&edges, &edges_size);
	for (uint32_t i = 0; i < e->plan->section_count; i++)
		write_section(e, &e->plan->sections[i]);
	fclose(e->out);
	fclose(e->edges);
	find_uses(e, functions);
	e->out = out;
	quote_template(e, "counter.h");
	write_packet(e);
	if (e->plan->scratch)
		write_map(e->out, "amon_packet", "PERCPU_ARRAY", "__u32", "struct packet", 1);
	if (e->plan->parses)
		write_parser(e);
	if (tc(e->plan))
		quote_template(e, "super.h");
	for (uint32_t i = 0; i < e->plan->section_count; i++)
		write_section_maps(e, &e->plan->sections[i]);
	if (e->plan->programs[AMON_HOOK_XDP])
		fprintf(e->out, "/* The next probe on the hook */\nstruct {\n\t__uint(type, BPF_MAP_TYPE_PROG_ARRAY);\n"
		                "\t__uint(max_entries, 1);\n\t__type(key, __u32);\n\t__type(value, __u32);\n"
		                "} amon_next SEC(\".maps\");\n\n");
	quote_template(e, "arithmetic.h");
	quote_template(e, "extreme.h");
	quote_template(e, "buckets.h");
	fprintf(e->out, "%s\n%s", edges, functions);
	write_programs(e);
	free(functions);
	free(edges);
}

#define COLUMNS 120

/* Where a line that is too long may break: behind an operator, else behind a comma. 0: nowhere. */
static size_t break_before(const char *line, size_t length)
{
	size_t column = 0, operator_at = 0, comma_at = 0;

	for (size_t i = 0; i < length; i++) {
		column = line[i] == '\t' ? column / 8 * 8 + 8 : column + 1;
		if (column > COLUMNS && (operator_at || comma_at))
			return operator_at ? operator_at : comma_at;
		if (i && line[i] == ' ' && strchr("&|?:+", line[i - 1]))
			operator_at = i + 1;
		if (i && line[i] == ' ' && line[i - 1] == ',')
			comma_at = i + 1;
	}
	return 0;
}

static bool is_comment(const char *line)
{
	return !strncmp(line, "/*", 2) || !strncmp(line, " *", 2);
}

static void write_wrapped(FILE *out, const char *line, size_t length)
{
	size_t tabs = strspn(line, "\t"), indent = tabs, at;

	while (!is_comment(line + tabs) && (at = break_before(line, length))) {
		fprintf(out, "%.*s\n%.*s\t", (int)at - 1, line, (int)indent, "\t\t\t\t\t\t\t\t");
		line += at;
		length -= at;
		tabs = 0;
	}
	fprintf(out, "%.*s\n", (int)length, line);
}

/* At most one blank line in a row, and no line too long. */
static char *tidy(struct amon_arena *arena, const char *text)
{
	char *tidied = NULL, *result;
	size_t size = 0;
	FILE *out = open_memstream(&tidied, &size);
	bool blank = false;

	for (const char *end; (end = strchr(text, '\n')); text = end + 1) {
		if (end != text)
			write_wrapped(out, text, end - text);
		else if (!blank)
			fputc('\n', out);
		blank = end == text;
	}
	fclose(out);
	result = amon_arena_copy(arena, tidied, size);
	free(tidied);
	return result;
}

char *amon_emit(const struct amon_plan *plan)
{
	struct emitter e = { .plan = plan, .arena = plan->arena };
	char *body = NULL, *head = NULL, *result;
	size_t body_size = 0, head_size = 0;

	e.out = open_memstream(&body, &body_size);
	write_body(&e);
	fclose(e.out);
	e.out = open_memstream(&head, &head_size);
	write_head(&e, body);
	fclose(e.out);
	result = tidy(plan->arena, amon_arena_printf(plan->arena, "%s%s", head, body));
	free(body);
	free(head);
	return result;
}
