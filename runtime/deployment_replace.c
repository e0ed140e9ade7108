/* SPDX-License-Identifier: Apache-2.0 */
#include "deployment_internal.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "attached.h"
#include "carry.h"
#include "cleanup.h"
#include "compiler/arena.h"
#include "kept.h"
#include "object.h"

/* The export table inside an object. */
static struct amon_exports *exports_of(struct amon_arena *arena, const void *object, size_t size)
{
	const char *text = NULL, *reason = NULL;
	size_t length = 0;

	if (amon_object_find_section(object, size, AMON_EXPORTS_SECTION, (const void **)&text, &length))
		return NULL;
	return amon_exports_decode(arena, text, length, &reason);
}

static bool is_of_table(const struct amon_export_table *table, const char *map)
{
	return !strcmp(table->map, map) || (table->spill_map && !strcmp(table->spill_map, map)) ||
	       (table->other_map && !strcmp(table->other_map, map)) ||
	       (table->expire && table->expire->lives_map && !strcmp(table->expire->lives_map, map));
}

/* The signature of what a map holds, by its name; 0: no such map. */
static uint64_t signature_of(const struct amon_exports *exports, const char *map)
{
	for (uint32_t i = 0; i < exports->section_count; i++) {
		const struct amon_export_section *section = &exports->sections[i];

		for (uint32_t j = 0; j < section->part_count; j++)
			if (!strcmp(section->parts[j].map, map))
				return section->parts[j].signature;
		for (uint32_t j = 0; j < section->table_count; j++)
			if (is_of_table(&section->tables[j], map))
				return section->tables[j].rows_signature;
		for (uint32_t j = 0; j < section->memory_count; j++)
			if (!strcmp(section->memories[j].map, map))
				return section->memories[j].signature;
	}
	return 0;
}

static bool is_inherited(const struct amon_exports *old, const struct amon_exports *new, const char *map)
{
	uint64_t signature = signature_of(new, map);

	return signature && signature == signature_of(old, map);
}

/* What goes on counting where it is, of the maps of the running probe; all others are skipped. */
static void choose_inherited(const struct amon_exports *old, const struct amon_exports *new, struct amon_maps *maps)
{
	for (uint32_t i = 0; i < maps->count; i++)
		maps->maps[i].skipped = is_inherited(old, new, maps->maps[i].name);
}

/* Only the maps that are skipped, borrowed. */
static struct amon_maps inherited_of(const struct amon_maps *maps, struct amon_map *room)
{
	struct amon_maps inherited = { room, 0 };

	for (uint32_t i = 0; i < maps->count; i++)
		if (maps->maps[i].skipped)
			inherited.maps[inherited.count++] = maps->maps[i];
	return inherited;
}

static bool part_is_inherited(const struct amon_exports *old, const struct amon_exports *new,
                              const struct amon_export_section *section)
{
	for (uint32_t i = 0; i < section->part_count; i++)
		if (!section->parts[i].twice && is_inherited(old, new, section->parts[i].map))
			return true;
	return false;
}

/* Differences go on from where they were in maps that are inherited; new maps start from nothing. */
static int move_baseline(const struct amon_exports *old, const struct amon_reader *from, const struct amon_exports *new,
                         const struct amon_reader *to)
{
	struct bpf_map_info info = { 0 }, old_info = { 0 };
	uint32_t length = sizeof(info);
	int error = 0;

	if (from->baseline < 0 || to->baseline < 0)
		return 0;
	if (bpf_obj_get_info_by_fd(to->baseline, &info, &length) ||
	    bpf_obj_get_info_by_fd(from->baseline, &old_info, &length))
		return -errno;
	AMON_FREES uint8_t *had = malloc(old_info.value_size);
	AMON_FREES uint8_t *has = malloc(info.value_size);
	if (!had || !has)
		return -ENOMEM;
	for (uint32_t slot = 0; slot < 2 && !error; slot++) {
		size_t at = 0;

		memset(has, 0, info.value_size);
		error = bpf_map_lookup_elem(from->baseline, &slot, had);
		for (uint32_t i = 0; i < new->section_count && !error; at += new->sections[i].record_size, i++) {
			size_t old_at = 0;

			for (uint32_t j = 0; j < old->section_count; old_at += old->sections[j].record_size, j++)
				if (old->sections[j].signature == new->sections[i].signature &&
				    part_is_inherited(old, new, &new->sections[i]))
					amon_carry_section(&old->sections[j], had + old_at, &new->sections[i],
					                   has + at);
		}
		if (!error)
			error = bpf_map_update_elem(to->baseline, &slot, has, BPF_ANY);
	}
	return error;
}

/* The new clones in the slots that no gate calls yet; hooks that only the new probe has hang there from now on. */
static int place(struct amon_deployment *deployment, const struct amon_loaded *loaded, unsigned int pair,
                 struct amon_failure *failure)
{
	struct amon_attached *attached = deployment->attached;
	int error = 0;

	for (enum amon_hook_kind kind = 0; kind < AMON_HOOK_COUNT && !error; kind++) {
		if (!amon_attached_has(attached, kind)) {
			if (loaded->clones[0].programs[kind] < 0)
				continue;
			error = amon_attached_add(attached, loaded, deployment->at.interface, kind, pair, failure);
			if (!error && amon_pin_hook(attached, kind, deployment->directory))
				error = amon_cannot_pin(failure, deployment->directory, -errno);
			if (!error && kind != AMON_HOOK_XDP)
				amon_note_filter(loaded->reader->control, attached, kind == AMON_HOOK_TC_EGRESS);
			else if (!error)
				loaded->reader->control->xdp_mode = attached->xdp.mode;
			continue;
		}
		for (unsigned int clone = 0; clone < AMON_CLONES && !error; clone++)
			error = amon_gate_fill(amon_attached_gate(attached, kind), AMON_CLONES * pair + clone,
			                       loaded->clones[clone < loaded->clone_count ? clone : 0].programs[kind]);
	}
	return error;
}

/* What the old probe had counted that the new one does not count on, in the new one's records. */
static int carry_over(struct amon_deployment *deployment, unsigned int pair, const struct amon_exports *old,
                      const struct amon_exports *new, struct amon_failure *failure)
{
	struct amon_collected *counts __attribute__((cleanup(amon_collected_cleanup))) = NULL;
	struct amon_collected *converted __attribute__((cleanup(amon_collected_cleanup))) = NULL;
	struct amon_reader reader;
	char current[AMON_PIN_PATH];
	int error = amon_deployment_open_reader(deployment, !pair, old, &reader, failure);

	if (error)
		return error;
	amon_pair_directory(deployment->directory, pair, current);
	choose_inherited(old, new, &reader.maps);
	error = amon_reader_wait(&reader);
	if (!error)
		error = amon_reader_rest(&reader, &counts, failure);
	if (!error)
		error = amon_carry_convert(old, counts, new, &converted);
	if (!error) {
		AMON_CLOSES int map = amon_carry_write(new, converted);

		amon_unpin(current, "carry");
		error = map < 0 ? map : amon_pin(map, current, "carry");
	}
	if (!error && reader.flows)
		error = amon_kept_convert(old, reader.flows, new, current, reader.control->state >> 4);
	amon_reader_close(&reader);
	return error ? amon_fail(failure, error, "what %s had counted cannot be carried over: %s", deployment->at.name,
	                         strerror(-error))
	             : 0;
}

static bool needs_hook(const struct amon_exports *exports, bool ingress_tc, enum amon_hook_kind kind)
{
	for (uint32_t i = 0; i < exports->section_count; i++)
		for (uint32_t j = 0; j < exports->sections[i].hook_count; j++) {
			const struct amon_hook *hook = &exports->sections[i].hooks[j];

			if ((hook->choice && ingress_tc ? AMON_HOOK_TC_INGRESS : hook->kind) == kind)
				return true;
		}
	return false;
}

/* Lets go of the pair that ran before. */
static void release(struct amon_deployment *deployment, unsigned int pair, const struct amon_exports *new)
{
	AMON_CLOSES int lock = amon_hook_lock(NULL);

	(void)lock;
	for (enum amon_hook_kind kind = 0; kind < AMON_HOOK_COUNT; kind++) {
		if (!amon_attached_has(deployment->attached, kind))
			continue;
		if (!needs_hook(new, deployment->ingress_tc, kind)) {
			amon_attached_remove(deployment->attached, kind);
			amon_unpin_hook(deployment->directory, kind);
			continue;
		}
		for (unsigned int clone = 0; clone < AMON_CLONES; clone++)
			amon_gate_fill(amon_attached_gate(deployment->attached, kind), AMON_CLONES * !pair + clone, -1);
	}
}

/* Behind the store that puts a pair in place; may be done again from here, by whoever comes next. */
int amon_deployment_finish(struct amon_deployment *deployment, unsigned int pair, struct amon_failure *failure)
{
	struct amon_arena *arena = amon_arena_new();
	char current[AMON_PIN_PATH], other[AMON_PIN_PATH];
	AMON_FREES void *old_object = NULL;
	AMON_FREES void *new_object = NULL;
	struct amon_exports *old, *new;
	size_t old_size = 0, new_size = 0;
	int error;

	amon_pair_directory(deployment->directory, pair, current);
	amon_pair_directory(deployment->directory, !pair, other);
	error = amon_pinned_object(other, &old_object, &old_size);
	if (!error)
		error = amon_pinned_object(current, &new_object, &new_size);
	old = error ? NULL : exports_of(arena, old_object, old_size);
	new = error ? NULL : exports_of(arena, new_object, new_size);
	if (!old || !new) {
		error = error ? error : -EINVAL;
		amon_deployment_damaged(deployment, error, failure);
	} else {
		error = carry_over(deployment, pair, old, new, failure);
	}
	if (!error) {
		amon_unpin(current, "from");
		release(deployment, pair, new);
		amon_unpin_directory(other);
	}
	amon_arena_free(arena);
	return error;
}

static int load_replacement(const struct amon_deployment *deployment, const struct amon_exports *exports,
                            struct amon_reader *running, const struct amon_replacement *by, struct amon_loaded **loaded,
                            struct amon_failure *failure)
{
	AMON_FREES struct amon_map *room = calloc(running->maps.count + 1, sizeof(*room));
	struct amon_load_options load = by->load;
	struct amon_maps inherited;
	int error;

	(void)deployment;
	if (!room)
		return amon_fail(failure, -ENOMEM, "out of memory");
	choose_inherited(exports, by->exports, &running->maps);
	inherited = inherited_of(&running->maps, room);
	load.replaces = running;
	load.inherited = &inherited;
	error = amon_probe_load(by->object, by->object_size, by->exports, &load, loaded, failure);
	return error ? error : move_baseline(exports, running, by->exports, (*loaded)->reader);
}

/* All that can fail comes before the one store. */
static int take_place(struct amon_deployment *deployment, const struct amon_loaded *loaded,
                      const struct amon_replacement *by, unsigned int pair, struct amon_failure *failure)
{
	char path[AMON_PIN_PATH];
	int error;

	amon_pair_directory(deployment->directory, pair, path);
	error = amon_pin_pair(loaded, by->object, by->object_size, path, failure);
	if (!error)
		error = amon_pin(loaded->reader->control_map, path, "from");
	if (!error) {
		AMON_CLOSES int lock = amon_hook_lock(failure);

		error = lock < 0 ? lock : place(deployment, loaded, pair, failure);
	}
	if (error) {
		amon_unpin_directory(path);
		return error;
	}
	amon_reader_set_pair(loaded->reader, pair);
	return amon_deployment_finish(deployment, pair, failure);
}

int amon_deployment_replace(struct amon_deployment *deployment, const struct amon_exports *exports,
                            const struct amon_replacement *by, struct amon_failure *failure)
{
	struct amon_loaded *loaded __attribute__((cleanup(amon_probe_cleanup))) = NULL;
	struct amon_reader running;
	int error = amon_deployment_reader(deployment, exports, &running, failure);

	if (error)
		return error;
	if (amon_reader_is_cut(&running))
		error = amon_fail(failure, -EBUSY,
		                  "a read of %s was broken off: read its window first, by `amonc read %s`",
		                  deployment->at.name, deployment->at.name);
	if (!error)
		error = load_replacement(deployment, exports, &running, by, &loaded, failure);
	if (!error && !by->dry_run)
		error = take_place(deployment, loaded, by, !amon_reader_pair(&running), failure);
	amon_reader_close(&running);
	return error;
}
