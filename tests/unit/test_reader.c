/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "slow.h"
#include "windows.h"

/* Readers under traffic at full speed: those that die, and those that wait for hooks which interrupt one another. */

#define KILLS    100
#define SESSIONS 100

/* --- readers that are killed */

/* What a reader tells of a window, once it has read it. */
struct told {
	uint64_t sequence, exact, instant, since, rows;
};

static struct told tell(const struct running *r, const struct amon_window *window,
                        const struct amon_collected *collected)
{
	return (struct told){ window->sequence, count_of(r, collected, "exact"), count_of(r, collected, "instant"),
		              count_of(r, collected, "since"),
		              count_rows(&r->fixture->exports->sections[0].tables[0],
		                         &collected->sections[0].tables[0]) };
}

/* It is told after the cut and before the window is done with, as output is. */
static bool read_and_tell(const struct running *r, int to)
{
	struct amon_reader *reader = r->fixture->loaded->reader;
	struct amon_failure failure = { .message = "" };
	struct amon_collected *collected = NULL;
	struct amon_window window;
	struct told told;
	bool done;

	if (amon_reader_cut(reader, &collected, &window, &failure))
		return false;
	told = tell(r, &window, collected);
	done = write(to, &told, sizeof(told)) == sizeof(told);
	/* who takes the output takes its time */
	usleep(500);
	done = done && !amon_reader_done(reader, &failure);
	amon_collected_free(collected);
	return done;
}

/*
 * A child shares the reader's memory and maps, and so is any reader of the probe. It dies at any instant of the first
 * milliseconds, in which it reads a few windows: a grace period takes some 15 milliseconds, and all is slow under a
 * sanitizer.
 */
static void kill_reader(const struct running *r, int to, unsigned int within)
{
	pid_t reader = fork();

	if (!reader) {
		while (read_and_tell(r, to))
			;
		_exit(1);
	}
	usleep((unsigned int)random() % within);
	kill(reader, SIGKILL);
	waitpid(reader, NULL, 0);
}

/*
 * Windows are told in order, none is left out, and one that is told again is the same. Of what is exact only by itself
 * (`reset` alone) the last that is told counts.
 */
static struct told add_up(int from, uint32_t *repeated)
{
	struct told told, last = { 0 }, sum = { 0 };

	while (read(from, &told, sizeof(told)) == sizeof(told)) {
		if (told.sequence == last.sequence) {
			assert_int_equal(told.exact, last.exact);
			assert_int_equal(told.rows, last.rows);
			*repeated += 1;
		} else {
			assert_int_equal(told.sequence, last.sequence + 1);
			sum.exact += last.exact;
			sum.since += last.since;
			sum.rows += last.rows;
		}
		assert_true(told.instant >= last.instant);
		last = told;
	}
	return (struct told){ last.sequence, sum.exact + last.exact, last.instant, sum.since + last.since,
		              sum.rows + last.rows };
}

static const char killed_spec[] =
        "probe p { ingress xdp { metric exact = count() snapshot reset; metric since = count() reset;"
        "metric instant = count() snapshot; table t by ip.src size 1Ki snapshot reset { metric n = count(); } } }";

static void check_killed(bool announces)
{
	struct amon_load_options load = { .announces = announces };
	char path[] = "/tmp/amon-told-XXXXXX";
	uint32_t repeated = 0;
	int file = mkstemp(path);
	struct told sum;
	struct running r;

	unlink(path);
	start_loaded(&r, fixture_load(killed_spec, NULL, &load), SESSIONS, TRAFFIC_SHUFFLED);
	srandom(11);
	assert_int_equal(traffic_start(r.traffic, 1, 0), 0);
	for (int i = 0; i < KILLS; i++)
		kill_reader(&r, file, announces ? 8000 << i % 3 : 50000);
	traffic_stop(r.traffic);
	/* what the last of them left, and what came since */
	assert_true(read_and_tell(&r, file) && read_and_tell(&r, file));
	lseek(file, 0, SEEK_SET);
	sum = add_up(file, &repeated);
	close(file);
	assert_int_equal(sum.exact, traffic_sent(r.traffic));
	assert_int_equal(sum.instant, traffic_sent(r.traffic));
	assert_int_equal(sum.since, traffic_sent(r.traffic));
	assert_int_equal(sum.rows, traffic_sent(r.traffic));
	/* or none of them was killed between the two */
	assert_in_range(repeated, 1, KILLS);
	stop(&r);
}

static void test_killed(void **state)
{
	(void)state;
	SKIP_WITHOUT_BPF();
	check_killed(false);
}

static void test_killed_announcing(void **state)
{
	(void)state;
	SKIP_WITHOUT_BPF();
	check_killed(true);
}

/* --- hooks that interrupt one another */

static void check_slow(bool announces)
{
	struct slow slow;

	slow_start(&slow, announces);
	slow_cut_all(&slow);
	assert_int_equal(slow.packets, traffic_sent(slow.traffic));
	slow_stop(&slow);
}

static void test_nested_announcing(void **state)
{
	(void)state;
	SKIP_WITHOUT_BPF();
	check_slow(true);
}

static void test_nested_grace_period(void **state)
{
	(void)state;
	SKIP_WITHOUT_BPF();
	check_slow(false);
}

/* Totals are of one instant, whatever the reader before left: a counter and the rows of a table say the same. */
static void test_totals_behind_a_dead_reader(void **state)
{
	struct amon_failure failure = { .message = "" };
	struct running r;

	(void)state;
	SKIP_WITHOUT_BPF();
	start(&r,
	      "probe p { snapshot; ingress xdp { metric a = count(); table t by ip.src size 1Ki { metric n = count(); "
	      "} } }",
	      SESSIONS, TRAFFIC_SHUFFLED);
	assert_int_equal(traffic_start(r.traffic, 1, 0), 0);
	for (int i = 0; i < KILLS; i++) {
		const struct amon_export_table *table = &r.fixture->exports->sections[0].tables[0];
		struct amon_collected *collected = NULL;
		struct amon_window window;

		assert_int_equal(amon_reader_cut(r.fixture->loaded->reader, &collected, &window, &failure), 0);
		assert_int_equal(count_of(&r, collected, "a"), count_rows(table, &collected->sections[0].tables[0]));
		amon_collected_free(collected);
		/* two of three die before they are done */
		if (i % 3 == 0)
			assert_int_equal(amon_reader_done(r.fixture->loaded->reader, &failure), 0);
	}
	traffic_stop(r.traffic);
	stop(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_killed, stop_all),
		cmocka_unit_test_teardown(test_killed_announcing, stop_all),
		cmocka_unit_test_teardown(test_totals_behind_a_dead_reader, stop_all),
		cmocka_unit_test_teardown(test_nested_announcing, stop_all),
		cmocka_unit_test_teardown(test_nested_grace_period, stop_all),
	};

	if (network_allowed() && slow_network())
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
