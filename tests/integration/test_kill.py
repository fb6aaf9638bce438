# SPDX-License-Identifier: MIT
"""SIGKILL of the supervisor, at every system call of its loop and at random instants, under load: the next start finds
and releases everything.  COW_KILLS and COW_KILL_STRIDE make the sweeps longer or shorter; what was done is counted."""
import errno
import json
import os
import pathlib
import random
import subprocess
import threading

import cow

KILLS = int(os.environ.get("COW_KILLS", "60"))
STRIDE = int(os.environ.get("COW_KILL_STRIDE", "9"))


def bundle(directory, rootfs, name, args):
    path = pathlib.Path(directory) / name
    path.mkdir()
    namespaces = [{"type": t} for t in ("pid", "network", "ipc", "uts", "mount")]
    path.joinpath("config.json").write_text(json.dumps({
        "ociVersion": "1.0.2",
        "root": {"path": str(rootfs), "readonly": True},
        "process": {"args": args, "cwd": "/", "env": ["PATH=/bin"], "user": {"uid": 0, "gid": 0}},
        "mounts": [{"destination": "/proc", "type": "proc", "source": "proc"},
                   {"destination": "/dev", "type": "tmpfs", "source": "tmpfs"}],
        "linux": {"namespaces": namespaces, "resources": {"pids": {"limit": 50}, "memory": {"limit": 67108864}}},
    }))
    return str(path)


class Herd:
    def __init__(self):
        # A parent of its own for the cgroups, so that others on the machine are not mistaken for ours.
        parent = "cowherd-kill-%d-%d" % (os.getpid(), random.randrange(1 << 30))
        self.picture = cow.Picture(parent)
        self.supervisor = cow.Supervisor({"plugins": {"lcow": {"cgroup_parent": parent}}})
        rootfs = cow.make_rootfs(self.supervisor.dir / "rootfs")
        self.short = bundle(self.supervisor.dir, rootfs, "short", ["true"])
        self.long = bundle(self.supervisor.dir, rootfs, "long", ["sleep", "100000"])

    def cycle(self, client, which):
        """One container's life; the supervisor may die anywhere in it."""
        name = client.call("container.create", bundle=which)["id"]
        client.call("container.start", container=name)
        if which == self.long:
            client.call("container.exec", container=name, args=["true"], detach=True)
            client.call("container.stop", container=name, timeout_s=0)
        else:
            client.call("container.wait", container=name)
        client.call("container.delete", container=name)

    def work(self, which, cycles=1000000):
        try:
            client = self.supervisor.client()
            for _ in range(cycles):
                self.cycle(client, which)
            client.close()
            return True
        except (OSError, EOFError, ValueError, cow.RpcError):
            return False

    def answers(self):
        try:
            client = self.supervisor.client()
            client.call("version")
            client.close()
            return True
        except (OSError, EOFError):
            return False

    def settle(self):
        """After the next start: what is listed as running lives, and is all that lives; it can be deleted."""
        client = self.supervisor.client()
        listed = client.call("container.list", all=True)
        for c in listed:
            assert c["state"] not in ("creating", "starting", "stopping", "removing"), c
            if c["state"] == "running":
                os.kill(c["pid"], 0)
        for c in listed:
            try:
                client.call("container.delete", container=c["id"], force=True)
            except cow.RpcError as e:
                assert e.code == -errno.ENOENT, e  # the start was finishing this one's deletion
        assert client.call("container.list", all=True) == []
        client.close()
        self.nothing_but_supervisor()

    def nothing_but_supervisor(self):
        def left():
            found = [d for d in self.picture.differences(self.supervisor.dir)
                     if not d.startswith("process %d:" % self.supervisor.process.pid) and "strace" not in d and
                     not (d.startswith("process") and "daemon --foreground-log" in d)]
            containers = [p for root in (self.supervisor.root, self.supervisor.state)
                          for p in (root / "containers").glob("*") if not p.name.startswith(".spare")]
            return not found and not containers or [found, containers]
        try:
            cow.wait_for(lambda: left() is True, "a clean machine", 10)
        except AssertionError:
            raise AssertionError("left behind: %s" % left()) from None

    def end(self):
        self.supervisor.stop()
        self.picture.check(self.supervisor.dir)
        self.supervisor.remove()


def test_random_instants():
    herd = Herd()
    herd.supervisor.start()
    fds = None
    for i in range(KILLS):
        workers = [threading.Thread(target=herd.work, args=(w,)) for w in (herd.short, herd.long, herd.short, herd.long)]
        for w in workers:
            w.start()
        timer = threading.Event()
        timer.wait(random.uniform(0, 0.1))
        herd.supervisor.kill()
        for w in workers:
            w.join()
        herd.supervisor.start()
        herd.settle()
        open_now = len(os.listdir("/proc/%d/fd" % herd.supervisor.process.pid))
        fds = fds or open_now
        assert open_now <= fds + 2, "descriptors grow: %d, then %d" % (fds, open_now)
    herd.end()
    print("SIGKILL at %d random instants: nothing left" % KILLS)


def two_lives(herd, prefix):
    """Start under strace and live two lives; True when the supervisor survived them."""
    herd.supervisor.start(prefix=["strace", "-D", *prefix], wait=False)
    cow.wait_for(lambda: herd.supervisor.process.poll() is not None or herd.answers(), "the supervisor")
    return herd.supervisor.process.poll() is None and herd.work(herd.short, 1) and herd.work(herd.long, 1)


def calls_of_two_lives(herd):
    """[(name, how many)] of the system calls that the loop thread makes."""
    path = herd.supervisor.dir / "calls"
    assert two_lives(herd, ["-o", str(path)])
    herd.supervisor.kill()
    herd.supervisor.start()
    herd.settle()
    herd.supervisor.stop()
    counts = {}
    for line in path.read_text(errors="replace").splitlines():
        name = line.split("(", 1)[0]
        if name.isidentifier() and not name.startswith("exit"):
            counts[name] = counts.get(name, 0) + 1
    return sorted(counts.items())


def test_every_system_call():
    """strace delivers SIGKILL on entry to the n-th call of each system call of the loop thread, over two lives: every
    write to the ledger, every answer, every step is one of them."""
    herd = Herd()
    points = [(name, n) for name, count in calls_of_two_lives(herd) for n in range(1, count + 1)]
    done = 0
    for name, n in points[random.randrange(STRIDE)::STRIDE]:
        inject = "inject=%s:signal=KILL:when=%d" % (name, n)
        if two_lives(herd, ["-o", "/dev/null", "-e", "trace=" + name, "-e", inject]):
            herd.supervisor.kill()  # timing took another path, and this call was not made
        herd.supervisor.process.wait(30)
        done += 1
        herd.supervisor.start()
        herd.settle()
        herd.supervisor.stop()
    herd.end()
    print("SIGKILL at %d of %d system calls: nothing left" % (done, len(points)))


if __name__ == "__main__":
    cow.main([test_random_instants, test_every_system_call])
