"""P4: RunPodSandbox on the runtime alone and through the agent, with none, one, two interfaces."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchlib.cluster import BenchCluster
from benchlib.program import samples_of
from benchlib.rows import Comparison, Row
from benchlib.stats import added
from clusterlib.node import AGENT_SOCKET, RUNTIME_SOCKET

GROUP = "P4"
ALONE = "runtime alone"
# case: what the pod asks for, and how much the agent may add, in milliseconds
CASES = {
    "none": ("", 0.3),
    "one": ("blue", 1.6),
    "two": ("blue, lan", 2.1),
}
_SHOWN = {"none": "no interface", "one": "one interface", "two": "two interfaces"}
_RELAY_SOCKET = "/run/multinet/bench-runtime.sock"
_OTHER_AGENT_SOCKET = "/run/multinet/bench-agent.sock"
_WARM_UP = 2
_PAUSE_MILLISECONDS = 60
_SLACK_SECONDS = 300


class SandboxBench:
    """Plays the kubelet of a cluster's node, whose own is stopped."""

    def __init__(self, cluster: BenchCluster, program: Path) -> None:
        self._cluster = cluster
        self._program = program
        cluster.stop("kubelet")
        self._pods = {
            case: cluster.make_pod(f"bench-{case}", networks)
            for case, (networks, _) in CASES.items()
        }

    def in_turn(self, rounds: int, seconds: int) -> list[Row]:
        """Both ways, call by call, as the kubelet would see them."""
        cases = [self._case(ALONE, RUNTIME_SOCKET, "none")]
        cases += [self._case(case, AGENT_SOCKET, case) for case in CASES]
        took = self._run(cases, rounds, seconds, "milliseconds")
        rows = [Row(GROUP, "RunPodSandbox, runtime alone", took[ALONE])]
        for case in CASES:
            compared = Comparison(ALONE, "ms", added(took[case], took[ALONE]))
            what = f"RunPodSandbox, agent, {_SHOWN[case]}"
            rows.append(Row(GROUP, what, took[case], [compared]))
        return rows

    def agents_part(self, rounds: int, seconds: int) -> list[Row]:
        """The same with the runtime's own time taken out of each call.

        A relay before the runtime times it. The relay costs something too: what it costs by itself
        is what the agent's calls are compared with.
        """
        relay = {"listen": _RELAY_SOCKET, "runtime": f"unix://{RUNTIME_SOCKET}"}
        agent = self._cluster.start_agent_before(_OTHER_AGENT_SOCKET, f"unix://{_RELAY_SOCKET}")
        try:
            cases = [self._case("relay", _RELAY_SOCKET, "none")]
            cases += [self._case(case, _OTHER_AGENT_SOCKET, case) for case in CASES]
            took = self._run(cases, rounds, seconds, "outsideOfTheRuntime", relay)
        finally:
            agent.kill()
            agent.wait()
        rows = []
        for case, (_, at_most) in CASES.items():
            compared = Comparison(ALONE, "ms", added(took[case], took["relay"]), at_most)
            part = [a - b for a, b in zip(took[case], took["relay"], strict=True)]
            rows.append(Row(GROUP, f"  the agent's part, {_SHOWN[case]}", part, [compared]))
        return rows

    def _case(self, name: str, socket: str, pod: str) -> dict[str, Any]:
        request = {"config": sandbox_config(self._pods[pod])}
        return {"name": name, "endpoint": f"unix://{socket}", "request": request}

    def _run(
        self,
        cases: Sequence[dict[str, Any]],
        rounds: int,
        seconds: int,
        field: str,
        relay: dict[str, str] | None = None,
    ) -> dict[str, list[float]]:
        wanted = {
            "rounds": rounds,
            "seconds": seconds,
            "warmUp": _WARM_UP,
            "pauseMilliseconds": _PAUSE_MILLISECONDS,
            "cases": cases,
        }
        if relay:
            wanted["relay"] = relay
        command = self._cluster.inside([str(self._program)])
        took: dict[str, list[float]] = defaultdict(list)
        for line in samples_of(command, json.dumps(wanted), seconds + _SLACK_SECONDS):
            line["outsideOfTheRuntime"] = line["milliseconds"] - line.get("behindRelay", 0)
            took[line["case"]].append(line[field])
        return took


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
