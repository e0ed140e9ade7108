/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AMON_JSON_STREAM_H
#define AMON_JSON_STREAM_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/**
 * JSON as it is written, piece by piece: documents may hold millions of rows, and natural numbers go up to 2^64 - 1.
 * `to` and `pretty` are set by who begins one.
 */
struct amon_json {
	FILE *to;
	bool pretty;
	unsigned int depth;
	bool empty; /* nothing stands yet in the object or array at hand */
};

void amon_json_open(struct amon_json *json, char bracket);
void amon_json_close(struct amon_json *json, char bracket);
/** Before each item of an array. */
void amon_json_item(struct amon_json *json);
/** Before each value of an object. */
void amon_json_key(struct amon_json *json, const char *key);

/** What is no UTF-8 (an interface's name may hold any bytes) becomes the replacement character. */
void amon_json_string(struct amon_json *json, const char *text);
void amon_json_natural(struct amon_json *json, uint64_t natural);
/** A number, `true`, `false` or `null`, as it stands. */
void amon_json_plain(struct amon_json *json, const char *text);
/** A key and a string. */
void amon_json_member(struct amon_json *json, const char *key, const char *text);

#endif
