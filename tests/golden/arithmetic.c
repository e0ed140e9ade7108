/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Probe arithmetic, made by amonc 0.1.0; do not edit. */

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

struct xdp_md {
	__u32 data, data_end, data_meta, ingress_ifindex, rx_queue_index, egress_ifindex;
};
enum { XDP_PASS = 2 };

enum { BPF_MAP_TYPE_PERCPU_ARRAY = 6 };

static void *(*bpf_map_lookup_elem)(void *map, const void *key) = (void *)1;
static __u64 (*bpf_xdp_get_buff_len)(struct xdp_md *xdp) = (void *)188;
static long (*bpf_xdp_load_bytes)(void *xdp, __u32 offset, void *to, __u32 size) = (void *)189;

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

/* At generic XDP: what is longer is a super-packet, which nothing tells there; 0 elsewhere. */
const volatile __u32 amon_frame_max;

/* Headers that a packet has */
enum {
	IPV4 = 1 << 12,
	TCP = 1 << 19,
};

/* What is wrong with the first header that is not whole */
enum { WHOLE, ETH_TRUNCATED, VLAN_TRUNCATED, PPPOE_TRUNCATED, MPLS_TRUNCATED, IP_TRUNCATED, IP_HEADER, IP_LENGTH,
	TCP_TRUNCATED, TCP_LENGTH, OVERSIZED };

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
	/* the parser's, for its functions that are verified apart */
	__u32 at;
	__u16 type;
	__u32 frame_len;
	__u8 ip_version_ihl;
	__u16 ip_id;
	__u8 ip_ttl;
	__u16 tcp_srcport;
	__u16 tcp_dstport;
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

static __always_inline struct cursor start_xdp(struct xdp_md *xdp, struct packet *p)
{
	struct cursor c = {
		.ctx = xdp,
		.p = p,
		.data = (void *)(long)xdp->data,
		.end = (void *)(long)xdp->data_end,
		.wire = p->frame_len,
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
	return bpf_xdp_load_bytes(c->ctx, at, to, size);
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

__noinline __u32 link_xdp(struct xdp_md *xdp, struct packet *p)
{
	struct cursor c;
	__u32 cause;

	if (!p)
		return WHOLE;
	c = start_xdp(xdp, p);
	cause = link(&c);
	p->layers |= c.layers;
	return cause;
}

static __always_inline __u32 link_apart(const struct cursor *c)
{
	return link_xdp(c->ctx, c->p);
}

/* Most packets have nothing of it. All that may stand there has a higher type than IPv4. */
static __always_inline __u32 walk_link(struct cursor *c)
{
	__u32 cause;

	if (likely(c->type < 0x8100 || c->type == 0x86dd))
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

	c->layers |= IPV4;
	c->p->ip_version_ihl = h->version_ihl;
	c->p->ip_id = ntohs(h->id);
	c->p->ip_ttl = h->ttl;
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

struct tcp {
	__be16 source, dest;
	__be32 seq, ack_seq;
	__be16 offset_flags, window, check, urgent;
};

static __always_inline __u32 read_tcp(struct cursor *c, const struct tcp *h)
{
	__u32 size = ntohs(h->offset_flags) >> 12 << 2;

	c->layers |= TCP;
	c->p->tcp_srcport = ntohs(h->source);
	c->p->tcp_dstport = ntohs(h->dest);
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
	if (c->type != 0x0800)
		return WHOLE;
	cause = ipv4(c);
	if (cause)
		return cause;
	c->limit = c->ip_end < c->captured ? c->ip_end : c->captured;
	if (c->later) {
		return WHOLE;
	}
	if (c->proto == 6)
		return tcp(c);
	return WHOLE;
}

__noinline __u32 parse_xdp(struct xdp_md *xdp, struct packet *p)
{
	struct cursor c;
	__u32 cause;

	if (!p)
		return WHOLE;
	c = start_xdp(xdp, p);
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

static __always_inline bool plain(struct cursor *c)
{
	/* an IP header has 20 bytes at least */
	const struct ethernet *h = in_place(c, 0, sizeof(*h) + 20);

	if (!h)
		return 0;
	read_ethernet(c, h);
	if (c->type == 0x0800)
		return plain_ipv4(c);
	return 0;
}

static __always_inline bool plain_xdp(struct xdp_md *xdp, struct packet *p)
{
	struct cursor c = start_xdp(xdp, p);

	if (!plain(&c))
		return 0;
	p->layers = c.layers;
	return 1;
}

enum { HAS_DELTA = 1 << 0, HAS_DISTANCE = 1 << 1, HAS_HOPS = 1 << 2 };
struct ingress_metrics {
	struct counter seen, selected;
	struct counter malformed[10];
	__u64 options;
	__u64 quotient;
	__s64 delta;
	__s64 distance;
	__s64 hops;
	__u8 has; /* which metrics saw a packet */
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct ingress_metrics);
} ingress_metrics SEC(".maps");

/* x / 0 has no value, which callers see by y; C must not assume that it does not happen. */
static __always_inline __u64 quotient(__u64 x, __u64 y)
{
	return y ? x / y : 0;
}

/* Toward zero; eBPF before cpu v4 divides without sign only. */
static __always_inline __s64 divide(__s64 x, __s64 y)
{
	__u64 q = quotient(x < 0 ? -(__u64)x : (__u64)x, y < 0 ? -(__u64)y : (__u64)y);

	return (x < 0) != (y < 0) ? -q : q;
}

/* Of numbers that may be negative: `has` tells whether there was one. */
#define highest_signed(kept, has, x)                                                                                   \
	do {                                                                                                           \
		__s64 it = (x);                                                                                        \
		if (!(has) || it > (kept))                                                                             \
			(kept) = it;                                                                                   \
	} while (0)

/* Of numbers that may be negative: `has` tells whether there was one. */
#define lowest_signed(kept, has, x)                                                                                    \
	do {                                                                                                           \
		__s64 it = (x);                                                                                        \
		if (!(has) || it < (kept))                                                                             \
			(kept) = it;                                                                                   \
	} while (0)

/* ingress xdp */
static __always_inline void count_ingress(const struct packet *p)
{
	struct ingress_metrics *m;
	__u32 zero = 0, cause;

	m = bpf_map_lookup_elem(&ingress_metrics, &zero);
	if (!m)
		return;
	ledger_add(&m->seen, 1, p->frame_len);
	cause = p->cause - 1;
	if (cause < 10)
		ledger_add(&m->malformed[cause], 1, p->frame_len);
	/* where ip */
	if (!(p->layers & IPV4))
		return;
	ledger_add(&m->selected, 1, p->frame_len);
	/* metric options = sum(ip.hdr_len - 20) unit bytes; */
	m->options += (__s64)((p->ip_version_ihl & 15) * 4) - 20;
	/* metric quotient = sum((ip.id - 100) / (ip.ttl - 64)); */
	const __s64 x1 = (__s64)p->ip_ttl - 64;
	if (x1)
		m->quotient += divide((__s64)p->ip_id - 100, x1);
	/* metric delta = max(s16(tcp.srcport - tcp.dstport)); */
	if (p->layers & TCP) {
		highest_signed(m->delta, m->has & HAS_DELTA, (__s16)((__s64)p->tcp_srcport - (__s64)p->tcp_dstport));
		m->has |= HAS_DELTA;
	}
	/* metric distance = max(abs(tcp.srcport - tcp.dstport)); */
	const __s64 x2 = (__s64)p->tcp_srcport - (__s64)p->tcp_dstport;
	if (p->layers & TCP) {
		highest_signed(m->distance, m->has & HAS_DISTANCE, x2 < 0 ? (__s64)-(__u64)x2 : x2);
		m->has |= HAS_DISTANCE;
	}
	/* metric hops = min(ip.ttl > 128 ? 255 - ip.ttl : ip.ttl > 64 ? 128 - ip.ttl : 64 - ip.ttl); */
	const bool x3 = p->ip_ttl > 128;
	const bool x4 = p->ip_ttl > 64;
	lowest_signed(m->hops, m->has & HAS_HOPS, x3 ? (__s64)(255 - (__s64)p->ip_ttl) : (__s64)(x4 ?
		(__s64)(128 - (__s64)p->ip_ttl) : (__s64)(64 - (__s64)p->ip_ttl)));
	m->has |= HAS_HOPS;
}

static __always_inline void sections_xdp(struct packet *p)
{
	count_ingress(p);
}

SEC("xdp.frags")
int amon_xdp(struct xdp_md *xdp)
{
	struct packet packet, *p = &packet;

	__builtin_memset(p, 0, sizeof(*p));
	p->frame_len = amon_replay ? amon_frame.length : bpf_xdp_get_buff_len(xdp);
	if (unlikely(!plain_xdp(xdp, p)))
		p->cause = parse_xdp(xdp, p);
	if (amon_frame_max && p->frame_len > amon_frame_max && !p->cause)
		p->cause = OVERSIZED;
	sections_xdp(p);
	return XDP_PASS;
}

char amon_license[] SEC("license") = "Dual BSD/GPL";
