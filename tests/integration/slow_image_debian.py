# SPDX-License-Identifier: MIT
"""An image of what debootstrap makes, with every file as it was, and Debian at work in it.  Run by hand, as root, since it
fetches a Debian the first time:  COW_BUILD=build python3 tests/integration/slow_image_debian.py"""
import hashlib
import os
import pathlib
import subprocess
import tempfile

import cow
from test_image import Image, archive, export_equal, layout, read_archive

ROOT = cow.BUILD / "debian-root"


def debian_root():
    """Made once for a build tree, from where apt gets its packages."""
    if not ROOT.exists():
        mirror = subprocess.run(["apt-get", "indextargets", "--format", "$(SITE)", "Created-By: Packages"], check=True,
                                stdout=subprocess.PIPE, text=True).stdout.split()[0]
        new = ROOT.with_name("debian-root.new")
        subprocess.run(["rm", "-rf", "--one-file-system", new], check=True)
        subprocess.run(["debootstrap", "--variant=minbase", "bookworm", new, mirror], check=True)
        new.rename(ROOT)
    return ROOT


def files(root):
    """What there is of each file, by its path; directories have no size."""
    found = {}
    for top, dirs, names in os.walk(root):
        for name in dirs + names:
            path = os.path.join(top, name)
            st = os.lstat(path)
            plain = not os.path.islink(path) and os.path.isfile(path)
            found[os.path.relpath(path, root)] = (
                st.st_mode, st.st_uid, st.st_gid, st.st_rdev, int(st.st_mtime) if plain else 0, st.st_nlink if plain else 0,
                os.readlink(path) if os.path.islink(path) else hashlib.sha256(pathlib.Path(path).read_bytes()).hexdigest() if plain else "",
                [(n, os.getxattr(path, n, follow_symlinks=False)) for n in os.listxattr(path, follow_symlinks=False)])
    return found


def test_debian():
    root = debian_root()
    tar = subprocess.run(["tar", "--format=pax", "--numeric-owner", "--xattrs", "--xattrs-include=*", "-C", root, "-c", "."],
                         check=True, stdout=subprocess.PIPE).stdout
    image = Image([tar], config={"Cmd": ["/bin/bash"], "Env": ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"]})
    before = cow.Picture()
    s = cow.Supervisor({}).start()
    with tempfile.TemporaryFile() as f:
        f.write(archive(layout(image, names=["debian:minbase"])))
        f.seek(0)
        loaded = s.cli("image", "load", "-q", stdin=f)
    assert loaded.returncode == 0, loaded
    tree, = (s.state / "storage/layers").glob("*/fs")
    want, have = files(root), files(tree)
    other = [(k, want.get(k), have.get(k)) for k in sorted(set(want) | set(have)) if want.get(k) != have.get(k)]
    assert not other, other[:10]

    def says(*words):
        r = s.cli("run", "--rm", *words, timeout=120)
        assert r.returncode == 0, r
        return r.stdout.decode()
    assert says("debian:minbase", "cat", "/etc/debian_version") == (root / "etc/debian_version").read_text()
    # Every file that a package has a checksum of, and no package half installed.
    assert says("debian:minbase", "sh", "-c", "dpkg --audit && dpkg --verify") == ""
    assert says("-u", "nobody", "debian:minbase", "sh", "-c", "id -un; touch /x 2>&1 || true").startswith("nobody\n")
    assert says("debian:minbase", "sh", "-c", "apt-get --version | head -1").startswith("apt ")
    assert says("debian:minbase", "perl", "-e", "print 6 * 7") == "42"
    assert says("debian:minbase", "sh", "-c", "useradd -m somebody && su somebody -c 'echo $HOME'") == "/home/somebody\n"
    assert export_equal(image, read_archive(s.cli("image", "export", "debian:minbase").stdout))
    assert s.cli("image", "rm", "debian:minbase").returncode == 0
    assert not list((s.state / "storage/layers").glob("*"))
    print("%d files of Debian %s, %d MB" % (len(want), (root / "etc/debian_version").read_text().strip(), len(tar) >> 20))
    s.call("shutdown", kill=True)
    s.process.wait(30)
    before.check(s.dir)
    s.remove()


if __name__ == "__main__":
    cow.main([test_debian])
