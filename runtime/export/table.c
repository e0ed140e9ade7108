/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "page.h"

#define BAR_WIDTH 24

/* --- metrics: two columns */

static void edge_text(const struct amon_histogram_cell *histogram, const struct amon_bucket_cell *bucket,
                      char text[CELL_MAX])
{
	char edge[AMON_TEXT_MAX];

	amon_edge_text(histogram, bucket, edge);
	if (bucket->last)
		strcpy(text, "above");
	else if (histogram->converted)
		snprintf(text, CELL_MAX, "≤ %.6g", bucket->le_real);
	else
		snprintf(text, CELL_MAX, "≤ %s", edge);
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
	uint64_t most = page_most_of(histogram);
	unsigned int edges = 0, counts = snprintf(NULL, 0, "%" PRIu64, most);
	char text[CELL_MAX];

	for (uint32_t i = 0; i < histogram->bucket_count; i++) {
		if (!histogram->buckets[i].count)
			continue;
		edge_text(histogram, &histogram->buckets[i], text);
		edges = page_width_of(text) > edges ? page_width_of(text) : edges;
	}
	for (uint32_t i = 0; i < histogram->bucket_count; i++) {
		if (!histogram->buckets[i].count)
			continue;
		edge_text(histogram, &histogram->buckets[i], text);
		page_put_spaces(page, indent);
		page_put_padded(page, text, edges, true);
		fprintf(page->to, "  %*" PRIu64 "  ", (int)counts, histogram->buckets[i].count);
		put_bar(page, histogram->buckets[i].count, most);
		putc('\n', page->to);
	}
}

static void metric_text(const struct amon_cell *cell, char text[CELL_MAX])
{
	char sum[CELL_MAX];

	if (cell->kind != AMON_CELL_HISTOGRAM) {
		page_cell_text(cell, text);
		return;
	}
	page_cell_text(cell->histogram->sum, sum);
	snprintf(text, CELL_MAX, "%" PRIu64 ", sum %.200s", cell->histogram->count, sum);
}

/* Metrics of a block, and for rates their record and that of the read before. */
struct block {
	const struct amon_export_column *columns;
	uint32_t count;
	const struct amon_cell *cells;
	const void *record, *earlier;
};

static void put_metric(const struct page *page, const struct block *block, uint32_t index, unsigned int names)
{
	const struct amon_export_column *column = &block->columns[index];
	const struct amon_cell *cell = &block->cells[index];
	char text[CELL_MAX];

	fputs("  ", page->to);
	page_name(column->name, text);
	page_put_padded(page, text, names, false);
	metric_text(cell, text);
	fprintf(page->to, "  %s", text);
	if (*column->unit && cell->kind != AMON_CELL_NULL) {
		putc(' ', page->to);
		page_put_styled(page, DIM, column->unit);
	}
	if (page_has_rate(page, column)) {
		page_rate_text(page, column, block->record, column->reset ? NULL : block->earlier, text);
		fprintf(page->to, "  %s/s", text);
	}
	putc('\n', page->to);
	if (cell->kind == AMON_CELL_HISTOGRAM)
		put_buckets(page, cell->histogram, names + 4);
}

static void put_metrics(const struct page *page, struct block block)
{
	unsigned int names = 0;
	char text[CELL_MAX];

	for (uint32_t i = 0; i < block.count; i++) {
		page_name(block.columns[i].name, text);
		names = page_width_of(text) > names ? page_width_of(text) : names;
	}
	for (uint32_t i = 0; i < block.count; i++)
		put_metric(page, &block, i, names);
}

/* --- the ledger: a line, and what there is to complain of */

static void put_causes(const struct page *page, const struct amon_section_rows *rows, const char *what,
                       const struct amon_export_counter *causes, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		struct amon_packets packets = amon_section_packets(rows, causes[i].offset);

		if (!packets.packets)
			continue;
		fprintf(page->to, "  %s, ", what);
		page_put_styled(page, NULL, causes[i].name);
		fprintf(page->to, ": %" PRIu64 " packets, %" PRIu64 " bytes\n", packets.packets, packets.bytes);
	}
}

static void put_ledger(const struct page *page, const struct amon_section_rows *rows)
{
	const struct amon_export_section *section = rows->section;
	struct amon_packets seen = amon_section_packets(rows, section->seen);
	struct amon_packets selected = amon_section_packets(rows, section->selected);
	char what[CELL_MAX + 8], name[CELL_MAX];

	fprintf(page->to, "  %" PRIu64 " packets (%" PRIu64 " bytes) seen, %" PRIu64 " (%" PRIu64 ") selected\n",
	        seen.packets, seen.bytes, selected.packets, selected.bytes);
	put_causes(page, rows, "malformed", section->malformed, section->malformed_count);
	for (uint32_t i = 0; i < amon_ledger_count(section); i++) {
		const struct amon_export_table *table = amon_ledger_table(section, i);

		page_name(table->name, name);
		snprintf(what, sizeof(what), "not in %s", name);
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

static void put_section(const struct page *page, uint32_t index)
{
	const struct amon_section_rows *rows = &page->document->sections[index];
	const struct amon_export_section *section = rows->section;

	putc('\n', page->to);
	page_put_styled(page, BOLD, section->name);
	put_hooks(page, section);
	put_ledger(page, rows);
	put_metrics(page, (struct block){ section->columns, section->column_count, rows->cells, rows->record,
	                                  page->live ? amon_live_section(page->live, index) : NULL });
	for (uint32_t i = 0; i < section->table_count; i++)
		page_put_table(page, index, i);
}

static void put_title(const struct page *page)
{
	const struct amon_document *document = page->document;
	char start[AMON_TEXT_MAX], end[AMON_TEXT_MAX];

	amon_time_text(document->window.start, 3, start);
	amon_time_text(document->window.end, 3, end);
	page_put_styled(page, BOLD, document->exports->probe);
	if (document->interface) {
		fputs(" on ", page->to);
		page_put_styled(page, NULL, document->interface);
	}
	fprintf(page->to, ", window %" PRIu64 ": %s to %s\n", document->window.sequence, start, end);
}

static void put_page(const struct page *page)
{
	const struct amon_exports *exports = page->document->exports;

	put_title(page);
	for (uint32_t i = 0; i < exports->section_count; i++)
		put_section(page, i);
	if (exports->column_count) {
		putc('\n', page->to);
		put_metrics(page, (struct block){ exports->columns, exports->column_count, page->document->cells, NULL,
		                                  NULL });
	}
	putc('\n', page->to);
}

/* The page is made whole before it is drawn, so that the one before stands until then. */
static int write_live(struct page *page, struct amon_live *live, FILE *to)
{
	char *text = NULL;
	size_t size;
	int error;

	page->to = open_memstream(&text, &size);
	if (!page->to)
		return -ENOMEM;
	page->live = live;
	if (amon_live_height(live))
		page->rows = amon_live_height(live);
	amon_live_begin(live, page->document);
	put_page(page);
	error = fclose(page->to) ? -ENOMEM : amon_live_draw(live, text, page->document, to);
	free(text);
	return error ? error : amon_export_end(to);
}

int amon_write_table(const struct amon_document *document, FILE *to, const struct amon_format_options *options)
{
	static const struct amon_format_options plain;
	struct page page = { .document = document, .to = to, .rows = UINT64_MAX };

	options = options ? options : &plain;
	page.width = options->width;
	page.color = options->color;
	errno = 0;
	if (options->live)
		return write_live(&page, options->live, to);
	put_page(&page);
	return amon_export_end(to);
}
