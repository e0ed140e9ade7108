/* SPDX-License-Identifier: Apache-2.0 */
#include "check_internal.h"

/* What anyone measures lies far within. */
#define EXPONENT_MAX 16

static const struct {
	int information, time;
	const char *name;
} names[] = {
	{ 0, 0, "a plain number" },    { 1, 0, "bytes" }, { 0, 1, "a time" }, { 1, -1, "bytes by time" },
	{ 0, -1, "a number by time" },
};

static bool same(struct amon_dimension a, struct amon_dimension b)
{
	return a.information == b.information && a.time == b.time;
}

const char *check_type_text(struct check *check, struct amon_type type)
{
	struct amon_dimension dimension = type.dimension;

	if (type.base == AMON_BASE_BOOL)
		return "a condition";
	if (type.base != AMON_BASE_INT && type.base != AMON_BASE_REAL)
		return amon_base_name(type.base);
	for (size_t i = 0; i < COUNT_OF(names); i++)
		if (names[i].information == dimension.information && names[i].time == dimension.time)
			return names[i].name;
	return amon_arena_printf(check->arena, "bytes^%d time^%d", dimension.information, dimension.time);
}

const char *check_value_text(struct check *check, const struct amon_value *value)
{
	return check_type_text(check, value->type);
}

/* Zero is the same in every unit. */
static bool is_zero(const struct amon_value *value)
{
	return value->type.dimension.free && ((value->kind == AMON_VALUE_INTEGER && value->integer == 0) ||
	                                      (value->kind == AMON_VALUE_REAL && value->real == 0));
}

/* A plain number beside bytes is bytes; beside a time nobody knows which unit was meant. */
static bool takes_after(const struct amon_value *plain, struct amon_dimension other)
{
	return is_zero(plain) || (plain->type.dimension.free && other.time == 0);
}

static void complain_plain(struct check *check, const struct amon_value *plain, const struct amon_value *other)
{
	const char *number = plain->kind == AMON_VALUE_INTEGER
	                             ? amon_arena_printf(check->arena, "%lld", (long long)plain->integer)
	                             : "10";
	struct amon_diagnostic *error =
	        amon_error(check->diagnostics, plain->span, "a plain number beside %s: which unit?",
	                   check_value_text(check, other));
	if (same(other->type.dimension, CHECK_TIME))
		check_help(check, error, "write `%ss`, `%sms`, `%sus` or `%sns`", number, number, number, number);
	else
		check_help(check, error, "divide by a time: `%s%s / 1s`", number,
		           other->type.dimension.information == 1 ? "B" : "");
}

bool check_beside(struct check *check, struct amon_span span, const struct amon_value *left,
                  const struct amon_value *right, struct amon_dimension *dimension)
{
	struct amon_dimension a = left->type.dimension, b = right->type.dimension;

	if (same(a, b)) {
		*dimension = a;
		dimension->free = a.free && b.free;
		return true;
	}
	if (takes_after(left, b) || takes_after(right, a)) {
		*dimension = takes_after(left, b) ? b : a;
		return true;
	}
	if (a.free || b.free)
		complain_plain(check, a.free ? left : right, a.free ? right : left);
	else
		amon_error(check->diagnostics, span, "%s and %s do not go together", check_value_text(check, left),
		           check_value_text(check, right));
	return false;
}

static bool is_sensible(int exponent)
{
	return exponent >= -EXPONENT_MAX && exponent <= EXPONENT_MAX;
}

bool check_times(struct check *check, struct amon_span span, struct amon_dimension left, struct amon_dimension right,
                 int power, struct amon_dimension *dimension)
{
	int information = left.information + power * right.information, time = left.time + power * right.time;

	if (!is_sensible(information) || !is_sensible(time)) {
		amon_error(check->diagnostics, span, "no unit has so high a power of bytes or time");
		return false;
	}
	*dimension = (struct amon_dimension){ (int8_t)information, (int8_t)time, left.free && right.free };
	return true;
}
