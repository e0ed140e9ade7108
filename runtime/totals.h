/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AMON_TOTALS_H
#define AMON_TOTALS_H

#include "document.h"

/**
 * What a series of reads adds up to, for readers whose counters only grow: of each section and its ledger, of each row
 * by its key, of `other` and of `rest`. What `reset` empties is added; what is a total already takes the place of the
 * one before. What a packet counted in one read it counts in the totals: in its row where that read exported it, else
 * in `rest`. So rows, other and rest still add up, and none of them ever shrinks. A row that is added and that no read
 * exported for five minutes goes.
 */
#define AMON_TOTALS_IDLE 300000000000ull

/** Of the documents of one export table, which must outlive them. NULL where memory ran out. */
struct amon_totals *amon_totals_new(const struct amon_exports *exports);
void amon_totals_free(struct amon_totals *totals);
/** Adds a read. 0 or -ENOMEM. */
int amon_totals_add(struct amon_totals *totals, const struct amon_document *read);
/**
 * The totals as a document of their own, all rows in the order of their keys; until the next read is added. Only
 * what adds (counters and histograms) has a meaning there.
 */
const struct amon_document *amon_totals_document(const struct amon_totals *totals);

#endif
