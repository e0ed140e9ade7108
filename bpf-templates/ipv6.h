/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
struct ipv6 {
	__be32 version_flow;
	__be16 payload_len;
	__u8 next_header, hop_limit;
	__be32 saddr[4], daddr[4];
};

/*@if traffic_class*/
static __always_inline __u8 traffic_class(const struct ipv6 *h)
{
	return ntohl(h->version_flow) >> 20;
}

/*@end*/
static __always_inline __u32 read_ipv6(struct cursor *c, const struct ipv6 *h)
{
	if (ntohl(h->version_flow) >> 28 != 6)
		return IP_HEADER;
	c->length = ntohs(h->payload_len) + sizeof(*h);
	/* a payload length of 0 bounds nothing (RFC 2675, and big TCP) */
	c->ip_end = h->payload_len ? c->at + c->length : c->wire;
	/*@if SUPER*/
	if (!h->payload_len && is_super(c))
		c->length = c->wire - c->at;
	/*@end*/
	/*@layer IPV6*/
	/*@fields IPV6*/
	c->proto = h->next_header;
	c->fragment = c->later = 0;
	c->at += sizeof(*h);
	return WHOLE;
}

static __always_inline __u32 ipv6(struct cursor *c)
{
	struct ipv6 copy;
	const struct ipv6 *h = header(c, c->at, &copy, sizeof(copy));

	return h ? read_ipv6(c, h) : IP_TRUNCATED;
}
