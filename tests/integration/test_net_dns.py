#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Names: of containers on one network, in both directions, and of the rest of the world, asked with dig and getent."""
import contextlib
import functools
import json
import socket
import struct
import threading

import netbox
import box
import cow


@contextlib.contextmanager
def herd(config=None):
    with netbox.World() as world, box.supervisor(config) as s:
        s.world = world
        yield s
        for c in s.connection.call("container.list", all=True):
            box.delete(s, c["id"])


def sleeper(s, **more):
    return box.start(s, box.sh(s, "sleep 1000"), network="nat", **more)


def v4(s, container):
    pid = s.connection.call("container.inspect", container=container)["pid"]
    found = json.loads(netbox.ip("-j", "addr", "show", "eth0", ns=pid))[0]["addr_info"]
    return next(a["local"] for a in found if a["family"] == "inet")


def dig(s, container, *words):
    """Status and answers."""
    end, out, err = box.execute(s, container, "/usr/bin/dig", "+time=3", "+tries=1", *words)
    assert end["exit_code"] == 0, (words, out, err)
    status = next(line.split("status: ")[1].split(",")[0] for line in out.splitlines() if "status: " in line)
    return status, sorted(line.split()[-1] for line in out.splitlines() if line and line[0] not in ";\t ")


class Server:
    """A DNS server in the world: every A is 198.51.100.7, but not for names of one label or below nowhere.example; what it
    was asked."""

    def __init__(self, world, address="192.0.2.2", nowhere=b"nowhere"):
        self.address, self.nowhere = address, nowhere
        self.socket = world.listen(socket.SOCK_DGRAM, port=53, address=address)
        self.asked = []
        self.thread = threading.Thread(target=self.serve)
        self.thread.start()

    def serve(self):
        self.socket.settimeout(None)
        while True:
            query, who = self.socket.recvfrom(4096)
            if query == b"end":
                return
            end = query.index(b"\0", 12) + 5
            name = query[12:end - 4]
            self.asked.append(name)
            nowhere = self.nowhere in name or not name[1 + name[0]]
            head = query[:2] + struct.pack(">HHHHH", 0x8183 if nowhere else 0x8180, 1, 0 if nowhere else 1, 0, 0)
            answer = b"" if nowhere else b"\xc0\x0c" + struct.pack(">HHIH", 1, 1, 60, 4) + bytes([198, 51, 100, 7])
            self.socket.sendto(head + query[12:end] + answer, who)

    def close(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.sendto(b"end", (self.address, 53))
        self.thread.join()
        self.socket.close()


def test_names():
    with herd() as s:
        server = Server(s.world)
        try:
            web = sleeper(s, name="web", network_alias=["www", "shared"])
            db = sleeper(s, name="db", network_alias=["shared"], dns=["192.0.2.2"])
            at = {"web": v4(s, web), "db": v4(s, db)}
            for kind in "+notcp", "+tcp":
                assert dig(s, db, kind, "web") == ("NOERROR", [at["web"]])
                assert dig(s, db, kind, "WWW") == ("NOERROR", [at["web"]])
                assert dig(s, db, kind, web[:12]) == ("NOERROR", [at["web"]])
                assert dig(s, db, kind, web) == ("NOERROR", [at["web"]])
                assert dig(s, web, kind, "shared") == ("NOERROR", sorted(at.values()))
                assert dig(s, db, kind, "web", "MX") == ("NOERROR", [])
                assert dig(s, db, kind, "-x", at["web"]) == ("NOERROR", ["web."])
            assert dig(s, db, "far.example") == ("NOERROR", ["198.51.100.7"])
            assert dig(s, db, "nowhere.example") == ("NXDOMAIN", [])
            assert not any(b"web" in name for name in server.asked), server.asked
            end, out, _ = box.execute(s, db, "/usr/bin/getent", "hosts", "web")
            assert end["exit_code"] == 0 and out.split()[0] == at["web"], out
            # Who has gone has no name; who comes with it again has it again.
            box.delete(s, web)
            assert at["web"] not in dig(s, db, "shared")[1]
            web = sleeper(s, name="web")
            assert dig(s, db, "web") == ("NOERROR", [v4(s, web)])
        finally:
            server.close()


def test_after_a_restart():
    """The supervisor dies and comes again: names are answered as before, also when it was killed."""
    with herd() as s:
        web = sleeper(s, name="web")
        db = sleeper(s, name="db")
        at = v4(s, web)
        assert dig(s, db, "web") == ("NOERROR", [at])
        s.connection.close()
        s.kill()
        s.start()
        s.connection = s.client()
        cow.wait_for(lambda: dig_quietly(s, db, "web") == ("NOERROR", [at]), "the names again")


def test_several_networks():
    """A container knows the names of all its networks, the others theirs only; the same name on two, and shared ones."""
    with herd() as s:
        server = Server(s.world)
        try:
            for name, *subnets in ("a", "10.60.0.0/24", "fd60::/64"), ("b", "10.61.0.0/24"):
                words = [w for n in subnets for w in ("--subnet", n)]
                assert s.cli("network", "create", *words, "--dns", "192.0.2.2", name).returncode == 0
            start = functools.partial(box.start, s, box.sh(s, "sleep 1000"))
            on_a = start(network="a", name="X-Ray", network_alias=["Shared"])
            on_b = start(network="b", name="four")
            both = start(networks=["a:alias=shared", "b:alias=twice"], name="both")
            other = start(network="b", name="other", network_alias=["twice", "X-Ray"])
            assert dig(s, both, "x-RAY") == dig(s, on_a, "x-ray") != dig(s, on_b, "x-ray"), "the first network's first"
            assert dig(s, both, "four") == ("NOERROR", [v4(s, on_b)])
            assert dig(s, both, "four", "AAAA") == ("NOERROR", []), "the name is there, such an address is not"
            assert dig(s, on_a, "four") == ("NXDOMAIN", [])
            assert len(dig(s, on_a, "shared")[1]) == 2 and len(dig(s, on_a, "shared", "AAAA")[1]) == 2
            assert len(dig(s, both, "twice")[1]) == 2 == len(dig(s, on_b, "twice")[1])
            assert dig(s, on_a, "both") != dig(s, on_b, "both") and dig(s, on_b, "both")[0] == "NOERROR"
            assert dig(s, both, "-x", v4(s, other)) == ("NOERROR", ["other."])
            assert dig(s, on_b, "-x", dig(s, on_b, "both")[1][0]) == ("NOERROR", ["both."])
            # Stopped, nobody is there; again, he is.
            s.connection.call("container.stop", container=other, timeout_s=0)
            assert len(dig(s, on_b, "twice")[1]) == 1 and dig(s, on_b, "other") == ("NXDOMAIN", [])
            s.connection.call("container.start", container=other)
            assert len(dig(s, on_b, "twice")[1]) == 2
            for c in on_a, on_b, both, other:
                box.delete(s, c)
            assert s.cli("network", "rm", "a", "b").returncode == 0
        finally:
            server.close()


class Local:
    """On this host's 127.0.0.53, as systemd-resolved: TXT is longer than a datagram may be, and all of it comes by TCP only."""

    def __init__(self):
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.udp.bind(("127.0.0.53", 53))
        self.tcp = socket.create_server(("127.0.0.53", 53))
        self.threads = [threading.Thread(target=f) for f in (self.datagrams, self.streams)]
        for t in self.threads:
            t.start()

    @staticmethod
    def answer(query, whole):
        end = query.index(b"\0", 12) + 5
        cut = 0 if whole else 0x0200
        text = b"".join(b"\xff" + b"x" * 255 for _ in range(20))
        record = b"\xc0\x0c" + struct.pack(">HHIH", 16, 1, 60, len(text)) + text
        return query[:2] + struct.pack(">HHHHH", 0x8180 | cut, 1, int(whole), 0, 0) + query[12:end] + (record if whole else b"")

    def datagrams(self):
        while True:
            query, who = self.udp.recvfrom(4096)
            if query == b"end":
                return
            self.udp.sendto(self.answer(query, False), who)

    def streams(self):
        while True:
            c, _ = self.tcp.accept()
            with c:
                head = c.recv(2)
                if head == b"en":
                    return
                reply = self.answer(c.recv(4096), True)
                c.sendall(struct.pack(">H", len(reply)) + reply)

    def close(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.sendto(b"end", ("127.0.0.53", 53))
        with socket.create_connection(("127.0.0.53", 53)) as s:
            s.sendall(b"en")
            for t in self.threads:
                t.join()
        self.udp.close()
        self.tcp.close()


def test_a_host_with_its_own_resolver():
    """resolv.conf of the host says 127.0.0.53: containers ask us, and we ask there; long answers come by TCP."""
    with herd() as s:
        s.connection.close()
        s.stop()
        (s.dir / "resolv.conf").write_text("nameserver 127.0.0.53\noptions edns0 trust-ad\nsearch lan.example\n")
        over = "mount --bind %s/resolv.conf /etc/resolv.conf && exec \"$@\"" % s.dir
        s.start(prefix=["unshare", "--mount", "--propagation", "private", "sh", "-c", over, "sh"])
        s.connection = s.client()
        local = Local()
        try:
            c = sleeper(s)
            _, text, _ = box.execute(s, c, "/bin/cat", "/etc/resolv.conf")
            assert "127.0.0.53" not in text and "search lan.example\n" in text, text
            for how in "+edns", "+noedns", "+tcp":
                end, out, err = box.execute(s, c, "/usr/bin/dig", "+tries=1", how, "+short", "big.example", "TXT")
                assert end["exit_code"] == 0 and out.count("x") == 20 * 255, (how, out, err)
            box.delete(s, c)
        finally:
            local.close()


def dig_quietly(s, container, *words):
    with contextlib.suppress(AssertionError):
        return dig(s, container, *words)
    return None


if __name__ == "__main__":
    cow.main([test_names, test_several_networks, test_a_host_with_its_own_resolver, test_after_a_restart])
