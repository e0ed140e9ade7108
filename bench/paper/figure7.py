# SPDX-License-Identifier: Apache-2.0
"""Figure 7: 1 to 15 fields of NetFlow v9, in a record for each flow, against maps of the kernel's in C by hand."""
from measure import ORDERS, above, cell, in_turn, ratios, spread, table
import peers
import plot

KEY = "ip.src, ip.dst, ip.proto, l4.srcport, l4.dstport"
# In the order of bench/hand/netflow.h. What the key holds needs no metric; without a key it needs one.
FIELDS = (
    ("IN_PKTS", "count()", None),
    ("IN_BYTES", "sum(ip.len)", None),
    ("MIN_PKT_LNGTH", "min(ip.len)", None),
    ("MAX_PKT_LNGTH", "max(ip.len)", None),
    ("IPV4_SRC_ADDR", None, "last(ip.src)"),
    ("IPV4_DST_ADDR", None, "last(ip.dst)"),
    ("PROTOCOL", None, "max(ip.proto)"),
    ("L4_SRC_PORT", None, "max(l4.srcport)"),
    ("L4_DST_PORT", None, "max(l4.dstport)"),
    ("TCP_FLAGS", "bit_or(tcp.flags)", None),
    ("SRC_TOS", "bit_or(ip.dsfield)", None),
    ("MIN_TTL", "min(ip.ttl)", None),
    ("MAX_TTL", "max(ip.ttl)", None),
    ("FIRST_SWITCHED", "first(frame.time)", None),
    ("LAST_SWITCHED", "last(frame.time)", None),
)
CLOCKED = 14  # features from which on the time is needed
NAMES = {
    "empty": "empty program",
    "amon": "amon, windows of 1 s",
    "hash": "by hand, HASH",
    "percpu": "by hand, PERCPU_HASH",
    "lru": "by hand, LRU_HASH",
    "keyless": "amon, no table",
    "record": "by hand, one record for all",
}
LIVE = ("empty", "amon", "hash", "percpu", "lru", "record")


def spec(features, rows, hook, coarse, keyless):
    metrics = "".join(f"            metric f{i} = {field or alone} as \"{name}\";\n"
                      for i, (name, field, alone) in enumerate(FIELDS[:features]) if field or keyless)
    inside = metrics if keyless else f"        table flows by {KEY} size {rows} {{\n{metrics}        }}\n"
    return (f"probe netflow {{\n    window 1s;\n{'    clock coarse;' if coarse else ''}\n    ingress {hook} {{\n"
            f"        where ip;\n{inside}    }}\n}}\n")


def load(run, features, rows, hook="xdp", coarse=False):
    options = {"FEATURES": features, "TC": hook == "tc", "COARSE": coarse}
    return {
        "empty": run.load_hand("empty", "empty.bpf.c", TC=hook == "tc"),
        "amon": run.load_amon("amon", spec(features, rows, hook, coarse, False)),
        "hash": run.load_hand("hash", "netflow.bpf.c", rows, TABLE="HASH", SHARED=True, **options),
        "percpu": run.load_hand("percpu", "netflow.bpf.c", rows, TABLE="PERCPU_HASH", **options),
        "lru": run.load_hand("lru", "netflow.bpf.c", rows, TABLE="LRU_HASH", SHARED=True, **options),
        # the clock is the same where both read it; a last address is amon's by time, so that it reads the coarse one there
        "keyless": run.load_amon("keyless", spec(features, rows, hook, coarse or features < CLOCKED, True)),
        "record": run.load_hand("record", "record.bpf.c", KEYLESS=True, **options),
    }


class Group:
    """Programs that are measured beside each other."""

    def __init__(self, run, features, rows=32768, hook="xdp", coarse=False, live=False):
        self.memory = load(run, features, rows, hook, coarse)
        self.lost = dict.fromkeys(self.memory, 0.0)
        self.alone = in_turn(self.memory, run.options.rounds, lambda name: self.measure(run, name))
        self.rates, self.grown = {}, {}
        if live:
            self.rates = in_turn(LIVE, run.options.live_rounds, lambda name: self.measure_live(run, name))
        for name in self.memory:
            run.driver.ask("free", name)

    def measure(self, run, name):
        cost, packets, *_ = run.driver.ask("alone", name, run.options.packets)
        if packets >= 0:
            self.lost[name] = max(self.lost[name], 1 - packets / run.options.packets)
        return cost

    def measure_live(self, run, name):
        cost, sent, packets, grown, _ = run.driver.ask("live", name, run.options.seconds)
        if packets >= 0:
            self.lost[name] = max(self.lost[name], 1 - packets / sent)
        self.grown[name] = grown
        return 1e3 / cost

    def cost(self, name):
        return above(self.alone[name], self.alone["empty"])

    def of(self, name, rival):
        return ratios(self.cost(name), self.cost(rival))


def show_costs(groups):
    names = [name for name in NAMES if name != "empty"]
    table(("", *(NAMES[name] for name in names), "amon of HASH"),
          [(what, *(cell(group.cost(name)) for name in names), cell(group.of("amon", "hash"), "{:.2f}"))
           for what, group in groups.items()])
    for what, group in groups.items():
        lost = [f"{NAMES[name]} {share:.2%}" for name, share in group.lost.items() if share > 0]
        if lost:
            print(f"  {what}: packets that no record has: {', '.join(lost)}")
    print()


def show_rates(groups):
    table(("", *(NAMES[name] for name in LIVE)),
          [(what, *(cell(group.rates[name], "{:.2f}") for name in LIVE)) for what, group in groups.items() if group.rates])
    print()


def goals(run, groups):
    clockless, coarse, exact = (groups[name] for name in ("13, no clock", "15, coarse clock", "15, exact clock"))
    run.goal("13 features, no clock, cost of HASH's,", spread(clockless.of("amon", "hash")), 1 / 3)
    run.goal("15 features, coarse clock, cost of HASH's,", spread(coarse.of("amon", "hash")), 1 / 3)
    run.goal("15 features, exact clock, cost of HASH's,", spread(exact.of("amon", "hash")), 1 / 2)
    for group, name in ((clockless, "no clock"), (coarse, "coarse clock"), (exact, "exact clock")):
        run.goal(f"ns of the flow table above one record, {name},", spread(above(group.cost("amon"), group.cost("record"))), 15, form="{:.1f}")
        run.goal(f"ns of no table above one record, {name},", spread(above(group.cost("keyless"), group.cost("record"))), 0, form="{:.1f}")


def by_features(run):
    quick = run.options.quick
    counts = run.options.features or ([1, 7] if quick else range(1, CLOCKED - 1))
    groups = {str(count): Group(run, count, live=count in (1, 7)) for count in counts if count < CLOCKED - 1}
    groups["13, no clock"] = Group(run, CLOCKED - 1)
    groups["15, coarse clock"] = Group(run, 15, coarse=True, live=True)
    if not quick:
        groups["14, exact clock"] = Group(run, 14)
    groups["15, exact clock"] = Group(run, 15, live=True)
    print("\nFigure 7: fields of NetFlow v9, 25,000 TCP sessions, all alike, one packet each in turn of a random order, at XDP\n"
          "  ns a packet above the empty program, program alone, from an empty table on\n")
    show_costs(groups)
    goals(run, groups)
    print("\n  live at XDP: millions of packets a second of one core, its generator included\n")
    show_rates(groups)
    return groups


def by_sessions(run):
    groups = {}
    cases = [(25000, "Zipf"), (1000000, "alike")] if run.options.quick else [(25000, "Zipf"), (1000000, "alike"), (1000000, "Zipf")]
    for sessions, order in cases:
        run.driver.ask("sessions", sessions, ORDERS[order])
        rows = 32768 if sessions < 32768 else 1 << 20
        groups[f"{sessions:,} {order}"] = Group(run, 15, rows, coarse=True, live=sessions > 100000)
    print("\n  other sessions; 15 features, coarse clock\n")
    show_costs(groups)
    show_rates(groups)
    run.goal("1,000,000 sessions, cost of HASH's,", spread(groups["1,000,000 alike"].of("amon", "hash")), 1 / 2)
    run.driver.ask("sessions", 25000, ORDERS["alike"])
    return groups


def at_tc(run):
    groups = {"13, no clock": Group(run, 13, hook="tc"), "15, exact clock": Group(run, 15, hook="tc", live=True)}
    print("\n  at TC\n")
    show_costs(groups)
    show_rates(groups)


def show_memory(run, groups):
    names = [name for name in NAMES if name != "empty"]
    print("\n  bytes of maps, sized for 32,768 flows, and in the last line for each of them\n")
    rows = [(what, *(f"{group.memory[name]:.0f}" for name in names)) for what, group in groups.items()]
    last = list(groups.values())[-1]
    rows.append(("a row", *(f"{last.memory[name] / 32768:.0f}" for name in names)))
    table(("", *(NAMES[name] for name in names)), rows)
    print()
    return last.memory["amon"]


def draw(run, groups):
    points = {int(what.split(",")[0]): group for what, group in groups.items() if "coarse" not in what}
    plot.draw(run.output / "figure7.svg", "Fig. 7: what fields of NetFlow v9 cost, 25,000 flows", "features (exact clock from 14 on)",
              "ns a packet above an empty program",
              {NAMES[name]: [(count, *spread(group.cost(name))) for count, group in sorted(points.items())]
               for name in NAMES if name != "empty"})
    plot.draw(run.output / "figure7-memory.svg", "Fig. 7: memory, sized for 32,768 flows", "features", "bytes",
              {NAMES[name]: [(count, *[group.memory[name]] * 3) for count, group in sorted(points.items())]
               for name in NAMES if name != "empty"}, log_y=True)
    live = {count: group for count, group in points.items() if group.rates}
    plot.draw(run.output / "figure7-live.svg", "Fig. 7: throughput, live at XDP, 25,000 flows", "features",
              "millions of packets a second, one core",
              {NAMES[name]: [(count, *spread(group.rates[name])) for count, group in sorted(live.items())] for name in LIVE})


def run_figure(run):
    run.driver.ask("sessions", 25000, ORDERS["alike"])
    groups = by_features(run)
    draw(run, groups)
    by_sessions(run)
    at_tc(run)
    memory = show_memory(run, groups)
    peers.compare(run, groups["15, exact clock"], memory)
