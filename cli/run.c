/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli.h"
#include "runtime/kernel.h"
#include "runtime/reader.h"

#define SECOND 1000000000ull

struct session {
	const struct options *options;
	const struct amon_exports *exports;
	const struct amon_loaded *loaded;
	const struct amon_attached *attached;
	struct documents documents;
	uint64_t interval, read; /* so many times */
	sigset_t calm; /* the signals that are blocked while nothing is to be left half done: none of those that end a
	                  run */
};

/* --- the signals that end a run */

static volatile sig_atomic_t interrupted;

static void interrupt(int number)
{
	interrupted = number;
}

/* They come through only where a run waits: for the time, or for who reads its output. Ignored ones stay so (nohup). */
static void catch_signals(struct session *s)
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

static int read_once(struct session *s, struct amon_failure *failure)
{
	struct amon_collected *collected __attribute__((cleanup(amon_collected_cleanup))) = NULL;
	struct amon_document *document = NULL;
	struct amon_window window;
	int error = amon_reader_cut(s->loaded->reader, &collected, &window, failure);

	if (!error)
		error = amon_document(s->exports, collected, &window, &document);
	if (error)
		return error;
	document->interface = s->options->interface;
	document->hooks = amon_attached_hooks(s->attached, &document->hook_count);
	error = write_document(s, document);
	amon_document_free(document);
	s->read++;
	return error ? error : amon_reader_done(s->loaded->reader, failure);
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

static int read_loop(struct session *s, struct amon_failure *failure)
{
	int waited = 0, error = 0;

	while (!error && !waited && (!s->options->count || s->read < s->options->count)) {
		waited = wait_until(s, next_read(s));
		if (waited == -ENODEV)
			return amon_fail(failure, -ENODEV, "%s is gone; the probe went with it", s->options->interface);
		error = read_once(s, failure);
	}
	return error;
}

/* Tells what was chosen, and what it changes for others. */
static void tell_hooks(const struct amon_attached *attached, const struct session *s)
{
	static const char *const names[AMON_HOOK_COUNT] = { "XDP", "TC ingress", "TC egress" };
	uint32_t count;
	const struct amon_attached_hook *hooks = amon_attached_hooks(attached, &count);
	bool generic = false;

	if (s->options->quiet)
		return;
	fprintf(stderr, "amonc: %s on %s:", s->exports->probe, s->options->interface);
	for (uint32_t i = 0; i < count; i++) {
		bool is_generic = hooks[i].kind == AMON_HOOK_XDP && hooks[i].mode == AMON_XDP_GENERIC;

		fprintf(stderr, "%s %s%s", i ? "," : "",
		        is_generic                       ? "generic "
		        : hooks[i].kind == AMON_HOOK_XDP ? "native "
		                                         : "",
		        names[hooks[i].kind]);
		generic |= is_generic;
	}
	fputc('\n', stderr);
	if (generic)
		fprintf(stderr,
		        "amonc: warning: generic XDP turns GRO off on %s while the probe is attached, and counts a "
		        "super-packet once; `ingress tc` does neither\n",
		        s->options->interface);
}

/* Everything is attached from here on, and nothing is when this returns. */
static int attached_session(struct session *s, struct amon_loaded *loaded, struct amon_failure *failure)
{
	struct amon_attached *attached = NULL;
	int error;

	catch_signals(s);
	error = amon_probe_attach(loaded, s->options->interface, &attached, failure);
	if (!error) {
		tell_hooks(attached, s);
		s->attached = attached;
		error = read_loop(s, failure);
		amon_probe_detach(attached);
	}
	return error;
}

static int run(const struct options *options, const struct compilation *c)
{
	struct amon_loaded *loaded __attribute__((cleanup(amon_probe_cleanup))) = NULL;
	struct amon_load_options load = { .replay = false };
	struct amon_failure failure = { .message = "" };
	struct session s = { .options = options, .exports = c->exports };
	int error, status;

	status = documents_open(&s.documents, options, c->exports, DOCUMENTS_LIVE);
	if (status)
		return status;
	s.interval = options->interval ? options->interval : c->exports->window ? c->exports->window : SECOND;
	load.announces = s.interval < SECOND;
	error = amon_kernel_check(&failure);
	if (!error)
		error = amon_probe_choose(c->exports, options->interface, &load.choice, &failure);
	if (!error)
		error = load_probe(options, c, &load, &loaded, &failure);
	s.loaded = loaded;
	if (!error && !options->dry_run)
		error = attached_session(&s, loaded, &failure);
	status = documents_close(&s.documents);
	return error && !s.documents.error ? report_failure(options, c, error, &failure) : status;
}

int command_run(struct options *options)
{
	const char *spec = take_spec(options);
	struct compilation c;
	int status;

	if (!spec || options->argument_count)
		return complain(EXIT_USAGE, "write amonc run SPEC -i IFACE");
	if (!options->interface)
		return complain(EXIT_USAGE, "run on which interface? Write -i IFACE");
	if (!format_exists(options))
		return EXIT_USAGE;
	status = compile_object(&c, options, spec);
	if (!status)
		status = run(options, &c);
	compilation_free(&c);
	return status;
}
