# SPDX-License-Identifier: MIT
"""The engine with real processes: policies, health, output under pressure, shutdown, and successors."""
import hashlib
import os
import signal
import subprocess
import time

import cow
from test_lcow import Reading, create, delete, start, supervisor, text_of, wait


def state(s, container):
    return s.connection.call("container.inspect", container=container)["state"]


def until(s, container, wanted, seconds=20):
    cow.wait_for(lambda: state(s, container) == wanted, "%s to be %s" % (container, wanted), seconds)


def killed_and_back(s):
    """The supervisor dies without a word; another one takes over."""
    s.kill()
    s.connection.close()
    s.start()
    s.connection = s.client()


def test_restart_policies():
    with supervisor() as s:
        start(s, "sh", "-c", "exit 3", id="failing", restart={"policy": "on-failure", "max_retries": 3, "delay_s": 0.01})
        start(s, "true", id="fine", restart={"policy": "on-failure", "delay_s": 0.01})
        start(s, "true", id="always", restart={"policy": "always", "delay_s": 0.01, "max_delay_s": 0.02})
        until(s, "failing", "stopped")
        seen = s.connection.call("container.inspect", container="failing")
        assert (seen["restarts"], seen["exit_code"]) == (3, 3), seen
        until(s, "fine", "stopped")
        assert s.connection.call("container.inspect", container="fine")["restarts"] == 0
        cow.wait_for(lambda: s.connection.call("container.inspect", container="always")["restarts"] > 5, "restarts")
        s.connection.call("container.stop", container="always")
        restarts = s.connection.call("container.inspect", container="always")["restarts"]
        time.sleep(0.2)
        seen = s.connection.call("container.inspect", container="always")
        assert (seen["state"], seen["restarts"]) == ("stopped", restarts)
        for name in "failing", "fine", "always":
            delete(s, name)


def test_health_restarts_it():
    """Healthy while a file is there; then restarted, and, the file being there again, healthy."""
    with supervisor() as s:
        start(s, "sh", "-c", "touch /tmp/ok; exec sleep 1000", id="a",
              health={"test": ["/bin/sh", "-c", "echo looked; [ -e /tmp/ok ]"], "interval_s": 0.05, "retries": 2,
                      "on_unhealthy": "restart"}, stop_timeout_s=0.1)
        s.connection.call("container.wait", container="a", condition="healthy")
        first = s.connection.call("container.inspect", container="a")
        assert first["health"]["status"] == "healthy" and "looked" in first["health"]["log"][-1]["output"], first
        s.connection.call("container.exec", container="a", args=["rm", "/tmp/ok"])
        cow.wait_for(lambda: s.connection.call("container.inspect", container="a")["pid"] not in (0, first["pid"]),
                     "the restart")
        s.connection.call("container.wait", container="a", condition="healthy")
        delete(s, "a", force=True)


def test_reads_during_operations():
    """A stop that takes its time holds up nobody."""
    with supervisor() as s:
        start(s, "sh", "-c", "trap '' TERM; echo ready; while :; do sleep 1; done", id="stubborn")
        cow.wait_for(lambda: text_of(s, "stubborn")[0], "its trap")
        client = s.client()
        stop = client.send("container.stop", container="stubborn", timeout_s=1)
        begin = time.monotonic()
        cow.wait_for(lambda: state(s, "stubborn") == "stopping", "stopping")
        for _ in range(100):
            s.connection.call("container.list", all=True)
        assert time.monotonic() - begin < 0.9
        assert client.answer(stop)["exit_code"] == 137
        client.close()
        delete(s, "stubborn")


def test_full_disk():
    """The log's disk is full: the container does not notice, what is lost is counted."""
    with supervisor() as s:
        containers = s.state / "containers"
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(containers)], check=True)
        try:
            container = start(s, "sh", "-c", "head -c 20000000 /dev/zero; echo done >/tmp/done; sleep 1000",
                              log={"max_bytes": 0})
            cow.wait_for(lambda: s.connection.call("container.inspect", container=container)["log"]["dropped_bytes"]
                         >= 18000000, "the drops")
            events = s.client()
            events.call("events", since_ns=1, follow=False)
            assert sum(e["event"]["event"] == "log.dropped" for e in events.events) == 1
            events.close()
            s.connection.call("container.kill", container=container)
            assert wait(s, container)["exit_code"] == 137
            delete(s, container)
        finally:
            subprocess.run(["umount", str(containers)], check=True)


def test_rotation_and_slow_reader():
    """A reader that follows gets all that rotation leaves it, whole lines, in order; disk use stays bounded."""
    with supervisor() as s:
        container = start(s, "sh", "-c", "i=0; while [ $i -lt 60000 ]; do echo line $i; i=$((i+1)); done", open_stdin=False,
                          log={"max_bytes": 65536, "files": 3})
        assert wait(s, container)["exit_code"] == 0
        used = sum(f.stat().st_size for f in (s.state / "containers" / container).glob("log*"))
        assert used <= 3 * 65536 + 4096, used
        lines = text_of(s, container)[0].split("\n")
        assert lines.pop() == "" and lines[-1] == "line 59999"
        numbers = [int(line.split()[1]) for line in lines[1:]]
        assert numbers == list(range(numbers[0], 60000))
        delete(s, container)


def test_both_streams_to_the_byte():
    size = 8 << 20
    with supervisor() as s:
        container = create(s, "sh", "-c", "head -c %d /dev/urandom | tee /tmp/out; md5sum </tmp/out >&2" % size,
                           log={"max_bytes": 0})
        s.connection.call("container.attach", container=container)
        reading = Reading(s.connection.take_fds(), pause=0.001)
        s.connection.call("container.start", container=container)
        assert wait(s, container)["exit_code"] == 0
        (digest, length), (err, _) = reading.end()
        assert length == size
        out, text = (hashlib.md5(), text_of_stderr(s, container))
        s.connection.call("container.logs", container=container, stderr=False)
        fds = s.connection.take_fds()
        for fd in fds:
            with os.fdopen(fd, "rb") as f:
                out.update(f.read())
        assert text.split()[0].decode() == out.hexdigest()
        delete(s, container)


def text_of_stderr(s, container):
    s.connection.call("container.logs", container=container, stdout=False)
    fds = s.connection.take_fds()
    texts = []
    for fd in fds:
        with os.fdopen(fd, "rb") as f:
            texts.append(f.read())
    return texts[-1]


def test_successor():
    """Running, ended meanwhile, created only, paused, and one that must run: each as it should be afterwards."""
    with supervisor() as s:
        start(s, "sleep", "1000", id="lives")
        start(s, "sleep", "1000", id="frozen")
        start(s, "sh", "-c", "sleep 0.5; exit 4", id="ends")
        start(s, "sleep", "1000", id="must", restart="always")
        create(s, "true", id="created")
        s.connection.call("container.pause", container="frozen")
        pids = {name: s.connection.call("container.inspect", container=name)["pid"] for name in ("lives", "must")}
        s.kill()
        s.connection.close()
        time.sleep(0.7)
        os.kill(pids["must"], signal.SIGKILL)
        s.start()
        s.connection = s.client()
        assert s.connection.call("container.inspect", container="lives")["pid"] == pids["lives"]
        until(s, "frozen", "paused")
        lost = s.connection.call("container.wait", container="ends")
        assert lost["exit_code"] is None and lost["reason"], lost
        until(s, "must", "running")
        assert state(s, "created") == "created"
        s.connection.call("container.start", container="created")
        assert wait(s, "created")["exit_code"] == 0
        s.connection.call("container.resume", container="frozen")
        s.connection.call("container.kill", container="lives", signal="KILL")
        assert wait(s, "lives")["exit_code"] == 137
        killed_and_back(s)
        assert wait(s, "lives")["exit_code"] == 137  # remembered
        for name in "lives", "frozen", "ends", "must", "created":
            delete(s, name, force=True)


def test_names_and_duplicates():
    with supervisor() as s:
        create(s, "true", id="abc1", name="web")
        for more in {"id": "abc1"}, {"name": "web"}, {"name": "abc1"}, {"id": "web"}:
            try:
                create(s, "true", **more)
                raise AssertionError("accepted: %s" % more)
            except cow.RpcError as e:
                assert e.error["data"]["name"] == "EEXIST" and "already exists" in str(e), e
        assert s.connection.call("container.inspect", container="abc")["name"] == "web"
        delete(s, "web")


if __name__ == "__main__":
    cow.main([value for name, value in list(globals().items()) if name.startswith("test_")])
