"""A load balancer controller as clouds have one, without the cloud: it puts its finalizer on Services of its
class, gives them addresses, and cleans up when they go or become another type."""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from typing import Any

from .cluster import Cluster

FINALIZER = "example.com/load-balancer-cleanup"


class Balancer:
    """Runs within `with`; as an admin whom Multinet's policies bind like anybody else."""

    def __init__(self, cluster: Cluster, addresses: Sequence[str], its_class: str = "") -> None:
        self.cluster = cluster
        self.its_class = its_class
        self.cleans_up = True  # False: its cloud hangs
        self.refused: list[str] = []  # what the API server said to it, but for races
        self._free = list(addresses)
        self._given: dict[str, str] = {}  # by UID
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="balancer", daemon=True)

    def __enter__(self) -> Balancer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.cleans_up = True
        self._stop.set()
        self._thread.join(60)
        for service in self._services():  # else their namespace would wait for ever
            if FINALIZER in service["metadata"].get("finalizers", []):
                self._let_go(service)

    def given(self, namespace: str, name: str) -> str | None:
        made = self.cluster.json("service", name, namespace)
        return self._given.get(made["metadata"]["uid"])

    def _run(self) -> None:
        while not self._stop.wait(0.3):  # how often it looks, as others watch
            self._turn()

    def _services(self) -> list[dict[str, Any]]:
        code, out, err = self.cluster.kubectl_try("get", "services", "-A", "-o", "json")
        if code != 0:
            self._note(err)
            return []
        return list(json.loads(out)["items"])

    def _turn(self) -> None:
        for service in self._services():
            self._reconcile(service)

    def _reconcile(self, service: dict[str, Any]) -> None:
        metadata, spec = service["metadata"], service["spec"]
        finalizers = metadata.get("finalizers", [])
        wanted = (
            spec["type"] == "LoadBalancer"
            and spec.get("loadBalancerClass", "") == self.its_class
            and "deletionTimestamp" not in metadata
        )
        if wanted and FINALIZER not in finalizers:
            self._patch(service, {"metadata": {"finalizers": [*finalizers, FINALIZER]}})
        elif wanted and not service["status"].get("loadBalancer", {}).get("ingress"):
            if metadata["uid"] not in self._given and self._free:
                self._given[metadata["uid"]] = self._free.pop(0)
            if metadata["uid"] in self._given:
                self._publish(service, [{"ip": self._given[metadata["uid"]]}])
        elif not wanted and FINALIZER in finalizers and self.cleans_up:
            if service["status"].get("loadBalancer", {}).get("ingress"):
                self._publish(service, [])
            if metadata["uid"] in self._given:
                self._free.append(self._given.pop(metadata["uid"]))
            self._let_go(service)

    def _let_go(self, service: dict[str, Any]) -> None:
        finalizers = service["metadata"]["finalizers"]
        left = [one for one in finalizers if one != FINALIZER]
        self._patch(service, {"metadata": {"finalizers": left}})

    def _publish(self, service: dict[str, Any], ingress: list[dict[str, Any]]) -> None:
        status = {"status": {"loadBalancer": {"ingress": ingress}}}
        self._patch(service, status, "--subresource=status")

    def _patch(self, service: dict[str, Any], patch: dict[str, Any], *more: str) -> None:
        metadata = service["metadata"]
        guarded = {"uid": metadata["uid"], "resourceVersion": metadata["resourceVersion"]}
        body = patch | {"metadata": patch.get("metadata", {}) | guarded}
        where = ["-n", metadata["namespace"], "service", metadata["name"]]
        arguments = ["patch", *where, "--type=merge", *more, "-p", json.dumps(body)]
        code, _, err = self.cluster.kubectl_try(*arguments)
        if code != 0:
            self._note(err)

    def _note(self, err: str) -> None:
        if not any(word in err for word in ("NotFound", "Operation cannot be fulfilled")):
            self.refused.append(err)
