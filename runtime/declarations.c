/* SPDX-License-Identifier: Apache-2.0 */
#include "declarations.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <string.h>

#include "compiler/arena.h"
#include "entries.h"
#include "listen.h"
#include "object.h"

/* Columns of one map, and how deep structs nest. */
#define MEMBERS_MAX 1024
#define DEPTH_MAX   32

struct reading {
	struct amon_arena *arena;
	const struct btf *btf;
	const struct amon_frontend_result *compiled;
	struct amon_user_file *file;
	struct amon_user_map *map; /* at hand */
	const char *what;          /* "key" or "value" of it */
};

/* --- places in the text */

static struct amon_span span_at(const struct amon_source *source, uint32_t line, uint32_t column)
{
	uint32_t start;

	if (!amon_source_offset(source, line, column, &start) || start >= source->length)
		return (struct amon_span){ 0 };
	return (struct amon_span){ source, start,
		                   start + 1 +
		                           (uint32_t)strspn(
		                                   source->text + start + 1,
		                                   "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789") };
}

static struct amon_span span_of(const struct reading *reading, const char *name)
{
	for (size_t i = 0; i < reading->compiled->place_count; i++) {
		const struct amon_frontend_place *place = &reading->compiled->places[i];

		if (!strcmp(place->name, name))
			return span_at(reading->file->source, place->line, place->column);
	}
	return (struct amon_span){ 0 };
}

/* --- faults: the first that is found is told */

static struct amon_span member_span(const struct reading *reading, const struct btf_type *type,
                                    const struct btf_member *member)
{
	return span_of(reading,
	               amon_arena_printf(reading->arena, "%s.%s", btf__name_by_offset(reading->btf, type->name_off),
	                                 btf__name_by_offset(reading->btf, member->name_off)));
}

static void fault_at(struct reading *reading, struct amon_span span, const char *fault)
{
	if (reading->map->fault)
		return;
	reading->map->fault = fault;
	reading->map->fault_span = span.source ? span : reading->map->span;
}

/* "has a pointer in its value, `peer.next`" */
static void fault_in(struct reading *reading, struct amon_span span, const char *thing, const char *path)
{
	fault_at(reading, span,
	         amon_arena_printf(reading->arena, "has %s in its %s%s%s%s", thing, reading->what, *path ? ", `" : "",
	                           path, *path ? "`" : ""));
}

/* --- members */

struct place {
	const char *path;
	uint32_t offset;
	struct amon_span span; /* of the member of a struct that it is, or lies in */
	unsigned int depth;
};

static void add_member(struct reading *reading, struct amon_user_struct *to, const struct place *place, uint32_t size,
                       struct amon_type type, enum amon_form form)
{
	if (!to->members)
		to->members = amon_new_array(reading->arena, struct amon_user_member, MEMBERS_MAX);
	if (to->count == MEMBERS_MAX) {
		fault_at(reading, place->span,
		         amon_arena_printf(reading->arena, "has more than %u members in its %s", MEMBERS_MAX,
		                           reading->what));
		return;
	}
	to->members[to->count++] = (struct amon_user_member){ place->path, type, { place->offset, size, form } };
}

/* Types that mean more than their bytes, by the names that they have in C. */
static const struct {
	const char *name;
	enum amon_base base;
	uint8_t bits; /* of a number; 0: an address */
	enum amon_form form;
} named_types[] = {
	{ "__be16", AMON_BASE_INT, 16, AMON_FORM_NETWORK },    { "__be32", AMON_BASE_IPV4, 0, AMON_FORM_UNSIGNED },
	{ "__be64", AMON_BASE_INT, 64, AMON_FORM_NETWORK },    { "in_addr", AMON_BASE_IPV4, 0, AMON_FORM_UNSIGNED },
	{ "in6_addr", AMON_BASE_IPV6, 0, AMON_FORM_UNSIGNED },
};

static bool add_named(struct reading *reading, struct amon_user_struct *to, const struct place *place,
                      const struct btf_type *type, uint32_t id)
{
	const char *name = btf__name_by_offset(reading->btf, type->name_off);

	for (size_t i = 0; i < sizeof(named_types) / sizeof(*named_types); i++) {
		struct amon_type made = { .base = named_types[i].base, .bits = named_types[i].bits };

		if (strcmp(name, named_types[i].name) != 0)
			continue;
		add_member(reading, to, place, (uint32_t)btf__resolve_size(reading->btf, id), made,
		           named_types[i].form);
		return true;
	}
	return false;
}

static void add_number(struct reading *reading, struct amon_user_struct *to, const struct place *place, uint32_t size,
                       bool is_signed)
{
	struct amon_type type = { .base = AMON_BASE_INT, .bits = is_signed ? 0 : (uint8_t)(8 * size) };

	if (size > 8)
		fault_in(reading, place->span, "a number of more than 64 bits", place->path);
	else
		add_member(reading, to, place, size, type, is_signed ? AMON_FORM_SIGNED : AMON_FORM_UNSIGNED);
}

static void add_int(struct reading *reading, struct amon_user_struct *to, const struct place *place,
                    const struct btf_type *type)
{
	if (btf_int_encoding(type) & BTF_INT_BOOL)
		add_member(reading, to, place, type->size, (struct amon_type){ .base = AMON_BASE_BOOL },
		           AMON_FORM_UNSIGNED);
	else
		add_number(reading, to, place, type->size, btf_int_encoding(type) & BTF_INT_SIGNED);
}

static void add_type(struct reading *reading, struct amon_user_struct *to, const struct place *place, uint32_t id);

static void add_array(struct reading *reading, struct amon_user_struct *to, const struct place *place,
                      const struct btf_type *type)
{
	const struct btf_array *array = btf_array(type);
	int64_t size = btf__resolve_size(reading->btf, array->type);

	if (!array->nelems) {
		fault_in(reading, place->span, "a flexible array", place->path);
		return;
	}
	for (uint32_t i = 0; i < array->nelems && !reading->map->fault; i++) {
		struct place item = *place;

		item.path = amon_arena_printf(reading->arena, "%s[%u]", place->path, i);
		item.offset += (uint32_t)size * i;
		item.depth++;
		add_type(reading, to, &item, array->type);
	}
}

static void add_struct(struct reading *reading, struct amon_user_struct *to, const struct place *place,
                       const struct btf_type *type)
{
	const struct btf_member *members = btf_members(type);

	for (uint32_t i = 0; i < btf_vlen(type) && !reading->map->fault; i++) {
		const char *name = btf__name_by_offset(reading->btf, members[i].name_off);
		struct place inside = *place;

		/* what is in a struct without a name is the outer's */
		inside.path = !*name ? place->path
		                     : amon_arena_printf(reading->arena, "%s%s%s", place->path, *place->path ? "." : "",
		                                         name);
		inside.span = member_span(reading, type, &members[i]);
		if (!inside.span.source)
			inside.span = place->span;
		inside.offset += btf_member_bit_offset(type, i) / 8;
		inside.depth++;
		if (btf_member_bitfield_size(type, i))
			fault_in(reading, inside.span, "a bit-field", inside.path);
		else
			add_type(reading, to, &inside, members[i].type);
	}
}

/* What the kernel keeps in values for itself is no column. */
static bool is_the_kernels(struct reading *reading, const struct btf_type *type)
{
	const char *name = btf__name_by_offset(reading->btf, type->name_off);

	if (!strcmp(name, "bpf_spin_lock"))
		return reading->map->locked = true;
	return !strcmp(name, "bpf_timer");
}

/* Names of types on the way may say what it is; const and the like say nothing. */
static void add_type(struct reading *reading, struct amon_user_struct *to, const struct place *place, uint32_t id)
{
	const struct btf_type *type = btf__type_by_id(reading->btf, id);

	if (place->depth > DEPTH_MAX) {
		fault_in(reading, place->span, "structs nested too deep", place->path);
		return;
	}
	for (;; id = type->type, type = btf__type_by_id(reading->btf, id)) {
		if (add_named(reading, to, place, type, id))
			return;
		if (!btf_is_mod(type) && !btf_is_typedef(type) && !btf_is_type_tag(type))
			break;
	}
	if (btf_is_int(type))
		add_int(reading, to, place, type);
	else if (btf_is_any_enum(type))
		add_number(reading, to, place, type->size, btf_kflag(type));
	else if (btf_is_array(type))
		add_array(reading, to, place, type);
	else if (btf_is_struct(type) && !is_the_kernels(reading, type))
		add_struct(reading, to, place, type);
	else if (btf_is_ptr(type))
		fault_in(reading, place->span, "a pointer", place->path);
	else if (btf_is_union(type))
		fault_in(reading, place->span, "a union", place->path);
	else if (!btf_is_struct(type))
		fault_in(reading, place->span, "what is no number", place->path);
}

static void read_struct(struct reading *reading, const char *what, uint32_t id, uint32_t size,
                        struct amon_user_struct *to)
{
	const struct place whole = { "", 0, reading->map->span, 0 };

	to->size = size;
	reading->what = what;
	if (!size)
		return;
	if (!id)
		fault_at(reading, reading->map->span,
		         amon_arena_printf(reading->arena,
		                           "has a %s without a type; write `__type(%s, …)`, not `__uint(%s_size, …)`",
		                           what, what, what));
	else
		add_type(reading, to, &whole, id);
	if (!to->count)
		fault_at(reading, reading->map->span,
		         amon_arena_printf(reading->arena, "has nothing to export in its %s", what));
}

/* --- maps */

/* What cannot be exported, and why. */
static const struct {
	enum bpf_map_type type;
	const char *name, *reason;
} unread[] = {
	{ BPF_MAP_TYPE_BLOOM_FILTER, "bloom filter", "does not tell what is in it" },
	{ BPF_MAP_TYPE_ARRAY_OF_MAPS, "array of maps", "holds maps" },
	{ BPF_MAP_TYPE_HASH_OF_MAPS, "hash of maps", "holds maps" },
	{ BPF_MAP_TYPE_PROG_ARRAY, "program array", "holds programs" },
	{ BPF_MAP_TYPE_PERF_EVENT_ARRAY, "perf event array", "holds buffers of other processes" },
	{ BPF_MAP_TYPE_DEVMAP, "devmap", "holds interfaces" },
	{ BPF_MAP_TYPE_DEVMAP_HASH, "devmap_hash", "holds interfaces" },
	{ BPF_MAP_TYPE_CPUMAP, "cpumap", "holds CPUs" },
	{ BPF_MAP_TYPE_XSKMAP, "xskmap", "holds sockets" },
	{ BPF_MAP_TYPE_SOCKMAP, "sockmap", "holds sockets" },
	{ BPF_MAP_TYPE_SOCKHASH, "sockhash", "holds sockets" },
	{ BPF_MAP_TYPE_USER_RINGBUF, "user ringbuf", "is written by user space" },
};

static const char *why_unread(const struct reading *reading, enum bpf_map_type type)
{
	for (size_t i = 0; i < sizeof(unread) / sizeof(*unread); i++)
		if (unread[i].type == type)
			return amon_arena_printf(reading->arena, "is a %s, which %s", unread[i].name, unread[i].reason);
	return amon_arena_printf(reading->arena, "is of a kind that is not known, %d", type);
}

static void read_kind(struct reading *reading, const struct bpf_map *from)
{
	reading->map->kind = amon_entries_kind(bpf_map__type(from));
	if (reading->map->kind == AMON_MAP_KINDS)
		fault_at(reading, reading->map->span, why_unread(reading, bpf_map__type(from)));
}

static void read_map(struct reading *reading, const struct bpf_map *from)
{
	struct amon_user_map *map = reading->map;

	*map = (struct amon_user_map){ .name = amon_arena_printf(reading->arena, "%s", bpf_map__name(from)),
		                       .entries = bpf_map__max_entries(from) };
	map->span = span_of(reading, map->name);
	read_kind(reading, from);
	if (map->fault)
		return;
	if (map->kind == AMON_MAP_RINGBUF && !bpf_map__value_size(from))
		fault_at(reading, map->span,
		         "does not say what its records are; write `__type(value, …)`, which goes before it is loaded");
	read_struct(reading, "key", bpf_map__btf_key_type_id(from), bpf_map__key_size(from), &map->key);
	read_struct(reading, "value", bpf_map__btf_value_type_id(from), bpf_map__value_size(from), &map->value);
}

static void read_maps(struct reading *reading, const struct bpf_object *object)
{
	struct amon_user_file *file = reading->file;
	const struct bpf_map *map;
	uint32_t count = 0;

	bpf_object__for_each_map(map, object) count++;
	file->maps = amon_new_array(reading->arena, struct amon_user_map, count);
	file->used_maps = count;
	bpf_object__for_each_map(map, object)
	{
		if (bpf_map__is_internal(map))
			continue;
		reading->map = &file->maps[file->map_count++];
		read_map(reading, map);
	}
}

/* --- amon_packet(); a function's linkage is where others have their count of members */

static const struct btf_type *skip(const struct btf *btf, uint32_t id)
{
	const struct btf_type *type = btf__type_by_id(btf, id);

	while (btf_is_mod(type) || btf_is_typedef(type) || btf_is_type_tag(type))
		type = btf__type_by_id(btf, type->type);
	return type;
}

static void read_entry(struct reading *reading)
{
	struct amon_user_file *file = reading->file;
	const struct btf *btf = reading->btf;
	int id = btf__find_by_name_kind(btf, file->entry, BTF_KIND_FUNC);
	const struct btf_type *function = id < 0 ? NULL : btf__type_by_id(btf, (uint32_t)id), *prototype, *type;

	file->entry_span = span_of(reading, file->entry);
	file->has_entry = function && btf_vlen(function) != BTF_FUNC_EXTERN;
	if (!file->has_entry) {
		file->is_static = file->entry_span.source;
		return;
	}
	file->is_static = btf_vlen(function) == BTF_FUNC_STATIC;
	prototype = btf__type_by_id(btf, function->type);
	type = skip(btf, prototype->type);
	file->returns_int = btf_is_int(type) && type->size == sizeof(int);
	if (btf_vlen(prototype) != 1)
		return;
	type = skip(btf, btf_params(prototype)->type);
	type = btf_is_ptr(type) ? skip(btf, type->type) : NULL;
	if (type && btf_is_struct(type))
		file->context = amon_arena_printf(reading->arena, "%s", btf__name_by_offset(btf, type->name_off));
}

static void read_names(struct reading *reading)
{
	const struct amon_frontend_result *compiled = reading->compiled;
	const char **names = amon_new_array(reading->arena, const char *, compiled->place_count + 1);

	reading->file->names = names;
	for (size_t i = 0; i < compiled->place_count; i++)
		if (!strchr(compiled->places[i].name, '.'))
			names[reading->file->name_count++] =
			        amon_arena_printf(reading->arena, "%s", compiled->places[i].name);
}

/* --- what a monitor does not do */

/* Helpers that change packets, send them elsewhere, or leave for another program. */
static const struct {
	int number;
	const char *name;
} refused[] = {
	{ BPF_FUNC_tail_call, "bpf_tail_call" },
	{ BPF_FUNC_redirect, "bpf_redirect" },
	{ BPF_FUNC_redirect_map, "bpf_redirect_map" },
	{ BPF_FUNC_redirect_neigh, "bpf_redirect_neigh" },
	{ BPF_FUNC_redirect_peer, "bpf_redirect_peer" },
	{ BPF_FUNC_clone_redirect, "bpf_clone_redirect" },
	{ BPF_FUNC_sk_assign, "bpf_sk_assign" },
	{ BPF_FUNC_skb_store_bytes, "bpf_skb_store_bytes" },
	{ BPF_FUNC_l3_csum_replace, "bpf_l3_csum_replace" },
	{ BPF_FUNC_l4_csum_replace, "bpf_l4_csum_replace" },
	{ BPF_FUNC_csum_update, "bpf_csum_update" },
	{ BPF_FUNC_csum_level, "bpf_csum_level" },
	{ BPF_FUNC_set_hash, "bpf_set_hash" },
	{ BPF_FUNC_set_hash_invalid, "bpf_set_hash_invalid" },
	{ BPF_FUNC_skb_vlan_push, "bpf_skb_vlan_push" },
	{ BPF_FUNC_skb_vlan_pop, "bpf_skb_vlan_pop" },
	{ BPF_FUNC_skb_set_tunnel_key, "bpf_skb_set_tunnel_key" },
	{ BPF_FUNC_skb_set_tunnel_opt, "bpf_skb_set_tunnel_opt" },
	{ BPF_FUNC_skb_change_proto, "bpf_skb_change_proto" },
	{ BPF_FUNC_skb_change_type, "bpf_skb_change_type" },
	{ BPF_FUNC_skb_change_tail, "bpf_skb_change_tail" },
	{ BPF_FUNC_skb_change_head, "bpf_skb_change_head" },
	{ BPF_FUNC_skb_adjust_room, "bpf_skb_adjust_room" },
	{ BPF_FUNC_skb_ecn_set_ce, "bpf_skb_ecn_set_ce" },
	{ BPF_FUNC_skb_set_tstamp, "bpf_skb_set_tstamp" },
	{ BPF_FUNC_xdp_adjust_head, "bpf_xdp_adjust_head" },
	{ BPF_FUNC_xdp_adjust_tail, "bpf_xdp_adjust_tail" },
	{ BPF_FUNC_xdp_adjust_meta, "bpf_xdp_adjust_meta" },
	{ BPF_FUNC_xdp_store_bytes, "bpf_xdp_store_bytes" },
};

/* The name of a helper that is called and not allowed, or NULL. */
static const char *refused_helper(const struct bpf_insn *instructions, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (instructions[i].code != (BPF_JMP | BPF_CALL) || instructions[i].src_reg)
			continue;
		for (size_t r = 0; r < sizeof(refused) / sizeof(*refused); r++)
			if (instructions[i].imm == refused[r].number)
				return refused[r].name;
	}
	return NULL;
}

/* What no monitor's C has, whatever is exported of it. 0, or -EINVAL and a message. */
static int check_object(const struct reading *reading, const struct bpf_object *object, struct amon_failure *failure)
{
	const struct amon_frontend_result *compiled = reading->compiled;
	struct bpf_program *program;
	const struct bpf_map *map;
	const void *text = NULL;
	size_t length = 0;
	const char *helper;

	bpf_object__for_each_program(program, object)
	{
		if (!strcmp(bpf_program__section_name(program), ".text"))
			continue;
		return amon_fail(failure, -EINVAL,
		                 "%s() stands in SEC(\"%s\"); amon calls amon_packet(), so leave SEC() out",
		                 bpf_program__name(program), bpf_program__section_name(program));
	}
	bpf_object__for_each_map(map, object)
	{
		if (bpf_map__pin_path(map))
			return amon_fail(failure, -EINVAL,
			                 "the map %s is pinned by its name, and so shared with others",
			                 bpf_map__name(map));
	}
	amon_object_find_section(compiled->object, compiled->object_size, ".text", &text, &length);
	helper = refused_helper(text, length / sizeof(struct bpf_insn));
	return helper ? amon_fail(failure, -EINVAL,
	                          "it calls %s(), and a monitor changes no packet and sends none elsewhere", helper)
	              : 0;
}

int amon_declarations(struct amon_arena *arena, const struct amon_frontend_result *compiled,
                      struct amon_user_file *file, struct amon_failure *failure)
{
	struct reading reading = { .arena = arena, .compiled = compiled, .file = file };
	struct bpf_object *object;
	int error;

	amon_listen();
	object = bpf_object__open_mem(compiled->object, compiled->object_size, NULL);
	if (!object)
		return amon_fail(failure, -EINVAL, "%s", *amon_heard() ? amon_heard() : strerror(errno));
	error = check_object(&reading, object, failure);
	reading.btf = bpf_object__btf(object);
	if (reading.btf && !error) {
		read_maps(&reading, object);
		read_entry(&reading);
	}
	read_names(&reading);
	bpf_object__close(object);
	return error;
}
