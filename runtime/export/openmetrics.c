/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "export.h"
#include "runtime/totals.h"
#include "taken.h"

/*
 * One exposition a document. Samples of a family stand together, so that a table is walked over once for each of its
 * columns. Counters and histograms come from the totals of all windows, where there are windows; all else is the last
 * one's.
 */
struct exposition {
	FILE *to;
	struct amon_arena *arena;
	const struct amon_document *document, *totals; /* the same one where it holds totals itself */
	struct amon_taken families;
};

enum type { COUNTER, GAUGE, HISTOGRAM, INFO };

static const struct {
	const char *name;
	const char *suffixes[5]; /* of its samples: names that nobody else may have */
} types[] = {
	[COUNTER] = { "counter", { "", "_total", "_created" } },
	[GAUGE] = { "gauge", { "" } },
	[HISTOGRAM] = { "histogram", { "", "_count", "_sum", "_bucket", "_created" } },
	[INFO] = { "info", { "", "_info" } },
};

struct family {
	const char *name, *help, *unit;
	enum type type;
};

/* What tells one series of a family from the others. */
struct series {
	char *const *labels;          /* of the keys */
	const struct amon_cell *keys; /* as many cells */
	uint32_t key_count;
	const char *row; /* "other", "rest": no key */
};

/* --- text */

static void put_escaped(FILE *to, const char *text)
{
	while (*text) {
		size_t length;
		bool is_line = *text == '\n';
		const char *character = amon_character(&text, &length);

		if (is_line) {
			fputs("\\n", to);
			continue;
		}
		if (*character == '"' || *character == '\\')
			putc('\\', to);
		fwrite(character, 1, length, to);
	}
}

static void put_label(FILE *to, char *before, const char *name, const char *value)
{
	fprintf(to, "%c%s=\"", *before, name);
	put_escaped(to, value);
	putc('"', to);
	*before = ',';
}

/* --- names: `amon_PROBE_SECTION[_TABLE]_METRIC[_UNIT]` */

static bool ends_with(const char *text, const char *end)
{
	size_t length = strlen(text), end_length = strlen(end);

	return length >= end_length && !strcmp(text + length - end_length, end);
}

/* All of its samples' names, or none. */
static bool claim(struct exposition *e, const char *name, enum type type)
{
	for (size_t i = 0; i < 5 && types[type].suffixes[i]; i++)
		if (amon_taken_has(&e->families, amon_arena_printf(e->arena, "%s%s", name, types[type].suffixes[i])))
			return false;
	for (size_t i = 0; i < 5 && types[type].suffixes[i]; i++)
		amon_taken_add(&e->families, amon_arena_printf(e->arena, "%s%s", name, types[type].suffixes[i]));
	return true;
}

/* A unit is the name's end, once; so is `_total`, which the samples of a counter have. */
static struct family new_family(struct exposition *e, const char *text, enum type type, const char *unit,
                                const char *help)
{
	struct family family = { .help = help, .unit = amon_identifier(e->arena, unit, ""), .type = type };
	char *base = amon_identifier(e->arena, text, ""), *end;

	if (!*unit || type == INFO)
		family.unit = "";
	if (type == COUNTER && ends_with(base, "_total"))
		base[strlen(base) - strlen("_total")] = '\0';
	end = amon_arena_printf(e->arena, "_%s", family.unit);
	if (!*family.unit)
		end = "";
	else if (ends_with(base, end))
		base[strlen(base) - strlen(end)] = '\0';
	do {
		family.name = amon_arena_printf(e->arena, "%s%s", base, end);
		base = amon_arena_printf(e->arena, "%s_", base);
	} while (!claim(e, family.name, type));
	return family;
}

static void put_family(struct exposition *e, const struct family *family)
{
	if (*family->help) {
		fprintf(e->to, "# HELP %s ", family->name);
		put_escaped(e->to, family->help);
		putc('\n', e->to);
	}
	fprintf(e->to, "# TYPE %s %s\n", family->name, types[family->type].name);
	if (*family->unit)
		fprintf(e->to, "# UNIT %s %s\n", family->name, family->unit);
}

/* Dots become `_`; what would then be the same, or one of ours, gets another `_` behind it. */
static char **key_labels(struct exposition *e, const struct amon_export_table *table)
{
	char **labels = amon_new_array(e->arena, char *, table->key_count);
	struct amon_taken taken = { 0 };

	amon_taken_add(&taken, "interface");
	amon_taken_add(&taken, "le");
	amon_taken_add(&taken, "row");
	amon_taken_add(&taken, "value");
	for (uint32_t i = 0; i < table->key_count; i++)
		labels[i] = amon_taken_identifier(&taken, e->arena, table->columns[i].name, "");
	amon_taken_free(&taken);
	return labels;
}

/* --- samples */

/* Name and labels; `name` and `value` are one label more, or NULL. */
static void put_series(struct exposition *e, const struct family *family, const char *suffix,
                       const struct series *series, const char *name, const char *value)
{
	char text[AMON_TEXT_MAX], before = '{';

	fprintf(e->to, "%s%s", family->name, suffix);
	if (e->document->interface)
		put_label(e->to, &before, "interface", e->document->interface);
	for (uint32_t i = 0; !series->row && i < series->key_count; i++) {
		amon_cell_text(&series->keys[i], text);
		put_label(e->to, &before, series->labels[i], text);
	}
	if (series->row)
		put_label(e->to, &before, "row", series->row);
	if (name)
		put_label(e->to, &before, name, value);
	fputs(before == '{' ? " " : "} ", e->to);
}

static void put_natural(struct exposition *e, const struct family *family, const char *suffix,
                        const struct series *series, const char *le, uint64_t natural)
{
	put_series(e, family, suffix, series, le ? "le" : NULL, le);
	fprintf(e->to, "%" PRIu64 "\n", natural);
}

static bool is_negative(const struct amon_cell *cell)
{
	return cell->kind == AMON_CELL_SIGNED ? cell->integer < 0 : cell->kind == AMON_CELL_REAL && cell->real < 0;
}

/* Edges are reals here, and +Inf is always there. */
static void put_buckets(struct exposition *e, const struct family *family, const struct series *series,
                        const struct amon_histogram_cell *histogram)
{
	char edge[AMON_TEXT_MAX];
	uint64_t count = 0;

	for (uint32_t i = 0; i < histogram->bucket_count; i++) {
		const struct amon_bucket_cell *bucket = &histogram->buckets[i];

		count += bucket->count;
		if (bucket->last)
			continue;
		amon_real_text(bucket->le_real, edge);
		put_natural(e, family, "_bucket", series, edge, count);
	}
	put_natural(e, family, "_bucket", series, "+Inf", histogram->count);
}

/* Where there may be negative values, the sum is no counter; and without it there is no count. */
static void put_histogram(struct exposition *e, const struct family *family, const struct series *series,
                          const struct amon_cell *cell)
{
	const struct amon_histogram_cell *histogram = cell->histogram;
	bool negative = histogram->bucket_count && histogram->buckets[0].le_real < 0 && !histogram->buckets[0].last;
	char sum[AMON_TEXT_MAX];

	put_buckets(e, family, series, histogram);
	if (negative || is_negative(histogram->sum))
		return;
	put_natural(e, family, "_count", series, NULL, histogram->count);
	put_series(e, family, "_sum", series, NULL, NULL);
	amon_cell_text(histogram->sum, sum);
	fprintf(e->to, "%s\n", sum);
}

/* A counter that is negative is none. */
static void put_counter(struct exposition *e, const struct family *family, const struct series *series,
                        const struct amon_cell *cell)
{
	char text[AMON_TEXT_MAX];

	if (is_negative(cell))
		return;
	amon_cell_text(cell, text);
	put_series(e, family, "_total", series, NULL, NULL);
	fprintf(e->to, "%s\n", text);
}

static void put_gauge(struct exposition *e, const struct family *family, const struct series *series,
                      const struct amon_cell *cell)
{
	char text[AMON_TEXT_MAX];

	put_series(e, family, "", series, NULL, NULL);
	amon_cell_text(cell, text);
	if (cell->kind == AMON_CELL_TIME)
		fprintf(e->to, "%" PRIu64 ".%09" PRIu64 "\n", cell->time / 1000000000, cell->time % 1000000000);
	else if (cell->kind == AMON_CELL_BOOL)
		fprintf(e->to, "%d\n", cell->boolean);
	else
		fprintf(e->to, "%s\n", text);
}

static void put_info(struct exposition *e, const struct family *family, const struct series *series,
                     const struct amon_cell *cell)
{
	char text[AMON_TEXT_MAX];

	amon_cell_text(cell, text);
	put_series(e, family, "_info", series, "value", text);
	fputs("1\n", e->to);
}

static void put_point(struct exposition *e, const struct family *family, const struct series *series,
                      const struct amon_cell *cell)
{
	static void (*const put[])(struct exposition *e, const struct family *family, const struct series *series,
	                           const struct amon_cell *cell) = {
		[COUNTER] = put_counter,
		[GAUGE] = put_gauge,
		[HISTOGRAM] = put_histogram,
		[INFO] = put_info,
	};

	if (cell->kind != AMON_CELL_NULL)
		put[family->type](e, family, series, cell);
}

/* --- columns */

static enum type type_of(const struct amon_export_column *column)
{
	if (column->kind == AMON_COLUMN_METRIC && column->aggregation->kind == AMON_COUNTER)
		return COUNTER;
	if (column->kind == AMON_COLUMN_METRIC && column->aggregation->kind == AMON_HISTOGRAM)
		return HISTOGRAM;
	return amon_base_is_address(column->type.base) ? INFO : GAUGE;
}

static bool adds(enum type type)
{
	return type == COUNTER || type == HISTOGRAM;
}

/* Of a block whose names begin with `block`. */
static struct family column_family(struct exposition *e, const char *block, const struct amon_export_column *column)
{
	const char *name =
	        amon_arena_printf(e->arena, "amon_%s_%s%s", e->document->exports->probe, block, column->name);
	const char *unit = column->type.base == AMON_BASE_TIME ? "seconds" : column->unit;
	struct family family = new_family(e, name, type_of(column), unit, column->help);

	put_family(e, &family);
	return family;
}

static void put_metrics(struct exposition *e, const char *block, const struct amon_export_column *columns,
                        uint32_t count, const struct amon_cell *cells, const struct amon_cell *totals)
{
	static const struct series alone;

	for (uint32_t i = 0; i < count; i++) {
		struct family family = column_family(e, block, &columns[i]);

		put_point(e, &family, &alone, adds(family.type) ? &totals[i] : &cells[i]);
	}
}

/*
 * Rows move into and out of `rest`. Where windows are added up that is no matter; in totals it would shrink, which no
 * counter may.
 */
static bool has_rest(const struct exposition *e, const struct family *family)
{
	return !adds(family->type) || e->totals != e->document;
}

static void put_rows(struct exposition *e, const struct family *family, const struct amon_table_rows *rows,
                     uint32_t column, char *const *labels)
{
	struct series series = { .labels = labels, .key_count = rows->table->key_count };
	uint64_t place = 0;

	while (amon_rows_next(rows, &place)) {
		series.keys = amon_row_cells(rows, 0, series.key_count);
		put_point(e, family, &series, &amon_row_cells(rows, column, 1)[column]);
	}
	if (rows->rest && has_rest(e, family))
		put_point(e, family, &(struct series){ .row = "rest" }, &rows->rest[column]);
	if (rows->other)
		put_point(e, family, &(struct series){ .row = "other" }, &rows->other[column]);
}

static void put_table(struct exposition *e, uint32_t section, uint32_t index)
{
	const struct amon_table_rows *rows = &e->document->sections[section].tables[index];
	const struct amon_table_rows *totals = &e->totals->sections[section].tables[index];
	const struct amon_export_table *table = rows->table;
	const char *block =
	        amon_arena_printf(e->arena, "%s_%s_", e->document->exports->sections[section].name, table->name);
	char **labels = key_labels(e, table);

	for (uint32_t i = table->key_count; i < table->column_count; i++) {
		struct family family = column_family(e, block, &table->columns[i]);

		put_rows(e, &family, adds(family.type) ? totals : rows, i, labels);
	}
}

/* --- the ledger */

struct ledger {
	struct exposition *e;
	struct family family;
	bool bytes;
};

static void put_packets(const struct ledger *ledger, uint32_t section, const char *table, const char *counter,
                        const char *cause, uint32_t offset)
{
	const struct amon_section_rows *rows = &ledger->e->totals->sections[section];
	struct amon_packets packets = amon_section_packets(rows, offset);
	FILE *to = ledger->e->to;
	char before = '{';

	fprintf(to, "%s_total", ledger->family.name);
	if (ledger->e->document->interface)
		put_label(to, &before, "interface", ledger->e->document->interface);
	put_label(to, &before, "probe", ledger->e->document->exports->probe);
	put_label(to, &before, "section", rows->section->name);
	if (table)
		put_label(to, &before, "table", table);
	put_label(to, &before, "counter", counter);
	if (cause)
		put_label(to, &before, "cause", cause);
	fprintf(to, "} %" PRIu64 "\n", ledger->bytes ? packets.bytes : packets.packets);
}

static void put_table_ledger(const struct ledger *ledger, uint32_t section, const struct amon_export_table *table)
{
	put_packets(ledger, section, table->name, "selected", NULL, table->selected);
	put_packets(ledger, section, table->name, "in_rows", NULL, table->in_rows);
	if (table->other_map)
		put_packets(ledger, section, table->name, "other", NULL, table->other);
	for (uint32_t i = 0; i < table->unaccounted_count; i++)
		put_packets(ledger, section, table->name, "unaccounted", table->unaccounted[i].name,
		            table->unaccounted[i].offset);
}

static void put_ledger(const struct ledger *ledger)
{
	const struct amon_exports *exports = ledger->e->document->exports;

	put_family(ledger->e, &ledger->family);
	for (uint32_t s = 0; s < exports->section_count; s++) {
		const struct amon_export_section *section = &exports->sections[s];

		put_packets(ledger, s, NULL, "seen", NULL, section->seen);
		put_packets(ledger, s, NULL, "selected", NULL, section->selected);
		for (uint32_t i = 0; i < section->malformed_count; i++)
			put_packets(ledger, s, NULL, "malformed", section->malformed[i].name,
			            section->malformed[i].offset);
		for (uint32_t i = 0; i < amon_ledger_count(section); i++)
			put_table_ledger(ledger, s, amon_ledger_table(section, i));
	}
}

/* Its names are the same for every probe, so that it has them first. */
static void put_ledgers(struct exposition *e)
{
	struct ledger packets = { .e = e }, bytes = { .e = e, .bytes = true };

	packets.family = new_family(e, "amon_ledger", COUNTER, "packets", "Packets that the ledger accounts for");
	bytes.family = new_family(e, "amon_ledger", COUNTER, "bytes", "Their bytes on the wire");
	put_ledger(&packets);
	put_ledger(&bytes);
}

/* --- the exposition */

static void put_document(struct exposition *e)
{
	const struct amon_exports *exports = e->document->exports;

	put_ledgers(e);
	for (uint32_t s = 0; s < exports->section_count; s++) {
		const struct amon_export_section *section = &exports->sections[s];

		put_metrics(e, amon_arena_printf(e->arena, "%s_", section->name), section->columns,
		            section->column_count, e->document->sections[s].cells, e->totals->sections[s].cells);
		for (uint32_t t = 0; t < section->table_count; t++)
			put_table(e, s, t);
	}
	put_metrics(e, "", exports->columns, exports->column_count, e->document->cells, e->document->cells);
	fputs("# EOF\n", e->to);
}

int amon_write_openmetrics(const struct amon_document *document, FILE *to, const struct amon_format_options *options)
{
	struct amon_totals *totals = options ? options->totals : NULL;
	struct exposition e = { .to = to, .document = document, .totals = document };

	if (totals && amon_totals_add(totals, document))
		return -ENOMEM;
	if (totals)
		e.totals = amon_totals_document(totals);
	e.arena = amon_arena_new();
	errno = 0;
	put_document(&e);
	amon_taken_free(&e.families);
	amon_arena_free(e.arena);
	return amon_export_end(to);
}
