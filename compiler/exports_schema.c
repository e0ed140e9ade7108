/* SPDX-License-Identifier: Apache-2.0 */
#include "exports_schema.h"

#include <stddef.h>

#define SIZE(type, member) sizeof(((type *)0)->member)
#define AT(type, member)   .offset = offsetof(type, member), .size = SIZE(type, member)

#define NUMBER(type, member, key, from, to, normal)                                                                    \
	{ key, AMON_SCHEMA_INTEGER, AT(type, member), .low = from, .high = to, .usual = normal }
#define INTEGER(type, member, key, from, to) NUMBER(type, member, key, from, to, 0)
#define FACTOR(type, member, key)            NUMBER(type, member, key, 0, INT64_MAX, 1)
#define INDEX(type, member, key)             NUMBER(type, member, key, INT32_MIN, INT32_MAX, -1)
#define U8(type, member, key)                INTEGER(type, member, key, 0, UINT8_MAX)
#define U32(type, member, key)               INTEGER(type, member, key, 0, UINT32_MAX)
#define U63(type, member, key)               INTEGER(type, member, key, 0, INT64_MAX)
#define I8(type, member, key)                INTEGER(type, member, key, INT8_MIN, INT8_MAX)
#define I64(type, member, key)               INTEGER(type, member, key, INT64_MIN, INT64_MAX)
#define BOOL(type, member, key)              INTEGER(type, member, key, 0, 1)
#define PLACE(type, member, key)             { key, AMON_SCHEMA_PLACE, AT(type, member) }
#define TEXT(type, member, key)              { key, AMON_SCHEMA_TEXT, AT(type, member) }
#define NAME(type, member, key)              { key, AMON_SCHEMA_NAME, AT(type, member) }
#define WORD(type, member, key, list)                                                                                  \
	{ key, AMON_SCHEMA_WORD, AT(type, member), .words = list, .high = sizeof(list) / sizeof(*list) }
#define STRUCT(type, member, key, rows) { key, AMON_SCHEMA_STRUCT, AT(type, member), .members = rows }
#define POINTER(type, member, key, rows)                                                                               \
	{ key, AMON_SCHEMA_POINTER, .offset = offsetof(type, member), .size = sizeof(*((type *)0)->member),            \
	  .members = rows }
#define ITEMS(type, member, counter, key, how, most, rows)                                                             \
	{ key,                                                                                                         \
	  how,                                                                                                         \
	  .offset = offsetof(type, member),                                                                            \
	  .size = sizeof(*((type *)0)->member),                                                                        \
	  .count = offsetof(type, counter),                                                                            \
	  .high = most,                                                                                                \
	  .members = rows }
#define ARRAY(type, member, counter, key, rows)                                                                        \
	ITEMS(type, member, counter, key, AMON_SCHEMA_ARRAY, AMON_EXPORT_ITEMS, rows)
#define END { .key = NULL }

static const char *const base_words[] = {
	[AMON_BASE_NONE] = NULL,   [AMON_BASE_BOOL] = "bool", [AMON_BASE_INT] = "int", [AMON_BASE_REAL] = "real",
	[AMON_BASE_IPV4] = "ipv4", [AMON_BASE_IPV6] = "ipv6", [AMON_BASE_NET] = "net", [AMON_BASE_MAC] = "mac",
	[AMON_BASE_TIME] = "time", [AMON_BASE_ROWS] = "rows",
};

static const char *const family_words[] = {
	[AMON_ADDRESS_IPV4] = "ipv4",
	[AMON_ADDRESS_IPV6] = "ipv6",
	[AMON_ADDRESS_MAC] = "mac",
};

static const char *const bucket_words[] = {
	[AMON_BUCKETS_NONE] = NULL,     [AMON_BUCKETS_LOG2] = "log2",           [AMON_BUCKETS_LINEAR] = "linear",
	[AMON_BUCKETS_EDGES] = "edges", [AMON_BUCKETS_LOGLINEAR] = "loglinear",
};

static const char *const column_words[] = {
	[AMON_COLUMN_KEY] = "key",
	[AMON_COLUMN_METRIC] = "metric",
	[AMON_COLUMN_DERIVE] = "derive",
	[AMON_COLUMN_END] = "end",
};

/* Only what can stand in an export table: a NULL among these cannot be written. */
static const char *const value_words[] = {
	[AMON_VALUE_INTEGER] = "integer", [AMON_VALUE_REAL] = "real",     [AMON_VALUE_ADDRESS] = "address",
	[AMON_VALUE_PRESENT] = "present", [AMON_VALUE_UNARY] = "unary",   [AMON_VALUE_BINARY] = "binary",
	[AMON_VALUE_IN] = "in",           [AMON_VALUE_CHOICE] = "choice", [AMON_VALUE_ABS] = "abs",
	[AMON_VALUE_MIN] = "min",         [AMON_VALUE_MAX] = "max",       [AMON_VALUE_COLUMN] = "column",
	[AMON_VALUE_WINDOW] = "window",   [AMON_VALUE_LOG2] = "log2",     [AMON_VALUE_SQRT] = "sqrt",
};

static const char *const member_words[] = {
	[AMON_MEMBER_VALUE] = NULL,
	[AMON_MEMBER_COUNT] = "count",
	[AMON_MEMBER_SUM] = "sum",
};

static const char *const operator_words[] = {
	[AMON_OP_NONE] = NULL,      [AMON_OP_NOT] = "not",       [AMON_OP_NEGATE] = "negate",
	[AMON_OP_COMPLEMENT] = "~", [AMON_OP_OR] = "or",         [AMON_OP_AND] = "and",
	[AMON_OP_EQ] = "==",        [AMON_OP_NE] = "!=",         [AMON_OP_LT] = "<",
	[AMON_OP_GT] = ">",         [AMON_OP_LE] = "<=",         [AMON_OP_GE] = ">=",
	[AMON_OP_IN] = "in",        [AMON_OP_BIT_OR] = "|",      [AMON_OP_BIT_XOR] = "^",
	[AMON_OP_BIT_AND] = "&",    [AMON_OP_SHIFT_LEFT] = "<<", [AMON_OP_SHIFT_RIGHT] = ">>",
	[AMON_OP_ADD] = "+",        [AMON_OP_SUBTRACT] = "-",    [AMON_OP_MULTIPLY] = "*",
	[AMON_OP_DIVIDE] = "/",     [AMON_OP_MODULO] = "%",
};

static const char *const hook_words[] = {
	[AMON_HOOK_XDP] = "xdp",
	[AMON_HOOK_TC_INGRESS] = "tc ingress",
	[AMON_HOOK_TC_EGRESS] = "tc egress",
};

static const char *const mode_words[] = {
	[AMON_XDP_ANY] = NULL,
	[AMON_XDP_NATIVE] = "native",
	[AMON_XDP_GENERIC] = "generic",
};

static const struct amon_schema dimension_rows[] = {
	I8(struct amon_dimension, information, "information"),
	I8(struct amon_dimension, time, "time"),
	BOOL(struct amon_dimension, free, "free"),
	END,
};

static const struct amon_schema type_rows[] = {
	WORD(struct amon_type, base, "base", base_words),
	STRUCT(struct amon_type, dimension, "dimension", dimension_rows),
	U8(struct amon_type, bits, "bits"),
	U8(struct amon_type, prefix, "prefix"),
	U8(struct amon_type, prefix6, "prefix6"),
	END,
};

static const struct amon_schema address_rows[] = {
	WORD(struct amon_address, family, "family", family_words),
	{ "bytes", AMON_SCHEMA_HEX, AT(struct amon_address, bytes) },
	U8(struct amon_address, prefix, "prefix"),
	BOOL(struct amon_address, has_prefix, "has_prefix"),
	END,
};

static const struct amon_schema range_rows[] = {
	I64(struct amon_range, low, "low"),
	I64(struct amon_range, high, "high"),
	STRUCT(struct amon_range, address, "address", address_rows),
	STRUCT(struct amon_range, address_high, "address_high", address_rows),
	BOOL(struct amon_range, is_range, "is_range"),
	END,
};

static const struct amon_schema value_rows[] = {
	WORD(struct amon_export_value, kind, "kind", value_words),
	WORD(struct amon_export_value, op, "op", operator_words),
	STRUCT(struct amon_export_value, type, "type", type_rows),
	I64(struct amon_export_value, integer, "integer"),
	{ "real", AMON_SCHEMA_REAL, AT(struct amon_export_value, real) },
	STRUCT(struct amon_export_value, address, "address", address_rows),
	INDEX(struct amon_export_value, section, "section"),
	INDEX(struct amon_export_value, table, "table"),
	INDEX(struct amon_export_value, column, "column"),
	WORD(struct amon_export_value, member, "member", member_words),
	POINTER(struct amon_export_value, left, "left", value_rows),
	POINTER(struct amon_export_value, middle, "middle", value_rows),
	POINTER(struct amon_export_value, right, "right", value_rows),
	ARRAY(struct amon_export_value, ranges, range_count, "ranges", range_rows),
	END,
};

/* `edge_count` is for LINEAR, which has no array of edges. */
static const struct amon_schema buckets_rows[] = {
	WORD(struct amon_buckets, kind, "kind", bucket_words),
	I64(struct amon_buckets, low, "low"),
	I64(struct amon_buckets, high, "high"),
	I64(struct amon_buckets, step, "step"),
	U32(struct amon_buckets, bits, "bits"),
	U32(struct amon_buckets, edge_count, "edge_count"),
	ITEMS(struct amon_buckets, edges, edge_count, "edges", AMON_SCHEMA_NUMBERS, AMON_EXPORT_ITEMS, NULL),
	END,
};

static const char *const kept_words[] = {
	[AMON_KEPT_PLAIN] = NULL,
	[AMON_KEPT_COMPLEMENT] = "complement",
};

static const struct amon_schema layout_rows[] = {
	PLACE(struct amon_layout, value, "value"),
	PLACE(struct amon_layout, count, "count"),
	PLACE(struct amon_layout, squares, "squares"),
	PLACE(struct amon_layout, time, "time"),
	PLACE(struct amon_layout, buckets, "buckets"),
	PLACE(struct amon_layout, has, "has"),
	U32(struct amon_layout, value_size, "value_size"),
	PLACE(struct amon_layout, version, "version"),
	U32(struct amon_layout, bucket_count, "bucket_count"),
	INTEGER(struct amon_layout, has_bit, "has_bit", 0, 7),
	WORD(struct amon_layout, kept, "kept", kept_words),
	END,
};

static const char *const form_words[] = {
	[AMON_FORM_UNSIGNED] = NULL,
	[AMON_FORM_SIGNED] = "signed",
	[AMON_FORM_NETWORK] = "network",
	[AMON_FORM_CPU] = "cpu",
};

static const char *const map_words[] = {
	[AMON_MAP_ARRAY] = "array",       [AMON_MAP_PERCPU_ARRAY] = "percpu_array",
	[AMON_MAP_HASH] = "hash",         [AMON_MAP_PERCPU_HASH] = "percpu_hash",
	[AMON_MAP_LRU_HASH] = "lru_hash", [AMON_MAP_LRU_PERCPU_HASH] = "lru_percpu_hash",
	[AMON_MAP_LPM_TRIE] = "lpm_trie", [AMON_MAP_QUEUE] = "queue",
	[AMON_MAP_STACK] = "stack",       [AMON_MAP_RINGBUF] = "ringbuf",
};

static const struct amon_schema source_rows[] = {
	U32(struct amon_export_source, offset, "offset"),
	U32(struct amon_export_source, size, "size"),
	WORD(struct amon_export_source, form, "form", form_words),
	END,
};

static const struct amon_schema user_rows[] = {
	WORD(struct amon_export_user, kind, "kind", map_words),
	U32(struct amon_export_user, key_size, "key_size"),
	U32(struct amon_export_user, value_size, "value_size"),
	BOOL(struct amon_export_user, locked, "locked"),
	END,
};

static const struct amon_schema column_rows[] = {
	WORD(struct amon_export_column, kind, "kind", column_words),
	TEXT(struct amon_export_column, name, "name"),
	TEXT(struct amon_export_column, spec_name, "spec_name"),
	TEXT(struct amon_export_column, help, "help"),
	TEXT(struct amon_export_column, unit, "unit"),
	TEXT(struct amon_export_column, ipfix, "ipfix"),
	U32(struct amon_export_column, ipfix_pen, "ipfix_pen"),
	U32(struct amon_export_column, ipfix_id, "ipfix_id"),
	STRUCT(struct amon_export_column, type, "type", type_rows),
	FACTOR(struct amon_export_column, divisor, "divisor"),
	FACTOR(struct amon_export_column, multiplier, "multiplier"),
	{ "aggregation", AMON_SCHEMA_AGGREGATION,
	  AT(struct amon_export_column, aggregation) }, // NOLINT(bugprone-sizeof-expression)
	BOOL(struct amon_export_column, reset, "reset"),
	U63(struct amon_export_column, signature, "signature"),
	STRUCT(struct amon_export_column, buckets, "buckets", buckets_rows),
	STRUCT(struct amon_export_column, layout, "layout", layout_rows),
	POINTER(struct amon_export_column, value, "value", value_rows),
	STRUCT(struct amon_export_column, source, "source", source_rows),
	END,
};

static const struct amon_schema counter_rows[] = {
	TEXT(struct amon_export_counter, name, "name"),
	PLACE(struct amon_export_counter, offset, "offset"),
	END,
};

static const struct amon_schema expire_rows[] = {
	U63(struct amon_export_expire, idle, "idle"),
	U63(struct amon_export_expire, active, "active"),
	NAME(struct amon_export_expire, lives_map, "lives_map"),
	NAME(struct amon_export_expire, shape, "shape"),
	U32(struct amon_export_expire, slot_size, "slot_size"),
	U32(struct amon_export_expire, flow, "flow"),
	BOOL(struct amon_export_expire, keeps, "keeps"),
	BOOL(struct amon_export_expire, evicts, "evicts"),
	END,
};

static const struct amon_schema table_rows[] = {
	TEXT(struct amon_export_table, name, "name"),
	TEXT(struct amon_export_table, help, "help"),
	TEXT(struct amon_export_table, map, "map"),
	NAME(struct amon_export_table, spill_map, "spill_map"),
	NAME(struct amon_export_table, shape, "shape"),
	POINTER(struct amon_export_table, user, "user", user_rows),
	U32(struct amon_export_table, slot_size, "slot_size"),
	BOOL(struct amon_export_table, events, "events"),
	U63(struct amon_export_table, signature, "signature"),
	U63(struct amon_export_table, rows_signature, "rows_signature"),
	U32(struct amon_export_table, key_size, "key_size"),
	U32(struct amon_export_table, record_size, "record_size"),
	U32(struct amon_export_table, size, "size"),
	BOOL(struct amon_export_table, twice, "twice"),
	BOOL(struct amon_export_table, reset, "reset"),
	POINTER(struct amon_export_table, expire, "expire", expire_rows),
	NAME(struct amon_export_table, other_map, "other_map"),
	U32(struct amon_export_table, key_count, "key_count"),
	ARRAY(struct amon_export_table, columns, column_count, "columns", column_rows),
	POINTER(struct amon_export_table, having, "having", value_rows),
	U32(struct amon_export_table, top, "top"),
	INDEX(struct amon_export_table, top_by, "top_by"),
	PLACE(struct amon_export_table, selected, "selected"),
	PLACE(struct amon_export_table, in_rows, "in_rows"),
	PLACE(struct amon_export_table, other, "other"),
	ARRAY(struct amon_export_table, unaccounted, unaccounted_count, "unaccounted", counter_rows),
	END,
};

static const struct amon_schema hook_rows[] = {
	WORD(struct amon_hook, kind, "kind", hook_words),
	BOOL(struct amon_hook, choice, "choice"),
	WORD(struct amon_hook, mode, "mode", mode_words),
	END,
};

static const struct amon_schema part_rows[] = {
	TEXT(struct amon_export_part, map, "map"),
	PLACE(struct amon_export_part, offset, "offset"),
	U32(struct amon_export_part, size, "size"),
	BOOL(struct amon_export_part, twice, "twice"),
	U63(struct amon_export_part, signature, "signature"),
	POINTER(struct amon_export_part, user, "user", user_rows),
	END,
};

static const struct amon_schema memory_rows[] = {
	TEXT(struct amon_export_memory, map, "map"),
	NAME(struct amon_export_memory, rows, "rows"),
	U32(struct amon_export_memory, size, "size"),
	U32(struct amon_export_memory, windows, "windows"),
	U32(struct amon_export_memory, key_size, "key_size"),
	U32(struct amon_export_memory, value_size, "value_size"),
	U63(struct amon_export_memory, signature, "signature"),
	PLACE(struct amon_export_memory, seen, "seen"),
	PLACE(struct amon_export_memory, life, "life"),
	U63(struct amon_export_memory, idle, "idle"),
	END,
};

static const struct amon_schema section_rows[] = {
	TEXT(struct amon_export_section, name, "name"),
	ITEMS(struct amon_export_section, hooks, hook_count, "hooks", AMON_SCHEMA_INLINE, AMON_HOOK_COUNT, hook_rows),
	BOOL(struct amon_export_section, coarse, "coarse"),
	BOOL(struct amon_export_section, runs_users, "runs_users"),
	ARRAY(struct amon_export_section, parts, part_count, "parts", part_rows),
	U32(struct amon_export_section, record_size, "record_size"),
	U63(struct amon_export_section, signature, "signature"),
	BOOL(struct amon_export_section, reset, "reset"),
	PLACE(struct amon_export_section, seen, "seen"),
	PLACE(struct amon_export_section, selected, "selected"),
	ARRAY(struct amon_export_section, malformed, malformed_count, "malformed", counter_rows),
	ARRAY(struct amon_export_section, columns, column_count, "columns", column_rows),
	ARRAY(struct amon_export_section, tables, table_count, "tables", table_rows),
	U32(struct amon_export_section, user_count, "user_count"),
	ARRAY(struct amon_export_section, privates, private_count, "privates", table_rows),
	ARRAY(struct amon_export_section, memories, memory_count, "memories", memory_rows),
	END,
};

static const struct amon_schema program_rows[] = {
	TEXT(struct amon_export_program, name, "name"),
	WORD(struct amon_export_program, hook, "hook", hook_words),
	END,
};

const struct amon_schema amon_exports_schema[] = {
	TEXT(struct amon_exports, probe, "probe"),
	TEXT(struct amon_exports, help, "help"),
	U63(struct amon_exports, window, "window"),
	BOOL(struct amon_exports, announces, "announces"),
	BOOL(struct amon_exports, uses_vlan, "uses_vlan"),
	ARRAY(struct amon_exports, programs, program_count, "programs", program_rows),
	ARRAY(struct amon_exports, sections, section_count, "sections", section_rows),
	ARRAY(struct amon_exports, columns, column_count, "columns", column_rows),
	END,
};
