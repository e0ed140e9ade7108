/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AMON_CELLS_H
#define AMON_CELLS_H

#include "document.h"
#include "evaluate.h"

/** Room for the cells of a block, histograms included. */
struct amon_cell *amon_cells_new(struct amon_arena *arena, const struct amon_export_column *columns, uint32_t count);
/** Makes columns [first, first + count) of a row what they are exported as: their unit, their time of day. */
void amon_cells_fill(const struct amon_document *document, const struct amon_evaluation *evaluation,
                     struct amon_row *row, uint32_t first, uint32_t count, struct amon_cell *cells);
/** Makes `rest` of a record that the caller keeps as long as the document. */
void amon_rows_set_rest(struct amon_table_rows *rows, const void *record);

#endif
