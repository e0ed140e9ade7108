/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "check_internal.h"

static const struct {
	enum amon_base base;
	uint8_t bytes;
	const char *name;
} families[] = {
	[AMON_ADDRESS_IPV4] = { AMON_BASE_IPV4, 4, "IPv4" },
	[AMON_ADDRESS_IPV6] = { AMON_BASE_IPV6, 16, "IPv6" },
	[AMON_ADDRESS_MAC] = { AMON_BASE_MAC, 6, "MAC" },
};

static struct amon_address mask(struct amon_address address, unsigned int bits)
{
	for (unsigned int i = 0; i < families[address.family].bytes; i++) {
		unsigned int kept = bits > 8 * i ? bits - 8 * i : 0;
		if (kept < 8)
			address.bytes[i] &= (uint8_t)(0xff00 >> kept);
	}
	return address;
}

struct amon_value *check_address(struct check *check, const struct amon_syntax *syntax)
{
	struct amon_type type = { .base = families[syntax->address.family].base };
	struct amon_value *value = check_value_new(check, AMON_VALUE_ADDRESS, syntax->span, type);

	value->address = mask(syntax->address, syntax->address.prefix);
	if (syntax->address.has_prefix)
		value->type.prefix = syntax->address.prefix;
	return value;
}

static bool is_ip(enum amon_base base)
{
	return base == AMON_BASE_IPV4 || base == AMON_BASE_IPV6;
}

/* The same kind, or a field of either version with a literal of one. */
bool check_addresses_meet(struct check *check, struct amon_span span, const struct amon_value *left,
                          const struct amon_value *right)
{
	enum amon_base a = left->type.base, b = right->type.base;
	bool literal = (a == AMON_BASE_NET && is_ip(b) && right->kind == AMON_VALUE_ADDRESS) ||
	               (b == AMON_BASE_NET && is_ip(a) && left->kind == AMON_VALUE_ADDRESS);
	struct amon_diagnostic *error;

	if (a == b || literal)
		return true;
	error = amon_error(check->diagnostics, span, "%s and %s do not compare", check_value_text(check, left),
	                   check_value_text(check, right));
	if ((a == AMON_BASE_NET && is_ip(b)) || (b == AMON_BASE_NET && is_ip(a)))
		check_help(check, error, "compare fields of `net.` with each other, or those of `ip.` or `ipv6.`");
	return false;
}

/* The length to which prefix() cut a value, where it is of the family. */
static unsigned int cut_to(const struct amon_value *value, enum amon_address_family family)
{
	bool second = value->type.base == AMON_BASE_NET && family == AMON_ADDRESS_IPV6;
	return second ? value->type.prefix6 : value->type.prefix;
}

/* `ip.src == 10.0.0.0/8` would never hold: only what prefix() made as long as the literal is equal to one. */
static bool check_prefix_literal(struct check *check, const struct amon_value *value, const struct amon_value *literal)
{
	struct amon_diagnostic *error;

	if (literal->kind != AMON_VALUE_ADDRESS || !literal->address.has_prefix || value->kind == AMON_VALUE_ADDRESS ||
	    (cut_to(value, literal->address.family) == literal->address.prefix && literal->address.prefix))
		return true;
	error = amon_error(check->diagnostics, literal->span, "an address is not equal to a prefix");
	check_help(check, error, "`in` asks whether it lies in one");
	return false;
}

static bool same_address(const struct amon_address *a, const struct amon_address *b)
{
	return a->family == b->family && !memcmp(a->bytes, b->bytes, families[a->family].bytes);
}

struct amon_value *check_compare_addresses(struct check *check, enum amon_operator op, struct amon_span span,
                                           struct amon_value *left, struct amon_value *right)
{
	struct amon_value *value;

	if (op != AMON_OP_EQ && op != AMON_OP_NE) {
		amon_error(check->diagnostics, span, "addresses have no order: `==`, `!=` and `in` compare them");
		return check_nothing(check, span);
	}
	if (!check_addresses_meet(check, span, left, right) || !check_prefix_literal(check, left, right) ||
	    !check_prefix_literal(check, right, left))
		return check_nothing(check, span);
	if (left->kind == AMON_VALUE_ADDRESS && right->kind == AMON_VALUE_ADDRESS)
		return check_bool(check, span, same_address(&left->address, &right->address) == (op == AMON_OP_EQ));
	value = check_binary(check, AMON_VALUE_BINARY, span, CHECK_BOOL, left, right);
	value->op = op;
	return value;
}

bool check_address_in(const struct amon_range *range, const struct amon_address *address)
{
	unsigned int bytes = families[address->family].bytes;
	struct amon_address masked = mask(*address, range->address.prefix);

	if (address->family != range->address.family)
		return false;
	if (!range->is_range)
		return !memcmp(masked.bytes, range->address.bytes, bytes);
	return memcmp(address->bytes, range->address.bytes, bytes) >= 0 &&
	       memcmp(address->bytes, range->address_high.bytes, bytes) <= 0;
}

/* --- prefix(a, n), prefix(net.x, n4, n6) */

static unsigned int bits_of(enum amon_base base)
{
	for (size_t i = 0; i < COUNT_OF(families); i++)
		if (families[i].base == base)
			return 8u * families[i].bytes;
	return 0;
}

static bool read_length(const struct place *place, const struct amon_syntax *syntax, enum amon_base base,
                        uint8_t *length)
{
	int64_t result;

	if (!check_constant(place, syntax, "a prefix's length", 1, bits_of(base), &result))
		return false;
	*length = (uint8_t)result;
	return true;
}

static bool check_lengths(const struct place *place, const struct amon_syntax *call, struct amon_type *type)
{
	const struct amon_syntax *first = call->arguments->next, *second = first->next;
	struct amon_diagnostic *error;

	if (type->base == AMON_BASE_NET && !second) {
		error = amon_error(place->check->diagnostics, call->span,
		                   "prefix() of an address of either IP version takes two lengths");
		check_help(place->check, error, "for example `prefix(net.src, 24, 48)`");
		return false;
	}
	if (type->base != AMON_BASE_NET && second) {
		amon_error(place->check->diagnostics, second->span, "prefix() of %s takes one length",
		           amon_base_name(type->base));
		return false;
	}
	if (type->base != AMON_BASE_NET)
		return read_length(place, first, type->base, &type->prefix);
	bool fits = read_length(place, first, AMON_BASE_IPV4, &type->prefix);
	return read_length(place, second, AMON_BASE_IPV6, &type->prefix6) && fits;
}

static uint8_t shorter(uint8_t a, uint8_t b)
{
	return a && a < b ? a : b;
}

struct amon_value *check_prefix(const struct place *place, const struct amon_syntax *call,
                                struct amon_value **arguments)
{
	struct amon_value *left = arguments[0], *value;
	struct amon_type type = { .base = left->type.base };

	if (!check_is_address(left->type.base)) {
		amon_error(place->check->diagnostics, left->span, "prefix() takes an address, not %s",
		           check_value_text(place->check, left));
		return check_nothing(place->check, call->span);
	}
	if (check_is_remembered_address(place->check, left) || !check_lengths(place, call, &type))
		return check_nothing(place->check, call->span);
	type.prefix = shorter(left->type.prefix, type.prefix);
	type.prefix6 = shorter(left->type.prefix6, type.prefix6);
	value = check_unary(place->check, AMON_VALUE_PREFIX, call->span, type, left);
	if (left->kind == AMON_VALUE_ADDRESS && !check_is_nothing(value)) {
		value->kind = AMON_VALUE_ADDRESS;
		value->address = mask(left->address, type.prefix);
		value->address.prefix = type.prefix;
		value->address.has_prefix = true;
		value->left = NULL;
	}
	return value;
}
