#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The net plugin's figures beside those of podman and of veth pairs made by hand, interleaved in one run.

    ./dev bench net [--rounds N] [--seconds N] [--endpoints N] [--only NAME] [--quick]

start: create and start of a container, and its deletion: with a bare network namespace, with an endpoint of the
default network and one published port, and podman's run and rm of the same.  many: creates while all before live on,
and the same number of veth pairs by hand.  throughput: one TCP connection, from a namespace that is the world to a
published port, and from a container to this host.  Everything is in network namespaces of this run's own.

Prints a line per figure, with both sides' medians, and a table; writes tests/bench/results-net.json.
"""
import argparse
import contextlib
import json
import os
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "integration"), str(HERE)]
POOL = 4      # of the supervisor's configuration: so many starts find their namespace made
SETTLE = 0.2  # the pool is filled again, and what was deleted is gone
CLONE_NEWNS = 0x20000


def milliseconds(function):
    begin = time.monotonic()
    function()
    return (time.monotonic() - begin) * 1000


def first_line(*words):
    """Of what a program says when it is asked for its version; "" where it is not there."""
    try:
        done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    except OSError:
        return ""
    return done.stdout.strip().split("\n")[0]


def peers():
    podman = re.sub(r" version ", " ", first_line("podman", "--version"))
    netavark = first_line("/usr/lib/podman/netavark", "--version") or first_line("dpkg-query", "-W", "netavark")
    return "%s (%s, runc %s)" % (podman, netavark.replace("\t", " "), first_line("runc", "--version").split()[-1])


@contextlib.contextmanager
def before_others(pid):
    """This process and all threads of that one run first, where that is allowed: what else is done on the machine changes
    in the seconds between the first and the last."""
    threads = [0, *map(int, os.listdir("/proc/%d/task" % pid))]

    def schedule(policy, priority):
        for thread in threads:
            with contextlib.suppress(OSError):
                os.sched_setscheduler(thread, policy, os.sched_param(priority))
    schedule(os.SCHED_FIFO, 1)
    try:
        yield
    finally:
        schedule(os.SCHED_OTHER, 0)


class Bench:
    def __init__(self, options):
        self.options = options
        self.figures = []

    def value(self, what, values, unit, **more):
        """A median with nothing to compare it with."""
        m = statistics.median(values)
        self.figures.append(dict(what=what, value=round(m, 3), unit=unit, target=None, good="less", met=None, **more))
        print("%-54s %9.2f %-9s" % (what, m, unit), flush=True)

    def ratio(self, what, ours, theirs, target=None, good="less"):
        a, b = statistics.median(ours), statistics.median(theirs)
        x = a / b
        met = None if target is None else x <= target if good == "less" else x >= target
        self.figures.append(dict(what=what, value=round(x, 3), unit="x", target=target, good=good, met=met,
                                 ours=round(a, 3), theirs=round(b, 3)))
        aim = "" if target is None else "%s %g" % ("<=" if good == "less" else ">=", target)
        print("%-54s %9.2f %9.2f %6.2f x  %-7s %s" % (what, a, b, x, aim, {True: "met", False: "MISSED", None: ""}[met]),
              flush=True)

    def results(self):
        uname = os.uname()
        cc = pathlib.Path("/proc/sys/net/ipv4/tcp_congestion_control").read_text().strip()
        return {"kernel": uname.release, "cores": os.cpu_count(), "rounds": self.options.rounds,
                "peers": peers(), "congestion_control": cc, "figures": self.figures}


# ---- start and delete

def cowherd_cycle(s, **more):
    """What create and start took, and what delete did."""
    c, made = s.connection, []
    spec = box.sh(s, "true")

    def run():
        made.append(c.call("container.create", spec=spec, **more)["id"])
        c.call("container.start", container=made[0])
    began = milliseconds(run)
    c.call("container.wait", container=made[0])
    ended = milliseconds(lambda: box.delete(s, made[0]))
    time.sleep(SETTLE)
    return began, ended


def podman_cycle(podman):
    done = []
    began = milliseconds(lambda: done.append(podman.run("started", "8300:80", "/bin/true")))
    assert done[0].returncode == 0, done[0].stdout
    ended = milliseconds(lambda: podman("rm", "-f", "-t", "0", "started"))
    return began, ended


def start(bench, s, podman):
    bare, nat, peer = [], [], []
    cowherd_cycle(s, network="nat")  # the bridge, the rules and the pool are there
    for _ in range(bench.options.rounds):
        bare.append(cowherd_cycle(s))
        nat.append(cowherd_cycle(s, network="nat", ports=["8301:80"]))
        peer.append(podman_cycle(podman))
    bare, nat, peer = (list(zip(*rows)) for rows in (bare, nat, peer))
    bench.value("start of a container with a NAT endpoint and a port", nat[0], "ms")
    bench.ratio("  / with a bare network namespace", nat[0], bare[0], 1.3)
    bench.ratio("  / podman run with the same", nat[0], peer[0], 0.3)
    bench.value("delete of it", nat[1], "ms")
    bench.ratio("  / podman rm -f", nat[1], peer[1])


# ---- many

def create_many(s, count):
    """What each create took, and then each delete."""
    took, made = [], []
    for i in range(POOL + count):
        spec = box.sh(s, "true")
        took.append(milliseconds(lambda spec=spec, i=i: made.append(s.connection.call(
            "container.create", spec=spec, network="nat", ports=["%d:80" % (9000 + i)])["id"])))
    gone = [milliseconds(lambda container=container: box.delete(s, container)) for container in made]
    return took[POOL:], gone  # without those from the pool


def many(bench, s, _):
    count = bench.options.endpoints
    few = max(count // 10, 1)
    with before_others(s.process.pid):
        took, gone = create_many(s, count)
        time.sleep(SETTLE)
        with net_hand.Loop() as loop:
            hand = [milliseconds(loop.add) for _ in range(count)]
    bench.value("create with an endpoint, the first %d of %d" % (few, count), took[:few], "ms")
    bench.ratio("  the last %d / the first" % few, took[-few:], took[:few], 1.1)
    bench.ratio("  the same of veth pairs on a bridge by hand", hand[-few:], hand[:few])
    bench.value("delete of one of %d" % count, gone, "ms")


# ---- throughput

# Says how many bytes it read of each connection, and in which time, without the first moments of it.
SERVER = r"""
import contextlib, socket, struct, sys, time
server = socket.create_server(("", int(sys.argv[1])))
buffer = bytearray(1 << 17)
while True:
    connection, _ = server.accept()
    with connection, contextlib.suppress(OSError):
        total, begin = 0, time.monotonic()
        ready = begin + float(sys.argv[2]) / 5
        while n := connection.recv_into(buffer):
            now = time.monotonic()
            if now < ready:
                begin = now
            else:
                total += n
        connection.send(struct.pack("Qd", total, time.monotonic() - begin))
"""
CLIENT = r"""
import socket, struct, sys, time
data = bytes(1 << 17)
with socket.create_connection((sys.argv[1], int(sys.argv[2])), 10) as connection:
    end = time.monotonic() + float(sys.argv[3])
    while time.monotonic() < end:
        connection.sendall(data)
    connection.shutdown(socket.SHUT_WR)
    total, seconds = struct.unpack("Qd", connection.recv(16, socket.MSG_WAITALL))
print(total * 8 / seconds / 1e9)
"""
# Before whatever else runs on the machine, where that is allowed; servers in containers cannot, ours or podman's.
FIRST = ["chrt", "-f", "1"] if subprocess.run(["chrt", "-f", "1", "true"], stderr=subprocess.DEVNULL).returncode == 0 else []


def python(script, *words):
    return ["/usr/bin/python3", "-I", "-S", "-c", script, *map(str, words)]


def gbits(ns, address, port, seconds):
    """Throughput of one connection from a namespace."""
    done = subprocess.run([*FIRST, "nsenter", "-t", str(ns), "-n", *python(CLIENT, address, port, seconds)],
                          stdout=subprocess.PIPE, check=True, timeout=seconds + 20)
    return float(done.stdout)


class Hand:
    """A namespace at the end of a veth pair, and nothing else; or with a bridge between, as a container's."""

    def __init__(self, name, net, bridge=None):
        self.name, self.net, self.bridge = name, net, bridge

    def __enter__(self):
        self.process = subprocess.Popen(["unshare", "-n", "sh", "-c", "ip link set lo up; echo; exec sleep 100000"],
                                        stdout=subprocess.PIPE)
        self.process.stdout.readline()
        self.pid = self.process.pid
        netbox.ip("link", "add", self.name, "type", "veth", "peer", "name", "eth0", "netns", str(self.pid))
        if self.bridge:
            netbox.ip("link", "add", self.bridge, "type", "bridge")
            netbox.ip("link", "set", self.name, "master", self.bridge)
            netbox.ip("link", "set", self.bridge, "up")
        netbox.ip("addr", "add", self.net + ".1/24", "dev", self.bridge or self.name)
        netbox.ip("link", "set", self.name, "up")
        netbox.ip("addr", "add", self.net + ".2/24", "dev", "eth0", ns=self.pid)
        netbox.ip("link", "set", "eth0", "up", ns=self.pid)
        return self

    def __exit__(self, *ignored):
        netbox.ip("link", "delete", self.name)
        if self.bridge:
            netbox.ip("link", "delete", self.bridge)
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


def gateway_of(pid):
    found = json.loads(netbox.ip("-j", "route", "show", "default", ns=pid))
    return found[0]["gateway"]


def throughput(bench, s, podman):
    seconds = bench.options.seconds
    ours = box.start(s, box.spec(s, *python(SERVER, 5201, seconds)), ports=["8101:5201"], network="nat")
    pid = s.connection.call("container.inspect", container=ours)["pid"]
    done = podman.run("server", "8100:5201", *python(SERVER, 5201, seconds))
    assert done.returncode == 0, done.stdout
    server = subprocess.Popen([*FIRST, *python(SERVER, 5999, seconds)])
    for port in 8100, 8101:
        cow.wait_for(lambda port=port: s.world.call(lambda: netbox.reachable("192.0.2.1", port)), "the server at %d" % port)
    nat, peer, host, hand, bridged = [], [], [], [], []
    with Hand("hand0", "198.51.100") as direct, Hand("hand1", "203.0.113", "handbr") as behind:
        for _ in range(2 * bench.options.rounds):
            nat.append(gbits(s.world.pid, "192.0.2.1", 8101, seconds))
            peer.append(gbits(s.world.pid, "192.0.2.1", 8100, seconds))
            hand.append(gbits(direct.pid, "198.51.100.1", 5999, seconds))
            host.append(gbits(pid, gateway_of(pid), 5999, seconds))
            bridged.append(gbits(behind.pid, "203.0.113.1", 5999, seconds))
    server.kill()
    server.wait()
    bench.value("throughput to the host", host, "Gbit/s")
    bench.ratio("  / a veth pair by hand", host, hand, 0.97, "more")
    bench.ratio("  / one by hand with a bridge", host, bridged)
    bench.value("throughput from outside to a published port", nat, "Gbit/s")
    bench.ratio("  / podman", nat, peer, 0.95, "more")


def alone():
    """A mount namespace of its own: what others mount meanwhile is not taken for something left behind."""
    if netbox.LIBC.unshare(CLONE_NEWNS) < 0:
        sys.exit("bench: no mount namespace: is this root?")
    subprocess.run(["mount", "--make-rprivate", "/"], check=True)


def no_bridge_netfilter():
    """As on a Debian whose br_netfilter is not loaded: a kernel that has it built in begins with it in each namespace."""
    for word in "iptables", "ip6tables", "arptables":
        path = pathlib.Path("/proc/sys/net/bridge/bridge-nf-call-" + word)
        if path.exists():
            path.write_text("0")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default=HERE.parents[1] / "build")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--seconds", type=float, default=0.3, help="of one measurement of throughput")
    parser.add_argument("--endpoints", type=int, default=200)
    parser.add_argument("--only", choices=[f.__name__ for f in (start, many, throughput)])
    parser.add_argument("--quick", action="store_true", help="three rounds, 40 endpoints")
    options = parser.parse_args()
    if options.quick:
        options.rounds, options.endpoints = 3, 40
    os.environ["COW_BUILD"] = str(pathlib.Path(options.build).resolve())
    os.environ["COW_SOURCE"] = str(HERE.parents[1])
    tempfile.tempdir = "/dev/shm"  # volatile state is on a tmpfs, as /run is everywhere but in some sandboxes
    global netbox, net_hand, box, cow  # pylint: disable=global-statement; netbox enters a namespace at once
    import netbox
    import net_hand
    import box
    import cow
    import table
    import test_net_ports
    bench = Bench(options)
    alone()
    no_bridge_netfilter()
    with test_net_ports.herd({"plugins": {"net": {"pool": POOL}}}) as s, test_net_ports.Podman(s) as podman:
        print("%-54s %9s %9s %8s  %s" % ("beside " + peers(), "ours", "theirs", "ratio", "target"))
        for figure in start, many, throughput:
            if options.only in (None, figure.__name__):
                figure(bench, s, podman)
    print("\n" + table.table(bench.results()))
    if not options.only and not options.quick:
        (HERE / "results-net.json").write_text(json.dumps(bench.results(), indent=1) + "\n")


if __name__ == "__main__":
    main()
