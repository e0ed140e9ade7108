/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AMON_CLEANUP_H
#define AMON_CLEANUP_H

#include <stdlib.h>
#include <unistd.h>

/* What a function owns goes with its scope: declare it AMON_CLOSES int fd, AMON_FREES char *text; hand it on by
 * amon_take_fd(). */
static inline void amon_close(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static inline void amon_free(void *pointer)
{
	free(*(void **)pointer);
}

static inline int amon_take_fd(int *fd)
{
	int taken = *fd;

	*fd = -1;
	return taken;
}

#define AMON_CLOSES __attribute__((cleanup(amon_close)))
#define AMON_FREES  __attribute__((cleanup(amon_free)))

#endif
