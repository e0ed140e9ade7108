/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Where the parser is: `at` bytes into the frame, of which `captured` are there, `data` to `end` without a copy. */
struct cursor {
	void *ctx;
	struct packet *p;
	const void *data, *end;
	__u32 wire, captured, at;
	__u32 kept; /* by the capture that is replayed, in a frame that may be longer; without bound elsewhere */
	__u32 ip_end, limit; /* of the IP packet by its length, and of what is captured of it */
	__u32 length;	     /* of the IPv6 packet */
	__u16 tci;	     /* of the VLAN tag at hand */
	__u16 type;	     /* of what comes next, as in Ethernet */
	__u8 proto;	     /* as in IP */
	bool fragment, later;
	__u32 layers; /* found so far */
	/*@if FRAGHDR*/
	bool has_fraghdr;
	/*@end*/
	/*@if BOTH_HOOKS*/
	bool xdp;
	/*@end*/
};

/*@start*/
/*@access*/
/*
 * `size` bytes at `at`, within what there is of the frame: in place where they are linear, else copied. In a loop the
 * copy is a word of its own: the verifier would lose a counter that stands on the stack in the same one.
 */
static __always_inline const void *bytes_at(const struct cursor *c, __u32 at, void *copy, __u32 size)
{
	const void *h = c->data + at;

	if (likely(h + size <= c->end)) {
		__builtin_assume(h != 0);
		return h;
	}
	return load_bytes(c, at, copy, size) ? 0 : copy;
}

/* The same, or NULL past the end. */
static __always_inline const void *header(const struct cursor *c, __u32 at, void *copy, __u32 size)
{
	return at + size > c->kept ? 0 : bytes_at(c, at, copy, size);
}
/*@if PLAIN*/

/* The same, or NULL where they are not in place. */
static __always_inline const void *in_place(const struct cursor *c, __u32 at, __u32 size)
{
	const void *h = c->data + at;

	if (at + size > c->captured || h + size > c->end)
		return 0;
	__builtin_assume(h != 0);
	return h;
}
/*@end*/

/*@if PAIRS*/
/* Two words as one: what was stored in pieces is long in coming back from memory as a whole. */
typedef __u64 __attribute__((may_alias)) pair_t;

static __always_inline void store_pair(__be32 *to, __be32 first, __be32 second)
{
	__be32 pair[2] __aligned(8) = { first, second };

	*(pair_t *)to = *(const pair_t *)pair;
}

/*@end*/
/*@if ADDRESSES*/
static __always_inline void store_address(__be32 *to, const __be32 *from)
{
	store_pair(to, from[0], from[1]);
	store_pair(to + 2, from[2], from[3]);
}

/*@end*/
/*@if APART*/
/* What a function that is verified apart says of where to go on. No header is parsed beyond: a bound for the verifier. */
static __always_inline __u32 bounded(__u32 at)
{
	return at & 0x7fff;
}
/*@end*/
