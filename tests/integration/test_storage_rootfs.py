# SPDX-License-Identifier: MIT
"""Containers from images: what the image says and what the user says, volumes, scratch with a limit, restarts, crashes,
reboots; root file systems and mounts of Linux containers on Windows.  Images are made by umoci and skopeo."""
import contextlib
import errno
import json
import os
import pathlib
import random
import shutil
import stat
import subprocess
import tempfile
import threading
import time

import cow

KILLS = int(os.environ.get("COW_KILLS", "150")) // 5
CONFIG = ["--config.cmd", "sh", "--config.cmd", "-c", "--config.cmd", "echo default", "--config.env", "FOO=bar",
          "--config.workingdir", "/srv/work", "--config.user", "web", "--config.volume", "/data",
          "--config.volume", "/../../etc/vol", "--config.stopsignal", "SIGQUIT", "--config.exposedports", "80/tcp",
          "--config.label", "l=v"]


def run(*words, **more):
    return subprocess.run([str(w) for w in words], check=True, stdout=subprocess.PIPE, **more)


def make_image(directory, layers=1):
    """A layout with busybox in its first layer; more layers add /layer-N, and change /top."""
    layout = directory / "layout"
    run("umoci", "init", "--layout", layout)
    image = "%s:it" % layout
    run("umoci", "new", "--image", image)
    root = cow.make_rootfs(directory / "image-root")
    (root / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\nweb:x:33:34::/srv:/bin/sh\n")
    (root / "etc/group").write_text("root:x:0:\nwww:x:34:\nmedia:x:44:web\n")
    data = root / "data"
    (data / "sub").mkdir(parents=True)
    (data / "file").write_text("from the image\n")
    os.link(data / "file", data / "sub/link")
    os.symlink("/etc/passwd", data / "out")
    os.setxattr(data / "file", "user.kind", b"a")
    for path in data, data / "file", data / "sub":
        os.chown(path, 33, 34)
    os.chmod(data, 0o2750)
    run("umoci", "insert", "--image", image, root, "/", stderr=subprocess.DEVNULL)
    for n in range(1, layers):
        (directory / "more").write_text("%d\n" % n)
        run("umoci", "insert", "--image", image, directory / "more", "/layer-%d" % n, stderr=subprocess.DEVNULL)
        run("umoci", "insert", "--image", image, directory / "more", "/top", stderr=subprocess.DEVNULL)
    run("umoci", "config", "--image", image, *CONFIG)
    archive = directory / "image.tar"
    run("skopeo", "copy", "-q", "oci:" + image, "oci-archive:%s:demo:1" % archive)
    shutil.rmtree(layout)
    shutil.rmtree(root)
    return archive


class Place:
    """A supervisor with the image demo:1."""

    def __init__(self, layers=1):
        parent = "cowherd-image-%d-%d" % (os.getpid(), random.randrange(1 << 30))
        self.picture = cow.Picture(parent)
        self.s = cow.Supervisor({"plugins": {"lcow": {"cgroup_parent": parent}}})
        archive = make_image(self.s.dir, layers)
        self.s.start()
        with open(archive, "rb") as f:
            done = self.s.cli("image", "load", stdin=f)
        assert done.returncode == 0, done.stderr
        archive.unlink()

    def says(self, *words, code=0):
        done = self.s.cli(*words)
        assert done.returncode == code, (words, done.returncode, done.stdout, done.stderr)
        return done.stdout.decode()

    def sh(self, script, *options):
        return self.says("run", "--rm", *options, "--entrypoint", "sh", "demo:1", "-c", script)

    def fails(self, *words):
        done = self.s.cli(*words)
        assert done.returncode == 125, (words, done.returncode, done.stdout, done.stderr)
        return done.stderr.decode()

    def again(self, kill=True, env=None):
        self.s.kill() if kill else self.s.stop()
        self.s.start(env=env)

    def nothing_held(self):
        """No container, no reference in the store, nothing mounted."""
        for top in self.s.root, self.s.state:
            cow.wait_for(lambda t=top: not [p for p in (t / "containers").iterdir() if not p.name.startswith(".")],
                         "no container in %s" % top)
        refs = [r for r in os.listdir(self.s.state / "storage/refs") if r != ".making"]
        assert refs == [], refs
        left = [m for m in cow.mounts() if m.startswith(str(self.s.dir))]
        assert left == [], left


@contextlib.contextmanager
def place(layers=1):
    p = Place(layers)
    try:
        yield p
        p.nothing_held()
        p.s.stop()
        p.picture.check(p.s.dir)
        shutil.rmtree(p.s.dir)
    finally:
        p.s.stop()


def test_image_and_user():
    with place() as p:
        assert p.says("run", "--rm", "demo:1") == "default\n"
        assert p.says("run", "--rm", "demo:1", "echo", "mine") == "mine\n"
        assert p.says("run", "--rm", "--entrypoint", "echo", "demo:1", "a", "b") == "a b\n"
        assert p.sh("pwd; echo $FOO $HOME $HOSTNAME; id", "--hostname", "h") == (
            "/srv/work\nbar /srv h\nuid=33(web) gid=34(www) groups=44(media)\n")
        assert p.sh("pwd; echo $FOO; id", "-e", "FOO=mine", "-w", "/tmp", "-u", "web:root") == (
            "/tmp\nmine\nuid=33(web) gid=0(root)\n")
        assert p.sh("id -u; id -g", "-u", "7:8") == "7\n8\n"
        assert "user nobody: not in etc/passwd" in p.fails("run", "--rm", "-u", "nobody", "demo:1")
        p.says("run", "-d", "--name", "x", "demo:1", "sleep", "1000")
        seen = json.loads(p.says("inspect", "x"))
        seen = seen[0] if isinstance(seen, list) else seen
        assert seen["image"] == "demo:1" and seen["labels"]["l"] == "v" and seen["stop_signal"] == 3, seen
        assert "80/tcp" in seen["resolved"]["config"]["config"]["ExposedPorts"]
        assert seen["resolved"]["digest"].startswith("sha256:")
        assert p.says("exec", "x", "id", "-un") == "web\n"
        assert "demo:1" in p.says("ps", "--format", "{{.Image}}")
        # In use: gone by name only.
        p.says("image", "rm", "-f", "demo:1")
        p.says("image", "gc")
        p.says("restart", "-t", "0", "x")
        assert p.says("exec", "x", "cat", "/data/file") == "from the image\n"
        p.says("rm", "-f", "x")


def test_not_there():
    with place() as p:
        for name, said in (("nope", "nope:latest"), ("quay.io/a/b:3", "quay.io/a/b:3"), ("nope@sha256:" + "0" * 64,) * 2):
            assert "Unable to find image '%s' locally" % said in p.fails("run", name), said
        assert "does not provide the specified platform (linux/s390x)" in p.fails("run", "--platform", "linux/s390x", "demo:1")
        assert "nothing here fetches images" in p.fails("run", "--pull", "always", "demo:1")
        assert "no command specified" in p.fails("run", "--entrypoint", "", "demo:1")
        assert "unknown option: colour" in p.fails("run", "--storage-opt", "colour=red", "demo:1")
        assert "not a size" in p.fails("run", "--storage-opt", "size=much", "demo:1")


def test_image_in_use():
    """docker's words where a container uses the image, running or not; forced, it loses its name and no more."""
    with place() as p:
        image = p.says("image", "ls", "-q").strip()
        p.says("create", "--name", "made", "demo:1")
        p.says("run", "-d", "--name", "lives", "--entrypoint", "sh", "demo:1", "-c", "exec sleep 1000")
        running = p.says("inspect", "--format", "{{.Id}}", "lives").strip()
        made = p.says("inspect", "--format", "{{.Id}}", "made").strip()
        for reference in "demo:1", "docker.io/library/demo:1":
            e = p.s.cli("image", "rm", reference).stderr.decode()
            assert e in ['cowherd: conflict: unable to remove repository reference "%s" (must force) - container %s is using its '
                         "referenced image %s\n" % (reference, c[:12], image) for c in (running, made)], e
        e = p.s.cli("image", "rm", image).stderr.decode()
        assert e in ["cowherd: conflict: unable to delete %s (must be forced) - image is being used by container %s\n" % (image, c[:12])
                     for c in (running, made)], e
        # Another name may go, the last one may not.
        p.says("image", "tag", "demo:1", "other:1")
        assert p.says("image", "rm", "other:1") == "Untagged: other:1\n"
        assert p.s.cli("image", "rm", "demo:1").returncode != 0
        assert p.says("image", "rm", "-f", "demo:1") == "Untagged: demo:1\n"
        p.says("image", "gc")
        assert p.says("exec", "lives", "cat", "/etc/passwd").startswith("root:")
        p.says("start", "-a", "made")
        p.says("rm", "-f", "lives", "made")
        p.says("image", "gc")
        assert p.says("image", "ls", "-q") == ""


def test_volumes():
    with place() as p:
        assert p.sh("cat /data/file; stat -c '%u %g %a' /data; ls /etc/vol; cat /data/sub/link; readlink /data/out", "-u", "0") == (
            "from the image\n33 34 2750\nfrom the image\n/etc/passwd\n")
        own = p.says("run", "-d", "--name", "v", "-u", "0", "demo:1", "sleep", "1000")
        first = p.s.state / "containers" / own.strip() / "volumes/0"
        assert (first / "file").stat().st_ino == (first / "sub/link").stat().st_ino
        assert os.getxattr(first / "file", "user.kind") == b"a"
        p.says("exec", "v", "sh", "-c", "echo changed > /data/file; rm /data/out; echo up > /up")
        p.says("restart", "-t", "0", "v")
        assert p.says("exec", "v", "sh", "-c", "cat /data/file /up; ls /data") == "changed\nup\nfile\nsub\n"
        p.says("rm", "-f", "v")
        # A mount of the user's own takes its place; one below it stays on top.
        mine = p.s.dir / "mine"
        mine.mkdir()
        (mine / "m").write_text("x")
        assert p.sh("ls /data", "-u", "0", "-v", "%s:/data" % mine) == "m\n"
        assert p.sh("ls /data /data/sub", "-u", "0", "-v", "%s:/data/sub" % mine) == "/data:\nfile\nout\nsub\n\n/data/sub:\nm\n"


def test_made_ahead():
    """Who makes one container after the other finds the next root mounted: it is his alone, and goes with the supervisor,
    with the image, and when nobody wants it."""
    with place(3) as p:
        tmp = p.s.state / "storage/tmp"

        def ahead():
            return list(tmp.glob("*/ready-*/work/work"))

        def prepare():
            for _ in range(2):
                assert p.sh("echo $(cat /log) >&2; echo once >> /log; cat /log", "-u", "0") == "once\n"
            return cow.wait_for(ahead, "a root made ahead")[0].parents[1].stat().st_ino

        inode = prepare()
        own = p.says("run", "-d", "--name", "a", "-u", "0", "demo:1", "sh", "-c", "echo x >> /log; exec sleep 1000")
        assert (p.s.state / "containers" / own.strip() / "scratch").stat().st_ino == inode
        p.says("restart", "-t", "0", "a")
        cow.wait_for(lambda: p.says("exec", "a", "cat", "/log") == "x\nx\n", "both lives")
        prepare()
        p.again()  # SIGKILL: the mount goes with it, the directory a second later
        cow.wait_for(lambda: not list(tmp.iterdir()), "an empty tmp")
        assert p.says("exec", "a", "cat", "/log") == "x\nx\n"
        inode = prepare()
        # The store has changed: what was made before counts no more.
        p.says("image", "tag", "demo:1", "demo:2")
        own = p.says("run", "-d", "--name", "b", "demo:2", "sleep", "1000")
        assert (p.s.state / "containers" / own.strip() / "scratch").stat().st_ino != inode
        cow.wait_for(lambda: not list(tmp.iterdir()), "an empty tmp")
        p.says("rm", "-f", "a", "b")


def test_read_only_and_limits():
    with place() as p:
        assert p.sh("touch /x 2>&1; touch /data/x && echo ok", "-u", "0", "--read-only") == (
            "touch: /x: Read-only file system\nok\n")
        said = p.sh("dd if=/dev/zero of=/big bs=1M count=100 2>&1; stat -c %s /big; rm /big; echo free > /f; cat /f",
                    "-u", "0", "--storage-opt", "size=48m")
        assert "No space left on device" in said and said.endswith("free\n"), said
        size = int(said.split("\n")[-3])
        assert 30 << 20 < size <= 48 << 20, size
        p.says("run", "-d", "--name", "l", "-u", "0", "--storage-opt", "size=32m", "demo:1", "sleep", "1000")
        p.says("exec", "l", "sh", "-c", "echo kept > /kept")
        p.says("restart", "-t", "0", "l")
        p.again()
        assert p.says("exec", "l", "cat", "/kept") == "kept\n"
        p.says("rm", "-f", "l")
        assert not [d for d in cow.loops() if str(p.s.dir) in str(d)]


def test_supervisor_dies():
    with place() as p:
        p.says("run", "-d", "--name", "a", "-u", "0", "demo:1", "sh", "-c", "echo x >> /log; exec sleep 1000")
        p.again()
        assert p.says("exec", "a", "cat", "/log") == "x\n"
        assert p.says("exec", "a", "id", "-u") == "0\n"
        pid = p.s.call("container.inspect", container="a")["pid"]
        p.s.kill()
        os.kill(pid, 9)  # it dies meanwhile, too: what it wrote stays, mounts go and come
        p.s.start()
        assert [m for m in cow.mounts() if m.startswith(str(p.s.dir))] == []
        p.says("start", "a")
        assert p.says("exec", "a", "cat", "/log") == "x\nx\n"
        # As after a reboot: nothing of /run, nothing mounted, nothing alive.
        pid = p.s.call("container.inspect", container="a")["pid"]
        p.s.kill()
        os.kill(pid, 9)
        for m in reversed([m for m in cow.mounts() if m.startswith(str(p.s.dir))]):
            cow.wait_for(lambda m=m: subprocess.run(["umount", m], stderr=subprocess.DEVNULL).returncode == 0, "umount")
        for c in sorted((c for c in cow.cgroups() if p.picture.marker in c), reverse=True):
            cow.wait_for(lambda c=c: subprocess.run(["rmdir", c], stderr=subprocess.DEVNULL).returncode == 0 or not os.path.exists(c),
                         "the cgroup")
        shutil.rmtree(p.s.root)
        p.s.start()
        p.says("start", "a")
        assert p.says("exec", "a", "cat", "/log") == "x\nx\nx\n"
        # A start that fails does not cost it its files.
        p.says("stop", "-t", "0", "a")
        p.again(kill=False)
        assert [m for m in cow.mounts() if m.startswith(str(p.s.dir))] == []
        layers = p.s.state / "storage/layers"
        layers.rename(p.s.state / "storage/hidden")
        assert p.s.cli("start", "a").returncode != 0
        (p.s.state / "storage/hidden").rename(layers) if not layers.exists() else shutil.copytree(
            p.s.state / "storage/hidden", layers, symlinks=True, dirs_exist_ok=True)
        p.says("start", "a")
        assert p.says("exec", "a", "cat", "/log") == "x\nx\nx\nx\n"
        # One that never ran is made anew, too.
        p.says("create", "--name", "b", "demo:1")
        p.again(kill=False)
        assert p.says("start", "-a", "b") == "default\n"
        p.says("rm", "b")
        p.says("rm", "-f", "a")


def test_many_layers():
    with place(layers=10) as p:
        assert p.sh("cat /top; ls -d /layer-* | wc -l", "-u", "0") == "9\n9\n"


def test_configuration():
    with place() as p:
        p.s.config.write_text(json.dumps({**json.loads(p.s.config.read_text()), "containers": {
            "c": {"image": "demo:1", "user": "0", "args": ["sleep", "1000"], "storage_opt": {"size": "32m"}}}}))
        p.says("reload")
        cow.wait_for(lambda: p.s.call("container.inspect", container="c")["state"] == "running", "it runs")
        assert p.says("exec", "c", "cat", "/data/file") == "from the image\n"
        config = json.loads(p.s.config.read_text())
        del config["containers"]
        p.s.config.write_text(json.dumps(config))
        p.says("reload")


def spec(rootfs=None, args=("sh", "-c", "true"), **more):
    s = {"ociVersion": "1.0.2", "process": {"args": list(args), "cwd": "/", "env": ["PATH=/bin"], "user": {"uid": 0, "gid": 0}},
         "mounts": [{"destination": "/proc", "type": "proc", "source": "proc"}],
         "linux": {"namespaces": [{"type": t} for t in ("pid", "ipc", "uts", "mount")]}, **more}
    if rootfs:
        s["root"] = {"path": str(rootfs)}
    return s


def output(p, name, s, **more):
    """What a container of that spec writes."""
    p.s.call("container.create", id=name, spec=s, **more)
    p.s.call("container.start", container=name)
    p.s.call("container.wait", container=name)
    said = p.says("logs", name)
    p.s.call("container.delete", container=name)
    return said


def refused(p, s):
    try:
        p.s.call("container.create", spec=s)
    except cow.RpcError as e:
        return str(e)
    raise AssertionError("it was not refused")


def test_layer_folders():
    with place() as p:
        base, top, scratch = p.s.dir / "base", p.s.dir / "top", p.s.dir / "scratch"
        cow.make_rootfs(base)
        (base / "gone").write_text("")
        (base / "who").write_text("base\n")
        top.mkdir()
        (top / "who").write_text("top\n")
        os.mknod(top / "gone", stat.S_IFCHR, 0)
        scratch.mkdir()
        folders = {"layerFolders": [str(top), str(base), str(scratch)]}
        ls = spec(args=["sh", "-c", "cat /who; ls /gone 2>&1; echo w > /w; cat /w"], windows=folders)
        assert output(p, "f", ls) == "top\nls: /gone: No such file or directory\nw\n"
        assert (scratch / "upper/w").read_text() == "w\n"  # the caller's own, and still there
        assert "failed to mount container storage" in refused(p, spec(windows={"layerFolders": [str(base)]}))
        assert "failed to get scratch VHD path in layer folders: /no/such: No such file or directory" in refused(
            p, spec(windows={"layerFolders": [str(base), "/no/such"]}))
        assert "failed to add LCOW layer" in refused(p, spec(windows={"layerFolders": ["/no/such", str(scratch)]}))
        assert "must provide either Windows.LayerFolders or Root.Path" in refused(p, spec(windows={}))
        assert output(p, "s", spec(base, args=["cat", "/who"], windows={})) == "base\n"
        shutil.rmtree(scratch)
        scratch.mkdir()
        limited = {**folders, "resources": {"storage": {"sandboxSize": 32 << 20}}}
        said = output(p, "z", spec(args=["sh", "-c", "dd if=/dev/zero of=/b bs=1M count=64 2>&1"], windows=limited))
        assert "No space left on device" in said, said


def test_shares():
    with place() as p:
        root = cow.make_rootfs(p.s.dir / "root")
        d, f = p.s.dir / "d", p.s.dir / "d/secret"
        d.mkdir()
        f.write_text("s\n")
        (d / "one").write_text("1\n")

        def mounts(*more):
            return [{"destination": "/proc", "type": "proc", "source": "proc"}, *more]

        def with_mounts(script, *more):
            return spec(root, args=["sh", "-c", script], windows={}, mounts=mounts(*more))
        share = {"destination": "/m", "type": "bind", "source": str(d), "options": ["ro"]}
        assert output(p, "a", with_mounts("cat /m/one; touch /m/x 2>&1", share)) == "1\ntouch: /m/x: Read-only file system\n"
        one = {"destination": "/one", "type": "bind", "source": str(d / "one")}
        assert output(p, "b", with_mounts("cat /one; echo 2 > /one", one)) == "1\n"
        assert (d / "one").read_text() == "2\n"
        # The share of a single file has nothing else in it, and a file renamed over it is not in it.
        p.s.call("container.create", id="c", spec=with_mounts("sleep 1000", one))
        p.s.call("container.start", container="c")
        where = p.s.root / "containers/c/mounts/m1"
        assert os.listdir(where) == ["one"]
        (d / "two").write_text("other\n")
        os.rename(d / "two", d / "one")
        assert p.says("exec", "c", "cat", "/one") == "2\n"
        p.s.call("container.delete", container="c", force=True)
        assert "could not open bind mount target: stat /no/such: No such file or directory" in refused(
            p, with_mounts("true", {"destination": "/m", "type": "bind", "source": "/no/such"}))
        assert ("invalid OCI spec - a mount must have both source and a destination: {Destination:/m Type:bind Source: "
                "Options:[ro]}") in refused(p, with_mounts("true", {"destination": "/m", "type": "bind", "options": ["ro"]}))
        # Of the sandbox: made there, and never outside.
        def notes(kind):
            return {"io.kubernetes.cri.container-type": kind, "io.kubernetes.cri.sandbox-id": "pod"}
        box = {"destination": "/s", "type": "bind", "source": "sandbox:///../../../shared/x", "options": ["rbind"]}
        p.s.call("container.create", id="pod", spec={**with_mounts("echo from the pod > /s/f; sleep 1000", box), "annotations": notes("sandbox")})
        p.s.call("container.start", container="pod")
        inside = p.s.root / "containers/pod/sandboxMounts/shared/x/f"
        cow.wait_for(inside.exists, "the pod's file")
        assert output(p, "member", {**with_mounts("cat /s/f", box), "annotations": notes("container")}) == "from the pod\n"
        p.s.call("container.delete", container="pod", force=True)
        # Without a section windows nothing is touched.
        plain = spec(root, args=["cat", "/m/one"], mounts=mounts({**share, "options": ["rbind", "ro"]}))
        p.s.call("container.create", id="plain", spec=plain)
        assert not (p.s.root / "containers/plain/mounts").exists()
        p.s.call("container.delete", container="plain", force=True)


def make_disk(path, files, size="8M"):
    """A raw ext4 disk with these files."""
    with tempfile.TemporaryDirectory() as tmp:
        for name, text in files.items():
            (pathlib.Path(tmp) / name).write_text(text)
        run("mkfs.ext4", "-q", "-d", tmp, path, size)


def test_huge_pages():
    """A hugetlbfs where the machine has pages, else why not."""
    figure = pathlib.Path("/proc/sys/vm/nr_overcommit_hugepages")
    before = figure.read_text()
    with place() as p:
        root = cow.make_rootfs(p.s.dir / "root")

        def with_source(source, script="true"):
            return spec(root, args=["sh", "-c", script], windows={}, mounts=[
                {"destination": "/proc", "type": "proc", "source": "proc"},
                {"destination": "/huge", "type": "bind", "source": source}])
        for source in "hugepages://", "hugepages://2M", "hugepages://2M/", "hugepages:///a":
            assert refused(p, with_source(source)) == (
                source + " mount path is invalid, expected format: hugepages://<hugepage-size>/<hugepage-src-location>")
        assert refused(p, with_source("hugepages://1G/a")) == "only 2M (megabytes) pagesize is supported, got 1G"
        if int(pathlib.Path("/proc/sys/vm/nr_hugepages").read_text()) == int(before) == 0:
            assert "this machine has no huge pages of 2 MiB: vm.nr_hugepages is 0" in refused(p, with_source("hugepages://2M/a"))
        try:
            figure.write_text(str(int(before) + 1))
            said = output(p, "h", with_source("hugepages://2M/a", "grep /huge /proc/mounts; fallocate -l 2M /huge/f && stat -c %s /huge/f"))
        finally:
            figure.write_text(before)
        assert " hugetlbfs " in said and "pagesize=2M" in said and said.endswith("\n2097152\n"), said


def test_disks():
    with place() as p:
        root, top, scratch = (p.s.dir / n for n in ("root", "top", "scratch"))
        cow.make_rootfs(root)
        (root / "who").write_text("base\n")
        raw, own = p.s.dir / "raw.img", p.s.dir / "own.img"
        make_disk(raw, {"f": "on the disk\n"})
        make_disk(own, {"f": "its own\n"})

        def with_mounts(script, *mounts):
            return spec(root, args=["sh", "-c", script], windows={}, mounts=[
                {"destination": "/proc", "type": "proc", "source": "proc"}, *mounts])
        disk = {"destination": "/d", "type": "virtual-disk", "source": str(raw)}
        assert output(p, "a", with_mounts("cat /d/f; echo w > /d/w", disk)) == "on the disk\n"
        # The same disk twice, by two containers: one device.
        p.s.call("container.create", id="b", spec=with_mounts("sleep 1000", disk))
        p.s.call("container.start", container="b")
        assert output(p, "c", with_mounts("cat /d/w", disk)) == "w\n"
        assert p.says("exec", "b", "cat", "/d/w") == "w\n"
        p.again()
        assert p.says("exec", "b", "cat", "/d/w") == "w\n"
        p.s.call("container.delete", container="b", force=True)
        assert output(p, "ro", with_mounts("touch /d/x 2>&1", {**disk, "options": ["RO"]})) == "touch: /d/x: Read-only file system\n"
        # One that goes with its container.
        mine = {"destination": "/d", "type": "automanage-virtual-disk", "source": str(own)}
        assert output(p, "e", with_mounts("cat /d/f", mine)) == "its own\n"
        assert not own.exists() and raw.exists()
        said = refused(p, with_mounts("true", {"destination": "/d", "type": "virtual-disk", "source": "/no/such"}))
        assert said.startswith("adding SCSI virtual disk mount {Destination:/d Type:virtual-disk Source:/no/such Options:[]}: "), said
        said = refused(p, with_mounts("true", {"destination": "/d", "type": "physical-disk", "source": "/no/such", "options": ["ro"]}))
        assert said.startswith("adding SCSI physical disk mount {Destination:/d Type:physical-disk Source:/no/such Options:[ro]}: "), said
        # A block device as it is.
        device = run("losetup", "--find", "--show", raw, text=True).stdout.strip()
        try:
            physical = {"destination": "/d", "type": "physical-disk", "source": device}
            assert output(p, "f", with_mounts("cat /d/f", physical)) == "on the disk\n"
        finally:
            run("losetup", "--detach", device)
        # layer.vhd, and a scratch disk that two containers of a pod share.
        top.mkdir()
        scratch.mkdir()
        make_disk(top / "layer.vhd", {"who": "from the disk\n"})
        make_disk(scratch / "sandbox.vhdx", {}, "32M")
        layers = spec(args=["sh", "-c", "cat /who; echo w > /w; sleep 1000"],
                      windows={"layerFolders": [str(top), str(root), str(scratch)]})
        for name in "one", "two":
            p.s.call("container.create", id=name, spec=layers)
            p.s.call("container.start", container=name)
        for name in "one", "two":
            cow.wait_for(lambda n=name: p.says("logs", n) == "from the disk\n", "its output")
            assert p.says("exec", name, "sh", "-c", "rm /lost+found 2>/dev/null; cat /w") == "w\n"
        p.s.call("container.delete", container="one", force=True)
        assert p.says("exec", "two", "cat", "/w") == "w\n"
        p.s.call("container.delete", container="two", force=True)


def with_disk(p, disk, script):
    return spec(p.s.dir / "root", args=["sh", "-c", script], windows={}, mounts=[
        {"destination": "/proc", "type": "proc", "source": "proc"},
        {"destination": "/d", "type": "virtual-disk", "source": str(disk)}])


def daemons(p):
    """The qemu-storage-daemons of this test."""
    found = []
    for pid, _ in cow.processes():
        with contextlib.suppress(OSError):
            words = pathlib.Path("/proc/%d/cmdline" % pid).read_bytes()
            if words.startswith(b"qemu-storage-daemon\0") and bytes(p.s.dir) in words:
                found.append(pid)
    return found


def nothing_attached(p):
    assert daemons(p) == [] and not [x for x in cow.loops() if str(p.s.dir) in x[1]]
    assert not [m for m in cow.mounts() if m.startswith(str(p.s.dir))]
    assert sorted(x.name for x in (p.s.root / "storage").glob("*")) == ["lock", "table.json"]
    assert json.loads((p.s.root / "storage/table.json").read_text())["slots"] == []


def test_disk_lost():
    """The daemon behind a disk dies: that is told, nobody gets what does not work any more, and all can be given back."""
    with place() as p:
        cow.make_rootfs(p.s.dir / "root")
        disk = p.s.dir / "disk.vhdx"
        p.says("create-scratch", "--destpath", str(disk), "--sizeGB", "1")
        for restarted in False, True:
            done = "/d/synced-%d" % restarted
            p.s.call("container.create", id="it",
                     spec=with_disk(p, disk, "echo w > /d/f; sync; touch %s; exec sleep 1000" % done))
            p.s.call("container.start", container="it")
            cow.wait_for(lambda: p.s.cli("exec", "it", "test", "-e", done).returncode == 0, "a file on the disk")
            if restarted:
                p.again()
            told = (p.s.dir / "daemon.log").read_text().count("disk.lost it: ")
            pid, = daemons(p)
            os.kill(pid, 9)
            cow.wait_for(lambda: (p.s.dir / "daemon.log").read_text().count("disk.lost it: ") == told + 1, "the loss to be told")
            assert "%s: the qemu-storage-daemon behind it has ended" % disk in refused(p, with_disk(p, disk, "true"))
            p.s.call("container.delete", container="it", force=True)
            nothing_attached(p)
            # What had been synced is there.
            assert output(p, "again", with_disk(p, disk, "cat /d/f")) == "w\n"
            nothing_attached(p)
        # One that ends because its disk is given back is no loss.
        assert (p.s.dir / "daemon.log").read_text().count("disk.lost") == 2


def test_killed_while_attaching():
    """SIGKILL between the steps of attaching: the next start leaves no device, daemon or mount."""
    with place() as p:
        cow.make_rootfs(p.s.dir / "root")
        disk = p.s.dir / "disk.vhdx"
        p.says("create-scratch", "--destpath", str(disk), "--sizeGB", "1")
        begun = time.monotonic()
        assert output(p, "it", with_disk(p, disk, "true")) == ""
        whole, cut = time.monotonic() - begun, 0
        for i in range(KILLS // 8):
            def create():
                with contextlib.suppress(OSError, EOFError, cow.RpcError):
                    p.s.call("container.create", id="it", spec=with_disk(p, disk, "true"))
            worker = threading.Thread(target=create)
            worker.start()
            threading.Event().wait(random.uniform(0, whole))
            cut += json.loads((p.s.root / "storage/table.json").read_text())["slots"] != []
            p.s.kill()
            worker.join()
            p.s.start()
            with contextlib.suppress(cow.RpcError):
                p.s.call("container.delete", container="it", force=True)
            cow.wait_for(lambda: p.s.call("container.list", all=True) == [], "the end of what was half made")
            cow.wait_for(lambda: json.loads((p.s.root / "storage/table.json").read_text())["slots"] == [], "the sweep")
            nothing_attached(p)
        print("%d kills, %d of them with a disk attached or about to be: nothing left" % (KILLS // 8, cut))


def test_plugin_check():
    """Every failure, death, cancellation and abandonment of the allocators, on real directories."""
    with place() as p:
        d = p.s.dir / "check"
        for name in "top", "base/bin", "shared", "scratch", "limited":
            (d / name).mkdir(parents=True)
        (d / "shared/f").write_text("x")
        for plugin in "storage.so", "lcow.so":
            shutil.copy(cow.BUILD / "lib/cowherd" / plugin, d)
        windows = {"layerFolders": [str(d / "top"), str(d / "base"), str(d / "scratch")]}
        limited = {"layerFolders": [str(d / "base"), str(d / "limited")], "resources": {"storage": {"sandboxSize": 16 << 20}}}
        mounts = [{"destination": "/m", "type": "bind", "source": str(d / "shared")},
                  {"destination": "/f", "type": "bind", "source": str(d / "shared/f"), "options": ["ro"]}]
        (d / "storage.check.json").write_text(json.dumps([
            {"ociVersion": "1.0.2", "linux": {}, "windows": windows, "mounts": mounts},
            {"ociVersion": "1.0.2", "linux": {}, "windows": limited},
            {"ociVersion": "1.0.2", "linux": {}, "windows": {}, "root": {"path": str(d / "base"), "readonly": True}, "mounts": mounts}]))
        done = subprocess.run([cow.COWHERD, "plugin", "check", str(d / "storage.so")], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True)
        assert done.returncode == 0 and "FAIL" not in done.stdout, done.stdout


def life(p, n):
    """One container's life, from an image; the supervisor may die anywhere in it."""
    try:
        client = p.s.client()
        for _ in range(1000000):
            name = client.call("container.create", image="demo:1", user="0", args=["true"],
                               **({"storage_opt": {"size": "16m"}} if n % 3 == 0 else {}))["id"]
            client.call("container.start", container=name)
            client.call("container.wait", container=name)
            client.call("container.delete", container=name)
    except (OSError, EOFError, ValueError, cow.RpcError):
        pass


def test_killed_anywhere():
    with place(layers=3) as p:
        for i in range(KILLS):
            workers = [threading.Thread(target=life, args=(p, n)) for n in range(3)]
            for w in workers:
                w.start()
            threading.Event().wait(random.uniform(0.02, 0.3))
            p.s.kill()
            for w in workers:
                w.join()
            p.s.start()
            for c in p.s.call("container.list", all=True):
                try:
                    p.s.call("container.delete", container=c["id"], force=True)
                except cow.RpcError as e:
                    assert e.code == -errno.ENOENT, e
            p.nothing_held()
        print("%d kills" % KILLS)


if __name__ == "__main__":
    cow.main([test_image_and_user, test_image_in_use, test_not_there, test_volumes, test_made_ahead, test_read_only_and_limits,
              test_supervisor_dies,
              test_many_layers, test_configuration, test_layer_folders, test_shares, test_disks, test_disk_lost,
              test_killed_while_attaching,
              test_plugin_check, test_killed_anywhere])
