// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <sched.h>
#include <sys/param.h>

#include "capture.h"
#include "feeder.h"
#include "kernel.h"
#include "reader.h"
#include "replay.h"

struct replay {
	const struct amon_loaded *loaded;
	const struct amon_replay_options *options;
	struct amon_failure *failure;
	struct amon_capture *capture;
	struct amon_feeder *feeder;
	bool open; /* a packet fell into the window */
	struct amon_window window;
	uint64_t first; /* multiple of the probe's window that the first packet fell into */
	uint64_t last;  /* the last nanosecond of the window */
};

/** Runs what has gathered. */
static int flush(struct replay *replay)
{
	const struct amon_replay_options *options = replay->options;
	int error = amon_feeder_run(replay->feeder, replay->failure);

	if (!error)
		error = amon_reader_replay_events(replay->loaded->reader, replay->failure);
	if (!error && options->progress)
		options->progress(amon_capture_done(replay->capture), amon_capture_total(replay->capture),
		                  options->data);
	return error;
}

/** Hands the window over as it stands. */
static int give(struct replay *replay)
{
	__attribute__((cleanup(amon_collected_cleanup))) struct amon_collected *collected = NULL;
	struct amon_document *document = NULL;
	int error = flush(replay);

	if (!error)
		error = amon_reader_replay(replay->loaded->reader, &collected, replay->failure);
	if (!error)
		error = amon_document(replay->loaded->exports, collected, &replay->window, &document);
	if (error)
		return error;
	error = replay->options->window(document, replay->options->data);
	amon_document_free(document);
	return error;
}

/** Starts the window that an instant falls into: [k * size, (k + 1) * size), as far as 64 bits can say it. */
static void open_window(struct replay *replay, uint64_t time)
{
	uint64_t size = replay->loaded->exports->window, number = time / size;
	struct amon_window *window = &replay->window;

	if (!replay->open)
		replay->first = number;
	window->sequence = number - replay->first + 1;
	if (!replay->open)
		window->origin = number * size;
	window->start = amon_exports_reset(replay->loaded->exports) ? number * size : window->origin;
	if (__builtin_add_overflow(number * size, size, &window->end))
		window->end = UINT64_MAX;
	replay->last = number * size + MIN(size - 1, UINT64_MAX - number * size);
	replay->open = true;
}

/** A probe without windows: one from the first packet to the latest time seen. */
static void stretch_window(struct replay *replay, uint64_t time)
{
	struct amon_window *window = &replay->window;

	if (!replay->open)
		window->start = window->origin = window->end = time;
	replay->open = true;
	window->end = MAX(window->end, time);
}

/** Has the packet's window open. One whose time went backwards belongs to the window that is. */
static int reach(struct replay *replay, uint64_t time)
{
	bool was_open;
	int error = 0;

	if (replay->open && time <= replay->last)
		return 0;
	if (replay->open)
		error = give(replay);
	if (error)
		return error;
	was_open = replay->open;
	open_window(replay, time);
	if (was_open)
		error = amon_reader_replay_reset(replay->loaded->reader, replay->window.sequence, replay->failure);
	return error;
}

static int place(struct replay *replay, uint64_t time)
{
	if (replay->loaded->exports->window)
		return reach(replay, time);
	stretch_window(replay, time);
	return 0;
}

static enum amon_direction direction_of(const struct replay *replay, const struct amon_capture_packet *packet)
{
	const struct amon_replay_options *options = replay->options;
	enum amon_direction direction;

	if (!options->local_count)
		return packet->direction;
	direction = amon_direction_by_source(packet->bytes, packet->captured, options->local, options->local_count);
	if (direction == AMON_DIRECTION_UNKNOWN)
		direction = packet->direction;
	return direction == AMON_DIRECTION_UNKNOWN ? AMON_DIRECTION_INGRESS : direction;
}

static int add(struct replay *replay, const struct amon_capture_packet *packet)
{
	const struct amon_frame frame = { packet->time, packet->length, packet->captured,
		                          direction_of(replay, packet) };
	int error;

	if (amon_feeder_add(replay->feeder, &frame, packet->bytes))
		return 0;
	error = flush(replay);
	if (!error)
		amon_feeder_add(replay->feeder, &frame, packet->bytes);
	return error;
}

static int run(struct replay *replay)
{
	struct amon_capture_packet packet;
	int end, error = 0;

	while ((end = amon_capture_next(replay->capture, &packet, replay->failure)) > 0) {
		error = place(replay, packet.time);
		if (!error)
			error = add(replay, &packet);
		if (error)
			return error;
	}
	if (replay->open || !replay->loaded->exports->window)
		error = give(replay);
	return error ? error : end;
}

/**
 * Runs on one CPU: what a packet finds of the packets before it, and how equal times merge, is then the same in every
 * replay.
 */
static int run_on_one_cpu(struct replay *replay)
{
	cpu_set_t before, one;
	bool pinned = sched_getaffinity(0, sizeof(before), &before) == 0;
	int error;

	CPU_ZERO(&one);
	CPU_SET(amon_kernel_first_cpu(), &one);
	pinned = pinned && sched_setaffinity(0, sizeof(one), &one) == 0;
	error = run(replay);
	if (pinned)
		sched_setaffinity(0, sizeof(before), &before);
	return error;
}

int amon_replay(struct amon_loaded *loaded, const char *path, const struct amon_replay_options *options,
                struct amon_failure *failure)
{
	__attribute__((cleanup(amon_capture_cleanup))) struct amon_capture *capture = NULL;
	__attribute__((cleanup(amon_feeder_cleanup))) struct amon_feeder *feeder = NULL;
	int error = amon_capture_open(path, &capture, failure);

	if (!error)
		error = amon_feeder_open(loaded, &feeder, failure);
	if (error)
		return error;
	return run_on_one_cpu(&(struct replay){ .loaded = loaded,
	                                        .options = options,
	                                        .failure = failure,
	                                        .capture = capture,
	                                        .feeder = feeder,
	                                        .window = { .sequence = 1 } });
}
