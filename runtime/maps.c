/* SPDX-License-Identifier: Apache-2.0 */
#include "maps.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "cleanup.h"
#include "ring.h"

static void add(struct amon_maps *maps, const char *name, bool twice)
{
	maps->maps[maps->count++] = (struct amon_map){
		.name = name, .twice = twice, .fds = { -1, -1 }, .read = { AMON_RING_UNREAD, AMON_RING_UNREAD }
	};
}

static void add_section(struct amon_maps *maps, const struct amon_export_section *section)
{
	for (uint32_t i = 0; i < section->part_count; i++)
		add(maps, section->parts[i].map, section->parts[i].twice);
	for (uint32_t i = 0; i < section->table_count; i++) {
		const struct amon_export_table *table = &section->tables[i];

		/* rows of CPUs' own: all clones have one map */
		add(maps, table->map, table->twice && !table->shape);
		if (table->spill_map)
			add(maps, table->spill_map, table->twice);
		if (table->other_map)
			add(maps, table->other_map, table->twice);
		if (table->expire && table->expire->lives_map)
			add(maps, table->expire->lives_map, false);
	}
	for (uint32_t i = 0; i < section->memory_count; i++)
		add(maps, section->memories[i].map, false);
}

int amon_maps_list(const struct amon_exports *exports, struct amon_maps *maps)
{
	size_t room = 1;

	for (uint32_t i = 0; i < exports->section_count; i++)
		room += exports->sections[i].part_count + 4 * exports->sections[i].table_count +
		        exports->sections[i].memory_count;
	*maps = (struct amon_maps){ calloc(room, sizeof(*maps->maps)), 0 };
	if (!maps->maps)
		return -ENOMEM;
	for (uint32_t i = 0; i < exports->section_count; i++)
		add_section(maps, &exports->sections[i]);
	return 0;
}

void amon_maps_close(struct amon_maps *maps)
{
	for (uint32_t i = 0; i < maps->count; i++)
		for (int clone = 0; clone < AMON_CLONES; clone++) {
			if (maps->maps[i].memory[clone])
				munmap(maps->maps[i].memory[clone], maps->maps[i].memory_size);
			amon_close(&maps->maps[i].fds[clone]);
		}
	free(maps->maps);
	*maps = (struct amon_maps){ NULL, 0 };
}

struct amon_map *amon_maps_entry(const struct amon_maps *maps, const char *name)
{
	for (uint32_t i = 0; i < maps->count; i++)
		if (!strcmp(maps->maps[i].name, name))
			return &maps->maps[i];
	return NULL;
}

int amon_maps_find(const struct amon_maps *maps, const char *name, unsigned int clone)
{
	const struct amon_map *map = amon_maps_entry(maps, name);
	int fd = map ? map->fds[map->twice ? clone : 0] : -1;

	return fd < 0 ? -ENOENT : fd;
}

bool amon_maps_skips(const struct amon_maps *maps, const char *name)
{
	const struct amon_map *map = amon_maps_entry(maps, name);

	return map && map->skipped;
}

uint64_t *amon_maps_read(const struct amon_maps *maps, const char *name, unsigned int clone)
{
	struct amon_map *map = amon_maps_entry(maps, name);

	return map ? &map->read[map->twice ? clone : 0] : NULL;
}
