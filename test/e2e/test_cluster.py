"""The cluster tool itself: whatever happens to a start, nothing of it stays on the machine."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from e2elib.cluster import REPOSITORY
from e2elib.waiting import wait_until

NAME = "verbs"
TOOL = str(REPOSITORY / "tools" / "cluster")
COLLECT = str(REPOSITORY / "tools" / "collect")
UP = [TOOL, "up", "--name", NAME, "--nodes", "1"]
_SECONDS = 120
_UNUSABLE = 2
_INTERRUPTED = 130


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_SECONDS,
        check=False,
    )  # fmt: skip


def tool(*arguments: str) -> subprocess.CompletedProcess[str]:
    return run(TOOL, *arguments)


def printed(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def host() -> dict[str, str]:
    """What a start must not change in the host's own network namespace and mounts."""
    return {
        "links": printed("ip", "-o", "link"),
        "addresses": printed("ip", "-o", "addr", "show", "scope", "global"),
        "routes": printed("ip", "route", "show", "table", "all"),
        "rules": printed("nft", "list", "ruleset"),
        "forwarding": Path("/proc/sys/net/ipv4/ip_forward").read_text(),
        "namespaces": printed("ip", "netns", "list"),
        "mounts": Path("/proc/mounts").read_text(),
    }


def left_over() -> list[str]:
    """Directories, processes, cgroups that bear the cluster's name."""
    found = [
        str(path)
        for root in ("/run/multinet-cluster", "/var/lib/multinet-cluster")
        for path in [Path(root) / NAME]
        if path.exists()
    ]
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            command = (entry / "cmdline").read_bytes().decode(errors="replace")
        except OSError:
            continue  # it has ended
        if f"multinet-cluster/{NAME}/" in command:
            found.append(f"process {entry.name}: {command[:80]}")
    found += [str(path) for path in Path("/sys/fs/cgroup").rglob(f"*{NAME}-n1*") if path.is_dir()]
    return found


@pytest.fixture(autouse=True)
def clean_host() -> Iterator[None]:
    if os.geteuid() != 0:
        pytest.exit("SKIPPED: the end-to-end tests make namespaces and need root", 77)
    tool("down", "--name", NAME)
    before = host()
    yield
    tool("down", "--name", NAME)
    assert left_over() == []
    assert host() == before


def starting(step: str) -> subprocess.Popen[str]:
    """An `up` in a group of its own that has come to a step."""
    process = subprocess.Popen(
        UP, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        start_new_session=True,
    )  # fmt: skip
    assert process.stderr is not None
    for line in process.stderr:
        if step in line:
            return process
    raise AssertionError(f"up ended with {process.wait()} before {step!r}")


def test_up_status_collect_down(tmp_path: Path) -> None:
    begin, lock = time.monotonic(), str(tmp_path / "lock")
    started = run("flock", lock, *UP)
    assert started.returncode == 0, started.stderr
    print(f"up took {time.monotonic() - begin:.1f} s")
    assert run("flock", "-n", lock, "true").returncode == 0, "the machines keep the caller's lock"
    again = tool(*UP[1:])
    assert again.returncode == _UNUSABLE
    assert f"cluster {NAME}: it is up already" in again.stderr
    status = tool("status", "--name", NAME)
    assert status.returncode == 0, status.stdout
    assert "API server: ready" in status.stdout
    assert "kubelet.log" in tool("logs", "--name", NAME).stdout
    saved = tool("collect", "--name", NAME, str(tmp_path / "all"))
    assert saved.returncode == 0, saved.stderr
    for file in ("core.yaml", "events.txt", "n1/log/kubelet.log", "n1/network/link", "INDEX.txt"):
        assert (tmp_path / "all" / file).is_file(), file
    index = (tmp_path / "all" / "INDEX.txt").read_text()
    assert "n1/network/nft\t" in index
    assert ": pod kube-system/coredns-" in index
    # As a person does on a node of any cluster.
    report = tool(
        "node-exec", "--name", NAME, "n1", "--", COLLECT, "--output=/run/report.tar.gz"
    )  # fmt: skip
    assert report.returncode == 0, report.stderr
    with tarfile.open(f"/run/multinet-cluster/{NAME}/n1/run/report.tar.gz") as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"INDEX.txt", "network/link", "network/nft", "runtime/pods", "system/boot-id"} <= names
    assert [name for name in names if name.startswith("pods/") and name.endswith("/route4")] != []
    assert "is gone" in tool("down", "--name", NAME).stdout
    assert "wasn't there" in tool("down", "--name", NAME).stdout


def test_ctrl_c_leaves_nothing() -> None:
    process = starting("start the control plane")
    os.killpg(process.pid, signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == _INTERRUPTED
    assert left_over() == []


def test_what_a_killed_start_left_is_found_and_removed() -> None:
    process = starting("wait for nodes")
    process.kill()
    process.communicate(timeout=60)
    assert left_over() != [], "the machines outlive who started them"
    gone = tool("down", "--name", NAME)
    assert gone.returncode == 0, gone.stderr

    def nothing() -> bool:
        assert left_over() == []
        return True

    wait_until(nothing, 20, "nothing to be left")


def test_a_taken_port_is_one_clear_sentence() -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen(1)
        port = str(holder.getsockname()[1])
        refused = tool(*UP[1:], "--port", port)
    assert refused.returncode == _UNUSABLE
    assert f"port {port} is taken; choose a free one with --port" in refused.stderr
    assert "Traceback" not in refused.stderr
