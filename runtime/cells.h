/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AMON_CELLS_H
#define AMON_CELLS_H

#include "document.h"
#include "evaluate.h"

/** What a column of a row is exported as: its unit, its time of day. */
struct amon_cell amon_cell_of(struct amon_document *document, const struct amon_evaluation *evaluation,
                              struct amon_row *row, uint32_t column);

#endif
