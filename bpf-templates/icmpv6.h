/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
struct icmpv6 {
	__u8 type, code;
	__be16 check;
};
/*@if ICMPV6_ECHO*/
struct icmpv6_echo {
	struct icmpv6 icmpv6;
	__be16 ident, seq;
};

static __always_inline __u32 icmpv6_echo(struct cursor *c)
{
	struct icmpv6_echo copy;
	const struct icmpv6_echo *h;

	if (c->at + sizeof(*h) > c->limit)
		return ICMPV6_TRUNCATED;
	h = bytes_at(c, c->at, &copy, sizeof(copy));
	if (!h)
		return ICMPV6_TRUNCATED;
	/*@layer ICMPV6_ECHO*/
	/*@fields ICMPV6_ECHO*/
	return 0;
}
/*@end*/

static __always_inline __u32 icmpv6(struct cursor *c)
{
	struct icmpv6 copy;
	const struct icmpv6 *h;

	if (c->at + sizeof(*h) > c->limit)
		return ICMPV6_TRUNCATED;
	h = bytes_at(c, c->at, &copy, sizeof(copy));
	if (!h)
		return ICMPV6_TRUNCATED;
	/*@layer ICMPV6*/
	/*@fields ICMPV6*/
	/*@if ICMPV6_ECHO*/
	if (h->type == 128 || h->type == 129)
		return icmpv6_echo(c);
	/*@end*/
	return 0;
}
