/* SPDX-License-Identifier: Apache-2.0 */
#include "flows.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "cleanup.h"
#include "storage.h"

const char *const amon_end_words[AMON_END_COUNT] = {
	[AMON_END_IDLE] = "idle",     [AMON_END_ACTIVE] = "active",   [AMON_END_WHEN] = "end",
	[AMON_END_FORCED] = "forced", [AMON_END_EVICTED] = "evicted",
};

/* struct flow of bpf-templates/flow.h */
struct flow {
	uint64_t first, last, until, packets, bytes, end_reason;
};

/* Flows by when they end, or were seen last. What stands there may be out of date: see first_of(). */
struct entry {
	uint64_t at, serial;
	uint32_t slot;
};

struct heap {
	uint64_t (*time_of)(const struct amon_export_table *table, void *record);
	struct entry *entries;
	size_t count, room;
};

/** The flows of one table. Slots are used again; `serials` tells whose a slot is. */
struct store {
	const struct amon_export_table *table;
	uint64_t seed[AMON_MAX_LAID_KEY / 8]; /* for each word of a key */
	uint64_t serial;
	uint8_t *keys, *records;
	uint64_t *serials; /* 0: nobody's */
	uint32_t *free;    /* slots below `used` that are nobody's */
	uint32_t open, used, room, free_count;
	uint32_t *index, mask;             /* open addressing: a slot and 1; 0: free */
	struct heap ends, seen;            /* seen: of tables that evict */
	struct amon_collected_table ended; /* since the last amon_flows_end() */
	uint8_t *other;                    /* what found no row; NULL where the table has none */
	struct amon_packets refused;       /* counted in rows that found no place here */
};

struct amon_flows {
	const struct amon_exports *exports;
	struct store **stores; /* [section][table] */
};

bool amon_exports_expire(const struct amon_exports *exports)
{
	for (uint32_t s = 0; s < exports->section_count; s++)
		for (uint32_t t = 0; t < exports->sections[s].table_count; t++)
			if (exports->sections[s].tables[t].expire)
				return true;
	return false;
}

/* --- memory */

static void store_free(struct store *store)
{
	free(store->keys);
	free(store->records);
	free(store->serials);
	free(store->free);
	free(store->index);
	free(store->ends.entries);
	free(store->seen.entries);
	free(store->ended.keys);
	free(store->ended.records);
	free(store->other);
}

void amon_flows_free(struct amon_flows *flows)
{
	if (!flows)
		return;
	for (uint32_t s = 0; flows->stores && s < flows->exports->section_count; s++) {
		for (uint32_t t = 0; flows->stores[s] && t < flows->exports->sections[s].table_count; t++)
			store_free(&flows->stores[s][t]);
		free(flows->stores[s]);
	}
	free(flows->stores);
	free(flows);
}

static uint64_t end_of(const struct amon_export_table *table, void *record);
static uint64_t seen_of(const struct amon_export_table *table, void *record);

static bool store_init(struct store *store, const struct amon_export_table *table)
{
	*store = (struct store){ .table = table, .ends.time_of = end_of, .seen.time_of = seen_of };
	if (table->expire && table->other_map)
		store->other = calloc(1, table->record_size);
	if (getrandom(store->seed, sizeof(store->seed), 0) != (ssize_t)sizeof(store->seed))
		memset(store->seed, 0x9e, sizeof(store->seed));
	return !table->expire || !table->other_map || store->other;
}

static bool section_init(struct amon_flows *flows, uint32_t index)
{
	const struct amon_export_section *section = &flows->exports->sections[index];
	bool good;

	flows->stores[index] = calloc(section->table_count + 1, sizeof(**flows->stores));
	good = flows->stores[index];
	for (uint32_t t = 0; good && t < section->table_count; t++)
		good = store_init(&flows->stores[index][t], &section->tables[t]);
	return good;
}

struct amon_flows *amon_flows_new(const struct amon_exports *exports)
{
	struct amon_flows *flows = calloc(1, sizeof(*flows));
	bool good;

	if (!flows)
		return NULL;
	flows->exports = exports;
	flows->stores = calloc(exports->section_count + 1, sizeof(*flows->stores));
	good = flows->stores;
	for (uint32_t s = 0; good && s < exports->section_count; s++)
		good = section_init(flows, s);
	if (good)
		return flows;
	amon_flows_free(flows);
	return NULL;
}

/* `array` points to a pointer of any type. */
static bool grow(void *array, uint64_t count, size_t size)
{
	void *at, *larger;

	memcpy(&at, array, sizeof(at));
	larger = reallocarray(at, count, size);
	if (larger)
		memcpy(array, &larger, sizeof(larger));
	return larger;
}

/* --- keys: all but the last word, which is the number of a life */

static uint32_t key_size(const struct store *store)
{
	return store->table->key_size - 8;
}

static uint8_t *key_at(const struct store *store, uint32_t slot)
{
	return store->keys + (size_t)slot * store->table->key_size;
}

static uint8_t *record_at(const struct store *store, uint32_t slot)
{
	return store->records + (size_t)slot * store->table->record_size;
}

static uint32_t hash(const struct store *store, const uint8_t *key)
{
	uint64_t sum = 0, word;

	/* as in the kernel: see bpf-templates/own.h */
	for (uint32_t i = 0; i < key_size(store) / 8; i++) {
		uint64_t seed = store->seed[i];

		memcpy(&word, key + 8 * (size_t)i, 8);
		sum += (uint64_t)((uint32_t)word + (uint32_t)seed) * ((uint32_t)(word >> 32) + (uint32_t)(seed >> 32));
	}
	return (uint32_t)((sum ^ sum >> 32) * 0x9e3779b97f4a7c15 >> 32);
}

/* Where a key stands in the index, or where it would. */
static uint32_t place_of(const struct store *store, const uint8_t *key)
{
	uint32_t at = hash(store, key) & store->mask;

	while (store->index[at] && memcmp(key_at(store, store->index[at] - 1), key, key_size(store)) != 0)
		at = (at + 1) & store->mask;
	return at;
}

static void take_out(struct store *store, uint32_t slot)
{
	uint32_t hole = place_of(store, key_at(store, slot)), at = hole;

	/* what stands behind moves up, as far as it may */
	for (;;) {
		uint32_t home;

		store->index[hole] = 0;
		do {
			at = (at + 1) & store->mask;
			if (!store->index[at])
				return;
			home = hash(store, key_at(store, store->index[at] - 1)) & store->mask;
		} while (((at - home) & store->mask) < ((at - hole) & store->mask));
		store->index[hole] = store->index[at];
		hole = at;
	}
}

static bool make_index(struct store *store, uint32_t size)
{
	uint32_t *index = calloc(size, sizeof(*index));

	if (!index)
		return false;
	free(store->index);
	store->index = index;
	store->mask = size - 1;
	for (uint32_t slot = 0; slot < store->used; slot++)
		if (store->serials[slot])
			store->index[place_of(store, key_at(store, slot))] = slot + 1;
	return true;
}

static bool make_room(struct store *store)
{
	uint32_t room = store->room ? 2 * store->room : 64;

	if (store->free_count || store->used < store->room)
		return true;
	if (!grow(&store->keys, room, store->table->key_size) ||
	    !grow(&store->records, room, store->table->record_size) ||
	    !grow(&store->serials, room, sizeof(*store->serials)) || !grow(&store->free, room, sizeof(*store->free)) ||
	    !make_index(store, 2 * room))
		return false;
	store->room = room;
	return true;
}

/* --- heaps: the least stands first */

/* What was open first settles ties. */
static bool is_before(const struct entry *a, const struct entry *b)
{
	return a->at != b->at ? a->at < b->at : a->serial < b->serial;
}

static void sink(struct heap *heap, size_t at)
{
	for (;;) {
		size_t least = at, child = 2 * at + 1;
		struct entry moved = heap->entries[at];

		for (size_t i = child; i < child + 2 && i < heap->count; i++)
			if (is_before(&heap->entries[i], &heap->entries[least]))
				least = i;
		if (least == at)
			return;
		heap->entries[at] = heap->entries[least];
		heap->entries[least] = moved;
		at = least;
	}
}

static bool push(struct heap *heap, struct entry entry)
{
	size_t at = heap->count;

	if (heap->count == heap->room) {
		size_t room = heap->room ? 2 * heap->room : 64;

		if (!grow(&heap->entries, room, sizeof(*heap->entries)))
			return false;
		heap->room = room;
	}
	heap->count++;
	for (; at && is_before(&entry, &heap->entries[(at - 1) / 2]); at = (at - 1) / 2)
		heap->entries[at] = heap->entries[(at - 1) / 2];
	heap->entries[at] = entry;
	return true;
}

static void pop(struct heap *heap)
{
	heap->entries[0] = heap->entries[--heap->count];
	sink(heap, 0);
}

/* --- when and why flows end */

static struct flow *flow_of(const struct amon_export_table *table, void *record)
{
	return (struct flow *)(void *)((uint8_t *)record + table->expire->flow);
}

static uint64_t end_of(const struct amon_export_table *table, void *record)
{
	const struct flow *flow = flow_of(table, record);
	uint64_t idle = flow->last + table->expire->idle, active = flow->first + table->expire->active;

	if (flow->until)
		return flow->until;
	return idle < active ? idle : active;
}

static uint64_t seen_of(const struct amon_export_table *table, void *record)
{
	return flow_of(table, record)->last;
}

static enum amon_end reason_of(const struct amon_export_table *table, void *record)
{
	const struct flow *flow = flow_of(table, record);

	if (flow->until)
		return AMON_END_WHEN;
	return flow->last + table->expire->idle <= flow->first + table->expire->active ? AMON_END_IDLE
	                                                                               : AMON_END_ACTIVE;
}

/* The first flow of a heap; -1: none is open. What stands there is earlier than that where packets came since. */
static int64_t first_of(const struct store *store, struct heap *heap)
{
	while (heap->count) {
		struct entry *top = &heap->entries[0];
		uint64_t at;

		if (store->serials[top->slot] != top->serial) {
			pop(heap);
			continue;
		}
		at = heap->time_of(store->table, record_at(store, top->slot));
		if (at <= top->at)
			return top->slot;
		top->at = at;
		sink(heap, 0);
	}
	return -1;
}

/* --- the life of a flow */

static bool note(const struct store *store, struct heap *heap, uint32_t slot)
{
	uint64_t at = heap->time_of(store->table, record_at(store, slot));

	return push(heap, (struct entry){ at, store->serials[slot], slot });
}

static int begin(struct store *store, const uint8_t *key, const uint8_t *record)
{
	uint32_t slot;

	if (!make_room(store))
		return -ENOMEM;
	slot = store->free_count ? store->free[--store->free_count] : store->used++;
	memcpy(key_at(store, slot), key, store->table->key_size);
	memcpy(record_at(store, slot), record, store->table->record_size);
	store->serials[slot] = ++store->serial;
	store->index[place_of(store, key)] = slot + 1;
	store->open++;
	if (!note(store, &store->ends, slot) || (store->table->expire->evicts && !note(store, &store->seen, slot)))
		return -ENOMEM;
	return 0;
}

static int end(struct store *store, uint32_t slot, enum amon_end reason)
{
	flow_of(store->table, record_at(store, slot))->end_reason = reason;
	take_out(store, slot);
	store->serials[slot] = 0;
	store->free[store->free_count++] = slot;
	store->open--;
	return amon_collected_add(store->table, &store->ended, key_at(store, slot), record_at(store, slot));
}

/* Ends all whose time has come. */
static int advance(struct store *store, uint64_t until)
{
	int64_t slot;
	int error = 0;

	while (!error && (slot = first_of(store, &store->ends)) >= 0 &&
	       end_of(store->table, record_at(store, (uint32_t)slot)) <= until)
		error = end(store, (uint32_t)slot, reason_of(store->table, record_at(store, (uint32_t)slot)));
	return error;
}

void amon_flow_merge(const struct amon_export_table *table, void *into, const void *from)
{
	struct flow *flow = flow_of(table, into), part;

	memcpy(&part, (const uint8_t *)from + table->expire->flow, sizeof(part));
	if (!part.packets)
		return;
	if (!flow->packets || part.first < flow->first)
		flow->first = part.first;
	if (part.last > flow->last)
		flow->last = part.last;
	if (part.until && (!flow->until || part.until < flow->until))
		flow->until = part.until;
	flow->packets += part.packets;
	flow->bytes += part.bytes;
}

static int extend(struct store *store, uint32_t slot, const uint8_t *record)
{
	uint8_t *into = record_at(store, slot);
	uint64_t before = end_of(store->table, into);

	amon_merge_row(store->table, into, record);
	/* what ends later moves when it stands first */
	if (end_of(store->table, into) >= before)
		return 0;
	return note(store, &store->ends, slot) ? 0 : -ENOMEM;
}

/* A flow that would begin where as many are open as there may be: it is counted where a full table counts. */
static void refuse(struct store *store, const uint8_t *record)
{
	struct flow part;

	memcpy(&part, record + store->table->expire->flow, sizeof(part));
	store->refused.packets += part.packets;
	store->refused.bytes += part.bytes;
	if (!store->other)
		return;
	amon_merge_columns(store->table->columns, store->table->column_count, store->other, record);
	amon_clear_alone(store->table, store->other);
}

static int add_part(struct store *store, const uint8_t *key, uint8_t *record)
{
	uint32_t place;
	int error = advance(store, flow_of(store->table, record)->first);

	if (error)
		return error;
	place = store->index ? place_of(store, key) : 0;
	if (store->index && store->index[place])
		return extend(store, store->index[place] - 1, record);
	if (store->open == store->table->size && !store->table->expire->evicts) {
		refuse(store, record);
		return 0;
	}
	if (store->open == store->table->size)
		error = end(store, (uint32_t)first_of(store, &store->seen), AMON_END_EVICTED);
	return error ? error : begin(store, key, record);
}

/* --- parts in the order of time */

struct part {
	uint64_t first, life, row;
};

static int compare_parts(const void *a, const void *b)
{
	const struct part *x = a, *y = b;

	if (x->first != y->first)
		return x->first < y->first ? -1 : 1;
	if (x->life != y->life)
		return x->life < y->life ? -1 : 1;
	return x->row < y->row ? -1 : 1;
}

struct keys {
	const uint8_t *keys;
	uint32_t size;
};

static int compare_keys(const void *a, const void *b, void *data)
{
	const struct part *x = a, *y = b;
	const struct keys *keys = data;

	return memcmp(keys->keys + x->row * keys->size, keys->keys + y->row * keys->size, keys->size);
}

/* Lives that all CPUs share: what they have of one is one part. Returns how many are left. */
static uint64_t merge_parts(const struct amon_export_table *table, const struct amon_collected_table *rows,
                            struct part *parts)
{
	struct keys keys = { rows->keys, table->key_size };
	uint64_t last = 0;

	qsort_r(parts, rows->row_count, sizeof(*parts), compare_keys, &keys);
	for (uint64_t i = 1; i < rows->row_count; i++) {
		uint8_t *into = rows->records + parts[last].row * table->record_size;

		if (memcmp(keys.keys + parts[last].row * keys.size, keys.keys + parts[i].row * keys.size, keys.size))
			parts[++last] = parts[i];
		else
			amon_merge_row(table, into, rows->records + parts[i].row * table->record_size);
	}
	return rows->row_count ? last + 1 : 0;
}

/* Returns how many there are. */
static uint64_t note_parts(const struct store *store, const struct amon_collected_table *rows, struct part *parts)
{
	const struct amon_export_table *table = store->table;
	uint64_t count = rows->row_count;

	for (uint64_t i = 0; i < count; i++) {
		parts[i].row = i;
		memcpy(&parts[i].life, rows->keys + i * table->key_size + key_size(store), 8);
	}
	if (!table->expire->lives_map)
		count = merge_parts(table, rows, parts);
	for (uint64_t i = 0; i < count; i++)
		parts[i].first = flow_of(table, rows->records + parts[i].row * table->record_size)->first;
	qsort(parts, count, sizeof(*parts), compare_parts);
	return count;
}

static int add_parts(struct store *store, struct amon_collected_table *rows)
{
	const struct amon_export_table *table = store->table;
	AMON_FREES struct part *parts = reallocarray(NULL, rows->row_count + 1, sizeof(*parts));
	int error = parts ? 0 : -ENOMEM;
	uint64_t count = error ? 0 : note_parts(store, rows, parts);

	for (uint64_t i = 0; !error && i < count; i++)
		error = add_part(store, rows->keys + parts[i].row * table->key_size,
		                 rows->records + parts[i].row * table->record_size);
	rows->row_count = 0;
	return error;
}

static int add_table(struct store *store, struct amon_collected_table *rows)
{
	const struct amon_export_table *table = store->table;

	if (store->other) {
		amon_merge_columns(table->columns, table->column_count, store->other, rows->other);
		memset(rows->other, 0, table->record_size);
	}
	return add_parts(store, rows);
}

int amon_flows_add(struct amon_flows *flows, struct amon_collected *collected)
{
	int error = 0;

	for (uint32_t s = 0; s < flows->exports->section_count; s++)
		for (uint32_t t = 0; !error && t < flows->exports->sections[s].table_count; t++)
			if (flows->stores[s][t].table->expire)
				error = add_table(&flows->stores[s][t], &collected->sections[s].tables[t]);
	return error;
}

/* --- what is exported */

static void move_packets(uint8_t *record, uint32_t from, uint32_t to, struct amon_packets moved)
{
	struct amon_packets packets;

	memcpy(&packets, record + from, sizeof(packets));
	packets.packets -= moved.packets;
	packets.bytes -= moved.bytes;
	memcpy(record + from, &packets, sizeof(packets));
	memcpy(&packets, record + to, sizeof(packets));
	packets.packets += moved.packets;
	packets.bytes += moved.bytes;
	memcpy(record + to, &packets, sizeof(packets));
}

/* The kernel found rows for them, and counted them there. */
static void account(struct store *store, uint8_t *section_record)
{
	const struct amon_export_table *table = store->table;
	uint32_t to = table->other;

	for (uint32_t i = 0; !table->other_map && i < table->unaccounted_count; i++)
		if (!strcmp(table->unaccounted[i].name, "full"))
			to = table->unaccounted[i].offset;
	if (to != UINT32_MAX)
		move_packets(section_record, table->in_rows, to, store->refused);
	store->refused = (struct amon_packets){ 0 };
}

static int end_open(struct store *store)
{
	int error = 0;

	for (uint32_t slot = 0; !error && slot < store->used; slot++)
		if (store->serials[slot])
			error = end(store, slot, AMON_END_FORCED);
	return error;
}

static int show_open(const struct store *store, struct amon_collected_table *rows)
{
	int error = 0;

	for (uint32_t slot = 0; !error && slot < store->used; slot++)
		if (store->serials[slot])
			error = amon_collected_add(store->table, rows, key_at(store, slot), record_at(store, slot));
	return error;
}

static int end_table(struct store *store, uint64_t until, bool all, struct amon_collected_table *rows)
{
	int error = advance(store, until);

	if (!error && all)
		error = end_open(store);
	free(rows->keys);
	free(rows->records);
	rows->keys = store->ended.keys;
	rows->records = store->ended.records;
	rows->row_count = store->ended.row_count;
	rows->room = store->ended.room;
	store->ended = (struct amon_collected_table){ 0 };
	if (!error && store->table->expire->keeps)
		error = show_open(store, rows);
	if (store->other) {
		memcpy(rows->other, store->other, store->table->record_size);
		memset(store->other, 0, store->table->record_size);
	}
	return error ? error : amon_collected_sort(store->table, rows);
}

int amon_flows_end(struct amon_flows *flows, uint64_t until, bool all, struct amon_collected *collected)
{
	int error = 0;

	for (uint32_t s = 0; s < flows->exports->section_count; s++)
		for (uint32_t t = 0; !error && t < flows->exports->sections[s].table_count; t++) {
			struct store *store = &flows->stores[s][t];

			if (!store->table->expire)
				continue;
			account(store, collected->sections[s].record);
			error = end_table(store, until, all, &collected->sections[s].tables[t]);
		}
	return error;
}

uint64_t amon_flows_next(struct amon_flows *flows)
{
	uint64_t next = UINT64_MAX;

	for (uint32_t s = 0; s < flows->exports->section_count; s++)
		for (uint32_t t = 0; t < flows->exports->sections[s].table_count; t++) {
			struct store *store = &flows->stores[s][t];
			int64_t slot = store->table->expire ? first_of(store, &store->ends) : -1;
			uint64_t end = slot < 0 ? UINT64_MAX : end_of(store->table, record_at(store, (uint32_t)slot));

			next = end < next ? end : next;
		}
	return next;
}

/* --- what is kept from reader to reader */

int amon_flows_open(const struct amon_flows *flows, struct amon_collected *collected)
{
	int error = 0;

	for (uint32_t s = 0; s < flows->exports->section_count; s++)
		for (uint32_t t = 0; !error && t < flows->exports->sections[s].table_count; t++)
			error = show_open(&flows->stores[s][t], &collected->sections[s].tables[t]);
	return error;
}

static int load_table(struct store *store, const struct amon_collected_table *rows)
{
	const struct amon_export_table *table = store->table;
	int error = 0;

	for (uint64_t i = 0; !error && table->expire && i < rows->row_count; i++)
		error = begin(store, rows->keys + i * table->key_size, rows->records + i * table->record_size);
	return error;
}

int amon_flows_load(struct amon_flows *flows, const struct amon_collected *open)
{
	int error = 0;

	for (uint32_t s = 0; s < flows->exports->section_count; s++)
		for (uint32_t t = 0; !error && t < flows->exports->sections[s].table_count; t++)
			error = load_table(&flows->stores[s][t], &open->sections[s].tables[t]);
	return error;
}
