/* SPDX-License-Identifier: Apache-2.0 */
#include "emit_internal.h"

#include <string.h>

/* The section's hook that a program runs at: two programs have one that says `ingress` alone. */
static const struct amon_hook *hook_at(const struct amon_section *section, enum amon_hook_kind kind)
{
	const struct amon_hook *hook = section->hooks;

	while (hook->kind != kind && !(hook->choice && kind == AMON_HOOK_TC_INGRESS))
		hook++;
	return hook;
}

static void write_section_call(struct emitter *e, const struct amon_plan_section *section, enum amon_hook_kind hook,
                               bool once)
{
	const struct amon_hook *at = hook_at(section->section, hook);
	const char *chosen = !at->choice ? "" : hook == AMON_HOOK_XDP ? "!amon_ingress_tc" : "amon_ingress_tc";
	/* a packet whose direction a replay does not know is the first hook's */
	const char *known = at == section->section->hooks ? "" : "!amon_replay || amon_frame.direction";

	if (*chosen && *known)
		fprintf(e->out, "\tif (%s && (%s))\n\t", chosen, known);
	else if (*chosen || *known)
		fprintf(e->out, "\tif (%s%s)\n\t", chosen, known);
	fprintf(e->out, "\t%s%s(p);\n", section->function, once ? "_once" : "");
}

/* The users' C of a section, for the packets that it selects: of a super-packet, once. */
static void write_user_calls(struct emitter *e, const struct amon_plan_section *section, enum amon_hook_kind hook)
{
	const struct amon_hook *at = hook_at(section->section, hook);
	const char *context = hook == AMON_HOOK_XDP ? "xdp" : "skb";
	const char *known = at == section->section->hooks ? NULL : "(!amon_replay || amon_frame.direction)";

	for (const struct amon_user *user = section->section->users; user; user = user->next) {
		emit_comment(e->arena, e->out, 1, "", user->span);
		if (known && section->selects)
			fprintf(e->out, "\tif (%s && %s(p))\n\t", known, section->selects);
		else if (known || section->selects)
			fprintf(e->out, "\tif (%s%s)\n\t", known ? known : section->selects, known ? "" : "(p)");
		fprintf(e->out, "\t%s(%s);\n", user->file->entry, context);
	}
	emit_mark(e->out, AMON_NO_SPAN);
}

static void write_users(struct emitter *e, enum amon_hook_kind hook)
{
	for (uint32_t i = 0; i < e->plan->section_count; i++)
		if (amon_plan_runs_at(e->plan->sections[i].section, hook))
			write_user_calls(e, &e->plan->sections[i], hook);
}

static bool any_once(const struct amon_plan *plan, enum amon_hook_kind hook)
{
	for (uint32_t i = 0; i < plan->section_count; i++)
		if (plan->sections[i].weighted && plan->sections[i].once &&
		    amon_plan_runs_at(plan->sections[i].section, hook))
			return true;
	return false;
}

static void write_section_calls(struct emitter *e, enum amon_hook_kind hook, bool once)
{
	fprintf(e->out, "static __always_inline void sections_%s%s(struct packet *p)\n{\n", amon_program_name(hook) + 5,
	        once ? "_once" : "");
	for (uint32_t i = 0; i < e->plan->section_count; i++) {
		const struct amon_plan_section *section = &e->plan->sections[i];

		if (amon_plan_runs_at(section->section, hook) && (!once || (section->weighted && section->once)))
			write_section_call(e, section, hook, once);
	}
	fprintf(e->out, "}\n\n");
}

/* What the hook knows of a packet. */
static void write_hook_members(struct emitter *e, enum amon_hook_kind hook)
{
	for (uint32_t i = 0; i < e->plan->member_count; i++) {
		const struct amon_field *field = e->plan->members[i].field;
		const char *text = hook == AMON_HOOK_XDP ? field->xdp : field->tc;

		if (field->source != AMON_FIELD_HOOK || !strcmp(field->member, "frame_len") ||
		    !strcmp(field->member, "time"))
			continue;
		if (!strcmp(field->member, "hook_direction"))
			text = hook == AMON_HOOK_TC_EGRESS ? "1" : "0";
		else if (!strcmp(field->member, "segments"))
			text = "1";
		fprintf(e->out, "\tp->%s = %s;\n", field->member, text);
	}
}

static void begin_program(struct emitter *e, enum amon_hook_kind hook)
{
	bool xdp = hook == AMON_HOOK_XDP;
	const char *leave = xdp ? "XDP_PASS" : "TC_ACT_UNSPEC";

	fprintf(e->out, "SEC(\"%s\")\nint %s(struct %s)\n{\n", xdp ? "xdp.frags" : "tc", amon_program_name(hook),
	        xdp ? "xdp_md *xdp" : "__sk_buff *skb");
	if (e->plan->scratch)
		fprintf(e->out,
		        "\t__u32 zero = 0;\n\tstruct packet *p = bpf_map_lookup_elem(&amon_packet, &zero);\n\n"
		        "\tif (!p)\n\t\treturn %s;\n\t__builtin_memset(p, 0, sizeof(*p));\n",
		        leave);
	else
		fprintf(e->out, "\tstruct packet packet, *p = &packet;\n\n\t__builtin_memset(p, 0, sizeof(*p));\n");
}

/* Most packets are read in place, by no function of its own. */
static void write_parse(struct emitter *e, const char *name)
{
	if (e->plan->plain)
		fprintf(e->out, "\tif (unlikely(!plain_%s(%s, p)))\n\t", name, name);
	if (e->plan->parses)
		fprintf(e->out, "\tp->cause = parse_%s(%s, p);\n", name, name);
}

static void write_xdp_program(struct emitter *e)
{
	bool weighted = false;

	for (uint32_t i = 0; i < e->plan->section_count; i++)
		weighted |= e->plan->sections[i].weighted;
	begin_program(e, AMON_HOOK_XDP);
	fprintf(e->out, "\tp->frame_len = amon_replay ? amon_frame.length : bpf_xdp_get_buff_len(xdp);\n");
	if (weighted)
		fprintf(e->out, "\tp->weight = 1;\n");
	write_hook_members(e, AMON_HOOK_XDP);
	write_parse(e, "xdp");
	fprintf(e->out,
	        "\tif (amon_frame_max && p->frame_len > amon_frame_max && !p->cause)\n\t\tp->cause = OVERSIZED;\n");
	fprintf(e->out, "\tsections_xdp(p);\n");
	if (any_once(e->plan, AMON_HOOK_XDP))
		fprintf(e->out, "\tsections_xdp_once(p);\n");
	write_users(e, AMON_HOOK_XDP);
	fprintf(e->out, "\treturn XDP_PASS;\n}\n\n");
}

static bool any_selects(const struct amon_plan *plan, enum amon_hook_kind hook)
{
	for (uint32_t i = 0; i < plan->section_count; i++)
		if (plan->sections[i].selects && amon_plan_runs_at(plan->sections[i].section, hook))
			return true;
	return false;
}

static void write_super(struct emitter *e, enum amon_hook_kind hook)
{
	const char *suffix = amon_program_name(hook) + 5;
	bool once = any_once(e->plan, hook);

	fprintf(e->out, "\tif (!skb->gso_size) {\n\t\tsections_%s(p);\n", suffix);
	if (once)
		fprintf(e->out, "\t\tsections_%s_once(p);\n", suffix);
	fprintf(e->out, "\t} else {\n\t\tstruct super s = { .frame_len = p->frame_len };\n\n");
	for (uint32_t i = 0; i < e->plan->member_count; i++)
		if (e->plan->members[i].field->per_packet &&
		    strcmp(e->plan->members[i].field->member, "frame_len") != 0)
			fprintf(e->out, "\t\ts.%s = p->%s;\n", e->plan->members[i].field->member,
			        e->plan->members[i].field->member);
	fprintf(e->out, "\t\tif (!super_measure(skb, &s) && !p->cause)\n\t\t\tp->cause = UNSIZED;\n");
	if (emit_has_member(e->plan, "segments"))
		fprintf(e->out, "\t\tp->segments = s.count;\n");
	fprintf(e->out,
	        "\t\tfor (__u32 i = 0; i < 3; i++)\n\t\t\tif (super_piece(p, &s, i))\n\t\t\t\tsections_%s(p);\n",
	        suffix);
	if (once || any_selects(e->plan, hook)) {
		fprintf(e->out, "\t\tp->frame_len = s.frame_len;\n\t\tp->weight = 1;\n");
		for (uint32_t i = 0; i < e->plan->member_count; i++)
			if (e->plan->members[i].field->per_packet &&
			    strcmp(e->plan->members[i].field->member, "frame_len") != 0)
				fprintf(e->out, "\t\tp->%s = s.%s;\n", e->plan->members[i].field->member,
				        e->plan->members[i].field->member);
	}
	if (once)
		fprintf(e->out, "\t\tsections_%s_once(p);\n", suffix);
	fprintf(e->out, "\t}\n");
}

static void write_tc_program(struct emitter *e, enum amon_hook_kind hook)
{
	begin_program(e, hook);
	fprintf(e->out, "\tp->frame_len = amon_replay ? amon_frame.length : skb->len + (skb->vlan_present ? 4 : 0);\n"
	                "\tp->weight = 1;\n");
	write_hook_members(e, hook);
	write_parse(e, "skb");
	write_super(e, hook);
	write_users(e, hook);
	fprintf(e->out, "\treturn TC_ACT_UNSPEC;\n}\n\n");
}

void emit_programs(struct emitter *e)
{
	emit_mark(e->out, AMON_NO_SPAN);
	for (int hook = 0; hook < AMON_HOOK_COUNT; hook++) {
		if (!e->plan->programs[hook])
			continue;
		write_section_calls(e, hook, false);
		if (any_once(e->plan, hook))
			write_section_calls(e, hook, true);
		if (hook == AMON_HOOK_XDP)
			write_xdp_program(e);
		else
			write_tc_program(e, hook);
	}
	fprintf(e->out, "char amon_license[] SEC(\"license\") = \"Dual BSD/GPL\";\n");
}
