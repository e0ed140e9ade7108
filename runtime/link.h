/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AMON_LINK_H
#define AMON_LINK_H

#include <stddef.h>

#include "failure.h"

/** An object in memory. */
struct amon_image {
	const void *bytes;
	size_t size;
};

/**
 * Makes one object of several, as libbpf links them: functions that one declares and another defines meet, and each
 * brings its maps. `*linked` is the caller's (malloc). 0, or -errno and what does not fit together, for example a map
 * that two of them define.
 */
int amon_link(const struct amon_image *images, size_t count, void **linked, size_t *size, struct amon_failure *failure);

#endif
