# SPDX-License-Identifier: MIT
"""Policies as HCN and HNS write them, given at create or to an endpoint that is plugged in, seen by what packets do."""
import contextlib
import json
import pathlib
import socket
import subprocess

import netbox
import box
import cow
from test_net_verbs import words

TCP, UDP = socket.SOCK_STREAM, socket.SOCK_DGRAM


class Peer:
    """An endpoint in a namespace of its own, with a server of tcp and udp at a port."""

    def __init__(self, w, name, network, *more, port=7, policies=()):
        self.w, self.name, self.port = w, name, port
        for p in policies:
            more += ("--policy", json.dumps(p))
        self.id = w.ok("endpoint", "create", "--network", network, *more, name)
        self.namespace = w.ok("namespace", "create")
        w.ok("endpoint", "attach", name, self.namespace)
        self.path = w.inspect("namespace", self.namespace)["Cowherd"]["Path"]
        self.process = subprocess.Popen(["nsenter", "--net=" + self.path, "python3", "-I", "-S", "-c", netbox.SERVER,
                                         str(port)], stdout=subprocess.PIPE)
        assert self.process.stdout.readline() == b"ready\n"
        self.pid = self.process.pid
        self.v4, self.v6 = (self.addresses() + [None])[:2]

    def addresses(self):
        return [c["IpAddress"] for c in self.w.inspect("endpoint", self.name)["IpConfigurations"]]

    def call(self, function):
        return netbox.inside(self.pid, function)

    def reaches(self, address, port, kind=TCP):
        return self.call(lambda: reaches(address, port, kind))

    def misses(self, address, port, kind=TCP):
        return self.call(lambda: misses(address, port, kind))

    def modify(self, request, *policies, good=True):
        text = json.dumps({"ResourceType": "Policy", "RequestType": request, "Settings": {"Policies": policies}})
        return (self.w.ok if good else self.w.refused)("endpoint", "modify", self.name, text)

    def __enter__(self):
        return self

    def __exit__(self, *ignored):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        self.w.ok("endpoint", "rm", self.name)
        self.w.ok("namespace", "rm", self.namespace)


def reaches(address, port, kind=TCP, seconds=10):
    """Whether a server there answers; a busy machine may take its time."""
    try:
        return b"x" in netbox.ask(address, port, b"x", kind, seconds)
    except OSError:
        return False


def misses(address, port, kind=TCP):
    """Whether none does: at once, or not for a while."""
    return not reaches(address, port, kind, 0.3)


def acl(action, direction, **more):
    return {"Type": "ACL", "Settings": {"Action": action, "Direction": direction, "RuleType": "Switch", **more}}


def acl_hold(w, peer, address):
    """Both protocols and directions in one family."""
    inward = "2001:db8::2" if ":" in address else "192.0.2.2"
    far = w.world.listen(family=socket.AF_INET6 if ":" in address else socket.AF_INET, port=7)

    def check(*wanted):
        """To its tcp, to its udp, from it."""
        assert (reaches if wanted[0] else misses)(address, 7), wanted
        assert (reaches if wanted[1] else misses)(address, 7, UDP), wanted
        try:
            peer.call(lambda: socket.create_connection((inward, 7), 10 if wanted[2] else 0.3)).close()
            assert wanted[2], wanted
        except TimeoutError:
            assert not wanted[2], wanted
    check(True, True, True)
    deny = acl("Block", "In", Protocols="6", LocalPorts="1-7,9", LocalAddresses="", Priority=100)
    peer.modify("Add", deny)
    check(False, True, True)
    deny_out = acl("Block", "Out", Protocols="6", RemoteAddresses=inward, RemotePorts="7", Priority=100)
    peer.modify("Add", deny_out)
    check(False, True, False)
    allow = acl("Allow", "In", Protocols="6", LocalPorts="7", RemoteAddresses="0.0.0.0/0,::/0", Priority=99)
    peer.modify("Add", allow)
    check(True, True, False)
    peer.modify("Remove", allow, deny_out)
    check(False, True, True)
    peer.modify("Update", acl("Block", "In", Protocols="17", Priority=1))
    check(True, False, True)
    peer.modify("Remove", acl("Block", "In", Protocols="17", Priority=1))
    check(True, True, True)
    far.close()


def test_acl():
    with words() as w:
        w.ok("network", "create", "web", "--subnet", "10.50.0.0/24", "--ipv6")
        with Peer(w, "a", "web") as a:
            for address in a.v4, a.v6:
                acl_hold(w, a, address)


def test_acl_neighbours():
    """Who lets nobody in still finds its neighbours, in both families, and hears their answers."""
    with words() as w:
        w.ok("network", "create", "web", "--subnet", "10.50.0.0/24", "--ipv6")
        wall = acl("Block", "In", Priority=10)
        with Peer(w, "a", "web", policies=[wall]) as a, Peer(w, "b", "web") as b:
            for mine, theirs in (a.v4, b.v4), (a.v6, b.v6):
                for kind in TCP, UDP:
                    assert a.reaches(theirs, 7, kind), (theirs, kind)
                    assert b.misses(mine, 7, kind), (mine, kind)
            a.modify("Update", acl("Block", "Out", Priority=10))
            for mine, theirs in (a.v4, b.v4), (a.v6, b.v6):
                assert a.misses(theirs, 7) and b.reaches(mine, 7), theirs


def test_acl_open():
    """Connections that are there when a list comes are judged by it, too, by who began them."""
    with words() as w:
        w.ok("network", "create", "web", "--subnet", "10.50.0.0/24")
        with Peer(w, "a", "web", "-p", "8007:7") as a:
            talk = w.world.call(lambda: socket.create_connection(("192.0.2.1", 8007), 5))
            talk.recv(100)
            talk.settimeout(0.5)
            talk.sendall(b"one")
            assert talk.recv(100) == b"one"
            block = acl("Block", "In", Protocols="6", Priority=5)
            a.modify("Add", block)
            talk.sendall(b"two")
            try:
                raise AssertionError(talk.recv(100))
            except TimeoutError:
                pass
            a.modify("Remove", block)
            talk.settimeout(10)
            assert talk.recv(100) == b"two"
            talk.close()


def port(internal, external, protocol=6, **more):
    return {"Type": "PortMapping", "Settings": {"Protocol": protocol, "InternalPort": internal, "ExternalPort": external,
                                                **more}}


def test_live():
    """Every kind that means something for an endpoint that is plugged in, added to it and taken from it."""
    with words() as w:
        w.ok("network", "create", "web", "--subnet", "10.50.0.0/24")
        with Peer(w, "a", "web") as a:
            # Ports: found by others, by itself, held; one of many is moved to an address.
            a.modify("Add", port(7, 8007), port(7, 8007, 17))
            for kind in TCP, UDP:
                assert w.world.ask("192.0.2.1", 8007, b"x", kind).endswith(b"x")
                assert a.reaches("192.0.2.1", 8007, kind), kind
            a.modify("Remove", port(7, 8007))
            a.modify("Add", port(7, 8007, VIP="127.0.0.1"))
            assert reaches("127.0.0.1", 8007)
            assert w.world.call(lambda: misses("192.0.2.1", 8007))
            assert w.world.call(lambda: reaches("192.0.2.1", 8007, UDP))
            a.modify("Update", port(7, 8008))
            assert w.world.call(lambda: misses("192.0.2.1", 8007) and reaches("192.0.2.1", 8008))
            # What is refused changes nothing.
            assert "8009" in a.modify("Add", port(7, 8009), port(8, 8009), good=False)
            assert w.world.call(lambda: reaches("192.0.2.1", 8008))
            assert [p["Settings"]["ExternalPort"] for p in w.inspect("endpoint", "a")["Policies"]] == [8008]
            a.modify("Remove", port(7, 8008))
            # Routes, and the MTU of an encapsulation.
            route = {"Type": "SDNRoute", "Settings": {"DestinationPrefix": "10.99.0.0/16", "NextHop": "10.50.0.1"}}
            encap = {"Type": "EncapOverhead", "Settings": {"Overhead": 50}}
            a.modify("Add", route, encap)
            assert "10.99.0.0/16 via 10.50.0.1" in netbox.ip("route", ns=a.pid)
            assert netbox.links(a.pid)["eth0"]["mtu"] == 1450
            a.modify("Remove", route, encap)
            assert "10.99." not in netbox.ip("route", ns=a.pid) and netbox.links(a.pid)["eth0"]["mtu"] == 1500
            # A proxy on the host, and one inside.
            far = w.world.listen(port=80)
            with socket.create_server(("0.0.0.0", 3128)) as proxy:
                host = {"Type": "L4Proxy", "Settings": {"Port": "3128", "Protocol": 6, "Destination": "192.0.2.0/24:80"}}
                a.modify("Add", host)
                talk = a.call(lambda: socket.create_connection(("192.0.2.2", 80), 5))
                proxy.settimeout(5)
                proxy.accept()[0].close()
                talk.close()
                a.modify("Remove", host)
            own = {"Type": "L4WFPPROXY", "Settings": {"OutboundProxyPort": "7", "FilterTuple": {
                "Protocols": "6", "RemotePorts": "80"}}}
            a.modify("Add", own)
            assert a.reaches("192.0.2.2", 80)
            a.modify("Remove", own)
            assert a.misses("192.0.2.2", 80)
            far.close()


def test_shapes():
    """A network's policies are its endpoints', at once; HNS's client puts all of an endpoint's at once."""
    with words() as w:
        network = w.ok("network", "create", "web", "--subnet", "10.50.0.0/24")
        with Peer(w, "a", "web") as a:
            wall = {"Type": "NetworkACL", "Settings": {"Action": "Block", "Direction": "In", "Protocols": "6"}}
            for request, check in ("Add", misses), ("Remove", reaches):
                w.ok("network", "modify", "web", json.dumps({"ResourceType": "Policy", "RequestType": request, "Settings": {
                    "Policies": [wall]}}))
                assert check(a.v4, 7) and reaches(a.v4, 7, UDP), request
            mine = {"Type": "ACL", "Action": "Block", "Direction": "In", "Protocol": 17, "LocalPort": 7, "Priority": 10}
            for policies, check in ([mine], misses), ([], reaches):
                w.request("POST", "/endpoints/" + a.id, {"ID": a.id, "VirtualNetwork": network, "Policies": policies})
                assert check(a.v4, 7, UDP) and reaches(a.v4, 7), policies


def test_lent():
    """An endpoint that was there before its container has its ports, and is free at once after it."""
    with words() as w:
        w.ok("network", "create", "web", "--subnet", "10.50.0.0/24")
        e = w.ok("endpoint", "create", "--network", "web", "-p", "8001:7", "e")
        spec = box.py(w.s, netbox.SERVER, "7")
        spec["windows"] = {"network": {"endpointList": [e]}}
        assert "the endpoints are there already" in box.refused(w.s, spec, ports=["8002:7"])
        for _ in range(2):
            container = box.start(w.s, spec)
            cow.wait_for(lambda: w.world.call(lambda: reaches("192.0.2.1", 8001, seconds=1)), "a server")
            box.delete(w.s, container)


@contextlib.contextmanager
def bridge_filter():
    """What has IPv6 filtered on bridges, which is put back afterwards; None where this kernel has it not."""
    switch = pathlib.Path("/proc/sys/net/bridge/bridge-nf-call-ip6tables")
    if not switch.exists():
        print("not tried, as there is no %s: a port at ::1 that it makes impossible" % switch)
        yield None
        return
    before = switch.read_text()
    try:
        yield switch
    finally:
        switch.write_text(before)


def test_hosts():
    """Ports at one address of the host, loopback of both families among them, and rows of ports."""
    with bridge_filter() as switch, words() as w:
        w.ok("network", "create", "web", "--subnet", "10.50.0.0/24", "--ipv6")
        w.ok("endpoint", "create", "--network", "web", "-p", "[::1]:8001:7", "refused")
        if switch:
            switch.write_text("1")
            space = w.ok("namespace", "create")
            assert "a port at ::1 needs" in w.refused("endpoint", "attach", "refused", space)
            assert list(w.inspect("namespace", space).get("Resources") or []) == []
            w.ok("namespace", "rm", space)
            switch.write_text("0")
        w.ok("endpoint", "rm", "refused")
        with Peer(w, "a", "web", "-p", "[::1]:8001:7", "-p", "[::1]:8001:7/udp", "-p", "127.0.0.1:8002:7", "-p",
                  "192.0.2.1:8003:7", "-p", "[2001:db8::1]:8003:7", "-p", "8100-8102:6-8", "-p", "7-8", "-p", "0:7/udp",
                  "-p", "9000:7/sctp"):
            for kind in TCP, UDP:
                assert netbox.ask("::1", 8001, b"x", kind).endswith(b" x"), kind
            assert misses("::1", 8101) and misses("127.0.0.1", 8001)
            assert reaches("127.0.0.1", 8002) and misses("192.0.2.1", 8002)
            for address in "192.0.2.1", "2001:db8::1":
                assert reaches(address, 8003), address
                assert w.world.call(lambda: reaches(address, 8003) and reaches(address, 8101)), address
                assert w.world.call(lambda: misses(address, 8002))
            assert w.world.call(lambda: misses("192.0.2.1", 8100))
            [chosen] = [p["Settings"]["ExternalPort"] for p in w.inspect("endpoint", "a")["Policies"]
                        if p["Settings"]["Protocol"] == 17 and "VIP" not in p["Settings"]]
            assert w.world.call(lambda: reaches("192.0.2.1", chosen, UDP)), chosen
            nft = subprocess.run(["nft", "list", "ruleset"], check=True, stdout=subprocess.PIPE, text=True).stdout
            assert "sctp . 9000 : " in nft
        for words_, cause in ((["-p", "1-2:80"], "1-2:80: ranges of different length"),
                              (["-p", "80:80/icmp"], 'protocol: "icmp" is not tcp, udp or sctp'),
                              (["-p", "256.0.0.1:80:80"], "not an address"), (["-p", "70000:80"], '"70000" is not valid')):
            assert cause in w.refused("endpoint", "create", "--network", "web", *words_, "x"), words_


def test_race():
    """Of several that want one port at the same time one gets it; the others leave nothing."""
    with words() as w:
        clients = [w.s.client() for _ in range(4)]
        asked = [c.send("container.create", spec=box.sh(w.s, "sleep 1000"), ports=["8006-8007:6-7"]) for c in clients]
        won = []
        for client, number in zip(clients, asked):
            try:
                won.append(client.answer(number)["id"])
            except cow.RpcError as e:
                assert "port 0.0.0.0:8006/tcp: in use by " in e.error["message"], e.error
            client.close()
        assert len(won) == 1, won
        assert len(w.ok("endpoint", "ls", "-q").split()) == 1
        box.delete(w.s, won[0])


if __name__ == "__main__":
    cow.main([f for name, f in list(globals().items()) if name.startswith("test_") and f.__module__ == "__main__"])
