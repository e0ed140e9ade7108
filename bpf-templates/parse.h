/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The outermost headers, as far as the spec reads them; what is wrong with the first that is not whole, or WHOLE. */
static __always_inline __u32 parse(struct cursor *c)
{
	__u32 cause;

	cause = ethernet(c);
	if (cause)
		return cause;
	/*@if WALK_VLAN*/
	cause = walk_link(c);
	if (cause)
		return cause;
	/*@end*/
	/*@if WALK_ARP*/
	if (c->type == 0x0806 || c->type == 0x8035)
		return arp(c);
	/*@end*/
	/*@if WALK_NET*/
	/*@if WALK_IPV4*/
	/*@if WALK_IPV6*/
	if (c->type == 0x0800)
		cause = ipv4(c);
	else if (c->type == 0x86dd)
		cause = ipv6(c);
	else
		return WHOLE;
	/*@else*/
	if (c->type != 0x0800)
		return WHOLE;
	cause = ipv4(c);
	/*@end*/
	/*@else*/
	if (c->type != 0x86dd)
		return WHOLE;
	cause = ipv6(c);
	/*@end*/
	if (cause)
		return cause;
	c->limit = c->ip_end < c->captured ? c->ip_end : c->captured;
	/*@if WALK_EXTENSIONS*/
	if (c->type == 0x86dd && is_extension(c->proto))
		cause = walk_extensions(c);
	/*@if LATE*/
	if (c->type == 0x86dd) {
		/*@late IPV6*/
	}
	/*@end*/
	if (cause)
		return cause;
	/*@end*/
	/*@if WALK_L4*/
	if (c->later) {
		/*@if L4_LEN*/
		if ((c->proto == 6 || c->proto == 17 || c->proto == 132) && c->at <= c->ip_end)
			payload_of(c);
		/*@end*/
		return WHOLE;
	}
	/*@if WALK_TCP*/
	if (c->proto == 6)
		return tcp(c);
	/*@end*/
	/*@if WALK_UDP*/
	if (c->proto == 17)
		return udp(c);
	/*@end*/
	/*@if WALK_SCTP*/
	if (c->proto == 132)
		return sctp(c);
	/*@end*/
	/*@if WALK_ICMP*/
	if (c->proto == 1)
		return icmp(c);
	/*@end*/
	/*@if WALK_ICMPV6*/
	if (c->proto == 58)
		return icmpv6(c);
	/*@end*/
	/*@end*/
	/*@end*/
	return WHOLE;
}
