/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AMON_GUARD_H
#define AMON_GUARD_H

/*
 * Runs code that may crash, and survives it: a fatal signal, abort() or a stack overflow ends only that code. What it
 * had allocated is lost, its stack included, and what it had locked stays locked. For the compiler; nothing else should
 * need it.
 */

/**
 * Calls run(data) on a thread and stack of its own and waits for it, at most a minute and while the process grows by
 * less than 512 MiB. The signal handlers that this takes are put back before it returns; signals of other threads
 * meanwhile go where they went before. One call at a time in a process. Returns 0, the number of the signal that ended
 * run(), -ETIMEDOUT or -EDQUOT where a limit did, or another negative errno where it was never started.
 */
int amon_guard_run(void (*run)(void *), void *data);

#endif
