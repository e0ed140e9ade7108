/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

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
#define ORDERED_MAX (2 * AMON_MAX_KEY)

int64_t amon_key_number(const struct amon_layout *layout, const void *key)
{
	const uint8_t *at = (const uint8_t *)key + layout->value;
	uint64_t wide;
	uint32_t word;
	uint16_t half;

	switch (layout->value_size) {
	case 1:
		return *at;
	case 2:
		return memcpy(&half, at, 2), half;
	case 4:
		return memcpy(&word, at, 4), word;
	default:
		return memcpy(&wide, at, 8), (int64_t)wide;
	}
}

static uint8_t *put_number(uint8_t *at, const struct amon_layout *layout, const uint8_t *key)
{
	uint64_t number = (uint64_t)amon_key_number(layout, key);

	/* Of 8 bytes, and so signed: negative ones come first. */
	if (layout->value_size == 8)
		number ^= 1ULL << 63;
	for (uint32_t i = layout->value_size; i-- > 0;)
		*at++ = (uint8_t)(number >> 8 * i);
	return at;
}

static uint8_t *put_part(uint8_t *at, const struct amon_export_column *column, const uint8_t *key)
{
	const struct amon_layout *layout = &column->layout;

	if (!amon_base_is_address(column->type.base))
		return put_number(at, layout, key);
	if (column->type.base == AMON_BASE_NET)
		*at++ = key[layout->version];
	return mempcpy(at, key + layout->value, layout->value_size);
}

/* Returns its length, which is the same for each key of a table. */
static size_t put_key(uint8_t *ordered, const struct amon_export_table *table, const uint8_t *key)
{
	uint8_t *at = ordered;

	for (uint32_t i = 0; i < table->key_count; i++)
		at = put_part(at, &table->columns[i], key);
	return (size_t)(at - ordered);
}

int amon_compare_keys(const struct amon_export_table *table, const void *a, const void *b)
{
	uint8_t x[ORDERED_MAX], y[ORDERED_MAX];
	size_t length = put_key(x, table, a);

	put_key(y, table, b);
	return memcmp(x, y, length);
}

/* What is sorted: an ordered key, and behind it the row's place before. */
struct order {
	size_t key_length, size;
	uint8_t *items;
};

static int compare_items(const void *a, const void *b, void *order)
{
	return memcmp(a, b, ((const struct order *)order)->key_length);
}

static int make_order(const struct amon_export_table *table, const struct amon_collected_table *rows,
                      struct order *order)
{
	uint8_t ordered[ORDERED_MAX];

	order->key_length = put_key(ordered, table, rows->keys);
	order->size = order->key_length + sizeof(uint64_t);
	order->items = reallocarray(NULL, rows->row_count, order->size);
	if (!order->items)
		return -ENOMEM;
	for (uint64_t i = 0; i < rows->row_count; i++) {
		uint8_t *item = order->items + i * order->size;

		put_key(item, table, rows->keys + i * table->key_size);
		memcpy(item + order->key_length, &i, sizeof(i));
	}
	qsort_r(order->items, rows->row_count, order->size, compare_items, order);
	return 0;
}

static uint64_t place_before(const struct order *order, uint64_t row)
{
	uint64_t place;

	memcpy(&place, order->items + row * order->size + order->key_length, sizeof(place));
	return place;
}

/* Puts an array of `size` bytes a row in order. */
static int reorder(const struct order *order, uint8_t **array, uint64_t count, uint32_t size)
{
	uint8_t *sorted = reallocarray(NULL, count, size);

	if (!sorted)
		return -ENOMEM;
	for (uint64_t i = 0; i < count; i++)
		memcpy(sorted + i * size, *array + place_before(order, i) * size, size);
	free(*array);
	*array = sorted;
	return 0;
}

int amon_collected_sort(const struct amon_export_table *table, struct amon_collected_table *rows)
{
	struct order order = { 0 };
	int error;

	if (rows->row_count < 2)
		return 0;
	error = make_order(table, rows, &order);
	rows->room = rows->row_count;
	if (!error)
		error = reorder(&order, &rows->keys, rows->row_count, table->key_size);
	if (!error)
		error = reorder(&order, &rows->records, rows->row_count, table->record_size);
	free(order.items);
	return error;
}

/* --- merging and subtracting */

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

/* `sign` is 1, or -1 to subtract. */
static void add_ledger(const struct amon_export_section *section, void *into, const void *from, uint64_t sign)
{
	add_packets(section->seen, into, from, sign);
	add_packets(section->selected, into, from, sign);
	add_counters(section->malformed, section->malformed_count, into, from, sign);
	for (uint32_t i = 0; i < section->table_count; i++) {
		const struct amon_export_table *table = &section->tables[i];

		add_packets(table->selected, into, from, sign);
		add_packets(table->in_rows, into, from, sign);
		if (table->other_map)
			add_packets(table->other, into, from, sign);
		add_counters(table->unaccounted, table->unaccounted_count, into, from, sign);
	}
}

void amon_merge_columns(const struct amon_export_column *columns, uint32_t count, void *into, const void *from)
{
	for (uint32_t i = 0; i < count; i++)
		if (columns[i].kind == AMON_COLUMN_METRIC)
			amon_merge_state(columns[i].aggregation, &columns[i].layout, into, from);
}

void amon_merge_section(const struct amon_export_section *section, void *into, const void *from)
{
	amon_merge_columns(section->columns, section->column_count, into, from);
	add_ledger(section, into, from, 1);
}

static void subtract_columns(const struct amon_export_column *columns, uint32_t count, void *into, const void *earlier)
{
	for (uint32_t i = 0; i < count; i++)
		if (columns[i].kind == AMON_COLUMN_METRIC)
			amon_subtract_state(columns[i].aggregation, &columns[i].layout, into, earlier);
}

/* Of a row that was there before; false where no packet came since, so that the row goes. */
static bool subtract_row(const struct amon_export_table *table, uint8_t *record, const uint8_t *earlier)
{
	if (!memcmp(record, earlier, table->record_size))
		return false;
	subtract_columns(table->columns, table->column_count, record, earlier);
	return true;
}

static void move_row(const struct amon_export_table *table, struct amon_collected_table *rows, uint64_t to,
                     uint64_t from)
{
	if (to == from)
		return;
	memcpy(rows->keys + to * table->key_size, rows->keys + from * table->key_size, table->key_size);
	memcpy(rows->records + to * table->record_size, rows->records + from * table->record_size, table->record_size);
}

/* Both are sorted, so that one walk through both finds each row's earlier self. */
static void subtract_rows(const struct amon_export_table *table, struct amon_collected_table *into,
                          const struct amon_collected_table *earlier)
{
	uint64_t kept = 0, e = 0;

	for (uint64_t i = 0; i < into->row_count; i++) {
		const uint8_t *key = into->keys + i * table->key_size;
		int order = 1;

		while (e < earlier->row_count &&
		       (order = amon_compare_keys(table, earlier->keys + e * table->key_size, key)) < 0)
			e++;
		if (order || subtract_row(table, into->records + i * table->record_size,
		                          earlier->records + e * table->record_size))
			move_row(table, into, kept++, i);
	}
	into->row_count = kept;
}

void amon_collected_subtract(const struct amon_exports *exports, struct amon_collected *into,
                             const struct amon_collected *earlier)
{
	for (uint32_t i = 0; i < exports->section_count; i++) {
		const struct amon_export_section *section = &exports->sections[i];
		struct amon_collected_section *to = &into->sections[i];
		const struct amon_collected_section *from = &earlier->sections[i];

		subtract_columns(section->columns, section->column_count, to->record, from->record);
		add_ledger(section, to->record, from->record, UINT64_MAX);
		for (uint32_t j = 0; j < section->table_count; j++) {
			const struct amon_export_table *table = &section->tables[j];

			subtract_rows(table, &to->tables[j], &from->tables[j]);
			if (table->other_map)
				subtract_columns(table->columns, table->column_count, to->tables[j].other,
				                 from->tables[j].other);
		}
	}
}

static const struct amon_export_column *stubborn_column(const struct amon_export_column *columns, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		if (columns[i].kind == AMON_COLUMN_METRIC && !columns[i].aggregation->subtracts)
			return &columns[i];
	return NULL;
}

const char *amon_exports_subtract(const struct amon_exports *exports)
{
	static char name[512];

	for (uint32_t i = 0; i < exports->section_count; i++) {
		const struct amon_export_section *section = &exports->sections[i];
		const struct amon_export_column *column = stubborn_column(section->columns, section->column_count);

		if (column) {
			snprintf(name, sizeof(name), "%s.%s", section->name, column->spec_name);
			return name;
		}
		for (uint32_t j = 0; j < section->table_count; j++) {
			const struct amon_export_table *table = &section->tables[j];

			column = stubborn_column(table->columns, table->column_count);
			if (!column)
				continue;
			snprintf(name, sizeof(name), "%s.%s.%s", section->name, table->name, column->spec_name);
			return name;
		}
	}
	return NULL;
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
