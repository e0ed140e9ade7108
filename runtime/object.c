/* SPDX-License-Identifier: Apache-2.0 */
#include "object.h"
#include <errno.h>
int amon_object_add_section(void **object, size_t *size, const char *name, const void *data, size_t length) { (void)object;(void)size;(void)name;(void)data;(void)length; return 0; }
int amon_object_find_section(const void *object, size_t size, const char *name, const void **data, size_t *length) { (void)object;(void)size;(void)name;(void)data;(void)length;return -ENOENT; }
