/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "follow.h"
#include "runtime/kernel.h"

#define SECOND 1000000000ull

/* Tells what was chosen, and what it changes for others. */
void tell_hooks(const struct options *options, const struct amon_attached *attached, const char *probe)
{
	static const char *const names[AMON_HOOK_COUNT] = { "XDP", "TC ingress", "TC egress" };
	uint32_t count;
	const struct amon_attached_hook *hooks = amon_attached_hooks(attached, &count);
	bool generic = false;

	if (options->quiet)
		return;
	fprintf(stderr, "amonc: %s on %s:", probe, options->interface);
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
		        options->interface);
}

/* Everything is attached from here on, and nothing is when this returns. */
static int attached_session(struct session *s, struct amon_loaded *loaded, struct amon_failure *failure)
{
	struct amon_attached *attached = NULL;
	int error;

	session_catch_signals(s);
	error = amon_probe_attach(loaded, s->options->interface, &attached, failure);
	if (!error) {
		tell_hooks(s->options, attached, s->exports->probe);
		s->attached = attached;
		error = session_follow(s, failure);
		amon_probe_detach(attached);
	}
	return error;
}

static int run(const struct options *options, const struct compilation *c)
{
	struct amon_loaded *loaded __attribute__((cleanup(amon_probe_cleanup))) = NULL;
	struct amon_load_options load = { .replay = false };
	struct amon_failure failure = { .message = "" };
	struct session s = { .options = options, .exports = c->exports, .interface = options->interface, .ends = true };
	int error, status;

	status = documents_open(&s.documents, options, c->exports, DOCUMENTS_LIVE);
	if (status)
		return status;
	s.interval = session_interval(options, c->exports);
	load.announces = s.interval < SECOND;
	error = amon_kernel_check(&failure);
	if (!error)
		error = amon_probe_choose(c->exports, options->interface, &load.choice, &failure);
	if (!error)
		error = load_probe(options, c, &load, &loaded, &failure);
	if (!error) {
		s.reader = loaded->reader;
		s.ingress_tc = loaded->ingress_tc;
	}
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
