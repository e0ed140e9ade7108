/* SPDX-License-Identifier: Apache-2.0 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "compiler/parse.h"

#include "amon.tab.h"

#define TOKEN_SHOWN 40

/* THE table of words, in alphabetical order. */
static const struct amon_word words[] = {
	{ "active", AMON_TOKEN_ACTIVE, false, NULL },
	{ "aggregate", AMON_TOKEN_AGGREGATE, false, NULL },
	{ "and", AMON_TOKEN_AND, true, NULL },
	{ "as", AMON_TOKEN_AS, true, NULL },
	{ "by", AMON_TOKEN_BY, true, NULL },
	{ "clock", AMON_TOKEN_CLOCK, false, "clock coarse;" },
	{ "derive", AMON_TOKEN_DERIVE, true, "derive NAME = EXPRESSION [unit UNIT];" },
	{ "egress", AMON_TOKEN_EGRESS, false, "egress [as NAME] { ... }" },
	{ "events", AMON_TOKEN_EVENTS, false, "events NAME [size N] [where CONDITION] { KEY, ... }" },
	{ "except", AMON_TOKEN_EXCEPT, true, NULL },
	{ "expire", AMON_TOKEN_EXPIRE, true, NULL },
	{ "feature", AMON_TOKEN_FEATURE, false, "feature NAME [\"help\"] { ... }" },
	{ "for", AMON_TOKEN_FOR, false, NULL },
	{ "having", AMON_TOKEN_HAVING, true, NULL },
	{ "idle", AMON_TOKEN_IDLE, false, NULL },
	{ "import", AMON_TOKEN_IMPORT, true, "import \"FILE.amon\" [as NAME];" },
	{ "in", AMON_TOKEN_IN, true, NULL },
	{ "ingress", AMON_TOKEN_INGRESS, false, "ingress [xdp|tc] [as NAME] { ... }" },
	{ "ipfix", AMON_TOKEN_IPFIX, false, NULL },
	{ "keep", AMON_TOKEN_KEEP, false, NULL },
	{ "let", AMON_TOKEN_LET, true, "let NAME = EXPRESSION;" },
	{ "level", AMON_TOKEN_LEVEL, false, "level NAME [when CONDITION for TIME until CONDITION for TIME] { ... }" },
	{ "limit", AMON_TOKEN_LIMIT, false, "limit memory 64MiB, series 10000;" },
	{ "linger", AMON_TOKEN_LINGER, false, NULL },
	{ "map", AMON_TOKEN_MAP, false, NULL },
	{ "metric", AMON_TOKEN_METRIC, true,
	  "metric NAME = AGGREGATION(...) [where CONDITION] [unit UNIT] [\"help\"];" },
	{ "next", AMON_TOKEN_NEXT, false, NULL },
	{ "not", AMON_TOKEN_NOT, true, NULL },
	{ "or", AMON_TOKEN_OR, true, NULL },
	{ "overflow", AMON_TOKEN_OVERFLOW, false, NULL },
	{ "param", AMON_TOKEN_PARAM, false, "param NAME = VALUE [\"help\"];" },
	{ "private", AMON_TOKEN_PRIVATE, false, "private table NAME by KEY, ... { ... }" },
	{ "probe", AMON_TOKEN_PROBE, false, "probe NAME [\"help\"] { ... }" },
	{ "reset", AMON_TOKEN_RESET, false, "reset;" },
	{ "sample", AMON_TOKEN_SAMPLE, false, "sample 1 in N [scaled];" },
	{ "scaled", AMON_TOKEN_SCALED, false, NULL },
	{ "size", AMON_TOKEN_SIZE, false, NULL },
	{ "snapshot", AMON_TOKEN_SNAPSHOT, false, "snapshot;" },
	{ "source", AMON_TOKEN_SOURCE, false, "source \"FILE.bpf.c\" { ... }" },
	{ "state", AMON_TOKEN_STATE, true, "state NAME = AGGREGATION(...) [where CONDITION];" },
	{ "table", AMON_TOKEN_TABLE, true, "table NAME by KEY, ... [size N] [expire ...] [top N by METRIC] { ... }" },
	{ "top", AMON_TOKEN_TOP, false, NULL },
	{ "unit", AMON_TOKEN_UNIT, false, NULL },
	{ "until", AMON_TOKEN_UNTIL, false, NULL },
	{ "use", AMON_TOKEN_USE, true, "use FEATURE [[except] { NAME, ... }];" },
	{ "when", AMON_TOKEN_WHEN, true, NULL },
	{ "where", AMON_TOKEN_WHERE, true, "where CONDITION;" },
	{ "window", AMON_TOKEN_WINDOW, false, "window TIME [keep];" },
};

#define WORD_COUNT (sizeof(words) / sizeof(*words))

static int compare_word(const void *key, const void *word)
{
	return strcmp(key, ((const struct amon_word *)word)->text);
}

const struct amon_word *amon_word_find(const char *text, size_t length)
{
	char key[16];
	if (length >= sizeof(key))
		return NULL;
	memcpy(key, text, length);
	key[length] = '\0';
	return bsearch(key, words, WORD_COUNT, sizeof(*words), compare_word);
}

const struct amon_word *amon_word_of_token(int token)
{
	for (size_t i = 0; i < WORD_COUNT && token > 256; i++)
		if (words[i].token == token)
			return &words[i];
	return NULL;
}

/* --- a syntax error: what stands there, and what could */

struct complaint {
	struct amon_parser *parser;
	const char *found; /* the token as it is quoted */
	const char *const *expected;
	size_t count;
};

static bool expects(const struct complaint *complaint, const char *name)
{
	for (size_t i = 0; i < complaint->count; i++)
		if (strcmp(complaint->expected[i], name) == 0)
			return true;
	return false;
}

static struct amon_diagnostic *say(const struct complaint *complaint, const char *message)
{
	struct amon_parser *parser = complaint->parser;
	return amon_error(parser->diagnostics, amon_span_of(parser, parser->token.range), "%s", message);
}

#define FORMAT(...) amon_arena_printf(complaint->parser->arena, __VA_ARGS__)

/* How the statement at hand is written. */
static const char *form(const struct complaint *complaint)
{
	const struct amon_word *word = amon_word_of_token(complaint->parser->statement);
	return word && word->form ? FORMAT("write `%s`", word->form) : NULL;
}

/* The expected word that is closest to the one that stands there. */
static const char *closest(const struct complaint *complaint)
{
	const char *candidates[WORD_COUNT];
	const struct amon_token *token = &complaint->parser->token;
	size_t count = 0;
	if (token->kind != AMON_TOKEN_NAME)
		return NULL;
	for (size_t i = 0; i < complaint->count && count < WORD_COUNT; i++)
		if (amon_word_find(complaint->expected[i], strlen(complaint->expected[i])))
			candidates[count++] = complaint->expected[i];
	const char *word = amon_closest(token->value.name.text, candidates, count);
	return word ? FORMAT("did you mean `%s`?", word) : NULL;
}

/* Said where it should stand: behind the token before. */
static void complain_missing(const struct complaint *complaint)
{
	struct amon_parser *parser = complaint->parser;
	struct amon_range range = { parser->token.before, parser->token.before + 1 };
	amon_error(parser->diagnostics, amon_span_of(parser, range), "`;` is missing")->suggestion =
	        "a statement ends with `;`";
}

static void complain_block_end(const struct complaint *complaint)
{
	struct amon_parser *parser = complaint->parser;
	uint32_t brace = parser->blocks[parser->block_count - 1].offset;
	say(complaint, "the text ends, and a `}` is missing");
	amon_note(parser->diagnostics, amon_span_of(parser, (struct amon_range){ brace, brace + 1 }),
	          "the block begins here");
}

/* Said once: each block around it ends too early for the same reason. */
static bool complain_end(const struct complaint *complaint)
{
	struct amon_parser *parser = complaint->parser;
	if (parser->token.kind != AMON_TOKEN_END)
		return false;
	if (parser->ended)
		return true;
	parser->ended = true;
	if (parser->block_count > 0)
		complain_block_end(complaint);
	else if (expects(complaint, ";"))
		complain_missing(complaint);
	else
		say(complaint, "the text ends in the middle of a statement")->suggestion = form(complaint);
	return true;
}

static bool same_line(const struct amon_parser *parser)
{
	const char *text = parser->source->text + parser->token.before;
	return !memchr(text, '\n', parser->token.range.start - parser->token.before);
}

static bool complain_semicolon(const struct complaint *complaint)
{
	struct amon_parser *parser = complaint->parser;
	const struct amon_token *token = &parser->token;
	const struct amon_word *word = amon_word_of_token(token->kind);
	bool starts = token->kind == '}' || (word && word->form);
	if (!expects(complaint, ";") || !(starts || (!same_line(parser) && !closest(complaint))))
		return false;
	complain_missing(complaint);
	return true;
}

static bool complain_string(const struct complaint *complaint)
{
	if (complaint->parser->token.kind != AMON_TOKEN_UNENDED)
		return false;
	say(complaint, "the string does not end on its line")->suggestion =
	        "close it with `\"`; a line break in it is written `\\n`";
	return true;
}

static bool complain_statement(const struct complaint *complaint)
{
	if (!expects(complaint, "metric") || !expects(complaint, "let"))
		return false;
	if (complaint->parser->token.kind == '}')
		say(complaint, "this `}` closes nothing");
	else
		say(complaint, FORMAT("a statement begins with a keyword, not with %s", complaint->found))->suggestion =
		        closest(complaint);
	return true;
}

static bool complain_name(const struct complaint *complaint)
{
	const struct amon_word *word = amon_word_of_token(complaint->parser->token.kind);
	if (!expects(complaint, "a name") || !word || !word->reserved)
		return false;
	say(complaint, FORMAT("%s is a reserved word, not a name", complaint->found))->suggestion = form(complaint);
	return true;
}

/* `metric = count();` */
static bool lacks_name(const struct complaint *complaint)
{
	const struct amon_token *token = &complaint->parser->token;
	return expects(complaint, "a name") && token->previous == complaint->parser->statement &&
	       ispunct((unsigned char)complaint->found[1]);
}

/* `metric count();`: what should stand behind the name was taken for it. */
static bool takes_call_for_name(const struct complaint *complaint)
{
	return complaint->parser->token.kind == '(' && expects(complaint, "=") && !expects(complaint, "or");
}

static bool complain_no_name(const struct complaint *complaint)
{
	const struct amon_word *word = amon_word_of_token(complaint->parser->statement);
	if (!word || !(lacks_name(complaint) || takes_call_for_name(complaint)))
		return false;
	say(complaint, FORMAT("this `%s` has no name", word->text))->suggestion = form(complaint);
	return true;
}

static bool complain_attribute(const struct complaint *complaint)
{
	if (!expects(complaint, "unit") || expects(complaint, "a name"))
		return false;
	const char *end = expects(complaint, "{") ? "{" : ";";
	const char *suggestion = closest(complaint);
	say(complaint, FORMAT("expected `%s` or an attribute, not %s", end, complaint->found))->suggestion =
	        suggestion ? suggestion : form(complaint);
	return true;
}

static bool complain_expression(const struct complaint *complaint)
{
	if (!expects(complaint, "not") || !expects(complaint, "an integer"))
		return false;
	say(complaint, FORMAT("expected an expression, not %s", complaint->found))->suggestion = form(complaint);
	return true;
}

static bool is_operator(const char *name)
{
	static const char *const operators[] = { "or", "and", "==", "!=", "<", ">", "<=", ">=", "in", "=", "|",
		                                 "^",  "&",   "<<", ">>", "+", "-", "*",  "/",  "%",  "?" };
	for (size_t i = 0; i < sizeof(operators) / sizeof(*operators); i++)
		if (strcmp(name, operators[i]) == 0)
			return true;
	return false;
}

/* Words that stand for "a name", and operators where an expression goes on, say nothing. */
static bool is_said(const struct complaint *complaint, const char *name)
{
	const struct amon_word *word = amon_word_find(name, strlen(name));
	if (expects(complaint, "a name") && word && !word->reserved)
		return false;
	return !(expects(complaint, "or") && is_operator(name));
}

static const char *quoted(const struct complaint *complaint, const char *name)
{
	bool described = strchr(name, ' ') != NULL;
	return described ? name : FORMAT("`%s`", name);
}

static bool complain_others(const struct complaint *complaint)
{
	const char *list = NULL;
	size_t said = 0;
	for (size_t i = 0; i < complaint->count; i++) {
		if (!is_said(complaint, complaint->expected[i]))
			continue;
		const char *name = quoted(complaint, complaint->expected[i]);
		list = list ? FORMAT("%s or %s", list, name) : name;
		said++;
	}
	const char *suggestion = closest(complaint);
	const char *message = said > 0 && said <= 4 ? FORMAT("expected %s, not %s", list, complaint->found)
	                                            : FORMAT("%s cannot stand here", complaint->found);
	say(complaint, message)->suggestion = suggestion ? suggestion : form(complaint);
	return true;
}

/* The first that knows what to say says it. */
static bool (*const complaints[])(const struct complaint *) = {
	complain_end,     complain_string,    complain_statement,  complain_semicolon, complain_name,
	complain_no_name, complain_attribute, complain_expression, complain_others,
};

const char *amon_quote(struct amon_parser *parser, struct amon_range range)
{
	int length = (int)(range.end - range.start);
	const char *text = parser->source->text + range.start;
	if (length > TOKEN_SHOWN)
		return amon_arena_printf(parser->arena, "`%.*s...`", TOKEN_SHOWN, text);
	return amon_arena_printf(parser->arena, "`%.*s`", length, text);
}

/* The grammar names tokens of one character `'{'`. */
static const char *plain_name(struct amon_parser *parser, const char *name)
{
	return name[0] == '\'' ? amon_arena_copy(parser->arena, name + 1, 1) : name;
}

void amon_complain_token(struct amon_parser *parser, const char *const *expected, size_t count)
{
	const char **names = amon_new_array(parser->arena, const char *, count + 1);
	for (size_t i = 0; i < count; i++)
		names[i] = plain_name(parser, expected[i]);
	struct complaint complaint = { parser, amon_quote(parser, parser->token.range), names, count };
	for (size_t i = 0; i < sizeof(complaints) / sizeof(*complaints); i++)
		if (complaints[i](&complaint))
			return;
}

void amon_complain_nesting(struct amon_parser *parser, struct amon_range range)
{
	amon_error(parser->diagnostics, amon_span_of(parser, range), "nested too deeply: more than %d levels",
	           AMON_NESTING_MAX);
}
