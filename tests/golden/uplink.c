/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Probe uplink, made by amonc 0.1.0; do not edit. */

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

/* Sections that say `ingress` alone are counted at TC where the interface has no native XDP. */
const volatile __u32 amon_ingress_tc;

/* Headers that a packet has */
enum {
	ETH = 1 << 0,
};

/* What is wrong with the first header that is not whole */
enum { WHOLE, ETH_TRUNCATED, OVERSIZED, UNSIZED };

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
	__u32 frame_len;
	__u8 eth_dst[6];
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
	bool xdp;
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
		.xdp = 1,
	};

	c.captured = c.wire;
	if (amon_replay) {
		c.kept = amon_frame.captured;
		c.captured = c.wire < c.kept ? c.wire : c.kept;
	}
	return c;
}

static __always_inline struct cursor start_skb(struct __sk_buff *skb, struct packet *p)
{
	struct cursor c = {
		.ctx = skb,
		.p = p,
		.data = (void *)(long)skb->data,
		.end = (void *)(long)skb->data_end,
		.wire = amon_replay ? amon_frame.length : skb->len,
		.kept = ~0U,
		.xdp = 0,
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
	if (c->xdp)
		return bpf_xdp_load_bytes(c->ctx, at, to, size);
	return bpf_skb_load_bytes(c->ctx, at, to, size);
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

struct ethernet {
	__u8 dst[6], src[6];
	__be16 type;
};

static __always_inline void read_ethernet(struct cursor *c, const struct ethernet *h)
{
	c->type = ntohs(h->type);
	c->at = sizeof(*h);
	c->layers |= ETH;
	__builtin_memcpy(c->p->eth_dst, h->dst, 6);
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

/* The outermost headers, as far as the spec reads them; what is wrong with the first that is not whole, or WHOLE. */
static __always_inline __u32 parse(struct cursor *c)
{
	__u32 cause;

	cause = ethernet(c);
	if (cause)
		return cause;
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

struct ingress_metrics {
	struct counter seen, selected;
	struct counter malformed[3];
	__u64 packets;
	__u64 bytes;
	__u64 multicast;
	__u64 frame_size;
	__u64 frame_size_buckets[7];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct ingress_metrics);
} ingress_metrics SEC(".maps");

struct egress_metrics {
	struct counter seen, selected;
	struct counter malformed[3];
	__u64 packets;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct egress_metrics);
} egress_metrics SEC(".maps");

/*
 * A bucket's index. Without the barriers the compiler leaves out a bound that it can prove and the verifier cannot, or goes
 * on with a copy of which the verifier does not know that it is bounded.
 */
static __always_inline __u64 at_most(__u64 index, __u64 last)
{
	asm volatile("" : "+r"(index));
	if (index > last)
		index = last;
	asm volatile("" : "+r"(index));
	return index;
}

/* 1 where x > edge, else 0, without a branch: the verifier would follow both ways of each. (Hacker's Delight, 2-12) */
static __always_inline __u64 above(__s64 x, __s64 edge)
{
	__u64 d = (__u64)edge - (__u64)x;

	return (d ^ (((__u64)edge ^ (__u64)x) & (d ^ (__u64)edge))) >> 63;
}

/* ingress */
__noinline __u32 count_ingress(const volatile struct packet *p)
{
	struct ingress_metrics *m;
	__u32 zero = 0, cause;

	m = bpf_map_lookup_elem(&ingress_metrics, &zero);
	if (!p || !m)
		return 0;
	ledger_add(&m->seen, p->weight, p->frame_len);
	cause = p->cause - 1;
	if (cause < 3)
		ledger_add(&m->malformed[cause], p->weight, p->frame_len);
	ledger_add(&m->selected, p->weight, p->frame_len);
	/* metric packets = count() "Packets seen"; */
	m->packets += p->weight;
	/* metric bytes = sum(frame.len) unit bytes "Bytes on the wire, without FCS"; */
	m->bytes += (__u64)p->frame_len * p->weight;
	/* metric multicast = count() where eth.dst.ig; */
	if ((p->layers & ETH) && (p->eth_dst[0] & 1))
		m->multicast += p->weight;
	/* metric frame_size = histogram(frame.len, [64, 128, 256, 512, 1024, 1518]) unit bytes; */
	const __s64 x1 = p->frame_len;
	const __u64 b1 = above(x1, 64) + above(x1, 128) + above(x1, 256) + above(x1, 512) + above(x1, 1024) +
		above(x1, 1518);
	m->frame_size += (__u64)x1 * p->weight;
	m->frame_size_buckets[at_most(b1, 6)] += p->weight;
	return 0;
}

/* egress */
__noinline __u32 count_egress(const volatile struct packet *p)
{
	struct egress_metrics *m;
	__u32 zero = 0, cause;

	m = bpf_map_lookup_elem(&egress_metrics, &zero);
	if (!p || !m)
		return 0;
	ledger_add(&m->seen, p->weight, p->frame_len);
	cause = p->cause - 1;
	if (cause < 3)
		ledger_add(&m->malformed[cause], p->weight, p->frame_len);
	ledger_add(&m->selected, p->weight, p->frame_len);
	/* metric packets = count(); */
	m->packets += p->weight;
	return 0;
}

static __always_inline void sections_xdp(struct packet *p)
{
	if (!amon_ingress_tc)
		count_ingress(p);
}

SEC("xdp.frags")
int amon_xdp(struct xdp_md *xdp)
{
	struct packet packet, *p = &packet;

	__builtin_memset(p, 0, sizeof(*p));
	p->frame_len = amon_replay ? amon_frame.length : bpf_xdp_get_buff_len(xdp);
	p->weight = 1;
	p->cause = parse_xdp(xdp, p);
	if (amon_frame_max && p->frame_len > amon_frame_max && !p->cause)
		p->cause = OVERSIZED;
	sections_xdp(p);
	return XDP_PASS;
}

static __always_inline void sections_tc_ingress(struct packet *p)
{
	if (amon_ingress_tc)
		count_ingress(p);
}

SEC("tc")
int amon_tc_ingress(struct __sk_buff *skb)
{
	struct packet packet, *p = &packet;

	__builtin_memset(p, 0, sizeof(*p));
	p->frame_len = amon_replay ? amon_frame.length : skb->len + (skb->vlan_present ? 4 : 0);
	p->weight = 1;
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
	}
	return TC_ACT_UNSPEC;
}

static __always_inline void sections_tc_egress(struct packet *p)
{
	count_egress(p);
}

SEC("tc")
int amon_tc_egress(struct __sk_buff *skb)
{
	struct packet packet, *p = &packet;

	__builtin_memset(p, 0, sizeof(*p));
	p->frame_len = amon_replay ? amon_frame.length : skb->len + (skb->vlan_present ? 4 : 0);
	p->weight = 1;
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
	}
	return TC_ACT_UNSPEC;
}

char amon_license[] SEC("license") = "Dual BSD/GPL";
