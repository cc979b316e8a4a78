"""Services on a network as the tests of them use them: pods that serve a page, a pod that asks for names,
what is made of a service."""

from __future__ import annotations

import json
import re
from typing import Any

from .cluster import Cluster
from .objects import address, interface_sets
from .pods import IMAGE, REQUEST, WAIT_FOR_END, pod

LABEL_SERVICE = "kubernetes.io/service-name"
SERVE = "echo $HOSTNAME > /tmp/index.html; touch /tmp/ready; httpd -p 8080 -h /tmp; " + WAIT_FOR_END
PROBE = {"exec": {"command": ["test", "-e", "/tmp/ready"]}, "periodSeconds": 1}
FOLLOWED_WITHIN = 40  # names are cached for a few seconds


def workload(kind: str, name: str, namespace: str, on: str, replicas: int, **more: Any) -> str:
    """A Deployment or StatefulSet of pods that serve a page on a network; they are Ready by a file."""
    template = {
        "metadata": {"labels": {"app": name}, "annotations": {REQUEST: on}},
        "spec": {
            "terminationGracePeriodSeconds": 2,
            "containers": [
                {
                    "name": "main",
                    "image": IMAGE,
                    "imagePullPolicy": "Never",
                    "command": ["/bin/sh", "-c", SERVE],
                    "ports": [{"name": "web", "containerPort": 8080}],
                    "readinessProbe": PROBE,
                }
            ],
        },
    }
    spec = {"replicas": replicas, "selector": {"matchLabels": {"app": name}}, "template": template}
    metadata = {"name": name, "namespace": namespace}
    return json.dumps(
        {"apiVersion": "apps/v1", "kind": kind, "metadata": metadata, "spec": spec | more}
    )


class Shop:
    """A namespace, and a pod in it that asks CoreDNS and is on no network."""

    def __init__(self, cluster: Cluster, namespace: str) -> None:
        self.cluster = cluster
        self.namespace = namespace
        cluster.apply(pod("asker", namespace))
        cluster.wait_pod_ready("asker", namespace)

    def ask(self, name: str, kind: str = "a") -> list[str]:
        """The lines of the answer; none where the name isn't known or has none of this kind."""
        full = f"{name}.{self.namespace}.svc.cluster.local."
        _, out, _ = self.cluster.pod_run_try(
            self.namespace, "asker", "nslookup", f"-type={kind}", full
        )
        return out.split("\n\n", 1)[-1].splitlines()  # without the server's own address

    def addresses(self, name: str, kind: str = "a") -> set[str]:
        found = (re.fullmatch(r"Address: (\S+)", line) for line in self.ask(name, kind))
        return {match[1] for match in found if match}

    def services(self, name: str) -> set[tuple[int, str]]:
        """Ports and targets of an SRV name."""
        found = (
            re.search(r"service = \d+ \d+ (\d+) (\S+?)\.?$", line) for line in self.ask(name, "srv")
        )
        return {(int(match[1]), match[2]) for match in found if match}

    def names_of(self, address: str) -> set[str]:
        """What an address is called (PTR)."""
        _, out, _ = self.cluster.pod_run_try(self.namespace, "asker", "nslookup", address)
        return set(re.findall(r"\.arpa\s+name = (\S+?)\.?$", out, re.M))

    def expect(self, name: str, addresses: set[str], kind: str = "a") -> None:
        def answered() -> bool:
            got = self.addresses(name, kind)
            assert got == addresses, f"{name} {kind}: {sorted(got)}, not {sorted(addresses)}"
            return True

        self.cluster.wait(answered, FOLLOWED_WITHIN, f"{name} to have its addresses")

    def told(self, name: str, kind: str = "Ready") -> dict[str, Any]:
        status = self.cluster.json("podnetworkservice", name, self.namespace).get("status", {})
        found = [one for one in status.get("conditions", []) if one["type"] == kind]
        return dict(found[0]) if found else {}

    def wait_reason(self, name: str, reason: str, kind: str = "Ready") -> dict[str, Any]:
        def right() -> dict[str, Any]:
            told = self.told(name, kind)
            assert told.get("reason") == reason, f"{name}: {told}"
            return told

        return self.cluster.wait(right, 20, f"{name} to be {kind} by {reason}")

    def rolled_out(self, what: str) -> None:
        self.cluster.kubectl(
            "rollout", "status", what, "-n", self.namespace, "--timeout=90s", "--watch"
        )

    def of_pods(self, app: str, family: str = "IPv4") -> set[str]:
        """The addresses on net1 of the pods that live."""
        live = {
            one["metadata"]["name"]
            for one in self.cluster.items("pods", self.namespace)
            if one["metadata"].get("labels", {}).get("app") == app
            and "deletionTimestamp" not in one["metadata"]
        }
        return {
            address(one["interfaces"][0], family)
            for name, one in interface_sets(self.cluster, self.namespace).items()
            if name in live
        }

    def slices(self, name: str) -> list[dict[str, Any]]:
        every = self.cluster.items("endpointslices", self.namespace)
        return [one for one in every if one["metadata"]["labels"].get(LABEL_SERVICE) == name]

    def endpoints(self, name: str) -> dict[str, dict[str, bool]]:
        """The conditions of each address."""
        return {
            endpoint["addresses"][0]: endpoint["conditions"]
            for one in self.slices(name)
            for endpoint in one.get("endpoints") or []
        }


def page_of(shop: Shop, client: str, url: str) -> str:
    """The name of the pod that answered, or in lower case why none did."""
    code, out, err = shop.cluster.pod_run_try(
        shop.namespace, client, "timeout", "5", "wget", "-qO-", url
    )
    if code == 0:
        return out.strip()
    return "timed out" if code in (124, 143) else err.strip().lower()
