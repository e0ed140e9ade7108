/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*@if highest*/
/* The greatest so far, kept in as many bytes as it needs: 0 is where it begins. */
#define highest(kept, x)                                                                                               \
	do {                                                                                                           \
		typeof(kept) it = (x);                                                                                 \
		if (it > (kept))                                                                                       \
			(kept) = it;                                                                                   \
	} while (0)

/*@end*/
/*@if lowest*/
/* The lowest so far: its complement is kept, which is the greatest, and begins with 0. */
#define lowest(kept, x)                                                                                                \
	do {                                                                                                           \
		typeof(kept) it = (x);                                                                                 \
		it = ~it;                                                                                              \
		if (it > (kept))                                                                                       \
			(kept) = it;                                                                                   \
	} while (0)

/*@end*/
/*@if highest_signed*/
/* Of numbers that may be negative: `has` tells whether there was one. */
#define highest_signed(kept, has, x)                                                                                   \
	do {                                                                                                           \
		__s64 it = (x);                                                                                        \
		if (!(has) || it > (kept))                                                                             \
			(kept) = it;                                                                                   \
	} while (0)

/*@end*/
/*@if lowest_signed*/
/* Of numbers that may be negative: `has` tells whether there was one. */
#define lowest_signed(kept, has, x)                                                                                    \
	do {                                                                                                           \
		__s64 it = (x);                                                                                        \
		if (!(has) || it < (kept))                                                                             \
			(kept) = it;                                                                                   \
	} while (0)

/*@end*/
/*@if is_first*/
/* True where this packet is the first so far, and its time is kept, as a complement; a tie is not earlier. */
static __always_inline bool is_first(__u64 *time, __u64 now)
{
	if (~now <= *time)
		return 0;
	*time = ~now;
	return 1;
}

/*@end*/
/*@if is_last*/
/* True where this packet is the last so far, and its time is kept; a tie is later. */
static __always_inline bool is_last(__u64 *time, __u64 now)
{
	if (now < *time)
		return 0;
	*time = now;
	return 1;
}

/*@end*/
