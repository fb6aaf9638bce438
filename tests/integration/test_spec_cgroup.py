# SPDX-License-Identifier: MIT
"""The limits of a spec: written where the kernel keeps them, and felt by the process inside."""
import contextlib
import glob
import os
import pathlib
import time

import box
import cow

TOP = pathlib.Path("/sys/fs/cgroup")


def group(s, container):
    """Controller: directory; "" is version 2's."""
    pid = s.connection.call("container.inspect", container=container)["pid"]
    found = {}
    for line in pathlib.Path("/proc/%d/cgroup" % pid).read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        for one in controllers.split(","):
            for top in (TOP / one, TOP, TOP / "unified") if not one else (TOP / controllers, TOP / one):
                if (top / "cgroup.procs").exists():
                    found[one] = top / path.strip("/")
                    break
    return found


@contextlib.contextmanager
def limited(s, script="sleep 1000", **resources):
    container = box.start(s, box.sh(s, script, linux={"resources": resources}))
    try:
        yield container, group(s, container)
    finally:
        box.delete(s, container)


def has(name):
    """The version with which the controller is mounted; on a hybrid host the second one only tracks."""
    for line in pathlib.Path("/proc/self/mountinfo").read_text().splitlines():
        kind, _, options = line.split(" - ")[1].split(" ", 2)
        if kind == "cgroup" and name in options.split(","):
            return 1
        if kind == "cgroup2" and line.split(" ")[4] == str(TOP) and name in read(TOP, "cgroup.controllers").split():
            return 2
    return 0


def read(directory, file):
    return (directory / file).read_text().strip()


def value(groups, controller, v1, v2):
    """What is in the file of either version."""
    version = has(controller)
    return read(groups[controller if version == 1 else ""], v1 if version == 1 else v2)


def skip(what):
    print("skipped: " + what)


def test_memory():
    if not has("memory"):
        return skip("no memory controller here")
    with box.supervisor() as s:
        with limited(s, memory={"limit": 64 << 20, "reservation": 32 << 20}) as (_, groups):
            assert value(groups, "memory", "memory.limit_in_bytes", "memory.max") == str(64 << 20)
            assert value(groups, "memory", "memory.soft_limit_in_bytes", "memory.low") == str(32 << 20)
        if has("memory") == 1:
            with limited(s, memory={"limit": 64 << 20, "swap": 96 << 20, "swappiness": 10, "disableOOMKiller": True}) as (_, groups):
                assert read(groups["memory"], "memory.memsw.limit_in_bytes") == str(96 << 20)
                assert read(groups["memory"], "memory.swappiness") == "10"
                assert "oom_kill_disable 1" in read(groups["memory"], "memory.oom_control")
        for wrong in {"limit": 1 << 20, "swap": 1}, {"limit": -2}, {"limit": "64m"}:
            assert "memory" in box.refused(s, box.sh(s, "true", linux={"resources": {"memory": wrong}}))


def test_out_of_memory():
    """Told in the exit record: of the first process, of a child that took the blow for it, not of other ends."""
    if not has("memory"):
        return skip("no memory controller here")
    eat = "b = bytearray(200 << 20)"
    with box.supervisor() as s:
        limit = {"resources": {"memory": {"limit": 32 << 20, "swap": 32 << 20}}}
        for init in True, False:
            end, _, _ = box.run(s, box.py(s, eat, linux=limit), init=init)
            assert (end["exit_code"], end["signal"], end["oom"]) == (137, 9, True), end
        end, out, _ = box.run(s, box.sh(s, "python3 -S -c '%s'; echo $?; exit 5" % eat, linux=limit))
        assert (end["exit_code"], out, end["oom"]) == (5, "137\n", True), (end, out)
        end, _, _ = box.run(s, box.sh(s, "kill -9 $$", linux=limit))
        assert (end["exit_code"], end["signal"], end["oom"]) == (137, 9, False), end


def test_too_little_memory():
    """Not even enough to set the container up with: the cause is named, not only that it died."""
    with box.supervisor() as s:
        assert "/linux/resources/memory/limit" in box.refused(s, box.sh(s, "true", linux={"resources": {"memory": {"limit": 4096}}}))


def test_unified():
    """Files of v2 are written there, and refused where there are none: never left out without a word."""
    with box.supervisor() as s:
        made = box.sh(s, "sleep 1000", linux={"resources": {"unified": {"pids.max": "17"}}})
        if (TOP / "cgroup.controllers").exists():
            container = box.start(s, made)
            at = next(iter(group(s, container).values()))
            assert (at / "pids.max").read_text() == "17\n"
            box.delete(s, container)
        else:
            assert "/linux/resources/unified/pids.max" in box.refused(s, made)


def test_pids():
    if not has("pids"):
        return skip("no pids controller here")
    with box.supervisor() as s:
        with limited(s, pids={"limit": 7}) as (container, groups):
            assert value(groups, "pids", "pids.max", "pids.max") == "7"
        script = "n=0; while [ $n -lt 20 ]; do sleep 5 & n=$((n+1)); done; echo all"
        end, out, err = box.run(s, box.sh(s, script, linux={"resources": {"pids": {"limit": 7}}}))
        assert "all" not in out and "fork" in err, (end, out, err)
        # -1 and 0 are no limit at all.
        for none in -1, 0:
            with limited(s, pids={"limit": none}) as (_, groups):
                if "pids" in groups and groups["pids"] != TOP / "pids":
                    assert read(groups["pids"], "pids.max") == "max"


def test_cpu():
    if not has("cpu"):
        return skip("no cpu controller here")
    with box.supervisor() as s:
        with limited(s, cpu={"shares": 512, "quota": 20000, "period": 50000}) as (_, groups):
            if has("cpu") == 1:
                assert [read(groups["cpu"], f) for f in ("cpu.shares", "cpu.cfs_quota_us", "cpu.cfs_period_us")] == ["512", "20000", "50000"]
            else:
                assert read(groups[""], "cpu.max") == "20000 50000"
        # Felt: a fifth of a processor for a second of work takes several.
        burn = "import time\nb = time.monotonic()\nwhile time.process_time() < 0.3: pass\nprint(time.monotonic() - b)"
        took = float(box.says(s, box.py(s, burn, linux={"resources": {"cpu": {"quota": 20000, "period": 100000}}})))
        assert took > 0.9, took


def test_cpuset():
    if not has("cpuset"):
        return skip("no cpuset controller here")
    with box.supervisor() as s:
        last = max(os.sched_getaffinity(0))
        for cpus in "0", str(last):
            out = box.says(s, box.sh(s, "grep -E 'Cpus_allowed_list|Mems_allowed_list' /proc/self/status",
                                     linux={"resources": {"cpu": {"cpus": cpus, "mems": "0"}}}))
            assert out == "Cpus_allowed_list:\t%s\nMems_allowed_list:\t0\n" % cpus, out
        assert "cpu" in box.refused(s, box.sh(s, "true", linux={"resources": {"cpu": {"cpus": "4000"}}}))


def test_devices():
    nodes = [{"path": "/dev/tun", "type": "c", "major": 10, "minor": 200, "fileMode": 0o666},
             {"path": "/dev/fuse", "type": "c", "major": 10, "minor": 229, "fileMode": 0o666}]
    script = "for d in null zero full random urandom tun fuse; do (: </dev/$d) 2>/tmp/err; " \
             "grep -q permitted /tmp/err && echo no $d || echo $d; done; mknod /tmp/n c 10 229 2>/dev/null && echo made; rm -f /tmp/n"
    caps = {k: [*box.CAPS, "CAP_MKNOD"] for k in ("bounding", "effective", "permitted")}
    with box.supervisor() as s:
        def see(rules):
            return box.says(s, box.sh(s, script, capabilities=caps, linux={"devices": nodes, "resources": {"devices": rules}})).split("\n")
        deny = {"allow": False, "access": "rwm"}
        found = see([deny])
        assert found[:5] == ["null", "zero", "full", "random", "urandom"] and "no fuse" in found and "no tun" in found, found
        found = see([deny, {"allow": True, "type": "c", "major": 10, "minor": 229, "access": "rm"}])
        assert "fuse" in found and "made" in found and "no tun" in found, found
        container = box.start(s, box.sh(s, "sleep 1000", linux={"devices": nodes, "resources": {"devices": [deny]}}))
        end, out, err = box.execute(s, container, "sh", "-c", ": </dev/fuse")
        assert end["exit_code"] and "permitted" in err, (end, out, err)
        box.delete(s, container)


def test_block_io():
    if has("blkio") != 1:
        return skip("no blkio controller here")
    disk = next(iter(glob.glob("/sys/block/[vsn]*/dev")), None)
    if not disk:
        return skip("no disk here")
    major, minor = map(int, pathlib.Path(disk).read_text().split(":"))
    with box.supervisor() as s:
        def rate(n):
            return [{"major": major, "minor": minor, "rate": n}]
        with limited(s, blockIO={"throttleReadBpsDevice": rate(1 << 20), "throttleWriteBpsDevice": rate(2 << 20),
                                 "throttleReadIOPSDevice": rate(100), "throttleWriteIOPSDevice": rate(200)}) as (_, groups):
            for file, want in ("read_bps", 1 << 20), ("write_bps", 2 << 20), ("read_iops", 100), ("write_iops", 200):
                assert read(groups["blkio"], "blkio.throttle.%s_device" % file) == "%d:%d %d" % (major, minor, want)


def test_huge_pages():
    made = {"resources": {"hugepageLimits": [{"pageSize": "2MB", "limit": 4 << 20}]}}
    with box.supervisor() as s:
        if not has("hugetlb"):
            assert "huge" in box.refused(s, box.sh(s, "true", linux=made))
            return skip("no hugetlb controller here: refused")
        container = box.start(s, box.sh(s, "sleep 1000", linux=made))
        assert value(group(s, container), "hugetlb", "hugetlb.2MB.limit_in_bytes", "hugetlb.2MB.max") == str(4 << 20)
        box.delete(s, container)


def test_place():
    """cgroupsPath is obeyed, and removed with what is in it; a cgroup namespace sees itself as the root."""
    with box.supervisor() as s:
        path = "/cowherd-test-%d/inner" % os.getpid()
        container = box.start(s, box.sh(s, "sleep 1000", linux={"cgroupsPath": path, "resources": {"devices": [
            {"allow": False, "access": "rwm"}]}}))
        at = [d for d in group(s, container).values() if str(d).endswith(path)]
        assert at, group(s, container)
        box.delete(s, container)
        cow.wait_for(lambda: not any(d.parent.exists() for d in at), "the cgroups to go")
        out = box.says(s, box.sh(s, "cat /proc/self/cgroup", namespaces=("pid", "network", "ipc", "uts", "mount", "cgroup"),
                                 linux={"resources": {"pids": {"limit": 10}}}))
        assert not any("cowherd" in line for line in out.split("\n")), out
        mount = {"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup", "options": ["ro", "nosuid", "nodev", "noexec"]}
        sys = {"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": ["ro"]}
        out = box.says(s, box.sh(s, "cat /sys/fs/cgroup/pids/pids.max 2>/dev/null || cat /sys/fs/cgroup/pids.max; "
                                    "echo 99 2>/dev/null >/sys/fs/cgroup/pids/pids.max || echo read-only",
                                 namespaces=("pid", "network", "ipc", "uts", "mount", "cgroup"), mounts=[sys, mount],
                                 linux={"resources": {"pids": {"limit": 10}}}))
        assert out == "10\nread-only\n", out


def test_frozen_and_killed():
    """Everything in it, forks included; killed while frozen."""
    with box.supervisor() as s:
        container = box.start(s, box.sh(s, "(while :; do sleep 0.01; done) & (while :; do sleep 0.01; done) & wait"))
        c = s.connection
        cow.wait_for(lambda: len(c.call("container.top", container=container)["processes"]) >= 3, "all its shells")
        for _ in range(3):
            c.call("container.pause", container=container)
            pids = [int(row[c.call("container.top", container=container)["titles"].index("PID")])
                    for row in c.call("container.top", container=container)["processes"]]
            before = [pathlib.Path("/proc/%d/stat" % p).read_text().split()[13:15] for p in pids]
            assert c.call("container.inspect", container=container)["state"] == "paused" and len(pids) >= 3, pids
            time.sleep(0.05)
            assert before == [pathlib.Path("/proc/%d/stat" % p).read_text().split()[13:15] for p in pids]
            c.call("container.resume", container=container)
        c.call("container.pause", container=container)
        c.call("container.kill", container=container)
        assert box.wait(s, container)["signal"] == 9
        box.delete(s, container)


if __name__ == "__main__":
    cow.main([value for name, value in list(globals().items()) if name.startswith("test_")])
