/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Times for bench/deploy.py, in a network of its own: reads lines and answers each with milliseconds.
 *
 *   live SPEC            from the text to packets: compile, load, attach
 *   replace SPEC BY      where SPEC runs, from the text of BY to its packets: compile, take the place
 */
#include <bpf/libbpf.h>

#include "probe.h"
#include "runtime/deployment.h"
#include "runtime/object.h"
#include "tests/kernel/network.h"

#define WATCHED "v0"

static double now(void)
{
	return bench_now(CLOCK_MONOTONIC);
}

/* The object with its export table inside, as `amonc build` makes it. */
static void seal(struct bench_probe *probe, void **object, size_t *size)
{
	const char *exports = amon_exports_encode(probe->arena, probe->exports);

	*size = probe->object.object_size;
	*object = malloc(*size);
	if (!*object)
		bench_die("seal", "out of memory");
	memcpy(*object, probe->object.object, *size);
	if (amon_object_add_section(object, size, AMON_EXPORTS_SECTION, exports, strlen(exports)))
		bench_die("seal", "no room for the export table");
}

struct live {
	struct bench_probe probe;
	struct amon_loaded *loaded;
	struct amon_attached *attached;
	double compiled, chosen, loading, attaching;
};

static void go_live(const char *name, struct live *live)
{
	struct amon_load_options load = { .replay = false };
	struct amon_failure failure = { .message = "" };
	char *spec = bench_read_file(name);
	double start = now();

	*live = (struct live){ 0 };
	bench_compile(name, spec, &live->probe);
	live->compiled = now() - start;
	start = now();
	if (amon_probe_choose(live->probe.exports, WATCHED, &load.choice, &failure))
		bench_die(name, failure.message);
	live->chosen = now() - start;
	start = now();
	if (amon_probe_load(live->probe.object.object, live->probe.object.object_size, live->probe.exports, &load,
	                    &live->loaded, &failure))
		bench_die(name, failure.message);
	live->loading = now() - start;
	start = now();
	if (amon_probe_attach(live->loaded, WATCHED, &live->attached, &failure))
		bench_die(name, failure.message);
	live->attaching = now() - start;
	free(spec);
}

static void measure_live(const char *name)
{
	struct live live;

	go_live(name, &live);
	amon_probe_detach(live.attached);
	amon_probe_unload(live.loaded);
	bench_free(&live.probe);
	printf("%f %f %f\n", live.compiled, live.loading, live.chosen + live.attaching);
}

/* Returns what taking the place took. */
static double take_place(const struct live *live, const struct bench_probe *by)
{
	struct amon_replacement replacement = { .exports = by->exports };
	struct amon_failure failure = { .message = "" };
	struct amon_deployment deployment;
	double start = now();

	seal((struct bench_probe *)by, (void **)&replacement.object, &replacement.object_size);
	if (amon_deployment_open(live->probe.exports->probe, &deployment, &failure) ||
	    amon_deployment_replace(&deployment, live->probe.exports, &replacement, &failure))
		bench_die("replace", failure.message);
	start = now() - start;
	if (amon_deployment_remove(&deployment, &failure))
		bench_die("remove", failure.message);
	amon_deployment_close(&deployment);
	amon_failure_clear(&failure);
	free((void *)replacement.object);
	return start;
}

static void measure_replace(const char *name, const char *by_name)
{
	struct amon_failure failure = { .message = "" };
	struct bench_probe by;
	struct live live;
	size_t size;
	void *object;
	char *spec = bench_read_file(by_name);
	double compiled;

	go_live(name, &live);
	seal(&live.probe, &object, &size);
	if (amon_deployment_create(live.loaded, live.attached, object, size, WATCHED, &failure))
		bench_die(name, failure.message);
	amon_probe_unload(live.loaded);
	compiled = now();
	bench_compile(by_name, spec, &by);
	compiled = now() - compiled;
	printf("%f %f\n", compiled, take_place(&live, &by));
	bench_free(&by);
	bench_free(&live.probe);
	free(object);
	free(spec);
}

int main(void)
{
	char line[8200], first[4096], second[4096];

	libbpf_set_print(NULL);
	if (network_new())
		bench_die("network", "cannot be made");
	while (fgets(line, sizeof(line), stdin)) {
		if (sscanf(line, "live %4095s", first) == 1)
			measure_live(first);
		else if (sscanf(line, "replace %4095s %4095s", first, second) == 2)
			measure_replace(first, second);
		else
			bench_die(line, "what is this?");
		fflush(stdout);
	}
	return 0;
}
