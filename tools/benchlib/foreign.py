"""Kinds of other systems, as far as their programs need them."""

from __future__ import annotations

from typing import Any


def definition(group: str, version: str, plural: str, kind: str) -> dict[str, Any]:
    """The CustomResourceDefinition of a namespaced kind whose objects may hold anything."""
    anything = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    served = {"name": version, "served": True, "storage": True}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"plural": plural, "singular": kind.lower(), "kind": kind},
            "versions": [{**served, "schema": {"openAPIV3Schema": anything}}],
        },
    }
