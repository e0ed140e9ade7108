/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AMON_TEST_WINDOWS_H
#define AMON_TEST_WINDOWS_H

#include <time.h>

#include "kernel_fixture.h"
#include "runtime/storage.h"
#include "tests/kernel/network.h"
#include "tests/kernel/traffic.h"

/* A probe under traffic at full speed, whose windows are cut from another CPU. The generator counts for itself. */

#define SECOND 1000000000l

struct running {
	struct fixture *fixture;
	struct amon_attached *attached;
	struct traffic *traffic;
	uint64_t windows, packets[2]; /* of each section */
	uint64_t rows, full;          /* windows with packets */
	uint64_t *sessions;           /* packets of each, by the rows of the first section's first table */
};

/* What hangs on v0, for who must take it away where a test fails. */
static struct amon_attached *windows_attached;

static inline void sleep_nanoseconds(long nanoseconds)
{
	nanosleep(&(struct timespec){ nanoseconds / SECOND, nanoseconds % SECOND }, NULL);
}

static inline uint64_t number_at(const uint8_t *record, uint32_t offset)
{
	uint64_t number;

	memcpy(&number, record + offset, 8);
	return number;
}

/* What the table's own count() adds up to, in rows and `other`. */
static inline uint64_t count_rows(const struct amon_export_table *table, const struct amon_collected_table *rows)
{
	uint32_t column = table->key_count, at;
	uint64_t sum;

	while (strcmp(table->columns[column].aggregation->name, "count") != 0)
		column++;
	at = table->columns[column].layout.count;
	sum = rows->other ? number_at(rows->other, at) : 0;
	for (uint64_t i = 0; i < rows->row_count; i++)
		sum += number_at(rows->records + i * table->record_size, at);
	return sum;
}

/* In every window: selected = in_rows + other + unaccounted, and the rows hold what the ledger says. */
static inline void check_table(const struct amon_export_table *table, const struct amon_collected_section *section,
                               const struct amon_collected_table *rows)
{
	uint64_t placed = number_at(section->record, table->in_rows);

	if (table->other_map)
		placed += number_at(section->record, table->other);
	assert_int_equal(count_rows(table, rows), placed);
	for (uint32_t i = 0; i < table->unaccounted_count; i++)
		placed += number_at(section->record, table->unaccounted[i].offset);
	assert_int_equal(number_at(section->record, table->selected), placed);
}

/* The key is ip.src, which tells the session. */
static inline void add_sessions(struct running *r, const struct amon_export_table *table,
                                const struct amon_collected_table *rows)
{
	uint32_t at = table->columns[table->key_count].layout.count;

	for (uint64_t i = 0; i < rows->row_count; i++) {
		const uint8_t *key = rows->keys + i * table->key_size;
		uint64_t *packets = &r->sessions[(uint32_t)key[1] << 16 | (uint32_t)key[2] << 8 | key[3]];

		*packets = number_at(rows->records + i * table->record_size, at) + (table->reset ? *packets : 0);
	}
}

/* Each session has what was sent of it. */
static inline void check_sessions(const struct running *r, uint32_t sessions)
{
	for (uint32_t i = 0; i < sessions; i++)
		assert_int_equal(r->sessions[i], traffic_sent_of(r->traffic, i));
}

static inline void add_window(struct running *r, const struct amon_collected *collected)
{
	const struct amon_exports *exports = r->fixture->exports;

	for (uint32_t i = 0; i < exports->section_count; i++) {
		const struct amon_collected_section *section = &collected->sections[i];

		r->packets[i] += number_at(section->record, exports->sections[i].seen);
		for (uint32_t j = 0; j < exports->sections[i].table_count; j++) {
			if (exports->sections[i].tables[j].twice)
				check_table(&exports->sections[i].tables[j], section, &section->tables[j]);
			r->rows += section->tables[j].row_count;
		}
	}
	if (exports->sections[0].table_count)
		add_sessions(r, &exports->sections[0].tables[0], &collected->sections[0].tables[0]);
	r->full += number_at(collected->sections[0].record, exports->sections[0].seen) > 0;
}

static inline void read_one_window(struct running *r)
{
	struct amon_collected *collected = NULL;
	struct amon_window window;
	struct amon_failure failure = { .message = "" };

	if (amon_reader_cut(r->fixture->loaded->reader, &collected, &window, &failure))
		fail_msg("%s", failure.message);
	assert_int_equal(window.sequence, ++r->windows);
	assert_true(window.start <= window.end);
	add_window(r, collected);
	amon_collected_free(collected);
	assert_int_equal(amon_reader_done(r->fixture->loaded->reader, &failure), 0);
}

static inline void start_loaded(struct running *r, struct fixture *fixture, uint32_t sessions, enum traffic_order order)
{
	struct amon_failure failure = { .message = "" };

	*r = (struct running){ .fixture = fixture, .sessions = calloc(sessions, 8) };
	if (amon_probe_attach(r->fixture->loaded, "v0", &r->attached, &failure))
		fail_msg("%s", failure.message);
	windows_attached = r->attached;
	r->traffic = traffic_new("v1", sessions, order);
	assert_non_null(r->traffic);
	assert_int_equal(traffic_pace(r->traffic, "v0"), 0);
}

static inline void start(struct running *r, const char *spec, uint32_t sessions, enum traffic_order order)
{
	start_loaded(r, fixture_new(spec, NULL), sessions, order);
}

static inline void stop(struct running *r)
{
	amon_probe_detach(r->attached);
	windows_attached = NULL;
	traffic_free(r->traffic);
	fixture_free(r->fixture);
	free(r->sessions);
}

/* Behind each test: what one that failed has left running would be counted by those after it. */
static inline int stop_all(void **state)
{
	(void)state;
	traffic_stop_all();
	if (windows_attached)
		amon_probe_detach(windows_attached);
	windows_attached = NULL;
	return 0;
}

/* What a metric of the first section has counted. */
static inline uint64_t count_of(const struct running *r, const struct amon_collected *collected, const char *name)
{
	const struct amon_export_section *section = &r->fixture->exports->sections[0];
	uint32_t column = 0;

	while (strcmp(section->columns[column].name, name))
		column++;
	return number_at(collected->sections[0].record, section->columns[column].layout.count);
}

/* Cuts windows until so many have had packets, and once more when all packets have passed. */
static inline void cut_windows(struct running *r, uint64_t full, long nanoseconds)
{
	assert_int_equal(traffic_start(r->traffic, 1, 0), 0);
	while (r->full < full) {
		assert_true(r->windows < 100 * full);
		sleep_nanoseconds(nanoseconds);
		read_one_window(r);
	}
	traffic_stop(r->traffic);
	read_one_window(r);
}

#endif
