# SPDX-License-Identifier: MIT
"""The control socket of a real supervisor: clients that misbehave, crowds, and a machine that has nothing left."""
import contextlib
import os
import socket
import time

import cow
from test_lcow import bundle_spec, create, delete, descriptors, nothing_new, start, supervisor, wait


def raw(s):
    c = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    c.connect(s.socket)
    c.settimeout(10)
    return c


def test_garbage():
    with supervisor() as s:
        for data in b"\0" * 100, b"\n" * 1000, b"{}\n", b"[1,2]\n", b'{"jsonrpc":"2.0","id":1,"method":"version"', \
                b"\xff\xfe\n", b"GET / HTTP/1.1\r\n\r\n", os.urandom(65536):
            c = raw(s)
            c.sendall(data)
            c.close()
        c = raw(s)
        with contextlib.suppress(OSError):
            for _ in range(17):
                c.sendall(b" " * (1 << 20))
        with contextlib.suppress(OSError):
            assert b"16 MiB" in c.recv(1000)
        c.close()
        assert s.connection.call("version")["pid"] == s.process.pid


def test_crowd():
    """Connections beyond the limit are told; when some have gone there is room again."""
    with supervisor() as s:
        s.connection.call("version")  # and with it, the connection was taken
        before = descriptors(s)
        crowd = [raw(s) for _ in range(400)]
        line = b'{"jsonrpc":"2.0","id":1,"method":"container.list"}\n'
        served = refused = 0
        for c in crowd:
            with contextlib.suppress(OSError):
                c.sendall(line)
            answer = c.recv(1000)
            served += b'"result":[]' in answer
            refused += b"too many connections" in answer
        assert (served, refused) == (255, 145), (served, refused)
        for c in crowd:
            c.close()
        nothing_new(s, before)
        assert s.call("container.list") == []


def test_reads_do_not_wait():
    """While an operation is under way, everything else is answered, to the same client too."""
    with supervisor() as s:
        spec = bundle_spec(s, "/bin/true")
        spec["hooks"] = {"createRuntime": [{"path": "/bin/sleep", "args": ["sleep", "1"]}]}
        slow = s.connection.send("container.create", spec=spec, name="slow")
        other = s.client()
        begin = time.monotonic()
        assert [row["name"] for row in s.connection.call("container.list", all=True)] == ["slow"]
        assert other.call("container.inspect", container="slow")["state"] == "creating"
        quick = create(s, "/bin/true", name="quick")
        assert time.monotonic() - begin < 0.8
        s.connection.answer(slow)
        other.close()
        delete(s, "slow")
        delete(s, quick)


def test_client_killed_while_waiting():
    with supervisor() as s:
        before = descriptors(s)
        container = start(s, "/bin/sleep", "1000")
        running = descriptors(s)
        for _ in range(20):
            c = s.client()
            c.send("container.wait", container=container)
            c.send("events")
            c.send("container.stats", container=container, stream=True)
            c.call("container.attach", container=container)
            c.close()
        cow.wait_for(lambda: len(descriptors(s)) <= len(running), "descriptors to go")
        delete(s, container, force=True)
        assert len(descriptors(s)) <= len(before) + 4


def test_no_descriptors():
    """With 64 of them: a clear error, nothing left behind, and life goes on."""
    with supervisor(prefix=["prlimit", "--nofile=64:64"]) as s:
        made, errors = [], set()
        for _ in range(40):
            try:
                made.append(start(s, "/bin/sleep", "1000"))
            except cow.RpcError as e:
                errors.add(e.code)
                assert e.error["message"]
        assert made and errors and errors <= {-24}, (len(made), errors)
        for row in s.connection.call("container.list", all=True):
            delete(s, row["id"], force=True)
        container = start(s, "/bin/true")
        assert wait(s, container)["exit_code"] == 0
        delete(s, container)
        # Many clients at once.
        crowd = [raw(s) for _ in range(80)]
        for c in crowd:
            with contextlib.suppress(OSError):
                c.sendall(b'{"jsonrpc":"2.0","id":1,"method":"container.list"}\n')
        answers = [c.recv(1000) for c in crowd]
        assert any(b'"result":[]' in a for a in answers) and any(b'"code":-24' in a for a in answers)
        for c in crowd:
            c.close()
        # A newcomer is refused as long as their ends are not seen; that soon passes.
        cow.wait_for(s.answers, "room for another client")


if __name__ == "__main__":
    cow.main([value for name, value in list(globals().items()) if name.startswith("test_")])
