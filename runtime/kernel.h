/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AMON_KERNEL_H
#define AMON_KERNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "failure.h"

struct bpf_object;

/* What this kernel and this process can do, asked by doing, and the system calls that libbpf 1.1 does not wrap. */

/** 0, or -EPERM/-ENOSYS with a line that names the missing capability or kernel option. */
int amon_kernel_check(struct amon_failure *failure);
/** The line for a refusal with EPERM: it names the capabilities that this process lacks. Returns -EPERM. */
int amon_kernel_denied(struct amon_failure *failure);
/** What amon takes from a kernel that has it, and does without where one has not. */
enum amon_ability {
	AMON_CAN_BATCH,      /* batches that read and empty a hash */
	AMON_CAN_NATIVE_XDP, /* the driver's */
	AMON_CAN_TCX,        /* TCX links (6.6 and later) */
	AMON_CAN_RINGBUF,    /* ring buffers */
	AMON_CAN_OWN_ROWS,   /* tables in memory that user space has mapped */
	AMON_ABILITY_COUNT
};
/**
 * From here on this process takes the kernel for one that lacks what is listed, such as `no-tcx,no-batch`, and nothing
 * else: so tests go the ways of other kernels. -EINVAL, and a line, for a word that is none.
 */
int amon_kernel_pretend(const char *list, struct amon_failure *failure);
/** True where the kernel is taken for one that lacks it. */
bool amon_kernel_lacks(enum amon_ability ability);
/** TCX links exist. */
bool amon_kernel_has_tcx(void);
/** A TCX link behind all others (BPF_LINK_CREATE); a file descriptor or -errno. */
int amon_kernel_tcx_link(int program, int ifindex, bool egress);
/** Instructions that the verifier processed when it loaded a program; 0 where the kernel does not tell. */
uint32_t amon_kernel_verified_instructions(int program);
/** Waits until no program that was running at the call runs any more: it cannot see what was replaced before. 0 or
 * -errno. */
int amon_kernel_grace_period(void);
/** The first CPU that this process may run on. */
int amon_kernel_first_cpu(void);
/** Calls `run` on that CPU alone, so that what packets leave there is in the order in which they ran; its result. */
int amon_kernel_on_first_cpu(int (*run)(void *data), void *data);
/** Instructions of a program that is loaded, its functions' included; 0 where the kernel does not tell. */
uint32_t amon_kernel_instructions(int program);
/** A number for this process's network namespace that no other has or will have; 0 where the kernel does not tell. */
uint64_t amon_kernel_netns(void);
/** Mounts bpffs at /sys/fs/bpf where it is not mounted. 0 or -errno. */
int amon_kernel_bpffs(struct amon_failure *failure);
/** The interface's driver takes VLAN tags out of frames (ethtool's rx-vlan-offload). */
bool amon_kernel_strips_vlan(const char *interface);
/** True where the interface carries Ethernet frames. */
bool amon_kernel_is_ethernet(const char *interface);

#endif
