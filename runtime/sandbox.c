/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__x86_64__)
#define ARCHITECTURE AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCHITECTURE AUDIT_ARCH_AARCH64
#endif

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

/* --- limits */

static int limit(int resource, rlim_t most)
{
	const struct rlimit both = { most, most };

	return setrlimit(resource, &both) ? -errno : 0;
}

static int limit_all(const struct amon_sandbox *sandbox)
{
	int error = limit(RLIMIT_CORE, 0);

#ifndef __SANITIZE_ADDRESS__ /* which reserves terabytes */
	if (!error)
		error = limit(RLIMIT_AS, sandbox->memory);
#endif
	if (!error)
		error = limit(RLIMIT_FSIZE, 0);
	return error ? error : limit(RLIMIT_CPU, sandbox->seconds);
}

/* --- files: all that Landlock knows of is refused, but for reading in some directories */

#define READING (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
/* The first version's; its bits have no gaps. */
#define REFUSED ((LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1)

static int allow_reading(int rules, const char *directory)
{
	struct landlock_path_beneath_attr beneath = { .allowed_access = READING };
	int error;

	beneath.parent_fd = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (beneath.parent_fd < 0)
		return errno == ENOENT ? 0 : -errno;
	error = syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &beneath, 0) ? -errno : 0;
	close(beneath.parent_fd);
	return error;
}

static int refuse_files(const struct amon_sandbox *sandbox)
{
	const struct landlock_ruleset_attr refused = { .handled_access_fs = REFUSED };
	int rules = (int)syscall(SYS_landlock_create_ruleset, &refused, sizeof(refused), 0), error = 0;

	if (rules < 0)
		return errno == ENOSYS ? -EOPNOTSUPP : -errno;
	for (size_t i = 0; i < sandbox->readable_count && !error; i++)
		error = allow_reading(rules, sandbox->readable[i]);
	if (!error && syscall(SYS_landlock_restrict_self, rules, 0))
		error = -errno;
	close(rules);
	return error;
}

/* --- system calls */

/* What a compiler needs, which reads files, takes memory and writes to what is open. No other process, no thread. */
static const int allowed[] = {
	SYS_read,
	SYS_pread64,
	SYS_readv,
	SYS_write,
	SYS_writev,
	SYS_close,
	SYS_fstat,
	SYS_lseek,
	SYS_openat,
	SYS_newfstatat,
	SYS_statx,
	SYS_readlinkat,
	SYS_getdents64,
	SYS_faccessat,
	SYS_faccessat2,
	SYS_getcwd,
	SYS_statfs,
	SYS_fstatfs,
	SYS_mmap,
	SYS_munmap,
	SYS_mremap,
	SYS_mprotect,
	SYS_madvise,
	SYS_brk,
	SYS_futex,
	SYS_sched_yield,
	SYS_getrandom,
	SYS_sysinfo,
	SYS_uname,
	SYS_getrusage,
	SYS_getpid,
	SYS_gettid,
	SYS_rt_sigaction,
	SYS_rt_sigprocmask,
	SYS_rt_sigreturn,
	SYS_sigaltstack,
	SYS_clock_gettime,
	SYS_gettimeofday,
	SYS_exit,
	SYS_exit_group,
	SYS_sched_getaffinity,
	SYS_restart_syscall,
#ifdef SYS_open
	SYS_open,
#endif
#ifdef SYS_stat
	SYS_stat,
#endif
#ifdef SYS_lstat
	SYS_lstat,
#endif
#ifdef SYS_access
	SYS_access,
#endif
#ifdef SYS_readlink
	SYS_readlink,
#endif
};

static int refuse_calls(void)
{
	/* another architecture's calls, x32's too, have numbers of their own */
	struct sock_filter filter[2 * COUNT_OF(allowed) + 5] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ARCHITECTURE, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
	};
	struct sock_fprog program = { .filter = filter };
	unsigned short count = 4;

	for (size_t i = 0; i < COUNT_OF(allowed); i++) {
		filter[count++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)allowed[i], 0, 1);
		filter[count++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	}
	filter[count++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM);
	program.len = count;
	return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) ? -errno : 0;
}

int amon_sandbox_enter(const struct amon_sandbox *sandbox)
{
	int error = prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ? -errno : limit_all(sandbox);

	if (!error)
		error = refuse_files(sandbox);
	return error ? error : refuse_calls();
}
