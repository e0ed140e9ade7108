/* SPDX-License-Identifier: Apache-2.0 */
#include "measure.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "capture.h"
#include "feeder.h"
#include "kernel.h"
#include "reader.h"

/* All odd, for the median. Of each load there are fewer rounds the more packets there are. */
#define LOADS        7
#define MOST_ROUNDS  21
#define LEAST_ROUNDS 5
/* A round runs so many packets at least. */
#define ROUND_PACKETS 4096

/* --- packets */

static int read_packets(struct amon_arena *arena, struct amon_capture *capture, struct amon_test_packets *packets,
                        struct amon_failure *failure)
{
	struct amon_capture_packet packet;
	int more = 1;

	while (packets->count < AMON_TEST_PACKETS && (more = amon_capture_next(capture, &packet, failure)) > 0) {
		uint8_t *bytes = amon_arena_alloc(arena, packet.captured + 1);

		memcpy(bytes, packet.bytes, packet.captured);
		packets->packets[packets->count++] =
		        (struct amon_test_packet){ { packet.time, packet.length, packet.captured, packet.direction },
			                           bytes };
	}
	return more < 0 ? more : 0;
}

int amon_test_packets_read(struct amon_arena *arena, const char *path, struct amon_test_packets *packets,
                           struct amon_failure *failure)
{
	__attribute__((cleanup(amon_capture_cleanup))) struct amon_capture *capture = NULL;
	int error = amon_capture_open(path, &capture, failure);

	*packets = (struct amon_test_packets){ NULL, 0 };
	if (error)
		return error;
	packets->packets = amon_new_array(arena, struct amon_test_packet, AMON_TEST_PACKETS);
	error = read_packets(arena, capture, packets, failure);
	if (!error && !packets->count)
		return amon_fail(failure, -ENODATA, "%s: it holds no packet", path);
	return error;
}

/* --- a probe to be measured */

struct measured {
	struct amon_loaded *loaded;
	struct amon_feeder *feeder;
};

static void close_measured(struct measured *measured)
{
	amon_feeder_close(measured->feeder);
	amon_probe_unload(measured->loaded);
}

/* To be closed in any case. */
static int open_measured(const struct amon_subject *subject, struct measured *measured, struct amon_failure *failure)
{
	struct amon_load_options options = { .replay = true, .measured = true };
	int error =
	        amon_probe_load(subject->object, subject->size, subject->exports, &options, &measured->loaded, failure);

	if (!error)
		error = amon_feeder_open(measured->loaded, &measured->feeder, failure);
	if (!error && subject->empty)
		error = amon_feeder_set_empty(measured->feeder, true);
	return error;
}

static uint32_t instructions_of(const struct measured *measured)
{
	uint32_t count = 0;

	for (int hook = 0; hook < AMON_HOOK_COUNT; hook++)
		if (measured->loaded->clones[0].programs[hook] >= 0)
			count += amon_kernel_instructions(measured->loaded->clones[0].programs[hook]);
	return count;
}

/* --- runs */

/* The batch is full, or has its last packet. An event that found no room would cost less than one that did. */
static int flush(struct measured *measured, struct amon_failure *failure)
{
	struct amon_reader *reader = measured->loaded->reader;
	int error = amon_feeder_run(measured->feeder, failure);

	if (!error)
		error = amon_reader_replay_events(reader, failure);
	amon_collected_free(reader->gathered);
	reader->gathered = NULL;
	return error;
}

static int run(struct measured *measured, const struct amon_test_packets *packets, struct amon_failure *failure)
{
	int error = 0;

	for (uint32_t i = 0; i < packets->count && !error; i++) {
		const struct amon_test_packet *packet = &packets->packets[i];

		if (amon_feeder_add(measured->feeder, &packet->frame, packet->bytes))
			continue;
		error = flush(measured, failure);
		amon_feeder_add(measured->feeder, &packet->frame, packet->bytes);
	}
	return error ? error : flush(measured, failure);
}

/* One load of both. */
struct measuring {
	struct measured probes[2];
	const struct amon_test_packets *packets;
	struct amon_failure *failure;
	uint32_t repeat; /* in a round, so that it is not short */
	uint32_t rounds;
	double *differences; /* of each round */
};

/* How often this thread has lost its CPU to another. */
static long switches(void)
{
	struct rusage usage;

	return getrusage(RUSAGE_THREAD, &usage) ? 0 : usage.ru_nivcsw;
}

/* Nanoseconds a packet. */
static int time_run(const struct measuring *m, struct measured *measured, double *nanoseconds)
{
	uint64_t before = amon_feeder_spent(measured->feeder);
	int error = 0;

	for (uint32_t i = 0; i < m->repeat && !error; i++)
		error = run(measured, m->packets, m->failure);
	*nanoseconds = (double)(amon_feeder_spent(measured->feeder) - before) / ((double)m->repeat * m->packets->count);
	return error;
}

static int run_rounds(void *data)
{
	struct measuring *m = data;
	double spent[2] = { 0 };
	int error = run(&m->probes[0], m->packets, m->failure);
	uint32_t round = 0;

	if (!error)
		error = run(&m->probes[1], m->packets, m->failure);
	for (uint32_t tries = 0; round < m->rounds && !error; tries++) {
		uint32_t first = tries & 1; /* the one that comes second finds other caches */
		long before = switches();

		error = time_run(m, &m->probes[first], &spent[first]);
		if (!error)
			error = time_run(m, &m->probes[!first], &spent[!first]);
		m->differences[round] = spent[0] - spent[1];
		/* where another thread took the CPU, it is done again, as long as that leads to an end */
		round += switches() == before || tries >= m->rounds;
	}
	return error;
}

static uint32_t rounds_for(const struct amon_test_packets *packets)
{
	uint32_t rounds = MOST_ROUNDS * ROUND_PACKETS / (packets->count + 1) | 1;

	return rounds < LEAST_ROUNDS ? LEAST_ROUNDS : rounds > MOST_ROUNDS ? MOST_ROUNDS : rounds;
}

static int measure_load(const struct amon_subject *one, const struct amon_subject *other,
                        const struct amon_test_packets *packets, double *differences, struct amon_failure *failure)
{
	struct measuring m = { .packets = packets,
		               .failure = failure,
		               .repeat = (ROUND_PACKETS + packets->count - 1) / packets->count,
		               .rounds = rounds_for(packets),
		               .differences = differences };
	int error = open_measured(one, &m.probes[0], failure);

	if (!error)
		error = open_measured(other, &m.probes[1], failure);
	if (!error)
		error = amon_kernel_on_first_cpu(run_rounds, &m);
	close_measured(&m.probes[0]);
	close_measured(&m.probes[1]);
	return error;
}

static int compare(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

int amon_measure(const struct amon_subject *one, const struct amon_subject *other,
                 const struct amon_test_packets *packets, struct amon_cost *cost, struct amon_failure *failure)
{
	uint32_t rounds = rounds_for(packets), count = LOADS * rounds;
	double differences[LOADS * MOST_ROUNDS];
	int error = 0;

	for (uint32_t load = 0; load < LOADS && !error; load++)
		error = measure_load(one, other, packets, &differences[load * rounds], failure);
	if (error)
		return error;
	qsort(differences, count, sizeof(double), compare);
	*cost = (struct amon_cost){ differences[count / 2], differences[count / 4],
		                    differences[count - 1 - count / 4] };
	return 0;
}

/* --- what can be counted */

static int count_lookups(struct measured *measured, const struct amon_test_packets *packets, double *lookups,
                         struct amon_failure *failure)
{
	int counter = amon_probe_map(measured->loaded, ".bss"), error = run(measured, packets, failure);
	uint64_t before = 0, after = 0;
	uint32_t key = 0;

	/* not in the first run, which makes the rows */
	if (!error)
		error = bpf_map_lookup_elem(counter, &key, &before);
	if (!error)
		error = run(measured, packets, failure);
	if (!error)
		error = bpf_map_lookup_elem(counter, &key, &after);
	*lookups = (double)(after - before) / packets->count;
	return error;
}

int amon_measure_lookups(const struct amon_subject *subject, const struct amon_test_packets *packets, double *lookups,
                         struct amon_failure *failure)
{
	struct measured measured = { NULL, NULL };
	int error = open_measured(subject, &measured, failure);

	if (!error)
		error = count_lookups(&measured, packets, lookups, failure);
	close_measured(&measured);
	return error;
}

int amon_measure_once(const struct amon_subject *subject, const struct amon_test_packets *packets,
                      uint32_t *instructions, struct amon_collected **collected, struct amon_failure *failure)
{
	struct measured measured = { NULL, NULL };
	int error = open_measured(subject, &measured, failure);

	if (!error) {
		*instructions = instructions_of(&measured);
		error = run(&measured, packets, failure);
	}
	if (!error)
		error = amon_reader_replay(measured.loaded->reader, UINT64_MAX, collected, failure);
	close_measured(&measured);
	return error;
}

uint32_t amon_row_bytes(const struct amon_exports *exports)
{
	uint32_t bytes = 0;

	for (uint32_t s = 0; s < exports->section_count; s++) {
		const struct amon_export_section *section = &exports->sections[s];

		bytes += section->record_size;
		for (uint32_t t = 0; t < section->table_count; t++)
			bytes += section->tables[t].key_size + section->tables[t].record_size;
		for (uint32_t m = 0; m < section->memory_count; m++)
			bytes += section->memories[m].key_size + section->memories[m].value_size;
	}
	return bytes;
}
