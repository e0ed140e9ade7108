/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "compiler/utf8.h"
#include "export.h"

static void mac_text(const uint8_t *bytes, char *text)
{
	for (int i = 0; i < 6; i++)
		text += sprintf(text, i ? ":%02x" : "%02x", bytes[i]);
}

void amon_address_text(const struct amon_address *address, char text[AMON_TEXT_MAX])
{
	if (address->family == AMON_ADDRESS_MAC)
		mac_text(address->bytes, text);
	else
		inet_ntop(address->family == AMON_ADDRESS_IPV4 ? AF_INET : AF_INET6, address->bytes, text,
		          INET6_ADDRSTRLEN);
	if (address->has_prefix)
		sprintf(text + strlen(text), "/%u", address->prefix);
}

/* Seventeen digits always read back, most numbers need fewer; ".0" keeps a real from looking like an integer. */
void amon_real_text(double real, char text[AMON_TEXT_MAX])
{
	for (int digits = 15; digits <= 17; digits++) {
		snprintf(text, AMON_TEXT_MAX, "%.*g", digits, real);
		if (strtod(text, NULL) == real)
			break;
	}
	if (!strpbrk(text, ".e"))
		strcat(text, ".0");
}

void amon_time_text(uint64_t nanoseconds, unsigned int digits, char text[AMON_TEXT_MAX])
{
	time_t seconds = (time_t)(nanoseconds / 1000000000);
	char fraction[16];
	struct tm day;
	size_t length;

	gmtime_r(&seconds, &day);
	length = strftime(text, AMON_TEXT_MAX, "%Y-%m-%dT%H:%M:%S", &day);
	snprintf(fraction, sizeof(fraction), "%09u", (unsigned int)(nanoseconds % 1000000000));
	sprintf(text + length, ".%.*sZ", (int)digits, fraction);
}

void amon_cell_text(const struct amon_cell *cell, char text[AMON_TEXT_MAX])
{
	switch (cell->kind) {
	case AMON_CELL_NULL:
	case AMON_CELL_HISTOGRAM:
		*text = '\0';
		break;
	case AMON_CELL_BOOL:
		strcpy(text, cell->boolean ? "true" : "false");
		break;
	case AMON_CELL_SIGNED:
		snprintf(text, AMON_TEXT_MAX, "%" PRId64, cell->integer);
		break;
	case AMON_CELL_UNSIGNED:
		snprintf(text, AMON_TEXT_MAX, "%" PRIu64, cell->natural);
		break;
	case AMON_CELL_REAL:
		amon_real_text(cell->real, text);
		break;
	case AMON_CELL_ADDRESS:
		amon_address_text(&cell->address, text);
		break;
	case AMON_CELL_TIME:
		amon_time_text(cell->time, 9, text);
		break;
	case AMON_CELL_WORD:
		snprintf(text, AMON_TEXT_MAX, "%s", cell->word);
		break;
	}
}

void amon_edge_text(const struct amon_histogram_cell *histogram, const struct amon_bucket_cell *bucket,
                    char text[AMON_TEXT_MAX])
{
	if (histogram->converted)
		amon_real_text(bucket->le_real, text);
	else if (histogram->is_signed)
		snprintf(text, AMON_TEXT_MAX, "%" PRId64, (int64_t)bucket->le);
	else
		snprintf(text, AMON_TEXT_MAX, "%" PRIu64, bucket->le);
}

/* --- any bytes */

#define REPLACEMENT "\xef\xbf\xbd"

static bool is_noncharacter(const char *text, size_t length)
{
	return length == 3 && (!memcmp(text, "\xef\xbf\xbe", 3) || !memcmp(text, "\xef\xbf\xbf", 3));
}

const char *amon_character(const char **text, size_t *length)
{
	const char *at = *text;
	unsigned char byte = (unsigned char)*at;

	*length = amon_utf8_length(at, strnlen(at, 4));
	*text += *length ? *length : byte != '\0';
	if (byte && (!*length || byte < 0x20 || byte == 0x7f || is_noncharacter(at, *length))) {
		*length = strlen(REPLACEMENT);
		return REPLACEMENT;
	}
	return at;
}

static bool is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

char *amon_identifier(struct amon_arena *arena, const char *name, const char *also)
{
	char *text = amon_arena_alloc(arena, strlen(name) + 2), *to = text;
	size_t length;

	if (!is_letter(*name))
		*to++ = '_';
	while (*name) {
		const char *character = amon_character(&name, &length);
		bool digit = *character >= '0' && *character <= '9';

		*to++ = is_letter(*character) || digit || strchr(also, *character) ? *character : '_';
	}
	return text;
}
