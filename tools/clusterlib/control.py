"""Giving orders to a machine's supervisor."""

from __future__ import annotations

import json
import socket
from typing import Any

from clusterlib.errors import ClusterError
from clusterlib.layout import Machine
from clusterlib.waiting import wait_for

_ORDER_SECONDS = 10.0
_START_SECONDS = 15.0


def order(machine: Machine, verb: str, **arguments: str) -> dict[str, Any]:
    """Sends one order and returns the answer; raises ClusterError when it was refused."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(_ORDER_SECONDS)
        try:
            connection.connect(str(machine.control_socket))
            connection.sendall((json.dumps({"verb": verb, **arguments}) + "\n").encode())
            answer = json.loads(connection.makefile("r", encoding="utf-8").readline())
        except (OSError, ValueError) as error:
            raise ClusterError(f"{verb} on machine {machine.host_name}: {error}") from error
    if "error" in answer:
        raise ClusterError(f"machine {machine.host_name}: {answer['error']}")
    return dict(answer)


def component_status(machine: Machine, component: str) -> dict[str, Any]:
    """What the supervisor knows of one program."""
    for entry in order(machine, "status")["components"]:
        if entry["name"] == component:
            return dict(entry)
    raise ClusterError(f"find {component} on machine {machine.host_name}: no such component")


def restart(machine: Machine, component: str) -> dict[str, Any]:
    """Stops a program, waits for its end, starts it again."""
    stop(machine, component)
    return dict(order(machine, "start", component=component)["component"])


def stop(machine: Machine, component: str) -> None:
    """Stops a program and waits for its end."""
    order(machine, "stop", component=component)

    def still_there() -> str | None:
        entry = component_status(machine, component)
        return f"process {entry['pid']} is still there" if entry["pid"] else None

    wait_for(f"the end of {component} on {machine.host_name}", still_there, timeout=25)


def wait_until_up(machine: Machine) -> None:
    """Waits until the machine's supervisor answers."""

    def silent() -> str | None:
        try:
            order(machine, "status")
        except ClusterError as error:
            return str(error)
        return None

    wait_for(f"machine {machine.host_name}", silent, timeout=_START_SECONDS, interval=0.02)
