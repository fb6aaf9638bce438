# SPDX-License-Identifier: MIT
"""Containers from specs written in the tests: what the process inside says of itself, and how it ended."""
import array
import contextlib
import copy
import json
import os
import socket
import subprocess
import threading

import cow

CAPS = ["CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_KILL", "CAP_SETGID", "CAP_SETUID", "CAP_SYS_CHROOT"]
PROC = {"destination": "/proc", "type": "proc", "source": "proc"}
DEV = [
    {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "strictatime", "mode=755", "size=64k"]},
    {"destination": "/dev/pts", "type": "devpts", "source": "devpts",
     "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"]},
    {"destination": "/dev/shm", "type": "tmpfs", "source": "shm", "options": ["nosuid", "noexec", "nodev", "mode=1777"]},
    {"destination": "/dev/mqueue", "type": "mqueue", "source": "mqueue", "options": ["nosuid", "noexec", "nodev"]},
]
USR = {"destination": "/usr", "type": "bind", "source": "/usr", "options": ["rbind", "ro"]}


@contextlib.contextmanager
def supervisor(config=None, env=None, prefix=()):
    """A supervisor, a root filesystem beside it, and a look at what is left when both have gone."""
    before = cow.Picture()
    s = cow.Supervisor(config)
    try:
        s.dir.chmod(0o755)
        s.rootfs = cow.make_rootfs(s.dir / "rootfs")
        for link in "lib", "lib64":
            (s.rootfs / link).symlink_to("usr/" + link)
        (s.rootfs / "usr").mkdir()
        s.start(prefix, env=env)
        s.connection = s.client()
        yield s
        s.connection.close()
        s.call("shutdown", kill=True)
        s.process.wait(30)
        assert s.process.returncode == 0, s.process.returncode
        before.check(s.dir)
    except BaseException:
        print((s.dir / "daemon.log").read_text()[-6000:])
        raise
    finally:
        if s.process and s.process.poll() is None:
            with contextlib.suppress(Exception):  # a test failed: its containers go nevertheless
                s.call("shutdown", kill=True)
                s.process.wait(10)
            s.process.kill()
            s.process.wait()
        subprocess.run(["rm", "-rf", "--one-file-system", str(s.dir)], check=True)


def spec(s, *args, namespaces=("pid", "network", "ipc", "uts", "mount"), mounts=(), linux=None, root=None, hooks=None,
         hostname=None, domainname=None, **process):
    """A spec with /proc, /dev and the host's /usr, so that python3 is there."""
    made = {
        "ociVersion": "1.0.2",
        "root": {"path": str(s.rootfs), **(root or {})},
        "process": {
            "args": list(args), "cwd": "/", "env": ["PATH=/bin:/usr/bin", "LC_ALL=C.UTF-8"],
            "user": {"uid": 0, "gid": 0}, "noNewPrivileges": True,
            "capabilities": {k: CAPS for k in ("bounding", "effective", "permitted")}, **process},
        "mounts": copy.deepcopy([PROC, *DEV, USR, *mounts]),
        "linux": {"namespaces": [n if isinstance(n, dict) else {"type": n} for n in namespaces], **(linux or {})},
    }
    for key, value in ("hooks", hooks), ("hostname", hostname), ("domainname", domainname):
        if value is not None:
            made[key] = value
    return made


def sh(s, script, *args, **more):
    return spec(s, "/bin/sh", "-c", script, "sh", *args, **more)


def py(s, script, *args, **more):
    return spec(s, "/usr/bin/python3", "-I", "-S", "-c", script, *args, **more)


def create(s, made, **more):
    return s.connection.call("container.create", spec=made, **more)["id"]


def start(s, made, **more):
    container = create(s, made, **more)
    try:
        s.connection.call("container.start", container=container)
    except cow.RpcError:
        delete(s, container)
        raise
    return container


def wait(s, container):
    return s.connection.call("container.wait", container=container)


def delete(s, container):
    s.connection.call("container.delete", container=container, force=True)


def read_fds(fds):
    """All of each pipe at once."""
    texts = [None] * len(fds)

    def read(i):
        with os.fdopen(fds[i], "rb") as f:
            texts[i] = f.read().decode("utf-8", "replace")
    threads = [threading.Thread(target=read, args=(i,)) for i in range(len(fds))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return texts


def output(s, container):
    s.connection.call("container.logs", container=container)
    return read_fds(s.connection.take_fds())


def run(s, made, **more):
    """The exit record, stdout and stderr."""
    container = start(s, made, **more)
    end = wait(s, container)
    out, err = output(s, container)
    delete(s, container)
    return end, out, err


def says(s, made, **more):
    """stdout of what has to end well."""
    end, out, err = run(s, made, **more)
    assert end["exit_code"] == 0, (end, out, err)
    return out


def refused(s, made, **more):
    """The error of what must not start."""
    try:
        end, out, err = run(s, made, **more)
    except cow.RpcError as e:
        return e.error["message"]
    raise AssertionError("it ran: %s %s %s" % (end, out, err))


def execute(s, container, *args, **more):
    """Exit record, stdout and stderr of another process in a running container."""
    c = s.connection
    pipes = [os.pipe(), os.pipe()]
    params = {"container": container, **({"args": list(args)} if args else {}), **more}
    number = c.next_id
    c.next_id += 1
    line = json.dumps({"jsonrpc": "2.0", "id": number, "method": "container.exec",
                       "params": {**params, "fds": ["stdout", "stderr"]}}).encode() + b"\n"
    sent = c.socket.sendmsg([line], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [p[1] for p in pipes]))])
    c.socket.sendall(line[sent:])
    for p in pipes:
        os.close(p[1])
    try:
        made = c.answer(number)
    except cow.RpcError:
        for p in pipes:
            os.close(p[0])
        raise
    out, err = read_fds([p[0] for p in pipes])
    return c.call("exec.wait", container=container, exec=made["exec"]), out, err


def mountinfo(text):
    """Mount point: the fields of the uppermost mount there."""
    found = {}
    for line in text.splitlines():
        left, right = line.split(" - ")
        fields = left.split(" ")
        kind, source, superblock = right.split(" ", 2)
        found[fields[4]] = {"root": fields[3], "options": set(fields[5].split(",")), "propagation": fields[6:], "type": kind,
                            "source": source, "super": set(superblock.split(","))}
    return found


def status(text):
    return dict(line.split(":\t", 1) for line in text.splitlines() if ":\t" in line)
