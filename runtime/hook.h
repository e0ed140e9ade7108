/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AMON_HOOK_H
#define AMON_HOOK_H

#include <stdbool.h>
#include <stdint.h>

#include "bpf/control.h"
#include "compiler/exports.h"
#include "failure.h"

/*
 * What hangs on an interface's hooks (the programs are in bpf/dispatch.bpf.c). A gate stands before each probe's
 * clones and finds them in slots that only the probe's process holds, or its pins: with them goes what it did, however
 * the process dies.
 *
 * XDP has room for one program: amon's root, from which the gates form a chain. The root's link, the chain's first slot
 * and the slot behind every gate are pinned in bpffs, so that a process that dies cuts off nobody.
 * TC has room for many: a gate hangs on a TCX link, or where the kernel has none, on clsact.
 *
 * Unless it says otherwise, a function expects its caller to hold the lock.
 */

/** Waits for the lock under which hooks are changed (/run/amon/lock); a file descriptor to close, or -errno. */
int amon_hook_lock(struct amon_failure *failure);

struct amon_gate {
	int program, slots;
	int next; /* at XDP: the slot of what follows, else -1 */
};

#define AMON_NO_GATE ((struct amon_gate){ -1, -1, -1 })

/** What a gate needs: the probe's control map, whether to announce, and what to put into its slots. */
struct amon_gate_options {
	int control;
	bool announces;
	int programs[AMON_SLOTS]; /* -1: none */
};

/** Loads a gate and fills its slots. */
int amon_gate_open(enum amon_hook_kind kind, const struct amon_gate_options *options, struct amon_gate *gate,
                   struct amon_failure *failure);
/** Puts a program into a slot, which must not be in use; -1 empties it. 0 or -errno. */
int amon_gate_fill(const struct amon_gate *gate, uint32_t slot, int program);
/** Lets go of the slots; where they are not pinned, they are empty then. May be called twice; without the lock. */
void amon_gate_close(struct amon_gate *gate);
/** Loads amon's root for XDP: its program and the first slot of its chain, both the caller's. */
int amon_root_open(int *program, int *first, struct amon_failure *failure);

/** For programs that another process loaded: known by name, their maps by name too. -ENOENT: it has no such map. */
bool amon_program_is(int program, const char *name);
int amon_program_map(int program, const char *name);
/** The identifier of what is in a slot of one; 0 for nothing. */
uint32_t amon_slot_program(int slot);
/** True where a gate's slots hold any program. */
bool amon_slots_are_filled(int slots);

struct amon_xdp {
	int ifindex;
	struct amon_gate gate;
	enum amon_xdp_mode mode; /* native or generic */
};

/**
 * Attaches a gate behind those that are there already. -EBUSY: a foreign program has the hook, or amon's root is
 * there in the other mode; -ENOSPC: 16 probes are on it.
 */
int amon_xdp_attach(const char *interface, int ifindex, enum amon_xdp_mode mode,
                    const struct amon_gate_options *options, struct amon_xdp *xdp, struct amon_failure *failure);
/** Takes it out; those before and behind it lose no packet. */
void amon_xdp_detach(struct amon_xdp *xdp);
/** 0 where native XDP can be had, asked by attaching the root for a moment where it is not there yet. */
int amon_xdp_native(const char *interface, int ifindex, struct amon_failure *failure);
/** What dead processes left there is removed; the number of things, or -errno. */
int amon_xdp_sweep(int ifindex);

struct amon_tc {
	int ifindex;
	bool egress;
	struct amon_gate gate;
	int link;                  /* TCX; -1: clsact */
	uint32_t handle, priority; /* clsact */
};

int amon_tc_attach(const char *interface, int ifindex, bool egress, const struct amon_gate_options *options,
                   struct amon_tc *tc, struct amon_failure *failure);
void amon_tc_detach(struct amon_tc *tc);
int amon_tc_sweep(int ifindex);

/* The way by clsact (hook_clsact.c) */

/** Adds a filter, and the qdisc where there is none. */
int amon_clsact_attach(const char *interface, struct amon_tc *tc, struct amon_failure *failure);
void amon_clsact_detach(const struct amon_tc *tc);
int amon_clsact_sweep(int ifindex);

#endif
