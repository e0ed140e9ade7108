/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "check_internal.h"
#include "ipfix.h"

/* --- keys: what they are called */

static const char *const flow_fields[] = { "net.src", "net.dst", "net.proto", "l4.srcport", "l4.dstport" };

static void define_key(struct check *check, struct block *block, struct amon_name name, const struct amon_syntax *value)
{
	struct name *key = check_name_define(check, block, NAME_KEY, name, block->statement);

	key->syntax = value;
	check_column_new(check, block, AMON_COLUMN_KEY, key, value->span);
}

/* `flow` stands for the five fields, as if each had been written. */
static void define_flow(struct check *check, struct block *block, const struct amon_syntax *flow)
{
	for (size_t i = 0; i < COUNT_OF(flow_fields); i++) {
		struct amon_syntax *field = amon_new(check->arena, struct amon_syntax);

		*field = (struct amon_syntax){
			.kind = AMON_SYNTAX_NAME, .span = flow->span, .text = flow_fields[i], .depth = 1
		};
		define_key(check, block, (struct amon_name){ flow_fields[i], flow->span }, field);
	}
}

static bool is_word(const struct amon_syntax *syntax, enum amon_syntax_kind kind, const char *word)
{
	return syntax->kind == kind && !strcmp(syntax->text, word);
}

/* A let that stands as a key gives its name. */
static bool has_name(const struct block *block, const struct amon_syntax *value)
{
	if (value->kind != AMON_SYNTAX_NAME || amon_protocol_find(value->text))
		return false;
	return strchr(value->text, '.') || check_name_find(block, value->text, NAME_PACKETS) ||
	       check_is_later_field(value->text);
}

static void complain_nameless(struct check *check, struct block *block, const struct amon_syntax *value)
{
	struct place place = { check, block, WORLD_PACKET, .home = block->outer };

	if (!check_is_nothing(check_expression(&place, value)))
		check_help(check, amon_error(check->diagnostics, value->span, "this key has no name"),
		           "write `NAME = %.*s`", (int)(value->span.end - value->span.start),
		           value->span.source->text + value->span.start);
	block->open = true; /* its name may be asked for */
}

void check_key_define(struct check *check, struct block *block, const struct amon_key_syntax *key)
{
	const struct amon_syntax *value = key->value;

	if (is_word(value, AMON_SYNTAX_CALL, "biflow")) {
		check_later(check, value->span, "`biflow` keys come");
		block->biflow = true;
		block->open = true; /* the names of its columns */
	} else if (is_word(value, AMON_SYNTAX_NAME, "flow") && key->name.text) {
		amon_error(check->diagnostics, key->name.span, "`flow` is five keys and takes no name");
	} else if (is_word(value, AMON_SYNTAX_NAME, "flow")) {
		define_flow(check, block, value);
	} else if (key->name.text) {
		define_key(check, block, key->name, value);
	} else if (has_name(block, value)) {
		define_key(check, block, (struct amon_name){ value->text, value->span }, value);
	} else {
		complain_nameless(check, block, value);
	}
}

/* --- keys: what they are */

static bool is_port(const struct amon_value *value)
{
	return value->kind == AMON_VALUE_FIELD &&
	       (!strcmp(value->field->name, "l4.srcport") || !strcmp(value->field->name, "l4.dstport"));
}

/* Bytes in the table's key; one more says which version all its addresses of `net.` are. */
static uint32_t width_of(struct amon_type type)
{
	if (type.base == AMON_BASE_BOOL)
		return 1;
	if (type.base != AMON_BASE_INT)
		return amon_value_size(type.base);
	return !type.bits || type.bits > 32 ? 8 : type.bits > 16 ? 4 : type.bits > 8 ? 2 : 1;
}

/* A field of an event is of the packets that its `where` lets through. */
static bool check_key(struct check *check, struct name *name, struct amon_column *narrowed)
{
	struct place place = { check, name->block, WORLD_PACKET, .home = name->block->outer, .narrowed = narrowed };
	struct amon_value *value = check_expression(&place, name->syntax);
	struct amon_column *column = name->column;

	if (check_is_nothing(value) || check_key_memory(check, name->block->table, value))
		return false;
	if (check_is_constant(value)) {
		amon_error(check->diagnostics, value->span,
		           name->block->table->events ? "a constant is the same in every event"
		                                      : "a key is no constant: all packets would fall in one row");
		return false;
	}
	column->value = value;
	column->type = value->type;
	column->port_key = is_port(value);
	if (value->kind == AMON_VALUE_FIELD) {
		column->ipfix = value->field->ipfix;
		column->ipfix_id = column->ipfix ? amon_ipfix_find(column->ipfix)->id : 0;
		column->help = value->field->help;
	}
	return true;
}

static struct amon_span keys_span(const struct block *block)
{
	const struct amon_key_syntax *key = block->statement->keys;
	struct amon_span span = key->name.text ? key->name.span : key->value->span;

	while (key->next)
		key = key->next;
	span.end = key->value->span.end;
	return span;
}

static void check_keys(struct check *check, struct block *block, struct amon_column *narrowed)
{
	uint32_t width = 0, version = 0;

	for (struct name *name = block->first; name; name = name->next) {
		if (name->kind != NAME_KEY || !check_key(check, name, narrowed))
			continue;
		check_columns_add(&block->table->keys, name->column);
		width += width_of(name->column->type);
		if (name->column->type.base == AMON_BASE_NET)
			version = 1;
	}
	uint32_t most = block->table->events ? AMON_MAX_EVENT : AMON_MAX_KEY;
	if (width + version > most)
		amon_error(check->diagnostics, keys_span(block), "%s at most %u bytes, not %u",
		           block->table->events ? "an event is" : "a table's key is", most, width + version);
}

/* --- attributes */

static void read_overflow(struct check *check, struct amon_table *table, const struct amon_name *word)
{
	struct candidates candidates = { .check = check };

	if (!word->text || !strcmp(word->text, "other")) {
		table->overflow = AMON_OVERFLOW_OTHER;
	} else if (!strcmp(word->text, "drop")) {
		table->overflow = AMON_OVERFLOW_DROP;
	} else if (!strcmp(word->text, "evict")) {
		table->overflow = AMON_OVERFLOW_EVICT;
	} else {
		check_candidate(&candidates, "other");
		check_candidate(&candidates, "drop");
		check_candidate(&candidates, "evict");
		check_suggest(amon_error(check->diagnostics, word->span,
		                         "`overflow` is `other`, `evict` or `drop`, not `%s`", word->text),
		              &candidates, word->text);
	}
}

static void read_size(struct check *check, struct block *block, const struct amon_syntax *size)
{
	struct place place = { check, block, WORLD_PACKET, .home = NULL };
	int64_t rows;

	if (size && check_constant(&place, size, "a table's size", 1, AMON_MAX_SIZE, &rows))
		block->table->size = (uint32_t)rows;
}

static void read_where(struct check *check, struct block *block, const struct amon_syntax *where)
{
	struct place place = { check, block, WORLD_PACKET, .home = check_home(block) };
	struct amon_table *table = block->table;
	struct amon_value *condition = where ? check_condition(&place, where) : NULL;
	bool always = condition && check_is_constant(condition) && condition->integer;

	table->where = check_and(check, always ? NULL : condition, check_wheres(&place));
	if (!table->where)
		return;
	table->where_span = where ? where->span : table->where->span;
}

/* A time of `expire`; false, with an error, where it is none. */
static bool read_time(struct check *check, struct block *block, const struct amon_syntax *syntax, const char *what,
                      int64_t least, uint64_t *result)
{
	struct place place = { check, block, WORLD_PACKET, .home = NULL };
	const struct amon_value *value = check_expression(&place, syntax);
	struct amon_dimension dimension = value->type.dimension;

	if (check_is_nothing(value))
		return false;
	if (!check_is_constant(value) || value->type.base != AMON_BASE_INT || dimension.information ||
	    dimension.time != 1) {
		amon_error(check->diagnostics, value->span, "%s is a constant time, for example `15s`", what);
	} else if (value->integer < least) {
		amon_error(check->diagnostics, value->span, "%s is %s", what, least ? "1ns at least" : "not negative");
	} else {
		*result = (uint64_t)value->integer;
		return true;
	}
	return false;
}

/* NULL where it never holds. */
static void read_when(struct check *check, struct block *block, const struct amon_syntax *when)
{
	struct place place = { check, block, WORLD_PACKET, .home = check_home(block) };
	struct amon_value *condition = check_condition(&place, when);

	if (check_is_nothing(condition))
		return;
	if (check_reads_segments(condition))
		amon_error(check->diagnostics, when->span,
		           "`when` cannot read `frame.segments`: it holds for wire packets");
	else if (!check_is_constant(condition) || condition->integer)
		block->table->expire.when = condition;
}

/* The kernel keeps windows of such rows, whatever a read returns: see runtime/flows.h. */
static void read_expire(struct check *check, struct block *block)
{
	const struct amon_attributes *attributes = &block->statement->attributes;
	struct amon_expire *expire = &block->table->expire;
	struct amon_timing *timing = &block->table->timing;

	expire->idle = expire->active = INT64_MAX;
	if (!attributes->expire.source)
		return;
	expire->span = attributes->expire;
	if (attributes->idle)
		read_time(check, block, attributes->idle, "`idle`", 1, &expire->idle);
	if (attributes->active)
		read_time(check, block, attributes->active, "`active`", 1, &expire->active);
	if (attributes->when)
		read_when(check, block, attributes->when);
	if (attributes->linger && !attributes->when)
		amon_error(check->diagnostics, attributes->linger->span,
		           "`linger` is for how long a row goes on behind `when`, and there is none");
	else if (attributes->linger)
		read_time(check, block, attributes->linger, "`linger`", 0, &expire->linger);
	if (block->table->is_private)
		return;
	expire->keeps = timing->snapshot && !timing->reset;
	*timing = (struct amon_timing){ true, true };
}

static void read_attributes(struct check *check, struct block *block)
{
	const struct amon_attributes *attributes = &block->statement->attributes;

	read_overflow(check, block->table, &attributes->overflow);
	read_size(check, block, attributes->size);
	check_timing_table(block);
	read_expire(check, block);
	if (block->table->overflow == AMON_OVERFLOW_EVICT && !attributes->expire.source)
		check_later(check, attributes->overflow.span, "`overflow evict` without `expire` comes");
	if (attributes->as.text)
		check_later(check, attributes->as.span, "`as` behind a table comes");
}

/* --- the table */

static bool has_metric(const struct block *block)
{
	for (const struct name *name = block->first; name; name = name->next)
		if (name->kind & (NAME_METRIC | NAME_FOLD | NAME_LATER))
			return true;
	return false;
}

/* Nothing reads what it would export. */
static void check_private(struct check *check, const struct block *block)
{
	const struct amon_attributes *attributes = &block->statement->attributes;
	const struct amon_syntax *rows = attributes->having ? attributes->having : attributes->top;
	struct amon_diagnostic *error;

	if (rows)
		amon_error(check->diagnostics, rows->span,
		           "a private table is not exported: there are no rows to pick");
	if (attributes->active)
		amon_error(check->diagnostics, attributes->active->span,
		           "a private table is not exported: what it remembers goes on behind `active`");
	for (const struct name *name = block->first; name; name = name->next) {
		if (!(name->kind & (NAME_METRIC | NAME_FOLD | NAME_DERIVE)))
			continue;
		error = amon_error(check->diagnostics, name->span,
		                   "a private table is not exported: nothing reads `%s`", name->text);
		if (name->kind != NAME_DERIVE)
			check_help(check, error, "make it a `state`, which packets read");
	}
}

/* Each is read once, and those of a window are read together where other things of the section are. */
static void check_events(struct check *check, struct block *block)
{
	const struct amon_attributes *attributes = &block->statement->attributes;
	struct amon_column *narrowed = amon_new(check->arena, struct amon_column);

	read_size(check, block, attributes->size);
	read_where(check, block, attributes->where);
	narrowed->where = block->table->where;
	narrowed->where_known = true;
	check_keys(check, block, narrowed);
	block->table->overflow = AMON_OVERFLOW_DROP;
	block->table->timing = (struct amon_timing){ block->section->timing.snapshot, true };
	if (attributes->as.text)
		check_later(check, attributes->as.span, "`as` behind events comes");
}

static bool remembers(const struct amon_table *table)
{
	bool folds = false;

	for (const struct amon_column *c = table->metrics.first; c; c = c->next)
		folds |= c->aggregation == &amon_aggregation_fold;
	return folds || table->is_private || table->memory.asked || table->memory.items.count;
}

/* Which row leaves is known when a read puts rows together: packets have come since, and have read what it remembered.
 */
void check_evicts(struct check *check, const struct block *block)
{
	const struct amon_table *table = block->table;
	const struct amon_attributes *attributes = &block->statement->attributes;

	if (table->overflow != AMON_OVERFLOW_EVICT || !table->expire.span.source || !remembers(table))
		return;
	check_help(check,
	           amon_error(check->diagnostics, attributes->overflow.span,
	                      "rows of `%s` cannot be evicted: packets read what they remember, and only the next read "
	                      "tells which row leaves",
	                      table->name),
	           "write `overflow other` or `overflow drop`");
}

void check_table(struct check *check, struct block *block)
{
	struct amon_table *table = block->table;

	if (table->events) {
		check_events(check, block);
		return;
	}
	check_lets(check, block);
	check_keys(check, block, NULL);
	read_attributes(check, block);
	read_where(check, block, block->statement->attributes.where);
	check_metrics(check, block, &table->metrics, AMON_MAX_TABLE_METRICS);
	if (table->is_private)
		check_private(check, block);
	else if (!has_metric(block) && !check_name_excused(check, block))
		check_help(check,
		           amon_error(check->diagnostics, block->statement->name.span, "table `%s` has no metric",
		                      table->name),
		           "add `metric packets = count();`");
}
