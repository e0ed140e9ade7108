/* SPDX-License-Identifier: Apache-2.0 */
#include "exposition.h"

#include <inttypes.h>
#include <string.h>

static const struct {
	const char *name;
	const char *suffixes[5]; /* of its samples: names that nobody else may have */
} types[] = {
	[COUNTER] = { "counter", { "", "_total", "_created" } },
	[GAUGE] = { "gauge", { "" } },
	[HISTOGRAM] = { "histogram", { "", "_count", "_sum", "_bucket", "_created" } },
	[INFO] = { "info", { "", "_info" } },
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

void om_put_label(FILE *to, char *before, const char *name, const char *value)
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

struct family om_family(struct exposition *e, const char *text, enum type type, const char *unit, const char *help)
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

void om_put_family(struct exposition *e, const struct family *family)
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

char **om_key_labels(struct exposition *e, const struct amon_export_table *table)
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
		om_put_label(e->to, &before, "interface", e->document->interface);
	for (uint32_t i = 0; !series->row && i < series->key_count; i++) {
		amon_cell_text(&series->keys[i], text);
		om_put_label(e->to, &before, series->labels[i], text);
	}
	if (series->row)
		om_put_label(e->to, &before, "row", series->row);
	if (name)
		om_put_label(e->to, &before, name, value);
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

void om_put_point(struct exposition *e, const struct family *family, const struct series *series,
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
