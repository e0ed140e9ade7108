/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AMON_OBJECT_H
#define AMON_OBJECT_H

#include <stddef.h>

/*
 * Sections of amon's own inside a BPF object (.amon.exports, .amon.spec, .amon.source, .amon.lines), so that a compiled
 * probe is one file. They are not loaded; libbpf and other tools skip them. Bytes come from anywhere, so each offset is
 * checked.
 */

/**
 * Adds a section with a copy of `data`. `*object` was malloc'd and is replaced by another image; it stays as it is on
 * failure. Returns 0, -EINVAL where it is no whole BPF ELF object or `name` is empty, -EEXIST where it has such a
 * section, -E2BIG where no section fits any more, or -ENOMEM.
 */
int amon_object_add_section(void **object, size_t *size, const char *name, const void *data, size_t length);

/**
 * Finds a section; `*data` points into `object`. Returns 0, -ENOENT where there is none of this name, or -EINVAL where
 * the object is no whole BPF ELF object. Never reads outside of `object`.
 */
int amon_object_find_section(const void *object, size_t size, const char *name, const void **data, size_t *length);

#endif
