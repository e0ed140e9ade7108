/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * In a replay the capture gives time, lengths and direction; the verifier drops what this guards elsewhere. 2: all but
 * the time, so that what the clock costs is measured, too.
 */
const volatile __u32 amon_replay;
volatile struct {
	__u64 time;
	__u32 length, captured;
	__u32 direction; /* 1 in, 2 out; 0 unknown: a section counts the packet at its first hook alone */
} amon_frame SEC(".data.replay");
