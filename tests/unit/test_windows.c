/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "windows.h"

/*
 * Windows are exact: packets at full speed from one CPU, windows of a millisecond from another, and the sum over the
 * windows is the number of packets that were sent.
 */
#define WINDOWS 700

static void check_exact(const char *spec, uint32_t sessions, bool shuffle, int windows, long nanoseconds)
{
	struct running r;

	start(&r, spec, sessions, shuffle);
	cut_windows(&r, windows, nanoseconds);
	for (uint32_t i = 0; i < r.fixture->exports->section_count; i++)
		assert_int_equal(r.packets[i], traffic_sent(r.traffic));
	/* or it would prove nothing */
	assert_true(r.full > (uint64_t)windows / 2);
	stop(&r);
}

static void test_scalars_xdp(void **state)
{
	(void)state;
	SKIP_WITHOUT_BPF();
	check_exact("probe p { window 1ms; ingress xdp { metric n = count(); } }", 1, false, WINDOWS, 1000000);
}

/* The number of keys is such that every window of a millisecond has new ones to the last packet. */
static void test_table_xdp(void **state)
{
	(void)state;
	SKIP_WITHOUT_BPF();
	check_exact("probe p { window 1ms; ingress xdp { table t by ip.src size 64Ki { metric n = count(); } } }",
	            50000, false, WINDOWS, 1000000);
}

/* More keys than rows: what does not fit is in `other`, and adds up all the same. */
static void test_full_table(void **state)
{
	(void)state;
	SKIP_WITHOUT_BPF();
	check_exact("probe p { window 1ms; ingress xdp { table t by ip.src size 500 { metric n = count(); } } }", 5000,
	            true, WINDOWS / 2, 1000000);
}

static void test_tc(void **state)
{
	(void)state;
	SKIP_WITHOUT_BPF();
	/* what is sent by XDP is taken where a program hangs on XDP */
	check_exact("probe p { window 1ms; ingress tc { table t by ip.src size 64Ki { metric n = count(); } }"
	            "ingress xdp as x { metric n = count(); } }",
	            3000, false, WINDOWS, 1000000);
}

/* Two hooks of one probe, cut at one instant by one store. */
static void test_two_hooks(void **state)
{
	(void)state;
	SKIP_WITHOUT_BPF();
	check_exact("probe p { window 1ms; ingress xdp as a { metric n = count(); } ingress tc as b { metric n = "
	            "count(); } }",
	            1, false, WINDOWS, 1000000);
}

/* The program in which a reader that does not wait would lose packets (test_torn.c), as fast as windows can be cut. */
static void check_long(const char *window)
{
	struct running r;
	uint64_t packets = 0;
	char *spec = make_long_spec(window);

	start(&r, spec, 1, false);
	assert_int_equal(traffic_start(r.traffic, 1, 1000000), 0);
	while (traffic_runs(r.traffic))
		packets += cut_long(&r);
	traffic_stop(r.traffic);
	packets += cut_long(&r);
	assert_int_equal(packets, traffic_sent(r.traffic));
	stop(&r);
	free(spec);
}

static void test_long_program(void **state)
{
	(void)state;
	SKIP_WITHOUT_BPF();
	check_long("window 1ms");
	check_long("window 1s");
}

/* Long windows wait for a grace period, and pay nothing a packet. */
static void test_grace_period(void **state)
{
	(void)state;
	SKIP_WITHOUT_BPF();
	check_exact("probe p { window 1s; ingress xdp { table t by ip.src size 64Ki { metric n = count(); } } }", 50000,
	            false, WINDOWS / 3, 3000000);
}

/* Nothing is doubled, and nothing written to the kernel: a window is a difference. */
static void test_reset_alone(void **state)
{
	(void)state;
	SKIP_WITHOUT_BPF();
	check_exact("probe p { reset; ingress xdp { metric n = count(); } }", 1, false, WINDOWS, 1000000);
}

/* Totals of one instant, from both clones. */
static void test_snapshot_alone(void **state)
{
	struct running r;
	uint64_t before = 0;

	(void)state;
	SKIP_WITHOUT_BPF();
	start(&r, "probe p { snapshot; ingress xdp { table t by ip.src size 4Ki { metric n = count(); } } }", 100,
	      true);
	assert_int_equal(traffic_start(r.traffic, 1, 0), 0);
	for (int i = 0; i < 100; i++) {
		read_one_window(&r);
		assert_true(r.packets[0] >= before);
		before = r.packets[0];
		r.packets[0] = 0;
	}
	traffic_stop(r.traffic);
	read_one_window(&r);
	assert_int_equal(r.packets[0], traffic_sent(r.traffic));
	stop(&r);
}

/* --- memory, which windows do not cut and both CPUs share */

/* A fold that adds 1 for each packet is what count() says, in every row of every window. */
static void check_folds(const struct amon_export_table *table, const struct amon_collected_table *rows)
{
	const struct amon_layout *count = &table->columns[1].layout, *fold = &table->columns[2].layout;

	for (uint64_t i = 0; i < rows->row_count; i++) {
		const uint8_t *record = rows->records + i * table->record_size;

		assert_int_equal(number_at(record, count->count), number_at(record, fold->value));
	}
	assert_int_equal(number_at(rows->other, count->count), number_at(rows->other, fold->value));
}

static void read_folds(struct running *r)
{
	const struct amon_export_section *section = &r->fixture->exports->sections[0];
	struct amon_collected *collected = NULL;
	struct amon_window window;
	struct amon_failure failure = { .message = "" };

	assert_int_equal(amon_reader_cut(r->fixture->loaded->reader, &collected, &window, &failure), 0);
	check_folds(&section->tables[0], &collected->sections[0].tables[0]);
	add_window(r, collected);
	amon_collected_free(collected);
	assert_int_equal(amon_reader_done(r->fixture->loaded->reader, &failure), 0);
}

/* Both CPUs send the same keys, more of them than there are rows, and one of them reads. */
static void test_folds(void **state)
{
	struct running r;
	struct traffic *other;

	(void)state;
	SKIP_WITHOUT_BPF();
	start(&r,
	      "probe p { window 1ms; ingress xdp { table t by ip.src size 16 { metric n = count();\n"
	      "metric f : u64 = 0 next f + 1; metric gap = max(delta(frame.time)); } } }",
	      20, true);
	other = traffic_new("v1", 20, true);
	assert_non_null(other);
	assert_int_equal(traffic_start(r.traffic, 1, 0), 0);
	assert_int_equal(traffic_start(other, 0, 0), 0);
	for (int i = 0; i < WINDOWS / 2; i++) {
		sleep_nanoseconds(1000000);
		read_folds(&r);
	}
	traffic_stop(r.traffic);
	traffic_stop(other);
	read_folds(&r);
	/* two senders overrun the receiver's queue, so that not all of them arrive */
	assert_true(r.full > WINDOWS / 8);
	traffic_free(other);
	stop(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_scalars_xdp),    cmocka_unit_test(test_table_xdp),
		cmocka_unit_test(test_full_table),     cmocka_unit_test(test_tc),
		cmocka_unit_test(test_two_hooks),      cmocka_unit_test(test_long_program),
		cmocka_unit_test(test_grace_period),   cmocka_unit_test(test_reset_alone),
		cmocka_unit_test(test_snapshot_alone), cmocka_unit_test(test_folds),
	};

	if (network_allowed() && network_new())
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
