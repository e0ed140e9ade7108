/* SPDX-License-Identifier: Apache-2.0 */
#include "traffic.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <net/if.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

/* A test run has to wait for the kernel before and after, so it takes as many packets as fill this time. */
#define BATCH_NANOSECONDS 100000000u
#define BATCH_FIRST       4096u
#define BATCH_MAX         500000u

/* Behind all that finds a place of its own, which the kernel gives from 49152 down. */
#define MIRROR_PRIORITY 60000

extern const uint8_t amon_bpf_traffic[], amon_bpf_traffic_end[];

struct traffic {
	struct bpf_object *object;
	int program;
	volatile struct traffic_shared *shared;
	volatile uint64_t *sessions; /* sent of each */
	uint32_t batch;
	pthread_t thread;
	int cpu;
	uint64_t last; /* how many shall have been sent in the end */
	_Atomic bool stop, runs;
	bool started;
	struct traffic *next;
};

static struct traffic *all; /* of this process */

static size_t whole_pages(size_t size)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	return (size + page - 1) / page * page;
}

/* NULL where it cannot be had. */
static void *map_memory(const struct bpf_object *object, const char *name, size_t size)
{
	int fd = bpf_object__find_map_fd_by_name(object, name);
	void *memory = mmap(NULL, whole_pages(size), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	return memory == MAP_FAILED ? NULL : memory;
}

/* Each share of the packets goes to the session in whose part of the sum of 1/1 + 1/2 + … it lies. */
static void share_out(uint64_t *shares, uint32_t sessions)
{
	double whole = 0, sum = 1;
	uint32_t session = 0;

	for (uint32_t i = 1; i <= sessions; i++)
		whole += 1.0 / i;
	for (uint32_t share = 0; share < TRAFFIC_SHARES; share++) {
		while (session + 1 < sessions && sum < whole * share / TRAFFIC_SHARES)
			sum += 1.0 / (++session + 1);
		shares[share] = session;
	}
}

static int map_all(struct traffic *traffic, uint32_t sessions)
{
	size_t size = TRAFFIC_SHARES * sizeof(uint64_t);
	uint64_t *shares;

	traffic->shared = map_memory(traffic->object, ".bss", sizeof(*traffic->shared));
	traffic->sessions = map_memory(traffic->object, "traffic_sessions", sessions * sizeof(uint64_t));
	shares = map_memory(traffic->object, "traffic_shares", size);
	if (!traffic->shared || !traffic->sessions || !shares)
		return -errno;
	share_out(shares, sessions);
	munmap(shares, whole_pages(size));
	return 0;
}

static int open_generator(struct traffic *traffic, uint32_t sessions)
{
	int error;

	traffic->object = bpf_object__open_mem(amon_bpf_traffic, amon_bpf_traffic_end - amon_bpf_traffic, NULL);
	if (!traffic->object)
		return -errno;
	error = bpf_map__set_max_entries(bpf_object__find_map_by_name(traffic->object, "traffic_sessions"), sessions);
	if (!error)
		error = bpf_object__load(traffic->object);
	return error ? error : map_all(traffic, sessions);
}

static int generators; /* of this process */

struct traffic *traffic_new(const char *interface, uint32_t sessions, enum traffic_order order)
{
	struct traffic *traffic = calloc(1, sizeof(*traffic));
	int error = traffic ? open_generator(traffic, sessions) : -ENOMEM;

	if (error) {
		fprintf(stderr, "no traffic: %s\n", strerror(-error));
		if (traffic)
			bpf_object__close(traffic->object);
		free(traffic);
		return NULL;
	}
	traffic->program = bpf_program__fd(bpf_object__find_program_by_name(traffic->object, "generate"));
	traffic->shared->ifindex = if_nametoindex(interface);
	traffic->shared->sessions = sessions;
	traffic->shared->order = order;
	traffic->shared->id = (uint32_t)__atomic_add_fetch(&generators, 1, __ATOMIC_RELAXED);
	traffic->shared->random = 88172645463325252ull;
	traffic->batch = BATCH_FIRST;
	traffic->next = all;
	all = traffic;
	return traffic;
}

void traffic_free(struct traffic *traffic)
{
	struct traffic **link = &all;

	if (!traffic)
		return;
	while (*link != traffic)
		link = &(*link)->next;
	*link = traffic->next;
	munmap((void *)traffic->sessions, whole_pages(traffic->shared->sessions * sizeof(uint64_t)));
	munmap((void *)traffic->shared, whole_pages(sizeof(*traffic->shared)));
	bpf_object__close(traffic->object);
	free(traffic);
}

int traffic_send(struct traffic *traffic, uint32_t count)
{
	uint8_t frame[60] = { [0] = 2, [5] = 9, [6] = 2, [12] = 8, [14] = 0x45, [17] = 46, [22] = 64, [23] = 6 };
	struct xdp_md context = { .data_end = sizeof(frame), .ingress_ifindex = traffic->shared->ifindex };
	LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = frame, .data_size_in = sizeof(frame), .ctx_in = &context,
	            .ctx_size_in = sizeof(context), .repeat = (int)count, .flags = BPF_F_TEST_XDP_LIVE_FRAMES);

	memcpy(frame + 30, (uint8_t[]){ 192, 0, 2, 1 }, 4);
	frame[10] = traffic->shared->id >> 8;
	frame[11] = traffic->shared->id & 0xff;
	frame[37] = 80;   /* destination port */
	frame[46] = 0x50; /* no options */
	frame[47] = 0x02; /* SYN */
	return bpf_prog_test_run_opts(traffic->program, &run);
}

uint64_t traffic_sent(const struct traffic *traffic)
{
	return traffic->shared->sent;
}

uint64_t traffic_sent_of(const struct traffic *traffic, uint32_t session)
{
	return traffic->sessions[session];
}

static void pin_to(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	sched_setaffinity(0, sizeof(set), &set);
}

static uint64_t now(clockid_t clock)
{
	struct timespec time;

	clock_gettime(clock, &time);
	return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

double traffic_seconds(const struct traffic *traffic)
{
	clockid_t clock;

	return pthread_getcpuclockid(traffic->thread, &clock) ? 0 : (double)now(clock) / 1e9;
}

/* One batch, after which the next is longer where this one was short. */
static int send_batch(struct traffic *traffic, uint64_t left)
{
	uint64_t start = now(CLOCK_MONOTONIC), sent = traffic_sent(traffic);
	int error = traffic_send(traffic, left < traffic->batch ? (uint32_t)left : traffic->batch);

	if (now(CLOCK_MONOTONIC) - start < BATCH_NANOSECONDS && traffic->batch < BATCH_MAX)
		traffic->batch *= 2;
	/* or what was lost on its way would be waited for without end */
	return error ? error : traffic_sent(traffic) == sent ? -EIO : 0;
}

static void *send_all(void *data)
{
	struct traffic *traffic = data;

	pin_to(traffic->cpu);
	while (!traffic->stop) {
		uint64_t left = traffic->last ? traffic->last - traffic_sent(traffic) : UINT64_MAX;

		if (!left || send_batch(traffic, left))
			break;
	}
	traffic->runs = false;
	return NULL;
}

int traffic_start(struct traffic *traffic, int cpu, uint64_t count)
{
	traffic->cpu = cpu;
	traffic->stop = false;
	traffic->runs = true;
	traffic->last = count ? traffic_sent(traffic) + count : 0;
	traffic->started = pthread_create(&traffic->thread, NULL, send_all, traffic) == 0;
	return traffic->started ? 0 : -EAGAIN;
}

void traffic_stop(struct traffic *traffic)
{
	traffic->stop = true;
	traffic->started = false;
	pthread_join(traffic->thread, NULL);
	/* the last frames are taken by a softirq of the CPU that sent them, before or soon after the call returns */
	usleep(50000);
}

void traffic_stop_all(void)
{
	for (struct traffic *traffic = all; traffic; traffic = traffic->next)
		if (traffic->started)
			traffic_stop(traffic);
}

bool traffic_runs(const struct traffic *traffic)
{
	return traffic->runs;
}

static int add_filter(const struct bpf_object *object, const char *program, const char *interface, uint32_t priority)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = (int)if_nametoindex(interface), .attach_point = BPF_TC_INGRESS);
	LIBBPF_OPTS(bpf_tc_opts, options, .priority = priority,
	            .prog_fd = bpf_program__fd(bpf_object__find_program_by_name(object, program)));
	int error = bpf_tc_hook_create(&hook);

	return error && error != -EEXIST ? error : bpf_tc_attach(&hook, &options);
}

int traffic_pace(struct traffic *traffic, const char *peer)
{
	int error = add_filter(traffic->object, "arrive", peer, traffic->shared->id);

	traffic->shared->paced = !error;
	return error;
}

int traffic_mirror(const char *interface)
{
	struct bpf_object *object =
	        bpf_object__open_mem(amon_bpf_traffic, amon_bpf_traffic_end - amon_bpf_traffic, NULL);
	int error = object ? bpf_object__load(object) : -errno;

	if (!error)
		error = add_filter(object, "mirror", interface, MIRROR_PRIORITY);
	bpf_object__close(object);
	return error;
}
