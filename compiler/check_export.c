/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "check_internal.h"

/* Names in what is computed at export: columns of this block and those around it, and those of sections. */

static const struct {
	const char *name;
	enum amon_member member;
} members[] = {
	{ "count", AMON_MEMBER_COUNT },
	{ "sum", AMON_MEMBER_SUM },
};

static struct amon_value *column_value(const struct place *place, struct name *name, struct amon_span span)
{
	struct amon_value *value;

	if (name->kind & NAME_LATER)
		return check_nothing(place->check, span);
	check_read_column(place->check, name, span);
	value = check_value_new(place->check, AMON_VALUE_COLUMN, span, name->column->type);
	value->column = name->column;
	return value;
}

static struct amon_value *member_value(const struct place *place, struct name *name, enum amon_member member,
                                       struct amon_span span)
{
	struct amon_value *value = column_value(place, name, span);
	struct amon_dimension dimension = value->type.dimension;

	if (check_is_nothing(value))
		return value;
	if (value->type.base != AMON_BASE_ROWS) {
		amon_error(place->check->diagnostics, span, "`%s` is no histogram: only those have `.count` and `.sum`",
		           name->text);
		return check_nothing(place->check, span);
	}
	if (member == AMON_MEMBER_COUNT)
		dimension = (struct amon_dimension){ 0 };
	value->member = member;
	value->type = check_number_type(AMON_BASE_INT, dimension, 0);
	return value;
}

/* `latency.count` is a member of the histogram `latency`. */
static struct amon_value *member_in(const struct place *place, const struct block *block, const char *text,
                                    struct amon_span span)
{
	const char *dot = strrchr(text, '.');

	for (size_t i = 0; dot && i < COUNT_OF(members); i++) {
		const char *head = amon_arena_copy(place->check->arena, text, (size_t)(dot - text));
		struct name *name = strcmp(dot + 1, members[i].name)
		                            ? NULL
		                            : check_name_find_here(block, head, NAME_COLUMNS | NAME_LATER);
		if (name)
			return member_value(place, name, members[i].member, span);
	}
	return NULL;
}

/* NULL where the block has no such column. */
static struct amon_value *value_in(const struct place *place, const struct block *block, const char *text,
                                   struct amon_span span)
{
	struct name *name = check_name_find_here(block, text, NAME_COLUMNS | NAME_LATER);

	return name ? column_value(place, name, span) : member_in(place, block, text, span);
}

/* The block of the first part of a path, or NULL. */
static const struct name *first_part(const struct place *place, const char *text, const char **rest)
{
	const char *dot = strchr(text, '.');

	if (!dot)
		return NULL;
	*rest = dot + 1;
	return check_name_find(place->block, amon_arena_copy(place->check->arena, text, (size_t)(dot - text)),
	                       NAME_SECTION | NAME_TABLE | NAME_LATER);
}

/* --- what cannot be read */

/* Columns that could have been meant, those of sections with their section's name before them. */
static void add_columns(struct candidates *candidates, const struct place *place)
{
	const struct block *probe = NULL;

	check_candidates_in(candidates, place->block, NAME_COLUMNS | NAME_PARAM);
	check_candidate(candidates, "window");
	for (const struct block *block = place->block; block; block = block->outer)
		probe = block->statement ? block : probe;
	for (const struct block *section = probe ? probe->first_inside : NULL; section; section = section->next)
		for (const struct name *name = section->first; name; name = name->next)
			if (name->kind & NAME_COLUMNS)
				check_candidate(candidates, amon_arena_printf(place->check->arena, "%s.%s",
				                                              section->section->name, name->text));
}

static void complain_unknown(const struct place *place, const struct amon_syntax *syntax)
{
	struct candidates candidates = { .check = place->check };
	struct amon_diagnostic *error = amon_error(place->check->diagnostics, syntax->span,
	                                           "there is no metric, derive, key or param `%s`", syntax->text);

	if (place->check->diagnostics->errors > AMON_DIAGNOSTICS_MAX)
		return;
	add_columns(&candidates, place);
	check_suggest(error, &candidates, syntax->text);
}

static bool is_of_packets(const char *text)
{
	return amon_field_find(text) || amon_protocol_find(text) || amon_payload_find(text) ||
	       check_is_later_field(text);
}

static void complain(const struct place *place, const struct amon_syntax *syntax, const struct name *first)
{
	const struct name *other =
	        check_name_find(place->block, syntax->text, NAME_LET | NAME_STATE | NAME_TABLE | NAME_SECTION);
	struct check *check = place->check;

	if (first && first->kind == NAME_TABLE)
		check_help(check,
		           amon_error(check->diagnostics, syntax->span, "columns of the table `%s` are read inside it",
		                      first->text),
		           "functions over a table's rows come with a later version");
	else if (other && other->kind == NAME_LET)
		amon_error(check->diagnostics, syntax->span, "`%s` is a `let`, which is for packets", syntax->text);
	else if (other && other->kind == NAME_STATE)
		check_help(check,
		           amon_error(check->diagnostics, syntax->span, "`%s` is a `state`, which is not exported",
		                      syntax->text),
		           "make it a `metric`");
	else if (other)
		amon_error(check->diagnostics, syntax->span, "`%s` is a %s and no value", syntax->text,
		           other->kind == NAME_TABLE ? "table" : "section");
	else if (check_name_excused(check, first && first->inside ? first->inside : place->block))
		return;
	else if (is_of_packets(syntax->text))
		check_help(check,
		           amon_error(check->diagnostics, syntax->span, "`%s` is known for packets, not at export",
		                      syntax->text),
		           "make a `metric` of it, or a key");
	else
		complain_unknown(place, syntax);
}

/* Of totals it is the time since the start, whatever else a read returns. */
static struct amon_value *window_value(const struct place *place, struct amon_span span)
{
	const struct block *block = place->block;
	struct amon_value *value =
	        check_value_new(place->check, AMON_VALUE_WINDOW, span, check_number_type(AMON_BASE_INT, CHECK_TIME, 0));

	value->integer = !(block->table     ? block->table->timing
	                   : block->section ? block->section->timing
	                                    : check_timing(block, (struct amon_timing){ false, false }))
	                          .reset;
	return value;
}

struct amon_value *check_export_name(const struct place *place, const struct amon_syntax *syntax)
{
	const char *rest = NULL;
	const struct name *first = first_part(place, syntax->text, &rest);
	struct amon_value *value = NULL;

	if (!strcmp(syntax->text, "window") && place->block->table && place->block->table->expire.span.source) {
		amon_error(place->check->diagnostics, syntax->span,
		           "the rows of `%s` cover a time of their own, not the window's", place->block->table->name);
		return check_nothing(place->check, syntax->span);
	}
	if (!strcmp(syntax->text, "window"))
		return window_value(place, syntax->span);
	for (const struct block *block = place->block; block && !value; block = block->outer)
		value = value_in(place, block, syntax->text, syntax->span);
	if (!value && first && first->kind == NAME_SECTION)
		value = value_in(place, first->inside, rest, syntax->span);
	if (!value && !(first && (first->kind & NAME_LATER)))
		complain(place, syntax, first);
	return value ? value : check_nothing(place->check, syntax->span);
}
