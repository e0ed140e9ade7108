/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AMON_UNITS_H
#define AMON_UNITS_H

#include <stdbool.h>
#include <stdint.h>

#include "types.h"

/*
 * THE table of units: what `unit NAME` may stand behind, and how nanoseconds become it. Bits and bytes are both
 * information and are not converted.
 */
struct amon_unit {
	const char *name;
	int8_t information, time;     /* exponents that the value must have */
	uint64_t divisor, multiplier; /* exported = value / divisor, or value * multiplier; 0 stands for 1 */
	const char *help;
};

/** Ended by a row whose name is NULL. */
extern const struct amon_unit amon_units[];

/**
 * The unit of that name. Besides the rows of the table, every NAME_per_second is a unit of a number by time; it is put
 * into *rate, which must live as long as the result. NULL where there is none.
 */
const struct amon_unit *amon_unit_find(const char *name, struct amon_unit *rate);

bool amon_unit_fits(const struct amon_unit *unit, struct amon_dimension dimension);

#endif
