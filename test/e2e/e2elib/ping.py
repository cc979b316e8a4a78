"""Pings from a pod: whether there is an answer, and how many are lost while something happens."""

from __future__ import annotations

import re
from dataclasses import dataclass

from e2elib.cluster import Cluster

_COUNT = re.compile(r"(\d+) packets transmitted, (\d+) packets received")


@dataclass(frozen=True)
class Count:
    sent: int
    received: int

    @property
    def lost(self) -> int:
        return self.sent - self.received


def count(told: str) -> Count:
    found = _COUNT.search(told)
    assert found, f"ping said: {told}"
    return Count(int(found[1]), int(found[2]))


class Pinger:
    """A pod that pings."""

    def __init__(self, cluster: Cluster, namespace: str, pod: str) -> None:
        self.cluster = cluster
        self.namespace = namespace
        self.pod = pod

    def reaches(self, address: str, size: int = 56) -> bool:
        """One ping, with two seconds for the answer."""
        return self.cluster.pod_run_try(
            self.namespace, self.pod, "ping", "-c1", "-w2", "-s", str(size), address
        )[0] == 0  # fmt: skip

    def wait(self, address: str, timeout: float) -> None:
        what = f"pod {self.pod} to reach {address}"
        self.cluster.wait(lambda: self.reaches(address), timeout, what)

    def burst(self, *addresses: str, number: int = 12, interval: float = 0.25) -> list[Count]:
        """Pings all of them at once, and counts."""
        each = [
            f"ping -q -c {number} -i {interval} -W 2 {address} >/tmp/burst{index} 2>&1 &"
            for index, address in enumerate(addresses)
        ]
        files = " ".join(f"/tmp/burst{index}" for index in range(len(addresses)))
        told = self._shell(f"{' '.join(each)} wait; for f in {files}; do cat $f; echo ====; done")
        return [count(one) for one in told.split("====\n") if one.strip()]

    def start(self, address: str) -> None:
        """Pings five times a second until stop()."""
        self._shell(f"ping -q -i 0.2 {address} >/tmp/ping 2>&1 & echo $! >/tmp/ping.pid")

    def stop(self) -> Count:
        script = "kill -INT $(cat /tmp/ping.pid); while kill -0 $(cat /tmp/ping.pid); do :; done"
        return count(self._shell(f"{script} 2>/dev/null; cat /tmp/ping"))

    def _shell(self, script: str) -> str:
        return self.cluster.pod_run(self.namespace, self.pod, "sh", "-c", script)
