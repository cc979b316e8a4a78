"""A cluster as a whole: up, down, and what is known of one that runs."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from clusterlib import collect, disposal, gobuild, interrupts, preflight, processes, space
from clusterlib.addressing import check_name
from clusterlib.api import Api
from clusterlib.bringup import BringUp, Wish
from clusterlib.errors import EXIT_UNUSABLE, ClusterError
from clusterlib.gobuild import Programs
from clusterlib.layout import RUN_ROOT, Layout, Machine, cache_root
from clusterlib.objects import Objects
from clusterlib.progress import Progress


class Cluster:
    """A cluster that is up, as its record describes it."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        try:
            record = json.loads(layout.cluster_file.read_text())
        except FileNotFoundError as error:
            raise ClusterError(
                f"find cluster {layout.name}: it isn't up; start it with "
                f"tools/cluster up --name {layout.name}"
            ) from error
        self.port = int(record["port"])
        self.agent = str(record["agent"])
        self.nodes: list[str] = record["nodes"]
        self.programs = Programs(**{key: Path(value) for key, value in record["programs"].items()})

    def api(self) -> Api:
        return Api(self.layout, self.port)

    def objects(self) -> Objects:
        return Objects(self.port, self.layout.pki)

    def machines(self) -> list[Machine]:
        names = ["cp", *self.nodes]
        return [self.layout.machine(name) for name in names]

    def machine(self, name: str) -> tuple[Machine, int]:
        """A machine by its short or long name, and its process 1."""
        machine = self.layout.machine(name)
        if machine.name not in ("cp", *self.nodes):
            known = ", ".join(["cp", *self.nodes])
            raise ClusterError(f"find machine {name!r}: cluster {self.layout.name} has {known}")
        pid = processes.alive(machine)
        if pid is None:
            raise ClusterError(f"enter machine {machine.host_name}: it doesn't run any more")
        return machine, pid


@contextlib.contextmanager
def _locked(layout: Layout) -> Iterator[None]:
    """One `up` or `down` at a time for a name."""
    descriptor = _lock(layout)
    try:
        yield
    finally:
        layout.lock_file.unlink(missing_ok=True)
        os.close(descriptor)
        with contextlib.suppress(OSError):
            RUN_ROOT.rmdir()  # once the last cluster is gone


def _lock(layout: Layout) -> int:
    while True:
        RUN_ROOT.mkdir(parents=True, exist_ok=True)
        try:
            descriptor = os.open(layout.lock_file, os.O_RDWR | os.O_CREAT, 0o644)
        except FileNotFoundError:
            continue  # another's end removed the directory
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(descriptor)
            raise ClusterError(
                f"change cluster {layout.name}: another up or down of it is under way",
                EXIT_UNUSABLE,
            ) from error
        if _names(layout.lock_file, descriptor):
            return descriptor
        os.close(descriptor)  # who held it has removed the file: a lock on it keeps nobody out


def _names(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def check_not_up(layout: Layout) -> None:
    """Refuses a second start under one name."""
    if layout.cluster_file.exists() and disposal.is_whole(layout):
        raise ClusterError(
            f"start cluster {layout.name}: it is up already; end it with "
            f"tools/cluster down --name {layout.name}",
            EXIT_UNUSABLE,
        )


def up(name: str, wish: Wish, progress: Progress) -> Cluster:
    """Starts a cluster; when that fails or is interrupted, nothing of it stays."""
    layout = Layout(check_name(name))
    preflight.check_machine()
    with _locked(layout):
        check_not_up(layout)
        if disposal.remove(layout):
            progress.say(f"removed what an earlier run of cluster {name} left")
        try:
            # Before the build, which can take minutes.
            listener = preflight.open_port(name, wish.port)
            programs = gobuild.build_all(progress)
            BringUp(layout, wish, listener, programs, progress).run()
        except BaseException as error:
            told = space.explained(error, (layout.data, cache_root()))
            with interrupts.held_back():
                if isinstance(told, Exception) and layout.data.exists():
                    _save_evidence(layout, progress)
                disposal.remove(layout)
            if told is error:
                raise
            raise told from error
    return Cluster(layout)


def _save_evidence(layout: Layout, progress: Progress) -> None:
    """Keeps the logs of a start that failed, outside of what is removed."""
    target = cache_root() / "failed" / layout.name
    try:
        collect.copy_logs(layout, target)
        progress.say(f"failed; the logs are in {target}")
    except OSError as error:
        shutil.rmtree(target, ignore_errors=True)
        progress.say(f"failed; the logs couldn't be kept: {error.strerror or 'not all was copied'}")


def down(name: str) -> bool:
    """Ends a cluster and removes all that it was; says whether there was one."""
    if os.geteuid() != 0:
        raise ClusterError("end a cluster: this needs root; use sudo", EXIT_UNUSABLE)
    layout = Layout(check_name(name))
    with _locked(layout):
        return disposal.remove(layout)
