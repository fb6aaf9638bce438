# SPDX-License-Identifier: MIT
"""SIGKILL of the supervisor, at every system call of its loop and at random instants, under load: the next start finds
and releases everything.  COW_KILLS and COW_KILL_STRIDE make the sweeps longer or shorter; what was done is counted."""
import json
import os
import pathlib
import random
import subprocess
import threading

import cow

KILLS = int(os.environ.get("COW_KILLS", "150"))
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
        self.picture = cow.Picture()
        self.supervisor = cow.Supervisor()
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
            client.call("container.delete", container=c["id"], force=True)
        assert client.call("container.list", all=True) == []
        client.close()
        self.nothing_but_supervisor()

    def nothing_but_supervisor(self):
        def left():
            found = [d for d in self.picture.differences(self.supervisor.dir)
                     if not d.startswith("process %d:" % self.supervisor.process.pid) and "strace" not in d and
                     not (d.startswith("process") and "daemon --foreground-log" in d)]
            containers = [p for root in (self.supervisor.root, self.supervisor.state)
                          for p in (root / "containers").glob("*")]
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


def test_every_system_call():
    """strace delivers SIGKILL on entry to the n-th system call of the loop thread, for n all over two lives."""
    herd = Herd()
    done, n = 0, 1 + random.randrange(STRIDE)
    while True:
        herd.supervisor.start(prefix=["strace", "-o", "/dev/null", "-e", "signal=none", "-e",
                                      "inject=all:signal=KILL:when=%d" % n], wait=False)
        finished = False
        try:
            cow.wait_for(lambda: herd.supervisor.process.poll() is not None or herd.answers(), "the supervisor")
            finished = herd.supervisor.process.poll() is None and herd.work(herd.short, 1) and herd.work(herd.long, 1)
        except AssertionError:
            pass
        if finished:
            # Not reached any more: the sweep is through.
            herd.supervisor.stop()
            break
        herd.supervisor.process.wait(30)
        done += 1
        herd.supervisor.start()
        herd.settle()
        herd.supervisor.stop()
        n += STRIDE
    herd.end()
    print("SIGKILL at %d of %d system calls: nothing left" % (done, n))


if __name__ == "__main__":
    cow.main([test_random_instants, test_every_system_call])
