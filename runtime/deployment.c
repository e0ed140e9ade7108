/* SPDX-License-Identifier: Apache-2.0 */
#include "deployment_internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "attached.h"
#include "carry.h"
#include "cleanup.h"
#include "compiler/diagnostic.h"
#include "kernel.h"

#define PROBES "/sys/fs/bpf/amon/probes"

/* --- names */

static void directory_of(const struct amon_deployed *at, char path[static 256])
{
	snprintf(path, 256, PROBES "/%llu-%d-%s", (unsigned long long)amon_kernel_netns(), at->ifindex, at->name);
}

/* "NETNS-IFINDEX-NAME" of this network namespace. */
static bool read_entry(const char *entry, struct amon_deployed *at)
{
	unsigned long long netns;
	int length = 0;

	*at = (struct amon_deployed){ .ifindex = 0 };
	if (sscanf(entry, "%llu-%d-%127s%n", &netns, &at->ifindex, at->name, &length) != 3 || entry[length])
		return false;
	return netns == amon_kernel_netns();
}

/* Half made, or half removed, by a process that is dead: its number stands in the name. */
static bool is_left_over(const char *entry)
{
	int process;

	return (sscanf(entry, "new-%d", &process) == 1 || sscanf(entry, "gone-%d", &process) == 1) &&
	       process != getpid() && kill(process, 0) && errno == ESRCH;
}

static void sweep_entry(const char *entry)
{
	struct amon_deployed at;
	char path[AMON_PIN_PATH];

	amon_pin_path(path, PROBES, entry);
	if (is_left_over(entry) || (read_entry(entry, &at) && !if_indextoname((unsigned int)at.ifindex, at.interface)))
		amon_unpin_directory(path);
}

static int compare_deployed(const void *a, const void *b)
{
	const struct amon_deployed *x = a, *y = b;
	int order = strcmp(x->name, y->name);

	return order ? order : strcmp(x->interface, y->interface);
}

int amon_deployed_list(struct amon_deployed **result, struct amon_failure *failure)
{
	AMON_FREES struct amon_deployed *list = NULL;
	int error = amon_kernel_bpffs(failure), count = 0;
	DIR *entries = error ? NULL : opendir(PROBES);

	*result = NULL;
	if (error)
		return error;
	if (!entries)
		return errno == ENOENT ? 0 : amon_fail(failure, -errno, PROBES " cannot be read: %s", strerror(errno));
	for (const struct dirent *entry; (entry = readdir(entries)) && !error;) {
		struct amon_deployed at, *more;

		sweep_entry(entry->d_name);
		if (!read_entry(entry->d_name, &at) || !if_indextoname((unsigned int)at.ifindex, at.interface))
			continue;
		more = reallocarray(list, (size_t)count + 1, sizeof(*list));
		if (!more) {
			error = amon_fail(failure, -ENOMEM, "out of memory");
			break;
		}
		list = more;
		list[count++] = at;
	}
	closedir(entries);
	if (error)
		return error;
	if (count)
		qsort(list, (size_t)count, sizeof(*list), compare_deployed);
	*result = list;
	list = NULL;
	return count;
}

static int unknown(const char *name, const struct amon_deployed *list, int count, struct amon_failure *failure)
{
	const char *names[64], *near;
	size_t known = 0;

	for (int i = 0; i < count && known < 64; i++)
		names[known++] = list[i].name;
	near = amon_closest(name, names, known);
	return amon_fail(failure, -ENOENT,
	                 near ? "no probe is called %s; is it %s?" : "no probe is called %s; `amonc list` shows them",
	                 name, near);
}

static int ambiguous(const char *name, const struct amon_deployed *list, int count, struct amon_failure *failure)
{
	char text[256] = "";

	for (int i = 0; i < count; i++)
		if (!strcmp(list[i].name, name) && strlen(text) + 160 < sizeof(text))
			sprintf(text + strlen(text), "%s%s@%s", *text ? ", " : "", name, list[i].interface);
	return amon_fail(failure, -ENOTUNIQ, "%s runs on several interfaces: write %s", name, text);
}

static int find(const char *wanted, struct amon_deployed *at, struct amon_failure *failure)
{
	const char *sign = strchr(wanted, '@');
	size_t length = sign ? (size_t)(sign - wanted) : strlen(wanted);
	AMON_FREES char *name = strndup(wanted, length);
	AMON_FREES struct amon_deployed *list = NULL;
	int count = amon_deployed_list(&list, failure), found = 0;

	if (count < 0)
		return count;
	for (int i = 0; i < count; i++)
		if (!strcmp(list[i].name, name) && (!sign || !strcmp(list[i].interface, sign + 1))) {
			*at = list[i];
			found++;
		}
	if (found == 1)
		return 0;
	return found ? ambiguous(name, list, count, failure) : unknown(wanted, list, count, failure);
}

int amon_deployment_check(const char *name, const char *interface, struct amon_failure *failure)
{
	AMON_FREES struct amon_deployed *list = NULL;
	int count = amon_deployed_list(&list, failure);

	for (int i = 0; i < count; i++)
		if (!strcmp(list[i].name, name) && !strcmp(list[i].interface, interface))
			return amon_fail(
			        failure, -EEXIST,
			        "a probe called %s runs on %s already; `amonc replace` puts another in its place", name,
			        interface);
	return count < 0 ? count : 0;
}

/* --- the life */

static int pin_all(const struct amon_loaded *loaded, struct amon_attached *attached, const void *object, size_t size,
                   const char *directory, struct amon_failure *failure)
{
	char path[AMON_PIN_PATH];
	int error;

	mkdir("/sys/fs/bpf/amon", 0700);
	mkdir(PROBES, 0700);
	if (mkdir(directory, 0700))
		return amon_cannot_pin(failure, directory, -errno);
	loaded->reader->control->ingress_tc = loaded->ingress_tc;
	error = amon_pin_hooks(attached, loaded->reader->control, directory, failure);
	if (!error && amon_pin(loaded->reader->control_map, directory, "control"))
		error = amon_cannot_pin(failure, directory, -errno);
	return error ? error : amon_pin_pair(loaded, object, size, amon_pair_directory(directory, 0, path), failure);
}

/* Whole or not at all: under its own name only once all is there. */
int amon_deployment_create(const struct amon_loaded *loaded, struct amon_attached *attached, const void *object,
                           size_t object_size, const char *interface, struct amon_failure *failure)
{
	struct amon_deployed at = { .ifindex = attached->ifindex };
	char made[256], directory[256];
	int error = amon_deployment_check(loaded->exports->probe, interface, failure);

	if (error)
		return error;
	snprintf(at.name, sizeof(at.name), "%s", loaded->exports->probe);
	directory_of(&at, directory);
	snprintf(made, sizeof(made), PROBES "/new-%d", getpid());
	error = pin_all(loaded, attached, object, object_size, made, failure);
	if (!error && rename(made, directory))
		error = amon_cannot_pin(failure, directory, errno == ENOTEMPTY ? -EEXIST : -errno);
	if (error)
		amon_unpin_directory(made);
	else
		amon_pinned_close(attached);
	return error;
}

static int take_lock(struct amon_deployment *deployment, struct amon_failure *failure)
{
	deployment->lock = open(deployment->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (deployment->lock < 0 || flock(deployment->lock, LOCK_EX))
		return amon_fail(failure, -errno, "%s cannot be locked: %s", deployment->directory, strerror(errno));
	/* who held it may have removed it */
	if (!amon_is_pinned(deployment->directory, "control"))
		return amon_fail(failure, -ENOENT, "%s was removed", deployment->at.name);
	return 0;
}

int amon_deployment_damaged(const struct amon_deployment *deployment, int error, struct amon_failure *failure)
{
	if (error == -EPERM || error == -EACCES)
		return amon_kernel_denied(failure);
	return amon_fail(failure, error, "the pins of %s are not whole (%s); `amonc remove %s` takes away what is left",
	                 deployment->at.name, strerror(-error), deployment->at.name);
}

/* The pair that does not run is what a replacement left: one that was never put in place, or one to be taken over. */
static int mend(struct amon_deployment *deployment, unsigned int pair, struct amon_failure *failure)
{
	char current[AMON_PIN_PATH], other[AMON_PIN_PATH];

	amon_pair_directory(deployment->directory, pair, current);
	amon_pair_directory(deployment->directory, !pair, other);
	if (amon_is_pinned(current, "from"))
		return amon_deployment_finish(deployment, pair, failure);
	if (access(other, F_OK) == 0)
		amon_unpin_directory(other);
	return 0;
}

int amon_deployment_open(const char *name, struct amon_deployment *deployment, struct amon_failure *failure)
{
	struct amon_control control;
	char path[AMON_PIN_PATH];
	unsigned int pair;
	int error;

	*deployment = (struct amon_deployment){ .lock = -1 };
	error = find(name, &deployment->at, failure);
	if (error)
		return error;
	directory_of(&deployment->at, deployment->directory);
	error = take_lock(deployment, failure);
	if (error)
		return error;
	error = amon_pinned_control(deployment->directory, &control);
	pair = control.state >> 1 & 1;
	deployment->ingress_tc = control.ingress_tc;
	if (!error)
		error = amon_pinned_attached(deployment, &control);
	if (error)
		return amon_deployment_damaged(deployment, error, failure);
	error = mend(deployment, pair, failure);
	if (error)
		return error;
	error = amon_pinned_object(amon_pair_directory(deployment->directory, pair, path), &deployment->object,
	                           &deployment->object_size);
	return error ? amon_deployment_damaged(deployment, error, failure) : 0;
}

void amon_deployment_close(struct amon_deployment *deployment)
{
	amon_pinned_close(deployment->attached);
	free(deployment->object);
	amon_close(&deployment->lock);
	deployment->attached = NULL;
	deployment->object = NULL;
}

/* A pair's reader; it holds what was carried over, too. */
int amon_deployment_open_reader(const struct amon_deployment *deployment, unsigned int pair,
                                const struct amon_exports *exports, struct amon_reader *reader,
                                struct amon_failure *failure)
{
	struct amon_control control;
	char path[AMON_PIN_PATH];
	int error = amon_pinned_control(deployment->directory, &control);

	amon_pair_directory(deployment->directory, pair, path);
	if (!error)
		error = amon_reader_open(exports, amon_pin_get(deployment->directory, "control"),
		                         amon_is_pinned(path, "baseline") ? amon_pin_get(path, "baseline") : -1,
		                         control.announces, reader, failure);
	if (error)
		return error;
	error = amon_pinned_maps(&reader->maps, path);
	if (!error && amon_is_pinned(path, "carry")) {
		reader->carry = amon_pin_get(path, "carry");
		error = amon_carry_read(exports, reader->carry, &reader->carried);
	}
	if (!error)
		error = amon_reader_keep(reader, path);
	if (error)
		amon_reader_close(reader);
	return error ? amon_deployment_damaged(deployment, error, failure) : 0;
}

static int pair_of(const struct amon_deployment *deployment, unsigned int *pair)
{
	struct amon_control control;
	int error = amon_pinned_control(deployment->directory, &control);

	if (!error)
		*pair = control.state >> 1 & 1;
	return error;
}

int amon_deployment_reader(const struct amon_deployment *deployment, const struct amon_exports *exports,
                           struct amon_reader *reader, struct amon_failure *failure)
{
	unsigned int pair;
	int error = pair_of(deployment, &pair);

	return error ? amon_deployment_damaged(deployment, error, failure)
	             : amon_deployment_open_reader(deployment, pair, exports, reader, failure);
}

/* Off the hooks first, so that what is removed counts nothing any more. */
int amon_deployment_remove(struct amon_deployment *deployment, struct amon_failure *failure)
{
	char gone[256];
	AMON_CLOSES int lock = amon_hook_lock(failure);

	if (lock < 0)
		return lock;
	snprintf(gone, sizeof(gone), PROBES "/gone-%d", getpid());
	if (rename(deployment->directory, gone))
		return amon_fail(failure, -errno, "%s cannot be removed: %s", deployment->directory, strerror(errno));
	for (enum amon_hook_kind kind = 0; kind < AMON_HOOK_COUNT; kind++)
		amon_attached_remove(deployment->attached, kind);
	amon_unpin_directory(gone);
	return 0;
}
