/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "check_internal.h"

/*
 * Sets. The constants of a set become the ranges of one AMON_VALUE_IN; what is no constant (`53 in {udp.srcport,
 * udp.dstport}`) becomes comparisons beside it.
 */

/* --- reading a set */

static void add_item(struct items *items, struct amon_value *low, struct amon_value *high, struct check *check)
{
	struct item *item = amon_new(check->arena, struct item);

	item->low = low;
	item->high = high;
	*items->last = item;
	items->last = &item->next;
	items->count++;
}

/* True where it still fits; complains once. */
static bool has_room(struct check *check, struct items *items, struct amon_span span)
{
	if (items->count < AMON_MAX_NODES)
		return true;
	if (items->count++ == AMON_MAX_NODES)
		amon_error(check->diagnostics, span, "a set has at most %d items", AMON_MAX_NODES);
	return false;
}

/* The let or param that stands at a place where a set may, or NULL. */
static struct name *named(const struct place *place, const struct amon_syntax *syntax)
{
	if (syntax->kind != AMON_SYNTAX_NAME || amon_protocol_find(syntax->text))
		return NULL;
	return check_name_find(place->block, syntax->text, place->world == WORLD_PACKET ? NAME_PACKETS : NAME_PARAM);
}

static bool is_set(const struct name *name)
{
	return name && name->syntax && name->syntax->kind == AMON_SYNTAX_SET;
}

/* The items of a set in a set. */
static void add_named(const struct place *place, struct items *items, struct name *name, struct amon_span span)
{
	if (!check_use_name(place->check, name, span))
		return;
	if (name->items->count > AMON_MAX_NODES)
		items->count = name->items->count; /* which has been said */
	for (const struct item *item = name->items->first; item && has_room(place->check, items, span);
	     item = item->next)
		add_item(items, item->low, item->high, place->check);
}

static void read_item(const struct place *place, struct items *items, const struct amon_syntax *syntax)
{
	struct name *name = named(place, syntax);

	if (is_set(name))
		add_named(place, items, name, syntax->span);
	else if (syntax->kind == AMON_SYNTAX_RANGE)
		add_item(items, check_expression(place, syntax->left), check_expression(place, syntax->right),
		         place->check);
	else
		add_item(items, check_expression(place, syntax), NULL, place->check);
}

static struct items *items_new(struct check *check)
{
	struct items *items = amon_new(check->arena, struct items);
	items->last = &items->first;
	return items;
}

struct items *check_items(const struct place *place, const struct amon_syntax *set)
{
	struct items *items = items_new(place->check);

	for (const struct amon_syntax *item = set->arguments; item && has_room(place->check, items, item->span);
	     item = item->next)
		read_item(place, items, item);
	return items;
}

/* What stands behind `in`; NULL, with an error, where it is no set. */
static struct items *read_members(const struct place *place, const struct amon_syntax *syntax)
{
	struct name *name = named(place, syntax);
	struct items *items;
	struct amon_diagnostic *error;

	if (syntax->kind == AMON_SYNTAX_SET)
		return check_items(place, syntax);
	if (is_set(name))
		return check_use_name(place->check, name, syntax->span) ? name->items : NULL;
	items = items_new(place->check);
	read_item(place, items, syntax);
	if (syntax->kind != AMON_SYNTAX_NAME || check_is_constant(items->first->low))
		return items;
	if (!check_is_nothing(items->first->low)) {
		error = amon_error(place->check->diagnostics, syntax->span, "`%s` is no set", syntax->text);
		check_help(place->check, error, "`==` compares two values");
	}
	return NULL;
}

/* --- using it */

struct membership {
	const struct place *place;
	struct amon_span span; /* of the whole */
	struct amon_value *left;
	struct amon_range *ranges;
	uint32_t count;
	struct amon_value *others; /* or-ed; NULL for none */
	bool failed;
};

static void add_other(struct membership *in, struct amon_value *value)
{
	if (check_is_nothing(value))
		in->failed = true;
	else if (in->others)
		in->others = check_operate(in->place, AMON_OP_OR, in->span, in->others, value);
	else
		in->others = value;
}

static struct amon_value *compare(struct membership *in, enum amon_operator op, struct amon_value *right)
{
	return check_operate(in->place, op, right->span, in->left, right);
}

/* Items that no range can hold: fields, decimals. */
static void add_comparison(struct membership *in, const struct item *item)
{
	struct amon_value *low = compare(in, item->high ? AMON_OP_GE : AMON_OP_EQ, item->low);

	if (!item->high) {
		add_other(in, low);
		return;
	}
	struct amon_value *high = compare(in, AMON_OP_LE, item->high);
	add_other(in, check_operate(in->place, AMON_OP_AND, item->low->span, low, high));
}

static void warn_empty(struct membership *in, const struct item *item)
{
	struct amon_span span = item->low->span;

	span.end = item->high->span.end;
	amon_warning(in->place->check->diagnostics, span, "nothing lies in this range: its end comes before its start");
}

static bool fits_beside(struct membership *in, const struct amon_value *value)
{
	struct amon_dimension unused;

	if (check_beside(in->place->check, value->span, in->left, value, &unused))
		return true;
	in->failed = true;
	return false;
}

static void add_number(struct membership *in, const struct item *item)
{
	int64_t low = item->low->integer, high = item->high ? item->high->integer : low;

	if (!fits_beside(in, item->low) || (item->high && !fits_beside(in, item->high)))
		return;
	if (low > high)
		warn_empty(in, item);
	else
		in->ranges[in->count++] = (struct amon_range){ .low = low, .high = high };
}

static bool is_bound(struct membership *in, const struct amon_value *value)
{
	if (!value->address.has_prefix)
		return true;
	amon_error(in->place->check->diagnostics, value->span, "a range goes from address to address, not to a prefix");
	return false;
}

static bool is_range_of_addresses(struct membership *in, const struct item *item)
{
	struct amon_span span = item->low->span;

	span.end = item->high->span.end;
	if (item->low->address.family == item->high->address.family)
		return is_bound(in, item->low) && is_bound(in, item->high);
	amon_error(in->place->check->diagnostics, span, "a range goes from address to address of one kind");
	return false;
}

static void add_address(struct membership *in, const struct item *item)
{
	struct amon_range range = { .address = item->low->address, .is_range = item->high };

	if (!check_addresses_meet(in->place->check, item->low->span, in->left, item->low) ||
	    (item->high && !is_range_of_addresses(in, item))) {
		in->failed = true;
		return;
	}
	if (item->high)
		range.address_high = item->high->address;
	if (item->high && memcmp(range.address.bytes, range.address_high.bytes, sizeof(range.address.bytes)) > 0)
		warn_empty(in, item);
	else
		in->ranges[in->count++] = range;
}

static bool is_whole(const struct amon_value *value)
{
	return value->kind == AMON_VALUE_INTEGER && value->type.base == AMON_BASE_INT;
}

static void add_member(struct membership *in, const struct item *item)
{
	if (check_is_nothing(item->low) || (item->high && check_is_nothing(item->high)))
		in->failed = true;
	else if (in->left->type.base == AMON_BASE_INT && is_whole(item->low) && (!item->high || is_whole(item->high)))
		add_number(in, item);
	else if (check_is_address(in->left->type.base) && item->low->kind == AMON_VALUE_ADDRESS &&
	         (!item->high || item->high->kind == AMON_VALUE_ADDRESS))
		add_address(in, item);
	else
		add_comparison(in, item);
}

static bool holds(const struct membership *in)
{
	for (uint32_t i = 0; i < in->count; i++) {
		const struct amon_range *range = &in->ranges[i];
		if (in->left->kind == AMON_VALUE_ADDRESS
		            ? check_address_in(range, &in->left->address)
		            : in->left->integer >= range->low && in->left->integer <= range->high)
			return true;
	}
	return false;
}

/* The part of the set that is constant. */
static struct amon_value *in_ranges(struct membership *in)
{
	struct check *check = in->place->check;
	struct amon_value *value;

	if (!in->count || check_is_constant(in->left))
		return check_bool(check, in->span, holds(in));
	value = check_value_new(check, AMON_VALUE_IN, in->span, CHECK_BOOL);
	value->left = in->left;
	value->ranges = in->ranges;
	value->range_count = in->count;
	return check_weigh(check, value);
}

struct amon_value *check_in(const struct place *place, const struct amon_syntax *syntax, struct amon_value *left)
{
	struct check *check = place->check;
	struct membership in = { .place = place, .span = syntax->span, .left = left };
	struct items *items = read_members(place, syntax->right);

	if (check_is_nothing(left) || !items || items->count > AMON_MAX_NODES)
		return check_nothing(check, syntax->span);
	if (left->type.base == AMON_BASE_BOOL || left->type.base == AMON_BASE_ROWS) {
		amon_error(check->diagnostics, left->span, "%s lies in no set", check_value_text(check, left));
		return check_nothing(check, syntax->span);
	}
	in.ranges = amon_new_array(check->arena, struct amon_range, items->count + 1);
	for (const struct item *item = items->first; item; item = item->next)
		add_member(&in, item);
	if (in.failed)
		return check_nothing(check, syntax->span);
	struct amon_value *value = in_ranges(&in);
	return in.others ? check_operate(place, AMON_OP_OR, syntax->span, value, in.others) : value;
}
