/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Times one step at a time for bench/compile.py: reads lines "STEP FILE" and answers each with milliseconds. Steps:
 * cold and warm (C to an object in a process that has compiled nothing, or something, yet), clang (the program), load.
 */
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "runtime/frontend.h"

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec * 1e3 + (double)time.tv_nsec / 1e6;
}

static void die(const char *what, const char *name)
{
	fprintf(stderr, "%s: %s\n", name, what);
	exit(1);
}

static char *read_file(const char *name, size_t *size)
{
	int fd = open(name, O_RDONLY | O_CLOEXEC);
	struct stat status;
	char *text;

	if (fd < 0 || fstat(fd, &status))
		die(strerror(errno), name);
	text = malloc((size_t)status.st_size + 1);
	if (!text || read(fd, text, (size_t)status.st_size) != status.st_size)
		die("cannot be read", name);
	close(fd);
	*size = (size_t)status.st_size;
	return text;
}

static double compile(const char *name, struct amon_frontend_result *result)
{
	size_t size;
	char *text = read_file(name, &size);
	double start = now(), took;

	if (amon_frontend_compile(name, text, size, result))
		die(result->message_count ? result->messages[0].text : "does not compile", name);
	took = now() - start;
	free(text);
	return took;
}

static double warm(const char *name)
{
	struct amon_frontend_result result;
	double took = compile(name, &result);

	amon_frontend_result_free(&result);
	return took;
}

static double load(const char *name)
{
	struct amon_frontend_result result;
	struct bpf_object *object;
	double start, took;

	compile(name, &result);
	start = now();
	object = bpf_object__open_mem(result.object, result.object_size, NULL);
	if (!object || bpf_object__load(object))
		die("does not load", name);
	took = now() - start;
	bpf_object__close(object);
	amon_frontend_result_free(&result);
	return took;
}

static double clang(const char *name)
{
	char *arguments[] = { "clang-19", "-target",   "bpf", "-mcpu=v3",   "-O2", "-g",        "-Wall",
		              "-Wextra",  "-nostdinc", "-c",  (char *)name, "-o",  "/dev/null", NULL };
	double start = now();
	int status;
	pid_t child;

	if (posix_spawnp(&child, arguments[0], NULL, NULL, arguments, environ) || waitpid(child, &status, 0) != child ||
	    status)
		die("clang-19 failed", name);
	return now() - start;
}

/* In a child, which must not have opened the module yet: so the parent asks this before anything warm. */
static double cold(const char *name)
{
	int ends[2], status;
	double took = 0;
	pid_t child;

	if (pipe(ends))
		die(strerror(errno), name);
	child = fork();
	if (!child) {
		took = warm(name);
		_exit(write(ends[1], &took, sizeof(took)) != sizeof(took));
	}
	if (waitpid(child, &status, 0) != child || status || read(ends[0], &took, sizeof(took)) != sizeof(took))
		die("the child failed", name);
	close(ends[0]);
	close(ends[1]);
	return took;
}

int main(void)
{
	const struct {
		const char *name;
		double (*run)(const char *name);
	} steps[] = { { "cold", cold }, { "warm", warm }, { "load", load }, { "clang", clang } };
	char step[16], name[4096];

	libbpf_set_print(NULL);
	while (scanf("%15s %4095s", step, name) == 2)
		for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++)
			if (!strcmp(step, steps[i].name)) {
				printf("%.3f\n", steps[i].run(name));
				fflush(stdout);
			}
	return 0;
}
