/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "compiler/utf8.h"
#include "export.h"

/* A stream of its own: documents may hold millions of rows, and natural numbers go up to 2^64 - 1. */
struct json {
	FILE *to;
	bool pretty;
	unsigned int depth;
	bool empty; /* nothing stands yet in the object or array at hand */
};

/* --- syntax */

static void put_line(struct json *json)
{
	putc_unlocked('\n', json->to);
	for (unsigned int i = 0; i < json->depth; i++)
		fputs_unlocked("  ", json->to);
}

/* Before each item of an array and each key. */
static void put_item(struct json *json)
{
	if (!json->empty)
		putc_unlocked(',', json->to);
	if (json->pretty)
		put_line(json);
	json->empty = false;
}

static void put_open(struct json *json, char bracket)
{
	putc_unlocked(bracket, json->to);
	json->depth++;
	json->empty = true;
}

static void put_close(struct json *json, char bracket)
{
	json->depth--;
	if (json->pretty && !json->empty)
		put_line(json);
	putc_unlocked(bracket, json->to);
	json->empty = false;
}

static void put_escaped(struct json *json, unsigned char byte)
{
	if (byte == '"' || byte == '\\')
		fprintf(json->to, "\\%c", byte);
	else if (byte < 0x20 || byte == 0x7f)
		fprintf(json->to, "\\u%04x", byte);
	else
		fputs_unlocked("\\ufffd", json->to);
}

/* What is no UTF-8 (an interface's name may hold any bytes) becomes the replacement character. */
static void put_string(struct json *json, const char *text)
{
	size_t left = strlen(text);

	putc_unlocked('"', json->to);
	while (left) {
		size_t length = amon_utf8_length(text, left);
		unsigned char byte = (unsigned char)*text;

		if (!length || byte < 0x20 || byte == 0x7f || byte == '"' || byte == '\\') {
			put_escaped(json, byte);
			length = 1;
		} else {
			fwrite_unlocked(text, 1, length, json->to);
		}
		text += length;
		left -= length;
	}
	putc_unlocked('"', json->to);
}

static void put_key(struct json *json, const char *key)
{
	put_item(json);
	put_string(json, key);
	fputs_unlocked(json->pretty ? ": " : ":", json->to);
}

static void put_member(struct json *json, const char *key, const char *text)
{
	put_key(json, key);
	put_string(json, text);
}

static void put_natural(struct json *json, uint64_t natural)
{
	fprintf(json->to, "%" PRIu64, natural);
}

static void put_null(struct json *json)
{
	fputs_unlocked("null", json->to);
}

static void put_real(struct json *json, double real)
{
	char text[AMON_TEXT_MAX];

	amon_real_text(real, text);
	fputs_unlocked(text, json->to);
}

static void put_time(struct json *json, uint64_t nanoseconds)
{
	char text[AMON_TEXT_MAX];

	amon_time_text(nanoseconds, 9, text);
	put_string(json, text);
}

static void put_address(struct json *json, const struct amon_address *address)
{
	char text[AMON_TEXT_MAX];

	amon_address_text(address, text);
	put_string(json, text);
}

/* --- cells */

static void put_cell(struct json *json, const struct amon_cell *cell);

static void put_edge(struct json *json, const struct amon_histogram_cell *histogram,
                     const struct amon_bucket_cell *bucket)
{
	if (bucket->last)
		put_null(json);
	else if (histogram->converted)
		put_real(json, bucket->le_real);
	else if (histogram->is_signed)
		fprintf(json->to, "%" PRId64, (int64_t)bucket->le);
	else
		put_natural(json, bucket->le);
}

static void put_histogram(struct json *json, const struct amon_histogram_cell *histogram)
{
	put_open(json, '{');
	put_key(json, "count");
	put_natural(json, histogram->count);
	put_key(json, "sum");
	put_cell(json, histogram->sum);
	put_key(json, "buckets");
	put_open(json, '[');
	for (uint32_t i = 0; i < histogram->bucket_count; i++) {
		put_item(json);
		put_open(json, '{');
		put_key(json, "le");
		put_edge(json, histogram, &histogram->buckets[i]);
		put_key(json, "count");
		put_natural(json, histogram->buckets[i].count);
		put_close(json, '}');
	}
	put_close(json, ']');
	put_close(json, '}');
}

static void put_cell(struct json *json, const struct amon_cell *cell)
{
	switch (cell->kind) {
	case AMON_CELL_NULL:
		return put_null(json);
	case AMON_CELL_BOOL:
		fputs_unlocked(cell->boolean ? "true" : "false", json->to);
		return;
	case AMON_CELL_SIGNED:
		fprintf(json->to, "%" PRId64, cell->integer);
		return;
	case AMON_CELL_UNSIGNED:
		return put_natural(json, cell->natural);
	case AMON_CELL_REAL:
		return put_real(json, cell->real);
	case AMON_CELL_ADDRESS:
		return put_address(json, &cell->address);
	case AMON_CELL_TIME:
		return put_time(json, cell->time);
	case AMON_CELL_HISTOGRAM:
		return put_histogram(json, cell->histogram);
	}
}

/* Columns from `first` on, as an object. */
static void put_cells(struct json *json, const struct amon_export_column *columns, uint32_t first, uint32_t count,
                      const struct amon_cell *cells)
{
	put_open(json, '{');
	for (uint32_t i = first; i < count; i++) {
		put_key(json, columns[i].name);
		put_cell(json, &cells[i]);
	}
	put_close(json, '}');
}

/* --- tables */

static void put_keyless(struct json *json, const struct amon_export_table *table, const char *key,
                        const struct amon_cell *cells)
{
	put_key(json, key);
	if (cells)
		put_cells(json, table->columns, table->key_count, table->column_count, cells);
	else
		put_null(json);
}

static void put_table(struct json *json, const struct amon_table_rows *rows)
{
	const struct amon_export_table *table = rows->table;

	put_key(json, table->name);
	put_open(json, '{');
	put_key(json, "rows");
	put_open(json, '[');
	for (uint64_t i = 0; i < rows->row_count; i++) {
		put_item(json);
		put_cells(json, table->columns, 0, table->column_count, rows->cells + i * table->column_count);
	}
	put_close(json, ']');
	put_keyless(json, table, "other", rows->other);
	put_keyless(json, table, "rest", rows->rest);
	put_close(json, '}');
}

static void put_tables(struct json *json, const struct amon_section_rows *rows)
{
	put_key(json, "tables");
	put_open(json, '{');
	for (uint32_t i = 0; i < rows->section->table_count; i++)
		put_table(json, &rows->tables[i]);
	put_close(json, '}');
}

/* --- the ledger */

static void put_packets(struct json *json, const char *key, const struct amon_section_rows *rows, uint32_t offset)
{
	struct amon_packets packets = amon_section_packets(rows, offset);

	put_key(json, key);
	put_open(json, '{');
	put_key(json, "packets");
	put_natural(json, packets.packets);
	put_key(json, "bytes");
	put_natural(json, packets.bytes);
	put_close(json, '}');
}

/* Causes that came about. */
static void put_causes(struct json *json, const char *key, const struct amon_section_rows *rows,
                       const struct amon_export_counter *causes, uint32_t count)
{
	put_key(json, key);
	put_open(json, '{');
	for (uint32_t i = 0; i < count; i++)
		if (amon_section_packets(rows, causes[i].offset).packets)
			put_packets(json, causes[i].name, rows, causes[i].offset);
	put_close(json, '}');
}

static void put_table_ledger(struct json *json, const struct amon_section_rows *rows,
                             const struct amon_export_table *table)
{
	put_key(json, table->name);
	put_open(json, '{');
	put_packets(json, "selected", rows, table->selected);
	put_packets(json, "in_rows", rows, table->in_rows);
	if (table->other_map)
		put_packets(json, "other", rows, table->other);
	put_causes(json, "unaccounted", rows, table->unaccounted, table->unaccounted_count);
	put_close(json, '}');
}

static void put_ledger(struct json *json, const struct amon_section_rows *rows)
{
	const struct amon_export_section *section = rows->section;

	put_key(json, "ledger");
	put_open(json, '{');
	put_packets(json, "seen", rows, section->seen);
	put_packets(json, "selected", rows, section->selected);
	put_causes(json, "malformed", rows, section->malformed, section->malformed_count);
	if (section->table_count) {
		put_key(json, "tables");
		put_open(json, '{');
		for (uint32_t i = 0; i < section->table_count; i++)
			put_table_ledger(json, rows, &section->tables[i]);
		put_close(json, '}');
	}
	put_close(json, '}');
}

/* --- sections */

static void put_hook(struct json *json, const struct amon_document *document, const struct amon_hook *hook)
{
	enum amon_hook_kind kind = amon_section_hook(document, hook);
	const struct amon_attached_hook *attached = amon_hook_attached(document, kind);

	put_item(json);
	put_open(json, '{');
	put_member(json, "direction", kind == AMON_HOOK_TC_EGRESS ? "egress" : "ingress");
	put_member(json, "type", kind == AMON_HOOK_XDP ? "xdp" : "tc");
	if (attached && kind == AMON_HOOK_XDP)
		put_member(json, "mode", attached->mode == AMON_XDP_GENERIC ? "generic" : "native");
	put_close(json, '}');
}

static void put_hooks(struct json *json, const struct amon_document *document,
                      const struct amon_export_section *section)
{
	put_key(json, "hooks");
	put_open(json, '[');
	for (uint32_t i = 0; i < section->hook_count; i++)
		put_hook(json, document, &section->hooks[i]);
	put_close(json, ']');
}

static void put_metrics(struct json *json, const struct amon_export_column *columns, uint32_t count,
                        const struct amon_cell *cells)
{
	if (!count)
		return;
	put_key(json, "metrics");
	put_cells(json, columns, 0, count, cells);
}

static void put_section(struct json *json, const struct amon_document *document, const struct amon_section_rows *rows)
{
	const struct amon_export_section *section = rows->section;

	put_key(json, section->name);
	put_open(json, '{');
	put_hooks(json, document, section);
	put_metrics(json, section->columns, section->column_count, rows->cells);
	if (section->table_count)
		put_tables(json, rows);
	put_ledger(json, rows);
	put_close(json, '}');
}

static void put_window(struct json *json, const struct amon_window *window)
{
	put_key(json, "window");
	put_open(json, '{');
	put_key(json, "sequence");
	put_natural(json, window->sequence);
	put_key(json, "start");
	put_time(json, window->start);
	put_key(json, "end");
	put_time(json, window->end);
	put_close(json, '}');
}

static int write_document(const struct amon_document *document, FILE *to, bool pretty)
{
	const struct amon_exports *exports = document->exports;
	struct json json = { .to = to, .pretty = pretty };

	errno = 0;
	put_open(&json, '{');
	put_member(&json, "probe", exports->probe);
	if (document->interface)
		put_member(&json, "interface", document->interface);
	put_window(&json, &document->window);
	for (uint32_t i = 0; i < exports->section_count; i++)
		put_section(&json, document, &document->sections[i]);
	put_metrics(&json, exports->columns, exports->column_count, document->cells);
	put_close(&json, '}');
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
