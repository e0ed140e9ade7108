/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AMON_CHECK_H
#define AMON_CHECK_H

#include "aggregations.h"
#include "fields.h"
#include "syntax.h"
#include "user_file.h"

/*
 * The checked probe: names resolved, lets and params substituted, constants folded, types and dimensions known.
 * Nothing in it can be wrong, so that plan and emit need no diagnostics.
 */

/* Limits of docs/language.md. */
#define AMON_MAX_TABLES          16
#define AMON_MAX_SECTION_METRICS 1024
#define AMON_MAX_TABLE_METRICS   256
#define AMON_MAX_KEY             64
#define AMON_MAX_LAID_KEY        (AMON_MAX_KEY + 8) /* and the number of its row's life */
#define AMON_MAX_EVENT           256
#define AMON_MAX_RECORD          16384
#define AMON_MAX_SIZE            (1u << 28)
#define AMON_DEFAULT_SIZE        65536
#define AMON_DEFAULT_EVENTS      4096
/* Of one expression, its lets written out. */
#define AMON_MAX_NODES 4096
#define AMON_MAX_DEPTH 1000

enum amon_value_kind {
	AMON_VALUE_INTEGER,  /* integer: INT (with its dimension), TIME, or BOOL (0, 1) */
	AMON_VALUE_REAL,     /* real; exports only */
	AMON_VALUE_ADDRESS,  /* address: bytes, masked where it is a prefix */
	AMON_VALUE_FIELD,    /* field */
	AMON_VALUE_SLICE,    /* payload, offset, width: big-endian; INT, any 64-bit number for 8 bytes */
	AMON_VALUE_PROTOCOL, /* layers: BOOL, any of them is there */
	AMON_VALUE_PRESENT,  /* left has a value: BOOL */
	AMON_VALUE_UNARY,    /* op left: NOT, NEGATE, COMPLEMENT */
	AMON_VALUE_BINARY,   /* left op right; not IN */
	AMON_VALUE_IN,       /* left in ranges[]: BOOL */
	AMON_VALUE_CHOICE,   /* left ? middle : right */
	AMON_VALUE_CAST,     /* left cut to `width` bytes, sign-extended where `is_signed` */
	AMON_VALUE_ABS,
	AMON_VALUE_MIN,
	AMON_VALUE_MAX,
	AMON_VALUE_PREFIX, /* left with all but type.prefix (NET: prefix, prefix6) bits cleared */
	AMON_VALUE_MEMORY, /* column, what it remembered before this packet; `asked`: of the row that the packet's key
	                      selects in column->table */
	AMON_VALUE_ROW,    /* table: the packet's key selects a row there: BOOL */
	/* exports only */
	AMON_VALUE_COLUMN, /* column, member */
	AMON_VALUE_WINDOW, /* the time that the values cover: INT of time 1; `integer` is 1 where that is since the
	                      start */
	AMON_VALUE_LOG2,
	AMON_VALUE_SQRT,
};

/** One item of a set. INT: [low, high], signed. Addresses: all whose first `prefix` bits are `address`'s, or [address,
 * address_high]. */
struct amon_range {
	int64_t low, high;
	struct amon_address address;
	struct amon_address address_high;
	bool is_range; /* of addresses: address to address_high, both included */
};

enum amon_member { AMON_MEMBER_VALUE, AMON_MEMBER_COUNT, AMON_MEMBER_SUM };

struct amon_column;

struct amon_value {
	enum amon_value_kind kind;
	enum amon_operator op;
	struct amon_type type;
	struct amon_span span;
	int64_t integer;
	double real;
	struct amon_address address;
	const struct amon_field *field;
	const struct amon_payload *payload;
	uint32_t offset, width;
	bool is_signed;
	uint32_t layers;
	struct amon_value *left, *middle, *right;
	const struct amon_range *ranges;
	uint32_t range_count;
	const struct amon_column *column;
	enum amon_member member;
	const struct amon_table *table;
	bool asked;
	/* What the value is made of, counted as if each let were written out: at most AMON_MAX_NODES and
	   AMON_MAX_DEPTH. Lets share nodes, so this is no tree; it is safe to recurse on. */
	uint32_t nodes, depth;
};

/** What a read returns of metrics: at one instant with all others, what came since the last read. */
struct amon_timing {
	bool snapshot, reset;
};

enum amon_column_kind {
	AMON_COLUMN_KEY,
	AMON_COLUMN_METRIC,
	AMON_COLUMN_DERIVE,
	AMON_COLUMN_END, /* exports only: why the row ended; the last of its table */
};

/** A key, metric or derive. */
struct amon_column {
	enum amon_column_kind kind;
	const char *name;        /* in the spec; a key that is a plain field has the field's name */
	const char *exported;    /* `as "…"`, or the name */
	const char *help, *unit; /* NULL for none; the unit's name as written */
	const char *ipfix;
	uint32_t ipfix_pen, ipfix_id;
	struct amon_type type; /* of the exported value before its unit's conversion */
	/* `unit seconds` on nanoseconds: exported = value / divisor or value * multiplier, both 1 where there is
	 * nothing to do */
	uint64_t divisor, multiplier;
	struct amon_span span;                      /* of the statement's head, for the comment in the C */
	struct amon_value *value;                   /* KEY, DERIVE */
	bool port_key;                              /* l4.srcport, l4.dstport as a key: 0 where absent */
	const struct amon_aggregation *aggregation; /* METRIC */
	struct amon_value *argument;                /* NULL for count(); of a fold what the next packet makes it */
	struct amon_value *initial;                 /* of a fold: its value before the row's first packet */
	uint32_t width;                             /* of a fold, in bytes */
	bool is_signed, is_state;                   /* of a fold */
	uint32_t begun;                             /* of a fold: behind those whose values it begins with */
	const struct amon_user_member *member;      /* of a user's map: what it is there, or a CPU's number */
	const struct amon_column *narrowed; /* of a previous value: whose `where` lets packets come; NULL: all */
	struct amon_buckets buckets;        /* histogram */
	struct amon_value *where;           /* NULL: always; METRIC */
	bool where_known;                   /* it has been read */
	struct amon_timing timing;          /* METRIC outside tables */
	bool once; /* reads frame.segments or memory in its argument or where, or is a fold: sees a super-packet once */
	struct amon_table *table;     /* NULL: of the section or probe */
	struct amon_section *section; /* NULL: of the probe */
	uint32_t order; /* of the statement in its block, so that metrics and derives are exported as they were written
	                 */
	struct amon_column *next;
};

struct amon_columns {
	struct amon_column *first, **last;
	uint32_t count;
};

/**
 * What a section, or each row of a table, remembers from packet to packet: previous values and states. Folds that are
 * metrics are remembered, too, and stand among those.
 */
struct amon_memory {
	struct amon_columns items;
	bool asked; /* other statements read it in the row that a packet's key selects */
};

/** When a table's rows end: they are flows then. Times in nanoseconds. */
struct amon_expire {
	struct amon_span span;   /* of the whole clause; source NULL: rows do not end */
	uint64_t idle, active;   /* INT64_MAX: never */
	struct amon_value *when; /* NULL: none */
	uint64_t linger;
	bool keeps; /* rows that are open are exported, too */
};

/** A table, or `events`: then each packet that it selects is a row of its own, and has keys alone. */
struct amon_table {
	const char *name, *help;
	bool events;
	bool is_private;       /* its rows are not exported: they have states alone */
	struct amon_span span; /* head */
	struct amon_memory memory;
	struct amon_columns keys, metrics,
	        derives;          /* each in the order of the spec; `order` is a column's place among all */
	struct amon_value *where; /* its own: attribute and statements, and-ed; NULL: none */
	struct amon_span where_span;
	uint32_t size;
	enum amon_overflow { AMON_OVERFLOW_OTHER, AMON_OVERFLOW_DROP, AMON_OVERFLOW_EVICT } overflow;
	struct amon_value *having; /* NULL: none */
	struct amon_timing timing; /* of its rows and their counters */
	struct amon_expire expire;
	uint32_t top; /* 0: none */
	const struct amon_column *top_by;
	struct amon_section *section;
	struct amon_table *next;
};

/** A map of a user's file that is exported: as a table, or as metrics of its section. */
struct amon_user_export {
	const char *name, *help;
	struct amon_span span; /* head */
	const struct amon_statement *statement;
	const struct amon_user_map *map;
	bool is_table;
	struct amon_columns keys, metrics; /* of a list, keys alone; of no table, metrics alone */
	struct amon_timing timing;
	struct amon_section *section;
	struct amon_user_export *next;
};

/** A user's file of C, which a section runs for each packet that it selects. */
struct amon_user {
	const struct amon_user_file *file;
	struct amon_span span; /* head of its statement */
	struct amon_user_export *exports, **last;
	struct amon_user *next;
};

enum amon_hook_kind {
	AMON_HOOK_XDP,
	AMON_HOOK_TC_INGRESS,
	AMON_HOOK_TC_EGRESS,
	AMON_HOOK_COUNT,
};

enum amon_xdp_mode { AMON_XDP_ANY, AMON_XDP_NATIVE, AMON_XDP_GENERIC };

/** A hook as the spec asks for it; `choice` is `ingress` alone: native XDP where the interface has it, else TC. */
struct amon_hook {
	enum amon_hook_kind kind; /* XDP for a choice */
	bool choice;
	enum amon_xdp_mode mode;
	struct amon_span span;
};

struct amon_section {
	const char *name;
	struct amon_span span; /* head */
	struct amon_hook hooks[AMON_HOOK_COUNT];
	uint32_t hook_count;
	struct amon_value *where; /* the probe's and its own, and-ed; NULL: none */
	bool coarse;
	struct amon_timing timing; /* of all that is in it */
	struct amon_columns metrics, derives;
	struct amon_memory memory;
	struct amon_table *tables;
	uint32_t table_count;
	struct amon_user *users;
	struct amon_section *next;
};

struct amon_probe {
	const char *name, *help;
	const struct amon_source *source;
	uint64_t window; /* nanoseconds; 0: none */
	struct amon_section *sections;
	uint32_t section_count;
	struct amon_columns derives; /* of the probe */
	bool uses_vlan;              /* a field or protocol of vlan. is used: the NIC must not strip tags under XDP */
};

/** A `-D NAME=VALUE`. */
struct amon_define {
	const char *name, *value;
	bool used;
};

struct amon_check_options {
	struct amon_define *defines;
	uint32_t define_count;
	const struct amon_user_file *users; /* one for each `source` of the file */
	uint32_t user_count;
};

/** True where they have the same value in every packet, as far as their form tells. */
bool amon_same_value(const struct amon_value *a, const struct amon_value *b);

/** A key of a table asks another for its row, which must be found before. */
bool amon_keys_ask(const struct amon_table *table, const struct amon_table *other);

/**
 * Checks a file. All errors and warnings go to the diagnostics, which also hold the parser's: a statement that is wrong
 * is left out and the others are checked all the same. Returns the probe, or NULL where any error stands in the
 * diagnostics.
 */
struct amon_probe *amon_check(struct amon_arena *arena, const struct amon_file *file,
                              const struct amon_check_options *options, struct amon_diagnostics *diagnostics);

#endif
