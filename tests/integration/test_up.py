# SPDX-License-Identifier: MIT
"""`cowherd up` in the foreground: output, order, Ctrl-C, exit codes; and nothing left each time."""
import atexit
import contextlib
import fcntl
import json
import os
import pathlib
import pty
import re
import shutil
import signal
import struct
import subprocess
import tempfile
import termios
import time

import cow


class Up:
    """One `cowherd up` with everything in a directory of its own."""

    def __init__(self, containers, *options, terminal=False, config=None, stdout=None, prefix=()):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="cowherd-up-"))
        # Ids of our own, so that what is left can be told from what others leave.
        marker = self.dir.name
        self.picture = cow.Picture(marker)
        cow.make_rootfs(self.dir / "rootfs")
        for name, entry in containers.items():
            entry.setdefault("rootfs", "rootfs")
            entry["id"] = marker + "-" + name
        self.file = self.dir / "c.json"
        self.file.write_text(json.dumps(config if config is not None else {"containers": containers}))
        self.socket = str(self.dir / "run/cowherd.sock")
        self.output = b""
        words = [*prefix, cow.COWHERD, "up", str(self.file), "--root", str(self.dir / "run"), "--state",
                 str(self.dir / "state"), *options]
        self.errors = open(self.dir / "stderr", "w+b")
        self.terminal = None
        if terminal:
            self.terminal, slave = pty.openpty()
            self.process = subprocess.Popen(words, stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
                                            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
                                            env={**os.environ, "TERM": "xterm", "NO_COLOR": ""})
            os.close(slave)
            self.reader = self.terminal
        else:
            self.process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=stdout or subprocess.PIPE,
                                            stderr=self.errors)
            self.reader = self.process.stdout.fileno() if not stdout else None
        if self.reader is not None:
            os.set_blocking(self.reader, False)
        atexit.register(self.abandon)

    def abandon(self):
        """After a test that failed: twice asked, it kills everything."""
        for _ in range(2):
            if self.process.poll() is None:
                self.process.send_signal(signal.SIGTERM)
                time.sleep(0.2)
        if self.dir.exists():
            self.process.wait(30)
            shutil.rmtree(self.dir)

    def read(self):
        with contextlib.suppress(BlockingIOError, OSError):
            while self.reader is not None:
                data = os.read(self.reader, 65536)
                if not data:
                    break
                self.output += data
        return self.output.decode(errors="replace")

    def expect(self, text, seconds=30):
        def there():
            return text in self.read()
        try:
            cow.wait_for(there, text, seconds)
        except AssertionError as e:
            raise AssertionError("%s; output so far: %r, errors: %r" % (e, self.read(), self.complaints()))

    def complaints(self):
        self.errors.seek(0)
        return self.errors.read().decode()

    def wait(self, seconds=30):
        cow.wait_for(lambda: (self.read(), self.process.poll() is not None)[1], "the end of up", seconds)
        self.read()
        return self.process.returncode

    def finish(self, code=0, seconds=30):
        """Wait for the end, which leaves nothing; the output without carriage returns."""
        got = self.wait(seconds)
        assert got == code, "exit code %d instead of %d: %r %r" % (got, code, self.output, self.complaints())
        left = sorted(p.name for p in self.dir.iterdir())
        assert left == ["c.json", "rootfs", "stderr"], (
            [str(p) for d in ("run", "state") for p in (self.dir / d).rglob("*")], self.complaints())
        self.picture.check(self.dir)
        self.complained = self.complaints()
        self.errors.close()
        if self.terminal is not None:
            os.close(self.terminal)
        elif self.process.stdout:
            self.process.stdout.close()
        shutil.rmtree(self.dir)
        return self.output.decode(errors="replace").replace("\r", "")

    def lines(self):
        return self.output.decode().splitlines()


def sh(script, **more):
    return {"args": ["/bin/sh", "-c", script], **more}


FOREVER = "trap 'echo bye; exit 0' TERM; echo up; while :; do sleep 1 & wait $!; done"
STUBBORN = "trap '' TERM; echo up; while :; do sleep 1; done"


def test_plain_prefixes_in_a_pipe():
    up = Up({"a": sh("echo one; echo two >&2"), "longer": sh("printf 'no newline'")})
    text = up.finish()
    assert "a      | one\n" in text and "a      | two\n" in text, text
    assert "longer | no newline\n" in text, text
    assert "a exited with code 0\n" in text and "longer exited with code 0\n" in text, text
    assert "\033" not in text
    # What a container says comes before what is said about its end.
    assert text.index("no newline") < text.index("longer exited")
    assert text.index("two") < text.index("a exited")


def test_colored_prefixes_on_a_terminal():
    up = Up({"a": sh("echo one"), "b": sh("echo two")}, terminal=True)
    text = up.finish()
    assert re.search(r"\033\[\d+ma \|\033\[0m one\n", text), text
    colors = set(re.findall(r"\033\[(\d+)m[ab] ", text))
    assert len(colors) == 2, text
    up = Up({"a": sh("echo one")}, "--no-color", terminal=True)
    assert "\033" not in up.finish()


def test_ctrl_c_stops_in_reverse_order():
    up = Up({"db": sh(FOREVER, health={"test": "true", "interval_s": 0.05}),
             "web": sh(FOREVER, depends_on={"db": {"condition": "healthy"}}),
             "top": sh(FOREVER, depends_on=["web"])}, terminal=True)
    up.expect("top |\033[0m up")
    os.write(up.terminal, b"\x03")
    text = up.finish()
    order = [text.index(name + " exited with code 0") for name in ("top", "web", "db")]
    assert order == sorted(order), text
    assert text.count("bye") == 3, text


def test_second_ctrl_c_kills():
    up = Up({"a": sh(STUBBORN, stop_timeout_s=600), "b": sh(STUBBORN, depends_on=["a"], stop_timeout_s=600)},
            terminal=True)
    up.expect("b |\033[0m up")
    os.write(up.terminal, b"\x03")
    up.expect("Stopping")
    os.write(up.terminal, b"\x03")
    text = up.finish()
    assert "a exited with code 137" in text and "b exited with code 137" in text, text


def test_timeout_option_bounds_the_stop():
    up = Up({"a": sh(STUBBORN, stop_timeout_s=600)}, "--timeout", "0")
    up.expect("a | up")
    begin = time.monotonic()
    up.process.send_signal(signal.SIGTERM)
    assert "a exited with code 137" in up.finish()
    assert time.monotonic() - begin < 20


def test_exit_code_from():
    up = Up({"a": sh(FOREVER), "b": sh("sleep 0.1; exit 7")}, "--exit-code-from", "b")
    text = up.finish(7)
    assert "b exited with code 7" in text and "a exited with code 0" in text, text
    # Restarts come first: on-failure with one retry ends with the second code.
    up = Up({"b": sh("echo run; exit 3", restart={"policy": "on-failure", "max_retries": 1, "delay_s": 0.01}),
             "a": sh(FOREVER)}, "--exit-code-from", "b")
    text = up.finish(3)
    assert text.count("b | run") == 2, text
    up = Up({"a": sh("true")}, "--exit-code-from", "ghost")
    assert up.wait() == 1
    assert "no such container" in up.complaints()
    up.finish(1)


def test_causes_stand_above_what_they_led_to():
    """Its output is on the way still when what it ended has ended: the lines keep the order of the ends."""
    up = Up({"a": sh("trap 'exit 0' TERM; touch /tmp/up; while :; do sleep 1 & wait $!; done",
                     mounts=[{"type": "tmpfs", "target": "/tmp"}], health={"test": "test -e /tmp/up", "interval_s": 0.05}),
             "b": sh("dd if=/dev/zero bs=64k count=4 2>/dev/null | tr '\\0' '\\n'; exit 7",
                     depends_on={"a": {"condition": "healthy"}})}, "--exit-code-from", "b")
    text = up.finish(7)
    assert text.endswith("b exited with code 7\na exited with code 0\n"), text[-200:]
    assert text.count("b | \n") == 256 << 10, text.count("b | \n")


def test_ends_when_all_have_ended():
    up = Up({"a": sh("exit 3"), "b": sh("sleep 0.2")})
    text = up.finish(0)
    assert "a exited with code 3" in text, text
    up = Up({})
    up.finish(0)


def test_what_cannot_start_is_told():
    up = Up({"a": {"args": ["/nonexistent"]}, "b": sh("echo fine"), "c": sh("echo never", depends_on=["a"])})
    up.wait()
    complaints = up.complaints()
    text = up.finish(1)
    assert "b | fine" in text and "never" not in text, text
    assert "a: " in complaints and "c: not started: a failed" in complaints, complaints


def test_wrong_configuration():
    up = Up({}, config={"containers": {"a": {"rootfs": "rootfs", "health": {"test": "x", "interval_s": "1"}}}})
    up.wait()
    assert "c.json:1: /containers/a/health/interval_s: not a number" in up.complaints(), up.complaints()
    up.finish(1)


def test_the_example():
    example = json.loads((cow.SOURCE / "config/example.json").read_text())["containers"]
    for entry in example.values():
        assert entry.pop("rootfs") == "../build/rootfs"
    up = Up(example)
    (up.dir / "rootfs/var/www").mkdir(parents=True)
    with open(up.dir / "rootfs/etc/passwd", "a") as passwd:
        passwd.write("nobody:x:65534:65534:nobody:/:/bin/false\n")
    up.expect("ticker | tick 2\n", 60)
    up.process.send_signal(signal.SIGINT)
    text = up.finish()
    assert "hello  | hello from hello: I am root" in text and "hello exited with code 0" in text, text
    assert "web    | serving" in text, text
    # The ticker waits for web's health, and goes before it.
    assert text.index("web    | serving") < text.index("tick 1")
    assert text.index("ticker exited with code 0") < text.index("web exited with code 143"), text


def test_slow_reader_stalls_nobody():
    """A stdout that nobody reads: the container goes on, the socket answers; then every line comes."""
    count = 40000
    up = Up({"a": sh("i=0; while [ $i -lt %d ]; do i=$((i+1)); echo line $i of many; done; echo over" % count),
             "b": sh(FOREVER)})
    reader, up.reader = up.reader, None

    def ended():
        with contextlib.suppress(OSError, EOFError):
            client = cow.Client(up.socket)
            states = {c["name"]: c["state"] for c in client.call("container.list", all=True)}
            client.close()
            return states.get("a") == "stopped"
        return False
    cow.wait_for(ended, "the container to end although nobody reads", 60)
    up.reader = reader
    up.expect("a exited with code 0", 60)
    up.process.send_signal(signal.SIGINT)
    text = up.finish()
    numbers = [int(n) for n in re.findall(r"a \| line (\d+) of many\n", text)]
    assert numbers == list(range(1, count + 1)), (len(numbers), numbers[:3], numbers[-3:])


def test_stuck_streams_stall_nobody():
    """Both streams into one pipe that is full: signals are obeyed, and a second one ends it at once."""
    reader, writer = os.pipe()
    up = Up({"a": sh("while :; do echo yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy; done")}, "--log-level", "debug",
            stdout=writer, prefix=("/bin/sh", "-c", 'exec "$@" 2>&1', "sh"))
    os.close(writer)

    def waiting():
        return struct.unpack("i", fcntl.ioctl(reader, termios.FIONREAD, bytes(4)))[0]
    cow.wait_for(lambda: waiting() > 60000, "the pipe to be full")
    up.process.send_signal(signal.SIGTERM)
    cow.wait_for(lambda: not cow.Client(up.socket).call("container.list", all=True), "the container to go")
    up.process.send_signal(signal.SIGTERM)
    up.finish()
    os.close(reader)


def test_slow_reader_after_the_end_gets_all():
    up = Up({"a": sh("i=0; while [ $i -lt 20000 ]; do i=$((i+1)); echo line $i of many; done")})
    reader, up.reader = up.reader, None

    def drains():
        with contextlib.suppress(OSError, EOFError):
            client = cow.Client(up.socket)
            states = [c["state"] for c in client.call("container.list", all=True)]
            client.close()
            return states == []
        return False
    cow.wait_for(drains, "the container to be gone")
    up.reader = reader
    text = up.finish()
    assert text == "".join("a | line %d of many\n" % i for i in range(1, 20001)) + "a exited with code 0\n", text[-200:]
    assert not up.complained, up.complained


def test_flood_does_not_outlast_ctrl_c():
    """What is left of a flood is no reason to stay: a reader that takes a little at a time would keep it for minutes."""
    reader, writer = os.pipe()
    up = Up({"a": sh("yes | head -c 32m; exec sleep 1000")}, stdout=writer)
    os.close(writer)
    cow.wait_for(lambda: sum(p.stat().st_size for p in (up.dir / "state").rglob("log")) >= 32 << 20, "a flood")
    up.process.send_signal(signal.SIGINT)
    while up.process.poll() is None:
        os.read(reader, 4096)
        time.sleep(0.01)
    up.finish()
    os.close(reader)
    assert "more output than could be shown" in up.complained, up.complained


def test_few_descriptors():
    """With 64 descriptors not all of 20 containers come up; those that do not are told, and all goes down again."""
    up = Up({"c%d" % i: sh(FOREVER) for i in range(20)}, prefix=("prlimit", "--nofile=64:64"))

    def settled():
        """Each runs (what it says may be dropped) or was complained about."""
        with contextlib.suppress(OSError, EOFError, cow.RpcError):
            client = cow.Client(up.socket)
            running = [c for c in client.call("container.list") if c["state"] == "running"]
            client.close()
            return running and len(running) + up.complaints().count("\n") >= 20
        return False
    cow.wait_for(settled, "each to run or to fail")
    assert "too many open files" in up.complaints().lower(), up.complaints()
    up.process.send_signal(signal.SIGTERM)
    assert up.wait() == 1, up.complaints()
    up.finish(1)


def test_reader_that_leaves_ends_it():
    up = Up({"a": sh(FOREVER), "b": sh("while :; do echo y; done")})
    up.expect("b | y")
    up.reader = None
    up.process.stdout.close()
    up.process.stdout = None
    assert up.wait() == 0
    up.finish(0)


def test_output_to_a_file():
    path = tempfile.mktemp(prefix="cowherd-up-file-")
    with open(path, "w+b") as file:
        file.write(b"before\n")
        file.flush()
        up = Up({"a": sh("echo one")}, stdout=file)
        up.finish()
        os.lseek(file.fileno(), 0, os.SEEK_SET)
        text = file.read().decode()
    os.unlink(path)
    assert text == "before\na | one\na exited with code 0\n", text


def test_partial_lines_come_after_a_while():
    up = Up({"a": sh("printf 'Name? '; sleep 1; echo; echo next; sleep 30")})
    up.expect("a | Name? \n")
    up.expect("a | next\n")
    up.process.send_signal(signal.SIGTERM)
    text = up.finish()
    # The end of the shown line is no line of its own.
    assert "a | Name? \na | next\n" in text, text


def test_restarts_are_shown():
    up = Up({"a": sh("echo run; sleep 0.2; exit 1", restart={"policy": "always", "delay_s": 0.05, "max_delay_s": 0.1})})
    cow.wait_for(lambda: up.read().count("a | run") >= 3, "three runs")
    up.process.send_signal(signal.SIGINT)
    text = up.finish()
    assert text.count("a exited with code 1") >= 2, text


def test_client_sees_and_stops_it():
    up = Up({"a": sh(FOREVER)})
    up.expect("a | up")
    result = subprocess.run([cow.COWHERD, "--host", "unix://" + up.socket, "ps"], stdout=subprocess.PIPE, text=True)
    assert " a\n" in result.stdout, result.stdout
    # What a client makes is taken down, too.
    subprocess.run([cow.COWHERD, "--host", "unix://" + up.socket, "run", "-d", "--name", "mine", "--rootfs",
                    str(up.dir / "rootfs"), "/bin/sleep", "1000"], check=True, stdout=subprocess.DEVNULL)
    subprocess.run([cow.COWHERD, "--host", "unix://" + up.socket, "shutdown"], check=True)
    text = up.finish()
    assert "a exited with code 0" in text and "mine" not in text, text


def test_second_supervisor_is_refused():
    up = Up({"a": sh(FOREVER)})
    up.expect("a | up")
    second = subprocess.run([cow.COWHERD, "up", str(up.file), "--root", str(up.dir / "run"), "--state",
                             str(up.dir / "state")], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert second.returncode == 1
    assert "a supervisor runs there already, process %d" % up.process.pid in second.stderr, second.stderr
    up.process.send_signal(signal.SIGTERM)
    up.finish()


def test_killed_up_is_taken_up_by_the_next():
    up = Up({"a": sh(FOREVER)})
    up.expect("a | up")
    up.process.send_signal(signal.SIGKILL)
    up.process.wait()
    up.process.stdout.close()
    words = up.process.args
    up.process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=up.errors)
    up.reader = up.process.stdout.fileno()
    os.set_blocking(up.reader, False)

    def answers():
        with contextlib.suppress(OSError, EOFError):
            client = cow.Client(up.socket)
            states = [c["state"] for c in client.call("container.list", all=True)]
            client.close()
            return states == ["running"]
        return False
    cow.wait_for(answers, "the second up")
    up.process.send_signal(signal.SIGINT)
    up.finish()


if __name__ == "__main__":
    cow.main([value for name, value in list(globals().items()) if name.startswith("test_")])
