/* SPDX-License-Identifier: Apache-2.0 */
#include "evaluate.h"

#include <math.h>
#include <string.h>

#include "compiler/arena.h"

static const struct amon_result nothing = { .kind = AMON_RESULT_NULL };

static struct amon_result of_integer(int64_t integer)
{
	return (struct amon_result){ .kind = AMON_RESULT_INTEGER, .integer = integer };
}

static struct amon_result of_truth(bool truth)
{
	return of_integer(truth);
}

/* What is no number (1e308 * 10, log2(0)) has no value. */
static struct amon_result of_real(double real)
{
	if (!isfinite(real))
		return nothing;
	return (struct amon_result){ .kind = AMON_RESULT_REAL, .real = real };
}

/* Exact while it fits 64 bits. */
static struct amon_result of_wide(__int128 wide)
{
	if (wide < INT64_MIN || wide > INT64_MAX)
		return of_real((double)wide);
	return of_integer((int64_t)wide);
}

/* --- rows */

void amon_row_init(struct amon_arena *arena, struct amon_row *row, const struct amon_export_column *columns,
                   uint32_t count)
{
	*row = (struct amon_row){
		.columns = columns,
		.count = count,
		.results = amon_new_array(arena, struct amon_result, count),
		.known = amon_new_array(arena, bool, count),
	};
}

void amon_row_set(struct amon_row *row, const void *key, const void *record)
{
	row->key = key;
	row->record = record;
	memset(row->known, 0, row->count * sizeof(*row->known));
}

static struct amon_result find(const struct amon_evaluation *evaluation, const struct amon_row *row,
                               const struct amon_export_column *column)
{
	switch (column->kind) {
	case AMON_COLUMN_KEY:
		return row->key ? amon_key_result(column, row->key) : nothing;
	case AMON_COLUMN_METRIC:
		return amon_metric_result(column, row->record, AMON_MEMBER_VALUE);
	case AMON_COLUMN_DERIVE:
		return amon_evaluate(evaluation, column->value);
	case AMON_COLUMN_END:
		break; /* a word: cells.c */
	}
	return nothing;
}

struct amon_result amon_row_result(const struct amon_evaluation *evaluation, struct amon_row *row, uint32_t column)
{
	if (!row->known[column]) {
		row->results[column] = find(evaluation, row, &row->columns[column]);
		row->known[column] = true;
	}
	return row->results[column];
}

/* --- numbers */

static bool is_null(struct amon_result result)
{
	return result.kind == AMON_RESULT_NULL;
}

static bool is_integer(struct amon_result result)
{
	return result.kind == AMON_RESULT_INTEGER;
}

static bool is_number(struct amon_result result)
{
	return is_integer(result) || result.kind == AMON_RESULT_REAL;
}

static double real_of(struct amon_result result)
{
	return is_integer(result) ? (double)result.integer : result.real;
}

/* Whole, so that 2^63 - 1 is less than 2^63. */
static long double number_of(struct amon_result result)
{
	return is_integer(result) ? result.integer : result.real;
}

bool amon_holds(struct amon_result result)
{
	return is_integer(result) && result.integer;
}

typedef struct amon_result operation(struct amon_result left, struct amon_result right);

static struct amon_result add(struct amon_result left, struct amon_result right)
{
	if (is_integer(left) && is_integer(right))
		return of_wide((__int128)left.integer + right.integer);
	return of_real(real_of(left) + real_of(right));
}

static struct amon_result subtract(struct amon_result left, struct amon_result right)
{
	if (is_integer(left) && is_integer(right))
		return of_wide((__int128)left.integer - right.integer);
	return of_real(real_of(left) - real_of(right));
}

static struct amon_result multiply(struct amon_result left, struct amon_result right)
{
	if (is_integer(left) && is_integer(right))
		return of_wide((__int128)left.integer * right.integer);
	return of_real(real_of(left) * real_of(right));
}

/* By 0 it is infinite, and so nothing. Two integers are divided as they are, not as the doubles nearest to them. */
static struct amon_result divide(struct amon_result left, struct amon_result right)
{
	if (is_integer(left) && is_integer(right))
		return of_real((double)((long double)left.integer / right.integer));
	return of_real(real_of(left) / real_of(right));
}

static struct amon_result modulo(struct amon_result left, struct amon_result right)
{
	if (!is_integer(left) || !is_integer(right))
		return of_real(fmod(real_of(left), real_of(right)));
	if (!right.integer)
		return nothing;
	return of_integer(right.integer == -1 ? 0 : left.integer % right.integer);
}

static struct amon_result least(struct amon_result left, struct amon_result right)
{
	return number_of(right) < number_of(left) ? right : left;
}

static struct amon_result greatest(struct amon_result left, struct amon_result right)
{
	return number_of(right) > number_of(left) ? right : left;
}

static operation *const arithmetic[] = {
	[AMON_OP_ADD] = add,       [AMON_OP_SUBTRACT] = subtract, [AMON_OP_MULTIPLY] = multiply,
	[AMON_OP_DIVIDE] = divide, [AMON_OP_MODULO] = modulo,
};

static struct amon_result calculate(operation *operation, struct amon_result left, struct amon_result right)
{
	return is_number(left) && is_number(right) ? operation(left, right) : nothing;
}

/* --- bits, of integers only */

static struct amon_result shift(enum amon_operator op, int64_t number, int64_t by)
{
	if (by < 0 || by > 63)
		return nothing;
	return op == AMON_OP_SHIFT_LEFT ? of_wide((__int128)number * ((__int128)1 << by)) : of_integer(number >> by);
}

static struct amon_result combine_bits(enum amon_operator op, struct amon_result left, struct amon_result right)
{
	if (!is_integer(left) || !is_integer(right))
		return nothing;
	switch (op) {
	case AMON_OP_BIT_OR:
		return of_integer(left.integer | right.integer);
	case AMON_OP_BIT_XOR:
		return of_integer(left.integer ^ right.integer);
	case AMON_OP_BIT_AND:
		return of_integer(left.integer & right.integer);
	default:
		return shift(op, left.integer, right.integer);
	}
}

/* --- comparisons */

static uint32_t address_size(enum amon_address_family family)
{
	static const uint8_t sizes[] = {
		[AMON_ADDRESS_IPV4] = 4,
		[AMON_ADDRESS_IPV6] = 16,
		[AMON_ADDRESS_MAC] = 6,
	};

	return sizes[family];
}

/* -1, 0 or 1. IPv4 comes before IPv6. */
static int compare_addresses(const struct amon_address *a, const struct amon_address *b)
{
	int order;

	if (a->family != b->family)
		return a->family < b->family ? -1 : 1;
	order = memcmp(a->bytes, b->bytes, address_size(a->family));
	return (order > 0) - (order < 0);
}

static int compare_results(struct amon_result left, struct amon_result right)
{
	long double a, b;

	if (left.kind == AMON_RESULT_ADDRESS)
		return compare_addresses(&left.address, &right.address);
	a = number_of(left);
	b = number_of(right);
	return (a > b) - (a < b);
}

/* Which outcomes of a comparison an operator accepts: less, equal, greater. */
static const bool accepts[][3] = {
	[AMON_OP_EQ] = { false, true, false }, [AMON_OP_NE] = { true, false, true },
	[AMON_OP_LT] = { true, false, false }, [AMON_OP_GT] = { false, false, true },
	[AMON_OP_LE] = { true, true, false },  [AMON_OP_GE] = { false, true, true },
};

static struct amon_result compare(enum amon_operator op, struct amon_result left, struct amon_result right)
{
	if (is_null(left) || is_null(right) || is_number(left) != is_number(right))
		return of_truth(false);
	return of_truth(accepts[op][1 + compare_results(left, right)]);
}

static bool same_prefix(const uint8_t *a, const uint8_t *b, uint32_t bits)
{
	uint32_t whole = bits / 8, rest = bits % 8;

	if (memcmp(a, b, whole))
		return false;
	return !rest || !((a[whole] ^ b[whole]) >> (8 - rest));
}

static bool address_in(const struct amon_address *address, const struct amon_range *range)
{
	if (address->family != range->address.family)
		return false;
	if (range->is_range)
		return compare_addresses(address, &range->address) >= 0 &&
		       compare_addresses(address, &range->address_high) <= 0;
	return same_prefix(address->bytes, range->address.bytes, range->address.prefix);
}

static bool number_in(struct amon_result number, const struct amon_range *range)
{
	return number_of(number) >= range->low && number_of(number) <= range->high;
}

static struct amon_result in_ranges(const struct amon_export_value *value, struct amon_result left)
{
	for (uint32_t i = 0; i < value->range_count; i++) {
		const struct amon_range *range = &value->ranges[i];

		if (left.kind == AMON_RESULT_ADDRESS ? address_in(&left.address, range)
		                                     : is_number(left) && number_in(left, range))
			return of_truth(true);
	}
	return of_truth(false);
}

/* --- expressions: one function for each kind */

static struct amon_result integer_value(const struct amon_evaluation *evaluation, const struct amon_export_value *value)
{
	(void)evaluation;
	return of_integer(value->integer);
}

static struct amon_result real_value(const struct amon_evaluation *evaluation, const struct amon_export_value *value)
{
	(void)evaluation;
	return of_real(value->real);
}

static struct amon_result address_value(const struct amon_evaluation *evaluation, const struct amon_export_value *value)
{
	(void)evaluation;
	return (struct amon_result){ .kind = AMON_RESULT_ADDRESS, .address = value->address };
}

static struct amon_result window_value(const struct amon_evaluation *evaluation, const struct amon_export_value *value)
{
	return of_wide(value->integer ? evaluation->since_start : evaluation->window);
}

static struct amon_result column_value(const struct amon_evaluation *evaluation, const struct amon_export_value *value)
{
	struct amon_row *row = evaluation->row;

	if (value->table < 0)
		row = value->section < 0 ? evaluation->probe : &evaluation->sections[value->section];
	if (value->member != AMON_MEMBER_VALUE)
		return amon_metric_result(&row->columns[value->column], row->record, value->member);
	return amon_row_result(evaluation, row, (uint32_t)value->column);
}

static struct amon_result unary_value(const struct amon_evaluation *evaluation, const struct amon_export_value *value)
{
	struct amon_result left = amon_evaluate(evaluation, value->left);

	if (value->op == AMON_OP_NOT)
		return of_truth(!amon_holds(left));
	if (value->op == AMON_OP_NEGATE)
		return calculate(subtract, of_integer(0), left);
	return is_integer(left) ? of_integer(~left.integer) : nothing;
}

static struct amon_result binary_value(const struct amon_evaluation *evaluation, const struct amon_export_value *value)
{
	struct amon_result left = amon_evaluate(evaluation, value->left);
	struct amon_result right = amon_evaluate(evaluation, value->right);

	if (value->op == AMON_OP_OR)
		return of_truth(amon_holds(left) || amon_holds(right));
	if (value->op == AMON_OP_AND)
		return of_truth(amon_holds(left) && amon_holds(right));
	if (value->op <= AMON_OP_GE)
		return compare(value->op, left, right);
	if (value->op <= AMON_OP_SHIFT_RIGHT)
		return combine_bits(value->op, left, right);
	return calculate(arithmetic[value->op], left, right);
}

static struct amon_result in_value(const struct amon_evaluation *evaluation, const struct amon_export_value *value)
{
	return in_ranges(value, amon_evaluate(evaluation, value->left));
}

static struct amon_result choice_value(const struct amon_evaluation *evaluation, const struct amon_export_value *value)
{
	return amon_evaluate(evaluation,
	                     amon_holds(amon_evaluate(evaluation, value->left)) ? value->middle : value->right);
}

static struct amon_result present_value(const struct amon_evaluation *evaluation, const struct amon_export_value *value)
{
	return of_truth(!is_null(amon_evaluate(evaluation, value->left)));
}

static struct amon_result abs_value(const struct amon_evaluation *evaluation, const struct amon_export_value *value)
{
	struct amon_result left = amon_evaluate(evaluation, value->left);

	return calculate(greatest, left, calculate(subtract, of_integer(0), left));
}

static struct amon_result min_value(const struct amon_evaluation *evaluation, const struct amon_export_value *value)
{
	return calculate(least, amon_evaluate(evaluation, value->left), amon_evaluate(evaluation, value->right));
}

static struct amon_result max_value(const struct amon_evaluation *evaluation, const struct amon_export_value *value)
{
	return calculate(greatest, amon_evaluate(evaluation, value->left), amon_evaluate(evaluation, value->right));
}

static struct amon_result log2_value(const struct amon_evaluation *evaluation, const struct amon_export_value *value)
{
	struct amon_result left = amon_evaluate(evaluation, value->left);

	return is_number(left) ? of_real(log2(real_of(left))) : nothing;
}

static struct amon_result sqrt_value(const struct amon_evaluation *evaluation, const struct amon_export_value *value)
{
	struct amon_result left = amon_evaluate(evaluation, value->left);

	return is_number(left) ? of_real(sqrt(real_of(left))) : nothing;
}

static struct amon_result (*const evaluators[])(const struct amon_evaluation *evaluation,
                                                const struct amon_export_value *value) = {
	[AMON_VALUE_INTEGER] = integer_value, [AMON_VALUE_REAL] = real_value,     [AMON_VALUE_ADDRESS] = address_value,
	[AMON_VALUE_PRESENT] = present_value, [AMON_VALUE_UNARY] = unary_value,   [AMON_VALUE_BINARY] = binary_value,
	[AMON_VALUE_IN] = in_value,           [AMON_VALUE_CHOICE] = choice_value, [AMON_VALUE_ABS] = abs_value,
	[AMON_VALUE_MIN] = min_value,         [AMON_VALUE_MAX] = max_value,       [AMON_VALUE_COLUMN] = column_value,
	[AMON_VALUE_WINDOW] = window_value,   [AMON_VALUE_LOG2] = log2_value,     [AMON_VALUE_SQRT] = sqrt_value,
};

struct amon_result amon_evaluate(const struct amon_evaluation *evaluation, const struct amon_export_value *value)
{
	struct amon_result result = evaluators[value->kind](evaluation, value);

	if (result.kind == AMON_RESULT_NATURAL)
		return of_real((double)result.natural);
	/* So that a column has one type, whichever side of a choice or min() its value comes from. */
	if (value->type.base == AMON_BASE_REAL && is_integer(result))
		return of_real((double)result.integer);
	return result;
}
