/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
struct vlan {
	__be16 tci, type;
};

static __always_inline bool is_vlan(__u16 type)
{
	return type == 0x8100 || type == 0x88a8 || type == 0x9100;
}

/*@if VLAN_FIELDS*/
static __always_inline void vlan_tag(struct cursor *c, __u32 tag)
{
	/*@if VLAN_OUTER*/
	if (tag == 0) {
		/*@layer VLAN*/
		/*@if VLAN_TYPE*/
		if (c->type > 1500)
			c->layers |= VLAN_TYPE;
		/*@end*/
		/*@fields VLAN VLAN_TYPE*/
	}
	/*@end*/
	/*@if VLAN_INNER_FIELDS*/
	if (tag == 1) {
		/*@layer VLAN_INNER*/
		/*@if VLAN_INNER_TYPE*/
		if (c->type > 1500)
			c->layers |= VLAN_INNER_TYPE;
		/*@end*/
		/*@fields VLAN_INNER VLAN_INNER_TYPE*/
	}
	/*@end*/
}

/*@end*/
/* Two tags at most; at TC the outer one may have been taken out of the frame. */
static __always_inline __u32 vlan(struct cursor *c)
{
	__u32 tag;

	for (tag = 0; tag < 2; tag++) {
		const struct vlan *h;
		__u64 copy;

		/*@if TAG_IN_SKB*/
		if (tag == 0 && tag_in_skb(c)) {
			/*@if eth_type*/
			c->p->eth_type = ntohs(((struct __sk_buff *)c->ctx)->vlan_proto);
			/*@end*/
			/*@if VLAN_FIELDS*/
			c->tci = ((struct __sk_buff *)c->ctx)->vlan_tci;
			vlan_tag(c, 0);
			/*@end*/
			continue;
		}
		/*@end*/
		if (!is_vlan(c->type))
			return WHOLE;
		h = header(c, c->at, &copy, sizeof(*h));
		if (!h)
			return VLAN_TRUNCATED;
		c->type = ntohs(h->type);
		c->at += sizeof(*h);
		/*@if VLAN_FIELDS*/
		c->tci = ntohs(h->tci);
		vlan_tag(c, tag);
		/*@end*/
	}
	return WHOLE;
}
