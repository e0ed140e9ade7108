/* SPDX-License-Identifier: Apache-2.0 */
#include "reader.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "carry.h"
#include "cleanup.h"
#include "flows.h"
#include "kept.h"
#include "kernel.h"
#include "storage.h"
#include "sweep.h"

_Static_assert(sizeof(struct amon_control) <= AMON_CONTROL_SIZE, "it is an entry");

/* The parts of the state: see bpf/control.h. */
#define CLONE(state)    ((unsigned int)(state) & 1)
#define PAIR(state)     ((unsigned int)(state) >> 1 & 1)
#define PHASE(state)    ((enum amon_phase)((state) >> 2 & 3))
#define SEQUENCE(state) ((state) >> 4)

/* What a window holds. */
#define ALL (AMON_RESET | AMON_KEPT | AMON_SHARED | AMON_EVENTS | AMON_FLOWS)
/* The clock that ages rows is this late at most, in nanoseconds (HZ=100). */
#define TICK 10000000

static uint64_t state_of(uint64_t sequence, enum amon_phase phase, unsigned int pair)
{
	return sequence << 4 | (uint64_t)phase << 2 | pair << 1 | (sequence & 1);
}

static uint64_t now(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* --- memory that is shared */

uint32_t amon_baseline_size(const struct amon_exports *exports)
{
	uint32_t size = 0;
	bool needed = false;

	for (uint32_t i = 0; i < exports->section_count; i++) {
		size += exports->sections[i].record_size;
		needed |= amon_section_has_baseline(&exports->sections[i]);
	}
	return needed ? size : 0;
}

static int map_control(struct amon_reader *reader)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	void *memory;

	reader->control_size = (AMON_CONTROL_SIZE * (1 + (size_t)reader->cpus) + page - 1) & ~(page - 1);
	memory = mmap(NULL, reader->control_size, PROT_READ | PROT_WRITE, MAP_SHARED, reader->control_map, 0);
	if (memory == MAP_FAILED)
		return -errno;
	reader->control = memory;
	return 0;
}

static int cannot_share(struct amon_failure *failure, int error)
{
	if (error == -EPERM)
		return amon_kernel_denied(failure);
	return amon_fail(failure, error, "the memory that a probe shares with its readers cannot be had: %s",
	                 strerror(-error));
}

int amon_reader_open(const struct amon_exports *exports, int control, int baseline, bool announces,
                     struct amon_reader *reader, struct amon_failure *failure)
{
	uint32_t size = amon_baseline_size(exports);
	int cpus = libbpf_num_possible_cpus(), error;

	*reader = (struct amon_reader){ .exports = exports,
		                        .control_map = control,
		                        .baseline = baseline,
		                        .announces = announces,
		                        .carry = -1,
		                        .cpus = cpus > 0 ? (uint32_t)cpus : 1,
		                        .totals = size ? malloc(size) : NULL };
	error = control < 0 ? control : size && baseline < 0 ? baseline : size && !reader->totals ? -ENOMEM : 0;
	if (!error && amon_exports_expire(exports)) {
		reader->flows = amon_flows_new(exports);
		error = reader->flows ? 0 : -ENOMEM;
	}
	if (!error)
		error = map_control(reader);
	if (!error)
		error = amon_maps_list(exports, &reader->maps);
	if (!error)
		return 0;
	amon_reader_close(reader);
	return cannot_share(failure, error);
}

static int make_baseline(const struct amon_exports *exports)
{
	uint32_t size = amon_baseline_size(exports);

	return size ? bpf_map_create(BPF_MAP_TYPE_ARRAY, "amon_baseline", 4, size, 2, NULL) : -1;
}

int amon_reader_beside(const struct amon_exports *exports, const struct amon_reader *running,
                       struct amon_reader *reader, struct amon_failure *failure)
{
	int control = fcntl(running->control_map, F_DUPFD_CLOEXEC, 0);

	return amon_reader_open(exports, control, make_baseline(exports), running->announces, reader, failure);
}

static uint64_t draw_seed(void)
{
	uint64_t seed;

	return getrandom(&seed, sizeof(seed), 0) == sizeof(seed) ? seed : 0x9e3779b97f4a7c15;
}

int amon_reader_new(const struct amon_exports *exports, bool announces, struct amon_reader *reader,
                    struct amon_failure *failure)
{
	LIBBPF_OPTS(bpf_map_create_opts, mapped, .map_flags = BPF_F_MMAPABLE);
	uint32_t entries = 1 + (uint32_t)libbpf_num_possible_cpus();
	int control = bpf_map_create(BPF_MAP_TYPE_ARRAY, "amon_control", 4, AMON_CONTROL_SIZE, entries, &mapped);
	int error = amon_reader_open(exports, control, make_baseline(exports), announces, reader, failure);

	if (error)
		return error;
	reader->control->state = state_of(1, AMON_PHASE_OPEN, 0);
	reader->control->announces = announces;
	reader->control->seed = draw_seed();
	amon_reader_start(reader);
	return 0;
}

void amon_reader_start(struct amon_reader *reader)
{
	reader->control->origin = reader->control->start[1] = now(CLOCK_REALTIME);
}

void amon_reader_close(struct amon_reader *reader)
{
	if (reader->control)
		munmap((void *)reader->control, reader->control_size);
	reader->control = NULL;
	amon_maps_close(&reader->maps);
	amon_close(&reader->control_map);
	amon_close(&reader->baseline);
	free(reader->totals);
	amon_collected_free(reader->gathered);
	amon_collected_free(reader->carried);
	amon_flows_free(reader->flows);
	free(reader->kept);
	amon_close(&reader->carry);
	reader->totals = NULL;
	reader->gathered = reader->carried = NULL;
	reader->flows = NULL;
	reader->kept = NULL;
}

/* --- the swap */

static void set_state(const struct amon_reader *reader, uint64_t state)
{
	__atomic_store_n(&reader->control->state, state, __ATOMIC_SEQ_CST);
}

/* A CPU that was inside has left: it is not inside, or was not for a moment. */
static void wait_for_cpu(const struct amon_reader *reader, uint32_t cpu)
{
	const struct amon_inside *inside =
	        (const void *)((const char *)reader->control + (size_t)AMON_CONTROL_SIZE * (1 + cpu));
	uint64_t first = __atomic_load_n(&inside->word, __ATOMIC_SEQ_CST), word = first;

	for (uint32_t tries = 0; (uint32_t)word && word >> 32 == first >> 32; tries++) {
		if (tries > 100)
			sched_yield();
		word = __atomic_load_n(&inside->word, __ATOMIC_SEQ_CST);
	}
}

int amon_reader_wait(const struct amon_reader *reader)
{
	if (!reader->announces)
		return amon_kernel_grace_period();
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	for (uint32_t cpu = 0; cpu < reader->cpus; cpu++)
		wait_for_cpu(reader, cpu);
	return 0;
}

unsigned int amon_reader_pair(const struct amon_reader *reader)
{
	return PAIR(reader->control->state);
}

void amon_reader_set_pair(struct amon_reader *reader, unsigned int pair)
{
	uint64_t state = reader->control->state;

	set_state(reader, state_of(SEQUENCE(state), PHASE(state), pair));
}

bool amon_exports_reset(const struct amon_exports *exports)
{
	bool any = false;

	for (uint32_t i = 0; i < exports->section_count; i++) {
		const struct amon_export_section *section = &exports->sections[i];

		any |= section->reset;
		for (uint32_t j = 0; j < section->column_count; j++)
			any |= section->columns[j].reset;
		for (uint32_t j = 0; j < section->table_count; j++)
			any |= section->tables[j].reset;
	}
	return any;
}

/* Notes the instant that ends the window, and starts the next. */
static void mark_end(const struct amon_reader *reader)
{
	volatile struct amon_control *control = reader->control;
	uint64_t sequence = SEQUENCE(control->state);

	control->end = now(CLOCK_REALTIME);
	control->start[~sequence & 1] =
	        amon_exports_reset(reader->exports) ? control->end : control->start[sequence & 1];
}

/* Some maps are of the clones' own. */
static bool is_doubled(const struct amon_reader *reader)
{
	for (uint32_t i = 0; i < reader->maps.count; i++)
		if (reader->maps.maps[i].twice)
			return true;
	return false;
}

/* --- one window */

static int read_clone(const struct amon_reader *reader, unsigned int clone, unsigned int which,
                      struct amon_collected *into, struct amon_failure *failure)
{
	return amon_storage_read(&reader->maps, reader->exports, clone, which, into, failure);
}

static int cannot_wait(struct amon_failure *failure, int error)
{
	return amon_fail(failure, error, "the kernel does not tell when its programs are done: %s", strerror(-error));
}

/*
 * Totals of what is not reset lie in both clones. Those of the one that rests are read before the swap, while nobody
 * writes there, so that together with the other's they are those of one instant.
 */
static int swap(struct amon_reader *reader, struct amon_collected *into, struct amon_failure *failure)
{
	uint64_t state = reader->control->state;
	int error = read_clone(reader, !CLONE(state), AMON_KEPT, into, failure);

	if (error)
		return error;
	mark_end(reader);
	set_state(reader, state_of(SEQUENCE(state) + 1, AMON_PHASE_CUT, PAIR(state)));
	error = amon_reader_wait(reader);
	return error ? cannot_wait(failure, error) : 0;
}

/* Another reader cut the window and died: programs may still have been in the clone then, and are not any more. */
static int take_over(struct amon_reader *reader, struct amon_collected *into, struct amon_failure *failure)
{
	int error = amon_reader_wait(reader);

	return error ? error : read_clone(reader, CLONE(reader->control->state), AMON_KEPT, into, failure);
}

static void subtract(struct amon_reader *reader, struct amon_collected *collected, const uint8_t *baseline)
{
	const struct amon_exports *exports = reader->exports;
	size_t at = 0;

	for (uint32_t i = 0; i < exports->section_count; at += exports->sections[i].record_size, i++) {
		memcpy(reader->totals + at, collected->sections[i].record, exports->sections[i].record_size);
		amon_subtract_baseline(&exports->sections[i], collected->sections[i].record, baseline + at);
	}
}

/* What was there at the window's start; what is there now becomes the next one's. */
static int subtract_baseline(struct amon_reader *reader, uint64_t sequence, struct amon_collected *collected,
                             struct amon_failure *failure)
{
	uint32_t slot = sequence & 1;
	uint32_t size = amon_baseline_size(reader->exports);
	AMON_FREES uint8_t *baseline = size ? malloc(size) : NULL;
	int error = baseline ? bpf_map_lookup_elem(reader->baseline, &slot, baseline) : -ENOMEM;

	if (error)
		return amon_fail(failure, error, "the baseline of the last read cannot be read: %s", strerror(-error));
	subtract(reader, collected, baseline);
	return 0;
}

static int sort_tables(const struct amon_exports *exports, struct amon_collected *collected)
{
	int error = 0;

	for (uint32_t i = 0; i < exports->section_count; i++)
		for (uint32_t j = 0; j < exports->sections[i].table_count && !error; j++)
			error = amon_collected_sort(&exports->sections[i].tables[j], &collected->sections[i].tables[j]);
	return error;
}

/* Nothing that it returns ends with a read, so that nothing waits in the clone that rests to be written out. */
static bool is_totals(const struct amon_exports *exports)
{
	bool any = amon_exports_reset(exports);

	for (uint32_t i = 0; i < exports->section_count; i++)
		for (uint32_t j = 0; j < exports->sections[i].table_count; j++)
			any |= exports->sections[i].tables[j].events || exports->sections[i].tables[j].expire;
	return !any;
}

/* Another reader died behind its cut: another gives totals of one instant again, under the next number. */
static int cut_again(struct amon_reader *reader, struct amon_collected *into, struct amon_failure *failure)
{
	int error = amon_reader_wait(reader);

	return error ? cannot_wait(failure, error) : swap(reader, into, failure);
}

static int begin_read(struct amon_reader *reader, struct amon_collected *into, struct amon_failure *failure)
{
	if (PHASE(reader->control->state) != AMON_PHASE_CUT)
		return swap(reader, into, failure);
	return is_totals(reader->exports) ? cut_again(reader, into, failure) : take_over(reader, into, failure);
}

static int read_window(struct amon_reader *reader, struct amon_collected *into, struct amon_window *window,
                       struct amon_failure *failure)
{
	const volatile struct amon_control *control = reader->control;
	bool doubled = is_doubled(reader);
	int error = 0;

	if (doubled)
		error = begin_read(reader, into, failure);
	if (error)
		return error;
	/* of probes that do not swap, the window that is open is the one that is read */
	if (!doubled)
		mark_end(reader);
	window->sequence = SEQUENCE(control->state) - doubled;
	window->start = control->start[window->sequence & 1];
	window->end = control->end;
	window->origin = control->origin;
	window->clock_offset = (int64_t)(now(CLOCK_REALTIME) - now(CLOCK_MONOTONIC));
	error = read_clone(reader, window->sequence & 1, ALL, into, failure);
	if (!error && reader->totals)
		error = subtract_baseline(reader, window->sequence, into, failure);
	if (!error && reader->carried && amon_collected_merge(reader->exports, into, reader->carried))
		error = amon_fail(failure, -ENOMEM, "out of memory");
	return error;
}

int amon_reader_keep(struct amon_reader *reader, const char *directory)
{
	uint64_t state = reader->control->state;

	if (!reader->flows)
		return 0;
	reader->kept = strdup(directory);
	if (!reader->kept)
		return -ENOMEM;
	/* of a window that was cut and not written out, those with which it began */
	return amon_kept_read(reader->exports, directory, SEQUENCE(state) - (PHASE(state) == AMON_PHASE_CUT),
	                      reader->flows);
}

bool amon_reader_is_cut(const struct amon_reader *reader)
{
	return PHASE(reader->control->state) != AMON_PHASE_OPEN;
}

int amon_reader_rest(struct amon_reader *reader, struct amon_collected **result, struct amon_failure *failure)
{
	__attribute__((cleanup(amon_collected_cleanup))) struct amon_collected *collected =
	        amon_collected_new(reader->exports);
	unsigned int clone = CLONE(reader->control->state);
	int error;

	if (!collected)
		return amon_fail(failure, -ENOMEM, "out of memory");
	error = read_clone(reader, !clone, AMON_KEPT, collected, failure);
	if (!error)
		error = read_clone(reader, clone, ALL, collected, failure);
	if (!error && reader->totals)
		error = subtract_baseline(reader, SEQUENCE(reader->control->state), collected, failure);
	if (!error && reader->carried && amon_collected_merge(reader->exports, collected, reader->carried))
		error = amon_fail(failure, -ENOMEM, "out of memory");
	if (!error && sort_tables(reader->exports, collected))
		error = amon_fail(failure, -ENOMEM, "out of memory");
	if (error)
		return error;
	*result = collected;
	collected = NULL;
	return 0;
}

/* A packet of the next window may still have a tick that was before this one's end. */
static int put_flows(struct amon_reader *reader, const struct amon_window *window, struct amon_collected *collected)
{
	uint64_t end = window->end - (uint64_t)window->clock_offset - TICK;
	int error = amon_flows_add(reader->flows, collected);

	return error ? error : amon_flows_end(reader->flows, end, reader->last, collected);
}

int amon_reader_cut(struct amon_reader *reader, struct amon_collected **result, struct amon_window *window,
                    struct amon_failure *failure)
{
	__attribute__((cleanup(amon_collected_cleanup))) struct amon_collected *collected = NULL;
	int error = 0;

	*result = NULL;
	/* written out by a reader that died while it emptied */
	if (PHASE(reader->control->state) >= AMON_PHASE_WRITTEN)
		error = amon_reader_done(reader, failure);
	if (error)
		return error;
	collected = amon_collected_new(reader->exports);
	if (!collected)
		return amon_fail(failure, -ENOMEM, "out of memory");
	error = read_window(reader, collected, window, failure);
	if (!error && reader->flows && put_flows(reader, window, collected))
		error = amon_fail(failure, -ENOMEM, "out of memory");
	if (!error && sort_tables(reader->exports, collected))
		error = amon_fail(failure, -ENOMEM, "out of memory");
	if (error)
		return error;
	*result = collected;
	collected = NULL;
	return 0;
}

static int write_baseline(const struct amon_reader *reader, uint64_t sequence)
{
	uint32_t slot = sequence & 1;

	return reader->totals ? bpf_map_update_elem(reader->baseline, &slot, reader->totals, BPF_ANY) : 0;
}

static int take_events(struct amon_reader *reader, struct amon_failure *failure)
{
	return amon_storage_reset(&reader->maps, reader->exports, 0, AMON_EVENTS, failure);
}

/* What was carried over is emptied as the maps are: the same bytes, without what a reset empties. */
static int empty_carry(struct amon_reader *reader)
{
	return reader->carry < 0 ? 0 : amon_carry_reset(reader->exports, reader->carried, reader->carry);
}

/*
 * From the store on that says that the window was written out, all may be done again: what is emptied is empty. What
 * does not swap goes on from there under the next number.
 */
static int write_out(struct amon_reader *reader, bool doubled)
{
	uint64_t state = reader->control->state, next = SEQUENCE(state) + !doubled;
	int error = write_baseline(reader, next);

	if (!error && reader->kept)
		error = amon_kept_write(reader->exports, reader->flows, reader->kept, next);
	if (!error)
		set_state(reader, state_of(next, AMON_PHASE_WRITTEN, PAIR(state)));
	return error;
}

static void set_phase(const struct amon_reader *reader, enum amon_phase phase)
{
	uint64_t state = reader->control->state;

	set_state(reader, state_of(SEQUENCE(state), phase, PAIR(state)));
}

/*
 * Packets that began before they were told to leave alone what has ended are waited for. What ended within this tick is
 * left for the next sweep: a row that begins behind it has a later number (see bpf-templates/flow.h).
 */
static int sweep(const struct amon_reader *reader, struct amon_failure *failure)
{
	struct amon_sweep sweep;
	int error = amon_sweep_begin(&reader->maps, reader->exports, SEQUENCE(reader->control->state),
	                             now(CLOCK_MONOTONIC_COARSE) - TICK, &sweep, failure);

	if (!error && sweep.count) {
		set_phase(reader, AMON_PHASE_SWEEPING);
		error = amon_reader_wait(reader);
		error = error ? cannot_wait(failure, error) : amon_sweep_finish(&sweep, failure);
	}
	amon_sweep_end(&sweep);
	return error;
}

int amon_reader_done(struct amon_reader *reader, struct amon_failure *failure)
{
	bool doubled = is_doubled(reader);
	enum amon_phase phase = PHASE(reader->control->state);
	uint64_t state;
	int error = 0;

	if (doubled && phase == AMON_PHASE_OPEN)
		return 0;
	if (phase < AMON_PHASE_WRITTEN)
		error = write_out(reader, doubled);
	if (!error)
		error = empty_carry(reader);
	if (!error)
		error = take_events(reader, failure);
	state = reader->control->state;
	if (!error && doubled)
		error = amon_storage_reset(&reader->maps, reader->exports, !CLONE(state), AMON_RESET | AMON_FLOWS,
		                           failure);
	if (!error)
		error = sweep(reader, failure);
	if (!error)
		set_phase(reader, AMON_PHASE_OPEN);
	return error;
}

/* --- a replay */

int amon_reader_replay_events(struct amon_reader *reader, struct amon_failure *failure)
{
	int error = 0;

	if (!reader->gathered)
		reader->gathered = amon_collected_new(reader->exports);
	if (!reader->gathered)
		return amon_fail(failure, -ENOMEM, "out of memory");
	for (uint32_t i = 0; i < reader->exports->section_count && !error; i++)
		error = amon_storage_gather(&reader->maps, &reader->exports->sections[i],
		                            &reader->gathered->sections[i], failure);
	return error;
}

static int replay_flows(struct amon_reader *reader, struct amon_failure *failure)
{
	__attribute__((cleanup(amon_collected_cleanup))) struct amon_collected *parts = NULL;
	int error;

	if (!reader->flows)
		return 0;
	parts = amon_collected_new(reader->exports);
	if (!parts)
		return amon_fail(failure, -ENOMEM, "out of memory");
	error = read_clone(reader, 0, AMON_FLOWS, parts, failure);
	if (!error)
		error = amon_storage_reset(&reader->maps, reader->exports, 0, AMON_FLOWS, failure);
	if (!error && amon_flows_add(reader->flows, parts))
		error = amon_fail(failure, -ENOMEM, "out of memory");
	return error;
}

static int replay_sweep(const struct amon_reader *reader, uint64_t now, struct amon_failure *failure)
{
	struct amon_sweep rows;
	int error =
	        amon_sweep_begin(&reader->maps, reader->exports, SEQUENCE(reader->control->state), now, &rows, failure);

	if (!error)
		error = amon_sweep_finish(&rows, failure);
	amon_sweep_end(&rows);
	return error;
}

int amon_reader_replay_cut(struct amon_reader *reader, uint64_t now, struct amon_failure *failure)
{
	int error = replay_flows(reader, failure);

	return error ? error : replay_sweep(reader, now, failure);
}

int amon_reader_replay(struct amon_reader *reader, uint64_t until, struct amon_collected **result,
                       struct amon_failure *failure)
{
	int error = amon_reader_replay_events(reader, failure);

	*result = NULL;
	if (!error)
		error = replay_flows(reader, failure);
	if (!error)
		error = read_clone(reader, 0, AMON_RESET | AMON_KEPT | AMON_SHARED, reader->gathered, failure);
	if (!error && reader->flows && amon_flows_end(reader->flows, until, reader->last, reader->gathered))
		error = amon_fail(failure, -ENOMEM, "out of memory");
	if (!error && sort_tables(reader->exports, reader->gathered))
		error = amon_fail(failure, -ENOMEM, "out of memory");
	if (error)
		return error;
	*result = reader->gathered;
	reader->gathered = NULL;
	return 0;
}

int amon_reader_replay_reset(struct amon_reader *reader, uint64_t sequence, uint64_t now, struct amon_failure *failure)
{
	int error;

	set_state(reader, state_of(sequence, AMON_PHASE_OPEN, 0));
	error = amon_storage_reset(&reader->maps, reader->exports, 0, AMON_RESET | AMON_SHARED, failure);
	return error ? error : replay_sweep(reader, now, failure);
}
