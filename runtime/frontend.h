/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AMON_FRONTEND_H
#define AMON_FRONTEND_H

#include <stddef.h>
#include <stdint.h>

/*
 * C to a BPF object, in this process, by clang 19. The compiler is a module (amon-clang.so) that is opened when it is
 * first needed: a program that only checks specs, or runs built objects, neither loads nor needs LLVM.
 */

struct amon_frontend_message {
	char *file; /* the name that the source was given, or a #line's */
	uint32_t line, column;
	int severity; /* 0 note, 1 warning, 2 error, 3 fatal (also: the compiler itself failed) */
	char *text;
};

/** What a compilation gives; all of it is the caller's, to be released by amon_frontend_result_free(). */
struct amon_frontend_result {
	void *object; /* ELF, with BTF and .BTF.ext instead of DWARF; NULL on failure */
	size_t object_size;
	struct amon_frontend_message *messages;
	size_t message_count;
};

/**
 * Compiles one self-contained C text for `-target bpf -mcpu=v3 -O2 -g -Wall -Wextra -nostdinc`. Warnings are messages
 * and do not fail. No input ends the process: a fatal error of LLVM, or a crash in it, is caught and is a message of
 * severity 3. Returns 0, -EINVAL where the text does not compile (see the messages), -ENOENT where the module or LLVM
 * is not installed (one message says so, with the package to install), or another -errno.
 */
int amon_frontend_compile(const char *name, const char *text, size_t length, struct amon_frontend_result *result);

void amon_frontend_result_free(struct amon_frontend_result *result);

#endif
