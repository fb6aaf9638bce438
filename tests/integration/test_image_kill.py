#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""SIGKILL at every system call that changes a store, of load, rm and gc: what is seen afterwards is whole, the same command
again succeeds, and nothing is left over.  COW_KILL_STRIDE makes the sweep shorter or longer; where it begins differs
from run to run."""
import os
import pathlib
import random
import subprocess
import sys
import tarfile
import threading

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import cow  # noqa: E402
from test_image import Image, archive, export_equal, layout, read_archive, sha, store, tar  # noqa: E402

STRIDE = int(os.environ.get("COW_KILL_STRIDE", "5"))
CALLS = "mkdirat", "openat", "renameat,renameat2,rename", "fsync,syncfs", "unlinkat,unlink", "flock", "write", "mknodat,symlinkat,linkat"

shared = tar([("shared", b"s" * 5000), ("dir", {"type": tarfile.DIRTYPE, "mode": 0o755}), ("dir/x", b"x")])
first = Image([shared, tar([("first", b"1")])])
second = Image([shared, tar([("second", b"2"), ("link", {"type": tarfile.SYMTYPE, "linkname": "second"}), (".wh.shared", b"")])])
first_data, second_data = archive(layout(first, names=["first:1"])), archive(layout(second, names=["second:1"]))


def whole(s, name, image):
    """The image is there with every byte, and each of its layers."""
    shown = s.inspect(name)
    assert shown["RootFS"]["Layers"] == image.diffs
    assert export_equal(image, read_archive(s.call("image", "export", name).stdout))
    chain = ""
    for diff in image.diffs:
        chain = sha((chain + " " + diff).encode()) if chain else diff
        assert (s.root / "layers" / chain[7:] / "layer.json").stat().st_size > 100
        assert len(os.listdir(s.root / "layers" / chain[7:] / "fs")) > 0


def check(s):
    names = s.names()
    assert set(names) <= {"first:1", "second:1"}, names
    for name, image in (("first:1", first), ("second:1", second)):
        if name in names:
            whole(s, name, image)
    return names


def sweep(operation):
    """operation(store): words and input; kills it at the n-th call of each kind, for all n, until it ends by itself."""
    kills = 0
    with store() as s:
        for call in CALLS:
            n = 1 + random.randrange(STRIDE)
            while True:
                s.ok("load", "-q", input=first_data)
                words, data = operation(s)
                r = subprocess.run(strace(s, call, n, words), input=data, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                   timeout=120)
                names = check(s)
                if words[0] == "load":
                    assert "first:1" in names
                # Again: it succeeds, and nothing of the dead one is left.
                if words[0] == "load":
                    s.ok(*words, input=data)
                    assert sorted(check(s)) == ["first:1", "second:1"]
                elif words[0] == "rm":
                    s.ok("rm", "-f", words[-1])
                    s.ok("gc")
                    assert words[-1] not in check(s)
                else:
                    s.ok(*words)
                    assert check(s) == ["first:1"] and len(s.layers()) == 2 and len(s.blobs()) == 4
                assert s.tmp() == []
                s.ok("rm", "-f", "first:1", "second:1")
                s.ok("gc")
                assert s.layers() == s.blobs() == s.names() == [], (call, n)
                if r.returncode == 0:
                    break
                assert r.returncode in (-9, 137), (call, n, r)
                kills += 1
                n += STRIDE
    print("%d kills" % kills)


def strace(s, call, n, words):
    """The client alone is traced, in its mount namespace."""
    inner = [cow.COWHERD, "--host", "unix://%s/none" % s.dir, "image", *words]
    return ["unshare", "-m", "--propagation", "private", "sh", "-c", 'mount --bind "$1" /var/lib && shift && exec "$@"', "sh",
            str(s.dir / "lib"), *cow.STRACE, "-f", "-qq", "-o", "/dev/null", "-e", "inject=%s:signal=KILL:when=%d" % (call, n), *inner]


def test_load():
    sweep(lambda s: (("load", "-q"), second_data))


def test_rm():
    def operation(s):
        s.ok("load", "-q", input=second_data)
        return ("rm", "second:1"), b""
    sweep(operation)


def test_gc():
    def operation(s):
        # What an interrupted import leaves: layers and blobs without a name, and a directory in tmp/.
        s.ok("load", "-q", input=second_data)
        for name in (s.root / "names").glob("*second*"):
            name.unlink()
        (s.root / "tmp/dead").mkdir()
        (s.root / "tmp/dead/part-1").write_bytes(b"x")
        return ("gc",), b""
    sweep(operation)


def test_random_instants():
    """Killed some milliseconds after it began, while others load and collect."""
    big = Image([tar([("f%d" % i, os.urandom(20000)) for i in range(60)]) for _ in range(3)], compress=None, media="")
    data = archive(layout(big, names=["first:1"]))
    with store() as s:
        for i in range(12):
            p = subprocess.Popen(s.words("image", "load", "-q"), stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
                                 stderr=subprocess.DEVNULL)
            other = threading.Thread(target=lambda: s.call("image", "gc"))
            other.start()
            timer = threading.Event()
            try:
                p.stdin.write(data[:len(data) * i // 10])
                p.stdin.flush()
                timer.wait(0.005 * (i % 4))
            except BrokenPipeError:
                pass
            p.kill()
            p.wait()
            p.stdin.close()
            other.join()
            if "first:1" in s.names():
                whole(s, "first:1", big)
            s.ok("gc")
        s.ok("load", "-q", input=data)
        whole(s, "first:1", big)
        s.ok("rm", "first:1")
        assert s.layers() == s.blobs() == s.tmp() == []


if __name__ == "__main__":
    cow.main([test_load, test_rm, test_gc, test_random_instants])
