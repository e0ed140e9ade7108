/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
struct ethernet {
	__u8 dst[6], src[6];
	__be16 type;
};

static __always_inline void read_ethernet(struct cursor *c, const struct ethernet *h)
{
	c->type = ntohs(h->type);
	c->at = sizeof(*h);
	/*@layer ETH*/
	/*@if ETH_TYPE*/
	if (c->type >= 0x600 || !c->type)
		c->layers |= ETH_TYPE;
	/*@end*/
	/*@if ETH_LEN*/
	if (c->type && c->type <= 1500)
		c->layers |= ETH_LEN;
	/*@end*/
	/*@fields ETH ETH_TYPE ETH_LEN*/
}

static __always_inline __u32 ethernet(struct cursor *c)
{
	struct ethernet copy;
	const struct ethernet *h = header(c, 0, &copy, sizeof(copy));

	if (!h)
		return ETH_TRUNCATED;
	read_ethernet(c, h);
	return WHOLE;
}
