/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/guard.h"

#include <errno.h>
#include <link.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <time.h>
#include <ucontext.h>

/* Below 8 MiB less 256 KiB: beyond that clang would go on on further threads, which nothing guards. */
#define STACK_SIZE  (7UL << 20)
#define MARGIN_SIZE (1UL << 20)
#define SIGNAL_SIZE (64UL << 10)
#define PAGE_SIZE   4096UL
#define SIGNALS     (sizeof(signals) / sizeof(signals[0]))

#define TICK_MS    20
#define TIME_LIMIT (60 * 1000)
#define SIZE_LIMIT (512L << 20)

/* What ends run() at a limit. Not SIGABRT, which abort() too sends from within libc. */
#define LIMIT_SIGNAL SIGTRAP

static const int signals[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP, SIGABRT };

struct range {
	uintptr_t start, end;
};

/* The memory is, from below: the margin, which is opened only as said at grow(); the stack; the stack for signals. */
struct guard {
	void (*run)(void *);
	void *data;
	char *memory;
	struct range margin;
	struct range libc, linker; /* may hold a lock at any instruction */
	sigjmp_buf out;
	int signal;
	int limit; /* 0, or the errno of the one that was reached */
};

static struct sigaction before[SIGNALS];
static _Thread_local struct guard *guarded;

static bool within(struct range range, uintptr_t address)
{
	return address >= range.start && address < range.end;
}

static uintptr_t program_counter(const ucontext_t *context)
{
#if defined(__x86_64__)
	return (uintptr_t)context->uc_mcontext.gregs[REG_RIP];
#elif defined(__aarch64__)
	return (uintptr_t)context->uc_mcontext.pc;
#else
	(void)context;
	return 0;
#endif
}

/*
 * The stack ran out in the middle of malloc, say: leaving now would leave its lock taken for ever. Give it another
 * page; the overflow will be met again outside.
 */
static bool grow(const struct guard *guard, uintptr_t address)
{
	uintptr_t page = address & ~(PAGE_SIZE - 1);

	if (!within(guard->margin, address))
		return false;
	return !mprotect((void *)page, guard->margin.end - page, PROT_READ | PROT_WRITE);
}

/* Another thread's: the handler before ours takes it, at once where the instruction is repeated. */
static void pass_on(int signal, const siginfo_t *info)
{
	for (size_t i = 0; i < SIGNALS; i++)
		if (signals[i] == signal)
			sigaction(signal, &before[i], NULL);
	if (info->si_code <= 0)
		raise(signal);
}

static bool may_hold_lock(const struct guard *guard, const ucontext_t *context)
{
	uintptr_t counter = program_counter(context);

	return within(guard->libc, counter) || within(guard->linker, counter);
}

static void caught(int signal, siginfo_t *info, void *context)
{
	struct guard *guard = guarded;

	if (!guard) {
		pass_on(signal, info);
		return;
	}
	if (may_hold_lock(guard, context)) {
		if (signal == SIGSEGV && grow(guard, (uintptr_t)info->si_addr))
			return;
		if (signal == LIMIT_SIGNAL && info->si_code == SI_TKILL)
			return; /* comes again */
	}
	guard->signal = signal;
	siglongjmp(guard->out, 1);
}

static void *guarded_thread(void *argument)
{
	struct guard *guard = argument;
	stack_t stack = { .ss_sp = guard->memory + MARGIN_SIZE + STACK_SIZE, .ss_size = SIGNAL_SIZE }, old;

	sigaltstack(&stack, &old);
	guarded = guard;
	if (!sigsetjmp(guard->out, 1))
		guard->run(guard->data);
	guarded = NULL;
	sigaltstack(&old, NULL);
	return NULL;
}

/* Signals that are sent to the process are for its own threads. */
static int start(pthread_t *thread, const pthread_attr_t *attributes, struct guard *guard)
{
	sigset_t others, old;
	int error;

	sigfillset(&others);
	for (size_t i = 0; i < SIGNALS; i++)
		sigdelset(&others, signals[i]);
	pthread_sigmask(SIG_SETMASK, &others, &old);
	error = pthread_create(thread, attributes, guarded_thread, guard);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return -error;
}

static long resident(void)
{
	long pages = 0;
	FILE *file = fopen("/proc/self/statm", "re");

	if (!file)
		return 0;
	if (fscanf(file, "%*d %ld", &pages) != 1)
		pages = 0;
	fclose(file);
	return pages * (long)PAGE_SIZE;
}

/* Waits for the thread; at a limit asks it to leave, again and again until it is where it can. */
static void wait_for(pthread_t thread, struct guard *guard)
{
	long size = resident();
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	for (int ms = 0;; ms += TICK_MS) {
		until.tv_nsec += TICK_MS * 1000000L;
		until.tv_sec += until.tv_nsec / 1000000000L;
		until.tv_nsec %= 1000000000L;
		if (pthread_clockjoin_np(thread, NULL, CLOCK_MONOTONIC, &until) != ETIMEDOUT)
			return;
		if (!guard->limit)
			guard->limit = ms > TIME_LIMIT ? ETIMEDOUT : resident() - size > SIZE_LIMIT ? EDQUOT : 0;
		if (guard->limit)
			pthread_kill(thread, LIMIT_SIGNAL);
	}
}

static int run_on_thread(struct guard *guard)
{
	struct sigaction action = { .sa_sigaction = caught, .sa_flags = SA_SIGINFO | SA_ONSTACK };
	pthread_attr_t attributes;
	pthread_t thread;
	int error;

	sigemptyset(&action.sa_mask);
	pthread_attr_init(&attributes);
	pthread_attr_setstack(&attributes, guard->memory + MARGIN_SIZE, STACK_SIZE);
	for (size_t i = 0; i < SIGNALS; i++)
		sigaction(signals[i], &action, &before[i]);
	error = start(&thread, &attributes, guard);
	if (!error)
		wait_for(thread, guard);
	for (size_t i = 0; i < SIGNALS; i++)
		sigaction(signals[i], &before[i], NULL);
	pthread_attr_destroy(&attributes);
	if (error)
		return error;
	return guard->signal && guard->limit ? -guard->limit : guard->signal;
}

struct search {
	uintptr_t address;
	struct range range;
};

/* Narrows search->range to the loaded object that search->address lies in. */
static int find_object(struct dl_phdr_info *info, size_t size, void *data)
{
	struct search *search = data;
	struct range range = { UINTPTR_MAX, 0 };

	(void)size;
	for (int i = 0; i < info->dlpi_phnum; i++) {
		uintptr_t start = info->dlpi_addr + info->dlpi_phdr[i].p_vaddr;

		if (info->dlpi_phdr[i].p_type != PT_LOAD)
			continue;
		range.start = start < range.start ? start : range.start;
		range.end =
		        start + info->dlpi_phdr[i].p_memsz > range.end ? start + info->dlpi_phdr[i].p_memsz : range.end;
	}
	if (!within(range, search->address))
		return 0;
	search->range = range;
	return 1;
}

static struct range object_of(uintptr_t address)
{
	struct search search = { .address = address };

	dl_iterate_phdr(find_object, &search);
	return search.range;
}

int amon_guard_run(void (*run)(void *), void *data)
{
	size_t size = MARGIN_SIZE + STACK_SIZE + SIGNAL_SIZE;
	struct guard guard = { .run = run, .data = data };
	int error;

	guard.memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (guard.memory == MAP_FAILED)
		return -errno;
	guard.margin = (struct range){ (uintptr_t)guard.memory, (uintptr_t)guard.memory + MARGIN_SIZE };
	guard.libc = object_of((uintptr_t)malloc);
	guard.linker = object_of(getauxval(AT_BASE));
	error = mprotect(guard.memory, MARGIN_SIZE, PROT_NONE) ? -errno : run_on_thread(&guard);
	/* What crashed may have left pointers into its stack, in lists of the whole process. */
	if (!guard.signal)
		munmap(guard.memory, size);
	return error;
}
