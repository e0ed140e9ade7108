/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
struct udp {
	__be16 source, dest, length, check;
};

static __always_inline __u32 udp(struct cursor *c)
{
	struct udp copy;
	const struct udp *h;

	if (c->at + sizeof(*h) > c->limit)
		return UDP_TRUNCATED;
	h = bytes_at(c, c->at, &copy, sizeof(copy));
	if (!h)
		return UDP_TRUNCATED;
	/*@layer UDP*/
	/*@fields UDP*/
	/*@if PAYLOAD*/
	c->at += sizeof(*h);
	/*@if L4_LEN*/
	payload_of(c);
	/*@end*/
	/*@slices udp.payload*/
	/*@end*/
	return 0;
}
