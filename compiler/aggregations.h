/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AMON_AGGREGATIONS_H
#define AMON_AGGREGATIONS_H

#include <stddef.h>
#include <stdint.h>

#include "types.h"

/*
 * THE table of aggregations: what a record holds for one, how two records merge, what it is exported as. How a packet
 * updates one is C text in bpf-templates/ and compiler/emit.c.
 *
 * A record is a C struct of the data plane; all zeros is the state that saw no packet. For one metric it holds, in
 * this order, the parts that the row below asks for:
 *   value   8 bytes of what adds; of all else as many as its values need: 1, 2, 4 or 8, those of an address, and a
 *           version byte where that may be of either kind. See `kept`
 *   count   8 bytes, packets counted (weights of super-packets included)
 *   squares 16 bytes, the 128-bit sum of squares, low word first
 *   time    8 bytes, of `first` and `last`, nanoseconds. See `kept`
 *   buckets 8 bytes each
 *   has     1 bit, set once a packet was seen
 * Parts of one width lie side by side, the widest first, and bits last, so that no bytes are lost between them.
 */
enum amon_part {
	AMON_PART_VALUE = 1 << 0,
	AMON_PART_COUNT = 1 << 1,
	AMON_PART_SQUARES = 1 << 2,
	AMON_PART_TIME = 1 << 3,
	AMON_PART_BUCKETS = 1 << 4,
	AMON_PART_HAS = 1 << 5,
};

/**
 * How a record keeps what decides between two values: the time of `first` and `last` that lies apart from the value,
 * else the value. The complement of what is least, earliest, or in every value begins with zeros: the data plane need
 * not ask whether there was a packet before.
 */
enum amon_kept { AMON_KEPT_PLAIN, AMON_KEPT_COMPLEMENT };

/** Where the parts of one metric lie in its record, in bytes; UINT32_MAX for a part that is not there. */
struct amon_layout {
	uint32_t value, count, squares, time, buckets, has;
	uint32_t value_size; /* 1, 2, 4, 8: fewer than 8 have no sign; or an address's 4, 6, 16 */
	uint32_t version;    /* of a NET value: the offset of its version byte */
	uint32_t bucket_count;
	uint32_t has_bit; /* 0 to 7, in the byte at `has` */
	enum amon_kept kept;
};

/** Of what has no part. */
extern const struct amon_layout amon_layout_nowhere;

enum amon_buckets_kind {
	AMON_BUCKETS_NONE,
	AMON_BUCKETS_LOG2,
	AMON_BUCKETS_LINEAR,
	AMON_BUCKETS_EDGES,
	AMON_BUCKETS_LOGLINEAR
};

/** A histogram's form. Edges are upper bounds, included; behind the last comes the rest. */
struct amon_buckets {
	enum amon_buckets_kind kind;
	int64_t low, high, step; /* LINEAR: low, low + step … high */
	uint32_t bits;           /* LOGLINEAR */
	const int64_t *edges;    /* EDGES, ascending */
	uint32_t edge_count;     /* EDGES; LINEAR too: edges up to high, included */
};

/** How many buckets a form has, the rest included. */
uint32_t amon_bucket_count(const struct amon_buckets *buckets);
/**
 * The upper edge of a bucket. Returns false for the last one of LINEAR and EDGES (it has none); LOG2 and LOGLINEAR
 * cover all numbers, and their last edge is 2^63.
 */
bool amon_bucket_edge(const struct amon_buckets *buckets, uint32_t index, uint64_t *edge);
/** The bucket of a value: the definition that the generated C is tested against. */
uint32_t amon_bucket_of(const struct amon_buckets *buckets, int64_t value);

enum amon_merge {
	AMON_MERGE_ADD,
	AMON_MERGE_MIN,
	AMON_MERGE_MAX,
	AMON_MERGE_OR,
	AMON_MERGE_AND,
	AMON_MERGE_EARLIER,
	AMON_MERGE_LATER,
	AMON_MERGE_LEAST, /* without a sign */
	AMON_MERGE_MOST,
	AMON_MERGE_STAY, /* what is there stays */
};

/** OpenMetrics' kinds. */
enum amon_metric_kind { AMON_COUNTER, AMON_GAUGE, AMON_HISTOGRAM, AMON_INFO };

enum amon_finish {
	AMON_FINISH_VALUE,    /* the value, null where nothing was seen (HAS) */
	AMON_FINISH_TOTAL,    /* the value or count, 0 where nothing was seen */
	AMON_FINISH_MEAN,     /* value / count; null where count is 0 */
	AMON_FINISH_VARIANCE, /* of the population: (squares - value² / count) / count */
	AMON_FINISH_STDDEV,
	AMON_FINISH_HISTOGRAM,
};

struct amon_aggregation {
	const char *name;
	unsigned int parts;
	enum amon_merge merge; /* of value, by time for EARLIER and LATER; all other parts add, HAS is or-ed */
	enum amon_finish finish;
	enum amon_metric_kind kind;
	bool takes_argument;
	bool takes_address; /* first, last */
	bool subtracts;     /* later minus earlier totals is what came between */
	bool alone;         /* of several rows nothing can be made: null in `rest` */
	const char *help;
};

/** Ended by a row whose name is NULL. */
extern const struct amon_aggregation amon_aggregations[];
const struct amon_aggregation *amon_aggregation_find(const char *name);

/** What no spec can call: a fold, whose `time` numbers its row's packets, and the previous packet of prev(). */
extern const struct amon_aggregation amon_aggregation_fold, amon_aggregation_previous;
/** Of users' maps: a value as it is; the least and the greatest of numbers without a sign. */
extern const struct amon_aggregation amon_aggregation_value, amon_aggregation_least, amon_aggregation_most;
/** The same for the name in an export table, where a fold is one, and what users' maps have. */
const struct amon_aggregation *amon_aggregation_exported(const char *name);

/** Bytes of an address in a record or key: 4, 16, 16 (NET), 6; 8 for all else. */
uint32_t amon_value_size(enum amon_base base);

/** A number of 1, 2, 4 or 8 bytes in this machine's byte order, without a sign. */
uint64_t amon_number_at(const void *at, uint32_t size);

/** Whether the metric at `layout` of a record saw a packet; `has` must have a place. */
bool amon_state_has(const struct amon_layout *layout, const void *record);
void amon_state_set_has(const struct amon_layout *layout, void *record, bool has);
/** Its value, a number, whichever way it is kept. */
uint64_t amon_state_value(const struct amon_layout *layout, const void *record);

/** Merges the metric at `layout` of record `from` (of a higher CPU or later window) into `into`. */
void amon_merge_state(const struct amon_aggregation *aggregation, const struct amon_layout *layout, void *into,
                      const void *from);
/** into -= earlier, for aggregations that subtract. */
void amon_subtract_state(const struct amon_aggregation *aggregation, const struct amon_layout *layout, void *into,
                         const void *earlier);

#endif
