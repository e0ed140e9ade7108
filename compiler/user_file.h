/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AMON_USER_FILE_H
#define AMON_USER_FILE_H

#include "map.h"
#include "syntax.h"
#include "types.h"

/*
 * What a user's file of C declares, as far as a spec can name it. The compiler reads no C: whoever runs it has the file
 * compiled, reads this from the object (runtime/declarations.h), and hands it over with the file's text.
 */

/** A number, condition or address in a map's key or value: of a struct or an array, one of its innermost members. */
struct amon_user_member {
	const char *name; /* "a.b", "a[0]"; "" where it is the whole */
	struct amon_type type;
	struct amon_export_source source;
};

/** A map's key or value. */
struct amon_user_struct {
	uint32_t size; /* bytes; 0: there is none */
	struct amon_user_member *members;
	uint32_t count;
};

struct amon_user_map {
	const char *name;
	struct amon_span span; /* of its name, in the file; its source is NULL where that is not known */
	enum amon_map_kind kind;
	uint32_t entries;
	struct amon_user_struct key, value;
	bool locked; /* its values hold a bpf_spin_lock */
	/* Why it cannot be exported, "has a pointer in its value", and where that stands; NULL: it can. */
	const char *fault;
	struct amon_span fault_span;
};

struct amon_user_file {
	const struct amon_statement *statement; /* `source "…" { … }` */
	const struct amon_source *source;       /* its text; NULL where it could not be read, or does not compile */
	struct amon_user_map *maps;             /* those that it defines itself, in the order of its object */
	uint32_t map_count;
	uint32_t used_maps;       /* all that its object has, its variables' too */
	const char *const *names; /* that it defines in C */
	uint32_t name_count;
	/* its amon_packet(), which is called `entry` in its object */
	const char *entry;
	struct amon_span entry_span; /* where there is one; source NULL: not known */
	const char *context;         /* the struct that it takes a pointer to: "xdp_md"; NULL: something else */
	bool has_entry, is_static, returns_int;
};

#endif
