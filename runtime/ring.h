/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AMON_RING_H
#define AMON_RING_H

#include <stddef.h>
#include <stdint.h>

/*
 * A ring buffer of the kernel's, read without taking: what was read stays there until it is said to be done with, so
 * that a reader that dies loses nothing. (libbpf's own reader takes each event as it gives it.)
 */

/** In place of how far a ring was read: not at all. */
#define AMON_RING_UNREAD UINT64_MAX

/**
 * Calls `visit` for every event that is whole, in order, until one is not, or `visit` returns something else than 0.
 * `*to` is where the next reading goes on. `size` is the map's max_entries. 0, -errno, or what `visit` returned.
 */
int amon_ring_read(int map, uint32_t size, int (*visit)(const void *event, uint32_t length, void *data), void *data,
                   uint64_t *to);
/** Gives the room of all events before `to` back. 0 or -errno. */
int amon_ring_take(int map, uint64_t to);
/** The same of all events, where no program writes. */
int amon_ring_take_all(int map);

#endif
