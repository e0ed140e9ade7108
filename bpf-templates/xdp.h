/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
struct xdp_md {
	__u32 data, data_end, data_meta, ingress_ifindex, rx_queue_index, egress_ifindex;
};
enum { XDP_PASS = 2 };
