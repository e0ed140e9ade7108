/* SPDX-License-Identifier: Apache-2.0 */
#include "ring.h"

#include <errno.h>
#include <linux/bpf.h>
#include <sys/mman.h>
#include <unistd.h>

/*
 * The layout is the kernel's (kernel/bpf/ringbuf.c): a page with the consumer's position, one with the producer's, and
 * the data twice in a row, so that no event is ever cut. Before each event stands its length, whose two highest bits
 * say that it is still being written, or was given up.
 */

static size_t page_size(void)
{
	return (size_t)sysconf(_SC_PAGESIZE);
}

/* Events up to the first that is not whole. */
static int visit_events(const uint8_t *data, uint32_t size, uint64_t end, uint64_t *at,
                        int (*visit)(const void *event, uint32_t length, void *data), void *context)
{
	int error = 0;

	while (*at < end && !error) {
		const uint32_t *header = (const void *)(data + (*at & (size - 1)));
		uint32_t length = __atomic_load_n(header, __ATOMIC_ACQUIRE);

		if (length & BPF_RINGBUF_BUSY_BIT)
			break;
		if (!(length & BPF_RINGBUF_DISCARD_BIT))
			error = visit((const uint8_t *)header + BPF_RINGBUF_HDR_SZ, length, context);
		length &= ~BPF_RINGBUF_DISCARD_BIT;
		*at += (length + BPF_RINGBUF_HDR_SZ + 7) & ~7U;
	}
	return error;
}

int amon_ring_read(int map, uint32_t size, int (*visit)(const void *event, uint32_t length, void *data), void *context,
                   uint64_t *to)
{
	size_t page = page_size(), length = page + 2 * (size_t)size;
	const uint64_t *consumer = mmap(NULL, page, PROT_READ, MAP_SHARED, map, 0);
	const uint8_t *producer = mmap(NULL, length, PROT_READ, MAP_SHARED, map, (off_t)page);
	int error = 0;

	if (consumer == MAP_FAILED || producer == MAP_FAILED)
		error = -errno;
	if (!error) {
		*to = *consumer;
		error = visit_events(producer + page, size,
		                     __atomic_load_n((const uint64_t *)(const void *)producer, __ATOMIC_ACQUIRE), to,
		                     visit, context);
	}
	if (consumer != MAP_FAILED)
		munmap((void *)consumer, page);
	if (producer != MAP_FAILED)
		munmap((void *)producer, length);
	return error;
}

int amon_ring_take(int map, uint64_t to)
{
	size_t page = page_size();
	uint64_t *consumer = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_SHARED, map, 0);

	if (consumer == MAP_FAILED)
		return -errno;
	__atomic_store_n(consumer, to, __ATOMIC_RELEASE);
	munmap(consumer, page);
	return 0;
}

int amon_ring_take_all(int map)
{
	size_t page = page_size();
	const uint64_t *producer = mmap(NULL, page, PROT_READ, MAP_SHARED, map, (off_t)page);
	uint64_t to;

	if (producer == MAP_FAILED)
		return -errno;
	to = *producer;
	munmap((void *)producer, page);
	return amon_ring_take(map, to);
}
