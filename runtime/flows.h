/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AMON_FLOWS_H
#define AMON_FLOWS_H

#include "document.h"

/*
 * Rows that end: `expire` of a table. The kernel keeps windows, user space keeps flows. A row that is read there is a
 * part of a flow: a key's packets on one CPU between two cuts, and never of two lives, since the packet that finds the
 * last life over begins a row of its own. Here the parts are put together, until the flow ends:
 *
 *   `idle`    behind its last packet, `active` behind its first, whichever comes first;
 *   with a packet that satisfies `when`, at that packet's time plus `linger` instead;
 *   `evicted` or refused where as many flows are open as the table has rows;
 *   `forced`  where there is no more to come.
 *
 * It is exported once, with the values of its whole life. Times are those of the clock that ages rows: the kernel's
 * tick, in a replay the capture's. A flow whose packets come on one CPU ends to the packet, and so does one of which
 * packets remember something: lives are shared then. Of any other that several CPUs see, `active` and `when` may leave
 * it what others of them counted until the next cut.
 */

/** Why a row ended: IPFIX flowEndReason. */
enum amon_end {
	AMON_END_NONE, /* it is open */
	AMON_END_IDLE,
	AMON_END_ACTIVE,
	AMON_END_WHEN,
	AMON_END_FORCED,
	AMON_END_EVICTED,
	AMON_END_COUNT,
};

/** In the output; NULL for none. */
extern const char *const amon_end_words[AMON_END_COUNT];

/** The flows that are open, of all tables of a probe whose rows end. */
struct amon_flows;

/** Some table's rows end. */
bool amon_exports_expire(const struct amon_exports *exports);

/** No flows; NULL where memory ran out. Borrows the export table. */
struct amon_flows *amon_flows_new(const struct amon_exports *exports);
void amon_flows_free(struct amon_flows *flows);

/** Takes the parts, and what found no row, out of what was collected. 0 or -ENOMEM: then the flows are good for
 * nothing. */
int amon_flows_add(struct amon_flows *flows, struct amon_collected *collected);
/**
 * Puts the flows that have ended until an instant into tables that have no rows, in the order of their keys and, of one
 * key, of time. `all`: those that are open end, too, and nothing may be added any more. 0 or -ENOMEM.
 */
int amon_flows_end(struct amon_flows *flows, uint64_t until, bool all, struct amon_collected *collected);
/** Adds the flows that are open to what was collected, as they are. 0 or -ENOMEM. */
int amon_flows_open(const struct amon_flows *flows, struct amon_collected *collected);
/** Begins with such flows. 0 or -ENOMEM. */
int amon_flows_load(struct amon_flows *flows, const struct amon_collected *open);
/** When the next flow ends if nothing comes before; UINT64_MAX: there is none. */
uint64_t amon_flows_next(struct amon_flows *flows);

/** What of a record says of which flow it is a part merges, too; the columns merge by amon_merge_columns(). */
void amon_flow_merge(const struct amon_export_table *table, void *into, const void *from);

#endif
