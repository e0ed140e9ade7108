#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The interpreter over packets whose answers are worked out by hand, most of them about memory.

The last line is `N passed, M failed`.
"""
import copy
import os
import sys
import traceback

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tools"))
import packets  # noqa: E402
from capture import Record  # noqa: E402
from compare import unbalanced  # noqa: E402
from interpreter import Interpreter  # noqa: E402
from spec import SpecError  # noqa: E402


def record(ms, frame):
    return Record(packets.START + round(ms * 10**6), len(frame), frame, None)


def udp(ms, ttl=64, host=1, port=9, body=b""):
    """A datagram of 42 bytes and its body."""
    return record(ms, packets.eth(packets.IPV4, packets.ip4(packets.UDP, packets.udp(7, port, body), src=f"10.0.0.{host}", ttl=ttl)))


def arp(ms):
    return record(ms, packets.eth(packets.ARP, packets.arp()))


def replay(section, records, settings=""):
    """The documents' parts of the section `ingress`, each of which must add up."""
    interpreter = Interpreter(f"probe p {{ {settings} ingress {{ {section} }} }}")
    documents = list(interpreter.run(records))
    for document in documents:
        equal(unbalanced(interpreter.probe, document), [])
    return [document["ingress"] for document in documents]


def metrics(section, records, settings=""):
    return [part["metrics"] for part in replay(section, records, settings)]


def rows(section, records, settings="", table="t", value="n"):
    """The value by the last number of the key address, window by window."""
    parts = replay(section, records, settings)
    return [{int(row["ip.src"].split(".")[3]): row[value] for row in part["tables"][table]["rows"]} for part in parts]


def equal(found, expected):
    if found != expected:
        raise AssertionError(f"found {found}, expected {expected}")


def refused(section, word):
    try:
        Interpreter(f"probe p {{ ingress {{ {section} }} }}")
    except SpecError as error:
        if word not in error.message:
            raise AssertionError(f"refused, but with {error.message!r}") from None
        return
    raise AssertionError(f"not refused: {section}")


# Previous packets ----------------------------------------------------------------------------------------------------

def test_delta_is_signed_and_absent_in_the_first():
    found = metrics("metric sum = sum(delta(ip.ttl)); metric min = min(delta(ip.ttl)); metric max = max(delta(ip.ttl));",
                    [udp(0, 10), udp(1, 13), udp(2, 6)])
    equal(found, [{"sum": 3 - 7, "min": -7, "max": 3}])


def test_packet_without_the_field_is_a_previous_packet():
    # 10, 13 (+3), none, 20 (its previous has none), 21 (+1)
    found = metrics("metric sum = sum(delta(ip.ttl)); metric again = count() where present(prev(ip.ttl));",
                    [udp(0, 10), udp(1, 13), arp(2), udp(3, 20), udp(4, 21)])
    equal(found, [{"sum": 4, "again": 3}])  # again: at 13, at the ARP and at 21


def test_argument_sees_what_its_where_lets_through():
    # to port 9: 10, 15 (+5); all: 10, 12, 15
    found = metrics("metric near = sum(delta(ip.ttl)) where udp.dstport == 9; metric block = count() where prev(ip.ttl) == 12;"
                    "metric both = sum(ip.ttl) where udp.dstport == 9 and delta(ip.ttl) == 3;",
                    [udp(0, 10), udp(1, 12, port=8), udp(2, 15)])
    equal(found, [{"near": 5, "block": 1, "both": 15}])


def test_place_is_reached_though_it_is_not_evaluated():
    # `and` does not evaluate prev() for the second packet, which is the third's previous all the same
    found = metrics("metric n = count() where udp.dstport == 9 and prev(ip.ttl) == 12;"
                    "metric chosen = sum(udp.dstport == 9 ? delta(ip.ttl) : 100);",
                    [udp(0, 10), udp(1, 12, port=8), udp(2, 15)])
    equal(found, [{"n": 1, "chosen": 100 + 3}])


def test_rows_have_their_own():
    # host 1: 10, 14 (+4), 13 (-1); host 2: 50, 40 (-10)
    found = rows("table t by ip.src { metric n = sum(delta(ip.ttl)); }", [udp(0, 10), udp(1, 50, 2), udp(2, 14), udp(3, 40, 2), udp(4, 13)])
    equal(found, [{1: 3, 2: -10}])


def test_let_belongs_to_the_block_where_it_stands():
    # the section's packets: 10, 50 (+40), 14 (-36); the row's: host 1's 10, 14 (+4)
    found = replay("let outer = delta(ip.ttl); metric packets = count(); table t by ip.src { let inner = delta(ip.ttl);"
                   " metric outside = sum(outer); metric inside = sum(inner); }",
                   [udp(0, 10), udp(1, 50, 2), udp(2, 14)])
    equal(found[0]["tables"]["t"]["rows"], [{"ip.src": "10.0.0.1", "outside": -36, "inside": 4}, {"ip.src": "10.0.0.2", "outside": 40, "inside": 0}])


def test_the_tables_where_decides_what_its_packets_are():
    # host 1's packets with an odd TTL: 11, 15 (+4); the even one between them is none of the row's
    found = rows("table t by ip.src where ip.ttl % 2 == 1 { metric n = sum(delta(ip.ttl)); }", [udp(0, 11), udp(1, 20), udp(2, 15)])
    equal(found, [{1: 4}])


def test_times_and_addresses():
    found = metrics("metric gap = max(delta(frame.time)) unit milliseconds; metric flips = count() where ip.src != prev(ip.src);"
                    "metric before = last(prev(ip.src));",
                    [udp(0, host=1), udp(7, host=1), udp(9, host=2), udp(10, host=1)])
    equal(found, [{"gap": 7, "flips": 2, "before": "10.0.0.2"}])


def test_previous_packets_outlive_windows():
    # 10 in the first window, 14 in the second, 11 after four that are empty; a section's memory never ends
    found = metrics("metric sum = sum(delta(ip.ttl));", [udp(0, 10), udp(1500, 14), udp(6500, 11)], "window 1s;")
    equal(found, [{"sum": 0}, {"sum": 4}, {"sum": -3}])


# Folds and states ----------------------------------------------------------------------------------------------------

def test_fold():
    # the first packet counts, port 8 does not
    found = metrics("metric n : u32 = 5 next n + 1 where udp.dstport == 9;", [udp(0), udp(1, port=8), udp(2)])
    equal(found, [{"n": 7}])


def test_folds_first_value_comes_from_the_rows_first_packet():
    # host 1: 10, which its first packet leaves, then max(10, 3) + 100; host 2: max(12, 12) + 100, then max(112, 9) + 100
    found = rows("table t by ip.src { metric n : u32 = ip.ttl next max(n, ip.ttl) + 100 where udp.dstport == 9; }",
                 [udp(0, 10, port=8), udp(1, 3), udp(2, 12, 2), udp(3, 9, 2)])
    equal(found, [{1: 110, 2: 212}])


def test_fold_stays_where_its_next_value_is_absent():
    found = metrics("metric n : u32 = 1 next n + ip.ttl; metric arps : u32 = 0 next arps + 1 where arp;", [udp(0, 10), arp(1), udp(2, 20)])
    equal(found, [{"n": 31, "arps": 1}])


def test_fold_whose_first_value_is_absent_has_none_until_it_gets_one():
    found = replay("table t by eth.src { metric n : u32 = ip.ttl next ip.ttl where udp; metric m : u32 = ip.ttl next m + 1; }", [arp(0), udp(1, 9)])
    equal(found[0]["tables"]["t"]["rows"], [{"eth.src": "02:00:00:00:00:01", "n": 9, "m": None}])


def test_fold_is_stored_modulo_its_type():
    found = metrics("metric a : u8 = 250 next a + 3; metric b : s8 = 120 next b + 5; metric c : u64 = 0 next c - 1; metric d : s64 = 0 next d - 1;"
                    "metric e : u16 = 0 - 1 next e where arp;", [udp(0), udp(1)])
    equal(found, [{"a": 0, "b": -126, "c": 2**64 - 2, "d": -2, "e": 65535}])


def test_a_u64_is_64_bits_in_packets():
    found = metrics("state c : u64 = 0 next c - 1; metric negative = count() where c < 0;", [udp(0), udp(1), udp(2)])
    equal(found, [{"negative": 2}])


def test_everything_reads_what_was_before_the_packet():
    # n before the packets: 0, 1, 2; whether a statement stands before it or behind
    found = metrics("metric early = sum(n); state n : u32 = 0 next n + 1; metric late = sum(n); state m : u32 = 0 next n; metric m_sum = sum(m);",
                    [udp(0), udp(1), udp(2)])
    equal(found, [{"early": 3, "late": 3, "m_sum": 0 + 0 + 1}])


def test_swap_of_two_states():
    found = metrics("state a : u8 = 1 next b; state b : u8 = 2 next a; metric last_a = last(a); metric last_b = last(b);",
                    [udp(0), udp(1), udp(2), udp(3)])
    equal(found, [{"last_a": 2, "last_b": 1}])


def test_aggregations_as_states():
    # before the packets: none/0; 10; 10 and 4; then the ARP, which has no TTL
    found = metrics("state first = first(ip.ttl); state low = min(ip.ttl); state all = sum(ip.ttl); state n = count() where udp;"
                    "metric firsts = sum(first); metric lows = sum(low); metric sums = sum(all); metric ns = sum(n);"
                    "metric none = count() where not present(low);",
                    [udp(0, 10), udp(1, 4), arp(2), udp(3, 50)])
    equal(found, [{"firsts": 30, "lows": 10 + 4 + 4, "sums": 0 + 10 + 14 + 14, "ns": 0 + 1 + 2 + 2, "none": 1}])


def test_section_state_is_read_in_its_tables():
    # packets before: 0, 1, 2
    found = rows("state seen = count(); table t by ip.src { metric n = max(seen); }", [udp(0, host=1), udp(1, host=2), udp(2, host=1)])
    equal(found, [{1: 2, 2: 1}])


def test_metric_fold_starts_anew_in_a_window_and_a_state_goes_on():
    found = metrics("metric n : u32 = 0 next n + 1; state s : u32 = 0 next s + 1; metric most = max(s);",
                    [udp(0), udp(1), udp(1500), udp(9500)], "window 1s;")
    equal(found, [{"n": 2, "most": 1}, {"n": 1, "most": 2}, {"n": 1, "most": 3}])


def test_fold_that_saw_no_packet_is_null():
    found = metrics("where udp; metric n : u32 = 7 next 8 where arp;", [udp(0), arp(1500)], "window 1s;")
    equal(found, [{"n": 7}, {"n": None}])


def test_rest_has_no_fold():
    found = replay("table t by ip.src top 1 by packets { metric packets = count(); metric n : u32 = 0 next n + 1; }",
                   [udp(0, host=1), udp(1, host=1), udp(2, host=2)])
    equal(found[0]["tables"]["t"]["rest"], {"packets": 1, "n": None})


# Rows ----------------------------------------------------------------------------------------------------------------

ORDINAL = "table t by ip.src { state s : u32 = 0 next s + 1; metric n = max(s); }"


def test_row_ends_after_a_whole_window_without_its_key():
    # host 1 in windows 0, 1, 3: the third starts anew; host 2 in 0, 1, 2
    times = [(100, 1), (200, 2), (1999, 1), (1999.5, 2), (2999, 2), (3000, 1)]
    found = rows(ORDINAL, [udp(ms, host=host) for ms, host in times], "window 1s;")
    equal(found, [{1: 0, 2: 0}, {1: 1, 2: 1}, {2: 2}, {1: 0}])


def test_empty_windows_count_too():
    equal(rows(ORDINAL, [udp(100), udp(2100)], "window 1s;"), [{1: 0}, {1: 0}])


def test_without_windows_a_row_never_ends():
    equal(rows(ORDINAL, [udp(100), udp(900_000)]), [{1: 1}])


def test_totals_do_not_keep_memory():
    # totals go on: n is the largest so far; what came after a whole window started from 0
    found = rows("table t by ip.src { state s : u32 = 0 next s + 1; metric n = last(s); metric packets = count(); }",
                 [udp(0), udp(10), udp(2100), udp(3100)], "window 1s keep;")
    equal(found, [{1: 1}, {1: 0}, {1: 1}])


def test_other_is_a_row_with_its_memory():
    # size 1: hosts 2 and 3 share `other`: 20, 50 (+30), 21 (-29)
    found = replay("table t by ip.src size 1 { metric n = sum(delta(ip.ttl)); state s : u32 = 0 next s + 1; metric most = max(s);"
                   " metric packets = count(); }", [udp(0, 10, 1), udp(1, 20, 2), udp(2, 50, 3), udp(3, 21, 2), udp(4, 11, 1)])
    equal(found[0]["tables"]["t"], {"rows": [{"ip.src": "10.0.0.1", "n": 1, "most": 1, "packets": 2}],
                                    "other": {"n": 1, "most": 2, "packets": 3}, "rest": None})


def test_other_ends_as_a_row_does():
    # host 2 finds no row in windows 0, 1, 3 and 4
    times = [udp(1000 * n + ms, host=host) for n in (0, 1, 3, 4) for ms, host in ((0, 1), (5, 2))] + [udp(2000)]
    found = replay("table t by ip.src size 1 { metric n = count(); state s : u32 = 0 next s + 1; metric most = max(s); }",
                   sorted(times), "window 1s;")
    equal([part["tables"]["t"]["other"] and part["tables"]["t"]["other"]["most"] for part in found], [0, 1, None, 0, 1])


def test_places_of_the_last_window_are_free():
    # host 1 has the only place in the first window, host 2 in the second; host 1 is `other` there
    found = replay("table t by ip.src size 1 { metric packets = count(); state s : u32 = 0 next s + 1; metric most = max(s); }",
                   [udp(0, host=1), udp(1100, host=2), udp(1200, host=1)], "window 1s;")
    equal([part["tables"]["t"]["rows"] for part in found], [[{"ip.src": "10.0.0.1", "packets": 1, "most": 0}],
                                                            [{"ip.src": "10.0.0.2", "packets": 1, "most": 0}]])
    equal(found[1]["tables"]["t"]["other"], {"packets": 1, "most": 0})


# Tables that are asked ----------------------------------------------------------------------------------------------

def test_private_table_stands_in_the_ledger_alone():
    found = replay("private table asked by ip.src size 1 overflow drop where udp { state at = first(frame.time); }"
                   "metric waits = max(frame.time - asked.at) unit milliseconds;", [udp(0), udp(5), udp(6, host=2), arp(7)])[0]
    equal(found["tables"], {})
    equal(found["metrics"], {"waits": 5})
    equal(found["ledger"]["tables"]["asked"], {"selected": {"packets": 3, "bytes": 126}, "in_rows": {"packets": 2, "bytes": 84},
                                               "other": {"packets": 0, "bytes": 0}, "unaccounted": {"full": {"packets": 1, "bytes": 42}}})


def test_table_is_asked_where_its_own_where_does_not_hold():
    # a question to port 9 (TTL 10), answers to port 8 at +4 ms and +7 ms; host 2 has no question
    section = ("private table asked by ip.src where udp.dstport == 9 { state ttl = last(ip.ttl); }"
               "metric known = count() where asked; metric sum = sum(ip.ttl - asked.ttl); metric none = count() where not asked;")
    equal(metrics(section, [udp(0, 10), udp(4, 14, port=8), udp(5, 99, 2, port=8), udp(7, 17, port=8)]), [{"known": 2, "sum": 11, "none": 2}])


def test_row_is_there_before_the_packet():
    # order of the tables means nothing: both see the rows from before
    first = "table a by ip.src { metric new = count() where not b; }"
    second = "table b by ip.src { metric new = count() where not a; }"
    for section in (first + second, second + first):
        found = replay(section, [udp(0), udp(1), udp(2, host=2)])[0]["tables"]
        equal([row["new"] for name in "ab" for row in found[name]["rows"]], [1, 1, 1, 1])


def test_table_asks_itself():
    equal(rows("table t by ip.src { metric n = count() where not t; }", [udp(0), udp(1), udp(2, host=2)]), [{1: 1, 2: 1}])


def test_asked_row_ends_as_a_row_does():
    # seen in window 0; there in window 1, gone from 2 on, though each window asks
    section = "private table a by ip.src where udp.dstport == 9 { state s = last(ip.ttl); } metric there = count() where a; metric s = max(a.s);"
    equal(metrics(section, [udp(0, 33), udp(1500, port=8), udp(2000, port=8)], "window 1s;"),
          [{"there": 0, "s": None}, {"there": 1, "s": 33}, {"there": 0, "s": None}])


def test_what_is_in_other_has_no_row_to_ask():
    section = "table t by ip.src size 1 { state s : u8 = 1 next 1; metric n = count(); } metric there = count() where t; metric sum = sum(t.s);"
    equal(metrics(section, [udp(0), udp(1, host=2), udp(2, host=2), udp(3)]), [{"there": 1, "sum": 1}])


def test_asked_fold_that_is_a_metric():
    # no row, 1, 2; then a new window, where it has not begun
    section = "table t by ip.src { metric f : u8 = 0 next f + 1; } metric asked = sum(t.f); metric any = count() where present(t.f);"
    equal(metrics(section, [udp(0), udp(1), udp(2), udp(1000), udp(1001)], "window 1s;"), [{"asked": 3, "any": 2}, {"asked": 1, "any": 1}])


def test_section_may_ask_in_its_where():
    # the where lets through what asks port 9, and all of a host that has asked before
    section = "where udp.dstport == 9 or t; table t by ip.src { metric n = count(); }"
    equal(rows(section, [udp(0, port=8), udp(1), udp(2, port=8), udp(3, host=2, port=8)]), [{1: 2}])


# Windows, events, refusals -------------------------------------------------------------------------------------------

def test_keep_gives_totals_and_reset_what_is_new():
    found = replay("metric n = count(); metric new = count() reset; table a by ip.src { metric n = count(); }"
                   "table b by ip.src reset { metric n = count(); }",
                   [udp(0), udp(1), udp(1500, host=2)], "window 1s keep;")
    equal([part["metrics"] for part in found], [{"n": 2, "new": 2}, {"n": 3, "new": 1}])
    equal([len(part["tables"]["a"]["rows"]) for part in found], [1, 2])
    equal([len(part["tables"]["b"]["rows"]) for part in found], [1, 1])
    equal([part["ledger"]["selected"]["packets"] for part in found], [2, 3])
    equal([part["ledger"]["tables"]["b"]["selected"]["packets"] for part in found], [2, 1])


def test_window_is_the_time_that_values_cover():
    # totals: 1 in a second, 3 in two; what starts anew beside them: 1 and 2, each in one second
    pace = "derive pace = n / window unit packets_per_second;"
    found = replay(f"metric n = count(); {pace} table t by ip.src reset {{ metric n = count(); {pace} }}",
                   [udp(0), udp(1500), udp(1600)], "window 1s keep;")
    equal([part["metrics"]["pace"] for part in found], [1.0, 1.5])
    equal([part["tables"]["t"]["rows"][0]["pace"] for part in found], [1.0, 2.0])


def test_events():
    found = replay("metric n = count(); events e where udp { frame.time, ip.ttl, l4.dstport, gap = delta(ip.ttl), tcp.seq_raw }",
                   [udp(0, 10), arp(1), udp(2, 12)])[0]
    equal(found["events"]["e"], {"rows": [
        {"frame.time": "2026-01-01T00:00:00.000000000Z", "ip.ttl": 10, "l4.dstport": 9, "gap": None, "tcp.seq_raw": None},
        {"frame.time": "2026-01-01T00:00:00.002000000Z", "ip.ttl": 12, "l4.dstport": 9, "gap": 2, "tcp.seq_raw": None}], "lost": 0})


def test_refusals():
    refused("metric n = sum(prev(prev(ip.ttl)));", "inside of another")
    refused("let a = prev(ip.ttl); metric n = sum(delta(a));", "inside of another")
    refused("table t by k = prev(ip.ttl) { metric n = count(); }", "stands in")
    refused("metric n = sum(delta(ip.src));", "needed")
    refused("metric n : u12 = 0 next 1;", "no type")
    refused("state a = sum(b); state b = sum(a);", "needs itself")
    refused("state s = mean(ip.ttl);", "cannot be read")
    refused("state s = count(); derive d = s + 1;", "no metric")
    refused("metric a = count(); metric b = sum(a);", "no value")
    refused("table t by ip.src { metric n = count(); } metric b = sum(t.n);", "no field")
    refused("metric n : u32 = 0 next frame.time;", "needed")


# The comparison ------------------------------------------------------------------------------------------------------

def test_what_does_not_add_up_is_seen():
    interpreter = Interpreter("probe p { ingress { table t by ip.src size 1 top 1 by n { metric n = count(); metric b = sum(frame.len); } } }")
    document, = interpreter.run([udp(0), udp(1, host=2), arp(2)])
    equal(unbalanced(interpreter.probe, document), [])
    for path in (["ledger", "tables", "t", "selected", "bytes"], ["ledger", "tables", "t", "unaccounted", "no key", "packets"],
                 ["tables", "t", "rows", 0, "n"], ["tables", "t", "other", "b"]):
        wrong = copy.deepcopy(document)
        part = wrong["ingress"]
        for step in path[:-1]:
            part = part[step]
        part[path[-1]] += 1
        if not unbalanced(interpreter.probe, wrong):
            raise AssertionError(f"{path} is one more, and nothing is said")


def test_the_capture_memory():
    """How many packets of its row each of the hosts 4 to 8 last had before, window by window; see Remembered.silences."""
    records = [Record(frame.time, frame.wire, frame.data, None) for frame in packets.memory()]
    interpreter = Interpreter("probe p { window 1s; ingress { where udp.srcport == 7000 and ip.src in 10.9.0.4..10.9.0.8; " + ORDINAL + " } }")
    found = {}
    for document in interpreter.run(records):
        for row in document["ingress"]["tables"]["t"]["rows"]:
            found.setdefault(int(row["ip.src"].split(".")[3]), {})[document["window"]["sequence"] - 1] = row["n"]
    equal(found, {4: {0: 0, 2: 0, 3: 1, 6: 0}, 5: {0: 0, 1: 1, 3: 0, 4: 1}, 6: {0: 0, 3: 0, 4: 1, 7: 0},
                  7: {0: 0, 1: 1, 2: 2, 3: 4, 6: 0, 7: 1}, 8: {0: 2, 11: 1}})


def main():
    passed = failed = 0
    for name, test in list(globals().items()):
        if not name.startswith("test_"):
            continue
        try:
            test()
            passed += 1
        except Exception:  # a test that cannot be run has failed; the others go on
            failed += 1
            print(f"FAIL {name}")
            traceback.print_exc(limit=-2, file=sys.stdout)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
