/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AMON_REPLAY_H
#define AMON_REPLAY_H

#include "document.h"

/**
 * Runs a capture (pcap or pcapng, Ethernet) through a probe loaded with `replay`, every packet once through each
 * section: through its hook of the packet's direction where that is known, and not at all where it has none; else
 * through its first hook. One capture may hold packets of both kinds.
 *
 * The direction is known where the flags of a pcapng's packet tell it, or, for every packet, where addresses are named
 * as local. Then a packet goes out whose outermost IP source is local (direction.h), and any other comes in. One
 * without an IP source, such as ARP, goes as its flags say, and comes in where they say nothing.
 *
 * Packets lie in a mapped array; a feeder in the kernel sets each into the frame and tail-calls
 * the probe, so that one system call runs thousands. Frames may have 0 to 262,144 bytes: what a test run does not take
 * is padded or cut at AMON_REPLAY_FRAME, at every hook alike, and the program is told the true lengths.
 */
#define AMON_REPLAY_FRAME 16000

struct amon_replay_options {
	/* called for every window that holds a packet, in order; a non-zero return ends the replay with it */
	int (*window)(const struct amon_document *document, void *data);
	void *data;
	/* called now and then with the bytes read so far and the file's size (0: unknown); may be NULL */
	void (*progress)(uint64_t done, uint64_t total, void *data);
	const struct amon_prefix *local; /* addresses of this side */
	uint32_t local_count;            /* 0: the flags alone tell directions */
};

/**
 * Returns 0; -ENOENT …: the file cannot be read; -EINVAL: not a capture; -EPROTOTYPE: not Ethernet;
 * -EIO: the capture is cut in the middle of a packet (the packets before are counted, and the windows were given).
 */
int amon_replay(struct amon_loaded *loaded, const char *path, const struct amon_replay_options *options,
                struct amon_failure *failure);

#endif
