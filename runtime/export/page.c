/* SPDX-License-Identifier: Apache-2.0 */
#include "page.h"

#include <inttypes.h>
#include <string.h>

#define SPARKS 24

unsigned int page_width_of(const char *text)
{
	unsigned int width = 0;

	for (; *text; text++)
		width += (*text & 0xc0) != 0x80;
	return width;
}

void page_put_spaces(const struct page *page, unsigned int count)
{
	fprintf(page->to, "%*s", (int)count, "");
}

void page_put_padded(const struct page *page, const char *text, unsigned int width, bool right)
{
	unsigned int own = page_width_of(text), gap = width > own ? width - own : 0;

	if (right)
		page_put_spaces(page, gap);
	fputs(text, page->to);
	if (!right)
		page_put_spaces(page, gap);
}

void page_name(const char *name, char text[CELL_MAX])
{
	size_t used = 0, length;

	while (*name && used < CELL_MAX - 4) {
		const char *character = amon_character(&name, &length);

		memcpy(text + used, character, length);
		used += length;
	}
	text[used] = '\0';
}

void page_put_styled(const struct page *page, const char *style, const char *text)
{
	char name[CELL_MAX];

	page_name(text, name);
	if (page->color && style)
		fprintf(page->to, "\033[%sm%s\033[0m", style, name);
	else
		fputs(name, page->to);
}

/* --- cells */

uint64_t page_most_of(const struct amon_histogram_cell *histogram)
{
	uint64_t most = 1;

	for (uint32_t i = 0; i < histogram->bucket_count; i++)
		if (histogram->buckets[i].count > most)
			most = histogram->buckets[i].count;
	return most;
}

/* Eight heights, of which the least is still seen. */
static const char *spark(uint64_t count, uint64_t most)
{
	static const char *const sparks[] = { "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█" };

	return sparks[(unsigned int)(((long double)count * 8 - 1) / most)];
}

/* Buckets that are not empty. */
static void histogram_text(const struct amon_histogram_cell *histogram, char *text)
{
	uint64_t most = page_most_of(histogram);
	unsigned int shown = 0;

	text += sprintf(text, "%" PRIu64 " ", histogram->count);
	for (uint32_t i = 0; i < histogram->bucket_count; i++) {
		if (!histogram->buckets[i].count)
			continue;
		if (shown++ == SPARKS) {
			strcpy(text, "…");
			return;
		}
		text += sprintf(text, "%s", spark(histogram->buckets[i].count, most));
	}
}

void page_cell_text(const struct amon_cell *cell, char text[CELL_MAX])
{
	switch (cell->kind) {
	case AMON_CELL_NULL:
		strcpy(text, "-");
		break;
	case AMON_CELL_REAL:
		snprintf(text, CELL_MAX, "%.6g", cell->real);
		break;
	case AMON_CELL_TIME:
		amon_time_text(cell->time, 6, text);
		break;
	case AMON_CELL_HISTOGRAM:
		histogram_text(cell->histogram, text);
		break;
	default:
		amon_cell_text(cell, text);
		break;
	}
}

/* --- rates */

bool page_has_rate(const struct page *page, const struct amon_export_column *column)
{
	return page->live && column->kind == AMON_COLUMN_METRIC && column->aggregation->kind == AMON_COUNTER;
}

void page_rate_text(const struct page *page, const struct amon_export_column *column, const void *record,
                    const void *earlier, char text[CELL_MAX])
{
	double rate;

	if (record && amon_live_rate(page->live, column, record, earlier, &rate))
		snprintf(text, CELL_MAX, "%.6g", rate);
	else
		strcpy(text, "-");
}
