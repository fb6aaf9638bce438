# SPDX-License-Identifier: MIT
"""A machine that has no more: full disks, no descriptors, no processes.  Each refusal says what is missing; once there is
some again, work goes on as if nothing had been."""
import contextlib
import errno
import os
import pathlib
import resource
import shutil
import subprocess

import bad
import cow


class Disk:
    """Both directories of the supervisor's state on a small disk, in a mount namespace that outlives the supervisor."""

    SCRIPT = "mount -t tmpfs -o %s tmpfs small && mkdir small/run small/state && echo ready && exec sleep 1000000"

    def __init__(self, options):
        self.options = options

    def place(self, herd):
        (herd.dir / "small").mkdir()
        self.holder = subprocess.Popen(["unshare", "--mount", "--propagation", "private", "sh", "-c", self.SCRIPT % self.options],
                                       cwd=herd.dir, stdout=subprocess.PIPE)
        assert self.holder.stdout.readline() == b"ready\n"
        herd.hosts_view = pathlib.Path("/proc/%d/root" % self.holder.pid)
        self.small = herd.hosts_view / str(herd.dir / "small")[1:]
        herd.supervisor.root = herd.dir / "small/run"
        herd.supervisor.state = herd.dir / "small/state"
        self.prefix = ["nsenter", "--mount=/proc/%d/ns/mnt" % self.holder.pid]
        return self.prefix

    def fill(self, leave=0):
        """Up to `leave` bytes."""
        with open(self.small / "filler", "wb", buffering=0) as file:
            with contextlib.suppress(OSError):
                while True:
                    file.write(b"x" * 4096)
            file.truncate(max(file.tell() - leave, 0))

    def fill_inodes(self, leave=0):
        """Until no file can be made but `leave` of them."""
        (self.small / "files").mkdir(exist_ok=True)
        made = 0
        with contextlib.suppress(OSError):
            while True:
                (self.small / "files" / str(made)).touch()
                made += 1
        for i in range(made - leave, made):
            (self.small / "files" / str(i)).unlink()

    def free(self):
        with contextlib.suppress(FileNotFoundError):
            (self.small / "filler").unlink()
        shutil.rmtree(self.small / "files", ignore_errors=True)


@contextlib.contextmanager
def on_disk(options):
    disk = Disk(options)
    try:
        with bad.herd(place=disk.place) as h:
            yield h, disk
    finally:
        disk.holder.kill()
        disk.holder.wait()
        disk.holder.stdout.close()


def test_disk_full_at_each_moment():
    """However much is left, a create or start works, or fails for want of space and leaves nothing."""
    with on_disk("size=256k,nr_inodes=64") as (h, disk):
        for fill, leaves in (disk.fill, range(0, 20 * 4096, 4096)), (disk.fill_inodes, range(12)):
            refused = worked = 0
            for leave in leaves:
                fill(leave)
                try:
                    assert h.run() == 0
                    worked += 1
                except cow.RpcError as e:
                    assert e.code == -errno.ENOSPC and h.mark in str(e), e
                    refused += 1
                cow.wait_for(lambda: not h.left(), "nothing to be left with %d free, but %s" % (leave, h.left()), 5)
                disk.free()
            assert refused and worked, (refused, worked)


def test_disk_full_while_running():
    with on_disk("size=512k") as (h, disk):
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
    with on_disk("size=256k") as (h, disk):
        names = [h.create() for _ in range(3)]
        h.client.call("container.start", container=names[0])
        disk.fill()
        for name in names:
            h.client.call("container.delete", container=name, force=True)
        disk.free()
        h.check()


def test_disk_full_at_start():
    """A supervisor that dies, and one that begins on a full disk: what lives is adopted, and can be deleted."""
    with on_disk("size=256k") as (h, disk):
        names = [h.create(spec=h.spec("sleep", "1000")) for _ in range(2)]
        h.client.call("container.start", container=names[0])
        disk.fill()
        h.supervisor.kill()
        h.client.close()
        h.supervisor.start(prefix=disk.prefix)
        h.client = h.supervisor.client()
        listed = {c["id"]: c["state"] for c in h.client.call("container.list", all=True)}
        assert listed.keys() == set(names) and listed[names[0]] == "running", listed
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


def test_too_few_descriptors():
    with bad.herd() as h:
        (h.dir / "second").mkdir()
        second = cow.Supervisor(config={}, directory=h.dir / "second")
        for n in 7, 12, 31:
            done = subprocess.run(["sh", "-c", 'ulimit -n %d; exec "$@"' % n, "sh", *second.command()], timeout=30,
                                  stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
            assert done.returncode == 1 and b"RLIMIT_NOFILE: %d descriptors" % n in done.stdout, done


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
    cow.main([test_disk_full_at_each_moment, test_disk_full_while_running, test_disk_full_at_delete,
              test_disk_full_at_start, test_no_descriptors,
              test_no_descriptors_at_each_moment,
              test_too_few_descriptors, test_no_processes])
