/* SPDX-License-Identifier: Apache-2.0 */
#include "emit_internal.h"

#include <stdlib.h>
#include <string.h>

#include "template.h"

#define BIT(layer) AMON_LAYER_BIT(AMON_LAYER_##layer)
#define NET        (BIT(IPV4) | BIT(IPV6))
#define TRANSPORT  (BIT(TCP) | BIT(UDP) | BIT(SCTP) | BIT(ICMP) | BIT(ICMPV6))

static bool reads_in(const struct amon_plan *plan, enum amon_layer layer)
{
	for (uint32_t i = 0; i < plan->member_count; i++)
		for (int r = 0; r < 3 && plan->members[i].field->reads[r].expression; r++)
			if (plan->members[i].field->reads[r].layer == layer)
				return true;
	return plan->layers & AMON_LAYER_BIT(layer);
}

static bool reads_vlan(const struct amon_plan *plan, enum amon_layer tag, enum amon_layer type)
{
	return reads_in(plan, tag) || reads_in(plan, type);
}

static bool walks_link(const struct amon_plan *plan)
{
	return plan->walked & BIT(VLAN);
}

/* Something is known only behind the extension headers. */
static bool reads_late(const struct amon_plan *plan)
{
	for (uint32_t i = 0; i < plan->member_count; i++)
		for (int r = 0; r < 3; r++)
			if (plan->members[i].field->reads[r].late)
				return true;
	return false;
}

/* The parser walks one of the `layers`, and reads something of it that it stores by 8 bytes. */
static bool stores_pairs(const struct amon_plan *plan, uint32_t layers)
{
	for (uint32_t i = 0; i < plan->member_count; i++)
		for (int r = 0; r < 3 && plan->members[i].field->reads[r].expression; r++)
			if ((AMON_LAYER_BIT(plan->members[i].field->reads[r].layer) & plan->walked & layers) &&
			    amon_plan_is_aligned(&plan->members[i]))
				return true;
	return false;
}

static bool payload(const struct amon_plan *plan)
{
	return (plan->walked & (BIT(L4_LEN) | BIT(TCP_PAYLOAD))) || plan->slice_count;
}

/* The words of templates' conditions that are no layer, member or helper. */
static const struct {
	const char *word;
	uint32_t walked;
} walk_words[] = {
	{ "WALK_VLAN", BIT(VLAN) }, { "LINK", BIT(PPPOE) | BIT(MPLS) }, { "WALK_ARP", BIT(ARP) },
	{ "WALK_NET", NET },        { "WALK_IPV4", BIT(IPV4) },         { "WALK_IPV6", BIT(IPV6) },
	{ "WALK_L4", TRANSPORT },   { "WALK_TCP", BIT(TCP) },           { "WALK_UDP", BIT(UDP) },
	{ "WALK_SCTP", BIT(SCTP) }, { "WALK_ICMP", BIT(ICMP) },         { "WALK_ICMPV6", BIT(ICMPV6) },
};

static bool holds_word(const struct emitter *e, const char *word)
{
	const struct amon_plan *plan = e->plan;

	if (!strcmp(word, "BOTH_HOOKS"))
		return plan->programs[AMON_HOOK_XDP] && emit_at_tc(plan);
	if (!strcmp(word, "APART"))
		return walks_link(plan) || plan->walks_extensions;
	if (!strcmp(word, "WALK_EXTENSIONS"))
		return plan->walks_extensions;
	if (!strcmp(word, "PAIRS"))
		return stores_pairs(plan, UINT32_MAX);
	if (!strcmp(word, "ADDRESSES"))
		return stores_pairs(plan, BIT(IPV6));
	if (!strcmp(word, "PLAIN"))
		return plan->plain;
	if (!strcmp(word, "LATE"))
		return reads_late(plan);
	if (!strcmp(word, "PAYLOAD"))
		return payload(plan);
	if (!strcmp(word, "SUPER") || !strcmp(word, "TAG_IN_SKB"))
		return emit_at_tc(plan);
	if (!strcmp(word, "SLICES"))
		return plan->slice_count;
	if (!strcmp(word, "SLICES_APART"))
		return plan->slice_count > 8;
	if (!strcmp(word, "VLAN_FIELDS"))
		return reads_vlan(plan, AMON_LAYER_VLAN, AMON_LAYER_VLAN_TYPE) ||
		       reads_vlan(plan, AMON_LAYER_VLAN_INNER, AMON_LAYER_VLAN_INNER_TYPE);
	if (!strcmp(word, "VLAN_OUTER"))
		return reads_vlan(plan, AMON_LAYER_VLAN, AMON_LAYER_VLAN_TYPE);
	if (!strcmp(word, "VLAN_INNER_FIELDS"))
		return reads_vlan(plan, AMON_LAYER_VLAN_INNER, AMON_LAYER_VLAN_INNER_TYPE);
	if (!strcmp(word, "MPLS_FIELDS"))
		return reads_in(plan, AMON_LAYER_MPLS);
	if (!strcmp(word, "traffic_class"))
		return emit_has_member(plan, "net_dsfield");
	return emit_has_member(plan, word);
}

static bool template_holds(void *data, const char *word)
{
	const struct emitter *e = data;

	for (int layer = 0; layer < AMON_LAYER_COUNT; layer++)
		if (!strcmp(word, amon_layer_name(layer)))
			return reads_in(e->plan, layer);
	for (size_t i = 0; i < sizeof(walk_words) / sizeof(walk_words[0]); i++)
		if (!strcmp(word, walk_words[i].word))
			return e->plan->walked & walk_words[i].walked;
	for (int use = 0; use < USE_COUNT; use++)
		if (!strcmp(word, emit_use_names[use]))
			return e->uses[use];
	return holds_word(e, word);
}

/* What `layer` reads of a member, and of its other half where it is a pair. */
static void write_read(FILE *out, const struct amon_plan_member *member, const struct amon_field_read *read,
                       const char *indent)
{
	const char *name = member->field->member, *type = member->field->c_type;

	if (member->pair)
		fprintf(out, "%sstore_pair(&c->p->%s, %s, %s);\n", indent, name, read->expression,
		        member[1].field->reads[0].expression);
	else if (!strcmp(type, "__be32[4]") && read->layer == AMON_LAYER_IPV4)
		fprintf(out, "%sstore_pair(c->p->%s, %s, 0);\n", indent, name, read->expression);
	else if (!strcmp(type, "__be32[4]"))
		fprintf(out, "%sstore_address(c->p->%s, %s);\n", indent, name, read->expression);
	else if (strchr(type, '['))
		fprintf(out, "%s__builtin_memcpy(c->p->%s, %s, 6);\n", indent, name, read->expression);
	else
		fprintf(out, "%sc->p->%s = %s;\n", indent, name, read->expression);
}

static void expand_reads(const struct amon_plan *plan, FILE *out, enum amon_layer layer, bool late, const char *indent)
{
	if (layer == AMON_LAYER_TCP_PAYLOAD || layer == AMON_LAYER_L4_LEN)
		return;
	for (uint32_t i = 0; i < plan->member_count; i++) {
		const struct amon_plan_member *member = &plan->members[i];

		for (int r = 0; r < 3 && member->field->reads[r].expression; r++)
			if (member->field->reads[r].layer == layer && member->field->reads[r].late == late &&
			    !(i && member[-1].pair))
				write_read(out, member, &member->field->reads[r], indent);
	}
}

static int layer_of(const char *name)
{
	int layer = 0;

	while (layer < AMON_LAYER_COUNT && strcmp(name, amon_layer_name(layer)) != 0)
		layer++;
	return layer;
}

static void expand_slices(const struct emitter *e, FILE *out, const char *payload_name, const char *indent)
{
	for (uint32_t i = 0; i < e->plan->slice_count; i++) {
		const struct amon_plan_slice *slice = &e->plan->slices[i];

		if (!strcmp(slice->payload->name, payload_name))
			fprintf(out, "%sc->p->has_%s = slice(c, c->at + %u, %u, &c->p->%s);\n", indent, slice->member,
			        slice->offset, slice->width, slice->member);
	}
}

/* Lengths that a wire packet of a super-packet has less of than the buffer. */
static void expand_lengths(const struct emitter *e, FILE *out, const char *format, const char *indent)
{
	for (uint32_t i = 0; i < e->plan->member_count; i++) {
		const struct amon_field *field = e->plan->members[i].field;

		if (field->per_packet && strcmp(field->member, "frame_len") != 0 &&
		    strcmp(field->member, "tcp_flags") != 0)
			fprintf(out, format, indent, field->member, field->member);
	}
}

static void expand_pieces(const struct emitter *e, FILE *out, const char *indent)
{
	expand_lengths(e, out, "%sp->%s = s->%s - less;\n", indent);
	if (!emit_has_member(e->plan, "tcp_flags"))
		return;
	fprintf(out, "%s/* FIN and PSH belong to the last, CWR to the first */\n", indent);
	fprintf(out,
	        "%sp->tcp_flags = s->tcp_flags & ~(s->count == 1 ? 0 : i == 0 ? 0x009 : i == 1 ? 0x089 : 0x080);\n",
	        indent);
}

/* What differs between the two kinds of hooks, told by a constant where both are there. */
static void expand_access(const struct emitter *e, FILE *out)
{
	bool xdp = e->plan->programs[AMON_HOOK_XDP], skb = emit_at_tc(e->plan);

	fprintf(out,
	        "static __always_inline long load_bytes(const struct cursor *c, __u32 at, void *to, __u32 size)\n{\n");
	if (xdp && skb)
		fprintf(out, "\tif (c->xdp)\n\t\treturn bpf_xdp_load_bytes(c->ctx, at, to, size);\n");
	fprintf(out, "\treturn bpf_%s_load_bytes(c->ctx, at, to, size);\n}\n\n", skb ? "skb" : "xdp");
	if (skb && (e->plan->walked & BIT(VLAN))) {
		fprintf(out, "static __always_inline bool tag_in_skb(const struct cursor *c)\n{\n");
		fprintf(out, "\treturn %s((struct __sk_buff *)c->ctx)->vlan_present;\n}\n\n", xdp ? "!c->xdp && " : "");
	}
	if (skb && (e->plan->walked & BIT(IPV6)))
		fprintf(out,
		        "static __always_inline bool is_super(const struct cursor *c)\n{\n"
		        "\treturn %s((struct __sk_buff *)c->ctx)->gso_size;\n}\n\n",
		        xdp ? "!c->xdp && " : "");
}

/* Many slices are read by a function that is verified once. */
static void write_slice_function(FILE *out, const char *name, const char *context)
{
	fprintf(out,
	        "/* `width` bytes at `at`, big-endian; 0 where they are not all in the IP packet. */\n"
	        "__noinline __u32 slice_%s(struct %s *%s, __u32 at, __u32 limit, __u32 width, __s64 *value)\n{\n"
	        "\t__u8 copy[8] = {};\n\t__u64 number = 0;\n\t__u32 i;\n\n"
	        "\twidth = ((width - 1) & 7) + 1; /* a bound that no compiler turns into one the verifier misses */\n"
	        "\tif (!value || at + width > limit)\n\t\treturn 0;\n"
	        "\tif (bpf_%s_load_bytes(%s, at, copy, width))\n\t\treturn 0;\n"
	        "\tfor (i = 0; i < 8; i++)\n\t\tif (i < width)\n\t\t\tnumber = number << 8 | copy[i];\n"
	        "\t*value = number;\n\treturn 1;\n}\n\n",
	        name, context, name, name, name);
}

static void expand_slice_functions(const struct emitter *e, FILE *out)
{
	bool xdp = e->plan->programs[AMON_HOOK_XDP], skb = emit_at_tc(e->plan);

	if (xdp)
		write_slice_function(out, "xdp", "xdp_md");
	if (skb)
		write_slice_function(out, "skb", "__sk_buff");
	fprintf(out,
	        "static __always_inline bool slice(const struct cursor *c, __u32 at, __u32 width, __s64 *value)\n{\n");
	if (xdp && skb)
		fprintf(out, "\tif (c->xdp)\n\t\treturn slice_xdp(c->ctx, at, c->limit, width, value);\n");
	fprintf(out, "\treturn slice_%s(c->ctx, at, c->limit, width, value);\n}\n", skb ? "skb" : "xdp");
}

/* The cursor at the start of the frame, which each kind of hook finds in its way. */
static void write_start(FILE *out, bool xdp, bool both)
{
	const char *name = xdp ? "xdp" : "skb";

	fprintf(out, "static __always_inline struct cursor start_%s(struct %s *%s, struct packet *p)\n{\n", name,
	        xdp ? "xdp_md" : "__sk_buff", name);
	fprintf(out, "\tstruct cursor c = {\n\t\t.ctx = %s,\n\t\t.p = p,\n", name);
	fprintf(out, "\t\t.data = (void *)(long)%s->data,\n\t\t.end = (void *)(long)%s->data_end,\n", name, name);
	fprintf(out, "\t\t.wire = %s,\n", xdp ? "p->frame_len" : "amon_replay ? amon_frame.length : skb->len");
	fprintf(out, "\t\t.kept = ~0U,\n");
	if (both)
		fprintf(out, "\t\t.xdp = %d,\n", xdp);
	fprintf(out, "\t};\n\n\tc.captured = c.wire;\n\tif (amon_replay) {\n\t\tc.kept = amon_frame.captured;\n"
	             "\t\tc.captured = c.wire < c.kept ? c.wire : c.kept;\n\t}\n\treturn c;\n}\n\n");
}

static void expand_start(const struct emitter *e, FILE *out)
{
	bool xdp = e->plan->programs[AMON_HOOK_XDP], skb = emit_at_tc(e->plan);

	if (xdp)
		write_start(out, true, skb);
	if (skb)
		write_start(out, false, xdp);
}

static void write_apart(FILE *out, const char *function, const char *name, const char *context)
{
	fprintf(out,
	        "__noinline __u32 %s_%s(struct %s *%s, struct packet *p)\n{\n\tstruct cursor c;\n\t__u32 cause;\n\n"
	        "\tif (!p)\n\t\treturn WHOLE;\n\tc = start_%s(%s, p);\n\tcause = %s(&c);\n"
	        "\tp->layers |= c.layers;\n\treturn cause;\n}\n\n",
	        function, name, context, name, name, name, function);
}

/* What is tried before parse(), in the program itself. */
static void write_plain(FILE *out, const char *name, const char *context)
{
	fprintf(out,
	        "static __always_inline bool plain_%s(struct %s *%s, struct packet *p)\n{\n"
	        "\tstruct cursor c = start_%s(%s, p);\n\n"
	        "\tif (!plain(&c))\n\t\treturn 0;\n\tp->layers = c.layers;\n\treturn 1;\n}\n\n",
	        name, context, name, name, name);
}

/* A parser's function that is verified once, for any packet: one for each kind of hook. */
static void write_all_apart(const struct emitter *e, FILE *out, const char *function)
{
	if (e->plan->programs[AMON_HOOK_XDP])
		write_apart(out, function, "xdp", "xdp_md");
	if (emit_at_tc(e->plan))
		write_apart(out, function, "skb", "__sk_buff");
}

/* With a function that calls the right one. */
static void expand_apart(const struct emitter *e, FILE *out, const char *function)
{
	bool xdp = e->plan->programs[AMON_HOOK_XDP], skb = emit_at_tc(e->plan);

	write_all_apart(e, out, function);
	fprintf(out, "static __always_inline __u32 %s_apart(const struct cursor *c)\n{\n", function);
	if (xdp && skb)
		fprintf(out, "\tif (c->xdp)\n\t\treturn %s_xdp(c->ctx, c->p);\n", function);
	fprintf(out, "\treturn %s_%s(c->ctx, c->p);\n}\n\n", function, skb ? "skb" : "xdp");
}

/* The statement for each word that some table's key in rows of CPUs' own has; `#` stands for its number. */
static void expand_words(const struct emitter *e, FILE *out, const char *statement, const char *indent)
{
	uint32_t size = 0;

	for (uint32_t i = 0; i < e->plan->section_count; i++)
		for (uint32_t t = 0; t < e->plan->sections[i].table_count; t++)
			if (e->plan->sections[i].tables[t].spill_map && e->plan->sections[i].tables[t].key_size > size)
				size = e->plan->sections[i].tables[t].key_size;
	for (uint32_t word = 0; word < size / 8; word++) {
		fprintf(out, "%sif (count > %u)\n%s\t", indent, word, indent);
		for (const char *c = statement; *c; c++)
			if (*c == '#')
				fprintf(out, "%u", word);
			else
				fputc(*c, out);
		fputc('\n', out);
	}
}

static void template_expand(void *data, FILE *out, const char *directive, const char *arguments, const char *indent)
{
	struct emitter *e = data;
	char words[128], *rest;

	snprintf(words, sizeof(words), "%s", arguments);
	if (!strcmp(directive, "fields")) {
		for (char *word = strtok_r(words, " ", &rest); word; word = strtok_r(NULL, " ", &rest))
			expand_reads(e->plan, out, layer_of(word), false, indent);
	} else if (!strcmp(directive, "layer")) {
		if (e->plan->layers & AMON_LAYER_BIT(layer_of(words)))
			fprintf(out, "%sc->layers |= %s;\n", indent, words);
	} else if (!strcmp(directive, "late")) {
		expand_reads(e->plan, out, layer_of(words), true, indent);
	} else if (!strcmp(directive, "slices")) {
		expand_slices(e, out, words, indent);
	} else if (!strcmp(directive, "originals")) {
		for (uint32_t i = 0; i < e->plan->member_count; i++)
			if (e->plan->members[i].field->per_packet &&
			    strcmp(e->plan->members[i].field->member, "frame_len") != 0)
				fprintf(out, "%s__u32 %s;\n", indent, e->plan->members[i].field->member);
	} else if (!strcmp(directive, "slice_functions")) {
		expand_slice_functions(e, out);
	} else if (!strcmp(directive, "access")) {
		expand_access(e, out);
	} else if (!strcmp(directive, "start")) {
		expand_start(e, out);
	} else if (!strcmp(directive, "apart")) {
		expand_apart(e, out, words);
	} else if (!strcmp(directive, "pieces")) {
		expand_pieces(e, out, indent);
	} else if (!strcmp(directive, "words")) {
		expand_words(e, out, arguments, indent);
	}
}

void emit_template(struct emitter *e, const char *name)
{
	struct amon_template_user user = { template_holds, template_expand, e };

	amon_template(e->out, name, &user);
	fputc('\n', e->out);
}

/* In the order in which they are written. */
static const struct {
	const char *file;
	uint32_t walked;
} layer_templates[] = {
	{ "ethernet.h", BIT(ETH) }, { "vlan.h", BIT(VLAN) }, { "pppoe.h", BIT(PPPOE) }, { "mpls.h", BIT(MPLS) },
	{ "link.h", BIT(VLAN) },    { "arp.h", BIT(ARP) },   { "ipv4.h", BIT(IPV4) },   { "ipv6.h", BIT(IPV6) },
};
static const struct {
	const char *file;
	uint32_t walked;
} transport_templates[] = {
	{ "tcp.h", BIT(TCP) },   { "udp.h", BIT(UDP) },       { "sctp.h", BIT(SCTP) },
	{ "icmp.h", BIT(ICMP) }, { "icmpv6.h", BIT(ICMPV6) },
};

static void write_payload_of(struct emitter *e)
{
	if (!reads_in(e->plan, AMON_LAYER_L4_LEN))
		return;
	fprintf(e->out, "/* Behind the transport header, by the IP length. */\n"
	                "static __always_inline void payload_of(struct cursor *c)\n{\n");
	if (e->plan->layers & BIT(L4_LEN))
		fprintf(e->out, "\tc->layers |= L4_LEN;\n");
	fprintf(e->out, "\tc->p->l4_len = c->ip_end - c->at;\n}\n\n");
}

void emit_parser_members(struct emitter *e)
{
	bool link = walks_link(e->plan), extensions = e->plan->walks_extensions;

	if (!link && !extensions)
		return;
	fprintf(e->out, "\t/* the parser's, for its functions that are verified apart */\n\t__u32 at%s;\n",
	        extensions ? ", limit" : "");
	if (link)
		fprintf(e->out, "\t__u16 type;\n");
	if (extensions)
		fprintf(e->out, "\t__u8 proto;\n\tbool fragment, later;\n");
}

void emit_parser(struct emitter *e)
{
	uint32_t walked = e->plan->walked;

	emit_template(e, "cursor.h");
	for (size_t i = 0; i < sizeof(layer_templates) / sizeof(layer_templates[0]); i++)
		if (walked & layer_templates[i].walked)
			emit_template(e, layer_templates[i].file);
	if (e->plan->walks_extensions)
		emit_template(e, "extensions.h");
	write_payload_of(e);
	if (e->plan->slice_count)
		emit_template(e, "slice.h");
	for (size_t i = 0; i < sizeof(transport_templates) / sizeof(transport_templates[0]); i++)
		if (walked & transport_templates[i].walked)
			emit_template(e, transport_templates[i].file);
	emit_template(e, "parse.h");
	write_all_apart(e, e->out, "parse");
	if (!e->plan->plain)
		return;
	emit_template(e, "plain.h");
	if (e->plan->programs[AMON_HOOK_XDP])
		write_plain(e->out, "xdp", "xdp_md");
	if (emit_at_tc(e->plan))
		write_plain(e->out, "skb", "__sk_buff");
}
