"""Taking it off and putting it on again, in each of the ways that docs/install.md knows: every command
ends by itself, nothing is left, and the next installation works."""

from __future__ import annotations

import json
import re
from pathlib import Path

from e2elib import leftovers
from e2elib.admission import try_out
from e2elib.cluster import AGENT_SOCKET, REPOSITORY, RUNTIME_SOCKET, Cluster, condition, run_try
from e2elib.objects import attachment, macvlan, network, service, vxlan, wait_served
from e2elib.pods import pod

NAMES = ("removed-vxlan", "removed-bridge", "removed-macvlan")
SYSTEM = "multinet-system"
ASKS = {"app": "asks"}
CONTROLLERS = ("deployment/multinet-controller", "deployment/multinet-webhook")


def verb(cluster: Cluster, programs: Path, *words: str) -> tuple[int, str, str]:
    who = [f"--kubeconfig={cluster.kubeconfig}"]
    return run_try([str(programs / "kubectl-multinet"), *words, *who])


def bare_vxlan(name: str, cidr: str) -> str:
    """All of VXLAN's fields have defaults, so its member may be left out."""
    made = json.loads(vxlan(name, cidr))
    del made["spec"]["vxlan"]
    return json.dumps(made)


def use(cluster: Cluster, namespace: str) -> None:
    """Networks of three types, and on each node a pod that is on all of them, and a gateway to one; the pods
    end."""
    cluster.apply(bare_vxlan(NAMES[0], "10.50.1.0/24"))
    cluster.apply(network(NAMES[1], "10.50.2.0/24", bridge={"name": "br-removed"}))
    cluster.apply(macvlan(NAMES[2], "eth1", "192.168.50.0/24"))
    cluster.apply(attachment("removed", namespace, NAMES[0]))
    wait_served(cluster, *NAMES)
    for node in cluster.nodes:
        cluster.apply(
            pod(f"asks-{node}", namespace, node=node, networks=", ".join(NAMES), labels=ASKS)
        )
    cluster.apply(
        service("open", namespace, NAMES[0], selector=ASKS, clusterIP=None, type="NodePort")
    )
    for node in cluster.nodes:
        cluster.wait_pod_ready(f"asks-{node}", namespace, 60)
        cluster.wait(lambda node=node: has_gateway(cluster, node), 60, f"a gateway on {node}")


def has_gateway(cluster: Cluster, node: str) -> bool:
    found = leftovers.gateways_on(cluster, node)
    assert any(one.startswith("mng") for one in found), found
    assert "table inet multinet_services" in found, found
    assert any(one.startswith("/run/") for one in found), found
    return True


def no_gateway(cluster: Cluster, node: str) -> bool:
    found = leftovers.gateways_on(cluster, node)
    assert not found, found
    return True


def end_pods(cluster: Cluster, namespace: str) -> None:
    for node in cluster.nodes:
        cluster.delete("pod", f"asks-{node}", namespace, "--grace-period=1")


def available(cluster: Cluster) -> None:
    for name in ("multinet-controller", "multinet-webhook"):
        cluster.wait(
            lambda name=name: condition(cluster.json("deployment", name, SYSTEM), "Available")
            == "True",
            60,
            f"deployment {name} to be Available",
        )
    # The API server hears of a new certificate a little later.
    probe = network("probe", "10.0.0.0/30")
    cluster.wait(lambda: try_out(cluster, probe)[0] == 0, 30, "admission to answer")


def point_kubelets(cluster: Cluster, socket: str) -> None:
    for node in cluster.nodes:
        file = cluster.record.layout.machine(node).etc / "kubelet.yaml"
        endpoint = r"(?m)^(containerRuntimeEndpoint: unix://)\S+$"
        changed, count = re.subn(endpoint, rf"\g<1>{socket}", file.read_text())
        assert count == 1, file.read_text()
        file.write_text(changed)
        cluster.restart(node, "kubelet")


def test_a_node_takes_its_peer_back_while_no_controller_is_there(deployed: Cluster) -> None:
    """Else the controller is as a rule the faster one."""

    def peers() -> list[str]:
        found = deployed.items("networkpeers")
        return [one["metadata"]["name"] for one in found if one["podNetworkName"] == "led"]

    deployed.apply(vxlan("led", "10.50.4.0/24", join="Always"))
    wait_served(deployed, "led")
    deployed.wait(lambda: len(peers()) == len(deployed.nodes), 20, "a peer of each node")
    controller = CONTROLLERS[0]
    replicas = deployed.json("deployment", "multinet-controller", SYSTEM)["spec"]["replicas"]
    deployed.kubectl("scale", "-n", SYSTEM, controller, "--replicas=0")
    try:
        of_it = ["pods", "-n", SYSTEM, "-l", "app.kubernetes.io/name=multinet-controller"]
        deployed.kubectl("wait", *of_it, "--for=delete", "--timeout=50s")
        deployed.delete("podnetwork", "led", "", "--timeout=30s")
        deployed.wait(lambda: not peers(), 20, f"the nodes to take back {peers()}")
    finally:
        deployed.kubectl("scale", "-n", SYSTEM, controller, f"--replicas={replicas}")
    available(deployed)


def test_uninstall_refuses_while_pods_hold_networks_and_ends_all_of_it(
    deployed: Cluster, programs: Path, namespace: str
) -> None:
    use(deployed, namespace)
    code, out, err = verb(deployed, programs, "uninstall")
    assert code == 1, err
    for node in deployed.nodes:
        assert f"pod {namespace}/asks-{node}" in out
    assert "nothing was changed" in out
    wait_served(deployed, *NAMES)
    end_pods(deployed, namespace)
    code, out, err = verb(deployed, programs, "uninstall", "--wait")
    assert code == 0, out + err
    assert "have taken their links and rules away" in out
    assert leftovers.in_cluster(deployed) == []
    for node in deployed.nodes:
        deployed.wait(lambda node=node: no_gateway(deployed, node), 30, f"{node} to keep none")
    code, out, err = verb(deployed, programs, "uninstall")
    assert code == 0, f"again: {out}{err}"


def test_agents_that_are_taken_off_leave_their_nodes_as_they_were(
    deployed: Cluster, namespace: str
) -> None:
    """Networks are there and no pod is on them; kinds, rights and controller go in one second."""
    deployed.kubectl("apply", "--server-side", "-k", str(REPOSITORY / "deploy"))
    available(deployed)
    use(deployed, namespace)
    deployed.apply(service("web", namespace, NAMES[0], clusterIP=None))
    for node in deployed.nodes:
        deployed.wait(
            lambda node=node: "/run/multinet/bpf" in leftovers.on_node(deployed, node),
            30,
            f"{node} to translate services",
        )
    deployed.apply(pod("plain", namespace, node=deployed.nodes[0]))
    deployed.wait_pod_ready("plain", namespace, 60)
    end_pods(deployed, namespace)
    point_kubelets(deployed, RUNTIME_SOCKET)
    for node in deployed.nodes:
        deployed.wait(
            lambda node=node: condition(deployed.json("node", node), "Ready") == "True", 40, node
        )
        deployed.stop(node, "agent")
        assert leftovers.on_node(deployed, node) == []
    # Nobody is left to take a finalizer off: the kinds go in the same second as controller and rights.
    deployed.kubectl("delete", "-k", str(REPOSITORY / "deploy"), "--timeout=55s")
    assert leftovers.in_cluster(deployed) == []
    deployed.apply(pod("after", namespace, node=deployed.nodes[0]))
    for name in ("plain", "after"):
        deployed.wait_pod_ready(name, namespace, 60)


def test_uninstall_needs_neither_controller_nor_agents(
    deployed: Cluster, programs: Path, namespace: str
) -> None:
    for node in deployed.nodes:
        deployed.start(node, "agent")
    point_kubelets(deployed, AGENT_SOCKET)
    deployed.kubectl("apply", "--server-side", "-k", str(REPOSITORY / "overlays" / "single"))
    available(deployed)
    use(deployed, namespace)
    # With pods on them, so that the networks have their finalizer; then all who serve them are gone.
    deployed.kubectl("delete", "-n", SYSTEM, *CONTROLLERS, "--timeout=50s")
    deployed.wait(lambda: not deployed.items("pods", SYSTEM), 40, "the controller's end")
    for node in deployed.nodes:
        deployed.kill_for_good(node, "agent")
    point_kubelets(deployed, RUNTIME_SOCKET)
    end_pods(deployed, namespace)
    for found in deployed.items("podinterfacesets", namespace):
        # The reporter is dead with its agent, and so is the collector.
        deployed.delete("podinterfaceset", found["metadata"]["name"], namespace)
    code, out, err = verb(deployed, programs, "uninstall")
    assert code == 0, out + err
    assert "no controller releases podnetwork" in out
    assert leftovers.in_cluster(deployed) == []
    for node in deployed.nodes:
        assert (
            leftovers.on_node(deployed, node) != []
        ), "nothing was left to clean, so nothing is shown"
        deployed.node_exec(
            node, str(programs / "multinet-nodeagent"), "--cleanup",
            f"--listen={AGENT_SOCKET}", "--state-dir=/var/lib/multinet",
        )  # fmt: skip
        assert leftovers.on_node(deployed, node) == []
        assert deployed.node_exec_try(node, "ls", "/var/lib/multinet")[0] != 0


def test_helm_installs_upgrades_and_removes_the_same(
    deployed: Cluster, programs: Path, helm: Path, namespace: str
) -> None:
    """By the lines of docs/install.md."""

    def type_line(beginning: str) -> None:
        told = " ".join((REPOSITORY / "docs" / "install.md").read_text().split())
        (line,) = set(re.findall(rf"`({beginning}[^`]+)`", told))
        words = line.replace("deploy/chart", str(REPOSITORY / "deploy" / "chart")).split()
        who = [f"--kubeconfig={deployed.kubeconfig}"]
        code, out, err = run_try([str(helm), *words[1:], *who])
        assert code == 0, f"{line}: {out}{err}"

    for node in deployed.nodes:
        deployed.start(node, "agent")
    point_kubelets(deployed, AGENT_SOCKET)
    type_line("helm install")
    available(deployed)
    use(deployed, namespace)
    kept = [pod_of["metadata"]["uid"] for pod_of in deployed.items("pods", namespace)]
    type_line("helm upgrade")
    available(deployed)
    assert [one["metadata"]["uid"] for one in deployed.items("pods", namespace)] == kept
    wait_served(deployed, *NAMES)
    end_pods(deployed, namespace)
    code, out, err = verb(deployed, programs, "uninstall", "--networks-only")
    assert code == 0, out + err
    type_line("helm uninstall")
    assert deployed.has_kind("podnetworks"), "Helm took the kinds, and all networks with them"
    code, out, err = verb(deployed, programs, "uninstall")
    assert code == 0, out + err
    # The namespace is whose who made it: Helm's --create-namespace, which Helm never takes away.
    deployed.delete("namespace", SYSTEM, "", "--timeout=50s")
    assert leftovers.in_cluster(deployed) == []
