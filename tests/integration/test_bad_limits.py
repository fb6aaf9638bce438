# SPDX-License-Identifier: MIT
"""A machine that has no more: full disks, no descriptors, no processes.  Each refusal says what is missing; once there is
some again, work goes on as if nothing had been."""
import contextlib
import errno
import os
import pathlib
import resource

import bad
import cow


class Disk:
    """Both directories of the supervisor's state on a small disk that only it sees; here by way of its /proc."""

    SCRIPT = 'mount -t tmpfs -o size=%s tmpfs "$1" && mkdir "$1/run" "$1/state" && shift && exec "$@"'

    def __init__(self, size):
        self.size = size

    def place(self, herd):
        self.herd = herd
        (herd.dir / "small").mkdir()
        herd.supervisor.root = herd.dir / "small/run"
        herd.supervisor.state = herd.dir / "small/state"
        return ["unshare", "--mount", "--propagation", "private", "sh", "-c", self.SCRIPT % self.size, "sh",
                str(herd.dir / "small")]

    def path(self, name):
        return pathlib.Path("/proc/%d/root" % self.herd.supervisor.process.pid) / str(self.herd.dir)[1:] / "small" / name

    def fill(self, leave=0):
        """Up to `leave` bytes."""
        with open(self.path("filler"), "wb", buffering=0) as file:
            with contextlib.suppress(OSError):
                while True:
                    file.write(b"x" * 4096)
            size = file.tell()
            file.truncate(max(size - leave, 0))

    def free(self):
        with contextlib.suppress(FileNotFoundError):
            self.path("filler").unlink()


@contextlib.contextmanager
def on_disk(size):
    disk = Disk(size)
    with bad.herd(place=disk.place) as h:
        h.hosts_view = pathlib.Path("/proc/%d/root" % h.supervisor.process.pid)
        yield h, disk


def test_disk_full_at_each_moment():
    """However much is left, a create or start works, or fails for want of space and leaves nothing."""
    with on_disk("256k") as (h, disk):
        refused = worked = 0
        for leave in range(0, 20 * 4096, 4096):
            disk.fill(leave)
            try:
                assert h.run() == 0
                worked += 1
            except cow.RpcError as e:
                assert e.code == -errno.ENOSPC and h.mark in str(e), e
                refused += 1
            cow.wait_for(lambda: not h.left(), "nothing with %d bytes free, not %s" % (leave, h.left()), 5)
            disk.free()
        assert refused and worked, (refused, worked)


def test_disk_full_while_running():
    with on_disk("512k") as (h, disk):
        name = h.id()
        h.create(id=name, spec=h.spec("sh", "-c", "while [ ! -e /go ]; do sleep 0.01; done; yes | head -c 3000000; exit 7"))
        disk.fill()
        h.client.call("container.start", container=name)
        h.client.call("container.exec", container=name, args=["true"])
        (h.rootfs / "go").touch()
        # Output that has no place is lost; the container is not held up by it, and its exit code is exact.
        assert h.client.call("container.wait", container=name)["exit_code"] == 7
        (h.rootfs / "go").unlink()
        assert "log.dropped" in [e["event"] for e in h.client.call("container.inspect", container=name)["last_events"]]
        h.client.call("container.delete", container=name)
        disk.free()
        h.check()


def test_disk_full_at_delete():
    with on_disk("256k") as (h, disk):
        names = [h.create() for _ in range(3)]
        h.client.call("container.start", container=names[0])
        disk.fill()
        for name in names:
            h.client.call("container.delete", container=name, force=True)
        disk.free()
        h.check()


def test_no_descriptors():
    """RLIMIT_NOFILE 64: containers until it refuses; what runs goes on, and when some are gone there is room again."""
    with bad.herd(prefix=["sh", "-c", 'ulimit -n 64; exec "$@"', "sh"]) as h:
        names, error = [], None
        while not error:
            assert len(names) < 64, "64 containers with 64 descriptors"
            names.append(h.id())
            try:
                h.create(id=names[-1], spec=h.spec("sleep", "1000"))
                h.client.call("container.start", container=names[-1])
            except cow.RpcError as e:
                error = e
                assert e.code == -errno.EMFILE and "oo many open files" in str(e), e
        for _ in range(5):
            with contextlib.suppress(cow.RpcError):
                h.client.call("container.exec", container=names[0], args=["true"])
            with contextlib.suppress(cow.RpcError):
                logs(h, names[0])
        assert starved_client(h)
        states = {c["id"]: c["state"] for c in h.client.call("container.list", all=True)}
        assert states[names[0]] == "running", states
        for name in states:
            h.client.call("container.delete", container=name, force=True)
        h.check()


def test_no_descriptors_at_each_moment():
    """With so many descriptors left, a life and an exec work, or fail for want of them and leave nothing."""
    with bad.herd() as h:
        pid = h.supervisor.process.pid
        name = h.create(spec=h.spec("sleep", "1000"))
        h.client.call("container.start", container=name)
        limits = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        highest = max(map(int, os.listdir("/proc/%d/fd" % pid)))
        usual = h.open_fds()
        told = worked = 0
        for spare in range(48):
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (highest - 10 + spare, limits[1]))
            for do in h.run, lambda: h.client.call("container.exec", container=name, args=["true"]), lambda: logs(h, name):
                try:
                    do()
                    worked += 1
                except cow.RpcError as e:
                    assert e.code == -errno.EMFILE and "oo many open files" in str(e), e
                    told += 1
            resource.prlimit(pid, resource.RLIMIT_NOFILE, limits)
            cow.wait_for(lambda: h.open_fds() <= usual and len(h.client.call("container.list", all=True)) == 1,
                         "nothing left with %d" % spare)
        assert told > 10 and worked > 10, (told, worked)
        h.client.call("container.delete", container=name, force=True)


def logs(h, name):
    h.client.call("container.logs", container=name)
    for fd in h.client.take_fds():
        os.close(fd)


def starved_client(h):
    """More clients than descriptors: the last are told."""
    clients, told = [], False
    for _ in range(64):
        clients.append(h.supervisor.client())
        clients[-1].socket.settimeout(10)
    for client in clients:
        with contextlib.suppress(OSError):
            client.send("version") # too late for one that was refused; what it was told is there
        with contextlib.suppress(OSError, EOFError):
            told = told or "no file descriptors" in client.read_message().get("error", {}).get("message", "")
    for client in clients:
        client.close()
    return told


@contextlib.contextmanager
def process_limit(name):
    """A cgroup for the supervisor, with a limit of processes that can be set."""
    for top in "/sys/fs/cgroup/pids", "/sys/fs/cgroup":
        path = pathlib.Path(top) / ("limit-" + name)
        path.mkdir()
        if (path / "pids.max").exists():
            break
        path.rmdir()
    else:
        raise AssertionError("no pids controller")
    try:
        yield path
    finally:
        cow.wait_for(lambda: not (path / "cgroup.procs").read_text(), "the end of what is in " + str(path))
        path.rmdir()


def test_no_processes():
    with process_limit("cowherd-%d" % os.getpid()) as cgroup:
        with bad.herd(prefix=["sh", "-c", "echo $$ >%s/cgroup.procs; exec \"$@\"" % cgroup, "sh"]) as h:
            name = h.create(spec=h.spec("sleep", "1000"))
            h.client.call("container.start", container=name)
            now = int((cgroup / "pids.current").read_text())
            refused = 0
            for more in range(4):
                (cgroup / "pids.max").write_text(str(now + more))
                try:
                    assert h.run() == 0
                except cow.RpcError as e:
                    assert e.code == -errno.EAGAIN and "esource temporarily unavailable" in str(e), e
                    refused += 1
                try:
                    h.client.call("container.exec", container=name, args=["true"])
                except cow.RpcError as e:
                    assert e.code == -errno.EAGAIN, e
            assert refused, "new processes in spite of a limit of %d" % now
            (cgroup / "pids.max").write_text("max")
            h.normal()
            h.client.call("container.delete", container=name, force=True)


if __name__ == "__main__":
    cow.main([test_disk_full_at_each_moment, test_disk_full_while_running, test_disk_full_at_delete, test_no_descriptors,
              test_no_descriptors_at_each_moment, test_no_processes])
