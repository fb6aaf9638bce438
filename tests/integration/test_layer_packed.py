#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Packed layers (layer.vhd, EROFS, squashfs, ext4): verified as they are mounted, and looked into by each verb."""
import hashlib
import json
import os
import pathlib
import shutil
import subprocess

import cow
from test_layer import LINUX, REG, layer, mounts, place, tar

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
    assert str(d) not in mounts() and not [x for x in cow.loops() if str(d) in x[1]], (mounts(), cow.loops())


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
