/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The kernel's, which it finds by this name in the value of a map. */
struct bpf_spin_lock {
	__u32 val;
};
