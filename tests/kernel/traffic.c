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
#include <unistd.h>

/* A test run has to wait for the kernel before and after, so it is a long one. */
#define BATCH 500000

extern const uint8_t amon_bpf_traffic[], amon_bpf_traffic_end[];

struct traffic {
	struct bpf_object *object;
	int program;
	volatile struct traffic_shared *shared;
	pthread_t thread;
	int cpu;
	uint64_t last; /* how many shall have been sent in the end */
	_Atomic bool stop, runs;
};

static int map_shared(struct traffic *traffic)
{
	int fd = bpf_object__find_map_fd_by_name(traffic->object, ".bss");
	void *memory = mmap(NULL, (size_t)sysconf(_SC_PAGESIZE), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (memory == MAP_FAILED)
		return -errno;
	traffic->shared = memory;
	return 0;
}

struct traffic *traffic_new(const char *interface, uint32_t sessions, bool shuffle)
{
	struct traffic *traffic = calloc(1, sizeof(*traffic));
	int error;

	if (!traffic)
		return NULL;
	traffic->object = bpf_object__open_mem(amon_bpf_traffic, amon_bpf_traffic_end - amon_bpf_traffic, NULL);
	error = traffic->object ? bpf_object__load(traffic->object) : -errno;
	if (!error)
		error = map_shared(traffic);
	if (error) {
		fprintf(stderr, "no traffic: %s\n", strerror(-error));
		bpf_object__close(traffic->object);
		free(traffic);
		return NULL;
	}
	traffic->program = bpf_program__fd(bpf_object__find_program_by_name(traffic->object, "generate"));
	traffic->shared->ifindex = if_nametoindex(interface);
	traffic->shared->sessions = sessions;
	traffic->shared->shuffle = shuffle;
	traffic->shared->random = 88172645463325252ull;
	return traffic;
}

void traffic_free(struct traffic *traffic)
{
	if (!traffic)
		return;
	munmap((void *)traffic->shared, (size_t)sysconf(_SC_PAGESIZE));
	bpf_object__close(traffic->object);
	free(traffic);
}

int traffic_send(struct traffic *traffic, uint32_t count)
{
	uint8_t frame[60] = {
		[0] = 2, [5] = 9, [6] = 2, [11] = 8, [12] = 8, [14] = 0x45, [17] = 46, [22] = 64, [23] = 6
	};
	struct xdp_md context = { .data_end = sizeof(frame), .ingress_ifindex = traffic->shared->ifindex };
	LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = frame, .data_size_in = sizeof(frame), .ctx_in = &context,
	            .ctx_size_in = sizeof(context), .repeat = (int)count, .flags = BPF_F_TEST_XDP_LIVE_FRAMES);

	memcpy(frame + 30, (uint8_t[]){ 192, 0, 2, 1 }, 4);
	frame[37] = 80;   /* destination port */
	frame[46] = 0x50; /* no options */
	frame[47] = 0x02; /* SYN */
	return bpf_prog_test_run_opts(traffic->program, &run);
}

uint64_t traffic_sent(const struct traffic *traffic)
{
	return traffic->shared->sent;
}

static void pin_to(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	sched_setaffinity(0, sizeof(set), &set);
}

static void *send_all(void *data)
{
	struct traffic *traffic = data;

	pin_to(traffic->cpu);
	while (!traffic->stop) {
		uint64_t left = traffic->last ? traffic->last - traffic_sent(traffic) : BATCH;

		if (!left || traffic_send(traffic, left < BATCH ? (uint32_t)left : BATCH))
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
	return -pthread_create(&traffic->thread, NULL, send_all, traffic);
}

void traffic_stop(struct traffic *traffic)
{
	traffic->stop = true;
	pthread_join(traffic->thread, NULL);
	/* the last frames are taken by a softirq of the CPU that sent them, before or soon after the call returns */
	usleep(50000);
}

bool traffic_runs(const struct traffic *traffic)
{
	return traffic->runs;
}
