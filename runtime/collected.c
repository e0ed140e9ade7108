/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "flows.h"
#include "storage.h"

/* --- memory */

static void free_section(struct amon_collected_section *section)
{
	for (uint32_t i = 0; section->tables && i < section->table_count; i++) {
		free(section->tables[i].keys);
		free(section->tables[i].records);
		free(section->tables[i].other);
	}
	free(section->tables);
	free(section->record);
}

void amon_collected_free(struct amon_collected *collected)
{
	if (!collected)
		return;
	for (uint32_t i = 0; collected->sections && i < collected->section_count; i++)
		free_section(&collected->sections[i]);
	free(collected->sections);
	free(collected);
}

/* The largest that is taken from the heap at all, and so can be kept: as far as glibc goes. */
#define KEPT_PIECE (32 << 20)
#define KEPT       (256 << 20)

void amon_collected_keep_memory(void)
{
	mallopt(M_MMAP_THRESHOLD, KEPT_PIECE);
	mallopt(M_TRIM_THRESHOLD, KEPT);
}

static bool init_section(const struct amon_export_section *exported, struct amon_collected_section *section)
{
	section->table_count = exported->table_count;
	section->record = calloc(1, exported->record_size);
	section->tables = calloc(exported->table_count + 1, sizeof(*section->tables));
	if (!section->record || !section->tables)
		return false;
	for (uint32_t i = 0; i < exported->table_count; i++) {
		if (!exported->tables[i].other_map)
			continue;
		section->tables[i].other = calloc(1, exported->tables[i].record_size);
		if (!section->tables[i].other)
			return false;
	}
	return true;
}

struct amon_collected *amon_collected_new(const struct amon_exports *exports)
{
	struct amon_collected *collected = calloc(1, sizeof(*collected));
	bool good;

	if (!collected)
		return NULL;
	collected->section_count = exports->section_count;
	collected->sections = calloc(exports->section_count + 1, sizeof(*collected->sections));
	good = collected->sections;
	for (uint32_t i = 0; good && i < exports->section_count; i++)
		good = init_section(&exports->sections[i], &collected->sections[i]);
	if (good)
		return collected;
	amon_collected_free(collected);
	return NULL;
}

static bool grow(uint8_t **array, uint64_t count, uint32_t size)
{
	uint8_t *larger = reallocarray(*array, count, size);

	if (larger)
		*array = larger;
	return larger;
}

int amon_collected_add(const struct amon_export_table *table, struct amon_collected_table *rows, const void *key,
                       const void *record)
{
	if (rows->row_count == rows->room) {
		uint64_t room = rows->room ? 2 * rows->room : 64;

		if (!grow(&rows->keys, room, table->key_size) || !grow(&rows->records, room, table->record_size))
			return -ENOMEM;
		rows->room = room;
	}
	memcpy(rows->keys + rows->row_count * table->key_size, key, table->key_size);
	memcpy(rows->records + rows->row_count * table->record_size, record, table->record_size);
	rows->row_count++;
	return 0;
}

/* --- order */

/*
 * A key as bytes whose order is that of its parts: numbers with the highest byte first, IPv4 before IPv6. Addresses of
 * either version take one byte more than in the key, where they share it.
 */
#define PART_MAX 17

int64_t amon_key_number(const struct amon_layout *layout, const void *key)
{
	return (int64_t)amon_number_at((const uint8_t *)key + layout->value, layout->value_size);
}

static uint8_t *put_number(uint8_t *at, const struct amon_export_column *column, const uint8_t *key)
{
	const struct amon_layout *layout = &column->layout;
	uint64_t number = (uint64_t)amon_key_number(layout, key);

	/* negative ones come first */
	if (layout->value_size == 8 && column->type.bits != 64)
		number ^= 1ULL << 63;
	for (uint32_t i = layout->value_size; i-- > 0;)
		*at++ = (uint8_t)(number >> 8 * i);
	return at;
}

static uint8_t *put_part(uint8_t *at, const struct amon_export_column *column, const uint8_t *key)
{
	const struct amon_layout *layout = &column->layout;

	if (!amon_base_is_address(column->type.base))
		return put_number(at, column, key);
	if (column->type.base == AMON_BASE_NET)
		*at++ = key[layout->version];
	return mempcpy(at, key + layout->value, layout->value_size);
}

/* The same for each key of a table. */
static size_t key_length(const struct amon_export_table *table)
{
	size_t length = 0;

	for (uint32_t i = 0; i < table->key_count; i++)
		length += table->columns[i].layout.value_size + (table->columns[i].type.base == AMON_BASE_NET);
	return length;
}

static void put_key(uint8_t *ordered, const struct amon_export_table *table, const uint8_t *key)
{
	for (uint32_t i = 0; i < table->key_count; i++)
		ordered = put_part(ordered, &table->columns[i], key);
}

int amon_compare_keys(const struct amon_export_table *table, const void *a, const void *b)
{
	uint8_t x[PART_MAX], y[PART_MAX];
	int order = 0;

	for (uint32_t i = 0; i < table->key_count && !order; i++) {
		size_t length = (size_t)(put_part(x, &table->columns[i], a) - x);

		put_part(y, &table->columns[i], b);
		order = memcmp(x, y, length);
	}
	return order;
}

/* What is sorted: an ordered key, and behind it the row's place before. */
struct order {
	size_t key_length, size;
	uint8_t *items;
};

static uint64_t place_of(const struct order *order, const void *item)
{
	uint64_t place;

	memcpy(&place, (const uint8_t *)item + order->key_length, sizeof(place));
	return place;
}

/* Rows of one key keep their order. */
static int compare_items(const void *a, const void *b, void *data)
{
	const struct order *order = data;
	int result = memcmp(a, b, order->key_length);

	return result ? result : place_of(order, a) < place_of(order, b) ? -1 : 1;
}

/* Sorts by one byte; what has the same keeps its order. */
static void sort_by_byte(const struct order *order, uint64_t count, size_t byte, const uint8_t *from, uint8_t *to)
{
	uint64_t starts[256] = { 0 }, sum = 0;

	for (uint64_t i = 0; i < count; i++)
		starts[from[i * order->size + byte]]++;
	for (uint32_t i = 0; i < 256; i++) {
		uint64_t alike = starts[i];

		starts[i] = sum;
		sum += alike;
	}
	for (uint64_t i = 0; i < count; i++) {
		const uint8_t *item = from + i * order->size;

		memcpy(to + starts[item[byte]]++ * order->size, item, order->size);
	}
}

/* Where keys differ beyond the bytes that they were sorted by, those that are the same so far are compared. */
static void sort_runs(struct order *order, uint64_t count, size_t length)
{
	uint64_t start = 0;

	for (uint64_t i = 1; i <= count; i++) {
		const uint8_t *first = order->items + start * order->size;

		if (i < count && !memcmp(first, order->items + i * order->size, length))
			continue;
		if (i - start > 1)
			qsort_r(order->items + start * order->size, i - start, order->size, compare_items, order);
		start = i;
	}
}

static bool byte_differs(const struct order *order, uint64_t count, size_t byte)
{
	for (uint64_t i = 1; i < count; i++)
		if (order->items[i * order->size + byte] != order->items[byte])
			return true;
	return false;
}

/* So many bytes, of those in which keys differ, tell nearly all of them apart. */
#define SORTED_BYTES 8

/* By the first bytes that differ, the last of them first. */
static int sort_items(struct order *order, uint64_t count)
{
	uint8_t *other = reallocarray(NULL, count, order->size);
	size_t bytes[SORTED_BYTES], found = 0, at;

	if (!other)
		return -ENOMEM;
	for (at = 0; at < order->key_length && found < SORTED_BYTES; at++)
		if (byte_differs(order, count, at))
			bytes[found++] = at;
	for (size_t i = found; i-- > 0;) {
		uint8_t *sorted = other;

		sort_by_byte(order, count, bytes[i], order->items, sorted);
		other = order->items;
		order->items = sorted;
	}
	free(other);
	if (at < order->key_length)
		sort_runs(order, count, at);
	return 0;
}

static int make_order(const struct amon_export_table *table, const struct amon_collected_table *rows,
                      struct order *order)
{
	order->key_length = key_length(table);
	order->size = order->key_length + sizeof(uint64_t);
	order->items = reallocarray(NULL, rows->row_count, order->size);
	if (!order->items)
		return -ENOMEM;
	for (uint64_t i = 0; i < rows->row_count; i++) {
		uint8_t *item = order->items + i * order->size;

		put_key(item, table, rows->keys + i * table->key_size);
		memcpy(item + order->key_length, &i, sizeof(i));
	}
	return sort_items(order, rows->row_count);
}

static uint64_t place_before(const struct order *order, uint64_t row)
{
	return place_of(order, order->items + row * order->size);
}

/* Memory that is read in no order is asked for so many rows before. */
#define AHEAD 16

/* Puts an array of `size` bytes a row in order. */
static int reorder(const struct order *order, uint8_t **array, uint64_t count, uint32_t size)
{
	uint8_t *sorted = reallocarray(NULL, count, size);

	if (!sorted)
		return -ENOMEM;
	for (uint64_t i = 0; i < count; i++) {
		if (i + AHEAD < count)
			__builtin_prefetch(*array + place_before(order, i + AHEAD) * size);
		memcpy(sorted + i * size, *array + place_before(order, i) * size, size);
	}
	free(*array);
	*array = sorted;
	return 0;
}

/* --- merging and subtracting */

/* `sign` is 1, or -1 to subtract. */
static void add_packets(uint32_t offset, void *into, const void *from, uint64_t sign)
{
	for (uint32_t at = offset; at < offset + 16; at += 8) {
		uint64_t sum, more;

		memcpy(&sum, (char *)into + at, 8);
		memcpy(&more, (const char *)from + at, 8);
		sum += sign * more;
		memcpy((char *)into + at, &sum, 8);
	}
}

static void add_counters(const struct amon_export_counter *counters, uint32_t count, void *into, const void *from,
                         uint64_t sign)
{
	for (uint32_t i = 0; i < count; i++)
		add_packets(counters[i].offset, into, from, sign);
}

static void add_section_ledger(const struct amon_export_section *section, void *into, const void *from)
{
	add_packets(section->seen, into, from, 1);
	add_packets(section->selected, into, from, 1);
	add_counters(section->malformed, section->malformed_count, into, from, 1);
}

static void add_table_ledger(const struct amon_export_table *table, void *into, const void *from)
{
	add_packets(table->selected, into, from, 1);
	add_packets(table->in_rows, into, from, 1);
	if (table->other_map)
		add_packets(table->other, into, from, 1);
	add_counters(table->unaccounted, table->unaccounted_count, into, from, 1);
}

void amon_merge_columns(const struct amon_export_column *columns, uint32_t count, void *into, const void *from)
{
	for (uint32_t i = 0; i < count; i++)
		if (columns[i].kind == AMON_COLUMN_METRIC)
			amon_merge_state(columns[i].aggregation, &columns[i].layout, into, from);
}

void amon_clear_alone(const struct amon_export_table *table, void *record)
{
	for (uint32_t i = 0; i < table->column_count; i++)
		if (table->columns[i].kind == AMON_COLUMN_METRIC && table->columns[i].aggregation->alone)
			amon_state_set_has(&table->columns[i].layout, record, false);
}

void amon_merge_row(const struct amon_export_table *table, void *into, const void *from)
{
	amon_merge_columns(table->columns, table->column_count, into, from);
	if (table->expire)
		amon_flow_merge(table, into, from);
}

void amon_merge_section(const struct amon_export_section *section, void *into, const void *from)
{
	amon_merge_columns(section->columns, section->column_count, into, from);
	add_section_ledger(section, into, from);
	for (uint32_t i = 0; i < amon_ledger_count(section); i++)
		add_table_ledger(amon_ledger_table(section, i), into, from);
}

void amon_merge_reset(const struct amon_export_section *section, void *into, const void *from)
{
	for (uint32_t i = 0; i < section->column_count; i++)
		if (section->columns[i].kind == AMON_COLUMN_METRIC && section->columns[i].reset)
			amon_merge_state(section->columns[i].aggregation, &section->columns[i].layout, into, from);
	if (section->reset)
		add_section_ledger(section, into, from);
	for (uint32_t i = 0; i < amon_ledger_count(section); i++)
		if (amon_ledger_table(section, i)->reset)
			add_table_ledger(amon_ledger_table(section, i), into, from);
}

/* --- rows of one key */

static void move_row(const struct amon_export_table *table, struct amon_collected_table *rows, uint64_t to,
                     uint64_t from)
{
	if (to == from)
		return;
	memcpy(rows->keys + to * table->key_size, rows->keys + from * table->key_size, table->key_size);
	memcpy(rows->records + to * table->record_size, rows->records + from * table->record_size, table->record_size);
}

/* The two clones may each have a row of a key. */
static void merge_alike(const struct amon_export_table *table, const struct order *order,
                        struct amon_collected_table *rows)
{
	uint64_t last = 0;

	for (uint64_t i = 1; i < rows->row_count; i++) {
		const uint8_t *item = order->items + i * order->size;

		if (memcmp(item - order->size, item, order->key_length))
			move_row(table, rows, ++last, i);
		else
			amon_merge_columns(table->columns, table->column_count,
			                   rows->records + last * table->record_size,
			                   rows->records + i * table->record_size);
	}
	rows->row_count = last + 1;
}

int amon_collected_sort(const struct amon_export_table *table, struct amon_collected_table *rows)
{
	struct order order = { 0 };
	int error;

	if (rows->row_count < 2 || amon_table_is_list(table))
		return 0;
	error = make_order(table, rows, &order);
	rows->room = rows->row_count;
	if (!error)
		error = reorder(&order, &rows->keys, rows->row_count, table->key_size);
	if (!error)
		error = reorder(&order, &rows->records, rows->row_count, table->record_size);
	if (!error && !table->expire)
		merge_alike(table, &order, rows);
	free(order.items);
	return error;
}

/* --- the baseline of a reset that writes nothing to the kernel */

static bool in_shared_part(const struct amon_export_section *section, uint32_t offset)
{
	for (uint32_t i = 0; i < section->part_count; i++)
		if (!section->parts[i].twice && !section->parts[i].user &&
		    offset - section->parts[i].offset < section->parts[i].size)
			return true;
	return false;
}

static bool has_baseline(const struct amon_export_section *section, const struct amon_export_column *column)
{
	return column->kind == AMON_COLUMN_METRIC && column->reset &&
	       in_shared_part(section,
	                      column->layout.value != UINT32_MAX ? column->layout.value : column->layout.count);
}

bool amon_section_has_baseline(const struct amon_export_section *section)
{
	if (section->reset && in_shared_part(section, section->seen))
		return true;
	for (uint32_t i = 0; i < section->column_count; i++)
		if (has_baseline(section, &section->columns[i]))
			return true;
	return false;
}

void amon_subtract_baseline(const struct amon_export_section *section, void *record, const void *baseline)
{
	for (uint32_t i = 0; i < section->column_count; i++)
		if (has_baseline(section, &section->columns[i]))
			amon_subtract_state(section->columns[i].aggregation, &section->columns[i].layout, record,
			                    baseline);
	if (!section->reset || !in_shared_part(section, section->seen))
		return;
	add_packets(section->seen, record, baseline, UINT64_MAX);
	add_packets(section->selected, record, baseline, UINT64_MAX);
	add_counters(section->malformed, section->malformed_count, record, baseline, UINT64_MAX);
}

/* --- what a reset empties */

static void clear(void *record, uint32_t offset, uint32_t size)
{
	if (offset != UINT32_MAX)
		memset((char *)record + offset, 0, size);
}

static void clear_state(void *record, const struct amon_layout *layout)
{
	clear(record, layout->value, layout->value_size);
	clear(record, layout->count, 8);
	clear(record, layout->squares, 16);
	clear(record, layout->time, 8);
	clear(record, layout->buckets, 8 * layout->bucket_count);
	clear(record, layout->version, 1);
	if (layout->has != UINT32_MAX)
		amon_state_set_has(layout, record, false);
}

static void clear_counters(void *record, const struct amon_export_counter *counters, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		clear(record, counters[i].offset, 16);
}

static void clear_table_ledger(void *record, const struct amon_export_table *table)
{
	clear(record, table->selected, 16);
	clear(record, table->in_rows, 16);
	clear(record, table->other, 16);
	clear_counters(record, table->unaccounted, table->unaccounted_count);
}

void amon_clear_section(const struct amon_export_section *section, void *record)
{
	for (uint32_t i = 0; i < section->column_count; i++)
		if (section->columns[i].kind == AMON_COLUMN_METRIC && section->columns[i].reset)
			clear_state(record, &section->columns[i].layout);
	if (section->reset) {
		clear(record, section->seen, 16);
		clear(record, section->selected, 16);
		clear_counters(record, section->malformed, section->malformed_count);
	}
	for (uint32_t i = 0; i < amon_ledger_count(section); i++)
		if (amon_ledger_table(section, i)->reset)
			clear_table_ledger(record, amon_ledger_table(section, i));
}
static int copy_table(const struct amon_export_table *table, const struct amon_collected_table *from,
                      struct amon_collected_table *to)
{
	int error = 0;

	for (uint64_t row = 0; !error && row < from->row_count; row++)
		error = amon_collected_add(table, to, from->keys + row * table->key_size,
		                           from->records + row * table->record_size);
	if (from->other)
		memcpy(to->other, from->other, table->record_size);
	return error;
}

int amon_collected_copy(const struct amon_exports *exports, const struct amon_collected *collected,
                        struct amon_collected **copy)
{
	struct amon_collected *made = amon_collected_new(exports);
	int error = made ? 0 : -ENOMEM;

	for (uint32_t s = 0; !error && s < exports->section_count; s++) {
		const struct amon_export_section *section = &exports->sections[s];

		memcpy(made->sections[s].record, collected->sections[s].record, section->record_size);
		for (uint32_t t = 0; !error && t < section->table_count; t++)
			error = copy_table(&section->tables[t], &collected->sections[s].tables[t],
			                   &made->sections[s].tables[t]);
	}
	if (error)
		amon_collected_free(made);
	else
		*copy = made;
	return error;
}

static int merge_table(const struct amon_export_table *table, const struct amon_collected_table *from,
                       struct amon_collected_table *into)
{
	int error = 0;

	for (uint64_t row = 0; !error && row < from->row_count; row++)
		error = amon_collected_add(table, into, from->keys + row * table->key_size,
		                           from->records + row * table->record_size);
	if (from->other)
		amon_merge_columns(table->columns, table->column_count, into->other, from->other);
	return error;
}

int amon_collected_merge(const struct amon_exports *exports, struct amon_collected *into,
                         const struct amon_collected *from)
{
	int error = 0;

	for (uint32_t s = 0; !error && s < exports->section_count; s++) {
		const struct amon_export_section *section = &exports->sections[s];

		amon_merge_section(section, into->sections[s].record, from->sections[s].record);
		for (uint32_t t = 0; !error && t < section->table_count; t++)
			error = merge_table(&section->tables[t], &from->sections[s].tables[t],
			                    &into->sections[s].tables[t]);
	}
	return error;
}
