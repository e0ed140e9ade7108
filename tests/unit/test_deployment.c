/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/deployment.h"
#include "runtime/object.h"
#include "windows.h"

/*
 * Probes that run without a process, under traffic at full speed: replaced again and again, and read by processes that
 * are killed. What all windows hold together is what was sent; the generator counts for itself.
 *
 *   test_deployment [N]     with N replacements of each kind
 */
#define SESSIONS 100
#define KILLS    150

static int replacements = 100;

/* A built object, as `amonc build` makes it. */
struct built {
	struct fixture *fixture;
	void *object;
	size_t size;
};

static struct built build_telling(const char *spec, const char *exports)
{
	struct built built = { .fixture = fixture_new(spec, NULL) };

	if (!exports)
		exports = amon_exports_encode(built.fixture->arena, built.fixture->exports);
	built.size = built.fixture->object.object_size;
	built.object = malloc(built.size);
	memcpy(built.object, built.fixture->object.object, built.size);
	assert_int_equal(
	        amon_object_add_section(&built.object, &built.size, AMON_EXPORTS_SECTION, exports, strlen(exports)), 0);
	return built;
}

static struct built build(const char *spec)
{
	return build_telling(spec, NULL);
}

static void build_free(struct built *built)
{
	free(built->object);
	fixture_free(built->fixture);
}

static void deploy(const struct built *built)
{
	struct amon_failure failure = { .message = "" };
	struct amon_attached *attached = NULL;

	if (amon_probe_attach(built->fixture->loaded, "v0", &attached, &failure) ||
	    amon_deployment_create(built->fixture->loaded, attached, built->object, built->size, "v0", &failure))
		fail_msg("%s", failure.message);
}

static void replace(const struct built *running, const struct built *by)
{
	struct amon_replacement replacement = { .object = by->object,
		                                .object_size = by->size,
		                                .exports = by->fixture->exports };
	struct amon_failure failure = { .message = "" };
	struct amon_deployment deployment;

	if (amon_deployment_open("p", &deployment, &failure) ||
	    amon_deployment_replace(&deployment, running->fixture->exports, &replacement, &failure))
		fail_msg("%s", failure.message);
	amon_failure_clear(&failure);
	amon_deployment_close(&deployment);
}

static void remove_probe(void)
{
	struct amon_failure failure = { .message = "" };
	struct amon_deployment deployment;

	if (amon_deployment_open("p", &deployment, &failure) || amon_deployment_remove(&deployment, &failure))
		fail_msg("%s", failure.message);
	amon_deployment_close(&deployment);
}

/* What windows add up to: all packets of the section; of the table by session, all else apart. */
struct sums {
	uint64_t sequence, seen, rows[SESSIONS], others, bytes;
};

/* The column of a metric, by its name; NULL where this spec does not have it. */
static const struct amon_export_column *find_column(const struct amon_export_table *table, const char *name)
{
	for (uint32_t i = 0; i < table->column_count; i++)
		if (!strcmp(table->columns[i].name, name))
			return &table->columns[i];
	return NULL;
}

static void add_row(struct sums *sums, const struct amon_export_table *table, const uint8_t *key, const uint8_t *record)
{
	const struct amon_export_column *bytes = find_column(table, "b");
	uint32_t session = (uint32_t)key[2] << 8 | key[3];

	if (session < SESSIONS)
		sums->rows[session] += number_at(record, find_column(table, "c")->layout.count);
	else
		sums->others++;
	if (bytes)
		sums->bytes += number_at(record, bytes->layout.value);
}

static void add_counts(struct sums *sums, const struct amon_exports *exports, const struct amon_collected *counts)
{
	const struct amon_export_table *table = &exports->sections[0].tables[0];
	const struct amon_collected_table *rows = &counts->sections[0].tables[0];

	sums->seen += number_at(counts->sections[0].record, exports->sections[0].seen);
	for (uint64_t i = 0; i < rows->row_count; i++)
		add_row(sums, table, rows->keys + i * table->key_size, rows->records + i * table->record_size);
	/* without `snapshot` each value is read by itself, while packets pass */
	if (table->twice)
		check_table(table, &counts->sections[0], rows);
}

/* What one read gives. */
static struct amon_collected *cut_deployed(const struct built *running, uint64_t *sequence)
{
	struct amon_failure failure = { .message = "" };
	struct amon_deployment deployment;
	struct amon_collected *counts = NULL;
	struct amon_reader reader;
	struct amon_window window;

	if (amon_deployment_open("p", &deployment, &failure) ||
	    amon_deployment_reader(&deployment, running->fixture->exports, &reader, &failure) ||
	    amon_reader_cut(&reader, &counts, &window, &failure))
		fail_msg("%s", failure.message);
	*sequence = window.sequence;
	assert_int_equal(amon_reader_done(&reader, &failure), 0);
	amon_reader_close(&reader);
	amon_deployment_close(&deployment);
	return counts;
}

static void read_deployed(const struct built *running, struct sums *sums)
{
	uint64_t sequence;
	struct amon_collected *counts = cut_deployed(running, &sequence);

	assert_int_equal(sequence, ++sums->sequence);
	add_counts(sums, running->fixture->exports, counts);
	amon_collected_free(counts);
}

/* Sessions take turns, so each has its share to the packet. */
static void check_sums(const struct sums *sums, uint64_t sent)
{
	assert_int_equal(sums->seen, sent);
	assert_int_equal(sums->others, 0);
	for (uint32_t i = 0; i < SESSIONS; i++)
		assert_int_equal(sums->rows[i], sent / SESSIONS + (i < sent % SESSIONS));
}

static const char small[] = "probe p { %s ingress xdp { metric n = count();"
                            "table t by ip.src size 1Ki { metric l = sum(net.len); metric c = count(); } } }";
static const char large[] = "probe p { %s ingress xdp { metric n = count(); metric m = max(frame.len) snapshot;"
                            "table t by ip.src size 1Ki { metric b = sum(frame.len); metric c = count(); } } }";

static struct built build_with(const char *format, const char *window)
{
	char spec[512];

	snprintf(spec, sizeof(spec), format, window);
	return build(spec);
}

/* Metrics come and go, in the record of the section and in the rows of the table, and no packet is lost. */
static void check_replacements(const char *window, bool totals)
{
	struct built probes[2] = { build_with(small, window), build_with(large, window) };
	struct traffic *traffic = traffic_new("v1", SESSIONS, TRAFFIC_IN_TURN);
	struct sums sums = { 0 };
	uint64_t sequence;

	assert_int_equal(traffic_pace(traffic, "v0"), 0);
	deploy(&probes[0]);
	assert_int_equal(traffic_start(traffic, 1, 0), 0);
	for (int i = 0; i < replacements; i++) {
		replace(&probes[i % 2], &probes[(i + 1) % 2]);
		if (i % 3)
			continue;
		sequence = sums.sequence;
		if (totals)
			sums = (struct sums){ .sequence = sequence };
		read_deployed(&probes[(i + 1) % 2], &sums);
	}
	traffic_stop(traffic);
	sequence = sums.sequence;
	if (totals)
		sums = (struct sums){ .sequence = sequence };
	read_deployed(&probes[replacements % 2], &sums);
	check_sums(&sums, traffic_sent(traffic));
	remove_probe();
	traffic_free(traffic);
	build_free(&probes[0]);
	build_free(&probes[1]);
}

static void test_replace_windows(void **state)
{
	(void)state;
	SKIP_WITHOUT_BPF();
	check_replacements("window 1s;", false);
}

static void test_replace_totals(void **state)
{
	(void)state;
	SKIP_WITHOUT_BPF();
	check_replacements("", true);
}

static void test_replace_snapshot(void **state)
{
	(void)state;
	SKIP_WITHOUT_BPF();
	check_replacements("snapshot;", true);
}

/* --- what is remembered */

/* Two of three have the rows of `t` as they are, in a table that a second place for each would fill. */
#define REMEMBERS                                                                                                      \
	"metric g : u64 = 0 next g + 1; private table q by ip.src size 128 { state k = count(); }"                     \
	"metric most = max(q.k);"
#define FOLDED "metric c = count(); metric f : u64 = 0 next f + 1;"

static const char *const remembering[] = {
	"probe p { %s ingress xdp { " REMEMBERS " table t by ip.src size 128 { " FOLDED " } } }",
	"probe p { %s ingress xdp { " REMEMBERS " metric n = count(); table t by ip.src size 128 { " FOLDED " } } }",
	"probe p { %s ingress xdp { " REMEMBERS " table t by ip.src size 128 { " FOLDED " metric b = sum(frame.len); "
	"metric m = max(frame.len); } } }",
};
#define REMEMBERING 3

static uint64_t value_of(const struct amon_export_section *section, const uint8_t *record, const char *name)
{
	uint32_t i = 0;

	while (strcmp(section->columns[i].name, name))
		i++;
	return amon_state_value(&section->columns[i].layout, record);
}

/* Nothing is in `other`, and each row's fold is what its count() is: as many packets as were sent of it. */
static void check_remembered(const struct built *built, const struct amon_collected *counts,
                             const struct traffic *traffic)
{
	const struct amon_export_section *section = &built->fixture->exports->sections[0];
	const struct amon_export_table *table = &section->tables[0];
	const struct amon_collected_table *rows = &counts->sections[0].tables[0];
	const struct amon_layout *count = &find_column(table, "c")->layout, *fold = &find_column(table, "f")->layout;

	assert_int_equal(rows->row_count, SESSIONS);
	for (uint64_t i = 0; i < rows->row_count; i++) {
		const uint8_t *key = rows->keys + i * table->key_size, *record = rows->records + i * table->record_size;

		assert_int_equal(number_at(record, count->count), traffic_sent_of(traffic, key[3]));
		assert_int_equal(number_at(record, fold->value), number_at(record, count->count));
	}
	assert_int_equal(number_at(rows->other, count->count), 0);
	/* the last packet of the session that has most found all before it */
	assert_int_equal(value_of(section, counts->sections[0].record, "g"), traffic_sent(traffic));
	assert_int_equal(value_of(section, counts->sections[0].record, "most"), (traffic_sent(traffic) - 1) / SESSIONS);
}

/* States, folds, private tables and rows go on where they were, whatever else comes and goes beside them. */
static void test_replace_memory(void **state)
{
	struct built probes[REMEMBERING];
	struct amon_collected *counts;
	struct traffic *traffic;
	uint64_t sequence;

	(void)state;
	SKIP_WITHOUT_BPF();
	for (int i = 0; i < REMEMBERING; i++)
		probes[i] = build_with(remembering[i], "");
	traffic = traffic_new("v1", SESSIONS, TRAFFIC_IN_TURN);
	assert_int_equal(traffic_pace(traffic, "v0"), 0);
	deploy(&probes[0]);
	assert_int_equal(traffic_start(traffic, 1, 0), 0);
	for (int i = 0; i < replacements; i++)
		replace(&probes[i % REMEMBERING], &probes[(i + 1) % REMEMBERING]);
	traffic_stop(traffic);
	counts = cut_deployed(&probes[replacements % REMEMBERING], &sequence);
	check_remembered(&probes[replacements % REMEMBERING], counts, traffic);
	amon_collected_free(counts);
	remove_probe();
	traffic_free(traffic);
	for (int i = 0; i < REMEMBERING; i++)
		build_free(&probes[i]);
}

/* --- records that are laid out otherwise */

/* The same extremes at other places, and one of each that the other has not. */
static const char *const extremes[] = {
	"probe p { ingress xdp { metric low = min(frame.len); metric going = max(u8(frame.len));"
	"table t by ip.src size 1Ki { metric c = count(); metric low = min(u16(frame.len)); metric going = "
	"first(frame.time); metric every = bit_and(u8(frame.len)); metric none = min(frame.len) where udp; } } }",
	"probe p { ingress xdp { metric coming = min(u8(frame.len)); metric top = max(frame.time); metric low = "
	"min(frame.len);"
	"table t by ip.src size 1Ki { metric every = bit_and(u8(frame.len)); metric coming = min(u8(frame.len)); "
	"metric "
	"none = min(frame.len) where udp; metric c = count(); metric high = max(frame.len); metric low = "
	"min(u16(frame.len)); } } }",
};

static void check_extreme(const struct amon_export_column *column, const uint8_t *record, bool seen)
{
	assert_int_equal(amon_state_has(&column->layout, record), seen);
	/* all packets have 60 bytes; of no packet the least is the largest there is */
	if (seen)
		assert_int_equal(amon_state_value(&column->layout, record), 60);
}

/* `seen` is of what the probe that ran before had not. */
static void check_extremes(const struct built *built, bool seen)
{
	static const char *const carried[] = { "low", "every" }, *const fresh[] = { "coming", "high" };
	const struct amon_export_section *section = &built->fixture->exports->sections[0];
	const struct amon_export_table *table = &section->tables[0];
	uint64_t sequence;
	struct amon_collected *counts = cut_deployed(built, &sequence);
	const struct amon_collected_table *rows = &counts->sections[0].tables[0];

	for (uint32_t i = 0; i < section->column_count; i++)
		if (!strcmp(section->columns[i].name, "low") || !strcmp(section->columns[i].name, "coming"))
			check_extreme(&section->columns[i], counts->sections[0].record,
			              seen || !strcmp(section->columns[i].name, "low"));
	assert_int_equal(rows->row_count, SESSIONS);
	for (uint64_t row = 0; row < rows->row_count; row++) {
		const uint8_t *record = rows->records + row * table->record_size;

		for (int i = 0; i < 2; i++) {
			check_extreme(find_column(table, carried[i]), record, true);
			check_extreme(find_column(table, fresh[i]), record, seen);
		}
		check_extreme(find_column(table, "none"), record, false);
	}
	amon_collected_free(counts);
}

static void send_each_once(struct traffic *traffic)
{
	assert_int_equal(traffic_start(traffic, 1, SESSIONS), 0);
	while (traffic_runs(traffic))
		usleep(1000);
	traffic_stop(traffic);
}

/* What both have goes on, what is new begins with nothing. */
static void test_replace_layouts(void **state)
{
	struct built probes[2] = { { NULL, NULL, 0 }, { NULL, NULL, 0 } };
	struct traffic *traffic;

	(void)state;
	SKIP_WITHOUT_BPF();
	for (int i = 0; i < 2; i++)
		probes[i] = build(extremes[i]);
	traffic = traffic_new("v1", SESSIONS, TRAFFIC_IN_TURN);
	assert_int_equal(traffic_pace(traffic, "v0"), 0);
	deploy(&probes[0]);
	send_each_once(traffic);
	replace(&probes[0], &probes[1]);
	check_extremes(&probes[1], false);
	send_each_once(traffic);
	check_extremes(&probes[1], true);
	remove_probe();
	traffic_free(traffic);
	for (int i = 0; i < 2; i++)
		build_free(&probes[i]);
}

/* --- readers that are killed */

/* What a reader tells of a window, once it has read it. */
struct told {
	uint64_t sequence, seen;
};

static void read_for_ever(const struct built *built, int to)
{
	struct amon_failure failure = { .message = "" };
	struct amon_deployment deployment;
	struct amon_collected *counts = NULL;
	struct amon_reader reader;
	struct amon_window window;
	struct told told;

	if (amon_deployment_open("p", &deployment, &failure) ||
	    amon_deployment_reader(&deployment, built->fixture->exports, &reader, &failure))
		_exit(1);
	while (amon_reader_cut(&reader, &counts, &window, &failure) == 0) {
		told = (struct told){ window.sequence, number_at(counts->sections[0].record,
			                                         built->fixture->exports->sections[0].seen) };
		if (write(to, &told, sizeof(told)) != sizeof(told) || amon_reader_done(&reader, &failure))
			_exit(1);
		amon_collected_free(counts);
	}
	_exit(1);
}

/* The last that was told of each window counts; windows are told in order, and none is left out. */
static uint64_t add_up(int from)
{
	struct told told, last = { 0, 0 };
	uint64_t sum = 0;

	while (read(from, &told, sizeof(told)) == sizeof(told)) {
		if (told.sequence != last.sequence) {
			assert_int_equal(told.sequence, last.sequence + 1);
			sum += last.seen;
		} else {
			assert_int_equal(told.seen, last.seen);
		}
		last = told;
	}
	return sum + last.seen;
}

static void test_killed_readers(void **state)
{
	struct built built;
	struct traffic *traffic;
	uint64_t sum;
	int file;

	(void)state;
	SKIP_WITHOUT_BPF();
	char path[] = "/tmp/amon-told-XXXXXX";
	file = mkstemp(path);
	unlink(path);
	built = build_with(small, "window 1s;");
	traffic = traffic_new("v1", SESSIONS, TRAFFIC_IN_TURN);
	assert_int_equal(traffic_pace(traffic, "v0"), 0);
	deploy(&built);
	srandom(11);
	assert_int_equal(traffic_start(traffic, 1, 0), 0);
	for (int i = 0; i < KILLS; i++) {
		pid_t reader = fork();

		if (!reader)
			read_for_ever(&built, file);
		usleep(2000 + (unsigned int)(random() % 20000));
		kill(reader, SIGKILL);
		waitpid(reader, NULL, 0);
	}
	traffic_stop(traffic);
	/* what the last of them may have left, and what came since */
	for (int i = 0; i < 2; i++) {
		struct amon_failure failure = { .message = "" };
		struct amon_deployment deployment;
		struct amon_collected *counts = NULL;
		struct amon_reader reader;
		struct amon_window window;
		struct told told;

		assert_int_equal(amon_deployment_open("p", &deployment, &failure), 0);
		assert_int_equal(amon_deployment_reader(&deployment, built.fixture->exports, &reader, &failure), 0);
		assert_int_equal(amon_reader_cut(&reader, &counts, &window, &failure), 0);
		told = (struct told){ window.sequence,
			              number_at(counts->sections[0].record, built.fixture->exports->sections[0].seen) };
		assert_int_equal(write(file, &told, sizeof(told)), sizeof(told));
		assert_int_equal(amon_reader_done(&reader, &failure), 0);
		amon_collected_free(counts);
		amon_reader_close(&reader);
		amon_deployment_close(&deployment);
	}
	lseek(file, 0, SEEK_SET);
	sum = add_up(file);
	assert_int_equal(sum, traffic_sent(traffic));
	close(file);
	remove_probe();
	traffic_free(traffic);
	build_free(&built);
}

/* --- probes of another version of amon */

/* What nobody here can read is taken away all the same. */
static void test_remove_unread(void **state)
{
	struct built built;
	struct amon_failure failure = { .message = "" };
	struct amon_deployment deployment;

	(void)state;
	SKIP_WITHOUT_BPF();
	built = build_telling("probe p { ingress xdp { metric n = count(); } }", "{\"version\":1,\"probe\":\"p\"}");
	deploy(&built);
	assert_int_not_equal(system(AMON_BUILD_DIR "/amonc read p 2>/dev/null"), 0);
	assert_int_equal(system(AMON_BUILD_DIR "/amonc remove p 2>/dev/null"), 0);
	assert_int_not_equal(amon_deployment_open("p", &deployment, &failure), 0);
	amon_failure_clear(&failure);
	amon_deployment_close(&deployment);
	build_free(&built);
}

/* Behind each test: what one that failed has left running. */
static int end_all(void **state)
{
	struct amon_failure failure = { .message = "" };
	struct amon_deployment deployment;

	(void)state;
	if (!network_allowed())
		return 0;
	traffic_stop_all();
	if (!amon_deployment_open("p", &deployment, &failure))
		amon_deployment_remove(&deployment, &failure);
	amon_deployment_close(&deployment);
	amon_failure_clear(&failure);
	return 0;
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_replace_windows, end_all),
		cmocka_unit_test_teardown(test_replace_totals, end_all),
		cmocka_unit_test_teardown(test_replace_snapshot, end_all),
		cmocka_unit_test_teardown(test_replace_memory, end_all),
		cmocka_unit_test_teardown(test_replace_layouts, end_all),
		cmocka_unit_test_teardown(test_killed_readers, end_all),
		cmocka_unit_test_teardown(test_remove_unread, end_all),
	};

	if (argc > 1)
		replacements = (int)strtol(argv[1], NULL, 10);
	if (network_allowed() && network_new())
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
