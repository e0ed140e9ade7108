/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AMON_CHAIN_H
#define AMON_CHAIN_H

#include "hook.h"

/* The chain of probes on an interface's XDP hook, as the kernel has it, and its pins in bpffs. Under the hooks' lock.
 */

/* Each probe takes two of the 33 tail calls that a packet may make. */
#define AMON_CHAIN_MAX 16
#define AMON_PINS      "/sys/fs/bpf/amon/xdp"

/* One probe on the hook, whichever process has it. */
struct amon_chain_node {
	int gate, next;
	uint32_t gate_id, next_id;
	bool alive;
};

struct amon_chain {
	int ifindex;
	char directory[64]; /* of the pins */
	int root, first;    /* -1: amon is not on this hook */
	uint32_t root_id;
	enum amon_xdp_mode mode;
	struct amon_chain_node nodes[AMON_CHAIN_MAX];
	uint32_t count;
};

/** 0 too where amon is not there. -EBUSY: a foreign program is. */
int amon_chain_open(const char *interface, int ifindex, struct amon_chain *chain, struct amon_failure *failure);
void amon_chain_close(struct amon_chain *chain);
/** Puts a gate behind all others. */
int amon_chain_append(const struct amon_chain *chain, int gate);
/** Takes a node out. Those before and behind it lose no packet: it waits until none can be inside. */
void amon_chain_remove(struct amon_chain *chain, uint32_t place);
/** Takes out those whose process is dead; their number. */
int amon_chain_remove_dead(struct amon_chain *chain);

uint32_t amon_program_id(int program);
uint32_t amon_map_id(int map);

/** Each returns 0 or -errno; what is pinned already is as good. */
int amon_pin_root(const struct amon_chain *chain, int link);
int amon_pin_next(const struct amon_chain *chain, int next, uint32_t id);
/** Pins what all nodes need to reach the last. */
int amon_pin_nodes(const struct amon_chain *chain);
void amon_unpin_next(const struct amon_chain *chain, uint32_t id);
void amon_unpin_all(const char *directory);
/** Removes pins that no node uses: a process died between pinning and linking. Their number. */
int amon_unpin_unknown(const struct amon_chain *chain);
/** Removes the pins of all interfaces that are gone. */
void amon_unpin_gone(void);

#endif
