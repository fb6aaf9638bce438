# SPDX-License-Identifier: MIT
"""What a spec says about namespaces, the file system and the hooks, as the process inside finds it."""
import contextlib
import ctypes
import json
import os
import pathlib
import subprocess
import time

import box
import cow

KINDS = {"pid": "pid", "network": "net", "ipc": "ipc", "uts": "uts", "mount": "mnt", "cgroup": "cgroup", "time": "time", "user": "user"}
ALL = ("pid", "network", "ipc", "uts", "mount")
CLONE_NEWPID, CLONE_NEWNET, CLONE_NEWUTS, CLONE_NEWIPC = 0x20000000, 0x40000000, 0x04000000, 0x08000000
CLONE_NEWUSER, CLONE_NEWCGROUP, CLONE_NEWTIME = 0x10000000, 0x02000000, 0x80
MAPS = {"uidMappings": [{"containerID": 0, "hostID": 100000, "size": 5000}, {"containerID": 5000, "hostID": 200000, "size": 10}],
        "gidMappings": [{"containerID": 0, "hostID": 300000, "size": 5000}]}


def own(pid="self"):
    return {kind: os.readlink("/proc/%s/ns/%s" % (pid, file)) for kind, file in KINDS.items()}


def ns_paths(extra=""):
    return "for n in %s; do readlink /proc/self/ns/$n; done%s" % (" ".join(KINDS.values()), extra)


def inside(text):
    return dict(zip(KINDS, text.split("\n")))


# Namespaces.

def test_namespaces_new():
    with box.supervisor() as s:
        host = own()
        for kinds in ALL, (*ALL, "cgroup", "time"), ("mount",), ("mount", "uts"), ("mount", "pid"):
            end, out, err = box.run(s, box.sh(s, ns_paths(), namespaces=kinds, mounts=[]) if "ipc" in kinds else
                                    without_mqueue(box.sh(s, ns_paths(), namespaces=kinds)))
            assert end["exit_code"] == 0, (kinds, end, err)
            here = inside(out)
            for kind in KINDS:
                assert (here[kind] != host[kind]) == (kind in kinds), (kinds, kind, here, host)


def without_mqueue(made):
    made["mounts"] = [m for m in made["mounts"] if m["type"] != "mqueue"]
    return made


def test_namespaces_joined():
    """Of a process that somebody else made: `unshare` of the host's."""
    with box.supervisor() as s:
        holder = subprocess.Popen(["unshare", "-n", "-u", "-i", "-C", "-T", "--fork", "-p", "sh", "-c",
                                   "hostname joined; echo ready; exec sleep 1000"],
                                  stdout=subprocess.PIPE, text=True)
        try:
            assert holder.stdout.readline() == "ready\n"
            pid = int(pathlib.Path("/proc/%d/task/%d/children" % (holder.pid, holder.pid)).read_text())
            theirs = own(pid)
            kinds = ["network", "uts", "ipc", "cgroup", "time", "pid"]
            for some in [[k] for k in kinds] + [kinds]:
                namespaces = [{"type": k, "path": "/proc/%d/ns/%s" % (pid, KINDS[k])} for k in some]
                namespaces += [{"type": k} for k in ("mount", "ipc", "pid") if k not in some]
                out = box.says(s, box.sh(s, ns_paths("; hostname"), namespaces=namespaces))
                here = inside(out)
                for k in some:
                    assert here[k] == theirs[k], (some, here, theirs)
                if "uts" in some:
                    assert out.split("\n")[len(KINDS)] == "joined"
            wrong = box.refused(s, box.sh(s, "true", namespaces=[*ALL[1:], {"type": "pid", "path": "/proc/%d/ns/net" % pid}]))
            assert "ns" in wrong, wrong
            gone = box.refused(s, box.sh(s, "true", namespaces=["mount", {"type": "network", "path": "/no/such"}]))
            assert "/no/such" in gone, gone
        finally:
            for one in pathlib.Path("/proc/%d/task/%d/children" % (holder.pid, holder.pid)).read_text().split():
                os.kill(int(one), 9)
            holder.wait()
            holder.stdout.close()


def test_mount_namespace_joined():
    """No root of its own then: what is there is the other's."""
    with box.supervisor() as s:
        first = box.start(s, box.sh(s, "mkdir -p /dev/shm/there; exec sleep 1000"))
        pid = s.connection.call("container.inspect", container=first)["pid"]
        cow.wait_for(lambda: os.path.isdir("/proc/%d/root/dev/shm/there" % pid), "the directory")
        second = box.sh(s, "ls /dev/shm; readlink /proc/self/ns/mnt",
                        namespaces=[{"type": "mount", "path": "/proc/%d/ns/mnt" % pid}, "ipc"])
        second["mounts"] = []
        try:
            end, out, _ = box.run(s, second)
            assert (end["exit_code"], out) == (0, "there\n" + own(pid)["mount"] + "\n"), (end, out)
        except cow.RpcError as e:  # refusing is right too, if it says so
            assert "mount" in str(e), e
        box.delete(s, first)


def test_user_namespace():
    with box.supervisor() as s:
        (s.rootfs / "mine").write_text("x")
        os.chown(s.rootfs / "mine", 100000 + 7, 300000 + 8)
        script = "cat /proc/self/uid_map /proc/self/gid_map; id -u; id -g; stat -c '%u:%g' /mine /etc/passwd; " + ns_paths()
        out = box.says(s, box.sh(s, script, namespaces=(*ALL, "user"), linux=MAPS, user={"uid": 1000, "gid": 1001}))
        lines = out.split("\n")
        assert [x.split() for x in lines[:3]] == [["0", "100000", "5000"], ["5000", "200000", "10"], ["0", "300000", "5000"]]
        assert lines[3:7] == ["1000", "1001", "7:8", "65534:65534"], lines
        assert inside("\n".join(lines[7:]))["user"] != own()["user"]
        # The process seen from outside is who the map says.
        container = box.start(s, box.sh(s, "sleep 1000", namespaces=(*ALL, "user"), linux=MAPS, user={"uid": 5003, "gid": 2}))
        pid = s.connection.call("container.inspect", container=container)["pid"]
        child = pathlib.Path("/proc/%d/task/%d/children" % (pid, pid)).read_text().split()
        found = box.status(pathlib.Path("/proc/%s/status" % (child or [pid])[0]).read_text())
        assert found["Uid"].split()[0] == "200003" and found["Gid"].split()[0] == "300002", found
        end, out, err = box.execute(s, container, "sh", "-c", "id -u; readlink /proc/self/ns/user", user="0:0")
        assert out == "0\n" + own(pid)["user"] + "\n", (end, out, err)
        box.delete(s, container)


def test_bind_without_what_is_below():
    """Also where the kernel would not let the user namespace's root look under a mount."""
    with box.supervisor() as s:
        for namespaces, linux in ((ALL, None), ((*ALL, "user"), MAPS)):
            mount = {"destination": "/m", "type": "bind", "source": "/sys/fs", "options": ["bind", "ro"]}
            out = box.says(s, box.sh(s, "ls /m; ls /m/cgroup | wc -l; grep -c ' /m' /proc/self/mountinfo", mounts=[mount],
                                     namespaces=namespaces, linux=linux))
            assert "cgroup" in out and out.split("\n")[-3:-1] == ["0", "1"], out


def test_time_namespace():
    with box.supervisor() as s:
        offsets = {"timeOffsets": {"monotonic": {"secs": 100000, "nanosecs": 5}, "boottime": {"secs": 200000}}}
        script = "import time; print(time.clock_gettime(time.CLOCK_MONOTONIC), time.clock_gettime(time.CLOCK_BOOTTIME)); " \
                 "print(open('/proc/self/timens_offsets').read())"
        out = box.says(s, box.py(s, script, namespaces=(*ALL, "time"), linux=offsets))
        mono, boot = map(float, out.split("\n")[0].split())
        assert 100000 <= mono - time.clock_gettime(time.CLOCK_MONOTONIC) + 5 < 100010, out
        assert 200000 <= boot - time.clock_gettime(time.CLOCK_BOOTTIME) + 5 < 200010, out


def test_names_and_loopback():
    with box.supervisor() as s:
        script = "hostname; cat /proc/sys/kernel/domainname; ip -4 addr show lo; ping -c 1 -W 1 127.0.0.1 >&2; ls /sys/class/net"
        out = box.says(s, box.sh(s, script, hostname="inner", domainname="example.org", mounts=[
            {"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": ["ro", "nosuid"]}],
            capabilities={k: [*box.CAPS, "CAP_NET_RAW"] for k in ("bounding", "effective", "permitted")}))
        assert out.startswith("inner\nexample.org\n") and "127.0.0.1/8" in out and ",UP," in out, out
        assert out.split()[-1] == "lo", out
        assert "uts" in box.refused(s, box.sh(s, "true", hostname="x", namespaces=("mount", "pid", "ipc")))


def test_sysctl():
    with box.supervisor() as s:
        values = {"net.ipv4.ip_forward": "1", "kernel.shm_rmid_forced": "1", "fs.mqueue.msg_max": "17"}
        out = box.says(s, box.sh(s, "cat /proc/sys/net/ipv4/ip_forward /proc/sys/kernel/shm_rmid_forced /proc/sys/fs/mqueue/msg_max",
                                 linux={"sysctl": values}))
        assert out == "1\n1\n17\n", out
        for key, namespaces in (("net.ipv4.ip_forward", ("mount", "ipc")), ("kernel.shm_rmid_forced", ("mount", "network")),
                                ("kernel.core_pattern", ALL), ("vm.swappiness", ALL)):
            made = without_mqueue(box.sh(s, "true", namespaces=namespaces, linux={"sysctl": {key: "1"}}))
            assert key in box.refused(s, made)


# The file system.

def info(s, **more):
    return box.mountinfo(box.says(s, box.sh(s, "cat /proc/self/mountinfo", **more)))


def test_rootfs():
    with box.supervisor() as s:
        assert "rw" in info(s)["/"]["options"]
        found = info(s, root={"readonly": True})
        assert "ro" in found["/"]["options"] and "rw" in found["/dev/shm"]["options"]
        end, _, err = box.run(s, box.sh(s, "echo x >/new", root={"readonly": True}))
        assert end["exit_code"] and "Read-only" in err and not (s.rootfs / "new").exists()
        for how, want in (("private", []), ("slave", []), ("shared", ["shared:"]), ("unbindable", ["unbindable"]), (None, [])):
            found = info(s, linux={"rootfsPropagation": how} if how else {})["/"]["propagation"]
            assert [w[:len(p)] for w, p in zip(found, want)] == want and (want or not any("shared" in f for f in found)), (how, found)
        assert "root" in box.refused(s, box.sh(s, "true", linux={"rootfsPropagation": "sideways"})).lower()


def test_unbindable_root_and_binds():
    """The container's own root is unbindable, not what is mounted in it from the host."""
    with box.supervisor() as s:
        (s.rootfs / "m").mkdir()
        mount = {"destination": "/m", "type": "bind", "source": str(s.dir), "options": ["rbind"]}
        for how in "unbindable", "runbindable":
            found = info(s, mounts=[mount], linux={"rootfsPropagation": how})
            assert found["/"]["propagation"] == ["unbindable"] and "/m" in found, (how, found)


def test_propagation_stays_inside():
    """A root that is shared with its host's tells it of nothing: above all not that the old root is unmounted."""
    with box.supervisor() as s:
        s.stop()
        s.start(prefix=["unshare", "-m", "--propagation", "private", "sh", "-c", "mount --make-rshared /; exec \"$@\"", "sh"])
        s.connection = s.client()

        def seen():  # without those of other tests, which go with their directories
            lines = pathlib.Path("/proc/%d/mountinfo" % s.process.pid).read_text().splitlines()
            return [line for line in lines if not cow.elsewhere(line.split(" ")[4], s.dir)]
        before = seen()
        assert "\n".join(before).count("shared:") > 3, before
        for how in None, "shared", "slave", "private", "rshared", "unbindable":
            box.says(s, box.sh(s, "true", linux={"rootfsPropagation": how} if how else {}))
            assert seen() == before, how


def test_mount_options():
    flags = {"ro": "ro", "nosuid": "nosuid", "nodev": "nodev", "noexec": "noexec", "noatime": "noatime", "nodiratime": "nodiratime",
             "relatime": "relatime", "nosymfollow": "nosymfollow"}
    with box.supervisor() as s:
        for option, shown in flags.items():
            mount = {"destination": "/m", "type": "tmpfs", "source": "mine", "options": [option]}
            found = info(s, mounts=[mount])["/m"]
            assert shown in found["options"] and found["type"] == "tmpfs" and found["source"] == "mine", (option, found)
        # The later one counts.
        for one, two in ("ro", "rw"), ("nosuid", "suid"), ("nodev", "dev"), ("noexec", "exec"), ("noatime", "atime"):
            found = info(s, mounts=[{"destination": "/m", "type": "tmpfs", "options": [one, two]}])["/m"]
            assert one not in found["options"], (one, two, found)
            found = info(s, mounts=[{"destination": "/m", "type": "tmpfs", "options": [two, one]}])["/m"]
            assert one in found["options"], (two, one, found)
        found = info(s, mounts=[{"destination": "/m", "type": "tmpfs", "options": ["strictatime"]}])["/m"]
        assert "relatime" not in found["options"] and "noatime" not in found["options"], found
        found = info(s, mounts=[{"destination": "/m", "type": "tmpfs", "options": ["size=128k", "mode=711", "nr_inodes=99", "sync"]}])["/m"]
        assert {"size=128k", "mode=711", "nr_inodes=99", "sync"} <= found["super"], found
        for how, want in ("shared", "shared:"), ("rshared", "shared:"), ("unbindable", "unbindable"), ("private", ""), ("rslave", ""):
            found = info(s, mounts=[{"destination": "/m", "type": "tmpfs", "options": [how]}])["/m"]["propagation"]
            assert (found[0].startswith(want) if want else not found), (how, found)
        # Over a directory, a tmpfs has the mode of that, if its options name none.
        (s.rootfs / "own").mkdir()
        (s.rootfs / "own").chmod(0o2750)
        for options, want in ([], "2750"), (["size=1m", "nr_inodes=9"], "2750"), (["size=1m", "mode=711"], "711"), (["mode=1700"], "1700"):
            out = box.says(s, box.sh(s, "stat -c %a /own /new", mounts=[{"destination": d, "type": "tmpfs", "options": options}
                                                                        for d in ("/own", "/new")]))
            assert out.split() == [want, want if "mode" in str(options) else "1777"], (options, out)
            (s.rootfs / "new").rmdir()
        for options in ["size=no"], ["nonsense"], ["bogus=1"]:
            assert "/m" in box.refused(s, box.sh(s, "true", mounts=[{"destination": "/m", "type": "tmpfs", "options": options}]))
        assert "/m" in box.refused(s, box.sh(s, "true", mounts=[{"destination": "/m", "type": "nofs", "source": "x"}]))
        # In order: the later one lies above; a relative destination is from the root; what is missing is made.
        out = box.says(s, box.sh(s, "ls -A /m /a/b/c; stat -c %a /m", mounts=[
            {"destination": "/m", "type": "tmpfs"}, {"destination": "m", "type": "tmpfs", "options": ["mode=700"]},
            {"destination": "/m/inner", "type": "tmpfs"}, {"destination": "/a/b/c", "type": "tmpfs"}]))
        assert out == "/a/b/c:\n\n/m:\ninner\n700\n", out


@contextlib.contextmanager
def tree(s):
    """A directory with a mount below it: what `bind` shows differs from what `rbind` does."""
    top = s.dir / "tree"
    (top / "sub").mkdir(parents=True)
    (top / "file").write_text("content\n")
    subprocess.run(["mount", "-t", "tmpfs", "below", str(top / "sub")], check=True)
    (top / "sub" / "inner").write_text("inner\n")
    try:
        yield top
    finally:
        subprocess.run(["umount", str(top / "sub")], check=True)


def test_binds():
    with box.supervisor() as s, tree(s) as top:
        def bind(*options, source=top, to="/m"):
            return {"destination": to, "type": "none", "source": str(source), "options": list(options)}
        look = "cat /proc/self/mountinfo; echo; ls /m/sub; echo x 2>/dev/null >/m/new && echo top; " \
               "echo x 2>/dev/null >/m/sub/new && echo sub; rm -f /m/new /m/sub/new"
        for options, inner, top_rw, sub_rw in ((["bind"], False, True, True), (["rbind"], True, True, True),
                                               (["bind", "ro"], False, False, False), (["rbind", "ro"], True, False, True),
                                               (["rbind", "rro"], True, False, False)):
            before, after = box.run(s, box.sh(s, look, mounts=[bind(*options)]))[1].split("\n\n")
            words = after.split()
            assert ("inner" in words, "top" in words, "sub" in words) == (inner, top_rw, sub_rw), (options, after)
            assert box.mountinfo(before)["/m"]["root"].endswith("/tree"), before
        found = info(s, mounts=[bind("rbind", "rnosuid", "rnodev", "rnoexec")])
        for place in "/m", "/m/sub":
            assert {"nosuid", "nodev", "noexec"} <= found[place]["options"], found
        # Files, onto what is not there yet and what is; a link in the root file system leads to inside.
        (s.rootfs / "link").symlink_to("/etc/target")
        (s.rootfs / "etc/target").write_text("old\n")
        out = box.says(s, box.sh(s, "cat /new/file /etc/target", mounts=[
            bind("bind", source=top / "file", to="/new/file"), bind("bind", source=top / "file", to="/link")]))
        assert out == "content\ncontent\n", out
        assert (s.rootfs / "etc/target").read_text() == "old\n"
        assert "absent" in box.refused(s, box.sh(s, "true", mounts=[bind("bind", source=top / "absent")]))
        # Propagation both ways as asked.
        found = info(s, mounts=[bind("rbind", "rprivate")])
        assert not found["/m"]["propagation"] and not found["/m/sub"]["propagation"], found


def test_copy_up():
    with box.supervisor() as s:
        d = s.rootfs / "data"
        (d / "sub").mkdir(parents=True)
        (d / "sub/file").write_text("kept\n")
        (d / "sub/file").chmod(0o640)
        os.chown(d / "sub/file", 12, 34)
        (d / "link").symlink_to("sub/file")
        out = box.says(s, box.sh(s, "cat /data/link; stat -c '%a %u %g' /data/sub/file; readlink /data/link; echo x >/data/new; ls /data",
                                 mounts=[{"destination": "/data", "type": "tmpfs", "source": "tmpfs", "options": ["tmpcopyup"]}]))
        assert out == "kept\n640 12 34\nsub/file\nlink\nnew\nsub\n", out
        assert not (d / "new").exists()
        # What is mounted there is not copied, its mount point is.
        (d / "proc").mkdir()
        out = box.says(s, box.sh(s, "ls /data/proc; stat -c %A /data/proc; grep -c ' /data ' /proc/self/mountinfo", mounts=[
            {"destination": "/data/proc", "type": "proc", "source": "proc"},
            {"destination": "/data", "type": "tmpfs", "source": "tmpfs", "options": ["tmpcopyup"]}]))
        assert out == "dr-xr-xr-x\n1\n", out


def test_read_only_tmpfs():
    """Devices, mount points and copies get into it before it is closed."""
    with box.supervisor() as s:
        (s.rootfs / "etc/kept").write_text("kept\n")
        made = box.sh(s, "ls /dev/null /dev/pts/ptmx; cat /etc/kept; touch /m/sub/x; touch /dev/x /m/x /etc/x; cat /proc/self/mountinfo >&2; true",
                      mounts=[{"destination": "/m", "type": "tmpfs", "source": "m", "options": ["ro", "nosuid"]},
                              {"destination": "/m/sub", "type": "tmpfs", "source": "sub"},
                              {"destination": "/etc", "type": "tmpfs", "source": "etc", "options": ["tmpcopyup", "ro"]}])
        made["mounts"][1]["options"].append("ro")
        end, out, err = box.run(s, made)
        assert end["exit_code"] == 0 and out == "/dev/null\n/dev/pts/ptmx\nkept\n", (end, out, err)
        denied = [line for line in err.split("\n") if "Read-only" in line]
        assert len(denied) == 3 and not any("sub" in line for line in denied), err
        found = box.mountinfo("\n".join(line for line in err.splitlines() if " - " in line))
        for point in "/dev", "/m", "/etc":
            assert "ro" in found[point]["options"], (point, found[point])
        assert {"ro", "nosuid"} <= found["/m"]["options"] and "rw" in found["/m/sub"]["options"], found
        # More than are kept open until the end: the rest at once.
        many = [{"destination": "/tmp/%d" % i, "type": "tmpfs", "source": "t", "options": ["ro"]} for i in range(40)]
        found = info(s, mounts=many)
        assert all("ro" in found["/tmp/%d" % i]["options"] for i in range(40)), found


def test_idmap():
    with box.supervisor() as s:
        shared = s.dir / "shared"
        shared.mkdir()
        shared.chmod(0o777)
        (shared / "file").write_text("x")
        os.chown(shared / "file", 1000, 1000)
        ids = [{"containerID": 1000, "hostID": 4000, "size": 1}]
        mount = {"destination": "/m", "type": "bind", "source": str(shared), "options": ["bind", "idmap"],
                 "uidMappings": ids, "gidMappings": ids}
        out = box.says(s, box.sh(s, "stat -c '%u:%g' /m/file", mounts=[mount]))
        assert out == "4000:4000\n", out
        # In a user namespace: files keep the owners they have on disk.
        mount = {"destination": "/m", "type": "bind", "source": str(shared), "options": ["bind"], "uidMappings": MAPS["uidMappings"][:1],
                 "gidMappings": MAPS["gidMappings"]}
        out = box.says(s, box.sh(s, "stat -c '%u:%g' /m/file; touch /m/new", namespaces=(*ALL, "user"), linux=MAPS, mounts=[mount],
                                 user={"uid": 7, "gid": 7}))
        assert out == "1000:1000\n", out
        assert (shared / "new").stat().st_uid == 7


# Devices and what is hidden.

def test_devices():
    with box.supervisor() as s:
        script = "stat -c '%n %F %t:%T %a %u:%g' /dev/null /dev/zero /dev/full /dev/random /dev/urandom /dev/tty; " \
                 "for l in fd stdin stdout stderr ptmx; do readlink /dev/$l; done; head -c 3 /dev/zero | wc -c; echo x >/dev/null"
        lines = box.says(s, box.sh(s, script)).split("\n")
        want = [("null", "1:3"), ("zero", "1:5"), ("full", "1:7"), ("random", "1:8"), ("urandom", "1:9"), ("tty", "5:0")]
        assert lines[:6] == ["/dev/%s character special file %s 666 0:0" % w for w in want], lines
        assert lines[6:12] == ["/proc/self/fd", "/proc/self/fd/0", "/proc/self/fd/1", "/proc/self/fd/2", "pts/ptmx", "3"], lines
        devices = [{"path": "/dev/mine", "type": "c", "major": 1, "minor": 3, "fileMode": 0o640, "uid": 7, "gid": 8},
                   {"path": "/dev/deep/blk", "type": "b", "major": 7, "minor": 1, "fileMode": 0o600},
                   {"path": "/dev/pipe", "type": "p", "fileMode": 0o622},
                   {"path": "/dev/zero", "type": "c", "major": 1, "minor": 5, "fileMode": 0o600, "uid": 5, "gid": 5}]
        out = box.says(s, box.sh(s, "stat -c '%F %t:%T %a %u:%g' /dev/mine /dev/deep/blk /dev/pipe /dev/zero", linux={"devices": devices}))
        assert out.split("\n")[:4] == ["character special file 1:3 640 7:8", "block special file 7:1 600 0:0", "fifo 0:0 622 0:0",
                                       "character special file 1:5 600 5:5"], out
        # A fifo is nobody's device: a user namespace's root may make it.
        out = box.says(s, box.sh(s, "stat -c '%F %a %u:%g' /dev/pipe", namespaces=(*ALL, "user"),
                                 linux={**MAPS, "devices": [{**devices[2], "uid": 3, "gid": 4}]}))
        assert out == "fifo 622 3:4\n", out


def test_hidden():
    with box.supervisor() as s:
        (s.rootfs / "secret").mkdir()
        (s.rootfs / "secret/x").write_text("x")
        (s.rootfs / "plain").write_text("hidden")
        (s.rootfs / "still").write_text("still\n")
        script = "ls -A /secret; cat /plain; cat /still; cat /proc/kcore | head -c 1; echo x >/still; echo x >/proc/sys/kernel/hostname; " \
                 "cat /proc/self/mountinfo"
        end, out, err = box.run(s, box.sh(s, script, linux={
            "maskedPaths": ["/secret", "/plain", "/proc/kcore", "/no/such"], "readonlyPaths": ["/still", "/proc/sys", "/not/there"]}))
        assert end["exit_code"] == 0 and out.startswith("still\n"), (end, out, err)
        assert err.count("Read-only file system") == 2, err
        found = box.mountinfo(out.split("\n", 1)[1])
        assert "ro" in found["/secret"]["options"] and "ro" in found["/proc/sys"]["options"] and "/no/such" not in found, found


# Hooks.

POINTS = ("prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop")


def test_hooks():
    """Each point once, in order, in the right namespaces, with the state and only its own environment."""
    with box.supervisor() as s:
        log = s.dir / "hooks"
        log.mkdir()
        log.chmod(0o777)
        code = "import json,os,sys; d=sys.argv[2]; s=json.load(sys.stdin); json.dump([sys.argv[1:2], s, dict(os.environ), " \
               "os.readlink('/proc/self/ns/mnt'), os.getcwd(), sys.argv[0]], open(d+'/'+str(len(os.listdir(d)))+sys.argv[1],'w'))"
        (s.rootfs / "log").mkdir()
        hooks = {p: [{"path": "/usr/bin/python3", "args": ["python3", "-I", "-S", "-c", code, p, "/log" if p == "startContainer" else str(log)],
                      "env": ["POINT=" + p, "LC_ALL=C.UTF-8"], "timeout": 20}] for p in POINTS}
        bind = {"destination": "/log", "type": "bind", "source": str(log), "options": ["bind"]}
        made = box.sh(s, "sleep 0.3; readlink /proc/self/ns/mnt", hooks=hooks, mounts=[bind])
        made["annotations"] = {"org.example.key": "value"}
        container = box.create(s, made)
        assert sorted(os.listdir(log)) == ["%d%s" % (i, p) for i, p in enumerate(POINTS[:3])], os.listdir(log)
        s.connection.call("container.start", container=container)
        box.wait(s, container)
        mine = box.output(s, container)[0].strip()
        box.delete(s, container)
        names = sorted(os.listdir(log))
        assert names == ["%d%s" % (i, p) for i, p in enumerate(POINTS)], names
        host = own()["mount"]
        for name, status in zip(names, ("creating", "creating", "creating", "created", "running", "stopped")):
            (point,), state, env, ns, _, _ = json.loads((log / name).read_text())
            assert state["id"] == container and state["ociVersion"] and state["bundle"], state
            assert state["status"] == status, (point, state)
            assert state.get("annotations") == {"org.example.key": "value"}, state
            assert status == "stopped" or state["pid"] > 0, state
            assert env == {"POINT": point, "LC_ALL": "C.UTF-8"}, env
            assert ns == (mine if point in ("createContainer", "startContainer") else host), (point, ns, mine, host)


def test_hooks_that_fail():
    with box.supervisor() as s:
        def hooks(point, code="exit 3"):
            return {point: [{"path": "/bin/sh", "args": ["sh", "-c", "echo why >&2; " + code]}]}
        for point in POINTS[:4]:
            said = box.refused(s, box.sh(s, "true", hooks=hooks(point)))
            assert point in said, (point, said)
        for point in POINTS[4:]:
            assert box.says(s, box.sh(s, "echo ran", hooks=hooks(point))) == "ran\n"
        begin = time.monotonic()
        slow = {"createRuntime": [{"path": "/bin/sleep", "args": ["sleep", "100"], "timeout": 1}]}
        assert "createRuntime" in box.refused(s, box.sh(s, "true", hooks=slow)) and time.monotonic() - begin < 10
        # Neither stdin that nobody reads nor an ignored SIGPIPE matter.
        out = s.dir / "sig"
        code = "grep SigIgn /proc/self/status >%s; grep SigBlk /proc/self/status >>%s" % (out, out)
        assert box.says(s, box.sh(s, "echo ran", hooks=hooks("poststart", "exec <&-; " + code))) == "ran\n"
        cow.wait_for(lambda: out.exists() and out.read_text().count("\n") == 2, "the hook")
        assert all(int(line.split()[1], 16) == 0 for line in out.read_text().splitlines()), out.read_text()


if __name__ == "__main__":
    cow.main([value for name, value in list(globals().items()) if name.startswith("test_")])
