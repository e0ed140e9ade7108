/* SPDX-License-Identifier: Apache-2.0 */
#include "xml_stream.h"

#include <string.h>

#include "export.h"
#include "taken.h"

/* libxml2 would tell of what cannot be written on standard error. */
static int write_bytes(void *to, const char *bytes, int length)
{
	fwrite(bytes, 1, (size_t)length, to);
	return length;
}

static int close_nothing(void *to)
{
	(void)to;
	return 0;
}

xmlTextWriterPtr amon_xml_writer(FILE *to)
{
	xmlOutputBufferPtr buffer = xmlOutputBufferCreateIO(write_bytes, close_nothing, to, NULL);
	xmlTextWriterPtr writer = buffer ? xmlNewTextWriter(buffer) : NULL;

	if (!writer) {
		xmlOutputBufferClose(buffer);
		return NULL;
	}
	xmlTextWriterSetIndent(writer, 1);
	xmlTextWriterSetIndentString(writer, BAD_CAST "  ");
	return writer;
}

char *amon_xml_clean(struct amon_arena *arena, const char *text)
{
	char *result = amon_arena_alloc(arena, 3 * strlen(text) + 1), *to = result;
	size_t length;

	while (*text) {
		const char *character = amon_character(&text, &length);

		to = mempcpy(to, character, length);
	}
	return result;
}

/* --- names */

#define ALSO_IN_XML ".-"

char **amon_xml_columns(struct amon_arena *arena, const struct amon_export_column *columns, uint32_t count)
{
	char **names = amon_new_array(arena, char *, count);
	struct amon_taken taken = { 0 };

	for (uint32_t i = 0; i < count; i++)
		names[i] = columns[i].kind == AMON_COLUMN_END
		                   ? amon_arena_printf(arena, "amon:%s", columns[i].name)
		                   : amon_taken_identifier(&taken, arena, columns[i].name, ALSO_IN_XML);
	amon_taken_free(&taken);
	return names;
}

char **amon_xml_sections(struct amon_arena *arena, const struct amon_exports *exports)
{
	char **names = amon_new_array(arena, char *, exports->section_count);
	struct amon_taken taken = { 0 };

	for (uint32_t i = 0; i < exports->section_count; i++)
		names[i] = amon_taken_identifier(&taken, arena, exports->sections[i].name, ALSO_IN_XML);
	amon_taken_free(&taken);
	return names;
}

char **amon_xml_tables(struct amon_arena *arena, const struct amon_export_section *section)
{
	char **names = amon_new_array(arena, char *, section->table_count);
	struct amon_taken taken = { 0 };

	for (uint32_t i = 0; i < section->table_count; i++)
		names[i] = amon_taken_identifier(&taken, arena, section->tables[i].name, ALSO_IN_XML);
	amon_taken_free(&taken);
	return names;
}
