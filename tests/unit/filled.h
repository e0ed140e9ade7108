/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FILLED_H
#define FILLED_H

#include <stdio.h>
#include <stdlib.h>

#include "runtime/export/export.h"
#include "runtime/storage.h"
#include "sample.h"

/* A read of the sample (sample.h): twelve packets of three flows, of which two are exported. Behind cmocka.h. */

struct fixture {
	struct amon_arena *arena;
	struct amon_exports *exports;
	struct amon_collected *collected;
	struct amon_document *document;
};

static const struct amon_window ten_seconds = {
	.sequence = 1,
	.start = 1767225600000000000,
	.end = 1767225610000000000,
	.clock_offset = 1767225600000000000,
};

static inline struct sample_section *section_of(struct fixture *fixture)
{
	return (struct sample_section *)(void *)fixture->collected->sections[0].record;
}

static inline void add_flow(struct fixture *fixture, uint8_t address, uint64_t packets, uint64_t bytes)
{
	struct sample_key key = { .src = { 10, 0, 0, address }, .port = 80, .version = 4 };
	struct sample_flow flow = { .packets = packets,
		                    .bytes = bytes,
		                    .lowest = 64,
		                    .start = 1,
		                    .via = { 2, [5] = address },
		                    .has_lowest = 1,
		                    .has_start = 1,
		                    .has_via = 1 };

	amon_collected_add(fixture->exports->sections[0].tables, fixture->collected->sections[0].tables, &key, &flow);
}

static inline void fill(struct fixture *fixture)
{
	struct sample_section *section = section_of(fixture);

	section->packets = 12;
	section->bytes = 900;
	section->sizes = 900;
	section->sizes_buckets[0] = 3;
	section->sizes_buckets[2] = 9;
	section->seen = (struct sample_packets){ 13, 960 };
	section->selected = (struct sample_packets){ 12, 900 };
	section->truncated = (struct sample_packets){ 1, 60 };
	section->flows_selected = section->selected;
	section->flows_in_rows = (struct sample_packets){ 11, 840 };
	section->flows_full = (struct sample_packets){ 1, 60 };
	add_flow(fixture, 1, 5, 450);
	add_flow(fixture, 2, 5, 300);
	add_flow(fixture, 3, 1, 90);
}

/* As `window` makes it: each read is what came since the one before. */
static inline void reset_all(struct amon_exports *exports)
{
	struct amon_export_section *section = exports->sections;

	section->reset = section->tables[0].reset = true;
	for (uint32_t i = 0; i < section->column_count; i++)
		section->columns[i].reset = true;
}

static inline int setup(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));

	fixture->arena = amon_arena_new();
	fixture->exports = sample_exports(fixture->arena);
	fixture->collected = amon_collected_new(fixture->exports);
	fill(fixture);
	*state = fixture;
	return amon_document(fixture->exports, fixture->collected, &ten_seconds, &fixture->document);
}

static inline int teardown(void **state)
{
	struct fixture *fixture = *state;

	amon_document_free(fixture->document);
	amon_collected_free(fixture->collected);
	amon_arena_free(fixture->arena);
	free(fixture);
	return 0;
}

static inline char *text_of(struct fixture *fixture, const char *format, const struct amon_format_options *options)
{
	char *text = NULL, *copy;
	size_t length;
	FILE *to = open_memstream(&text, &length);

	assert_int_equal(amon_format_find(format)->write(fixture->document, to, options), 0);
	fclose(to);
	copy = amon_arena_copy(fixture->arena, text, length);
	free(text);
	return copy;
}

#endif
