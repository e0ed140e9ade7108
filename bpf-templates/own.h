/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
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

	/*@words hash += hash_word(words[#], amon_seed[#]);*/
	return (hash ^ hash >> 32) * 0x9e3779b97f4a7c15 >> 32;
}

static __always_inline bool same_words(const __u64 *a, const __u64 *b, __u32 count)
{
	__u64 difference = 0;

	/*@words difference |= a[#] ^ b[#];*/
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
