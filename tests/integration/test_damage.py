# SPDX-License-Identifier: MIT
"""Files of a container that were damaged while no supervisor ran: the next one comes up, shows what it knows, and
`delete` leaves nothing running and nothing behind, whatever was lost."""
import cow

FILES = ("state/containers/it/record", "run/containers/it/ledger", "run/containers/it/lcow.plan")


def spec(s, *args):
    return {"ociVersion": "1.0.2", "root": {"path": str(s.dir / "rootfs")},
            "process": {"args": list(args), "cwd": "/", "env": ["PATH=/bin"], "user": {"uid": 0, "gid": 0}},
            "mounts": [{"destination": "/proc", "type": "proc", "source": "proc"}],
            "linux": {"namespaces": [{"type": t} for t in ("pid", "mount", "ipc", "uts")]}}


def damages(data):
    """What was done, and the bytes that are there now."""
    for at in sorted({0, 1, len(data) // 2, len(data) - 1} - {len(data)}):
        yield "cut to %d" % at, data[:at]
    for at in range(0, len(data), max(len(data) // 4, 1)):
        yield "flipped at %d" % at, data[:at] + bytes(b ^ 0x15 for b in data[at:at + 8]) + data[at + 8:]
    yield "zeros", bytes(len(data))


def survives(s, kind, file, number):
    """One container, one damage to one of its files, from SIGKILL to nothing left; how many damages there are."""
    s.call("container.create", spec=spec(s, *(("true",) if kind == "stopped" else ("sleep", "1000"))), id="it")
    if kind != "created":
        s.call("container.start", container="it")
    if kind == "stopped":
        s.call("container.wait", container="it")
    s.kill()
    path = s.dir / file
    made = list(damages(path.read_bytes())) if path.exists() else []
    if number < len(made):
        path.write_bytes(made[number][1])
    s.start()
    if s.call("container.list", all=True):
        s.call("container.inspect", container="it")
        s.call("container.delete", container="it", force=True)
    what = (kind, file, made[number][0] if number < len(made) else "nothing")
    left = [c for c in cow.cgroups() if c.endswith(s.dir.name + "/it")]
    assert not left, (what, left)
    assert s.call("container.list", all=True) == [], what
    for kept in "run", "state":
        assert not list((s.dir / kept / "containers").glob("[!.]*")), what
    return len(made)


def test_every_file():
    before = cow.Picture()
    s = cow.Supervisor()
    try:
        cow.make_rootfs(s.dir / "rootfs")
        s.start()
        done = 0
        for kind in "running", "created", "stopped":
            for file in FILES:
                number = 0
                while number < survives(s, kind, file, number):
                    number += 1
                done += number
        assert done > 50, done
        # What ended what no record named says so.
        assert "cgroup.leftover" in (s.dir / "daemon.log").read_text()
        s.call("shutdown", kill=True)
        s.process.wait(30)
        before.check(s.dir)
    finally:
        s.remove()


def test_chosen_cgroup():
    """A cgroup that the spec chose is not told by the container's id: with the ledger gone, a second note names it."""
    before = cow.Picture()
    s = cow.Supervisor()
    try:
        cow.make_rootfs(s.dir / "rootfs")
        s.start()

        def chosen():
            return [c for c in cow.cgroups() if c.endswith("/%s-own/deep/it" % s.dir.name)]
        made = spec(s, "sleep", "1000")
        made["linux"]["cgroupsPath"] = "/%s-own/deep/it" % s.dir.name
        note = s.root / "lcow.it.cgroup"
        for data in b"", b"\0" * 4096, None, "whole":
            s.call("container.create", spec=made, id="it")
            s.call("container.start", container="it")
            assert chosen() and note.exists()
            s.kill()
            ledger = s.root / "containers/it/ledger"
            if data is None:
                ledger.unlink()
            elif data == "whole":
                note.write_text("damaged")  # no obstacle where the ledger is good
            else:
                ledger.write_bytes(data)
            s.start()
            s.call("container.delete", container="it", force=True)
            assert not chosen() and not note.exists(), data
        # One that ends by itself takes its note along.
        made["process"]["args"] = ["true"]
        s.call("container.create", spec=made, id="it")
        s.call("container.start", container="it")
        s.call("container.wait", container="it")
        cow.wait_for(lambda: not note.exists(), "the note to go")
        s.call("container.delete", container="it")
        # What lies in the way of a note: nothing is made.
        note.mkdir()
        try:
            s.call("container.create", spec=made, id="it")
            raise AssertionError("created without a note")
        except cow.RpcError as e:
            assert "lcow.it.cgroup: Is a directory" in e.error["message"], e.error
        assert not chosen()
        note.rmdir()
        s.call("shutdown", kill=True)
        s.process.wait(30)
        before.check(s.dir)
    finally:
        s.remove()


cow.main([test_chosen_cgroup, test_every_file])
