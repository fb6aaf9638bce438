#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The figures of cowherd beside those of its peers, interleaved in one run.

    ./dev bench [--rounds N] [--only NAME] [--quick]

Prints a table and writes tests/bench/results.json.  Ratios are of medians; "less" and "more" say which side of
the target is good.
"""
import argparse
import contextlib
import json
import os
import pathlib
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent


def median(values):
    return statistics.median(values)


def percentile(values, p):
    values = sorted(values)
    return values[min(len(values) - 1, int(len(values) * p / 100))]


def numbers(text):
    return [float(word) for word in text.split()]


class Bench:
    def __init__(self, build, rounds, quick):
        self.build = pathlib.Path(build).resolve()
        self.rounds = rounds
        self.quick = quick
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="cowherd-bench-"))
        # Volatile state belongs on a tmpfs, as /run is everywhere but in some sandboxes.
        self.volatile = pathlib.Path(tempfile.mkdtemp(prefix="cowherd-bench-", dir="/dev/shm"))
        self.peers = str(self.volatile / "peers")
        self.results = []
        self.daemon = None
        self.log_pid = None

    # -- set-up --------------------------------------------------------------------------------

    def program(self, name):
        return str(self.build / "bin" / name)

    def bundle(self, name, args):
        """A bundle whose specification is what `runc spec` writes, with these args and no terminal."""
        path = self.dir / name
        path.mkdir()
        subprocess.run(["runc", "spec"], cwd=path, check=True)
        spec = json.loads((path / "config.json").read_text())
        spec["process"]["terminal"] = False
        spec["process"]["args"] = args
        spec["root"] = {"path": str(self.dir / "rootfs"), "readonly": True}
        (path / "config.json").write_text(json.dumps(spec))
        return str(path)

    def setup(self):
        shutil.copytree(self.build / "rootfs", self.dir / "rootfs", symlinks=True)
        shutil.copy(self.program("bench_writer"), self.dir / "rootfs/bin/writer")
        self.true = self.bundle("true", ["/bin/true"])
        self.sleep = self.bundle("sleep", ["/bin/sleep", "1000000"])
        self.mib = 64 if self.quick else 1024
        self.writer = self.bundle("writer", ["/bin/writer", str(self.mib)])
        self.socket = str(self.dir / "s")
        self.start_daemon()

    def start_daemon(self):
        self.daemon = subprocess.Popen(
            [self.program("cowherd"), "daemon", "--foreground-log", "--root", str(self.volatile / "run"), "--state",
             str(self.dir / "state"), "--host", "unix://" + self.socket, "--config", self.empty_config()],
            stderr=open(self.dir / "daemon.log", "a"))
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as s:
                s.connect(self.socket)
                return
            time.sleep(0.01)
        sys.exit("bench: the supervisor did not start: " + (self.dir / "daemon.log").read_text())

    def empty_config(self):
        path = self.dir / "cowherd.json"
        path.write_text("{}\n")
        return str(path)

    def stop_daemon(self):
        if self.daemon:
            self.daemon.send_signal(signal.SIGTERM)
            self.daemon.wait(60)
            self.daemon = None

    def teardown(self):
        self.stop_daemon()
        shutil.rmtree(self.dir)
        shutil.rmtree(self.volatile)

    # -- contenders ----------------------------------------------------------------------------

    def client(self, *words):
        return numbers(subprocess.run([self.program("bench_client"), self.socket, *map(str, words)], check=True,
                                      stdout=subprocess.PIPE, text=True).stdout)

    def floor(self, n):
        return numbers(subprocess.run([self.program("bench_floor"), str(n), str(self.dir / "rootfs"), "/bin/true"],
                                      check=True, stdout=subprocess.PIPE, text=True).stdout)

    @staticmethod
    def in_own_mounts(words):
        """crun refuses a hybrid cgroup host: give it a mount namespace without the unified one."""
        if os.path.ismount("/sys/fs/cgroup/unified"):
            return ["unshare", "-m", "sh", "-c", 'umount /sys/fs/cgroup/unified; exec "$@"', "sh", *words]
        return words

    def spawn(self, n, words):
        """Run a command n times, in a namespace where crun works; what each run took comes on fd 3."""
        read, write = os.pipe()
        code = 'exec "$@" 3>&%d' % write
        process = subprocess.Popen(
            self.in_own_mounts(["sh", "-c", code, "sh", self.program("bench_spawn"), str(n), *words]),
            pass_fds=[write], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        os.close(write)
        with os.fdopen(read) as f:
            text = f.read()
        if process.wait() != 0:
            sys.exit("bench: %s failed" % words)
        return numbers(text)

    # -- figures -------------------------------------------------------------------------------

    def report(self, what, value, unit, target, good, **more):
        met = None if target is None else (value <= target if good == "less" else value >= target)
        self.results.append(dict(what=what, value=round(value, 3), unit=unit, target=target, good=good, met=met, **more))
        mark = {True: "ok", False: "MISSED", None: ""}[met]
        aim = "" if target is None else ("<= %g" if good == "less" else ">= %g") % target
        extra = "  ".join("%s %s" % (k, round(v, 1) if isinstance(v, float) else v) for k, v in more.items())
        print("%-58s %10.3f %-8s %-9s %-7s %s" % (what, value, unit, aim, mark, extra), flush=True)

    def cycle(self):
        ours, floor, crun, crun_plain, runc = [], [], [], [], []
        for _ in range(self.rounds):
            ours += self.client("cycle", 10, self.true)
            floor += self.floor(10)
            crun += self.spawn(10, ["crun", "--root", self.peers, "run", "-b", self.true, "bench-@"])
            crun_plain += self.spawn(10, ["crun", "--root", self.peers, "--cgroup-manager=disabled", "run", "-b", self.true, "bench-@"])
            runc += self.spawn(2, ["runc", "--root", self.peers, "run", "-b", self.true, "bench-@"])
        m = median(ours)
        us = dict(ours_us=m, floor_us=median(floor), crun_us=median(crun), crun_disabled_us=median(crun_plain),
                  runc_us=median(runc))
        self.report("create+start+wait+delete of true / crun run", m / median(crun), "x", 0.40, "less", **us)
        self.report("  the same / crun run --cgroup-manager=disabled", m / median(crun_plain), "x", 0.40, "less")
        self.report("  the same / runc run", m / median(runc), "x", None, "less")
        self.report("  the same / floor", m / median(floor), "x", 2.0, "less")
        self.single = m

    def exec(self):
        ours, crun, runc = [], [], []
        cli = [self.program("cowherd"), "--host", "unix://" + self.socket]
        subprocess.run([*cli, "run", "-d", "--name", "bench-exec", "--bundle", self.sleep], check=True,
                       stdout=subprocess.DEVNULL)
        for runtime in "crun", "runc":
            subprocess.run(self.in_own_mounts([runtime, "--root", self.peers, "run", "-d", "-b", self.sleep, "bench-exec-" + runtime]),
                           check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            for _ in range(self.rounds):
                ours += self.client("exec", 10, "bench-exec", "/bin/true")
                crun += self.spawn(10, ["crun", "--root", self.peers, "exec", "bench-exec-crun", "/bin/true"])
                runc += self.spawn(2, ["runc", "--root", self.peers, "exec", "bench-exec-runc", "/bin/true"])
        finally:
            subprocess.run([*cli, "rm", "-f", "bench-exec"], stdout=subprocess.DEVNULL)
            for runtime in "crun", "runc":
                subprocess.run(self.in_own_mounts([runtime, "--root", self.peers, "delete", "-f", "bench-exec-" + runtime]))
        m = median(ours)
        self.report("exec of true / crun exec", m / median(crun), "x", 0.40, "less", ours_us=m, crun_us=median(crun),
                    runc_us=median(runc))
        self.report("  the same / runc exec", m / median(runc), "x", None, "less")

    def load(self):
        self.client("load", 32, 32, self.true)
        single = median(self.client("cycle", 50, self.true))
        n = 50 if self.quick else 200
        many = self.client("load", n, 32, self.true)
        cores = os.cpu_count()
        p99 = percentile(many, 99)
        self.report("%d containers, 32 in flight: p99 / (32/cores x single)" % n, p99 / (32 / cores * single), "x",
                    1.5, "less", p99_us=p99, median_us=median(many), single_us=single)

    @staticmethod
    def memory(pid, key):
        for line in pathlib.Path("/proc/%d/smaps_rollup" % pid).read_text().splitlines():
            if line.startswith(key + ":"):
                return int(line.split()[1])
        return 0

    def footprint(self):
        self.stop_daemon()
        self.start_daemon()
        time.sleep(0.5)
        pid = self.daemon.pid
        self.report("supervisor idle: RSS", self.memory(pid, "Rss") / 1024, "MiB", 4, "less",
                    pss_kib=self.memory(pid, "Pss"))
        sizes = 0
        for path in self.program("cowherd"), str(self.build / "lib/cowherd/lcow.so"):
            stripped = self.dir / "stripped"
            subprocess.run(["strip", "-o", stripped, path], check=True)
            sizes += stripped.stat().st_size
        self.report("stripped size of cowherd + lcow", sizes / 1024, "KiB", 500, "less")
        # The first containers pay for what all share: the pool's threads, the caches of the plugin.
        n = 100 if self.quick else 500
        cli = [self.program("cowherd"), "--host", "unix://" + self.socket]
        names = []

        def run(count):
            for _ in range(count):
                names.append(subprocess.run([*cli, "run", "-d", "--bundle", self.sleep], check=True,
                                            stdout=subprocess.PIPE, text=True).stdout.strip())
        before = self.memory(pid, "Pss")
        run(n)
        after = self.memory(pid, "Pss")
        inspect = json.loads(subprocess.run([*cli, "inspect", names[-1]], check=True, stdout=subprocess.PIPE).stdout)
        stub = self.memory(inspect[0]["pid"], "Pss")
        self.report("supervisor's PSS per idle container, at %d" % n, (after - before) / n, "KiB", 32, "less",
                    before_kib=before, after_kib=after)
        self.report("PSS of the init stub in one", stub, "KiB", 150, "less")
        for i in range(0, n, 50):
            subprocess.run([*cli, "rm", "-f", *names[i:i + 50]], check=True, stdout=subprocess.DEVNULL)

    def stdout(self):
        cli = [self.program("cowherd"), "--host", "unix://" + self.socket]
        ours, conmon = [], []
        for i in range(1 if self.quick else 3):
            begin = time.monotonic()
            name = subprocess.run([*cli, "run", "-d", "--bundle", self.writer], check=True, stdout=subprocess.PIPE,
                                  text=True).stdout.strip()
            subprocess.run([*cli, "wait", name], check=True, stdout=subprocess.DEVNULL)
            ours.append(self.mib / (time.monotonic() - begin))
            subprocess.run([*cli, "rm", name], check=True, stdout=subprocess.DEVNULL)
            conmon.append(self.mib / self.conmon(i))
        self.report("1 GiB of stdout to a log file / conmon", median(ours) / median(conmon), "x", 1.5, "more",
                    ours_mib_s=median(ours), conmon_mib_s=median(conmon))

    def conmon(self, i):
        work = self.dir / ("conmon%d" % i)
        (work / "exit").mkdir(parents=True)
        name = "bench-conmon-%d-%d" % (os.getpid(), i)
        read, write = os.pipe()
        os.set_inheritable(write, True)
        begin = time.monotonic()
        conmon = subprocess.Popen(
            self.in_own_mounts(
                ["sh", "-c", "_OCI_SYNCPIPE=%d exec conmon --sync --api-version 1 -c %s -u %s -r /usr/bin/crun -b %s -p %s -l "
                 "k8s-file:%s --exit-dir %s --full-attach -n %s" % (
                     write, name, name, self.writer, work / "pid", work / "log", work / "exit", name)]),
            pass_fds=[write], stdin=subprocess.DEVNULL)
        os.close(write)
        with os.fdopen(read) as f:
            answer = f.readline()
        if '"pid"' not in answer and '"data"' not in answer:
            sys.exit("bench: conmon: " + answer)
        subprocess.run(["crun", "start", name], check=True)
        conmon.wait()
        took = time.monotonic() - begin
        subprocess.run(self.in_own_mounts(["crun", "delete", "-f", name]), check=True)
        shutil.rmtree(work)
        return took


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", required=True)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--only", action="append")
    parser.add_argument("--quick", action="store_true")
    args = parser.parse_args()
    bench = Bench(args.build, args.rounds, args.quick)
    figures = ["cycle", "exec", "load", "footprint", "stdout"]
    try:
        bench.setup()
        print("%-58s %10s %-8s %-9s %-7s" % ("what", "value", "unit", "target", ""))
        for figure in args.only or figures:
            getattr(bench, figure)()
    finally:
        bench.teardown()
    if not args.only and not args.quick:
        uname = os.uname()
        text = json.dumps({"kernel": uname.release, "cores": os.cpu_count(), "rounds": args.rounds,
                           "figures": bench.results}, indent=1)
        (HERE / "results.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
