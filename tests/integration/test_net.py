# SPDX-License-Identifier: MIT
"""Containers on networks: real packets between containers, this host and the world, and nothing left of it."""
import contextlib
import errno
import json
import os
import pathlib
import socket
import subprocess
import threading

import netbox
import box
import cow


@contextlib.contextmanager
def herd(config=None):
    """A supervisor, the world, and a look at what is left of networks when the supervisor has gone."""
    with netbox.World() as world, box.supervisor(config) as s:
        s.world = world
        yield s
        for c in s.connection.call("container.list", all=True):
            box.delete(s, c["id"])
        s.connection.close()
        s.call("shutdown", kill=True)
        s.process.wait(30)
        netbox.nothing_left(s)
        s.start()  # for the one around this, which ends it
        s.connection = s.client()


def network(s, name, *options):
    made = s.cli("network", "create", *options, name)
    assert made.returncode == 0, made.stderr
    return name


def server(s, port, **more):
    """A container with a server that is ready."""
    container = box.start(s, box.py(s, netbox.SERVER, str(port)), **more)
    pid = s.connection.call("container.inspect", container=container)["pid"]
    try:
        cow.wait_for(lambda: netbox.inside(pid, lambda: netbox.reachable("127.0.0.1", port)), "the server")
    except OSError:
        raise AssertionError("the server ended: %s" % (box.output(s, container),)) from None
    return container


def client(s, *words, **more):
    return box.says(s, box.py(s, netbox.CLIENT, *map(str, words)), **more).strip()


def addresses(s, container):
    """Of eth0, without prefix: v4, and v6 where there is one."""
    pid = s.connection.call("container.inspect", container=container)["pid"]
    found = json.loads(netbox.ip("-j", "addr", "show", "eth0", ns=pid))[0]["addr_info"]
    return [a["local"] for a in found if a["scope"] == "global"]


def test_out_and_across():
    """To the host, to the world as the host, to each other by address and name; both protocols."""
    with herd() as s:
        a = server(s, 7, network="nat", name="alpha")
        [v4] = addresses(s, a)
        for kind in "tcp", "udp":
            assert client(s, v4, 7, kind, "hello", network="nat").startswith(kind + " 172.")
            assert client(s, "alpha", 7, kind, "hello", network="nat").endswith("hello")
        # Whoever looks from outside sees the host.
        listener = s.world.listen()
        seen = []
        thread = threading.Thread(target=lambda: seen.append(listener.accept()))
        thread.start()
        out = client(s, "192.0.2.2", listener.getsockname()[1], "tcp", "x", 1, network="nat")
        thread.join()
        assert seen[0][1][0] == "192.0.2.1", (seen, out)
        seen[0][0].close()
        listener.close()


def test_published():
    with herd() as s:
        a = server(s, 7, network="nat", ports=["8007:7", "8007:7/udp", "192.0.2.1:9000-9001:7-8"], name="pub")
        for kind, word in (socket.SOCK_STREAM, b"tcp"), (socket.SOCK_DGRAM, b"udp"):
            answer = s.world.ask("192.0.2.1", 8007, b"hi", kind)
            assert answer == word + b" 192.0.2.2 hi", answer
            assert netbox.ask("127.0.0.1", 8007, b"hi", kind).endswith(b" hi")
            assert netbox.ask("192.0.2.1", 8007, b"hi", kind).endswith(b" hi")
        assert s.world.ask("192.0.2.1", 9000, b"x").endswith(b" x")
        # Another container, by the host's address.
        assert client(s, "192.0.2.1", 8007, "tcp", "around", network="nat").endswith("around")
        before = set(netbox.links())
        message = box.refused(s, box.sh(s, "true"), network="nat", ports=["8007:1"])
        assert "8007" in message and "pub" in message, message
        with socket.create_server(("0.0.0.0", 8008)):
            message = box.refused(s, box.sh(s, "true"), ports=["8008:1"])
            assert "8008" in message and "in use" in message, message
        box.delete(s, a)
        with contextlib.suppress(OSError):
            raise AssertionError("still published: %r" % netbox.ask("127.0.0.1", 8007, b"hi", timeout=1))
        server(s, 7, ports=["8007:7"])
        assert s.world.ask("192.0.2.1", 8007, b"again").endswith(b" again")
        assert before


def test_asked_for():
    """Address, MAC, alias, names: as asked for; what cannot be had is refused and leaves nothing."""
    with herd() as s:
        a = server(s, 7, network="nat:ip=172.28.7.7,mac=02:00:00:00:07:07,alias=seven", hostname="box")
        assert addresses(s, a) == ["172.28.7.7"]
        pid = s.connection.call("container.inspect", container=a)["pid"]
        assert netbox.links(ns=pid)["eth0"]["address"] == "02:00:00:00:07:07"
        assert client(s, "seven", 7, "tcp", "x", network="nat").endswith("x")
        text = box.says(s, box.sh(s, "cat /etc/resolv.conf; echo ==; cat /etc/hosts"), network="nat", hostname="me",
                        dns_search=["example.org"], dns_option=["ndots:3"], add_host=["gw:host-gateway", "six:fd00::6"])
        resolv, hosts = text.split("==\n")
        assert "search example.org" in resolv and "ndots:3" in resolv, resolv
        assert "172.28.0.1\tgw" in hosts and "fd00::6\tsix" in hosts and "\tme" in hosts, hosts
        for more, cause in (
                ({"network": "nat:ip=172.28.7.7"}, "172.28.7.7"),
                ({"network": "nat:ip=10.1.2.3"}, "lies in none of its subnets"),
                ({"network": "nowhere"}, "Network name \"nowhere\" not found"),
                ({"network": "nat:color=red"}, "color: not one of ip, ip6, mac, alias"),
                ({"networks": ["nat", "nat"]}, "is asked for twice"),
                ({"network": "nat", "add_host": ["gw:nonsense"]}, "nonsense")):
            message = box.refused(s, box.sh(s, "true"), **more)
            assert cause in message, (more, message)


def test_modes():
    """host, none, container:, ns: and none at all."""
    with herd() as s:
        own = os.readlink("/proc/self/ns/net")
        show = box.py(s, "import os; print(os.readlink('/proc/self/ns/net'), *sorted(os.listdir('/sys/class/net')))",
                      mounts=[{"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": ["ro"]}])
        assert box.says(s, show, network="host").split()[0] == own
        assert box.says(s, show, network="none").split()[1:] == ["lo"]
        assert box.says(s, show).split()[1:] == ["lo"]
        a = box.start(s, box.sh(s, "sleep 1000"), network="nat", name="first")
        pid = s.connection.call("container.inspect", container=a)["pid"]
        theirs = os.readlink("/proc/%d/ns/net" % pid)
        assert box.says(s, show, network="container:first").split() == [theirs, "eth0", "lo"]
        assert box.says(s, show, network="ns:/proc/%d/ns/net" % pid).split() == [theirs, "eth0", "lo"]
        for network, cause in ("container:nobody", "no such container"), ("ns:/etc/passwd", "/etc/passwd"):
            message = box.refused(s, show, network=network)
            assert cause in message, message
        assert "own only" in box.refused(s, show, network="host", ports=["1:1"])
        box.delete(s, a)


def test_default_network():
    with herd({"plugins": {"net": {"default": "nat", "pool": 2}}}) as s:
        a = server(s, 7)
        assert addresses(s, a)
        assert box.says(s, box.sh(s, "ls -d /sys/class/net/eth0 2>/dev/null; echo no"), network="none") == "no\n"
        # The pool is filled again, and used.
        cow.wait_for(lambda: len(list((s.root / "net/pool").glob("*"))) == 2, "a full pool")
        pooled = {p.name for p in (s.root / "net/pool").glob("*")}
        b = server(s, 7)
        record = s.connection.call("container.inspect", container=b)["ledger"]
        assert any(json.loads(r["record"] if isinstance(r["record"], str) else json.dumps(r["record"])).get("ns") in pooled
                   for r in record if r["allocator"] == "net.endpoint"), (record, pooled)


def test_restart_with_connections():
    """A supervisor dies and comes back: connections stay, and it still knows what to give back."""
    with herd() as s:
        a = server(s, 7, network="nat", ports=["8007:7"], name="kept")
        talk = s.world.call(lambda: socket.create_connection(("192.0.2.1", 8007), 5))
        assert talk.recv(100) == b"tcp 192.0.2.2 "
        s.connection.close()
        s.kill()
        talk.sendall(b"one")
        assert talk.recv(100) == b"one"
        s.start()
        s.connection = s.client()
        talk.sendall(b"two")
        assert talk.recv(100) == b"two"
        talk.close()
        assert s.world.ask("192.0.2.1", 8007, b"new").endswith(b" new")
        assert client(s, "kept", 7, "tcp", "name", network="nat").endswith("name")
        message = box.refused(s, box.sh(s, "true"), network="nat", ports=["8007:1"])
        assert "8007" in message, message
        box.delete(s, a)


def test_both_families_and_isolation():
    """IPv6 beside IPv4, out, in and across; networks do not see each other; one container may be in two."""
    with herd() as s:
        network(s, "six", "--subnet", "10.60.0.0/24", "--subnet", "fd60::/64")
        network(s, "other", "--subnet", "10.61.0.0/24", "--subnet", "fd61::/64")
        a = server(s, 7, network="six", ports=["8006:7"], name="a")
        v4, v6 = addresses(s, a)
        assert client(s, v6, 7, "udp", "x", network="six").endswith(" x")
        assert client(s, v6, 7, "tcp", "x", network="six").startswith("tcp fd60::")
        assert s.world.ask("2001:db8::1", 8006, b"in") == b"tcp 2001:db8::2 in"
        for address in v4, v6:
            assert client(s, address, 7, "tcp", "x", 1, network="other").startswith("error"), address
            assert client(s, address, 7, "tcp", "x", networks=["other", "six"]).endswith(" x"), address
        listener = s.world.listen(family=socket.AF_INET6)
        seen = []
        thread = threading.Thread(target=lambda: seen.append(listener.accept()))
        thread.start()
        client(s, "2001:db8::2", listener.getsockname()[1], "tcp", "x", 1, network="six")
        thread.join()
        assert seen[0][1][0] == "2001:db8::1", seen
        seen[0][0].close()
        listener.close()
        box.delete(s, a)
        for name in "six", "other":
            removed = s.cli("network", "rm", name)
            assert removed.returncode == 0, removed.stderr


def test_stop_and_start():
    """What it has stays its own until it is deleted: each life has the same network."""
    with herd() as s:
        a = box.create(s, box.py(s, netbox.SERVER, "7"), network="nat", ports=["8007:7"])
        for _ in range(3):
            s.connection.call("container.start", container=a)
            cow.wait_for(lambda: s.world.call(lambda: netbox.reachable("192.0.2.1", 8007)), "the server")
            s.connection.call("container.stop", container=a, timeout_s=0)
        box.delete(s, a)
        cow.wait_for(lambda: not kept(s), "an empty network")


def test_killed_at_any_time():
    """SIGKILL while networks come and go: the next start leaves nothing of them."""
    with herd() as s:
        for i in range(int(os.environ.get("COW_NET_KILLS", "12"))):
            done = threading.Event()

            def live():
                with contextlib.suppress(OSError, EOFError, ValueError, cow.RpcError):
                    c = s.client()
                    while not done.is_set():
                        made = c.call("container.create", spec=box.sh(s, "true"), network="nat", ports=["8100:1"])["id"]
                        c.call("container.start", container=made)
                        c.call("container.wait", container=made)
                        c.call("container.delete", container=made)
            threads = [threading.Thread(target=live) for _ in range(2)]
            for t in threads:
                t.start()
            threading.Event().wait(0.03 + 0.017 * i)
            s.connection.close()
            s.kill()
            done.set()
            for t in threads:
                t.join()
            s.start()
            s.connection = s.client()
            for c in s.connection.call("container.list", all=True):
                with contextlib.suppress(cow.RpcError):
                    box.delete(s, c["id"])
            try:
                cow.wait_for(lambda: not kept(s), "what was killed to be gone")
            except AssertionError:
                raise AssertionError("left behind: %s" % kept(s)) from None


def test_the_loop_is_free():
    """Namespaces and links are made and taken apart by other threads than the one that answers."""
    with box.supervisor({"plugins": {"net": {"pool": 2}}}) as s:
        log = s.dir / "strace"
        tracer = subprocess.Popen([*cow.STRACE, "-f", "-qq", "-o", str(log), "-e", "signal=none", "-e",
                                   "trace=unshare,setns,mount,umount2,sendto", "-p", str(s.process.pid)])
        cow.wait_for(lambda: "TracerPid:\t0" not in (pathlib.Path("/proc/%d/status" % s.process.pid)).read_text(),
                     "the tracer")
        for i in range(3):
            box.delete(s, box.start(s, box.sh(s, "sleep 1000"), network="nat", ports=["%d:7" % (8000 + i)]))
        cow.wait_for(lambda: not list((s.root / "net/trash").glob("[!.]*")), "an empty trash")
        tracer.terminate()
        tracer.wait()
        calls = [line.split(None, 1) for line in log.read_text().splitlines()]
        loop = [call for thread, call in calls if int(thread) == s.process.pid]
        assert not loop, loop
        for name in "unshare(CLONE_NEWNET)", "umount2(", "sendto(":
            assert [call for _, call in calls if call.startswith(name)], (name, calls[:20])


def kept(s):
    """Like netbox.leftovers(), but a supervisor runs, with its bridge and its pool."""
    pool = {p.name for p in (s.root / "net/pool").glob("*")}
    pairs = {"ve" + (s.root / "net/pool" / p).read_text()[:8] for p in pool if (s.root / "net/pool" / p).exists()}
    return [x for x in netbox.leftovers(s)
            if not (x.startswith("link cow") or x.startswith("table ") or "/net/pool/" in x or
                    x.rsplit("/", 1)[-1] in pool or x.split(" ")[-1] in pairs)]


if __name__ == "__main__":
    assert errno
    cow.main([test_out_and_across, test_published, test_asked_for, test_modes, test_default_network,
              test_both_families_and_isolation, test_restart_with_connections, test_stop_and_start, test_killed_at_any_time])
