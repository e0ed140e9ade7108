/* SPDX-License-Identifier: Apache-2.0 */
#include "check_internal.h"

/* --- what an operand must be */

static void complain_number(struct check *check, const struct amon_value *value)
{
	enum amon_base base = value->type.base;
	struct amon_diagnostic *error;

	if (base == AMON_BASE_BOOL) {
		error = amon_error(check->diagnostics, value->span, "a condition is no number");
		check_help(check, error, "write `CONDITION ? 1 : 0`");
	} else if (base == AMON_BASE_ROWS) {
		error = amon_error(check->diagnostics, value->span, "a histogram is no number");
		check_help(check, error, "it has `.count` and `.sum`");
	} else if (base == AMON_BASE_TIME) {
		error = amon_error(check->diagnostics, value->span, "an instant is no number");
		check_help(check, error, "two instants can be subtracted, and a time added to one");
	} else {
		error = amon_error(check->diagnostics, value->span, "%s is no number", check_value_text(check, value));
		check_help(check, error, "addresses take `==`, `!=`, `in` and prefix()");
	}
}

bool check_want_number(struct check *check, const struct amon_value *value)
{
	if (check_is_number(value))
		return true;
	if (!check_is_nothing(value))
		complain_number(check, value);
	return false;
}

bool check_want_integer(struct check *check, const struct amon_value *value)
{
	if (!check_want_number(check, value))
		return false;
	if (value->type.base == AMON_BASE_INT)
		return true;
	amon_error(check->diagnostics, value->span, "this must be a whole number");
	return false;
}

static bool is_field(const struct amon_value *value)
{
	return value->kind == AMON_VALUE_FIELD || value->kind == AMON_VALUE_SLICE;
}

bool check_want_condition(struct check *check, const struct amon_value *value)
{
	struct amon_diagnostic *error;

	if (value->type.base == AMON_BASE_BOOL)
		return true;
	if (check_is_nothing(value))
		return false;
	error = amon_error(check->diagnostics, value->span, "%s is no condition", check_value_text(check, value));
	if (value->kind == AMON_VALUE_FIELD)
		check_help(check, error, "compare it, or ask `present(%s)`", value->field->name);
	else
		check_help(check, error,
		           is_field(value) ? "compare it, or ask `present(...)`" : "compare it with something");
	return false;
}

/* --- operators */

static struct amon_value *operation(const struct place *place, enum amon_operator op, struct amon_span span,
                                    struct amon_type type, struct amon_value *left, struct amon_value *right)
{
	struct amon_value *value =
	        right ? check_fold(place, op, span, type, left, right) : check_fold_unary(place, op, span, type, left);
	if (value)
		return value;
	value = check_binary(place->check, right ? AMON_VALUE_BINARY : AMON_VALUE_UNARY, span, type, left, right);
	value->op = op;
	return value;
}

struct amon_value *check_operate_unary(const struct place *place, enum amon_operator op, struct amon_span span,
                                       struct amon_value *left)
{
	struct amon_type type = left->type;
	bool fits = op == AMON_OP_NOT          ? check_want_condition(place->check, left)
	            : op == AMON_OP_COMPLEMENT ? check_want_integer(place->check, left)
	                                       : check_want_number(place->check, left);
	if (!fits)
		return check_nothing(place->check, span);
	type.bits = 0;
	return operation(place, op, span, type, left, NULL);
}

static struct amon_value *logic(const struct place *place, enum amon_operator op, struct amon_span span,
                                struct amon_value *left, struct amon_value *right)
{
	bool fits = check_want_condition(place->check, left);

	if (!check_want_condition(place->check, right) || !fits)
		return check_nothing(place->check, span);
	return operation(place, op, span, CHECK_BOOL, left, right);
}

static bool both(enum amon_base base, const struct amon_value *left, const struct amon_value *right)
{
	return left->type.base == base && right->type.base == base;
}

static bool either(enum amon_base base, const struct amon_value *left, const struct amon_value *right)
{
	return left->type.base == base || right->type.base == base;
}

/* 0 and 1 beside a condition are false and true. */
static struct amon_value *as_bool(const struct place *place, struct amon_value *value)
{
	if (value->type.base == AMON_BASE_BOOL)
		return value;
	if (value->kind == AMON_VALUE_INTEGER && value->type.base == AMON_BASE_INT && value->type.dimension.free &&
	    (value->integer == 0 || value->integer == 1))
		return check_bool(place->check, value->span, value->integer);
	amon_error(place->check->diagnostics, value->span, "a condition compares with a condition, 0 or 1, not with %s",
	           check_value_text(place->check, value));
	return NULL;
}

static struct amon_value *compare_bools(const struct place *place, enum amon_operator op, struct amon_span span,
                                        struct amon_value *left, struct amon_value *right)
{
	left = as_bool(place, left);
	right = as_bool(place, right);
	if (!left || !right)
		return check_nothing(place->check, span);
	if (op == AMON_OP_EQ || op == AMON_OP_NE)
		return operation(place, op, span, CHECK_BOOL, left, right);
	amon_error(place->check->diagnostics, span, "conditions have no order: only `==` and `!=` compare them");
	return check_nothing(place->check, span);
}

static bool is_compared(enum amon_operator op)
{
	return op >= AMON_OP_EQ && op <= AMON_OP_GE;
}

static struct amon_value *compare(const struct place *place, enum amon_operator op, struct amon_span span,
                                  struct amon_value *left, struct amon_value *right)
{
	struct amon_type type;

	if (either(AMON_BASE_BOOL, left, right))
		return compare_bools(place, op, span, left, right);
	if (check_is_address(left->type.base) && check_is_address(right->type.base))
		return check_compare_addresses(place->check, op, span, left, right);
	if (!check_alike(place->check, span, left, right, &type))
		return check_nothing(place->check, span);
	return operation(place, op, span, CHECK_BOOL, left, right);
}

static unsigned int larger(unsigned int a, unsigned int b)
{
	return a > b ? a : b;
}

static unsigned int smaller(unsigned int a, unsigned int b)
{
	return a < b ? a : b;
}

/* In how many bits the result surely lies; 0: not known, or it may be negative. */
static unsigned int bits_of(enum amon_operator op, const struct amon_value *left, const struct amon_value *right)
{
	unsigned int a = left->type.bits, b = right->type.bits;

	if (op == AMON_OP_BIT_AND && (!a || !b))
		return a + b;
	if (!a || (!b && op != AMON_OP_SHIFT_RIGHT))
		return 0;
	switch (op) {
	case AMON_OP_ADD:
		return larger(a, b) + 1;
	case AMON_OP_MULTIPLY:
		return a + b;
	case AMON_OP_DIVIDE:
	case AMON_OP_SHIFT_RIGHT:
		return a;
	case AMON_OP_MODULO:
	case AMON_OP_BIT_AND:
		return smaller(a, b);
	case AMON_OP_BIT_OR:
	case AMON_OP_BIT_XOR:
		return larger(a, b);
	case AMON_OP_SHIFT_LEFT:
		return right->kind == AMON_VALUE_INTEGER ? a + (unsigned int)right->integer : 0;
	default:
		return 0;
	}
}

static bool wants_integers(enum amon_operator op)
{
	return (op >= AMON_OP_BIT_OR && op <= AMON_OP_SHIFT_RIGHT) || op == AMON_OP_MODULO;
}

static bool want_operands(struct check *check, enum amon_operator op, const struct amon_value *left,
                          const struct amon_value *right)
{
	bool (*want)(struct check *, const struct amon_value *) =
	        wants_integers(op) ? check_want_integer : check_want_number;
	bool fits = want(check, left);
	return want(check, right) && fits;
}

/* At export the first decimal or division makes a double of it. */
static enum amon_base base_of(const struct place *place, enum amon_operator op, const struct amon_value *left,
                              const struct amon_value *right)
{
	if (either(AMON_BASE_REAL, left, right) || (place->world == WORLD_EXPORT && op == AMON_OP_DIVIDE))
		return AMON_BASE_REAL;
	return AMON_BASE_INT;
}

/* What is out of bounds is refused; what might be, too. */
static bool check_shift(struct check *check, const struct amon_value *amount)
{
	struct amon_diagnostic *error;
	struct amon_dimension dimension = amount->type.dimension;

	if (dimension.information || dimension.time) {
		amon_error(check->diagnostics, amount->span, "a shift is by a plain number of bits, not by %s",
		           check_value_text(check, amount));
		return false;
	}
	if (amount->kind == AMON_VALUE_INTEGER ? amount->integer >= 0 && amount->integer <= 63
	                                       : amount->type.bits && amount->type.bits <= 6)
		return true;
	error = amon_error(check->diagnostics, amount->span, "a shift is by 0 to 63 bits");
	if (amount->kind != AMON_VALUE_INTEGER)
		check_help(check, error, "cut it: `... & 63`");
	return false;
}

/* The dimension of an operation on numbers. */
static bool measure(const struct place *place, enum amon_operator op, struct amon_span span,
                    const struct amon_value *left, const struct amon_value *right, struct amon_dimension *dimension)
{
	switch (op) {
	case AMON_OP_MULTIPLY:
	case AMON_OP_DIVIDE:
		return check_times(place->check, span, left->type.dimension, right->type.dimension,
		                   op == AMON_OP_MULTIPLY ? 1 : -1, dimension);
	case AMON_OP_SHIFT_LEFT:
	case AMON_OP_SHIFT_RIGHT:
		*dimension = left->type.dimension;
		return check_shift(place->check, right);
	default:
		return check_beside(place->check, span, left, right, dimension);
	}
}

static void warn_zero(const struct place *place, enum amon_operator op, const struct amon_value *right)
{
	bool divides = op == AMON_OP_DIVIDE || op == AMON_OP_MODULO;

	if (divides && right->kind == AMON_VALUE_INTEGER && right->integer == 0)
		amon_warning(place->check->diagnostics, right->span, "a division by 0 never has a value");
}

static struct amon_value *arithmetic(const struct place *place, enum amon_operator op, struct amon_span span,
                                     struct amon_value *left, struct amon_value *right)
{
	struct amon_dimension dimension;

	if (!want_operands(place->check, op, left, right) || !measure(place, op, span, left, right, &dimension))
		return check_nothing(place->check, span);
	warn_zero(place, op, right);
	struct amon_type type = check_number_type(base_of(place, op, left, right), dimension, bits_of(op, left, right));
	return operation(place, op, span, type, left, right);
}

static bool is_time(const struct amon_value *value)
{
	struct amon_dimension dimension = value->type.dimension;
	return value->type.base == AMON_BASE_INT && dimension.information == 0 && dimension.time == 1;
}

/* An instant minus an instant is a time; a time may be added to one or taken from it. */
static struct amon_value *with_instant(const struct place *place, enum amon_operator op, struct amon_span span,
                                       struct amon_value *left, struct amon_value *right)
{
	struct amon_type instant = { .base = AMON_BASE_TIME };
	bool adds = op == AMON_OP_ADD || op == AMON_OP_SUBTRACT;

	if (op == AMON_OP_SUBTRACT && both(AMON_BASE_TIME, left, right))
		return operation(place, op, span, check_number_type(AMON_BASE_INT, CHECK_TIME, 0), left, right);
	if (adds && left->type.base == AMON_BASE_TIME && is_time(right))
		return operation(place, op, span, instant, left, right);
	if (op == AMON_OP_ADD && is_time(left))
		return operation(place, op, span, instant, left, right);
	amon_error(place->check->diagnostics, span, "`%s` does not go with %s and %s", amon_operator_text(op),
	           check_value_text(place->check, left), check_value_text(place->check, right));
	return check_nothing(place->check, span);
}

struct amon_value *check_operate(const struct place *place, enum amon_operator op, struct amon_span span,
                                 struct amon_value *left, struct amon_value *right)
{
	if (check_is_nothing(left) || check_is_nothing(right))
		return check_nothing(place->check, span);
	if (op == AMON_OP_AND || op == AMON_OP_OR)
		return logic(place, op, span, left, right);
	if (is_compared(op))
		return compare(place, op, span, left, right);
	if (either(AMON_BASE_TIME, left, right) &&
	    (check_is_number(left) || check_is_number(right) || both(AMON_BASE_TIME, left, right)))
		return with_instant(place, op, span, left, right);
	return arithmetic(place, op, span, left, right);
}

/* --- two values of one kind */

static bool alike_numbers(struct check *check, struct amon_span span, const struct amon_value *left,
                          const struct amon_value *right, struct amon_type *type)
{
	struct amon_dimension dimension;
	bool real = either(AMON_BASE_REAL, left, right);

	if (!check_beside(check, span, left, right, &dimension))
		return false;
	*type = check_number_type(real ? AMON_BASE_REAL : AMON_BASE_INT, dimension, 0);
	if (!real && left->type.bits && right->type.bits)
		type->bits = (uint8_t)larger(left->type.bits, right->type.bits);
	return true;
}

bool check_alike(struct check *check, struct amon_span span, const struct amon_value *left,
                 const struct amon_value *right, struct amon_type *type)
{
	if (check_is_number(left) && check_is_number(right))
		return alike_numbers(check, span, left, right, type);
	*type = left->type;
	if (left->type.prefix != right->type.prefix || left->type.prefix6 != right->type.prefix6)
		type->prefix = type->prefix6 = 0;
	if (left->type.base == right->type.base && left->type.base != AMON_BASE_ROWS)
		return true;
	if (either(AMON_BASE_ROWS, left, right))
		complain_number(check, left->type.base == AMON_BASE_ROWS ? left : right);
	else
		amon_error(check->diagnostics, span, "%s and %s do not go together", check_value_text(check, left),
		           check_value_text(check, right));
	return false;
}

struct amon_value *check_choose(const struct place *place, struct amon_span span, struct amon_value *condition,
                                struct amon_value *yes, struct amon_value *no)
{
	struct amon_type type;
	bool fits = check_want_condition(place->check, condition);

	if (!fits || check_is_nothing(yes) || check_is_nothing(no) ||
	    !check_alike(place->check, span, yes, no, &type) || check_is_remembered_address(place->check, yes) ||
	    check_is_remembered_address(place->check, no))
		return check_nothing(place->check, span);
	if (check_is_constant(condition))
		return check_value_at(place->check, condition->integer ? yes : no, span);
	struct amon_value *value = check_value_new(place->check, AMON_VALUE_CHOICE, span, type);
	value->left = condition;
	value->middle = yes;
	value->right = no;
	return check_weigh(place->check, value);
}
