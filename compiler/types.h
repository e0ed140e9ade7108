/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AMON_TYPES_H
#define AMON_TYPES_H

#include <stdbool.h>
#include <stdint.h>

/* What a value is: shared by the compiler and, through the export table, by the runtime. */

enum amon_base {
	AMON_BASE_NONE,
	AMON_BASE_BOOL,
	AMON_BASE_INT,  /* 64-bit two's complement */
	AMON_BASE_REAL, /* a double: only in derives, having and parameters */
	AMON_BASE_IPV4, /* 4 bytes, network order */
	AMON_BASE_IPV6, /* 16 bytes */
	AMON_BASE_NET,  /* either: 16 bytes (IPv4 in the first 4, the rest 0) and a version byte (4 or 6) beside them */
	AMON_BASE_MAC,  /* 6 bytes */
	AMON_BASE_TIME, /* an instant, nanoseconds: the kernel's monotonic clock, or a capture's since 1970 */
	AMON_BASE_ROWS, /* a histogram: only its members can be used */
};

/**
 * Exponents of what is measured: bytes per second is {1, -1}. A duration is an INT of {0, 1} in nanoseconds, bits and
 * bytes are both information. `free` marks a literal number without a unit, which goes with bytes (not with time).
 */
struct amon_dimension {
	int8_t information, time;
	bool free;
};

struct amon_type {
	enum amon_base base;
	struct amon_dimension dimension;
	uint8_t bits;   /* an INT that is known to lie in [0, 2^bits): 1 to 63; 0: any 64-bit number; 64, in an export
	                   table: one without a sign */
	uint8_t prefix; /* an address under prefix(): its length, so that it is shown as a prefix; 0: a whole address */
	uint8_t prefix6; /* the same for the IPv6 half of a NET */
};

/** "bytes", "seconds", "an IPv4 address", "true or false": for messages. */
const char *amon_base_name(enum amon_base base);

static inline bool amon_base_is_address(enum amon_base base)
{
	return base >= AMON_BASE_IPV4 && base <= AMON_BASE_MAC;
}

#endif
