/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Probe smallest, made by amonc 0.1.0; do not edit. */

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

/* What is wrong with the first header that is not whole */
enum { WHOLE, OVERSIZED };

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
	__u32 frame_len;
};

struct ingress_metrics {
	struct counter seen, selected;
	struct counter malformed[1];
	__u64 packets;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct ingress_metrics);
} ingress_metrics SEC(".maps");

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
	if (cause < 1)
		ledger_add(&m->malformed[cause], 1, p->frame_len);
	ledger_add(&m->selected, 1, p->frame_len);
	/* metric packets = count(); */
	m->packets++;
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
	if (amon_frame_max && p->frame_len > amon_frame_max && !p->cause)
		p->cause = OVERSIZED;
	sections_xdp(p);
	return XDP_PASS;
}

char amon_license[] SEC("license") = "Dual BSD/GPL";
