/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AMON_SYNTAX_H
#define AMON_SYNTAX_H

#include <stdbool.h>
#include <stdint.h>

#include "source.h"

struct amon_arena;
struct amon_diagnostics;

/*
 * The syntax tree: what stood in the text, nothing else. One kind of node for one construct; lists are linked by `next`
 * in the order of the text. Everything lives in the compilation's arena.
 */

/** A word of the text: `net.src`, `flows`. */
struct amon_name {
	const char *text; /* NULL where there is none */
	struct amon_span span;
};

/** How deep a tree may be: 200 for what is nested in the text, more for chains such as `a + b + c`. */
#define AMON_NESTING_MAX    200
#define AMON_TREE_DEPTH_MAX 1000

enum amon_syntax_kind {
	AMON_SYNTAX_INTEGER,  /* integer; also 10k, 64Ki, 1_000, 1e6, 0xff */
	AMON_SYNTAX_DECIMAL,  /* decimal */
	AMON_SYNTAX_PERCENT,  /* decimal: 1% is 0.01 */
	AMON_SYNTAX_DURATION, /* integer: nanoseconds */
	AMON_SYNTAX_BYTES,    /* integer: bytes */
	AMON_SYNTAX_ADDRESS,  /* address */
	AMON_SYNTAX_STRING,   /* text, escapes resolved */
	AMON_SYNTAX_NAME,     /* text: a bare word or a dotted path */
	AMON_SYNTAX_CALL,     /* text(arguments): aggregation, function or cast; argument may be named: `error = 1%` */
	AMON_SYNTAX_SLICE,    /* text[offset:width] */
	AMON_SYNTAX_LIST,     /* [arguments] */
	AMON_SYNTAX_SET,      /* {arguments}; an item may be a RANGE */
	AMON_SYNTAX_RANGE,    /* left .. right */
	AMON_SYNTAX_UNARY,    /* operator left */
	AMON_SYNTAX_BINARY,   /* left operator right; IN has a SET, NAME, ADDRESS or RANGE at its right */
	AMON_SYNTAX_CHOICE,   /* left ? middle : right */
};

enum amon_operator {
	AMON_OP_NONE,
	AMON_OP_NOT,
	AMON_OP_NEGATE,
	AMON_OP_COMPLEMENT,
	AMON_OP_OR,
	AMON_OP_AND,
	AMON_OP_EQ,
	AMON_OP_NE,
	AMON_OP_LT,
	AMON_OP_GT,
	AMON_OP_LE,
	AMON_OP_GE,
	AMON_OP_IN,
	AMON_OP_BIT_OR,
	AMON_OP_BIT_XOR,
	AMON_OP_BIT_AND,
	AMON_OP_SHIFT_LEFT,
	AMON_OP_SHIFT_RIGHT,
	AMON_OP_ADD,
	AMON_OP_SUBTRACT,
	AMON_OP_MULTIPLY,
	AMON_OP_DIVIDE,
	AMON_OP_MODULO,
};

/** How an operator is written: "and", "<<". */
const char *amon_operator_text(enum amon_operator op);

/** An address literal as it was written, in network byte order, and its prefix length. */
struct amon_address {
	enum amon_address_family { AMON_ADDRESS_IPV4, AMON_ADDRESS_IPV6, AMON_ADDRESS_MAC } family;
	uint8_t bytes[16]; /* the first 4, 16 or 6 */
	uint8_t prefix;    /* in bits; 32, 128 or 48 where none was written */
	bool has_prefix;
};

struct amon_syntax {
	enum amon_syntax_kind kind;
	enum amon_operator op;
	struct amon_span span;     /* the whole expression */
	struct amon_span op_span;  /* the operator's token, for UNARY and BINARY */
	const char *text;          /* NAME, STRING, CALL, SLICE: NUL-terminated */
	struct amon_name argument; /* the name of a named argument, where this node is one */
	int64_t integer; /* two's complement where it was written above 2^63-1; over 2^64-1 is an error of the scanner
	                  */
	double decimal;
	struct amon_address address;
	uint32_t offset, width; /* SLICE; width 1 where only an index was written */
	struct amon_syntax *left, *middle, *right;
	struct amon_syntax *arguments; /* CALL, LIST, SET: linked by next */
	bool grouped;                  /* stood in parentheses, which the span includes */
	uint16_t depth;                /* of the tree from here down, at most AMON_TREE_DEPTH_MAX: safe to recurse on */
	struct amon_syntax *next;
};

/** What may stand behind a statement's value, each at most once (a second is an error of the parser). */
struct amon_attributes {
	struct amon_syntax *where;
	struct amon_name unit, as, ipfix, help; /* `as` and `help` hold the string's content */
	uint32_t ipfix_pen, ipfix_id;           /* ipfix 0/87 */
	struct amon_name snapshot, reset, aggregate;
	/* tables and events */
	struct amon_syntax *size, *having, *top;
	struct amon_name top_by, overflow;
	/* expire */
	struct amon_span expire; /* of the whole clause; source NULL where there is none */
	struct amon_syntax *idle, *active, *when, *linger;
};

enum amon_statement_kind {
	AMON_STATEMENT_PROBE,   /* name, help, body */
	AMON_STATEMENT_SECTION, /* hooks, name (as …) or none, body */
	AMON_STATEMENT_LEVEL,   /* name, level, body */
	AMON_STATEMENT_FEATURE, /* name, help, body */
	AMON_STATEMENT_IMPORT,  /* path (value), name (as …) */
	AMON_STATEMENT_USE,     /* names, members, except */
	AMON_STATEMENT_WHERE,   /* value */
	AMON_STATEMENT_LET,     /* name, value (an expression or a SET) */
	AMON_STATEMENT_PARAM,   /* name, value, attributes.help */
	AMON_STATEMENT_METRIC,  /* name, value (a CALL), or a fold: fold_type, value = initial, next_value */
	AMON_STATEMENT_STATE,   /* the same */
	AMON_STATEMENT_DERIVE,  /* name, value */
	AMON_STATEMENT_TABLE,   /* name, private, keys, attributes, body */
	AMON_STATEMENT_EVENTS,  /* name, attributes, keys */
	AMON_STATEMENT_SOURCE,  /* path (value), body of MAPs */
	AMON_STATEMENT_MAP_METRIC,
	AMON_STATEMENT_MAP_TABLE, /* name, map, attributes */
	AMON_STATEMENT_WINDOW,    /* value, keep, reset */
	AMON_STATEMENT_CLOCK,     /* word: coarse */
	AMON_STATEMENT_SAMPLE,    /* value (n), in (m), scaled */
	AMON_STATEMENT_LIMIT,     /* limits: CALL-less list of named arguments in value->arguments */
	AMON_STATEMENT_SNAPSHOT,
	AMON_STATEMENT_RESET,
};

/** `ingress xdp native` */
struct amon_hook_syntax {
	bool egress;
	struct amon_name type, mode; /* text NULL where not written */
	struct amon_span span;
	struct amon_hook_syntax *next;
};

/** A key of a table: an expression, or a name for one. */
struct amon_key_syntax {
	struct amon_name name; /* text NULL where only an expression stands */
	struct amon_syntax *value;
	struct amon_key_syntax *next;
};

struct amon_names {
	struct amon_name name;
	struct amon_names *next;
};

struct amon_statement {
	enum amon_statement_kind kind;
	struct amon_span span; /* from the keyword to the `;` or the closing brace */
	struct amon_span head; /* the same without a body: what a comment in the generated C quotes */
	struct amon_name name, word;
	struct amon_syntax *value, *next_value;
	struct amon_name fold_type; /* text NULL unless a fold */
	struct amon_attributes attributes;
	struct amon_hook_syntax *hooks;
	struct amon_key_syntax *keys;
	struct amon_names *names, *members;
	bool except, is_private, scaled, keep, reset;
	uint64_t sample_in;
	struct {
		struct amon_syntax *when, *until;
		uint64_t when_for, until_for;
	} level;
	struct amon_statement *body; /* linked by next */
	struct amon_statement *next;
};

/** A comment, kept for `amonc fmt`: `#` to the end of the line. */
struct amon_comment {
	struct amon_span span;
	struct amon_comment *next;
};

struct amon_file {
	const struct amon_source *source;
	struct amon_statement *statements; /* IMPORT, LET, PARAM, FEATURE, PROBE; linked by next */
	struct amon_comment *comments;
};

/**
 * Parses one source. Errors of syntax go to the diagnostics, and what is healthy around them is in the tree that is
 * returned (never NULL): the parser picks up at the next `;` or `}`. Neither crashes nor hangs on any bytes; an
 * expression or block nested over 200 deep is an error.
 */
struct amon_file *amon_parse(struct amon_arena *arena, const struct amon_source *source,
                             struct amon_diagnostics *diagnostics);

/**
 * The same for the text behind `-e`: a whole file, a section, or what stands in an `ingress` section. The probe that
 * is missing around it is made (named `probe` in the tree's name "command_line"), with spans into the source as it was
 * given.
 */
struct amon_file *amon_parse_fragment(struct amon_arena *arena, const struct amon_source *source,
                                      struct amon_diagnostics *diagnostics);

#endif
