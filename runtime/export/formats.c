/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "export.h"

const struct amon_format amon_formats[] = {
	{ .name = "table", .help = "aligned text, for people", .write = amon_write_table },
	{ .name = "json", .help = "one JSON document a read", .write = amon_write_json },
	{ .name = "jsonl", .help = "the same, one a line", .write = amon_write_jsonl },
	{ .name = "csv",
	  .help = "a file a table",
	  .write = amon_write_csv,
	  .part = amon_csv_part,
	  .only = amon_csv_only },
	{ .name = "xml", .help = "one XML document", .write = amon_write_xml, .end = amon_end_xml },
	{ .name = "openmetrics",
	  .help = "for Prometheus and its kin",
	  .write = amon_write_openmetrics,
	  .latest = true },
	{ .name = NULL },
};

const struct amon_format *amon_format_find(const char *name)
{
	for (const struct amon_format *format = amon_formats; format->name; format++)
		if (!strcmp(format->name, name))
			return format;
	return NULL;
}

int amon_export_end(FILE *to)
{
	if (!fflush(to) && !ferror(to))
		return 0;
	return errno ? -errno : -EIO;
}

const struct amon_attached_hook *amon_hook_attached(const struct amon_document *document, enum amon_hook_kind kind)
{
	for (uint32_t i = 0; document->hooks && i < document->hook_count; i++)
		if (document->hooks[i].kind == kind)
			return &document->hooks[i];
	return NULL;
}

enum amon_hook_kind amon_section_hook(const struct amon_document *document, const struct amon_hook *hook)
{
	bool no_xdp = document->hooks && !amon_hook_attached(document, AMON_HOOK_XDP);

	return hook->choice && (document->ingress_tc || no_xdp) ? AMON_HOOK_TC_INGRESS : hook->kind;
}
