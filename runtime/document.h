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
/**
 * For programs that read again and again: memory that is freed stays with the process, for the next read to take. Else
 * the kernel would make each page of it anew, which takes longer than all the rest of a read.
 */
void amon_collected_keep_memory(void);
static inline void amon_collected_cleanup(struct amon_collected **collected)
{
	amon_collected_free(*collected);
}

struct amon_window {
	uint64_t sequence;
	uint64_t start, end; /* nanoseconds since 1970 */
	uint64_t origin;     /* the start of totals; that of the window where all values are either */
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
	AMON_CELL_HISTOGRAM,
	AMON_CELL_WORD
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
	struct amon_bucket_cell *buckets; /* all of them, ascending, empty ones too */
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
		const char *word; /* of our own making */
	};
};

/**
 * A table's rows: their cells are made one row at a time (amon_rows_next), so that a document takes no more memory for
 * a million rows than for ten. Only `top N` takes some for its N places.
 */
struct amon_table_rows {
	const struct amon_export_table *table;
	uint64_t row_count;                     /* exported one by one */
	uint64_t left_out;                      /* the others, which are in `rest` */
	const struct amon_cell *other, *rest;   /* column_count each, keys null; NULL: none */
	const void *other_record, *rest_record; /* what they show, raw; NULL: none */
	struct amon_selection *selection;       /* rows.c's own */
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
	struct amon_cell *cells; /* exports->column_count: derives of the probe */
	const struct amon_collected *collected;
	struct amon_evaluation *evaluation; /* rows.c's own */
	struct amon_arena *arena;           /* owns all of it but `collected` */
};

/** Makes the document of one read; it keeps references to `collected`, which must outlive it. 0 or -errno. */
int amon_document(const struct amon_exports *exports, const struct amon_collected *collected,
                  const struct amon_window *window, struct amon_document **document);
void amon_document_free(struct amon_document *document);

/**
 * Turns to the next row that is exported: in the order of `top`, else of the keys. `*place` is 0 before the first.
 * False behind the last. A table has one row that is turned to, whoever walks over it.
 */
bool amon_rows_next(const struct amon_table_rows *rows, uint64_t *place);
/**
 * The cells of the row turned to, of which only columns [first, first + count) are made. All of the table's columns are
 * at the result, and stay until the next call for this table.
 */
const struct amon_cell *amon_row_cells(const struct amon_table_rows *rows, uint32_t first, uint32_t count);
/** Key and record of the row turned to, as they were collected. */
const void *amon_row_key(const struct amon_table_rows *rows);
const void *amon_row_record(const struct amon_table_rows *rows);

/** Packets and bytes at an offset of a section's record. */
struct amon_packets {
	uint64_t packets, bytes;
};
struct amon_packets amon_section_packets(const struct amon_section_rows *section, uint32_t offset);
/** Events that found no room. */
uint64_t amon_events_lost(const struct amon_section_rows *section, const struct amon_export_table *events);

/* --- the way out */

/** What a series of reads adds up to: see totals.h. */
struct amon_totals;

/** A page of text on a terminal, redrawn in place, with rates of counters. */
struct amon_live;
/** NULL where memory ran out. */
struct amon_live *amon_live_new(void);
void amon_live_free(struct amon_live *live);
/** The terminal's, in characters and lines; 0: not known. To be told before each page, since it may change. */
void amon_live_size(struct amon_live *live, unsigned int width, unsigned int height);

struct amon_format_options {
	bool color;
	unsigned int width;         /* of a table, in characters; 0: as wide as it gets */
	uint32_t part;              /* which one, of a format that has several */
	bool follows;               /* another document was written there before */
	struct amon_live *live;     /* table: NULL for plain text */
	struct amon_totals *totals; /* openmetrics: what reads are added to; NULL where they hold totals */
};

/**
 * A format. `write` writes a document, or a part of it, and returns 0, or -errno of the stream (-EPIPE, -ENOSPC).
 * `options` may be NULL.
 */
struct amon_format {
	const char *name, *help;
	int (*write)(const struct amon_document *document, FILE *to, const struct amon_format_options *options);
	/** Ends the stream, once; NULL: there is nothing to end. */
	int (*end)(FILE *to);
	/**
	 * Where a document has parts that do not go into one stream: the name of one ("ingress.flows"), fit for a file;
	 * NULL behind the last. In the arena.
	 */
	char *(*part)(struct amon_arena *arena, const struct amon_exports *exports, uint32_t part);
	/** The part that says it all, for one stream; -1 where none does. */
	int64_t (*only)(const struct amon_exports *exports);
	bool latest; /* each document stands for all before it, and counters are totals of all reads */
};
/** THE table of formats, ended by a NULL name. */
extern const struct amon_format amon_formats[];
const struct amon_format *amon_format_find(const char *name);

#endif
