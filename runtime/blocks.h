/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AMON_BLOCKS_H
#define AMON_BLOCKS_H

#include <stddef.h>
#include <stdio.h>

#include "direction.h"

/**
 * A pcapng on its way to libpcap, which does not tell the options of a packet. It is handed over block by block, so
 * that the packet that libpcap gave last is in the block that it took last; of that, the direction is noted.
 */
struct amon_blocks {
	FILE *file;                    /* the capture; the caller's */
	bool swapped;                  /* the section has the other byte order */
	bool broken;                   /* no blocks any more: libpcap gets the bytes as they come, and refuses them */
	enum amon_direction direction; /* of the packet in the last block */
	uint8_t *bytes;                /* the last block */
	size_t capacity, at, end;
};

/**
 * What libpcap has to read from, until `blocks` is freed: of any capture but a pcapng, the file itself. NULL, with
 * errno.
 */
FILE *amon_blocks_stream(struct amon_blocks *blocks, FILE *file);
void amon_blocks_free(struct amon_blocks *blocks);

#endif
