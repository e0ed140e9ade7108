/* SPDX-License-Identifier: Apache-2.0 */
#include "follow.h"

#include <errno.h>
#include <poll.h>
#include <time.h>
#include <unistd.h>

#define SECOND 1000000000ull

/* --- the signals that end a run */

static volatile sig_atomic_t interrupted;

static void interrupt(int number)
{
	interrupted = number;
}

/* They come through only where a run waits: for the time, or for who reads its output. Ignored ones stay so (nohup). */
void session_catch_signals(struct session *s)
{
	static const int numbers[] = { SIGINT, SIGTERM, SIGHUP };
	struct sigaction action = { .sa_handler = interrupt }, before;
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		sigaddset(&set, numbers[i]);
		sigaction(numbers[i], &action, &before);
		if (before.sa_handler == SIG_IGN)
			sigaction(numbers[i], &before, NULL);
	}
	sigprocmask(SIG_BLOCK, &set, &s->calm);
}

/* Writes with the signals let through, so that one ends a write that nobody reads. */
static int write_document(struct session *s, const struct amon_document *document)
{
	sigset_t blocked;
	int error;

	sigprocmask(SIG_SETMASK, &s->calm, &blocked);
	error = documents_write(&s->documents, document);
	sigprocmask(SIG_SETMASK, &blocked, NULL);
	return error;
}

/* --- reading */

static uint64_t now(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return t.tv_sec * SECOND + t.tv_nsec;
}

int session_read(struct session *s, struct amon_failure *failure)
{
	struct amon_collected *collected __attribute__((cleanup(amon_collected_cleanup))) = NULL;
	struct amon_document *document = NULL;
	struct amon_window window;
	int error = amon_reader_cut(s->reader, &collected, &window, failure);

	if (!error)
		error = amon_document(s->exports, collected, &window, &document);
	if (error)
		return error;
	document->interface = s->interface;
	document->ingress_tc = s->ingress_tc;
	document->hooks = amon_attached_hooks(s->attached, &document->hook_count);
	error = write_document(s, document);
	amon_document_free(document);
	s->read++;
	return error ? error : amon_reader_done(s->reader, failure);
}

/* The next multiple of the interval on the wall clock. */
static uint64_t next_read(const struct session *s)
{
	return (now(CLOCK_REALTIME) / s->interval + 1) * s->interval;
}

/* Waits for a time of the wall clock, looking after the interface. 1: interrupted; 0; or -ENODEV. */
static int wait_until(const struct session *s, uint64_t time)
{
	while (!interrupted) {
		uint64_t here = now(CLOCK_REALTIME), left = time > here ? time - here : 0;
		struct timespec timeout = { 0, left < SECOND / 5 ? (long)left : (long)(SECOND / 5) };

		if (!left)
			return 0;
		ppoll(NULL, 0, &timeout, &s->calm);
		if (amon_attached_check(s->attached))
			return -ENODEV;
	}
	return 1;
}

int session_follow(struct session *s, struct amon_failure *failure)
{
	int waited = 0, error = 0;

	amon_collected_keep_memory();
	while (!error && !waited && (!s->options->count || s->read < s->options->count)) {
		waited = wait_until(s, next_read(s));
		if (waited == -ENODEV)
			return amon_fail(failure, -ENODEV, "%s is gone; the probe went with it", s->interface);
		s->reader->last = s->ends && (waited || s->read + 1 == s->options->count);
		error = session_read(s, failure);
	}
	return error;
}

uint64_t session_interval(const struct options *options, const struct amon_exports *exports)
{
	return options->interval ? options->interval : exports->window ? exports->window : SECOND;
}
