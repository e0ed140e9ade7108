/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Super-packets at TC, each buffer made by hand and run once in the kernel: what it is on the wire is worked out here.
 * If one fails, sums, histograms and conditions of local or offloaded traffic are wrong.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <linux/bpf.h>
#include <stdlib.h>
#include <string.h>

#include "kernel_fixture.h"

#define FIN 0x001
#define PSH 0x008
#define ACK 0x010
#define CWR 0x080

/* In the order of `struct wire`. */
static const char spec[] = "probe super { window 1s; ingress tc {\n"
                           "metric packets = count(); metric bytes = sum(frame.len); metric ip = sum(net.len);\n"
                           "metric payload = sum(l4.len); metric push = count() where tcp.flags.push;\n"
                           "metric fin = count() where tcp.flags.fin; metric cwr = count() where tcp.flags.cwr;\n"
                           "metric large = count() where frame.len > 1000; metric buffers = sum(frame.segments);\n"
                           "metric once = histogram(frame.segments, log2);\n"
                           "} }";

struct wire {
	uint64_t packets, bytes, ip, payload, push, fin, cwr, large, buffers;
};

static int setup(void **state)
{
	*state = fixture_new(spec, NULL);
	return 0;
}

static int teardown(void **state)
{
	fixture_free(*state);
	return 0;
}

/* --- buffers */

struct buffer {
	uint8_t bytes[4096];
	uint32_t length, network;
};

static void put(struct buffer *b, const void *bytes, uint32_t length)
{
	memcpy(b->bytes + b->length, bytes, length);
	b->length += length;
}

static void put16(struct buffer *b, uint16_t value)
{
	value = htons(value);
	put(b, &value, 2);
}

static void put_zeros(struct buffer *b, uint32_t length)
{
	memset(b->bytes + b->length, 0, length);
	b->length += length;
}

static void ethernet(struct buffer *b, uint16_t type, bool tagged)
{
	b->length = 0;
	put_zeros(b, 12);
	if (tagged) {
		put16(b, 0x8100);
		put16(b, 42);
	}
	put16(b, type);
	b->network = b->length;
}

static void ipv4(struct buffer *b, uint8_t proto, uint16_t total)
{
	uint8_t head[20] = { 0x45, 0, total >> 8, total & 255, 0, 0, 0, 0, 64, proto, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2 };

	put(b, head, sizeof(head));
}

static void ipv6(struct buffer *b, uint8_t next, uint16_t payload)
{
	uint8_t head[40] = { 0x60, 0, 0, 0, payload >> 8, payload & 255, next, 64 };

	put(b, head, sizeof(head));
}

static void tcp(struct buffer *b, uint16_t flags, uint32_t payload)
{
	put_zeros(b, 12);
	put16(b, 5 << 12 | flags);
	put_zeros(b, 6 + payload);
}

static void udp(struct buffer *b, uint32_t payload)
{
	put_zeros(b, 4);
	put16(b, 8 + payload);
	put_zeros(b, 2 + payload);
}

/* --- running */

static void reset(struct fixture *f)
{
	struct amon_failure failure = { .message = "" };

	assert_int_equal(amon_reader_replay_reset(f->loaded->reader, 1, 0, &failure), 0);
}

/* One buffer through the program; what is counted afterwards is `expected`. Returns the packets told as `cause`. */
static uint64_t check_buffer(struct fixture *f, const struct buffer *b, uint32_t gso_size, uint32_t gso_segs,
                             struct wire expected, const char *cause)
{
	struct __sk_buff skb = { .gso_size = gso_size, .gso_segs = gso_segs };
	LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = b->bytes, .data_size_in = b->length, .ctx_in = &skb,
	            .ctx_size_in = sizeof(skb));
	struct amon_collected *collected = NULL;
	struct amon_document *document = NULL;
	struct amon_failure failure = { .message = "" };
	struct amon_window window = { .sequence = 1, .end = 1 };
	const struct amon_section_rows *section;
	uint64_t told = 0;

	reset(f);
	assert_int_equal(bpf_prog_test_run_opts(f->loaded->clones[0].programs[AMON_HOOK_TC_INGRESS], &run), 0);
	assert_int_equal((int)run.retval, -1); /* TC_ACT_UNSPEC: the packet passes on */
	assert_int_equal(amon_reader_replay(f->loaded->reader, 0, &collected, &failure), 0);
	assert_int_equal(amon_document(f->exports, collected, &window, &document), 0);
	section = &document->sections[0];
	for (size_t i = 0; i < sizeof(expected) / 8; i++)
		if (section->cells[i].natural != ((uint64_t *)&expected)[i])
			fail_msg("%s: counted %llu, on the wire %llu", section->section->columns[i].name,
			         (unsigned long long)section->cells[i].natural,
			         (unsigned long long)((uint64_t *)&expected)[i]);
	/* the buffer is seen once by what reads frame.segments */
	assert_int_equal(section->cells[9].histogram->count, 1);
	assert_int_equal(amon_section_packets(section, section->section->seen).packets, expected.packets);
	assert_int_equal(amon_section_packets(section, section->section->seen).bytes, expected.bytes);
	for (uint32_t i = 0; cause && i < section->section->malformed_count; i++)
		if (!strcmp(section->section->malformed[i].name, cause))
			told = amon_section_packets(section, section->section->malformed[i].offset).packets;
	amon_document_free(document);
	amon_collected_free(collected);
	return told;
}

/* 2,500 bytes of payload by 1,000: two full packets and one of 500. */
static void tcp_is_cut(void **state)
{
	struct buffer b;

	SKIP_WITHOUT_BPF();
	ethernet(&b, 0x0800, false);
	ipv4(&b, 6, 2540);
	tcp(&b, ACK | PSH | FIN, 2500);
	check_buffer(*state, &b, 1000, 3, (struct wire){ 3, 3 * 54 + 2500, 3 * 40 + 2500, 2500, 1, 1, 0, 2, 3 }, NULL);
}

/* A dodgy source leaves gso_segs out. */
static void segments_are_computed(void **state)
{
	struct buffer b;

	SKIP_WITHOUT_BPF();
	ethernet(&b, 0x0800, false);
	ipv4(&b, 6, 2540);
	tcp(&b, ACK | PSH, 2500);
	check_buffer(*state, &b, 1000, 0, (struct wire){ 3, 3 * 54 + 2500, 3 * 40 + 2500, 2500, 1, 0, 0, 2, 3 }, NULL);
}

static void cwr_is_the_first(void **state)
{
	struct buffer b;

	SKIP_WITHOUT_BPF();
	ethernet(&b, 0x0800, false);
	ipv4(&b, 6, 2540);
	tcp(&b, ACK | CWR | FIN | PSH, 2500);
	check_buffer(*state, &b, 1000, 3, (struct wire){ 3, 3 * 54 + 2500, 3 * 40 + 2500, 2500, 1, 1, 1, 2, 3 }, NULL);
}

/* Two packets: the first has CWR, the last FIN; there is none between. */
static void two_packets_have_no_middle(void **state)
{
	struct buffer b;

	SKIP_WITHOUT_BPF();
	ethernet(&b, 0x0800, false);
	ipv4(&b, 6, 2040);
	tcp(&b, ACK | CWR | FIN, 2000);
	check_buffer(*state, &b, 1000, 2, (struct wire){ 2, 2 * 54 + 2000, 2 * 40 + 2000, 2000, 0, 1, 1, 2, 2 }, NULL);
}

static void one_packet_keeps_all_flags(void **state)
{
	struct buffer b;

	SKIP_WITHOUT_BPF();
	ethernet(&b, 0x0800, false);
	ipv4(&b, 6, 540);
	tcp(&b, ACK | CWR | FIN | PSH, 500);
	check_buffer(*state, &b, 1000, 1, (struct wire){ 1, 554, 540, 500, 1, 1, 1, 0, 1 }, NULL);
}

static void a_tag_is_repeated(void **state)
{
	struct buffer b;

	SKIP_WITHOUT_BPF();
	ethernet(&b, 0x0800, true);
	ipv4(&b, 6, 2540);
	tcp(&b, ACK, 2500);
	check_buffer(*state, &b, 1000, 3, (struct wire){ 3, 3 * 58 + 2500, 3 * 40 + 2500, 2500, 0, 0, 0, 2, 3 }, NULL);
}

static void udp_is_cut(void **state)
{
	struct buffer b;

	SKIP_WITHOUT_BPF();
	ethernet(&b, 0x0800, false);
	ipv4(&b, 17, 2528);
	udp(&b, 2500);
	check_buffer(*state, &b, 1000, 3, (struct wire){ 3, 3 * 42 + 2500, 3 * 28 + 2500, 2500, 0, 0, 0, 2, 3 }, NULL);
}

/* Hop-by-hop options are repeated too. */
static void ipv6_extensions_are_repeated(void **state)
{
	static const uint8_t hop_by_hop[8] = { 6, 0 };
	struct buffer b;

	SKIP_WITHOUT_BPF();
	ethernet(&b, 0x86dd, false);
	ipv6(&b, 0, 8 + 20 + 2500);
	put(&b, hop_by_hop, sizeof(hop_by_hop));
	tcp(&b, ACK, 2500);
	check_buffer(*state, &b, 1000, 3, (struct wire){ 3, 3 * 82 + 2500, 3 * 68 + 2500, 2500, 0, 0, 0, 2, 3 }, NULL);
}

/* Big TCP: lengths of 0 mean the buffer's. */
static void length_zero_is_the_buffers(void **state)
{
	struct buffer b;

	SKIP_WITHOUT_BPF();
	ethernet(&b, 0x0800, false);
	ipv4(&b, 6, 0);
	tcp(&b, ACK, 2500);
	check_buffer(*state, &b, 1000, 3, (struct wire){ 3, 3 * 54 + 2500, 3 * 40 + 2500, 2500, 0, 0, 0, 2, 3 }, NULL);
	ethernet(&b, 0x86dd, false);
	ipv6(&b, 6, 0);
	tcp(&b, ACK, 2500);
	check_buffer(*state, &b, 1000, 3, (struct wire){ 3, 3 * 74 + 2500, 3 * 60 + 2500, 2500, 0, 0, 0, 2, 3 }, NULL);
}

/* SCTP has no sizes (GSO_BY_FRAGS): as many packets as said, as many bytes as there are, and the ledger tells. */
static void without_sizes(void **state)
{
	struct buffer b;

	SKIP_WITHOUT_BPF();
	ethernet(&b, 0x0800, false);
	ipv4(&b, 132, 20 + 12 + 968);
	put_zeros(&b, 12 + 968);
	/* 1,014 bytes in three: 338 each; beside them IP has 14 less, and the payload 46 less */
	assert_int_equal(check_buffer(*state, &b, 0xffff, 3,
	                              (struct wire){ 3, 1014, 1014 - 3 * 14, 1014 - 3 * 46, 0, 0, 0, 0, 3 }, "unsized"),
	                 3);
}

/* A tunnel's inner sizes do not fit the outer headers. */
static void sizes_that_do_not_fit(void **state)
{
	struct buffer b;

	SKIP_WITHOUT_BPF();
	ethernet(&b, 0x0800, false);
	ipv4(&b, 17, 28 + 672);
	udp(&b, 672);
	assert_int_equal(check_buffer(*state, &b, 1000, 7,
	                              (struct wire){ 7, 714, 714 - 7 * 14, 714 - 7 * 42, 0, 0, 0, 0, 7 }, "unsized"),
	                 7);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tcp_is_cut),
		cmocka_unit_test(segments_are_computed),
		cmocka_unit_test(cwr_is_the_first),
		cmocka_unit_test(two_packets_have_no_middle),
		cmocka_unit_test(one_packet_keeps_all_flags),
		cmocka_unit_test(a_tag_is_repeated),
		cmocka_unit_test(udp_is_cut),
		cmocka_unit_test(ipv6_extensions_are_repeated),
		cmocka_unit_test(length_zero_is_the_buffers),
		cmocka_unit_test(without_sizes),
		cmocka_unit_test(sizes_that_do_not_fit),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
