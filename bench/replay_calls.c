// SPDX-License-Identifier: Apache-2.0
/*
 * replay_calls OBJECT CAPTURE: what `amonc replay` is compared with. Runs every packet of a capture through the
 * programs of a built probe by a system call of its own, and prints the seconds that it took and the packets.
 */
#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "runtime/capture.h"

#define LEAST 64
#define MOST  3520 /* that an XDP test run takes without fragments */

struct frame {
	uint64_t time;
	uint32_t length, captured;
};

static double seconds(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec + time.tv_nsec / 1e9;
}

static void say_replay(struct bpf_object *object)
{
	struct bpf_map *map = bpf_object__find_map_by_name(object, ".rodata");
	const struct btf *btf = bpf_object__btf(object);
	const struct btf_type *section = btf__type_by_id(btf, btf__find_by_name_kind(btf, ".rodata", BTF_KIND_DATASEC));
	const struct btf_var_secinfo *variable = btf_var_secinfos(section);
	size_t size;
	uint8_t *constants = (uint8_t *)bpf_map__initial_value(map, &size);

	for (uint32_t i = 0; i < btf_vlen(section); i++) {
		const struct btf_type *type = btf__type_by_id(btf, variable[i].type);

		if (strcmp(btf__name_by_offset(btf, type->name_off), "amon_replay") == 0)
			constants[variable[i].offset] = 1;
	}
}

static struct bpf_object *load(const char *path)
{
	struct bpf_object *object = bpf_object__open(path);

	if (!object)
		return NULL;
	say_replay(object);
	return bpf_object__load(object) ? NULL : object;
}

static struct frame *map_frame(const struct bpf_object *object)
{
	struct bpf_map *map = bpf_object__find_map_by_name(object, ".data.replay");
	void *memory = mmap(NULL, sysconf(_SC_PAGESIZE), PROT_READ | PROT_WRITE, MAP_SHARED, bpf_map__fd(map), 0);

	return memory == MAP_FAILED ? NULL : memory;
}

static int run(struct bpf_object *object, const uint8_t *bytes, uint32_t size)
{
	static uint8_t padded[LEAST];
	struct bpf_program *program;
	LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = bytes, .data_size_in = size < MOST ? size : MOST);
	int error = 0;

	if (size < LEAST) {
		memcpy(padded, bytes, size);
		options.data_in = padded;
		options.data_size_in = LEAST;
	}
	bpf_object__for_each_program(program, object) error =
	        error ? error : bpf_prog_test_run_opts(bpf_program__fd(program), &options);
	return error;
}

static int replay(struct bpf_object *object, struct frame *frame, struct amon_capture *capture)
{
	struct amon_capture_packet packet;
	double start = seconds();
	uint64_t packets = 0;

	for (; amon_capture_next(capture, &packet, NULL) == 1; packets++) {
		*frame = (struct frame){ packet.time, packet.length, packet.captured };
		if (run(object, packet.bytes, packet.captured))
			return 1;
	}
	printf("%f %llu\n", seconds() - start, (unsigned long long)packets);
	return 0;
}

int main(int count, char **arguments)
{
	struct amon_capture *capture;
	struct bpf_object *object;
	struct frame *frame;

	if (count != 3 || amon_capture_open(arguments[2], &capture, NULL))
		return 1;
	object = load(arguments[1]);
	frame = object ? map_frame(object) : NULL;
	return frame ? replay(object, frame, capture) : 1;
}
