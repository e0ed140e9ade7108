/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*@if lowest*/
static __always_inline void lowest(__s64 *value, __u8 *has, __s64 x)
{
	if (!*has || x < *value)
		*value = x;
	*has = 1;
}

/*@end*/
/*@if highest*/
static __always_inline void highest(__s64 *value, __u8 *has, __s64 x)
{
	if (!*has || x > *value)
		*value = x;
	*has = 1;
}

/*@end*/
/*@if is_first*/
/* True where this packet is the first so far; a tie is not earlier. */
static __always_inline bool is_first(__u64 *time, __u8 *has, __u64 now)
{
	if (*has && now >= *time)
		return 0;
	*time = now;
	*has = 1;
	return 1;
}

/*@end*/
/*@if is_last*/
/* True where this packet is the last so far; a tie is later. */
static __always_inline bool is_last(__u64 *time, __u8 *has, __u64 now)
{
	if (*has && now < *time)
		return 0;
	*time = now;
	*has = 1;
	return 1;
}

/*@end*/
