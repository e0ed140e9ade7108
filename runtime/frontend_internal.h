/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AMON_FRONTEND_INTERNAL_H
#define AMON_FRONTEND_INTERNAL_H

#include "runtime/frontend.h"
#include "runtime/frontend_clang.h"

/* What the two ways to compile share: in this process (frontend.c), and in one of its own (frontend_user.c). */

struct frontend_task {
	struct amon_clang_job job;
	struct amon_frontend_result *result;
};

/* The job's report(), whose data is the task. A message for which there is no memory is lost; the return value of the
 * compilation still tells of the failure. */
void frontend_report(void *data, const char *file, uint32_t line, uint32_t column, int severity, const char *text);
/* A message of severity 3 without a place. */
void frontend_fail(struct frontend_task *task, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Opens the module; NULL, and a message, where that fails. */
amon_clang_compile_fn *frontend_module(struct frontend_task *task);

#endif
