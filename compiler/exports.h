/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AMON_EXPORTS_H
#define AMON_EXPORTS_H

#include "aggregations.h"
#include "check.h"

/*
 * The export table: the only contract between compiler and runtime. It is derived from the plan, travels inside the
 * object (section .amon.exports, as JSON), and says for every map what its bytes mean and how they merge.
 */

#define AMON_EXPORTS_SECTION ".amon.exports"
#define AMON_EXPORTS_VERSION 2

/** Packets and bytes, 8 bytes each, at an offset of the section's record. */
struct amon_export_counter {
	const char *name; /* malformed cause, unaccounted cause */
	uint32_t offset;
};

struct amon_export_column {
	enum amon_column_kind kind;
	const char *name; /* as exported */
	const char *spec_name;
	const char *help, *unit, *ipfix; /* "" for none */
	uint32_t ipfix_pen, ipfix_id;
	struct amon_type type;
	uint64_t divisor, multiplier;
	const struct amon_aggregation *aggregation; /* METRIC */
	bool reset;                                 /* METRIC outside tables: a read returns what came since the last */
	uint64_t signature;                         /* METRIC: equal where another spec's means the same */
	struct amon_buckets buckets;
	struct amon_layout
	        layout; /* METRIC: in the record. KEY: value, value_size (numbers: 1, 2, 4, 8), version in the key */
	struct amon_export_value *value;  /* DERIVE */
	struct amon_export_source source; /* KEY, METRIC of a user's map */
};

/**
 * A map of a user's C, behind a table, or behind a part of a section's record (an array of one entry).
 *
 * What is read of it becomes a row as those of amon's own tables are, by the columns' `source`: numbers take 8 bytes
 * there (`layout.value_size`; `type.bits` 64: without a sign), addresses as many as they have. So the rest of amon
 * need not know where a row came from.
 *   keys     columns of kind KEY, from the map's key. Of a list, from its values: it has keys alone
 *   values   columns of kind METRIC, whose aggregation says what becomes of several CPUs: `aggregate sum` is sum,
 *            avg mean, min and max (without a sign: amon_aggregation_least, amon_aggregation_most). With `aggregate
 *            none`, and of maps that CPUs share, it is amon_aggregation_value: there is nothing to merge
 *   none     a key column more, of form CPU: a row for each CPU that is possible, whether there or not
 * Locks and timers are no columns.
 */
struct amon_export_user {
	enum amon_map_kind kind;
	uint32_t key_size, value_size; /* the map's own. Lists have no keys; of a RINGBUF, a record's size */
	bool locked;                   /* values hold a bpf_spin_lock, under which they are read and emptied */
};

/** Of a row that ends, struct flow of its record, and in that why it ended; struct life (bpf-templates/flow.h). */
#define AMON_FLOW_SIZE   48
#define AMON_FLOW_REASON 40
#define AMON_LIFE_SIZE   32

/** Of a table whose rows end: they are parts of flows, which user space puts together. See runtime/flows.h. */
struct amon_export_expire {
	uint64_t idle, active; /* nanoseconds; INT64_MAX: never */
	/* ARRAY, an entry for each CPU: 64 bytes, and slots of `slot_size`. `shape` is as that of a table's rows. NULL:
	 * packets remember something of the rows, and how long they live. */
	const char *lives_map, *shape;
	uint32_t slot_size;
	uint32_t flow; /* where struct flow lies in a record (bpf-templates/flow.h) */
	bool keeps;    /* rows that are open are exported, too, with each read */
	bool evicts;   /* the row that was not seen for longest makes room for a new one */
};

/** Expressions at export: derive, having. Columns are named by place, not pointer. */
struct amon_export_value {
	enum amon_value_kind kind; /* INTEGER, REAL, ADDRESS, UNARY, BINARY, IN, CHOICE, ABS, MIN, MAX, PRESENT, COLUMN,
	                              WINDOW, LOG2, SQRT */
	enum amon_operator op;
	struct amon_type type;
	int64_t integer;
	double real;
	struct amon_address address;
	struct amon_export_value *left, *middle, *right;
	struct amon_range *ranges;
	uint32_t range_count;
	/* COLUMN: section -1 is the probe; table -1 is the section's own (or probe's) columns */
	int32_t section, table, column;
	enum amon_member member;
};

struct amon_export_table {
	const char *name, *help;
	/*
	 * ARRAY, mapped, one entry, of all CPUs and clones: a pool of rows (`slot_size`: key, record), and for each CPU
	 * and clone an index of those that are its own, as bpf-templates/own.h and runtime/own.h have them. `shape`, a
	 * constant, is the words of amon_own_shape. What finds no place there is in `spill_map`, a HASH whose values
	 * have a record for each CPU.
	 */
	const char *map, *spill_map, *shape; /* of a private table `map` is that of its memory, the others NULL */
	const struct amon_export_user *user; /* `map` is a user's: no spill, shape, slots, `other` row or ledger */
	uint32_t slot_size;
	uint64_t signature, rows_signature; /* what makes a row; and all that its maps hold */
	bool events; /* RINGBUF instead: every packet is a row of its own, in the order of time, and has keys alone */
	uint32_t key_size, record_size, size;
	bool twice;                        /* each clone has its own maps */
	bool reset;                        /* a read returns what came since the last */
	struct amon_export_expire *expire; /* NULL: rows do not end */
	/* PERCPU_ARRAY of one entry of record_size: the `other` row; NULL: overflow drop. (Not inside the section's
	   record: a per-CPU value ends at 32 KiB.) */
	const char *other_map;
	struct amon_export_column *columns; /* keys, then metrics and derives in the order of the spec */
	uint32_t column_count, key_count;
	struct amon_export_value *having; /* NULL: none */
	uint32_t top;                     /* 0: none */
	int32_t top_by;                   /* a column */
	/* the ledger, in the section's record */
	uint32_t selected, in_rows, other; /* packets and bytes; `other` UINT32_MAX where overflow is drop */
	struct amon_export_counter *unaccounted;
	uint32_t unaccounted_count;
};

/** A map that holds a part of a section's record: a PERCPU_ARRAY of one entry. */
struct amon_export_part {
	const char *map;
	uint32_t offset, size;               /* in the record; parts lie one behind the other, and fill it */
	bool twice;                          /* each clone has its own map */
	uint64_t signature;                  /* of all that it holds */
	const struct amon_export_user *user; /* a user's map instead: the columns whose layout lies here */
};

/** A map of what is remembered from packet to packet. All clones share it, and no window cuts it. */
struct amon_export_memory {
	const char *map; /* a HASH, of a table's rows; or an ARRAY of one entry, with a key of 4 bytes */
	/*
	 * The HASH holds all rows that there can be in so many windows: of the table whose map this is, on all CPUs, or
	 * of a private one of this size, whose rows it is itself; NULL. Of an ARRAY `windows` is 0.
	 */
	const char *rows;
	uint32_t size, windows;
	uint32_t key_size, value_size;
	uint64_t signature; /* of all that it holds */
	uint32_t seen;      /* in the value, 8 bytes: the window of the last packet. UINT32_MAX: no window ends a row */
	uint32_t life;      /* in the value: struct life. UINT32_MAX: no row ends by `expire` */
	uint64_t idle;      /* nanoseconds of silence that end it then; INT64_MAX: none do */
};

struct amon_export_section {
	const char *name;
	struct amon_export_part *parts;
	uint32_t part_count;
	uint32_t record_size; /* of all parts */
	uint64_t signature;   /* which packets are counted */
	bool reset;           /* the ledger, but for tables', is what came since the last read */
	struct amon_hook hooks[AMON_HOOK_COUNT];
	uint32_t hook_count;
	bool coarse;
	bool runs_users;                    /* and so needs frames as they are, also in a replay */
	struct amon_export_column *columns; /* metrics and derives in the order of the spec */
	uint32_t column_count;
	struct amon_export_table *tables; /* amon's own, then those of users' maps */
	uint32_t table_count, user_count;
	struct amon_export_table *privates; /* of which no row is read, and only the ledger exported */
	uint32_t private_count;
	struct amon_export_memory *memories;
	uint32_t memory_count;
	uint32_t seen, selected; /* packets and bytes */
	struct amon_export_counter *malformed;
	uint32_t malformed_count;
};

struct amon_export_program {
	const char *name; /* in the object */
	enum amon_hook_kind hook;
};

struct amon_exports {
	const char *probe, *help;
	uint64_t window;
	bool announces; /* windows are so short that programs tell when they are done, rather than a grace period */
	bool uses_vlan;
	struct amon_export_program *programs;
	uint32_t program_count;
	struct amon_export_section *sections;
	uint32_t section_count;
	struct amon_export_column *columns; /* derives of the probe */
	uint32_t column_count;
};

/** All tables that have a ledger, private ones behind the others. */
static inline uint32_t amon_ledger_count(const struct amon_export_section *section)
{
	return section->table_count - section->user_count + section->private_count;
}

static inline const struct amon_export_table *amon_ledger_table(const struct amon_export_section *section,
                                                                uint32_t index)
{
	uint32_t own = section->table_count - section->user_count;

	return index < own ? &section->tables[index] : &section->privates[index - own];
}

/** Rows are in the order in which they came, and have keys alone. */
static inline bool amon_table_is_list(const struct amon_export_table *table)
{
	return table->events || (table->user && amon_map_is_list(table->user->kind));
}

/** The table as JSON text (NUL-terminated, in the arena). The same table gives the same bytes. */
char *amon_exports_encode(struct amon_arena *arena, const struct amon_exports *exports);
/**
 * Reads one back. Returns NULL, and a message in *error (in the arena), where the text is not an export table of this
 * version or anything in it is out of bounds: no offset that the runtime follows can leave its record.
 */
struct amon_exports *amon_exports_decode(struct amon_arena *arena, const char *json, size_t length, const char **error);

#endif
