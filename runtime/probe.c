/* SPDX-License-Identifier: Apache-2.0 */
#include "probe.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "kernel.h"
#include "listen.h"

static int not_a_probe(struct amon_failure *failure, const char *what, const char *name)
{
	return amon_fail(failure, -EINVAL, "not an object of amon, or a broken one: %s%s", what, name);
}

static int open_object(struct amon_loaded *loaded, const void *data, size_t size, struct amon_failure *failure)
{
	LIBBPF_OPTS(bpf_object_open_opts, options, .object_name = loaded->exports->probe);

	loaded->object = bpf_object__open_mem(data, size, &options);
	if (loaded->object)
		return 0;
	if (errno == ENOMEM)
		return amon_fail(failure, -ENOMEM, "out of memory");
	return not_a_probe(failure, amon_heard(), "");
}

/* Constants */

static const struct btf_type *find_section(const struct btf *btf, const char *name)
{
	int id = btf__find_by_name_kind(btf, name, BTF_KIND_DATASEC);

	return id < 0 ? NULL : btf__type_by_id(btf, (uint32_t)id);
}

static const struct btf_var_secinfo *find_variable(const struct btf *btf, const struct btf_type *section,
                                                   const char *name)
{
	const struct btf_var_secinfo *variables = btf_var_secinfos(section);

	for (int i = 0; i < btf_vlen(section); i++)
		if (strcmp(btf__name_by_offset(btf, btf__type_by_id(btf, variables[i].type)->name_off), name) == 0)
			return &variables[i];
	return NULL;
}

/* The bytes of a constant; NULL where the object has none of that name. */
static unsigned char *find_constant(const struct bpf_object *object, const char *name, size_t *size)
{
	struct bpf_map *map = bpf_object__find_map_by_name(object, ".rodata");
	const struct btf *btf = bpf_object__btf(object);
	const struct btf_type *section = map && btf ? find_section(btf, ".rodata") : NULL;
	const struct btf_var_secinfo *variable = section ? find_variable(btf, section, name) : NULL;
	size_t all = 0;
	/* libbpf's own copy, which is the program's to fill until the load */
	unsigned char *values = map ? (unsigned char *)bpf_map__initial_value(map, &all) : NULL;

	if (!values || !variable || variable->offset + variable->size > all)
		return NULL;
	*size = variable->size;
	return values + variable->offset;
}

static void set_constant(struct bpf_object *object, const char *name, uint32_t value)
{
	size_t size;
	unsigned char *bytes = find_constant(object, name, &size);

	if (!bytes)
		return;
	for (size_t i = 0; i < size; i++, value >>= 8)
		bytes[__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? i : size - 1 - i] = (unsigned char)value;
}

static void set_constants(const struct amon_loaded *loaded, const struct amon_choice *choice)
{
	set_constant(loaded->object, "amon_replay", loaded->replay);
	set_constant(loaded->object, "amon_ingress_tc", loaded->ingress_tc);
	set_constant(loaded->object, "amon_xdp_mode", choice->xdp_generic ? 2 : 1);
	set_constant(loaded->object, "amon_frame_max", choice->frame_max);
}

/* Programs */

static bool section_needs(const struct amon_loaded *loaded, const struct amon_export_section *section,
                          enum amon_hook_kind kind)
{
	for (uint32_t i = 0; i < section->hook_count; i++)
		if (amon_hook_in_use(loaded, &section->hooks[i]) == kind)
			return true;
	return false;
}

static bool needs(const struct amon_loaded *loaded, enum amon_hook_kind kind)
{
	for (uint32_t i = 0; i < loaded->exports->section_count; i++)
		if (section_needs(loaded, &loaded->exports->sections[i], kind))
			return true;
	return false;
}

static int choose_programs(const struct amon_loaded *loaded, bool verbose, struct amon_failure *failure)
{
	struct bpf_program *program;

	bpf_object__for_each_program(program, loaded->object) bpf_program__set_autoload(program, false);
	for (uint32_t i = 0; i < loaded->exports->program_count; i++) {
		const struct amon_export_program *export = &loaded->exports->programs[i];
		program = bpf_object__find_program_by_name(loaded->object, export->name);
		if (!program)
			return not_a_probe(failure, "no program ", export->name);
		bpf_program__set_autoload(program, needs(loaded, export->hook));
		if (verbose)
			bpf_program__set_log_level(program, 1);
	}
	return 0;
}

static void note_programs(struct amon_loaded *loaded)
{
	for (uint32_t i = 0; i < loaded->exports->program_count; i++) {
		const struct amon_export_program *export = &loaded->exports->programs[i];
		if (needs(loaded, export->hook))
			loaded->programs[export->hook] =
			        bpf_program__fd(bpf_object__find_program_by_name(loaded->object, export->name));
	}
}

/* A verifier's refusal */

struct line {
	const char *text;
	int length;
};

static struct line line_before(const char *log, const char *end)
{
	const char *begin = end;

	while (begin > log && begin[-1] != '\n')
		begin--;
	return (struct line){ begin, (int)(end - begin) };
}

static bool begins(struct line line, const char *prefix)
{
	return (size_t)line.length >= strlen(prefix) && strncmp(line.text, prefix, strlen(prefix)) == 0;
}

/* The last line of the log that `wanted` wants; its text is NULL where there is none. */
static struct line find_line(const char *log, bool (*wanted)(struct line line))
{
	for (const char *end = log + strlen(log);;) {
		struct line line = line_before(log, end);
		if (wanted(line))
			return line;
		if (line.text == log)
			return (struct line){ 0 };
		end = line.text - 1;
	}
}

static bool is_reason(struct line line)
{
	return line.length && !begins(line, "processed ") && !begins(line, "verification time ") &&
	       !begins(line, "stack depth ");
}

/* "; length = frame->length; @ flows.amon:12" */
static bool is_source(struct line line)
{
	return begins(line, "; ");
}

static int refused_by_verifier(struct amon_failure *failure, int error)
{
	struct line reason = find_line(failure->log, is_reason), source = find_line(failure->log, is_source);

	if (!reason.text)
		return amon_fail(failure, error, "the kernel's verifier refuses the probe: %s", strerror(-error));
	if (!source.text)
		return amon_fail(failure, error, "the kernel's verifier refuses the probe: %.*s", reason.length,
		                 reason.text);
	return amon_fail(failure, error, "the kernel's verifier refuses the probe: %.*s, at `%.*s`", reason.length,
	                 reason.text, source.length - 2, source.text + 2);
}

static int refused(struct amon_failure *failure, int error)
{
	if (failure->log)
		return refused_by_verifier(failure, error);
	if (error == -EPERM)
		return amon_kernel_denied(failure);
	return amon_fail(failure, error, "the kernel does not load the probe: %s (%s)", strerror(-error), amon_heard());
}

int amon_probe_load(const void *object, size_t size, const struct amon_exports *exports,
                    const struct amon_load_options *options, struct amon_loaded **result, struct amon_failure *failure)
{
	__attribute__((cleanup(amon_probe_cleanup))) struct amon_loaded *loaded = calloc(1, sizeof(*loaded));
	int error;

	if (!loaded)
		return amon_fail(failure, -ENOMEM, "out of memory");
	*loaded = (struct amon_loaded){ .exports = exports,
		                        .replay = options->replay,
		                        .ingress_tc = options->choice.ingress_tc,
		                        .programs = { -1, -1, -1 } };
	amon_listen();
	error = open_object(loaded, object, size, failure);
	if (!error)
		error = choose_programs(loaded, options->verbose, failure);
	if (error)
		return error;
	set_constants(loaded, &options->choice);
	error = bpf_object__load(loaded->object);
	free(failure->log);
	failure->log = amon_heard_log();
	if (error)
		return refused(failure, error);
	note_programs(loaded);
	*result = loaded;
	loaded = NULL;
	return 0;
}

void amon_probe_unload(struct amon_loaded *loaded)
{
	if (!loaded)
		return;
	bpf_object__close(loaded->object);
	free(loaded);
}

int amon_probe_map(const struct amon_loaded *loaded, const char *name)
{
	const struct bpf_map *map = bpf_object__find_map_by_name(loaded->object, name);
	int fd = map ? bpf_map__fd(map) : -1;

	return fd < 0 ? -ENOENT : fd;
}
