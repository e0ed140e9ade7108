/* SPDX-License-Identifier: Apache-2.0 */
#include "probe.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "kernel.h"
#include "listen.h"
#include "own.h"
#include "reader.h"
#include "refusal.h"

/* Of an object whose programs ask for the window's number: the probe's own takes its place. */
#define CONTROL_MAP "amon_control"
/* What new rows that spill are made of. */
#define ZEROS_MAP "amon_zeros"

static int not_a_probe(struct amon_failure *failure, const char *what, const char *name)
{
	return amon_fail(failure, -EINVAL, "not an object of amon, or a broken one: %s%s", what, name);
}

static int open_object(const struct amon_loaded *loaded, const void *data, size_t size, struct amon_clone *clone,
                       struct amon_failure *failure)
{
	LIBBPF_OPTS(bpf_object_open_opts, options, .object_name = loaded->exports->probe);

	clone->object = bpf_object__open_mem(data, size, &options);
	if (clone->object)
		return 0;
	if (errno == ENOMEM)
		return amon_fail(failure, -ENOMEM, "out of memory");
	return not_a_probe(failure, amon_heard(), "");
}

/* Constants */

static const struct btf_type *find_section(const struct btf *btf, const char *name)
{
	int id = btf__find_by_name_kind(btf, name, BTF_KIND_DATASEC);

	return id < 0 ? NULL : btf__type_by_id(btf, (uint32_t)id);
}

static const struct btf_var_secinfo *find_variable(const struct btf *btf, const struct btf_type *section,
                                                   const char *name)
{
	const struct btf_var_secinfo *variables = btf_var_secinfos(section);

	for (int i = 0; i < btf_vlen(section); i++)
		if (strcmp(btf__name_by_offset(btf, btf__type_by_id(btf, variables[i].type)->name_off), name) == 0)
			return &variables[i];
	return NULL;
}

/* The bytes of a constant; NULL where the object has none of that name. */
static unsigned char *find_constant(const struct bpf_object *object, const char *name, size_t *size)
{
	struct bpf_map *map = bpf_object__find_map_by_name(object, ".rodata");
	const struct btf *btf = bpf_object__btf(object);
	const struct btf_type *section = map && btf ? find_section(btf, ".rodata") : NULL;
	const struct btf_var_secinfo *variable = section ? find_variable(btf, section, name) : NULL;
	size_t all = 0;
	/* libbpf's own copy, which is the program's to fill until the load */
	unsigned char *values = map ? (unsigned char *)bpf_map__initial_value(map, &all) : NULL;

	if (!values || !variable || variable->offset + variable->size > all)
		return NULL;
	*size = variable->size;
	return values + variable->offset;
}

static void set_constant(struct bpf_object *object, const char *name, uint32_t value)
{
	size_t size;
	unsigned char *bytes = find_constant(object, name, &size);

	if (!bytes)
		return;
	for (size_t i = 0; i < size; i++, value >>= 8)
		bytes[__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? i : size - 1 - i] = (unsigned char)value;
}

static void set_constants(const struct amon_loaded *loaded, const struct amon_clone *clone,
                          const struct amon_choice *choice)
{
	set_constant(clone->object, "amon_replay", loaded->replay + loaded->measured);
	set_constant(clone->object, "amon_ingress_tc", loaded->ingress_tc);
	set_constant(clone->object, "amon_xdp_mode", choice->xdp_generic ? 2 : 1);
	set_constant(clone->object, "amon_frame_max", choice->frame_max);
	set_constant(clone->object, "amon_clone", (uint32_t)(clone - loaded->clones));
}

/* Splitmix64's: many numbers of one. */
static uint64_t scramble(uint64_t x)
{
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
	x = (x ^ x >> 27) * 0x94d049bb133111eb;
	return x ^ x >> 31;
}

/*
 * Rows that clones share, or that a replaced probe had, are found where they were put: all have one seed. In a replay
 * it is always the same.
 */
static void set_seed(const struct amon_loaded *loaded, const struct amon_clone *clone)
{
	uint64_t seed = loaded->reader->control->seed;
	size_t size = 0;
	unsigned char *constant = loaded->replay ? NULL : find_constant(clone->object, "amon_seed", &size);

	for (size_t at = 0; constant && at + sizeof(seed) <= size; at += sizeof(seed)) {
		uint64_t word = scramble(seed + (at + sizeof(seed)) * 0x9e3779b97f4a7c15);

		memcpy(constant + at, &word, sizeof(word));
	}
}

/* Programs */

static bool section_needs(const struct amon_loaded *loaded, const struct amon_export_section *section,
                          enum amon_hook_kind kind)
{
	for (uint32_t i = 0; i < section->hook_count; i++)
		if (amon_hook_in_use(loaded, &section->hooks[i]) == kind)
			return true;
	return false;
}

static bool needs(const struct amon_loaded *loaded, enum amon_hook_kind kind)
{
	for (uint32_t i = 0; i < loaded->exports->section_count; i++)
		if (section_needs(loaded, &loaded->exports->sections[i], kind))
			return true;
	return false;
}

static int choose_programs(const struct amon_loaded *loaded, const struct amon_clone *clone, bool verbose,
                           struct amon_failure *failure)
{
	struct bpf_program *program;

	bpf_object__for_each_program(program, clone->object) bpf_program__set_autoload(program, false);
	for (uint32_t i = 0; i < loaded->exports->program_count; i++) {
		const struct amon_export_program *export = &loaded->exports->programs[i];
		program = bpf_object__find_program_by_name(clone->object, export->name);
		if (!program)
			return not_a_probe(failure, "no program ", export->name);
		bpf_program__set_autoload(program, needs(loaded, export->hook));
		if (verbose)
			bpf_program__set_log_level(program, 1);
	}
	return 0;
}

static void note_programs(const struct amon_loaded *loaded, struct amon_clone *clone)
{
	for (uint32_t i = 0; i < loaded->exports->program_count; i++) {
		const struct amon_export_program *export = &loaded->exports->programs[i];
		if (needs(loaded, export->hook))
			clone->programs[export->hook] =
			        bpf_program__fd(bpf_object__find_program_by_name(clone->object, export->name));
	}
}

/* A verifier's refusal */

static int refused_by_verifier(struct amon_failure *failure, int error)
{
	struct amon_refusal refusal;
	const struct amon_refusal_note *note = refusal.notes;

	amon_refusal_read(failure->log, &refusal);
	if (!refusal.reason[0])
		return amon_fail(failure, error, "the kernel's verifier refuses the probe: %s", strerror(-error));
	if (!refusal.note_count)
		return amon_fail(failure, error, "the kernel's verifier refuses the probe: %s", refusal.reason);
	return amon_fail(failure, error, "the kernel's verifier refuses the probe: %s, at `%.*s`", refusal.reason,
	                 (int)note->length, note->text);
}

static int refused(struct amon_failure *failure, int error)
{
	if (failure->log)
		return refused_by_verifier(failure, error);
	if (error == -EPERM)
		return amon_kernel_denied(failure);
	return amon_fail(failure, error, "the kernel does not load the probe: %s (%s)", strerror(-error), amon_heard());
}

/* Maps */

static bool is_twice(const struct amon_loaded *loaded, const char *name)
{
	for (uint32_t i = 0; i < loaded->reader->maps.count; i++)
		if (strcmp(loaded->reader->maps.maps[i].name, name) == 0)
			return loaded->reader->maps.maps[i].twice;
	return false;
}

bool amon_map_is_constants(const struct bpf_map *map)
{
	return bpf_map__is_internal(map) && strstr(bpf_map__name(map), ".rodata");
}

/* All but what each clone has of its own: what is doubled, and its constants. Variables of a user's C are shared. */
static bool is_shared(const struct amon_loaded *loaded, const struct bpf_map *map)
{
	return !amon_map_is_constants(map) && !is_twice(loaded, bpf_map__name(map)) &&
	       strcmp(bpf_map__name(map), CONTROL_MAP) != 0;
}

static int share_maps(const struct amon_loaded *loaded, const struct bpf_object *with, const struct amon_clone *clone)
{
	struct bpf_map *map;
	int error = 0;

	bpf_object__for_each_map(map, clone->object)
	{
		const struct bpf_map *shared = bpf_object__find_map_by_name(with, bpf_map__name(map));

		if (!error && is_shared(loaded, map))
			error = bpf_map__reuse_fd(map, bpf_map__fd(shared));
	}
	return error;
}

/* A hash has no more room than it was made with: what is remembered begins anew where that is not enough. */
static bool has_room(int fd, const struct bpf_map *map)
{
	struct bpf_map_info info = { 0 };
	uint32_t length = sizeof(info);

	return !bpf_obj_get_info_by_fd(fd, &info, &length) && info.max_entries >= bpf_map__max_entries(map);
}

/* What goes on counting where it was. */
static int inherit_maps(const struct amon_maps *inherited, const struct amon_clone *clone, unsigned int index)
{
	int error = 0;

	for (uint32_t i = 0; inherited && i < inherited->count && !error; i++) {
		int fd = amon_maps_find(inherited, inherited->maps[i].name, index);
		struct bpf_map *map = bpf_object__find_map_by_name(clone->object, inherited->maps[i].name);

		if (fd >= 0 && map && has_room(fd, map))
			error = bpf_map__reuse_fd(map, fd);
	}
	return error;
}

/* Programs that ask for the number of the window find it where readers write it. */
static int share_control(const struct amon_loaded *loaded, const struct amon_clone *clone)
{
	struct bpf_map *map = bpf_object__find_map_by_name(clone->object, CONTROL_MAP);

	return map ? bpf_map__reuse_fd(map, loaded->reader->control_map) : 0;
}

/* The reader outlives the objects where a probe is left running. */
static int note_maps(const struct amon_loaded *loaded, struct amon_failure *failure)
{
	struct amon_maps *maps = &loaded->reader->maps;

	for (uint32_t i = 0; i < maps->count; i++)
		for (uint32_t clone = 0; clone < (maps->maps[i].twice ? loaded->clone_count : 1); clone++) {
			int fd = bpf_object__find_map_fd_by_name(loaded->clones[clone].object, maps->maps[i].name);

			if (fd < 0)
				return not_a_probe(failure, "no map ", maps->maps[i].name);
			maps->maps[i].fds[clone] = fcntl(fd, F_DUPFD_CLOEXEC, 0);
		}
	return 0;
}

/* As many as the largest row that spills has. */
static int shape_zeros(const struct bpf_object *object, uint32_t size)
{
	struct bpf_map *zeros = bpf_object__find_map_by_name(object, ZEROS_MAP);

	if (!zeros)
		return -EINVAL;
	return bpf_map__value_size(zeros) < size ? bpf_map__set_value_size(zeros, size) : 0;
}

static int set_shape(const struct bpf_object *object, const char *name, const struct amon_own_shape *shape)
{
	size_t size = 0;
	unsigned char *constant = find_constant(object, name, &size);

	if (size != sizeof(shape->constant))
		return -EINVAL;
	memcpy(constant, &shape->constant, sizeof(shape->constant));
	return 0;
}

/* Rows that CPUs own: as many as the machine and the table's size ask for. */
static int shape_rows(struct bpf_object *object, const struct amon_export_table *table, const struct amon_own_use *use)
{
	struct amon_own_shape shape = amon_own_shape(table, use);
	struct bpf_map *own = bpf_object__find_map_by_name(object, table->map);
	struct bpf_map *spill = bpf_object__find_map_by_name(object, table->spill_map);
	int error = own && spill ? set_shape(object, table->shape, &shape) : -EINVAL;

	if (!error)
		error = bpf_map__set_value_size(own, (uint32_t)shape.size);
	if (!error)
		error = bpf_map__set_value_size(spill, use->cpus * table->record_size);
	if (!error)
		error = shape_zeros(object, use->cpus * table->record_size);
	return error ? error : bpf_map__set_max_entries(spill, shape.spill);
}

/* The kernel rounds the number of entries up to a power of two, of 32 bits. */
#define ENTRIES_MAX (1u << 31)

/* Rows that there can be at a time, of all CPUs. */
static uint64_t count_rows(const struct amon_export_section *section, const struct amon_export_memory *memory,
                           const struct amon_own_use *use)
{
	for (uint32_t i = 0; memory->rows && i < section->table_count; i++)
		if (!strcmp(section->tables[i].map, memory->rows)) {
			struct amon_own_shape shape = amon_own_shape(&section->tables[i], use);

			return (uint64_t)use->cpus * shape.constant.limit + shape.spill;
		}
	return memory->size;
}

static int shape_memory(struct bpf_object *object, const struct amon_export_section *section,
                        const struct amon_export_memory *memory, const struct amon_own_use *use)
{
	struct bpf_map *map = bpf_object__find_map_by_name(object, memory->map);
	uint64_t entries;

	if (!map)
		return -EINVAL;
	if (!memory->windows)
		return 0;
	entries = memory->windows * count_rows(section, memory, use);
	return bpf_map__set_max_entries(map, entries < ENTRIES_MAX ? (uint32_t)entries : ENTRIES_MAX);
}

static int shape_lives(struct bpf_object *object, const struct amon_export_table *table, const struct amon_own_use *use)
{
	struct amon_own_shape shape = amon_lives_shape(table, use);
	struct bpf_map *lives = bpf_object__find_map_by_name(object, table->expire->lives_map);
	int error = lives ? set_shape(object, table->expire->shape, &shape) : -EINVAL;

	if (!error)
		error = bpf_map__set_value_size(lives, (uint32_t)shape.size);
	return error ? error : bpf_map__set_max_entries(lives, use->cpus);
}

static int shape_table(struct bpf_object *object, const struct amon_export_table *table, const struct amon_own_use *use)
{
	int error = table->shape ? shape_rows(object, table, use) : 0;

	return error || !table->expire || !table->expire->lives_map ? error : shape_lives(object, table, use);
}

static int shape_section(struct bpf_object *object, const struct amon_export_section *section,
                         const struct amon_own_use *use)
{
	int error = 0;

	for (uint32_t i = 0; i < section->table_count && !error; i++)
		error = shape_table(object, &section->tables[i], use);
	for (uint32_t i = 0; i < section->memory_count && !error; i++)
		error = shape_memory(object, section, &section->memories[i], use);
	return error;
}

/* In C, a ring's value says what its records are; the kernel wants none. */
static int plain_rings(struct bpf_object *object)
{
	struct bpf_map *map;
	int error = 0;

	bpf_object__for_each_map(map, object)
	{
		if (!error && bpf_map__type(map) == BPF_MAP_TYPE_RINGBUF && bpf_map__value_size(map))
			error = bpf_map__set_value_size(map, 0);
	}
	return error;
}

static uint32_t cpus_of(bool replay)
{
	return replay ? (uint32_t)amon_kernel_first_cpu() + 1 : (uint32_t)libbpf_num_possible_cpus();
}

int amon_probe_shape(struct bpf_object *object, const struct amon_exports *exports, unsigned int clone, bool replay)
{
	struct amon_own_use use = { clone, cpus_of(replay), replay };
	int error = 0;

	for (uint32_t i = 0; i < exports->section_count && !error; i++)
		error = shape_section(object, &exports->sections[i], &use);
	return error ? error : plain_rings(object);
}

/* A replay reads once a batch, so that no event may be lost before: the ring holds one for each of its packets. */
#define REPLAY_PACKETS 16384

static int widen_ring(struct bpf_map *map, uint32_t event_size)
{
	uint32_t size = bpf_map__max_entries(map);

	while (size < REPLAY_PACKETS * (uint64_t)(event_size + 16) && size < 1u << 30)
		size *= 2;
	return bpf_map__set_max_entries(map, size);
}

static int widen_rings(const struct amon_loaded *loaded)
{
	int error = 0;

	for (uint32_t i = 0; i < loaded->exports->section_count; i++)
		for (uint32_t j = 0; j < loaded->exports->sections[i].table_count && !error; j++) {
			const struct amon_export_table *table = &loaded->exports->sections[i].tables[j];
			struct bpf_map *map = bpf_object__find_map_by_name(loaded->clones[0].object, table->map);

			if (table->events && map)
				error = widen_ring(map, table->key_size);
		}
	return error;
}

/* Loading */

static int check_rings(const struct amon_exports *exports, struct amon_failure *failure)
{
	if (!amon_kernel_lacks(AMON_CAN_RINGBUF))
		return 0;
	for (uint32_t i = 0; i < exports->section_count; i++)
		for (uint32_t j = 0; j < exports->sections[i].table_count; j++) {
			const struct amon_export_table *table = &exports->sections[i].tables[j];

			if (table->events || (table->user && table->user->kind == AMON_MAP_RINGBUF))
				return amon_fail(failure, -EOPNOTSUPP,
				                 "this kernel has no ring buffers (Linux 5.8), and %s is one",
				                 table->name);
		}
	return 0;
}

/* For packets of one CPU, which all may have rows. */
static bool takes_all(const struct amon_loaded *loaded)
{
	return loaded->replay && !loaded->measured;
}

/* All that comes before the load. */
static int prepare_clone(const struct amon_loaded *loaded, const void *object, size_t size,
                         const struct amon_load_options *options, struct amon_clone *clone,
                         struct amon_failure *failure)
{
	int error;

	amon_listen();
	error = open_object(loaded, object, size, clone, failure);
	if (!error)
		error = choose_programs(loaded, clone, options->verbose, failure);
	if (error)
		return error;
	set_constants(loaded, clone, &options->choice);
	set_seed(loaded, clone);
	error = amon_probe_shape(clone->object, loaded->exports, (unsigned int)(clone - loaded->clones),
	                         takes_all(loaded));
	if (error)
		return not_a_probe(failure, "tables without shape", "");
	error = loaded->replay ? widen_rings(loaded) : 0;
	return error ? error : share_control(loaded, clone);
}

static int load_clone(const struct amon_loaded *loaded, struct amon_clone *clone, struct amon_failure *failure)
{
	int error;

	amon_listen();
	error = bpf_object__load(clone->object);
	free(failure->log);
	failure->log = amon_heard_log();
	if (error)
		return refused(failure, error);
	note_programs(loaded, clone);
	return 0;
}

/* --- two clones: nearly all of a load is the verifier's work, and the kernel does it for both at once */

struct loading {
	const struct amon_loaded *loaded;
	struct amon_clone *clone;
	struct amon_failure failure;
	int error;
};

static void *load_beside(void *data)
{
	struct loading *loading = data;

	loading->error = load_clone(loading->loaded, loading->clone, &loading->failure);
	return NULL;
}

static int load_both(struct amon_loaded *loaded, struct amon_failure *failure)
{
	struct loading second = { .loaded = loaded, .clone = &loaded->clones[1] };
	pthread_t thread;
	bool beside = pthread_create(&thread, NULL, load_beside, &second) == 0;
	int error = load_clone(loaded, &loaded->clones[0], failure);

	if (beside)
		pthread_join(thread, NULL);
	else if (!error)
		load_beside(&second);
	if (error || !second.error) {
		amon_failure_clear(&second.failure);
		return error;
	}
	amon_failure_clear(failure);
	*failure = second.failure;
	return second.error;
}

/* What clones share is made first, by an object of which nothing else is loaded. */
static int make_shared(const struct amon_loaded *loaded, const void *object, size_t size,
                       const struct amon_load_options *options, struct amon_clone *shared, struct amon_failure *failure)
{
	struct bpf_program *program;
	struct bpf_map *map;
	int error;

	amon_listen();
	error = open_object(loaded, object, size, shared, failure);
	if (error)
		return error;
	error = amon_probe_shape(shared->object, loaded->exports, 0, takes_all(loaded));
	if (error)
		return not_a_probe(failure, "tables without shape", "");
	bpf_object__for_each_program(program, shared->object) bpf_program__set_autoload(program, false);
	bpf_object__for_each_map(map, shared->object) bpf_map__set_autocreate(map, is_shared(loaded, map));
	error = inherit_maps(options->inherited, shared, 0);
	return error ? error : bpf_object__load(shared->object);
}

static int load_two(struct amon_loaded *loaded, const void *object, size_t size,
                    const struct amon_load_options *options, struct amon_failure *failure)
{
	struct amon_clone shared = { NULL };
	int error = make_shared(loaded, object, size, options, &shared, failure);

	if (error && !*failure->message)
		error = refused(failure, error);
	for (uint32_t i = 0; i < AMON_CLONES && !error; i++) {
		error = prepare_clone(loaded, object, size, options, &loaded->clones[i], failure);
		if (!error)
			error = share_maps(loaded, shared.object, &loaded->clones[i]);
		if (!error)
			error = inherit_maps(options->inherited, &loaded->clones[i], i);
	}
	bpf_object__close(shared.object);
	return error ? error : load_both(loaded, failure);
}

static int load_one(struct amon_loaded *loaded, const void *object, size_t size,
                    const struct amon_load_options *options, struct amon_failure *failure)
{
	int error = prepare_clone(loaded, object, size, options, &loaded->clones[0], failure);

	if (!error)
		error = inherit_maps(options->inherited, &loaded->clones[0], 0);
	return error ? error : load_clone(loaded, &loaded->clones[0], failure);
}

static int describe_table(const struct amon_loaded *loaded, const struct amon_export_table *table,
                          struct amon_failure *failure)
{
	bool small = takes_all(loaded);
	struct amon_own_use use = { 0, cpus_of(small), small };
	struct amon_own_shape shape = amon_own_shape(table, &use);
	struct amon_own own = { table, amon_maps_entry(&loaded->reader->maps, table->map), 0 };
	int error = amon_own_describe(&own, &shape);

	return error ? amon_fail(failure, error, "cannot prepare map %s: %s", table->map, strerror(-error)) : 0;
}

/* Whoever reads them later learns from the maps themselves how they are laid out. */
static int describe_rows(const struct amon_loaded *loaded, struct amon_failure *failure)
{
	const struct amon_exports *exports = loaded->exports;
	int error = 0;

	for (uint32_t i = 0; i < exports->section_count; i++)
		for (uint32_t j = 0; j < exports->sections[i].table_count && !error; j++)
			if (exports->sections[i].tables[j].shape)
				error = describe_table(loaded, &exports->sections[i].tables[j], failure);
	return error;
}

static bool has_doubled(const struct amon_maps *maps)
{
	for (uint32_t i = 0; i < maps->count; i++)
		if (maps->maps[i].twice)
			return true;
	return false;
}

int amon_probe_load(const void *object, size_t size, const struct amon_exports *exports,
                    const struct amon_load_options *options, struct amon_loaded **result, struct amon_failure *failure)
{
	__attribute__((cleanup(amon_probe_cleanup))) struct amon_loaded *loaded = calloc(1, sizeof(*loaded));
	bool announces = options->announces || exports->announces;
	int error;

	if (loaded)
		loaded->reader = calloc(1, sizeof(*loaded->reader));
	if (!loaded || !loaded->reader)
		return amon_fail(failure, -ENOMEM, "out of memory");
	loaded->exports = exports;
	loaded->replay = options->replay;
	loaded->measured = options->measured;
	loaded->ingress_tc = options->choice.ingress_tc;
	for (uint32_t clone = 0; clone < AMON_CLONES; clone++)
		memset(loaded->clones[clone].programs, 0xff, sizeof(loaded->clones[clone].programs));
	loaded->reader->control_map = loaded->reader->baseline = -1;
	error = check_rings(exports, failure);
	if (error)
		return error;
	error = options->replaces ? amon_reader_beside(exports, options->replaces, loaded->reader, failure)
	                          : amon_reader_new(exports, announces, loaded->reader, failure);
	if (error)
		return error;
	loaded->clone_count = !options->replay && has_doubled(&loaded->reader->maps) ? AMON_CLONES : 1;
	error = loaded->clone_count == 1 ? load_one(loaded, object, size, options, failure)
	                                 : load_two(loaded, object, size, options, failure);
	if (!error)
		error = note_maps(loaded, failure);
	if (!error)
		error = describe_rows(loaded, failure);
	if (error)
		return error;
	*result = loaded;
	loaded = NULL;
	return 0;
}

void amon_probe_unload(struct amon_loaded *loaded)
{
	if (!loaded)
		return;
	if (loaded->reader)
		amon_reader_close(loaded->reader);
	free(loaded->reader);
	for (uint32_t clone = 0; clone < AMON_CLONES; clone++)
		bpf_object__close(loaded->clones[clone].object);
	free(loaded);
}

int amon_probe_map(const struct amon_loaded *loaded, const char *name)
{
	const struct bpf_map *map = bpf_object__find_map_by_name(loaded->clones[0].object, name);
	int fd = map ? bpf_map__fd(map) : -1;

	return fd < 0 ? -ENOENT : fd;
}
