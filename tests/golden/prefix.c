/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Probe networks, made by amonc 0.1.0; do not edit. */

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

enum { BPF_MAP_TYPE_HASH = 1, BPF_MAP_TYPE_ARRAY = 2, BPF_MAP_TYPE_PERCPU_ARRAY = 6, BPF_NOEXIST = 1,
	BPF_F_NO_PREALLOC = 1, BPF_F_MMAPABLE = 1 << 10 };

static void *(*bpf_map_lookup_elem)(void *map, const void *key) = (void *)1;
static long (*bpf_map_update_elem)(void *map, const void *key, const void *value, __u64 flags) = (void *)2;
static __u32 (*bpf_get_smp_processor_id)(void) = (void *)8;
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
	IPV6 = 1 << 13,
};

/* What is wrong with the first header that is not whole */
enum { WHOLE, ETH_TRUNCATED, VLAN_TRUNCATED, PPPOE_TRUNCATED, MPLS_TRUNCATED, IP_TRUNCATED, IP_HEADER, IP_LENGTH,
	OVERSIZED };

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
	__be32 net_src[4] __aligned(8);
	__be32 net_dst[4] __aligned(8);
	__u8 net_version;
	__u32 net_len;
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

/* Two words as one: what was stored in pieces is long in coming back from memory as a whole. */
typedef __u64 __attribute__((may_alias)) pair_t;

static __always_inline void store_pair(__be32 *to, __be32 first, __be32 second)
{
	__be32 pair[2] __aligned(8) = { first, second };

	*(pair_t *)to = *(const pair_t *)pair;
}

static __always_inline void store_address(__be32 *to, const __be32 *from)
{
	store_pair(to, from[0], from[1]);
	store_pair(to + 2, from[2], from[3]);
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
	store_pair(c->p->net_src, h->saddr, 0);
	store_pair(c->p->net_dst, h->daddr, 0);
	c->p->net_version = 4;
	c->p->net_len = length;
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
	c->layers |= IPV6;
	store_address(c->p->net_src, h->saddr);
	store_address(c->p->net_dst, h->daddr);
	c->p->net_version = 6;
	c->p->net_len = c->length;
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
static __always_inline bool plain_ipv4(struct cursor *c)
{
	const struct ipv4 *h = in_place(c, c->at, sizeof(*h));

	if (!h || h->version_ihl != 0x45 || h->frag_off & htons(0x3fff) || !h->tot_len)
		return 0;
	if (read_ipv4(c, h, sizeof(*h)) != WHOLE)
		return 0;
	return 1;
}

static __always_inline bool plain_ipv6(struct cursor *c)
{
	const struct ipv6 *h = in_place(c, c->at, sizeof(*h));

	if (!h || read_ipv6(c, h) != WHOLE)
		return 0;
	return 1;
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
	if (c->type == 0x86dd)
		return plain_ipv6(c);
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

/* Drawn when a probe is loaded, so that nobody can choose keys that collide: a number for each word of a key. */
const volatile __u64 amon_seed[9] = {
	0x9e3779b97f4a7c15, 0xbf58476d1ce4e5b9, 0x94d049bb133111eb, 0xd6e8feb86659fd93,
	0xff51afd7ed558ccd, 0xc4ceb9fe1a85ec53, 0x87c37b91114253d5, 0x4cf5ad432745937f,
	0x2545f4914f6cdd1d,
};

/*
 * Rows that a CPU has of its own, in memory that user space has mapped. They lie in a pool that CPUs and clones share, of
 * which a CPU takes 32 at a time; user space gives back what it has emptied: behind the rows there is a list of where
 * that was. Then each CPU of each clone has an index: how many rows it made, mask + 1 slots, and a list of those in use.
 * A slot is 0, or the number of a row and, above that, bits of what its key hashes to.
 */
struct own_shape {
	__u32 mask, limit; /* of an index: slots less 1; how many of them may be taken */
	__u32 cpus, places;  /* places for indices of a clone less 1, a power of two less 1 */
	__u32 rows, numbers; /* of the pool, where row 0 is none; the bits of a row's number */
	__u32 indices;	     /* where those of this clone begin */
};
struct own_pool {
	__u64 used; /* of the pool, ever; times 32 rows, as all here */
	__u64 given, taken;
	__u64 unused[5];
};
struct own_index {
	__u64 count, newest, spilled;
	__u32 next, end; /* rows that were taken from the pool, and are free */
	__u64 unused[4];
};

/*
 * The sum of products of halves (NH, of UMAC): whatever two keys are, it is the same for one seed in 2^32. A hash that
 * multiplies word by word would not do: the highest bits of a word reach only the highest of its product, so that keys
 * which differ in them alone collide under many seeds, or all.
 */
static __always_inline __u64 hash_word(__u64 word, __u64 seed)
{
	return (__u64)((__u32)word + (__u32)seed) * ((__u32)(word >> 32) + (__u32)(seed >> 32));
}

/* Of a key's words there are few: a loop would take longer than what is done for each. */
static __always_inline __u32 hash_words(const __u64 *words, __u32 count)
{
	__u64 hash = 0;

	if (count > 0)
		hash += hash_word(words[0], amon_seed[0]);
	if (count > 1)
		hash += hash_word(words[1], amon_seed[1]);
	if (count > 2)
		hash += hash_word(words[2], amon_seed[2]);
	return (hash ^ hash >> 32) * 0x9e3779b97f4a7c15 >> 32;
}

static __always_inline bool same_words(const __u64 *a, const __u64 *b, __u32 count)
{
	__u64 difference = 0;

	if (count > 0)
		difference |= a[0] ^ b[0];
	if (count > 1)
		difference |= a[1] ^ b[1];
	if (count > 2)
		difference |= a[2] ^ b[2];
	return !difference;
}

/* The next 32 rows of the pool: what was given back, since caches may have it still, else some that were never used. */
static __always_inline bool take_rows(struct own_index *index, struct own_pool *pool, __u32 size,
				      const volatile struct own_shape *shape)
{
	__u32 *list = (void *)(pool + 1) + (__u64)shape->rows * size, i, part;
	__u64 *counter, taken;

	for (i = 0; i < 4; i++) {
		counter = &pool->taken;
		taken = *counter;
		part = list[taken & shape->numbers / 32];
		if (taken == pool->given) {
			counter = &pool->used;
			part = taken = *counter;
			if (taken >= shape->rows / 32)
				return 0;
		}
		if (__sync_val_compare_and_swap(counter, taken, taken + 1) != taken)
			continue;
		index->next = part * 32 ?: 1;
		index->end = part * 32 + 32;
		return 1;
	}
	return 0;
}

/* A row of the pool, by its number; 0: there is no such row. */
static __always_inline void *pool_row(struct own_pool *pool, __u32 number, __u32 size,
				      const volatile struct own_shape *shape)
{
	/* in 64 bits: of 32 the verifier of 6.1 knows no bound beyond 16 */
	return number < shape->rows ? (void *)(pool + 1) + (__u64)number * size : 0;
}

/* A new row, in the slot that is free; 0 where no more rows may be taken. */
static __always_inline void *new_row(struct own_index *index, struct own_pool *pool, const __u64 *key, __u32 words,
				     __u32 size, __u32 hash, __u32 at, const volatile struct own_shape *shape)
{
	__u32 mask = shape->mask, numbers = shape->numbers;
	__u32 *slots = (void *)(index + 1), *list = slots + mask + 1;
	__u64 count = index->count, *row;

	if (count >= shape->limit || (index->next == index->end && !take_rows(index, pool, size, shape)))
		return 0;
	row = pool_row(pool, index->next, size, shape);
	if (!row)
		return 0;
	list[count & mask] = at & mask; /* (a bound that the verifier of 6.1 does not lose) */
	__builtin_memcpy(row, key, 8 * words);
	slots[at & mask] = (hash & ~numbers) | index->next++;
	/* told last, by an addition whose result is kept: only those are ordered on every machine */
	index->newest = __sync_fetch_and_add(&index->count, 1);
	return row;
}

/* The row of a key, new where there is none; 0 where 32 slots in a row have other keys, or no more rows may be taken. */
static __always_inline void *own_row(void *map, const __u64 *key, __u32 words, __u32 size,
				     const volatile struct own_shape *shape)
{
	__u32 zero = 0, mask, numbers, hash, at, entry, i;
	struct own_pool *pool = bpf_map_lookup_elem(map, &zero);
	__u64 place = bpf_get_smp_processor_id() & shape->places, size_of_index, *row = 0;
	struct own_index *index;
	const __u32 *slots;

	if (!pool)
		return 0;
	size_of_index = sizeof(*index) + 8 * ((__u64)shape->mask + 1);
	/* place *= size_of_index; of a product the verifier of 6.1 knows a bound where the second factor is a constant */
	asm volatile("%0 *= %1" : "+r"(place) : "r"(size_of_index));
	index = (void *)pool + shape->indices + place;
	slots = (void *)(index + 1);
	mask = shape->mask;
	numbers = shape->numbers;
	hash = hash_words(key, words);
	for (i = 0, at = hash; i < 32; i++, at++) {
		entry = slots[at & mask];
		if (!entry) {
			row = new_row(index, pool, key, words, size, hash, at, shape);
			break;
		}
		if ((entry ^ hash) & ~numbers)
			continue;
		row = pool_row(pool, entry & numbers, size, shape);
		if (row && same_words(row, key, words))
			return row;
		row = 0;
	}
	if (!row)
		index->spilled = 1;
	return row;
}

/*
 * What finds no place there spills into a hash, where a row has a record for each CPU, one behind the other, so that no two
 * write to one. Zeros make a new row: as many as the largest has, which whoever loads it knows.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(__u64));
} amon_zeros SEC(".maps");

static __always_inline void *spilled(void *map, const void *key, __u32 size, const volatile struct own_shape *shape)
{
	__u64 cpu = bpf_get_smp_processor_id();
	void *records = bpf_map_lookup_elem(map, key);

	if (!records || cpu >= shape->cpus)
		return 0;
	/* the verifier of 6.1 knows the bound of the very register that was asked, and of no other */
	asm volatile("" : "+r"(cpu));
	return records + cpu * size;
}

static __always_inline int spill(void *map, const void *key)
{
	__u32 zero = 0;
	const void *zeros = bpf_map_lookup_elem(&amon_zeros, &zero);

	return zeros ? bpf_map_update_elem(map, key, zeros, BPF_NOEXIST) : 0;
}

struct ingress_networks_key {
	__be32 network[4];
	__u8 net_version;
	__u8 padding[7];
} __aligned(8);

struct ingress_networks_row {
	__u64 bytes;
} __aligned(8);

struct ingress_networks_slot {
	struct ingress_networks_key key;
	struct ingress_networks_row row;
} __aligned(32);

/* Whoever loads it gives it as many slots and rows as the table's size asks for. */
const volatile struct own_shape ingress_networks_shape = {
	.mask = 15, .limit = 12, .cpus = 1, .places = 0, .rows = 32, .numbers = 511,
	.indices = sizeof(struct own_pool) + 32 * sizeof(struct ingress_networks_slot) + 16 * sizeof(__u32),
};
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(struct own_pool) + 32 * sizeof(struct ingress_networks_slot) + 16 * sizeof(__u32) +
			   sizeof(struct own_index) + 2 * 16 * sizeof(__u32));
} ingress_networks_rows SEC(".maps");

/* What finds no place there, with a record for each CPU; it grows with use. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 4096);
	__uint(key_size, sizeof(struct ingress_networks_key));
	__uint(value_size, sizeof(struct ingress_networks_row));
} ingress_networks_spill SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct ingress_networks_row);
} ingress_networks_other SEC(".maps");

struct ingress_metrics {
	struct counter seen, selected;
	struct counter malformed[8];
	struct counter networks_selected;
	struct counter networks_in_rows;
	struct counter networks_other;
	struct counter networks_no_key;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct ingress_metrics);
} ingress_metrics SEC(".maps");

/* table networks by network = prefix(net.src, 24, 48) size 4Ki overflow other */
static __always_inline void count_ingress_networks(const struct packet *p, struct ingress_metrics *m)
{
	__u32 zero = 0;
	struct ingress_networks_key key;
	__u64 words[sizeof(key) / 8];
	struct ingress_networks_slot *slot;
	struct ingress_networks_row *row;

	ledger_add(&m->networks_selected, 1, p->frame_len);
	__builtin_memset(&key, 0, sizeof(key));
	const __be32 x1[4] = { p->net_src[0] & (p->net_version == 4 ? htonl(0xffffff00) :
		htonl(0xffffffff)), p->net_src[1] & (p->net_version == 4 ? htonl(0x00000000) : htonl(0xffff0000)), p->net_src[2] &
		htonl(0x00000000), p->net_src[3] & htonl(0x00000000) };
	__builtin_memcpy(key.network, (const void *)x1, 16);
	key.net_version = p->net_version;
	words[0] = key.network[0] | (__u64)key.network[1] << 32;
	words[1] = key.network[2] | (__u64)key.network[3] << 32;
	words[2] = key.net_version;
	slot = own_row(&ingress_networks_rows, words, sizeof(key) / 8, sizeof(*slot), &ingress_networks_shape);
	row = slot ? &slot->row : spilled(&ingress_networks_spill, &key, sizeof(*row), &ingress_networks_shape);
	if (!row) {
		spill(&ingress_networks_spill, &key);
		row = spilled(&ingress_networks_spill, &key, sizeof(*row), &ingress_networks_shape);
	}
	if (row) {
		ledger_add(&m->networks_in_rows, 1, p->frame_len);
	} else {
		ledger_add(&m->networks_other, 1, p->frame_len);
		row = bpf_map_lookup_elem(&ingress_networks_other, &zero);
		if (!row)
			return;
	}
	/* metric bytes = sum(net.len) unit bytes; */
	row->bytes += p->net_len;
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
	if (cause < 8)
		ledger_add(&m->malformed[cause], 1, p->frame_len);
	/* where net.dst in ours */
	if (!((p->layers & (IPV4 | IPV6)) && ((p->net_version == 4 && (p->net_dst[0] &
		htonl(0xff000000)) == htonl(0x0a000000)) || (p->net_version == 6 && (p->net_dst[0] &
		htonl(0xfe000000)) == htonl(0xfc000000)))))
		return;
	ledger_add(&m->selected, 1, p->frame_len);
	count_ingress_networks(p, m);
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
