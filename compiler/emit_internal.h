/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AMON_EMIT_INTERNAL_H
#define AMON_EMIT_INTERNAL_H

#include "arena.h"
#include "emit_expression.h"

/* What the files of emit share. emit.c holds the order of the generated file, the others one part of it each. */

/* What the generated functions use of the templates' helpers; found by writing them first. */
enum use {
	USE_LOWEST,
	USE_HIGHEST,
	USE_IS_FIRST,
	USE_IS_LAST,
	USE_DIVIDE,
	USE_MODULO,
	USE_ADD_SQUARE,
	USE_MAC_NUMBER,
	USE_SAME_ADDRESS,
	USE_ADDRESS_AT_MOST,
	USE_BUCKET_LOG2,
	USE_BUCKET_LOGLINEAR,
	USE_BUCKET_LINEAR,
	USE_BUCKET_EDGES,
	USE_ABOVE,
	USE_BIT_LENGTH,
	USE_AT_MOST,
	USE_QUOTIENT,
	USE_REMAINDER,
	USE_COUNT
};
extern const char *const emit_use_names[USE_COUNT];

struct emitter {
	const struct amon_plan *plan;
	struct amon_arena *arena;
	FILE *out;
	bool uses[USE_COUNT];
	unsigned int tables; /* of edges, to number them */
	FILE *edges;         /* their definitions */
};

struct scope {
	struct emitter *e;
	const struct amon_plan_section *section;
	const char *record; /* "m" or "row" */
};

/* Lines written to memory first, one step further in than what they may end up in. */
struct lines {
	char *text;
	size_t size;
};

/* emit_text.c: lines of the spec, and of C */

/** The statement's text on one line, fit for a comment; "" for what has no place in a text. */
const char *emit_quote(struct amon_arena *arena, struct amon_span span);
void emit_comment(struct emitter *e, FILE *out, int indent, struct amon_span span);
/** A member of a struct; the type may be an array's. */
void emit_member(FILE *out, const char *c_type, const char *name);
void emit_map(FILE *out, const char *name, const char *type, const char *key, const char *value, uint32_t size);
/** At most one blank line in a row, and no line too long. */
char *emit_tidy(struct amon_arena *arena, const char *text);
struct amon_writer emit_open_lines(const struct amon_writer *w, struct lines *lines);
/** The lines under a condition, with braces only where they are needed; without one, as they are. Closes `inner`. */
void emit_close_lines(struct amon_writer *w, struct amon_writer *inner, struct amon_c when, struct lines *lines);

/* what several parts ask of the plan */
bool emit_has_member(const struct amon_plan *plan, const char *member);
bool emit_at_tc(const struct amon_plan *plan);
uint32_t emit_count_causes(const struct amon_plan *plan);

/* emit_metric.c: what one packet changes of a record */
void emit_metric(struct amon_writer *w, const struct scope *s, const struct amon_plan_metric *metric);
/** An assignment, or a copy of an address of so many bytes. */
void emit_copy(struct amon_writer *w, const char *to, uint32_t size, struct amon_c text);

/* emit_section.c: the functions of a section and its tables */
void emit_section(struct emitter *e, const struct amon_plan_section *section);
/* emit_maps.c: keys, records and maps */
void emit_section_maps(struct emitter *e, const struct amon_plan_section *section);
/* emit_parser.c: templates, with what the plan keeps of a packet */
void emit_template(struct emitter *e, const char *name);
void emit_parser(struct emitter *e);
/** What its functions hand to each other in struct packet. */
void emit_parser_members(struct emitter *e);
/* emit_program.c: what the hooks run */
void emit_programs(struct emitter *e);

#endif
