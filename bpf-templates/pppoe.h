/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
struct pppoe {
	__u8 version_type, code;
	__be16 session_id, length;
};

static __always_inline __u32 pppoe(struct cursor *c)
{
	struct pppoe copy;
	const struct pppoe *h = header(c, c->at, &copy, sizeof(copy));
	const __be16 *protocol;
	__be16 protocol_copy;

	c->type = 0;
	if (!h)
		return PPPOE_TRUNCATED;
	/*@layer PPPOE*/
	/*@fields PPPOE*/
	c->at += sizeof(*h);
	protocol = header(c, c->at, &protocol_copy, sizeof(protocol_copy));
	if (!protocol)
		return PPPOE_TRUNCATED;
	/*@layer PPP*/
	/*@fields PPP*/
	c->type = *protocol == htons(0x0021) ? 0x0800 : *protocol == htons(0x0057) ? 0x86dd : 0;
	c->at += sizeof(*protocol);
	return 0;
}
