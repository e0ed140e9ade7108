/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* `width` bytes at `at`, big-endian; false where they are not all in the IP packet. */
/*@if SLICE_NOINLINE*/
static __noinline bool slice(const struct cursor *c, __u32 at, __u32 width, __s64 *value)
/*@else*/
static __always_inline bool slice(const struct cursor *c, __u32 at, __u32 width, __s64 *value)
/*@end*/
{
	__u64 copy = 0;
	const __u8 *h;
	__u32 i;

	if (at > 32768 || at + width > c->limit)
		return 0;
	h = header(c, at, &copy, width);
	if (!h)
		return 0;
	copy = 0;
	for (i = 0; i < width; i++)
		copy = copy << 8 | h[i];
	*value = copy;
	return 1;
}
