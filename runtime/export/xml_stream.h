/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AMON_XML_STREAM_H
#define AMON_XML_STREAM_H

#include <libxml/xmlwriter.h>
#include <stdio.h>

#include "compiler/exports.h"

/**
 * What amon names is in this namespace, what specs name is in none: so neither stands in the other's way. Documents
 * (xml.c) and their schemas (xsd.c) have the same names.
 */
#define AMON_XML_NAMESPACE "urn:amon:1"

/** A writer onto a stream, indented; NULL where memory ran out. What does not get written the stream remembers. */
xmlTextWriterPtr amon_xml_writer(FILE *to);

/** A text that may stand in XML: amon_character(), one after another. */
char *amon_xml_clean(struct amon_arena *arena, const char *text);

/** The elements of a block's columns, and those of names of any kind: as exported, with `_` for what XML has not. */
char **amon_xml_columns(struct amon_arena *arena, const struct amon_export_column *columns, uint32_t count);
char **amon_xml_sections(struct amon_arena *arena, const struct amon_exports *exports);
char **amon_xml_tables(struct amon_arena *arena, const struct amon_export_section *section);

#endif
