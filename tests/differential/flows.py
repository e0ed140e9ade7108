# SPDX-License-Identifier: Apache-2.0
"""Rows that end. A flow is a key's packets until it has been silent for `idle`, is `active` old, or one of its packets satisfied `when`,
`linger` ago. A table has `size` rows between two cuts, which are a second apart at most, and as many flows are open at once; what finds
no place in the one goes to `other` packet by packet, what finds none in the other as a whole, as far as it came before the cut."""

CUT = 10**9
NEVER = 2**63 - 1


class Life:
    """Of a key's packets, whether they found a row or not."""

    def __init__(self, number, now):
        self.number, self.first, self.last, self.until = number, now, now, None


class Part:
    """What came of a life between two cuts; and, put together, the flow."""

    def __init__(self, key, number, states):
        self.key, self.number, self.states = key, number, states
        self.first = self.last = self.until = None
        self.packets = self.bytes = 0
        self.reason = None
        self.folds = []  # those of its states that do not merge: of the later part

    def add(self, now, wire):
        self.first = now if self.first is None else self.first
        self.last = now if self.last is None else max(self.last, now)
        self.packets += 1
        self.bytes += wire

    def join(self, other):
        self.first, self.last = min(self.first, other.first), max(self.last, other.last)
        self.until = min((until for until in (self.until, other.until) if until is not None), default=None)
        self.packets, self.bytes = self.packets + other.packets, self.bytes + other.bytes
        for identity, state in self.states.items():
            state.merge(other.states[identity])
        if other.number >= self.number:
            self.number = other.number
            self.states |= {identity: other.states[identity] for identity in other.folds}


class Kept:
    """What packets remember of flows, of three times as many keys as the table has rows. It ends with its flow: by `when`, `idle` behind the
    last packet, or, where nothing says `idle`, `active` behind it. `active` alone ends no flow: its next row goes on with the same memory,
    and with folds that begin anew."""

    def __init__(self, flows, fresh):
        self.flows, self.fresh, self.memories, self.folds = flows, fresh, {}, {}
        self.silence = flows.active if flows.idle == NEVER else flows.idle

    def forgotten(self, key, now):
        life = self.flows.lives[key]
        return now >= (life.last + self.silence if life.until is None else life.until)

    def find(self, key, now):
        """The memory, and the folds of the row that is open; None where nothing is remembered."""
        if key not in self.memories or self.forgotten(key, now):
            return None
        return self.memories[key], None if now >= self.flows.end(self.flows.lives[key])[0] else self.folds[key]

    def enter(self, key, now):
        """The row's life; None where too many keys are remembered."""
        if key not in self.memories and len(self.memories) == 3 * self.flows.size:
            return None
        if key not in self.memories or self.forgotten(key, now):
            self.memories[key] = self.fresh()
        before = self.flows.lives.get(key)
        life = self.flows.live(key, now)
        if life is not before:
            self.folds[key] = {}
        return life

    def sweep(self, now):
        """A read leaves what has ended where that makes no shortage."""
        if len(self.memories) <= self.flows.size:
            return
        for key in [key for key in self.memories if self.forgotten(key, now)]:
            del self.memories[key], self.folds[key], self.flows.lives[key]


class Flows:
    def __init__(self, size, idle, active, linger):
        self.size, self.idle, self.active, self.linger = size, idle or NEVER, active or NEVER, linger or 0
        self.lives, self.parts, self.open, self.ended = {}, {}, {}, []
        self.numbers = 0

    def end(self, flow):
        """The instant, and why."""
        if flow.until is not None:
            return flow.until, "end"
        idle, active = flow.last + self.idle, flow.first + self.active
        return (idle, "idle") if idle <= active else (active, "active")

    def live(self, key, now):
        life = self.lives.get(key)
        if not life or now >= self.end(life)[0]:
            self.numbers += 1
            life = self.lives[key] = Life(self.numbers, now)
        life.last = max(life.last, now)
        return life

    def place(self, key, life, states):
        """The row of a packet; None where the table is full."""
        place = key, life.number
        if place not in self.parts and len(self.parts) < self.size:
            self.parts[place] = Part(key, life.number, states())
        return self.parts.get(place)

    def satisfy(self, life, part, now):
        """A packet satisfied `when`: it is the first that counts."""
        if life.until is None:
            life.until = now + self.linger
        if part and part.until is None:
            part.until = life.until

    def advance(self, until):
        """Ends what has ended until then, whatever comes first, first."""
        due = sorted((flow for flow in self.open.values() if self.end(flow)[0] <= until), key=lambda flow: self.end(flow)[0])
        for flow in due:
            self.finish(flow, self.end(flow)[1])

    def finish(self, flow, reason):
        flow.reason = reason
        self.ended.append(flow)
        del self.open[flow.key]

    def evict(self):
        """What was not seen for longest; of several, what was open first."""
        self.finish(min(self.open.values(), key=lambda flow: flow.last), "evicted")

    def cut(self, refuse):
        for part in sorted(self.parts.values(), key=lambda part: (part.first, part.number)):
            self.advance(part.first)
            if part.key in self.open:
                self.open[part.key].join(part)
            elif len(self.open) < self.size or not refuse:
                if len(self.open) == self.size:
                    self.evict()
                self.open[part.key] = part
            else:
                refuse(part)
        self.parts = {}

    def next(self):
        return min((self.end(flow)[0] for flow in self.open.values()), default=None)

    def take(self, until, last):
        """Those that have ended until then, of one key in the order of time."""
        self.advance(until)
        for flow in list(self.open.values()) if last else []:
            self.finish(flow, "forced")
        ended, self.ended = self.ended, []
        return ended
