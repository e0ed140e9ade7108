/* SPDX-License-Identifier: Apache-2.0 */
#include "plan_internal.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "diagnostic.h"

#define BIT(layer) AMON_LAYER_BIT(AMON_LAYER_##layer)
#define NET        (BIT(IPV4) | BIT(IPV6))
#define EXTENSIONS (BIT(HOPOPTS) | BIT(ROUTING) | BIT(FRAGHDR) | BIT(DSTOPTS) | BIT(AH))
#define TRANSPORT  (BIT(TCP) | BIT(UDP) | BIT(SCTP) | BIT(ICMP) | BIT(ICMPV6))
#define ABOVE_NET  (EXTENSIONS | TRANSPORT | BIT(ICMP_ECHO) | BIT(ICMPV6_ECHO) | BIT(L4_LEN) | BIT(TCP_PAYLOAD))

/* A window of this many nanoseconds can wait for a grace period (some 15 ms) and cost the packets nothing. */
#define GRACE_WINDOW 1000000000
/* Sections with more metrics than this, or more conditions, are verified function by function. */
#define INLINE_METRICS    24
#define INLINE_CONDITIONS 6
/* struct packet goes to a map beyond this many bytes: the stack has 512 for all that is called, users' C included. */
#define PACKET_ON_STACK             208
#define PACKET_ON_STACK_BESIDE_USER 64

const char *const amon_cause_names[AMON_CAUSE_COUNT] = {
	"WHOLE",         "ETH_TRUNCATED",  "VLAN_TRUNCATED", "PPPOE_TRUNCATED",     "MPLS_TRUNCATED", "ARP_TRUNCATED",
	"IP_TRUNCATED",  "IP_HEADER",      "IP_LENGTH",      "EXTENSION_TRUNCATED", "TCP_TRUNCATED",  "TCP_LENGTH",
	"UDP_TRUNCATED", "SCTP_TRUNCATED", "ICMP_TRUNCATED", "ICMPV6_TRUNCATED",    "OVERSIZED",      "UNSIZED",
};

/* Which layer's walk finds which fault. */
static const struct {
	enum amon_cause cause;
	uint32_t layers;
} cause_layers[] = {
	{ AMON_CAUSE_ETH_TRUNCATED, BIT(ETH) },
	{ AMON_CAUSE_VLAN_TRUNCATED, BIT(VLAN) },
	{ AMON_CAUSE_PPPOE_TRUNCATED, BIT(PPPOE) },
	{ AMON_CAUSE_MPLS_TRUNCATED, BIT(MPLS) },
	{ AMON_CAUSE_ARP_TRUNCATED, BIT(ARP) },
	{ AMON_CAUSE_IP_TRUNCATED, NET },
	{ AMON_CAUSE_IP_HEADER, NET },
	{ AMON_CAUSE_IP_LENGTH, BIT(IPV4) },
	{ AMON_CAUSE_TCP_TRUNCATED, BIT(TCP) },
	{ AMON_CAUSE_TCP_LENGTH, BIT(TCP) },
	{ AMON_CAUSE_UDP_TRUNCATED, BIT(UDP) },
	{ AMON_CAUSE_SCTP_TRUNCATED, BIT(SCTP) },
	{ AMON_CAUSE_ICMP_TRUNCATED, BIT(ICMP) },
	{ AMON_CAUSE_ICMPV6_TRUNCATED, BIT(ICMPV6) },
};

/* Words that C or the generated file has taken; a metric of that name gets an underscore. */
static const char *const taken_words[] = {
	"auto",   "bool",   "break",    "case",     "char",   "const",    "continue", "default",  "do",
	"double", "else",   "enum",     "extern",   "float",  "for",      "goto",     "if",       "inline",
	"int",    "long",   "register", "restrict", "return", "short",    "signed",   "sizeof",   "static",
	"struct", "switch", "typedef",  "typeof",   "union",  "unsigned", "void",     "volatile", "while",
	"asm",    "SEC",    "ntohs",    "ntohl",    "htons",  "htonl",    NULL,
};

/* --- names */

static bool is_taken(const struct names *names, const char *name)
{
	for (const char *const *word = taken_words; *word; word++)
		if (!strcmp(*word, name))
			return true;
	/* the implementation's own: __u8, __builtin_… */
	if (name[0] == '_' && (name[1] == '_' || isupper((unsigned char)name[1])))
		return true;
	for (uint32_t i = 0; i < names->count; i++)
		if (!strcmp(names->names[i], name))
			return true;
	return false;
}

void plan_take(struct names *names, const char *name)
{
	if (names->count == names->capacity) {
		uint32_t capacity = names->capacity ? names->capacity * 2 : 64;
		const char **grown = amon_new_array(names->arena, const char *, capacity);

		if (names->count)
			memcpy(grown, names->names, names->count * sizeof(*grown));
		names->names = grown;
		names->capacity = capacity;
	}
	names->names[names->count++] = name;
}

const char *plan_unique(struct names *names, const char *wanted)
{
	const char *name = wanted;

	if (name[0] == '_' && (name[1] == '_' || isupper((unsigned char)name[1])))
		name = wanted = amon_arena_printf(names->arena, "m%s", wanted);
	for (unsigned int n = 1; is_taken(names, name); n++)
		name = amon_arena_printf(names->arena, n == 1 ? "%s_" : "%s_%u", wanted, n);
	plan_take(names, name);
	return name;
}

const char *plan_prefixed(struct names *names, const char *prefix, const char *name)
{
	return plan_unique(names, amon_arena_printf(names->arena, "%s%s", prefix, name));
}

/* --- which parts of packets are needed */

static void need_member(struct amon_plan *plan, const struct amon_field *field)
{
	for (uint32_t i = 0; i < plan->member_count; i++)
		if (!strcmp(plan->members[i].field->member, field->member))
			return;
	plan->members[plan->member_count++].field = field;
}

static void need_field(struct amon_plan *plan, const struct amon_field *field)
{
	need_member(plan, field);
	plan->layers |= field->layers;
	if (field->type.base == AMON_BASE_NET)
		need_member(plan, amon_field_find("net.version"));
}

static void need_slice(struct amon_plan *plan, const struct amon_value *value)
{
	struct amon_plan_slice *slice;
	const char *prefix = !strncmp(value->payload->name, "tcp", 3) ? "tcp" : "udp";

	for (uint32_t i = 0; i < plan->slice_count; i++)
		if (plan->slices[i].payload == value->payload && plan->slices[i].offset == value->offset &&
		    plan->slices[i].width == value->width)
			return;
	slice = &plan->slices[plan->slice_count++];
	*slice = (struct amon_plan_slice){ .payload = value->payload, .offset = value->offset, .width = value->width };
	slice->member = amon_arena_printf(plan->arena, "%s_payload_%u_%u", prefix, value->offset, value->width);
	plan->layers |= AMON_LAYER_BIT(value->payload->layer);
}

static void need_value(struct amon_plan *plan, const struct amon_value *value)
{
	if (!value)
		return;
	if (value->kind == AMON_VALUE_FIELD)
		need_field(plan, value->field);
	if (value->kind == AMON_VALUE_SLICE)
		need_slice(plan, value);
	if (value->kind == AMON_VALUE_PROTOCOL)
		plan->layers |= value->layers;
	need_value(plan, value->left);
	need_value(plan, value->middle);
	need_value(plan, value->right);
}

static uint32_t count_slices(const struct amon_value *value)
{
	if (!value)
		return 0;
	return (value->kind == AMON_VALUE_SLICE) + count_slices(value->left) + count_slices(value->middle) +
	       count_slices(value->right);
}

static bool needs_time(const struct amon_column *metric)
{
	return (metric->aggregation->parts & AMON_PART_TIME) && metric->aggregation != &amon_aggregation_fold;
}

static void for_each_of(const struct amon_columns *columns, void (*each)(void *data, const struct amon_value *value),
                        void *data)
{
	for (const struct amon_column *c = columns->first; c; c = c->next) {
		each(data, c->initial);
		each(data, c->argument);
		each(data, c->where);
	}
}

/* Calls `each` for every packet expression of a section. */
static void for_each_of_section(const struct amon_section *section,
                                void (*each)(void *data, const struct amon_value *value), void *data)
{
	each(data, section->where);
	for_each_of(&section->metrics, each, data);
	for_each_of(&section->memory.items, each, data);
	for (const struct amon_table *table = section->tables; table; table = table->next) {
		each(data, table->where);
		each(data, table->expire.when);
		for (const struct amon_column *c = table->keys.first; c; c = c->next)
			each(data, c->value);
		for_each_of(&table->metrics, each, data);
		for_each_of(&table->memory.items, each, data);
	}
}

/* Calls `each` for every packet expression of the probe. */
static void for_each_value(const struct amon_probe *probe, void (*each)(void *data, const struct amon_value *value),
                           void *data)
{
	for (const struct amon_section *section = probe->sections; section; section = section->next)
		for_each_of_section(section, each, data);
}

static void each_slices(void *data, const struct amon_value *value)
{
	*(uint32_t *)data += count_slices(value);
}

static void each_need(void *data, const struct amon_value *value)
{
	need_value(data, value);
}

static bool columns_need_time(const struct amon_columns *columns)
{
	for (const struct amon_column *c = columns->first; c; c = c->next)
		if (needs_time(c))
			return true;
	return false;
}

static bool reads_time(const struct amon_value *value)
{
	return value && ((value->kind == AMON_VALUE_FIELD && value->field == amon_field_find("frame.time")) ||
	                 reads_time(value->left) || reads_time(value->middle) || reads_time(value->right));
}

static void each_time(void *data, const struct amon_value *value)
{
	*(bool *)data |= reads_time(value);
}

static bool section_needs_time(const struct amon_section *section)
{
	bool needs = columns_need_time(&section->metrics) || columns_need_time(&section->memory.items);

	for (const struct amon_table *table = section->tables; table; table = table->next)
		needs |= columns_need_time(&table->metrics) || columns_need_time(&table->memory.items);
	for_each_of_section(section, each_time, &needs);
	return needs;
}

/* A metric that only some packets reach has the clock read for these alone. */
static bool reads_clock_itself(const struct amon_column *metric)
{
	return metric->where && !reads_time(metric->where) && (needs_time(metric) || reads_time(metric->argument)) &&
	       metric->aggregation != &amon_aggregation_fold;
}

/* Each packet that passes the block's `where` needs the time. */
static bool all_need_time(const struct amon_columns *metrics, const struct amon_memory *memory)
{
	bool needs = columns_need_time(&memory->items);

	for_each_of(&memory->items, each_time, &needs);
	for (const struct amon_column *c = metrics->first; c; c = c->next)
		needs |= !reads_clock_itself(c) &&
		         (needs_time(c) || reads_time(c->argument) || reads_time(c->where) || reads_time(c->initial));
	return needs;
}

static bool row_needs_time(const struct amon_table *table)
{
	bool needs = reads_time(table->where);

	for (const struct amon_column *c = table->keys.first; c; c = c->next)
		needs |= reads_time(c->value);
	return needs;
}

static enum amon_clock clock_of(const struct amon_value *where, bool needed)
{
	return reads_time(where) ? AMON_CLOCK_AHEAD : needed ? AMON_CLOCK_BEHIND : AMON_CLOCK_NOT;
}

static void plan_metric_clocks(struct amon_plan_record *record, enum amon_clock clock)
{
	for (uint32_t i = 0; i < record->metric_count; i++)
		record->metrics[i].clock = clock == AMON_CLOCK_NOT && reads_clock_itself(record->metrics[i].column);
}

/* The clock is read where it is needed first, and by packets that come there. */
static void plan_section_clock(struct amon_plan_section *section)
{
	const struct amon_section *checked = section->section;
	bool needed = all_need_time(&checked->metrics, &checked->memory), asked = false;

	for (const struct amon_table *table = checked->tables; table; table = table->next)
		asked |= table->memory.asked && row_needs_time(table);
	section->clock = asked && section->where_looks ? AMON_CLOCK_AHEAD : clock_of(checked->where, needed || asked);
	for (uint32_t i = 0; i < section->part_count; i++)
		plan_metric_clocks(&section->parts[i].record, section->clock);
	for (uint32_t i = 0; i < section->table_count; i++) {
		struct amon_plan_table *table = &section->tables[i];

		needed = all_need_time(&table->table->metrics, &table->table->memory) ||
		         reads_time(table->table->expire.when);
		if (!section->clock && row_needs_time(table->table))
			table->clock = clock_of(table->table->where, true);
		else if (!section->clock && needed)
			table->clock = AMON_CLOCK_ROW;
		plan_metric_clocks(&table->record, section->clock ? section->clock : table->clock);
	}
}

static bool section_expires(const struct amon_section *section)
{
	for (const struct amon_table *table = section->tables; table; table = table->next)
		if (table->expire.span.source)
			return true;
	return false;
}

/* Each clock is read where some section has its time from it; sections of both have two members. A row's age is the
 * coarse clock's. */
static void plan_clocks(struct amon_plan *plan)
{
	for (const struct amon_section *section = plan->probe->sections; section; section = section->next) {
		bool needs = section_needs_time(section);

		plan->exact |= needs && !section->coarse;
		plan->coarse |= (needs && section->coarse) || section_expires(section);
	}
	if (plan->exact || plan->coarse)
		need_member(plan, amon_field_find("frame.time"));
}

/* Members in the order of the table of fields, so that the C does not depend on the order of the spec. */
static int compare_members(const void *a, const void *b)
{
	const struct amon_field *x = ((const struct amon_plan_member *)a)->field;
	const struct amon_field *y = ((const struct amon_plan_member *)b)->field;

	return (x > y) - (x < y);
}

/* Members are named by their first row, whichever field asked for them. */
static const struct amon_field *first_row(const struct amon_field *field)
{
	for (const struct amon_field *row = amon_fields; row->name; row++)
		if (row->member && !strcmp(row->member, field->member))
			return row;
	return field;
}

/* The value is absent in every packet that has one of the layers. */
static bool is_absent_with(const struct amon_value *value, uint32_t layers)
{
	if (value->kind == AMON_VALUE_FIELD)
		return amon_layers_exclude(value->field->layers, layers);
	if (value->kind == AMON_VALUE_BINARY && value->type.base != AMON_BASE_BOOL)
		return is_absent_with(value->left, layers) || is_absent_with(value->right, layers);
	return false;
}

/* The condition holds for no packet that has one of the layers. */
static bool rules_out(const struct amon_value *where, uint32_t layers)
{
	if (!where)
		return false;
	if (where->kind == AMON_VALUE_PROTOCOL)
		return amon_layers_exclude(where->layers, layers);
	if (where->kind == AMON_VALUE_FIELD)
		return is_absent_with(where, layers);
	if (where->kind == AMON_VALUE_IN)
		return is_absent_with(where->left, layers);
	if (where->kind != AMON_VALUE_BINARY)
		return false;
	if (where->op == AMON_OP_OR)
		return rules_out(where->left, layers) && rules_out(where->right, layers);
	if (where->op == AMON_OP_AND)
		return rules_out(where->left, layers) || rules_out(where->right, layers);
	/* a comparison is false where either side is absent */
	return is_absent_with(where->left, layers) || is_absent_with(where->right, layers);
}

/* Layers that every section's `where` rules out: to walk them would be for nothing. */
static uint32_t ruled_out(const struct amon_probe *probe)
{
	uint32_t layers = 0;

	for (int layer = 0; layer < AMON_LAYER_COUNT; layer++) {
		const struct amon_section *section = probe->sections;

		while (section && rules_out(section->where, AMON_LAYER_BIT(layer)))
			section = section->next;
		if (!section)
			layers |= AMON_LAYER_BIT(layer);
	}
	return layers;
}

static void plan_walk(struct amon_plan *plan)
{
	uint32_t walked = plan->layers;
	bool late = false;

	for (uint32_t i = 0; i < plan->member_count; i++) {
		const struct amon_field *field = plan->members[i].field;

		walked |= field->layers;
		for (size_t r = 0; r < 3; r++)
			late |= field->reads[r].late;
	}
	/* l4.len is behind whichever transport header there is */
	if (walked & BIT(L4_LEN))
		walked |= BIT(TCP) | BIT(UDP) | BIT(SCTP);
	for (int layer = AMON_LAYER_COUNT - 1; layer >= 0; layer--)
		if (walked & AMON_LAYER_BIT(layer))
			walked |= amon_layer_below(layer);
	walked &= ~ruled_out(plan->probe);
	/* what lies behind tags and labels is found by walking them */
	if (walked & (NET | BIT(ARP)))
		walked |= BIT(VLAN);
	if (walked & (NET | BIT(PPPOE) | BIT(MPLS)))
		walked |= BIT(PPPOE) | BIT(MPLS) | BIT(VLAN);
	plan->walked = walked;
	plan->parses = walked != 0;
	plan->plain = walked & NET;
	plan->walks_extensions = (walked & BIT(IPV6)) && (late || (walked & ABOVE_NET));
	for (size_t i = 0; i < sizeof(cause_layers) / sizeof(cause_layers[0]); i++)
		plan->causes[cause_layers[i].cause] = walked & cause_layers[i].layers;
	plan->causes[AMON_CAUSE_EXTENSION_TRUNCATED] = plan->walks_extensions;
	plan->causes[AMON_CAUSE_OVERSIZED] = plan->programs[AMON_HOOK_XDP];
	plan->causes[AMON_CAUSE_UNSIZED] = plan->programs[AMON_HOOK_TC_INGRESS] || plan->programs[AMON_HOOK_TC_EGRESS];
}

static uint32_t type_size(const char *c_type)
{
	if (strchr(c_type, '['))
		return !strcmp(c_type, "__u8[6]") ? 6 : 16;
	return !strcmp(c_type, "__u64")                                ? 8
	       : !strcmp(c_type, "__u32") || !strcmp(c_type, "__be32") ? 4
	       : !strcmp(c_type, "__u16")                              ? 2
	                                                               : 1;
}

static bool has_users(const struct amon_probe *probe)
{
	for (const struct amon_section *section = probe->sections; section; section = section->next)
		if (section->users)
			return true;
	return false;
}

/* Source and destination of IPv4, mostly. */
static bool are_pair(const struct amon_field *a, const struct amon_field *b)
{
	return !strcmp(a->c_type, "__be32") && !strcmp(b->c_type, "__be32") && a->reads[0].layer == b->reads[0].layer;
}

/* Bytes in struct packet, with what may be left out before it for its alignment. */
static uint32_t member_size(const struct amon_plan_member *member)
{
	return type_size(member->field->c_type) + (amon_plan_is_aligned(member) ? 8 : 2);
}

bool amon_plan_is_aligned(const struct amon_plan_member *member)
{
	return member->pair || !strcmp(member->field->c_type, "__be32[4]");
}

static void plan_packet(struct amon_plan *plan)
{
	uint32_t slices = 0, fields = 0;

	for (const struct amon_field *field = amon_fields; field->name; field++)
		fields++;
	for_each_value(plan->probe, each_slices, &slices);
	plan->members = amon_new_array(plan->arena, struct amon_plan_member, fields);
	plan->slices = amon_new_array(plan->arena, struct amon_plan_slice, slices + 1);
	need_member(plan, amon_field_find("frame.len"));
	plan_clocks(plan);
	for_each_value(plan->probe, each_need, plan);
	for (uint32_t i = 0; i < plan->member_count; i++)
		plan->members[i].field = first_row(plan->members[i].field);
	qsort(plan->members, plan->member_count, sizeof(*plan->members), compare_members);
	for (uint32_t i = 0; i + 1 < plan->member_count; i++)
		plan->members[i].pair = are_pair(plan->members[i].field, plan->members[i + 1].field);
	plan->packet_size = 36;
	for (uint32_t i = 0; i < plan->member_count; i++)
		plan->packet_size += member_size(&plan->members[i]);
	plan->packet_size += plan->slice_count * 9 + (plan->exact && plan->coarse) * 8;
	plan->scratch = plan->packet_size > (has_users(plan->probe) ? PACKET_ON_STACK_BESIDE_USER : PACKET_ON_STACK);
}

/* --- records */

uint32_t plan_align(uint32_t offset, uint32_t alignment)
{
	return (offset + alignment - 1) & ~(alignment - 1);
}

uint32_t plan_place(uint32_t *offset, uint32_t size, uint32_t alignment)
{
	uint32_t at = plan_align(*offset, alignment);

	*offset = at + size;
	return at;
}

/* Of a number as few as hold all that it can be; with a sign it has 8. */
static uint32_t fewest_bytes(struct amon_type type)
{
	switch (type.base) {
	case AMON_BASE_BOOL:
		return 1;
	case AMON_BASE_INT:
		return !type.bits || type.bits > 32 ? 8 : type.bits > 16 ? 4 : type.bits > 8 ? 2 : 1;
	default:
		return amon_value_size(type.base);
	}
}

/* Addresses are arrays of bytes or words. */
uint32_t amon_plan_alignment(uint32_t size)
{
	return size == 6 ? 1 : size == 16 ? 4 : size;
}

static bool is_own_time(const struct amon_column *metric)
{
	const struct amon_value *argument = metric->argument;

	return (metric->aggregation->parts & AMON_PART_TIME) && argument->kind == AMON_VALUE_FIELD &&
	       argument->type.base == AMON_BASE_TIME;
}

static enum amon_base argument_base(const struct amon_column *metric)
{
	return metric->argument ? metric->argument->type.base : AMON_BASE_INT;
}

static uint32_t metric_value_size(const struct amon_column *metric)
{
	/* what adds grows; a fold has 64 bits, cut by its own rule */
	if (metric->aggregation->merge == AMON_MERGE_ADD || metric->aggregation == &amon_aggregation_fold)
		return amon_value_size(argument_base(metric));
	return fewest_bytes(metric->argument->type);
}

/* What is least or greatest of numbers that may be negative. */
static bool compares_signed(const struct amon_column *metric)
{
	enum amon_merge merge = metric->aggregation->merge;

	return (merge == AMON_MERGE_MIN || merge == AMON_MERGE_MAX) && metric->argument->type.base == AMON_BASE_INT &&
	       !metric->argument->type.bits;
}

/* A complement is compared without a sign. */
static enum amon_kept kept_as(const struct amon_plan_metric *metric)
{
	enum amon_merge merge = metric->column->aggregation->merge;
	bool is_complement = merge == AMON_MERGE_EARLIER || merge == AMON_MERGE_AND ||
	                     (merge == AMON_MERGE_MIN && !metric->is_signed);

	return is_complement ? AMON_KEPT_COMPLEMENT : AMON_KEPT_PLAIN;
}

static void name_parts(struct amon_plan_metric *metric, struct names *names)
{
	const struct amon_column *column = metric->column;
	unsigned int parts = metric->parts;
	const char *time = column->aggregation == &amon_aggregation_fold ? "_order" : "_time";

	metric->member = plan_unique(names, column->name);
	if (parts & AMON_PART_COUNT)
		metric->count =
		        parts & AMON_PART_VALUE ? plan_prefixed(names, metric->member, "_count") : metric->member;
	if (parts & AMON_PART_SQUARES)
		metric->squares = plan_prefixed(names, metric->member, "_squares");
	if ((parts & AMON_PART_TIME) && !is_own_time(column))
		metric->time = plan_prefixed(names, metric->member, time);
	if (parts & AMON_PART_BUCKETS)
		metric->buckets = plan_prefixed(names, metric->member, "_buckets");
	if ((parts & AMON_PART_VALUE) && argument_base(column) == AMON_BASE_NET)
		metric->version = plan_prefixed(names, metric->member, "_version");
}

static const char *upper(struct amon_arena *arena, const char *name)
{
	char *text = amon_arena_copy(arena, name, strlen(name));

	for (char *c = text; *c; c++)
		*c = (char)toupper((unsigned char)*c);
	return text;
}

/* One bit for each that tells whether it saw a packet, in words that are as wide as there are bits. */
static void name_bits(struct amon_plan_record *record, struct names *names, struct names *globals)
{
	uint32_t bits = 0;

	for (uint32_t i = 0; i < record->metric_count; i++)
		bits += (record->metrics[i].parts & AMON_PART_HAS) != 0;
	if (!bits)
		return;
	record->has = plan_unique(names, "has");
	record->has_size = bits > 32 ? 8 : bits > 16 ? 4 : bits > 8 ? 2 : 1;
	record->has_words = (bits + 63) / 64;
	bits = 0;
	for (uint32_t i = 0; i < record->metric_count; i++) {
		struct amon_plan_metric *metric = &record->metrics[i];

		if (!(metric->parts & AMON_PART_HAS))
			continue;
		metric->has = plan_prefixed(globals, "HAS_", upper(names->arena, metric->member));
		metric->has_word = record->has_words > 1
		                           ? amon_arena_printf(names->arena, "%s[%u]", record->has, bits / 64)
		                           : record->has;
		metric->has_bit = bits++ % 64;
	}
}

static void init_layout(struct amon_plan_metric *metric)
{
	metric->is_signed = compares_signed(metric->column);
	metric->layout = amon_layout_nowhere;
	metric->layout.kept = kept_as(metric);
	if (metric->parts & AMON_PART_VALUE)
		metric->layout.value_size = metric_value_size(metric->column);
	if (metric->buckets)
		metric->layout.bucket_count = amon_bucket_count(&metric->column->buckets);
}

/* The parts of this alignment; emit_record_members() writes them in the same order. */
static void place_parts(struct amon_plan_metric *metric, uint32_t alignment, uint32_t *offset)
{
	struct amon_layout *layout = &metric->layout;

	if ((metric->parts & AMON_PART_VALUE) && amon_plan_alignment(layout->value_size) == alignment)
		layout->value = plan_place(offset, layout->value_size, alignment);
	if (alignment < 8)
		return;
	if (metric->count)
		layout->count = plan_place(offset, 8, 8);
	if (metric->squares)
		layout->squares = plan_place(offset, 16, 8);
	if (metric->time)
		layout->time = plan_place(offset, 8, 8);
	if (metric->buckets)
		layout->buckets = plan_place(offset, 8 * layout->bucket_count, 8);
}

static void place_bits(struct amon_plan_record *record, uint32_t *offset)
{
	uint32_t at = plan_place(offset, record->has_size * record->has_words, record->has_size), bits = 0;

	for (uint32_t i = 0; i < record->metric_count; i++) {
		struct amon_plan_metric *metric = &record->metrics[i];
		uint32_t byte = metric->has_bit / 8;

		if (!metric->has)
			continue;
		if (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__)
			byte = record->has_size - 1 - byte;
		metric->layout.has = at + bits++ / 64 * record->has_size + byte;
		metric->layout.has_bit = metric->has_bit % 8;
	}
}

void plan_members(struct amon_plan_record *record, struct names *names, struct names *globals, uint32_t offset)
{
	for (uint32_t i = 0; i < record->metric_count; i++) {
		name_parts(&record->metrics[i], names);
		init_layout(&record->metrics[i]);
	}
	name_bits(record, names, globals);
	for (uint32_t alignment = 8; alignment; alignment /= 2) {
		for (uint32_t i = 0; i < record->metric_count; i++)
			place_parts(&record->metrics[i], alignment, &offset);
		if (record->has_size == alignment)
			place_bits(record, &offset);
	}
	for (uint32_t i = 0; i < record->metric_count; i++)
		if (record->metrics[i].version)
			record->metrics[i].layout.version = plan_place(&offset, 1, 1);
	record->size = plan_align(offset, 8);
}

/* Those of the metrics that lie in a map of each clone's own, or in a shared one; all of a table's. */
static void plan_record(struct amon_plan *plan, struct amon_plan_record *record, const struct amon_columns *metrics,
                        bool twice, struct names *names, struct names *globals, uint32_t offset)
{
	record->metrics = amon_new_array(plan->arena, struct amon_plan_metric, metrics->count + 1);
	for (const struct amon_column *column = metrics->first; column; column = column->next) {
		struct amon_plan_metric *metric = &record->metrics[record->metric_count];

		if (!column->table && column->timing.snapshot != twice)
			continue;
		record->metric_count++;
		metric->column = column;
		metric->parts = column->aggregation->parts;
	}
	plan_members(record, names, globals, offset);
	if (!record->size)
		record->size = 8;
}

static void check_record(const struct amon_plan_record *record, struct amon_span span, uint32_t limit, const char *what,
                         const char *name, struct amon_diagnostics *diagnostics)
{
	if (record->size > limit)
		amon_error(diagnostics, span, "the metrics of %s `%s` need records of %u bytes; %u at most", what, name,
		           record->size, limit);
}

/* --- keys */

/* Some packet may have no value there. */
static bool may_be_absent(const struct amon_value *value)
{
	if (value->kind == AMON_VALUE_FIELD)
		return value->field->layers != 0;
	if (value->kind == AMON_VALUE_MEMORY)
		return true;
	/* a condition always has a value; what else is computed may rest on something absent */
	return value->type.base != AMON_BASE_BOOL || value->kind == AMON_VALUE_CHOICE;
}

const char *amon_plan_c_type(enum amon_base base, uint32_t size)
{
	static const char *const integers[] = { [1] = "__u8", [2] = "__u16", [4] = "__u32", [8] = "__s64" };

	switch (base) {
	case AMON_BASE_IPV4:
		return "__be32";
	case AMON_BASE_IPV6:
	case AMON_BASE_NET:
		return "__be32[4]";
	case AMON_BASE_MAC:
		return "__u8[6]";
	case AMON_BASE_TIME:
		return "__u64";
	default:
		return integers[size];
	}
}

static const char *member_of(struct amon_arena *arena, const char *name)
{
	char *member = amon_arena_copy(arena, name, strlen(name));

	for (char *c = member; *c; c++)
		if (!isalnum((unsigned char)*c))
			*c = '_';
	return member;
}

static void plan_keys(struct amon_plan *plan, struct amon_plan_table *table)
{
	const struct amon_columns *columns = &table->table->keys;
	struct names names = { .arena = plan->arena };
	uint32_t offset = 0, laid_out = 0, alignment = 1;
	bool net = false;

	plan_take(&names, "life");
	table->keys = amon_new_array(plan->arena, struct amon_plan_key, columns->count + 1);
	table->laid_out = amon_new_array(plan->arena, struct amon_plan_key *, columns->count + 1);
	for (const struct amon_column *column = columns->first; column; column = column->next) {
		struct amon_plan_key *key = &table->keys[table->key_count++];

		key->column = column;
		key->size = fewest_bytes(column->value->type);
		key->member = plan_unique(&names, member_of(plan->arena, column->name));
		net |= column->value->type.base == AMON_BASE_NET;
	}
	/* widest alignment first, so that there are no holes */
	for (uint32_t a = 8; a; a /= 2)
		for (uint32_t i = 0; i < table->key_count; i++)
			if (amon_plan_alignment(table->keys[i].size) == a) {
				table->laid_out[laid_out++] = &table->keys[i];
				table->keys[i].offset = plan_place(&offset, table->keys[i].size, a);
				alignment = a > alignment ? a : alignment;
			}
	/* keys of tables are hashed and compared by words of 8 bytes */
	if (!table->table->events)
		alignment = 8;
	table->version = net ? plan_place(&offset, 1, 1) : UINT32_MAX;
	if (table->expire)
		table->expire->life = plan_place(&offset, 8, 8);
	for (uint32_t i = 0; i < table->key_count && table->table->events; i++)
		if (!table->keys[i].column->port_key && may_be_absent(table->keys[i].column->value)) {
			table->keys[i].has = plan_prefixed(&names, "has_", table->keys[i].member);
			table->keys[i].has_offset = plan_place(&offset, 1, 1);
		}
	table->key_used = offset;
	table->key_size = plan_align(offset, alignment);
}

/* --- sections */

static bool misses_key(const struct amon_plan_table *table)
{
	for (uint32_t i = 0; i < table->key_count; i++)
		if (!table->keys[i].column->port_key && may_be_absent(table->keys[i].column->value))
			return true;
	return false;
}

static void plan_counters(struct amon_plan *plan, struct amon_plan_table *table, struct names *names, uint32_t *offset)
{
	static const char *const suffixes[AMON_LEDGER_COUNT] = { "selected", "in_rows", "other",     "no_key",
		                                                 "full",     "busy",    "no_memory", "failed" };
	bool other = table->table->overflow == AMON_OVERFLOW_OTHER;

	for (int i = 0; i < AMON_LEDGER_COUNT; i++) {
		bool there = i == AMON_LEDGER_OTHER    ? other
		             : i == AMON_LEDGER_NO_KEY ? misses_key(table)
		                                       : i < AMON_LEDGER_OTHER || !other;

		/* an event is noted, or finds no room */
		if (table->table->events ? i == AMON_LEDGER_NO_KEY || i > AMON_LEDGER_FULL : false)
			there = false;
		if (!there)
			continue;
		table->counters[i] =
		        plan_unique(names, amon_arena_printf(plan->arena, "%s_%s", table->table->name, suffixes[i]));
		table->counter_offsets[i] = plan_place(offset, 16, 8);
	}
}

static bool columns_once(const struct amon_columns *columns)
{
	for (const struct amon_column *c = columns->first; c; c = c->next)
		if (c->once)
			return true;
	return false;
}

/* A table's reset is done by the swap. Events are taken out by the read. */
static bool is_twice(const struct amon_table *table)
{
	return table->timing.snapshot || (table->timing.reset && !table->events);
}

/* The kernel wants a power of two of pages, which have up to 16 KiB, puts 8 bytes before each event, and
 * never fills a ring to the last byte. */
static uint32_t ring_size(uint32_t events, uint32_t size)
{
	uint64_t bytes = (uint64_t)events * (8 + plan_align(size, 8)), ring = 16384;

	while (ring <= bytes && ring < 1u << 31)
		ring *= 2;
	return (uint32_t)ring;
}

/* In one cache line where it fits, so that a packet touches no more than it must. */
static uint32_t slot_size(uint32_t bytes)
{
	uint32_t size = 16;

	if (bytes > 64)
		return plan_align(bytes, 8);
	while (size < bytes)
		size *= 2;
	return size;
}

uint32_t amon_plan_slot_alignment(uint32_t slot_size)
{
	return slot_size > 64 ? 8 : slot_size;
}

static void plan_rows(struct amon_plan *plan, struct amon_plan_table *table, const char *base, struct names *globals)
{
	table->map =
	        plan_unique(globals, table->table->events ? base : amon_arena_printf(plan->arena, "%s_rows", base));
	table->record.tag = plan_unique(globals, amon_arena_printf(plan->arena, "%s_row", base));
	plan->map_count++;
	if (table->table->overflow == AMON_OVERFLOW_OTHER) {
		table->other_map = plan_unique(globals, amon_arena_printf(plan->arena, "%s_other", base));
		plan->map_count++;
	}
	if (table->table->events)
		return;
	table->spill_map = plan_unique(globals, amon_arena_printf(plan->arena, "%s_spill", base));
	table->slot_tag = plan_unique(globals, amon_arena_printf(plan->arena, "%s_slot", base));
	table->shape = plan_unique(globals, amon_arena_printf(plan->arena, "%s_shape", base));
	/* and the zeros that all tables share */
	plan->map_count += plan->own_rows ? 1 : 2;
	plan->own_rows = true;
}

static void plan_lives(struct amon_plan *plan, struct amon_plan_table *table, const char *base, struct names *globals)
{
	table->expire->lives_map = plan_unique(globals, amon_arena_printf(plan->arena, "%s_lives", base));
	table->expire->slot_tag = plan_unique(globals, amon_arena_printf(plan->arena, "%s_life", base));
	table->expire->shape = plan_unique(globals, amon_arena_printf(plan->arena, "%s_lives_shape", base));
	table->expire->slot_size = slot_size(8 + table->key_size + AMON_LIFE_SIZE);
	plan->map_count++;
}

static void plan_table(struct amon_plan *plan, struct amon_plan_section *section, struct amon_plan_table *table,
                       struct names *globals, struct amon_diagnostics *diagnostics)
{
	const char *base = amon_arena_printf(plan->arena, "%s_%s", section->section->name, table->table->name);
	struct names members = { .arena = plan->arena };

	table->function = plan_prefixed(globals, table->table->events ? "note_" : "count_", base);
	table->key_tag = plan_unique(
	        globals, amon_arena_printf(plan->arena, "%s_%s", base, table->table->events ? "event" : "key"));
	if (!table->table->is_private)
		plan_rows(plan, table, base, globals);
	table->once = table->table->events || columns_once(&table->table->metrics);
	table->twice = is_twice(table->table);
	plan->expires |= table->table->expire.span.source != NULL;
	if (table->table->expire.span.source && !table->table->is_private) {
		table->expire = amon_new(plan->arena, struct amon_plan_expire);
		plan_take(&members, "flow");
	}
	plan_keys(plan, table);
	if (table->table->events)
		table->ring_size = ring_size(table->table->size, table->key_size);
	plan_record(plan, &table->record, &table->table->metrics, table->twice, &members, globals,
	            table->expire ? AMON_FLOW_SIZE : 0);
	check_record(&table->record, table->table->span, AMON_MAX_RECORD, "table", table->table->name, diagnostics);
	if (table->spill_map)
		table->slot_size = slot_size(table->key_size + table->record.size);
	table->memory = plan_memory(plan, table->table->section, table->table, globals, diagnostics);
	if (table->expire && !table->memory)
		plan_lives(plan, table, base, globals);
	table->once |= table->memory != NULL;
	section->once |= table->once;
}

static uint32_t conditions_of(const struct amon_columns *columns)
{
	uint32_t count = 0;

	for (const struct amon_column *c = columns->first; c; c = c->next)
		count += c->where != NULL;
	return count;
}

static uint32_t count_conditions(const struct amon_section *section)
{
	uint32_t count = section->where != NULL;

	count += conditions_of(&section->metrics) + conditions_of(&section->memory.items);
	for (const struct amon_table *table = section->tables; table; table = table->next)
		count += (table->where != NULL) + (table->expire.when != NULL) + conditions_of(&table->metrics) +
		         conditions_of(&table->memory.items);
	return count;
}

static uint32_t count_metrics(const struct amon_section *section)
{
	uint32_t count = section->metrics.count + section->memory.items.count;

	for (const struct amon_table *table = section->tables; table; table = table->next)
		count += table->metrics.count + table->memory.items.count;
	return count;
}

bool amon_plan_runs_at(const struct amon_section *section, enum amon_hook_kind hook)
{
	for (uint32_t i = 0; i < section->hook_count; i++)
		if (section->hooks[i].kind == hook || (section->hooks[i].choice && hook == AMON_HOOK_TC_INGRESS))
			return true;
	return false;
}

const char *amon_program_name(enum amon_hook_kind hook)
{
	static const char *const names[AMON_HOOK_COUNT] = { "amon_xdp", "amon_tc_ingress", "amon_tc_egress" };

	return names[hook];
}

/* Which parts there are: of the clones' own first, since the ledger goes with what windows cut. */
static void plan_parts(struct amon_plan *plan, struct amon_plan_section *section, struct names *globals)
{
	static const char *const pointers[] = { "m", "totals" };
	const struct amon_section *checked = section->section;
	bool some[2] = { false, false };

	for (const struct amon_column *c = checked->metrics.first; c; c = c->next)
		some[c->timing.snapshot] = true;
	for (const struct amon_table *table = checked->tables; table; table = table->next)
		some[is_twice(table)] = true;
	for (int twice = 1; twice >= 0; twice--) {
		struct amon_plan_part *part = &section->parts[section->part_count];
		const char *suffix = section->part_count ? "totals" : "metrics";

		if (!some[twice] && (twice || section->part_count))
			continue;
		part->twice = twice;
		part->map = plan_unique(globals, amon_arena_printf(plan->arena, "%s_%s", checked->name, suffix));
		part->record.tag = part->map;
		part->pointer = pointers[section->part_count];
		section->part_count++;
		plan->map_count++;
	}
}

/* The section's own counters. */
static void plan_ledger(struct amon_plan *plan, struct amon_plan_section *section, struct names *members,
                        uint32_t *offset)
{
	uint32_t causes = 0;

	for (int cause = 1; cause < AMON_CAUSE_COUNT; cause++)
		causes += plan->causes[cause];
	section->seen_member = plan_unique(members, "seen");
	section->seen = plan_place(offset, 16, 8);
	section->selected_member = plan_unique(members, "selected");
	section->selected = plan_place(offset, 16, 8);
	if (causes) {
		section->malformed_member = plan_unique(members, "malformed");
		section->malformed = plan_place(offset, 16 * causes, 8);
	}
}

static void plan_part(struct amon_plan *plan, struct amon_plan_section *section, struct amon_plan_part *part,
                      struct names *globals, struct amon_diagnostics *diagnostics)
{
	const struct amon_section *checked = section->section;
	struct names members = { .arena = plan->arena };
	uint32_t offset = 0;

	if (part == section->parts)
		plan_ledger(plan, section, &members, &offset);
	else
		part->offset = section->parts->record.size;
	for (uint32_t i = 0; i < section->table_count; i++) {
		if (section->part_count > 1 && section->tables[i].twice != part->twice)
			continue;
		section->tables[i].part = part;
		plan_counters(plan, &section->tables[i], &members, &offset);
	}
	plan_record(plan, &part->record, &checked->metrics, part->twice, &members, globals, offset);
	check_record(&part->record, checked->span, AMON_MAX_PERCPU_VALUE - 8, "section", checked->name, diagnostics);
}

static void plan_section(struct amon_plan *plan, struct amon_plan_section *section, struct names *globals,
                         struct amon_diagnostics *diagnostics)
{
	const struct amon_section *checked = section->section;
	uint32_t i = 0;

	section->function = plan_prefixed(globals, "count_", checked->name);
	section->tick = plan->exact ? "coarse_time" : "time";
	section->time = checked->coarse ? section->tick : "time";
	plan_parts(plan, section, globals);
	section->tables = amon_new_array(plan->arena, struct amon_plan_table, checked->table_count + 1);
	section->table_count = checked->table_count;
	section->once = columns_once(&checked->metrics);
	section->weighted =
	        amon_plan_runs_at(checked, AMON_HOOK_TC_INGRESS) || amon_plan_runs_at(checked, AMON_HOOK_TC_EGRESS);
	section->shared = section->weighted || count_metrics(checked) > INLINE_METRICS ||
	                  count_conditions(checked) > INLINE_CONDITIONS;
	for (const struct amon_table *table = checked->tables; table; table = table->next, i++) {
		section->tables[i].table = table;
		plan_table(plan, section, &section->tables[i], globals, diagnostics);
		/* the stack of one function would not do for the keys of all */
		section->shared |= section->tables[i].memory && section->tables[i].memory->expires;
	}
	section->memory = plan_memory(plan, checked, NULL, globals, diagnostics);
	section->once |= section->memory != NULL;
	plan_before(plan, section, globals);
	for (uint32_t part = 0; part < section->part_count; part++)
		plan_part(plan, section, &section->parts[part], globals, diagnostics);
	plan_section_clock(section);
	plan_users(plan, section, globals, diagnostics);
}

struct amon_plan *amon_plan(struct amon_arena *arena, const struct amon_probe *probe,
                            struct amon_diagnostics *diagnostics)
{
	struct amon_plan *plan = amon_new(arena, struct amon_plan);
	struct names globals = { .arena = arena };
	unsigned int errors = diagnostics->errors;
	uint32_t i = 0;

	plan->arena = arena;
	plan->probe = probe;
	plan->announces = probe->window && probe->window < GRACE_WINDOW;
	for (const struct amon_section *section = probe->sections; section; section = section->next) {
		for (int hook = 0; hook < AMON_HOOK_COUNT; hook++)
			plan->programs[hook] |= amon_plan_runs_at(section, hook);
		for (uint32_t h = 0; h < section->hook_count; h++)
			plan->choice |= section->hooks[h].choice;
	}
	plan_packet(plan);
	plan_walk(plan);
	/* .rodata, .data.replay */
	plan->map_count = 2 + plan->scratch;
	plan_take(&globals, "amon_control");
	plan_take_users(probe, &globals);
	plan->sections = amon_new_array(arena, struct amon_plan_section, probe->section_count + 1);
	plan->section_count = probe->section_count;
	for (const struct amon_section *section = probe->sections; section; section = section->next, i++) {
		plan->sections[i].section = section;
		plan_section(plan, &plan->sections[i], &globals, diagnostics);
	}
	plan->map_count += plan->numbered;
	if (plan->map_count > AMON_MAX_MAPS)
		amon_error(diagnostics, plan->sections[0].section->span,
		           "the probe needs %u maps; a program may use %u", plan->map_count, AMON_MAX_MAPS);
	return diagnostics->errors > errors ? NULL : plan;
}
