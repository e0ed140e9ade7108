/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What may stand between Ethernet and the rest. */
static __always_inline __u32 link(struct cursor *c)
{
	__u32 cause;

	c->at = sizeof(struct ethernet);
	c->type = c->p->type;
	cause = vlan(c);
	/*@if LINK*/
	if (!cause && c->type == 0x8864)
		cause = pppoe(c);
	else if (!cause && c->type == 0x8847)
		cause = mpls(c);
	/*@end*/
	c->p->at = c->at;
	c->p->type = c->type;
	return cause;
}

/*@apart link*/
/* Most packets have nothing of it. All that may stand there has a higher type than IPv4. */
static __always_inline __u32 walk_link(struct cursor *c)
{
	__u32 cause;

	/*@if TAG_IN_SKB*/
	if (likely((c->type < 0x8100 || c->type == 0x86dd) && !tag_in_skb(c)))
		return WHOLE;
	/*@else*/
	if (likely(c->type < 0x8100 || c->type == 0x86dd))
		return WHOLE;
	/*@end*/
	c->p->type = c->type;
	cause = link_apart(c);
	c->at = bounded(c->p->at);
	c->type = c->p->type;
	return cause;
}
