/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
struct arp {
	__be16 hw_type, proto_type;
	__u8 hw_size, proto_size;
	__be16 opcode;
};
/*@if ARP_IPV4*/
struct arp_ipv4 {
	struct arp arp;
	__u8 src_hw[6];
	__be16 src_proto[2];
	__u8 dst_hw[6];
	__be16 dst_proto[2];
};

static __always_inline __be32 unaligned32(const __be16 *half)
{
	return half[0] | (__be32)half[1] << 16;
}

static __always_inline __u32 arp_ipv4(struct cursor *c)
{
	struct arp_ipv4 copy;
	const struct arp_ipv4 *h = header(c, c->at, &copy, sizeof(copy));

	if (!h)
		return ARP_TRUNCATED;
	/*@layer ARP_IPV4*/
	/*@fields ARP_IPV4*/
	return 0;
}
/*@end*/

static __always_inline __u32 arp(struct cursor *c)
{
	struct arp copy;
	const struct arp *h = header(c, c->at, &copy, sizeof(copy));

	if (!h)
		return ARP_TRUNCATED;
	/*@layer ARP*/
	/*@fields ARP*/
	/*@if ARP_IPV4*/
	if (h->hw_type == htons(1) && h->hw_size == 6 && h->proto_type == htons(0x0800) && h->proto_size == 4)
		return arp_ipv4(c);
	/*@end*/
	return 0;
}
