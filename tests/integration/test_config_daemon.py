# SPDX-License-Identifier: MIT
"""The configuration at work: daemon, its lock, reload by verb and by SIGHUP, broken files, order, `check`."""
import atexit
import contextlib
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile

import cow

FOREVER = ["/bin/sh", "-c", "trap 'exit 0' TERM; while :; do sleep 1 & wait $!; done"]


class Daemon(cow.Supervisor):
    """A supervisor whose containers have ids of our own: what is left is told by them."""

    def __init__(self):
        super().__init__({})
        self.marker = self.dir.name
        self.picture = cow.Picture(self.marker)
        cow.make_rootfs(self.dir / "rootfs")
        (self.dir / "conf.d").mkdir()
        atexit.register(self.abandon)

    def abandon(self):
        """After a test that failed."""
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(30)
        shutil.rmtree(self.dir, ignore_errors=True)

    def write(self, containers, file="cowherd.json", **more):
        for name, entry in containers.items():
            entry.setdefault("rootfs", str(self.dir / "rootfs"))
            entry.setdefault("args", FOREVER)
            entry.setdefault("id", "%s-%s" % (self.marker, name))
        (self.dir / file).write_text(json.dumps({"containers": containers, **more}))

    def containers(self):
        return {c["name"]: c for c in self.call("container.list", all=True)}

    def pids(self):
        return {name: c["pid"] for name, c in self.containers().items()}

    def up(self, *names):
        def there():
            all_ = self.containers()
            return all(all_.get(n, {}).get("state") == "running" for n in names) and all_
        return cow.wait_for(there, "%s to run" % (names,))

    def log_text(self):
        return (self.dir / "daemon.log").read_text()

    def remove(self):
        """Everything goes, the containers' records first."""
        if self.process.poll() is None:
            for name in self.containers():
                with contextlib.suppress(cow.RpcError):
                    self.call("container.delete", container=name, force=True)
        assert self.stop() == 0, self.log_text()
        self.picture.check(self.dir)
        assert not os.path.exists(self.socket)
        shutil.rmtree(self.dir)


def test_applies_only_the_difference():
    d = Daemon()
    d.write({"keep": {}, "change": {"env": ["A=1"]}, "drop": {}})
    d.start()
    d.up("keep", "change", "drop")
    before = d.pids()
    d.write({"keep": {}, "change": {"env": ["A=2"]}, "new": {}})
    result = d.call("reload")
    assert {k: sorted(v) for k, v in result.items()} == {
        "added": ["new"], "removed": ["drop"], "changed": ["change"], "kept": ["keep"]}, result
    after = d.pids()
    assert sorted(after) == ["change", "keep", "new"], after
    assert after["keep"] == before["keep"] and after["change"] != before["change"]
    assert d.call("reload") == {"added": [], "removed": [], "changed": [], "kept": ["keep", "change", "new"]}
    assert d.pids() == after
    d.remove()


def test_hangup_reloads_and_conf_d_counts():
    d = Daemon()
    d.write({"a": {}})
    d.start()
    d.up("a")
    pid = d.pids()["a"]
    d.write({"b": {}}, "conf.d/10-b.json")
    d.process.send_signal(signal.SIGHUP)
    d.up("a", "b")
    (d.dir / "conf.d/10-b.json").unlink()
    d.process.send_signal(signal.SIGHUP)
    cow.wait_for(lambda: "b" not in d.containers(), "b to go")
    assert d.pids() == {"a": pid}
    d.remove()


def test_a_broken_configuration_changes_nothing():
    d = Daemon()
    d.write({"a": {}, "b": {}})
    d.start()
    d.up("a", "b")
    before = d.pids()
    good = (d.dir / "cowherd.json").read_text()
    (d.dir / "conf.d/1.json").write_text('{"containers": {\n"b": {"rootfs": "/"},\n"c": {"rootfs": 5}}}')
    try:
        d.call("reload")
        raise AssertionError("a broken configuration was taken")
    except cow.RpcError as e:
        where = str(d.dir / "conf.d/1.json")
        assert where + ":2: /containers/b: is in %s too" % (d.dir / "cowherd.json") in str(e), e
        assert where + ":3: /containers/c/rootfs: not a string" in str(e), e
    d.process.send_signal(signal.SIGHUP)
    cow.wait_for(lambda: "/containers/c/rootfs: not a string" in d.log_text(), "the log to say it")
    (d.dir / "conf.d/1.json").unlink()
    for broken in '{"containers":', '{"containers": {"a": {"rootfs": "/", "depends_on": ["a"]}}}', \
            good.replace('"containers"', '"plugins": {"nobody": {}}, "containers"'):
        (d.dir / "cowherd.json").write_text(broken)
        try:
            d.call("reload")
            raise AssertionError("taken: " + broken)
        except cow.RpcError as e:
            assert "nothing is changed" in str(e), e
    assert d.pids() == before
    d.remove()


def test_dependencies_order_start_and_stop():
    d = Daemon()
    d.write({"c": {"depends_on": {"b": {"condition": "completed"}}}, "a": {"health": {"test": "test -e /tmp/ok", "interval_s": 0.05,
             "retries": 1000}},
             "b": {"args": ["/bin/true"], "depends_on": {"a": {"condition": "healthy"}}}})
    d.start()
    d.up("a")
    assert sorted(d.containers()) == ["a"]
    # Answered although b and c still wait.
    assert d.call("reload")["kept"] == ["a"]
    d.cli("exec", "a", "touch", "/tmp/ok")
    all_ = d.up("a", "c")
    assert all_["b"]["state"] == "stopped" and all_["b"]["exit_code"] == 0
    (d.dir / "rootfs/tmp/ok").unlink()
    client = d.client()
    number = client.send("events", follow=True)
    d.write({})
    d.call("reload")
    gone = []

    def all_gone():
        client.call("version")
        told = [e["event"] for e in client.events if e["id"] == number]
        gone[:] = [e["name"] for e in told if e["event"] == "die"]
        return len([e for e in told if e["event"] == "destroy"]) == 3
    cow.wait_for(all_gone, "three to go")
    assert gone == ["c", "a"], gone
    client.close()
    d.remove()


def test_a_failed_dependency_is_told():
    d = Daemon()
    d.write({"a": {"args": ["/nonexistent"]}, "b": {"depends_on": ["a"]}, "c": {}})
    d.start()
    d.up("c")
    result = d.call("reload")
    assert set(result["failed"]) == {"a", "b"} and "nonexistent" in result["failed"]["a"], result
    assert result["failed"]["b"] == "not started: a failed", result
    d.write({"a": {}, "b": {"depends_on": ["a"]}, "c": {}})
    d.call("reload")
    d.up("a", "b", "c")
    d.remove()


def test_what_clients_made_stays():
    d = Daemon()
    d.start()
    assert d.cli("run", "-d", "--name", "mine", "--rootfs", str(d.dir / "rootfs"), "/bin/sleep", "1000").returncode == 0
    d.write({"a": {}, "mine": {}})
    result = d.call("reload")
    assert "already exists" in result["failed"]["mine"], result
    d.write({})
    assert d.call("reload")["removed"] == ["a"]
    d.up("mine")
    d.remove()


def test_killed_supervisor_is_followed_by_one_that_keeps():
    d = Daemon()
    d.write({"keep": {}, "change": {}, "once": {"args": ["/bin/true"]}})
    d.start()
    d.up("keep", "change")
    cow.wait_for(lambda: d.containers()["once"]["state"] == "stopped", "once to end")
    before = d.pids()
    d.kill()
    d.write({"keep": {}, "change": {"env": ["A=2"]}, "once": {"args": ["/bin/true"]}})
    d.start()
    all_ = d.up("keep", "change")
    after = d.pids()
    assert after["keep"] == before["keep"], (before, after)
    cow.wait_for(lambda: d.pids().get("change") not in (0, None, before["change"]), "change to be made anew")
    # It ended before the kill: nobody starts it again.
    assert d.containers()["once"]["state"] == "stopped" and all_["once"]["restarts"] == 0
    d.remove()


def test_terminated_supervisor_starts_everything_again():
    d = Daemon()
    d.write({"a": {}, "b": {"depends_on": ["a"]}})
    d.start()
    d.up("a", "b")
    assert d.stop() == 0
    d.picture.check(d.dir)
    assert not os.path.exists(d.socket)
    d.start()
    d.up("a", "b")
    d.remove()


def test_second_supervisor_is_told_the_first():
    d = Daemon()
    d.start()
    second = subprocess.run(d.command(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, stdin=subprocess.DEVNULL)
    assert second.returncode == 1
    assert second.stderr == "cowherd: %s: a supervisor runs there already, process %d\n" % (d.root, d.process.pid), second.stderr
    assert d.answers()
    d.remove()


def test_second_signal_kills():
    d = Daemon()
    d.write({"a": {"args": ["/bin/sh", "-c", "trap '' TERM; while :; do sleep 1; done"], "stop_timeout_s": 600}})
    d.start()
    d.up("a")
    d.process.send_signal(signal.SIGTERM)
    cow.wait_for(lambda: d.containers()["a"]["state"] == "stopping", "the stop to begin")
    d.process.send_signal(signal.SIGTERM)
    assert d.process.wait(30) == 0
    d.picture.check(d.dir)
    d.start()
    d.remove()


def test_background():
    """Without --foreground-log the parent returns when the socket answers, and nothing of it is left behind."""
    d = Daemon()
    d.write({"a": {}})
    words = [w for w in d.command() if w != "--foreground-log"]
    result = subprocess.run(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                            cwd=d.dir)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", ""), result
    version = d.call("version")
    pid = version["pid"]
    stat = pathlib.Path("/proc/%d/stat" % pid).read_text().rsplit(")", 1)[1].split()
    assert int(stat[1]) != os.getpid() and int(stat[3]) not in (pid, os.getsid(0)), stat
    assert os.readlink("/proc/%d/cwd" % pid) == "/"
    assert {os.readlink("/proc/%d/fd/%d" % (pid, fd)) for fd in (0, 1, 2)} == {"/dev/null"}
    assert "supervisor.ready" in (d.state / "cowherd.log").read_text()
    again = subprocess.run(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert again.returncode == 1 and "process %d" % pid in again.stderr, again
    (d.dir / "broken.json").write_text("[]")
    broken = subprocess.run([w if w != str(d.config) else str(d.dir / "broken.json") for w in words],
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert broken.returncode == 1 and broken.stderr.endswith("broken.json:1: not an object\n"), broken
    cow.wait_for(lambda: d.containers().get("a", {}).get("state") == "running", "a to run")
    d.call("container.delete", container="a", force=True)
    d.call("shutdown")
    cow.wait_for(lambda: not os.path.exists("/proc/%d" % pid), "the end of the daemon")
    d.picture.check(d.dir)
    shutil.rmtree(d.dir)


def test_notify_socket():
    d = Daemon()
    path = str(d.dir / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        notify.bind(path)
        notify.settimeout(30)
        d.start(env={"NOTIFY_SOCKET": path})
        assert notify.recv(100) == b"READY=1"
        d.process.send_signal(signal.SIGTERM)
        assert notify.recv(100) == b"STOPPING=1"
        assert d.process.wait(30) == 0
    shutil.rmtree(d.dir)


def test_standard_streams_may_be_closed():
    d = Daemon()
    words = " ".join(w for w in d.command() if w != "--foreground-log")
    assert subprocess.run(["/bin/sh", "-c", words + " <&- >&- 2>&-"]).returncode == 0
    assert d.call("version")["pid"] > 0
    d.call("shutdown")
    cow.wait_for(lambda: not os.path.exists(d.socket), "the end")
    shutil.rmtree(d.dir)


def test_check_touches_nothing():
    with tempfile.TemporaryDirectory(prefix="cowherd-check-") as top:
        cow.make_rootfs(top + "/rootfs")
        config = pathlib.Path(top) / "c.json"

        def check(text):
            config.write_text(text)
            before = sorted(os.listdir(top))
            result = subprocess.run([cow.COWHERD, "check", str(config)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            assert sorted(os.listdir(top)) == before
            return result
        good = check(json.dumps({"root": top + "/run", "state": top + "/state", "containers": {"a": {"rootfs": "rootfs"}}}))
        assert (good.returncode, good.stdout, good.stderr) == (0, "%s: 1 container, no mistakes\n" % config, ""), good
        bad = check('{"containers": {\n"a": {"rootfs": "nowhere"},\n"b": {"rootfs": "rootfs", "user": "ghost"},\n'
                    '"c": {"bundle": "rootfs"},\n"d": {"rootfs": "rootfs", "backend": "none"}},\n"plugins": {"nobody": {}}}')
        assert bad.returncode == 1 and bad.stdout == "", bad
        lines = [line.replace(top, "") for line in bad.stderr.splitlines()]
        assert lines == [
            '/c.json:6: /plugins/nobody: no plugin has a section "nobody"',
            "/c.json:2: /containers/a: rootfs /nowhere: No such file or directory",
            "/c.json:3: /containers/b: user ghost: not in etc/passwd of /rootfs",
            "/c.json:4: /containers/c: /rootfs: JSON specification file config.json not found",
            '/c.json:5: /containers/d: no plugin has a backend "none"',
            "5 mistakes"], lines
    # The example of the page: nothing is wrong but that this machine has none of its files.
    with tempfile.NamedTemporaryFile("w", suffix=".json", prefix="cowherd-check-") as file:
        page = (cow.SOURCE / "docs/configuration.md").read_text()
        file.write(page.split("```json\n")[1].split("```")[0])
        file.flush()
        result = subprocess.run([cow.COWHERD, "check", file.name], stderr=subprocess.PIPE, text=True)
        assert result.stderr.count("/srv/") == 3 and result.stderr.endswith("3 mistakes\n"), result.stderr
    for name in sorted(os.listdir(cow.SOURCE / "tests/data/config/bad")):
        path = cow.SOURCE / "tests/data/config/bad" / name
        if path.suffix == ".json":
            result = subprocess.run([cow.COWHERD, "check", str(path)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            expected = path.with_suffix(".errors").read_text().splitlines()
            got = result.stderr.splitlines()[:-1]
            assert result.returncode == 1 and len(got) == len(expected), (name, result.stderr)
            assert all(g.endswith(e) for g, e in zip(got, expected)), (name, result.stderr)


def test_owner_is_the_programs_base_name():
    s = cow.Supervisor()
    s.process = subprocess.Popen(["/nowhere/herdsman", *s.command()[1:]], executable=cow.COWHERD, stdin=subprocess.DEVNULL,
                                 stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        cow.wait_for(s.answers, "the supervisor")
        assert s.call("version")["owner"] == "herdsman"
        rootfs = str(cow.make_rootfs(s.dir / "rootfs"))
        made = s.call("container.create", rootfs=rootfs, args=["true"])
        assert s.call("container.inspect", container=made["id"])["owner"] == "herdsman"
        other = s.call("container.create", rootfs=rootfs, args=["true"], owner="else")
        assert s.call("container.inspect", container=other["id"])["owner"] == "else"
    finally:
        for c in s.call("container.list", all=True):
            s.call("container.delete", container=c["id"], force=True)
        s.remove()


if __name__ == "__main__":
    cow.main([value for name, value in list(globals().items()) if name.startswith("test_")])
