/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "check_internal.h"
#include "units.h"

/* A row of a list that has no members but one, or a key or value that is one number. */
#define NAME_OF_KEY   "key"
#define NAME_OF_VALUE "value"

/* --- the file, and its function */

static const struct amon_user_file *find_file(const struct check *check, const struct amon_statement *statement)
{
	for (uint32_t i = 0; i < check->options->user_count; i++)
		if (check->options->users[i].statement == statement)
			return &check->options->users[i];
	return NULL;
}

/* What a hook hands to its programs. */
static const char *context_of(const struct amon_hook *hook)
{
	return hook->kind == AMON_HOOK_XDP ? "xdp_md" : "__sk_buff";
}

/* The file is compiled for one context, so the section has to say which. */
static bool hooks_are_alike(struct check *check, const struct amon_section *section,
                            const struct amon_statement *statement)
{
	for (uint32_t i = 0; i < section->hook_count; i++) {
		const struct amon_hook *hook = &section->hooks[i];

		if (hook->choice) {
			check_help(check,
			           amon_error(check->diagnostics, statement->head,
			                      "C is written for XDP or for TC, and `ingress` alone may be either"),
			           "write `ingress xdp` or `ingress tc`");
			amon_note(check->diagnostics, hook->span, "the hook is here");
			return false;
		}
		if (strcmp(context_of(hook), context_of(section->hooks)) != 0) {
			amon_error(check->diagnostics, statement->head,
			           "C is written for XDP or for TC, and this section runs at both");
			amon_note(check->diagnostics, hook->span, "the other hook is here");
			return false;
		}
	}
	return section->hook_count;
}

static void complain_entry(struct check *check, const struct amon_user_file *file, struct amon_span span,
                           const char *context, const char *fault)
{
	struct amon_span at = file->entry_span.source ? file->entry_span : span;

	check_help(check, amon_error(check->diagnostics, at, "%s", fault), "write `int amon_packet(struct %s *%s)`",
	           context, strcmp(context, "xdp_md") ? "skb" : "xdp");
}

static void check_entry(struct check *check, const struct amon_user_file *file, const struct amon_section *section,
                        struct amon_span span)
{
	const char *context = context_of(section->hooks);

	if (file->is_static)
		complain_entry(check, file, span, context,
		               "amon_packet() is static, and cannot be called from elsewhere");
	else if (!file->has_entry)
		complain_entry(
		        check, file, span, context,
		        amon_arena_printf(check->arena, "%s defines no function amon_packet()", file->source->name));
	else if (!file->context || strcmp(file->context, context) != 0)
		complain_entry(check, file, span, context,
		               amon_arena_printf(check->arena,
		                                 "amon_packet() takes no `struct %s *`, which %s hands to it", context,
		                                 section->hooks->kind == AMON_HOOK_XDP ? "XDP" : "TC"));
	else if (!file->returns_int)
		complain_entry(check, file, span, context, "amon_packet() returns no int");
}

/* --- which map */

static const struct amon_user_map *find_map(struct check *check, const struct amon_user_file *file,
                                            const struct amon_name *name)
{
	struct candidates candidates = { .check = check };

	for (uint32_t i = 0; i < file->map_count; i++) {
		if (!strcmp(file->maps[i].name, name->text))
			return &file->maps[i];
		check_candidate(&candidates, file->maps[i].name);
	}
	check_suggest(
	        amon_error(check->diagnostics, name->span, "%s defines no map `%s`", file->source->name, name->text),
	        &candidates, name->text);
	return NULL;
}

static bool is_first(struct check *check, const struct amon_user *user, const struct amon_statement *statement)
{
	for (const struct amon_user_export *other = user->exports; other; other = other->next)
		if (!strcmp(other->statement->word.text, statement->word.text)) {
			amon_error(check->diagnostics, statement->word.span, "the map `%s` is exported twice",
			           statement->word.text);
			amon_note(check->diagnostics, other->statement->word.span, "the first is here");
			return false;
		}
	return true;
}

/* Says it of a map, and shows the place in the C. */
static void complain_map(struct check *check, const struct amon_statement *statement, const struct amon_user_map *map,
                         const char *fault, const char *help)
{
	struct amon_diagnostic *error =
	        amon_error(check->diagnostics, statement->word.span, "the map `%s` %s", map->name, fault);

	if (help)
		check_help(check, error, "%s", help);
	if (map->span.source)
		amon_note(check->diagnostics, map->span, "the map is here");
}

static bool can_be_exported(struct check *check, const struct amon_statement *statement,
                            const struct amon_user_map *map)
{
	if (!map->fault)
		return true;
	check_help(check,
	           amon_error(check->diagnostics, statement->word.span, "the map `%s` cannot be exported: it %s",
	                      map->name, map->fault),
	           "a map that is not named here stays private, whatever it holds");
	if (map->fault_span.source)
		amon_note(check->diagnostics, map->fault_span, "it is here");
	return false;
}

/* A metric is one value. */
static bool is_one_value(struct check *check, const struct amon_statement *statement, const struct amon_user_map *map)
{
	bool array = map->kind == AMON_MAP_ARRAY || map->kind == AMON_MAP_PERCPU_ARRAY;

	if (array && map->entries == 1)
		return true;
	complain_map(check, statement, map,
	             array ? amon_arena_printf(check->arena, "has %u entries, and a metric is one value", map->entries)
	                   : "is no array of one entry, and a metric is one value",
	             amon_arena_printf(check->arena, "write `table %s = map %s`", statement->name.text, map->name));
	return false;
}

/* --- aggregate: what becomes of the values of several CPUs */

static const struct aggregate {
	const char *word, *aggregation; /* aggregation NULL: none */
} aggregates[] = { { "sum", "sum" }, { "avg", "mean" }, { "min", "min" }, { "max", "max" }, { "none", NULL } };

static const struct aggregate *find_aggregate(struct check *check, const struct amon_name *word)
{
	struct candidates candidates = { .check = check };

	for (size_t i = 0; i < COUNT_OF(aggregates); i++) {
		if (!strcmp(aggregates[i].word, word->text))
			return &aggregates[i];
		check_candidate(&candidates, aggregates[i].word);
	}
	check_suggest(amon_error(check->diagnostics, word->span, "`aggregate` is sum, avg, min, max or none, not `%s`",
	                         word->text),
	              &candidates, word->text);
	return NULL;
}

/* NULL, with an error, where what is written does not fit the map. */
static const struct aggregate *check_aggregate(struct check *check, const struct amon_user_export *export)
{
	static const struct aggregate shared = { "", NULL };
	const struct amon_name *word = &export->statement->attributes.aggregate;
	bool percpu = amon_map_is_percpu(export->map->kind);
	const struct aggregate *aggregate = word->text ? find_aggregate(check, word) : &shared;

	if (word->text && !percpu) {
		amon_error(check->diagnostics, word->span,
		           "the map `%s` has no value for each CPU, so there is nothing to aggregate",
		           export->map->name);
		return NULL;
	}
	if (!word->text && percpu) {
		complain_map(check, export->statement, export->map, "has a value for each CPU: which becomes of them?",
		             "write `aggregate sum`, `avg`, `min`, `max` or `none`");
		return NULL;
	}
	if (aggregate && word->text && !aggregate->aggregation && !export->is_table) {
		check_help(check,
		           amon_error(check->diagnostics, word->span,
		                      "with `aggregate none` there is a value for each CPU, and a metric is one"),
		           "write `table %s = map %s aggregate none`", export->name, export->map->name);
		return NULL;
	}
	return aggregate;
}

/* Numbers without a sign have a least and a greatest of their own. */
static const struct amon_aggregation *aggregation_of(const struct aggregate *aggregate,
                                                     const struct amon_user_member *member)
{
	const struct amon_aggregation *found =
	        aggregate->aggregation ? amon_aggregation_find(aggregate->aggregation) : &amon_aggregation_value;
	bool without_sign = member->source.form != AMON_FORM_SIGNED;

	if (without_sign && found->merge == AMON_MERGE_MIN)
		return &amon_aggregation_least;
	if (without_sign && found->merge == AMON_MERGE_MAX)
		return &amon_aggregation_most;
	return found;
}

static struct amon_type type_of(const struct aggregate *aggregate, const struct amon_user_member *member)
{
	struct amon_type type = member->type;

	if (!aggregate->aggregation || type.base != AMON_BASE_INT)
		return type;
	if (!strcmp(aggregate->aggregation, "mean"))
		type.base = AMON_BASE_REAL;
	/* of several, a sum is as wide as it gets */
	if (!strcmp(aggregate->aggregation, "sum") && type.bits)
		type.bits = 64;
	return type;
}

/* --- columns */

static struct amon_column *column_new(struct check *check, struct block *block, struct amon_user_export *export,
                                      enum amon_column_kind kind, const char *name,
                                      const struct amon_user_member *member)
{
	struct amon_column *column = amon_new(check->arena, struct amon_column);

	column->kind = kind;
	column->name = column->exported = name;
	column->type = member->type;
	column->span = export->span;
	column->divisor = column->multiplier = 1;
	column->section = block->section;
	column->member = member;
	return column;
}

static bool has_column(const struct amon_columns *columns, const char *name)
{
	for (const struct amon_column *c = columns->first; c; c = c->next)
		if (!strcmp(c->name, name))
			return true;
	return false;
}

/* Where key and value have a member of one name, the value's is called `value.NAME`. */
static const char *column_name(struct check *check, const struct amon_user_export *export, const char *member,
                               const char *whole)
{
	const char *name = *member == '[' ? amon_arena_printf(check->arena, "%s%s", whole, member)
	                   : *member      ? member
	                                  : whole;

	if (!has_column(&export->keys, name))
		return name;
	return amon_arena_printf(check->arena, "%s.%s", NAME_OF_VALUE, name);
}

static void add_keys(struct check *check, struct block *block, struct amon_user_export *export,
                     const struct amon_user_struct *from, const char *whole)
{
	for (uint32_t i = 0; i < from->count; i++)
		check_columns_add(&export->keys, column_new(check, block, export, AMON_COLUMN_KEY,
		                                            column_name(check, export, from->members[i].name, whole),
		                                            &from->members[i]));
}

/* A row for each CPU. */
static void add_cpu(struct check *check, struct block *block, struct amon_user_export *export)
{
	static const struct amon_user_member cpu = {
		.name = "cpu",
		.type = { .base = AMON_BASE_INT, .bits = 32 },
		.source = { .form = AMON_FORM_CPU },
	};

	check_columns_add(&export->keys, column_new(check, block, export, AMON_COLUMN_KEY,
	                                            column_name(check, export, cpu.name, cpu.name), &cpu));
}

static void complain_address(struct check *check, const struct amon_user_export *export,
                             const struct amon_user_member *member)
{
	check_help(check,
	           amon_error(check->diagnostics, export->statement->attributes.aggregate.span,
	                      "%s%s%s of the map `%s` is an address, and cannot be aggregated",
	                      *member->name ? "`" : "", *member->name ? member->name : "the value",
	                      *member->name ? "`" : "", export->map->name),
	           "write `aggregate none`");
}

static void set_aggregation(struct check *check, struct amon_user_export *export, const struct aggregate *aggregate,
                            struct amon_column *column)
{
	if (aggregate->aggregation && amon_base_is_address(column->type.base)) {
		complain_address(check, export, column->member);
		return;
	}
	column->aggregation = aggregation_of(aggregate, column->member);
	column->type = type_of(aggregate, column->member);
}

static void define_table(struct check *check, struct block *block, struct amon_user_export *export,
                         const struct aggregate *aggregate)
{
	const struct amon_user_map *map = export->map;

	check_name_define(check, block, NAME_MAP, export->statement->name, export->statement);
	if (amon_map_is_list(map->kind)) {
		add_keys(check, block, export, &map->value, NAME_OF_VALUE);
		return;
	}
	add_keys(check, block, export, &map->key, NAME_OF_KEY);
	if (amon_map_is_percpu(map->kind) && !aggregate->aggregation)
		add_cpu(check, block, export);
	for (uint32_t i = 0; i < map->value.count; i++) {
		struct amon_column *column = column_new(
		        check, block, export, AMON_COLUMN_METRIC,
		        column_name(check, export, map->value.members[i].name, NAME_OF_VALUE), &map->value.members[i]);

		set_aggregation(check, export, aggregate, column);
		check_columns_add(&export->metrics, column);
	}
}

/* `total`, or of a struct `total.packets` and `total.bytes`. */
static void define_metrics(struct check *check, struct block *block, struct amon_user_export *export,
                           const struct aggregate *aggregate)
{
	const struct amon_user_struct *value = &export->map->value;
	const struct amon_statement *statement = export->statement;
	bool whole = value->count == 1 && !*value->members[0].name;

	if (!whole)
		check_name_define(check, block, NAME_MAP, statement->name, statement);
	for (uint32_t i = 0; i < value->count; i++) {
		const char *member = value->members[i].name;
		struct amon_name word = { whole ? export->name
			                        : amon_arena_printf(check->arena, "%s%s%s", export->name,
			                                            *member == '[' ? "" : ".", member),
			                  statement->name.span };
		struct name *name = check_name_define(check, block, NAME_METRIC, word, statement);
		struct amon_column *column =
		        column_new(check, block, export, AMON_COLUMN_METRIC, word.text, &value->members[i]);

		column->order = block->order++;
		name->column = column;
		set_aggregation(check, export, aggregate, column);
		check_columns_add(&export->metrics, column);
	}
}

/* --- binding */

static void define_later(struct check *check, struct block *block, const struct amon_statement *statement)
{
	check_name_define(check, block, NAME_LATER, statement->name, statement);
}

static struct amon_user_export *export_new(struct check *check, struct block *block,
                                           const struct amon_statement *statement, const struct amon_user_map *map)
{
	struct amon_user_export *export = amon_new(check->arena, struct amon_user_export);

	export->name = statement->name.text;
	export->help = statement->attributes.help.text;
	export->span = statement->head;
	export->statement = statement;
	export->map = map;
	export->is_table = statement->kind == AMON_STATEMENT_MAP_TABLE;
	export->section = block->section;
	check_columns_init(&export->keys);
	check_columns_init(&export->metrics);
	return export;
}

static void define_map(struct check *check, struct block *block, struct amon_user *user,
                       const struct amon_statement *statement)
{
	const struct amon_user_map *map = find_map(check, user->file, &statement->word);
	bool good = map && is_first(check, user, statement) && can_be_exported(check, statement, map) &&
	            (statement->kind == AMON_STATEMENT_MAP_TABLE || is_one_value(check, statement, map));
	struct amon_user_export *export = good ? export_new(check, block, statement, map) : NULL;
	const struct aggregate *aggregate = export ? check_aggregate(check, export) : NULL;

	if (!aggregate) {
		define_later(check, block, statement);
		return;
	}
	if (export->is_table)
		define_table(check, block, export, aggregate);
	else
		define_metrics(check, block, export, aggregate);
	*user->last = export;
	user->last = &export->next;
}

void check_source_define(struct check *check, struct block *block, const struct amon_statement *statement)
{
	const struct amon_user_file *file = find_file(check, statement);
	struct amon_user *user = amon_new(check->arena, struct amon_user), **last = &block->section->users;

	if (!file || !file->source || !hooks_are_alike(check, block->section, statement)) {
		if (!file)
			amon_error(check->diagnostics, statement->value->span, "this file of C was not compiled");
		for (const struct amon_statement *map = statement->body; map; map = map->next)
			define_later(check, block, map);
		return;
	}
	user->file = file;
	user->span = statement->head;
	user->last = &user->exports;
	while (*last)
		last = &(*last)->next;
	*last = user;
	check_entry(check, file, block->section, statement->value->span);
	for (const struct amon_statement *map = statement->body; map; map = map->next)
		define_map(check, block, user, map);
}

/* --- what a read returns */

static bool adds_up(const struct amon_user_export *export)
{
	const struct amon_aggregation *aggregation =
	        export->metrics.first ? export->metrics.first->aggregation : &amon_aggregation_value;

	/* none where that was refused */
	return !aggregation || (aggregation != &amon_aggregation_value && aggregation->finish != AMON_FINISH_MEAN);
}

/* Totals of two clones are one total only where it is known what becomes of two values. */
static void check_export_timing(struct check *check, struct amon_user_export *export)
{
	const struct amon_attributes *attributes = &export->statement->attributes;
	const struct amon_timing *section = &export->section->timing;
	bool taken = export->map->kind == AMON_MAP_QUEUE || export->map->kind == AMON_MAP_STACK;

	export->timing = (struct amon_timing){ section->snapshot || attributes->snapshot.text,
		                               section->reset || attributes->reset.text };
	if (taken && !export->timing.reset)
		complain_map(check, export->statement, export->map, "can only be read by taking out what is in it",
		             "write `reset`");
	else if (export->timing.snapshot && !export->timing.reset && !adds_up(export))
		check_help(check,
		           amon_error(check->diagnostics, export->span,
		                      "`snapshot` alone would have to make one total of the values of two clones, and "
		                      "nothing says how"),
		           "write `snapshot reset`");
}

/* Free names are for what a number counts; one close to a known unit's is most likely that one misspelt. */
static void check_unit_name(struct check *check, const struct amon_name *name)
{
	struct candidates candidates = { .check = check };
	const char *close;

	for (const struct amon_unit *unit = amon_units; unit->name; unit++)
		check_candidate(&candidates, unit->name);
	close = amon_closest(name->text, candidates.words, candidates.count);
	if (close)
		check_help(check, amon_error(check->diagnostics, name->span, "there is no unit `%s`", name->text),
		           "did you mean `%s`?", close);
}

static void check_export_unit(struct check *check, struct amon_user_export *export, struct amon_column *column)
{
	const struct amon_attributes *attributes = &export->statement->attributes;
	struct amon_unit rate;
	const struct amon_unit *unit = attributes->unit.text ? amon_unit_find(attributes->unit.text, &rate) : NULL;

	/* in C a number has no unit of its own: it is what the spec says */
	if (unit && column->type.base != AMON_BASE_NONE && !amon_base_is_address(column->type.base))
		column->type.dimension = (struct amon_dimension){ unit->information, unit->time, false };
	else if (attributes->unit.text && !unit)
		check_unit_name(check, &attributes->unit);
	check_attributes(check, column, attributes);
}

static void check_export(struct check *check, struct amon_user_export *export)
{
	const struct amon_attributes *attributes = &export->statement->attributes;
	const struct amon_name *one = attributes->as.text      ? &attributes->as
	                              : attributes->ipfix.text ? &attributes->ipfix
	                                                       : &attributes->unit;

	check_export_timing(check, export);
	for (struct amon_column *column = export->metrics.first; column; column = column->next)
		column->timing = export->timing;
	if (export->is_table)
		return;
	if (export->metrics.count > 1 && one->text)
		amon_error(check->diagnostics, one->span, "`%s` is %u metrics, one for each member of its value",
		           export->name, export->metrics.count);
	else if (export->metrics.first && export->metrics.first->aggregation)
		check_export_unit(check, export, export->metrics.first);
	for (struct amon_column *column = export->metrics.first; column; column = column->next)
		column->help = export->help;
}

void check_sources(struct check *check, struct block *section)
{
	const struct amon_value *where = section->section->where;

	if (section->section->users && where && check_reads_memory(where))
		amon_error(check->diagnostics, where->span,
		           "a `where` that reads what is remembered cannot narrow what C sees");
	for (struct amon_user *user = section->section->users; user; user = user->next)
		for (struct amon_user_export *export = user->exports; export; export = export->next)
			check_export(check, export);
}
