"""CRI's own validation suite: the agent changes no verdict of it.

The same specs run on a node's containerd and, at the same time, through the agent of another node.
The kubelets are stopped meanwhile: they end sandboxes that no pod asked for. No registry can be
reached, so specs that pull an image of their own fail on both sides alike (docs/testing.md says
which); that they fail at once and not by time is what the nodes' /etc/hosts is for.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from clusterlib import bringup, image
from clusterlib.inside import enter
from e2elib.cluster import AGENT_SOCKET, RUNTIME_SOCKET, Cluster

SUITE_SECONDS = 400  # on a machine that is busy; one quarter of it on one that isn't
LEAST_PASSED = 50  # fewer would compare nothing
HOSTS = "127.0.0.1 localhost registry.k8s.io k8s.gcr.io gcr.io\n::1 localhost\n"
WEB = "multinet.dev/web:dev"
IMAGES = f"defaultTestContainerImage: multinet.dev/busybox:dev\nwebServerTestImage: {WEB}\n"
# Waits a minute for a port of the host; the cluster's CNI chain maps none.
LEFT_OUT = "port mapping with host port and container port"


def test_critest_says_the_same_through_the_agent(cluster: Cluster, tmp_path: Path) -> None:
    direct, through = cluster.nodes[:2]
    load_web_server(cluster, (direct, through), tmp_path)
    with node_for_itself(cluster, direct), node_for_itself(cluster, through):
        of_runtime, of_agent = verdicts_of_both(cluster, direct, through)
        assert of_agent.keys() == of_runtime.keys()
        differ = differing(of_runtime, of_agent)
        if differ:  # specs have limits of time of their own: those that met one get a second try
            focus = "|".join(re.escape(name) for name in differ)
            for found, again in zip(
                (of_runtime, of_agent),
                verdicts_of_both(cluster, direct, through, f"--ginkgo.focus={focus}"),
                strict=True,
            ):
                found.update({name: again[name] for name in differ})

    print("on the runtime:", Counter(state for state, _ in of_runtime.values()))
    told = [
        f"{name}: {of_runtime[name]} on the runtime, {of_agent[name]} through the agent"
        for name in differing(of_runtime, of_agent)
    ]
    assert not told, "\n".join(told)
    passed = [name for name, (state, _) in of_runtime.items() if state == "passed"]
    assert len(passed) >= LEAST_PASSED, f"only {len(passed)} specs can run here"


def differing(one: dict[str, tuple[str, str]], other: dict[str, tuple[str, str]]) -> list[str]:
    return [name for name in sorted(one) if one[name][0] != other[name][0]]


def verdicts_of_both(
    cluster: Cluster, direct: str, through: str, *more: str
) -> tuple[dict[str, tuple[str, str]], dict[str, tuple[str, str]]]:
    suites = [
        start(cluster, direct, RUNTIME_SOCKET, *more),
        start(cluster, through, AGENT_SOCKET, *more),
    ]
    try:
        for suite in suites:
            suite.wait(timeout=SUITE_SECONDS + 10)
    finally:
        for suite in suites:
            suite.kill()
            suite.wait()
    return verdicts(cluster, direct), verdicts(cluster, through)


def load_web_server(cluster: Cluster, nodes: Sequence[str], directory: Path) -> None:
    busybox = shutil.which("busybox")
    assert busybox, "busybox isn't installed; run tools/install-deps"
    web = image.Image(
        WEB,
        ["/bin/httpd", "-f", "-p", "80", "-h", "/www"],
        files={"/bin/httpd": Path(busybox).resolve()},
        texts={"/www/index.html": "hello\n"},
    )
    image.write(web, directory / "web.tar")
    for node in nodes:
        bringup.load_images(cluster.record.layout.machine(node), [directory / "web.tar"])


@contextmanager
def node_for_itself(cluster: Cluster, node: str) -> Iterator[None]:
    """Without the kubelet, and with registries that refuse at once."""
    cluster.node_file(node, "/run/critest-hosts").write_text(HOSTS)
    cluster.node_file(node, "/run/critest-images").write_text(IMAGES)
    cluster.stop(node, "kubelet")
    cluster.node_exec(node, "mount", "--bind", "/run/critest-hosts", "/etc/hosts")
    try:
        yield
    finally:
        cluster.node_exec(node, "umount", "/etc/hosts")
        cluster.start(node, "kubelet")


def start(cluster: Cluster, node: str, socket: str, *more: str) -> subprocess.Popen[bytes]:
    command = [
        "timeout",  # nsenter's end isn't that of what it started
        str(SUITE_SECONDS),
        str(cluster.record.programs.critest / "critest"),
        f"--runtime-endpoint=unix://{socket}",
        f"--image-endpoint=unix://{RUNTIME_SOCKET}",  # as a kubelet's imageServiceEndpoint
        "--test-images-file=/run/critest-images",
        "--ginkgo.json-report=/run/critest.json",
        f"--ginkgo.skip={LEFT_OUT}",
        "--ginkgo.seed=1",
        "--ginkgo.no-color",
        "--ginkgo.succinct",
        *more,
    ]
    cluster.node_file(node, "/run/critest.json").unlink(missing_ok=True)
    _, pid = cluster.record.machine(node)
    return subprocess.Popen(
        enter(pid, command),
        env={"PATH": cluster.record.programs.path(), "HOME": "/root"},
        stdout=cluster.node_file(node, "/run/critest.log").open("wb"),
        stderr=subprocess.STDOUT,
    )


def verdicts(cluster: Cluster, node: str) -> dict[str, tuple[str, str]]:
    """Of each spec by its full name: its state, and why it isn't `passed`."""
    report: Path = cluster.node_file(node, "/run/critest.json")
    (suite,) = json.loads(report.read_text())
    found = {}
    for spec in suite["SpecReports"]:
        if spec["LeafNodeType"] != "It":
            continue
        name = " ".join((*(spec["ContainerHierarchyTexts"] or ()), spec["LeafNodeText"]))
        message = (spec.get("Failure") or {}).get("Message", "")
        found[name] = (spec["State"], message[:300])
    return found
