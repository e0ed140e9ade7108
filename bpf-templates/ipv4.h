/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
struct ipv4 {
	__u8 version_ihl, tos;
	__be16 tot_len, id, frag_off;
	__u8 ttl, protocol;
	__be16 check;
	__be32 saddr, daddr;
};

/* A header of `size` bytes, its options included. */
static __always_inline __u32 read_ipv4(struct cursor *c, const struct ipv4 *h, __u32 size)
{
	/* a sender that leaves segmentation to the card may leave the length out */
	__u32 length = ntohs(h->tot_len) ?: c->wire - c->at;

	/*@layer IPV4*/
	/*@fields IPV4*/
	if (length < size)
		return IP_LENGTH;
	c->proto = h->protocol;
	c->fragment = h->frag_off & htons(0x3fff);
	c->later = h->frag_off & htons(0x1fff);
	c->ip_end = c->at + length;
	c->at += size;
	return WHOLE;
}

static __always_inline __u32 ipv4(struct cursor *c)
{
	struct ipv4 copy;
	const struct ipv4 *h = header(c, c->at, &copy, sizeof(copy));
	__u32 size;

	if (!h)
		return IP_TRUNCATED;
	size = (h->version_ihl & 15) * 4;
	if (h->version_ihl >> 4 != 4 || size < sizeof(*h))
		return IP_HEADER;
	if (c->at + size > c->captured)
		return IP_TRUNCATED;
	return read_ipv4(c, h, size);
}
