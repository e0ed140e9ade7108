/* SPDX-License-Identifier: Apache-2.0 */
#include "chain.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cleanup.h"
#include "kernel.h"
#include "listen.h"

static void close_node(struct amon_chain_node *node)
{
	amon_close(&node->gate);
	amon_close(&node->next);
}

void amon_chain_close(struct amon_chain *chain)
{
	amon_close(&chain->root);
	amon_close(&chain->first);
	for (uint32_t i = 0; i < chain->count; i++)
		close_node(&chain->nodes[i]);
}

uint32_t amon_map_id(int map)
{
	struct bpf_map_info info = { 0 };
	uint32_t size = sizeof(info);

	return bpf_obj_get_info_by_fd(map, &info, &size) ? 0 : info.id;
}

uint32_t amon_program_id(int program)
{
	struct bpf_prog_info info = { 0 };
	uint32_t size = sizeof(info);

	return bpf_obj_get_info_by_fd(program, &info, &size) ? 0 : info.id;
}

static int open_node(uint32_t id, struct amon_chain_node *node)
{
	*node = (struct amon_chain_node){ .gate = bpf_prog_get_fd_by_id(id), .next = -1, .gate_id = id };
	if (node->gate < 0)
		return node->gate;
	AMON_CLOSES int slots = amon_program_map(node->gate, "amon_slots");
	node->next = amon_program_map(node->gate, "amon_next");
	if (slots < 0 || node->next < 0) {
		close_node(node);
		return -ENOENT;
	}
	node->next_id = amon_map_id(node->next);
	node->alive = amon_slots_are_filled(slots);
	return 0;
}

static int slot_before(const struct amon_chain *chain, uint32_t place)
{
	return place ? chain->nodes[place - 1].next : chain->first;
}

static int walk(const char *interface, struct amon_chain *chain, struct amon_failure *failure)
{
	uint32_t id;

	while (chain->count < AMON_CHAIN_MAX && (id = amon_slot_program(slot_before(chain, chain->count)))) {
		int error = open_node(id, &chain->nodes[chain->count]);
		if (error)
			return amon_fail(failure, error, "%s: the chain of probes cannot be read: %s", interface,
			                 strerror(-error));
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

static int open_root(const char *interface, struct amon_chain *chain, struct amon_failure *failure)
{
	chain->root = bpf_prog_get_fd_by_id(chain->root_id);
	if (chain->root == -EPERM)
		return amon_kernel_denied(failure);
	if (chain->root < 0)
		return amon_fail(failure, chain->root, "%s: its XDP program cannot be read: %s", interface,
		                 strerror(-chain->root));
	chain->first = amon_program_is(chain->root, "amon_root") ? amon_program_map(chain->root, "amon_first") : -1;
	return chain->first < 0 ? foreign(interface, chain->root, chain->root_id, failure)
	                        : walk(interface, chain, failure);
}

int amon_chain_open(const char *interface, int ifindex, struct amon_chain *chain, struct amon_failure *failure)
{
	LIBBPF_OPTS(bpf_xdp_query_opts, query);
	int error;

	*chain = (struct amon_chain){ .ifindex = ifindex, .root = -1, .first = -1 };
	snprintf(chain->directory, sizeof(chain->directory), AMON_PINS "/%llu-%d",
	         (unsigned long long)amon_kernel_netns(), ifindex);
	amon_listen();
	error = bpf_xdp_query(ifindex, 0, &query);
	if (error)
		return amon_fail(failure, error, "%s: %s", interface, strerror(-error));
	chain->mode = query.drv_prog_id ? AMON_XDP_NATIVE : AMON_XDP_GENERIC;
	chain->root_id = query.drv_prog_id ? query.drv_prog_id : query.skb_prog_id;
	return chain->root_id ? open_root(interface, chain, failure) : 0;
}

int amon_chain_append(const struct amon_chain *chain, int gate)
{
	return bpf_map_update_elem(slot_before(chain, chain->count), &(uint32_t){ 0 }, &gate, BPF_ANY);
}

static int link_around(const struct amon_chain *chain, uint32_t place)
{
	int before = slot_before(chain, place);

	if (place + 1 < chain->count)
		return bpf_map_update_elem(before, &(uint32_t){ 0 }, &chain->nodes[place + 1].gate, BPF_ANY);
	return bpf_map_delete_elem(before, &(uint32_t){ 0 });
}

/* Its neighbours are linked to each other first; its own way on stays until no packet can be on it. */
void amon_chain_remove(struct amon_chain *chain, uint32_t place)
{
	struct amon_chain_node *node = &chain->nodes[place];

	if (link_around(chain, place))
		return;
	amon_kernel_grace_period();
	amon_unpin_next(chain, node->next_id);
	close_node(node);
	chain->count--;
	memmove(node, node + 1, (chain->count - place) * sizeof(*node));
}

int amon_chain_remove_dead(struct amon_chain *chain)
{
	int removed = 0;

	for (uint32_t i = chain->count; i-- > 0;)
		if (!chain->nodes[i].alive) {
			amon_chain_remove(chain, i);
			removed++;
		}
	return removed;
}
