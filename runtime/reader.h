/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AMON_READER_H
#define AMON_READER_H

#include "bpf/control.h"
#include "document.h"
#include "maps.h"

/*
 * Reads a probe that runs, window after window: cuts the window that is open by swapping the clones, waits until no
 * program can still be writing to the one that rests, and reads it. Once what was read is written out, it is emptied.
 *
 * What must survive a reader lies in memory that the kernel keeps: where one dies, the next repeats its window, under
 * the same number, or goes on emptying what it had written out already. Of a probe that has totals alone it cuts
 * another window, so that they are those of one instant; beside windows, the totals of one that is repeated may be a
 * little later than its end.
 */

/** How far a reader is with the window that was cut last. */
enum amon_phase {
	AMON_PHASE_OPEN,    /* done with: the clone that rests is empty */
	AMON_PHASE_CUT,     /* in the clone that rests, and not written out yet */
	AMON_PHASE_WRITTEN, /* written out: what rests is to be emptied */
	/* and memory that has ended is taken out: bpf-templates/window.h tells packets, which leave it alone */
	AMON_PHASE_SWEEPING,
};

struct amon_reader {
	const struct amon_exports *exports; /* borrowed */
	struct amon_maps maps;
	int control_map;
	volatile struct amon_control *control; /* mapped, its entry 0; behind it those of the CPUs */
	size_t control_size;
	uint32_t cpus;   /* possible ones */
	bool announces;  /* programs tell when they are inside, so that there is no need for a grace period */
	int baseline;    /* an ARRAY of two section records, one behind the other, that only readers write; -1: none */
	uint8_t *totals; /* the next one, once a window was cut */
	struct amon_collected *carried;  /* what a probe whose place this took had counted; NULL: nothing */
	int carry;                       /* the map that holds it, for amon_reader_done(); -1: none */
	struct amon_collected *gathered; /* in a replay: the events of the window so far */
	struct amon_flows *flows;        /* that are open; NULL: no table's rows end */
	char *kept;                      /* directory of pins where they are kept for the next reader; NULL: nowhere */
	bool last;                       /* the next window is the last: flows that are open end with it */
};

/** Bytes of all sections' records, which a reader keeps where some totals are not reset; 0: it keeps none. */
uint32_t amon_baseline_size(const struct amon_exports *exports);
/**
 * Makes the memory that readers and programs share, for a probe whose maps are still to be opened; the first window has
 * number 1. 0 or -errno.
 */
int amon_reader_new(const struct amon_exports *exports, bool announces, struct amon_reader *reader,
                    struct amon_failure *failure);
/** The same for a probe that runs: takes its control map and baseline (-1: none), and closes them in any case. */
int amon_reader_open(const struct amon_exports *exports, int control, int baseline, bool announces,
                     struct amon_reader *reader, struct amon_failure *failure);
/** The same for a probe that is to take the place of another, whose control it shares, with a baseline of its own. */
int amon_reader_beside(const struct amon_exports *exports, const struct amon_reader *running,
                       struct amon_reader *reader, struct amon_failure *failure);
void amon_reader_close(struct amon_reader *reader);
/** The first window starts now rather than when the memory was made. */
void amon_reader_start(struct amon_reader *reader);

/** Keeps flows that are open in a directory of pins, and takes up those that are kept there. 0 or -errno. */
int amon_reader_keep(struct amon_reader *reader, const char *directory);

/**
 * Cuts the window that is open, or finds the one that a dead reader left, and reads it. Two readers of one probe must
 * exclude each other by their own means.
 */
int amon_reader_cut(struct amon_reader *reader, struct amon_collected **collected, struct amon_window *window,
                    struct amon_failure *failure);
/** The window has been written out: empties what a reset empties. 0 or -errno; may be repeated. */
int amon_reader_done(struct amon_reader *reader, struct amon_failure *failure);

/** Some values are what came since the last read; else all are totals since the start. */
bool amon_exports_reset(const struct amon_exports *exports);

/** Waits until no program that could have seen the state from before the call still runs. */
int amon_reader_wait(const struct amon_reader *reader);

/** True where a window was cut by a reader that is not done with it. */
bool amon_reader_is_cut(const struct amon_reader *reader);
/** All that the maps hold of the window that is open, and totals. Only of a pair of clones that does not run any more.
 */
int amon_reader_rest(struct amon_reader *reader, struct amon_collected **collected, struct amon_failure *failure);

/** Stores a new state for all hooks at once: another pair of clones. */
void amon_reader_set_pair(struct amon_reader *reader, unsigned int pair);
unsigned int amon_reader_pair(const struct amon_reader *reader);

/**
 * In a replay, where nothing runs beside the reader: gathers events before their ring is full, and parts of flows
 * before their table is, and sweeps what is remembered; reads all; empties what a reset empties, and opens the window
 * of this number. `now`: the latest time seen.
 */
int amon_reader_replay_events(struct amon_reader *reader, struct amon_failure *failure);
int amon_reader_replay_cut(struct amon_reader *reader, uint64_t now, struct amon_failure *failure);
/** `until`: an instant of the window's, until which flows end. */
int amon_reader_replay(struct amon_reader *reader, uint64_t until, struct amon_collected **collected,
                       struct amon_failure *failure);
int amon_reader_replay_reset(struct amon_reader *reader, uint64_t sequence, uint64_t now, struct amon_failure *failure);

#endif
