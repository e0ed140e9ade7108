/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*@if quotient divide*/
/* x / 0 has no value, which callers see by y; C must not assume that it does not happen. */
static __always_inline __u64 quotient(__u64 x, __u64 y)
{
	return y ? x / y : 0;
}

/*@end*/
/*@if remainder modulo*/
static __always_inline __u64 remainder(__u64 x, __u64 y)
{
	return y ? x % y : 0;
}

/*@end*/
/*@if divide*/
/* Toward zero; eBPF before cpu v4 divides without sign only. */
static __always_inline __s64 divide(__s64 x, __s64 y)
{
	__u64 q = quotient(x < 0 ? -(__u64)x : (__u64)x, y < 0 ? -(__u64)y : (__u64)y);

	return (x < 0) != (y < 0) ? -q : q;
}

/*@end*/
/*@if modulo*/
/* The sign is x's. */
static __always_inline __s64 modulo(__s64 x, __s64 y)
{
	__u64 r = remainder(x < 0 ? -(__u64)x : (__u64)x, y < 0 ? -(__u64)y : (__u64)y);

	return x < 0 ? -r : r;
}

/*@end*/
/*@if add_square*/
/* sum += x * x * weight, in 128 bits: the product of four 32-bit halves, and a carry. */
static __always_inline void add_product(__u64 *sum, __u64 a, __u64 b)
{
	__u64 al = (__u32)a, ah = a >> 32, bl = (__u32)b, bh = b >> 32;
	__u64 middle = al * bh + (al * bl >> 32);
	__u64 low = a * b, high = ah * bh + (middle >> 32) + ((ah * bl + (__u32)middle) >> 32);

	sum[0] += low;
	sum[1] += high + (sum[0] < low);
}

static __always_inline void add_square(__u64 *sum, __s64 x, __u64 weight)
{
	__u64 magnitude = x < 0 ? -(__u64)x : (__u64)x, high = 0, square[2] = {};

	if (magnitude >> 32)
		add_product(square, magnitude, magnitude);
	else
		square[0] = magnitude * magnitude;
	high = square[1] * weight;
	add_product(sum, square[0], weight);
	sum[1] += high;
}

/*@end*/
/*@if mac_number*/
static __always_inline __u64 mac_number(const volatile __u8 *a)
{
	return (__u64)a[0] << 40 | (__u64)a[1] << 32 | (__u64)a[2] << 24 | (__u64)a[3] << 16 | (__u64)a[4] << 8 | a[5];
}

/*@end*/
/*@if same_address*/
static __always_inline bool same_address(const volatile __be32 *a, const volatile __be32 *b)
{
	return !((a[0] ^ b[0]) | (a[1] ^ b[1]) | (a[2] ^ b[2]) | (a[3] ^ b[3]));
}

/*@end*/
/*@if address_at_most*/
/* a <= b, both in network byte order. */
static __always_inline bool address_at_most(const volatile __be32 *a, const volatile __be32 *b)
{
	__u32 i;

	for (i = 0; i < 3; i++)
		if (a[i] != b[i])
			break;
	return ntohl(a[i]) <= ntohl(b[i]);
}

/*@end*/
