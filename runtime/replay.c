// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <sys/param.h>

#include "capture.h"
#include "feeder.h"
#include "flows.h"
#include "kernel.h"
#include "reader.h"
#include "replay.h"
#include "sweep.h"

#define SECOND 1000000000ull

struct replay {
	const struct amon_loaded *loaded;
	const struct amon_replay_options *options;
	struct amon_failure *failure;
	struct amon_capture *capture;
	struct amon_feeder *feeder;
	bool cuts; /* some rows end */
	bool open; /* a packet fell into the window */
	struct amon_window window;
	uint64_t first;  /* multiple of the probe's window that the first packet fell into */
	uint64_t last;   /* the last nanosecond of the window */
	uint64_t latest; /* time seen */
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

/** Hands the window over as it stands; flows end until `until`. */
static int give(struct replay *replay, uint64_t until)
{
	__attribute__((cleanup(amon_collected_cleanup))) struct amon_collected *collected = NULL;
	struct amon_document *document = NULL;
	int error = flush(replay);

	if (!error)
		error = amon_reader_replay(replay->loaded->reader, until, &collected, replay->failure);
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

static int open_next(struct replay *replay, uint64_t time)
{
	open_window(replay, time);
	return amon_reader_replay_reset(replay->loaded->reader, replay->window.sequence, replay->latest,
	                                replay->failure);
}

/** Ends the window, and has the one of an instant open. Of those in between only such are told as flows end in. */
static int pass(struct replay *replay, uint64_t time)
{
	uint64_t size = replay->loaded->exports->window, start = time - time % size, next;
	struct amon_flows *flows = replay->loaded->reader->flows;
	int error = give(replay, replay->last);

	while (!error && flows && (next = amon_flows_next(flows)) < start) {
		error = open_next(replay, next);
		if (!error)
			error = give(replay, replay->last);
	}
	return error ? error : open_next(replay, time);
}

/** Has the packet's window open. One whose time went backwards belongs to the window that is. */
static int reach(struct replay *replay, uint64_t time)
{
	if (replay->open)
		return time <= replay->last ? 0 : pass(replay, time);
	open_window(replay, time);
	return 0;
}

/** Parts of flows are taken out of the kernel with each second of the capture, and so is what is remembered of them. */
static int cut_flows(struct replay *replay, uint64_t time)
{
	int error = 0;

	if (replay->open && time / SECOND > replay->latest / SECOND) {
		error = flush(replay);
		if (!error)
			error = amon_reader_replay_cut(replay->loaded->reader, replay->latest, replay->failure);
	}
	return error;
}

static int place(struct replay *replay, uint64_t time)
{
	int error = replay->cuts ? cut_flows(replay, time) : 0;

	if (error)
		return error;
	replay->latest = MAX(replay->latest, time);
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

static int run(void *data)
{
	struct replay *replay = data;
	struct amon_capture_packet packet;
	int end, error = 0;

	while ((end = amon_capture_next(replay->capture, &packet, replay->failure)) > 0) {
		error = place(replay, packet.time);
		if (!error)
			error = add(replay, &packet);
		if (error)
			return error;
	}
	replay->loaded->reader->last = true;
	if (replay->open || !replay->loaded->exports->window)
		error = give(replay, replay->latest);
	return error ? error : end;
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
	/* what a packet finds of those before it, and how equal times merge, is then the same in every replay */
	return amon_kernel_on_first_cpu(
	        run, &(struct replay){ .loaded = loaded,
	                               .options = options,
	                               .failure = failure,
	                               .capture = capture,
	                               .feeder = feeder,
	                               .cuts = loaded->reader->flows || amon_sweep_expires(loaded->exports),
	                               .window = { .sequence = 1 } });
}
