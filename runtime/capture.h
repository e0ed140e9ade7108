/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AMON_CAPTURE_H
#define AMON_CAPTURE_H

#include <stdint.h>

#include "direction.h"
#include "failure.h"

/** A capture file of Ethernet packets, pcap or pcapng, read from its start to its end. */
struct amon_capture;

struct amon_capture_packet {
	uint64_t time;                 /* nanoseconds since 1970 */
	uint32_t length, captured;     /* on the wire; bytes that follow */
	const uint8_t *bytes;          /* until the next packet is read */
	enum amon_direction direction; /* as the flags of a pcapng say */
};

/**
 * Opens one; `-` is standard input. Returns 0; -ENOENT …: the file cannot be read; -EINVAL: not a capture;
 * -EPROTOTYPE: not Ethernet.
 */
int amon_capture_open(const char *path, struct amon_capture **capture, struct amon_failure *failure);
void amon_capture_close(struct amon_capture *capture);
static inline void amon_capture_cleanup(struct amon_capture **capture)
{
	amon_capture_close(*capture);
}

/** Returns 1: a packet; 0: the end; -EIO: the file is cut or damaged behind the packets so far. */
int amon_capture_next(struct amon_capture *capture, struct amon_capture_packet *packet, struct amon_failure *failure);

/** Bytes read so far, and of the whole file: 0 where nobody knows (a pipe). */
uint64_t amon_capture_done(const struct amon_capture *capture);
uint64_t amon_capture_total(const struct amon_capture *capture);

#endif
