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
	USE_LOWEST_SIGNED,
	USE_HIGHEST_SIGNED,
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
	USE_LIFE_NUMBER,
	USE_END_FLOW,
	USE_IS_SWEEPING,
	USE_WINDOW_NUMBER,
	USE_LIVE,
	USE_NEXT_ROW,
	USE_END_ROW,
	USE_ADD_TO_FLOW,
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

/** What follows stands for this of the spec, up to the next mark or comment; nothing that can be seen is written. */
void emit_mark(FILE *out, struct amon_span span);
/** Nothing of the spec stands behind what follows. */
#define AMON_NO_SPAN ((struct amon_span){ 0 })
/** A comment with the text of a statement on one line, behind `before`, and a mark. */
void emit_comment(struct amon_arena *arena, FILE *out, int indent, const char *before, struct amon_span span);
/** A member of a struct; the type may be an array's. */
void emit_member(FILE *out, const char *c_type, const char *name);
void emit_map(FILE *out, const char *name, const char *type, const char *key, const char *value, uint32_t size);
/** At most one blank line in a row, and no line too long; the marks are taken out, and put into `lines`. */
char *emit_tidy(struct amon_arena *arena, const char *text, struct amon_lines *lines);
struct amon_writer emit_open_lines(const struct amon_writer *w, struct lines *lines);
/** The lines under a condition, with braces only where they are needed; without one, as they are. Closes `inner`. */
void emit_close_lines(struct amon_writer *w, struct amon_writer *inner, struct amon_c when, struct lines *lines);

/* what several parts ask of the plan */
bool emit_has_member(const struct amon_plan *plan, const char *member);
bool emit_at_tc(const struct amon_plan *plan);
uint32_t emit_count_causes(const struct amon_plan *plan);

/* emit_metric.c: what one packet changes of a record */

/* Metrics that saw each packet which comes here. */
struct seen {
	const struct amon_plan_metric **metrics; /* room for all */
	uint32_t count;
};

/** Metrics that all have the same `where`, which is asked once. Those that each packet gives a value are added to
 * `seen`, the others note for themselves that they saw one. */
void emit_metrics(struct amon_writer *w, const struct scope *s, const struct amon_plan_metric *const *metrics,
                  uint32_t count, struct seen *seen);
/** Sets their bits, all at once, and takes them out. */
void emit_seen(struct amon_writer *w, const struct scope *s, struct seen *seen);
/** Whether a metric saw a packet; `record` is what stands before a member of its record ("row->"). */
struct amon_c emit_has(struct amon_writer *w, const char *record, const struct amon_plan_metric *metric);
void emit_set_has(struct amon_writer *w, const char *record, const struct amon_plan_metric *metric);
/** An assignment, or a copy of an address of so many bytes. */
void emit_copy(struct amon_writer *w, const char *to, uint32_t size, struct amon_c text);

/* emit_memory.c: what is remembered from packet to packet */

/** The structs and maps of a section's memories. */
void emit_memory_maps(struct emitter *e, const struct amon_plan_section *section);
/** Under the lock of `memory`: copies what the packet finds, and leaves what it makes of it. Folds that are metrics go
 * to the records that export them. `table` is NULL for the section's own. */
void emit_memory_step(struct amon_writer *w, const struct scope *s, const struct amon_plan_table *table);
/**
 * The same of a row that ends: `arrives` in a look that finds the row that the packet is in, and tells its number in
 * `b`; `steps` in one that leaves something, in what is remembered of that row. `own` is a condition that holds where
 * the memory is the key's and not that of the row `other`; NULL: always. What the folds became is left in `b`.
 */
struct amon_flow_look {
	bool arrives, steps;
	const char *own;
};
void emit_flow_step(struct amon_writer *w, const struct scope *s, const struct amon_plan_table *table,
                    struct amon_flow_look look);
/** Behind it, in the key's own row: the folds that are metrics. */
void emit_flow_folds(struct amon_writer *w, const struct scope *s, const struct amon_plan_table *table);
/** A condition, at TC: `b` has the number of the row that this packet is in. */
const char *emit_flow_entered(struct amon_writer *w, const struct amon_plan_memory *memory);
/** A condition: what is remembered at `memory` has ended with its flow. */
const char *emit_forgotten(struct amon_writer *w, const struct amon_plan_section *section,
                           const struct amon_plan_memory *memory);
/** Copies what the section's own memory holds, which nothing changes yet. */
void emit_memory_look(struct amon_writer *w, const struct amon_plan_section *section);
/** Behind the key of a row that is asked for: copies what is remembered there, if there is such a row. */
void emit_memory_asked(struct amon_writer *w, const struct amon_plan_section *section,
                       const struct amon_plan_table *table);
/** Before the key: what is found where there is no row. */
void emit_memory_none(struct amon_writer *w, const struct amon_plan_table *table);

/* emit_section.c: the functions of a section and its tables */
void emit_section(struct emitter *e, const struct amon_plan_section *section);
/* emit_maps.c: keys, records and maps */
void emit_section_maps(struct emitter *e, const struct amon_plan_section *section);
/** Before the struct of a record: the names of the bits in it. In it: the parts of its metrics. */
void emit_record_bits(FILE *out, const struct amon_plan_record *record);
void emit_record_members(FILE *out, const struct amon_plan_record *record);
/* emit_parser.c: templates, with what the plan keeps of a packet */
void emit_template(struct emitter *e, const char *name);
void emit_parser(struct emitter *e);
/** What its functions hand to each other in struct packet. */
void emit_parser_members(struct emitter *e);
/* emit_program.c: what the hooks run */
void emit_programs(struct emitter *e);

#endif
