// SPDX-License-Identifier: Apache-2.0
#include "direction.h"

#include <arpa/inet.h>
#include <net/ethernet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MOST_TAGS   2
#define MOST_LABELS 4

/* --- prefixes */

static bool read_address(const char *text, struct amon_prefix *prefix)
{
	bool is_ipv6 = strchr(text, ':');

	prefix->size = is_ipv6 ? 16 : 4;
	prefix->length = prefix->size * 8;
	return inet_pton(is_ipv6 ? AF_INET6 : AF_INET, text, prefix->bytes) == 1;
}

static bool read_length(const char *text, struct amon_prefix *prefix)
{
	size_t digits = strspn(text, "0123456789");
	unsigned long length = strtoul(text, NULL, 10);

	if (digits < 1 || digits > 3 || text[digits] || length > prefix->length)
		return false;
	prefix->length = length;
	return true;
}

bool amon_prefix_read(const char *text, struct amon_prefix *prefix)
{
	size_t size = strcspn(text, "/");
	char address[INET6_ADDRSTRLEN];

	if (size >= sizeof(address))
		return false;
	memcpy(address, text, size);
	address[size] = '\0';
	return read_address(address, prefix) && (!text[size] || read_length(text + size + 1, prefix));
}

static bool holds(const struct amon_prefix *prefix, const uint8_t *address)
{
	uint32_t whole = prefix->length / 8;
	uint8_t rest = 0xff00 >> prefix->length % 8; /* the bits of the next byte that count */

	return memcmp(prefix->bytes, address, whole) == 0 &&
	       (!rest || ((prefix->bytes[whole] ^ address[whole]) & rest) == 0);
}

/* --- packets */

struct walk {
	const uint8_t *bytes;
	uint32_t captured, at;
	uint16_t type; /* of what is at `at`; 0: nothing that is known */
};

/** The next bytes, as many as asked for, or NULL. */
static const uint8_t *take(struct walk *walk, uint32_t size)
{
	const uint8_t *bytes = walk->bytes + walk->at;

	if (walk->captured - walk->at < size)
		return NULL;
	walk->at += size;
	return bytes;
}

static uint16_t half(const uint8_t *bytes)
{
	return bytes[0] << 8 | bytes[1];
}

static bool is_tag(uint16_t type)
{
	return type == ETHERTYPE_VLAN || type == 0x88a8 || type == 0x9100;
}

static void walk_link(struct walk *walk)
{
	const uint8_t *header = take(walk, 14);

	walk->type = header ? half(header + 12) : 0;
	for (int tags = 0; tags < MOST_TAGS && is_tag(walk->type); tags++) {
		header = take(walk, 4);
		walk->type = header ? half(header + 2) : 0;
	}
}

static void walk_pppoe(struct walk *walk)
{
	const uint8_t *header = take(walk, 8);
	uint16_t protocol = header ? half(header + 6) : 0;

	walk->type = protocol == 0x0021 ? ETHERTYPE_IP : protocol == 0x0057 ? ETHERTYPE_IPV6 : 0;
}

static void walk_mpls(struct walk *walk)
{
	const uint8_t *label = NULL;
	uint8_t version = 0;

	for (int labels = 0; labels < MOST_LABELS; labels++) {
		label = take(walk, 4);
		if (!label || label[2] & 1)
			break;
	}
	if (label && label[2] & 1 && walk->at < walk->captured)
		version = walk->bytes[walk->at] >> 4;
	walk->type = version == 4 ? ETHERTYPE_IP : version == 6 ? ETHERTYPE_IPV6 : 0;
}

/** The outermost IP source and its size, or NULL. */
static const uint8_t *find_source(struct walk *walk, uint32_t *size)
{
	const uint8_t *header;

	walk_link(walk);
	if (walk->type == 0x8864)
		walk_pppoe(walk);
	else if (walk->type == 0x8847)
		walk_mpls(walk);
	*size = walk->type == ETHERTYPE_IPV6 ? 16 : 4;
	if (walk->type != ETHERTYPE_IP && walk->type != ETHERTYPE_IPV6)
		return NULL;
	header = take(walk, *size == 16 ? 24 : 16);
	if (!header || header[0] >> 4 != (*size == 16 ? 6 : 4))
		return NULL;
	return header + (*size == 16 ? 8 : 12);
}

enum amon_direction amon_direction_by_source(const uint8_t *bytes, uint32_t captured, const struct amon_prefix *local,
                                             uint32_t local_count)
{
	struct walk walk = { .bytes = bytes, .captured = captured };
	uint32_t size;
	const uint8_t *source = find_source(&walk, &size);

	if (!source)
		return AMON_DIRECTION_UNKNOWN;
	for (uint32_t i = 0; i < local_count; i++)
		if (local[i].size == size && holds(&local[i], source))
			return AMON_DIRECTION_EGRESS;
	return AMON_DIRECTION_INGRESS;
}
