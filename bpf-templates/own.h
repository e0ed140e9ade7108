/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Drawn when a probe is loaded, so that nobody can choose keys that collide: a number for each word of a key. */
const volatile __u64 amon_seed[9] = {
	0x9e3779b97f4a7c15, 0xbf58476d1ce4e5b9, 0x94d049bb133111eb, 0xd6e8feb86659fd93,
	0xff51afd7ed558ccd, 0xc4ceb9fe1a85ec53, 0x87c37b91114253d5, 0x4cf5ad432745937f,
	0x2545f4914f6cdd1d,
};

/*
 * Rows that a CPU has of its own, in memory that user space has mapped: how many, whether some found no place there, a
 * list of the slots in use, and the slots, of which there are mask + 1. Each begins with a word that is 1 where it is in
 * use, and its key.
 */
struct own_shape {
	__u32 mask, limit; /* slots less 1; how many of them may be taken */
	__u32 cpus;
};
struct own_rows {
	__u64 count, newest, spilled, unused[5];
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

/* The slot of a key, new where there is none; 0 where 32 in a row have other keys, or as many are taken as may be. */
static __always_inline void *own_slot(void *map, const __u64 *key, __u32 words, __u32 size,
                                      const volatile struct own_shape *shape)
{
	__u32 mask = shape->mask;
	__u32 cpu = bpf_get_smp_processor_id(), at, i;
	struct own_rows *rows = bpf_map_lookup_elem(map, &cpu);
	__u32 *list = (void *)(rows + 1);
	void *slots = (void *)(rows + 1) + 4 * (mask + 1);
	__u64 *slot;

	if (!rows)
		return 0;
	at = hash_words(key, words);
	for (i = 0; i < 32; i++, at++) {
		/* in 64 bits: of 32 the verifier of 6.1 knows no bound beyond 16 */
		slot = slots + (__u64)(at & mask) * size;
		if (!slot[0])
			break;
		if (same_words(slot + 1, key, words))
			return slot;
	}
	if (i == 32 || rows->count >= shape->limit) {
		rows->spilled = 1;
		return 0;
	}
	list[rows->count & mask] = at & mask;
	__builtin_memcpy(slot + 1, key, 8 * words);
	slot[0] = 1;
	/* told last, by an addition whose result is kept: only those are ordered on every machine */
	rows->newest = __sync_fetch_and_add(&rows->count, 1);
	return slot;
}

/*
 * What finds no slot spills into a hash, where a row has a record for each CPU, one behind the other, so that no two
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
