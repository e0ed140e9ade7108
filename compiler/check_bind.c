/* SPDX-License-Identifier: Apache-2.0 */
#include "check_internal.h"

/*
 * The first phase: every name of every block, outer blocks first, so that the order of statements means nothing. What
 * comes with a later version is refused here, and its name kept so that its uses are no errors of their own.
 */

void check_columns_init(struct amon_columns *columns)
{
	columns->last = &columns->first;
}

void check_columns_add(struct amon_columns *columns, struct amon_column *column)
{
	*columns->last = column;
	columns->last = &column->next;
	columns->count++;
}

struct amon_column *check_column_new(struct check *check, struct block *block, enum amon_column_kind kind,
                                     struct name *name, struct amon_span span)
{
	struct amon_column *column = amon_new(check->arena, struct amon_column);

	column->kind = kind;
	column->name = column->exported = name->text;
	column->span = span;
	column->divisor = column->multiplier = 1;
	column->table = block->table;
	column->section = block->section;
	column->order = block->order++;
	name->column = column;
	return column;
}

typedef void binder(struct check *check, struct block *block, const struct amon_statement *statement);

static void bind_statements(struct check *check, struct block *block, const struct amon_statement *statements);

/* --- what comes with a later version */

static const char *const later[] = {
	[AMON_STATEMENT_LEVEL] = "`level` comes",   [AMON_STATEMENT_FEATURE] = "`feature` comes",
	[AMON_STATEMENT_IMPORT] = "`import` comes", [AMON_STATEMENT_USE] = "`use` comes",
	[AMON_STATEMENT_SAMPLE] = "`sample` comes", [AMON_STATEMENT_LIMIT] = "`limit` comes",
};

static void bind_later(struct check *check, struct block *block, const struct amon_statement *statement)
{
	(void)block;
	check_later(check, statement->head, later[statement->kind]);
}

static void bind_later_name(struct check *check, struct block *block, const struct amon_statement *statement)
{
	bind_later(check, block, statement);
	check_name_define(check, block, NAME_LATER, statement->name, statement);
}

static void bind_use(struct check *check, struct block *block, const struct amon_statement *statement)
{
	bind_later(check, block, statement);
	block->open = true;
}

/* --- lets, params, columns */

static void bind_let(struct check *check, struct block *block, const struct amon_statement *statement)
{
	enum name_kind kind = statement->kind == AMON_STATEMENT_LET ? NAME_LET : NAME_PARAM;
	struct name *name = check_name_define(check, block, kind, statement->name, statement);

	name->syntax = statement->value;
}

static void bind_metric(struct check *check, struct block *block, const struct amon_statement *statement)
{
	bool fold = statement->fold_type.text;
	enum name_kind kind = statement->kind == AMON_STATEMENT_STATE ? NAME_STATE : fold ? NAME_FOLD : NAME_METRIC;
	struct name *name;

	if (!fold && statement->value->kind == AMON_SYNTAX_CALL && check_is_later_aggregation(statement->value->text)) {
		check_later(check, statement->value->span,
		            amon_arena_printf(check->arena, "%s() comes", statement->value->text));
		check_name_define(check, block, NAME_LATER, statement->name, statement);
		return;
	}
	name = check_name_define(check, block, kind, statement->name, statement);
	check_column_new(check, block, AMON_COLUMN_METRIC, name, statement->head);
}

static void bind_derive(struct check *check, struct block *block, const struct amon_statement *statement)
{
	struct name *name = check_name_define(check, block, NAME_DERIVE, statement->name, statement);

	name->syntax = statement->value;
	check_column_new(check, block, AMON_COLUMN_DERIVE, name, statement->head);
}

/* --- tables and sections */

static struct amon_table *table_new(struct check *check, struct amon_section *section,
                                    const struct amon_statement *statement)
{
	struct amon_table *table = amon_new(check->arena, struct amon_table), **last = &section->tables;

	table->name = statement->name.text;
	table->is_private = statement->is_private;
	table->help = statement->attributes.help.text;
	table->span = statement->head;
	table->section = section;
	table->size = AMON_DEFAULT_SIZE;
	check_columns_init(&table->keys);
	check_columns_init(&table->metrics);
	check_columns_init(&table->derives);
	check_columns_init(&table->memory.items);
	if (section->table_count == AMON_MAX_TABLES) {
		amon_error(check->diagnostics, statement->name.span, "a section has at most %d tables",
		           AMON_MAX_TABLES);
		return table;
	}
	section->table_count++;
	while (*last)
		last = &(*last)->next;
	return *last = table;
}

static void bind_table(struct check *check, struct block *block, const struct amon_statement *statement)
{
	struct name *name = check_name_define(check, block, NAME_TABLE, statement->name, statement);

	name->inside = check_block_new(check, block, statement);
	name->inside->section = block->section;
	name->inside->table = table_new(check, block->section, statement);
	name->inside->derives = &name->inside->table->derives;
}

static void bind_events(struct check *check, struct block *block, const struct amon_statement *statement)
{
	struct name *name = check_name_define(check, block, NAME_EVENTS, statement->name, statement);

	name->inside = check_block_new(check, block, statement);
	name->inside->section = block->section;
	name->inside->table = table_new(check, block->section, statement);
	name->inside->table->events = true;
	name->inside->table->size = AMON_DEFAULT_EVENTS;
}

static struct amon_section *section_new(struct check *check, const struct amon_statement *statement)
{
	struct amon_section *section = amon_new(check->arena, struct amon_section);

	section->span = statement->head;
	check_columns_init(&section->metrics);
	check_columns_init(&section->derives);
	check_columns_init(&section->memory.items);
	check_hooks(check, section, statement);
	check->probe->section_count++;
	*check->last_section = section;
	check->last_section = &section->next;
	return section;
}

static void bind_section(struct check *check, struct block *block, const struct amon_statement *statement)
{
	struct amon_section *section = section_new(check, statement);
	struct amon_name word = check_section_name(statement);
	struct name *name = check_name_define(check, block, NAME_SECTION, word, statement);

	section->name = word.text;
	name->inside = check_block_new(check, block, statement);
	name->inside->section = section;
	name->inside->derives = &section->derives;
}

/* --- blocks; what is missing here defines no name */

static binder *const binders[] = {
	[AMON_STATEMENT_SECTION] = bind_section,
	[AMON_STATEMENT_LEVEL] = bind_later_name,
	[AMON_STATEMENT_FEATURE] = bind_later,
	[AMON_STATEMENT_IMPORT] = bind_later,
	[AMON_STATEMENT_USE] = bind_use,
	[AMON_STATEMENT_LET] = bind_let,
	[AMON_STATEMENT_PARAM] = bind_let,
	[AMON_STATEMENT_METRIC] = bind_metric,
	[AMON_STATEMENT_STATE] = bind_metric,
	[AMON_STATEMENT_DERIVE] = bind_derive,
	[AMON_STATEMENT_TABLE] = bind_table,
	[AMON_STATEMENT_EVENTS] = bind_events,
	[AMON_STATEMENT_SOURCE] = check_source_define,
	[AMON_STATEMENT_SAMPLE] = bind_later,
	[AMON_STATEMENT_LIMIT] = bind_later,
};

static void bind_inside(struct check *check, struct block *block)
{
	for (struct block *inside = block->first_inside; inside; inside = inside->next) {
		for (const struct amon_key_syntax *key = inside->statement->keys; key; key = key->next)
			check_key_define(check, inside, key);
		bind_statements(check, inside, inside->statement->body);
	}
}

static void bind_statements(struct check *check, struct block *block, const struct amon_statement *statements)
{
	for (const struct amon_statement *statement = statements; statement; statement = statement->next)
		if (statement->kind < COUNT_OF(binders) && binders[statement->kind])
			binders[statement->kind](check, block, statement);
	bind_inside(check, block);
}

/* --- the file */

static const struct amon_statement *find_probe(struct check *check, const struct amon_file *file)
{
	const struct amon_statement *first = NULL;
	struct amon_span end = { file->source, file->source->length, file->source->length };
	bool library = false; /* of features, which a later version can use */

	for (const struct amon_statement *statement = file->statements; statement; statement = statement->next) {
		library = library || statement->kind == AMON_STATEMENT_FEATURE;
		if (statement->kind != AMON_STATEMENT_PROBE)
			continue;
		if (first) {
			amon_error(check->diagnostics, statement->name.span, "a file holds one probe");
			amon_note(check->diagnostics, first->name.span, "the first is here");
		} else {
			first = statement;
		}
	}
	if (!first && !library && !check->broken)
		check_help(check, amon_error(check->diagnostics, end, "there is no probe in this file"),
		           "write `probe NAME { ... }`");
	return first;
}

static void check_sections_exist(struct check *check, const struct amon_statement *probe)
{
	for (const struct amon_statement *statement = probe->body; statement; statement = statement->next)
		if (statement->kind == AMON_STATEMENT_LEVEL)
			return;
	if (!check->probe->sections && !check->broken)
		check_help(check,
		           amon_error(check->diagnostics, probe->name.span, "the probe `%s` has no section",
		                      probe->name.text),
		           "write `ingress { ... }`");
}

struct block *check_bind(struct check *check, const struct amon_file *file)
{
	struct block *outer = check_block_new(check, NULL, NULL), *block;
	const struct amon_statement *probe = find_probe(check, file);

	bind_statements(check, outer, file->statements);
	if (!probe)
		return NULL;
	check_name_reserved(check, NAME_PROBE, probe->name);
	check->probe->name = probe->name.text;
	check->probe->help = probe->attributes.help.text;
	block = check_block_new(check, outer, probe);
	block->derives = &check->probe->derives;
	check_columns_init(&check->probe->derives);
	bind_statements(check, block, probe->body);
	check_sections_exist(check, probe);
	return block;
}
