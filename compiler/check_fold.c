/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "check_internal.h"

/*
 * Constants. In packets as the data plane computes: 64 bits that wrap. At export integers are exact and go on as a
 * double where they leave 64 bits.
 */

int64_t check_cut(int64_t value, uint32_t width, bool is_signed)
{
	unsigned int unused = 64 - 8 * width;
	uint64_t high = (uint64_t)value << unused;
	return is_signed ? (int64_t)high >> unused : (int64_t)(high >> unused);
}

static double real_of(const struct amon_value *value)
{
	return value->kind == AMON_VALUE_REAL ? value->real : (double)value->integer;
}

static bool is_foldable(const struct amon_value *value)
{
	return check_is_constant(value) && value->kind != AMON_VALUE_ADDRESS;
}

struct amon_value *check_fold_unary(const struct place *place, enum amon_operator op, struct amon_span span,
                                    struct amon_type type, const struct amon_value *left)
{
	if (!is_foldable(left))
		return NULL;
	if (op == AMON_OP_NOT)
		return check_bool(place->check, span, !left->integer);
	if (left->kind == AMON_VALUE_REAL || (place->world == WORLD_EXPORT && left->integer == INT64_MIN))
		return check_real(place->check, span, -real_of(left), type.dimension);
	if (op == AMON_OP_COMPLEMENT)
		return check_integer(place->check, span, ~left->integer, type);
	return check_integer(place->check, span, (int64_t)-(uint64_t)left->integer, type);
}

/* Division goes toward zero, and the one that overflows wraps; the divisor is not 0. */
static int64_t divide(int64_t a, int64_t b)
{
	return b == -1 ? (int64_t)-(uint64_t)a : a / b;
}

static int64_t remainder_of(int64_t a, int64_t b)
{
	return b == -1 ? 0 : a % b;
}

static int64_t wrapped(enum amon_operator op, int64_t a, int64_t b)
{
	switch (op) {
	case AMON_OP_ADD:
		return (int64_t)((uint64_t)a + (uint64_t)b);
	case AMON_OP_SUBTRACT:
		return (int64_t)((uint64_t)a - (uint64_t)b);
	case AMON_OP_MULTIPLY:
		return (int64_t)((uint64_t)a * (uint64_t)b);
	case AMON_OP_DIVIDE:
		return divide(a, b);
	case AMON_OP_MODULO:
		return remainder_of(a, b);
	case AMON_OP_BIT_OR:
		return a | b;
	case AMON_OP_BIT_XOR:
		return a ^ b;
	case AMON_OP_BIT_AND:
		return a & b;
	case AMON_OP_SHIFT_LEFT:
		return (int64_t)((uint64_t)a << b);
	default:
		return a >> b;
	}
}

static bool leaves_64_bits(enum amon_operator op, int64_t a, int64_t b)
{
	int64_t result;

	return (op == AMON_OP_ADD && __builtin_add_overflow(a, b, &result)) ||
	       (op == AMON_OP_SUBTRACT && __builtin_sub_overflow(a, b, &result)) ||
	       (op == AMON_OP_MULTIPLY && __builtin_mul_overflow(a, b, &result));
}

static double in_doubles(enum amon_operator op, double a, double b)
{
	switch (op) {
	case AMON_OP_ADD:
		return a + b;
	case AMON_OP_SUBTRACT:
		return a - b;
	case AMON_OP_MULTIPLY:
		return a * b;
	default:
		return a / b;
	}
}

static bool compared(enum amon_operator op, int order)
{
	switch (op) {
	case AMON_OP_EQ:
		return order == 0;
	case AMON_OP_NE:
		return order != 0;
	case AMON_OP_LT:
		return order < 0;
	case AMON_OP_GT:
		return order > 0;
	case AMON_OP_LE:
		return order <= 0;
	default:
		return order >= 0;
	}
}

static int order_of(const struct amon_value *left, const struct amon_value *right)
{
	if (left->kind == AMON_VALUE_REAL || right->kind == AMON_VALUE_REAL)
		return (real_of(left) > real_of(right)) - (real_of(left) < real_of(right));
	return (left->integer > right->integer) - (left->integer < right->integer);
}

static struct amon_value *fold_number(const struct place *place, enum amon_operator op, struct amon_span span,
                                      struct amon_type type, const struct amon_value *left,
                                      const struct amon_value *right)
{
	bool divides = op == AMON_OP_DIVIDE || op == AMON_OP_MODULO;

	if (divides && real_of(right) == 0)
		return NULL;
	if (type.base == AMON_BASE_REAL ||
	    (place->world == WORLD_EXPORT && leaves_64_bits(op, left->integer, right->integer)))
		return check_real(place->check, span, in_doubles(op, real_of(left), real_of(right)), type.dimension);
	return check_integer(place->check, span, wrapped(op, left->integer, right->integer), type);
}

/* One constant side may decide `and` and `or`, for conditions always have a value. */
static struct amon_value *fold_logic(const struct place *place, enum amon_operator op, struct amon_span span,
                                     const struct amon_value *left, const struct amon_value *right)
{
	const struct amon_value *constant = is_foldable(left) ? left : right;
	const struct amon_value *other = constant == left ? right : left;

	if (!is_foldable(constant))
		return NULL;
	if ((op == AMON_OP_AND) == !constant->integer)
		return check_bool(place->check, span, op == AMON_OP_OR);
	return check_value_at(place->check, other, span);
}

struct amon_value *check_fold(const struct place *place, enum amon_operator op, struct amon_span span,
                              struct amon_type type, const struct amon_value *left, const struct amon_value *right)
{
	if (op == AMON_OP_AND || op == AMON_OP_OR)
		return fold_logic(place, op, span, left, right);
	if (!is_foldable(left) || !is_foldable(right))
		return NULL;
	if (op >= AMON_OP_EQ && op <= AMON_OP_GE)
		return check_bool(place->check, span, compared(op, order_of(left, right)));
	return fold_number(place, op, span, type, left, right);
}
