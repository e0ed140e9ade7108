/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Measures for bench/windows.py, bench/read.py and bench/cores.py, in a network of its own: reads lines and answers
 * each with one.
 *
 * run SPEC INTERVAL SECONDS
 *   Packets at full speed from CPU 1, and a window cut each INTERVAL seconds from CPU 0, but only in every second
 *   stretch of time: packets sent, windows, packets lost (negative: doubled), the reader's share of its CPU; then, of
 *   every two stretches, nanoseconds of CPU that a packet took in the one without reads, and in the one with them.
 * drain SPEC SESSIONS
 *   One packet of each session, and a window with all of them, after others that mapped the memory: rows, milliseconds of
 *   CPU from the cut until they are in hand, and until the table is empty again.
 * cores SPEC CORES SECONDS
 *   Packets at full speed from so many CPUs, 1 or 2, through a queue each: packets a second, nanoseconds of CPU that
 *   each took; sent, and of them not seen by the section, and not in the first table's rows and `other` (negative:
 *   doubled).
 * gate KIND REPEAT
 *   Nanoseconds that a test run takes: of an empty program by itself (empty), behind a gate (plain), behind one that
 *   announces (announcing).
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <sched.h>
#include <stdbool.h>

#include "probe.h"
#include "runtime/attached.h"
#include "runtime/reader.h"
#include "runtime/storage.h"
#include "tests/kernel/network.h"
#include "tests/kernel/traffic.h"

#define SESSIONS 25000
#define WATCHED  "v0"

struct run {
	struct bench_probe probe;
	struct amon_loaded *loaded;
	struct amon_attached *attached;
	struct traffic *traffic;
	uint64_t windows, packets;
};

static int load_program(const char *name, int verdict)
{
	const struct bpf_insn program[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = verdict },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	LIBBPF_OPTS(bpf_prog_load_opts, options, .prog_flags = BPF_F_XDP_HAS_FRAGS, .expected_attach_type = BPF_XDP);
	int fd = bpf_prog_load(BPF_PROG_TYPE_XDP, name, "Dual BSD/GPL", program, 2, &options);

	if (fd < 0)
		bench_die(name, "does not load");
	return fd;
}

/* Behind the probe packets are dropped, or it would be the network stack that is measured. */
static void drop_behind(const struct run *run)
{
	uint32_t zero = 0;
	int drop = load_program("drop", XDP_DROP);

	if (bpf_map_update_elem(run->attached->xdp.gate.next, &zero, &drop, BPF_ANY))
		bench_die("drop", "does not fit behind the probe");
	close(drop);
}

static void start(struct run *run, const char *name, uint32_t sessions, enum traffic_order order)
{
	struct amon_load_options load = { .announces = true };
	struct amon_failure failure = { .message = "" };
	char *spec = bench_read_file(name);

	*run = (struct run){ 0 };
	bench_compile(name, spec, &run->probe);
	if (amon_probe_choose(run->probe.exports, WATCHED, &load.choice, &failure) ||
	    amon_probe_load(run->probe.object.object, run->probe.object.object_size, run->probe.exports, &load,
	                    &run->loaded, &failure) ||
	    amon_probe_attach(run->loaded, WATCHED, &run->attached, &failure))
		bench_die(name, failure.message);
	drop_behind(run);
	run->traffic = traffic_new("v1", sessions, order);
	if (!run->traffic)
		exit(1);
	free(spec);
}

static void stop(struct run *run)
{
	bpf_map_delete_elem(run->attached->xdp.gate.next, &(uint32_t){ 0 });
	amon_probe_detach(run->attached);
	amon_probe_unload(run->loaded);
	traffic_free(run->traffic);
	bench_free(&run->probe);
}

static void cut(struct run *run)
{
	const struct amon_export_section *section = &run->probe.exports->sections[0];
	struct amon_failure failure = { .message = "" };
	struct amon_collected *collected = NULL;
	struct amon_window window;
	uint64_t seen;

	if (amon_reader_cut(run->loaded->reader, &collected, &window, &failure))
		bench_die("cut", failure.message);
	memcpy(&seen, collected->sections[0].record + section->seen, sizeof(seen));
	run->packets += seen;
	run->windows++;
	amon_collected_free(collected);
	if (amon_reader_done(run->loaded->reader, &failure))
		bench_die("done", failure.message);
}

static void sleep_until(double time)
{
	double left = time - bench_now(CLOCK_MONOTONIC);

	if (left > 0)
		nanosleep(&(struct timespec){ (time_t)(left / 1e3), (long)(left * 1e6) % 1000000000 }, NULL);
}

/* The shortest stretch; a longer interval makes a longer one. */
#define STRETCH   0.05
#define PAIRS_MAX 10000

/* Cuts windows until a time; a read that comes late does not make the next one late. */
static void read_until(struct run *run, double interval, double end)
{
	for (double next = bench_now(CLOCK_MONOTONIC) + 1e3 * interval; next <= end + 1; next += 1e3 * interval) {
		sleep_until(next);
		cut(run);
		while (next < bench_now(CLOCK_MONOTONIC) - 1e3 * interval)
			next += 1e3 * interval;
	}
	sleep_until(end);
}

/* Nanoseconds of CPU that a packet takes in a stretch, with reads each `interval` or without (0). */
static double measure_stretch(struct run *run, double interval, double seconds)
{
	double end = bench_now(CLOCK_MONOTONIC) + 1e3 * seconds, busy = traffic_seconds(run->traffic);
	uint64_t sent = traffic_sent(run->traffic);

	if (interval > 0)
		read_until(run, interval, end);
	else
		sleep_until(end);
	return 1e9 * (traffic_seconds(run->traffic) - busy) / (double)(traffic_sent(run->traffic) - sent);
}

static void measure_run(const char *name, double interval, double seconds)
{
	double stretch = interval > STRETCH ? interval : STRETCH, reader;
	uint32_t pairs = (uint32_t)(seconds / stretch / 2);
	double(*costs)[2] = calloc(PAIRS_MAX, sizeof(*costs));
	struct run run;

	pairs = pairs < 1 ? 1 : pairs > PAIRS_MAX ? PAIRS_MAX : pairs;
	start(&run, name, SESSIONS, TRAFFIC_ZIPF);
	if (traffic_start(run.traffic, 1, 0))
		bench_die(name, "no traffic");
	/* the first batches are short */
	usleep(300000);
	reader = bench_now(CLOCK_THREAD_CPUTIME_ID);
	for (uint32_t i = 0; i < pairs; i++) {
		/* which comes first takes turns, so that what drifts is nobody's gain */
		costs[i][i & 1] = measure_stretch(&run, i & 1 ? interval : 0, stretch);
		costs[i][~i & 1] = measure_stretch(&run, i & 1 ? 0 : interval, stretch);
	}
	reader = bench_now(CLOCK_THREAD_CPUTIME_ID) - reader;
	traffic_stop(run.traffic);
	cut(&run);
	printf("%llu %llu %lld %f", (unsigned long long)traffic_sent(run.traffic), (unsigned long long)run.windows,
	       (long long)(traffic_sent(run.traffic) - run.packets), reader / 1e3 / (pairs * stretch));
	for (uint32_t i = 0; i < pairs; i++)
		printf(" %f %f", costs[i][0], costs[i][1]);
	putchar('\n');
	free(costs);
	stop(&run);
}

/* One window with a packet of each session: what reading it takes, and emptying. Returns its rows. */
static uint64_t drain(struct run *run, const char *name, uint32_t sessions, double took[2])
{
	struct amon_failure failure = { .message = "" };
	struct amon_collected *collected = NULL;
	struct amon_window window;
	double begin;
	uint64_t rows;

	if (traffic_send(run->traffic, sessions))
		bench_die(name, "no traffic");
	usleep(50000);
	begin = bench_now(CLOCK_THREAD_CPUTIME_ID);
	if (amon_reader_cut(run->loaded->reader, &collected, &window, &failure))
		bench_die("cut", failure.message);
	took[0] = bench_now(CLOCK_THREAD_CPUTIME_ID) - begin;
	if (amon_reader_done(run->loaded->reader, &failure))
		bench_die("done", failure.message);
	took[1] = bench_now(CLOCK_THREAD_CPUTIME_ID) - begin - took[0];
	rows = collected->sections[0].tables[0].row_count;
	amon_collected_free(collected);
	return rows;
}

static void measure_drain(const char *name, uint32_t sessions)
{
	uint64_t rows = 0;
	double took[2];
	struct run run;

	start(&run, name, sessions, TRAFFIC_IN_TURN);
	/* the first read of each clone maps its memory */
	for (uint32_t i = 0; i <= AMON_CLONES; i++)
		rows = drain(&run, name, sessions, took);
	printf("%llu %f %f\n", (unsigned long long)rows, took[0], took[1]);
	stop(&run);
}

/* --- cores */

#define CORES 2

static uint64_t counter_at(const uint8_t *record, uint32_t offset)
{
	uint64_t number;

	memcpy(&number, record + offset, sizeof(number));
	return number;
}

/* What came in, as the section and as its first table's ledger tell it. */
static void count_all(struct run *run, uint64_t *seen, uint64_t *placed)
{
	const struct amon_export_section *section = &run->probe.exports->sections[0];
	struct amon_failure failure = { .message = "" };
	struct amon_collected *collected = NULL;
	struct amon_window window;
	const uint8_t *record;

	if (amon_reader_cut(run->loaded->reader, &collected, &window, &failure))
		bench_die("cut", failure.message);
	record = collected->sections[0].record;
	*seen = *placed = counter_at(record, section->seen);
	if (section->table_count)
		*placed = counter_at(record, section->tables[0].in_rows) + counter_at(record, section->tables[0].other);
	amon_collected_free(collected);
}

static void measure_cores(const char *name, uint32_t cores, double seconds)
{
	struct traffic *traffic[CORES];
	uint64_t sent = 0, seen, placed;
	double begin, busy = 0;
	struct run run;

	if (cores < 1 || cores > CORES ||
	    network_run("ethtool -L v0 rx %d tx %d && ethtool -L v1 rx %d tx %d", CORES, CORES, CORES, CORES))
		bench_die(name, "has no queue for each CPU");
	start(&run, name, SESSIONS, TRAFFIC_ZIPF);
	traffic[0] = run.traffic;
	traffic[1] = traffic_new("v1", SESSIONS, TRAFFIC_ZIPF);
	if (!traffic[1])
		exit(1);
	begin = bench_now(CLOCK_MONOTONIC);
	for (uint32_t i = 0; i < cores; i++)
		if (traffic_start(traffic[i], (int)(1 - i), 0))
			bench_die(name, "no traffic");
	sleep_until(begin + 1e3 * seconds);
	for (uint32_t i = 0; i < cores; i++)
		busy += traffic_seconds(traffic[i]);
	for (uint32_t i = 0; i < cores; i++)
		sent += traffic_sent(traffic[i]);
	seconds = (bench_now(CLOCK_MONOTONIC) - begin) / 1e3;
	printf("%f %f ", (double)sent / seconds, 1e9 * busy / (double)sent);
	sent = 0;
	for (uint32_t i = 0; i < cores; i++) {
		traffic_stop(traffic[i]);
		sent += traffic_sent(traffic[i]);
	}
	count_all(&run, &seen, &placed);
	printf("%llu %lld %lld\n", (unsigned long long)sent, (long long)(sent - seen), (long long)(sent - placed));
	traffic_free(traffic[1]);
	stop(&run);
}

/* --- gates */

static uint32_t test_run(int program, uint32_t repeat)
{
	char frame[64] = "";
	LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = frame, .data_size_in = sizeof(frame), .repeat = (int)repeat);

	if (bpf_prog_test_run_opts(program, &run))
		bench_die("gate", "does not run");
	return run.duration;
}

static void measure_gate(const char *kind, uint32_t repeat)
{
	static const struct amon_exports nothing;
	struct amon_failure failure = { .message = "" };
	bool announces = strcmp(kind, "announcing") == 0;
	int empty = load_program("empty", XDP_PASS);
	struct amon_reader reader;
	struct amon_gate gate;

	if (amon_reader_new(&nothing, announces, &reader, &failure))
		bench_die("gate", failure.message);
	struct amon_gate_options options = { reader.control_map, announces, { empty, empty, -1, -1 } };

	if (amon_gate_open(AMON_HOOK_XDP, &options, &gate, &failure))
		bench_die("gate", failure.message);
	printf("%u\n", test_run(strcmp(kind, "empty") ? gate.program : empty, repeat));
	amon_gate_close(&gate);
	amon_reader_close(&reader);
	close(empty);
}

static void pin_to(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	sched_setaffinity(0, sizeof(set), &set);
}

int main(void)
{
	char line[4096], name[4096];
	double interval, seconds;
	uint32_t repeat;

	libbpf_set_print(NULL);
	amon_collected_keep_memory();
	if (network_new())
		bench_die("network", "cannot be made");
	pin_to(0);
	while (fgets(line, sizeof(line), stdin)) {
		if (sscanf(line, "run %4095s %lf %lf", name, &interval, &seconds) == 3)
			measure_run(name, interval, seconds);
		else if (sscanf(line, "drain %4095s %u", name, &repeat) == 2)
			measure_drain(name, repeat);
		else if (sscanf(line, "cores %4095s %u %lf", name, &repeat, &seconds) == 3)
			measure_cores(name, repeat, seconds);
		else if (sscanf(line, "gate %4095s %u", name, &repeat) == 2)
			measure_gate(name, repeat);
		else
			bench_die(line, "what is this?");
		fflush(stdout);
	}
	return 0;
}
