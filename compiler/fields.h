/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AMON_FIELDS_H
#define AMON_FIELDS_H

#include <stddef.h>
#include <stdint.h>

#include "types.h"

/*
 * THE table of protocols and THE table of fields. A new field is one row.
 *
 * A layer is a bit of `packet->layers` in the generated C: it is set when the parser found that header whole. A field
 * is present when any of its layers is. Layers are ordered as the parser meets them.
 */
enum amon_layer {
	AMON_LAYER_ETH,
	AMON_LAYER_ETH_TYPE, /* type field of 0x600 and up: a type */
	AMON_LAYER_ETH_LEN,  /* below: IEEE 802.3's length */
	AMON_LAYER_VLAN,
	AMON_LAYER_VLAN_TYPE, /* what follows the tag is told by a type, not a length */
	AMON_LAYER_VLAN_INNER,
	AMON_LAYER_VLAN_INNER_TYPE,
	AMON_LAYER_PPPOE,
	AMON_LAYER_PPP, /* the protocol behind a PPPoE session's header */
	AMON_LAYER_MPLS,
	AMON_LAYER_ARP,      /* the fixed 8 bytes */
	AMON_LAYER_ARP_IPV4, /* Ethernet and IPv4 addresses behind them */
	AMON_LAYER_IPV4,
	AMON_LAYER_IPV6,
	AMON_LAYER_HOPOPTS,
	AMON_LAYER_ROUTING,
	AMON_LAYER_FRAGHDR,
	AMON_LAYER_DSTOPTS,
	AMON_LAYER_AH,
	AMON_LAYER_TCP,
	AMON_LAYER_UDP,
	AMON_LAYER_SCTP,
	AMON_LAYER_ICMP,
	AMON_LAYER_ICMP_ECHO, /* has an identifier and a sequence number */
	AMON_LAYER_ICMPV6,
	AMON_LAYER_ICMPV6_ECHO,
	AMON_LAYER_L4_LEN,      /* l4.len has a value */
	AMON_LAYER_TCP_PAYLOAD, /* the header's own length is right, so that tcp.len has a value */
	AMON_LAYER_COUNT,
};

#define AMON_LAYER_BIT(layer) (1u << (layer))

/** A protocol's name as a condition: `tcp`, `net`. */
struct amon_protocol {
	const char *name;
	uint32_t layers; /* holds when any of these is there */
	const char *help;
};

/** NULL-terminated. */
extern const struct amon_protocol amon_protocols[];
const struct amon_protocol *amon_protocol_find(const char *name);

/**
 * What other layers this one lies on: the parser must have walked one of them before. 0 for Ethernet.
 */
uint32_t amon_layer_below(enum amon_layer layer);
/** The layer's name in generated C and in messages: "TCP", "VLAN_INNER". */
const char *amon_layer_name(enum amon_layer layer);
/** True where no packet can have one of `a` and one of `b`: TCP and UDP, IPV4 and IPV6, ARP and TCP. */
bool amon_layers_exclude(uint32_t a, uint32_t b);

/** Where the parser finds a member: in that layer's template, `h` being the header, `c` the cursor. */
struct amon_field_read {
	enum amon_layer layer;
	const char *expression;
	bool late; /* once the extension headers have been walked */
};

enum amon_field_source {
	AMON_FIELD_HEADER, /* read in a layer */
	AMON_FIELD_HOOK,   /* known at the hook: frame.len, frame.time, hook.* */
};

struct amon_field {
	const char *name; /* as in Wireshark where Wireshark has it */
	uint32_t layers;  /* presence: any of these; 0: always there */
	struct amon_type type;
	const char *member; /* of struct packet in the generated C; several rows may share one */
	const char *value;  /* from the member: `$` stands for it ("$ >> 2"); NULL: the member itself */
	const char *c_type; /* of the member: "__u8" … "__u64", or an array for addresses: "__u8[6]" */
	enum amon_field_source source;
	struct amon_field_read reads[3];
	const char *xdp, *tc; /* HOOK: the expression in either program; NULL: emit knows */
	bool per_packet;      /* differs between the wire packets of a super-packet: frame.len, tcp.flags … */
	const char *unit;     /* of the exported value, NULL for none */
	const char *ipfix;    /* the information element's name, or NULL */
	const char *help;
	const char *refused; /* why this known field cannot be used, with what to use: tcp.seq; NULL: usable */
};

/** Ended by a row whose name is NULL. */
extern const struct amon_field amon_fields[];
const struct amon_field *amon_field_find(const char *name);

/** Payload slices: `tcp.payload[0:4]`. */
struct amon_payload {
	const char *name; /* "tcp.payload" */
	enum amon_layer layer;
};
extern const struct amon_payload amon_payloads[];
const struct amon_payload *amon_payload_find(const char *name);
/** A slice must end within this many bytes of payload. */
#define AMON_SLICE_END 1024

#endif
