# SPDX-License-Identifier: MIT
"""The verb layer on directories: lifecycle with real mounts, archives of Linux and Windows layers, hostile ones."""
import contextlib
import gzip
import io
import json
import os
import pathlib
import random
import shutil
import stat
import subprocess
import tarfile
import tempfile

import cow


@contextlib.contextmanager
def place():
    """A directory of the test's own; nothing stays mounted in it."""
    d = pathlib.Path(tempfile.mkdtemp(prefix="cowherd-layer-"))
    try:
        yield d
    finally:
        assert str(d) not in mounts(), mounts()
        shutil.rmtree(d)


def mounts():
    return pathlib.Path("/proc/self/mountinfo").read_text()


def layer(d, *words, data=None, fail=False):
    """Without a supervisor: the client has the plugin in its own process."""
    p = subprocess.run([cow.COWHERD, "--host", "unix://%s/none" % d, "layer", *map(str, words)], cwd=d, input=data or b"",
                       stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    if fail:
        assert p.returncode, (words, p.stdout)
        return p.stderr.decode()
    assert p.returncode == 0, (words, p.stderr)
    return p.stdout


def tar(entries):
    """entries: (name, type, data or link, pax records)."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as t:
        for name, kind, content, *more in entries:
            info = tarfile.TarInfo(name)
            info.type = kind
            info.mode = 0o755 if kind == tarfile.DIRTYPE else 0o644
            info.mtime = 1600000000.5
            info.pax_headers = dict(more[0]) if more else {}
            if kind == tarfile.REGTYPE:
                info.size = len(content)
                t.addfile(info, io.BytesIO(content))
            else:
                info.linkname = content
                t.addfile(info)
    return out.getvalue()


def entries(data):
    with tarfile.open(fileobj=io.BytesIO(data)) as t:
        return [(i.name, i.type, i.mode, i.uid, i.size, i.linkname, i.mtime,
                 sorted((k, v) for k, v in i.pax_headers.items() if not k.startswith("GNU.sparse")),
                 t.extractfile(i).read() if i.type == tarfile.REGTYPE else None) for i in t]


DIR, REG, SYM, LNK = tarfile.DIRTYPE, tarfile.REGTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE
LINUX = [("etc", DIR, ""), ("etc/a", REG, b"one"), ("etc/gone", REG, b"x"), ("old", DIR, ""), ("old/x", REG, b"x")]
UPPER = [("etc/.wh.gone", REG, b""), ("etc/b", REG, b"two"), ("old", DIR, ""), ("old/.wh..wh..opq", REG, b""),
         ("old/y", REG, b"y")]


def attributes(n, **more):
    return {"MSWINDOWS.fileattr": str(n), "MSWINDOWS.rawsd": "AQAEgBQAAAAkAAAA", "LIBARCHIVE.creationtime": "1500000000.123",
            "atime": "1500000001.25", "ctime": "1500000002.75", **more}


WINDOWS = [
    ("Files", DIR, "", attributes(16)),
    ("Files/Windows", DIR, "", attributes(16)),
    ("Files/Windows/z.dll", REG, b"dll", attributes(32)),
    ("Files/Windows/z.dll:b", REG, b"stream b"),
    ("Files/Windows/z.dll:a", REG, b"stream a"),
    ("Files/Windows/a.dll", LNK, "Files/Windows/z.dll"),
    ("Files/Windows/hidden.sys", REG, b"x" * 10000, attributes(39, **{"MSWINDOWS.xattr.EA": "AAEC"})),
    ("Files/Windows/large.sd", REG, b"q", attributes(32, **{"MSWINDOWS.rawsd": "A" * 9000})),
    ("Files/Windows/sparse", REG, b"a" + bytes(1 << 20) + b"b", attributes(0x220)),
    ("Files/Users", SYM, "\\??\\C:\\Windows", attributes(1040, **{"MSWINDOWS.mountpoint": "1"})),
    ("Files/Windows/rel", SYM, "..\\Users", attributes(1024)),
    ("Hives", DIR, "", attributes(16)),
    ("Hives/System_Delta", REG, b"regf"),
    ("UtilityVM", DIR, "", attributes(16)),
    ("UtilityVM/Files", DIR, "", attributes(16)),
    ("UtilityVM/Files/EFI", DIR, ""),
    ("UtilityVM/Files/EFI/Microsoft", DIR, ""),
    ("UtilityVM/Files/EFI/Microsoft/Boot", DIR, ""),
    ("UtilityVM/Files/EFI/Microsoft/Boot/BCD", REG, b"bcd", attributes(32)),
    ("UtilityVM/Files/EFI/Microsoft/Boot/BCD.LOG", REG, b"log", attributes(32)),
    ("UtilityVM/Files/k", REG, b"kernel", attributes(32)),
]
DIFF = [("Files", DIR, "", attributes(16)), ("Files/Windows", DIR, "", attributes(16)),
        ("Files/Windows/.wh.hidden.sys", REG, b""), ("Files/Windows/link", LNK, "Files/Windows/large.sd"),
        ("UtilityVM", DIR, "", attributes(16)), ("UtilityVM/Files", DIR, "", attributes(16)),
        ("UtilityVM/Files/.wh.k", REG, b""), ("UtilityVM/Files/new", REG, b"new", attributes(32))]


def test_linux_there_and_back():
    with place() as d:
        assert layer(d, "import", "base", data=gzip.compress(tar(LINUX))) == b"5\n"
        assert layer(d, "import", "-l", "base", "top", data=tar(UPPER)) == b"4\n"
        assert json.loads((d / "top/layerchain.json").read_text()) == [str(d / "base")]
        assert (d / "top/layerchain.json").stat().st_mode & 0o777 == 0o600
        assert layer(d, "chain", "top") == b"%s\n" % bytes(d / "base")
        assert not layer(d, "chain", "base")
        out = layer(d, "export", "base")
        assert sorted(e[0] for e in entries(out)) == sorted(e[0] for e in LINUX)
        out = layer(d, "export", "top")
        assert sorted(e[0] for e in entries(out)) == sorted({"etc"} | {e[0] for e in UPPER}), entries(out)
        assert gzip.decompress(layer(d, "export", "-z", "top")) == out == layer(d, "export", "top")
        assert "is there already" in layer(d, "import", "base", data=tar(LINUX), fail=True)
        layer(d, "create", "--read-only", "-l", "base", "empty")
        assert layer(d, "apply", "-l", "base", "empty", data=tar(UPPER)) == b"4\n"


def test_windows_there_and_back():
    with place() as d:
        size = sum(len(e[2]) for e in WINDOWS if e[1] == REG and ":" not in e[0])
        assert layer(d, "import", "base", data=tar(WINDOWS)) == b"%d\n" % size
        assert entries(layer(d, "export", "base")) == entries(tar(WINDOWS))
        assert layer(d, "import", "-l", "base", "diff", data=tar(DIFF)) == b"3\n"
        assert entries(layer(d, "export", "diff")) == entries(tar(DIFF))
        assert (d / "diff/tombstones.txt").read_bytes() == b"\xef\xbb\xbfVersion 1.0\n\\Windows\\hidden.sys\n"
        assert (d / "base/bcd.bak").read_bytes() == b"bcd" and (d / "base/bcd.log.bak").read_bytes() == b"log"
        hidden = d / "base/Files/Windows/hidden.sys"
        assert os.getxattr(hidden, "user.DOSATTRIB") == b"0x6" and hidden.stat().st_mode & 0o777 == 0o444
        assert os.getxattr(hidden, "user.mswindows.fileattr") == b"39"
        assert (d / "base/Files/Windows/sparse").stat().st_blocks * 512 < 1 << 20
        assert os.readlink(d / "base/Files/Users") == "Windows"
        assert not (d / "diff/UtilityVM/Files/k").exists() and (d / "base/UtilityVM/Files/k").exists()
        # The parent's utility VM is shared by hard links, but for the boot files, which are changed.
        boot = "UtilityVM/Files/EFI/Microsoft/Boot/BCD"
        assert (d / "diff" / boot).stat().st_ino != (d / "base" / boot).stat().st_ino
        (d / "base" / boot).write_bytes(b"changed")
        assert entries(layer(d, "export", "base")) == entries(tar(WINDOWS))
        # Without its list an export finds the same files.
        (d / "base/entries").unlink()
        found = {e[0] for e in entries(layer(d, "export", "base"))}
        assert found == {e[0] for e in WINDOWS}, found


def test_windows_refused():
    files = ("Files", DIR, "")
    cases = [
        ([files, ("Files/.wh.x", REG, b"")], False, "base layer cannot have tombstones"),
        ([files, ("Hives/.wh.x", REG, b"")], True, "invalid tombstone Hives\\x"),
        ([files, ("Files/.wh.", REG, b"")], True, "invalid tombstone"),
        ([files, ("Files/.wh...", REG, b"")], True, "invalid tombstone"),
        ([files, ("Files/l", LNK, "Hives/System_Delta")], True, "invalid hard link in layer"),
        ([files, ("Files/l", LNK, "../../etc/passwd")], True, "invalid hard link in layer"),
        ([files, ("Files/l", LNK, "Files/nothing")], True, "failed to find link target for 'Files\\l' -> 'Files\\nothing'"),
        ([files, ("UtilityVM/Files/x", REG, b"")], True, "missing UtilityVM directory"),
        ([files, ("UtilityVM", DIR, ""), ("UtilityVM/x", REG, b"")], True, "invalid UtilityVM layer"),
        ([files, ("Files/a:b", REG, b"")], False, "path contains invalid character `:`"),
        ([files, ("Files/a", REG, b""), ("Files/a:b:c", REG, b"")], False, "path contains invalid character `:`"),
        ([files, ("Files/a", REG, b""), ("Files/a:../../x", REG, b"")], False, "path contains invalid character `:`"),
        ([files, ("C:\\evil", REG, b"")], False, "path contains invalid character `:`"),
        ([files, ("Files/..\\..\\evil", REG, b"")], False, "path contains invalid character `\\`"),
        ([files, ("..\\evil", REG, b"")], False, "path contains invalid character `\\`"),
        ([files, ("Files/../../evil", REG, b"")], False, "path leads upwards"),
        ([files, ("/Files/evil", REG, b"")], False, "expected relative path"),
        ([files, ("evil", REG, b"")], False, "not below Files, Hives or UtilityVM"),
        ([files, ("layerchain.json", REG, b"[]")], False, "not below Files, Hives or UtilityVM"),
        ([files, ("Files/con.txt", REG, b"")], False, "name is reserved for a device"),
        ([files, ("Files/COM1", DIR, "")], False, "name is reserved for a device"),
        ([files, ("Files/j", SYM, "\\??\\C:\\"), ("Files/j/evil", REG, b"x")], False, "path leads through a link"),
        ([files, ("Files/j", SYM, "/tmp"), ("Files/j/evil", REG, b"x")], False, "path leads through a link"),
        ([files, ("Files/p", tarfile.FIFOTYPE, "")], False, "a type of entry that Windows does not have"),
    ]
    with place() as d:
        layer(d, "import", "base", data=tar(WINDOWS))
        before = sorted(os.listdir(d))
        for archive, diff, message in cases:
            said = layer(d, "import", *(["-l", "base"] if diff else []), "bad", data=tar(archive), fail=True)
            assert message in said, (message, said)
            assert sorted(os.listdir(d)) == before, os.listdir(d)
        assert not os.path.exists("/tmp/evil")
        cut = tar(WINDOWS)[:6000]
        assert layer(d, "import", "bad", data=cut, fail=True) and sorted(os.listdir(d)) == before
        cut = gzip.compress(tar(WINDOWS))[:-4]
        assert layer(d, "import", "bad", data=cut, fail=True) and sorted(os.listdir(d)) == before
        plain = [("Files", DIR, "")]
        layer(d, "import", "plain", data=tar(plain))
        said = layer(d, "import", "-l", "plain", "bad", data=tar([files, ("UtilityVM", DIR, "")]), fail=True)
        assert "cloning the parent utility VM image failed: " in said, said


def test_lifecycle():
    with place() as d:
        layer(d, "import", "base", data=tar(LINUX))
        layer(d, "import", "-l", "base", "top", data=tar(UPPER))
        assert "at least one read-only layer must be specified" in layer(d, "create", "rw", fail=True)
        layer(d, "create", "-l", "top", "-l", "base", "rw")
        assert "is not prepared" in layer(d, "path", "rw", fail=True)
        layer(d, "activate", "rw")
        layer(d, "prepare", "rw")
        layer(d, "prepare", "rw")
        root = pathlib.Path(layer(d, "path", "rw").decode().strip())
        assert sorted(os.listdir(root / "etc")) == ["a", "b"] and os.listdir(root / "old") == ["y"]
        (root / "etc/a").unlink()
        (root / "new").write_text("new")
        layer(d, "unprepare", "rw")
        layer(d, "unprepare", "rw")
        layer(d, "deactivate", "rw")
        out = entries(layer(d, "export", "rw"))
        assert [e[0] for e in out] == ["etc", "etc/.wh.a", "new"], out
        assert layer(d, "path", "base").decode().strip() == str(d / "base/fs")
        # wclayer's forms, a second place, and whoever comes later takes it all away.
        (d / "here").mkdir()
        assert layer(d, "mount", "rw", "here").decode().strip() == str(d / "here")
        assert (d / "here/new").read_text() == "new"
        layer(d, "mount", "rw")
        layer(d, "unmount", "rw", "here")
        assert not os.listdir(d / "here") and str(d) not in mounts()
        layer(d, "mount", "rw", "here")
        layer(d, "remove", "rw")
        layer(d, "remove", "rw")
        assert not (d / "rw").exists() and not (d / "rw-removing").exists() and not os.listdir(d / "here")


def test_failing_mounts_leave_nothing():
    with place() as d:
        layer(d, "import", "base", data=tar(LINUX))
        layer(d, "create", "-l", "base", "rw")
        assert "nowhere" in layer(d, "mount", "rw", "nowhere", fail=True)
        assert str(d) not in mounts() and not (d / "rw/targets").exists()
        shutil.rmtree(d / "base")
        assert "base" in layer(d, "mount", "rw", fail=True)
        assert str(d) not in mounts()
        assert "layer.json: broken" not in layer(d, "mount", "base", fail=True)


def test_a_limit():
    with place() as d:
        layer(d, "import", "base", data=tar(LINUX))
        layer(d, "create", "-l", "base", "--size", "16m", "rw")
        root = pathlib.Path(layer(d, "mount", "rw").decode().strip())
        full = False
        try:
            (root / "big").write_bytes(bytes(20 << 20))
        except OSError as e:
            full = e.errno == 28
        assert full
        layer(d, "unmount", "rw")
        layer(d, "remove", "rw")


def test_128_layers():
    with place() as d:
        words = []
        for i in range(127):
            (d / ("l%d" % i)).mkdir()
            (d / ("l%d" % i) / ("f%d" % i)).write_text(str(i))
            words += ["-l", "l%d" % i]
        layer(d, "create", *words, "rw")
        root = pathlib.Path(layer(d, "mount", "rw").decode().strip())
        assert len(os.listdir(root)) == 127 and (root / "f126").read_text() == "126"
        layer(d, "remove", "rw")


def test_killed_anywhere():
    """SIGKILL at every n-th system call of mount, import and remove: afterwards one remove leaves nothing."""
    with place() as d:
        layer(d, "import", "base", data=tar(LINUX))
        (d / "here").mkdir()
        (d / "a.tar").write_bytes(tar(UPPER))
        killed = 0
        for words in (["mount", "rw", "here"], ["import", "-l", "base", "-i", "a.tar", "new"], ["remove", "rw"]):
            for call in "openat", "mkdir,mkdirat", "rename,renameat,renameat2", "move_mount", "fsync,syncfs", "unlinkat,umount2":
                for n in (2, 5) if cow.SANITIZED else (1, 2, 3, 5, 8, 13):
                    layer(d, "create", "-l", "base", "rw")
                    p = subprocess.run([*cow.STRACE, "-f", "-qq", "-o", "/dev/null", "-e",
                                    "inject=%s:signal=KILL:when=%d" % (call, n), cow.COWHERD, "--host", "unix://%s/none" % d,
                                    "layer", *words], cwd=d, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                    killed += p.returncode in (-9, 137)
                    for name in "rw", "new":
                        layer(d, "remove", name)
                    assert sorted(os.listdir(d)) == ["a.tar", "base", "here"], (words, call, n, os.listdir(d))
                    assert not os.listdir(d / "here") and str(d) not in mounts()
        assert killed > (13 if cow.SANITIZED else 40), killed


def test_packed():
    with place() as d:
        layer(d, "import", "base", data=tar(LINUX))
        assert layer(d, "import", "--vhd", "-l", "base", "top", data=gzip.compress(tar(UPPER))) == b"4\n"
        assert (d / "top/layer.vhd").read_bytes()[-512:-504] == b"conectix" and not (d / "top/fs").exists()
        assert layer(d, "get", "top", "etc/b") == b"two"
        assert [e[0] for e in entries(layer(d, "get", "-t", "top", "etc/b", "old"))] == ["etc/b", "old"]
        layer(d, "create", "-l", "top", "-l", "base", "rw")
        root = pathlib.Path(layer(d, "mount", "rw").decode().strip())
        assert sorted(os.listdir(root / "etc")) == ["a", "b"] and os.listdir(root / "old") == ["y"]
        layer(d, "remove", "rw")
        assert layer(d, "import", "--vhd", "bad", data=tar(LINUX)[:900], fail=True)
        assert sorted(os.listdir(d)) == ["base", "top"]


def picture(root):
    """Every file below root: type, mode, owner, content or size and time, as rsync looks at them."""
    found = {}
    for top, dirs, files in os.walk(root):
        for name in dirs + files:
            path = os.path.join(top, name)
            st = os.lstat(path)
            about = (st.st_mode, st.st_uid, st.st_gid)
            if not os.path.isdir(path) or os.path.islink(path):
                about += (st.st_size, st.st_mtime_ns, os.readlink(path) if os.path.islink(path) else
                          pathlib.Path(path).read_bytes())
            found[os.path.relpath(path, root)] = about
    return found


def changes_of(before, after):
    """What `changes` is to print."""
    kinds = {}
    for path in set(before) | set(after):
        if path not in before:
            kinds[path] = "A"
        elif path not in after:
            if all(os.path.dirname(path) == "" or p in after for p in [os.path.dirname(path)]):
                kinds[path] = "D"
        elif before[path] != after[path]:
            kinds[path] = "C"
    for path in list(kinds):
        while path := os.path.dirname(path):
            kinds.setdefault(path, "C")
    # Of a directory that is something else now, what was in it goes without saying.
    return sorted((k, "/" + p) for p, k in kinds.items()
                  if not (k == "D" and stat.S_ISREG(after.get(os.path.dirname(p), (stat.S_IFDIR,))[0])
                          or k == "D" and stat.S_ISLNK(after.get(os.path.dirname(p), (stat.S_IFDIR,))[0])))


def change(root, rng):
    """One change somewhere below root."""
    paths = sorted(picture(root))
    dirs = [""] + [p for p in paths if (root / p).is_dir() and not (root / p).is_symlink()]
    new = root / rng.choice(dirs) / ("n%d" % rng.randrange(30))
    old = root / rng.choice(paths) if paths else None
    kind = rng.randrange(8)
    if kind < 3 and not os.path.lexists(new):
        if kind == 0:
            new.write_text("new %d" % rng.random().__hash__())
        elif kind == 1:
            new.mkdir()
        else:
            new.symlink_to("target%d" % rng.randrange(9))
    elif old is None:
        return
    elif kind == 3:
        shutil.rmtree(old) if old.is_dir() and not old.is_symlink() else old.unlink()
    elif kind == 4 and not old.is_symlink():
        old.chmod(rng.choice([0o700, 0o755, 0o750]) if old.is_dir() else rng.choice([0o600, 0o4755]))
    elif kind == 5 and old.is_file() and not old.is_symlink():
        with open(old, "a") as f:
            f.write("more")
    elif kind == 6 and not os.path.lexists(new) and old.is_file() and not old.is_symlink():
        os.link(old, new)
    elif kind == 7 and old.is_file() and not old.is_symlink():
        old.unlink()
        old.mkdir()


def test_random_changes():
    for seed in range(2 if cow.SANITIZED else 6):
        rng = random.Random(seed)
        with place() as d:
            lower = []
            for i in range(3):
                source = d / "source"
                if lower:
                    layer(d, "create", *lower, "rw")
                    source = pathlib.Path(layer(d, "mount", "rw").decode().strip())
                else:
                    source.mkdir()
                before = picture(source)
                for _ in range(40):
                    change(source, rng)
                after = picture(source)
                if lower:
                    said = [tuple(line.split(" ", 1)) for line in layer(d, "changes", "rw").decode().splitlines()]
                    want = changes_of(before, after)
                    assert sorted(said) == want, (seed, set(said) ^ set(want))
                    shutil.copytree(source, d / "copy", symlinks=True)
                    whole = layer(d, "changes", "--whole", *lower, "copy").decode().splitlines()
                    assert sorted(tuple(line.split(" ", 1)) for line in whole) == want, (seed, whole, want)
                    tars = [layer(d, "diff", "rw"), layer(d, "export", "rw"), layer(d, "diff", "--whole", *lower, "copy")]
                    layer(d, "unmount", "rw")
                    assert layer(d, "export", "rw") == tars[1]
                else:
                    tars = [layer(d, "export", "source")]
                for n, data in enumerate(tars):
                    layer(d, "apply", *lower, "new%d" % n, data=data)
                    layer(d, "create", "-l", "new%d" % n, *lower, "look")
                    root = layer(d, "mount", "look").decode().strip()
                    now = picture(root)
                    assert now == after, (seed, i, n, [(p, now.get(p), after.get(p)) for p in set(now) | set(after)
                                                       if now.get(p) != after.get(p)][:3])
                    layer(d, "remove", "look")
                layer(d, "remove", "rw")
                os.rename(d / "new0", d / ("l%d" % i))
                for n in range(1, len(tars)):
                    layer(d, "remove", "new%d" % n)
                lower = ["-l", "l%d" % i] + lower
                shutil.rmtree(d / "copy", ignore_errors=True)


def test_single_files():
    with place() as d:
        layer(d, "import", "base", data=tar(LINUX))
        layer(d, "import", "win", data=tar(WINDOWS))
        assert layer(d, "get", "base", "/etc/a") == b"one"
        assert [e[0] for e in entries(layer(d, "get", "--tar", "base", "etc/a", "old"))] == ["etc/a", "old"]
        assert "No such file" in layer(d, "get", "base", "etc/none", fail=True)
        assert "use --tar" in layer(d, "get", "base", "etc", fail=True)
        boot = "UtilityVM/Files/EFI/Microsoft/Boot/BCD"
        (d / "win" / boot).write_bytes(b"changed")
        assert layer(d, "get", "win", boot) == b"bcd"
        got = entries(layer(d, "get", "--tar", "win", "Files/Windows/z.dll"))
        assert got == [e for e in entries(tar(WINDOWS)) if e[0].startswith("Files/Windows/z.dll")]
        (d / "base/fs/secret").symlink_to("/etc/passwd")
        assert layer(d, "get", "base", "secret", fail=True) and layer(d, "get", "base", "../layer.json", fail=True)


if __name__ == "__main__":
    cow.main([f for name, f in list(globals().items()) if name.startswith("test_")])
