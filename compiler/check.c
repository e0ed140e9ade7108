/* SPDX-License-Identifier: Apache-2.0 */
#include "check_internal.h"

struct amon_probe *amon_check(struct amon_arena *arena, const struct amon_file *file,
                              const struct amon_check_options *options, struct amon_diagnostics *diagnostics)
{
	struct amon_probe *probe = amon_new(arena, struct amon_probe);
	struct check check = { .arena = arena,
		               .diagnostics = diagnostics,
		               .options = options,
		               .probe = probe,
		               .last_section = &probe->sections,
		               .broken = diagnostics->errors > 0 };

	probe->source = file->source;
	struct block *block = check_bind(&check, file);
	if (block) {
		check_packets(&check, block);
		check_exports(&check, block);
		check_defines(&check, block);
	}
	if (diagnostics->errors)
		return NULL;
	check_never(&check);
	return probe;
}
