/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AMON_EMIT_EXPRESSION_H
#define AMON_EMIT_EXPRESSION_H

#include <stdio.h>

#include "plan.h"

/* Expressions of a packet as C text. `p` is the packet in the generated code. */

/** C text and how tightly it binds, so that only the parentheses that are needed are written. */
struct amon_c {
	const char *text;
	int binds;
};

/** A value and when it is there; `when.text` is NULL where it always is. */
struct amon_c_value {
	struct amon_c when, value;
};

#define AMON_MAX_KNOWN 64

/** Where the text goes, and what is known there. */
struct amon_writer {
	struct amon_arena *arena;
	FILE *out; /* statements that an expression needs before it (temporaries) are written here */
	int indent;
	unsigned int *temporaries;      /* numbers them within a function */
	const char *time;               /* the packet's member that has the time here */
	uint32_t known[AMON_MAX_KNOWN]; /* of each mask, some layer is there */
	uint32_t known_count;
	const char *is_known[AMON_MAX_KNOWN]; /* slices that are there */
	uint32_t is_known_count;
	const struct amon_plan_section *section; /* whose memory is read */
	const struct amon_table *asking;         /* before there is a row of this table: its `where` */
};

void amon_write(const struct amon_writer *w, const char *format, ...) __attribute__((format(printf, 2, 3)));

/** A condition as a C truth value; absent operands make it false as docs/language.md says. */
struct amon_c amon_c_condition(struct amon_writer *w, const struct amon_value *value);
/** INT, TIME, IPv4 (an __be32), BOOL; of IPv6, NET and MAC the name of an array. */
struct amon_c_value amon_c_value(struct amon_writer *w, const struct amon_value *value);
/** What memory held before the packet; whether there is a row. emit_memory.c */
struct amon_c_value amon_c_memory(struct amon_writer *w, const struct amon_value *value);
struct amon_c amon_c_row(struct amon_writer *w, const struct amon_value *value);
/** The IP version of a value of either: text of a number. */
const char *amon_c_version(struct amon_writer *w, const struct amon_value *value);
/** A number as C writes it. */
struct amon_c amon_c_number(struct amon_writer *w, int64_t value);
/** `value` as __s64 in a variable or constant, so that it can stand several times. */
const char *amon_c_once(struct amon_writer *w, struct amon_c value);
struct amon_c amon_c_and(struct amon_writer *w, struct amon_c a, struct amon_c b);
/** Whether a word has a bit. */
struct amon_c amon_c_bit(struct amon_writer *w, const char *word, const char *bit);
/** The text, in parentheses where it binds less than a unary operator needs. */
const char *amon_c_tight(struct amon_writer *w, struct amon_c c);

/** Adds to what is known what must be so where the condition holds; where the value is there. */
void amon_c_learn(struct amon_writer *w, const struct amon_value *condition);
void amon_c_learn_present(struct amon_writer *w, const struct amon_value *value);
/** True where the value can never be negative or exceed 2^bits - 1. */
uint32_t amon_c_bits(const struct amon_value *value);

#endif
