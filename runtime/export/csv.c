/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "export.h"

/*
 * RFC 4180, a file a part: a section's metrics, a table, the probe's derives, the ledger. Each row begins with its
 * window, so that documents which follow each other are one file. Names of ours have a dot, which those of specs have
 * not.
 */
struct csv {
	FILE *to;
	const struct amon_document *document;
	bool begun; /* something stands in the line at hand */
};

enum kind { BLOCK, TABLE, PROBE, LEDGER };

struct part {
	enum kind kind;
	uint32_t section, table;
};

/* --- parts */

/* Whether `part` is the one that is looked for, which are counted down. */
static bool is_it(struct part *found, struct part part, uint32_t *index)
{
	*found = part;
	return (*index)-- == 0;
}

static bool section_part(const struct amon_export_section *section, uint32_t at, uint32_t *index, struct part *found)
{
	if (section->column_count && is_it(found, (struct part){ BLOCK, at, 0 }, index))
		return true;
	for (uint32_t i = 0; i < section->table_count; i++)
		if (is_it(found, (struct part){ TABLE, at, i }, index))
			return true;
	return false;
}

static bool find_part(const struct amon_exports *exports, uint32_t index, struct part *found)
{
	for (uint32_t i = 0; i < exports->section_count; i++)
		if (section_part(&exports->sections[i], i, &index, found))
			return true;
	if (exports->column_count && is_it(found, (struct part){ PROBE, 0, 0 }, &index))
		return true;
	return is_it(found, (struct part){ LEDGER, 0, 0 }, &index);
}

/* No section is called `probe`. */
char *amon_csv_part(struct amon_arena *arena, const struct amon_exports *exports, uint32_t index)
{
	const struct amon_export_section *section;
	struct part part;
	const char *name;

	if (!find_part(exports, index, &part))
		return NULL;
	if (part.kind == PROBE || part.kind == LEDGER)
		return amon_arena_printf(arena, part.kind == PROBE ? "probe" : "probe.ledger");
	section = &exports->sections[part.section];
	name = amon_identifier(arena, section->name, "");
	if (part.kind == BLOCK)
		return amon_arena_printf(arena, "%s", name);
	return amon_arena_printf(arena, "%s.%s", name, amon_identifier(arena, section->tables[part.table].name, ""));
}

/* A table where there is one; else the only metrics. */
int64_t amon_csv_only(const struct amon_exports *exports)
{
	int64_t table = -1, block = -1;
	uint32_t tables = 0, blocks = 0;
	struct part part;

	for (uint32_t i = 0; find_part(exports, i, &part); i++) {
		if (part.kind == TABLE)
			table = tables++ ? table : i;
		else if (part.kind != LEDGER)
			block = blocks++ ? block : i;
	}
	if (tables)
		return tables == 1 ? table : -1;
	return blocks == 1 ? block : -1;
}

/* --- fields */

static void put_field(struct csv *csv, const char *text)
{
	bool quoted = strpbrk(text, ",\"\r\n");

	if (csv->begun)
		putc(',', csv->to);
	csv->begun = true;
	if (quoted)
		putc('"', csv->to);
	while (*text) {
		size_t length;
		const char *character = amon_character(&text, &length);

		if (*character == '"')
			putc('"', csv->to);
		fwrite(character, 1, length, csv->to);
	}
	if (quoted)
		putc('"', csv->to);
}

static void put_natural(struct csv *csv, uint64_t natural)
{
	char text[AMON_TEXT_MAX];

	snprintf(text, sizeof(text), "%" PRIu64, natural);
	put_field(csv, text);
}

static void end_line(struct csv *csv)
{
	fputs("\r\n", csv->to);
	csv->begun = false;
}

/* --- windows */

static void put_window_names(struct csv *csv)
{
	put_field(csv, "window.sequence");
	put_field(csv, "window.start");
	put_field(csv, "window.end");
}

static void put_window(struct csv *csv)
{
	const struct amon_window *window = &csv->document->window;
	char text[AMON_TEXT_MAX];

	put_natural(csv, window->sequence);
	amon_time_text(window->start, 9, text);
	put_field(csv, text);
	amon_time_text(window->end, 9, text);
	put_field(csv, text);
}

/* --- columns: a histogram's are its count, its sum, and each of its buckets alone */

static void put_member_name(struct csv *csv, const char *name, const char *member)
{
	struct amon_arena *arena = amon_arena_new();

	put_field(csv, amon_arena_printf(arena, "%s.%s", name, member));
	amon_arena_free(arena);
}

static void put_histogram_names(struct csv *csv, const char *name, const struct amon_histogram_cell *histogram)
{
	char edge[AMON_TEXT_MAX], member[AMON_TEXT_MAX + 4];

	put_member_name(csv, name, "count");
	put_member_name(csv, name, "sum");
	for (uint32_t i = 0; i < histogram->bucket_count; i++) {
		amon_edge_text(histogram, &histogram->buckets[i], edge);
		snprintf(member, sizeof(member), "le.%s", histogram->buckets[i].last ? "inf" : edge);
		put_member_name(csv, name, member);
	}
}

static void put_names(struct csv *csv, const struct amon_export_column *columns, uint32_t count,
                      const struct amon_cell *cells)
{
	for (uint32_t i = 0; i < count; i++)
		if (cells[i].kind == AMON_CELL_HISTOGRAM)
			put_histogram_names(csv, columns[i].name, cells[i].histogram);
		else
			put_field(csv, columns[i].name);
	end_line(csv);
}

static void put_cell(struct csv *csv, const struct amon_cell *cell)
{
	char text[AMON_TEXT_MAX];

	amon_cell_text(cell, text);
	put_field(csv, text);
}

static void put_histogram(struct csv *csv, const struct amon_histogram_cell *histogram)
{
	put_natural(csv, histogram->count);
	put_cell(csv, histogram->sum);
	for (uint32_t i = 0; i < histogram->bucket_count; i++)
		put_natural(csv, histogram->buckets[i].count);
}

static void put_cells(struct csv *csv, uint32_t count, const struct amon_cell *cells)
{
	for (uint32_t i = 0; i < count; i++)
		if (cells[i].kind == AMON_CELL_HISTOGRAM)
			put_histogram(csv, cells[i].histogram);
		else
			put_cell(csv, &cells[i]);
	end_line(csv);
}

/* --- each kind of part: its head, its rows */

static void put_metrics(struct csv *csv, const struct amon_export_column *columns, uint32_t count,
                        const struct amon_cell *cells, bool head)
{
	if (head) {
		put_window_names(csv);
		put_names(csv, columns, count, cells);
	}
	put_window(csv);
	put_cells(csv, count, cells);
}

static void put_block(struct csv *csv, const struct part *part, bool head)
{
	const struct amon_section_rows *rows = &csv->document->sections[part->section];

	put_metrics(csv, rows->section->columns, rows->section->column_count, rows->cells, head);
}

static void put_probe(struct csv *csv, const struct part *part, bool head)
{
	const struct amon_exports *exports = csv->document->exports;

	(void)part;
	put_metrics(csv, exports->columns, exports->column_count, csv->document->cells, head);
}

static void put_row(struct csv *csv, const char *kind, uint32_t count, const struct amon_cell *cells)
{
	if (!cells)
		return;
	put_window(csv);
	put_field(csv, kind);
	put_cells(csv, count, cells);
}

static void put_table(struct csv *csv, const struct part *part, bool head)
{
	const struct amon_table_rows *rows = &csv->document->sections[part->section].tables[part->table];
	uint32_t count = rows->table->column_count;
	uint64_t place = 0;

	if (head) {
		put_window_names(csv);
		put_field(csv, "row.kind");
		put_names(csv, rows->table->columns, count, amon_row_cells(rows, 0, 0));
	}
	while (amon_rows_next(rows, &place))
		put_row(csv, "row", count, amon_row_cells(rows, 0, count));
	put_row(csv, "rest", count, rows->rest);
	put_row(csv, "other", count, rows->other);
}

static void put_packets(struct csv *csv, const struct amon_section_rows *rows, const char *table, const char *counter,
                        const char *cause, uint32_t offset)
{
	struct amon_packets packets = amon_section_packets(rows, offset);

	put_window(csv);
	put_field(csv, rows->section->name);
	put_field(csv, table);
	put_field(csv, counter);
	put_field(csv, cause);
	put_natural(csv, packets.packets);
	put_natural(csv, packets.bytes);
	end_line(csv);
}

static void put_table_ledger(struct csv *csv, const struct amon_section_rows *rows,
                             const struct amon_export_table *table)
{
	put_packets(csv, rows, table->name, "selected", "", table->selected);
	put_packets(csv, rows, table->name, "in_rows", "", table->in_rows);
	if (table->other_map)
		put_packets(csv, rows, table->name, "other", "", table->other);
	for (uint32_t i = 0; i < table->unaccounted_count; i++)
		put_packets(csv, rows, table->name, "unaccounted", table->unaccounted[i].name,
		            table->unaccounted[i].offset);
}

static void put_ledger(struct csv *csv, const struct part *part, bool head)
{
	static const char *const names[] = { "section", "table", "counter", "cause", "packets", "bytes" };

	(void)part;
	if (head) {
		put_window_names(csv);
		for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
			put_field(csv, names[i]);
		end_line(csv);
	}
	for (uint32_t s = 0; s < csv->document->exports->section_count; s++) {
		const struct amon_section_rows *rows = &csv->document->sections[s];
		const struct amon_export_section *section = rows->section;

		put_packets(csv, rows, "", "seen", "", section->seen);
		put_packets(csv, rows, "", "selected", "", section->selected);
		for (uint32_t i = 0; i < section->malformed_count; i++)
			put_packets(csv, rows, "", "malformed", section->malformed[i].name,
			            section->malformed[i].offset);
		for (uint32_t i = 0; i < amon_ledger_count(section); i++)
			put_table_ledger(csv, rows, amon_ledger_table(section, i));
	}
}

int amon_write_csv(const struct amon_document *document, FILE *to, const struct amon_format_options *options)
{
	static void (*const put[])(struct csv *csv, const struct part *part, bool head) = {
		[BLOCK] = put_block,
		[TABLE] = put_table,
		[PROBE] = put_probe,
		[LEDGER] = put_ledger,
	};
	struct csv csv = { .to = to, .document = document };
	struct part part;

	errno = 0;
	if (find_part(document->exports, options ? options->part : 0, &part))
		put[part.kind](&csv, &part, !(options && options->follows));
	return amon_export_end(to);
}
