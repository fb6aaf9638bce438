# SPDX-License-Identifier: MIT
"""spec.windows.network with real packets: endpoints that users have made, namespaces by id and by path, another
container's network and its files; which comes first, and what is refused."""
import contextlib
import json
import os
import threading

import netbox
import box
import cow
from test_net import addresses, client, herd, network, server

HERE = "127.0.0.1"


def windows(made, **members):
    made["windows"] = {"network": members}
    return made


def serve(s, port=7, more=None, **members):
    """A server that is ready, with that network section."""
    container = box.start(s, windows(box.py(s, netbox.SERVER, str(port)), **members), **(more or {}))
    pid = s.connection.call("container.inspect", container=container)["pid"]
    cow.wait_for(lambda: netbox.inside(pid, lambda: netbox.reachable(HERE, port)), "the server")
    return container


def words(s, *args):
    done = s.cli(*args)
    assert done.returncode == 0, done.stderr
    return done.stdout.decode().strip()


def inspect(s, kind, name):
    return json.loads(words(s, kind, "inspect", name))[0]


def true(s, **members):
    return windows(box.sh(s, "true"), **members)


@contextlib.contextmanager
def endpoints(*options):
    """A herd with the network `web` and the endpoints a and b; nothing of all this is left."""
    with herd() as s:
        network(s, "web", "--subnet", "10.60.0.0/24", "--subnet", "fd60::/64")
        s.ids = [words(s, "endpoint", "create", "--network", "web", *options, name) for name in "ab"]
        yield s
        for c in s.connection.call("container.list", all=True):
            box.delete(s, c["id"])
        for name in "ab":
            assert not inspect(s, "endpoint", name).get("HostComputeNamespace"), name
            words(s, "endpoint", "rm", name)
        words(s, "network", "rm", "web")


def test_endpoints():
    """By id and by name, in their order; theirs are addresses, ports and policies; free again afterwards, also after a
    SIGKILL; whoever has one keeps it."""
    with endpoints() as s:
        published = words(s, "endpoint", "create", "--network", "web", "--publish", "8007:7", "p")
        for _ in range(2):
            c = serve(s, endpointList=[published, "a"])
            e = inspect(s, "endpoint", "p")
            assert e["HostComputeNamespace"] == inspect(s, "endpoint", "a")["HostComputeNamespace"]
            assert addresses(s, c) == [i["IpAddress"] for i in e["IpConfigurations"]], (addresses(s, c), e)
            assert s.world.ask("192.0.2.1", 8007, b"in") == b"tcp 192.0.2.2 in"
            assert client(s, "p", 7, "tcp", "by name", network="web").endswith("by name")
            for members, cause in (({"endpointList": ["a"]}, "endpoint a: is plugged in already, in namespace "),
                                   ({"endpointList": ["b", "nobody"]}, 'Endpoint name "nobody" not found'),
                                   ({"endpointList": ["b", s.ids[0][:13]]}, "is plugged in already"),
                                   ({"endpointList": ["b", "B"]}, "endpointList: B is there twice"),
                                   ({"endpointList": [7]}, "endpointList[0]: not a string"),
                                   ({"endpointList": "b"}, "endpointList: not a list")):
                message = box.refused(s, true(s, **members))
                assert cause in message, (members, message)
            for more in ({"ports": ["9000:7"]}, {"ip": "10.60.0.77"}, {"network_alias": ["x"]}):
                message = box.refused(s, true(s, endpointList=["b"]), **more)
                assert "the endpoints are there already" in message, (more, message)
            assert not inspect(s, "endpoint", "b").get("HostComputeNamespace")
            s.connection.close()
            s.kill()
            s.start()
            s.connection = s.client()
            box.delete(s, c)
            assert not s.world.call(lambda: netbox.reachable("192.0.2.1", 8007))
        words(s, "endpoint", "rm", "p")


def test_removed_meanwhile():
    """A user takes it away while a container has it: the container's end is warned of that, and no more."""
    with endpoints() as s:
        c = serve(s, endpointList=["a"])
        pid = s.connection.call("container.inspect", container=c)["pid"]
        words(s, "endpoint", "rm", "a")
        cow.wait_for(lambda: set(netbox.links(ns=pid)) == {"lo"}, "its link to go")
        box.delete(s, c)
        log = (s.dir / "daemon.log").read_text()
        assert "net.release %s: endpoint %s: leaving its namespace: it does not exist" % (c, s.ids[0]) in log
        words(s, "endpoint", "create", "--network", "web", "a")


def test_one_of_many_gets_it():
    with endpoints() as s:
        got, lost = [], []

        def want():
            c = s.client()
            try:
                got.append(c.call("container.create", spec=true(s, endpointList=["a"]))["id"])
            except cow.RpcError as e:
                lost.append(e.error["message"])
            c.close()
        threads = [threading.Thread(target=want) for _ in range(6)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        assert len(got) == 1 and len(lost) == 5 and all("is plugged in already" in m for m in lost), (got, lost)


def test_namespaces():
    """Two containers in one, by id, by our path, by somebody's; each with endpoints of its own, which go with it."""
    with endpoints() as s:
        ns = words(s, "namespace", "create")
        path = inspect(s, "namespace", ns)["Cowherd"]["Path"]
        first = serve(s, 7, networkNamespace=ns, endpointList=["a"])
        second = serve(s, 8, networkNamespace=path, endpointList=["b", "a"])
        third = box.sh(s, "cat /etc/resolv.conf /etc/hosts; ls /sys/class/net", hostname="third",
                       mounts=[{"destination": "/sys", "type": "sysfs", "source": "sysfs"}])
        said = box.says(s, windows(third, networkNamespace=ns[:8]))
        assert "nameserver 10.60.0.1" in said and said.split()[-3:] == ["eth0", "eth1", "lo"], said
        for name in "ab":
            assert inspect(s, "endpoint", name)["IpConfigurations"][0]["IpAddress"] in said, said
        [v4, v6] = addresses(s, second)
        assert client(s, v4, 8, "tcp", "x", network="web").endswith(" x")
        assert client(s, v6, 7, "udp", "x", network="web").endswith(" x")
        kinds = sorted(r["Type"] for r in inspect(s, "namespace", ns)["Resources"])
        assert kinds == ["Container", "Container", "Endpoint", "Endpoint"], kinds
        box.delete(s, second)
        cow.wait_for(lambda: client(s, "a", 7, "tcp", "x", 2, network="web").endswith(" x"), "the one that stays")
        left = inspect(s, "namespace", ns)["Resources"]
        assert {r["Data"]["Id"] for r in left} == {first, s.ids[0]}, left
        box.delete(s, first)
        assert not inspect(s, "namespace", ns).get("Resources")
        # Somebody else's, with and without an endpoint of ours.
        outside = "/proc/%d/ns/net" % s.world.pid
        assert box.says(s, windows(box.py(s, "import os; print(os.readlink('/proc/self/ns/net'))"),
                                   networkNamespace=outside)).strip() == os.readlink(outside)
        made = box.py(s, netbox.SERVER, "7000")
        made["linux"]["namespaces"] = [n if n["type"] != "network" else {**n, "path": outside}
                                       for n in made["linux"]["namespaces"]]
        c = box.start(s, windows(made, endpointList=["a"]))
        cow.wait_for(lambda: s.world.call(lambda: netbox.reachable(HERE, 7000)), "the server")
        assert client(s, "a", 7000, "tcp", "x", network="web").endswith(" x")
        assert "eth0" in netbox.links(ns=s.world.pid)
        box.delete(s, c)
        cow.wait_for(lambda: "eth0" not in netbox.links(ns=s.world.pid), "the endpoint to go")
        words(s, "namespace", "rm", ns)
        # The host's own: its links and its way out stay its own.
        routes = netbox.ip("route", "show", "default")
        ns = words(s, "namespace", "create", "--type", "HostDefault")
        c = box.start(s, windows(box.sh(s, "sleep 1000"), networkNamespace=ns, endpointList=["a"]))
        assert [n for n in netbox.links() if n.startswith("vh")] and "eth0" not in netbox.links(), netbox.links()
        assert netbox.ip("route", "show", "default") == routes
        box.delete(s, c)
        assert not [n for n in netbox.links() if n.startswith("vh")]
        words(s, "namespace", "rm", ns)


def test_wrong_namespaces():
    with endpoints() as s:
        ns = words(s, "namespace", "create")
        path = inspect(s, "namespace", ns)["Cowherd"]["Path"]
        held = box.start(s, box.sh(s, "sleep 1000"), network="none")
        for name, cause in (("nothing", 'Namespace ID "nothing" not found'),
                            ("/etc/passwd", "/etc/passwd: is not a network namespace"),
                            ("/nowhere", "/nowhere: No such file or directory"),
                            ("/proc/self/ns/mnt", "is not a network namespace"),
                            ("", None)):
            made = true(s, networkNamespace=name, endpointList=["a"])
            if cause:
                message = box.refused(s, made)
                assert cause in message, (name, message)
            else:
                box.says(s, made)  # as if it were not there
        message = box.refused(s, true(s, networkNamespace=7))
        assert "networkNamespace: not a string" in message, message
        message = box.refused(s, true(s, networkNamespace=ns), ports=["9000:7"])
        assert "the endpoints are there already" in message, message
        # Its nsfs file is there, and nothing is bound to it.
        netbox.subprocess.run(["umount", path], check=True)
        message = box.refused(s, true(s, networkNamespace=ns, endpointList=["a"]))
        assert "namespace %s: is gone" % ns in message, message
        words(s, "namespace", "rm", ns)
        box.delete(s, held)


def test_shared():
    """Another container's network, by either name: its namespace, resolv.conf and hosts; it comes before a namespace,
    and options before it."""
    with endpoints() as s:
        owner = server(s, 7, network="web", name="owner", hostname="theirs", dns_search=["example.org"],
                       add_host=["six:fd00::6"])
        ns = words(s, "namespace", "create")
        look = box.py(s, "import os; print(os.readlink('/proc/self/ns/net')); print(open('/etc/resolv.conf').read(), "
                      "open('/etc/hosts').read())")
        pid = s.connection.call("container.inspect", container=owner)["pid"]
        theirs = os.readlink("/proc/%d/ns/net" % pid)
        files = [(s.root / "containers" / owner / "net" / name).read_text() for name in ("resolv.conf", "hosts")]
        assert "example.org" in files[0] and "fd00::6\tsix" in files[1] and "\ttheirs" in files[1], files
        for made, more in ((look, {"network": "container:owner"}), (look, {"network": "container:" + owner}),
                           (windows(dict(look), networkSharedContainerName="owner"), {}),
                           (windows(dict(look), networkSharedContainerName=owner, networkNamespace=ns,
                                    endpointList=["a"], DNSSearchList=["not.used"]), {})):
            said = box.says(s, made, **more)
            assert said.startswith(theirs) and all(f in said for f in files), (said, more)
        other = box.says(s, windows(dict(look), networkSharedContainerName="owner"), network="none")
        assert not other.startswith(theirs) and "example.org" not in other, other
        for name, cause in ("nobody", "nobody"), ("idle", "network container:idle: is not running"):
            if name == "idle":
                idle = box.create(s, box.sh(s, "true"), name="idle")
                s.connection.call("container.start", container=idle)
                box.wait(s, idle)
            message = box.refused(s, true(s, networkSharedContainerName=name))
            assert cause in message, message
        for more in {"dns": ["192.0.2.53"]}, {"add_host": ["x:192.0.2.1"]}:
            message = box.refused(s, true(s, networkSharedContainerName="owner"), **more)
            assert "whose network is joined" in message, message
        assert "network of its own" in box.refused(s, true(s, networkSharedContainerName="owner"), ports=["9000:7"])
        words(s, "namespace", "rm", ns)


def test_owner_goes_first():
    """Stopped, and started again: everything stays. Deleted: its addresses go, and the namespace stays as long as
    somebody is in it."""
    with endpoints() as s:
        owner = server(s, 7, network="web", name="owner", hostname="theirs")
        guest = server(s, 8, network="container:owner", name="guest")
        [v4, _] = addresses(s, owner)
        assert client(s, v4, 8, "tcp", "x", network="web").endswith(" x")
        s.connection.call("container.stop", container=owner, timeout_s=0)
        assert client(s, v4, 8, "tcp", "x", network="web").endswith(" x")
        s.connection.call("container.start", container=owner)
        assert client(s, v4, 8, "tcp", "x", network="web").endswith(" x")
        assert addresses(s, owner) == addresses(s, guest)
        box.delete(s, owner)
        pid = s.connection.call("container.inspect", container=guest)["pid"]
        cow.wait_for(lambda: set(netbox.links(ns=pid)) == {"lo"}, "the owner's addresses to go")
        assert netbox.inside(pid, lambda: netbox.reachable(HERE, 8))
        end, out, _ = box.execute(s, guest, args=["/bin/cat", "/etc/hosts", "/etc/resolv.conf"])
        assert end["exit_code"] == 0 and v4 in out, (end, out)
        s.connection.call("container.stop", container=guest, timeout_s=0)
        try:
            s.connection.call("container.start", container=guest)
            raise AssertionError("it has no network")
        except cow.RpcError as e:
            assert "owner" in e.error["message"], e.error


def test_names():
    """AllowUnqualifiedDNSQuery and DNSSearchList, with a network and without one; options come first."""
    with endpoints() as s:
        look = box.sh(s, "cat /etc/resolv.conf")
        said = box.says(s, windows(dict(look), endpointList=["a"], allowUnqualifiedDNSQuery=False,
                                   DNSSearchList=["example.org", "example.net"]))
        assert "search example.org example.net" in said and "no-tld-query" in said, said
        said = box.says(s, windows(dict(look), endpointList=["a"], allowUnqualifiedDNSQuery=True,
                                   DNSSearchList=["example.org"]), dns_search=["first.org"], dns_option=["no-tld-query"])
        assert "search first.org\n" in said and "no-tld-query" not in said and "example.org" not in said, said
        said = box.says(s, windows(dict(look), DNSSearchList=["example.org"]))
        assert "search example.org" in said, said
        for members, cause in (({"DNSSearchList": ["a b"]}, "a b"), ({"DNSSearchList": "x"}, "DNSSearchList: not a list"),
                               ({"allowUnqualifiedDNSQuery": "yes"}, "allowUnqualifiedDNSQuery: not true or false")):
            message = box.refused(s, windows(dict(look), **members))
            assert cause in message, message


if __name__ == "__main__":
    cow.main([test_endpoints, test_removed_meanwhile, test_one_of_many_gets_it, test_namespaces, test_wrong_namespaces, test_shared,
              test_owner_goes_first, test_names])
