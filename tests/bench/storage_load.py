# SPDX-License-Identifier: MIT
"""A real layer, loaded: beside `tar -xz`, which neither hashes nor keeps the blob, and `umoci unpack`."""
import hashlib
import json
import os
import subprocess


def sha256(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def gzip(source, path):
    with open(path, "wb") as out:
        subprocess.run(["gzip", "-n", "-c", source], stdout=out, check=True)


def parts(root, n):
    """The root's files in n lists of about the same size, each with the directories above them."""
    size, files = 0, []
    for top, _, names in os.walk(root):
        for name in sorted(names):
            path = os.path.join(top, name)
            size += os.lstat(path).st_size
            files.append((size, os.path.relpath(path, root)))
    lists = [[] for _ in range(n)]
    for at, path in files:
        lists[min(n - 1, at * n // max(size, 1))].append(path)
    return lists


def layers(bench, n):
    """n gzip layers of the Debian root, tarred by GNU tar."""
    root = bench.debian_root()

    def make(path):
        path.mkdir()
        for i, files in enumerate(parts(root, n)):
            tar = path / ("%d.tar" % i)
            what = ["."] if n == 1 else ["--verbatim-files-from", "--null", "-T", "-"]
            subprocess.run(["tar", "-c", "--numeric-owner", "--xattrs", "--xattrs-include=*", "-C", root, "-f", tar] +
                           what, input="\0".join(files).encode(errors="surrogateescape"), check=True)
            gzip(tar, path / ("%d.tar.gz" % i))
    path = bench.input("layers-%d%s" % (n, "-quick" if bench.quick else ""), make)
    return [(path / ("%d.tar" % i), path / ("%d.tar.gz" % i)) for i in range(n)]


def layout(path, pairs):
    """An OCI layout that holds these layers."""
    blobs = path / "blobs/sha256"
    blobs.mkdir(parents=True)

    def blob(data, kind):
        name = hashlib.sha256(data).hexdigest()
        (blobs / name).write_bytes(data)
        return {"mediaType": kind, "digest": "sha256:" + name, "size": len(data)}

    descriptors, diff_ids = [], []
    for tar, packed in pairs:
        name = sha256(packed)
        os.link(packed, blobs / name)
        descriptors.append({"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", "digest": "sha256:" + name,
                            "size": packed.stat().st_size})
        diff_ids.append("sha256:" + sha256(tar))
    config = {"architecture": "amd64", "os": "linux", "config": {}, "rootfs": {"type": "layers", "diff_ids": diff_ids}}
    manifest = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "layers": descriptors,
                "config": blob(json.dumps(config).encode(), "application/vnd.oci.image.config.v1+json")}
    descriptor = blob(json.dumps(manifest).encode(), manifest["mediaType"])
    descriptor["annotations"] = {"org.opencontainers.image.ref.name": "it"}
    (path / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [descriptor]}))
    (path / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')


def measure(bench, n, sync):
    pairs = layers(bench, n)
    image = bench.input("layout-%d%s" % (n, "-quick" if bench.quick else ""), lambda path: layout(path, pairs))

    def ours(work):
        words = ["sync"] if sync else []
        for i, (_, packed) in enumerate(pairs):
            (work / str(i)).mkdir()
            words += [packed, work / ("blob%d" % i), work / str(i)]
        return bench.timed(bench.program("bench_archive"), "load", *words)

    def tar(work):
        script = "".join("tar -x -z --xattrs --xattrs-include='*' -C '%s' -f '%s' && " % (work, packed)
                         for _, packed in pairs)
        return bench.timed("sh", "-c", script + ("sync -f '%s'" % work if sync else ":"))

    def umoci(work):
        end = "sync -f '%s'" % work if sync else ":"
        return bench.timed("sh", "-c", "umoci unpack --image '%s:it' '%s' && %s" % (image, work / "bundle", end))

    return bench.interleave(ours=ours, tar=tar, umoci=umoci)


def run(bench):
    for n, sync in (1, False), (1, True), (4, False), (4, True):
        if bench.quick and sync:
            continue
        found = measure(bench, n, sync)
        ours, tar, umoci = (found[name][0] for name in ("ours", "tar", "umoci"))
        what = "%s, %s%s" % ("a gzip layer of a Debian root" if n == 1 else "the same in %d layers" % n,
                             "cold" if bench.cold else "warm", ", all on the disk" if sync else "")
        size = sum(packed.stat().st_size for _, packed in layers(bench, n)) / 1e6
        bench.row("%s (%.0f MB): seconds" % (what, size), ours, "s")
        bench.row("%s: against tar -xz" % what, ours / tar, "x", 1.1)
        if n == 1:
            bench.row("%s: against umoci unpack" % what, ours / umoci, "x", 0.8)
        else:
            bench.row("%s: times as fast as umoci unpack" % what, umoci / ours, "x", 1.5, good="more")
        bench.row("%s: peak memory" % what, found["ours"][1] / 1024, "MiB", 32)
