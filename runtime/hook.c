/* SPDX-License-Identifier: Apache-2.0 */
#include "hook.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "cleanup.h"
#include "kernel.h"
#include "listen.h"
#include "probe.h"

/* No program of amon uses more maps; a foreign one with more is none of ours. */
#define MAPS_MAX 64

extern const uint8_t amon_bpf_dispatch[], amon_bpf_dispatch_end[];

int amon_hook_lock(struct amon_failure *failure)
{
	static const char path[] = "/run/amon/lock";

	mkdir("/run/amon", 0700);
	AMON_CLOSES int lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (lock < 0 || flock(lock, LOCK_EX))
		return amon_fail(failure, -errno, "%s cannot be locked: %s", path, strerror(errno));
	return amon_take_fd(&lock);
}

static void close_object(struct bpf_object **object)
{
	bpf_object__close(*object);
}

static int cannot_load(struct amon_failure *failure, int error)
{
	if (error == -EPERM)
		return amon_kernel_denied(failure);
	return amon_fail(failure, error, "the programs before the probe cannot be loaded: %s (%s)", strerror(-error),
	                 amon_heard());
}

/* libbpf's own copy of the gate's one constant. */
static void set_announces(const struct bpf_object *object, bool announces)
{
	struct bpf_map *map = bpf_object__find_map_by_name(object, ".rodata");
	size_t size = 0;
	uint32_t *constant = map ? (uint32_t *)bpf_map__initial_value(map, &size) : NULL;

	if (constant && size == sizeof(*constant))
		*constant = announces;
}

/* Loads one of the programs; `options` are NULL for the root. */
static struct bpf_object *load(const char *name, const struct amon_gate_options *gate, struct amon_failure *failure)
{
	LIBBPF_OPTS(bpf_object_open_opts, options, .object_name = "amon_dispatch");
	struct bpf_object *object;
	struct bpf_program *program;
	int error = 0;

	amon_listen();
	object = bpf_object__open_mem(amon_bpf_dispatch, amon_bpf_dispatch_end - amon_bpf_dispatch, &options);
	if (!object) {
		errno = -cannot_load(failure, -errno);
		return NULL;
	}
	bpf_object__for_each_program(program, object)
	        bpf_program__set_autoload(program, strcmp(bpf_program__name(program), name) == 0);
	if (gate) {
		set_announces(object, gate->announces);
		error = bpf_map__reuse_fd(bpf_object__find_map_by_name(object, "amon_control"), gate->control);
	}
	if (!error)
		error = bpf_object__load(object);
	if (!error)
		return object;
	cannot_load(failure, error);
	bpf_object__close(object);
	errno = -error;
	return NULL;
}

/* Descriptors that outlive the object. */
static int keep(int fd)
{
	int kept = fcntl(fd, F_DUPFD_CLOEXEC, 0);

	return kept < 0 ? -errno : kept;
}

static int keep_map(const struct bpf_object *object, const char *name)
{
	return keep(bpf_object__find_map_fd_by_name(object, name));
}

static int keep_program(const struct bpf_object *object, const char *name)
{
	return keep(bpf_program__fd(bpf_object__find_program_by_name(object, name)));
}

int amon_gate_fill(const struct amon_gate *gate, uint32_t slot, int program)
{
	int error;

	if (program >= 0)
		return bpf_map_update_elem(gate->slots, &slot, &program, BPF_ANY);
	error = bpf_map_delete_elem(gate->slots, &slot);
	return error == -ENOENT ? 0 : error;
}

static int fill(const struct amon_gate *gate, const struct amon_gate_options *options)
{
	int error = 0;

	for (uint32_t slot = 0; slot < AMON_SLOTS && !error; slot++)
		if (options->programs[slot] >= 0)
			error = amon_gate_fill(gate, slot, options->programs[slot]);
	return error;
}

int amon_gate_open(enum amon_hook_kind kind, const struct amon_gate_options *options, struct amon_gate *gate,
                   struct amon_failure *failure)
{
	bool xdp = kind == AMON_HOOK_XDP;
	const char *name = xdp ? "amon_gate_xdp" : "amon_gate_tc";
	__attribute__((cleanup(close_object))) struct bpf_object *object = load(name, options, failure);
	int error;

	*gate = AMON_NO_GATE;
	if (!object)
		return -errno;
	gate->program = keep_program(object, name);
	gate->slots = keep_map(object, "amon_slots");
	if (xdp)
		gate->next = keep_map(object, "amon_next");
	if (gate->program < 0 || gate->slots < 0 || (xdp && gate->next < 0))
		error = -EMFILE;
	else
		error = fill(gate, options);
	if (!error)
		return 0;
	amon_gate_close(gate);
	return amon_fail(failure, error, "the kernel does not take the probe's programs into their slots: %s",
	                 strerror(-error));
}

void amon_gate_close(struct amon_gate *gate)
{
	amon_close(&gate->program);
	amon_close(&gate->slots);
	amon_close(&gate->next);
}

int amon_root_open(int *program, int *first, struct amon_failure *failure)
{
	__attribute__((cleanup(close_object))) struct bpf_object *object = load("amon_root", NULL, failure);

	if (!object)
		return -errno;
	*program = keep_program(object, "amon_root");
	*first = keep_map(object, "amon_first");
	return *program < 0 || *first < 0 ? amon_fail(failure, -EMFILE, "%s", strerror(EMFILE)) : 0;
}

bool amon_program_is(int program, const char *name)
{
	struct bpf_prog_info info = { 0 };
	uint32_t size = sizeof(info);

	return bpf_obj_get_info_by_fd(program, &info, &size) == 0 && strcmp(info.name, name) == 0;
}

static bool map_is(int map, const char *name)
{
	struct bpf_map_info info = { 0 };
	uint32_t size = sizeof(info);

	return bpf_obj_get_info_by_fd(map, &info, &size) == 0 && info.type == BPF_MAP_TYPE_PROG_ARRAY &&
	       strcmp(info.name, name) == 0;
}

int amon_program_map(int program, const char *name)
{
	uint32_t maps[MAPS_MAX];
	struct bpf_prog_info info = { .map_ids = (uintptr_t)maps, .nr_map_ids = MAPS_MAX };
	uint32_t size = sizeof(info);
	int error = bpf_obj_get_info_by_fd(program, &info, &size);

	for (uint32_t i = 0; !error && i < info.nr_map_ids && i < MAPS_MAX; i++) {
		AMON_CLOSES int map = bpf_map_get_fd_by_id(maps[i]);
		if (map >= 0 && map_is(map, name))
			return amon_take_fd(&map);
	}
	return error ? error : -ENOENT;
}

uint32_t amon_slot_program(int slot)
{
	uint32_t program = 0;

	return bpf_map_lookup_elem(slot, &(uint32_t){ 0 }, &program) ? 0 : program;
}

bool amon_slots_are_filled(int slots)
{
	uint32_t program;

	for (uint32_t slot = 0; slot < AMON_SLOTS; slot++)
		if (bpf_map_lookup_elem(slots, &slot, &program) == 0)
			return true;
	return false;
}

int amon_hook_sweep(const char *interface)
{
	int ifindex = (int)if_nametoindex(interface), xdp, tc;

	if (!ifindex)
		return -ENODEV;
	AMON_CLOSES int lock = amon_hook_lock(NULL);
	if (lock < 0)
		return lock;
	xdp = amon_xdp_sweep(ifindex);
	tc = amon_tc_sweep(ifindex);
	return xdp < 0 ? xdp : tc < 0 ? tc : xdp + tc;
}
