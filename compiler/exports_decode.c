/* SPDX-License-Identifier: Apache-2.0 */
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "exports_schema.h"

struct decoder {
	struct amon_arena *arena;
	const char *error;
};

static bool decode_members(struct decoder *decoder, const struct amon_schema *rows, const json_t *object, char *into,
                           size_t others);

static bool refuse(struct decoder *decoder, const char *key, const char *why)
{
	decoder->error = amon_arena_printf(decoder->arena, "the export table's \"%s\" %s", key, why);
	return false;
}

/* One function for each form; `json` is NULL where the member is not there, and `into` is zeroed. */

static bool decode_integer(struct decoder *decoder, const struct amon_schema *row, const json_t *json, char *into)
{
	int64_t integer = json ? json_integer_value(json) : row->usual;

	if ((json && !json_is_integer(json)) || integer < row->low || integer > row->high)
		return refuse(decoder, row->key, "is not a number in its range");
	into += row->offset;
	if (row->size == 8)
		*(int64_t *)(void *)into = integer;
	else if (row->size == 4)
		*(uint32_t *)(void *)into = (uint32_t)integer;
	else
		*(uint8_t *)into = (uint8_t)integer;
	return true;
}

static bool decode_place(struct decoder *decoder, const struct amon_schema *row, const json_t *json, char *into)
{
	int64_t integer = json ? json_integer_value(json) : UINT32_MAX;

	if (json && (!json_is_integer(json) || integer < 0 || integer >= UINT32_MAX))
		return refuse(decoder, row->key, "is not an offset");
	*(uint32_t *)(void *)(into + row->offset) = (uint32_t)integer;
	return true;
}

static bool decode_real(struct decoder *decoder, const struct amon_schema *row, const json_t *json, char *into)
{
	static const struct {
		const char *word;
		double real;
	} words[] = { { "inf", INFINITY }, { "-inf", -INFINITY }, { "nan", NAN } };
	double *real = (double *)(void *)(into + row->offset);

	*real = json_number_value(json);
	if (!json || json_is_number(json))
		return true;
	for (size_t i = 0; json_is_string(json) && i < sizeof(words) / sizeof(*words); i++) {
		if (!strcmp(json_string_value(json), words[i].word)) {
			*real = words[i].real;
			return true;
		}
	}
	return refuse(decoder, row->key, "is not a number");
}

static bool decode_name(struct decoder *decoder, const struct amon_schema *row, const json_t *json, char *into)
{
	if (!json)
		return true;
	if (!json_is_string(json))
		return refuse(decoder, row->key, "is not a string");
	*(const char **)(void *)(into + row->offset) =
	        amon_arena_copy(decoder->arena, json_string_value(json), json_string_length(json));
	return true;
}

static bool decode_text(struct decoder *decoder, const struct amon_schema *row, const json_t *json, char *into)
{
	*(const char **)(void *)(into + row->offset) = "";
	return decode_name(decoder, row, json, into);
}

static bool decode_word(struct decoder *decoder, const struct amon_schema *row, const json_t *json, char *into)
{
	const char *word = json_string_value(json);

	if (!json && !row->words[0])
		return true;
	for (unsigned int i = 0; word && i < row->high; i++) {
		if (row->words[i] && !strcmp(row->words[i], word)) {
			*(unsigned int *)(void *)(into + row->offset) = i;
			return true;
		}
	}
	return refuse(decoder, row->key, json ? "is none of its words" : "is missing");
}

static int hex_digit(char digit)
{
	static const char digits[] = "0123456789abcdef";
	const char *at = digit ? strchr(digits, digit) : NULL;

	return at ? (int)(at - digits) : -1;
}

static bool decode_hex(struct decoder *decoder, const struct amon_schema *row, const json_t *json, char *into)
{
	const char *text = json_string_value(json);
	size_t length = json_string_length(json);

	if (!json)
		return true;
	if (!text || length % 2 || length / 2 > row->size)
		return refuse(decoder, row->key, "is not a string of hexadecimal digits");
	for (size_t i = 0; i < length / 2; i++) {
		int high = hex_digit(text[2 * i]), low = hex_digit(text[2 * i + 1]);

		if (high < 0 || low < 0)
			return refuse(decoder, row->key, "is not a string of hexadecimal digits");
		into[row->offset + i] = (char)(high << 4 | low);
	}
	return true;
}

static bool decode_struct(struct decoder *decoder, const struct amon_schema *row, const json_t *json, char *into)
{
	return !json || decode_members(decoder, row->members, json, into + row->offset, 0);
}

static bool decode_pointer(struct decoder *decoder, const struct amon_schema *row, const json_t *json, char *into)
{
	char *target;

	if (!json)
		return true;
	target = amon_arena_alloc(decoder->arena, row->size);
	*(char **)(void *)(into + row->offset) = target;
	return decode_members(decoder, row->members, json, target, 0);
}

static bool check_array(struct decoder *decoder, const struct amon_schema *row, const json_t *json)
{
	if (!json_is_array(json) || json_array_size(json) > (size_t)row->high)
		return refuse(decoder, row->key, "is not an array, or too long");
	return true;
}

static bool decode_items(struct decoder *decoder, const struct amon_schema *row, const json_t *json, char *items)
{
	for (size_t i = 0; i < json_array_size(json); i++)
		if (!decode_members(decoder, row->members, json_array_get(json, i), items + i * row->size, 0))
			return false;
	return true;
}

static bool decode_array(struct decoder *decoder, const struct amon_schema *row, const json_t *json, char *into)
{
	size_t count = json_array_size(json);
	char *items;

	if (!json)
		return true;
	if (!check_array(decoder, row, json))
		return false;
	items = amon_arena_alloc(decoder->arena, row->size * count);
	*(char **)(void *)(into + row->offset) = items;
	*(uint32_t *)(void *)(into + row->count) = (uint32_t)count;
	return decode_items(decoder, row, json, items);
}

static bool decode_inline(struct decoder *decoder, const struct amon_schema *row, const json_t *json, char *into)
{
	if (!json)
		return true;
	if (!check_array(decoder, row, json))
		return false;
	*(uint32_t *)(void *)(into + row->count) = (uint32_t)json_array_size(json);
	return decode_items(decoder, row, json, into + row->offset);
}

static bool decode_numbers(struct decoder *decoder, const struct amon_schema *row, const json_t *json, char *into)
{
	size_t count = json_array_size(json);
	int64_t *numbers;

	if (!json)
		return true;
	if (!check_array(decoder, row, json))
		return false;
	numbers = amon_new_array(decoder->arena, int64_t, count);
	for (size_t i = 0; i < count; i++) {
		if (!json_is_integer(json_array_get(json, i)))
			return refuse(decoder, row->key, "holds what is not a number");
		numbers[i] = json_integer_value(json_array_get(json, i));
	}
	*(const int64_t **)(void *)(into + row->offset) = numbers;
	*(uint32_t *)(void *)(into + row->count) = (uint32_t)count;
	return true;
}

static bool decode_aggregation(struct decoder *decoder, const struct amon_schema *row, const json_t *json, char *into)
{
	const struct amon_aggregation *aggregation;

	if (!json)
		return true;
	aggregation = json_is_string(json) ? amon_aggregation_exported(json_string_value(json)) : NULL;
	if (!aggregation)
		return refuse(decoder, row->key, "is no aggregation that this program knows");
	*(const struct amon_aggregation **)(void *)(into + row->offset) = aggregation;
	return true;
}

static bool (*const decoders[AMON_SCHEMA_FORMS])(struct decoder *decoder, const struct amon_schema *row,
                                                 const json_t *json, char *into) = {
	[AMON_SCHEMA_INTEGER] = decode_integer,
	[AMON_SCHEMA_PLACE] = decode_place,
	[AMON_SCHEMA_REAL] = decode_real,
	[AMON_SCHEMA_TEXT] = decode_text,
	[AMON_SCHEMA_NAME] = decode_name,
	[AMON_SCHEMA_WORD] = decode_word,
	[AMON_SCHEMA_HEX] = decode_hex,
	[AMON_SCHEMA_STRUCT] = decode_struct,
	[AMON_SCHEMA_POINTER] = decode_pointer,
	[AMON_SCHEMA_ARRAY] = decode_array,
	[AMON_SCHEMA_INLINE] = decode_inline,
	[AMON_SCHEMA_NUMBERS] = decode_numbers,
	[AMON_SCHEMA_AGGREGATION] = decode_aggregation,
};

/* `others` members of the object are not in the rows. */
static bool decode_members(struct decoder *decoder, const struct amon_schema *rows, const json_t *object, char *into,
                           size_t others)
{
	const struct amon_schema *row;
	size_t known = others;

	if (!json_is_object(object)) {
		decoder->error = "the export table holds something else where an object belongs";
		return false;
	}
	for (row = rows; row->key; row++) {
		const json_t *member = json_object_get(object, row->key);

		known += !!member;
		if (!decoders[row->form](decoder, row, member, into))
			return false;
	}
	if (known == json_object_size(object))
		return true;
	decoder->error = "the export table has members that this program does not know";
	return false;
}

static bool decode_root(struct decoder *decoder, const json_t *root, struct amon_exports *exports)
{
	const json_t *version = json_object_get(root, "version");

	if (!json_is_integer(version) || json_integer_value(version) != AMON_EXPORTS_VERSION) {
		decoder->error = amon_arena_printf(
		        decoder->arena, "the export table is not of version %d: build it again", AMON_EXPORTS_VERSION);
		return false;
	}
	if (!decode_members(decoder, amon_exports_schema, root, (char *)exports, 1))
		return false;
	decoder->error = amon_exports_validate(decoder->arena, exports);
	return !decoder->error;
}

struct amon_exports *amon_exports_decode(struct amon_arena *arena, const char *json, size_t length, const char **error)
{
	struct amon_exports *exports = amon_new(arena, struct amon_exports);
	struct decoder decoder = { .arena = arena };
	json_error_t problem;
	json_t *root = json_loadb(json, length, JSON_REJECT_DUPLICATES, &problem);
	bool good;

	if (!root) {
		*error = amon_arena_printf(arena, "the export table is not JSON: %s", problem.text);
		return NULL;
	}
	good = decode_root(&decoder, root, exports);
	json_decref(root);
	*error = decoder.error;
	return good ? exports : NULL;
}
