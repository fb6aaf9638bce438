# SPDX-License-Identifier: MIT
"""cowherd network, endpoint, namespace: the words, HNS's and HCN's requests, and what the kernel has of it."""
import contextlib
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys

import netbox
import box
import cow


class Words:
    """The client of one supervisor."""

    def __init__(self, s):
        self.s = s

    def run(self, *words, **more):
        return self.s.cli(*words, timeout=60, **more)

    def ok(self, *words, **more):
        r = self.run(*words, **more)
        assert r.returncode == 0, r
        return r.stdout.decode().strip()

    def refused(self, *words, code=1, **more):
        r = self.run(*words, **more)
        assert r.returncode == code, r
        return r.stderr.decode().strip()

    def request(self, method, path, body=None, good=True):
        """What HNS would answer: the output, or the error."""
        words = ["network", "request", method, path] + ([json.dumps(body)] if body is not None else [])
        r = self.run(*words)
        answer = json.loads(r.stdout)
        assert answer["Success"] == good and r.returncode == (not good), (words, r)
        return answer.get("Output") if good else answer

    def inspect(self, verb, name, *more):
        return json.loads(self.ok(verb, "inspect", *more, name))[0]


@contextlib.contextmanager
def words():
    with netbox.World() as world, box.supervisor() as s:
        w = Words(s)
        w.world = world
        yield w
        for verb in "namespace", "endpoint":
            for name in w.ok(verb, "ls", "-q", "--no-trunc").split():
                w.ok(verb, "rm", name)
        w.ok("network", "prune")  # those of CNI's directory stay
        s.connection.close()
        s.call("shutdown", kill=True)
        s.process.wait(30)
        netbox.nothing_left(s)
        s.start()  # for the one around this, which ends it
        s.connection = s.client()


def in_namespace(path, function):
    """function() in a network namespace that is a file."""
    with subprocess.Popen(["nsenter", "--net=" + path, "sleep", "1000"]) as process:
        try:
            cow.wait_for(lambda: os.readlink("/proc/%d/ns/net" % process.pid) != os.readlink("/proc/self/ns/net"),
                         "a process in " + path)
            return netbox.inside(process.pid, function)
        finally:
            process.kill()


def test_words():
    """As docker says them; tables, filters, templates; what is wrong is said."""
    with words() as w:
        web = w.ok("network", "create", "web", "--subnet", "10.50.0.0/24", "--ip-range", "10.50.0.128/25",
                   "--label", "tier=front", "-o", "mtu=1400", "--dns", "10.9.9.9")
        w.ok("network", "create", "-d", "internal", "db")
        assert w.ok("network", "ls", "-q", "--no-trunc", "-f", "name=web") == web
        assert w.ok("network", "ls", "--format", "{{.Name}} {{.Driver}}").splitlines().sort() == \
            ["db Internal", "web NAT"].sort()
        table = w.ok("network", "ls").splitlines()
        assert table[0].split() == ["NETWORK", "ID", "NAME", "DRIVER", "SCOPE", "SUBNETS"], table
        assert w.ok("network", "ls", "-q", "-f", "label=tier") == web[:12]
        assert w.ok("network", "ls", "-q", "-f", "label=tier=back") == ""
        shown = w.inspect("network", "web")
        assert shown["Ipams"][0]["Subnets"][0]["Routes"][0]["NextHop"] == "10.50.0.1"
        assert shown["Cowherd"]["Mtu"] == 1400 and shown["Dns"]["ServerList"] == ["10.9.9.9"]
        assert w.inspect("network", web[:10], "--hns")["DNSServerList"] == "10.9.9.9"
        assert w.ok("network", "inspect", "web", "-f", "{{.Name}} {{json .Flags}}") == "web 0"
        for more, cause in (
                (["web"], "network web: exists"),
                (["x", "--subnet", "10.50.0.0/16"], "network x: subnet 10.50.0.0/16 overlaps one of network web"),
                (["x", "-d", "transparent"], "network x: type Transparent needs an adapter"),
                (["a b"], 'network a b: a name has letters, digits, "_", "." and "-"')):
            assert w.refused("network", "create", *more) == "cowherd: " + cause, more
        for more in (["x", "--subnet", "10.0.0.0"], ["x", "--gateway", "10.0.0.1"], ["x", "-d", "odd"],
                     ["x", "--mtu", "1"], ["x", "-o", "odd=1"], ["x", "--internal", "-d", "overlay"]):
            assert "--" in w.refused("network", "create", *more, code=125), more
        assert w.refused("network", "ls", "-f", "odd=1").startswith('cowherd: --filter: "odd=1" is not')
        r = w.run("network", "inspect", "nothing", "web", "-f", "{{.Name}}")
        assert r.returncode == 1 and r.stdout == b"web\n", r
        assert r.stderr == b'cowherd: Network name "nothing" not found\n', r
        e = w.ok("endpoint", "create", "--network", "web", "-p", "8080:80", "e1")
        assert w.inspect("endpoint", "e1")["IpConfigurations"] == [{"IpAddress": "10.50.0.128", "PrefixLength": 24}]
        assert w.refused("network", "rm", "web") == "cowherd: network web: is used by 1 endpoint"
        assert w.refused("endpoint", "create", "--network", "web", "--ip", "10.50.0.128", "e2") == \
            "cowherd: 10.50.0.128: reserved for " + e
        assert w.refused("endpoint", "stats", "e1") == "cowherd: endpoint e1: is not in a namespace"
        assert "something is missing" in w.refused("endpoint", "create", code=125)
        w.ok("endpoint", "rm", "e1")
        assert sorted(w.ok("network", "prune").split()) == ["db", "web"]
        assert w.ok("network", "rm", "-f", "gone") == ""
        for verb in "network", "endpoint", "namespace":
            assert "create" in w.ok("help", verb) and "options" in w.ok(verb, "create", "--help")
        made = w.ok("network", "create", "--json", "-", input=b'{"Name":"j","Type":"NAT"}', stdin=None)
        assert w.inspect("network", made)["Name"] == "j"


def test_packets():
    """An endpoint in a namespace: to the host, to its neighbour, published, counted; nothing after it."""
    with words() as w:
        w.ok("network", "create", "web", "--subnet", "10.50.0.0/24", "--ipv6")
        w.ok("endpoint", "create", "--network", "web", "--ip", "10.50.0.7", "-p", "8080:7000", "e1")
        w.ok("endpoint", "create", "--network", "web", "e2")
        one, two = w.ok("namespace", "create"), w.ok("namespace", "create")
        w.ok("endpoint", "attach", "e1", one)
        w.ok("namespace", "add", two, "e2")
        assert w.refused("endpoint", "attach", "e1", two) == \
            "cowherd: endpoint e1: is in namespace %s already" % one
        path = w.inspect("namespace", one)["Cowherd"]["Path"]
        other = w.inspect("namespace", two)["Cowherd"]["Path"]
        server = in_namespace(path, lambda: socket.create_server(("::", 7000), family=socket.AF_INET6,
                                                                 dualstack_ipv6=True))
        six = [c["IpAddress"] for c in w.inspect("endpoint", "e1")["IpConfigurations"]][1]
        for address in "10.50.0.7", six:
            assert netbox.reachable(address, 7000), address
            assert in_namespace(other, lambda: netbox.reachable(address, 7000)), address
        assert w.world.call(lambda: netbox.reachable("192.0.2.1", 8080))
        before = json.loads(w.ok("endpoint", "stats", "e1"))
        assert before["rx_packets"] > 0 and before["tx_packets"] > 0
        # The port moves while connections are open.
        client = socket.create_connection(("10.50.0.7", 7000), 5)
        w.ok("endpoint", "modify", "e1", json.dumps(
            {"ResourceType": "Policy", "RequestType": "Update", "Settings": {"Policies": [
                {"Type": "PortMapping", "Settings": {"Protocol": 6, "InternalPort": 7000, "ExternalPort": 8081}}]}}))
        assert w.world.call(lambda: netbox.reachable("192.0.2.1", 8081))
        assert not w.world.call(lambda: netbox.reachable("192.0.2.1", 8080))
        # One that somebody has is refused, and the old one stays.
        with socket.create_server(("0.0.0.0", 8082)):
            assert "8082" in w.refused("endpoint", "modify", "e1", json.dumps(
                {"ResourceType": "Policy", "RequestType": "Update", "Settings": {"Policies": [
                    {"Type": "PortMapping", "Settings": {"Protocol": 6, "InternalPort": 7000, "ExternalPort": 8082}}]}}))
        assert w.world.call(lambda: netbox.reachable("192.0.2.1", 8081))
        w.ok("endpoint", "detach", "e1")
        assert not netbox.reachable("10.50.0.7", 7000)
        assert "eth0" not in in_namespace(path, lambda: netbox.links())
        client.close()
        server.close()
        # Again, with the address it had.
        w.ok("endpoint", "attach", "e1", two)
        assert "eth1" in in_namespace(other, lambda: netbox.links())
        assert w.inspect("endpoint", "e1")["IpConfigurations"][0]["IpAddress"] == "10.50.0.7"


def test_requests():
    """HNS's and HCN's, one after the other on the same objects."""
    with words() as w:
        assert w.request("GET", "/globals/version")["Major"] >= 9
        n = w.request("POST", "/networks/", {"Name": "hns", "Type": "NAT", "Subnets": [
            {"AddressPrefix": "10.60.0.0/24", "GatewayAddress": "10.60.0.254"}]})
        e = w.request("POST", "/endpoints/", {"VirtualNetwork": n["ID"], "Policies": [
            {"Type": "NAT", "Protocol": "TCP", "InternalPort": 80, "ExternalPort": 8090}]})
        assert e["GatewayAddress"] == "10.60.0.254" and e["IPAddress"] == "10.60.0.1", e
        ns = w.request("POST", "/namespaces/", {})
        w.request("POST", "/namespaces/%s/addresource" % ns["ID"], {"Type": "Endpoint", "Data": {"Id": e["ID"]}})
        shown = w.request("GET", "/endpoints/" + e["ID"])
        assert shown["Namespace"]["ID"] == ns["ID"]
        assert w.request("GET", "/endpointstats/" + e["ID"])["EndpointID"] == e["ID"]
        assert w.request("GET", "/namespaces/x", good=False) == {"Success": False, "Error": "Element not found."}
        [found] = w.request("GET", "/v2/endpoints", {"Filter": json.dumps({"VirtualNetwork": n["ID"]})})
        assert found["Policies"][0]["Type"] == "PortMapping"
        answer = w.request("GET", "/v2/networks/nothing", good=False)
        assert answer["Error"] == 'Network name "nothing" not found' and answer["ErrorCode"] == 0x803b0001
        assert w.request("POST", "/v2/endpoints", {"HostComputeNetwork": n["ID"], "HostComputeNamespace": ns["ID"]},
                         good=False)["Error"].startswith("endpoint create error")
        route = w.request("POST", "/v2/routes", {"HostComputeEndpoints": [e["ID"]], "Setting": [
            {"DestinationPrefix": "10.61.0.0/16", "NextHop": "10.60.0.9"}]})
        path = w.inspect("namespace", ns["ID"])["Cowherd"]["Path"]
        assert "10.61.0.0/16 via 10.60.0.9" in in_namespace(path, lambda: netbox.ip("route"))
        w.request("DELETE", "/v2/routes/" + route["ID"])
        assert "10.61.0.0" not in in_namespace(path, lambda: netbox.ip("route"))
        w.request("POST", "/namespaces/%s/removeresource" % ns["ID"], {"Type": "Endpoint", "Data": {"Id": e["ID"]}})
        w.request("POST", "/v2/namespaces/%s/sync" % ns["ID"])
        for kind, name in ("namespaces", ns), ("endpoints", e), ("networks", n):
            w.request("DELETE", "/%s/%s" % (kind, name["ID"]))


def test_balancer():
    """A virtual address in front of two endpoints: every connection is answered by one of those that are in."""
    with words() as w:
        w.ok("network", "create", "web", "--subnet", "10.50.0.0/24")
        servers = []
        ids = []
        for name in "a", "b":
            ids.append(w.ok("endpoint", "create", "--network", "web", name))
            ns = w.ok("namespace", "create")
            w.ok("endpoint", "attach", name, ns)
            path = w.inspect("namespace", ns)["Cowherd"]["Path"]
            servers.append(in_namespace(path, lambda: socket.create_server(("0.0.0.0", 7000))))
        made = w.request("POST", "/policylists/", {"References": ["/endpoints/" + i for i in ids], "Policies": [
            {"Type": "ELB", "Protocol": 6, "InternalPort": 7000, "ExternalPort": 9000, "VIPs": ["10.77.0.1"]}]})
        netbox.ip("route", "add", "10.77.0.0/16", "via", "192.0.2.1", ns=w.world.pid)
        for _ in range(8):
            assert w.world.call(lambda: netbox.reachable("10.77.0.1", 9000))
        w.ok("endpoint", "detach", "a")
        servers.pop(0).close()
        for _ in range(4):
            assert w.world.call(lambda: netbox.reachable("10.77.0.1", 9000))
        # A supervisor that comes after a death takes it up again.
        w.s.connection.close()
        w.s.kill()
        w.s.start()
        w.s.connection = w.s.client()
        w.ok("network", "ls")
        assert w.world.call(lambda: netbox.reachable("10.77.0.1", 9000))
        w.request("DELETE", "/policylists/" + made["ID"])
        assert not w.world.call(lambda: netbox.reachable("10.77.0.1", 9000))
        servers.pop().close()


def test_restart():
    """What a user has made is there after SIGKILL and again after a restart, with its address; what is half made goes."""
    with words() as w:
        web = w.ok("network", "create", "web", "--subnet", "10.50.0.0/24")
        e = w.ok("endpoint", "create", "--network", "web", "e1")
        ns = w.ok("namespace", "create")
        w.ok("endpoint", "attach", "e1", ns)
        lease = w.s.root / "net/leases" / web / "10.50.0.200"
        lease.write_text("aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee\n")
        w.s.connection.close()
        w.s.process.send_signal(signal.SIGKILL)
        w.s.process.wait()
        w.s.start()
        w.s.connection = w.s.client()
        assert w.inspect("endpoint", "e1")["HostComputeNamespace"] == ns
        assert w.inspect("endpoint", "e1")["ID"] == e
        path = w.inspect("namespace", ns)["Cowherd"]["Path"]
        assert in_namespace(path, lambda: netbox.reachable("10.50.0.1", 1)) is False
        assert "eth0" in in_namespace(path, lambda: netbox.links())
        assert w.ok("endpoint", "create", "--network", "web", "--ip", "10.50.0.200", "e2")
        w.ok("endpoint", "detach", "e1")


def test_reboot():
    """The volatile directory and the kernel's objects are gone: endpoints are there, unplugged, with their addresses."""
    with words() as w:
        w.ok("network", "create", "web", "--subnet", "10.50.0.0/24")
        w.ok("endpoint", "create", "--network", "web", "e1")
        w.ok("endpoint", "attach", "e1", w.ok("namespace", "create"))
        w.s.connection.close()
        w.s.kill()
        subprocess.run(["nft", "flush", "ruleset"], check=True)
        for name in netbox.links():
            if name.startswith("cow"):
                netbox.ip("link", "delete", name)
        for path in (w.s.root / "netns").iterdir():
            subprocess.run(["umount", str(path)], check=True)
        shutil.rmtree(w.s.root)
        w.s.start()
        w.s.connection = w.s.client()
        assert w.ok("namespace", "ls", "-q") == ""
        assert w.ok("endpoint", "create", "--network", "web", "e2")
        assert [w.inspect("endpoint", e)["IpConfigurations"][0]["IpAddress"] for e in ("e1", "e2")] == \
            ["10.50.0.2", "10.50.0.3"]
        w.ok("endpoint", "attach", "e1", w.ok("namespace", "create"))
        assert netbox.ip("-br", "link").count("ve") == 1


def killed_at(call, number, space):
    """`endpoint attach` by a client without a supervisor, killed at its call number N; False: it has come through."""
    r = subprocess.run([*cow.STRACE, "-f", "-qq", "-o", "/dev/null", "-e", "trace=" + call,
                        "-e", "inject=%s:signal=KILL:when=%d" % (call, number),
                        cow.COWHERD, "endpoint", "attach", "e1", space], stdout=subprocess.DEVNULL)
    return r.returncode != 0


def kill_all():
    def ok(*words):
        r = subprocess.run([cow.COWHERD, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
        assert r.returncode == 0, (words, r)
        return r.stdout.strip()

    ok("network", "create", "web", "--subnet", "10.50.0.0/24")
    ok("endpoint", "create", "--network", "web", "-p", "8080:80", "e1")
    deaths = 0
    # All that change something: files are made by rename, links and rules by messages.
    slow = 3 if "asan" in cow.BUILD.name else 1
    for call, step in ("renameat", 2 * slow), ("sendto", 4 * slow):
        number = 1
        while True:
            space = ok("namespace", "create")
            died = killed_at(call, number, space)
            if not died:
                assert space in ok("endpoint", "inspect", "e1")
            # Whatever it was in the middle of: it can be taken back, and had again.
            ok("namespace", "rm", space)
            assert "ve" not in netbox.ip("-br", "link"), netbox.ip("-br", "link")
            if not died:
                break
            deaths += 1
            number += step
    ok("endpoint", "rm", "e1")
    ok("network", "rm", "web")
    assert deaths > 3, deaths
    assert list(netbox.links()) == ["lo"] and not netbox.tables(), (netbox.links(), netbox.tables())
    left = [str(p) for d in ("/run/cowherd", "/var/lib/cowherd") for p in pathlib.Path(d).rglob("*.json")]
    assert not left and not list(pathlib.Path("/run/cowherd/netns").iterdir()), left


def test_kill():
    """A client without a supervisor plugs in by itself and is killed, at system call after system call."""
    place = "mount -t tmpfs tmpfs /run && mount -t tmpfs tmpfs /var/lib && exec python3 "
    subprocess.run(["unshare", "--mount", "--propagation", "private", "sh", "-c", place + __file__ + " kill"],
                   check=True, env={**os.environ, "COWHERD_HOST": "unix:///run/none"})


if __name__ == "__main__":
    if sys.argv[1:] == ["kill"]:
        kill_all()
        sys.exit()
    cow.main([f for name, f in list(globals().items()) if name.startswith("test_")])
