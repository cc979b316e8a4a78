"""What a pod's Events say."""

from __future__ import annotations

from e2elib.cluster import Cluster


def wait_event(
    cluster: Cluster, namespace: str, name: str, *words: str, timeout: float = 40
) -> str:
    """A pod's Event that has all of the words."""

    def told() -> str:
        found = cluster.pod_events(name, namespace)
        fits = [line for line in found if all(word in line for word in words)]
        assert fits, "\n".join(found)
        return fits[0]

    return cluster.wait(told, timeout, f"an Event of {namespace}/{name} with {words}")
