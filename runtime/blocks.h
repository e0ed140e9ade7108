/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AMON_BLOCKS_H
#define AMON_BLOCKS_H

#include <stddef.h>
#include <stdio.h>

#include "direction.h"

/**
 * A capture on its way to libpcap, which does not tell the options of a packet. The bytes of a pcapng are handed to it
 * block by block, so that the packet that it gave last is in the block that it took last; of that, the direction is
 * noted. All else goes through as it comes.
 */
struct amon_blocks {
	FILE *file; /* the capture; the caller's */
	enum { AMON_BLOCKS_NEW, AMON_BLOCKS_PCAPNG, AMON_BLOCKS_OTHER } state;
	bool swapped;                  /* the section has the other byte order */
	enum amon_direction direction; /* of the packet in the last block */
	uint8_t *bytes;                /* what was read ahead: of a pcapng, one block */
	size_t capacity, at, end;
};

/** What libpcap has to read from, until `blocks` is freed; NULL, with errno. */
FILE *amon_blocks_stream(struct amon_blocks *blocks, FILE *file);
void amon_blocks_free(struct amon_blocks *blocks);

#endif
