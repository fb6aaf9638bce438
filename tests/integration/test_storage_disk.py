#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Disks: layer.vhd, verity, packed layers, VHD and VHDX attached and released, scratch disks."""
import json
import os
import pathlib
import random
import shutil
import struct
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import cow  # noqa: E402
from test_storage_ext4 import fsck, listed, same, snapshot  # noqa: E402

TOOL = os.environ["COW_BUILD"] + "/bin/disk_tool"
FOOTER = struct.Struct(">8sIIQI4sI4sQQIIIi16s")


class World:
    def __init__(self):
        self.picture = cow.Picture()
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="cow-disk-"))
        self.disks = self.dir / "disks"
        tree = self.dir / "tree"
        (tree / "a/b").mkdir(parents=True)
        (tree / "a/file").write_bytes(random.Random(2).randbytes(3 << 20))
        os.symlink("file", tree / "a/link")
        os.chown(tree / "a/b", 7, 8)
        self.tree = snapshot(tree)
        self.tar = self.dir / "layer.tar"
        subprocess.run(["tar", "--format=pax", "-C", tree, "-cf", self.tar, "."], check=True)
        self.tree_dir = tree

    def tool(self, *args, ok=True):
        r = subprocess.run([TOOL, *map(str, args)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=120)
        assert (r.returncode == 0) == ok, (args, r)
        return r.stdout.decode() if ok else r.stderr.decode()

    def attach(self, owner, path, *more):
        return json.loads(self.tool("attach", self.disks, owner, path, *more))

    def detach(self, *args):
        return self.tool("detach", self.disks, *args)

    def cowherd(self, *args):
        return subprocess.run([cow.COWHERD, "--host", "unix://%s/none" % self.dir, *args], cwd=self.dir, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=120)

    def nothing(self):
        """No device, no export, no process, no entry in the table."""
        assert not [x for x in cow.loops() if str(self.dir) in x[1]], cow.loops()
        assert sorted(p.name for p in self.disks.iterdir()) == ["lock", "table.json"], list(self.disks.iterdir())
        assert json.loads((self.disks / "table.json").read_text())["slots"] == []

    def mounted(self, image, *options, ok=True):
        """What a packed layer shows, or the refusal; in a mount namespace of its own."""
        where = self.dir / "mnt"
        where.mkdir(exist_ok=True)
        test = pathlib.Path(__file__).parent / "test_storage_ext4.py"
        r = subprocess.run(["unshare", "-m", "sh", "-c", 'image=$0; where=$1; test=$2; shift 2; "$TOOL" mount "$image" "$where" "$@" && '
                            'exec python3 "$test" snapshot "$where"', str(image), str(where), str(test), *options],
                           env={**os.environ, "TOOL": TOOL}, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert (r.returncode == 0) == ok, r
        return json.loads(r.stdout) if ok else r.stderr.decode()

    def finish(self):
        self.picture.check(self.dir)
        shutil.rmtree(self.dir)


world = None


def test_layer_vhd():
    vhd = world.dir / "layer.vhd"
    result = json.loads(world.tool("layer", world.tar, vhd))
    size = vhd.stat().st_size
    f = FOOTER.unpack(vhd.read_bytes()[-512:][:FOOTER.size])
    assert f[0] == b"conectix" and f[8] == f[9] == size - 512 == result["bytes"] and f[11] == 2, f
    assert world.tool("probe", vhd) == "vhd-fixed %d\n" % (size - 512)
    info = json.loads(subprocess.run(["qemu-img", "info", "-f", "vpc", "--output=json", vhd], check=True, stdout=subprocess.PIPE).stdout)
    assert info["virtual-size"] == size - 512, info
    fsck(vhd)
    same(world.tree, listed(vhd))
    same(world.tree, world.mounted(vhd))


def test_verity():
    """The tree is veritysetup's, and one bit that is wrong anywhere is found."""
    vhd = world.dir / "verity.vhd"
    result = json.loads(world.tool("layer", world.tar, vhd, "verity"))
    image = world.dir / "verity.img"
    shutil.copy(vhd, image)
    os.truncate(image, image.stat().st_size - 512)
    at = ["--hash-offset=%d" % result["bytes"]]
    subprocess.run(["veritysetup", "verify", *at, image, image, result["root"]], check=True)
    same(world.tree, world.mounted(vhd, "verity=" + result["root"]))
    assert "root hash is another" in world.mounted(vhd, "verity=" + "0" * 64, ok=False)
    with open(vhd, "r+b") as f:
        f.seek(result["bytes"] // 2)
        byte = f.read(1)[0]
        f.seek(result["bytes"] // 2)
        f.write(bytes([byte ^ 1]))
    assert "root hash is another" in world.mounted(vhd, "verity=" + result["root"], ok=False)
    world.tool("layer", world.tar, vhd)
    assert "none behind" in world.mounted(vhd, "verity=" + result["root"], ok=False)


def test_packed_layers():
    import hashlib
    erofs, squashfs = world.dir / "l.erofs", world.dir / "l.squashfs"
    subprocess.run(["mkfs.erofs", "-zlz4", erofs, world.tree_dir], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    subprocess.run(["mksquashfs", world.tree_dir, squashfs, "-quiet", "-no-progress"], check=True, stdout=subprocess.DEVNULL)
    for image in (erofs, squashfs):
        digest = "sha256:" + hashlib.sha256(image.read_bytes()).hexdigest()
        found = world.mounted(image, "digest=" + digest)
        same(world.tree, found, ("mtime", "nlink"))
        assert "digest sha256:" in world.mounted(image, "digest=sha256:" + "1" * 64, ok=False)
    (world.dir / "other").write_bytes(b"x" * 5000)
    assert "neither EROFS" in world.mounted(world.dir / "other", ok=False)


def make(name, kind):
    path = world.dir / name
    if kind == "raw":
        with open(path, "wb") as f:
            f.truncate(64 << 20)
    else:
        fmt, sub = kind.split("-")
        subprocess.run(["qemu-img", "create", "-q", "-f", "vpc" if fmt == "vhd" else fmt, "-o", "subformat=" + sub, path, "64M"], check=True)
    return path


def test_attach_all_kinds():
    """What is written to the device is in the image, also after the release; owners are counted."""
    for kind in ("raw", "vhd-fixed", "vhd-dynamic", "vhdx-fixed", "vhdx-dynamic"):
        path = make("disk." + kind, kind)
        a = world.attach("c1/root", path)
        assert a["refs"] == 1 and (a["controller"], a["lun"]) == (0, 0) and a["size"] >= 64 << 20, a
        data = random.Random(3).randbytes(300000)
        with open(a["device"], "r+b", buffering=0) as f:
            f.seek(20 << 20)
            f.write(data)
            os.fsync(f.fileno())
            assert f.seek(0, 2) == a["size"]
        assert world.attach("c2/root", path)["refs"] == 2
        assert world.attach("c2/root", path)["refs"] == 2
        world.detach("c1/root", path)
        world.detach("c1/root", path)
        assert world.attach("c3", path)["device"] == a["device"]
        world.detach("c3")
        world.detach("c2")
        world.detach("c2")
        world.nothing()
        raw = world.dir / "raw"
        fmt = {"raw": "raw", "vhd": "vpc", "vhdx": "vhdx"}[kind.split("-")[0]]
        subprocess.run(["qemu-img", "convert", "-f", fmt, "-O", "raw", path, raw], check=True)
        assert raw.read_bytes()[20 << 20:][:300000] == data, kind
        path.unlink()


def test_read_only():
    for kind in ("raw", "vhdx-dynamic"):
        path = make("ro." + kind, kind)
        before = path.read_bytes()
        a = world.attach("ro/1", path, "ro")
        try:
            with open(a["device"], "r+b", buffering=0) as f:
                f.write(b"x" * 4096)
                os.fsync(f.fileno())
            raise AssertionError("written")
        except OSError:
            pass
        assert "already attached" in world.tool("attach", world.disks, "rw/1", path, ok=False)
        world.detach("ro")
        assert path.read_bytes() == before
    world.nothing()


def test_places():
    """First free of them, and not more than there are."""
    path = world.dir / "small"
    a, b = (world.dir / n for n in ("s1", "s2"))
    for p in (path, a, b):
        p.write_bytes(bytes(4096))
    assert world.attach("o/1", a)["lun"] == 0
    assert world.attach("o/2", b)["lun"] == 1
    world.detach("o/1", a)
    assert world.attach("o/3", path)["lun"] == 0
    world.detach("o")
    world.nothing()


def test_hostile_disks():
    good = {kind: make("good." + kind, kind).read_bytes() for kind in ("vhd-fixed", "vhd-dynamic", "vhdx-dynamic")}
    bad = world.dir / "bad"

    def refused(data, cause):
        bad.write_bytes(data)
        assert cause in world.tool("attach", world.disks, "bad", bad, ok=False)

    def changed(data, at, value):
        return data[:at] + value + data[at + len(value):]
    fixed, dynamic, vhdx = good["vhd-fixed"], good["vhd-dynamic"], good["vhdx-dynamic"]
    refused(changed(fixed, len(fixed) - 512 + 50, b"\xff"), "wrong checksum")
    refused(fixed[:1 << 20] + fixed[-512:], "larger than the file")
    refused(changed(dynamic, 512 + 28, b"\xff" * 4), "dynamic header")
    refused(dynamic[:600], "VHD")
    refused(changed(changed(vhdx, 65536 + 20, b"x"), 131072 + 20, b"x"), "neither header")
    refused(changed(changed(vhdx, 196608 + 20, b"x"), 262144 + 20, b"x"), "neither region table")
    refused(vhdx[:1 << 20], "VHDX")
    refused(b"", "no disk")
    r = random.Random(4)
    for data in (dynamic, vhdx[:3 << 20]):
        for _ in range(40):
            broken = bytearray(data)
            for _ in range(r.randrange(1, 30)):
                broken[r.randrange(min(len(broken), 400000))] = r.randrange(256)
            bad.write_bytes(broken)
            code = subprocess.run([TOOL, "probe", str(bad)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode
            assert code in (0, 1), code
    world.nothing()


def killed_at(words, call):
    """Runs the tool until it has made its n-th such system call, and kills it there."""
    return subprocess.run([*cow.STRACE, "-qq", "-o", "/dev/null", "-e", "trace=" + call[0], "-e", "inject=%s:signal=KILL:when=%d" % call,
                           TOOL, *map(str, words)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode


def test_killed_between_steps():
    """Whatever step it dies at: the release by owner leaves nothing."""
    for kind in ("raw", "vhdx-dynamic"):
        path = make("kill." + kind, kind)
        deaths = 0
        calls = {"renameat": 3, "ioctl": 5, "flock": 2, "mkdir": 6, "vfork": 2, "clone3": 2, "wait4": 2, "close": 14}
        for call in [(c, n) for c in calls for n in range(1, calls[c])]:
            code = killed_at(("attach", world.disks, "k/1", path), call)
            deaths += code != 0
            cow.wait_for(lambda: not any("qemu-storage-daemon --blockdev" in c and str(world.dir) in c and "--daemonize" not in c
                                         for _, c in cow.processes()), "a daemon is up or gone")
            world.tool("sweep", world.disks)
            world.detach("k")
            world.nothing()
        assert deaths > 5, (kind, deaths)


def test_scratch():
    for name, kind in (("s.vhdx", "vhdx-dynamic"), ("s.vhd", "vhd-fixed"), ("s.img", "raw")):
        r = world.cowherd("create-scratch", "--destpath", name, "--sizeGB", "1")
        assert r.returncode == 0, r
        assert world.tool("probe", world.dir / name) == "%s %d\n" % (kind, 1 << 30)
        assert (world.dir / name).stat().st_blocks * 512 < 100 << 20
        a = world.attach("s/1", world.dir / name)
        fsck(a["device"])
        world.detach("s")
        r = world.cowherd("prepare-disk", "--destpath", name)
        assert r.returncode == 0, r
        a = world.attach("s/1", world.dir / name)
        fsck(a["device"])
        world.detach("s")
    world.nothing()
    for _ in range(2):
        r = world.cowherd("create-scratch", "--destpath", "cached.img", "--cache-path", "cache.img")
        assert r.returncode == 0, r
        assert (world.dir / "cache.img").stat().st_size == (world.dir / "cached.img").stat().st_size == 20 << 30
        (world.dir / "cached.img").unlink()
    fsck(world.dir / "cache.img")
    left = {p.name for p in world.dir.iterdir()}
    for args, message in ((("create-scratch",), "'destpath' is required"), (("prepare-disk",), "'destpath' is required"),
                          (("create-scratch", "--destpath", "/nowhere/x"), "failed to create ext4vhdx for '/nowhere/x': "),
                          (("prepare-disk", "--destpath", "/nowhere/x"), "failed to format disk '/nowhere/x' with ext4: "),
                          (("create-scratch", "--destpath", "x", "--sizeGB", "many"), "invalid command usage"),
                          (("prepare-disk", "--destpath", "tree"), "failed to format disk ")):
        r = world.cowherd(*args)
        assert r.returncode == 1 and message in r.stderr.decode(), (args, r)
    assert left == {p.name for p in world.dir.iterdir()}


if __name__ == "__main__":
    world = World()
    try:
        cow.main([test for name, test in list(globals().items()) if name.startswith("test_")])
    finally:
        world.finish()
