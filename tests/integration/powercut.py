# SPDX-License-Identifier: MIT
"""A disk whose power can be cut after any write.  A file system lives on a loop device over the export of a
qemu-storage-daemon, which notes every write and every flush in the order in which they came; from that the disk is
made again as it was after any of them, also one that had not yet written what nobody had flushed."""
import os
import pathlib
import random
import shutil
import signal
import struct
import subprocess

import cow

SECTOR = 512
FLUSH, DISCARD = 1, 4
ENTRY = struct.Struct("<QQQQ")  # of dm-log-writes: sector, sectors, flags, length


def run(*words):
    r = subprocess.run([str(w) for w in words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
    assert r.returncode == 0, (words, r.returncode, r.stdout.decode())
    return r.stdout.decode()


class Disk:
    """A new ext4 as mkfs.ext4 and mount make it, at self.mount."""

    def __init__(self, directory, megabytes):
        self.dir = pathlib.Path(directory)
        self.dir.mkdir()
        self.file, self.before, self.log, self.mount = (self.dir / n for n in ("disk", "before", "log", "mount"))
        self.mount.mkdir()
        with open(self.file, "wb") as f:
            f.truncate(megabytes << 20)
        run("mkfs.ext4", "-q", "-F", self.file)
        run("cp", "--sparse=always", self.file, self.before)
        self.log.touch()
        export = self.dir / "export"
        export.touch()
        pidfile = self.dir / "pid"
        run("qemu-storage-daemon", "--daemonize", "--pidfile", pidfile,
            "--blockdev", "driver=file,node-name=file,filename=%s" % self.file,
            "--blockdev", "driver=file,node-name=log,filename=%s" % self.log,
            "--blockdev", "driver=raw,node-name=raw,file=file",
            "--blockdev", "driver=blklogwrites,node-name=noted,file=raw,log=log,log-sector-size=512",
            "--export", "type=fuse,id=export,node-name=noted,mountpoint=%s,writable=on" % export)
        self.pid = int(pidfile.read_text())
        self.loop = run("losetup", "-f", "--show", export).strip()
        run("mount", self.loop, self.mount)
        self.offset, self.entries = SECTOR, []  # SECTOR: behind the log's own header

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.loop:
            self.unmount()

    def read(self):
        """What has been noted since; returns how many entries there are."""
        with open(self.log, "rb") as f:
            f.seek(self.offset)
            data = f.read()
        at = 0
        while at + SECTOR <= len(data):
            sector, sectors, flags, _ = ENTRY.unpack_from(data, at)
            size = 0 if flags & DISCARD else sectors * SECTOR
            if at + SECTOR + size > len(data):
                break
            self.entries.append((sector * SECTOR, sectors * SECTOR, flags, self.offset + at + SECTOR))
            at += SECTOR + size
        self.offset += at
        return len(self.entries)

    def unmount(self):
        run("umount", self.mount)
        run("losetup", "-d", self.loop)
        loop, self.loop = self.loop, None
        cow.wait_for(lambda: loop not in {"/dev/" + d for d, _ in cow.loops()}, "the loop device")
        os.kill(self.pid, signal.SIGTERM)
        cow.wait_for(lambda: not pathlib.Path("/proc/%d" % self.pid).exists(), "qemu-storage-daemon")

    def after(self, cut, path, lose=None):
        """The disk after `cut` entries, as a file; lose, a random.Random: what had not been flushed is there or not."""
        flushed = max([i for i in range(cut) if self.entries[i][2] & FLUSH], default=0)
        shutil.copyfile(self.before, path)
        with open(self.log, "rb") as log, open(path, "r+b") as disk:
            for i, (offset, size, flags, data) in enumerate(self.entries[:cut]):
                if not size or (lose and i > flushed and lose.random() < 0.5):
                    continue
                log.seek(data)
                disk.seek(offset)
                disk.write(bytes(size) if flags & DISCARD else log.read(size))


class Cut:
    """A disk after a cut, mounted: the journal is replayed."""

    def __init__(self, path, mount):
        self.mount = pathlib.Path(mount)
        self.mount.mkdir(exist_ok=True)
        self.path = path

    def __enter__(self):
        run("mount", "-o", "loop", self.path, self.mount)
        return self.mount

    def __exit__(self, *_):
        run("umount", self.mount)
        cow.wait_for(lambda: str(self.path) not in {f for _, f in cow.loops()}, "the loop device")
        # The file system is whole, too: it was put together rightly, and what we did to it did it no harm.
        run("e2fsck", "-fn", self.path)


def seeded(name):
    """The same again for the same name."""
    return random.Random(name)
