/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "check_internal.h"

/* First parts of fields, and protocols, that come with a later version. */
static const char *const later_fields[] = { "dns", "inner", "vxlan", "gtp", "gre" };

bool check_is_later_field(const char *text)
{
	size_t length = strcspn(text, ".");

	for (size_t i = 0; i < COUNT_OF(later_fields); i++)
		if (strlen(later_fields[i]) == length && !strncmp(text, later_fields[i], length))
			return true;
	return false;
}

static void note_vlan(struct check *check, const char *name)
{
	if (!strncmp(name, "vlan", 4) && (!name[4] || name[4] == '.'))
		check->probe->uses_vlan = true;
}

/* --- lets and params */

/* "a, b, a": the names that ask for each other, from the one that is asked for again. */
static const char *cycle_text(struct check *check, const struct name *name)
{
	const char *text = name->text;

	for (const struct name *asking = check->asking; asking && asking != name; asking = asking->asked_by)
		text = amon_arena_printf(check->arena, "%s, %s", asking->text, text);
	return amon_arena_printf(check->arena, "%s, %s", name->text, text);
}

bool check_begin_reading(struct check *check, struct name *name, struct amon_span use)
{
	if (name->state == NAME_READING) {
		amon_error(check->diagnostics, use, "`%s` needs itself: %s", name->text, cycle_text(check, name));
		return false;
	}
	if (name->state == NAME_READ)
		return false;
	name->state = NAME_READING;
	name->asked_by = check->asking;
	check->asking = name;
	return true;
}

void check_end_reading(struct check *check, struct name *name)
{
	check->asking = name->asked_by;
	name->state = NAME_READ;
}

void check_read_name(struct check *check, struct name *name, struct amon_span use)
{
	struct place place = { check, name->block, WORLD_PACKET, .home = check_home(name->block) };
	bool uses_vlan = check->probe->uses_vlan, remembers = check->remembers;

	if (check_begin_reading(check, name, use)) {
		check->probe->uses_vlan = check->remembers = false;
		if (name->kind == NAME_PARAM)
			check_read_param(&place, name);
		else if (name->syntax->kind == AMON_SYNTAX_SET)
			name->items = check_items(&place, name->syntax);
		else
			name->value = check_expression(&place, name->syntax);
		check_end_reading(check, name);
		name->uses_vlan = check->probe->uses_vlan;
		name->remembers = check->remembers;
		check->probe->uses_vlan = uses_vlan;
		check->remembers = remembers;
	}
}

bool check_use_name(struct check *check, struct name *name, struct amon_span use)
{
	check_read_name(check, name, use);
	if (name->uses_vlan)
		check->probe->uses_vlan = true;
	return name->state == NAME_READ;
}

/* A let outside of sections, as the section that uses it sees it. */
static struct amon_value *value_here(const struct place *place, const struct name *name)
{
	struct block *home = place->home;
	struct place again = { place->check, name->block, WORLD_PACKET, .home = NULL };

	while (home && home->table)
		home = home->outer;
	again.home = home;
	if (home && home->section)
		return check_expression(&again, name->syntax);
	place->check->remembers = true;
	return name->value;
}

static struct amon_value *named_value(const struct place *place, struct name *name, struct amon_span use)
{
	struct amon_diagnostic *error;

	if (!check_use_name(place->check, name, use))
		return check_nothing(place->check, use);
	if (name->items) {
		error = amon_error(place->check->diagnostics, use, "`%s` is a set", name->text);
		check_help(place->check, error, "ask `... in %s`", name->text);
		return check_nothing(place->check, use);
	}
	if (name->value->type.base == AMON_BASE_REAL && place->world == WORLD_PACKET) {
		amon_error(place->check->diagnostics, use,
		           "`%s` is a decimal number; packets are computed in whole ones", name->text);
		return check_nothing(place->check, use);
	}
	return check_value_at(place->check, name->remembers ? value_here(place, name) : name->value, use);
}

/* --- names in packet expressions */

static struct amon_value *protocol_value(const struct place *place, const struct amon_protocol *protocol,
                                         struct amon_span span)
{
	struct amon_value *value = check_value_new(place->check, AMON_VALUE_PROTOCOL, span, CHECK_BOOL);

	value->layers = protocol->layers;
	note_vlan(place->check, protocol->name);
	return value;
}

static struct amon_value *field_value(const struct place *place, const struct amon_field *field, struct amon_span span)
{
	struct amon_value *value;

	if (field->refused) {
		amon_error(place->check->diagnostics, span, "`%s` cannot be used: %s", field->name, field->refused);
		return check_nothing(place->check, span);
	}
	value = check_value_new(place->check, AMON_VALUE_FIELD, span, field->type);
	value->field = field;
	note_vlan(place->check, field->name);
	return value;
}

static void complain_unknown(const struct place *place, const struct amon_syntax *syntax)
{
	struct candidates candidates = { .check = place->check };
	bool is_field = strchr(syntax->text, '.');
	struct amon_diagnostic *error = amon_error(place->check->diagnostics, syntax->span, "there is no %s `%s`",
	                                           is_field ? "field" : "protocol, `let` or `param`", syntax->text);

	check_candidates_fields(&candidates);
	check_candidates_in(&candidates, place->block, NAME_PACKETS);
	check_suggest(error, &candidates, syntax->text);
}

static bool in_biflow(const struct block *block)
{
	for (; block; block = block->outer)
		if (block->biflow)
			return true;
	return false;
}

static bool is_direction(const char *text)
{
	return !strcmp(text, "forward") || !strcmp(text, "backward");
}

static void complain_column(const struct place *place, const struct amon_syntax *syntax, const struct name *name)
{
	struct amon_diagnostic *error;

	error = amon_error(place->check->diagnostics, syntax->span, "packets cannot read the %s `%s`",
	                   name->kind == NAME_KEY       ? "key"
	                   : name->kind == NAME_DERIVE  ? "derive"
	                   : name->kind == NAME_SECTION ? "section"
	                   : name->kind == NAME_EVENTS  ? "events"
	                                                : "metric",
	                   syntax->text);
	if (name->kind == NAME_KEY)
		check_help(place->check, error, "write its expression, or name it with `let`");
}

/* What a word is that packets cannot read. */
static void complain_word(const struct place *place, const struct amon_syntax *syntax)
{
	const struct name *other = check_name_find(place->block, syntax->text, ~0u);

	if (!strcmp(syntax->text, "window"))
		amon_error(place->check->diagnostics, syntax->span, "`window` is known at export, not for packets");
	else if (is_direction(syntax->text) && !in_biflow(place->block))
		check_later(place->check, syntax->span,
		            amon_arena_printf(place->check->arena, "`%s` comes", syntax->text));
	else if (check_is_later_field(syntax->text))
		check_later(place->check, syntax->span,
		            amon_arena_printf(place->check->arena, "`%s` comes", syntax->text));
	else if (other && !(other->kind & NAME_LATER))
		complain_column(place, syntax, other);
	else if (!other && !is_direction(syntax->text) && !check_name_excused(place->check, place->block))
		complain_unknown(place, syntax);
}

static struct amon_value *word(const struct place *place, const struct amon_syntax *syntax)
{
	struct name *name = check_name_find(place->block, syntax->text, NAME_PACKETS);
	struct amon_value *asked = name ? NULL : check_ask(place, syntax);

	if (name)
		return name->kind & NAME_MEMORY ? check_state_value(place->check, name, syntax->span)
		                                : named_value(place, name, syntax->span);
	if (asked)
		return asked;
	complain_word(place, syntax);
	return check_nothing(place->check, syntax->span);
}

static void complain_path(const struct place *place, const struct amon_syntax *syntax)
{
	size_t length = strcspn(syntax->text, ".");
	const char *first = amon_arena_copy(place->check->arena, syntax->text, length);
	const struct name *name = check_name_find(place->block, first, NAME_SECTION | NAME_EVENTS | NAME_LATER);
	struct amon_diagnostic *error;

	if (amon_payload_find(syntax->text)) {
		error = amon_error(place->check->diagnostics, syntax->span, "which bytes of `%s`?", syntax->text);
		check_help(place->check, error, "`%s[0:4]` is the first four", syntax->text);
	} else if (check_is_later_field(syntax->text)) {
		check_later(place->check, syntax->span,
		            amon_arena_printf(place->check->arena, "fields of `%s` come", first));
	} else if (name && !(name->kind & NAME_LATER)) {
		complain_column(place, syntax, name);
	} else if (!name) {
		complain_unknown(place, syntax);
	}
}

static struct amon_value *packet_name(const struct place *place, const struct amon_syntax *syntax)
{
	const struct amon_protocol *protocol = amon_protocol_find(syntax->text);
	const struct amon_field *field = amon_field_find(syntax->text);

	if (protocol)
		return protocol_value(place, protocol, syntax->span);
	if (field)
		return field_value(place, field, syntax->span);
	if (!strchr(syntax->text, '.'))
		return word(place, syntax);
	struct amon_value *asked = check_ask(place, syntax);
	if (asked)
		return asked;
	complain_path(place, syntax);
	return check_nothing(place->check, syntax->span);
}

static struct amon_value *name(const struct place *place, const struct amon_syntax *syntax)
{
	struct name *param = place->world == WORLD_EXPORT
	                             ? check_name_find(place->block, syntax->text, NAME_PARAM | NAME_COLUMNS)
	                             : NULL;
	if (place->world == WORLD_PACKET)
		return packet_name(place, syntax);
	if (param && param->kind == NAME_PARAM)
		return named_value(place, param, syntax->span);
	return check_export_name(place, syntax);
}

/* --- slices */

static const char *slice_fault(const struct place *place, const struct amon_syntax *syntax)
{
	if (place->world == WORLD_EXPORT)
		return "packets are not known at export";
	if (syntax->width < 1 || syntax->width > 8)
		return "a slice is 1 to 8 bytes wide";
	if ((uint64_t)syntax->offset + syntax->width > AMON_SLICE_END)
		return amon_arena_printf(place->check->arena, "a slice ends within the first %d bytes", AMON_SLICE_END);
	return NULL;
}

static void complain_payload(const struct place *place, const struct amon_syntax *syntax)
{
	struct candidates candidates = { .check = place->check };
	bool known = amon_field_find(syntax->text) || amon_protocol_find(syntax->text);
	struct amon_diagnostic *error;

	if (check_is_later_field(syntax->text)) {
		check_later(place->check, syntax->span, "fields of later protocols come");
		return;
	}
	error = amon_error(place->check->diagnostics, syntax->span,
	                   known ? "`%s` cannot be sliced: only payloads can" : "there is no payload `%s`",
	                   syntax->text);
	for (const struct amon_payload *payload = amon_payloads; payload->name; payload++)
		check_candidate(&candidates, payload->name);
	check_suggest(error, &candidates, syntax->text);
}

static struct amon_value *slice(const struct place *place, const struct amon_syntax *syntax)
{
	const struct amon_payload *payload = amon_payload_find(syntax->text);
	const char *fault = slice_fault(place, syntax);

	if (!payload && place->world == WORLD_PACKET)
		complain_payload(place, syntax);
	else if (fault)
		amon_error(place->check->diagnostics, syntax->span, "%s", fault);
	if (!payload || fault)
		return check_nothing(place->check, syntax->span);
	/* nobody knows what the bytes measure: a plain number, which goes with bytes */
	struct amon_type type = check_number_type(AMON_BASE_INT, CHECK_FREE, 8 * syntax->width);
	struct amon_value *value = check_value_new(place->check, AMON_VALUE_SLICE, syntax->span, type);
	value->payload = payload;
	value->offset = syntax->offset;
	value->width = syntax->width;
	return value;
}

/* --- the walk */

static struct amon_value *integer(const struct place *place, const struct amon_syntax *syntax)
{
	struct amon_dimension dimension = CHECK_FREE;

	if (syntax->kind == AMON_SYNTAX_DURATION)
		dimension = CHECK_TIME;
	else if (syntax->kind == AMON_SYNTAX_BYTES)
		dimension = (struct amon_dimension){ .information = 1 };
	return check_integer(place->check, syntax->span, syntax->integer,
	                     check_number_type(AMON_BASE_INT, dimension, 0));
}

static struct amon_value *decimal(const struct place *place, const struct amon_syntax *syntax)
{
	if (place->world == WORLD_EXPORT)
		return check_real(place->check, syntax->span, syntax->decimal, CHECK_FREE);
	amon_error(place->check->diagnostics, syntax->span, "packets are computed in whole numbers, not in %s",
	           syntax->kind == AMON_SYNTAX_PERCENT ? "percentages" : "decimal ones");
	return check_nothing(place->check, syntax->span);
}

static struct amon_value *binary(const struct place *place, const struct amon_syntax *syntax)
{
	struct amon_value *left = check_expression(place, syntax->left);

	if (syntax->op == AMON_OP_IN)
		return check_in(place, syntax, left);
	return check_operate(place, syntax->op, syntax->span, left, check_expression(place, syntax->right));
}

static struct amon_value *unary(const struct place *place, const struct amon_syntax *syntax)
{
	struct amon_value *left = check_expression(place, syntax->left);

	return check_is_nothing(left) ? left : check_operate_unary(place, syntax->op, syntax->span, left);
}

static struct amon_value *choice(const struct place *place, const struct amon_syntax *syntax)
{
	struct amon_value *condition = check_expression(place, syntax->left);
	struct amon_value *yes = check_expression(place, syntax->middle);

	return check_choose(place, syntax->span, condition, yes, check_expression(place, syntax->right));
}

static struct amon_value *address(const struct place *place, const struct amon_syntax *syntax)
{
	return check_address(place->check, syntax);
}

/* What is part of something else and no value by itself. */
static struct amon_value *misplaced(const struct place *place, const struct amon_syntax *syntax)
{
	static const char *const names[] = {
		[AMON_SYNTAX_STRING] = "a string",
		[AMON_SYNTAX_LIST] = "a list",
		[AMON_SYNTAX_SET] = "a set",
		[AMON_SYNTAX_RANGE] = "a range",
	};
	amon_error(place->check->diagnostics, syntax->span, "%s is no value", names[syntax->kind]);
	return check_nothing(place->check, syntax->span);
}

static struct amon_value *(*const walks[])(const struct place *, const struct amon_syntax *) = {
	[AMON_SYNTAX_INTEGER] = integer,  [AMON_SYNTAX_DECIMAL] = decimal, [AMON_SYNTAX_PERCENT] = decimal,
	[AMON_SYNTAX_DURATION] = integer, [AMON_SYNTAX_BYTES] = integer,   [AMON_SYNTAX_ADDRESS] = address,
	[AMON_SYNTAX_STRING] = misplaced, [AMON_SYNTAX_NAME] = name,       [AMON_SYNTAX_CALL] = check_call,
	[AMON_SYNTAX_SLICE] = slice,      [AMON_SYNTAX_LIST] = misplaced,  [AMON_SYNTAX_SET] = misplaced,
	[AMON_SYNTAX_RANGE] = misplaced,  [AMON_SYNTAX_UNARY] = unary,     [AMON_SYNTAX_BINARY] = binary,
	[AMON_SYNTAX_CHOICE] = choice,
};

struct amon_value *check_expression(const struct place *place, const struct amon_syntax *syntax)
{
	struct check *check = place->check;
	struct amon_value *value;

	if (check->depth >= CHECK_DEPTH_MAX) {
		amon_error(check->diagnostics, syntax->span, "what this needs is nested too deep: over %d levels",
		           CHECK_DEPTH_MAX);
		return check_nothing(check, syntax->span);
	}
	check->depth++;
	value = walks[syntax->kind](place, syntax);
	check->depth--;
	return value;
}

struct amon_value *check_condition(const struct place *place, const struct amon_syntax *syntax)
{
	struct amon_value *value = check_expression(place, syntax);

	return check_want_condition(place->check, value) ? value : check_nothing(place->check, syntax->span);
}

bool check_constant(const struct place *place, const struct amon_syntax *syntax, const char *what, int64_t low,
                    int64_t high, int64_t *result)
{
	const struct place constants = { place->check, place->block, WORLD_PACKET, .home = NULL };
	const struct amon_value *value = check_expression(&constants, syntax);
	struct amon_dimension dimension = value->type.dimension;

	if (!check_want_integer(place->check, value))
		return false;
	if (!check_is_constant(value))
		amon_error(place->check->diagnostics, syntax->span, "%s must be a constant", what);
	else if (dimension.information || dimension.time)
		amon_error(place->check->diagnostics, syntax->span, "%s is a plain number, not %s", what,
		           check_value_text(place->check, value));
	else if (value->integer < low || value->integer > high)
		amon_error(place->check->diagnostics, syntax->span, "%s is %lld to %lld, not %lld", what,
		           (long long)low, (long long)high, (long long)value->integer);
	else
		*result = value->integer;
	return check_is_constant(value) && !dimension.information && !dimension.time && value->integer >= low &&
	       value->integer <= high;
}
