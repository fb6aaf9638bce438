# SPDX-License-Identifier: MIT
"""From `create` to the answer of `start`, from an image of 20 layers that is there, and from a plain directory with the
same files: one supervisor, one connection, turn by turn.  Volatile state is on a tmpfs, as /run is."""
import json
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "integration"))

LAYERS = 20
# One after the other; the machine's caches dropped before each; each after a pause, with nothing made ahead for it.
HOW = {"warm": (200, lambda bench: None), "cold": (15, lambda bench: bench.settle(True)),
       "after a pause": (7, lambda bench: time.sleep(2.5))}


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


def measure(bench, s, image, plain, how):
    took = {"image": [], "plain": []}
    lives, before = HOW[how]
    client = s.client()

    def settle():
        before(bench)
    for i in range(lives // (10 if bench.quick else 1) + 2):
        both = [("image", life(client, settle, image=image)), ("plain", life(client, settle, rootfs=str(plain)))]
        for kind, seconds in both if i else []:  # the first of each is not like the others
            took[kind].append(seconds)
    client.close()
    ours, other = (statistics.median(took[kind]) for kind in ("image", "plain"))
    bench.row("start from an image of %d layers, %s" % (LAYERS, how), ours * 1e3, "ms",
              plain_ms=other * 1e3)
    bench.row("  / from a plain directory", ours / other, "x", 1.2 if how != "after a pause" else None)


def both(bench):
    import cow
    cow.BUILD, cow.COWHERD = bench.build, bench.program("cowherd")
    layout = bench.input("layout-start", make_layout)
    volatile = pathlib.Path(tempfile.mkdtemp(prefix="cowherd-bench-", dir="/dev/shm"))
    s = cow.Supervisor(directory=tempfile.mkdtemp(prefix="start-", dir=bench.dir))
    s.root = volatile / "run"
    plain = bench.dir / "plain"
    s.start()
    try:
        done = s.cli("image", "load", "--input", str(layout))
        if done.returncode:
            raise RuntimeError("image load: %s" % done.stderr.decode())
        cow.make_rootfs(plain)
        image = json.loads(s.cli("image", "ls", "--format", "json").stdout.split(b"\n")[0])["ID"]
        for how in HOW:
            bench.step("start, " + how, measure, s, image, plain, how)
    finally:
        s.stop()
        shutil.rmtree(volatile)


def run(bench):
    bench.step("start", both)
