/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdlib.h>

#include "page.h"
#include "runtime/storage.h"

/* What stands in one column of the page: a column of the table, or how fast that one grows. */
struct lane {
	const struct amon_export_column *column;
	uint32_t index;
	bool is_rate;
	unsigned int width;
};

struct grid {
	const struct page *page;
	const struct amon_table_rows *rows;
	const struct amon_collected_table *earlier; /* NULL: none */
	struct lane *lanes;
	uint32_t lane_count, shown; /* from the left */
};

/* One line: cells, and what rates are made of. */
struct line {
	const struct amon_cell *cells;
	const char *label; /* in place of the keys; NULL: none */
	const void *record, *earlier;
};

static void rest_label(const struct amon_table_rows *rows, char text[CELL_MAX])
{
	snprintf(text, CELL_MAX, "rest (%" PRIu64 ")", rows->left_out);
}

static bool is_number(const struct amon_export_column *column)
{
	bool text = amon_base_is_address(column->type.base) || column->type.base == AMON_BASE_TIME ||
	            column->type.base == AMON_BASE_BOOL;

	return !text && !(column->kind == AMON_COLUMN_METRIC && column->aggregation->finish == AMON_FINISH_HISTOGRAM);
}

/* --- lines */

static struct line row_line(const struct grid *grid)
{
	const struct amon_table_rows *rows = grid->rows;

	return (struct line){
		.cells = amon_row_cells(rows, 0, rows->table->column_count),
		.record = amon_row_record(rows),
		.earlier = amon_live_earlier(rows->table, grid->earlier, amon_row_key(rows)),
	};
}

/* Rows move into and out of `rest`, so that only one that is reset says how fast it grows. */
static struct line rest_line(const struct grid *grid, const char *label)
{
	return (struct line){
		.cells = grid->rows->rest,
		.label = label,
		.record = grid->earlier ? NULL : grid->rows->rest_record,
	};
}

static struct line other_line(const struct grid *grid)
{
	return (struct line){
		.cells = grid->rows->other,
		.label = "other",
		.record = grid->rows->other_record,
		.earlier = grid->earlier ? grid->earlier->other : NULL,
	};
}

static void name_text(const struct lane *lane, char text[CELL_MAX])
{
	char name[CELL_MAX];

	page_name(lane->column->name, name);
	snprintf(text, CELL_MAX, "%.*s%s", CELL_MAX - 4, name, lane->is_rate ? "/s" : "");
}

static void unit_text(const struct lane *lane, char text[CELL_MAX])
{
	page_name(lane->is_rate ? "" : lane->column->unit, text);
}

static void lane_text(const struct grid *grid, const struct lane *lane, const struct line *line, char text[CELL_MAX])
{
	if (line->label && lane->column->kind == AMON_COLUMN_KEY)
		snprintf(text, CELL_MAX, "%s", lane->index ? "" : line->label);
	else if (lane->is_rate)
		page_rate_text(grid->page, lane->column, line->record, line->earlier, text);
	else
		page_cell_text(&line->cells[lane->index], text);
}

/* --- widths */

static void widen(struct lane *lane, const char *text)
{
	unsigned int width = page_width_of(text);

	if (width > lane->width)
		lane->width = width;
}

static void measure_line(struct grid *grid, struct line line)
{
	char text[CELL_MAX];

	for (uint32_t i = 0; i < grid->lane_count; i++) {
		lane_text(grid, &grid->lanes[i], &line, text);
		widen(&grid->lanes[i], text);
	}
}

static void measure(struct grid *grid)
{
	const struct amon_table_rows *rows = grid->rows;
	char text[CELL_MAX];
	uint64_t place = 0;

	for (uint32_t i = 0; i < grid->lane_count; i++) {
		name_text(&grid->lanes[i], text);
		widen(&grid->lanes[i], text);
		unit_text(&grid->lanes[i], text);
		widen(&grid->lanes[i], text);
	}
	for (uint64_t i = 0; i < grid->page->rows && amon_rows_next(rows, &place); i++)
		measure_line(grid, row_line(grid));
	rest_label(rows, text);
	if (rows->rest)
		measure_line(grid, rest_line(grid, text));
	if (rows->other)
		measure_line(grid, other_line(grid));
}

/* As many columns as the page is wide, but one. */
static void fit(struct grid *grid)
{
	unsigned int used = 0, width = grid->page->width;

	for (grid->shown = 0; grid->shown < grid->lane_count; grid->shown++) {
		used += 2 + grid->lanes[grid->shown].width;
		if (width && grid->shown && used > width)
			break;
	}
}

/* --- drawing */

static void put_line(const struct grid *grid, struct line line)
{
	const struct page *page = grid->page;
	char text[CELL_MAX];

	for (uint32_t i = 0; i < grid->shown; i++) {
		const struct lane *lane = &grid->lanes[i];
		bool in_label = line.label && lane->column->kind == AMON_COLUMN_KEY;

		lane_text(grid, lane, &line, text);
		fputs("  ", page->to);
		page_put_padded(page, text, lane->width, !in_label && is_number(lane->column));
	}
	putc('\n', page->to);
}

static void put_heading(const struct grid *grid, const char *style,
                        void (*heading)(const struct lane *lane, char text[CELL_MAX]))
{
	const struct page *page = grid->page;
	char text[CELL_MAX];

	if (page->color)
		fprintf(page->to, "\033[%sm", style);
	for (uint32_t i = 0; i < grid->shown; i++) {
		heading(&grid->lanes[i], text);
		fputs("  ", page->to);
		page_put_padded(page, text, grid->lanes[i].width, is_number(grid->lanes[i].column));
	}
	fputs(page->color ? "\033[0m\n" : "\n", page->to);
}

static bool has_units(const struct grid *grid)
{
	for (uint32_t i = 0; i < grid->shown; i++)
		if (*grid->lanes[i].column->unit)
			return true;
	return false;
}

static void put_hidden(const struct grid *grid)
{
	FILE *to = grid->page->to;
	char text[CELL_MAX];

	if (grid->shown == grid->lane_count)
		return;
	fputs("  not shown for want of width:", to);
	for (uint32_t i = grid->shown; i < grid->lane_count; i++) {
		name_text(&grid->lanes[i], text);
		fprintf(to, "%s %s", i > grid->shown ? "," : "", text);
	}
	putc('\n', to);
}

static void put_grid(const struct grid *grid)
{
	const struct amon_table_rows *rows = grid->rows;
	char label[CELL_MAX];
	uint64_t place = 0;

	put_heading(grid, BOLD, name_text);
	if (has_units(grid))
		put_heading(grid, DIM, unit_text);
	for (uint64_t i = 0; i < grid->page->rows && amon_rows_next(rows, &place); i++)
		put_line(grid, row_line(grid));
	rest_label(rows, label);
	if (rows->rest)
		put_line(grid, rest_line(grid, label));
	if (rows->other)
		put_line(grid, other_line(grid));
	put_hidden(grid);
}

static void make_lanes(struct grid *grid)
{
	const struct amon_export_table *table = grid->rows->table;

	for (uint32_t i = 0; i < table->column_count; i++) {
		const struct amon_export_column *column = &table->columns[i];

		grid->lanes[grid->lane_count++] = (struct lane){ .column = column, .index = i };
		/* what a flow counts, it counts all its life */
		if (!table->expire && page_has_rate(grid->page, column))
			grid->lanes[grid->lane_count++] = (struct lane){ column, i, true, 0 };
	}
}

void page_put_table(const struct page *page, uint32_t section, uint32_t table)
{
	const struct amon_table_rows *rows = &page->document->sections[section].tables[table];
	struct grid grid = { .page = page, .rows = rows };

	putc('\n', page->to);
	page_put_styled(page, BOLD, rows->table->name);
	fprintf(page->to, ": %" PRIu64 " %s\n", rows->row_count, rows->row_count == 1 ? "row" : "rows");
	if (!rows->row_count && !rows->rest && !rows->other)
		return;
	if (page->live && !rows->table->reset)
		grid.earlier = amon_live_table(page->live, section, table);
	grid.lanes = calloc(rows->table->column_count, 2 * sizeof(*grid.lanes));
	if (!grid.lanes)
		return;
	make_lanes(&grid);
	measure(&grid);
	fit(&grid);
	put_grid(&grid);
	free(grid.lanes);
}
