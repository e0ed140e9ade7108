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
 * windows is the number of packets that were sent. So many windows that have packets:
 */
#define WINDOWS 400

static void check_exact(const char *spec, uint32_t sessions, enum traffic_order order, uint64_t windows,
                        long nanoseconds)
{
	struct running r;

	start(&r, spec, sessions, order);
	cut_windows(&r, windows, nanoseconds);
	for (uint32_t i = 0; i < r.fixture->exports->section_count; i++)
		assert_int_equal(r.packets[i], traffic_sent(r.traffic));
	stop(&r);
}

static void test_scalars_xdp(void **state)
{
	(void)state;
	SKIP_WITHOUT_BPF();
	check_exact("probe p { window 1ms; ingress xdp { metric n = count(); } }", 1, TRAFFIC_IN_TURN, WINDOWS,
	            1000000);
}

/* The same with a table that holds all sessions: each of them has what was sent of it. */
static void check_each(const char *spec, uint32_t sessions, enum traffic_order order, uint64_t windows,
                       long nanoseconds)
{
	struct running r;

	start(&r, spec, sessions, order);
	cut_windows(&r, windows, nanoseconds);
	assert_int_equal(r.packets[0], traffic_sent(r.traffic));
	check_sessions(&r, sessions);
	stop(&r);
}

/* The number of keys is such that every window of a millisecond has new ones to the last packet. */
static void test_table_xdp(void **state)
{
	(void)state;
	SKIP_WITHOUT_BPF();
	check_each("probe p { window 1ms; ingress xdp { table t by ip.src size 64Ki { metric n = count(); } } }", 50000,
	           TRAFFIC_IN_TURN, WINDOWS, 1000000);
	check_each("probe p { window 1ms; ingress xdp { table t by ip.src size 64Ki { metric n = count(); } } }", 50000,
	           TRAFFIC_ZIPF, WINDOWS, 1000000);
}

/* More than a CPU's own rows: the rest spills into a hash that all share. */
static void test_spilled_rows(void **state)
{
	(void)state;
	SKIP_WITHOUT_BPF();
	check_each("probe p { window 1ms; ingress xdp { table t by ip.src size 512Ki { metric n = count(); } } }",
	           300000, TRAFFIC_SHUFFLED, 3, 300000000);
}

/* More keys than rows: what does not fit is in `other`, and adds up all the same. */
static void test_full_table(void **state)
{
	(void)state;
	SKIP_WITHOUT_BPF();
	check_exact("probe p { window 1ms; ingress xdp { table t by ip.src size 500 { metric n = count(); } } }", 5000,
	            TRAFFIC_SHUFFLED, WINDOWS / 2, 1000000);
}

static void test_tc(void **state)
{
	(void)state;
	SKIP_WITHOUT_BPF();
	/* what is sent by XDP is taken where a program hangs on XDP */
	check_exact("probe p { window 1ms; ingress tc { table t by ip.src size 64Ki { metric n = count(); } }"
	            "ingress xdp as x { metric n = count(); } }",
	            3000, TRAFFIC_IN_TURN, WINDOWS, 1000000);
}

/* Two hooks of one probe, cut at one instant by one store. */
static void test_two_hooks(void **state)
{
	(void)state;
	SKIP_WITHOUT_BPF();
	check_exact("probe p { window 1ms; ingress xdp as a { metric n = count(); } ingress tc as b { metric n = "
	            "count(); } }",
	            1, TRAFFIC_IN_TURN, WINDOWS, 1000000);
}

/* --- what comes in goes out again */

/* One section at two hooks: its packets are counted twice, in one record. */
static void test_section_of_two_hooks(void **state)
{
	struct running r;

	(void)state;
	SKIP_WITHOUT_BPF();
	start(&r,
	      "probe p { window 1ms; ingress tc, egress { metric n = count(); } ingress xdp as x { metric n = count(); "
	      "} }",
	      1, TRAFFIC_IN_TURN);
	cut_windows(&r, WINDOWS, 1000000);
	assert_int_equal(r.packets[0], 2 * traffic_sent(r.traffic));
	assert_int_equal(r.packets[1], traffic_sent(r.traffic));
	stop(&r);
}

/* The most that can be between the two hooks: what one softirq takes. */
#define ON_THE_WAY 300

/*
 * Both directions are cut at one instant: after every window, what has gone out had come in, and what had come in has
 * gone out, but for what was on its way at that instant.
 */
static void test_in_against_out(void **state)
{
	struct running r;

	(void)state;
	SKIP_WITHOUT_BPF();
	start(&r,
	      "probe p { window 1ms; ingress xdp as coming { metric n = count(); } egress as going { metric n = "
	      "count(); } }",
	      1, TRAFFIC_IN_TURN);
	assert_int_equal(traffic_start(r.traffic, 1, 0), 0);
	while (r.full < WINDOWS) {
		sleep_nanoseconds(1000000);
		read_one_window(&r);
		assert_in_range(r.packets[0] - r.packets[1], 0, ON_THE_WAY);
	}
	traffic_stop(r.traffic);
	read_one_window(&r);
	assert_int_equal(r.packets[0], traffic_sent(r.traffic));
	assert_int_equal(r.packets[1], traffic_sent(r.traffic));
	stop(&r);
}

/* --- two CPUs */

static void test_two_cpus(void **state)
{
	struct traffic *second;
	struct running r;

	(void)state;
	SKIP_WITHOUT_BPF();
	start(&r,
	      "probe p { window 1ms; ingress xdp { metric n = count(); table t by ip.src size 64Ki { metric n = "
	      "count(); "
	      "} } }",
	      3000, TRAFFIC_SHUFFLED);
	second = traffic_new("v1", 3000, TRAFFIC_IN_TURN);
	assert_int_equal(traffic_pace(second, "v0"), 0);
	assert_int_equal(traffic_start(second, 0, 0), 0);
	cut_windows(&r, WINDOWS, 1000000);
	traffic_stop(second);
	read_one_window(&r);
	assert_int_equal(r.packets[0], traffic_sent(r.traffic) + traffic_sent(second));
	for (uint32_t i = 0; i < 3000; i++)
		assert_int_equal(r.sessions[i], traffic_sent_of(r.traffic, i) + traffic_sent_of(second, i));
	traffic_free(second);
	stop(&r);
}

/* Long windows wait for a grace period, and pay nothing a packet. */
static void test_grace_period(void **state)
{
	(void)state;
	SKIP_WITHOUT_BPF();
	check_each("probe p { window 1s; ingress xdp { table t by ip.src size 64Ki { metric n = count(); } } }", 50000,
	           TRAFFIC_SHUFFLED, WINDOWS / 3, 3000000);
}

/* Nothing is doubled, and nothing written to the kernel: a window is a difference. */
static void test_reset_alone(void **state)
{
	(void)state;
	SKIP_WITHOUT_BPF();
	check_exact("probe p { reset; ingress xdp { metric n = count(); } }", 1, TRAFFIC_IN_TURN, WINDOWS, 1000000);
}

/* Totals of one instant, from both clones. */
static void test_snapshot_alone(void **state)
{
	struct running r;
	uint64_t before = 0;

	(void)state;
	SKIP_WITHOUT_BPF();
	start(&r, "probe p { snapshot; ingress xdp { table t by ip.src size 4Ki { metric n = count(); } } }", 100,
	      TRAFFIC_SHUFFLED);
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
	check_sessions(&r, 100);
	stop(&r);
}

/* --- a probe with all four */

struct mixed {
	uint64_t total, since, exact;
	uint64_t origin, end; /* of totals; of the window before */
};

/* Totals of one instant are what the windows before add up to, in every window; the others may be ahead. */
static void check_mixed(struct running *r, struct mixed *sums)
{
	struct amon_collected *collected = NULL;
	struct amon_failure failure = { .message = "" };
	struct amon_window window;
	uint64_t total;

	assert_int_equal(amon_reader_cut(r->fixture->loaded->reader, &collected, &window, &failure), 0);
	/* totals go back to the start, and what is reset to the window before */
	assert_int_equal(window.origin, sums->origin ? sums->origin : window.start);
	assert_int_equal(window.start, sums->end ? sums->end : window.origin);
	sums->origin = window.origin;
	sums->end = window.end;
	total = count_of(r, collected, "total");
	assert_true(total >= sums->total);
	sums->total = total;
	sums->since += count_of(r, collected, "since");
	sums->exact += count_of(r, collected, "exact");
	assert_int_equal(count_of(r, collected, "instant"), sums->exact);
	assert_true(sums->total >= sums->exact && sums->since >= sums->exact);
	add_window(r, collected);
	amon_collected_free(collected);
	assert_int_equal(amon_reader_done(r->fixture->loaded->reader, &failure), 0);
}

static void test_mixed(void **state)
{
	struct mixed sums = { 0 };
	struct running r;

	(void)state;
	SKIP_WITHOUT_BPF();
	start(&r,
	      "probe p { ingress xdp { metric total = count(); metric since = count() reset;"
	      "metric exact = count() snapshot reset; metric instant = count() snapshot;"
	      "table t by ip.src size 4Ki snapshot reset { metric n = count(); }"
	      "table u by ip.src size 4Ki { metric n = count(); } } }",
	      1000, TRAFFIC_SHUFFLED);
	assert_int_equal(traffic_start(r.traffic, 1, 0), 0);
	while (r.full < WINDOWS)
		check_mixed(&r, &sums);
	traffic_stop(r.traffic);
	check_mixed(&r, &sums);
	assert_int_equal(sums.total, traffic_sent(r.traffic));
	assert_int_equal(sums.since, traffic_sent(r.traffic));
	assert_int_equal(sums.exact, traffic_sent(r.traffic));
	check_sessions(&r, 1000);
	stop(&r);
}

/* A network whose frames come out of v0 again, and in which each CPU has a queue of its own. */
static int make_network(void)
{
	if (network_new() || traffic_mirror("v0"))
		return 1;
	return network_run("ethtool -L v0 rx 2 tx 2 && ethtool -L v1 rx 2 tx 2");
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

/* Packets that found no row. */
static uint64_t read_folds(struct running *r)
{
	const struct amon_export_section *section = &r->fixture->exports->sections[0];
	struct amon_collected *collected = NULL;
	struct amon_window window;
	struct amon_failure failure = { .message = "" };
	uint64_t others;

	assert_int_equal(amon_reader_cut(r->fixture->loaded->reader, &collected, &window, &failure), 0);
	check_folds(&section->tables[0], &collected->sections[0].tables[0]);
	add_window(r, collected);
	others = number_at(collected->sections[0].record, section->tables[0].other);
	amon_collected_free(collected);
	assert_int_equal(amon_reader_done(r->fixture->loaded->reader, &failure), 0);
	return others;
}

/*
 * Both CPUs send the same keys, and one of them reads: so many windows that have packets, of which a machine with other
 * work has fewer. Two senders overrun the receiver's queue, so that not all of them arrive. Returns how many found no
 * row.
 */
static uint64_t check_shared_folds(const char *spec, uint32_t sessions)
{
	struct running r;
	struct traffic *other;
	uint64_t others = 0;

	start(&r, spec, sessions, TRAFFIC_SHUFFLED);
	other = traffic_new("v1", sessions, TRAFFIC_SHUFFLED);
	assert_non_null(other);
	assert_int_equal(traffic_start(r.traffic, 1, 0), 0);
	assert_int_equal(traffic_start(other, 0, 0), 0);
	for (int i = 0; i < WINDOWS / 2 || r.full <= WINDOWS / 8; i++) {
		assert_true(i < 100 * WINDOWS);
		sleep_nanoseconds(1000000);
		others += read_folds(&r);
	}
	traffic_stop(r.traffic);
	traffic_stop(other);
	read_folds(&r);
	traffic_free(other);
	stop(&r);
	return others;
}

/* More keys than there are rows. */
static void test_folds(void **state)
{
	(void)state;
	SKIP_WITHOUT_BPF();
	assert_true(check_shared_folds(
	                    "probe p { window 1ms; ingress xdp { table t by ip.src size 16 { metric n = count();\n"
	                    "metric f : u64 = 0 next f + 1; metric gap = max(delta(frame.time)); } } }",
	                    20) > 0);
}

/* Keys that come back after more than a window, while what was remembered of them is taken out. */
static void test_swept_folds(void **state)
{
	(void)state;
	SKIP_WITHOUT_BPF();
	check_shared_folds("probe p { window 1ms; ingress xdp { table t by ip.src size 512 { metric n = count();\n"
	                   "metric f : u64 = 0 next f + 1; metric gap = max(delta(frame.time)); } } }",
	                   3000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_folds, stop_all),
		cmocka_unit_test_teardown(test_swept_folds, stop_all),
		cmocka_unit_test_teardown(test_scalars_xdp, stop_all),
		cmocka_unit_test_teardown(test_table_xdp, stop_all),
		cmocka_unit_test_teardown(test_spilled_rows, stop_all),
		cmocka_unit_test_teardown(test_full_table, stop_all),
		cmocka_unit_test_teardown(test_tc, stop_all),
		cmocka_unit_test_teardown(test_two_hooks, stop_all),
		cmocka_unit_test_teardown(test_section_of_two_hooks, stop_all),
		cmocka_unit_test_teardown(test_in_against_out, stop_all),
		cmocka_unit_test_teardown(test_two_cpus, stop_all),
		cmocka_unit_test_teardown(test_grace_period, stop_all),
		cmocka_unit_test_teardown(test_reset_alone, stop_all),
		cmocka_unit_test_teardown(test_snapshot_alone, stop_all),
		cmocka_unit_test_teardown(test_mixed, stop_all),
	};

	if (network_allowed() && make_network())
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
