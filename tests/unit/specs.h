/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_UNIT_SPECS_H
#define TESTS_UNIT_SPECS_H

#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Calls `visit` with the text of each spec of ours, but for those with C of others, which needs its file. */
static inline void for_each_spec(void (*visit)(const char *text, void *data), void *data)
{
	glob_t files;

	assert_int_equal(glob(AMON_SOURCE_DIR "/examples/*.amon", 0, NULL, &files), 0);
	assert_int_equal(glob(AMON_SOURCE_DIR "/tests/golden/*.amon", GLOB_APPEND, NULL, &files), 0);
	for (size_t i = 0; i < files.gl_pathc; i++) {
		FILE *file = fopen(files.gl_pathv[i], "r");
		char *text = NULL;
		size_t size = 0;

		assert_non_null(file);
		assert_true(getdelim(&text, &size, '\0', file) > 0);
		fclose(file);
		if (!strstr(text, "source \""))
			visit(text, data);
		free(text);
	}
	globfree(&files);
}

#endif
