# SPDX-License-Identifier: MIT
"""What containers have done to their runtimes elsewhere, tried here: each test names the flaw that it is about."""
import ctypes
import hashlib
import json
import os
import pathlib
import shutil
import socket
import stat
import subprocess
import threading
import time

import box
import cow

ALL = ("pid", "network", "ipc", "uts", "mount")
EVERY_CAP = ["CAP_" + c for c in "CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER KILL SETGID SETUID SYS_PTRACE SYS_ADMIN SYS_CHROOT MKNOD".split()]


def every_cap():
    return {k: EVERY_CAP for k in ("bounding", "effective", "permitted")}


def digest(*files):
    return [hashlib.sha256(pathlib.Path(f).read_bytes()).hexdigest() for f in files]


def rss(pid, field="VmRSS"):
    return int(box.status(pathlib.Path("/proc/%d/status" % pid).read_text())[field].split()[0])


def host_dir(s):
    """What must not change: a directory of the host's with a file."""
    d = s.dir / "host"
    d.mkdir()
    (d / "file").write_text("the host's\n")
    return d


def look(d):
    return sorted((str(p.relative_to(d)), p.lstat().st_mode, p.lstat().st_uid, p.lstat().st_mtime_ns, p.is_file() and p.read_bytes())
                  for p in [d, *d.rglob("*")])


# The runtime's own program (CVE-2019-5736).

def test_own_program():
    with box.supervisor() as s:
        ours = [cow.COWHERD, str(cow.BUILD / "lib/cowherd/lcow.so")]
        before = digest(*ours)
        for args in ["/proc/self/exe"], ["/proc/1/exe"]:
            try:
                box.run(s, box.spec(s, *args))
            except cow.RpcError:
                pass
        # With every right that a container can be given: what PID 1 is, opened, kept, and opened again for writing.
        script = """
import os
for pid in (1, os.getpid()):
    for path in ('/proc/%d/exe' % pid,):
        try:
            fd = os.open(path, os.O_RDONLY)
            for how in (os.O_WRONLY, os.O_RDWR, os.O_WRONLY | os.O_TRUNC):
                try:
                    w = os.open('/proc/self/fd/%d' % fd, how)
                    os.write(w, b'#!')
                    print('written', os.readlink(path))
                except OSError as e:
                    pass
        except OSError as e:
            pass
print('done')
"""
        assert box.says(s, box.py(s, script, capabilities=every_cap(), noNewPrivileges=False)) == "done\n"
        # One that lies in wait for execs.
        script = """
import os, sys
wrote = 0
while not os.path.exists('/tmp/stop'):
    for pid in os.listdir('/proc'):
        if pid.isdigit() and int(pid) != os.getpid():
            try:
                os.close(os.open('/proc/%s/exe' % pid, os.O_WRONLY))
                wrote += 1
                print(os.readlink('/proc/%s/exe' % pid))
            except OSError:
                pass
print('wrote', wrote)
"""
        container = box.start(s, box.py(s, script, capabilities=every_cap(), noNewPrivileges=False))
        for _ in range(100):
            box.execute(s, container, "/bin/true")
            try:
                box.execute(s, container, "/proc/self/exe", "true")
            except cow.RpcError:
                pass
        (s.rootfs / "tmp/stop").touch()
        box.wait(s, container)
        assert box.output(s, container)[0] == "wrote 0\n", box.output(s, container)
        box.delete(s, container)
        assert digest(*ours) == before


# What is seen of the runtime while it is inside (CVE-2016-9962, CVE-2024-21626).

def test_exec_shows_nothing():
    script = """
import ctypes, os
libc = ctypes.CDLL(None)
seen, attached = set(), 0
def program(pid):
    try:
        return os.readlink('/proc/%s/exe' % pid)
    except OSError:
        return '/bin/sleep'  # it has ended, as only its program does
while not os.path.exists('/tmp/stop'):
    for pid in os.listdir('/proc'):
        if not pid.isdigit() or int(pid) in (1, os.getpid()):
            continue
        try:
            for fd in os.listdir('/proc/%s/fd' % pid):
                seen.add(os.readlink('/proc/%s/fd/%s' % (pid, fd)).split(':')[0])
            if libc.ptrace(0x4206, int(pid), 0, 0) == 0:
                attached += program(pid) != '/bin/sleep'
                os.waitpid(int(pid), 0x40000000)
        except OSError:
            pass
print(attached, sorted(seen))
"""
    with box.supervisor() as s:
        container = box.start(s, box.py(s, script))
        for _ in range(200):
            box.execute(s, container, "/bin/sleep", "0.001")
        (s.rootfs / "tmp/stop").touch()
        box.wait(s, container)
        out = box.output(s, container)[0]
        attached, seen = out.split(" ", 1)
        assert attached == "0" and set(eval(seen)) <= {"pipe", "/", "/null", "/dev/null"}, out
        box.delete(s, container)


def test_cwd_through_a_descriptor():
    with box.supervisor() as s:
        (s.rootfs / "link").symlink_to("/proc/self/fd/7")
        container = box.start(s, box.sh(s, "sleep 1000"))
        for n in [*range(0, 14), 20, 31, 63]:
            for path in "/proc/self/fd/%d" % n, "/proc/self/fd/%d/.." % n, "/proc/1/fd/%d" % n:
                for run in (lambda: box.run(s, box.sh(s, "pwd; ls -d host 2>&1", cwd=path)),
                            lambda: box.execute(s, container, "sh", "-c", "pwd; cat /proc/self/root/../etc/shadow", cwd=path)):
                    try:
                        end, out, err = run()
                        assert out.startswith("/") and "root:" not in out, (path, out)
                    except cow.RpcError as e:
                        assert "cwd" in str(e) or path in str(e), e
        out = box.says(s, box.py(s, "import os; print(sorted(int(f) for f in os.listdir('/proc/self/fd')))"))
        assert out == "[0, 1, 2, 3]\n", out  # the fourth is the listing's
        end, out, err = box.execute(s, container, "/bin/sh", "-c", "cd /proc/self/fd; echo *", cwd="/")
        assert set(out.split()) <= {"0", "1", "2", "3"}, out
        box.delete(s, container)


# Root file systems that lead out (CVE-2019-16884, 2019-19921, 2023-27561, 2026-41579, 2026-47766, 2026-88264, 2025-31133).

def test_links_in_the_rootfs():
    with box.supervisor() as s:
        outside = host_dir(s)
        before = look(outside)

        def attack(name, target, **more):
            place = s.rootfs / name
            kept = place.with_name(place.name + ".kept")
            if place.exists() or place.is_symlink():
                place.rename(kept)
            place.parent.mkdir(exist_ok=True)
            place.symlink_to(target)
            made = box.sh(s, "cat /proc/self/mountinfo >/dev/null; echo ran", **more.pop("spec", {}))
            if more.get("without"):
                made["mounts"] = [m for m in made["mounts"] if not m["destination"].startswith(more["without"])]
            try:
                return box.run(s, made)
            except cow.RpcError as e:
                return str(e)
            finally:
                place.unlink()
                if kept.exists():
                    kept.rename(place)
                assert look(outside) == before, (name, target)
        up = "../" * 12 + str(outside)[1:]
        for target in str(outside), up:
            said = attack("proc", target)
            assert isinstance(said, str) or said[1] == "ran\n", said
            for without in None, "/dev":
                attack("dev", target, without=without)
            for name in "dev/null", "dev/console", "dev/ptmx", "dev/pts", "dev/zero", "dev/fd":
                for spec in {}, {"terminal": True}:
                    attack(name, target + ("" if name == "dev/pts" else "/file"), without="/dev", spec=spec)
            attack("tmp", target, spec={"mounts": [{"destination": "/tmp/new/deep", "type": "tmpfs", "source": "x"}]})
            attack("tmp", target, spec={"cwd": "/tmp/made"})
            attack("etc/made", target + "/new", spec={"mounts": [{"destination": "/etc/made", "type": "bind", "source": "/etc/hostname",
                                                                 "options": ["bind"]}]})
            attack("m", target, spec={"linux": {"maskedPaths": ["/m/file"], "readonlyPaths": ["/m"]}})
            attack("d", target, spec={"linux": {"devices": [{"path": "/d/dev", "type": "c", "major": 1, "minor": 3}]}})


def test_null_is_checked():
    """CVE-2025-31133: what covers a masked file is the null device, whatever the container's /dev has there."""
    with box.supervisor() as s:
        (s.rootfs / "dev/null").symlink_to("/proc/sys/kernel/core_pattern")
        (s.rootfs / "secret").write_text("secret")
        made = box.sh(s, "stat -c '%F %t:%T' /secret; cat /secret; echo x >/secret; cat /proc/sys/kernel/core_pattern",
                      linux={"maskedPaths": ["/secret"]})
        made["mounts"] = [m for m in made["mounts"] if not m["destination"].startswith("/dev")]
        pattern = pathlib.Path("/proc/sys/kernel/core_pattern").read_text()
        assert "/dev/null" in box.refused(s, made)
        (s.rootfs / "dev/null").unlink()
        out = box.run(s, made)[1]
        assert out == "character special file 1:3\n" + pattern, out
        assert pathlib.Path("/proc/sys/kernel/core_pattern").read_text() == pattern


def test_console_is_checked():
    """CVE-2025-52565: whatever lies at /dev/console or /dev/pts beforehand."""
    with box.supervisor() as s:
        outside = host_dir(s)
        before = look(outside)
        (s.rootfs / "dev/console").symlink_to(outside / "file")
        made = box.sh(s, "tty", terminal=True)
        for without in "/none", "/dev/pts", "/dev":
            some = json.loads(json.dumps(made))
            some["mounts"] = [m for m in some["mounts"] if not m["destination"].startswith(without)]
            try:
                box.run(s, some)
            except cow.RpcError:
                pass
            assert look(outside) == before, without


def test_race_for_a_mount_point():
    """CVE-2021-30465, CVE-2024-45310: a volume whose directory becomes a link while mounts below it are made."""
    with box.supervisor() as s:
        outside = host_dir(s)
        shared = s.dir / "shared"
        (shared / "a").mkdir(parents=True)
        (shared / "b").symlink_to("../" * 12 + str(outside)[1:])
        before = look(outside)
        libc, stop = ctypes.CDLL(None), threading.Event()

        def flip():
            one, two = os.fsencode(shared / "a"), os.fsencode(shared / "b")
            while not stop.is_set():
                libc.renameat2(-100, one, -100, two, 2)
        racer = threading.Thread(target=flip)
        racer.start()
        ran = 0
        try:
            for i in range(60):
                mounts = [{"destination": "/v", "type": "bind", "source": str(shared), "options": ["rbind"]},
                          {"destination": "/v/a/%d" % (i % 5), "type": "tmpfs", "source": "t", "options": []},
                          {"destination": "/v/a/f%d" % (i % 5), "type": "bind", "source": "/etc/hostname", "options": ["bind"]}]
                try:
                    out = box.run(s, box.sh(s, "cat /v/a/file /v/b/file 2>/dev/null", mounts=mounts))[1]
                    assert "the host's" not in out, out
                    ran += 1
                except cow.RpcError:
                    pass
        finally:
            stop.set()
            racer.join()
        assert look(outside) == before and not any(str(outside) in m for m in cow.mounts())
        assert ran, "it never won"


def test_proc_is_where_it_is_looked_for():
    """CVE-2019-19921, CVE-2023-27561, CVE-2023-28642: /proc or /sys as a link into a volume that others write to, where
    what is masked would be another directory than what was mounted."""
    with box.supervisor() as s:
        shared = s.dir / "shared"
        (shared / "a").mkdir(parents=True)
        volume = {"destination": "/v", "type": "bind", "source": str(shared), "options": ["rbind"]}
        sysfs = {"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": ["ro"]}
        bind = {"destination": "/proc", "type": "bind", "source": "/proc", "options": ["rbind"]}
        deep = {"destination": "/link/deep/proc", "type": "proc", "source": "proc"}
        (s.rootfs / "link").symlink_to("v/a")
        for name, mount in ("proc", box.PROC), ("proc", bind), ("sys", sysfs), ("link", deep):
            made = box.sh(s, "true")
            made["mounts"] = [volume] + [m for m in made["mounts"] if m["destination"] not in ("/proc", "/sys")] + [mount]
            for target in ("/v/a", "v/a", "../../v/a") if name != "link" else ("v/a",):
                if name != "link":
                    (s.rootfs / name).rename(s.rootfs / "kept")
                    (s.rootfs / name).symlink_to(target)
                said = box.refused(s, made)
                assert "symlink" in said and mount["destination"] in said, said
                if name != "link":
                    (s.rootfs / name).unlink()
                    (s.rootfs / "kept").rename(s.rootfs / name)
        # A directory, there or not, is as good as ever.
        (s.rootfs / "sys").rmdir()
        made = box.sh(s, "cat /proc/self/comm; ls /sys", mounts=[sysfs])
        assert "cat\n" in box.says(s, made) and "kernel" in box.says(s, made)


# Capabilities (CVE-2022-27649 to 27652, CVE-2022-24769, CVE-2022-29162).

def test_inheritable_is_empty():
    with box.supervisor() as s:
        for more in {}, {"cap_add": ["NET_RAW", "SYS_ADMIN"]}, {"cap_add": ["ALL"]}, {"user": "1000"}, {"privileged": True}:
            container = s.connection.call("container.create", rootfs=str(s.rootfs), args=["/bin/sleep", "1000"], **more)["id"]
            s.connection.call("container.start", container=container)
            pid = s.connection.call("container.inspect", container=container)["pid"]
            for child in pathlib.Path("/proc/%d/task/%d/children" % (pid, pid)).read_text().split():
                assert int(box.status(pathlib.Path("/proc/%s/status" % child).read_text())["CapInh"], 16) == 0, more
            for how in {}, {"user": "1000"}, {"privileged": True}:
                found = box.status(box.execute(s, container, "cat", "/proc/self/status", **how)[1])
                assert int(found["CapInh"], 16) == 0 and (how.get("privileged") or int(found["CapAmb"], 16) == 0), (more, how, found)
            box.delete(s, container)


def test_exec_user():
    """CVE-2026-30892: a user is who it says, or refused."""
    with box.supervisor() as s:
        container = box.start(s, box.sh(s, "sleep 1000"))
        for user, want in (("0", "0 0"), ("1", "1 0"), ("1:2", "1 2"), ("user", "1000 1000"), ("user:root", "1000 0"), ("4294967294", "4294967294 0")):
            out = box.execute(s, container, "sh", "-c", "echo $(id -u) $(id -g)", user=user)[1]
            assert out == want + "\n", (user, out)
        for user in ":1", "1:", ":", "-1", "4294967295", "4294967296", "18446744073709551616", "1x", "0x1", " 1", "1 ", "nobody-there", "1:-1", "1:2:3", "+1":
            try:
                out = box.execute(s, container, "id", user=user)
                raise AssertionError("%r ran: %s" % (user, out))
            except cow.RpcError as e:
                assert "user" in str(e) or "group" in str(e) or user.strip() in str(e), (user, e)
        box.delete(s, container)


# Sizes and names (CVE-2021-43784, own).

def test_sizes():
    with box.supervisor() as s:
        many = [{"containerID": i, "hostID": 100000 + 2 * i, "size": 1} for i in range(5000)]
        said = box.refused(s, box.sh(s, "true", namespaces=(*ALL, "user"), linux={"uidMappings": many, "gidMappings": many}))
        assert "apping" in said, said
        text = "A=" + "x" * 100000
        out = box.says(s, box.sh(s, "env | wc -c", env=["PATH=/bin"] + ["V%d=%s" % (i, "y" * 100000) for i in range(4)] + [text]))
        assert int(out) > 500000, out
        assert box.refused(s, box.sh(s, "true", env=["A=" + "x" * (1 << 20)]))  # one string is of 128 KiB at most, says the kernel
        long = "/" + "/".join(["d" * 200] * 330)
        for made in (box.sh(s, "true", cwd=long), box.sh(s, "true", mounts=[{"destination": long, "type": "tmpfs"}]), box.spec(s, long),
                     box.sh(s, "true", root={"path": long}), box.sh(s, "true", hostname="h" * 65)):
            assert box.refused(s, made)
        assert box.says(s, box.sh(s, "echo still")) == "still\n"


def test_names():
    with box.supervisor() as s:
        before = sorted(map(str, s.dir.glob("*")))
        for name in "../x", "a/b", "x" * 4096, "\u00fc", "", ".", "..", "-x", "a b", "a\nb", "%s%n":
            for key in "id", "name":
                try:
                    s.connection.call("container.create", rootfs=str(s.rootfs), **{key: name})
                    raise AssertionError("%s %r was taken" % (key, name))
                except cow.RpcError as e:
                    assert key in str(e), e
        s.connection.send("container.create", rootfs=str(s.rootfs), name="a\0b")  # refused before anybody asks whose request it is
        assert s.connection.read_message()["error"]["code"] < 0
        assert sorted(map(str, s.dir.glob("*"))) == before and s.connection.call("container.list", all=True) == []


# Kernel settings (CVE-2022-0811, CVE-2025-52881).

def test_sysctl():
    files = ["/proc/sys/kernel/core_pattern", "/proc/sys/kernel/shm_rmid_forced", "/proc/sys/vm/swappiness"]
    before = [pathlib.Path(f).read_text() for f in files]
    with box.supervisor() as s:
        for key, value in (("kernel.shm_rmid_forced", "1+kernel.core_pattern=|/x"), ("kernel.shm_rmid_forced+kernel.core_pattern", "|/x"),
                           ("kernel.core_pattern", "|/x"), ("net/../kernel/core_pattern", "|/x"), ("net.ipv4../../kernel/core_pattern", "|/x"),
                           ("kernel/core_pattern", "|/x"), ("net.ipv4.ip_forward=1+kernel.core_pattern", "|/x"), ("vm.swappiness", "1"),
                           ("net...kernel.core_pattern", "|/x"), ("", "1")):
            assert box.refused(s, box.sh(s, "true", linux={"sysctl": {key: value}})), key
        # A /proc that is not one: nothing is written, no label, no setting.
        (s.rootfs / "fake/sys/net/ipv4").mkdir(parents=True)
        (s.rootfs / "fake/sys/net/ipv4/ip_forward").write_text("0")
        made = box.sh(s, "true", linux={"sysctl": {"net.ipv4.ip_forward": "1"}})
        made["mounts"][0] = {"destination": "/proc", "type": "bind", "source": str(s.rootfs / "fake"), "options": ["bind"]}
        try:
            box.run(s, made)
        except cow.RpcError:
            pass
        assert (s.rootfs / "fake/sys/net/ipv4/ip_forward").read_text() == "0"
    assert [pathlib.Path(f).read_text() for f in files] == before


# The control socket and the supervisor's directories (CVE-2020-15257, 2024-25621, 2021-41091).

def test_socket():
    with box.supervisor() as s:
        assert stat.S_IMODE(os.stat(s.socket).st_mode) == 0o600
        inodes = set()
        for fd in os.listdir("/proc/%d/fd" % s.process.pid):
            link = os.readlink("/proc/%d/fd/%s" % (s.process.pid, fd))
            inodes |= {link[8:-1]} if link.startswith("socket:[") else set()
        out = box.says(s, box.sh(s, "cat /proc/net/unix", namespaces=("pid", "mount", "ipc")))
        for line in out.splitlines()[1:]:
            fields = line.split()
            assert not (len(fields) > 7 and fields[7].startswith("@") and fields[6] in inodes), line
        # Another user, even where somebody opened the file's mode, is turned away by who it is.
        os.chmod(s.socket, 0o666)
        script = "import socket,sys\ns = socket.socket(socket.AF_UNIX)\ntry:\n s.connect(sys.argv[1])\n " \
                 "s.sendall(b'{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"version\"}\\n')\n print(s.recv(1000))\nexcept OSError as e: print(e)"
        out = subprocess.run(["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "python3", "-c", script, s.socket],
                             stdout=subprocess.PIPE, text=True, check=True).stdout
        assert "boot_id" not in out, out


def test_modes():
    with box.supervisor() as s:
        s.stop()
        shutil.rmtree(s.root)
        shutil.rmtree(s.state)
        s.start(prefix=["sh", "-c", "umask 0; exec \"$@\"", "sh"])
        s.connection = s.client()
        container = box.start(s, box.sh(s, "umask; sleep 1000"))
        cow.wait_for(lambda: box.output(s, container)[0], "the mask")
        assert box.output(s, container)[0] == "0022\n"
        for top in s.root, s.state:
            for path in [top, *top.rglob("*")]:
                mode = path.lstat().st_mode
                if stat.S_ISDIR(mode):
                    assert stat.S_IMODE(mode) & 0o066 == 0, (path, oct(mode))
                elif not stat.S_ISLNK(mode):
                    assert stat.S_IMODE(mode) & 0o022 == 0, (path, oct(mode))
        assert stat.S_IMODE(os.stat(s.socket).st_mode) == 0o600
        for path in s.state.rglob("*"):
            if path.is_file():
                assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, (path, oct(path.stat().st_mode))
        box.delete(s, container)


# What one container gets of another's (CVE-2021-21334).

def test_environments_do_not_mix():
    with box.supervisor() as s:
        numbers = [s.connection.send("container.create", spec=box.sh(s, "echo $WHO $(hostname)", env=["PATH=/bin", "WHO=%d" % i],
                                                                     hostname="h%d" % i)) for i in range(100)]
        ids = [s.connection.answer(n)["id"] for n in numbers]
        for method in "container.start", "container.wait":
            for n in [s.connection.send(method, container=i) for i in ids]:
                s.connection.answer(n)
        for i, container in enumerate(ids):
            assert box.output(s, container)[0] == "%d h%d\n" % (i, i)
            box.delete(s, container)


# Output without end (CVE-2022-1708, CVE-2022-31030, CVE-2025-64329).

QUARANTINE = {"ASAN_OPTIONS": "quarantine_size_mb=1"}  # or freed memory is kept, where a build looks for errors


def test_output_without_end():
    with box.supervisor(env=QUARANTINE) as s:
        container = box.start(s, box.sh(s, "yes"), log={"max_bytes": 1 << 20, "files": 2})
        idle = box.start(s, box.sh(s, "sleep 1000"))
        before = rss(s.process.pid)
        # An exec whose output nobody reads, and one whose client has gone.
        for _ in range(5):
            read, write = os.pipe()
            gone = s.client()
            gone.send("container.exec", container=idle, args=["yes"])
            gone.close()
            os.close(read)
            os.close(write)
        until = time.monotonic() + 3
        while time.monotonic() < until:
            assert s.call("version")
            time.sleep(0.1)
        grown = rss(s.process.pid) - before
        assert grown < 32 << 10, grown
        logs = sum(p.stat().st_size for p in s.dir.rglob("*") if p.is_file() and container in str(p) and "log" in str(p))
        assert 0 < logs <= 3 << 20, logs
        for c in container, idle:
            box.delete(s, c)


def test_attach_and_leave():
    with box.supervisor(env=QUARANTINE) as s:
        container = box.start(s, box.sh(s, "while :; do echo line; sleep 0.01; done"))

        def some(n):
            for _ in range(n):
                c = s.client()
                c.call("container.attach", container=container)
                c.close()
            return len(os.listdir("/proc/%d/fd" % s.process.pid)), rss(s.process.pid)
        some(200)
        cow.wait_for(lambda: len(os.listdir("/proc/%d/fd" % s.process.pid)) < 60, "the descriptors to go")
        fds, size = len(os.listdir("/proc/%d/fd" % s.process.pid)), rss(s.process.pid)
        some(1000)
        cow.wait_for(lambda: len(os.listdir("/proc/%d/fd" % s.process.pid)) <= fds, "the descriptors to go")
        assert rss(s.process.pid) - size < 8 << 10, (size, rss(s.process.pid))
        box.delete(s, container)


# Signals to the wrong process, fork bombs, escapes.

def test_only_its_own_are_killed():
    """Process numbers that come round every few hundred: nobody but the container gets its signals."""
    with box.supervisor() as s:
        s.stop()
        s.start(prefix=["unshare", "-p", "-f", "-m", "--mount-proc", "--kill-child", "sh", "-c",
                        "echo 400 2>/dev/null >/proc/sys/kernel/pid_max; exec \"$@\"", "sh"])
        s.connection = s.client()
        canaries = [box.start(s, box.sh(s, "trap 'echo hit' HUP INT TERM USR1 USR2; while :; do sleep 1000 & wait; done")) for _ in range(5)]
        for i in range(40):
            container = box.start(s, box.sh(s, "sleep 0.00%d" % (i % 10)))
            while True:
                try:
                    s.connection.call("container.kill", container=container, signal=("TERM", "USR1", "HUP")[i % 3])
                except cow.RpcError:
                    break
            box.wait(s, container)
            for signo in "TERM", "KILL":
                try:
                    s.connection.call("container.kill", container=container, signal=signo)
                except cow.RpcError:
                    pass
            box.delete(s, container)
        for container in canaries:
            assert s.connection.call("container.inspect", container=container)["state"] == "running"
            assert box.output(s, container) == ["", ""], box.output(s, container)
            box.delete(s, container)


def test_fork_bomb():
    with box.supervisor() as s:
        bomb = s.connection.call("container.create", rootfs=str(s.rootfs), args=["/bin/sh", "-c", "f() { f | f & }; f; sleep 1000"], pids=60)["id"]
        s.connection.call("container.start", container=bomb)
        time.sleep(0.5)
        begin = time.monotonic()
        assert box.says(s, box.sh(s, "echo alive")) == "alive\n"
        assert s.connection.call("container.stats", container=bomb)[0]["pids"] <= 60
        box.delete(s, bomb)
        assert time.monotonic() - begin < 20


def test_no_way_to_the_host():
    """The default container: no mount, no raw device, no kernel setting, no cgroup control, no other's process."""
    tries = {
        "mount": "mount -t tmpfs x /tmp", "cgroup": "mkdir -p /tmp/c && mount -t cgroup -o devices x /tmp/c", "device": "mknod /tmp/sda b 254 0 && head -c 1 /tmp/sda",
        "sysctl": "echo x >/proc/sys/kernel/core_pattern", "sysrq": "echo h >/proc/sysrq-trigger", "kcore": "head -c 1 /proc/kcore | grep -q .",
        "release_agent": "for f in $(find /sys/fs/cgroup -name release_agent); do echo x >$f && exit 0; done; exit 1",
        "unshare": "unshare -m true", "chroot": "chroot /proc/1/root/../../.. test -e /work", "kill": "kill -0 2000000 2>/dev/null", "module": "insmod /x 2>/dev/null",
        "hostname": "hostname evil", "time": "date -s 2000-01-01 2>&1 | grep -q permitted && exit 1", "keys": "head -c 1 /proc/keys | grep -q .", "nice": "renice -n -5 -p $$"}
    with box.supervisor() as s:
        for name, script in tries.items():
            container = s.connection.call("container.create", rootfs=str(s.rootfs), args=["/bin/sh", "-c", script])["id"]
            s.connection.call("container.start", container=container)
            end = box.wait(s, container)
            assert end["exit_code"] != 0, (name, box.output(s, container))
            box.delete(s, container)


if __name__ == "__main__":
    cow.main([value for name, value in list(globals().items()) if name.startswith("test_")])
