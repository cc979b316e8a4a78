"""What Multinet's programs may do at the API server, and what they did."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

from e2elib.cluster import REPOSITORY, Layout  # it finds clusterlib
from clusterlib.controlplane import audit_logs  # noqa: E402

RECORDS = REPOSITORY / "build" / "e2e-artifacts" / "rights"
ROLES = {
    "multinet-controller": "multinet-controller",
    "multinet-webhook": "multinet-webhook",
    "multinet-node": "multinet-nodeagent",
}
"""A role of ours, cluster-wide or not, and the program that has it."""


@dataclass(frozen=True, order=True)
class Right:
    """One verb on one resource."""

    program: str
    group: str
    resource: str
    """With its subresource: `podnetworks/status`."""
    verb: str

    def __str__(self) -> str:
        return f"{self.program}: {self.verb} {self.resource}{'.' * bool(self.group)}{self.group}"


def granted(directory: Path = REPOSITORY / "deploy" / "rbac") -> set[Right]:
    """What the roles in `directory` give to our programs."""
    rights: set[Right] = set()
    for path in sorted(directory.glob("*.yaml")):
        for role in yaml.safe_load_all(path.read_text()):
            program = ROLES.get(role["metadata"]["name"])
            if program and role["kind"] in ("Role", "ClusterRole"):
                rights.update(_rights_of(program, role))
    return rights


def _rights_of(program: str, role: dict[str, list[dict[str, list[str]]]]) -> Iterator[Right]:
    for rule in role["rules"]:
        for group in rule["apiGroups"]:
            for resource in rule["resources"]:
                assert "*" not in (group, resource, *rule["verbs"]), f"{program}: name each: {rule}"
                for verb in rule["verbs"]:
                    yield Right(program, group, resource, verb)


def used(lines: Iterable[str]) -> set[Right]:
    """What an audit log says that our programs asked for and got."""
    rights = set()
    for line in lines:
        event = json.loads(line)
        program = event.get("userAgent", "")
        what = event.get("objectRef")
        # What was refused says nothing of what is needed; a 404 or a 409 was allowed.
        if (
            program in ROLES.values()
            and what
            and event.get("responseStatus", {}).get("code") != 403
        ):
            resource = "/".join(filter(None, (what["resource"], what.get("subresource"))))
            rights.add(Right(program, what.get("apiGroup", ""), resource, event["verb"]))
    return rights


def record(name: str) -> None:
    """Keeps what the programs of the cluster `name` did, for the test that looks at all clusters."""
    rights: set[Right] = set()
    for log in audit_logs(Layout(name)):
        with log.open() as lines:
            rights |= used(lines)
    RECORDS.mkdir(parents=True, exist_ok=True)
    _file(name).write_text(json.dumps([vars(right) for right in sorted(rights)], indent=1))


def forget(name: str) -> None:
    _file(name).unlink(missing_ok=True)


def recorded(names: Iterable[str]) -> set[Right]:
    """Of all these clusters; one that left no record is an error."""
    rights: set[Right] = set()
    for name in names:
        assert _file(name).exists(), (
            f"read {_file(name)}: cluster {name} left no record; run all end-to-end tests first:"
            " tools/test release/e2e"
        )
        rights.update(Right(**one) for one in json.loads(_file(name).read_text()))
    return rights


def _file(name: str) -> Path:
    return RECORDS / f"{name}.json"
