/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/measure.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"
#include "compiler/features.h"
#include "compiler/frames.h"
#include "runtime/kernel.h"

/*
 * explain --measure: the spec is compiled once with all its features and once without each, and what runs the slower is
 * what the feature costs. What goes only where several leave together is no single feature's: it is told as shared.
 */

/** What a probe, or a feature of it, costs. */
struct price {
	struct amon_cost cost;
	int64_t instructions, bytes;
	double lookups;
};

struct line {
	struct amon_feature feature;
	struct price price;
	uint32_t order; /* of its table, or of itself, among those outside of tables */
};

struct measurement {
	const struct options *options;
	const struct compilation *c;
	const char *trace; /* NULL: made traffic */
	struct amon_test_packets packets;
	struct price all;     /* above an empty program */
	struct price nothing; /* without any feature, likewise */
	struct line *lines;
	uint32_t line_count;
	struct amon_failure failure;
};

/* --- packets */

static void make_packets(struct measurement *m)
{
	struct amon_arena *arena = m->c->arena;

	m->packets.packets = amon_new_array(arena, struct amon_test_packet, AMON_MADE_FRAMES);
	m->packets.count = AMON_MADE_FRAMES;
	for (uint32_t i = 0; i < AMON_MADE_FRAMES; i++) {
		uint8_t bytes[AMON_MADE_BYTES];
		uint32_t captured, length = amon_made_frame(m->c->plan, i, bytes, &captured);

		m->packets.packets[i] = (struct amon_test_packet){ { .length = length, .captured = captured },
			                                           (const uint8_t *)amon_arena_copy(
			                                                   arena, (const char *)bytes, captured) };
	}
}

static int find_packets(struct measurement *m)
{
	if (m->trace)
		return amon_test_packets_read(m->c->arena, m->trace, &m->packets, &m->failure);
	make_packets(m);
	return 0;
}

/* --- one probe */

static struct amon_subject subject_of(const struct compilation *c, bool empty)
{
	return (struct amon_subject){ c->object, c->object_size, c->exports, empty };
}

static int count_lookups(struct measurement *m, const struct compilation *c, double *lookups)
{
	struct compilation counting = *c;
	struct amon_subject subject;
	int error = -EINVAL;

	counting.object = NULL;
	counting.c = amon_arena_printf(c->arena, "%s%s", AMON_LOOKUPS_C, c->c);
	if (!compile_c(&counting)) {
		subject = subject_of(&counting, false);
		error = amon_measure_lookups(&subject, &m->packets, lookups, &m->failure);
	}
	free(counting.object);
	return error;
}

/* What can be counted is known of each probe by itself. */
static int count_probe(struct measurement *m, const struct compilation *c, struct price *price,
                       struct amon_collected **collected)
{
	struct amon_subject subject = subject_of(c, false);
	uint32_t instructions = 0;
	int error = amon_measure_once(&subject, &m->packets, &instructions, collected, &m->failure);

	price->instructions = instructions;
	price->bytes = amon_row_bytes(c->exports);
	return error ? error : count_lookups(m, c, &price->lookups);
}

/* Above an empty program. */
static int measure_above_empty(struct measurement *m, const struct compilation *c, struct price *price,
                               struct amon_collected **collected)
{
	struct amon_subject probe = subject_of(c, false), empty = subject_of(c, true);
	int error = count_probe(m, c, price, collected);

	return error ? error : amon_measure(&probe, &empty, &m->packets, &price->cost, &m->failure);
}

/* The whole, and what is left without a feature. */
static int measure_feature(struct measurement *m, const struct compilation *c, struct price *price,
                           struct amon_collected **collected)
{
	struct amon_subject whole = subject_of(m->c, false), rest = subject_of(c, false);
	struct price left = { .lookups = 0 };
	int error = count_probe(m, c, &left, collected);

	if (error)
		return error;
	price->instructions = m->all.instructions - left.instructions;
	price->bytes = m->all.bytes - left.bytes;
	price->lookups = m->all.lookups - left.lookups;
	return amon_measure(&whole, &rest, &m->packets, &price->cost, &m->failure);
}

/* Leaves out a feature (an index, or all). An exit status. */
static int measure_without(struct measurement *m, uint32_t feature)
{
	struct amon_collected *collected __attribute__((cleanup(amon_collected_cleanup))) = NULL;
	struct compilation left;
	int status = compile_without(&left, m->options, m->c, feature), error;

	if (!status) {
		error = feature == AMON_FEATURES_ALL ? measure_above_empty(m, &left, &m->nothing, &collected)
		                                     : measure_feature(m, &left, &m->lines[feature].price, &collected);
		if (error)
			status = report_failure(m->options, &left, error, &m->failure);
	}
	compilation_free(&left);
	return status;
}

/* --- what packets never come to */

static void tell_unreached(const struct amon_section_rows *section, uint32_t selected, const char *name)
{
	if (!amon_section_packets(section, selected).packets)
		fprintf(stderr, "amonc: warning: no packet comes to %s: what it costs then is not measured\n", name);
}

static void tell_section(const struct amon_section_rows *rows)
{
	const struct amon_export_section *section = rows->section;

	tell_unreached(rows, section->selected, section->name);
	/* those of the C of others tell no packets */
	for (uint32_t i = 0; i < section->table_count - section->user_count; i++)
		tell_unreached(rows, section->tables[i].selected, section->tables[i].name);
}

static int tell_all_unreached(const struct measurement *m, const struct amon_collected *collected)
{
	struct amon_window window = { .sequence = 1 };
	struct amon_document *document = NULL;
	int error = amon_document(m->c->exports, collected, &window, &document);

	for (uint32_t i = 0; !error && !m->options->quiet && i < m->c->exports->section_count; i++)
		tell_section(&document->sections[i]);
	amon_document_free(document);
	return error;
}

/* --- all of it */

static void show_progress(const struct measurement *m, uint32_t done)
{
	if (isatty(STDERR_FILENO) && !m->options->quiet)
		fprintf(stderr, done <= m->line_count ? "\r%u of %u features" : "\r\033[K", done, m->line_count);
}

static int measure_features(struct measurement *m)
{
	int status = measure_without(m, AMON_FEATURES_ALL);

	for (uint32_t i = 0; i < m->line_count && !status; i++) {
		m->lines[i].feature = amon_feature_at(m->c->probe, i);
		show_progress(m, i);
		status = measure_without(m, i);
	}
	show_progress(m, m->line_count + 1);
	return status;
}

static int measure(struct measurement *m)
{
	struct amon_collected *collected __attribute__((cleanup(amon_collected_cleanup))) = NULL;
	int error = find_packets(m);

	if (error) /* a file that may not be read: nothing of the kernel's */
		return report_failure(m->options, m->c, error == -EACCES ? -EIO : error, &m->failure);
	error = amon_kernel_check(&m->failure);
	if (!error)
		error = measure_above_empty(m, m->c, &m->all, &collected);
	if (!error)
		error = tell_all_unreached(m, collected);
	if (error)
		return report_failure(m->options, m->c, error, &m->failure);
	return measure_features(m);
}

/* --- in order: the dearest first, a table's metrics behind it */

static bool is_inside(const struct line *line)
{
	return line->feature.table && line->feature.metric;
}

static int compare_prices(const void *a, const void *b)
{
	const struct line *x = a, *y = b;

	if (is_inside(x) != is_inside(y))
		return is_inside(x) - is_inside(y);
	return (x->price.cost.median < y->price.cost.median) - (x->price.cost.median > y->price.cost.median);
}

static int compare_places(const void *a, const void *b)
{
	const struct line *x = a, *y = b;

	if (x->order != y->order)
		return (x->order > y->order) - (x->order < y->order);
	return compare_prices(a, b);
}

static void sort_lines(struct measurement *m)
{
	qsort(m->lines, m->line_count, sizeof(*m->lines), compare_prices);
	for (uint32_t i = 0; i < m->line_count; i++) {
		uint32_t j = 0;

		while (is_inside(&m->lines[i]) && m->lines[j].feature.table != m->lines[i].feature.table)
			j++;
		m->lines[i].order = is_inside(&m->lines[i]) ? j : i;
	}
	qsort(m->lines, m->line_count, sizeof(*m->lines), compare_places);
}

static void subtract(struct price *from, const struct price *price)
{
	from->cost.median -= price->cost.median;
	from->instructions -= price->instructions;
	from->bytes -= price->bytes;
	from->lookups -= price->lookups;
}

/* What is no single one's: of all features, or of a table's metrics. */
static struct price shared(const struct measurement *m, const struct line *table)
{
	struct price price = table ? table->price : m->all;

	if (!table)
		subtract(&price, &m->nothing);
	for (uint32_t i = 0; i < m->line_count; i++)
		if (table ? is_inside(&m->lines[i]) && m->lines[i].feature.table == table->feature.table
		          : !is_inside(&m->lines[i]))
			subtract(&price, &m->lines[i].price);
	return price;
}

static const char *kind(const struct amon_feature *feature)
{
	return feature->metric ? "metric" : feature->table->events ? "events" : "table";
}

/* --- as text */

static void print_price(const char *indent, const char *what, const char *name, const struct price *price, bool spread)
{
	char text[64], quartiles[32] = "";

	snprintf(text, sizeof(text), "%s%s%s%s", indent, what, *name ? " " : "", name);
	if (spread)
		snprintf(quartiles, sizeof(quartiles), "%.1f to %.1f", price->cost.low, price->cost.high);
	printf("%-40s %7.1f  %-16s %12lld %11lld %10.2f\n", text, price->cost.median, quartiles,
	       (long long)price->instructions, (long long)price->bytes, price->lookups);
}

/* Of sections there are several: "ingress.flows". */
static const char *full_name(const struct measurement *m, const struct amon_feature *feature)
{
	const char *name = feature->metric ? feature->metric->name : feature->table->name;

	return m->c->probe->section_count > 1 && !(feature->table && feature->metric)
	               ? amon_arena_printf(m->c->arena, "%s.%s", feature->section->name, name)
	               : name;
}

static void print_line(const struct measurement *m, uint32_t i)
{
	const struct line *line = &m->lines[i];
	struct price rest;

	print_price(is_inside(line) ? "    " : "  ", kind(&line->feature), full_name(m, &line->feature), &line->price,
	            true);
	/* behind a table's last metric */
	if (!is_inside(line) || (i + 1 < m->line_count && is_inside(&m->lines[i + 1])))
		return;
	while (is_inside(line))
		line--;
	rest = shared(m, line);
	print_price("    ", "its row", "", &rest, false);
}

static int print_text(const struct measurement *m)
{
	struct price rest = shared(m, NULL);

	printf("probe       %s\n", m->c->exports->probe);
	printf("packets     %u, %s%s\n\n", m->packets.count,
	       m->packets.count == AMON_TEST_PACKETS ? "the first of " : "", m->trace ? m->trace : "made for the spec");
	printf("%-40s %7s  %-16s %12s %11s %10s\n", "", "ns a", "", "", "", "look-ups");
	printf("%-40s %7s  %-16s %12s %11s %10s\n", "", "packet", "quartiles", "instructions", "bytes a row",
	       "a packet");
	print_price("", "all", "", &m->all, true);
	for (uint32_t i = 0; i < m->line_count; i++)
		print_line(m, i);
	print_price("  ", "shared by several", "", &rest, false);
	print_price("  ", "without any", "", &m->nothing, true);
	return close_output(&(struct options){ 0 }, stdout, 0);
}

/* --- as JSON */

static json_t *price_json(const struct price *price, bool spread)
{
	json_t *json = json_pack("{s:{s:f}, s:I, s:I, s:f}", "nanoseconds", "median", price->cost.median,
	                         "instructions", (json_int_t)price->instructions, "bytes", (json_int_t)price->bytes,
	                         "lookups", price->lookups);
	json_t *nanoseconds = json_object_get(json, "nanoseconds");

	if (spread) {
		json_object_set_new(nanoseconds, "low", json_real(price->cost.low));
		json_object_set_new(nanoseconds, "high", json_real(price->cost.high));
	}
	return json;
}

static json_t *line_json(const struct line *line)
{
	const struct amon_feature *feature = &line->feature;
	json_t *json = json_pack("{s:s, s:s, s:s?, s:s?}", "kind", kind(feature), "section", feature->section->name,
	                         "table", feature->table ? feature->table->name : NULL, "metric",
	                         feature->metric ? feature->metric->name : NULL);

	json_object_update_new(json, price_json(&line->price, true));
	return json;
}

static int print_json(const struct measurement *m)
{
	json_t *features = json_array(), *root;
	struct price rest = shared(m, NULL);

	for (uint32_t i = 0; i < m->line_count; i++)
		json_array_append_new(features, line_json(&m->lines[i]));
	root = json_pack("{s:s, s:{s:I, s:s?}, s:o, s:o, s:o, s:o}", "probe", m->c->exports->probe, "packets", "count",
	                 (json_int_t)m->packets.count, "capture", m->trace, "all", price_json(&m->all, true),
	                 "features", features, "shared", price_json(&rest, false), "without",
	                 price_json(&m->nothing, true));
	json_dumpf(root, stdout, JSON_INDENT(2));
	putchar('\n');
	json_decref(root);
	return close_output(&(struct options){ 0 }, stdout, 0);
}

int explain_measured(const struct options *options, const struct compilation *c, const char *trace, bool json)
{
	struct measurement m = { .options = options, .c = c, .trace = trace, .failure = { .message = "" } };
	int status;

	if (!c->plan)
		return complain(EXIT_USAGE, "--measure takes a spec: a built object cannot be taken apart");
	m.line_count = amon_feature_count(c->probe);
	m.lines = amon_new_array(c->arena, struct line, m.line_count + 1);
	status = measure(&m);
	if (status)
		return status;
	sort_lines(&m);
	return json ? print_json(&m) : print_text(&m);
}
