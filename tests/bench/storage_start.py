# SPDX-License-Identifier: MIT
"""From `create` to the answer of `start`, from an image of 20 layers that is there, and from a plain directory with the
same files: one supervisor, one connection, turn by turn."""
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "integration"))

LAYERS = 20


def make_layout(path):
    """busybox in the first layer, one file in each of the others."""
    import cow
    with tempfile.TemporaryDirectory() as tmp:
        image, root, more = "%s:it" % path, pathlib.Path(tmp) / "root", pathlib.Path(tmp) / "more"
        cow.make_rootfs(root)
        more.write_text("x" * 1000)
        subprocess.run(["umoci", "init", "--layout", path], check=True)
        subprocess.run(["umoci", "new", "--image", image], check=True)
        for n in range(LAYERS):
            words = [root, "/"] if n == 0 else [more, "/file-%d" % n]
            subprocess.run(["umoci", "insert", "--image", image, *words], check=True, stderr=subprocess.DEVNULL)
        subprocess.run(["umoci", "config", "--image", image, "--config.cmd", "true"], check=True)


def life(client, settle, **source):
    """Seconds from create to start; what the end of the one before has to do is done before."""
    settle()
    before = time.perf_counter()
    name = client.call("container.create", args=["true"], user="0", **source)["id"]
    client.call("container.start", container=name)
    took = time.perf_counter() - before
    client.call("container.wait", container=name)
    client.call("container.delete", container=name)
    return took


def run(bench):
    import cow
    cow.BUILD, cow.COWHERD = bench.build, bench.program("cowherd")
    layout = bench.input("layout-start", make_layout)
    plain = bench.dir / "plain"
    s = cow.Supervisor(directory=tempfile.mkdtemp(prefix="start-", dir=bench.dir))
    s.start()
    try:
        done = s.cli("image", "load", "--input", str(layout))
        assert done.returncode == 0, done.stderr
        cow.make_rootfs(plain)
        image = json.loads(s.cli("image", "ls", "--format", "json").stdout.split(b"\n")[0])
        client, rounds = s.client(), 30 if bench.quick else 200
        settle = bench.settle if bench.cold else lambda: None
        took = {"image": [], "plain": []}
        for _ in range(rounds // 10 if bench.cold else rounds):
            took["image"].append(life(client, settle, image=image["ID"]))
            took["plain"].append(life(client, settle, rootfs=str(plain)))
        client.close()
    finally:
        s.stop()
    warm = "cold" if bench.cold else "warm"
    ours, other = (statistics.median(took[k]) for k in ("image", "plain"))
    bench.row("start from an image of %d layers, %s" % (LAYERS, warm), ours * 1e3, "ms")
    bench.row("against a plain directory", ours / other, "x", 1.2)
    shutil.rmtree(plain)
    os.sync()
