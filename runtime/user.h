/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AMON_USER_H
#define AMON_USER_H

#include "compiler/exports.h"

/* What is read of users' maps becomes rows such as amon's own maps hold: see struct amon_export_user. */

/** Fills in the keys among the columns from the bytes that their sources lie in, and the number of a CPU. */
void amon_user_key(const struct amon_export_column *columns, uint32_t count, const void *from, uint32_t cpu, void *key);
/** Fills in the metrics among the columns from one CPU's value; all else in the record stays as it is. */
void amon_user_record(const struct amon_export_column *columns, uint32_t count, const void *value, void *record);

#endif
