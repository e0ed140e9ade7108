/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tokens to a tree. All statements are accepted in all blocks: what may stand where is said by statement.c, which knows better what
 * to say than "syntax error". After an error the parser goes on where recover.c says.
 */
%define api.pure full
%define api.prefix {amon_yy}
%define api.token.prefix {AMON_TOKEN_}
%define api.value.type {union amon_value}
%define api.location.type {struct amon_range}
%define parse.error custom
%locations
%param { struct amon_parser *parser }
%expect 0

%code requires {
#include "compiler/parse.h"
}
%code {
#define YYLLOC_DEFAULT(current, of, n)                                                                                 \
	((current) = (n) ? (struct amon_range){ YYRHSLOC(of, 1).start, YYRHSLOC(of, n).end } :                         \
			   (struct amon_range){ YYRHSLOC(of, 0).end, YYRHSLOC(of, 0).end })
/* Gives the token that the parser did not like back, lets `how` find where to go on, and goes on there. */
#define RECOVER(how)                                                                                                   \
	do {                                                                                                           \
		how(parser, yychar != AMON_TOKEN_AMON_YYEMPTY);                                                                        \
		yyclearin;                                                                                             \
		yyerrok;                                                                                               \
	} while (0)
/* For constructors that may refuse, with an error of their own. */
#define OR_FAIL(made)                                                                                                  \
	do {                                                                                                           \
		if (!(made))                                                                                           \
			YYERROR;                                                                                       \
	} while (0)
#define NO_NAME ((struct amon_name){ 0 })

#define ATTRIBUTE(kind, range, value, name) amon_attribute_new(parser, AMON_ATTRIBUTE_##kind, range, value, name)
#define STATEMENT(kind, range, name, attributes) amon_statement_new(parser, AMON_STATEMENT_##kind, range, name, attributes)
#define VALUE(kind, range, name, value, attributes)                                                                    \
	amon_statement_value(parser, AMON_STATEMENT_##kind, range, name, value, attributes)
#define FOLD(kind, range, name, type, initial, next, attributes)                                                       \
	amon_statement_fold(parser, AMON_STATEMENT_##kind, range, (struct amon_name[]){ name, type }, initial, next,   \
			    attributes)
#define BLOCK(statement, head, body) amon_statement_block(parser, statement, (head).end, body)
#define BINARY(range, left, op, op_range, right)                                                                       \
	amon_syntax_binary(parser, range, left, AMON_OP_##op, op_range, right)
#define UNARY(range, op, op_range, operand) amon_syntax_unary(parser, range, AMON_OP_##op, op_range, operand)

static void amon_yyerror(struct amon_range *range, struct amon_parser *parser, const char *message);
}

%token <name> IMPORT "import" AS "as" USE "use" EXCEPT "except" LET "let" STATE "state" METRIC "metric" DERIVE "derive"
%token <name> TABLE "table" BY "by" WHERE "where" WHEN "when" HAVING "having" EXPIRE "expire"
%token <name> IN "in" AND "and" OR "or" NOT "not"
%token <name> PARAM "param" FEATURE "feature" PROBE "probe" INGRESS "ingress" EGRESS "egress" LEVEL "level"
%token <name> UNTIL "until" FOR "for" LIMIT "limit" EVENTS "events" SOURCE "source" MAP "map" WINDOW "window" SAMPLE "sample"
%token <name> NEXT "next" PRIVATE "private" IDLE "idle" ACTIVE "active" LINGER "linger" SCALED "scaled" CLOCK "clock" KEEP "keep"
%token <name> SIZE "size" OVERFLOW "overflow" TOP "top" UNIT "unit" IPFIX "ipfix" SNAPSHOT "snapshot" RESET "reset"
%token <name> AGGREGATE "aggregate"
%token <name> NAME "a name" PATH "a field" STRING "a string"
%token UNENDED "a string that does not end" /* stands in no rule: always an error */
%token <syntax> INTEGER "an integer" DECIMAL "a number" PERCENT "a percentage" DURATION "a duration" BYTES "a size in bytes"
%token <syntax> ADDRESS "an address"
%token EQ "==" NE "!=" LE "<=" GE ">=" SHIFT_LEFT "<<" SHIFT_RIGHT ">>" DOTDOT ".."
%token END 0 "the end of the text"

%type <statement> statements statement block section
%type <attribute> attributes attribute clauses clause
%type <hook> hooks hook
%type <key> keys key
%type <names> names paths
%type <name> ident plain path type
%type <syntax> expr nested whole value set list items item arguments argument members bound literal limits limit
%type <flag> direction scaled

/* A bare word is a value only where `=` does not make it a name for one. */
%precedence BARE
%right '?' ':'
%left OR
%left AND
%precedence NOT
%left EQ NE '<' '>' LE GE IN '='
%left '|'
%left '^'
%left '&'
%left SHIFT_LEFT SHIFT_RIGHT
%left '+' '-'
%left '*' '/' '%'
%precedence SIGN
%precedence DOTDOT

%%

file: statements                                { parser->statements = $1; (void)yynerrs; /* counted by bison, read by nobody */ }

statements:
  %empty                                        { $$ = NULL; }
| statements statement                          { $$ = AMON_APPEND($1, $2); }
| statements error                              { $$ = $1; RECOVER(amon_recover_statement); }

end: ';'
| error                                         { @$.start = @$.end = @0.end; RECOVER(amon_recover_statement); }

block: open statements '}'                      { $$ = $2; amon_close_block(parser); }

open: '{'                                       { amon_open_block(parser, @1); }
| error                                         { RECOVER(amon_recover_block); }

statement:
  ';'                                           { $$ = NULL; }
| IMPORT STRING end                             { $$ = VALUE(IMPORT, @$, NO_NAME, amon_syntax_string(parser, $2), NULL); }
| IMPORT STRING AS ident end                    { $$ = VALUE(IMPORT, @$, $4, amon_syntax_string(parser, $2), NULL); }
| LET ident '=' value end                       { $$ = VALUE(LET, @$, $2, $4, NULL); }
| PARAM ident '=' value attributes end          { $$ = VALUE(PARAM, @$, $2, $4, $5); }
| FEATURE ident attributes block                { $$ = BLOCK(STATEMENT(FEATURE, @$, $2, $3), @3, $4); }
| PROBE ident attributes block                  { $$ = BLOCK(STATEMENT(PROBE, @$, $2, $3), @3, $4); }
| section
| LEVEL ident block                             { $$ = BLOCK(STATEMENT(LEVEL, @$, $2, NULL), @2, $3); }
| LEVEL ident WHEN expr FOR DURATION UNTIL expr FOR DURATION block {
	$$ = BLOCK(STATEMENT(LEVEL, @$, $2, NULL), @10, $11);
	$$->level.when = $4;
	$$->level.when_for = (uint64_t)$6->integer;
	$$->level.until = $8;
	$$->level.until_for = (uint64_t)$10->integer;
  }
| USE paths end                                 { $$ = STATEMENT(USE, @$, NO_NAME, NULL); $$->names = AMON_LIST($2); }
| USE paths '{' names '}' {
	$$ = STATEMENT(USE, @$, NO_NAME, NULL);
	$$->names = AMON_LIST($2);
	$$->members = AMON_LIST($4);
  }
| USE paths EXCEPT '{' names '}' {
	$$ = STATEMENT(USE, @$, NO_NAME, NULL);
	$$->names = AMON_LIST($2);
	$$->members = AMON_LIST($5);
	$$->except = true;
  }
| WHERE whole end                               { $$ = VALUE(WHERE, @$, NO_NAME, $2, NULL); }
| METRIC ident '=' expr attributes end          { $$ = VALUE(METRIC, @$, $2, $4, $5); }
| STATE ident '=' expr attributes end           { $$ = VALUE(STATE, @$, $2, $4, $5); }
| METRIC ident type '=' expr NEXT expr attributes end { $$ = FOLD(METRIC, @$, $2, $3, $5, $7, $8); }
| STATE ident type '=' expr NEXT expr attributes end  { $$ = FOLD(STATE, @$, $2, $3, $5, $7, $8); }
| METRIC ident '=' MAP plain attributes end     { $$ = STATEMENT(MAP_METRIC, @$, $2, $6); $$->word = $5; }
| TABLE ident '=' MAP plain attributes end      { $$ = STATEMENT(MAP_TABLE, @$, $2, $6); $$->word = $5; }
| DERIVE ident '=' expr attributes end          { $$ = VALUE(DERIVE, @$, $2, $4, $5); }
| TABLE ident BY keys attributes block {
	$$ = BLOCK(STATEMENT(TABLE, @$, $2, $5), @5, $6);
	$$->keys = AMON_LIST($4);
  }
| PRIVATE TABLE ident BY keys attributes block {
	$$ = BLOCK(STATEMENT(TABLE, @$, $3, $6), @6, $7);
	$$->keys = AMON_LIST($5);
	$$->is_private = true;
  }
| EVENTS ident attributes '{' keys '}' {
	$$ = STATEMENT(EVENTS, @$, $2, $3);
	$$->keys = AMON_LIST($5);
	$$->head.end = @3.end;
  }
| SOURCE STRING block {
	$$ = BLOCK(VALUE(SOURCE, @$, NO_NAME, amon_syntax_string(parser, $2), NULL), @2, $3);
  }
| WINDOW whole end                              { $$ = VALUE(WINDOW, @$, NO_NAME, $2, NULL); }
| WINDOW whole KEEP end                         { $$ = VALUE(WINDOW, @$, NO_NAME, $2, NULL); $$->keep = true; }
| WINDOW whole RESET end                        { $$ = VALUE(WINDOW, @$, NO_NAME, $2, NULL); $$->reset = true; }
| CLOCK ident end                               { $$ = STATEMENT(CLOCK, @$, NO_NAME, NULL); $$->word = $2; }
| SAMPLE INTEGER IN INTEGER scaled end {
	$$ = VALUE(SAMPLE, @$, NO_NAME, $2, NULL);
	$$->sample_in = (uint64_t)$4->integer;
	$$->scaled = $5;
  }
| LIMIT limits end {
	$$ = VALUE(LIMIT, @$, NO_NAME, amon_syntax_items(parser, AMON_SYNTAX_LIST, @2, $2), NULL);
  }
| SNAPSHOT end                                  { $$ = STATEMENT(SNAPSHOT, @$, NO_NAME, NULL); }
| RESET end                                     { $$ = STATEMENT(RESET, @$, NO_NAME, NULL); }

scaled: %empty                                  { $$ = false; }
| SCALED                                        { $$ = true; }

type: ':' ident                                 { $$ = $2; }

/* An expression that has ended: an error in it does not leave its first half behind. */
whole: expr

value: expr | set

limits: limit                                   { $$ = AMON_APPEND(NULL, $1); }
| limits ',' limit                              { $$ = AMON_APPEND($1, $3); }

limit: ident expr                               { $$ = amon_syntax_argument($1, $2); }

section:
  hooks block {
	$$ = BLOCK(STATEMENT(SECTION, @$, NO_NAME, NULL), @1, $2);
	$$->hooks = AMON_LIST($1);
  }
| hooks AS ident block {
	$$ = BLOCK(STATEMENT(SECTION, @$, $3, NULL), @3, $4);
	$$->hooks = AMON_LIST($1);
  }

hooks: hook                                     { $$ = AMON_APPEND(NULL, $1); }
| hooks ',' hook                                { $$ = AMON_APPEND($1, $3); }

hook:
  direction                                     { $$ = amon_hook_new(parser, @$, $1, NO_NAME, NO_NAME); }
| direction NAME                                { $$ = amon_hook_new(parser, @$, $1, $2, NO_NAME); }
| direction NAME NAME                           { $$ = amon_hook_new(parser, @$, $1, $2, $3); }

direction: INGRESS                              { $$ = false; }
| EGRESS                                        { $$ = true; }

names: ident                                    { $$ = AMON_APPEND(NULL, amon_names_new(parser, $1)); }
| names ',' ident                               { $$ = AMON_APPEND($1, amon_names_new(parser, $3)); }

paths: path                                     { $$ = AMON_APPEND(NULL, amon_names_new(parser, $1)); }
| paths ',' path                                { $$ = AMON_APPEND($1, amon_names_new(parser, $3)); }

keys: key                                       { $$ = AMON_APPEND(NULL, $1); }
| keys ',' key                                  { $$ = AMON_APPEND($1, $3); }

key: expr                                       { $$ = amon_key_new(parser, NO_NAME, $1); }
| ident '=' expr                                { $$ = amon_key_new(parser, $1, $3); }

attributes: %empty                              { $$ = NULL; }
| attributes attribute                          { $$ = AMON_APPEND($1, $2); }

attribute:
  WHERE expr                                    { $$ = ATTRIBUTE(WHERE, @$, $2, NO_NAME); }
| STRING                                        { $$ = ATTRIBUTE(HELP, @$, NULL, $1); }
| UNIT ident                                    { $$ = ATTRIBUTE(UNIT, @$, NULL, $2); }
| AS STRING                                     { $$ = ATTRIBUTE(AS, @$, NULL, $2); }
| IPFIX ident                                   { $$ = ATTRIBUTE(IPFIX, @$, NULL, $2); }
| IPFIX INTEGER '/' INTEGER                     { $$ = amon_attribute_ipfix(parser, @$, $2, $4); }
| SNAPSHOT                                      { $$ = ATTRIBUTE(SNAPSHOT, @$, NULL, $1); }
| RESET                                         { $$ = ATTRIBUTE(RESET, @$, NULL, $1); }
| AGGREGATE ident                               { $$ = ATTRIBUTE(AGGREGATE, @$, NULL, $2); }
| SIZE expr                                     { $$ = ATTRIBUTE(SIZE, @$, $2, NO_NAME); }
| OVERFLOW ident                                { $$ = ATTRIBUTE(OVERFLOW, @$, NULL, $2); }
| HAVING expr                                   { $$ = ATTRIBUTE(HAVING, @$, $2, NO_NAME); }
| TOP expr BY path                              { $$ = ATTRIBUTE(TOP, @$, $2, $4); }
| EXPIRE clauses                                { $$ = ATTRIBUTE(EXPIRE, @$, NULL, NO_NAME); $$->inside = AMON_LIST($2); }

clauses: clause                                 { $$ = AMON_APPEND(NULL, $1); }
| clauses clause                                { $$ = AMON_APPEND($1, $2); }

clause:
  IDLE expr                                     { $$ = ATTRIBUTE(IDLE, @$, $2, NO_NAME); }
| ACTIVE expr                                   { $$ = ATTRIBUTE(ACTIVE, @$, $2, NO_NAME); }
| WHEN expr                                     { $$ = ATTRIBUTE(WHEN, @$, $2, NO_NAME); }
| LINGER expr                                   { $$ = ATTRIBUTE(LINGER, @$, $2, NO_NAME); }

/* A word that cannot be mistaken for an attribute's. */
plain: NAME | PARAM | FEATURE | PROBE | INGRESS | EGRESS | LEVEL | UNTIL | FOR | LIMIT | EVENTS | SOURCE | MAP | WINDOW | SAMPLE
| NEXT | PRIVATE | IDLE | ACTIVE | LINGER | SCALED | CLOCK | KEEP

ident: plain
| SIZE | OVERFLOW | TOP | UNIT | IPFIX | SNAPSHOT | RESET | AGGREGATE

path: ident %prec BARE | PATH

literal: INTEGER | DECIMAL | PERCENT | DURATION | BYTES | ADDRESS
| STRING                                        { $$ = amon_syntax_string(parser, $1); }

expr:
  path                                          { $$ = amon_syntax_name(parser, $1); }
| literal
| nested                                        { $$ = $1; parser->depth--; }
| path '[' INTEGER ']'                          { $$ = amon_syntax_slice(parser, @$, $1, $3, NULL); }
| path '[' INTEGER ':' INTEGER ']'              { $$ = amon_syntax_slice(parser, @$, $1, $3, $5); }
| expr OR expr                                  { OR_FAIL($$ = BINARY(@$, $1, OR, @2, $3)); }
| expr AND expr                                 { OR_FAIL($$ = BINARY(@$, $1, AND, @2, $3)); }
| expr EQ expr                                  { OR_FAIL($$ = BINARY(@$, $1, EQ, @2, $3)); }
| expr '=' expr                                 { amon_syntax_not_equals(parser, @2); OR_FAIL($$ = BINARY(@$, $1, EQ, @2, $3)); }
| expr NE expr                                  { OR_FAIL($$ = BINARY(@$, $1, NE, @2, $3)); }
| expr '<' expr                                 { OR_FAIL($$ = BINARY(@$, $1, LT, @2, $3)); }
| expr '>' expr                                 { OR_FAIL($$ = BINARY(@$, $1, GT, @2, $3)); }
| expr LE expr                                  { OR_FAIL($$ = BINARY(@$, $1, LE, @2, $3)); }
| expr GE expr                                  { OR_FAIL($$ = BINARY(@$, $1, GE, @2, $3)); }
| expr IN members                               { OR_FAIL($$ = BINARY(@$, $1, IN, @2, $3)); }
| expr '|' expr                                 { OR_FAIL($$ = BINARY(@$, $1, BIT_OR, @2, $3)); }
| expr '^' expr                                 { OR_FAIL($$ = BINARY(@$, $1, BIT_XOR, @2, $3)); }
| expr '&' expr                                 { OR_FAIL($$ = BINARY(@$, $1, BIT_AND, @2, $3)); }
| expr SHIFT_LEFT expr                          { OR_FAIL($$ = BINARY(@$, $1, SHIFT_LEFT, @2, $3)); }
| expr SHIFT_RIGHT expr                         { OR_FAIL($$ = BINARY(@$, $1, SHIFT_RIGHT, @2, $3)); }
| expr '+' expr                                 { OR_FAIL($$ = BINARY(@$, $1, ADD, @2, $3)); }
| expr '-' expr                                 { OR_FAIL($$ = BINARY(@$, $1, SUBTRACT, @2, $3)); }
| expr '*' expr                                 { OR_FAIL($$ = BINARY(@$, $1, MULTIPLY, @2, $3)); }
| expr '/' expr                                 { OR_FAIL($$ = BINARY(@$, $1, DIVIDE, @2, $3)); }
| expr '%' expr                                 { OR_FAIL($$ = BINARY(@$, $1, MODULO, @2, $3)); }

/* What goes one level down. */
nested:
  '(' down expr ')'                             { $$ = amon_syntax_group(parser, @$, $3); }
| path '(' down ')'                             { $$ = amon_syntax_call(parser, @$, $1, NULL); }
| path '(' down arguments ')'                   { OR_FAIL($$ = amon_syntax_call(parser, @$, $1, $4)); }
| list
| NOT down expr %prec NOT                       { OR_FAIL($$ = UNARY(@$, NOT, @1, $3)); }
| '-' down expr %prec SIGN                      { OR_FAIL($$ = UNARY(@$, NEGATE, @1, $3)); }
| '~' down expr %prec SIGN                      { OR_FAIL($$ = UNARY(@$, COMPLEMENT, @1, $3)); }
| expr '?' down expr ':' expr                   { OR_FAIL($$ = amon_syntax_choice(parser, @$, $1, $4, $6)); }

down: %empty                                    { OR_FAIL(amon_syntax_enter(parser, @$)); }

list: '[' down arguments ']'                    { OR_FAIL($$ = amon_syntax_items(parser, AMON_SYNTAX_LIST, @$, $3)); }

arguments: argument                             { $$ = AMON_APPEND(NULL, $1); }
| arguments ',' argument                        { $$ = AMON_APPEND($1, $3); }

argument: expr
| ident '=' expr                                { $$ = amon_syntax_argument($1, $3); }

members: bound %prec BARE                       { $$ = amon_syntax_members(parser, $1); }
| bound DOTDOT bound                            { OR_FAIL($$ = amon_syntax_range(parser, @$, $1, $3)); }
| set

bound: literal
| path                                          { $$ = amon_syntax_name(parser, $1); }

set: '{' down items '}'                         { OR_FAIL($$ = amon_syntax_items(parser, AMON_SYNTAX_SET, @$, $3)); parser->depth--; }

items: item                                     { $$ = AMON_APPEND(NULL, $1); }
| items ',' item                                { $$ = AMON_APPEND($1, $3); }

item: expr
| expr DOTDOT expr                              { OR_FAIL($$ = amon_syntax_range(parser, @$, $1, $3)); }

%%

static int yyreport_syntax_error(const yypcontext_t *context, struct amon_parser *parser)
{
	yysymbol_kind_t kinds[YYNTOKENS];
	const char *names[YYNTOKENS];
	int count = yypcontext_expected_tokens(context, kinds, YYNTOKENS);
	for (int i = 0; i < count; i++)
		names[i] = yysymbol_name(kinds[i]);
	amon_complain_token(parser, names, (size_t)(count > 0 ? count : 0));
	return 0;
}

/* Bison itself has only one thing to say: its stack is full. */
static void amon_yyerror(struct amon_range *range, struct amon_parser *parser, const char *message)
{
	(void)message;
	amon_complain_nesting(parser, *range);
}
