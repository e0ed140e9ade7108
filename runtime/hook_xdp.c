/* SPDX-License-Identifier: Apache-2.0 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <dirent.h>
#include <errno.h>
#include <linux/if_link.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cleanup.h"
#include "hook.h"
#include "kernel.h"
#include "listen.h"

/* Each probe takes two of the 33 tail calls that a packet may make. */
#define PROBES_MAX 16
#define PINS       "/sys/fs/bpf/amon/xdp"

/* One probe on the hook, seen from any process. */
struct node {
	int gate, next;
	uint32_t gate_id, next_id;
	bool alive;
};

struct chain {
	int ifindex;
	char directory[64];
	int root, first; /* -1: amon is not on this hook */
	uint32_t root_id;
	enum amon_xdp_mode mode;
	struct node nodes[PROBES_MAX];
	uint32_t count;
};

/* Pins: what must outlive a process */

static void remove_pin(const char *directory, const char *name)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	unlink(path);
}

static void remove_directory(const char *directory)
{
	DIR *entries = opendir(directory);

	if (!entries)
		return;
	for (const struct dirent *entry; (entry = readdir(entries));)
		remove_pin(directory, entry->d_name);
	closedir(entries);
	rmdir(directory);
}

/* Where it is pinned already, that is as good. */
static int pin(const struct chain *chain, int fd, const char *name)
{
	char path[128];
	int error;

	snprintf(path, sizeof(path), "%s/%s", chain->directory, name);
	amon_listen();
	error = bpf_obj_pin(fd, path);
	return error == -EEXIST ? 0 : error;
}

static const char *next_name(uint32_t id, char name[static 32])
{
	snprintf(name, 32, "next-%u", id);
	return name;
}

static int pin_next(const struct chain *chain, int next, uint32_t id)
{
	char name[32];

	return pin(chain, next, next_name(id, name));
}

static int make_directory(const struct chain *chain)
{
	mkdir("/sys/fs/bpf/amon", 0700);
	mkdir(PINS, 0700);
	return mkdir(chain->directory, 0700) && errno != EEXIST ? -errno : 0;
}

/* The chain, as the kernel has it */

static void close_node(struct node *node)
{
	amon_close(&node->gate);
	amon_close(&node->next);
}

static void close_chain(struct chain *chain)
{
	amon_close(&chain->root);
	amon_close(&chain->first);
	for (uint32_t i = 0; i < chain->count; i++)
		close_node(&chain->nodes[i]);
}

static uint32_t map_id(int map)
{
	struct bpf_map_info info = { 0 };
	uint32_t size = sizeof(info);

	return bpf_obj_get_info_by_fd(map, &info, &size) ? 0 : info.id;
}

static uint32_t program_id(int program)
{
	struct bpf_prog_info info = { 0 };
	uint32_t size = sizeof(info);

	return bpf_obj_get_info_by_fd(program, &info, &size) ? 0 : info.id;
}

static int open_node(uint32_t id, struct node *node)
{
	*node = (struct node){ .gate = bpf_prog_get_fd_by_id(id), .next = -1, .gate_id = id };
	if (node->gate < 0)
		return node->gate;
	AMON_CLOSES int slot = amon_program_map(node->gate, "amon_slot");
	node->next = amon_program_map(node->gate, "amon_next");
	if (slot < 0 || node->next < 0) {
		close_node(node);
		return -ENOENT;
	}
	node->next_id = map_id(node->next);
	node->alive = amon_slot_program(slot);
	return 0;
}

static int slot_before(const struct chain *chain, uint32_t place)
{
	return place ? chain->nodes[place - 1].next : chain->first;
}

static int walk(struct chain *chain)
{
	uint32_t id;

	while (chain->count < PROBES_MAX && (id = amon_slot_program(slot_before(chain, chain->count)))) {
		int error = open_node(id, &chain->nodes[chain->count]);
		if (error)
			return error;
		chain->count++;
	}
	return 0;
}

static int foreign(const char *interface, int program, uint32_t id, struct amon_failure *failure)
{
	struct bpf_prog_info info = { 0 };
	uint32_t size = sizeof(info);

	bpf_obj_get_info_by_fd(program, &info, &size);
	return amon_fail(
	        failure, -EBUSY,
	        "%s: another XDP program is there (%s%s%sid %u) and is not replaced; write `ingress tc`, or remove "
	        "it by `ip link set dev %s xdp off`",
	        interface, *info.name ? "`" : "", info.name, *info.name ? "`, " : "", id, interface);
}

static int open_root(const char *interface, struct chain *chain, struct amon_failure *failure)
{
	chain->root = bpf_prog_get_fd_by_id(chain->root_id);
	if (chain->root == -EPERM)
		return amon_kernel_denied(failure);
	if (chain->root < 0)
		return amon_fail(failure, chain->root, "%s: its XDP program cannot be read: %s", interface,
		                 strerror(-chain->root));
	chain->first = amon_program_is(chain->root, "amon_root") ? amon_program_map(chain->root, "amon_first") : -1;
	return chain->first < 0 ? foreign(interface, chain->root, chain->root_id, failure) : walk(chain);
}

/* 0 too where amon is not there yet: then `root` is -1. */
static int open_chain(const char *interface, int ifindex, struct chain *chain, struct amon_failure *failure)
{
	LIBBPF_OPTS(bpf_xdp_query_opts, query);
	int error;

	*chain = (struct chain){ .ifindex = ifindex, .root = -1, .first = -1 };
	snprintf(chain->directory, sizeof(chain->directory), PINS "/%llu-%d", (unsigned long long)amon_kernel_netns(),
	         ifindex);
	amon_listen();
	error = bpf_xdp_query(ifindex, 0, &query);
	if (error)
		return amon_fail(failure, error, "%s: %s", interface, strerror(-error));
	chain->mode = query.drv_prog_id ? AMON_XDP_NATIVE : AMON_XDP_GENERIC;
	chain->root_id = query.drv_prog_id ? query.drv_prog_id : query.skb_prog_id;
	return chain->root_id ? open_root(interface, chain, failure) : 0;
}

/* The root */

static int link_root(int root, int ifindex, enum amon_xdp_mode mode)
{
	LIBBPF_OPTS(bpf_link_create_opts, options,
	            .flags = mode == AMON_XDP_NATIVE ? XDP_FLAGS_DRV_MODE : XDP_FLAGS_SKB_MODE);

	return bpf_link_create(root, ifindex, BPF_XDP, &options);
}

/* A link's failure comes without the driver's reason: the older way to attach tells it, and fails alike. */
static const char *reason(int root, int ifindex, enum amon_xdp_mode mode, int error)
{
	uint32_t flags = mode == AMON_XDP_NATIVE ? XDP_FLAGS_DRV_MODE : XDP_FLAGS_SKB_MODE;

	amon_listen();
	if (bpf_xdp_attach(ifindex, root, flags | XDP_FLAGS_UPDATE_IF_NOEXIST, NULL) == 0)
		bpf_xdp_detach(ifindex, flags, NULL);
	return *amon_heard_kernel() ? amon_heard_kernel() : strerror(-error);
}

static int cannot_link(const char *interface, int ifindex, int root, enum amon_xdp_mode mode, int error,
                       struct amon_failure *failure)
{
	if (error == -EPERM)
		return amon_kernel_denied(failure);
	return amon_fail(failure, error, "%s has no %s XDP: %s; write `ingress` or `ingress tc`", interface,
	                 mode == AMON_XDP_NATIVE ? "native" : "generic", reason(root, ifindex, mode, error));
}

/* Links the root in the mode that is asked for, *mode is then what it got. The link, or -errno. */
static int link_root_as(const char *interface, int ifindex, int root, enum amon_xdp_mode *mode,
                        struct amon_failure *failure)
{
	enum amon_xdp_mode first = *mode == AMON_XDP_GENERIC ? AMON_XDP_GENERIC : AMON_XDP_NATIVE;
	int link = link_root(root, ifindex, first);

	if (link < 0 && *mode == AMON_XDP_ANY && link != -EPERM) {
		first = AMON_XDP_GENERIC;
		link = link_root(root, ifindex, first);
	}
	*mode = first;
	return link < 0 ? cannot_link(interface, ifindex, root, first, link, failure) : link;
}

static int pin_root(const struct chain *chain, int link)
{
	int error = make_directory(chain);

	if (!error)
		error = pin(chain, link, "link");
	return error ? error : pin(chain, chain->first, "first");
}

static int cannot_pin(const struct chain *chain, int error, struct amon_failure *failure)
{
	return amon_fail(failure, error, "%s cannot be written: %s", chain->directory, strerror(-error));
}

/* What is pinned of an earlier root, of an interface that had this number, goes first. */
static int make_root(const char *interface, struct chain *chain, enum amon_xdp_mode mode, struct amon_failure *failure)
{
	int error = amon_root_open(&chain->root, &chain->first, failure);

	if (error)
		return error;
	AMON_CLOSES int link = link_root_as(interface, chain->ifindex, chain->root, &mode, failure);
	if (link < 0)
		return link;
	chain->mode = mode;
	chain->root_id = program_id(chain->root);
	remove_directory(chain->directory);
	error = pin_root(chain, link);
	return error ? cannot_pin(chain, error, failure) : 0;
}

/* The link of the root, which may be pinned in a file system that this process does not see. */
static int find_link(uint32_t root)
{
	for (uint32_t id = 0; bpf_link_get_next_id(id, &id) == 0;) {
		struct bpf_link_info info = { 0 };
		uint32_t size = sizeof(info);
		AMON_CLOSES int link = bpf_link_get_fd_by_id(id);

		if (link >= 0 && bpf_obj_get_info_by_fd(link, &info, &size) == 0 && info.type == BPF_LINK_TYPE_XDP &&
		    info.prog_id == root)
			return amon_take_fd(&link);
	}
	return -ENOENT;
}

/* Detached by force, whoever else still has it pinned. */
static void remove_root(const struct chain *chain)
{
	AMON_CLOSES int link = find_link(chain->root_id);

	if (link >= 0)
		bpf_link_detach(link);
	remove_directory(chain->directory);
}

/* Probes on the chain */

/* Its neighbours are linked to each other first; its own way on stays until no packet can be on it. */
static void remove_node(struct chain *chain, uint32_t place)
{
	struct node *node = &chain->nodes[place];
	int before = slot_before(chain, place);
	char name[32];

	if (place + 1 < chain->count)
		bpf_map_update_elem(before, &(uint32_t){ 0 }, &node[1].gate, BPF_ANY);
	else
		bpf_map_delete_elem(before, &(uint32_t){ 0 });
	amon_kernel_grace_period();
	remove_pin(chain->directory, next_name(node->next_id, name));
	close_node(node);
	chain->count--;
	memmove(node, node + 1, (chain->count - place) * sizeof(*node));
}

static int remove_dead(struct chain *chain)
{
	int removed = 0;

	for (uint32_t i = chain->count; i-- > 0;)
		if (!chain->nodes[i].alive) {
			remove_node(chain, i);
			removed++;
		}
	return removed;
}

static int remove_empty_root(const struct chain *chain)
{
	if (chain->root < 0 || chain->count)
		return 0;
	remove_root(chain);
	return 1;
}

/*
 * Everything ahead is pinned here as well, since those that pinned it first may have done so in another mount
 * namespace, which ends with them.
 */
static int pin_chain(const struct chain *chain)
{
	AMON_CLOSES int link = find_link(chain->root_id);
	int error = link < 0 ? link : pin_root(chain, link);

	for (uint32_t i = 0; i < chain->count && !error; i++)
		error = pin_next(chain, chain->nodes[i].next, chain->nodes[i].next_id);
	return error;
}

static int append(struct chain *chain, int next, const struct amon_gate *gate, struct amon_failure *failure)
{
	int error = pin_chain(chain);

	if (!error)
		error = pin_next(chain, next, map_id(next));
	if (error)
		return cannot_pin(chain, error, failure);
	error = bpf_map_update_elem(slot_before(chain, chain->count), &(uint32_t){ 0 }, &gate->program, BPF_ANY);
	return error ? amon_fail(failure, error, "the chain of probes cannot be changed: %s", strerror(-error)) : 0;
}

static const char *mode_name(enum amon_xdp_mode mode)
{
	return mode == AMON_XDP_NATIVE ? "native" : "generic";
}

static int check_mode(const char *interface, const struct chain *chain, enum amon_xdp_mode mode,
                      struct amon_failure *failure)
{
	if (mode == AMON_XDP_ANY || mode == chain->mode)
		return 0;
	return amon_fail(failure, -EBUSY,
	                 "%s: other probes hold XDP in %s mode, and %s is asked for; an interface has one mode",
	                 interface, mode_name(chain->mode), mode_name(mode));
}

static int enter(const char *interface, struct chain *chain, enum amon_xdp_mode mode, struct amon_failure *failure)
{
	remove_dead(chain);
	if (chain->root >= 0 && !chain->count && check_mode(interface, chain, mode, NULL)) {
		remove_root(chain);
		close_chain(chain);
	}
	if (chain->root < 0)
		return make_root(interface, chain, mode, failure);
	if (chain->count == PROBES_MAX)
		return amon_fail(failure, -ENOSPC,
		                 "%s: %d probes are on XDP, no more fit (a packet may pass 33 programs)", interface,
		                 PROBES_MAX);
	return check_mode(interface, chain, mode, failure);
}

int amon_xdp_attach(const char *interface, int ifindex, enum amon_xdp_mode mode, int program, int next,
                    struct amon_xdp *xdp, struct amon_failure *failure)
{
	__attribute__((cleanup(close_chain))) struct chain chain;
	int error = open_chain(interface, ifindex, &chain, failure);

	*xdp = (struct amon_xdp){ .ifindex = ifindex, .gate = { -1, -1 } };
	if (!error)
		error = enter(interface, &chain, mode, failure);
	if (error)
		return error;
	xdp->mode = chain.mode;
	error = amon_gate_open(AMON_HOOK_XDP, program, next, &xdp->gate, failure);
	if (!error)
		error = append(&chain, next, &xdp->gate, failure);
	if (error) {
		remove_empty_root(&chain);
		amon_gate_close(&xdp->gate);
	}
	return error;
}

void amon_xdp_detach(struct amon_xdp *xdp)
{
	__attribute__((cleanup(close_chain))) struct chain chain;
	uint32_t gate = program_id(xdp->gate.program);
	int error = open_chain("", xdp->ifindex, &chain, NULL);

	for (uint32_t i = 0; i < chain.count && !error; i++)
		if (chain.nodes[i].gate_id == gate)
			remove_node(&chain, i);
	/* the interface is gone, or another took amon from it: the pins hold nothing any more */
	if (error || chain.root < 0)
		remove_directory(chain.directory);
	else
		remove_empty_root(&chain);
	amon_gate_close(&xdp->gate);
}

int amon_xdp_native(const char *interface, int ifindex, struct amon_failure *failure)
{
	__attribute__((cleanup(close_chain))) struct chain chain;
	enum amon_xdp_mode mode = AMON_XDP_NATIVE;
	int error = open_chain(interface, ifindex, &chain, failure);

	if (error)
		return error;
	if (chain.root >= 0)
		return check_mode(interface, &chain, AMON_XDP_NATIVE, failure);
	error = amon_root_open(&chain.root, &chain.first, failure);
	if (error)
		return error;
	AMON_CLOSES int link = link_root_as(interface, ifindex, chain.root, &mode, failure);
	return link < 0 ? link : 0;
}

/* The sweep */

static bool knows_pin(const struct chain *chain, const char *pin)
{
	char name[32];

	for (uint32_t i = 0; i < chain->count; i++)
		if (strcmp(next_name(chain->nodes[i].next_id, name), pin) == 0)
			return true;
	return strncmp(pin, "next-", 5) != 0;
}

/* Of a process that died between pinning and linking. */
static int remove_unknown_pins(const struct chain *chain)
{
	DIR *entries = opendir(chain->directory);
	int removed = 0;

	if (!entries)
		return 0;
	for (const struct dirent *entry; (entry = readdir(entries));)
		if (!knows_pin(chain, entry->d_name)) {
			remove_pin(chain->directory, entry->d_name);
			removed++;
		}
	closedir(entries);
	return removed;
}

/* A pinned link whose interface is gone names none. */
static bool is_dead(const char *directory)
{
	struct bpf_link_info info = { 0 };
	uint32_t size = sizeof(info);
	char path[512];

	snprintf(path, sizeof(path), "%s/link", directory);
	AMON_CLOSES int link = bpf_obj_get(path);
	return link >= 0 && bpf_obj_get_info_by_fd(link, &info, &size) == 0 && info.xdp.ifindex == 0;
}

/* Of interfaces that are gone, whichever they were. */
static void remove_dead_directories(void)
{
	DIR *entries = opendir(PINS);

	if (!entries)
		return;
	for (const struct dirent *entry; (entry = readdir(entries));) {
		char directory[384];
		snprintf(directory, sizeof(directory), PINS "/%s", entry->d_name);
		if (entry->d_name[0] != '.' && is_dead(directory))
			remove_directory(directory);
	}
	closedir(entries);
}

int amon_xdp_sweep(int ifindex)
{
	__attribute__((cleanup(close_chain))) struct chain chain;
	int removed;

	remove_dead_directories();
	/* a foreign program on the hook: nothing of amon's can be there */
	if (open_chain("", ifindex, &chain, NULL) || chain.root < 0)
		return 0;
	removed = remove_dead(&chain);
	removed += remove_unknown_pins(&chain);
	return removed + remove_empty_root(&chain);
}
