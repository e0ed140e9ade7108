/* SPDX-License-Identifier: Apache-2.0 */
#include "compiler/parse.h"

#include "amon.tab.h"

static void count_brace(struct amon_parser *parser, int step)
{
	if (parser->token.kind == '{')
		parser->braces += step;
	else if (parser->token.kind == '}')
		parser->braces -= step;
}

void amon_next_token(struct amon_parser *parser)
{
	if (parser->held_count > 0) {
		parser->token = parser->held[--parser->held_count];
	} else {
		struct amon_token token = { .previous = parser->scanned.kind, .before = parser->scanned.range.end };
		token.range = (struct amon_range){ parser->source->length, parser->source->length };
		token.kind = amon_scan(&token.value, &token.range, parser->scanner);
		if (token.kind == AMON_TOKEN_END)
			token.range = (struct amon_range){ parser->source->length, parser->source->length };
		parser->scanned = parser->token = token;
	}
	count_brace(parser, 1);
}

void amon_hold_token(struct amon_parser *parser)
{
	count_brace(parser, -1);
	parser->held[parser->held_count++] = parser->token;
}

static bool may_start(int token)
{
	const struct amon_word *word = amon_word_of_token(token);
	return word && word->form;
}

/* Reserved words that begin a statement (`where` may also be an attribute) tell that the one before has ended. */
static bool must_start(int token)
{
	return may_start(token) && amon_word_of_token(token)->reserved && token != AMON_TOKEN_WHERE;
}

/* A token behind which a statement may begin. */
static bool ends(int token)
{
	return token == AMON_TOKEN_END || token == ';' || token == '{' || token == '}';
}

/* `metric table = …` is a metric with a wrong name: behind a word that begins a statement stands no other that does. */
static bool begins_statement(const struct amon_parser *parser)
{
	int token = parser->token.kind, previous = parser->token.previous;
	return ends(previous) ? may_start(token) : must_start(token) && !must_start(previous);
}

int amon_yylex(union amon_value *value, struct amon_range *range, struct amon_parser *parser)
{
	amon_next_token(parser);
	if (begins_statement(parser))
		parser->statement = parser->token.kind;
	*value = parser->token.value;
	*range = parser->token.range;
	return parser->token.kind;
}

/* How many braces are open where a statement of the block at hand may begin. */
static int block_braces(const struct amon_parser *parser)
{
	return parser->block_count ? parser->blocks[parser->block_count - 1].braces : 0;
}

/* Lets a `}` that does not stand in the text come next. */
static void make_brace(struct amon_parser *parser)
{
	struct amon_token brace = { .kind = '}', .range = { parser->token.before, parser->token.before } };
	brace.before = brace.range.start;
	parser->held[parser->held_count++] = brace;
}

/* Up to the brace that closes what was just opened, which comes next. */
static void skip_block(struct amon_parser *parser)
{
	int braces = parser->braces;
	do {
		amon_next_token(parser);
	} while (parser->token.kind != AMON_TOKEN_END && parser->braces >= braces);
	bool ended = parser->token.kind == AMON_TOKEN_END;
	amon_hold_token(parser);
	if (ended) {
		parser->ended = true;
		parser->braces = braces;
		make_brace(parser);
	}
}

static void push_block(struct amon_parser *parser, uint32_t offset)
{
	parser->blocks[parser->block_count++] = (struct amon_open_block){ offset, parser->braces };
}

void amon_open_block(struct amon_parser *parser, struct amon_range brace)
{
	push_block(parser, brace.start);
	if (parser->block_count <= AMON_NESTING_MAX)
		return;
	amon_complain_nesting(parser, brace);
	skip_block(parser);
}

void amon_close_block(struct amon_parser *parser)
{
	parser->block_count--;
}

/* Behind a `}` of the statement that is passed over: was it its block's, or a set's in the middle of it? */
static bool statement_follows(struct amon_parser *parser)
{
	amon_next_token(parser);
	int kind = parser->token.kind;
	if (kind != ';')
		amon_hold_token(parser);
	return may_start(kind) || kind == AMON_TOKEN_END || kind == ';' || kind == '}';
}

/* `metric let = 5;` is one statement: with a name that cannot be one. */
static bool restarts(const struct amon_token *token)
{
	return must_start(token->kind) && !must_start(token->previous);
}

/* The open braces: of sets and lists that the parser had taken, and those passed over since. */
struct skip {
	int sets, blocks;
};

static struct skip start_skip(struct amon_parser *parser, bool pending)
{
	if (pending)
		amon_hold_token(parser);
	parser->depth = 0;
	return (struct skip){ .sets = parser->braces - block_braces(parser) };
}

/* The statement ends here: what was open in it is closed. */
static void end_skip(struct amon_parser *parser, bool give_back)
{
	if (give_back)
		amon_hold_token(parser);
	parser->braces = block_braces(parser);
}

/* The text ends: so does each block. */
static void end_text(struct amon_parser *parser)
{
	parser->ended = true;
	end_skip(parser, true);
	if (parser->block_count > 0)
		make_brace(parser);
}

/* In no block a `}` is passed over, and with it those behind it. */
static void skip_stray_braces(struct amon_parser *parser)
{
	do {
		amon_next_token(parser);
	} while (parser->token.kind == '}');
	amon_hold_token(parser);
}

/* A `}` that is not the statement's own closes the block around it. */
static bool skip_brace(struct amon_parser *parser, struct skip *skip)
{
	if (skip->blocks > 0) {
		skip->blocks--;
	} else if (skip->sets > 0) {
		skip->sets--;
	} else {
		bool closes = parser->block_count > 0;
		if (!closes)
			skip_stray_braces(parser);
		end_skip(parser, closes);
		return true;
	}
	return skip->blocks == 0 && skip->sets == 0 && statement_follows(parser);
}

/* Behind `in` a brace begins a set, which holds no statements. */
static void count_open(struct skip *skip, int previous)
{
	if (previous == AMON_TOKEN_IN && skip->blocks == 0)
		skip->sets++;
	else
		skip->blocks++;
}

void amon_recover_statement(struct amon_parser *parser, bool pending)
{
	struct skip skip = start_skip(parser, pending);
	for (;;) {
		amon_next_token(parser);
		int kind = parser->token.kind;
		if (kind == AMON_TOKEN_END) {
			end_text(parser);
			return;
		}
		if (kind == '{')
			count_open(&skip, parser->token.previous);
		else if (kind == '}' && skip_brace(parser, &skip))
			return;
		else if (skip.blocks == 0 && (kind == ';' || restarts(&parser->token))) {
			end_skip(parser, kind != ';');
			return;
		}
	}
}

/* The block that should stand here is made: an empty one. */
static void make_block(struct amon_parser *parser)
{
	int kind = parser->token.kind;
	parser->ended = parser->ended || kind == AMON_TOKEN_END;
	end_skip(parser, kind != ';');
	parser->braces++;
	push_block(parser, parser->token.before);
	make_brace(parser);
}

void amon_recover_block(struct amon_parser *parser, bool pending)
{
	struct skip skip = start_skip(parser, pending);
	for (;;) {
		amon_next_token(parser);
		int kind = parser->token.kind;
		if (kind == '{' && skip.sets == 0) {
			amon_open_block(parser, parser->token.range);
			return;
		}
		if (kind == '{') {
			skip.sets++;
		} else if (kind == '}' && skip.sets > 0) {
			skip.sets--;
		} else if (kind == '}' || kind == ';' || kind == AMON_TOKEN_END || restarts(&parser->token)) {
			make_block(parser);
			return;
		}
	}
}
