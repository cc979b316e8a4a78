"""Traffic between two pods that runs while something else is broken."""

from __future__ import annotations

import re

from e2elib.cluster import Cluster
from e2elib.pods import WAIT_FOR_END, pod

_PORT = 7000
_ANSWER = f"nc -ll -p {_PORT} -e cat & {WAIT_FOR_END}"
_PING = "ping -q -i 0.2 {address} >/tmp/ping 2>&1 & echo $! >/tmp/ping.pid"
_TALK = (
    "( while echo .; do sleep 0.2; done | nc {address} "
    f"{_PORT} >/tmp/echo; echo >/tmp/ended ) >/dev/null 2>&1 &"
)
_COUNT = "wc -l </tmp/echo; test ! -e /tmp/ended"
_SUMMARY = (
    "kill -INT $(cat /tmp/ping.pid); while kill -0 $(cat /tmp/ping.pid); do :; done; cat /tmp/ping"
)


class Bystanders:
    """Two pods of a network, one on each of the first two nodes, that ping each other and keep one
    TCP connection open from start() to assert_undisturbed()."""

    def __init__(self, cluster: Cluster, namespace: str, network: str) -> None:
        self.cluster = cluster
        self.namespace = namespace
        self.network = network
        self._before: dict[str, tuple[object, ...]] = {}

    def start(self) -> None:
        for name, node, script in (
            ("talks", self.cluster.nodes[0], WAIT_FOR_END),
            ("answers", self.cluster.nodes[1], _ANSWER),
        ):
            self.cluster.apply(
                pod(name, self.namespace, node=node, networks=self.network, script=script)
            )
        for name in ("talks", "answers"):
            self.cluster.wait_pod_ready(name, self.namespace)
            self._before[name] = identity(self.cluster, name, self.namespace)
        address = self._address("answers")
        for script in (_PING, _TALK):
            self._run(script.format(address=address))
        self.wait_traffic()

    def wait_traffic(self, timeout: float = 10) -> None:
        """Waits until the connection carries more than it has so far."""
        before = self.cluster.wait(self._echoed, timeout, "word from the bystanders")

        def more() -> bool:
            return self._echoed() > before

        self.cluster.wait(more, timeout, "the bystanders' TCP connection to go on")

    def assert_undisturbed(self) -> None:
        """No container was restarted, no packet lost, the connection still open."""
        self.wait_traffic()
        for name, before in self._before.items():
            assert identity(self.cluster, name, self.namespace) == before, f"pod {name} changed"
        told = self._run(_SUMMARY)
        found = re.search(r"(\d+) packets transmitted, (\d+) packets received", told)
        assert found, f"ping said: {told}"
        sent, received = int(found[1]), int(found[2])
        assert sent - received <= 1, f"of {sent} pings {sent - received} weren't answered"

    def _run(self, script: str) -> str:
        return self.cluster.pod_run(self.namespace, "talks", "sh", "-c", script)

    def _echoed(self) -> int:
        return int(self._run(_COUNT))

    def _address(self, name: str) -> str:
        for entry in self.cluster.items("podinterfacesets", self.namespace):
            if entry["pod"]["name"] == name:
                return str(entry["interfaces"][0]["ips"][0]["address"]).split("/")[0]
        raise AssertionError(f"pod {self.namespace}/{name} has no PodInterfaceSet")


def identity(cluster: Cluster, name: str, namespace: str) -> tuple[object, ...]:
    """What must not change while a pod runs undisturbed."""
    status = cluster.json("pod", name, namespace)["status"]
    container = status["containerStatuses"][0]
    addresses = tuple(entry["ip"] for entry in status["podIPs"])
    return container["restartCount"], container["containerID"], addresses
