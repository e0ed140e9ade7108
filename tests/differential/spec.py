# SPDX-License-Identifier: Apache-2.0
"""The text of a spec to a tree, by recursive descent: what the interpreter knows of the language, and nothing else."""
import ipaddress
import re
from dataclasses import dataclass, field
from fractions import Fraction


class SpecError(Exception):
    """The spec is wrong, or says what is not known here. `at` is an offset in the text."""

    def __init__(self, message, at=None):
        super().__init__(message)
        self.message, self.at = message, at


# The tree ------------------------------------------------------------------------------------------------------------

@dataclass
class Expr:
    """kind: int duration real string address prefix name path slice call list set range unary binary in choice."""
    kind: str
    at: int
    value: object = None
    parts: tuple = ()


@dataclass
class Aggregation:
    name: str
    arguments: list
    at: int


@dataclass
class Fold:
    """`type = initial next following`: the words of a fold, without its where."""
    type: str
    initial: Expr
    following: Expr
    at: int


@dataclass
class Column:
    """A metric or state (aggregation or fold, where), a derive or a key (value)."""
    kind: str
    name: str
    at: int
    value: Expr | None = None
    aggregation: Aggregation | None = None
    fold: Fold | None = None
    where: Expr | None = None
    unit: str | None = None
    exported: str = ""
    help: str | None = None
    reset: bool = False


@dataclass
class Block:
    """What a file, probe, section or table may hold."""
    name: str = ""
    at: int = 0
    lets: dict = field(default_factory=dict)
    params: dict = field(default_factory=dict)
    wheres: list = field(default_factory=list)
    columns: list = field(default_factory=list)
    states: list = field(default_factory=list)
    reset: bool = False
    parent: object = None
    keeper: object = None  # of a section or table that runs: see memory.py


@dataclass
class Table(Block):
    keys: list = field(default_factory=list)
    private: bool = False
    size: Expr | None = None
    overflow: str = "other"
    having: Expr | None = None
    top: Expr | None = None
    top_by: str | None = None
    expire: dict = field(default_factory=dict)  # idle, active, when, linger; empty: rows do not end


@dataclass
class Events(Block):
    keys: list = field(default_factory=list)


@dataclass
class Section(Block):
    hooks: list = field(default_factory=list)  # (direction, "xdp" or "tc")
    tables: list = field(default_factory=list)
    events: list = field(default_factory=list)


@dataclass
class Probe(Block):
    window: int = 0
    keep: bool = False
    sections: list = field(default_factory=list)


# Tokens --------------------------------------------------------------------------------------------------------------

RESERVED = set("import as use except let state metric derive table by where when having expire in and or not".split())
H4 = "[0-9a-fA-F]{1,4}"
NAME = "[A-Za-z_][A-Za-z0-9_]*"
# The longest match wins, then the first.
TOKENS = [(kind, re.compile(pattern)) for kind, pattern in [
    ("space", r"(?:[ \t\r\n]|#[^\n]*)+"),
    ("name", NAME),
    ("path", rf"{NAME}(?:\.{NAME})+"),
    ("string", r'"(?:[^"\\\n]|\\.)*"'),
    ("duration", r"\d+(?:\.\d+)?(?:ns|us|ms|s|min|h|d)"),
    ("int", r"0x[0-9a-fA-F]+|\d+(?:Ki|Mi|Gi|k|M|G)|\d+e\d+|\d+(?:_\d+)*"),
    ("bytes", r"\d+(?:B|KiB|MiB|GiB)"),
    ("real", r"\d+\.\d+"),
    ("percent", r"\d+(?:\.\d+)?%"),
    ("address", r"\d{1,3}(?:\.\d{1,3}){3}(?:/\d{1,2})?"),
    ("address", r"[0-9a-fA-F]{2}(?::[0-9a-fA-F]{2}){5}(?:/\d{1,2})?"),
    ("address", rf"(?:{H4}:){{7}}{H4}(?:/\d{{1,3}})?"),
    ("address", rf"(?:{H4}(?::{H4})*)?::(?:{H4}(?::{H4})*)?(?:/\d{{1,3}})?"),
    ("address", rf"(?:{H4}(?::{H4})*)?::(?:{H4}:)*\d{{1,3}}(?:\.\d{{1,3}}){{3}}(?:/\d{{1,3}})?"),
    ("sign", r"==|!=|<=|>=|<<|>>|\.\.|[][{}();,=<>+*/%&|^~:?-]"),
    ("bad", r"\d+[A-Za-z]+|&&|\|\||!"),
]]
SCALE = {"k": 10**3, "M": 10**6, "G": 10**9, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30,
         "ns": 1, "us": 10**3, "ms": 10**6, "s": 10**9, "min": 60 * 10**9, "h": 3600 * 10**9, "d": 86400 * 10**9}


@dataclass
class Token:
    kind: str
    text: str
    at: int


def tokens_of(text):
    tokens, at = [], 0
    while at < len(text):
        found = None
        for kind, pattern in TOKENS:
            match = pattern.match(text, at)
            if match and (not found or match.end() > found[1].end()):
                found = kind, match
        if not found or found[0] == "bad":
            raise SpecError(f"cannot read {found[1].group() if found else text[at]!r}", at)
        if found[0] != "space":
            tokens.append(Token(found[0], found[1].group(), at))
        at = found[1].end()
    tokens.append(Token("end", "the end", len(text)))
    return tokens


def scaled(text, at):
    """A number with a suffix, as a whole number of the suffix's smallest unit."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([A-Za-z]+)", text)
    value = Fraction(match[1]) * SCALE[match[2]]
    if value.denominator != 1:
        raise SpecError(f"{text} is not whole", at)
    return int(value)


def whole(text, at):
    if text.startswith("0x"):
        value = int(text, 16)
    elif text[-1].isalpha() or text[-1] == "i":
        value = scaled(text, at)
    elif "e" in text:
        digits, exponent = text.split("e")
        value = int(digits) * 10**int(exponent)
    else:
        value = int(text.replace("_", ""))
    if value >= 2**63:
        raise SpecError(f"{text} is over 63 bits", at)
    return value


def address_of(text, at):
    """An Expr: address holds 4, 16 or 6 bytes, prefix the bytes and a length."""
    body, _, length = text.partition("/")
    try:
        packed = bytes.fromhex(body.replace(":", "")) if re.fullmatch(r"(..:){5}..", body) else ipaddress.ip_address(body).packed
    except ValueError as error:
        raise SpecError(str(error), at) from None
    if not length:
        return Expr("address", at, packed)
    if int(length) > 8 * len(packed):
        raise SpecError(f"{text} has no prefix of that length", at)
    return Expr("prefix", at, (packed, int(length)))


# Statements ----------------------------------------------------------------------------------------------------------

COMPARISONS = {"==", "!=", "<", ">", "<=", ">="}
# from the loosest to the tightest
BINARY = [{"|"}, {"^"}, {"&"}, {"<<", ">>"}, {"+", "-"}, {"*", "/", "%"}]


class Parser:
    def __init__(self, text):
        self.tokens, self.next = tokens_of(text), 0

    # Tokens

    @property
    def token(self):
        return self.tokens[self.next]

    def take(self):
        self.next += 1
        return self.tokens[self.next - 1]

    def is_word(self, *words):
        return self.token.kind == "name" and self.token.text in words

    def is_sign(self, *signs):
        return self.token.kind == "sign" and self.token.text in signs

    def accept(self, text):
        """Takes the next token if it is this word or sign."""
        if self.token.kind in ("name", "sign") and self.token.text == text:
            return self.take()
        return None

    def expect(self, text):
        taken = self.accept(text)
        if not taken:
            raise SpecError(f"expected {text}, not {self.token.text}", self.token.at)
        return taken

    def take_kind(self, kind):
        if self.token.kind != kind:
            raise SpecError(f"expected {kind}, not {self.token.text}", self.token.at)
        return self.take()

    def ident(self):
        token = self.take_kind("name")
        if token.text in RESERVED:
            raise SpecError(f"{token.text} is reserved", token.at)
        if token.text == "window":
            raise SpecError("nothing may be called window", token.at)
        return token

    def string(self):
        return re.sub(r"\\(.)", r"\1", self.take_kind("string").text[1:-1])

    def optional_string(self):
        return self.string() if self.token.kind == "string" else None

    def unknown(self):
        raise SpecError(f"{self.token.text} is not known here", self.token.at)

    # File and probe

    def file(self):
        block, probe = Block("file"), None
        while self.token.kind != "end":
            if self.accept(";") or self.definition(block):
                continue
            if not self.is_word("probe"):
                self.unknown()
            if probe:
                raise SpecError("one probe a file", self.token.at)
            probe = self.probe(block)
        if not probe:
            raise SpecError("no probe", 0)
        return probe

    def definition(self, block):
        """let and param."""
        if not self.is_word("let", "param"):
            return False
        kind = self.take().text
        if kind == "param" and isinstance(block, (Section, Table)):
            raise SpecError("param stands in a file or a probe", self.token.at)
        name = self.ident()
        self.expect("=")
        value = self.set() if self.is_sign("{") else self.expression()
        if kind == "param":
            self.optional_string()
        self.expect(";")
        if name.text in block.lets or name.text in block.params:
            raise SpecError(f"{name.text} is there twice", name.at)
        (block.lets if kind == "let" else block.params)[name.text] = value
        return True

    def common(self, block):
        """What probes, sections and tables share."""
        if self.accept(";") or self.definition(block):
            return True
        if self.accept("where"):
            block.wheres.append(self.expression())
        elif self.accept("derive"):
            block.columns.append(self.derive())
        elif self.is_word("snapshot", "reset") and not isinstance(block, Table):
            block.reset |= self.take().text == "reset"
        elif self.is_word("clock"):
            self.take()
            self.expect("coarse")  # a replay's time is the capture's
        else:
            return False
        self.expect(";")
        return True

    def probe(self, parent):
        self.expect("probe")
        name = self.ident()
        probe = Probe(name.text, name.at, parent=parent)
        self.optional_string()
        self.expect("{")
        while not self.accept("}"):
            if self.common(probe):
                continue
            if self.accept("window"):
                token = self.take_kind("duration")
                probe.window = scaled(token.text, token.at)
                while self.is_word("keep", "reset"):
                    probe.keep |= self.take().text == "keep"
                self.expect(";")
            elif self.is_word("ingress", "egress"):
                section = self.section(probe)
                if any(section.name == other.name for other in probe.sections):
                    raise SpecError(f"two sections are called {section.name}", section.at)
                probe.sections.append(section)
            else:
                self.unknown()
        return probe

    # Sections

    def hook(self):
        direction = self.take().text
        if self.accept("tc"):
            return direction, "tc"
        if direction == "ingress" and self.accept("xdp"):
            if self.is_word("native", "generic"):
                self.take()
            return direction, "xdp"
        return direction, "xdp" if direction == "ingress" else "tc"

    def section(self, parent):
        section = Section(at=self.token.at, parent=parent)
        section.hooks.append(self.hook())
        while self.accept(","):
            if not self.is_word("ingress", "egress"):
                self.unknown()
            section.hooks.append(self.hook())
        directions = [direction for direction, _ in section.hooks]
        if len(set(directions)) < len(directions):
            raise SpecError("two hooks of one direction count twice", section.at)
        section.name = self.ident().text if self.accept("as") else directions[0] if len(directions) == 1 else "both"
        self.expect("{")
        while not self.accept("}"):
            if self.common(section):
                continue
            if self.kept(section):
                continue
            if self.is_word("table", "private"):
                section.tables.append(self.table(section))
            elif self.is_word("events"):
                section.events.append(self.events(section))
            else:
                self.unknown()
        named = [part.name for part in section.tables + section.events]
        if len(set(named)) < len(named):
            raise SpecError("two tables or events have one name", section.at)
        return section

    def kept(self, block):
        """metric and state."""
        if not self.is_word("metric", "state"):
            return False
        kind = self.take().text
        (block.columns if kind == "metric" else block.states).append(self.metric(kind))
        self.expect(";")
        return True

    # Columns

    def attributes(self, column):
        column.exported = column.name
        while True:
            if self.token.kind == "string":
                column.help = self.string()
            elif self.accept("unit"):
                column.unit = self.ident().text
            elif self.accept("as"):
                column.exported = self.string()
            elif self.accept("ipfix"):
                if self.token.kind == "int":
                    self.take()
                    self.expect("/")
                    self.take_kind("int")
                else:
                    self.ident()
            elif self.is_word("snapshot", "reset"):
                column.reset |= self.take().text == "reset"
            else:
                return column

    def derive(self):
        name = self.ident()
        self.expect("=")
        return self.attributes(Column("derive", name.text, name.at, value=self.expression()))

    def metric(self, column_kind):
        name = self.ident()
        if self.accept(":"):
            column = Column(column_kind, name.text, name.at, fold=self.fold())
        else:
            self.expect("=")
            column = Column(column_kind, name.text, name.at, aggregation=self.aggregation())
        if self.accept("where"):
            column.where = self.expression()
        return self.attributes(column)

    def fold(self):
        type = self.ident()
        self.expect("=")
        initial = self.expression()
        self.expect("next")
        return Fold(type.text, initial, self.expression(), type.at)

    def aggregation(self):
        kind = self.ident()
        self.expect("(")
        arguments = []
        while not self.accept(")"):
            if arguments:
                self.expect(",")
            arguments.append(self.expression())
            if self.is_sign("="):
                raise SpecError("named arguments are not known here", self.token.at)
        return Aggregation(kind.text, arguments, kind.at)

    # Tables and events

    def events(self, parent):
        self.expect("events")
        name = self.ident()
        events = Events(name.text, name.at, parent=parent)
        while not self.accept("{"):
            if self.token.kind == "string":
                self.string()
            elif self.accept("where"):
                events.wheres.append(self.expression())
            elif self.accept("size"):
                self.expression()  # a replay empties the ring before it is full
            else:
                self.unknown()
        while not events.keys or self.accept(","):
            events.keys += self.key()
        self.expect("}")
        return events

    def table(self, parent):
        private = self.accept("private") is not None
        self.expect("table")
        name = self.ident()
        table = Table(name.text, name.at, parent=parent, private=private)
        self.expect("by")
        while not table.keys or self.accept(","):
            table.keys += self.key()
        while not self.accept("{"):
            self.table_attribute(table)
        while not self.accept("}"):
            if not self.common(table) and not self.kept(table):
                self.unknown()
        return table

    def key(self):
        at = self.token.at
        if self.is_word("flow") and self.tokens[self.next + 1].text != "=":
            self.take()
            return [Column("key", name, at, value=Expr("path", at, name), exported=name)
                    for name in ("net.src", "net.dst", "net.proto", "l4.srcport", "l4.dstport")]
        if self.token.kind == "path":
            path = self.take()
            return [Column("key", path.text, at, value=Expr("path", at, path.text), exported=path.text)]
        name = self.ident().text
        self.expect("=")
        return [Column("key", name, at, value=self.expression(), exported=name)]

    def table_attribute(self, table):
        if self.token.kind == "string":
            self.string()
        elif self.accept("where"):
            table.wheres.append(self.expression())
        elif self.accept("size"):
            table.size = self.expression()
        elif self.accept("overflow"):
            if not self.is_word("other", "drop", "evict"):
                self.unknown()
            table.overflow = self.take().text
        elif self.accept("having"):
            table.having = self.expression()
        elif self.accept("top"):
            table.top = self.expression()
            self.expect("by")
            table.top_by = self.ident().text
        elif self.accept("expire"):
            while self.is_word("idle", "active", "when", "linger"):
                word = self.take().text
                table.expire[word] = self.expression()
        elif self.is_word("snapshot", "reset"):
            table.reset |= self.take().text == "reset"
        else:
            self.unknown()

    # Expressions, from the loosest to the tightest

    def expression(self):
        at, condition = self.token.at, self.either()
        if not self.accept("?"):
            return condition
        yes = self.expression()
        self.expect(":")
        return Expr("choice", at, None, (condition, yes, self.expression()))

    def either(self):
        left = self.both()
        while self.is_word("or"):
            at = self.take().at
            left = Expr("binary", at, "or", (left, self.both()))
        return left

    def both(self):
        left = self.negation()
        while self.is_word("and"):
            at = self.take().at
            left = Expr("binary", at, "and", (left, self.negation()))
        return left

    def negation(self):
        if self.is_word("not"):
            at = self.take().at
            return Expr("unary", at, "not", (self.negation(),))
        return self.comparison()

    def comparison(self):
        left = self.operators(0)
        if self.is_word("in"):
            at = self.take().at
            result = Expr("in", at, None, (left, self.membership()))
        elif self.is_sign(*COMPARISONS):
            sign = self.take()
            result = Expr("binary", sign.at, sign.text, (left, self.operators(0)))
        else:
            return left
        if self.is_sign(*COMPARISONS) or self.is_word("in"):
            raise SpecError("comparisons do not chain", self.token.at)
        return result

    def operators(self, level):
        if level == len(BINARY):
            return self.unary()
        left = self.operators(level + 1)
        while self.is_sign(*BINARY[level]):
            sign = self.take()
            left = Expr("binary", sign.at, sign.text, (left, self.operators(level + 1)))
        return left

    def unary(self):
        if self.is_sign("-", "~"):
            sign = self.take()
            return Expr("unary", sign.at, sign.text, (self.unary(),))
        return self.primary()

    def membership(self):
        """What stands behind `in`: {…}, a name, an address, or a range of numbers."""
        if self.is_sign("{"):
            return self.set()
        if self.token.kind == "name":
            token = self.ident()
            return Expr("name", token.at, token.text)
        at, item = self.token.at, self.item()
        if item.kind not in ("address", "prefix", "range"):
            raise SpecError("expected a set, an address or a range", at)
        return Expr("set", at, None, (item,))

    def set(self):
        at = self.expect("{").at
        items = [self.item()]
        while self.accept(","):
            items.append(self.item())
        self.expect("}")
        return Expr("set", at, None, tuple(items))

    def item(self):
        at, low = self.token.at, self.expression()
        return Expr("range", at, None, (low, self.expression())) if self.accept("..") else low

    def primary(self):
        token = self.token
        if self.accept("("):
            inner = self.expression()
            self.expect(")")
            return inner
        if self.accept("["):
            items = [self.expression()]
            while self.accept(","):
                items.append(self.expression())
            self.expect("]")
            return Expr("list", token.at, None, tuple(items))
        if token.kind == "name" and token.text not in RESERVED:
            self.take()
            if self.accept("("):
                return Expr("call", token.at, token.text, tuple(self.arguments()))
            return Expr("name", token.at, token.text)
        if token.kind == "path":
            self.take()
            return self.slice(token) if self.is_sign("[") else Expr("path", token.at, token.text)
        readers = {"int": lambda t: Expr("int", t.at, whole(t.text, t.at)), "bytes": lambda t: Expr("int", t.at, scaled(t.text, t.at)),
                   "duration": lambda t: Expr("duration", t.at, scaled(t.text, t.at)), "real": lambda t: Expr("real", t.at, float(t.text)),
                   "percent": lambda t: Expr("real", t.at, float(t.text[:-1]) / 100), "address": lambda t: address_of(t.text, t.at)}
        if token.kind not in readers:
            raise SpecError(f"expected a value, not {token.text}", token.at)
        return readers[token.kind](self.take())

    def arguments(self):
        values = []
        while not self.accept(")"):
            if values:
                self.expect(",")
            values.append(self.expression())
        return values

    def slice(self, path):
        self.expect("[")
        offset, width = self.take_kind("int"), None
        if self.accept(":"):
            width = self.take_kind("int")
        self.expect("]")
        return Expr("slice", path.at, (path.text, whole(offset.text, offset.at), whole(width.text, width.at) if width else 1))


def parse(text):
    """The probe of a file."""
    return Parser(text).file()


def parse_value(text):
    """What `-D NAME=` says."""
    parser = Parser(text)
    value = parser.set() if parser.is_sign("{") else parser.expression()
    parser.take_kind("end")
    return value
