"""docs/install.md as a reader does it: its own lines in its order, on a cluster that has nothing of ours and on a
node with systemd. What a reader chooses is replaced (CHOSEN); a line that nobody types fails."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from resource import RLIMIT_NOFILE, getrlimit

import pytest
import yaml
from e2elib import systemd_node
from e2elib.admission import try_out
from e2elib.cluster import (
    AGENT_SOCKET,
    REPOSITORY,
    RUNTIME_SOCKET,
    Cluster,
    condition,
    run_try,
)
from e2elib.document import Block, blocks
from e2elib.objects import address, interface, network
from e2elib.ping import Pinger
from e2elib.pods import pod
from e2elib.systemd_node import CONFIG, INSTANCE_CONFIG, KUBECONFIG, SystemdNode
from clusterlib.image import shared_libraries
from clusterlib.addressing import CLUSTER_PREFIXES, UNDERLAY_V4, UNDERLAY_V6

DOCUMENT = REPOSITORY / "docs" / "install.md"
SERVICE, SOCKET = "multinet-nodeagent.service", "multinet-nodeagent.socket"
BUILD, CLUSTERS, UNDERLAYS = "1. Build", "2. The cluster's part", "Say where tunnels may end"
NODE, WORKS, BACK = "3. A node", "4. See that it works", "Back"
OTHER = "Another version"
ELSEWHERE = {
    "tools/install-deps": "tools/test begins with it",
    "cmake --preset release && cmake --build build/release": "it built what is tried here",
    "Let only the API server ask the webhook": "test_client_certificate.py",
}
"""Lines, or headings with all their lines, that are run before these tests or by others."""
CHOSEN = {"ranges=192.168.1.0/24,fd00:1::/64": f"ranges={UNDERLAY_V4},{UNDERLAY_V6}"}
EDITOR = f"""#!/bin/sh
sed -i 's|^MULTINET_KUBECONFIG=.*|MULTINET_KUBECONFIG={KUBECONFIG}|
s|^MULTINET_ARGS=.*|MULTINET_ARGS=--cluster-prefix={",".join(CLUSTER_PREFIXES)} --quarantine=5s|' "$1"
"""
# What the document's own line does, done on the host already: there is no build in the machine.
CMAKE = """#!/bin/sh
[ "$*" = "{arguments}" ] || exit 1
[ ! -e /etc/default/multinet-nodeagent ] || rm -f /staged/etc/default/multinet-nodeagent
cd /staged && find . ! -type d | while read -r file; do
  mkdir -p "/${{file%/*}}" && cp -a "$file" "/$file.new" && mv "/$file.new" "/$file"
done
"""
CAPABILITIES = 1 << 21 | 1 << 12 | 1 << 13 | 1 << 2 | 1 << 19
"""SYS_ADMIN, NET_ADMIN, NET_RAW, DAC_READ_SEARCH, SYS_PTRACE: capability.h."""
IMPORT, NATIVE = "images import", "--local --snapshotter native"
"""What the test's containerds use, which stack no file systems."""
POD_SECONDS = 60
DEPENDS = (
    "depends",
    "--recurse",
    "--no-recommends",
    "--no-suggests",
    "--no-conflicts",
    "--no-breaks",
    "--no-replaces",
    "--no-enhances",
)

typed: set[str] = set()


def under(heading: str) -> list[Block]:
    found = [block for block in blocks(DOCUMENT) if block.heading == heading]
    assert found, f"{DOCUMENT} has no code under {heading!r}"
    return found


def lines(heading: str, first: str) -> list[str]:
    """The commands under a heading that begin with one of a program's name."""
    found = [
        line
        for block in under(heading)
        if not block.language
        for line in block.commands()
        if line.startswith(first)
    ]
    assert found, f"{DOCUMENT} has no line {first!r} under {heading!r}"
    typed.update(found)
    return found


class Desk:
    """Where a reader types what isn't for a node: a checkout, with the programs that it built."""

    def __init__(self, cluster: Cluster, programs: Path, checkout: Path) -> None:
        self.checkout = checkout
        for name in ("crds", "deploy", "overlays", "tools"):
            (checkout / name).symlink_to(REPOSITORY / name)
        (checkout / "build").mkdir()
        (checkout / "build" / "release").symlink_to(programs.parent)
        path = f"{programs}:{cluster.record.programs.path()}"
        self.environment = os.environ | {"KUBECONFIG": str(cluster.kubeconfig), "PATH": path}

    def type(self, line: str, **more: str) -> str:
        for example, choice in CHOSEN.items():
            line = line.replace(example, choice)
        done = subprocess.run(
            ["sh", "-e", "-c", line],
            cwd=self.checkout,
            env=self.environment | more,
            capture_output=True,
            text=True,
            timeout=150,
            check=False,
        )
        assert done.returncode == 0, f"{line}: exit code {done.returncode}: {done.stderr}"
        return done.stdout


@pytest.fixture(scope="module")
def desk(
    cluster: Cluster, programs: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Desk]:
    yield Desk(cluster, programs, tmp_path_factory.mktemp("checkout"))


@pytest.fixture(scope="module")
def node(
    cluster: Cluster, desk: Desk, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[SystemdNode]:
    """A node of the cluster that has nothing of ours yet, and the images to import on it."""
    staged, images = tmp_path_factory.mktemp("staged"), tmp_path_factory.mktemp("images")
    (install,) = lines(NODE, "cmake --install")
    desk.type(install, DESTDIR=str(staged))
    for line in lines(BUILD, "for part"):
        desk.type(line)
    for archive in desk.checkout.glob("*.tar"):
        shutil.copy(archive, images)
    with systemd_node.running(cluster, 3, {"/staged": staged, "/root": images}) as found:
        put(found, "/usr/local/bin/cmake", CMAKE.format(arguments=install.removeprefix("cmake ")))
        put(found, "/usr/local/bin/editor", EDITOR)
        wait_node_ready(cluster, found)
        yield found


def put(node: SystemdNode, path: str, content: str) -> None:
    mode = 755 if content.startswith("#!") else 644
    node.run(f"cat >{path} <<'END'\n{content}END\nchmod {mode} {path}")


def wait_node_ready(cluster: Cluster, node: SystemdNode) -> None:
    cluster.wait(
        lambda: condition(cluster.json("node", node.name), "Ready") == "True",
        POD_SECONDS,
        f"node {node.name}",
    )


def point_kubelet(node: SystemdNode, settings: dict[str, object], *files: str) -> None:
    for path in files:
        found = yaml.safe_load(node.run(f"cat {path}"))
        put(node, path, yaml.safe_dump(found | settings))


def containers(cluster: Cluster, namespace: str, name: str) -> list[tuple[str, int]]:
    """What tells that a pod's containers are the ones they were."""
    told = cluster.json("pod", name, namespace)["status"]["containerStatuses"]
    return [(one["containerID"], one["restartCount"]) for one in told]


def may_exceed_limits() -> bool:
    """CAP_SYS_RESOURCE, which not every machine that tests has: to lower scores, to raise hard limits."""
    (line,) = [one for one in Path("/proc/self/status").read_text().splitlines() if "CapEff" in one]
    return bool(int(line.split()[1], 16) >> 24 & 1)


def agent_pid(node: SystemdNode) -> int:
    return int(node.show(SERVICE, "MainPID")["MainPID"])


@pytest.fixture(scope="module")
def plain(cluster: Cluster, node: SystemdNode) -> list[tuple[str, int]]:
    """A pod without networks, there before the agent came."""
    cluster.apply(pod("plain", "default", node=node.name))
    cluster.wait_pod_ready("plain", "default", POD_SECONDS)
    return containers(cluster, "default", "plain")


def test_the_clusters_part(
    cluster: Cluster, desk: Desk, node: SystemdNode, plain: list[tuple[str, int]]
) -> None:
    for line in lines(BUILD, "ctr "):
        native = line.replace(IMPORT, f"{IMPORT} {NATIVE}")
        node.run(f"cd /root && {native}")
        for name in cluster.nodes:
            cluster.node_exec(name, "sh", "-c", f"cd {desk.checkout} && {native}")
    for line in lines(CLUSTERS, "kubectl "):
        desk.type(line)
    for line in lines(UNDERLAYS, "kubectl "):
        assert any(example in line for example in CHOSEN), line
        desk.type(line)
    # The API server hears of the certificate a little later than the servers are there.
    probe = network("probe", "10.0.0.0/30")
    cluster.wait(lambda: try_out(cluster, probe)[0] == 0, 30, "admission to answer")


def test_a_node_gets_the_agent_and_its_pods_stay(
    cluster: Cluster, node: SystemdNode, plain: list[tuple[str, int]]
) -> None:
    for first in ("cmake ", "editor ", "systemctl daemon-reload", "systemctl enable"):
        for line in lines(NODE, first):
            node.run(line)
    cluster.wait(lambda: node.run_try(f"systemctl is-active {SERVICE}")[0] == 0, 20, SERVICE)
    for unit in (SERVICE, SOCKET):
        told = node.show(unit, "ActiveState", "UnitFileState", "NRestarts", "LoadError")
        assert (told["ActiveState"], told["UnitFileState"]) == ("active", "enabled"), told
        assert told.get("NRestarts", "0") == "0", node.journal(SERVICE)
    told = node.run(f"stat -c '%a %U' {AGENT_SOCKET} /run/multinet").splitlines()
    assert told == ["600 root", "755 root"]

    (block,) = [block for block in under(NODE) if block.language == "yaml"]
    settings = yaml.safe_load("\n".join(block.lines))
    point_kubelet(node, settings, CONFIG, INSTANCE_CONFIG)
    for line in lines(NODE, "systemctl restart kubelet"):
        node.run(line)
    cluster.wait(
        lambda: AGENT_SOCKET in node.run("cat /proc/net/unix"),
        60,
        "the kubelet's connection",
    )
    wait_node_ready(cluster, node)
    assert containers(cluster, "default", "plain") == plain


def test_the_agent_runs_as_its_unit_says(cluster: Cluster, node: SystemdNode) -> None:
    pid = agent_pid(node)
    told = node.show(SERVICE, "OOMScoreAdjust", "TasksMax", "After", "Before", "Requires")
    assert (told["OOMScoreAdjust"], told["TasksMax"]) == ("-999", "infinity")
    assert {SOCKET, "containerd.service", "crio.service"} <= set(told["After"].split())
    assert "kubelet.service" in told["Before"].split()
    assert SOCKET in told["Requires"].split()
    if may_exceed_limits():  # else systemd couldn't, and goes on
        assert node.run(f"cat /proc/{pid}/oom_score_adj").strip() == "-999"
    lines_of_status = node.run(f"cat /proc/{pid}/status").splitlines()
    status = dict(line.split(":\t", 1) for line in lines_of_status if ":\t" in line)
    for kind in ("CapBnd", "CapEff", "CapPrm"):
        assert int(status[kind], 16) == CAPABILITIES, (kind, status[kind])
    assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")
    assert "LISTEN_FDS=1" in node.run(f"tr '\\0' '\\n' </proc/{pid}/environ").split()
    limits = node.run(f"cat /proc/{pid}/limits").splitlines()
    (files,) = [line.split() for line in limits if line.startswith("Max open files")]
    most = 65536 if may_exceed_limits() else min(65536, getrlimit(RLIMIT_NOFILE)[1])
    assert files[3:5] == [str(most)] * 2
    # Its mounts are the node's own: what holds the switch outlives it.
    places = [node.run(f"readlink /proc/{one}/ns/mnt") for one in (1, pid)]
    assert places[0] == places[1]


def test_it_works(cluster: Cluster, desk: Desk, node: SystemdNode) -> None:
    out = ""
    for line in lines(WORKS, "kubectl "):
        out += desk.type(line)
        if "nodenetworksets" in line:
            cluster.wait(
                lambda line=line: node.name in desk.type(line), 30, f"a line for {node.name}"
            )
    assert "blue" in out
    for name, where in (("asks", node.name), ("other", cluster.nodes[0])):
        cluster.apply(pod(name, "default", node=where, networks="blue"))
    for name in ("asks", "other"):
        cluster.wait_pod_ready(name, "default", POD_SECONDS)
    asked = address(interface(cluster, "default", "asks", "net1"))
    Pinger(cluster, "default", "other").wait(asked, 30)


def test_no_call_is_refused_while_the_agent_restarts(cluster: Cluster, node: SystemdNode) -> None:
    before = interface(cluster, "default", "asks", "net1")
    kept = containers(cluster, "default", "asks")
    ask = f"crictl -r unix://{AGENT_SOCKET} -t 30s version"
    put(
        node,
        "/run/ask",
        f"#!/bin/sh\nwhile [ ! -e /run/enough ]; do {ask} >>/run/told 2>&1 || echo FAILED; done"
        " >/run/failed\ntouch /run/done\n",
    )
    node.run("setsid /run/ask >/dev/null 2>&1 &")

    def answers() -> int:
        return int(node.run("grep -c RuntimeName: /run/told || true") or 0)  # not there yet

    def more(than: int) -> None:
        cluster.wait(lambda: answers() > than + 1, 60, "more answers")

    cluster.wait(answers, 60, "an answer")
    # One that was answered just as the agent was killed ends with it; none finds the door closed.
    for end, cut_off in (("restart", 0), ("kill -s KILL", 1)):
        old, counted = agent_pid(node), answers()
        node.run(f"systemctl {end} {SERVICE}")
        cluster.wait(lambda old=old: agent_pid(node) not in (0, old), 30, "a new agent")
        more(counted)
        assert node.run("cat /run/failed").count("FAILED") <= cut_off, node.run("cat /run/told")
    node.run("touch /run/enough; until [ -e /run/done ]; do sleep 0.2; done")
    assert "connection refused" not in node.run("cat /run/told")
    assert "multinet/cri.sock: connect: connection refused" not in node.journal("kubelet.service")
    assert interface(cluster, "default", "asks", "net1") == before
    assert containers(cluster, "default", "asks") == kept


def test_another_version_by_its_lines(cluster: Cluster, node: SystemdNode) -> None:
    """The same one again, so that only the lines are tried; test_upgrade.py has another."""
    before, old = interface(cluster, "default", "asks", "net1"), agent_pid(node)
    told = node.run("cat /etc/default/multinet-nodeagent")
    for first in ("cmake ", "systemctl "):
        for line in lines(OTHER, first):
            node.run(line)
    cluster.wait(lambda: agent_pid(node) not in (0, old), 20, "a new agent")
    assert node.run("cat /etc/default/multinet-nodeagent") == told, "an admin's settings were lost"
    assert interface(cluster, "default", "asks", "net1") == before


def test_after_a_reboot_all_comes_back_in_order(cluster: Cluster, node: SystemdNode) -> None:
    before = cluster.json("node", node.name)["status"]["nodeInfo"]["bootID"]
    node.reboot()

    def began(unit: str) -> int:
        found = node.show(unit, "ExecMainStartTimestampMonotonic")
        return int(found["ExecMainStartTimestampMonotonic"])

    def booted() -> bool:
        return bool(cluster.json("node", node.name)["status"]["nodeInfo"]["bootID"] != before)

    cluster.wait(booted, POD_SECONDS, "the node to tell of its boot")
    order = [began(unit) for unit in ("containerd.service", SERVICE, "kubelet.service")]
    assert order == sorted(order), order
    assert node.show(SERVICE, "NRestarts")["NRestarts"] == "0", node.journal(SERVICE)
    for name in ("plain", "asks"):
        cluster.wait(
            lambda name=name: containers(cluster, "default", name)[0][1] == 1,
            POD_SECONDS,
            f"pod {name} to be started again",
        )
        cluster.wait_pod_ready(name, "default", POD_SECONDS)
    asked = address(interface(cluster, "default", "asks", "net1"))
    Pinger(cluster, "default", "other").wait(asked, 30)


def test_the_way_back_leaves_nothing(cluster: Cluster, desk: Desk, node: SystemdNode) -> None:
    plain = containers(cluster, "default", "plain")
    for name in ("asks", "other"):
        cluster.delete("pod", name, "default", "--grace-period=1")
    for line in lines(BACK, "kubectl "):
        desk.type(line)
    point_kubelet(
        node, {"containerRuntimeEndpoint": f"unix://{RUNTIME_SOCKET}"}, CONFIG, INSTANCE_CONFIG
    )
    (block,) = [block for block in under(BACK) if "systemctl restart kubelet" in block.lines]
    for line in block.commands():
        typed.add(line)
        node.run(line)
    wait_node_ready(cluster, node)
    # An empty directory stays: systemd made it for the socket.
    assert node.run_try("find /run/multinet /var/lib/multinet ! -type d")[1] == ""
    assert node.run_try("ls /var/lib/multinet")[0] != 0
    assert "multinet" not in node.run("nft list tables")
    assert not [line for line in node.run("ip -o link").splitlines() if ": mn" in line]
    assert node.run_try(f"systemctl cat {SERVICE}")[0] != 0
    left = "find /usr/bin /usr/lib/systemd /etc /run/systemd -name '*nodeagent*'"
    assert node.run(left) == ""
    assert containers(cluster, "default", "plain") == plain
    began = time.monotonic()
    cluster.apply(pod("after", "default", node=node.name))
    cluster.wait_pod_ready("after", "default", POD_SECONDS)
    print(f"a plain pod afterwards: {time.monotonic() - began:.1f} s")


def test_the_libraries_to_install_are_those_that_the_agent_needs(programs: Path) -> None:
    """The packages that the document names, with what they depend on, bring each library; and none is
    named for nothing."""
    (named,) = re.findall(r"`apt-get install ([^`]+)`", DOCUMENT.read_text())
    needed = owners(shared_libraries(programs / "multinet-nodeagent"))
    assert set(named.split()) <= needed
    brought = said_by("apt-cache", *DEPENDS, *named.split(), "libstdc++6").splitlines()
    missing = needed - {line.strip() for line in brought if not line.startswith(" ")}
    assert not missing, f"{DOCUMENT} names none of the packages that bring {missing}"


def owners(files: list[Path]) -> set[str]:
    """The Debian packages that files are of, by whichever of its paths dpkg knows each."""
    ways = [{str(one), str(one.resolve()), str(one).removeprefix("/usr")} for one in files]
    _, out, _ = run_try(["dpkg", "-S", *set().union(*ways)])
    found = {path: line.split(":")[0] for line in out.splitlines() for path in line.split(": ")[1:]}
    unknown = [paths for paths in ways if not paths & found.keys()]
    assert not unknown, f"dpkg knows no package of {unknown}"
    return {found[path] for paths in ways for path in paths if path in found}


def said_by(*command: str) -> str:
    code, out, err = run_try(list(command))
    assert code == 0, f"{' '.join(command)}: {err}"
    return out


def test_every_line_was_typed() -> None:
    every = [(block, line) for block in blocks(DOCUMENT) for line in block.commands()]
    skipped = [
        line
        for block, line in every
        if not block.language and not {line, block.heading} & ELSEWHERE.keys() and line not in typed
    ]
    assert not skipped, f"{DOCUMENT} tells a reader to type what no test types: {skipped}"
