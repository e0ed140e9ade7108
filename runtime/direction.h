/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AMON_DIRECTION_H
#define AMON_DIRECTION_H

#include <stdbool.h>
#include <stdint.h>

/** Which way a captured packet went: into the machine, or out of it. */
enum amon_direction { AMON_DIRECTION_UNKNOWN, AMON_DIRECTION_INGRESS, AMON_DIRECTION_EGRESS };

/** Addresses of IPv4 or IPv6 that begin alike. */
struct amon_prefix {
	uint8_t bytes[16];
	uint32_t size;   /* of an address: 4 or 16 bytes */
	uint32_t length; /* bits that count */
};

/** Reads ADDRESS or ADDRESS/LENGTH; what the address says behind the length does not matter. False: it is neither. */
bool amon_prefix_read(const char *text, struct amon_prefix *prefix);

/**
 * The direction of an Ethernet packet by its outermost IP source, behind two VLAN tags, PPPoE and four MPLS labels at
 * most, as a probe parses it: out where a local prefix holds it, else in. UNKNOWN: no IP, or the capture cut the source
 * off.
 */
enum amon_direction amon_direction_by_source(const uint8_t *bytes, uint32_t captured, const struct amon_prefix *local,
                                             uint32_t local_count);

#endif
