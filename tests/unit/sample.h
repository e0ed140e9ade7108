/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SAMPLE_H
#define SAMPLE_H

#include <stddef.h>
#include <string.h>

#include "compiler/arena.h"
#include "compiler/exports.h"

/*
 * An export table as a compiler would make it, with at least one of everything, and the records that it describes:
 *
 *	probe sample {
 *		ingress {
 *			metric packets = count();
 *			metric bytes = sum(frame.len) unit bytes;
 *			metric smallest = min(frame.len) unit bytes;
 *			metric spread = variance(frame.len);
 *			metric sizes = histogram(frame.len, [64, 128]) unit bytes;
 *			metric gaps = histogram(delta(frame.time), log2) unit seconds;
 *			derive mean_size = bytes / packets unit bytes;
 *			table flows by net.src, port = l4.dstport having packets > 1 top 2 by bytes {
 *				metric packets = count();
 *				metric bytes = sum(frame.len) unit bytes;
 *				metric lowest = min(ip.ttl);
 *				metric start = first(frame.time);
 *				metric via = last(eth.src);
 *				derive share = bytes / ingress.bytes unit ratio;
 *				derive rate = 8 * bytes / window unit bits_per_second;
 *			}
 *		}
 *		derive all = ingress.packets * 2;
 *	}
 */

struct sample_packets {
	uint64_t packets, bytes;
};

struct sample_section {
	uint64_t packets, bytes, smallest, spread, spread_count, spread_squares[2];
	uint64_t sizes, sizes_buckets[3], gaps, gaps_buckets[64];
	struct sample_packets seen, selected, truncated, flows_selected, flows_in_rows, flows_other, flows_full;
	uint8_t has_smallest, unused[7];
};

struct sample_key {
	uint8_t src[16];
	uint16_t port;
	uint8_t version, unused[5];
};

struct sample_flow {
	uint64_t packets, bytes, lowest, start, via_time;
	uint8_t via[6], has_lowest, has_start, has_via, unused[7];
};

#define SECTION_AT(member) offsetof(struct sample_section, member)
#define FLOW_AT(member)    offsetof(struct sample_flow, member)
#define NO_LAYOUT                                                                                                      \
	{ .value = UINT32_MAX,                                                                                         \
	  .count = UINT32_MAX,                                                                                         \
	  .squares = UINT32_MAX,                                                                                       \
	  .time = UINT32_MAX,                                                                                          \
	  .buckets = UINT32_MAX,                                                                                       \
	  .has = UINT32_MAX,                                                                                           \
	  .value_size = 8,                                                                                             \
	  .version = UINT32_MAX }

static const struct amon_type sample_int = { .base = AMON_BASE_INT };
static const struct amon_type sample_bytes = { .base = AMON_BASE_INT, .dimension = { .information = 1 } };
static const struct amon_type sample_nanoseconds = { .base = AMON_BASE_INT, .dimension = { .time = 1 } };
static const struct amon_type sample_real = { .base = AMON_BASE_REAL };
static const struct amon_type sample_bool = { .base = AMON_BASE_BOOL };
static const struct amon_type sample_time = { .base = AMON_BASE_TIME };

/* --- expressions */

static inline struct amon_export_value *sample_value(struct amon_arena *arena, enum amon_value_kind kind,
                                                     struct amon_type type)
{
	struct amon_export_value *value = amon_new(arena, struct amon_export_value);

	value->kind = kind;
	value->type = type;
	return value;
}

static inline struct amon_export_value *sample_integer(struct amon_arena *arena, int64_t integer)
{
	struct amon_export_value *value = sample_value(arena, AMON_VALUE_INTEGER, sample_int);

	value->integer = integer;
	return value;
}

static inline struct amon_export_value *sample_decimal(struct amon_arena *arena, double real)
{
	struct amon_export_value *value = sample_value(arena, AMON_VALUE_REAL, sample_real);

	value->real = real;
	return value;
}

static inline struct amon_export_value *sample_column(struct amon_arena *arena, int32_t section, int32_t table,
                                                      int32_t column)
{
	struct amon_export_value *value = sample_value(arena, AMON_VALUE_COLUMN, sample_int);

	value->section = section;
	value->table = table;
	value->column = column;
	return value;
}

static inline struct amon_export_value *sample_binary(struct amon_arena *arena, enum amon_operator op,
                                                      struct amon_type type, struct amon_export_value *left,
                                                      struct amon_export_value *right)
{
	struct amon_export_value *value = sample_value(arena, AMON_VALUE_BINARY, type);

	value->op = op;
	value->left = left;
	value->right = right;
	return value;
}

/* --- columns */

static inline struct amon_export_column sample_metric(const char *name, const char *aggregation, const char *unit,
                                                      struct amon_type type)
{
	return (struct amon_export_column){
		.kind = AMON_COLUMN_METRIC,
		.name = name,
		.spec_name = name,
		.help = "",
		.unit = unit,
		.ipfix = "",
		.type = type,
		.divisor = 1,
		.multiplier = 1,
		.aggregation = amon_aggregation_find(aggregation),
		.layout = NO_LAYOUT,
	};
}

static inline struct amon_export_column sample_derive(const char *name, const char *unit,
                                                      struct amon_export_value *value)
{
	struct amon_export_column column = sample_metric(name, "", unit, value->type);

	column.kind = AMON_COLUMN_DERIVE;
	column.value = value;
	return column;
}

static inline struct amon_export_column sample_key_column(const char *name, struct amon_type type, uint32_t at,
                                                          uint32_t size)
{
	struct amon_export_column column = sample_metric(name, "", "", type);

	column.kind = AMON_COLUMN_KEY;
	column.layout.value = at;
	column.layout.value_size = size;
	return column;
}

enum sample_section_column {
	SAMPLE_PACKETS,
	SAMPLE_BYTES,
	SAMPLE_SMALLEST,
	SAMPLE_SPREAD,
	SAMPLE_SIZES,
	SAMPLE_GAPS,
	SAMPLE_MEAN_SIZE,
	SAMPLE_SECTION_COLUMNS
};

static inline void sample_section_metrics(struct amon_arena *arena, struct amon_export_column *columns)
{
	static const int64_t edges[] = { 64, 128 };
	struct amon_type rows = { .base = AMON_BASE_ROWS };

	columns[SAMPLE_PACKETS] = sample_metric("packets", "count", "", sample_int);
	columns[SAMPLE_PACKETS].layout.count = SECTION_AT(packets);
	columns[SAMPLE_PACKETS].help = "Packets, \"all\" of them";
	columns[SAMPLE_BYTES] = sample_metric("bytes", "sum", "bytes", sample_bytes);
	columns[SAMPLE_BYTES].layout.value = SECTION_AT(bytes);
	columns[SAMPLE_SMALLEST] = sample_metric("smallest", "min", "bytes", sample_bytes);
	columns[SAMPLE_SMALLEST].layout.value = SECTION_AT(smallest);
	columns[SAMPLE_SMALLEST].layout.has = SECTION_AT(has_smallest);
	columns[SAMPLE_SPREAD] = sample_metric("spread", "variance", "", sample_real);
	columns[SAMPLE_SPREAD].layout.value = SECTION_AT(spread);
	columns[SAMPLE_SPREAD].layout.count = SECTION_AT(spread_count);
	columns[SAMPLE_SPREAD].layout.squares = SECTION_AT(spread_squares);
	columns[SAMPLE_SIZES] = sample_metric("sizes", "histogram", "bytes", rows);
	columns[SAMPLE_SIZES].buckets =
	        (struct amon_buckets){ .kind = AMON_BUCKETS_EDGES, .edges = edges, .edge_count = 2 };
	columns[SAMPLE_SIZES].layout.value = SECTION_AT(sizes);
	columns[SAMPLE_SIZES].layout.buckets = SECTION_AT(sizes_buckets);
	columns[SAMPLE_SIZES].layout.bucket_count = 3;
	columns[SAMPLE_GAPS] = sample_metric("gaps", "histogram", "seconds", rows);
	columns[SAMPLE_GAPS].buckets.kind = AMON_BUCKETS_LOG2;
	columns[SAMPLE_GAPS].divisor = 1000000000;
	columns[SAMPLE_GAPS].layout.value = SECTION_AT(gaps);
	columns[SAMPLE_GAPS].layout.buckets = SECTION_AT(gaps_buckets);
	columns[SAMPLE_GAPS].layout.bucket_count = 64;
	columns[SAMPLE_MEAN_SIZE] = sample_derive("mean_size", "bytes",
	                                          sample_binary(arena, AMON_OP_DIVIDE, sample_real,
	                                                        sample_column(arena, 0, -1, SAMPLE_BYTES),
	                                                        sample_column(arena, 0, -1, SAMPLE_PACKETS)));
}

enum sample_flow_column {
	FLOW_SRC,
	FLOW_PORT,
	FLOW_PACKETS,
	FLOW_BYTES,
	FLOW_LOWEST,
	FLOW_START,
	FLOW_VIA,
	FLOW_SHARE,
	FLOW_RATE,
	FLOW_COLUMNS
};

static inline void sample_flow_keys(struct amon_export_column *columns)
{
	struct amon_type net = { .base = AMON_BASE_NET }, port = { .base = AMON_BASE_INT, .bits = 16 };

	columns[FLOW_SRC] = sample_key_column("net.src", net, offsetof(struct sample_key, src), 16);
	columns[FLOW_SRC].layout.version = offsetof(struct sample_key, version);
	columns[FLOW_PORT] = sample_key_column("port", port, offsetof(struct sample_key, port), 2);
}

static inline void sample_flow_metrics(struct amon_export_column *columns)
{
	struct amon_type mac = { .base = AMON_BASE_MAC }, ttl = { .base = AMON_BASE_INT, .bits = 8 };

	columns[FLOW_PACKETS] = sample_metric("packets", "count", "", sample_int);
	columns[FLOW_PACKETS].layout.count = FLOW_AT(packets);
	columns[FLOW_PACKETS].ipfix = "packetDeltaCount";
	columns[FLOW_PACKETS].ipfix_id = 2;
	columns[FLOW_BYTES] = sample_metric("bytes", "sum", "bytes", sample_bytes);
	columns[FLOW_BYTES].layout.value = FLOW_AT(bytes);
	columns[FLOW_LOWEST] = sample_metric("lowest", "min", "", ttl);
	columns[FLOW_LOWEST].layout.value = FLOW_AT(lowest);
	columns[FLOW_LOWEST].layout.has = FLOW_AT(has_lowest);
	columns[FLOW_START] = sample_metric("start", "first", "", sample_time);
	columns[FLOW_START].layout.value = FLOW_AT(start);
	columns[FLOW_START].layout.has = FLOW_AT(has_start);
	columns[FLOW_VIA] = sample_metric("via", "last", "", mac);
	columns[FLOW_VIA].layout.value = FLOW_AT(via);
	columns[FLOW_VIA].layout.value_size = 6;
	columns[FLOW_VIA].layout.time = FLOW_AT(via_time);
	columns[FLOW_VIA].layout.has = FLOW_AT(has_via);
}

static inline void sample_flow_derives(struct amon_arena *arena, struct amon_export_column *columns)
{
	struct amon_type rate = { .base = AMON_BASE_REAL, .dimension = { .information = 1, .time = -1 } };
	struct amon_export_value *bits = sample_binary(arena, AMON_OP_MULTIPLY, sample_bytes, sample_integer(arena, 8),
	                                               sample_column(arena, 0, 0, FLOW_BYTES));

	columns[FLOW_SHARE] =
	        sample_derive("share", "ratio",
	                      sample_binary(arena, AMON_OP_DIVIDE, sample_real, sample_column(arena, 0, 0, FLOW_BYTES),
	                                    sample_column(arena, 0, -1, SAMPLE_BYTES)));
	columns[FLOW_RATE] = sample_derive("rate", "bits_per_second",
	                                   sample_binary(arena, AMON_OP_DIVIDE, rate, bits,
	                                                 sample_value(arena, AMON_VALUE_WINDOW, sample_nanoseconds)));
	columns[FLOW_RATE].multiplier = 1000000000;
}

/* --- blocks */

static inline struct amon_export_table *sample_table(struct amon_arena *arena)
{
	static struct amon_export_counter full = { "full", SECTION_AT(flows_full) };
	struct amon_export_table *table = amon_new(arena, struct amon_export_table);

	*table = (struct amon_export_table){
		.name = "flows",
		.help = "",
		.map = "ingress_flows",
		.spill_map = "ingress_flows_spill",
		.shape = "ingress_flows_shape",
		.slot_size = 128,
		.key_size = sizeof(struct sample_key),
		.record_size = sizeof(struct sample_flow),
		.size = 1024,
		.other_map = "ingress_flows_other",
		.columns = amon_new_array(arena, struct amon_export_column, FLOW_COLUMNS),
		.column_count = FLOW_COLUMNS,
		.key_count = 2,
		.selected = SECTION_AT(flows_selected),
		.in_rows = SECTION_AT(flows_in_rows),
		.other = SECTION_AT(flows_other),
		.unaccounted = &full,
		.unaccounted_count = 1,
	};
	sample_flow_keys(table->columns);
	sample_flow_metrics(table->columns);
	sample_flow_derives(arena, table->columns);
	table->having = sample_binary(arena, AMON_OP_GT, sample_bool, sample_column(arena, 0, 0, FLOW_PACKETS),
	                              sample_integer(arena, 1));
	table->top = 2;
	table->top_by = FLOW_BYTES;
	return table;
}

static inline struct amon_export_section *sample_sections(struct amon_arena *arena)
{
	static struct amon_export_counter truncated = { "ip_truncated", SECTION_AT(truncated) };
	struct amon_export_section *section = amon_new(arena, struct amon_export_section);
	struct amon_export_part *part = amon_new(arena, struct amon_export_part);

	*part = (struct amon_export_part){ "ingress", 0, sizeof(struct sample_section), false, 0, NULL };
	*section = (struct amon_export_section){
		.name = "ingress",
		.parts = part,
		.part_count = 1,
		.record_size = sizeof(struct sample_section),
		.hooks = { { .kind = AMON_HOOK_XDP, .choice = true } },
		.hook_count = 1,
		.columns = amon_new_array(arena, struct amon_export_column, SAMPLE_SECTION_COLUMNS),
		.column_count = SAMPLE_SECTION_COLUMNS,
		.tables = sample_table(arena),
		.table_count = 1,
		.seen = SECTION_AT(seen),
		.selected = SECTION_AT(selected),
		.malformed = &truncated,
		.malformed_count = 1,
	};
	sample_section_metrics(arena, section->columns);
	return section;
}

static inline struct amon_exports *sample_exports(struct amon_arena *arena)
{
	static struct amon_export_program program = { "amon_xdp", AMON_HOOK_XDP };
	struct amon_exports *exports = amon_new(arena, struct amon_exports);

	*exports = (struct amon_exports){
		.probe = "sample",
		.help = "",
		.window = 10000000000,
		.programs = &program,
		.program_count = 1,
		.sections = sample_sections(arena),
		.section_count = 1,
		.columns = amon_new(arena, struct amon_export_column),
		.column_count = 1,
	};
	exports->columns[0] =
	        sample_derive("all", "",
	                      sample_binary(arena, AMON_OP_MULTIPLY, sample_int,
	                                    sample_column(arena, 0, -1, SAMPLE_PACKETS), sample_integer(arena, 2)));
	return exports;
}

/*
 * The same with two maps of a user's C beside it:
 *
 *	struct { __be32 host; __s16 port; } -> struct { __u64 packets; __be16 last; __u8 flags[2]; }, an LRU_PERCPU_HASH
 *	of which CPUs become one by sum; and __u32, an ARRAY of one entry, in the section's record
 */
struct sample_peer_key {
	uint8_t host[4], unused[4];
	int64_t port;
};

struct sample_peer {
	uint64_t packets, last, flags[2];
	uint8_t has_last, unused[7];
};

static const struct amon_export_user sample_peers = { AMON_MAP_LRU_PERCPU_HASH, 8, 16, false };
static const struct amon_export_user sample_total = { AMON_MAP_ARRAY, 4, 4, false };

enum sample_peer_column { PEER_HOST, PEER_PORT, PEER_PACKETS, PEER_LAST, PEER_FLAGS, PEER_COLUMNS = PEER_FLAGS + 2 };

static inline struct amon_export_column sample_from(struct amon_export_column column, uint32_t at, uint32_t offset,
                                                    uint32_t size, enum amon_form form)
{
	column.layout.value = at;
	column.source = (struct amon_export_source){ offset, size, form };
	return column;
}

#define PEER_AT(member) offsetof(struct sample_peer, member)

static inline void sample_peer_columns(struct amon_export_column *columns)
{
	static const struct amon_type host = { .base = AMON_BASE_IPV4 }, wide = { .base = AMON_BASE_INT, .bits = 64 };
	static const struct amon_type half = { .base = AMON_BASE_INT, .bits = 16 };

	columns[PEER_HOST] = sample_key_column("host", host, offsetof(struct sample_peer_key, host), 4);
	columns[PEER_HOST].source = (struct amon_export_source){ 0, 4, AMON_FORM_UNSIGNED };
	columns[PEER_PORT] = sample_key_column("port", sample_int, offsetof(struct sample_peer_key, port), 8);
	columns[PEER_PORT].source = (struct amon_export_source){ 4, 2, AMON_FORM_SIGNED };
	columns[PEER_PACKETS] =
	        sample_from(sample_metric("packets", "sum", "", wide), PEER_AT(packets), 0, 8, AMON_FORM_UNSIGNED);
	columns[PEER_LAST] =
	        sample_from(sample_metric("last", "max", "", half), PEER_AT(last), 8, 2, AMON_FORM_NETWORK);
	columns[PEER_LAST].layout.has = PEER_AT(has_last);
	for (uint32_t i = 0; i < 2; i++)
		columns[PEER_FLAGS + i] = sample_from(sample_metric(i ? "flags[1]" : "flags[0]", "sum", "", sample_int),
		                                      PEER_AT(flags) + 8 * i, 10 + i, 1, AMON_FORM_UNSIGNED);
}

static inline struct amon_export_table sample_peer_table(struct amon_arena *arena)
{
	struct amon_export_table table = {
		.name = "peers",
		.help = "",
		.map = "PEERS",
		.user = &sample_peers,
		.key_size = sizeof(struct sample_peer_key),
		.record_size = sizeof(struct sample_peer),
		.size = 1024,
		.twice = true,
		.reset = true,
		.columns = amon_new_array(arena, struct amon_export_column, PEER_COLUMNS),
		.column_count = PEER_COLUMNS,
		.key_count = 2,
		.top_by = -1,
		.selected = UINT32_MAX,
		.in_rows = UINT32_MAX,
		.other = UINT32_MAX,
	};

	sample_peer_columns(table.columns);
	return table;
}

/* In the section's record `total` lies behind all else, its `has` behind it. */
static inline void sample_user_metric(struct amon_arena *arena, struct amon_export_section *section)
{
	uint32_t at = section->record_size;
	struct amon_export_part *parts = amon_new_array(arena, struct amon_export_part, 2);
	struct amon_export_column *columns =
	        amon_new_array(arena, struct amon_export_column, section->column_count + 1);

	parts[0] = section->parts[0];
	parts[1] = (struct amon_export_part){ "TOTAL", at, 16, false, 0, &sample_total };
	section->parts = parts;
	section->part_count = 2;
	section->record_size += 16;
	memcpy(columns, section->columns, section->column_count * sizeof(*columns));
	columns[section->column_count] =
	        sample_from(sample_metric("total", "", "", (struct amon_type){ .base = AMON_BASE_INT, .bits = 32 }), at,
	                    0, 4, AMON_FORM_UNSIGNED);
	columns[section->column_count].aggregation = &amon_aggregation_value;
	columns[section->column_count].layout.has = at + 8;
	section->columns = columns;
	section->column_count++;
}

static inline struct amon_exports *sample_users(struct amon_arena *arena)
{
	struct amon_exports *exports = sample_exports(arena);
	struct amon_export_section *section = exports->sections;
	struct amon_export_table *tables = amon_new_array(arena, struct amon_export_table, 2);

	tables[0] = section->tables[0];
	tables[1] = sample_peer_table(arena);
	section->tables = tables;
	section->table_count = 2;
	section->user_count = 1;
	sample_user_metric(arena, section);
	return exports;
}

#endif
