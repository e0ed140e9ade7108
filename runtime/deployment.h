/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AMON_DEPLOYMENT_H
#define AMON_DEPLOYMENT_H

#include <net/if.h>

#include "reader.h"

/*
 * Probes that run without a process. What holds one is pinned in bpffs, a directory for each:
 *
 *   /sys/fs/bpf/amon/probes/NETNS-IFINDEX-NAME/
 *     control               bpf/control.h
 *     gate-HOOK, slots-HOOK, link-HOOK
 *     0/ or 1/              the pair of clones that runs:
 *       object              the built object itself, and so its export table, spec and C
 *       baseline, carry     of readers
 *       m-MAP, a-MAP, b-MAP shared, and of each clone
 *       from                only until it has taken over what the other pair had counted
 *
 * The directory's lock is held by who reads, replaces or removes the probe, and goes with its process.
 */

#define AMON_DEPLOYMENT_NAME 128

/** Of one that is there: NAME, and where it hangs. */
struct amon_deployed {
	char name[AMON_DEPLOYMENT_NAME];
	char interface[IF_NAMESIZE];
	int ifindex;
};

struct amon_deployment {
	struct amon_deployed at;
	char directory[256];
	int lock;     /* -1: none */
	void *object; /* malloc'd */
	size_t object_size;
	struct amon_attached *attached;
	bool ingress_tc;
};

/**
 * All probes of this network namespace, sorted by name and interface; malloc'd. What dead processes left half made, and
 * what hangs on interfaces that are gone, is removed first. The number, or -errno.
 */
int amon_deployed_list(struct amon_deployed **list, struct amon_failure *failure);
/** -EEXIST, and a line, where a probe of that name hangs on the interface already. */
int amon_deployment_check(const char *name, const char *interface, struct amon_failure *failure);
/** Leaves a probe running that was loaded and attached: it no longer needs the process. Takes `attached` where it
 * succeeds. 0 or -errno. */
int amon_deployment_create(const struct amon_loaded *loaded, struct amon_attached *attached, const void *object,
                           size_t object_size, const char *interface, struct amon_failure *failure);
/** Finds NAME or NAME@IFACE and takes its lock, waiting for it. -ENOENT; -ENOTUNIQ: several interfaces have one. */
int amon_deployment_open(const char *name, struct amon_deployment *deployment, struct amon_failure *failure);
void amon_deployment_close(struct amon_deployment *deployment);
/** What reads it, its maps open. */
int amon_deployment_reader(const struct amon_deployment *deployment, const struct amon_exports *exports,
                           struct amon_reader *reader, struct amon_failure *failure);
/** Detaches it and removes its pins. */
int amon_deployment_remove(struct amon_deployment *deployment, struct amon_failure *failure);

/** A probe for the place of one that runs. */
struct amon_replacement {
	const void *object;
	size_t object_size;
	const struct amon_exports *exports;
	struct amon_load_options load;
	bool dry_run; /* all but taking the place */
};
/**
 * Puts another probe in the place of one, in one step for all hooks, and no packet is lost: it is loaded first, and
 * where that fails nothing has changed. Features of both go on counting. -EBUSY: a window was cut and not read to its
 * end.
 */
int amon_deployment_replace(struct amon_deployment *deployment, const struct amon_exports *exports,
                            const struct amon_replacement *by, struct amon_failure *failure);

#endif
