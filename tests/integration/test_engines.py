# SPDX-License-Identifier: MIT
"""Bundles as engines write them (tests/data/specs, and what is installed here), run by us and by the runtimes that they
were written for: the process inside finds the same."""
import json
import os
import pathlib
import resource
import subprocess
import tempfile

import box
import cow

SPECS = cow.SOURCE / "tests/data/specs"
LOOK = r"""
id; pwd; hostname; env | sort; umask
for r in a c d e f i l m n p q r s t u v; do echo "ulimit $r $(ulimit -S -$r 2>/dev/null) $(ulimit -H -$r 2>/dev/null)"; done
grep -E '^(Groups|Sig(Blk|Ign)|Cap|NoNewPrivs|Seccomp:|Uid|Gid|Umask|Cpus_allowed_list)' /proc/self/status
cat /proc/self/oom_score_adj
for f in $(find /dev | sort); do stat -c '%n %F %a %u:%g %t:%T' $f; done
for f in /proc/kcore /proc/keys /proc/timer_list /proc/sched_debug /proc/scsi /sys/firmware; do head -c 1 $f 2>&1 | wc -c; ls -A $f 2>/dev/null | head -3; done
for f in /proc/sysrq-trigger /proc/sys/kernel/hostname /proc/irq/default_smp_affinity; do (echo x >$f) 2>&1; done
ls /proc/self/fd /sys /; ip addr show lo
echo "pid $$"
echo MOUNTS; cat /proc/self/mountinfo
exit 37
"""


def adapt(spec, s, number):
    """To this machine: our root file system, our files where the engine bound its own, limits that one may have."""
    spec["root"]["path"] = str(s.rootfs)
    spec["process"].update({"args": ["/bin/sh", "-c", LOOK], "terminal": False})
    for mount in spec["mounts"]:
        if mount["source"].startswith("/var/lib/"):
            source = s.dir / "bound" / mount["destination"].strip("/").replace("/", "-")
            source.parent.mkdir(exist_ok=True)
            if mount["destination"] == "/dev/shm":
                source.mkdir(exist_ok=True)
            else:
                source.write_text("bound\n")
            mount["source"] = str(source)
    spec["process"].pop("apparmorProfile", None)
    spec["ociVersion"] = "1.0.2"  # the latest that this crun knows
    hooks = spec.pop("hooks", None)
    if hooks:  # the engine's own program, which is not here
        spec["hooks"] = {point: [{"path": "/bin/true", "args": ["true"]} for _ in list_] for point, list_ in hooks.items()}
    for limit in spec["process"].get("rlimits", []):
        most = resource.getrlimit(getattr(resource, limit["type"]))[1]
        if most != resource.RLIM_INFINITY and limit["hard"] > most:
            limit["soft"] = limit["hard"] = most
    spec["linux"].get("resources", {}).pop("blockIO", None)  # of a disk that is not here
    filter_ = spec["linux"].get("seccomp")
    if filter_ and not {"execve", "prctl"} <= {n for rule in filter_["syscalls"] for n in rule["names"]}:
        filter_.pop("defaultErrnoRet", None)
        filter_["defaultAction"] = "SCMP_ACT_ALLOW"  # the sample's list has been shortened
    spec["linux"]["cgroupsPath"] = "/cowherd-test-%d-%d" % (os.getpid(), number)
    return spec


def written(directory, spec):
    bundle = pathlib.Path(directory)
    bundle.mkdir(parents=True, exist_ok=True)
    (bundle / "config.json").write_text(json.dumps(spec))
    return bundle


def normal(text):
    """Lines to compare, and the mounts by where they are.  Otherwise on purpose is with us: /dev/core, a link that crun
    and runc do not always make; a mask, which has every restricting option and is read-only as well; /sys/fs/cgroup, where a
    container sees the controllers that limit it, and not the host's root of the others; options that restrict, which crun drops
    where it makes a path read-only."""
    head, mounts = text.split("MOUNTS\n")
    found = {}
    for point, m in box.mountinfo(mounts).items():
        if point.startswith("/sys/fs/cgroup"):
            continue
        if m["root"].endswith("/null") or (m["type"] == "tmpfs" and point.startswith(("/proc", "/sys"))):
            found[point] = "masked"
            continue
        root = m["root"] if m["source"] not in ("tmpfs", "shm") and point != "/" else ""
        found[point] = [m["type"], root, sorted(p.split(":")[0] for p in m["propagation"]),
                        sorted(o for o in m["super"] - {"ro", "rw"} if not o.startswith(("inode", "size", "nr_"))), m["options"]]
    return [line for line in head.splitlines() if not line.startswith("/dev/core ")], found


def as_strict(ours, theirs):
    if not ours or not theirs or "masked" in (ours, theirs):
        return ours == theirs
    return ours[:-1] == theirs[:-1] and theirs[-1] - {"rw"} <= ours[-1]


def by_us(s, bundle, **more):
    container = s.connection.call("container.create", bundle=str(bundle), **more)["id"]
    s.connection.call("container.start", container=container)
    end = box.wait(s, container)
    out, err = box.output(s, container)
    box.delete(s, container)
    return end["exit_code"], out, err


def by(runtime, bundle, name):
    """crun 1.8 wants no hybrid host: a second hierarchy is put out of its sight."""
    hidden = ["unshare", "-m", "sh", "-c", "umount -l /sys/fs/cgroup/unified 2>/dev/null; exec \"$@\"", "sh"]
    done = subprocess.run([*hidden, runtime, "run", "--bundle", str(bundle), name], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, timeout=60)
    return done.returncode, done.stdout, done.stderr


def samples(s):
    for number, file in enumerate(sorted(SPECS.glob("*.json"))):
        yield file.stem, written(s.dir / "bundles" / file.stem, adapt(json.loads(file.read_text()), s, number))


def spec_by_runc(s, number, *options):
    with tempfile.TemporaryDirectory(prefix="cowherd-spec-") as d:
        subprocess.run(["runc", "spec", *options], cwd=d, check=True)
        return adapt(json.loads(pathlib.Path(d, "config.json").read_text()), s, number)


def test_samples_run():
    with box.supervisor() as s:
        for name, bundle in samples(s):
            code, out, err = by_us(s, bundle)
            assert code == 37 and "pid 2" in out, (name, code, out, err)
            said = subprocess.run([cow.COWHERD, "explain", str(bundle)], stdout=subprocess.PIPE, text=True)
            assert said.returncode == 0 and "/bin/sh" in said.stdout, (name, said)


def test_rootless_spec():
    with box.supervisor() as s:
        spec = spec_by_runc(s, 50, "--rootless")
        del spec["linux"]["cgroupsPath"]
        os.chmod(s.rootfs, 0o755)
        code, out, err = by_us(s, written(s.dir / "rootless", spec))
        assert code == 37 and out.startswith("uid=0(root)"), (code, out, err)


def test_as_the_others():
    """With the init off, for it is not theirs."""
    runtimes = ["crun", "runc"]
    failures = []
    with box.supervisor() as s:
        bundles = dict(samples(s))
        bundles["runc-here"] = written(s.dir / "bundles/runc-here", spec_by_runc(s, 20))
        for name, bundle in bundles.items():
            ours = by_us(s, bundle, init=False)
            for runtime in runtimes:
                theirs = by(runtime, bundle, "cowherd-test-%d-%s-%s" % (os.getpid(), runtime, name))
                if ours[0] != theirs[0]:
                    failures.append((name, runtime, "exit", ours[0], theirs[0], ours[2], theirs[2]))
                    continue
                (a, am), (b, bm) = normal(ours[1]), normal(theirs[1])
                failures += [(name, runtime, "only we", x) for x in a if x not in b]
                failures += [(name, runtime, "only they", x) for x in b if x not in a]
                failures += [(name, runtime, "mount", p, am.get(p), bm.get(p)) for p in sorted({*am, *bm}) if not as_strict(am.get(p), bm.get(p))]
    assert not failures, "\n".join(map(str, failures))


if __name__ == "__main__":
    cow.main([value for name, value in list(globals().items()) if name.startswith("test_")])
