"""The programs may do at the API server what they do, and nothing else.

Runs after all other end-to-end tests and needs no cluster: it looks at what the API servers of their
clusters wrote down. MULTINET_RECORDS names them.
"""

from __future__ import annotations

import json
import os

import pytest
from e2elib import rights
from e2elib.rights import Right

# Right of a path that no test on a cluster takes, and who does.
RARE: dict[Right, str] = {}


def test_what_is_granted_is_used_and_the_other_way_round() -> None:
    names = os.environ.get("MULTINET_RECORDS", "").split()
    assert names, "set MULTINET_RECORDS to the names of the clusters whose tests ran"
    granted = rights.granted()
    used = rights.recorded(names) & {Right(r.program, r.group, r.resource, r.verb) for r in granted}
    unused = granted - used - RARE.keys()
    assert not unused, "granted in deploy/rbac and never used:\n" + "\n".join(
        map(str, sorted(unused))
    )
    assert not RARE.keys() & used, "no longer rare"
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


def test_a_star_is_refused(tmp_path: "os.PathLike[str]") -> None:
    path = os.path.join(tmp_path, "role.yaml")
    with open(path, "w") as out:
        out.write(
            "kind: ClusterRole\nmetadata: {name: multinet-node}\n"
            "rules: [{apiGroups: [multinet.dev], resources: ['*'], verbs: [get]}]\n"
        )
    with pytest.raises(AssertionError, match="name each"):
        rights.granted(type(rights.RECORDS)(tmp_path))
