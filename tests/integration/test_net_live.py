#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Networks of containers that are there: one more, one less, also by the verbs of endpoints; names follow."""
import contextlib
import json
import os
import threading

import netbox
import box
import cow
from test_net import client, herd, kept, network, server
from test_net_dns import Server


def pid(s, container):
    return s.connection.call("container.inspect", container=container)["pid"]


def links(s, container):
    return sorted(netbox.links(ns=pid(s, container)))


def default(s, container, *family):
    """The link of the default route."""
    routes = json.loads(netbox.ip("-j", *family, "route", "show", "default", ns=pid(s, container)))
    return [r["dev"] for r in routes]


def cli(s, *words):
    done = s.cli("network", *words, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def fails(s, *words):
    done = s.cli("network", *words, text=True)
    assert done.returncode == 1, (words, done)
    return done.stderr


def shown(s, container, path):
    end, out, err = box.execute(s, container, "/bin/cat", path)
    assert end["exit_code"] == 0, (end, err)
    return out


def resolved(s, container, name, *more):
    end, out, _ = box.execute(s, container, "/usr/bin/getent", *more or ("ahosts",), name)
    return sorted({line.split()[0] for line in out.splitlines()}) if end["exit_code"] == 0 else []


@contextlib.contextmanager
def two(*more):
    with herd(*more) as s:
        network(s, "front", "--subnet", "10.60.0.0/24", "--subnet", "fd60::/64", "--dns", "192.0.2.2")
        network(s, "back", "--driver", "internal", "--subnet", "10.61.0.0/24", "--dns", "192.0.2.2")
        network(s, "third", "--subnet", "10.62.0.0/24", "--dns", "192.0.2.2")
        upstream = Server(s.world)
        try:
            yield s
        finally:
            upstream.close()
        for c in s.connection.call("container.list", all=True):
            box.delete(s, c["id"])
        cow.wait_for(lambda: s.cli("network", "rm", "--force", "front", "back", "third").returncode == 0, "unused networks")


def test_connect():
    """A link, an address as asked for, the way there, names on both sides, hosts; and back."""
    with two() as s:
        web = server(s, 7, network="front", ports=["8060:7"], name="web", hostname="web")
        db = server(s, 7, network="back", name="db")
        assert client(s, "db", 7, "tcp", "x", 1, network="container:web").startswith("error")
        cli(s, "connect", "--ip", "10.61.0.77", "--mac-address", "02:00:00:00:00:77", "--alias", "www", "back", "web")
        assert links(s, web) == ["eth0", "eth1", "lo"]
        assert netbox.links(ns=pid(s, web))["eth1"]["address"] == "02:00:00:00:00:77"
        assert default(s, web) == ["eth0"]
        assert client(s, "db", 7, "tcp", "x", network="container:web").startswith("tcp 10.61.0.77 ")
        for name in "web", "www":
            assert resolved(s, db, name) == ["10.61.0.77"], name
            assert client(s, name, 7, "udp", "x", network="back").endswith(" x")
        assert "10.61.0.77\tweb\n" in shown(s, web, "/etc/hosts")
        # What is published stays, and its user's connections.
        talk = s.world.call(lambda: __import__("socket").create_connection(("192.0.2.1", 8060), 5))
        assert talk.recv(100).startswith(b"tcp 192.0.2.2 ")
        assert "is in network back already" in fails(s, "connect", "back", "web")
        cli(s, "disconnect", "back", "web")
        assert links(s, web) == ["eth0", "lo"]
        talk.sendall(b"still")
        assert talk.recv(100) == b"still"
        talk.close()
        assert resolved(s, db, "www") == [] and "10.61.0.77" not in shown(s, web, "/etc/hosts")
        assert "is not in network back" in fails(s, "disconnect", "back", "web")
        cli(s, "disconnect", "--force", "back", "web")
        # Again, with an address of its own choice; the freed one is another's then.
        cli(s, "connect", "back", "web")
        cli(s, "connect", "--ip", "10.62.0.9", "third", "web")
        assert links(s, web) == ["eth0", "eth1", "eth2", "lo"]


def test_what_cannot_be():
    with two() as s:
        web = box.start(s, box.sh(s, "sleep 1000"), network="front", name="web")
        for name, mode in ("hosted", "host"), ("alone", "none"), ("joined", "container:web"):
            box.start(s, box.sh(s, "sleep 1000"), network=mode, name=name)
            message = fails(s, "connect", "back", name)
            assert "container %s: only one that was made with a network of its own" % name in message, message
        for words, cause in (
                (("connect", "nowhere", "web"), "Network name \"nowhere\" not found"),
                (("connect", "back", "nobody"), "container nobody: no such container"),
                (("connect", "front", "web"), "container web: is in network front already"),
                (("connect", "--ip", "10.99.0.1", "back", "web"), "10.99.0.1 lies in none of its subnets"),
                (("connect", "--ip", "10.61.0.1", "back", "web"), "10.61.0.1"),
                (("connect", "--ip", "ten", "back", "web"), "ip=ten: not an address"),
                (("connect", "--mac-address", "x", "back", "web"), "mac=x: not a MAC address"),
                (("connect", "--alias", "a b", "back", "web"), "alias=a b: not a name"),
                (("connect", "--alias", "a,ip=10.61.0.9", "back", "web"), "has a comma"),
                (("disconnect", "nat", "web"), "Network name \"nat\" not found"),
                (("disconnect", "back", "web"), "container web: is not in network back")):
            assert cause in fails(s, *words), (words, fails(s, *words))
        assert links(s, web) == ["eth0", "lo"]
        assert s.cli("network", "connect", "back").returncode == 125
        # Nothing of it is left.
        box.delete(s, web)
        assert not list((s.root / "net/endpoints").glob("[!.]*"))
        cow.wait_for(lambda: not list((s.root / "net/leases").glob("*/[!.]*")), "no lease")


def test_the_first_goes():
    """The default route and published ports are the next one's."""
    with two() as s:
        web = server(s, 7, network="front", ports=["8060:7"], name="web")
        cli(s, "connect", "back", "web")
        cli(s, "connect", "third", "web")
        cli(s, "disconnect", "front", "web")
        assert links(s, web) == ["eth1", "eth2", "lo"]
        assert default(s, web) == ["eth2"]
        assert s.world.ask("192.0.2.1", 8060, b"x") == b"tcp 192.0.2.2 x"
        assert client(s, "192.0.2.1", 8060, "tcp", "x", network="container:web").endswith(" x"), "by its own published port"
        cli(s, "disconnect", "third", "web")
        cli(s, "disconnect", "back", "web")
        assert links(s, web) == ["lo"]
        cli(s, "connect", "front", "web")
        assert links(s, web) == ["eth0", "lo"]
        assert default(s, web) == ["eth0"] and default(s, web, "-6") == ["eth0"]
        assert s.world.ask("192.0.2.1", 8060, b"x") == b"tcp 192.0.2.2 x"


def test_lives():
    """Across restarts of the container and of the supervisor, killed or not; and before the first start."""
    with two() as s:
        web = box.create(s, box.sh(s, "exec sleep 1000"), network="front", name="web", ports=["8060:7"])
        cli(s, "connect", "--alias", "www", "third", "web")
        s.connection.call("container.start", container=web)
        db = box.start(s, box.sh(s, "sleep 1000"), network="third", name="db")
        [v4] = resolved(s, db, "www")
        assert resolved(s, db, "web") == [v4] and links(s, web) == ["eth0", "eth1", "lo"]
        s.connection.call("container.stop", container=web, timeout_s=0)
        assert resolved(s, db, "www") == [], "nobody is there"
        s.connection.call("container.start", container=web)
        assert resolved(s, db, "www") == [v4]
        # It lives on.
        s.connection.close()
        s.kill()
        s.start()
        s.connection = s.client()
        cow.wait_for(lambda: resolved(s, db, "www") == [v4], "its name")
        cli(s, "disconnect", "front", "web")
        # It has ended meanwhile, and is started anew.
        s.connection.call("container.stop", container=web, timeout_s=0)
        s.connection.close()
        s.kill()
        s.start()
        s.connection = s.client()
        cli(s, "connect", "back", "web")
        assert "is in network back already" in fails(s, "connect", "back", "web")
        assert "is not in network front" in fails(s, "disconnect", "front", "web")
        s.connection.call("container.start", container=web)
        assert links(s, web) == ["eth0", "eth1", "lo"]
        end, out, _ = box.execute(s, web, "/usr/bin/getent", "ahosts", "web")
        assert end["exit_code"] == 0 and out.startswith("10.62."), out


def test_ports_alone():
    """A container that asked for ports only is one of network nat, for connect and disconnect as for all."""
    with two() as s:
        web = box.start(s, box.sh(s, "exec sleep 1000"), name="web", ports=["8099:1"])
        cli(s, "connect", "third", "web")
        s.connection.call("container.stop", container=web, timeout_s=0)
        s.connection.close()
        s.kill()
        s.start()
        s.connection = s.client()
        cli(s, "connect", "back", "web")
        s.connection.call("container.start", container=web)
        assert links(s, web) == ["eth0", "eth1", "eth2", "lo"] and default(s, web) == ["eth0"]
        cli(s, "disconnect", "nat", "web")
        for _ in range(2):
            assert default(s, web) in (["eth1"], ["eth0"]), default(s, web)
            assert s.cli("port", "web", text=True).stdout == "1/tcp -> 0.0.0.0:8099\n"
            assert len(links(s, web)) == 3, links(s, web)
            # Anew: what is left has its links from eth0 on.
            s.connection.call("container.stop", container=web, timeout_s=0)
            s.connection.close()
            s.kill()
            s.start()
            s.connection = s.client()
            s.connection.call("container.start", container=web)


def test_attached_endpoints():
    """What `endpoint attach` and HCN's requests plug into a container's namespace, or another, has its name there."""
    with two() as s:
        web = box.start(s, box.sh(s, "sleep 1000"), network="front", name="web")
        [ns] = [p.stem for p in (s.root / "net/namespaces").glob("[!.]*.json")
                if any(r["Data"].get("Id") == web for r in json.loads(p.read_text())["Resources"])]
        assert s.cli("endpoint", "create", "--network", "third", "--ip", "10.62.0.50", "more").returncode == 0
        db = box.start(s, box.sh(s, "sleep 1000"), network="third", name="db")
        assert resolved(s, db, "more") == []
        attached = s.cli("endpoint", "attach", "more", ns, text=True)
        assert attached.returncode == 0, attached.stderr
        assert resolved(s, db, "more") == ["10.62.0.50"]
        assert s.cli("endpoint", "detach", "more").returncode == 0
        assert resolved(s, db, "more") == []
        request = json.dumps({"ResourceType": "Endpoint", "RequestType": "Add", "Settings": {"EndpointId": "more"}})
        assert s.cli("namespace", "modify", ns, request).returncode == 0
        assert resolved(s, db, "more") == ["10.62.0.50"]
        # The container goes: a user's endpoint stays, plugged in nowhere.
        box.delete(s, web)
        assert resolved(s, db, "more") == []
        left = json.loads(s.cli("endpoint", "inspect", "more").stdout)[0]
        assert not left.get("HostComputeNamespace"), left
        # Servers of a network that change are asked from now on: the first one does not know this name.
        netbox.ip("addr", "add", "192.0.2.3/24", "dev", "world0", ns=s.world.pid)
        other = Server(s.world, "192.0.2.3", b"elsewhere")
        try:
            assert resolved(s, db, "new.nowhere.example", "ahostsv4") == []
            change = {"ResourceType": "DNS", "RequestType": "Update", "Settings": {"ServerList": ["192.0.2.3"]}}
            assert s.cli("network", "modify", "third", json.dumps(change)).returncode == 0
            assert resolved(s, db, "new.nowhere.example", "ahostsv4") == ["198.51.100.7"]
        finally:
            other.close()
        assert s.cli("endpoint", "rm", "more").returncode == 0


def test_killed_at_any_time():
    """While a container is plugged in and out: every other time once it has been in, else as soon as it may be."""
    with two() as s:
        connected = 0
        for i in range(max(1, int(os.environ.get("COW_NET_KILLS", "3" if cow.SANITIZED else "6")))):
            done, went = threading.Event(), threading.Semaphore(0)
            web = box.start(s, box.sh(s, "sleep 1000"), network="front", name="web")

            def live():
                while not done.is_set():
                    if s.cli("network", "connect", "third", "web").returncode == 0:
                        went.release()
                    s.cli("network", "disconnect", "third", "web")
            thread = threading.Thread(target=live)
            thread.start()
            try:
                if i % 2 == 0:
                    assert went.acquire(timeout=60), "it was never plugged in"
                    connected += 1
                threading.Event().wait(0.02 + 0.023 * i)
                s.connection.close()
                s.kill()
            finally:
                done.set()
                thread.join()
            while went.acquire(blocking=False):
                connected += 1
            s.start()
            s.connection = s.client()
            box.delete(s, web)
            try:
                cow.wait_for(lambda: not kept(s), "what was killed to be gone")
            except AssertionError:
                raise AssertionError("left behind: %s" % kept(s)) from None
        assert connected > 0


if __name__ == "__main__":
    cow.main([test_connect, test_what_cannot_be, test_the_first_goes, test_lives, test_ports_alone, test_attached_endpoints,
              test_killed_at_any_time])
