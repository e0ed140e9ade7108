/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "cli.h"
#include "runtime/object.h"

/*
 * libbpf trusts the objects that it opens: one that was damaged on its way can end the process. So each carries a
 * digest of all its bytes, FNV-1a, in a section of its own, and is opened only where that is right.
 */

#define SEAL_SECTION ".amon.seal"

static uint64_t digest(const uint8_t *bytes, size_t size, const uint8_t *seal)
{
	uint64_t hash = 0xcbf29ce484222325;

	for (const uint8_t *byte = bytes; byte < bytes + size; byte++)
		if (byte < seal || byte >= seal + sizeof(hash))
			hash = (hash ^ *byte) * 0x100000001b3;
	return hash;
}

/* Where the seal lies in an object, or NULL. */
static void *find_seal(const struct compilation *c)
{
	const void *seal;
	size_t length;

	if (amon_object_find_section(c->object, c->object_size, SEAL_SECTION, &seal, &length) ||
	    length != sizeof(uint64_t))
		return NULL;
	return (void *)seal;
}

int seal_object(struct compilation *c)
{
	static const uint64_t empty;
	int error = amon_object_add_section(&c->object, &c->object_size, SEAL_SECTION, &empty, sizeof(empty));
	void *seal = error ? NULL : find_seal(c);
	uint64_t hash;

	if (!seal)
		return error ? error : -EINVAL;
	hash = digest(c->object, c->object_size, seal);
	memcpy(seal, &hash, sizeof(hash));
	return 0;
}

bool is_sealed(const struct compilation *c)
{
	const void *seal = find_seal(c);
	uint64_t hash;

	if (!seal)
		return false;
	memcpy(&hash, seal, sizeof(hash));
	return hash == digest(c->object, c->object_size, seal);
}
