#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""CNI lists as others have written them: podman's and containerd's own, in a directory; what is asked of one that cannot
do it; plugins that fail in every way."""
import contextlib
import json
import os
import pathlib
import subprocess
import tempfile

import netbox
import box
import cow


def ranges(*subnets):
    return {"type": "host-local", "ranges": [[{"subnet": s}] for s in subnets],
            "routes": [{"dst": "::/0" if ":" in s else "0.0.0.0/0"} for s in subnets]}


LISTS = {
    "87-podman.conflist": {"cniVersion": "0.4.0", "name": "podman", "plugins": [
        {"type": "bridge", "bridge": "cni-podman0", "isGateway": True, "ipMasq": True, "hairpinMode": True,
         "ipam": {"type": "host-local", "routes": [{"dst": "0.0.0.0/0"}],
                  "ranges": [[{"subnet": "10.88.0.0/16", "gateway": "10.88.0.1"}]]}},
        {"type": "portmap", "capabilities": {"portMappings": True}}, {"type": "firewall"}, {"type": "tuning"}]},
    "10-containerd-net.conflist": {"cniVersion": "1.0.0", "name": "containerd-net", "plugins": [
        {"type": "bridge", "bridge": "cni0", "isGateway": True, "ipMasq": True, "promiscMode": True,
         "ipam": ranges("10.89.0.0/16", "2001:db8:4860::/64")},
        {"type": "portmap", "capabilities": {"portMappings": True}}]},
    "20-ptp.conf": {"cniVersion": "0.3.1", "name": "ptp", "type": "ptp", "ipMasq": True, "ipam": ranges("10.90.0.0/24"),
                    "dns": {"nameservers": ["9.9.9.9"], "domain": "ptp.example", "search": ["a.example"],
                            "options": ["ndots:3"]}},
    "21-macvlan.conflist": {"cniVersion": "1.0.0", "name": "macvlan", "plugins": [
        {"type": "macvlan", "master": "up0", "mode": "bridge", "capabilities": {"ips": True, "mac": True},
         "ipam": {"type": "static"}}]},
    "22-new.conflist": {"cniVersion": "1.1.0", "name": "new", "plugins": [{"type": "bridge"}]},
    "23-both.conflist": {"cniVersion": "1.1.0", "cniVersions": ["1.0.0", "1.1.0"], "name": "both", "plugins": [
        {"type": "bridge", "bridge": "cni-both0", "isDefaultGateway": True,
         "ipam": {"type": "host-local", "ranges": [[{"subnet": "10.96.0.0/24"}]]}}, {"type": "tuning", "mtu": 1400}]},
    "24-none.conflist": {"cniVersion": "1.0.0", "name": "none", "plugins": [{"type": "bridge"}]},
    "25-bad.conflist": "{",
}


@contextlib.contextmanager
def herd(timeout=30):
    with tempfile.TemporaryDirectory(prefix="cowherd-cni-") as d, netbox.World() as world:
        conf, plugins = pathlib.Path(d) / "net.d", pathlib.Path(d) / "bin"
        conf.mkdir()
        plugins.mkdir()
        config = {"config_dir": str(conf), "plugin_dirs": [str(plugins), "/usr/lib/cni"], "timeout_s": timeout}
        with box.supervisor({"plugins": {"net": {"cni": config}}}) as s:
            s.world, s.conf, s.plugins, s.leases = world, conf, plugins, pathlib.Path(d) / "leases"
            for name, made in LISTS.items():
                write(s, name, made)
            yield s
            for c in s.connection.call("container.list", all=True):
                box.delete(s, c["id"])
            assert not left(s), left(s)


def write(s, name, made):
    text = made if isinstance(made, str) else json.dumps(made)
    (s.conf / name).write_text(text.replace('"type": "host-local"', '"type": "host-local", "dataDir": "%s"' % s.leases))


def left(s):
    """What of containers is there: links, leases, the cache, ports and masquerading."""
    found = [name for name in netbox.links() if name.startswith("veth")]
    found += [str(p) for p in s.leases.glob("*/*") if p.name[0].isdigit()] + [str(p) for p in (s.root / "net/cni").glob("*")]
    found += [str(p) for p in (s.root / "net/endpoints").glob("[!.]*")]
    rules = "".join(subprocess.run([c, "-t", "nat"], stdout=subprocess.PIPE, text=True, check=True).stdout
                    for c in ("iptables-save", "ip6tables-save"))
    return found + [line for line in rules.splitlines() if line.startswith(("-A CNI-DN", "-A CNI-SN", "-A POSTROUTING")) and
                    "CNI portfwd" not in line]


def serve(s, network, **more):
    container = box.start(s, box.py(s, netbox.SERVER, "7"), network=network, **more)
    pid = s.connection.call("container.inspect", container=container)["pid"]
    cow.wait_for(lambda: netbox.inside(pid, lambda: netbox.reachable("127.0.0.1", 7)), "the server")
    return container, pid


def test_directory():
    """The lists of the directory are networks; one goes on living without its file, and without its supervisor."""
    with herd() as s:
        names = s.cli("network", "ls", "--filter", "driver=cni", "--format", "{{.Name}}", text=True).stdout.split()
        assert names == ["both", "containerd-net", "macvlan", "podman", "ptp"], names
        [shown] = json.loads(s.cli("network", "inspect", "podman").stdout)
        assert (shown["Type"], shown["Cowherd"]["Conflist"]) == ("CNI", "podman"), shown
        refused = s.cli("network", "rm", "podman")
        assert refused.returncode == 1 and b"a file in the CNI directory" in refused.stderr, refused
        a, _ = serve(s, "podman", ports=["8007:7"], name="a")
        assert s.world.ask("192.0.2.1", 8007, b"hi") == b"tcp 192.0.2.2 hi"
        b, _ = serve(s, shown["ID"][:12], name="b")  # by the beginning of its id
        c, pid_c = serve(s, "both", name="c")
        six, _ = serve(s, "containerd-net", ports=["[2001:db8::1]:8008:7"])
        assert s.world.ask("2001:db8::1", 8008, b"hi") == b"tcp 2001:db8::2 hi"
        for _ in range(2):
            message = box.refused(s, box.sh(s, "true"), network="podman", ports=["8007:9"])
            assert "port 0.0.0.0:8007/tcp: in use by a" in message, message
            checked = s.cli("network", "check", "both")
            assert checked.returncode == 0, checked.stderr
            s.kill()
            s.connection.close()
            s.start()
            s.connection = s.client()
        # (portmap 1.1.1 wants the rules of both families, whatever the container has: a is not asked.)
        netbox.ip("addr", "flush", "dev", "eth0", ns=pid_c)
        checked = s.cli("network", "check", "both", text=True)
        assert checked.returncode == 1, checked
        assert "container %s: eth0: cni both: bridge: " % c in checked.stderr, checked.stderr
        for path in s.conf.iterdir():
            path.unlink()
        subprocess.run(["nft", "flush", "ruleset"], check=True)  # as a firewall's reload does
        for container in a, b, c, six:
            box.delete(s, container)


def test_results():
    with herd() as s:
        says = box.says(s, box.sh(s, "cat /etc/resolv.conf /etc/hosts"), network="ptp", hostname="me")
        for line in "nameserver 9.9.9.9\n", "search ptp.example a.example\n", "options ndots:3\n", "10.90.0.2\tme\n":
            assert line in says, says
        says = box.says(s, box.sh(s, "ifconfig eth0; cat /etc/hosts"), hostname="me",
                        network="macvlan:ip=192.0.2.77/24,mac=02:00:00:00:00:77")
        assert "HWaddr 02:00:00:00:00:77" in says and "192.0.2.77\tme" in says, says
        says = box.says(s, box.sh(s, "ifconfig eth0; route -n"), network="both")
        assert "MTU:1400" in says and "10.96.0.1" in says, says


def test_names():
    """Containers of one network know each other by their hosts files, as long as they are there."""
    with herd() as s:
        nat = box.start(s, box.sh(s, "sleep 1000"), network="nat")  # namespaces are kept ready, with a link to that
        cow.wait_for(lambda: len([p for p in (s.root / "net/pool").glob("[!.]*")]) >= 2, "the pool")
        a, _ = serve(s, "podman", name="one", network_alias=["first"])
        b = box.start(s, box.sh(s, "sleep 1000"), network="containerd-net", name="elsewhere")

        def names(container):
            return box.execute(s, container, "cat", "/etc/hosts")[1]
        alone = names(a)
        c = box.start(s, box.sh(s, "sleep 1000"), network="podman", name="two")
        assert "\tone first " in names(c) and "\ttwo " in names(a), (names(a), names(c))
        assert "elsewhere" not in names(c) and "two" not in names(b), (names(b), names(c))
        box.delete(s, c)
        assert names(a) == alone, (alone, names(a))
        refused = s.cli("network", "disconnect", "podman", "one", text=True)
        assert refused.returncode == 1 and "endpoints go with their containers" in refused.stderr, refused
        box.delete(s, nat)


def test_asked_in_vain():
    with herd() as s:
        for network, more, cause in (
                ("podman:ip=10.88.0.9", {}, 'network podman: ip 10.88.0.9: no plugin of its CNI list has the capability "ips"'),
                ("podman:mac=02:00:00:00:00:01", {}, 'mac 02:00:00:00:00:01: no plugin of its CNI list has the capability "mac"'),
                ("ptp", {"ports": ["80:80"]}, 'network ptp: published ports: no plugin of its CNI list has the capability "por'),
                ("nat:ip=10.88.0.9/24", {}, "ip 10.88.0.9/24: only CNI networks take a length"),
                ("macvlan", {}, "cni macvlan: macvlan: IPAM plugin returned missing IP config (code 999)"),
                ("new", {}, "22-new.conflist: cniVersion 1.1.0: only 0.3.0 to 1.0.0 are spoken"),
                ("bad", {}, 'Network name "bad" not found')):
            message = box.refused(s, box.sh(s, "true"), network=network, **more)
            assert cause in message, message
            assert not left(s), left(s)


def test_made():
    """network create: from a name, a file, a document; what cannot be run is not made."""
    with herd() as s:
        both = (s.conf / "23-both.conflist").read_text()
        for number, (words, given) in enumerate(((["--conflist", "both"], None), (["--conflist", "-"], both),
                                                 (["--conflist", both], None), (["--conflist", "23-both.conflist"], None))):
            made = s.cli("network", "create", "--type", "cni", *words, "n%d" % number, cwd=s.conf, text=True,
                         **({"input": given, "stdin": None} if given else {}))
            assert made.returncode == 0, made.stderr
        (s.conf / "23-both.conflist").unlink()
        for name, good in ("n0", False), ("n1", True), ("n2", True), ("n3", False):
            if good:
                assert box.says(s, box.sh(s, "echo here"), network=name) == "here\n"
            else:
                assert "both" in box.refused(s, box.sh(s, "true"), network=name)
        [shown] = json.loads(s.cli("network", "inspect", "n1").stdout)
        assert shown["Cowherd"]["Conflist"]["name"] == "both", shown
        for words, cause in ((["--conflist", "/nowhere.conflist"], "/nowhere.conflist: No such file or directory"),
                             (["--conflist", "{}"], "conflist: name is missing"), ([], "network x: CNI network x: not in "),
                             (["--conflist", "25-bad.conflist"], "25-bad.conflist: not a JSON object")):
            made = s.cli("network", "create", "--type", "cni", *words, "x", cwd=s.conf, text=True)
            assert made.returncode != 0 and cause in made.stderr, made.stderr
        # Its endpoints come with containers only, and have no use without.
        text = json.dumps({"HostComputeNetwork": shown["ID"], "SchemaVersion": {"Major": 2, "Minor": 0}})
        for words in (["endpoint", "create", "--network", "n1", "e"], ["endpoint", "create", "--json", text],
                      ["network", "request", "POST", "/endpoints/", json.dumps({"VirtualNetwork": shown["ID"]})]):
            made = s.cli(*words, text=True)
            told = "network n1: a CNI network's endpoints are made with their containers"
            assert made.returncode == 1 and told in made.stdout + made.stderr, (words, made)
        assert s.cli("network", "rm", "n0", "n1", "n2", "n3").returncode == 0


def test_plugins_fail():
    """In the middle of a chain, in every way: all of it is undone, and the plugin's own words are told."""
    chain = LISTS["87-podman.conflist"]["plugins"][:2]
    with herd(timeout=3) as s:
        for script, cause in (("sleep 1000 & sleep 1000", "cni failing: fails: ADD took longer than 3000 ms"),
                              ("echo garbage", "cni failing: fails: ADD gave no result"),
                              ("kill -SEGV $$", "cni failing: fails: ADD was ended by signal 11"),
                              ("echo oh no >&2; exit 3", "cni failing: fails: ADD ended with status 3: oh no"),
                              ('echo "{\\"code\\":105,\\"msg\\":\\"no luck\\",\\"details\\":\\"today\\"}"; exit 1',
                               "cni failing: fails: no luck: today (code 105)"),
                              (None, "cni failing: there is no plugin fails in %s, /usr/lib/cni" % s.plugins)):
            plugin = s.plugins / "fails"
            write(s, "50-failing.conflist", {"cniVersion": "1.0.0", "name": "failing", "plugins": [*chain, {"type": "fails"}]})
            if script:
                plugin.write_text("#!/bin/sh\n[ $CNI_COMMAND = ADD ] || exit 0\n%s\n" % script)
                plugin.chmod(0o755)
            else:
                plugin.unlink()
            message = box.refused(s, box.sh(s, "true"), network="failing", ports=["8009:7"])
            assert message.endswith(cause), message
            assert not left(s), left(s)


def test_configured():
    """cowherd check knows the section."""
    with tempfile.TemporaryDirectory() as d:
        path = os.path.join(d, "c.json")
        for section, cause in (({"config_dir": "net.d"}, "/plugins/net/cni/config_dir: not an absolute path"),
                               ({"plugin_dirs": []}, "/plugins/net/cni/plugin_dirs: not an array of 1 to 16 paths"),
                               ({"plugin_dirs": ["/a", 7]}, "/plugins/net/cni/plugin_dirs/1: not an absolute path"),
                               ({"timeout_s": 0}, "/plugins/net/cni/timeout_s: not a number from 0.1 to 3600"),
                               ({"timeout": 5}, "/plugins/net/cni/timeout: unknown key"), ([], "/plugins/net/cni: not an object"),
                               ({"config_dir": "/a", "plugin_dirs": ["/b"], "timeout_s": 0.5}, None)):
            with open(path, "w") as f:
                json.dump({"plugins": {"net": {"cni": section}}}, f)
            checked = subprocess.run([cow.COWHERD, "check", path], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            assert (checked.returncode == 0) == (cause is None) and (cause or "") in checked.stdout, checked.stdout


if __name__ == "__main__":
    cow.main([test_directory, test_results, test_names, test_asked_in_vain, test_made, test_plugins_fail, test_configured])
