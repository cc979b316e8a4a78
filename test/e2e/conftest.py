"""One cluster for all end-to-end tests: up once, evidence after each failure, always taken down.

  MULTINET_BIN      directory of the programs [build/release/bin]
  MULTINET_CLUSTER  name of the cluster [e2e]; another one runs beside it
  MULTINET_KEEP     when set, the cluster stays up at the end (and one that is up is used)
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parent))

from e2elib import rights  # noqa: E402
from e2elib.cluster import REPOSITORY, Cluster, condition, run_try  # noqa: E402
from clusterlib import gobuild  # noqa: E402
from clusterlib.parts import HELM, PARTS  # noqa: E402
from clusterlib.progress import Progress  # noqa: E402
from e2elib.admission import try_out  # noqa: E402
from e2elib.networks import Networks, empty  # noqa: E402
from e2elib.objects import network  # noqa: E402

NAME = os.environ.get("MULTINET_CLUSTER", "e2e")
ARTIFACTS = REPOSITORY / "build" / "e2e-artifacts"
PROGRAMS = Path(os.environ.get("MULTINET_BIN", REPOSITORY / "build" / "release" / "bin")).absolute()
KEEP = "MULTINET_KEEP" in os.environ
KUBERNETES = PARTS[0].pinned_version()
_UP_SECONDS = 1500  # the first one builds Kubernetes
_SYSTEM = "multinet-system"
_SERVERS = ("controller", "webhook")
_SKIPPED = 77  # CTest's SKIP_RETURN_CODE


def _tool(*args: str, timeout: float = 120) -> None:
    """Runs tools/cluster in its own group, so that Ctrl-C ends the test and not the cleaning."""
    command = [str(REPOSITORY / "tools" / "cluster"), *args]
    with tempfile.TemporaryFile("w+") as said:
        process = subprocess.Popen(command, start_new_session=True, stderr=said)
        try:
            code = process.wait(timeout)
        except BaseException:
            process.terminate()
            process.wait(60)
            raise
        finally:
            said.seek(0)
            errors = said.read()
            print(errors, file=sys.stderr, end="")
    if code != 0:
        # What was captured goes with the session.
        last = "".join(errors.splitlines(keepends=True)[-5:])
        pytest.exit(f"tools/cluster {' '.join(args)}: exit code {code}\n{last}", returncode=3)


def _images(directory: Path) -> list[str]:
    """Archives of the servers' images, made from the programs that exist."""
    archives = []
    for server in _SERVERS:
        program = PROGRAMS / f"multinet-{server}"
        if not program.is_file():
            continue
        archive = directory / f"{server}.tar"
        subprocess.run(
            [
                str(REPOSITORY / "tools" / "image"),
                f"--name=multinet.dev/{server}:dev",
                f"--output={archive}",
                str(program),
            ],
            check=True,
            timeout=120,
        )
        archives.append(str(archive))
    return archives


def _is_up() -> bool:
    return Path(f"/run/multinet-cluster/{NAME}/cluster.json").exists()


@pytest.fixture(scope="session")
def agent_program() -> Path:
    """The agent that the nodes have; a file of tests may have another."""
    return PROGRAMS / "multinet-nodeagent"


@pytest.fixture(scope="session")
def cluster(agent_program: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """The cluster, with the agent on each node."""
    if os.geteuid() != 0:
        pytest.exit("SKIPPED: the end-to-end tests make namespaces and need root", _SKIPPED)
    agent = agent_program
    if not agent.is_file():
        pytest.exit(f"start the agent {agent}: no such file; build it or set MULTINET_BIN", 3)
    if KEEP and _is_up():
        yield Cluster(NAME)
        return
    archives = _images(tmp_path_factory.mktemp("images"))
    images = ["--image", *archives] if archives else []
    _tool("down", "--name", NAME)
    try:
        # Addresses rest for 5 s instead of 60, so that tests see them come back.
        options = ["--agent-arg=--quarantine=5s", "--agent-arg=--metrics-listen=127.0.0.1:9091"]
        arguments = ["--agent", str(agent), *options, *images]
        _tool("up", "--name", NAME, *arguments, timeout=_UP_SECONDS)
        rights.forget(NAME)
        yield Cluster(NAME)
        rights.record(NAME)
    finally:
        if not KEEP:
            _tool("down", "--name", NAME)


@pytest.fixture(scope="session")
def deployed(cluster: Cluster) -> Cluster:
    """The cluster with our CRDs, controller and webhook, all of them at work."""
    for server in _SERVERS:
        program = PROGRAMS / f"multinet-{server}"
        assert program.is_file(), f"start {program}: no such file; build it or set MULTINET_BIN"
    for part in ("crds", "deploy"):
        where = REPOSITORY / part
        assert (where / "kustomization.yaml").is_file(), f"find {part}/kustomization.yaml"

        def applied(where: Path = where) -> str:
            return cluster.kubectl("apply", "--server-side", "-k", str(where))

        cluster.wait(applied, 30, f"kubectl apply -k {part}/")
    for deployment in cluster.items("deployments", _SYSTEM):
        name = deployment["metadata"]["name"]

        def available(name: str = name) -> bool:
            return condition(cluster.json("deployment", name, _SYSTEM), "Available") == "True"

        cluster.wait(available, 60, f"deployment {_SYSTEM}/{name} to be Available")
    # The API server hears of the certificate a little later than the servers are there.
    probe = network("probe", "10.0.0.0/30")
    cluster.wait(lambda: try_out(cluster, probe)[0] == 0, 30, "admission to answer")
    return cluster


@pytest.fixture(scope="session")
def programs() -> Path:
    """Where our programs are."""
    return PROGRAMS


@pytest.fixture(scope="session")
def helm() -> Path:
    """Helm's own program."""
    return gobuild.build((HELM,), Progress())["helm"] / "helm"


@pytest.fixture(scope="session")
def chart(helm: Path) -> str:
    """What Helm makes of deploy/chart."""
    where = ("--namespace", _SYSTEM, "--kube-version", KUBERNETES)
    command = [str(helm), "template", "multinet", str(REPOSITORY / "deploy" / "chart"), *where]
    code, out, err = run_try(command)
    assert code == 0, err
    return out


@pytest.fixture
def namespace(cluster: Cluster, request: pytest.FixtureRequest) -> Iterator[str]:
    """A namespace of this test's own."""
    stem = re.sub(r"[^a-z0-9]+", "-", request.node.name.lower().removeprefix("test_"))
    name = f"t-{stem}"[:50].strip("-")
    meta = {"name": name}
    manifest = json.dumps({"apiVersion": "v1", "kind": "Namespace", "metadata": meta})
    # An earlier test's of this name may be ending.
    cluster.wait(lambda: not cluster.exists("namespace", name), 60, f"namespace {name} to be free")
    cluster.apply(manifest)

    def has_account() -> bool:
        return cluster.exists("serviceaccount", "default", name)

    cluster.wait(has_account, 20, f"the service account of {name}")
    yield name
    empty(cluster, name)
    # Its end takes five seconds more, for which nobody waits.
    cluster.delete("namespace", name, "", "--wait=false")


@pytest.fixture
def networks(deployed: Cluster) -> Iterator[Networks]:
    """What a test adds; removed after it."""
    made = Networks(deployed)
    yield made
    made.remove()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Saves what explains a failure before fixtures clean it away."""
    report = yield
    if report.failed and report.when in ("setup", "call") and _is_up():
        target = ARTIFACTS / re.sub(r"[^\w.-]+", "_", item.name)
        _tool("collect", "--name", NAME, str(target))
        report.sections.append(("evidence", str(target)))
    return report
