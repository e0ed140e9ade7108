# SPDX-License-Identifier: Apache-2.0
"""Expressions as Python functions: those over packets (None is absence), and those over rows at export (None is null).

Addresses are bytes of 4, 16 or 6; an IPv4 address and the IPv6 one that maps it differ by their length.
"""
import math
import operator
from typing import NamedTuple

import dissect
from spec import Probe, Section, SpecError, Table

LOW, HIGH = -2**63, 2**63 - 1


def wrap(number):
    """To 64-bit two's complement."""
    return (number + 2**63) % 2**64 - 2**63


class Type(NamedTuple):
    kind: str           # int real bool ip4 ip6 net mac time rows
    time: int = 0       # exponent of nanoseconds, of int and real
    prefix: tuple = ()  # lengths for IPv4 and IPv6, under prefix()


INT, BOOL, REAL, DURATION = Type("int"), Type("bool"), Type("real"), Type("int", 1)
IP_KINDS = {"ip4", "ip6", "net"}
SIZES = {"ip4": 4, "ip6": 16, "mac": 6}


def enclosing_section(block):
    while block and not isinstance(block, Section):
        block = block.parent
    return block


def kind_of_address(packed):
    return {4: "ip4", 16: "ip6", 6: "mac"}[len(packed)]


def divide(a, b):
    quotient = abs(a) // abs(b)
    return quotient if (a < 0) == (b < 0) else -quotient


def remainder(a, b):
    return a - b * divide(a, b)


ARITHMETIC = {"+": operator.add, "-": operator.sub, "*": operator.mul, "&": operator.and_, "|": operator.or_, "^": operator.xor,
              "<<": operator.lshift, ">>": operator.rshift, "/": divide, "%": remainder}
COMPARE = {"==": operator.eq, "!=": operator.ne, "<": operator.lt, ">": operator.gt, "<=": operator.le, ">=": operator.ge}
CASTS = {f"{sign}{bits}": (bits, sign == "s") for bits in (8, 16, 32) for sign in "us"}


FOLDS = CASTS | {"u64": (64, False), "s64": (64, True)}


def cast(value, bits, signed):
    value &= 2**bits - 1
    return value - 2**bits if signed and value >> bits - 1 else value


def masked(packed, length):
    """An address with all but its first bits cleared."""
    size = 8 * len(packed)
    keep = (2**length - 1) << size - length
    return (int.from_bytes(packed, "big") & keep).to_bytes(len(packed), "big")


def all_of(conditions):
    """One function out of several conditions."""
    tests = [test for _, test in conditions]
    return lambda p: all(test(p) for test in tests)


class Compiler:
    """What packet and export expressions share: literals, operators, sets. `block` is where the expression stands."""

    def __init__(self, block, defines):
        self.block, self.defines = block, defines

    def compile(self, expr):
        """(type, function) of an expression; a set is no expression."""
        return getattr(self, f"_{expr.kind}")(expr)

    def of(self, expr, *kinds):
        """The same, of one of these kinds."""
        type, function = self.compile(expr)
        if type.kind not in kinds:
            raise SpecError(f"{type.kind} where {' or '.join(kinds)} is needed", expr.at)
        return type, function

    def condition(self, expr):
        return self.of(expr, "bool")

    def constant(self, expr, *kinds):
        """The value of an expression that needs no packet."""
        type, function = self.of(expr, *kinds)
        try:
            return type, function(None)
        except (AttributeError, TypeError):
            raise SpecError("this must be a constant", expr.at) from None

    # Names

    def definition(self, name):
        """(the block where it stands, its Expr) of a param, or a let where those can be read; None if there is none."""
        block = self.block
        while block:
            if name in block.params:
                return block, self.defines.get(name, block.params[name])
            if name in block.lets and self.reads_lets:
                return block, block.lets[name]
            block = block.parent
        return None

    def within(self, block):
        return self if block is self.block else type(self)(block, self.defines)

    # Literals

    def _int(self, expr):
        return INT, lambda p: expr.value

    def _duration(self, expr):
        return DURATION, lambda p: expr.value

    def _address(self, expr):
        return Type(kind_of_address(expr.value)), lambda p: expr.value

    def _choice(self, expr):
        _, test = self.condition(expr.parts[0])
        (left, yes), (right, no) = self.compile(expr.parts[1]), self.compile(expr.parts[2])
        return self.same(left, right, expr), lambda p: yes(p) if test(p) else no(p)

    def same(self, left, right, expr):
        """The type of what is either of two."""
        numbers = {"int", "real"}
        if left.kind in numbers and right.kind in numbers and left.time == right.time:
            return left if left.kind == right.kind else Type("real", left.time)
        if left.kind != right.kind or left.kind == "rows":
            raise SpecError(f"{left.kind} beside {right.kind}", expr.at)
        if left.time != right.time:
            raise SpecError("a time beside what is none", expr.at)
        return left

    # Logic: any comparison with an absent value is false

    def _unary(self, expr):
        if expr.value == "not":
            _, test = self.condition(expr.parts[0])
            return BOOL, lambda p: not test(p)
        return self.sign(expr)

    def _binary(self, expr):
        if expr.value in ("and", "or"):
            (_, left), (_, right) = map(self.condition, expr.parts)
            if expr.value == "and":
                return BOOL, lambda p: bool(left(p)) and bool(right(p))
            return BOOL, lambda p: bool(left(p)) or bool(right(p))
        if expr.value in COMPARE:
            return self.comparison(expr)
        return self.arithmetic(expr)

    def comparison(self, expr):
        (left, a), (right, b) = map(self.compile, expr.parts)
        if left.kind in IP_KINDS and right.kind in IP_KINDS:
            if left.kind != right.kind and "net" not in (left.kind, right.kind):
                raise SpecError("IPv4 beside IPv6", expr.at)
        else:
            self.same(left, right, expr)
        ordered = expr.value not in ("==", "!=")
        if ordered and left.kind in IP_KINDS | {"mac", "bool"}:
            raise SpecError(f"{left.kind} has no order", expr.at)
        compare = COMPARE[expr.value]

        def test(p):
            x, y = a(p), b(p)
            return x is not None and y is not None and compare(x, y)
        return BOOL, test

    # Sets

    def _in(self, expr):
        left, value = self.compile(expr.parts[0])
        tests = self.items(left, expr.parts[1])

        def test(p):
            x = value(p)
            return x is not None and any(item(p, x) for item in tests)
        return BOOL, test

    def items(self, left, members):
        if members.kind == "name":
            found = self.definition(members.value)
            if not found or found[1].kind != "set":
                raise SpecError(f"{members.value} is no set", members.at)
            return self.within(found[0]).items(left, found[1])
        return [self.item(left, item) for item in members.parts]

    def item(self, left, item):
        if item.kind == "prefix":
            base, length = item.value
            kind, first = kind_of_address(base), masked(base, length)
            self.beside(left, Type(kind), item)
            return lambda p, x: len(x) == len(base) and masked(x, length) == first
        if item.kind == "range":
            (low_type, low), (high_type, high) = map(self.compile, item.parts)
            self.beside(left, low_type, item)
            self.beside(left, high_type, item)

            def inside(p, x):
                a, b = low(p), high(p)
                if a is None or b is None or (isinstance(x, bytes) and not len(a) == len(b) == len(x)):
                    return False
                return a <= x <= b
            return inside
        type, value = self.compile(item)
        self.beside(left, type, item)
        return lambda p, x: value(p) == x

    def beside(self, left, right, item):
        """A member must be comparable with what is looked for."""
        if left.kind == "net" and right.kind in IP_KINDS or right.kind == "net" and left.kind in IP_KINDS:
            return
        self.same(left, right, item)


class PacketCompiler(Compiler):
    """Functions of a dissect.Packet. `place` is the memory.Place whose previous packets are meant here, None where there are none;
    `section` is where a let of the probe is read, since each section has previous packets of its own."""
    reads_lets = True

    def __init__(self, block, defines, place=None, section=None, nested=False):
        super().__init__(block, defines)
        self.place, self.nested = place, nested
        self.section = section or enclosing_section(block)

    def within(self, block):
        """For a let: the previous packets there are those of the block where it stands."""
        if block is self.block and not block.keeper:
            return self
        keeper = (block if block.keeper else self.section or block).keeper
        return PacketCompiler(block, self.defines, keeper and keeper.whole, self.section, self.nested)

    def _real(self, expr):
        raise SpecError("no fractions in packets", expr.at)

    def _name(self, expr):
        if expr.value in dissect.PROTOCOLS:
            return self._path(expr)
        found = self.definition(expr.value)
        if found and found[1].kind != "set":
            return self.within(found[0]).compile(found[1])
        remembered = self.remembered(expr.value) or self.row_there(expr.value)
        if not remembered:
            raise SpecError(f"{expr.value} is no value here", expr.at)
        return remembered

    def remembered(self, name):
        """A state or fold of a block around, inner block first."""
        block = self.block
        while block:
            if block.keeper and name in block.keeper.columns:
                item, keeper = block.keeper.item(name), block.keeper
                return item.type, lambda p: item.read(p, keeper.row(p))
            block = block.parent
        return None

    def keeper_of(self, name):
        """That of a table of this section."""
        tables = self.section.tables if self.section else []
        keeper = next((table.keeper for table in tables if table.name == name), None)
        if keeper:
            keeper.asked = True
        return keeper

    def row_there(self, name):
        """A table's name alone: the packet's key has a row there, from before the packet."""
        keeper = self.keeper_of(name)
        return keeper and (BOOL, lambda p: keeper.find(p) is not None)

    def asked(self, table, name):
        """TABLE.NAME."""
        keeper = self.keeper_of(table)
        if not keeper or name not in keeper.columns:
            return None
        item = keeper.item(name)

        def read(p):
            row = keeper.find(p)
            return item.asked(p, row) if row else None
        return item.type, read

    def _path(self, expr):
        if expr.value in dissect.PROTOCOLS:
            layers = dissect.PROTOCOLS[expr.value]
            return BOOL, lambda p: any(layer in p.at for layer in layers)
        asked = self.asked(*expr.value.split(".")) if expr.value.count(".") == 1 else None
        if asked:
            return asked
        if expr.value not in dissect.FIELDS:
            raise SpecError(f"{expr.value} is no field known here", expr.at)
        field = dissect.FIELDS[expr.value]
        return Type(field.kind, field.time), dissect.reader(expr.value)

    def _slice(self, expr):
        name, offset, width = expr.value
        if name not in dissect.PAYLOADS:
            raise SpecError(f"{name} has no slices", expr.at)
        if not 1 <= width <= 8:
            raise SpecError("a slice has 1 to 8 bytes", expr.at)
        layer = dissect.PAYLOADS[name]
        return INT, lambda p: p.slice(layer, offset, width)

    def _call(self, expr):
        name = expr.value
        if name == "present":
            self.arity(expr, 1)
            _, value = self.compile(expr.parts[0])
            return BOOL, lambda p: value(p) is not None
        if name == "prefix":
            return self.prefix(expr)
        if name in ("prev", "delta"):
            return self.previous(expr)
        if name in CASTS:
            self.arity(expr, 1)
            type, value = self.of(expr.parts[0], "int")
            bits, signed = CASTS[name]
            return type, strict(lambda x: cast(x, bits, signed), value)
        if name == "abs":
            self.arity(expr, 1)
            type, value = self.of(expr.parts[0], "int")
            return type, strict(lambda x: wrap(abs(x)), value)
        if name in ("min", "max"):
            self.arity(expr, 2)
            (left, a), (right, b) = (self.of(part, "int") for part in expr.parts)
            return self.same(left, right, expr), strict(min if name == "min" else max, a, b)
        raise SpecError(f"{name}() is not known here", expr.at)

    def previous(self, expr):
        """prev(x) and delta(x). A packet with an absent x is a previous packet like any other: after it both are absent."""
        self.arity(expr, 1)
        if self.nested:
            raise SpecError(f"{expr.value}() inside of another", expr.at)
        if not self.place:
            raise SpecError(f"{expr.value}() stands in a metric's argument, a where or a let", expr.at)
        kinds = {"int", "time"} | ({"bool", "mac"} | IP_KINDS if expr.value == "prev" else set())
        type, value = PacketCompiler(self.block, self.defines, self.place, self.section, nested=True).of(expr.parts[0], *kinds)
        before = self.place.previous(value)
        if expr.value == "prev":
            return type, before
        return DURATION if type.kind == "time" else type, strict(lambda now, then: wrap(now - then), value, before)

    def arity(self, expr, *counts):
        if len(expr.parts) not in counts:
            raise SpecError(f"{expr.value}() takes {counts[0]}", expr.at)

    def prefix(self, expr):
        self.arity(expr, 2, 3)
        type, value = self.of(expr.parts[0], "ip4", "ip6", "net", "mac")
        lengths = [self.constant(part, "int")[1] for part in expr.parts[1:]]
        if len(lengths) != (2 if type.kind == "net" else 1):
            raise SpecError("one length, and two for a net. field", expr.at)
        sizes = [32, 128] if type.kind == "net" else [8 * SIZES[type.kind]]
        if any(not 0 <= length <= size for length, size in zip(lengths, sizes)):
            raise SpecError("no such prefix length", expr.at)
        by_size = dict(zip((size // 8 for size in sizes), lengths))
        return Type(type.kind, 0, tuple(sorted(by_size.items()))), strict(lambda x: masked(x, by_size[len(x)]), value)

    def sign(self, expr):
        type, value = self.of(expr.parts[0], "int")
        if expr.value == "-":
            return type, strict(lambda x: wrap(-x), value)
        return type, strict(lambda x: ~x, value)

    def arithmetic(self, expr):
        sign = expr.value
        (left, a), (right, b) = (self.of(part, "int", "time") for part in expr.parts)
        if sign in ("<<", ">>"):
            type, amount = self.constant(expr.parts[1], "int")
            if not 0 <= amount <= 63:
                raise SpecError("a shift outside 0..63", expr.at)
        compute = ARITHMETIC[sign]

        def apply(x, y):
            return None if sign in "/%" and y == 0 else wrap(compute(x, y))
        return self.result(sign, left, right, expr), strict(apply, a, b)

    def result(self, sign, left, right, expr):
        return arithmetic_type(sign, left, right, expr, self.same)


def arithmetic_type(sign, left, right, expr, same):
    """Instants subtract to durations; multiplication and division carry the dimension of time; the others need it alike."""
    if "time" in (left.kind, right.kind):
        if sign == "-" and left.kind == right.kind:
            return DURATION
        if sign in "+-" and left.kind == "time" and right.time == 1:
            return left
        if sign == "+" and right.kind == "time" and left.time == 1:
            return right
        raise SpecError("this cannot be done with an instant", expr.at)
    kind = "real" if "real" in (left.kind, right.kind) else "int"
    if sign == "*":
        return Type(kind, left.time + right.time)
    if sign == "/":
        return Type(kind, left.time - right.time)
    if sign in ("<<", ">>"):
        return left
    return same(left, right, expr)


def strict(function, *values):
    """The function of several values, absent where any of them is."""
    if len(values) == 1:
        value, = values

        def one(p):
            x = value(p)
            return None if x is None else function(x)
        return one
    a, b = values

    def two(p):
        x, y = a(p), b(p)
        return None if x is None or y is None else function(x, y)
    return two


class ExportCompiler(Compiler):
    """Functions of a Row (see interpreter.py), for derive, having and top. Integers are exact through + - *."""
    reads_lets = False

    def __init__(self, block, defines, columns):
        super().__init__(block, defines)
        self.columns = columns  # Block's id: {name: (Column, Type)}; see interpreter.Types

    def within(self, block):
        return self if block is self.block else ExportCompiler(block, self.defines, self.columns)

    def _real(self, expr):
        return REAL, lambda row: expr.value

    def _slice(self, expr):
        raise SpecError("no packet here", expr.at)

    def _name(self, expr):
        if expr.value == "window":
            return DURATION, lambda row: row.window
        block = self.block
        depth = 0
        while block:
            found = self.columns.find(block, expr.value)
            if found:
                column, type = found
                up = depth
                return type, lambda row: row.up(up).get(column)
            if expr.value in block.params:
                return self.within(block).compile(self.defines.get(expr.value, block.params[expr.value]))
            block, depth = block.parent, depth + 1
        raise SpecError(f"{expr.value} is no metric, derive, key or param", expr.at)

    def _path(self, expr):
        """A key with a field's name, METRIC.count, SECTION.NAME or SECTION.METRIC.count."""
        block = self.block
        if isinstance(block, Table):
            found = self.columns.find(block, expr.value)
            if found:
                return found[1], lambda row: row.get(found[0])
        first, *rest = expr.value.split(".")
        depth = 0
        while block:
            found = self.columns.find(block, first)
            if found and len(rest) == 1 and rest[0] in ("count", "sum"):
                return self.member(found, rest[0], lambda row, up=depth: row.up(up))
            block, depth = block.parent, depth + 1
        return self.outward(first, rest, expr)

    def outward(self, name, rest, expr):
        probe = self.block
        while not isinstance(probe, Probe):
            probe = probe.parent
        for section in probe.sections:
            found = self.columns.find(section, rest[0]) if section.name == name else None
            if not found:
                continue

            def at(row):
                return row.root().sections[name]
            if len(rest) == 1:
                return found[1], lambda row: at(row).get(found[0])
            if len(rest) == 2 and rest[1] in ("count", "sum"):
                return self.member(found, rest[1], at)
        raise SpecError(f"{expr.value} is not known here", expr.at)

    def member(self, found, name, at):
        column, type = found
        if type.kind != "rows":
            raise SpecError(f"{column.name} has no members", column.at)
        return (INT if name == "count" else Type("int", type.time)), lambda row: getattr(at(row).get(column), name)

    def sign(self, expr):
        type, value = self.of(expr.parts[0], "int", "real")
        if expr.value == "~":
            self.of(expr.parts[0], "int")
            return type, strict(lambda x: ~x if isinstance(x, int) else None, value)
        return type, strict(lambda x: fitted(-x), value)

    def arithmetic(self, expr):
        sign = expr.value
        (left, a), (right, b) = (self.of(part, "int", "real", "time") for part in expr.parts)
        type = arithmetic_type(sign, left, right, expr, self.same)
        if sign == "/":
            return Type("real", type.time), strict(quotient, a, b)
        if sign in "+-*":
            compute = ARITHMETIC[sign]
            return type, strict(lambda x, y: fitted(compute(x, y)), a, b)
        raise SpecError(f"{sign} at export is not known here", expr.at)

    def _call(self, expr):
        if expr.value == "present" and len(expr.parts) == 1:
            _, value = self.compile(expr.parts[0])
            return BOOL, lambda row: value(row) is not None
        parts = [self.of(part, "int", "real") for part in expr.parts]
        types, values = [type for type, _ in parts], [value for _, value in parts]
        name = expr.value
        if name in ("log2", "sqrt", "abs") and len(parts) == 1:
            type = Type("real", types[0].time if name == "abs" else 0)
            return type, strict({"log2": log2, "sqrt": root, "abs": lambda x: float(abs(x))}[name], *values)
        if name in ("min", "max") and len(parts) == 2:
            choose = min if name == "min" else max
            return Type("real", self.same(*types, expr).time), strict(lambda x, y: float(choose(x, y)), *values)
        raise SpecError(f"{name}() at export is not known here", expr.at)


def fitted(number):
    """What leaves 64 bits goes on as a double; what leaves a double is null."""
    if isinstance(number, int):
        return number if LOW <= number <= HIGH else float(number)
    return number if math.isfinite(number) else None


def quotient(x, y):
    return None if y == 0 else fitted(float(x) / float(y))


def log2(x):
    return math.log2(x) if x > 0 else None


def root(x):
    return math.sqrt(x) if x >= 0 else None
