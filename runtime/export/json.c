/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "export.h"
#include "json_stream.h"

/* --- cells */

static void put_cell(struct amon_json *json, const struct amon_cell *cell);

static void put_time(struct amon_json *json, uint64_t nanoseconds)
{
	char text[AMON_TEXT_MAX];

	amon_time_text(nanoseconds, 9, text);
	amon_json_string(json, text);
}

static void put_edge(struct amon_json *json, const struct amon_histogram_cell *histogram,
                     const struct amon_bucket_cell *bucket)
{
	char text[AMON_TEXT_MAX];

	if (bucket->last) {
		amon_json_plain(json, "null");
		return;
	}
	amon_edge_text(histogram, bucket, text);
	amon_json_plain(json, text);
}

static void put_histogram(struct amon_json *json, const struct amon_histogram_cell *histogram)
{
	amon_json_open(json, '{');
	amon_json_key(json, "count");
	amon_json_natural(json, histogram->count);
	amon_json_key(json, "sum");
	put_cell(json, histogram->sum);
	amon_json_key(json, "buckets");
	amon_json_open(json, '[');
	for (uint32_t i = 0; i < histogram->bucket_count; i++) {
		if (!histogram->buckets[i].count)
			continue;
		amon_json_item(json);
		amon_json_open(json, '{');
		amon_json_key(json, "le");
		put_edge(json, histogram, &histogram->buckets[i]);
		amon_json_key(json, "count");
		amon_json_natural(json, histogram->buckets[i].count);
		amon_json_close(json, '}');
	}
	amon_json_close(json, ']');
	amon_json_close(json, '}');
}

static void put_cell(struct amon_json *json, const struct amon_cell *cell)
{
	char text[AMON_TEXT_MAX];

	amon_cell_text(cell, text);
	if (cell->kind == AMON_CELL_HISTOGRAM)
		put_histogram(json, cell->histogram);
	else if (cell->kind == AMON_CELL_ADDRESS || cell->kind == AMON_CELL_TIME || cell->kind == AMON_CELL_WORD)
		amon_json_string(json, text);
	else
		amon_json_plain(json, *text ? text : "null");
}

/* Columns from `first` on, as an object. */
static void put_cells(struct amon_json *json, const struct amon_export_column *columns, uint32_t first, uint32_t count,
                      const struct amon_cell *cells)
{
	amon_json_open(json, '{');
	for (uint32_t i = first; i < count; i++) {
		amon_json_key(json, columns[i].name);
		put_cell(json, &cells[i]);
	}
	amon_json_close(json, '}');
}

/* --- tables */

static void put_keyless(struct amon_json *json, const struct amon_export_table *table, const char *key,
                        const struct amon_cell *cells)
{
	amon_json_key(json, key);
	if (cells)
		put_cells(json, table->columns, table->key_count, table->column_count, cells);
	else
		amon_json_plain(json, "null");
}

static void put_rows(struct amon_json *json, const struct amon_table_rows *rows)
{
	const struct amon_export_table *table = rows->table;
	uint64_t place = 0;

	amon_json_key(json, "rows");
	amon_json_open(json, '[');
	while (amon_rows_next(rows, &place)) {
		amon_json_item(json);
		put_cells(json, table->columns, 0, table->column_count, amon_row_cells(rows, 0, table->column_count));
	}
	amon_json_close(json, ']');
}

static void put_table(struct amon_json *json, const struct amon_section_rows *section,
                      const struct amon_table_rows *rows)
{
	const struct amon_export_table *table = rows->table;

	amon_json_key(json, table->name);
	amon_json_open(json, '{');
	put_rows(json, rows);
	if (table->events) {
		amon_json_key(json, "lost");
		amon_json_natural(json, amon_events_lost(section, table));
	} else {
		put_keyless(json, table, "other", rows->other);
		put_keyless(json, table, "rest", rows->rest);
	}
	amon_json_close(json, '}');
}

static bool has_tables(const struct amon_export_section *section, bool events)
{
	for (uint32_t i = 0; i < section->table_count; i++)
		if (section->tables[i].events == events)
			return true;
	return false;
}

/* The tables of a section, or its events. */
static void put_tables(struct amon_json *json, const struct amon_section_rows *rows, bool events)
{
	if (!has_tables(rows->section, events))
		return;
	amon_json_key(json, events ? "events" : "tables");
	amon_json_open(json, '{');
	for (uint32_t i = 0; i < rows->section->table_count; i++)
		if (rows->section->tables[i].events == events)
			put_table(json, rows, &rows->tables[i]);
	amon_json_close(json, '}');
}

/* --- the ledger */

static void put_packets(struct amon_json *json, const char *key, const struct amon_section_rows *rows, uint32_t offset)
{
	struct amon_packets packets = amon_section_packets(rows, offset);

	amon_json_key(json, key);
	amon_json_open(json, '{');
	amon_json_key(json, "packets");
	amon_json_natural(json, packets.packets);
	amon_json_key(json, "bytes");
	amon_json_natural(json, packets.bytes);
	amon_json_close(json, '}');
}

/* Causes that came about. */
static void put_causes(struct amon_json *json, const char *key, const struct amon_section_rows *rows,
                       const struct amon_export_counter *causes, uint32_t count)
{
	amon_json_key(json, key);
	amon_json_open(json, '{');
	for (uint32_t i = 0; i < count; i++)
		if (amon_section_packets(rows, causes[i].offset).packets)
			put_packets(json, causes[i].name, rows, causes[i].offset);
	amon_json_close(json, '}');
}

static void put_table_ledger(struct amon_json *json, const struct amon_section_rows *rows,
                             const struct amon_export_table *table)
{
	amon_json_key(json, table->name);
	amon_json_open(json, '{');
	put_packets(json, "selected", rows, table->selected);
	put_packets(json, "in_rows", rows, table->in_rows);
	if (table->other_map)
		put_packets(json, "other", rows, table->other);
	put_causes(json, "unaccounted", rows, table->unaccounted, table->unaccounted_count);
	amon_json_close(json, '}');
}

static void put_ledger(struct amon_json *json, const struct amon_section_rows *rows)
{
	const struct amon_export_section *section = rows->section;

	amon_json_key(json, "ledger");
	amon_json_open(json, '{');
	put_packets(json, "seen", rows, section->seen);
	put_packets(json, "selected", rows, section->selected);
	put_causes(json, "malformed", rows, section->malformed, section->malformed_count);
	if (has_tables(section, false) || section->private_count) {
		amon_json_key(json, "tables");
		amon_json_open(json, '{');
		for (uint32_t i = 0; i < amon_ledger_count(section); i++)
			if (!amon_ledger_table(section, i)->events)
				put_table_ledger(json, rows, amon_ledger_table(section, i));
		amon_json_close(json, '}');
	}
	amon_json_close(json, '}');
}

/* --- sections */

static void put_hook(struct amon_json *json, const struct amon_document *document, const struct amon_hook *hook)
{
	enum amon_hook_kind kind = amon_section_hook(document, hook);
	const struct amon_attached_hook *attached = amon_hook_attached(document, kind);

	amon_json_item(json);
	amon_json_open(json, '{');
	amon_json_member(json, "direction", kind == AMON_HOOK_TC_EGRESS ? "egress" : "ingress");
	amon_json_member(json, "type", kind == AMON_HOOK_XDP ? "xdp" : "tc");
	if (attached && kind == AMON_HOOK_XDP)
		amon_json_member(json, "mode", attached->mode == AMON_XDP_GENERIC ? "generic" : "native");
	amon_json_close(json, '}');
}

static void put_hooks(struct amon_json *json, const struct amon_document *document,
                      const struct amon_export_section *section)
{
	amon_json_key(json, "hooks");
	amon_json_open(json, '[');
	for (uint32_t i = 0; i < section->hook_count; i++)
		put_hook(json, document, &section->hooks[i]);
	amon_json_close(json, ']');
}

static void put_metrics(struct amon_json *json, const struct amon_export_column *columns, uint32_t count,
                        const struct amon_cell *cells)
{
	if (!count)
		return;
	amon_json_key(json, "metrics");
	put_cells(json, columns, 0, count, cells);
}

static void put_section(struct amon_json *json, const struct amon_document *document,
                        const struct amon_section_rows *rows)
{
	const struct amon_export_section *section = rows->section;

	amon_json_key(json, section->name);
	amon_json_open(json, '{');
	put_hooks(json, document, section);
	put_metrics(json, section->columns, section->column_count, rows->cells);
	put_tables(json, rows, false);
	put_tables(json, rows, true);
	put_ledger(json, rows);
	amon_json_close(json, '}');
}

static void put_window(struct amon_json *json, const struct amon_window *window)
{
	amon_json_key(json, "window");
	amon_json_open(json, '{');
	amon_json_key(json, "sequence");
	amon_json_natural(json, window->sequence);
	amon_json_key(json, "start");
	put_time(json, window->start);
	amon_json_key(json, "end");
	put_time(json, window->end);
	amon_json_close(json, '}');
}

static int write_document(const struct amon_document *document, FILE *to, bool pretty)
{
	const struct amon_exports *exports = document->exports;
	struct amon_json json = { .to = to, .pretty = pretty };

	errno = 0;
	amon_json_open(&json, '{');
	amon_json_member(&json, "probe", exports->probe);
	if (document->interface)
		amon_json_member(&json, "interface", document->interface);
	put_window(&json, &document->window);
	for (uint32_t i = 0; i < exports->section_count; i++)
		put_section(&json, document, &document->sections[i]);
	put_metrics(&json, exports->columns, exports->column_count, document->cells);
	amon_json_close(&json, '}');
	putc_unlocked('\n', to);
	return amon_export_end(to);
}

int amon_write_json(const struct amon_document *document, FILE *to, const struct amon_format_options *options)
{
	(void)options;
	return write_document(document, to, true);
}

int amon_write_jsonl(const struct amon_document *document, FILE *to, const struct amon_format_options *options)
{
	(void)options;
	return write_document(document, to, false);
}
