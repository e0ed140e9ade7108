# SPDX-License-Identifier: Apache-2.0
"""Probes in user space on the same veth: generator and probe share a core, NetFlow v9 goes to nfcapd on loopback."""
import os
import re
import shutil
import subprocess
import time

from measure import ratios, spread, table

FLOWS = 32768
BUFFER = 64 << 20  # what has not been taken from the interface yet; its default loses nearly all in bursts
PMACCT = """daemonize: false
pcap_interface: v0
pmacctd_pipe_size: {buffer}
aggregate: src_host, dst_host, src_port, dst_port, proto, tos, tcpflags
plugins: nfprobe
plugin_pipe_size: 67108864
plugin_buffer_size: 65536
nfprobe_receiver: 127.0.0.1:9995
nfprobe_version: 9
nfprobe_maxflows: {flows}
nfprobe_timeouts: maxlife=3600
"""


def softflowd(folder):
    return ["softflowd", "-d", "-i", "v0", "-n", "127.0.0.1:9995", "-v", "9", "-m", str(FLOWS), "-t", "maxlife=3600", "-B", str(BUFFER),
            "-p", folder / "softflowd.pid", "-c", folder / "softflowd.ctl"]


def pmacctd(folder):
    (folder / "pmacctd.conf").write_text(PMACCT.format(flows=FLOWS, buffer=BUFFER))
    return ["pmacctd", "-f", folder / "pmacctd.conf"]


def flush_softflowd(folder):
    """It would take what it has not exported with it; the second time for what was still in its buffer."""
    for _ in range(2):
        subprocess.run(["softflowctl", "-c", folder / "softflowd.ctl", "expire-all"], stdout=subprocess.DEVNULL)
        time.sleep(1)


# Program, Debian's package, its command line, what must be done before it ends.
PEERS = (("softflowd", "softflowd", softflowd, flush_softflowd), ("pmacctd", "pmacct", pmacctd, None))


def descendants(pid):
    yield pid
    for child in open(f"/proc/{pid}/task/{pid}/children").read().split():
        yield from descendants(int(child))


def status(pid, name):
    return int(re.search(rf"{name}:\s+(\d+)", open(f"/proc/{pid}/status").read())[1])


def cpu_seconds(pids):
    words = [open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split() for pid in pids]
    return sum(int(word[11]) + int(word[12]) for word in words) / os.sysconf("SC_CLK_TCK")


class Peer:
    """One run of one probe."""

    def __init__(self, run, name, command, flush):
        folder = run.folder / name
        shutil.rmtree(folder, ignore_errors=True)
        (folder / "flows").mkdir(parents=True)
        self.enter = ["nsenter", f"--net=/proc/{run.driver.process.pid}/ns/net"]
        self.flush, self.folder, self.log = flush, folder, open(folder / "log", "w")
        self.collector = self.start("nfcapd", "-w", folder / "flows", "-p", "9995", "-b", "127.0.0.1", "-t", "3600", "-B", "33554432")
        self.probe = self.start("taskset", "-c", "1", *command(folder))
        self.wait_until_it_listens()

    def start(self, *words):
        return subprocess.Popen([*self.enter, *map(str, words)], stdout=self.log, stderr=self.log)

    def wait_until_it_listens(self):
        """Until there is a packet socket in its network, and a moment for what it starts behind it."""
        for _ in range(300):
            time.sleep(0.1)
            if self.probe.poll() is not None:
                raise SystemExit(f"{self.probe.args}: " + (self.folder / "log").read_text()[-500:])
            if len(open(f"/proc/{self.probe.pid}/net/packet").readlines()) > 1:
                break
        time.sleep(2)

    def measure(self, run):
        """Packets sent; packets in its exports; bytes of memory of its own; its CPU seconds and the generator's."""
        cost, sent, *_ = run.driver.ask("live", "base", run.options.peer_seconds)
        pids = list(descendants(self.probe.pid))
        busy = cpu_seconds(pids)
        memory = sum(status(pid, "RssAnon") for pid in pids) * 1024
        self.stop()
        return sent, self.exported(), memory, busy, cost * sent / 1e9

    def stop(self):
        if self.flush:
            self.flush(self.folder)
        self.probe.terminate()
        self.probe.wait(60)
        time.sleep(1)
        self.collector.terminate()
        self.collector.wait(60)
        self.log.close()

    def exported(self):
        text = subprocess.run(["nfdump", "-R", self.folder / "flows", "-I"], capture_output=True, text=True).stdout
        found = re.search(r"^Packets: (\d+)", text, re.M)
        return int(found[1]) if found else 0


def missing():
    needed = [("nfcapd", "nfdump"), *((name, package) for name, package, *_ in PEERS)]
    absent = {name: package for name, package in needed if not shutil.which(name)}
    for name, package in absent.items():
        print(f"  {name} is not installed (Debian's package {package}): left out")
    return absent


def compare(run, group, memory):
    print("\nFigure 7, probes in user space: 25,000 sessions; generator and probe share a core; packets that their exports\n"
          "  account for, by the CPU time of both; amon at XDP, on the same veth\n")
    absent = missing()
    peers = [] if "nfcapd" in absent else [peer for peer in PEERS if peer[0] not in absent]
    run.load_hand("base", "empty.bpf.c", TC=True)
    runs = {name: [] for name, *_ in peers}
    for _ in range(run.options.peer_rounds):
        for name, _, command, flush in peers:
            runs[name].append(Peer(run, name, command, flush).measure(run))
    run.driver.ask("free", "base")
    for name in [name for name, of in runs.items() if not all(exported for _, exported, *_ in of)]:
        print(f"  {name} exported nothing: left out")
        del runs[name]
    rates = {name: [exported / (busy + generator) / 1e6 for _, exported, _, busy, generator in of] for name, of in runs.items()}
    rows = [("amon, XDP", "{:.2f}".format(spread(group.rates["amon"])[1]), "100.0%", f"{memory:.0f}", f"{memory / FLOWS:.0f}")]
    for name, of in runs.items():
        resident = max(run[2] for run in of)
        share = spread([exported / sent for sent, exported, *_ in of])[1]
        rows.append((name, f"{spread(rates[name])[1]:.2f}", f"{share:.1%}", f"{resident:.0f}", f"{resident / FLOWS:.0f}"))
    table(("", "Mpps", "of the packets sent", "bytes", "bytes a flow"), rows)
    print()
    if not runs:
        return
    best = max((max(rate), name) for name, rate in rates.items())[1]
    amon = group.rates["amon"]
    run.goal(f"packets of {best}'s,", [min(amon) / max(rates[best]), spread(amon)[1] / spread(rates[best])[1], max(amon) / min(rates[best])]
             if min(rates[best]) else spread(ratios(amon, rates[best])), 10, most=False)
    smallest, name = min((min(run[2] for run in of), name) for name, of in runs.items())
    run.goal(f"bytes, of {name}'s,", [memory / smallest] * 3, 1)
