#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""`cowherd image` on images of skopeo, umoci, buildah and podman, and on some that nobody should make; without a
supervisor, in a mount namespace where /var/lib is the test's own, and with one."""
import contextlib
import gzip
import hashlib
import io
import json
import os
import pathlib
import shutil
import stat
import subprocess
import sys
import tarfile
import tempfile
import threading

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import cow  # noqa: E402
from terminal import Terminal  # noqa: E402

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"
MACHINE = {"x86_64": "amd64", "aarch64": "arm64"}.get(os.uname().machine, os.uname().machine)


def sha(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def dumps(value):
    return json.dumps(value).encode()


def run(*words, **more):
    more.setdefault("stdin", subprocess.DEVNULL)
    r = subprocess.run([str(w) for w in words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, **more)
    assert r.returncode == 0, r
    return r.stdout


class Store:
    """A store of its own, and the client to it without a supervisor."""

    def __init__(self, directory=None):
        self.dir = pathlib.Path(directory or tempfile.mkdtemp(prefix="cowherd-image-"))
        self.root = self.dir / "lib" / "cowherd" / "storage"
        (self.dir / "lib").mkdir(exist_ok=True)

    def words(self, *args):
        # No supervisor of this machine is asked: where the socket would be is nothing.
        return ["unshare", "-m", "--propagation", "private", "sh", "-c", 'mount --bind "$1" /var/lib && shift && exec "$@"',
                "sh", str(self.dir / "lib"), cow.COWHERD, "--host", "unix://%s/none" % self.dir, *map(str, args)]

    def call(self, *args, **more):
        if "input" not in more:
            more.setdefault("stdin", subprocess.DEVNULL)
        return subprocess.run(self.words(*args), stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=120, **more)

    def ok(self, *args, **more):
        r = self.call("image", *args, **more)
        assert r.returncode == 0, r
        return r.stdout.decode()

    def fails(self, *args, **more):
        r = self.call("image", *args, **more)
        assert r.returncode != 0, r
        return r.stderr.decode()

    def names(self):
        return self.ok("ls", "--format", "{{.Repository}}:{{.Tag}}").split()

    def inspect(self, name):
        return json.loads(self.ok("inspect", name))[0]

    def layers(self):
        return sorted(p.name for p in (self.root / "layers").glob("*"))

    def blobs(self):
        return sorted(p.name for p in (self.root / "blobs/sha256").glob("*"))

    def tmp(self):
        return list((self.root / "tmp").glob("*"))

    def top(self, name):
        """The directory of an image's uppermost layer."""
        chain = ""
        for diff in self.inspect(name)["RootFS"]["Layers"]:
            chain = sha((chain + " " + diff).encode()) if chain else diff
        return self.root / "layers" / chain[7:] / "fs"

    def remove(self):
        assert self.tmp() == [], self.tmp()
        shutil.rmtree(self.dir)


@contextlib.contextmanager
def store():
    s = Store()
    try:
        yield s
        s.remove()
    finally:
        shutil.rmtree(s.dir, ignore_errors=True)


def tar(entries):
    """A layer: (name, data or TarInfo attributes, among which "data" may be)."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as t:
        for name, what in entries:
            info = tarfile.TarInfo(name)
            data = what if isinstance(what, bytes) else what.get("data", b"")
            info.size, info.mode = len(data), 0o644
            if isinstance(what, dict):
                for key, value in what.items():
                    if key != "data":
                        setattr(info, key, value)
            t.addfile(info, io.BytesIO(data))
    return out.getvalue()


def gzipped(data):
    """The same bytes a second later: without the time."""
    return gzip.compress(data, mtime=0)


class Image:
    """An OCI image in memory; every part may be made wrong on purpose."""

    def __init__(self, layers, compress=gzipped, media="+gzip", config=None, **platform):
        self.blobs = {}
        self.diffs = [sha(layer) for layer in layers]
        packed = [compress(layer) if compress else layer for layer in layers]
        self.config = {"architecture": MACHINE, "os": "linux", "created": "2024-01-02T03:04:05Z", **platform,
                       "config": config or {"Cmd": ["/bin/sh"]}, "rootfs": {"type": "layers", "diff_ids": self.diffs}}
        self.manifest = {"schemaVersion": 2, "mediaType": MANIFEST, "config": self.add(dumps(self.config), CONFIG),
                         "layers": [self.add(p, LAYER + media) for p in packed]}
        self.descriptor = self.add(dumps(self.manifest), MANIFEST)

    def add(self, data, media, **more):
        self.blobs[sha(data)] = data
        return {"mediaType": media, "digest": sha(data), "size": len(data), **more}

    def remake(self):
        """The manifest was changed."""
        self.descriptor = self.add(dumps(self.manifest), MANIFEST)
        return self


def layout(*images, names=(), index=None, blobs=None):
    """The files of an OCI layout."""
    files = {"oci-layout": dumps({"imageLayoutVersion": "1.0.0"})}
    manifests = []
    for i, image in enumerate(images):
        for digest, data in image.blobs.items():
            files["blobs/sha256/" + digest[7:]] = data
        d = dict(image.descriptor)
        if i < len(names) and names[i]:
            d["annotations"] = {"org.opencontainers.image.ref.name": names[i]}
        manifests.append(d)
    files.update(blobs or {})
    files["index.json"] = dumps(index or {"schemaVersion": 2, "manifests": manifests})
    return files


def archive(files, order=None):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as t:
        for name in order or files:
            info = tarfile.TarInfo(name)
            if isinstance(files[name], str):
                info.type, info.linkname = tarfile.SYMTYPE, files[name]
                t.addfile(info)
            else:
                info.size = len(files[name])
                t.addfile(info, io.BytesIO(files[name]))
    return out.getvalue()


def write(directory, files):
    for name, data in files.items():
        path = pathlib.Path(directory) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return directory


def test_zstd_windows():
    """What is made at levels up to 19 is unpacked within bounded memory; what would need more is refused by its name."""
    def zstd(*options):
        return lambda d: run("zstd", "-q", *options, input=d, stdin=None)
    for level in "-1", "-19":
        with store() as s:
            s.ok("load", input=archive(layout(simple(compress=zstd(level), media="+zstd"), names=["a:1"])))
    image = simple(compress=zstd("-19", "--long"), media="+zstd")
    with store() as s:
        said = s.fails("load", input=archive(layout(image, names=["a:1"])))
        assert "blobs/sha256/%s: decompress: zstd: it can only be unpacked with more than 32 MiB" % (
            image.manifest["layers"][0]["digest"][7:]) in said, said


def test_before_and_since():
    """By time of creation, to the nanosecond and in any zone, as docker compares it."""
    made = {"a": "2024-01-02T03:04:05Z", "b": "2024-01-02T05:04:05.1+02:00", "c": "2024-01-02T03:04:05.10000001Z",
            "d": "2024-01-02T03:04:06Z", "e": "2024-01-02T03:04:06Z"}
    with store() as s:
        s.ok("load", input=archive(layout(*(simple(n.encode(), created=t) for n, t in made.items()), names=[n + ":1" for n in made])))

        def shown(*filters):
            return s.ok("ls", "--format", "{{.Repository}}", *(w for f in filters for w in ("--filter", f))).split()
        assert shown("before=c:1") == ["a", "b"] and shown("since=c:1") == ["d", "e"]
        assert shown("before=a:1") == [] and shown("since=e:1") == [] and shown("before=e:1") == ["a", "b", "c"]
        assert shown("since=a:1", "before=d:1", "reference=c") == ["c"]
        assert s.fails("ls", "--filter", "before=nothing:1") == "cowherd: image nothing:1: not in the store\n"


def simple(text=b"hello", **more):
    return Image([tar([("etc", {"type": tarfile.DIRTYPE, "mode": 0o755}), ("etc/hello", text)]),
                  tar([("second", b"2" * 3000)])], **more)


def test_layouts_and_streams():
    """Directory, tar, gzip and zstd around it, standard input; the manifest last or first; layers of each kind."""
    for compress, media in ((gzip.compress, "+gzip"), (None, ""), (lambda d: run("zstd", "-q", input=d, stdin=None), "+zstd")):
        image = simple(compress=compress, media=media)
        files = layout(image, names=["example.org/a/b:1"])
        plain = archive(files)
        with store() as s:
            write(s.dir / "layout", files)
            (s.dir / "file.tar").write_bytes(plain)
            (s.dir / "file.tgz").write_bytes(gzip.compress(plain))
            for source in "layout", "layout/", "file.tar", "file.tgz":
                assert s.ok("load", s.dir / source) == "Loaded image: example.org/a/b:1\n"
            for data in (plain, gzip.compress(plain), run("zstd", "-q", input=plain, stdin=None),
                         archive(files, sorted(files, key=lambda n: n.startswith("blobs")))):
                s.ok("rm", "example.org/a/b:1")
                assert s.layers() == s.blobs() == []
                assert s.ok("load", input=data) == "Loaded image: example.org/a/b:1\n"
            assert (s.top("example.org/a/b:1") / "second").read_bytes() == b"2" * 3000
            assert sorted(s.blobs()) == sorted(d[7:] for d in image.blobs)
            assert len(s.layers()) == 2
            chain = json.loads((s.root / "layers" / image.diffs[0][7:] / "layer.json").read_text())
            assert chain == {"version": 1, "chain_id": image.diffs[0], "diff_id": image.diffs[0], "parent": "", "size": 5,
                             "kind": "dir"}, chain


def docker_archive(image, old, tags=("busy/box:1",)):
    """What `docker save` wrote up to 24 (a directory per layer, the second a symlink to a copy) or writes since."""
    layers = [image.blobs[d["digest"]] for d in image.manifest["layers"]]
    config = image.manifest["config"]["digest"]
    files, paths = {}, []
    for i, data in enumerate(layers):
        name = "%064x" % (i + 1)
        first = layers.index(data)
        paths.append(name + "/layer.tar")
        files[name + "/VERSION"] = b"1.0"
        files[name + "/json"] = dumps({"id": name})
        files[name + "/layer.tar"] = data if first == i else "../%064x/layer.tar" % (first + 1)
    files[config[7:] + ".json"] = image.blobs[config]
    files["manifest.json"] = dumps([{"Config": config[7:] + ".json", "RepoTags": list(tags) or None, "Layers": paths}])
    files["repositories"] = dumps({"busy/box": {"1": "%064x" % len(layers)}})
    if old:
        return files
    files = layout(image, names=["1"])
    files["manifest.json"] = dumps([{"Config": "blobs/sha256/" + config[7:], "RepoTags": list(tags),
                                     "Layers": ["blobs/sha256/" + d["digest"][7:] for d in image.manifest["layers"]]}])
    index = json.loads(files["index.json"])
    index["manifests"][0]["annotations"]["io.containerd.image.name"] = "docker.io/" + tags[0]
    files["index.json"] = dumps(index)
    return files


def test_docker_archives():
    one, two = tar([("a", b"1")]), tar([("b", b"2")])
    for old in True, False:
        # The same layer twice, as docker has it for empty ones.
        image = Image([one, two, one], compress=None, media="")
        with store() as s:
            assert s.ok("load", input=archive(docker_archive(image, old))) == "Loaded image: busy/box:1\n"
            shown = s.inspect("busy/box:1")
            assert shown["Id"] == image.manifest["config"]["digest"] and shown["RootFS"]["Layers"] == image.diffs
            assert len(s.layers()) == 3 and (s.top("busy/box:1") / "a").read_bytes() == b"1"
    with store() as s:
        data = archive(docker_archive(Image([one], compress=None, media=""), True, tags=()))
        assert s.ok("load", input=data).startswith("Loaded image ID: sha256:")
        assert s.ok("load", "-t", "named", input=data) == "Loaded image: named:latest\n"
        assert s.names() == ["named:latest"]


def test_platforms():
    mine, other = simple(), simple(b"other", architecture="s390x")
    old, new = (simple(v.encode(), architecture="arm", variant=v) for v in ("v6", "v7"))
    def platform(image, arch, **more):
        return {**image.descriptor, "platform": {"os": "linux", "architecture": arch, **more}}
    note = simple(b"note")
    members = [platform(other, "s390x"), platform(mine, MACHINE), platform(old, "arm", variant="v6"),
               platform(new, "arm", variant="v7"),
               {**platform(note, "unknown"), "annotations": {"vnd.docker.reference.type": "attestation-manifest"}}]
    inner = dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": members})
    outer = {"schemaVersion": 2, "manifests": [{"mediaType": INDEX, "digest": sha(inner), "size": len(inner),
                                                "annotations": {"org.opencontainers.image.ref.name": "multi:1"}}]}
    nested = layout(mine, other, old, new, note, index=outer, blobs={"blobs/sha256/" + sha(inner)[7:]: inner})
    flat = layout(mine, other, old, new, note, index={"schemaVersion": 2, "manifests": members})
    with store() as s:
        for files in nested, flat:
            for data in {"input": archive(files)}, {}:
                write(s.dir / "layout", files)
                source = [] if data else [s.dir / "layout"]
                def loaded(*options):
                    s.ok("load", "-t", "x", *options, *source, **data)
                    shown = s.inspect("x")
                    s.ok("rm", "x")
                    assert s.layers() == []
                    return shown["Architecture"] + shown.get("Variant", "")
                assert loaded() == MACHINE
                assert loaded("--platform", "linux/s390x") == "s390x"
                assert loaded("--platform", "linux/arm/v7") == "armv7"
                assert loaded("--platform", "linux/arm/v6") == "armv6"
                assert loaded("--platform", "arm") == "armv7"
                e = s.fails("load", "--platform", "linux/ppc64le", *source, **data)
                assert "no image for linux/ppc64le; there is linux/s390x, linux/" in e, e
                shutil.rmtree(s.dir / "layout")
        assert 'platform "vax"' in s.fails("load", "--platform", "vax", input=archive(flat))
        # One for another machine is loaded unless it was refused.
        data = archive(layout(other, names=["strange"]))
        assert s.ok("load", input=data) == "Loaded image: strange:latest\n"


def test_what_layers_hold():
    """Whiteouts, opaque directories, hard links, xattrs, capabilities, devices, sparse and long names, owners."""
    cap = bytes.fromhex("0100000200200000000000000000000000000000")
    pax = {"SCHILY.xattr.user.note": "yes", "SCHILY.xattr.security.capability": cap.decode("latin-1")}
    long = "d/" + "n" * 240
    lower = tar([("d", {"type": tarfile.DIRTYPE, "mode": 0o1777, "uid": 12, "gid": 34}), ("d/file", b"x"), ("gone", b"x"),
                 ("opaque", {"type": tarfile.DIRTYPE, "mode": 0o700}), ("opaque/below", b"x")])
    upper = tar([(".wh.gone", b""), ("opaque/.wh..wh..opq", b""), ("opaque/new", b"x"), ("one", b"linked"),
                 ("two", {"type": tarfile.LNKTYPE, "linkname": "one"}), ("link", {"type": tarfile.SYMTYPE, "linkname": "/one"}),
                 ("null", {"type": tarfile.CHRTYPE, "devmajor": 1, "devminor": 3, "mode": 0o666}),
                 ("pipe", {"type": tarfile.FIFOTYPE}), ("noted", {"pax_headers": pax}), (long, b"long"),
                 ("owned", {"uid": 70000, "gid": 5, "mode": 0o4755, "mtime": 1234567890})])
    with tempfile.TemporaryDirectory() as work:
        with open(work + "/sparse", "wb") as f:
            f.truncate(64 << 20)
            f.seek(32 << 20)
            f.write(b"middle")
        sparse = run("tar", "-C", work, "--sparse", "-cf", "-", "sparse")
    image = Image([lower, upper, sparse])
    with store() as s:
        s.ok("load", input=archive(layout(image, names=["all"])))
        chains = s.root / "layers"
        second = chains / sha((image.diffs[0] + " " + image.diffs[1]).encode())[7:] / "fs"
        st = os.lstat(second / "gone")
        assert stat.S_ISCHR(st.st_mode) and st.st_rdev == 0
        assert os.getxattr(second / "opaque", "trusted.overlay.opaque") == b"y"
        # It was implied only; the layer below says what it is.
        assert os.lstat(second / "opaque").st_mode & 0o7777 == 0o700
        assert os.stat(second / "d").st_mode & 0o7777 == 0o1777 and os.stat(second / "d").st_uid == 12
        assert os.stat(second / "one").st_ino == os.stat(second / "two").st_ino
        assert os.readlink(second / "link") == "/one" and os.stat(second / "null").st_rdev == os.makedev(1, 3)
        assert stat.S_ISFIFO(os.stat(second / "pipe").st_mode) and (second / long).read_bytes() == b"long"
        assert os.getxattr(second / "noted", "user.note") == b"yes"
        assert os.getxattr(second / "noted", "security.capability")[:4] == cap[:4]
        st = os.stat(second / "owned")
        assert (st.st_uid, st.st_gid, st.st_mode & 0o7777, int(st.st_mtime)) == (70000, 5, 0o4755, 1234567890)
        st = os.stat(s.top("all") / "sparse")
        assert st.st_size == 64 << 20 and st.st_blocks * 512 < 1 << 20
        # And all of it mounted.
        out = run("unshare", "-m", "sh", "-c", "mount -t overlay overlay -o lowerdir=%s:%s:%s %s && ls %s %s/opaque" % (
            s.top("all"), second, chains / image.diffs[0][7:] / "fs", s.dir / "lib", s.dir / "lib", s.dir / "lib")).decode()
        assert "gone" not in out and "below" not in out and "new" in out and "sparse" in out, out


def broken():
    """What is wrong, the files, and what the message says."""
    good = simple(b"b" * 5000)
    layer = good.manifest["layers"][0]["digest"]
    config = good.manifest["config"]["digest"]
    def files(**changed):
        f = layout(good, names=["bad"])
        for digest, data in changed.items():
            key = "blobs/sha256/" + digest
            if data is None:
                del f[key]
            else:
                f[key] = data
        return f
    def remade(change):
        image = simple(b"b" * 5000)
        change(image)
        return layout(image.remake(), names=["bad"])
    def of_config(change):
        image = simple(b"b" * 5000)
        change(image.config)
        image.manifest["config"] = image.add(dumps(image.config), CONFIG)
        return layout(image.remake(), names=["bad"])
    data = good.blobs[layer]
    yield "a layer of other content", files(**{layer[7:]: gzip.compress(tar([("x", b"y")]))}), "descriptor says"
    yield "a layer of the same size", files(**{layer[7:]: data[:-9] + bytes([data[-9] ^ 1]) + data[-8:]}), ""
    yield "a layer that is cut off", files(**{layer[7:]: data[:-20]}), ""
    yield "a missing layer", files(**{layer[7:]: None}), layer[7:] + ": missing"
    yield "a missing configuration", files(**{config[7:]: None}), config[7:] + ": missing"
    yield "a missing manifest", files(**{good.descriptor["digest"][7:]: None}), ": missing"
    yield "another configuration", files(**{config[7:]: dumps({**good.config, "os": "linuz"})}), "has the digest"
    yield "a diff id too few", of_config(lambda c: c["rootfs"]["diff_ids"].pop()), "2 layers, but 1 diff ids"
    yield "another diff id", of_config(lambda c: c["rootfs"]["diff_ids"].__setitem__(0, sha(b""))), "has the digest"
    yield "a bad diff id", of_config(lambda c: c["rootfs"]["diff_ids"].__setitem__(0, "sha256:../../x")), "not a SHA-256"
    yield "no rootfs", of_config(lambda c: c.pop("rootfs")), "no rootfs"
    yield "a wrong size", remade(lambda i: i.manifest["layers"][0].update(size=7)), "descriptor says"
    yield "a huge size", remade(lambda i: i.manifest["layers"][0].update(size=1 << 60)), "impossible"
    yield "another algorithm", remade(lambda i: i.manifest["layers"][0].update(digest="sha512:" + "0" * 128)), "SHA-256"
    yield "a digest that is a path", remade(lambda i: i.manifest["config"].update(digest="sha256:../../../etc/passwd")), "SHA-256"
    yield "schema 1", remade(lambda i: i.manifest.update(schemaVersion=1)), "schema version 1"
    yield "both kinds at once", remade(lambda i: i.manifest.update(manifests=[])), "CVE-2021-41190"
    yield "an artifact", remade(lambda i: i.manifest["config"].update(mediaType="application/vnd.x")), "not a container image"
    yield "129 layers", remade(lambda i: i.manifest.update(layers=i.manifest["layers"][:1] * 129)), "at most 128"
    yield "an encrypted layer", remade(lambda i: i.manifest["layers"][0].update(mediaType=LAYER + "+encrypted")), "encrypted"
    for name, text in (("deep", b"[" * 100000), ("many", b"[" + b"{}," * 100000 + b"{}]"), ("cut off", b'{"manifests":['),
                       ("two", b"{}{}"), ("text", b"hello"), ("a NUL", b'{"a":"\0"}'), ("null", b"null"), ("huge", b" " * (5 << 20)),
                       ("a list", b"[]"), ("no manifests", b"{}"), ("empty", b'{"schemaVersion":2,"manifests":[]}')):
        yield "index.json: " + name, {**layout(good), "index.json": text}, ""
    yield "nothing", {"x": b"y"}, "neither an OCI layout nor a docker archive"
    one = Image([tar([("a", b"1")])], compress=None, media="")
    docker = docker_archive(one, True)
    listed = json.loads(docker["manifest.json"])[0]
    for name, change in (("a way out", {"Config": "../../etc/passwd"}), ("absolute", {"Layers": ["/etc/passwd"]}),
                         ("no layer", {"Layers": ["x"]}), ("too few", {"Layers": []}), ("a bad tag", {"RepoTags": ["A:b"]}),
                         ("no configuration", {"Config": None})):
        yield "manifest.json: " + name, {**docker, "manifest.json": dumps([{**listed, **change}])}, ""
    yield "links without end", {**docker, "%064x/layer.tar" % 1: "layer.tar"}, "links"
    bomb = gzip.compress(b"\0" * (1 << 20)) * 40
    yield "a layer that leaves", layout(Image([tar([("../x", b"1")])]), names=["bad"]), "x"
    yield "a layer that is no tar", layout(Image([b"not a tar" * 100]), names=["bad"]), ""
    yield "zeroes without end", layout(Image([b"\0" * 10240], compress=lambda d: bomb), names=["bad"]), ""


def test_broken():
    """Each is refused with its reason, as a stream and as a directory, and leaves nothing."""
    with store() as s:
        s.ok("ls")
        for what, files, says in broken():
            for way in "stream", "directory":
                if way == "stream":
                    e = s.fails("load", "-q", input=archive(files))
                elif "oci-layout" in files:
                    write(s.dir / "bad", files)
                    e = s.fails("load", "-q", s.dir / "bad")
                    shutil.rmtree(s.dir / "bad")
                else:
                    continue
                assert says in e and len(e.splitlines()) == 1 and e.startswith("cowherd: "), (what, way, e)
                assert s.names() == [] and s.tmp() == [] and s.layers() == s.blobs() == [], (what, way)
        # Cut off anywhere.
        data = archive(layout(simple(os.urandom(20000)), names=["cut"]))
        for n in [0, 1, 511, 512, 700, 1024, *range(1536, len(data) - 10240, 3001)]:
            e = s.fails("load", "-q", input=data[:n])
            assert len(e.splitlines()) == 1, (n, e)
            assert s.tmp() == [] and s.layers() == s.blobs() == [], n
        for bad in gzip.compress(data)[:-9], gzip.compress(data)[:5000], run("zstd", "-q", input=data, stdin=None)[:-9]:
            s.fails("load", "-q", input=bad)
            assert s.tmp() == [] and s.layers() == s.blobs() == []
        e = s.fails("load", s.dir / "not-there")
        assert e == "cowherd: %s/not-there: No such file or directory\n" % s.dir, e


def test_names_and_listing():
    one = simple(b"one", config={"Labels": {"kind": "first"}, "Env": ["A=1"]})
    two = simple(b"two")
    with store() as s:
        s.ok("load", input=archive(layout(one, two, names=["localhost/podman:latest", "docker.io/library/busy:1.36"])))
        i1, i2 = one.manifest["config"]["digest"], two.manifest["config"]["digest"]
        assert s.names() == ["busy:1.36", "localhost/podman:latest"]
        for name in ("podman", "localhost/podman", "podman:latest", i1, i1[7:], i1[7:19], one.descriptor["digest"],
                     "podman@" + one.descriptor["digest"]):
            assert s.inspect(name)["Id"] == i1, name
        for name in "busy:1.36", "library/busy:1.36", "docker.io/busy:1.36", "docker.io/library/busy:1.36":
            assert s.inspect(name)["Id"] == i2, name
        for name in "busy", "nothing:1", "0123456789ab", "podman@" + two.descriptor["digest"], "sha256:" + "0" * 64:
            assert s.fails("inspect", name) == "cowherd: image %s: not in the store\n" % name
        for name in "Busy", "a//b", "a:b:c", "a@b", "-a", "x" * 300, "a/b:" + "t" * 129:
            assert s.fails("inspect", "--", name).startswith("cowherd: image name \""), name
        shown = s.inspect("podman")
        assert shown["RepoTags"] == ["localhost/podman:latest"] and shown["Config"]["Env"] == ["A=1"]
        assert shown["RepoDigests"] == ["localhost/podman@" + one.descriptor["digest"]]
        assert shown["Os"] == "linux" and shown["Architecture"] == MACHINE and shown["Created"] == "2024-01-02T03:04:05Z"
        assert shown["RootFS"] == {"Type": "layers", "Layers": one.diffs} and shown["Size"] == 3003
        table = s.ok("ls").splitlines()
        assert table[0].split("  ")[0] == "REPOSITORY" and table[0].split() == "REPOSITORY TAG IMAGE ID CREATED SIZE".split()
        assert table[2].split()[:3] == ["localhost/podman", "latest", i1[7:19]] and table[2].endswith("years ago   3kB"), table
        assert s.ok("ls", "-q").split() == [i2[7:19], i1[7:19]]
        assert s.ok("ls", "-q", "--no-trunc").split() == [i2, i1]
        assert "DIGEST" in s.ok("ls", "--digests") and one.descriptor["digest"] in s.ok("ls", "--digests")
        rows = [json.loads(line) for line in s.ok("ls", "--format", "json").splitlines()]
        assert rows[0]["Repository"] == "busy" and rows[0]["Tag"] == "1.36" and rows[0]["Size"] == "3kB", rows
        assert s.ok("ls", "--format", "table {{.ID}}\t{{.Tag}}").splitlines()[0] == "IMAGE ID       TAG"
        assert s.ok("ls", "-q", "--filter", "label=kind=first").split() == [i1[7:19]]
        assert s.ok("ls", "-q", "-f", "reference=bus*").split() == s.ok("ls", "-q", "busy").split() == [i2[7:19]]
        assert s.ok("ls", "-q", "-f", "dangling=true") == ""
        assert "--filter" in s.fails("ls", "-f", "x=y") and "--format" in s.fails("ls", "--format", "{{.ID")
        assert s.ok("inspect", "-f", "{{.Id}} {{json .Config.Env}} {{index .RepoTags 0}}", "podman") == \
            i1 + ' ["A=1"] localhost/podman:latest\n'
        # Tags: another name, moved to another image, taken off.
        s.ok("tag", "podman", "again")
        assert s.names() == ["again:latest", "busy:1.36", "localhost/podman:latest"]
        assert s.ok("rm", "again") == "Untagged: again:latest\n"
        s.ok("tag", "busy:1.36", "localhost/podman")
        assert s.ok("gc").splitlines()[-1].startswith("Total reclaimed space: ")
        assert s.inspect("podman")["Id"] == i2 and s.fails("inspect", i1[7:19])
        e = s.fails("rm", i2[7:19])
        assert "conflict: unable to delete %s (must be forced) - image is referenced in multiple repositories" % i2[7:19] in e
        gone = s.ok("rm", "-f", i2[7:19]).splitlines()
        assert gone[:3] == ["Untagged: busy:1.36", "Untagged: localhost/podman:latest", "Deleted: " + i2], gone
        assert len(gone) == 5 and s.names() == [] and s.layers() == s.blobs() == []
        assert s.fails("rm", "x") == "cowherd: image x: not in the store\n" and s.ok("rm", "-f", "x") == ""


def test_options():
    with store() as s:
        for words, says in (((), "load, ls"), (("frob",), "no such word: frob"), (("ls", "--frob"), "image ls: no such option: --frob"),
                            (("ls", "-z"), "no such option: -z"), (("ls", "--format"), "--format needs a value (FORMAT)"),
                            (("ls", "-q=x"), "-="), (("inspect",), "something is missing: IMAGE..."), (("gc", "x"), 'too many words: "x"'),
                            (("ls", "--quiet=maybe"), "--quiet"), (("export", "x", "--format", "zip"), "not in the store")):
            r = s.call("image", *words)
            assert says in r.stderr.decode() and r.returncode in (1, 125), (words, r)
        assert s.call("image", "ls", "--frob").returncode == 125
        for word in "load", "ls", "inspect", "tag", "rm", "gc", "export":
            text = s.ok(word, "--help")
            assert text.startswith("usage: cowherd image " + word) and text == s.ok(word, "-h"), text
            assert "  " + word in s.ok("--help")
        assert "input" in s.ok("load", "--help")
        for alias in "images", "save", "load", "rmi":
            assert s.call(alias, "--help").returncode == 0
        assert s.call("images").stdout.startswith(b"REPOSITORY")


def export_equal(image, files):
    return all(files.get("blobs/sha256/" + d[7:]) == data for d, data in image.blobs.items())


def read_archive(data):
    with tarfile.open(fileobj=io.BytesIO(data)) as t:
        return {m.name: t.extractfile(m).read() for m in t if m.isfile()}


def test_export():
    """The same digests, as archive, directory and docker's form; what was exported loads again, here and elsewhere."""
    image, other = simple(), simple(b"other", compress=None, media="")
    with store() as s:
        s.ok("load", input=archive(layout(image, other, names=["one:1", "two:2"])))
        data = s.call("image", "export", "one:1").stdout
        assert data == s.call("image", "export", "one:1").stdout
        assert export_equal(image, read_archive(data)) and not export_equal(other, read_archive(data))
        assert sorted(read_archive(data)) == sorted(["oci-layout", "index.json", *("blobs/sha256/" + d[7:] for d in image.blobs)])
        s.ok("export", "-o", s.dir / "both.tar", "one:1", "two:2")
        files = read_archive((s.dir / "both.tar").read_bytes())
        assert export_equal(image, files) and export_equal(other, files)
        s.ok("export", "--format", "oci-dir", "-o", s.dir / "dir", "one:1")
        assert (s.dir / "dir/blobs/sha256" / image.descriptor["digest"][7:]).read_bytes() == dumps(image.manifest)
        assert "is there already" in s.fails("export", "--format", "oci-dir", "-o", s.dir / "dir", "two:2")
        s.ok("export", "--format", "docker-archive", "-o", s.dir / "docker.tar", "one:1")
        assert "manifest.json" in read_archive((s.dir / "docker.tar").read_bytes())
        assert "needs --output" in s.fails("export", "--format", "oci-dir", "one:1")
        assert "not oci-archive" in s.fails("export", "--format", "zip", "one:1")
        assert s.fails("export", "-o", s.dir / "no/where", "one:1") == "cowherd: %s/no/where: No such file or directory\n" % s.dir
        assert "not in the store" in s.fails("export", "-o", s.dir / "x.tar", "three") and not (s.dir / "x.tar").exists()
        # Others read them.
        (s.dir / "one.tar").write_bytes(data)
        for source in ("oci-archive:%s/one.tar" % s.dir, "oci:%s/dir" % s.dir, "docker-archive:%s/docker.tar" % s.dir):
            shown = json.loads(run("skopeo", "inspect", "--config", source))
            assert shown["rootfs"]["diff_ids"] == image.diffs, source
        if os.geteuid() == 0:
            run("umoci", "unpack", "--image", "%s/dir:docker.io/library/one:1" % s.dir, s.dir / "bundle")
            assert (s.dir / "bundle/rootfs/etc/hello").read_bytes() == b"hello"
        for name in "one.tar", "docker.tar":
            out = podman(s.dir / "podman", "load", "-i", s.dir / name)
            assert b"one:1" in out, out
        # And ourselves, once it is gone.
        s.ok("rm", "one:1", "two:2")
        for source in s.dir / "both.tar", s.dir / "dir", s.dir / "docker.tar":
            assert "Loaded image: one:1\n" in s.ok("load", source)
            assert s.inspect("one:1")["RepoDigests"] == ["one@" + image.descriptor["digest"]], source
            s.ok("rm", *s.names())
        # A blob that was damaged on the disk does not go out as if it were whole.
        s.ok("load", s.dir / "one.tar")
        blob = s.root / "blobs/sha256" / image.manifest["layers"][0]["digest"][7:]
        blob.write_bytes(blob.read_bytes()[:-1] + b"x")
        assert "damaged" in s.fails("export", "-o", s.dir / "x.tar", "one:1") and not (s.dir / "x.tar").exists()
        assert s.tmp() == []


def podman(directory, *words, **more):
    directory.mkdir(exist_ok=True)
    return run("podman", "--root", directory / "root", "--runroot", directory / "run", "--storage-driver", "vfs",
               "--cgroup-manager", "cgroupfs", "--events-backend", "file", *words, **more)


def test_tools():
    """Images that skopeo, umoci, buildah and podman made."""
    with store() as s:
        rootfs = cow.make_rootfs(s.dir / "rootfs")
        umoci = s.dir / "umoci"
        run("umoci", "init", "--layout", umoci)
        run("umoci", "new", "--image", "%s:tagged" % umoci)
        run("umoci", "insert", "--image", "%s:tagged" % umoci, rootfs, "/")
        (s.dir / "new").write_text("new\n")
        run("umoci", "insert", "--image", "%s:tagged" % umoci, s.dir / "new", "/etc/new")
        run("umoci", "insert", "--image", "%s:tagged" % umoci, "--whiteout", "/etc/group")
        run("umoci", "config", "--image", "%s:tagged" % umoci, "--config.cmd", "sh", "--config.env", "X=1")
        assert s.ok("load", umoci) == "Loaded image: umoci:tagged\n"
        image = s.inspect("umoci:tagged")
        assert image["Config"]["Cmd"] == ["sh"] and "X=1" in image["Config"]["Env"] and len(image["RootFS"]["Layers"]) == 3
        assert stat.S_ISCHR(os.lstat(s.top("umoci:tagged") / "etc/group").st_mode)
        for form, to, loaded in (("oci-archive", ":some/name:2", "some/name:2"), ("docker-archive", ":some/name:2", "some/name:2"),
                                 ("oci-archive", "", None)):
            target = "%s:%s/out.tar%s" % (form, s.dir, to)
            run("skopeo", "--insecure-policy", "copy", "oci:%s:tagged" % umoci, target)
            out = s.ok("load", s.dir / "out.tar")
            assert out == "Loaded image: %s\n" % loaded if loaded else out.startswith("Loaded image ID: "), (form, out)
            if loaded:
                assert s.inspect(loaded)["RootFS"] == image["RootFS"]
                s.ok("rm", loaded)
            os.unlink(s.dir / "out.tar")
        # From skopeo's standard output (its oci-archive wants a file, in Debian 12).
        pipe = "skopeo --insecure-policy copy -q oci:%s:tagged docker-archive:/dev/stdout:piped:latest" % umoci
        with subprocess.Popen(pipe, shell=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as p:
            assert s.ok("load", stdin=p.stdout) == "Loaded image: piped:latest\n"
        run("skopeo", "--insecure-policy", "copy", "--dest-compress-format", "zstd", "oci:%s:tagged" % umoci,
            "oci:%s/zstd:z" % s.dir)
        assert s.ok("load", s.dir / "zstd") == "Loaded image: zstd:z\n"
        assert s.inspect("zstd:z")["RootFS"] == image["RootFS"] and len(s.layers()) == 3
        # podman: its own name, and both forms of its archives.
        run("skopeo", "--insecure-policy", "copy", "oci:%s:tagged" % umoci, "docker-archive:%s/in.tar:localhost/mine:1" % s.dir)
        podman(s.dir / "podman", "load", "-i", s.dir / "in.tar")
        for form in "docker-archive", "oci-archive":
            podman(s.dir / "podman", "save", "--format", form, "-o", s.dir / "podman.tar", "localhost/mine:1")
            assert s.ok("load", s.dir / "podman.tar") == "Loaded image: localhost/mine:1\n"
            assert s.inspect("mine:1")["RootFS"] == image["RootFS"]
            s.ok("rm", "mine:1")
            os.unlink(s.dir / "podman.tar")
        buildah = ["buildah", "--root", s.dir / "podman/root", "--runroot", s.dir / "podman/run", "--storage-driver", "vfs"]
        made = run(*buildah, "from", "scratch").decode().strip()
        run(*buildah, "copy", made, rootfs / "bin", "/bin")
        run(*buildah, "config", "--entrypoint", '["/bin/echo"]', "--user", "1000", made)
        run(*buildah, "commit", "-q", made, "oci-archive:%s/buildah.tar:built:3" % s.dir)
        assert s.ok("load", s.dir / "buildah.tar") == "Loaded image: built:3\n"
        assert s.inspect("built:3")["Config"]["Entrypoint"] == ["/bin/echo"] and s.inspect("built:3")["Config"]["User"] == "1000"
        assert (s.top("built:3") / "bin/busybox").read_bytes() == (rootfs / "bin/busybox").read_bytes()
        run(*buildah, "rm", "-a")


def test_progress():
    data = archive(layout(simple(), names=["p"]))
    with store() as s:
        r = s.call("image", "load", input=data)
        assert r.stderr.decode().count(": Loaded, ") == 2 and "\033" not in r.stderr.decode(), r
        s.ok("rm", "p")
        assert s.call("image", "load", "-q", input=data).stderr == b""
        s.ok("rm", "p")
        (s.dir / "p.tar").write_bytes(data)
        t = Terminal(s.words("image", "load", s.dir / "p.tar"))
        t.expect(b"Loaded image: p:latest")
        assert t.end() == 0 and t.seen.count(b": Loaded, 3kB unpacked\x1b[K") >= 1, t.seen


def test_supervisor():
    """Through a supervisor, in its state directory; and the two at once."""
    before = cow.Picture()
    supervisor = cow.Supervisor().start()
    try:
        data = archive(layout(simple(), names=["served"]))
        r = supervisor.cli("image", "load", "-q", input=data, stdin=None)
        assert r.stdout == b"Loaded image: served:latest\n", r
        assert (supervisor.state / "storage/names").is_dir()
        assert supervisor.cli("image", "ls", "-q").stdout.strip() == simple().manifest["config"]["digest"][7:19].encode()
        assert supervisor.cli("image", "load", "-q", "x.tar", cwd="/").stderr.endswith(b"x.tar: No such file or directory\n")
        out = supervisor.cli("image", "export", "served").stdout
        assert export_equal(simple(), read_archive(out))
        assert supervisor.cli("rmi", "served").stdout.startswith(b"Untagged: served:latest\nDeleted: sha256:")
        # A client that has gone, and what it was loading with it.
        client = subprocess.Popen([cow.COWHERD, "--host", "unix://" + supervisor.socket, "image", "load"],
                                  stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        client.stdin.write(data[:4096])
        client.stdin.flush()
        tmp = supervisor.state / "storage/tmp"
        cow.wait_for(lambda: list(tmp.glob("*/part*")), "the import")
        client.kill()
        client.wait()
        cow.wait_for(lambda: not list(tmp.glob("*")), "the end of the import")
        client.stdin.close()
        # One under way does not keep it from ending.
        client = subprocess.Popen([cow.COWHERD, "--host", "unix://" + supervisor.socket, "image", "load"],
                                  stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        client.stdin.write(data[:4096])
        client.stdin.flush()
        cow.wait_for(lambda: list(tmp.glob("*/part*")), "the import")
        assert supervisor.stop() == 0
        assert not list(tmp.glob("*"))
        client.stdin.close()
        assert client.wait(30) != 0
        before.check(supervisor.dir)
    finally:
        supervisor.remove()


def test_two_at_once():
    """The same image twice at once: one set of layers."""
    layers = [tar([("f%d" % n, os.urandom(100000)) for n in range(20)]) for _ in range(3)]
    data = archive(layout(Image(layers, compress=None, media=""), names=["same"]))
    with store() as s:
        for _ in range(5):
            results = []
            threads = [threading.Thread(target=lambda: results.append(s.call("image", "load", "-q", input=data)))
                       for _ in range(3)]
            for t in threads:
                t.start()
            gc = s.call("image", "gc")
            for t in threads:
                t.join()
            assert gc.returncode == 0 and all(r.returncode == 0 for r in results), (gc, results)
            assert len(s.layers()) == 3 and len(s.blobs()) == 5 and s.tmp() == []
            s.ok("rm", "same")
            assert s.layers() == s.blobs() == []


def test_full_disk():
    """ENOSPC wherever it comes: the reason, and nothing left; with room again it works."""
    data = archive(layout(Image([tar([("f%d" % n, os.urandom(50000)) for n in range(20)])]), names=["big"]))
    s = Store()
    try:
        for kilobytes in (64, 400, 1200, 1900):
            script = 'mount -t tmpfs -o size=%dk tmpfs /var/lib && shift && "$@" image load -q; ' \
                     'r=$?; find /var/lib/cowherd/storage/tmp /var/lib/cowherd/storage/layers ' \
                     '/var/lib/cowherd/storage/names -mindepth 1 | wc -l; exit $r' % kilobytes
            r = subprocess.run(["unshare", "-m", "--propagation", "private", "sh", "-c", script, "sh", "x", cow.COWHERD, "--host",
                                "unix://%s/none" % s.dir], input=data, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            assert r.returncode and b"No space left on device" in r.stderr and r.stdout.strip() == b"0", (kilobytes, r)
    finally:
        s.remove()


if __name__ == "__main__":
    cow.main([test_layouts_and_streams, test_docker_archives, test_platforms, test_what_layers_hold, test_broken,
              test_names_and_listing, test_options, test_export, test_tools, test_progress, test_supervisor, test_two_at_once,
              test_full_disk])
