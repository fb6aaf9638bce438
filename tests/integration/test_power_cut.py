# SPDX-License-Identifier: MIT
"""The power is cut after any write to the disk, while images are loaded, removed and collected, containers with an image
live and die, and layers come and go.  A supervisor that starts on that disk shows only what is complete, all that had been
acknowledged, and leaves nothing half made.  COW_CUTS: how many cuts (0: each write, and as many that lose what was not
flushed)."""
import contextlib
import hashlib
import json
import os
import pathlib
import random
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time

import cow
import powercut
from test_image import Image, archive, export_equal, layout, read_archive, sha, tar

CUTS = int(os.environ.get("COW_CUTS", "4"))
SYNCED_S = 6  # a journal is written every five
BUSYBOX = pathlib.Path("/bin/busybox").read_bytes()

DIR, SYM, LNK = ({"type": t, "mode": 0o755} for t in (tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE))
noise = random.Random(1)
base = tar([("dir", DIR), ("dir/x", b"x"), ("shared", noise.randbytes(70000))])
shell = tar([("bin", DIR), ("bin/busybox", {"mode": 0o755, "data": BUSYBOX}), ("bin/sh", {**LNK, "linkname": "bin/busybox"}), ("tmp", DIR)])
IMAGES = {
    "first:1": Image([base, shell], config={"Cmd": ["/bin/busybox", "true"]}),
    "second:1": Image([base, tar([("second", b"2"), ("link", {**SYM, "linkname": "second"}), (".wh.shared", b"")])]),
    "third:1": Image([tar([("d%d" % i, DIR) for i in range(20)] + [("d%d/f" % i, noise.randbytes(9000)) for i in range(20)])],
                     compress=None, media=""),
}
ARCHIVES = {name: archive(layout(image, names=[name])) for name, image in IMAGES.items()}


def digest(path):
    """Of a tree: names, metadata and content."""
    h = hashlib.sha256()
    for top, dirs, files in os.walk(path):
        dirs.sort()
        for name in [""] + sorted(files + [d for d in dirs if os.path.islink(os.path.join(top, d))]):
            p = os.path.join(top, name)
            st = os.lstat(p)
            h.update(repr((os.path.relpath(p, path), st.st_mode, st.st_uid, st.st_gid, st.st_rdev,
                           st.st_size if name else 0, st.st_mtime_ns if name else 0,
                           [(n, os.getxattr(p, n, follow_symlinks=False)) for n in os.listxattr(p, follow_symlinks=False)],
                           os.readlink(p) if os.path.islink(p) else "")).encode())
            if name and os.path.isfile(p) and not os.path.islink(p):
                h.update(pathlib.Path(p).read_bytes())
    return h.hexdigest()


class Herd:
    """A supervisor whose durable things are on a disk."""

    def __init__(self, mount):
        self.mount = pathlib.Path(mount)
        self.supervisor = cow.Supervisor({})
        self.supervisor.state = self.mount / "state"
        self.storage = self.mount / "state/storage"
        self.layers = self.mount / "layers"

    def __enter__(self):
        self.supervisor.start()
        return self

    def __exit__(self, *_):
        self.supervisor.stop()
        self.supervisor.remove()

    def call(self, *words, **more):
        if "input" in more:
            more["stdin"] = None
        return self.supervisor.cli(*map(str, words), timeout=120, **more)

    def ok(self, *words, **more):
        r = self.call(*words, **more)
        assert r.returncode == 0, (words, r, (self.supervisor.dir / "daemon.log").read_text()[-2000:])
        return r.stdout

    def names(self):
        """Of images; one without, since a container uses it still, is none."""
        return set(self.ok("image", "ls", "--format", "{{.Repository}}:{{.Tag}}").decode().split()) - {"<none>:<none>"}

    def containers(self):
        return {c["name"]: c for c in self.supervisor.call("container.list", all=True)}

    def listed(self, *names):
        """What is in these directories of the store."""
        return sorted(p.name for name in names for p in (self.storage / name).glob("*"))


class Story:
    """What is done, and what is known after each step."""

    def __init__(self, disk, herd):
        self.disk, self.herd = disk, herd
        self.names, self.containers, self.layers = set(), set(), set()
        self.trees = {}  # of each layer, by its chain id or name: its digest
        self.steps = [self.facts("nothing")]

    def facts(self, what):
        return {"what": what, "mark": self.disk.read(), "time": time.monotonic(), "names": set(self.names),
                "containers": set(self.containers), "layers": set(self.layers)}

    @contextlib.contextmanager
    def step(self, what):
        yield
        self.steps.append(self.facts(what))
        for chain in self.herd.listed("layers"):
            self.trees.setdefault(chain, digest(self.herd.storage / "layers" / chain / "fs"))
        for name in self.layers - {"scratch"}:
            self.trees.setdefault(name, digest(self.herd.layers / name / "fs"))

    def load(self, name):
        with self.step("load " + name):
            self.herd.ok("image", "load", "-q", input=ARCHIVES[name])
            self.names.add(name)

    def rm(self, *words):
        with self.step("rm " + words[-1]):
            self.herd.ok("image", "rm", *words)
            self.names.remove(words[-1])

    def image_story(self):
        self.load("first:1")
        self.load("second:1")
        self.load("third:1")
        self.rm("third:1")
        # Dies at it: what it leaves is somebody's to collect.
        client = subprocess.Popen([cow.COWHERD, "--host", "unix://" + self.herd.supervisor.socket, "image", "load", "-q"],
                                  stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        client.stdin.write(ARCHIVES["third:1"][:150000])
        client.stdin.flush()
        cow.wait_for(lambda: list((self.herd.storage / "tmp").glob("*/part-*")), "a load that has begun")
        self.herd.supervisor.kill()
        client.stdin.close()
        client.wait()
        self.herd.supervisor.start()
        with self.step("gc"):
            self.herd.ok("image", "gc")

    def container_story(self):
        for name, options in ("plain", ()), ("limited", ("--storage-opt", "size=8M")):
            with self.step("create " + name):
                self.herd.ok("create", "--name", name, *options, "first:1", "/bin/busybox", "sh", "-c", "echo x >/tmp/x; sync")
                self.containers.add(name)
            with self.step("start " + name):
                self.herd.ok("start", name)
                self.herd.ok("wait", name)
        with self.step("run another"):
            self.herd.ok("run", "--rm", "first:1")
        self.rm("-f", "first:1")
        with self.step("gc"):
            self.herd.ok("image", "gc")
        for name in "plain", "limited":
            with self.step("rm " + name):
                self.herd.ok("rm", name)
                self.containers.remove(name)
        with self.step("gc"):
            self.herd.ok("image", "gc")

    def layer_story(self):
        lower, upper, scratch = (self.herd.layers / n for n in ("lower", "upper", "scratch"))
        for path, options, data in (lower, (), base), (upper, ("-l", lower), shell):
            with self.step("import " + path.name):
                self.herd.ok("layer", "import", *options, path, input=data)
                self.layers.add(path.name)
        with self.step("create scratch"):
            self.herd.ok("layer", "create", "-l", upper, "-l", lower, scratch)
            self.layers.add("scratch")
        self.herd.ok("layer", "mount", scratch)
        (scratch / "mnt/new").write_bytes(b"new")
        with self.step("unmount scratch"):
            self.herd.ok("layer", "unmount", scratch)
        exported = self.herd.ok("layer", "export", scratch)
        with self.step("import committed"):
            self.herd.ok("layer", "import", "-l", upper, "-l", lower, self.herd.layers / "committed", input=exported)
            self.layers.add("committed")
        for name in "scratch", "committed", "upper":
            with self.step("remove " + name):
                self.herd.ok("layer", "remove", self.herd.layers / name)
                self.layers.remove(name)

    def tell(self):
        self.herd.layers.mkdir()
        with self.step("begin"):
            os.sync()
        self.image_story()
        self.container_story()
        self.layer_story()
        self.load("third:1")
        with self.step("end"):
            pass


class Judge:
    """Looks at the disk after a cut, within the supervisor that has started on it."""

    def __init__(self, story, herd, cut):
        self.story, self.herd = story, herd
        self.at = max(i for i, s in enumerate(story.steps) if s["mark"] <= cut)

    def compare(self, what, found, since=None):
        """since: the step whose effect is on the disk, where that is not the one before the cut."""
        steps = self.story.steps[self.at if since is None else since:self.at + 2]
        must = set.intersection(*(s[what] for s in steps))
        may = set.union(*(s[what] for s in steps))
        assert must <= found <= may, (what, found, must, may)

    def trees(self):
        for chain in self.herd.listed("layers"):
            layer = self.herd.storage / "layers" / chain
            assert json.loads((layer / "layer.json").read_text())["chain_id"] == "sha256:" + chain
            assert digest(layer / "fs") == self.story.trees[chain], (chain, "is not whole")
        for blob in self.herd.listed("blobs/sha256"):
            assert sha((self.herd.storage / "blobs/sha256" / blob).read_bytes()) == "sha256:" + blob

    def images(self):
        found = self.herd.names()
        self.compare("names", found)
        for name in found:
            assert json.loads(self.herd.ok("image", "inspect", name))[0]["RootFS"]["Layers"] == IMAGES[name].diffs
            assert export_equal(IMAGES[name], read_archive(self.herd.ok("image", "export", name)))

    def containers(self):
        # One that was run with --rm goes now.
        cow.wait_for(lambda: set(self.herd.containers()) <= {"plain", "limited"}, "the end of what was to be removed")
        found = self.herd.containers()
        # A container's record is on the disk half a second later (core/engine/sync.c), its removal when the journal is.
        now = self.story.steps[self.at]["time"]
        self.compare("containers", set(found), max(i for i, s in enumerate(self.story.steps[:self.at + 1])
                                                   if s["time"] < now - SYNCED_S or i == 0))
        for name, c in found.items():
            assert c["state"] in ("created", "stopped"), c
            # What it is made of is there.
            if c["state"] == "created":
                self.herd.ok("start", name)
                self.herd.ok("wait", name)
            self.herd.ok("rm", name)
        # Those in reserve are nobody's (core/engine/dirs.c).
        left = [str(p) for p in (self.herd.mount / "state/containers").glob("*") if not p.name.startswith(".spare")]
        # What is half made is for gc, and so are links whose owner has no directory any more (image/use.c).
        refs = [p for p in self.herd.listed("refs") if p != ".making" and
                not (p[0] == "@" and not (self.herd.mount / "state/containers" / p[1:]).exists())]
        assert left == refs == [], (left, refs, found)

    def collected(self):
        """Whatever was half made has gone with this; what is left is what names keep."""
        self.herd.ok("image", "gc")
        kept = [IMAGES[name] for name in self.herd.names()]
        assert self.herd.listed("tmp") == [] and self.herd.listed("blobs/sha256") == sorted({d[7:] for i in kept for d in i.blobs})
        chains = set()
        for image in kept:
            chain = ""
            for diff in image.diffs:
                chain = sha((chain + " " + diff).encode()) if chain else diff
                chains.add(chain[7:])
        assert self.herd.listed("layers") == sorted(chains)
        for name in self.herd.names():
            self.herd.ok("image", "rm", name)
        assert self.herd.listed("layers", "blobs/sha256", "names", "tmp", "refs") == []

    def layers(self):
        found = set(p for p in os.listdir(self.herd.layers) if p[0] != "." and not p.endswith("-removing"))
        self.compare("layers", found)
        for name in found - {"scratch"}:
            assert digest(self.herd.layers / name / "fs") == self.story.trees[name]
            self.herd.ok("layer", "chain", self.herd.layers / name)
        if "scratch" in found:
            self.herd.ok("layer", "mount", self.herd.layers / "scratch")
        for name in "scratch", "committed", "upper", "lower":
            self.herd.ok("layer", "remove", self.herd.layers / name)
        assert os.listdir(self.herd.layers) == []

    def judge(self):
        self.trees()
        self.images()
        self.containers()
        self.collected()
        self.layers()


def cuts_of(disk, first):
    """(cut, lose): each after `first` writes."""
    everything = [(k, lose) for k in range(first, len(disk.entries) + 1) for lose in (False, True)]
    return everything if not CUTS else random.sample(everything, min(CUTS, len(everything)))


def check(disk, story, work, cut, lose):
    path = work / ("cut-%d-%d" % (cut, lose))  # a file of its own: a loop device may be about to leave the last one's
    disk.after(cut, path, powercut.seeded("%d" % cut) if lose else None)
    try:
        with powercut.Cut(path, disk.mount) as mount, Herd(mount) as herd:
            Judge(story, herd, cut).judge()
        path.unlink()
    except BaseException:
        at = [s["what"] for s in story.steps if s["mark"] <= cut]
        print("cut after write %d of %d, unflushed ones %s, after \"%s\"" % (
            cut, len(disk.entries), "lost" if lose else "kept", at[-1]))
        raise


def test_power_cut():
    picture = cow.Picture()
    work = pathlib.Path(tempfile.mkdtemp(prefix="cowherd-power-"))
    with powercut.Disk(work / "disk", 64) as disk, Herd(disk.mount) as herd:
        story = Story(disk, herd)
        story.tell()
    disk.read()
    disk.after(len(disk.entries), work / "all")
    assert (work / "all").read_bytes() == disk.file.read_bytes(), "not everything that was written was noted"
    cuts = cuts_of(disk, story.steps[1]["mark"])
    for cut, lose in cuts:
        check(disk, story, work, cut, lose)
    picture.check(work)
    shutil.rmtree(work)
    print("%d power cuts in %d writes: nothing lost, nothing half made" % (len(cuts), len(disk.entries)))


if __name__ == "__main__":
    # Nobody else on the machine gets our mounts with a namespace of his own, and holds them for longer than we do.
    if len(sys.argv) == 1 or sys.argv[1] != "alone":
        os.execvp("unshare", ["unshare", "-m", "--propagation", "private", sys.executable, __file__, "alone", *sys.argv[1:]])
    del sys.argv[1]
    cow.main([test_power_cut])
