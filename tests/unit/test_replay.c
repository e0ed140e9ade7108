// SPDX-License-Identifier: Apache-2.0
/*
 * Replays captures that are written here through an object that is written here: a section on each kind of hook, whose
 * record adds up what its packets told. Every sum is compared with what was put into the capture.
 */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/param.h>
#include <sys/time.h>
#include <unistd.h>

#include <cmocka.h>

#include "runtime/frontend.h"
#include "runtime/replay.h"

#define SECOND 1000000000ull

/** What a section's record holds: four pairs that merge like a ledger's counters, by adding. */
struct sums {
	uint64_t packets, length; /* seen */
	uint64_t captured, time;  /* selected */
	uint64_t head, last;      /* of the bytes: the first 64, each times its place; the last one, times its place */
	uint64_t direct, unused;  /* the first byte, read through the packet's pointer */
};

static const char source[] =
        "typedef unsigned long long u64; typedef unsigned int u32; typedef unsigned char u8;\n"
        "#define SEC(name) __attribute__((section(name), used))\n"
        "struct xdp_md { u32 data, data_end, rest[4]; };\n"
        "struct __sk_buff { u32 before[19], data, data_end; };\n"
        "static void *(*lookup)(void *, const void *) = (void *)1;\n"
        "static long (*load_tc)(const void *, u32, void *, u32) = (void *)26;\n"
        "static long (*load_xdp)(void *, u32, void *, u32) = (void *)189;\n"
        "const volatile u8 amon_replay;\n"
        "struct { u64 time; u32 length, captured, direction; } amon_frame SEC(\".data.replay\");\n"
        "struct sums { u64 packets, length, captured, time, head, last, direct, unused; };\n"
        "#define ARRAY(name) \\\n"
        "	struct { int (*type)[6]; u32 *key; struct sums *value; int (*max_entries)[1]; } name SEC(\".maps\")\n"
        "ARRAY(sums_xdp);\n"
        "ARRAY(sums_ingress);\n"
        "ARRAY(sums_egress);\n"
        "#define COUNT(context, map, load) \\\n"
        "	u32 key = 0, captured = amon_frame.captured; \\\n"
        "	u8 byte, *data = (u8 *)(long)context->data, *end = (u8 *)(long)context->data_end; \\\n"
        "	struct sums *sums = lookup(&map, &key); \\\n"
        "	if (!sums || !amon_replay) \\\n"
        "		return -1; \\\n"
        "	sums->packets++; \\\n"
        "	sums->length += amon_frame.length; \\\n"
        "	sums->captured += captured; \\\n"
        "	sums->time += amon_frame.time; \\\n"
        "	for (u32 i = 0; i < 64 && i < captured; i++) \\\n"
        "		sums->head += load(context, i, &byte, 1) ? 1u << 31 : (i + 1) * byte; \\\n"
        "	if (captured) \\\n"
        "		sums->last += load(context, captured - 1, &byte, 1) ? 1u << 31 : captured * byte; \\\n"
        "	if (captured && data + 14 <= end) \\\n"
        "		sums->direct += *data\n"
        "SEC(\"xdp.frags\") int count_xdp(struct xdp_md *context)\n"
        "{\n"
        "	COUNT(context, sums_xdp, load_xdp);\n"
        "	return 2;\n"
        "}\n"
        "SEC(\"tc\") int count_ingress(struct __sk_buff *context)\n"
        "{\n"
        "	COUNT(context, sums_ingress, load_tc);\n"
        "	return -1;\n"
        "}\n"
        "SEC(\"tc\") int count_egress(struct __sk_buff *context)\n"
        "{\n"
        "	COUNT(context, sums_egress, load_tc);\n"
        "	return -1;\n"
        "}\n"
        "SEC(\"license\") char license_text[] = \"GPL\";\n";

static struct amon_export_program programs[] = {
	{ "count_xdp", AMON_HOOK_XDP },
	{ "count_ingress", AMON_HOOK_TC_INGRESS },
	{ "count_egress", AMON_HOOK_TC_EGRESS },
};

static struct amon_export_counter counters[] = {
	{ "bytes", offsetof(struct sums, head) },
	{ "direct", offsetof(struct sums, direct) },
};

#define SECTION(title, record, ...)                                                                                    \
	{                                                                                                              \
		.name = title,                                                                                         \
		.parts = &(struct amon_export_part){ record, 0, sizeof(struct sums), false, 0, NULL },                 \
		.part_count = 1,                                                                                       \
		.reset = true,                                                                                         \
		.record_size = sizeof(struct sums),                                                                    \
		.hooks = { __VA_ARGS__ },                                                                              \
		.hook_count = 1,                                                                                       \
		.seen = offsetof(struct sums, packets),                                                                \
		.selected = offsetof(struct sums, captured),                                                           \
		.malformed = counters,                                                                                 \
		.malformed_count = 2,                                                                                  \
	}

static struct amon_export_section sections[] = {
	SECTION("ingress", "sums_xdp", { .kind = AMON_HOOK_XDP, .choice = true }),
	SECTION("edge", "sums_ingress", { .kind = AMON_HOOK_TC_INGRESS }),
	SECTION("egress", "sums_egress", { .kind = AMON_HOOK_TC_EGRESS }),
};

#define SECTIONS (sizeof(sections) / sizeof(sections[0]))

static struct amon_exports exports = {
	.probe = "counts",
	.help = "",
	.programs = programs,
	.program_count = 3,
	.sections = sections,
	.section_count = SECTIONS,
};

static struct amon_frontend_result compiled;

/* --- captures */

/** A capture in the making, and what a replay of it has to tell. */
struct trace {
	char path[32];
	FILE *file;
	struct sums sums;
};

static void put(struct trace *trace, const void *data, size_t size)
{
	assert_int_equal(fwrite(data, 1, size, trace->file), size);
}

static struct trace trace_new(uint32_t link_type)
{
	const uint32_t header[] = { 0xa1b23c4d, 2 | 4 << 16, 0, 0, 262144, link_type };
	struct trace trace = { .path = "/tmp/test_replay.XXXXXX" };

	trace.file = fdopen(mkstemp(trace.path), "w");
	assert_non_null(trace.file);
	put(&trace, header, sizeof(header));
	return trace;
}

static void trace_end(struct trace *trace)
{
	assert_int_equal(fclose(trace->file), 0);
}

static void trace_free(struct trace *trace)
{
	unlink(trace->path);
}

static void expect_bytes(struct sums *sums, const uint8_t *bytes, uint32_t captured)
{
	uint32_t held = MIN(captured, AMON_REPLAY_FRAME);

	sums->captured += held;
	for (uint32_t i = 0; i < MIN(held, 64); i++)
		sums->head += (i + 1) * bytes[i];
	if (held)
		sums->last += held * bytes[held - 1];
	if (held)
		sums->direct += bytes[0];
}

static const uint8_t *noise(uint32_t size)
{
	static uint8_t bytes[262144];
	static uint32_t state = 1;

	for (uint32_t i = 0; i < size; i++)
		bytes[i] = (state = state * 1664525 + 1013904223) >> 24;
	return bytes;
}

static void trace_add(struct trace *trace, uint64_t time, uint32_t captured, uint32_t length)
{
	const uint32_t header[] = { time / SECOND, time % SECOND, captured, length };
	const uint8_t *bytes = noise(captured);

	put(trace, header, sizeof(header));
	put(trace, bytes, captured);
	trace->sums.packets++;
	trace->sums.length += length;
	trace->sums.time += time;
	expect_bytes(&trace->sums, bytes, captured);
}

/* --- replays */

/** What the windows of a replay told. */
struct told {
	struct amon_window windows[64];
	struct sums sums[64][SECTIONS];
	uint32_t count;
	int result;     /* for the window's callback to return */
	bool disturbed; /* signals come from the first batch to the last */
	uint64_t done, total;
	const struct amon_prefix *local;
	uint32_t local_count;
};

static struct amon_failure failure;

static int window(const struct amon_document *document, void *data)
{
	struct told *told = data;

	assert_true(told->count < 64);
	told->windows[told->count] = document->window;
	for (uint32_t i = 0; i < SECTIONS; i++)
		told->sums[told->count][i] = *(const struct sums *)document->sections[i].record;
	told->count++;
	return told->result;
}

static void send_signals(bool on)
{
	const struct itimerval often = { .it_interval.tv_usec = 150, .it_value.tv_usec = 150 }, never = { 0 };

	setitimer(ITIMER_REAL, on ? &often : &never, NULL);
}

static void progress(uint64_t done, uint64_t total, void *data)
{
	struct told *told = data;

	assert_true(done >= told->done);
	told->done = done;
	told->total = total;
	if (told->disturbed)
		send_signals(done < total);
}

static int replay(const char *path, uint64_t size, struct told *told)
{
	const struct amon_replay_options options = { window, told, progress, told->local, told->local_count };
	const struct amon_load_options load = { .replay = true };
	__attribute__((cleanup(amon_probe_cleanup))) struct amon_loaded *loaded = NULL;
	int error;

	exports.window = size;
	amon_failure_clear(&failure);
	error = amon_probe_load(compiled.object, compiled.object_size, &exports, &load, &loaded, &failure);
	if (error == -EPERM)
		skip();
	if (error)
		print_error("%s\n%s\n", failure.message, failure.log ? failure.log : "");
	assert_int_equal(error, 0);
	return amon_replay(loaded, path, &options, &failure);
}

static void assert_sums(const struct sums *is, const struct sums *should)
{
	assert_int_equal(is->packets, should->packets);
	assert_int_equal(is->length, should->length);
	assert_int_equal(is->captured, should->captured);
	assert_int_equal(is->time, should->time);
	assert_int_equal(is->head, should->head);
	assert_int_equal(is->last, should->last);
	assert_int_equal(is->direct, should->direct);
}

/** Replays as one window, and compares every section. */
static void assert_replay(const char *path, const struct trace *trace, int result)
{
	struct told told = { 0 };
	int error = replay(path, 0, &told);

	if (error != result)
		print_error("%s\n", failure.message);
	assert_int_equal(error, result);
	assert_int_equal(told.count, 1);
	for (uint32_t i = 0; i < SECTIONS; i++)
		assert_sums(&told.sums[0][i], &trace->sums);
}

/** One that cannot be replayed at all. */
static void assert_refused(const char *path, int result, const char *word)
{
	struct told told = { 0 };

	assert_int_equal(replay(path, 0, &told), result);
	assert_int_equal(told.count, 0);
	assert_non_null(strstr(failure.message, path));
	assert_non_null(strstr(failure.message, word));
}

static void test_sizes(void **state)
{
	static const uint32_t sizes[] = { 1514, 3519,  3520,  3521,  3711,  3712,  3713,   3714, 3715,
		                          9000, 15999, 16000, 16001, 16064, 65535, 262144, 14,   0 };
	struct trace trace = trace_new(1);

	(void)state;
	for (uint32_t size = 0; size <= 100; size++)
		trace_add(&trace, size * SECOND, size, size);
	for (uint32_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		trace_add(&trace, 200 * SECOND + i, sizes[i], sizes[i]);
	trace_end(&trace);
	assert_replay(trace.path, &trace, 0);
	trace_free(&trace);
}

/** Each size alone, so that nothing hides behind a neighbour; then those that the capture cut, and those that lie. */
static void test_lengths(void **state)
{
	static const uint32_t pairs[][2] = { { 0, 0 },         { 0, 60 },        { 1, 1 },           { 13, 13 },
		                             { 34, 34 },       { 64, 1514 },     { 96, 262144 },     { 1514, 1514 },
		                             { 16000, 70000 }, { 16001, 16001 }, { 60, UINT32_MAX }, { 100, 60 },
		                             { 262144, 0 } };

	(void)state;
	for (uint32_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
		struct trace trace = trace_new(1);

		trace_add(&trace, i * SECOND, pairs[i][0], pairs[i][1]);
		trace_end(&trace);
		assert_replay(trace.path, &trace, 0);
		trace_free(&trace);
	}
}

static struct trace large_trace(uint32_t packets)
{
	struct trace trace = trace_new(1);

	for (uint32_t i = 0; i < packets; i++)
		trace_add(&trace, i * 1000, i % 97 * 5, i % 97 * 5 + i % 3);
	trace_end(&trace);
	return trace;
}

/** Many batches, the last one not full. */
static void test_batches(void **state)
{
	struct trace trace = large_trace(30011);
	struct told told = { 0 };

	(void)state;
	assert_replay(trace.path, &trace, 0);
	assert_int_equal(replay(trace.path, 0, &told), 0);
	assert_int_equal(told.windows[0].sequence, 1);
	assert_int_equal(told.windows[0].start, 0);
	assert_int_equal(told.windows[0].end, 30010 * 1000);
	assert_int_equal(told.windows[0].clock_offset, 0);
	assert_true(told.total > 0);
	assert_int_equal(told.done, told.total);
	trace_free(&trace);
}

static volatile sig_atomic_t alarms;

static void on_alarm(int signal)
{
	(void)signal;
	alarms++;
}

static void test_signals(void **state)
{
	struct trace trace = large_trace(100000);
	struct told told = { .disturbed = true };

	(void)state;
	signal(SIGALRM, on_alarm);
	assert_int_equal(replay(trace.path, 0, &told), 0);
	send_signals(false);
	signal(SIGALRM, SIG_DFL);
	assert_true(alarms > 10);
	for (uint32_t i = 0; i < SECTIONS; i++)
		assert_sums(&told.sums[0][i], &trace.sums);
	trace_free(&trace);
}

/** A capture that ends at each of its bytes: what is whole is counted. */
static void test_cut(void **state)
{
	static const uint32_t lengths[] = { 60, 0, 1514 };
	uint32_t start = 24;

	(void)state;
	for (uint32_t whole = 0; whole < 3; start += 16 + lengths[whole++]) {
		for (uint32_t more = 0; more < 16 + lengths[whole]; more += more < 20 ? 1 : 127) {
			struct trace trace = trace_new(1);

			for (uint32_t i = 0; i < whole; i++)
				trace_add(&trace, i, lengths[i], lengths[i]);
			trace_end(&trace);
			trace.file = fopen(trace.path, "a");
			const uint32_t header[] = { 9, 9, lengths[whole], lengths[whole] };
			put(&trace, header, MIN(more, 16));
			put(&trace, noise(more), more > 16 ? more - 16 : 0);
			trace_end(&trace);
			assert_replay(trace.path, &trace, more ? -EIO : 0);
			trace_free(&trace);
		}
	}
}

static void test_cut_message(void **state)
{
	struct trace trace = trace_new(1), whole;

	(void)state;
	trace_add(&trace, 0, 60, 60);
	whole = trace;
	trace_add(&trace, 1, 60, 60);
	trace_end(&trace);
	assert_int_equal(truncate(trace.path, 24 + 2 * 76 - 1), 0);
	assert_replay(trace.path, &whole, -EIO);
	assert_non_null(strstr(failure.message, trace.path));
	assert_non_null(strstr(failure.message, "packet 2"));
	trace_free(&trace);
}

static void test_refused(void **state)
{
	struct trace raw = trace_new(101), text = trace_new(1);

	(void)state;
	trace_end(&raw);
	assert_refused(raw.path, -EPROTOTYPE, "Raw IP");
	trace_free(&raw);

	rewind(text.file);
	put(&text, "probe x { }\n", 12);
	trace_end(&text);
	assert_refused(text.path, -EINVAL, "not a capture");
	assert_int_equal(truncate(text.path, 0), 0);
	assert_refused(text.path, -EINVAL, "not a capture");
	trace_free(&text);
	assert_refused(text.path, -ENOENT, "No such file");
	assert_refused("/tmp", -EISDIR, "directory");
}

static void test_empty(void **state)
{
	struct trace trace = trace_new(1);
	struct told told = { 0 };

	(void)state;
	trace_end(&trace);
	assert_replay(trace.path, &trace, 0);
	assert_int_equal(replay(trace.path, 0, &told), 0);
	assert_int_equal(told.windows[0].sequence, 1);
	assert_int_equal(told.windows[0].start, 0);
	assert_int_equal(told.windows[0].end, 0);
	told = (struct told){ 0 };
	assert_int_equal(replay(trace.path, SECOND, &told), 0);
	assert_int_equal(told.count, 0);
	trace_free(&trace);
}

static void test_standard_input(void **state)
{
	struct trace trace = large_trace(5000);

	(void)state;
	assert_non_null(freopen(trace.path, "r", stdin));
	assert_replay("-", &trace, 0);
	trace_free(&trace);
}

static void put_block(struct trace *trace, uint32_t type, const void *body, uint32_t size)
{
	const uint32_t head[] = { type, 12 + size };

	put(trace, head, sizeof(head));
	put(trace, body, size);
	put(trace, &head[1], sizeof(head[1]));
}

/** In a pcapng a nanosecond has all 64 bits. */
static void test_pcapng(void **state)
{
	static const uint32_t section[] = { 0x1a2b3c4d, 1, UINT32_MAX, UINT32_MAX };
	static const uint32_t interface[] = { 1, 262144, 9 | 1 << 16, 9, 0 }; /* Ethernet; if_tsresol 9 */
	static const uint64_t times[] = { 1767225600 * SECOND + 7, 0, UINT64_MAX };
	struct trace trace = trace_new(1);
	struct told told = { 0 };

	(void)state;
	rewind(trace.file);
	put_block(&trace, 0x0a0d0d0a, section, sizeof(section));
	put_block(&trace, 1, interface, sizeof(interface));
	for (uint32_t i = 0; i < 3; i++) {
		const uint32_t packet[] = { 0, times[i] >> 32, times[i], 4, 60, 0x01020304 };

		put_block(&trace, 6, packet, sizeof(packet));
		trace.sums.packets++;
		trace.sums.length += 60;
		trace.sums.time += times[i];
		expect_bytes(&trace.sums, (const uint8_t *)&packet[5], 4);
	}
	trace_end(&trace);
	assert_replay(trace.path, &trace, 0);
	assert_int_equal(replay(trace.path, SECOND, &told), 0);
	assert_int_equal(told.count, 2);
	assert_int_equal(told.windows[1].end, UINT64_MAX);
	trace_free(&trace);
}

static void assert_window(const struct told *told, uint32_t i, uint64_t sequence, uint64_t start, uint64_t packets)
{
	assert_true(i < told->count);
	assert_int_equal(told->windows[i].sequence, sequence);
	assert_int_equal(told->windows[i].start, start * SECOND);
	assert_int_equal(told->windows[i].end, (start + 10) * SECOND);
	for (uint32_t section = 0; section < SECTIONS; section++)
		assert_int_equal(told->sums[i][section].packets, packets);
}

static void test_windows(void **state)
{
	static const uint32_t times[] = { 1015, 1010, 1019, 1003, 1020, 1001,      1029,
		                          1030, 1055, 1055, 1059, 5,    4000000000 };
	struct trace trace = trace_new(1);
	struct told told = { 0 };

	(void)state;
	for (uint32_t i = 0; i < sizeof(times) / sizeof(times[0]); i++)
		trace_add(&trace, times[i] * SECOND + (times[i] % 10 == 9 ? SECOND - 1 : 0), 60, 60);
	trace_end(&trace);
	assert_int_equal(replay(trace.path, 10 * SECOND, &told), 0);
	assert_int_equal(told.count, 5);
	assert_window(&told, 0, 1, 1010, 4);
	assert_window(&told, 1, 2, 1020, 3);
	assert_window(&told, 2, 3, 1030, 1);
	assert_window(&told, 3, 5, 1050, 4);
	assert_window(&told, 4, 400000000 - 101 + 1, 4000000000, 1);
	trace_free(&trace);
}

/** A window that does not divide the second, and is full of batches. */
static void test_window_sums(void **state)
{
	struct trace trace = large_trace(20000);
	struct told told = { 0 };
	struct sums sums = { 0 };

	(void)state;
	assert_int_equal(replay(trace.path, 7000000, &told), 0);
	assert_int_equal(told.count, 3);
	for (uint32_t i = 0; i < 3; i++) {
		for (uint32_t field = 0; field < sizeof(sums) / 8; field++)
			((uint64_t *)&sums)[field] += ((uint64_t *)&told.sums[i][1])[field];
		assert_int_equal(told.sums[i][0].packets, i < 2 ? 7000 : 6000);
	}
	assert_sums(&sums, &trace.sums);
	trace_free(&trace);
}

static void test_window_ends_it(void **state)
{
	struct trace trace = large_trace(20000);
	struct told told = { .result = -EPIPE };

	(void)state;
	assert_int_equal(replay(trace.path, 7000000, &told), -EPIPE);
	assert_int_equal(told.count, 1);
	trace_free(&trace);
}

/** A section goes through its first hook alone, and a hook that nobody has first is not run. */
static void test_first_hook(void **state)
{
	struct trace trace = large_trace(1000);
	struct told told = { 0 };

	(void)state;
	sections[2].hooks[0].kind = AMON_HOOK_TC_INGRESS;
	sections[2].hooks[1].kind = AMON_HOOK_TC_EGRESS;
	sections[2].hook_count = 2;
	assert_int_equal(replay(trace.path, 0, &told), 0);
	sections[2].hooks[0].kind = AMON_HOOK_TC_EGRESS;
	sections[2].hook_count = 1;
	assert_sums(&told.sums[0][0], &trace.sums);
	assert_sums(&told.sums[0][1], &trace.sums);
	assert_int_equal(told.sums[0][2].packets, 0);
	trace_free(&trace);
}

/* --- directions */

static bool swapped; /* pcapng is written in the other byte order */

static uint32_t word(uint32_t value)
{
	return swapped ? __builtin_bswap32(value) : value;
}

static uint32_t halves(uint16_t first, uint16_t second)
{
	return swapped ? __builtin_bswap16(first) | (uint32_t)__builtin_bswap16(second) << 16
	               : first | (uint32_t)second << 16;
}

static void put_words(struct trace *trace, uint32_t type, const uint32_t *words, uint32_t count)
{
	const uint32_t head[] = { word(type), word(12 + 4 * count) };

	put(trace, head, sizeof(head));
	put(trace, words, 4 * count);
	put(trace, &head[1], sizeof(head[1]));
}

static void put_section(struct trace *trace)
{
	const uint32_t section[] = { word(0x1a2b3c4d), halves(1, 0), UINT32_MAX, UINT32_MAX };
	const uint32_t interface[] = { halves(1, 0), word(262144) };
	const uint32_t names[] = { word(0x01020304) };

	put_words(trace, 0x0a0d0d0a, section, 4);
	put_words(trace, 1, interface, 2);
	put_words(trace, 1, interface, 2);
	put_words(trace, 0x0bad, names, 1); /* a block that nobody knows */
}

static struct trace pcapng_new(bool other_order)
{
	struct trace trace = trace_new(1);

	rewind(trace.file);
	swapped = other_order;
	put_section(&trace);
	return trace;
}

/** A packet of `size` bytes with words of options behind it. */
static void put_packet(struct trace *trace, uint32_t type, uint32_t size, const uint32_t *options, uint32_t count)
{
	uint32_t words[64] = { type == 6 ? word(trace->sums.packets & 1) : 0, 0, 0, word(size), word(size) };
	uint32_t padded = (size + 3) / 4;

	assert_true(5 + padded + count <= 64);
	memcpy(&words[5], noise(size), size);
	memcpy(&words[5 + padded], options, count * 4);
	put_words(trace, type, words, 5 + padded + count);
	trace->sums.packets++;
}

static void put_flagged(struct trace *trace, uint32_t size, uint32_t flags)
{
	const uint32_t options[] = { halves(1, 5), 0, 0, halves(2, 4), word(flags), 0 }; /* a comment before */

	put_packet(trace, 6, size, options, 6);
}

/** Replays, and compares the packets of each section: XDP, TC ingress, TC egress. */
static void assert_ways(const char *path, int result, uint64_t xdp, uint64_t ingress, uint64_t egress)
{
	struct told told = { 0 };

	assert_int_equal(replay(path, 0, &told), result);
	assert_int_equal(told.count, 1);
	assert_int_equal(told.sums[0][0].packets, xdp);
	assert_int_equal(told.sums[0][1].packets, ingress);
	assert_int_equal(told.sums[0][2].packets, egress);
}

/** 700 packets in, 300 out, 200 that do not say (100 each way of not saying), over several batches and sections. */
static struct trace flagged_trace(bool other_order)
{
	struct trace trace = pcapng_new(other_order);

	for (uint32_t i = 0; i < 1200; i++) {
		uint32_t flags = i % 12 < 7 ? 1 : i % 12 < 10 ? 2 : i % 12 == 10 ? 0 : 3;

		if (i == 600)
			put_section(&trace);
		put_flagged(&trace, i % 97, flags | 0xfffc);
	}
	trace_end(&trace);
	return trace;
}

static void test_directions(void **state)
{
	(void)state;
	for (int other_order = 0; other_order < 2; other_order++) {
		struct trace trace = flagged_trace(other_order);

		assert_ways(trace.path, 0, 900, 900, 500);
		assert_non_null(freopen(trace.path, "r", stdin));
		assert_ways("-", 0, 900, 900, 500);
		trace_free(&trace);
	}
}

/** A section with both hooks: here each has a record of its own, and the second sees only what is known to go out. */
static void test_both_hooks(void **state)
{
	struct trace trace = flagged_trace(false);

	(void)state;
	sections[2].hooks[0].kind = AMON_HOOK_TC_INGRESS;
	sections[2].hooks[1].kind = AMON_HOOK_TC_EGRESS;
	sections[2].hook_count = 2;
	assert_ways(trace.path, 0, 900, 900, 300);
	sections[2].hooks[0].kind = AMON_HOOK_TC_EGRESS;
	sections[2].hook_count = 1;
	trace_free(&trace);
}

/** Options that lie, and other kinds of packets: each alone. */
static void test_options(void **state)
{
	static const struct {
		uint32_t type, count, options[5];
		uint64_t in, out;
	} cases[] = {
		{ 6, 0, { 0 }, 1, 1 },
		{ 6, 2, { 2 | 4 << 16, 1 }, 1, 0 },                    /* without an end */
		{ 6, 2, { 2 | 4 << 16, 2 }, 0, 1 },                    /* without an end */
		{ 6, 1, { 2 | 4 << 16 }, 1, 1 },                       /* cut behind its head */
		{ 6, 2, { 2 | 3 << 16, 1 }, 1, 1 },                    /* not of a flag's length */
		{ 6, 3, { 2 | 8 << 16, 1, 1 }, 1, 1 },                 /* not of a flag's length */
		{ 6, 3, { 0, 2 | 4 << 16, 1 }, 1, 1 },                 /* behind the end */
		{ 6, 3, { 1 | 0xffffu << 16, 2 | 4 << 16, 1 }, 1, 1 }, /* behind one that leaves the block */
		{ 6, 3, { 7, 2 | 4 << 16, 1 }, 1, 0 },                 /* behind an empty one */
		{ 6, 4, { 2 | 4 << 16, 2, 2 | 4 << 16, 1 }, 0, 1 },    /* said twice */
		{ 2, 3, { 2 | 4 << 16, 2, 0 }, 0, 1 },                 /* the obsolete kind has them too */
	};

	(void)state;
	for (uint32_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct trace trace = pcapng_new(false);

		put_packet(&trace, cases[i].type, 5, cases[i].options, cases[i].count);
		trace_end(&trace);
		assert_ways(trace.path, 0, cases[i].in, cases[i].in, cases[i].out);
		trace_free(&trace);
	}
}

/** A simple packet says nothing, whatever was before it. */
static void test_simple_packet(void **state)
{
	const uint32_t simple[] = { 4, 2 | 4 << 16 };
	struct trace trace = pcapng_new(false);

	(void)state;
	put_flagged(&trace, 4, 2);
	put_words(&trace, 3, simple, 2);
	trace_end(&trace);
	assert_ways(trace.path, 0, 1, 1, 2);
	trace_free(&trace);
}

/** A pcapng that ends at each of the last packet's bytes, and blocks whose lengths lie. */
static void test_broken_pcapng(void **state)
{
	static const uint32_t lengths[] = { 0, 8, 11, 13, 16 * 1024 * 1024 - 4, 16 * 1024 * 1024 + 4, UINT32_MAX };
	struct trace trace;
	long before;

	(void)state;
	for (uint32_t more = 1; more < 12 + 5 * 4 + 8 + 24; more++) {
		trace = pcapng_new(false);
		put_flagged(&trace, 7, 2);
		before = ftell(trace.file);
		put_flagged(&trace, 7, 1);
		trace_end(&trace);
		assert_int_equal(truncate(trace.path, before + more), 0);
		assert_ways(trace.path, -EIO, 0, 0, 1);
		trace_free(&trace);
	}
	for (uint32_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		const uint32_t head[] = { 6, lengths[i], 0, 0, 0, 4, 4 };

		trace = pcapng_new(false);
		put_flagged(&trace, 7, 2);
		put(&trace, head, sizeof(head));
		put_flagged(&trace, 7, 1);
		trace_end(&trace);
		assert_ways(trace.path, -EIO, 0, 0, 1);
		trace_free(&trace);
	}
}

static void test_prefixes(void **state)
{
	static const struct {
		const char *text;
		uint32_t size, length; /* 0: refused */
	} cases[] = {
		{ "10.0.0.0/8", 4, 8 },
		{ "10.0.0.1", 4, 32 },
		{ "10.0.0.1/0", 4, 0 },
		{ "2001:db8::/32", 16, 32 },
		{ "::1", 16, 128 },
		{ "0000:0000:0000:0000:0000:ffff:255.255.255.255/128", 16, 128 },
		{ "", 0, 0 },
		{ "/8", 0, 0 },
		{ "10.0.0.0/", 0, 0 },
		{ "10.0.0.0/33", 0, 0 },
		{ "10.0.0.0/-1", 0, 0 },
		{ "10.0.0.0/ 8", 0, 0 },
		{ "10.0.0.0/8/8", 0, 0 },
		{ "10.0.0.0/99999999999999999999", 0, 0 },
		{ "10.0.0/8", 0, 0 },
		{ "::/129", 0, 0 },
		{ "example.org", 0, 0 },
		{ "0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000", 0, 0 },
	};
	struct amon_prefix prefix;

	(void)state;
	for (uint32_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(amon_prefix_read(cases[i].text, &prefix), cases[i].size != 0);
		if (!cases[i].size)
			continue;
		assert_int_equal(prefix.size, cases[i].size);
		assert_int_equal(prefix.length, cases[i].length);
	}
}

#define MACS    "\2\0\0\0\0\1\2\0\0\0\0\2"
#define OUR_IP  "\x45\0\0\x14\0\0\0\0\x40\6\0\0\x0a\1\2\3\xc0\0\2\1"
#define AN_IP   "\x45\0\0\x14\0\0\0\0\x40\6\0\0\x0a\2\2\3\x0a\1\2\3"
#define OUR_IP6 "\x60\0\0\0\0\0\x3b\x40\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x0f\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1"
#define AN_IP6  "\x60\0\0\0\0\0\x3b\x40\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x10\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1"

static const struct sourced {
	enum amon_direction direction;
	uint32_t size, source; /* the bytes that are needed to know it; 0: none suffice */
	const char *bytes;
} sourced[] = {
	{ AMON_DIRECTION_EGRESS, 34, 30, MACS "\x08\x00" OUR_IP },
	{ AMON_DIRECTION_INGRESS, 34, 30, MACS "\x08\x00" AN_IP },
	{ AMON_DIRECTION_EGRESS, 54, 38, MACS "\x86\xdd" OUR_IP6 },
	{ AMON_DIRECTION_INGRESS, 54, 38, MACS "\x86\xdd" AN_IP6 },
	{ AMON_DIRECTION_EGRESS, 42, 38, MACS "\x88\xa8\0\1\x81\0\0\2\x08\x00" OUR_IP },
	{ AMON_DIRECTION_UNKNOWN, 46, 0, MACS "\x88\xa8\0\1\x81\0\0\2\x81\0\0\2\x08\x00" OUR_IP },
	{ AMON_DIRECTION_EGRESS, 42, 38, MACS "\x88\x64\x11\0\0\1\0\x16\0\x21" OUR_IP },
	{ AMON_DIRECTION_EGRESS, 62, 46, MACS "\x88\x64\x11\0\0\1\0\x2a\0\x57" OUR_IP6 },
	{ AMON_DIRECTION_UNKNOWN, 42, 0, MACS "\x88\x64\x11\0\0\1\0\x16\xc0\x21" OUR_IP },
	{ AMON_DIRECTION_EGRESS, 42, 38, MACS "\x88\x47\0\0\x10\x40\0\0\x21\x40" OUR_IP },
	{ AMON_DIRECTION_EGRESS, 58, 42, MACS "\x88\x47\0\0\x11\x40" OUR_IP6 },
	{ AMON_DIRECTION_UNKNOWN, 54, 0, MACS "\x88\x47\0\0\0\1\0\0\0\1\0\0\0\1\0\0\0\1\0\0\1\1" OUR_IP },
	{ AMON_DIRECTION_UNKNOWN, 34, 0, MACS "\x08\x06" OUR_IP },
	{ AMON_DIRECTION_UNKNOWN, 34, 0, MACS "\x86\xdd" OUR_IP },
};

static const struct amon_prefix local[] = {
	{ { 192, 0, 2, 7 }, 4, 32 },
	{ { 0x20, 1, 0x0d, 0xb8, [15] = 0x07 }, 16, 125 }, /* not ::f */
	{ { 0x20, 1, 0x0d, 0xb8, [15] = 0x0c }, 16, 126 },
	{ { 10, 1, 255, 255 }, 4, 16 },
};

static void test_sources(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < sizeof(sourced) / sizeof(sourced[0]); i++)
		for (uint32_t captured = 0; captured <= sourced[i].size; captured++) {
			uint8_t *bytes = malloc(captured); /* a sanitizer sees what is read behind them */
			enum amon_direction should = sourced[i].direction;

			memcpy(bytes, sourced[i].bytes, captured);
			if (captured < sourced[i].source)
				should = AMON_DIRECTION_UNKNOWN;
			assert_int_equal(amon_direction_by_source(bytes, captured, local, 4), should);
			free(bytes);
		}
}

/** Local addresses go before flags; these tell where there is no source, and else a packet comes in. */
static void test_local(void **state)
{
	const uint32_t inbound[] = { 2 | 4 << 16, 1 }, outbound[] = { 2 | 4 << 16, 2 };
	struct told told = { .local = local, .local_count = 4 };
	struct trace trace = pcapng_new(false);

	(void)state;
	for (uint32_t i = 0; i < 3; i++) {
		for (uint32_t packet = 0; packet < 2; packet++) {
			uint32_t words[5 + 9 + 2] = { 0, 0, 0, 34, 34 };

			memcpy(&words[5], sourced[packet].bytes, 34);
			memcpy(&words[14], i == 0 ? inbound : outbound, 8);
			put_words(&trace, 6, words, i == 2 ? 14 : 16);
		}
		put_packet(&trace, 6, 9, i == 0 ? inbound : outbound, i == 2 ? 0 : 2);
	}
	trace_end(&trace);
	assert_int_equal(replay(trace.path, 0, &told), 0);
	assert_int_equal(told.sums[0][0].packets, 5);
	assert_int_equal(told.sums[0][1].packets, 5);
	assert_int_equal(told.sums[0][2].packets, 4);
	trace_free(&trace);
}

static int compile(void **state)
{
	int error = amon_frontend_compile("test_replay.bpf.c", source, sizeof(source) - 1, &compiled);

	(void)state;
	for (size_t i = 0; i < compiled.message_count; i++)
		print_error("%u: %s\n", compiled.messages[i].line, compiled.messages[i].text);
	return error;
}

static int release(void **state)
{
	(void)state;
	amon_frontend_result_free(&compiled);
	amon_failure_clear(&failure);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_lengths),
		cmocka_unit_test(test_batches),
		cmocka_unit_test(test_signals),
		cmocka_unit_test(test_cut),
		cmocka_unit_test(test_cut_message),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_empty),
		cmocka_unit_test(test_standard_input),
		cmocka_unit_test(test_pcapng),
		cmocka_unit_test(test_windows),
		cmocka_unit_test(test_window_sums),
		cmocka_unit_test(test_window_ends_it),
		cmocka_unit_test(test_first_hook),
		cmocka_unit_test(test_directions),
		cmocka_unit_test(test_both_hooks),
		cmocka_unit_test(test_options),
		cmocka_unit_test(test_simple_packet),
		cmocka_unit_test(test_broken_pcapng),
		cmocka_unit_test(test_prefixes),
		cmocka_unit_test(test_sources),
		cmocka_unit_test(test_local),
	};

	return cmocka_run_group_tests(tests, compile, release);
}
