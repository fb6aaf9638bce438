#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Every verb of the client, on real containers of a real supervisor."""
import contextlib
import json
import os
import pathlib
import signal
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import cow  # noqa: E402
from terminal import Terminal  # noqa: E402


class World:
    """One supervisor and one root filesystem for all tests; each test leaves no container behind."""

    def __init__(self):
        self.picture = cow.Picture()
        self.supervisor = cow.Supervisor().start()
        self.dir = self.supervisor.dir
        self.rootfs = str(cow.make_rootfs(self.dir / "rootfs"))

    def words(self, *args):
        return [cow.COWHERD, "--host", "unix://" + self.supervisor.socket, *args]

    def cli(self, *args, **more):
        if "input" not in more:
            more.setdefault("stdin", subprocess.DEVNULL)
        return subprocess.run(self.words(*args), stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=90, **more)

    def ok(self, *args, **more):
        r = self.cli(*args, **more)
        assert r.returncode == 0, r
        return r.stdout.decode()

    def run(self, *args, **more):
        """run [OPTIONS] -- COMMAND"""
        at = args.index("--")
        return self.cli("run", *args[:at], "--rootfs", self.rootfs, *args[at + 1:], **more)

    def daemon(self, name, script="sleep 1000", *options):
        r = self.run("-d", "--name", name, *options, "--", "sh", "-c", script)
        assert r.returncode == 0, r
        return r.stdout.decode().strip()

    def inspect(self, name):
        return json.loads(self.ok("inspect", name))[0]

    def finish(self):
        assert self.supervisor.stop() == 0, (self.dir / "daemon.log").read_text()[-4000:]
        self.picture.check(self.dir)
        self.supervisor.remove()


world = None


@contextlib.contextmanager
def clean():
    """No container before, none after, whatever happened."""
    try:
        yield world
        left = world.ok("ps", "-aq").split()
        assert not left, left
    finally:
        names = world.ok("ps", "-a", "--format", "{{.Names}}").split()
        if names:
            world.cli("rm", "-f", *names)


def test_run_and_exit_codes():
    with clean() as w:
        for script, code in ("exit 0", 0), ("exit 42", 42), ("kill -9 $$", 137), ("kill -TERM $$", 143):
            r = w.run("--rm", "--", "sh", "-c", script)
            assert r.returncode == code, (script, r)
        r = w.run("--rm", "--", "/no/such/thing")
        assert r.returncode == 127 and r.stderr.startswith(b"cowherd: "), r
        assert w.run("--rm", "--", "nothing-like-that").returncode == 127
        assert w.run("--rm", "--", "/etc/passwd").returncode == 126
        assert w.run("--rm", "--", "/etc").returncode == 126
        assert w.cli("run", "--rm", "--rootfs", "/no/such/dir", "true").returncode == 125
        assert w.cli("run", "--rm", "--bundle", "/no/such/dir").returncode == 125
        assert w.cli("run", "--rm", "debian:latest").returncode == 125
        assert w.run("--rm", "-v", "/no/such/source:/x", "--", "true").returncode == 125


def test_streams():
    with clean() as w:
        r = w.run("--rm", "-i", "--", "sh", "-c", "cat; echo err >&2", input=b"through")
        assert (r.stdout, r.stderr, r.returncode) == (b"through", b"err\n", 0), r
        data = os.urandom(4 << 20)
        r = w.run("--rm", "-i", "--", "cat", input=data)
        assert r.stdout == data and r.returncode == 0
        # A reader that takes its time gets every byte.
        p = subprocess.Popen(w.words("run", "--rm", "--rootfs", w.rootfs, "head", "-c", "20000000", "/dev/zero"),
                             stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        n = 0
        while True:
            piece = os.read(p.stdout.fileno(), 70001)
            if not piece:
                break
            n += len(piece)
        p.stdout.close()
        assert p.wait(60) == 0 and n == 20000000


def test_what_the_process_gets():
    with clean() as w:
        source = w.dir / "shared"
        source.mkdir()
        (source / "f").write_text("shared\n")
        r = w.run("--rm", "-e", "A=b c", "-w", "/tmp", "-u", "1000:1000", "-h", "box", "-v", str(source) + ":/mnt/s:ro",
                  "--", "sh", "-c", "echo $A; pwd; id -u; id -g; hostname; cat /mnt/s/f; echo x >/mnt/s/f || echo refused")
        assert r.stdout == b"b c\n/tmp\n1000\n1000\nbox\nshared\nrefused\n", r
        r = w.run("--rm", "--read-only", "--", "sh", "-c", "touch /x || echo refused")
        assert r.stdout == b"refused\n", r
        r = w.run("--rm", "--entrypoint", "echo", "--", "one", "two")
        assert r.stdout == b"one two\n", r
        r = w.run("--rm", "-u", "user", "--", "id", "-un")
        assert r.stdout == b"user\n", r
        r = w.run("--rm", "--cap-drop", "ALL", "--", "chown", "1", "/tmp")
        assert r.returncode != 0
        r = w.run("--rm", "-m", "32m", "--pids-limit", "50", "--cpus", "0.5", "--", "true")
        assert r.returncode == 0, r
        r = w.run("--rm", "--init=false", "--", "sh", "-c", "echo $$")
        assert r.stdout == b"1\n", r
        r = w.run("--rm", "--", "sh", "-c", "echo $$")
        assert r.stdout != b"1\n", r


def test_life():
    with clean() as w:
        cid = w.daemon("web", "trap 'exit 3' TERM; while :; do sleep 0.05; done", "-l", "a=b")
        row = json.loads(w.ok("ps", "--format", "json"))
        assert row["Names"] == "web" and row["ID"] == cid[:12] and row["Status"].startswith("Up "), row
        assert row["State"] == "running" and row["Labels"] == "a=b", row
        table = w.ok("ps").splitlines()
        assert table[0].split()[:2] == ["CONTAINER", "ID"] and "web" in table[1]
        assert w.ok("ps", "-q", "--no-trunc").strip() == cid
        assert w.ok("ps", "-q", "--filter", "label=a=c") == ""
        assert w.inspect("web")["state"] == "running" and w.inspect(cid[:8])["id"] == cid
        pid = int(w.ok("inspect", "-f", "{{.State.Pid}}", "web"))
        assert os.path.exists("/proc/%d" % pid)
        assert w.run("-d", "--name", "web", "--", "true").returncode == 125
        assert w.ok("stop", "web") == "web\n"
        assert w.ok("wait", "web") == "3\n"
        assert w.ok("ps", "-q") == ""
        assert w.ok("ps", "-a", "--format", "{{.Status}}").startswith("Exited (3)")
        assert w.ok("start", "web") == "web\n"
        assert w.ok("restart", "-t", "5", "web") == "web\n"
        assert w.ok("kill", "-s", "TERM", "web") == "web\n"
        assert w.ok("wait", "web") == "3\n"
        assert w.ok("start", "web") == "web\n"
        assert w.ok("kill", "web") == "web\n" and w.ok("wait", "web") == "137\n"
        assert w.cli("kill", "web").returncode == 1
        assert w.ok("start", "web") == "web\n"
        r = w.cli("rm", "web")
        assert r.returncode == 1 and b"web" in r.stderr
        assert w.ok("rm", "-f", "web", "nobody") == "web\n"
        assert w.cli("rm", "nobody").returncode == 1
        assert w.cli("inspect", "nobody").returncode == 1


def test_create_start_attach():
    with clean() as w:
        cid = w.ok("create", "--name", "c", "-i", "--rootfs", w.rootfs, "sh", "-c", "read x; echo [$x]; exit 9").strip()
        assert w.inspect("c")["state"] == "created"
        assert w.ok("ps", "-a", "--format", "{{.Status}}") == "Created\n"
        r = w.cli("start", "-a", "-i", "c", input=b"hello\n")
        assert (r.returncode, r.stdout) == (9, b"[hello]\n"), r
        r = w.cli("start", "-ai", cid, input=b"again\n")
        assert (r.returncode, r.stdout) == (9, b"[again]\n"), r
        r = w.cli("attach", "c")
        assert r.returncode == 1 and b"not running" in r.stderr, r
        w.ok("rm", "c")
        w.daemon("t", "while [ ! -e /tmp/go ]; do echo wait; sleep 0.02; done; for i in 1 2 3; do echo tick $i; done; exit 4")
        p = subprocess.Popen(w.words("attach", "--no-stdin", "t"), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        assert p.stdout.readline() == b"wait\n"  # it is attached
        w.cli("exec", "t", "touch", "/tmp/go")  # it may be killed with the container, which this ends
        out = p.communicate(timeout=90)[0].replace(b"wait\n", b"")
        assert (p.returncode, out) == (4, b"tick 1\ntick 2\ntick 3\n"), (p.returncode, out)
        w.ok("rm", "t")


def test_exec():
    with clean() as w:
        w.daemon("c")
        r = w.cli("exec", "-i", "c", "sh", "-c", "cat; echo err >&2; exit 5", input=b"in")
        assert (r.returncode, r.stdout, r.stderr) == (5, b"in", b"err\n"), r
        assert w.cli("exec", "c", "/no/such").returncode == 127
        assert w.cli("exec", "c", "/etc/passwd").returncode == 126
        assert w.cli("exec", "nobody", "true").returncode == 125
        assert w.ok("exec", "-e", "X=1", "-w", "/tmp", "-u", "1000", "c", "sh", "-c", "echo $X; pwd; id -u") == "1\n/tmp\n1000\n"
        w.ok("exec", "-d", "c", "sh", "-c", "echo done >/tmp/done")
        cow.wait_for(lambda: w.cli("exec", "c", "cat", "/tmp/done").stdout == b"done\n", "the detached command")
        data = os.urandom(1 << 20)
        assert w.cli("exec", "-i", "c", "cat", input=data).stdout == data
        p = subprocess.Popen(w.words("exec", "c", "sh", "-c", "trap 'exit 8' INT; echo ready; while :; do sleep 0.01; done"),
                             stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        assert p.stdout.readline() == b"ready\n"
        p.send_signal(signal.SIGINT)
        assert p.wait(30) == 8
        p.stdout.close()
        w.ok("rm", "-f", "c")


def test_terminal():
    with clean() as w:
        t = Terminal(w.words("run", "--rm", "-it", "--rootfs", w.rootfs, "sh", "-c",
                             "stty -echo; echo go; read x; stty size; echo [$x]; exit 3"))
        t.expect(b"go")
        t.resize(33, 44)
        cow.wait_for(t.raw, "a raw terminal")
        t.type(b"abc\r")
        t.expect(b"33 44")
        t.expect(b"[abc]")
        assert t.end() == 3
        w.daemon("c")
        t = Terminal(w.words("exec", "-it", "c", "sh", "-c", "stty -echo; echo go; read x; stty size; echo [$x]; exit 4"))
        t.expect(b"go")
        t.resize(20, 30)
        t.type(b"abc\r")
        t.expect(b"[abc]")
        assert b"20 30" in t.seen, t.seen
        assert t.end() == 4
        w.ok("rm", "-f", "c")


def test_interrupt_key():
    with clean() as w:
        t = Terminal(w.words("run", "--rm", "-it", "--rootfs", w.rootfs, "sh", "-c", "trap 'exit 6' INT; echo go; "
                             "while :; do sleep 0.01; done"))
        t.expect(b"go")
        t.type(b"\x03")
        assert t.end() == 6
        t = Terminal(w.words("run", "--rm", "--rootfs", w.rootfs, "sh", "-c", "trap 'exit 7' INT; echo go; "
                             "while :; do sleep 0.01; done"))
        t.expect(b"go")
        t.type(b"\x03")
        assert t.end() == 7


def test_detach_and_attach():
    with clean() as w:
        t = Terminal(w.words("run", "-it", "--name", "d", "--rootfs", w.rootfs, "sh", "-c",
                             "stty -echo; echo go; read x; echo [$x]; exit 2"))
        t.expect(b"go")
        t.type(b"\x10\x11")
        t.expect(b"detached")
        assert t.end() == 0 and w.inspect("d")["state"] == "running"
        t = Terminal(w.words("attach", "d"))
        cow.wait_for(t.raw, "a raw terminal")
        t.type(b"back\r")
        t.expect(b"[back]")
        assert t.end() == 2
        w.ok("rm", "d")


def test_logs():
    with clean() as w:
        w.daemon("l", "echo one; echo two >&2; echo three; sleep 0.2; echo four; exit 0")
        assert w.ok("logs", "-f", "l") == "one\nthree\nfour\n"
        r = w.cli("logs", "l")
        assert (r.stdout, r.stderr) == (b"one\nthree\nfour\n", b"two\n"), r
        assert w.ok("logs", "-n", "1", "l") == "four\n"
        assert w.ok("logs", "--tail=all", "l") == "one\nthree\nfour\n"
        assert w.ok("logs", "--since", "1h", "l") == "one\nthree\nfour\n"
        assert w.ok("logs", "--until", "1h", "l") == ""
        stamped = w.ok("logs", "-t", "l").splitlines()
        assert len(stamped) == 3 and stamped[0].endswith(" one") and stamped[0][10] == "T", stamped
        assert w.cli("logs", "--since", "yesterday", "l").returncode == 1
        w.ok("rm", "l")


def test_wait_for_conditions():
    with clean() as w:
        w.daemon("h", "sleep 0.3; touch /tmp/healthy-%d; sleep 1000" % os.getpid(), "--health-cmd",
                 "test -e /tmp/healthy-%d" % os.getpid(), "--health-interval", "50ms")
        assert w.ok("wait", "--healthy", "--timeout", "30s", "h") == ""
        assert w.ok("ps", "--format", "{{.Status}}").endswith("(healthy)\n")
        assert w.ok("wait", "--condition", "running", "h") == ""
        r = w.cli("wait", "--timeout", "100ms", "h")
        assert r.returncode == 1 and b"gave up" in r.stderr, r
        # What is wrong with one is told once all have been asked for: the supervisor has the wait before the removal.
        p = subprocess.Popen(w.words("wait", "--condition", "removed", "nobody", "h"), stderr=subprocess.PIPE)
        told = p.stderr.readline()
        assert p.poll() is None
        w.ok("rm", "-f", "h")
        told += p.communicate(timeout=30)[1]
        assert p.returncode == 1 and told == b"cowherd: container nobody: no such container\n", (p.returncode, told)
        assert w.cli("wait", "--condition", "never", "h").returncode == 1


def test_events():
    with clean() as w:
        since = time.time()
        w.daemon("e", "exit 0")
        w.ok("wait", "e")
        lines = [json.loads(line) for line in w.ok("events", "--since", "%.3f" % since, "--until", "%.3f" % time.time(), "--format",
                                                  "json").splitlines()]
        assert any(e.get("name") == "e" for e in lines) and all("event" in e for e in lines), lines
        assert "e" in w.ok("events", "--since", "1m", "--until", "%.3f" % time.time(), "-f", "container=e")
        assert w.ok("events", "--since", "1m", "--until", "%.3f" % time.time(), "-f", "container=nobody") == ""
        # Docker's words, its type, and a container by the beginning of its id.
        now = ("events", "--since", "1m", "--until", "%.3f" % time.time())
        told = w.ok(*now, "-f", "container=e", "-f", "event=start", "-f", "type=container", "--format",
                    "{{.Type}} {{.Action}} {{.Actor.ID}} {{.Actor.Attributes.name}}").split()
        assert told[:2] == ["container", "start"] and told[3] == "e", told
        assert told[2] in w.ok(*now, "-f", "container=" + told[2][:13]) and w.ok(*now, "-f", "type=image") == ""
        p = subprocess.Popen(w.words("events", "-f", "container=f"), stdout=subprocess.PIPE)
        r = w.run("--rm", "--name", "f", "--", "true")
        assert r.returncode == 0 and b"f" in p.stdout.readline()
        p.terminate()
        p.wait()
        p.stdout.close()
        w.ok("rm", "e")


def test_pause_stats_top():
    with clean() as w:
        w.daemon("p")
        assert w.ok("pause", "p") == "p\n"
        assert "(Paused)" in w.ok("ps", "--format", "{{.Status}}")
        assert w.ok("unpause", "p") == "p\n" and w.ok("pause", "p") and w.ok("resume", "p") == "p\n"
        head, row = w.ok("stats", "--no-stream").splitlines()
        assert "MEM USAGE / LIMIT" in head and " / " in row and "%" in row, (head, row)
        stats = json.loads(w.ok("stats", "--no-stream", "--format", "json", "p"))
        assert stats["Name"] == "p" and int(stats["PIDs"]) >= 1, stats
        assert w.cli("stats", "--no-stream", "nobody").returncode == 1
        p = subprocess.Popen(w.words("stats", "--format", "{{.Name}}"), stdout=subprocess.PIPE)
        assert p.stdout.readline() == b"p\n" and p.stdout.readline() == b"p\n"
        p.terminate()
        p.wait()
        p.stdout.close()
        top = w.ok("top", "p").splitlines()
        assert "PID" in top[0] and any("sleep" in line for line in top[1:]), top
        assert json.loads(w.ok("top", "-f", "json", "p").splitlines()[0])
        w.ok("rm", "-f", "p")


def test_plugins_and_version():
    with clean() as w:
        assert any(line.startswith("lcow") for line in w.ok("plugins").splitlines())
        assert json.loads(w.ok("plugins", "--format", "json").splitlines()[0])["name"]
        lcow = str(cow.BUILD / "lib" / "cowherd" / "lcow.so")
        assert "PASS" in w.ok("plugin", "check", lcow)
        assert w.cli("plugin", "check", "/etc/passwd").returncode == 1
        assert w.cli("plugin", "unload", "nothing").returncode == 1
        w.daemon("p")
        r = w.cli("plugin", "unload", "lcow")
        assert r.returncode == 1 and b"p" in r.stderr, r
        w.ok("rm", "-f", "p")
        text = w.ok("version")
        assert "Client:" in text and "Supervisor:" in text
        assert json.loads(w.ok("version", "--format", "json"))["server"]["pid"] == w.supervisor.process.pid
        assert w.ok("version", "--format", "{{.Server.Pid}}").strip() == str(w.supervisor.process.pid)
        w.ok("reload")
        assert "lcow" not in w.ok("help") and "run" in w.ok("help")


def test_bundle_and_explain():
    with clean() as w:
        bundle = w.dir / "bundle"
        bundle.mkdir()
        (bundle / "config.json").write_text(json.dumps({
            "ociVersion": "1.0.2", "root": {"path": w.rootfs}, "process": {
                "args": ["sh", "-c", "echo from the bundle"], "cwd": "/", "env": ["PATH=/bin"],
                "user": {"uid": 0, "gid": 0}},
            "mounts": [{"destination": "/proc", "type": "proc", "source": "proc"}],
            "linux": {"namespaces": [{"type": "pid"}, {"type": "mount"}]}}))
        r = w.cli("run", "--rm", "--bundle", "bundle", cwd=w.dir)
        assert (r.returncode, r.stdout) == (0, b"from the bundle\n"), r
        r = w.cli("run", "--rm", "--bundle", str(bundle), "echo", "instead")
        assert (r.returncode, r.stdout) == (0, b"instead\n"), r
        with_server = w.ok("explain", "bundle", cwd=w.dir)
        assert "proc" in with_server and w.rootfs in with_server, with_server
        alone = subprocess.run([cow.COWHERD, "-H", "/nowhere/sock", "explain", "bundle"], stdout=subprocess.PIPE,
                               check=True, cwd=w.dir).stdout.decode()
        assert alone == with_server
        assert w.cli("explain", "/nowhere").returncode == 1


def test_restart_policy_and_signals():
    with clean() as w:
        r = w.run("--rm", "--restart", "on-failure:2", "--", "sh", "-c", "echo try; exit 1")
        assert r.returncode == 1 and r.stdout.count(b"try\n") == 3, r
        for name, code in ("INT", 11), ("TERM", 12), ("USR1", 13):
            p = subprocess.Popen(w.words("run", "--rm", "--rootfs", w.rootfs, "sh", "-c",
                                         "trap 'exit %d' %s; echo ready; while :; do sleep 0.01; done" % (code, name)),
                                 stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
            assert p.stdout.readline() == b"ready\n"
            p.send_signal(getattr(signal, "SIG" + name))
            assert p.wait(30) == code
            p.stdout.close()


def test_kept_on_failure():
    with clean() as w:
        r = w.run("-d", "--name", "k", "--keep-on-failure", "-v", "/no/such/source:/x", "--", "true")
        assert r.returncode == 125, r
        if "k" in w.ok("ps", "-a", "--format", "{{.Names}}").split():
            assert w.cli("release", "k").returncode in (0, 1)
            w.ok("rm", "-f", "k")


def test_shutdown():
    """The last one: nothing is left."""
    world.daemon("s")
    world.ok("shutdown", "-t", "5")
    assert world.supervisor.process.wait(60) == 0
    r = world.cli("ps")
    assert r.returncode == 1 and b"cowherd daemon" in r.stderr, r


if __name__ == "__main__":
    world = World()
    try:
        cow.main([test for name, test in list(globals().items()) if name.startswith("test_")])
    finally:
        world.finish()
