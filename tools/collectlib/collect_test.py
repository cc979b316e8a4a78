"""What is saved, and how the index tells it. Run: python3 -m pytest tools/collectlib."""

from __future__ import annotations

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from collectlib import host, node  # noqa: E402
from collectlib.jobs import INDEX, Job, run, write_index  # noqa: E402


def test_a_command_that_fails_leaves_its_words_and_stops_nothing(tmp_path: Path) -> None:
    jobs = [
        Job(tmp_path / "a", ["bash", "-c", "echo out; echo err >&2; exit 3"]),
        Job(tmp_path / "b", ["/no/such/program"]),
        Job(tmp_path / "deep" / "c", ["echo", "fine"], "shown"),
    ]
    run(jobs)
    assert (tmp_path / "a").read_text() == "out\n"
    assert (tmp_path / "a.error").read_text() == "exit code 3\nerr\n"
    assert "/no/such/program" in (tmp_path / "b.error").read_text()
    assert not (tmp_path / "deep" / "c.error").exists()
    write_index(tmp_path, jobs, ["first: a note"])
    lines = (tmp_path / INDEX).read_text().splitlines()
    assert lines[0] == "first: a note"
    assert "deep/c\t5 bytes\tshown" in lines
    assert [line for line in lines if line.startswith("a.error\t")] != []


def test_every_namespace_is_asked_for_the_same(tmp_path: Path) -> None:
    def enter(argv: list[str]) -> list[str]:
        """A node with one pod and a switch."""
        told = "/run/netns/a\n/run/multinet/switch\n"
        return ["echo", told] if node.NAMESPACES in argv else ["on-the-node", *argv]

    jobs = node.network_jobs(tmp_path, enter)
    files = {str(job.file.relative_to(tmp_path)) for job in jobs}
    for name in node.NETWORK_COMMANDS:
        assert {f"network/{name}", f"pods/a/{name}", f"switch/switch/{name}"} <= files
    assert all(job.argv[0] == "on-the-node" for job in jobs)


def test_the_index_names_the_pod_of_a_namespace(tmp_path: Path) -> None:
    told = {"status": {"metadata": {"namespace": "default", "name": "web"}},
            "info": {"runtimeSpec": {"linux": {"namespaces": [
                {"type": "ipc"}, {"type": "network", "path": "/var/run/netns/cni-1"}]}}}}  # fmt: skip
    (tmp_path / "runtime").mkdir()
    (tmp_path / "runtime" / "s1.json").write_text(json.dumps(told))
    (tmp_path / "runtime" / "agent-info.json").write_text("{}")
    assert node.namespaces_of_pods(tmp_path) == ["pods/cni-1: pod default/web"]


def test_nothing_that_may_hold_a_secret_is_asked_for_on_a_node(tmp_path: Path) -> None:
    asked = " ".join(" ".join(job.argv) for job in host.jobs(tmp_path, "kubeconfig"))
    assert "secret" not in asked
    assert "configmap" not in asked
    assert "describe" not in asked
    assert "get pods -A -o custom-columns" in asked
    assert "get pods -A -o yaml" not in asked
