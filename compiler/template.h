/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AMON_TEMPLATE_H
#define AMON_TEMPLATE_H

#include <stdbool.h>
#include <stdio.h>

/*
 * bpf-templates/ are compilable C with directives in comments, each on a line of its own:
 *
 *   if WORD… / else / end     keeps the lines between where `holds` says yes to any of the words; nests
 *   anything else             the line is replaced by what `expand` writes
 *
 * The licence line at the top is left out.
 */
struct amon_template_user {
	bool (*holds)(void *data, const char *word);
	/* `directive` is the first word, `arguments` the rest; `indent` stands before each line */
	void (*expand)(void *data, FILE *out, const char *directive, const char *arguments, const char *indent);
	void *data;
};

/** Writes the template of that name (a file of bpf-templates/); it must exist. */
void amon_template(FILE *out, const char *name, const struct amon_template_user *user);

#endif
