/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Measures programs side by side for bench/paper/run.py, in a network of its own: reads lines and answers each with one.
 * All programs stay loaded, and take turns. Nanoseconds are of CPU time.
 *
 * amon NAME SPEC             loads a spec's clones and a gate before them
 * hand NAME OBJECT ROWS N    loads an object N times, as a chain where it has a slot for the next; its map has ROWS
 *   Both answer with bytes of memory that its maps take now.
 * sessions N ORDER           whose packets come: in the order of enum traffic_order
 * alone NAME PACKETS         test runs from an empty table on: nanoseconds a packet (the harness included), packets that
 *                            the program accounts for (-1: it does not say), rows, milliseconds of reading, of emptying
 * live NAME SECONDS          from a generator on CPU 1 through a veth pair, dropped behind the program; amon's windows
 *                            are cut each second from CPU 0: nanoseconds a packet (the generator's included), sent,
 *                            accounted for, bytes of memory in the end, seconds
 * free NAME
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/pkt_cls.h>
#include <sched.h>
#include <stdbool.h>
#include <sys/mman.h>

#include "bench/hand/constants.h"
#include "bench/paper/harness.h"
#include "bench/probe.h"
#include "runtime/attached.h"
#include "runtime/reader.h"
#include "runtime/storage.h"
#include "tests/kernel/network.h"
#include "tests/kernel/traffic.h"

#define WATCHED       "v0"
#define SUBJECTS      16
#define CHAIN         33
#define BATCH         4096u
#define DROP_PRIORITY 50000

extern const uint8_t amon_bpf_harness[], amon_bpf_harness_end[];

/* What was read from a program's maps. */
struct sums {
	uint64_t rows;
	int64_t packets; /* -1: it does not say */
	double reading, emptying;
};

/* A program that is measured. */
struct subject {
	char name[64];
	bool amon;
	enum amon_hook_kind hook;
	int program; /* what a hook calls */

	struct bench_probe probe;
	struct amon_loaded *loaded;
	struct amon_gate gate;
	uint64_t before; /* packets, where reads give totals */

	struct bpf_object *objects[CHAIN];
	uint32_t count;
	int records, chain;
};

static struct subject subjects[SUBJECTS];
static struct harness *harness;
static struct bpf_object *harness_object;
static uint32_t sessions = 25000;
static enum traffic_order order = TRAFFIC_SHUFFLED;

static struct subject *find(const char *name)
{
	for (uint32_t i = 0; i < SUBJECTS; i++)
		if (!strcmp(subjects[i].name, name))
			return &subjects[i];
	bench_die(name, *name ? "is not loaded" : "no room");
	return NULL;
}

static struct subject *begin(const char *name)
{
	struct subject *subject = find("");

	*subject = (struct subject){ .records = -1, .chain = -1 };
	snprintf(subject->name, sizeof(subject->name), "%s", name);
	return subject;
}

/* --- memory */

static uint64_t map_bytes(int map)
{
	char path[64], line[256];
	unsigned long long bytes = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", map);
	file = fopen(path, "r");
	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, "memlock: %llu", &bytes) == 1)
			break;
	if (file)
		fclose(file);
	return bytes;
}

/* Each map once, however many programs use it. */
struct map_ids {
	uint32_t ids[512], count;
};

static uint64_t add_map(struct map_ids *seen, uint32_t id)
{
	uint64_t bytes;
	int map;

	for (uint32_t i = 0; i < seen->count; i++)
		if (seen->ids[i] == id)
			return 0;
	seen->ids[seen->count++ % 512] = id;
	map = bpf_map_get_fd_by_id(id);
	bytes = map_bytes(map);
	close(map);
	return bytes;
}

static uint64_t program_bytes(int program, struct map_ids *seen)
{
	uint32_t ids[64];
	struct bpf_prog_info info = { .nr_map_ids = 64, .map_ids = (uint64_t)(uintptr_t)ids };
	uint32_t length = sizeof(info);
	uint64_t bytes = 0;

	if (program < 0 || bpf_obj_get_info_by_fd(program, &info, &length))
		return 0;
	for (uint32_t i = 0; i < info.nr_map_ids && i < 64; i++)
		bytes += add_map(seen, ids[i]);
	return bytes;
}

static int hand_program(const struct subject *subject, uint32_t place)
{
	return bpf_program__fd(bpf_object__next_program(subject->objects[place], NULL));
}

static uint64_t bytes_of(const struct subject *subject)
{
	struct map_ids seen = { .count = 0 };
	uint64_t bytes = 0;

	if (!subject->amon) {
		for (uint32_t i = 0; i < subject->count; i++)
			bytes += program_bytes(hand_program(subject, i), &seen);
		return bytes;
	}
	for (uint32_t i = 0; i < subject->loaded->clone_count; i++)
		bytes += program_bytes(subject->loaded->clones[i].programs[subject->hook], &seen);
	return bytes + program_bytes(subject->gate.program, &seen);
}

/* --- loading */

static void open_gate(struct subject *subject)
{
	const struct amon_loaded *loaded = subject->loaded;
	struct amon_gate_options options = { loaded->reader->control_map, loaded->reader->announces, { -1, -1, -1, -1 } };
	struct amon_failure failure = { .message = "" };

	for (uint32_t i = 0; i < AMON_CLONES; i++)
		options.programs[i] = loaded->clones[i < loaded->clone_count ? i : 0].programs[subject->hook];
	if (amon_gate_open(subject->hook, &options, &subject->gate, &failure))
		bench_die(subject->name, failure.message);
	subject->program = subject->gate.program;
}

static void load_amon(const char *name, const char *file)
{
	struct subject *subject = begin(name);
	struct amon_failure failure = { .message = "" };
	struct amon_load_options load = { 0 };
	char *spec = bench_read_file(file);

	subject->amon = true;
	bench_compile(file, spec, &subject->probe);
	if (amon_probe_choose(subject->probe.exports, WATCHED, &load.choice, &failure) ||
	    amon_probe_load(subject->probe.object.object, subject->probe.object.object_size, subject->probe.exports,
	                    &load, &subject->loaded, &failure))
		bench_die(name, failure.message);
	subject->hook = subject->loaded->clones[0].programs[AMON_HOOK_XDP] >= 0 ? AMON_HOOK_XDP : AMON_HOOK_TC_INGRESS;
	open_gate(subject);
	free(spec);
	printf("%llu\n", (unsigned long long)bytes_of(subject));
}

static void set_constants(struct bpf_object *object, uint32_t place)
{
	bool xdp = bpf_program__type(bpf_object__next_program(object, NULL)) == BPF_PROG_TYPE_XDP;
	/* at XDP what passes would go to the network stack, and that would be measured */
	struct constants constants = { .verdict = xdp ? XDP_DROP : TC_ACT_UNSPEC, .place = place };
	struct bpf_map *map = bpf_object__find_map_by_name(object, ".rodata");

	if (!map || bpf_map__set_initial_value(map, &constants, sizeof(constants)))
		bench_die(bpf_object__name(object), "has other constants");
}

static void load_object(struct subject *subject, const char *file, uint32_t rows)
{
	struct bpf_object *object = bpf_object__open(file);
	struct bpf_map *records, *chain;

	if (!object)
		bench_die(file, "is no object");
	records = bpf_object__find_map_by_name(object, "records");
	chain = bpf_object__find_map_by_name(object, "chain");
	if (rows && records && bpf_map__type(records) != BPF_MAP_TYPE_ARRAY)
		bpf_map__set_max_entries(records, rows);
	if (chain && subject->chain >= 0)
		bpf_map__reuse_fd(chain, subject->chain);
	set_constants(object, subject->count);
	if (bpf_object__load(object))
		bench_die(file, "does not load");
	if (records && subject->records < 0)
		subject->records = bpf_map__fd(records);
	if (chain && subject->chain < 0)
		subject->chain = bpf_map__fd(chain);
	subject->objects[subject->count++] = object;
}

static void load_hand(const char *name, const char *file, uint32_t rows, uint32_t count)
{
	struct subject *subject = begin(name);

	for (uint32_t i = 0; i < count && i < CHAIN; i++) {
		int program;

		load_object(subject, file, rows);
		program = hand_program(subject, i);
		if (subject->chain >= 0 && bpf_map_update_elem(subject->chain, &i, &program, BPF_ANY))
			bench_die(file, "does not fit into the chain");
	}
	subject->program = hand_program(subject, 0);
	subject->hook = bpf_program__type(bpf_object__next_program(subject->objects[0], NULL)) == BPF_PROG_TYPE_XDP
	                        ? AMON_HOOK_XDP
	                        : AMON_HOOK_TC_INGRESS;
	printf("%llu\n", (unsigned long long)bytes_of(subject));
}

static void unload(const char *name)
{
	struct subject *subject = find(name);

	if (subject->amon) {
		amon_gate_close(&subject->gate);
		amon_probe_unload(subject->loaded);
		bench_free(&subject->probe);
	}
	for (uint32_t i = 0; i < subject->count; i++)
		bpf_object__close(subject->objects[i]);
	*subject = (struct subject){ 0 };
	puts("0");
}

/* --- reading and emptying */

static uint64_t word(const uint8_t *from)
{
	uint64_t value;

	memcpy(&value, from, sizeof(value));
	return value;
}

static struct sums read_amon(struct subject *subject)
{
	const struct amon_export_section *section = &subject->probe.exports->sections[0];
	struct amon_failure failure = { .message = "" };
	struct amon_collected *collected = NULL;
	double start = bench_now(CLOCK_THREAD_CPUTIME_ID);
	struct sums sums = { 0 };
	struct amon_window window;
	const uint8_t *record;

	if (amon_reader_cut(subject->loaded->reader, &collected, &window, &failure))
		bench_die("cut", failure.message);
	sums.reading = bench_now(CLOCK_THREAD_CPUTIME_ID) - start;
	if (amon_reader_done(subject->loaded->reader, &failure))
		bench_die("done", failure.message);
	sums.emptying = bench_now(CLOCK_THREAD_CPUTIME_ID) - start - sums.reading;
	record = collected->sections[0].record;
	sums.packets = (int64_t)word(record + section->seen);
	for (uint32_t i = 0; i < section->table_count; i++) {
		sums.packets = (int64_t)(word(record + section->tables[i].in_rows) + word(record + section->tables[i].other));
		sums.rows += collected->sections[0].tables[i].row_count;
	}
	if (!amon_exports_reset(subject->probe.exports)) {
		uint64_t total = (uint64_t)sums.packets;

		sums.packets -= (int64_t)subject->before;
		subject->before = total;
	}
	amon_collected_free(collected);
	return sums;
}

/* The first word of each value is a number of packets; of a per-CPU map's they add. */
static void add_values(const uint8_t *values, uint32_t count, uint32_t stride, uint32_t cpus, struct sums *sums)
{
	sums->rows += count;
	for (uint64_t i = 0; i < (uint64_t)count * cpus; i++)
		sums->packets += (int64_t)word(values + i * stride);
}

static void read_batches(int map, const struct bpf_map_info *info, uint32_t cpus, struct sums *sums)
{
	uint32_t stride = (info->value_size + 7) & ~7u, count;
	uint8_t *keys = calloc(BATCH, info->key_size), *values = calloc((size_t)BATCH * cpus, stride), cursor[64];
	void *in = NULL;
	int error;

	do {
		count = BATCH;
		error = bpf_map_lookup_and_delete_batch(map, in, cursor, keys, values, &count, NULL);
		if (!error || error == -ENOENT)
			add_values(values, count, cpus > 1 ? stride : info->value_size, cpus, sums);
		in = cursor;
	} while (!error);
	free(keys);
	free(values);
	if (error != -ENOENT)
		bench_die("batch", strerror(-error));
}

static struct sums read_hand(struct subject *subject)
{
	struct sums sums = { .packets = 0 };
	struct bpf_map_info info = { 0 };
	uint32_t length = sizeof(info), zero = 0;
	double start = bench_now(CLOCK_THREAD_CPUTIME_ID);

	if (subject->records < 0 || bpf_obj_get_info_by_fd(subject->records, &info, &length)) {
		sums.packets = -1;
		return sums;
	}
	if (info.type == BPF_MAP_TYPE_ARRAY) {
		uint8_t *value = calloc(1, info.value_size), *nothing = calloc(1, info.value_size);

		bpf_map_lookup_elem(subject->records, &zero, value);
		bpf_map_update_elem(subject->records, &zero, nothing, BPF_ANY);
		add_values(value, 1, info.value_size, 1, &sums);
		if (strstr(subject->name, "features"))
			sums.packets = -1;
		free(value);
		free(nothing);
	} else {
		bool per_cpu = info.type == BPF_MAP_TYPE_PERCPU_HASH;

		read_batches(subject->records, &info, per_cpu ? (uint32_t)libbpf_num_possible_cpus() : 1, &sums);
	}
	sums.reading = bench_now(CLOCK_THREAD_CPUTIME_ID) - start;
	return sums;
}

static struct sums read_all(struct subject *subject)
{
	return subject->amon ? read_amon(subject) : read_hand(subject);
}

/* --- test runs */

static void shuffle(uint32_t *list, uint32_t count)
{
	for (uint32_t i = count - 1; i > 0; i--) {
		uint32_t j = (uint32_t)(((uint64_t)random() << 31 | (uint64_t)random()) % (i + 1)), kept = list[i];

		list[i] = list[j];
		list[j] = kept;
	}
}

/* All sessions equally often, in an order that nothing can foresee. */
static void list_alike(uint32_t *list)
{
	for (uint32_t i = 0; i < HARNESS_SESSIONS; i++)
		list[i] = i % sessions;
	for (uint32_t i = 0; i < HARNESS_SESSIONS; i += sessions)
		shuffle(list + i, HARNESS_SESSIONS - i < sessions ? HARNESS_SESSIONS - i : sessions);
}

/* The n-th has a share of 1/n. */
static void list_zipf(uint32_t *list)
{
	double whole = 0, sum = 0;
	uint32_t session = 0;

	for (uint32_t i = 1; i <= sessions; i++)
		whole += 1.0 / i;
	for (uint32_t i = 0; i < HARNESS_SESSIONS; i++) {
		double share = ((double)i + (double)random() / RAND_MAX) / HARNESS_SESSIONS * whole;

		while (session + 1 < sessions && sum + 1.0 / (session + 1) < share)
			sum += 1.0 / ++session;
		list[i] = session;
	}
	shuffle(list, HARNESS_SESSIONS);
}

static void choose_sessions(uint32_t count, uint32_t by)
{
	sessions = count;
	order = by;
	(order == TRAFFIC_ZIPF ? list_zipf : list_alike)(harness->sessions);
	puts("0");
}

static void open_harness(void)
{
	size_t size = (sizeof(struct harness) + 4095) & ~(size_t)4095;

	harness_object = bpf_object__open_mem(amon_bpf_harness, amon_bpf_harness_end - amon_bpf_harness, NULL);
	if (!harness_object || bpf_object__load(harness_object))
		bench_die("harness", "does not load");
	harness = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED,
	               bpf_object__find_map_fd_by_name(harness_object, "harness_list"), 0);
	if (harness == MAP_FAILED)
		bench_die("harness", "cannot be mapped");
}

/* CPU nanoseconds of so many test runs. */
static double test_runs(const struct subject *subject, uint32_t packets)
{
	uint8_t frame[60] = { [0] = 2, [5] = 9, [6] = 2, [12] = 8, [14] = 0x45, [17] = 46, [22] = 64, [23] = 6,
		              [30] = 192, [32] = 2, [33] = 1, [37] = 80, [46] = 0x50, [47] = 0x02 };
	LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = frame, .data_size_in = sizeof(frame), .repeat = (int)packets);
	bool xdp = subject->hook == AMON_HOOK_XDP;
	int slot = bpf_object__find_map_fd_by_name(harness_object, xdp ? "harness_xdp" : "harness_tc");
	int program = bpf_program__fd(bpf_object__find_program_by_name(harness_object, xdp ? "run_xdp" : "run_tc"));
	double start;

	if (bpf_map_update_elem(slot, &(uint32_t){ 0 }, &subject->program, BPF_ANY))
		bench_die(subject->name, "does not fit into the harness");
	start = bench_now(CLOCK_THREAD_CPUTIME_ID);
	if (bpf_prog_test_run_opts(program, &run))
		bench_die(subject->name, "does not run");
	return 1e6 * (bench_now(CLOCK_THREAD_CPUTIME_ID) - start);
}

static void measure_alone(const char *name, uint32_t packets)
{
	struct subject *subject = find(name);
	double took = test_runs(subject, packets);
	struct sums sums = read_all(subject);

	printf("%f %lld %llu %f %f\n", took / packets, (long long)sums.packets, (unsigned long long)sums.rows, sums.reading,
	       sums.emptying);
}

/* --- live */

static int load_drop(enum bpf_prog_type type, int verdict, uint32_t flags)
{
	const struct bpf_insn program[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = verdict },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	LIBBPF_OPTS(bpf_prog_load_opts, options, .prog_flags = flags,
	            .expected_attach_type = type == BPF_PROG_TYPE_XDP ? BPF_XDP : 0);
	int drop = bpf_prog_load(type, "drop", "Dual BSD/GPL", program, 2, &options);

	if (drop < 0)
		bench_die("drop", "does not load");
	return drop;
}

/* Behind all that hangs on v0's TC hooks. */
static void drop_at_tc(void)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = (int)if_nametoindex(WATCHED), .attach_point = BPF_TC_INGRESS);
	LIBBPF_OPTS(bpf_tc_opts, options, .priority = DROP_PRIORITY, .handle = 1,
	            .prog_fd = load_drop(BPF_PROG_TYPE_SCHED_CLS, TC_ACT_SHOT, 0));

	if (bpf_tc_hook_create(&hook) || bpf_tc_attach(&hook, &options))
		bench_die("drop", "cannot be attached");
	close(options.prog_fd);
}

struct hung {
	struct amon_attached *attached;
	int interface;
};

static void hang(struct subject *subject, struct hung *hung)
{
	struct amon_failure failure = { .message = "" };
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = hung->interface, .attach_point = BPF_TC_INGRESS);
	LIBBPF_OPTS(bpf_tc_opts, options, .priority = 1, .handle = 1, .prog_fd = subject->program);
	int drop;

	if (subject->amon) {
		if (amon_probe_attach(subject->loaded, WATCHED, &hung->attached, &failure))
			bench_die(subject->name, failure.message);
		if (subject->hook != AMON_HOOK_XDP)
			return;
		drop = load_drop(BPF_PROG_TYPE_XDP, XDP_DROP, BPF_F_XDP_HAS_FRAGS);
		if (bpf_map_update_elem(hung->attached->xdp.gate.next, &(uint32_t){ 0 }, &drop, BPF_ANY))
			bench_die("drop", "does not fit behind the probe");
		close(drop);
	} else if (subject->hook == AMON_HOOK_XDP ? bpf_xdp_attach(hung->interface, subject->program, 0, NULL)
	                                          : bpf_tc_attach(&hook, &options)) {
		bench_die(subject->name, "cannot be attached");
	}
}

static void take_off(struct subject *subject, struct hung *hung)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = hung->interface, .attach_point = BPF_TC_INGRESS);
	LIBBPF_OPTS(bpf_tc_opts, options, .priority = 1, .handle = 1);

	if (hung->attached) {
		if (subject->hook == AMON_HOOK_XDP)
			bpf_map_delete_elem(hung->attached->xdp.gate.next, &(uint32_t){ 0 });
		amon_probe_detach(hung->attached);
	} else if (subject->hook == AMON_HOOK_XDP) {
		bpf_xdp_detach(hung->interface, 0, NULL);
	} else {
		bpf_tc_detach(&hook, &options);
	}
}

/* Seconds that have gone by; what amon counts is read each second. */
static double wait_and_read(struct subject *subject, double seconds, int64_t *packets)
{
	double start = bench_now(CLOCK_MONOTONIC), end = start + 1e3 * seconds;

	for (double now = start; now < end; now = bench_now(CLOCK_MONOTONIC)) {
		double rest = end - now < 1e3 ? end - now : 1e3;

		nanosleep(&(struct timespec){ (time_t)(rest / 1e3), (long)(rest * 1e6) % 1000000000 }, NULL);
		if (subject->amon)
			*packets += read_amon(subject).packets;
	}
	return (bench_now(CLOCK_MONOTONIC) - start) / 1e3;
}

static void measure_live(const char *name, double seconds)
{
	struct subject *subject = find(name);
	struct hung hung = { NULL, (int)if_nametoindex(WATCHED) };
	struct traffic *traffic;
	int64_t packets = 0;
	double busy, took;
	uint64_t sent, bytes;

	read_all(subject);
	hang(subject, &hung);
	traffic = traffic_new("v1", sessions, order);
	if (!traffic || traffic_start(traffic, 1, 0))
		bench_die(name, "no traffic");
	/* the first batches are short */
	usleep(300000);
	busy = traffic_seconds(traffic);
	sent = traffic_sent(traffic);
	took = wait_and_read(subject, seconds, &packets);
	busy = traffic_seconds(traffic) - busy;
	sent = traffic_sent(traffic) - sent;
	traffic_stop(traffic);
	bytes = bytes_of(subject);
	packets += read_all(subject).packets;
	printf("%f %llu %lld %llu %f\n", 1e9 * busy / (double)sent, (unsigned long long)traffic_sent(traffic),
	       (long long)packets, (unsigned long long)bytes, took);
	take_off(subject, &hung);
	traffic_free(traffic);
}

static void pin_to(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	sched_setaffinity(0, sizeof(set), &set);
}

static void obey(const char *line)
{
	char name[64], file[4096];
	uint32_t first, second;
	double seconds;

	if (sscanf(line, "amon %63s %4095s", name, file) == 2)
		load_amon(name, file);
	else if (sscanf(line, "hand %63s %4095s %u %u", name, file, &first, &second) == 4)
		load_hand(name, file, first, second);
	else if (sscanf(line, "sessions %u %u", &first, &second) == 2 && first && first <= HARNESS_SESSIONS)
		choose_sessions(first, second);
	else if (sscanf(line, "alone %63s %u", name, &first) == 2)
		measure_alone(name, first);
	else if (sscanf(line, "live %63s %lf", name, &seconds) == 2)
		measure_live(name, seconds);
	else if (sscanf(line, "free %63s", name) == 1)
		unload(name);
	else
		bench_die(line, "what is this?");
}

int main(void)
{
	char line[8192];

	libbpf_set_print(NULL);
	amon_collected_keep_memory();
	if (network_new() || network_run("ethtool -K " WATCHED " gro on"))
		bench_die("network", "cannot be made");
	drop_at_tc();
	pin_to(0);
	open_harness();
	while (fgets(line, sizeof(line), stdin)) {
		obey(line);
		fflush(stdout);
	}
	return 0;
}
