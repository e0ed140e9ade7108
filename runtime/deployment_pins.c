/* SPDX-License-Identifier: Apache-2.0 */
#include "deployment_internal.h"

#include <bpf/bpf.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "attached.h"
#include "cleanup.h"
#include "listen.h"

static const char *const hook_names[AMON_HOOK_COUNT] = { "xdp", "ingress", "egress" };

int amon_cannot_pin(struct amon_failure *failure, const char *path, int error)
{
	return amon_fail(failure, error, "%s cannot be pinned: %s", path, strerror(-error));
}

/* What is too long names nothing. */
const char *amon_pin_path(char path[static AMON_PIN_PATH], const char *directory, const char *name)
{
	if (snprintf(path, AMON_PIN_PATH, "%s/%s", directory, name) >= AMON_PIN_PATH)
		*path = '\0';
	return path;
}

int amon_pin(int fd, const char *directory, const char *name)
{
	char path[AMON_PIN_PATH];

	amon_pin_path(path, directory, name);
	amon_listen();
	return bpf_obj_pin(fd, path);
}

int amon_pin_get(const char *directory, const char *name)
{
	char path[AMON_PIN_PATH];

	amon_pin_path(path, directory, name);
	amon_listen();
	return bpf_obj_get(path);
}

void amon_unpin(const char *directory, const char *name)
{
	char path[AMON_PIN_PATH];

	amon_pin_path(path, directory, name);
	unlink(path);
}

/* With all that is in it; directories in it have none. */
void amon_unpin_directory(const char *directory)
{
	DIR *entries = opendir(directory);
	char path[AMON_PIN_PATH];

	if (!entries)
		return;
	for (const struct dirent *entry; (entry = readdir(entries));) {
		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
			continue;
		amon_pin_path(path, directory, entry->d_name);
		if (unlink(path))
			amon_unpin_directory(path);
	}
	closedir(entries);
	rmdir(directory);
}

bool amon_is_pinned(const char *directory, const char *name)
{
	char path[AMON_PIN_PATH];

	amon_pin_path(path, directory, name);
	return access(path, F_OK) == 0;
}

const char *amon_pair_directory(const char *directory, unsigned int pair, char path[static AMON_PIN_PATH])
{
	return amon_pin_path(path, directory, pair ? "1" : "0");
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
			error = amon_pin(maps->maps[i].fds[clone], directory, map_pin(&maps->maps[i], clone, name));
	return error;
}

int amon_pinned_maps(struct amon_maps *maps, const char *directory)
{
	char name[MAP_NAME];

	for (uint32_t i = 0; i < maps->count; i++)
		for (unsigned int clone = 0; clone < (maps->maps[i].twice ? AMON_CLONES : 1u); clone++) {
			int fd = amon_pin_get(directory, map_pin(&maps->maps[i], clone, name));

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
	return error ? error : amon_pin(map, directory, "object");
}

int amon_pinned_object(const char *directory, void **object, size_t *size)
{
	struct bpf_map_info info = { 0 };
	uint32_t length = sizeof(info), zero = 0;
	AMON_CLOSES int map = amon_pin_get(directory, "object");
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

int amon_pin_pair(const struct amon_loaded *loaded, const void *object, size_t size, const char *directory,
                  struct amon_failure *failure)
{
	int error = mkdir(directory, 0700) ? -errno : 0;

	if (!error)
		error = pin_maps(&loaded->reader->maps, directory);
	if (!error && loaded->reader->baseline >= 0)
		error = amon_pin(loaded->reader->baseline, directory, "baseline");
	if (!error)
		error = pin_object(object, size, directory);
	return error ? amon_cannot_pin(failure, directory, error) : 0;
}

/* --- how it hangs on the interface */

static const char *hook_pin(const char *what, enum amon_hook_kind kind, char name[static 32])
{
	snprintf(name, 32, "%s-%s", what, hook_names[kind]);
	return name;
}

int amon_pin_hook(struct amon_attached *attached, enum amon_hook_kind kind, const char *directory)
{
	const struct amon_gate *gate = amon_attached_gate(attached, kind);
	const struct amon_tc *tc = &attached->tc[kind == AMON_HOOK_TC_EGRESS];
	char name[32];
	int error = amon_pin(gate->program, directory, hook_pin("gate", kind, name));

	if (!error)
		error = amon_pin(gate->slots, directory, hook_pin("slots", kind, name));
	if (!error && kind != AMON_HOOK_XDP && tc->link >= 0)
		error = amon_pin(tc->link, directory, hook_pin("link", kind, name));
	return error;
}

void amon_unpin_hook(const char *directory, enum amon_hook_kind kind)
{
	char name[32];

	amon_unpin(directory, hook_pin("link", kind, name));
	amon_unpin(directory, hook_pin("slots", kind, name));
	amon_unpin(directory, hook_pin("gate", kind, name));
}

void amon_note_filter(volatile struct amon_control *control, const struct amon_attached *attached, bool egress)
{
	control->filter_handles[egress] = attached->tc[egress].handle;
	control->filter_priorities[egress] = (uint16_t)attached->tc[egress].priority;
}

int amon_pin_hooks(struct amon_attached *attached, volatile struct amon_control *control, const char *directory,
                   struct amon_failure *failure)
{
	int error = 0;

	control->xdp_mode = attached->xdp.mode;
	for (enum amon_hook_kind kind = 0; kind < AMON_HOOK_COUNT && !error; kind++) {
		if (!amon_attached_has(attached, kind))
			continue;
		if (kind != AMON_HOOK_XDP)
			amon_note_filter(control, attached, kind == AMON_HOOK_TC_EGRESS);
		error = amon_pin_hook(attached, kind, directory);
	}
	return error ? amon_cannot_pin(failure, directory, error) : 0;
}

static int open_gate(const char *directory, enum amon_hook_kind kind, struct amon_gate *gate)
{
	char name[32];

	*gate = AMON_NO_GATE;
	gate->program = amon_pin_get(directory, hook_pin("gate", kind, name));
	if (gate->program < 0)
		return gate->program;
	gate->slots = amon_pin_get(directory, hook_pin("slots", kind, name));
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
	tc->link = amon_is_pinned(directory, hook_pin("link", kind, name)) ? amon_pin_get(directory, name) : -1;
	tc->handle = control->filter_handles[egress];
	tc->priority = control->filter_priorities[egress];
	return 0;
}

int amon_pinned_control(const char *directory, struct amon_control *control)
{
	uint8_t entry[AMON_CONTROL_SIZE];
	uint32_t zero = 0;
	AMON_CLOSES int map = amon_pin_get(directory, "control");
	int error = map < 0 ? map : bpf_map_lookup_elem(map, &zero, entry);

	if (!error)
		memcpy(control, entry, sizeof(*control));
	return error;
}

void amon_pinned_close(struct amon_attached *attached)
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

int amon_pinned_attached(struct amon_deployment *deployment, const struct amon_control *control)
{
	struct amon_attached *attached = calloc(1, sizeof(*attached));
	char name[32];
	int error = 0;

	if (!attached)
		return -ENOMEM;
	amon_attached_init(attached, deployment->at.ifindex);
	for (enum amon_hook_kind kind = 0; kind < AMON_HOOK_COUNT && !error; kind++)
		if (amon_is_pinned(deployment->directory, hook_pin("gate", kind, name)))
			error = open_hook(attached, control, kind, deployment->directory);
	deployment->attached = attached;
	return error;
}
