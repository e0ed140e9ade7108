/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <string.h>

#include "evaluate.h"
#include "storage.h"

static uint64_t load(const void *record, uint32_t offset)
{
	uint64_t word;

	memcpy(&word, (const char *)record + offset, sizeof(word));
	return word;
}

static struct amon_result of_integer(int64_t integer)
{
	return (struct amon_result){ .kind = AMON_RESULT_INTEGER, .integer = integer };
}

static struct amon_result of_natural(uint64_t natural)
{
	if (natural <= INT64_MAX)
		return of_integer((int64_t)natural);
	return (struct amon_result){ .kind = AMON_RESULT_NATURAL, .natural = natural };
}

/* What its column says of a sign. */
static struct amon_result of_word(const struct amon_export_column *column, uint64_t word)
{
	return column->type.bits == 64 ? of_natural(word) : of_integer((int64_t)word);
}

static struct amon_result of_real(long double real)
{
	return (struct amon_result){ .kind = AMON_RESULT_REAL, .real = (double)real };
}

static const struct amon_result nothing = { .kind = AMON_RESULT_NULL };

/* --- addresses */

static enum amon_address_family family_of(enum amon_base base, uint8_t version)
{
	if (base == AMON_BASE_MAC)
		return AMON_ADDRESS_MAC;
	return base == AMON_BASE_IPV4 || (base == AMON_BASE_NET && version == 4) ? AMON_ADDRESS_IPV4
	                                                                         : AMON_ADDRESS_IPV6;
}

/* Under prefix(), it is shown with the length that was asked for. */
static void set_prefix(struct amon_address *address, const struct amon_type *type)
{
	static const uint8_t whole[] = {
		[AMON_ADDRESS_IPV4] = 32,
		[AMON_ADDRESS_IPV6] = 128,
		[AMON_ADDRESS_MAC] = 48,
	};
	bool six = type->base == AMON_BASE_NET && address->family == AMON_ADDRESS_IPV6;
	uint8_t prefix = six ? type->prefix6 : type->prefix;

	address->has_prefix = prefix;
	address->prefix = prefix ? prefix : whole[address->family];
}

static struct amon_result address_result(const struct amon_export_column *column, const uint8_t *bytes)
{
	const struct amon_layout *layout = &column->layout;
	struct amon_result result = { .kind = AMON_RESULT_ADDRESS };
	struct amon_address *address = &result.address;
	uint8_t version = column->type.base == AMON_BASE_NET ? bytes[layout->version] : 0;

	address->family = family_of(column->type.base, version);
	memcpy(address->bytes, bytes + layout->value, layout->value_size);
	set_prefix(address, &column->type);
	return result;
}

/* An event may have no value there; a table's key always has. */
struct amon_result amon_key_result(const struct amon_export_column *column, const void *key)
{
	if (column->layout.has != UINT32_MAX && !amon_state_has(&column->layout, key))
		return nothing;
	if (amon_base_is_address(column->type.base))
		return address_result(column, key);
	return of_word(column, (uint64_t)amon_key_number(&column->layout, key));
}

/* --- finishing */

static struct amon_result finish_value(const struct amon_export_column *column, const void *record)
{
	if (!amon_state_has(&column->layout, record))
		return nothing;
	if (amon_base_is_address(column->type.base))
		return address_result(column, record);
	return of_word(column, amon_state_value(&column->layout, record));
}

static struct amon_result finish_total(const struct amon_export_column *column, const void *record)
{
	const struct amon_layout *layout = &column->layout;

	if (column->aggregation->parts & AMON_PART_COUNT)
		return of_natural(load(record, layout->count));
	return of_word(column, load(record, layout->value));
}

static struct amon_result finish_mean(const struct amon_export_column *column, const void *record)
{
	uint64_t count = load(record, column->layout.count), sum = load(record, column->layout.value);
	long double whole = column->type.bits == 64 ? (long double)sum : (long double)(int64_t)sum;

	return count ? of_real(whole / count) : nothing;
}

/*
 * count × squares - sum², which is count² variances: in 192 bits, so that what two nearly equal numbers differ by is
 * exact. Negative only where the sum has left 64 bits.
 */
static long double spread(uint64_t count, uint64_t squares_low, uint64_t squares_high, int64_t sum)
{
	unsigned __int128 low = (unsigned __int128)count * squares_low;
	unsigned __int128 high = (unsigned __int128)count * squares_high + (uint64_t)(low >> 64);
	uint64_t magnitude = sum < 0 ? -(uint64_t)sum : (uint64_t)sum;
	unsigned __int128 square = (unsigned __int128)magnitude * magnitude;
	bool borrow = (uint64_t)low < (uint64_t)square;
	unsigned __int128 taken = (square >> 64) + borrow;

	if (high < taken)
		return 0;
	high -= taken;
	return ldexpl((long double)high, 64) + (uint64_t)((uint64_t)low - (uint64_t)square);
}

static long double variance(const struct amon_layout *layout, const void *record, uint64_t count)
{
	long double total = spread(count, load(record, layout->squares), load(record, layout->squares + 8),
	                           (int64_t)load(record, layout->value));

	return total / count / count;
}

static struct amon_result finish_variance(const struct amon_export_column *column, const void *record)
{
	uint64_t count = load(record, column->layout.count);

	return count ? of_real(variance(&column->layout, record, count)) : nothing;
}

static struct amon_result finish_stddev(const struct amon_export_column *column, const void *record)
{
	uint64_t count = load(record, column->layout.count);

	return count ? of_real(sqrtl(variance(&column->layout, record, count))) : nothing;
}

uint64_t amon_metric_bucket(const struct amon_export_column *column, const void *record, uint32_t bucket)
{
	return load(record, column->layout.buckets + 8 * bucket);
}

/* A histogram is no value: only its members are. */
static struct amon_result finish_histogram(const struct amon_export_column *column, const void *record)
{
	(void)column;
	(void)record;
	return nothing;
}

static struct amon_result histogram_count(const struct amon_export_column *column, const void *record)
{
	uint64_t count = 0;

	for (uint32_t i = 0; i < column->layout.bucket_count; i++)
		count += amon_metric_bucket(column, record, i);
	return of_natural(count);
}

struct amon_result amon_metric_result(const struct amon_export_column *column, const void *record,
                                      enum amon_member member)
{
	static struct amon_result (*const finish[])(const struct amon_export_column *, const void *) = {
		[AMON_FINISH_VALUE] = finish_value,   [AMON_FINISH_TOTAL] = finish_total,
		[AMON_FINISH_MEAN] = finish_mean,     [AMON_FINISH_VARIANCE] = finish_variance,
		[AMON_FINISH_STDDEV] = finish_stddev, [AMON_FINISH_HISTOGRAM] = finish_histogram,
	};

	if (member == AMON_MEMBER_COUNT)
		return histogram_count(column, record);
	if (member == AMON_MEMBER_SUM)
		return of_integer((int64_t)load(record, column->layout.value));
	return finish[column->aggregation->finish](column, record);
}
