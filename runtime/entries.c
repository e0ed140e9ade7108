/* SPDX-License-Identifier: Apache-2.0 */
#include "entries.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cleanup.h"
#include "kernel.h"
#include "ring.h"

/* What old kernels say to batches; user space has no name for it. */
#define KERNEL_ENOTSUPP 524

/* Values of one batch, about: more saves no time. */
#define BATCH_BYTES (1u << 20)
#define BATCH_MIN   4u
#define BATCH_MAX   8192u
/* A cursor of the kernel's: 4 bytes for hashes, a key for others. */
#define CURSOR_MIN sizeof(uint32_t)

static size_t values_size(const struct amon_entries *entries)
{
	return (size_t)entries->cpus * entries->stride;
}

static uint64_t flags_of(const struct amon_entries *entries)
{
	return entries->locked ? BPF_F_LOCK : 0;
}

/* --- batches */

typedef int batch_call(int fd, void *in, void *out, void *keys, void *values, __u32 *count,
                       const struct bpf_map_batch_opts *options);

struct batch {
	uint32_t room, count;
	uint8_t *keys, *values;
	uint8_t *cursors[2]; /* where this call starts, and where the next one does */
	size_t cursor_size;
	bool started;
};

static int batch_room(const struct amon_entries *entries, struct batch *batch, uint32_t room)
{
	free(batch->keys);
	free(batch->values);
	batch->room = room;
	batch->keys = reallocarray(NULL, room, entries->key_size);
	batch->values = reallocarray(NULL, room, values_size(entries));
	return batch->keys && batch->values ? 0 : -ENOMEM;
}

static int batch_init(const struct amon_entries *entries, struct batch *batch)
{
	uint64_t room = BATCH_BYTES / values_size(entries);
	size_t cursor = entries->key_size < CURSOR_MIN ? CURSOR_MIN : entries->key_size;

	*batch = (struct batch){ .cursors = { malloc(cursor), malloc(cursor) }, .cursor_size = cursor };
	if (!batch->cursors[0] || !batch->cursors[1])
		return -ENOMEM;
	return batch_room(entries, batch, room < BATCH_MIN ? BATCH_MIN : room > BATCH_MAX ? BATCH_MAX : (uint32_t)room);
}

static void batch_free(struct batch *batch)
{
	free(batch->keys);
	free(batch->values);
	free(batch->cursors[0]);
	free(batch->cursors[1]);
}

static int visit_batch(const struct amon_entries *entries, const struct batch *batch, amon_visit_entry *visit,
                       void *data)
{
	int error = 0;

	for (uint32_t i = 0; visit && !error && i < batch->count; i++)
		error = visit(entries, batch->keys + (size_t)i * entries->key_size,
		              batch->values + i * values_size(entries), data);
	return error;
}

/* More to come: EINTR says that entries went while they were looked for, behind those that it gives. */
static bool goes_on(int error)
{
	return !error || error == -EINTR;
}

/*
 * One call. The kernel takes whole buckets of its hash: ENOSPC says that one alone is larger than the batch (nothing
 * was taken, and the cursor stays), ENOENT that this was the last batch, which may hold entries all the same.
 */
static int batch_next(const struct amon_entries *entries, struct batch *batch, batch_call *call)
{
	LIBBPF_OPTS(bpf_map_batch_opts, options, .elem_flags = flags_of(entries));
	int error;

	for (;;) {
		batch->count = batch->room;
		error = call(entries->fd, batch->started ? batch->cursors[0] : NULL, batch->cursors[1], batch->keys,
		             batch->values, &batch->count, &options);
		if (error != -ENOSPC)
			break;
		error = batch_room(entries, batch, 2 * batch->room);
		if (error)
			break;
	}
	if (goes_on(error) && batch->count) {
		batch->started = true;
		memcpy(batch->cursors[0], batch->cursors[1], batch->cursor_size);
	}
	return error;
}

/** Called for each batch before its entries are visited; it may also end with an error. */
typedef int after_batch(const struct amon_entries *entries, struct batch *batch);

static int run_batches(const struct amon_entries *entries, batch_call *call, after_batch *after,
                       amon_visit_entry *visit, void *data)
{
	struct batch batch = { 0 };
	int error = amon_kernel_lacks(AMON_CAN_BATCH) ? -EOPNOTSUPP : batch_init(entries, &batch);

	while (goes_on(error)) {
		error = batch_next(entries, &batch, call);
		if (goes_on(error) || error == -ENOENT) {
			int stop = after && batch.count ? after(entries, &batch) : 0;

			if (!stop)
				stop = visit_batch(entries, &batch, visit, data);
			error = stop ? stop : error;
		}
	}
	batch_free(&batch);
	return error == -ENOENT ? 0 : error;
}

/* Only a first call can say so, before anything was visited. */
static bool has_no_batches(int error)
{
	return error == -EINVAL || error == -KERNEL_ENOTSUPP || error == -EOPNOTSUPP;
}

/* --- hashes and tries, one by one */

struct list {
	uint8_t *bytes;
	uint64_t count, room;
	uint32_t size;
};

static int add_item(struct list *list, const void *item)
{
	if (list->count == list->room) {
		uint64_t room = list->room ? 2 * list->room : 64;
		uint8_t *larger = reallocarray(list->bytes, room, list->size);

		if (!larger)
			return -ENOMEM;
		list->bytes = larger;
		list->room = room;
	}
	memcpy(list->bytes + list->count++ * list->size, item, list->size);
	return 0;
}

static int compare_keys(const void *a, const void *b, void *size)
{
	return memcmp(a, b, *(const uint32_t *)size);
}

static void drop_repeated(struct list *keys)
{
	uint64_t last = 0;

	if (!keys->count)
		return;
	qsort_r(keys->bytes, keys->count, keys->size, compare_keys, &keys->size);
	for (uint64_t i = 1; i < keys->count; i++)
		if (memcmp(keys->bytes + last * keys->size, keys->bytes + i * keys->size, keys->size))
			memmove(keys->bytes + ++last * keys->size, keys->bytes + i * keys->size, keys->size);
	keys->count = last + 1;
}

/*
 * Where the key that stood last is gone, the kernel starts anew, so that keys may come again. It may do so for as long
 * as others take entries out; nobody waits for that.
 */
static int list_keys(const struct amon_entries *entries, struct list *keys)
{
	AMON_FREES uint8_t *next = malloc(entries->key_size);
	int error = next ? bpf_map_get_next_key(entries->fd, NULL, next) : -ENOMEM;

	*keys = (struct list){ .size = entries->key_size };
	while (!error && keys->count < 4 * (uint64_t)entries->most) {
		error = add_item(keys, next);
		if (!error)
			error = bpf_map_get_next_key(entries->fd, keys->bytes + (keys->count - 1) * keys->size, next);
	}
	drop_repeated(keys);
	return error == -ENOENT ? 0 : error;
}

typedef int entry_call(int fd, const void *key, void *values, __u64 flags);

/* An entry that is gone since its key was asked for is none. */
static int visit_keys(const struct amon_entries *entries, entry_call *call, amon_visit_entry *visit, void *data)
{
	AMON_FREES uint8_t *values = calloc(1, values_size(entries));
	struct list keys = { 0 };
	int error = values ? list_keys(entries, &keys) : -ENOMEM;

	for (uint64_t i = 0; i < keys.count && !error; i++) {
		const uint8_t *key = keys.bytes + i * keys.size;

		error = call(entries->fd, key, values, flags_of(entries));
		if (!error && visit)
			error = visit(entries, key, values, data);
		else if (error == -ENOENT)
			error = 0;
	}
	free(keys.bytes);
	return error;
}

/* --- hashes */

static int read_hash(const struct amon_entries *entries, amon_visit_entry *visit, void *data)
{
	int error = run_batches(entries, bpf_map_lookup_batch, NULL, visit, data);

	return has_no_batches(error) ? visit_keys(entries, bpf_map_lookup_elem_flags, visit, data) : error;
}

static int take_hash(const struct amon_entries *entries, amon_visit_entry *visit, void *data)
{
	int error = run_batches(entries, bpf_map_lookup_and_delete_batch, NULL, visit, data);

	return has_no_batches(error) ? visit_keys(entries, bpf_map_lookup_and_delete_elem_flags, visit, data) : error;
}

static int reset_hash(const struct amon_entries *entries)
{
	return take_hash(entries, NULL, NULL);
}

/* --- tries: they have no call that takes, and what is looked for is gone where the batch before was deleted */

static int look_and_delete(int fd, const void *key, void *values, __u64 flags)
{
	int error = bpf_map_lookup_elem_flags(fd, key, values, flags);

	return error ? error : bpf_map_delete_elem(fd, key);
}

/* The kernel stops at a key that others deleted since it was read. */
static int delete_batch(const struct amon_entries *entries, struct batch *batch)
{
	uint32_t done = 0;

	while (done < batch->count) {
		uint32_t count = batch->count - done;
		int error =
		        bpf_map_delete_batch(entries->fd, batch->keys + (size_t)done * entries->key_size, &count, NULL);

		if (error && error != -ENOENT)
			return error;
		done += count + !!error;
	}
	batch->started = false;
	return 0;
}

static int take_trie(const struct amon_entries *entries, amon_visit_entry *visit, void *data)
{
	int error = run_batches(entries, bpf_map_lookup_batch, delete_batch, visit, data);

	return has_no_batches(error) ? visit_keys(entries, look_and_delete, visit, data) : error;
}

static int reset_trie(const struct amon_entries *entries)
{
	return take_trie(entries, NULL, NULL);
}

/* --- arrays: all their entries are always there */

static size_t mapped_size(const struct amon_entries *entries)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	return (values_size(entries) * entries->most + page - 1) & ~(page - 1);
}

/* Whole words of a value, as programs that add atomically see them; it is as long as its stride. */
static void exchange(uint64_t *memory, uint64_t *values, size_t size)
{
	for (size_t i = 0; i < size / sizeof(*memory); i++)
		values[i] = __atomic_exchange_n(&memory[i], 0, __ATOMIC_RELAXED);
}

static int visit_mapped(const struct amon_entries *entries, uint8_t *memory, bool takes, amon_visit_entry *visit,
                        void *data)
{
	size_t size = values_size(entries);
	AMON_FREES void *values = malloc(size);
	int error = values ? 0 : -ENOMEM;

	for (uint32_t i = 0; i < entries->most && !error; i++) {
		uint8_t *at = memory + i * size;

		if (takes)
			exchange((uint64_t *)(void *)at, values, size);
		else
			memcpy(values, at, size);
		error = visit ? visit(entries, &i, values, data) : 0;
	}
	return error;
}

static int run_mapped(const struct amon_entries *entries, bool takes, amon_visit_entry *visit, void *data)
{
	size_t size = mapped_size(entries);
	uint8_t *memory = mmap(NULL, size, takes ? PROT_READ | PROT_WRITE : PROT_READ, MAP_SHARED, entries->fd, 0);
	int error;

	if (memory == MAP_FAILED)
		return -errno;
	error = visit_mapped(entries, memory, takes, visit, data);
	munmap(memory, size);
	return error;
}

static int visit_indices(const struct amon_entries *entries, entry_call *call, amon_visit_entry *visit, void *data)
{
	AMON_FREES uint8_t *values = calloc(1, values_size(entries));
	int error = values ? 0 : -ENOMEM;

	for (uint32_t i = 0; i < entries->most && !error; i++) {
		error = call(entries->fd, &i, values, flags_of(entries));
		if (!error && visit)
			error = visit(entries, &i, values, data);
	}
	return error;
}

static int read_array(const struct amon_entries *entries, amon_visit_entry *visit, void *data)
{
	int error;

	if (entries->mapped)
		return run_mapped(entries, false, visit, data);
	error = entries->most == 1 ? -EOPNOTSUPP : run_batches(entries, bpf_map_lookup_batch, NULL, visit, data);
	return has_no_batches(error) ? visit_indices(entries, bpf_map_lookup_elem_flags, visit, data) : error;
}

/* Zeros in their place. */
static int clear_index(int fd, const void *key, void *zeros, __u64 flags)
{
	return bpf_map_update_elem(fd, key, zeros, flags);
}

static int clear_entry(const struct amon_entries *entries, const void *key)
{
	AMON_FREES void *zeros = calloc(1, values_size(entries));

	return zeros ? clear_index(entries->fd, key, zeros, flags_of(entries)) : -ENOMEM;
}

/* The keys of a batch, all with zeros. */
static int clear_batch(const struct amon_entries *entries, struct batch *batch)
{
	LIBBPF_OPTS(bpf_map_batch_opts, options, .elem_flags = flags_of(entries));
	AMON_FREES void *zeros = calloc(batch->count, values_size(entries));
	uint32_t count = batch->count;

	return zeros ? bpf_map_update_batch(entries->fd, batch->keys, zeros, &count, &options) : -ENOMEM;
}

struct taking {
	amon_visit_entry *visit;
	void *data;
};

/* One by one: visited with what it had, and cleared before the next is looked at. */
static int visit_taken(const struct amon_entries *entries, const void *key, const void *values, void *data)
{
	const struct taking *taking = data;
	int error = clear_entry(entries, key);

	return error ? error : taking->visit(entries, key, values, taking->data);
}

static int take_array(const struct amon_entries *entries, amon_visit_entry *visit, void *data)
{
	struct taking taking = { visit, data };
	int error;

	if (entries->mapped)
		return run_mapped(entries, true, visit, data);
	error = entries->most == 1 ? -EOPNOTSUPP : run_batches(entries, bpf_map_lookup_batch, clear_batch, visit, data);
	return has_no_batches(error) ? visit_indices(entries, bpf_map_lookup_elem_flags, visit_taken, &taking) : error;
}

static int reset_array(const struct amon_entries *entries)
{
	int error;

	if (entries->mapped)
		return run_mapped(entries, true, NULL, NULL);
	error = entries->most == 1 ? -EOPNOTSUPP : run_batches(entries, bpf_map_lookup_batch, clear_batch, NULL, NULL);
	return has_no_batches(error) ? visit_indices(entries, clear_index, NULL, NULL) : error;
}

/* --- queues and stacks: nothing can be seen of them but what is popped */

/* No more than it can hold, so that this ends, whoever pushes meanwhile. */
static int pop_all(const struct amon_entries *entries, struct list *popped)
{
	AMON_FREES uint8_t *value = malloc(entries->value_size);
	int error = value ? 0 : -ENOMEM;

	*popped = (struct list){ .size = entries->value_size };
	while (!error && popped->count < entries->most) {
		error = bpf_map_lookup_and_delete_elem(entries->fd, NULL, value);
		if (!error)
			error = add_item(popped, value);
	}
	return error == -ENOENT ? 0 : error;
}

static int push(const struct amon_entries *entries, const struct list *popped, uint64_t index)
{
	return bpf_map_update_elem(entries->fd, NULL, popped->bytes + index * popped->size, BPF_ANY);
}

static int push_queue(const struct amon_entries *entries, const struct list *popped)
{
	int error = 0;

	for (uint64_t i = 0; i < popped->count && !error; i++)
		error = push(entries, popped, i);
	return error;
}

/* The one popped last was pushed first. */
static int push_stack(const struct amon_entries *entries, const struct list *popped)
{
	int error = 0;

	for (uint64_t i = popped->count; i-- > 0 && !error;)
		error = push(entries, popped, i);
	return error;
}

static int visit_popped(const struct amon_entries *entries, const struct list *popped, amon_visit_entry *visit,
                        void *data)
{
	int error = 0;

	for (uint64_t i = 0; i < popped->count && !error; i++)
		error = visit(entries, NULL, popped->bytes + i * popped->size, data);
	return error;
}

static int read_popped(const struct amon_entries *entries,
                       int (*push_back)(const struct amon_entries *entries, const struct list *popped),
                       amon_visit_entry *visit, void *data)
{
	struct list popped;
	int error = pop_all(entries, &popped), pushed = push_back(entries, &popped);

	if (!error)
		error = pushed ? pushed : visit_popped(entries, &popped, visit, data);
	free(popped.bytes);
	return error;
}

static int read_queue(const struct amon_entries *entries, amon_visit_entry *visit, void *data)
{
	return read_popped(entries, push_queue, visit, data);
}

static int read_stack(const struct amon_entries *entries, amon_visit_entry *visit, void *data)
{
	return read_popped(entries, push_stack, visit, data);
}

static int take_popped(const struct amon_entries *entries, amon_visit_entry *visit, void *data)
{
	struct list popped;
	int error = pop_all(entries, &popped);

	if (!error && visit)
		error = visit_popped(entries, &popped, visit, data);
	free(popped.bytes);
	return error;
}

static int reset_popped(const struct amon_entries *entries)
{
	return take_popped(entries, NULL, NULL);
}

/* --- rings: read without taking, until a reset says that it was done with */

struct ring_reading {
	const struct amon_entries *entries;
	amon_visit_entry *visit;
	void *data;
};

static int visit_record(const void *record, uint32_t length, void *data)
{
	const struct ring_reading *reading = data;

	if (length != reading->entries->value_size)
		return -EINVAL;
	return reading->visit(reading->entries, NULL, record, reading->data);
}

static int read_ring(const struct amon_entries *entries, amon_visit_entry *visit, void *data)
{
	struct ring_reading reading = { entries, visit, data };

	return amon_ring_read(entries->fd, entries->most, visit_record, &reading, entries->ring_to);
}

static int reset_ring(const struct amon_entries *entries)
{
	if (*entries->ring_to == AMON_RING_UNREAD)
		return amon_ring_take_all(entries->fd);
	return amon_ring_take(entries->fd, *entries->ring_to);
}

static const struct amon_entry_kind kinds[] = {
	{ BPF_MAP_TYPE_ARRAY, AMON_MAP_ARRAY, false, read_array, take_array, reset_array },
	{ BPF_MAP_TYPE_PERCPU_ARRAY, AMON_MAP_PERCPU_ARRAY, true, read_array, take_array, reset_array },
	{ BPF_MAP_TYPE_HASH, AMON_MAP_HASH, false, read_hash, take_hash, reset_hash },
	{ BPF_MAP_TYPE_PERCPU_HASH, AMON_MAP_PERCPU_HASH, true, read_hash, take_hash, reset_hash },
	{ BPF_MAP_TYPE_LRU_HASH, AMON_MAP_LRU_HASH, false, read_hash, take_hash, reset_hash },
	{ BPF_MAP_TYPE_LRU_PERCPU_HASH, AMON_MAP_LRU_PERCPU_HASH, true, read_hash, take_hash, reset_hash },
	{ BPF_MAP_TYPE_LPM_TRIE, AMON_MAP_LPM_TRIE, false, read_hash, take_trie, reset_trie },
	{ BPF_MAP_TYPE_QUEUE, AMON_MAP_QUEUE, false, read_queue, take_popped, reset_popped },
	{ BPF_MAP_TYPE_STACK, AMON_MAP_STACK, false, read_stack, take_popped, reset_popped },
	{ BPF_MAP_TYPE_RINGBUF, AMON_MAP_RINGBUF, false, read_ring, NULL, reset_ring },
};

static const struct amon_entry_kind *kind_of(uint32_t type)
{
	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
		if (kinds[i].type == type)
			return &kinds[i];
	return NULL;
}

enum amon_map_kind amon_entries_kind(uint32_t type)
{
	const struct amon_entry_kind *kind = kind_of(type);

	return kind ? kind->kind : AMON_MAP_KINDS;
}

/* Of a ring the kernel knows no size but its own. */
static bool has_sizes(const struct bpf_map_info *info, uint32_t key_size, uint32_t value_size)
{
	return info->type == BPF_MAP_TYPE_RINGBUF || (info->key_size == key_size && info->value_size == value_size);
}

int amon_entries_open(int fd, uint32_t key_size, uint32_t value_size, struct amon_entries *entries)
{
	struct bpf_map_info info = { 0 };
	__u32 length = sizeof(info);
	int cpus = libbpf_num_possible_cpus();
	const struct amon_entry_kind *kind;

	if (cpus < 1 || bpf_obj_get_info_by_fd(fd, &info, &length))
		return -EINVAL;
	kind = kind_of(info.type);
	if (!kind || !has_sizes(&info, key_size, value_size))
		return -EINVAL;
	*entries = (struct amon_entries){
		.fd = fd,
		.key_size = key_size,
		.value_size = value_size,
		.most = info.max_entries,
		.cpus = kind->percpu ? (uint32_t)cpus : 1,
		.mapped = info.type == BPF_MAP_TYPE_ARRAY && info.map_flags & BPF_F_MMAPABLE,
		.kind = kind,
	};
	/* of mapped memory, values lie as far apart as of per-CPU maps */
	entries->stride = kind->percpu || entries->mapped ? (value_size + 7) & ~7u : value_size;
	return 0;
}

int amon_entries_read(const struct amon_entries *entries, amon_visit_entry *visit, void *data)
{
	return entries->kind->read(entries, visit, data);
}

int amon_entries_take(const struct amon_entries *entries, amon_visit_entry *visit, void *data)
{
	return (entries->kind->take ? entries->kind->take : entries->kind->read)(entries, visit, data);
}

int amon_entries_reset(const struct amon_entries *entries)
{
	return entries->kind->reset(entries);
}
