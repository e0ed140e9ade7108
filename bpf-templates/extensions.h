/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
struct extension {
	__u8 next_header, length;
	__be16 offset_flags;
	__be32 id;
};

/* Hop-by-hop, routing, fragment, AH, destination, mobility, HIP, shim6 (RFC 7045). */
static __always_inline bool is_extension(__u8 proto)
{
	return proto == 0 || proto == 43 || proto == 44 || proto == 51 || proto == 60 || proto == 135 ||
	       proto == 139 || proto == 140;
}

/* Eight extension headers at most. */
static __always_inline __u32 extensions(struct cursor *c)
{
	/*@if FRAGHDR*/
	bool has_fraghdr = 0;
	/*@end*/
	__u32 i, cause = WHOLE;

	c->at = bounded(c->p->at);
	c->limit = c->p->limit;
	c->proto = c->p->proto;
	for (i = 0; i < 8 && !c->later && is_extension(c->proto); i++) {
		const struct extension *h = 0;
		__u64 copy;
		__u32 size;

		if (c->at + sizeof(*h) <= c->limit)
			h = bytes_at(c, c->at, &copy, sizeof(*h));
		if (!h) {
			cause = EXTENSION_TRUNCATED;
			break;
		}
		size = 8 + h->length * 8;
		if (c->proto == 51)
			size = 8 + h->length * 4;
		if (c->proto == 44) {
			size = 8;
			c->fragment |= (h->offset_flags & htons(0xfff9)) != 0;
			c->later = h->offset_flags & htons(0xfff8);
			/*@if FRAGHDR*/
			if (!has_fraghdr) {
				/*@layer FRAGHDR*/
				/*@fields FRAGHDR*/
				has_fraghdr = 1;
			}
			/*@end*/
		}
		/*@if HOPOPTS*/
		if (c->proto == 0 && c->at + size <= c->limit)
			c->layers |= HOPOPTS;
		/*@end*/
		/*@if ROUTING*/
		if (c->proto == 43 && c->at + size <= c->limit)
			c->layers |= ROUTING;
		/*@end*/
		/*@if AH*/
		/* its fixed part has twelve bytes, whatever its length says */
		if (c->proto == 51 && c->at + (size > 12 ? size : 12) <= c->limit)
			c->layers |= AH;
		/*@end*/
		/*@if DSTOPTS*/
		if (c->proto == 60 && c->at + size <= c->limit)
			c->layers |= DSTOPTS;
		/*@end*/
		c->proto = h->next_header;
		c->at = bounded(c->at + size);
	}
	c->p->at = c->at;
	c->p->proto = c->proto;
	c->p->fragment = c->fragment;
	c->p->later = c->later;
	return cause;
}

/*@apart extensions*/
static __always_inline __u32 walk_extensions(struct cursor *c)
{
	__u32 cause;

	c->p->at = c->at;
	c->p->limit = c->limit;
	c->p->proto = c->proto;
	cause = extensions_apart(c);
	c->at = bounded(c->p->at);
	c->proto = c->p->proto;
	c->fragment = c->p->fragment;
	c->later = c->p->later;
	return cause;
}
