"""What the demo shows, in order: one function a step. Names and addresses come from the cluster."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from clusterlib import space
from clusterlib.cluster import Cluster
from clusterlib.errors import EXIT_UNUSABLE, MAKE_ROOM, ClusterError
from clusterlib.layout import REPOSITORY, Layout
from demolib.stage import Stage

NAME = "demo"
BIN = Path("build/release/bin")
IMAGES = Path("build/demo-images")
BUILD_LOG = Path("build/demo-build.log")
MANIFESTS = Path("tools/demolib/manifests")
PROGRAMS = ("multinet-nodeagent", "multinet-controller", "multinet-webhook", "kubectl-multinet")
SERVERS = ("controller", "webhook")
METRICS = "127.0.0.1:9091"  # of each agent
TIMED_OUT = 143  # of busybox' timeout: its command ends by SIGTERM
QUARANTINE = "5s"  # a minute is the default; a demo can't wait that long
_READ = f'from urllib.request import *; print(urlopen("http://{METRICS}/metrics").read().decode())'
_BUILD_SECONDS = 3600
_BUILD_GB = 1.0
_UP_SECONDS = 3600
_IPV4_HEADERS = 28  # IP and ICMP
_IPV6_HEADERS = 48


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """One demo at a time in a checkout: two would build into the same files."""
    (REPOSITORY / "build").mkdir(exist_ok=True)
    with open(REPOSITORY / "build" / "demo.lock", "w", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ClusterError(
                "start the demo: another one is under way in this directory; wait for its end",
                EXIT_UNUSABLE,
            ) from error
        yield


def needs() -> dict[Path, float]:
    """GB that building our programs takes, as long as they aren't built."""
    if (REPOSITORY / BIN / PROGRAMS[0]).exists():
        return {}
    return {REPOSITORY / "build": _BUILD_GB}


def build(stage: Stage) -> None:
    stage.step("build the programs and images (the first time takes minutes)")
    (REPOSITORY / IMAGES).mkdir(parents=True, exist_ok=True)
    targets = f"-j{os.cpu_count() or 1} --target {' '.join(PROGRAMS)}"
    try:
        stage.run(f"cmake --preset release > {BUILD_LOG}")
        stage.run(f"cmake --build build/release {targets} >> {BUILD_LOG}", _BUILD_SECONDS)
    except ClusterError as error:
        log = REPOSITORY / BUILD_LOG
        said = log.read_text(errors="replace") if log.exists() else ""
        if line := space.without_space(said):
            raise ClusterError(f"build: {line}; {MAKE_ROOM}", EXIT_UNUSABLE) from error
        raise ClusterError(f"{error}; what it said is in {BUILD_LOG}") from error
    for server in SERVERS:
        output = f"--output {IMAGES}/{server}.tar {BIN}/multinet-{server}"
        stage.run(f"tools/image --name multinet.dev/{server}:dev {output}")


def start_cluster(stage: Stage) -> Cluster:
    stage.step("start Kubernetes: a control plane and two nodes, the agent before each runtime")
    archives = " ".join(f"{IMAGES}/{server}.tar" for server in SERVERS)
    agent = f"--agent {BIN}/multinet-nodeagent --agent-arg=--quarantine={QUARANTINE}"
    agent += f" --agent-arg=--metrics-listen={METRICS}"
    stage.tool(f"tools/cluster up --name {NAME} {agent} --image {archives}", _UP_SECONDS)
    cluster = Cluster(Layout(NAME))
    stage.environment["KUBECONFIG"] = str(cluster.layout.kubeconfig)
    stage.environment["PATH"] = path(cluster)
    stage.run("kubectl get nodes")
    return cluster


def path(cluster: Cluster) -> str:
    """A PATH with kubectl and kubectl multinet."""
    return f"{cluster.programs.kubernetes}:{REPOSITORY / BIN}:{os.environ['PATH']}"


def install(stage: Stage) -> None:
    stage.step("an admin installs Multinet: kinds, rights, controller and webhook in one command")
    stage.run("kubectl apply --server-side -k deploy/ | tail -n 3")
    for server in SERVERS:
        stage.run(
            f"kubectl -n multinet-system rollout status deployment/multinet-{server} --timeout=50s"
        )
    stage.run("kubectl explain podnetwork.spec.ipam.subnets.gateway")


def make_networks(stage: Stage) -> None:
    stage.step(
        "... and two networks: blue, a tunnel over all nodes; storage, a bridge of each node"
    )
    stage.run("cat crds/examples/blue.yaml")
    stage.run("kubectl apply -f crds/examples/blue.yaml -f crds/examples/storage.yaml")
    stage.run("kubectl wait --for=condition=Ready podnetwork/blue podnetwork/storage --timeout=50s")
    stage.run("kubectl multinet networks")


def start_pods(stage: Stage) -> None:
    stage.step("a team names the networks on its pods: each pod has eth0, net1 and net2")
    stage.run(f"kubectl apply -f {MANIFESTS}/web.yaml")
    stage.run("kubectl rollout status deployment/web --timeout=50s")
    stage.run("kubectl get pods -o wide")
    stage.run("kubectl exec deployment/web -- ip -o addr | grep -v fe80")
    stage.await_answer("kubectl get podinterfacesets -o name | wc -l", "2")
    stage.run("kubectl get podinterfacesets")
    stage.run("kubectl multinet pods")
    stage.await_answer("kubectl get podnetwork blue -o jsonpath='{.status.nodes.ready}'", "2", 75)
    stage.run("kubectl multinet nodes")


@dataclass(frozen=True)
class _Reach:
    """From one pod to another on the other node."""

    one: str
    other: str
    v4: str
    v6: str
    mtu: int
    node: str  # the other's


def _reach(stage: Stage) -> _Reach:
    sets = json.loads(stage.ask("kubectl get podinterfacesets -o json"))["items"]
    one, other = sorted(sets, key=lambda entry: str(entry["nodeName"]))
    (blue,) = [each for each in other["interfaces"] if each["name"] == "net1"]
    address = {ip["family"]: ip["address"].split("/")[0] for ip in blue["ips"]}
    return _Reach(
        one["pod"]["name"],
        other["pod"]["name"],
        address["IPv4"],
        address["IPv6"],
        blue["mtu"],
        other["nodeName"],
    )


def show_traffic(stage: Stage) -> None:
    reach = _reach(stage)
    run = f"kubectl exec {reach.one} --"
    stage.step("between the nodes, over blue: ping and TCP in both families, packets of full size")
    for address, headers in ((reach.v4, _IPV4_HEADERS), (reach.v6, _IPV6_HEADERS)):
        stage.run(f"{run} ping -c 2 -w 5 -s {reach.mtu - headers} {address}")
    stage.run(f"{run} wget -q -O - http://{reach.v4}:8080/")
    stage.run(f"{run} wget -q -O - 'http://[{reach.v6}]:8080/'")
    stage.step("eth0 is what it always was")
    ip = stage.ask(f"kubectl get pod {reach.other} -o jsonpath={{.status.podIP}}")
    stage.run(f"{run} wget -q -O - http://{ip}:8080/")
    stage.run(f"{run} nslookup kubernetes.default.svc.cluster.local")


def show_service(stage: Stage) -> None:
    reach = _reach(stage)
    stage.step("a Service on blue: its name and its address lead to the pods' addresses there")
    stage.run(f"kubectl apply -f {MANIFESTS}/service.yaml")
    stage.run("kubectl wait --for=condition=Endpoints podnetworkservice/web-blue --timeout=50s")
    stage.run("kubectl get service,endpointslices -l multinet.dev/network=blue")
    run = f"kubectl exec {reach.one} --"
    ip = stage.ask("kubectl get service web-blue -o jsonpath={.spec.clusterIP}")
    stage.await_answer(f"{run} nslookup web-blue.default.svc.cluster.local || true", ip)
    stage.run(f"{run} nslookup web-blue.default.svc.cluster.local")
    get = f"{run} wget -q -O - http://{ip}:80/"
    stage.await_answer(f"{get} 2>&1 || true", "Hello")
    stage.run(f"for i in 1 2 3 4; do {get}; done")
    stage.run("kubectl multinet services")


def show_policy(stage: Stage) -> None:
    reach = _reach(stage)
    stage.step("a policy on blue: who may reach the web servers there; what it would mean, first")
    stage.run(f"cat {MANIFESTS}/policy.yaml")
    explain = "kubectl multinet policy explain --network blue --port 8080"
    pair = f"--from default/{reach.one} --to default/{reach.other}"
    stage.refused(f"{explain} {pair} -f {MANIFESTS}/policy.yaml")
    stage.step("... applied: a connection that worked before is refused, on eth0 it works on")
    stage.run(f"kubectl apply -f {MANIFESTS}/policy.yaml")
    held = "kubectl get podnetworkpolicy web -o jsonpath='{.status.interfaces.enforced}'"
    stage.await_answer(held, "2")
    stage.run("kubectl get podnetworkpolicies")
    run = f"kubectl exec {reach.one} --"
    get = f"{run} timeout 2 wget -q -O - http://{reach.v4}:8080/"
    stage.refused(get, TIMED_OUT)
    ip = stage.ask(f"kubectl get pod {reach.other} -o jsonpath={{.status.podIP}}")
    stage.run(f"{run} wget -q -O - http://{ip}:8080/")
    stage.run(
        f"tools/cluster node-exec --name {NAME} {reach.node} -- "
        f"python3 -c '{_READ}' | grep ^multinet_agent_policy_denied"
    )
    stage.step("... a label makes it a client that is allowed; without the policy everybody is")
    stage.run(f"kubectl label pod {reach.one} tier=front")
    stage.await_answer(f"{get} 2>&1 || true", "Hello")
    stage.run(get)
    stage.run("kubectl delete podnetworkpolicy web")
    stage.await_answer(f"{run} ping -c 1 -w 2 {reach.v4} || true", "1 packets received")


def show_rolling_update(stage: Stage) -> None:
    stage.step(
        "a rolling update under load, without preStop hooks: on blue, and by kube-proxy beside it"
    )
    in_shop = "kubectl -n shop"
    rolled_out = [
        f"{in_shop} rollout status deployment/{name} --timeout=50s | tail -n 1"
        for name in ("front", "plain")
    ]
    stage.run(f"kubectl apply -f {MANIFESTS}/rolling.yaml")
    for status in rolled_out:
        stage.run(status)
    counts = f"{in_shop} get podnetworkservice front -o jsonpath='{{.status.endpoints.ready}}'"
    stage.await_answer(counts, "3")
    stage.run(f"kubectl apply -f {MANIFESTS}/load.yaml")
    stage.run(f"{in_shop} wait --for=condition=Ready pod/load --timeout=50s")
    stage.run("kubectl multinet trace service/front --from pod/load -n shop")
    stage.run(f"{in_shop} rollout restart deployment/front deployment/plain")
    for status in rolled_out:
        stage.run(status)
    # Those that were replaced: they end after they have left their services.
    stage.await_answer(f"{in_shop} get pods -o name | wc -l", "7")
    stage.run(f"{in_shop} exec load -- touch /tmp/stop")
    stage.await_answer(f"{in_shop} logs load | wc -l", "2")
    stage.run(f"{in_shop} logs load | sort")


def show_agent_killed(stage: Stage, cluster: Cluster) -> None:
    reach = _reach(stage)
    stage.step("the agent of a node is killed: running pods don't notice, and it is back at once")
    stage.run(f"tools/cluster kill --name {NAME} {cluster.nodes[0]} agent")
    stage.run(f"kubectl exec {reach.one} -- ping -c 2 -w 5 {reach.v4}")
    stage.run("kubectl get pods")


def show_refusals(stage: Stage) -> None:
    stage.step("what can't work is refused when it is created, with the field and the remedy")
    stage.refused(f"kubectl multinet explain -f {MANIFESTS}/wrong-pod.yaml")
    stage.refused(f"kubectl create -f {MANIFESTS}/wrong-pod.yaml")
    stage.refused(f"kubectl create -f {MANIFESTS}/wrong-network.yaml")


def show_address_returns(stage: Stage) -> None:
    stage.step(f"an address rests {QUARANTINE} after its pod, and then serves the next one")
    stage.run(f"kubectl apply -f {MANIFESTS}/tiny.yaml")
    stage.run("kubectl wait --for=condition=Ready podnetwork/tiny --timeout=50s")
    stage.run(f"kubectl apply -f {MANIFESTS}/first.yaml")
    stage.run("kubectl wait --for=condition=Ready pod/first --timeout=50s")
    stage.run(f"kubectl apply -f {MANIFESTS}/second.yaml")
    events = "kubectl get events --field-selector=involvedObject.name=second,reason=PoolExhausted"
    stage.await_answer(f"{events} -o name", "event")
    stage.run(f"{events} -o custom-columns=REASON:.reason,MESSAGE:.message")
    stage.run("kubectl delete pod first")
    stage.run("kubectl wait --for=condition=Ready pod/second --timeout=55s")
    stage.run("kubectl multinet pods")


def show_deletion_waits(stage: Stage) -> None:
    stage.step("a network that is in use isn't pulled away: its deletion waits and says for whom")
    stage.run("kubectl delete podnetwork tiny --wait=false")
    stage.await_answer("kubectl get podnetwork tiny -o jsonpath='{.status.blockers}'", "second")
    stage.run("kubectl multinet networks -o wide")
    stage.run("kubectl delete pod second")
    stage.run("kubectl wait --for=delete podnetwork/tiny --timeout=50s")
    stage.run("kubectl multinet networks")


def finish(stage: Stage, cluster: Cluster) -> None:
    stage.step("the cluster stays up; to use it:")
    print(f"  export KUBECONFIG={cluster.layout.kubeconfig}")
    print(f"  export PATH={cluster.programs.kubernetes}:{REPOSITORY / BIN}:$PATH")
    print("  kubectl get multinet -A")
    print("  make demo-down                 # ends it and removes everything")
    print(f"\nmake demo took {stage.elapsed():.0f} s")
