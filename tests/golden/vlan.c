/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Probe vlan_sizes, made by amonc 0.1.0; do not edit. */

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

enum { BPF_MAP_TYPE_HASH = 1, BPF_MAP_TYPE_ARRAY = 2, BPF_MAP_TYPE_PERCPU_ARRAY = 6, BPF_NOEXIST = 1,
	BPF_F_NO_PREALLOC = 1, BPF_F_MMAPABLE = 1 << 10 };

static void *(*bpf_map_lookup_elem)(void *map, const void *key) = (void *)1;
static long (*bpf_map_update_elem)(void *map, const void *key, const void *value, __u64 flags) = (void *)2;
static __u32 (*bpf_get_smp_processor_id)(void) = (void *)8;
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
	VLAN = 1 << 3,
	VLAN_INNER = 1 << 5,
};

/* What is wrong with the first header that is not whole */
enum { WHOLE, ETH_TRUNCATED, VLAN_TRUNCATED, UNSIZED };

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
	__u32 at;
	__u16 type;
	__u32 frame_len;
	__u16 vlan_tci;
	__u16 vlan_inner_tci;
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
	if (tag == 1) {
		c->layers |= VLAN_INNER;
		c->p->vlan_inner_tci = c->tci;
	}
}

/* Two tags at most; at TC the outer one may have been taken out of the frame. */
static __always_inline __u32 vlan(struct cursor *c)
{
	__u32 tag;

	for (tag = 0; tag < 2; tag++) {
		const struct vlan *h;
		__u64 copy;

		if (tag == 0 && tag_in_skb(c)) {
			c->tci = ((struct __sk_buff *)c->ctx)->vlan_tci;
			vlan_tag(c, 0);
			continue;
		}
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

/* What may stand between Ethernet and the rest. */
static __always_inline __u32 link(struct cursor *c)
{
	__u32 cause;

	c->at = sizeof(struct ethernet);
	c->type = c->p->type;
	cause = vlan(c);
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
	return (hash ^ hash >> 32) * 0x9e3779b97f4a7c15 >> 32;
}

static __always_inline bool same_words(const __u64 *a, const __u64 *b, __u32 count)
{
	__u64 difference = 0;

	if (count > 0)
		difference |= a[0] ^ b[0];
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

struct ingress_vlans_key {
	__u16 vlan;
	__u16 inner;
	__u8 pcp;
	__u8 padding[3];
} __aligned(8);

struct ingress_vlans_row {
	__u64 size;
	__u64 size_buckets[26];
} __aligned(8);

struct ingress_vlans_slot {
	struct ingress_vlans_key key;
	struct ingress_vlans_row row;
} __aligned(8);

/* Whoever loads it gives it as many slots and rows as the table's size asks for. */
const volatile struct own_shape ingress_vlans_shape = {
	.mask = 15, .limit = 12, .cpus = 1, .places = 0, .rows = 32, .numbers = 511,
	.indices = sizeof(struct own_pool) + 32 * sizeof(struct ingress_vlans_slot) + 16 * sizeof(__u32),
};
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(struct own_pool) + 32 * sizeof(struct ingress_vlans_slot) + 16 * sizeof(__u32) +
			   sizeof(struct own_index) + 2 * 16 * sizeof(__u32));
} ingress_vlans_rows SEC(".maps");

/* What finds no place there, with a record for each CPU; it grows with use. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 32768);
	__uint(key_size, sizeof(struct ingress_vlans_key));
	__uint(value_size, sizeof(struct ingress_vlans_row));
} ingress_vlans_spill SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct ingress_vlans_row);
} ingress_vlans_other SEC(".maps");

struct ingress_metrics {
	struct counter seen, selected;
	struct counter malformed[3];
	struct counter vlans_selected;
	struct counter vlans_in_rows;
	struct counter vlans_other;
	struct counter vlans_no_key;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct ingress_metrics);
} ingress_metrics SEC(".maps");

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

/* Upper edges low, low + step …; the caller cuts what is above the last. */
static __always_inline __u64 bucket_linear(__s64 x, __s64 low, __u64 step)
{
	__u64 distance = ((__u64)x - (__u64)low) & -above(x, low);

	return distance / step + (distance % step + step - 1) / step;
}

/* table vlans by vlan = vlan.id, inner = vlan.inner.id, pcp = vlan.priority size 32Ki overflow other */
__noinline __u32 count_ingress_vlans(const volatile struct packet *p, struct ingress_metrics *m)
{
	__u32 zero = 0;
	struct ingress_vlans_key key;
	__u64 words[sizeof(key) / 8];
	struct ingress_vlans_slot *slot;
	struct ingress_vlans_row *row;

	if (!p || !m)
		return 0;
	ledger_add(&m->vlans_selected, p->weight, p->frame_len);
	__builtin_memset(&key, 0, sizeof(key));
	if (!(p->layers & VLAN_INNER)) {
		ledger_add(&m->vlans_no_key, p->weight, p->frame_len);
		return 0;
	}
	key.vlan = p->vlan_tci & 0xfff;
	key.inner = p->vlan_inner_tci & 0xfff;
	key.pcp = p->vlan_tci >> 13;
	words[0] = key.vlan | (__u64)key.inner << 16 | (__u64)key.pcp << 32;
	slot = own_row(&ingress_vlans_rows, words, sizeof(key) / 8, sizeof(*slot), &ingress_vlans_shape);
	row = slot ? &slot->row : spilled(&ingress_vlans_spill, &key, sizeof(*row), &ingress_vlans_shape);
	if (!row) {
		spill(&ingress_vlans_spill, &key);
		row = spilled(&ingress_vlans_spill, &key, sizeof(*row), &ingress_vlans_shape);
	}
	if (row) {
		ledger_add(&m->vlans_in_rows, p->weight, p->frame_len);
	} else {
		ledger_add(&m->vlans_other, p->weight, p->frame_len);
		row = bpf_map_lookup_elem(&ingress_vlans_other, &zero);
		if (!row)
			return 0;
	}
	/* metric size = histogram(frame.len, linear(0, 1536, 64)) unit bytes; */
	const __s64 x1 = p->frame_len;
	const __u64 b1 = bucket_linear(x1, 0, 64);
	row->size += (__u64)x1 * p->weight;
	row->size_buckets[at_most(b1, 25)] += p->weight;
	return 0;
}

/* ingress tc */
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
	/* where vlan */
	if (!(p->layers & VLAN))
		return 0;
	ledger_add(&m->selected, p->weight, p->frame_len);
	count_ingress_vlans(p, m);
	return 0;
}

static __always_inline void sections_tc_ingress(struct packet *p)
{
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

char amon_license[] SEC("license") = "Dual BSD/GPL";
