/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "export.h"

const struct amon_format amon_formats[] = {
	{ "table", "aligned text, for people", amon_write_table },
	{ "json", "one JSON document a read", amon_write_json },
	{ "jsonl", "the same, one a line", amon_write_jsonl },
	{ NULL, NULL, NULL },
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

static void mac_text(const uint8_t *bytes, char *text)
{
	for (int i = 0; i < 6; i++)
		text += sprintf(text, i ? ":%02x" : "%02x", bytes[i]);
}

void amon_address_text(const struct amon_address *address, char text[AMON_TEXT_MAX])
{
	if (address->family == AMON_ADDRESS_MAC)
		mac_text(address->bytes, text);
	else
		inet_ntop(address->family == AMON_ADDRESS_IPV4 ? AF_INET : AF_INET6, address->bytes, text,
		          INET6_ADDRSTRLEN);
	if (address->has_prefix)
		sprintf(text + strlen(text), "/%u", address->prefix);
}

/* Seventeen digits always read back, most numbers need fewer; ".0" keeps a real from looking like an integer. */
void amon_real_text(double real, char text[AMON_TEXT_MAX])
{
	for (int digits = 15; digits <= 17; digits++) {
		snprintf(text, AMON_TEXT_MAX, "%.*g", digits, real);
		if (strtod(text, NULL) == real)
			break;
	}
	if (!strpbrk(text, ".e"))
		strcat(text, ".0");
}

void amon_time_text(uint64_t nanoseconds, unsigned int digits, char text[AMON_TEXT_MAX])
{
	time_t seconds = (time_t)(nanoseconds / 1000000000);
	char fraction[16];
	struct tm day;
	size_t length;

	gmtime_r(&seconds, &day);
	length = strftime(text, AMON_TEXT_MAX, "%Y-%m-%dT%H:%M:%S", &day);
	snprintf(fraction, sizeof(fraction), "%09u", (unsigned int)(nanoseconds % 1000000000));
	sprintf(text + length, ".%.*sZ", (int)digits, fraction);
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
