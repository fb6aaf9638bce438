# SPDX-License-Identifier: MIT
"""Input that is wrong, absent, huge or hostile: an error that names the object and the cause, nothing left behind, and
a supervisor that does its work afterwards."""
import copy
import json
import os
import pathlib
import shutil
import subprocess
import threading

import bad
import cow
from bad import expect

EPERM, EINVAL, ENOENT, ENOTDIR, EEXIST, ELOOP, EACCES, E2BIG, ENODEV, ENOSPC = 1, 22, 2, 20, 17, 40, 13, 7, 19, 28
INVALID_PARAMS = 32602


def test_wrong_types():
    """Each value of a spec in turn, replaced by one of each other type: it is named, or does no harm."""
    def places(value, way=()):
        if way:
            yield way
        items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        for key, child in items:
            yield from places(child, (*way, key))

    def replaced(spec, way, value):
        spec = copy.deepcopy(spec)
        at = spec
        for key in way[:-1]:
            at = at[key]
        at[way[-1]] = value
        return spec

    with bad.herd() as h:
        spec = full_spec(h)
        h.client.call("container.delete", container=h.create(spec=spec))
        wrong = ("text", -1, 1.5, True, [], [7], {}, {"x": 7}, None, 1 << 63, "")
        refused = accepted = 0
        unclear = []
        for number, way in enumerate(places(spec)):
            # Three of the values for each place; which ones, moves on from place to place.
            for value in (wrong * 2)[number % len(wrong):][:3]:
                name = h.id()
                try:
                    h.create(id=name, spec=replaced(spec, way, value))
                    h.client.call("container.delete", container=name)
                    accepted += 1
                except cow.RpcError as e:
                    refused += 1
                    if e.code not in (-EINVAL, -ENOENT, -ENOTDIR, -EPERM) or not names(str(e), way, value):
                        unclear.append((way, value, str(e)))
        assert not unclear, "\n".join(map(str, unclear))
        assert refused > accepted > 0, (refused, accepted)


def test_long_cgroup_paths():
    """Made or refused, whatever the kernel thinks of the name: nothing is left that could not be removed again."""
    with bad.herd() as h:
        for path in (h.mark + "a" * 300, "a" * 5000, "/a" * 2040, "/" * 5000 + h.mark, h.mark + "/a" * 50, "/x/../../y", "/", "../y", "a\nb"):
            name = h.id()
            try:
                h.create(id=name, spec=h.spec(linux__cgroupsPath=path))
                h.client.call("container.start", container=name)
                h.client.call("container.wait", container=name)
                h.client.call("container.delete", container=name)
                assert len(path.replace("/", "")) < 1000, path[:50]
            except cow.RpcError as e:
                assert -e.code in (EINVAL, 36) and "cgroup" in str(e), e
            h.check()


def names(message, way, value):
    """Does it say where (a pointer, or the kernel's name for it), or quote what was given?"""
    words = [str(key).rstrip("s").upper() for key in way[1:] or way]
    return any(word in message.upper() for word in words) or isinstance(value, str) and value and value in message


def full_spec(h):
    return h.spec(
        process={"args": ["true"], "cwd": "/", "env": ["PATH=/bin"], "terminal": False, "noNewPrivileges": True,
                 "user": {"uid": 0, "gid": 0, "umask": 18, "additionalGids": [1, 2]}, "oomScoreAdj": 10,
                 "capabilities": {k: ["CAP_KILL"] for k in ("bounding", "effective", "permitted")},
                 "rlimits": [{"type": "RLIMIT_NOFILE", "hard": 100, "soft": 100}]},
        hostname="h", annotations={"a": "b"},
        mounts=[{"destination": "/proc", "type": "proc", "source": "proc", "options": ["nosuid", "ro"]},
                {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["mode=755", "size=65536k"]}],
        linux={"namespaces": bad.NAMESPACES, "maskedPaths": ["/proc/kcore"], "readonlyPaths": ["/proc/sys"],
               "devices": [{"path": "/dev/fuse", "type": "c", "major": 10, "minor": 229, "fileMode": 438}],
               "sysctl": {"net.ipv4.ip_forward": "0"}, "rootfsPropagation": "private",
               "resources": {"memory": {"limit": 33554432}, "pids": {"limit": 10}, "cpu": {"shares": 100},
                             "devices": [{"allow": False, "access": "rwm"}]},
               "seccomp": {"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64"], "syscalls": [
                   {"names": ["reboot"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1, "args": [
                       {"index": 0, "value": 1, "op": "SCMP_CMP_EQ"}]}]}})


def test_wrong_parameters():
    with bad.herd() as h:
        texts = ("id", "name", "owner", "bundle", "rootfs", "cwd", "user", "hostname", "backend", "isolation")
        lists = ("args", "env", "mounts", "cap_add", "cap_drop")
        flags = ("terminal", "open_stdin", "init", "privileged", "read_only", "keep_on_failure", "auto_remove")
        objects = ("labels", "annotations", "health", "log")
        numbers = ("pids", "cpus", "stop_timeout_s", "height", "width")
        for keys, wrong in ((texts, (1, [], {}, True)), (lists, (1, "x", {}, [1])), (flags, (1, "true", [], {})),
                            (objects, (1, "x", [], True)), (numbers, ("1", [], {}, True, -1, 1e300))):
            for key in keys:
                for value in wrong:
                    params = {"spec": h.spec(), key: value}
                    if key in ("bundle", "rootfs"):
                        del params["spec"]
                    expect(h.create, EINVAL, "/" + key, **params)
        expect(h.create, EINVAL, "/spec", spec=[])
        expect(h.create, EINVAL, "/nonsense", nonsense=1)
        expect(h.client.call, EINVAL, "only one of", method="container.create", spec=h.spec(), rootfs="/")
        methods = ("start stop kill delete release pause resume wait restart inspect top logs attach resize exec").split()
        for method in methods:
            name = "container." + method
            for value in (1, None, [], {}, True):
                expect(h.client.call, INVALID_PARAMS, "container", method=name, container=value)
            expect(h.client.call, ENOENT, "nobody: no such container", method=name, container="nobody")
            expect(h.client.call, ENOENT, "no such container", method=name, container="../" * 1000)
            if method != "exec":
                expect(h.client.call, INVALID_PARAMS, "/nonsense: unknown", method=name, container="x", nonsense=1)


def test_absent():
    with bad.herd() as h:
        here = h.dir
        h.refuses(EINVAL, "/bundle", bundle="relative")
        h.refuses(ENOENT, "/nowhere", "config.json not found", bundle="/nowhere")
        h.refuses(ENOENT, str(here), "config.json not found", bundle=str(here))
        for name, make in (("dir", os.mkdir), ("fifo", os.mkfifo), ("loop", lambda p: os.symlink(p, p))):
            (here / name).mkdir()
            make(str(here / name / "config.json"))
            h.refuses((), str(here / name), "config.json", bundle=str(here / name))
        for kind, params in (("rootfs", lambda p: {"rootfs": p}), ("root", lambda p: {"spec": h.spec(root={"path": p})})):
            os.symlink("me", here / ("me" if kind == "rootfs" else "again"))
            h.refuses(ENOENT, "rootfs /nowhere: ", "o such file or directory", **params("/nowhere"))
            h.refuses(ENOTDIR, "rootfs /etc/passwd: ", "ot a directory", **params("/etc/passwd"))
            h.refuses(ELOOP, "rootfs %s: " % (here / "me"), "oo many levels of symbolic links", **params(str(here / "me")))
            h.refuses((), "rootfs", "/" + "x" * 64, **params("/" + "x" * 4095))
        h.refuses(EINVAL, "/root", spec=h.spec(root=None))
        h.refuses(EINVAL, "/process/args", spec=h.spec(process={"cwd": "/"}))
        absent_programs(h)
        absent_things(h)


def absent_programs(h):
    h.refuses(ENOENT, '"nope": executable file not found in $PATH', spec=h.spec("nope"))
    h.refuses(ENOENT, '"/bin/nope": no such file', spec=h.spec("/bin/nope"))
    h.refuses(EACCES, '"/etc/passwd": permission denied', spec=h.spec("/etc/passwd"))
    h.refuses(EACCES, '"/bin": permission denied', spec=h.spec("/bin"))
    (h.rootfs / "garbage").write_bytes(b"\x7fELF" + b"\xff" * 100)
    (h.rootfs / "no-interpreter").write_text("#!/no/such/shell\n")
    for name in "garbage", "no-interpreter":
        (h.rootfs / name).chmod(0o755)
        h.refuses((), '"/%s": ' % name, spec=h.spec("/" + name))
    h.refuses((), '"true": argument list too long', spec=h.spec("true", process__env=["PATH=/bin", "A=" + "x" * 1000000]))
    for words, code in ((["nope"], 127), (["/bin/nope"], 127), (["/etc/passwd"], 126), (["/bin"], 126)):
        done = h.supervisor.cli("run", "--rm", "--rootfs", str(h.rootfs), *words)
        assert done.returncode == code and words[0].encode() in done.stderr, done
    for words in ["run", "--rootfs", "/nowhere", "true"], ["run", "--bundle", "/nowhere"], ["run", "--nonsense"], \
            ["run", "--name", "a/b", "--rootfs", str(h.rootfs), "true"]:
        done = h.supervisor.cli(*words)
        assert done.returncode == 125 and done.stderr, done


def absent_things(h):
    def mount(**more):
        return h.spec(mounts=[{"destination": "/x", **more}])
    h.refuses(ENOENT, "mount /x: source /nowhere: no such file", spec=mount(type="bind", source="/nowhere", options=["bind"]))
    h.refuses(ENODEV, "mount /x: type nofs", spec=mount(type="nofs", source="x"))
    h.refuses(EINVAL, "mount /x: tmpfs", "size", spec=mount(type="tmpfs", options=["size=huge"]))
    h.refuses((), "mount /bin/sh/x: ", spec=h.spec(mounts=[{"destination": "/bin/sh/x", "type": "tmpfs"}]))
    h.refuses((), "mount", spec=h.spec(mounts=[{"destination": "/" + "x" * 300, "type": "tmpfs"}]))
    h.refuses((), "working directory /bin/sh", spec=h.spec(process__cwd="/bin/sh"))
    h.refuses(ENOENT, "/nowhere", spec=h.spec(linux__namespaces=[{"type": "mount"}, {"type": "network", "path": "/nowhere"}]))
    h.refuses(EINVAL, "/etc/passwd", spec=h.spec(linux__namespaces=[{"type": "mount"}, {"type": "pid", "path": "/etc/passwd"}]))
    h.refuses((), "sysctl net.no.such: ", spec=h.spec(linux__sysctl={"net.no.such": "1"}))
    h.refuses((), "/nowhere", spec=h.spec(hooks={"createRuntime": [{"path": "/nowhere"}]}))
    h.refuses((), "nobody-here", rootfs=str(h.rootfs), user="nobody-here")
    h.refuses(EINVAL, "second pid namespace", spec=h.spec(linux__namespaces=bad.NAMESPACES * 2))


def test_huge():
    with bad.herd() as h:
        texts = {"a%d" % i: "x" * 1000 for i in range(10000)}
        assert h.run(spec=h.spec(annotations=texts)) == 0
        bundle = h.dir / "huge"
        bundle.mkdir()
        (bundle / "config.json").write_text(json.dumps(h.spec(annotations=texts)))
        assert h.run(bundle=str(bundle)) == 0
        with open(bundle / "config.json", "a") as file:
            file.truncate(1 << 30)
        h.refuses((), str(bundle), "config.json: File too large", bundle=str(bundle))
        assert h.run(spec=h.spec(process__env=["PATH=/bin"] + ["A%d=%s" % (i, "x" * 1000) for i in range(1000)])) == 0
        h.refuses(ENOSPC, "mounts: 100000", "fs.mount-max",
                  spec=h.spec(mounts=[{"destination": "/m%d" % i, "type": "tmpfs"} for i in range(100000)]))
        rows = [{"containerID": i, "hostID": 100000 + i, "size": 1} for i in range(70000)]
        h.refuses(EINVAL, "/linux/uidMappings: more than 340",
                  spec=h.spec(linux={"namespaces": bad.NAMESPACES + [{"type": "user"}], "uidMappings": rows,
                                     "gidMappings": rows[:1]}))

        proc = pathlib.Path("/proc/%d" % h.supervisor.process.pid)
        if not cow.SANITIZED:
            cow.wait_for(lambda: resident(proc) < 16 << 20, "the memory to be given back, not %d" % resident(proc))


def resident(proc):
    return int((proc / "statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_names():
    with bad.herd() as h:
        for key in "id", "name":
            for name in ("", ".", "..", "a/b", "/", "../../etc", "x" * 129, "x" * 4096, "-x", ".x", "a b", "a\nb", "\u00e4",
                         "\u202e", "%s%n", "a\tb"):
                e = expect(h.create, EINVAL, "/%s: " % key, "is not 1 to 128", **{key: name})
                assert all(ord(c) >= 32 for c in str(e)), e
        longest = h.mark + "x" * (128 - len(h.mark))
        assert h.run(id=longest) == 0


def test_duplicates():
    with bad.herd() as h:
        first, second = h.create(name="one"), h.create(name="two")
        expect(h.create, EEXIST, "container %s already exists" % first, id=first)
        expect(h.create, EEXIST, "container one already exists", name="one")
        expect(h.create, EEXIST, "container %s already exists" % second, name=second)
        expect(h.create, EEXIST, "container two already exists", id="two")
        for c in first, second:
            h.client.call("container.delete", container=c)
        for key in "id", "name":
            codes = together(h, 16, {key: h.mark + "-same"})
            assert codes.count(0) == 1 and set(codes) == {0, -EEXIST}, codes
            h.client.call("container.delete", container=h.mark + "-same")


def together(h, n, params):
    """n clients create at once; what each was told."""
    codes = []
    barrier = threading.Barrier(n)

    def create(number):
        client = h.supervisor.client()
        barrier.wait()
        try:
            client.call("container.create", **{"id": "%s-t%d" % (h.mark, number), **params}, spec=h.spec())
            codes.append(0)
        except cow.RpcError as e:
            codes.append(e.code)
        client.close()

    threads = [threading.Thread(target=create, args=(i,)) for i in range(n)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    return codes


def test_hostile_rootfs():
    """Links in the root filesystem that lead out: nothing outside is touched."""
    with bad.herd() as h:
        outside = h.dir / "outside"
        outside.mkdir()
        (outside / "passwd").write_text("root:x:0:0::/:/bin/sh\n")
        links = {"proc": "/", "dev": str(outside), "sys": "../../../../..", "run": "/proc/1/root", "mnt": str(outside / "passwd"),
                 "loop": "loop", "up": "../" * 40 + str(outside)[1:]}
        for name, target in links.items():
            path = h.rootfs / name
            if path.is_dir():
                shutil.rmtree(path)
            path.symlink_to(target)
        before = snapshot(outside)
        for name in links:
            for kind in {"type": "tmpfs", "source": "tmpfs"}, {"type": "proc", "source": "proc"}, \
                    {"type": "bind", "source": str(h.dir / "rootfs/etc"), "options": ["bind"]}, \
                    {"type": "bind", "source": "/etc/hostname", "options": ["bind"]}:
                for below in "", "/below/more":
                    try:
                        h.run(spec=h.spec("true", mounts=[{"destination": "/%s%s" % (name, below), **kind}]))
                    except cow.RpcError as e:
                        assert "mount /%s" % name in str(e) or "exec" in str(e) or "device" in str(e), e
        for params in {"rootfs": str(h.rootfs)}, {"rootfs": str(h.rootfs), "cwd": "/up/new"}, \
                {"spec": h.spec(linux__maskedPaths=["/up/passwd", "/loop"], linux__readonlyPaths=["/dev", "/up"])}, \
                {"spec": h.spec(linux__devices=[{"path": "/up/null", "type": "c", "major": 1, "minor": 3}])}:
            try:
                h.run(args=["true"], **params)
            except cow.RpcError as e:
                assert str(e), e
        assert snapshot(outside) == before
        for name in links:
            (h.rootfs / name).unlink()


def snapshot(top):
    return sorted((str(p), p.lstat().st_mode, p.lstat().st_mtime_ns) for p in [top, *top.rglob("*")])


def test_configuration():
    """A configuration that does not hold: `daemon` does not start, `check` says the same, `reload` changes nothing."""
    with bad.herd() as h:
        path = h.supervisor.config
        (h.dir / "second").mkdir()
        second = cow.Supervisor(directory=h.dir / "second")
        for text, words in (
                ('{\n"plugins": {"nosuch": {}}}', [":2:", "/plugins/nosuch", "nosuch"]),
                ('{"containers": {"a/b": {"rootfs": "/x"}}}', [":1:", "/containers/a~1b"]),
                ('{"containers": {"a": {"rootfs": "/x", "depends_on": ["b"]}}}', ["/containers/a/depends_on", "b"]),
                ('{"owner": "a"', [":1:", "expected"]), ("", ["expected a value"]), ("\xff", [":1:1"]),
                ('{"a\\n\\u001b[2Jb": 1}', ["unknown key"]), ("[" * 100000, ["nested deeper than 64"])):
            for config in path, second.config:
                config.write_text(text, encoding="latin-1")
            e = expect(h.client.call, (), str(path), *words, method="reload")
            assert all(ord(c) >= 32 for c in str(e)), e
            for command in [cow.COWHERD, "check", str(second.config)], second.command():
                done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                                      timeout=30)
                output = done.stdout.decode("utf-8", "replace")
                assert done.returncode != 0 and str(second.config) in output and "\x1b" not in output, (command, done)
                for word in words:
                    assert word in output, (word, output)
        path.write_text("{}")
        h.client.call("reload")


if __name__ == "__main__":
    cow.main([test_wrong_types, test_long_cgroup_paths, test_wrong_parameters, test_absent, test_huge, test_names, test_duplicates,
              test_hostile_rootfs, test_configuration])
