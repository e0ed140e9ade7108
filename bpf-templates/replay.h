/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* In a replay the capture gives time and lengths; the verifier drops what this guards elsewhere. */
const volatile __u32 amon_replay;
struct {
	__u64 time;
	__u32 length, captured;
} amon_frame SEC(".data.replay");
