# SPDX-License-Identifier: MIT
"""What the tests of bad input share: a supervisor that is to survive all of it, and a look at what is left."""
import contextlib
import copy
import os
import pathlib
import subprocess

import cow

NAMESPACES = [{"type": t} for t in ("pid", "network", "ipc", "uts", "mount")]


def expect(call, code, *words, **params):
    """The call fails with that code (a number, or several), and its message has those words."""
    try:
        result = call(**params)
    except cow.RpcError as e:
        codes = code if isinstance(code, tuple) else (code,)
        assert not codes or -e.code in codes, "%d, not %s: %s" % (e.code, codes, e)
        assert "\n" not in str(e) and len(str(e)) < 1024, e
        for word in words:
            assert word in str(e), "%r is not in: %s" % (word, e)
        return e
    raise AssertionError("accepted: %.200s -> %.200s" % (params, result))


class Herd:
    """A supervisor in a directory of its own.  Every id begins with `mark`, which tells its cgroups from others'."""

    def __init__(self, config=None, prefix=(), place=lambda herd: ()):
        self.supervisor = cow.Supervisor(config)
        self.dir = self.supervisor.dir
        self.mark = self.dir.name
        self.picture = cow.Picture(self.mark)
        self.rootfs = cow.make_rootfs(self.dir / "rootfs")
        self.hosts_view = pathlib.Path("/")
        self.counter = 0
        self.supervisor.start(prefix=prefix or place(self))
        self.client = self.supervisor.client()
        self.normal()
        self.fds = self.open_fds()

    def open_fds(self):
        return len(os.listdir("/proc/%d/fd" % self.supervisor.process.pid))

    def id(self):
        self.counter += 1
        return "%s-%d" % (self.mark, self.counter)

    def spec(self, *args, **more):
        spec = {"ociVersion": "1.0.2", "root": {"path": str(self.rootfs)},
                "process": {"args": list(args or ("true",)), "cwd": "/", "env": ["PATH=/bin"]},
                "mounts": [{"destination": "/proc", "type": "proc", "source": "proc"}],
                "linux": {"namespaces": copy.copy(NAMESPACES)}}
        for pointer, value in more.items():
            *way, last = pointer.split("__")
            at = spec
            for key in way:
                at = at.setdefault(key, {})
            at[last] = value
        return spec

    def create(self, **params):
        params.setdefault("id", self.id())
        if not {"spec", "bundle", "rootfs"} & params.keys():
            params["spec"] = self.spec()
        return self.client.call("container.create", **params)["id"]

    def run(self, **params):
        """From create to delete; its exit code."""
        params.setdefault("id", self.id())
        try:
            self.create(**params)
            self.client.call("container.start", container=params["id"])
            return self.client.call("container.wait", container=params["id"])["exit_code"]
        finally:
            with contextlib.suppress(cow.RpcError):
                self.client.call("container.delete", container=params["id"], force=True)

    def refuses(self, code, *words, **params):
        return expect(self.run, code, *words, **params)

    def normal(self):
        assert self.run() == 0

    def left(self):
        process = "process %d:" % self.supervisor.process.pid
        found = [d for d in self.picture.differences(self.dir) if not d.startswith(process)]
        for root in self.supervisor.root, self.supervisor.state:
            containers = self.hosts_view / root.relative_to("/") / "containers"
            found += [str(p) for p in containers.glob("*") if not p.name.startswith(".spare")]
        found += [c["id"] for c in self.client.call("container.list", all=True)]
        if self.open_fds() > self.fds:
            found.append("%d descriptors, not %d" % (self.open_fds(), self.fds))
        return found

    def check(self):
        """Nothing is left but the supervisor, and it does its work."""
        self.normal()
        try:
            cow.wait_for(lambda: not self.left(), "a clean machine", 10)
        except AssertionError:
            raise AssertionError("left behind: %s" % self.left()) from None

    def end(self):
        self.check()
        self.client.close()
        assert self.supervisor.stop() == 0, self.log()
        self.picture.check(self.dir)

    def log(self):
        return (self.dir / "daemon.log").read_text()[-4000:]

    def clean_up(self):
        """Whatever happened."""
        process = self.supervisor.process
        if process.poll() is None:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(15)
            process.kill()
            process.wait()
        subprocess.run(["rm", "-rf", "--one-file-system", str(self.dir)], check=True)


@contextlib.contextmanager
def herd(**more):
    h = Herd(**more)
    try:
        yield h
        h.end()
    except BaseException:
        print(h.log())
        raise
    finally:
        h.clean_up()
