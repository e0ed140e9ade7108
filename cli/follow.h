/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AMON_FOLLOW_H
#define AMON_FOLLOW_H

#include <signal.h>

#include "cli.h"
#include "runtime/reader.h"

/** Reads of a probe that runs, one after the other: what `run` and `read` have in common. */
struct session {
	const struct options *options;
	const struct amon_exports *exports;
	struct amon_reader *reader;
	const struct amon_attached *attached;
	const char *interface;
	bool ingress_tc;
	bool ends; /* the probe ends with the last read */
	struct documents documents;
	uint64_t interval, read; /* so many times */
	sigset_t calm; /* the signals that are blocked while nothing is to be left half done: none of those that end a
	                  run */
};

/** From here on SIGINT, SIGTERM and SIGHUP come through only where the session waits. */
void session_catch_signals(struct session *session);
/** Cuts a window, writes it, and is done with it. 0 or -errno. */
int session_read(struct session *session, struct amon_failure *failure);
/** Reads at multiples of the interval on the wall clock, --count times or until a signal comes. */
int session_follow(struct session *session, struct amon_failure *failure);
/** The interval asked for, or the probe's own window, or a second. */
uint64_t session_interval(const struct options *options, const struct amon_exports *exports);

#endif
