/* SPDX-License-Identifier: Apache-2.0 */
#include "fields.h"

#include <string.h>

#define BIT(layer) AMON_LAYER_BIT(AMON_LAYER_##layer)

#define L2    (BIT(ETH))
#define NET   (BIT(IPV4) | BIT(IPV6))
#define PORTS (BIT(TCP) | BIT(UDP) | BIT(SCTP))

static const struct {
	const char *name;
	uint32_t below;
} layers[AMON_LAYER_COUNT] = {
	[AMON_LAYER_ETH] = { "ETH", 0 },
	[AMON_LAYER_ETH_TYPE] = { "ETH_TYPE", BIT(ETH) },
	[AMON_LAYER_ETH_LEN] = { "ETH_LEN", BIT(ETH) },
	[AMON_LAYER_VLAN] = { "VLAN", BIT(ETH) },
	[AMON_LAYER_VLAN_TYPE] = { "VLAN_TYPE", BIT(VLAN) },
	[AMON_LAYER_VLAN_INNER_TYPE] = { "VLAN_INNER_TYPE", BIT(VLAN_INNER) },
	[AMON_LAYER_VLAN_INNER] = { "VLAN_INNER", BIT(VLAN) },
	[AMON_LAYER_PPPOE] = { "PPPOE", BIT(ETH) },
	[AMON_LAYER_PPP] = { "PPP", BIT(PPPOE) },
	[AMON_LAYER_MPLS] = { "MPLS", BIT(ETH) },
	[AMON_LAYER_ARP] = { "ARP", BIT(ETH) },
	[AMON_LAYER_ARP_IPV4] = { "ARP_IPV4", BIT(ARP) },
	[AMON_LAYER_IPV4] = { "IPV4", BIT(ETH) },
	[AMON_LAYER_IPV6] = { "IPV6", BIT(ETH) },
	[AMON_LAYER_HOPOPTS] = { "HOPOPTS", BIT(IPV6) },
	[AMON_LAYER_ROUTING] = { "ROUTING", BIT(IPV6) },
	[AMON_LAYER_FRAGHDR] = { "FRAGHDR", BIT(IPV6) },
	[AMON_LAYER_DSTOPTS] = { "DSTOPTS", BIT(IPV6) },
	[AMON_LAYER_AH] = { "AH", NET },
	[AMON_LAYER_TCP] = { "TCP", NET },
	[AMON_LAYER_UDP] = { "UDP", NET },
	[AMON_LAYER_SCTP] = { "SCTP", NET },
	[AMON_LAYER_ICMP] = { "ICMP", NET },
	[AMON_LAYER_ICMP_ECHO] = { "ICMP_ECHO", BIT(ICMP) },
	[AMON_LAYER_ICMPV6] = { "ICMPV6", NET },
	[AMON_LAYER_ICMPV6_ECHO] = { "ICMPV6_ECHO", BIT(ICMPV6) },
	[AMON_LAYER_L4_LEN] = { "L4_LEN", NET },
	[AMON_LAYER_TCP_PAYLOAD] = { "TCP_PAYLOAD", BIT(TCP) },
};

/* Of each group a packet has one at most. */
static const uint32_t exclusive[] = {
	BIT(ETH_TYPE) | BIT(ETH_LEN),
	BIT(ARP) | BIT(IPV4) | BIT(IPV6),
	BIT(PPPOE) | BIT(MPLS) | BIT(ARP),
	BIT(TCP) | BIT(UDP) | BIT(SCTP) | BIT(ICMP) | BIT(ICMPV6),
};

const struct amon_protocol amon_protocols[] = {
	{ "eth", BIT(ETH), "an Ethernet header" },
	{ "vlan", BIT(VLAN), "an IEEE 802.1Q or 802.1ad tag" },
	{ "pppoes", BIT(PPPOE), "a PPPoE session" },
	{ "mpls", BIT(MPLS), "an MPLS label" },
	{ "arp", BIT(ARP), "ARP" },
	{ "net", NET, "IPv4 or IPv6" },
	{ "ip", BIT(IPV4), "IPv4" },
	{ "ipv6", BIT(IPV6), "IPv6" },
	{ "ipv6.hopopts", BIT(HOPOPTS), "an IPv6 hop-by-hop options header" },
	{ "ipv6.routing", BIT(ROUTING), "an IPv6 routing header" },
	{ "ipv6.fraghdr", BIT(FRAGHDR), "an IPv6 fragment header" },
	{ "ipv6.dstopts", BIT(DSTOPTS), "an IPv6 destination options header" },
	{ "ah", BIT(AH), "an IP authentication header in IPv6" },
	{ "tcp", BIT(TCP), "TCP, but for later fragments" },
	{ "udp", BIT(UDP), "UDP, but for later fragments" },
	{ "sctp", BIT(SCTP), "SCTP, but for later fragments" },
	{ "icmp", BIT(ICMP), "ICMP" },
	{ "icmpv6", BIT(ICMPV6), "ICMPv6" },
	{ NULL, 0, NULL },
};

const struct amon_payload amon_payloads[] = {
	{ "tcp.payload", AMON_LAYER_TCP_PAYLOAD },
	{ "udp.payload", AMON_LAYER_UDP },
	{ NULL, 0 },
};

#define INT(n)  { .base = AMON_BASE_INT, .bits = (n) }
#define SIZE(n) { .base = AMON_BASE_INT, .bits = (n), .dimension = { .information = 1 } }
#define BOOL    { .base = AMON_BASE_BOOL }
#define BASE(b) { .base = AMON_BASE_##b }

/* A field of one header: its member bears its name with dots as underscores. */
#define HEADER(field, layer_, type_, member_, c, read, ...)                                                            \
	{ .name = field,                                                                                               \
	  .layers = BIT(layer_),                                                                                       \
	  .type = type_,                                                                                               \
	  .member = member_,                                                                                           \
	  .c_type = c,                                                                                                 \
	  .reads = { { AMON_LAYER_##layer_, read, false } },                                                           \
	  __VA_ARGS__ }
/* A field of IPv4 and IPv6 alike. */
#define EITHER(field, type_, member_, c, read4, read6, late6, ...)                                                     \
	{ .name = field,                                                                                               \
	  .layers = NET,                                                                                               \
	  .type = type_,                                                                                               \
	  .member = member_,                                                                                           \
	  .c_type = c,                                                                                                 \
	  .reads = { { AMON_LAYER_IPV4, read4, false }, { AMON_LAYER_IPV6, read6, late6 } },                           \
	  __VA_ARGS__ }
#define HOOK(field, type_, member_, c, xdp_, tc_, ...)                                                                 \
	{ .name = field,                                                                                               \
	  .type = type_,                                                                                               \
	  .member = member_,                                                                                           \
	  .c_type = c,                                                                                                 \
	  .source = AMON_FIELD_HOOK,                                                                                   \
	  .xdp = xdp_,                                                                                                 \
	  .tc = tc_,                                                                                                   \
	  __VA_ARGS__ }
#define REFUSED(field, why) { .name = field, .refused = why }

#define TCP_FLAG(field, mask, text)                                                                                    \
	HEADER(field, TCP, BOOL, "tcp_flags", "__u16", "ntohs(h->offset_flags) & 0xfff", .value = "$ & " mask,         \
	       .per_packet = true, .help = text)

/* clang-format off: one row a field */
const struct amon_field amon_fields[] = {
	HOOK("frame.len", SIZE(32), "frame_len", "__u32", NULL, NULL, .per_packet = true, .unit = "bytes",
	     .help = "bytes on the wire, without FCS"),
	HOOK("frame.time", BASE(TIME), "time", "__u64", NULL, NULL,
	     .help = "when the hook saw the packet; in a replay, the capture's time"),
	HOOK("frame.segments", INT(32), "segments", "__u32", NULL, NULL,
	     .help = "wire packets in the GSO/GRO super-packet; a metric that reads it sees the buffer once"),
	HOOK("hook.direction", INT(1), "hook_direction", "__u8", NULL, NULL, .ipfix = "flowDirection",
	     .help = "0 ingress, 1 egress"),
	HOOK("hook.cpu", INT(32), "hook_cpu", "__u32", "bpf_get_smp_processor_id()", "bpf_get_smp_processor_id()",
	     .help = "the CPU that handled the packet"),
	HOOK("hook.queue", INT(32), "hook_queue", "__u32", "xdp->rx_queue_index", "skb->queue_mapping",
	     .help = "receive queue (XDP), queue mapping (TC)"),
	HOOK("hook.mode", INT(2), "hook_mode", "__u8", "amon_xdp_mode", "0",
	     .help = "0 TC, 1 native XDP, 2 generic XDP"),
	HOOK("hook.ifindex", INT(32), "hook_ifindex", "__u32", "xdp->ingress_ifindex", "skb->ifindex",
	     .ipfix = "ingressInterface", .help = "index of the interface"),

	HEADER("eth.dst", ETH, BASE(MAC), "eth_dst", "__u8[6]", "h->dst", .ipfix = "destinationMacAddress",
	       .help = "destination address"),
	HEADER("eth.src", ETH, BASE(MAC), "eth_src", "__u8[6]", "h->src", .ipfix = "sourceMacAddress",
	       .help = "source address"),
	HEADER("eth.dst.ig", ETH, BOOL, "eth_dst", "__u8[6]", "h->dst", .value = "$[0] & 1",
	       .help = "group address (multicast, broadcast)"),
	HEADER("eth.dst.lg", ETH, BOOL, "eth_dst", "__u8[6]", "h->dst", .value = "$[0] & 2",
	       .help = "locally administered address"),
	HEADER("eth.src.ig", ETH, BOOL, "eth_src", "__u8[6]", "h->src", .value = "$[0] & 1", .help = "group address"),
	HEADER("eth.src.lg", ETH, BOOL, "eth_src", "__u8[6]", "h->src", .value = "$[0] & 2",
	       .help = "locally administered address"),
	HEADER("eth.type", ETH_TYPE, INT(16), "eth_type", "__u16", "ntohs(h->type)", .ipfix = "ethernetType",
	       .help = "type of what follows, a VLAN tag's TPID included"),
	HEADER("eth.len", ETH_LEN, SIZE(16), "eth_len", "__u16", "ntohs(h->type)", .help = "IEEE 802.3 length"),

	HEADER("vlan.id", VLAN, INT(12), "vlan_tci", "__u16", "c->tci", .value = "$ & 0xfff", .ipfix = "vlanId",
	       .help = "outer tag: VLAN identifier"),
	HEADER("vlan.priority", VLAN, INT(3), "vlan_tci", "__u16", "c->tci", .value = "$ >> 13",
	       .ipfix = "dot1qPriority", .help = "outer tag: priority code point"),
	HEADER("vlan.dei", VLAN, BOOL, "vlan_tci", "__u16", "c->tci", .value = "$ & 0x1000",
	       .help = "outer tag: drop eligible"),
	HEADER("vlan.etype", VLAN_TYPE, INT(16), "vlan_etype", "__u16", "c->type",
	       .help = "outer tag: type of what follows"),
	HEADER("vlan.inner.id", VLAN_INNER, INT(12), "vlan_inner_tci", "__u16", "c->tci", .value = "$ & 0xfff",
	       .ipfix = "dot1qCustomerVlanId", .help = "inner tag: VLAN identifier"),
	HEADER("vlan.inner.priority", VLAN_INNER, INT(3), "vlan_inner_tci", "__u16", "c->tci", .value = "$ >> 13",
	       .help = "inner tag: priority code point"),
	HEADER("vlan.inner.dei", VLAN_INNER, BOOL, "vlan_inner_tci", "__u16", "c->tci", .value = "$ & 0x1000",
	       .help = "inner tag: drop eligible"),
	HEADER("vlan.inner.etype", VLAN_INNER_TYPE, INT(16), "vlan_inner_etype", "__u16", "c->type",
	       .help = "inner tag: type of what follows"),

	HEADER("pppoe.code", PPPOE, INT(8), "pppoe_code", "__u8", "h->code", .help = "code, 0 in a session"),
	HEADER("pppoe.session_id", PPPOE, INT(16), "pppoe_session_id", "__u16", "ntohs(h->session_id)",
	       .help = "session identifier"),
	HEADER("pppoe.payload_length", PPPOE, SIZE(16), "pppoe_payload_length", "__u16", "ntohs(h->length)",
	       .help = "payload length"),
	HEADER("ppp.protocol", PPP, INT(16), "ppp_protocol", "__u16", "ntohs(*protocol)", .help = "PPP protocol"),

	HEADER("mpls.label", MPLS, INT(20), "mpls_entry", "__u32", "entry", .value = "$ >> 12",
	       .help = "outermost label"),
	HEADER("mpls.exp", MPLS, INT(3), "mpls_entry", "__u32", "entry", .value = "$ >> 9 & 7",
	       .ipfix = "mplsTopLabelExp", .help = "outermost label: traffic class"),
	HEADER("mpls.bottom", MPLS, BOOL, "mpls_entry", "__u32", "entry", .value = "$ & 0x100",
	       .help = "outermost label: bottom of the stack"),
	HEADER("mpls.ttl", MPLS, INT(8), "mpls_entry", "__u32", "entry", .value = "$ & 0xff",
	       .ipfix = "mplsTopLabelTTL", .help = "outermost label: time to live"),

	HEADER("arp.hw.type", ARP, INT(16), "arp_hw_type", "__u16", "ntohs(h->hw_type)", .help = "hardware type"),
	HEADER("arp.proto.type", ARP, INT(16), "arp_proto_type", "__u16", "ntohs(h->proto_type)",
	       .help = "protocol type"),
	HEADER("arp.hw.size", ARP, INT(8), "arp_hw_size", "__u8", "h->hw_size", .help = "bytes of a hardware address"),
	HEADER("arp.proto.size", ARP, INT(8), "arp_proto_size", "__u8", "h->proto_size",
	       .help = "bytes of a protocol address"),
	HEADER("arp.opcode", ARP, INT(16), "arp_opcode", "__u16", "ntohs(h->opcode)", .help = "1 request, 2 reply"),
	HEADER("arp.src.hw_mac", ARP_IPV4, BASE(MAC), "arp_src_hw_mac", "__u8[6]", "h->src_hw",
	       .help = "sender's MAC address"),
	HEADER("arp.src.proto_ipv4", ARP_IPV4, BASE(IPV4), "arp_src_proto_ipv4", "__be32", "unaligned32(h->src_proto)",
	       .help = "sender's IPv4 address"),
	HEADER("arp.dst.hw_mac", ARP_IPV4, BASE(MAC), "arp_dst_hw_mac", "__u8[6]", "h->dst_hw",
	       .help = "target's MAC address"),
	HEADER("arp.dst.proto_ipv4", ARP_IPV4, BASE(IPV4), "arp_dst_proto_ipv4", "__be32", "unaligned32(h->dst_proto)",
	       .help = "target's IPv4 address"),

	EITHER("net.src", BASE(NET), "net_src", "__be32[4]", "h->saddr", "h->saddr", false,
	       .help = "source address, IPv4 or IPv6"),
	EITHER("net.dst", BASE(NET), "net_dst", "__be32[4]", "h->daddr", "h->daddr", false,
	       .help = "destination address, IPv4 or IPv6"),
	EITHER("net.version", INT(4), "net_version", "__u8", "4", "6", false, .ipfix = "ipVersion", .help = "4 or 6"),
	EITHER("net.proto", INT(8), "net_proto", "__u8", "h->protocol", "c->proto", true, .ipfix = "protocolIdentifier",
	       .help = "protocol above IP, past extension headers"),
	EITHER("net.len", SIZE(17), "net_len", "__u32", "length", "c->length", false, .per_packet = true,
	       .unit = "bytes", .help = "bytes of the IP packet, header included"),
	EITHER("net.ttl", INT(8), "net_ttl", "__u8", "h->ttl", "h->hop_limit", false, .ipfix = "ipTTL",
	       .help = "time to live, hop limit"),
	EITHER("net.dscp", INT(6), "net_dsfield", "__u8", "h->tos", "traffic_class(h)", false, .value = "$ >> 2",
	       .ipfix = "ipDiffServCodePoint", .help = "differentiated services code point"),
	EITHER("net.ecn", INT(2), "net_dsfield", "__u8", "h->tos", "traffic_class(h)", false, .value = "$ & 3",
	       .help = "explicit congestion notification"),
	EITHER("net.fragment", BOOL, "net_fragment", "__u8", "(h->frag_off & htons(0x3fff)) != 0", "c->fragment", true,
	       .help = "part of a fragmented packet: an offset, or more to come"),

	HEADER("ip.version", IPV4, INT(4), "ip_version_ihl", "__u8", "h->version_ihl", .value = "$ >> 4", .help = "4"),
	HEADER("ip.hdr_len", IPV4, SIZE(6), "ip_version_ihl", "__u8", "h->version_ihl", .value = "($ & 15) * 4",
	       .help = "header length, options included"),
	HEADER("ip.dsfield", IPV4, INT(8), "ip_dsfield", "__u8", "h->tos", .ipfix = "ipClassOfService",
	       .help = "differentiated services field"),
	HEADER("ip.dsfield.dscp", IPV4, INT(6), "ip_dsfield", "__u8", "h->tos", .value = "$ >> 2",
	       .ipfix = "ipDiffServCodePoint", .help = "differentiated services code point"),
	HEADER("ip.dsfield.ecn", IPV4, INT(2), "ip_dsfield", "__u8", "h->tos", .value = "$ & 3",
	       .help = "explicit congestion notification"),
	HEADER("ip.len", IPV4, SIZE(17), "ip_len", "__u32", "length", .per_packet = true, .unit = "bytes",
	       .ipfix = "ipTotalLength", .help = "total length; where it is 0, the rest of the frame"),
	HEADER("ip.id", IPV4, INT(16), "ip_id", "__u16", "ntohs(h->id)", .ipfix = "fragmentIdentification",
	       .help = "identification"),
	HEADER("ip.flags", IPV4, INT(3), "ip_frag_off", "__u16", "ntohs(h->frag_off)", .value = "$ >> 13",
	       .help = "reserved, don't fragment, more fragments"),
	HEADER("ip.flags.rb", IPV4, BOOL, "ip_frag_off", "__u16", "ntohs(h->frag_off)", .value = "$ & 0x8000",
	       .help = "reserved bit"),
	HEADER("ip.flags.df", IPV4, BOOL, "ip_frag_off", "__u16", "ntohs(h->frag_off)", .value = "$ & 0x4000",
	       .help = "don't fragment"),
	HEADER("ip.flags.mf", IPV4, BOOL, "ip_frag_off", "__u16", "ntohs(h->frag_off)", .value = "$ & 0x2000",
	       .help = "more fragments"),
	HEADER("ip.frag_offset", IPV4, INT(13), "ip_frag_off", "__u16", "ntohs(h->frag_off)", .value = "$ & 0x1fff",
	       .help = "fragment offset, in units of 8 bytes"),
	HEADER("ip.ttl", IPV4, INT(8), "ip_ttl", "__u8", "h->ttl", .ipfix = "ipTTL", .help = "time to live"),
	HEADER("ip.proto", IPV4, INT(8), "ip_proto", "__u8", "h->protocol", .ipfix = "protocolIdentifier",
	       .help = "protocol"),
	HEADER("ip.checksum", IPV4, INT(16), "ip_checksum", "__u16", "ntohs(h->check)",
	       .help = "header checksum, as it is"),
	HEADER("ip.src", IPV4, BASE(IPV4), "ip_src", "__be32", "h->saddr", .ipfix = "sourceIPv4Address",
	       .help = "source address"),
	HEADER("ip.dst", IPV4, BASE(IPV4), "ip_dst", "__be32", "h->daddr", .ipfix = "destinationIPv4Address",
	       .help = "destination address"),

	HEADER("ipv6.version", IPV6, INT(4), "ipv6_version_flow", "__u32", "ntohl(h->version_flow)", .value = "$ >> 28",
	       .help = "6"),
	HEADER("ipv6.tclass", IPV6, INT(8), "ipv6_version_flow", "__u32", "ntohl(h->version_flow)",
	       .value = "$ >> 20 & 0xff", .ipfix = "ipClassOfService", .help = "traffic class"),
	HEADER("ipv6.tclass.dscp", IPV6, INT(6), "ipv6_version_flow", "__u32", "ntohl(h->version_flow)",
	       .value = "$ >> 22 & 0x3f", .ipfix = "ipDiffServCodePoint", .help = "differentiated services code point"),
	HEADER("ipv6.tclass.ecn", IPV6, INT(2), "ipv6_version_flow", "__u32", "ntohl(h->version_flow)",
	       .value = "$ >> 20 & 3", .help = "explicit congestion notification"),
	HEADER("ipv6.flow", IPV6, INT(20), "ipv6_version_flow", "__u32", "ntohl(h->version_flow)",
	       .value = "$ & 0xfffff", .ipfix = "flowLabelIPv6", .help = "flow label"),
	HEADER("ipv6.plen", IPV6, SIZE(17), "ipv6_plen", "__u32", "c->length - sizeof(*h)", .per_packet = true,
	       .unit = "bytes", .help = "payload length, extension headers included"),
	HEADER("ipv6.nxt", IPV6, INT(8), "ipv6_nxt", "__u8", "h->next_header", .ipfix = "nextHeaderIPv6",
	       .help = "next header, an extension's included"),
	HEADER("ipv6.hlim", IPV6, INT(8), "ipv6_hlim", "__u8", "h->hop_limit", .ipfix = "ipTTL", .help = "hop limit"),
	HEADER("ipv6.src", IPV6, BASE(IPV6), "ipv6_src", "__be32[4]", "h->saddr", .ipfix = "sourceIPv6Address",
	       .help = "source address"),
	HEADER("ipv6.dst", IPV6, BASE(IPV6), "ipv6_dst", "__be32[4]", "h->daddr", .ipfix = "destinationIPv6Address",
	       .help = "destination address"),
	HEADER("ipv6.fraghdr.nxt", FRAGHDR, INT(8), "ipv6_fraghdr_nxt", "__u8", "h->next_header",
	       .help = "next header"),
	HEADER("ipv6.fraghdr.offset", FRAGHDR, INT(13), "ipv6_fraghdr_offset", "__u16", "ntohs(h->offset_flags)",
	       .value = "$ >> 3", .help = "fragment offset, in units of 8 bytes"),
	HEADER("ipv6.fraghdr.more", FRAGHDR, BOOL, "ipv6_fraghdr_offset", "__u16", "ntohs(h->offset_flags)",
	       .value = "$ & 1", .help = "more fragments"),
	HEADER("ipv6.fraghdr.ident", FRAGHDR, INT(32), "ipv6_fraghdr_ident", "__u32", "ntohl(h->id)",
	       .ipfix = "fragmentIdentification", .help = "identification"),

	HEADER("tcp.srcport", TCP, INT(16), "tcp_srcport", "__u16", "ntohs(h->source)", .ipfix = "tcpSourcePort",
	       .help = "source port"),
	HEADER("tcp.dstport", TCP, INT(16), "tcp_dstport", "__u16", "ntohs(h->dest)", .ipfix = "tcpDestinationPort",
	       .help = "destination port"),
	HEADER("tcp.seq_raw", TCP, INT(32), "tcp_seq_raw", "__u32", "ntohl(h->seq)", .ipfix = "tcpSequenceNumber",
	       .help = "sequence number, as it is"),
	HEADER("tcp.ack_raw", TCP, INT(32), "tcp_ack_raw", "__u32", "ntohl(h->ack_seq)",
	       .ipfix = "tcpAcknowledgementNumber", .help = "acknowledgement number, as it is"),
	HEADER("tcp.hdr_len", TCP, SIZE(6), "tcp_hdr_len", "__u8", "ntohs(h->offset_flags) >> 12 << 2",
	       .ipfix = "tcpHeaderLength", .help = "header length, options included"),
	HEADER("tcp.flags", TCP, INT(12), "tcp_flags", "__u16", "ntohs(h->offset_flags) & 0xfff", .per_packet = true,
	       .ipfix = "tcpControlBits", .help = "all twelve flag bits"),
	TCP_FLAG("tcp.flags.fin", "0x001", "no more data from the sender"),
	TCP_FLAG("tcp.flags.syn", "0x002", "synchronize sequence numbers"),
	TCP_FLAG("tcp.flags.reset", "0x004", "reset the connection"),
	TCP_FLAG("tcp.flags.push", "0x008", "push"),
	TCP_FLAG("tcp.flags.ack", "0x010", "the acknowledgement number is valid"),
	TCP_FLAG("tcp.flags.urg", "0x020", "the urgent pointer is valid"),
	TCP_FLAG("tcp.flags.ece", "0x040", "ECN echo"),
	TCP_FLAG("tcp.flags.cwr", "0x080", "congestion window reduced"),
	TCP_FLAG("tcp.flags.ae", "0x100", "accurate ECN"),
	TCP_FLAG("tcp.flags.res", "0xe00", "any of the three reserved bits"),
	HEADER("tcp.window_size_value", TCP, SIZE(16), "tcp_window_size_value", "__u16", "ntohs(h->window)",
	       .ipfix = "tcpWindowSize", .help = "window, not scaled"),
	HEADER("tcp.checksum", TCP, INT(16), "tcp_checksum", "__u16", "ntohs(h->check)", .help = "checksum, as it is"),
	HEADER("tcp.urgent_pointer", TCP, INT(16), "tcp_urgent_pointer", "__u16", "ntohs(h->urgent)",
	       .ipfix = "tcpUrgentPointer", .help = "urgent pointer"),
	HEADER("tcp.len", TCP_PAYLOAD, SIZE(17), "tcp_len", "__u32", "payload", .per_packet = true, .unit = "bytes",
	       .help = "payload bytes, by the IP length"),

	HEADER("udp.srcport", UDP, INT(16), "udp_srcport", "__u16", "ntohs(h->source)", .ipfix = "udpSourcePort",
	       .help = "source port"),
	HEADER("udp.dstport", UDP, INT(16), "udp_dstport", "__u16", "ntohs(h->dest)", .ipfix = "udpDestinationPort",
	       .help = "destination port"),
	HEADER("udp.length", UDP, SIZE(16), "udp_length", "__u32", "ntohs(h->length)", .per_packet = true,
	       .unit = "bytes", .ipfix = "udpMessageLength", .help = "length by the header, 8 included"),
	HEADER("udp.checksum", UDP, INT(16), "udp_checksum", "__u16", "ntohs(h->check)", .help = "checksum, as it is"),

	HEADER("sctp.srcport", SCTP, INT(16), "sctp_srcport", "__u16", "ntohs(h->source)", .help = "source port"),
	HEADER("sctp.dstport", SCTP, INT(16), "sctp_dstport", "__u16", "ntohs(h->dest)", .help = "destination port"),
	HEADER("sctp.verification_tag", SCTP, INT(32), "sctp_verification_tag", "__u32", "ntohl(h->tag)",
	       .help = "verification tag"),
	HEADER("sctp.checksum", SCTP, INT(32), "sctp_checksum", "__u32", "ntohl(h->check)", .help = "CRC32c, as it is"),

	HEADER("icmp.type", ICMP, INT(8), "icmp_type", "__u8", "h->type", .ipfix = "icmpTypeIPv4", .help = "type"),
	HEADER("icmp.code", ICMP, INT(8), "icmp_code", "__u8", "h->code", .ipfix = "icmpCodeIPv4", .help = "code"),
	HEADER("icmp.checksum", ICMP, INT(16), "icmp_checksum", "__u16", "ntohs(h->check)",
	       .help = "checksum, as it is"),
	HEADER("icmp.ident", ICMP_ECHO, INT(16), "icmp_ident", "__u16", "ntohs(h->ident)",
	       .help = "identifier of a query or its reply"),
	HEADER("icmp.seq", ICMP_ECHO, INT(16), "icmp_seq", "__u16", "ntohs(h->seq)",
	       .help = "sequence number of a query or its reply"),
	HEADER("icmpv6.type", ICMPV6, INT(8), "icmpv6_type", "__u8", "h->type", .ipfix = "icmpTypeIPv6",
	       .help = "type"),
	HEADER("icmpv6.code", ICMPV6, INT(8), "icmpv6_code", "__u8", "h->code", .ipfix = "icmpCodeIPv6",
	       .help = "code"),
	HEADER("icmpv6.checksum", ICMPV6, INT(16), "icmpv6_checksum", "__u16", "ntohs(h->check)",
	       .help = "checksum, as it is"),
	HEADER("icmpv6.echo.identifier", ICMPV6_ECHO, INT(16), "icmpv6_ident", "__u16", "ntohs(h->ident)",
	       .help = "identifier of an echo request or reply"),
	HEADER("icmpv6.echo.sequence_number", ICMPV6_ECHO, INT(16), "icmpv6_seq", "__u16", "ntohs(h->seq)",
	       .help = "sequence number of an echo request or reply"),

	{ .name = "l4.srcport",
	  .layers = PORTS,
	  .type = INT(16),
	  .member = "l4_srcport",
	  .c_type = "__u16",
	  .ipfix = "sourceTransportPort",
	  .help = "source port of TCP, UDP or SCTP",
	  .reads = { { AMON_LAYER_TCP, "ntohs(h->source)", false },
	             { AMON_LAYER_UDP, "ntohs(h->source)", false },
	             { AMON_LAYER_SCTP, "ntohs(h->source)", false } } },
	{ .name = "l4.dstport",
	  .layers = PORTS,
	  .type = INT(16),
	  .member = "l4_dstport",
	  .c_type = "__u16",
	  .ipfix = "destinationTransportPort",
	  .help = "destination port of TCP, UDP or SCTP",
	  .reads = { { AMON_LAYER_TCP, "ntohs(h->dest)", false },
	             { AMON_LAYER_UDP, "ntohs(h->dest)", false },
	             { AMON_LAYER_SCTP, "ntohs(h->dest)", false } } },
	{ .name = "l4.len",
	  .layers = BIT(L4_LEN),
	  .type = SIZE(17),
	  .member = "l4_len",
	  .c_type = "__u32",
	  .per_packet = true,
	  .unit = "bytes",
	  .help = "payload bytes of TCP, UDP or SCTP by the IP length; of a later fragment, its payload",
	  .reads = { { AMON_LAYER_L4_LEN, "payload", false } } },

	REFUSED("tcp.seq", "in Wireshark it is relative to the connection's first; use tcp.seq_raw"),
	REFUSED("tcp.ack", "in Wireshark it is relative to the connection's first; use tcp.ack_raw"),
	REFUSED("tcp.window_size", "in Wireshark it is scaled by what the handshake said; use tcp.window_size_value"),
	REFUSED("tcp.port", "it is either port; use tcp.srcport, tcp.dstport, or `80 in {tcp.srcport, tcp.dstport}`"),
	REFUSED("udp.port", "it is either port; use udp.srcport, udp.dstport, or `53 in {udp.srcport, udp.dstport}`"),
	REFUSED("sctp.port", "it is either port; use sctp.srcport or sctp.dstport"),
	REFUSED("ip.addr", "it is either address; use ip.src or ip.dst"),
	REFUSED("ipv6.addr", "it is either address; use ipv6.src or ipv6.dst"),
	REFUSED("eth.addr", "it is either address; use eth.src or eth.dst"),
	REFUSED("frame.time_epoch", "use frame.time"),
	REFUSED("frame.time_delta", "use delta(frame.time), which comes with a later version"),
	REFUSED("frame.cap_len", "a probe sees whole frames; use frame.len"),
	{ .name = NULL },
};
/* clang-format on */

const struct amon_protocol *amon_protocol_find(const char *name)
{
	for (const struct amon_protocol *protocol = amon_protocols; protocol->name; protocol++)
		if (!strcmp(protocol->name, name))
			return protocol;
	return NULL;
}

const struct amon_field *amon_field_find(const char *name)
{
	for (const struct amon_field *field = amon_fields; field->name; field++)
		if (!strcmp(field->name, name))
			return field;
	return NULL;
}

const struct amon_payload *amon_payload_find(const char *name)
{
	for (const struct amon_payload *payload = amon_payloads; payload->name; payload++)
		if (!strcmp(payload->name, name))
			return payload;
	return NULL;
}

uint32_t amon_layer_below(enum amon_layer layer)
{
	return layers[layer].below;
}

const char *amon_layer_name(enum amon_layer layer)
{
	return layers[layer].name;
}

/* All that one of `mask` brings with it: itself and what each of them lies on. */
static uint32_t with_below(uint32_t mask)
{
	for (int layer = AMON_LAYER_COUNT - 1; layer >= 0; layer--)
		if (mask & AMON_LAYER_BIT(layer))
			mask |= layers[layer].below;
	return mask;
}

static bool layer_excludes(enum amon_layer a, enum amon_layer b)
{
	uint32_t with_a = with_below(AMON_LAYER_BIT(a)), with_b = with_below(AMON_LAYER_BIT(b));

	for (size_t i = 0; i < sizeof(exclusive) / sizeof(exclusive[0]); i++) {
		uint32_t in_a = with_a & exclusive[i], in_b = with_b & exclusive[i];

		/* a group says nothing where either may have several of it below (TCP lies on IPv4 or IPv6) */
		if (in_a && in_b && !(in_a & in_b))
			return true;
	}
	return false;
}

bool amon_layers_exclude(uint32_t a, uint32_t b)
{
	for (int i = 0; i < AMON_LAYER_COUNT; i++)
		for (int j = 0; j < AMON_LAYER_COUNT; j++)
			if ((a & AMON_LAYER_BIT(i)) && (b & AMON_LAYER_BIT(j)) && !layer_excludes(i, j))
				return false;
	return a && b;
}
