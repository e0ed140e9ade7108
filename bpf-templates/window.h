/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the probe shares with its readers: the number of the window that is open, above four bits of theirs. */
struct control {
	__u64 state, readers[7];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1); /* the probe's own has one more for each CPU */
	__type(key, __u32);
	__type(value, struct control);
} amon_control SEC(".maps");

/*@if window_number*/
/* Which of the probe's two clones this is: windows of even numbers are counted by 0, of odd ones by 1. */
const volatile __u32 amon_clone;

/* The number of the window that this packet belongs to. The next may have begun since its clone was called. */
static __always_inline __u64 window_number(void)
{
	__u32 zero = 0;
	const volatile struct control *control = bpf_map_lookup_elem(&amon_control, &zero);
	__u64 number = control ? control->state >> 4 : 1;

	return !amon_replay && ((number ^ amon_clone) & 1) ? number - 1 : number;
}
/*@end*/
/*@if is_sweeping*/

/* A reader is taking out what has ended. */
static __always_inline bool is_sweeping(void)
{
	__u32 zero = 0;
	const volatile struct control *control = bpf_map_lookup_elem(&amon_control, &zero);

	return control && (control->state >> 2 & 3) == 3;
}
/*@end*/
