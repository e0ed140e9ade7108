/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "check_internal.h"

/* The fewest bits that hold a number, 1 at least; 0 for negative ones. */
static uint8_t bits_of(int64_t integer)
{
	if (integer < 0)
		return 0;
	return integer ? (uint8_t)(64 - __builtin_clzll((unsigned long long)integer)) : 1;
}

struct amon_value *check_value_new(struct check *check, enum amon_value_kind kind, struct amon_span span,
                                   struct amon_type type)
{
	struct amon_value *value = amon_new(check->arena, struct amon_value);
	value->kind = kind;
	value->span = span;
	value->type = type;
	value->nodes = 1;
	value->depth = 1;
	return value;
}

struct amon_value *check_nothing(struct check *check, struct amon_span span)
{
	return check_value_new(check, AMON_VALUE_INTEGER, span, (struct amon_type){ .base = AMON_BASE_NONE });
}

struct amon_value *check_integer(struct check *check, struct amon_span span, int64_t integer, struct amon_type type)
{
	struct amon_value *value = check_value_new(check, AMON_VALUE_INTEGER, span, type);
	value->integer = integer;
	if (type.base == AMON_BASE_INT)
		value->type.bits = bits_of(integer);
	return value;
}

struct amon_value *check_real(struct check *check, struct amon_span span, double real, struct amon_dimension dimension)
{
	struct amon_value *value =
	        check_value_new(check, AMON_VALUE_REAL, span, check_number_type(AMON_BASE_REAL, dimension, 0));
	value->real = real;
	return value;
}

struct amon_value *check_bool(struct check *check, struct amon_span span, bool truth)
{
	return check_integer(check, span, truth, CHECK_BOOL);
}

struct amon_value *check_unary(struct check *check, enum amon_value_kind kind, struct amon_span span,
                               struct amon_type type, struct amon_value *left)
{
	return check_binary(check, kind, span, type, left, NULL);
}

struct amon_value *check_binary(struct check *check, enum amon_value_kind kind, struct amon_span span,
                                struct amon_type type, struct amon_value *left, struct amon_value *right)
{
	struct amon_value *value = check_value_new(check, kind, span, type);
	value->left = left;
	value->right = right;
	return check_weigh(check, value);
}

static void add_weight(struct amon_value *value, const struct amon_value *part)
{
	if (!part)
		return;
	value->nodes += part->nodes;
	if (part->depth >= value->depth)
		value->depth = part->depth + 1;
}

struct amon_value *check_weigh(struct check *check, struct amon_value *value)
{
	add_weight(value, value->left);
	add_weight(value, value->middle);
	add_weight(value, value->right);
	value->nodes += value->range_count;
	if (value->nodes <= AMON_MAX_NODES && value->depth <= AMON_MAX_DEPTH)
		return value;
	amon_error(check->diagnostics, value->span, "this is too large with all its lets written out: over %d %s",
	           value->nodes > AMON_MAX_NODES ? AMON_MAX_NODES : AMON_MAX_DEPTH,
	           value->nodes > AMON_MAX_NODES ? "values and operators" : "operators in each other");
	return check_nothing(check, value->span);
}

struct amon_value *check_value_at(struct check *check, const struct amon_value *value, struct amon_span span)
{
	struct amon_value *copy = amon_new(check->arena, struct amon_value);
	*copy = *value;
	copy->span = span;
	return copy;
}

bool check_is_nothing(const struct amon_value *value)
{
	return value->type.base == AMON_BASE_NONE;
}

bool check_is_constant(const struct amon_value *value)
{
	return !check_is_nothing(value) && value->kind <= AMON_VALUE_ADDRESS;
}

bool check_is_number(const struct amon_value *value)
{
	return value->type.base == AMON_BASE_INT || value->type.base == AMON_BASE_REAL;
}

bool check_is_address(enum amon_base base)
{
	return base == AMON_BASE_IPV4 || base == AMON_BASE_IPV6 || base == AMON_BASE_NET || base == AMON_BASE_MAC;
}

struct amon_type check_number_type(enum amon_base base, struct amon_dimension dimension, unsigned int bits)
{
	return (struct amon_type){ .base = base, .dimension = dimension, .bits = bits > 63 ? 0 : (uint8_t)bits };
}

/* --- comparing */

static bool same_type(struct amon_type a, struct amon_type b)
{
	return a.base == b.base && a.prefix == b.prefix && a.prefix6 == b.prefix6;
}

static bool same_address(const struct amon_address *a, const struct amon_address *b)
{
	return a->family == b->family && a->prefix == b->prefix && !memcmp(a->bytes, b->bytes, sizeof(a->bytes));
}

static bool same_ranges(const struct amon_value *a, const struct amon_value *b)
{
	if (a->range_count != b->range_count)
		return false;
	for (uint32_t i = 0; i < a->range_count; i++) {
		const struct amon_range *x = &a->ranges[i], *y = &b->ranges[i];

		if (x->low != y->low || x->high != y->high || x->is_range != y->is_range ||
		    !same_address(&x->address, &y->address) || !same_address(&x->address_high, &y->address_high))
			return false;
	}
	return true;
}

bool amon_same_value(const struct amon_value *a, const struct amon_value *b)
{
	if (!a || !b || a == b)
		return a == b;
	return a->kind == b->kind && a->op == b->op && same_type(a->type, b->type) && a->integer == b->integer &&
	       same_address(&a->address, &b->address) && a->field == b->field && a->payload == b->payload &&
	       a->offset == b->offset && a->width == b->width && a->is_signed == b->is_signed &&
	       a->layers == b->layers && same_ranges(a, b) && a->column == b->column && a->table == b->table &&
	       a->asked == b->asked && amon_same_value(a->left, b->left) && amon_same_value(a->middle, b->middle) &&
	       amon_same_value(a->right, b->right);
}
