# SPDX-License-Identifier: MIT
"""Kinds of networks other than NAT, each with real packets: who reaches whom, and nothing left of it."""
import contextlib
import json
import os
import pathlib
import socket
import subprocess
import sys

import netbox
import box
import cow
from test_net import addresses, herd, network, server


@contextlib.contextmanager
def world_server(world, port=7):
    """The server of netbox, in the world."""
    process = subprocess.Popen(["nsenter", "-t", str(world.pid), "-n", sys.executable, "-I", "-S", "-c", netbox.SERVER,
                                str(port)], stdout=subprocess.PIPE)
    try:
        process.stdout.readline()
        yield
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def card():
    """All of the card that must not change."""
    [link] = json.loads(netbox.ip("-j", "addr", "show", "up0"))
    return {key: link.get(key) for key in ("address", "mtu", "flags", "master")}, [
        (a["local"], a["prefixlen"]) for a in link["addr_info"]]


def remove(s, *names):
    removed = s.cli("network", "rm", *names)
    assert removed.returncode == 0, removed.stderr


def create_fails(s, *words):
    made = s.cli("network", "create", *words)
    assert made.returncode != 0, made.stdout
    return made.stderr.decode()


def pid_of(s, container):
    return s.connection.call("container.inspect", container=container)["pid"]


def ask_from(pid, address, data=b"hi", kind="tcp", port=7, timeout=5):
    """What a server says to a client in the network namespace of a process."""
    number = {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM}[kind]
    return netbox.inside(pid, lambda: netbox.ask(address, port, data, number, timeout)).decode()


def reaches(pid, *addresses_, timeout=5):
    """Whether a server at all of the addresses, or (False) none of them, answers by TCP and UDP."""
    found = set()
    for address in addresses_:
        for kind in "tcp", "udp":
            try:
                answer = ask_from(pid, address, kind=kind, timeout=timeout)
                assert answer.startswith(kind + " ") and answer.endswith(" hi"), answer
                found.add(True)
            except OSError:
                found.add(False)
    assert len(found) == 1, addresses_
    return found.pop()


def cut_off(pid, *addresses_):
    return not reaches(pid, *addresses_, timeout=0.1)


LAN = ["--subnet", "192.0.2.0/24", "--gateway", "192.0.2.2", "--ip-range", "192.0.2.128/25",
       "--subnet", "2001:db8::/64", "--gateway", "2001:db8::2"]
WORLD = ["192.0.2.2", "2001:db8::2"]


def test_transparent():
    """Containers are hosts of the card's own network; the card does not notice."""
    with herd() as s, world_server(s.world):
        before = card()
        network(s, "lan", "-d", "macvlan", "-o", "parent=up0", *LAN)
        a, b = server(s, 7, network="lan"), server(s, 7, network="lan:ip=192.0.2.77")
        v4, v6 = addresses(s, a)
        assert int(v4.rsplit(".", 1)[1]) >= 128, v4
        assert netbox.links(ns=pid_of(s, a))["eth0"]["linkinfo"]["info_kind"] == "macvlan"
        assert reaches(pid_of(s, b), *WORLD, v4, v6)
        assert reaches(s.world.pid, v4, v6)
        # The world sees the container itself.
        assert ask_from(pid_of(s, b), "192.0.2.2") == "tcp 192.0.2.77 hi"
        assert "published ports need a bridge" in box.refused(s, box.sh(s, "true"), network="lan", ports=["80:80"])
        # Two networks on one card are one network for those on it.
        network(s, "lan2", "-d", "transparent", "--parent", "up0", "--subnet", "192.0.2.64/26", "--gateway", "none")
        c = server(s, 7, network="lan2:ip=192.0.2.78")
        assert reaches(pid_of(s, c), "192.0.2.77")
        assert card() == before
        for container in a, b, c:
            box.delete(s, container)
        remove(s, "lan", "lan2")
        assert card() == before


def test_bridge_of_others():
    """A bridge of somebody else's: used, and left as it was."""
    with herd() as s, world_server(s.world):
        netbox.ip("link", "add", "theirs0", "type", "bridge")
        try:
            netbox.ip("addr", "flush", "dev", "up0")
            netbox.ip("link", "set", "up0", "master", "theirs0")
            netbox.ip("link", "set", "theirs0", "up")
            netbox.ip("addr", "add", "192.0.2.1/24", "dev", "theirs0")
            network(s, "lan", "-d", "l2bridge", "--parent", "theirs0", *LAN[:6])
            a, b = server(s, 7, network="lan"), server(s, 7, network="lan")
            [v4] = addresses(s, a)
            assert reaches(pid_of(s, b), v4, "192.0.2.2")
            assert reaches(os.getpid(), v4) and reaches(s.world.pid, v4)
            box.delete(s, a)
            box.delete(s, b)
            remove(s, "lan")
            assert netbox.links()["up0"]["master"] == "theirs0"
            # Nor is one taken over that happens to have the name.
            network(s, "taken", "--subnet", "10.72.0.0/24", "-o", "com.docker.network.bridge.name=theirs0")
            message = box.refused(s, box.sh(s, "true"), network="taken")
            assert "network taken: the bridge theirs0 is somebody else's" in message, message
            remove(s, "taken")
            assert netbox.links()["up0"]["master"] == "theirs0"
        finally:
            netbox.ip("link", "delete", "theirs0")


def test_l2bridge_beside_the_host():
    """A card that has the host's addresses keeps them."""
    with herd() as s, world_server(s.world):
        before = card()
        network(s, "lan", "-d", "l2bridge", "--parent", "up0", *LAN)
        a, b = server(s, 7, network="lan"), server(s, 7, network="lan")
        assert reaches(pid_of(s, b), *WORLD, *addresses(s, a))
        assert card() == before and reaches(os.getpid(), *WORLD)
        acl = {"Type": "ACL", "Settings": {"Action": "Block", "Direction": "In", "Priority": 1, "Protocols": "6"}}
        made = s.cli("endpoint", "create", "--network", "lan", "--policy", json.dumps(acl), "guarded")
        assert made.returncode == 0, made.stderr
        message = box.refused(s, spec_with_endpoint(s, "guarded"))
        assert "access lists need a bridge of this host, and up0 has addresses" in message, message
        assert s.cli("endpoint", "rm", "guarded").returncode == 0
        box.delete(s, a)
        box.delete(s, b)
        remove(s, "lan")
        assert card() == before


def test_l2bridge():
    """A card that is only for containers becomes a port of our bridge, until the network goes."""
    with herd() as s, world_server(s.world):
        for address in "192.0.2.1/24", "2001:db8::1/64":
            netbox.ip("addr", "del", address, "dev", "up0")
        before = card()
        network(s, "lan", "-d", "l2bridge", "--parent", "up0", *LAN)
        a, b = server(s, 7, network="lan"), server(s, 7, network="lan")
        [bridge] = bridges()
        assert netbox.links()["up0"]["master"] == bridge
        # The host takes no part in it.
        assert json.loads(netbox.ip("-j", "addr", "show", bridge))[0]["addr_info"] == []
        assert reaches(pid_of(s, b), *WORLD, *addresses(s, a)) and reaches(s.world.pid, *addresses(s, a))
        # A second network cannot have the same card, and says why.
        network(s, "second", "-d", "l2tunnel", "--parent", "up0", "--subnet", "198.51.100.0/24", "--gateway", "none")
        message = box.refused(s, box.sh(s, "true"), network="second")
        assert "network second: adapter up0: is a port of another bridge" in message, message
        assert "reached by their own addresses" in box.refused(s, box.sh(s, "true"), network="lan", ports=["80:80"])
        box.delete(s, a)
        box.delete(s, b)
        remove(s, "lan")
        assert card() == before and not bridges()
        c = server(s, 7, network="second")
        box.delete(s, c)
        remove(s, "second")
        assert card() == before and not bridges()


def bridges():
    return [name for name in netbox.links() if name.startswith("cow")]


def spec_with_endpoint(s, name):
    """A spec that names an endpoint, as containerd's documents do."""
    shown = s.cli("endpoint", "inspect", name, "--format", "{{.ID}}")
    return {**box.sh(s, "true"), "windows": {"network": {"endpointList": [shown.stdout.decode().strip()]}}}


def test_internal_and_private():
    """Internal: the host and no farther; private: nobody else, by no address."""
    with herd() as s, world_server(s.world):
        made = {}
        for name, number in ("internal", 70), ("private", 71):
            network(s, name, "-d", name, "--subnet", "10.%d.0.0/24" % number, "--subnet", "fd%d::/64" % number)
            made[name] = server(s, 7, network=name), server(s, 7, network=name)
            # For who has a route in the world.
            netbox.ip("route", "add", "10.%d.0.0/24" % number, "via", "192.0.2.1", ns=s.world.pid)
        for name, other in ("internal", "private"), ("private", "internal"):
            a, b = made[name]
            assert reaches(pid_of(s, b), *addresses(s, a))
            assert cut_off(pid_of(s, b), *addresses(s, made[other][0]), *WORLD)
            assert cut_off(s.world.pid, addresses(s, a)[0])
        assert reaches(os.getpid(), *addresses(s, made["internal"][0]))
        assert cut_off(os.getpid(), *addresses(s, made["private"][0]))
        # Nor by link-local addresses: the host has none there; and it believes no router that a container is.
        for name in bridges():
            found = json.loads(netbox.ip("-j", "addr", "show", name))[0]["addr_info"]
            assert len(found) in (0, 3), found
            assert found or pathlib.Path("/proc/sys/net/ipv6/conf/%s/disable_ipv6" % name).read_text() == "1\n"
            assert pathlib.Path("/proc/sys/net/ipv6/conf/%s/accept_ra" % name).read_text() == "0\n" or not found
        for a, b in made.values():
            box.delete(s, a)
            box.delete(s, b)
        remove(s, "internal", "private")


if __name__ == "__main__":
    cow.main([test_transparent, test_bridge_of_others, test_l2bridge_beside_the_host, test_l2bridge,
              test_internal_and_private])
