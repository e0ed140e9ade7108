// SPDX-License-Identifier: Apache-2.0
#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "bpf/feed.h"
#include "feeder.h"
#include "listen.h"
#include "replay.h"

#define FRAME_MAP ".data.replay"

_Static_assert(AMON_FEED_FRAME == AMON_REPLAY_FRAME, "the feeder fills the frame");
_Static_assert((int)AMON_FEED_XDP == AMON_HOOK_XDP && (int)AMON_FEED_TC_INGRESS == AMON_HOOK_TC_INGRESS &&
                       (int)AMON_FEED_TC_EGRESS == AMON_HOOK_TC_EGRESS && (int)AMON_FEED_HOOKS == AMON_HOOK_COUNT,
               "the feeder's programs name the hooks");
_Static_assert(sizeof(struct amon_feed_frame) == sizeof(struct amon_frame) &&
                       offsetof(struct amon_feed_frame, length) == offsetof(struct amon_frame, length) &&
                       offsetof(struct amon_feed_frame, captured) == offsetof(struct amon_frame, captured) &&
                       offsetof(struct amon_feed_frame, direction) == offsetof(struct amon_frame, direction),
               "the feeder writes the probe's frame");

extern const uint8_t amon_bpf_feed[], amon_bpf_feed_end[];

/** The feeder on each hook. */
static const struct {
	const char *program, *slot, *empty;
	uint32_t size; /* of the frame that a test run is given; an skb takes no more than a page, and grows there */
	bool repeats;
} hooks[AMON_HOOK_COUNT] = {
	[AMON_HOOK_XDP] = { "feed_xdp", "slot_xdp", "empty_xdp", AMON_REPLAY_FRAME, false },
	[AMON_HOOK_TC_INGRESS] = { "feed_tc_ingress", "slot_tc_ingress", "empty_tc", 64, true },
	[AMON_HOOK_TC_EGRESS] = { "feed_tc_egress", "slot_tc_egress", "empty_tc", 64, true },
};

/** The packets of the batch that go through a hook. */
struct queue {
	uint32_t first; /* where it starts in the batch */
	uint32_t *last; /* where to write what comes behind the last */
	uint64_t count;
};

struct amon_feeder {
	struct bpf_object *object;
	bool uses[AMON_HOOK_COUNT];
	bool first[AMON_HOOK_COUNT]; /* of a section */
	bool ordered;           /* a section has several hooks: they are run in turns, or it would see another order */
	uint32_t direction;     /* where they are: of all packets in the batch */
	struct amon_feed *feed; /* mapped, shared with the kernel */
	size_t mapped;
	uint64_t used;                 /* bytes of the batch */
	uint64_t spent;                /* nanoseconds of test runs */
	int programs[AMON_HOOK_COUNT]; /* the probe's, borrowed */
	struct queue queues[AMON_HOOK_COUNT];
};

/** Where packets are remembered, or are rows themselves. */
static bool order_tells(const struct amon_export_section *section)
{
	bool tells = section->memory_count;

	for (uint32_t i = 0; i < section->table_count; i++)
		tells |= section->tables[i].events;
	return tells;
}

static int find_hooks_of(struct amon_feeder *feeder, const struct amon_loaded *loaded,
                         const struct amon_export_section *section, struct amon_failure *failure)
{
	for (uint32_t i = 0; i < section->hook_count; i++) {
		enum amon_hook_kind kind = amon_hook_in_use(loaded, &section->hooks[i]);

		if (loaded->clones[0].programs[kind] < 0)
			return amon_fail(failure, -EINVAL, "section %s: its program is not loaded", section->name);
		feeder->uses[kind] = true;
		feeder->first[kind] |= i == 0;
	}
	feeder->ordered |= section->hook_count > 1 && order_tells(section);
	return 0;
}

static int find_hooks(struct amon_feeder *feeder, const struct amon_loaded *loaded, struct amon_failure *failure)
{
	int error = 0;

	for (uint32_t i = 0; i < loaded->exports->section_count && !error; i++)
		error = find_hooks_of(feeder, loaded, &loaded->exports->sections[i], failure);
	return error;
}

/** True where the probe's map begins with struct amon_frame amon_frame. */
static bool begins_with_frame(const struct bpf_object *probe)
{
	const struct btf *btf = bpf_object__btf(probe);
	int id = btf ? btf__find_by_name_kind(btf, FRAME_MAP, BTF_KIND_DATASEC) : -ENOENT;
	const struct btf_type *section = id < 0 ? NULL : btf__type_by_id(btf, id);
	const struct btf_var_secinfo *first = section && btf_vlen(section) ? btf_var_secinfos(section) : NULL;

	return first && first->offset == 0 && first->size == sizeof(struct amon_frame) &&
	       strcmp(btf__name_by_offset(btf, btf__type_by_id(btf, first->type)->name_off), "amon_frame") == 0;
}

static int share_frame(struct amon_feeder *feeder, const struct amon_loaded *loaded)
{
	struct bpf_map *theirs = bpf_object__find_map_by_name(loaded->clones[0].object, FRAME_MAP);
	struct bpf_map *ours = bpf_object__find_map_by_name(feeder->object, FRAME_MAP);

	if (!loaded->replay || !theirs || !begins_with_frame(loaded->clones[0].object))
		return -EINVAL;
	return bpf_map__reuse_fd(ours, bpf_map__fd(theirs));
}

/** Some section runs a user's C. */
static bool has_users(const struct amon_exports *exports)
{
	for (uint32_t i = 0; i < exports->section_count; i++)
		if (exports->sections[i].runs_users)
			return true;
	return false;
}

static int set_exact(struct amon_feeder *feeder, bool exact)
{
	size_t size;
	bool *constants =
	        (bool *)bpf_map__initial_value(bpf_object__find_map_by_name(feeder->object, ".rodata"), &size);

	/* the first, and all others are zeros */
	if (!constants || !size)
		return -EINVAL;
	*constants = exact;
	return 0;
}

static int open_object(struct amon_feeder *feeder, const struct amon_loaded *loaded)
{
	LIBBPF_OPTS(bpf_object_open_opts, options, .object_name = "amon_feed");
	int error;

	feeder->object = bpf_object__open_mem(amon_bpf_feed, amon_bpf_feed_end - amon_bpf_feed, &options);
	if (!feeder->object)
		return -errno;
	error = share_frame(feeder, loaded);
	if (!error)
		error = set_exact(feeder, has_users(loaded->exports));
	for (int i = 0; i < AMON_HOOK_COUNT && !error; i++)
		error = bpf_program__set_autoload(bpf_object__find_program_by_name(feeder->object, hooks[i].program),
		                                  feeder->uses[i]);
	return error;
}

static int load(struct amon_feeder *feeder, const struct amon_loaded *loaded, struct amon_failure *failure)
{
	int error;

	amon_listen();
	error = open_object(feeder, loaded);
	if (!error)
		error = bpf_object__load(feeder->object);
	if (error && failure)
		failure->log = amon_heard_log();
	return error;
}

static int program_named(const struct amon_feeder *feeder, const char *name)
{
	return bpf_program__fd(bpf_object__find_program_by_name(feeder->object, name));
}

int amon_feeder_set_empty(struct amon_feeder *feeder, bool empty)
{
	int error = 0;

	for (int i = 0; i < AMON_HOOK_COUNT && !error; i++) {
		const struct bpf_map *slot = bpf_object__find_map_by_name(feeder->object, hooks[i].slot);
		int program = empty ? program_named(feeder, hooks[i].empty) : feeder->programs[i];
		uint32_t key = 0;

		if (feeder->uses[i])
			error = bpf_map_update_elem(bpf_map__fd(slot), &key, &program, BPF_ANY);
	}
	return error;
}

static int map_feed(struct amon_feeder *feeder)
{
	const struct bpf_map *map = bpf_object__find_map_by_name(feeder->object, ".bss");
	size_t page = sysconf(_SC_PAGESIZE);
	void *memory;

	feeder->mapped = (sizeof(*feeder->feed) + page - 1) & ~(page - 1);
	memory = mmap(NULL, feeder->mapped, PROT_READ | PROT_WRITE, MAP_SHARED, bpf_map__fd(map), 0);
	if (memory == MAP_FAILED)
		return -errno;
	feeder->feed = memory;
	return 0;
}

static void empty(struct amon_feeder *feeder)
{
	feeder->used = 0;
	for (int i = 0; i < AMON_HOOK_COUNT; i++)
		feeder->queues[i] = (struct queue){ AMON_FEED_NONE, &feeder->queues[i].first, 0 };
}

int amon_feeder_open(const struct amon_loaded *loaded, struct amon_feeder **result, struct amon_failure *failure)
{
	__attribute__((cleanup(amon_feeder_cleanup))) struct amon_feeder *feeder = calloc(1, sizeof(*feeder));
	int error;

	if (!feeder)
		return -ENOMEM;
	empty(feeder);
	memcpy(feeder->programs, loaded->clones[0].programs, sizeof(feeder->programs));
	error = find_hooks(feeder, loaded, failure);
	if (error)
		return error;
	error = load(feeder, loaded, failure);
	if (!error)
		error = amon_feeder_set_empty(feeder, false);
	if (!error)
		error = map_feed(feeder);
	if (error)
		return amon_fail(failure, error, "the replay's feeder cannot be set up: %s", strerror(-error));
	*result = feeder;
	feeder = NULL;
	return 0;
}

void amon_feeder_close(struct amon_feeder *feeder)
{
	if (!feeder)
		return;
	if (feeder->feed)
		munmap(feeder->feed, feeder->mapped);
	bpf_object__close(feeder->object);
	free(feeder);
}

static bool goes_through(const struct amon_feeder *feeder, uint32_t direction, enum amon_hook_kind kind)
{
	if (direction == AMON_DIRECTION_UNKNOWN)
		return feeder->first[kind];
	return feeder->uses[kind] && (direction == AMON_DIRECTION_EGRESS) == (kind == AMON_HOOK_TC_EGRESS);
}

static void enqueue(struct amon_feeder *feeder, struct amon_feed_packet *packet)
{
	for (int i = 0; i < AMON_HOOK_COUNT; i++) {
		struct queue *queue = &feeder->queues[i];

		if (!goes_through(feeder, packet->frame.direction, i))
			continue;
		*queue->last = feeder->used;
		queue->last = &packet->next[i];
		*queue->last = AMON_FEED_NONE;
		queue->count++;
	}
}

bool amon_feeder_add(struct amon_feeder *feeder, const struct amon_frame *frame, const uint8_t *bytes)
{
	struct amon_feed_packet *packet = (void *)&feeder->feed->batch[feeder->used];
	uint32_t captured = frame->captured < AMON_REPLAY_FRAME ? frame->captured : AMON_REPLAY_FRAME;

	if (feeder->used >= AMON_FEED_BATCH)
		return false;
	if (feeder->ordered && feeder->used && frame->direction != feeder->direction)
		return false;
	feeder->direction = frame->direction;
	packet->frame = (struct amon_feed_frame){ frame->time, frame->length, captured, frame->direction };
	memcpy(packet->bytes, bytes, captured);
	enqueue(feeder, packet);
	feeder->used += (sizeof(*packet) + captured + 7) & ~7ULL;
	return true;
}

/** Runs some of what is left of the queue: all of it where test runs repeat, unless a signal comes (-EINTR). */
static int test_run(struct amon_feeder *feeder, enum amon_hook_kind kind)
{
	static const uint8_t blank[AMON_REPLAY_FRAME];
	LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = blank, .data_size_in = hooks[kind].size,
	            .repeat = hooks[kind].repeats ? feeder->queues[kind].count - feeder->feed->run : 1);

	int error = bpf_prog_test_run_opts(program_named(feeder, hooks[kind].program), &options);

	feeder->spent += (uint64_t)options.duration * (uint64_t)options.repeat;
	return error;
}

static int run_hook(struct amon_feeder *feeder, enum amon_hook_kind kind, struct amon_failure *failure)
{
	struct amon_feed *feed = feeder->feed;
	uint64_t before = UINT64_MAX, count = feeder->queues[kind].count;
	int error = 0;

	feed->cursor = feeder->queues[kind].first;
	feed->run = 0;
	while (feed->run < count && feed->run != before && (!error || error == -EINTR)) {
		before = feed->run;
		error = test_run(feeder, kind);
	}
	if (error && error != -EINTR)
		return amon_fail(failure, error, "the kernel does not run the packets: %s", strerror(-error));
	if (feed->run != count || feed->cursor != AMON_FEED_NONE)
		return amon_fail(failure, -EPROTO, "the kernel ran %" PRIu64 " packets of %" PRIu64,
		                 (uint64_t)feed->run, count);
	return 0;
}

int amon_feeder_run(struct amon_feeder *feeder, struct amon_failure *failure)
{
	int error = 0;

	for (int i = 0; i < AMON_HOOK_COUNT && !error; i++)
		error = run_hook(feeder, i, failure);
	empty(feeder);
	return error;
}

uint64_t amon_feeder_spent(const struct amon_feeder *feeder)
{
	return feeder->spent;
}
