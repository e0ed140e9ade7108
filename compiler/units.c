/* SPDX-License-Identifier: Apache-2.0 */
#include "units.h"

#include <string.h>

#define SECOND     1000000000ULL
#define PER_SECOND "_per_second"

const struct amon_unit amon_units[] = {
	{ "nanoseconds", 0, 1, 1, 0, "time" },
	{ "microseconds", 0, 1, 1000, 0, "time" },
	{ "milliseconds", 0, 1, 1000000, 0, "time" },
	{ "seconds", 0, 1, SECOND, 0, "time" },
	{ "minutes", 0, 1, 60 * SECOND, 0, "time" },
	{ "hours", 0, 1, 3600 * SECOND, 0, "time" },
	{ "days", 0, 1, 86400 * SECOND, 0, "time" },
	{ "bytes", 1, 0, 0, 0, "information" },
	{ "octets", 1, 0, 0, 0, "information" },
	{ "bits", 1, 0, 0, 0, "information; eight times the bytes, which the expression must say" },
	{ "bytes_per_second", 1, -1, 0, SECOND, "information by time" },
	{ "bits_per_second", 1, -1, 0, SECOND,
	  "information by time; eight times the bytes, which the expression must say" },
	{ "packets_per_second", 0, -1, 0, SECOND, "a number by time" },
	{ "hertz", 0, -1, 0, SECOND, "a number by time" },
	{ "packets", 0, 0, 0, 0, "a number" },
	{ "frames", 0, 0, 0, 0, "a number" },
	{ "segments", 0, 0, 0, 0, "a number" },
	{ "flows", 0, 0, 0, 0, "a number" },
	{ "connections", 0, 0, 0, 0, "a number" },
	{ "addresses", 0, 0, 0, 0, "a number" },
	{ "ports", 0, 0, 0, 0, "a number" },
	{ "hops", 0, 0, 0, 0, "a number" },
	{ "events", 0, 0, 0, 0, "a number" },
	{ "requests", 0, 0, 0, 0, "a number" },
	{ "responses", 0, 0, 0, 0, "a number" },
	{ "errors", 0, 0, 0, 0, "a number" },
	{ "ratio", 0, 0, 0, 0, "a share; 1 is all" },
	{ "percent", 0, 0, 0, 0, "a share; 100 is all, which the expression must say" },
	{ NULL, 0, 0, 0, 0, NULL },
};

static bool ends_with(const char *text, const char *end)
{
	size_t length = strlen(text), end_length = strlen(end);
	return length > end_length && !strcmp(text + length - end_length, end);
}

const struct amon_unit *amon_unit_find(const char *name, struct amon_unit *rate)
{
	for (const struct amon_unit *unit = amon_units; unit->name; unit++)
		if (!strcmp(unit->name, name))
			return unit;
	if (!ends_with(name, PER_SECOND))
		return NULL;
	*rate = (struct amon_unit){ name, 0, -1, 0, SECOND, "a number by time" };
	return rate;
}

bool amon_unit_fits(const struct amon_unit *unit, struct amon_dimension dimension)
{
	if (dimension.free && unit->time == 0)
		return true;
	return unit->information == dimension.information && unit->time == dimension.time;
}
