/* SPDX-License-Identifier: Apache-2.0 */
#include "live.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/evaluate.h"
#include "runtime/storage.h"

/* Escape sequences of a terminal (ECMA-48). */
#define UP           "\033[%uA\r"
#define CLEAR_LINE   "\033[K"
#define CLEAR_BELOW  "\033[J"
#define NORMAL_STYLE "\033[0m"

struct amon_live {
	unsigned int width, height;
	unsigned int lines;             /* of the page that stands there */
	struct amon_collected *earlier; /* the read before; NULL at first, and where all is reset */
	uint64_t earlier_end;
	uint64_t time; /* nanoseconds that rates are over */
};

struct amon_live *amon_live_new(void)
{
	return calloc(1, sizeof(struct amon_live));
}

void amon_live_free(struct amon_live *live)
{
	if (live)
		amon_collected_free(live->earlier);
	free(live);
}

void amon_live_size(struct amon_live *live, unsigned int width, unsigned int height)
{
	live->width = width;
	live->height = height;
}

unsigned int amon_live_height(const struct amon_live *live)
{
	return live->height;
}

/* --- rates */

void amon_live_begin(struct amon_live *live, const struct amon_document *document)
{
	uint64_t start = document->window.start;

	live->time = document->window.end - (live->earlier_end > start ? live->earlier_end : start);
}

const void *amon_live_section(const struct amon_live *live, uint32_t section)
{
	return live->earlier ? live->earlier->sections[section].record : NULL;
}

const struct amon_collected_table *amon_live_table(const struct amon_live *live, uint32_t section, uint32_t table)
{
	return live->earlier ? &live->earlier->sections[section].tables[table] : NULL;
}

/* Rows stand in the order of their keys. */
const void *amon_live_earlier(const struct amon_export_table *table, const struct amon_collected_table *earlier,
                              const void *key)
{
	uint64_t low = 0, high = earlier ? earlier->row_count : 0;

	while (low < high) {
		uint64_t middle = low + (high - low) / 2;
		int order = amon_compare_keys(table, earlier->keys + middle * table->key_size, key);

		if (!order)
			return earlier->records + middle * table->record_size;
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

static long double number_in(const struct amon_export_column *column, const void *record)
{
	struct amon_result result = amon_metric_result(column, record, AMON_MEMBER_VALUE);

	return result.kind == AMON_RESULT_NATURAL ? (long double)result.natural : (long double)result.integer;
}

bool amon_live_rate(const struct amon_live *live, const struct amon_export_column *column, const void *record,
                    const void *earlier, double *rate)
{
	long double number = number_in(column, record) - (earlier ? number_in(column, earlier) : 0);

	if (!live->time)
		return false;
	*rate = (double)(number * column->multiplier / column->divisor * 1e9L / live->time);
	return true;
}

/* --- drawing */

/* Puts a line as far as it fits; escape sequences take no room, and what they began ends with it. */
static const char *put_line(const struct amon_live *live, const char *text, FILE *to)
{
	bool styled = false, escape = false;
	unsigned int column = 0;

	for (; *text && *text != '\n'; text++) {
		if (*text == '\033')
			styled = escape = true;
		if (!escape && (*text & 0xc0) != 0x80)
			column++;
		if (escape || !live->width || column <= live->width)
			putc(*text, to);
		if (escape && *text == 'm')
			escape = false;
	}
	fputs(styled ? NORMAL_STYLE CLEAR_LINE "\n" : CLEAR_LINE "\n", to);
	return *text ? text + 1 : text;
}

static unsigned int count_lines(const char *text)
{
	unsigned int lines = 0;

	for (; *text; text++)
		lines += *text == '\n';
	return lines;
}

/* The last line of a terminal stays free, for the cursor. */
static void put_page(struct amon_live *live, const char *text, FILE *to)
{
	unsigned int all = count_lines(text), room = live->height > 2 ? live->height - 1 : all;
	unsigned int shown = all <= room ? all : room - 1;

	if (live->lines)
		fprintf(to, UP, live->lines);
	for (unsigned int i = 0; i < shown; i++)
		text = put_line(live, text, to);
	live->lines = shown;
	if (shown < all) {
		put_line(live, "… more, not shown for want of height", to);
		live->lines++;
	}
	fputs(CLEAR_BELOW, to);
}

static bool section_resets(const struct amon_export_section *section)
{
	for (uint32_t i = 0; i < section->column_count; i++)
		if (section->columns[i].kind == AMON_COLUMN_METRIC && !section->columns[i].reset)
			return false;
	for (uint32_t i = 0; i < section->table_count; i++)
		if (!section->tables[i].reset)
			return false;
	return true;
}

static bool all_resets(const struct amon_exports *exports)
{
	for (uint32_t i = 0; i < exports->section_count; i++)
		if (!section_resets(&exports->sections[i]))
			return false;
	return true;
}

static int keep(struct amon_live *live, const struct amon_document *document)
{
	struct amon_collected *copy = NULL;
	int error = 0;

	if (!all_resets(document->exports))
		error = amon_collected_copy(document->exports, document->collected, &copy);
	if (error)
		return error;
	amon_collected_free(live->earlier);
	live->earlier = copy;
	live->earlier_end = document->window.end;
	return 0;
}

int amon_live_draw(struct amon_live *live, const char *text, const struct amon_document *document, FILE *to)
{
	put_page(live, text, to);
	return keep(live, document);
}
