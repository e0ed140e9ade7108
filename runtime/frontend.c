/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/frontend.h"

#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runtime/frontend_internal.h"
#include "runtime/guard.h"

#define MODULE     "amon-clang.so"
#define TEXT_LIMIT (64U << 20) /* clang counts positions in 31 bits, expanded macros included */

/* One compilation at a time: LLVM's handlers and the guard's belong to the whole process. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static amon_clang_compile_fn *module_compile;
static amon_clang_recover_fn *module_recover;

void frontend_report(void *data, const char *file, uint32_t line, uint32_t column, int severity, const char *text)
{
	struct amon_frontend_result *result = ((struct frontend_task *)data)->result;
	struct amon_frontend_message *message;

	message = reallocarray(result->messages, result->message_count + 1, sizeof(*message));
	if (!message)
		return;
	result->messages = message;
	message += result->message_count;
	*message = (struct amon_frontend_message){ strdup(file), line, column, severity, strdup(text) };
	if (message->file && message->text) {
		result->message_count++;
		return;
	}
	free(message->file);
	free(message->text);
}

void frontend_fail(struct frontend_task *task, const char *format, ...)
{
	char text[PATH_MAX + 256];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	frontend_report(task, task->job.name, 0, 0, 3, text);
}

static void beside_executable(char path[PATH_MAX])
{
	ssize_t length = readlink("/proc/self/exe", path, PATH_MAX - sizeof(MODULE));

	if (length < 0)
		length = 0;
	path[length] = '\0';
	strcpy(strrchr(path, '/') ? strrchr(path, '/') + 1 : path, MODULE);
}

/* $AMON_MODULE where it is set, for programs that are run from elsewhere; else beside the program, else as installed.
 */
static void find_module(char path[PATH_MAX])
{
	const char *override = secure_getenv("AMON_MODULE");

	if (override) {
		snprintf(path, PATH_MAX, "%s", override);
		return;
	}
	beside_executable(path);
	if (access(path, F_OK))
		snprintf(path, PATH_MAX, "%s/%s", AMON_MODULE_DIR, MODULE);
}

amon_clang_compile_fn *frontend_module(struct frontend_task *task)
{
	char path[PATH_MAX];
	void *module;

	if (module_compile)
		return module_compile;
	find_module(path);
	module = dlopen(path, RTLD_LAZY | RTLD_LOCAL);
	if (!module) {
		frontend_fail(task,
		              "cannot open the compiler: %s; install %s and the packages libclang-cpp19 and libllvm19",
		              dlerror(), MODULE);
		return NULL;
	}
	module_recover = (amon_clang_recover_fn *)dlsym(module, "amon_clang_recover");
	module_compile = (amon_clang_compile_fn *)dlsym(module, "amon_clang_compile");
	if (module_recover && module_compile)
		return module_compile;
	module_compile = NULL;
	dlclose(module);
	frontend_fail(task, "%s is not amon's compiler", path);
	return NULL;
}

static void run_compile(void *data)
{
	module_compile(&((struct frontend_task *)data)->job);
}

/* `error` is the guard's. */
static int give_up(struct frontend_task *task, int error)
{
	if (error > 0)
		frontend_fail(task, "the compiler crashed (%s)", strsignal(error));
	else
		frontend_fail(task, "the compiler took too %s", error == -ETIMEDOUT ? "long" : "much memory");
	module_recover();
	free(task->job.object);
	return -EINVAL;
}

static int compile(struct frontend_task *task)
{
	int error = amon_guard_run(run_compile, task);

	if (error > 0 || error == -ETIMEDOUT || error == -EDQUOT)
		return give_up(task, error);
	task->result->object = task->job.object;
	task->result->object_size = task->job.object_size;
	return error ? error : task->job.object ? 0 : -EINVAL;
}

int amon_frontend_compile(const char *name, const char *text, size_t length, struct amon_frontend_result *result)
{
	struct frontend_task task = {
		.job = { .name = name, .text = text, .length = length, .report = frontend_report }, .result = result
	};
	int error;

	memset(result, 0, sizeof(*result));
	task.job.data = &task;
	if (!*name || !strcmp(name, "-")) /* clang would read the standard input */
		return -EINVAL;
	if (length > TEXT_LIMIT) {
		frontend_fail(&task, "the C text is larger than %u MiB", TEXT_LIMIT >> 20);
		return -EFBIG;
	}
	pthread_mutex_lock(&lock);
	error = frontend_module(&task) ? compile(&task) : -ENOENT;
	pthread_mutex_unlock(&lock);
	return error;
}

void amon_frontend_result_free(struct amon_frontend_result *result)
{
	for (size_t i = 0; i < result->message_count; i++) {
		free(result->messages[i].file);
		free(result->messages[i].text);
	}
	free(result->messages);
	for (size_t i = 0; i < result->place_count; i++)
		free(result->places[i].name);
	free(result->places);
	free(result->object);
	memset(result, 0, sizeof(*result));
}
