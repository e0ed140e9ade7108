/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* How long the row of a key has been there, whatever windows cut: on one CPU, or on all where packets remember it. */
struct life {
	__u64 number; /* the row's own; 0: there was none yet */
	__u64 first, last;
	__u64 until; /* when the row ends by a condition; 0: not yet */
};

/*@if add_to_flow*/
/* Before a row's metrics: the part of a flow that is in it. */
struct flow {
	__u64 first, last, until, packets, bytes;
	__u64 end_reason; /* user space's */
};

/*@end*/
/*@if live*/
/* Lives that a CPU has: a number for the next, and mask + 1 slots, each a word that is 1 where it is in use, and its key. */
struct lives {
	__u64 count, unused[7];
};

/*@end*/
static __always_inline bool is_over(const struct life *life, __u64 now, __s64 idle, __s64 active)
{
	if (life->until)
		return now >= life->until;
	/* signed: time may go backwards */
	return (__s64)(now - life->last) >= idle || (__s64)(now - life->first) >= active;
}

/*@if live*/
static __always_inline void begin_life(struct lives *lives, struct life *life, __u64 now)
{
	life->number = ++lives->count << 12 | (bpf_get_smp_processor_id() & 0xfff);
	life->first = life->last = now;
	life->until = 0;
}

/* Of the slot that is `i` behind the one where a key belongs. */
static __always_inline __u64 *life_slot(struct lives *lives, __u32 at, __u32 i, __u32 mask, __u32 size)
{
	return (void *)(lives + 1) + (__u64)((at + i) & mask) * size;
}

/* The life of a key; 0: it has none. */
static __always_inline struct life *find_life(struct lives *lives, const __u64 *key, __u32 words, __u32 at, __u32 mask,
					      __u32 size)
{
	__u64 *slot;
	__u32 i;

	for (i = 0; i < 32; i++) {
		slot = life_slot(lives, at, i, mask, size);
		if (!slot[0])
			return 0;
		if (same_words(slot + 1, key, words))
			return (void *)(slot + 2 + words);
	}
	return 0;
}

/*
 * The life of a key's row; a packet that finds it over begins the next. A new key takes the first place that is free, or
 * whose own is over; 0 where 32 in a row are neither: such a row ends where user space sees it.
 */
static __always_inline struct life *live(void *map, const __u64 *key, __u32 words, __u32 size,
					 const volatile struct own_shape *shape, __u64 now, __s64 idle, __s64 active)
{
	__u32 mask = shape->mask, cpu = bpf_get_smp_processor_id(), at, i;
	struct lives *lives = bpf_map_lookup_elem(map, &cpu);
	struct life *life;
	__u64 *slot;

	if (!lives)
		return 0;
	at = hash_words(key, words);
	life = find_life(lives, key, words, at, mask, size);
	if (life) {
		if (is_over(life, now, idle, active))
			begin_life(lives, life, now);
		else if (now > life->last)
			life->last = now;
		return life;
	}
	for (i = 0; i < 32; i++) {
		slot = life_slot(lives, at, i, mask, size);
		life = (void *)(slot + 2 + words);
		if (slot[0] && !is_over(life, now, idle, active))
			continue;
		__builtin_memcpy(slot + 1, key, 8 * words);
		slot[0] = 1;
		begin_life(lives, life, now);
		return life;
	}
	return 0;
}

/*@if life_number*/
/* The number of the life that the packet found before. */
static __always_inline __u64 life_number(void *map, const __u64 *key, __u32 words, __u32 size,
					 const volatile struct own_shape *shape)
{
	__u32 cpu = bpf_get_smp_processor_id();
	struct lives *lives = bpf_map_lookup_elem(map, &cpu);
	const struct life *life = lives ? find_life(lives, key, words, hash_words(key, words), shape->mask, size) : 0;

	return life ? life->number : 0;
}

/*@end*/
/*@end*/
/*@if next_row*/
/* The flow has ended, and with it what is remembered of it. Behind `active` it goes on, in its next row. */
static __always_inline bool is_forgotten(const struct life *life, __u64 now, __s64 idle)
{
	if (life->until)
		return now >= life->until;
	return life->number && (__s64)(now - life->last) >= idle;
}

/* Under the lock of what is remembered: has a packet in the row that is open, or in the next; true where that begins. */
static __always_inline bool next_row(struct life *life, __u64 now, __s64 idle, __s64 active)
{
	if (life->number && !is_over(life, now, idle, active)) {
		if (now > life->last)
			life->last = now;
		return 0;
	}
	/* no two rows of a key have one number, though many begin at one tick, and time may go backwards */
	life->number = now > life->number ? now : life->number + 1;
	life->first = life->last = now;
	life->until = 0;
	return 1;
}

/*@end*/
/*@if end_row*/
/* This packet satisfies `when`: the row goes on until then, for every later one, too. */
static __always_inline __u64 end_row(struct life *life, __u64 until)
{
	if (!life->until)
		life->until = until ?: 1;
	return life->until;
}

/*@end*/
/*@if add_to_flow*/
static __always_inline void add_to_flow(struct flow *flow, __u64 now, __u64 packets, __u64 bytes)
{
	if (!flow->packets)
		flow->first = flow->last = now;
	if (now > flow->last)
		flow->last = now;
	flow->packets += packets;
	flow->bytes += bytes * packets;
}

/*@end*/
/*@if end_flow*/
/* The row of a packet that satisfies `when` goes on until then, for every later one, too. */
static __always_inline void end_flow(struct flow *flow, struct life *life, __u64 until)
{
	if (life && life->until)
		until = life->until;
	until = until ?: 1;
	if (life)
		life->until = until;
	if (!flow->until)
		flow->until = until;
}

/*@end*/
