/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AMON_TEST_SLOW_H
#define AMON_TEST_SLOW_H

#include "windows.h"

/*
 * A probe that takes its time, in which a reader that does not wait long enough loses packets: at ingress each packet
 * is first sent out of the interface, which runs the egress gate on the same CPU, inside of the ingress gate. It is
 * counted only much later.
 */
static const char slow_source[] =
        "typedef unsigned long long u64; typedef unsigned int u32;\n"
        "#define SEC(name) __attribute__((section(name), used))\n"
        "struct __sk_buff { u32 before[10], ifindex; };\n"
        "static void *(*lookup)(void *, const void *) = (void *)1;\n"
        "static long (*clone_redirect)(struct __sk_buff *, u32, u64) = (void *)13;\n"
        "static long (*loop)(u32, void *, void *, u64) = (void *)181;\n"
        "struct record { u64 seen[2], selected[2]; };\n"
        "struct { int (*type)[6]; u32 *key; struct record *value; int (*max_entries)[1]; } counts SEC(\".maps\");\n"
        "static long idle(u32 i, void *data)\n"
        "{\n"
        "	return 0;\n"
        "}\n"
        "SEC(\"tc\") int outer(struct __sk_buff *skb)\n"
        "{\n"
        "	u32 zero = 0;\n"
        "	struct record *record;\n"
        "	clone_redirect(skb, skb->ifindex, 0);\n"
        "	loop(4096, idle, 0, 0);\n"
        "	record = lookup(&counts, &zero);\n"
        "	if (record)\n"
        "		record->seen[0]++;\n"
        "	return -1;\n"
        "}\n"
        "SEC(\"tc\") int inner(struct __sk_buff *skb)\n"
        "{\n"
        "	return -1;\n"
        "}\n"
        "char license_text[] SEC(\"license\") = \"GPL\";\n";

#define SLOW_PACKETS 20000

static struct amon_export_part slow_part = { .map = "counts", .size = 32, .twice = true };
static struct amon_export_section slow_section = {
	.name = "slow",
	.parts = &slow_part,
	.part_count = 1,
	.record_size = 32,
	.selected = 16,
	.reset = true,
	.hooks = { { .kind = AMON_HOOK_TC_INGRESS }, { .kind = AMON_HOOK_TC_EGRESS } },
	.hook_count = 2,
};
static struct amon_export_program slow_programs[] = { { "outer", AMON_HOOK_TC_INGRESS },
	                                              { "inner", AMON_HOOK_TC_EGRESS } };
static const struct amon_exports slow_exports = {
	.probe = "slow",
	.programs = slow_programs,
	.program_count = 2,
	.sections = &slow_section,
	.section_count = 1,
};

struct slow {
	struct amon_frontend_result compiled;
	struct amon_attached *attached;
	struct amon_loaded *loaded;
	struct traffic *traffic;
	uint64_t packets; /* of all windows so far */
};

/* What XDP sends is taken by an interface without XDP where it merges packets. */
static inline int slow_network(void)
{
	return network_new() || network_run("ethtool -K v0 gro on");
}

static inline void slow_start(struct slow *slow, bool announces)
{
	struct amon_load_options options = { .announces = announces };
	struct amon_failure failure = { .message = "" };

	*slow = (struct slow){ 0 };
	assert_int_equal(amon_frontend_compile("slow.c", slow_source, strlen(slow_source), &slow->compiled), 0);
	if (amon_probe_load(slow->compiled.object, slow->compiled.object_size, &slow_exports, &options, &slow->loaded,
	                    &failure) ||
	    amon_probe_attach(slow->loaded, "v0", &slow->attached, &failure))
		fail_msg("%s", failure.message);
	slow->traffic = traffic_new("v1", 1, TRAFFIC_IN_TURN);
	assert_non_null(slow->traffic);
	assert_int_equal(traffic_pace(slow->traffic, "v0"), 0);
}

static inline void slow_cut(struct slow *slow)
{
	struct amon_failure failure = { .message = "" };
	struct amon_collected *collected = NULL;
	struct amon_window window;

	assert_int_equal(amon_reader_cut(slow->loaded->reader, &collected, &window, &failure), 0);
	slow->packets += number_at(collected->sections[0].record, 0);
	amon_collected_free(collected);
	assert_int_equal(amon_reader_done(slow->loaded->reader, &failure), 0);
}

/* Windows as fast as they can be cut, until all packets have passed. */
static inline void slow_cut_all(struct slow *slow)
{
	assert_int_equal(traffic_start(slow->traffic, 1, SLOW_PACKETS), 0);
	while (traffic_runs(slow->traffic))
		slow_cut(slow);
	traffic_stop(slow->traffic);
	slow_cut(slow);
}

static inline void slow_stop(struct slow *slow)
{
	amon_probe_detach(slow->attached);
	amon_probe_unload(slow->loaded);
	traffic_free(slow->traffic);
	amon_frontend_result_free(&slow->compiled);
}

#endif
