/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "check_internal.h"
#include "ipfix.h"
#include "units.h"

static const char *const later_aggregations[] = { "quantile", "distinct", "topk", "burst", "first_n" };

bool check_is_later_aggregation(const char *name)
{
	for (size_t i = 0; i < COUNT_OF(later_aggregations); i++)
		if (!strcmp(later_aggregations[i], name))
			return true;
	return false;
}

/* --- what stands behind a metric or derive */

static void complain_unit(struct check *check, const struct amon_name *name, const struct amon_unit *unit,
                          struct amon_dimension dimension)
{
	struct amon_type type = check_number_type(AMON_BASE_INT, dimension, 0);
	struct amon_diagnostic *error;

	if (unit)
		error = amon_error(check->diagnostics, name->span, "`%s` is no unit of %s", name->text,
		                   check_type_text(check, type));
	else
		error = amon_error(check->diagnostics, name->span, "there is no unit `%s` of %s", name->text,
		                   check_type_text(check, type));
	for (const struct amon_unit *other = amon_units; other->name && !dimension.free; other++)
		if (amon_unit_fits(other, dimension) && (dimension.information || dimension.time)) {
			check_help(check, error, "a unit of it is `%s`", other->name);
			return;
		}
}

/* What a number counts is named freely: `unit retransmissions`. */
static bool is_free_name(struct amon_dimension dimension)
{
	return dimension.information == 0 && dimension.time == 0;
}

/* A name that is close to a known unit's is most likely that one misspelt. */
static const char *misspelt(struct check *check, const char *name, struct amon_dimension dimension)
{
	struct candidates candidates = { .check = check };

	for (const struct amon_unit *unit = amon_units; unit->name; unit++)
		if (!is_free_name(dimension) || amon_unit_fits(unit, dimension))
			check_candidate(&candidates, unit->name);
	return amon_closest(name, candidates.words, candidates.count);
}

static void set_unit(struct check *check, struct amon_column *column, const struct amon_name *name)
{
	struct amon_dimension dimension = column->type.dimension;
	struct amon_unit rate;
	const struct amon_unit *unit = amon_unit_find(name->text, &rate);
	const char *close = unit ? NULL : misspelt(check, name->text, dimension);

	column->unit = name->text;
	if (close) {
		check_help(check, amon_error(check->diagnostics, name->span, "there is no unit `%s`", name->text),
		           "did you mean `%s`?", close);
	} else if (unit ? !amon_unit_fits(unit, dimension) : !is_free_name(dimension)) {
		complain_unit(check, name, unit, dimension);
	} else if (unit) {
		column->divisor = unit->divisor ? unit->divisor : 1;
		column->multiplier = unit->multiplier ? unit->multiplier : 1;
	}
}

static bool has_unit(enum amon_base base)
{
	return base == AMON_BASE_INT || base == AMON_BASE_REAL || base == AMON_BASE_ROWS;
}

/* `PEN/ID` is anyone's; a name is the registry's. */
static void check_ipfix(struct check *check, struct amon_column *column, const struct amon_attributes *attributes)
{
	const char *name = attributes->ipfix.text, *closest;
	bool numbered = name && strchr(name, '/');
	const struct amon_ipfix_element *element = name ? amon_ipfix_find(name) : NULL;

	column->ipfix = name;
	column->ipfix_pen = attributes->ipfix_pen;
	column->ipfix_id = element ? element->id : attributes->ipfix_id;
	if (!name || numbered || element)
		return;
	closest = amon_ipfix_closest(name);
	check_help(check, amon_error(check->diagnostics, attributes->ipfix.span, "IPFIX has no element `%s`", name),
	           closest ? "did you mean `%s`?" : "write its numbers, `ENTERPRISE/NUMBER`; IANA's own are 0/NUMBER",
	           closest);
}

void check_unit(struct check *check, struct amon_column *column, const struct amon_name *unit)
{
	if (unit->text && has_unit(column->type.base))
		set_unit(check, column, unit);
	else if (unit->text)
		amon_error(check->diagnostics, unit->span, "%s has no unit", check_type_text(check, column->type));
}

void check_attributes(struct check *check, struct amon_column *column, const struct amon_attributes *attributes)
{
	const struct amon_name *unit = &attributes->unit;

	if (attributes->as.text && !attributes->as.text[0])
		amon_error(check->diagnostics, attributes->as.span, "the exported name is empty");
	if (attributes->as.text)
		column->exported = attributes->as.text;
	column->help = attributes->help.text;
	check_ipfix(check, column, attributes);
	check_timing_column(check, column, attributes);
	check_unit(check, column, unit);
}

/* --- arguments */

static bool takes(const struct amon_aggregation *aggregation, enum amon_base base)
{
	bool picks = aggregation->merge != AMON_MERGE_ADD && aggregation->merge != AMON_MERGE_OR &&
	             aggregation->merge != AMON_MERGE_AND;

	if (base == AMON_BASE_INT)
		return true;
	if (base == AMON_BASE_TIME)
		return picks;
	if (base == AMON_BASE_BOOL)
		return aggregation->takes_address;
	return aggregation->takes_address && check_is_address(base);
}

static bool check_argument(struct check *check, const struct amon_aggregation *aggregation,
                           const struct amon_value *argument)
{
	enum amon_base base = argument->type.base;
	struct amon_diagnostic *error;

	if (base == AMON_BASE_NONE || takes(aggregation, base))
		return base != AMON_BASE_NONE;
	error = amon_error(check->diagnostics, argument->span, "%s() takes a number, not %s", aggregation->name,
	                   check_value_text(check, argument));
	if (base == AMON_BASE_BOOL)
		check_help(check, error, "count the packets for which it holds: `count() where ...`");
	else if (base == AMON_BASE_TIME)
		check_help(check, error, "take a difference of two instants, or first(), last(), min() or max()");
	else
		check_help(check, error, "first() and last() take addresses");
	return false;
}

static void complain_aggregation(struct check *check, const struct amon_syntax *call)
{
	struct candidates candidates = { .check = check };
	struct amon_diagnostic *error;

	if (check_is_function(call->text)) {
		error = amon_error(check->diagnostics, call->span, "%s() is no aggregation of packets", call->text);
		check_help(check, error, "write for example `sum(%s(...))`", call->text);
		return;
	}
	error = amon_error(check->diagnostics, call->span, "there is no aggregation %s()", call->text);
	for (const struct amon_aggregation *row = amon_aggregations; row->name; row++)
		check_candidate(&candidates, row->name);
	check_suggest(error, &candidates, call->text);
}

static bool check_names_of_arguments(struct check *check, const struct amon_syntax *call)
{
	bool fits = true;

	for (const struct amon_syntax *argument = call->arguments; argument; argument = argument->next) {
		const struct amon_name *name = &argument->argument;

		if (!name->text)
			continue;
		fits = false;
		if (!strcmp(name->text, "half_life"))
			check_later(check, name->span, "`half_life` comes");
		else
			amon_error(check->diagnostics, name->span, "%s() has no argument called `%s`", call->text,
			           name->text);
	}
	return fits;
}

/* "sum() takes 1 argument, not 2" */
static bool check_number_of_arguments(struct check *check, const struct amon_aggregation *aggregation,
                                      const struct amon_syntax *call)
{
	bool is_histogram = aggregation->finish == AMON_FINISH_HISTOGRAM;
	unsigned int count = 0, wanted = is_histogram ? 2 : aggregation->takes_argument;
	struct amon_diagnostic *error;

	for (const struct amon_syntax *argument = call->arguments; argument; argument = argument->next)
		count++;
	if (count == wanted)
		return true;
	if (is_histogram && count == 1) {
		error = amon_error(check->diagnostics, call->span, "which buckets shall histogram() have?");
		check_help(check, error,
		           "write `histogram(x, log2)`, or `linear(low, high, step)`, `[edges]`, `loglinear(bits)`");
		return false;
	}
	error = amon_error(check->diagnostics, call->span, "%s() takes %s, not %u", aggregation->name,
	                   wanted == 0   ? "no argument"
	                   : wanted == 1 ? "1 argument"
	                                 : "2 arguments",
	                   count);
	if (wanted == 0)
		check_help(check, error, "`where` says which packets are counted");
	return false;
}

/* --- the metric */

struct amon_type check_aggregated_type(struct check *check, const struct amon_column *column)
{
	struct amon_type type = column->argument ? column->argument->type : (struct amon_type){ .base = AMON_BASE_INT };
	struct amon_dimension dimension = type.dimension;

	switch (column->aggregation->finish) {
	case AMON_FINISH_TOTAL:
		return check_number_type(AMON_BASE_INT, dimension, 0);
	case AMON_FINISH_VARIANCE:
		if (!check_times(check, column->span, dimension, dimension, 1, &dimension))
			return (struct amon_type){ .base = AMON_BASE_NONE };
		return check_number_type(AMON_BASE_REAL, dimension, 0);
	case AMON_FINISH_MEAN:
	case AMON_FINISH_STDDEV:
		return check_number_type(AMON_BASE_REAL, dimension, 0);
	case AMON_FINISH_HISTOGRAM:
		return check_number_type(AMON_BASE_ROWS, dimension, 0);
	case AMON_FINISH_VALUE:
		break;
	}
	return type;
}

bool check_reads_segments(const struct amon_value *value)
{
	if (!value)
		return false;
	if (value->kind == AMON_VALUE_FIELD && !strcmp(value->field->name, "frame.segments"))
		return true;
	return check_reads_segments(value->left) || check_reads_segments(value->middle) ||
	       check_reads_segments(value->right);
}

static bool sees_once(const struct amon_value *value)
{
	return check_reads_segments(value) || check_reads_memory(value);
}

static bool read_call(const struct place *around, struct amon_column *column, const struct amon_syntax *call)
{
	const struct amon_aggregation *aggregation = column->aggregation;
	struct place narrowed = *around, *place = &narrowed;

	narrowed.narrowed = column;
	if (!check_names_of_arguments(place->check, call) ||
	    !check_number_of_arguments(place->check, aggregation, call))
		return false;
	if (!aggregation->takes_argument)
		return true;
	column->argument = check_expression(place, call->arguments);
	if (!check_argument(place->check, aggregation, column->argument))
		return false;
	return aggregation->finish != AMON_FINISH_HISTOGRAM ||
	       check_buckets(place, call->arguments->next, column->argument, &column->buckets);
}

bool check_aggregation(const struct place *place, struct amon_column *column, const struct amon_syntax *call)
{
	column->aggregation = amon_aggregation_find(call->text);
	if (!column->aggregation)
		complain_aggregation(place->check, call);
	return column->aggregation && read_call(place, column, call);
}

bool check_column_where(const struct place *place, struct amon_column *column, const struct amon_syntax *where)
{
	struct amon_value *condition = where ? check_condition(place, where) : NULL;
	bool always = condition && check_is_constant(condition) && condition->integer;

	column->where = always ? NULL : condition;
	column->where_known = true;
	return !condition || !check_is_nothing(condition);
}

void check_metric(struct check *check, struct name *name)
{
	const struct amon_statement *statement = name->statement;
	const struct amon_syntax *call = statement->value;
	struct place place = { check, name->block, WORLD_PACKET, .home = check_home(name->block) };
	struct amon_column *column = name->column;

	if (call->kind != AMON_SYNTAX_CALL)
		return; /* the parser has said so */
	bool fits = check_column_where(&place, column, statement->attributes.where);
	if (!check_aggregation(&place, column, call))
		return;
	column->once = sees_once(column->argument) || sees_once(column->where);
	column->type = check_aggregated_type(check, column);
	check_attributes(check, column, &statement->attributes);
	if (!fits)
		column->type.base = AMON_BASE_NONE;
}
