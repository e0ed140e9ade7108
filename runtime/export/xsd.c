/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "schema.h"
#include "xml_stream.h"

/* Of one spec: its own elements here, and the types that all specs share from schemas/amon.xsd. */
#define SHARED_TYPES "  <!-- From here on the same in each spec's schema. -->\n"

struct xsd {
	xmlTextWriterPtr writer;
	struct amon_arena *arena;
};

static void put_open(struct xsd *xsd, const char *name)
{
	xmlTextWriterStartElement(xsd->writer, BAD_CAST name);
}

static void put_close(struct xsd *xsd)
{
	xmlTextWriterEndElement(xsd->writer);
}

static void put_attribute(struct xsd *xsd, const char *name, const char *text)
{
	xmlTextWriterWriteAttribute(xsd->writer, BAD_CAST name, BAD_CAST text);
}

/* An element that the spec names: it is in no namespace. */
static void open_own(struct xsd *xsd, const char *name)
{
	put_open(xsd, "xs:element");
	put_attribute(xsd, "name", name);
	put_attribute(xsd, "form", "unqualified");
}

static void open_ours(struct xsd *xsd, const char *name)
{
	put_open(xsd, "xs:element");
	put_attribute(xsd, "name", name);
}

static void open_content(struct xsd *xsd)
{
	put_open(xsd, "xs:complexType");
	put_open(xsd, "xs:sequence");
}

static void close_content(struct xsd *xsd)
{
	put_close(xsd);
	put_close(xsd);
}

static void put_help(struct xsd *xsd, const char *help)
{
	if (!*help)
		return;
	put_open(xsd, "xs:annotation");
	xmlTextWriterWriteElement(xsd->writer, BAD_CAST "xs:documentation", BAD_CAST amon_xml_clean(xsd->arena, help));
	put_close(xsd);
}

/* --- blocks */

static void put_column(struct xsd *xsd, const char *name, const struct amon_export_column *column)
{
	static const char *const types[] = {
		[AMON_SHAPE_NATURAL] = "xs:unsignedLong",
		[AMON_SHAPE_INTEGER] = "xs:long",
		[AMON_SHAPE_NUMBER] = "xs:double",
		[AMON_SHAPE_BOOLEAN] = "xs:boolean",
		[AMON_SHAPE_INSTANT] = "amon:instant",
		[AMON_SHAPE_IPV4] = "amon:ipv4",
		[AMON_SHAPE_IPV6] = "amon:ipv6",
		[AMON_SHAPE_NET] = "amon:net",
		[AMON_SHAPE_MAC] = "amon:mac",
		[AMON_SHAPE_HISTOGRAM] = "amon:histogram",
		[AMON_SHAPE_END_REASON] = "amon:end_reason",
	};

	if (column->kind == AMON_COLUMN_END)
		open_ours(xsd, column->name);
	else
		open_own(xsd, name);
	put_attribute(xsd, "type", types[amon_shape_of(column)]);
	if (amon_may_be_null(column))
		put_attribute(xsd, "minOccurs", "0");
	put_help(xsd, column->help);
	put_close(xsd);
}

/* `least` and `most`: how often the element stands there, "1" where nothing is said. Columns from `first` on. */
static void put_columns(struct xsd *xsd, const char *element, const char *least, const char *most,
                        const struct amon_export_column *columns, uint32_t first, uint32_t count)
{
	char **names = amon_xml_columns(xsd->arena, columns, count);

	open_ours(xsd, element);
	put_attribute(xsd, "minOccurs", least);
	put_attribute(xsd, "maxOccurs", most);
	open_content(xsd);
	for (uint32_t i = first; i < count; i++)
		put_column(xsd, names[i], &columns[i]);
	close_content(xsd);
	put_close(xsd);
}

static void put_metrics(struct xsd *xsd, const struct amon_export_column *columns, uint32_t count)
{
	if (count)
		put_columns(xsd, "metrics", "1", "1", columns, 0, count);
}

static void put_table(struct xsd *xsd, const char *name, const struct amon_export_table *table)
{
	open_own(xsd, name);
	put_help(xsd, table->help);
	open_content(xsd);
	put_columns(xsd, "row", "0", "unbounded", table->columns, 0, table->column_count);
	put_columns(xsd, "other", "0", "1", table->columns, table->key_count, table->column_count);
	put_columns(xsd, "rest", "0", "1", table->columns, table->key_count, table->column_count);
	close_content(xsd);
	put_close(xsd);
}

static void put_tables(struct xsd *xsd, const struct amon_export_section *section)
{
	char **names = amon_xml_tables(xsd->arena, section);

	if (!section->table_count)
		return;
	open_ours(xsd, "tables");
	open_content(xsd);
	for (uint32_t i = 0; i < section->table_count; i++)
		put_table(xsd, names[i], &section->tables[i]);
	close_content(xsd);
	put_close(xsd);
}

static void put_typed(struct xsd *xsd, const char *name, const char *type, const char *most)
{
	open_ours(xsd, name);
	put_attribute(xsd, "type", type);
	put_attribute(xsd, "maxOccurs", most);
	put_close(xsd);
}

static void put_section(struct xsd *xsd, const char *name, const struct amon_export_section *section)
{
	open_own(xsd, name);
	open_content(xsd);
	put_typed(xsd, "hook", "amon:hook", "unbounded");
	put_metrics(xsd, section->columns, section->column_count);
	put_tables(xsd, section);
	put_typed(xsd, "ledger", "amon:ledger", "1");
	close_content(xsd);
	put_close(xsd);
}

/* --- the whole */

static void put_probe(struct xsd *xsd, const char *name)
{
	put_open(xsd, "xs:attribute");
	put_attribute(xsd, "name", "probe");
	put_attribute(xsd, "type", "xs:string");
	put_attribute(xsd, "use", "required");
	put_attribute(xsd, "fixed", amon_xml_clean(xsd->arena, name));
	put_close(xsd);
	put_open(xsd, "xs:attribute");
	put_attribute(xsd, "name", "interface");
	put_attribute(xsd, "type", "xs:string");
	put_close(xsd);
}

static void put_read(struct xsd *xsd, const struct amon_exports *exports)
{
	char **names = amon_xml_sections(xsd->arena, exports);

	open_ours(xsd, "read");
	put_attribute(xsd, "minOccurs", "0");
	put_attribute(xsd, "maxOccurs", "unbounded");
	put_help(xsd, exports->help);
	open_content(xsd);
	put_typed(xsd, "window", "amon:window", "1");
	for (uint32_t i = 0; i < exports->section_count; i++)
		put_section(xsd, names[i], &exports->sections[i]);
	put_metrics(xsd, exports->columns, exports->column_count);
	put_close(xsd); /* the sequence: attributes stand behind it */
	put_probe(xsd, exports->probe);
	put_close(xsd);
	put_close(xsd);
}

int amon_write_xsd(const struct amon_exports *exports, FILE *to)
{
	struct xsd xsd = { .writer = amon_xml_writer(to) };

	if (!xsd.writer)
		return -ENOMEM;
	xsd.arena = amon_arena_new();
	errno = 0;
	fputs("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
	      "<xs:schema xmlns:xs=\"http://www.w3.org/2001/XMLSchema\" xmlns:amon=\"" AMON_XML_NAMESPACE
	      "\" targetNamespace=\"" AMON_XML_NAMESPACE "\" elementFormDefault=\"qualified\">\n",
	      to);
	open_ours(&xsd, "reads");
	open_content(&xsd);
	put_read(&xsd, exports);
	close_content(&xsd);
	put_close(&xsd);
	xmlFreeTextWriter(xsd.writer);
	fputs(strstr(amon_schema_text("amon.xsd"), SHARED_TYPES), to);
	amon_arena_free(xsd.arena);
	return amon_export_end(to);
}
