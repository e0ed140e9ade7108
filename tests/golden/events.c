/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Probe handshakes, made by amonc 0.1.0; do not edit. */

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

enum { BPF_MAP_TYPE_PERCPU_ARRAY = 6, BPF_MAP_TYPE_RINGBUF = 27, BPF_RB_NO_WAKEUP = 1 };

static void *(*bpf_map_lookup_elem)(void *map, const void *key) = (void *)1;
static __u64 (*bpf_ktime_get_ns)(void) = (void *)5;
static void *(*bpf_ringbuf_reserve)(void *ring, __u64 size, __u64 flags) = (void *)131;
static void (*bpf_ringbuf_submit)(void *data, __u64 flags) = (void *)132;
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
	VLAN = 1 << 3,
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
	__u64 time;
	__u32 layers, cause;
	/* the parser's, for its functions that are verified apart */
	__u32 at;
	__u16 type;
	__u32 frame_len;
	__u16 vlan_tci;
	__be32 ip_src __aligned(8);
	__be32 ip_dst;
	__u16 tcp_dstport;
	__u16 tcp_flags;
};

/* The clock is read by the first who needs it, and once. */
static __always_inline void read_time(const volatile struct packet *packet)
{
	struct packet *p = (struct packet *)packet;

	if (!p->time)
		p->time = amon_replay == 1 ? amon_frame.time : bpf_ktime_get_ns();
}

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

/* Two words as one: what was stored in pieces is long in coming back from memory as a whole. */
typedef __u64 __attribute__((may_alias)) pair_t;

static __always_inline void store_pair(__be32 *to, __be32 first, __be32 second)
{
	__be32 pair[2] __aligned(8) = { first, second };

	*(pair_t *)to = *(const pair_t *)pair;
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

static __always_inline void vlan_tag(struct cursor *c, __u32 tag)
{
	if (tag == 0) {
		c->layers |= VLAN;
		c->p->vlan_tci = c->tci;
	}
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
		c->tci = ntohs(h->tci);
		vlan_tag(c, tag);
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
	store_pair(&c->p->ip_src, h->saddr, h->daddr);
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
	c->p->tcp_dstport = ntohs(h->dest);
	c->p->tcp_flags = ntohs(h->offset_flags) & 0xfff;
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

struct ingress_asked_event {
	__u64 frame_time;
	__be32 ip_src;
	__be32 ip_dst;
	__u16 port;
	__u16 vlan_id;
	__u8 has_ip_src;
	__u8 has_ip_dst;
	__u8 has_port;
	__u8 has_vlan_id;
};

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 262144);
} ingress_asked SEC(".maps");

struct ingress_metrics {
	struct counter seen, selected;
	struct counter malformed[10];
	struct counter asked_selected;
	struct counter asked_in_rows;
	struct counter asked_full;
	__u64 syns;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct ingress_metrics);
} ingress_metrics SEC(".maps");

/* events asked size 4096 where tcp.flags.syn and not tcp.flags.ack */
static __always_inline void note_ingress_asked(const struct packet *p, struct ingress_metrics *m)
{
	struct ingress_asked_event *event;

	/* where tcp.flags.syn and not tcp.flags.ack */
	if (!((p->layers & TCP) && (p->tcp_flags & 0x002) && !(p->tcp_flags & 0x010)))
		return;
	read_time(p);
	ledger_add(&m->asked_selected, 1, p->frame_len);
	event = bpf_ringbuf_reserve(&ingress_asked, sizeof(*event), 0);
	if (!event) {
		ledger_add(&m->asked_full, 1, p->frame_len);
		return;
	}
	__builtin_memset(event, 0, sizeof(*event));
	event->frame_time = p->time;
	event->ip_src = p->ip_src;
	event->has_ip_src = 1;
	event->ip_dst = p->ip_dst;
	event->has_ip_dst = 1;
	event->port = p->tcp_dstport;
	event->has_port = 1;
	if (p->layers & VLAN) {
		event->vlan_id = p->vlan_tci & 0xfff;
		event->has_vlan_id = 1;
	}
	bpf_ringbuf_submit(event, BPF_RB_NO_WAKEUP);
	ledger_add(&m->asked_in_rows, 1, p->frame_len);
}

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
	/* metric syns = count() where tcp.flags.syn; */
	if ((p->layers & TCP) && (p->tcp_flags & 0x002))
		m->syns++;
	note_ingress_asked(p, m);
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
