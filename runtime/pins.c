/* SPDX-License-Identifier: Apache-2.0 */
#include "chain.h"

#include <bpf/bpf.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cleanup.h"
#include "listen.h"

static void remove_pin(const char *directory, const char *name)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	unlink(path);
}

void amon_unpin_all(const char *directory)
{
	DIR *entries = opendir(directory);

	if (!entries)
		return;
	for (const struct dirent *entry; (entry = readdir(entries));)
		remove_pin(directory, entry->d_name);
	closedir(entries);
	rmdir(directory);
}

/* Where it is pinned already, that is as good. */
static int pin(const struct amon_chain *chain, int fd, const char *name)
{
	char path[128];
	int error;

	snprintf(path, sizeof(path), "%s/%s", chain->directory, name);
	amon_listen();
	error = bpf_obj_pin(fd, path);
	return error == -EEXIST ? 0 : error;
}

static const char *next_name(uint32_t id, char name[static 32])
{
	snprintf(name, 32, "next-%u", id);
	return name;
}

int amon_pin_next(const struct amon_chain *chain, int next, uint32_t id)
{
	char name[32];

	return pin(chain, next, next_name(id, name));
}

static int make_directory(const struct amon_chain *chain)
{
	mkdir("/sys/fs/bpf/amon", 0700);
	mkdir(AMON_PINS, 0700);
	return mkdir(chain->directory, 0700) && errno != EEXIST ? -errno : 0;
}

int amon_pin_root(const struct amon_chain *chain, int link)
{
	int error = make_directory(chain);

	if (!error)
		error = pin(chain, link, "link");
	return error ? error : pin(chain, chain->first, "first");
}

int amon_pin_nodes(const struct amon_chain *chain)
{
	int error = 0;

	for (uint32_t i = 0; i < chain->count && !error; i++)
		error = amon_pin_next(chain, chain->nodes[i].next, chain->nodes[i].next_id);
	return error;
}

void amon_unpin_next(const struct amon_chain *chain, uint32_t id)
{
	char name[32];

	remove_pin(chain->directory, next_name(id, name));
}

static bool knows_pin(const struct amon_chain *chain, const char *pin)
{
	char name[32];

	for (uint32_t i = 0; i < chain->count; i++)
		if (strcmp(next_name(chain->nodes[i].next_id, name), pin) == 0)
			return true;
	return strncmp(pin, "next-", 5) != 0;
}

/* Of a process that died between pinning and linking. */
int amon_unpin_unknown(const struct amon_chain *chain)
{
	DIR *entries = opendir(chain->directory);
	int removed = 0;

	if (!entries)
		return 0;
	for (const struct dirent *entry; (entry = readdir(entries));)
		if (!knows_pin(chain, entry->d_name)) {
			remove_pin(chain->directory, entry->d_name);
			removed++;
		}
	closedir(entries);
	return removed;
}

/* A pinned link whose interface is gone names none. */
static bool is_dead(const char *directory)
{
	struct bpf_link_info info = { 0 };
	uint32_t size = sizeof(info);
	char path[512];

	snprintf(path, sizeof(path), "%s/link", directory);
	AMON_CLOSES int link = bpf_obj_get(path);
	return link >= 0 && bpf_obj_get_info_by_fd(link, &info, &size) == 0 && info.xdp.ifindex == 0;
}

/* Of interfaces that are gone, whichever they were. */
void amon_unpin_gone(void)
{
	DIR *entries = opendir(AMON_PINS);

	if (!entries)
		return;
	for (const struct dirent *entry; (entry = readdir(entries));) {
		char directory[384];
		snprintf(directory, sizeof(directory), AMON_PINS "/%s", entry->d_name);
		if (entry->d_name[0] != '.' && is_dead(directory))
			amon_unpin_all(directory);
	}
	closedir(entries);
}
