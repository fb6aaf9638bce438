# SPDX-License-Identifier: MIT
"""What the integration tests share: a supervisor in a directory of its own, a client of the control protocol, and a
picture of the machine to compare before with after."""
import array
import contextlib
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import time

BUILD = pathlib.Path(os.environ.get("COW_BUILD", pathlib.Path(__file__).resolve().parents[2] / "build"))
SOURCE = pathlib.Path(os.environ.get("COW_SOURCE", pathlib.Path(__file__).resolve().parents[2]))
COWHERD = str(BUILD / "bin" / "cowherd")
# Where sanitizers look: everything takes several times as long, and memory is not judged.  Sweeps are shorter then.
SANITIZED = "COW_SANITIZE" in os.environ


def wait_for(condition, what, seconds=30):
    """Wait until condition() holds; polls, since what is waited for is another process's doing: ever less often, as
    looking takes the time of those who are waited for."""
    pause = 0.005
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError("gave up waiting for " + what)
        time.sleep(pause)
        pause = min(pause * 1.2, 0.05)


def make_rootfs(path):
    """A root filesystem of busybox; its applets are links of one file, as hundreds of new inodes for each test cost
    more than most tests."""
    path = pathlib.Path(path)
    for d in "bin", "etc", "proc", "sys", "dev", "tmp", "root":
        (path / d).mkdir(parents=True)
    shutil.copy("/bin/busybox", path / "bin")
    for applet in subprocess.run(["/bin/busybox", "--list"], check=True, stdout=subprocess.PIPE,
                                 text=True).stdout.split():
        if applet != "busybox":
            os.link(path / "bin/busybox", path / "bin" / applet)
    (path / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000::/tmp:/bin/sh\n")
    (path / "etc/group").write_text("root:x:0:\nuser:x:1000:\n")
    return path


# A program built to look for leaks cannot do so while it is traced, and would end with an error for that.
STRACE = ["env", "ASAN_OPTIONS=detect_leaks=0", "strace"]


class RpcError(Exception):
    def __init__(self, error):
        super().__init__(error["message"])
        self.code = error["code"]
        self.error = error


class Client:
    """One connection.  call() waits for its answer; notifications and other answers are kept."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.connect(path)
        self.buffer = b""
        self.next_id = 1
        self.kept = {}
        self.events = []
        self.fds = []

    def close(self):
        self.socket.close()
        for fd in self.fds:
            os.close(fd)
        self.fds = []

    def send(self, method, fds=(), **params):
        number = self.next_id
        self.next_id += 1
        line = json.dumps({"jsonrpc": "2.0", "id": number, "method": method, "params": params}).encode() + b"\n"
        if fds:
            sent = self.socket.sendmsg([line], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))])
            line = line[sent:]
        self.socket.sendall(line)
        return number

    def read_message(self):
        while b"\n" not in self.buffer:
            data, ancillary, _, _ = self.socket.recvmsg(65536, socket.CMSG_SPACE(16))
            for level, kind, payload in ancillary:
                if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                    got = array.array("i")
                    got.frombytes(payload[:len(payload) - len(payload) % got.itemsize])
                    self.fds += got
            if not data:
                raise EOFError("the supervisor closed the connection")
            self.buffer += data
        line, self.buffer = self.buffer.split(b"\n", 1)
        return json.loads(line)

    def answer(self, number):
        while number not in self.kept:
            message = self.read_message()
            if "id" in message:
                self.kept[message["id"]] = message
            else:
                self.events.append(message["params"])
        message = self.kept.pop(number)
        if "error" in message:
            raise RpcError(message["error"])
        return message["result"]

    def call(self, method, fds=(), **params):
        return self.answer(self.send(method, fds, **params))

    def take_fds(self):
        fds, self.fds = self.fds, []
        return fds


class Supervisor:
    """`cowherd daemon` with everything in one temporary directory."""

    def __init__(self, config=None, directory=None):
        self.dir = pathlib.Path(directory or tempfile.mkdtemp(prefix="cowherd-test-"))
        self.root = self.dir / "run"
        self.state = self.dir / "state"
        self.socket = str(self.dir / "sock")
        self.config = self.dir / "cowherd.json"
        if config is not None or not self.config.exists():
            config = dict(config or {})
            plugins = config["plugins"] = dict(config.get("plugins", {}))
            # Cgroups of its own, so that others on the machine are not mistaken for ours.
            plugins["lcow"] = {"cgroup_parent": self.dir.name, **plugins.get("lcow", {})}
            self.config.write_text(json.dumps(config))
        self.process = None

    def command(self):
        return [COWHERD, "daemon", "--foreground-log", "--config", str(self.config), "--root", str(self.root), "--state",
                str(self.state), "--host", "unix://" + self.socket]

    def start(self, prefix=(), wait=True, env=None):
        self.log = open(self.dir / "daemon.log", "ab")
        self.process = subprocess.Popen([*prefix, *self.command()], stdin=subprocess.DEVNULL, stdout=self.log,
                                        stderr=self.log, env={**os.environ, **(env or {})})
        self.log.close()
        if wait:
            wait_for(self.answers, "the supervisor in %s" % self.dir)
        return self

    def answers(self):
        if self.process.poll() is not None:
            raise AssertionError("the supervisor ended with %d: %s" % (
                self.process.returncode, (self.dir / "daemon.log").read_text()[-4000:]))
        with contextlib.suppress(OSError, EOFError):
            client = self.client()
            client.call("version")
            client.close()
            return True
        return False

    def client(self):
        return Client(self.socket)

    def call(self, method, **params):
        client = self.client()
        try:
            return client.call(method, **params)
        finally:
            client.close()

    def cli(self, *words, **more):
        more.setdefault("stdin", subprocess.DEVNULL)
        return subprocess.run([COWHERD, "--host", "unix://" + self.socket, *words], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, **more)

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(60)
        return self.process.returncode if self.process else 0

    def remove(self):
        self.stop()
        shutil.rmtree(self.dir)


def cgroups():
    """Every cgroup directory on the machine.  One with two links has none below it, but dozens of files to list."""
    found = set()
    todo = ["/sys/fs/cgroup"]
    while todo:
        top = todo.pop()
        with contextlib.suppress(OSError):
            if os.stat(top).st_nlink > 2:
                with os.scandir(top) as entries:
                    todo += [e.path for e in entries if e.is_dir(follow_symlinks=False)]
        found.add(top)
    return found


def processes():
    """pid and start time of every process that is not a kernel thread."""
    found = {}
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        with contextlib.suppress(OSError):
            stat = pathlib.Path("/proc/%s/stat" % entry).read_text()
            fields = stat.rsplit(")", 1)[1].split()
            if fields[1] != "2" and entry != "2":
                found[(int(entry), fields[19])] = stat.split("(", 1)[1].rsplit(")", 1)[0] + " " + fields[0]
    return found


def namespaces():
    """Every namespace that some process is in."""
    found = set()
    for pid, _ in processes():
        for kind in "mnt", "pid", "net", "ipc", "uts", "user", "cgroup", "time":
            with contextlib.suppress(OSError):
                found.add(os.readlink("/proc/%d/ns/%s" % (pid, kind)))
    return found


def mounts():
    return sorted(line.split(" ", 4)[4].split(" - ")[0].split(" ")[0] for line in open("/proc/self/mountinfo"))


def loops():
    """The loop devices that have a file, with it."""
    found = set()
    for d in os.listdir("/sys/block"):
        with contextlib.suppress(OSError):
            if d.startswith("loop"):
                found.add((d, pathlib.Path("/sys/block/%s/loop/backing_file" % d).read_text().strip()))
    return found


def elsewhere(mount, directory):
    """In the temporary directory of another test that runs meanwhile, or a namespace's name that it gave on the host."""
    others = mount.startswith((tempfile.gettempdir() + "/", "/dev/shm/", "/run/netns/"))
    return others and not (mount + "/").startswith(str(directory) + "/")


class Picture:
    """What a test must leave as it found it.  Others work on the machine too: ours is told by the test's directory,
    by descent, and by the cgroup's name."""

    def __init__(self, marker=None):
        self.marker = marker  # part of our cgroups' names; None: the name of the test's directory
        self.cgroups = cgroups()
        self.mounts = mounts()
        self.loops = loops()
        self.fds = set(os.listdir("/proc/self/fd"))

    def differences(self, directory):
        now = Picture(self.marker)
        marker = self.marker or pathlib.Path(directory).name
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            if int(pid) == os.getpid():
                continue
            with contextlib.suppress(OSError):
                where = os.readlink("/proc/%s/root" % pid)
                with open("/proc/%s/cmdline" % pid, "rb") as f:
                    words = f.read()
                if where.startswith(str(directory)) or os.fsencode(directory) in words:
                    found.append("process %s: %s" % (pid, words.replace(b"\0", b" ").decode("utf-8", "replace")))
        found += ["cgroup " + c for c in sorted(now.cgroups - self.cgroups) if marker in c]
        found += ["mount " + m for m in now.mounts if m not in self.mounts and not elsewhere(m, directory)]
        found += ["loop %s: %s" % m for m in sorted(now.loops - self.loops) if str(directory) in m[1]]
        return found

    def check(self, directory, seconds=10):
        """Nothing is left; what the kernel does in the background gets a moment."""
        deadline = time.monotonic() + seconds
        while True:
            found = self.differences(directory)
            if not found:
                return
            if time.monotonic() > deadline:
                raise AssertionError("left behind: " + "; ".join(found))
            time.sleep(0.01)


def main(tests):
    """Run test functions; the closing line counts them."""
    import sys
    import traceback
    only = sys.argv[1:]
    passed = failed = 0
    for test in tests:
        if only and test.__name__ not in only:
            continue
        begin = time.monotonic()
        try:
            test()
            passed += 1
            print("ok %s (%.1f s)" % (test.__name__, time.monotonic() - begin), flush=True)
        except Exception:
            failed += 1
            traceback.print_exc()
            print("not ok " + test.__name__, flush=True)
    print("%d passed, %d failed" % (passed, failed))
    sys.exit(1 if failed else 0)
