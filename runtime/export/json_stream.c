/* SPDX-License-Identifier: Apache-2.0 */
#include "json_stream.h"

#include <inttypes.h>
#include <string.h>

#include "compiler/utf8.h"

static void put_line(struct amon_json *json)
{
	putc_unlocked('\n', json->to);
	for (unsigned int i = 0; i < json->depth; i++)
		fputs_unlocked("  ", json->to);
}

void amon_json_item(struct amon_json *json)
{
	if (!json->empty)
		putc_unlocked(',', json->to);
	if (json->pretty)
		put_line(json);
	json->empty = false;
}

void amon_json_open(struct amon_json *json, char bracket)
{
	putc_unlocked(bracket, json->to);
	json->depth++;
	json->empty = true;
}

void amon_json_close(struct amon_json *json, char bracket)
{
	json->depth--;
	if (json->pretty && !json->empty)
		put_line(json);
	putc_unlocked(bracket, json->to);
	json->empty = false;
}

static void put_escaped(struct amon_json *json, unsigned char byte)
{
	if (byte == '"' || byte == '\\')
		fprintf(json->to, "\\%c", byte);
	else if (byte < 0x20 || byte == 0x7f)
		fprintf(json->to, "\\u%04x", byte);
	else
		fputs_unlocked("\\ufffd", json->to);
}

void amon_json_string(struct amon_json *json, const char *text)
{
	size_t left = strlen(text);

	putc_unlocked('"', json->to);
	while (left) {
		size_t length = amon_utf8_length(text, left);
		unsigned char byte = (unsigned char)*text;

		if (!length || byte < 0x20 || byte == 0x7f || byte == '"' || byte == '\\') {
			put_escaped(json, byte);
			length = 1;
		} else {
			fwrite_unlocked(text, 1, length, json->to);
		}
		text += length;
		left -= length;
	}
	putc_unlocked('"', json->to);
}

void amon_json_key(struct amon_json *json, const char *key)
{
	amon_json_item(json);
	amon_json_string(json, key);
	fputs_unlocked(json->pretty ? ": " : ":", json->to);
}

void amon_json_member(struct amon_json *json, const char *key, const char *text)
{
	amon_json_key(json, key);
	amon_json_string(json, text);
}

void amon_json_natural(struct amon_json *json, uint64_t natural)
{
	fprintf(json->to, "%" PRIu64, natural);
}

void amon_json_plain(struct amon_json *json, const char *text)
{
	fputs_unlocked(text, json->to);
}
