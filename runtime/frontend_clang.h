/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AMON_FRONTEND_CLANG_H
#define AMON_FRONTEND_CLANG_H

#include <stddef.h>
#include <stdint.h>

/* Between frontend.c and the module amon-clang.so, which it opens. */

#ifdef __cplusplus
extern "C" {
#endif

struct amon_clang_job {
	const char *name;
	const char *text;
	size_t length;
	void (*report)(void *data, const char *file, uint32_t line, uint32_t column, int severity, const char *text);
	void *data;
	/* A user's file, which may include others: what its amon_packet() is called in the object. NULL: C of amon's.
	 */
	const char *entry;
	/* Of a user's file: where it declares a variable or function NAME, or a struct's member STRUCT.NAME. */
	void (*place)(void *data, const char *name, uint32_t line, uint32_t column);
	void *object; /* out: malloc'd, or NULL */
	size_t object_size;
};

typedef void amon_clang_compile_fn(struct amon_clang_job *job);
typedef void amon_clang_recover_fn(void);

/** Compiles one job; may crash or call abort(), so run it in amon_guard_run(). One at a time. */
__attribute__((visibility("default"))) amon_clang_compile_fn amon_clang_compile;

/** After a crash: takes LLVM's handler back. What the compilation held is lost: to destroy it is not safe any more. */
__attribute__((visibility("default"))) amon_clang_recover_fn amon_clang_recover;

#ifdef __cplusplus
}
#endif

#endif
