/* SPDX-License-Identifier: Apache-2.0 */
#include "exports.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "exports_schema.h"

static json_t *encode_members(const struct amon_schema *rows, const char *from);

static int64_t integer_at(const struct amon_schema *row, const char *from)
{
	const void *at = from + row->offset;

	if (row->size == 8)
		return *(const int64_t *)at;
	if (row->size == 4)
		return row->low < 0 ? *(const int32_t *)at : (int64_t)*(const uint32_t *)at;
	return row->low < 0 ? *(const int8_t *)at : *(const uint8_t *)at;
}

static const void *pointer_at(const struct amon_schema *row, const char *from)
{
	return *(const void *const *)(from + row->offset);
}

static uint32_t count_at(const struct amon_schema *row, const char *from)
{
	return *(const uint32_t *)(from + row->count);
}

static bool is_zero(const struct amon_schema *rows, const char *from)
{
	const struct amon_schema *row;

	for (row = rows; row->key; row++) {
		if (row->form == AMON_SCHEMA_STRUCT) {
			if (!is_zero(row->members, from + row->offset))
				return false;
			continue;
		}
		for (size_t i = 0; i < row->size; i++)
			if (from[row->offset + i])
				return false;
	}
	return true;
}

/* One function for each form; NULL leaves the member out. */

static json_t *encode_integer(const struct amon_schema *row, const char *from)
{
	int64_t integer = integer_at(row, from);

	return integer == row->usual ? NULL : json_integer(integer);
}

static json_t *encode_place(const struct amon_schema *row, const char *from)
{
	uint32_t place = *(const uint32_t *)(from + row->offset);

	return place == UINT32_MAX ? NULL : json_integer(place);
}

static json_t *encode_real(const struct amon_schema *row, const char *from)
{
	double real = *(const double *)(from + row->offset);

	if (isnan(real))
		return json_string("nan");
	if (isinf(real))
		return json_string(real > 0 ? "inf" : "-inf");
	return real == 0 && !signbit(real) ? NULL : json_real(real);
}

static json_t *encode_text(const struct amon_schema *row, const char *from)
{
	const char *text = pointer_at(row, from);

	return text && *text ? json_string(text) : NULL;
}

static json_t *encode_word(const struct amon_schema *row, const char *from)
{
	const char *word = row->words[*(const unsigned int *)(from + row->offset)];

	return word ? json_string(word) : NULL;
}

static json_t *encode_hex(const struct amon_schema *row, const char *from)
{
	static const char digits[] = "0123456789abcdef";
	const uint8_t *bytes = (const uint8_t *)from + row->offset;
	size_t length = row->size;
	char text[64];

	while (length && !bytes[length - 1])
		length--;
	for (size_t i = 0; i < length; i++) {
		text[2 * i] = digits[bytes[i] >> 4];
		text[2 * i + 1] = digits[bytes[i] & 15];
	}
	return length ? json_stringn(text, 2 * length) : NULL;
}

static json_t *encode_struct(const struct amon_schema *row, const char *from)
{
	from += row->offset;
	return is_zero(row->members, from) ? NULL : encode_members(row->members, from);
}

static json_t *encode_pointer(const struct amon_schema *row, const char *from)
{
	const char *target = pointer_at(row, from);

	return target ? encode_members(row->members, target) : NULL;
}

static json_t *encode_items(const struct amon_schema *row, const char *items, uint32_t count)
{
	json_t *array = json_array();

	for (uint32_t i = 0; i < count; i++)
		json_array_append_new(array, encode_members(row->members, items + i * row->size));
	return array;
}

static json_t *encode_array(const struct amon_schema *row, const char *from)
{
	uint32_t count = count_at(row, from);

	return count ? encode_items(row, pointer_at(row, from), count) : NULL;
}

static json_t *encode_inline(const struct amon_schema *row, const char *from)
{
	return encode_items(row, from + row->offset, count_at(row, from));
}

static json_t *encode_numbers(const struct amon_schema *row, const char *from)
{
	const int64_t *numbers = pointer_at(row, from);
	json_t *array;

	if (!numbers)
		return NULL;
	array = json_array();
	for (uint32_t i = 0; i < count_at(row, from); i++)
		json_array_append_new(array, json_integer(numbers[i]));
	return array;
}

static json_t *encode_aggregation(const struct amon_schema *row, const char *from)
{
	const struct amon_aggregation *aggregation = pointer_at(row, from);

	return aggregation ? json_string(aggregation->name) : NULL;
}

static json_t *(*const encoders[AMON_SCHEMA_FORMS])(const struct amon_schema *row, const char *from) = {
	[AMON_SCHEMA_INTEGER] = encode_integer,
	[AMON_SCHEMA_PLACE] = encode_place,
	[AMON_SCHEMA_REAL] = encode_real,
	[AMON_SCHEMA_TEXT] = encode_text,
	[AMON_SCHEMA_NAME] = encode_text,
	[AMON_SCHEMA_WORD] = encode_word,
	[AMON_SCHEMA_HEX] = encode_hex,
	[AMON_SCHEMA_STRUCT] = encode_struct,
	[AMON_SCHEMA_POINTER] = encode_pointer,
	[AMON_SCHEMA_ARRAY] = encode_array,
	[AMON_SCHEMA_INLINE] = encode_inline,
	[AMON_SCHEMA_NUMBERS] = encode_numbers,
	[AMON_SCHEMA_AGGREGATION] = encode_aggregation,
};

static void add_members(json_t *object, const struct amon_schema *rows, const char *from)
{
	const struct amon_schema *row;

	for (row = rows; row->key; row++) {
		json_t *member = encoders[row->form](row, from);

		if (member)
			json_object_set_new(object, row->key, member);
	}
}

static json_t *encode_members(const struct amon_schema *rows, const char *from)
{
	json_t *object = json_object();

	add_members(object, rows, from);
	return object;
}

char *amon_exports_encode(struct amon_arena *arena, const struct amon_exports *exports)
{
	json_t *root = json_object();
	char *text, *copy;

	json_object_set_new(root, "version", json_integer(AMON_EXPORTS_VERSION));
	add_members(root, amon_exports_schema, (const char *)exports);
	text = json_dumps(root, JSON_COMPACT);
	json_decref(root);
	/* As in the arena, running out of memory ends the process; what jansson refuses, the checker lets nobody write.
	 */
	if (!text)
		abort();
	copy = amon_arena_copy(arena, text, strlen(text));
	free(text);
	return copy;
}
