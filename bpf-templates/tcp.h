/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
struct tcp {
	__be16 source, dest;
	__be32 seq, ack_seq;
	__be16 offset_flags, window, check, urgent;
};

static __always_inline __u32 read_tcp(struct cursor *c, const struct tcp *h)
{
	__u32 size = ntohs(h->offset_flags) >> 12 << 2;

	/*@layer TCP*/
	/*@fields TCP*/
	if (size < sizeof(*h) || c->at + size > c->ip_end)
		return TCP_LENGTH;
	/*@if PAYLOAD*/
	c->at += size;
	/*@if L4_LEN*/
	payload_of(c);
	/*@end*/
	/*@layer TCP_PAYLOAD*/
	/*@if tcp_len*/
	c->p->tcp_len = c->ip_end - c->at;
	/*@end*/
	/*@slices tcp.payload*/
	/*@end*/
	return WHOLE;
}

static __always_inline __u32 tcp(struct cursor *c)
{
	struct tcp copy;
	const struct tcp *h = 0;

	if (c->at + sizeof(*h) <= c->limit)
		h = bytes_at(c, c->at, &copy, sizeof(copy));
	return h ? read_tcp(c, h) : TCP_TRUNCATED;
}
