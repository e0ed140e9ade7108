#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Live probes between network namespaces: what is sent is what is counted, at every hook, super-packets included.

What crossed the wire is told by a packet socket with PACKET_VNET_HDR, which shows each buffer with its gso_size: cutting
it into wire packets here shares no code with the probe. live.py AMONC; as root."""
import contextlib, json, os, select, signal, socket, struct, subprocess, sys, threading, time

AMONC = os.path.abspath(sys.argv[1])
LEFT, RIGHT = f"amon-live-{os.getpid()}-a", f"amon-live-{os.getpid()}-b"
passed, failures = 0, []


def sh(command):
    subprocess.run(command, shell=True, check=True, stdout=subprocess.DEVNULL)


def check(what, got, wanted):
    global passed
    if got == wanted:
        passed += 1
    else:
        failures.append(what)
        print(f"FAILED {what}: got {got}, sent {wanted}")


@contextlib.contextmanager
def network(mtu=1500):
    """Two namespaces, a veth pair between them: left0 10.9.0.1, right0 10.9.0.2; fd09::1, fd09::2."""
    for name in (LEFT, RIGHT):
        sh(f"ip netns add {name}")
        sh(f"nsenter --net=/run/netns/{name} sysctl -qw net.ipv6.conf.all.disable_ipv6=0 net.ipv6.conf.default.accept_dad=0 "
           "net.ipv6.conf.default.router_solicitations=0 net.ipv6.conf.default.addr_gen_mode=1")
    sh(f"ip -n {LEFT} link add left0 mtu {mtu} type veth peer name right0 mtu {mtu} netns {RIGHT}")
    for name, link, last in ((LEFT, "left0", 1), (RIGHT, "right0", 2)):
        sh(f"ip -n {name} link set lo up; ip -n {name} link set {link} up")
        sh(f"ip -n {name} address add 10.9.0.{last}/24 dev {link}; ip -n {name} address add fd09::{last}/64 dev {link} nodad")
    time.sleep(0.3)
    try:
        yield
    finally:
        sh(f"ip netns del {LEFT}; ip netns del {RIGHT}")


@contextlib.contextmanager
def inside(name):
    """This thread's sockets are made in that namespace."""
    here, there = os.open("/proc/self/ns/net", os.O_RDONLY), os.open(f"/run/netns/{name}", os.O_RDONLY)
    libc_setns(there)
    try:
        yield
    finally:
        libc_setns(here)
        os.close(here), os.close(there)


def libc_setns(fd):
    import ctypes
    if ctypes.CDLL(None, use_errno=True).setns(fd, 0x40000000):
        raise OSError(ctypes.get_errno(), "setns")


class Probe:
    """`amonc run` in a namespace, attached once the constructor returns; stop() gives its last read."""

    def __init__(self, name, interface, spec, *flags):
        self.process = subprocess.Popen(
            ["nsenter", f"--net=/run/netns/{name}", AMONC, "run", "-i", interface, "-e", spec, "-f", "jsonl", "--interval", "1h", *flags],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.first = self.process.stderr.readline()
        if not self.first.startswith("amonc: ") or "error" in self.first:
            raise RuntimeError(self.first + self.process.stderr.read())

    def stop(self):
        time.sleep(0.1)
        self.process.send_signal(signal.SIGINT)
        out, err = self.process.communicate(timeout=20)
        if self.process.returncode:
            raise RuntimeError(err)
        return json.loads(out.splitlines()[-1])


def send_raw(interface, frames):
    with inside(LEFT):
        s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
        s.bind((interface, 0))
    for frame in frames:
        s.send(frame)
    s.close()


def udp_frame(i, size):
    """An Ethernet frame of `size` bytes: IPv4, UDP, from port 1000 + i % 50."""
    payload = bytes(size - 42)
    ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, size - 14, i & 0xffff, 0, 64, 17, 0, bytes([10, 9, 0, 1]), bytes([10, 9, 0, 2]))
    return bytes.fromhex("0200000000020200000000010800") + ip + struct.pack("!HHHH", 1000 + i % 50, 9, size - 34, 0) + payload


def conserved(what, section):
    """selected = in_rows + other + unaccounted, for every table."""
    for name, table in section["ledger"]["tables"].items():
        for unit in ("packets", "bytes"):
            parts = table["in_rows"][unit] + table.get("other", {}).get(unit, 0)
            parts += sum(cause[unit] for cause in table["unaccounted"].values())
            check(f"{what}: ledger of {name}, {unit}", parts, table["selected"][unit])


@contextlib.contextmanager
def one_cpu():
    """What is sent meanwhile is sent, and received over a veth pair, by one CPU."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def test_hooks():
    body = """{ where udp and udp.dstport == 9;
        metric packets = count(); metric bytes = sum(frame.len) unit bytes; metric largest = max(frame.len);
        table ports by udp.srcport size 40 overflow other { metric packets = count(); metric bytes = sum(frame.len); } }"""
    frames = [udp_frame(i, 60 + i * 7 % 1400) for i in range(5000)]
    wanted = {"packets": len(frames), "bytes": sum(map(len, frames)), "largest": max(map(len, frames))}
    # each hook as it is here, and as it is where the kernel lacks something: what is counted is the same
    lacking = {"ingress xdp": ("no-native-xdp", "no-batch"), "ingress tc": ("no-tcx", "no-tcx,no-batch"),
               "ingress": ("no-native-xdp", "no-native-xdp,no-tcx"), "egress": ("no-tcx",)}
    for hook in ("ingress xdp native", "ingress xdp generic", "ingress xdp", "ingress tc", "ingress", "egress"):
        for target in ("", *lacking.get(hook, ())):
            side, interface = (LEFT, "left0") if hook == "egress" else (RIGHT, "right0")
            probe = Probe(side, interface, f"probe live {{ {hook} {body} }}", *(("--target", target) if target else ()))
            with one_cpu():  # a full table has as many rows as its size says for each CPU that packets come to
                send_raw("left0", frames)
            section = next(v for k, v in probe.stop().items() if k in ("ingress", "egress"))
            name = f"{hook} {target}".strip()
            if "xdp" in hook or hook == "ingress":
                native = "no-native-xdp" not in target and "generic" not in hook
                kind = "xdp" if native or "xdp" in hook else "tc"
                check(f"{name}: hook", section["hooks"][0], {"direction": "ingress", "type": kind, **(
                    {"mode": "native" if native else "generic"} if kind == "xdp" else {})})
            check(f"{name}: metrics", section["metrics"], wanted)
            table = section["tables"]["ports"]
            check(f"{name}: rows", len(table["rows"]), 40)
            check(f"{name}: rows and other add up", sum(r["packets"] for r in table["rows"]) + table["other"]["packets"], len(frames))
            conserved(name, section)
    left = subprocess.run(f"bpftool net show dev right0 2>/dev/null | grep amon", shell=True, capture_output=True, text=True)
    check("nothing is left attached", left.stdout, "")


# --- super-packets

class Sniffer:
    """Everything that enters an interface, with the virtio header that tells super-packets."""

    def __init__(self, name, interface):
        with inside(name):
            self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
            self.socket.setsockopt(263, 15, 1)  # SOL_PACKET, PACKET_VNET_HDR
            self.socket.setsockopt(socket.SOL_SOCKET, 33, 512 << 20)  # SO_RCVBUFFORCE
            self.socket.bind((interface, 3))
        self.buffers, self.going = [], True
        self.thread = threading.Thread(target=self.loop)
        self.thread.start()

    def loop(self):
        while self.going or select.select([self.socket], [], [], 0)[0]:
            if select.select([self.socket], [], [], 0.1)[0]:
                data, address = self.socket.recvfrom(200000)
                if address[2] != 4:  # not what this host sends
                    self.buffers.append(data)

    def stop(self):
        time.sleep(0.3)
        self.going = False
        self.thread.join()
        dropped = struct.unpack("II", self.socket.getsockopt(263, 6, 8))[1]
        self.socket.close()
        assert not dropped, "the sniffer lost packets"
        return self.buffers


def wire_packets(buffer):
    """(frame length, IP length, TCP flags or None) of each wire packet of a buffer."""
    gso_type, gso_size = struct.unpack_from("=BxxHxxxx"[:2] + "xxH", buffer, 1)[0], struct.unpack_from("=H", buffer, 4)[0]
    frame = buffer[10:]
    kind = struct.unpack_from("!H", frame, 12)[0]
    if kind == 0x0800:
        proto, l4 = frame[23], 14 + (frame[14] & 15) * 4
    elif kind == 0x86dd:
        proto, l4 = frame[20], 54
    else:
        return
    tcp = proto == 6
    headers = l4 + ((frame[l4 + 12] >> 4) * 4 if tcp else 8)
    flags = struct.unpack_from("!H", frame, l4 + 12)[0] & 0xfff if tcp else None
    payload = len(frame) - headers
    if not gso_type & 0x7f:
        yield len(frame), len(frame) - 14, flags
        return
    count = -(-payload // gso_size)
    for i in range(count):
        size = gso_size if i < count - 1 else payload - gso_size * (count - 1)
        piece = flags
        if tcp and i < count - 1:
            piece &= ~0x009
        if tcp and i > 0:
            piece &= ~0x080
        yield headers + size, headers + size - 14, piece


SUPER = """{ where tcp.srcport == 5000 or tcp.dstport == 5000 or udp.dstport == 5000;
    metric packets = count(); metric bytes = sum(frame.len) unit bytes; metric ip_bytes = sum(net.len) unit bytes;
    metric payload = sum(l4.len) unit bytes;
    metric sizes = histogram(frame.len, [64, 128, 512, 1024, 1500, 1518]); metric large = count() where frame.len > 1500;
    metric push = count() where tcp.flags.push; metric fin = count() where tcp.flags.fin; metric cwr = count() where tcp.flags.cwr;
    metric largest = max(frame.len); metric smallest = min(frame.len);
    metric buffers = histogram(frame.segments, log2);
    table flows by flow size 64 { metric packets = count(); metric flags = bit_or(tcp.flags); } }"""


def expected(buffers):
    wire = [piece for buffer in buffers for piece in wire_packets(buffer)]
    return {"packets": len(wire), "bytes": sum(w[0] for w in wire), "ip_bytes": sum(w[1] for w in wire),
            "large": sum(w[0] > 1500 for w in wire), "push": sum(bool(w[2] and w[2] & 8) for w in wire),
            "fin": sum(bool(w[2] and w[2] & 1) for w in wire), "cwr": sum(bool(w[2] and w[2] & 0x80) for w in wire),
            "largest": max(w[0] for w in wire), "smallest": min(w[0] for w in wire)}


def compare_super(name, section, buffers, supers_wanted):
    wanted, metrics = expected(buffers), section["metrics"]
    for metric, value in wanted.items():
        check(f"{name}: {metric}", metrics[metric], value)
    check(f"{name}: buffers", metrics["buffers"]["count"], len(buffers))
    check(f"{name}: segments of the buffers", metrics["buffers"]["sum"], wanted["packets"])
    check(f"{name}: histogram", metrics["sizes"]["count"], wanted["packets"])
    check(f"{name}: rows", sum(r["packets"] for r in section["tables"]["flows"]["rows"]), wanted["packets"])
    if supers_wanted:
        check(f"{name}: there were super-packets", wanted["packets"] > 2 * len(buffers), True)
    conserved(name, section)


def transfer(family, address, amount):
    with inside(RIGHT):
        server = socket.socket(family, socket.SOCK_STREAM)
        server.bind((address, 5000))
        server.listen(1)
    with inside(LEFT):
        client = socket.socket(family, socket.SOCK_STREAM)
        client.connect((address, 5000))
    peer = server.accept()[0]
    def drain():
        while peer.recv(1 << 20):
            pass
        peer.close()
    thread = threading.Thread(target=drain)
    thread.start()
    client.sendall(bytes(amount))
    client.shutdown(socket.SHUT_WR)
    thread.join()
    client.close(), server.close()


def udp_segments():
    with inside(LEFT):
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        s.setsockopt(17, 103, 1000)  # UDP_SEGMENT
    for size in (1000, 1001, 2000, 9999, 30000, 500):
        s.sendto(bytes(size), ("10.9.0.2", 5000))
    s.close()


def relevant(buffers):
    """What SUPER's `where` selects."""
    for buffer in buffers:
        frame = buffer[10:]
        kind = struct.unpack_from("!H", frame, 12)[0]
        if kind == 0x0800:
            proto, l4 = frame[23], 14 + (frame[14] & 15) * 4
        elif kind == 0x86dd:
            proto, l4 = frame[20], 54
        else:
            continue
        ports = struct.unpack_from("!HH", frame, l4)
        if (proto == 6 and 5000 in ports) or (proto == 17 and ports[1] == 5000):
            yield buffer


def test_super_packets():
    cases = (("IPv4 TCP", lambda: transfer(socket.AF_INET, "10.9.0.2", 20 << 20), True),
             ("IPv6 TCP", lambda: transfer(socket.AF_INET6, "fd09::2", 20 << 20), True),
             ("UDP_SEGMENT", udp_segments, True))
    for name, traffic, supers in cases:
        for hook in ("ingress tc", "egress"):
            sniffer = Sniffer(RIGHT, "right0")
            side, interface = (LEFT, "left0") if hook == "egress" else (RIGHT, "right0")
            probe = Probe(side, interface, f"probe live {{ {hook} {SUPER} }}")
            traffic()
            read = probe.stop()
            compare_super(f"{name}, {hook}", read[hook.split()[0]], list(relevant(sniffer.stop())), supers)


def test_offloads_do_not_matter():
    """The same transfer with and without segmentation offload: what was cut in the stack or not at all adds up alike."""
    for state in ("on", "off"):
        sh(f"nsenter --net=/run/netns/{LEFT} ethtool -K left0 tso {state} gso {state}")
        sh(f"nsenter --net=/run/netns/{RIGHT} ethtool -K right0 gro {state}")
        sniffer = Sniffer(RIGHT, "right0")
        probe = Probe(RIGHT, "right0", f"probe live {{ ingress tc {SUPER} }}")
        transfer(socket.AF_INET, "10.9.0.2", 8 << 20)
        section = probe.stop()["ingress"]
        compare_super(f"offloads {state}", section, list(relevant(sniffer.stop())), state == "on")
        # retransmissions can only add
        check(f"offloads {state}: the payload is there", section["metrics"]["payload"] >= 8 << 20, True)
    sh(f"nsenter --net=/run/netns/{LEFT} ethtool -K left0 tso on gso on")


def test_payload_beyond_the_linear_part():
    """Of local TCP only the headers are linear: slices are read all the same."""
    spec = """probe live { ingress tc { where tcp.dstport == 5000 and l4.len > 100;
        metric zeros = count() where tcp.payload[0:8] == 0 and tcp.payload[90] == 0; metric all = count(); } }"""
    probe = Probe(RIGHT, "right0", spec)
    transfer(socket.AF_INET, "10.9.0.2", 4 << 20)
    metrics = probe.stop()["ingress"]["metrics"]
    check("payload slices of super-packets", metrics["zeros"], metrics["all"])
    check("there was payload", metrics["all"] > 1000, True)


def test_interface_vanishes():
    sh(f"ip -n {LEFT} link add gone0 type veth peer name gone1; ip -n {LEFT} link set gone0 up")
    probe = Probe(LEFT, "gone0", "metric packets = count();")
    sh(f"ip -n {LEFT} link del gone0")
    _, err = probe.process.communicate(timeout=20)
    check("an interface that vanishes: exit status", probe.process.returncode, 5)
    check("an interface that vanishes: is named", "gone0" in err, True)


def test_killed_process():
    """kill -9 leaves traffic flowing, and the next command sweeps."""
    for hook in ("ingress xdp native", "ingress tc"):
        probe = Probe(RIGHT, "right0", f"probe killed {{ {hook} {{ metric packets = count(); }} }}")
        probe.process.kill()
        probe.process.wait()
        sh(f"nsenter --net=/run/netns/{LEFT} ping -q -c 3 -i 0.01 -W 1 10.9.0.2")
        again = Probe(RIGHT, "right0", f"probe after {{ {hook} {{ where udp; metric packets = count(); }} }}")
        send_raw("left0", [udp_frame(i, 100) for i in range(100)])
        check(f"{hook}: the next probe after kill -9", again.stop()["ingress"]["metrics"]["packets"], 100)


# --- rows that end

def tcp_frame(port, flags):
    ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 40, 0, 0, 64, 6, 0, bytes([10, 9, 0, 1]), bytes([10, 9, 0, 2]))
    return bytes.fromhex("0200000000020200000000010800") + ip + struct.pack("!HHIIHHHH", port, 9, 0, 0, 5 << 12 | flags, 0, 0, 0)


FLOWS = """probe flows { %s ingress xdp { where ip and (udp.dstport == 9 or tcp.dstport == 9);
    table flows by port = l4.srcport size 1Ki expire idle 600ms active 1500ms when tcp.flags.fin linger 200ms {
        metric packets = count(); metric bytes = sum(frame.len); metric start = first(frame.time); metric end = last(frame.time);
        derive span = end - start unit seconds; } } }"""


def send_flows(between, one_cpu=True):
    """What is sent, in order, with 50 ms from step to step; `between` is called now and then. Returns the packets sent by port. One CPU
    sees a flow, as receive-side scaling has it, or all of them do in turns."""
    sent, fin, ack, cpus = {}, 1, 16, sorted(os.sched_getaffinity(0))
    for step in range(80):
        os.sched_setaffinity(0, {cpus[0 if one_cpu else step % len(cpus)]})
        frames = [udp_frame(0, 60), tcp_frame(4000, ack)]                                  # 1000 and 4000: for four seconds
        frames += [udp_frame(1, 60)] if step < 5 or 40 <= step < 45 else []                # 1001: silent for 1.75 s
        frames += [udp_frame(2, 60)] if step % 2 == 0 else []                              # 1002: never silent for 600 ms
        frames += [tcp_frame(4001, fin | ack if step == 10 else ack)] if step < 13 else []  # 4001: 100 ms behind its FIN
        frames += [tcp_frame(4002, fin | ack)] if step % 8 == 0 else []                    # 4002: each FIN ends a row
        send_raw("left0", frames)
        for frame in frames:
            port = int.from_bytes(frame[34:36], "big")
            sent[port] = sent.get(port, 0) + 1
        time.sleep(0.05)
        if step % 7 == 6:
            between()
    os.sched_setaffinity(0, cpus)
    return sent


def check_flows(what, documents, sent):
    rows = {}
    for document in documents:
        for row in document["ingress"]["tables"]["flows"]["rows"]:
            rows.setdefault(row["port"], []).append(row)
        check(f"{what}: other", document["ingress"]["tables"]["flows"]["other"], None)
    for port, packets in sent.items():
        check(f"{what}: packets of {port}, each in one row", sum(row["packets"] for row in rows.get(port, [])), packets)
    reasons = {port: [row["end_reason"] for row in mine] for port, mine in rows.items()}
    check(f"{what}: silence", (reasons[1001], [row["packets"] for row in rows[1001]]), (["idle", "idle"], [5, 5]))
    check(f"{what}: FIN", (reasons[4001], rows[4001][0]["packets"]), (["end"], 13))
    check(f"{what}: a FIN each", (set(reasons[4002]), {row["packets"] for row in rows[4002]}), ({"end"}, {1}))
    for port in (1000, 1002, 4000):
        check(f"{what}: {port} goes on", set(reasons[port][:-1]), {"active"})
        check(f"{what}: {port} is cut by age", max(row["span"] for row in rows[port]) < 1.51, True)
        mine = sorted(rows[port], key=lambda row: row["start"])
        check(f"{what}: {port} is one row behind the other", all(a["end"] < b["start"] for a, b in zip(mine, mine[1:])), True)


def test_flows():
    """Each flow once, with its whole life: while it is watched, and by one read after the other of what was left running."""
    for window in ("", "window 300ms;"):
        process = subprocess.Popen(["nsenter", f"--net=/run/netns/{RIGHT}", AMONC, "run", "-i", "right0", "-e", FLOWS % window, "-f", "jsonl"],
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        process.stderr.readline()
        sent = send_flows(lambda: None)
        time.sleep(0.9)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)
        check(f"flows {window}: status", (process.returncode, err), (0, ""))
        check_flows(f"flows {window}", [json.loads(line) for line in out.splitlines()], sent)


REMEMBERED = """probe flows { %s ingress xdp { where ip and (udp.dstport == 9 or tcp.dstport == 9);
    table flows by port = l4.srcport size 1Ki expire idle 600ms active 1500ms when tcp.flags.fin linger 200ms {
        state before = count(); metric packets = count(); metric nth = max(before); metric firsts = count() where not present(prev(frame.time));
        metric counted : u32 = 0 next counted + 1; metric longest = max(delta(frame.time)); } } }"""


def test_remembered_flows():
    """What packets remember of a flow ends with it, though CPUs see it in turns, whatever windows cut."""
    for window in ("", "window 300ms;"):
        process = subprocess.Popen(["nsenter", f"--net=/run/netns/{RIGHT}", AMONC, "run", "-i", "right0", "-e", REMEMBERED % window, "-f", "jsonl"],
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        process.stderr.readline()
        sent = send_flows(lambda: None, one_cpu=False)
        time.sleep(0.9)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)
        what, rows = f"remembered flows {window}", {}
        check(f"{what}: status", (process.returncode, err), (0, ""))
        for line in out.splitlines():
            for row in json.loads(line)["ingress"]["tables"]["flows"]["rows"]:
                rows.setdefault(row["port"], []).append(row)
        told = {port: [(row["packets"], row["nth"], row["firsts"], row["end_reason"]) for row in mine] for port, mine in rows.items()}
        check(f"{what}: silence", told[1001], [(5, 4, 1, "idle")] * 2)
        check(f"{what}: FIN", told[4001], [(13, 12, 1, "end")])
        check(f"{what}: a FIN each", told[4002], [(1, 0, 1, "end")] * sent[4002])
        for port, packets in sent.items():
            check(f"{what}: packets of {port}", sum(row["packets"] for row in rows[port]), packets)
            check(f"{what}: folds of {port} are the row's", [row["counted"] for row in rows[port]], [row["packets"] for row in rows[port]])
        for port in (1000, 1002, 4000):
            mine = told[port]
            check(f"{what}: {port} is one flow", (sum(row[2] for row in mine), mine[-1][1]), (1, sent[port] - 1))
            check(f"{what}: {port} is told in parts", {row[3] for row in mine[:-1]}, {"active"})
            check(f"{what}: gaps of {port}", all(40e6 < row["longest"] < 600e6 for row in rows[port]), True)


def test_flows_of_deployed_probe():
    def amonc(*arguments):
        return subprocess.run(["nsenter", f"--net=/run/netns/{RIGHT}", AMONC, *arguments], capture_output=True, text=True)

    def read():
        # a reader that cannot write leaves its window to the next
        check("deployed flows: no room", amonc("read", "flows", "-f", "jsonl", "-o", "/dev/full").returncode, 1)
        documents.append(json.loads(amonc("read", "flows", "-f", "jsonl").stdout))
    documents = []
    check("deployed flows", amonc("deploy", "-i", "right0", "-e", FLOWS % "").returncode, 0)
    sent = send_flows(read)
    send_raw("left0", [udp_frame(3, 60)])
    documents.append(json.loads(amonc("remove", "flows", "-f", "jsonl").stdout))
    sent[1003] = 1
    check("deployed flows: windows", [document["window"]["sequence"] for document in documents], list(range(1, len(documents) + 1)))
    last = documents[-1]["ingress"]["tables"]["flows"]["rows"]
    check("deployed flows: what is open at the end", [row["end_reason"] for row in last if row["port"] == 1003], ["forced"])
    for row in last:
        row["end_reason"] = "idle" if row["port"] in (1000, 1001, 1002, 4000) else row["end_reason"]
    check_flows("deployed flows", documents, sent)
    check("deployed flows: gone", amonc("list").stdout.strip(), "")


def main():
    # what runs this behind others may have had it ignored, and a command leaves signals ignored that were so
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    with network():
        for test in (test_hooks, test_super_packets, test_offloads_do_not_matter, test_payload_beyond_the_linear_part,
                     test_interface_vanishes, test_killed_process, test_flows, test_remembered_flows, test_flows_of_deployed_probe):
            try:
                test()
            except Exception as error:  # one broken test does not hide the others
                failures.append(test.__name__)
                print(f"FAILED {test.__name__}: {error!r}")
    print(f"{passed} passed, {len(failures)} failed")
    sys.exit(bool(failures))


main()
