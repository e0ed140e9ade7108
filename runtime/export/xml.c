/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <inttypes.h>

#include "export.h"
#include "xml_stream.h"

/*
 * One XML document for all that follow each other: `amon:reads` around them, which the first begins and
 * amon_end_xml() ends. What has no value is not there.
 */
#define ROOT "amon:reads"

struct xml {
	xmlTextWriterPtr writer;
	struct amon_arena *arena; /* names */
	const struct amon_document *document;
};

/* --- elements */

static void put_open(struct xml *xml, const char *name)
{
	xmlTextWriterStartElement(xml->writer, BAD_CAST name);
}

static void put_close(struct xml *xml)
{
	xmlTextWriterEndElement(xml->writer);
}

/* The text is of our own making: numbers, times, words. */
static void put_attribute(struct xml *xml, const char *name, const char *text)
{
	xmlTextWriterWriteAttribute(xml->writer, BAD_CAST name, BAD_CAST text);
}

/* The text comes from anywhere. */
static void put_name(struct xml *xml, const char *name, const char *text)
{
	put_attribute(xml, name, amon_xml_clean(xml->arena, text));
}

static void put_natural(struct xml *xml, const char *name, uint64_t natural)
{
	char text[AMON_TEXT_MAX];

	snprintf(text, sizeof(text), "%" PRIu64, natural);
	put_attribute(xml, name, text);
}

static void put_time(struct xml *xml, const char *name, uint64_t nanoseconds)
{
	char text[AMON_TEXT_MAX];

	amon_time_text(nanoseconds, 9, text);
	put_attribute(xml, name, text);
}

/* --- cells */

static void put_bucket(struct xml *xml, const struct amon_histogram_cell *histogram,
                       const struct amon_bucket_cell *bucket)
{
	char edge[AMON_TEXT_MAX];

	amon_edge_text(histogram, bucket, edge);
	put_open(xml, "amon:bucket");
	if (!bucket->last)
		put_attribute(xml, "le", edge);
	put_natural(xml, "count", bucket->count);
	put_close(xml);
}

static void put_histogram(struct xml *xml, const struct amon_histogram_cell *histogram)
{
	char sum[AMON_TEXT_MAX];

	amon_cell_text(histogram->sum, sum);
	put_natural(xml, "count", histogram->count);
	put_attribute(xml, "sum", sum);
	for (uint32_t i = 0; i < histogram->bucket_count; i++)
		if (histogram->buckets[i].count)
			put_bucket(xml, histogram, &histogram->buckets[i]);
}

static void put_cell(struct xml *xml, const char *name, const struct amon_cell *cell)
{
	char text[AMON_TEXT_MAX];

	if (cell->kind == AMON_CELL_NULL)
		return;
	put_open(xml, name);
	amon_cell_text(cell, text);
	if (cell->kind == AMON_CELL_HISTOGRAM)
		put_histogram(xml, cell->histogram);
	else
		xmlTextWriterWriteString(xml->writer, BAD_CAST text);
	put_close(xml);
}

static void put_cells(struct xml *xml, const char *element, char *const *names, uint32_t count,
                      const struct amon_cell *cells)
{
	put_open(xml, element);
	for (uint32_t i = 0; i < count; i++)
		put_cell(xml, names[i], &cells[i]);
	put_close(xml);
}

/* --- blocks */

static void put_metrics(struct xml *xml, const struct amon_export_column *columns, uint32_t count,
                        const struct amon_cell *cells)
{
	if (count)
		put_cells(xml, "amon:metrics", amon_xml_columns(xml->arena, columns, count), count, cells);
}

static void put_table(struct xml *xml, const char *name, const struct amon_table_rows *rows)
{
	uint32_t count = rows->table->column_count;
	char **names = amon_xml_columns(xml->arena, rows->table->columns, count);
	uint64_t place = 0;

	put_open(xml, name);
	while (amon_rows_next(rows, &place))
		put_cells(xml, "amon:row", names, count, amon_row_cells(rows, 0, count));
	if (rows->other)
		put_cells(xml, "amon:other", names, count, rows->other);
	if (rows->rest)
		put_cells(xml, "amon:rest", names, count, rows->rest);
	put_close(xml);
}

static void put_tables(struct xml *xml, const struct amon_section_rows *rows)
{
	char **names = amon_xml_tables(xml->arena, rows->section);

	if (!rows->section->table_count)
		return;
	put_open(xml, "amon:tables");
	for (uint32_t i = 0; i < rows->section->table_count; i++)
		put_table(xml, names[i], &rows->tables[i]);
	put_close(xml);
}

/* --- the ledger */

static void put_packets(struct xml *xml, const char *element, const char *cause, const struct amon_section_rows *rows,
                        uint32_t offset)
{
	struct amon_packets packets = amon_section_packets(rows, offset);

	if (cause && !packets.packets)
		return;
	put_open(xml, element);
	if (cause)
		put_name(xml, "cause", cause);
	put_natural(xml, "packets", packets.packets);
	put_natural(xml, "bytes", packets.bytes);
	put_close(xml);
}

static void put_table_ledger(struct xml *xml, const struct amon_section_rows *rows,
                             const struct amon_export_table *table)
{
	put_open(xml, "amon:table");
	put_name(xml, "name", table->name);
	put_packets(xml, "amon:selected", NULL, rows, table->selected);
	put_packets(xml, "amon:in_rows", NULL, rows, table->in_rows);
	if (table->other_map)
		put_packets(xml, "amon:other", NULL, rows, table->other);
	for (uint32_t i = 0; i < table->unaccounted_count; i++)
		put_packets(xml, "amon:unaccounted", table->unaccounted[i].name, rows, table->unaccounted[i].offset);
	put_close(xml);
}

static void put_ledger(struct xml *xml, const struct amon_section_rows *rows)
{
	const struct amon_export_section *section = rows->section;

	put_open(xml, "amon:ledger");
	put_packets(xml, "amon:seen", NULL, rows, section->seen);
	put_packets(xml, "amon:selected", NULL, rows, section->selected);
	for (uint32_t i = 0; i < section->malformed_count; i++)
		put_packets(xml, "amon:malformed", section->malformed[i].name, rows, section->malformed[i].offset);
	for (uint32_t i = 0; i < amon_ledger_count(section); i++)
		put_table_ledger(xml, rows, amon_ledger_table(section, i));
	put_close(xml);
}

/* --- the document */

static void put_hook(struct xml *xml, const struct amon_hook *hook)
{
	enum amon_hook_kind kind = amon_section_hook(xml->document, hook);
	const struct amon_attached_hook *attached = amon_hook_attached(xml->document, kind);

	put_open(xml, "amon:hook");
	put_attribute(xml, "direction", kind == AMON_HOOK_TC_EGRESS ? "egress" : "ingress");
	put_attribute(xml, "type", kind == AMON_HOOK_XDP ? "xdp" : "tc");
	if (attached && kind == AMON_HOOK_XDP)
		put_attribute(xml, "mode", attached->mode == AMON_XDP_GENERIC ? "generic" : "native");
	put_close(xml);
}

static void put_section(struct xml *xml, const char *name, const struct amon_section_rows *rows)
{
	const struct amon_export_section *section = rows->section;

	put_open(xml, name);
	for (uint32_t i = 0; i < section->hook_count; i++)
		put_hook(xml, &section->hooks[i]);
	put_metrics(xml, section->columns, section->column_count, rows->cells);
	put_tables(xml, rows);
	put_ledger(xml, rows);
	put_close(xml);
}

static void put_window(struct xml *xml)
{
	const struct amon_window *window = &xml->document->window;

	put_open(xml, "amon:window");
	put_natural(xml, "sequence", window->sequence);
	put_time(xml, "start", window->start);
	put_time(xml, "end", window->end);
	put_close(xml);
}

static void put_document(struct xml *xml)
{
	const struct amon_document *document = xml->document;
	const struct amon_exports *exports = document->exports;
	char **names = amon_xml_sections(xml->arena, exports);

	put_open(xml, "amon:read");
	put_name(xml, "probe", exports->probe);
	if (document->interface)
		put_name(xml, "interface", document->interface);
	put_window(xml);
	for (uint32_t i = 0; i < exports->section_count; i++)
		put_section(xml, names[i], &document->sections[i]);
	put_metrics(xml, exports->columns, exports->column_count, document->cells);
	put_close(xml);
}

int amon_write_xml(const struct amon_document *document, FILE *to, const struct amon_format_options *options)
{
	struct xml xml = { .writer = amon_xml_writer(to), .document = document };

	if (!xml.writer)
		return -ENOMEM;
	xml.arena = amon_arena_new();
	errno = 0;
	if (!options || !options->follows)
		fputs("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<" ROOT " xmlns:amon=\"" AMON_XML_NAMESPACE "\">\n",
		      to);
	put_document(&xml);
	xmlFreeTextWriter(xml.writer);
	amon_arena_free(xml.arena);
	return amon_export_end(to);
}

int amon_end_xml(FILE *to)
{
	errno = 0;
	fputs("</" ROOT ">\n", to);
	return amon_export_end(to);
}
