# SPDX-License-Identifier: MIT
"""Published ports of containers: the verb port, both families, rules that come back, others' rules beside ours."""
import contextlib
import os
import pathlib
import socket
import subprocess

import netbox
import box
import cow


def nft(text):
    return subprocess.run(["nft", "-f", "-"], input=text, check=True, stdout=subprocess.PIPE, text=True).stdout


@contextlib.contextmanager
def herd(config=None):
    with netbox.World() as world, box.supervisor(config) as s:
        s.world = world
        yield s
        for c in s.connection.call("container.list", all=True):
            box.delete(s, c["id"])


def server(s, port, **more):
    container = box.start(s, box.py(s, netbox.SERVER, str(port)), **more)
    pid = s.connection.call("container.inspect", container=container)["pid"]
    cow.wait_for(lambda: netbox.inside(pid, lambda: netbox.reachable("127.0.0.1", port)), "the server")
    return container


def test_verb():
    with herd() as s:
        a = server(s, 7, ports=["8007:7", "127.0.0.1:8000-8001:9000-9001/udp"], name="web")
        b = box.start(s, box.sh(s, "sleep 1000"), network="nat", name="quiet")
        for ref in "web", a, a[:12]:
            done = s.cli("port", ref, text=True)
            assert (done.returncode, done.stdout) == (0, "7/tcp -> 0.0.0.0:8007\n9000/udp -> 127.0.0.1:8000\n"
                                                      "9001/udp -> 127.0.0.1:8001\n"), done
        assert s.cli("port", "web", "7", text=True).stdout == "0.0.0.0:8007\n"
        assert s.cli("port", "web", "9001/udp", text=True).stdout == "127.0.0.1:8001\n"
        assert s.cli("port", "quiet", text=True).stdout == ""
        for words, status, text in ((["web", "8"], 1, "No public port '8' published for web"),
                                    (["web", "x"], 1, "not PORT[/PROTOCOL]"),
                                    (["nobody"], 1, "nobody: no container"),
                                    ([], 125, "usage: cowherd port"), (["--all"], 125, "usage: cowherd port")):
            done = s.cli("port", *words, text=True)
            assert done.returncode == status and text in done.stderr, (words, done)
        box.delete(s, b)


def test_itself():
    """A container by its own published port, whether or not packets of bridges pass through rules."""
    with herd() as s:
        a = server(s, 7, ports=["8007:7", "8007:7/udp"])
        for word in "1", "0":
            with contextlib.suppress(FileNotFoundError):  # no br_netfilter is the same as 0
                pathlib.Path("/proc/sys/net/bridge/bridge-nf-call-iptables").write_text(word)
            for kind in "tcp", "udp":
                end, out, err = box.execute(s, a, "/usr/bin/python3", "-I", "-S", "-c", netbox.CLIENT, "192.0.2.1", "8007",
                                            kind, "me")
                assert out.strip().endswith(" me"), (word, kind, end, out, err)


def test_tp4():
    with herd({"plugins": {"net": {"tp4_ports": True}}}) as s:
        for ports, text in ((["127.0.0.1:8007:7"], "Windows does not support host IP addresses in NAT settings"),
                            (["8007:7", "8008:7"], "Windows does not support more than one host port in NAT settings"),
                            (["8007:7/sctp"], "invalid protocol sctp")):
            message = box.refused(s, box.sh(s, "true"), ports=ports)
            assert text in message, (ports, message)
        server(s, 7, ports=["8007:7/tcp"])
        assert s.world.ask("192.0.2.1", 8007, b"x").endswith(b" x")


def test_flushed():
    """Whatever others do to our table, it comes back, and a connection goes on."""
    with herd() as s:
        server(s, 7, ports=["8007:7"])
        talk = s.world.call(lambda: socket.create_connection(("192.0.2.1", 8007), 5))
        talk.recv(100)
        [table] = netbox.tables()
        for harm in ("flush ruleset", "delete table " + table, "flush table " + table, "flush chain %s forward" % table,
                     "flush map %s port4" % table, "insert rule %s forward counter drop" % table,
                     "add chain %s theirs { type filter hook forward priority 5; policy drop; }" % table):
            nft(harm)
            cow.wait_for(lambda: table in netbox.tables() and s.world.call(lambda: netbox.reachable("192.0.2.1", 8007))
                         and "theirs" not in nft("list table " + table) and "counter" not in nft("list table " + table),
                         "the rules after " + harm)
            talk.sendall(b"still")
            assert talk.recv(100) == b"still"
        talk.close()


def test_two():
    """Two supervisors on one host: each has its rules, and ports that the other has are in use."""
    with herd() as a, box.supervisor() as b:
        server(a, 7, ports=["8001:7"])
        theirs = server(b, 7, ports=["8002:7"])
        for port in 8001, 8002:
            assert a.world.ask("192.0.2.1", port, b"x").endswith(b" x"), port
        assert "8001/tcp: in use by a process of the host" in box.refused(b, box.sh(b, "true"), ports=["8001:7"])
        box.delete(b, theirs)
        assert a.world.ask("192.0.2.1", 8001, b"x").endswith(b" x")


FOREIGN = """
table ip filter {
	chain FORWARD {
		type filter hook forward priority filter; policy accept;
		ip daddr 203.0.113.0/24 counter packets 0 bytes 0 drop
	}
}
table inet cowherd-others {
	set bridges { type ifname; elements = { "x1" } }
}
"""


def test_others():
    """Tables of others are the same before, while and after containers come and go."""
    def foreign():
        return [subprocess.run(["nft", "list", "table", *t], check=True, stdout=subprocess.PIPE).stdout
                for t in (("ip", "filter"), ("inet", "cowherd-others"))]
    nft(FOREIGN)
    before = foreign()
    with herd() as s:
        a = server(s, 7, ports=["8007:7"])
        assert foreign() == before
        assert s.world.ask("192.0.2.1", 8007, b"x").endswith(b" x")
        box.delete(s, a)
    assert foreign() == before
    cow.wait_for(lambda: netbox.tables() == ["inet cowherd-others", "ip filter"], "our table to be gone")
    nft("flush ruleset")


def test_obstacle():
    """Docker's forward chain drops what others forward: that is said, not worked around."""
    nft("table ip filter { chain FORWARD { type filter hook forward priority filter; policy drop; }; }")
    with herd() as s:
        server(s, 7, ports=["8007:7"])
        def told(count):
            text = (s.dir / "daemon.log").read_text()
            return text.count("chain FORWARD of table ip filter has the policy drop") == count
        cow.wait_for(lambda: told(1), "the warning")
        assert not s.world.call(lambda: netbox.reachable("192.0.2.1", 8007))
        nft("delete table ip filter")
        assert s.world.call(lambda: netbox.reachable("192.0.2.1", 8007))
        nft("table ip filter { chain FORWARD { type filter hook forward priority filter; policy drop; }; }")
        cow.wait_for(lambda: told(2), "the warning once more")
    nft("flush ruleset")


class Podman:
    """podman with a storage, a network and a cgroup of its own, in the test's namespaces."""

    def __init__(self, s):
        self.dir = s.dir / "podman"
        self.cgroup = "/cowherd-podman-%d" % os.getpid()
        self.rootfs = s.rootfs
        self.command = ["podman", "--root", self.dir / "root", "--runroot", self.dir / "run", "--tmpdir",
                        self.dir / "tmp", "--network-config-dir", self.dir / "net", "--cgroup-manager", "cgroupfs",
                        "--events-backend", "none", "--runtime", "runc"]

    def __call__(self, *words):
        return subprocess.run([*map(str, self.command), *map(str, words)], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True)

    def run(self, name, publish, *words):
        return self("run", "-d", "--name", name, "--cgroup-parent", self.cgroup, "-p", publish, "--ulimit", "nofile=512:512", "--ulimit", "nproc=512:512",
                    "--security-opt", "seccomp=unconfined", "-v", "/usr:/usr:ro", "--rootfs", self.rootfs, *words)

    def cgroups_gone(self):
        roots = [controller / self.cgroup[1:] for controller in pathlib.Path("/sys/fs/cgroup").iterdir()]
        for root in roots:
            for d in sorted(root.glob("**/"), reverse=True):
                with contextlib.suppress(OSError):
                    d.rmdir()
        return not any(root.exists() for root in roots)

    def __enter__(self):
        return self

    def __exit__(self, *ignored):
        self("rm", "-f", "-t", "0", "-a")
        cow.wait_for(self.cgroups_gone, "podman's cgroups to be gone")  # conmon ends a moment after its container
        subprocess.run(["umount", "-q", self.dir / "root/overlay"])
        subprocess.run(["rm", "-rf", "--one-file-system", self.dir], check=True)


def test_podman():
    """Both on one host: each with its ports, none with the other's, and neither touches what the other has."""
    with herd() as s, Podman(s) as podman:
        done = podman.run("theirs", "8100:7", "/usr/bin/python3", "-I", "-S", "-c", netbox.SERVER, "7")
        assert done.returncode == 0, done.stdout
        cow.wait_for(lambda: s.world.call(lambda: netbox.reachable("192.0.2.1", 8100)), "podman's server")

        def theirs():
            text = subprocess.run(["nft", "-s", "list", "ruleset", "ip"], check=True, stdout=subprocess.PIPE).stdout
            return text
        before = theirs()
        message = box.refused(s, box.sh(s, "true"), ports=["8100:1"])
        assert "8100" in message and "in use by a process of the host" in message, message
        ours = server(s, 7, ports=["8101:7"])
        assert s.world.ask("192.0.2.1", 8101, b"ours").endswith(b" ours")
        assert s.world.ask("192.0.2.1", 8100, b"theirs").endswith(b" theirs")
        assert netbox.ask("127.0.0.1", 8101, b"ours").endswith(b" ours")
        done = podman.run("second", "8101:7", "/bin/true")
        assert done.returncode != 0 and "address already in use" in done.stdout, done.stdout
        assert theirs() == before
        box.delete(s, ours)
        assert theirs() == before
        assert s.world.ask("192.0.2.1", 8100, b"theirs").endswith(b" theirs")
        ours = server(s, 7, ports=["8101:7"])
        assert podman("rm", "-f", "-t", "0", "theirs").returncode == 0
        assert s.world.ask("192.0.2.1", 8101, b"ours").endswith(b" ours")


if __name__ == "__main__":
    cow.main([test_verb, test_itself, test_tp4, test_flushed, test_two, test_others, test_obstacle, test_podman])
