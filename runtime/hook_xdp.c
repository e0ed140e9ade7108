/* SPDX-License-Identifier: Apache-2.0 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/if_link.h>
#include <string.h>

#include "chain.h"
#include "cleanup.h"
#include "kernel.h"
#include "listen.h"

/* The root */

static int link_root(int root, int ifindex, enum amon_xdp_mode mode)
{
	LIBBPF_OPTS(bpf_link_create_opts, options,
	            .flags = mode == AMON_XDP_NATIVE ? XDP_FLAGS_DRV_MODE : XDP_FLAGS_SKB_MODE);

	if (mode == AMON_XDP_NATIVE && amon_kernel_lacks(AMON_CAN_NATIVE_XDP))
		return -EOPNOTSUPP;
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

static int cannot_pin(const struct amon_chain *chain, int error, struct amon_failure *failure)
{
	if (error == -EPERM)
		return amon_kernel_denied(failure);
	return amon_fail(failure, error, "%s cannot be written: %s", chain->directory, strerror(-error));
}

/* What is pinned of an earlier root, of an interface that had this number, goes first. */
static int make_root(const char *interface, struct amon_chain *chain, enum amon_xdp_mode mode,
                     struct amon_failure *failure)
{
	int error = amon_root_open(&chain->root, &chain->first, failure);

	if (error)
		return error;
	AMON_CLOSES int link = link_root_as(interface, chain->ifindex, chain->root, &mode, failure);
	if (link < 0)
		return link;
	chain->mode = mode;
	chain->root_id = amon_program_id(chain->root);
	amon_unpin_all(chain->directory);
	error = amon_pin_root(chain, link);
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
	return errno == EPERM ? -EPERM : -ENOENT;
}

/* Detached by force, whoever else still has it pinned. */
static void remove_root(const struct amon_chain *chain)
{
	AMON_CLOSES int link = find_link(chain->root_id);

	if (link >= 0)
		bpf_link_detach(link);
	amon_unpin_all(chain->directory);
}

static int remove_empty_root(const struct amon_chain *chain)
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
static int pin_chain(const struct amon_chain *chain)
{
	AMON_CLOSES int link = find_link(chain->root_id);
	int error = link < 0 ? link : amon_pin_root(chain, link);

	return error ? error : amon_pin_nodes(chain);
}

static int append(struct amon_chain *chain, const struct amon_gate *gate, struct amon_failure *failure)
{
	int error = pin_chain(chain);

	if (!error)
		error = amon_pin_next(chain, gate->next, amon_map_id(gate->next));
	if (error)
		return cannot_pin(chain, error, failure);
	error = amon_chain_append(chain, gate->program);
	return error ? amon_fail(failure, error, "the chain of probes cannot be changed: %s", strerror(-error)) : 0;
}

static const char *mode_name(enum amon_xdp_mode mode)
{
	return mode == AMON_XDP_NATIVE ? "native" : "generic";
}

static int check_mode(const char *interface, const struct amon_chain *chain, enum amon_xdp_mode mode,
                      struct amon_failure *failure)
{
	if (mode == AMON_XDP_ANY || mode == chain->mode)
		return 0;
	return amon_fail(failure, -EBUSY,
	                 "%s: other probes hold XDP in %s mode, and %s is asked for; an interface has one mode",
	                 interface, mode_name(chain->mode), mode_name(mode));
}

static int enter(const char *interface, struct amon_chain *chain, enum amon_xdp_mode mode, struct amon_failure *failure)
{
	amon_chain_remove_dead(chain);
	if (chain->root >= 0 && !chain->count && check_mode(interface, chain, mode, NULL)) {
		remove_root(chain);
		amon_chain_close(chain);
	}
	if (chain->root < 0)
		return make_root(interface, chain, mode, failure);
	if (chain->count == AMON_CHAIN_MAX)
		return amon_fail(failure, -ENOSPC,
		                 "%s: %d probes are on XDP, no more fit (a packet may pass 33 programs)", interface,
		                 AMON_CHAIN_MAX);
	return check_mode(interface, chain, mode, failure);
}

int amon_xdp_attach(const char *interface, int ifindex, enum amon_xdp_mode mode,
                    const struct amon_gate_options *options, struct amon_xdp *xdp, struct amon_failure *failure)
{
	__attribute__((cleanup(amon_chain_close))) struct amon_chain chain;
	int error = amon_chain_open(interface, ifindex, &chain, failure);

	*xdp = (struct amon_xdp){ .ifindex = ifindex, .gate = AMON_NO_GATE };
	if (!error)
		error = enter(interface, &chain, mode, failure);
	if (error)
		return error;
	xdp->mode = chain.mode;
	error = amon_gate_open(AMON_HOOK_XDP, options, &xdp->gate, failure);
	if (!error)
		error = append(&chain, &xdp->gate, failure);
	if (error) {
		remove_empty_root(&chain);
		amon_gate_close(&xdp->gate);
	}
	return error;
}

void amon_xdp_detach(struct amon_xdp *xdp)
{
	__attribute__((cleanup(amon_chain_close))) struct amon_chain chain;
	uint32_t gate = amon_program_id(xdp->gate.program);
	int error = amon_chain_open("", xdp->ifindex, &chain, NULL);

	for (uint32_t i = 0; i < chain.count && !error; i++)
		if (chain.nodes[i].gate_id == gate)
			amon_chain_remove(&chain, i);
	/* where the interface is gone, or another took amon from it, the pins hold nothing any more */
	if (error || chain.root < 0)
		amon_unpin_gone();
	else
		remove_empty_root(&chain);
	amon_gate_close(&xdp->gate);
}

int amon_xdp_native(const char *interface, int ifindex, struct amon_failure *failure)
{
	__attribute__((cleanup(amon_chain_close))) struct amon_chain chain;
	enum amon_xdp_mode mode = AMON_XDP_NATIVE;
	int error = amon_chain_open(interface, ifindex, &chain, failure);

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

int amon_xdp_sweep(int ifindex)
{
	__attribute__((cleanup(amon_chain_close))) struct amon_chain chain;
	int removed;

	amon_unpin_gone();
	/* a foreign program on the hook: nothing of amon's can be there */
	if (amon_chain_open("", ifindex, &chain, NULL) || chain.root < 0)
		return 0;
	removed = amon_chain_remove_dead(&chain);
	removed += amon_unpin_unknown(&chain);
	return removed + remove_empty_root(&chain);
}
