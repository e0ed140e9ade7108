/* SPDX-License-Identifier: Apache-2.0 */
#include "check_internal.h"

/* `snapshot` and `reset`, on whole blocks and on what stands in them. */

static struct amon_timing both(struct amon_timing a, struct amon_timing b)
{
	return (struct amon_timing){ a.snapshot || b.snapshot, a.reset || b.reset };
}

static struct amon_timing written(const struct amon_attributes *attributes)
{
	return (struct amon_timing){ attributes->snapshot.text != NULL, attributes->reset.text != NULL };
}

struct amon_timing check_timing(const struct block *block, struct amon_timing outer)
{
	for (const struct amon_statement *statement = block->statement->body; statement; statement = statement->next) {
		outer.snapshot |= statement->kind == AMON_STATEMENT_SNAPSHOT;
		outer.reset |= statement->kind == AMON_STATEMENT_RESET;
		if (statement->kind == AMON_STATEMENT_WINDOW) {
			outer.snapshot = true;
			outer.reset |= !statement->keep;
		}
	}
	return outer;
}

void check_timing_table(const struct block *block)
{
	struct amon_timing timing = both(block->section->timing, written(&block->statement->attributes));

	block->table->timing = check_timing(block, timing);
}

/* What came between two reads is a difference of totals, for what has one. */
static void check_difference(struct check *check, const struct amon_column *column)
{
	if (!column->timing.reset || column->timing.snapshot || column->aggregation->subtracts)
		return;
	bool fold = column->aggregation == &amon_aggregation_fold;
	check_help(
	        check,
	        amon_error(check->diagnostics, column->span,
	                   "`reset` alone cannot be exact for %s: a packet could fall between the read and the reset",
	                   fold ? "a fold" : amon_arena_printf(check->arena, "%s()", column->aggregation->name)),
	        "write `snapshot reset`");
}

void check_timing_column(struct check *check, struct amon_column *column, const struct amon_attributes *attributes)
{
	const struct amon_name *word = attributes->snapshot.text ? &attributes->snapshot : &attributes->reset;

	/* a reset of users' maps is done by the swap, whatever is in them */
	if (column->member)
		return;
	if (word->text && column->table)
		check_help(check,
		           amon_error(check->diagnostics, word->span, "`%s` does not stand behind what is in a table",
		                      word->text),
		           "write it behind the table: its rows are read together");
	if (!column->aggregation || column->table)
		return;
	column->timing = both(column->section->timing, written(attributes));
	check_difference(check, column);
}
