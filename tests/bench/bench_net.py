#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The net plugin's figures beside podman's and a hand-made veth pair's, interleaved in one run.

    ./dev bench net [--rounds N] [--seconds S] [--endpoints N]

Start: create and start of a container whose first process ends at once, in ms: with a bare network namespace, with an
endpoint of the default network and one published port, and podman's `run` with the same. Endpoints: create time of the
first and the last of many that live at once. Throughput: iperf3, from a namespace that is the world to a published
port, and between a container and this host. Everything runs in network namespaces of its own.
"""
import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "integration"))


def milliseconds(function):
    begin = time.monotonic()
    function()
    return (time.monotonic() - begin) * 1000


def row(name, ours, theirs, wanted, worse=max):
    """One line: medians, and the ratio that is asked for."""
    a, b = statistics.median(ours), statistics.median(theirs)
    good = a / b <= wanted if worse is max else a / b >= wanted
    print("%-44s %9.2f %9.2f   %5.2f  %s %.2f  %s" % (name, a, b, a / b, "<=" if worse is max else ">=", wanted,
                                                   "ok" if good else "NO"))


def starts(s, podman, rounds):
    c = s.connection

    def ours(**more):
        def run():
            made.append(c.call("container.create", spec=box.sh(s, "true"), **more)["id"])
            c.call("container.start", container=made[0])
        made = []
        took = milliseconds(run)
        c.call("container.wait", container=made[0])
        box.delete(s, made[0])
        time.sleep(0.2)  # the pool is filled again
        return took

    def theirs():
        took = milliseconds(lambda: done.append(podman.run("started", "8300:80", "/bin/true")))
        assert done[0].returncode == 0, done[0].stdout
        podman("rm", "-f", "-t", "0", "started")
        return took
    bare, nat, peer = [], [], []
    for _ in range(rounds):
        done = []
        bare.append(ours())
        nat.append(ours(network="nat", ports=["8301:80"]))
        peer.append(theirs())
    row("start, NAT and a port: ours, bare namespace", nat, bare, 1.3)
    row("start, NAT and a port: ours, podman run", nat, peer, 0.3)


def endpoints(s, count):
    c, took, made = s.connection, [], []
    for i in range(count):
        took.append(milliseconds(lambda: made.append(c.call("container.create", spec=box.sh(s, "true"), network="nat",
                                                            ports=["%d:80" % (9000 + i)])["id"])))
    for container in made:
        box.delete(s, container)
    few = max(count // 10, 1)
    row("create with an endpoint: last %d, first %d of %d" % (few, few, count), took[-few:], took[:few], 1.2)


def iperf(ns, address, port, seconds):
    prefix = ["nsenter", "-t", str(ns), "-n"] if ns else []
    done = json.loads(subprocess.run([*prefix, "iperf3", "-c", address, "-p", str(port), "-t", str(seconds), "-O", "0.2",
                                      "-J"], stdout=subprocess.PIPE).stdout)
    assert "error" not in done, done["error"]
    return done["end"]["sum_received"]["bits_per_second"] / 1e9


class Hand:
    """A namespace at the end of a veth pair, and nothing else."""

    def __enter__(self):
        self.process = subprocess.Popen(["unshare", "-n", "sh", "-c", "ip link set lo up; echo; exec sleep 100000"],
                                        stdout=subprocess.PIPE)
        self.process.stdout.readline()
        self.pid = self.process.pid
        netbox.ip("link", "add", "hand0", "type", "veth", "peer", "name", "eth0", "netns", str(self.pid))
        netbox.ip("addr", "add", "198.51.100.1/24", "dev", "hand0")
        netbox.ip("link", "set", "hand0", "up")
        netbox.ip("addr", "add", "198.51.100.2/24", "dev", "eth0", ns=self.pid)
        netbox.ip("link", "set", "eth0", "up", ns=self.pid)
        return self

    def __exit__(self, *ignored):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


def throughput(s, podman, rounds, seconds):
    ours = box.start(s, box.spec(s, "/usr/bin/iperf3", "-s"), ports=["8101:5201"], network="nat")
    pid = s.connection.call("container.inspect", container=ours)["pid"]
    done = podman.run("iperf", "8100:5201", "/usr/bin/iperf3", "-s")
    assert done.returncode == 0, done.stdout
    server = subprocess.Popen(["iperf3", "-s", "-p", "5999"], stdout=subprocess.DEVNULL)
    found = json.loads(netbox.ip("-j", "addr", "show", "eth0", ns=pid))[0]["addr_info"]
    gateway = [a["local"] for a in found if a["family"] == "inet"][0].rsplit(".", 1)[0] + ".1"
    for port in 8100, 8101:
        cow.wait_for(lambda: s.world.call(lambda: netbox.reachable("192.0.2.1", port)), "iperf3 at %d" % port)
    nat, peer, host, hand = [], [], [], []
    with Hand() as by_hand:
        for _ in range(rounds):
            nat.append(iperf(s.world.pid, "192.0.2.1", 8101, seconds))
            peer.append(iperf(s.world.pid, "192.0.2.1", 8100, seconds))
            host.append(iperf(pid, gateway, 5999, seconds))
            hand.append(iperf(by_hand.pid, "198.51.100.1", 5999, seconds))
    server.kill()
    server.wait()
    row("throughput to a published port, Gbit/s: podman", nat, peer, 0.95, min)
    row("throughput to the host, Gbit/s: veth by hand", host, hand, 0.97, min)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default="build")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--seconds", type=float, default=1)
    parser.add_argument("--endpoints", type=int, default=200)
    options = parser.parse_args()
    os.environ["COW_BUILD"] = str(pathlib.Path(options.build).resolve())
    os.environ["COW_SOURCE"] = str(HERE.parent.parent)
    global netbox, box, cow
    import netbox
    import box
    import cow
    import test_net_ports
    with test_net_ports.herd({"plugins": {"net": {"pool": 4}}}) as s, test_net_ports.Podman(s) as podman:
        print("%-44s %9s %9s   %5s" % ("", "ours", "peer's", "ratio"))
        starts(s, podman, options.rounds)
        endpoints(s, options.endpoints)
        throughput(s, podman, options.rounds, options.seconds)


if __name__ == "__main__":
    main()
