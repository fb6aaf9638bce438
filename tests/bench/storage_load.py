# SPDX-License-Identifier: MIT
"""A real layer, loaded by `cowherd image load`, beside `umoci unpack` and `tar -xz`, which neither hashes nor keeps the
blob.  cowherd has everything on the disk when it returns, the others have not: each is measured twice in one run, as it
returns, and when the file system it wrote to has been synced."""
import concurrent.futures
import hashlib
import json
import os
import pathlib
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "integration"))


def sha256(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


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
    root = bench.root()

    def gzip(path):
        with open(str(path) + ".gz", "wb") as out:
            subprocess.run(["gzip", "-n", "-c", path], stdout=out, check=True)

    def make(path):
        path.mkdir()
        tars = []
        for i, files in enumerate(parts(root, n)):
            tars.append(path / ("%d.tar" % i))
            what = ["."] if n == 1 else ["--verbatim-files-from", "--null", "-T", "-"]
            subprocess.run(["tar", "-c", "--numeric-owner", "--xattrs", "--xattrs-include=*", "-C", root, "-f", tars[-1]] +
                           what, input="\0".join(files).encode(errors="surrogateescape"), check=True)
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            list(pool.map(gzip, tars))
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


def image(bench, n):
    pairs = layers(bench, n)
    return pairs, bench.input("layout-%d%s" % (n, "-quick" if bench.quick else ""), lambda path: layout(path, pairs))


def measure(bench, n, cold):
    pairs, path = image(bench, n)

    def ours(work):
        return bench.timed(work, bench.offline(work, "image", "load", "--quiet", "--input", path))

    def tar(work):
        return bench.timed(work, *(["tar", "-xz", "--xattrs", "--xattrs-include=*", "-C", work, "-f", packed]
                                   for _, packed in pairs))

    def umoci(work):
        return bench.timed(work, ["umoci", "unpack", "--image", "%s:it" % path, work / "bundle"])

    found = bench.interleave(cold, ours=ours, tar=tar, umoci=umoci)
    size = sum(packed.stat().st_size for _, packed in pairs) / 1e6
    what = "load a gzip layer of Debian, %.0f MB" % size if n == 1 else "  the same in %d layers" % n
    what += ", cold" if cold else ", warm"
    bench.row(what, found["ours"][1], "s", seconds=found)
    # What is compared is the same: all of it on the disk.
    if n == 1:
        bench.row("  / umoci unpack", found["ours"][1] / found["umoci"][1], "x", 0.8)
        bench.row("  / tar -xz", found["ours"][1] / found["tar"][1], "x", 1.1)
    else:
        bench.row("  umoci unpack / it", found["umoci"][1] / found["ours"][1], "x", 1.5, good="more")
        bench.row("  / tar -xz", found["ours"][1] / found["tar"][1], "x")
    bench.row("  / umoci unpack that is not on the disk yet", found["ours"][0] / found["umoci"][0], "x")
    bench.row("  / tar -xz that is not on the disk yet", found["ours"][0] / found["tar"][0], "x")
    bench.row("  its peak memory", found["ours"][2] / 1024, "MiB", 32)


def supervisor(bench):
    """What a supervisor grows to that loads all of it."""
    import cow
    cow.BUILD, cow.COWHERD = bench.build, bench.program("cowherd")
    s = cow.Supervisor(directory=tempfile.mkdtemp(prefix="load-", dir=bench.dir))
    s.start()
    try:
        for n in 1, 4:
            done = s.cli("image", "load", "--quiet", "--input", str(image(bench, n)[1]))
            if done.returncode:
                raise RuntimeError("image load: %s" % done.stderr.decode())
        status = pathlib.Path("/proc/%d/status" % s.process.pid).read_text()
    finally:
        s.stop()
    peak = next(int(line.split()[1]) for line in status.split("\n") if line.startswith("VmHWM"))
    bench.row("peak memory of a supervisor that loads both", peak / 1024, "MiB", 32)


def run(bench):
    for n in 1, 4:
        for cold in False, True:
            bench.step("load, %d layer%s, %s" % (n, "" if n == 1 else "s", "cold" if cold else "warm"), measure, n, cold)
    bench.step("load, by a supervisor", supervisor)
