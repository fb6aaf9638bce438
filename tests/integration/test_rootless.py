#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""An ordinary user's supervisor: containers in user namespaces of that user, in cgroups that were handed to it."""
import contextlib
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import threading

import netbox
import box
import cow

USER = 65532


def cgroup2():
    """Where the one hierarchy is that can be handed to users."""
    for line in open("/proc/self/mountinfo"):
        left, right = line.split(" - ")
        if right.split(" ")[0] == "cgroup2":
            return pathlib.Path(left.split(" ")[4])
    raise AssertionError("no cgroup2 on this machine")


@contextlib.contextmanager
def supervisor(config=None, prefix=()):
    """Run by USER, from a copy of the programs that it may read; the cgroup is USER's, and so is its directory."""
    before = cow.Picture()
    s = cow.Supervisor(config)
    group = cgroup2() / s.dir.name
    programs = s.dir / "programs"
    build, cow.COWHERD = cow.COWHERD, str(programs / "bin" / "cowherd")
    try:
        s.dir.chmod(0o755)
        (programs / "bin").mkdir(parents=True)
        for name in "cowherd", "cowherd-init":
            shutil.copy(cow.BUILD / "bin" / name, programs / "bin")
        shutil.copytree(cow.BUILD / "lib", programs / "lib")
        s.rootfs = cow.make_rootfs(s.dir / "rootfs")
        (group / "supervisor").mkdir(parents=True)
        for path in [group, *group.rglob("*")]:
            os.chown(path, USER, USER)
        os.chown(s.dir, USER, USER)
        subprocess.run(["chown", "-R", "%d:%d" % (USER, USER), s.rootfs], check=True)
        s.start(prefix=["/bin/sh", "-c", 'echo $$ >"$0" && exec "$@"', str(group / "supervisor" / "cgroup.procs"), *prefix,
                        "setpriv", "--reuid", str(USER), "--regid", str(USER), "--clear-groups"])
        s.connection = s.client()
        yield s
        s.connection.close()
        s.call("shutdown", kill=True)
        s.process.wait(30)
        assert s.process.returncode == 0, s.process.returncode
    except BaseException:
        print((s.dir / "daemon.log").read_text()[-6000:])
        raise
    finally:
        cow.COWHERD = build
        if s.process and s.process.poll() is None:
            s.process.kill()
            s.process.wait()
        for procs in group.rglob("cgroup.procs"):  # a test failed
            for pid in procs.read_text().split():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(pid), signal.SIGKILL)
        for procs in group.rglob("cgroup.procs"):
            cow.wait_for(lambda procs=procs: not procs.read_text(), "their end")
        for path in sorted(group.rglob("*"), reverse=True):
            if path.is_dir():
                path.rmdir()
        group.rmdir()
        before.check(s.dir)
        shutil.rmtree(s.dir)


def run(s, script, **more):
    """What a container of the default spec says."""
    c = s.connection
    container = c.call("container.create", rootfs=str(s.rootfs), args=["/bin/sh", "-c", script], **more)["id"]
    c.call("container.start", container=container)
    end = c.call("container.wait", container=container)
    out, err = box.output(s, container)
    c.call("container.delete", container=container, force=True)
    assert end["exit_code"] == 0, (end, out, err)
    return out


def test_default_spec():
    with supervisor() as s:
        out = run(s, "id -u; cat /proc/self/uid_map; touch /made; ip -o addr; echo $$")
        assert out.splitlines()[0] == "0", out
        assert out.splitlines()[1].split() == ["0", str(USER), "1"], out
        assert "127.0.0.1/8" in out, out
        assert (s.rootfs / "made").stat().st_uid == USER
        again = run(s, "hostname; cat /sys/fs/cgroup/cgroup.procs /sys/fs/cgroup/unified/cgroup.procs 2>/dev/null; true",
                    hostname="ordinary")
        assert again.startswith("ordinary\n"), again


def test_what_only_root_may():
    with supervisor() as s:
        try:
            run(s, "true", user="1000:1000")
        except cow.RpcError as e:
            assert "not permitted" in str(e) or "invalid" in str(e).lower(), e
        else:
            raise AssertionError("a user that is not mapped")
        assert run(s, "mknod /dev/made c 1 3 2>&1 || echo refused").endswith("refused\n")


def test_exec_and_stop():
    with supervisor() as s:
        c = s.connection
        container = c.call("container.create", rootfs=str(s.rootfs), args=["sleep", "1000"])["id"]
        c.call("container.start", container=container)
        end, out, _ = box.execute(s, container, "id", "-u")
        assert (end["exit_code"], out) == (0, "0\n"), (end, out)
        c.call("container.kill", container=container, signal="KILL")
        assert c.call("container.wait", container=container)["exit_code"] == 137
        c.call("container.delete", container=container)


# A /dev/net/tun as udev makes it, for all users; DNS as systemd-resolved's stub, on loopback only.
TUN = ["unshare", "-m", "--propagation", "private", "sh", "-c",
       'mount -t tmpfs none /dev/net && mknod -m 666 /dev/net/tun c 10 200 && echo nameserver 127.0.0.53 >"$0" && '
       'mount --bind "$0" /etc/resolv.conf && for p in $WITHOUT; do mount --bind /dev/null /usr/bin/$p; done && exec "$@"']


def prefix(d, without=""):
    return ["env", "WITHOUT=" + without, *TUN, os.path.join(d, "resolv.conf")]


@contextlib.contextmanager
def networked(kind="any", without=""):
    """A supervisor whose containers have networks, in a world."""
    with netbox.World() as world, tempfile.TemporaryDirectory(prefix="cowherd-rootless-") as d:
        os.chmod(d, 0o755)
        with supervisor({"plugins": {"net": {"rootless": kind}}}, prefix=prefix(d, without)) as s:
            s.world, s.again = world, prefix(d, without)
            yield s
            for c in s.connection.call("container.list", all=True):
                s.connection.call("container.delete", container=c["id"], force=True)
            cow.wait_for(lambda: not helpers(s), "no helpers: %s" % helpers(s))
            left = [str(p) for p in (s.root / "net/rootless").glob("*")]
            assert not left, left


def helpers(s):
    """Processes in the supervisor's cgroup that are not the supervisor."""
    pids = (cgroup2() / s.dir.name / "supervisor" / "cgroup.procs").read_text().split()
    return [pid for pid in pids if int(pid) != s.process.pid]


def restart(s):
    group = cgroup2() / s.dir.name
    s.kill()
    s.connection.close()
    s.start(prefix=["/bin/sh", "-c", 'echo $$ >"$0" && exec "$@"', str(group / "supervisor" / "cgroup.procs"), *s.again,
                    "setpriv", "--reuid", str(USER), "--regid", str(USER), "--clear-groups"])
    s.connection = s.client()


HTTPD = "mkdir -p /www; echo inside >/www/index.html; exec httpd -f -p 80 -h /www"


REQUEST = b"GET / HTTP/1.0\r\n\r\n"


def web(s, **more):
    container = s.connection.call("container.create", rootfs=str(s.rootfs), network="nat", args=["/bin/sh", "-c", HTTPD],
                                  **more)["id"]
    s.connection.call("container.start", container=container)
    return container


def answers(address="127.0.0.1", port=8080):
    with contextlib.suppress(OSError):  # the program listens before the container does
        return b"inside" in netbox.ask(address, port, REQUEST, timeout=2)


def program(s):
    [path] = s.root.glob("containers/*/rootless/pid")
    return int(path.read_text().split()[0])


def heard(listener, kind=socket.SOCK_STREAM):
    """What the first who comes says, and from where, in a thread."""
    seen = []

    def serve():
        if kind == socket.SOCK_DGRAM:
            got, who = listener.recvfrom(100)
            seen.extend((got, who[0]))
            return
        connection, who = listener.accept()
        with connection:
            seen.extend((connection.recv(100), who[0]))
    thread = threading.Thread(target=serve)
    thread.start()
    return thread, seen


def name_server():
    """Answers A questions on the host's loopback with 192.0.2.2, until a datagram says so."""
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind(("127.0.0.53", 53))

    def serve():
        with s:
            while True:
                q, who = s.recvfrom(512)
                if q == b"end":
                    return
                end = q.index(b"\0", 12) + 5
                v4 = q[end - 4:end - 2] == b"\0\1"
                s.sendto(q[:2] + b"\x81\x80\0\1" + (b"\0\1" if v4 else b"\0\0") + b"\0\0\0\0" + q[12:end] + (
                    b"\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4\xc0\0\2\2" if v4 else b""), who)
    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    return thread


def echo(address, port, kind=socket.SOCK_STREAM, own=""):
    """What the server of netbox says; its end is not waited for: pasta forgets who has sent his."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    said = b""
    with contextlib.suppress(OSError), socket.socket(family, kind) as client:
        client.settimeout(2)
        if own:
            client.bind((own, 0))
        client.connect((address, port))
        client.sendall(b"hello")
        while not said.endswith(b"hello"):
            said += client.recv(100) or b" hello"
    return said


def carries(kind):
    """Both ways, tcp and udp, names; ports of the host in use; whoever ends the program has it again."""
    with networked(kind) as s:
        names = name_server()
        netbox.ip("addr", "add", "2001:db8::3/64", "dev", "world0", "nodad", ns=s.world.pid)
        for link in "lib", "lib64":
            (s.rootfs / link).symlink_to("usr/" + link)
        c = s.connection
        container = c.call("container.create", rootfs=str(s.rootfs), network="nat", ports=["8080:9000", "9000:9000/udp"], hostname="me",
                           add_host=["friend:192.0.2.9"], mounts=[{"source": "/usr", "target": "/usr"}],
                           args=["/usr/bin/python3", "-I", "-S", "-c", netbox.SERVER, "9000"])["id"]
        c.call("container.start", container=container)
        ways = [("127.0.0.1", ""), ("192.0.2.1", "192.0.2.2")]
        if kind == "pasta":  # (which does not answer IPv6 from the very gateway)
            ways += [("::1", ""), ("2001:db8::1", "2001:db8::3")]
        for kind_of, name, port in (socket.SOCK_STREAM, b"tcp ", 8080), (socket.SOCK_DGRAM, b"udp ", 9000):
            for to, own in ways:
                if kind == "pasta" or own or port == 8080:  # (slirp4netns answers no datagram from the host's loopback)
                    where = s.world.call if own else lambda ask: ask()
                    cow.wait_for(lambda: where(lambda: echo(to, port, kind_of, own).startswith(name)), "%s at %s" % (name, to))
        for family, where, who in ((socket.AF_INET, "192.0.2.2", "192.0.2.1"), (socket.AF_INET6, "2001:db8::2", "2001:db8::1")):
            with s.world.listen(socket.SOCK_STREAM, family) as listener:
                command = "echo hello | nc -w 3 %s %d" % (where, listener.getsockname()[1])
                thread, seen = heard(listener)
                cow.wait_for(lambda: box.execute(s, container, "/bin/sh", "-c", command)[0]["exit_code"] == 0, "a way out")
                thread.join()
                assert seen == [b"hello\n", who], seen
            with s.world.listen(socket.SOCK_DGRAM, family, 53) as listener:
                thread, seen = heard(listener, socket.SOCK_DGRAM)
                box.execute(s, container, "timeout", "1", "nslookup", "asked.example", where)
                thread.join()
                assert b"asked" in seen[0] and seen[1] == who, seen
        _, out, _ = box.execute(s, container, "/bin/sh", "-c", "cat /etc/hosts /etc/resolv.conf; nslookup out.example")
        for line in "friend", "\tme\n", "nameserver " + {"pasta": "169.254.1.1", "slirp4netns": "10.0.2.3"}[kind], "192.0.2.2":
            assert line in out, out
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.sendto(b"end", ("127.0.0.53", 53))
        names.join()
        os.kill(program(s), signal.SIGKILL)
        cow.wait_for(lambda: echo("127.0.0.1", 8080).startswith(b"tcp "), "the program again")
        try:
            web(s, ports=["8080:80"])
        except cow.RpcError as e:
            assert kind in str(e) and "8080" in str(e) or "in use" in str(e), e
        else:
            raise AssertionError("a port twice")


def test_pasta():
    carries("pasta")


def test_slirp4netns():
    carries("slirp4netns")


def configure(s, plugins=None, **members):
    config = json.loads(s.config.read_text())
    config["plugins"].update(plugins or {})
    s.config.write_text(json.dumps({**config, **members}))
    reloaded = s.cli("reload")
    assert reloaded.returncode == 0, reloaded


def refused(s, cause, before=0, **more):
    try:
        run(s, "true", **more)
    except cow.RpcError as e:
        assert cause in str(e), e
    else:
        raise AssertionError(more)
    assert len(helpers(s)) == before, helpers(s)


def test_programs_missing():
    """slirp4netns where there is no pasta; the packages are named."""
    with networked(without="pasta") as s:
        web(s, ports=["8080:80"])
        cow.wait_for(answers, "the server")
        assert os.readlink("/proc/%d/exe" % program(s)).endswith("/slirp4netns")
    with networked(without="pasta slirp4netns") as s:
        for kind, cause in (("any", "there is no pasta (package passt), and no slirp4netns"),
                            ("pasta", "there is no pasta (package passt)"),
                            ("slirp4netns", "there is no slirp4netns (package slirp4netns)")):
            configure(s, plugins={"net": {"rootless": kind}})
            refused(s, cause, network="nat")


def test_supervisor_ends():
    """A program is watched by the next supervisor; without one, it ends with its container, which can begin again."""
    with networked() as s:
        container = web(s, ports=["8080:80"])
        cow.wait_for(answers, "the server")
        restart(s)
        assert answers()
        os.kill(program(s), signal.SIGKILL)
        cow.wait_for(answers, "the program again")
        pid = s.connection.call("container.inspect", container=container)["pid"]
        s.kill()
        os.kill(program(s), signal.SIGKILL)
        restart(s)
        cow.wait_for(answers, "the program once more")
        s.kill()
        os.kill(pid, signal.SIGKILL)
        cow.wait_for(lambda: not helpers(s), "their end")
        restart(s)
        s.connection.call("container.start", container=container)
        cow.wait_for(answers, "the server after all")


def test_command_line():
    """cowherd run in the foreground, and what the configuration says; what only root may."""
    with networked() as s:
        listener = s.world.listen()
        thread, seen = heard(listener)
        ran = s.cli("run", "--rm", "--network", "nat", "--rootfs", str(s.rootfs), "/bin/sh", "-c",
                    "echo hello | nc -w 3 192.0.2.2 %d" % listener.getsockname()[1], text=True)
        assert ran.returncode == 0, ran.stderr
        thread.join()
        listener.close()
        assert seen == [b"hello\n", "192.0.2.1"], seen
        configure(s, containers={"web": {"rootfs": str(s.rootfs), "args": ["/bin/sh", "-c", HTTPD], "ports": ["8080:80"]}})
        cow.wait_for(answers, "the server")
        for more, cause in (({"network": "other"}, "only root"), ({"ports": ["80"]}, "host's port"),
                            ({"network": "nat:ip=10.0.0.9"}, "only root")):
            refused(s, cause, len(helpers(s)), **more)


if __name__ == "__main__":
    cow.main([test_default_spec, test_what_only_root_may, test_exec_and_stop, test_pasta, test_slirp4netns,
              test_programs_missing, test_supervisor_ends, test_command_line])
