#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Names: of containers on one network, in both directions, and of the rest of the world, asked with dig and getent."""
import contextlib
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

    def __init__(self, world):
        self.socket = world.listen(socket.SOCK_DGRAM, port=53)
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
            nowhere = b"nowhere" in name or not name[1 + name[0]]
            head = query[:2] + struct.pack(">HHHHH", 0x8183 if nowhere else 0x8180, 1, 0 if nowhere else 1, 0, 0)
            answer = b"" if nowhere else b"\xc0\x0c" + struct.pack(">HHIH", 1, 1, 60, 4) + bytes([198, 51, 100, 7])
            self.socket.sendto(head + query[12:end] + answer, who)

    def close(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.sendto(b"end", ("192.0.2.2", 53))
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


def dig_quietly(s, container, *words):
    with contextlib.suppress(AssertionError):
        return dig(s, container, *words)
    return None


if __name__ == "__main__":
    cow.main([test_names, test_after_a_restart])
