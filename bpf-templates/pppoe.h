/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
struct pppoe {
	__u8 version_type, code;
	__be16 session_id, length, protocol;
};

static __always_inline __u32 pppoe(struct cursor *c)
{
	struct pppoe copy;
	const struct pppoe *h = header(c, c->at, &copy, sizeof(copy));

	if (!h)
		return PPPOE_TRUNCATED;
	/*@layer PPPOE*/
	/*@fields PPPOE*/
	c->type = h->protocol == htons(0x0021) ? 0x0800 : h->protocol == htons(0x0057) ? 0x86dd : 0;
	c->at += sizeof(*h);
	return 0;
}
