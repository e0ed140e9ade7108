/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
struct icmp {
	__u8 type, code;
	__be16 check, ident, seq;
};

static __always_inline __u32 icmp(struct cursor *c)
{
	struct icmp copy;
	const struct icmp *h;

	if (c->at + sizeof(*h) > c->limit)
		return ICMP_TRUNCATED;
	h = bytes_at(c, c->at, &copy, sizeof(copy));
	if (!h)
		return ICMP_TRUNCATED;
	/*@layer ICMP*/
	/*@fields ICMP*/
	/*@if ICMP_ECHO*/
	/* queries and replies: echo, timestamp, information, address mask */
	if (h->type == 0 || h->type == 8 || (h->type >= 13 && h->type <= 18)) {
		c->layers |= ICMP_ECHO;
		/*@fields ICMP_ECHO*/
	}
	/*@end*/
	return 0;
}
