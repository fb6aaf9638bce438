# SPDX-License-Identifier: MIT
"""Containers in a hosting system: what its service (tests/plugins/hosting.c) is asked for, in which order, what is
taken back when a request fails, hangs, or the supervisor dies between two; and the sandboxes' persisted configuration."""
import contextlib
import errno
import json
import os
import shutil
import time

import netbox
import cow

SPEC = {"ociVersion": "1.0.2", "process": {"args": ["x"], "cwd": "/"}, "root": {"path": "/"},
        "linux": {"namespaces": [{"type": "network"}]}, "annotations": {"fake.backend": "1"}}
PLUGINS = "lib/cowherd/lcow.so", "lib/cowherd/net.so", "tests/plugins/hosting.so", "tests/plugins/fake_backend.so"


class Herd(cow.Supervisor):
    """A supervisor with the fake hosting systems and a backend that runs nothing."""

    def __init__(self):
        super().__init__()
        self.fake = self.dir / "fake"
        self.fake.mkdir()
        self.plugins = self.dir / "plugins"
        self.plugins.mkdir()

    def equip(self):
        for built in PLUGINS:
            shutil.copy(cow.BUILD / built, self.plugins)
        return self

    def command(self):
        return [*super().command(), "--plugin-dir", str(self.plugins)]

    def start(self, **more):
        super().start(env={"COW_FAKE_HOSTING": str(self.fake)}, **more)
        self.connection = self.client()
        return self

    def restart(self):
        self.connection.close()
        self.kill()
        self.start()

    def asked(self):
        """What was asked for since the last time."""
        path = self.fake / "log"
        lines = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
        path.unlink(missing_ok=True)
        return lines

    def script(self, text):
        (self.fake / "fail").write_text(text)

    def create(self, *, system="vm-linux", spec=None, annotations=None, **more):
        spec = json.loads(json.dumps(spec or SPEC))
        spec["annotations"].update(annotations or {})
        options = {"hosting_system": system} if system else {}
        return self.connection.call("container.create", spec=spec, **options, **more)["id"]

    def refused(self, **more):
        try:
            self.create(**more)
        except cow.RpcError as e:
            return e.error["message"]
        raise AssertionError("it was made")

    def delete(self, container):
        self.connection.call("container.delete", container=container, force=True)

    def record(self, container):
        """The hosting record of its ledger."""
        for r in self.connection.call("container.inspect", container=container)["ledger"]:
            if r["allocator"] == "net.endpoint" and r["key"] == "hosting":
                return r["record"] if isinstance(r["record"], dict) else json.loads(r["record"])
        raise AssertionError("no hosting record")

    def claims(self, kind="hosting"):
        return {p.name: json.loads(p.read_text()) for p in (self.root / "net" / kind).glob("[!.]*")}

    def made(self, *words):
        """A network, endpoint or namespace that outlives containers; its id."""
        done = self.cli(*words)
        assert done.returncode == 0, done.stderr
        return done.stdout.decode().strip()


@contextlib.contextmanager
def herd():
    s = Herd()
    picture = cow.Picture()
    try:
        s.equip().start()
        yield s
        for c in s.connection.call("container.list", all=True):
            s.delete(c["id"])
        assert not s.claims() and not s.claims("cni-namespaces"), (s.claims(), s.claims("cni-namespaces"))
        s.connection.close()
        s.call("shutdown", kill=True)
        s.process.wait(30)
        assert s.process.returncode == 0, s.process.returncode
        for kind in "network", "endpoint", "namespace":
            shutil.rmtree(s.state / "net" / (kind + "s"), ignore_errors=True)
        netbox.nothing_left(s)
        picture.check(s.dir)
    except BaseException:
        if (s.dir / "daemon.log").exists():
            print((s.dir / "daemon.log").read_text()[-6000:])
        raise
    finally:
        s.remove()


def shape(log):
    """Each request in short: side, what, type."""
    def one(r):
        kind = r["settings"].get("RequestType", r["type"])
        what = r["resource"].split("/")[-2] if "/" in r["resource"] else r["resource"]
        return "%s %s %s" % (r["side"], what, kind)
    return [one(r) for r in log]


def nic(r):
    return r["resource"].rsplit("/", 1)[1] if r["side"] == "host" else r["settings"].get("ID") or r["settings"]["AdapterId"]


def balance(log):
    """Cards that were added to one side and not removed from it; removals of what is not there do no harm."""
    there = set()
    for r in log:
        key = (r["side"], nic(r) if r["resource"] != "NetworkNamespace" else r["settings"]["ID"])
        if r["type"] == "Add":
            there.add(key)
        elif r["type"] == "Remove":
            there.discard(key)
    return there


LINUX = ["host NetworkAdapters Add", "guest Network Add"]
LINUX_GONE = ["guest Network Remove", "host NetworkAdapters Remove"]
WINDOWS = ["guest Network PreAdd", "host NetworkAdapters Add", "guest Network Add"]


def test_linux_guest():
    """Two networks: a card each, as LCOWNetworkAdapter has it; all of it back, last first, by another supervisor."""
    with herd() as s:
        s.made("network", "create", "--subnet", "10.60.0.0/24", "--subnet", "fd60::/64", "two")
        a = s.create(networks=["nat:mac=02:00:00:00:07:07", "two:ip=10.60.0.9"], dns=["192.0.2.53"])
        log = s.asked()
        assert shape(log) == LINUX * 2, log
        first, guest = log[0], log[1]["settings"]
        assert first["system"] == "vm-linux" and first["container"] == a and first["link"] == "eth0", first
        assert os.path.exists(first["netns"]), first
        assert first["settings"]["MacAddress"] == "02-00-00-00-07-07" and nic(first) == guest["ID"], (first, guest)
        record = s.record(a)
        assert record["addedNetNSToVM"] is True and record["ns"] == guest["NamespaceID"], record
        assert set(guest) == {"NamespaceID", "ID", "MacAddress", "IPAddress", "PrefixLength", "GatewayAddress",
                              "DNSServerList"}, guest
        assert guest["IPAddress"].startswith("172.28.") and guest["PrefixLength"] == 16, guest
        assert guest["GatewayAddress"] == "172.28.0.1" and guest["DNSServerList"] == "192.0.2.53", guest
        assert log[3]["settings"]["IPAddress"] == "10.60.0.9" and log[2]["link"] == "eth1", log
        assert s.claims() == {record["ns"]: {"ContainerID": a, "HostUniqueID": "vm-linux"}}, s.claims()
        s.restart()
        assert s.record(a) == record and not s.asked()
        s.delete(a)
        gone = s.asked()
        assert shape(gone) == LINUX_GONE * 2 and [nic(r) for r in gone[::2]] == [nic(log[2]), nic(log[0])], gone
        assert not s.claims() and not balance(log + gone)


def test_windows_guest():
    with herd() as s:
        a = s.create(system="vm-windows", networks=["nat"])
        log = s.asked()
        assert shape(log) == ["guest NetworkNamespace Add"] + WINDOWS, log
        ns, pre = log[0]["settings"], log[1]["settings"]
        assert ns["ID"] == s.record(a)["ns"] and ns["Type"] == "Guest" and "Cowherd" not in ns, ns
        assert {r["Type"] for r in ns["Resources"]} == {"Container", "Endpoint"}, ns
        assert pre["Settings"]["ID"] == log[2]["settings"]["EndpointId"], log
        assert pre["Settings"]["MacAddress"] == log[2]["settings"]["MacAddress"] and "-" in pre["Settings"]["MacAddress"]
        assert log[3]["settings"] == {"AdapterId": pre["AdapterId"], "RequestType": "Add"}, log[3]
        s.delete(a)
        assert shape(s.asked()) == ["guest Network Remove", "host NetworkAdapters Remove", "guest NetworkNamespace Remove"]
        # A Linux guest of old has devices only.
        b = s.create(system="vm-old", networks=["nat"])
        assert shape(s.asked()) == ["host NetworkAdapters Add"]
        s.delete(b)
        assert shape(s.asked()) == ["host NetworkAdapters Remove"]


def test_every_request_fails():
    """Request k fails, at once or later: what was added goes, nothing stays, and the next one is made."""
    with herd() as s:
        s.made("network", "create", "--subnet", "10.60.0.0/24", "two")
        for system, steps in ("vm-linux", LINUX * 2), ("vm-windows", ["guest NetworkNamespace Add"] + WINDOWS * 2):
            for k in range(len(steps)):
                s.script("%d %d%s" % (k + 1, errno.EIO, " now" if k % 2 else ""))
                message = s.refused(system=system, networks=["nat", "two"])
                assert "hosting system %s: " % system in message, message
                assert ("Input/output error" if k % 2 else "as the script says") in message, message
                log = s.asked()
                assert shape(log)[:k] == steps[:k] and not balance(log), (k, shape(log))
                assert all(r["type"] == "Remove" for r in log[k:]), (k, shape(log))
                assert not s.claims() and not s.connection.call("container.list", all=True)
        s.delete(s.create(networks=["nat", "two"]))
        # Removal that fails is only a warning.
        a = s.create(networks=["nat"])
        s.script("1 %d" % errno.EIO)
        s.delete(a)
        text = (s.dir / "daemon.log").read_text()
        assert "hosting system vm-linux: network namespace" in text and "Remove: device: as the script says" in text
        s.made("network", "rm", "two")


def test_killed_between():
    """SIGKILL before and after each request, coming and going: the next supervisor takes all of it back."""
    with herd() as s:
        for going, requests in (False, 4), (True, 3):
            for k in range(requests):
                how = "dead" if k % 2 else "made"
                a = s.create(system="vm-windows", networks=["nat"]) if going else None
                s.script("%d %s" % (k + 1, how))
                with contextlib.suppress(OSError, EOFError, cow.RpcError):
                    if going:
                        s.delete(a)
                    else:
                        s.create(system="vm-windows", networks=["nat"])
                s.process.wait(30)
                s.restart()
                for c in s.connection.call("container.list", all=True):
                    s.delete(c["id"])
                log = s.asked()
                assert len(log) > k and not balance(log) and not s.claims(), (going, k, shape(log))


def test_a_system_that_hangs():
    """A cancelled create ends soon, and what may have been added is removed: nobody waits out the 15 s of a request."""
    with herd() as s:
        for how in "never", "late":
            s.script("2 " + how)
            client = s.client()
            number = client.send("container.create", spec=SPEC, networks=["nat"], hosting_system="vm-linux", id="slow")
            cow.wait_for(lambda: not (s.fake / "fail").exists(), "the request that is not answered")
            began = time.monotonic()
            s.connection.call("container.delete", container="slow", force=True)
            assert time.monotonic() - began < 5, how
            with contextlib.suppress(cow.RpcError):
                client.answer(number)
            client.close()
            log = s.asked()
            assert [r for r in log if r["type"] == "cancel"], log
            assert not balance([r for r in log if r["type"] != "cancel"]), shape(log)
            assert not s.claims()


def test_pods():
    """A sandbox adds its namespace and keeps a configuration; its workload joins; others are told that it is taken."""
    pod = {"io.kubernetes.cri.sandbox-id": "pod"}
    with herd() as s:
        box = s.create(id="pod", networks=["nat"], annotations={**pod, "io.kubernetes.cri.container-type": "sandbox"})
        ns = s.record(box)["ns"]
        assert s.claims("cni-namespaces") == {ns: {"ContainerID": "pod", "HostUniqueID": "vm-linux"}}
        s.asked()
        joined = {**SPEC, "windows": {"network": {"networkNamespace": ns}}}
        work = s.create(spec=joined, annotations={**pod, "io.kubernetes.cri.container-type": "container"})
        assert not s.asked()
        message = s.refused(spec=joined)
        assert message.endswith("network namespace already added"), message
        assert not s.asked() and s.claims()[ns]["ContainerID"] == "pod"
        synced = s.cli("namespace", "sync", ns)
        assert synced.returncode == 1 and b"Not implemented" in synced.stderr, synced
        s.restart()
        s.delete(work)
        assert not s.asked() and s.claims("cni-namespaces")
        s.delete(box)
        assert shape(s.asked()) == LINUX_GONE and not s.claims("cni-namespaces")
        for annotations, cause in (
                ({"io.kubernetes.cri.container-type": "vm", **pod}, "invalid 'io.kubernetes.cri.container-type': 'vm'"),
                ({"io.kubernetes.cri.container-type": "", **pod}, "invalid 'io.kubernetes.cri.container-type': ''"),
                ({"io.kubernetes.cri.container-type": "sandbox"},
                 "cannot specify 'io.kubernetes.cri.container-type' without 'io.kubernetes.cri.sandbox-id'"),
                (pod, "cannot specify 'io.kubernetes.cri.sandbox-id' without 'io.kubernetes.cri.container-type'")):
            assert cause in s.refused(networks=["nat"], annotations=annotations), annotations


def test_persisted_configuration():
    """A user's namespace: its configuration goes with the sandbox, also where the create fails; one of before is in
    the way until it goes."""
    sandbox = {"io.kubernetes.cri.sandbox-id": "pod", "io.kubernetes.cri.container-type": "sandbox"}
    with herd() as s:
        ns = s.made("namespace", "create")
        joined = {**SPEC, "windows": {"network": {"networkNamespace": ns}}}
        for _ in range(2):  # the second one would fail upstream
            s.create(id="pod", spec=joined, annotations=sandbox)
            assert s.claims("cni-namespaces") == {ns: {"ContainerID": "pod", "HostUniqueID": "vm-linux"}}
            s.restart()
            s.delete("pod")
            assert not s.claims("cni-namespaces")
        s.made("network", "create", "--subnet", "10.60.0.0/24", "two")
        s.made("endpoint", "create", "--network", "two", "e")
        with_endpoint = {**SPEC, "windows": {"network": {"networkNamespace": ns, "endpointList": ["e"]}}}
        s.script("1 5")
        s.refused(id="pod", spec=with_endpoint, annotations=sandbox)
        assert not s.claims("cni-namespaces") and not s.claims()
        s.asked()
        (s.root / "net/cni-namespaces" / ns).write_text('{"ContainerID":"other","HostUniqueID":"vm-linux"}')
        message = s.refused(id="pod", spec=joined, annotations=sandbox)
        assert message.endswith("container %s already exists" % ns), message
        assert not s.claims() and s.claims("cni-namespaces")[ns]["ContainerID"] == "other"
        (s.root / "net/cni-namespaces" / ns).unlink()
        s.create(id="pod", spec=with_endpoint, annotations=sandbox)
        assert shape(s.asked()) == LINUX
        s.delete("pod")
        s.made("endpoint", "rm", "e")
        s.made("namespace", "rm", ns)
        s.made("network", "rm", "two")


def test_who_names_it():
    """The option, or an annotation; what is not there is refused before anything is taken."""
    with herd() as s:
        a = s.create(system=None, networks=["nat"], annotations={"cowherd.hosting-system": "vm-noted"})
        assert s.record(a)["hosting_system"] == "vm-noted"
        s.delete(a)
        a = s.create(system="vm-asked", networks=["nat"], annotations={"cowherd.hosting-system": "vm-noted"})
        assert s.record(a)["hosting_system"] == "vm-asked"
        s.asked()
        # The system went away with all that was in it.
        (s.fake / "gone").touch()
        s.delete(a)
        assert "hosting system vm-asked: No such process" in s.refused(system="vm-asked", networks=["nat"])
        (s.fake / "gone").unlink()
        assert "hosting system no: No such process" in s.refused(system="no", networks=["nat"])
        # Without a network there is nothing to add; lcow does not run what is to run in a machine.
        s.delete(s.create(network="none"))
        s.asked()
        (s.plugins / "hosting.so").unlink()
        s.restart()
        message = s.refused(networks=["nat"])
        assert "hosting system vm-linux: no plugin here runs any" in message, message
        (s.plugins / "fake_backend.so").unlink()
        s.restart()
        for more in {"networks": ["nat"]}, {}:
            message = s.refused(**more)
            assert message.endswith(": no backend can run this spec"), message


if __name__ == "__main__":
    cow.main([test_linux_guest, test_windows_guest, test_every_request_fails, test_killed_between, test_a_system_that_hangs,
              test_pods, test_persisted_configuration, test_who_names_it])
