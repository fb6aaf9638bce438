# SPDX-License-Identifier: MIT
"""Veth pairs made by hand, to compare with: by rtnetlink from here, as no program that is started takes so little time."""
import contextlib
import ctypes
import os
import socket
import struct
import threading

import netbox

NEWLINK, NEWADDR = 16, 20
REQUEST, ACK, CREATE, EXCL = 1, 4, 0x400, 0x200
IFNAME, MASTER, LINKINFO, NETNS_FD = 3, 10, 18, 28
KIND, DATA, PEER = 1, 2, 1
UP = 1


def attribute(kind, payload):
    data = struct.pack("HH", 4 + len(payload), kind) + payload
    return data + bytes(-len(data) % 4)


def text(kind, word):
    return attribute(kind, word.encode() + b"\0")


def number(kind, value):
    return attribute(kind, struct.pack("I", value))


def link(index=0, flags=0):
    return struct.pack("BBHiII", 0, 0, 0, index, flags, flags)


class Netlink:
    """A socket of the namespace that it is made in."""

    def __init__(self):
        self.socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, 0)

    def call(self, kind, body, flags=0):
        self.socket.send(struct.pack("IHHII", 16 + len(body), kind, REQUEST | ACK | flags, 1, 0) + body)
        code = struct.unpack_from("i", self.socket.recv(8192), 16)[0]
        if code:
            raise OSError(-code, os.strerror(-code))

    def close(self):
        self.socket.close()


def pair(netlink, name, netns, master=0):
    """One end here, up, and eth0 in the namespace."""
    peer = attribute(PEER, link() + text(IFNAME, "eth0") + number(NETNS_FD, netns))
    netlink.call(NEWLINK, link(flags=UP) + text(IFNAME, name) + (number(MASTER, master) if master else b"") +
                 attribute(LINKINFO, text(KIND, "veth") + attribute(DATA, peer)), CREATE | EXCL)


def namespace():
    """A new network namespace's descriptor, and a netlink socket in it."""
    made = []

    def run():
        if netbox.LIBC.unshare(netbox.CLONE_NEWNET) == 0:
            made.extend((os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC), Netlink()))
        else:
            made.append(OSError(ctypes.get_errno(), "unshare"))
    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if len(made) == 1:
        raise made[0]
    return made


class Loop:
    """Many ends of pairs on one bridge, each with its address in a namespace of its own."""

    def __enter__(self):
        self.netlink = Netlink()
        self.open = []
        netbox.ip("link", "add", "handbr", "type", "bridge")
        netbox.ip("link", "set", "handbr", "up")
        self.bridge = socket.if_nametoindex("handbr")
        return self

    def add(self):
        i = len(self.open)
        netns, inside = namespace()
        self.open.append((netns, inside))
        pair(self.netlink, "hand%d" % i, netns, self.bridge)
        index = 2  # lo is 1
        address = socket.inet_aton("198.19.%d.%d" % (i // 250, i % 250 + 1))
        inside.call(NEWADDR, struct.pack("BBBBI", socket.AF_INET, 16, 0, 0, index) + attribute(1, address) +
                    attribute(2, address), CREATE | EXCL)
        inside.call(NEWLINK, link(1, UP))
        inside.call(NEWLINK, link(index, UP))

    def __exit__(self, *ignored):
        for i, (netns, inside) in enumerate(self.open):
            with contextlib.suppress(OSError):
                netbox.ip("link", "delete", "hand%d" % i)
            inside.close()
            os.close(netns)
        netbox.ip("link", "delete", "handbr")
        self.netlink.close()
