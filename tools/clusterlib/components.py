"""What a machine runs: the description of its programs, as written to machine.json."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

RARELY_COLLECTED = {"GOGC": "300"}
"""Go's programs spend time on freeing memory, of which a machine has more than of processors."""


@dataclass(frozen=True)
class Component:
    """One program that the machine's supervisor keeps running.

    `listen` is the path of a unix socket, or `listen_fd` the number of an inherited descriptor,
    that the supervisor holds and gives to the program as descriptor 3 with LISTEN_FDS and
    LISTEN_PID, as systemd does: connections wait in its backlog while the program restarts.
    `environment_file` holds KEY=VALUE lines and `arguments_file` further arguments, one a line; both
    are read again at each start.
    """

    name: str
    argv: list[str]
    environment: dict[str, str] = field(default_factory=dict)
    environment_file: str = ""
    arguments_file: str = ""
    listen: str = ""
    listen_fd: int = -1
    restart_seconds: float = 0.5
    autostart: bool = False


@dataclass(frozen=True)
class MachineSpec:
    """Everything the supervisor needs to be one machine."""

    host_name: str
    run: str
    var: str
    logs: str
    control_socket: str
    visible: list[str]
    """Directories under /run or /var that stay visible at their own paths."""
    components: list[Component]

    def save(self, file: Path) -> None:
        file.write_text(json.dumps(asdict(self), indent=2) + "\n")

    @staticmethod
    def load(file: Path) -> MachineSpec:
        raw = json.loads(file.read_text())
        components = [Component(**entry) for entry in raw.pop("components")]
        return MachineSpec(components=components, **raw)


def parse_environment_file(text: str) -> dict[str, str]:
    """Reads KEY=VALUE lines; empty lines and lines that start with # don't count."""
    result = {}
    for line in text.splitlines():
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        key, separator, value = line.partition("=")
        if separator and key.strip():
            result[key.strip()] = value.strip()
    return result
