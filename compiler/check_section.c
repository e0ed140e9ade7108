/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "check_internal.h"

/* Reads all lets and params of a block, used or not. */
void check_lets(struct check *check, struct block *block)
{
	for (struct name *name = block->first; name; name = name->next)
		if (name->kind & (NAME_LET | NAME_PARAM))
			check_read_name(check, name, name->span);
}

/* --- where */

/* From where the one begins to where the other ends, whichever comes first. */
static struct amon_span around(struct amon_span a, struct amon_span b)
{
	if (b.start < a.start)
		a.start = b.start;
	if (b.end > a.end)
		a.end = b.end;
	return a;
}

struct amon_value *check_and(struct check *check, struct amon_value *a, struct amon_value *b)
{
	struct place place = { .check = check, .world = WORLD_PACKET };

	if (!a || !b)
		return a ? a : b;
	return check_operate(&place, AMON_OP_AND, around(a->span, b->span), a, b);
}

/* NULL where it always holds. */
static struct amon_value *narrowing(struct amon_value *condition)
{
	bool always = condition && check_is_constant(condition) && condition->integer;

	return always ? NULL : condition;
}

struct amon_value *check_wheres(const struct place *place)
{
	struct amon_value *where = NULL;

	for (const struct amon_statement *statement = place->block->statement->body; statement;
	     statement = statement->next)
		if (statement->kind == AMON_STATEMENT_WHERE)
			where = check_and(place->check, where, check_condition(place, statement->value));
	return narrowing(where);
}

/* --- settings */

#define MILLISECOND 1000000

/* A second one is refused. */
static bool is_first(struct check *check, const struct amon_statement **first, const struct amon_statement *statement,
                     const char *word)
{
	if (!*first) {
		*first = statement;
		return true;
	}
	amon_error(check->diagnostics, statement->head, "`%s` stands twice", word);
	amon_note(check->diagnostics, (*first)->head, "the first is here");
	return false;
}

static void check_window(struct check *check, struct block *block, const struct amon_statement *statement)
{
	struct place place = { check, block, WORLD_PACKET, .home = NULL };
	const struct amon_value *value = check_expression(&place, statement->value);
	struct amon_dimension dimension = value->type.dimension;

	if (check_is_nothing(value))
		return;
	if (!check_is_constant(value) || value->type.base != AMON_BASE_INT || dimension.information ||
	    dimension.time != 1)
		amon_error(check->diagnostics, value->span, "a window is a constant time, for example `10s`");
	else if (value->integer < MILLISECOND)
		amon_error(check->diagnostics, value->span, "a window is 1ms at least");
	else
		check->probe->window = (uint64_t)value->integer;
}

/* True where `clock coarse` stands in the block. */
static bool check_clock(struct check *check, const struct block *block)
{
	const struct amon_statement *first = NULL;

	for (const struct amon_statement *statement = block->statement->body; statement; statement = statement->next) {
		if (statement->kind != AMON_STATEMENT_CLOCK || !is_first(check, &first, statement, "clock"))
			continue;
		if (strcmp(statement->word.text, "coarse"))
			check_help(check,
			           amon_error(check->diagnostics, statement->word.span, "there is no clock `%s`",
			                      statement->word.text),
			           "`clock coarse` is the kernel's tick; without it, time is exact");
	}
	return first;
}

static void check_settings(struct check *check, struct block *probe)
{
	const struct amon_statement *first = NULL;

	for (const struct amon_statement *statement = probe->statement->body; statement; statement = statement->next)
		if (statement->kind == AMON_STATEMENT_WINDOW && is_first(check, &first, statement, "window"))
			check_window(check, probe, statement);
}

/* --- what is counted */

void check_metrics(struct check *check, struct block *block, struct amon_columns *metrics, uint32_t limit)
{
	for (struct name *name = block->first; name; name = name->next) {
		if (name->kind & NAME_MEMORY)
			check_memory(check, name);
		if (!(name->kind & (NAME_METRIC | NAME_FOLD)) || name->column->member)
			continue;
		if (name->kind == NAME_METRIC)
			check_metric(check, name);
		if (metrics->count == limit)
			amon_error(check->diagnostics, name->span, "a %s has at most %u metrics",
			           block->table ? "table" : "section", limit);
		if (name->column->type.base != AMON_BASE_NONE)
			check_columns_add(metrics, name->column);
	}
}

/* The probe's `where`, which was found right: a section has previous packets of its own. */
static struct amon_value *outer_where(struct check *check, struct block *block, struct amon_value *outer)
{
	struct place place = { check, block->outer, WORLD_PACKET, .home = block };

	return outer && check_reads_memory(outer) ? check_wheres(&place) : outer;
}

static void check_section(struct check *check, struct block *block, struct amon_value *outer, bool coarse,
                          struct amon_timing timing)
{
	struct amon_section *section = block->section;
	struct place place = { check, block, WORLD_PACKET, .home = block };

	check_lets(check, block);
	section->coarse = check_clock(check, block) || coarse;
	section->timing = check_timing(block, timing);
	section->where = check_and(check, outer_where(check, block, outer), check_wheres(&place));
	check_metrics(check, block, &section->metrics, AMON_MAX_SECTION_METRICS);
	for (struct block *table = block->first_inside; table; table = table->next)
		check_table(check, table);
	check_asked_order(check, section);
	for (const struct block *table = block->first_inside; table; table = table->next)
		check_evicts(check, table);
	check_sources(check, block);
}

void check_packets(struct check *check, struct block *probe)
{
	check_lets(check, probe->outer);
	check_lets(check, probe);
	check_settings(check, probe);
	bool coarse = check_clock(check, probe);
	struct place place = { check, probe, WORLD_PACKET, .home = probe };
	struct amon_value *where = check_wheres(&place);
	struct amon_timing timing = check_timing(probe, (struct amon_timing){ false, false });
	for (struct block *section = probe->first_inside; section; section = section->next)
		check_section(check, section, where, coarse, timing);
}
