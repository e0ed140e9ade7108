/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "check_internal.h"

/*
 * Warnings about what can never hold. A condition is read as what it requires of a packet where it holds: headers that
 * are there, or not there, and bounds of fields. Two requirements that contradict each other are what is looked for;
 * what is not understood requires nothing.
 */

#define REQUIREMENTS_MAX 16

struct requirement {
	struct amon_span span;
	const char *name;               /* of what must be there; NULL where it is one of several */
	uint32_t layers;                /* one of them is there; 0: says nothing */
	uint32_t absent;                /* none of them is there */
	const struct amon_field *field; /* lies in [low, high]; NULL: says nothing */
	int64_t low, high;
};

struct requirements {
	struct requirement list[REQUIREMENTS_MAX];
	uint32_t count;
	bool never; /* they contradict each other */
};

struct walk {
	struct check *check;
	uint32_t excluded[AMON_LAYER_COUNT]; /* by a layer: those that no packet has with it */
	bool quiet;                          /* in one arm of an `or`, which may be dead without harm */
	const char *fails;                   /* what the place does: "never holds" */
};

static void find_excluded(struct walk *walk)
{
	for (int a = 0; a < AMON_LAYER_COUNT; a++)
		for (int b = 0; b < AMON_LAYER_COUNT; b++)
			if (amon_layers_exclude(AMON_LAYER_BIT(a), AMON_LAYER_BIT(b)))
				walk->excluded[a] |= AMON_LAYER_BIT(b);
}

/* --- saying it */

static bool same_span(struct amon_span a, struct amon_span b)
{
	return a.source == b.source && a.start == b.start && a.end == b.end;
}

/* What stands in a probe's `where` is met in each of its sections. */
static bool is_said(const struct check *check, struct amon_span span)
{
	for (const struct amon_diagnostic *said = check->diagnostics->first; said; said = said->next)
		if (said->severity == AMON_WARNING && same_span(said->span, span))
			return true;
	return false;
}

static void warn(struct walk *walk, struct amon_span span, const struct requirement *because, const char *message)
{
	if (walk->quiet || is_said(walk->check, span))
		return;
	amon_warning(walk->check->diagnostics, span, "%s", message);
	if (because && !same_span(because->span, span))
		amon_note(walk->check->diagnostics, because->span, "because of this");
}

/* "`tcp`", or "TCP or UDP" where no protocol is just that */
static const char *layers_text(struct check *check, uint32_t layers)
{
	const char *text = NULL;

	for (const struct amon_protocol *protocol = amon_protocols; protocol->name; protocol++)
		if (protocol->layers == layers)
			return amon_arena_printf(check->arena, "`%s`", protocol->name);
	for (int layer = 0; layer < AMON_LAYER_COUNT; layer++) {
		if (!(layers & AMON_LAYER_BIT(layer)))
			continue;
		const char *name = amon_layer_name((enum amon_layer)layer);
		text = text ? amon_arena_printf(check->arena, "%s or %s", text, name) : name;
	}
	return text ? text : "it";
}

static const char *requirement_text(struct check *check, const struct requirement *requirement)
{
	if (requirement->name)
		return amon_arena_printf(check->arena, "`%s`", requirement->name);
	return layers_text(check, requirement->layers);
}

/* --- contradictions */

static bool excludes(const struct walk *walk, uint32_t a, uint32_t b)
{
	for (int layer = 0; layer < AMON_LAYER_COUNT; layer++)
		if ((a & AMON_LAYER_BIT(layer)) && (b & ~walk->excluded[layer]))
			return false;
	return a && b;
}

/* All that would do for `needs` is known not to be there. */
static bool is_absent(const struct requirement *needs, const struct requirement *lacks)
{
	return needs->layers && !(needs->layers & ~lacks->absent);
}

static const char *contradiction(struct walk *walk, const struct requirement *old, const struct requirement *new)
{
	struct check *check = walk->check;

	if (excludes(walk, old->layers, new->layers))
		return amon_arena_printf(check->arena, "this %s: no packet has %s with %s", walk->fails,
		                         requirement_text(check, new), requirement_text(check, old));
	if (is_absent(old, new) || is_absent(new, old))
		return amon_arena_printf(check->arena, "this %s: %s is both asked for and excluded", walk->fails,
		                         requirement_text(check, old->layers ? old : new));
	if (old->field && old->field == new->field && (old->low > new->high || old->high < new->low))
		return amon_arena_printf(check->arena, "this %s: `%s` is asked to be two things at once", walk->fails,
		                         old->field->name);
	return NULL;
}

static void add(struct walk *walk, struct requirements *all, struct requirement new)
{
	for (uint32_t i = 0; i < all->count && !all->never; i++) {
		const char *message = contradiction(walk, &all->list[i], &new);
		if (message) {
			warn(walk, new.span, &all->list[i], message);
			all->never = true;
		}
	}
	if (all->count < REQUIREMENTS_MAX)
		all->list[all->count++] = new;
}

static void fail(struct walk *walk, struct requirements *all, struct amon_span span, const char *message)
{
	warn(walk, span, NULL, message);
	all->never = true;
}

/* --- what a value needs in order to be there */

static void require_value(struct walk *walk, struct requirements *all, const struct amon_value *value,
                          struct amon_span span)
{
	switch (value->kind) {
	case AMON_VALUE_FIELD:
		if (value->field->layers)
			add(walk, all,
			    (struct requirement){
			            .span = span, .name = value->field->name, .layers = value->field->layers });
		return;
	case AMON_VALUE_SLICE:
		add(walk, all,
		    (struct requirement){ .span = span,
		                          .name = value->payload->name,
		                          .layers = AMON_LAYER_BIT(value->payload->layer) });
		return;
	case AMON_VALUE_UNARY:
	case AMON_VALUE_BINARY:
	case AMON_VALUE_CAST:
	case AMON_VALUE_ABS:
	case AMON_VALUE_MIN:
	case AMON_VALUE_MAX:
	case AMON_VALUE_PREFIX:
		if (value->type.base == AMON_BASE_BOOL)
			return;
		require_value(walk, all, value->left, span);
		if (value->right)
			require_value(walk, all, value->right, span);
		return;
	default:
		return;
	}
}

/* --- bounds */

/* [low, high] is what a comparison leaves of the left side; the whole line where it says nothing. */
static void bounds_of(enum amon_operator op, int64_t constant, int64_t *low, int64_t *high)
{
	*low = INT64_MIN;
	*high = INT64_MAX;
	if (op == AMON_OP_EQ || op == AMON_OP_GE || op == AMON_OP_GT)
		*low = op == AMON_OP_GT && constant < INT64_MAX ? constant + 1 : constant;
	if (op == AMON_OP_EQ || op == AMON_OP_LE || op == AMON_OP_LT)
		*high = op == AMON_OP_LT && constant > INT64_MIN ? constant - 1 : constant;
}

static enum amon_operator mirrored(enum amon_operator op)
{
	switch (op) {
	case AMON_OP_LT:
		return AMON_OP_GT;
	case AMON_OP_GT:
		return AMON_OP_LT;
	case AMON_OP_LE:
		return AMON_OP_GE;
	case AMON_OP_GE:
		return AMON_OP_LE;
	default:
		return op;
	}
}

static void require_bounds(struct walk *walk, struct requirements *all, const struct amon_value *value, int64_t low,
                           int64_t high, struct amon_span span)
{
	const struct amon_field *field = value->kind == AMON_VALUE_FIELD ? value->field : NULL;
	int64_t most = value->type.bits ? (int64_t)(UINT64_MAX >> (64 - value->type.bits)) : INT64_MAX;

	if (value->type.bits && (low > most || high < 0))
		fail(walk, all, span,
		     amon_arena_printf(walk->check->arena, "this never holds: %s is 0 to %lld",
		                       field ? amon_arena_printf(walk->check->arena, "`%s`", field->name) : "the value",
		                       (long long)most));
	else if (field && (low != INT64_MIN || high != INT64_MAX))
		add(walk, all, (struct requirement){ .span = span, .field = field, .low = low, .high = high });
}

static bool is_flag(const struct amon_value *value)
{
	return value->kind == AMON_VALUE_FIELD && value->type.base == AMON_BASE_BOOL;
}

static void require_flag(struct walk *walk, struct requirements *all, const struct amon_value *flag, int64_t is,
                         struct amon_span span)
{
	add(walk, all, (struct requirement){ .span = span, .field = flag->field, .low = is, .high = is });
}

static void require_constant(struct walk *walk, struct requirements *all, const struct amon_value *value,
                             enum amon_operator op, const struct amon_value *constant, struct amon_span span)
{
	int64_t low, high;

	if (is_flag(value)) {
		require_flag(walk, all, value, (op == AMON_OP_EQ) == constant->integer, span);
	} else if (value->type.base == AMON_BASE_INT) {
		bounds_of(op, constant->integer, &low, &high);
		require_bounds(walk, all, value, low, high, span);
	}
}

static void require_comparison(struct walk *walk, struct requirements *all, const struct amon_value *value,
                               struct amon_span span)
{
	const struct amon_value *left = value->left, *right = value->right;

	require_value(walk, all, left, span);
	require_value(walk, all, right, span);
	if (right->kind == AMON_VALUE_INTEGER)
		require_constant(walk, all, left, value->op, right, span);
	else if (left->kind == AMON_VALUE_INTEGER)
		require_constant(walk, all, right, mirrored(value->op), left, span);
}

static void require_member(struct walk *walk, struct requirements *all, const struct amon_value *value,
                           struct amon_span span)
{
	int64_t low = INT64_MAX, high = INT64_MIN;

	require_value(walk, all, value->left, span);
	if (value->left->type.base != AMON_BASE_INT)
		return;
	for (uint32_t i = 0; i < value->range_count; i++) {
		low = value->ranges[i].low < low ? value->ranges[i].low : low;
		high = value->ranges[i].high > high ? value->ranges[i].high : high;
	}
	require_bounds(walk, all, value->left, low, high, span);
}

/* --- conditions */

static void require(struct walk *walk, struct requirements *all, const struct amon_value *value,
                    struct amon_span around);

/* What both arms require: either's headers, the hull of both bounds. */
static void add_common(struct walk *walk, struct requirements *all, const struct requirement *a,
                       const struct requirement *b, struct amon_span span)
{
	if (a->layers && b->layers)
		add(walk, all, (struct requirement){ .span = span, .layers = a->layers | b->layers });
	if (a->field && a->field == b->field)
		add(walk, all,
		    (struct requirement){ .span = span,
		                          .field = a->field,
		                          .low = a->low < b->low ? a->low : b->low,
		                          .high = a->high > b->high ? a->high : b->high });
}

static void require_either(struct walk *walk, struct requirements *all, const struct amon_value *value,
                           struct amon_span span)
{
	struct requirements left = *all, right = *all;
	uint32_t known = all->count;
	bool quiet = walk->quiet;

	walk->quiet = true;
	require(walk, &left, value->left, span);
	require(walk, &right, value->right, span);
	walk->quiet = quiet;
	if (left.never && right.never)
		fail(walk, all, span, "this never holds: neither side can");
	else if (left.never || right.never)
		*all = left.never ? right : left;
	else
		for (uint32_t i = known; i < left.count; i++)
			for (uint32_t j = known; j < right.count; j++)
				add_common(walk, all, &left.list[i], &right.list[j], span);
}

static void require_not(struct walk *walk, struct requirements *all, const struct amon_value *value,
                        struct amon_span span)
{
	if (is_flag(value))
		require_flag(walk, all, value, 0, span);
	else if (value->kind == AMON_VALUE_PROTOCOL)
		add(walk, all, (struct requirement){ .span = span, .absent = value->layers });
}

static void require_operation(struct walk *walk, struct requirements *all, const struct amon_value *value,
                              struct amon_span span)
{
	if (value->op == AMON_OP_AND) {
		require(walk, all, value->left, span);
		if (!all->never)
			require(walk, all, value->right, span);
	} else if (value->op == AMON_OP_OR) {
		require_either(walk, all, value, span);
	} else if (value->op == AMON_OP_NOT) {
		require_not(walk, all, value->left, span);
	} else {
		require_comparison(walk, all, value, span);
	}
}

/* What a let is made of lies elsewhere; its use is what is wrong. */
static struct amon_span within(struct amon_span span, struct amon_span around)
{
	bool inside = span.source == around.source && span.start >= around.start && span.end <= around.end;

	return inside ? span : around;
}

static void require(struct walk *walk, struct requirements *all, const struct amon_value *value,
                    struct amon_span around)
{
	struct amon_span span = within(value->span, around);

	switch (value->kind) {
	case AMON_VALUE_INTEGER:
		if (!value->integer)
			fail(walk, all, span, "this never holds");
		return;
	case AMON_VALUE_PROTOCOL:
		add(walk, all, (struct requirement){ .span = span, .layers = value->layers });
		return;
	case AMON_VALUE_FIELD:
		require_value(walk, all, value, span);
		require_flag(walk, all, value, 1, span);
		return;
	case AMON_VALUE_PRESENT:
		require_value(walk, all, value->left, span);
		return;
	case AMON_VALUE_IN:
		require_member(walk, all, value, span);
		return;
	case AMON_VALUE_UNARY:
	case AMON_VALUE_BINARY:
		require_operation(walk, all, value, span);
		return;
	default:
		return;
	}
}

/* --- the probe */

static void narrow(struct walk *walk, struct requirements *all, const struct amon_value *where)
{
	if (where)
		require(walk, all, where, where->span);
}

/* What is counted or a key. */
static void require_here(struct walk *walk, struct requirements *all, const struct amon_value *value)
{
	walk->fails = "never has a value";
	require_value(walk, all, value, value->span);
	walk->fails = "never holds";
}

static void check_metrics_of(struct walk *walk, const struct amon_columns *metrics, const struct requirements *around)
{
	for (const struct amon_column *metric = metrics->first; metric; metric = metric->next) {
		struct requirements all = *around;

		narrow(walk, &all, metric->where);
		if (metric->argument && !all.never)
			require_here(walk, &all, metric->argument);
	}
}

static void check_table_of(struct walk *walk, const struct amon_table *table, const struct requirements *around)
{
	struct requirements all = *around;

	narrow(walk, &all, table->where);
	for (const struct amon_column *key = table->keys.first; key && !all.never; key = key->next)
		if (!key->port_key)
			require_here(walk, &all, key->value);
	if (all.never)
		return;
	check_metrics_of(walk, &table->metrics, &all);
	narrow(walk, &all, table->expire.when);
}

void check_never(struct check *check)
{
	struct walk walk = { .check = check, .fails = "never holds" };

	find_excluded(&walk);
	for (const struct amon_section *section = check->probe->sections; section; section = section->next) {
		struct requirements all = { 0 };

		narrow(&walk, &all, section->where);
		if (all.never)
			continue;
		check_metrics_of(&walk, &section->metrics, &all);
		for (const struct amon_table *table = section->tables; table; table = table->next)
			check_table_of(&walk, table, &all);
	}
}
