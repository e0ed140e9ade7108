/* SPDX-License-Identifier: Apache-2.0 */
#include "emit_internal.h"

#include <string.h>

/* More edges than this are searched in a table. */
#define EDGES_INLINE 16

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

void emit_copy(struct amon_writer *w, const char *to, uint32_t size, struct amon_c text)
{
	/* MAC, IPv6 and NET addresses are arrays */
	if (size == 6 || size == 16)
		amon_write(w, "__builtin_memcpy(%s, (const void *)%s, %u);\n", to, text.text, size);
	else
		amon_write(w, "%s = %s;\n", to, text.text);
}

/* first(), last(): the value is put in where this packet is earlier, or later, than what is there. */
static void write_by_time(struct amon_writer *w, const struct scope *s, const struct amon_plan_metric *metric,
                          struct amon_c value)
{
	const char *test = metric->column->aggregation->merge == AMON_MERGE_EARLIER ? "is_first" : "is_last";

	if (!metric->time) {
		amon_write(w, "%s(&%s->%s, p->%s);\n", test, s->record, metric->member, w->time);
		return;
	}
	amon_write(w, "if (%s(&%s->%s, p->%s))%s\n", test, s->record, metric->time, w->time,
	           metric->version ? " {" : "");
	w->indent++;
	emit_copy(w, amon_arena_printf(w->arena, "%s->%s", s->record, metric->member), metric->layout.value_size,
	          value);
	if (metric->version)
		amon_write(w, "%s->%s = %s;\n", s->record, metric->version,
		           amon_c_version(w, metric->column->argument));
	w->indent--;
	if (metric->version)
		amon_write(w, "}\n");
}

/* min(), max() */
static void write_extreme(struct amon_writer *w, const struct scope *s, const struct amon_plan_metric *metric,
                          struct amon_c value)
{
	const char *which = metric->column->aggregation->merge == AMON_MERGE_MIN ? "lowest" : "highest";

	if (metric->is_signed)
		amon_write(w, "%s_signed(%s->%s, %s->%s & %s, %s);\n", which, s->record, metric->member, s->record,
		           metric->has_word, metric->has, value.text);
	else
		amon_write(w, "%s(%s->%s, %s);\n", which, s->record, metric->member, value.text);
}

/* bit_or(), bit_and(): bits that every x has are those that no complement has. */
static void write_bits(struct amon_writer *w, const struct scope *s, const struct amon_plan_metric *metric,
                       struct amon_c value)
{
	const char *complement = metric->layout.value_size == 8 ? "~(__u64)" : "~";

	if (metric->layout.kept == AMON_KEPT_COMPLEMENT)
		amon_write(w, "%s->%s |= %s%s;\n", s->record, metric->member, complement, amon_c_tight(w, value));
	else
		amon_write(w, "%s->%s |= %s;\n", s->record, metric->member, value.text);
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
		write_extreme(w, s, metric, value);
	} else if (aggregation->merge == AMON_MERGE_OR || aggregation->merge == AMON_MERGE_AND) {
		write_bits(w, s, metric, value);
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

struct amon_c emit_has(struct amon_writer *w, const char *record, const struct amon_plan_metric *metric)
{
	return amon_c_bit(w, amon_arena_printf(w->arena, "%s%s", record, metric->has_word), metric->has);
}

void emit_set_has(struct amon_writer *w, const char *record, const struct amon_plan_metric *metric)
{
	amon_write(w, "%s%s |= %s;\n", record, metric->has_word, metric->has);
}

/* The bits of those that have them in the same member as the first; they are taken out. */
static const char *take_bits(struct amon_arena *arena, struct seen *seen)
{
	const char *word = seen->metrics[0]->has_word, *bits = NULL;
	uint32_t left = 0;

	for (uint32_t i = 0; i < seen->count; i++) {
		const struct amon_plan_metric *metric = seen->metrics[i];

		if (strcmp(metric->has_word, word) != 0)
			seen->metrics[left++] = metric;
		else
			bits = bits ? amon_arena_printf(arena, "%s | %s", bits, metric->has) : metric->has;
	}
	seen->count = left;
	return bits;
}

void emit_seen(struct amon_writer *w, const struct scope *s, struct seen *seen)
{
	while (seen->count) {
		const char *word = seen->metrics[0]->has_word;

		amon_write(w, "%s->%s |= %s;\n", s->record, word, take_bits(w->arena, seen));
	}
}

/* Here, or where all are noted. */
static void write_has(struct amon_writer *w, const struct scope *s, const struct amon_plan_metric *metric,
                      struct amon_c when, struct seen *seen)
{
	if (!metric->has)
		return;
	if (when.text)
		emit_set_has(w, amon_arena_printf(w->arena, "%s->", s->record), metric);
	else
		seen->metrics[seen->count++] = metric;
}

/* What a metric makes of a packet that its `where` lets through, where its argument has a value. */
static void write_metric(struct amon_writer *w, const struct scope *s, const struct amon_plan_metric *metric,
                         struct amon_c when, struct seen *seen)
{
	const struct amon_column *column = metric->column;
	struct amon_c_value value = { { NULL, 100 }, { NULL, 100 } };
	struct lines body, update;
	struct amon_writer inner, innermost;

	inner = emit_open_lines(w, &body);
	if (metric->clock)
		amon_write(&inner, "read_%s(p);\n", w->time);
	amon_c_learn(&inner, column->where);
	if (column->argument)
		value = amon_c_value(&inner, column->argument);
	fflush(inner.out);
	if (body.size && value.when.text) {
		/* the presence of what needs variables is asked behind them */
		innermost = emit_open_lines(&inner, &update);
		write_update(&innermost, s, metric, value.value);
		write_has(&innermost, s, metric, value.when, seen);
		emit_close_lines(&inner, &innermost, value.when, &update);
	} else {
		when = amon_c_and(w, when, value.when);
		write_update(&inner, s, metric, value.value);
		write_has(&inner, s, metric, when, seen);
	}
	emit_close_lines(w, &inner, when, &body);
}

void emit_metrics(struct amon_writer *w, const struct scope *s, const struct amon_plan_metric *const *metrics,
                  uint32_t count, struct seen *seen)
{
	const struct amon_column *first = metrics[0]->column;
	struct seen within = { amon_new_array(w->arena, const struct amon_plan_metric *, count), 0 };
	struct amon_c when = { NULL, 100 };
	struct amon_writer inner;
	struct lines body;

	emit_comment(w->arena, w->out, w->indent, "", first->span);
	if (first->where)
		when = amon_c_condition(w, first->where);
	if (count == 1) {
		write_metric(w, s, metrics[0], when, seen);
		return;
	}
	inner = emit_open_lines(w, &body);
	amon_c_learn(&inner, first->where);
	for (uint32_t i = 0; i < count; i++) {
		if (i)
			emit_comment(w->arena, inner.out, inner.indent, "", metrics[i]->column->span);
		write_metric(&inner, s, metrics[i], (struct amon_c){ NULL, 100 }, &within);
	}
	emit_seen(&inner, s, &within);
	emit_close_lines(w, &inner, when, &body);
}
