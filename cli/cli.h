/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AMON_CLI_H
#define AMON_CLI_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "compiler/arena.h"
#include "compiler/diagnostic.h"
#include "compiler/plan.h"
#include "runtime/direction.h"
#include "runtime/document.h"
#include "runtime/link.h"

/* docs/language.md, Commands */
enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_SPEC = 3, EXIT_CONFLICT = 4, EXIT_REFUSED = 5 };

struct options {
	char **arguments; /* behind the command */
	int argument_count;
	const char *expression; /* -e */
	struct amon_define *defines;
	uint32_t define_count;
	const char *format, *output, *interface;
	struct amon_prefix *local; /* replay */
	uint32_t local_count;
	uint64_t interval; /* nanoseconds; 0: the spec's window, or a second */
	uint64_t count;    /* 0: until interrupted */
	enum { COLOR_AUTO, COLOR_ALWAYS, COLOR_NEVER } color;
	bool quiet, verbose, dry_run;
	bool follow, source; /* read, show */
	bool measure;        /* explain */
};

/* Both texts that an object was made of; compiler/lines.h leads from one to the other. */
#define AMON_SPEC_SECTION   ".amon.spec"
#define AMON_SOURCE_SECTION ".amon.source"
/* And of these files of C: of each its name, its function's name and its text, ended by a NUL each. */
#define AMON_USERS_SECTION ".amon.users"

/** A spec on its way to an object, or an object that was built. The arena owns all but the object. */
struct compilation {
	struct amon_arena *arena;
	struct amon_diagnostics diagnostics;
	const struct amon_source *source;
	struct amon_probe *probe; /* NULL where an object was given */
	struct amon_plan *plan;   /* likewise */
	struct amon_exports *exports;
	char *c; /* likewise */
	/* likewise: files of C, and their objects, behind a place for that of `c` */
	struct amon_user_file *users;
	struct amon_image *images;
	uint32_t user_count;
	struct amon_lines lines; /* of the C */
	void *object;
	size_t object_size;
};

/** Each returns an exit status and has printed what is wrong. */
int compile_check(struct compilation *compilation, const struct options *options, const char *spec);
int compile_emit(struct compilation *compilation, const struct options *options, const char *spec);
int compile_object(struct compilation *compilation, const struct options *options, const char *spec);
/** The same of an object that was built; takes it (malloc). `name` is whose it is, for complaints. */
int compilation_of_object(struct compilation *compilation, void *object, size_t size, const char *name);
/** Its C to an object, which has no export table: for what does not leave this process. */
int compile_c(struct compilation *compilation);
/**
 * The spec of another compilation, which must outlive this one, without one of its features (compiler/features.h);
 * as compile_c().
 */
int compile_without(struct compilation *compilation, const struct options *options, const struct compilation *whole,
                    uint32_t feature);
/** Compiles the files of C that a spec names; what is wrong with them goes to the diagnostics. */
void compile_users(struct compilation *compilation, const struct amon_file *file);
/** Links them with the object. An exit status, after a complaint. */
int link_users(struct compilation *compilation);
/** The section of the object that holds their texts; NULL: there are none. In the arena. */
char *encode_users(const struct compilation *compilation, size_t *length);
/** The other way, of a built object: only what encode_users() knows of them. */
void decode_users(struct compilation *compilation);
/** To standard error; only errors under -q. */
void print_diagnostics(const struct compilation *compilation, const struct options *options);
void compilation_free(struct compilation *compilation);

/** Puts the seal into a built object: the last of its sections. 0 or -errno. */
int seal_object(struct compilation *compilation);
/** Whether the object is as it was built, byte by byte. */
bool is_sealed(const struct compilation *compilation);

/** The spec to use: -e's text, or the first argument, which is then taken from the arguments. NULL: none. */
const char *take_spec(struct options *options);
/** The same where there must be one and nothing else; NULL after a complaint. */
const char *only_spec(struct options *options, const char *command);

int command_check(struct options *options);
int command_emit(struct options *options);
int command_build(struct options *options);
int command_explain(struct options *options);
/** explain --measure; `trace` is NULL for made traffic. */
int explain_measured(const struct options *options, const struct compilation *c, const char *trace, bool json);
int command_fields(struct options *options);
int command_replay(struct options *options);
int command_run(struct options *options);
int command_deploy(struct options *options);
int command_list(struct options *options);
int command_read(struct options *options);
int command_show(struct options *options);
int command_replace(struct options *options);
int command_diff(struct options *options);
int command_remove(struct options *options);

/** Prints `amonc: error: …` and returns `status`. */
int complain(int status, const char *format, ...) __attribute__((format(printf, 2, 3)));
bool use_color(const struct options *options, FILE *to);
/**
 * What the runtime's errno means for the exit status; prints the failure (a verifier's refusal as report_refusal()
 * does) and clears it. `c` is NULL where nothing was to be loaded.
 */
int report_failure(const struct options *options, const struct compilation *c, int error, struct amon_failure *failure);
/** Tells what the verifier refuses: the spec's line, the C around it; its log (failure->log) only under -v. */
void report_refusal(const struct options *options, const struct compilation *c, const struct amon_failure *failure);
struct amon_attached;
/** Tells which hooks were chosen, and what that changes for others. */
void tell_hooks(const struct options *options, const struct amon_attached *attached, const char *probe);
/** amon_probe_load(), with the verifier's log under -v. */
int load_probe(const struct options *options, const struct compilation *c, struct amon_load_options *load,
               struct amon_loaded **loaded, struct amon_failure *failure);
/** Opens -o FILE, or standard output for none and for "-"; NULL after a complaint. */
FILE *open_output(const struct options *options);
/** Flushes and closes; EXIT_FAILED and a complaint where that fails, or a write did before, with `error`. */
int close_output(const struct options *options, FILE *file, int error);
/** Flushes and closes, all but standard output. 0 or -errno: of that, or `error`, of a write before. */
int close_stream(FILE *file, int error);
/** For what is text or JSON: 1 under -f json; -1 after a complaint. */
int wants_json(const struct options *options);
/** For documents: whether -f, where it is given, names a format; false after a complaint. */
bool format_exists(const struct options *options);
struct amon_format_options format_options(const struct options *options, FILE *to);

/** Where documents go: a stream, or in a directory (-o DIR/) a file for each of their parts. */
struct documents {
	const struct options *options;
	struct amon_arena *arena;
	const struct amon_format *format;
	struct amon_format_options format_options;
	struct part {
		FILE *to;
		const char *path;
		const char *beside; /* where a document is written that then takes the file's place; NULL: in `to` */
		uint32_t index;
	} *parts, *failed;
	uint32_t part_count;
	int error; /* of writing */
};
/** One; several; or several as time goes by, which a terminal shows in place. */
enum documents_kind { DOCUMENTS_ONE, DOCUMENTS_SEVERAL, DOCUMENTS_LIVE };

/** In the format asked for, or what suits where they go. An exit status, after a complaint; to be closed all the same.
 */
int documents_open(struct documents *documents, const struct options *options, const struct amon_exports *exports,
                   enum documents_kind kind);
/** 0 or -errno, which documents_close() tells. */
int documents_write(struct documents *documents, const struct amon_document *document);
/** An exit status, after a complaint. */
int documents_close(struct documents *documents);

#endif
