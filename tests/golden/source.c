/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Probe source, made by amonc 0.1.0; do not edit. */

typedef unsigned char __u8;
typedef unsigned short __u16;
typedef unsigned int __u32;
typedef signed char __s8;
typedef short __s16;
typedef int __s32;
typedef long long __s64;
typedef unsigned long long __u64;
typedef __u16 __be16;
typedef __u32 __be32;
typedef _Bool bool;

#define SEC(name)	    __attribute__((section(name), used))
#define __uint(name, value) int(*name)[value]
#define __type(name, value) typeof(value) *name
#define __always_inline	    inline __attribute__((always_inline))
#define __noinline	    __attribute__((noinline))
#define __maybe_unused	    __attribute__((unused))
#define __aligned(size)	    __attribute__((aligned(size)))
#define likely(x)	    __builtin_expect(!!(x), 1)
#define unlikely(x)	    __builtin_expect(!!(x), 0)
#define ntohs(x)	    __builtin_bswap16(x)
#define ntohl(x)	    __builtin_bswap32(x)
#define htons(x)	    __builtin_bswap16(x)
#define htonl(x)	    __builtin_bswap32(x)

struct __sk_buff {
	__u32 len, pkt_type, mark, queue_mapping, protocol, vlan_present, vlan_tci, vlan_proto, priority;
	__u32 ingress_ifindex, ifindex, tc_index, cb[5], hash, tc_classid, data, data_end, napi_id, family;
	__u32 remote_ip4, local_ip4, remote_ip6[4], local_ip6[4], remote_port, local_port, data_meta;
	__u64 flow_keys, tstamp;
	__u32 wire_len, gso_segs;
	__u64 sk;
	__u32 gso_size;
};
enum { TC_ACT_UNSPEC = -1 };

enum { BPF_MAP_TYPE_PERCPU_ARRAY = 6 };

static void *(*bpf_map_lookup_elem)(void *map, const void *key) = (void *)1;
static long (*bpf_skb_load_bytes)(const void *skb, __u32 offset, void *to, __u32 size) = (void *)26;

/*
 * In a replay the capture gives time, lengths and direction; the verifier drops what this guards elsewhere. 2: all but
 * the time, so that what the clock costs is measured, too.
 */
const volatile __u32 amon_replay;
volatile struct {
	__u64 time;
	__u32 length, captured;
	__u32 direction; /* 1 in, 2 out; 0 unknown: a section counts the packet at its first hook alone */
} amon_frame SEC(".data.replay");

/* Headers that a packet has */
enum {
	TCP = 1 << 19,
};

/* What is wrong with the first header that is not whole */
enum { WHOLE, ETH_TRUNCATED, VLAN_TRUNCATED, PPPOE_TRUNCATED, MPLS_TRUNCATED, IP_TRUNCATED, IP_HEADER, IP_LENGTH,
	EXTENSION_TRUNCATED, TCP_TRUNCATED, TCP_LENGTH, UNSIZED };

struct counter {
	__u64 packets, bytes;
};

/* The ledger, in which every packet is found again. */
static __always_inline void ledger_add(struct counter *counter, __u64 packets, __u64 bytes)
{
	counter->packets += packets;
	counter->bytes += bytes * packets;
}

/* What the spec reads of a packet, in host byte order but for addresses */
struct packet {
	__u32 layers, cause;
	__u32 weight; /* wire packets that this run stands for */
	/* the parser's, for its functions that are verified apart */
	__u32 at, limit;
	__u16 type;
	__u8 proto;
	bool fragment, later;
	__u32 frame_len;
};

/* Where the parser is: `at` bytes into the frame, of which `captured` are there, `data` to `end` without a copy. */
struct cursor {
	void *ctx;
	struct packet *p;
	const void *data, *end;
	__u32 wire, captured, at;
	__u32 kept; /* by the capture that is replayed, in a frame that may be longer; without bound elsewhere */
	__u32 ip_end, limit; /* of the IP packet by its length, and of what is captured of it */
	__u32 length;	     /* of the IPv6 packet */
	__u16 tci;	     /* of the VLAN tag at hand */
	__u16 type;	     /* of what comes next, as in Ethernet */
	__u8 proto;	     /* as in IP */
	bool fragment, later;
	__u32 layers; /* found so far */
};

static __always_inline struct cursor start_skb(struct __sk_buff *skb, struct packet *p)
{
	struct cursor c = {
		.ctx = skb,
		.p = p,
		.data = (void *)(long)skb->data,
		.end = (void *)(long)skb->data_end,
		.wire = amon_replay ? amon_frame.length : skb->len,
		.kept = ~0U,
	};

	c.captured = c.wire;
	if (amon_replay) {
		c.kept = amon_frame.captured;
		c.captured = c.wire < c.kept ? c.wire : c.kept;
	}
	return c;
}

static __always_inline long load_bytes(const struct cursor *c, __u32 at, void *to, __u32 size)
{
	return bpf_skb_load_bytes(c->ctx, at, to, size);
}

static __always_inline bool tag_in_skb(const struct cursor *c)
{
	return ((struct __sk_buff *)c->ctx)->vlan_present;
}

static __always_inline bool is_super(const struct cursor *c)
{
	return ((struct __sk_buff *)c->ctx)->gso_size;
}

/*
 * `size` bytes at `at`, within what there is of the frame: in place where they are linear, else copied. In a loop the
 * copy is a word of its own: the verifier would lose a counter that stands on the stack in the same one.
 */
static __always_inline const void *bytes_at(const struct cursor *c, __u32 at, void *copy, __u32 size)
{
	const void *h = c->data + at;

	if (likely(h + size <= c->end)) {
		__builtin_assume(h != 0);
		return h;
	}
	return load_bytes(c, at, copy, size) ? 0 : copy;
}

/* The same, or NULL past the end. */
static __always_inline const void *header(const struct cursor *c, __u32 at, void *copy, __u32 size)
{
	return at + size > c->kept ? 0 : bytes_at(c, at, copy, size);
}

/* The same, or NULL where they are not in place. */
static __always_inline const void *in_place(const struct cursor *c, __u32 at, __u32 size)
{
	const void *h = c->data + at;

	if (at + size > c->captured || h + size > c->end)
		return 0;
	__builtin_assume(h != 0);
	return h;
}

/* What a function that is verified apart says of where to go on. No header is parsed beyond: a bound for the verifier. */
static __always_inline __u32 bounded(__u32 at)
{
	return at & 0x7fff;
}

struct ethernet {
	__u8 dst[6], src[6];
	__be16 type;
};

static __always_inline void read_ethernet(struct cursor *c, const struct ethernet *h)
{
	c->type = ntohs(h->type);
	c->at = sizeof(*h);
}

static __always_inline __u32 ethernet(struct cursor *c)
{
	struct ethernet copy;
	const struct ethernet *h = header(c, 0, &copy, sizeof(copy));

	if (!h)
		return ETH_TRUNCATED;
	read_ethernet(c, h);
	return WHOLE;
}

struct vlan {
	__be16 tci, type;
};

static __always_inline bool is_vlan(__u16 type)
{
	return type == 0x8100 || type == 0x88a8 || type == 0x9100;
}

/* Two tags at most; at TC the outer one may have been taken out of the frame. */
static __always_inline __u32 vlan(struct cursor *c)
{
	__u32 tag;

	for (tag = 0; tag < 2; tag++) {
		const struct vlan *h;
		__u64 copy;

		if (tag == 0 && tag_in_skb(c)) {
			continue;
		}
		if (!is_vlan(c->type))
			return WHOLE;
		h = header(c, c->at, &copy, sizeof(*h));
		if (!h)
			return VLAN_TRUNCATED;
		c->type = ntohs(h->type);
		c->at += sizeof(*h);
	}
	return WHOLE;
}

struct pppoe {
	__u8 version_type, code;
	__be16 session_id, length;
};

static __always_inline __u32 pppoe(struct cursor *c)
{
	struct pppoe copy;
	const struct pppoe *h = header(c, c->at, &copy, sizeof(copy));
	const __be16 *protocol;
	__be16 protocol_copy;

	c->type = 0;
	if (!h)
		return PPPOE_TRUNCATED;
	c->at += sizeof(*h);
	protocol = header(c, c->at, &protocol_copy, sizeof(protocol_copy));
	if (!protocol)
		return PPPOE_TRUNCATED;
	c->type = *protocol == htons(0x0021) ? 0x0800 : *protocol == htons(0x0057) ? 0x86dd : 0;
	c->at += sizeof(*protocol);
	return 0;
}

/* Four labels at most; what is behind the last is told by its first half byte. */
static __always_inline __u32 mpls(struct cursor *c)
{
	__u32 label;

	c->type = 0;
	for (label = 0; label < 4; label++) {
		__u64 copy, first;
		const __be32 *h = header(c, c->at, &copy, sizeof(*h));
		const __u8 *next;
		__u32 entry;

		if (!h)
			return MPLS_TRUNCATED;
		entry = ntohl(*h);
		c->at += sizeof(*h);
		next = header(c, c->at, &first, sizeof(*next));
		if (!next)
			return 0;
		if (entry & 0x100) {
			c->type = *next >> 4 == 4 ? 0x0800 : *next >> 4 == 6 ? 0x86dd : 0;
			return 0;
		}
	}
	return 0;
}

/* What may stand between Ethernet and the rest. */
static __always_inline __u32 link(struct cursor *c)
{
	__u32 cause;

	c->at = sizeof(struct ethernet);
	c->type = c->p->type;
	cause = vlan(c);
	if (!cause && c->type == 0x8864)
		cause = pppoe(c);
	else if (!cause && c->type == 0x8847)
		cause = mpls(c);
	c->p->at = c->at;
	c->p->type = c->type;
	return cause;
}

__noinline __u32 link_skb(struct __sk_buff *skb, struct packet *p)
{
	struct cursor c;
	__u32 cause;

	if (!p)
		return WHOLE;
	c = start_skb(skb, p);
	cause = link(&c);
	p->layers |= c.layers;
	return cause;
}

static __always_inline __u32 link_apart(const struct cursor *c)
{
	return link_skb(c->ctx, c->p);
}

/* Most packets have nothing of it. All that may stand there has a higher type than IPv4. */
static __always_inline __u32 walk_link(struct cursor *c)
{
	__u32 cause;

	if (likely((c->type < 0x8100 || c->type == 0x86dd) && !tag_in_skb(c)))
		return WHOLE;
	c->p->type = c->type;
	cause = link_apart(c);
	c->at = bounded(c->p->at);
	c->type = c->p->type;
	return cause;
}

struct ipv4 {
	__u8 version_ihl, tos;
	__be16 tot_len, id, frag_off;
	__u8 ttl, protocol;
	__be16 check;
	__be32 saddr, daddr;
};

/* A header of `size` bytes, its options included. */
static __always_inline __u32 read_ipv4(struct cursor *c, const struct ipv4 *h, __u32 size)
{
	/* a sender that leaves segmentation to the card may leave the length out */
	__u32 length = ntohs(h->tot_len) ?: c->wire - c->at;

	if (length < size)
		return IP_LENGTH;
	c->proto = h->protocol;
	c->fragment = h->frag_off & htons(0x3fff);
	c->later = h->frag_off & htons(0x1fff);
	c->ip_end = c->at + length;
	c->at += size;
	return WHOLE;
}

static __always_inline __u32 ipv4(struct cursor *c)
{
	struct ipv4 copy;
	const struct ipv4 *h = header(c, c->at, &copy, sizeof(copy));
	__u32 size;

	if (!h)
		return IP_TRUNCATED;
	size = (h->version_ihl & 15) * 4;
	if (h->version_ihl >> 4 != 4 || size < sizeof(*h))
		return IP_HEADER;
	if (c->at + size > c->captured)
		return IP_TRUNCATED;
	return read_ipv4(c, h, size);
}

struct ipv6 {
	__be32 version_flow;
	__be16 payload_len;
	__u8 next_header, hop_limit;
	__be32 saddr[4], daddr[4];
};

static __always_inline __u32 read_ipv6(struct cursor *c, const struct ipv6 *h)
{
	if (ntohl(h->version_flow) >> 28 != 6)
		return IP_HEADER;
	c->length = ntohs(h->payload_len) + sizeof(*h);
	/* a payload length of 0 bounds nothing (RFC 2675, and big TCP) */
	c->ip_end = h->payload_len ? c->at + c->length : c->wire;
	if (!h->payload_len && is_super(c))
		c->length = c->wire - c->at;
	c->proto = h->next_header;
	c->fragment = c->later = 0;
	c->at += sizeof(*h);
	return WHOLE;
}

static __always_inline __u32 ipv6(struct cursor *c)
{
	struct ipv6 copy;
	const struct ipv6 *h = header(c, c->at, &copy, sizeof(copy));

	return h ? read_ipv6(c, h) : IP_TRUNCATED;
}

struct extension {
	__u8 next_header, length;
	__be16 offset_flags;
	__be32 id;
};

/* Hop-by-hop, routing, fragment, AH, destination, mobility, HIP, shim6 (RFC 7045). */
static __always_inline bool is_extension(__u8 proto)
{
	return proto == 0 || proto == 43 || proto == 44 || proto == 51 || proto == 60 || proto == 135 ||
	       proto == 139 || proto == 140;
}

/* Eight extension headers at most. */
static __always_inline __u32 extensions(struct cursor *c)
{
	__u32 i, cause = WHOLE;

	c->at = bounded(c->p->at);
	c->limit = c->p->limit;
	c->proto = c->p->proto;
	for (i = 0; i < 8 && !c->later && is_extension(c->proto); i++) {
		const struct extension *h = 0;
		__u64 copy;
		__u32 size;

		if (c->at + sizeof(*h) <= c->limit)
			h = bytes_at(c, c->at, &copy, sizeof(*h));
		if (!h) {
			cause = EXTENSION_TRUNCATED;
			break;
		}
		size = 8 + h->length * 8;
		if (c->proto == 51)
			size = 8 + h->length * 4;
		if (c->proto == 44) {
			size = 8;
			c->fragment |= (h->offset_flags & htons(0xfff9)) != 0;
			c->later = h->offset_flags & htons(0xfff8);
		}
		c->proto = h->next_header;
		c->at = bounded(c->at + size);
	}
	c->p->at = c->at;
	c->p->proto = c->proto;
	c->p->fragment = c->fragment;
	c->p->later = c->later;
	return cause;
}

__noinline __u32 extensions_skb(struct __sk_buff *skb, struct packet *p)
{
	struct cursor c;
	__u32 cause;

	if (!p)
		return WHOLE;
	c = start_skb(skb, p);
	cause = extensions(&c);
	p->layers |= c.layers;
	return cause;
}

static __always_inline __u32 extensions_apart(const struct cursor *c)
{
	return extensions_skb(c->ctx, c->p);
}

static __always_inline __u32 walk_extensions(struct cursor *c)
{
	__u32 cause;

	c->p->at = c->at;
	c->p->limit = c->limit;
	c->p->proto = c->proto;
	cause = extensions_apart(c);
	c->at = bounded(c->p->at);
	c->proto = c->p->proto;
	c->fragment = c->p->fragment;
	c->later = c->p->later;
	return cause;
}

struct tcp {
	__be16 source, dest;
	__be32 seq, ack_seq;
	__be16 offset_flags, window, check, urgent;
};

static __always_inline __u32 read_tcp(struct cursor *c, const struct tcp *h)
{
	__u32 size = ntohs(h->offset_flags) >> 12 << 2;

	c->layers |= TCP;
	if (size < sizeof(*h) || c->at + size > c->ip_end)
		return TCP_LENGTH;
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

/* The outermost headers, as far as the spec reads them; what is wrong with the first that is not whole, or WHOLE. */
static __always_inline __u32 parse(struct cursor *c)
{
	__u32 cause;

	cause = ethernet(c);
	if (cause)
		return cause;
	cause = walk_link(c);
	if (cause)
		return cause;
	if (c->type == 0x0800)
		cause = ipv4(c);
	else if (c->type == 0x86dd)
		cause = ipv6(c);
	else
		return WHOLE;
	if (cause)
		return cause;
	c->limit = c->ip_end < c->captured ? c->ip_end : c->captured;
	if (c->type == 0x86dd && is_extension(c->proto))
		cause = walk_extensions(c);
	if (cause)
		return cause;
	if (c->later) {
		return WHOLE;
	}
	if (c->proto == 6)
		return tcp(c);
	return WHOLE;
}

__noinline __u32 parse_skb(struct __sk_buff *skb, struct packet *p)
{
	struct cursor c;
	__u32 cause;

	if (!p)
		return WHOLE;
	c = start_skb(skb, p);
	cause = parse(&c);
	p->layers |= c.layers;
	return cause;
}

/*
 * Most packets are Ethernet, IP without options or extension headers, in one piece, and TCP or UDP, whole and in place.
 * They are read in few steps and without a call. Of all others this is false: they are parse()'s, from the start.
 */
static __always_inline bool plain_tcp(struct cursor *c)
{
	const struct tcp *h = in_place(c, c->at, sizeof(*h));

	return h && c->at + sizeof(*h) <= c->ip_end && read_tcp(c, h) == WHOLE;
}

static __always_inline bool plain_transport(struct cursor *c)
{
	if (likely(c->proto == 6))
		return plain_tcp(c);
	/* no other is read */
	return 1;
}

static __always_inline bool plain_ipv4(struct cursor *c)
{
	const struct ipv4 *h = in_place(c, c->at, sizeof(*h));

	if (!h || h->version_ihl != 0x45 || h->frag_off & htons(0x3fff) || !h->tot_len)
		return 0;
	if (read_ipv4(c, h, sizeof(*h)) != WHOLE)
		return 0;
	return plain_transport(c);
}

static __always_inline bool plain_ipv6(struct cursor *c)
{
	const struct ipv6 *h = in_place(c, c->at, sizeof(*h));

	if (!h || read_ipv6(c, h) != WHOLE)
		return 0;
	if (c->proto != 6 && c->proto != 17 && is_extension(c->proto))
		return 0;
	return plain_transport(c);
}

static __always_inline bool plain(struct cursor *c)
{
	/* an IP header has 20 bytes at least */
	const struct ethernet *h = in_place(c, 0, sizeof(*h) + 20);

	if (!h || tag_in_skb(c))
		return 0;
	read_ethernet(c, h);
	if (c->type == 0x0800)
		return plain_ipv4(c);
	if (c->type == 0x86dd)
		return plain_ipv6(c);
	return 0;
}

static __always_inline bool plain_skb(struct __sk_buff *skb, struct packet *p)
{
	struct cursor c = start_skb(skb, p);

	if (!plain(&c))
		return 0;
	p->layers = c.layers;
	return 1;
}

/* What a GSO/GRO buffer is on the wire: `count` packets, of which `size` bytes of payload each, the last the rest. */
struct super {
	__u32 frame_len, count, size, payload;
	bool cwr, sized;
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
	return 1;
}

struct both_metrics {
	struct counter seen, selected;
	struct counter malformed[11];
	__u64 packets;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct both_metrics);
} both_metrics SEC(".maps");

/* Defined in source.bpf.c, which is compiled apart, and linked. */
int amon_packet(struct __sk_buff *skb);

/* ingress tc, egress tc */
__noinline __u32 count_both(const volatile struct packet *p)
{
	struct both_metrics *m;
	__u32 zero = 0, cause;

	m = bpf_map_lookup_elem(&both_metrics, &zero);
	if (!p || !m)
		return 0;
	ledger_add(&m->seen, p->weight, p->frame_len);
	cause = p->cause - 1;
	if (cause < 11)
		ledger_add(&m->malformed[cause], p->weight, p->frame_len);
	/* where tcp */
	if (!(p->layers & TCP))
		return 0;
	ledger_add(&m->selected, p->weight, p->frame_len);
	/* metric packets = count(); */
	m->packets += p->weight;
	return 0;
}

/* where tcp */
static __noinline bool selects_both(const volatile struct packet *p)
{
	return p->layers & TCP;
}

static __always_inline void sections_tc_ingress(struct packet *p)
{
	count_both(p);
}

SEC("tc")
int amon_tc_ingress(struct __sk_buff *skb)
{
	struct packet packet, *p = &packet;

	__builtin_memset(p, 0, sizeof(*p));
	p->frame_len = amon_replay ? amon_frame.length : skb->len + (skb->vlan_present ? 4 : 0);
	p->weight = 1;
	if (unlikely(!plain_skb(skb, p)))
		p->cause = parse_skb(skb, p);
	if (!skb->gso_size) {
		sections_tc_ingress(p);
	} else {
		struct super s = { .frame_len = p->frame_len };

		if (!super_measure(skb, &s) && !p->cause)
			p->cause = UNSIZED;
		for (__u32 i = 0; i < 3; i++)
			if (super_piece(p, &s, i))
				sections_tc_ingress(p);
		p->frame_len = s.frame_len;
		p->weight = 1;
	}
	/* source "source.bpf.c" */
	if (selects_both(p))
		amon_packet(skb);
	return TC_ACT_UNSPEC;
}

static __always_inline void sections_tc_egress(struct packet *p)
{
	if (!amon_replay || amon_frame.direction)
		count_both(p);
}

SEC("tc")
int amon_tc_egress(struct __sk_buff *skb)
{
	struct packet packet, *p = &packet;

	__builtin_memset(p, 0, sizeof(*p));
	p->frame_len = amon_replay ? amon_frame.length : skb->len + (skb->vlan_present ? 4 : 0);
	p->weight = 1;
	if (unlikely(!plain_skb(skb, p)))
		p->cause = parse_skb(skb, p);
	if (!skb->gso_size) {
		sections_tc_egress(p);
	} else {
		struct super s = { .frame_len = p->frame_len };

		if (!super_measure(skb, &s) && !p->cause)
			p->cause = UNSIZED;
		for (__u32 i = 0; i < 3; i++)
			if (super_piece(p, &s, i))
				sections_tc_egress(p);
		p->frame_len = s.frame_len;
		p->weight = 1;
	}
	/* source "source.bpf.c" */
	if ((!amon_replay || amon_frame.direction) && selects_both(p))
		amon_packet(skb);
	return TC_ACT_UNSPEC;
}

char amon_license[] SEC("license") = "Dual BSD/GPL";
