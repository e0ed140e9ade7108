/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <inttypes.h>

#include "exposition.h"
#include "runtime/totals.h"

/*
 * One exposition a document. Samples of a family stand together, so that a table is walked over once for each of its
 * columns. Counters and histograms come from the totals of all reads, where reads are no totals; all else is the last
 * one's.
 */

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
	struct family family = om_family(e, name, type_of(column), unit, column->help);

	om_put_family(e, &family);
	return family;
}

static void put_metrics(struct exposition *e, const char *block, const struct amon_export_column *columns,
                        uint32_t count, const struct amon_cell *cells, const struct amon_cell *totals)
{
	static const struct series alone;

	for (uint32_t i = 0; i < count; i++) {
		struct family family = column_family(e, block, &columns[i]);

		om_put_point(e, &family, &alone, adds(family.type) ? &totals[i] : &cells[i]);
	}
}

/* Rows move into and out of `rest`. Where reads are added up that is no matter; in totals it shrinks: no counter. */
static bool has_rest(const struct exposition *e, const struct family *family, const struct amon_export_table *table)
{
	return !adds(family->type) || (e->totals != e->document && table->reset);
}

static void put_rows(struct exposition *e, const struct family *family, const struct amon_table_rows *rows,
                     uint32_t column, char *const *labels)
{
	struct series series = { .labels = labels, .key_count = rows->table->key_count };
	uint64_t place = 0;

	while (amon_rows_next(rows, &place)) {
		series.keys = amon_row_cells(rows, 0, series.key_count);
		om_put_point(e, family, &series, &amon_row_cells(rows, column, 1)[column]);
	}
	if (rows->rest && has_rest(e, family, rows->table))
		om_put_point(e, family, &(struct series){ .row = "rest" }, &rows->rest[column]);
	if (rows->other)
		om_put_point(e, family, &(struct series){ .row = "other" }, &rows->other[column]);
}

static void put_table(struct exposition *e, uint32_t section, uint32_t index)
{
	const struct amon_table_rows *rows = &e->document->sections[section].tables[index];
	const struct amon_table_rows *totals = &e->totals->sections[section].tables[index];
	const struct amon_export_table *table = rows->table;
	const char *block =
	        amon_arena_printf(e->arena, "%s_%s_", e->document->exports->sections[section].name, table->name);
	char **labels = om_key_labels(e, table);

	for (uint32_t i = table->key_count; i < table->column_count; i++) {
		/* several rows of a key may have ended: they add up to one, and there is no last of them */
		if (table->expire && !adds(type_of(&table->columns[i])))
			continue;
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
		om_put_label(to, &before, "interface", ledger->e->document->interface);
	om_put_label(to, &before, "probe", ledger->e->document->exports->probe);
	om_put_label(to, &before, "section", rows->section->name);
	if (table)
		om_put_label(to, &before, "table", table);
	om_put_label(to, &before, "counter", counter);
	if (cause)
		om_put_label(to, &before, "cause", cause);
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

	om_put_family(ledger->e, &ledger->family);
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

	packets.family = om_family(e, "amon_ledger", COUNTER, "packets", "Packets that the ledger accounts for");
	bytes.family = om_family(e, "amon_ledger", COUNTER, "bytes", "Their bytes on the wire");
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
