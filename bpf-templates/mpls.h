/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Four labels at most; what is behind the last is told by its first half byte. */
static __always_inline __u32 mpls(struct cursor *c)
{
	__u32 label;

	c->type = 0;
	for (label = 0; label < 4; label++) {
		__u64 copy, first;
		const __be32 *h = header(c, c->at, &copy, sizeof(*h));
		const __u8 *next;
		__u32 entry;

		if (!h)
			return MPLS_TRUNCATED;
		entry = ntohl(*h);
		/*@if MPLS_FIELDS*/
		if (label == 0) {
			/*@layer MPLS*/
			/*@fields MPLS*/
		}
		/*@end*/
		c->at += sizeof(*h);
		next = header(c, c->at, &first, sizeof(*next));
		if (!next)
			return 0;
		if (entry & 0x100) {
			c->type = *next >> 4 == 4 ? 0x0800 : *next >> 4 == 6 ? 0x86dd : 0;
			return 0;
		}
	}
	return 0;
}
