/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
struct sctp {
	__be16 source, dest;
	__be32 tag, check;
};

static __always_inline __u32 sctp(struct cursor *c)
{
	struct sctp copy;
	const struct sctp *h;

	if (c->at + sizeof(*h) > c->limit)
		return SCTP_TRUNCATED;
	h = bytes_at(c, c->at, &copy, sizeof(copy));
	if (!h)
		return SCTP_TRUNCATED;
	/*@layer SCTP*/
	/*@fields SCTP*/
	/*@if L4_LEN*/
	c->at += sizeof(*h);
	payload_of(c);
	/*@end*/
	return 0;
}
