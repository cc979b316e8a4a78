"""What a pod's Events say."""

from __future__ import annotations

from e2elib.cluster import Cluster


def events(cluster: Cluster, namespace: str, name: str) -> list[str]:
    """A pod's Events as `reason: message`."""
    out = cluster.kubectl(
        "get", "events", "-n", namespace, f"--field-selector=involvedObject.name={name}",
        "-o", 'jsonpath={range .items[*]}{.reason}: {.message}{"\\n"}{end}',
    )  # fmt: skip
    return out.splitlines()


def wait_event(
    cluster: Cluster, namespace: str, name: str, *words: str, timeout: float = 40
) -> str:
    """A pod's Event that has all of the words."""

    def told() -> str:
        found = events(cluster, namespace, name)
        fits = [line for line in found if all(word in line for word in words)]
        assert fits, "\n".join(found)
        return fits[0]

    return cluster.wait(told, timeout, f"an Event of {namespace}/{name} with {words}")
