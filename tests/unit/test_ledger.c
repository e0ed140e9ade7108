/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ledger: what a table selects is in rows, in `other`, or unaccounted by cause, each counted where it happens. With
 * any of those counters broken the sum must not hold, or the ledger would prove nothing.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <bpf/bpf.h>
#include <linux/bpf.h>

#include "kernel_fixture.h"

#define TABLE          "table t by net.ttl size 2 overflow "
#define SPEC(overflow) "probe ledger { ingress tc { " TABLE overflow " { metric packets = count(); } } }"

struct sums {
	uint64_t selected, in_rows, other, unaccounted, rows;
};

/* Six packets: two ARP, which have no key, and four IPv4 with four TTLs, of which two find room. */
static void run_packets(struct fixture *f)
{
	for (uint8_t i = 0; i < 6; i++) {
		uint8_t bytes[60] = { [12] = 8, [13] = i < 2 ? 6 : 0, [14] = 0x45, [17] = 40, [22] = i };
		LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = bytes, .data_size_in = sizeof(bytes));

		assert_int_equal(bpf_prog_test_run_opts(f->loaded->clones[0].programs[AMON_HOOK_TC_INGRESS], &run), 0);
	}
}

static struct sums add_up(struct fixture *f)
{
	const struct amon_export_table *table = &f->exports->sections[0].tables[0];
	struct amon_collected *collected = NULL;
	struct amon_document *document = NULL;
	struct amon_failure failure = { .message = "" };
	struct amon_window window = { .sequence = 1, .end = 1 };
	const struct amon_section_rows *section;
	struct sums sums = { 0 };
	uint64_t place = 0;

	assert_int_equal(amon_reader_replay(f->loaded->reader, 0, &collected, &failure), 0);
	assert_int_equal(amon_document(f->exports, collected, &window, &document), 0);
	section = &document->sections[0];
	sums.selected = amon_section_packets(section, table->selected).packets;
	sums.in_rows = amon_section_packets(section, table->in_rows).packets;
	if (table->other != UINT32_MAX)
		sums.other = amon_section_packets(section, table->other).packets;
	for (uint32_t i = 0; i < table->unaccounted_count; i++)
		sums.unaccounted += amon_section_packets(section, table->unaccounted[i].offset).packets;
	while (amon_rows_next(&section->tables[0], &place))
		sums.rows += amon_row_cells(&section->tables[0], 1, 1)[1].natural;
	amon_document_free(document);
	amon_collected_free(collected);
	return sums;
}

static struct sums count(const char *spec, const char *broken_line)
{
	struct fixture *f = fixture_new(spec, broken_line);
	struct sums sums;

	run_packets(f);
	sums = add_up(f);
	fixture_free(f);
	return sums;
}

static bool holds(struct sums s)
{
	return s.selected == 6 && s.selected == s.in_rows + s.other + s.unaccounted && s.in_rows == s.rows;
}

static void other_takes_what_finds_no_room(void **state)
{
	struct sums sums;

	(void)state;
	SKIP_WITHOUT_BPF();
	sums = count(SPEC("other"), NULL);
	assert_true(holds(sums));
	assert_int_equal(sums.in_rows, 2);
	assert_int_equal(sums.other, 2);
	assert_int_equal(sums.unaccounted, 2); /* no key */
}

static void drop_tells_by_cause(void **state)
{
	struct sums sums;

	(void)state;
	SKIP_WITHOUT_BPF();
	sums = count(SPEC("drop"), NULL);
	assert_true(holds(sums));
	assert_int_equal(sums.in_rows, 2);
	assert_int_equal(sums.other, 0);
	assert_int_equal(sums.unaccounted, 4); /* two without a key, two that found it full */
}

static void a_broken_counter_shows(void **state)
{
	static const char *const other[] = { "&m->t_selected", "&m->t_in_rows", "&m->t_other", "&m->t_no_key",
		                             "row->packets +=" };
	static const char *const drop[] = { "&m->t_selected", "&m->t_in_rows", "&m->t_full", "&m->t_no_key" };

	(void)state;
	SKIP_WITHOUT_BPF();
	for (size_t i = 0; i < sizeof(other) / sizeof(other[0]); i++)
		assert_false(holds(count(SPEC("other"), other[i])));
	for (size_t i = 0; i < sizeof(drop) / sizeof(drop[0]); i++)
		assert_false(holds(count(SPEC("drop"), drop[i])));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(other_takes_what_finds_no_room),
		cmocka_unit_test(drop_tells_by_cause),
		cmocka_unit_test(a_broken_counter_shows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
