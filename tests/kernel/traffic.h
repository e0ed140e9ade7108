/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef AMON_TESTS_TRAFFIC_H
#define AMON_TESTS_TRAFFIC_H

#include <linux/types.h>

/* What the generator in the kernel (traffic.bpf.c) shares with whoever runs it. */
struct traffic_shared {
	__u64 sent, arrived, random;
	__u32 sessions, ifindex;
	__u32 id, paced;
	__u32 order; /* enum traffic_order */
};

/* Which session comes next. */
enum traffic_order {
	TRAFFIC_IN_TURN,
	TRAFFIC_SHUFFLED, /* any, alike */
	TRAFFIC_ZIPF,     /* the n-th has a share of 1/n: few have most packets, as on real links */
};

#define TRAFFIC_SHARES 65536
/* Packets that may be on their way: less than a queue of veth takes (256) by a batch of a test run (64). */
#define TRAFFIC_ROOM 128

#ifndef __bpf__
#include <stdbool.h>
#include <stdint.h>

/**
 * Packets at full speed: 60-byte TCP SYNs, sent from one CPU by BPF_PROG_RUN with live frames into an interface (the
 * peer of the one that is watched, which takes them where a program hangs on its XDP hook or GRO is on).
 */
struct traffic;

/** NULL where it cannot be had, with the reason on standard error. */
struct traffic *traffic_new(const char *interface, uint32_t sessions, enum traffic_order order);
void traffic_free(struct traffic *traffic);
/**
 * From here on no more is sent than has arrived at the peer's TC ingress, but for what its queue has room for: for
 * peers whose programs pass packets on. 0 or -errno.
 */
int traffic_pace(struct traffic *traffic, const char *peer);
/** Sends so many packets, on the CPU that the caller runs on. 0 or -errno. */
int traffic_send(struct traffic *traffic, uint32_t count);
/** How many it has sent since it was made. */
uint64_t traffic_sent(const struct traffic *traffic);
/** How many of one session: its packets come from 10.0.0.0 + session, port 1024 + session % 50000. */
uint64_t traffic_sent_of(const struct traffic *traffic, uint32_t session);
/** CPU time that sending has taken since traffic_start(), with all that was done there with what was sent. */
double traffic_seconds(const struct traffic *traffic);
/** Sends on a CPU of its own until it is stopped, or has sent so many (0: no end). 0 or -errno. */
int traffic_start(struct traffic *traffic, int cpu, uint64_t count);
/** Stops, and waits until the last packet has gone through. */
void traffic_stop(struct traffic *traffic);
/** Stops whatever of this process still sends: behind a test that failed, so that those after it are alone. */
void traffic_stop_all(void);
/** False once all were sent. */
bool traffic_runs(const struct traffic *traffic);

/** Sends what comes in at an interface out of it again, behind all that hangs on its TC hooks. 0 or -errno. */
int traffic_mirror(const char *interface);
#endif

#endif
