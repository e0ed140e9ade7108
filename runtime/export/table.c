/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "export.h"

/* Text for people: what does not fit the width is named and left out, numbers have six digits where they are no
 * integers. */

#define BAR_WIDTH 24
/* The bars of a histogram in one cell, widest form: eight steps of three bytes. */
#define CELL_MAX 256
#define SPARKS   24

struct page {
	const struct amon_document *document;
	FILE *to;
	unsigned int width; /* 0: as wide as it gets */
	bool color;
};

/* --- text */

/* Characters, not bytes. */
static unsigned int width_of(const char *text)
{
	unsigned int width = 0;

	for (; *text; text++)
		width += (*text & 0xc0) != 0x80;
	return width;
}

static void put_spaces(const struct page *page, unsigned int count)
{
	fprintf(page->to, "%*s", (int)count, "");
}

static void put_padded(const struct page *page, const char *text, unsigned int width, bool right)
{
	unsigned int own = width_of(text), gap = width > own ? width - own : 0;

	if (right)
		put_spaces(page, gap);
	fputs(text, page->to);
	if (!right)
		put_spaces(page, gap);
}

static void put_styled(const struct page *page, const char *style, const char *text)
{
	if (page->color)
		fprintf(page->to, "\033[%sm%s\033[0m", style, text);
	else
		fputs(text, page->to);
}

#define BOLD "1"
#define DIM  "2"

/* --- cells */

/* Eight heights, of which the least is still seen. */
static const char *spark(uint64_t count, uint64_t most)
{
	static const char *const sparks[] = { "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█" };

	return sparks[(unsigned int)(((long double)count * 8 - 1) / most)];
}

static uint64_t most_of(const struct amon_histogram_cell *histogram)
{
	uint64_t most = 1;

	for (uint32_t i = 0; i < histogram->bucket_count; i++)
		if (histogram->buckets[i].count > most)
			most = histogram->buckets[i].count;
	return most;
}

static void histogram_text(const struct amon_histogram_cell *histogram, char *text)
{
	uint32_t shown = histogram->bucket_count < SPARKS ? histogram->bucket_count : SPARKS;
	uint64_t most = most_of(histogram);
	int length = sprintf(text, "%" PRIu64 " ", histogram->count);

	for (uint32_t i = 0; i < shown; i++)
		length += sprintf(text + length, "%s", spark(histogram->buckets[i].count, most));
	if (shown < histogram->bucket_count)
		strcpy(text + length, "…");
}

static void cell_text(const struct amon_cell *cell, char text[CELL_MAX])
{
	switch (cell->kind) {
	case AMON_CELL_NULL:
		strcpy(text, "-");
		break;
	case AMON_CELL_BOOL:
		strcpy(text, cell->boolean ? "true" : "false");
		break;
	case AMON_CELL_SIGNED:
		snprintf(text, CELL_MAX, "%" PRId64, cell->integer);
		break;
	case AMON_CELL_UNSIGNED:
		snprintf(text, CELL_MAX, "%" PRIu64, cell->natural);
		break;
	case AMON_CELL_REAL:
		snprintf(text, CELL_MAX, "%.6g", cell->real);
		break;
	case AMON_CELL_ADDRESS:
		amon_address_text(&cell->address, text);
		break;
	case AMON_CELL_TIME:
		amon_time_text(cell->time, 6, text);
		break;
	case AMON_CELL_HISTOGRAM:
		histogram_text(cell->histogram, text);
		break;
	}
}

static bool is_number(const struct amon_export_column *column)
{
	bool text = amon_base_is_address(column->type.base) || column->type.base == AMON_BASE_TIME ||
	            column->type.base == AMON_BASE_BOOL;

	return !text && !(column->kind == AMON_COLUMN_METRIC && column->aggregation->finish == AMON_FINISH_HISTOGRAM);
}

/* --- metrics: two columns */

static void edge_text(const struct amon_histogram_cell *histogram, const struct amon_bucket_cell *bucket,
                      char text[CELL_MAX])
{
	if (bucket->last)
		strcpy(text, "above");
	else if (histogram->converted)
		snprintf(text, CELL_MAX, "≤ %.6g", bucket->le_real);
	else if (histogram->is_signed)
		snprintf(text, CELL_MAX, "≤ %" PRId64, (int64_t)bucket->le);
	else
		snprintf(text, CELL_MAX, "≤ %" PRIu64, bucket->le);
}

static void put_bar(const struct page *page, uint64_t count, uint64_t most)
{
	unsigned int bar = (unsigned int)((long double)count * BAR_WIDTH / most);

	for (unsigned int i = 0; i < bar; i++)
		fputs("█", page->to);
	if (!bar)
		fputs("▏", page->to);
}

static void put_buckets(const struct page *page, const struct amon_histogram_cell *histogram, unsigned int indent)
{
	unsigned int edges = 0, counts = snprintf(NULL, 0, "%" PRIu64, most_of(histogram));
	char text[CELL_MAX];

	for (uint32_t i = 0; i < histogram->bucket_count; i++) {
		edge_text(histogram, &histogram->buckets[i], text);
		edges = width_of(text) > edges ? width_of(text) : edges;
	}
	for (uint32_t i = 0; i < histogram->bucket_count; i++) {
		edge_text(histogram, &histogram->buckets[i], text);
		put_spaces(page, indent);
		put_padded(page, text, edges, true);
		fprintf(page->to, "  %*" PRIu64 "  ", (int)counts, histogram->buckets[i].count);
		put_bar(page, histogram->buckets[i].count, most_of(histogram));
		putc('\n', page->to);
	}
}

static void put_metric(const struct page *page, const struct amon_export_column *column, const struct amon_cell *cell,
                       unsigned int names)
{
	bool histogram = cell->kind == AMON_CELL_HISTOGRAM;
	char text[CELL_MAX];

	fputs("  ", page->to);
	put_padded(page, column->name, names, false);
	if (histogram) {
		char sum[CELL_MAX];

		cell_text(cell->histogram->sum, sum);
		snprintf(text, sizeof(text), "%" PRIu64 ", sum %.200s", cell->histogram->count, sum);
	} else {
		cell_text(cell, text);
	}
	fprintf(page->to, "  %s", text);
	if (*column->unit && cell->kind != AMON_CELL_NULL) {
		putc(' ', page->to);
		put_styled(page, DIM, column->unit);
	}
	putc('\n', page->to);
	if (histogram)
		put_buckets(page, cell->histogram, names + 4);
}

static void put_metrics(const struct page *page, const struct amon_export_column *columns, uint32_t count,
                        const struct amon_cell *cells)
{
	unsigned int names = 0;

	for (uint32_t i = 0; i < count; i++)
		names = width_of(columns[i].name) > names ? width_of(columns[i].name) : names;
	for (uint32_t i = 0; i < count; i++)
		put_metric(page, &columns[i], &cells[i], names);
}

/* --- tables */

struct grid {
	const struct amon_table_rows *rows;
	unsigned int *widths;
	uint32_t shown; /* columns, from the left */
};

static const char *const other_label = "other";

static void rest_label(const struct amon_table_rows *rows, char text[CELL_MAX])
{
	snprintf(text, CELL_MAX, "rest (%" PRIu64 ")", rows->left_out);
}

static void widen(unsigned int *width, const char *text)
{
	if (width_of(text) > *width)
		*width = width_of(text);
}

static void measure_cells(struct grid *grid, uint32_t first, const struct amon_cell *cells)
{
	char text[CELL_MAX];

	for (uint32_t i = first; cells && i < grid->rows->table->column_count; i++) {
		cell_text(&cells[i], text);
		widen(&grid->widths[i], text);
	}
}

static void measure(struct grid *grid)
{
	const struct amon_table_rows *rows = grid->rows;
	const struct amon_export_table *table = rows->table;
	char text[CELL_MAX];

	for (uint32_t i = 0; i < table->column_count; i++) {
		widen(&grid->widths[i], table->columns[i].name);
		widen(&grid->widths[i], table->columns[i].unit);
	}
	for (uint64_t i = 0; i < rows->row_count; i++)
		measure_cells(grid, 0, rows->cells + i * table->column_count);
	measure_cells(grid, table->key_count, rows->other);
	measure_cells(grid, table->key_count, rows->rest);
	rest_label(rows, text);
	if (rows->rest)
		widen(&grid->widths[0], text);
	else if (rows->other)
		widen(&grid->widths[0], other_label);
}

/* As many columns as the page is wide, but one. */
static void fit(const struct page *page, struct grid *grid)
{
	unsigned int used = 0;

	for (grid->shown = 0; grid->shown < grid->rows->table->column_count; grid->shown++) {
		used += 2 + grid->widths[grid->shown];
		if (page->width && grid->shown && used > page->width)
			break;
	}
}

/* `first`: a label in place of the keys, or NULL. */
static void put_row(const struct page *page, const struct grid *grid, const struct amon_cell *cells, const char *label)
{
	const struct amon_export_table *table = grid->rows->table;
	char text[CELL_MAX];

	for (uint32_t i = 0; i < grid->shown; i++) {
		bool in_label = label && i < table->key_count;

		fputs("  ", page->to);
		if (!in_label)
			cell_text(&cells[i], text);
		put_padded(page, in_label ? (i ? "" : label) : text, grid->widths[i],
		           !in_label && is_number(&table->columns[i]));
	}
	putc('\n', page->to);
}

static void put_names(const struct page *page, const struct grid *grid, bool units)
{
	const struct amon_export_table *table = grid->rows->table;

	if (page->color)
		fputs(units ? "\033[" DIM "m" : "\033[" BOLD "m", page->to);
	for (uint32_t i = 0; i < grid->shown; i++) {
		fputs("  ", page->to);
		put_padded(page, units ? table->columns[i].unit : table->columns[i].name, grid->widths[i],
		           is_number(&table->columns[i]));
	}
	fputs(page->color ? "\033[0m\n" : "\n", page->to);
}

static bool has_units(const struct grid *grid)
{
	for (uint32_t i = 0; i < grid->shown; i++)
		if (*grid->rows->table->columns[i].unit)
			return true;
	return false;
}

static void put_hidden(const struct page *page, const struct grid *grid)
{
	const struct amon_export_table *table = grid->rows->table;

	if (grid->shown == table->column_count)
		return;
	fputs("  not shown for want of width:", page->to);
	for (uint32_t i = grid->shown; i < table->column_count; i++)
		fprintf(page->to, "%s %s", i > grid->shown ? "," : "", table->columns[i].name);
	putc('\n', page->to);
}

static void put_grid(const struct page *page, const struct grid *grid)
{
	const struct amon_table_rows *rows = grid->rows;
	char label[CELL_MAX];

	put_names(page, grid, false);
	if (has_units(grid))
		put_names(page, grid, true);
	for (uint64_t i = 0; i < rows->row_count; i++)
		put_row(page, grid, rows->cells + i * rows->table->column_count, NULL);
	rest_label(rows, label);
	if (rows->rest)
		put_row(page, grid, rows->rest, label);
	if (rows->other)
		put_row(page, grid, rows->other, other_label);
	put_hidden(page, grid);
}

static void put_table(const struct page *page, const struct amon_table_rows *rows)
{
	struct grid grid = { .rows = rows };

	putc('\n', page->to);
	put_styled(page, BOLD, rows->table->name);
	fprintf(page->to, ": %" PRIu64 " %s\n", rows->row_count, rows->row_count == 1 ? "row" : "rows");
	if (!rows->row_count && !rows->rest && !rows->other)
		return;
	grid.widths = calloc(rows->table->column_count, sizeof(*grid.widths));
	if (!grid.widths)
		return;
	measure(&grid);
	fit(page, &grid);
	put_grid(page, &grid);
	free(grid.widths);
}

/* --- the ledger: a line, and what there is to complain of */

static void put_causes(const struct page *page, const struct amon_section_rows *rows, const char *what,
                       const struct amon_export_counter *causes, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		struct amon_packets packets = amon_section_packets(rows, causes[i].offset);

		if (packets.packets)
			fprintf(page->to, "  %s, %s: %" PRIu64 " packets, %" PRIu64 " bytes\n", what, causes[i].name,
			        packets.packets, packets.bytes);
	}
}

static void put_ledger(const struct page *page, const struct amon_section_rows *rows)
{
	const struct amon_export_section *section = rows->section;
	struct amon_packets seen = amon_section_packets(rows, section->seen);
	struct amon_packets selected = amon_section_packets(rows, section->selected);
	char what[CELL_MAX];

	fprintf(page->to, "  %" PRIu64 " packets (%" PRIu64 " bytes) seen, %" PRIu64 " (%" PRIu64 ") selected\n",
	        seen.packets, seen.bytes, selected.packets, selected.bytes);
	put_causes(page, rows, "malformed", section->malformed, section->malformed_count);
	for (uint32_t i = 0; i < section->table_count; i++) {
		const struct amon_export_table *table = &section->tables[i];

		snprintf(what, sizeof(what), "not in %s", table->name);
		put_causes(page, rows, what, table->unaccounted, table->unaccounted_count);
	}
}

/* --- the page */

static void put_hooks(const struct page *page, const struct amon_export_section *section)
{
	static const char *const names[] = {
		[AMON_HOOK_XDP] = "xdp",
		[AMON_HOOK_TC_INGRESS] = "tc ingress",
		[AMON_HOOK_TC_EGRESS] = "tc egress",
	};
	uint32_t count = page->document->hooks ? section->hook_count : 1;

	for (uint32_t i = 0; i < count; i++) {
		enum amon_hook_kind kind = amon_section_hook(page->document, &section->hooks[i]);
		const struct amon_attached_hook *attached = amon_hook_attached(page->document, kind);
		bool generic = attached && attached->mode == AMON_XDP_GENERIC;

		fprintf(page->to, "%s%s%s", i ? ", " : " (", names[kind], generic ? " generic" : "");
	}
	fputs(")\n", page->to);
}

static void put_section(const struct page *page, const struct amon_section_rows *rows)
{
	const struct amon_export_section *section = rows->section;

	putc('\n', page->to);
	put_styled(page, BOLD, section->name);
	put_hooks(page, section);
	put_ledger(page, rows);
	put_metrics(page, section->columns, section->column_count, rows->cells);
	for (uint32_t i = 0; i < section->table_count; i++)
		put_table(page, &rows->tables[i]);
}

static void put_title(const struct page *page)
{
	const struct amon_document *document = page->document;
	char start[AMON_TEXT_MAX], end[AMON_TEXT_MAX];

	amon_time_text(document->window.start, 3, start);
	amon_time_text(document->window.end, 3, end);
	put_styled(page, BOLD, document->exports->probe);
	if (document->interface)
		fprintf(page->to, " on %s", document->interface);
	fprintf(page->to, ", window %" PRIu64 ": %s to %s\n", document->window.sequence, start, end);
}

int amon_write_table(const struct amon_document *document, FILE *to, const struct amon_format_options *options)
{
	const struct amon_exports *exports = document->exports;
	struct page page = { .document = document, .to = to };

	if (options) {
		page.width = options->width;
		page.color = options->color;
	}
	errno = 0;
	put_title(&page);
	for (uint32_t i = 0; i < exports->section_count; i++)
		put_section(&page, &document->sections[i]);
	if (exports->column_count) {
		putc('\n', to);
		put_metrics(&page, exports->columns, exports->column_count, document->cells);
	}
	putc('\n', to);
	return amon_export_end(to);
}
