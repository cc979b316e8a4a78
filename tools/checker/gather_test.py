"""What the programs print is read as it is meant."""

from __future__ import annotations

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from checker import gather  # noqa: E402
from checker.facts import (
    Device,
    Intent,
    Interface,
    InterfaceSet,
    Link,
    Network,
    Sandbox,
)  # noqa: E402

ADDRESS = {"family": "inet", "local": "10.20.0.65", "prefixlen": 16, "scope": "global"}
LOCAL = {"family": "inet6", "local": "fe80::1", "prefixlen": 64, "scope": "link"}


def test_only_links_with_our_alias_count() -> None:
    dump = [
        {"ifname": "eth0", "address": "aa:00:00:00:00:01", "addr_info": [ADDRESS]},
        {"ifname": "x", "ifalias": "someone:else:y", "addr_info": []},
        {"ifname": "net1", "ifalias": "multinet:i1:net1", "address": "0a:58:0a:14:00:41",
         "flags": ["UP", "LOWER_UP"], "mtu": 1450, "addr_info": [ADDRESS, LOCAL]},
        {"ifname": "net2", "ifalias": "multinet:i1:net2", "flags": ["NO-CARRIER", "UP"],
         "master": "mnb1"},
    ]  # fmt: skip
    text = f"\n[]\n/run/netns/a\n{json.dumps(dump)}\n"
    assert gather.links("n1", text) == [
        Link(
            "n1", "/run/netns/a", "net1", "0a:58:0a:14:00:41", "i1", "net1", ("10.20.0.65/16",),
            up=True, carrier=True, mtu=1450,
        ),
        Link("n1", "/run/netns/a", "net2", "", "i1", "net2", (), up=True, carrier=False,
             master="mnb1"),
    ]  # fmt: skip
    assert gather.devices("n1", text) == []


def test_routes_are_those_of_each_link_and_family() -> None:
    four = [{"dst": "10.20.0.0/16", "dev": "net1"}, {"dst": "10.9.0.1", "dev": "net1"},
            {"dst": "default", "dev": "eth0"}, {"dst": "default", "dev": "net1", "table": "101"}]  # fmt: skip
    six = [{"dst": "fd00:20::/64", "dev": "net1"}, {"dst": "default", "dev": "eth0"}]
    text = f"/run/netns/a\n{json.dumps(four)}\n/run/netns/a\n{json.dumps(six)}\n"
    found = gather.routes(text)
    assert found == {
        ("/run/netns/a", "net1"): {
            "10.20.0.0/16",
            "10.9.0.1/32",
            "0.0.0.0/0",
            "fd00:20::/64",
        },
        ("/run/netns/a", "eth0"): {"0.0.0.0/0", "::/0"},
    }
    link = {"ifname": "net1", "ifalias": "multinet:i1:net1"}
    (one,) = gather.links("n1", f"/run/netns/a\n{json.dumps([link])}\n", found)
    assert one.routes == found["/run/netns/a", "net1"]


def test_devices_of_networks_are_read() -> None:
    tunnel = {"ifname": "mnx1", "ifalias": "multinet-network:b1", "flags": ["UP"], "master": "mnb1",
              "linkinfo": {"info_kind": "vxlan", "info_data": {"id": 7, "port": 4799}}}  # fmt: skip
    bridge = {"ifname": "mnb1", "ifalias": "multinet-network:b1", "flags": [],
              "linkinfo": {"info_kind": "bridge", "info_data": {}}}  # fmt: skip
    text = f"/run/multinet/switch\n{json.dumps([tunnel, bridge])}\n"
    where = ("n1", "/run/multinet/switch")
    assert gather.devices("n1", text) == [
        Device(*where, "mnx1", "b1", "vxlan", True, "mnb1", 4799),
        Device(*where, "mnb1", "b1", "bridge", False),
    ]
    assert gather.links("n1", text) == []


def test_guarded_ports_are_read() -> None:
    ports = {"set": {"name": "ports", "type": "inet_service", "elem": [4799, 4800]}}
    peers = {"set": {"name": "peers4", "type": ["ipv4_addr", "inet_service"],
                     "elem": [{"concat": ["10.90.0.12", 53]}]}}  # fmt: skip
    empty = {"set": {"name": "others", "type": "inet_service"}}
    text = json.dumps({"nftables": [{"metainfo": {}}, ports, peers, empty]})
    assert gather.guarded(text) == {4799, 4800}
    assert gather.guarded("") == set()


def test_a_network_is_read() -> None:
    meta = {"name": "blue", "uid": "b1"}
    tunnel = {"metadata": meta, "spec": {"type": "VXLAN", "vxlan": {}},
              "status": {"conditions": [{"type": "Ready", "status": "True"}]}}  # fmt: skip
    assert gather.network(tunnel) == Network("blue", "b1", True, 4799)
    tunnel["spec"] = {"type": "VXLAN", "vxlan": {"port": 4800}}
    assert gather.network(tunnel).port == 4800
    bridge = {"metadata": meta, "spec": {"type": "Bridge"}}
    assert gather.network(bridge) == Network("blue", "b1", False, 0)


def test_sandboxes_are_read_also_without_a_namespace() -> None:
    text = "s1 u1 SANDBOX_READY /var/run/netns/a\ns2 u2 SANDBOX_NOTREADY\n"
    assert gather.sandboxes("n1", text) == [
        Sandbox("n1", "s1", "u1", True, "/run/netns/a"),
        Sandbox("n1", "s2", "u2", False, ""),
    ]


def test_a_journal_record_is_read() -> None:
    interface = {"name": "net1", "network": "blue", "networkUID": "b1", "type": "VXLAN",
                 "parent": "mnb1", "mtu": 1450, "mac": "0a:58:0a:14:00:41",
                 "addresses": [{"address": "10.20.0.65/16", "gateway": "10.20.0.1"}]}  # fmt: skip
    record = {"pod": {"uid": "u1", "namespace": "default", "name": "web", "attempt": 0},
              "sandbox": "s1", "state": 3, "interfaces": [interface]}  # fmt: skip
    wanted = Interface(
        "net1", "blue", ("10.20.0.65/16",), "0a:58:0a:14:00:41", 1450,
        type="VXLAN", network_uid="b1", parent="mnb1",
    )  # fmt: skip
    assert gather.intents("n1", [{"id": "i1", "record": json.dumps(record)}]) == [
        Intent("n1", "i1", "u1", "default/web", "s1", "ATTACHED", (wanted,))
    ]
    for rests, released in ((0, False), (5_000, True)):
        given_up = {**record, "sandbox": "", "state": 6, "restsUntil": rests}
        (intent,) = gather.intents("n1", [{"id": "i1", "record": json.dumps(given_up)}])
        assert (intent.state, intent.released) == ("ROLLBACK", released)


def test_a_set_is_read() -> None:
    entry = {"metadata": {"namespace": "default", "name": "web-u1"}, "nodeName": "n1",
             "pod": {"name": "web", "uid": "u1"},
             "interfaces": [{"name": "net1", "podNetworkName": "blue", "type": "VXLAN",
                             "linkState": "Up", "mtu": 1450,
                             "ips": [{"address": "10.20.0.65/16", "family": "IPv4"}]}]}  # fmt: skip
    wanted = Interface("net1", "blue", ("10.20.0.65/16",), "", 1450, "Up", "VXLAN")
    assert gather.interface_set(entry) == InterfaceSet(
        "default", "web-u1", "web", "u1", "n1", (wanted,)
    )
