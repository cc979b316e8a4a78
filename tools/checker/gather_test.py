"""What the programs print is read as it is meant."""

from __future__ import annotations

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from checker import gather  # noqa: E402
from checker.facts import Intent, Interface, InterfaceSet, Link, Sandbox  # noqa: E402

ADDRESS = {"family": "inet", "local": "10.20.0.65", "prefixlen": 16, "scope": "global"}
LOCAL = {"family": "inet6", "local": "fe80::1", "prefixlen": 64, "scope": "link"}


def test_only_links_with_our_alias_count() -> None:
    dump = [
        {"ifname": "eth0", "address": "aa:00:00:00:00:01", "addr_info": [ADDRESS]},
        {"ifname": "x", "ifalias": "someone:else:y", "addr_info": []},
        {"ifname": "net1", "ifalias": "multinet:i1:net1", "address": "0a:58:0a:14:00:41",
         "addr_info": [ADDRESS, LOCAL]},
    ]  # fmt: skip
    text = f"\n[]\n/run/netns/a\n{json.dumps(dump)}\n"
    assert gather.links("n1", text) == [
        Link("n1", "/run/netns/a", "net1", "0a:58:0a:14:00:41", "i1", "net1", ("10.20.0.65/16",))
    ]


def test_sandboxes_are_read_also_without_a_namespace() -> None:
    text = "s1 u1 SANDBOX_READY /var/run/netns/a\ns2 u2 SANDBOX_NOTREADY\n"
    assert gather.sandboxes("n1", text) == [
        Sandbox("n1", "s1", "u1", True, "/run/netns/a"),
        Sandbox("n1", "s2", "u2", False, ""),
    ]


def test_a_journal_record_is_read() -> None:
    interface = {"name": "net1", "network": "blue", "mac": "0a:58:0a:14:00:41",
                 "addresses": [{"address": "10.20.0.65/16", "gateway": "10.20.0.1"}]}  # fmt: skip
    record = {"pod": {"uid": "u1", "namespace": "default", "name": "web", "attempt": 0},
              "sandbox": "s1", "state": 3, "interfaces": [interface]}  # fmt: skip
    wanted = Interface("net1", "blue", ("10.20.0.65/16",), "0a:58:0a:14:00:41")
    assert gather.intents("n1", [{"id": "i1", "record": json.dumps(record)}]) == [
        Intent("n1", "i1", "u1", "default/web", "s1", "ATTACHED", (wanted,))
    ]


def test_a_set_is_read() -> None:
    entry = {"metadata": {"namespace": "default", "name": "web-u1"}, "nodeName": "n1",
             "pod": {"name": "web", "uid": "u1"},
             "interfaces": [{"name": "net1", "podNetworkName": "blue", "type": "VXLAN",
                             "ips": [{"address": "10.20.0.65/16", "family": "IPv4"}]}]}  # fmt: skip
    wanted = Interface("net1", "blue", ("10.20.0.65/16",))
    assert gather.interface_set(entry) == InterfaceSet(
        "default", "web-u1", "web", "u1", "n1", (wanted,)
    )
