/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AMON_CHECK_INTERNAL_H
#define AMON_CHECK_INTERNAL_H

/*
 * What the files check*.c share. The phases, in order:
 *   check_bind.c     every block and every name that the text defines
 *   check_section.c  settings, `where`, lets, metrics (check_metric.c, check_buckets.c), memory (check_memory.c) and
 *                    tables (check_table.c): all that is computed for packets
 *   check_source.c   what users' C exports
 *   check_derive.c   all that is computed at export, which needs the types of the former
 *   check_never.c    warnings about what can never hold
 * Expressions: check_expression.c walks the tree and hands its parts to check_functions.c, check_set.c,
 * check_operators.c, check_address.c and check_export.c; check_dimension.c says what goes together, check_fold.c
 * computes constants and check_value.c makes the nodes.
 */

#include <stddef.h>

#include "arena.h"
#include "check.h"
#include "diagnostic.h"

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

/* How deep an expression may be once its lets are looked through, while it is read. */
#define CHECK_DEPTH_MAX 2000

struct check {
	struct amon_arena *arena;
	struct amon_diagnostics *diagnostics;
	const struct amon_check_options *options;
	struct amon_probe *probe;
	struct amon_section **last_section;
	bool broken;         /* the parser found errors: what is missing may have stood there */
	unsigned int depth;  /* of the expression that is being read, through its lets and derives */
	struct name *asking; /* the let, state or derive that is being read */
	uint32_t folds;      /* that have been read so far */
	bool remembers;      /* what is being read asks for the previous packet of whichever section uses it */
};

/* --- names (check_names.c) */

enum name_kind {
	NAME_LET = 1 << 0,
	NAME_PARAM = 1 << 1,
	NAME_STATE = 1 << 2,
	NAME_KEY = 1 << 3,
	NAME_METRIC = 1 << 4,
	NAME_DERIVE = 1 << 5,
	NAME_TABLE = 1 << 6,
	NAME_SECTION = 1 << 7,
	NAME_PROBE = 1 << 8,
	NAME_EVENTS = 1 << 10,
	NAME_FOLD = 1 << 11, /* a metric that packets can read, too */
	NAME_MAP = 1 << 12,  /* of a user's: a table, or metrics called NAME.MEMBER */
	NAME_LATER = 1 << 9, /* whatever else of a later version has a name */
};
#define NAME_COLUMNS (NAME_KEY | NAME_METRIC | NAME_FOLD | NAME_DERIVE)
/* What packets read; one of these must not hide another. */
#define NAME_PACKETS (NAME_LET | NAME_PARAM | NAME_MEMORY)
#define NAME_MEMORY  (NAME_STATE | NAME_FOLD)

/* One item of a set, checked by itself; what it is compared with is known where the set is used. */
struct item {
	struct amon_value *low, *high; /* high: NULL unless a range */
	struct item *next;
};

struct items {
	struct item *first, **last;
	uint32_t count;
};

struct name {
	enum name_kind kind;
	const char *text;
	struct amon_span span;
	struct block *block; /* where it was defined */
	const struct amon_statement *statement;
	const struct amon_syntax *syntax; /* LET, PARAM (the one that -D gave), DERIVE, a key's expression */
	enum { NAME_UNREAD, NAME_READING, NAME_READ } state;
	struct amon_value *value; /* LET, PARAM, once read; NULL for a set */
	struct items *items;      /* LET, PARAM: of a set */
	bool uses_vlan;           /* LET: whoever uses it reads VLAN tags */
	bool remembers;           /* LET outside sections: each section that uses it has previous packets of its own */
	struct amon_column *column; /* KEY, METRIC, FOLD, STATE, DERIVE; its type is NONE until it is known, and where
	                               it is wrong */
	struct block *inside;       /* TABLE, SECTION */
	struct name *asked_by;      /* while READING */
	struct name *next, *next_alike;
};

#define BLOCK_BUCKETS 64

struct block {
	struct block *outer;
	const struct amon_statement *statement; /* NULL: the file */
	struct name *first, **last;             /* in the order of the text */
	struct name *buckets[BLOCK_BUCKETS];
	struct amon_section *section;
	struct amon_table *table;
	struct amon_columns *derives; /* where this block's go */
	uint32_t order;               /* of the next column */
	bool open;                    /* `use` would bring names that are not known */
	bool biflow;                  /* a key was `biflow` */
	struct block *first_inside, **last_inside, *next;
};

struct block *check_block_new(struct check *check, struct block *outer, const struct amon_statement *statement);
/* Defines a name. Where it is reserved or taken, that is said, and it is kept all the same so that what it names is
 * checked. */
struct name *check_name_define(struct check *check, struct block *block, enum name_kind kind, struct amon_name name,
                               const struct amon_statement *statement);
/* Complains where no such thing may bear the name. */
void check_name_reserved(struct check *check, enum name_kind kind, struct amon_name name);
/* Notes a word in a block of its own; gives the first that was noted where it is one already. */
const struct name *check_name_once(struct check *check, struct block *block, const char *text, struct amon_span span);
/* Looks in the block and those around it, inner first, for names of these kinds. */
struct name *check_name_find(const struct block *block, const char *text, unsigned int kinds);
struct name *check_name_find_here(const struct block *block, const char *text, unsigned int kinds);
/* True where `text` may be the name of something that has been refused already. */
bool check_name_excused(const struct check *check, const struct block *block);

/* What a misspelt word may have been. */
struct candidates {
	struct check *check;
	const char **words;
	size_t count, room;
};
void check_candidate(struct candidates *candidates, const char *word);
void check_candidates_in(struct candidates *candidates, const struct block *block, unsigned int kinds);
void check_candidates_fields(struct candidates *candidates);
/* Sets the suggestion where one of them is close to `word`. */
void check_suggest(struct amon_diagnostic *diagnostic, struct candidates *candidates, const char *word);
/* "did you mean", formatted into the arena */
void check_help(struct check *check, struct amon_diagnostic *diagnostic, const char *format, ...)
        __attribute__((format(printf, 3, 4)));

/* The one sentence for what is not there yet: "`state` comes with a later version". */
void check_later(struct check *check, struct amon_span span, const char *what);

/* --- timing (check_timing.c) */

/* What the block's own statements add to what stands around it. */
struct amon_timing check_timing(const struct block *block, struct amon_timing outer);
void check_timing_table(const struct block *block);
/* Of a metric; what cannot be exact is an error. */
void check_timing_column(struct check *check, struct amon_column *column, const struct amon_attributes *attributes);

/* --- values (check_value.c) */

enum world { WORLD_PACKET, WORLD_EXPORT };

/* Where an expression stands. */
struct place {
	struct check *check;
	struct block *block;
	enum world world;
	struct block *home; /* whose previous packets are meant: a section or table; a probe or file: those of the
	                       section that uses it; NULL: there are none */
	struct amon_column *narrowed; /* whose `where` lets packets come to this place; NULL: all of its home's do */
};

struct amon_value *check_value_new(struct check *check, enum amon_value_kind kind, struct amon_span span,
                                   struct amon_type type);
/* What stands for an expression with an error: its type is NONE, and nobody complains about it again. */
struct amon_value *check_nothing(struct check *check, struct amon_span span);
struct amon_value *check_integer(struct check *check, struct amon_span span, int64_t integer, struct amon_type type);
struct amon_value *check_real(struct check *check, struct amon_span span, double real, struct amon_dimension dimension);
struct amon_value *check_bool(struct check *check, struct amon_span span, bool value);
struct amon_value *check_unary(struct check *check, enum amon_value_kind kind, struct amon_span span,
                               struct amon_type type, struct amon_value *left);
struct amon_value *check_binary(struct check *check, enum amon_value_kind kind, struct amon_span span,
                                struct amon_type type, struct amon_value *left, struct amon_value *right);
/* Counts what the value is made of; gives it back, or nothing, with an error, where that is too much. */
struct amon_value *check_weigh(struct check *check, struct amon_value *value);
/* The value as it is written at another place. */
struct amon_value *check_value_at(struct check *check, const struct amon_value *value, struct amon_span span);

bool check_is_nothing(const struct amon_value *value);
bool check_is_constant(const struct amon_value *value);
bool check_is_number(const struct amon_value *value);
bool check_is_address(enum amon_base base);
struct amon_type check_number_type(enum amon_base base, struct amon_dimension dimension, unsigned int bits);
#define CHECK_BOOL ((struct amon_type){ .base = AMON_BASE_BOOL })
#define CHECK_FREE ((struct amon_dimension){ .free = true })
#define CHECK_TIME ((struct amon_dimension){ .time = 1 })

/* --- dimensions (check_dimension.c) */

/* "bytes", "a time", "an IPv4 address" */
const char *check_type_text(struct check *check, struct amon_type type);
const char *check_value_text(struct check *check, const struct amon_value *value);
/* What two numbers that are added, compared or chosen between measure; false, with an error, where they do not go
 * together. */
bool check_beside(struct check *check, struct amon_span span, const struct amon_value *left,
                  const struct amon_value *right, struct amon_dimension *dimension);
/* left * right^power; false, with an error, where the exponents leave what is sensible. */
bool check_times(struct check *check, struct amon_span span, struct amon_dimension left, struct amon_dimension right,
                 int power, struct amon_dimension *dimension);

/* --- operators */

/* check_operators.c; all give nothing where an operand is nothing */
struct amon_value *check_operate_unary(const struct place *place, enum amon_operator op, struct amon_span span,
                                       struct amon_value *left);
struct amon_value *check_operate(const struct place *place, enum amon_operator op, struct amon_span span,
                                 struct amon_value *left, struct amon_value *right);
struct amon_value *check_choose(const struct place *place, struct amon_span span, struct amon_value *condition,
                                struct amon_value *yes, struct amon_value *no);
/* Says why a value is no number; true where it is one. */
bool check_want_number(struct check *check, const struct amon_value *value);
/* The same for a number without decimals. */
bool check_want_integer(struct check *check, const struct amon_value *value);
bool check_want_condition(struct check *check, const struct amon_value *value);
/* The type of min(left, right) and the like: what both are; false, with an error, where they are not alike. */
bool check_alike(struct check *check, struct amon_span span, const struct amon_value *left,
                 const struct amon_value *right, struct amon_type *type);

/* check_address.c */
struct amon_value *check_address(struct check *check, const struct amon_syntax *syntax);
bool check_addresses_meet(struct check *check, struct amon_span span, const struct amon_value *left,
                          const struct amon_value *right);
struct amon_value *check_compare_addresses(struct check *check, enum amon_operator op, struct amon_span span,
                                           struct amon_value *left, struct amon_value *right);
struct amon_value *check_prefix(const struct place *place, const struct amon_syntax *call,
                                struct amon_value **arguments);
bool check_address_in(const struct amon_range *range, const struct amon_address *address);

/* check_fold.c: the constant that an operation on constants gives, or NULL where it has none */
struct amon_value *check_fold_unary(const struct place *place, enum amon_operator op, struct amon_span span,
                                    struct amon_type type, const struct amon_value *left);
struct amon_value *check_fold(const struct place *place, enum amon_operator op, struct amon_span span,
                              struct amon_type type, const struct amon_value *left, const struct amon_value *right);
int64_t check_cut(int64_t value, uint32_t width, bool is_signed);

/* --- sets (check_set.c) */
struct items *check_items(const struct place *place, const struct amon_syntax *set);
struct amon_value *check_in(const struct place *place, const struct amon_syntax *syntax, struct amon_value *left);

/* --- expressions (check_expression.c) */

/* Never NULL: nothing where there was an error. */
struct amon_value *check_expression(const struct place *place, const struct amon_syntax *syntax);
/* The same, of true or false. */
struct amon_value *check_condition(const struct place *place, const struct amon_syntax *syntax);
/* A constant number without a dimension in [low, high]; false, with an error, where it is none. `what` begins the
 * sentence. */
bool check_constant(const struct place *place, const struct amon_syntax *syntax, const char *what, int64_t low,
                    int64_t high, int64_t *result);
/* For a use of a let or param, which reads it the first time; false in a cycle, which is said. */
bool check_use_name(struct check *check, struct name *name, struct amon_span use);
/* Reads it, used or not. */
void check_read_name(struct check *check, struct name *name, struct amon_span use);
/* For what is read when it is asked for: between these two, asking for it again is a cycle. */
bool check_begin_reading(struct check *check, struct name *name, struct amon_span use);
void check_end_reading(struct check *check, struct name *name);
/* The first part of a field of a later version. */
bool check_is_later_field(const char *text);

/* check_functions.c */
struct amon_value *check_call(const struct place *place, const struct amon_syntax *call);
bool check_is_function(const char *name);

/* check_export.c */
struct amon_value *check_export_name(const struct place *place, const struct amon_syntax *syntax);

/* --- memory (check_memory.c) */

/* Whose previous packets are meant in a block's own lets and wheres. */
struct block *check_home(struct block *block);
/* prev() and delta() */
struct amon_value *check_previous(const struct place *place, const struct amon_syntax *call,
                                  struct amon_value **arguments);
/* What a state or fold was before the packet. */
struct amon_value *check_state_value(struct check *check, struct name *name, struct amon_span span);
/* `TABLE` or `TABLE.NAME`; NULL where the name is no table's. */
struct amon_value *check_ask(const struct place *place, const struct amon_syntax *syntax);
/* A state, or a fold that is a metric. */
void check_memory(struct check *check, struct name *name);
/* It, or a part of it, is a MEMORY or ROW. */
bool check_reads_memory(const struct amon_value *value);
/* An address from memory, which only compares; said, where it is one. */
bool check_is_remembered_address(struct check *check, const struct amon_value *value);
/* Complains where tables' keys ask for each other's rows in a circle. */
void check_asked_order(struct check *check, const struct amon_section *section);
/* Complains where a key's expression depends on what rows remember. */
bool check_key_memory(struct check *check, const struct amon_table *table, const struct amon_value *value);

/* --- params (check_param.c) */

/* Reads what the spec says, then what -D says instead. */
void check_read_param(const struct place *place, struct name *name);
/* Complains about -D for what is no param. */
void check_defines(struct check *check, const struct block *block);

/* --- blocks */

/* check_bind.c: gives the probe's block, or NULL, with an error, where there is no probe */
struct block *check_bind(struct check *check, const struct amon_file *file);
/* Sections and tables hang in their probe and section at once; columns only once they are found right. */
struct amon_column *check_column_new(struct check *check, struct block *block, enum amon_column_kind kind,
                                     struct name *name, struct amon_span span);
void check_columns_init(struct amon_columns *columns);
void check_columns_add(struct amon_columns *columns, struct amon_column *column);

/* check_hooks.c */
void check_hooks(struct check *check, struct amon_section *section, const struct amon_statement *statement);
struct amon_name check_section_name(const struct amon_statement *statement);

/* check_section.c: all that is computed for packets */
void check_packets(struct check *check, struct block *probe);
void check_lets(struct check *check, struct block *block);
void check_metrics(struct check *check, struct block *block, struct amon_columns *metrics, uint32_t limit);
/* a and b, either of which may be NULL for none. */
struct amon_value *check_and(struct check *check, struct amon_value *a, struct amon_value *b);
/* The `where` statements of the place's block, and-ed; NULL for none. */
struct amon_value *check_wheres(const struct place *place);

/* check_metric.c */
void check_metric(struct check *check, struct name *name);
bool check_is_later_aggregation(const char *name);
/* It, or a part of it, is `frame.segments`. */
bool check_reads_segments(const struct amon_value *value);
/* The parts that a metric and a state share: the aggregation, its argument and `where`. False, with an error, where
 * they do not fit. */
bool check_aggregation(const struct place *place, struct amon_column *column, const struct amon_syntax *call);
/* What it exports, or packets read. */
struct amon_type check_aggregated_type(struct check *check, const struct amon_column *column);
bool check_column_where(const struct place *place, struct amon_column *column, const struct amon_syntax *where);
/* What a value is in; NULL text for none. */
void check_unit(struct check *check, struct amon_column *column, const struct amon_name *unit);
/* Fills in what stands behind a metric or derive, whose type is known. */
void check_attributes(struct check *check, struct amon_column *column, const struct amon_attributes *attributes);

/* check_buckets.c */
bool check_buckets(const struct place *place, const struct amon_syntax *form, const struct amon_value *argument,
                   struct amon_buckets *buckets);

/* check_table.c */
void check_key_define(struct check *check, struct block *block, const struct amon_key_syntax *key);
void check_table(struct check *check, struct block *block);
/* Complains of `overflow evict` where packets read what the rows remember: known when all tables are checked. */
void check_evicts(struct check *check, const struct block *block);

/* check_source.c */

/* Defines what a `source` exports of its maps. */
void check_source_define(struct check *check, struct block *block, const struct amon_statement *statement);
/* What is read of a section's maps, once its timing is known. */
void check_sources(struct check *check, struct block *section);

/* check_derive.c: all that is computed at export */
void check_exports(struct check *check, struct block *probe);
/* Makes sure that the column's type is known, if it ever will be. */
void check_read_column(struct check *check, struct name *name, struct amon_span use);

/* check_never.c: warns about what can never hold */
void check_never(struct check *check);

#endif
