#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Users' C beside a spec: what is exported of its maps, what is refused, and what a compiler may not read.

  run.py AMONC [PATTERN]     the tests whose name contains PATTERN, or all

As root. Expected numbers are made here from the frames themselves. The last line is `N passed, M failed`."""
import collections, contextlib, json, os, shutil, socket, struct, subprocess, sys, tempfile

AMONC = os.path.abspath(sys.argv[1])
PATTERN = sys.argv[2] if len(sys.argv) > 2 else ""
HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.join(HERE, "..", "..")
sys.path.insert(0, os.path.join(HERE, "..", "tools"))
import packets  # noqa: E402
from suite import Wrong, main, same, test, tests, write  # noqa: E402

WORK = tempfile.mkdtemp(prefix="amon-users-")
os.chdir(WORK)
DONE, FAILED, USAGE, SPEC, CONFLICT, REFUSED = range(6)
HEAD = """#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in6.h>
#include <linux/ip.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
"""


def amonc(*arguments, timeout=120, prefix=(), **more):
    """Runs amonc; that it dies is always wrong."""
    run = subprocess.run([*prefix, AMONC, *arguments], capture_output=True, text=True, errors="replace", timeout=timeout, **more)
    if not 0 <= run.returncode <= 5:
        raise Wrong(f"amonc {' '.join(arguments)}: status {run.returncode}: {run.stderr[-800:]}")
    return run


def good(*arguments, **more):
    run = amonc(*arguments, **more)
    if run.returncode:
        raise Wrong(f"amonc {' '.join(arguments)}: status {run.returncode}: {run.stderr[:800]}")
    return run.stdout


def refused(run, status, *words):
    """The exit status, and what standard error says, in this order."""
    same("status of " + run.stderr[:400], run.returncode, status)
    at = 0
    for word in words:
        at = run.stderr.find(word, at)
        if at < 0:
            raise Wrong(f"standard error lacks `{word}`: {run.stderr[:1200]}")
        at += len(word)


def capture(name):
    if not os.path.exists(f"{name}.pcap"):
        packets.write_capture(name, f"{name}.pcap")
    return f"{name}.pcap"


def frames(name):
    """Time in nanoseconds and bytes of each frame."""
    with open(capture(name), "rb") as file:
        data = file.read()
    order = "<" if data[:4] in (b"\xd4\xc3\xb2\xa1", b"\x4d\x3c\xb2\xa1") else ">"
    unit = 1000 if data[:4] in (b"\xd4\xc3\xb2\xa1", b"\xa1\xb2\xc3\xd4") else 1
    at = 24
    while at + 16 <= len(data):
        seconds, fraction, captured, _ = struct.unpack_from(order + "IIII", data, at)
        yield seconds * 10**9 + fraction * unit, data[at + 16:at + 16 + captured]
        at += 16 + captured


def is_ip(frame):
    return len(frame) >= 34 and frame[12:14] == b"\x08\x00"


def source(frame):
    return socket.inet_ntoa(frame[26:30])


def probe(statements, hook="ingress xdp", settings="", file="x.bpf.c", beside=""):
    return f'probe users {{ {settings} {hook} as here {{ {beside} source "{file}" {{ {statements} }} }} }}\n'


def replayed(spec, trace, *arguments):
    """The documents of a replay."""
    out = good("replay", "-q", "-f", "jsonl", write("spec.amon", spec), capture(trace), *arguments)
    return [json.loads(line) for line in out.splitlines()]


def table(document, name, section="here"):
    return document[section]["tables"][name]["rows"]


# --- what is exported --------------------------------------------------------------------------------------------------

BY_SOURCE = HEAD + """
struct share { __u64 packets; __u32 bytes; };

struct {
	__uint(type, BPF_MAP_TYPE_%s);
	__uint(max_entries, 4096);
	__type(key, __be32);
	__type(value, struct share);
} FLOWS SEC(".maps");

int amon_packet(struct xdp_md *xdp)
{
	void *data = (void *)(long)xdp->data, *end = (void *)(long)xdp->data_end;
	struct ethhdr *eth = data;
	struct iphdr *ip = (void *)(eth + 1);
	struct share first = {}, *share;

	if ((void *)(ip + 1) > end || eth->h_proto != bpf_htons(ETH_P_IP))
		return XDP_DROP;
	bpf_map_update_elem(&FLOWS, &ip->saddr, &first, BPF_NOEXIST);
	share = bpf_map_lookup_elem(&FLOWS, &ip->saddr);
	if (share) {
		share->packets++;
		share->bytes += end - data;
	}
	return XDP_DROP;
}
"""


def by_source(name, within=lambda time: True):
    found = collections.defaultdict(lambda: [0, 0])
    for when, frame in frames(name):
        if is_ip(frame) and within(when):
            found[source(frame)][0] += 1
            found[source(frame)][1] += len(frame)
    return {address: tuple(sums) for address, sums in found.items()}


def shares(rows):
    return {row["key"]: (row["packets"], row["bytes"]) for row in rows}


@tests([(kind, kind, aggregate) for kind, aggregate in
        (("HASH", ""), ("LRU_HASH", ""), ("PERCPU_HASH", "aggregate sum"), ("LRU_PERCPU_HASH", "aggregate sum"))])
def hashes(kind, aggregate):
    write("x.bpf.c", BY_SOURCE % kind)
    for trace in "basic", "enterprise":
        (document,) = replayed(probe(f"table flows = map FLOWS {aggregate};"), trace)
        rows = table(document, "flows")
        same("rows", shares(rows), by_source(trace))
        same("their order", [row["key"] for row in rows], sorted(shares(rows), key=socket.inet_aton))


@tests([("HASH", "HASH", ""), ("PERCPU_HASH", "PERCPU_HASH", "aggregate sum")])
def windows(kind, aggregate):
    """Each window holds what came in it, and no more; what is not exported goes on."""
    write("x.bpf.c", BY_SOURCE % kind)
    documents = replayed(probe(f"table flows = map FLOWS {aggregate};", settings="window 1s;"), "basic")
    same("windows", len(documents), 3)
    for n, document in enumerate(documents):
        start = packets.START + n * packets.SECOND
        same(f"window {n}", shares(table(document, "flows")),
             by_source("basic", lambda time: start <= time < start + packets.SECOND))


@test
def timing_behind_the_map():
    write("x.bpf.c", BY_SOURCE % "HASH")
    spec = probe("table flows = map FLOWS snapshot reset;", beside="metric packets = count();")
    (document,) = replayed(spec, "basic")
    same("rows", shares(table(document, "flows")), by_source("basic"))
    same("amon's own", document["here"]["metrics"]["packets"], 30)


MANY = HEAD + """
enum color { RED = 1, GREEN = 5 };
struct inner { __s16 low; __u8 bytes[3]; _Bool set; };
struct value {
	enum color color;
	struct inner inner;
	struct inner two[2];
	__be16 port;
	__be64 wide;
	struct in6_addr six;
	struct { __s32 unnamed; };
	long long negative;
	unsigned long long large;
	char text[2];
};
struct key { __u8 kind; struct { __s8 a; __u16 b[2]; } in; };

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 8);
	__type(key, struct key);
	__type(value, struct value);
} MANY SEC(".maps");

int amon_packet(struct xdp_md *xdp)
{
	struct key key = { 7, { -3, { 40000, 2 } } };
	struct value value;

	__builtin_memset(&value, 0, sizeof(value));
	value.color = GREEN;
	value.inner = (struct inner){ -300, { 1, 2, 255 }, 1 };
	value.two[1].low = 30000;
	value.port = bpf_htons(8080);
	value.wide = bpf_cpu_to_be64(1ULL << 40);
	value.six.s6_addr[0] = 0x20;
	value.six.s6_addr[1] = 0x01;
	value.six.s6_addr[15] = 9;
	value.unnamed = -5;
	value.negative = -(1LL << 62);
	value.large = 0xffffffffffffffffULL;
	value.text[1] = 'A';
	bpf_map_update_elem(&MANY, &key, &value, BPF_ANY);
	return 0;
}
"""
MANY_ROW = {
    "kind": 7, "in.a": -3, "in.b[0]": 40000, "in.b[1]": 2, "color": 5,
    "inner.low": -300, "inner.bytes[0]": 1, "inner.bytes[1]": 2, "inner.bytes[2]": 255, "inner.set": True,
    "two[0].low": 0, "two[0].bytes[0]": 0, "two[0].bytes[1]": 0, "two[0].bytes[2]": 0, "two[0].set": False,
    "two[1].low": 30000, "two[1].bytes[0]": 0, "two[1].bytes[1]": 0, "two[1].bytes[2]": 0, "two[1].set": False,
    "port": 8080, "wide": 1 << 40, "six": "2001::9", "unnamed": -5, "negative": -(1 << 62), "large": (1 << 64) - 1,
    "text[0]": 0, "text[1]": 65,
}


@test
def every_kind_of_member():
    write("x.bpf.c", MANY)
    (document,) = replayed(probe("table many = map MANY;"), "basic")
    same("row", table(document, "many"), [MANY_ROW])


@test
def every_format():
    """Names that are none in XML or OpenMetrics, and the schemas of such a table."""
    write("x.bpf.c", MANY)
    spec = write("spec.amon", probe("table many = map MANY;"))
    trace = capture("basic")
    write("many.xml", good("replay", "-f", "xml", spec, trace))
    write("many.xsd", good("explain", "-f", "xsd", spec))
    run = subprocess.run(["xmllint", "--noout", "--schema", "many.xsd", "many.xml"], capture_output=True, text=True)
    same("XML by its schema: " + run.stderr[:400], run.returncode, 0)
    import jsonschema
    jsonschema.validate(json.loads(good("replay", "-f", "json", spec, trace)), json.loads(good("explain", "-f", "json-schema", spec)))
    from prometheus_client.openmetrics.parser import text_string_to_metric_families
    families = {family.name: family for family in text_string_to_metric_families(good("replay", "-f", "openmetrics", spec, trace))}
    same("a gauge", [sample.value for sample in families["amon_users_here_many_color"].samples], [5.0])
    lines = good("replay", "-f", "csv", spec, trace).splitlines()
    same("CSV", dict(zip(lines[0].split(","), lines[1].split(",")))["inner.low"], "-300")
    if "-300" not in good("replay", "-f", "table", spec, trace):
        raise Wrong("the table lacks a value")


PERCPU = HEAD + """
struct value { __u32 count; __s16 signed_one; };

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct value);
} ONE SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 3);
	__type(key, __u32);
	__type(value, __u64);
} THREE SEC(".maps");

int amon_packet(struct xdp_md *xdp)
{
	__u32 zero = 0, two = 2;
	struct value *value = bpf_map_lookup_elem(&ONE, &zero);
	__u64 *number = bpf_map_lookup_elem(&THREE, &two);

	if (value) {
		value->count++;
		value->signed_one = -7;
	}
	if (number)
		*number += 10;
	return 0;
}
"""


def possible_cpus():
    with open("/sys/devices/system/cpu/possible") as file:
        return sum(int(part.split("-")[-1]) - int(part.split("-")[0]) + 1 for part in file.read().strip().split(","))


@test
def aggregates():
    """A replay runs on one CPU: the others hold zeros."""
    cpus = possible_cpus()
    write("x.bpf.c", PERCPU)
    for word, count, signed in (("sum", 30, -7), ("avg", 30 / cpus, -7 / cpus), ("min", 0 if cpus > 1 else 30, -7),
                                ("max", 30, 0 if cpus > 1 else -7)):
        (document,) = replayed(probe(f"metric one = map ONE aggregate {word}; table three = map THREE aggregate {word};"), "basic")
        same(word, document["here"]["metrics"], {"one.count": count, "one.signed_one": signed})
        same(f"{word} of rows", table(document, "three"), [{"key": i, "value": 10 * count if i == 2 else 0} for i in range(3)])


@test
def each_cpu():
    write("x.bpf.c", PERCPU)
    (document,) = replayed(probe("table three = map THREE aggregate none;"), "basic")
    rows = table(document, "three")
    same("rows", len(rows), 3 * possible_cpus())
    same("columns", set(rows[0]), {"key", "cpu", "value"})
    same("all CPUs", {row["cpu"] for row in rows}, set(range(possible_cpus())))
    same("sum", sum(row["value"] for row in rows), 300)


@test
def units_and_derives():
    write("x.bpf.c", HEAD + """
struct { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 1); __type(key, __u32); __type(value, __u64); } T SEC(".maps");
struct pair { __u64 a; __u64 b; };
struct { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 1); __type(key, __u32); __type(value, struct pair); } P SEC(".maps");
int amon_packet(struct xdp_md *xdp)
{
	__u32 zero = 0;
	__u64 *t = bpf_map_lookup_elem(&T, &zero);
	struct pair *p = bpf_map_lookup_elem(&P, &zero);
	if (t)
		*t += 2000000;
	if (p) {
		p->a += 3;
		p->b += xdp->data_end - xdp->data;
	}
	return 0;
}
""")
    (document,) = replayed(probe('metric time = map T unit milliseconds as "took"; metric pair = map P;',
                                 beside="metric packets = count(); derive three = pair.a / packets; derive mean = pair.b / pair.a;"), "basic")
    size = sum(len(frame) for _, frame in frames("basic"))
    same("metrics", document["here"]["metrics"],
         {"packets": 30, "three": 3, "mean": size / 90, "took": 60, "pair.a": 90, "pair.b": size})


LISTS = HEAD + """
struct seen { __u32 number; __u16 length; };
struct { __uint(type, BPF_MAP_TYPE_%s); __uint(max_entries, %s); __type(value, struct seen); } SEEN SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 1); __type(key, __u32); __type(value, __u32); } N SEC(".maps");
int amon_packet(struct xdp_md *xdp)
{
	struct seen seen = { 0, xdp->data_end - xdp->data };
	__u32 zero = 0, *number = bpf_map_lookup_elem(&N, &zero);

	if (!number)
		return 0;
	seen.number = ++*number;
	%s;
	return 0;
}
"""
LENGTHS = [(n, len(frame)) for n, (_, frame) in enumerate(frames("basic"), 1)]


@tests([("QUEUE", "QUEUE", "64", "bpf_map_push_elem(&SEEN, &seen, BPF_ANY)", LENGTHS),
        ("STACK", "STACK", "64", "bpf_map_push_elem(&SEEN, &seen, BPF_ANY)", LENGTHS[::-1]),
        ("RINGBUF", "RINGBUF", "16384", "bpf_ringbuf_output(&SEEN, &seen, sizeof(seen), 0)", LENGTHS)])
def lists(kind, entries, push, wanted):
    """In the order in which they were put, or the other way round; the private counter goes on from window to window."""
    write("x.bpf.c", LISTS % (kind, entries, push))
    (document,) = replayed(probe("table seen = map SEEN reset;"), "basic")
    same("rows", [(row["number"], row["length"]) for row in table(document, "seen")], wanted)
    documents = replayed(probe("table seen = map SEEN;", settings="window 1s;"), "basic")
    same("windows", [(row["number"], row["length"]) for document in (documents if kind != "STACK" else documents[::-1])
                     for row in table(document, "seen")], wanted)


@test
def longest_prefixes():
    write("x.bpf.c", HEAD + """
struct key { __u32 length; __be32 address; };
struct { __uint(type, BPF_MAP_TYPE_LPM_TRIE); __uint(map_flags, BPF_F_NO_PREALLOC); __uint(max_entries, 16);
	 __type(key, struct key); __type(value, __u32); } NETS SEC(".maps");
int amon_packet(struct xdp_md *xdp)
{
	struct key wide = { 8, bpf_htonl(0x0a000000) }, narrow = { 24, bpf_htonl(0x0a000100) };
	__u32 one = 1, two = 2;

	bpf_map_update_elem(&NETS, &wide, &one, BPF_ANY);
	bpf_map_update_elem(&NETS, &narrow, &two, BPF_ANY);
	return 0;
}
""")
    (document,) = replayed(probe("table nets = map NETS;"), "basic")
    same("rows", table(document, "nets"), [{"length": 8, "address": "10.0.0.0", "value": 1}, {"length": 24, "address": "10.0.1.0", "value": 2}])


SMALL = HEAD + """
struct { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 1); __type(key, __u32); __type(value, __u64); } A SEC(".maps");
%s
int amon_packet(struct %s *context)
{
	__u32 zero = 0;
	__u64 *a = bpf_map_lookup_elem(&A, &zero);

	if (a)
		%s;
	return 0;
}
"""
COUNTS = SMALL % ("", "xdp_md", "++*a")


@test
def narrowed():
    write("x.bpf.c", COUNTS)
    (document,) = replayed(probe("metric a = map A;", beside="where frame.len > 60; metric packets = count();"), "basic")
    wanted = sum(len(frame) > 60 for _, frame in frames("basic"))
    same("both", document["here"]["metrics"], {"a": wanted, "packets": wanted})


@test
def two_files_and_directions():
    """Two sections, each with its file; a packet is seen by the one whose direction it has."""
    write("x.bpf.c", COUNTS)
    write("y.bpf.c", (SMALL % ("", "__sk_buff", "++*a")).replace(" A ", " B ").replace("&A", "&B"))
    spec = """probe users {
    ingress xdp { metric packets = count(); source "x.bpf.c" { metric a = map A; } }
    egress { metric packets = count(); source "y.bpf.c" { metric b = map B; } }
}"""
    for arguments in (), ("--local", "10.0.0.0/30"):
        (document,) = replayed(spec, "basic", *arguments)
        for section, name in ("ingress", "a"), ("egress", "b"):
            same(section, document[section]["metrics"][name], document[section]["metrics"]["packets"])


@test
def variables():
    """What a file keeps in variables, all clones share."""
    write("x.bpf.c", SMALL % ("static __u64 count = 5; static const volatile __u64 step = 2;", "xdp_md", "*a = count += step"))
    (document,) = replayed(probe("metric a = map A;"), "basic")
    same("last", document["here"]["metrics"]["a"], 5 + 2 * 30)


@test
def built():
    """The object runs alone, and no file beside it is asked for."""
    write("x.bpf.c", BY_SOURCE % "HASH")
    good("build", write("spec.amon", probe("table flows = map FLOWS;")), "-o", "built.o")
    os.remove("x.bpf.c")
    document = json.loads(good("replay", "-f", "json", "built.o", capture("basic")))
    same("rows", shares(table(document, "flows")), by_source("basic"))


@test
def emitted_and_explained():
    write("x.bpf.c", COUNTS)
    spec = write("spec.amon", probe("metric a = map A;"))
    for word in "int amon_packet(struct xdp_md *xdp);", 'source "x.bpf.c"', "amon_packet(xdp);":
        if word not in good("emit", spec):
            raise Wrong(f"emit lacks {word}")
    text = good("explain", spec)
    for word in "  A  ", "metric  a ", "the verifier processed":
        if word not in text:
            raise Wrong(f"explain lacks {word}: {text}")
    exports = json.loads(good("explain", "-f", "json", spec))["exports"]
    same("the export table", [part["map"] for part in exports["sections"][0]["parts"]], ["here_metrics", "A"])


@test
def measured():
    """What features cost is told beside a user's C, which stays: it is none of them."""
    shutil.copytree(os.path.join(ROOT, "examples", "ddos"), "measured")
    cost = json.loads(good("explain", "--measure", "-q", "-f", "json", "measured/ddos.amon"))
    same("features", [feature["metric"] for feature in cost["features"]], ["syns"])


@test
def beside_the_spec():
    """A file is looked for beside the spec, and may include what lies there."""
    os.makedirs("deep/er", exist_ok=True)
    write("deep/one.h", "#define STEP 3\n")
    write("deep/x.bpf.c", '#include "one.h"\n' + SMALL % ("", "xdp_md", "*a += STEP"))
    write("deep/er/spec.amon", probe("metric a = map A;", file="../x.bpf.c"))
    document = json.loads(good("replay", "-f", "json", "deep/er/spec.amon", capture("basic")))
    same("counted", document["here"]["metrics"]["a"], 90)


# --- what is refused ---------------------------------------------------------------------------------------------------

def checked(text, spec=None):
    write("x.bpf.c", text)
    return amonc("check", write("spec.amon", spec or probe("metric a = map A;")))


@tests([
    ("a map that is not there", "metric a = map AA;", "spec.amon:1:", "x.bpf.c defines no map `AA`", "did you mean `A`?"),
    ("a map twice", "metric a = map A; table b = map A;", "spec.amon:1:", "exported twice", "note: the first is here"),
    ("a name twice", "metric a = map A; table a = map C aggregate sum;", "`a` is defined twice"),
    ("aggregate on a map that CPUs share", "metric a = map A aggregate sum;", "no value for each CPU"),
    ("no aggregate on one that they do not", "table c = map C;", "value for each CPU", "aggregate sum", "x.bpf.c:11:", "the map is here"),
    ("an unknown aggregate", "table c = map C aggregate sun;", "not `sun`", "did you mean `sum`?"),
    ("a metric of each CPU", "metric c = map D aggregate none;", "a value for each CPU", "table c = map D aggregate none"),
    ("a metric of several entries", "metric c = map C aggregate sum;", "has 2 entries", "table c = map C"),
    ("an address that is added", "table e = map E aggregate sum;", "is an address", "aggregate none"),
    ("totals of two clones", "metric a = map A snapshot;", "two clones", "snapshot reset"),
    ("a unit of two members", "metric a = map A; metric f = map F unit bytes;", "`f` is 2 metrics"),
    ("an unknown unit", "metric a = map A unit byts;", "`byts`", "did you mean `bytes`?"),
    ("where behind a map", "metric a = map A where ip;", "`where` cannot stand behind a `map`"),
    ("a queue that stays", "table q = map Q;", "taking out", "reset"),
    ("a bloom filter", "table b = map B;", "cannot be exported", "bloom filter"),
    ("maps in a map", "table m = map M;", "cannot be exported", "holds maps"),
    ("a kind that is not known", "table u = map U;", "a kind that is not known, 99"),
    ("a key without a type", "table k = map K;", "key without a type", "__type(key, "),
    ("a ring without a type", "table r = map R;", "what its records are", "__type(value, "),
])
def spec_is_wrong(statements, *words):
    text = SMALL % ("""struct pair { __u32 a, b; };
struct { __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY); __uint(max_entries, 2); __type(key, __u32); __type(value, __u64); }
C SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY); __uint(max_entries, 1); __type(key, __u32); __type(value, __u64); } D SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_PERCPU_HASH); __uint(max_entries, 2); __type(key, __u32); __type(value, __be32); } E SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 1); __type(key, __u32); __type(value, struct pair); } F SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_QUEUE); __uint(max_entries, 8); __type(value, __u32); } Q SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_BLOOM_FILTER); __uint(max_entries, 8); __type(value, __u32); } B SEC(".maps");
struct one { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 1); __type(key, __u32); __type(value, __u32); };
struct { __uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS); __uint(max_entries, 8); __type(key, __u32); __array(values, struct one); } M SEC(".maps");
struct { __uint(type, 99); __uint(max_entries, 8); __type(key, __u32); __type(value, __u32); } U SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 8); __uint(key_size, 4); __type(value, __u32); } K SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_RINGBUF); __uint(max_entries, 4096); } R SEC(".maps");
""", "xdp_md", "++*a")
    refused(checked(text, probe(statements)), SPEC, *words)


@tests([
    ("a bit-field", "struct v { __u32 a : 3; };", "a bit-field in its value, `a`"),
    ("a pointer", "struct v { __u64 n; void *next; };", "a pointer in its value, `next`"),
    ("a pointer inside", "struct in { int *p; }; struct v { struct in in[2]; };", "a pointer in its value, `in[0].p`"),
    ("a flexible array", "struct v { __u32 n; __u32 rest[]; };", "a flexible array in its value, `rest`"),
    ("a union", "struct v { union { __u32 a; __u64 b; } u; };", "a union in its value, `u`"),
    ("a wide number", "struct v { unsigned __int128 n; };", "more than 64 bits in its value, `n`"),
    ("nothing", "struct v { struct bpf_timer timer; };", "nothing to export in its value"),
])
def value_is_wrong(struct_text, *words):
    """Said of the map in the spec, with the member in the C; a map like that may stay private."""
    text = SMALL % (struct_text + "\nstruct { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 1); "
                    '__type(key, __u32); __type(value, struct v); } V SEC(".maps");', "xdp_md", "++*a")
    refused(checked(text, probe("metric a = map A; table v = map V;")), SPEC, "spec.amon:1:", "the map `V` cannot be exported", *words,
            "stays private", "x.bpf.c:", "note: it is here")
    same("private", checked(text).returncode, DONE)


@tests([
    ("missing", "", "defines no function amon_packet()", "int amon_packet(struct xdp_md *xdp)"),
    ("static", "static __attribute__((noinline, used)) int amon_packet(struct xdp_md *x) { return 0; }", "x.bpf.c:9:", "amon_packet() is static"),
    ("of the other context", "int amon_packet(struct __sk_buff *skb) { return 0; }", "x.bpf.c:9:5: error:", "struct xdp_md *", "XDP"),
    ("of two parameters", "int amon_packet(struct xdp_md *x, int y) { return y; }", "x.bpf.c:9:5: error:", "struct xdp_md *"),
    ("without a value", "void amon_packet(struct xdp_md *x) {}", "x.bpf.c:9:6: error:", "returns no int"),
    ("in a section", 'SEC("xdp") int amon_packet(struct xdp_md *x) { return 0; }', "leave SEC() out"),
    ("and a program", 'int amon_packet(struct xdp_md *x) { return 0; }\nSEC("xdp") int other(struct xdp_md *x) { return 0; }', "other()", "leave SEC() out"),
])
def entry(text, *words):
    text = HEAD + '\nstruct { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 1); __type(key, __u32); __type(value, __u64); } A SEC(".maps");\n' + text
    refused(checked(text), SPEC, *words)


@tests([
    ("ingress alone", "ingress", "`ingress` alone may be either", "write `ingress xdp` or `ingress tc`"),
    ("both", "ingress xdp, egress", "this section runs at both"),
])
def hook_is_wrong(hook, *words):
    write("x.bpf.c", COUNTS)
    refused(amonc("check", write("spec.amon", probe("metric a = map A;", hook=hook))), SPEC, *words)


@tests([("tail call", "bpf_tail_call(context, &A, 0)", "bpf_tail_call()"),
        ("redirect", "*a = bpf_redirect(1, 0)", "bpf_redirect()"),
        ("adjust", "*a = bpf_xdp_adjust_head(context, 4)", "bpf_xdp_adjust_head()")])
def changes_packets(statement, *words):
    refused(checked(SMALL % ("", "xdp_md", statement)), SPEC, *words, "monitor")


@test
def pinned():
    refused(checked(SMALL.replace("__type(key, __u32);", "__type(key, __u32); __uint(pinning, LIBBPF_PIN_BY_NAME);") % ("", "xdp_md", "++*a")),
            SPEC, "pinned")


@test
def licenses():
    for license, status in ("GPL", DONE), ("Dual BSD/GPL", DONE), ("Proprietary", SPEC):
        same(license, checked(SMALL % (f'char _license[] SEC("license") = "{license}";', "xdp_md", "++*a")).returncode, status)


@test
def too_many_maps():
    more = "".join(f'struct {{ __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 1); __type(key, __u32); __type(value, __u64); }} M{i} SEC(".maps");\n'
                   for i in range(64))
    refused(checked(SMALL % (more, "xdp_md", "++*a")), SPEC, "maps; a program may use 64")


@test
def two_of_one_name():
    write("x.bpf.c", COUNTS)
    spec = write("spec.amon", """probe users { ingress xdp { source "x.bpf.c" { metric a = map A; } }
                                               egress { source "y.bpf.c" { metric b = map A; } } }""")
    write("y.bpf.c", SMALL % ("", "__sk_buff", "++*a"))
    refused(amonc("build", spec), SPEC, "A")
    same("nothing is left", os.path.exists("users.o"), False)


@tests([
    ("missing", None, "spec.amon:1:46: error: cannot use x.bpf.c: No such file"),
    ("empty", b"", "it is empty"),
    ("binary", b"int a;\0\1\2", "no text"),
    ("of 10 MB", b"/* */\n" * 1700000, "1 MiB at most"),
    ("a directory", "mkdir", "no file of text"),
])
def file_is_wrong(content, *words):
    shutil.rmtree("x.bpf.c", ignore_errors=True)
    with contextlib.suppress(OSError):
        os.remove("x.bpf.c")
    if content == "mkdir":
        os.mkdir("x.bpf.c")
    elif content is not None:
        write("x.bpf.c", content)
    refused(amonc("check", write("spec.amon", probe("metric a = map A;"))), SPEC, *words)
    shutil.rmtree("x.bpf.c", ignore_errors=True)


@tests([
    ("syntax", "int amon_packet(struct xdp_md *x) { return 0 }", "x.bpf.c:7:45: error:", "expected ';'"),
    ("a header that is not there", '#include "nothing.h"', "x.bpf.c:7:10: error:", "nothing.h"),
    ("in a header", '#include "bad.h"', "spec.amon:1:", "bad.h:1:5:"),
    ("a warning", "int amon_packet(struct xdp_md *x) { int unused; return 0; }", "x.bpf.c:7:41: warning:", "unused"),
])
def compile_errors(text, *words):
    write("bad.h", "int 5;\n")
    run = checked(HEAD + text)
    refused(run, run.returncode, *words)
    if "warning" not in words[0]:
        same("status", run.returncode, SPEC)


SECRET = "root:secret:0:0:root"


@tests([
    ("#include of /etc/passwd", '#include "/etc/passwd"', "x.bpf.c:1:"),
    ("#include of a file elsewhere", '#include "SECRET"', "x.bpf.c:1:"),
    ("#include by a link", '#include "link.h"', "x.bpf.c:1:"),
    ("#include of a parent", '#include "../elsewhere/secret"', "x.bpf.c:1:"),
    (".incbin", 'int f(void) { asm volatile(".incbin \\"SECRET\\""); return 0; }', "assembler directives are not allowed"),
    (".incbin outside", 'asm(".incbin \\"SECRET\\"");', "assembler outside functions"),
    ("#embed", 'char text[] = {\n#embed "SECRET"\n};', "x.bpf.c:"),
])
def other_files(text, *words):
    elsewhere = os.path.join(os.path.dirname(WORK), os.path.basename(WORK) + "-elsewhere")
    os.makedirs(elsewhere, exist_ok=True)
    secret = os.path.join(elsewhere, "secret")
    write(secret, SECRET + "\n")
    with contextlib.suppress(FileExistsError):
        os.symlink(secret, "link.h")
    with contextlib.suppress(FileExistsError):
        os.symlink(elsewhere, "elsewhere-link")
    run = checked(text.replace("SECRET", secret).replace("../elsewhere", "../" + os.path.basename(elsewhere)) + "\n" + COUNTS)
    shutil.rmtree(elsewhere)
    refused(run, SPEC, *words)
    if "secret:" in run.stderr or "root:x" in run.stderr:
        raise Wrong(f"it tells what is in the file: {run.stderr[:600]}")


@test
def lines_of_other_files():
    """A #line names a file, and the object keeps lines of files that it was made of: not of that one."""
    write("x.bpf.c", SMALL % ("", "xdp_md", '({\n#line 1 "/etc/passwd"\n++*a;\n})'))
    good("build", write("spec.amon", probe("metric a = map A;")), "-o", "lines.o")
    with open("lines.o", "rb") as file, open("/etc/passwd", "rb") as passwd:
        same("in the object", passwd.read().split(b"\n")[0] in file.read(), False)


@tests([
    ("an endless macro", "\n".join(["#define M0 1+1+"] + [f"#define M{i} M{i - 1} M{i - 1}" for i in range(1, 64)] + ["int x = M63 1;"])),
    ("an endless include", '#include "x.bpf.c"\n'),
    ("deep brackets", "int x = " + "(" * 300000 + "1" + ")" * 300000 + ";"),
    ("deep blocks", "void f(void) { " + "{" * 200000 + "}" * 200000 + " }"),
    ("a huge array", "char big[1UL << 40] = { 1 };"),
])
def endless(text):
    """Refused in a while, and amonc lives."""
    refused(amonc("check", write("spec.amon", probe("metric a = map A;")), timeout=100) if write("x.bpf.c", text + "\n" + COUNTS) else None,
            SPEC, "error:")


@test
def refusal():
    """The verifier's reason, at the line of the C; its log only for who asks. Likewise of an object."""
    text = SMALL % ("", "xdp_md", "*a += *(__u8 *)(long)context->data")
    write("x.bpf.c", text)
    spec, trace = write("spec.amon", probe("metric a = map A;")), capture("basic")
    number = next(n for n, line in enumerate(text.split("\n"), 1) if "context->data" in line)
    good("build", spec, "-o", "refused.o")
    for what in spec, "refused.o":
        run = amonc("replay", what, trace)
        refused(run, REFUSED, f"x.bpf.c:{number}:", "the kernel's verifier refuses this:", "invalid access to packet", "context->data", "-v shows")
        same("a few lines", len(run.stderr.splitlines()) < 8, True)
    refused(amonc("replay", "-v", spec, trace), REFUSED, f"x.bpf.c:{number}:", "processed ")


# --- live --------------------------------------------------------------------------------------------------------------

NAMES = "amon-users-a", "amon-users-b"


@contextlib.contextmanager
def namespaces():
    def ip(*arguments, check=True):
        subprocess.run(["ip", *arguments], check=check, capture_output=True)
    for name in NAMES:
        ip("netns", "del", name, check=False)
    for name in NAMES:
        ip("netns", "add", name)
    try:
        ip("-n", NAMES[0], "link", "add", "v0", "type", "veth", "peer", "name", "v1", "netns", NAMES[1])
        for name, link, address in (NAMES[0], "v0", "10.9.0.1/24"), (NAMES[1], "v1", "10.9.0.2/24"):
            ip("netns", "exec", name, "sysctl", "-q", "-w", "net.ipv6.conf.all.disable_ipv6=1")
            ip("-n", name, "addr", "add", address, "dev", link)
            ip("-n", name, "link", "set", link, "up")
        yield
    finally:
        for name in NAMES:
            ip("netns", "del", name, check=False)


def inside(*command, **more):
    return subprocess.run(["nsenter", f"--net=/run/netns/{NAMES[1]}", *command], capture_output=True, text=True, **more)


def ping(count):
    same("ping", subprocess.run(["ip", "netns", "exec", NAMES[0], "ping", "-q", "-c", str(count), "-i", "0.01", "10.9.0.2"],
                                capture_output=True).returncode, 0)


@test
def deployed():
    """Windows cut by reads, each with what came in it, to the packet; packets pass on whatever the C returns; another
    takes its place, and nothing is left behind."""
    write("x.bpf.c", BY_SOURCE % "HASH")
    with namespaces():
        ping(1)
        spec = write("spec.amon", probe("table flows = map FLOWS;", settings="window 1s;", beside="metric packets = count();"))
        try:
            for command in ("deploy", spec, "-i", "v1"), ("read", "users", "-f", "json"):
                run = inside(AMONC, *command)
                same(f"{command[0]}: {run.stderr[:400]}", run.returncode, 0)
            for count in 5, 0, 12:
                if count:
                    ping(count)
                run = inside(AMONC, "read", "users", "-f", "json")
                document = json.loads(run.stdout)
                same(f"{count} pings", shares(table(document, "flows")), {"10.9.0.1": (count, count * 98)} if count else {})
            write("x.bpf.c", (BY_SOURCE % "HASH").replace("share->packets++", "share->packets += 2"))
            run = inside(AMONC, "replace", "users", spec)
            same(f"replace: {run.stderr[:400]}", run.returncode, 0)
            inside(AMONC, "read", "users")
            ping(3)
            document = json.loads(inside(AMONC, "read", "users", "-f", "json").stdout)
            same("replaced", shares(table(document, "flows")), {"10.9.0.1": (6, 294)})
        finally:
            inside(AMONC, "remove", "users")
        same("no program", "prog" in inside("ip", "link", "show", "v1").stdout, False)


@test
def running():
    write("x.bpf.c", (BY_SOURCE % "PERCPU_HASH").replace("xdp_md *xdp", "__sk_buff *xdp"))
    with namespaces():
        ping(1)
        spec = write("spec.amon", probe("table flows = map FLOWS aggregate sum;", hook="ingress tc", settings="window 300ms;"))
        run = subprocess.Popen(["nsenter", f"--net=/run/netns/{NAMES[1]}", AMONC, "run", "-q", "-f", "jsonl", "--count", "9", "-i", "v1", spec],
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        run.stdout.readline()
        ping(20)
        out, err = run.communicate(timeout=30)
        same("status " + err[:400], run.returncode, 0)
        seen = sum(row["packets"] for line in out.splitlines() for row in table(json.loads(line), "flows"))
        same("windows add up", seen, 20)


main(PATTERN, WORK)
