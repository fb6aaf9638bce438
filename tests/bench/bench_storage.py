#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The storage plugin's figures beside those of its peers, interleaved in one run.

    ./dev bench storage [--rounds N] [--only NAME] [--quick] [--cold] [--inputs DIR]

Each tests/bench/storage_NAME.py has a run(bench) that adds rows to the table.  Inputs are made with Debian's own
tools in a temporary directory, or kept in --inputs for the next time.
"""
import argparse
import importlib
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent


class Bench:
    def __init__(self, options):
        self.build = pathlib.Path(options.build).resolve()
        self.rounds = options.rounds
        self.quick = options.quick
        self.cold = options.cold
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="cowherd-bench-"))
        self.inputs = pathlib.Path(options.inputs) if options.inputs else self.dir / "inputs"
        self.inputs.mkdir(parents=True, exist_ok=True)
        self.table = []

    def program(self, name):
        return str(self.build / "bin" / name)

    def input(self, name, make):
        """A file or directory among the inputs, made once: make(path of a temporary name)."""
        path = self.inputs / name
        if not path.exists():
            temporary = self.inputs / (name + ".tmp")
            subprocess.run(["rm", "-rf", temporary], check=True)
            make(temporary)
            temporary.rename(path)
        return path

    def debian(self):
        """The tar of a real root: a compiler, an interpreter and what they bring along."""
        packages = "python3" if self.quick else "gcc,g++,python3,git,perl,vim,clang"

        def make(path):
            subprocess.run(["mmdebstrap", "--quiet", "--variant=minbase", "--format=tar",
                            "--aptopt=APT::Install-Recommends false", "--include=" + packages, "bookworm", path],
                           check=True)
        return self.input("debian-quick.tar" if self.quick else "debian.tar", make)

    def debian_root(self):
        """The same, unpacked by GNU tar."""
        def make(path):
            path.mkdir()
            subprocess.run(["tar", "-x", "--xattrs", "--xattrs-include=*", "-C", path, "-f", self.debian()], check=True)
        return self.input("root-quick" if self.quick else "root", make)

    def settle(self):
        """What was written before is on the disk and nobody's burden; cold: and nothing is remembered."""
        os.sync()
        if self.cold:
            pathlib.Path("/proc/sys/vm/drop_caches").write_text("3")

    def timed(self, *command):
        """Seconds, and the peak memory of the process in KiB."""
        self.settle()
        before = time.monotonic()
        with subprocess.Popen([str(word) for word in command], stdout=subprocess.DEVNULL) as process:
            _, status, usage = os.wait4(process.pid, 0)
            after = time.monotonic()
            process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise RuntimeError("%s: %d" % (command, process.returncode))
        return after - before, usage.ru_maxrss

    def interleave(self, **contenders):
        """Medians by name; each contender makes what it needs, and returns what timed() said."""
        results = {name: [] for name in contenders}
        # Nothing is removed between two measurements: for half a minute ext4 looks at each inode that became
        # free before it takes one, and whoever comes next would pay for that.
        for i in range(self.rounds):
            for name, run in contenders.items():
                work = pathlib.Path(tempfile.mkdtemp(prefix="%s-%d-" % (name, i), dir=self.dir))
                results[name].append(run(work))
        for name, values in results.items():
            print("   %-16s %s s" % (name, " ".join("%.2f" % seconds for seconds, _ in values)), file=sys.stderr)
        return {name: (statistics.median(seconds for seconds, _ in values), max(memory for _, memory in values))
                for name, values in results.items()}

    def row(self, what, value, unit, target=None, good="less"):
        met = "" if target is None else "yes" if (value <= target if good == "less" else value >= target) else "no"
        aim = "" if target is None else ("≤ %g" if good == "less" else "≥ %g") % target
        self.table.append((what, "%.2f %s" % (value, unit), aim, met))

    def show(self):
        print("| what | measured | target | met |\n|---|---:|---:|---|")
        for row in self.table:
            print("| %s | %s | %s | %s |" % row)

    def close(self):
        shutil.rmtree(self.dir, ignore_errors=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", default=HERE.parents[1] / "build")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", help="one of the modules: load, ...")
    parser.add_argument("--quick", action="store_true", help="a small root, two rounds")
    parser.add_argument("--cold", action="store_true", help="drop the machine's caches before each measurement")
    parser.add_argument("--inputs", help="a directory to keep the inputs in")
    options = parser.parse_args()
    if options.quick:
        options.rounds = min(options.rounds, 2)
    sys.path.insert(0, str(HERE))
    names = sorted(path.stem for path in HERE.glob("storage_*.py"))
    if options.only:
        names = [name for name in names if name == "storage_" + options.only]
    bench = Bench(options)
    try:
        for name in names:
            print("== " + name.removeprefix("storage_"), file=sys.stderr)
            importlib.import_module(name).run(bench)
        bench.show()
    finally:
        bench.close()


if __name__ == "__main__":
    main()
