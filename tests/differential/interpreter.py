#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What a spec should say of a capture, computed by something that shares no code with the product.

  interpreter.py SPEC TRACE [-D NAME=VALUE]...

Prints what `amonc replay SPEC TRACE -f json` should print, one document a line, but for `interface`, `malformed`, `errors` and
the hooks' `mode`. It knows hooks, where, let, param, metric, derive, table, window, events, and memory: see memory.py. Exit status:
0 done, 1 the capture cannot be read, 2 usage, 3 the spec is wrong or says what is not known here, 5 no Ethernet.
"""
import argparse
import copy
import datetime
import json
import socket
import sys

import dissect
from aggregations import Histogram, aggregation
from capture import CaptureError, read_capture
from expressions import ExportCompiler, PacketCompiler, all_of
from flows import CUT, Flows, Kept
from memory import FoldCell, Keeper, Memory, RowNow
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
        self.sections, self.covered = {}, None  # of the root alone; covered(block): the time that its values cover

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
    """The metrics of a section or table, compiled. Folds update themselves, as memory does."""

    def __init__(self, block, columns):
        self.metrics, self.folds, self.resets = [], [], set()
        for column in block.columns:
            if column.kind == "metric" and column.fold:
                columns.add(block, column, block.keeper.item(column.name).type)
                self.folds.append(id(column))
            elif column.kind == "metric":
                self.add(block, column, columns)
            else:
                columns.add(block, column)
            if column.reset:
                self.resets.add(id(column))

    def add(self, block, column, columns):
        place = block.keeper.place()
        type, argument, make = aggregation(column.aggregation, block.keeper.compiler(place))
        place.where = where = block.keeper.condition(column.where)
        columns.add(block, column, type)
        self.metrics.append((id(column), argument, where, make))

    def states(self):
        return {identity: make() for identity, _, _, make in self.metrics} | {identity: FoldCell() for identity in self.folds}

    def update(self, states, packet):
        for identity, argument, where, _ in self.metrics:
            if where and not where(packet):
                continue
            value = argument(packet) if argument else 0
            if value is not None:
                states[identity].add(value, packet)


def is_port(expr, compiler):
    """l4.srcport and l4.dstport, also under a let's name: 0 in packets that have none."""
    while expr.kind == "name":
        found = compiler.definition(expr.value)
        if not found:
            return False
        compiler, expr = compiler.within(found[0]), found[1]
    return expr.kind == "path" and expr.value in PORT_KEYS


def key_function(block, column, compiler, columns):
    """Of a table's key, or of a field of events."""
    type, value = compiler.compile(column.value)
    if type.kind == "real":
        raise SpecError("no key", column.at)
    columns.add(block, column, type)
    return (lambda p: value(p) or 0) if is_port(column.value, compiler) else value


class TableRun:
    """Rows, and beside them memories by the same keys, which no window touches. A table of `size` rows holds so many keys in a window,
    whatever it remembers of keys of the window before. What finds no row has `other` as its row, memory included."""

    def __init__(self, table, defines, columns):
        self.table, self.columns, self.keeper = table, columns, table.keeper
        self.where = all_of([self.keeper.compiler().condition(where) for where in table.wheres])
        compiler = PacketCompiler(table, defines)
        self.keys = [key_function(table, column, compiler, columns) for column in table.keys]
        self.metrics = Metrics(table, columns)
        self.keeper.finish()
        self.keeper.find = self.find
        self.size = compiler.constant(table.size, "int")[1] if table.size else DEFAULT_SIZE
        if self.size < 1:
            raise SpecError("a table holds one row at least", table.at)
        self.exports = ExportCompiler(table, defines, columns)
        self.memories, self.other_memory = {}, Memory()
        self.reset()

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

    def restart(self, every):
        """At a window's start. The rows of a private table are the window's too: they only say which keys have a place in it."""
        if every or self.table.reset:
            self.reset()
        elif self.table.private:
            self.rows, self.other = {}, None

    def key(self, packet):
        """None where a part is absent."""
        key = tuple(value(packet) for value in self.keys)
        return None if None in key else key

    def find(self, packet):
        """The row that there is before the packet, wherever in the section it is asked for."""
        key = self.key(packet)
        memory = self.memories.get(key)
        return RowNow(memory, self.rows.get(key)) if memory and memory.alive(packet.window) else None

    def has_place(self, key):
        return key is not None and (key in self.rows or len(self.rows) < self.size)

    def row_of(self, packet, key):
        """The packet's own row: made where there is none, and lost again where the packet is not selected."""
        overflows = key is not None and not self.has_place(key) and self.table.overflow == "other"
        memory = self.other_memory if overflows else self.memories.get(key)
        states = self.other if overflows else self.rows.get(key)
        if not memory or not memory.alive(packet.window):
            memory = Memory()
        return RowNow(memory, self.metrics.states() if states is None else states)

    def add(self, packet):
        key = self.key(packet)
        row = packet.rows[id(self.keeper)] = self.row_of(packet, key)
        if not self.where(packet):
            return
        self.selected.add(packet)
        if key is None:
            self.lose("no key", packet)
        elif self.has_place(key):
            self.rows[key] = row.metrics
            packet.changes.append((self.memories.__setitem__, key, row.memory))
            self.count(self.in_rows, packet, row)
        elif self.table.overflow == "drop":
            self.lose("full", packet)
        else:
            self.other, self.other_memory = row.metrics, row.memory
            self.count(self.in_other, packet, row)

    def count(self, counter, packet, row):
        counter.add(packet)
        self.metrics.update(row.metrics, packet)
        self.keeper.come(packet)
        row.memory.seen = packet.window

    def row(self, parent, states, key=()):
        keys = {id(column): value for column, value in zip(self.table.keys, key)}
        return Row(self.columns, parent, parent.root().covered(self.table), keys, states)

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


class FlowsRun(TableRun):
    """Rows that end: see flows.py. Whatever a read returns of the rest, they and their ledger are what came since the last."""

    def __init__(self, table, defines, columns):
        super().__init__(table, defines, columns)
        compiler = PacketCompiler(table, defines)
        times = {word: compiler.constant(table.expire[word], "int") for word in ("idle", "active", "linger") if word in table.expire}
        if any(type.time != 1 for type, _ in times.values()):
            raise SpecError("a time", table.at)
        self.flows = Flows(self.size, *(times.get(word, (None, None))[1] for word in ("idle", "active", "linger")))
        self.when = all_of([self.keeper.compiler().condition(table.expire["when"])]) if "when" in table.expire else None
        self.shown, self.keeps = [], False
        self.kept, self.other_folds = None, {}

    def link(self):
        super().link()
        if self.table.private or self.keeper.remembers():
            self.kept = Kept(self.flows, Memory)

    def restart(self, every):
        if not self.table.private:
            self.reset()
        else:
            super().restart(every)

    def find(self, packet):
        """What there was before the packet, which may be in its row by now."""
        if id(self) not in packet.rows:
            found = self.kept.find(self.key(packet), packet.time)
            packet.rows[id(self)] = found and RowNow(*found)
        return packet.rows[id(self)]

    def remember(self, packet, key):
        """Of a packet that is selected: its life, None where there is none, and the row that it reads."""
        life = self.kept.enter(key, packet.time)
        row = RowNow(self.kept.memories[key], self.kept.folds[key]) if life else RowNow(self.other_memory, self.other_folds)
        packet.rows[id(self.keeper)] = row
        if life or self.table.overflow == "other":
            self.keeper.come(packet)
        return life, row

    def add_remembering(self, packet):
        key = self.key(packet)
        memory, folds = self.find(packet) or (Memory(), None)
        packet.rows[id(self.keeper)] = RowNow(memory, {} if folds is None else folds)
        if not self.where(packet):
            return
        self.selected.add(packet)
        if key is None:
            self.lose("no key", packet)
            return
        life, row = self.remember(packet, key)
        part = self.flows.place(key, life, self.metrics.states) if life and not self.table.private else None
        if life and self.when and self.when(packet):
            self.flows.satisfy(life, part, packet.time)
        if part:
            part.add(packet.time, packet.wire)
            part.folds = self.metrics.folds
            part.states |= {identity: row.metrics.setdefault(identity, FoldCell()) for identity in part.folds}
        self.account(packet, part or (life and self.table.private))
        if part or self.other:
            self.metrics.update(part.states if part else self.other, packet)

    def account(self, packet, has_row):
        if has_row:
            self.in_rows.add(packet)
        elif self.table.overflow != "other":
            self.lose("full", packet)
        else:
            self.other = self.other or self.metrics.states()
            self.in_other.add(packet)

    def add(self, packet):
        if self.kept:
            self.add_remembering(packet)
            return
        key = self.key(packet)
        if not self.where(packet):
            return
        self.selected.add(packet)
        if key is None:
            self.lose("no key", packet)
            return
        life = self.flows.live(key, packet.time)
        part = self.flows.place(key, life, self.metrics.states)
        if part:
            part.add(packet.time, packet.wire)
            self.in_rows.add(packet)
        elif self.table.overflow != "other":
            self.lose("full", packet)
            return
        else:
            self.other = self.other or self.metrics.states()
            self.in_other.add(packet)
        if self.when and self.when(packet):
            self.flows.satisfy(life, part, packet.time)
        self.metrics.update(part.states if part else self.other, packet)

    def refuse(self, part):
        to = self.in_other if self.table.overflow == "other" else self.unaccounted.setdefault("full", Counter())
        for counter, sign in ((self.in_rows, -1), (to, 1)):
            counter.packets += sign * part.packets
            counter.bytes += sign * part.bytes
        if self.table.overflow == "other":
            self.other = self.other or self.metrics.states()
            for identity, state in self.other.items():
                state.merge(part.states[identity])

    def cut(self):
        for part in self.flows.parts.values():
            part.states |= {identity: copy.copy(part.states[identity]) for identity in part.folds}
        self.flows.cut(None if self.table.overflow == "evict" else self.refuse)

    def sweep(self, now):
        if self.kept:
            self.kept.sweep(now)

    def end(self, until, last):
        self.cut()
        self.shown = self.flows.take(until, last) + (list(self.flows.open.values()) if self.keeps else [])

    def choose(self, parent):
        rows = [(flow.key, self.row(parent, flow.states, flow.key), flow) for flow in self.shown]
        rows.sort(key=lambda item: [(len(part), part) if isinstance(part, bytes) else part for part in item[0]])
        chosen = [item for item in rows if not self.having or self.having(item[1])]
        if self.top is not None:
            def rank(item):
                value = item[1].get(self.top_by)
                return value is None, -value if value is not None else 0
            chosen = sorted(chosen, key=rank)[:self.top]
        kept = {id(item[1]) for item in chosen}
        left = [row for _, row, _ in rows if id(row) not in kept]
        rest = self.metrics.states() if left else None
        for row in left:
            for identity, state in rest.items():
                state.merge(row.states[identity])
        return chosen, rest

    def json(self, parent):
        chosen, rest = self.choose(parent)
        columns = self.table.columns

        def values(row, some, reason):
            return {column.exported: self.columns.export(row, column) for column in some} | {"end_reason": reason}

        def whole(states):
            return None if states is None else values(self.row(parent, states), columns, None)
        return {"rows": [values(row, self.table.keys + columns, flow.reason) for _, row, flow in chosen],
                "other": whole(self.other), "rest": whole(rest)}


class EventsRun:
    """A row for each packet, in order. A replay empties the ring before it is full: nothing is lost."""

    def __init__(self, events, section, defines, columns):
        self.events, self.columns = events, columns
        place = section.keeper.place()
        self.where = place.where = all_of([section.keeper.compiler().condition(where) for where in events.wheres])
        compiler = PacketCompiler(section, defines, place)
        self.keys = [key_function(events, column, compiler, columns) for column in events.keys]
        self.reset()

    def reset(self):
        self.rows = []

    def add(self, packet):
        if self.where(packet):
            keys = {id(column): value(packet) for column, value in zip(self.events.keys, self.keys)}
            self.rows.append(Row(self.columns, None, 0, keys))

    def json(self):
        return {"rows": [{column.exported: self.columns.export(row, column) for column in self.events.keys} for row in self.rows], "lost": 0}


class SectionRun:
    def __init__(self, section, probe, defines, columns):
        self.section, self.columns = section, columns
        for block in [section] + section.tables:
            block.keeper = Keeper(block, defines)
        self.keeper, self.memory = section.keeper, Memory()
        outer = PacketCompiler(probe, defines, self.keeper.whole, section)
        wheres = [outer.condition(where) for where in probe.wheres]
        self.where = all_of(wheres + [self.keeper.compiler().condition(where) for where in section.wheres])
        self.metrics = Metrics(section, columns)
        self.keeper.finish()
        self.tables = [(FlowsRun if table.expire else TableRun)(table, defines, columns) for table in section.tables]
        self.flows = [table for table in self.tables if table.table.expire]
        self.events = [EventsRun(events, section, defines, columns) for events in section.events]
        section.reset |= probe.reset
        for table in section.tables:
            table.reset |= section.reset
        for flows in self.flows:
            flows.keeps = probe.keep and not flows.table.reset
            flows.table.reset |= not flows.table.private
        # its ledger starts anew where all that it is the ledger of does
        parts = [column.reset for column in section.columns if column.kind == "metric"] + [table.reset for table in section.tables]
        self.all_reset = section.reset or all(parts)
        self.reset()

    def link(self):
        for table in self.tables:
            table.link()

    def reset(self):
        self.states = self.metrics.states()
        self.seen, self.selected = Counter(), Counter()

    def resets(self):
        """Whether anything of it is what came since the last read: events always are."""
        return bool(self.section.reset or self.metrics.resets or self.events or any(table.table.reset for table in self.tables))

    def restart(self, every):
        """At a window's start: everything, or what says `reset`."""
        if every or self.section.reset:
            self.reset()
        else:
            fresh = self.metrics.states()
            self.states |= {identity: fresh[identity] for identity in self.metrics.resets}
            if self.all_reset:
                self.seen, self.selected = Counter(), Counter()
        for table in self.tables:
            table.restart(every)
        for events in self.events:
            events.reset()

    def direction(self, record):
        """The direction of the hook through which a packet comes: the first, unless the capture says which; None: through none."""
        directions = [direction for direction, _ in self.section.hooks]
        if record.direction is None:
            return directions[0]
        return record.direction if record.direction in directions else None

    def add(self, packet):
        """All of it reads what was remembered before the packet; the changes come when all have read."""
        self.seen.add(packet)
        packet.rows, packet.changes = {id(self.keeper): RowNow(self.memory, self.states)}, []
        if not self.where(packet):
            return
        self.selected.add(packet)
        self.metrics.update(self.states, packet)
        for part in self.tables + self.events:
            part.add(packet)
        self.keeper.come(packet)
        for change, *what in packet.changes:
            change(*what)

    def json(self, row):
        return {
            "hooks": [{"direction": direction, "type": kind} for direction, kind in self.section.hooks],
            "metrics": {column.exported: self.columns.export(row, column) for column in self.section.columns},
            "tables": {table.table.name: table.json(row) for table in self.tables if not table.table.private},
            "events": {events.events.name: events.json() for events in self.events},
            "ledger": {"seen": self.seen.json(), "selected": self.selected.json(),
                       "tables": {table.table.name: table.ledger() for table in self.tables}},
        }


class Interpreter:
    def __init__(self, text, defines=None):
        """`defines` maps names of params to the texts of their values."""
        self.probe = parse(text)
        self.latest = None
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
            self.feed(enumerate(records), None)
            times = [record.time for record in records] or [0]
            self.end(max(times), True)
            yield self.document(1, times[0], max(times), times[0])
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
                # windows without packets in which flows end
                while (end := self.next()) is not None and end < number * self.probe.window:
                    yield self.window([], end // self.probe.window, first)
            current = number
            batch.append((index, record))
        if batch:
            yield self.window(batch, current, first, latest)

    def window(self, batch, number, first, latest=None):
        """`latest`: of the last window the last time seen."""
        for section in self.sections:
            section.restart(not self.probe.keep)
        if batch:
            self.open(batch[0][1].time)
        self.feed(batch, number)
        size = self.probe.window
        self.end((number + 1) * size - 1 if latest is None else latest, latest is not None)
        return self.document(number - first + 1, number * size, (number + 1) * size, first * size)

    def feed(self, numbered, window):
        """`window` is the number of the window of these packets, None where there are none."""
        for index, record in numbered:
            self.cut(record.time)
            packets = {}
            for section in self.sections:
                direction = section.direction(record)
                if direction and direction not in packets:
                    packets[direction] = dissect.Packet(record, index, direction)
                    packets[direction].window = window
                if direction:
                    section.add(packets[direction])

    def flows(self):
        return [flows for section in self.sections for flows in section.flows]

    def cut(self, time):
        """Flows are cut with each second of the latest time seen."""
        if self.latest is not None and time // CUT > self.latest // CUT:
            for flows in self.flows():
                flows.cut()
            self.sweep(self.latest)
        self.latest = time if self.latest is None else max(self.latest, time)

    def sweep(self, now):
        for flows in self.flows():
            flows.sweep(now)

    def open(self, time):
        """A window, by its first packet: a cut comes before it."""
        if self.latest is not None and time // CUT > self.latest // CUT:
            self.sweep(self.latest)
        self.sweep(max(self.latest or 0, time))

    def end(self, until, last):
        for flows in self.flows():
            flows.end(until, last)

    def next(self):
        return min((end for flows in self.flows() if (end := flows.flows.next()) is not None), default=None)

    def document(self, sequence, start, end, first):
        """`first` is the start of the first window. Totals cover the time since then, and so does a document that has nothing else."""
        root = Row(self.columns, None, None)
        root.covered = lambda block: end - first if self.probe.keep and not block.reset else end - start
        root.window = root.covered(self.probe)
        if self.probe.keep and not any(section.resets() for section in self.sections):
            start = first
        for section in self.sections:
            covered = root.covered(section.section)
            root.sections[section.section.name] = Row(self.columns, root, covered, states=section.states)
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
