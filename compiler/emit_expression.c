/* SPDX-License-Identifier: Apache-2.0 */
#include "emit_expression.h"

#include <stdarg.h>
#include <string.h>

#include "arena.h"

/* C's precedences, as far as they are needed. */
enum {
	BINDS_CHOICE = 2,
	BINDS_OR,
	BINDS_AND,
	BINDS_BIT_OR,
	BINDS_BIT_XOR,
	BINDS_BIT_AND,
	BINDS_EQ,
	BINDS_LESS,
	BINDS_SHIFT,
	BINDS_ADD,
	BINDS_MULTIPLY,
	BINDS_UNARY,
	BINDS_PRIMARY
};

#define LONG_TEXT 400

#define ALWAYS ((struct amon_c){ NULL, BINDS_PRIMARY })

void amon_write(const struct amon_writer *w, const char *format, ...)
{
	va_list arguments;

	for (int i = 0; i < w->indent; i++)
		fputc('\t', w->out);
	va_start(arguments, format);
	vfprintf(w->out, format, arguments);
	va_end(arguments);
}

__attribute__((format(printf, 3, 4))) static struct amon_c c(struct amon_writer *w, int binds, const char *format, ...)
{
	va_list arguments;
	struct amon_c result = { .binds = binds };

	va_start(arguments, format);
	result.text = amon_arena_vprintf(w->arena, format, arguments);
	va_end(arguments);
	return result;
}

static const char *in_parentheses(struct amon_writer *w, struct amon_c a, bool needed)
{
	return needed ? amon_arena_printf(w->arena, "(%s)", a.text) : a.text;
}

const char *amon_c_tight(struct amon_writer *w, struct amon_c a)
{
	return in_parentheses(w, a, a.binds < BINDS_UNARY);
}

/* An operand: what binds less goes into parentheses, and what clang would warn about. */
static const char *operand(struct amon_writer *w, struct amon_c a, int binds)
{
	bool needed = a.binds <= binds;

	if ((binds == BINDS_AND || binds == BINDS_OR) && a.binds >= BINDS_EQ)
		needed = false;
	else if (binds == a.binds && (binds == BINDS_AND || binds == BINDS_OR))
		needed = false;
	else if (a.binds < BINDS_UNARY && !(binds <= BINDS_LESS && binds >= BINDS_EQ && a.binds >= BINDS_ADD))
		needed = true;
	return in_parentheses(w, a, needed);
}

static struct amon_c binary(struct amon_writer *w, struct amon_c a, const char *op, int binds, struct amon_c b)
{
	return c(w, binds, "%s %s %s", operand(w, a, binds), op, operand(w, b, binds));
}

struct amon_c amon_c_bit(struct amon_writer *w, const char *word, const char *bit)
{
	return c(w, BINDS_BIT_AND, "%s & %s", word, bit);
}

/* Two operands of one layer ask for it once. */
static bool asks_already(struct amon_writer *w, struct amon_c a, struct amon_c b)
{
	return !strcmp(a.text, b.text) || (a.binds == BINDS_AND && !strncmp(b.text, "p->layers &", 11) &&
	                                   strstr(a.text, amon_arena_printf(w->arena, "(%s)", b.text)) == a.text);
}

struct amon_c amon_c_and(struct amon_writer *w, struct amon_c a, struct amon_c b)
{
	if (!a.text)
		return b;
	if (!b.text || asks_already(w, a, b))
		return a;
	return binary(w, a, "&&", BINDS_AND, b);
}

/* --- what is known */

static void learn_layers(struct amon_writer *w, uint32_t mask)
{
	uint32_t below = 0;

	if (!mask || w->known_count == AMON_MAX_KNOWN)
		return;
	w->known[w->known_count++] = mask;
	for (int layer = 0; layer < AMON_LAYER_COUNT; layer++) {
		if (!(mask & AMON_LAYER_BIT(layer)))
			continue;
		if (!amon_layer_below(layer))
			return;
		below |= amon_layer_below(layer);
	}
	learn_layers(w, below);
}

static const char *slice_member(struct amon_writer *w, const struct amon_value *value)
{
	return amon_arena_printf(w->arena, "%.3s_payload_%u_%u", value->payload->name, value->offset, value->width);
}

void amon_c_learn_present(struct amon_writer *w, const struct amon_value *value)
{
	if (!value)
		return;
	switch (value->kind) {
	case AMON_VALUE_FIELD:
		learn_layers(w, value->field->layers);
		break;
	case AMON_VALUE_SLICE:
		learn_layers(w, AMON_LAYER_BIT(value->payload->layer));
		if (w->is_known_count < AMON_MAX_KNOWN)
			w->is_known[w->is_known_count++] = slice_member(w, value);
		break;
	case AMON_VALUE_UNARY:
		if (value->op != AMON_OP_NOT)
			amon_c_learn_present(w, value->left);
		break;
	case AMON_VALUE_BINARY:
		if (value->type.base == AMON_BASE_BOOL)
			break; /* a condition always has a value */
		               /* fall through */
	case AMON_VALUE_CAST:
	case AMON_VALUE_ABS:
	case AMON_VALUE_MIN:
	case AMON_VALUE_MAX:
	case AMON_VALUE_PREFIX:
		amon_c_learn_present(w, value->left);
		amon_c_learn_present(w, value->right);
		break;
	default:
		break;
	}
}

void amon_c_learn(struct amon_writer *w, const struct amon_value *value)
{
	if (!value)
		return;
	switch (value->kind) {
	case AMON_VALUE_PROTOCOL:
		learn_layers(w, value->layers);
		break;
	case AMON_VALUE_FIELD:
	case AMON_VALUE_IN:
	case AMON_VALUE_PRESENT:
		amon_c_learn_present(w, value->kind == AMON_VALUE_FIELD ? value : value->left);
		break;
	case AMON_VALUE_BINARY:
		if (value->op == AMON_OP_AND) {
			amon_c_learn(w, value->left);
			amon_c_learn(w, value->right);
		} else if (value->op != AMON_OP_OR) {
			amon_c_learn_present(w, value->left);
			amon_c_learn_present(w, value->right);
		}
		break;
	default:
		break;
	}
}

static bool is_known(const struct amon_writer *w, uint32_t mask)
{
	for (uint32_t i = 0; i < w->known_count; i++)
		if (!(w->known[i] & ~mask))
			return true;
	return false;
}

/* Any of the layers is there; ALWAYS where that is known. */
static struct amon_c layers_there(struct amon_writer *w, uint32_t mask)
{
	const char *names = NULL;
	int count = 0;

	if (!mask || is_known(w, mask))
		return ALWAYS;
	for (int layer = 0; layer < AMON_LAYER_COUNT; layer++)
		if (mask & AMON_LAYER_BIT(layer)) {
			names = names ? amon_arena_printf(w->arena, "%s | %s", names, amon_layer_name(layer))
			              : amon_layer_name(layer);
			count++;
		}
	return c(w, BINDS_BIT_AND, count > 1 ? "p->layers & (%s)" : "p->layers & %s", names);
}

static struct amon_c slice_there(struct amon_writer *w, const char *member)
{
	for (uint32_t i = 0; i < w->is_known_count; i++)
		if (!strcmp(w->is_known[i], member))
			return ALWAYS;
	return c(w, BINDS_PRIMARY, "p->has_%s", member);
}

/* --- numbers */

struct amon_c amon_c_number(struct amon_writer *w, int64_t value)
{
	if (value == INT64_MIN)
		return c(w, BINDS_PRIMARY, "(-9223372036854775807ll - 1)");
	if (value > INT32_MAX || value < -INT32_MAX)
		return c(w, value < 0 ? BINDS_UNARY : BINDS_PRIMARY, "%lldll", (long long)value);
	return c(w, value < 0 ? BINDS_UNARY : BINDS_PRIMARY, "%lld", (long long)value);
}

static uint32_t width_of(uint64_t value)
{
	return value ? 64 - __builtin_clzll(value) : 0;
}

static uint32_t larger(uint32_t a, uint32_t b)
{
	return a > b ? a : b;
}

/* Bits of the largest magnitude that a value can have: 64 where nothing is known. */
static uint32_t magnitude(const struct amon_value *value)
{
	uint32_t bits = 64;

	switch (value->kind) {
	case AMON_VALUE_INTEGER:
		bits = value->integer == INT64_MIN ? 64
		                                   : width_of(value->integer < 0 ? -value->integer : value->integer);
		break;
	case AMON_VALUE_BINARY:
		if (value->op == AMON_OP_ADD || value->op == AMON_OP_SUBTRACT)
			bits = larger(magnitude(value->left), magnitude(value->right)) + 1;
		else if (value->op == AMON_OP_MULTIPLY)
			bits = magnitude(value->left) + magnitude(value->right);
		else if (value->op == AMON_OP_DIVIDE)
			bits = magnitude(value->left);
		break;
	default:
		bits = value->type.bits ? value->type.bits : 64;
		break;
	}
	return bits > 64 ? 64 : bits;
}

uint32_t amon_c_bits(const struct amon_value *value)
{
	if (value->kind == AMON_VALUE_INTEGER && value->integer >= 0)
		return width_of(value->integer);
	return value->type.bits ? value->type.bits : 64;
}

static struct amon_c wide(struct amon_writer *w, struct amon_c a)
{
	if (!strncmp(a.text, "(__s64)", 7) || strspn(a.text, "-0123456789l") == strlen(a.text))
		return a;
	return c(w, BINDS_UNARY, "(__s64)%s", amon_c_tight(w, a));
}

static bool is_plain(const char *text)
{
	return !strpbrk(text, " ([") || text[0] == '-';
}

const char *amon_c_once(struct amon_writer *w, struct amon_c value)
{
	const char *name;

	/* volatile reads cost a load each; a local or a number does not */
	if (is_plain(value.text) && strncmp(value.text, "p->", 3) != 0)
		return value.text;
	name = amon_arena_printf(w->arena, "x%u", ++*w->temporaries);
	amon_write(w, "const __s64 %s = %s;\n", name, value.text);
	return name;
}

/* --- fields */

static struct amon_c field_text(struct amon_writer *w, const struct amon_field *field)
{
	const char *dollar = field->value ? strchr(field->value, '$') : NULL;
	struct amon_c member = c(w, BINDS_PRIMARY, "p->%s", strcmp(field->member, "time") ? field->member : w->time);
	bool shift;

	if (!dollar)
		return member;
	shift = strstr(field->value, ">>") && !strchr(field->value, '&');
	return c(w,
	         shift                       ? BINDS_SHIFT
	         : strchr(field->value, '*') ? BINDS_MULTIPLY
	                                     : BINDS_BIT_AND,
	         "%.*s%s%s", (int)(dollar - field->value), field->value, member.text, dollar + 1);
}

/* --- addresses */

static uint32_t word_mask(uint32_t prefix, uint32_t word)
{
	uint32_t bits = prefix > word * 32 ? prefix - word * 32 : 0;

	return bits >= 32 ? 0xffffffff : bits ? ~0u << (32 - bits) : 0;
}

static uint32_t word_of(const struct amon_address *address, uint32_t word)
{
	const uint8_t *b = address->bytes + 4 * word;

	return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

static uint64_t mac_of(const struct amon_address *address)
{
	uint64_t value = 0;

	for (int i = 0; i < 6; i++)
		value = value << 8 | address->bytes[i];
	return value;
}

/* One 32-bit word of an address under a mask. */
static struct amon_c word_matches(struct amon_writer *w, const char *word, uint32_t mask, uint32_t value)
{
	if (mask == 0xffffffff)
		return c(w, BINDS_EQ, "%s == htonl(0x%08x)", word, value);
	return c(w, BINDS_EQ, "(%s & htonl(0x%08x)) == htonl(0x%08x)", word, mask, value & mask);
}

static struct amon_c words_match(struct amon_writer *w, const char *array, const struct amon_address *address)
{
	struct amon_c all = ALWAYS;

	for (uint32_t i = 0; i < 4; i++)
		if (word_mask(address->prefix, i))
			all = amon_c_and(w, all,
			                 word_matches(w, amon_arena_printf(w->arena, "%s[%u]", array, i),
			                              word_mask(address->prefix, i), word_of(address, i)));
	return all.text ? all : c(w, BINDS_PRIMARY, "1");
}

/* What tells the IP versions of a NET value apart. */
static struct amon_c version_is(struct amon_writer *w, const struct amon_value *value,
                                const struct amon_address *address)
{
	return c(w, BINDS_EQ, "%s == %d", amon_c_version(w, value), address->family == AMON_ADDRESS_IPV4 ? 4 : 6);
}

static struct amon_c mac_matches(struct amon_writer *w, const char *array, const struct amon_address *address)
{
	uint64_t mask = address->prefix ? ~0ull << (48 - address->prefix) & 0xffffffffffffull : 0;

	if (address->prefix == 48)
		return c(w, BINDS_EQ, "mac_number(%s) == 0x%012llx", array, (unsigned long long)mac_of(address));
	return c(w, BINDS_EQ, "(mac_number(%s) & 0x%012llx) == 0x%012llx", array, (unsigned long long)mask,
	         (unsigned long long)(mac_of(address) & mask));
}

/* The value is in the prefix. */
static struct amon_c in_prefix(struct amon_writer *w, const struct amon_value *value, struct amon_c text,
                               const struct amon_address *address)
{
	struct amon_c match;

	switch (value->type.base) {
	case AMON_BASE_IPV4:
		if (!address->prefix)
			return c(w, BINDS_PRIMARY, "1");
		return word_matches(w, amon_c_tight(w, text), word_mask(address->prefix, 0), word_of(address, 0));
	case AMON_BASE_MAC:
		return mac_matches(w, text.text, address);
	case AMON_BASE_NET:
		if (address->family == AMON_ADDRESS_IPV4) {
			match = word_matches(w, amon_arena_printf(w->arena, "%s[0]", text.text),
			                     word_mask(address->prefix, 0), word_of(address, 0));
			return address->prefix ? amon_c_and(w, version_is(w, value, address), match)
			                       : version_is(w, value, address);
		}
		return amon_c_and(w, version_is(w, value, address), words_match(w, text.text, address));
	default:
		return words_match(w, text.text, address);
	}
}

static const char *constant_words(struct amon_writer *w, const struct amon_address *address)
{
	const char *name = amon_arena_printf(w->arena, "x%u", ++*w->temporaries);

	amon_write(w, "const __be32 %s[4] = { htonl(0x%08x), htonl(0x%08x), htonl(0x%08x), htonl(0x%08x) };\n", name,
	           word_of(address, 0), word_of(address, 1), word_of(address, 2), word_of(address, 3));
	return name;
}

/* low <= value <= high, of addresses. */
static struct amon_c in_address_range(struct amon_writer *w, const struct amon_value *value, struct amon_c text,
                                      const struct amon_range *range)
{
	const char *word =
	        value->type.base == AMON_BASE_NET ? amon_arena_printf(w->arena, "%s[0]", text.text) : text.text;
	struct amon_c within;

	if (value->type.base == AMON_BASE_MAC)
		return c(w, BINDS_AND, "mac_number(%s) >= 0x%012llx && mac_number(%s) <= 0x%012llx", text.text,
		         (unsigned long long)mac_of(&range->address), text.text,
		         (unsigned long long)mac_of(&range->address_high));
	if (range->address.family == AMON_ADDRESS_IPV4)
		within = c(w, BINDS_AND, "ntohl(%s) >= 0x%08x && ntohl(%s) <= 0x%08x", word,
		           word_of(&range->address, 0), word, word_of(&range->address_high, 0));
	else
		within = c(w, BINDS_AND, "address_at_most(%s, %s) && address_at_most(%s, %s)",
		           constant_words(w, &range->address), text.text, text.text,
		           constant_words(w, &range->address_high));
	return value->type.base == AMON_BASE_NET ? amon_c_and(w, version_is(w, value, &range->address), within)
	                                         : within;
}

static struct amon_c_value prefix_value(struct amon_writer *w, const struct amon_value *value)
{
	struct amon_c_value left = amon_c_value(w, value->left);
	const char *name = amon_arena_printf(w->arena, "x%u", *w->temporaries + 1);
	uint32_t four = value->type.prefix, six = value->type.base == AMON_BASE_NET ? value->type.prefix6 : four;

	if (value->type.base == AMON_BASE_IPV4) {
		left.value = c(w, BINDS_BIT_AND, "%s & htonl(0x%08x)", amon_c_tight(w, left.value), word_mask(four, 0));
		return left;
	}
	++*w->temporaries;
	if (value->type.base == AMON_BASE_MAC) {
		amon_write(w, "const __u8 %s[6] = {", name);
		for (uint32_t i = 0; i < 6; i++)
			fprintf(w->out, "%s%s[%u] & 0x%02x", i ? ", " : " ", left.value.text, i,
			        word_mask(four, i / 4) >> (24 - i % 4 * 8) & 0xff);
	} else {
		amon_write(w, "const __be32 %s[4] = {", name);
		for (uint32_t i = 0; i < 4; i++)
			if (value->type.base == AMON_BASE_NET && (i ? 0 : word_mask(four, 0)) != word_mask(six, i))
				fprintf(w->out, "%s%s[%u] & (p->net_version == 4 ? htonl(0x%08x) : htonl(0x%08x))",
				        i ? ", " : " ", left.value.text, i, i ? 0 : word_mask(four, 0),
				        word_mask(six, i));
			else
				fprintf(w->out, "%s%s[%u] & htonl(0x%08x)", i ? ", " : " ", left.value.text, i,
				        word_mask(six, i));
	}
	fprintf(w->out, " };\n");
	left.value = c(w, BINDS_PRIMARY, "%s", name);
	return left;
}

/* An address literal as a value of its own (in `C ? A : B`). */
static struct amon_c address_value(struct amon_writer *w, const struct amon_value *value)
{
	const char *name;

	if (value->type.base == AMON_BASE_IPV4)
		return c(w, BINDS_PRIMARY, "htonl(0x%08x)", word_of(&value->address, 0));
	if (value->type.base != AMON_BASE_MAC)
		return c(w, BINDS_PRIMARY, "%s", constant_words(w, &value->address));
	name = amon_arena_printf(w->arena, "x%u", ++*w->temporaries);
	amon_write(w, "const __u8 %s[6] = {", name);
	for (int i = 0; i < 6; i++)
		fprintf(w->out, "%s0x%02x", i ? ", " : " ", value->address.bytes[i]);
	fprintf(w->out, " };\n");
	return c(w, BINDS_PRIMARY, "%s", name);
}

/* --- values */

static const struct {
	enum amon_operator op;
	const char *text;
	int binds;
} operators[] = {
	{ AMON_OP_OR, "||", BINDS_OR },
	{ AMON_OP_AND, "&&", BINDS_AND },
	{ AMON_OP_EQ, "==", BINDS_EQ },
	{ AMON_OP_NE, "!=", BINDS_EQ },
	{ AMON_OP_LT, "<", BINDS_LESS },
	{ AMON_OP_GT, ">", BINDS_LESS },
	{ AMON_OP_LE, "<=", BINDS_LESS },
	{ AMON_OP_GE, ">=", BINDS_LESS },
	{ AMON_OP_BIT_OR, "|", BINDS_BIT_OR },
	{ AMON_OP_BIT_XOR, "^", BINDS_BIT_XOR },
	{ AMON_OP_BIT_AND, "&", BINDS_BIT_AND },
	{ AMON_OP_SHIFT_LEFT, "<<", BINDS_SHIFT },
	{ AMON_OP_SHIFT_RIGHT, ">>", BINDS_SHIFT },
	{ AMON_OP_ADD, "+", BINDS_ADD },
	{ AMON_OP_SUBTRACT, "-", BINDS_ADD },
	{ AMON_OP_MULTIPLY, "*", BINDS_MULTIPLY },
};

static size_t operator_row(enum amon_operator op)
{
	size_t i = 0;

	while (operators[i].op != op)
		i++;
	return i;
}

/* A truth value in a variable, so that it can stand several times. */
static const char *truth_once(struct amon_writer *w, struct amon_c truth)
{
	const char *name = amon_arena_printf(w->arena, "x%u", ++*w->temporaries);

	amon_write(w, "const bool %s = %s;\n", name, truth.text);
	return name;
}

/* An operand that has grown long stands in a variable of its own: brackets nest 256 deep at most. */
static struct amon_c_value operand_value(struct amon_writer *w, const struct amon_value *value)
{
	struct amon_c_value result = amon_c_value(w, value);

	if (strlen(result.value.text) > LONG_TEXT)
		result.value = c(w, BINDS_PRIMARY, "%s", amon_c_once(w, wide(w, result.value)));
	if (result.when.text && strlen(result.when.text) > LONG_TEXT)
		result.when = c(w, BINDS_PRIMARY, "%s", truth_once(w, result.when));
	return result;
}

/* x / y and x % y: the sign is put in by hand, and y = 0 has no value. */
static struct amon_c_value division(struct amon_writer *w, const struct amon_value *value)
{
	struct amon_c_value left = operand_value(w, value->left), right = operand_value(w, value->right);
	const char *divisor = amon_c_once(w, wide(w, right.value));
	struct amon_c_value result = { .when = amon_c_and(w, left.when, right.when) };
	bool is_division = value->op == AMON_OP_DIVIDE;

	/* a divisor of 0 leaves no value; a constant one is that never, or always */
	if (value->right->kind != AMON_VALUE_INTEGER || !value->right->integer)
		result.when = amon_c_and(w, result.when, c(w, BINDS_PRIMARY, "%s", divisor));
	if (amon_c_bits(value->left) > 63 || amon_c_bits(value->right) > 63)
		result.value =
		        c(w, BINDS_PRIMARY, "%s(%s, %s)", is_division ? "divide" : "modulo", left.value.text, divisor);
	else if (value->right->kind == AMON_VALUE_INTEGER && value->right->integer)
		result.value = c(w, BINDS_UNARY, "(__s64)((__u64)%s %s %s)", amon_c_tight(w, left.value),
		                 is_division ? "/" : "%", divisor);
	else
		result.value = c(w, BINDS_PRIMARY, "%s(%s, %s)", is_division ? "quotient" : "remainder",
		                 left.value.text, divisor);
	return result;
}

static struct amon_c_value arithmetic(struct amon_writer *w, const struct amon_value *value)
{
	size_t row = operator_row(value->op);
	struct amon_c_value left = operand_value(w, value->left), right = operand_value(w, value->right), result;
	bool wraps = value->op == AMON_OP_ADD || value->op == AMON_OP_SUBTRACT || value->op == AMON_OP_MULTIPLY;

	result.when = amon_c_and(w, left.when, right.when);
	if (value->op == AMON_OP_SHIFT_LEFT || value->op == AMON_OP_SHIFT_RIGHT) {
		const char *shift =
		        value->right->kind == AMON_VALUE_INTEGER
		                ? right.value.text
		                : amon_arena_printf(w->arena, "(%s & 63)", operand(w, right.value, BINDS_BIT_AND));

		result.value =
		        value->op == AMON_OP_SHIFT_LEFT
		                ? c(w, BINDS_UNARY, "(__s64)((__u64)%s << %s)", amon_c_tight(w, left.value), shift)
		                : c(w, BINDS_SHIFT, "(__s64)%s >> %s", amon_c_tight(w, left.value), shift);
	} else if (wraps && magnitude(value) > 63) {
		/* wraps as two's complement, which signed C arithmetic does not */
		result.value = c(w, BINDS_UNARY, "(__s64)((__u64)%s %s (__u64)%s)", amon_c_tight(w, left.value),
		                 operators[row].text, amon_c_tight(w, right.value));
	} else {
		result.value =
		        binary(w, wide(w, left.value), operators[row].text, operators[row].binds, wide(w, right.value));
	}
	return result;
}

static struct amon_c_value pick(struct amon_writer *w, const struct amon_value *value)
{
	struct amon_c_value left = amon_c_value(w, value->left), right, result;
	const char *a = amon_c_once(w, wide(w, left.value)), *b;

	result.when = left.when;
	if (value->kind == AMON_VALUE_ABS) {
		result.value = c(w, BINDS_CHOICE, "%s < 0 ? (__s64)-(__u64)%s : %s", a, a, a);
		return result;
	}
	right = amon_c_value(w, value->right);
	b = amon_c_once(w, wide(w, right.value));
	result.when = amon_c_and(w, left.when, right.when);
	result.value = c(w, BINDS_CHOICE, "%s %s %s ? %s : %s", a, value->kind == AMON_VALUE_MIN ? "<" : ">", b, a, b);
	return result;
}

static const char *choose_array(struct amon_writer *w, const char *condition, const char *a, const char *b,
                                const char *type, int count)
{
	const char *name = amon_arena_printf(w->arena, "x%u", ++*w->temporaries);

	amon_write(w, "const %s %s[%d] = {", type, name, count);
	for (int i = 0; i < count; i++)
		fprintf(w->out, "%s%s ? %s[%d] : %s[%d]", i ? ", " : " ", condition, a, i, b, i);
	fprintf(w->out, " };\n");
	return name;
}

static struct amon_c_value choice(struct amon_writer *w, const struct amon_value *value)
{
	const char *condition = truth_once(w, amon_c_condition(w, value->left));
	struct amon_c_value a = amon_c_value(w, value->middle), b = amon_c_value(w, value->right),
	                    result = { .when = ALWAYS };

	if (a.when.text || b.when.text)
		result.when = c(w, BINDS_PRIMARY, "(%s ? (%s) : (%s))", condition, a.when.text ? a.when.text : "1",
		                b.when.text ? b.when.text : "1");
	switch (value->type.base) {
	case AMON_BASE_IPV6:
	case AMON_BASE_NET:
		result.value.text = choose_array(w, condition, a.value.text, b.value.text, "__be32", 4);
		break;
	case AMON_BASE_MAC:
		result.value.text = choose_array(w, condition, a.value.text, b.value.text, "__u8", 6);
		break;
	case AMON_BASE_IPV4:
		return (struct amon_c_value){ result.when, c(w, BINDS_CHOICE, "%s ? %s : %s", condition,
			                                     amon_c_tight(w, a.value), amon_c_tight(w, b.value)) };
	default:
		return (struct amon_c_value){ result.when, c(w, BINDS_CHOICE, "%s ? %s : %s", condition,
			                                     wide(w, a.value).text, wide(w, b.value).text) };
	}
	result.value.binds = BINDS_PRIMARY;
	return result;
}

static struct amon_c_value cast(struct amon_writer *w, const struct amon_value *value)
{
	struct amon_c_value left = amon_c_value(w, value->left);

	left.value = c(w, BINDS_UNARY, "(__%c%u)%s", value->is_signed ? 's' : 'u', value->width * 8,
	               amon_c_tight(w, left.value));
	return left;
}

static struct amon_c_value unary(struct amon_writer *w, const struct amon_value *value)
{
	struct amon_c_value left = amon_c_value(w, value->left);

	left.value = value->op == AMON_OP_NEGATE ? c(w, BINDS_UNARY, "(__s64)-(__u64)%s", amon_c_tight(w, left.value))
	                                         : c(w, BINDS_UNARY, "~(__s64)%s", amon_c_tight(w, left.value));
	return left;
}

/* 0 or 1, where a condition may be any bit of a mask. */
static struct amon_c as_truth(struct amon_writer *w, struct amon_c a)
{
	return a.binds == BINDS_BIT_AND || a.binds == BINDS_PRIMARY ? c(w, BINDS_EQ, "%s != 0", operand(w, a, BINDS_EQ))
	                                                            : a;
}

struct amon_c_value amon_c_value(struct amon_writer *w, const struct amon_value *value)
{
	struct amon_c_value result = { .when = ALWAYS };

	if (value->kind == AMON_VALUE_MEMORY)
		return amon_c_memory(w, value);
	if (value->type.base == AMON_BASE_BOOL && value->kind != AMON_VALUE_FIELD && value->kind != AMON_VALUE_CHOICE) {
		result.value = as_truth(w, amon_c_condition(w, value));
		return result;
	}
	switch (value->kind) {
	case AMON_VALUE_INTEGER:
		result.value = amon_c_number(w, value->integer);
		return result;
	case AMON_VALUE_ADDRESS:
		result.value = address_value(w, value);
		return result;
	case AMON_VALUE_FIELD:
		result.when = layers_there(w, value->field->layers);
		result.value = field_text(w, value->field);
		if (value->type.base == AMON_BASE_BOOL)
			result.value = c(w, BINDS_EQ, "%s != 0", operand(w, result.value, BINDS_EQ));
		return result;
	case AMON_VALUE_SLICE:
		result.when = slice_there(w, slice_member(w, value));
		result.value = c(w, BINDS_PRIMARY, "p->%s", slice_member(w, value));
		return result;
	case AMON_VALUE_UNARY:
		return unary(w, value);
	case AMON_VALUE_BINARY:
		return value->op == AMON_OP_DIVIDE || value->op == AMON_OP_MODULO ? division(w, value)
		                                                                  : arithmetic(w, value);
	case AMON_VALUE_CHOICE:
		return choice(w, value);
	case AMON_VALUE_CAST:
		return cast(w, value);
	case AMON_VALUE_PREFIX:
		return prefix_value(w, value);
	default:
		return pick(w, value);
	}
}

/* --- conditions */

static bool is_array(const struct amon_value *value)
{
	return value->type.base == AMON_BASE_IPV6 || value->type.base == AMON_BASE_NET ||
	       value->type.base == AMON_BASE_MAC;
}

static struct amon_c negated(struct amon_writer *w, struct amon_c a)
{
	return c(w, BINDS_UNARY, "!%s", amon_c_tight(w, a));
}

static struct amon_c arrays_equal(struct amon_writer *w, const struct amon_value *left, const struct amon_value *right,
                                  struct amon_c a, struct amon_c b)
{
	const char *version = amon_c_version(w, left), *other = amon_c_version(w, right);
	struct amon_c same;

	if (left->type.base == AMON_BASE_MAC)
		return c(w, BINDS_EQ, "mac_number(%s) == mac_number(%s)", a.text, b.text);
	same = c(w, BINDS_PRIMARY, "same_address(%s, %s)", a.text, b.text);
	/* in one packet all addresses are of one version */
	if (left->type.base != AMON_BASE_NET || !strcmp(version, other))
		return same;
	return amon_c_and(w, c(w, BINDS_EQ, "%s == %s", version, other), same);
}

/* == and != of addresses; a literal stands at either side. */
static struct amon_c compare_addresses(struct amon_writer *w, const struct amon_value *value)
{
	const struct amon_value *left = value->left, *right = value->right;
	struct amon_c_value a, b;
	struct amon_c equal, when;

	if (left->kind == AMON_VALUE_ADDRESS) {
		left = value->right;
		right = value->left;
	}
	a = amon_c_value(w, left);
	if (right->kind == AMON_VALUE_ADDRESS) {
		when = a.when;
		equal = in_prefix(w, left, a.value, &right->address);
	} else {
		b = amon_c_value(w, right);
		when = amon_c_and(w, a.when, b.when);
		equal = is_array(left) ? arrays_equal(w, left, right, a.value, b.value)
		                       : binary(w, a.value, "==", BINDS_EQ, b.value);
	}
	return amon_c_and(w, when, value->op == AMON_OP_NE ? negated(w, equal) : equal);
}

/* Both sides can be compared as they stand: no sign, no wrap at 32 bits. */
static bool compares_plainly(const struct amon_value *a, const struct amon_value *b)
{
	return amon_c_bits(a) <= 31 && amon_c_bits(b) <= 31;
}

static struct amon_c compare(struct amon_writer *w, const struct amon_value *value)
{
	size_t row = operator_row(value->op);
	struct amon_c_value a, b;
	struct amon_c x, y;

	if (value->left->type.base != AMON_BASE_INT && value->left->type.base != AMON_BASE_TIME &&
	    value->left->type.base != AMON_BASE_BOOL)
		return compare_addresses(w, value);
	a = amon_c_value(w, value->left);
	b = amon_c_value(w, value->right);
	x = a.value;
	y = b.value;
	if (value->left->type.base != AMON_BASE_BOOL && !compares_plainly(value->left, value->right)) {
		bool fits = value->right->kind == AMON_VALUE_INTEGER && amon_c_bits(value->left) <= 32 &&
		            amon_c_bits(value->right) <= 31;

		if (!fits) {
			x = value->left->kind == AMON_VALUE_INTEGER ? x : wide(w, x);
			y = value->right->kind == AMON_VALUE_INTEGER ? y : wide(w, y);
		}
	}
	return amon_c_and(w, amon_c_and(w, a.when, b.when), binary(w, x, operators[row].text, operators[row].binds, y));
}

static struct amon_c in_numbers(struct amon_writer *w, const char *x, const struct amon_range *range)
{
	if (range->low == range->high)
		return c(w, BINDS_EQ, "%s == %s", x, amon_c_number(w, range->low).text);
	return c(w, BINDS_AND, "%s >= %s && %s <= %s", x, amon_c_number(w, range->low).text, x,
	         amon_c_number(w, range->high).text);
}

static struct amon_c in_set(struct amon_writer *w, const struct amon_value *value)
{
	const struct amon_value *left = value->left;
	struct amon_c_value x = amon_c_value(w, left);
	bool is_number = left->type.base == AMON_BASE_INT || left->type.base == AMON_BASE_TIME;
	const char *number_text = is_number ? amon_c_once(w, wide(w, x.value)) : NULL;
	struct amon_c any = ALWAYS;

	for (uint32_t i = 0; i < value->range_count; i++) {
		const struct amon_range *range = &value->ranges[i];
		struct amon_c item = is_number         ? in_numbers(w, number_text, range)
		                     : range->is_range ? in_address_range(w, left, x.value, range)
		                                       : in_prefix(w, left, x.value, &range->address);

		any = any.text ? c(w, BINDS_OR, "%s || %s", operand(w, any, BINDS_OR),
		                   in_parentheses(w, item, item.binds <= BINDS_AND))
		               : item;
	}
	if (!any.text)
		any = c(w, BINDS_PRIMARY, "0");
	return amon_c_and(w, x.when, any.binds < BINDS_EQ && x.when.text ? c(w, BINDS_PRIMARY, "(%s)", any.text) : any);
}

static struct amon_c condition_operand(struct amon_writer *w, const struct amon_value *value)
{
	struct amon_c a = amon_c_condition(w, value);

	return strlen(a.text) > LONG_TEXT ? c(w, BINDS_PRIMARY, "%s", truth_once(w, a)) : a;
}

static struct amon_c logic(struct amon_writer *w, const struct amon_value *value)
{
	uint32_t known = w->known_count, slices = w->is_known_count;
	struct amon_c a = condition_operand(w, value->left), b;

	if (value->op == AMON_OP_AND)
		amon_c_learn(w, value->left);
	b = condition_operand(w, value->right);
	w->known_count = known;
	w->is_known_count = slices;
	if (value->op == AMON_OP_AND)
		return amon_c_and(w, a, b);
	return c(w, BINDS_OR, "%s || %s",
	         in_parentheses(w, a,
	                        a.binds == BINDS_AND || a.binds == BINDS_CHOICE ||
	                                (a.binds > BINDS_AND && a.binds < BINDS_EQ)),
	         in_parentheses(w, b,
	                        b.binds == BINDS_AND || b.binds == BINDS_CHOICE ||
	                                (b.binds > BINDS_AND && b.binds < BINDS_EQ)));
}

/* ALWAYS as a truth value. */
static struct amon_c or_one(struct amon_writer *w, struct amon_c a)
{
	return a.text ? a : c(w, BINDS_PRIMARY, "1");
}

struct amon_c amon_c_condition(struct amon_writer *w, const struct amon_value *value)
{
	struct amon_c_value x;

	switch (value->kind) {
	case AMON_VALUE_INTEGER:
		return c(w, BINDS_PRIMARY, value->integer ? "1" : "0");
	case AMON_VALUE_PROTOCOL:
		return or_one(w, layers_there(w, value->layers));
	case AMON_VALUE_FIELD:
		return amon_c_and(w, layers_there(w, value->field->layers), field_text(w, value->field));
	case AMON_VALUE_ROW:
		return amon_c_row(w, value);
	case AMON_VALUE_MEMORY:
		x = amon_c_memory(w, value);
		return amon_c_and(w, x.when, x.value);
	case AMON_VALUE_PRESENT:
		return or_one(w, amon_c_value(w, value->left).when);
	case AMON_VALUE_UNARY:
		return negated(w, condition_operand(w, value->left));
	case AMON_VALUE_IN:
		return in_set(w, value);
	case AMON_VALUE_CHOICE:
		x = choice(w, value);
		return amon_c_and(w, x.when, c(w, BINDS_PRIMARY, "(%s)", x.value.text));
	default:
		return value->op == AMON_OP_AND || value->op == AMON_OP_OR ? logic(w, value) : compare(w, value);
	}
}
