# SPDX-License-Identifier: Apache-2.0
"""What a section or a table remembers from packet to packet: states, folds, and the previous packets of prev() and delta().

A packet reads what was remembered before it, everywhere in a section; what it changes is queued in `packet.changes` and made last.
Decisions where the language leaves a choice:

- A packet comes to a place whether or not what is written there is evaluated in the end (behind an `and`, in a branch of `? :`).
- A block's own `where` reads the previous packet that it let through.
- In `V next E`, E is to C what a metric's argument is to its where; V and C see the packets of the block.
- V is read before the row's first packet, and on it, by all that the packet computes. Asked from another table, a fold that is a
  metric has no value before the row's first packet in the window.
"""
from typing import NamedTuple

from aggregations import aggregation
from expressions import FOLDS, PacketCompiler, Type, cast, wrap
from spec import SpecError


class Memory:
    """A row's: what windows do not touch. `seen` is the number of the window that had a packet of it last."""

    def __init__(self):
        self.previous, self.states, self.seen = {}, {}, None

    def alive(self, window):
        """It ends after a whole window without a packet; where there are no windows, never."""
        return window is None or self.seen is None or window <= self.seen + 1


class RowNow(NamedTuple):
    """A row while a packet passes; metrics are those of the window, None where it has none yet."""
    memory: Memory
    metrics: dict | None


class Place:
    """Where prev() and delta() are written. The packets that come there are those of the block that `where` lets through."""

    def __init__(self, keeper):
        self.keeper, self.where, self.arguments = keeper, None, []

    def previous(self, value):
        """A function: an argument's value in the previous packet that came."""
        slot = (id(self), len(self.arguments))
        self.arguments.append((slot, value))
        return lambda p: self.keeper.row(p).memory.previous.get(slot)

    def come(self, packet, memory):
        if self.arguments and (not self.where or self.where(packet)):
            packet.changes.append((memory.previous.update, [(slot, value(packet)) for slot, value in self.arguments]))


class Aggregated:
    """`state x = first(…)`: an aggregation that packets can read."""

    def __init__(self, column, keeper):
        self.identity, self.place = id(column), keeper.place()
        self.type, self.argument, self.make = aggregation(column.aggregation, keeper.compiler(self.place))
        if self.type.kind in ("real", "rows"):
            raise SpecError(f"{column.aggregation.name}() cannot be read by packets", column.at)
        self.place.where = self.where = keeper.condition(column.where)

    def read(self, packet, row):
        state = row.memory.states.get(self.identity)
        return (state or self.make()).finish()

    asked = read

    def come(self, packet, row):
        if self.where and not self.where(packet):
            return
        value = self.argument(packet) if self.argument else 0
        if value is not None:
            packet.changes.append((self.add, row.memory.states, value, packet))

    def add(self, states, value, packet):
        states.setdefault(self.identity, self.make()).add(value, packet)


class FoldCell:
    """The value of a fold that has begun, as it is exported. Folds do not merge: a row of several has none."""

    def __init__(self):
        self.value, self.begun = None, False

    def set(self, value):
        self.value, self.begun = value, True

    def merge(self, other):
        pass

    def finish(self):
        return self.value


class Folded:
    """`V next E where C`. As a metric its cell is one of the row's metrics, and starts anew with them."""

    def __init__(self, column, keeper):
        fold = column.fold
        if fold.type not in FOLDS:
            raise SpecError(f"{fold.type} is no type of a fold", fold.at)
        self.bits, self.signed = FOLDS[fold.type]
        self.column, self.keeper, self.place = column, keeper, keeper.place()
        initial, self.initial = keeper.compiler().of(fold.initial, "int")
        self.type = Type("int", initial.time)
        self.following = self.where = None

    def finish(self):
        """What may name this fold itself and others."""
        following, self.following = self.keeper.compiler(self.place).of(self.column.fold.following, "int")
        if following.time != self.type.time:
            raise SpecError("a time beside what is none", self.column.fold.at)
        self.place.where = self.where = self.keeper.condition(self.column.where)

    def cell(self, row):
        cells = row.memory.states if self.column.kind == "state" else row.metrics
        return cells.setdefault(id(self.column), FoldCell()) if cells is not None else FoldCell()

    def stored(self, value):
        return None if value is None else cast(value, self.bits, self.signed)

    def before(self, packet, row):
        cell = self.cell(row)
        return cell.value if cell.begun else self.stored(self.initial(packet))

    def read(self, packet, row):
        value = self.before(packet, row)
        return None if value is None else wrap(value)

    def asked(self, packet, row):
        cell = self.cell(row)
        return wrap(cell.value) if cell.value is not None else None

    def come(self, packet, row):
        value = self.before(packet, row)
        if not self.where or self.where(packet):
            following = self.stored(self.following(packet))
            value = value if following is None else following
        packet.changes.append((self.cell(row).set, value))


class Keeper:
    """The memory of a section or table: `columns` are its states and folds by name, compiled when they are first asked for."""

    def __init__(self, block, defines):
        self.block, self.defines = block, defines
        self.columns, self.items = {}, {}
        for column in block.states + [column for column in block.columns if column.fold]:
            if column.name in self.columns:
                raise SpecError(f"{column.name} is there twice", column.at)
            self.columns[column.name] = column
        self.places = []
        self.whole = self.place()  # of its wheres and lets
        self.find = None           # a table's: the row that a packet's key has, a RowNow or None
        self.asked = False         # others ask for it

    def place(self):
        self.places.append(Place(self))
        return self.places[-1]

    def compiler(self, place=None):
        return PacketCompiler(self.block, self.defines, place or self.whole)

    def condition(self, expr):
        return self.compiler().condition(expr)[1] if expr else None

    def item(self, name):
        if name not in self.items:
            column = self.columns[name]
            self.items[name] = None
            self.items[name] = (Folded if column.fold else Aggregated)(column, self)
        if self.items[name] is None:
            raise SpecError(f"{name} needs itself to begin with", self.columns[name].at)
        return self.items[name]

    def finish(self):
        """Compiles what nothing asked for."""
        for name, column in self.columns.items():
            item = self.item(name)
            if column.fold:
                item.finish()

    def remembers(self):
        return bool(self.columns or self.asked or any(place.arguments for place in self.places))

    def row(self, packet):
        return packet.rows[id(self)]

    def come(self, packet):
        """The packet came to the block, whose row for it is set: what it leaves there is queued."""
        row = self.row(packet)
        for place in self.places:
            place.come(packet, row.memory)
        for item in self.items.values():
            item.come(packet, row)
