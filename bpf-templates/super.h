/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What a GSO/GRO buffer is on the wire: `count` packets, of which `size` bytes of payload each, the last the rest. */
struct super {
	__u32 frame_len, count, size, payload;
	bool cwr, sized;
	/*@originals*/
};

/* Bytes in front of the payload that each wire packet repeats; 0 where the headers are not understood. */
static __noinline __u32 super_headers(struct __sk_buff *skb, struct super *s)
{
	__u32 at = 14, i;
	__be16 half = 0;
	__u8 byte = 0, pair[2] = {};
	__u8 proto;

	if (bpf_skb_load_bytes(skb, 12, &half, 2))
		return 0;
	for (i = 0; i < 2 && (half == htons(0x8100) || half == htons(0x88a8)); i++, at += 4)
		if (bpf_skb_load_bytes(skb, at + 2, &half, 2))
			return 0;
	if (bpf_skb_load_bytes(skb, at, &byte, 1))
		return 0;
	if (half == htons(0x0800)) {
		if (bpf_skb_load_bytes(skb, at + 9, &proto, 1))
			return 0;
		at += (byte & 15) * 4;
	} else if (half == htons(0x86dd)) {
		if (bpf_skb_load_bytes(skb, at + 6, &proto, 1))
			return 0;
		at += 40;
		for (i = 0; i < 8 && (proto == 0 || proto == 43 || proto == 60); i++) {
			if (bpf_skb_load_bytes(skb, at, pair, 2))
				return 0;
			proto = pair[0];
			at += 8 + pair[1] * 8;
		}
	} else {
		return 0;
	}
	if (proto == 17)
		return at + 8;
	if (proto != 6 || bpf_skb_load_bytes(skb, at + 12, &half, 2))
		return 0;
	s->cwr = half & htons(0x80);
	return at + (ntohs(half) >> 12 << 2);
}

/* Sizes that do not fit gso_segs (a tunnel's), or are not told (SCTP's), leave the count and the bytes. */
static __noinline bool super_measure(struct __sk_buff *skb, struct super *s)
{
	__u32 headers = super_headers(skb, s), count;

	s->size = skb->gso_size;
	s->count = skb->gso_segs;
	s->sized = 0;
	if (headers && headers < skb->len && s->size != 0xffff && s->size) {
		s->payload = skb->len - headers;
		count = (s->payload + s->size - 1) / s->size;
		s->sized = !s->count || s->count == count;
	}
	if (s->sized)
		s->count = (s->payload + s->size - 1) / s->size;
	else if (!s->count)
		s->count = 1;
	return s->sized;
}

/* The i-th of three kinds of wire packets (first with CWR, full, last); false where there is none. */
static __always_inline bool super_piece(struct packet *p, const struct super *s, __u32 i)
{
	__u32 first = s->cwr && s->count > 1, less;

	p->weight = i == 0 ? first : i == 1 ? s->count - 1 - first : 1;
	if (!p->weight)
		return 0;
	if (!s->sized)
		less = i < 2 ? s->frame_len - s->frame_len / s->count :
			       s->frame_len / s->count * (s->count - 1);
	else
		less = i < 2 ? s->payload - s->size : s->size * (s->count - 1);
	p->frame_len = s->frame_len - less;
	/*@pieces*/
	return 1;
}
