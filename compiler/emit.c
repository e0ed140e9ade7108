/* SPDX-License-Identifier: Apache-2.0 */
#include "emit_internal.h"

#include <stdlib.h>
#include <string.h>

const char *const emit_use_names[USE_COUNT] = {
	"lowest",       "highest",         "lowest_signed", "highest_signed",   "is_first",
	"is_last",      "divide",          "modulo",        "add_square",       "mac_number",
	"same_address", "address_at_most", "bucket_log2",   "bucket_loglinear", "bucket_linear",
	"bucket_edges", "above",           "bit_length",    "at_most",          "quotient",
	"remainder",    "life_number",     "end_flow",      "is_sweeping",      "window_number",
	"live",         "next_row",        "end_row",       "add_to_flow",
};

static const struct {
	const char *name, *declaration;
	int number;
} helpers[] = {
	{ "bpf_map_lookup_elem", "void *(*bpf_map_lookup_elem)(void *map, const void *key)", 1 },
	{ "bpf_map_update_elem",
	  "long (*bpf_map_update_elem)(void *map, const void *key, const void *value, __u64 flags)", 2 },
	{ "bpf_ktime_get_ns", "__u64 (*bpf_ktime_get_ns)(void)", 5 },
	{ "bpf_get_smp_processor_id", "__u32 (*bpf_get_smp_processor_id)(void)", 8 },
	{ "bpf_spin_lock", "void (*bpf_spin_lock)(void *lock)", 93 },
	{ "bpf_spin_unlock", "void (*bpf_spin_unlock)(void *lock)", 94 },
	{ "bpf_skb_load_bytes", "long (*bpf_skb_load_bytes)(const void *skb, __u32 offset, void *to, __u32 size)", 26 },
	{ "bpf_ringbuf_reserve", "void *(*bpf_ringbuf_reserve)(void *ring, __u64 size, __u64 flags)", 131 },
	{ "bpf_ringbuf_submit", "void (*bpf_ringbuf_submit)(void *data, __u64 flags)", 132 },
	{ "bpf_ktime_get_coarse_ns", "__u64 (*bpf_ktime_get_coarse_ns)(void)", 160 },
	{ "bpf_xdp_get_buff_len", "__u64 (*bpf_xdp_get_buff_len)(struct xdp_md *xdp)", 188 },
	{ "bpf_xdp_load_bytes", "long (*bpf_xdp_load_bytes)(void *xdp, __u32 offset, void *to, __u32 size)", 189 },
};

static const struct {
	const char *name, *definition;
} constants[] = {
	{ "BPF_MAP_TYPE_HASH", "BPF_MAP_TYPE_HASH = 1" },
	{ "BPF_MAP_TYPE_ARRAY", "BPF_MAP_TYPE_ARRAY = 2" },
	{ "BPF_MAP_TYPE_PERCPU_ARRAY", "BPF_MAP_TYPE_PERCPU_ARRAY = 6" },
	{ "BPF_MAP_TYPE_RINGBUF", "BPF_MAP_TYPE_RINGBUF = 27" },
	{ "BPF_NOEXIST", "BPF_NOEXIST = 1" },
	{ "BPF_F_NO_PREALLOC", "BPF_F_NO_PREALLOC = 1" },
	{ "BPF_F_MMAPABLE", "BPF_F_MMAPABLE = 1 << 10" },
	{ "BPF_RB_NO_WAKEUP", "BPF_RB_NO_WAKEUP = 1" },
	{ "-E2BIG", "E2BIG = 7" },
	{ "-ENOMEM", "ENOMEM = 12" },
	{ "-EBUSY", "EBUSY = 16" },
};

static void write_head(struct emitter *e, const char *body)
{
	bool any = false;

	fprintf(e->out, "/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */\n");
	fprintf(e->out, "/* Probe %s, made by amonc %s; do not edit. */\n\n", e->plan->probe->name, AMON_VERSION);
	emit_template(e, "base.h");
	if (e->plan->programs[AMON_HOOK_XDP])
		emit_template(e, "xdp.h");
	if (emit_at_tc(e->plan))
		emit_template(e, "tc.h");
	for (size_t i = 0; i < sizeof(constants) / sizeof(constants[0]); i++)
		if (strstr(body, constants[i].name)) {
			fprintf(e->out, "%s%s", any ? ", " : "enum { ", constants[i].definition);
			any = true;
		}
	fprintf(e->out, "%s", any ? " };\n\n" : "");
	for (size_t i = 0; i < sizeof(helpers) / sizeof(helpers[0]); i++)
		if (strstr(body, amon_arena_printf(e->arena, "%s(", helpers[i].name)))
			fprintf(e->out, "static %s = (void *)%d;\n", helpers[i].declaration, helpers[i].number);
	fprintf(e->out, "\n");
	emit_template(e, "replay.h");
	if (e->plan->programs[AMON_HOOK_XDP])
		fprintf(e->out, "/* At generic XDP: what is longer is a super-packet, which nothing tells there; 0 "
		                "elsewhere. */\n"
		                "const volatile __u32 amon_frame_max;\n\n");
	if (e->plan->choice)
		fprintf(e->out, "/* Sections that say `ingress` alone are counted at TC where the interface has no "
		                "native XDP. */\n"
		                "const volatile __u32 amon_ingress_tc;\n\n");
	if (emit_has_member(e->plan, "hook_mode"))
		fprintf(e->out, "/* 1 native, 2 generic */\nconst volatile __u32 amon_xdp_mode = 1;\n\n");
	if (e->plan->layers) {
		fprintf(e->out, "/* Headers that a packet has */\nenum {");
		for (int layer = 0; layer < AMON_LAYER_COUNT; layer++)
			if (e->plan->layers & AMON_LAYER_BIT(layer))
				fprintf(e->out, "\n\t%s = 1 << %d,", amon_layer_name(layer), layer);
		fprintf(e->out, "\n};\n\n");
	}
	if (e->plan->parses || emit_count_causes(e->plan)) {
		fprintf(e->out, "/* What is wrong with the first header that is not whole */\nenum { WHOLE");
		for (int cause = 1; cause < AMON_CAUSE_COUNT; cause++)
			if (e->plan->causes[cause])
				fprintf(e->out, ", %s", amon_cause_names[cause]);
		fprintf(e->out, " };\n\n");
	}
}

static void write_packet_member(FILE *out, const struct amon_plan_member *member)
{
	if (amon_plan_is_aligned(member))
		fprintf(out, "\t__be32 %s%s __aligned(8);\n", member->field->member, member->pair ? "" : "[4]");
	else
		emit_member(out, member->field->c_type, member->field->member);
}

static void write_packet(struct emitter *e)
{
	bool weighted = emit_at_tc(e->plan);

	fprintf(e->out,
	        "/* What the spec reads of a packet, in host byte order but for addresses */\nstruct packet {\n");
	for (uint32_t i = 0; i < e->plan->member_count; i++)
		if (!strcmp(e->plan->members[i].field->member, "time"))
			fprintf(e->out, "\t__u64 time%s;\n", e->plan->exact && e->plan->coarse ? ", coarse_time" : "");
	for (uint32_t i = 0; i < e->plan->slice_count; i++)
		emit_member(e->out, "__s64", e->plan->slices[i].member);
	fprintf(e->out, "\t__u32 layers, cause;\n");
	if (weighted)
		fprintf(e->out, "\t__u32 weight; /* wire packets that this run stands for */\n");
	if (weighted && e->plan->expiring)
		fprintf(e->out, "\t__u64 rows; /* a bit for each table: in whose row the packet is, is known */\n");
	emit_parser_members(e);
	for (uint32_t i = 0; i < e->plan->member_count; i++)
		if (strcmp(e->plan->members[i].field->member, "time") != 0)
			write_packet_member(e->out, &e->plan->members[i]);
	for (uint32_t i = 0; i < e->plan->slice_count; i++)
		fprintf(e->out, "\tbool has_%s;\n", e->plan->slices[i].member);
	fprintf(e->out, "};\n\n");
}

static void write_clock(struct emitter *e, const char *member, const char *clock)
{
	fprintf(e->out,
	        "/* The clock is read by the first who needs it, and once. */\n"
	        "static __always_inline void read_%s(const volatile struct packet *packet)\n{\n"
	        "\tstruct packet *p = (struct packet *)packet;\n\n"
	        "\tif (!p->%s)\n\t\tp->%s = amon_replay == 1 ? amon_frame.time : %s();\n}\n\n",
	        member, member, member, clock);
}

static void write_clocks(struct emitter *e)
{
	if (e->plan->exact)
		write_clock(e, "time", "bpf_ktime_get_ns");
	if (e->plan->coarse)
		write_clock(e, e->plan->exact ? "coarse_time" : "time", "bpf_ktime_get_coarse_ns");
}

static void find_uses(struct emitter *e, const char *body)
{
	for (int use = 0; use < USE_COUNT; use++)
		e->uses[use] |= strstr(body, amon_arena_printf(e->arena, "%s(", emit_use_names[use])) != NULL;
	e->uses[USE_BIT_LENGTH] |= e->uses[USE_BUCKET_LOG2] || e->uses[USE_BUCKET_LOGLINEAR];
	e->uses[USE_ABOVE] |= e->uses[USE_BUCKET_LINEAR] || e->uses[USE_BUCKET_EDGES];
}

static void declare_users(struct emitter *e, const struct amon_section *section)
{
	bool xdp = section->hooks->kind == AMON_HOOK_XDP;

	for (const struct amon_user *user = section->users; user; user = user->next) {
		const char *path = user->file->source->name, *slash = strrchr(path, '/');

		/* without the way to it, so that the same spec gives the same C everywhere */
		fprintf(e->out, "/* Defined in %s, which is compiled apart, and linked. */\n",
		        slash ? slash + 1 : path);
		fprintf(e->out, "int %s(struct %s);\n\n", user->file->entry, xdp ? "xdp_md *xdp" : "__sk_buff *skb");
	}
}

/* Everything behind the head, so that the head holds only what it uses. */
static void write_body(struct emitter *e)
{
	char *functions = NULL, *edges = NULL;
	size_t functions_size = 0, edges_size = 0;
	FILE *out = e->out;

	e->out = open_memstream(&functions, &functions_size);
	e->edges = open_memstream(&edges, &edges_size);
	for (uint32_t i = 0; i < e->plan->section_count; i++)
		emit_section(e, &e->plan->sections[i]);
	fclose(e->out);
	fclose(e->edges);
	find_uses(e, functions);
	e->out = out;
	emit_template(e, "counter.h");
	write_packet(e);
	write_clocks(e);
	if (e->plan->scratch)
		emit_map(e->out, "amon_packet", "PERCPU_ARRAY", "__u32", "struct packet", 1);
	if (e->plan->parses)
		emit_parser(e);
	if (emit_at_tc(e->plan))
		emit_template(e, "super.h");
	if (e->plan->numbered)
		emit_template(e, "window.h");
	if (strstr(functions, "bpf_spin_lock("))
		emit_template(e, "lock.h");
	if (e->plan->own_rows)
		emit_template(e, "own.h");
	if (e->plan->expires)
		emit_template(e, "flow.h");
	for (uint32_t i = 0; i < e->plan->section_count; i++)
		emit_section_maps(e, &e->plan->sections[i]);
	for (uint32_t i = 0; i < e->plan->section_count; i++)
		declare_users(e, e->plan->sections[i].section);
	emit_template(e, "arithmetic.h");
	emit_template(e, "extreme.h");
	emit_template(e, "buckets.h");
	fprintf(e->out, "%s\n%s", edges, functions);
	emit_programs(e);
	free(functions);
	free(edges);
}

char *amon_emit(const struct amon_plan *plan, struct amon_lines *lines)
{
	struct emitter e = { .plan = plan, .arena = plan->arena };
	char *body = NULL, *head = NULL, *result;
	size_t body_size = 0, head_size = 0;

	e.out = open_memstream(&body, &body_size);
	write_body(&e);
	fclose(e.out);
	e.out = open_memstream(&head, &head_size);
	write_head(&e, body);
	fclose(e.out);
	result = emit_tidy(plan->arena, amon_arena_printf(plan->arena, "%s%s", head, body), lines);
	free(body);
	free(head);
	return result;
}
