/* SPDX-License-Identifier: Apache-2.0 */
#include "frames.h"

#include <string.h>

#include "features.h"

#define BIT(layer) AMON_LAYER_BIT(AMON_LAYER_##layer)
#define NET        (BIT(IPV4) | BIT(IPV6))
#define TRANSPORT  (BIT(TCP) | BIT(UDP) | BIT(SCTP) | BIT(ICMP) | BIT(ICMPV6))

#define FLOWS      1000
#define PAYLOAD    1024
#define TYPE_VLAN  0x8100
#define TYPE_PPPOE 0x8864
#define TYPE_MPLS  0x8847
#define TYPE_ARP   0x0806
#define TYPE_OTHER 0x88b5 /* for experiments */

/* Numbers of a frame that conditions can set. */
enum word {
	WORD_TAG,
	WORD_INNER_TAG,
	WORD_SESSION,
	WORD_MPLS,
	WORD_ARP_OPCODE,
	WORD_TYPE,  /* as in Ethernet, where no layer says it */
	WORD_PROTO, /* as in IP, likewise */
	WORD_DSFIELD,
	WORD_TTL,
	WORD_IP_ID,
	WORD_FRAGMENT,
	WORD_FLOW_LABEL,
	WORD_SRCPORT,
	WORD_DSTPORT,
	WORD_SEQ,
	WORD_ACK,
	WORD_FLAGS,
	WORD_WINDOW,
	WORD_URGENT,
	WORD_ICMP_TYPE,
	WORD_ICMP_CODE,
	WORD_ICMP_IDENT,
	WORD_ICMP_SEQ,
	WORD_SCTP_TAG,
	WORD_FRAME_LEN,
	WORD_NET_LEN,
	WORD_L4_LEN,
	WORD_COUNT
};

enum address { ADDRESS_ETH_DST, ADDRESS_ETH_SRC, ADDRESS_SRC, ADDRESS_DST, ADDRESS_COUNT };

/* A frame before it is written. */
struct model {
	uint32_t number, flow;
	uint32_t layers, forbidden;
	uint32_t words[WORD_COUNT];
	uint8_t addresses[ADDRESS_COUNT][16];
	uint8_t payload[PAYLOAD];
};

static const struct {
	const char *field;
	enum word word;
	uint32_t shift, mask;
} word_fields[] = {
	{ "vlan.id", WORD_TAG, 0, 0xfff },
	{ "vlan.priority", WORD_TAG, 13, 7 },
	{ "vlan.dei", WORD_TAG, 12, 1 },
	{ "vlan.inner.id", WORD_INNER_TAG, 0, 0xfff },
	{ "vlan.inner.priority", WORD_INNER_TAG, 13, 7 },
	{ "vlan.inner.dei", WORD_INNER_TAG, 12, 1 },
	{ "pppoe.session_id", WORD_SESSION, 0, 0xffff },
	{ "mpls.label", WORD_MPLS, 12, 0xfffff },
	{ "mpls.exp", WORD_MPLS, 9, 7 },
	{ "mpls.ttl", WORD_MPLS, 0, 0xff },
	{ "arp.opcode", WORD_ARP_OPCODE, 0, 0xffff },
	{ "eth.type", WORD_TYPE, 0, 0xffff },
	{ "net.proto", WORD_PROTO, 0, 0xff },
	{ "ip.proto", WORD_PROTO, 0, 0xff },
	{ "net.dscp", WORD_DSFIELD, 2, 0x3f },
	{ "net.ecn", WORD_DSFIELD, 0, 3 },
	{ "ip.dsfield", WORD_DSFIELD, 0, 0xff },
	{ "ip.dsfield.dscp", WORD_DSFIELD, 2, 0x3f },
	{ "ip.dsfield.ecn", WORD_DSFIELD, 0, 3 },
	{ "ipv6.tclass", WORD_DSFIELD, 0, 0xff },
	{ "ipv6.tclass.dscp", WORD_DSFIELD, 2, 0x3f },
	{ "ipv6.tclass.ecn", WORD_DSFIELD, 0, 3 },
	{ "ipv6.flow", WORD_FLOW_LABEL, 0, 0xfffff },
	{ "net.ttl", WORD_TTL, 0, 0xff },
	{ "ip.ttl", WORD_TTL, 0, 0xff },
	{ "ipv6.hlim", WORD_TTL, 0, 0xff },
	{ "ip.id", WORD_IP_ID, 0, 0xffff },
	{ "ip.flags", WORD_FRAGMENT, 13, 7 },
	{ "ip.flags.rb", WORD_FRAGMENT, 15, 1 },
	{ "ip.flags.df", WORD_FRAGMENT, 14, 1 },
	{ "ip.flags.mf", WORD_FRAGMENT, 13, 1 },
	{ "net.fragment", WORD_FRAGMENT, 13, 1 },
	{ "ip.frag_offset", WORD_FRAGMENT, 0, 0x1fff },
	{ "tcp.srcport", WORD_SRCPORT, 0, 0xffff },
	{ "tcp.dstport", WORD_DSTPORT, 0, 0xffff },
	{ "udp.srcport", WORD_SRCPORT, 0, 0xffff },
	{ "udp.dstport", WORD_DSTPORT, 0, 0xffff },
	{ "sctp.srcport", WORD_SRCPORT, 0, 0xffff },
	{ "sctp.dstport", WORD_DSTPORT, 0, 0xffff },
	{ "l4.srcport", WORD_SRCPORT, 0, 0xffff },
	{ "l4.dstport", WORD_DSTPORT, 0, 0xffff },
	{ "tcp.seq_raw", WORD_SEQ, 0, 0xffffffff },
	{ "tcp.ack_raw", WORD_ACK, 0, 0xffffffff },
	{ "tcp.flags", WORD_FLAGS, 0, 0xfff },
	{ "tcp.flags.fin", WORD_FLAGS, 0, 1 },
	{ "tcp.flags.syn", WORD_FLAGS, 1, 1 },
	{ "tcp.flags.reset", WORD_FLAGS, 2, 1 },
	{ "tcp.flags.push", WORD_FLAGS, 3, 1 },
	{ "tcp.flags.ack", WORD_FLAGS, 4, 1 },
	{ "tcp.flags.urg", WORD_FLAGS, 5, 1 },
	{ "tcp.flags.ece", WORD_FLAGS, 6, 1 },
	{ "tcp.flags.cwr", WORD_FLAGS, 7, 1 },
	{ "tcp.flags.ae", WORD_FLAGS, 8, 1 },
	{ "tcp.flags.res", WORD_FLAGS, 9, 7 },
	{ "tcp.window_size_value", WORD_WINDOW, 0, 0xffff },
	{ "tcp.urgent_pointer", WORD_URGENT, 0, 0xffff },
	{ "icmp.type", WORD_ICMP_TYPE, 0, 0xff },
	{ "icmp.code", WORD_ICMP_CODE, 0, 0xff },
	{ "icmp.ident", WORD_ICMP_IDENT, 0, 0xffff },
	{ "icmp.seq", WORD_ICMP_SEQ, 0, 0xffff },
	{ "icmpv6.type", WORD_ICMP_TYPE, 0, 0xff },
	{ "icmpv6.code", WORD_ICMP_CODE, 0, 0xff },
	{ "sctp.verification_tag", WORD_SCTP_TAG, 0, 0xffffffff },
	{ "frame.len", WORD_FRAME_LEN, 0, 0xffff },
	{ "net.len", WORD_NET_LEN, 0, 0xffff },
	{ "ip.len", WORD_NET_LEN, 0, 0xffff },
	{ "l4.len", WORD_L4_LEN, 0, 0xffff },
	{ "tcp.len", WORD_L4_LEN, 0, 0xffff },
};

static const struct {
	const char *field;
	enum address address;
} address_fields[] = {
	{ "eth.dst", ADDRESS_ETH_DST },
	{ "eth.src", ADDRESS_ETH_SRC },
	{ "net.src", ADDRESS_SRC },
	{ "net.dst", ADDRESS_DST },
	{ "ip.src", ADDRESS_SRC },
	{ "ip.dst", ADDRESS_DST },
	{ "ipv6.src", ADDRESS_SRC },
	{ "ipv6.dst", ADDRESS_DST },
	{ "arp.src.hw_mac", ADDRESS_ETH_SRC },
	{ "arp.src.proto_ipv4", ADDRESS_SRC },
	{ "arp.dst.proto_ipv4", ADDRESS_DST },
};

/* Numbers that stand for a header. */
static const struct {
	enum word word;
	uint32_t number, layers;
} numbered_layers[] = {
	{ WORD_TYPE, 0x0800, BIT(IPV4) },    { WORD_TYPE, 0x86dd, BIT(IPV6) },      { WORD_TYPE, TYPE_ARP, BIT(ARP) },
	{ WORD_TYPE, TYPE_VLAN, BIT(VLAN) }, { WORD_TYPE, TYPE_PPPOE, BIT(PPPOE) }, { WORD_TYPE, TYPE_MPLS, BIT(MPLS) },
	{ WORD_PROTO, 1, BIT(ICMP) },        { WORD_PROTO, 6, BIT(TCP) },           { WORD_PROTO, 17, BIT(UDP) },
	{ WORD_PROTO, 58, BIT(ICMPV6) },     { WORD_PROTO, 132, BIT(SCTP) },
};

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

/* --- headers */

/* A header that is asked for is there, with those that it lies on; of several the flow decides. */
static void require(struct model *m, uint32_t layers)
{
	uint32_t possible = 0, chosen;
	int layer = 0;

	if (!layers || m->layers & layers)
		return;
	for (int i = 0; i < AMON_LAYER_COUNT; i++)
		if (layers & AMON_LAYER_BIT(i) & ~m->forbidden && !amon_layers_exclude(AMON_LAYER_BIT(i), m->layers))
			possible |= AMON_LAYER_BIT(i);
	if (!possible)
		return;
	chosen = m->flow / 7 % (uint32_t)__builtin_popcount(possible);
	for (; !(possible & AMON_LAYER_BIT(layer)) || chosen; layer++)
		chosen -= (possible & AMON_LAYER_BIT(layer)) != 0;
	m->layers |= AMON_LAYER_BIT(layer);
	/* ICMP and ICMPv6 each belong to one version */
	require(m, layer == AMON_LAYER_ICMP     ? BIT(IPV4)
	           : layer == AMON_LAYER_ICMPV6 ? BIT(IPV6)
	                                        : amon_layer_below(layer));
}

/* --- numbers and addresses */

static void set_word(struct model *m, enum word word, uint32_t shift, uint32_t mask, uint32_t number)
{
	m->words[word] = (m->words[word] & ~(mask << shift)) | (number & mask) << shift;
	for (size_t i = 0; i < COUNT_OF(numbered_layers); i++)
		if (numbered_layers[i].word == word && numbered_layers[i].number == number)
			require(m, numbered_layers[i].layers);
}

static bool holds(enum amon_operator op, int64_t x, int64_t number)
{
	return op == AMON_OP_EQ   ? x == number
	       : op == AMON_OP_NE ? x != number
	       : op == AMON_OP_LT ? x < number
	       : op == AMON_OP_LE ? x <= number
	       : op == AMON_OP_GT ? x > number
	                          : x >= number;
}

/* What makes it hold, next to the number. */
static int64_t solution(enum amon_operator op, int64_t number)
{
	return op == AMON_OP_LT ? number - 1 : op == AMON_OP_NE || op == AMON_OP_GT ? number + 1 : number;
}

/* Bytes of a payload, as a number in network byte order. */
static void set_slice(struct model *m, const struct amon_value *slice, int64_t number)
{
	for (uint32_t i = 0; i < slice->width && slice->offset + i < PAYLOAD; i++)
		m->payload[slice->offset + i] = (uint8_t)((uint64_t)number >> 8 * (slice->width - 1 - i));
}

static void compare_field(struct model *m, const struct amon_value *field, enum amon_operator op, int64_t number)
{
	require(m, field->field->layers);
	for (size_t i = 0; i < COUNT_OF(word_fields); i++) {
		uint32_t shift = word_fields[i].shift, mask = word_fields[i].mask;
		enum word word = word_fields[i].word;

		if (strcmp(word_fields[i].field, field->field->name) != 0)
			continue;
		if (!holds(op, m->words[word] >> shift & mask, number))
			set_word(m, word, shift, mask, (uint32_t)solution(op, number));
	}
}

/* The first bits are the address's, all others as they were. */
static void set_bits(uint8_t *to, const uint8_t *from, uint32_t bits)
{
	for (uint32_t i = 0; i < bits; i++)
		to[i / 8] = (uint8_t)((to[i / 8] & ~(0x80 >> i % 8)) | (from[i / 8] & 0x80 >> i % 8));
}

static void set_address(struct model *m, const struct amon_value *field, const struct amon_address *address)
{
	static const uint32_t versions[] = { [AMON_ADDRESS_IPV4] = BIT(IPV4), [AMON_ADDRESS_IPV6] = BIT(IPV6) };

	if (field->type.base == AMON_BASE_NET)
		require(m, versions[address->family]);
	require(m, field->field->layers);
	for (size_t i = 0; i < COUNT_OF(address_fields); i++)
		if (!strcmp(address_fields[i].field, field->field->name))
			set_bits(m->addresses[address_fields[i].address], address->bytes, address->prefix);
}

/* --- conditions */

static void satisfy(struct model *m, const struct amon_value *value, bool wanted);

/* Every field that is read has its header. */
static void reach(struct model *m, const struct amon_value *value)
{
	if (!value)
		return;
	if (value->kind == AMON_VALUE_FIELD)
		require(m, value->field->layers);
	if (value->kind == AMON_VALUE_SLICE)
		require(m, AMON_LAYER_BIT(value->payload->layer));
	reach(m, value->left);
	reach(m, value->middle);
	reach(m, value->right);
}

static void compare(struct model *m, const struct amon_value *value, bool wanted)
{
	static const enum amon_operator opposites[] = {
		[AMON_OP_EQ] = AMON_OP_NE, [AMON_OP_NE] = AMON_OP_EQ, [AMON_OP_LT] = AMON_OP_GE,
		[AMON_OP_GE] = AMON_OP_LT, [AMON_OP_GT] = AMON_OP_LE, [AMON_OP_LE] = AMON_OP_GT,
	};
	static const enum amon_operator mirrored[] = {
		[AMON_OP_EQ] = AMON_OP_EQ, [AMON_OP_NE] = AMON_OP_NE, [AMON_OP_LT] = AMON_OP_GT,
		[AMON_OP_GT] = AMON_OP_LT, [AMON_OP_LE] = AMON_OP_GE, [AMON_OP_GE] = AMON_OP_LE,
	};
	const struct amon_value *left = value->left, *right = value->right;
	bool turned = left->kind == AMON_VALUE_INTEGER || left->kind == AMON_VALUE_ADDRESS;
	enum amon_operator op = wanted ? value->op : opposites[value->op];

	if (turned) {
		left = value->right;
		right = value->left;
		op = mirrored[op];
	}
	reach(m, left);
	if (left->kind == AMON_VALUE_FIELD && right->kind == AMON_VALUE_INTEGER)
		compare_field(m, left, op, right->integer);
	else if (left->kind == AMON_VALUE_SLICE && right->kind == AMON_VALUE_INTEGER)
		set_slice(m, left, solution(op, right->integer));
	else if (left->kind == AMON_VALUE_FIELD && right->kind == AMON_VALUE_ADDRESS && op == AMON_OP_EQ)
		set_address(m, left, &right->address);
	else
		reach(m, right);
}

/* In one of the set's items: the flow decides. */
static void be_in(struct model *m, const struct amon_value *value)
{
	const struct amon_range *range = &value->ranges[m->flow / 3 % value->range_count];

	reach(m, value->left);
	if (value->left->kind == AMON_VALUE_SLICE) {
		set_slice(m, value->left, range->low);
	} else if (value->left->kind != AMON_VALUE_FIELD) {
		return;
	} else if (value->left->type.base == AMON_BASE_INT) {
		compare_field(m, value->left, AMON_OP_GE, range->low);
		compare_field(m, value->left, AMON_OP_LE, range->high);
	} else {
		set_address(m, value->left, &range->address);
	}
}

static void satisfy_binary(struct model *m, const struct amon_value *value, bool wanted)
{
	bool both = wanted == (value->op == AMON_OP_AND);

	if (value->op != AMON_OP_AND && value->op != AMON_OP_OR) {
		compare(m, value, wanted);
		return;
	}
	if (both || m->number & 1)
		satisfy(m, value->left, wanted);
	if (both || !(m->number & 1))
		satisfy(m, value->right, wanted);
}

/* As far as constants go; what depends on earlier packets comes about or not. */
static void satisfy(struct model *m, const struct amon_value *value, bool wanted)
{
	if (!value)
		return;
	if (value->kind == AMON_VALUE_PROTOCOL && wanted)
		require(m, value->layers);
	else if (value->kind == AMON_VALUE_PROTOCOL)
		m->forbidden |= value->layers;
	else if (value->kind == AMON_VALUE_FIELD && (wanted || m->layers & value->field->layers))
		compare_field(m, value, wanted ? AMON_OP_NE : AMON_OP_EQ, 0);
	else if (value->kind == AMON_VALUE_UNARY)
		satisfy(m, value->left, !wanted);
	else if (value->kind == AMON_VALUE_BINARY)
		satisfy_binary(m, value, wanted);
	else if (value->kind == AMON_VALUE_PRESENT && wanted)
		reach(m, value->left);
	else if (value->kind == AMON_VALUE_IN && wanted)
		be_in(m, value);
}

/* --- a frame */

static uint32_t mix(uint32_t x)
{
	x = (x ^ x >> 16) * 0x7feb352d;
	x = (x ^ x >> 15) * 0x846ca68b;
	return x ^ x >> 16;
}

static struct model begin(uint32_t number)
{
	static const uint16_t ports[] = { 443, 80, 53, 22, 8080, 25 };
	static const uint16_t flags[] = { 0x002, 0x012, 0x010, 0x018, 0x010, 0x018, 0x011, 0x004 };
	static const uint32_t lengths[] = { 60, 60, 590, 60, 1514 };
	uint32_t flow = mix(number) % FLOWS;
	struct model m = { .number = number,
		           .flow = flow,
		           .layers = BIT(ETH),
		           .words = { [WORD_TAG] = 1 + flow % 16,
		                      [WORD_INNER_TAG] = 100 + flow % 16,
		                      [WORD_SESSION] = 1 + flow % 64,
		                      [WORD_MPLS] = (16 + flow % 64) << 12 | 0x140,
		                      [WORD_ARP_OPCODE] = 1 + (number & 1),
		                      [WORD_TYPE] = TYPE_OTHER,
		                      [WORD_PROTO] = 255,
		                      [WORD_DSFIELD] = flow % 8 * 32,
		                      [WORD_TTL] = 64,
		                      [WORD_IP_ID] = number & 0xffff,
		                      [WORD_SRCPORT] = 1024 + flow,
		                      [WORD_DSTPORT] = ports[flow % COUNT_OF(ports)],
		                      [WORD_SEQ] = mix(~number),
		                      [WORD_ACK] = mix(number + FLOWS),
		                      [WORD_FLAGS] = flags[number % COUNT_OF(flags)],
		                      [WORD_WINDOW] = 64240,
		                      [WORD_ICMP_TYPE] = 8,
		                      [WORD_ICMP_IDENT] = flow,
		                      [WORD_ICMP_SEQ] = number & 0xffff,
		                      [WORD_SCTP_TAG] = mix(flow),
		                      [WORD_FRAME_LEN] = lengths[number % COUNT_OF(lengths)] },
		           .addresses = { { 2, 0, 0, 0, 0, 1 },
		                          { 2, 0, 0, 0, 1, (uint8_t)(flow % 64) },
		                          { 10, 0, (uint8_t)(flow / 250), (uint8_t)(1 + flow % 250) },
		                          { 192, 0, 2, (uint8_t)(1 + flow % 32) } } };

	for (uint32_t i = 0; i < PAYLOAD; i++)
		m.payload[i] = (uint8_t)mix(number * PAYLOAD + i);
	return m;
}

static void want_feature(struct model *m, const struct amon_feature *feature)
{
	satisfy(m, feature->section->where, true);
	if (feature->table) {
		satisfy(m, feature->table->where, true);
		for (const struct amon_column *key = feature->table->keys.first; key; key = key->next)
			reach(m, key->value);
	}
	if (feature->metric) {
		satisfy(m, feature->metric->where, true);
		reach(m, feature->metric->argument);
	}
}

/* What nobody asked for: most traffic is IP with a transport above. */
static void complete(struct model *m)
{
	static const uint32_t usual[] = { BIT(TCP), BIT(TCP), BIT(TCP), BIT(TCP),
		                          BIT(TCP), BIT(UDP), BIT(UDP), BIT(ICMP) | BIT(ICMPV6) };

	if (m->words[WORD_TYPE] != TYPE_OTHER || m->layers & (BIT(ARP) | BIT(ETH_LEN)))
		return;
	require(m, m->flow % 4 == 3 ? BIT(IPV6) : BIT(IPV4));
	require(m, NET);
	if (m->layers & BIT(IPV6) && m->words[WORD_FRAGMENT] & 0x2000)
		m->layers |= BIT(FRAGHDR);
	if (m->layers & TRANSPORT || m->words[WORD_PROTO] != 255)
		return;
	require(m, usual[m->flow % COUNT_OF(usual)] & (m->layers & BIT(IPV6) ? ~BIT(ICMP) : ~BIT(ICMPV6)));
	require(m, BIT(TCP) | BIT(UDP));
}

/* --- bytes */

struct writer {
	uint8_t *bytes;
	uint32_t at;
};

static void put(struct writer *w, uint64_t number, uint32_t size)
{
	while (size--)
		w->bytes[w->at++] = (uint8_t)(number >> 8 * size);
}

static void put_bytes(struct writer *w, const uint8_t *bytes, uint32_t size)
{
	memcpy(w->bytes + w->at, bytes, size);
	w->at += size;
}

static uint32_t has(const struct model *m, uint32_t layers)
{
	return m->layers & layers;
}

static const struct {
	uint32_t layer;
	uint8_t number;
	uint32_t size;
} transports[] = {
	{ BIT(TCP), 6, 20 }, { BIT(UDP), 17, 8 }, { BIT(SCTP), 132, 12 }, { BIT(ICMP), 1, 8 }, { BIT(ICMPV6), 58, 8 },
};

static const struct {
	uint32_t layer;
	uint8_t number;
} extensions[] = {
	{ BIT(HOPOPTS), 0 }, { BIT(ROUTING), 43 }, { BIT(DSTOPTS), 60 }, { BIT(FRAGHDR), 44 }, { BIT(AH), 51 },
};

static uint8_t transport_number(const struct model *m)
{
	for (size_t i = 0; i < COUNT_OF(transports); i++)
		if (has(m, transports[i].layer))
			return transports[i].number;
	return (uint8_t)m->words[WORD_PROTO];
}

static uint32_t transport_size(const struct model *m)
{
	for (size_t i = 0; i < COUNT_OF(transports); i++)
		if (has(m, transports[i].layer))
			return transports[i].size;
	return 0;
}

static uint32_t extensions_size(const struct model *m)
{
	uint32_t size = 0;

	for (size_t i = 0; i < COUNT_OF(extensions); i++)
		size += has(m, extensions[i].layer) ? 8 : 0;
	return has(m, BIT(IPV6)) ? size : 0;
}

static void put_ipv4(struct writer *w, const struct model *m, uint32_t length)
{
	put(w, 0x4500 | m->words[WORD_DSFIELD], 2);
	put(w, length, 2);
	put(w, m->words[WORD_IP_ID], 2);
	put(w, m->words[WORD_FRAGMENT], 2);
	put(w, m->words[WORD_TTL], 1);
	put(w, transport_number(m), 1);
	put(w, 0, 2);
	put_bytes(w, m->addresses[ADDRESS_SRC], 4);
	put_bytes(w, m->addresses[ADDRESS_DST], 4);
}

/* The number of the first extension header from this one on, or of the transport. */
static uint8_t next_header(const struct model *m, size_t from)
{
	for (; from < COUNT_OF(extensions); from++)
		if (has(m, extensions[from].layer))
			return extensions[from].number;
	return transport_number(m);
}

static void put_ipv6(struct writer *w, const struct model *m, uint32_t length)
{
	put(w, 6u << 28 | m->words[WORD_DSFIELD] << 20 | m->words[WORD_FLOW_LABEL], 4);
	put(w, length - 40, 2);
	put(w, next_header(m, 0), 1);
	put(w, m->words[WORD_TTL], 1);
	put_bytes(w, m->addresses[ADDRESS_SRC], 16);
	put_bytes(w, m->addresses[ADDRESS_DST], 16);
	for (size_t i = 0; i < COUNT_OF(extensions); i++)
		if (has(m, extensions[i].layer)) {
			put(w, next_header(m, i + 1), 1);
			/* of a fragment header: more to come */
			put(w, extensions[i].layer == BIT(FRAGHDR) ? 1ull << 32 : 0, 7);
		}
}

static void put_arp(struct writer *w, const struct model *m)
{
	put(w, 0x000108000604, 6);
	put(w, m->words[WORD_ARP_OPCODE], 2);
	put_bytes(w, m->addresses[ADDRESS_ETH_SRC], 6);
	put_bytes(w, m->addresses[ADDRESS_SRC], 4);
	put(w, 0, 6);
	put_bytes(w, m->addresses[ADDRESS_DST], 4);
}

static void put_transport(struct writer *w, const struct model *m, uint32_t payload)
{
	if (has(m, BIT(TCP) | BIT(UDP) | BIT(SCTP))) {
		put(w, m->words[WORD_SRCPORT], 2);
		put(w, m->words[WORD_DSTPORT], 2);
	}
	if (has(m, BIT(TCP))) {
		put(w, m->words[WORD_SEQ], 4);
		put(w, m->words[WORD_ACK], 4);
		put(w, 5u << 12 | m->words[WORD_FLAGS], 2);
		put(w, m->words[WORD_WINDOW], 2);
		put(w, m->words[WORD_URGENT], 4);
	} else if (has(m, BIT(UDP))) {
		put(w, (uint64_t)(8 + payload) << 16, 4);
	} else if (has(m, BIT(SCTP))) {
		put(w, (uint64_t)m->words[WORD_SCTP_TAG] << 32, 8);
	} else if (has(m, BIT(ICMP) | BIT(ICMPV6))) {
		/* 8 and 128 ask for an echo */
		put(w, has(m, BIT(ICMPV6)) && m->words[WORD_ICMP_TYPE] == 8 ? 128 : m->words[WORD_ICMP_TYPE], 1);
		put(w, m->words[WORD_ICMP_CODE], 1);
		put(w, 0, 2);
		put(w, m->words[WORD_ICMP_IDENT], 2);
		put(w, m->words[WORD_ICMP_SEQ], 2);
	}
}

static void put_link(struct writer *w, const struct model *m, uint32_t rest)
{
	uint32_t ip = has(m, BIT(IPV4)) ? 0x0800 : has(m, BIT(IPV6)) ? 0x86dd : 0;

	put_bytes(w, m->addresses[ADDRESS_ETH_DST], 6);
	put_bytes(w, m->addresses[ADDRESS_ETH_SRC], 6);
	if (has(m, BIT(VLAN)))
		put(w, (uint64_t)TYPE_VLAN << 16 | m->words[WORD_TAG], 4);
	if (has(m, BIT(VLAN_INNER)))
		put(w, (uint64_t)TYPE_VLAN << 16 | m->words[WORD_INNER_TAG], 4);
	if (has(m, BIT(PPPOE))) {
		put(w, (uint64_t)TYPE_PPPOE << 16 | 0x1100, 4);
		put(w, m->words[WORD_SESSION], 2);
		put(w, rest + 2, 2);
		put(w, ip == 0x0800 ? 0x0021 : ip ? 0x0057 : 0xc021, 2);
	} else if (has(m, BIT(MPLS))) {
		put(w, (uint64_t)TYPE_MPLS << 32 | m->words[WORD_MPLS], 6);
	} else if (has(m, BIT(ETH_LEN))) {
		put(w, rest, 2);
	} else {
		put(w, has(m, BIT(ARP)) ? TYPE_ARP : ip ? ip : m->words[WORD_TYPE], 2);
	}
}

static uint32_t link_size(const struct model *m)
{
	return 14 + (has(m, BIT(VLAN)) ? 4 : 0) + (has(m, BIT(VLAN_INNER)) ? 4 : 0) + (has(m, BIT(PPPOE)) ? 8 : 0) +
	       (has(m, BIT(MPLS)) ? 4 : 0);
}

/* Bytes behind all headers, by whichever length was asked for. */
static uint32_t payload_size(const struct model *m, uint32_t link, uint32_t net, uint32_t transport)
{
	uint32_t headers = link + net + transport, length = m->words[WORD_FRAME_LEN];

	if (m->words[WORD_L4_LEN])
		return m->words[WORD_L4_LEN];
	if (m->words[WORD_NET_LEN])
		length = link + m->words[WORD_NET_LEN];
	return length > headers ? length - headers : 0;
}

static uint32_t write_frame(const struct model *m, uint32_t more, uint8_t *bytes, uint32_t *captured)
{
	struct writer w = { bytes, 0 };
	uint32_t link = link_size(m), transport = transport_size(m);
	uint32_t net = has(m, BIT(IPV4)) ? 20 : has(m, BIT(IPV6)) ? 40 + extensions_size(m) : has(m, BIT(ARP)) ? 28 : 0;
	uint32_t payload = payload_size(m, link, net, transport), room = payload < PAYLOAD ? payload : PAYLOAD;

	put_link(&w, m, net + transport + payload);
	if (has(m, BIT(IPV4)))
		put_ipv4(&w, m, net + transport + payload);
	else if (has(m, BIT(IPV6)))
		put_ipv6(&w, m, net + transport + payload);
	else if (has(m, BIT(ARP)))
		put_arp(&w, m);
	put_transport(&w, m, payload);
	put_bytes(&w, m->payload, room < more ? room : more);
	*captured = w.at;
	return link + net + transport + payload;
}

uint32_t amon_made_frame(const struct amon_plan *plan, uint32_t number, uint8_t bytes[AMON_MADE_BYTES],
                         uint32_t *captured)
{
	uint32_t count = amon_feature_count(plan->probe), more = 16;
	struct model m = begin(number);
	struct amon_feature feature;

	if (count) {
		feature = amon_feature_at(plan->probe, number % count);
		want_feature(&m, &feature);
	}
	complete(&m);
	for (uint32_t i = 0; i < plan->slice_count; i++)
		if (plan->slices[i].offset + plan->slices[i].width > more)
			more = plan->slices[i].offset + plan->slices[i].width;
	return write_frame(&m, more, bytes, captured);
}
