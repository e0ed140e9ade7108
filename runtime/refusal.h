/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AMON_REFUSAL_H
#define AMON_REFUSAL_H

#include <stdint.h>

/*
 * Why the verifier refuses a program, read from its log: the reason, and the lines of C on the way to the instruction
 * that was refused. Kernels before 6.9 quote those lines and do not number them.
 */

#define AMON_REFUSAL_NOTES 16

/** A line of C that the log quotes. */
struct amon_refusal_note {
	const char *text; /* in the log; without its indentation */
	uint32_t length;
	uint32_t line; /* 0: not told */
};

struct amon_refusal {
	char reason[256];  /* "" where the log has none */
	char program[64];  /* "" where it is not told */
	char function[64]; /* that is verified apart; "": the program itself */
	/* The last ones, the one that was refused first; none where the reason has no place, such as a limit. */
	struct amon_refusal_note notes[AMON_REFUSAL_NOTES];
	uint32_t note_count;
};

/** Reads a log that amon_probe_load() left in failure->log; notes point into it. Of several the last is the refusal. */
void amon_refusal_read(const char *log, struct amon_refusal *refusal);

/** The line of the C that a note quotes: the one that is told, else the only one of this text; 0: not known. */
uint32_t amon_refusal_line(const struct amon_refusal_note *note, const char *c);
/** The function of the C that a line lies in: its name, or "". */
void amon_refusal_function(const char *c, uint32_t line, char name[static 64]);
/** The line where a function begins, or 0. */
uint32_t amon_refusal_find(const char *c, const char *name);

#endif
