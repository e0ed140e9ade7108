/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AMON_PROBE_H
#define AMON_PROBE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "compiler/exports.h"
#include "direction.h"
#include "failure.h"
#include "maps.h"

struct bpf_map;
struct bpf_object;
struct amon_reader;

/*
 * The life of a probe: open the object, set its constants, load, attach, detach.
 *
 * What the object holds (compiler/plan.h makes it so):
 *   programs   named in the export table; SEC("xdp.frags") and SEC("tc")
 *   maps       named in the export table; some are to be doubled: each clone has its own
 *   constants  in .rodata (found by name in the object's BTF, absent where not needed):
 *              amon_replay     1: time, lengths and direction come from amon_frame, not from the hook; 2: all but the
 *                              time
 *              amon_ingress_tc 1: sections that say `ingress` alone are counted at TC, 0: at XDP
 *              amon_xdp_mode   1 native, 2 generic
 *              amon_frame_max  longer frames are told as `oversized` in the ledger; 0: none are
 *              amon_clone      which of the clones this is
 *   amon_control  the reader's memory (bpf/control.h), in objects that ask for the number of the window
 *   .data.replay  struct amon_frame amon_frame; read only where amon_replay is 1 (declare it volatile: clang reads
 * ahead)
 */
struct amon_frame {
	uint64_t time;     /* nanoseconds since 1970 */
	uint32_t length;   /* on the wire */
	uint32_t captured; /* bytes of it that are in the frame */
	/* enum amon_direction. UNKNOWN: a section counts the packet at its first hook alone. Else the packet comes only
	   through programs of its direction, and a section counts it at the hook that is there. */
	uint32_t direction;
};

struct amon_clone {
	struct bpf_object *object;
	int programs[AMON_HOOK_COUNT]; /* file descriptors, borrowed from object; -1: none, or not loaded */
};

struct amon_loaded {
	const struct amon_exports *exports; /* borrowed */
	bool replay, ingress_tc;
	bool measured; /* a replay by the machine's clock, into maps as an interface's */
	struct amon_clone clones[AMON_CLONES];
	uint32_t clone_count; /* 1 where there is nothing to double, and in a replay */
	struct amon_reader *reader;
};

/** What an interface makes of a probe's hooks. */
struct amon_choice {
	bool ingress_tc; /* `ingress` alone means TC: no native XDP there, or the NIC strips tags that the spec reads */
	bool xdp_generic;   /* XDP is generic there: a super-packet is one frame */
	uint32_t frame_max; /* generic XDP: longer frames than the MTU allows are super-packets; 0: not looked at */
};

struct amon_load_options {
	bool replay;
	bool measured;  /* with `replay`: the clock is read and rows lie as on an interface, so that times are true */
	bool announces; /* windows will be short, whatever the export table says */
	const struct amon_reader
	        *replaces; /* a probe that runs, whose place is taken: its control is shared. NULL: none */
	const struct amon_maps *inherited; /* and so are these maps, by their names: both or the shared descriptor */
	struct amon_choice choice;
	bool verbose; /* keep the verifier's log on success too */
};

/**
 * Opens and loads, once for each clone. Only programs that a hook of the export table needs are loaded. A verifier's
 * refusal gives its reason with the C line in failure->message and the whole log in failure->log (refusal.h reads it).
 * Returns 0, -EPERM, -ENOMEM, -EINVAL (not such an object), or what the kernel said.
 */
int amon_probe_load(const void *object, size_t size, const struct amon_exports *exports,
                    const struct amon_load_options *options, struct amon_loaded **loaded, struct amon_failure *failure);
/** The constants of a clone, amon's and those of a user's C: each clone has its own. */
bool amon_map_is_constants(const struct bpf_map *map);
/**
 * Gives the maps of an object that is open the sizes that this machine asks for, and the constants of this clone. 0, or
 * -EINVAL: it is not the export table's.
 */
int amon_probe_shape(struct bpf_object *object, const struct amon_exports *exports, unsigned int clone, bool replay);
void amon_probe_unload(struct amon_loaded *loaded);
static inline void amon_probe_cleanup(struct amon_loaded **loaded)
{
	amon_probe_unload(*loaded);
}

/** Where a section's hook really is: XDP or TC for `ingress` alone, as it was loaded. */
static inline enum amon_hook_kind amon_hook_in_use(const struct amon_loaded *loaded, const struct amon_hook *hook)
{
	return hook->choice && loaded->ingress_tc ? AMON_HOOK_TC_INGRESS : hook->kind;
}

/** A map of the first clone by its name: its file descriptor (borrowed), or -ENOENT. */
int amon_probe_map(const struct amon_loaded *loaded, const char *name);

/** How a loaded probe hangs on an interface. */
struct amon_attached;

/** What was chosen: for the JSON of a read and for warnings. */
struct amon_attached_hook {
	enum amon_hook_kind kind;
	enum amon_xdp_mode mode; /* XDP: native or generic */
};

/**
 * Decides what this interface makes of the probe's hooks, and refuses what cannot be
 * had there: no such interface, not Ethernet, no native XDP where it is written, a VLAN-stripping NIC under `ingress
 * xdp`.
 */
int amon_probe_choose(const struct amon_exports *exports, const char *interface, struct amon_choice *choice,
                      struct amon_failure *failure);

/**
 * Attaches all programs of the probe, or none. Other programs on the hook go on running; a foreign XDP program is an
 * error
 * (-EBUSY), never replaced. The attachment goes with the process, however it dies.
 */
int amon_probe_attach(struct amon_loaded *loaded, const char *interface, struct amon_attached **attached,
                      struct amon_failure *failure);
void amon_probe_detach(struct amon_attached *attached);
/** The hooks that are in use, `count` of them. */
const struct amon_attached_hook *amon_attached_hooks(const struct amon_attached *attached, uint32_t *count);
/** 0, or -ENODEV once the interface is gone (or was replaced by another of that name). */
int amon_attached_check(const struct amon_attached *attached);

/**
 * Removes what dead processes left on an interface (inert dispatchers, chain links). Every command that attaches calls
 * it. The number of things removed, or -errno.
 */
int amon_hook_sweep(const char *interface);

#endif
