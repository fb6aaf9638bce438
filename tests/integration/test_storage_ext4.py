#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""ext4 images: what is written from a tar is what tar unpacks, to e2fsck, to the kernel and to the reader; and the
reader reads what others have written."""
import errno
import hashlib
import io
import json
import os
import pathlib
import random
import resource
import shutil
import stat
import struct
import subprocess
import sys
import tarfile
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import cow  # noqa: E402

TOOL = os.environ["COW_BUILD"] + "/bin/disk_tool" if "COW_BUILD" in os.environ else ""
DATA = pathlib.Path(__file__).parent / "data"


def attributes(path):
    try:
        return sorted([x, os.getxattr(path, x, follow_symlinks=False).hex()] for x in os.listxattr(path, follow_symlinks=False))
    except OSError as e:
        if e.errno != errno.EOPNOTSUPP:  # a squashfs without any
            raise
        return []


def snapshot(root):
    """All of a tree that an archive keeps, by path."""
    files, first = {}, {}
    for directory, dirs, names in os.walk(root):
        dirs.sort()
        for name in sorted(dirs + names) + ([""] if directory == str(root) else []):
            path = os.path.join(directory, name) if name else directory
            key = os.path.relpath(path, root) if name else ""
            s = os.lstat(path)
            f = {"mode": s.st_mode, "uid": s.st_uid, "gid": s.st_gid, "mtime": s.st_mtime_ns, "xattrs": attributes(path)}
            if stat.S_ISREG(s.st_mode):
                f["size"] = s.st_size
                with open(path, "rb") as data:
                    f["digest"] = "sha256:" + hashlib.sha256(data.read()).hexdigest()
            elif stat.S_ISLNK(s.st_mode):
                f["link"] = os.readlink(path)
            elif stat.S_ISCHR(s.st_mode) or stat.S_ISBLK(s.st_mode):
                f["device"] = [os.major(s.st_rdev), os.minor(s.st_rdev)]
            if not stat.S_ISDIR(s.st_mode):
                f["nlink"] = s.st_nlink
                if s.st_nlink > 1:
                    first.setdefault((s.st_dev, s.st_ino), []).append(key)
            files[key] = f
    return finish(files, first)


def finish(files, links):
    for names in links.values():
        for name in names:
            files[name]["same"] = min(names)
    files.pop("lost+found", None)
    return files


def listed(image):
    """The same, by the reader."""
    r = subprocess.run([TOOL, "list", str(image)], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert r.returncode == 0, r.stderr
    files, links = {}, {}
    for line in r.stdout.splitlines():
        o = json.loads(line)
        key = bytes.fromhex(o["path"]).decode()
        f = {"mode": o["mode"], "uid": o["uid"], "gid": o["gid"], "mtime": o["mtime"] * 10**9 + o["nsec"],
             "xattrs": sorted([bytes.fromhex(k).decode(), v] for k, v in o["xattrs"])}
        if stat.S_ISREG(o["mode"]):
            f["size"], f["digest"] = o["size"], o["digest"]
        elif stat.S_ISLNK(o["mode"]):
            f["link"] = bytes.fromhex(o["link"]).decode()
        elif stat.S_ISCHR(o["mode"]) or stat.S_ISBLK(o["mode"]):
            f["device"] = [o["major"], o["minor"]]
        if not stat.S_ISDIR(o["mode"]):
            f["nlink"] = o["nlink"]
            if o["nlink"] > 1:
                links.setdefault(o["ino"], []).append(key)
        files[key] = f
    return finish(files, links)


def same(a, b, ignore=()):
    for key in sorted(set(a) | set(b)):
        x, y = a.get(key), b.get(key)
        if x and y:
            x, y = ({k: v for k, v in f.items() if k not in ignore} for f in (x, y))
        assert x == y, "%s: %.500s is not %.500s" % (key, x, y)


def mounted(image, options="ro,noload"):
    """The same, by the kernel, in a mount namespace of its own."""
    where = tempfile.mkdtemp(dir=image.parent)
    r = subprocess.run(["unshare", "-m", "sh", "-c", 'mount -t ext4 -o loop,%s "$0" "$1" && exec python3 "$2" snapshot "$1"' % options,
                        str(image), where, __file__], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    os.rmdir(where)
    assert r.returncode == 0, r.stderr
    return json.loads(r.stdout)


def fsck(image):
    r = subprocess.run(["e2fsck", "-fn", str(image)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert r.returncode == 0, r.stdout.decode()[-3000:]


def acl(*entries):
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *e) for e in entries)


def fill(d):
    """A tree with everything that a file system has."""
    r = random.Random(1)
    for name in ("a/b/c", "many", "subdirs", "deep/" + "/".join("d" * 20 for _ in range(50))):
        (d / name).mkdir(parents=True)
    for i in range(2000):
        (d / "many" / ("n" * (i % 200) + str(i))).write_bytes(b"x" * (i % 5000))
    for i in range(200):
        (d / "subdirs" / str(i)).mkdir()
    (d / "big").write_bytes(r.randbytes(5 << 20) + b"tail")
    (d / "empty").touch()
    with open(d / "sparse", "wb") as f:
        for i in range(400):
            f.seek(i * 3 * 16384 + i % 7 * 512)
            f.write(r.randbytes(5000))
        f.truncate(24 << 20)
    with open(d / "hole", "wb") as f:
        f.truncate(10 << 20)
    for name, to in (("fast", "a/b"), ("s59", "x" * 59), ("s60", "y" * 60), ("s4000", "z" * 4000)):
        os.symlink(to, d / name)
    os.link(d / "big", d / "a/biglink")
    os.link(d / "s60", d / "a/s60link", follow_symlinks=False)
    os.mkfifo(d / "fifo")
    os.mknod(d / "null", 0o20666, os.makedev(1, 3))
    os.mknod(d / "bigdev", 0o60600, os.makedev(300, 70000))
    os.mknod(d / "a/dev8", 0o60600, os.makedev(8, 1))
    for i, name in enumerate(("f1", "f2")):
        (d / name).write_text("hello" + name)
        os.chown(d / name, 100000 + i, 4000000000)
    for name, key, value in (("f1", "user.small", b"v"), ("f1", "trusted.t", b"1" * 50), ("f1", "user.large", b"L" * 800),
                             ("f2", "user.empty", b""), ("a", "user.dir", b"D" * 300),
                             ("f2", "security.capability", bytes.fromhex("0100000202") + bytes(15)),
                             ("f1", "system.posix_acl_access", acl((1, 6, 2**32 - 1), (2, 6, 1234), (4, 4, 2**32 - 1), (8, 4, 55),
                                                                   (16, 6, 2**32 - 1), (32, 4, 2**32 - 1))),
                             ("a/b", "system.posix_acl_default", acl((1, 7, 2**32 - 1), (2, 7, 77), (4, 5, 2**32 - 1),
                                                                     (16, 7, 2**32 - 1), (32, 5, 2**32 - 1)))):
        os.setxattr(d / name, key, value)
    os.utime(d / "f1", ns=(1234567890123456789, 987654321987654321))
    os.utime(d / "empty", ns=(-10**9, -5 * 10**9))
    os.utime(d / "big", ns=(0, 5000000000123456789))
    os.chmod(d / "f2", 0o4755)
    os.chmod(d / "a/b", 0o1777)


class World:
    def __init__(self):
        self.picture = cow.Picture()
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="cow-ext4-"))
        (self.dir / "tree").mkdir()
        fill(self.dir / "tree")
        self.tar = self.dir / "tree.tar"
        flags = ["--xattrs", "--xattrs-include=*"]
        subprocess.run(["tar", *flags, "--sparse", "--format=pax", "-C", self.dir / "tree", "-cf", self.tar, "."], check=True)
        (self.dir / "unpacked").mkdir()
        subprocess.run(["tar", *flags, "-C", self.dir / "unpacked", "-xpf", self.tar], check=True, stderr=subprocess.DEVNULL)
        self.unpacked = snapshot(self.dir / "unpacked")
        assert len(self.unpacked) > 2250, len(self.unpacked)

    def write(self, tar, *flags, ok=True):
        image = self.dir / "image"
        r = subprocess.run([TOOL, "write", str(tar), str(image), *flags], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert (r.returncode == 0) == ok, r
        return (image, json.loads(r.stdout)) if ok else r.stderr.decode()

    def make(self, entries):
        """A tar of (name, type or content, more)."""
        path = self.dir / "made.tar"
        with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as t:
            for name, what, *more in entries:
                info = tarfile.TarInfo(name)
                info.mtime = 1000
                for key, value in (more[0] if more else {}).items():
                    setattr(info, key, value)
                if isinstance(what, str):
                    info.size = len(what)
                    t.addfile(info, io.BytesIO(what.encode()))
                else:
                    info.type = what
                    t.addfile(info)
        return path

    def finish(self):
        self.picture.check(self.dir)
        shutil.rmtree(self.dir)


world = None


def test_same_as_tar():
    for flags in ((), ("inline",)):
        image, result = world.write(world.tar, *flags)
        assert result["bytes"] == image.stat().st_size
        fsck(image)
        same(world.unpacked, mounted(image))
        same(world.unpacked, listed(image))


def test_holes_take_no_space():
    image, _ = world.write(world.tar)
    assert image.stat().st_size < 20 << 20, image.stat()


def test_deterministic():
    first = world.write(world.tar)[0].read_bytes()
    assert first == world.write(world.tar)[0].read_bytes()


def test_reads_what_mke2fs_writes():
    image = world.dir / "mke2fs"
    lean = world.dir / "lean"  # attributes that fit into a block of 1 KiB
    subprocess.run(["cp", "-a", world.dir / "unpacked", lean], check=True)
    os.removexattr(lean / "f1", "user.large")
    (lean / "s4000").unlink()
    kinds = ("", "-b 1024", "-b 2048 -I 128", "-O ^extents,^64bit", "-O inline_data", "-O 64bit,metadata_csum", "-O meta_bg,^resize_inode",
             "-O bigalloc -C 16384", "-O none,ext_attr,filetype,large_file -I 256", "-O ea_inode", "-O sparse_super2,^has_journal")
    for options in kinds[::3] if cow.SANITIZED else kinds:  # most of the time is mke2fs's
        image.unlink(missing_ok=True)
        subprocess.run(["mke2fs", "-q", "-F", "-t", "ext4", "-b", "4096", "-N", "4000", *options.split(), "-d",
                        lean if "-b" in options else world.dir / "unpacked", image, "80M"], check=True, stdout=subprocess.DEVNULL)
        small = ("xattrs", "mtime") if "128" in options else ()
        try:
            same(mounted(image), listed(image), ("xattrs",) if small else ())
        except AssertionError as e:
            raise AssertionError("mke2fs %s: %s" % (options, e)) from e


def test_whiteouts():
    d, c = tarfile.DIRTYPE, tarfile.CHRTYPE
    tar = world.make([("d", d), ("d/.wh.gone", ""), ("d/.wh..wh..opq", ""), ("kept", "x"), (".wh.kept", ""), ("e/f", "y"), (".wh.e", ""),
                      (".wh.back", ""), ("back/g", "z"), ("plain", d, {"pax_headers": {"SCHILY.xattr.user.x": "v" * 90}}),
                      ("plain/.wh..wh..opq", "")])
    image, _ = world.write(tar, "whiteouts")
    fsck(image)
    files = mounted(image)
    same(files, listed(image))
    opaque = ["trusted.overlay.opaque", b"y".hex()]
    assert files["d/gone"]["device"] == [0, 0] and stat.S_ISCHR(files["d/gone"]["mode"])
    for name in ("d", "e", "plain"):
        assert opaque in files[name]["xattrs"], (name, files[name])
    assert ["user.x", (b"v" * 90).hex()] in files["plain"]["xattrs"]
    assert stat.S_ISREG(files["kept"]["mode"]) and stat.S_ISDIR(files["back"]["mode"])
    assert not [n for n in files if ".wh." in n], files.keys()
    image, _ = world.write(tar)
    fsck(image)
    assert ".wh.kept" in mounted(image)
    assert c


def test_later_entries_win():
    d, s, h = tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE
    tar = world.make([("a", "one" * 5000), ("a", "two"), ("dir/x/y", "1"), ("dir/z", "2"), ("dir", "now a file"),
                      ("l1", "4" * 9000), ("l2", h, {"linkname": "l1"}), ("l1", "5"), ("usr/lib", d), ("lib", s, {"linkname": "usr/lib"}),
                      ("lib/so", "6"), ("abs", s, {"linkname": "/usr/../usr"}), ("abs/bin/sh", "7"), ("./g//h/./i", "8"), ("/j", "9"),
                      ("usr", d, {"mode": 0o700, "pax_headers": {"SCHILY.xattr.user.late": "1" * 200}}),
                      ("usr", d, {"mode": 0o711, "pax_headers": {"SCHILY.xattr.user.later": "2" * 200}})])
    image, _ = world.write(tar)
    fsck(image)
    files = mounted(image)
    same(files, listed(image))
    assert files["a"]["size"] == 3 and files["dir"]["size"] == 10 and "dir/z" not in files
    assert files["l1"]["size"] == 1 and files["l2"]["size"] == 9000 and files["l2"]["nlink"] == 1
    assert files["usr/lib/so"]["size"] == 1 and files["usr/bin/sh"]["size"] == 1 and files["g/h/i"]["size"] == 1 and "j" in files
    assert files["usr"]["mode"] & 0o777 == 0o711 and files["usr"]["xattrs"] == [["user.later", (b"2" * 200).hex()]]


def test_hostile_archives():
    h, s = tarfile.LNKTYPE, tarfile.SYMTYPE
    for entries, cause in (
            ([("../x", "1")], "entry ../x: "), ([("a/../../x", "1")], "entry a/../../x: "),
            ([("x", h, {"linkname": "../../etc/passwd"})], "entry x: "), ([("x", h, {"linkname": "nowhere"})], "not there"),
            ([("d", tarfile.DIRTYPE), ("x", h, {"linkname": "d"})], "hard link to a directory"),
            ([("a", s, {"linkname": "b"}), ("b", s, {"linkname": "a"}), ("a/x", "1")], "Too many levels"),
            ([("f", "1"), ("f/x", "1")], "Not a directory"), ([("n" * 256, "1")], "name too long"), ([("", "1")], ""), ([(".", "1")], ""),
            ([("x", "1", {"uid": 2**32})], "out of range"), ([("x", "1", {"pax_headers": {"SCHILY.xattr.user.x": "y" * 4096}})], "extended attributes"),
            ([("x", tarfile.CHRTYPE, {"devmajor": 4096})], "out of range"), ([("x", s, {"linkname": "l" * 4096})], "name too long"),
            ([("s", s, {"linkname": "/../../.."}), ("s/etc/x", "1")], None)):
        tar = world.make(entries)
        if cause is None:
            image, _ = world.write(tar)
            fsck(image)
            assert "etc/x" in listed(image)
        else:
            error = world.write(tar, ok=False)
            assert cause in error, (entries, error)
    whole = world.tar.read_bytes()
    for size in (100, 513, 70000, len(whole) // 2):
        (world.dir / "cut.tar").write_bytes(whole[:size])
        assert world.write(world.dir / "cut.tar", ok=False)


def many(count, out):
    """Files in directories, with long names; a fifth of them hard links."""
    block = bytearray(512)
    for i in range(count):
        name = b"dir%d/%s%d" % (i // 500, b"name" * 15, i)
        block[:] = bytes(512)
        block[0:len(name)] = name
        block[100:136] = b"0000644\0" b"0000001\0" b"0000002\0" b"00000000000\0"
        block[136:148] = b"00000001750\0"
        block[148:156] = b" " * 8
        block[156:157] = b"1" if i % 5 == 4 else b"0"
        if i % 5 == 4:
            link = b"dir%d/%s%d" % ((i - 1) // 500, b"name" * 15, i - 1)
            block[157:157 + len(link)] = link
        block[257:265] = b"ustar\00000"
        block[148:156] = b"%06o\0 " % sum(block)
        out.write(block)
    out.write(bytes(1024))


def test_many_files_in_little_memory():
    """400,000 entries: peak memory is bounded, and the image good.  Where sanitizers look, fewer: memory is not judged."""
    count = 40000 if cow.SANITIZED else 400000
    image = world.dir / "image"
    p = subprocess.Popen([TOOL, "write", "-", str(image)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    many(count, p.stdin)
    p.stdin.close()
    result = json.load(p.stdout)
    p.stdout.close()
    assert p.wait() == 0
    if not cow.SANITIZED:
        assert result["peak_kib"] <= 32 << 10, result
    fsck(image)
    names = sum(1 for _ in subprocess.run([TOOL, "list", str(image)], check=True, stdout=subprocess.PIPE).stdout.splitlines())
    assert names == count + count // 500 + 1, names


def test_no_space():
    """A full disk: an error that says so, no crash."""
    resource_limit = 3 << 20
    image = world.dir / "image"
    image.unlink(missing_ok=True)

    def limit():
        import signal
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource_limit, resource_limit))
    r = subprocess.run([TOOL, "write", str(world.tar), str(image)], preexec_fn=limit, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert r.returncode == 1 and b"File too large" in r.stderr or b"larger than" in r.stderr, r


if __name__ == "__main__":
    if sys.argv[1:2] == ["snapshot"]:
        print(json.dumps(snapshot(sys.argv[2])))
        sys.exit(0)
    world = World()
    try:
        cow.main([test for name, test in list(globals().items()) if name.startswith("test_")])
    finally:
        world.finish()
