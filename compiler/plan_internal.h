/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AMON_PLAN_INTERNAL_H
#define AMON_PLAN_INTERNAL_H

#include "arena.h"
#include "diagnostic.h"
#include "plan.h"

/* What the files of plan share: plan.c decides what packets need and what is counted, plan_memory.c what is remembered.
 */

/* Names of C that are taken in one scope. */
struct names {
	struct amon_arena *arena;
	const char **names;
	uint32_t count, capacity;
};

void plan_take(struct names *names, const char *name);
/* `wanted`, or that with a number behind it where the name is taken. */
const char *plan_unique(struct names *names, const char *wanted);
const char *plan_prefixed(struct names *names, const char *prefix, const char *name);

uint32_t plan_align(uint32_t offset, uint32_t alignment);
/* Puts a member of `size` bytes at the next place that suits it. */
uint32_t plan_place(uint32_t *offset, uint32_t size, uint32_t alignment);
/* Names and places the parts of a record's metrics, from an offset on, and gives the record its size. The names of bits
 * are of the whole file. */
void plan_members(struct amon_plan_record *record, struct names *names, struct names *globals, uint32_t offset);

/* The memory of a table, or with NULL of the section itself; NULL where nothing is remembered. */
struct amon_plan_memory *plan_memory(struct amon_plan *plan, const struct amon_section *section,
                                     const struct amon_table *table, struct names *globals,
                                     struct amon_diagnostics *diagnostics);
/* What a packet of the section reads of all its memories. */
void plan_before(struct amon_plan *plan, struct amon_plan_section *section, struct names *globals);

/* plan_user.c: what users' files define goes by its name in the object */
void plan_take_users(const struct amon_probe *probe, struct names *globals);
/* The rows and records that users' maps become. */
void plan_users(struct amon_plan *plan, struct amon_plan_section *section, struct names *globals,
                struct amon_diagnostics *diagnostics);

#endif
