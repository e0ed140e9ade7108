/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AMON_MEASURE_H
#define AMON_MEASURE_H

#include "compiler/arena.h"
#include "document.h"

/*
 * What a probe costs the packets of this machine: test runs of its program over packets that lie in memory, which go
 * through its hooks as in a replay, while the clock is read and rows lie as on an interface. What the feeder does for a
 * packet is in every run, and vanishes where two are subtracted. Rows stay where they are from run to run.
 */

struct amon_test_packet {
	struct amon_frame frame;
	const uint8_t *bytes; /* frame.captured of them */
};

struct amon_test_packets {
	struct amon_test_packet *packets;
	uint32_t count;
};

/** Of a capture so many packets are taken at most. */
#define AMON_TEST_PACKETS 65536

/**
 * The first packets of a capture, in the arena. 0; -ENODATA: it holds none; else as amon_capture_open() and
 * amon_capture_next().
 */
int amon_test_packets_read(struct amon_arena *arena, const char *path, struct amon_test_packets *packets,
                           struct amon_failure *failure);

/** What is measured: an object, or an empty program at each of its hooks. All borrowed. */
struct amon_subject {
	const void *object;
	size_t size;
	const struct amon_exports *exports;
	bool empty;
};

/** Nanoseconds a packet: the median of all rounds, and the quartiles. */
struct amon_cost {
	double median, low, high;
};

/**
 * What a packet costs more in one than in the other. The two take turns, so that what else the machine does is nearly
 * the same for both, and each round gives a difference; and both are loaded anew several times, since it matters
 * where a program and its maps happen to lie. 0, or as amon_probe_load() and amon_feeder_run().
 */
int amon_measure(const struct amon_subject *one, const struct amon_subject *other,
                 const struct amon_test_packets *packets, struct amon_cost *cost, struct amon_failure *failure);

/** In the C that is compiled for amon_measure_lookups(), ahead of all else. */
#define AMON_LOOKUPS_C                                                                                                 \
	"unsigned long long amon_lookups;\n"                                                                           \
	"#define bpf_map_lookup_elem(map, key) (amon_lookups++, bpf_map_lookup_elem(map, key))\n"
/** How often a packet asks a map, in the mean. 0 or -errno. */
int amon_measure_lookups(const struct amon_subject *subject, const struct amon_test_packets *packets, double *lookups,
                         struct amon_failure *failure);

/**
 * Runs the packets once: the instructions of the programs, behind the verifier, which takes out what is not reached;
 * and all that they have counted. 0 or -errno.
 */
int amon_measure_once(const struct amon_subject *subject, const struct amon_test_packets *packets,
                      uint32_t *instructions, struct amon_collected **collected, struct amon_failure *failure);

/** Bytes of one row of everything: the sections' records, each table's key and record, and what is remembered. */
uint32_t amon_row_bytes(const struct amon_exports *exports);

#endif
