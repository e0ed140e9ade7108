/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AMON_PAGE_H
#define AMON_PAGE_H

#include "export.h"
#include "live.h"

/*
 * Text for people: what does not fit the width is named and left out, numbers have six digits where they are no
 * integers. page.c: text and cells; grid.c: a table's rows; table.c: the whole; live.c: the whole, redrawn in place.
 */
struct page {
	const struct amon_document *document;
	FILE *to;
	unsigned int width; /* characters; 0: as wide as it gets */
	uint64_t rows;      /* of a table that are shown */
	bool color;
	const struct amon_live *live; /* NULL: without rates */
};

#define BOLD "1"
#define DIM  "2"

/** Room for any cell: the bars of a histogram are eight steps of three bytes. */
#define CELL_MAX 256

/** Characters, not bytes. */
unsigned int page_width_of(const char *text);
void page_put_spaces(const struct page *page, unsigned int count);
void page_put_padded(const struct page *page, const char *text, unsigned int width, bool right);
/** A name, in a style (BOLD, DIM, or NULL) where there is color. No control character of it gets through. */
void page_put_styled(const struct page *page, const char *style, const char *text);
/** A name without control characters, cut to its room. */
void page_name(const char *name, char text[CELL_MAX]);
void page_cell_text(const struct amon_cell *cell, char text[CELL_MAX]);
/** "12.5", or "-" where nothing is known. */
void page_rate_text(const struct page *page, const struct amon_export_column *column, const void *record,
                    const void *earlier, char text[CELL_MAX]);
bool page_has_rate(const struct page *page, const struct amon_export_column *column);
uint64_t page_most_of(const struct amon_histogram_cell *histogram);

/** A table with its name. */
void page_put_table(const struct page *page, uint32_t section, uint32_t table);

#endif
