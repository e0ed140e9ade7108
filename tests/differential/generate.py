#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Random well-typed specs.

  generate.py --seed N [--memory]        prints the spec of that seed; with --memory, one that remembers

Left out, because the right rows would depend on what the language leaves open: first and last under `top` and `having` (ties in
time), squares of numbers over 32 bits, cuts by `top` between equal rows. Of memory: prev() and delta() in a block's own `where`, folds
among totals, small private tables under windows, `u64` folds beyond 63 bits.
"""
import argparse
import random

import dissect

BYTES = ["frame.len", "eth.len", "pppoe.payload_length", "ip.hdr_len", "ip.len", "ipv6.plen", "net.len", "tcp.hdr_len", "tcp.window_size_value",
         "tcp.len", "udp.length", "l4.len"]
# ip.frag_offset is left to the specs: whether it counts bytes or eights of them decides what it goes with.
PLAIN = [name for name, field in dissect.FIELDS.items() if field.kind == "int" and name not in BYTES + ["ip.frag_offset"]]
NUMBERS = {"plain": PLAIN, "bytes": BYTES}
FLAGS = [name for name, field in dissect.FIELDS.items() if field.kind == "bool"]
ADDRESSES = {kind: [name for name, field in dissect.FIELDS.items() if field.kind == kind] for kind in ("ip4", "ip6", "net", "mac")}
FOURS = ["10.0.0.1", "10.0.0.2", "192.168.1.1", "192.0.2.80", "0.0.0.0"]
SIXES = ["2001:db8::1", "2001:db8::2", "fe80::1", "::", "ff02::1:ff00:2"]
MACS = ["02:00:00:00:00:01", "02:00:00:00:00:02", "ff:ff:ff:ff:ff:ff"]
FOUR_PREFIXES, SIX_PREFIXES = ["10.0.0.0/8", "10.0.0.0/30", "192.168.0.0/16", "0.0.0.0/0"], ["2001:db8::/32", "fe80::/10", "::/0"]
MAC_PREFIXES = ["02:00:00:00:00:00/40", "33:33:00:00:00:00/16"]


class Generator:
    def __init__(self, seed, memory=False):
        self.r = random.Random(seed)
        self.memory = memory  # prev(), states, folds, private tables
        self.placed = False   # prev() may stand here
        self.window = ""      # "", "reset" or "keep"
        self.tables = []      # names of tables that may be asked
        self.depth = 0
        self.lets = []    # (name, "plain", "bytes" or "condition") that may be read
        self.params = []  # names of numbers
        self.serial = 0
        self.keyed = False  # in a table

    def name(self, stem):
        self.serial += 1
        return f"{stem}{self.serial}"

    def deeper(self, simple, *others, given=()):
        """One of the others, or a simple one where it is deep enough."""
        if self.depth > 3 or self.r.random() < 0.3:
            return simple(*given)
        self.depth += 1
        text = self.r.choice(others)(*given)
        self.depth -= 1
        return text

    # Numbers

    def literal(self, dimension="plain"):
        r = self.r
        return r.choice([str(r.randrange(4)), str(r.choice([8, 20, 40, 53, 60, 64, 80, 100, 255, 256, 443, 1000, 1500, 65535])),
                         hex(r.getrandbits(r.choice([4, 8, 16, 32, 40]))), "1Ki", "2k"] + ["64B"] * (dimension == "bytes"))

    def leaf(self, dimension):
        r = self.r
        if self.placed and r.random() < 0.2:
            return self.previous(dimension)
        names = [name for name, kind in self.lets if kind == dimension] + self.params * (dimension == "plain")
        if names and r.random() < (0.35 if self.memory else 0.15):
            return r.choice(names)
        if dimension == "plain" and r.random() < 0.08:
            layer = r.choice(list(dissect.PAYLOADS))
            offset, width = r.choice([0, 1, 2, 4, 12, 60]), r.randrange(1, 9)
            return r.choice([f"{layer}[{offset}:{width}]", f"{layer}[{offset}]"])
        # A literal has no dimension of its own: as a number of bytes it stands on the right of + and the like only.
        return r.choice(NUMBERS[dimension]) if dimension == "bytes" or r.random() < 0.8 else self.literal()

    def unplaced(self, make, *given):
        """What is made where no prev() may stand."""
        placed, self.placed = self.placed, False
        text = make(*given)
        self.placed = placed
        return text

    def remembering(self, make, *given):
        """What is made where prev() may stand, in a spec that remembers."""
        placed, self.placed = self.placed, self.memory
        text = make(*given)
        self.placed = placed
        return text

    def previous(self, dimension):
        # a let may hold a prev(), and prev() of prev() is an error
        lets, self.lets = self.lets, [(name, kind) for name, kind in self.lets if not name.startswith("l")]
        field = self.r.choice(NUMBERS[dimension])
        argument = self.r.choice([field, field, f"{field} + {self.unplaced(self.number, dimension)}"])
        text = f"{self.r.choice(['prev', 'delta', 'delta'])}({argument})"
        self.lets = lets
        return text

    def right(self, dimension):
        return self.number(dimension) if self.r.random() < 0.7 else self.literal(dimension)

    def number(self, dimension="plain"):
        """A plain number, or a number of bytes: the two do not add up."""
        return self.deeper(self.leaf, self.leaf, self.sum, self.quotient, self.bits, self.shift, self.unary, self.call, self.choice,
                           given=(dimension,))

    def any_number(self):
        return self.number(self.r.choice(["plain", "plain", "bytes"]))

    def sum(self, dimension):
        if self.r.random() < 0.3:
            return f"({self.number(dimension)} * {self.number()})"
        return f"({self.number(dimension)} {self.r.choice('+-')} {self.right(dimension)})"

    def quotient(self, dimension):
        if self.r.random() < 0.4:
            return f"({self.number(dimension)} % {self.right(dimension)})"
        if dimension == "plain" and self.r.random() < 0.3:
            return f"({self.number('bytes')} / {self.r.choice(BYTES)})"
        return f"({self.number(dimension)} / {self.right('plain')})"

    def bits(self, dimension):
        return f"({self.number(dimension)} {self.r.choice('&|^')} {self.right(dimension)})"

    def shift(self, dimension):
        return f"({self.number(dimension)} {self.r.choice(['<<', '>>'])} {self.r.choice([0, 1, 3, 8, 16, 31, 32, 33, 63])})"

    def unary(self, dimension):
        return f"({self.r.choice('-~')} {self.number(dimension)})"

    def call(self, dimension):
        name = self.r.choice(["u8", "u16", "u32", "s8", "s16", "s32", "abs", "min", "max"])
        others = f", {self.number(dimension)}" if name in ("min", "max") else ""
        return f"{name}({self.number(dimension)}{others})"

    def choice(self, dimension):
        return f"({self.condition()} ? {self.number(dimension)} : {self.number(dimension)})"

    # Conditions

    def simple_condition(self):
        r = self.r
        names = [name for name, kind in self.lets if kind == "condition"]
        if names and r.random() < 0.2:
            return r.choice(names)
        if self.tables and r.random() < 0.2:
            return r.choice(self.tables)
        if self.placed and r.random() < 0.15:
            return f"prev({r.choice(FLAGS)})"
        return r.choice([lambda: r.choice(list(dissect.PROTOCOLS)), lambda: r.choice(FLAGS)])()

    def condition(self):
        return self.deeper(self.simple_condition, self.comparison, self.comparison, self.comparison, self.both, self.negation, self.member,
                           self.address_test, self.there)

    def comparison(self):
        dimension = self.r.choice(["plain", "bytes"])
        return f"({self.number(dimension)} {self.r.choice(['==', '!=', '<', '>', '<=', '>='])} {self.right(dimension)})"

    def both(self):
        return f"({self.condition()} {self.r.choice(['and', 'or'])} {self.condition()})"

    def negation(self):
        return f"(not {self.condition()})"

    def there(self):
        return f"present({self.r.choice([self.any_number, lambda: self.r.choice(FLAGS + sum(ADDRESSES.values(), []))])()})"

    def member(self):
        r, dimension = self.r, self.r.choice(["plain", "bytes"])
        items = []
        for _ in range(r.randrange(1, 4)):
            low = r.choice([0, 1, 20, 53, 60, 80, 1000])
            items.append(r.choice([str(low), f"{low}..{low + r.randrange(2000)}", r.choice(NUMBERS[dimension])]))
        return f"({self.number(dimension)} in {{{', '.join(items)}}})"

    def address_test(self):
        r, kind = self.r, self.r.choice(["ip4", "ip6", "net", "net", "mac"])
        field = r.choice(ADDRESSES[kind])
        hosts = {"ip4": FOURS, "ip6": SIXES, "net": FOURS + SIXES, "mac": MACS}[kind]
        blocks = {"ip4": FOUR_PREFIXES, "ip6": SIX_PREFIXES, "net": FOUR_PREFIXES + SIX_PREFIXES, "mac": MAC_PREFIXES}[kind]
        other = f"prev({field})" if self.placed and r.random() < 0.5 else r.choice(ADDRESSES[kind])
        return r.choice([f"({field} {r.choice(['==', '!='])} {r.choice(hosts)})", f"({field} == {other})", f"({field} in {r.choice(blocks)})",
                         f"({field} in {{{r.choice(blocks)}, {r.choice(hosts)}}})"])

    def where(self, chance):
        return f" where {self.condition()}" if self.r.random() < chance else ""

    # Metrics

    def small(self, dimension):
        """A number whose square fits 64 bits by far."""
        r = self.r
        return r.choice([lambda: r.choice(NUMBERS[dimension]), lambda: f"s16({self.number(dimension)})", lambda: f"u16({self.number(dimension)})",
                         lambda: f"({r.choice(NUMBERS[dimension])} - {self.literal(dimension)})"])()

    def form(self):
        r = self.r
        low, step, count = r.choice([-100, -1, 0, 1, 40, 64]), r.choice([1, 7, 16, 100]), r.randrange(1, 30)
        edges = sorted(r.sample([-1000, -1, 0, 1, 2, 20, 40, 54, 60, 64, 100, 128, 1000, 1500, 65535, 1000000], r.randrange(1, 7)))
        return r.choice(["log2", f"linear({low}, {low + step * count + r.choice([0, 0, 3])}, {step})", f"[{', '.join(map(str, edges))}]",
                         f"loglinear({r.randrange(1, 6)})"])

    def aggregation(self, edges):
        """(kind, dimension, text)"""
        r, dimension = self.r, self.r.choice(["plain", "bytes"])
        kinds = ["count", "count", "sum", "sum", "min", "max", "bit_or", "bit_and", "mean", "variance", "stddev", "histogram"]
        kind = r.choice(kinds + ["first", "last"] * edges)
        if kind == "count":
            return kind, "plain", "count()"
        if kind == "histogram":
            return kind, dimension, f"histogram({self.number(dimension)}, {self.form()})"
        if kind in ("variance", "stddev", "mean"):
            return kind, dimension, f"{kind}({self.small(dimension)})"
        if kind in ("first", "last") and r.random() < 0.5:
            return "address", None, f"{kind}({r.choice(sum(ADDRESSES.values(), []) + ['frame.time'])})"
        return kind, dimension, f"{kind}({self.number(dimension)})"

    def timing(self):
        """`reset` alone is refused where there is no difference; behind a window it is not alone."""
        return self.r.choice([""] * 5 + [" snapshot", " snapshot reset"] + [" reset"] * bool(self.window))

    def fold(self, kind, name):
        """The fold may name itself, and is known to what follows it."""
        r, keyless = self.r, not self.keyed
        type = r.choice(["u8", "u16", "u32", "s8", "s16", "s32", "s64", "u64"])
        first = self.literal() if keyless or r.random() < 0.5 else self.r.choice(PLAIN)
        following = self.remembering(self.number)
        text = r.choice([f"{name} + 1", f"{name} + ({following})", f"max({name}, {following})", f"({name} * 3) ^ ({following})", following,
                         f"({self.remembering(self.condition)} ? {name} + 1 : 0)"])
        if type == "u64":
            text = f"{name} + u8({following})"
        self.lets.append((name, "plain"))
        return f"{kind} {name} : {type} = {first} next {text}{self.remembering(self.where, 0.4)};"

    def states(self, count):
        """Lines; the states are known to what follows."""
        lines, names, r = [], [], self.r
        for _ in range(count * self.memory):
            name, dimension = self.name("s"), r.choice(["plain", "plain", "bytes"])
            if r.random() < 0.5:
                lines.append(self.fold("state", name))
                names.append((name, "plain"))
                continue
            kind = r.choice(["count", "sum", "min", "max", "bit_or", "bit_and", "first", "last"])
            argument = "" if kind == "count" else self.remembering(self.number, dimension)
            lines.append(f"state {name} = {kind}({argument}){self.remembering(self.where, 0.4)};")
            names.append((name, "plain" if kind == "count" else dimension))
            self.lets.append(names[-1])
        return lines, names

    def expire(self, private=False):
        """When a table's rows end; nothing for most."""
        r = self.r
        if not self.memory or r.random() < 0.7:
            return ""
        times = {"idle": r.choice(["50ms", "400ms", "2s", "1min"]), "active": r.choice(["100ms", "900ms", "3s"])}
        words = [f"{word} {time}" for word, time in times.items() if r.random() < 0.6 and not (private and word == "active")]
        if r.random() < 0.4 or not words:
            words.append(f"when {self.remembering(self.condition)}" + r.choice(["", "", " linger 80ms"]))
        return f" expire {' '.join(words)}"

    def private(self):
        """A table that the section's other parts may ask."""
        r, outer, name = self.r, list(self.lets), self.name("t")
        head = f"private table {name} by {self.keys()}{self.unplaced(self.where, 0.4)}"
        ends = self.expire(private=True)
        head += ends
        if (not self.window or ends) and r.random() < 0.3:
            head += f" size {r.choice([1, 3, 20])}" + r.choice(["", " overflow other", " overflow drop"])
        self.keyed = True
        lines, names = self.states(r.randrange(1, 4))
        self.keyed = False
        self.lets = outer + [(f"{name}.{state}", dimension) for state, dimension in names]
        self.tables.append(name)
        return [head + " {"] + ["    " + line for line in lines] + ["}"]

    def events(self):
        r, fields = self.r, []
        for _ in range(r.randrange(1, 6)):
            name = r.choice(["frame.time"] + PLAIN + BYTES + FLAGS + sum(ADDRESSES.values(), []))
            fields.append(name if name not in fields else f"{self.name('k')} = {self.remembering(self.any_number)}")
        return [f"events {self.name('e')}{self.remembering(self.where, 0.7)} {{ {', '.join(fields)} }}"]

    def metrics(self, count, edges=True, timing=""):
        """Lines, and (name, dimension) of the metrics that are numbers, with .sum and .count of histograms."""
        lines, numbers = [], []
        for _ in range(count):
            name = self.name("m")
            if self.memory and self.window != "keep" and self.r.random() < 0.2:
                lines.append(self.fold("metric", name))
                numbers.append((name, "plain"))
                continue
            kind, dimension, text = self.remembering(self.aggregation, edges)
            lines.append(f"metric {name} = {text}{self.remembering(self.where, 0.3)}{timing and self.timing()};")
            if kind == "histogram":
                numbers += [(f"{name}.sum", dimension), (f"{name}.count", "plain")]
            elif kind not in ("address", "variance"):
                numbers.append((name, dimension))
        return lines, numbers

    def derives(self, numbers, count):
        lines, r = [], self.r
        for _ in range(count if numbers else 0):
            name, (first, dimension) = self.name("d"), r.choice(numbers)
            alike = [other for other, its in numbers if its == dimension]
            plain = [other for other, its in numbers if its == "plain"] or ["2"]
            a, b, c = first, r.choice(alike), r.choice(alike)
            text, its = r.choice([
                (f"{a} + {b}", dimension), (f"{a} - {b} * 3", dimension), (f"{a} * {r.choice(plain)}", dimension), (f"{a} / {b}", "plain"),
                (f"{a} / ({b} - {c})", "plain"), (f"{a} / {r.choice(plain)}", dimension), (f"abs({a} - {b})", dimension),
                (f"min({a}, {b})", dimension), (f"max({a}, {b} / 2)", dimension), (f"{a} > {b} ? {b} : {c}", dimension),
                (f"-{a} + 0.5", dimension), (f"{a} > 3 and not {b} == 2 ? 1 : 0", "plain"), (f"log2({r.choice(plain)})", "plain"),
                (f"sqrt({r.choice(plain)})", "plain")])
            lines.append(f"derive {name} = {text};")
            numbers.append((name, its))
        return lines

    # Blocks

    def let(self, make):
        """`make` is self.remembering, or self.unplaced: in a probe, which has no packets of its own."""
        name, kind = self.name("l"), self.r.choice(["plain", "bytes", "condition"])
        text = make(self.condition) if kind == "condition" else make(self.number, kind)
        self.lets.append((name, kind))
        return f"let {name} = {text};"

    def keys(self):
        r, keys = self.r, []
        for _ in range(r.choice([1, 1, 2, 3])):
            keys.append(r.choice([lambda: "flow", lambda: r.choice(PLAIN + BYTES), lambda: r.choice(ADDRESSES[r.choice(list(ADDRESSES))]),
                                  lambda: r.choice(FLAGS), lambda: f"{self.name('k')} = u8({self.any_number()})",
                                  lambda: f"{self.name('k')} = {self.condition()}", lambda: f"{self.name('k')} = {self.small('plain')}",
                                  lambda: f"{self.name('k')} = prefix(ip.src, {r.randrange(1, 33)})",
                                  lambda: f"{self.name('k')} = prefix(net.dst, {r.randrange(1, 33)}, {r.randrange(1, 129)})"])())
        width = {"ip4": 4, "ip6": 16, "net": 17, "mac": 6}
        chosen, total = [], 0
        for key in keys:
            field = dissect.FIELDS.get(key)
            if "." not in key and key != "flow":
                continue  # it may be a constant
            size = 58 if key == "flow" else 24 if "prefix" in key else width.get(field.kind, 8) if field else 8
            if total + size <= 60 and key not in chosen and not (key == "flow" and chosen):
                chosen.append(key)
                total += size
        return ", ".join(chosen or ["net.proto"])

    def table(self):
        r, outer, name = self.r, list(self.lets), self.name("t")
        head = f"table {name} by {self.keys()}" + self.where(0.3)
        self.keyed = True
        states, named = self.states(r.randrange(3))
        selects = r.choice(["", "", "having", "top"])
        lines, numbers = self.metrics(r.randrange(1, 6), edges=not selects)
        lines = ["metric packets = count();"] + states + lines
        numbers.append(("packets", "plain"))
        lines += self.derives(numbers, r.randrange(3))
        if r.random() < 0.4:
            head += f" size {r.choice([1, 2, 5, 100, '4Ki'])}" + r.choice(["", " overflow other", " overflow drop"])
        if selects == "having":
            head += f" having {r.choice(numbers)[0]} {r.choice(['>', '<', '>=', '!='])} {r.choice([0, 1, 2, 10, 1000])}"
        if selects == "top":
            # sums of lengths tie less than counts; rows that still tie go by key
            lines.append("metric weight = sum(frame.len * 65521 + net.len);")
            head += f" top {r.randrange(1, 6)} by packets" if r.random() < 0.1 else f" top {r.randrange(1, 6)} by weight"
        self.keyed = False
        head += self.expire() or r.choice([""] * 4 + [" snapshot", " reset", " snapshot reset"])
        self.lets = outer + [(f"{name}.{state}", dimension) for state, dimension in named]
        if self.memory:
            self.tables.append(name)
        return [head + " {"] + ["    " + line for line in lines] + ["}"]

    def section(self, hook):
        r, outer = self.r, list(self.lets)
        lines = [f"where {self.condition()};"] if r.random() < 0.2 else []
        lines += self.states(r.randrange(3))[0]
        for _ in range(r.randrange(3) * self.memory):
            lines += self.private()
        lines += [self.let(self.remembering) for _ in range(r.randrange(3))]
        metrics, numbers = self.metrics(r.randrange(2, 10), timing=self.window)
        lines += metrics + self.derives(numbers, r.randrange(4))
        for _ in range(r.randrange(3)):
            lines += self.table()
        if r.random() < 0.25:
            lines += self.events()
        self.lets, self.tables = outer, []
        return [hook + " {"] + ["    " + line for line in lines] + ["}"]

    def probe(self):
        r, lines = self.r, []
        for _ in range(r.randrange(3)):
            name = self.name("p")
            lines.append(f"param {name} = {self.literal()};")
            self.params.append(name)
        if r.random() < (0.6 if self.memory else 0.3):
            self.window = r.choice(["reset", "reset", "keep"])
            lines.append(f"window {r.choice(['1s', '10s', '1min', '250ms'])}{' keep' if self.window == 'keep' else ''};")
        lines += [self.let(self.unplaced) for _ in range(r.randrange(3))]
        if r.random() < 0.1:
            lines.append(f"where {self.condition()};")
        lines += self.section("ingress")
        if r.random() < 0.3:
            lines += self.section("egress")
        return "probe random {\n" + "".join(f"    {line}\n" for line in lines) + "}\n"


def generate(seed, memory=False):
    return f"# seed {seed}{' with memory' if memory else ''}\n" + Generator(seed, memory).probe()


def main():
    ask = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ask.add_argument("--seed", type=int, required=True)
    ask.add_argument("--memory", action="store_true")
    options = ask.parse_args()
    print(generate(options.seed, options.memory), end="")


if __name__ == "__main__":
    main()
