/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AMON_ATTACHED_H
#define AMON_ATTACHED_H

#include "hook.h"
#include "probe.h"

/* How a probe hangs on an interface: what attach.c makes, and deployment.c pins and finds again. */
struct amon_attached {
	int ifindex;
	struct amon_xdp xdp;
	struct amon_tc tc[2]; /* ingress, egress */
	struct amon_attached_hook hooks[AMON_HOOK_COUNT];
	uint32_t hook_count;
};

/** Nothing hangs anywhere yet. */
static inline void amon_attached_init(struct amon_attached *attached, int ifindex)
{
	*attached = (struct amon_attached){ .ifindex = ifindex,
		                            .xdp.gate = AMON_NO_GATE,
		                            .tc = { { .gate = AMON_NO_GATE, .link = -1 },
		                                    { .gate = AMON_NO_GATE, .link = -1 } } };
}

static inline struct amon_gate *amon_attached_gate(struct amon_attached *attached, enum amon_hook_kind kind)
{
	return kind == AMON_HOOK_XDP ? &attached->xdp.gate : &attached->tc[kind == AMON_HOOK_TC_EGRESS].gate;
}

/** The hook is in use. */
bool amon_attached_has(const struct amon_attached *attached, enum amon_hook_kind kind);
/**
 * Hangs one more of a probe's programs there, its clones in the slots of a pair. Under the hooks' lock. 0 or -errno.
 */
int amon_attached_add(struct amon_attached *attached, const struct amon_loaded *loaded, const char *interface,
                      enum amon_hook_kind kind, unsigned int pair, struct amon_failure *failure);
/** Takes one hook off. Under the hooks' lock. */
void amon_attached_remove(struct amon_attached *attached, enum amon_hook_kind kind);

#endif
