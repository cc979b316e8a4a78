"""Manifests of the pods that the tests start."""

from __future__ import annotations

import json

IMAGE = "multinet.dev/busybox:dev"
REQUEST = "multinet.dev/networks"
WAIT_FOR_END = "trap 'exit 0' TERM; sleep 1000000 & wait"  # ends at once when it is told to


def pod(
    name: str,
    namespace: str,
    *,
    node: str = "",
    networks: str | None = None,
    script: str = WAIT_FOR_END,
    labels: dict[str, str] | None = None,
    spec: dict[str, object] | None = None,
) -> str:
    """A pod that runs a shell script; on one node (by the scheduler) when it is named."""
    metadata: dict[str, object] = {"name": name, "namespace": namespace, "labels": labels or {}}
    if networks is not None:
        metadata["annotations"] = {REQUEST: networks}
    body: dict[str, object] = {
        "terminationGracePeriodSeconds": 2,
        "containers": [
            {
                "name": "main",
                "image": IMAGE,
                "imagePullPolicy": "Never",
                "command": ["/bin/sh", "-c", script],
            }
        ],
    }
    if node:
        body["nodeSelector"] = {"kubernetes.io/hostname": node}
    return json.dumps(
        {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": body | (spec or {})}
    )
