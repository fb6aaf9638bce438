#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""An ordinary user's supervisor: containers in user namespaces of that user, in cgroups that were handed to it."""
import contextlib
import os
import pathlib
import shutil
import signal
import subprocess
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
        for pid in (group / "supervisor" / "cgroup.procs").read_text().split():  # a test failed
            os.kill(int(pid), signal.SIGKILL)
            cow.wait_for(lambda pid=pid: not os.path.exists("/proc/" + pid), "its end")
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


# A /dev/net/tun as udev makes it, for all users.
TUN = ["unshare", "-m", "--propagation", "private", "sh", "-c",
       'mount -t tmpfs none /dev/net && mknod -m 666 /dev/net/tun c 10 200 && exec "$@"', "sh"]


def helpers(s):
    """Processes in the supervisor's cgroup that are not the supervisor."""
    pids = (cgroup2() / s.dir.name / "supervisor" / "cgroup.procs").read_text().split()
    return [pid for pid in pids if int(pid) != s.process.pid]


def test_network():
    """Packets out, published ports in, by the user's own sockets; the program that carries them is started again."""
    with netbox.World() as world, supervisor(prefix=TUN) as s:
        c = s.connection
        listener = world.listen()
        port = listener.getsockname()[1]
        container = c.call("container.create", rootfs=str(s.rootfs), network="nat", ports=["8080:80"],
                           args=["/bin/sh", "-c", "mkdir /www; echo inside >/www/index.html; exec httpd -f -p 80 -h /www"])["id"]
        c.call("container.start", container=container)
        request = b"GET / HTTP/1.0\r\n\r\n"

        def answers():
            with contextlib.suppress(OSError):  # the program listens before the container does
                return b"inside" in netbox.ask("127.0.0.1", 8080, request)
        cow.wait_for(answers, "the server")
        assert b"inside" in world.ask("192.0.2.1", 8080, request)
        seen = []

        def serve():
            got, who = listener.accept()
            seen.extend((got.recv(100), who[0]))
            got.close()
        thread = threading.Thread(target=serve)
        thread.start()
        box.execute(s, container, "/bin/sh", "-c", "echo hello | nc -w 3 192.0.2.2 %d" % port)
        thread.join()
        assert seen == [b"hello\n", "192.0.2.1"], seen
        listener.close()
        _, out, _ = box.execute(s, container, "cat", "/etc/hosts")
        assert "localhost" in out, out
        # Whoever ends it has it again.
        [program] = s.root.glob("containers/*/rootless/pid")
        os.kill(int(program.read_text().split()[0]), signal.SIGKILL)
        cow.wait_for(answers, "pasta again")
        c.call("container.delete", container=container, force=True)
        assert not helpers(s), helpers(s)
        for more, cause in (({"network": "other"}, "only root"), ({"ports": ["80"]}, "host's port"),
                            ({"network": "nat:ip=10.0.0.9"}, "only root")):
            try:
                run(s, "true", **more)
            except cow.RpcError as e:
                assert cause in str(e), e
            else:
                raise AssertionError(more)
        assert not helpers(s), helpers(s)


if __name__ == "__main__":
    cow.main([test_default_spec, test_what_only_root_may, test_exec_and_stop, test_network])
