/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
struct udp {
	__be16 source, dest, length, check;
};

static __always_inline void read_udp(struct cursor *c, const struct udp *h __maybe_unused)
{
	/*@layer UDP*/
	/*@fields UDP*/
	/*@if PAYLOAD*/
	c->at += sizeof(*h);
	/*@if L4_LEN*/
	payload_of(c);
	/*@end*/
	/*@slices udp.payload*/
	/*@end*/
}

static __always_inline __u32 udp(struct cursor *c)
{
	struct udp copy;
	const struct udp *h = 0;

	if (c->at + sizeof(*h) <= c->limit)
		h = bytes_at(c, c->at, &copy, sizeof(copy));
	if (!h)
		return UDP_TRUNCATED;
	read_udp(c, h);
	return WHOLE;
}
