# SPDX-License-Identifier: MIT
"""More policies: outgoing translation, bandwidth, load balancers, and what is refused; and what outlives a restart."""
import contextlib
import json
import pathlib
import socket
import subprocess
import threading
import time

import netbox
import box
import cow
from test_net_policy import TCP, UDP, Peer, misses, reaches
from test_net_verbs import words


def seen_as(peer, listener, kind=TCP):
    """As who a peer comes to a socket in the world."""
    address, port = listener.getsockname()[:2]

    def ask():
        with socket.socket(listener.family, kind) as s:
            s.settimeout(5)
            s.connect((address, port))
            if kind == UDP:
                s.send(b"x")
                return listener.recvfrom(10)[1][0]
            with listener.accept()[0] as c:
                return c.getpeername()[0]
    return peer.call(ask)


def outbound(*exceptions, **more):
    return {"Type": "OutBoundNAT", "Settings": {"Exceptions": list(exceptions), **more}}


def test_outbound():
    """The host's address, the virtual one, or none where an exception says so; in both families."""
    with words() as w:
        w.ok("network", "create", "web", "--subnet", "10.50.0.0/24", "--subnet", "fd50::/64")
        netbox.ip("route", "add", "10.50.0.0/24", "via", "192.0.2.1", ns=w.world.pid)
        netbox.ip("-6", "route", "add", "fd50::/64", "via", "2001:db8::1", ns=w.world.pid)
        netbox.ip("addr", "add", "192.0.2.50/24", "dev", "up0")
        netbox.ip("addr", "add", "2001:db8::50/64", "dev", "up0", "nodad", "preferred_lft", "0")
        with Peer(w, "a", "web") as a:
            for family, mine, host, vip, far in (
                    (socket.AF_INET, a.v4, "192.0.2.1", "192.0.2.50", "192.0.2.0/24"),
                    (socket.AF_INET6, a.v6, "2001:db8::1", "2001:db8::50", "2001:db8::/32")):
                tcp, udp = (w.world.listen(kind, family) for kind in (TCP, UDP))

                def seen():
                    return {seen_as(a, tcp), seen_as(a, udp, UDP)}
                assert seen() == {host}, seen()
                a.modify("Add", outbound(far, "203.0.113.0/24"))
                assert seen() == {mine}, seen()
                a.modify("Update", outbound("203.0.113.0/24", VirtualIP=vip))
                assert seen() == {vip}, seen()
                a.modify("Remove", outbound("203.0.113.0/24", VirtualIP=vip))
                assert seen() == {host}, seen()
                tcp.close()
                udp.close()


def received(device):
    """When, and how many bytes a device had received until then."""
    text = pathlib.Path("/proc/thread-self/net/dev").read_text()
    [line] = [line for line in text.splitlines() if line.strip().startswith(device + ":")]
    return time.monotonic(), int(line.split(":")[1].split()[0])


def rate(source, target, address, device, seconds=0.6):
    """Bytes per second that a device there receives from a socket that never pauses, after what may go at once."""
    listener = target(lambda: socket.create_server((address, 0)))
    sender = source(lambda: socket.create_connection(listener.getsockname()[:2], 5))
    receiver = listener.accept()[0]

    def send():
        with contextlib.suppress(OSError):
            while sender.send(bytes(65536)):
                pass

    def drain():
        with contextlib.suppress(OSError):
            while receiver.recv(1 << 20):
                pass
    threads = [threading.Thread(target=f) for f in (send, drain)]
    for thread in threads:
        thread.start()
    time.sleep(0.3)
    begin = target(lambda: received(device))
    time.sleep(seconds)
    end = target(lambda: received(device))
    for s in sender, receiver:
        s.shutdown(socket.SHUT_RDWR)
    for thread in threads:
        thread.join()
    for s in sender, receiver, listener:
        s.close()
    return (end[1] - begin[1]) / (end[0] - begin[0])


def limited(measure, wanted):
    """Never more than wanted, and about that: a machine that is busy may give less for a while."""
    for _ in range(6):
        real = measure()
        assert real < wanted * 1.1, (real, wanted)
        if real > wanted * 0.88:
            return
    raise AssertionError((real, wanted))


def test_bandwidth():
    """Both directions, each by its own limit, changed and taken away while it is plugged in."""
    def limit(out, into):
        return {"Type": "QOS", "Settings": {"MaximumOutgoingBandwidthInBytes": out,
                                            "MaximumIncomingBandwidthInBytes": into}}

    def here(function):
        return function()
    with words() as w:
        w.ok("network", "create", "web", "--subnet", "10.50.0.0/24")
        with Peer(w, "a", "web", policies=[limit(2000000, 4000000)]) as a:
            [bridge] = [n for n in netbox.links() if n.startswith("cow")]
            for out, into in (2000000, 4000000), (6000000, 1000000):
                limited(lambda: rate(a.call, here, "10.50.0.1", bridge), out)
                limited(lambda: rate(here, a.call, a.v4, "eth0"), into)
                a.modify("Update", limit(6000000, 1000000))
            a.modify("Remove", limit(6000000, 1000000))
            assert rate(a.call, here, "10.50.0.1", bridge, 0.2) > 20000000
            assert rate(here, a.call, a.v4, "eth0", 0.2) > 20000000
            assert [n for n in netbox.links() if n.startswith("if")] == []


def test_balancer():
    """Endpoints that containers are started with are in as long as these are; connections go to each in turn."""
    with words() as w:
        w.ok("network", "create", "web", "--subnet", "10.50.0.0/24", "--ipv6")
        ids = [w.ok("endpoint", "create", "--network", "web", name) for name in ("a", "b")]
        made = w.request("POST", "/v2/loadbalancers", {
            "HostComputeEndpoints": ids, "FrontendVIPs": ["10.77.0.1", "fd77::1"], "PortMappings": [
                {"Protocol": n, "InternalPort": 7, "ExternalPort": 9000} for n in (6, 17)]})
        route = w.request("POST", "/v2/routes", {"HostComputeEndpoints": ids[:1], "Setting": [
            {"DestinationPrefix": "10.61.0.0/16", "NextHop": "10.50.0.1"}]})
        netbox.ip("route", "add", "10.77.0.0/16", "via", "192.0.2.1", ns=w.world.pid)
        netbox.ip("-6", "route", "add", "fd77::/64", "via", "2001:db8::1", ns=w.world.pid)

        def run(i):
            spec = box.py(w.s, SAYS, ids[i])
            spec["windows"] = {"network": {"endpointList": [ids[i]]}}
            container = box.start(w.s, spec)
            pid = w.s.connection.call("container.inspect", container=container)["pid"]
            cow.wait_for(lambda: netbox.inside(pid, lambda: netbox.reachable("127.0.0.1", 7)), "the server")
            return container, pid

        def answers(address, kind=TCP, count=6):
            return [w.world.ask(address, 9000, b"x", kind).decode() for _ in range(count)]
        assert w.world.call(lambda: misses("10.77.0.1", 9000))
        one, pid = run(0)
        assert "10.61.0.0/16 via 10.50.0.1" in netbox.ip("route", ns=pid)
        assert set(answers("10.77.0.1")) == {ids[0]}
        two, pid = run(1)
        assert "10.61.0.0/16" not in netbox.ip("route", ns=pid)
        for address in "10.77.0.1", "fd77::1":
            for kind in TCP, UDP:
                said = answers(address, kind)
                assert sorted(said) == sorted(ids * 3), (address, kind, said)
        for _ in range(4):  # from among themselves, one to itself
            assert netbox.inside(pid, lambda: b"-" in netbox.ask("10.77.0.1", 9000, b"x"))
        box.delete(w.s, one)
        assert set(answers("10.77.0.1")) == {ids[1]}
        box.delete(w.s, two)
        w.request("DELETE", "/v2/routes/" + route["ID"])
        w.request("DELETE", "/v2/loadbalancers/" + made["ID"])


def test_refused():
    """What cannot be is told as it is asked for, with its place, and leaves nothing."""
    def policy(kind, **settings):
        return {"Type": kind, "Settings": settings}
    port = policy("PortMapping", Protocol=6, InternalPort=80, ExternalPort=8080)
    with words() as w:
        w.ok("network", "create", "web", "--subnet", "10.50.0.0/24")
        w.ok("network", "create", "-d", "internal", "closed")
        for network, policies, cause in (
                ("web", [{**port, "Type": "NAT"}], 'Policies[0]: Type: "NAT" is HNS\'s: "PortMapping" here'),
                ("web", [policy("Odd")], 'Policies[0]: Type: "Odd" is not known'),
                ("web", [policy("SetPolicy")], 'Policies[0]: Type: "SetPolicy" is not for endpoints'),
                ("web", [port, port], "port 8080 of the host is asked for twice"),
                ("web", [port, policy("PortMapping", InternalPort=81, ExternalPort=8079, Count=3)],
                 "port 8080 of the host is asked for twice"),
                ("closed", [port], "network closed: no published ports: nothing leaves it or comes in"),
                ("web", [policy("VLAN", IsolationId=5)], "network web: VLAN 5 of an endpoint: the network's is 0"),
                ("web", [policy("L4WFPPROXY", OutboundProxyPort="1", UserSID="S-1-5-32-556")],
                 "UserSID: S-1-5-32-556 is nobody on Linux"),
                ("web", [policy("ACL", Action="Block", Direction="In", Protocols="1", LocalPorts="80")],
                 "Policies[0]: LocalPorts: protocol 1 has no ports")):
            more = [word for p in policies for word in ("--policy", json.dumps(p))]
            assert w.refused("endpoint", "create", "--network", network, *more, "x") == "cowherd: " + cause, policies
        for mac in "01-00-5e-00-00-01", "ff:ff:ff:ff:ff:ff", "00-00-00-00-00-00", "00-15:5d-aa-bb-cc", "0015.5daa.bbcc":
            assert "is not a MAC address" in w.refused("endpoint", "create", "--network", "web", "--mac-address", mac,
                                                       code=125), mac
        assert w.ok("endpoint", "ls", "-q") == ""
        # What means nothing here is kept as it came, and told.
        iov = policy("Iov", IovOffloadWeight=100, Odd=[1])
        done = w.run("endpoint", "create", "--network", "web", "--policy", json.dumps(iov), "x")
        assert (done.returncode, done.stderr) == (0, b"cowherd: policy Iov: is kept, without effect on Linux\n"), done
        assert w.inspect("endpoint", "x")["Policies"] == [iov]
        w.ok("endpoint", "rm", "x")
        # Ports of load balancers: each other's, published ones, and those of the host.
        with Peer(w, "a", "web", "-p", "8081:7") as a, socket.create_server(("127.0.0.1", 8082)):
            def balance(external, good, *vips):
                return w.request("POST", "/v2/loadbalancers", {
                    "HostComputeEndpoints": [a.id], "FrontendVIPs": vips, "PortMappings": [
                        {"Protocol": 6, "InternalPort": 7, "ExternalPort": external}]}, good=good)
            assert balance(8081, False)["Error"] == "port 0.0.0.0:8081/tcp: in use by a"
            assert balance(8082, False)["Error"] == "port 0.0.0.0:8082/tcp: in use by a process of the host"
            made = [balance(8083, True)["ID"], balance(8083, True, "10.77.0.1")["ID"]]
            assert balance(8083, False)["Error"].endswith("8083: in use by load balancer " + made[0])
            assert balance(8083, False, "10.77.0.2", "10.77.0.1")["Error"].endswith("load balancer " + made[1])
            assert w.world.call(lambda: reaches("192.0.2.1", 8083))
            try:
                socket.create_server(("127.0.0.1", 8083)).close()
                raise AssertionError("it is free")
            except OSError:
                pass
            for number in made:
                w.request("DELETE", "/v2/loadbalancers/" + number)
            socket.create_server(("127.0.0.1", 8083)).close()


def test_restart():
    """A container's endpoint is changed like any other; after SIGKILL and a new start all of it is there, and what was
    connected still is."""
    def modify(*policies, request="Add"):
        w.ok("endpoint", "modify", "web", json.dumps({"ResourceType": "Policy", "RequestType": request, "Settings": {
            "Policies": policies}}))
    with words() as w:
        container = box.start(w.s, box.py(w.s, netbox.SERVER, "7"), ports=["8007:7", "7/udp"], name="web")
        pid = w.s.connection.call("container.inspect", container=container)["pid"]
        cow.wait_for(lambda: netbox.inside(pid, lambda: netbox.reachable("127.0.0.1", 7)), "the server")
        chosen = int(w.ok("port", "web", "7/udp").rsplit(":", 1)[1])
        modify({"Type": "PortMapping", "Settings": {"Protocol": 6, "InternalPort": 7, "ExternalPort": 8008}},
               {"Type": "QOS", "Settings": {"MaximumOutgoingBandwidthInBytes": 50000000}},
               {"Type": "ACL", "Settings": {"Action": "Block", "Direction": "In", "Protocols": "17", "LocalPorts": "7",
                                            "RemoteAddresses": "192.0.2.2"}})
        assert sorted(w.ok("port", "web").split("\n")) == ["7/tcp -> 0.0.0.0:8007", "7/tcp -> 0.0.0.0:8008",
                                                           "7/udp -> 0.0.0.0:%d" % chosen]
        talk = w.world.call(lambda: socket.create_connection(("192.0.2.1", 8008), 10))
        assert talk.recv(100).startswith(b"tcp 192.0.2.2")
        w.s.connection.close()
        w.s.kill()
        talk.sendall(b"between")
        assert talk.recv(100) == b"between"
        w.s.start()
        w.s.connection = w.s.client()
        w.ok("network", "ls")
        talk.sendall(b"after")
        assert talk.recv(100) == b"after"
        assert w.world.call(lambda: reaches("192.0.2.1", 8007) and misses("192.0.2.1", chosen, UDP))
        assert reaches("192.0.2.1", chosen, UDP)
        assert "8008/tcp: in use by web" in box.refused(w.s, box.sh(w.s, "true"), ports=["8008:1"])
        assert "if" in {name[:2] for name in netbox.links()}
        talk.close()
        box.delete(w.s, container)


# Answers with its argument, and what it was told.
SAYS = r"""
import socket, sys, threading
name = sys.argv[1].encode()
t = socket.socket(socket.AF_INET6); t.bind(("::", 7)); t.listen()
u = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM); u.bind(("::", 7))
def udp():
    while True:
        who = u.recvfrom(65536)[1]
        u.sendto(name, who)
threading.Thread(target=udp, daemon=True).start()
while True:
    c = t.accept()[0]
    c.recv(10)
    c.sendall(name)
    c.close()
"""


def test_udp():
    """A client that never pauses reaches whoever has the port: before, between, and after containers that have it."""
    with words() as w:
        client = w.world.call(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        client.connect(("192.0.2.1", 8007))
        client.settimeout(0.05)

        def answer():
            try:
                client.send(b"x")
                return client.recv(100)
            except OSError:
                return None
        assert answer() is None
        for name in b"one", b"two":
            container = box.start(w.s, box.py(w.s, SAYS, name.decode()), ports=["8007:7/udp"])
            cow.wait_for(lambda: answer() == name, name.decode())
            box.delete(w.s, container)
            assert answer() is None
        client.close()


def test_udp_kept():
    """Datagrams of a published port are one connection still after other policies of its endpoint have changed."""
    with words() as w:
        w.ok("network", "create", "web", "--subnet", "10.50.0.0/24")
        with Peer(w, "a", "web", "-p", "8007:7/udp") as a:
            client = w.world.call(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            client.settimeout(10)
            client.connect(("192.0.2.1", 8007))

            def known():
                text = pathlib.Path("/proc/thread-self/net/nf_conntrack").read_text()
                return [line for line in text.splitlines() if "dport=8007" in line and "[UNREPLIED]" not in line]
            client.send(b"x")
            client.recv(100)
            assert known()
            a.modify("Add", {"Type": "QOS", "Settings": {"MaximumOutgoingBandwidthInBytes": 50000000}},
                     {"Type": "PortMapping", "Settings": {"Protocol": 17, "InternalPort": 8, "ExternalPort": 8008}})
            assert known()
            a.modify("Remove", {"Type": "PortMapping", "Settings": {"Protocol": 17, "InternalPort": 7, "ExternalPort": 8007}})
            assert not known()
            client.close()


if __name__ == "__main__":
    cow.main([f for name, f in list(globals().items()) if name.startswith("test_") and f.__module__ == "__main__"])
