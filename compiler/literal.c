/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "compiler/parse.h"
#include "compiler/utf8.h"

/* As many digits as keep digits times unit inside 128 bits. */
#define DIGITS_MAX 24

struct unit {
	const char *suffix;
	enum amon_syntax_kind kind;
	uint64_t factor;
};

static const struct unit units[] = {
	{ "", AMON_SYNTAX_INTEGER, 1 },
	{ "k", AMON_SYNTAX_INTEGER, 1000 },
	{ "M", AMON_SYNTAX_INTEGER, 1000000 },
	{ "G", AMON_SYNTAX_INTEGER, 1000000000 },
	{ "Ki", AMON_SYNTAX_INTEGER, 1ull << 10 },
	{ "Mi", AMON_SYNTAX_INTEGER, 1ull << 20 },
	{ "Gi", AMON_SYNTAX_INTEGER, 1ull << 30 },
	{ "ns", AMON_SYNTAX_DURATION, 1 },
	{ "us", AMON_SYNTAX_DURATION, 1000 },
	{ "ms", AMON_SYNTAX_DURATION, 1000000 },
	{ "s", AMON_SYNTAX_DURATION, 1000000000 },
	{ "min", AMON_SYNTAX_DURATION, 60 * 1000000000ull },
	{ "h", AMON_SYNTAX_DURATION, 3600 * 1000000000ull },
	{ "d", AMON_SYNTAX_DURATION, 86400 * 1000000000ull },
	{ "B", AMON_SYNTAX_BYTES, 1 },
	{ "KiB", AMON_SYNTAX_BYTES, 1ull << 10 },
	{ "MiB", AMON_SYNTAX_BYTES, 1ull << 20 },
	{ "GiB", AMON_SYNTAX_BYTES, 1ull << 30 },
};

/* What engineers write elsewhere, and what it is here. */
static const struct {
	const char *suffix, *ours;
} aliases[] = {
	{ "K", "k` (1000) or `Ki` (1024)" },
	{ "KB", "KiB" },
	{ "kB", "KiB" },
	{ "MB", "MiB" },
	{ "GB", "GiB" },
	{ "b", "B` (bytes)" },
	{ "sec", "s" },
	{ "secs", "s" },
	{ "second", "s" },
	{ "seconds", "s" },
	{ "minute", "min" },
	{ "minutes", "min" },
	{ "mins", "min" },
	{ "hour", "h" },
	{ "hours", "h" },
	{ "hr", "h" },
	{ "day", "d" },
	{ "days", "d" },
	{ "msec", "ms" },
	{ "usec", "us" },
	{ "nsec", "ns" },
};

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

/* A number as it is written: digits with a power of ten, then a suffix. */
struct written {
	unsigned __int128 digits;
	bool too_long, fraction;
	int exponent;
	const char *suffix;
};

static bool too_big(unsigned __int128 value)
{
	return value > UINT64_MAX;
}

static void add_digit(struct written *number, char digit)
{
	static const unsigned __int128 limit = (unsigned __int128)1000000000000ull * 1000000000000ull;
	if (number->digits >= limit / 10)
		number->too_long = true;
	else
		number->digits = number->digits * 10 + (unsigned int)(digit - '0');
}

/* Also passes over the `_` between digits. */
static const char *read_digits(struct written *number, const char *text)
{
	int fraction = number->fraction ? 1 : 0;
	for (; isdigit((unsigned char)*text) || (*text == '_' && isdigit((unsigned char)text[1])); text++) {
		if (*text == '_')
			continue;
		add_digit(number, *text);
		number->exponent -= fraction;
	}
	return text;
}

static struct written read_number(const char *text)
{
	struct written number = { 0 };
	text = read_digits(&number, text);
	if (*text == '.') {
		number.fraction = true;
		text = read_digits(&number, text + 1);
	}
	bool is_signed = (*text == 'e' || *text == 'E') && (text[1] == '-' || text[1] == '+');
	if ((*text == 'e' || *text == 'E') && isdigit((unsigned char)text[is_signed ? 2 : 1])) {
		char *end;
		long exponent = strtol(text + 1, &end, 10);
		number.exponent += exponent > 1000 ? 1000 : exponent < -1000 ? -1000 : (int)exponent;
		text = end;
	}
	number.suffix = text;
	return number;
}

/* Puts digits * factor * 10^exponent into *value. Returns NULL, or what is wrong. */
static const char *scale(const struct written *number, uint64_t factor, uint64_t limit, uint64_t *value)
{
	unsigned __int128 result = number->digits * factor;
	if (number->too_long)
		return number->fraction ? "has too many digits" : "does not fit";
	for (int i = number->exponent; i > 0 && result != 0 && !too_big(result); i--)
		result *= 10;
	for (int i = number->exponent; i < 0 && result != 0; i++) {
		if (result % 10)
			return "is no whole number";
		result /= 10;
	}
	if (result > limit)
		return "does not fit";
	*value = (uint64_t)result;
	return NULL;
}

static struct amon_diagnostic *complain(struct amon_parser *parser, const struct amon_syntax *literal, const char *what)
{
	struct amon_range range = { literal->span.start, literal->span.end };
	return amon_error(parser->diagnostics, literal->span, "%s %s", amon_quote(parser, range), what);
}

static const struct unit *find_unit(const char *suffix)
{
	for (size_t i = 0; i < COUNT(units); i++)
		if (strcmp(units[i].suffix, suffix) == 0)
			return &units[i];
	return NULL;
}

/* Parsing goes on with what was most likely meant. */
static const struct unit *guess_unit(struct amon_parser *parser, const struct amon_syntax *literal, const char *suffix)
{
	const char *ours = NULL;
	if (strcmp(suffix, "m") == 0) {
		int length = (int)(literal->span.end - literal->span.start) - 1;
		const char *text = parser->source->text + literal->span.start;
		complain(parser, literal, "could be minutes or milliseconds")->suggestion =
		        amon_arena_printf(parser->arena, "write `%.*smin` or `%.*sms`", length, text, length, text);
		return find_unit("min");
	}
	struct amon_diagnostic *error = amon_error(parser->diagnostics, literal->span, "unknown unit `%.20s`", suffix);
	for (size_t i = 0; i < COUNT(aliases) && !ours; i++)
		if (strcmp(aliases[i].suffix, suffix) == 0)
			ours = aliases[i].ours;
	error->suggestion = ours ? amon_arena_printf(parser->arena, "write `%s%s", ours, strchr(ours, '`') ? "" : "`")
	                         : "units are ns us ms s min h d, B KiB MiB GiB, k M G, Ki Mi Gi and %";
	const struct unit *unit = ours ? find_unit(ours) : NULL;
	return unit ? unit : &units[0];
}

/* For strtod(), which knows no `_`. */
static double read_decimal(struct amon_parser *parser, const char *text)
{
	char *digits = amon_arena_alloc(parser->arena, strlen(text) + 1);
	size_t length = 0;
	for (; *text; text++)
		if (*text != '_')
			digits[length++] = *text;
	return strtod(digits, NULL);
}

static void set_decimal(struct amon_parser *parser, struct amon_syntax *literal, const char *text)
{
	literal->decimal = read_decimal(parser, text) / (literal->kind == AMON_SYNTAX_PERCENT ? 100 : 1);
	if (!isfinite(literal->decimal)) {
		complain(parser, literal, "does not fit");
		literal->decimal = 0;
	}
}

static void set_hexadecimal(struct amon_parser *parser, struct amon_syntax *literal, const char *text)
{
	uint64_t value = 0;
	bool fits = true, valid = text[2] != '\0';
	for (text += 2; *text && valid; text++) {
		if (*text == '_' && text[1] != '_' && text[1] != '\0')
			continue;
		valid = isxdigit((unsigned char)*text);
		fits = fits && value >> 60 == 0;
		value = value << 4 |
		        (isdigit((unsigned char)*text) ? *text - '0' : tolower((unsigned char)*text) - 'a' + 10);
	}
	if (!valid)
		complain(parser, literal, "is no hexadecimal number");
	else if (!fits)
		complain(parser, literal, "does not fit in 64 bits");
	literal->integer = valid && fits ? (int64_t)value : 0;
}

/* Integers keep 64 bits; what has a unit is signed, so that times and sizes can be subtracted. */
static void set_integer(struct amon_parser *parser, struct amon_syntax *literal, const struct written *number)
{
	const struct unit *unit = find_unit(number->suffix);
	uint64_t value = 0;
	if (!unit)
		unit = guess_unit(parser, literal, number->suffix);
	literal->kind = unit->kind;
	const char *wrong =
	        scale(number, unit->factor, unit->kind == AMON_SYNTAX_INTEGER ? UINT64_MAX : INT64_MAX, &value);
	if (wrong && strcmp(wrong, "does not fit") == 0)
		complain(parser, literal, "does not fit in 64 bits");
	else if (wrong && unit->kind == AMON_SYNTAX_DURATION)
		complain(parser, literal, "is no whole number of nanoseconds");
	else if (wrong && unit->kind == AMON_SYNTAX_BYTES)
		complain(parser, literal, "is no whole number of bytes");
	else if (wrong)
		complain(parser, literal, wrong);
	literal->integer = (int64_t)value;
}

struct amon_syntax *amon_literal_number(struct amon_parser *parser, struct amon_range range, const char *text)
{
	struct amon_syntax *literal = amon_syntax_new(parser, AMON_SYNTAX_INTEGER, range);
	if (text[0] == '0' && (text[1] == 'x' || text[1] == 'X')) {
		set_hexadecimal(parser, literal, text);
		return literal;
	}
	struct written number = read_number(text);
	if (strcmp(number.suffix, "%") == 0)
		literal->kind = AMON_SYNTAX_PERCENT;
	else if (*number.suffix == '\0' && (number.fraction || number.exponent < 0))
		literal->kind = AMON_SYNTAX_DECIMAL;
	if (literal->kind == AMON_SYNTAX_INTEGER)
		set_integer(parser, literal, &number);
	else
		set_decimal(parser, literal, text);
	return literal;
}

struct family {
	const char *name;
	uint8_t bits;
};

static const struct family families[] = {
	[AMON_ADDRESS_IPV4] = { "an IPv4 address", 32 },
	[AMON_ADDRESS_IPV6] = { "an IPv6 address", 128 },
	[AMON_ADDRESS_MAC] = { "a MAC address", 48 },
};

/* Six groups are a MAC address (an IPv6 address has eight, or `::`). */
static enum amon_address_family family_of(const char *text)
{
	int colons = 0;
	for (const char *c = text; *c; c++)
		colons += *c == ':';
	if (colons == 0)
		return AMON_ADDRESS_IPV4;
	return colons == 5 && !strstr(text, "::") && !strchr(text, '.') ? AMON_ADDRESS_MAC : AMON_ADDRESS_IPV6;
}

static bool read_mac(const char *text, uint8_t *bytes)
{
	for (int i = 0; i < 6; i++, text += 3) {
		char byte[3] = { text[0], text[0] ? text[1] : '\0', '\0' };
		if (!isxdigit((unsigned char)byte[0]) || !isxdigit((unsigned char)byte[1]) ||
		    text[2] != (i < 5 ? ':' : '\0'))
			return false;
		bytes[i] = (uint8_t)strtoul(byte, NULL, 16);
	}
	return true;
}

static bool read_address(struct amon_address *address, const char *text)
{
	if (address->family == AMON_ADDRESS_MAC)
		return read_mac(text, address->bytes);
	return inet_pton(address->family == AMON_ADDRESS_IPV4 ? AF_INET : AF_INET6, text, address->bytes) == 1;
}

static void set_prefix(struct amon_parser *parser, struct amon_syntax *literal, const char *digits)
{
	const struct family *family = &families[literal->address.family];
	literal->address.has_prefix = true;
	if (strlen(digits) <= 3 && strtoul(digits, NULL, 10) <= family->bits)
		literal->address.prefix = (uint8_t)strtoul(digits, NULL, 10);
	else
		amon_error(parser->diagnostics, literal->span, "a prefix of %s has at most %u bits", family->name,
		           family->bits);
}

struct amon_syntax *amon_literal_address(struct amon_parser *parser, struct amon_range range, const char *text)
{
	struct amon_syntax *literal = amon_syntax_new(parser, AMON_SYNTAX_ADDRESS, range);
	size_t length = strcspn(text, "/");
	const char *address = amon_arena_copy(parser->arena, text, length);
	literal->address.family = family_of(address);
	literal->address.prefix = families[literal->address.family].bits;
	if (!read_address(&literal->address, address))
		complain(parser, literal,
		         amon_arena_printf(parser->arena, "is not %s", families[literal->address.family].name));
	if (text[length] == '/')
		set_prefix(parser, literal, text + length + 1);
	return literal;
}

/* The byte that the escape behind a backslash means, or -1; how many bytes it takes is put into *length. */
static int escape(const char *text, size_t left, size_t *length)
{
	static const char letters[] = "\"\\nt", meanings[] = "\"\\\n\t";
	*length = 1;
	if (left >= 3 && text[0] == 'x' && isxdigit((unsigned char)text[1]) && isxdigit((unsigned char)text[2])) {
		char digits[] = { text[1], text[2], '\0' };
		*length = 3;
		int byte = (int)strtoul(digits, NULL, 16);
		return byte ? byte : -1;
	}
	const char *letter = text[0] ? strchr(letters, text[0]) : NULL;
	return letter ? meanings[letter - letters] : -1;
}

static void wrong_escape(struct amon_parser *parser, struct amon_range string, size_t offset, size_t length)
{
	uint32_t start = string.start + 1 + (uint32_t)offset;
	struct amon_range range = { start, start + 1 + (uint32_t)length };
	amon_error(parser->diagnostics, amon_span_of(parser, range), "unknown escape in a string")->suggestion =
	        "escapes are \\\" \\\\ \\n \\t and \\x01 to \\xff";
}

static bool is_utf8(const char *text, size_t length)
{
	while (length > 0) {
		size_t step = amon_utf8_length(text, length);
		if (step == 0)
			return false;
		text += step;
		length -= step;
	}
	return true;
}

struct amon_name amon_literal_string(struct amon_parser *parser, struct amon_range range, const char *text,
                                     size_t length)
{
	struct amon_name content = amon_name_new(parser, range, text, length);
	char *out = amon_arena_copy(parser->arena, text, length);
	size_t used = 0, step;
	bool raw_utf8 = is_utf8(text, length);

	content.text = out;
	for (size_t i = 0; i < length; i += step) {
		step = 1;
		int byte = (unsigned char)text[i];
		if (byte == '\\') {
			byte = escape(text + i + 1, length - i - 1, &step);
			if (byte < 0)
				wrong_escape(parser, range, i, step);
			step++;
		}
		if (byte > 0)
			out[used++] = (char)byte;
	}
	out[used] = '\0';
	if (raw_utf8 && !is_utf8(out, used))
		amon_error(parser->diagnostics, content.span, "the escapes in this string make no UTF-8 text");
	return content;
}
