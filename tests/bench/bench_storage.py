#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The storage plugin's figures beside those of its peers, interleaved in one run.

    ./dev bench storage [--rounds N] [--seconds S] [--only NAME] [--quick] [--inputs DIR]

Each tests/bench/storage_NAME.py has a run(bench) of steps that add rows to the table.  Inputs are made with Debian's
own tools, once, and kept in the build folder.  A step that is slow has two rounds instead of three.  One that fails is
named, the others go on, and the end is 1.
"""
import argparse
import importlib
import json
import os
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile
import time
import traceback

HERE = pathlib.Path(__file__).resolve().parent
DISK_BYTES = 16 << 30  # sparse
COMMAND_SECONDS = 300  # for one command: whatever takes longer has failed


class Bench:
    def __init__(self, options):
        self.build = pathlib.Path(options.build).resolve()
        self.rounds = options.rounds
        self.seconds = options.seconds
        self.quick = options.quick
        self.inputs = pathlib.Path(options.inputs or self.build / "bench-inputs").resolve()
        self.inputs.mkdir(parents=True, exist_ok=True)
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="cowherd-bench-"))
        self.disk = self.build / ("bench-disk-%d.img" % os.getpid())
        self.figures, self.failed, self.done = [], [], set()

    def program(self, name):
        return str(self.build / "bin" / name)

    def input(self, name, make):
        """A file or directory among the inputs, made once: make(path of a temporary name)."""
        path = self.inputs / name
        if not path.exists():
            print("   making %s" % path, file=sys.stderr)
            temporary = self.inputs / (name + ".tmp")
            subprocess.run(["rm", "-rf", temporary], check=True)
            make(temporary)
            temporary.rename(path)
        return path

    def root(self):
        """The files of a real Debian: what a small server has, with compilers; nothing of it is configured."""
        packages = "base-files,bash,coreutils,dpkg,apt,util-linux,grep,sed,login,python3"
        if not self.quick:
            packages += ",gcc,g++,git,perl,vim,systemd,openssh-server"

        def make(path):
            subprocess.run(["mmdebstrap", "--quiet", "--variant=extract", "--format=directory",
                            "--aptopt=APT::Install-Recommends false", "--include=" + packages, "bookworm", path],
                           check=True)
        return self.input("root-quick" if self.quick else "root", make)

    def mount(self):
        """A new ext4 for each step, in a file on the machine's disk, past the cache of the one that holds it: what others
        remove from theirs meanwhile (ext4 looks at each such inode before it takes one) is nobody's burden."""
        with open(self.disk, "wb") as file:
            file.truncate(DISK_BYTES)
        subprocess.run(["mkfs.ext4", "-q", "-F", "-m", "0", "-E", "lazy_itable_init=1,lazy_journal_init=1", self.disk],
                       check=True)
        device = subprocess.run(["losetup", "--direct-io=on", "--find", "--show", self.disk], check=True,
                                stdout=subprocess.PIPE, text=True).stdout.strip()
        try:
            subprocess.run(["mount", "-o", "noinit_itable", device, self.dir], check=True)
        finally:
            subprocess.run(["losetup", "-d", device], check=True)  # with its last user

    def unmount(self):
        if os.path.ismount(self.dir):
            subprocess.run(["umount", self.dir], check=True)
        self.disk.unlink(missing_ok=True)

    def settle(self, cold):
        """What was written before is on the disk and nobody's burden; cold: and nothing is remembered."""
        subprocess.run(["sync", "-f", self.dir], check=True)
        if cold:
            pathlib.Path("/proc/sys/vm/drop_caches").write_text("3")

    def offline(self, work, *words):
        """cowherd by its command, without a supervisor, in a /var/lib of its own."""
        (work / "lib").mkdir(exist_ok=True)
        return ["unshare", "-m", "--propagation", "private", "sh", "-c",
                'mount --bind "$1" /var/lib && shift && exec "$@"', "sh", work / "lib", self.program("cowherd"),
                "--host", "unix://%s/none" % work, *words]

    def watched(self, command):
        """Runs it; its peak memory in KiB.  Looked at while it runs: what wait4() says of a child begins with what its
        parent, a Python, had."""
        peak, begin = 0, time.monotonic()
        with tempfile.TemporaryFile() as said:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=said)
            status = pathlib.Path("/proc/%d/status" % process.pid)
            while process.poll() is None:
                if time.monotonic() - begin > COMMAND_SECONDS:
                    process.kill()
                found = re.search(r"VmHWM:\s+(\d+)", status.read_text())
                peak = max(peak, int(found[1])) if found else peak
                time.sleep(0.003)
            said.seek(0)
            if process.returncode:
                raise RuntimeError("%s: %d: %s" % (" ".join(command), process.returncode,
                                                   said.read().decode(errors="replace")[-500:]))
        return peak

    def timed(self, work, *commands):
        """Seconds until the commands have ended, seconds until all is on the disk, and the peak memory in KiB."""
        peak, before = 0, time.monotonic()
        for command in commands:
            peak = max(peak, self.watched([str(word) for word in command]))
        ended = time.monotonic()
        subprocess.run(["sync", "-f", work], check=True)
        return ended - before, time.monotonic() - before, peak

    def interleave(self, cold, **contenders):
        """By name: median of the seconds, of those until all is on the disk, and the largest peak.  Each contender gets a
        directory of its own and returns what timed() said."""
        results = {name: [] for name in contenders}
        begin = time.monotonic()
        for i in range(self.rounds):
            if i > 1 and time.monotonic() - begin > self.seconds * i / (i + 1):
                break  # another one would take too long
            for name, run in contenders.items():
                work = pathlib.Path(tempfile.mkdtemp(prefix="%s-%d-" % (name, i), dir=self.dir))
                self.settle(cold)
                results[name].append(run(work))
        for name, values in results.items():
            print("   %-8s %s s" % (name, " ".join("%.2f (%.2f)" % v[:2] for v in values)), file=sys.stderr)
        self.done.add(min(len(values) for values in results.values()))
        return {name: (statistics.median(v[0] for v in values), statistics.median(v[1] for v in values),
                       max(v[2] for v in values)) for name, values in results.items()}

    def row(self, what, value, unit, target=None, good="less", **more):
        met = None if target is None else value <= target if good == "less" else value >= target
        self.figures.append({"what": what, "value": round(value, 3), "unit": unit, "target": target, "good": good,
                             "met": met, **more})

    def step(self, name, function, *words):
        print("== " + name, file=sys.stderr)
        before = time.monotonic()
        outer = not os.path.ismount(self.dir)
        try:
            if outer:
                self.mount()
            function(self, *words)
        except Exception as e:  # pylint: disable=broad-except; whatever it is, the others go on
            traceback.print_exc()
            self.failed.append("%s: %s" % (name, e))
        finally:
            if outer:
                self.unmount()
        print("   %.0f s" % (time.monotonic() - before), file=sys.stderr)

    def results(self):
        uname = os.uname()
        rounds = " to ".join(str(n) for n in sorted({min(self.done), max(self.done)})) if self.done else self.rounds
        return {"kernel": uname.release, "cores": os.cpu_count(), "rounds": rounds, "figures": self.figures}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", default=HERE.parents[1] / "build")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=75, help="a step that needs more has fewer rounds, but two")
    parser.add_argument("--only", help="one of the modules: load, start, vhd")
    parser.add_argument("--quick", action="store_true", help="a small root, one round")
    parser.add_argument("--inputs", help="the directory to keep the inputs in, else BUILD/bench-inputs")
    options = parser.parse_args()
    if options.quick:
        options.rounds = 1
    sys.path.insert(0, str(HERE))
    names = sorted(path.stem for path in HERE.glob("storage_*.py"))
    if options.only:
        names = [name for name in names if name == "storage_" + options.only] or sys.exit("bench: no such figure")
    bench = Bench(options)
    try:
        for name in names:
            importlib.import_module(name).run(bench)
    finally:
        bench.dir.rmdir()
    import table
    print(table.table(bench.results()))
    if not options.only and not options.quick and not bench.failed:
        (HERE / "results-storage.json").write_text(json.dumps(bench.results(), indent=1) + "\n")
    for failure in bench.failed:
        print("bench: failed: " + failure, file=sys.stderr)
    sys.exit(1 if bench.failed else 0)


if __name__ == "__main__":
    main()
