#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What a spec should say of a capture, computed by something that shares no code with the product.

  interpreter.py SPEC TRACE [-D NAME=VALUE]...

Prints what `amonc replay SPEC TRACE -f json` should print, one document a line, but for `interface`, `malformed`, `errors` and
the hooks' `mode`. It knows the first half of the language: hooks, where, let, param, metric, derive, table, window. Exit status:
0 done, 1 the capture cannot be read, 2 usage, 3 the spec is wrong or says what is not known here, 5 no Ethernet.
"""
import argparse
import datetime
import json
import socket
import sys

import dissect
from aggregations import Histogram, aggregation
from capture import CaptureError, read_capture
from expressions import ExportCompiler, PacketCompiler, all_of
from spec import SpecError, parse, parse_value

DEFAULT_SIZE = 65536
PORT_KEYS = ("l4.srcport", "l4.dstport")


# Export --------------------------------------------------------------------------------------------------------------

def rfc3339(time):
    seconds, rest = divmod(time, 10**9)
    moment = datetime.datetime(1970, 1, 1) + datetime.timedelta(seconds=seconds)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{rest:09}Z"


def address_text(packed):
    if len(packed) == 6:
        return ":".join(f"{byte:02x}" for byte in packed)
    return socket.inet_ntop(socket.AF_INET if len(packed) == 4 else socket.AF_INET6, packed)


UNITS = {"nanoseconds": 1, "microseconds": 10**3, "milliseconds": 10**6, "seconds": 10**9, "minutes": 60 * 10**9, "hours": 3600 * 10**9}


def conversion(unit, type, at):
    """What a value is multiplied or divided by for its unit: only time is converted."""
    if unit is None or type.kind not in ("int", "real", "rows"):
        return None
    if type.time == 0:
        if unit in UNITS:
            raise SpecError(f"{unit} of what is no time", at)
        return None
    if type.time == 1 and unit in UNITS:
        return None if UNITS[unit] == 1 else lambda x: x / UNITS[unit]
    if type.time == -1 and unit.endswith("_per_second"):
        return lambda x: x * 1e9
    raise SpecError(f"unit {unit} does not go with this time", at)


def exported(value, type, convert):
    """A value as JSON has it."""
    if value is None:
        return None
    if isinstance(value, Histogram):
        convert = convert or (lambda x: x)
        buckets = [{"le": None if edge is None else convert(edge), "count": count} for edge, count in value.buckets]
        return {"count": value.count, "sum": convert(value.sum), "buckets": buckets}
    if type.kind == "time":
        return rfc3339(value)
    if isinstance(value, bytes):
        length = dict(type.prefix).get(len(value))
        return address_text(value) + ("" if length is None else f"/{length}")
    if type.kind == "bool":
        return bool(value)
    return convert(value) if convert else value


class Columns:
    """The keys, metrics and derives of all blocks, by name; a derive's type is found when it is first asked for."""

    def __init__(self, defines):
        self.defines = defines
        self.blocks, self.types, self.functions, self.converts = {}, {}, {}, {}
        self.pending = []

    def add(self, block, column, type=None):
        names = self.blocks.setdefault(id(block), {})
        if column.name in names:
            raise SpecError(f"{column.name} is there twice", column.at)
        names[column.name] = column
        if type:
            self.types[id(column)] = type
        else:
            self.pending.append((block, column))

    def find(self, block, name):
        column = self.blocks.get(id(block), {}).get(name)
        if column is None:
            return None
        if id(column) not in self.types:
            self.compile(block, column)
        if self.types[id(column)] is None:
            raise SpecError(f"{name} is derived from itself", column.at)
        return column, self.types[id(column)]

    def compile(self, block, column):
        self.types[id(column)] = None
        type, function = ExportCompiler(block, self.defines, self).compile(column.value)
        if type.kind == "rows":
            raise SpecError("a histogram has members: .count, .sum", column.at)
        self.types[id(column)], self.functions[id(column)] = type, function

    def finish(self):
        """Compiles the derives that nothing asked for, and the units of all."""
        for block, column in self.pending:
            self.find(block, column.name)
        for names in self.blocks.values():
            for column in names.values():
                self.converts[id(column)] = conversion(column.unit, self.types[id(column)], column.at)

    def export(self, row, column):
        return exported(row.get(column), self.types[id(column)], self.converts[id(column)])


class Row:
    """What a derive sees: the values of one block, and the blocks around it."""

    def __init__(self, columns, parent, window, keys=None, states=None):
        self.columns, self.parent, self.window = columns, parent, window
        self.keys, self.states = keys or {}, states or {}
        self.sections = {}

    def up(self, levels):
        return self if levels == 0 else self.parent.up(levels - 1)

    def root(self):
        return self if self.parent is None else self.parent.root()

    def get(self, column):
        if column.kind == "key":
            return self.keys.get(id(column))
        if column.kind == "metric":
            return self.states[id(column)].finish()
        return self.columns.functions[id(column)](self)


# Running -------------------------------------------------------------------------------------------------------------

class Counter:
    def __init__(self):
        self.packets = self.bytes = 0

    def add(self, packet):
        self.packets += 1
        self.bytes += packet.wire

    def json(self):
        return {"packets": self.packets, "bytes": self.bytes}


class Metrics:
    """The metrics of a section or table, compiled."""

    def __init__(self, block, compiler, columns):
        self.metrics = []
        for column in block.columns:
            if column.kind != "metric":
                columns.add(block, column)
                continue
            type, argument, make = aggregation(column.aggregation, compiler)
            where = compiler.condition(column.where)[1] if column.where else None
            columns.add(block, column, type)
            self.metrics.append((id(column), argument, where, make))

    def states(self):
        return {identity: make() for identity, _, _, make in self.metrics}

    def update(self, states, packet):
        for identity, argument, where, _ in self.metrics:
            if where and not where(packet):
                continue
            value = argument(packet) if argument else 0
            if value is not None:
                states[identity].add(value, packet)


class TableRun:
    def __init__(self, table, defines, columns):
        self.table, self.columns = table, columns
        compiler = PacketCompiler(table, defines)
        self.where = all_of([compiler.condition(where) for where in table.wheres])
        self.keys = [self.key(column, compiler) for column in table.keys]
        self.metrics = Metrics(table, compiler, columns)
        self.size = compiler.constant(table.size, "int")[1] if table.size else DEFAULT_SIZE
        if self.size < 1:
            raise SpecError("a table holds one row at least", table.at)
        self.exports = ExportCompiler(table, defines, columns)
        self.reset()

    def key(self, column, compiler):
        type, value = compiler.compile(column.value)
        if type.kind == "real":
            raise SpecError("no key", column.at)
        self.columns.add(self.table, column, type)
        if self.is_port(column.value, compiler):
            port = value
            return lambda p: port(p) or 0
        return value

    def is_port(self, expr, compiler):
        """l4.srcport and l4.dstport, also under a let's name: 0 in packets that have none."""
        while expr.kind == "name":
            found = compiler.definition(expr.value)
            if not found:
                return False
            compiler, expr = compiler.within(found[0]), found[1]
        return expr.kind == "path" and expr.value in PORT_KEYS

    def link(self):
        """What refers to columns, once all are there."""
        table = self.table
        self.having = self.exports.condition(table.having)[1] if table.having else None
        self.top = self.top_by = None
        if table.top:
            compiler = PacketCompiler(table, self.exports.defines)
            self.top = compiler.constant(table.top, "int")[1]
            found = self.columns.find(table, table.top_by)
            if not found or found[0].kind == "key" or found[1].kind not in ("int", "real"):
                raise SpecError(f"{table.top_by} is no number of this table", table.at)
            self.top_by = found[0]

    def reset(self):
        self.rows, self.other = {}, None
        self.selected, self.in_rows, self.in_other = Counter(), Counter(), Counter()
        self.unaccounted = {}

    def lose(self, cause, packet):
        self.unaccounted.setdefault(cause, Counter()).add(packet)

    def add(self, packet):
        if not self.where(packet):
            return
        self.selected.add(packet)
        key = tuple(value(packet) for value in self.keys)
        if None in key:
            self.lose("no key", packet)
            return
        states = self.rows.get(key)
        if states is None:
            if len(self.rows) >= self.size:
                self.overflow(packet)
                return
            states = self.rows[key] = self.metrics.states()
        self.in_rows.add(packet)
        self.metrics.update(states, packet)

    def overflow(self, packet):
        if self.table.overflow == "drop":
            self.lose("full", packet)
            return
        if self.other is None:
            self.other = self.metrics.states()
        self.in_other.add(packet)
        self.metrics.update(self.other, packet)

    def row(self, parent, states, key=()):
        keys = {id(column): value for column, value in zip(self.table.keys, key)}
        return Row(self.columns, parent, parent.window, keys, states)

    def choose(self, parent):
        """The rows that are exported, and the merged states of those that are not, or None."""
        rows = [(key, self.row(parent, states, key)) for key, states in self.rows.items()]
        rows.sort(key=lambda item: [(len(part), part) if isinstance(part, bytes) else part for part in item[0]])
        chosen = [item for item in rows if not self.having or self.having(item[1])]
        if self.top is not None:
            def rank(item):
                value = item[1].get(self.top_by)
                return value is None, -value if value is not None else 0
            chosen = sorted(chosen, key=rank)[:self.top]
        kept = {key for key, _ in chosen}
        rest = None
        for key, row in rows:
            if key in kept:
                continue
            rest = rest or self.metrics.states()
            for identity, state in rest.items():
                state.merge(row.states[identity])
        return chosen, rest

    def json(self, parent):
        chosen, rest = self.choose(parent)
        columns = self.table.columns

        def values(row, some):
            return {column.exported: self.columns.export(row, column) for column in some}

        def whole(states):
            return None if states is None else values(self.row(parent, states), columns)
        return {"rows": [values(row, self.table.keys + columns) for _, row in chosen],
                "other": whole(self.other), "rest": whole(rest)}

    def ledger(self):
        return {"selected": self.selected.json(), "in_rows": self.in_rows.json(), "other": self.in_other.json(),
                "unaccounted": {cause: counter.json() for cause, counter in self.unaccounted.items()}}


class SectionRun:
    def __init__(self, section, probe, defines, columns):
        self.section, self.columns = section, columns
        compiler = PacketCompiler(section, defines)
        outer = PacketCompiler(probe, defines)
        wheres = [outer.condition(where) for where in probe.wheres] + [compiler.condition(where) for where in section.wheres]
        self.where = all_of(wheres)
        self.metrics = Metrics(section, compiler, columns)
        self.tables = [TableRun(table, defines, columns) for table in section.tables]
        self.reset()

    def link(self):
        for table in self.tables:
            table.link()

    def reset(self):
        self.states = self.metrics.states()
        self.seen, self.selected = Counter(), Counter()
        for table in self.tables:
            table.reset()

    def direction(self, record):
        """The direction of the hook through which a packet comes: the first, unless the capture says which; None: through none."""
        directions = [direction for direction, _ in self.section.hooks]
        if record.direction is None:
            return directions[0]
        return record.direction if record.direction in directions else None

    def add(self, packet):
        self.seen.add(packet)
        if not self.where(packet):
            return
        self.selected.add(packet)
        self.metrics.update(self.states, packet)
        for table in self.tables:
            table.add(packet)

    def json(self, row):
        return {
            "hooks": [{"direction": direction, "type": kind} for direction, kind in self.section.hooks],
            "metrics": {column.exported: self.columns.export(row, column) for column in self.section.columns},
            "tables": {table.table.name: table.json(row) for table in self.tables},
            "ledger": {"seen": self.seen.json(), "selected": self.selected.json(),
                       "tables": {table.table.name: table.ledger() for table in self.tables}},
        }


class Interpreter:
    def __init__(self, text, defines=None):
        """`defines` maps names of params to the texts of their values."""
        self.probe = parse(text)
        self.columns = Columns(self.parsed(defines or {}))
        self.sections = [SectionRun(section, self.probe, self.columns.defines, self.columns) for section in self.probe.sections]
        for column in self.probe.columns:
            self.columns.add(self.probe, column)
        self.columns.finish()
        for section in self.sections:
            section.link()

    def parsed(self, defines):
        params = set(self.probe.params) | set(self.probe.parent.params)
        for name in defines:
            if name not in params:
                raise SpecError(f"-D {name}: no such param")
        return {name: parse_value(text) for name, text in defines.items()}

    def run(self, records):
        """Yields the documents of a replay."""
        if not self.probe.window:
            self.feed(enumerate(records))
            times = [record.time for record in records] or [0]
            yield self.document(1, times[0], max(times))
            return
        latest = first = current = None
        batch = []
        for index, record in enumerate(records):
            latest = record.time if latest is None else max(latest, record.time)
            number = latest // self.probe.window
            first = number if first is None else first
            if number != current and batch:
                yield self.window(batch, current, first)
                batch = []
            current = number
            batch.append((index, record))
        if batch:
            yield self.window(batch, current, first)

    def window(self, batch, number, first):
        self.feed(batch)
        return self.document(number - first + 1, number * self.probe.window, (number + 1) * self.probe.window)

    def feed(self, numbered):
        for section in self.sections:
            section.reset()
        for index, record in numbered:
            packets = {}
            for section in self.sections:
                direction = section.direction(record)
                if direction and direction not in packets:
                    packets[direction] = dissect.Packet(record, index, direction)
                if direction:
                    section.add(packets[direction])

    def document(self, sequence, start, end):
        root = Row(self.columns, None, end - start)
        for section in self.sections:
            root.sections[section.section.name] = Row(self.columns, root, end - start, states=section.states)
        document = {"probe": self.probe.name,
                    "window": {"sequence": sequence, "start": rfc3339(start), "end": rfc3339(end)}}
        for section in self.sections:
            document[section.section.name] = section.json(root.sections[section.section.name])
        if self.probe.columns:
            document["metrics"] = {column.exported: self.columns.export(root, column) for column in self.probe.columns}
        return document


def where_in(text, at):
    line = text.count("\n", 0, at) + 1
    return f"{line}:{at - text.rfind(chr(10), 0, at)}"


def main():
    ask = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ask.add_argument("spec")
    ask.add_argument("trace")
    ask.add_argument("-D", dest="defines", action="append", default=[], metavar="NAME=VALUE")
    options = ask.parse_args()
    with open(options.spec, encoding="utf-8") as file:
        text = file.read()
    try:
        interpreter = Interpreter(text, dict(define.split("=", 1) for define in options.defines))
    except SpecError as error:
        at = f":{where_in(text, error.at)}" if error.at is not None else ""
        print(f"{options.spec}{at}: error: {error.message}", file=sys.stderr)
        return 3
    try:
        records = read_capture(options.trace)
    except CaptureError as error:
        print(f"{options.trace}: error: {error}", file=sys.stderr)
        return 5 if "Ethernet" in str(error) else 1
    for document in interpreter.run(records):
        print(json.dumps(document))
    return 0


if __name__ == "__main__":
    sys.exit(main())
