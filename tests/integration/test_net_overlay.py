# SPDX-License-Identifier: MIT
"""Two hosts with a supervisor each: overlays between them; and what becomes of containers when a card goes and comes
back."""
import contextlib
import json
import os
import subprocess

import netbox
import box
import cow
from test_net import addresses, herd, network, server
from test_net_kinds import (LAN, WORLD, ask_from, asked, bridges, connect, create_fails, cut_off, overlay, pid_of, reaches, remove,
                            spec_with_endpoint, world_server)


@contextlib.contextmanager
def second(world):
    """A supervisor in the world: another host, 192.0.2.2."""
    with box.supervisor(prefix=["nsenter", "-t", str(world.pid), "-n"]) as s:
        yield s
        for c in s.connection.call("container.list", all=True):
            box.delete(s, c["id"])
        for n in s.cli("network", "ls", "--format", "{{.ID}} {{.Driver}}").stdout.decode().splitlines():
            if not n.endswith(" CNI"):  # those are the machine's
                remove(s, n.split()[0])
        left = []  # as the last look found it

        def clean():
            left[:] = set(netbox.links(ns=world.pid)) - {"lo", "world0"}
            return not left
        try:
            cow.wait_for(clean, "no links")
        except AssertionError:
            raise AssertionError("in the world are left: %s\n%s" % (left, s.cli("network", "ls").stdout.decode())) from None


def pair(s, t, name, **more):
    return server(s, 7, network=name, **more), server(t, 7, network=name, **more)


def test_overlay():
    """One segment on two hosts: by number, in both families; each host is the gateway of its own."""
    with herd() as s, second(s.world) as t, world_server(s.world, 8):
        overlay(s, "over", 4096, 1, "--peer", "192.0.2.2")
        overlay(t, "over", 4096, 2, "--peer", "192.0.2.1")
        a, b = pair(s, t, "over")
        assert reaches(pid_of(s, a), *addresses(t, b)) and reaches(pid_of(t, b), *addresses(s, a))
        for h, c in (s, a), (t, b):
            assert netbox.links(ns=pid_of(h, c))["eth0"]["mtu"] == 1450
        # A whole packet, as large as it says.
        assert ask_from(pid_of(s, a), addresses(t, b)[0], b"x" * 1400, "udp").endswith("x" * 1400)
        # Out by its own host; the host reaches its own.
        assert ask_from(pid_of(s, a), "192.0.2.2", port=8) == "tcp 192.0.2.1 hi"
        assert reaches(os.getpid(), *addresses(s, a))
        # The same addresses under another number are elsewhere.
        overlay(s, "other", 4097, 1, "--peer", "192.0.2.2", subnet=81)
        overlay(t, "other", 4098, 2, "--peer", "192.0.2.1", subnet=81)
        c, d = pair(s, t, "other")
        assert cut_off(pid_of(s, c), *addresses(t, d)) and cut_off(pid_of(s, c), *addresses(s, a))
        assert cut_off(pid_of(t, d), *addresses(s, a))
        # A tunnel by IPv6, to the port that is asked for.
        for h, i in (s, 1), (t, 2):
            overlay(h, "six", 4099, i, "--peer", "2001:db8::%d" % (3 - i), subnet=82)
            modified = h.cli("network", "modify", "six", json.dumps({
                "ResourceType": "Policy", "RequestType": "Add",
                "Settings": {"Policies": [{"Type": "VxlanPort", "Settings": {"Port": 4790}}]}}))
            assert modified.returncode == 0, modified.stderr
        e, f = pair(s, t, "six")
        assert reaches(pid_of(s, e), *addresses(t, f)) and netbox.links(ns=pid_of(s, e))["eth0"]["mtu"] == 1430
        assert ask_from(pid_of(s, e), addresses(t, f)[1], b"x" * 1380, "udp").endswith("x" * 1380)
        [tunnel] = [n["linkinfo"]["info_data"] for n in netbox.links().values()
                    if n.get("linkinfo", {}).get("info_data", {}).get("id") == 4099]
        assert tunnel["port"] == 4790, tunnel
        # A peer less, a peer more.
        change = {"ResourceType": "Policy", "Settings": {"Policies": [
            {"Type": "RemoteSubnetRoute", "Settings": {"DestinationPrefix": prefix, "IsolationId": 4096,
                                                       "ProviderAddress": "192.0.2.2"}}
            for prefix in ("10.80.0.0/16", "fd80::/64")]}}
        for request in "Remove", "Add":
            modified = s.cli("network", "modify", "over", json.dumps({**change, "RequestType": request}))
            assert modified.returncode == 0, modified.stderr
            b2 = server(t, 7, network="over")
            assert (reaches if request == "Add" else cut_off)(pid_of(s, a), *addresses(t, b2)), request
        for h, containers in (s, (a, c, e)), (t, (b, d, f)):
            for container in containers:
                box.delete(h, container)
        remove(s, "over", "other", "six")
        assert create_fails(s, "-d", "overlay", "--subnet", "10.80.0.0/16", "x") == \
            "cowherd: network x: type Overlay needs a VSID, the same on all hosts\n"


def hcn(name, subnet, policies, number=4200, kind="Overlay"):
    """HostComputeNetwork, as hcsshim sends it."""
    return json.dumps({
        "Name": name, "Type": kind, "SchemaVersion": {"Major": 2, "Minor": 0}, "Policies": policies,
        "Ipams": [{"Type": "Static", "Subnets": [
            {"IpAddressPrefix": subnet, "Policies": [{"Type": "VSID", "Settings": {"IsolationId": number}}],
             "Routes": [{"NextHop": subnet.replace(".0/24", ".1"), "DestinationPrefix": "0.0.0.0/0"}]}]}]})


def test_overlay_by_documents():
    """As flannel and kube-proxy have it on Windows: a subnet for each host, and endpoints of others."""
    with herd() as s, second(s.world) as t:
        macs = ["00-15-5D-00-00-01", "00-15-5D-00-00-02"]
        for i, h in enumerate((s, t)):
            made = h.cli("network", "create", "--json", hcn("vxlan0", "10.90.%d.0/24" % (i + 1), [
                {"Type": "DrMacAddress", "Settings": {"Address": macs[i]}},
                {"Type": "RemoteSubnetRoute", "Settings": {
                    "DestinationPrefix": "10.90.%d.0/24" % (2 - i), "IsolationId": 4200,
                    "ProviderAddress": "192.0.2.%d" % (2 - i), "DistributedRouterMacAddress": macs[1 - i]}}]))
            assert made.returncode == 0, made.stderr
        a, b = pair(s, t, "vxlan0")
        assert reaches(pid_of(s, a), *addresses(t, b)) and reaches(pid_of(t, b), *addresses(s, a))
        # With the address it has, not that of its host.
        assert ask_from(pid_of(s, a), addresses(t, b)[0]).split()[1] == addresses(s, a)[0]
        assert reaches(os.getpid(), *addresses(t, b))
        box.delete(s, a)
        box.delete(t, b)

        # Who says nothing of its router's address says which it is.
        network(s, "told", "-d", "overlay", "--vxlan", "4400", "--subnet", "10.92.0.0/16")
        [there] = [n for n in asked(s, "GET", "/v2/networks") if n["Name"] == "told"]
        [mac] = [p["Settings"]["Address"] for p in there["Policies"] if p["Type"] == "DrMacAddress"]
        c = server(s, 7, network="told")
        assert mac.replace("-", ":").lower() == netbox.links()[there["Cowherd"]["Bridge"]]["address"]
        box.delete(s, c)
        remove(s, "told")

        for h in s, t:
            network(h, "far", "-d", "overlay", "--vxlan", "4300", "--subnet", "10.91.0.0/16")
        a = server(s, 7, network="far:ip=10.91.0.11,mac=02:00:00:00:00:11")
        b = server(t, 7, network="far:ip=10.91.0.22,mac=02:00:00:00:00:22")
        assert cut_off(pid_of(s, a), "10.91.0.22")
        for h, number, host in (s, 22, 2), (t, 11, 1):
            [there] = [n for n in asked(h, "GET", "/v2/networks") if n["Name"] == "far"]
            asked(h, "POST", "/v2/endpoints", {
                "Name": "theirs", "HostComputeNetwork": there["ID"], "Flags": 1, "MacAddress": "02-00-00-00-00-%d" % number,
                "IpConfigurations": [{"IpAddress": "10.91.0.%d" % number}],
                "Policies": [{"Type": "ProviderAddress", "Settings": {"ProviderAddress": "192.0.2.%d" % host}}]})
        assert reaches(pid_of(s, a), "10.91.0.22") and reaches(pid_of(t, b), "10.91.0.11")
        # Its address is taken, and it cannot be plugged in here.
        assert "10.91.0.22: reserved for" in box.refused(s, box.sh(s, "true"), network="far:ip=10.91.0.22")
        assert "is remote" in box.refused(s, spec_with_endpoint(s, "theirs"))
        # Known again after a restart without a bridge; gone when it goes.
        box.delete(s, a)
        a = server(s, 7, network="far:ip=10.91.0.11,mac=02:00:00:00:00:11")
        assert reaches(pid_of(s, a), "10.91.0.22")
        removed = s.cli("endpoint", "rm", "theirs")
        assert removed.returncode == 0, removed.stderr
        assert cut_off(pid_of(s, a), "10.91.0.22")
        assert t.cli("endpoint", "rm", "theirs").returncode == 0
        box.delete(s, a)
        box.delete(t, b)
        remove(s, "vxlan0", "far")


def logged(s, text):
    cow.wait_for(lambda: text in (s.dir / "daemon.log").read_text(), repr(text))


def test_card_that_goes():
    """Told, and mended when it is back: a macvlan, a bridge's port, a tunnel."""
    cards = (("up0", "world0", "192.0.2.2/24", "2001:db8::2/64"), ("card1", "far1", "198.51.100.2/24"))
    with herd() as s, second(s.world) as t:
        netbox.ip("link", "delete", "up0")
        for c in cards:
            connect(s.world, *c)
        try:
            network(s, "lan", "-d", "transparent", "--parent", "up0", *LAN)
            network(s, "bridged", "-d", "l2bridge", "--parent", "card1", "--subnet", "198.51.100.0/24",
                    "--aux-address", "far=198.51.100.2")
            netbox.ip("addr", "add", "203.0.113.1/24", "dev", "up0")
            netbox.ip("addr", "add", "203.0.113.2/24", "dev", "world0", ns=s.world.pid)
            overlay(s, "over", 4096, 1, "--peer", "203.0.113.2", "--parent", "up0")
            overlay(t, "over", 4096, 2, "--peer", "203.0.113.1", "--parent", "world0")
            a, b, c = [server(s, 7, network=n) for n in ("lan", "bridged", "over")]
            d, e = server(s, 7, network="lan"), server(t, 7, network="over")
            with world_server(s.world, 8):
                assert works(s, a, b, c, addresses(t, e))
                for name in "up0", "card1":
                    netbox.ip("link", "delete", name)
                logged(s, "adapter up0: has gone, and cuts containers off; networks: ")
                logged(s, "adapter card1: has gone, and cuts containers off; networks: bridged")
                for name, card_ in ("lan", "up0"), ("bridged", "card1"):
                    message = box.refused(s, box.sh(s, "true"), network=name)
                    assert "network %s: adapter %s: there is no such link on this host" % (name, card_) in message, message
                box.delete(s, d)
                for each in cards:
                    connect(s.world, *each)
                netbox.ip("addr", "add", "203.0.113.2/24", "dev", "world0", ns=s.world.pid)
                netbox.ip("addr", "add", "203.0.113.1/24", "dev", "up0")
                logged(s, "adapter up0: is back; networks: ")
                logged(s, "adapter card1: is back; networks: bridged")
                logged(t, "adapter world0: is back; networks: over")
                assert works(s, a, b, c, addresses(t, e))
            for h, container in (s, a), (s, b), (s, c), (t, e):
                box.delete(h, container)
            remove(s, "lan", "bridged", "over")
            assert not bridges() and "master" not in netbox.links()["card1"]
        finally:
            with contextlib.suppress(subprocess.CalledProcessError):
                netbox.ip("link", "delete", "card1")


def test_removed_while_the_pool_fills():
    """What is made in advance for the next container does not bring back the links of a network that has gone."""
    with herd() as s:
        before = set(netbox.links())
        for i in range(10):
            kind = ["overlay", "--vxlan", "4500"] if i % 2 else ["nat"]
            network(s, "brief", "-d", *kind, "--subnet", "10.99.%d.0/24" % i)
            box.says(s, box.sh(s, "true"), network="brief")
            remove(s, "brief")
        cow.wait_for(lambda: set(netbox.links()) == before, "the links of before")


def works(s, on_lan, on_bridge, on_overlay, others):
    return (all(ask_from(pid_of(s, on_lan), address, port=8).endswith(" hi") for address in WORLD)
            and ask_from(pid_of(s, on_bridge), "198.51.100.2", port=8).endswith(" hi")
            and reaches(pid_of(s, on_overlay), *others))


if __name__ == "__main__":
    cow.main([test_overlay, test_overlay_by_documents, test_card_that_goes, test_removed_while_the_pool_fills])
