/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <bpf/bpf.h>

#include "kernel_fixture.h"
#include "runtime/storage.h"

/* Events through the kernel's ring, read without taking. What is expected is worked out by hand. */

/* Ethernet and IPv4, without anything behind; the source's last byte tells packets apart. */
static void run_packets(struct fixture *f, unsigned int clone, uint8_t first, unsigned int count)
{
	uint8_t frame[34] = { [12] = 0x08, [14] = 0x45, [17] = 20, [22] = 64, [23] = 59, [26] = 10 };
	LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = frame, .data_size_in = sizeof(frame));

	for (unsigned int i = 0; i < count; i++) {
		frame[29] = (uint8_t)(first + i);
		assert_int_equal(bpf_prog_test_run_opts(f->loaded->clones[clone].programs[AMON_HOOK_TC_INGRESS], &run),
		                 0);
	}
}

struct window {
	struct amon_collected *collected;
	struct amon_window times;
	struct amon_failure failure;
};

static const struct amon_collected_table *cut(struct fixture *f, struct window *window)
{
	*window = (struct window){ 0 };
	assert_int_equal(amon_reader_cut(f->loaded->reader, &window->collected, &window->times, &window->failure), 0);
	return window->collected->sections[0].tables;
}

static void done(struct fixture *f, struct window *window)
{
	assert_int_equal(amon_reader_done(f->loaded->reader, &window->failure), 0);
	amon_collected_free(window->collected);
}

static uint8_t source_of(const struct fixture *f, const struct amon_collected_table *rows, uint64_t row)
{
	const struct amon_export_table *table = f->exports->sections[0].tables;

	return rows->keys[row * table->key_size + table->columns[0].layout.value + 3];
}

static uint64_t lost(const struct fixture *f, const struct window *window)
{
	uint64_t packets;

	memcpy(&packets,
	       window->collected->sections[0].record + f->exports->sections[0].tables[0].unaccounted[0].offset, 8);
	return packets;
}

/* In the order in which they came; once they are done with, never again. */
static void test_order(void **state)
{
	struct window window;
	const struct amon_collected_table *rows;

	(void)state;
	SKIP_WITHOUT_BPF();
	struct fixture *f = fixture_new("probe e { ingress tc { events e { ip.src, ip.ttl } } }", NULL);
	run_packets(f, 0, 5, 3);
	rows = cut(f, &window);
	assert_int_equal(rows->row_count, 3);
	for (uint8_t i = 0; i < 3; i++)
		assert_int_equal(source_of(f, rows, i), 5 + i);
	done(f, &window);
	run_packets(f, 0, 9, 1);
	rows = cut(f, &window);
	assert_int_equal(rows->row_count, 1);
	assert_int_equal(source_of(f, rows, 0), 9);
	done(f, &window);
	fixture_free(f);
}

/* A reader that dies before it is done loses none: they are there for the next. */
static void test_read_twice(void **state)
{
	struct window window;

	(void)state;
	SKIP_WITHOUT_BPF();
	struct fixture *f = fixture_new("probe e { ingress tc { events e { ip.src } } }", NULL);
	run_packets(f, 0, 1, 2);
	assert_int_equal(cut(f, &window)->row_count, 2);
	amon_collected_free(window.collected);
	run_packets(f, 0, 3, 1);
	assert_int_equal(cut(f, &window)->row_count, 3);
	assert_int_equal(window.times.sequence, 1);
	done(f, &window);
	assert_int_equal(cut(f, &window)->row_count, 0);
	assert_int_equal(window.times.sequence, 2);
	done(f, &window);
	fixture_free(f);
}

/* 16 KiB hold 1,024 events of 8 bytes and the 8 before each; the others are counted. Read, it has room again. */
static void test_full(void **state)
{
	struct window window;

	(void)state;
	SKIP_WITHOUT_BPF();
	struct fixture *f = fixture_new("probe e { ingress tc { events e size 10 { ip.src } } }", NULL);
	run_packets(f, 0, 0, 1100);
	assert_int_equal(f->exports->sections[0].tables[0].key_size, 8);
	assert_int_equal(cut(f, &window)->row_count + lost(f, &window), 1100);
	assert_int_equal(lost(f, &window), 1100 - 1023);
	done(f, &window);
	run_packets(f, 0, 0, 5);
	assert_int_equal(cut(f, &window)->row_count, 5);
	done(f, &window);
	fixture_free(f);
}

/* Each clone has a ring of its own, so that an event belongs to the window that counted its packet. */
static void test_windows(void **state)
{
	struct window window;
	const struct amon_collected_table *rows;

	(void)state;
	SKIP_WITHOUT_BPF();
	struct fixture *f = fixture_new("probe e { window 1s; ingress tc { events e { ip.src } } }", NULL);
	run_packets(f, 1, 1, 2);
	run_packets(f, 0, 8, 1);
	rows = cut(f, &window);
	assert_int_equal(rows->row_count, 2);
	assert_int_equal(source_of(f, rows, 1), 2);
	done(f, &window);
	rows = cut(f, &window);
	assert_int_equal(rows->row_count, 1);
	assert_int_equal(source_of(f, rows, 0), 8);
	done(f, &window);
	fixture_free(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_read_twice),
		cmocka_unit_test(test_full),
		cmocka_unit_test(test_windows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
