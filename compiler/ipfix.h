/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AMON_IPFIX_H
#define AMON_IPFIX_H

#include <stdint.h>

/*
 * Information elements of IANA's registry (https://www.iana.org/assignments/ipfix), up to number 491. Newer ones, and
 * those of enterprises, are named by their numbers in a spec.
 */
struct amon_ipfix_element {
	const char *name;
	uint16_t id;
};

/** By its name, letter case included, or NULL. */
const struct amon_ipfix_element *amon_ipfix_find(const char *name);
/** The element whose name is closest (amon_closest()), or NULL. */
const char *amon_ipfix_closest(const char *name);

#endif
