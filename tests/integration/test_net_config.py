#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Networks of the configuration: made at the start, compared at each reload, gone with the supervisor; what is wrong with
them is told by its place; and a file like a compose file, with two networks, three containers and a published port."""
import contextlib
import json
import signal
import subprocess
import tempfile

import netbox
import box
import cow

SHELL = ["/bin/busybox", "sh", "-c"]


@contextlib.contextmanager
def herd(*networks):
    with netbox.World() as world, box.supervisor({"plugins": {"net": {"networks": list(networks)}}}) as s:
        s.world = world
        yield s
        for c in s.connection.call("container.list", all=True):
            box.delete(s, c["id"])
        s.connection.close()
        s.call("shutdown", kill=True)
        s.process.wait(30)
        netbox.nothing_left(s)
        assert not list((s.root / "net/networks").glob("[!.]*")), "networks of the configuration outlive it"
        s.start()
        s.connection = s.client()


def listed(s):
    made = s.cli("network", "ls", "--format", "{{.Name}} {{.Driver}} {{.Subnets}}", text=True)
    assert made.returncode == 0, made.stderr
    return sorted(line for line in made.stdout.splitlines() if " CNI " not in line)  # those are the machine's


def write(s, *networks, **more):
    config = json.loads(s.config.read_text())
    config["plugins"]["net"] = {"networks": list(networks)}
    s.config.write_text(json.dumps({**config, **more}))


def reload(s, *networks, **more):
    write(s, *networks, **more)
    done = s.cli("reload", text=True)
    assert done.returncode == 0, done.stderr


def log(s):
    return (s.dir / "daemon.log").read_text()


def inspected(s, name):
    return json.loads(s.cli("network", "inspect", name).stdout)[0]


HCN = {"Name": "hcn", "Type": "NAT", "SchemaVersion": {"Major": 2, "Minor": 0}, "Ipams": [
    {"Subnets": [{"IpAddressPrefix": "10.72.0.0/24",
                  "Routes": [{"NextHop": "10.72.0.1", "DestinationPrefix": "0.0.0.0/0"}]}]}]}
HNS = {"Name": "hns", "Type": "internal", "Subnets": [{"AddressPrefix": "10.73.0.0/24", "GatewayAddress": "10.73.0.9"}]}


def test_made_compared_and_gone():
    web = {"name": "web", "subnet": "10.70.0.0/24", "dns_search": ["one.example"], "labels": {"a": "b"}}
    with herd(web, HCN, HNS, {"name": "any"}) as s:
        names = listed(s)
        assert [n.split()[0] for n in names] == ["any", "hcn", "hns", "web"], names
        assert names[1:] == ["hcn NAT 10.72.0.0/24", "hns Internal 10.73.0.0/24", "web NAT 10.70.0.0/24"], names
        before = inspected(s, "any")
        assert inspected(s, "web")["Cowherd"]["Labels"] == ["a=b"]
        # By hand they do not go.
        removed = s.cli("network", "rm", "web", text=True)
        assert removed.returncode and "is the configuration's" in removed.stderr, removed
        a = box.start(s, box.sh(s, "cat /etc/resolv.conf; sleep 1000"), network="web", name="a")
        # One is new, one is gone, one changes below its endpoint, which takes nothing from it.
        reload(s, {**web, "dns_search": ["two.example"]}, HCN, {"name": "any"}, {"name": "new", "subnet": "10.74.0.0/24"})
        assert [n.split()[0] for n in listed(s)] == ["any", "hcn", "new", "web"]
        assert inspected(s, "any") == before, "what did not change is not touched"
        assert inspected(s, "web")["Dns"]["Search"] == ["two.example"]
        assert "two.example" in box.says(s, box.sh(s, "cat /etc/resolv.conf"), network="web")
        # What it is plugged into changes, and goes, when it has gone.
        reload(s, {"name": "web", "subnet": "10.75.0.0/24"})
        cow.wait_for(lambda: "network web: changes once nobody uses it: 1 endpoint is in it" in log(s), "the warning")
        assert listed(s) == ["web NAT 10.70.0.0/24"]
        reload(s)
        cow.wait_for(lambda: "network web: is not in the configuration any more" in log(s), "the other warning")
        reload(s, {"name": "web", "subnet": "10.75.0.0/24"})
        box.delete(s, a)
        cow.wait_for(lambda: listed(s) == ["web NAT 10.75.0.0/24"], "the change")
        # A mistake changes nothing.
        write(s, {"name": "web", "subnet": "10.76.0.0/24"}, {"name": "x", "color": "red"})
        refused = s.cli("reload", text=True)
        assert refused.returncode and refused.stderr.endswith("/plugins/net/networks/1/color: unknown key\n"), refused
        assert listed(s) == ["web NAT 10.75.0.0/24"]
        # SIGHUP is the same.
        write(s)
        s.process.send_signal(signal.SIGHUP)
        cow.wait_for(lambda: not listed(s), "no network")
        cow.wait_for(lambda: not [n for n in netbox.links() if n.startswith("ve")], "nothing in advance for it")


def test_after_sigkill():
    """What a killed supervisor left is compared with what the next one finds in its file."""
    with herd({"name": "old"}, {"name": "kept", "subnet": "10.70.0.0/24"}) as s:
        a = box.start(s, box.sh(s, "sleep 1000"), network="kept", ports=["8070:1"])
        before = inspected(s, "kept")
        s.connection.close()
        s.kill()
        write(s, {"name": "kept", "subnet": "10.70.0.0/24"})
        s.start()
        s.connection = s.client()
        assert listed(s) == ["kept NAT 10.70.0.0/24"]
        assert inspected(s, "kept") == before
        s.connection.close()
        s.kill()
        config = json.loads(s.config.read_text())
        del config["plugins"]["net"]
        s.config.write_text(json.dumps(config))
        s.start()
        s.connection = s.client()
        assert listed(s) == ["kept NAT 10.70.0.0/24"]
        box.delete(s, a)
        cow.wait_for(lambda: not listed(s), "the network to go with its last container")


def test_what_cannot_be():
    """One that is there by hand, or overlaps: an error of its own, which containers that want it are told."""
    with herd() as s:
        assert s.cli("network", "create", "--subnet", "10.70.0.0/24", "mine").returncode == 0
        reload(s, {"name": "mine"}, {"name": "over", "subnet": "10.70.0.0/16"}, {"name": "good"})
        assert [n.split()[0] for n in listed(s)] == ["good", "mine"]
        cow.wait_for(lambda: "network over: subnet 10.70.0.0/16 overlaps one of network mine" in log(s), "one error")
        cow.wait_for(lambda: "network mine: there is one that `cowherd network create` made" in log(s), "the other")
        message = box.refused(s, box.sh(s, "true"), network="over")
        assert "overlaps one of network mine" in message, message
        assert s.cli("network", "rm", "mine").returncode == 0
        reload(s)


def test_check():
    """Each mistake by its place; nothing is touched."""
    for networks, cause in (
            ({"name": "web"}, "/plugins/net/networks: networks: not a list"),
            (["web"], "/plugins/net/networks/0: not an object"),
            ([{"name": "we b"}], "/plugins/net/networks/0/name: a name has letters"),
            ([{"driver": "nat"}], "/plugins/net/networks/0: network: Name: missing"),
            ([{"name": "host"}], "/plugins/net/networks/0: network host: this name means something else"),
            ([{"name": "a"}, {"name": "b", "color": "red"}], "/plugins/net/networks/1/color: unknown key"),
            ([{"name": "a", "subnet": "10.0.0.0"}], "/plugins/net/networks/0/subnet: \"10.0.0.0\" is not a prefix"),
            ([{"name": "a", "subnet": ["10.0.0.0/24", "10.0.0.0/8"]}], "/plugins/net/networks/0/subnet: subnet 10.0.0.0/8: over"),
            ([{"name": "a", "subnet": "127.0.0.0/8"}], "127.0.0.0/8 cannot be a subnet"),
            ([{"name": "a", "subnet": "10.0.0.0/24", "gateway": "10.0.1.1"}], "/networks/0/gateway: \"10.0.1.1\" is not an address of one of the subnets"),
            ([{"name": "a", "driver": "cloud"}], "/networks/0/driver: \"cloud\" is not a type"),
            ([{"name": "a", "driver": "MacVLAN"}], "/networks/0: network a: type Transparent needs an adapter"),
            ([{"name": "a", "driver": "l2bridge"}], "/networks/0: network a: type L2Bridge needs an adapter"),
            ([{"name": "a", "mtu": 7}], "/networks/0/mtu: not from 68 to 65535"),
            ([{"name": "a", "dns": ["one"]}], "/networks/0/dns: \"one\" is not an address"),
            ([{"name": "a", "driver": "overlay", "internal": True}], "/networks/0/internal: Overlay cannot be that"),
            ([{"name": "a"}, {"name": "a"}], "/plugins/net/networks/1: \"a\" is there twice"),
            ([{"name": "a", "subnet": "10.0.0.0/8"}, {"name": "b", "subnet": "10.1.0.0/16"}],
             "/plugins/net/networks/1: network b: subnet 10.1.0.0/16 overlaps one of network a"),
            ([{**HCN, "Type": "Cloud"}], "/plugins/net/networks/0: network: Type: \"Cloud\""),
            ([{**HNS, "Subnets": [{"AddressPrefix": "x"}]}], "/plugins/net/networks/0: network: AddressPrefix: \"x\"")):
        with tempfile.NamedTemporaryFile("w", suffix=".json") as f:
            json.dump({"plugins": {"net": {"networks": networks}}}, f)
            f.flush()
            done = subprocess.run([cow.COWHERD, "check", f.name], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            assert done.returncode and cause in done.stderr, (networks, done.stderr)


def test_up():
    """`cowherd up`: a web server behind a proxy that are on different networks, and a job that looks at both."""
    busy = {"rootfs": "rootfs", "restart": "no", "stop_timeout_s": 1}
    config = {
        "plugins": {"net": {"networks": [
            {"name": "front", "subnet": ["10.80.0.0/24", "fd80::/64"], "dns": "192.0.2.2"},
            {"name": "back", "internal": True, "subnet": "10.81.0.0/24", "domain": "back.test"}]}},
        "containers": {
            "app": {**busy, "network": "back:alias=api",
                    "args": [*SHELL, "mkdir /www; echo app-says > /www/index.html; exec httpd -f -p 80 -h /www"],
                    "health": {"test": "wget -q -O /dev/null http://127.0.0.1/", "interval_s": 0.1, "retries": 100}},
            "proxy": {**busy, "networks": ["front", "back"], "ports": ["8080:80"], "depends_on": {"app": {"condition": "healthy"}},
                      "args": [*SHELL, "mkdir /web; wget -q -O /web/index.html http://api/; exec httpd -f -p 80 -h /web"],
                      "health": {"test": "wget -q -O /dev/null http://127.0.0.1/", "interval_s": 0.1, "retries": 100}},
            "look": {**busy, "network": "front", "depends_on": {"proxy": {"condition": "healthy"}},
                     "args": [*SHELL, "wget -q -O - http://proxy/; wget -q -T 2 -O - http://app/ || echo app is not seen from here"]},
        }}
    with netbox.World() as world, box.supervisor(config) as s:
        cow.wait_for(lambda: "look" in [c["name"] for c in s.connection.call("container.list", all=True)], "the job")
        s.connection.call("container.wait", container="look")
        out, err = box.output(s, "look")
        assert "app-says\n" in out and "app is not seen from here" in out, (out, err)
        assert world.ask("192.0.2.1", 8080, b"GET / HTTP/1.0\r\n\r\n").endswith(b"\r\n\r\napp-says\n")
        for c in "look", "proxy", "app":
            box.delete(s, c)


if __name__ == "__main__":
    cow.main([test_made_compared_and_gone, test_after_sigkill, test_what_cannot_be, test_check, test_up])
