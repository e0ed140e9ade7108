/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AMON_DIAGNOSTIC_H
#define AMON_DIAGNOSTIC_H

#include <stdbool.h>
#include <stdio.h>

#include "source.h"

struct amon_arena;

enum amon_severity { AMON_ERROR, AMON_WARNING, AMON_NOTE };

struct amon_diagnostic {
	enum amon_severity severity;
	struct amon_span span; /* span.source is NULL where the fault has no place in a text */
	const char *message;
	const char *suggestion; /* what to write instead, or NULL */
	struct amon_diagnostic *next;
};

/**
 * What a user reads about a spec: collected in the order of discovery, printed in the order of position (a note stays
 * behind what it belongs to). At most AMON_DIAGNOSTICS_MAX errors are kept; further ones only count.
 */
struct amon_diagnostics {
	struct amon_arena *arena;
	struct amon_diagnostic *first, **last;
	unsigned int errors, warnings;
};

#define AMON_DIAGNOSTICS_MAX 100

void amon_diagnostics_init(struct amon_diagnostics *diagnostics, struct amon_arena *arena);

/** Each adds one diagnostic and returns it, so that a suggestion can be set. The message is one line, lower case, no
 * full stop. */
struct amon_diagnostic *amon_error(struct amon_diagnostics *diagnostics, struct amon_span span, const char *format, ...)
        __attribute__((format(printf, 3, 4)));
struct amon_diagnostic *amon_warning(struct amon_diagnostics *diagnostics, struct amon_span span, const char *format,
                                     ...) __attribute__((format(printf, 3, 4)));
/** A note belongs to the diagnostic added before it ("the first definition is here"). */
struct amon_diagnostic *amon_note(struct amon_diagnostics *diagnostics, struct amon_span span, const char *format, ...)
        __attribute__((format(printf, 3, 4)));

/** The closest of `count` candidates to `word` (Damerau-Levenshtein, at most a third of its length), or NULL. */
const char *amon_closest(const char *word, const char *const *candidates, size_t count);

/** `file:line:column: error: …`, the line, a caret under the span, the suggestion. Control bytes in the line are shown
 * as `?`. */
void amon_diagnostics_print(const struct amon_diagnostics *diagnostics, FILE *to, bool color);
/** The same for editors: a JSON array of {file, line, column, end_line, end_column, severity, message, suggestion}. */
void amon_diagnostics_print_json(const struct amon_diagnostics *diagnostics, FILE *to);

#endif
