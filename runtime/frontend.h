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

/** Where a user's file declares something: a variable, a function, or STRUCT.MEMBER (STRUCT may have no name). */
struct amon_frontend_place {
	char *name;
	uint32_t line, column;
};

/** What a compilation gives; all of it is the caller's, to be released by amon_frontend_result_free(). */
struct amon_frontend_result {
	void *object; /* ELF, with BTF and .BTF.ext instead of DWARF; NULL on failure */
	size_t object_size;
	struct amon_frontend_message *messages;
	size_t message_count;
	struct amon_frontend_place *places; /* of a user's file */
	size_t place_count;
};

/**
 * Compiles one self-contained C text for `-target bpf -mcpu=v3 -O2 -g -Wall -Wextra -nostdinc`. Warnings are messages
 * and do not fail. No input ends the process: a fatal error of LLVM, or a crash in it, is caught and is a message of
 * severity 3. Returns 0, -EINVAL where the text does not compile (see the messages), -ENOENT where the module or LLVM
 * is not installed (one message says so, with the package to install), or another -errno.
 */
int amon_frontend_compile(const char *name, const char *text, size_t length, struct amon_frontend_result *result);

/** A user's file of C, which may include what lies beside it and what is installed for BPF. */
struct amon_frontend_user {
	const char *name; /* its path, as messages shall name it */
	const char *text;
	size_t length;
	const char *directory; /* that it lies in */
	const char *entry;     /* what its amon_packet() is called in the object */
};

/**
 * Compiles it as clang does for `-target bpf -mcpu=v3 -O2 -g -Wall -Wextra`, in a process of its own, which reads no
 * file but in `directory` and the include path, has no network, and ends after 20 seconds of a CPU or with more than
 * 1 GiB (sandbox.h). So no input ends this process, or tells of other files. As amon_frontend_compile(), or -EOPNOTSUPP
 * where the kernel cannot keep it from reading them.
 */
int amon_frontend_compile_user(const struct amon_frontend_user *user, struct amon_frontend_result *result);

void amon_frontend_result_free(struct amon_frontend_result *result);

#endif
