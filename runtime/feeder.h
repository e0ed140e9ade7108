/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AMON_FEEDER_H
#define AMON_FEEDER_H

#include "probe.h"

/**
 * Packets into a loaded probe, by the thousand: they gather in memory that the feeder's programs see, and one test run
 * for each hook in use runs all that go through it (bpf/feed.bpf.c): a packet whose direction is known goes through the
 * hooks of that direction, another through those that are the first of a section. A section that remembers packets
 * sees them in the order in which they were added. A signal breaks a test run between two packets; it is taken up again
 * there, and the counts are compared at the end.
 */
struct amon_feeder;

int amon_feeder_open(const struct amon_loaded *loaded, struct amon_feeder **feeder, struct amon_failure *failure);
void amon_feeder_close(struct amon_feeder *feeder);
static inline void amon_feeder_cleanup(struct amon_feeder **feeder)
{
	amon_feeder_close(*feeder);
}

/** Takes a packet into the batch (bytes behind AMON_REPLAY_FRAME are left out). False: run the batch first. */
bool amon_feeder_add(struct amon_feeder *feeder, const struct amon_frame *frame, const uint8_t *bytes);

/** Runs the batch through the hooks and empties it. 0, or -errno of the kernel. */
int amon_feeder_run(struct amon_feeder *feeder, struct amon_failure *failure);

/** Nanoseconds that test runs have taken so far, what the feeder does for each packet included. */
uint64_t amon_feeder_spent(const struct amon_feeder *feeder);
/** From here on packets go through an empty program instead of the probe, or no longer. 0 or -errno. */
int amon_feeder_set_empty(struct amon_feeder *feeder, bool empty);

#endif
