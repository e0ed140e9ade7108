/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AMON_FAILURE_H
#define AMON_FAILURE_H

#include <stdarg.h>
#include <stdio.h>

/** Why something failed, for the user: one line that says what to do. Filled by the function that returns the errno. */
struct amon_failure {
	char message[1024];
	char *log; /* the verifier's, or NULL; malloc'd */
};

/** Writes the message and returns `error` (a negative errno), so that a function can `return amon_fail(…)`. */
int amon_fail(struct amon_failure *failure, int error, const char *format, ...) __attribute__((format(printf, 3, 4)));
void amon_failure_clear(struct amon_failure *failure);

#endif
