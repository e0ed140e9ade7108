/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <errno.h>
#include <jansson.h>
#include <libxml/parser.h>
#include <signal.h>
#include <unistd.h>

#include "filled.h"
#include "runtime/export/schema.h"

/* --- CSV */

static char *part_of(struct fixture *fixture, uint32_t part, bool follows)
{
	const struct amon_format_options options = { .part = part, .follows = follows };

	return text_of(fixture, "csv", &options);
}

#define WINDOW  "window.sequence,window.start,window.end"
#define OF_TEN  "1,2026-01-01T00:00:00.000000000Z,2026-01-01T00:00:10.000000000Z"
#define NO_GAPS ",0,0,0,0,0,0,0,0"

static void test_csv_parts(void **state)
{
	static const char *const names[] = { "ingress", "ingress.flows", "probe", "probe.ledger" };
	struct fixture *fixture = *state;
	const struct amon_format *csv = amon_format_find("csv");

	for (uint32_t i = 0; i < 4; i++)
		assert_string_equal(csv->part(fixture->arena, fixture->exports, i), names[i]);
	assert_null(csv->part(fixture->arena, fixture->exports, 4));
	assert_int_equal(csv->only(fixture->exports), 1);
	fixture->exports->sections[0].table_count = 0;
	assert_int_equal(csv->only(fixture->exports), -1);
	fixture->exports->column_count = 0;
	assert_int_equal(csv->only(fixture->exports), 0);
	fixture->exports->sections[0].name = "../../etc/passwd";
	assert_string_equal(csv->part(fixture->arena, fixture->exports, 0), "_______etc_passwd");
}

static void test_csv_table(void **state)
{
	static const char head[] = WINDOW ",row.kind,net.src,port,packets,bytes,lowest,start,via,share,rate\r\n";
	static const char rows[] =
	        OF_TEN ",row,10.0.0.1,80,5,450,64,2026-01-01T00:00:00.000000001Z,02:00:00:00:00:01,0.5,360.0\r\n" OF_TEN
	               ",row,10.0.0.2,80,5,300,64,2026-01-01T00:00:00.000000001Z,02:00:00:00:00:02,"
	               "0.3333333333333333,240.0\r\n" OF_TEN
	               ",rest,,,1,90,64,2026-01-01T00:00:00.000000001Z,02:00:00:00:00:03,0.1,72.0\r\n";
	char whole[sizeof(head) + sizeof(rows)];

	snprintf(whole, sizeof(whole), "%s%s", head, rows);
	assert_string_equal(part_of(*state, 1, false), whole);
	assert_string_equal(part_of(*state, 1, true), rows);
}

/* Buckets count themselves alone; 64 of `gaps`, in seconds. What is null is empty. */
static void test_csv_metrics(void **state)
{
	static const char begins[] =
	        WINDOW ",packets,bytes,smallest,spread,sizes.count,sizes.sum,sizes.le.64,"
	               "sizes.le.128,sizes.le.inf,gaps.count,gaps.sum,gaps.le.1e-09,gaps.le.2e-09,";
	static const char row[] =
	        "\r\n" OF_TEN
	        ",12,900,,,12,900,3,0,9,0,0.0" NO_GAPS NO_GAPS NO_GAPS NO_GAPS NO_GAPS NO_GAPS NO_GAPS NO_GAPS
	        ",75.0\r\n";
	char *text = part_of(*state, 0, false);

	assert_memory_equal(text, begins, strlen(begins));
	assert_non_null(strstr(text, ",gaps.le.9223372036.854776,mean_size\r\n"));
	assert_string_equal(strchr(text, '\r'), row);
	assert_string_equal(part_of(*state, 2, false), WINDOW ",all\r\n" OF_TEN ",24\r\n");
}

static void test_csv_ledger(void **state)
{
	static const char expected[] =
	        WINDOW ",section,table,counter,cause,packets,bytes\r\n" OF_TEN ",ingress,,seen,,13,960\r\n" OF_TEN
	               ",ingress,,selected,,12,900\r\n" OF_TEN ",ingress,,malformed,ip_truncated,1,60\r\n" OF_TEN
	               ",ingress,flows,selected,,12,900\r\n" OF_TEN ",ingress,flows,in_rows,,11,840\r\n" OF_TEN
	               ",ingress,flows,other,,0,0\r\n" OF_TEN ",ingress,flows,unaccounted,full,1,60\r\n";

	assert_string_equal(part_of(*state, 3, false), expected);
}

static void test_csv_quotes(void **state)
{
	struct fixture *fixture = *state;

	fixture->exports->columns[0].name = "a,b";
	assert_non_null(strstr(part_of(fixture, 2, false), ",\"a,b\"\r\n"));
	fixture->exports->columns[0].name = "a\"b";
	assert_non_null(strstr(part_of(fixture, 2, false), ",\"a\"\"b\"\r\n"));
	fixture->exports->columns[0].name = "a\n\xff";
	assert_non_null(strstr(part_of(fixture, 2, false), ",\"a\xef\xbf\xbd\xef\xbf\xbd\"\r\n"));
}

/* --- XML */

static void test_xml(void **state)
{
	static const char expected[] = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
	                               "<amon:reads xmlns:amon=\"urn:amon:1\">\n"
	                               "<amon:read probe=\"sample\" interface=\"a&lt;&quot;&amp;&#xFFFD;\">\n"
	                               "  <amon:window sequence=\"1\" start=\"2026-01-01T00:00:00.000000000Z\" "
	                               "end=\"2026-01-01T00:00:10.000000000Z\"/>\n"
	                               "  <ingress>\n"
	                               "    <amon:hook direction=\"ingress\" type=\"xdp\"/>\n"
	                               "    <amon:metrics>\n"
	                               "      <packets>12</packets>\n"
	                               "      <bytes>900</bytes>\n"
	                               "      <sizes count=\"12\" sum=\"900\">\n"
	                               "        <amon:bucket le=\"64\" count=\"3\"/>\n"
	                               "        <amon:bucket count=\"9\"/>\n"
	                               "      </sizes>\n"
	                               "      <gaps count=\"0\" sum=\"0.0\"/>\n"
	                               "      <mean_size>75.0</mean_size>\n"
	                               "    </amon:metrics>\n"
	                               "    <amon:tables>\n"
	                               "      <flows>\n"
	                               "        <amon:row>\n"
	                               "          <net.src>10.0.0.1</net.src>\n";
	struct fixture *fixture = *state;
	char *text;

	fixture->document->interface = "a<\"&\x01";
	text = text_of(fixture, "xml", NULL);
	assert_memory_equal(text, expected, strlen(expected));
	assert_non_null(strstr(text, "<amon:rest>\n          <packets>1</packets>\n"));
	assert_non_null(strstr(text, "<amon:unaccounted cause=\"full\" packets=\"1\" bytes=\"60\"/>"));
}

static const char *xml_of_two(struct fixture *fixture)
{
	const struct amon_format_options follows = { .follows = true };
	char *end = NULL;
	size_t length;
	FILE *to = open_memstream(&end, &length);
	const char *both;

	assert_int_equal(amon_format_find("xml")->end(to), 0);
	fclose(to);
	both = amon_arena_printf(fixture->arena, "%s%s%s", text_of(fixture, "xml", NULL),
	                         text_of(fixture, "xml", &follows), end);
	free(end);
	return both;
}

static void assert_well_formed(const char *text)
{
	xmlDocPtr parsed = xmlReadMemory(text, (int)strlen(text), "text", NULL, XML_PARSE_NONET);

	assert_non_null(parsed);
	xmlFreeDoc(parsed);
}

/* Two reads are one document. */
static void test_xml_follows(void **state)
{
	const char *text = xml_of_two(*state), *first = strstr(text, "<amon:read ");

	assert_well_formed(text);
	assert_non_null(strstr(first + 1, "<amon:read "));
}

/* --- OpenMetrics; tests/formats/run.py asks strict parsers */

static void test_openmetrics(void **state)
{
	static const char *const lines[] = {
		"# HELP amon_sample_ingress_packets Packets, \\\"all\\\" of them\n"
		"# TYPE amon_sample_ingress_packets counter\n"
		"amon_sample_ingress_packets_total{interface=\"eth0\"} 12\n",
		/* a unit is the name's end, once */
		"# TYPE amon_sample_ingress_bytes counter\n"
		"# UNIT amon_sample_ingress_bytes bytes\n"
		"amon_sample_ingress_bytes_total{interface=\"eth0\"} 900\n",
		/* what has no value has no sample */
		"# TYPE amon_sample_ingress_smallest_bytes gauge\n"
		"# UNIT amon_sample_ingress_smallest_bytes bytes\n"
		"# TYPE amon_sample_ingress_spread gauge\n",
		/* cumulative, with the empty ones */
		"# TYPE amon_sample_ingress_sizes_bytes histogram\n"
		"# UNIT amon_sample_ingress_sizes_bytes bytes\n"
		"amon_sample_ingress_sizes_bytes_bucket{interface=\"eth0\",le=\"64.0\"} 3\n"
		"amon_sample_ingress_sizes_bytes_bucket{interface=\"eth0\",le=\"128.0\"} 3\n"
		"amon_sample_ingress_sizes_bytes_bucket{interface=\"eth0\",le=\"+Inf\"} 12\n"
		"amon_sample_ingress_sizes_bytes_count{interface=\"eth0\"} 12\n"
		"amon_sample_ingress_sizes_bytes_sum{interface=\"eth0\"} 900\n",
		"# TYPE amon_sample_ingress_flows_bytes counter\n"
		"# UNIT amon_sample_ingress_flows_bytes bytes\n"
		"amon_sample_ingress_flows_bytes_total{interface=\"eth0\",net_src=\"10.0.0.1\",port=\"80\"} 450\n"
		"amon_sample_ingress_flows_bytes_total{interface=\"eth0\",net_src=\"10.0.0.2\",port=\"80\"} 300\n"
		/* totals, of which `rest` would shrink: no counter */
		"# TYPE amon_sample_ingress_flows_lowest gauge\n"
		"amon_sample_ingress_flows_lowest{interface=\"eth0\",net_src=\"10.0.0.1\",port=\"80\"} 64\n"
		"amon_sample_ingress_flows_lowest{interface=\"eth0\",net_src=\"10.0.0.2\",port=\"80\"} 64\n"
		"amon_sample_ingress_flows_lowest{interface=\"eth0\",row=\"rest\"} 64\n",
		"# TYPE amon_sample_ingress_flows_start_seconds gauge\n"
		"# UNIT amon_sample_ingress_flows_start_seconds seconds\n"
		"amon_sample_ingress_flows_start_seconds{interface=\"eth0\",net_src=\"10.0.0.1\",port=\"80\"} "
		"1767225600.000000001\n",
		"# TYPE amon_sample_ingress_flows_via info\n"
		"amon_sample_ingress_flows_via_info{interface=\"eth0\",net_src=\"10.0.0.1\",port=\"80\","
		"value=\"02:00:00:00:00:01\"} 1\n",
		"amon_ledger_packets_total{interface=\"eth0\",probe=\"sample\",section=\"ingress\",table=\"flows\","
		"counter=\"unaccounted\",cause=\"full\"} 1\n",
		"# TYPE amon_sample_all gauge\namon_sample_all{interface=\"eth0\"} 24\n# EOF\n",
	};
	struct fixture *fixture = *state;
	const char *text;

	fixture->document->interface = "eth0";
	text = text_of(fixture, "openmetrics", NULL);
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		if (!strstr(text, lines[i]))
			fail_msg("%s is not in %s", lines[i], text);
}

/* Names of two families, or of a family and another's samples, that would be the same. */
static void test_openmetrics_clashes(void **state)
{
	struct fixture *fixture = *state;
	struct amon_export_column *columns = fixture->exports->sections[0].columns;
	const char *text;

	columns[SAMPLE_PACKETS].name = "x_total";
	columns[SAMPLE_BYTES].name = "x.y";
	columns[SAMPLE_MEAN_SIZE].name = "x_y";
	columns[SAMPLE_SMALLEST].name = "x";
	columns[SAMPLE_SMALLEST].unit = "";
	fixture->exports->sections[0].tables[0].columns[FLOW_PORT].name = "net_src";
	fixture->exports->sections[0].tables[0].columns[FLOW_SRC].name = "le";
	text = text_of(fixture, "openmetrics", NULL);
	assert_non_null(strstr(text, "# TYPE amon_sample_ingress_x counter\namon_sample_ingress_x_total 12\n"));
	assert_non_null(strstr(text, "# TYPE amon_sample_ingress_x_ gauge\n"));
	assert_non_null(strstr(text, "# TYPE amon_sample_ingress_x_y_bytes counter\n"));
	assert_non_null(strstr(text, "# TYPE amon_sample_ingress_x_y__bytes gauge\n"));
	assert_non_null(strstr(text, "{le_=\"10.0.0.1\",net_src=\"80\"}"));
}

/* Counters that are negative, and sums of what may be, are none. */
static void test_openmetrics_negative(void **state)
{
	static const int64_t edges[] = { -5, 5 };
	struct fixture *fixture = *state;
	struct amon_export_column *sizes = &fixture->exports->sections[0].columns[SAMPLE_SIZES];
	const char *text;

	sizes->buckets.edges = edges;
	section_of(fixture)->bytes = (uint64_t)-900;
	amon_document_free(fixture->document);
	amon_document(fixture->exports, fixture->collected, &ten_seconds, &fixture->document);
	text = text_of(fixture, "openmetrics", NULL);
	assert_non_null(strstr(text, "# UNIT amon_sample_ingress_bytes bytes\n#"));
	assert_non_null(strstr(text, "sizes_bytes_bucket{le=\"-5.0\"} 3\n"));
	assert_null(strstr(text, "sizes_bytes_sum"));
	assert_null(strstr(text, "sizes_bytes_count"));
}

/* --- any bytes: no format is broken by what a name or a help holds */

static const char *const hostile[] = {
	"\"",
	"'",
	"\\",
	"\\\"",
	"<",
	"]]>",
	"&amp;",
	"<!--",
	"-->",
	",",
	";",
	"{",
	"}",
	"#",
	"# EOF",
	"\n",
	"\r\n",
	"\t",
	"\x01",
	"\x1b[31m",
	"\x7f",
	"\x80",
	"\xc0\x80",
	"\xed\xa0\x80",
	"\xef\xbf\xbe",
	"\xef\xbf\xbf",
	"\xf4\x90\x80\x80",
	"\xc3\xa9",
	"\xf0\x9f\x90\x9d",
	"\xff\xfe",
	"\xe2\x82",
	"=1+1",
	"%s%n",
	"0",
	" ",
	"a b",
	"xml",
	"--",
	"",
};

static void make_hostile(struct fixture *fixture, const char *text)
{
	struct amon_export_section *section = fixture->exports->sections;
	/* a name has at least a byte */
	const char *name = amon_arena_printf(fixture->arena, "%s%s", text, *text ? "" : "_");

	fixture->document->interface = text;
	fixture->exports->probe = fixture->exports->help = name;
	section->name = section->tables[0].name = name;
	section->malformed = amon_new(fixture->arena, struct amon_export_counter);
	*section->malformed = (struct amon_export_counter){ text, SECTION_AT(truncated) };
	section->tables[0].unaccounted = section->malformed;
	for (uint32_t i = 0; i < section->column_count; i++) {
		section->columns[i].name = amon_arena_printf(fixture->arena, "%s%u", name, i);
		section->columns[i].help = text;
	}
	for (uint32_t i = 0; i < section->tables[0].column_count; i++) {
		section->tables[0].columns[i].name = amon_arena_printf(fixture->arena, "%u%s", i, name);
		section->tables[0].columns[i].unit = text;
	}
}

static bool is_control(char c)
{
	return ((unsigned char)c < 0x20 && c != '\n' && c != '\r') || c == 0x7f;
}

static void check_hostile(struct fixture *fixture)
{
	const char *json = text_of(fixture, "jsonl", NULL), *metrics = text_of(fixture, "openmetrics", NULL);
	const char *table = text_of(fixture, "table", NULL), *csv = part_of(fixture, 1, false);
	json_t *parsed = json_loads(json, 0, NULL);

	assert_non_null(parsed);
	json_decref(parsed);
	assert_well_formed(xml_of_two(fixture));
	assert_string_equal(metrics + strlen(metrics) - 7, "\n# EOF\n");
	for (const char *line = metrics; *line; line = strchr(line, '\n') + 1) {
		bool of_ours = !strncmp(line, "amon_", 5) || !strncmp(line, "# HELP amon_", 12) ||
		               !strncmp(line, "# TYPE amon_", 12) || !strncmp(line, "# UNIT amon_", 12);

		assert_true(of_ours || !strcmp(line, "# EOF\n"));
	}
	for (const char *c = table; *c; c++)
		assert_false(is_control(*c));
	for (const char *c = csv; *c; c++)
		assert_true(!is_control(*c) && (*c != '\n' || c[-1] == '\r'));
}

static void test_hostile(void **state)
{
	struct fixture *fixture = *state;

	for (size_t i = 0; i < sizeof(hostile) / sizeof(hostile[0]); i++) {
		make_hostile(fixture, hostile[i]);
		check_hostile(fixture);
	}
}

static void test_random_bytes(void **state)
{
	struct fixture *fixture = *state;
	char text[24];

	srandom(7);
	for (int i = 0; i < 300; i++) {
		size_t length = (size_t)random() % (sizeof(text) - 1);

		for (size_t j = 0; j < length; j++)
			text[j] = (char)(1 + random() % 255);
		text[length] = '\0';
		make_hostile(fixture, amon_arena_copy(fixture->arena, text, length));
		check_hostile(fixture);
	}
}

/* --- streams that do not take it */

static void test_full_disk(void **state)
{
	struct fixture *fixture = *state;

	for (const struct amon_format *format = amon_formats; format->name; format++) {
		FILE *full = fopen("/dev/full", "w");

		assert_non_null(full);
		assert_int_equal(format->write(fixture->document, full, NULL), -ENOSPC);
		fclose(full);
	}
	for (const struct amon_schema_language *language = amon_schema_languages; language->name; language++) {
		FILE *full = fopen("/dev/full", "w");

		assert_int_equal(language->write(fixture->exports, full), -ENOSPC);
		fclose(full);
	}
}

static void test_closed_pipe(void **state)
{
	struct fixture *fixture = *state;

	signal(SIGPIPE, SIG_IGN);
	for (const struct amon_format *format = amon_formats; format->name; format++) {
		int ends[2];
		FILE *to;

		assert_int_equal(pipe(ends), 0);
		close(ends[0]);
		to = fdopen(ends[1], "w");
		assert_int_equal(format->write(fixture->document, to, NULL), -EPIPE);
		fclose(to);
	}
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_csv_parts),
		TEST(test_csv_table),
		TEST(test_csv_metrics),
		TEST(test_csv_ledger),
		TEST(test_csv_quotes),
		TEST(test_xml),
		TEST(test_xml_follows),
		TEST(test_openmetrics),
		TEST(test_openmetrics_clashes),
		TEST(test_openmetrics_negative),
		TEST(test_hostile),
		TEST(test_random_bytes),
		TEST(test_full_disk),
		TEST(test_closed_pipe),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
