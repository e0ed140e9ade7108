/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AMON_PLAN_H
#define AMON_PLAN_H

#include "check.h"
#include "exports.h"
#include "lines.h"

/*
 * The plan decides everything that emit writes and the export table tells: which headers are walked, what of a packet
 * is kept, how records and keys lie in memory, which maps and programs there are.
 */

/** A program may use 64 maps; a per-CPU value ends at 32 KiB. */
#define AMON_MAX_MAPS         64
#define AMON_MAX_PERCPU_VALUE 32768

/** What can be wrong with a packet: the first header that is not whole. */
enum amon_cause {
	AMON_CAUSE_WHOLE,
	AMON_CAUSE_ETH_TRUNCATED,
	AMON_CAUSE_VLAN_TRUNCATED,
	AMON_CAUSE_PPPOE_TRUNCATED,
	AMON_CAUSE_MPLS_TRUNCATED,
	AMON_CAUSE_ARP_TRUNCATED,
	AMON_CAUSE_IP_TRUNCATED,
	AMON_CAUSE_IP_HEADER, /* version or header length */
	AMON_CAUSE_IP_LENGTH, /* shorter than the header */
	AMON_CAUSE_EXTENSION_TRUNCATED,
	AMON_CAUSE_TCP_TRUNCATED,
	AMON_CAUSE_TCP_LENGTH, /* header length below 20, or past the IP packet */
	AMON_CAUSE_UDP_TRUNCATED,
	AMON_CAUSE_SCTP_TRUNCATED,
	AMON_CAUSE_ICMP_TRUNCATED,
	AMON_CAUSE_ICMPV6_TRUNCATED,
	AMON_CAUSE_OVERSIZED, /* at generic XDP: a super-packet, which nothing tells there */
	AMON_CAUSE_UNSIZED,   /* a super-packet whose wire packets' sizes are not told */
	AMON_CAUSE_COUNT,
};

/** In generated C ("TCP_TRUNCATED") and, in lower case, in the ledger. */
extern const char *const amon_cause_names[AMON_CAUSE_COUNT];

/** A member of struct packet. */
struct amon_plan_member {
	const struct amon_field *field; /* the first field that uses it */
	bool pair;                      /* with the next: two words of one header, side by side, stored as one */
};

struct amon_plan_slice {
	const struct amon_payload *payload;
	uint32_t offset, width;
	const char *member; /* "udp_payload_8_4"; has_ before it says whether it is there */
};

/**
 * Where packets of a block have the clock read, if nobody did before: not, or elsewhere; ahead of the block's `where`,
 * which reads the time; behind it; behind a table's key.
 */
enum amon_clock { AMON_CLOCK_NOT, AMON_CLOCK_AHEAD, AMON_CLOCK_BEHIND, AMON_CLOCK_ROW };

struct amon_plan_metric {
	const struct amon_column *column;
	bool clock;         /* has the clock read, by packets that its `where` lets through */
	unsigned int parts; /* the aggregation's; of what is remembered, no more than packets need */
	bool is_signed;     /* the least or greatest of numbers that may be negative */
	const char *member, *count, *squares, *time, *buckets, *version; /* C names of the parts; NULL: not there */
	const char *has, *has_word; /* that of its bit, and of the member which that is in */
	uint32_t has_bit;           /* of the member */
	struct amon_layout layout;
};

struct amon_plan_record {
	const char *tag; /* struct TAG */
	struct amon_plan_metric *metrics;
	uint32_t metric_count, size;
	const char *has;              /* the member with the bits of all metrics that have one; NULL: none has */
	uint32_t has_size, has_words; /* bytes of a word, and how many there are */
};

struct amon_plan_key {
	const struct amon_column *column;
	const char *member, *has; /* `has`: of an event, where it may have no value; else NULL */
	uint32_t offset, size, has_offset;
};

enum amon_ledger {
	AMON_LEDGER_SELECTED,
	AMON_LEDGER_IN_ROWS,
	AMON_LEDGER_OTHER,
	AMON_LEDGER_NO_KEY,
	AMON_LEDGER_FULL,
	AMON_LEDGER_BUSY,
	AMON_LEDGER_NO_MEMORY,
	AMON_LEDGER_FAILED,
	AMON_LEDGER_COUNT
};

/**
 * What `expire` adds to a table: how long each key's row lives, on each CPU; both clones share that. What packets
 * remember says it itself: then there is no map of lives.
 */
struct amon_plan_expire {
	const char *lives_map, *shape, *slot_tag; /* names in C; NULL: told by the memory */
	uint32_t slot_size, life;                 /* life: the offset in the key of the number of the row's life */
};

struct amon_plan_table {
	const struct amon_table *table;
	struct amon_plan_expire *expire;                  /* NULL: its rows do not end */
	const char *function, *map, *other_map, *key_tag; /* a private table has no map but that of its memory */
	/* rows of each CPU's own: what finds no place there spills; NULL: events */
	const char *spill_map, *slot_tag, *shape;
	uint32_t slot_size;
	struct amon_plan_key *keys;      /* in the order of the spec */
	struct amon_plan_key **laid_out; /* in the order of memory */
	uint32_t key_count, key_size, key_used;
	uint32_t ring_size; /* bytes, of events */
	uint32_t version;   /* offset of the key's version byte; UINT32_MAX: no NET part */
	struct amon_plan_record record;
	const char *counters[AMON_LEDGER_COUNT]; /* members of the section's record; NULL: cannot happen */
	uint32_t counter_offsets[AMON_LEDGER_COUNT];
	enum amon_clock clock;
	bool once;                         /* has metrics that see a super-packet once */
	bool twice;                        /* each clone has its own rows */
	const struct amon_plan_part *part; /* that has its counters */
	struct amon_plan_memory *memory;   /* NULL: remembers nothing */
	bool reads;                        /* memory, be it its own or another's */
	const char *find;                  /* function that looks up a row that is asked for; NULL: none */
	bool found;                        /* plan's own: it is in the order of those */
};

/** What a block remembers of folds that are metrics and begin together: with each window, or once. */
struct amon_plan_folds {
	const char *tag, *member;       /* of the struct, and of it in the memory */
	const char *before, *asked;     /* as of the memory's */
	const char *left;               /* as the packet left them, where its row is found behind them; else NULL */
	struct amon_plan_record record; /* behind `window` and `order` */
	bool anew;                      /* with each window; of two windows at a time, by the parity of their numbers */
};

/**
 * What a section or the rows of a table remember, in one map that clones and CPUs share. A packet reads and changes it
 * under its lock; or exchanges it, where it is one number with a bit that says whether there is one.
 */
struct amon_plan_memory {
	const char *map, *other_map; /* other: of the table's row `other`; NULL for none */
	const char *tag, *state_tag; /* of the map's value, and of what is in it beside its lock and folds */
	const char *before, *asked;  /* what a packet finds in its row, and in the one asked for; NULL: none is asked */
	const char *leaves;          /* whether a reader may be taking out what is in the row; NULL: none ever does */
	const char *life; /* the number of the row that the packet is in; NULL: it does not end by `expire` */
	struct amon_plan_record state; /* behind `seen`; its `size` is 0 where there is nothing */
	struct amon_plan_folds folds[2];
	uint32_t fold_count;
	bool seen;           /* notes the window of the last packet */
	uint32_t seen_at;    /* where, in the value */
	bool ends;           /* after a whole window without a packet */
	bool expires;        /* with its flow: `struct life` lies behind the lock */
	uint64_t idle;       /* the silence that ends it then, in nanoseconds; INT64_MAX: none does */
	uint32_t number;     /* among the probe's that expire */
	bool swept;          /* and goes with its row */
	bool asks_itself;    /* the table's own `where` reads it, before there is a row */
	uint32_t value_size; /* the lock included */
	bool exchanged;      /* without a lock */
};

/** A map of a user's file, as its rows or its part of the section's record are read. */
struct amon_plan_export {
	const struct amon_user_export *export;
	struct amon_layout *keys, *metrics; /* of the columns, in their order */
	uint32_t key_size, record_size;
	uint32_t offset; /* of a part: in what is read of the section */
	bool twice;
};

/** Of a section's records: those of clones and the one that they share. */
#define AMON_PLAN_PARTS 2

/**
 * A section's record, and the map that holds it, an entry of one. What a snapshot reads lies in a map of each clone's
 * own, all else in one that they share, so a section may have two.
 */
struct amon_plan_part {
	const char *map, *pointer; /* names in C */
	struct amon_plan_record record;
	uint32_t offset; /* in what the runtime reads: all parts, one behind the other */
	bool twice;      /* each clone has its own */
};

struct amon_plan_section {
	const struct amon_section *section;
	const char *function;
	struct amon_plan_part parts[AMON_PLAN_PARTS]; /* the ledger of the section is in the first */
	uint32_t part_count;
	struct amon_plan_table *tables;
	uint32_t table_count;
	uint32_t seen, selected, malformed; /* offsets */
	const char *seen_member, *selected_member, *malformed_member;
	const char *time; /* the member of struct packet that has this section's time: its clock is exact, or coarse */
	const char *tick; /* and the one that has the coarse clock's */
	enum amon_clock clock;
	bool weighted; /* runs at TC, where a run may stand for several wire packets */
	bool shared;   /* its functions are verified apart, and read the packet through volatile */
	bool once;
	struct amon_plan_export *exports; /* of its users' maps: in the order of the spec */
	uint32_t export_count;
	const char *selects;             /* function that tells which packets they see; NULL: all, or there are none */
	struct amon_plan_memory *memory; /* its own; NULL: none */
	const char *before;              /* struct and per-CPU map: what a packet finds remembered; NULL: nothing is */
	bool numbered;                   /* needs the number of the window */
	bool swept;                      /* a table's memory is */
	bool looks;                      /* its `where`, or a table's, or a key reads memory */
	bool where_looks;                /* its own `where` does */
	bool finds_own;                  /* a row that is not there may begin with what the section remembers */
	struct amon_plan_table **asked;  /* each behind those whose rows its keys ask for */
	uint32_t asked_count;
};

struct amon_plan {
	struct amon_arena *arena;
	const struct amon_probe *probe;
	struct amon_plan_section *sections;
	uint32_t section_count;
	bool programs[AMON_HOOK_COUNT];
	bool announces;     /* exports.h */
	bool exact, coarse; /* clocks that are read: those of the sections that ask for the time */
	bool choice;        /* some section says `ingress` alone */
	uint32_t layers;    /* whose presence some condition or key asks for */
	uint32_t walked;    /* that the parser walks */
	bool causes[AMON_CAUSE_COUNT];
	struct amon_plan_member *members;
	uint32_t member_count;
	struct amon_plan_slice *slices;
	uint32_t slice_count;
	bool scratch; /* struct packet is too large for the stack */
	bool walks_extensions, parses;
	bool own_rows;     /* some table has rows of each CPU's own */
	bool expires;      /* and some has rows that end */
	bool numbered;     /* some section needs the number of the window, or what a reader is doing */
	uint32_t expiring; /* memories that expire */
	bool plain;        /* most packets are read before the parser is called, which takes the others (plain.h) */
	uint32_t packet_size, map_count;
};

/**
 * Plans a checked probe. What a limit of the kernel forbids (a record over 16 KiB, more than 64 maps) is an error in
 * the diagnostics, and NULL is returned.
 */
struct amon_plan *amon_plan(struct amon_arena *arena, const struct amon_probe *probe,
                            struct amon_diagnostics *diagnostics);

/** True where a section is counted by the program of this hook. */
bool amon_plan_runs_at(const struct amon_section *section, enum amon_hook_kind hook);
/** True of what the parser stores by 8 bytes: pairs of words, and addresses of 16 bytes. */
bool amon_plan_is_aligned(const struct amon_plan_member *member);
/** The program's name in the C and in the object. */
const char *amon_program_name(enum amon_hook_kind hook);

/** What a slot of this size begins at a multiple of: one that fits into a cache line lies in one. */
uint32_t amon_plan_slot_alignment(uint32_t slot_size);

/** Of a member of so many bytes, an address's too. */
uint32_t amon_plan_alignment(uint32_t size);
/** The member's type in a key or record: "__u16", "__be32[4]". */
const char *amon_plan_c_type(enum amon_base base, uint32_t size);

/**
 * Numbers that are equal where two specs mean the same (plan_signature.c): the packets of a section; the rows of a
 * table, but not what they hold; a metric; and all that a map holds, byte by byte.
 */
uint64_t amon_section_signature(const struct amon_section *section);
uint64_t amon_table_signature(const struct amon_table *table);
uint64_t amon_metric_signature(const struct amon_column *column);
uint64_t amon_rows_signature(const struct amon_plan_table *table);
uint64_t amon_memory_signature(const struct amon_plan_section *section, const struct amon_plan_table *table);
uint64_t amon_export_signature(const struct amon_plan_export *export);
uint64_t amon_part_signature(const struct amon_plan *plan, const struct amon_plan_section *section,
                             const struct amon_plan_part *part);

/** The export table of a plan. */
struct amon_exports *amon_plan_exports(const struct amon_plan *plan);

/**
 * The C of a plan, self-contained; NUL-terminated, in the plan's arena. The same plan gives the same bytes. `lines` is
 * filled with what of the spec they stand for, in the same arena.
 */
char *amon_emit(const struct amon_plan *plan, struct amon_lines *lines);

#endif
