/* SPDX-License-Identifier: Apache-2.0 */
#include "carry.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "storage.h"

/* --- in other records */

static void copy_part(void *into, uint32_t to, const void *from, uint32_t at, uint32_t size)
{
	if (to != UINT32_MAX && at != UINT32_MAX)
		memcpy((char *)into + to, (const char *)from + at, size);
}

/* Equal signatures have equal parts; only where they lie differs. */
static void copy_state(const struct amon_layout *to, void *into, const struct amon_layout *at, const void *from)
{
	copy_part(into, to->value, from, at->value, to->value_size);
	copy_part(into, to->count, from, at->count, 8);
	copy_part(into, to->squares, from, at->squares, 16);
	copy_part(into, to->time, from, at->time, 8);
	copy_part(into, to->buckets, from, at->buckets, 8 * to->bucket_count);
	copy_part(into, to->version, from, at->version, 1);
	if (to->has != UINT32_MAX && at->has != UINT32_MAX)
		amon_state_set_has(to, into, amon_state_has(at, from));
}

static const struct amon_export_column *find_column(const struct amon_export_column *columns, uint32_t count,
                                                    const struct amon_export_column *like)
{
	for (uint32_t i = 0; i < count; i++)
		if (columns[i].kind == AMON_COLUMN_METRIC && columns[i].signature == like->signature &&
		    columns[i].layout.bucket_count == like->layout.bucket_count &&
		    columns[i].layout.value_size == like->layout.value_size &&
		    columns[i].layout.kept == like->layout.kept)
			return &columns[i];
	return NULL;
}

static void copy_columns(const struct amon_export_column *columns, uint32_t count, void *into,
                         const struct amon_export_column *old, uint32_t old_count, const void *from)
{
	for (uint32_t i = 0; i < count; i++) {
		const struct amon_export_column *same =
		        columns[i].kind == AMON_COLUMN_METRIC ? find_column(old, old_count, &columns[i]) : NULL;

		if (same)
			copy_state(&columns[i].layout, into, &same->layout, from);
	}
}

static void copy_causes(const struct amon_export_counter *to, uint32_t count, void *into,
                        const struct amon_export_counter *old, uint32_t old_count, const void *from)
{
	for (uint32_t i = 0; i < count; i++)
		for (uint32_t j = 0; j < old_count; j++)
			if (!strcmp(to[i].name, old[j].name))
				copy_part(into, to[i].offset, from, old[j].offset, 16);
}

static const struct amon_export_table *find_table(const struct amon_export_section *section,
                                                  const struct amon_export_table *like)
{
	for (uint32_t i = 0; i < section->table_count; i++)
		if (section->tables[i].signature == like->signature && section->tables[i].key_size == like->key_size)
			return &section->tables[i];
	return NULL;
}

static void copy_table_ledger(const struct amon_export_table *to, void *into, const struct amon_export_table *from,
                              const void *record)
{
	copy_part(into, to->selected, record, from->selected, 16);
	copy_part(into, to->in_rows, record, from->in_rows, 16);
	copy_part(into, to->other, record, from->other, 16);
	copy_causes(to->unaccounted, to->unaccounted_count, into, from->unaccounted, from->unaccounted_count, record);
}

void amon_carry_section(const struct amon_export_section *from, const void *record,
                        const struct amon_export_section *to, void *into)
{
	copy_columns(to->columns, to->column_count, into, from->columns, from->column_count, record);
	copy_part(into, to->seen, record, from->seen, 16);
	copy_part(into, to->selected, record, from->selected, 16);
	copy_causes(to->malformed, to->malformed_count, into, from->malformed, from->malformed_count, record);
	for (uint32_t i = 0; i < to->table_count; i++) {
		const struct amon_export_table *same = find_table(from, &to->tables[i]);

		if (same)
			copy_table_ledger(&to->tables[i], into, same, record);
	}
}

static int convert_rows(const struct amon_export_table *from, const struct amon_collected_table *rows,
                        const struct amon_export_table *to, struct amon_collected_table *into)
{
	AMON_FREES uint8_t *record = malloc(to->record_size);
	int error = record ? 0 : -ENOMEM;

	for (uint64_t i = 0; i < rows->row_count && !error; i++) {
		memset(record, 0, to->record_size);
		copy_columns(to->columns, to->column_count, record, from->columns, from->column_count,
		             rows->records + i * from->record_size);
		if (to->expire && from->expire)
			memcpy(record + to->expire->flow, rows->records + i * from->record_size + from->expire->flow,
			       AMON_FLOW_SIZE);
		error = amon_collected_add(to, into, rows->keys + i * from->key_size, record);
	}
	if (!error && into->other && rows->other)
		copy_columns(to->columns, to->column_count, into->other, from->columns, from->column_count,
		             rows->other);
	return error;
}

static int convert_section(const struct amon_export_section *from, const struct amon_collected_section *counts,
                           const struct amon_export_section *to, struct amon_collected_section *into)
{
	int error = 0;

	amon_carry_section(from, counts->record, to, into->record);
	for (uint32_t i = 0; i < to->table_count && !error; i++) {
		const struct amon_export_table *same = find_table(from, &to->tables[i]);

		if (same)
			error = convert_rows(same, &counts->tables[same - from->tables], &to->tables[i],
			                     &into->tables[i]);
	}
	return error;
}

int amon_carry_convert(const struct amon_exports *from, const struct amon_collected *counts,
                       const struct amon_exports *to, struct amon_collected **result)
{
	__attribute__((cleanup(amon_collected_cleanup))) struct amon_collected *converted = amon_collected_new(to);
	int error = converted ? 0 : -ENOMEM;

	for (uint32_t i = 0; i < to->section_count && !error; i++)
		for (uint32_t j = 0; j < from->section_count && !error; j++)
			if (from->sections[j].signature == to->sections[i].signature)
				error = convert_section(&from->sections[j], &counts->sections[j], &to->sections[i],
				                        &converted->sections[i]);
	if (error)
		return error;
	*result = converted;
	converted = NULL;
	return 0;
}

/* --- in a map: for each section its record; for each table the number of rows, `other`, keys and records */

struct bytes {
	uint8_t *data;
	size_t size, at;
};

/* Without data only the size is found. */
static void put(struct bytes *bytes, const void *from, size_t size)
{
	if (bytes->data && size)
		memcpy(bytes->data + bytes->at, from, size);
	bytes->at += size;
}

static void put_all(struct bytes *bytes, const struct amon_exports *exports, const struct amon_collected *counts)
{
	for (uint32_t i = 0; i < exports->section_count; i++) {
		const struct amon_export_section *section = &exports->sections[i];

		put(bytes, counts->sections[i].record, section->record_size);
		for (uint32_t j = 0; j < section->table_count; j++) {
			const struct amon_export_table *table = &section->tables[j];
			const struct amon_collected_table *rows = &counts->sections[i].tables[j];

			put(bytes, &rows->row_count, sizeof(rows->row_count));
			if (rows->other)
				put(bytes, rows->other, table->record_size);
			put(bytes, rows->keys, rows->row_count * table->key_size);
			put(bytes, rows->records, rows->row_count * table->record_size);
		}
	}
}

int amon_carry_write(const struct amon_exports *exports, const struct amon_collected *counts)
{
	struct bytes bytes = { NULL, 0, 0 };
	uint32_t zero = 0;
	int map, error;

	put_all(&bytes, exports, counts);
	AMON_FREES uint8_t *data = malloc(bytes.at);
	if (!data)
		return -ENOMEM;
	bytes = (struct bytes){ data, bytes.at, 0 };
	put_all(&bytes, exports, counts);
	map = bpf_map_create(BPF_MAP_TYPE_ARRAY, "amon_carry", 4, (uint32_t)bytes.size, 1, NULL);
	error = map < 0 ? map : bpf_map_update_elem(map, &zero, data, BPF_ANY);
	if (error && map >= 0)
		close(map);
	return error ? error : map;
}

static bool take(struct bytes *bytes, void *to, size_t size)
{
	if (size > bytes->size - bytes->at)
		return false;
	memcpy(to, bytes->data + bytes->at, size);
	bytes->at += size;
	return true;
}

static int take_table(struct bytes *bytes, const struct amon_export_table *table, struct amon_collected_table *rows)
{
	uint64_t count, row = (uint64_t)table->key_size + table->record_size;
	const uint8_t *keys, *records;
	int error = 0;

	if (!take(bytes, &count, sizeof(count)) || (rows->other && !take(bytes, rows->other, table->record_size)) ||
	    count > (bytes->size - bytes->at) / row)
		return -EINVAL;
	keys = bytes->data + bytes->at;
	records = keys + count * table->key_size;
	for (uint64_t i = 0; i < count && !error; i++)
		error = amon_collected_add(table, rows, keys + i * table->key_size, records + i * table->record_size);
	bytes->at += count * row;
	return error;
}

static int take_all(struct bytes *bytes, const struct amon_exports *exports, struct amon_collected *counts)
{
	int error = 0;

	for (uint32_t i = 0; i < exports->section_count && !error; i++) {
		if (!take(bytes, counts->sections[i].record, exports->sections[i].record_size))
			return -EINVAL;
		for (uint32_t j = 0; j < exports->sections[i].table_count && !error; j++)
			error = take_table(bytes, &exports->sections[i].tables[j], &counts->sections[i].tables[j]);
	}
	return error;
}

int amon_carry_read(const struct amon_exports *exports, int map, struct amon_collected **result)
{
	__attribute__((cleanup(amon_collected_cleanup))) struct amon_collected *counts = amon_collected_new(exports);
	struct bpf_map_info info = { 0 };
	uint32_t length = sizeof(info), zero = 0;
	int error = bpf_obj_get_info_by_fd(map, &info, &length);
	AMON_FREES uint8_t *data = error ? NULL : malloc(info.value_size);

	if (!error)
		error = data && counts ? bpf_map_lookup_elem(map, &zero, data) : -ENOMEM;
	if (!error)
		error = take_all(&(struct bytes){ data, info.value_size, 0 }, exports, counts);
	if (error)
		return error;
	*result = counts;
	counts = NULL;
	return 0;
}

static void reset_counts(const struct amon_exports *exports, struct amon_collected *counts)
{
	for (uint32_t i = 0; i < exports->section_count; i++) {
		const struct amon_export_section *section = &exports->sections[i];

		amon_clear_section(section, counts->sections[i].record);
		for (uint32_t j = 0; j < section->table_count; j++) {
			if (!section->tables[j].reset)
				continue;
			counts->sections[i].tables[j].row_count = 0;
			if (counts->sections[i].tables[j].other)
				memset(counts->sections[i].tables[j].other, 0, section->tables[j].record_size);
		}
	}
}

int amon_carry_reset(const struct amon_exports *exports, struct amon_collected *counts, int map)
{
	struct bpf_map_info info = { 0 };
	uint32_t length = sizeof(info), zero = 0;
	int error = bpf_obj_get_info_by_fd(map, &info, &length);
	AMON_FREES uint8_t *data = error ? NULL : calloc(1, info.value_size);
	struct bytes bytes = { data, info.value_size, 0 };

	if (error)
		return error;
	if (!data)
		return -ENOMEM;
	reset_counts(exports, counts);
	put_all(&bytes, exports, counts);
	return bpf_map_update_elem(map, &zero, data, BPF_ANY);
}
