#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Holds the product's rows against the interpreter's.

  compare.py AMONC SPEC TRACE [-D NAME=VALUE]...

Runs `AMONC replay SPEC TRACE -f json` and the interpreter, and prints the first differences. Rows are compared as sets by their key
(and, where the table has `top`, in the order of its metric), whole numbers exactly, doubles to 1e-9. `interface`, `malformed`,
`errors` and the hooks' `mode` are not compared. What the product says must also add up by itself. Exit status:
0 the same, 1 different, 2 usage, 3 the interpreter does not know the spec.
"""
import argparse
import ipaddress
import json
import math
import subprocess
import sys

from capture import read_capture
from interpreter import Interpreter
from spec import SpecError

SHOWN = 12
IGNORED = {"interface", "malformed", "errors", "mode"}
# What may be left out where it would be empty or zero.
EMPTY = (None, {}, [], {"packets": 0, "bytes": 0})
NOTHING = {"packets": 0, "bytes": 0}
# Where the product's JSON has a section's events: among its tables, or (False) in an "events" beside them.
EVENTS_AMONG_TABLES = False


def documents_of(text):
    """All JSON values of a text, arrays opened."""
    decoder, at, found = json.JSONDecoder(), 0, []
    while text[at:].strip():
        at += len(text[at:]) - len(text[at:].lstrip())
        value, at = decoder.raw_decode(text, at)
        found += value if isinstance(value, list) else [value]
    return found


def canonical(text):
    """An address or prefix in one spelling; anything else as it is."""
    try:
        body, slash, length = text.partition("/")
        return ipaddress.ip_address(body).exploded + slash + length
    except ValueError:
        return text


def unbalanced(probe, document):
    """What does not add up in a document, product's or interpreter's: selected = in_rows + other + unaccounted in every table, and rows and
    `rest`, like `other`, hold what the ledger says, by each metric that counts all packets or their bytes."""
    faults = []
    for section in probe.sections:
        part = document.get(section.name, {})
        ledgers, tables = part.get("ledger", {}).get("tables", {}), part.get("tables", {})
        for name, ledger in ledgers.items():
            parts = [ledger["in_rows"], ledger.get("other", NOTHING), *ledger.get("unaccounted", {}).values()]
            for unit in NOTHING:
                if ledger["selected"][unit] != sum(part[unit] for part in parts):
                    faults.append(f"{section.name}.{name}: {unit} selected are not in_rows + other + unaccounted: {json.dumps(ledger)}")
        for table in section.tables:
            if table.expire:
                continue  # its rows hold other packets than its ledger: see unbalanced_flows()
            if table.name in tables and table.name in ledgers:
                faults += overcounted(table, tables[table.name], ledgers[table.name])
    return faults


def overcounted(table, rows, ledger):
    """Metrics that count all packets of a table, or their bytes, but do not come to what its ledger says."""
    faults = []
    for column in table.columns:
        unit = counts_all(column)
        if not unit:
            continue
        inside = rows["rows"] + ([rows["rest"]] if rows["rest"] else [])
        for part, held in (("in_rows", inside), ("other", [rows["other"]] if rows["other"] else [])):
            total = sum(row.get(column.exported, 0) for row in held)
            if total != ledger.get(part, NOTHING)[unit]:
                faults.append(f"{table.name}.{column.name}: {total} {unit}, but {part} of the ledger are {ledger.get(part)}")
    return faults


def unbalanced_flows(probe, documents):
    """The same of rows that end, over all documents of a replay, which leaves none open: each packet is in one row."""
    faults = []
    if probe.keep:
        return faults
    for section in probe.sections:
        for table in (table for table in section.tables if table.expire and not table.private):
            parts = [document[section.name] for document in documents if section.name in document]
            rows = [row for part in parts for row in part["tables"][table.name]["rows"] + [part["tables"][table.name]["rest"]] if row]
            for column in table.columns:
                unit = counts_all(column)
                if not unit:
                    continue
                total = sum(row.get(column.exported, 0) for row in rows)
                ledger = sum(part["ledger"]["tables"][table.name]["in_rows"][unit] for part in parts)
                if total != ledger:
                    faults.append(f"{table.name}.{column.name}: {total} {unit} in all rows, but in_rows of all ledgers are {ledger}")
    return faults


def counts_all(column):
    """`packets` of count(), `bytes` of sum(frame.len), None of all else."""
    call = column.aggregation
    if column.kind != "metric" or not call or column.where:
        return None
    if call.name == "sum" and call.arguments[0].kind == "path" and call.arguments[0].value == "frame.len":
        return "bytes"
    return "packets" if call.name == "count" else None


class Comparison:
    """Collects differences; `keys` and `tops` know each table's key columns and the metric of its `top`."""

    def __init__(self, probe):
        self.probe, self.differences = probe, []
        self.tables = {(section.name, table.name): table for section in probe.sections for table in section.tables}

    def differ(self, path, product, expected):
        self.differences.append(f"{path}: product {shorten(product)}, interpreter {shorten(expected)}")

    def value(self, path, product, expected):
        if isinstance(product, dict) and isinstance(expected, dict):
            self.object(path, product, expected)
        elif isinstance(product, list) and isinstance(expected, list):
            if len(product) != len(expected):
                self.differ(path, product, expected)
                return
            for i, (a, b) in enumerate(zip(product, expected)):
                self.value(f"{path}[{i}]", a, b)
        elif not equal(product, expected):
            self.differ(path, product, expected)

    def object(self, path, product, expected, optional=()):
        for name in sorted((product.keys() | expected.keys()) - IGNORED):
            here = f"{path}.{name}" if path else name
            if name in product and name in expected:
                self.value(here, product[name], expected[name])
            elif (product if name in product else expected)[name] not in EMPTY or name not in optional:
                self.differ(here, product.get(name, "(missing)"), expected.get(name, "(missing)"))

    def documents(self, product, expected):
        numbers = [document.get("window", {}).get("sequence") for document in product]
        if numbers != [document["window"]["sequence"] for document in expected]:
            self.differ("windows", numbers, [document["window"]["sequence"] for document in expected])
            return
        self.differences += [f"the product's {fault}" for fault in unbalanced_flows(self.probe, product)]
        for a, b in zip(product, expected):
            self.differences += [f"window {b['window']['sequence']}: the product's {fault}" for fault in unbalanced(self.probe, a)]
            self.document(f"window {b['window']['sequence']}:", a, b)

    def document(self, path, product, expected):
        sections = {name for name, _ in self.tables} | {name for name, part in expected.items() if isinstance(part, dict) and "hooks" in part}
        self.object(path, {k: v for k, v in product.items() if k not in sections},
                    {k: v for k, v in expected.items() if k not in sections}, optional={"metrics", "levels", "events"})
        for name in sorted(sections):
            if name not in product:
                self.differ(f"{path} {name}", "(missing)", "a section")
                continue
            self.section(f"{path} {name}", name, product[name], expected[name])

    def section(self, path, name, product, expected):
        inner = {"tables", "ledger", "hooks", "events"}
        self.hooks(f"{path}.hooks", product.get("hooks"), expected["hooks"])
        self.object(path, {k: v for k, v in product.items() if k not in inner}, {k: v for k, v in expected.items() if k not in inner},
                    optional={"metrics"})
        self.ledger(f"{path}.ledger", product.get("ledger", {}), expected["ledger"])
        tables = dict(product.get("tables", {}))
        events = {name: tables.pop(name, {}) for name in expected["events"]} if EVENTS_AMONG_TABLES else product.get("events", {})
        self.events(f"{path}.events", events, expected["events"])
        for table in sorted(tables.keys() | expected["tables"].keys()):
            if table in tables and table in expected["tables"]:
                self.table(f"{path}.{table}", self.tables[name, table], tables[table], expected["tables"][table])
            else:
                self.differ(f"{path}.{table}", "a table" if table in tables else "(missing)", "a table" if table not in tables else "(missing)")

    def events(self, path, product, expected):
        """Rows in their order, none lost."""
        for name in sorted(product.keys() | expected.keys()):
            self.value(f"{path}.{name}.rows", product.get(name, {}).get("rows"), expected.get(name, {}).get("rows"))
            self.value(f"{path}.{name}.lost", product.get(name, {}).get("lost", 0), 0)

    def hooks(self, path, product, expected):
        """A replay may name the hooks that it used alone."""
        plain = [{name: hook[name] for name in ("direction", "type")} for hook in product or []]
        if not plain or any(hook not in expected for hook in plain):
            self.differ(path, product, expected)

    def ledger(self, path, product, expected):
        for part in ("seen", "selected"):
            self.value(f"{path}.{part}", product.get(part), expected[part])
        for name, right in expected["tables"].items():
            left = product.get("tables", {}).get(name, {})
            for part in ("selected", "in_rows", "other"):
                self.value(f"{path}.{name}.{part}", left.get(part, NOTHING if part == "other" else None), right[part])
            causes = left.get("unaccounted", {})
            self.object(f"{path}.{name}.unaccounted", causes, right["unaccounted"], optional=causes.keys())

    def table(self, path, table, product, expected):
        names = [key.exported for key in table.keys]

        def by_key(rows, whose):
            found = {}
            for row in rows:
                key = tuple(canonical(row.get(name)) if isinstance(row.get(name), str) else row.get(name) for name in names)
                while table.expire and key in found:
                    key += ("again",)
                if key in found:
                    self.differences.append(f"{path}: {whose} has two rows of {dict(zip(names, key))}")
                found[key] = row
            return found
        left, right = by_key(product.get("rows", []), "the product"), by_key(expected["rows"], "the interpreter")
        for key in sorted(left.keys() | right.keys(), key=repr):
            label = f"{path} {{{', '.join(map(str, key))}}}"
            if key not in left or key not in right:
                self.differ(label, left.get(key, "(no row)"), right.get(key, "(no row)"))
            else:
                self.object(label, left[key], right[key])
        if table.top:
            exported = next(column.exported for column in table.columns if column.name == table.top_by)
            self.value(f"{path} order by {exported}", [row.get(exported) for row in product.get("rows", [])],
                       [row[exported] for row in expected["rows"]])
        for part in ("other", "rest"):
            self.value(f"{path}.{part}", product.get(part, "(missing)"), expected[part])


def shorten(value):
    text = json.dumps(value) if not isinstance(value, str) else value
    return text if len(text) <= 300 else text[:300] + "…"


def equal(a, b):
    if isinstance(a, bool) or isinstance(b, bool):
        return a is b
    if isinstance(a, (int, float)) and isinstance(b, (int, float)):
        return a == b if isinstance(a, int) and isinstance(b, int) else math.isclose(a, b, rel_tol=1e-9, abs_tol=1e-9)
    if isinstance(a, str) and isinstance(b, str):
        return canonical(a) == canonical(b)
    return type(a) is type(b) and a == b


class Refused(Exception):
    """The interpreter does not know the spec."""


class ProductRefused(Exception):
    """The product calls the spec wrong."""


def compare(amonc, spec, trace, defines=(), records=None):
    """The differences, as lines of text. `records` are the trace's, where they have been read already."""
    with open(spec, encoding="utf-8") as file:
        text = file.read()
    try:
        interpreter = Interpreter(text, dict(define.split("=", 1) for define in defines))
    except SpecError as error:
        raise Refused(error.message) from None
    options = [option for define in defines for option in ("-D", define)]
    run = subprocess.run([amonc, "replay", spec, trace, "-q", "-f", "json", *options], capture_output=True, text=True, timeout=600)
    if run.returncode == 3:
        raise ProductRefused(run.stderr.strip()[:2000])
    if run.returncode:
        return [f"the product left with {run.returncode}: {run.stderr.strip()[:2000]}"]
    try:
        product = documents_of(run.stdout)
    except ValueError as error:
        return [f"the product's output is no JSON: {error}: {run.stdout[:300]}"]
    comparison = Comparison(interpreter.probe)
    comparison.documents(product, list(interpreter.run(records if records is not None else read_capture(trace))))
    return comparison.differences


def main():
    ask = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ask.add_argument("amonc")
    ask.add_argument("spec")
    ask.add_argument("trace")
    ask.add_argument("-D", dest="defines", action="append", default=[], metavar="NAME=VALUE")
    options = ask.parse_args()
    try:
        differences = compare(options.amonc, options.spec, options.trace, options.defines)
    except Refused as error:
        print(f"{options.spec}: the interpreter does not know it: {error}", file=sys.stderr)
        return 3
    except ProductRefused as error:
        differences = [f"the product refuses it: {error}"]
    for difference in differences[:SHOWN]:
        print(difference)
    if len(differences) > SHOWN:
        print(f"… {len(differences)} differences")
    return 1 if differences else 0


if __name__ == "__main__":
    sys.exit(main())
