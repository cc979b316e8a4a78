"""P4: RunPodSandbox on the runtime alone and through the agent, with none, one, two interfaces."""

from __future__ import annotations

import json
import statistics
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchlib import steps, storm
from benchlib.cluster import BenchCluster
from benchlib.program import samples_of
from benchlib.rows import Comparison, Row
from benchlib.stats import Estimate, added, estimate, factor, percentile
from clusterlib.node import AGENT_SOCKET, AGENT_STATE, RUNTIME_SOCKET

GROUP = "P4"
ALONE = "runtime alone"
# case: what the pod asks for
CASES = {"none": "", "one": "blue", "two": "blue, lan"}
NONE_AT_MOST = 0.35
"""Milliseconds that the agent may add to a pod that asks for nothing."""
P99_AT_MOST = 1.05
STOP_AT_MOST = 1.0
_SHOWN = {"none": "no interface", "one": "one interface", "two": "two interfaces"}
_RELAY_SOCKET = "/run/multinet/bench-runtime.sock"
# A commit, then so many links; "none" is the commit alone.
_FLOORS = {"none": [], "one": ["veth"], "two": ["veth", "macvlan"]}
NETLINK_AT_MOST = 1.3
"""Times what bare netlink takes for the same links."""
_OTHER_AGENT_SOCKET = "/run/multinet/bench-agent.sock"
_WARM_UP = 2
_PAUSE_MILLISECONDS = 60
_SLACK_SECONDS = 300


@dataclass
class AgentsPart:
    """Of one call, without the runtime: what it takes, of what it consists, what a stop takes."""

    rows: list[Row] = field(default_factory=list)
    stops: list[Row] = field(default_factory=list)
    steps: dict[str, dict[str, float]] = field(default_factory=dict)


class SandboxBench:
    """Plays the kubelet of a cluster's node, whose own is stopped."""

    def __init__(self, cluster: BenchCluster, program: Path) -> None:
        self._cluster = cluster
        self._program = program
        cluster.stop("kubelet")
        # All of it now: without a kubelet the webhook is out of its Service after 40 s.
        cluster.make_networks(storm.manifests())
        asked = ", ".join(storm.NETWORKS)
        self._storm = cluster.make_pods({f"storm-{i}": asked for i in range(storm.PODS)})
        pods = cluster.make_pods({_name(case): asked for case, asked in CASES.items()})
        self._pods = {case: pods[_name(case)] for case in CASES}

    def in_turn(self, rounds: int, seconds: int) -> list[Row]:
        """Both ways, call by call, as the kubelet would see them."""
        cases = [self._case(ALONE, RUNTIME_SOCKET, "none")]
        cases += [self._case(case, AGENT_SOCKET, case) for case in CASES]
        took = self._run(cases, rounds, seconds)["milliseconds"]
        rows = [Row(GROUP, "RunPodSandbox, runtime alone", took[ALONE])]
        for case in CASES:
            ratio = percentile(took[case], 0.99) / percentile(took[ALONE], 0.99)
            compared = [
                Comparison(ALONE, "ms", added(took[case], took[ALONE])),
                Comparison("its P99", "x", Estimate(ratio, ratio, ratio), P99_AT_MOST),
            ]
            what = f"RunPodSandbox, agent, {_SHOWN[case]}"
            rows.append(Row(GROUP, what, took[case], compared))
        return rows

    def agents_part(self, rounds: int, seconds: int, bars: Mapping[str, float]) -> AgentsPart:
        """The same with the runtime's own time taken out of each call.

        A relay before the runtime times it. The relay costs something too: what it costs by itself
        is what the agent's calls are compared with. `bars`: how much the agent may add. In turn
        with the agent the floor: a commit and bare netlink, and nothing else.
        """
        relay = {"listen": _RELAY_SOCKET, "runtime": f"unix://{RUNTIME_SOCKET}"}
        floors = [
            {
                "listen": _floor_socket(case),
                "runtime": f"unix://{_RELAY_SOCKET}",
                "commits": f"{AGENT_STATE}/bench-floor-{case}.db",
                "links": links,
            }
            for case, links in _FLOORS.items()
        ]
        agent = self._cluster.start_agent_before(_OTHER_AGENT_SOCKET, f"unix://{_RELAY_SOCKET}")
        try:
            cases = [self._case("relay", _RELAY_SOCKET, "none")]
            cases += [self._case(case, _OTHER_AGENT_SOCKET, case) for case in CASES]
            cases += [self._case(_floor(case), _floor_socket(case), "none") for case in _FLOORS]
            took = self._run(cases, rounds, seconds, {"relay": relay, "floors": floors})
        finally:
            agent.kill()
            agent.wait()
        traced = steps.medians(self._cluster.agent_log())
        part = AgentsPart()
        commit = _own(took["outside"], _floor("none"))
        part.rows.append(_floor_row("one synced commit", commit))
        for case in CASES:
            run, stop = (_own(took[field], case) for field in ("outside", "stopOutside"))
            compared = [Comparison(ALONE, "ms", estimate(run), bars.get(case))]
            if _FLOORS[case]:
                floor = _own(took["outside"], _floor(case))
                part.rows.append(_floor_row(_SHOWN[case], floor))
                bar = round(_bar_at_pace(commit, floor), 2)
                compared.append(Comparison("the same, by the floor", "ms", estimate(run), bar))
                compared.append(Comparison("the floor", "x", factor(run, floor)))
            part.rows.append(Row(GROUP, f"  the agent's part, {_SHOWN[case]}", run, compared))
            compared = Comparison(ALONE, "ms", estimate(stop), STOP_AT_MOST)
            what = f"  the agent's part of a stop, {_SHOWN[case]}"
            part.stops.append(Row("P7", what, stop, [compared]))
            own = traced.get(_name(case), {})
            part.steps[_SHOWN[case]] = steps.with_rest(own, statistics.median(run))
        return part

    def storm(self, rounds: int, seconds: int) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        """All pods of a node at once, on the runtime alone and through the agent, in turn; and the
        same while the control plane stands still."""
        pods = list(self._storm.values())
        plain = [
            {**pod, "metadata": {"name": f"plain-{i}", "namespace": "default", "uid": f"plain-{i}"}}
            for i, pod in enumerate(pods)
        ]
        cases = [
            _case_of(storm.ALONE, RUNTIME_SOCKET, plain),
            _case_of(storm.FLOOR, _floor_socket("storm"), plain),
            _case_of(storm.AGENT, AGENT_SOCKET, pods),
        ]
        floor = {
            "listen": _floor_socket("storm"),
            "runtime": f"unix://{RUNTIME_SOCKET}",
            "links": storm.LINKS,
            "pods": storm.PODS,
        }
        more = {"storm": True, "warmUp": 0, "floors": [floor]}
        usual = self._lines(cases, rounds, seconds, more)
        with self._cluster.control_plane_held():
            return usual, self._lines(cases, rounds, seconds, more)

    def _case(self, name: str, socket: str, pod: str) -> dict[str, Any]:
        return _case_of(name, socket, [self._pods[pod]])

    def _run(
        self,
        cases: Sequence[dict[str, Any]],
        rounds: int,
        seconds: int,
        more: Mapping[str, Any] | None = None,
    ) -> dict[str, dict[str, list[float]]]:
        """By figure and by case, a value a round."""
        took: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
        for line in self._lines(cases, rounds, seconds, more or {}):
            case = line["case"]
            took["milliseconds"][case].append(line["milliseconds"])
            took["outside"][case].append(line["milliseconds"] - line.get("behindRelay", 0))
            behind = line.get("stopBehindRelay", 0)
            took["stopOutside"][case].append(line["stopMilliseconds"] - behind)
        return took

    def _lines(
        self,
        cases: Sequence[dict[str, Any]],
        rounds: int,
        seconds: int,
        more: Mapping[str, Any],
    ) -> list[dict[str, Any]]:
        wanted = {
            "rounds": rounds,
            "seconds": seconds,
            "warmUp": _WARM_UP,
            "pauseMilliseconds": _PAUSE_MILLISECONDS,
            "cases": cases,
            **more,
        }
        command = self._cluster.inside([str(self._program)])
        return samples_of(command, json.dumps(wanted), seconds + _SLACK_SECONDS)


def _name(case: str) -> str:
    """The pod's."""
    return f"bench-{case}"


def _floor(case: str) -> str:
    """The case that is the floor of another."""
    return f"floor of {case}"


def _floor_socket(case: str) -> str:
    return f"/run/multinet/bench-floor-{case}.sock"


def _case_of(name: str, socket: str, pods: Sequence[dict[str, Any]]) -> dict[str, Any]:
    requests = [{"config": sandbox_config(pod)} for pod in pods]
    return {"name": name, "endpoint": f"unix://{socket}", "requests": requests}


def _floor_row(what: str, took: list[float]) -> Row:
    compared = [Comparison(ALONE, "ms", estimate(took))]
    return Row(GROUP, f"  the floor at the pods' pace, {what}", took, compared)


def _bar_at_pace(commit: Sequence[float], floor: Sequence[float]) -> float:
    """What the agent may add, from what commit and netlink take between two sandboxes."""
    links = statistics.median([a - b for a, b in zip(floor, commit, strict=True)])
    return NONE_AT_MOST + statistics.median(commit) + NETLINK_AT_MOST * links


def _own(took: Mapping[str, list[float]], case: str) -> list[float]:
    """Round by round, without what the relay before the runtime costs by itself."""
    return [a - b for a, b in zip(took[case], took["relay"], strict=True)]


def sandbox_config(pod: dict[str, Any]) -> dict[str, Any]:
    """What the kubelet sends of a pod (pkg/kubelet/kuberuntime, generatePodSandboxConfig)."""
    metadata = pod["metadata"]
    name, namespace, uid = metadata["name"], metadata["namespace"], metadata["uid"]
    domain = "cluster.local"
    return {
        "metadata": {"name": name, "namespace": namespace, "uid": uid, "attempt": 0},
        "hostname": name,
        "log_directory": f"/var/log/pods/{namespace}_{name}_{uid}",
        "dns_config": {
            "servers": ["10.92.0.10"],
            "searches": [f"{namespace}.svc.{domain}", f"svc.{domain}", domain],
            "options": ["ndots:5"],
        },
        "labels": {
            **metadata.get("labels", {}),
            "io.kubernetes.pod.name": name,
            "io.kubernetes.pod.namespace": namespace,
            "io.kubernetes.pod.uid": uid,
        },
        "annotations": {
            **metadata.get("annotations", {}),
            "kubernetes.io/config.seen": datetime.now(UTC).isoformat(),
            "kubernetes.io/config.source": "api",
        },
        "linux": {
            "security_context": {
                "namespace_options": {"pid": 1, "userns_options": {"mode": 2}},
                "seccomp": {},
            },
            "overhead": {},
            "resources": {"cpu_period": 100000, "cpu_shares": 2},
        },
    }
