/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregations.h"

#include <string.h>

const struct amon_aggregation amon_aggregations[] = {
	{ .name = "count",
	  .parts = AMON_PART_COUNT,
	  .merge = AMON_MERGE_ADD,
	  .finish = AMON_FINISH_TOTAL,
	  .kind = AMON_COUNTER,
	  .subtracts = true,
	  .help = "Packets" },
	{ .name = "sum",
	  .parts = AMON_PART_VALUE,
	  .merge = AMON_MERGE_ADD,
	  .finish = AMON_FINISH_TOTAL,
	  .kind = AMON_COUNTER,
	  .takes_argument = true,
	  .subtracts = true,
	  .help = "Sum of x" },
	{ .name = "min",
	  .parts = AMON_PART_VALUE | AMON_PART_HAS,
	  .merge = AMON_MERGE_MIN,
	  .finish = AMON_FINISH_VALUE,
	  .kind = AMON_GAUGE,
	  .takes_argument = true,
	  .help = "Smallest x" },
	{ .name = "max",
	  .parts = AMON_PART_VALUE | AMON_PART_HAS,
	  .merge = AMON_MERGE_MAX,
	  .finish = AMON_FINISH_VALUE,
	  .kind = AMON_GAUGE,
	  .takes_argument = true,
	  .help = "Largest x" },
	{ .name = "bit_or",
	  .parts = AMON_PART_VALUE | AMON_PART_HAS,
	  .merge = AMON_MERGE_OR,
	  .finish = AMON_FINISH_VALUE,
	  .kind = AMON_GAUGE,
	  .takes_argument = true,
	  .help = "Bits that any x has" },
	{ .name = "bit_and",
	  .parts = AMON_PART_VALUE | AMON_PART_HAS,
	  .merge = AMON_MERGE_AND,
	  .finish = AMON_FINISH_VALUE,
	  .kind = AMON_GAUGE,
	  .takes_argument = true,
	  .help = "Bits that every x has" },
	{ .name = "first",
	  .parts = AMON_PART_VALUE | AMON_PART_TIME | AMON_PART_HAS,
	  .merge = AMON_MERGE_EARLIER,
	  .finish = AMON_FINISH_VALUE,
	  .kind = AMON_INFO,
	  .takes_argument = true,
	  .takes_address = true,
	  .help = "x of the first packet that has it" },
	{ .name = "last",
	  .parts = AMON_PART_VALUE | AMON_PART_TIME | AMON_PART_HAS,
	  .merge = AMON_MERGE_LATER,
	  .finish = AMON_FINISH_VALUE,
	  .kind = AMON_INFO,
	  .takes_argument = true,
	  .takes_address = true,
	  .help = "x of the last packet that has it" },
	{ .name = "mean",
	  .parts = AMON_PART_VALUE | AMON_PART_COUNT,
	  .merge = AMON_MERGE_ADD,
	  .finish = AMON_FINISH_MEAN,
	  .kind = AMON_GAUGE,
	  .takes_argument = true,
	  .subtracts = true,
	  .help = "Mean of x" },
	{ .name = "variance",
	  .parts = AMON_PART_VALUE | AMON_PART_COUNT | AMON_PART_SQUARES,
	  .merge = AMON_MERGE_ADD,
	  .finish = AMON_FINISH_VARIANCE,
	  .kind = AMON_GAUGE,
	  .takes_argument = true,
	  .subtracts = true,
	  .help = "Variance of x, the population's" },
	{ .name = "stddev",
	  .parts = AMON_PART_VALUE | AMON_PART_COUNT | AMON_PART_SQUARES,
	  .merge = AMON_MERGE_ADD,
	  .finish = AMON_FINISH_STDDEV,
	  .kind = AMON_GAUGE,
	  .takes_argument = true,
	  .subtracts = true,
	  .help = "Standard deviation of x, the population's" },
	{ .name = "histogram",
	  .parts = AMON_PART_VALUE | AMON_PART_BUCKETS,
	  .merge = AMON_MERGE_ADD,
	  .finish = AMON_FINISH_HISTOGRAM,
	  .kind = AMON_HISTOGRAM,
	  .takes_argument = true,
	  .subtracts = true,
	  .help = "How many x lie in each bucket, their sum and count" },
	{ .name = NULL },
};

const struct amon_aggregation *amon_aggregation_find(const char *name)
{
	const struct amon_aggregation *row;

	for (row = amon_aggregations; row->name; row++)
		if (!strcmp(row->name, name))
			return row;
	return NULL;
}

const struct amon_aggregation amon_aggregation_fold = {
	.name = "fold",
	.parts = AMON_PART_VALUE | AMON_PART_TIME | AMON_PART_HAS,
	.merge = AMON_MERGE_LATER,
	.finish = AMON_FINISH_VALUE,
	.kind = AMON_GAUGE,
	.takes_argument = true,
	.alone = true,
	.help = "What each packet makes of the value before it",
};

const struct amon_aggregation amon_aggregation_previous = {
	.name = "prev",
	.parts = AMON_PART_VALUE | AMON_PART_HAS,
	.merge = AMON_MERGE_LATER,
	.finish = AMON_FINISH_VALUE,
	.kind = AMON_INFO,
	.takes_argument = true,
	.takes_address = true,
	.help = "x in the previous packet",
};

const struct amon_aggregation amon_aggregation_value = {
	.name = "value",
	.parts = AMON_PART_VALUE | AMON_PART_HAS,
	.merge = AMON_MERGE_STAY,
	.finish = AMON_FINISH_VALUE,
	.kind = AMON_GAUGE,
	.takes_argument = true,
	.takes_address = true,
	.alone = true,
	.help = "What is in a map",
};

const struct amon_aggregation amon_aggregation_least = {
	.name = "least",
	.parts = AMON_PART_VALUE | AMON_PART_HAS,
	.merge = AMON_MERGE_LEAST,
	.finish = AMON_FINISH_VALUE,
	.kind = AMON_GAUGE,
	.takes_argument = true,
	.help = "Smallest x, without a sign",
};

const struct amon_aggregation amon_aggregation_most = {
	.name = "most",
	.parts = AMON_PART_VALUE | AMON_PART_HAS,
	.merge = AMON_MERGE_MOST,
	.finish = AMON_FINISH_VALUE,
	.kind = AMON_GAUGE,
	.takes_argument = true,
	.help = "Largest x, without a sign",
};

const struct amon_aggregation *amon_aggregation_exported(const char *name)
{
	static const struct amon_aggregation *const unspoken[] = { &amon_aggregation_fold, &amon_aggregation_value,
		                                                   &amon_aggregation_least, &amon_aggregation_most };

	for (size_t i = 0; i < sizeof(unspoken) / sizeof(*unspoken); i++)
		if (!strcmp(name, unspoken[i]->name))
			return unspoken[i];
	return amon_aggregation_find(name);
}

uint32_t amon_value_size(enum amon_base base)
{
	switch (base) {
	case AMON_BASE_IPV4:
		return 4;
	case AMON_BASE_IPV6:
	case AMON_BASE_NET:
		return 16;
	case AMON_BASE_MAC:
		return 6;
	default:
		return 8;
	}
}

/* --- buckets */

uint32_t amon_bucket_count(const struct amon_buckets *buckets)
{
	switch (buckets->kind) {
	case AMON_BUCKETS_LOG2:
		return 64;
	case AMON_BUCKETS_LOGLINEAR:
		return (64 - buckets->bits) << buckets->bits;
	case AMON_BUCKETS_LINEAR:
	case AMON_BUCKETS_EDGES:
		return buckets->edge_count + 1;
	case AMON_BUCKETS_NONE:
		break;
	}
	return 0;
}

/* Octaves of 2^bits buckets each, so that an edge is off by no more than 2^-bits; below 2^bits each number has its own.
 */
static uint32_t octave_bucket(uint32_t bits, int64_t value)
{
	uint64_t above = value > 1 ? (uint64_t)value - 1 : 0;
	uint32_t shift;

	if (!(above >> bits))
		return (uint32_t)above;
	shift = 63 - (uint32_t)__builtin_clzll(above) - bits + 1;
	return (shift << bits) + (uint32_t)((above >> (shift - 1)) & ((1ULL << bits) - 1));
}

static uint64_t octave_edge(uint32_t bits, uint32_t index)
{
	uint64_t mantissa = index & ((1ULL << bits) - 1);
	uint32_t shift = index >> bits;

	if (!shift)
		return mantissa + 1;
	return (mantissa + (1ULL << bits) + 1) << (shift - 1);
}

/* Differences of two 64-bit numbers fit unsigned, not signed. */
static uint32_t linear_bucket(const struct amon_buckets *buckets, int64_t value)
{
	uint64_t index;

	if (value <= buckets->low)
		return 0;
	index = ((uint64_t)value - (uint64_t)buckets->low - 1) / (uint64_t)buckets->step + 1;
	return index < buckets->edge_count ? (uint32_t)index : buckets->edge_count;
}

static uint32_t edges_bucket(const struct amon_buckets *buckets, int64_t value)
{
	uint32_t low = 0, high = buckets->edge_count;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (value <= buckets->edges[middle])
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

uint32_t amon_bucket_of(const struct amon_buckets *buckets, int64_t value)
{
	switch (buckets->kind) {
	case AMON_BUCKETS_LOG2:
		return octave_bucket(0, value);
	case AMON_BUCKETS_LOGLINEAR:
		return octave_bucket(buckets->bits, value);
	case AMON_BUCKETS_LINEAR:
		return linear_bucket(buckets, value);
	case AMON_BUCKETS_EDGES:
		return edges_bucket(buckets, value);
	case AMON_BUCKETS_NONE:
		break;
	}
	return 0;
}

bool amon_bucket_edge(const struct amon_buckets *buckets, uint32_t index, uint64_t *edge)
{
	switch (buckets->kind) {
	case AMON_BUCKETS_LOG2:
		*edge = octave_edge(0, index);
		return true;
	case AMON_BUCKETS_LOGLINEAR:
		*edge = octave_edge(buckets->bits, index);
		return true;
	case AMON_BUCKETS_LINEAR:
		*edge = (uint64_t)buckets->low + index * (uint64_t)buckets->step;
		return index < buckets->edge_count;
	case AMON_BUCKETS_EDGES:
		if (index >= buckets->edge_count)
			return false;
		*edge = (uint64_t)buckets->edges[index];
		return true;
	case AMON_BUCKETS_NONE:
		break;
	}
	return false;
}

/* --- records: their fields lie where the layout says, aligned or not */

const struct amon_layout amon_layout_nowhere = {
	.value = UINT32_MAX,
	.count = UINT32_MAX,
	.squares = UINT32_MAX,
	.time = UINT32_MAX,
	.buckets = UINT32_MAX,
	.has = UINT32_MAX,
	.value_size = 8,
	.version = UINT32_MAX,
};

uint64_t amon_number_at(const void *at, uint32_t size)
{
	uint64_t wide;
	uint32_t word;
	uint16_t half;

	switch (size) {
	case 1:
		return *(const uint8_t *)at;
	case 2:
		return memcpy(&half, at, 2), half;
	case 4:
		return memcpy(&word, at, 4), word;
	default:
		return memcpy(&wide, at, 8), wide;
	}
}

static uint64_t load(const void *record, uint32_t offset)
{
	uint64_t word;

	memcpy(&word, (const char *)record + offset, sizeof(word));
	return word;
}

static void store(void *record, uint32_t offset, uint64_t word)
{
	memcpy((char *)record + offset, &word, sizeof(word));
}

bool amon_state_has(const struct amon_layout *layout, const void *record)
{
	return ((const uint8_t *)record)[layout->has] >> layout->has_bit & 1;
}

void amon_state_set_has(const struct amon_layout *layout, void *record, bool has)
{
	uint8_t *byte = (uint8_t *)record + layout->has;
	uint8_t bit = (uint8_t)(1 << layout->has_bit);

	*byte = has ? *byte | bit : *byte & ~bit;
}

static void copy_part(void *into, const void *from, uint32_t offset, uint32_t size)
{
	if (offset != UINT32_MAX)
		memcpy((char *)into + offset, (const char *)from + offset, size);
}

static void copy_value(const struct amon_layout *layout, void *into, const void *from)
{
	copy_part(into, from, layout->value, layout->value_size);
	copy_part(into, from, layout->version, 1);
	copy_part(into, from, layout->time, 8);
	amon_state_set_has(layout, into, true);
}

static void add_word(uint32_t offset, void *into, const void *from, uint64_t sign)
{
	store(into, offset, load(into, offset) + sign * load(from, offset));
}

/* The low word comes first, whatever the byte order of this machine. */
static void add_squares(uint32_t offset, void *into, const void *from, uint64_t sign)
{
	unsigned __int128 sum = (unsigned __int128)load(into, offset + 8) << 64 | load(into, offset);
	unsigned __int128 more = (unsigned __int128)load(from, offset + 8) << 64 | load(from, offset);

	sum = sign == 1 ? sum + more : sum - more;
	store(into, offset, (uint64_t)sum);
	store(into, offset + 8, (uint64_t)(sum >> 64));
}

/* All that adds; `sign` is 1, or -1 to subtract. */
static void add_parts(unsigned int parts, const struct amon_layout *layout, void *into, const void *from, uint64_t sign)
{
	if (parts & AMON_PART_VALUE)
		add_word(layout->value, into, from, sign);
	if (parts & AMON_PART_COUNT)
		add_word(layout->count, into, from, sign);
	if (parts & AMON_PART_SQUARES)
		add_squares(layout->squares, into, from, sign);
	if (parts & AMON_PART_BUCKETS)
		for (uint32_t i = 0; i < layout->bucket_count; i++)
			add_word(layout->buckets + 8 * i, into, from, sign);
}

/* A number as it is kept, or back again. */
static uint64_t turned(const struct amon_layout *layout, uint64_t number, uint32_t size)
{
	return layout->kept == AMON_KEPT_COMPLEMENT ? ~number & UINT64_MAX >> (64 - 8 * size) : number;
}

uint64_t amon_state_value(const struct amon_layout *layout, const void *record)
{
	uint64_t number = amon_number_at((const char *)record + layout->value, layout->value_size);

	return layout->time == UINT32_MAX ? turned(layout, number, layout->value_size) : number;
}

/* Where the value is the packet's time itself, it stands for the time that was left out. */
static uint64_t time_of(const struct amon_layout *layout, const void *record)
{
	return layout->time == UINT32_MAX ? amon_state_value(layout, record)
	                                  : turned(layout, load(record, layout->time), 8);
}

/* True where the state of `from` takes the place of that of `into`; both saw packets. A tie stays. */
static bool replaces(enum amon_merge merge, const struct amon_layout *layout, const void *into, const void *from)
{
	switch (merge) {
	case AMON_MERGE_MIN:
		return (int64_t)amon_state_value(layout, from) < (int64_t)amon_state_value(layout, into);
	case AMON_MERGE_MAX:
		return (int64_t)amon_state_value(layout, from) > (int64_t)amon_state_value(layout, into);
	case AMON_MERGE_LEAST:
		return amon_state_value(layout, from) < amon_state_value(layout, into);
	case AMON_MERGE_MOST:
		return amon_state_value(layout, from) > amon_state_value(layout, into);
	case AMON_MERGE_EARLIER:
		return time_of(layout, from) < time_of(layout, into);
	case AMON_MERGE_LATER:
		return time_of(layout, from) > time_of(layout, into);
	default:
		return false;
	}
}

/* Of complements, &= does what |= does of what they stand for, and the other way round. */
static void merge_bits(bool any, const struct amon_layout *layout, void *into, const void *from)
{
	uint8_t *to = (uint8_t *)into + layout->value;
	const uint8_t *more = (const uint8_t *)from + layout->value;

	for (uint32_t i = 0; i < layout->value_size; i++)
		to[i] = any ? to[i] | more[i] : to[i] & more[i];
}

static void merge_values(enum amon_merge merge, const struct amon_layout *layout, void *into, const void *from)
{
	if (merge == AMON_MERGE_OR || merge == AMON_MERGE_AND)
		merge_bits((merge == AMON_MERGE_OR) == (layout->kept == AMON_KEPT_PLAIN), layout, into, from);
	else if (replaces(merge, layout, into, from))
		copy_value(layout, into, from);
}

void amon_merge_state(const struct amon_aggregation *aggregation, const struct amon_layout *layout, void *into,
                      const void *from)
{
	if (aggregation->merge == AMON_MERGE_ADD)
		add_parts(aggregation->parts, layout, into, from, 1);
	else if (!amon_state_has(layout, from))
		return;
	else if (!amon_state_has(layout, into))
		copy_value(layout, into, from);
	else
		merge_values(aggregation->merge, layout, into, from);
}

void amon_subtract_state(const struct amon_aggregation *aggregation, const struct amon_layout *layout, void *into,
                         const void *earlier)
{
	if (aggregation->subtracts)
		add_parts(aggregation->parts, layout, into, earlier, UINT64_MAX);
}
