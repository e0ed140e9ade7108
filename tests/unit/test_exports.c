/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <math.h>

#include "runtime/document.h"
#include "runtime/storage.h"
#include "sample.h"

static int setup(void **state)
{
	*state = amon_arena_new();
	return 0;
}

static int teardown(void **state)
{
	amon_arena_free(*state);
	return 0;
}

static struct amon_exports *decode(struct amon_arena *arena, const char *json)
{
	const char *error = NULL;
	struct amon_exports *exports = amon_exports_decode(arena, json, strlen(json), &error);

	assert_true(!exports == !!error);
	return exports;
}

static void check_round_trip(struct amon_arena *arena, const struct amon_exports *exports)
{
	const char *text = amon_exports_encode(arena, exports), *error = NULL;
	struct amon_exports *back = amon_exports_decode(arena, text, strlen(text), &error);

	if (!back)
		fail_msg("%s: %s", error, text);
	assert_string_equal(amon_exports_encode(arena, back), text);
}

static void test_round_trip(void **state)
{
	struct amon_arena *arena = *state;
	struct amon_exports *exports = sample_exports(arena), *back;

	check_round_trip(arena, exports);
	back = decode(arena, amon_exports_encode(arena, exports));
	assert_string_equal(back->sections[0].columns[SAMPLE_PACKETS].help, "Packets, \"all\" of them");
	assert_int_equal(back->window, 10000000000);
	assert_int_equal(back->sections[0].hooks[0].choice, true);
	assert_int_equal(back->sections[0].columns[SAMPLE_GAPS].divisor, 1000000000);
	assert_int_equal(back->sections[0].columns[SAMPLE_SIZES].buckets.edges[1], 128);
	assert_int_equal(back->sections[0].tables[0].columns[FLOW_VIA].layout.value_size, 6);
	assert_ptr_equal(back->sections[0].columns[SAMPLE_SPREAD].aggregation, amon_aggregation_find("variance"));
	assert_int_equal(back->sections[0].tables[0].having->op, AMON_OP_GT);
	assert_int_equal(back->sections[0].tables[0].columns[FLOW_SHARE].value->right->table, -1);
}

/* Whatever a constant is, it comes back bit by bit. */
static void test_constants(void **state)
{
	static const double reals[] = { 0.1, 1.0 / 3, 1e308, 5e-324, -0.0, 0.0, INFINITY, -INFINITY, 9007199254740993.0,
		                        1,   -1 };
	static const int64_t integers[] = { INT64_MIN, INT64_MAX, 0, -1, 1 };
	struct amon_arena *arena = *state;
	struct amon_exports *exports = sample_exports(arena), *back;

	for (size_t i = 0; i < sizeof(reals) / sizeof(*reals); i++) {
		exports->columns[0].value = sample_decimal(arena, reals[i]);
		back = decode(arena, amon_exports_encode(arena, exports));
		assert_memory_equal(&back->columns[0].value->real, &reals[i], sizeof(double));
	}
	for (size_t i = 0; i < sizeof(integers) / sizeof(*integers); i++) {
		exports->columns[0].value = sample_integer(arena, integers[i]);
		back = decode(arena, amon_exports_encode(arena, exports));
		assert_int_equal(back->columns[0].value->integer, integers[i]);
	}
	exports->columns[0].value = sample_decimal(arena, NAN);
	back = decode(arena, amon_exports_encode(arena, exports));
	assert_true(isnan(back->columns[0].value->real));
}

static void test_addresses(void **state)
{
	struct amon_arena *arena = *state;
	struct amon_exports *exports = sample_exports(arena), *back;
	struct amon_export_value *in = sample_value(arena, AMON_VALUE_IN, sample_bool);
	struct amon_range ranges[] = {
		{ .address = { .family = AMON_ADDRESS_IPV4, .bytes = { 10 }, .prefix = 8, .has_prefix = true } },
		{ .address = { .family = AMON_ADDRESS_IPV4, .prefix = 0, .has_prefix = true } },
		{ .address = { .family = AMON_ADDRESS_IPV6, .bytes = { 0xfc, [15] = 0xab }, .prefix = 128 },
		  .address_high = { .family = AMON_ADDRESS_IPV6, .bytes = { 0xfd }, .prefix = 128 },
		  .is_range = true },
		{ .low = INT64_MIN, .high = -2 },
	};

	in->left = sample_column(arena, 0, 0, FLOW_SRC);
	in->ranges = ranges;
	in->range_count = 4;
	exports->sections[0].tables[0].having = in;
	check_round_trip(arena, exports);
	back = decode(arena, amon_exports_encode(arena, exports));
	assert_memory_equal(back->sections[0].tables[0].having->ranges, ranges, sizeof(ranges));
}

/* Numbers as narrow as they are, kept as complements, one bit for each. */
static void test_narrow(void **state)
{
	struct amon_arena *arena = *state;
	struct amon_exports *exports = sample_exports(arena);
	struct amon_layout *layout = &exports->sections[0].tables[0].columns[FLOW_LOWEST].layout;
	const struct amon_layout *back;

	for (uint32_t size = 1; size <= 8; size *= 2) {
		*layout = (struct amon_layout){ .value = FLOW_AT(lowest),
			                        .count = UINT32_MAX,
			                        .squares = UINT32_MAX,
			                        .time = UINT32_MAX,
			                        .buckets = UINT32_MAX,
			                        .has = FLOW_AT(has_lowest),
			                        .value_size = size,
			                        .version = UINT32_MAX,
			                        .has_bit = 7,
			                        .kept = AMON_KEPT_COMPLEMENT };
		check_round_trip(arena, exports);
		back = &decode(arena, amon_exports_encode(arena, exports))
		                ->sections[0]
		                .tables[0]
		                .columns[FLOW_LOWEST]
		                .layout;
		assert_memory_equal(back, layout, sizeof(*back));
	}
}

/* --- damage: each breaks one thing that the runtime relies on */

static struct amon_export_table *flows(struct amon_exports *exports)
{
	return &exports->sections[0].tables[0];
}

static struct amon_export_column *flow(struct amon_exports *exports, enum sample_flow_column column)
{
	return &flows(exports)->columns[column];
}

static struct amon_export_column *metric(struct amon_exports *exports, enum sample_section_column column)
{
	return &exports->sections[0].columns[column];
}

#define RECORD_END sizeof(struct sample_flow)

static void break_value(struct amon_exports *e)
{
	flow(e, FLOW_BYTES)->layout.value = RECORD_END - 7;
}

static void break_count(struct amon_exports *e)
{
	flow(e, FLOW_PACKETS)->layout.count = UINT32_MAX - 4;
}

static void break_has(struct amon_exports *e)
{
	flow(e, FLOW_LOWEST)->layout.has = UINT32_MAX;
}

static void break_has_bit(struct amon_exports *e)
{
	flow(e, FLOW_LOWEST)->layout.has_bit = 8;
}

/* The least of numbers of 3 bytes. */
static void break_width(struct amon_exports *e)
{
	flow(e, FLOW_LOWEST)->layout.value_size = 3;
}

/* Sums grow. */
static void break_sum_width(struct amon_exports *e)
{
	flow(e, FLOW_BYTES)->layout.value_size = 4;
}

static void break_time_width(struct amon_exports *e)
{
	flow(e, FLOW_START)->layout.value_size = 4;
}

static void break_time(struct amon_exports *e)
{
	flow(e, FLOW_VIA)->layout.time = RECORD_END - 1;
}

/* An address is not its own time. */
static void break_own_time(struct amon_exports *e)
{
	flow(e, FLOW_VIA)->layout.time = UINT32_MAX;
}

static void break_squares(struct amon_exports *e)
{
	metric(e, SAMPLE_SPREAD)->layout.squares = sizeof(struct sample_section) - 8;
}

static void break_bucket_count(struct amon_exports *e)
{
	metric(e, SAMPLE_SIZES)->layout.bucket_count = 4;
}

static void break_buckets(struct amon_exports *e)
{
	metric(e, SAMPLE_GAPS)->layout.buckets = sizeof(struct sample_section) - 504;
}

static void break_bits(struct amon_exports *e)
{
	metric(e, SAMPLE_GAPS)->buckets = (struct amon_buckets){ .kind = AMON_BUCKETS_LOGLINEAR, .bits = 60 };
}

static void break_step(struct amon_exports *e)
{
	metric(e, SAMPLE_SIZES)->buckets =
	        (struct amon_buckets){ .kind = AMON_BUCKETS_LINEAR, .low = 0, .high = 5, .edge_count = 2 };
}

static void break_edges(struct amon_exports *e)
{
	static const int64_t edges[] = { 64, 64 };

	metric(e, SAMPLE_SIZES)->buckets.edges = edges;
}

static void break_version(struct amon_exports *e)
{
	flow(e, FLOW_SRC)->layout.version = sizeof(struct sample_key);
}

static void break_key(struct amon_exports *e)
{
	flow(e, FLOW_PORT)->layout.value = sizeof(struct sample_key) - 1;
}

static void break_key_width(struct amon_exports *e)
{
	flow(e, FLOW_PORT)->layout.value_size = 3;
}

static void break_key_count(struct amon_exports *e)
{
	flows(e)->key_count = FLOW_COLUMNS + 1;
}

static void break_key_overlap(struct amon_exports *e)
{
	*flow(e, FLOW_PORT) = *flow(e, FLOW_SRC);
}

static void break_key_size(struct amon_exports *e)
{
	flows(e)->key_size = AMON_MAX_KEY + 1;
}

static void break_record_size(struct amon_exports *e)
{
	flows(e)->record_size = 1 << 20;
}

static void break_address_size(struct amon_exports *e)
{
	flow(e, FLOW_VIA)->layout.value_size = 16;
}

static void break_aggregation(struct amon_exports *e)
{
	flow(e, FLOW_BYTES)->aggregation = NULL;
}

static void break_min_of_address(struct amon_exports *e)
{
	flow(e, FLOW_VIA)->aggregation = amon_aggregation_find("min");
}

static void break_top(struct amon_exports *e)
{
	flows(e)->top_by = FLOW_COLUMNS;
}

static void break_ledger(struct amon_exports *e)
{
	e->sections[0].seen = sizeof(struct sample_section) - 8;
}

static void break_other(struct amon_exports *e)
{
	flows(e)->other = UINT32_MAX;
}

static void break_divisor(struct amon_exports *e)
{
	flow(e, FLOW_BYTES)->divisor = 0;
}

static void break_reference(struct amon_exports *e)
{
	flow(e, FLOW_SHARE)->value->right->column = SAMPLE_SECTION_COLUMNS;
}

static void break_section(struct amon_exports *e)
{
	flow(e, FLOW_SHARE)->value->right->section = 1;
}

/* A section sees no rows. */
static void break_scope(struct amon_exports *e)
{
	metric(e, SAMPLE_MEAN_SIZE)->value->left->table = 0;
}

static void break_member(struct amon_exports *e)
{
	flow(e, FLOW_SHARE)->value->left->member = AMON_MEMBER_SUM;
}

static void break_circle(struct amon_exports *e)
{
	flow(e, FLOW_SHARE)->value->left->column = FLOW_RATE;
	flow(e, FLOW_RATE)->value->left->right->column = FLOW_SHARE;
}

static void break_operand(struct amon_exports *e)
{
	flow(e, FLOW_SHARE)->value->right = NULL;
}

static void break_operator(struct amon_exports *e)
{
	flow(e, FLOW_SHARE)->value->op = AMON_OP_NOT;
}

static void break_derive(struct amon_exports *e)
{
	e->columns[0].value = NULL;
}

static void break_probe(struct amon_exports *e)
{
	e->columns[0].kind = AMON_COLUMN_METRIC;
	e->columns[0].aggregation = amon_aggregation_find("count");
	e->columns[0].layout.count = 0;
}

static void break_hooks(struct amon_exports *e)
{
	e->sections[0].hook_count = 0;
}

static void break_name(struct amon_exports *e)
{
	e->sections[0].parts[0].map = "";
}

static void test_damage(void **state)
{
	static void (*const damages[])(struct amon_exports *exports) = {
		break_value,        break_count,       break_has,          break_time,        break_own_time,
		break_has_bit,      break_width,       break_sum_width,    break_time_width,  break_squares,
		break_bucket_count, break_buckets,     break_bits,         break_step,        break_edges,
		break_version,      break_key,         break_key_width,    break_key_count,   break_key_overlap,
		break_key_size,     break_record_size, break_address_size, break_aggregation, break_min_of_address,
		break_top,          break_ledger,      break_other,        break_divisor,     break_reference,
		break_section,      break_scope,       break_member,       break_circle,      break_operand,
		break_operator,     break_derive,      break_probe,        break_hooks,       break_name,
	};
	struct amon_arena *arena = *state;

	for (size_t i = 0; i < sizeof(damages) / sizeof(*damages); i++) {
		struct amon_exports *exports = sample_exports(arena);

		damages[i](exports);
		if (decode(arena, amon_exports_encode(arena, exports)))
			fail_msg("damage %zu was not seen", i);
	}
}

/* --- damage to what comes from users' maps */

static struct amon_export_table *peers(struct amon_exports *exports)
{
	return &exports->sections[0].tables[1];
}

static struct amon_export_column *peer(struct amon_exports *exports, enum sample_peer_column column)
{
	return &peers(exports)->columns[column];
}

static void set_user(struct amon_exports *e, struct amon_export_user user)
{
	static struct amon_export_user changed;

	changed = user;
	peers(e)->user = &changed;
}

static void break_key_source(struct amon_exports *e)
{
	peer(e, PEER_PORT)->source.offset = 7;
}

static void break_value_source(struct amon_exports *e)
{
	peer(e, PEER_PACKETS)->source.offset = 9;
}

static void break_source_width(struct amon_exports *e)
{
	peer(e, PEER_LAST)->source.size = 3;
}

static void break_source_address(struct amon_exports *e)
{
	peer(e, PEER_HOST)->source.size = 2;
}

static void break_number_width(struct amon_exports *e)
{
	peer(e, PEER_PORT)->layout.value_size = 2;
}

static void break_merge(struct amon_exports *e)
{
	peer(e, PEER_LAST)->aggregation = amon_aggregation_find("bit_or");
}

static void break_user_ledger(struct amon_exports *e)
{
	peers(e)->selected = 0;
}

static void break_user_spill(struct amon_exports *e)
{
	peers(e)->spill_map = "SPILL";
}

static void break_user_order(struct amon_exports *e)
{
	e->sections[0].user_count = 0;
}

static void break_user_count(struct amon_exports *e)
{
	e->sections[0].user_count = 3;
}

static void break_map_value(struct amon_exports *e)
{
	set_user(e, (struct amon_export_user){ AMON_MAP_PERCPU_HASH, 8, 0, false });
}

static void break_map_key(struct amon_exports *e)
{
	set_user(e, (struct amon_export_user){ AMON_MAP_PERCPU_ARRAY, 8, 16, false });
}

static void break_map_lock(struct amon_exports *e)
{
	set_user(e, (struct amon_export_user){ AMON_MAP_PERCPU_HASH, 8, 16, true });
}

static void break_list_key(struct amon_exports *e)
{
	set_user(e, (struct amon_export_user){ AMON_MAP_RINGBUF, 8, 16, false });
}

static void break_list_value(struct amon_exports *e)
{
	set_user(e, (struct amon_export_user){ AMON_MAP_RINGBUF, 0, 16, false });
}

static void break_list_kept(struct amon_exports *e)
{
	set_user(e, (struct amon_export_user){ AMON_MAP_QUEUE, 0, 16, false });
	peers(e)->column_count = 2;
	peers(e)->reset = false;
}

static void break_cpu(struct amon_exports *e)
{
	set_user(e, (struct amon_export_user){ AMON_MAP_HASH, 8, 16, false });
	peer(e, PEER_PORT)->source = (struct amon_export_source){ 0, 0, AMON_FORM_CPU };
}

static void break_part_kind(struct amon_exports *e)
{
	static const struct amon_export_user hash = { AMON_MAP_HASH, 4, 4, false };

	e->sections[0].parts[1].user = &hash;
}

static void break_part_source(struct amon_exports *e)
{
	metric(e, SAMPLE_SECTION_COLUMNS)->source.size = 8;
}

static void test_users_damage(void **state)
{
	static void (*const damages[])(struct amon_exports *exports) = {
		break_key_source, break_value_source, break_source_width, break_source_address, break_number_width,
		break_merge,      break_user_ledger,  break_user_spill,   break_user_order,     break_user_count,
		break_map_value,  break_map_key,      break_map_lock,     break_list_key,       break_list_value,
		break_list_kept,  break_cpu,          break_part_kind,    break_part_source,
	};
	struct amon_arena *arena = *state;

	for (size_t i = 0; i < sizeof(damages) / sizeof(*damages); i++) {
		struct amon_exports *exports = sample_users(arena);

		damages[i](exports);
		if (decode(arena, amon_exports_encode(arena, exports)))
			fail_msg("damage %zu was not seen", i);
	}
}

static void test_users_round_trip(void **state)
{
	struct amon_arena *arena = *state;
	struct amon_exports *back = decode(arena, amon_exports_encode(arena, sample_users(arena)));

	check_round_trip(arena, sample_users(arena));
	assert_int_equal(peers(back)->user->kind, AMON_MAP_LRU_PERCPU_HASH);
	assert_int_equal(peers(back)->user->value_size, 16);
	assert_int_equal(peer(back, PEER_LAST)->source.form, AMON_FORM_NETWORK);
	assert_ptr_equal(metric(back, SAMPLE_SECTION_COLUMNS)->aggregation, &amon_aggregation_value);
	assert_null(back->sections[0].parts[0].user);
	assert_int_equal(amon_ledger_count(&back->sections[0]), 1);
}

static void test_not_a_table(void **state)
{
	static const char *const texts[] = {
		"",
		"{",
		"[]",
		"null",
		"{}",
		"{\"version\":2}",
		"{\"version\":1,\"probe\":\"p\"}",
		"{\"version\":\"2\",\"probe\":\"p\"}",
		"{\"version\":2,\"probe\":5}",
		"{\"version\":2,\"probe\":\"p\",\"unheard_of\":1}",
		"{\"version\":2,\"probe\":\"p\",\"probe\":\"q\"}",
		"{\"version\":2,\"probe\":\"p\",\"window\":-1}",
		"{\"version\":2,\"probe\":\"p\",\"window\":1.5}",
		"{\"version\":2,\"probe\":\"p\",\"sections\":{}}",
		"{\"version\":2,\"probe\":\"p\",\"sections\":[null]}",
		"{\"version\":2,\"probe\":\"p\",\"uses_vlan\":2}",
		"{\"version\":2,\"probe\":\"p\"}x",
	};

	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
		assert_null(decode(*state, texts[i]));
	assert_non_null(decode(*state, "{\"version\":2,\"probe\":\"p\"}"));
}

static struct amon_export_value *chain(struct amon_arena *arena, uint32_t length)
{
	struct amon_export_value *value = sample_integer(arena, 1);

	for (uint32_t i = 1; i < length; i++)
		value = sample_binary(arena, AMON_OP_ADD, sample_int, value, sample_integer(arena, 1));
	return value;
}

/* As deep as an expression may be by the grammar is fine; what would overrun the stack is not, by whatever way. */
static void test_depth(void **state)
{
	struct amon_arena *arena = *state;
	struct amon_exports *exports = sample_exports(arena);
	struct amon_export_column *columns;

	exports->columns[0].value = chain(arena, AMON_TREE_DEPTH_MAX);
	assert_non_null(decode(arena, amon_exports_encode(arena, exports)));
	exports->columns[0].value = chain(arena, 5000);
	assert_null(decode(arena, amon_exports_encode(arena, exports)));

	columns = amon_new_array(arena, struct amon_export_column, 3000);
	for (int32_t i = 0; i < 3000; i++)
		columns[i] = sample_derive("d", "", i < 2999 ? sample_column(arena, -1, -1, i + 1) : chain(arena, 1));
	exports->columns = columns;
	exports->column_count = 3000;
	assert_null(decode(arena, amon_exports_encode(arena, exports)));
	/* none of them deep, but each stands on the one before */
	for (int32_t i = 0; i < 3000; i++)
		columns[i] = sample_derive("d", "", i ? sample_column(arena, -1, -1, i - 1) : chain(arena, 1));
	assert_null(decode(arena, amon_exports_encode(arena, exports)));
	exports->column_count = 1000;
	assert_non_null(decode(arena, amon_exports_encode(arena, exports)));
}

/* --- fuzzing: whatever is accepted, the runtime can follow without leaving a record (the sanitizers look on) */

static void fill(uint8_t *bytes, size_t size)
{
	for (size_t i = 0; i < size; i++)
		bytes[i] = (uint8_t)random();
}

static struct amon_collected *random_data(const struct amon_exports *exports)
{
	struct amon_collected *collected = amon_collected_new(exports);

	assert_non_null(collected);
	for (uint32_t i = 0; i < exports->section_count; i++) {
		fill(collected->sections[i].record, exports->sections[i].record_size);
		for (uint32_t j = 0; j < exports->sections[i].table_count; j++) {
			const struct amon_export_table *table = &exports->sections[i].tables[j];
			uint8_t *key = malloc(table->key_size), *record = malloc(table->record_size);

			for (int row = 0; row < 3; row++) {
				fill(key, table->key_size);
				fill(record, table->record_size);
				assert_int_equal(
				        amon_collected_add(table, &collected->sections[i].tables[j], key, record), 0);
			}
			free(key);
			free(record);
			assert_int_equal(amon_collected_sort(table, &collected->sections[i].tables[j]), 0);
		}
	}
	return collected;
}

static void follow(const struct amon_exports *exports)
{
	struct amon_collected *collected = random_data(exports);
	struct amon_window window = { .start = 1, .end = 5 };
	FILE *nowhere = fopen("/dev/null", "w");
	struct amon_document *document;

	assert_non_null(nowhere);
	assert_int_equal(amon_document(exports, collected, &window, &document), 0);
	for (const struct amon_format *format = amon_formats; format->name; format++)
		assert_int_equal(format->write(document, nowhere, NULL), 0);
	amon_document_free(document);
	for (uint32_t i = 0; i < exports->section_count; i++) {
		amon_subtract_baseline(&exports->sections[i], collected->sections[i].record,
		                       collected->sections[i].record);
		amon_clear_section(&exports->sections[i], collected->sections[i].record);
	}
	amon_collected_free(collected);
	fclose(nowhere);
}

/* Numbers first: they are what points somewhere. */
static void mutate(char *text, size_t length)
{
	static const char *const values[] = { "0", "1", "7", "8", "9", "-", ",", "e", ":", "}", "\"" };
	int changes = 1 + (int)(random() % 3);

	while (changes--) {
		size_t at = (size_t)random() % length;

		if (random() % 4)
			while (at < length && (text[at] < '0' || text[at] > '9'))
				at++;
		if (at < length)
			text[at] = values[random() % (random() % 8 ? 5 : 11)][0];
	}
}

static void test_mutations(void **state)
{
	char *text = amon_exports_encode(*state, sample_users(*state));
	size_t length = strlen(text);
	unsigned int accepted = 0;

	srandom(7);
	for (int i = 0; i < 20000; i++) {
		struct amon_arena *arena = amon_arena_new();
		char *copy = amon_arena_copy(arena, text, length);
		struct amon_exports *exports;

		mutate(copy, length);
		exports = decode(arena, copy);
		if (exports) {
			accepted++;
			follow(exports);
		}
		amon_arena_free(arena);
	}
	assert_true(accepted > 100);
}

static void test_truncation(void **state)
{
	const char *text = amon_exports_encode(*state, sample_users(*state)), *error;

	for (size_t length = 0; length < strlen(text); length++)
		assert_null(amon_exports_decode(*state, text, length, &error));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_round_trip, setup, teardown),
		cmocka_unit_test_setup_teardown(test_constants, setup, teardown),
		cmocka_unit_test_setup_teardown(test_addresses, setup, teardown),
		cmocka_unit_test_setup_teardown(test_narrow, setup, teardown),
		cmocka_unit_test_setup_teardown(test_damage, setup, teardown),
		cmocka_unit_test_setup_teardown(test_users_damage, setup, teardown),
		cmocka_unit_test_setup_teardown(test_users_round_trip, setup, teardown),
		cmocka_unit_test_setup_teardown(test_not_a_table, setup, teardown),
		cmocka_unit_test_setup_teardown(test_depth, setup, teardown),
		cmocka_unit_test_setup_teardown(test_mutations, setup, teardown),
		cmocka_unit_test_setup_teardown(test_truncation, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
