"""The programs may do at the API server what they do, and nothing else.

Runs after all other end-to-end tests and needs no cluster: it looks at what the API servers of their
clusters wrote down. MULTINET_RECORDS names them.
"""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest
from e2elib import rights
from e2elib.rights import Right

_OURS = "multinet.dev"
_CONTROLLER, _AGENT = "multinet-controller", "multinet-nodeagent"
# What no test on a cluster needs, when it is needed, and which tests with a store of their own take it.
RARE: dict[Right, str] = {
    Right(_CONTROLLER, "", "events", "create"): "a write is refused: writer_fault_test",
    Right(_CONTROLLER, "", "events", "patch"): "and again: writer_fault_test",
    Right(_CONTROLLER, "", "nodes", "get"): "a Node's blocks are collected: writer_fault_test",
    Right(_CONTROLLER, "", "secrets", "update"): "a certificate is renewed: certificate_store_test",
    Right(_CONTROLLER, _OURS, "nodenetworksets", "delete"): "a Node is deleted: departed_test",
    Right(_CONTROLLER, _OURS, "networkidentifiers", "get"): "the answer to a create was lost",
    Right(_CONTROLLER, _OURS, "podnetworkpolicyslices", "get"): "the answer to a create was lost",
    Right(
        _CONTROLLER, _OURS, "podnetworkpolicies", "get"
    ): "a policy is gone, and the garbage collector wasn't faster: policies/reconcile_test",
    Right(
        _CONTROLLER, _OURS, "clusterpodnetworkpolicies", "get"
    ): "likewise of one of the cluster: policies/cluster_test",
    Right(
        _CONTROLLER, "", "namespaces", "get"
    ): "a policy of the cluster selects a namespace no more: policies/cluster_test",
    Right(_CONTROLLER, "", "services", "get"): "the answer to a create was lost",
    Right(
        _CONTROLLER, "discovery.k8s.io", "endpointslices", "get"
    ): "the answer to a create was lost",
    Right(_AGENT, _OURS, "ipblocks", "delete"): "a block was empty for long: addresses_test",
    Right(_AGENT, _OURS, "ipblocks", "get"): "the answer to a create was lost",
    Right(_AGENT, _OURS, "networkpeers", "get"): "the answer to a create was lost",
    Right(_AGENT, _OURS, "networkpeers", "update"): "the underlay's address changed",
}


def test_what_is_granted_is_used_and_the_other_way_round() -> None:
    names = os.environ.get("MULTINET_RECORDS", "").split()
    assert names, "set MULTINET_RECORDS to the names of the clusters whose tests ran"
    granted = rights.granted()
    used = rights.recorded(names)
    # A watch lists where the server can't stream, or the stream broke.
    used |= {replace(right, verb="list") for right in used if right.verb == "watch"}
    unused = granted - used - RARE.keys()
    assert not unused, "granted in deploy/rbac and never used:\n" + "\n".join(
        map(str, sorted(unused))
    )
    assert RARE.keys() <= granted, "rare, but not granted"


def test_an_audit_log_tells_what_was_allowed() -> None:
    def line(code: int, agent: str = "multinet-nodeagent", **what: str) -> str:
        reference = {"resource": "podnetworks", "apiGroup": "multinet.dev", **what}
        event = {"userAgent": agent, "verb": "get", "objectRef": reference}
        return json.dumps({**event, "responseStatus": {"code": code}})

    lines = [line(404), line(403, resource="nodes"), line(200, agent="kubelet", resource="pods")]
    lines += [line(200, subresource="status")]
    right = Right("multinet-nodeagent", "multinet.dev", "podnetworks", "get")
    status = Right("multinet-nodeagent", "multinet.dev", "podnetworks/status", "get")
    assert rights.used(lines) == {right, status}


def test_a_star_is_refused(tmp_path: Path) -> None:
    (tmp_path / "role.yaml").write_text(
        "kind: ClusterRole\nmetadata: {name: multinet-node}\n"
        "rules: [{apiGroups: [multinet.dev], resources: ['*'], verbs: [get]}]\n"
    )
    with pytest.raises(AssertionError, match="name each"):
        rights.granted(tmp_path)
