# SPDX-License-Identifier: MIT
"""Networks of tests: importing this puts the test into a network namespace of its own, the "outer" one, and with it
every supervisor that it starts.  World is a second namespace behind a link: the rest of the world."""
import contextlib
import ctypes
import json
import os
import socket
import subprocess
import threading

import cow

CLONE_NEWNET = 0x40000000
LIBC = ctypes.CDLL(None, use_errno=True)


def _unshare():
    if LIBC.unshare(CLONE_NEWNET) < 0:
        raise OSError(ctypes.get_errno(), "unshare")


def ip(*words, ns=None):
    """`ip WORDS` here, or in the namespace of a process."""
    prefix = ["nsenter", "-t", str(ns), "-n"] if ns else []
    return subprocess.run([*prefix, "ip", *words], check=True, stdout=subprocess.PIPE, text=True).stdout


_unshare()
ip("link", "set", "lo", "up")


def links(ns=None):
    return {link["ifname"]: link for link in json.loads(ip("-j", "-d", "link", ns=ns))}


def tables():
    """Names of the nft tables, with their families."""
    text = subprocess.run(["nft", "list", "tables"], check=True, stdout=subprocess.PIPE, text=True).stdout
    return sorted(line.split(" ", 1)[1] for line in text.splitlines())


def inside(pid, function):
    """function() in a thread that is in the network namespace of a process; its value."""
    result = []
    fd = os.open("/proc/%d/ns/net" % pid, os.O_RDONLY)

    def run():
        try:
            if LIBC.setns(fd, CLONE_NEWNET) < 0:
                raise OSError(ctypes.get_errno(), "setns")
            result.append((True, function()))
        except BaseException as e:
            result.append((False, e))
    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    os.close(fd)
    good, value = result[0]
    if not good:
        raise value
    return value


def reachable(address, port):
    try:
        socket.create_connection((address, port), 1).close()
        return True
    except OSError:
        return False


class World:
    """Another namespace, 192.0.2.2 and 2001:db8::2 on its side of a link whose side here has .1 and ::1; it has no route
    to the containers' networks, as the world has none."""

    def __enter__(self):
        self.process = subprocess.Popen(["unshare", "-n", "sh", "-c", "ip link set lo up; echo; exec sleep 100000"],
                                        stdout=subprocess.PIPE)
        try:
            self.process.stdout.readline()
            self.pid = self.process.pid
            self._connect()
        except BaseException:
            self._end()
            raise
        return self

    def _connect(self):
        ip("link", "add", "up0", "type", "veth", "peer", "name", "world0", "netns", str(self.pid))
        for address in "192.0.2.1/24", "2001:db8::1/64":
            ip("addr", "add", address, "dev", "up0", *(["nodad"] if ":" in address else []))
        for address in "192.0.2.2/24", "2001:db8::2/64":
            ip("addr", "add", address, "dev", "world0", *(["nodad"] if ":" in address else []), ns=self.pid)
        ip("link", "set", "up0", "up")
        ip("link", "set", "world0", "up", ns=self.pid)
        ip("route", "add", "default", "via", "192.0.2.2")
        ip("-6", "route", "add", "default", "via", "2001:db8::2")

    def _end(self):
        # At once: a kernel that is busy takes its time to end a namespace, and with it the link.
        with contextlib.suppress(subprocess.CalledProcessError):
            ip("link", "delete", "up0")
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()

    def __exit__(self, *ignored):
        self._end()
        cow.wait_for(lambda: "up0" not in links(), "the link to the world to be gone")

    def call(self, function):
        return inside(self.pid, function)

    def listen(self, kind=socket.SOCK_STREAM, family=socket.AF_INET, port=0, address=None):
        """A socket there: it can be used from here."""
        def make():
            s = socket.socket(family, kind)
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            s.bind((address or ("2001:db8::2" if family == socket.AF_INET6 else "192.0.2.2"), port))
            if kind == socket.SOCK_STREAM:
                s.listen()
            s.settimeout(10)
            return s
        return self.call(make)

    def ask(self, address, port, data=b"", kind=socket.SOCK_STREAM, timeout=5):
        """What a server says to a client there."""
        return self.call(lambda: ask(address, port, data, kind, timeout))


def ask(address, port, data=b"", kind=socket.SOCK_STREAM, timeout=5):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, kind) as s:
        s.settimeout(timeout)
        s.connect((address, port))
        s.sendall(data)
        if kind == socket.SOCK_STREAM:
            s.shutdown(socket.SHUT_WR)
            return b"".join(iter(lambda: s.recv(65536), b""))
        return s.recv(65536)


def leftovers(s):
    """What of networks is there and should not be, once no container is."""
    found = ["link " + name for name in links() if name not in ("lo", "up0")]
    found += ["table " + t for t in tables()]
    # What begins with a dot is written over by the next writer: a killed one was at it.
    for d in "netns", "net/trash", "net/pool", "net/endpoints", "net/namespaces":
        found += [str(p) for p in (s.root / d).glob("[!.]*")]
    found += [str(p) for p in (s.root / "net/leases").glob("*/[!.]*")]
    return found


def nothing_left(s, seconds=10):
    try:
        cow.wait_for(lambda: not leftovers(s), "a clean network", seconds)
    except AssertionError:
        raise AssertionError("left behind: %s" % leftovers(s)) from None


# A server for containers: answers each TCP client and each UDP datagram on PORT with who asked and what.
SERVER = r"""
import socket, sys, threading
port = int(sys.argv[1])
t = socket.socket(socket.AF_INET6); t.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
t.bind(("::", port)); t.listen()
u = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM); u.bind(("::", port))
def plain(a): return a[7:] if a.startswith("::ffff:") else a
def udp():
    while True:
        data, who = u.recvfrom(65536)
        u.sendto(b"udp %s %s" % (plain(who[0]).encode(), data), who)
def tcp(c, who):
    with c:
        c.sendall(b"tcp %s " % plain(who[0]).encode())
        while True:
            data = c.recv(65536)
            if not data: break
            c.sendall(data)
threading.Thread(target=udp, daemon=True).start()
print("ready", flush=True)
while True:
    c, who = t.accept()
    threading.Thread(target=tcp, args=(c, who), daemon=True).start()
"""

# A client for containers: ADDRESS PORT KIND DATA...; prints the answer, or the error.
CLIENT = r"""
import socket, sys
address, port, kind = sys.argv[1], int(sys.argv[2]), sys.argv[3]
data = sys.argv[4].encode() if len(sys.argv) > 4 else b""
try:
    family = socket.getaddrinfo(address, port)[0][0]
    s = socket.socket(family, socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM)
    s.settimeout(float(sys.argv[5]) if len(sys.argv) > 5 else 5)
    s.connect((address, port)); s.sendall(data)
    if kind == "tcp":
        s.shutdown(socket.SHUT_WR)
        print(b"".join(iter(lambda: s.recv(65536), b"")).decode())
    else:
        print(s.recv(65536).decode())
except OSError as e:
    print("error", type(e).__name__, e)
"""
