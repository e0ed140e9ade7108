/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "check_internal.h"

static const struct {
	const char *type, *mode; /* NULL: not written */
	struct amon_hook hook;
} ingress_hooks[] = {
	{ NULL, NULL, { .kind = AMON_HOOK_XDP, .choice = true } },
	{ "xdp", NULL, { .kind = AMON_HOOK_XDP } },
	{ "xdp", "native", { .kind = AMON_HOOK_XDP, .mode = AMON_XDP_NATIVE } },
	{ "xdp", "generic", { .kind = AMON_HOOK_XDP, .mode = AMON_XDP_GENERIC } },
	{ "tc", NULL, { .kind = AMON_HOOK_TC_INGRESS } },
};

static bool same(const char *a, const char *b)
{
	return a && b ? !strcmp(a, b) : a == b;
}

static void suggest(struct check *check, struct amon_diagnostic *error, const char *word, const char *a, const char *b)
{
	struct candidates candidates = { .check = check };

	check_candidate(&candidates, a);
	check_candidate(&candidates, b);
	check_suggest(error, &candidates, word);
}

static void complain_ingress(struct check *check, const struct amon_hook_syntax *syntax)
{
	const char *type = syntax->type.text, *mode = syntax->mode.text;

	if (same(type, "xdp") && same(mode, "offload"))
		amon_error(
		        check->diagnostics, syntax->mode.span,
		        "XDP cannot be offloaded here: a network card has neither the maps that are read in one step "
		        "nor the clock that a probe needs");
	else if (same(type, "xdp"))
		suggest(check,
		        amon_error(check->diagnostics, syntax->mode.span, "XDP runs `native` or `generic`, not `%s`",
		                   mode),
		        mode, "native", "generic");
	else if (same(type, "tc"))
		amon_error(check->diagnostics, syntax->mode.span, "`ingress tc` has no modes");
	else
		suggest(check,
		        amon_error(check->diagnostics, syntax->type.span,
		                   "`ingress` runs at `xdp` or `tc`, not at `%s`", type),
		        type, "xdp", "tc");
}

static bool read_ingress(struct check *check, const struct amon_hook_syntax *syntax, struct amon_hook *hook)
{
	for (size_t i = 0; i < COUNT_OF(ingress_hooks); i++)
		if (same(syntax->type.text, ingress_hooks[i].type) && same(syntax->mode.text, ingress_hooks[i].mode)) {
			*hook = ingress_hooks[i].hook;
			return true;
		}
	complain_ingress(check, syntax);
	return false;
}

static bool read_egress(struct check *check, const struct amon_hook_syntax *syntax, struct amon_hook *hook)
{
	hook->kind = AMON_HOOK_TC_EGRESS;
	if (!syntax->type.text || (same(syntax->type.text, "tc") && !syntax->mode.text))
		return true;
	amon_error(check->diagnostics, syntax->type.span, "`egress` is always at TC%s",
	           same(syntax->type.text, "xdp") ? ": XDP sees only what comes in" : "");
	return false;
}

static bool is_egress(const struct amon_hook *hook)
{
	return hook->kind == AMON_HOOK_TC_EGRESS;
}

/* Two hooks of one direction see the same packets. */
static bool counts_twice(struct check *check, const struct amon_section *section, const struct amon_hook *hook)
{
	for (uint32_t i = 0; i < section->hook_count; i++)
		if (is_egress(&section->hooks[i]) == is_egress(hook)) {
			amon_error(check->diagnostics, hook->span,
			           "two %s hooks in one section count each packet twice",
			           is_egress(hook) ? "`egress`" : "`ingress`");
			amon_note(check->diagnostics, section->hooks[i].span, "the first is here");
			return true;
		}
	return false;
}

/* An interface has XDP in one mode. */
static void check_mode(struct check *check, const struct amon_hook *hook)
{
	for (const struct amon_section *other = check->probe->sections; other; other = other->next)
		for (uint32_t i = 0; i < other->hook_count; i++)
			if (hook->mode != AMON_XDP_ANY && other->hooks[i].mode != AMON_XDP_ANY &&
			    other->hooks[i].mode != hook->mode) {
				amon_error(check->diagnostics, hook->span,
				           "native and generic XDP in one probe: an interface has one mode");
				amon_note(check->diagnostics, other->hooks[i].span, "the other is here");
				return;
			}
}

void check_hooks(struct check *check, struct amon_section *section, const struct amon_statement *statement)
{
	for (const struct amon_hook_syntax *syntax = statement->hooks; syntax; syntax = syntax->next) {
		struct amon_hook hook = { 0 };
		bool fits = syntax->egress ? read_egress(check, syntax, &hook) : read_ingress(check, syntax, &hook);

		hook.span = syntax->span;
		if (fits)
			check_mode(check, &hook);
		if (fits && !counts_twice(check, section, &hook))
			section->hooks[section->hook_count++] = hook;
	}
}

struct amon_name check_section_name(const struct amon_statement *statement)
{
	bool ingress = false, egress = false;
	struct amon_name name = statement->name;

	if (name.text)
		return name;
	for (const struct amon_hook_syntax *syntax = statement->hooks; syntax; syntax = syntax->next) {
		ingress = ingress || !syntax->egress;
		egress = egress || syntax->egress;
		name.span = name.span.source ? name.span : syntax->span;
	}
	name.text = ingress && egress ? "both" : egress ? "egress" : "ingress";
	return name;
}
