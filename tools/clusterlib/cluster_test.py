"""Tests of the parts of the cluster tool that only compute. Run: python3 -m pytest tools/clusterlib."""

from __future__ import annotations

import errno
import json
import os
import signal
import socket
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from clusterlib import (  # noqa: E402
    addressing,
    image,
    images,
    interrupts,
    network,
    parts,
    preflight,
    processes,
    space,
    toolchain,
)
from clusterlib.components import Component, MachineSpec, parse_environment_file  # noqa: E402
from clusterlib.errors import EXIT_UNUSABLE, ClusterError, told  # noqa: E402
from clusterlib.gobuild import build_key, linker_flags  # noqa: E402
from clusterlib.layout import Layout  # noqa: E402


@pytest.mark.parametrize("name", ["demo", "e2e", "a", "a-1"])
def test_good_names_pass(name: str) -> None:
    assert addressing.check_name(name) == name


@pytest.mark.parametrize("name", ["", "Demo", "1a", "a-", "../etc", "a/b", "a" * 21])
def test_bad_names_are_refused(name: str) -> None:
    with pytest.raises(ClusterError) as error:
        addressing.check_name(name)
    assert error.value.exit_code == EXIT_UNUSABLE


def test_nodes_have_addresses_of_their_own() -> None:
    all_nodes = [addressing.node_addresses(n) for n in range(1, addressing.MAX_NODES + 1)]
    every = [part for node in all_nodes for part in (*node.node, *node.pod_cidrs)]
    assert len(set(every)) == len(every)
    assert all_nodes[0].node == ("10.90.0.11", "fd90::11")
    with pytest.raises(ClusterError):
        addressing.node_addresses(0)


def test_ports_depend_on_the_name_only() -> None:
    assert addressing.port_candidates("demo") == addressing.port_candidates("demo")
    assert addressing.port_candidates("demo") != addressing.port_candidates("e2e")
    assert all(20000 <= port < 30000 for port in addressing.port_candidates("demo"))


def test_a_taken_port_is_refused_in_one_sentence() -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen(1)
        port = holder.getsockname()[1]
        with pytest.raises(ClusterError, match=f"port {port} is taken"):
            preflight.open_port("demo", port)


def test_too_little_space_is_refused_before_anything_starts(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(space, "_free_mb", lambda _: 1500.0)
    space.check({tmp_path: 1.0})
    with pytest.raises(ClusterError, match=r"has 1\.5 GB free, want 2\.0 GB; free some") as error:
        space.check({tmp_path: 1.0, tmp_path / "not-there": 1.0})
    assert error.value.exit_code == EXIT_UNUSABLE


def test_a_disk_that_filled_up_explains_a_failure(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    failure = ClusterError("wait for the API server: not so after 90 s")
    assert space.explained(failure, [tmp_path]) is failure
    monkeypatch.setattr(space, "_free_mb", lambda _: 3.0)
    assert "the disk is full (3 MB left" in str(space.explained(failure, [tmp_path]))
    interrupt = KeyboardInterrupt()
    assert space.explained(interrupt, [tmp_path]) is interrupt


def test_a_program_that_found_the_disk_full_is_quoted(tmp_path: Path) -> None:
    failure = ClusterError("build x: exit code 1\nwrite a.o: No space left on device\nmore")
    told_now = str(space.explained(failure, [tmp_path]))
    assert told_now.startswith("write a.o: No space left on device; free some space")


def test_a_signal_waits_for_what_must_not_be_cut() -> None:
    done = []
    with pytest.raises(KeyboardInterrupt):
        with interrupts.held_back():
            signal.raise_signal(signal.SIGINT)
            done.append("whole")
    assert done == ["whole"]


def test_a_machine_without_namespaces_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    denied = subprocess.CompletedProcess([], 1, "", "unshare failed: Operation not permitted")
    monkeypatch.setattr(preflight.subprocess, "run", lambda *_, **__: denied)
    with pytest.raises(ClusterError, match="refuses namespaces .*CAP_SYS_ADMIN"):
        preflight._check_namespaces()


def test_a_full_disk_is_a_sentence_with_a_remedy() -> None:
    error = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/var/lib/x")
    assert told(error).startswith("write /var/lib/x: no space left on device; free some space")


def test_routes_lead_to_every_pod_range_of_the_others() -> None:
    node = network.Wired(2, 4711, addressing.node_addresses(2))
    assert network.route_commands([node]) == [
        "route replace 10.91.2.0/24 via 10.90.0.12",
        "route replace fd91:0:0:2::/64 via fd90::12",
    ]
    assert "netns 4711" in network.attach_commands(node)[0]


def test_environment_files_keep_what_follows_the_first_equals_sign() -> None:
    text = "# armed\nA=1\n\n  B = x=y \nbroken\n=no\n"
    assert parse_environment_file(text) == {"A": "1", "B": "x=y"}


def test_a_machine_spec_survives_its_file(tmp_path: Path) -> None:
    spec = MachineSpec("h", "/r", "/v", "/l", "/c", ["/x"], [Component("a", ["/bin/a"])])
    spec.save(tmp_path / "machine.json")
    assert MachineSpec.load(tmp_path / "machine.json") == spec


def test_start_time_is_found_behind_an_odd_program_name() -> None:
    fields = " ".join(str(number) for number in range(4, 53))
    assert processes.start_time(f"12 (a) b) S {fields}") == 22


def test_a_process_is_known_again_and_a_dead_one_is_not() -> None:
    record = processes.identify(os.getpid())
    assert record is not None and record == processes.identify(os.getpid())
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    assert processes.identify(child) is None


@pytest.mark.parametrize(
    ("text", "version"),
    [("go version go1.26.8 linux/amd64", (1, 26, 8)), ("go1.19", (1, 19)), ("1.26.0", (1, 26, 0))],
)
def test_go_versions_are_read(text: str, version: tuple[int, ...]) -> None:
    assert toolchain.parse_version(text) == version


def test_the_toolchain_is_as_new_as_every_module_wants() -> None:
    pinned = toolchain.parse_version(toolchain.wanted_toolchain())
    for part in parts.PARTS:
        for line in (part.directory / "go.mod").read_text().splitlines():
            if line.startswith("go "):
                assert toolchain.parse_version(line) <= pinned, part.name


@pytest.mark.parametrize("part", parts.PARTS, ids=lambda part: part.name)
def test_a_build_is_named_by_its_inputs(part: parts.Part) -> None:
    assert build_key(part, "go1") == build_key(part, "go1")
    assert build_key(part, "go1") != build_key(part, "go2")
    assert "{" not in linker_flags(part)


def test_libraries_are_read_from_ldd() -> None:
    text = (
        "\tlinux-vdso.so.1 (0x1)\n\tlibm.so.6 => /lib/libm.so.6 (0x2)\n"
        "\t/lib64/ld-linux-x86-64.so.2 (0x3)\n"
    )
    assert image.parse_ldd(text) == ["/lib/libm.so.6", "/lib64/ld-linux-x86-64.so.2"]
    with pytest.raises(ClusterError, match="libx.so isn't installed"):
        image.parse_ldd("\tlibx.so => not found\n")


def test_the_same_image_has_the_same_bytes(tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_text("x")
    program.chmod(0o755)
    wanted = image.Image(
        "multinet.dev/x:dev", ["/bin/x"], files={"/bin/x": program}, links={"/bin/y": "x"}
    )
    image.write(wanted, tmp_path / "a.tar")
    os.utime(program, (1, 1))
    image.write(wanted, tmp_path / "b.tar")
    assert (tmp_path / "a.tar").read_bytes() == (tmp_path / "b.tar").read_bytes()
    with tarfile.open(tmp_path / "a.tar") as tar:
        index = json.load(tar.extractfile("index.json"))  # type: ignore[arg-type]
        digest = index["manifests"][0]["digest"].removeprefix("sha256:")
        assert f"blobs/sha256/{digest}" in tar.getnames()


def test_an_image_under_another_reference_is_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MULTINET_CACHE", str(tmp_path / "cache"))
    program = tmp_path / "program"
    program.write_text("x")
    program.chmod(0o755)
    asked = {
        "reference": "a.example.com/x:dev",
        "entrypoint": ["/bin/x"],
        "files": {"/bin/x": program},
    }
    first = images.cached(image.Image(**asked))
    assert images.cached(image.Image(**asked)) == first
    for change in ({"reference": "b.example.com/x:dev"}, {"user": "65532"}, {"texts": {"/a": ""}}):
        other = images.cached(image.Image(**asked | change))
        assert other != first, change
        with tarfile.open(other) as tar:
            index = json.load(tar.extractfile("index.json"))  # type: ignore[arg-type]
        named = index["manifests"][0]["annotations"]["io.containerd.image.name"]
        assert named == (asked | change)["reference"]


def test_a_machine_answers_to_both_of_its_names() -> None:
    layout = Layout("demo")
    assert layout.machine("demo-n1") == layout.machine("n1")
    assert layout.machine("n1").host_name == "demo-n1"
