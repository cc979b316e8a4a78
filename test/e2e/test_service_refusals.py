"""What is refused of a service on a network, by the schema or the webhook: field, value, remedy."""

from __future__ import annotations

import json
from typing import Any

import pytest
from e2elib.admission import try_out
from e2elib.cluster import Cluster
from e2elib.objects import API, OUTSIDE, service

LABEL_PROXY = "service.kubernetes.io/service-proxy-name"
PORT = {"name": "http", "port": 80}
STICKY = {"clusterIP": None, "sessionAffinity": "ClientIP"}
BAD: dict[str, tuple[dict[str, Any], str]] = {
    "no selector": ({"selector": None}, "spec.selector: Required value"),
    "an empty selector": ({"selector": {}}, "spec.selector"),
    "17 pairs": ({"selector": {f"k{i}": "v" for i in range(17)}}, "spec.selector: Too many"),
    "no label's value": (
        {"selector": {"app": "-web"}},
        'spec.selector[app]: "-web" is nothing that a label can be; write',
    ),
    "NodePort": ({"type": "NodePort"}, 'spec.type: Unsupported value: "NodePort"'),
    "LoadBalancer": ({"type": "LoadBalancer"}, 'spec.type: Unsupported value: "LoadBalancer"'),
    "no address": ({"clusterIP": "10.1"}, "10.1 is neither None nor an address; write one such as"),
    "an address of another family": (
        {"clusterIP": "10.96.0.77", "ipFamilies": ["IPv6"]},
        "10.96.0.77 isn't of the first of ipFamilies, IPv6; write an address of that family",
    ),
    "an address of another range": (
        {"clusterIP": "192.0.2.1"},
        'spec.clusterIP: "192.0.2.1" is no address of this cluster\'s Services; write one of',
    ),
    "one stack of two families": (
        {"ipFamilies": ["IPv4", "IPv6"], "ipFamilyPolicy": "SingleStack"},
        "SingleStack is for one family, and ipFamilies has two; write PreferDualStack",
    ),
    "an unknown policy": ({"ipFamilyPolicy": "Both"}, 'Unsupported value: "Both"'),
    "no outside name": (OUTSIDE | {"externalName": None}, "write a name such as db.example.com"),
    "an empty outside name": (OUTSIDE | {"externalName": ""}, "spec.externalName"),
    "a wildcard": (
        OUTSIDE | {"externalName": "*.example.com"},
        "*.example.com is no name that DNS could have; write one such as db.example.com",
    ),
    "a long outside name": (OUTSIDE | {"externalName": "a" * 254}, "no name that DNS could have"),
    "an outside name of a ClusterIP": (
        {"externalName": "db.example.com"},
        "spec.externalName: Forbidden: is for type ExternalName alone; leave it out, or set type",
    ),
    "a selector of an outside name": (
        OUTSIDE | {"selector": {"app": "web"}},
        "spec.selector: Forbidden: says nothing with type ExternalName; leave it out",
    ),
    "None of an outside name": (
        OUTSIDE | {"clusterIP": "None"},
        "spec.clusterIP: Forbidden: says nothing with type ExternalName; leave it out",
    ),
    "families of an outside name": (
        OUTSIDE | {"ipFamilies": ["IPv4"]},
        "spec.ipFamilies: Forbidden: says nothing with type ExternalName; leave it out",
    ),
    "a policy of an outside name": (
        OUTSIDE | {"ipFamilyPolicy": "SingleStack"},
        "spec.ipFamilyPolicy: Forbidden: says nothing with type ExternalName; leave it out",
    ),
    "pods that aren't ready of an outside name": (
        OUTSIDE | {"publishNotReadyAddresses": True},
        "spec.publishNotReadyAddresses: Forbidden: says nothing with type ExternalName",
    ),
    "a family twice": ({"ipFamilies": ["IPv4", "IPv4"]}, "spec.ipFamilies[1]: Duplicate"),
    "neither ports nor None": (
        {"ports": None, "clusterIP": None},
        "at least one is needed; or set clusterIP: None",
    ),
    "port 0": ({"ports": [{"port": 0}]}, "spec.ports[0].port: Invalid value: 0"),
    "port 65536": ({"ports": [{"port": 65536}]}, "spec.ports[0].port: Invalid value: 65536"),
    "a port twice": (
        {"ports": [PORT, PORT | {"name": "b"}]},
        "a port stands twice with its protocol; leave one of them out",
    ),
    "a name twice": (
        {"ports": [PORT, PORT | {"port": 81}]},
        "a name stands twice; give each port a name of its own",
    ),
    "an unnamed one": ({"ports": [PORT, {"port": 81}]}, "each of several ports needs a name"),
    "a long target": ({"ports": [PORT | {"targetPort": "x" * 16}]}, "targetPort"),
    "a target of digits": (
        {"ports": [PORT | {"targetPort": "80-80"}]},
        "no port of a container; write 1 to 65535",
    ),
    "SCTP by a ClusterIP": (
        {"ports": [PORT | {"protocol": "SCTP"}], "clusterIP": None},
        "SCTP isn't served by a ClusterIP on a network; set clusterIP: None",
    ),
    "a protocol of spaces": (
        {"ports": [PORT | {"appProtocol": "a b"}]},
        'spec.ports[0].appProtocol: "a b" is no protocol\'s name; write',
    ),
    "a hold of 31 s": (
        {"termination": {"seconds": 31}},
        "spec.termination.seconds: Invalid value: 31",
    ),
    "a time for no hold": (
        {"termination": {"hold": "Off", "seconds": 3}},
        "seconds says how long, and hold Off says not at all",
    ),
    "a hold of another word": (
        {"termination": {"hold": "On"}},
        'spec.termination.hold: Unsupported value: "On"',
    ),
    "a distribution of another word": (
        {"trafficDistribution": "PreferFar"},
        'spec.trafficDistribution: Unsupported value: "PreferFar"',
    ),
    "a distribution of an outside name": (
        OUTSIDE | {"trafficDistribution": "PreferSameZone"},
        "spec.trafficDistribution: Forbidden: says nothing with type ExternalName; leave it out",
    ),
    "an affinity of another word": (
        {"clusterIP": None, "sessionAffinity": "Cookie"},
        'spec.sessionAffinity: Unsupported value: "Cookie"',
    ),
    "an affinity of a headless one": (
        {"sessionAffinity": "ClientIP"},
        "spec.sessionAffinity: Forbidden: is for a ClusterIP, and clients of a headless service choose",
    ),
    "an affinity of an outside name": (
        OUTSIDE | {"sessionAffinity": "ClientIP"},
        "spec.sessionAffinity: Forbidden: says nothing with type ExternalName; leave it out",
    ),
    "more of no affinity": (
        {"clusterIP": None, "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 5}}},
        "says something of an affinity that there isn't; leave it out, or set sessionAffinity: ClientIP",
    ),
    "an affinity of 0 s": (
        STICKY | {"sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 0}}},
        "spec.sessionAffinityConfig.clientIP.timeoutSeconds: Invalid value: 0",
    ),
    "an affinity of more than a day": (
        STICKY | {"sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 86401}}},
        "spec.sessionAffinityConfig.clientIP.timeoutSeconds: Invalid value: 86401",
    ),
    "a field that doesn't work yet": (
        {"externalTrafficPolicy": "Local"},
        'unknown field "spec.externalTrafficPolicy"',
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_refused(deployed: Cluster, case: str) -> None:
    spec, says = BAD[case]
    code, err = try_out(deployed, service("bad", "default", "stage", **spec))
    assert code != 0, "it was taken"
    assert says in err, err


def test_bad_names_and_labels_are_refused(deployed: Cluster) -> None:
    for name in ("9web", "web.stage"):
        code, err = try_out(deployed, service(name, "default", "stage"))
        assert code != 0
        assert f"{name} is no Service's name; write a letter" in err
    labelled = json.loads(service("web", "default", "stage"))
    labelled["metadata"]["labels"] = {LABEL_PROXY: "mine"}
    code, err = try_out(deployed, json.dumps(labelled))
    assert code != 0
    assert "leave it out" in err


def test_a_network_that_is_not_there_only_warns(deployed: Cluster) -> None:
    manifest = service("web", "default", "nowhere")
    code, err = try_out(deployed, manifest)
    assert code == 0, err
    assert '"nowhere" names no PodNetwork that is open to namespace "default"' in err
    assert json.loads(manifest)["apiVersion"] == API
