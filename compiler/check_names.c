/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "check_internal.h"

#define NAMED_COLUMN (NAME_COLUMNS | NAME_LATER)

static const struct {
	const char *word;
	unsigned int kinds; /* that may not bear it */
	const char *reason;
} reserved[] = {
	{ "window", ~0u, "it is the time that the values cover" },
	{ "forward", ~(unsigned int)NAME_PROBE, "it is the packet's direction in a `biflow` table" },
	{ "backward", ~(unsigned int)NAME_PROBE, "it is the packet's direction in a `biflow` table" },
	{ "end_reason", NAMED_COLUMN, "rows of a table with `expire` have it" },
	{ "forward_guessed", NAMED_COLUMN, "rows of a `biflow` table have it" },
	{ "probe", NAME_SECTION, "the output has a member of that name beside the sections" },
	{ "interface", NAME_SECTION, "the output has a member of that name beside the sections" },
	{ "metrics", NAME_SECTION, "the output has a member of that name beside the sections" },
	{ "levels", NAME_SECTION, "the output has a member of that name beside the sections" },
};

static const struct {
	enum name_kind kind;
	const char *text;
} kind_names[] = {
	{ NAME_LET, "let" },    { NAME_PARAM, "param" },   { NAME_STATE, "state" },     { NAME_FOLD, "fold" },
	{ NAME_KEY, "key" },    { NAME_METRIC, "metric" }, { NAME_DERIVE, "derive" },   { NAME_TABLE, "table" },
	{ NAME_MAP, "map" },    { NAME_EVENTS, "events" }, { NAME_SECTION, "section" }, { NAME_PROBE, "probe" },
	{ NAME_LATER, "name" },
};

static const char *kind_name(enum name_kind kind)
{
	for (size_t i = 0; i < COUNT_OF(kind_names); i++)
		if (kind_names[i].kind == kind)
			return kind_names[i].text;
	return "name";
}

struct block *check_block_new(struct check *check, struct block *outer, const struct amon_statement *statement)
{
	struct block *block = amon_new(check->arena, struct block);
	block->outer = outer;
	block->statement = statement;
	block->last = &block->first;
	block->last_inside = &block->first_inside;
	if (outer) {
		*outer->last_inside = block;
		outer->last_inside = &block->next;
	}
	return block;
}

/* FNV-1a */
static unsigned int bucket_of(const char *text)
{
	uint32_t hash = 2166136261u;
	for (; *text; text++)
		hash = (hash ^ (unsigned char)*text) * 16777619u;
	return hash % BLOCK_BUCKETS;
}

struct name *check_name_find_here(const struct block *block, const char *text, unsigned int kinds)
{
	for (struct name *name = block->buckets[bucket_of(text)]; name; name = name->next_alike)
		if ((name->kind & kinds) && !strcmp(name->text, text))
			return name;
	return NULL;
}

struct name *check_name_find(const struct block *block, const char *text, unsigned int kinds)
{
	for (; block; block = block->outer) {
		struct name *name = check_name_find_here(block, text, kinds);
		if (name)
			return name;
	}
	return NULL;
}

bool check_name_excused(const struct check *check, const struct block *block)
{
	for (; block; block = block->outer)
		if (block->open)
			return true;
	return check->broken;
}

static bool is_first_part(const char *word, const char *path)
{
	size_t length = strlen(word);
	return !strncmp(path, word, length) && path[length] == '.';
}

/* Tables and sections are followed by a dot, so they must not begin a field. */
static bool begins_field(const char *word)
{
	for (const struct amon_field *field = amon_fields; field->name; field++)
		if (is_first_part(word, field->name))
			return true;
	return check_is_later_field(word);
}

void check_name_reserved(struct check *check, enum name_kind kind, struct amon_name name)
{
	for (size_t i = 0; i < COUNT_OF(reserved); i++)
		if ((reserved[i].kinds & kind) && !strcmp(reserved[i].word, name.text))
			amon_error(check->diagnostics, name.span, "no %s may be called `%s`: %s", kind_name(kind),
			           name.text, reserved[i].reason);
	if ((kind & (NAME_TABLE | NAME_SECTION | NAME_MAP)) && begins_field(name.text))
		amon_error(check->diagnostics, name.span, "no %s may be called `%s`: fields begin with it",
		           kind_name(kind), name.text);
	else if ((kind & (NAME_PACKETS | NAME_TABLE)) && amon_protocol_find(name.text))
		amon_error(check->diagnostics, name.span, "no %s may be called `%s`: it is a protocol", kind_name(kind),
		           name.text);
}

static void complain_taken(struct check *check, enum name_kind kind, struct amon_name name, const struct name *first)
{
	struct amon_diagnostic *error;

	if (kind == NAME_SECTION && first->kind == NAME_SECTION) {
		error = amon_error(check->diagnostics, name.span, "a second section is called `%s`", name.text);
		check_help(check, error, "name this one with `as NAME`");
	} else {
		amon_error(check->diagnostics, name.span, "`%s` is defined twice", name.text);
	}
	amon_note(check->diagnostics, first->span, "the first is here: %s", kind_name(first->kind));
}

/* True where the name is the first of its block. */
static bool check_taken(struct check *check, const struct block *block, enum name_kind kind, struct amon_name name)
{
	const struct name *first = check_name_find_here(block, name.text, ~0u);

	if (first) {
		complain_taken(check, kind, name, first);
		return false;
	}
	first = (kind & NAME_PACKETS) ? check_name_find(block->outer, name.text, NAME_PACKETS) : NULL;
	if (first) {
		amon_error(check->diagnostics, name.span, "this %s hides another `%s`", kind_name(kind), name.text);
		amon_note(check->diagnostics, first->span, "which is here, a %s", kind_name(first->kind));
	}
	return true;
}

struct name *check_name_define(struct check *check, struct block *block, enum name_kind kind, struct amon_name name,
                               const struct amon_statement *statement)
{
	struct name *made = amon_new(check->arena, struct name);
	struct name **bucket = &block->buckets[bucket_of(name.text)];

	*made = (struct name){
		.kind = kind, .text = name.text, .span = name.span, .block = block, .statement = statement
	};
	check_name_reserved(check, kind, name);
	if (check_taken(check, block, kind, name)) {
		made->next_alike = *bucket;
		*bucket = made;
	}
	*block->last = made;
	block->last = &made->next;
	return made;
}

const struct name *check_name_once(struct check *check, struct block *block, const char *text, struct amon_span span)
{
	const struct name *first = check_name_find_here(block, text, ~0u);
	struct name **bucket = &block->buckets[bucket_of(text)], *made;

	if (first)
		return first;
	made = amon_new(check->arena, struct name);
	*made = (struct name){ .kind = NAME_METRIC, .text = text, .span = span, .next_alike = *bucket };
	*bucket = made;
	return NULL;
}

/* --- suggestions */

void check_candidate(struct candidates *candidates, const char *word)
{
	if (candidates->count == candidates->room) {
		size_t room = candidates->room ? 2 * candidates->room : 256;
		const char **words = amon_new_array(candidates->check->arena, const char *, room);
		if (candidates->count)
			memcpy(words, candidates->words, candidates->count * sizeof(*words));
		candidates->words = words;
		candidates->room = room;
	}
	candidates->words[candidates->count++] = word;
}

/* Past the errors that are kept, a suggestion is work for nothing. */
static bool is_idle(const struct candidates *candidates)
{
	return candidates->check->diagnostics->errors > AMON_DIAGNOSTICS_MAX;
}

void check_candidates_in(struct candidates *candidates, const struct block *block, unsigned int kinds)
{
	for (; block && !is_idle(candidates); block = block->outer)
		for (const struct name *name = block->first; name; name = name->next)
			if (name->kind & kinds)
				check_candidate(candidates, name->text);
}

void check_candidates_fields(struct candidates *candidates)
{
	if (is_idle(candidates))
		return;
	for (const struct amon_field *field = amon_fields; field->name; field++)
		if (!field->refused)
			check_candidate(candidates, field->name);
	for (const struct amon_protocol *protocol = amon_protocols; protocol->name; protocol++)
		check_candidate(candidates, protocol->name);
}

void check_suggest(struct amon_diagnostic *diagnostic, struct candidates *candidates, const char *word)
{
	const char *close = is_idle(candidates) ? NULL : amon_closest(word, candidates->words, candidates->count);
	if (close)
		check_help(candidates->check, diagnostic, "did you mean `%s`?", close);
}

void check_help(struct check *check, struct amon_diagnostic *diagnostic, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	diagnostic->suggestion = amon_arena_vprintf(check->arena, format, arguments);
	va_end(arguments);
}

void check_later(struct check *check, struct amon_span span, const char *what)
{
	amon_error(check->diagnostics, span, "%s with a later version", what);
}
