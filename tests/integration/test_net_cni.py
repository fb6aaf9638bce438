#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Networks of type cni: Debian's plugins do it all, and nothing of a container is left, whoever dies when."""
import contextlib
import json
import subprocess
import threading

import netbox
import box
import cow


@contextlib.contextmanager
def herd():
    with netbox.World() as world, box.supervisor() as s:
        s.world = world
        s.leases = s.dir / "leases"
        conflist = s.dir / "10-pods.conflist"
        conflist.write_text(json.dumps({"cniVersion": "1.0.0", "name": "pods", "plugins": [
            {"type": "bridge", "bridge": "cowcni0", "isGateway": True, "ipMasq": True, "capabilities": {"ips": True},
             "ipam": {"type": "host-local", "dataDir": str(s.leases), "ranges": [[{"subnet": "10.77.0.0/24"}]],
                      "routes": [{"dst": "0.0.0.0/0"}]},
             "dns": {"nameservers": ["10.77.0.1"], "search": ["pods.example"]}},
            {"type": "portmap", "capabilities": {"portMappings": True}},
            {"type": "firewall", "backend": "iptables"}]}))
        made = s.cli("network", "create", "--driver", "cni", "--conflist", str(conflist), "pods")
        assert made.returncode == 0, made.stderr
        yield s
        for c in s.connection.call("container.list", all=True):
            box.delete(s, c["id"])
        removed = s.cli("network", "rm", "pods")
        assert removed.returncode == 0, removed.stderr


def rules():
    return "".join(subprocess.run(["iptables-save", "-t", t], stdout=subprocess.PIPE, text=True).stdout for t in ("filter", "nat"))


def left(s):
    """What of a container on it is there."""
    found = [name for name in netbox.links() if name.startswith("veth")]
    found += [str(p) for p in s.leases.glob("pods/10.*")] + [str(p) for p in (s.root / "net/cni").glob("*")]
    return found + [line for line in rules().splitlines() if "10.77.0." in line]


def server(s, **more):
    container = box.start(s, box.py(s, netbox.SERVER, "7"), network="pods", **more)
    pid = s.connection.call("container.inspect", container=container)["pid"]
    cow.wait_for(lambda: netbox.inside(pid, lambda: netbox.reachable("127.0.0.1", 7)), "the server")
    return container


def test_chain():
    with herd() as s:
        a = server(s, ports=["8007:7"])
        assert s.world.ask("192.0.2.1", 8007, b"hi") == b"tcp 192.0.2.2 hi"
        [lease] = s.leases.glob("pods/10.*")
        answer = box.says(s, box.py(s, netbox.CLIENT, lease.name, "7", "udp", "across"), network="pods")
        assert answer.endswith("across\n"), answer
        resolv = box.says(s, box.sh(s, "cat /etc/resolv.conf; cat /etc/hosts"), network="pods", hostname="me")
        assert "nameserver 10.77.0.1" in resolv and "search pods.example" in resolv and "10.77.0." in resolv, resolv
        box.delete(s, a)
        assert not left(s), left(s)


def test_refused():
    """A plugin's own words, and nothing of the container."""
    with herd() as s:
        message = box.refused(s, box.sh(s, "true"), network="pods:ip=10.99.0.1")
        assert "cni pods" in message, message
        assert not left(s), left(s)


def test_killed():
    """The supervisor is killed as soon as something of an attachment is known, and while it lives."""
    with herd() as s:
        for number in range(4):
            thread = threading.Thread(target=lambda: create_quietly(s))
            thread.start()
            wanted = number % 2  # as soon as ADD begins, and as soon as the first plugin has made its link
            cow.wait_for(lambda: any((s.root / "net/cni").glob("*.json")) and
                         (not wanted or any(name.startswith("veth") for name in netbox.links())), "the attachment")
            s.kill()
            thread.join()
            s.connection.close()
            s.start()
            s.connection = s.client()
            for c in s.connection.call("container.list", all=True):
                box.delete(s, c["id"])
            cow.wait_for(lambda: not left(s), "nothing to be left of it: %s" % left(s))


def create_quietly(s):
    client = s.client()
    with contextlib.suppress(EOFError, OSError, cow.RpcError):
        client.call("container.create", spec=box.sh(s, "sleep 1000"), network="pods")
    client.close()


if __name__ == "__main__":
    cow.main([test_chain, test_refused, test_killed])
