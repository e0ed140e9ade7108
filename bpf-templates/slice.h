/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*@if SLICES_APART*/
/*@slice_functions*/
/*@else*/
/* `width` bytes at `at`, big-endian; false where they are not all in the IP packet. */
static __always_inline bool slice(const struct cursor *c, __u32 at, __u32 width, __s64 *value)
{
	__u64 copy = 0, number = 0;
	const __u8 *h;
	__u32 i;

	at &= 0x7fff; /* for the verifier: a header chain ends before */
	if (at + width > c->limit)
		return 0;
	h = header(c, at, &copy, width);
	if (!h)
		return 0;
	for (i = 0; i < width; i++)
		number = number << 8 | h[i];
	*value = number;
	return 1;
}
/*@end*/
