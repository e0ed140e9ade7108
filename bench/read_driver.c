/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Times reads and emptyings of maps for bench/read.py: reads lines "MAP WAY ENTRIES" and answers each with
 * milliseconds. Maps: hash, percpu-hash, array, percpu-array, mapped (an array in memory that user space has mapped).
 * Ways: each (a call an entry, two for a hash, which must be asked for the next key), batch, empty-each, empty-batch.
 * "call call N" times N system calls that do nothing.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

/* The record of a flow: packets, bytes, flags, first, last. */
#define VALUE_SIZE 48
#define KEY_SIZE   16
#define BATCH      8192u

struct map {
	int fd;
	uint32_t entries, key_size, value_size; /* the value on all CPUs */
	bool hash;
	uint8_t *memory; /* where it is mapped */
};

static void die(const char *what, int error)
{
	fprintf(stderr, "%s: %s\n", what, strerror(-error));
	exit(1);
}

/* Of the CPU: all that is measured is this thread's own work, and others may have the machine in between. */
static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
	return (double)time.tv_sec * 1e3 + (double)time.tv_nsec / 1e6;
}

static const struct kind {
	const char *name;
	enum bpf_map_type type;
	bool hash, per_cpu;
	uint32_t flags;
} kinds[] = {
	{ "hash", BPF_MAP_TYPE_HASH, true, false, 0 },
	{ "percpu-hash", BPF_MAP_TYPE_PERCPU_HASH, true, true, 0 },
	{ "array", BPF_MAP_TYPE_ARRAY, false, false, 0 },
	{ "percpu-array", BPF_MAP_TYPE_PERCPU_ARRAY, false, true, 0 },
	{ "mapped", BPF_MAP_TYPE_ARRAY, false, false, BPF_F_MMAPABLE },
};

static const struct kind *find_kind(const char *name)
{
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (!strcmp(kinds[i].name, name))
			return &kinds[i];
	fprintf(stderr, "no map %s\n", name);
	exit(1);
}

/* --- maps */

struct chunk {
	uint32_t count;
	uint8_t *keys, *values;
};

static struct chunk chunk_new(const struct map *map)
{
	return (struct chunk){ BATCH, calloc(BATCH, map->key_size), calloc(BATCH, map->value_size) };
}

static void chunk_free(struct chunk *chunk)
{
	free(chunk->keys);
	free(chunk->values);
}

/* Keys `from` up to the end of a chunk, as many as the map has. */
static void fill_keys(const struct map *map, struct chunk *chunk, uint32_t from)
{
	chunk->count = map->entries - from < BATCH ? map->entries - from : BATCH;
	for (uint32_t i = 0; i < chunk->count; i++) {
		uint32_t number = from + i;

		memcpy(chunk->keys + (size_t)i * map->key_size, &number, sizeof(number));
	}
}

/* Puts zeros under all keys. */
static void put_all(const struct map *map)
{
	struct chunk chunk = chunk_new(map);

	for (uint32_t at = 0; at < map->entries; at += chunk.count) {
		int error;

		fill_keys(map, &chunk, at);
		error = bpf_map_update_batch(map->fd, chunk.keys, chunk.values, &chunk.count, NULL);
		if (error)
			die("cannot fill", error);
	}
	chunk_free(&chunk);
}

static struct map make(const struct kind *kind, uint32_t entries)
{
	LIBBPF_OPTS(bpf_map_create_opts, options, .map_flags = kind->flags);
	uint32_t cpus = kind->per_cpu ? (uint32_t)libbpf_num_possible_cpus() : 1;
	struct map map = { .entries = entries,
		           .key_size = kind->hash ? KEY_SIZE : 4,
		           .value_size = VALUE_SIZE * cpus,
		           .hash = kind->hash };

	map.fd = bpf_map_create(kind->type, "bench", map.key_size, VALUE_SIZE, entries, &options);
	if (map.fd < 0)
		die("cannot make", map.fd);
	put_all(&map);
	if (!(kind->flags & BPF_F_MMAPABLE))
		return map;
	map.memory = mmap(NULL, (size_t)entries * VALUE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, map.fd, 0);
	if (map.memory == MAP_FAILED)
		die("cannot map", -errno);
	return map;
}

static void drop(struct map *map)
{
	if (map->memory)
		munmap(map->memory, (size_t)map->entries * VALUE_SIZE);
	close(map->fd);
}

/* --- ways; each has `to`, with room for all values */

static void check(uint32_t seen, const struct map *map)
{
	if (seen == map->entries)
		return;
	fprintf(stderr, "%u entries of %u\n", seen, map->entries);
	exit(1);
}

static void read_hash_each(const struct map *map, uint8_t *to)
{
	uint8_t key[KEY_SIZE], next[KEY_SIZE];
	uint32_t seen = 0;

	for (void *before = NULL; !bpf_map_get_next_key(map->fd, before, next); before = key, seen++) {
		memcpy(key, next, sizeof(key));
		bpf_map_lookup_elem(map->fd, key, to + (size_t)seen * map->value_size);
	}
	check(seen, map);
}

static void read_each(const struct map *map, uint8_t *to)
{
	if (map->hash) {
		read_hash_each(map, to);
		return;
	}
	for (uint32_t i = 0; i < map->entries; i++)
		bpf_map_lookup_elem(map->fd, &i, to + (size_t)i * map->value_size);
}

typedef int batch_call(int fd, void *in, void *out, void *keys, void *values, __u32 *count,
                       const struct bpf_map_batch_opts *options);

static void run_batches(const struct map *map, batch_call *call, uint8_t *to)
{
	uint8_t cursor[KEY_SIZE], *keys = malloc((size_t)BATCH * map->key_size);
	uint32_t seen = 0;
	int error = 0;

	for (void *in = NULL; !error; in = cursor) {
		uint32_t count = BATCH;

		error = call(map->fd, in, cursor, keys, to + (size_t)seen * map->value_size, &count, NULL);
		if (!error || error == -ENOENT)
			seen += count;
	}
	free(keys);
	if (error != -ENOENT)
		die("batch", error);
	check(seen, map);
}

static void read_batch(const struct map *map, uint8_t *to)
{
	run_batches(map, bpf_map_lookup_batch, to);
}

static void empty_each(const struct map *map, uint8_t *to)
{
	uint8_t key[KEY_SIZE], next[KEY_SIZE];
	int error;

	if (!map->hash) {
		for (uint32_t i = 0; i < map->entries; i++)
			bpf_map_update_elem(map->fd, &i, to, BPF_ANY);
		return;
	}
	/* the next key before this one goes, or each search would be from the start */
	for (error = bpf_map_get_next_key(map->fd, NULL, next); !error;) {
		memcpy(key, next, sizeof(key));
		error = bpf_map_get_next_key(map->fd, key, next);
		bpf_map_delete_elem(map->fd, key);
	}
}

static void empty_batch(const struct map *map, uint8_t *to)
{
	if (map->hash)
		run_batches(map, bpf_map_lookup_and_delete_batch, to);
	else
		put_all(map);
}

static void read_mapped(const struct map *map, uint8_t *to)
{
	memcpy(to, map->memory, (size_t)map->entries * VALUE_SIZE);
}

static void empty_mapped(const struct map *map, uint8_t *to)
{
	(void)to;
	memset(map->memory, 0, (size_t)map->entries * VALUE_SIZE);
}

static const struct way {
	const char *name;
	void (*run)(const struct map *map, uint8_t *to);
	bool mapped;
} ways[] = {
	{ "each", read_each, false },          { "batch", read_batch, false }, { "empty-each", empty_each, false },
	{ "empty-batch", empty_batch, false }, { "copy", read_mapped, true },  { "clear", empty_mapped, true },
};

static const struct way *find_way(const char *name, bool mapped)
{
	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++)
		if (!strcmp(ways[i].name, name) && ways[i].mapped == mapped)
			return &ways[i];
	fprintf(stderr, "no way %s\n", name);
	exit(1);
}

static double measure(const char *kind, const char *way_name, uint32_t entries)
{
	struct map map = make(find_kind(kind), entries);
	const struct way *way = find_way(way_name, map.memory != NULL);
	/* a batch that is the last may be as large as any; touched, so that no page is made while the clock runs */
	size_t room = ((size_t)entries + BATCH) * map.value_size;
	uint8_t *to = malloc(room);
	double start;

	memset(to, 0, room);
	start = now();
	way->run(&map, to);
	start = now() - start;
	free(to);
	drop(&map);
	return start;
}

static double measure_calls(uint32_t count)
{
	double start = now();

	for (uint32_t i = 0; i < count; i++)
		bpf_map_lookup_elem(-1, NULL, NULL);
	return now() - start;
}

int main(void)
{
	char kind[32], way[32];
	uint32_t entries;

	while (scanf("%31s %31s %u", kind, way, &entries) == 3) {
		printf("%.5f\n", strcmp(kind, "call") ? measure(kind, way, entries) : measure_calls(entries));
		fflush(stdout);
	}
	return 0;
}
