#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The client against a supervisor that misbehaves: what it relays, how it ends, what it leaves."""
import contextlib
import errno
import hashlib
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import termios
import threading

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import cow  # noqa: E402
from fake_server import FakeServer, Refusal  # noqa: E402
from terminal import Terminal  # noqa: E402


@contextlib.contextmanager
def fake():
    directory = tempfile.mkdtemp(prefix="cowherd-test-")
    server = FakeServer(directory + "/sock")
    try:
        yield server
    finally:
        server.close()
        shutil.rmtree(directory)


def words(server, *args):
    return [cow.COWHERD, "--host", "unix://" + server.path, *args]


def cli(server, *args, **more):
    more.setdefault("stdin", subprocess.DEVNULL)
    return subprocess.run(words(server, *args), stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60, **more)


def sh(server, script, *options, **more):
    return cli(server, "run", *options, "--rootfs", "/", "/bin/sh", "-c", script, **more)


def test_exit_codes():
    with fake() as s:
        assert sh(s, "exit 0").returncode == 0
        assert sh(s, "exit 42").returncode == 42
        assert sh(s, "kill -9 $$").returncode == 137
        assert cli(s, "run", "--rootfs", "/", "/no/such/thing").returncode == 127
        assert cli(s, "run", "--rootfs", "/", "/etc/passwd").returncode == 126
        assert cli(s, "run", "--rootfs", "/", "/etc").returncode == 126


def test_failures_of_its_own_are_125():
    with fake() as s:
        def refuse(params, fds, event):
            raise Refusal(errno.ENOENT, "bundle: absent")
        s.handlers["container_create"] = refuse
        r = sh(s, "true")
        assert (r.returncode, r.stderr) == (125, b"cowherd: bundle: absent\n"), r
        del s.handlers["container_create"]

        def mount(params, fds, event):
            raise Refusal(errno.ENOENT, "mount: source is absent", "lcow")
        s.handlers["container_start"] = mount
        assert sh(s, "true").returncode == 125
        assert cli(s, "run", "--rootfs", "/").returncode == 125
        assert cli(s, "run", "--bogus").returncode == 125
        r = subprocess.run([cow.COWHERD, "--host", "unix:///nowhere/sock", "run", "--rootfs", "/", "true"],
                           stderr=subprocess.PIPE)
        assert r.returncode == 125 and b"cowherd daemon" in r.stderr, r


def test_what_was_made_for_nothing_is_removed():
    with fake() as s:
        def attach(params, fds, event):
            raise Refusal(errno.EMFILE, "attach: no descriptors")
        s.handlers["container_attach"] = attach
        assert sh(s, "true").returncode == 125
        assert len(s.asked("container.delete")) == 1
        del s.handlers["container_attach"]
        assert cli(s, "run", "--rm", "--rootfs", "/", "/no/such/thing").returncode == 127
        assert len(s.asked("container.delete")) == 2
        assert cli(s, "run", "--rootfs", "/", "/no/such/thing").returncode == 127
        assert len(s.asked("container.delete")) == 2


def test_parameters():
    with fake() as s:
        with tempfile.TemporaryDirectory() as d:
            pathlib.Path(d, "env").write_text("# comment\nA=1\n\n  B=two words\nCOW_PASSED\nCOW_UNSET\n")
            r = cli(s, "create", "--rootfs", "root", "-e", "C=3", "--env-file", "env", "-e", "COW_PASSED", "-w", "/w",
                    "-u", "1:2", "-h", "box", "-l", "a=b", "-l", "c", "-m", "64m", "--cpus", "1.5", "--pids-limit", "9",
                    "--restart", "on-failure:3", "--health-cmd", "true", "--health-interval", "1500ms", "--init=false",
                    "-v", "./data:/data:ro", "-v", "/x:/y:ro,nosuid", "--cap-add", "NET_ADMIN", "--read-only",
                    "--stop-timeout", "3", "--entrypoint", "/bin/e", "-it", "--cidfile", "cid", "x", "-y",
                    cwd=d, env={**os.environ, "COW_PASSED": "yes"})
            assert r.returncode == 0, r
            assert r.stdout.decode().strip() == pathlib.Path(d, "cid").read_text()
            (p,) = s.asked("container.create")
            assert p == {"rootfs": d + "/root", "env": ["A=1", "B=two words", "COW_PASSED=yes", "C=3", "COW_PASSED=yes"],
                         "cwd": "/w", "user": "1:2", "hostname": "box", "labels": {"a": "b", "c": ""},
                         "memory": 64 << 20, "cpus": 1.5, "pids": 9, "restart": "on-failure:3",
                         "health": {"test": "true", "interval_s": 1.5}, "init": False, "terminal": True,
                         "mounts": [{"source": d + "/data", "target": "/data", "read_only": True},
                                    {"source": "/x", "target": "/y", "read_only": True,
                                     "options": ["rbind", "nosuid"]}],
                         "cap_add": ["NET_ADMIN"], "read_only": True, "stop_timeout_s": 3, "open_stdin": True,
                         "args": ["/bin/e", "x", "-y"]}, p
            r = cli(s, "create", "--rootfs", "/", "--cidfile", "cid", "x", cwd=d)
            assert r.returncode == 125 and b"File exists" in r.stderr
            for wrong in (["--bundle", "/b", "--rootfs", "/"], ["--rootfs", "/", "-v", "x"], [], ["--rootfs", "/", "-e",
                          "=x"], ["--rootfs", "/", "--env-file", "/nowhere"], ["--rootfs", "/", "-l", "=x"],
                          ["--rootfs", "/", "--health-retries", "2"]):
                r = cli(s, "create", *wrong)
                assert r.returncode == 125 and r.stderr.startswith(b"cowherd: "), (wrong, r)
            assert len(s.asked("container.create")) == 1


def test_streams_are_byte_exact():
    """Also with a reader that takes its time, and both streams apart."""
    data = os.urandom(1 << 20)
    with fake() as s, tempfile.NamedTemporaryFile() as f:
        f.write(data)
        f.flush()
        p = subprocess.Popen(words(s, "run", "--rootfs", "/", "sh", "-c", "cat %s; cat %s >&2" % (f.name, f.name)),
                             stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        errors = []
        reader = threading.Thread(target=lambda: errors.append(p.stderr.read()))
        reader.start()
        got = b""
        while True:
            piece = os.read(p.stdout.fileno(), 3001)
            if not piece:
                break
            got += piece
        reader.join()
        assert p.wait() == 0 and got == data and errors[0] == data
        r = sh(s, "cat", "-i", stdin=None, input=data)
        assert r.returncode == 0 and r.stdout == data
        with open(f.name + ".out", "wb") as out:
            r = subprocess.run(words(s, "run", "--rootfs", "/", "cat", f.name), stdin=subprocess.DEVNULL, stdout=out)
        assert r.returncode == 0 and pathlib.Path(out.name).read_bytes() == data
        os.unlink(out.name)


def test_much_output():
    with fake() as s:
        p = subprocess.Popen(words(s, "run", "--rootfs", "/", "head", "-c", str(1 << 28), "/dev/zero"),
                             stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        digest, n = hashlib.sha256(), 0
        while True:
            piece = p.stdout.read(1 << 20)
            if not piece:
                break
            digest.update(piece)
            n += len(piece)
        assert p.wait() == 0 and n == 1 << 28


def test_the_flags_of_our_streams_stay():
    """Others share them: a pipe that becomes non-blocking breaks the reader's or the shell's side."""
    with fake() as s:
        r, w = os.pipe()
        subprocess.run(words(s, "run", "-i", "--rootfs", "/", "echo", "x"), stdin=r, stdout=w, stderr=w)
        assert os.get_blocking(r) and os.get_blocking(w)
        os.close(r)
        os.close(w)


def test_a_reader_that_leaves():
    with fake() as s:
        p = subprocess.Popen(words(s, "run", "--rootfs", "/", "yes"), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        assert p.stdout.read(2) == b"y\n"
        p.stdout.close()
        assert p.wait(30) == -signal.SIGPIPE
        for c in s.containers.values():
            c.process.kill()


def test_closed_streams():
    with fake() as s:
        command = " ".join("'%s'" % w for w in words(s, "run", "--rootfs", "/", "echo", "x"))
        assert subprocess.run(["sh", "-c", command + " >&- 2>&- <&-"]).returncode == 0
        r = subprocess.run(["sh", "-c", command + " >/dev/full"], stderr=subprocess.PIPE)
        assert r.returncode == 125 and b"No space left" in r.stderr, r
        r = subprocess.run([cow.COWHERD, "help"], stdout=open("/dev/full", "w"), stderr=subprocess.PIPE)
        assert r.returncode == 1 and b"No space left" in r.stderr, r


def start_run(s, script, *options):
    p = subprocess.Popen(words(s, "run", *options, "--rootfs", "/", "sh", "-c", script), stdin=subprocess.DEVNULL,
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert p.stdout.readline() == b"ready\n"
    return p


def pending(pid):
    """Signals that were sent and not looked at yet."""
    return int(next(line for line in open("/proc/%d/status" % pid) if line.startswith("ShdPnd")).split()[1], 16)


def test_signals_are_passed_on():
    script = "trap 'echo got; exit 7' %s; echo ready; while :; do sleep 0.01; done"
    with fake() as s:
        for name in "INT", "TERM", "HUP", "QUIT", "USR1", "USR2", "WINCH":
            p = start_run(s, script % name)
            p.send_signal(getattr(signal, "SIG" + name))
            assert p.wait(30) == 7 and p.stdout.read() == b"got\n", name
            p.stdout.close()
            p.stderr.close()
        p = start_run(s, "trap '' INT TERM; echo ready; while :; do sleep 0.01; done")
        before = len(s.asked("container.kill"))
        for n in 1, 2:
            p.send_signal(signal.SIGINT)
            cow.wait_for(lambda: len(s.asked("container.kill")) == before + n, "the signal")
        p.send_signal(signal.SIGINT)
        assert p.wait(30) == -signal.SIGINT
        p = start_run(s, "echo ready; exec sleep 60", "--sig-proxy=false")
        p.send_signal(signal.SIGTERM)
        assert p.wait(30) == -signal.SIGTERM
        for c in s.containers.values():
            if c.process and not c.done.is_set():
                c.process.kill()


def test_a_signal_while_creating():
    with fake() as s:
        asked, go = threading.Event(), threading.Event()

        def slow(params, fds, event):
            asked.set()
            go.wait()
            return s.container_create(params, fds, event)
        s.handlers["container_create"] = slow
        # One signal: what was made in spite of it is removed again.
        p = subprocess.Popen(words(s, "run", "--rootfs", "/", "true"))
        assert asked.wait(30)
        p.send_signal(signal.SIGINT)
        cow.wait_for(lambda: not pending(p.pid), "the signal")
        go.set()
        assert p.wait(30) == -signal.SIGINT
        assert len(s.asked("container.delete")) == 1 and not s.asked("container.start")
        # Two: not waited for.
        asked.clear()
        go.clear()
        p = subprocess.Popen(words(s, "run", "--rootfs", "/", "true"))
        assert asked.wait(30)
        p.send_signal(signal.SIGINT)
        cow.wait_for(lambda: not pending(p.pid), "the signal")
        p.send_signal(signal.SIGINT)
        assert p.wait(30) == -signal.SIGINT
        go.set()


def test_a_signal_before_exec_is_answered():
    with fake() as s:
        go = threading.Event()

        def slow(params, fds, event):
            answer = s.container_exec(params, fds, event)
            go.wait()
            return answer
        s.handlers["container_exec"] = slow
        cli(s, "create", "--name", "c", "--rootfs", "/", "true")
        p = subprocess.Popen(words(s, "exec", "c", "sh", "-c", "trap 'exit 9' INT; echo ready; while :; do sleep 0.01; done"),
                             stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        assert p.stdout.readline() == b"ready\n"
        p.send_signal(signal.SIGINT)
        cow.wait_for(lambda: not pending(p.pid), "the signal")
        go.set()
        assert p.wait(30) == 9
        p.stdout.close()


def test_the_supervisor_dies():
    with fake() as s:
        p = start_run(s, "echo ready; exec sleep 60")
        s.hang_up()
        assert p.wait(30) == 125 and b"closed the connection" in p.stderr.read()
        t = Terminal(words(s, "run", "-it", "--rootfs", "/", "sh", "-c", "echo go; exec sleep 60"))
        t.expect(b"go")
        cow.wait_for(t.raw, "a raw terminal")
        s.hang_up()
        assert t.end() == 125
        for c in s.containers.values():
            c.process.kill()


def serve_once(path, answer):
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen()

    def serve():
        conn, _ = listener.accept()
        with conn:
            conn.recv(65536)
            with contextlib.suppress(OSError):
                conn.sendall(answer)
        listener.close()
    threading.Thread(target=serve, daemon=True).start()


def test_answers_that_are_none():
    with tempfile.TemporaryDirectory() as d:
        cases = {b"": b"closed the connection", b"{]\n": b"answer of the supervisor", b"x" * (33 << 20): b"too long",
                 b'{"jsonrpc":"2.0","id":1,"result":7}\n': b"container.list", b'{"id":1,"error":{}}\n': b"unknown error"}
        for i, (answer, said) in enumerate(cases.items()):
            path = "%s/s%d" % (d, i)
            serve_once(path, answer)
            r = subprocess.run([cow.COWHERD, "-H", path, "ps"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60)
            assert r.returncode == 1 and said in r.stderr, (answer[:40], r)


def test_terminal():
    with fake() as s:
        t = Terminal(words(s, "run", "-it", "--rootfs", "/", "sh", "-c", "stty -echo; echo go; read x; echo [$x]; exit 3"))
        t.expect(b"go")
        assert t.raw() and s.resized.wait(30)
        s.resized.clear()
        termios.tcsetwinsize(t.slave, (33, 44))
        assert s.resized.wait(30)
        assert (s.asked("container.resize")[-1]["height"], s.asked("container.resize")[-1]["width"]) == (33, 44)
        t.type(b"abc\r")
        t.expect(b"[abc]")
        assert t.end() == 3


def test_detaching():
    with fake() as s:
        t = Terminal(words(s, "run", "-it", "--name", "d1", "--rootfs", "/", "sh", "-c", "stty raw -echo; echo go; cat"))
        t.expect(b"go")
        t.type(b"x\x10y")
        t.expect(b"x\x10y")
        t.type(b"\x10\x11")
        t.expect(b"detached")
        assert t.end() == 0 and s.containers["d1"].process.poll() is None
        t = Terminal(words(s, "attach", "--detach-keys", "ctrl-a,z", "d1"))
        cow.wait_for(t.raw, "a raw terminal")
        t.type(b"\x01z")
        t.expect(b"detached")
        assert t.end() == 0
        t = Terminal(words(s, "attach", "d1"))
        cow.wait_for(t.raw, "a raw terminal")
        t.process.send_signal(signal.SIGTERM)
        assert t.end() == -signal.SIGTERM and s.containers["d1"].process.poll() is None
        s.containers["d1"].process.kill()
        r = cli(s, "run", "-it", "--rootfs", "/", "true")
        assert r.returncode == 125 and b"not a terminal" in r.stderr


def test_exec():
    with fake() as s:
        cli(s, "create", "--name", "c", "--rootfs", "/", "true")
        r = cli(s, "exec", "-i", "c", "sh", "-c", "cat; echo err >&2; exit 5", stdin=None, input=b"in")
        assert (r.returncode, r.stdout, r.stderr) == (5, b"in", b"err\n")
        assert cli(s, "exec", "c", "/no/such").returncode == 127
        assert cli(s, "exec", "c", "/etc/passwd").returncode == 126
        r = cli(s, "exec", "nobody", "true")
        assert r.returncode == 125 and b"no such container" in r.stderr
        assert cli(s, "exec", "-d", "c", "true").returncode == 0
        # What it leaves behind holds the pipe of a reader, and not the client.
        r, w = os.pipe()
        p = subprocess.Popen(words(s, "exec", "c", "sh", "-c", "sleep 60 & echo $!"), stdin=subprocess.DEVNULL, stdout=w)
        os.close(w)
        assert p.wait(30) == 0
        os.kill(int(os.read(r, 64)), signal.SIGKILL)
        os.close(r)
        p = subprocess.Popen(words(s, "exec", "c", "sh", "-c", "trap 'exit 9' TERM; echo ready; while :; do sleep 0.01; done"),
                             stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        assert p.stdout.readline() == b"ready\n"
        p.send_signal(signal.SIGTERM)
        assert p.wait(30) == 9
        p.stdout.close()


def test_exec_on_a_terminal():
    with fake() as s:
        cli(s, "create", "--name", "c", "--rootfs", "/", "true")
        t = Terminal(words(s, "exec", "-it", "c", "sh", "-c", "stty -echo; echo go; read x; stty size; echo [$x]; exit 4"))
        t.expect(b"go")
        assert t.raw()
        t.type(b"abc\r")
        t.expect(b"24 80\r\n[abc]")
        assert t.end() == 4
        # Without -t the terminal is not given away; its bytes are relayed.
        t = Terminal(words(s, "exec", "-i", "c", "sh", "-c", "test -t 0 || echo none; read x; echo [$x] >&2; exit 6"))
        t.expect(b"none")
        assert not t.raw()
        t.type(b"abc\n")
        t.expect(b"[abc]")
        assert t.end() == 6
        t = Terminal(words(s, "exec", "c", "sh", "-c", "sleep 60 & echo $!"))
        assert t.process.wait(30) == 0
        t.expect(b"\r\n")
        os.kill(int(t.seen), signal.SIGKILL)
        assert t.end() == 0


def test_plugin_verbs():
    with fake() as s:
        r = cli(s, "greet", "all", "--of-you", cwd="/tmp")
        assert r.returncode == 0 and r.stdout == b"to stdout\nhello all --of-you from /tmp\n", r
        assert b"done" in r.stderr
        assert b"greet" in cli(s, "help").stdout
        r = cli(s, "nonsense")
        assert r.returncode == 125 and b"no such verb: nonsense" in r.stderr, r


def test_tables():
    with fake() as s:
        cli(s, "create", "--name", "web", "--rootfs", "/", "httpd", "-f")
        out = cli(s, "ps").stdout.decode().splitlines()
        assert out[0].split("  ")[0] == "CONTAINER ID" and "NAMES" in out[0] and '"httpd -f"' in out[1], out
        assert cli(s, "ps", "-q").stdout == b"web\n"
        assert json.loads(cli(s, "ps", "--format", "json").stdout)["Names"] == "web"
        assert cli(s, "ps", "--format", "{{.Names}}:{{.State}}").stdout == b"web:running\n"
        assert cli(s, "ps", "--filter", "name=nobody", "-q").stdout == b""
        assert cli(s, "ps", "--filter", "bogus=1").returncode == 1
        assert json.loads(cli(s, "inspect", "web").stdout)[0]["name"] == "web"
        r = cli(s, "inspect", "web", "nobody")
        assert r.returncode == 1 and b"no such container" in r.stderr and json.loads(r.stdout)[0]["name"] == "web"
        assert cli(s, "inspect", "-f", "{{.State.Pid}}", "web").stdout == b"0\n"
        assert cli(s, "rm", "-f", "nobody", "web").stdout == b"web\n"


def test_without_a_supervisor():
    for verb in ["ps"], ["stop", "x"], ["logs", "x"], ["events"], ["inspect", "x"]:
        r = subprocess.run([cow.COWHERD, "-H", "unix:///nowhere/sock", *verb], stdout=subprocess.PIPE,
                           stderr=subprocess.PIPE)
        assert r.returncode == 1 and b"cowherd daemon" in r.stderr and b"cowherd up" in r.stderr, r
    env = {**os.environ, "COWHERD_HOST": "unix:///elsewhere/sock"}
    assert b"/elsewhere/sock" in subprocess.run([cow.COWHERD, "ps"], stderr=subprocess.PIPE, env=env).stderr
    assert b"unix:///PATH" in subprocess.run([cow.COWHERD, "-H", "tcp://x", "ps"], stderr=subprocess.PIPE).stderr
    r = subprocess.run([cow.COWHERD, "-H", "unix:///nowhere/sock", "version"], stdout=subprocess.PIPE,
                       stderr=subprocess.PIPE)
    assert r.returncode == 1 and b"Client:" in r.stdout


def test_manual_pages():
    verbs = subprocess.run([cow.COWHERD, "--list-verbs"], stdout=subprocess.PIPE, check=True, text=True).stdout.split()
    with tempfile.TemporaryDirectory() as d:
        for verb in [""] + verbs:
            page = subprocess.run([cow.COWHERD, "--man-page", *verb.split()], stdout=subprocess.PIPE, check=True).stdout
            path = pathlib.Path(d, "cowherd-%s.1" % verb)
            path.write_bytes(page)
            r = subprocess.run(["mandoc", "-T", "lint", "-W", "warning", path], stdout=subprocess.PIPE)
            assert r.returncode == 0, (verb, r)
            assert subprocess.run([cow.COWHERD, *verb.split(), "--help"], stdout=subprocess.DEVNULL).returncode == 0


def test_completion():
    def complete(*line):
        script = subprocess.run([cow.COWHERD, "completion", "bash"], stdout=subprocess.PIPE, check=True).stdout.decode()
        script += "\nCOMP_WORDS=(%s); COMP_CWORD=%d; _cowherd; printf '%%s\\n' \"${COMPREPLY[@]}\"" % (
            " ".join("'%s'" % w for w in line), len(line) - 1)
        env = {**os.environ, "PATH": os.path.dirname(cow.COWHERD) + ":" + os.environ["PATH"]}
        return subprocess.run(["bash", "-c", script], stdout=subprocess.PIPE, check=True, env=env).stdout.decode().split()
    assert complete("cowherd", "pau") == ["pause"]
    assert complete("cowherd", "run", "--det") == ["--detach", "--detach-keys"]
    assert complete("cowherd", "-H", "unix:///x", "unpa") == ["unpause"]
    assert "--host" in complete("cowherd", "ps", "--")
    with fake() as s:
        cli(s, "create", "--name", "web", "--rootfs", "/", "x")
        os.environ["COWHERD_HOST"] = "unix://" + s.path
        try:
            assert complete("cowherd", "stop", "") == ["web"]
        finally:
            del os.environ["COWHERD_HOST"]


if __name__ == "__main__":
    cow.main([test for name, test in list(globals().items()) if name.startswith("test_")])
