/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Probe statistics, made by amonc 0.1.0; do not edit. */

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

enum { HAS_SMALLEST = 1 << 0, HAS_LARGEST = 1 << 1 };
struct ingress_metrics {
	struct counter seen, selected;
	struct counter malformed[1];
	__u64 average;
	__u64 average_count;
	__u64 spread;
	__u64 spread_count;
	__u64 spread_squares[2];
	__u64 log;
	__u64 log_buckets[64];
	__u64 fine;
	__u64 fine_buckets[248];
	__u32 smallest;
	__u32 largest;
	__u8 has; /* which metrics saw a packet */
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct ingress_metrics);
} ingress_metrics SEC(".maps");

/* sum += x * x * weight, in 128 bits: the product of four 32-bit halves, and a carry. */
static __always_inline void add_product(__u64 *sum, __u64 a, __u64 b)
{
	__u64 al = (__u32)a, ah = a >> 32, bl = (__u32)b, bh = b >> 32;
	__u64 middle = al * bh + (al * bl >> 32);
	__u64 low = a * b, high = ah * bh + (middle >> 32) + ((ah * bl + (__u32)middle) >> 32);

	sum[0] += low;
	sum[1] += high + (sum[0] < low);
}

static __always_inline void add_square(__u64 *sum, __s64 x, __u64 weight)
{
	__u64 magnitude = x < 0 ? -(__u64)x : (__u64)x, high = 0, square[2] = {};

	if (magnitude >> 32)
		add_product(square, magnitude, magnitude);
	else
		square[0] = magnitude * magnitude;
	high = square[1] * weight;
	add_product(sum, square[0], weight);
	sum[1] += high;
}

/* The greatest so far, kept in as many bytes as it needs: 0 is where it begins. */
#define highest(kept, x)                                                                                               \
	do {                                                                                                           \
		typeof(kept) it = (x);                                                                                 \
		if (it > (kept))                                                                                       \
			(kept) = it;                                                                                   \
	} while (0)

/* The lowest so far: its complement is kept, which is the greatest, and begins with 0. */
#define lowest(kept, x)                                                                                                \
	do {                                                                                                           \
		typeof(kept) it = (x);                                                                                 \
		it = ~it;                                                                                              \
		if (it > (kept))                                                                                       \
			(kept) = it;                                                                                   \
	} while (0)

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

/* Bits that x needs, 0 for 0, without a branch: smear the highest one down, count. (Hacker's Delight, 5-1) */
static __always_inline __u64 bit_length(__u64 x)
{
	x |= x >> 1;
	x |= x >> 2;
	x |= x >> 4;
	x |= x >> 8;
	x |= x >> 16;
	x |= x >> 32;
	x -= x >> 1 & 0x5555555555555555;
	x = (x & 0x3333333333333333) + (x >> 2 & 0x3333333333333333);
	x = (x + (x >> 4)) & 0x0f0f0f0f0f0f0f0f;
	return x * 0x0101010101010101 >> 56;
}

/* x - 1, and 0 for what is 0 or negative. */
static __always_inline __u64 less_one(__s64 x)
{
	__s64 y = (x & ~(x >> 63)) - 1;

	return y & ~(y >> 63);
}

/* Upper edges 1, 2, 4 … 2^63. */
static __always_inline __u64 bucket_log2(__s64 x)
{
	return bit_length(less_one(x));
}

/* Each power of two is cut into 2^bits. */
static __always_inline __u64 bucket_loglinear(__s64 x, __u32 bits)
{
	__u64 y = less_one(x), octave = bit_length(y >> bits);
	__u64 shift = octave + (-(__s64)octave >> 63);

	return (octave << bits) + (y >> shift & ((1ull << bits) - 1));
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
	if (cause < 1)
		ledger_add(&m->malformed[cause], 1, p->frame_len);
	ledger_add(&m->selected, 1, p->frame_len);
	/* metric smallest = min(frame.len) unit bytes; */
	lowest(m->smallest, p->frame_len);
	/* metric largest = max(frame.len) unit bytes; */
	highest(m->largest, p->frame_len);
	/* metric average = mean(frame.len) unit bytes; */
	m->average += p->frame_len;
	m->average_count++;
	/* metric spread = stddev(frame.len) unit bytes; */
	const __s64 x1 = (__s64)p->frame_len;
	m->spread += x1;
	m->spread_count++;
	add_square(m->spread_squares, x1, 1);
	/* metric log = histogram(frame.len, log2) unit bytes; */
	const __s64 x2 = p->frame_len;
	const __u64 b2 = bucket_log2(x2);
	m->log += x2;
	m->log_buckets[at_most(b2, 63)]++;
	/* metric fine = histogram(frame.len, loglinear(2)) unit bytes; */
	const __s64 x3 = p->frame_len;
	const __u64 b3 = bucket_loglinear(x3, 2);
	m->fine += x3;
	m->fine_buckets[at_most(b3, 247)]++;
	m->has |= HAS_SMALLEST | HAS_LARGEST;
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
