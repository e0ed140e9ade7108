/* SPDX-License-Identifier: Apache-2.0 */
#include "user.h"

#include <string.h>

#include "storage.h"

static uint64_t network_at(const void *at, uint32_t size)
{
	const uint8_t *bytes = at;
	uint64_t number = 0;

	for (uint32_t i = 0; i < size; i++)
		number = number << 8 | bytes[i];
	return number;
}

static uint64_t signed_at(const void *at, uint32_t size)
{
	uint32_t unused = 64 - 8 * size;

	return (uint64_t)((int64_t)(amon_number_at(at, size) << unused) >> unused);
}

static uint64_t number_of(const struct amon_export_column *column, const uint8_t *from, uint32_t cpu)
{
	static uint64_t (*const read[])(const void *at, uint32_t size) = {
		[AMON_FORM_UNSIGNED] = amon_number_at,
		[AMON_FORM_SIGNED] = signed_at,
		[AMON_FORM_NETWORK] = network_at,
	};
	const struct amon_export_source *source = &column->source;
	uint64_t number = source->form == AMON_FORM_CPU ? cpu : read[source->form](from + source->offset, source->size);

	return column->type.base == AMON_BASE_BOOL ? !!number : number;
}

static void put_value(const struct amon_export_column *column, const uint8_t *from, uint32_t cpu, uint8_t *into)
{
	uint64_t number;

	if (amon_base_is_address(column->type.base)) {
		memcpy(into + column->layout.value, from + column->source.offset, column->source.size);
		return;
	}
	number = number_of(column, from, cpu);
	memcpy(into + column->layout.value, &number, sizeof(number));
}

void amon_user_key(const struct amon_export_column *columns, uint32_t count, const void *from, uint32_t cpu, void *key)
{
	for (uint32_t i = 0; i < count; i++)
		if (columns[i].kind == AMON_COLUMN_KEY)
			put_value(&columns[i], from, cpu, key);
}

/* One CPU's, of which all are counted by a mean. */
void amon_user_record(const struct amon_export_column *columns, uint32_t count, const void *value, void *record)
{
	static const uint64_t one = 1;

	for (uint32_t i = 0; i < count; i++) {
		const struct amon_layout *layout = &columns[i].layout;

		if (columns[i].kind != AMON_COLUMN_METRIC)
			continue;
		put_value(&columns[i], value, 0, record);
		if (columns[i].aggregation->parts & AMON_PART_COUNT)
			memcpy((uint8_t *)record + layout->count, &one, sizeof(one));
		if (columns[i].aggregation->parts & AMON_PART_HAS)
			amon_state_set_has(layout, record, true);
	}
}
