// SPDX-License-Identifier: Apache-2.0
#include "blocks.h"

#include <stdlib.h>
#include <string.h>
#include <sys/param.h>

#define SECTION_HEADER  0x0a0d0d0a
#define ORDER_MAGIC     0x1a2b3c4d
#define OLD_PACKET      2
#define ENHANCED_PACKET 6
#define FLAGS_OPTION    2 /* of both kinds of packets, as is the place of all that is read here */

#define HEAD  12                 /* type, length, and what tells a section's byte order: no block is shorter */
#define LARGE (16 * 1024 * 1024) /* libpcap refuses larger blocks */

static uint32_t word(const struct amon_blocks *blocks, const uint8_t *bytes)
{
	uint32_t value;

	memcpy(&value, bytes, sizeof(value));
	return blocks->swapped ? __builtin_bswap32(value) : value;
}

static uint16_t half(const struct amon_blocks *blocks, const uint8_t *bytes)
{
	uint16_t value;

	memcpy(&value, bytes, sizeof(value));
	return blocks->swapped ? __builtin_bswap16(value) : value;
}

static uint64_t padded(uint64_t size)
{
	return (size + 3) & ~3ULL;
}

/** The direction in the flags of a packet's options. Lengths may say anything: the block ends at `size`. */
static enum amon_direction find_direction(const struct amon_blocks *blocks, uint32_t size)
{
	static const enum amon_direction directions[4] = { [1] = AMON_DIRECTION_INGRESS, [2] = AMON_DIRECTION_EGRESS };
	const uint8_t *body = blocks->bytes + 8;
	uint32_t type = word(blocks, blocks->bytes), end = size - HEAD;
	uint64_t at = 20;

	if ((type != ENHANCED_PACKET && type != OLD_PACKET) || end < at)
		return AMON_DIRECTION_UNKNOWN;
	at += padded(word(blocks, body + 12)); /* the packet's bytes */
	while (at + 8 <= end) {                /* an option: code, length, value */
		uint16_t code = half(blocks, body + at), length = half(blocks, body + at + 2);

		if (code == FLAGS_OPTION && length == 4)
			return directions[word(blocks, body + at + 4) & 3];
		if (code == 0)
			break;
		at += 4 + padded(length);
	}
	return AMON_DIRECTION_UNKNOWN;
}

static bool reserve(struct amon_blocks *blocks, size_t size)
{
	size_t capacity = MAX(size, 2 * blocks->capacity);
	uint8_t *bytes;

	if (size <= blocks->capacity)
		return true;
	bytes = realloc(blocks->bytes, capacity);
	if (!bytes)
		return false;
	blocks->bytes = bytes;
	blocks->capacity = capacity;
	return true;
}

/** Reads ahead until `size` bytes are there; false where the file has no more. */
static bool read_ahead(struct amon_blocks *blocks, size_t size)
{
	blocks->end += fread(blocks->bytes + blocks->end, 1, size - blocks->end, blocks->file);
	return blocks->end == size;
}

/** A section's header, whose type is the same in both byte orders, tells the order of all behind it. */
static void learn_order(struct amon_blocks *blocks)
{
	uint32_t order;

	memcpy(&order, blocks->bytes + 8, sizeof(order));
	if (word(blocks, blocks->bytes) == SECTION_HEADER)
		blocks->swapped = order != ORDER_MAGIC;
}

/** Reads the next block, or what is there of it. */
static void read_block(struct amon_blocks *blocks)
{
	uint32_t size;

	blocks->at = blocks->end = 0;
	blocks->direction = AMON_DIRECTION_UNKNOWN;
	blocks->broken = !reserve(blocks, HEAD);
	if (blocks->broken || !read_ahead(blocks, HEAD))
		return;
	learn_order(blocks);
	size = word(blocks, blocks->bytes + 4);
	blocks->broken = size < HEAD || size > LARGE || !reserve(blocks, size);
	if (!blocks->broken && read_ahead(blocks, size))
		blocks->direction = find_direction(blocks, size);
}

/** Gives some of one block, never of two: the stream's buffer then holds no more than the block that libpcap reads. */
static ssize_t stream_read(void *cookie, char *to, size_t size)
{
	struct amon_blocks *blocks = cookie;

	if (blocks->at == blocks->end && !blocks->broken)
		read_block(blocks);
	if (blocks->at < blocks->end) {
		size = MIN(size, blocks->end - blocks->at);
		memcpy(to, blocks->bytes + blocks->at, size);
		blocks->at += size;
		return size;
	}
	size = blocks->broken ? fread(to, 1, size, blocks->file) : 0;
	return !size && ferror(blocks->file) ? -1 : (ssize_t)size;
}

/** No other capture begins with the first byte of a section's header. */
static bool is_pcapng(FILE *file)
{
	int first = getc(file);

	return ungetc(first, file) == (SECTION_HEADER & 0xff);
}

FILE *amon_blocks_stream(struct amon_blocks *blocks, FILE *file)
{
	if (!is_pcapng(file))
		return file;
	blocks->file = file;
	return fopencookie(blocks, "r", (cookie_io_functions_t){ .read = stream_read });
}

void amon_blocks_free(struct amon_blocks *blocks)
{
	free(blocks->bytes);
}
