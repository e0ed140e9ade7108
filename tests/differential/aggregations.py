# SPDX-License-Identifier: Apache-2.0
"""What a metric remembers of the packets that it counts: add(value, packet), merge(other), finish()."""
import math
from fractions import Fraction
from typing import NamedTuple

from expressions import HIGH, Type, wrap
from spec import SpecError


class Count:
    def __init__(self):
        self.value = 0

    def add(self, value, packet):
        self.value += 1

    def merge(self, other):
        self.value += other.value

    def finish(self):
        return self.value


class Sum(Count):
    def add(self, value, packet):
        self.value += value

    def finish(self):
        return wrap(self.value)


class Fold:
    """min, max, bit_or, bit_and: null before the first packet."""

    def __init__(self, combine):
        self.combine, self.value = combine, None

    def add(self, value, packet):
        self.value = value if self.value is None else self.combine(self.value, value)

    def merge(self, other):
        if other.value is not None:
            self.add(other.value, None)

    def finish(self):
        return self.value


class Edge:
    """first and last, by time; of packets with one time, first is the earlier and last the later in the capture."""

    def __init__(self, sign):
        self.sign, self.best, self.value = sign, None, None

    def take(self, rank, value):
        if self.best is None or rank > self.best:
            self.best, self.value = rank, value

    def add(self, value, packet):
        self.take((self.sign * packet.time, self.sign * packet.index), value)

    def merge(self, other):
        if other.best is not None:
            self.take(other.best, other.value)

    def finish(self):
        return self.value


class Moments:
    """mean, variance and stddev of the population."""

    def __init__(self, kind):
        self.kind, self.count, self.total, self.squares = kind, 0, 0, 0

    def add(self, value, packet):
        self.count += 1
        self.total += value
        self.squares += value * value

    def merge(self, other):
        self.count += other.count
        self.total += other.total
        self.squares += other.squares

    def finish(self):
        if not self.count:
            return None
        total = wrap(self.total)
        if self.kind == "mean":
            return float(Fraction(total, self.count))
        variance = Fraction(self.count * self.squares - total * total, self.count**2)
        return math.sqrt(variance) if self.kind == "stddev" else float(variance)


class Histogram(NamedTuple):
    """A finished one; buckets are (upper edge or None, count), those that are not empty, in order."""
    count: int
    sum: int
    buckets: list


class Buckets:
    def __init__(self, edge):
        self.edge, self.count, self.sum, self.counts = edge, 0, 0, {}

    def add(self, value, packet):
        self.count += 1
        self.sum += value
        edge = self.edge(value)
        self.counts[edge] = self.counts.get(edge, 0) + 1

    def merge(self, other):
        self.count += other.count
        self.sum += other.sum
        for edge, count in other.counts.items():
            self.counts[edge] = self.counts.get(edge, 0) + count

    def finish(self):
        order = sorted(self.counts, key=lambda edge: HIGH + 2 if edge is None else edge)
        return Histogram(self.count, wrap(self.sum), [(edge, self.counts[edge]) for edge in order])


# A bucket's upper edge, included --------------------------------------------------------------------------------------

def log2_edge(x):
    return 1 if x <= 1 else 1 << (x - 1).bit_length()


def loglinear_edge(bits):
    def edge(x):
        y = max(x, 1) - 1
        if y < 2**bits:
            return y + 1
        shift = y.bit_length() - 1 - bits
        return (y >> shift) + 1 << shift
    return edge


def listed_edge(edges):
    return lambda x: next((edge for edge in edges if x <= edge), None)


def bucket_form(expr, compiler, argument):
    """log2, linear(lo, hi, step), [edges] or loglinear(bits): a function from a value to its edge."""
    def constant(part):
        type, value = compiler.constant(part, "int")
        if type.time != argument.time:
            raise SpecError("an edge of another dimension", part.at)
        return value

    if expr.kind == "name" and expr.value == "log2":
        return log2_edge
    if expr.kind == "list":
        edges = [constant(part) for part in expr.parts]
        if any(a >= b for a, b in zip(edges, edges[1:])):
            raise SpecError("edges must ascend", expr.at)
        return listed_edge(edges)
    if expr.kind == "call" and expr.value == "linear" and len(expr.parts) == 3:
        low, high, step = map(constant, expr.parts)
        if step <= 0 or low > high:
            raise SpecError("linear(lo, hi, step)", expr.at)
        return listed_edge(list(range(low, high + 1, step)))
    if expr.kind == "call" and expr.value == "loglinear" and len(expr.parts) == 1:
        bits = compiler.constant(expr.parts[0], "int")[1]
        if not 0 <= bits <= 16:
            raise SpecError("loglinear(bits)", expr.at)
        return loglinear_edge(bits)
    raise SpecError("no form of a histogram", expr.at)


# name: (the kinds of its argument, the kind of its value (None: its argument's), how a state is made)
NUMBERS, ORDERED, ALL = {"int"}, {"int", "time"}, {"int", "time", "bool", "ip4", "ip6", "net", "mac"}
AGGREGATIONS = {
    "sum": (NUMBERS, None, Sum),
    "min": (ORDERED, None, lambda: Fold(min)),
    "max": (ORDERED, None, lambda: Fold(max)),
    "bit_or": (NUMBERS, None, lambda: Fold(int.__or__)),
    "bit_and": (NUMBERS, None, lambda: Fold(int.__and__)),
    "first": (ALL, None, lambda: Edge(-1)),
    "last": (ALL, None, lambda: Edge(1)),
    "mean": (NUMBERS, "real", lambda: Moments("mean")),
    "variance": (NUMBERS, "real", lambda: Moments("variance")),
    "stddev": (NUMBERS, "real", lambda: Moments("stddev")),
}


def aggregation(call, compiler):
    """(the metric's type, its argument's function or None, a maker of states)."""
    if call.name == "count":
        if call.arguments:
            raise SpecError("count() takes nothing", call.at)
        return Type("int"), None, Count
    if call.name not in AGGREGATIONS and call.name != "histogram":
        raise SpecError(f"{call.name}() is not known here", call.at)
    if len(call.arguments) != (2 if call.name == "histogram" else 1):
        raise SpecError(f"{call.name}() takes another number of arguments", call.at)
    if call.name == "histogram":
        type, argument = compiler.of(call.arguments[0], "int")
        edge = bucket_form(call.arguments[1], compiler, type)
        return Type("rows", type.time), argument, lambda: Buckets(edge)
    kinds, kind, make = AGGREGATIONS[call.name]
    type, argument = compiler.of(call.arguments[0], *kinds)
    if kind:
        type = Type(kind, type.time * (2 if call.name == "variance" else 1))
    return type, argument, make
