/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <bpf/bpf.h>
#include <cmocka.h>

#include "kernel_fixture.h"
#include "runtime/measure.h"
#include "runtime/storage.h"

/*
 * Somebody sends keys that he has chosen so that they lie in one place. He does not know the seed, which is drawn when
 * a probe is loaded, and then his keys lie as any others do. And if he did know it, nothing would be miscounted.
 */

#define KEYS  65536
#define FRAME 54

static const char spec[] = "probe p { ingress xdp { metric packets = count(); table hosts by ipv6.src size 256Ki "
                           "{ metric packets = count(); } } }";
static const char small_spec[] = "probe p { ingress xdp { metric packets = count(); table hosts by ipv6.src size 1000 "
                                 "{ metric packets = count(); } } }";

struct frame {
	uint8_t bytes[FRAME];
};

/* Ethernet and IPv6 with nothing behind it, from this address. */
static struct frame frame_from(const uint8_t address[16])
{
	struct frame frame = { { [12] = 0x86, [13] = 0xdd, [14] = 0x60, [20] = 59, [21] = 64 } };

	memcpy(&frame.bytes[22], address, 16);
	return frame;
}

/* --- the seed of replays, which stands in the C */

static uint64_t seed_in(const char *c, uint32_t word)
{
	const char *at = strstr(c, "amon_seed[");

	assert_non_null(at);
	at = strchr(at, '{');
	for (uint32_t i = 0; i <= word; i++)
		at = strstr(at + 1, "0x");
	return strtoull(at, NULL, 16);
}

/*
 * A word is hashed to (low half + low half of the seed) * (high half + high half of the seed). With the first factor 1
 * it is what we like; so two words have the same sum in all keys.
 */
static void make_colliding(const char *c, uint32_t number, uint8_t address[16])
{
	uint32_t words[4] = { 1 - (uint32_t)seed_in(c, 0), number - (uint32_t)(seed_in(c, 0) >> 32),
		              1 - (uint32_t)seed_in(c, 1), KEYS - number - (uint32_t)(seed_in(c, 1) >> 32) };

	memcpy(address, words, sizeof(words));
}

/* --- who does not know the seed */

static void run_frame(const struct fixture *f, const struct frame *frame)
{
	LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = frame->bytes, .data_size_in = FRAME, .repeat = 1);

	assert_int_equal(bpf_prog_test_run_opts(f->loaded->clones[0].programs[AMON_HOOK_XDP], &options), 0);
}

static uint64_t entries(int map)
{
	uint8_t key[16];
	uint64_t count = 0;
	bool first = true;

	while (!bpf_map_get_next_key(map, first ? NULL : key, key)) {
		first = false;
		count++;
	}
	return count;
}

static uint64_t number_at(const void *bytes)
{
	uint64_t number;

	memcpy(&number, bytes, sizeof(number));
	return number;
}

/* Every key has its row, and counts the packets that it sent; the ledger and the section count all. */
static void check_rows(const struct amon_exports *exports, const struct amon_collected *collected, uint64_t packets,
                       uint64_t rows, uint64_t of_each)
{
	const struct amon_export_table *table = &exports->sections[0].tables[0];
	const struct amon_collected_table *hosts = &collected->sections[0].tables[0];
	const uint8_t *record = collected->sections[0].record;
	uint32_t at = table->columns[table->key_count].layout.count;
	uint64_t in_rows = 0, other = hosts->other ? number_at(hosts->other + at) : 0;

	for (uint64_t i = 0; i < hosts->row_count; i++) {
		assert_int_equal(number_at(hosts->records + i * table->record_size + at), of_each);
		in_rows += of_each;
	}
	assert_int_equal(hosts->row_count, rows);
	assert_int_equal(in_rows + other, packets);
	assert_int_equal(number_at(record + table->in_rows), in_rows);
	assert_int_equal(number_at(record + table->other), other);
	assert_int_equal(number_at(record + exports->sections[0].seen), packets);
}

/* Sends each key twice; how many of them found no slot of the CPU's own. */
static uint64_t send_keys(void (*make)(const char *c, uint32_t number, uint8_t address[16]))
{
	struct fixture *f = fixture_new(spec, NULL);
	struct amon_failure failure = { .message = "" };
	struct amon_collected *collected = NULL;
	struct amon_window window;
	uint64_t spilled;

	for (uint32_t i = 0; i < 2 * KEYS; i++) {
		uint8_t address[16] = { 0x20, 0x01, 0x0d, 0xb8 };
		struct frame frame;

		make(f->c, i % KEYS, address);
		frame = frame_from(address);
		run_frame(f, &frame);
	}
	spilled = entries(amon_probe_map(f->loaded, f->exports->sections[0].tables[0].spill_map));
	assert_int_equal(amon_reader_cut(f->loaded->reader, &collected, &window, &failure), 0);
	check_rows(f->exports, collected, 2 * KEYS, KEYS, 2);
	amon_collected_free(collected);
	fixture_free(f);
	return spilled;
}

static void make_random(const char *c, uint32_t number, uint8_t address[16])
{
	static uint64_t state;

	(void)c;
	if (!number)
		state = 1;
	for (int i = 4; i < 16; i++) {
		state = state * 6364136223846793005 + 1442695040888963407;
		address[i] = (uint8_t)(state >> 56);
	}
}

/* The highest bits of each word alone, and those in the middle of the other: what multiplication carries upwards stays
 * among few bits. */
static void make_high_bits(const char *c, uint32_t number, uint8_t address[16])
{
	(void)c;
	address[7] = (uint8_t)number;
	address[11] = (uint8_t)(number >> 8);
}

static void make_highest_bits(const char *c, uint32_t number, uint8_t address[16])
{
	(void)c;
	address[7] = (uint8_t)number;
	address[15] = (uint8_t)(number >> 8);
}

static void make_counted(const char *c, uint32_t number, uint8_t address[16])
{
	(void)c;
	address[14] = (uint8_t)(number >> 8);
	address[15] = (uint8_t)number;
}

static void make_low_bits(const char *c, uint32_t number, uint8_t address[16])
{
	(void)c;
	address[8] = (uint8_t)number;
	address[12] = (uint8_t)(number >> 8);
}

/* Of random keys in half as many slots hardly any spills. */
static void test_no_keys_are_worse_than_any_others(void **state)
{
	static const struct {
		const char *name;
		void (*make)(const char *c, uint32_t number, uint8_t address[16]);
	} families[] = {
		{ "random", make_random },    { "high bits", make_high_bits }, { "highest bits", make_highest_bits },
		{ "in a row", make_counted }, { "low bits", make_low_bits },   { "of another seed", make_colliding },
	};

	(void)state;
	SKIP_WITHOUT_BPF();
	for (size_t i = 0; i < sizeof(families) / sizeof(families[0]); i++) {
		uint64_t spilled = send_keys(families[i].make);

		if (spilled > KEYS / 100)
			fail_msg("%s: %llu of %u keys find no slot", families[i].name, (unsigned long long)spilled,
			         KEYS);
	}
}

/* --- who knows it */

static void send_colliding(const char *text, uint32_t keys, uint64_t rows)
{
	struct fixture *f = fixture_load(text, NULL, &(struct amon_load_options){ .replay = true });
	struct amon_test_packets packets = { amon_new_array(f->arena, struct amon_test_packet, 2 * keys), 2 * keys };
	struct amon_subject subject = { f->object.object, f->object.object_size, f->exports, false };
	struct frame *frames = amon_new_array(f->arena, struct frame, keys);
	struct amon_failure failure = { .message = "" };
	struct amon_collected *collected = NULL;
	uint32_t instructions;

	for (uint32_t i = 0; i < 2 * keys; i++) {
		uint8_t address[16];

		make_colliding(f->c, i % keys, address);
		frames[i % keys] = frame_from(address);
		packets.packets[i] =
		        (struct amon_test_packet){ { .length = FRAME, .captured = FRAME }, frames[i % keys].bytes };
	}
	assert_int_equal(amon_measure_once(&subject, &packets, &instructions, &collected, &failure), 0);
	check_rows(f->exports, collected, 2 * keys, rows, 2);
	amon_collected_free(collected);
	fixture_free(f);
}

static void test_colliding_keys_are_counted(void **state)
{
	(void)state;
	SKIP_WITHOUT_BPF();
	send_colliding(spec, 20000, 20000);
	/* 32 slots are looked at, and where a table is small only one row finds a place elsewhere */
	send_colliding(small_spec, 1000, 33);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_no_keys_are_worse_than_any_others),
		cmocka_unit_test(test_colliding_keys_are_counted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
