/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AMON_OBJECT_H
#define AMON_OBJECT_H
#include <stddef.h>
int amon_object_add_section(void **object, size_t *size, const char *name, const void *data, size_t length);
int amon_object_find_section(const void *object, size_t size, const char *name, const void **data, size_t *length);
#endif
