/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is remembered from packet to packet, in the kernel: each packet is made by hand and run once, windows are cut as
 * a reader cuts them, and what comes out was worked out on paper. If one fails, deltas, states, folds and what tables
 * are asked for are wrong, or rows live too long or too short.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <bpf/bpf.h>
#include <linux/bpf.h>
#include <sched.h>
#include <stdio.h>
#include <unistd.h>

#include "kernel_fixture.h"
#include "runtime/bpf/control.h"

/* Flows are told apart by their TTL. */
#define FLOW(number) (number)
#define ARP          0xff

static void run(struct fixture *f, unsigned int clone, uint8_t flow, uint32_t length)
{
	uint8_t bytes[1500] = { [12] = 8, [13] = flow == ARP ? 6 : 0, [14] = 0x45, [22] = flow, [23] = 17 };
	LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = bytes, .data_size_in = length);

	bytes[16] = (length - 14) >> 8;
	bytes[17] = (length - 14) & 255;
	bytes[38] = (length - 34) >> 8;
	bytes[39] = (length - 34) & 255;
	assert_int_equal(bpf_prog_test_run_opts(f->loaded->clones[clone].programs[AMON_HOOK_XDP], &options), 0);
}

/* Whose window is open. */
static unsigned int open_clone(const struct fixture *f)
{
	return f->loaded->clone_count > 1 ? f->loaded->reader->control->state & 1 : 0;
}

static void packet(struct fixture *f, uint8_t flow, uint32_t length)
{
	run(f, open_clone(f), flow, length);
}

/* --- what is read, as text: metrics, and behind | the rows of each table; - is null */

static void put_cell(FILE *out, const struct amon_cell *cell)
{
	if (cell->kind == AMON_CELL_UNSIGNED)
		fprintf(out, " %llu", (unsigned long long)cell->natural);
	else if (cell->kind == AMON_CELL_SIGNED)
		fprintf(out, " %lld", (long long)cell->integer);
	else
		fputs(cell->kind == AMON_CELL_NULL ? " -" : " ?", out);
}

static void put_cells(FILE *out, const struct amon_cell *cells, uint32_t from, uint32_t to)
{
	for (uint32_t i = from; i < to; i++)
		put_cell(out, &cells[i]);
}

static void put_table(FILE *out, const struct amon_table_rows *rows)
{
	uint32_t keys = rows->table->key_count, count = rows->table->column_count;
	uint64_t place = 0;

	fputs(" |", out);
	while (amon_rows_next(rows, &place)) {
		const struct amon_cell *cells = amon_row_cells(rows, 0, count);

		fprintf(out, " %llu:", (unsigned long long)cells[0].natural);
		put_cells(out, cells, keys, count);
	}
	if (rows->other) {
		fputs(" other:", out);
		put_cells(out, rows->other, keys, count);
	}
	if (rows->rest) {
		fputs(" rest:", out);
		put_cells(out, rows->rest, keys, count);
	}
}

/* Of a private table: in rows, in `other`, unaccounted. */
static void put_ledger(FILE *out, const struct amon_section_rows *section, const struct amon_export_table *table)
{
	uint64_t unaccounted = 0;

	for (uint32_t i = 0; i < table->unaccounted_count; i++)
		unaccounted += amon_section_packets(section, table->unaccounted[i].offset).packets;
	fprintf(out, " %s: %llu %llu %llu", table->name,
	        (unsigned long long)amon_section_packets(section, table->in_rows).packets,
	        table->other == UINT32_MAX ? 0ULL
	                                   : (unsigned long long)amon_section_packets(section, table->other).packets,
	        (unsigned long long)unaccounted);
}

static void put_section(FILE *out, const struct amon_section_rows *section)
{
	put_cells(out, section->cells, 0, section->section->column_count);
	for (uint32_t i = 0; i < section->section->table_count; i++)
		put_table(out, &section->tables[i]);
	for (uint32_t i = 0; i < section->section->private_count; i++)
		put_ledger(out, section, &section->section->privates[i]);
}

/* Cuts the window that is open; what it holds is `expected`. */
static void check_window(struct fixture *f, const char *expected)
{
	struct amon_collected *collected = NULL;
	struct amon_document *document = NULL;
	struct amon_window window;
	struct amon_failure failure = { .message = "" };
	char *text = NULL;
	size_t size = 0;
	FILE *out;

	if (amon_reader_cut(f->loaded->reader, &collected, &window, &failure))
		fail_msg("%s", failure.message);
	assert_int_equal(amon_document(f->exports, collected, &window, &document), 0);
	out = open_memstream(&text, &size);
	put_section(out, &document->sections[0]);
	fclose(out);
	assert_string_equal(text, expected);
	free(text);
	amon_document_free(document);
	amon_collected_free(collected);
	assert_int_equal(amon_reader_done(f->loaded->reader, &failure), 0);
}

static struct fixture *begin(const char *spec)
{
	return fixture_new(spec, NULL);
}

static uint32_t count_rows(struct fixture *f, const char *map)
{
	int fd = amon_probe_map(f->loaded, map);
	uint8_t key[64], next[64];
	uint32_t count = 0;

	for (int more = !bpf_map_get_next_key(fd, NULL, next); more; count++) {
		memcpy(key, next, sizeof(key));
		more = !bpf_map_get_next_key(fd, key, next);
	}
	return count;
}

/* --- previous packets */

static void previous_packets_are_of_the_flow(void **state)
{
	struct fixture *f;

	(void)state;
	SKIP_WITHOUT_BPF();
	f = begin("probe p { ingress xdp { where net; metric all = sum(delta(frame.len)); metric n = count();\n"
	          "table t by net.ttl { metric d = sum(delta(frame.len)); metric most = max(delta(frame.len)); } } }");
	packet(f, FLOW(1), 100);
	packet(f, FLOW(2), 500);
	packet(f, ARP, 60);
	packet(f, FLOW(1), 130);
	packet(f, FLOW(2), 400);
	packet(f, FLOW(1), 120);
	packet(f, FLOW(3), 70);
	/* all: 70 - 100; flow 1: 120 - 100, at most 130 - 100; flow 2: 400 - 500; flow 3 has one packet */
	check_window(f, " -30 6 | 1: 20 30 2: -100 -100 3: 0 -");
	fixture_free(f);
}

/* A packet without the value leaves its successor without a previous one. */
static void what_is_absent_is_so_in_the_next(void **state)
{
	struct fixture *f;

	(void)state;
	SKIP_WITHOUT_BPF();
	f = begin("probe p { ingress xdp {\n"
	          "metric any = sum(delta(net.len)); metric seen = count() where present(prev(net.len));\n"
	          "metric narrow = sum(delta(net.len)) where net; metric one = count() where prev(net.ttl) == 1;\n"
	          "metric was_udp = count() where prev(udp); metric not_udp = count() where not prev(udp);\n"
	          "} }");
	packet(f, FLOW(1), 114);
	packet(f, FLOW(1), 124);
	packet(f, ARP, 60);
	packet(f, FLOW(2), 164);
	packet(f, FLOW(2), 174);
	/* any: 10, and 10 behind the ARP frame; narrow sees four packets: 160 - 100; udp: a condition has a value even
	   where there was no packet, and is false */
	check_window(f, " 20 3 60 2 3 2");
	fixture_free(f);
}

/* In a `where` and a `let` those of the block, in an argument those that the metric's `where` lets through. */
static void the_place_says_which_packets_come(void **state)
{
	struct fixture *f;

	(void)state;
	SKIP_WITHOUT_BPF();
	f = begin("probe p { let step = delta(frame.len); ingress xdp { where net; let big = frame.len > 200;\n"
	          "metric inside = sum(delta(frame.len)) where big; metric outside = sum(step) where big;\n"
	          "metric grown = count() where delta(frame.len) > 0;\n"
	          "table changes by net.ttl where not (prev(frame.len) == frame.len) { metric n = count(); } } }");
	packet(f, FLOW(1), 100);
	packet(f, FLOW(1), 300);
	packet(f, FLOW(1), 150);
	packet(f, FLOW(1), 150);
	packet(f, FLOW(1), 250);
	/* inside: 250 - 300; outside: 300 - 100, 250 - 150; the second packet of 150 changes nothing */
	check_window(f, " -50 300 2 | 1: 4");
	fixture_free(f);
}

/* --- windows */

#define LIFE                                                                                                           \
	"probe p { window 1h; ingress xdp { where net; metric all = sum(delta(frame.len));\n"                          \
	"table t by net.ttl size 8 { state n : u32 = 0 next n + 1; metric most = max(n);\n"                            \
	"metric d = max(delta(frame.len)); metric f : u8 = net.ttl next f + 10; } } }"

static void rows_live_for_one_silent_window(void **state)
{
	struct fixture *f;

	(void)state;
	SKIP_WITHOUT_BPF();
	f = begin(LIFE);
	packet(f, FLOW(1), 100);
	packet(f, FLOW(2), 100);
	packet(f, FLOW(3), 100);
	check_window(f, " 0 | 1: 0 - 11 2: 0 - 12 3: 0 - 13");
	/* flow 1 is there in every window */
	packet(f, FLOW(1), 110);
	check_window(f, " 10 | 1: 1 10 11");
	packet(f, FLOW(1), 120);
	packet(f, FLOW(1), 125);
	/* flow 2 was silent for the whole of the window before, and so begins anew */
	packet(f, FLOW(2), 150);
	check_window(f, " 40 | 1: 3 10 21 2: 0 - 12");
	/* not one whole window */
	packet(f, FLOW(2), 160);
	check_window(f, " 10 | 2: 1 10 12");
	packet(f, FLOW(1), 105);
	packet(f, FLOW(2), 100);
	check_window(f, " -60 | 1: 0 - 11 2: 2 -60 12");
	fixture_free(f);
}

/* What nobody comes to any more makes room, once there is more than the rows of one window. */
static void ended_rows_are_swept(void **state)
{
	struct fixture *f;

	(void)state;
	SKIP_WITHOUT_BPF();
	f = begin("probe p { window 1h; ingress xdp { where net; metric all = count();\n"
	          "private table t by net.ttl size 8 { state n = count(); } } }");
	for (uint8_t flow = 1; flow <= 8; flow++)
		packet(f, flow, 100);
	check_window(f, " 8 t: 8 0 0");
	assert_int_equal(count_rows(f, "ingress_t_memory"), 8);
	for (uint8_t flow = 8; flow <= 15; flow++)
		packet(f, flow, 100);
	assert_int_equal(count_rows(f, "ingress_t_memory"), 15);
	check_window(f, " 8 t: 8 0 0");
	/* those of the window before may still be continued */
	assert_int_equal(count_rows(f, "ingress_t_memory"), 8);
	check_window(f, " 0 t: 0 0 0");
	assert_int_equal(count_rows(f, "ingress_t_memory"), 8);
	packet(f, FLOW(20), 100);
	check_window(f, " 1 t: 1 0 0");
	assert_int_equal(count_rows(f, "ingress_t_memory"), 1);
	fixture_free(f);
}

/* As a reader does that waits and takes out what has ended. */
static void set_sweeping(struct fixture *f, bool sweeping)
{
	volatile struct amon_control *control = f->loaded->reader->control;

	control->state = (control->state & ~(3ULL << 2)) | (sweeping ? AMON_PHASE_SWEEPING << 2 : 0);
}

/* Meanwhile nobody begins such a row anew: its packets go to `other`, those of all others where they belong. */
static void rows_that_are_being_swept_are_left_alone(void **state)
{
	struct fixture *f;

	(void)state;
	SKIP_WITHOUT_BPF();
	f = begin(LIFE);
	packet(f, FLOW(1), 100);
	packet(f, FLOW(3), 100);
	check_window(f, " 0 | 1: 0 - 11 3: 0 - 13");
	packet(f, FLOW(3), 100);
	check_window(f, " 0 | 3: 1 0 13");
	set_sweeping(f, true);
	packet(f, FLOW(1), 110);
	packet(f, FLOW(2), 100);
	packet(f, FLOW(3), 103);
	set_sweeping(f, false);
	packet(f, FLOW(1), 120);
	check_window(f, " 20 | 1: 0 - 11 2: 0 - 12 3: 2 3 13 other: 0 - 11");
	fixture_free(f);
}

/* A CPU that was called for the window before goes on with that, even when packets of the next have come. */
static void a_late_packet_stays_in_its_window(void **state)
{
	struct fixture *f;
	struct amon_collected *collected = NULL;
	struct amon_window window;
	struct amon_failure failure = { .message = "" };

	(void)state;
	SKIP_WITHOUT_BPF();
	f = begin("probe p { window 1h; ingress xdp { metric f : u8 = 0 next f + 1; state n = count(); "
	          "metric n_ = max(n); } }");
	run(f, 1, FLOW(1), 100);
	assert_int_equal(amon_reader_cut(f->loaded->reader, &collected, &window, &failure), 0);
	amon_collected_free(collected);
	run(f, 0, FLOW(1), 100);
	run(f, 1, FLOW(1), 100);
	run(f, 1, FLOW(1), 100);
	run(f, 0, FLOW(1), 100);
	/* the reader that cut it died: the next reads it again */
	check_window(f, " 3 3");
	check_window(f, " 2 4");
	fixture_free(f);
}

/* `keep`: totals. Rows stay, and with them folds that are metrics; what states remember ends all the same. */
static void kept_rows_keep_their_folds(void **state)
{
	struct fixture *f;

	(void)state;
	SKIP_WITHOUT_BPF();
	f = begin("probe p { window 1h keep; ingress xdp { table t by net.ttl { state n : u8 = 0 next n + 1;\n"
	          "metric most = max(n); metric f : u32 = 100 next f + 1; } } }");
	packet(f, FLOW(1), 100);
	packet(f, FLOW(1), 100);
	packet(f, FLOW(1), 100);
	check_window(f, " | 1: 2 103");
	check_window(f, " | 1: 2 103");
	packet(f, FLOW(1), 100);
	check_window(f, " | 1: 2 104");
	fixture_free(f);
}

/* --- full tables */

static void what_finds_no_row_has_other(void **state)
{
	struct fixture *f;

	(void)state;
	SKIP_WITHOUT_BPF();
	f = begin("probe p { window 1h; ingress xdp { table t by net.ttl size 2 {\n"
	          "metric d = sum(delta(frame.len)); metric f : u8 = net.ttl next f + 1; } } }");
	packet(f, FLOW(1), 100);
	packet(f, FLOW(2), 100);
	packet(f, FLOW(3), 100);
	packet(f, FLOW(4), 150);
	packet(f, FLOW(3), 170);
	packet(f, FLOW(2), 110);
	/* the row `other` remembers as one: 170 - 100, and begins with the TTL of the first that came to it */
	check_window(f, " | 1: 0 2 2: 10 4 other: 70 6");
	assert_int_equal(count_rows(f, "ingress_t_memory"), 2);
	packet(f, FLOW(3), 200);
	packet(f, FLOW(4), 200);
	packet(f, FLOW(2), 140);
	/* flows 3 and 4 have rows now, and what they left in `other` stays there */
	check_window(f, " | 3: 0 4 4: 0 5 other: -30 3");
	fixture_free(f);
}

static void a_private_table_has_its_ledger(void **state)
{
	struct fixture *f;

	(void)state;
	SKIP_WITHOUT_BPF();
	f = begin("probe p { ingress xdp { private table t by net.ttl size 2 overflow drop { state big = "
	          "max(frame.len); }\n"
	          "metric known = count() where t; metric unknown = count() where net and not t;\n"
	          "metric big = sum(t.big); } }");
	packet(f, FLOW(1), 100);
	packet(f, FLOW(2), 300);
	packet(f, FLOW(3), 400);
	packet(f, ARP, 60);
	packet(f, FLOW(1), 90);
	packet(f, FLOW(2), 500);
	packet(f, FLOW(3), 100);
	/* in rows: flows 1 and 2, twice; not: flow 3, twice, and ARP, which has no key. big: 100 + 300 */
	check_window(f, " 2 4 400 t: 4 0 3");
	fixture_free(f);
}

/* --- states, folds, and other tables */

static void states_are_read_as_they_were_before(void **state)
{
	struct fixture *f;

	(void)state;
	SKIP_WITHOUT_BPF();
	f = begin(
	        "probe p { ingress xdp { metric sum_ = sum(total); metric firsts = count() where not present(least);\n"
	        "state total = sum(frame.len); state least = min(frame.len); state x : u8 = 1 next y;\n"
	        "state y : u8 = 2 next x; metric xs = sum(x * 10 + y); metric w : s8 = 100 next w + 20;\n"
	        "metric u : u64 = 0 next u - 1; } }");
	packet(f, FLOW(1), 100);
	packet(f, FLOW(1), 200);
	packet(f, FLOW(1), 300);
	/* total before each: 0, 100, 300. x and y change places: 12, 21, 12. w: 100, 120, -116, -96 */
	check_window(f, " 400 1 45 -96 18446744073709551613");
	fixture_free(f);
}

static void a_table_is_asked_before_it_changes(void **state)
{
	struct fixture *f;

	(void)state;
	SKIP_WITHOUT_BPF();
	f = begin("probe p { window 1h; ingress xdp { private table t by net.ttl where frame.len < 1000\n"
	          "{ state n : u16 = net.len next n + 1; }\n"
	          "table u by k = t.n { metric packets = count(); metric n = sum(t.n) where t; }\n"
	          "metric none = count() where not t; } }");
	packet(f, FLOW(1), 114);
	packet(f, FLOW(1), 214);
	/* asked even where its own `where` does not hold */
	packet(f, FLOW(1), 1014);
	packet(f, FLOW(2), 114);
	packet(f, FLOW(1), 114);
	/* the row of flow 1 is 101 behind its first packet, 102 behind its second */
	check_window(f, " 2 | 101: 1 101 102: 2 204 t: 4 0 0");
	check_window(f, " 0 | t: 0 0 0");
	/* no packet for a whole window: there is no row any more */
	packet(f, FLOW(1), 114);
	packet(f, FLOW(1), 114);
	check_window(f, " 1 | 101: 1 101 t: 2 0 0");
	fixture_free(f);
}

/* What stands alone has no value in a row of several. */
static void folds_do_not_merge(void **state)
{
	struct fixture *f;

	(void)state;
	SKIP_WITHOUT_BPF();
	f = begin("probe p { ingress xdp { table t by net.ttl top 1 by n { metric n = count();\n"
	          "metric f : u8 = 0 next f + 1; } } }");
	packet(f, FLOW(1), 100);
	packet(f, FLOW(2), 100);
	packet(f, FLOW(2), 100);
	packet(f, FLOW(3), 100);
	check_window(f, " | 2: 2 2 rest: 2 -");
	fixture_free(f);
}

/* --- CPUs */

static int go_to(int cpu)
{
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	return sched_setaffinity(0, sizeof(one), &one);
}

static void cpus_share_what_is_remembered(void **state)
{
	struct fixture *f;

	(void)state;
	SKIP_WITHOUT_BPF();
	f = begin(
	        "probe p { ingress xdp { metric n = count(); metric d = sum(delta(frame.len));\n"
	        "table t by net.ttl { metric f : u32 = 1000 next f * 2 - frame.len; metric d = min(delta(frame.len)); "
	        "} } }");
	for (int i = 0; i < 4; i++) {
		if (go_to(i & 1)) /* there is but one */
			go_to(0);
		packet(f, FLOW(1), 100 + i);
	}
	/* 1900, 3699, 7296, 14489: the last is that of one CPU, and not the larger of two */
	check_window(f, " 4 3 | 1: 14489 1");
	fixture_free(f);
}

/* --- rows that end */

/* More than the clock of rows' ages may be late. */
static void wait_ms(unsigned int milliseconds)
{
	usleep(1000 * milliseconds);
}

/* Why a row ended is a word, and told as ?. */
static void check_last_window(struct fixture *f, const char *expected)
{
	f->loaded->reader->last = true;
	check_window(f, expected);
	fixture_free(f);
}

static void what_is_remembered_ends_with_its_flow(void **state)
{
	struct fixture *f;

	(void)state;
	SKIP_WITHOUT_BPF();
	f = begin("probe p { window 1h; ingress xdp { metric there = count() where t; metric fs = sum(t.f);\n"
	          "table t by net.ttl expire when frame.len > 500 or s >= 3 { metric n = count();\n"
	          "metric d = sum(delta(frame.len)); metric f : u8 = 10 next f + 1; state s = count();\n"
	          "metric most = max(s); } } }");
	packet(f, FLOW(1), 100);
	packet(f, FLOW(1), 120);
	packet(f, FLOW(1), 600);
	packet(f, FLOW(2), 100);
	packet(f, FLOW(1), 130);
	packet(f, FLOW(1), 150);
	packet(f, FLOW(1), 160);
	packet(f, FLOW(1), 170);
	packet(f, FLOW(1), 180);
	/* there, of flow 1: at 120, 600, 150, 160 and 170, with folds of 11, 12, 11, 12 and 13; the rows of flow 1 have
	   differences of 20 and 480, of 20, 10 and 10, and none */
	check_last_window(f, " 5 59 | 1: 3 500 13 2 ? 1: 4 40 14 3 ? 1: 1 0 11 0 ? 2: 1 0 11 0 ?");
}

static void silence_ends_and_age_does_not(void **state)
{
	struct fixture *f;

	(void)state;
	SKIP_WITHOUT_BPF();
	f = begin("probe p { window 1h; ingress xdp {\n"
	          "table i by net.ttl expire idle 200ms { metric n = count(); metric d = sum(delta(frame.len));\n"
	          "metric f : u8 = 10 next f + 1; }\n"
	          "table a by net.ttl expire idle 1min active 200ms { metric n = count();\n"
	          "metric d = sum(delta(frame.len)); metric f : u8 = 10 next f + 1; } } }");
	packet(f, FLOW(1), 100);
	packet(f, FLOW(1), 110);
	wait_ms(300);
	packet(f, FLOW(1), 130);
	packet(f, FLOW(1), 137);
	/* behind `active` the flow goes on, and only its row, and the fold, begin anew: 130 - 110, 137 - 130 */
	check_last_window(f, " | 1: 2 10 12 ? 1: 2 7 12 ? | 1: 2 10 12 ? 1: 2 27 12 ?");
}

/* A window cuts neither what is remembered nor the row. */
static void flows_go_on_through_windows(void **state)
{
	struct fixture *f;

	(void)state;
	SKIP_WITHOUT_BPF();
	f = begin("probe p { window 1h; ingress xdp { table t by net.ttl expire idle 1h when frame.len > 500 {\n"
	          "metric n = count(); metric d = sum(delta(frame.len)); metric f : u8 = 10 next f + 1; } } }");
	packet(f, FLOW(1), 100);
	check_window(f, " |");
	packet(f, FLOW(1), 120);
	check_window(f, " |");
	check_window(f, " |");
	packet(f, FLOW(1), 150);
	packet(f, FLOW(1), 600);
	wait_ms(50);
	check_window(f, " | 1: 4 500 14 ?");
	packet(f, FLOW(1), 700);
	check_last_window(f, " | 1: 1 0 11 ?");
}

/* To the packet, though two CPUs see the flow in turns. */
static void a_flow_ends_for_all_cpus(void **state)
{
	struct fixture *f;

	(void)state;
	SKIP_WITHOUT_BPF();
	f = begin("probe p { window 1h; ingress xdp { table t by net.ttl expire when frame.len > 500 { metric n = "
	          "count();\n"
	          "metric d = sum(delta(frame.len)); metric f : u32 = 1000 next f * 2 - frame.len; } } }");
	for (uint32_t i = 0; i < 7; i++) {
		const uint32_t lengths[] = { 100, 101, 600, 103, 104, 601, 105 };

		if (go_to(i & 1)) /* there is but one */
			go_to(0);
		packet(f, FLOW(1), lengths[i]);
	}
	/* 1900, 3699, 6798; 1897, 3690, 6779; 1895 */
	check_last_window(f, " | 1: 3 500 6798 ? 1: 3 498 6779 ? 1: 1 0 1895 ?");
}

static void ended_flows_are_swept(void **state)
{
	struct fixture *f;

	(void)state;
	SKIP_WITHOUT_BPF();
	f = begin("probe p { window 1h; ingress xdp { private table t by net.ttl size 4 overflow drop\n"
	          "expire when frame.len > 500 { state n = count(); } metric there = count() where t; } }");
	for (uint8_t flow = 1; flow <= 40; flow++)
		packet(f, FLOW(flow), 600);
	packet(f, FLOW(1), 100);
	wait_ms(50);
	/* three times as many as `size`; flow 1 began anew in its place */
	assert_int_equal(count_rows(f, "ingress_t_memory"), 12);
	check_window(f, " 0 t: 13 0 28");
	assert_int_equal(count_rows(f, "ingress_t_memory"), 1);
	for (uint8_t flow = 1; flow <= 40; flow++)
		packet(f, FLOW(flow), 100);
	wait_ms(50);
	check_window(f, " 1 t: 12 0 28");
	/* none has ended */
	assert_int_equal(count_rows(f, "ingress_t_memory"), 12);
	packet(f, FLOW(2), 600);
	packet(f, FLOW(41), 100);
	wait_ms(50);
	check_window(f, " 1 t: 1 0 1");
	assert_int_equal(count_rows(f, "ingress_t_memory"), 11);
	fixture_free(f);
}

/* What a packet left there would be lost: it is counted, as busy. */
static void flows_that_are_being_swept_are_left_alone(void **state)
{
	struct fixture *f;

	(void)state;
	SKIP_WITHOUT_BPF();
	f = begin("probe p { window 1h; ingress xdp { private table t by net.ttl overflow drop expire when frame.len > "
	          "500 {\n"
	          "state n = count(); } metric n = sum(t.n); } }");
	packet(f, FLOW(1), 600);
	packet(f, FLOW(2), 100);
	set_sweeping(f, true);
	packet(f, FLOW(1), 100);
	packet(f, FLOW(2), 100);
	packet(f, FLOW(3), 100);
	set_sweeping(f, false);
	packet(f, FLOW(1), 100);
	packet(f, FLOW(1), 100);
	check_window(f, " 2 t: 6 0 1");
	fixture_free(f);
}

/* A fold of what found no row would be of several flows, and its memory is its key's own. */
static void what_finds_no_row_remembers_its_flow(void **state)
{
	struct fixture *f;

	(void)state;
	SKIP_WITHOUT_BPF();
	f = begin("probe p { window 1h; ingress xdp { table t by net.ttl size 2 expire idle 1h {\n"
	          "metric n = count(); metric d = sum(delta(frame.len)); metric f : u8 = net.ttl next f + 1; } } }");
	packet(f, FLOW(1), 100);
	packet(f, FLOW(2), 100);
	packet(f, FLOW(3), 100);
	packet(f, FLOW(4), 150);
	packet(f, FLOW(3), 170);
	packet(f, FLOW(4), 151);
	packet(f, FLOW(2), 110);
	/* other: 170 - 100, 151 - 150 */
	check_last_window(f, " | 1: 1 0 2 ? 2: 2 10 4 ? other: 4 71 - -");
}

/* --- super-packets */

/* 2,500 bytes of payload by 1,000: three packets on the wire, and one that is remembered. */
static void super_packet(struct fixture *f, uint8_t flow)
{
	uint8_t bytes[2554] = { [12] = 8,    [14] = 0x45, [16] = 2540 >> 8, [17] = 2540 & 255,
		                [22] = flow, [23] = 6,    [46] = 0x50,      [47] = 0x10 };
	struct __sk_buff skb = { .gso_size = 1000, .gso_segs = 3 };
	LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = bytes, .data_size_in = sizeof(bytes), .ctx_in = &skb,
	            .ctx_size_in = sizeof(skb));

	assert_int_equal(
	        bpf_prog_test_run_opts(f->loaded->clones[open_clone(f)].programs[AMON_HOOK_TC_INGRESS], &options), 0);
}

static void super_packets_are_remembered_once(void **state)
{
	struct fixture *f;

	(void)state;
	SKIP_WITHOUT_BPF();
	f = begin("probe p { ingress tc { where not (prev(net.ttl) == 9); state n = count(); metric most = max(n);\n"
	          "metric packets = count(); table t by net.ttl where n < 5 { metric packets = count(); "
	          "metric d = sum(delta(frame.len)); metric f : u32 = 0 next f + frame.len; } } }");
	super_packet(f, FLOW(1));
	super_packet(f, FLOW(1));
	super_packet(f, FLOW(2));
	/* n: 0, 1, 2; the buffers have 2,554 bytes each */
	check_window(f, " 2 9 | 1: 6 0 5108 2: 3 0 2554");
	fixture_free(f);
}

/* Each wire packet is in the flow, which the buffer steps once. */
static void super_packets_are_of_one_flow(void **state)
{
	struct fixture *f;

	(void)state;
	SKIP_WITHOUT_BPF();
	f = begin("probe p { window 1h; ingress tc { metric there = count() where t;\n"
	          "table t by net.ttl expire when n >= 1 linger 1h { state n = count(); metric packets = count();\n"
	          "metric d = sum(delta(frame.len)); metric f : u32 = 0 next f + frame.len; } } }");
	super_packet(f, FLOW(1));
	super_packet(f, FLOW(1));
	super_packet(f, FLOW(2));
	/* there: before the second buffer; of 2,554 bytes each */
	check_last_window(f, " 1 | 1: 6 0 5108 ? 2: 3 0 2554 ?");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(previous_packets_are_of_the_flow),
		cmocka_unit_test(what_is_absent_is_so_in_the_next),
		cmocka_unit_test(the_place_says_which_packets_come),
		cmocka_unit_test(rows_live_for_one_silent_window),
		cmocka_unit_test(ended_rows_are_swept),
		cmocka_unit_test(rows_that_are_being_swept_are_left_alone),
		cmocka_unit_test(a_late_packet_stays_in_its_window),
		cmocka_unit_test(kept_rows_keep_their_folds),
		cmocka_unit_test(what_finds_no_row_has_other),
		cmocka_unit_test(a_private_table_has_its_ledger),
		cmocka_unit_test(states_are_read_as_they_were_before),
		cmocka_unit_test(a_table_is_asked_before_it_changes),
		cmocka_unit_test(folds_do_not_merge),
		cmocka_unit_test(cpus_share_what_is_remembered),
		cmocka_unit_test(what_is_remembered_ends_with_its_flow),
		cmocka_unit_test(silence_ends_and_age_does_not),
		cmocka_unit_test(flows_go_on_through_windows),
		cmocka_unit_test(a_flow_ends_for_all_cpus),
		cmocka_unit_test(ended_flows_are_swept),
		cmocka_unit_test(flows_that_are_being_swept_are_left_alone),
		cmocka_unit_test(what_finds_no_row_remembers_its_flow),
		cmocka_unit_test(super_packets_are_remembered_once),
		cmocka_unit_test(super_packets_are_of_one_flow),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
