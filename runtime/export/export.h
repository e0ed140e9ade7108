/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AMON_EXPORT_H
#define AMON_EXPORT_H

#include "compiler/arena.h"
#include "runtime/document.h"

/** One a format: see struct amon_format. */
int amon_write_table(const struct amon_document *document, FILE *to, const struct amon_format_options *options);
int amon_write_json(const struct amon_document *document, FILE *to, const struct amon_format_options *options);
int amon_write_jsonl(const struct amon_document *document, FILE *to, const struct amon_format_options *options);
int amon_write_csv(const struct amon_document *document, FILE *to, const struct amon_format_options *options);
char *amon_csv_part(struct amon_arena *arena, const struct amon_exports *exports, uint32_t part);
int64_t amon_csv_only(const struct amon_exports *exports);
int amon_write_xml(const struct amon_document *document, FILE *to, const struct amon_format_options *options);
int amon_end_xml(FILE *to);
int amon_write_openmetrics(const struct amon_document *document, FILE *to, const struct amon_format_options *options);

/** Pushes out what was written: 0, or -errno of the stream. Set errno to 0 before the first write. */
int amon_export_end(FILE *to);

/* --- texts (text.c) */

/** Room for any of the texts below. */
#define AMON_TEXT_MAX 64

/** "10.0.0.1", "10.0.0.0/24", "00:1b:21:00:00:01". */
void amon_address_text(const struct amon_address *address, char text[AMON_TEXT_MAX]);
/** The shortest number that reads back as this one: "0.1", "5.0", "1e+20". Finite only. */
void amon_real_text(double real, char text[AMON_TEXT_MAX]);
/** RFC 3339 with `digits` digits of a second: "2026-01-01T00:00:00.000000000Z". */
void amon_time_text(uint64_t nanoseconds, unsigned int digits, char text[AMON_TEXT_MAX]);

/** A cell for machines: whole, reals as above, times with nine digits; "" for null, and for histograms, which are more.
 */
void amon_cell_text(const struct amon_cell *cell, char text[AMON_TEXT_MAX]);
/** The upper edge of a bucket that has one. */
void amon_edge_text(const struct amon_histogram_cell *histogram, const struct amon_bucket_cell *bucket,
                    char text[AMON_TEXT_MAX]);
/**
 * The next character of a text that may hold any bytes, and how many there are of it; moves on behind it, and gives 0
 * bytes at the end. U+FFFD for control characters and what is no UTF-8, so that what is left may stand in any format.
 */
const char *amon_character(const char **text, size_t *length);
/** A name that begins with a letter or `_` and goes on with these, digits and what `also` holds; `_` for all else. */
char *amon_identifier(struct amon_arena *arena, const char *name, const char *also);

/* --- hooks */

/** A hook of a section as it is used: what `ingress` alone became. */
enum amon_hook_kind amon_section_hook(const struct amon_document *document, const struct amon_hook *hook);
/** What is attached there; NULL in a replay. */
const struct amon_attached_hook *amon_hook_attached(const struct amon_document *document, enum amon_hook_kind kind);

#endif
