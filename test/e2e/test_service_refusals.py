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
NODE_PORT: dict[str, Any] = {"clusterIP": None, "type": "NodePort"}
BALANCED: dict[str, Any] = {"clusterIP": None, "type": "LoadBalancer"}
STICKY = {"clusterIP": None, "sessionAffinity": "ClientIP"}
BAD: dict[str, tuple[dict[str, Any], str]] = {
    "no selector": ({"selector": None}, "spec.selector: Required value"),
    "an empty selector": ({"selector": {}}, "spec.selector"),
    "17 pairs": ({"selector": {f"k{i}": "v" for i in range(17)}}, "spec.selector: Too many"),
    "no label's value": (
        {"selector": {"app": "-web"}},
        'spec.selector[app]: "-web" is nothing that a label can be; write',
    ),
    "a type of another spelling": (
        {"type": "Nodeport"},
        'spec.type: Unsupported value: "Nodeport"',
    ),
    "None with NodePort": ({"type": "NodePort"}, "None is for type ClusterIP alone; leave it out"),
    "None with LoadBalancer": ({"type": "LoadBalancer"}, "None is for type ClusterIP alone"),
    "a node port of a ClusterIP": (
        {"ports": [PORT | {"nodePort": 30080}]},
        "nodePort is for types NodePort and LoadBalancer; leave it out, or set type: NodePort",
    ),
    "node port 65536": (
        NODE_PORT | {"ports": [PORT | {"nodePort": 65536}]},
        "spec.ports[0].nodePort: Invalid value: 65536",
    ),
    "a node port twice": (
        NODE_PORT
        | {"ports": [PORT | {"nodePort": 30080}, {"name": "b", "port": 81, "nodePort": 30080}]},
        "a nodePort stands twice with its protocol; give each port one of its own",
    ),
    "SCTP by a node port": (
        NODE_PORT | {"ports": [PORT | {"protocol": "SCTP"}]},
        "SCTP isn't served by a ClusterIP on a network",
    ),
    "an external policy of a ClusterIP": (
        {"externalTrafficPolicy": "Local"},
        "is for types NodePort and LoadBalancer; leave it out, or set type: NodePort",
    ),
    "an external policy of another word": (
        NODE_PORT | {"externalTrafficPolicy": "Global"},
        'spec.externalTrafficPolicy: Unsupported value: "Global"',
    ),
    "a class of a NodePort": (
        NODE_PORT | {"loadBalancerClass": "example.com/lb"},
        "spec.loadBalancerClass: Forbidden: is for type LoadBalancer alone; leave it out",
    ),
    "ranges of a NodePort": (
        NODE_PORT | {"loadBalancerSourceRanges": ["192.0.2.0/24"]},
        "spec.loadBalancerSourceRanges: Forbidden: is for type LoadBalancer alone",
    ),
    "allocation of a NodePort": (
        NODE_PORT | {"allocateLoadBalancerNodePorts": False},
        "spec.allocateLoadBalancerNodePorts: Forbidden: is for type LoadBalancer alone",
    ),
    "a class that is no name": (
        BALANCED | {"loadBalancerClass": "a b"},
        "a b is no class's name; write one such as example.com/internal",
    ),
    "a range that is none": (
        BALANCED | {"loadBalancerSourceRanges": ["192.0.2.1"]},
        "192.0.2.1 is no prefix of addresses; write one such as 192.0.2.0/24",
    ),
    "a range with bits of a host": (
        BALANCED | {"loadBalancerSourceRanges": ["192.0.2.1/24"]},
        "192.0.2.1/24 is no prefix of addresses",
    ),
    "a range twice": (
        BALANCED | {"loadBalancerSourceRanges": ["192.0.2.0/24", "192.0.2.0/24"]},
        "spec.loadBalancerSourceRanges[1]: Duplicate value",
    ),
    "65 ranges": (
        BALANCED | {"loadBalancerSourceRanges": [f"10.{i}.0.0/16" for i in range(65)]},
        "spec.loadBalancerSourceRanges: Too many: 65: must have at most 64 items",
    ),
    "reach of a headless one": (
        {"reach": "Cluster"},
        "spec.reach: Forbidden: is for a ClusterIP, and names of a headless service lead to",
    ),
    "reach of another word": (
        {"clusterIP": None, "reach": "World"},
        'spec.reach: Unsupported value: "World"',
    ),
    "reach of an outside name": (
        OUTSIDE | {"reach": "Cluster"},
        "spec.reach: Forbidden: says nothing with type ExternalName; leave it out",
    ),
    "a check of an outside name": (
        OUTSIDE | {"healthCheck": {"tcpSocket": {"port": 80}}},
        "spec.healthCheck: Forbidden: says nothing with type ExternalName; leave it out",
    ),
    "a check of nothing": (
        {"healthCheck": {}},
        "write one of httpGet, tcpSocket and grpc, with a port",
    ),
    "a check of gRPC and a socket": (
        {"healthCheck": {"grpc": {"port": 80}, "tcpSocket": {"port": 80}}},
        "write one of httpGet, tcpSocket and grpc, with a port",
    ),
    "a check of gRPC without a port": (
        {"healthCheck": {"grpc": {"service": "shop.v1.Cart"}}},
        "spec.healthCheck.grpc.port: Required value: write a number, or the name of a container",
    ),
    "a check of a service of no name": (
        {"healthCheck": {"grpc": {"port": 80, "service": "the cart"}}},
        "no service's name; write one such as shop.v1.Cart, or leave it out",
    ),
    "a check of an unknown scheme": (
        {"healthCheck": {"httpGet": {"port": 80, "scheme": "https"}}},
        'spec.healthCheck.httpGet.scheme: Unsupported value: "https"',
    ),
    "a check of both": (
        {"healthCheck": {"httpGet": {"port": 80}, "tcpSocket": {"port": 80}}},
        "write one of httpGet, tcpSocket and grpc, with a port",
    ),
    "a check without a port": (
        {"healthCheck": {"httpGet": {"path": "/"}}},
        "spec.healthCheck.httpGet.port: Required value: write a number, or the name of a container",
    ),
    "a check of port 0": (
        {"healthCheck": {"tcpSocket": {"port": 0}}},
        "no port of a container; write 1 to 65535, or the name of a container's port",
    ),
    "a check of no path": (
        {"healthCheck": {"httpGet": {"port": 80, "path": "healthz"}}},
        "healthz is no path; begin with /",
    ),
    "a check all the time": (
        {"healthCheck": {"tcpSocket": {"port": 80}, "periodSeconds": 0}},
        "spec.healthCheck.periodSeconds: Invalid value: 0",
    ),
    "a check that takes longer than its period": (
        {"healthCheck": {"tcpSocket": {"port": 80}, "periodSeconds": 2, "timeoutSeconds": 3}},
        "spec.healthCheck.timeoutSeconds: Invalid value",
    ),
    "a check by a command": (
        {"healthCheck": {"exec": {"command": ["true"]}}},
        'unknown field "spec.healthCheck.exec"',
    ),
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
    "a field of core's that isn't ours": (
        BALANCED | {"externalIPs": ["192.0.2.1"]},
        'unknown field "spec.externalIPs"',
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
