#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Packed layers (layer.vhd, EROFS, squashfs, ext4): verified as they are mounted, and looked into by each verb."""
import errno
import hashlib
import json
import os
import pathlib
import shutil
import subprocess

import cow
from test_layer import LINUX, REG, UPPER, entries, layer, mounts, place, tar

MANY = [("big", REG, os.urandom(1 << 20)), ("etc", b"5", "")]


def change(path, at):
    """One bit."""
    with open(path, "r+b") as f:
        f.seek(at)
        byte = f.read(1)[0]
        f.seek(at)
        f.write(bytes([byte ^ 1]))


def sha(path):
    return "sha256:" + hashlib.sha256(path.read_bytes()).hexdigest()


def untouched(d):
    assert str(d) not in mounts(), mounts()
    # The kernel gives a loop device back a moment after its last mount.
    cow.wait_for(lambda: not [x for x in cow.loops() if str(d) in x[1]], "no loop device")


def test_verified():
    """A changed bit anywhere in the image is found before anything is mounted."""
    with place() as d:
        layer(d, "import", "--vhd", "--verity", "base", data=tar(MANY))
        vhd = d / "base/layer.vhd"
        mark = json.loads((d / "base/layer.json").read_text())
        assert mark["digest"] == sha(vhd) and len(mark["verity"]) == 64, mark
        layer(d, "create", "-l", "base", "rw")
        for how in "digest", "verity", "none":
            layer(d, "mount", "--verify", how, "rw")
            layer(d, "unmount", "rw")
        change(vhd, 700000)
        found = sha(vhd)
        said = layer(d, "mount", "--verify", "digest", "rw", fail=True)
        assert "%s: digest %s, not %s" % (vhd, found, mark["digest"]) in said, said
        said = layer(d, "prepare", "--verify", "verity", "rw", fail=True)
        assert "%s: verity: the root hash is another one: " % vhd in said and ", not %s" % mark["verity"] in said, said
        untouched(d)
        layer(d, "deactivate", "rw")
        # Nobody asked: it is mounted as it is.
        layer(d, "mount", "rw")
        layer(d, "unmount", "rw")
        # What somebody who died left mounted counts for nothing.
        (d / "rw/lower/0").mkdir(parents=True)
        subprocess.run(["mount", "-t", "tmpfs", "none", d / "rw/lower/0"], check=True)
        assert "digest" in layer(d, "mount", "--verify", "digest", "rw", fail=True)
        untouched(d)
        # Sealed anew it is what it is now.
        assert layer(d, "seal", "base").decode().splitlines()[0] == found
        layer(d, "mount", "--verify", "digest", "rw")
        layer(d, "unmount", "rw")
        layer(d, "import", "--vhd", "plain", data=tar(MANY))
        layer(d, "create", "-l", "plain", "rw2")
        assert 'plain/layer.vhd: cannot be verified: its layer.json has no "verity"' in layer(
            d, "mount", "--verify", "verity", "rw2", fail=True)
        assert '--verify: "md5" is not digest' in layer(d, "mount", "--verify", "md5", "rw2", fail=True)
        assert "needs --vhd" in layer(d, "import", "--verity", "x", data=tar(MANY), fail=True)
        (d / "plain/layer.json").write_text('{"version":1,"kind":"ext4","digest":7}')
        assert "plain/layer.json: no description of a layer" in layer(d, "mount", "--verify", "digest", "rw2", fail=True)
        untouched(d)


def images(d):
    """The layer TOP over BASE, unpacked and packed in each way."""
    layer(d, "import", "base", data=tar(LINUX))
    layer(d, "import", "-l", "base", "dir", data=tar(UPPER))
    layer(d, "import", "--vhd", "-l", "base", "vhd", data=tar(UPPER))
    silent = {"check": True, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    subprocess.run(["mkfs.erofs", d / "erofs", d / "dir/fs"], **silent)
    subprocess.run(["mksquashfs", d / "dir/fs", d / "squashfs"], **silent)
    (d / "squashfs-dir").mkdir()
    shutil.copy(d / "squashfs", d / "squashfs-dir/layer.vhd")
    # As the store has them.
    (d / "stored").mkdir()
    shutil.copy(d / "erofs", d / "stored/image")
    (d / "stored/layer.json").write_text('{"version":1,"kind":"erofs","size":4}')
    return ["vhd", "squashfs", "squashfs-dir", "stored"]


def plain(archive):
    """Entries by name; whole seconds only, as squashfs has them."""
    return sorted((*e[:6], int(e[6]), [x for x in e[7] if x[0] != "mtime"], e[8]) for e in entries(archive))


def lines(text):
    return text.decode().splitlines()


def test_looked_into():
    """Each verb says of a packed layer what it says of the same files in a directory."""
    with place() as d:
        for name in images(d):
            if name == "squashfs-dir":
                continue
            over = [] if name == "vhd" else ["-l", "base"]
            assert lines(layer(d, "changes", *over, name)) == lines(layer(d, "changes", "dir")) != [], name
            assert layer(d, "size", *over, name) == layer(d, "size", "dir") == b"4\n", name
            assert plain(layer(d, "export", name)) == plain(layer(d, "export", "dir")), name
            assert plain(layer(d, "diff", *over, name)) == plain(layer(d, "diff", "dir")), name
            assert layer(d, "get", name, "etc/b") == b"two", name
            assert plain(layer(d, "get", "-t", name, "etc/b", "old")) == plain(layer(d, "get", "-t", "dir", "etc/b", "old")), name
            assert layer(d, "get", name, "../layer.json", fail=True) and layer(d, "get", name, "etc", fail=True)
            untouched(d)
            # As a parent: what is written above it, and what an archive implies.
            layer(d, "import", "-l", name, "over", data=tar([("etc/c", REG, b"three")]))
            assert lines(layer(d, "changes", "over")) == ["C /etc", "A /etc/c"], name
            assert int((d / "over/fs/etc").stat().st_mtime) == 1600000000, name
            layer(d, "remove", "over")
            layer(d, "seal", name)
            assert layer(d, "get", "--verify", "digest", name, "etc/b") == b"two"
            image = d / name / ("image" if name == "stored" else "layer.vhd") if (d / name).is_dir() else d / name
            change(image, image.stat().st_size - 600)
            for verb in "changes", "size", "export", "diff":
                said = layer(d, verb, *over, "--verify", "digest", name, fail=True)
                assert "%s: digest " % image in said, (verb, said)
            assert "digest" in layer(d, "get", "--verify", "digest", name, "etc/b", fail=True)
            untouched(d)
            layer(d, "remove", name)
            assert not (d / name).exists() and not (d / (name + ".json")).exists()


def test_read_only_mounts():
    """A read-only layer and its parents, to look at."""
    with place() as d:
        packed = [n for n in images(d) if (d / n).is_dir()]
        for name in ["dir", *packed]:
            over = [] if name in ("vhd", "dir") else ["-l", "base"]
            (d / "here").mkdir(exist_ok=True)
            assert layer(d, "mount", *over, name, "here") == b"%s\n" % bytes(d / "here")
            for root in d / "here", d / name / "mnt":
                assert sorted(os.listdir(root)) == ["etc", "old"], name
                assert sorted(os.listdir(root / "etc")) == ["a", "b"] and os.listdir(root / "old") == ["y"], name
                try:
                    (root / "x").write_text("")
                    raise AssertionError("it can be written to")
                except OSError as e:
                    assert e.errno == errno.EROFS, e
            layer(d, "unmount", name, "here")
            untouched(d)
            before = sorted(os.listdir(d / name))
            assert layer(d, "mount", *over, name) == b"%s\n" % bytes(d / name / "mnt")
            layer(d, "unprepare", name)
            assert sorted(os.listdir(d / name)) == before, (name, os.listdir(d / name))
        # One that is alone.
        root = pathlib.Path(layer(d, "mount", "base").decode().strip())
        assert (root / "etc/gone").read_text() == "x"
        layer(d, "remove", "base")
        assert not (d / "base").exists()
        # What has no place.
        assert "an image has no place for a mount: move it to a directory" in layer(d, "mount", "erofs", fail=True)
        (d / "plain/etc").mkdir(parents=True)
        assert "plain directory is seen where it is" in layer(d, "mount", "plain", fail=True)
        assert layer(d, "path", "plain") == b"%s\n" % bytes(d / "plain") and os.listdir(d / "plain") == ["etc"]
        # A failure leaves nothing.
        (d / "squashfs-dir/layer.vhd").write_bytes(b"x" * 5000)
        assert "neither EROFS" in layer(d, "mount", "-l", "dir", "squashfs-dir", fail=True)
        assert os.listdir(d / "squashfs-dir") == ["layer.vhd"]
        untouched(d)


def test_configured():
    """The section of the configuration reaches containers and verbs."""
    def spec(*folders):
        return {"ociVersion": "1.0.2", "process": {"args": ["sh", "-c", "cat /who; dd if=/dev/zero of=/b bs=1M count=64 2>&1"],
                                                   "cwd": "/", "env": ["PATH=/bin"], "user": {"uid": 0, "gid": 0}},
                "linux": {"namespaces": [{"type": t} for t in ("pid", "ipc", "uts", "mount")]},
                "windows": {"layerFolders": [str(f) for f in folders]}}

    def refused(s):
        try:
            s.call("container.create", spec=spec(top, base, scratch))
        except cow.RpcError as e:
            return str(e)
        raise AssertionError("it was not refused")

    s = cow.Supervisor({"plugins": {"storage": {"verify_layers": "digest", "scratch_size": "16m"}}})
    base, top, scratch, tree = s.dir / "base", s.dir / "top", s.dir / "scratch", s.dir / "tree"
    try:
        s.start()
        cow.make_rootfs(base)
        for path in top, scratch, tree:
            path.mkdir()
        (tree / "who").write_text("packed\n")
        (tree / "data").write_bytes(os.urandom(1 << 16))
        subprocess.run(["mkfs.erofs", top / "layer.vhd", tree], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        why = "failed to add LCOW layer: %s: cannot be verified: its layer.json has no \"digest\"" % (top / "layer.vhd")
        assert why in refused(s), refused(s)
        assert s.cli("layer", "seal", top).returncode == 0
        s.call("container.create", id="a", spec=spec(top, base, scratch))
        s.call("container.start", container="a")
        s.call("container.wait", container="a")
        said = s.cli("logs", "a").stdout.decode()
        assert said.startswith("packed\n") and "No space left on device" in said, said
        s.call("container.delete", container="a")
        expected = sha(top / "layer.vhd")
        change(top / "layer.vhd", 6000)
        assert "%s: digest %s, not %s" % (top / "layer.vhd", sha(top / "layer.vhd"), expected) in refused(s)
        assert s.cli("layer", "create", "-l", top, s.dir / "rw").returncode == 0
        done = s.cli("layer", "mount", s.dir / "rw")
        assert done.returncode and b": digest sha256:" in done.stderr, done
        done = s.cli("layer", "mount", "--verify", "none", s.dir / "rw")
        assert done.returncode == 0, done
        assert s.cli("layer", "remove", s.dir / "rw").returncode == 0
        # A section that is gone: as if there had been none.
        s.config.write_text("{}")
        assert s.cli("reload").returncode == 0
        s.call("container.create", id="b", spec=spec(top, base, scratch))
        s.call("container.delete", container="b")
        for section, why in (({"verify_layers": "md5"}, "/plugins/storage/verify_layers: not none, digest or verity"),
                             ({"scratch_size": -1}, "/plugins/storage/scratch_size: not a size like 10g"),
                             ({"scratch_size": "much"}, "/plugins/storage/scratch_size: not a size like 10g"),
                             ({"other": 1}, "/plugins/storage/other: unknown key")):
            s.config.write_text(json.dumps({"plugins": {"storage": section}}))
            done = s.cli("reload")
            assert done.returncode and why in done.stderr.decode(), (section, done.stderr)
        untouched(s.dir)
    finally:
        s.stop()
        shutil.rmtree(s.dir)


if __name__ == "__main__":
    cow.main([f for name, f in list(globals().items()) if name.startswith("test_")])
