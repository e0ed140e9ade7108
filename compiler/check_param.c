/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "check_internal.h"

/* --- what a param may be */

static const struct amon_syntax *without_sign(const struct amon_syntax *syntax)
{
	return syntax->kind == AMON_SYNTAX_UNARY && syntax->op == AMON_OP_NEGATE ? syntax->left : syntax;
}

/* Decimals are for what is computed at export, and only there can one be used. */
static bool is_decimal(const struct amon_syntax *syntax)
{
	syntax = without_sign(syntax);
	return syntax->kind == AMON_SYNTAX_DECIMAL || syntax->kind == AMON_SYNTAX_PERCENT;
}

static bool want_constant(struct check *check, const struct amon_value *value)
{
	if (check_is_constant(value))
		return true;
	if (!check_is_nothing(value))
		amon_error(check->diagnostics, value->span,
		           "a param is a constant: a number, a time, an address or a set");
	return false;
}

static bool are_constants(struct check *check, const struct items *items)
{
	bool fits = true;

	for (const struct item *item = items->first; item; item = item->next)
		fits = want_constant(check, item->low) && (!item->high || want_constant(check, item->high)) && fits;
	return fits;
}

static void read_value(const struct place *place, struct name *name)
{
	struct place exports = { place->check, place->block, WORLD_EXPORT, .home = NULL };

	if (name->syntax->kind == AMON_SYNTAX_SET) {
		name->items = check_items(place, name->syntax);
		are_constants(place->check, name->items);
		return;
	}
	name->value = check_expression(is_decimal(name->syntax) ? &exports : place, name->syntax);
	if (!want_constant(place->check, name->value))
		name->value = check_nothing(place->check, name->syntax->span);
}

/* --- -D NAME=VALUE */

/* The last one counts, as with every compiler. */
static const struct amon_define *find_define(struct check *check, const char *name)
{
	const struct amon_check_options *options = check->options;
	struct amon_define *found = NULL;

	for (uint32_t i = 0; options && i < options->define_count; i++)
		if (!strcmp(options->defines[i].name, name)) {
			options->defines[i].used = true;
			found = &options->defines[i];
		}
	return found;
}

static bool is_literal(const struct amon_syntax *syntax)
{
	syntax = without_sign(syntax);
	return syntax->kind <= AMON_SYNTAX_ADDRESS || syntax->kind == AMON_SYNTAX_SET;
}

/* The value is read by the language's own parser, as the statement that it stands for. */
static const struct amon_syntax *parse_define(struct check *check, const struct amon_define *define)
{
	const char *text = amon_arena_printf(check->arena, "param %s = %s;", define->name, define->value);
	const char *name = amon_arena_printf(check->arena, "-D %s", define->name);
	unsigned int errors = check->diagnostics->errors;
	const struct amon_source *source = amon_source_from_text(check->arena, name, text, strlen(text));
	const struct amon_file *file = amon_parse(check->arena, source, check->diagnostics);
	const struct amon_statement *param = file->statements;

	if (check->diagnostics->errors > errors)
		return NULL;
	if (param && !param->next && param->kind == AMON_STATEMENT_PARAM && !param->attributes.help.text &&
	    is_literal(param->value))
		return param->value;
	amon_error(check->diagnostics, (struct amon_span){ 0 }, "-D %s: `%s` is no number, time, address or set",
	           define->name, define->value);
	return NULL;
}

static const char *kind_text(const struct name *name)
{
	if (name->items)
		return "a set";
	if (name->value->type.dimension.time)
		return "a time";
	return check_is_address(name->value->type.base) ? "an address" : "a number";
}

static void read_define(const struct place *place, struct name *name, const struct amon_define *define)
{
	struct name given = { .kind = NAME_PARAM, .text = name->text, .syntax = parse_define(place->check, define) };

	if (!given.syntax)
		return;
	read_value(place, &given);
	if (!strcmp(kind_text(&given), kind_text(name))) {
		name->syntax = given.syntax;
		name->value = given.value;
		name->items = given.items;
		return;
	}
	amon_error(place->check->diagnostics, given.syntax->span, "`%s` is %s, not %s", name->text, kind_text(name),
	           kind_text(&given));
	amon_note(place->check->diagnostics, name->span, "the param is here");
}

void check_read_param(const struct place *place, struct name *name)
{
	const struct amon_define *define = find_define(place->check, name->text);

	read_value(place, name);
	if (define && (name->items || !check_is_nothing(name->value)))
		read_define(place, name, define);
}

void check_defines(struct check *check, const struct block *block)
{
	const struct amon_check_options *options = check->options;

	for (uint32_t i = 0; options && !check->broken && i < options->define_count; i++) {
		const struct amon_define *define = &options->defines[i];
		struct candidates candidates = { .check = check };

		if (define->used)
			continue;
		check_candidates_in(&candidates, block, NAME_PARAM);
		check_suggest(amon_error(check->diagnostics, (struct amon_span){ 0 }, "-D %s: there is no such param",
		                         define->name),
		              &candidates, define->name);
	}
}
