# SPDX-License-Identifier: MIT
"""Real containers through the control socket: the whole life, exec, output to the byte, signals, freezing, memory,
adoption and release after the supervisor was killed.  Each test leaves nothing."""
import array
import contextlib
import fcntl
import hashlib
import json
import os
import pathlib
import select
import socket
import struct
import subprocess
import tempfile
import termios
import threading
import time

import cow

SUPERVISOR = cow.Supervisor
PLAIN = {"pid", "network", "ipc", "uts", "mount"}


@contextlib.contextmanager
def supervisor(**more):
    """One supervisor, a root filesystem beside it, and a look at what is left when both have gone."""
    parent = "cowherd-" + os.urandom(4).hex()  # others use the machine, and the usual name, too
    before = cow.Picture(parent)
    s = SUPERVISOR(config={"plugins": {"lcow": {"cgroup_parent": parent}}})
    try:
        s.rootfs = cow.make_rootfs(s.dir / "rootfs")
        s.start(**more)
        s.connection = s.client()
        yield s
        s.connection.close()
        s.call("shutdown", kill=True)
        s.process.wait(30)
        assert s.process.returncode == 0, (s.dir / "daemon.log").read_text()[-4000:]
        before.check(s.dir)
    except BaseException:
        print((s.dir / "daemon.log").read_text()[-6000:])
        raise
    finally:
        if s.process and s.process.poll() is None:
            s.process.kill()
            s.process.wait()
        subprocess.run(["rm", "-rf", "--one-file-system", str(s.dir)], check=True)


def create(s, *args, **more):
    more.setdefault("rootfs", str(s.rootfs))
    if "spec" in more or "bundle" in more:
        del more["rootfs"]
    return s.connection.call("container.create", **({"args": list(args)} if args else {}), **more)["id"]


def start(s, *args, **more):
    container = create(s, *args, **more)
    s.connection.call("container.start", container=container)
    return container


def wait(s, container, client=None):
    return (client or s.connection).call("container.wait", container=container)


def delete(s, container, **more):
    s.connection.call("container.delete", container=container, **more)


def read_all(fd, pause=0.0, chunk=65536):
    """Until EOF; the digest and the length, so that 100 MB need no memory."""
    digest, length = hashlib.sha256(), 0
    while True:
        data = os.read(fd, chunk)
        if not data:
            os.close(fd)
            return digest.hexdigest(), length
        digest.update(data)
        length += len(data)
        if pause:
            time.sleep(pause)


class Reading:
    """Several pipes at once: a follower waits for the slowest of them."""

    def __init__(self, fds, pause=0.0):
        self.results = [None] * len(fds)
        self.threads = [threading.Thread(target=self.read, args=(i, fd, pause)) for i, fd in enumerate(fds)]
        for thread in self.threads:
            thread.start()

    def read(self, i, fd, pause):
        self.results[i] = read_all(fd, pause)

    def end(self):
        for thread in self.threads:
            thread.join()
        return self.results


def text_of(s, container, **more):
    """Of a container that writes little: less than a pipe holds."""
    s.connection.call("container.logs", container=container, **more)
    texts = []
    for fd in s.connection.take_fds():
        with os.fdopen(fd, "rb") as f:
            texts.append(f.read().decode())
    return texts


def bundle_spec(s, *args, namespaces=PLAIN, **process):
    with tempfile.TemporaryDirectory(prefix="cowherd-spec-") as d:
        subprocess.run(["runc", "spec"], cwd=d, check=True)
        spec = json.loads(pathlib.Path(d, "config.json").read_text())
    spec["process"].update({"terminal": False, "args": list(args), **process})
    spec["root"] = {"path": str(s.rootfs), "readonly": False}
    spec["linux"]["namespaces"] = [{"type": n} for n in sorted(namespaces)]
    return spec


def descriptors(s):
    """What the supervisor has open, but for what it opens once (the stub's memory file, cgroup directories)."""
    found = []
    for fd in os.listdir("/proc/%d/fd" % s.process.pid):
        with contextlib.suppress(OSError):
            found.append(os.readlink("/proc/%d/fd/%s" % (s.process.pid, fd)))
    return sorted(found)


def warm_up(s):
    container = start(s, "/bin/true")
    wait(s, container)
    delete(s, container)
    return descriptors(s)


def nothing_new(s, before):
    def same():
        now = descriptors(s)
        return len(now) <= len(before) and not children(s)
    try:
        cow.wait_for(same, "descriptors and children to go", 20)
    except AssertionError:
        raise AssertionError("left: %s; children %s; before: %s" % (descriptors(s), children(s), before))


def children(s):
    return pathlib.Path("/proc/%d/task/%d/children" % (s.process.pid, s.process.pid)).read_text().split()


# Life.

def test_life():
    with supervisor() as s:
        container = create(s, "/bin/sh", "-c", "echo out; echo err >&2; exit 7", name="web")
        state = s.connection.call("container.inspect", container="web")
        assert state["id"] == container and state["state"] == "created" and state["pid"] > 0, state
        assert os.path.exists("/proc/%d" % state["pid"])
        s.connection.call("container.start", container="web")
        end = wait(s, "web")
        assert end["exit_code"] == 7 and not end.get("signal") and end["state"] == "stopped", end
        assert text_of(s, "web") == ["out\n", "err\n"]
        delete(s, "web")
        assert s.connection.call("container.list", all=True) == []


def test_exit_codes():
    with supervisor() as s:
        for code in 0, 1, 2, 127, 255:
            for init in True, False:
                container = start(s, "/bin/sh", "-c", "exit %d" % code, init=init)
                assert wait(s, container)["exit_code"] == code
                delete(s, container)
        # A signal of its own: exact through the stub; PID 1 itself does not get those it has no handler for.
        for signo in 9, 11, 15:
            container = start(s, "/bin/sh", "-c", "kill -%d $$" % signo)
            end = wait(s, container)
            assert (end["exit_code"], end["signal"]) == (128 + signo, signo), end
            delete(s, container)


def test_start_failures():
    with supervisor() as s:
        fds = warm_up(s)
        for args, code in (["/no/such"], -2), (["/etc"], -13), (["/etc/passwd"], -13):
            container = create(s, *args)
            try:
                s.connection.call("container.start", container=container)
                raise AssertionError("%s started" % args)
            except cow.RpcError as e:
                assert e.code == code, (args, e.error)
                assert args[0] in e.error["message"], e.error
            delete(s, container, force=True)
        for params in {"rootfs": "/no/such"}, {"bundle": "/no/such"}, {"spec": {}}, {"spec": {"ociVersion": "1.0.2"}}:
            try:
                create(s, **params)
                raise AssertionError("%s was created" % params)
            except cow.RpcError as e:
                assert e.error["message"], e.error
        assert s.connection.call("container.list", all=True) == []
        nothing_new(s, fds)


def test_many_leave_nothing_open():
    with supervisor() as s:
        before = warm_up(s)
        for _ in range(20):
            numbers = [s.connection.send("container.create", rootfs=str(s.rootfs), args=["/bin/true"]) for _ in range(8)]
            ids = [s.connection.answer(n)["id"] for n in numbers]
            for method in "container.start", "container.wait", "container.delete":
                for n in [s.connection.send(method, container=i) for i in ids]:
                    s.connection.answer(n)
        nothing_new(s, before)


def test_hooks():
    with supervisor() as s:
        script = s.dir / "hook"
        script.write_text("#!/bin/sh\nread -r state\nprintf '%s %s\\n' \"$1\" \"$state\" >>" + str(s.dir / "hooks") + "\n")
        script.chmod(0o755)
        spec = bundle_spec(s, "/bin/true")
        spec["hooks"] = {point: [{"path": str(script), "args": ["hook", point]}]
                         for point in ("createRuntime", "poststart", "poststop")}
        container = start(s, spec=spec)
        wait(s, container)
        delete(s, container)
        seen = [line.split(" ", 1) for line in (s.dir / "hooks").read_text().splitlines()]
        assert [point for point, _ in seen] == ["createRuntime", "poststart", "poststop"], seen
        assert all(json.loads(state)["id"] == container for _, state in seen)
        assert [json.loads(state)["status"] for _, state in seen] == ["creating", "running", "stopped"], seen


def test_hanging_hooks_hold_up_nobody():
    """More creates hang in their hooks than are launched at a time: another one gets past them."""
    with supervisor() as s:
        fifo = s.dir / "fifo"
        os.mkfifo(fifo)
        spec = bundle_spec(s, "/bin/true")
        spec["hooks"] = {"createRuntime": [{"path": "/bin/cat", "args": ["cat", str(fifo)]}]}
        hanging = [s.connection.send("container.create", spec=spec) for _ in range(5)]
        container = start(s, "/bin/true")
        assert wait(s, container)["exit_code"] == 0
        delete(s, container)
        ended = []
        reader = threading.Thread(target=lambda: ended.extend(s.connection.answer(n)["id"] for n in hanging))
        reader.start()
        while reader.is_alive():  # each of them ends when a writer was there
            with contextlib.suppress(OSError):
                os.close(os.open(fifo, os.O_WRONLY | os.O_NONBLOCK))
            reader.join(0.01)
        assert len(ended) == len(hanging)
        for each in ended:
            delete(s, each, force=True)


def test_leftovers_end_with_init():
    """Without a PID namespace what the first process leaves behind is ended by the cgroup."""
    with supervisor() as s:
        spec = bundle_spec(s, "/bin/sh", "-c", "for i in 1 2 3; do setsid sleep 1000 <&- >&- 2>&- & done; exit 4",
                           namespaces=PLAIN - {"pid"})
        container = start(s, spec=spec, init=False)
        assert wait(s, container)["exit_code"] == 4
        delete(s, container)


# Exec.

def test_exec():
    with supervisor() as s:
        container = start(s, "/bin/sleep", "1000")
        c = s.connection
        for args, code, signo in (["true"], 0, None), (["sh", "-c", "exit 9"], 9, None), (["sh", "-c", "kill -9 $$"], 137, 9):
            made = c.call("container.exec", container=container, args=args)
            end = c.call("exec.wait", container=container, exec=made["exec"])
            assert end["exit_code"] == code and end.get("signal") == signo, end
        for args, code in (["/no/such"], -2), (["/etc"], -13):
            try:
                c.call("container.exec", container=container, args=args)
                raise AssertionError("%s ran" % args)
            except cow.RpcError as e:
                assert e.code == code, e.error
        # The client's own descriptors, in the order it names them.
        in_read, in_write = os.pipe()
        out_read, out_write = os.pipe()
        made = c.answer(send_fds(c, [out_write, in_read], "container.exec", container=container,
                                 args=["sh", "-c", "cat; id -u"], fds=["stdout", "stdin"]))
        os.close(in_read)
        os.close(out_write)
        os.write(in_write, b"to and fro\n")
        os.close(in_write)
        with os.fdopen(out_read, "rb") as f:
            assert f.read() == b"to and fro\n0\n"
        assert c.call("exec.wait", container=container, exec=made["exec"])["exit_code"] == 0
        made = c.call("container.exec", container=container, args=["sleep", "1000"])
        c.call("exec.kill", container=container, exec=made["exec"], signal="TERM")
        assert c.call("exec.wait", container=container, exec=made["exec"])["signal"] == 15
        # One that still runs when the container ends is told too.
        made = c.call("container.exec", container=container, args=["sleep", "1000"])
        number = c.send("exec.wait", container=container, exec=made["exec"])
        c.call("container.kill", container=container)
        assert c.answer(number)["exit_code"] == 137
        assert wait(s, container)["signal"] == 9
        delete(s, container)


def send_fds(client, descriptors_, method, **params):
    """Client.send() has `fds` for its own use."""
    number = client.next_id
    client.next_id += 1
    line = json.dumps({"jsonrpc": "2.0", "id": number, "method": method, "params": params}).encode() + b"\n"
    client.socket.sendmsg([line], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors_))])
    return number


def test_exec_terminal():
    with supervisor() as s:
        container = start(s, "/bin/sleep", "1000")
        made = s.connection.call("container.exec", container=container, args=["sh", "-c", "tty; stty size; read x; stty size; exit 5"],
                                 terminal=True, height=33, width=101)
        assert made["fds"] == ["terminal"]
        master, = s.connection.take_fds()
        seen = read_until(master, b"33 101")
        assert b"/dev/pts/" in seen, seen
        fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", 44, 90, 0, 0))
        os.write(master, b"\n")
        read_until(master, b"44 90")
        assert s.connection.call("exec.wait", container=container, exec=made["exec"])["exit_code"] == 5
        os.close(master)
        delete(s, container, force=True)


def read_until(fd, what, seconds=10):
    data, deadline = b"", time.monotonic() + seconds
    while what not in data:
        assert time.monotonic() < deadline, data
        if select.select([fd], [], [], 1)[0]:
            data += os.read(fd, 4096)
    return data


def test_terminal():
    with supervisor() as s:
        container = create(s, "/bin/sh", "-c", "stty size; read x; stty size; exit 6", terminal=True, open_stdin=True,
                           height=24, width=80)
        answer = s.connection.call("container.attach", container=container, stdin=True, logs=True)
        assert answer["terminal"] and answer["fds"] == ["stdin", "stdout", "stderr"], answer
        fds = s.connection.take_fds()
        s.connection.call("container.start", container=container)
        read_until(fds[1], b"24 80")
        s.connection.call("container.resize", container=container, height=50, width=132)
        os.write(fds[0], b"\n")
        read_until(fds[1], b"50 132")
        assert wait(s, container)["exit_code"] == 6
        for fd in fds:
            os.close(fd)
        delete(s, container)


# Output.

def test_output_exact():
    """1 B to 100 MB, both streams, readers quick and slow; exit is reported when all of it is there."""
    with supervisor() as s:
        blob = os.urandom(1 << 20)
        (s.rootfs / "blob").write_bytes(blob)
        for size, pause in (1, 0), (4095, 0), (65537, 0), (1 << 20, 0), (100 << 20, 0), (8 << 20, 0.0005):
            want = hashlib.sha256()
            for at in range(0, size, len(blob)):
                want.update(blob[:min(len(blob), size - at)])
            script = "n=%d; while [ $n -gt 0 ]; do head -c $n /blob; n=$((n-%d)); done" % (size, len(blob))
            container = create(s, "/bin/sh", "-c", script + " & " + script.replace("/blob", "/blob >&2") + "; wait",
                               log={"max_bytes": 1 << 30, "files": 2})
            client = s.client()
            client.call("container.attach", container=container, logs=True)
            out, err = client.take_fds()
            reading = Reading([out, err], pause)
            s.connection.call("container.start", container=container)
            assert wait(s, container)["exit_code"] == 0
            assert reading.end() == [(want.hexdigest(), size)] * 2, size
            client.close()
            # And once more, afterwards, from the log.
            s.connection.call("container.logs", container=container)
            assert Reading(s.connection.take_fds()).end() == [(want.hexdigest(), size)] * 2, size
            delete(s, container)


def test_reader_that_does_not_read():
    """It stalls neither the container nor anybody else."""
    with supervisor() as s:
        container = create(s, "/bin/sh", "-c", "head -c 4000000 /dev/zero")
        lazy = s.client()
        lazy.call("container.attach", container=container, logs=True)
        s.connection.call("container.start", container=container)
        assert wait(s, container)["exit_code"] == 0
        lazy.close()
        delete(s, container)


def test_stdin():
    with supervisor() as s:
        container = create(s, "/bin/sh", "-c", "cat; echo end", open_stdin=True)
        s.connection.call("container.attach", container=container, stdin=True)
        stdin, out, err = s.connection.take_fds()
        s.connection.call("container.start", container=container)
        os.write(stdin, b"one\n")
        read_until(out, b"one\n")
        os.close(stdin)
        read_until(out, b"end\n")
        assert wait(s, container)["exit_code"] == 0
        os.close(out)
        os.close(err)
        delete(s, container)


# Control.

def test_stop_and_kill():
    with supervisor() as s:
        c = s.connection
        polite = start(s, "/bin/sh", "-c", "trap 'exit 3' TERM; echo polite; while :; do sleep 0.02; done")
        cow.wait_for(lambda: text_of(s, polite)[0] == "polite\n", "the trap")
        assert c.call("container.stop", container=polite, timeout_s=10)["exit_code"] == 3
        deaf = start(s, "/bin/sh", "-c", "trap '' TERM; echo deaf; while :; do sleep 1000; done")
        cow.wait_for(lambda: text_of(s, deaf)[0] == "deaf\n", "the trap")
        assert c.call("container.stop", container=deaf, timeout_s=0.2)["exit_code"] == 137
        hit = start(s, "/bin/sleep", "1000")
        c.call("container.kill", container=hit, signal="USR1")
        end = wait(s, hit)
        assert (end["exit_code"], end["signal"]) == (138, 10), end
        group = start(s, "/bin/sh", "-c", "sleep 1000 & sleep 1000 & wait")
        c.call("container.kill", container=group, signal="KILL", all=True)
        assert wait(s, group)["exit_code"] == 137
        for container in polite, deaf, hit, group:
            delete(s, container)


def test_pause():
    with supervisor() as s:
        c = s.connection
        container = start(s, "/bin/sh", "-c", "i=0; while :; do i=$((i+1)); echo $i; sleep 0.01; done")
        cow.wait_for(lambda: text_of(s, container)[0], "the first line")
        c.call("container.pause", container=container)
        assert c.call("container.inspect", container=container)["state"] == "paused"
        lines = text_of(s, container)[0]
        time.sleep(0.2)
        assert text_of(s, container)[0] == lines
        c.call("container.resume", container=container)
        cow.wait_for(lambda: text_of(s, container)[0] != lines, "another line")
        c.call("container.pause", container=container)
        # A paused container can be killed.
        c.call("container.kill", container=container)
        assert wait(s, container)["exit_code"] == 137
        delete(s, container)


def test_oom_and_stats():
    with supervisor() as s:
        c = s.connection
        container = start(s, "/bin/sh", "-c", "x=0123456789abcdef; while :; do x=$x$x; done", memory="16m")
        end = wait(s, container)
        assert end["oom"] and end["exit_code"] == 137, end
        delete(s, container)
        container = start(s, "/bin/sh", "-c", "while :; do :; done", memory="32m", pids=20)

        def stats():
            return c.call("container.stats", container=container)[0]
        cow.wait_for(lambda: stats()["cpu_ns"] > 10_000_000, "some processor time")
        one = stats()
        assert one["id"] == container and one["memory_limit_bytes"] == 32 << 20 and one["pids_limit"] == 20, one
        assert 0 < one["memory_bytes"] < 32 << 20 and one["pids"] >= 1, one
        assert c.call("container.stats")[0]["id"] == container
        top = c.call("container.top", container=container)
        assert any("while" in " ".join(map(str, row)) for row in top["processes"]), top
        delete(s, container, force=True)


def test_restart():
    with supervisor() as s:
        container = start(s, "/bin/sh", "-c", "echo run; sleep 1000")
        for runs in 1, 2, 3:
            cow.wait_for(lambda: text_of(s, container)[0] == "run\n" * runs, "run %d" % runs)
            before = s.connection.call("container.inspect", container=container)["pid"]
            assert s.connection.call("container.restart", container=container, timeout_s=0)["pid"] != before
        delete(s, container, force=True)


# After the supervisor was killed.

def test_adoption():
    with supervisor() as s:
        before = s.connection.call("version")["pid"]
        ids = [start(s, "/bin/sh", "-c", "while [ ! -e /go ]; do sleep 0.02; done; exit %d" % code, name="c%d" % code)
               for code in (0, 42)]
        killed = start(s, "/bin/sleep", "1000", name="killed")
        pids = {i: s.connection.call("container.inspect", container=i)["pid"] for i in ids + [killed]}
        s.connection.close()
        s.kill()
        s.start()
        s.connection = s.client()
        assert s.connection.call("version")["pid"] != before
        for i in ids + [killed]:
            now = s.connection.call("container.inspect", container=i)
            assert now["state"] == "running" and now["pid"] == pids[i], now
        # What one can do to a container, one can do to an adopted one.
        made = s.connection.call("container.exec", container="c42", args=["sh", "-c", "exit 8"])
        assert s.connection.call("exec.wait", container="c42", exec=made["exec"])["exit_code"] == 8
        s.connection.call("container.pause", container="c42")
        s.connection.call("container.resume", container="c42")
        assert s.connection.call("container.stats", container="c42")[0]["pids"] >= 1
        (s.rootfs / "go").touch()
        for i, code in zip(ids, (0, 42)):
            end = wait(s, i)
            assert end["exit_code"] == code, end
        s.connection.call("container.kill", container="killed")
        end = wait(s, "killed")
        assert (end["exit_code"], end["signal"]) == (137, 9), end
        for i in ids + [killed]:
            delete(s, i)


def test_dead_meanwhile():
    """What ended while no supervisor was there is stopped, its code lost with a reason; what was not started is gone."""
    with supervisor() as s:
        ended = start(s, "/bin/sleep", "1000", name="ended")
        made = create(s, "/bin/sleep", "1000", name="made")
        pid = s.connection.call("container.inspect", container=ended)["pid"]
        gate = s.connection.call("container.inspect", container=made)["pid"]
        s.connection.close()
        s.kill()
        os.kill(pid, 9)
        cow.wait_for(lambda: not os.path.exists("/proc/%d" % pid), "the death of %d" % pid)
        # The one at the gate ends by itself.
        cow.wait_for(lambda: not os.path.exists("/proc/%d" % gate), "the death of %d" % gate)
        s.start()
        s.connection = s.client()
        end = wait(s, ended)
        assert end["exit_code"] is None and end["reason"], end
        for i in ended, made:
            delete(s, i, force=True)


def test_killed_while_busy():
    """SIGKILL in the middle of creates and starts; the next one finds and releases everything."""
    with supervisor() as s:
        for delay in 0, 0.003, 0.01, 0.03:
            busy = s.client()
            for i in range(6):
                busy.send("container.create", rootfs=str(s.rootfs), args=["/bin/sleep", "1000"], name="n%d" % i)
                busy.send("container.start", container="n%d" % i)
            time.sleep(delay)
            s.connection.close()
            s.kill()
            busy.close()
            s.start()
            s.connection = s.client()
            for row in s.connection.call("container.list", all=True):
                with contextlib.suppress(cow.RpcError):  # one that was half made may be on its way out
                    delete(s, row["id"], force=True)
            assert s.connection.call("container.list", all=True) == []


if __name__ == "__main__":
    cow.main([value for name, value in list(globals().items()) if name.startswith("test_")])
