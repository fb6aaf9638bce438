# SPDX-License-Identifier: MIT
"""Kinds of networks other than NAT, each with real packets: who reaches whom, and nothing left of it."""
import contextlib
import json
import os
import pathlib
import socket
import subprocess
import sys
import threading

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


def bridge_of(s, name):
    return json.loads(s.cli("network", "inspect", name).stdout)[0]["Cowherd"]["Bridge"]


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
        assert sorted(bridges()) == sorted(bridge_of(s, name) for name in made), bridges()
        for name, number, setting, value in ("internal", 3, "accept_ra", "0\n"), ("private", 0, "disable_ipv6", "1\n"):
            bridge = bridge_of(s, name)
            found = json.loads(netbox.ip("-j", "addr", "show", bridge))[0]["addr_info"]
            assert len(found) == number, (name, found)
            assert pathlib.Path("/proc/sys/net/ipv6/conf/%s/%s" % (bridge, setting)).read_text() == value, name
        for a, b in made.values():
            box.delete(s, a)
            box.delete(s, b)
        remove(s, "internal", "private")
        # Without an IPv6 subnet, containers have no link-local ones either; with one, they have.
        for kind in "nat", "internal", "private":
            for more in [], ["--subnet", "fd72::/64"]:
                network(s, "plain", "-d", kind, "--subnet", "10.72.0.0/24", *more)
                a = server(s, 7, network="plain")
                shown = json.loads(netbox.ip("-j", "addr", "show", "eth0", ns=pid_of(s, a)))[0]["addr_info"]
                assert sorted(one["family"] for one in shown) == (["inet", "inet6", "inet6"] if more else ["inet"]), (kind, shown)
                box.delete(s, a)
                remove(s, "plain")


def overlay(s, name, number, host, *options, subnet=80):
    """The host-th part of an overlay."""
    network(s, name, "-d", "overlay", "--vxlan", str(number), "--subnet", "10.%d.0.0/16" % subnet, "--ip-range",
            "10.%d.%d.0/24" % (subnet, host), "--subnet", "fd%d::/64" % subnet, "--ip-range",
            "fd%d::%d:0/112" % (subnet, host), *options)


def asked(s, method, path, body=None):
    """What a request of HNS or HCN is answered with."""
    answer = s.cli("network", "request", method, path, *([json.dumps(body)] if body else []))
    answer = json.loads(answer.stdout)
    assert answer["Success"], answer
    return answer.get("Output")


def connect(world, card_, far, *addresses_):
    """A card of this host, without addresses, and its other end in the world."""
    netbox.ip("link", "add", card_, "type", "veth", "peer", "name", far, "netns", str(world.pid))
    # Neighbours know it still when it is back.
    netbox.ip("link", "set", far, "address", "02:00:00:00:01:%02x" % len(far), ns=world.pid)
    for address in addresses_:
        netbox.ip("addr", "add", address, "dev", far, *(["nodad"] if ":" in address else []), ns=world.pid)
    netbox.ip("link", "set", far, "up", ns=world.pid)
    netbox.ip("link", "set", card_, "up")


# Run by udhcpc with what it was given.
DHCP_CLIENT = r"""
printf '#!/bin/sh\n[ "$1" = bound ] && ip addr add $ip/$mask dev $interface && ip route add default via $router\nexit 0\n' >/tmp/bound
chmod +x /tmp/bound
udhcpc -i eth0 -n -q -t 5 -T 1 -s /tmp/bound 2>&1 && ip -4 addr show eth0 && ip route && exec sleep 1000
"""


def test_dhcp():
    """A network of addresses that a server on the card's side gives, to a client in the container."""
    with herd() as s:
        config = s.dir / "udhcpd.conf"
        config.write_text("interface world0\nstart 192.0.2.150\nend 192.0.2.150\nlease_file %s/leases\npidfile %s/pid\n"
                          "option subnet 255.255.255.0\noption router 192.0.2.2\n" % (s.dir, s.dir))
        process = subprocess.Popen(["nsenter", "-t", str(s.world.pid), "-n", "busybox", "udhcpd", "-f", "-S", str(config)],
                                   stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            network(s, "lan", "-d", "macvlan", "--parent", "up0", "--ipam-driver", "dhcp")
            assert "lies in none of its subnets" in box.refused(s, box.sh(s, "true"), network="lan:ip=192.0.2.9")
            more = ["CAP_NET_ADMIN", "CAP_NET_RAW", "CAP_NET_BIND_SERVICE"]
            made = box.sh(s, DHCP_CLIENT, capabilities={k: [*box.CAPS, *more] for k in ("bounding", "effective", "permitted")})
            container = box.start(s, made, network="lan")
            pid = pid_of(s, container)
            with world_server(s.world):
                cow.wait_for(lambda: "default" in netbox.ip("route", ns=pid), "an address")
                assert ask_from(pid, "192.0.2.2") == "tcp 192.0.2.150 hi"
            box.delete(s, container)
            remove(s, "lan")
        finally:
            process.kill()
            process.wait()


def test_killed():
    """SIGKILL while containers come and go on each kind: the next start leaves nothing; what lives on keeps working."""
    with herd() as s, world_server(s.world, 8):
        network(s, "lan", "-d", "transparent", "--parent", "up0", *LAN)
        connect(s.world, "card1", "far1", "198.51.100.2/24")
        try:
            network(s, "bridged", "-d", "l2bridge", "--parent", "card1", "--subnet", "198.51.100.0/24",
                    "--aux-address", "far=198.51.100.2")
            overlay(s, "over", 4096, 1, "--peer", "192.0.2.2", "--parent", "up0")
            network(s, "alone", "-d", "private")
            kinds = "lan", "bridged", "over", "alone"
            kept = [server(s, 7, network=n) for n in kinds]
            before = set(netbox.links())
            for i in range(4):
                threads = [threading.Thread(target=churn, args=(s, n)) for n in kinds]
                for thread in threads:
                    thread.start()
                threading.Event().wait(0.05 + 0.05 * i)
                s.connection.close()
                s.kill()
                for thread in threads:
                    thread.join()
                s.start()
                s.connection = s.client()
                for c in s.connection.call("container.list", all=True):
                    if c["id"] not in kept:
                        with contextlib.suppress(cow.RpcError):
                            box.delete(s, c["id"])
                cow.wait_for(lambda: not {n for n in netbox.links() if not pooled(s, n)} ^ before, "the links of before")
            pids = [pid_of(s, c) for c in kept]
            for pid, address in (pids[0], "192.0.2.2"), (pids[1], "198.51.100.2"):
                assert ask_from(pid, address, port=8).endswith(" hi")
            for name, container in zip(kinds, kept):
                c = server(s, 7, network=name)
                assert reaches(pid_of(s, c), *addresses(s, container)), name
                box.delete(s, c)
                box.delete(s, container)
            remove(s, *kinds)
        finally:
            netbox.ip("link", "delete", "card1")


def churn(s, name):
    """Containers on a network, until the supervisor is gone."""
    with contextlib.suppress(OSError, EOFError, ValueError, cow.RpcError):
        c = s.client()
        while True:
            made = c.call("container.create", spec=box.sh(s, "true"), network=name)["id"]
            c.call("container.start", container=made)
            c.call("container.delete", container=made, force=True)


def pooled(s, name):
    """Of a pair that is kept ready."""
    return name in {"ve" + p.read_text()[:8] for p in (s.root / "net/pool").glob("[!.]*") if p.exists()}


def test_values():
    """Unusual but valid, and what cannot be: each with its reason, and nothing made."""
    with herd() as s:
        long = "n" * 255
        network(s, long, "--subnet", "fd72::/64")
        assert addresses(s, server(s, 7, network=long)) == ["fd72::2"]
        network(s, "two", "--subnet", "10.73.0.0/24", "--subnet", "10.74.0.0/24", "--mtu", "1280")
        a, b = server(s, 7, network="two"), server(s, 7, network="two:ip=10.74.0.9")
        assert addresses(s, a) == ["10.73.0.2"] and reaches(pid_of(s, a), "10.74.0.9") and reaches(pid_of(s, b), "10.73.0.2")
        assert netbox.links(ns=pid_of(s, a))["eth0"]["mtu"] == 1280
        network(s, "few", "--subnet", "10.75.0.0/24", "--gateway", "10.75.0.254", "--ip-range", "10.75.0.128/30",
                "--aux-address", "printer=10.75.0.128", "--aux-address", "10.75.0.129")
        found = [addresses(s, server(s, 7, network="few")) for _ in range(2)]
        assert found == [["10.75.0.130"], ["10.75.0.131"]], found
        assert "no address of 10.75.0.128/30 is free" in box.refused(s, box.sh(s, "true"), network="few")
        assert "10.75.0.128: belongs to printer" in box.refused(s, box.sh(s, "true"), network="few:ip=10.75.0.128")
        shown = json.loads(s.cli("network", "inspect", "few").stdout)
        shown = shown[0] if isinstance(shown, list) else shown
        assert shown["Cowherd"]["Reserved"] == {"printer": "10.75.0.128", "10.75.0.129": "10.75.0.129"}, shown
        # A pool of MAC addresses: each once.
        asked(s, "POST", "/networks/", {
            "Name": "pool", "Type": "Private", "Subnets": [{"AddressPrefix": "10.76.0.0/24"}],
            "MacPools": [{"StartMacAddress": "00-15-5D-52-C0-00", "EndMacAddress": "00-15-5D-52-C0-01"},
                         {"StartMacAddress": "00-15-5D-52-CF-FF", "EndMacAddress": "00-15-5D-52-CF-FF"}]})
        macs = {netbox.links(ns=pid_of(s, server(s, 7, network="pool")))["eth0"]["address"] for _ in range(3)}
        assert macs == {"00:15:5d:52:c0:00", "00:15:5d:52:c0:01", "00:15:5d:52:cf:ff"}, macs
        assert "no MAC address of its ranges is free" in box.refused(s, box.sh(s, "true"), network="pool")
        card1 = ["--parent", "up0", "--subnet", "10.77.0.0/24"]
        for words, cause in (
                (["-d", "macvlan"], "type Transparent needs an adapter"),
                (["-d", "macvlan", "--parent", "none0"], "adapter none0: there is no such link on this host"),
                (["-d", "overlay", "--vxlan", "5", "--subnet", "10.77.0.0/24", "--parent", "none0"], "adapter none0: there is no"),
                (["-d", "macvlan", "--parent", "lo"], "adapter lo: is not an Ethernet card"),
                (["-d", "macvlan", "--parent", ""], "is not an adapter's name"),
                (["-d", "macvlan", "-o", "macvlan_mode=loud", *card1], "is not bridge, private, vepa or passthru"),
                (["--parent", "up0"], "is nothing to this kind of network"),
                (["--vlan", "7"], "VLAN 7: type NAT has no adapter for it"),
                (["--subnet", "10.77.0.0/24", "--gateway", "10.77.0.255"], "is the subnet's own address"),
                (["--subnet", "10.77.0.0/24", "--gateway", "none"], "cannot be where this host is the gateway"),
                (["--subnet", "10.77.0.0/24", "--aux-address", "x=10.78.0.1"], "of one of the subnets"),
                (["--subnet", "fd77::/64", "--mtu", "1279"], "too small for IPv6"),
                (["--dhcp"], "there is no DHCP server to get addresses from"),
                (["-d", "overlay", "--vxlan", "5", "--subnet", "10.77.0.0/24", "--peer", "224.0.0.1"], "not the address of a host")):
            message = create_fails(s, *words, "wrong")
            assert cause in message, (words, message)
        if has_vlans():
            network(s, "tagged", "-d", "l2bridge", *card1, "--vlan", "7")
        else:
            for words in ["--vlan", "7", *card1], ["-o", "parent=up0.7", "--subnet", "10.77.0.0/24"]:
                message = create_fails(s, "-d", "macvlan", *words, "tagged")
                assert message == "cowherd: network tagged: VLAN 7 of up0: this kernel has no VLANs (8021q)\n", message
        assert "wrong" not in s.cli("network", "ls").stdout.decode()
        for c in s.connection.call("container.list", all=True):
            box.delete(s, c["id"])
        removed = s.cli("network", "prune")
        assert removed.returncode == 0, removed.stderr


def has_vlans():
    """Whether this kernel has VLANs."""
    try:
        netbox.ip("link", "add", "link", "up0", "name", "trial0", "type", "vlan", "id", "9")
    except subprocess.CalledProcessError:
        return False
    netbox.ip("link", "delete", "trial0")
    return True


if __name__ == "__main__":
    cow.main([test_transparent, test_bridge_of_others, test_l2bridge_beside_the_host, test_l2bridge,
              test_internal_and_private, test_dhcp, test_killed, test_values])
