/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AMON_TEXT_H
#define AMON_TEXT_H

/** A text file that the program carries (cmake/embed.cmake). */
struct amon_text {
	const char *name, *text;
};

/** bpf-templates/, ended by a NULL name. */
extern const struct amon_text amon_templates[];
/** schemas/, likewise. */
extern const struct amon_text amon_schemas[];

#endif
