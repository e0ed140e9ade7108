/* SPDX-License-Identifier: Apache-2.0 */
#include "types.h"

static const char *const base_names[] = {
	[AMON_BASE_NONE] = "nothing",      [AMON_BASE_BOOL] = "true or false",   [AMON_BASE_INT] = "a number",
	[AMON_BASE_REAL] = "a number",     [AMON_BASE_IPV4] = "an IPv4 address", [AMON_BASE_IPV6] = "an IPv6 address",
	[AMON_BASE_NET] = "an IP address", [AMON_BASE_MAC] = "a MAC address",    [AMON_BASE_TIME] = "an instant",
	[AMON_BASE_ROWS] = "a histogram",
};

const char *amon_base_name(enum amon_base base)
{
	return base_names[base];
}
