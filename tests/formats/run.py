#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Every format, read by parsers that are not ours: one replay's documents are the same in each. run.py AMONC; as root.

JSON by Python's, and by python3-jsonschema against schemas/ and the spec's own schema; XML by Python's, and by xmllint
against both; CSV by Python's; OpenMetrics by python3-prometheus-client, and by Prometheus itself (promtool). A schema must
also refuse what is wrong: each document is damaged in many ways, one at a time. The interpreter is Debian's, whose
packages those are."""
import csv, glob, io, json, os, re, subprocess, sys, tempfile
import xml.etree.ElementTree as ET

import jsonschema
from prometheus_client.openmetrics.parser import text_string_to_metric_families

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
AMONC = os.path.abspath(sys.argv[1])
sys.path.insert(0, os.path.join(ROOT, "tests/tools"))
import packets  # noqa: E402

passed, failed = 0, 0
AMON = "{urn:amon:1}"

# At least one of everything, in windows, with names that no format likes.
ODD = """param least = 1;
probe odd "Everything, \\"quoted\\" <and> so on" {
    window 1s;
    ingress {
        metric packets  = count() "Packets \\\\ \\"seen\\"";
        metric bytes    = sum(frame.len) unit bytes as "by,tes \\"<&>";
        metric sizes    = histogram(frame.len, [64, 128]) unit bytes;
        metric octaves  = histogram(frame.len, loglinear(2));
        metric begun    = first(frame.time);
        metric neighbor = last(eth.src);
        metric spread   = stddev(frame.len);
        metric none     = min(tcp.window_size_value) where frame.len > 9000;
        metric slices   = bit_or(udp.payload[0:8]);
        derive mean     = bytes / packets unit bytes;
        derive busy     = packets > 9;
        table hosts by net.src, net_src = prefix(net.dst, 24, 48) size 3 having packets >= least top 2 by packets {
            metric packets = count();
            metric ttl     = max(net.ttl);
            metric sizes   = histogram(frame.len, log2);
        }
        table links by eth.src, eth.type size 4 overflow drop { metric bytes = sum(frame.len) unit bytes; }
    }
    egress { metric packets = count(); }
    derive twice = ingress.packets * 2;
}
"""


# Packets one by one, with fields that some have not.
EVENTS = """probe asked {
    window 1s;
    ingress {
        metric packets = count();
        table hosts by net.src size 100 { metric packets = count(); }
        events syns size 100 where tcp.flags.syn { frame.time, net.src, port = tcp.dstport, vlan.id, ip.ttl, l4.srcport }
    }
}
"""


def check(what, problem):
    global passed, failed
    passed, failed = passed + (not problem), failed + bool(problem)
    if problem:
        print(f"FAILED {what}: {str(problem)[:1500]}")


def same(what, got, wanted):
    check(what, "" if got == wanted else f"got {str(got)[:700]}, wanted {str(wanted)[:700]}")


def run(*command, stdin=""):
    done = subprocess.run(command, input=stdin.encode(), capture_output=True)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def amonc(*arguments):
    status, out, err = run(AMONC, *arguments)
    check(" ".join(arguments), f"status {status}: {err}" if status else "")
    return out


# JSON -----------------------------------------------------------------------------------------------------------------

def places(value, path=()):
    """Each member and item of a document, however deep."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield path + (key,)
        yield from places(inner, path + (key,))


def at(document, path):
    for key in path:
        document = document[key]
    return document


def damaged(document, path, how):
    copy = json.loads(json.dumps(document))
    parent, key = at(copy, path[:-1]), path[-1]
    how(parent, key)
    return copy


def wrong_type(parent, key):
    value = parent[key]
    parent[key] = {} if not isinstance(value, dict) else []


def member_left_out(parent, key):
    del parent[key]


def member_too_many(parent, key):
    parent[key]["of_nobody"] = 1


def check_json(name, documents, own, any_spec):
    validators = [jsonschema.Draft202012Validator(schema) for schema in (own, any_spec)]
    for schema in (own, any_spec):
        jsonschema.Draft202012Validator.check_schema(schema)
    for document in documents:
        for validator, which in zip(validators, ("its schema", "schemas/")):
            error = next(validator.iter_errors(document), None)
            check(f"{name}, JSON by {which}", error and error.message)
    document = documents[0]
    refused = [(path, wrong_type) for path in places(document)]
    # Causes come and go, and so does the interface.
    free = ("malformed", "unaccounted")
    refused += [(path, member_left_out) for path in places(document)
                if isinstance(path[-1], str) and not set(free) & set(path[:-1])
                and not ("ledger" in path and (path[-1] in ("other", "tables") or path[-2] == "tables"))]
    refused += [(path, member_too_many) for path in places(document)
                if isinstance(at(document, path), dict) and path[-1] not in free and "ledger" not in path]
    for path, how in refused:
        if validators[0].is_valid(damaged(document, path, how)):
            check(f"{name}, JSON damaged at {path}", f"{how.__name__} is accepted")
    same(f"{name}, JSON damaged: some were", len(refused) > 20, True)


# XML ------------------------------------------------------------------------------------------------------------------

def identifier(name):
    return re.sub(r"^(?![A-Za-z_])", "_", re.sub(r"[^A-Za-z0-9_.-]", "_", name))


def text_of(value):
    """How a JSON value is written elsewhere; reals as amon writes them in JSON."""
    return {True: "true", False: "false"}.get(value, str(value)) if isinstance(value, bool) else value if isinstance(value, str) else json.dumps(value)


def same_cells(what, element, cells):
    """The columns of one block."""
    found = {child.tag: child for child in element}
    wanted = {identifier(key): value for key, value in cells.items() if value is not None}
    same(f"{what}: names", list(found), list(wanted))
    for key, value in wanted.items():
        if isinstance(value, dict):
            same(f"{what}.{key}", (int(found[key].get("count")), float(found[key].get("sum"))), (value["count"], value["sum"]))
            same(f"{what}.{key}: buckets", [(b.get("le") and float(b.get("le")), int(b.get("count"))) for b in found[key]],
                 [(b["le"], b["count"]) for b in value["buckets"]])
        elif isinstance(value, float):
            same(f"{what}.{key}", float(found[key].text), value)
        else:
            same(f"{what}.{key}", found[key].text, text_of(value))


def same_ledger(what, element, ledger):
    def packets_of(part):
        return {"packets": int(part.get("packets")), "bytes": int(part.get("bytes"))}

    def causes(part, tag):
        return {child.get("cause"): packets_of(child) for child in part.findall(AMON + tag)}

    got = {tag: packets_of(element.find(AMON + tag)) for tag in ("seen", "selected")}
    got["malformed"] = causes(element, "malformed")
    tables = {}
    for table in element.findall(AMON + "table"):
        tables[table.get("name")] = {tag: packets_of(table.find(AMON + tag)) for tag in ("selected", "in_rows", "other")
                                     if table.find(AMON + tag) is not None}
        tables[table.get("name")]["unaccounted"] = causes(table, "unaccounted")
    if tables:
        got["tables"] = tables
    same(what, got, ledger)


def same_read(what, read, document):
    same(f"{what}: probe", read.get("probe"), document["probe"])
    window = read.find(AMON + "window")
    same(f"{what}: window", {**window.attrib, "sequence": int(window.get("sequence"))}, document["window"])
    for section in (child for child in read if not child.tag.startswith(AMON)):
        wanted, where = document[section.tag], f"{what} {section.tag}"
        same(f"{where}: hooks", [hook.attrib for hook in section.findall(AMON + "hook")], wanted["hooks"])
        if "metrics" in wanted:
            same_cells(where, section.find(AMON + "metrics"), wanted["metrics"])
        for table in section.find(AMON + "tables") or ():
            rows = wanted["tables"][table.tag]
            same(f"{where} {table.tag}: rows", len(table.findall(AMON + "row")), len(rows["rows"]))
            for element, cells in zip(table.findall(AMON + "row"), rows["rows"]):
                same_cells(f"{where} {table.tag}", element, cells)
            for kind in ("other", "rest"):
                element = table.find(AMON + kind)
                same(f"{where} {table.tag}: {kind}", element is not None, rows[kind] is not None)
                if element is not None:
                    same_cells(f"{where} {table.tag} {kind}", element, rows[kind])
        same_ledger(f"{where}: ledger", section.find(AMON + "ledger"), wanted["ledger"])
    if "metrics" in document:
        same_cells(what, read.find(AMON + "metrics"), document["metrics"])


def xmllint(schema, text):
    with open("read.xml", "w") as file:
        file.write(text)
    status, _, err = run("xmllint", "--noout", "--schema", schema, "read.xml")
    return err if status else ""


def xml_damages(text):
    """One damage at a time: a number that is none, an element too many, one that is missing, one of another name."""
    yield "a number", re.sub(r">\d+<", ">many<", text, count=1)
    yield "an attribute's number", re.sub(r'packets="\d+"', 'packets="-1"', text, count=1)
    yield "an instant", re.sub(r'start="[^"]*"', 'start="yesterday"', text, count=1)
    yield "an element too many", text.replace("</amon:metrics>", "<of_nobody>1</of_nobody></amon:metrics>", 1)
    yield "a ledger that is missing", re.sub(r"<amon:ledger>.*?</amon:ledger>", "", text, count=1, flags=re.S)
    yield "a direction", text.replace('direction="ingress"', 'direction="sideways"', 1)
    yield "a probe", re.sub(r'probe="[^"]*"', 'probe="another"', text, count=1)
    yield "a window that is missing", re.sub(r"<amon:window[^>]*/>", "", text, count=1)
    yield "an address", re.sub(r">\d+\.\d+\.\d+\.\d+<", ">nowhere<", text, count=1)


def check_xml(name, text, documents, own):
    check(f"{name}, XML by its schema", xmllint(own, text))
    check(f"{name}, XML by schemas/", xmllint(f"{ROOT}/schemas/amon.xsd", text))
    reads = ET.fromstring(text)
    same(f"{name}, XML: reads", len(reads), len(documents))
    for read, document in zip(reads, documents):
        same_read(f"{name}, XML", read, document)
    for what, damage in xml_damages(text):
        if damage != text:
            check(f"{name}, XML damaged: {what}", "" if xmllint(own, damage) else "is accepted")


# CSV ------------------------------------------------------------------------------------------------------------------

def flat(cells):
    """The columns of CSV that hold something: a histogram's members are columns of their own."""
    for name, value in cells.items():
        if isinstance(value, dict):
            yield f"{name}.count", value["count"]
            yield f"{name}.sum", value["sum"]
            for bucket in value["buckets"]:
                yield f"{name}.le.{'inf' if bucket['le'] is None else text_of(bucket['le'])}", bucket["count"]
        elif value is not None:
            yield name, value


def of_csv(row):
    return {name: text for name, text in row.items() if text not in ("", "0")}


def of_json(cells, window, kind=None):
    result = {"window.sequence": window["sequence"], "window.start": window["start"], "window.end": window["end"]}
    if kind:
        result["row.kind"] = kind
    result.update(flat(cells))
    return {name: text_of(value) for name, value in result.items() if value not in ("",) and not (value == 0 and isinstance(value, int) and not isinstance(value, bool))}


def check_csv(name, directory, documents):
    wanted = {}
    for document in documents:
        window = document["window"]
        for section in (key for key, value in document.items() if isinstance(value, dict) and "ledger" in value):
            if "metrics" in document[section]:
                wanted.setdefault(f"{section}.csv", []).append(of_json(document[section]["metrics"], window))
            for table, rows in document[section].get("tables", {}).items():
                lines = wanted.setdefault(f"{section}.{table}.csv", [])
                lines += [of_json(row, window, "row") for row in rows["rows"]]
                lines += [of_json(rows[kind], window, kind) for kind in ("rest", "other") if rows[kind] is not None]
        if "metrics" in document:
            wanted.setdefault("probe.csv", []).append(of_json(document["metrics"], window))
    same(f"{name}, CSV: files", sorted(os.listdir(directory)), sorted([*wanted, "probe.ledger.csv"]))
    for file, lines in wanted.items():
        text = open(f"{directory}/{file}", newline="").read()
        same(f"{name}, {file}: line ends", text.count("\n") == text.count("\r\n") and text.endswith("\r\n"), True)
        got = list(csv.reader(io.StringIO(text, newline=""), strict=True))
        same(f"{name}, {file}: fields", {len(row) for row in got}, {len(got[0])})
        same(f"{name}, {file}", [of_csv(dict(zip(got[0], row))) for row in got[1:]], lines)
    ledger = list(csv.DictReader(open(f"{directory}/probe.ledger.csv", newline="")))
    same(f"{name}, CSV: seen", [(row["window.sequence"], row["section"], row["packets"], row["bytes"]) for row in ledger if row["counter"] == "seen"],
         [(str(d["window"]["sequence"]), section, str(value["ledger"]["seen"]["packets"]), str(value["ledger"]["seen"]["bytes"]))
          for d in documents for section, value in d.items() if isinstance(value, dict) and "ledger" in value])


# OpenMetrics ----------------------------------------------------------------------------------------------------------

def promtool(text):
    """Prometheus' own parser: it wants times where it imports."""
    timed = re.sub(r"^([^#\n].*)$", r"\1 1767225600", text, flags=re.M)
    with open("timed.txt", "w") as file:
        file.write(timed)
    status, out, err = run("promtool", "tsdb", "create-blocks-from", "openmetrics", "timed.txt", tempfile.mkdtemp(dir="."))
    return err or out if status else ""


def check_openmetrics(name, text, documents):
    """Each exposition by both parsers; and the counters of keyless metrics are what the windows so far add up to."""
    expositions = [part + "# EOF\n" for part in text.split("# EOF\n")[:-1]]
    same(f"{name}, OpenMetrics: expositions", len(expositions), len(documents))
    last = {}
    for number, exposition in enumerate(expositions):
        try:
            families = list(text_string_to_metric_families(exposition))
            problem = ""
        except ValueError as error:
            families, problem = [], error
        check(f"{name}, OpenMetrics", problem)
        counters = {(s.name, tuple(sorted(s.labels.items()))): s.value for f in families if f.type in ("counter", "histogram")
                    for s in f.samples}
        for key, value in last.items():
            if counters.get(key, value) < value:
                check(f"{name}, OpenMetrics: {key}", f"was {value}, is {counters[key]}")
        last = counters
        check_totals(name, counters, documents[:number + 1])
    check(f"{name}, by promtool", promtool(expositions[-1]))


WINDOWS = {}  # of a spec, by its name


def check_totals(name, counters, documents):
    """Seen packets of each section; and each table's: rows, rest and other are all that was selected and not unaccounted."""
    for section, value in documents[-1].items():
        if not isinstance(value, dict) or "ledger" not in value:
            continue
        labels = (("counter", "seen"), ("probe", documents[-1]["probe"]), ("section", section))
        same(f"{name}, {section}: seen", counters[("amon_ledger_packets_total", labels)],
             sum(d[section]["ledger"]["seen"]["packets"] for d in documents))
        for table in value.get("tables", {}):
            family = f"amon_{documents[-1]['probe']}_{section}_{table}_packets_total"
            if not any(key[0] == family for key in counters):
                continue
            if value["tables"][table]["rest"] is not None and not WINDOWS[name]:
                continue  # without windows there is no `rest` among counters
            ledger = [d[section]["ledger"]["tables"][table] for d in documents]
            same(f"{name}, {section}.{table}: all rows", sum(v for key, v in counters.items() if key[0] == family),
                 sum(l["in_rows"]["packets"] + l.get("other", {"packets": 0})["packets"] for l in ledger))


# All of them ----------------------------------------------------------------------------------------------------------

def check_spec(name, path, trace):
    documents = [json.loads(line) for line in amonc("replay", "-f", "jsonl", path, trace).splitlines()]
    own = json.loads(amonc("explain", "-f", "json-schema", path))
    with open(f"{ROOT}/schemas/amon.schema.json") as file:
        check_json(name, documents, own, json.load(file))
    with open("own.xsd", "w") as file:
        file.write(amonc("explain", "-f", "xsd", path))
    check_xml(name, amonc("replay", "-f", "xml", path, trace), documents, "own.xsd")
    directory = tempfile.mkdtemp(dir=".")
    amonc("replay", "-f", "csv", "-o", f"{directory}/", path, trace)
    check_csv(name, directory, documents)
    with open(path) as file:
        WINDOWS[name] = bool(re.search(r"^\s*window\s", file.read(), re.M))
    check_openmetrics(name, amonc("replay", "-f", "openmetrics", path, trace), documents)


def check_events(path, trace):
    documents = [json.loads(line) for line in amonc("replay", "-f", "jsonl", path, trace).splitlines()]
    with open(f"{ROOT}/schemas/amon.schema.json") as file:
        check_json("events", documents, json.loads(amonc("explain", "-f", "json-schema", path)), json.load(file))
    rows = [row for document in documents for row in document["ingress"]["events"]["syns"]["rows"]]
    same("a field that a packet has not is null", {row["vlan.id"] for row in rows}, {None})
    check("all that there are", "" if len(rows) > 2 else rows)
    with open("events.xsd", "w") as file:
        file.write(amonc("explain", "-f", "xsd", path))
    with open("events.xml", "w") as file:
        file.write(amonc("replay", "-f", "xml", path, trace))
    status, _, err = run("xmllint", "--noout", "--schema", "events.xsd", "events.xml")
    check("events, XML by its schema", err if status else "")
    directory = tempfile.mkdtemp(dir=".")
    amonc("replay", "-f", "csv", "-o", f"{directory}/", path, trace)
    with open(f"{directory}/ingress.syns.csv", newline="") as file:
        same("events, CSV", [row["port"] for row in csv.DictReader(file)], [str(row["port"]) for row in rows])
    list(text_string_to_metric_families(amonc("replay", "-f", "openmetrics", path, trace).split("# EOF\n")[0] + "# EOF\n"))


def main():
    os.chdir(tempfile.mkdtemp(prefix="amon-formats-"))
    for name in ("basic", "enterprise", "malformed"):
        packets.write_capture(name, f"{name}.pcap")
    with open("odd.amon", "w") as file:
        file.write(ODD)
    check_spec("odd", "odd.amon", "basic.pcap")
    check_spec("odd, malformed", "odd.amon", "malformed.pcap")
    for path in sorted(glob.glob(f"{ROOT}/examples/*.amon")):
        check_spec(os.path.basename(path), path, "basic.pcap")
    with open("events.amon", "w") as file:
        file.write(EVENTS)
    check_events("events.amon", "basic.pcap")
    amonc("replay", "-f", "openmetrics", "-o", "last.prom", "odd.amon", "basic.pcap")
    text = amonc("replay", "-f", "openmetrics", "odd.amon", "basic.pcap")
    same("-o of OpenMetrics is the last exposition", open("last.prom").read(), text[text[:-6].rindex("# EOF\n") + 6:])
    print(f"{passed} passed, {failed} failed")
    return failed != 0


sys.exit(main())
