/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "check_internal.h"

#define ARGUMENTS_MAX 3

struct function {
	const char *name;
	struct amon_value *(*build)(const struct place *place, const struct amon_syntax *call,
	                            struct amon_value **arguments);
	unsigned int least, most; /* arguments */
	uint32_t width;           /* of a cast, in bytes */
	bool packets, exports;
	bool is_signed;
};

static const struct function *function_find(const char *name);

static struct amon_value *cast(const struct place *place, const struct amon_syntax *call, struct amon_value **arguments)
{
	const struct function *function = function_find(call->text);
	struct amon_value *left = arguments[0], *value;
	unsigned int bits = function->is_signed ? 0 : 8 * function->width;

	if (!check_want_integer(place->check, left))
		return check_nothing(place->check, call->span);
	struct amon_type type = check_number_type(AMON_BASE_INT, left->type.dimension, bits);
	if (check_is_constant(left))
		return check_integer(place->check, call->span,
		                     check_cut(left->integer, function->width, function->is_signed), type);
	value = check_unary(place->check, AMON_VALUE_CAST, call->span, type, left);
	value->width = function->width;
	value->is_signed = function->is_signed;
	return value;
}

/* At export a function gives a double; an instant stays one. */
static struct amon_type result_type(const struct place *place, struct amon_type type)
{
	if (place->world == WORLD_EXPORT && type.base == AMON_BASE_INT)
		return check_number_type(AMON_BASE_REAL, type.dimension, 0);
	return type;
}

static struct amon_value *absolute(const struct place *place, const struct amon_syntax *call,
                                   struct amon_value **arguments)
{
	struct amon_value *left = arguments[0];

	if (!check_want_number(place->check, left))
		return check_nothing(place->check, call->span);
	struct amon_type type = result_type(place, left->type);
	if (place->world == WORLD_PACKET && check_is_constant(left))
		return check_integer(place->check, call->span,
		                     left->integer < 0 ? (int64_t)-(uint64_t)left->integer : left->integer, type);
	return check_unary(place->check, AMON_VALUE_ABS, call->span, type, left);
}

static struct amon_value *extreme(const struct place *place, const struct amon_syntax *call,
                                  struct amon_value **arguments)
{
	struct amon_value *left = arguments[0], *right = arguments[1];
	bool smallest = !strcmp(call->text, "min"), left_is_smaller = left->integer < right->integer;
	bool instants = left->type.base == AMON_BASE_TIME && right->type.base == AMON_BASE_TIME;
	struct amon_type type;

	if (!instants && (!check_want_number(place->check, left) || !check_want_number(place->check, right)))
		return check_nothing(place->check, call->span);
	if (!check_alike(place->check, call->span, left, right, &type))
		return check_nothing(place->check, call->span);
	if (place->world == WORLD_PACKET && check_is_constant(left) && check_is_constant(right))
		return check_integer(place->check, call->span, (smallest == left_is_smaller ? left : right)->integer,
		                     type);
	return check_binary(place->check, smallest ? AMON_VALUE_MIN : AMON_VALUE_MAX, call->span,
	                    result_type(place, type), left, right);
}

static bool may_be_absent(const struct amon_value *value)
{
	return value->type.base != AMON_BASE_BOOL || value->kind == AMON_VALUE_FIELD ||
	       value->kind == AMON_VALUE_MEMORY || value->kind == AMON_VALUE_COLUMN;
}

static struct amon_value *present(const struct place *place, const struct amon_syntax *call,
                                  struct amon_value **arguments)
{
	struct amon_value *left = arguments[0];
	struct amon_diagnostic *error;

	if (left->type.base == AMON_BASE_ROWS) {
		check_want_number(place->check, left);
		return check_nothing(place->check, call->span);
	}
	if (may_be_absent(left))
		return check_is_constant(left)
		               ? check_bool(place->check, call->span, true)
		               : check_unary(place->check, AMON_VALUE_PRESENT, call->span, CHECK_BOOL, left);
	error = amon_error(place->check->diagnostics, left->span, "a condition always has a value");
	if (left->kind == AMON_VALUE_PROTOCOL)
		check_help(place->check, error, "a protocol's name alone asks whether it is there");
	return check_nothing(place->check, call->span);
}

static struct amon_value *logarithm(const struct place *place, const struct amon_syntax *call,
                                    struct amon_value **arguments)
{
	struct amon_value *left = arguments[0];
	struct amon_diagnostic *error;

	if (!check_want_number(place->check, left))
		return check_nothing(place->check, call->span);
	if (left->type.dimension.time) {
		error = amon_error(place->check->diagnostics, left->span, "log2() takes a plain number, not %s",
		                   check_value_text(place->check, left));
		check_help(place->check, error, "divide it by its unit first, for example by `1ms`");
		return check_nothing(place->check, call->span);
	}
	return check_unary(place->check, AMON_VALUE_LOG2, call->span,
	                   check_number_type(AMON_BASE_REAL, (struct amon_dimension){ 0 }, 0), left);
}

static struct amon_value *square_root(const struct place *place, const struct amon_syntax *call,
                                      struct amon_value **arguments)
{
	struct amon_value *left = arguments[0];
	struct amon_dimension dimension = left->type.dimension;

	if (!check_want_number(place->check, left))
		return check_nothing(place->check, call->span);
	if (dimension.information % 2 || dimension.time % 2) {
		amon_error(place->check->diagnostics, left->span, "sqrt() of %s has no unit",
		           check_value_text(place->check, left));
		return check_nothing(place->check, call->span);
	}
	dimension.information /= 2;
	dimension.time /= 2;
	return check_unary(place->check, AMON_VALUE_SQRT, call->span, check_number_type(AMON_BASE_REAL, dimension, 0),
	                   left);
}

/* THE table of functions; aggregations are another (aggregations.c). */
/* clang-format off: one row a function */
static const struct function functions[] = {
	{ "u8", cast, 1, 1, .width = 1, .packets = true },
	{ "u16", cast, 1, 1, .width = 2, .packets = true },
	{ "u32", cast, 1, 1, .width = 4, .packets = true },
	{ "s8", cast, 1, 1, .width = 1, .packets = true, .is_signed = true },
	{ "s16", cast, 1, 1, .width = 2, .packets = true, .is_signed = true },
	{ "s32", cast, 1, 1, .width = 4, .packets = true, .is_signed = true },
	{ "abs", absolute, 1, 1, .packets = true, .exports = true },
	{ "min", extreme, 2, 2, .packets = true, .exports = true },
	{ "max", extreme, 2, 2, .packets = true, .exports = true },
	{ "prefix", check_prefix, 2, 3, .packets = true },
	{ "present", present, 1, 1, .packets = true, .exports = true },
	{ "prev", check_previous, 1, 1, .packets = true },
	{ "delta", check_previous, 1, 1, .packets = true },
	{ "log2", logarithm, 1, 1, .exports = true },
	{ "sqrt", square_root, 1, 1, .exports = true },
};
/* clang-format on */

static const struct function *function_find(const char *name)
{
	for (size_t i = 0; i < COUNT_OF(functions); i++)
		if (!strcmp(functions[i].name, name))
			return &functions[i];
	return NULL;
}

bool check_is_function(const char *name)
{
	return function_find(name);
}

static unsigned int count_arguments(const struct amon_syntax *call)
{
	unsigned int count = 0;
	for (const struct amon_syntax *argument = call->arguments; argument; argument = argument->next)
		count++;
	return count;
}

/* --- what is no function */

/* In a derive these fold the rows of a table. */
static const char *const row_folds[] = { "count", "sum", "min", "max", "mean", "entropy" };

static bool is_among(const char *word, const char *const *words, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (!strcmp(word, words[i]))
			return true;
	return false;
}

/* `sum(TABLE.METRIC)`, `count(TABLE)` */
static bool folds_rows(const struct place *place, const struct amon_syntax *call)
{
	const struct amon_syntax *argument = call->arguments;
	const char *dot;

	if (place->world != WORLD_EXPORT || !is_among(call->text, row_folds, COUNT_OF(row_folds)) || !argument ||
	    argument->next || argument->kind != AMON_SYNTAX_NAME)
		return false;
	dot = strchrnul(argument->text, '.');
	const char *first = amon_arena_copy(place->check->arena, argument->text, (size_t)(dot - argument->text));
	return !strcmp(call->text, "entropy") || check_name_find(place->block, first, NAME_TABLE | NAME_LATER);
}

static void complain_unknown(const struct place *place, const struct amon_syntax *call)
{
	struct candidates candidates = { .check = place->check };
	struct amon_diagnostic *error;

	if (amon_aggregation_find(call->text) || check_is_later_aggregation(call->text)) {
		error = amon_error(place->check->diagnostics, call->span,
		                   "%s() is an aggregation and no part of an expression", call->text);
		check_help(place->check, error, "make it a `metric`%s",
		           place->world == WORLD_EXPORT ? " and use its name here" : "");
		return;
	}
	for (size_t i = 0; i < COUNT_OF(functions); i++)
		check_candidate(&candidates, functions[i].name);
	error = amon_error(place->check->diagnostics, call->span, "there is no function %s()", call->text);
	check_suggest(error, &candidates, call->text);
}

/* --- calls */

static bool check_count(struct check *check, const struct function *function, const struct amon_syntax *call)
{
	unsigned int count = count_arguments(call);

	if (count >= function->least && count <= function->most)
		return true;
	if (function->least == function->most)
		amon_error(check->diagnostics, call->span, "%s() takes %u argument%s, not %u", function->name,
		           function->least, function->least == 1 ? "" : "s", count);
	else
		amon_error(check->diagnostics, call->span, "%s() takes %u or %u arguments, not %u", function->name,
		           function->least, function->most, count);
	return false;
}

static bool read_arguments(const struct place *place, const struct amon_syntax *call, struct amon_value **arguments)
{
	bool fits = true;
	unsigned int count = 0;

	for (const struct amon_syntax *argument = call->arguments; argument; argument = argument->next) {
		if (argument->argument.text) {
			amon_error(place->check->diagnostics, argument->argument.span,
			           "%s() has no argument called `%s`", call->text, argument->argument.text);
			fits = false;
		}
		arguments[count] = check_expression(place, argument);
		fits = !check_is_nothing(arguments[count++]) && fits;
	}
	return fits;
}

static bool is_here(const struct place *place, const struct function *function, const struct amon_syntax *call)
{
	if (place->world == WORLD_PACKET ? function->packets : function->exports)
		return true;
	amon_error(place->check->diagnostics, call->span,
	           function->packets ? "%s() is for packets, not for what is computed at export"
	                             : "%s() is computed at export, in `derive` and `having`, not for packets",
	           call->text);
	return false;
}

struct amon_value *check_call(const struct place *place, const struct amon_syntax *call)
{
	const struct function *function = function_find(call->text);
	struct amon_value *arguments[ARGUMENTS_MAX];

	if (folds_rows(place, call))
		check_later(place->check, call->span, "folding the rows of a table comes");
	else if (!function)
		complain_unknown(place, call);
	else if (is_here(place, function, call) && check_count(place->check, function, call) &&
	         read_arguments(place, call, arguments))
		return function->build(place, call, arguments);
	return check_nothing(place->check, call->span);
}
