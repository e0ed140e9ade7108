/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Most packets are Ethernet, IP without options or extension headers, in one piece, and TCP or UDP, whole and in place.
 * They are read in few steps and without a call. Of all others this is false: they are parse()'s, from the start.
 */
/*@if WALK_TCP*/
static __always_inline bool plain_tcp(struct cursor *c)
{
	const struct tcp *h = in_place(c, c->at, sizeof(*h));

	return h && c->at + sizeof(*h) <= c->ip_end && read_tcp(c, h) == WHOLE;
}

/*@end*/
/*@if WALK_UDP*/
static __always_inline bool plain_udp(struct cursor *c)
{
	const struct udp *h = in_place(c, c->at, sizeof(*h));

	if (!h || c->at + sizeof(*h) > c->ip_end)
		return 0;
	read_udp(c, h);
	return 1;
}

/*@end*/
/*@if WALK_L4*/
static __always_inline bool plain_transport(struct cursor *c)
{
	/*@if SLICES*/
	c->limit = c->ip_end < c->captured ? c->ip_end : c->captured;
	/*@end*/
	/*@if WALK_TCP*/
	if (likely(c->proto == 6))
		return plain_tcp(c);
	/*@end*/
	/*@if WALK_UDP*/
	if (c->proto == 17)
		return plain_udp(c);
	/*@end*/
	/*@if WALK_SCTP*/
	if (c->proto == 132)
		return 0;
	/*@end*/
	/*@if WALK_ICMP*/
	if (c->proto == 1)
		return 0;
	/*@end*/
	/*@if WALK_ICMPV6*/
	if (c->proto == 58)
		return 0;
	/*@end*/
	/* no other is read */
	return 1;
}

/*@end*/
/*@if WALK_IPV4*/
static __always_inline bool plain_ipv4(struct cursor *c)
{
	const struct ipv4 *h = in_place(c, c->at, sizeof(*h));

	if (!h || h->version_ihl != 0x45 || h->frag_off & htons(0x3fff) || !h->tot_len)
		return 0;
	if (read_ipv4(c, h, sizeof(*h)) != WHOLE)
		return 0;
	/*@if WALK_L4*/
	return plain_transport(c);
	/*@else*/
	return 1;
	/*@end*/
}

/*@end*/
/*@if WALK_IPV6*/
static __always_inline bool plain_ipv6(struct cursor *c)
{
	const struct ipv6 *h = in_place(c, c->at, sizeof(*h));

	if (!h || read_ipv6(c, h) != WHOLE)
		return 0;
	/*@if WALK_EXTENSIONS*/
	if (c->proto != 6 && c->proto != 17 && is_extension(c->proto))
		return 0;
	/*@end*/
	/*@late IPV6*/
	/*@if WALK_L4*/
	return plain_transport(c);
	/*@else*/
	return 1;
	/*@end*/
}

/*@end*/
static __always_inline bool plain(struct cursor *c)
{
	/* an IP header has 20 bytes at least */
	const struct ethernet *h = in_place(c, 0, sizeof(*h) + 20);

	/*@if TAG_IN_SKB*/
	if (!h || tag_in_skb(c))
		return 0;
	/*@else*/
	if (!h)
		return 0;
	/*@end*/
	read_ethernet(c, h);
	/*@if WALK_IPV4*/
	if (c->type == 0x0800)
		return plain_ipv4(c);
	/*@end*/
	/*@if WALK_IPV6*/
	if (c->type == 0x86dd)
		return plain_ipv6(c);
	/*@end*/
	return 0;
}
