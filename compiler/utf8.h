/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AMON_UTF8_H
#define AMON_UTF8_H

#include <stddef.h>

/** The length in bytes of the well-formed UTF-8 character at `text`, of which `left` bytes may be read; 0 where there
 * is none. */
size_t amon_utf8_length(const char *text, size_t left);

#endif
