/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "check_internal.h"

/*
 * What is remembered from packet to packet: the previous values that prev() and delta() ask for, states, folds, and the
 * rows of other tables. A column of its own stands for each thing that is remembered, in the memory of its section or
 * table; folds that are metrics stand among the metrics.
 */

struct block *check_home(struct block *block)
{
	bool events = block->table && block->table->events;

	return events ? block->outer : block;
}

static struct amon_memory *memory_of(const struct block *home)
{
	return home->table ? &home->table->memory : &home->section->memory;
}

/* --- looking for memory in an expression */

static bool has(const struct amon_value *value, bool (*is)(const struct amon_value *value, const void *data),
                const void *data)
{
	if (!value)
		return false;
	return is(value, data) || has(value->left, is, data) || has(value->middle, is, data) ||
	       has(value->right, is, data);
}

static bool is_memory(const struct amon_value *value, const void *data)
{
	(void)data;
	return value->kind == AMON_VALUE_MEMORY || value->kind == AMON_VALUE_ROW;
}

bool check_reads_memory(const struct amon_value *value)
{
	return has(value, is_memory, NULL);
}

/* In a let outside of sections it has no column yet. */
static bool is_previous(const struct amon_value *value, const void *data)
{
	(void)data;
	return value->kind == AMON_VALUE_MEMORY &&
	       (!value->column || value->column->aggregation == &amon_aggregation_previous);
}

static bool asks(const struct amon_value *value, const void *table)
{
	if (value->kind == AMON_VALUE_ROW)
		return value->table == table;
	return value->kind == AMON_VALUE_MEMORY && value->asked && value->column->table == table;
}

static bool is_of_table(const struct amon_value *value, const void *table)
{
	return value->kind == AMON_VALUE_MEMORY && value->column && value->column->table == table;
}

bool check_key_memory(struct check *check, const struct amon_table *table, const struct amon_value *value)
{
	const char *fault = NULL;

	if (check_is_address(value->type.base) && value->kind == AMON_VALUE_MEMORY)
		fault = "an address of an earlier packet can only be compared, or be first() or last()";
	else if (has(value, is_of_table, table) || has(value, asks, table))
		fault = "a key cannot depend on the row that it selects";

	if (fault)
		amon_error(check->diagnostics, value->span, "%s", fault);
	return fault;
}

bool check_is_remembered_address(struct check *check, const struct amon_value *value)
{
	if (value->kind != AMON_VALUE_MEMORY || !check_is_address(value->type.base))
		return false;
	amon_error(check->diagnostics, value->span,
	           "an address of an earlier packet can only be compared, or be first() or last()");
	return true;
}

/* --- previous packets */

/* The same packets come to both. The `where` of a metric is known before its argument, of a state behind it. */
static bool same_place(const struct amon_column *a, const struct amon_column *b)
{
	const struct amon_value *x = a ? a->where : NULL, *y = b ? b->where : NULL;

	if (a == b)
		return true;
	return (!a || a->where_known) && (!b || b->where_known) && amon_same_value(x, y);
}

static const char *item_name(struct check *check, const struct amon_value *value)
{
	const char *text = value->kind == AMON_VALUE_FIELD ? value->field->name : "value";
	char *name = amon_arena_copy(check->arena, text, strlen(text));

	for (char *dot = name; (dot = strchr(dot, '.'));)
		*dot = '_';
	return name;
}

static struct amon_column *item_new(struct check *check, const struct block *home, const char *name,
                                    struct amon_span span)
{
	struct amon_column *item = amon_new(check->arena, struct amon_column);

	*item = (struct amon_column){ .kind = AMON_COLUMN_METRIC,
		                      .name = name,
		                      .span = span,
		                      .divisor = 1,
		                      .multiplier = 1,
		                      .once = true,
		                      .table = home->table,
		                      .section = home->section };
	return item;
}

/* Equal arguments at equal places share one memory. */
static struct amon_column *previous_item(const struct place *place, struct amon_value *argument, struct amon_span span)
{
	struct amon_columns *items = &memory_of(place->home)->items;
	struct amon_column *item;

	for (item = items->first; item; item = item->next)
		if (item->aggregation == &amon_aggregation_previous && amon_same_value(item->argument, argument) &&
		    same_place(item->narrowed, place->narrowed))
			return item;
	item = item_new(place->check, place->home, item_name(place->check, argument), span);
	item->aggregation = &amon_aggregation_previous;
	item->argument = argument;
	item->type = argument->type;
	item->narrowed = place->narrowed;
	check_columns_add(items, item);
	return item;
}

static struct amon_value *previous_value(const struct place *place, struct amon_value *argument, struct amon_span span)
{
	struct amon_value *value = check_value_new(place->check, AMON_VALUE_MEMORY, span, argument->type);

	if (place->home->section)
		value->column = previous_item(place, argument, span);
	else
		place->check->remembers = true;
	return value;
}

static bool check_previous_argument(const struct place *place, const struct amon_syntax *call,
                                    const struct amon_value *argument)
{
	bool delta = !strcmp(call->text, "delta");
	struct check *check = place->check;
	struct amon_diagnostic *error;

	if (!place->home) {
		amon_error(check->diagnostics, call->span,
		           "there is no previous packet here: %s() stands in a metric, a `where` or a `let`",
		           call->text);
	} else if (has(argument, is_previous, NULL)) {
		amon_error(check->diagnostics, call->span, "of the previous packet, what it had before is not known");
	} else if (check_is_constant(argument)) {
		amon_error(check->diagnostics, argument->span, "a constant is the same in every packet");
	} else if (delta && argument->type.base != AMON_BASE_INT && argument->type.base != AMON_BASE_TIME) {
		error = amon_error(check->diagnostics, argument->span, "delta() takes a number or an instant, not %s",
		                   check_value_text(check, argument));
		check_help(check, error, "compare it: `x != prev(x)`");
	} else {
		return true;
	}
	return false;
}

struct amon_value *check_previous(const struct place *place, const struct amon_syntax *call,
                                  struct amon_value **arguments)
{
	struct amon_value *argument = arguments[0], *previous;

	if (!check_previous_argument(place, call, argument))
		return check_nothing(place->check, call->span);
	previous = previous_value(place, argument, call->span);
	if (strcmp(call->text, "delta"))
		return previous;
	return check_operate(place, AMON_OP_SUBTRACT, call->span, argument, previous);
}

/* --- states and folds: their types, which are read when the first of them is asked for */

static const struct {
	const char *word;
	uint32_t width;
	bool is_signed;
} fold_types[] = {
	{ "u8", 1, false }, { "u16", 2, false }, { "u32", 4, false }, { "u64", 8, false },
	{ "s8", 1, true },  { "s16", 2, true },  { "s32", 4, true },  { "s64", 8, true },
};

static bool read_width(struct check *check, struct amon_column *column, const struct amon_name *word)
{
	struct candidates candidates = { .check = check };

	for (size_t i = 0; i < COUNT_OF(fold_types); i++) {
		if (!strcmp(fold_types[i].word, word->text)) {
			column->width = fold_types[i].width;
			column->is_signed = fold_types[i].is_signed;
			return true;
		}
		check_candidate(&candidates, fold_types[i].word);
	}
	check_suggest(amon_error(check->diagnostics, word->span, "a fold is u8, u16, u32, u64, s8, s16, s32 or s64"),
	              &candidates, word->text);
	return false;
}

/* Not known before the fold begins: a row has its states before its metrics. */
static bool is_too_late(const struct amon_value *value, const void *data)
{
	const struct amon_column *column = data, *other = value->column;

	if (value->kind == AMON_VALUE_ROW || value->asked)
		return true;
	return value->kind == AMON_VALUE_MEMORY && other && other->table == column->table && column->is_state &&
	       other->aggregation == &amon_aggregation_fold && !other->is_state;
}

static bool check_initial(struct check *check, const struct amon_column *column)
{
	struct amon_diagnostic *error;

	if (!check_want_integer(check, column->initial))
		return false;
	if (has(column->initial, is_too_late, column)) {
		error = amon_error(check->diagnostics, column->initial->span,
		                   "a fold cannot begin with what is only known when it has begun");
		check_help(check, error,
		           "it may begin with fields of its first packet, and with states and folds of its row");
		return false;
	}
	if (column->table || check_is_constant(column->initial))
		return true;
	error = amon_error(check->diagnostics, column->initial->span,
	                   "outside of tables a fold begins with a constant");
	check_help(check, error, "begin with 0, and say behind `next` what each packet makes of it");
	return false;
}

/* A constant as the fold stores it; all else is cut in packets. */
static struct amon_value *cut(struct check *check, const struct amon_column *column, struct amon_value *value)
{
	if (!check_is_constant(value))
		return value;
	return check_integer(check, value->span, check_cut(value->integer, column->width, column->is_signed),
	                     value->type);
}

static void read_fold_type(const struct place *place, struct amon_column *column,
                           const struct amon_statement *statement)
{
	bool fits = read_width(place->check, column, &statement->fold_type);

	column->aggregation = &amon_aggregation_fold;
	column->once = true;
	column->is_state = statement->kind == AMON_STATEMENT_STATE;
	column->initial = check_expression(place, statement->value);
	column->begun = ++place->check->folds;
	if (!check_initial(place->check, column) || !fits)
		return;
	column->initial = cut(place->check, column, column->initial);
	column->type = check_number_type(AMON_BASE_INT, column->initial->type.dimension,
	                                 column->is_signed ? 0 : 8 * column->width);
}

/* Packets are computed in whole numbers. */
static bool is_read_by_packets(struct check *check, const struct amon_syntax *call,
                               const struct amon_aggregation *aggregation)
{
	if (aggregation->finish == AMON_FINISH_VALUE || aggregation->finish == AMON_FINISH_TOTAL)
		return true;
	amon_error(check->diagnostics, call->span, "%s() is nothing that packets can read", aggregation->name);
	return false;
}

static void read_state_type(const struct place *place, struct amon_column *column, const struct amon_syntax *call)
{
	column->once = true;
	if (call->kind == AMON_SYNTAX_CALL && check_aggregation(place, column, call) &&
	    is_read_by_packets(place->check, call, column->aggregation))
		column->type = check_aggregated_type(place->check, column);
}

static void read_type(struct check *check, struct name *name, struct amon_span use)
{
	const struct amon_statement *statement = name->statement;
	struct place place = { check, name->block, WORLD_PACKET, .home = check_home(name->block) };

	if (!check_begin_reading(check, name, use))
		return;
	if (statement->fold_type.text)
		read_fold_type(&place, name->column, statement);
	else
		read_state_type(&place, name->column, statement->value);
	check_end_reading(check, name);
}

struct amon_value *check_state_value(struct check *check, struct name *name, struct amon_span span)
{
	struct amon_value *value;

	read_type(check, name, span);
	value = check_value_new(check, AMON_VALUE_MEMORY, span, name->column->type);
	value->column = name->column;
	return value;
}

/* --- what they become */

/* A plain number beside bytes is bytes: what the fold measures is known from both of its values. */
static bool check_next(struct check *check, struct amon_column *column)
{
	struct amon_dimension dimension;

	if (!check_want_integer(check, column->argument) ||
	    !check_beside(check, column->argument->span, column->initial, column->argument, &dimension))
		return false;
	column->argument = cut(check, column, column->argument);
	column->type.dimension = dimension;
	return true;
}

static void read_next(const struct place *around, struct amon_column *column, const struct amon_syntax *next)
{
	struct place place = *around;

	place.narrowed = column;
	column->argument = check_expression(&place, next);
	if (column->type.base != AMON_BASE_NONE && !check_next(place.check, column))
		column->type.base = AMON_BASE_NONE;
}

void check_memory(struct check *check, struct name *name)
{
	const struct amon_statement *statement = name->statement;
	struct place place = { check, name->block, WORLD_PACKET, .home = check_home(name->block) };
	struct amon_column *column = name->column;
	bool fits;

	read_type(check, name, name->span);
	fits = check_column_where(&place, column, statement->attributes.where);
	if (statement->fold_type.text)
		read_next(&place, column, statement->next_value);
	if (column->type.base == AMON_BASE_NONE)
		return;
	if (name->kind == NAME_FOLD)
		check_attributes(check, column, &statement->attributes);
	else
		check_unit(check, column, &statement->attributes.unit);
	if (!fits)
		column->type.base = AMON_BASE_NONE;
	else if (name->kind == NAME_STATE)
		check_columns_add(&memory_of(name->block)->items, column);
}

/* --- asking another table for the row that this packet's key selects */

static struct amon_value *row_value(const struct place *place, const struct name *table, struct amon_span span)
{
	struct amon_value *value = check_value_new(place->check, AMON_VALUE_ROW, span, CHECK_BOOL);

	value->table = table->inside->table;
	table->inside->table->memory.asked = true;
	return value;
}

static void complain_asked(const struct place *place, const struct amon_syntax *syntax, const struct name *table,
                           const char *text)
{
	const struct name *name = check_name_find_here(table->inside, text, ~0u);
	struct check *check = place->check;
	struct candidates candidates = { .check = check };
	struct amon_diagnostic *error;

	if (check_name_excused(check, table->inside) || (name && name->kind == NAME_LATER))
		return;
	if (name && name->kind == NAME_METRIC) {
		error = amon_error(check->diagnostics, syntax->span,
		                   "packets cannot read the metric `%s`: each CPU counts it for itself", syntax->text);
		check_help(check, error, "make it a `state` of the table `%s`", table->text);
		return;
	}
	if (name) {
		amon_error(check->diagnostics, syntax->span, "`%s` is no state or fold of the table `%s`", text,
		           table->text);
		return;
	}
	for (name = table->inside->first; name; name = name->next)
		if (name->kind & NAME_MEMORY)
			check_candidate(&candidates, amon_arena_printf(check->arena, "%s.%s", table->text, name->text));
	error = amon_error(check->diagnostics, syntax->span, "the table `%s` has no state or fold `%s`", table->text,
	                   text);
	check_suggest(error, &candidates, syntax->text);
}

struct amon_value *check_ask(const struct place *place, const struct amon_syntax *syntax)
{
	size_t length = strcspn(syntax->text, ".");
	const char *first = amon_arena_copy(place->check->arena, syntax->text, length);
	const char *rest = syntax->text[length] ? syntax->text + length + 1 : NULL;
	const struct name *table = check_name_find(place->block, first, NAME_TABLE);
	struct name *name = table && rest ? check_name_find_here(table->inside, rest, NAME_MEMORY) : NULL;
	struct amon_value *value;

	if (!table)
		return NULL;
	if (!rest)
		return row_value(place, table, syntax->span);
	if (!name) {
		complain_asked(place, syntax, table, rest);
		return check_nothing(place->check, syntax->span);
	}
	value = check_state_value(place->check, name, syntax->span);
	value->asked = true;
	table->inside->table->memory.asked = true;
	return value;
}

bool amon_keys_ask(const struct amon_table *table, const struct amon_table *other)
{
	for (const struct amon_column *key = table->keys.first; key; key = key->next)
		if (has(key->value, asks, other))
			return true;
	return false;
}

/* No row that its keys ask for is among those that are still to be found. */
static bool is_next(const struct amon_table *table, const struct amon_table *const *left, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		if (amon_keys_ask(table, left[i]))
			return false;
	return true;
}

void check_asked_order(struct check *check, const struct amon_section *section)
{
	const struct amon_table *left[AMON_MAX_TABLES];
	uint32_t count = 0, i;

	for (const struct amon_table *table = section->tables; table; table = table->next)
		left[count++] = table;
	while (count) {
		for (i = 0; i < count && !is_next(left[i], left, count); i++)
			;
		if (i == count)
			break;
		left[i] = left[--count];
	}
	if (count)
		amon_error(check->diagnostics, left[0]->keys.first->value->span,
		           "the keys of the table `%s` ask in the end for the row that they select", left[0]->name);
}
