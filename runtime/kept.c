/* SPDX-License-Identifier: Apache-2.0 */
#include "kept.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "carry.h"
#include "cleanup.h"
#include "storage.h"

#define PATH 512

static int path_of(char path[static PATH], const char *directory, const char *name)
{
	return snprintf(path, PATH, "%s/%s", directory, name) < PATH ? 0 : -ENAMETOOLONG;
}

static const char *name_of(uint64_t window)
{
	return window & 1 ? "flows-1" : "flows-0";
}

/* Whole under its own name, or not at all. */
static int pin_in_place(int map, const char *directory, uint64_t window)
{
	char made[PATH], path[PATH];
	int error = path_of(made, directory, "flows-new");

	if (!error)
		error = path_of(path, directory, name_of(window));
	if (error)
		return error;
	unlink(made);
	error = bpf_obj_pin(map, made);
	if (!error && rename(made, path))
		error = -errno;
	return error;
}

static int write_open(const struct amon_exports *exports, const struct amon_collected *open, const char *directory,
                      uint64_t window)
{
	AMON_CLOSES int map = amon_carry_write(exports, open);

	return map < 0 ? map : pin_in_place(map, directory, window);
}

int amon_kept_write(const struct amon_exports *exports, const struct amon_flows *flows, const char *directory,
                    uint64_t window)
{
	__attribute__((cleanup(amon_collected_cleanup))) struct amon_collected *open = amon_collected_new(exports);
	int error = open ? amon_flows_open(flows, open) : -ENOMEM;

	return error ? error : write_open(exports, open, directory, window);
}

int amon_kept_convert(const struct amon_exports *from, const struct amon_flows *flows, const struct amon_exports *to,
                      const char *directory, uint64_t window)
{
	__attribute__((cleanup(amon_collected_cleanup))) struct amon_collected *open = amon_collected_new(from);
	__attribute__((cleanup(amon_collected_cleanup))) struct amon_collected *converted = NULL;
	int error = open ? amon_flows_open(flows, open) : -ENOMEM;

	if (!error)
		error = amon_carry_convert(from, open, to, &converted);
	return error ? error : write_open(to, converted, directory, window);
}

int amon_kept_read(const struct amon_exports *exports, const char *directory, uint64_t window, struct amon_flows *flows)
{
	__attribute__((cleanup(amon_collected_cleanup))) struct amon_collected *open = NULL;
	char path[PATH];
	int error = path_of(path, directory, name_of(window));

	if (error || access(path, F_OK))
		return error;
	AMON_CLOSES int map = bpf_obj_get(path);

	error = map < 0 ? map : amon_carry_read(exports, map, &open);
	return error ? error : amon_flows_load(flows, open);
}
