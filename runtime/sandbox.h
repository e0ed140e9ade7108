/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AMON_SANDBOX_H
#define AMON_SANDBOX_H

#include <stddef.h>

/*
 * What a process gives up before it works on what it does not trust: files, the network, other processes, and more
 * memory and time than that takes. There is no way back. Landlock says which files may be read, seccomp which system
 * calls are made at all; Linux 6.1 has both, and neither needs a privilege.
 */
struct amon_sandbox {
	const char *const *readable; /* directories, with what is in them; one that is not there does no harm */
	size_t readable_count;
	size_t memory;        /* bytes, of the whole address space */
	unsigned int seconds; /* of a CPU's time; then SIGXCPU ends the process */
};

/**
 * Enters it. What is open stays open, and can be written to. A system call that is not allowed fails with EPERM, a file
 * that is not with EACCES. 0, -EOPNOTSUPP where the kernel has no Landlock, or another -errno; then the process has
 * given up some of it, and should end.
 */
int amon_sandbox_enter(const struct amon_sandbox *sandbox);

#endif
