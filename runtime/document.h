/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AMON_DOCUMENT_H
#define AMON_DOCUMENT_H

#include <stdbool.h>
#include <stdio.h>

#include "compiler/exports.h"
#include "probe.h"

/*
 * From maps to what exporters see:
 *
 *   amon_reader_cut() raw records of every section and table, CPUs and clones merged (reader.c, storage.c)
 *   amon_document()   typed cells: units, derives, having, top, other, rest (rows.c)
 *   amon_write_*()    bytes (export/)
 */

/** Raw, merged: one record a section, keys and records of each table. */
struct amon_collected;

void amon_collected_free(struct amon_collected *collected);
static inline void amon_collected_cleanup(struct amon_collected **collected)
{
	amon_collected_free(*collected);
}

struct amon_window {
	uint64_t sequence;
	uint64_t start, end; /* nanoseconds since 1970 */
	/* add to an instant of the data plane's clock to have nanoseconds since 1970; 0 in a replay */
	int64_t clock_offset;
};

enum amon_cell_kind {
	AMON_CELL_NULL,
	AMON_CELL_BOOL,
	AMON_CELL_SIGNED,
	AMON_CELL_UNSIGNED,
	AMON_CELL_REAL,
	AMON_CELL_ADDRESS,
	AMON_CELL_TIME,
	AMON_CELL_HISTOGRAM
};

struct amon_bucket_cell {
	double le_real; /* where the unit converts */
	uint64_t le;
	bool last; /* no upper edge: null */
	uint64_t count;
};

struct amon_histogram_cell {
	uint64_t count;
	struct amon_cell *sum;
	bool converted; /* le_real holds the edges */
	bool is_signed; /* `le` is two's complement */
	uint32_t bucket_count;
	struct amon_bucket_cell *buckets; /* those that are not empty */
};

struct amon_cell {
	enum amon_cell_kind kind;
	union {
		bool boolean;
		int64_t integer;
		uint64_t natural;
		double real;
		struct amon_address address;
		uint64_t time; /* nanoseconds since 1970 */
		struct amon_histogram_cell *histogram;
	};
};

struct amon_table_rows {
	const struct amon_export_table *table;
	uint64_t row_count;
	struct amon_cell *cells;        /* row_count × table->column_count */
	struct amon_cell *other, *rest; /* column_count each, keys null; NULL: none */
	uint64_t left_out;              /* rows in `rest` */
};

struct amon_section_rows {
	const struct amon_export_section *section;
	struct amon_cell *cells; /* section->column_count */
	struct amon_table_rows *tables;
	const void *record; /* merged, for the ledger's counters */
};

struct amon_document {
	const struct amon_exports *exports;
	const char *interface; /* NULL in a replay */
	struct amon_window window;
	const struct amon_attached_hook *hooks; /* in use; NULL in a replay: the export table's own */
	uint32_t hook_count;
	bool ingress_tc; /* `ingress` alone is counted at TC */
	struct amon_section_rows *sections;
	struct amon_cell *cells;  /* exports->column_count: derives of the probe */
	struct amon_arena *arena; /* owns all of it */
};

/** Makes the document of one read; it keeps references to `collected`, which must outlive it. 0 or -ENOMEM. */
int amon_document(const struct amon_exports *exports, const struct amon_collected *collected,
                  const struct amon_window *window, struct amon_document **document);
void amon_document_free(struct amon_document *document);

/** Packets and bytes at an offset of a section's record. */
struct amon_packets {
	uint64_t packets, bytes;
};
struct amon_packets amon_section_packets(const struct amon_section_rows *section, uint32_t offset);

/**
 * One format: writes a document. Returns 0, or -errno of the stream (-EPIPE, -ENOSPC).
 * `options` may be NULL.
 */
struct amon_format_options {
	bool color;
	unsigned int width;
};
struct amon_format {
	const char *name, *help;
	int (*write)(const struct amon_document *document, FILE *to, const struct amon_format_options *options);
};
/** THE table of formats, ended by a NULL name: table, json, jsonl. */
extern const struct amon_format amon_formats[];
const struct amon_format *amon_format_find(const char *name);

#endif
