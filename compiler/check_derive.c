/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "check_internal.h"

/* --- derives, which are read when the first of them is asked for */

static void read_derive(struct check *check, struct name *name)
{
	struct place place = { check, name->block, WORLD_EXPORT, .home = NULL };
	struct amon_column *column = name->column;

	column->value = check_expression(&place, name->syntax);
	if (column->value->type.base == AMON_BASE_ROWS) {
		check_want_number(check, column->value);
		return;
	}
	column->type = column->value->type;
	if (!check_is_nothing(column->value))
		check_attributes(check, column, &name->statement->attributes);
}

void check_read_column(struct check *check, struct name *name, struct amon_span use)
{
	if (name->kind != NAME_DERIVE || !check_begin_reading(check, name, use))
		return;
	read_derive(check, name);
	check_end_reading(check, name);
}

static void check_derives(struct check *check, struct block *block)
{
	for (struct name *name = block->first; name; name = name->next) {
		if (name->kind != NAME_DERIVE)
			continue;
		check_read_column(check, name, name->span);
		if (name->column->type.base != AMON_BASE_NONE)
			check_columns_add(block->derives, name->column);
	}
}

/* --- having, top */

static void complain_top(struct check *check, const struct block *block, const struct amon_name *by,
                         const struct name *name)
{
	struct candidates candidates = { .check = check };
	struct amon_diagnostic *error;

	if (name) {
		amon_error(check->diagnostics, by->span, "`top` goes by a number, and `%s` is %s", by->text,
		           name->kind == NAME_KEY ? "a key" : check_type_text(check, name->column->type));
		return;
	}
	error = amon_error(check->diagnostics, by->span, "table `%s` has no metric or derive `%s`", block->table->name,
	                   by->text);
	for (const struct name *column = block->first; column; column = column->next)
		if (column->kind & (NAME_METRIC | NAME_DERIVE))
			check_candidate(&candidates, column->text);
	check_suggest(error, &candidates, by->text);
}

static bool has_order(enum amon_base base)
{
	return base == AMON_BASE_INT || base == AMON_BASE_REAL || base == AMON_BASE_TIME;
}

static void check_top_by(struct check *check, struct block *block, const struct amon_name *by)
{
	const struct name *name = check_name_find_here(block, by->text, NAME_COLUMNS | NAME_LATER);
	enum amon_base base = name && name->column ? name->column->type.base : AMON_BASE_NONE;

	if (!name && check_name_excused(check, block))
		return;
	if (!name || name->kind == NAME_KEY || (base != AMON_BASE_NONE && !has_order(base)))
		complain_top(check, block, by, name);
	else
		block->table->top_by = name->column;
}

static void check_rows(struct check *check, struct block *block)
{
	const struct amon_attributes *attributes = &block->statement->attributes;
	struct place place = { check, block, WORLD_EXPORT, .home = NULL };
	struct amon_table *table = block->table;
	int64_t rows;

	if (attributes->having)
		table->having = check_condition(&place, attributes->having);
	if (!attributes->top)
		return;
	if (check_constant(&place, attributes->top, "the number of rows behind `top`", 1, AMON_MAX_SIZE, &rows))
		table->top = (uint32_t)rows;
	check_top_by(check, block, &attributes->top_by);
}

/* --- exported names */

/* One of two that have one name has been refused already. */
static bool is_exported(const struct block *block, const struct name *name)
{
	return (name->kind & NAME_COLUMNS) && name->column->type.base != AMON_BASE_NONE &&
	       check_name_find_here(block, name->text, ~0u) == name;
}

/* Two names of a block differ; what `as` makes of them must, too. */
static void check_exported(struct check *check, const struct block *block)
{
	struct block *seen = amon_new(check->arena, struct block);

	if (block->table && block->table->expire.span.source)
		check_name_once(check, seen, "end_reason", block->table->expire.span);
	for (const struct name *name = block->first; name; name = name->next) {
		const char *exported = is_exported(block, name) ? name->column->exported : NULL;
		const struct name *first = exported ? check_name_once(check, seen, exported, name->span) : NULL;

		if (!first)
			continue;
		amon_error(check->diagnostics, name->span, "two columns are exported as `%s`", exported);
		amon_note(check->diagnostics, first->span, "the first is here");
	}
}

static void check_block(struct check *check, struct block *block)
{
	check_derives(check, block);
	if (block->table)
		check_rows(check, block);
	check_exported(check, block);
	for (struct block *inside = block->first_inside; inside; inside = inside->next)
		check_block(check, inside);
}

void check_exports(struct check *check, struct block *probe)
{
	check_block(check, probe);
}
