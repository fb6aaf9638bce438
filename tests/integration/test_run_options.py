# SPDX-License-Identifier: MIT
"""The options of `run` that shape the specification, as docker has them: each is seen from inside the container; a wrong
one is an error that names it, and leaves nothing."""
import contextlib
import json
import os
import pathlib
import socket

import cow

world = None


class World:
    def __init__(self):
        self.picture = cow.Picture()
        self.supervisor = cow.Supervisor()
        self.rootfs = str(cow.make_rootfs(self.supervisor.dir / "rootfs"))
        self.supervisor.start()

    def run(self, *words):
        """[OPTIONS] -- COMMAND, by the shell inside."""
        at = words.index("--")
        return self.supervisor.cli("run", "--rm", *words[:at], "--rootfs", self.rootfs, "sh", "-c", words[at + 1])

    def says(self, *words):
        r = self.run(*words)
        assert r.returncode == 0, (words, r)
        return r.stdout.decode()

    def finish(self):
        self.supervisor.stop()
        self.picture.check(self.supervisor.dir)
        self.supervisor.remove()


def test_limits():
    assert world.says("--ulimit", "nofile=100:200", "--ulimit", "core=0", "--",
                      "ulimit -n; ulimit -Hn; ulimit -c") == "100\n200\n0\n"
    assert world.says("--ulimit", "core=-1", "--", "ulimit -c") == "unlimited\n"
    # One limit more is no limit less: the default one of files stays.
    count = "grep 'open files' /proc/self/limits"
    assert world.says("--ulimit", "core=0", "--", count) == world.says("--", count)
    assert world.says("--oom-score-adj", "333", "--", "cat /proc/self/oom_score_adj") == "333\n"
    assert world.says("--cpuset-cpus", "0", "--", "grep Cpus_allowed_list /proc/self/status").split()[1] == "0"
    r = world.supervisor.cli("run", "-d", "--name", "limited", "--memory", "64m", "--memory-swap", "64m",
                             "--memory-reservation", "32m", "--cpu-shares", "512", "--blkio-weight", "500", "--cpu-period",
                             "50000", "--cpu-quota", "25000", "--rootfs", world.rootfs, "sleep", "1000")
    assert r.returncode == 0, r
    spec = json.loads(world.supervisor.cli("inspect", "limited").stdout)[0]["spec"]
    assert spec["linux"]["resources"]["memory"] == {"limit": 64 << 20, "swap": 64 << 20, "reservation": 32 << 20}, spec
    assert spec["linux"]["resources"]["cpu"] == {"shares": 512, "period": 50000, "quota": 25000}, spec
    assert spec["linux"]["resources"]["blockIO"]["weight"] == 500, spec
    assert world.supervisor.cli("rm", "-f", "limited").returncode == 0


def test_mounts():
    here = world.supervisor.dir / "here"
    here.mkdir()
    here.joinpath("seen").write_text("yes")
    out = world.says("--tmpfs", "/tmp:size=1m,exec", "--shm-size", "2m", "--mount", "type=tmpfs,dst=/root,tmpfs-size=65536",
                     "--mount", "source=%s,target=/mnt,readonly" % here, "--",
                     "df -k /tmp /dev/shm /root | awk '{print $2}'; cat /mnt/seen; touch /mnt/x 2>/dev/null || echo ro; "
                     "grep ' /tmp ' /proc/mounts")
    assert out.split()[1:6] == ["1024", "2048", "64", "yesro", "tmpfs"] and "noexec" not in out.splitlines()[-1], out


def test_devices_and_groups():
    assert world.says("--device", "/dev/null:/dev/nul2:rw", "--device", "/dev/loop-control", "--",
                      "echo x >/dev/nul2 && stat -c %t:%T /dev/nul2 /dev/loop-control") == "1:3\na:ed\n"
    groups = world.says("-u", "user", "--group-add", "7", "--group-add", "root", "--", "id -G").split()
    assert sorted(groups) == ["0", "1000", "7"], groups


def test_namespaces():
    own = os.readlink("/proc/self/ns/ipc")
    assert world.says("--ipc", "host", "--", "readlink /proc/self/ns/ipc") == own + "\n"
    assert world.says("--ipc", "private", "--", "readlink /proc/self/ns/ipc") != own + "\n"
    assert world.says("--uts", "host", "--", "hostname") == socket.gethostname() + "\n"
    assert world.says("--pid", "host", "--", "ls -d /proc/%d" % os.getpid()) == "/proc/%d\n" % os.getpid()
    assert world.says("--domainname", "here", "--", "cat /proc/sys/kernel/domainname") == "here\n"
    r = world.supervisor.cli("run", "-d", "--name", "other", "--rootfs", world.rootfs, "sleep", "1000")
    assert r.returncode == 0, r
    assert "sleep 1000" in world.says("--pid", "container:other", "--", "ps")
    assert world.says("--ipc", "container:other", "--", "readlink /proc/self/ns/ipc") == world.supervisor.cli(
        "exec", "other", "readlink", "/proc/self/ns/ipc").stdout.decode()
    assert world.supervisor.cli("rm", "-f", "other").returncode == 0
    assert world.says("--sysctl", "net.ipv4.ip_forward=1", "--", "cat /proc/sys/net/ipv4/ip_forward") == "1\n"


def test_security():
    profile = world.supervisor.dir / "profile.json"
    profile.write_text(json.dumps({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
        {"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 95}]}))
    assert world.says("--security-opt", "seccomp=%s" % profile, "--",
                      "mkdir /tmp/x 2>&1 || grep Seccomp: /proc/self/status").split()[-1] == "2"
    assert world.says("--security-opt", "no-new-privileges=false", "--", "grep NoNewPrivs /proc/self/status").split()[1] == "0"
    assert world.says("--security-opt", "no-new-privileges", "--", "grep NoNewPrivs /proc/self/status").split()[1] == "1"
    assert world.says("--security-opt", "systempaths=unconfined", "--security-opt", "label=disable", "--",
                      "grep -c ' /proc/sys ' /proc/mounts || true") == "0\n"


DOCKER_PROFILE = {
    "defaultAction": "SCMP_ACT_ALLOW",
    "archMap": [{"architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X86", "SCMP_ARCH_X32"]},
                {"architecture": "SCMP_ARCH_AARCH64", "subArchitectures": ["SCMP_ARCH_ARM"]}],
    "syscalls": [
        {"names": ["sethostname"], "action": "SCMP_ACT_ERRNO", "errnoRet": 95, "excludes": {"caps": ["CAP_SYS_ADMIN"]}},
        {"names": ["chroot"], "action": "SCMP_ACT_ERRNO", "errnoRet": 95, "includes": {"caps": ["CAP_SYS_CHROOT"]}},
        {"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 95, "includes": {"minKernel": "4.8"},
         "comment": "words"},
        {"names": ["symlink", "symlinkat"], "action": "SCMP_ACT_ERRNO", "includes": {"minKernel": "999.0"}},
        {"names": ["link", "linkat"], "action": "SCMP_ACT_ERRNO", "includes": {"arches": ["s390x"]}},
        {"name": "rmdir", "action": "SCMP_ACT_ERRNO", "errnoRet": 95, "excludes": {"arches": ["s390x"]}},
        {"names": ["unlink", "unlinkat"], "action": "SCMP_ACT_ERRNO", "excludes": {"minKernel": "4.0"}}]}
SEEN = ("mkdir /tmp/d; ln -s a /tmp/s && echo symlink; hostname foo && echo hostname; touch /tmp/f; "
        "ln /tmp/f /tmp/l && echo link; rm /tmp/f && echo rm; rmdir /dev/shm; chroot / true; true")


def test_docker_profiles():
    """Conditions hold by the container's capabilities, this machine and its kernel, as the docker daemon judges them."""
    profile = world.supervisor.dir / "docker.json"
    profile.write_text(json.dumps(DOCKER_PROFILE))
    words = ["--tmpfs", "/tmp", "--security-opt", "seccomp=%s" % profile]
    r = world.run(*words, "--", SEEN)
    assert r.stdout.split() == [b"symlink", b"link", b"rm"], r
    assert r.stderr.count(b"not supported") == 4, r  # mkdir, hostname, rmdir, chroot
    r = world.run(*words, "--cap-add", "SYS_ADMIN", "--cap-drop", "SYS_CHROOT", "--", SEEN)
    assert r.stdout.split() == [b"symlink", b"hostname", b"link", b"rm"], r
    assert r.stderr.count(b"not supported") == 2 and b"chroot" in r.stderr, r
    for change, message in [
            ({"architectures": ["SCMP_ARCH_X86_64"]}, "/linux/seccomp: either architectures or archMap"),
            ({"syscalls": [{"name": "a", "names": ["b"]}]}, "/linux/seccomp/syscalls/0: either name or names"),
            ({"syscalls": [{"names": ["a"], "includes": {"minKernel": "new"}}]}, "minKernel: not a version"),
            ({"syscalls": [7]}, "/linux/seccomp/syscalls/0: not an object"), ({"syscalls": 7}, "/linux/seccomp/syscalls: not an")]:
        profile.write_text(json.dumps({**DOCKER_PROFILE, **change}))
        r = world.run(*words, "--", "true")
        assert r.returncode == 125 and message in r.stderr.decode(), (change, r)
    profile.write_text("[]")
    r = world.run(*words, "--", "true")
    assert r.returncode == 125 and b"not a profile" in r.stderr, r


def test_attach():
    both = "echo out; echo err >&2; cat"
    for words, given, out, err in [
            (["-a", "stdout"], b"", b"out\n", b""), (["--attach", "STDERR"], b"", b"", b"err\n"),
            (["-a", "stdout", "-a", "stderr"], b"", b"out\n", b"err\n"),
            (["-i", "-a", "stdin", "-a", "stdout"], b"in", b"out\nin", b"")]:
        r = world.supervisor.cli("run", "--rm", *words, "--rootfs", world.rootfs, "sh", "-c", both, stdin=None, input=given)
        assert (r.returncode, r.stdout, r.stderr) == (0, out, err), (words, r)
    # What is not shown is read: a pipe's worth of it stalls nobody. Who sees nothing gets the id.
    r = world.supervisor.cli("run", "--rm", "-i", "-a", "stdin", "--rootfs", world.rootfs, "sh", "-c",
                             "head -c 1000000 /dev/zero; [ $(cat) = in ] && exit 7", stdin=None, input=b"in")
    assert r.returncode == 7 and len(r.stdout.strip()) == 36, r
    for words, message in [(["-a", "x"], b"is not one of stdin"), (["-d", "-a", "stdout"], b"exclude each other")]:
        r = world.supervisor.cli("run", "--rm", *words, "--rootfs", world.rootfs, "true")
        assert r.returncode == 125 and message in r.stderr, r


def test_cgroup_parent():
    name = world.supervisor.dir.name + "-parent"
    r = world.supervisor.cli("run", "-d", "--name", "below", "--cgroup-parent", name, "--cgroupns", "host", "--rootfs",
                             world.rootfs, "sleep", "1000")
    assert r.returncode == 0, r
    where = pathlib.Path("/proc/%s/cgroup" % world.supervisor.cli("inspect", "-f", "{{.pid}}", "below").stdout.decode().strip())
    assert "/%s/%s" % (name, r.stdout.decode().strip()) in where.read_text(), where.read_text()
    assert world.supervisor.cli("rm", "-f", "below").returncode == 0


def test_wrong_ones():
    for option, value, message in [
            ("--ulimit", "nofile", "is not NAME=SOFT[:HARD]"), ("--ulimit", "nofile=1:", "is not NAME=SOFT[:HARD]"),
            ("--ulimit", "nope=1", "RLIMIT_NOPE"), ("--sysctl", "x", "is not NAME=VALUE"), ("--sysctl", "nope.x=1", "nope.x"),
            ("--tmpfs", "x", "is not /DIR[:OPTIONS]"), ("--mount", "type=volume,dst=/x", "the type is bind or tmpfs"),
            ("--mount", "dst=/x", "needs target=/DIR and source="), ("--mount", "type=bind,bad=1", "bad is not known"),
            ("--mount", "bind-propagation=up", "is not known"), ("--device", "/nope", "No such file"),
            ("--device", "/tmp", "not a device"), ("--device", "/dev/null:rq", "not /dev/HOST"),
            ("--group-add", "nobodyhere", "nobodyhere"), ("--pid", "foo", "/namespaces/pid"),
            ("--userns", "private", "/namespaces/user"), ("--pid", "container:nope", "no such container"),
            ("--security-opt", "foo", "foo"), ("--security-opt", "seccomp=/nope", "/nope"),
            ("--memory-swap", "x", "--memory-swap"), ("--shm-size", "x", "--shm-size"), ("--cpu-shares", "x", "--cpu-shares")]:
        r = world.run(option, value, "--", "true")
        assert r.returncode == 125 and message in r.stderr.decode(), (option, value, r)
    assert world.supervisor.cli("ps", "-aq").stdout == b""
    with contextlib.closing(world.supervisor.client()) as client:
        for params, where in ({"patch": 1}, "/patch"), ({"namespaces": {"net": "host"}}, "/namespaces/net"), \
                ({"devices": ["null"]}, "/devices/0"), ({"groups": "x"}, "/groups"), ({"cgroup_parent": "x"}, "/cgroup_parent"):
            try:
                client.call("container.create", rootfs=world.rootfs, **params)
            except cow.RpcError as e:
                assert where in str(e), (params, e)
            else:
                raise AssertionError(params)


def test_top_and_ps_have_dockers_words():
    s = world.supervisor
    assert s.cli("run", "-d", "--name", "t", "--rootfs", world.rootfs, "sleep", "1000").returncode == 0
    rows = s.cli("top", "t", "-o", "pid,comm").stdout.decode().split()
    assert rows[:2] == ["PID", "COMMAND"] and "sleep" in rows and "systemd" not in rows, rows
    assert b"sleep 1000" in s.cli("top", "t", "aux").stdout
    r = s.cli("top", "t", "-o", "comm")
    assert r.returncode == 1 and b"no field PID" in r.stderr, r
    assert s.cli("top", "nobody", "aux").returncode == 1 and s.cli("top", "t", "--bogus").returncode == 1
    assert s.cli("ps", "-s").stdout.split(b"\n")[0].rstrip().endswith(b"NAMES     SIZE")
    assert s.cli("rm", "-f", "t").returncode == 0


def test_patch_comes_last():
    with contextlib.closing(world.supervisor.client()) as client:
        made = client.call("container.create", rootfs=world.rootfs, args=["true"], hostname="a",
                           patch={"hostname": "b", "linux": {"maskedPaths": None}, "process": {"env": ["A=b"]}})
        spec = client.call("container.inspect", container=made["id"])["spec"]
        assert spec["hostname"] == "b" and "maskedPaths" not in spec["linux"] and "A=b" in spec["process"]["env"], spec
        client.call("container.delete", container=made["id"])


if __name__ == "__main__":
    world = World()
    try:
        cow.main([test_limits, test_mounts, test_devices_and_groups, test_namespaces, test_security, test_docker_profiles, test_attach,
                  test_cgroup_parent, test_wrong_ones, test_top_and_ps_have_dockers_words, test_patch_comes_last])
    finally:
        world.finish()
