/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*@if at_most*/
/*
 * A bucket's index. Without the barriers the compiler leaves out a bound that it can prove and the verifier cannot, or goes
 * on with a copy of which the verifier does not know that it is bounded.
 */
static __always_inline __u64 at_most(__u64 index, __u64 last)
{
	asm volatile("" : "+r"(index));
	if (index > last)
		index = last;
	asm volatile("" : "+r"(index));
	return index;
}

/*@end*/
/*@if above*/
/* 1 where x > edge, else 0, without a branch: the verifier would follow both ways of each. (Hacker's Delight, 2-12) */
static __always_inline __u64 above(__s64 x, __s64 edge)
{
	__u64 d = (__u64)edge - (__u64)x;

	return (d ^ (((__u64)edge ^ (__u64)x) & (d ^ (__u64)edge))) >> 63;
}

/*@end*/
/*@if bit_length*/
/* Bits that x needs, 0 for 0, without a branch: smear the highest one down, count. (Hacker's Delight, 5-1) */
static __always_inline __u64 bit_length(__u64 x)
{
	x |= x >> 1;
	x |= x >> 2;
	x |= x >> 4;
	x |= x >> 8;
	x |= x >> 16;
	x |= x >> 32;
	x -= x >> 1 & 0x5555555555555555;
	x = (x & 0x3333333333333333) + (x >> 2 & 0x3333333333333333);
	x = (x + (x >> 4)) & 0x0f0f0f0f0f0f0f0f;
	return x * 0x0101010101010101 >> 56;
}

/* x - 1, and 0 for what is 0 or negative. */
static __always_inline __u64 less_one(__s64 x)
{
	__s64 y = (x & ~(x >> 63)) - 1;

	return y & ~(y >> 63);
}

/*@end*/
/*@if bucket_log2*/
/* Upper edges 1, 2, 4 … 2^63. */
static __always_inline __u64 bucket_log2(__s64 x)
{
	return bit_length(less_one(x));
}

/*@end*/
/*@if bucket_loglinear*/
/* Each power of two is cut into 2^bits. */
static __always_inline __u64 bucket_loglinear(__s64 x, __u32 bits)
{
	__u64 y = less_one(x), octave = bit_length(y >> bits);
	__u64 shift = octave + (-(__s64)octave >> 63);

	return (octave << bits) + (y >> shift & ((1ull << bits) - 1));
}

/*@end*/
/*@if bucket_linear*/
/* Upper edges low, low + step …; the caller cuts what is above the last. */
static __always_inline __u64 bucket_linear(__s64 x, __s64 low, __u64 step)
{
	__u64 distance = ((__u64)x - (__u64)low) & -above(x, low);

	return distance / step + (distance % step + step - 1) / step;
}

/*@end*/
/*@if bucket_edges*/
/* A binary search without branches in a table of a power of two, its end filled with the highest number. */
static __always_inline __u64 bucket_edges(__s64 x, const __s64 *edges, __u32 size)
{
	__u64 i = 0;
	__u32 step;

	for (step = size / 2; step; step /= 2)
		i += step & -above(x, edges[(i + step - 1) & (size - 1)]);
	return i;
}

/*@end*/
