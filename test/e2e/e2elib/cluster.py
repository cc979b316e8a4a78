"""A cluster that is up, as tests use it, through the programs that a person would use."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

REPOSITORY = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(REPOSITORY / "tools"))

from clusterlib import bringup, control, node as node_parts  # noqa: E402
from clusterlib.cluster import Cluster as Record  # noqa: E402
from clusterlib.inside import enter  # noqa: E402
from clusterlib.layout import Layout  # noqa: E402
from e2elib.waiting import wait_until  # noqa: E402

Value = TypeVar("Value")
COMMAND_SECONDS = 60
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# Services are translated where a control group of pods says so.
_ENTER = """
group=$(sed -n s/^0:://p "/proc/$1/cgroup")
for root in /sys/fs/cgroup/unified /sys/fs/cgroup; do
  procs=$root$group/cgroup.procs
  if [ -e "$procs" ]; then echo $$ >"$procs" && break; fi
done
target=$1
shift
exec nsenter --target="$target" --mount --uts --ipc --net --pid -- "$@"
"""
_TASKS = "/run/containerd/io.containerd.runtime.v2.task/k8s.io"
AGENT_SOCKET = node_parts.AGENT_SOCKET
RUNTIME_SOCKET = node_parts.RUNTIME_SOCKET


class CommandFailed(RuntimeError):
    """A command that ended with an error; the message holds all that it said."""


class Cluster:
    """Commands on a cluster, its machines, its pods. Nodes have the names that Kubernetes uses."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.record = Record(Layout(name))
        self.nodes = [self.record.layout.machine(entry).host_name for entry in self.record.nodes]
        self.kubeconfig = self.record.layout.kubeconfig
        self._objects = self.record.objects()

    # Kubernetes

    def kubectl_try(
        self, *args: str, stdin: str | None = None, kubeconfig: Path | None = None
    ) -> tuple[int, str, str]:
        """Exit code, output and errors of kubectl, as administrator or as who the file says."""
        program = str(self.record.programs.kubernetes / "kubectl")
        who = [f"--kubeconfig={kubeconfig or self.kubeconfig}"]
        # The address in a node's file is only good inside the cluster's namespaces.
        where = [f"--server=https://127.0.0.1:{self.record.port}"]
        return run_try([program, *who, *where, *args], stdin)

    def kubectl(self, *args: str, stdin: str | None = None) -> str:
        code, out, err = self.kubectl_try(*args, stdin=stdin)
        if code != 0:
            raise CommandFailed(f"kubectl {' '.join(args)}: exit code {code}: {err.strip() or out}")
        return out

    def apply(self, manifest: str) -> str:
        code, out, err = self.apply_try(manifest)
        if code != 0:
            raise CommandFailed(f"kubectl apply: exit code {code}: {err.strip() or out}")
        return out

    def apply_try(self, manifest: str) -> tuple[int, str, str]:
        said = self._objects.create(manifest)
        if said is not None:
            return said.code, said.out, said.err
        return self.kubectl_try("apply", "-f", "-", stdin=manifest)

    def try_out(self, manifest: str) -> tuple[int, str]:
        """Whether the server would create it, without keeping it, and all that it says."""
        said = self._objects.create(manifest, dry_run=True)
        if said is not None:
            return said.code, said.err
        code, _, err = self.kubectl_try("create", "--dry-run=server", "-f", "-", stdin=manifest)
        return code, err

    def delete(self, kind: str, name: str, namespace: str = "", *more: str) -> None:
        """Deletes and waits until the object is gone; one that isn't there is fine."""
        end = self._end(kind, name, namespace, more)
        if end is None:
            self.kubectl("delete", kind, name, "--ignore-not-found", *_namespace(namespace), *more)
            return
        uid, timeout = end
        if uid and "--wait=false" not in more:
            what = f"{kind} {namespace}/{name} to be gone"
            wait_until(lambda: self._is_gone(kind, name, namespace, uid), timeout, what, 0.1)

    def _end(
        self, kind: str, name: str, namespace: str, more: Sequence[str]
    ) -> tuple[str, float] | None:
        """Begins the end of what has a name of its own; its UID, and how long it may take."""
        options = dict(one.removeprefix("--").split("=", 1) for one in more if "=" in one)
        seconds = options.pop("grace-period", None)
        timeout = options.pop("timeout", f"{COMMAND_SECONDS}s")
        options.pop("wait", None)
        if options or len(more) > sum("=" in one for one in more) or name.startswith("-"):
            return None
        grace = None if seconds is None else int(seconds)
        uid = self._objects.delete(kind, name, namespace, grace)
        return None if uid is None else (uid, float(timeout.removesuffix("s")))

    def _is_gone(self, kind: str, name: str, namespace: str, uid: str) -> bool:
        try:
            return bool(self.json(kind, name, namespace)["metadata"]["uid"] != uid)
        except CommandFailed as error:
            if "NotFound" in str(error):
                return True
            raise

    def json(self, kind: str, name: str = "", namespace: str = "") -> Any:
        """One object, or without a name a list of all in the namespace (empty: in all of them)."""
        try:
            found = self._objects.get(kind, name, namespace)
        except LookupError as error:
            raise CommandFailed(str(error)) from None
        if found is not None:
            return found
        where = _namespace(namespace) if namespace else [] if name else ["--all-namespaces"]
        which = [kind, name] if name else [kind]
        return json.loads(self.kubectl("get", *which, *where, "-o", "json"))

    def items(self, kind: str, namespace: str = "") -> list[dict[str, Any]]:
        return list(self.json(kind, namespace=namespace)["items"])

    def exists(self, kind: str, name: str, namespace: str = "") -> bool:
        try:
            if self._objects.get(kind, name, namespace) is not None:
                return True
        except LookupError:
            return False
        which = (kind, name, *_namespace(namespace))
        return bool(self.kubectl("get", *which, "--ignore-not-found", "-o", "name").strip())

    def has_kind(self, plural: str) -> bool:
        """Whether the API server serves this kind of ours."""
        return self.exists("crd", f"{plural}.multinet.dev")

    def wait(self, ready: Callable[[], Value], timeout: float, what: str) -> Value:
        return wait_until(ready, timeout, what)

    def wait_pod_ready(self, name: str, namespace: str, timeout: float = 40) -> dict[str, Any]:
        """Waits for the condition Ready and returns the pod."""

        def ready() -> dict[str, Any] | None:
            pod = self.json("pod", name, namespace)
            if condition(pod, "Ready") == "True":
                return dict(pod)
            raise AssertionError(str(pod["status"].get("phase")))

        try:
            return wait_until(ready, timeout, f"pod {namespace}/{name} to be Ready", 0.4)
        except AssertionError as error:
            raise AssertionError(f"{error}: {self.pod_story(name, namespace)}") from None

    def pod_events(self, name: str, namespace: str) -> list[str]:
        """A pod's Events as `reason: message`."""
        found = self._objects.get(
            "events", "", namespace, fieldSelector=f"involvedObject.name={name}"
        )
        if found is None:
            raise CommandFailed(f"list the Events of pod {namespace}/{name}: no answer")
        return [f"{one.get('reason')}: {one.get('message')}" for one in found["items"]]

    def pod_story(self, name: str, namespace: str) -> str:
        """The last events of a pod, to explain why it isn't what it should be."""
        return "; ".join(self.pod_events(name, namespace)[-3:]) or "no events"

    def pod_exec(self, namespace: str, pod: str, *command: str) -> str:
        return self.kubectl("exec", "-n", namespace, pod, "--", *command)

    def pod_exec_try(self, namespace: str, pod: str, *command: str) -> tuple[int, str, str]:
        return self.kubectl_try("exec", "-n", namespace, pod, "--", *command)

    def pod_run(self, namespace: str, pod: str, *command: str) -> str:
        code, out, err = self.pod_run_try(namespace, pod, *command)
        if code != 0:
            raise CommandFailed(f"{' '.join(command)} in {pod}: exit code {code}: {err or out}")
        return out

    def pod_run_try(self, namespace: str, pod: str, *command: str) -> tuple[int, str, str]:
        """In the namespaces and the group of a pod's first container, as its root with all rights, past API server,
        kubelet and runtime: for who asks often and isn't about them."""
        place = self._process(namespace, pod)
        if place is None:
            return self.pod_exec_try(namespace, pod, *command)
        node, pid = place
        environment = ("env", "-i", f"PATH={_PATH}", "HOME=/")
        code, out, err = self.node_exec_try(
            node, "sh", "-c", _ENTER, "sh", str(pid), *environment, *command
        )
        return 128 - code if code < 0 else code, out, err  # a signal's, as a shell tells it

    def _process(self, namespace: str, pod: str) -> tuple[str, int] | None:
        """Where it runs, and its first container's process there; None where it doesn't run."""
        found = self.json("pod", pod, namespace)
        told = found["status"].get("containerStatuses") or [{}]
        container = str(told[0].get("containerID", "")).removeprefix("containerd://")
        if not container or "running" not in told[0].get("state", {}):
            return None
        node = found["spec"]["nodeName"]
        try:
            return node, int(self.node_file(node, f"{_TASKS}/{container}/init.pid").read_text())
        except (FileNotFoundError, ValueError):
            return None

    # Machines

    def node_exec_try(self, node: str, *command: str) -> tuple[int, str, str]:
        """Runs a command in all namespaces of a node (or of `cp`)."""
        _, pid = self.record.machine(node)
        environment = {
            "PATH": self.record.programs.path(),
            "HOME": "/root",
            "CONTAINER_RUNTIME_ENDPOINT": f"unix://{RUNTIME_SOCKET}",
        }
        return run_try(enter(pid, command), None, environment)

    def node_exec(self, node: str, *command: str) -> str:
        code, out, err = self.node_exec_try(node, *command)
        if code != 0:
            raise CommandFailed(f"{' '.join(command)} on {node}: exit code {code}: {err or out}")
        return out

    def node_begin(self, node: str, command: Sequence[str], log: Path) -> subprocess.Popen[bytes]:
        """Begins a program in all namespaces of a node; who begins it ends it."""
        _, pid = self.record.machine(node)
        with log.open("wb") as out:
            return subprocess.Popen(
                enter(pid, command), stdin=subprocess.DEVNULL, stdout=out, stderr=out
            )

    def node_kubeconfig(self, node: str) -> Path:
        """The kubelet's own, which is also the agent's."""
        return self.record.layout.machine(node).etc / "kubelet.kubeconfig"

    def node_file(self, node: str, path: str) -> Path:
        """A file below /run or /var of a node, seen from outside."""
        machine = self.record.layout.machine(node)
        if path.startswith("/run/"):
            return machine.run / path.removeprefix("/run/")
        assert path.startswith("/var/"), f"find {path}: want a path below /run or /var"
        return machine.var / path.removeprefix("/var/")

    def log(self, node: str, component: str) -> str:
        return (self.record.layout.machine(node).logs / f"{component}.log").read_text()

    def load_images(self, archives: Sequence[Path]) -> None:
        """Images that pods of every node may have, besides those that each cluster begins with."""
        for name in self.record.nodes:
            bringup.load_images(self.record.layout.machine(name), archives)

    # The programs of a machine

    def agent_env(self, node: str, text: str) -> None:
        """Replaces the agent's environment; it is read when the agent starts."""
        self.record.layout.machine(node).agent_environment.write_text(text)

    def arm_agent(self, node: str, failpoints: str) -> int:
        """Starts the agent with failpoints, of which its successor knows nothing. Returns where in
        its log that life begins. The old one ends cleanly: crashes would count for safe mode."""
        self.agent_env(node, f"MULTINET_FAILPOINTS={failpoints}\n")
        mark = len(self.log(node, "agent"))
        self.restart_agent(node)
        wait_until(
            lambda: " serving " in self.log(node, "agent")[mark:], 20, f"the agent on {node}"
        )
        self.agent_env(node, "")
        return mark

    def component(self, node: str, name: str) -> dict[str, Any]:
        """What the supervisor knows: pid, starts, wanted, last_end."""
        return control.component_status(self.record.layout.machine(node), name)

    def start(self, node: str, name: str) -> None:
        control.order(self.record.layout.machine(node), "start", component=name)

    def stop(self, node: str, name: str) -> None:
        control.stop(self.record.layout.machine(node), name)

    def kill_for_good(self, node: str, *names: str) -> None:
        """Ends programs at once, without a chance to clean up, and starts none of them again."""
        machine = self.record.layout.machine(node)
        for name in names:
            control.order(machine, "kill", component=name, signal="SIGSTOP")
            control.order(machine, "stop", component=name)  # wanted no more; it can't act on it
            control.order(machine, "kill", component=name, signal="SIGKILL")
        for name in names:
            wait_until(lambda name=name: not self.component(node, name)["pid"], 15, f"{name}'s end")

    def restart(self, node: str, name: str) -> None:
        control.restart(self.record.layout.machine(node), name)

    def restart_api_server(self, *arguments: str) -> None:
        """Starts the API server anew, with these arguments beside its own; without any as it was."""
        layout = self.record.layout
        layout.control_plane().api_server_arguments.write_text(
            "".join(f"{one}\n" for one in arguments)
        )
        self.restart("cp", "kube-apiserver")
        api = self.record.api()
        self.wait(lambda: api.not_ready() is None, 60, "the API server")

    def restart_agent(self, node: str) -> None:
        self.restart(node, "agent")

    def kill(self, node: str, name: str, signal: str = "SIGKILL") -> None:
        """Sends a signal and, when it kills, waits until another process has taken over."""
        before = self.component(node, name)["pid"]
        control.order(self.record.layout.machine(node), "kill", component=name, signal=signal)

        def replaced() -> bool:
            return self.component(node, name)["pid"] not in (before, 0, None)

        wait_until(replaced, 15, f"a new {name} on {node}")


def _namespace(namespace: str) -> list[str]:
    return ["-n", namespace] if namespace else []


def condition(thing: dict[str, Any], kind: str) -> str:
    """The status of a condition: True, False, Unknown, or missing."""
    for entry in thing.get("status", {}).get("conditions", []):
        if entry["type"] == kind:
            return str(entry["status"])
    return "missing"


def run_try(
    command: Sequence[str], stdin: str | None = None, environment: dict[str, str] | None = None
) -> tuple[int, str, str]:
    """Exit code, output, errors; a command that takes too long counts as failed with 124."""
    try:
        done = subprocess.run(
            list(command),
            input=stdin if stdin is not None else "",
            env=environment,
            capture_output=True,
            text=True,
            timeout=COMMAND_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return 124, "", f"{command[0]}: no end within {COMMAND_SECONDS} s"
    return done.returncode, done.stdout, done.stderr
