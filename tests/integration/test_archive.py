#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The archive library against the tars of the world: what GNU tar, bsdtar and Python write is read, what it
writes is read by them, and a tree comes out of unpacking as it went in."""
import hashlib
import io
import json
import os
import pathlib
import shutil
import stat
import subprocess
import tarfile
import tempfile
import unittest

TOOL = os.path.join(os.environ.get("COW_BUILD", "build"), "bin/bench_archive")
CAP = bytes.fromhex("0100000200200000000000000000000000000000")  # cap_net_raw+ep
LONG = "/".join(["a-directory-with-a-name-of-some-length"] * 8) + "/" + "f" * 200
EDGE = "d" * 150 + "/" + "f" * 100  # fits ustar's two fields just so


def run(*args, data=None, check=True, **more):
    done = subprocess.run(args, input=data, stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False, **more)
    if check and done.returncode:
        raise AssertionError("%s: %s" % (args, done.stderr.decode(errors="replace")))
    return done


def entries(archive):
    lines = run(TOOL, "list", data=archive).stdout.decode().splitlines()
    return {line["path"].encode("latin-1").rstrip(b"/").removeprefix(b"./").decode("utf-8", "surrogateescape"): line
            for line in map(json.loads, lines)}


def digest(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def sparse_digest(path, extents):
    """Of what is stored: the data of the map's pieces."""
    whole = hashlib.sha256()
    with open(path, "rb") as file:
        for offset, size in extents:
            file.seek(offset)
            whole.update(file.read(size))
    return "sha256:" + whole.hexdigest()


def make_tree(top, hard=True):
    """A tree with one of everything."""
    def put(name, data=b"", mode=0o644):
        path = top / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        path.chmod(mode)
        return path

    put("plain", b"some text\n")
    put("empty")
    put("big", bytes(range(256)) * 5000)
    put("suid", b"x", 0o4755)
    put("sgid/deep", b"x")
    (top / "sgid").chmod(0o2775)
    put("sticky/f")
    (top / "sticky").chmod(0o1777)
    put("with:colon and space\n")
    put("\N{SNOWMAN}")
    put(os.fsdecode(b"\xff\xfe"))
    put("block512", b"b" * 512)
    put("block513", b"b" * 513)
    put("x" * 100)
    put("y" * 101)
    put(EDGE)
    put(LONG, b"deep")
    (top / "soft").symlink_to("../outside")
    (top / "softlong").symlink_to("t" * 150)
    os.link(top / "plain", top / "hard")
    os.link(top / LONG, top / "hardlong")
    os.mkfifo(top / "pipe")
    os.mknod(top / "null", 0o666 | stat.S_IFCHR, os.makedev(1, 3))
    os.mknod(top / "disk", 0o660 | stat.S_IFBLK, os.makedev(259, 70000))
    os.chown(put("owned"), 1234, 5678)
    os.setxattr(put("capable", b"x"), "security.capability", CAP)
    os.setxattr(top / "plain", "user.note", b"a\0b=c\n")
    os.setxattr(top / "sgid", "user.note", b"dir")
    with open(put("sparse"), "r+b") as file:
        file.seek(1 << 20)
        file.write(b"middle" * 1000)
        file.truncate(64 << 20)
    with open(put("manyholes"), "r+b") as file:
        for i in range(100):
            file.seek(i << 16)
            file.write(b"%d" % i)
    with open(put("hole"), "r+b") as file:
        file.truncate(1 << 20)
    times = {"old": (-86400 * 3650, 0), "fraction": (1600000000, 123456789), "oldfraction": (-5, 250000000)}
    for name, (seconds, nanos) in times.items():
        put(name)
        when = seconds * 10**9 + nanos
        os.utime(top / name, ns=(when, when))
    for path in sorted(top.rglob("*"), reverse=True):
        if path.name not in times and not path.is_symlink():
            os.utime(path, ns=(1700000000 * 10**9, 1700000000 * 10**9))
    os.utime(top, ns=(1700000000 * 10**9, 1700000000 * 10**9))


def facts(top, nanos=True, xattrs=True):
    """What a tree is, to compare."""
    found, inodes = {}, {}
    for path in [top] + sorted(top.rglob("*")):
        info = path.lstat()
        name = str(path.relative_to(top))
        fact = {"mode": info.st_mode, "uid": info.st_uid, "gid": info.st_gid,
                "mtime": info.st_mtime_ns if nanos else info.st_mtime_ns // 10**9}
        if stat.S_ISREG(info.st_mode):
            fact["data"] = hashlib.sha256(path.read_bytes()).hexdigest()
            fact["first"] = inodes.setdefault(info.st_ino, name)
        elif stat.S_ISLNK(info.st_mode):
            fact["link"] = os.readlink(path)
        elif stat.S_ISCHR(info.st_mode) or stat.S_ISBLK(info.st_mode):
            fact["device"] = info.st_rdev
        if xattrs:
            fact["xattrs"] = {key: os.getxattr(path, key, follow_symlinks=False)
                              for key in os.listxattr(path, follow_symlinks=False)}
        found[name] = fact
    return found


class Archives(unittest.TestCase):
    maxDiff = 4000

    def setUp(self):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="cow-archive-"))
        self.addCleanup(shutil.rmtree, self.dir)
        self.tree = self.dir / "tree"
        self.tree.mkdir()
        make_tree(self.tree)

    def gnu(self, *options):
        return run("tar", "-c", "-C", str(self.tree), "--sort=name", *options, ".").stdout

    def bsd(self, *options):
        return run("bsdtar", "-c", "-f", "-", "-C", str(self.tree), *options, ".").stdout

    def unpacked(self, archive, *words):
        out = self.dir / "out"
        if out.exists():
            shutil.rmtree(out)
        out.mkdir()
        said = run(TOOL, "unpack", str(out), *words, data=archive).stdout
        return out, json.loads(said)

    def equal(self, theirs, ours):
        self.assertEqual(sorted(theirs), sorted(ours))
        for name, fact in theirs.items():
            self.assertEqual(fact, ours[name], name)

    def same(self, archive, nanos=True, xattrs=True):
        """Unpacked, it is the tree."""
        out, said = self.unpacked(archive)
        self.equal(facts(self.tree, nanos, xattrs), facts(out, nanos, xattrs))
        self.assertEqual(said["diff_id"], digest(archive))
        return out

    def stays_sparse(self, out):
        self.assertLess((out / "sparse").lstat().st_blocks, 100)
        self.assertEqual((out / "hole").lstat().st_blocks, 0)
        self.assertLess((out / "manyholes").lstat().st_blocks, 1000)

    # -- what others write ---------------------------------------------------------------------------

    def test_gnu_pax(self):
        self.same(self.gnu("--format=pax", "--xattrs", "--xattrs-include=*"))

    def test_gnu_sparse_in_pax(self):
        for version in "0.0", "0.1", "1.0":
            with self.subTest(version):
                archive = self.gnu("--format=pax", "--xattrs", "--xattrs-include=*", "--sparse",
                                   "--sparse-version=" + version, "--hole-detection=seek")
                self.assertLess(len(archive), 8 << 20)
                self.stays_sparse(self.same(archive))
                line = entries(archive)["sparse"]
                self.assertEqual(line["size"], 64 << 20)
                self.assertEqual(line["data"], sparse_digest(self.tree / "sparse", line["extents"]))

    def test_gnu_own_format(self):
        archive = self.gnu("--format=gnu", "--sparse")
        self.stays_sparse(self.same(archive, nanos=False, xattrs=False))
        self.same(self.gnu("--format=gnu"), nanos=False, xattrs=False)
        self.same(self.gnu("--format=gnu", "--atime-preserve"), nanos=False, xattrs=False)

    def test_gnu_old_formats(self):
        # What they cannot say is left out; "oldgnu" can say nearly all.
        for name in "old", "oldfraction", "y" * 101, LONG.split("/")[0], "hardlong", "softlong", "pipe", "null", \
                    "disk", "d" * 150, "x" * 100, "sparse":
            path = self.tree / name
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()
        os.utime(self.tree, ns=(1700000000 * 10**9, 1700000000 * 10**9))
        for form in "v7", "ustar", "oldgnu":
            with self.subTest(form):
                self.same(self.gnu("--format=" + form), nanos=False, xattrs=False)

    def test_gnu_incremental(self):
        archive = self.gnu("--format=gnu", "--listed-incremental=%s/snapshot" % self.dir)
        self.same(archive, nanos=False, xattrs=False)

    def test_gnu_label(self):
        for form in "gnu", "pax":
            self.assertIn("plain", entries(self.gnu("--format=" + form, "--label=a label")))

    def test_gnu_owners(self):
        for owner in 2097151, 2097152, 2147483647, 2147483648, 4294967294:
            for form in "gnu", "pax":
                with self.subTest(owner=owner, form=form):
                    found = entries(self.gnu("--format=" + form, "--owner=u:%d" % owner, "--group=g:%d" % owner))
                    self.assertEqual((found["plain"]["uid"], found["plain"]["gid"]), (owner, owner))
                    self.assertEqual((found["plain"]["uname"], found["plain"]["gname"]), ("u", "g"))

    def test_gnu_compressed(self):
        plain = self.gnu("--format=pax", "--xattrs", "--xattrs-include=*")
        for program in ["gzip", "-1"], ["gzip", "-9"], ["zstd", "-q", "-1"], ["zstd", "-q", "-19"]:
            with self.subTest(program):
                blob = run(*program, data=plain).stdout
                out, said = self.unpacked(blob)
                self.assertEqual(said["blob"], digest(blob))
                self.assertEqual(said["diff_id"], digest(plain))
                self.equal(facts(self.tree), facts(out))

    def test_bsdtar(self):
        (self.tree / "oldfraction").unlink()  # it writes -4.75 as -5.25
        os.utime(self.tree, ns=(1700000000 * 10**9, 1700000000 * 10**9))
        archive = self.bsd("--format=pax", "--xattrs", "--read-sparse")
        self.stays_sparse(self.same(archive))
        (self.tree / "old").unlink()  # before 1970 is 1970 in this form
        os.utime(self.tree, ns=(1700000000 * 10**9, 1700000000 * 10**9))
        self.same(self.bsd("--format=gnutar", "--no-xattrs", "--no-read-sparse"), nanos=False, xattrs=False)
        self.assertIn("plain", entries(self.bsd("--format=pax", "--no-xattrs")))

    def test_star_times(self):
        archive = bytearray(run("tar", "-c", "--format=ustar", "-C", str(self.tree), "plain").stdout)
        header = archive[:512]
        header[476:488], header[488:500], header[508:512] = b"00000000001\0", b"00000000002\0", b"tar\0"
        header[148:156] = b"        "
        header[148:156] = b"%06o\0 " % sum(header)
        archive[:512] = header
        first = json.loads(run(TOOL, "list", data=bytes(archive)).stdout.splitlines()[0])
        self.assertEqual(first["atime"], [1, 0])

    def test_python(self):
        for form in tarfile.PAX_FORMAT, tarfile.GNU_FORMAT:
            out = io.BytesIO()
            with tarfile.open(fileobj=out, mode="w", format=form, errors="surrogateescape") as tar:
                tar.add(self.tree, arcname=".")
            # Times there are floats: whole seconds are what can be compared.
            ours, theirs = facts(self.unpacked(out.getvalue())[0], False, False), facts(self.tree, False, False)
            for name in "old", "oldfraction", "fraction":
                ours[name]["mtime"] = theirs[name]["mtime"] = 0
            self.equal(theirs, ours)

    # -- what it writes ------------------------------------------------------------------------------

    def copied(self):
        archive = self.gnu("--format=pax", "--xattrs", "--xattrs-include=*", "--sparse")
        copy = run(TOOL, "copy", data=archive).stdout
        self.assertEqual(copy, run(TOOL, "copy", data=copy).stdout)
        return archive, copy

    def test_written_is_read(self):
        archive, copy = self.copied()
        ours, theirs = entries(copy), entries(archive)
        for found in ours, theirs:
            for line in found.values():
                line["pax"] = {key: value for key, value in line["pax"].items() if key.startswith("SCHILY.xattr")}
        self.equal(theirs, ours)
        self.stays_sparse(self.same(copy))

    def test_written_for_gnu_tar(self):
        _, copy = self.copied()
        out = self.dir / "gnu"
        out.mkdir()
        run("tar", "-x", "-C", str(out), "--xattrs", "--xattrs-include=*", "-p", "--same-owner", "-f", "-", data=copy)
        self.equal(facts(self.tree), facts(out))
        self.stays_sparse(out)

    def test_written_for_bsdtar(self):
        _, copy = self.copied()
        out = self.dir / "bsd"
        out.mkdir()
        run("bsdtar", "-x", "-C", str(out), "-p", "-f", "-", data=copy)
        ours, theirs = facts(self.tree), facts(out)
        theirs["."]["mtime"] = ours["."]["mtime"]  # which it leaves
        theirs["oldfraction"]["mtime"] = ours["oldfraction"]["mtime"]  # it reads -4.75 as -3.25
        self.equal(ours, theirs)

    def test_written_for_python(self):
        archive, copy = self.copied()
        with tarfile.open(fileobj=io.BytesIO(copy)) as ours, tarfile.open(fileobj=io.BytesIO(archive)) as theirs:
            keys = "name", "linkname", "type", "mode", "uid", "gid", "uname", "gname", "size", "mtime"
            self.assertEqual([[getattr(info, key) for key in keys] for info in theirs],
                             [[getattr(info, key) for key in keys] for info in ours])

    # -- hostile, at full size -----------------------------------------------------------------------

    def test_a_million_entries(self):
        thousands = 50 if "COW_SANITIZE" in os.environ else 1000  # memory is not judged there
        header = tarfile.TarInfo("d")
        header.type = tarfile.DIRTYPE
        block = header.tobuf(tarfile.USTAR_FORMAT)
        program = [TOOL, "unpack", str(self.dir / "million")]
        (self.dir / "million").mkdir()
        with subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as unpack:
            for _ in range(thousands):
                unpack.stdin.write(block * 1000)  # each again, and its times for the end
            unpack.stdin.write(bytes(1024))
            unpack.stdin.close()
            said = json.loads(unpack.stdout.read())
        self.assertEqual(unpack.returncode, 0)
        self.assertEqual(said["entries"], thousands * 1000)
        if "sanitized" not in said:
            self.assertLess(said["rss_kib"], 32 << 10)

    def test_bomb(self):
        out = self.dir / "bomb"
        out.mkdir()
        info = tarfile.TarInfo("bomb")
        info.size = 1 << 30
        blob = run("gzip", "-9", data=info.tobuf() + bytes(64 << 20)).stdout
        done = run(TOOL, "unpack", str(out), "max-bytes=%d" % (1 << 20), data=blob, check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn(b"entry bomb: more than 1048576 bytes, which is the limit", done.stderr)
        self.assertEqual(os.listdir(out), [])


if __name__ == "__main__":
    unittest.main()
