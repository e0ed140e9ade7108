/* SPDX-License-Identifier: Apache-2.0 */
#include "deployment.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
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
#include "compiler/arena.h"
#include "compiler/diagnostic.h"
#include "kept.h"
#include "kernel.h"
#include "listen.h"
#include "object.h"

#define PROBES "/sys/fs/bpf/amon/probes"
#define PATH   512

static const char *const hook_names[AMON_HOOK_COUNT] = { "xdp", "ingress", "egress" };

/* --- pins */

static int cannot_pin(struct amon_failure *failure, const char *path, int error)
{
	return amon_fail(failure, error, "%s cannot be pinned: %s", path, strerror(-error));
}

/* What is too long names nothing. */
static const char *join(char path[static PATH], const char *directory, const char *name)
{
	if (snprintf(path, PATH, "%s/%s", directory, name) >= PATH)
		*path = '\0';
	return path;
}

static int pin(int fd, const char *directory, const char *name)
{
	char path[PATH];

	join(path, directory, name);
	amon_listen();
	return bpf_obj_pin(fd, path);
}

static int get(const char *directory, const char *name)
{
	char path[PATH];

	join(path, directory, name);
	amon_listen();
	return bpf_obj_get(path);
}

static void unpin(const char *directory, const char *name)
{
	char path[PATH];

	join(path, directory, name);
	unlink(path);
}

/* With all that is in it; directories in it have none. */
static void remove_directory(const char *directory)
{
	DIR *entries = opendir(directory);
	char path[PATH];

	if (!entries)
		return;
	for (const struct dirent *entry; (entry = readdir(entries));) {
		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
			continue;
		join(path, directory, entry->d_name);
		if (unlink(path))
			remove_directory(path);
	}
	closedir(entries);
	rmdir(directory);
}

static bool is_there(const char *directory, const char *name)
{
	char path[PATH];

	join(path, directory, name);
	return access(path, F_OK) == 0;
}

static const char *pair_directory(const char *directory, unsigned int pair, char path[static PATH])
{
	return join(path, directory, pair ? "1" : "0");
}

/* --- maps and the object, of a pair of clones */

#define MAP_NAME 240

static const char *map_pin(const struct amon_map *map, unsigned int clone, char name[static MAP_NAME])
{
	snprintf(name, MAP_NAME, "%s-%.200s", map->twice ? (clone ? "b" : "a") : "m", map->name);
	return name;
}

static int pin_maps(const struct amon_maps *maps, const char *directory)
{
	char name[MAP_NAME];
	int error = 0;

	for (uint32_t i = 0; i < maps->count; i++)
		for (unsigned int clone = 0; clone < (maps->maps[i].twice ? AMON_CLONES : 1u) && !error; clone++)
			error = pin(maps->maps[i].fds[clone], directory, map_pin(&maps->maps[i], clone, name));
	return error;
}

static int open_maps(struct amon_maps *maps, const char *directory)
{
	char name[MAP_NAME];

	for (uint32_t i = 0; i < maps->count; i++)
		for (unsigned int clone = 0; clone < (maps->maps[i].twice ? AMON_CLONES : 1u); clone++) {
			int fd = get(directory, map_pin(&maps->maps[i], clone, name));

			if (fd < 0)
				return fd;
			maps->maps[i].fds[clone] = fd;
		}
	return 0;
}

/* The object's bytes are the value of a map that nobody can change any more. */
static int pin_object(const void *object, size_t size, const char *directory)
{
	uint32_t zero = 0;
	AMON_CLOSES int map = bpf_map_create(BPF_MAP_TYPE_ARRAY, "amon_object", 4, (uint32_t)size, 1, NULL);
	int error = map < 0 ? map : bpf_map_update_elem(map, &zero, object, BPF_ANY);

	if (!error)
		error = bpf_map_freeze(map);
	return error ? error : pin(map, directory, "object");
}

static int read_object(const char *directory, void **object, size_t *size)
{
	struct bpf_map_info info = { 0 };
	uint32_t length = sizeof(info), zero = 0;
	AMON_CLOSES int map = get(directory, "object");
	int error = map < 0 ? map : bpf_obj_get_info_by_fd(map, &info, &length);

	if (error)
		return error;
	AMON_FREES void *bytes = malloc(info.value_size + 8);
	error = bytes ? bpf_map_lookup_elem(map, &zero, bytes) : -ENOMEM;
	if (error)
		return error;
	*object = bytes;
	*size = info.value_size;
	bytes = NULL;
	return 0;
}

static int pin_pair(const struct amon_loaded *loaded, const void *object, size_t size, const char *directory,
                    struct amon_failure *failure)
{
	int error = mkdir(directory, 0700) ? -errno : 0;

	if (!error)
		error = pin_maps(&loaded->reader->maps, directory);
	if (!error && loaded->reader->baseline >= 0)
		error = pin(loaded->reader->baseline, directory, "baseline");
	if (!error)
		error = pin_object(object, size, directory);
	return error ? cannot_pin(failure, directory, error) : 0;
}

/* --- how it hangs on the interface */

static const char *hook_pin(const char *what, enum amon_hook_kind kind, char name[static 32])
{
	snprintf(name, 32, "%s-%s", what, hook_names[kind]);
	return name;
}

static int pin_hook(struct amon_attached *attached, enum amon_hook_kind kind, const char *directory)
{
	const struct amon_gate *gate = amon_attached_gate(attached, kind);
	const struct amon_tc *tc = &attached->tc[kind == AMON_HOOK_TC_EGRESS];
	char name[32];
	int error = pin(gate->program, directory, hook_pin("gate", kind, name));

	if (!error)
		error = pin(gate->slots, directory, hook_pin("slots", kind, name));
	if (!error && kind != AMON_HOOK_XDP && tc->link >= 0)
		error = pin(tc->link, directory, hook_pin("link", kind, name));
	return error;
}

static void note_filter(volatile struct amon_control *control, const struct amon_attached *attached, bool egress)
{
	control->filter_handles[egress] = attached->tc[egress].handle;
	control->filter_priorities[egress] = (uint16_t)attached->tc[egress].priority;
}

static int pin_hooks(struct amon_attached *attached, volatile struct amon_control *control, const char *directory,
                     struct amon_failure *failure)
{
	int error = 0;

	control->xdp_mode = attached->xdp.mode;
	for (enum amon_hook_kind kind = 0; kind < AMON_HOOK_COUNT && !error; kind++) {
		if (!amon_attached_has(attached, kind))
			continue;
		if (kind != AMON_HOOK_XDP)
			note_filter(control, attached, kind == AMON_HOOK_TC_EGRESS);
		error = pin_hook(attached, kind, directory);
	}
	return error ? cannot_pin(failure, directory, error) : 0;
}

static int open_gate(const char *directory, enum amon_hook_kind kind, struct amon_gate *gate)
{
	char name[32];

	*gate = AMON_NO_GATE;
	gate->program = get(directory, hook_pin("gate", kind, name));
	if (gate->program < 0)
		return gate->program;
	gate->slots = get(directory, hook_pin("slots", kind, name));
	if (kind == AMON_HOOK_XDP)
		gate->next = amon_program_map(gate->program, "amon_next");
	return gate->slots < 0 ? gate->slots : 0;
}

static int open_hook(struct amon_attached *attached, const struct amon_control *control, enum amon_hook_kind kind,
                     const char *directory)
{
	bool egress = kind == AMON_HOOK_TC_EGRESS;
	struct amon_tc *tc = &attached->tc[egress];
	char name[32];
	int error = open_gate(directory, kind, amon_attached_gate(attached, kind));

	if (error)
		return error;
	attached->hooks[attached->hook_count++] = (struct amon_attached_hook){ kind, AMON_XDP_ANY };
	if (kind == AMON_HOOK_XDP) {
		attached->xdp.ifindex = attached->ifindex;
		attached->xdp.mode = attached->hooks[attached->hook_count - 1].mode = control->xdp_mode;
		return 0;
	}
	tc->ifindex = attached->ifindex;
	tc->egress = egress;
	tc->link = is_there(directory, hook_pin("link", kind, name)) ? get(directory, name) : -1;
	tc->handle = control->filter_handles[egress];
	tc->priority = control->filter_priorities[egress];
	return 0;
}

static int read_control(const char *directory, struct amon_control *control)
{
	uint8_t entry[AMON_CONTROL_SIZE];
	uint32_t zero = 0;
	AMON_CLOSES int map = get(directory, "control");
	int error = map < 0 ? map : bpf_map_lookup_elem(map, &zero, entry);

	if (!error)
		memcpy(control, entry, sizeof(*control));
	return error;
}

static void close_attached(struct amon_attached *attached)
{
	if (!attached)
		return;
	for (enum amon_hook_kind kind = 0; kind < AMON_HOOK_COUNT; kind++) {
		amon_gate_close(amon_attached_gate(attached, kind));
		if (kind != AMON_HOOK_XDP)
			amon_close(&attached->tc[kind == AMON_HOOK_TC_EGRESS].link);
	}
	free(attached);
}

static int open_attached(struct amon_deployment *deployment, const struct amon_control *control)
{
	struct amon_attached *attached = calloc(1, sizeof(*attached));
	char name[32];
	int error = 0;

	if (!attached)
		return -ENOMEM;
	amon_attached_init(attached, deployment->at.ifindex);
	for (enum amon_hook_kind kind = 0; kind < AMON_HOOK_COUNT && !error; kind++)
		if (is_there(deployment->directory, hook_pin("gate", kind, name)))
			error = open_hook(attached, control, kind, deployment->directory);
	deployment->attached = attached;
	return error;
}

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
	char path[PATH];

	join(path, PROBES, entry);
	if (is_left_over(entry) || (read_entry(entry, &at) && !if_indextoname((unsigned int)at.ifindex, at.interface)))
		remove_directory(path);
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
	char path[PATH];
	int error;

	mkdir("/sys/fs/bpf/amon", 0700);
	mkdir(PROBES, 0700);
	if (mkdir(directory, 0700))
		return cannot_pin(failure, directory, -errno);
	loaded->reader->control->ingress_tc = loaded->ingress_tc;
	error = pin_hooks(attached, loaded->reader->control, directory, failure);
	if (!error && pin(loaded->reader->control_map, directory, "control"))
		error = cannot_pin(failure, directory, -errno);
	return error ? error : pin_pair(loaded, object, size, pair_directory(directory, 0, path), failure);
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
		error = cannot_pin(failure, directory, errno == ENOTEMPTY ? -EEXIST : -errno);
	if (error)
		remove_directory(made);
	else
		close_attached(attached);
	return error;
}

static int take_lock(struct amon_deployment *deployment, struct amon_failure *failure)
{
	deployment->lock = open(deployment->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (deployment->lock < 0 || flock(deployment->lock, LOCK_EX))
		return amon_fail(failure, -errno, "%s cannot be locked: %s", deployment->directory, strerror(errno));
	/* who held it may have removed it */
	if (!is_there(deployment->directory, "control"))
		return amon_fail(failure, -ENOENT, "%s was removed", deployment->at.name);
	return 0;
}

static int damaged(const struct amon_deployment *deployment, int error, struct amon_failure *failure)
{
	if (error == -EPERM || error == -EACCES)
		return amon_kernel_denied(failure);
	return amon_fail(failure, error, "the pins of %s are not whole (%s); `amonc remove %s` takes away what is left",
	                 deployment->at.name, strerror(-error), deployment->at.name);
}

static int finish(struct amon_deployment *deployment, unsigned int pair, struct amon_failure *failure);

/* The pair that does not run is what a replacement left: one that was never put in place, or one to be taken over. */
static int mend(struct amon_deployment *deployment, unsigned int pair, struct amon_failure *failure)
{
	char current[PATH], other[PATH];

	pair_directory(deployment->directory, pair, current);
	pair_directory(deployment->directory, !pair, other);
	if (is_there(current, "from"))
		return finish(deployment, pair, failure);
	if (access(other, F_OK) == 0)
		remove_directory(other);
	return 0;
}

int amon_deployment_open(const char *name, struct amon_deployment *deployment, struct amon_failure *failure)
{
	struct amon_control control;
	char path[PATH];
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
	error = read_control(deployment->directory, &control);
	pair = control.state >> 1 & 1;
	deployment->ingress_tc = control.ingress_tc;
	if (!error)
		error = open_attached(deployment, &control);
	if (error)
		return damaged(deployment, error, failure);
	error = mend(deployment, pair, failure);
	if (error)
		return error;
	error = read_object(pair_directory(deployment->directory, pair, path), &deployment->object,
	                    &deployment->object_size);
	return error ? damaged(deployment, error, failure) : 0;
}

void amon_deployment_close(struct amon_deployment *deployment)
{
	close_attached(deployment->attached);
	free(deployment->object);
	amon_close(&deployment->lock);
	deployment->attached = NULL;
	deployment->object = NULL;
}

/* A pair's reader; it holds what was carried over, too. */
static int open_reader(const struct amon_deployment *deployment, unsigned int pair, const struct amon_exports *exports,
                       struct amon_reader *reader, struct amon_failure *failure)
{
	struct amon_control control;
	char path[PATH];
	int error = read_control(deployment->directory, &control);

	pair_directory(deployment->directory, pair, path);
	if (!error)
		error = amon_reader_open(exports, get(deployment->directory, "control"),
		                         is_there(path, "baseline") ? get(path, "baseline") : -1, control.announces,
		                         reader, failure);
	if (error)
		return error;
	error = open_maps(&reader->maps, path);
	if (!error && is_there(path, "carry")) {
		reader->carry = get(path, "carry");
		error = amon_carry_read(exports, reader->carry, &reader->carried);
	}
	if (!error)
		error = amon_reader_keep(reader, path);
	if (error)
		amon_reader_close(reader);
	return error ? damaged(deployment, error, failure) : 0;
}

static int pair_of(const struct amon_deployment *deployment, unsigned int *pair)
{
	struct amon_control control;
	int error = read_control(deployment->directory, &control);

	if (!error)
		*pair = control.state >> 1 & 1;
	return error;
}

int amon_deployment_reader(const struct amon_deployment *deployment, const struct amon_exports *exports,
                           struct amon_reader *reader, struct amon_failure *failure)
{
	unsigned int pair;
	int error = pair_of(deployment, &pair);

	return error ? damaged(deployment, error, failure) : open_reader(deployment, pair, exports, reader, failure);
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
	remove_directory(gone);
	return 0;
}

/* --- replacement */

/* The export table inside an object. */
static struct amon_exports *exports_of(struct amon_arena *arena, const void *object, size_t size)
{
	const char *text = NULL, *reason = NULL;
	size_t length = 0;

	if (amon_object_find_section(object, size, AMON_EXPORTS_SECTION, (const void **)&text, &length))
		return NULL;
	return amon_exports_decode(arena, text, length, &reason);
}

static bool is_of_table(const struct amon_export_table *table, const char *map)
{
	return !strcmp(table->map, map) || (table->spill_map && !strcmp(table->spill_map, map)) ||
	       (table->other_map && !strcmp(table->other_map, map)) ||
	       (table->expire && !strcmp(table->expire->lives_map, map));
}

/* The signature of what a map holds, by its name; 0: no such map. */
static uint64_t signature_of(const struct amon_exports *exports, const char *map)
{
	for (uint32_t i = 0; i < exports->section_count; i++) {
		const struct amon_export_section *section = &exports->sections[i];

		for (uint32_t j = 0; j < section->part_count; j++)
			if (!strcmp(section->parts[j].map, map))
				return section->parts[j].signature;
		for (uint32_t j = 0; j < section->table_count; j++)
			if (is_of_table(&section->tables[j], map))
				return section->tables[j].rows_signature;
		for (uint32_t j = 0; j < section->memory_count; j++)
			if (!strcmp(section->memories[j].map, map))
				return section->memories[j].signature;
	}
	return 0;
}

static bool is_inherited(const struct amon_exports *old, const struct amon_exports *new, const char *map)
{
	uint64_t signature = signature_of(new, map);

	return signature && signature == signature_of(old, map);
}

/* What goes on counting where it is, of the maps of the running probe; all others are skipped. */
static void choose_inherited(const struct amon_exports *old, const struct amon_exports *new, struct amon_maps *maps)
{
	for (uint32_t i = 0; i < maps->count; i++)
		maps->maps[i].skipped = is_inherited(old, new, maps->maps[i].name);
}

/* Only the maps that are skipped, borrowed. */
static struct amon_maps inherited_of(const struct amon_maps *maps, struct amon_map *room)
{
	struct amon_maps inherited = { room, 0 };

	for (uint32_t i = 0; i < maps->count; i++)
		if (maps->maps[i].skipped)
			inherited.maps[inherited.count++] = maps->maps[i];
	return inherited;
}

static bool part_is_inherited(const struct amon_exports *old, const struct amon_exports *new,
                              const struct amon_export_section *section)
{
	for (uint32_t i = 0; i < section->part_count; i++)
		if (!section->parts[i].twice && is_inherited(old, new, section->parts[i].map))
			return true;
	return false;
}

/* Differences go on from where they were in maps that are inherited; new maps start from nothing. */
static int move_baseline(const struct amon_exports *old, const struct amon_reader *from, const struct amon_exports *new,
                         const struct amon_reader *to)
{
	struct bpf_map_info info = { 0 }, old_info = { 0 };
	uint32_t length = sizeof(info);
	int error = 0;

	if (from->baseline < 0 || to->baseline < 0)
		return 0;
	if (bpf_obj_get_info_by_fd(to->baseline, &info, &length) ||
	    bpf_obj_get_info_by_fd(from->baseline, &old_info, &length))
		return -errno;
	AMON_FREES uint8_t *had = malloc(old_info.value_size);
	AMON_FREES uint8_t *has = malloc(info.value_size);
	if (!had || !has)
		return -ENOMEM;
	for (uint32_t slot = 0; slot < 2 && !error; slot++) {
		size_t at = 0;

		memset(has, 0, info.value_size);
		error = bpf_map_lookup_elem(from->baseline, &slot, had);
		for (uint32_t i = 0; i < new->section_count && !error; at += new->sections[i].record_size, i++) {
			size_t old_at = 0;

			for (uint32_t j = 0; j < old->section_count; old_at += old->sections[j].record_size, j++)
				if (old->sections[j].signature == new->sections[i].signature &&
				    part_is_inherited(old, new, &new->sections[i]))
					amon_carry_section(&old->sections[j], had + old_at, &new->sections[i],
					                   has + at);
		}
		if (!error)
			error = bpf_map_update_elem(to->baseline, &slot, has, BPF_ANY);
	}
	return error;
}

/* The new clones in the slots that no gate calls yet; hooks that only the new probe has hang there from now on. */
static int place(struct amon_deployment *deployment, const struct amon_loaded *loaded, unsigned int pair,
                 struct amon_failure *failure)
{
	struct amon_attached *attached = deployment->attached;
	int error = 0;

	for (enum amon_hook_kind kind = 0; kind < AMON_HOOK_COUNT && !error; kind++) {
		if (!amon_attached_has(attached, kind)) {
			if (loaded->clones[0].programs[kind] < 0)
				continue;
			error = amon_attached_add(attached, loaded, deployment->at.interface, kind, pair, failure);
			if (!error && pin_hook(attached, kind, deployment->directory))
				error = cannot_pin(failure, deployment->directory, -errno);
			if (!error && kind != AMON_HOOK_XDP)
				note_filter(loaded->reader->control, attached, kind == AMON_HOOK_TC_EGRESS);
			else if (!error)
				loaded->reader->control->xdp_mode = attached->xdp.mode;
			continue;
		}
		for (unsigned int clone = 0; clone < AMON_CLONES && !error; clone++)
			error = amon_gate_fill(amon_attached_gate(attached, kind), AMON_CLONES * pair + clone,
			                       loaded->clones[clone < loaded->clone_count ? clone : 0].programs[kind]);
	}
	return error;
}

/* What the old probe had counted that the new one does not count on, in the new one's records. */
static int carry_over(struct amon_deployment *deployment, unsigned int pair, const struct amon_exports *old,
                      const struct amon_exports *new, struct amon_failure *failure)
{
	struct amon_collected *counts __attribute__((cleanup(amon_collected_cleanup))) = NULL;
	struct amon_collected *converted __attribute__((cleanup(amon_collected_cleanup))) = NULL;
	struct amon_reader reader;
	char current[PATH];
	int error = open_reader(deployment, !pair, old, &reader, failure);

	if (error)
		return error;
	pair_directory(deployment->directory, pair, current);
	choose_inherited(old, new, &reader.maps);
	error = amon_reader_wait(&reader);
	if (!error)
		error = amon_reader_rest(&reader, &counts, failure);
	if (!error)
		error = amon_carry_convert(old, counts, new, &converted);
	if (!error) {
		AMON_CLOSES int map = amon_carry_write(new, converted);

		unpin(current, "carry");
		error = map < 0 ? map : pin(map, current, "carry");
	}
	if (!error && reader.flows)
		error = amon_kept_convert(old, reader.flows, new, current, reader.control->state >> 4);
	amon_reader_close(&reader);
	return error ? amon_fail(failure, error, "what %s had counted cannot be carried over: %s", deployment->at.name,
	                         strerror(-error))
	             : 0;
}

static bool needs_hook(const struct amon_exports *exports, bool ingress_tc, enum amon_hook_kind kind)
{
	for (uint32_t i = 0; i < exports->section_count; i++)
		for (uint32_t j = 0; j < exports->sections[i].hook_count; j++) {
			const struct amon_hook *hook = &exports->sections[i].hooks[j];

			if ((hook->choice && ingress_tc ? AMON_HOOK_TC_INGRESS : hook->kind) == kind)
				return true;
		}
	return false;
}

static void drop_hook(struct amon_deployment *deployment, enum amon_hook_kind kind)
{
	char name[32];

	amon_attached_remove(deployment->attached, kind);
	unpin(deployment->directory, hook_pin("link", kind, name));
	unpin(deployment->directory, hook_pin("slots", kind, name));
	unpin(deployment->directory, hook_pin("gate", kind, name));
}

/* Lets go of the pair that ran before. */
static void release(struct amon_deployment *deployment, unsigned int pair, const struct amon_exports *new)
{
	AMON_CLOSES int lock = amon_hook_lock(NULL);

	(void)lock;
	for (enum amon_hook_kind kind = 0; kind < AMON_HOOK_COUNT; kind++) {
		if (!amon_attached_has(deployment->attached, kind))
			continue;
		if (!needs_hook(new, deployment->ingress_tc, kind)) {
			drop_hook(deployment, kind);
			continue;
		}
		for (unsigned int clone = 0; clone < AMON_CLONES; clone++)
			amon_gate_fill(amon_attached_gate(deployment->attached, kind), AMON_CLONES * !pair + clone, -1);
	}
}

/* Behind the store that puts a pair in place; may be done again from here, by whoever comes next. */
static int finish(struct amon_deployment *deployment, unsigned int pair, struct amon_failure *failure)
{
	struct amon_arena *arena = amon_arena_new();
	char current[PATH], other[PATH];
	AMON_FREES void *old_object = NULL;
	AMON_FREES void *new_object = NULL;
	struct amon_exports *old, *new;
	size_t old_size = 0, new_size = 0;
	int error;

	pair_directory(deployment->directory, pair, current);
	pair_directory(deployment->directory, !pair, other);
	error = read_object(other, &old_object, &old_size);
	if (!error)
		error = read_object(current, &new_object, &new_size);
	old = error ? NULL : exports_of(arena, old_object, old_size);
	new = error ? NULL : exports_of(arena, new_object, new_size);
	if (!old || !new)
		error = damaged(deployment, error ? error : -EINVAL, failure);
	else
		error = carry_over(deployment, pair, old, new, failure);
	if (!error) {
		unpin(current, "from");
		release(deployment, pair, new);
		remove_directory(other);
	}
	amon_arena_free(arena);
	return error;
}

static int load_replacement(const struct amon_deployment *deployment, const struct amon_exports *exports,
                            struct amon_reader *running, const struct amon_replacement *by, struct amon_loaded **loaded,
                            struct amon_failure *failure)
{
	AMON_FREES struct amon_map *room = calloc(running->maps.count + 1, sizeof(*room));
	struct amon_load_options load = by->load;
	struct amon_maps inherited;
	int error;

	(void)deployment;
	if (!room)
		return amon_fail(failure, -ENOMEM, "out of memory");
	choose_inherited(exports, by->exports, &running->maps);
	inherited = inherited_of(&running->maps, room);
	load.replaces = running;
	load.inherited = &inherited;
	error = amon_probe_load(by->object, by->object_size, by->exports, &load, loaded, failure);
	return error ? error : move_baseline(exports, running, by->exports, (*loaded)->reader);
}

/* All that can fail comes before the one store. */
static int take_place(struct amon_deployment *deployment, const struct amon_loaded *loaded,
                      const struct amon_replacement *by, unsigned int pair, struct amon_failure *failure)
{
	char path[PATH];
	int error;

	pair_directory(deployment->directory, pair, path);
	error = pin_pair(loaded, by->object, by->object_size, path, failure);
	if (!error)
		error = pin(loaded->reader->control_map, path, "from");
	if (!error) {
		AMON_CLOSES int lock = amon_hook_lock(failure);

		error = lock < 0 ? lock : place(deployment, loaded, pair, failure);
	}
	if (error) {
		remove_directory(path);
		return error;
	}
	amon_reader_set_pair(loaded->reader, pair);
	return finish(deployment, pair, failure);
}

int amon_deployment_replace(struct amon_deployment *deployment, const struct amon_exports *exports,
                            const struct amon_replacement *by, struct amon_failure *failure)
{
	struct amon_loaded *loaded __attribute__((cleanup(amon_probe_cleanup))) = NULL;
	struct amon_reader running;
	int error = amon_deployment_reader(deployment, exports, &running, failure);

	if (error)
		return error;
	if (amon_reader_is_cut(&running))
		error = amon_fail(failure, -EBUSY,
		                  "a read of %s was broken off: read its window first, by `amonc read %s`",
		                  deployment->at.name, deployment->at.name);
	if (!error)
		error = load_replacement(deployment, exports, &running, by, &loaded, failure);
	if (!error && !by->dry_run)
		error = take_place(deployment, loaded, by, !amon_reader_pair(&running), failure);
	amon_reader_close(&running);
	return error;
}
