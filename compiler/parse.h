/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AMON_PARSE_H
#define AMON_PARSE_H

/*
 * What grammar/amon.l and amon.y share with the files beside them: literal.c (numbers, addresses, strings), syntax.c
 * (expressions), statement.c (statements and their attributes), recover.c (tokens, blocks, what happens after an
 * error), complain.c (the wording of syntax errors). Private to the parser.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "compiler/arena.h"
#include "compiler/diagnostic.h"
#include "compiler/syntax.h"

/** Bytes [start, end) of the source that is parsed. */
struct amon_range {
	uint32_t start, end;
};

enum amon_attribute_kind {
	AMON_ATTRIBUTE_WHERE,
	AMON_ATTRIBUTE_UNIT,
	AMON_ATTRIBUTE_AS,
	AMON_ATTRIBUTE_IPFIX,
	AMON_ATTRIBUTE_HELP,
	AMON_ATTRIBUTE_SNAPSHOT,
	AMON_ATTRIBUTE_RESET,
	AMON_ATTRIBUTE_AGGREGATE,
	AMON_ATTRIBUTE_SIZE,
	AMON_ATTRIBUTE_OVERFLOW,
	AMON_ATTRIBUTE_EXPIRE,
	AMON_ATTRIBUTE_HAVING,
	AMON_ATTRIBUTE_TOP,
	AMON_ATTRIBUTE_IDLE,
	AMON_ATTRIBUTE_ACTIVE,
	AMON_ATTRIBUTE_WHEN,
	AMON_ATTRIBUTE_LINGER,
	AMON_ATTRIBUTE_KINDS,
};

/** An attribute as it stood in the text, before its statement takes it. */
struct amon_attribute {
	enum amon_attribute_kind kind;
	struct amon_span span;
	struct amon_syntax *value;
	struct amon_name name;
	uint32_t pen, id;              /* IPFIX */
	struct amon_attribute *inside; /* EXPIRE: its clauses */
	struct amon_attribute *next;
};

/** What a token or a rule of the grammar is worth. Lists are rings, see AMON_APPEND. */
union amon_value {
	struct amon_name name;
	struct amon_syntax *syntax;
	struct amon_attribute *attribute;
	struct amon_hook_syntax *hook;
	struct amon_key_syntax *key;
	struct amon_names *names;
	struct amon_statement *statement;
	bool flag;
};

struct amon_token {
	int kind;
	union amon_value value;
	struct amon_range range;
	int previous;    /* the kind of the token before it */
	uint32_t before; /* where that ends */
};

struct amon_parser {
	struct amon_arena *arena;
	const struct amon_source *source;
	struct amon_diagnostics *diagnostics;
	struct amon_statement *statements; /* the text's, once it is parsed: a ring */
	struct amon_comment **last_comment;

	void *scanner;
	uint32_t offset;           /* of what the scanner reads next */
	uint32_t stray_end;        /* of the last character that means nothing */
	struct amon_token scanned; /* the last that the scanner gave */
	struct amon_token token;   /* the last that the parser took */
	struct amon_token held[2]; /* to be taken again, the last one first */
	unsigned int held_count;
	int statement; /* the kind of token that began the statement at hand, or 0 */

	int braces; /* that are open at `token` */
	struct amon_open_block {
		uint32_t offset;        /* of its brace */
		int braces;             /* how many were open behind it */
	} blocks[AMON_NESTING_MAX + 1]; /* the last is passed over, not parsed */
	unsigned int block_count;
	unsigned int depth; /* of the expression at hand */
	bool ended;         /* that the text ends too early has been said */
};

/* A list is built as a ring: the grammar holds its last element, whose `next` is the first. */
#define AMON_APPEND(last, item)                                                                                        \
	({                                                                                                             \
		__typeof__(item) item_ = (item);                                                                       \
		__typeof__(item) last_ = (last);                                                                       \
		if (item_ && last_) {                                                                                  \
			item_->next = last_->next;                                                                     \
			last_->next = item_;                                                                           \
		} else if (item_) {                                                                                    \
			item_->next = item_;                                                                           \
		}                                                                                                      \
		item_ ? item_ : last_;                                                                                 \
	})
/* Opens the ring: the first element, with the last one's `next` NULL. */
#define AMON_LIST(last)                                                                                                \
	({                                                                                                             \
		__typeof__(last) last_ = (last), first_ = NULL;                                                        \
		if (last_) {                                                                                           \
			first_ = last_->next;                                                                          \
			last_->next = NULL;                                                                            \
		}                                                                                                      \
		first_;                                                                                                \
	})

static inline struct amon_span amon_span_of(const struct amon_parser *parser, struct amon_range range)
{
	return (struct amon_span){ parser->source, range.start, range.end };
}

/** The scanner: 0, or -errno. */
int amon_scan_open(struct amon_parser *parser);
void amon_scan_close(struct amon_parser *parser);
/** Reads one token from the text. */
int amon_scan(union amon_value *value, struct amon_range *range, void *scanner);

/** literal.c: what cannot be is reported, and gives a literal all the same. */
struct amon_syntax *amon_literal_number(struct amon_parser *parser, struct amon_range range, const char *text);
struct amon_syntax *amon_literal_address(struct amon_parser *parser, struct amon_range range, const char *text);
/** The content of a string between its quotes, escapes resolved. */
struct amon_name amon_literal_string(struct amon_parser *parser, struct amon_range range, const char *text,
                                     size_t length);

/** syntax.c: expressions. Those that return NULL have said that the tree is too deep. */
struct amon_name amon_name_new(struct amon_parser *parser, struct amon_range range, const char *text, size_t length);
struct amon_syntax *amon_syntax_new(struct amon_parser *parser, enum amon_syntax_kind kind, struct amon_range range);
struct amon_syntax *amon_syntax_name(struct amon_parser *parser, struct amon_name name);
struct amon_syntax *amon_syntax_string(struct amon_parser *parser, struct amon_name content);
struct amon_syntax *amon_syntax_call(struct amon_parser *parser, struct amon_range range, struct amon_name name,
                                     struct amon_syntax *arguments);
struct amon_syntax *amon_syntax_items(struct amon_parser *parser, enum amon_syntax_kind kind, struct amon_range range,
                                      struct amon_syntax *items);
struct amon_syntax *amon_syntax_slice(struct amon_parser *parser, struct amon_range range, struct amon_name name,
                                      const struct amon_syntax *offset, const struct amon_syntax *width);
struct amon_syntax *amon_syntax_range(struct amon_parser *parser, struct amon_range range, struct amon_syntax *low,
                                      struct amon_syntax *high);
struct amon_syntax *amon_syntax_unary(struct amon_parser *parser, struct amon_range range, enum amon_operator op,
                                      struct amon_range op_range, struct amon_syntax *operand);
struct amon_syntax *amon_syntax_binary(struct amon_parser *parser, struct amon_range range, struct amon_syntax *left,
                                       enum amon_operator op, struct amon_range op_range, struct amon_syntax *right);
struct amon_syntax *amon_syntax_choice(struct amon_parser *parser, struct amon_range range,
                                       struct amon_syntax *condition, struct amon_syntax *yes, struct amon_syntax *no);
struct amon_syntax *amon_syntax_group(struct amon_parser *parser, struct amon_range range, struct amon_syntax *inside);
struct amon_syntax *amon_syntax_argument(struct amon_name name, struct amon_syntax *value);
/** What stands behind `in`. */
struct amon_syntax *amon_syntax_members(struct amon_parser *parser, struct amon_syntax *value);
/** `=` between two expressions, taken for `==`. */
void amon_syntax_not_equals(struct amon_parser *parser, struct amon_range range);
/** Goes one level down in an expression; false, with an error, where that is too deep. */
bool amon_syntax_enter(struct amon_parser *parser, struct amon_range range);

/** statement.c */
struct amon_attribute *amon_attribute_new(struct amon_parser *parser, enum amon_attribute_kind kind,
                                          struct amon_range range, struct amon_syntax *value, struct amon_name name);
struct amon_attribute *amon_attribute_ipfix(struct amon_parser *parser, struct amon_range range,
                                            const struct amon_syntax *pen, const struct amon_syntax *id);
struct amon_hook_syntax *amon_hook_new(struct amon_parser *parser, struct amon_range range, bool egress,
                                       struct amon_name type, struct amon_name mode);
struct amon_key_syntax *amon_key_new(struct amon_parser *parser, struct amon_name name, struct amon_syntax *value);
struct amon_names *amon_names_new(struct amon_parser *parser, struct amon_name name);

/** A statement in `range`, with the attributes behind it, of which each may stand once and not all may stand behind
 * each kind. */
struct amon_statement *amon_statement_new(struct amon_parser *parser, enum amon_statement_kind kind,
                                          struct amon_range range, struct amon_name name,
                                          struct amon_attribute *attributes);
/** The same with a value; a metric's and a state's must be an aggregation. */
struct amon_statement *amon_statement_value(struct amon_parser *parser, enum amon_statement_kind kind,
                                            struct amon_range range, struct amon_name name, struct amon_syntax *value,
                                            struct amon_attribute *attributes);
struct amon_statement *amon_statement_fold(struct amon_parser *parser, enum amon_statement_kind kind,
                                           struct amon_range range, const struct amon_name *name_and_type,
                                           struct amon_syntax *initial, struct amon_syntax *next,
                                           struct amon_attribute *attributes);
/** Puts a block (a ring), in front of which the head ends at `head_end`, behind a statement; what cannot stand in it is
 * reported and left out. */
struct amon_statement *amon_statement_block(struct amon_parser *parser, struct amon_statement *statement,
                                            uint32_t head_end, struct amon_statement *body);
/** The same for the list of what stands in the text itself (no ring): returns what may stand there. */
struct amon_statement *amon_statement_place_file(struct amon_parser *parser, struct amon_statement *body);
/** Whether a statement of this kind may stand in a section. */
bool amon_statement_is_of_section(enum amon_statement_kind kind);

/** recover.c: the parser's view of the tokens. */
void amon_next_token(struct amon_parser *parser);
/** Gives the token back: it comes again. */
void amon_hold_token(struct amon_parser *parser);
/** Blocks nested too deeply are passed over, with an error. */
void amon_open_block(struct amon_parser *parser, struct amon_range brace);
void amon_close_block(struct amon_parser *parser);
/**
 * After an error: goes on behind the statement's `;` or block, before the brace that closes the block around it, or
 * before the next statement. `pending`: the parser holds a token that it has not used.
 */
void amon_recover_statement(struct amon_parser *parser, bool pending);
/** After an error in front of a block: opens the block; an empty one where there is none. */
void amon_recover_block(struct amon_parser *parser, bool pending);

/** complain.c */
struct amon_word {
	const char *text;
	int token;
	bool reserved;    /* cannot be a name */
	const char *form; /* how the statement that it begins is written, or NULL */
};
/** NULL where the word is a name like any other. */
const struct amon_word *amon_word_find(const char *text, size_t length);
const struct amon_word *amon_word_of_token(int token);
/** One message for a token that cannot stand where it stands; the expected ones by the names that the grammar gives
 * them. */
void amon_complain_token(struct amon_parser *parser, const char *const *expected, size_t count);
/** A part of the source in back quotes, cut where it is long. */
const char *amon_quote(struct amon_parser *parser, struct amon_range range);
void amon_complain_nesting(struct amon_parser *parser, struct amon_range range);

/** The grammar (bison). */
int amon_yyparse(struct amon_parser *parser);
int amon_yylex(union amon_value *value, struct amon_range *range, struct amon_parser *parser);

#endif
