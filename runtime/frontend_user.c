/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "runtime/frontend_internal.h"
#include "runtime/sandbox.h"

#define MEMORY_LIMIT (1UL << 30)
#define CPU_LIMIT    20 /* seconds */
#define TIME_LIMIT   60 /* seconds: a machine may be busy */
#define SENT_LIMIT   (128UL << 20)

/* What the compiling process sends: a head, and two texts behind it. */
enum sent_kind { SENT_MESSAGE, SENT_PLACE, SENT_OBJECT };

struct sent {
	enum sent_kind kind;
	uint32_t line, column;
	int severity;
	size_t lengths[2];
};

/* --- the process that compiles */

static void send_all(int fd, const void *bytes, size_t length)
{
	while (length) {
		ssize_t written = write(fd, bytes, length);

		if (written < 0)
			_exit(EXIT_FAILURE);
		bytes = (const char *)bytes + written;
		length -= (size_t)written;
	}
}

static void send_one(int fd, const struct sent *sent, const void *first, const void *second)
{
	send_all(fd, sent, sizeof(*sent));
	send_all(fd, first, sent->lengths[0]);
	send_all(fd, second, sent->lengths[1]);
}

static void send_message(void *data, const char *file, uint32_t line, uint32_t column, int severity, const char *text)
{
	const struct sent sent = { SENT_MESSAGE, line, column, severity, { strlen(file), strlen(text) } };

	send_one(*(int *)data, &sent, file, text);
}

static void send_place(void *data, const char *name, uint32_t line, uint32_t column)
{
	const struct sent sent = { SENT_PLACE, line, column, 0, { strlen(name), 0 } };

	send_one(*(int *)data, &sent, name, "");
}

/* A compiler that crashes may print what it likes. */
static void be_quiet(void)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	for (int fd = 0; fd <= 2 && null >= 0; fd++)
		dup2(null, fd);
}

static void compile_apart(const struct amon_frontend_user *user, amon_clang_compile_fn *compile, int fd)
{
	const char *const readable[] = { user->directory, AMON_CLANG_INCLUDE, AMON_SYSTEM_INCLUDE };
	const struct amon_sandbox sandbox = { readable, 3, MEMORY_LIMIT, CPU_LIMIT };
	struct amon_clang_job job = {
		.name = user->name,
		.text = user->text,
		.length = user->length,
		.report = send_message,
		.data = &fd,
		.entry = user->entry,
		.place = send_place,
	};
	int error;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	be_quiet();
	error = amon_sandbox_enter(&sandbox);
	if (error)
		_exit(-error);
	compile(&job);
	if (job.object)
		send_one(fd, &(struct sent){ SENT_OBJECT, 0, 0, 0, { job.object_size, 0 } }, job.object, "");
	_exit(EXIT_SUCCESS);
}

/* --- the process that waits for it */

struct received {
	char *bytes;
	size_t length, room;
};

static long seconds_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec;
}

static bool make_room(struct received *received)
{
	size_t room = received->room ? 2 * received->room : 1 << 16;
	char *larger;

	if (received->length < received->room)
		return true;
	larger = room > SENT_LIMIT ? NULL : realloc(received->bytes, room);
	if (larger) {
		received->bytes = larger;
		received->room = room;
	}
	return larger;
}

/* Reads until the process has closed its end. 0, -ETIMEDOUT, or another -errno. */
static int receive(int fd, struct received *received)
{
	long end = seconds_now() + TIME_LIMIT;

	for (;;) {
		struct pollfd poll_for = { .fd = fd, .events = POLLIN };
		long left = end - seconds_now();
		int ready = left > 0 ? poll(&poll_for, 1, (int)left * 1000) : 0;
		ssize_t count;

		if (!ready)
			return -ETIMEDOUT;
		if (!make_room(received))
			return -ENOMEM;
		count = ready < 0 ? -1
		                  : read(fd, received->bytes + received->length, received->room - received->length);
		if (count < 0 && errno != EINTR)
			return -errno;
		if (!count)
			return 0;
		if (count > 0)
			received->length += (size_t)count;
	}
}

static void add_place(struct amon_frontend_result *result, const struct sent *sent, char *name)
{
	struct amon_frontend_place *places =
	        reallocarray(result->places, result->place_count + 1, sizeof(*result->places));

	if (!places || !name) {
		free(name);
		return;
	}
	result->places = places;
	places[result->place_count++] = (struct amon_frontend_place){ name, sent->line, sent->column };
}

static void take_object(struct amon_frontend_result *result, const struct sent *sent, const char *bytes)
{
	free(result->object);
	result->object = malloc(sent->lengths[0]);
	if (!result->object)
		return;
	memcpy(result->object, bytes, sent->lengths[0]);
	result->object_size = sent->lengths[0];
}

static void take_message(struct frontend_task *task, const struct sent *sent, const char *bytes)
{
	char *file = strndup(bytes, sent->lengths[0]), *text = strndup(bytes + sent->lengths[0], sent->lengths[1]);

	if (file && text)
		frontend_report(task, file, sent->line, sent->column, sent->severity, text);
	free(file);
	free(text);
}

/* What was cut off where the process died is left out. */
static void take_all(struct frontend_task *task, const struct received *received)
{
	size_t at = 0;
	struct sent sent;

	while (received->length - at >= sizeof(sent)) {
		const char *bytes = received->bytes + at + sizeof(sent);
		size_t left = received->length - at - sizeof(sent);

		memcpy(&sent, received->bytes + at, sizeof(sent));
		if (sent.lengths[0] > left || sent.lengths[1] > left - sent.lengths[0])
			return;
		if (sent.kind == SENT_MESSAGE)
			take_message(task, &sent, bytes);
		else if (sent.kind == SENT_PLACE)
			add_place(task->result, &sent, strndup(bytes, sent.lengths[0]));
		else
			take_object(task->result, &sent, bytes);
		at += sizeof(sent) + sent.lengths[0] + sent.lengths[1];
	}
}

static bool was_fatal(const struct amon_frontend_result *result)
{
	for (size_t i = 0; i < result->message_count; i++)
		if (result->messages[i].severity == 3)
			return true;
	return false;
}

static int give_up(struct frontend_task *task, int status, int error)
{
	int signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;

	if (error == -ETIMEDOUT || signal == SIGXCPU)
		frontend_fail(task, "the compiler took too long");
	else if (signal && !was_fatal(task->result))
		frontend_fail(task, "the compiler crashed (%s)", strsignal(signal));
	else if (!signal && WEXITSTATUS(status) == EOPNOTSUPP) {
		frontend_fail(task, "this kernel has no Landlock, which keeps the compiler from reading other files");
		return -EOPNOTSUPP;
	} else if (!signal)
		frontend_fail(task, "the compiler cannot be shut in: %s", strerror(WEXITSTATUS(status)));
	return -EINVAL;
}

static int wait_for(struct frontend_task *task, pid_t child, int fd)
{
	struct received received = { NULL };
	int error = receive(fd, &received), status = 0;

	if (error)
		kill(child, SIGKILL);
	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	take_all(task, &received);
	free(received.bytes);
	if (error || status) {
		free(task->result->object);
		task->result->object = NULL;
		return give_up(task, status, error);
	}
	return task->result->object ? 0 : -EINVAL;
}

int amon_frontend_compile_user(const struct amon_frontend_user *user, struct amon_frontend_result *result)
{
	struct frontend_task task = { .job = { .name = user->name }, .result = result };
	amon_clang_compile_fn *compile;
	int ends[2], error;
	pid_t child;

	memset(result, 0, sizeof(*result));
	compile = frontend_module(&task);
	if (!compile)
		return -ENOENT;
	if (pipe2(ends, O_CLOEXEC))
		return -errno;
	child = fork();
	if (!child)
		compile_apart(user, compile, ends[1]);
	close(ends[1]);
	error = child < 0 ? -errno : wait_for(&task, child, ends[0]);
	close(ends[0]);
	return error;
}
