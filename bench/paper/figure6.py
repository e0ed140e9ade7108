# SPDX-License-Identifier: Apache-2.0
"""Figure 6: 1 to 100 features, against all of them always on, and against a program for each, chained by tail calls."""
from measure import above, cell, in_turn, ratios, spread, table
import plot

MOST = 100
CHAIN = 25  # programs; a packet may go through 33 tail calls, so that more features share them


def spec(features, timing):
    body = "\n".join(f"        metric f{i} = sum(frame.len) where tcp.dstport != {1000 + i};" for i in range(features))
    return f"probe bench {{\n    {timing}\n    ingress xdp {{\n        where ip;\n{body}\n    }}\n}}\n"


NAMES = {
    "empty": "empty program",
    "amon": "amon",
    "snapshot": "amon, windows of 1 s",
    "features": "by hand, those alone",
    "features-all": "by hand, all 100 always on",
    "features-chain": "a program each, tail calls",
}


def load(run, count):
    each = max(1, count // CHAIN)
    return {
        "empty": run.load_hand("empty", "empty.bpf.c"),
        "amon": run.load_amon("amon", spec(count, "")),
        "snapshot": run.load_amon("snapshot", spec(count, "window 1s;")),
        "features": run.load_hand("features", "features.bpf.c", FEATURES=count),
        "features-all": run.load_hand("features-all", "features.bpf.c", FEATURES=MOST),
        "features-chain": run.load_hand("features-chain", "features.bpf.c", 1, count // each, CHAIN=True, FEATURES=each),
    }


def measure(run, count):
    """Of each program: bytes, nanoseconds a packet alone, and live."""
    options = run.options
    memory = load(run, count)
    alone = in_turn(memory, options.rounds, lambda name: run.driver.ask("alone", name, options.packets)[0])
    live = in_turn(memory, options.live_rounds, lambda name: run.driver.ask("live", name, options.seconds)[0])
    for name in memory:
        run.driver.ask("free", name)
    return {name: (memory[name], alone[name], live[name]) for name in memory}


def show(run, results):
    print("\nFigure 6: features in one record for all traffic, at XDP; each has a condition of its own, which holds\n"
          "  ns a packet above the empty program, alone; millions of packets a second of one core, live, its generator included\n")
    table(("features", "", "ns alone", "live, Mpps", "bytes of maps"),
          [(count if name == "empty" else "", NAMES[name], cell(above(alone, result["empty"][1])),
            cell([1e3 / ns for ns in live], "{:.2f}"), f"{memory:.0f}")
           for count, result in results.items() for name, (memory, alone, live) in result.items()])
    print()
    counts = sorted(results)
    one, most = results[counts[0]], results[counts[-1]]
    run.goal("1 feature without snapshot, throughput of an empty program's,",
             spread(ratios(one["empty"][2], one["amon"][2])), 0.95, most=False)
    if counts[-1] == MOST:
        run.goal("100 features, the chain's cost over amon's,",
                 spread(ratios(above(most["features-chain"][1], most["empty"][1]), above(most["amon"][1], most["empty"][1]))),
                 5, most=False)
    for few, many in zip(counts, counts[1:]):
        less = ratios(above(results[few]["amon"][1], results[few]["empty"][1]),
                      above(results[many]["amon"][1], results[many]["empty"][1]))
        run.goal(f"{few} features cost, of what {many} do,", spread(less), 1)
        run.goal(f"{few} features' bytes, of those of {many},", [results[few]["amon"][0] / results[many]["amon"][0]] * 3, 1, form="{:.3f}")
    plot.draw(run.output / "figure6.svg", "Fig. 6: what features cost", "features", "ns a packet above an empty program",
              {NAMES[name]: [(count, *spread(above(result[name][1], result["empty"][1]))) for count, result in results.items()]
               for name in NAMES if name != "empty"})
    plot.draw(run.output / "figure6-live.svg", "Fig. 6: throughput, live at XDP", "features", "millions of packets a second, one core",
              {NAMES[name]: [(count, *spread([1e3 / ns for ns in result[name][2]])) for count, result in results.items()]
               for name in NAMES})


def run_figure(run):
    run.driver.ask("sessions", 25000, 1)
    show(run, {count: measure(run, count) for count in (run.options.features or ([1, 10, 100] if run.options.quick else [1, 5, 10, 20, 50, 100]))})
