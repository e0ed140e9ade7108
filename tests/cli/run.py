#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""amonc as a user meets it: exit status, the words of its messages with their place, what it prints and leaves behind.

  run.py AMONC [PATTERN]     the tests whose name contains PATTERN, or all

As root for most of it; AMON_NO_BPF=1 leaves out what needs BPF. The last line is `N passed, M failed, K skipped`."""
import contextlib, ctypes, fcntl, json, os, pty, random, re, shutil, signal, struct, subprocess, sys, tempfile, time

AMONC = os.path.abspath(sys.argv[1])
PATTERN = sys.argv[2] if len(sys.argv) > 2 else ""
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "tools"))
from suite import Wrong, main, need, same, test, tests, write  # noqa: E402
PACKETS = os.path.join(HERE, "..", "tools", "packets.py")
WORK = tempfile.mkdtemp(prefix="amon-cli-")
os.chmod(WORK, 0o755)
os.chdir(WORK)

ROOT = os.geteuid() == 0
BPF = ROOT and os.environ.get("AMON_NO_BPF") != "1"
MODULE = os.path.join(os.path.dirname(AMONC), "amon-clang.so")
BASE = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "AMON_MODULE")}
BASE["AMON_MODULE"] = MODULE
DONE, FAILED, USAGE, SPEC, CONFLICT, REFUSED = range(6)
COUNT = "metric packets = count();"
PROBE = 'probe p "A probe" { ingress { metric packets = count(); metric bytes = sum(frame.len) unit bytes; } }\n'
TABLE = """probe flows {
    ingress HOOK {
        metric packets = count();
        metric bytes   = sum(frame.len);
        metric low     = min(frame.len);
        metric high    = max(net.len);
        metric sizes   = histogram(frame.len, log2);
        metric first   = first(frame.time);
        metric last    = last(frame.len);
        metric syn     = count() where tcp.flags.syn;
        metric slices  = bit_or(udp.payload[0:4]);
        table hosts by net.src, net.proto, l4.dstport size 64Ki {
            metric packets = count();
            metric bytes   = sum(l4.len);
            metric ttl     = mean(net.ttl);
        }
        table kinds by eth.type { metric packets = count(); metric bytes = sum(frame.len); }
        table tags by vlan.id where vlan { metric packets = count(); }
    }
}
"""


class Result:
    def __init__(self, status, out, err):
        self.status, self.bytes, self.err = status, out, err.decode(errors="replace")
        self.out = out.decode(errors="replace")


def amonc(*arguments, stdin=b"", environment=(), program=AMONC, prefix=(), timeout=120, preexec=None, stdout=subprocess.PIPE):
    """Runs amonc; a crash or a sanitizer's report is always wrong."""
    command = [*prefix, program, *arguments]
    run = subprocess.run(command, input=stdin, stdout=stdout, stderr=subprocess.PIPE, timeout=timeout, preexec_fn=preexec,
                         env={**BASE, **dict(environment)})
    result = Result(run.returncode, run.stdout or b"", run.stderr)
    shown = " ".join(argument[:80] for argument in command)
    if not 0 <= result.status <= 5 or "Sanitizer" in result.err or "runtime error:" in result.err:
        raise Wrong(f"{shown}: status {result.status}: {result.err[-1500:]}")
    result.command = shown
    return result


def wants(result, status, *words, out=(), never=()):
    """The exit status; what standard error says, in this order; what standard output says; and what neither does."""
    if result.status != status:
        raise Wrong(f"{result.command}: status {result.status}, not {status}: {result.err[:600]}{result.out[:200]}")
    place = 0
    for word in words:
        place = result.err.find(word, place)
        if place < 0:
            raise Wrong(f"{result.command}: standard error lacks `{word}`: {result.err[:800]}")
        place += len(word)
    for word in out:
        if word not in result.out:
            raise Wrong(f"{result.command}: standard output lacks `{word}`: {result.out[:800]}")
    for word in never:
        if word in result.err or word in result.out:
            raise Wrong(f"{result.command}: `{word}` stands in: {result.err[:800]}{result.out[:400]}")
    return result


def capture(name):
    path = f"{name}.pcap"
    if not os.path.exists(path):
        subprocess.run([sys.executable, PACKETS, name, path], check=True)
    return path


def check(text, status, *words, arguments=(), **more):
    return wants(amonc("check", *arguments, write("spec.amon", text), timeout=20), status, *words, **more)


def fragment(text, status, *words, **more):
    """What stands behind -e: `AT` in a word is the file's name there."""
    result = amonc("check", "-e", text, timeout=20)
    return wants(result, status, *[word.replace("AT", "<command line>") for word in words], **more)


def frame(payload=b"", kind=0x1234):
    return b"\2\0\0\0\0\1" + b"\2\0\0\0\0\2" + struct.pack("!H", kind) + payload


def pcap(frames, link=1, order="<"):
    text = struct.pack(order + "IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262144, link)
    for i, data in enumerate(frames):
        text += struct.pack(order + "IIII", 1767225600 + i, 0, len(data), len(data)) + data
    return text


def built(text=PROBE, name="built.o"):
    wants(amonc("build", write(name + ".amon", text), "-o", name), DONE)
    return name


# --- what is wrong in a spec ------------------------------------------------------------------------------------------

@tests([
    ("unknown field", "metric a = sum(frame.lne);", "AT:1:16: error:", "`frame.lne`", "did you mean `frame.len`?"),
    ("unknown aggregation", "metric a = summ(frame.len);", "AT:1:12: error:", "summ()", "did you mean `sum`?"),
    ("unknown attribute", "metric a = count() unti bytes;", "AT:1:20: error:", "`unti`", "did you mean `unit`?"),
    ("unknown attribute of a table", "table t by ip.src sise 5 { metric a = count(); }", "AT:1:19: error:", "did you mean `size`?"),
    ("unknown unit", "metric a = sum(frame.len) unit byts;", "AT:1:32: error:", "`byts`", "did you mean `bytes`?"),
    ("unknown statement", "metirc a = count();", "AT:1:1: error:", "`metirc`", "did you mean `metric`?"),
    ("unknown name", "param much = 5; metric a = sum(mush);", "AT:1:32: error:", "`mush`", "did you mean `much`?"),
    ("unknown metric", "metric packets = count(); derive a = packet / 2;", "AT:1:38: error:", "`packet`", "did you mean `packets`?"),
    ("unknown metric of top", "table t by ip.src top 5 by packts { metric packets = count(); }", "AT:1:28: error:", "`packts`"),
    ("unknown hook", "ingress xpd { metric a = count(); }", "AT:1:9: error:", "`xpd`"),
    ("type: an address in sum", "metric a = sum(ip.src);", "AT:1:16: error:", "a number", "an IPv4 address"),
    ("type: a number as condition", "metric a = count() where ip.ttl;", "AT:1:26: error:", "condition", "present(ip.ttl)"),
    ("type: a condition as number", "metric a = sum(tcp);", "AT:1:16: error:", "condition"),
    ("type: an address and a number", "metric a = count() where ip.src == 5;", "AT:1:26: error:"),
    ("type: a MAC and an address", "metric a = count() where ip.src == 00:11:22:33:44:55;", "AT:1:26: error:"),
    ("type: IPv6 in an IPv4 set", "metric a = count() where ip.src in {fc00::/7};", "error:"),
    ("dimension: bytes and a time", "metric a = sum(frame.len + 5s);", "AT:1:16: error:", "bytes", "a time"),
    ("dimension: bytes above a time", "metric a = count() where frame.len > 5s;", "AT:1:26: error:", "bytes", "a time"),
    ("dimension: an instant and a number", "metric a = count() where frame.time > 5;", "AT:1:26: error:", "an instant"),
    ("dimension: unit", "metric a = sum(frame.len) unit seconds;", "AT:1:32: error:", "`seconds`", "bytes"),
    ("literal: an address out of range", "metric a = count() where ip.src == 300.0.0.1;", "AT:1:36: error:", "300.0.0.1"),
    ("literal: a prefix out of range", "metric a = count() where ip.src in 10.0.0.0/40;", "AT:1:36: error:", "32 bits"),
    ("literal: 5m", "metric a = count() where frame.time > 5m;", "AT:1:39: error:", "min", "ms"),
    ("literal: 2^64", "metric a = count() where frame.len > 18446744073709551616;", "AT:1:38: error:"),
    ("operator: &&", "metric a = count() where ip && tcp;", "AT:1:29: error:", "`and`"),
    ("operator: chained", "metric a = count() where 1 < ip.ttl < 5;", "AT:1:37: error:", "chain"),
    ("operator: shift", "metric a = sum(frame.len << 64);", "AT:1:29: error:", "63"),
    ("operator: layer", "metric a = count() where vlan.id#2 == 5;", "AT:1:26: error:", "`vlan.inner.id`"),
    ("duplicate metric", "metric a = count();\nmetric a = count();", "AT:2:8: error:", "`a` is defined twice", "AT:1:8: note:"),
    ("duplicate table", "table t by ip.src { metric a = count(); }\n table t by ip.dst { metric a = count(); }",
     "AT:2:8: error:", "`t`", "AT:1:7: note:"),
    ("duplicate section", "ingress { metric a = count(); }\ningress { metric a = count(); }",
     "AT:2:1: error:", "`ingress`", "`as NAME`", "AT:1:1: note:"),
    ("duplicate key", "table t by ip.src, ip.src { metric a = count(); }", "AT:1:20: error:", "`ip.src`", "AT:1:12: note:"),
    ("hidden let", "let a = 5;\ntable t by ip.src { let a = 6; metric b = sum(a); }", "AT:2:25: error:", "hides", "AT:1:5: note:"),
    ("hidden param", "param a = 5; let a = 6; metric b = sum(a);", "AT:1:18: error:", "`a`", "AT:1:7: note:"),
    ("two hooks of one direction", "ingress xdp, ingress tc { metric a = count(); }", "AT:1:14: error:", "twice", "AT:1:1: note:"),
    ("let in a circle", "let a = b; let b = a; metric c = sum(a);", "error:", "needs itself"),
    ("reserved word", "metric table = count();", "AT:1:8: error:", "reserved"),
    ("reserved word, the metric's form", "metric table = count();", "AT:1:8: error: `table` is a reserved word", "write `metric NAME = "),
    ("a metric without a name", "metric = count();", "AT:1:8: error: this `metric` has no name", "write `metric NAME = "),
    ("a metric without a name and =", "metric count();", "AT:1:13: error: this `metric` has no name", "write `metric NAME = "),
    ("a table without a name", "table { metric a = count(); }", "AT:1:7: error: this `table` has no name", "write `table NAME by"),
    ("IPFIX: a typo", "metric a = count() ipfix packetDeltaCuont;", "AT:1:26: error: IPFIX has no element `packetDeltaCuont`", "did you mean `packetDeltaCount`?"),
    ("IPFIX: letter case", "derive a = 5 ipfix octetdeltacount;", "IPFIX has no element `octetdeltacount`", "did you mean `octetDeltaCount`?"),
    ("IPFIX: nothing like it", "metric a = count() ipfix zzzzzzzz;", "error: IPFIX has no element `zzzzzzzz`", "ENTERPRISE/NUMBER"),
    ("reserved name", "metric window = count();", "AT:1:8: error:", "`window`"),
    ("a protocol's name", "let tcp = 5; metric a = count();", "AT:1:5: error:", "`tcp`"),
    ("a table like a field", "table ip by ip.src { metric a = count(); }", "AT:1:7: error:", "`ip`"),
    ("table without metrics", "table t by ip.src { }", "AT:1:7: error:", "`t`", "no metric"),
    ("size 0", "table t by ip.src size 0 { metric a = count(); }", "AT:1:24: error:", "not 0"),
    ("size 2^40", "table t by ip.src size 1099511627776 { metric a = count(); }", "AT:1:24: error:", "268435456", "1099511627776"),
    ("top 0", "table t by ip.src top 0 by a { metric a = count(); }", "AT:1:23: error:"),
    ("wide key", "table t by ipv6.src, ipv6.dst, a = prefix(ipv6.src, 64), b = prefix(ipv6.src, 32), c = prefix(ipv6.src, 16)"
     " { metric m = count(); }", "AT:1:12: error:", "64 bytes", "80"),
    ("a million buckets", "metric h = histogram(frame.len, linear(0, 1000000, 1));", "AT:1:33: error:", "1000002 buckets", "2048"),
    ("edges that fall", "metric h = histogram(frame.len, [5, 3]);", "AT:1:37: error:", "ascend"),
    ("too many tables", "".join(f"table t{i} by ip.src {{ metric a = count(); }}" for i in range(17)), "error:", "16 tables"),
    ("too many metrics", "".join(f"metric m{i} = count();" for i in range(1025)), "error:", "1024 metrics"),
    ("too many metrics of a table", "table t by ip.src {" + "".join(f"metric m{i} = count();" for i in range(257)) + "}",
     "error:", "256 metrics"),
    ("missing semicolon", "metric a = count()\nmetric b = count();", "AT:1:19: error:", "`;`"),
    ("missing brace", "table t by ip.src { metric a = count();", "error:", "`}`", "AT:1:19: note:"),
    ("string without end", 'metric a = count() "help;\nmetric b = count();', "AT:1:20: error:", "string"),
    ("two probes", "probe a { ingress { metric a = count(); } }\nprobe b { ingress { metric a = count(); } }",
     "AT:2:7: error:", "one probe", "AT:1:7: note:"),
    ("native and generic", "ingress xdp native { metric a = count(); } ingress xdp generic as b { metric a = count(); }",
     "error:", "one mode"),
    ("field of Wireshark that amon refuses", "metric a = sum(tcp.seq);", "AT:1:16: error:", "tcp.seq_raw"),
])
def spec(text, *words):
    fragment(text, SPEC, *words)


@tests([
    ("where udp", "where udp;\nmetric a = count() where tcp.flags.syn;", "AT:2:26: warning:", "`tcp.flags.syn`", "`udp`", "AT:1:7: note:"),
    ("two wheres", "where udp; where tcp.flags.syn; metric a = count();", "AT:1:18: warning:", "never"),
    ("and", "metric a = count() where udp and tcp.flags.syn;", "AT:1:34: warning:", "never"),
    ("where of a section", "ingress { where arp; metric a = count() where ip.ttl == 1; }", "AT:1:47: warning:", "never"),
    ("where of a table", "table t by tcp.srcport where udp { metric a = count(); }", "warning:"),
    ("constant", "where 1 == 2; metric a = count();", "AT:1:7: warning:", "never"),
])
def never(text, *words):
    fragment(text, DONE, *words)
    result = amonc("check", "-q", "-e", text)
    same("warnings under -q", (result.status, result.err), (DONE, ""))


@tests([(name, text, word) for name, text, word in [
    ("biflow", "table t by biflow(ip.src, ip.dst, tcp.srcport, tcp.dstport) { metric a = count(); }", "`biflow`"),
    ("overflow evict", "table t by ip.src overflow evict { metric a = count(); }", "`overflow evict`"),
    ("half_life", "metric a = sum(frame.len, half_life = 1s);", "`half_life`"),
    ("quantile", "metric a = quantile(frame.len, [0.5], error = 1%);", "quantile()"),
    ("distinct", "metric a = distinct(ip.src);", "distinct()"),
    ("topk", "metric a = topk(5, ip.src);", "topk()"),
    ("burst", "metric a = burst(frame.len, 10ms);", "burst()"),
    ("first_n", "metric a = first_n(5, frame.len);", "first_n()"),
    ("inner", "metric a = count() where inner.ip;", "`inner`"),
    ("dns", "metric a = count() where dns.flags.rcode == 3;", "`dns`"),
    ("vxlan", "metric a = sum(vxlan.vni);", "`vxlan`"),
    ("entropy", "derive b = entropy(t.a); table t by ip.src { metric a = count(); }", "folding the rows"),
    ("count of a table", "derive b = count(t); table t by ip.src { metric a = count(); }", "folding the rows"),
    ("sample", "sample 1 in 100; metric a = count();", "`sample`"),
    ("limit", "limit memory 64MiB; metric a = count();", "`limit`"),
    ("level", "level a { ingress { metric a = count(); } }", "`level`"),
    ("feature", "feature f { metric a = count(); }", "`feature`"),
    ("use", "use f;", "`use`"),
    ("import", 'import "a.amon" as t; ingress { metric a = count(); }', "`import`"),
]])
def later(text, word):
    fragment(text, SPEC, "AT:1:", word, "with a later version")


@test
def later_offload():
    fragment("ingress xdp offload { metric a = count(); }", SPEC, "AT:1:13: error:", "offload")


@tests([(command,) * 2 for command in ("fmt",)])
def later_command(command):
    wants(amonc(command, "x"), USAGE, f"`{command}`", "later version")


FORMATS = ("table", "json", "jsonl", "csv", "xml", "openmetrics")


@tests([(name,) * 2 for name in ("yaml", "CSV", "jso", "")])
def no_format(name):
    wants(amonc("replay", "-f", name, "-e", COUNT, "x"), USAGE, f"`{name}`", "table, json, jsonl, csv, xml and openmetrics")


@test
def several_errors_in_one_file():
    text = ("probe p {\n    ingress {\n        metric a = sum(frame.lne);\n        metric b = summ(frame.len);\n"
            "        metric c = sum(frame.len) unit byts;\n        derive d = e;\n    }\n}\n")
    result = check(text, SPEC, "spec.amon:3:24: error:", "spec.amon:4:20: error:", "spec.amon:5:", "error:", "spec.amon:6:20: error:")
    same("errors", result.err.count(": error:"), 4)


@test
def meaning_beside_syntax():
    check("probe p {\n    ingress {\n        metric a = count(;\n        metric b = sum(no.such);\n        table t by nope.x { metric a = count(); }\n"
          "        metric c = count() where ;\n    }\n}\n", SPEC, "spec.amon:3:26: error:", "spec.amon:4:24: error: there is no field `no.such`",
          "spec.amon:5:20: error:", "spec.amon:6:34: error:")


@test
def hundred_errors_are_shown():
    result = check("probe p { ingress {" + "metric a = nope(;\n" * 1000 + "} }", SPEC, "too many errors", "more are not shown")
    same("errors shown", result.err.count("spec.amon:"), 100)


# --- specs that are no specs ------------------------------------------------------------------------------------------

def in_section(text):
    return "probe p { ingress { " + text + " } }"


DEEP = 10000
WIDE = 100000


@tests([
    ("parentheses", "metric a = sum(" + "(" * DEEP + "1" + ")" * DEEP + ");", "200 levels"),
    ("open parentheses", "metric a = sum(" + "(" * WIDE, "200 levels"),
    ("not", "metric a = count() where " + "not " * DEEP + "ip;", "200 levels"),
    ("minus", "metric a = sum(" + "-" * DEEP + "1);", "200 levels"),
    ("complement", "metric a = sum(" + "~" * DEEP + "1);", "200 levels"),
    ("choice, right", "metric a = sum(" + "ip ? 1 : " * DEEP + "1);", "200 levels"),
    ("choice, middle", "metric a = sum(" + "ip ? " * DEEP + "1" + " : 1" * DEEP + ");", "200 levels"),
    ("calls", "metric a = sum(" + "abs(" * DEEP + "1" + ")" * DEEP + ");", "200 levels"),
    ("blocks", "table t by ip.src { " * DEEP + "}" * DEEP, "error:"),
    ("open blocks", "{" * WIDE, "error:"),
    ("closed blocks", "}" * WIDE, "error:"),
    ("sets", "metric a = count() where ip.src in " + "{" * DEEP + "}" * DEEP + ";", "error:"),
    ("levels", "level a { " * DEEP + "}" * DEEP, "error:"),
    ("chain of numbers", "metric a = sum(" + "1 + " * WIDE + "1);", "too long"),
    ("chain of fields", "metric a = sum(" + "frame.len + " * 80000 + "1);", "too long"),
    ("chain of and", "metric a = count() where " + "ip and " * WIDE + "ip;", "too long"),
    ("chain in a derive", "metric a = count(); derive d = " + "a + " * WIDE + "1;", "too long"),
    ("chain of comparisons", "metric a = count() where " + "1 < " * WIDE + "1;", "error:"),
    ("lets that double", "".join(f"let a{i} = a{i - 1} + a{i - 1};" if i else "let a0 = frame.len;" for i in range(64)) +
     "metric a = sum(a63);", "too large"),
    ("a long name", "metric " + "a" * WIDE + " = nope();", "error:"),
    ("a long number", "metric a = sum(" + "9" * WIDE + ");", "error:"),
    ("a long string", 'metric a = nope() "' + "a" * WIDE + '";', "error:"),
    ("many statements", ";" * 900000 + "x", "error:"),
])
def nesting(text, word):
    result = check(in_section(text), SPEC, "spec.amon:1:", word)
    if len(result.err) > 60000:
        raise Wrong(f"{len(result.err)} bytes of messages")


@test
def as_deep_as_allowed():
    check(in_section("metric a = sum(" + "(" * 150 + "1" + ")" * 150 + ");"), DONE)
    check(in_section("metric a = sum(" + "1 + " * 900 + "1);"), DONE)
    wants(amonc("emit", "-e", "metric a = sum(" + "frame.len + " * 900 + "1);"), DONE)


@tests([(f"{n} operators", n) for n in (100, 240, 300, 900)])
def long_chains_compile(n):
    wants(amonc("build", "-e", "metric a = sum(" + "frame.len + " * n + "1);", "-o", "deep.o"), DONE)
    wants(amonc("build", "-e", "metric a = count() where " + "ip.ttl == 1 or " * n + "arp;", "-o", "deep.o"), DONE)


@tests([
    ("NUL", b"probe p {\n ingress { metric a = count();\0 } }\n", "spec.amon:2:31: error:", "NUL"),
    ("only NULs", bytes(1000), "spec.amon:1:1: error:", "NUL"),
    ("invalid UTF-8", b"probe p {\n ingress { metric a\xff = count(); } }\n", "spec.amon:2:20: error:", "UTF-8"),
    ("cut UTF-8", b"# \xe2\x82\nprobe p { ingress { metric a = count(); } }", "spec.amon:1:3: error:", "UTF-8"),
    ("surrogate", b"# \xed\xa0\x80\nprobe p { ingress { metric a = count(); } }", "spec.amon:1:3: error:", "UTF-8"),
    ("typographic quotes", 'probe p { ingress { metric a = count() \u201chelp\u201d; } }', "spec.amon:1:40: error:", '`"`'),
    ("escape sequence", b"probe p { ingress { metric \x1b[31ma = count(); } }", "spec.amon:1:28: error:", "control"),
    ("UTF-16", PROBE.encode("utf-16"), "spec.amon:1:1: error:", "UTF-8"),
    ("empty", "", "spec.amon:1:1: error:", "no probe"),
    ("blank", " \n\n", "error:", "no probe"),
    ("comment only", "# nothing", "error:", "no probe"),
])
def bytes_of_a_spec(text, *words):
    result = check(text, SPEC, *words)
    if "\x1b" in result.err or "\0" in result.err:
        raise Wrong("control bytes of the spec reach the terminal")


@test
def byte_order_mark_and_carriage_returns():
    check("\ufeff" + PROBE, DONE)
    check(PROBE.replace("{", "{\r\n"), DONE)
    check("probe p {\r\n metric a = count();\r\n}", SPEC, "spec.amon:2:2: error:")


@tests([(str(seed), seed) for seed in range(20)])
def random_bytes(seed):
    r = random.Random(seed)
    text = bytearray(PROBE.encode() * 20)
    for _ in range(r.randrange(1, 200)):
        text[r.randrange(len(text))] = r.randrange(256)
    for content in (r.randbytes(20000), bytes(text), bytes(r.choice(b"(){};=.:,#\"\\ab1 /") for _ in range(20000))):
        check(content, SPEC, "spec.amon:", ": error:")


@test
def big_specs():
    with open("big.amon", "wb") as file:
        file.truncate(100 << 20)
    wants(amonc("check", "big.amon", timeout=20), SPEC, "big.amon", "1 MiB")
    write("big.amon", b"# x\n" * (25 << 20))
    wants(amonc("check", "big.amon", timeout=20), SPEC, "big.amon", "1 MiB")
    os.unlink("big.amon")
    wants(amonc("check", "/dev/zero", timeout=20), SPEC, "/dev/zero", "1 MiB")
    wants(amonc("check", "-", stdin=b"#" * (2 << 20)), SPEC, "1 MiB")
    text = PROBE.encode()
    check(text + b"#" * ((1 << 20) - len(text)), DONE)
    check(text + b"#" * ((1 << 20) - len(text) + 1), SPEC, "1 MiB")


@test
def objects_of_big_specs():
    """The limit of specs is none of objects, which hold their spec."""
    text = PROBE + "#" * ((1 << 20) - len(PROBE))
    wants(amonc("explain", built(text, "large.o")), DONE, out=("probe       p",))


@test
def files():
    for command in ("check", "emit", "build", "explain"):
        wants(amonc(command, "no-such.amon"), FAILED, "amonc: error: no-such.amon: No such file")
        wants(amonc(command, "."), FAILED, "amonc: error: .: Is a directory")
        wants(amonc(command, ""), FAILED, "No such file")
    wants(amonc("check", write("a.amon", PROBE), "no-such.amon"), FAILED, "no-such.amon")
    wants(amonc("check", write("b.amon", "x"), "no-such.amon", "a.amon"), SPEC, "b.amon:1:1: error:")
    write("closed.amon", PROBE)
    os.chmod("closed.amon", 0)
    need(ROOT, "root, to become somebody else")
    wants(nobody("check", "closed.amon"), FAILED, "closed.amon: Permission denied")


@test
def standard_input():
    wants(amonc("check", "-", stdin=PROBE.encode()), DONE)
    wants(amonc("check", "-", stdin=b"probe p {\n nope; }"), SPEC, "<stdin>:2:2: error:")
    wants(amonc("check", "-", stdin=b""), SPEC, "<stdin>:1:1: error:", "no probe")
    emitted = wants(amonc("emit", "-", stdin=PROBE.encode()), DONE, out=("SEC(",))
    same("emit of a file", "SEC(" in wants(amonc("emit", write("in.amon", PROBE)), DONE).out, "SEC(" in emitted.out)
    with open(built(), "rb") as file:
        wants(amonc("explain", "-", stdin=file.read()), DONE, out=("probe       p",))


@test
def expressions():
    for text in (COUNT, "ingress { " + COUNT + " }", "egress { " + COUNT + " }", PROBE):
        wants(amonc("check", "-e", text), DONE)
        wants(amonc("emit", "-e", text), DONE, out=("SEC(",))
    wants(amonc("-e", COUNT, "check"), DONE)
    fragment("metric a = count();\nmetric b = nope();", SPEC, "AT:2:12: error:")
    wants(amonc("check", "-e", COUNT, "x.amon"), USAGE, "`x.amon`")


# --- params -----------------------------------------------------------------------------------------------------------

PARAM = "param much = 5;\nparam wait = 5s;\nparam who = 10.0.0.1;\nparam few = {1, 2};\n" \
        "metric a = count() where frame.len > much and ip.src == who and ip.ttl in few;"


@tests([
    ("unknown", ["-D", "mcuh=5"], SPEC, "-D mcuh", "no such param", "did you mean `much`?"),
    ("a time for a number", ["-D", "much=5s"], SPEC, "-D much:1:", "`much` is a number, not a time", "AT:1:7: note:"),
    ("a number for a time", ["-D", "wait=5"], SPEC, "`wait` is a time, not a number", "AT:2:7: note:"),
    ("a number for an address", ["-D", "who=5"], SPEC, "`who` is an address, not a number"),
    ("an address for a number", ["-D", "much=1.2.3.4"], SPEC, "`much` is a number, not an address"),
    ("a number for a set", ["-D", "few=5"], SPEC, "`few` is a set, not a number"),
    ("a set for a number", ["-D", "much={1, 2}"], SPEC, "`much` is a number, not a set"),
    ("a text", ["-D", "much=lots"], SPEC, "-D much"),
    ("nothing", ["-D", "much="], SPEC, "-D much"),
    ("no equals sign", ["-D", "much"], USAGE, "-D much: write -D NAME=VALUE"),
    ("no name", ["-D", "=5"], USAGE, "-D =5: write -D NAME=VALUE"),
    ("a statement", ["-D", "much=5; metric b = count()"], SPEC, "-D much"),
    ("an expression", ["-D", "much=ip.ttl"], SPEC, "-D much"),
    ("good", ["-D", "much=-7", "-D", "few={1..9}", "-D", "who=10.9.9.9", "-D", "wait=1min"], DONE),
])
def define(arguments, status, *words):
    wants(amonc("check", *arguments, "-e", PARAM), status, *[word.replace("AT", "<command line>") for word in words])


@test
def define_twice():
    """The last one counts."""
    once = wants(amonc("emit", "-D", "much=77", "-e", PARAM), DONE, out=("77",))
    twice = wants(amonc("emit", "-D", "much=66", "-D", "much=77", "-e", PARAM), DONE, never=("66",))
    same("-D twice", twice.out, once.out)
    wants(amonc("check", "-D", "much=5s", "-D", "much=77", "-e", PARAM), DONE)


@test
def define_for_an_object():
    wants(amonc("explain", "-D", "much=5", built()), USAGE, "built object", "-D")


# Numbers of each width at both ends, and of no packet.
EXTREMES = "let all = net.ttl - net.ttl - 1; table hosts by net.src size 1Ki {" + " ".join(
    f"metric {name}{bits} = {name.rstrip('_')}(u{bits}({value}));" for bits in (8, 16, 32)
    for name, value in (("min", "all"), ("min_", "all + 1"), ("max", "all"), ("max_", "all + 1"), ("bit_and", "all"), ("first", "all"))
) + " metric since = first(frame.time); metric none = min(u8(all)) where net.len > 60000; }"


@test
def without():
    """A kernel without batches, or without mapped tables, gives the same rows."""
    need(BPF, "BPF")
    spec = "table hosts by net.src size 1Ki { metric packets = count(); metric bytes = sum(frame.len); }"
    full = "table hosts by net.src size 4 overflow %s { metric packets = count(); }"
    windows = "probe p { window 1s; ingress { " + spec + " } }"
    for text in (spec, windows, full % "other", full % "drop", EXTREMES, EXTREMES.replace("size 1Ki", "size 2")):
        whole, *without = (wants(amonc("replay", "-f", "jsonl", *target, "-e", text, capture("basic")), DONE).out
                           for target in ((), ("--target", "no-batch"), ("--target", "no-mapped-tables"),
                                          ("--target", "no-batch,no-mapped-tables")))
        for other in without:
            same("without", other, whole)


@test
def without_rings():
    """Where there are no ring buffers, `events` are refused by name."""
    need(BPF, "BPF")
    events = "events seen size 1Ki { net.src }"
    wants(amonc("replay", "--target", "no-ringbuf", "-e", events, capture("basic")), 5, "no ring buffers", "seen")


# --- the command line -------------------------------------------------------------------------------------------------

@tests([
    ("nothing", [], "which command", "--help"),
    ("unknown command", ["chekc"], "no command `chekc`; did you mean `check`?"),
    ("unknown command, far", ["frobnicate"], "no command `frobnicate`", "--help"),
    ("unknown flag", ["--fromat", "json", "check"], "no flag --fromat; did you mean --format?"),
    ("unknown flag with a value", ["check", "--colour=always", "x"], "no flag --colour=always; did you mean --color?"),
    ("unknown flag, far", ["--bogus"], "no flag --bogus", "--help"),
    ("unknown letter", ["check", "-Z"], "no flag -Z"),
    ("unknown letter among others", ["--quiet", "-qZv"], "no flag -Z"),
    *[(f"{flag} without a value", ["run", flag], f"{long} needs a value") for flag, long in (
        ("-e", "-e"), ("-D", "-D"), ("-i", "--interface"), ("-f", "--format"), ("-o", "--output"), ("--interval", "--interval"),
        ("--count", "--count"), ("--color", "--color"), ("--target", "--target"))],
    ("unknown target", ["replay", "--target", "no-tcs", "x", "y"], "--target no-tcs: `no-tcs`", "is it `no-tcx`?"),
    ("unknown target, far", ["run", "--target", "no-batch,frob", "x"], "`frob`", "no-batch, no-native-xdp, no-tcx, no-ringbuf and no-mapped-tables"),
    ("target of check", ["check", "--target", "no-tcx", "x"], "check takes no --target"),
    ("a value for none", ["check", "--quiet=5"], "--quiet takes no value"),
    ("flag of another command", ["check", "-i", "eth0", "x"], "check takes no --interface"),
    ("output of check", ["check", "-o", "f", "x"], "check takes no --output"),
    ("dry run of replay", ["replay", "-n", "x", "y"], "replay takes no --dry-run"),
    ("check nothing", ["check"], "check what?"),
    ("emit nothing", ["emit"], "emit what?"),
    ("build nothing", ["build"], "build what?"),
    ("explain nothing", ["explain"], "explain what?"),
    ("emit two", ["emit", "a", "b"], "`b`"),
    ("build two", ["build", "a", "b"], "`b`"),
    ("explain two", ["explain", "a", "b"], "`b`"),
    ("fields, two patterns", ["fields", "a", "b"], "fields [PATTERN]"),
    ("replay without trace", ["replay", "a"], "replay SPEC TRACE"),
    ("replay with three", ["replay", "a", "b", "c"], "replay SPEC TRACE"),
    ("run without interface", ["run", "a"], "-i IFACE"),
    ("run of nothing", ["run", "-i", "lo"], "run SPEC -i IFACE"),
    ("check's format", ["check", "-f", "jsonl", "a"], "`jsonl`", "table and json"),
    ("explain's format", ["explain", "-f", "yaml", "a"], "`yaml`"),
    ("fields' format", ["fields", "-f", "yaml"], "`yaml`"),
    ("run's format", ["run", "-f", "yaml", "-i", "lo", "a"], "`yaml`", "table, json, jsonl, csv, xml and openmetrics"),
    ("interval 5m", ["run", "--interval", "5m", "-i", "lo", "a"], "--interval 5m", "1min"),
    ("interval 5", ["run", "--interval", "5", "-i", "lo", "a"], "--interval 5"),
    ("interval -1s", ["run", "--interval=-1s", "-i", "lo", "a"], "--interval -1s"),
    ("interval 0s", ["run", "--interval", "0s", "-i", "lo", "a"], "--interval 0s"),
    ("interval nan", ["run", "--interval", "nans", "-i", "lo", "a"], "--interval nans"),
    ("count 0", ["run", "--count", "0", "-i", "lo", "a"], "--count 0"),
    ("count -1", ["run", "--count=-1", "-i", "lo", "a"], "--count -1"),
    ("count x", ["run", "--count", "5x", "-i", "lo", "a"], "--count 5x"),
    ("color", ["check", "--color", "red", "x"], "--color red", "auto, always or never"),
])
def usage(arguments, *words):
    result = wants(amonc(*arguments), USAGE, "amonc: error:", *words)
    same("standard output", result.out, "")


@test
def help_and_version():
    text = wants(amonc("--help"), DONE, out=("Usage: amonc", "Exit status", "5 the kernel")).out
    for word in ("check", "emit", "build", "explain", "fields", "replay", "run", "--format", "--color", "-D"):
        if word not in text:
            raise Wrong(f"help lacks {word}")
    same("widest line", max(map(len, text.splitlines())) <= 110, True)
    same("-h", amonc("-h").out, text)
    same("help of a command", amonc("run", "--help").out, text)
    if not re.fullmatch(r"amonc \d+\.\d+\.\d+\n", wants(amonc("--version"), DONE).out):
        raise Wrong("--version")
    same("-V", amonc("-V").out, amonc("--version").out)


@test
def colors():
    write("wrong.amon", "x")
    escape = "\x1b["
    wants(amonc("check", "wrong.amon"), SPEC, never=(escape,))
    wants(amonc("check", "--color", "always", "wrong.amon"), SPEC, escape)
    wants(amonc("check", "--color=always", "wrong.amon", environment={"NO_COLOR": "1"}), SPEC, escape)
    for environment, arguments, wanted in (({}, [], True), ({"NO_COLOR": "1"}, [], False), ({"NO_COLOR": ""}, [], True),
                                           ({}, ["--color=never"], False)):
        same(f"color on a terminal, {environment} {arguments}", escape.encode() in on_terminal(["check", *arguments, "wrong.amon"], environment),
             wanted)


def on_terminal(arguments, environment):
    """What amonc prints to standard error where that is a terminal."""
    here, there = pty.openpty()
    run = subprocess.run([AMONC, *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=there, env={**BASE, **environment})
    os.close(there)
    text = b""
    with contextlib.suppress(OSError):
        while part := os.read(here, 65536):
            text += part
    os.close(here)
    return text + run.stdout


@test
def diagnostics_as_json():
    write("a.amon", "probe p {\n    ingress { metric a = sum(frame.lne); }\n}\n")
    write("b.amon", "probe p { where udp;\n ingress { metric a = count() where tcp.flags.syn; } }\n")
    result = wants(amonc("check", "-f", "json", "a.amon"), SPEC)
    same("standard error", result.err, "")
    one, = json.loads(result.out)
    same("place", (one["file"], one["line"], one["column"], one["end_line"], one["end_column"], one["severity"]),
         ("a.amon", 2, 30, 2, 39, "error"))
    same("suggestion", one["suggestion"], "did you mean `frame.len`?")
    several = json.loads(wants(amonc("check", "-f", "json", "a.amon", "b.amon", write("c.amon", PROBE)), SPEC).out)
    same("files", [(d["file"], d["severity"]) for d in several], [("a.amon", "error"), ("b.amon", "warning"), ("b.amon", "note")])
    same("nothing wrong", json.loads(wants(amonc("check", "-f", "json", "c.amon"), DONE).out), [])
    write("bad.amon", b"probe p { \xff\x01 x\" \\ \0 }")
    same("strange bytes", len(json.loads(wants(amonc("check", "-f", "json", "bad.amon"), SPEC).out)) > 1, True)


@test
def fields():
    every = json.loads(wants(amonc("fields", "-f", "json"), DONE).out)
    names = [field["name"] for field in every]
    same("names are different", len(set(names)), len(names))
    for name in ("frame.len", "ip.src", "ipv6.dst", "tcp.flags.syn", "net.src", "l4.dstport", "hook.direction"):
        same(name, name in names, True)
    for field in every:
        if not field["type"] or not field["help"]:
            raise Wrong(f"{field['name']} has no type or help")
    some = json.loads(wants(amonc("fields", "-f", "json", "TTL"), DONE).out)
    same("pattern", {"ip.ttl", "net.ttl"} <= {field["name"] for field in some} < set(names), True)
    wants(amonc("fields"), DONE, out=("Fields", "ip.src", "Protocols", "udp.payload", "Aggregations", "count"))
    wants(amonc("fields", "ttl"), DONE, out=("ip.ttl",), never=("Aggregations", "ip.src"))
    wants(amonc("fields", "no-such-thing"), FAILED, "`no-such-thing`")


@test
def every_field_is_accepted():
    """As a key, in a spec of its own: what `fields` lists can be written."""
    specs = []
    for field in json.loads(amonc("fields", "-f", "json").out):
        specs.append(write(f"field-{field['name']}.amon", in_section(f"table t by {field['name']} {{ metric a = count(); }}")))
    wants(amonc("check", *specs), DONE)


@test
def explained():
    text = wants(amonc("explain", write("e.amon", PROBE)), DONE, out=("probe       p: A probe", "parses", "maps", "packets", "bytes", "XDP")).out
    json_text = wants(amonc("explain", "-f", "json", "e.amon"), DONE).out
    root = json.loads(json_text)
    same("probe", root["probe"], "p")
    same("programs", len(root["programs"]) >= 1, True)
    same("exports", [s["name"] for s in root["exports"]["sections"]], ["ingress"])
    same("of the object", json.loads(amonc("explain", "-f", "json", built(PROBE)).out)["exports"], root["exports"])
    if BPF:
        same("the verifier's count", all(p["instructions"] > 0 for p in root["programs"]), True)
        same("in the text", "the verifier processed" in text, True)


MEASURED = """probe m {
    ingress {
        metric packets = count();
        table flows by flow { metric packets = count(); metric bytes = sum(net.len) where tcp; derive mean = bytes / packets; }
        table rare by vlan.id { metric packets = count(); }
    }
}
"""


def measured(*arguments, **more):
    return wants(amonc("explain", "--measure", *arguments), DONE, **more)


@test
def measured_features():
    """Every feature stands once, tables with their metrics behind them; what is no single one's is shared, so that all adds up."""
    need(BPF, "BPF")
    root = json.loads(measured("-f", "json", write("m.amon", MEASURED)).out)
    same("members", list(root), ["probe", "packets", "all", "features", "shared", "without"])
    same("packets", root["packets"], {"count": 4096, "capture": None})
    named = lambda feature: (feature["kind"], feature["table"], feature["metric"])
    features = {named(feature): feature for feature in root["features"]}
    same("features", sorted(features, key=str), sorted([("metric", None, "packets"), ("table", "flows", None), ("metric", "flows", "packets"),
                                                       ("metric", "flows", "bytes"), ("table", "rare", None)], key=str))
    outer = [feature for feature in root["features"] if not (feature["table"] and feature["metric"])]
    for cost in (lambda f: f["instructions"], lambda f: f["bytes"], lambda f: f["lookups"], lambda f: f["nanoseconds"]["median"]):
        left = cost(root["all"]) - sum(map(cost, outer)) - cost(root["shared"]) - cost(root["without"])
        same("it adds up", abs(left) < 1e-9, True)
    costs = [feature["nanoseconds"]["median"] for feature in outer]
    same("the dearest first", costs, sorted(costs, reverse=True))
    order = list(map(named, root["features"]))
    same("metrics of a table", {order[order.index(("table", "flows", None)) + place] for place in (1, 2)}, {("metric", "flows", "packets"), ("metric", "flows", "bytes")})
    for feature in root["features"]:
        same("spread", feature["nanoseconds"]["low"] <= feature["nanoseconds"]["median"] <= feature["nanoseconds"]["high"], True)
    table, metric = features["table", "flows", None], features["metric", None, "packets"]
    # a flow's key of 48 bytes, a record of 16 and four counters of the ledger, of which none is for keys that are absent outside IP
    same("bytes", (metric["bytes"], features["metric", "flows", "bytes"]["bytes"]), (8, 8))
    same("a table's row", table["bytes"] >= 40 + 16, True)
    same("instructions", table["instructions"] > 10 * max(metric["instructions"], 1), True)
    same("look-ups", (metric["lookups"], 0.5 < table["lookups"] <= 1, root["without"]["lookups"]), (0, True, 1))


@test
def measured_text():
    need(BPF, "BPF")
    text = measured("-e", "metric odd = count() where tcp; table t by ip.src { metric n = count(); metric b = sum(net.len); }", capture("basic"))
    lines = [line.split()[:2] for line in text.out.splitlines()[5:]]
    same("head", text.out.splitlines()[:2], ["probe       command_line", "packets     30, basic.pcap"])
    same("lines", sorted(lines), sorted([["all", lines[0][1]], ["metric", "odd"], ["table", "t"], ["metric", "n"], ["metric", "b"], ["its", "row"],
                                         ["shared", "by"], ["without", "any"]]))
    same("nothing said", text.err, "")


@test
def measured_of_one():
    """A spec with one feature: without it, there is nothing."""
    need(BPF, "BPF")
    root = json.loads(measured("-f", "json", "-e", "table t by ip.src { metric n = count(); }", capture("basic")).out)
    same("features", [feature["kind"] for feature in root["features"]], ["table"])
    same("shared", [root["shared"][name] for name in ("instructions", "bytes", "lookups")], [0, 0, 0])


@test
def measured_unreached():
    """Where a capture has nothing for a section or a table, that is said; -q says nothing."""
    need(BPF, "BPF")
    spec = write("rare.amon", "probe p { ingress { metric n = count(); table t by ip.src where ip.ttl == 77 { metric n = count(); } } }")
    warning = "amonc: warning: no packet comes to t: what it costs then is not measured"
    same("warning", amonc("explain", "--measure", spec, capture("basic")).err, warning + "\n")
    same("made traffic", amonc("explain", "--measure", spec).err, "")
    same("-q", amonc("explain", "-q", "--measure", spec, capture("basic")).err, "")


@tests([
    ("no spec", ["explain", "--measure"], USAGE, "explain --measure SPEC [TRACE]"),
    ("two captures", ["explain", "--measure", "p.amon", "a", "b"], USAGE, "explain --measure SPEC [TRACE]"),
    ("a capture for explain", ["explain", "p.amon", "a"], USAGE, "`a`"),
    ("a schema", ["explain", "--measure", "-f", "xsd", "p.amon"], USAGE, "no schema"),
    ("another command", ["check", "--measure", "p.amon"], USAGE, "check takes no --measure"),
    ("an object", ["explain", "--measure", "built.o"], USAGE, "a built object cannot be taken apart"),
    ("a spec that is wrong", ["explain", "--measure", "-e", "metric a = cuont();"], SPEC, "cuont"),
    ("no capture", ["explain", "--measure", "p.amon", "none.pcap"], FAILED, "none.pcap"),
    ("no packet", ["explain", "--measure", "p.amon", "empty.pcap"], FAILED, "empty.pcap: it holds no packet"),
    ("not a capture", ["explain", "--measure", "p.amon", "p.amon"], FAILED, "p.amon"),
])
def not_measured(arguments, status, *words):
    write("p.amon", PROBE), built(), write("empty.pcap", pcap([]))
    same("output", wants(amonc(*arguments), status, *words).out, "")


@test
def measured_by_nobody():
    need(ROOT, "root")
    with for_nobody() as (program, _):
        wants(nobody("explain", "--measure", "-e", COUNT, program=program), REFUSED, "CAP_BPF")


# --- output that does not arrive --------------------------------------------------------------------------------------

WRITERS = [
    ("check", ["check", "-f", "json", "x.amon"], SPEC),
    ("emit", ["emit", "p.amon"], FAILED),
    ("explain", ["explain", "p.amon"], FAILED),
    ("explain, JSON", ["explain", "-f", "json", "p.amon"], FAILED),
    ("explain, XSD", ["explain", "-f", "xsd", "p.amon"], FAILED),
    ("explain, JSON Schema", ["explain", "-f", "json-schema", "p.amon"], FAILED),
    ("fields", ["fields"], FAILED),
    ("fields, JSON", ["fields", "-f", "json"], FAILED),
    ("build to standard output", ["build", "p.amon", "-o", "-"], FAILED),
    ("help", ["--help"], FAILED),
    ("version", ["--version"], FAILED),
    ("replay", ["replay", "p.amon", "basic.pcap"], FAILED),
    *[(f"replay, {name}", ["replay", "-f", name, "p.amon", "basic.pcap"], FAILED) for name in FORMATS],
    ("replay, windows", ["replay", "windows.amon", "clock.pcap"], FAILED),
]


@tests(WRITERS)
def unwritten(arguments, status):
    write("x.amon", "x"), write("p.amon", PROBE), capture("basic"), capture("clock")
    write("windows.amon", "probe p { window 1s; ingress { metric packets = count(); } }")
    need(BPF or arguments[0] != "replay", "BPF")
    with open("/dev/full", "wb") as full:
        wants(amonc(*arguments, stdout=full), status, "standard output: No space left on device")
    reading, writing = os.pipe()
    os.close(reading)
    with open(writing, "wb") as pipe:
        result = wants(amonc(*arguments, stdout=pipe), status, "standard output: Broken pipe")
    same("messages", result.err.count("amonc: error:"), 1)


@test
def unwritten_files():
    write("p.amon", PROBE), capture("basic")
    wants(amonc("build", "p.amon", "-o", "/dev/full"), FAILED, "/dev/full: No space left on device")
    wants(amonc("emit", "p.amon", "-o", "/dev/full"), FAILED, "/dev/full: No space left on device")
    wants(amonc("emit", "p.amon", "-o", "no/such/dir"), FAILED, "no/such/dir: No such file")
    wants(amonc("build", "p.amon", "-o", "."), FAILED, "Is a directory")
    need(BPF, "BPF")
    for name in FORMATS:
        wants(amonc("replay", "-f", name, "p.amon", "basic.pcap", "-o", "/dev/full"), FAILED, "/dev/full: No space left on device")
    os.makedirs("full", exist_ok=True)
    os.symlink("/dev/full", "full/ingress.csv")
    wants(amonc("replay", "-f", "csv", "p.amon", "basic.pcap", "-o", "full/"), FAILED, "full/ingress.csv: No space left on device")


@test
def head():
    """A reader that stops early, as `| head -1` does."""
    need(BPF, "BPF")
    write("windows.amon", "probe p { window 1s; ingress { metric packets = count(); } }")
    run = subprocess.Popen([AMONC, "replay", "windows.amon", capture("clock")], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=BASE)
    line = run.stdout.readline()
    json.loads(line)
    run.stdout.close()
    err = run.stderr.read().decode()
    status = run.wait(60)
    same("status", status in (DONE, FAILED), True)  # all of it may have fitted into the pipe
    same("message", err, "" if status == DONE else "amonc: error: standard output: Broken pipe\n")


# --- LLVM hidden, privileges dropped ----------------------------------------------------------------------------------

@contextlib.contextmanager
def alone():
    """amonc without its module, in a directory that anybody may read."""
    directory = tempfile.mkdtemp(prefix="amon-alone-")
    os.chmod(directory, 0o755)
    shutil.copy(AMONC, directory)
    os.environ.pop("AMON_MODULE", None)
    module = BASE.pop("AMON_MODULE")
    try:
        yield os.path.join(directory, os.path.basename(AMONC))
    finally:
        BASE["AMON_MODULE"] = module
        shutil.rmtree(directory)


@test
def without_llvm():
    write("p.amon", PROBE)
    built(PROBE, "p.o")
    with alone() as program:
        first = amonc("build", "p.amon", "-o", "q.o", program=program)
        need(first.status != DONE, "a module is installed")
        wants(first, FAILED, "cannot open the compiler", "amon-clang.so", "libclang-cpp19")
        wants(amonc("explain", "p.amon", program=program), FAILED, "amon-clang.so")
        wants(amonc("replay", "p.amon", capture("basic"), program=program), FAILED, "amon-clang.so")
        wants(amonc("check", "p.amon", program=program), DONE)
        wants(amonc("fields", program=program), DONE, out=("ip.src",))
        same("emit", wants(amonc("emit", "p.amon", program=program), DONE).out, amonc("emit", "p.amon").out)
        wants(amonc("explain", "p.o", program=program), DONE, out=("probe       p",))
        if BPF:
            same("replay", wants(amonc("replay", "p.o", "basic.pcap", program=program), DONE).out, amonc("replay", "p.o", "basic.pcap").out)
            wants(amonc("run", "p.o", "-i", "lo", "--count", "1", "--interval", "100ms", program=program), DONE, out=('"packets"',))


@test
def llvm_is_not_loaded():
    write("p.amon", PROBE)
    built(PROBE, "p.o")
    quiet = [["check", "p.amon"], ["emit", "p.amon"], ["fields"], ["explain", "p.o"], ["--help"]]
    if BPF:
        quiet += [["replay", "p.o", capture("basic")], ["run", "p.o", "-i", "lo", "--count", "1", "--interval", "100ms"]]
    for arguments in quiet:
        result = amonc(*arguments, environment={"LD_DEBUG": "libs"})
        same(f"{arguments}: LD_DEBUG tells", "libbpf" in result.err, True)
        for library in ("libLLVM", "libclang", "amon-clang"):
            if library in result.err:
                raise Wrong(f"{arguments} looks for {library}")
    same("build loads the module", "amon-clang" in amonc("build", "p.amon", "-o", "q.o", environment={"LD_DEBUG": "libs"}).err, True)


@test
def broken_modules():
    write("p.amon", PROBE)
    write("empty.so", b"")
    for path in ("empty.so", "no-such.so", "/", os.path.realpath("/lib/x86_64-linux-gnu/libz.so.1")):
        wants(amonc("build", "p.amon", environment={"AMON_MODULE": os.path.abspath(path)}), FAILED, "amonc: error:", path.split("/")[-1])


def nobody(*arguments, program=None, **more):
    """Runs amonc as a user without any capability."""
    prefix = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all", "--bounding-set=-all"]
    return amonc(*arguments, prefix=prefix, program=program or AMONC, **more)


@contextlib.contextmanager
def for_nobody():
    """amonc and its module where anybody may read them."""
    directory = tempfile.mkdtemp(prefix="amon-nobody-")
    os.chmod(directory, 0o777)
    shutil.copy(AMONC, directory)
    shutil.copy(MODULE, directory)
    before, BASE["AMON_MODULE"] = BASE["AMON_MODULE"], os.path.join(directory, "amon-clang.so")
    try:
        yield os.path.join(directory, os.path.basename(AMONC)), directory
    finally:
        BASE["AMON_MODULE"] = before
        shutil.rmtree(directory)


@test
def without_privilege():
    need(ROOT, "root, to become somebody else")
    write("p.amon", PROBE), capture("basic")
    with for_nobody() as (program, directory):
        wants(nobody("check", "p.amon", program=program), DONE)
        same("emit", wants(nobody("emit", "p.amon", program=program), DONE).out, amonc("emit", "p.amon").out)
        wants(nobody("fields", program=program), DONE)
        wants(nobody("build", "p.amon", "-o", f"{directory}/p.o", program=program), DONE)
        for given in ("p.amon", f"{directory}/p.o"):
            wants(nobody("replay", given, "basic.pcap", program=program), REFUSED, "CAP_BPF", "CAP_NET_ADMIN", "root")
            wants(nobody("run", given, "-i", "lo", program=program), REFUSED, "CAP_BPF")
            wants(nobody("run", given, "-i", "lo", "-n", program=program), REFUSED, "CAP_BPF")
        full = amonc("explain", "p.amon").out.splitlines()
        bare = wants(nobody("explain", "p.amon", program=program), DONE).out.splitlines()
        same("explain", [line for line in bare if not line.startswith("program ")], [line for line in full if not line.startswith("program ")])
        same("programs", len(bare), len(full))
        same("the reason", all("not known" in line and "CAP_BPF" in line for line in bare if line.startswith("program ")), True)
        root = json.loads(wants(nobody("explain", "-f", "json", "p.amon", program=program), DONE).out)
        same("instructions", {p["instructions"] for p in root["programs"]}, {None})


@test
def without_one_capability():
    need(BPF, "BPF")
    write("p.amon", PROBE), capture("basic")
    for missing, kept in (("CAP_NET_ADMIN", "bpf,+perfmon"), ("CAP_BPF", "net_admin,+perfmon"), ("CAP_PERFMON", "bpf,+net_admin")):
        prefix = ["setpriv", "--inh-caps=-all", f"--bounding-set=-all,+{kept}"]
        wants(amonc("replay", "p.amon", "basic.pcap", prefix=prefix), REFUSED, f"not permitted: {missing} missing")
        wants(amonc("run", "p.amon", "-i", "lo", "--count", "1", prefix=prefix), REFUSED, missing)
    prefix = ["setpriv", "--inh-caps=-all", "--bounding-set=-all,+bpf,+net_admin,+perfmon"]
    wants(amonc("replay", "p.amon", "basic.pcap", prefix=prefix), DONE)
    with network() as name:
        run = ["run", "-i", "a0", "--count", "1", "--interval", "100ms", "-e"]
        wants(amonc(*run, "ingress tc { " + COUNT + " }", prefix=inside(name) + prefix), DONE)
        wants(amonc(*run, "ingress xdp { " + COUNT + " }", prefix=inside(name) + prefix), REFUSED, "XDP needs CAP_SYS_ADMIN")


BPF_CALL = {"x86_64": 321, "aarch64": 280}.get(os.uname().machine)


def refuse_bpf(error):
    """For preexec: bpf() fails with `error` from here on (seccomp)."""
    def refuse():
        libc = ctypes.CDLL(None, use_errno=True)
        code = struct.pack("HBBI", 0x20, 0, 0, 0) + struct.pack("HBBI", 0x15, 0, 1, BPF_CALL) + \
            struct.pack("HBBI", 0x06, 0, 0, 0x00050000 | error) + struct.pack("HBBI", 0x06, 0, 0, 0x7FFF0000)
        buffer = ctypes.create_string_buffer(code)
        program = ctypes.create_string_buffer(struct.pack("HxxxxxxP", 4, ctypes.addressof(buffer)))
        if libc.prctl(38, 1, 0, 0, 0) or libc.prctl(22, 2, program):
            os._exit(99)
    return refuse


@tests([("EPERM", 1, "refuses BPF"), ("ENOSYS", 38, "no BPF"), ("EINVAL", 22, "loads no BPF program")])
def bpf_refused(error, words):
    need(BPF_CALL and ROOT, "root, and a machine whose calls are known")
    write("p.amon", PROBE), capture("basic"), built(PROBE, "p.o")
    refuse = refuse_bpf(error)
    status = FAILED if error == 22 else REFUSED
    for given in ("p.amon", "p.o"):
        wants(amonc("replay", given, "basic.pcap", preexec=refuse), status, words)
        wants(amonc("run", given, "-i", "lo", "--count", "1", preexec=refuse), status, words)
    wants(amonc("check", "p.amon", preexec=refuse), DONE)
    wants(amonc("emit", "p.amon", preexec=refuse), DONE)
    wants(amonc("build", "p.amon", "-o", "q.o", preexec=refuse), DONE)
    wants(amonc("fields", preexec=refuse), DONE)
    wants(amonc("explain", "p.amon", preexec=refuse), DONE, out=("maps", "packets", "not known"))


# --- captures ---------------------------------------------------------------------------------------------------------

def packets_of(result):
    return json.loads(result.out)["ingress"]["metrics"]["packets"]


@test
def captures():
    need(BPF, "BPF")
    write("p.amon", PROBE)
    good = pcap([frame(b"x" * 50)] * 10)

    def replay(content, status, *words):
        return wants(amonc("replay", "-f", "json", "p.amon", write("t.pcap", content)), status, *words)
    same("all", packets_of(replay(good, DONE)), 10)
    same("big-endian", packets_of(replay(pcap([frame(b"x" * 50)] * 10, order=">"), DONE)), 10)
    same("none", packets_of(replay(pcap([]), DONE)), 0)
    for cut, left in ((1, 9), (64, 9), (65, 9), (79, 9), (81, 8)):
        same(f"cut by {cut}", packets_of(replay(good[:-cut], FAILED, "t.pcap: packet", "only those before it are counted")), left)
    same("cut between packets", packets_of(replay(good[:-80], DONE)), 9)
    lying = good[:24] + struct.pack("<IIII", 0, 0, 0x7FFFFFFF, 0x7FFFFFFF) + good[40:]
    replay(lying, FAILED, "t.pcap: packet 1 cannot be read")
    replay(good[:20], FAILED, "t.pcap", "not a capture")
    replay(b"", FAILED, "t.pcap", "not a capture")
    replay(b"hello, this is no capture at all\n", FAILED, "t.pcap", "not a capture")
    replay(random.Random(1).randbytes(5000), FAILED, "t.pcap", "not a capture")
    replay(PROBE.encode(), FAILED, "t.pcap", "not a capture")
    for link in (0, 12, 101, 113, 228, 276, 12345):
        replay(pcap([b"x" * 50], link=link), FAILED, "t.pcap: its link type is", "only captures of Ethernet")
    wants(amonc("replay", "p.amon", "missing.pcap"), FAILED, "missing.pcap: No such file")
    wants(amonc("replay", "p.amon", "."), FAILED, "Is a directory")
    same("standard input", packets_of(wants(amonc("replay", "-f", "json", "p.amon", "-", stdin=good), DONE)), 10)
    wants(amonc("replay", "-", "-", stdin=PROBE.encode()), FAILED, "standard input", "not a capture")
    write("closed.pcap", good)
    os.chmod("closed.pcap", 0)
    drop = ["setpriv", "--inh-caps=-all", "--bounding-set=-all,+bpf,+net_admin,+perfmon"]
    os.chown("closed.pcap", 65534, 65534)
    wants(amonc("replay", "p.amon", "closed.pcap", prefix=drop), FAILED, "closed.pcap: Permission denied")
    replay(good[:20], FAILED, "not a capture")
    wants(amonc("replay", "-v", "p.amon", "t.pcap"), FAILED, "not a capture")


@tests([(f"{seed}", seed) for seed in range(4)])
def damaged_captures(seed):
    need(BPF, "BPF")
    built(TABLE.replace("HOOK", ""), "table.o")
    with open(capture("malformed"), "rb") as file:
        good = file.read()
    r = random.Random(seed)
    for _ in range(10):
        text = bytearray(good[:r.randrange(24, 60000)])
        for _ in range(r.choice((1, 10, 100))):
            text[r.randrange(len(text))] = r.randrange(256)
        result = amonc("replay", "table.o", write(f"damaged-{seed}.pcap", text))
        same("a message where it failed", bool(result.status), bool(result.err))


@test
def replay_formats():
    need(BPF, "BPF")
    write("p.amon", PROBE), capture("basic")
    write("windows.amon", "probe p { window 1s; ingress { metric packets = count(); } }")
    same("packets", packets_of(wants(amonc("replay", "p.amon", "basic.pcap"), DONE)), 30)
    one = wants(amonc("replay", "-f", "jsonl", "p.amon", "basic.pcap"), DONE).out
    same("a line", (one.count("\n"), json.loads(one)["probe"]), (1, "p"))
    wants(amonc("replay", "-f", "table", "p.amon", "basic.pcap"), DONE, out=("packets", "30"))
    wants(amonc("replay", "-f", "table", "--color=always", "p.amon", "basic.pcap"), DONE, out=("\x1b[",))
    wants(amonc("replay", "-f", "table", "p.amon", "basic.pcap"), DONE, never=("\x1b[",))
    lines = [json.loads(line) for line in wants(amonc("replay", "windows.amon", "basic.pcap"), DONE).out.splitlines()]
    same("windows", (len(lines), sum(w["ingress"]["metrics"]["packets"] for w in lines)), (3, 30))
    wants(amonc("replay", "p.amon", "basic.pcap", "-o", "out.json"), DONE)
    with open("out.json") as file:
        same("-o", file.read(), amonc("replay", "-f", "json", "p.amon", "basic.pcap").out)
    wants(amonc("replay", "-e", COUNT, "basic.pcap"), DONE, out=('"packets": 30',))
    for name in ("clock", "directions", "enterprise"):
        wants(amonc("replay", "p.amon", capture(name)), DONE)


@test
def explained_schemas():
    """Neither root nor clang is needed; tests/formats/run.py holds documents against them."""
    write("e.amon", PROBE)
    schema = json.loads(wants(amonc("explain", "-f", "json-schema", "e.amon", environment=[("AMON_MODULE", "/none")]), DONE).out)
    same("a section", list(schema["properties"]["ingress"]["properties"]), ["hooks", "metrics", "ledger"])
    wants(amonc("explain", "-f", "xsd", "e.amon"), DONE, out=("<xs:schema", 'name="packets"', "</xs:schema>"))
    same("of the object", amonc("explain", "-f", "xsd", built(PROBE)).out, amonc("explain", "-f", "xsd", "e.amon").out)


TABLES = """probe t { window 1s; ingress {
    metric packets = count();
    table hosts by net.src { metric packets = count(); }
    table ports by tcp.dstport { metric packets = count(); }
} }"""


@test
def replay_csv():
    need(BPF, "BPF")
    write("t.amon", TABLES), write("p.amon", PROBE), capture("basic")
    one = wants(amonc("replay", "-f", "csv", "-e", "table t by net.src { " + COUNT + " }", "basic.pcap"), DONE).out.split("\r\n")
    same("a table", one[0], "window.sequence,window.start,window.end,row.kind,net.src,packets")
    same("metrics alone", wants(amonc("replay", "-f", "csv", "p.amon", "basic.pcap"), DONE).out.split("\r\n")[0],
         "window.sequence,window.start,window.end,packets,bytes")
    wants(amonc("replay", "-f", "csv", "t.amon", "basic.pcap"), USAGE, "csv is a file a table", "-o DIR/")
    wants(amonc("replay", "-f", "csv", "-o", "out/", "t.amon", "basic.pcap"), DONE)
    same("files", sorted(os.listdir("out")), ["ingress.csv", "ingress.hosts.csv", "ingress.ports.csv", "probe.ledger.csv"])
    with open("out/ingress.csv") as file:
        same("one head, three windows", len(file.read().splitlines()), 4)
    wants(amonc("replay", "-f", "csv", "-o", "out/", "t.amon", "basic.pcap"), DONE)
    wants(amonc("replay", "-f", "xml", "-o", "out/", "t.amon", "basic.pcap"), USAGE, "-o out/: xml is one file")
    wants(amonc("replay", "-f", "csv", "-o", "no/such/", "t.amon", "basic.pcap"), FAILED, "no/such/: No such file")
    wants(amonc("replay", "-f", "csv", "-o", "p.amon/", "t.amon", "basic.pcap"), FAILED, "p.amon/")


@test
def replay_openmetrics_file():
    """The last exposition takes the file's place; nothing else is left."""
    need(BPF, "BPF")
    write("t.amon", TABLES), capture("basic"), write("out.prom", "old")
    wants(amonc("replay", "-f", "openmetrics", "-o", "out.prom", "t.amon", "basic.pcap"), DONE)
    with open("out.prom") as file:
        text = file.read()
    same("expositions", text.count("# EOF\n"), 1)
    same("the sum of all windows", "amon_t_ingress_packets_total 30\n" in text, True)
    same("left", os.path.exists("out.prom.new"), False)
    wants(amonc("replay", "-f", "openmetrics", "-o", "no/such.prom", "t.amon", "basic.pcap"), FAILED, "no/such.prom: No such file")


@tests([(name,) * 2 for name in ("basic", "sizes", "malformed", "random", "enterprise")])
def replay_is_deterministic(name):
    need(BPF, "BPF")
    write("table.amon", TABLE.replace("HOOK", ""))
    built(TABLE.replace("HOOK", ""), "table.o")
    first = wants(amonc("replay", "table.amon", capture(name)), DONE).bytes
    same("again", amonc("replay", "table.amon", capture(name)).bytes == first, True)
    same("of the object", amonc("replay", "table.o", capture(name)).bytes == first, True)


@tests([(name,) * 2 for name in ("sizes", "malformed", "random", "basic", "enterprise")])
def xdp_and_tc_agree(name):
    """Frames of 0 to 262,144 bytes give the same rows at both hooks."""
    need(BPF, "BPF")
    documents = []
    for hook in ("xdp", "tc"):
        out = wants(amonc("replay", "-f", "json", write(f"{hook}.amon", TABLE.replace("HOOK", hook)), capture(name)), DONE).out
        document = json.loads(out)
        section = document["ingress"]
        del section["hooks"]
        for table in section["tables"].values():
            table["rows"].sort(key=json.dumps)
        documents.append(document)
    for part in ("metrics", "tables", "ledger"):
        differences = [(key, documents[0]["ingress"][part][key], documents[1]["ingress"][part][key]) for key in documents[0]["ingress"][part]
                       if documents[0]["ingress"][part][key] != documents[1]["ingress"][part].get(key)]
        if differences:
            key, xdp, tc = differences[0]
            if isinstance(xdp, dict) and "rows" in xdp:
                xdp, tc = [[row for row in a["rows"] if row not in b["rows"]][:3] for a, b in ((xdp, tc), (tc, xdp))]
            raise Wrong(f"{name}, {part}, {[d[0] for d in differences]}: {key} is {str(xdp)[:400]} at XDP, {str(tc)[:400]} at TC")
    same("all", documents[0], documents[1])


# --- objects ----------------------------------------------------------------------------------------------------------

@test
def emit_is_deterministic():
    write("table.amon", TABLE.replace("HOOK", ""))
    same("emit", wants(amonc("emit", "table.amon"), DONE).out, amonc("emit", "table.amon").out)
    wants(amonc("emit", "table.amon", "-o", "table.c"), DONE)
    with open("table.c") as file:
        same("-o", file.read(), amonc("emit", "table.amon").out)
    wants(amonc("build", "table.amon", "-o", "1.o"), DONE), wants(amonc("build", "table.amon", "-o", "2.o"), DONE)
    with open("1.o", "rb") as one, open("2.o", "rb") as two:
        same("build", one.read() == two.read(), True)


@test
def build_names_its_object():
    wants(amonc("build", "-e", PROBE), DONE)
    same("p.o", os.path.exists("p.o"), True)
    wants(amonc("emit", "p.o"), USAGE, "built object")
    wants(amonc("build", "p.o"), USAGE, "built object")
    wants(amonc("check", "p.o"), DONE)
    with open("p.o", "rb") as file:
        same("build -o -", amonc("build", "-e", PROBE, "-o", "-").bytes == file.read(), True)


def section_at(data, name):
    """Where a section of an ELF file stands, as [start, end)."""
    table, = struct.unpack_from("<Q", data, 40)
    size, count, names = struct.unpack_from("<HHH", data, 58)
    headers = [struct.unpack_from("<IIQQQQ", data, table + i * size) for i in range(count)]
    for header in headers:
        at = headers[names][4] + header[0]
        if data[at:data.index(b"\0", at)] == name:
            return header[4], header[4] + header[5]
    raise Wrong(f"no section {name}")


def sealed(data):
    """The object as if amonc had built it so."""
    start, end = section_at(data, b".amon.seal")
    value = 0xCBF29CE484222325
    for byte in data[:start] + data[end:]:
        value = (value ^ byte) * 0x100000001B3 & (1 << 64) - 1
    return data[:start] + struct.pack("<Q", value) + data[end:]


REFUSABLE = """# Both tables count packets.
probe p {
    ingress xdp {
        metric square = stddev(frame.len);
        table a by net.src { metric packets = count(); }
        table b by k = ip.ttl / 2 where ip { metric packets = count(); }
    }
}
"""


def refused(behind, line, instead):
    """An object whose first line of C that holds `line`, behind `behind`, does what the verifier does not allow."""
    text = wants(amonc("emit", write("p.amon", REFUSABLE)), DONE).out
    start = text.index(behind)
    text = text[:start] + text[start:].replace(line, instead, 1)
    subprocess.run(["clang-19", "-nostdinc", "-target", "bpf", "-mcpu=v3", "-O2", "-g", "-c", write("p.bpf.c", text), "-o", "bad.o"], check=True)
    with open(built(REFUSABLE), "rb") as file:
        good = file.read()
    for name in "exports", "spec", "source", "lines", "seal":
        start, end = section_at(good, b".amon." + name.encode())
        subprocess.run(["llvm-objcopy-19", f"--add-section=.amon.{name}={write('section', good[start:end])}", "bad.o"], check=True)
    with open("bad.o", "rb") as file:
        return write("bad.o", sealed(file.read()))


@tests([
    ("a metric of the second table", "void count_ingress_b", "row->packets++;", "row->packets += ((__u64 *)row)[p->frame_len];",
     "built.o.amon:6:46: error: the kernel's verifier refuses this: R", "memory access", "metric packets = count();", "^~~", "row->packets++;"),
    ("a key", "void count_ingress_b", "key.k = ", "key.k = *(__u64 *)1000 + ",
     "built.o.amon:6:24: error: the kernel's verifier refuses this: R", "k = ip.ttl / 2", "^~~", "key.k = "),
    ("a helper that a metric calls", "void add_square(", "add_product(sum, square[0]", "add_product(sum + x, square[0]",
     "built.o.amon:4:9: error: the kernel's verifier refuses this: ", "metric square", "^~~", "> ", "sum[0] += low;"),
    ("the parser", "__u32 ipv4(", "size = (h->version_ihl & 15) * 4;", "size = ((__u32 *)h)[h->version_ihl * 1000];",
     "amonc: error: the kernel's verifier refuses ipv4(): ", "fault of amon's, please report it", "size = "),
    ("a limit", "void count_ingress_a", "row->packets++;",
     "for (__u32 i = 1; i < 10000; i++)\n\t\tif (*(volatile __u64 *)&row->packets & i)\n\t\t\trow->packets--;",
     "amonc: error: the kernel's verifier refuses the program amon_xdp: The sequence of "),
])
def refusal(behind, line, instead, *words):
    need(BPF, "needs BPF")
    result = wants(amonc("replay", refused(behind, line, instead), capture("basic")), REFUSED, *words, "amonc: -v shows the verifier's whole log", never=["processed "])
    wants(amonc("run", "bad.o", "-i", "lo", "-n"), REFUSED, *words)
    wants(amonc("deploy", "bad.o", "-i", "lo"), REFUSED, *words)
    wants(amonc("explain", "bad.o"), REFUSED, *words, out=["maps", "not loaded here"])
    same("the log under -v", "processed " in amonc("replay", "-v", "bad.o", "basic.pcap").err, True)
    shown = re.findall(r"^  > +(\d+)  (.*)$", result.err, re.M)
    lines = amonc("emit", "p.amon").out.split("\n")
    same("the line of C", [lines[int(number) - 1] for number, _ in shown], [text for _, text in shown])


def damaged(data, name="damaged.o"):
    """No damaged object may crash amonc, or fail without a word."""
    write(name, bytes(data))
    for arguments in ["check", name], ["replay", name, "basic.pcap"] if BPF else ["explain", name]:
        result = amonc(*arguments)
        if bool(result.status) != bool(result.err.strip()):
            raise Wrong(f"{result.command}: status {result.status} and `{result.err}`")
        if result.status and "amonc: error: " not in result.err:
            raise Wrong(f"{result.command}: {result.err}")
    return result


@test
def objects_that_are_none():
    capture("basic")
    with open(built(), "rb") as file:
        good = file.read()
    for size in list(range(4, 80)) + [len(good) * i // 20 for i in range(1, 20)] + [len(good) - 1]:
        same(f"truncated at {size}", damaged(good[:size]).status in (SPEC, FAILED), True)
    for i in range(10):
        same("random", damaged(b"\x7fELF" + random.Random(i).randbytes(5000)).status, SPEC)
    for path in ("/proc/self/exe", MODULE):
        with open(path if path != "/proc/self/exe" else AMONC, "rb") as file:
            damaged(file.read(16 << 20))
    start, end = section_at(good, b".amon.exports")
    wants(amonc("explain", write("cleared.o", sealed(good[:start] + bytes(end - start) + good[end:]))), SPEC, "cleared.o", "export table")
    wants(amonc("explain", write("sealed.o", sealed(good))), DONE)
    wants(amonc("explain", write("longer.o", good + b"x")), SPEC, "longer.o: damaged")
    with open("long.o", "wb") as file:
        file.write(b"\x7fELF")
        file.truncate(65 << 20)
    wants(amonc("check", "long.o"), SPEC, "64 MiB")
    os.unlink("long.o")


@test
def objects_with_other_tables():
    """An export table is checked member by member."""
    capture("basic")
    with open(built(TABLE.replace("HOOK", ""), "table.o"), "rb") as file:
        good = file.read()
    start, end = section_at(good, b".amon.exports")
    text = good[start:end].decode()
    numbers = [match.span() for match in re.finditer(r"(?<=[:\[,])-?\d+", text)]
    r = random.Random(7)
    for _ in range(60):
        low, high = r.choice(numbers)
        value = str(r.choice((0, 9, 99, -1, 65535, 99999, 2**31 - 1, 2**32 - 1, 2**63 - 1)))[:high - low].rjust(high - low)
        damaged(sealed(good[:start] + (text[:low] + value + text[high:]).encode() + good[end:]))
    for _ in range(40):
        names = [match.span() for match in re.finditer(r'"[a-z_.0-9]+"', text)]
        (a, b), (c, d) = r.choice(names), r.choice(names)
        other = (text[c:d][:b - a - 1] + '"').ljust(b - a) if d - c > b - a else text[c:d].ljust(b - a)
        damaged(sealed(good[:start] + (text[:a] + other + text[b:]).encode() + good[end:]))


@tests([(f"{seed}", seed) for seed in range(20)])
def mutated_objects(seed):
    capture("basic")
    with open(built(TABLE.replace("HOOK", "") if seed % 2 else PROBE, f"mutated-{seed}.o"), "rb") as file:
        good = file.read()
    start, end = section_at(good, b".amon.exports")
    table, = struct.unpack_from("<Q", good, 40)
    r = random.Random(seed)
    for i in range(10):
        data = bytearray(good)
        low, high = ((start, end), (0, len(good)), (table, len(good)), (0, 64))[i % 4]
        for _ in range(r.choice((1, 1, 2, 8, 64))):
            data[r.randrange(low, high)] = r.choice((r.randrange(256), 0, 255, 48 + r.randrange(10)))
        result = damaged(b"\x7fELF" + data[4:], f"mutated-{seed}.o")
        if b"\x7fELF" + data[4:] != good:
            wants(result, SPEC, f"mutated-{seed}.o: ")


# --- live -------------------------------------------------------------------------------------------------------------

@contextlib.contextmanager
def network():
    """A namespace with a veth pair a0, b0, both up; what is sent to b0 comes in at a0."""
    need(BPF, "BPF")
    name = f"amon-cli-{os.getpid()}"
    subprocess.run(f"ip netns add {name} && ip -n {name} link set lo up && nsenter --net=/run/netns/{name} sysctl -qw "
                   "net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1 && "
                   f"ip -n {name} link add a0 type veth peer name b0 && ip -n {name} link set a0 up && ip -n {name} link set b0 up",
                   shell=True, check=True)
    time.sleep(0.2)
    try:
        yield name
    finally:
        subprocess.run(["ip", "netns", "del", name])


def inside(name):
    return ["nsenter", f"--net=/run/netns/{name}"]


def shell(name, command):
    return subprocess.run([*inside(name), "sh", "-c", command], capture_output=True, text=True)


def send(name, count):
    code = "import socket,sys;s=socket.socket(socket.AF_PACKET,socket.SOCK_RAW);s.bind(('b0',0));" \
           f"[s.send(b'\\xff'*6+b'\\2'*6+b'\\x12\\x34'+bytes(50)) for _ in range({count})]"
    subprocess.run([*inside(name), sys.executable, "-c", code], check=True)


def attachments(name):
    """BPF programs on a0 at XDP, TCX ingress and egress, how many each, and what `tc` shows there."""
    code = """if True:
        import ctypes, os, socket, struct
        found = []
        for kind in (37, 46, 47):
            attributes = ctypes.create_string_buffer(struct.pack("IIIIQI", socket.if_nametoindex("a0"), kind, 0, 0, 0, 0), 64)
            failed = ctypes.CDLL(None).syscall(CALL, 16, attributes, 64)
            found.append(0 if failed else struct.unpack_from("I", attributes, 24)[0])
        print(found)""".replace("CALL", str(BPF_CALL))
    tcx = subprocess.run([*inside(name), sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    return tcx, "xdp" in shell(name, "ip link show a0").stdout, shell(name, "tc qdisc show dev a0; tc filter show dev a0 ingress").stdout


class Live:
    def __init__(self, name, *arguments, environment=(), nohup=False):
        self.process = subprocess.Popen([*inside(name), *["nohup"] * nohup, AMONC, "run", "-i", "a0", *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                        env={**BASE, **dict(environment)})
        self.first = self.process.stderr.readline().decode()
        if not self.first.startswith("amonc: ") or "error" in self.first:
            raise Wrong(self.first + self.process.stderr.read().decode())

    def end(self, signal_number=None):
        if signal_number:
            self.process.send_signal(signal_number)
        out, err = self.process.communicate(timeout=30)
        return self.process.returncode, out.decode(), self.first + err.decode()


HOOKS = ("ingress xdp", "ingress tc", "ingress xdp generic", "ingress, egress")


@tests([(f"{s.name}, {hook}{', no TCX' if tcx else ''}", s, hook, tcx) for s in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP) for hook, tcx in
        [(hook, ()) for hook in HOOKS] + [("ingress tc", ("--target", "no-tcx"))]])
def interrupted(number, hook, target):
    """A signal: a last read with all that came, then everything is off the interface again."""
    with network() as name:
        before = attachments(name)
        live = Live(name, "-e", hook + " as s { metric packets = count() where eth.type == 0x1234; }", "--interval", "1h", *target)
        same("attached", attachments(name) != before, True)
        send(name, 25)
        status, out, err = live.end(number)
        same("status", (status, err.count("error")), (DONE, 0))
        same("packets", [json.loads(line)["s"]["metrics"]["packets"] for line in out.splitlines()], [25])
        same("left behind", attachments(name), before)


@test
def clocks():
    """Two sections of one hook: the exact time, and the tick before it, at most 10 ms old at HZ=100."""
    with network() as name:
        live = Live(name, "-e", """ingress tc as exact { metric t = last(frame.time) where eth.type == 0x1234; }
            ingress tc as ticks { clock coarse; metric t = last(frame.time) where eth.type == 0x1234; }""", "--interval", "1h")
        send(name, 1)
        status, out, _ = live.end(signal.SIGTERM)
        exact, tick = (int(json.loads(out)[section]["metrics"]["t"][20:29]) for section in ("exact", "ticks"))
    same("status", status, DONE)
    same("the tick is earlier, and not by more than two", 0 < (exact - tick) % 10**9 < 20_000_000, True)


KERNEL_TYPES = {"hash": "hash", "array": "array", "prog_array": "programs", "percpu_array": "per-CPU array", "percpu_hash": "per-CPU hash", "ringbuf": "ring buffer"}


def kernel_maps(name, process):
    """The maps that a process holds, or that its programs or a0's at XDP use: (type, key, value, entries, bytes), as the kernel tells."""
    ids, programs = set(), {int(found) for found in re.findall(r"prog/xdp id (\d+)", shell(name, "ip link show a0").stdout)}
    for fd in os.listdir(f"/proc/{process}/fdinfo"):
        text = open(f"/proc/{process}/fdinfo/{fd}").read()
        ids |= {int(found) for found in re.findall(r"^map_id:\s*(\d+)", text, re.M)}
        programs |= {int(found) for found in re.findall(r"^prog_id:\s*(\d+)", text, re.M)}
    show = lambda kind, number: json.loads(subprocess.run(["bpftool", "-j", kind, "show", "id", str(number)], capture_output=True, check=True).stdout)
    for program in programs:
        ids |= set(show("prog", program).get("map_ids", []))
    maps = [show("map", number) for number in ids]
    return sorted((KERNEL_TYPES[m["type"]], m["bytes_key"], m["bytes_value"], m["max_entries"], m["bytes_memlock"]) for m in maps)


@tests([
    ("no table", "ingress xdp { metric packets = count(); }"),
    ("a small table", "ingress tc { table t by ip.src size 10 { metric packets = count(); } }"),
    ("two hooks", "ingress xdp, egress { table t by net.src, net.proto size 3000 overflow drop { metric packets = count(); metric bytes = sum(net.len); } }"),
    ("windows", "window 1s; ingress { reset; metric h = histogram(frame.len, log2); table t by ip.src size 4Ki { metric packets = count(); } }"),
    ("totals beside a snapshot", "snapshot; ingress { metric a = count(); metric b = sum(net.len); }"),
    ("a large packet", "ingress xdp { " + "".join(f"metric m{i} = sum(tcp.payload[{i}:8]);" for i in range(0, 400, 8)) + " }"),
    ("events", "ingress tc { events e size 1Ki { frame.time, ip.src } }"),
    ("what is remembered", "window 1s; ingress { metric a = max(delta(net.ttl)); table t by ip.src size 1Ki { metric d = max(delta(net.len)); }"
                           "private table u by ip.dst size 100 { state n = count(); } }"),
])
def memory(body):
    """What explain tells of the maps is what the kernel has: each map by its sizes, and its bytes within 5 percent."""
    need(BPF and shutil.which("bpftool"), "bpftool")
    write("m.amon", f"probe m {{ {body} }}")
    root = json.loads(wants(amonc("explain", "-f", "json", "m.amon"), DONE).out)
    told = sorted((m["type"], m["key"], m["value"], m["entries"], m["bytes"]) for m in root["memory"] for _ in range(m["copies"]))
    with network() as name:
        live = Live(name, "m.amon", "--interval", "1h")
        maps = kernel_maps(name, live.process.pid)
        live.end(signal.SIGTERM)
    same("maps", [m[:4] for m in told], [m[:4] for m in maps])
    same("their bytes", [(m, k) for m, k in zip(told, maps) if abs(m[4] - k[4]) > 0.05 * k[4]], [])
    same("all", (root["maps"], root["bytes"]), (len(told), sum(m[4] for m in told)))


@test
def openmetrics_of_a_probe_left_running():
    """The command that reads adds up: of a probe that is reset a read alone is one read, and one that follows only grows."""
    def totals(*arguments):
        out = wants(amonc("read", "life", "-f", "openmetrics", *arguments, prefix=inside(name)), DONE).out
        return [int(number) for number in re.findall(r"^amon_life_ingress_packets_total\S* (\d+)$", out, re.M)]
    with network() as name:
        spec = "probe life { TIMING ingress { metric packets = count() where eth.type == 0x1234; } }"
        for timing, after in (("reset;", ([10], [4], [3, 3])), ("", ([10], [14], [17, 17]))):
            wants(amonc("deploy", "-e", spec.replace("TIMING", timing), "-i", "a0", prefix=inside(name)), DONE)
            got = []
            for count, arguments in ((10, ()), (4, ()), (3, ("--count", "2", "--interval", "300ms"))):
                send(name, count)
                got.append(totals(*arguments))
            wants(amonc("remove", "life", prefix=inside(name)), DONE)
            same(timing or "totals", tuple(got), after)


@test
def interrupted_window():
    """With `window`, the last read is what came since the read before."""
    with network() as name:
        live = Live(name, "-e", "probe p { window 1s; ingress as s { metric packets = count() where eth.type == 0x1234; } }")
        send(name, 10)
        lines = [live.process.stdout.readline() for _ in range(2)]
        send(name, 7)
        status, out, _ = live.end(signal.SIGTERM)
        documents = [json.loads(line) for line in lines + out.splitlines()]
        same("status", status, DONE)
        same("packets of all windows", sum(d["s"]["metrics"]["packets"] for d in documents), 17)
        same("sequence", [d["window"]["sequence"] for d in documents], list(range(1, len(documents) + 1)))
        same("windows meet", [d["window"]["end"] for d in documents[:-1]], [d["window"]["start"] for d in documents[1:]])


@test
def counted():
    with network() as name:
        before = attachments(name)
        for arguments, wanted in ((["--count", "1"], 1), (["--count", "3"], 3)):
            start = time.monotonic()
            result = wants(amonc("run", "-e", COUNT, "-i", "a0", "--interval", "200ms", *arguments, prefix=inside(name)), DONE)
            same("documents", [json.loads(line)["window"]["sequence"] for line in result.out.splitlines()], list(range(1, wanted + 1)))
            same("in time", time.monotonic() - start < 5, True)
        result = wants(amonc("run", "-q", "-e", COUNT, "-i", "a0", "--interval", "100ms", "--count", "1", prefix=inside(name)), DONE)
        same("-q", result.err, "")
        result = wants(amonc("run", "-n", "-e", COUNT, "-i", "a0", prefix=inside(name)), DONE)
        same("-n", (result.out, result.err), ("", ""))
        wants(amonc("run", "-e", COUNT, "-i", "a0", "--interval", "100ms", "--count", "2", "-f", "table", prefix=inside(name)), DONE, out=("packets",))
        same("left behind", attachments(name), before)


@test
def run_into_a_closed_pipe():
    with network() as name:
        before = attachments(name)
        live = Live(name, "-e", COUNT, "--interval", "100ms")
        live.process.stdout.readline()
        live.process.stdout.close()
        err = live.process.stderr.read().decode()
        same("status", live.process.wait(30), FAILED)
        same("message", err, "amonc: error: standard output: Broken pipe\n")
        same("left behind", attachments(name), before)
        for form in FORMATS:
            live = Live(name, "-f", form, "-e", COUNT, "--interval", "100ms")
            live.process.stdout.readline()
            live.process.stdout.close()
            same(f"{form}: message", live.process.stderr.read().decode(), "amonc: error: standard output: Broken pipe\n")
            same(f"{form}: status", live.process.wait(30), FAILED)
        with open("/dev/full", "wb") as full:
            wants(amonc("run", "-e", COUNT, "-i", "a0", "--interval", "100ms", prefix=inside(name), stdout=full), FAILED,
                  "standard output: No space left on device")
        wants(amonc("run", "-e", COUNT, "-i", "a0", "--interval", "100ms", "-o", "/dev/full", prefix=inside(name)), FAILED, "/dev/full: No space")
        same("left behind", attachments(name), before)


def run_on_terminal(name, *arguments):
    """What `run` writes to a terminal of 10 lines and 40 columns."""
    here, there = pty.openpty()
    fcntl.ioctl(there, 0x5414, struct.pack("HHHH", 10, 40, 0, 0))  # TIOCSWINSZ
    run = subprocess.Popen([*inside(name), AMONC, "run", "-i", "a0", "-e", COUNT, "--interval", "100ms", *arguments],
                           stdout=there, stderr=subprocess.PIPE, env={**BASE, "NO_COLOR": "1"})
    os.close(there)
    run.communicate(timeout=30)
    text = b""
    with contextlib.suppress(OSError):
        while True:
            text += os.read(here, 65536)
    os.close(here)
    same("status", run.returncode, DONE)
    return text.decode()


@test
def run_on_a_terminal():
    """Redrawn in place, with rates, in the terminal's width; plain text under -q and in other formats."""
    with network() as name:
        live = run_on_terminal(name, "--count", "3")
        same("moves up", len(re.findall(r"\x1b\[\d+A\r", live)), 2)
        same("a rate", bool(re.search(r"packets  \d+  [\d.]+/s", live)), True)
        same("widest line", max(len(line) for line in re.sub(r"\x1b\[[0-9]*[A-Z]", "", live).splitlines()) <= 40, True)
        for arguments in (["-q"], ["-f", "jsonl"], ["-f", "xml"]):
            same(f"{arguments}: escape sequences", "\x1b" in run_on_terminal(name, "--count", "2", *arguments), False)


@tests([("SIGINT", signal.SIGINT), ("SIGTERM", signal.SIGTERM)])
def unread(number):
    """Nobody reads: a signal ends the run all the same, and the probe is off."""
    with network() as name:
        before = attachments(name)
        live = Live(name, "-e", "".join(f"metric a{i} = count();" for i in range(300)), "--interval", "20ms")
        fcntl.fcntl(live.process.stdout, 1031, 4096)  # F_SETPIPE_SZ
        time.sleep(0.5)
        live.process.send_signal(number)
        same("status", live.process.wait(10), FAILED)
        same("message", live.process.stderr.read().decode(), "amonc: error: standard output: Interrupted system call\n")
        same("left behind", attachments(name), before)


@test
def hung_up_under_nohup():
    with network() as name:
        live = Live(name, "-e", "ingress { metric packets = count() where eth.type == 0x1234; }", "--interval", "1h", nohup=True)
        live.process.send_signal(signal.SIGHUP)
        time.sleep(0.3)
        same("still running", live.process.poll(), None)
        send(name, 3)
        status, out, _ = live.end(signal.SIGINT)
        same("last read", (status, json.loads(out)["ingress"]["metrics"]["packets"]), (DONE, 3))


@test
def interface_goes_away():
    with network() as name:
        live = Live(name, "-e", COUNT, "--interval", "1h")
        shell(name, "ip link del a0")
        status, _, err = live.end()
        same("status", status, REFUSED)
        same("message", "a0 is gone" in err, True)


@test
def interfaces():
    with network() as name:
        def run(*arguments):
            return amonc("run", "-e", COUNT, "--count", "1", "--interval", "100ms", *arguments, prefix=inside(name))
        wants(run("-i", "nope0"), REFUSED, "amonc: error: no interface is called nope0")
        wants(run("-i", "a00"), REFUSED, "no interface is called a00", "a0")
        wants(run("-i", ""), REFUSED, "no interface")
        wants(run("-i", "a" * 300), REFUSED, "no interface")
        wants(run("-i", "lo"), DONE, out=('"packets"',))
        for device in ("tun0 mode tun",):
            made = shell(name, f"ip tuntap add {device} && ip link set tun0 up")
            if not made.returncode:
                wants(run("-i", "tun0"), REFUSED, "tun0 carries no Ethernet frames")
        if not shell(name, "ip tuntap add tap0 mode tap && ip link set tap0 up").returncode:
            wants(run("-i", "tap0"), DONE)
        if not shell(name, "ip link add w0 type wireguard").returncode:
            wants(run("-i", "w0"), REFUSED, "w0 carries no Ethernet frames")


@test
def native_is_refused_where_there_is_none():
    with network() as name:
        wants(amonc("run", "-e", "ingress xdp native { " + COUNT + " }", "-i", "lo", "--count", "1", prefix=inside(name)), REFUSED,
              "lo has no native XDP", "ingress tc")


@test
def conflicts():
    """What is in the place already is not replaced: status 4."""
    with network() as name:
        write("foreign.c", '__attribute__((section("xdp"), used)) int pass(void *c) { return 2; }\n'
                           'char text[] __attribute__((section("license"), used)) = "GPL";\n')
        clang = next((c for c in ("clang", "clang-19") if shutil.which(c)), None)
        need(clang, "clang")
        subprocess.run([clang, "-O2", "-target", "bpf", "-c", "foreign.c", "-o", "foreign.o"], check=True)
        attached = shell(name, "ip link set a0 xdp obj foreign.o sec xdp")
        need(not attached.returncode, "iproute2 with libbpf")
        wants(amonc("run", "-e", "ingress xdp { " + COUNT + " }", "-i", "a0", "--count", "1", prefix=inside(name)), CONFLICT,
              "another XDP program", "ingress tc", "ip link set dev a0 xdp off")
        wants(amonc("run", "-e", "ingress tc { " + COUNT + " }", "-i", "a0", "--count", "1", "--interval", "100ms", prefix=inside(name)), DONE)
        same("the other one stays", "xdp" in shell(name, "ip link show a0").stdout, True)
        shell(name, "ip link set a0 xdp off; tc qdisc add dev a0 ingress")
        wants(amonc("run", "-e", "ingress tc { " + COUNT + " }", "-i", "a0", "--count", "1", "--target", "no-tcx", prefix=inside(name)),
              CONFLICT, "another ingress qdisc", "tc qdisc del dev a0 ingress")


@test
def verbose():
    need(BPF, "BPF")
    write("p.amon", PROBE), capture("basic")
    wants(amonc("replay", "-v", "p.amon", "basic.pcap"), DONE, "processed")
    same("without -v", wants(amonc("replay", "p.amon", "basic.pcap"), DONE).err, "")


if __name__ == "__main__":
    # what runs this behind others may have had them ignored, and a command leaves signals ignored that were so
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    main(PATTERN, WORK)
