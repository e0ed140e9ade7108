/* SPDX-License-Identifier: Apache-2.0 */
#include "compiler/syntax.h"

#include <string.h>

#include "compiler/parse.h"

const char *amon_operator_text(enum amon_operator op)
{
	static const char *const texts[] = {
		[AMON_OP_NONE] = "",        [AMON_OP_NOT] = "not",       [AMON_OP_NEGATE] = "-",
		[AMON_OP_COMPLEMENT] = "~", [AMON_OP_OR] = "or",         [AMON_OP_AND] = "and",
		[AMON_OP_EQ] = "==",        [AMON_OP_NE] = "!=",         [AMON_OP_LT] = "<",
		[AMON_OP_GT] = ">",         [AMON_OP_LE] = "<=",         [AMON_OP_GE] = ">=",
		[AMON_OP_IN] = "in",        [AMON_OP_BIT_OR] = "|",      [AMON_OP_BIT_XOR] = "^",
		[AMON_OP_BIT_AND] = "&",    [AMON_OP_SHIFT_LEFT] = "<<", [AMON_OP_SHIFT_RIGHT] = ">>",
		[AMON_OP_ADD] = "+",        [AMON_OP_SUBTRACT] = "-",    [AMON_OP_MULTIPLY] = "*",
		[AMON_OP_DIVIDE] = "/",     [AMON_OP_MODULO] = "%",
	};
	return texts[op];
}

struct amon_name amon_name_new(struct amon_parser *parser, struct amon_range range, const char *text, size_t length)
{
	return (struct amon_name){ amon_arena_copy(parser->arena, text, length), amon_span_of(parser, range) };
}

struct amon_syntax *amon_syntax_new(struct amon_parser *parser, enum amon_syntax_kind kind, struct amon_range range)
{
	struct amon_syntax *syntax = amon_new(parser->arena, struct amon_syntax);
	syntax->kind = kind;
	syntax->span = amon_span_of(parser, range);
	syntax->depth = 1;
	return syntax;
}

struct amon_syntax *amon_syntax_name(struct amon_parser *parser, struct amon_name name)
{
	struct amon_range range = { name.span.start, name.span.end };
	struct amon_syntax *syntax = amon_syntax_new(parser, AMON_SYNTAX_NAME, range);
	syntax->text = name.text;
	return syntax;
}

struct amon_syntax *amon_syntax_string(struct amon_parser *parser, struct amon_name content)
{
	struct amon_syntax *syntax = amon_syntax_name(parser, content);
	syntax->kind = AMON_SYNTAX_STRING;
	return syntax;
}

/* Puts a tree under its parent; false, with an error, where the parent's is then too deep. */
static bool adopt(struct amon_parser *parser, struct amon_syntax *parent, const struct amon_syntax *child)
{
	if (child->depth >= AMON_TREE_DEPTH_MAX) {
		amon_error(parser->diagnostics, parent->span,
		           "the expression is too long: more than %d operators in a chain", AMON_TREE_DEPTH_MAX - 1)
		        ->suggestion = "name parts of it with `let`";
		return false;
	}
	if (child->depth >= parent->depth)
		parent->depth = child->depth + 1;
	return true;
}

static struct amon_syntax *take_items(struct amon_parser *parser, struct amon_syntax *parent, struct amon_syntax *last)
{
	parent->arguments = AMON_LIST(last);
	for (const struct amon_syntax *item = parent->arguments; item; item = item->next)
		if (!adopt(parser, parent, item))
			return NULL;
	return parent;
}

struct amon_syntax *amon_syntax_call(struct amon_parser *parser, struct amon_range range, struct amon_name name,
                                     struct amon_syntax *arguments)
{
	struct amon_syntax *syntax = amon_syntax_new(parser, AMON_SYNTAX_CALL, range);
	syntax->text = name.text;
	return take_items(parser, syntax, arguments);
}

struct amon_syntax *amon_syntax_items(struct amon_parser *parser, enum amon_syntax_kind kind, struct amon_range range,
                                      struct amon_syntax *items)
{
	return take_items(parser, amon_syntax_new(parser, kind, range), items);
}

static uint32_t small_number(struct amon_parser *parser, const struct amon_syntax *number)
{
	if (number->integer >= 0 && number->integer <= UINT32_MAX)
		return (uint32_t)number->integer;
	amon_error(parser->diagnostics, number->span, "the number is over %u", UINT32_MAX);
	return 0;
}

struct amon_syntax *amon_syntax_slice(struct amon_parser *parser, struct amon_range range, struct amon_name name,
                                      const struct amon_syntax *offset, const struct amon_syntax *width)
{
	struct amon_syntax *syntax = amon_syntax_new(parser, AMON_SYNTAX_SLICE, range);
	syntax->text = name.text;
	syntax->offset = small_number(parser, offset);
	syntax->width = width ? small_number(parser, width) : 1;
	return syntax;
}

struct amon_syntax *amon_syntax_range(struct amon_parser *parser, struct amon_range range, struct amon_syntax *low,
                                      struct amon_syntax *high)
{
	struct amon_syntax *syntax = amon_syntax_new(parser, AMON_SYNTAX_RANGE, range);
	syntax->left = low;
	syntax->right = high;
	return adopt(parser, syntax, low) && adopt(parser, syntax, high) ? syntax : NULL;
}

struct amon_syntax *amon_syntax_unary(struct amon_parser *parser, struct amon_range range, enum amon_operator op,
                                      struct amon_range op_range, struct amon_syntax *operand)
{
	struct amon_syntax *syntax = amon_syntax_new(parser, AMON_SYNTAX_UNARY, range);
	syntax->op = op;
	syntax->op_span = amon_span_of(parser, op_range);
	syntax->left = operand;
	return adopt(parser, syntax, operand) ? syntax : NULL;
}

static bool compares(enum amon_operator op)
{
	return op >= AMON_OP_EQ && op <= AMON_OP_IN;
}

static void check_chain(struct amon_parser *parser, const struct amon_syntax *left, enum amon_operator op,
                        struct amon_range op_range)
{
	if (!compares(op) || left->kind != AMON_SYNTAX_BINARY || !compares(left->op) || left->grouped)
		return;
	const char *first = amon_operator_text(left->op), *second = amon_operator_text(op);
	amon_error(parser->diagnostics, amon_span_of(parser, op_range), "comparisons do not chain")->suggestion =
	        amon_arena_printf(parser->arena, "`a %s b %s c` is written `a %s b and b %s c`", first, second, first,
	                          second);
}

struct amon_syntax *amon_syntax_binary(struct amon_parser *parser, struct amon_range range, struct amon_syntax *left,
                                       enum amon_operator op, struct amon_range op_range, struct amon_syntax *right)
{
	struct amon_syntax *syntax = amon_syntax_new(parser, AMON_SYNTAX_BINARY, range);
	check_chain(parser, left, op, op_range);
	syntax->op = op;
	syntax->op_span = amon_span_of(parser, op_range);
	syntax->left = left;
	syntax->right = right;
	return adopt(parser, syntax, left) && adopt(parser, syntax, right) ? syntax : NULL;
}

struct amon_syntax *amon_syntax_choice(struct amon_parser *parser, struct amon_range range,
                                       struct amon_syntax *condition, struct amon_syntax *yes, struct amon_syntax *no)
{
	struct amon_syntax *syntax = amon_syntax_new(parser, AMON_SYNTAX_CHOICE, range);
	syntax->left = condition;
	syntax->middle = yes;
	syntax->right = no;
	return adopt(parser, syntax, condition) && adopt(parser, syntax, yes) && adopt(parser, syntax, no) ? syntax
	                                                                                                   : NULL;
}

struct amon_syntax *amon_syntax_group(struct amon_parser *parser, struct amon_range range, struct amon_syntax *inside)
{
	inside->grouped = true;
	inside->span = amon_span_of(parser, range);
	return inside;
}

struct amon_syntax *amon_syntax_argument(struct amon_name name, struct amon_syntax *value)
{
	value->argument = name;
	return value;
}

struct amon_syntax *amon_syntax_members(struct amon_parser *parser, struct amon_syntax *value)
{
	if (value->kind == AMON_SYNTAX_NAME || value->kind == AMON_SYNTAX_ADDRESS)
		return value;
	struct amon_range range = { value->span.start, value->span.end };
	amon_error(parser->diagnostics, value->span, "`in` asks for a set, a range, a prefix or a name of one")
	        ->suggestion =
	        amon_arena_printf(parser->arena, "for one value, write `== %s", amon_quote(parser, range) + 1);
	return amon_syntax_items(parser, AMON_SYNTAX_SET, range, AMON_APPEND(NULL, value));
}

void amon_syntax_not_equals(struct amon_parser *parser, struct amon_range range)
{
	amon_error(parser->diagnostics, amon_span_of(parser, range), "`=` names a value; `==` compares")->suggestion =
	        "write `==`";
}

bool amon_syntax_enter(struct amon_parser *parser, struct amon_range range)
{
	if (parser->depth >= AMON_NESTING_MAX) {
		amon_complain_nesting(parser, range);
		return false;
	}
	parser->depth++;
	return true;
}
