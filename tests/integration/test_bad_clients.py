# SPDX-License-Identifier: MIT
"""Clients that send garbage, too much, or nothing; that do not read, do not stay, or come in hundreds: each is told or cut
off, nobody else notices, and nothing of them is left."""
import array
import contextlib
import json
import os
import random
import select
import socket
import struct
import time

import bad
import cow

PARSE, INVALID_REQUEST = -32700, -32600


def connect(h):
    client = h.supervisor.client()
    client.socket.settimeout(30)
    return client


def test_broken_lines():
    with bad.herd() as h:
        client = connect(h)
        for line, code, words in (
                (b"{", PARSE, "expected a key"), (b'{"jsonrpc":"2.0","id":1,"method"', PARSE, "expected ':'"),
                (b"\xff\xfe", PARSE, "1:1"), (b'"\xc3\x28"', PARSE, "not UTF-8"), (b'{"a":"\x00"}', PARSE, "NUL"),
                (b'{"a":"\\u0000"}', PARSE, "NUL"), (b'"\\ud800"', PARSE, "surrogate"), (b"\x00", PARSE, "1:1"),
                (b'{"a":1,"\\u0061":2}', PARSE, "duplicate key"), (b"01", PARSE, "not a number"), (b"1 2", PARSE, "text behind"),
                (b"[" * 1000000, PARSE, "nested deeper"), (b'{"a":' * 1000000, PARSE, "nested deeper"),
                (b"]" * 1000000, PARSE, "expected a value"), (b'"' + b"x" * 8000000, PARSE, "does not end"),
                (b"[]", INVALID_REQUEST, "not an object"), (b"7", INVALID_REQUEST, "not an object"),
                (b'{"id":1}', INVALID_REQUEST, "jsonrpc"), (b'{"jsonrpc":"2.0","id":[],"method":"version"}', INVALID_REQUEST, "/id"),
                (b'{"jsonrpc":"2.0","id":1,"method":"no"}', -32601, "no such method"),
                (b'{"jsonrpc":"2.0","id":1,"method":"version","params":7}', -32602, "")):
            client.socket.sendall(line + b"\n")
            error = client.read_message()["error"]
            assert error["code"] == code and words in error["message"], (line[:80], error)
        assert client.call("version")["pid"] == h.supervisor.process.pid
        client.close()


def test_endless_line():
    with bad.herd() as h:
        client = connect(h)
        try:
            for _ in range(100):
                client.socket.sendall(b"x" * 1000000)
            raise AssertionError("100 MB in one line were taken")
        except OSError:
            pass
        assert "longer than 16 MiB" in client.read_message()["error"]["message"]
        client.close()


def test_garbage():
    with bad.herd() as h:
        chance = random.Random(7)
        for size in [chance.randrange(1, 3000) for _ in range(100)] + [1000000]:
            client = connect(h)
            try:
                client.socket.sendall(chance.randbytes(size) + b"\n" * chance.randrange(2))
            except OSError:
                pass
            client.close()


VERBS = {m: {} for m in ("start stop kill delete release pause resume wait restart inspect top stats logs attach"
                         ).split()}
VERBS.update({"stop": {"timeout_s": 0}, "restart": {"timeout_s": 0}, "delete": {"force": True}, "resize": {"height": 1, "width": 1},
              "exec": {"args": ["sleep", "1000"]}, "stats": {"stream": True}, "logs": {"follow": True}})


def test_vanishing():
    """Gone in the middle of each verb: after half a line, after the line, and with its answer under way."""
    with bad.herd() as h:
        for method in ["container." + verb for verb in VERBS] + ["exec.wait"]:
            for read in 0.5, 1, 2:
                name = h.create(spec=h.spec("sleep", "1000"))
                h.client.call("container.start", container=name)
                vanish(h, read, method, container=name, **VERBS.get(method[10:], {"exec": 1}))
                cow.wait_for(lambda: gone(h, name), "the end of " + name)
        for read in 0.5, 1, 2:
            for method in "version", "events", "plugins.list", "verbs", "reload", "container.list", "container.stats":
                vanish(h, read, method)
            # What a client began goes on: what it made is there, sooner or later.
            name = h.id()
            vanish(h, read, "container.create", id=name, spec=h.spec())
            if read > 0.5:
                cow.wait_for(lambda: created(h, name), "the creation of " + name)
                h.client.call("container.delete", container=name)


def vanish(h, read, method, **params):
    line = json.dumps({"jsonrpc": "2.0", "id": 7, "method": method, "params": params}).encode() + b"\n"
    client = connect(h)
    client.socket.sendall(line[:int(len(line) * min(read, 1))])
    if read == 2:
        select.select([client.socket], [], [], 0.02)
    client.close()


def created(h, name):
    return any(c["id"] == name and c["state"] == "created" for c in h.client.call("container.list", all=True))


def gone(h, name):
    try:
        h.client.call("container.delete", container=name, force=True)
        return True
    except cow.RpcError as e:
        return e.code == -2


def test_not_reading():
    """One that asks and does not read is cut off; others go on, at their pace."""
    with bad.herd() as h:
        name = h.create(spec=h.spec(annotations={"a%d" % i: "x" * 1000 for i in range(500)}))
        asks, events = connect(h), connect(h)
        events.send("events")
        for _ in range(8):
            asks.send("container.inspect", container=name)
        client = connect(h)
        worst = 0
        for _ in range(100):
            begin = time.monotonic()
            client.call("version")
            worst = max(worst, time.monotonic() - begin)
        assert worst < 1, worst
        cow.wait_for(lambda: ended(asks), "the end of a client that does not read")
        for c in asks, events, client:
            c.close()
        h.client.call("container.delete", container=name)


def ended(client):
    """Cut off: what was under way comes, and then the end instead of the rest."""
    try:
        while client.socket.recv(1 << 20):
            pass
        return True
    except ConnectionResetError:
        return True


def test_descriptors_unused():
    with bad.herd() as h:
        null = os.open("/dev/null", os.O_RDWR)
        client = connect(h)
        for _ in range(100):
            client.call("version", fds=[null] * 4)
            client.call("version", fds=[null] * 10)
        try:
            for _ in range(20):
                send_fds(client.socket, b"{", [null] * 4)
        except OSError:
            pass
        client.close()
        client = connect(h)
        for names in ["stdin", "stdout", "stderr"], ["stdin", "stdin", "stdin", "stdin"], ["nonsense"], "stdin", [7]:
            wrong_fds(client, names, null)
        client.close()
        os.close(null)


def wrong_fds(client, names, null):
    line = json.dumps({"jsonrpc": "2.0", "id": 99, "method": "container.exec",
                       "params": {"container": "x", "args": ["x"], "fds": names}}).encode() + b"\n"
    send_fds(client.socket, line, [null])
    error = client.read_message()["error"]
    assert error["code"] == -32602 and "/fds" in error["message"], error


def send_fds(sock, line, fds):
    sock.sendmsg([line], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))])


def test_five_hundred():
    with bad.herd() as h:
        clients, refused = [], 0
        for _ in range(500):
            clients.append(connect(h))
        for client in clients:
            with contextlib.suppress(OSError):
                client.send("version") # too late for one that was refused; what it was told is there
            message = client.read_message()
            if "error" in message:
                assert "too many connections" in message["error"]["message"], message
                refused += 1
        assert 0 < refused < 300, refused
        h.client.call("version")
        for client in clients:
            client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.close()


if __name__ == "__main__":
    cow.main([test_broken_lines, test_endless_line, test_garbage, test_vanishing, test_not_reading, test_descriptors_unused,
              test_five_hundred])
