# SPDX-License-Identifier: MIT
"""A plugin's verb, tests/plugins/soak.c: much input, output, progress, flags of its own, status, a client that goes;
through a supervisor (the daemon and `up`) and without one."""
import contextlib
import fcntl
import json
import os
import shutil
import signal
import subprocess

import cow

GIB = 1 << 30


@contextlib.contextmanager
def herd():
    """A supervisor whose plugins are lcow and soak."""
    s = cow.Supervisor()
    plugins = s.dir / "plugins"
    plugins.mkdir()
    for built in "lib/cowherd/lcow.so", "tests/plugins/soak.so":
        shutil.copy(cow.BUILD / built, plugins)
    command = s.command
    s.command = lambda: [*command(), "--plugin-dir", str(plugins)]
    picture = cow.Picture()
    s.start()
    try:
        yield s
    finally:
        s.stop()
        picture.check(s.dir)
        s.remove()


def soak(s, *words, **more):
    more.setdefault("stderr", subprocess.PIPE)
    return subprocess.Popen([cow.COWHERD, "--host", "unix://" + s.socket, "soak", *words], stdout=subprocess.PIPE, **more)


def log(s):
    return (s.state / "cowherd.log").read_text() if (s.state / "cowherd.log").exists() else \
        (s.dir / "daemon.log").read_text()


def test_a_gibibyte():
    with herd() as s:
        with open("/dev/zero", "rb") as zero:
            head = subprocess.Popen(["head", "-c", str(GIB)], stdin=zero, stdout=subprocess.PIPE)
        p = soak(s, "copy", "--format", "json", stdin=head.stdout, stderr=subprocess.DEVNULL)
        head.stdout.close()
        seen, tail = 0, b""
        while data := p.stdout.read1(1 << 20):
            seen += len(data)
            tail = (tail + data)[-100:]
        result = tail.lstrip(b"\0")
        assert p.wait() == 0 and json.loads(result) == {"bytes": GIB}, (p.returncode, result)
        assert seen == GIB + len(result), seen


def test_progress_and_flags():
    with herd() as s:
        p = soak(s, "copy", "--sink", stdin=subprocess.PIPE)
        out, err = p.communicate(bytes(40 << 20))
        assert out == b"41943040 bytes\n" and p.returncode == 0
        assert [json.loads(line)["bytes"] for line in err.splitlines()] == [16 << 20, 32 << 20], err
        p = soak(s, "copy", "-q", stdin=subprocess.PIPE)
        assert p.communicate(b"as it is\n") == (b"as it is\n", b"") and p.returncode == 0


def test_status_and_help():
    with herd() as s:
        for words, status, out, err in [
                (("status", "7"), 7, b"thing: it is so\n", b""),
                (("status", "fail"), 1, b"", b"cowherd: thing: it is so\n"),
                (("status", "fail", "9"), 9, b"", b"cowherd: thing: it is so\n"),
                (("status", "300"), 1, b"", b"cowherd: the plugin answered with an exit code that is none\n"),
                (("--host", "unix://" + s.socket, "status", "3"), 3, b"thing: it is so\n", b""),
                (("copy", "--help"), 0, b"help of its own\n", b""),
                ((), 2, b"", b"cowherd: soak: copy or status\n")]:
            p = soak(s, *words, stdin=subprocess.DEVNULL)
            got = (*p.communicate(), p.returncode)
            assert got == (out, err, status), (words, got)
        text = b"Usage: cowherd soak copy|status [OPTIONS]\n\nPass standard input on\n\n" \
               b"Options:\n  -q       say nothing\n  --sink   keep it\n"
        for words in ("soak", "--help"), ("soak", "-h"), ("help", "soak"):
            r = s.cli(*words)
            assert r.returncode == 0 and r.stdout == text, r
        assert b"\n  soak        Pass standard input on\n" in s.cli("help").stdout
        r = s.cli("help", "nothing-of-the-kind")
        assert r.returncode == 1 and b"no such verb: nothing-of-the-kind" in r.stderr, r


def test_completion_knows_it():
    with herd() as s:
        script = s.cli("completion", "bash").stdout.decode()
        script += "\nCOMP_WORDS=(cowherd soa); COMP_CWORD=1; _cowherd; printf '%s\\n' \"${COMPREPLY[@]}\""
        env = {**os.environ, "PATH": os.path.dirname(cow.COWHERD) + ":" + os.environ["PATH"],
               "COWHERD_HOST": "unix://" + s.socket}
        assert subprocess.check_output(["bash", "-c", script], env=env) == b"soak\n"


def test_a_client_that_goes():
    """Killed, interrupted: the plugin is told, ends, and the supervisor serves the next one."""
    with herd() as s:
        for n, signo in enumerate((signal.SIGKILL, signal.SIGINT, signal.SIGTERM)):
            read, write = os.pipe()
            p = soak(s, "copy", "--sink", stdin=read)
            os.close(read)
            os.write(write, bytes(32 << 20)[:65536])
            # A pipe has room for its 64 KiB again: the plugin has read it, and waits for more.
            fcntl.fcntl(write, fcntl.F_SETFL, os.O_NONBLOCK)
            cow.wait_for(lambda: writable(write), "the plugin to read")
            p.send_signal(signo)
            assert p.wait() == -signo
            cow.wait_for(lambda: log(s).count("soak.over: Operation canceled") == n + 1, "the plugin to be told")
            os.close(write)
        p = soak(s, "copy", stdin=subprocess.PIPE)
        assert p.communicate(b"x")[0] == b"x1 bytes\n"


def writable(fd):
    try:
        return os.write(fd, bytes(65536)) == 65536
    except BlockingIOError:
        return False


def test_without_a_supervisor():
    """The plugins lie beside the program: a copy of it is installed with soak."""
    s = cow.Supervisor()
    prefix = s.dir / "prefix"
    (prefix / "bin").mkdir(parents=True)
    (prefix / "lib/cowherd").mkdir(parents=True)
    shutil.copy(cow.COWHERD, prefix / "bin")
    shutil.copy(cow.BUILD / "tests/plugins/soak.so", prefix / "lib/cowherd")
    command = [str(prefix / "bin/cowherd"), "--host", "unix://" + s.socket, "soak"]

    def run(*words, **more):
        return subprocess.run([*command, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, **more)
    r = run("copy", input=bytes(20 << 20))
    assert r.returncode == 0 and r.stdout[20 << 20:] == b"20971520 bytes\n", r.stdout[20 << 20:]
    assert r.stderr == b'{"bytes":16777216}\n', r.stderr
    assert run("status", "fail", "9").returncode == 9 and run("status", "4").returncode == 4
    assert run("--help").stdout.startswith(b"Usage: cowherd soak copy|status")
    read, write = os.pipe()
    p = subprocess.Popen([*command, "copy"], stdin=read, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    os.close(read)
    os.write(write, b"begun")
    assert p.stdout.read(5) == b"begun"
    p.send_signal(signal.SIGINT)
    assert p.wait() == -signal.SIGINT
    os.close(write)
    s.remove()


def test_with_up():
    s = cow.Supervisor({"containers": {}})
    plugins = s.dir / "plugins"
    plugins.mkdir()
    for built in "lib/cowherd/lcow.so", "tests/plugins/soak.so":
        shutil.copy(cow.BUILD / built, plugins)
    rootfs = cow.make_rootfs(s.dir / "rootfs")
    config = json.loads(s.config.read_text())
    config["containers"] = {"a": {"rootfs": str(rootfs), "args": ["sleep", "1000"]}}
    s.config.write_text(json.dumps(config))
    up = subprocess.Popen([cow.COWHERD, "--host", "unix://" + s.socket, "up", str(s.config), "--root", str(s.root),
                           "--state", str(s.state), "--plugin-dir", str(plugins)], stdin=subprocess.DEVNULL,
                          stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    cow.wait_for(lambda: s.cli("ps", "-q").stdout, "the container")
    p = soak(s, "copy", stdin=subprocess.PIPE)
    assert p.communicate(b"x")[0] == b"x1 bytes\n"
    up.send_signal(signal.SIGINT)
    assert up.wait(30) in (0, 130), up.returncode
    s.remove()


if __name__ == "__main__":
    cow.main([test_a_gibibyte, test_progress_and_flags, test_status_and_help, test_completion_knows_it,
              test_a_client_that_goes, test_without_a_supervisor, test_with_up])
