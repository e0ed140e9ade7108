/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "check_internal.h"

#define LOGLINEAR_BITS_MAX 6
#define BUCKET_SIZE        8

typedef bool reader(const struct place *place, const struct amon_syntax *form, const struct amon_value *argument,
                    struct amon_buckets *buckets);

static bool check_room(struct check *check, struct amon_span span, unsigned long long count)
{
	if (count <= AMON_MAX_RECORD / BUCKET_SIZE)
		return true;
	amon_error(check->diagnostics, span, "this histogram would have %llu buckets; a record has room for %d", count,
	           AMON_MAX_RECORD / BUCKET_SIZE);
	return false;
}

/* A constant that is measured as the argument is. */
static bool read_bound(const struct place *place, const struct amon_syntax *syntax, const struct amon_value *argument,
                       int64_t *bound)
{
	const struct amon_value *value = check_expression(place, syntax);
	struct amon_dimension unused;

	if (!check_want_integer(place->check, value))
		return false;
	if (!check_is_constant(value)) {
		amon_error(place->check->diagnostics, syntax->span, "a histogram's buckets are constants");
		return false;
	}
	*bound = value->integer;
	return check_beside(place->check, syntax->span, argument, value, &unused);
}

static unsigned int count_items(const struct amon_syntax *form)
{
	unsigned int count = 0;
	for (const struct amon_syntax *item = form->arguments; item; item = item->next)
		count++;
	return count;
}

static bool check_count(struct check *check, const struct amon_syntax *form, unsigned int wanted, const char *usage)
{
	if (count_items(form) == wanted)
		return true;
	check_help(check,
	           amon_error(check->diagnostics, form->span, "%s() takes %u argument%s", form->text, wanted,
	                      wanted == 1 ? "" : "s"),
	           "write `%s`", usage);
	return false;
}

/* --- the forms */

static bool read_linear(const struct place *place, const struct amon_syntax *form, const struct amon_value *argument,
                        struct amon_buckets *buckets)
{
	int64_t *bounds[] = { &buckets->low, &buckets->high, &buckets->step };
	const struct amon_syntax *item = form->arguments;
	bool fits = true;

	if (!check_count(place->check, form, 3, "linear(low, high, step)"))
		return false;
	for (size_t i = 0; i < COUNT_OF(bounds); i++, item = item->next)
		fits = read_bound(place, item, argument, bounds[i]) && fits;
	if (!fits)
		return false;
	if (buckets->step <= 0 || buckets->high < buckets->low) {
		amon_error(place->check->diagnostics, form->span,
		           buckets->step <= 0 ? "linear()'s step must be over 0"
		                              : "linear()'s end comes before its start");
		return false;
	}
	/* the difference of two 64-bit numbers fits unsigned */
	uint64_t edges = ((uint64_t)buckets->high - (uint64_t)buckets->low) / (uint64_t)buckets->step;
	buckets->kind = AMON_BUCKETS_LINEAR;
	if (!check_room(place->check, form->span, edges > UINT64_MAX - 2 ? UINT64_MAX : edges + 2))
		return false;
	buckets->edge_count = (uint32_t)edges + 1;
	return true;
}

static bool read_edges(const struct place *place, const struct amon_syntax *form, const struct amon_value *argument,
                       struct amon_buckets *buckets)
{
	unsigned int count = count_items(form), index = 0;
	int64_t *edges;
	bool fits = true;

	if (!check_room(place->check, form->span, count + 1ULL))
		return false;
	edges = amon_new_array(place->check->arena, int64_t, count);
	for (const struct amon_syntax *item = form->arguments; item; item = item->next, index++) {
		bool read = read_bound(place, item, argument, &edges[index]);

		if (read && fits && index && edges[index] <= edges[index - 1]) {
			amon_error(place->check->diagnostics, item->span, "edges ascend; this one does not");
			read = false;
		}
		fits = read && fits;
	}
	buckets->kind = AMON_BUCKETS_EDGES;
	buckets->edges = edges;
	buckets->edge_count = count;
	return fits;
}

static bool read_loglinear(const struct place *place, const struct amon_syntax *form, const struct amon_value *argument,
                           struct amon_buckets *buckets)
{
	int64_t bits;

	(void)argument;
	if (!check_count(place->check, form, 1, "loglinear(bits)") ||
	    !check_constant(place, form->arguments, "loglinear()'s number of bits", 0, LOGLINEAR_BITS_MAX, &bits))
		return false;
	buckets->kind = AMON_BUCKETS_LOGLINEAR;
	buckets->bits = (uint32_t)bits;
	return check_room(place->check, form->span, amon_bucket_count(buckets));
}

static bool read_log2(const struct place *place, const struct amon_syntax *form, const struct amon_value *argument,
                      struct amon_buckets *buckets)
{
	(void)place;
	(void)form;
	(void)argument;
	buckets->kind = AMON_BUCKETS_LOG2;
	return true;
}

static const struct {
	enum amon_syntax_kind kind;
	const char *name; /* NULL for a list */
	reader *read;
} forms[] = {
	{ AMON_SYNTAX_NAME, "log2", read_log2 },
	{ AMON_SYNTAX_LIST, NULL, read_edges },
	{ AMON_SYNTAX_CALL, "linear", read_linear },
	{ AMON_SYNTAX_CALL, "loglinear", read_loglinear },
};

static void complain_form(struct check *check, const struct amon_syntax *form)
{
	struct candidates candidates = { .check = check };
	bool named = form->kind == AMON_SYNTAX_NAME || form->kind == AMON_SYNTAX_CALL;
	struct amon_diagnostic *error =
	        amon_error(check->diagnostics, form->span,
	                   "buckets are `log2`, `linear(low, high, step)`, `[edges]` or `loglinear(bits)`");

	for (size_t i = 0; i < COUNT_OF(forms); i++)
		if (forms[i].name)
			check_candidate(&candidates, forms[i].name);
	if (named)
		check_suggest(error, &candidates, form->text);
}

bool check_buckets(const struct place *place, const struct amon_syntax *form, const struct amon_value *argument,
                   struct amon_buckets *buckets)
{
	for (size_t i = 0; i < COUNT_OF(forms); i++)
		if (forms[i].kind == form->kind && (!forms[i].name || !strcmp(forms[i].name, form->text)))
			return forms[i].read(place, form, argument, buckets);
	complain_form(place->check, form);
	return false;
}
