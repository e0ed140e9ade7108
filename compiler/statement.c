/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "compiler/parse.h"

struct amon_attribute *amon_attribute_new(struct amon_parser *parser, enum amon_attribute_kind kind,
                                          struct amon_range range, struct amon_syntax *value, struct amon_name name)
{
	struct amon_attribute *attribute = amon_new(parser->arena, struct amon_attribute);
	attribute->kind = kind;
	attribute->span = amon_span_of(parser, range);
	attribute->value = value;
	attribute->name = name;
	return attribute;
}

static uint32_t ipfix_number(struct amon_parser *parser, const struct amon_syntax *number, uint32_t limit)
{
	if (number->integer >= 0 && number->integer <= limit)
		return (uint32_t)number->integer;
	amon_error(parser->diagnostics, number->span, "an IPFIX %s is at most %u",
	           limit == UINT32_MAX ? "enterprise number" : "element", limit);
	return 0;
}

struct amon_attribute *amon_attribute_ipfix(struct amon_parser *parser, struct amon_range range,
                                            const struct amon_syntax *pen, const struct amon_syntax *id)
{
	struct amon_range written = { pen->span.start, id->span.end };
	struct amon_name name =
	        amon_name_new(parser, written, parser->source->text + written.start, written.end - written.start);
	struct amon_attribute *attribute = amon_attribute_new(parser, AMON_ATTRIBUTE_IPFIX, range, NULL, name);
	attribute->pen = ipfix_number(parser, pen, UINT32_MAX);
	attribute->id = ipfix_number(parser, id, 0x7fff);
	return attribute;
}

struct amon_hook_syntax *amon_hook_new(struct amon_parser *parser, struct amon_range range, bool egress,
                                       struct amon_name type, struct amon_name mode)
{
	struct amon_hook_syntax *hook = amon_new(parser->arena, struct amon_hook_syntax);
	hook->egress = egress;
	hook->type = type;
	hook->mode = mode;
	hook->span = amon_span_of(parser, range);
	return hook;
}

struct amon_key_syntax *amon_key_new(struct amon_parser *parser, struct amon_name name, struct amon_syntax *value)
{
	struct amon_key_syntax *key = amon_new(parser->arena, struct amon_key_syntax);
	key->name = name;
	key->value = value;
	return key;
}

struct amon_names *amon_names_new(struct amon_parser *parser, struct amon_name name)
{
	struct amon_names *names = amon_new(parser->arena, struct amon_names);
	names->name = name;
	return names;
}

/* --- what may stand where */

#define IN(kind)     (1u << AMON_STATEMENT_##kind)
#define WITH(kind)   (1u << AMON_ATTRIBUTE_##kind)
#define IN_FILE      (1u << 31) /* behind all kinds of statements */
#define EXPORTED     (WITH(UNIT) | WITH(AS) | WITH(IPFIX) | WITH(HELP))
#define READ         (WITH(SNAPSHOT) | WITH(RESET))
#define IN_COMPUTING (IN(SECTION) | IN(TABLE) | IN(FEATURE))
#define TABLE_ONLY   (WITH(OVERFLOW) | WITH(EXPIRE) | WITH(HAVING) | WITH(TOP))

/* THE table of statements: how they are called, in which blocks they may stand, which attributes they take. */
static const struct {
	const char *name;
	uint32_t places, attributes;
} rules[] = {
	[AMON_STATEMENT_PROBE] = { "probe", IN_FILE, WITH(HELP) },
	[AMON_STATEMENT_SECTION] = { "section", IN(PROBE) | IN(LEVEL), 0 },
	[AMON_STATEMENT_LEVEL] = { "level", IN(PROBE), 0 },
	[AMON_STATEMENT_FEATURE] = { "feature", IN_FILE, WITH(HELP) },
	[AMON_STATEMENT_IMPORT] = { "import", IN_FILE, 0 },
	[AMON_STATEMENT_USE] = { "use", IN_COMPUTING, 0 },
	[AMON_STATEMENT_WHERE] = { "where", IN(PROBE) | IN_COMPUTING, 0 },
	[AMON_STATEMENT_LET] = { "let", IN_FILE | IN(PROBE) | IN_COMPUTING, 0 },
	[AMON_STATEMENT_PARAM] = { "param", IN_FILE | IN(PROBE), WITH(HELP) },
	[AMON_STATEMENT_METRIC] = { "metric", IN_COMPUTING, EXPORTED | READ | WITH(WHERE) },
	[AMON_STATEMENT_STATE] = { "state", IN_COMPUTING, WITH(WHERE) | WITH(UNIT) | WITH(HELP) },
	[AMON_STATEMENT_DERIVE] = { "derive", IN(PROBE) | IN_COMPUTING, EXPORTED },
	[AMON_STATEMENT_TABLE] = { "table", IN(SECTION),
	                           TABLE_ONLY | READ | WITH(SIZE) | WITH(WHERE) | WITH(HELP) | WITH(AS) },
	[AMON_STATEMENT_EVENTS] = { "events", IN(SECTION), WITH(SIZE) | WITH(WHERE) | WITH(HELP) | WITH(AS) },
	[AMON_STATEMENT_SOURCE] = { "source", IN(SECTION), 0 },
	[AMON_STATEMENT_MAP_METRIC] = { "map", IN(SOURCE), EXPORTED | READ | WITH(AGGREGATE) },
	[AMON_STATEMENT_MAP_TABLE] = { "map", IN(SOURCE), READ | WITH(AGGREGATE) | WITH(HELP) },
	[AMON_STATEMENT_WINDOW] = { "window", IN(PROBE), 0 },
	[AMON_STATEMENT_CLOCK] = { "clock", IN(PROBE) | IN(SECTION), 0 },
	[AMON_STATEMENT_SAMPLE] = { "sample", IN(SECTION), 0 },
	[AMON_STATEMENT_LIMIT] = { "limit", IN(PROBE), 0 },
	[AMON_STATEMENT_SNAPSHOT] = { "snapshot", IN(PROBE) | IN(SECTION), 0 },
	[AMON_STATEMENT_RESET] = { "reset", IN(PROBE) | IN(SECTION), 0 },
};

static const struct {
	uint32_t place;
	const char *name;
} places[] = {
	{ IN_FILE, "at the top of a file" }, { IN(PROBE), "in a probe" }, { IN(LEVEL), "in a level" },
	{ IN(SECTION), "in a section" },     { IN(TABLE), "in a table" }, { IN(FEATURE), "in a feature" },
	{ IN(SOURCE), "in a source" },
};

static const char *const attribute_names[] = {
	[AMON_ATTRIBUTE_WHERE] = "where",   [AMON_ATTRIBUTE_UNIT] = "unit",
	[AMON_ATTRIBUTE_AS] = "as",         [AMON_ATTRIBUTE_IPFIX] = "ipfix",
	[AMON_ATTRIBUTE_HELP] = "\"help\"", [AMON_ATTRIBUTE_SNAPSHOT] = "snapshot",
	[AMON_ATTRIBUTE_RESET] = "reset",   [AMON_ATTRIBUTE_AGGREGATE] = "aggregate",
	[AMON_ATTRIBUTE_SIZE] = "size",     [AMON_ATTRIBUTE_OVERFLOW] = "overflow",
	[AMON_ATTRIBUTE_EXPIRE] = "expire", [AMON_ATTRIBUTE_HAVING] = "having",
	[AMON_ATTRIBUTE_TOP] = "top",       [AMON_ATTRIBUTE_IDLE] = "idle",
	[AMON_ATTRIBUTE_ACTIVE] = "active", [AMON_ATTRIBUTE_WHEN] = "when",
	[AMON_ATTRIBUTE_LINGER] = "linger",
};

bool amon_statement_is_of_section(enum amon_statement_kind kind)
{
	return rules[kind].places & IN(SECTION);
}

/* --- attributes */

static void set_attribute(struct amon_statement *statement, const struct amon_attribute *attribute)
{
	struct amon_attributes *to = &statement->attributes;
	struct amon_syntax **values[AMON_ATTRIBUTE_KINDS] = {
		[AMON_ATTRIBUTE_WHERE] = &to->where,   [AMON_ATTRIBUTE_SIZE] = &to->size,
		[AMON_ATTRIBUTE_HAVING] = &to->having, [AMON_ATTRIBUTE_TOP] = &to->top,
		[AMON_ATTRIBUTE_IDLE] = &to->idle,     [AMON_ATTRIBUTE_ACTIVE] = &to->active,
		[AMON_ATTRIBUTE_LINGER] = &to->linger, [AMON_ATTRIBUTE_WHEN] = &to->when,
	};
	struct amon_name *names[AMON_ATTRIBUTE_KINDS] = {
		[AMON_ATTRIBUTE_UNIT] = &to->unit,         [AMON_ATTRIBUTE_AS] = &to->as,
		[AMON_ATTRIBUTE_IPFIX] = &to->ipfix,       [AMON_ATTRIBUTE_HELP] = &to->help,
		[AMON_ATTRIBUTE_SNAPSHOT] = &to->snapshot, [AMON_ATTRIBUTE_RESET] = &to->reset,
		[AMON_ATTRIBUTE_OVERFLOW] = &to->overflow, [AMON_ATTRIBUTE_AGGREGATE] = &to->aggregate,
		[AMON_ATTRIBUTE_TOP] = &to->top_by,
	};
	if (values[attribute->kind])
		*values[attribute->kind] = attribute->value;
	if (names[attribute->kind])
		*names[attribute->kind] = attribute->name;
	if (attribute->kind == AMON_ATTRIBUTE_EXPIRE)
		to->expire = attribute->span;
	if (attribute->kind == AMON_ATTRIBUTE_IPFIX) {
		to->ipfix_pen = attribute->pen;
		to->ipfix_id = attribute->id;
	}
}

static const char *article(const char *noun)
{
	return strchr("aeio", noun[0]) ? "an" : "a";
}

static void complain_attribute(struct amon_parser *parser, const struct amon_statement *statement,
                               const struct amon_attribute *attribute)
{
	const char *name = rules[statement->kind].name;
	amon_error(parser->diagnostics, attribute->span, "`%s` cannot stand behind %s `%s`",
	           attribute_names[attribute->kind], article(name), name);
}

static void attach(struct amon_parser *parser, struct amon_statement *statement,
                   const struct amon_attribute *attributes)
{
	const struct amon_attribute *seen[AMON_ATTRIBUTE_KINDS] = { NULL };
	for (const struct amon_attribute *attribute = attributes; attribute; attribute = attribute->next) {
		enum amon_attribute_kind kind = attribute->kind;
		bool clause = kind >= AMON_ATTRIBUTE_IDLE;
		if (!clause && !(rules[statement->kind].attributes & (1u << kind))) {
			complain_attribute(parser, statement, attribute);
		} else if (seen[kind]) {
			amon_error(parser->diagnostics, attribute->span, "`%s` stands twice", attribute_names[kind]);
			amon_note(parser->diagnostics, seen[kind]->span, "the first one is here");
		} else {
			seen[kind] = attribute;
			set_attribute(statement, attribute);
			attach(parser, statement, attribute->inside);
		}
	}
}

/* --- statements */

struct amon_statement *amon_statement_new(struct amon_parser *parser, enum amon_statement_kind kind,
                                          struct amon_range range, struct amon_name name,
                                          struct amon_attribute *attributes)
{
	struct amon_statement *statement = amon_new(parser->arena, struct amon_statement);
	statement->kind = kind;
	statement->span = amon_span_of(parser, range);
	statement->head = statement->span;
	statement->name = name;
	attach(parser, statement, AMON_LIST(attributes));
	return statement;
}

/* The value that stood there becomes `last(value)`, which is most likely what was meant. */
static struct amon_syntax *aggregation(struct amon_parser *parser, enum amon_statement_kind kind,
                                       struct amon_syntax *value)
{
	struct amon_range range = { value->span.start, value->span.end };
	struct amon_name last = amon_name_new(parser, range, "last", 4);

	if (value->kind == AMON_SYNTAX_CALL && !value->grouped)
		return value;
	struct amon_diagnostic *error =
	        amon_error(parser->diagnostics, value->span, "a `%s` is an aggregation of packets", rules[kind].name);
	error->suggestion = "write for example `last(FIELD)` or `sum(FIELD)`; `derive` computes with metrics";
	struct amon_syntax *call = amon_syntax_call(parser, range, last, AMON_APPEND(NULL, value));
	return call ? call : value;
}

struct amon_statement *amon_statement_value(struct amon_parser *parser, enum amon_statement_kind kind,
                                            struct amon_range range, struct amon_name name, struct amon_syntax *value,
                                            struct amon_attribute *attributes)
{
	struct amon_statement *statement = amon_statement_new(parser, kind, range, name, attributes);
	bool aggregates = kind == AMON_STATEMENT_METRIC || kind == AMON_STATEMENT_STATE;
	statement->value = aggregates ? aggregation(parser, kind, value) : value;
	return statement;
}

struct amon_statement *amon_statement_fold(struct amon_parser *parser, enum amon_statement_kind kind,
                                           struct amon_range range, const struct amon_name *name_and_type,
                                           struct amon_syntax *initial, struct amon_syntax *next,
                                           struct amon_attribute *attributes)
{
	struct amon_statement *statement = amon_statement_new(parser, kind, range, name_and_type[0], attributes);
	statement->fold_type = name_and_type[1];
	statement->value = initial;
	statement->next_value = next;
	return statement;
}

/* "in a section or in a table or in a feature" */
static const char *list_places(struct amon_parser *parser, uint32_t mask)
{
	const char *list = NULL;
	for (size_t i = 0; i < sizeof(places) / sizeof(*places); i++) {
		if (!(mask & places[i].place))
			continue;
		list = list ? amon_arena_printf(parser->arena, "%s or %s", list, places[i].name) : places[i].name;
	}
	return list;
}

static const char *place_name(uint32_t place)
{
	for (size_t i = 0; i < sizeof(places) / sizeof(*places); i++)
		if (places[i].place == place)
			return places[i].name;
	return "here";
}

static void complain_place(struct amon_parser *parser, const struct amon_statement *statement, uint32_t place)
{
	const char *name = rules[statement->kind].name;
	amon_error(parser->diagnostics, statement->head, "%s `%s` cannot stand %s", article(name), name,
	           place_name(place))
	        ->suggestion =
	        amon_arena_printf(parser->arena, "it stands %s", list_places(parser, rules[statement->kind].places));
}

/* Takes out of an opened list what cannot stand in `place`. */
static struct amon_statement *place(struct amon_parser *parser, struct amon_statement *body, uint32_t place)
{
	struct amon_statement *first = NULL, **last = &first;
	for (struct amon_statement *next; body; body = next) {
		next = body->next;
		body->next = NULL;
		if (!(rules[body->kind].places & place)) {
			complain_place(parser, body, place);
			continue;
		}
		*last = body;
		last = &body->next;
	}
	return first;
}

struct amon_statement *amon_statement_block(struct amon_parser *parser, struct amon_statement *statement,
                                            uint32_t head_end, struct amon_statement *body)
{
	statement->head.end = head_end;
	statement->body = place(parser, AMON_LIST(body), 1u << statement->kind);
	return statement;
}

struct amon_statement *amon_statement_place_file(struct amon_parser *parser, struct amon_statement *body)
{
	return place(parser, body, IN_FILE);
}
