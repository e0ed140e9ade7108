/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AMON_LIVE_H
#define AMON_LIVE_H

#include "runtime/document.h"

/* A table that is redrawn in place, with rates: see struct amon_live in document.h. */

/**
 * How fast a counter grows, a second: `record` less `earlier` (NULL: nothing), over the time since the read before, or
 * since the window's start where there was none. False where no time passed.
 */
bool amon_live_rate(const struct amon_live *live, const struct amon_export_column *column, const void *record,
                    const void *earlier, double *rate);
/** The read before: of a section, a table; NULL where there was none. It is nothing to what a read resets. */
const void *amon_live_section(const struct amon_live *live, uint32_t section);
const struct amon_collected_table *amon_live_table(const struct amon_live *live, uint32_t section, uint32_t table);
/** The record of a key there; NULL for none. */
const void *amon_live_earlier(const struct amon_export_table *table, const struct amon_collected_table *earlier,
                              const void *key);
/** Lines of the terminal; 0: not known. */
unsigned int amon_live_height(const struct amon_live *live);

/** Begins a page for a document, whose rates they are from now on. */
void amon_live_begin(struct amon_live *live, const struct amon_document *document);
/** Draws the page `text` over the one before, cut to the terminal, and keeps the document for the next. 0 or -ENOMEM.
 */
int amon_live_draw(struct amon_live *live, const char *text, const struct amon_document *document, FILE *to);

#endif
