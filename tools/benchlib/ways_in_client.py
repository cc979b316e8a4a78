"""Client of ways_in.py: connects to a node's ports, or deletes pods and watches their slices. Prints a
line of JSON for each measurement, as the C++ programs of bench do."""

from __future__ import annotations

import http.client
import json
import random
import socket
import ssl
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

CONNECTS = 50
TURNS = 100
PATIENCE = 60.0
PODS = "/api/v1/namespaces/default/pods"
LET_NODES_HEAR = 2.0  # s; kube-proxy acts once a second, and its clients are to have been there
LEAST = 3  # rounds, whatever they take; the one before them warms up


def say(what: str, case: str, value: float) -> None:
    print(json.dumps({"what": what, "case": case, "value": value}), flush=True)


def connects(address: tuple[str, int]) -> float:
    """us each."""
    taken = 0.0
    for _ in range(CONNECTS):
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as client:
            client.settimeout(5)
            begin = time.perf_counter()
            client.connect(address)
            taken += time.perf_counter() - begin
    return taken / CONNECTS * 1e6


def stream(address: tuple[str, int], size: int) -> float:
    """ms for the file."""
    with socket.create_connection(address, timeout=30) as client:
        begin = time.perf_counter()
        client.sendall(b"?")
        buffer, got = bytearray(1 << 20), 0
        while count := client.recv_into(buffer):
            got += count
        if got < size:
            raise SystemExit(f"read {address}: {got} of {size} bytes came")
        return (time.perf_counter() - begin) * 1e3


def rtt(address: tuple[str, int]) -> float:
    """us for a byte there and back, on a connection that stands."""
    with socket.create_connection(address, timeout=30) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client.sendall(b"=")
        begin = time.perf_counter()
        for _ in range(TURNS):
            client.sendall(b".")
            if not client.recv(1):
                raise SystemExit(f"ask {address}: it went away")
        return (time.perf_counter() - begin) / TURNS * 1e6


def wait_for(address: tuple[str, int]) -> None:
    until = time.monotonic() + PATIENCE
    while True:
        try:
            socket.create_connection(address, timeout=1).close()
            return
        except OSError as error:
            if time.monotonic() > until:
                raise SystemExit(f"connect to {address}: {error}") from None
            time.sleep(0.1)


def by_ways(told: dict[str, Any]) -> None:
    ways = {name: (address, port) for name, (address, port) in told["ways"].items()}
    for address in ways.values():
        wait_for(address)
    order = random.Random(1)
    names = list(ways)
    until = time.monotonic() + told["seconds"]
    for number in range(told["rounds"]):
        if number > LEAST and time.monotonic() > until:
            break
        order.shuffle(names)
        for name in names:
            way = ways[name]
            taken = {"connect": connects(way), "rtt": rtt(way)}
            taken["stream"] = stream(way, told["bytes"])
            for what, value in taken.items() if number > 0 else ():
                say(what, name, value)


class Api:
    def __init__(self, told: dict[str, Any]) -> None:
        self._host = urlsplit(told["server"]).netloc
        self._context = ssl.create_default_context(cafile=told["certificate-authority-data"])
        self._context.load_cert_chain(told["client-certificate-data"], told["client-key-data"])
        self._kept = self._connect()  # no call waits for a handshake
        self._kept.connect()

    def _connect(self) -> http.client.HTTPSConnection:
        return http.client.HTTPSConnection(self._host, context=self._context, timeout=PATIENCE)

    def label(self, pod: str, app: str) -> None:
        """Puts a pod behind other services."""
        body = json.dumps({"metadata": {"labels": {"app": app}}})
        self.call("PATCH", f"{PODS}/{pod}", body)

    def call(self, method: str, path: str, body: str | None = None) -> Any:
        kind = {"Content-Type": "application/merge-patch+json"} if body else {}
        self._kept.request(method, path, body, kind)
        answer = self._kept.getresponse()
        told = json.loads(answer.read())
        if answer.status >= 300:
            raise SystemExit(f"{method} {path}: {answer.status} {told.get('message')}")
        return told

    def watch(self, path: str) -> Iterator[Any]:
        connection = self._connect()
        connection.request("GET", f"{path}&watch=1&timeoutSeconds=170")
        answer = connection.getresponse()
        while line := answer.readline():
            yield json.loads(line)["object"]


SERVICES = {"multinet": "bench-goes", "core": "bench-goes-core"}


class Seen:
    """When what was first seen, by pod."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._times: dict[tuple[str, str], float] = {}

    def see(self, what: str, pod: str) -> None:
        now = time.monotonic()
        with self._changed:
            self._times.setdefault((what, pod), now)
            self._changed.notify_all()

    def wait(self, what: str, pod: str) -> float:
        with self._changed:
            if not self._changed.wait_for(lambda: (what, pod) in self._times, PATIENCE):
                raise SystemExit(f"watch {pod}: no {what} within {PATIENCE:.0f} s")
            return self._times[what, pod]


def follow_slices(api: Api, seen: Seen, service: str, case: str) -> None:
    path = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices"
    for one in api.watch(f"{path}?labelSelector=kubernetes.io%2Fservice-name%3D{service}"):
        if one["addressType"] != "IPv4":
            continue
        for endpoint in one.get("endpoints") or []:
            name = endpoint["targetRef"]["name"]
            if endpoint["conditions"]["ready"]:
                seen.see(f"{case} ready", name)
            elif endpoint["conditions"]["terminating"]:
                seen.see(case, name)


class Churn:
    """Pods that come and go behind services, so many times a second together."""

    def __init__(self, told: dict[str, Any]) -> None:
        self._told = told
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._turn, args=(first,), daemon=True) for first in range(2)
        ]
        self.done = 0

    def __enter__(self) -> Churn:
        for one in self._threads:
            one.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for one in self._threads:
            one.join(PATIENCE)

    def _turn(self, first: int) -> None:
        """Each thread has the pods of its own parity."""
        api = Api(self._told)
        pods = range(first, self._told["churning"], 2)
        step = 2 / self._told["changes"]
        due, round_number = time.monotonic(), 0
        while True:
            for pod in pods:
                if self._stop.wait(max(0.0, due - time.monotonic())):
                    return
                due = max(due + step, time.monotonic() - 1)
                api.label(f"bench-churn-{pod}", ("bench-churn", "none")[round_number % 2])
                self.done += 1
            round_number += 1


def delete_in_turn(api: Api, seen: Seen, phase: str, deletions: int) -> None:
    for number in range(deletions):
        name = f"bench-goes-{phase}-{number}"
        api.label(name, "bench-goes")
        for case in SERVICES:
            seen.wait(f"{case} ready", name)
        time.sleep(LET_NODES_HEAR)
        begin = time.monotonic()
        say(f"deleted {phase}", name, begin)
        api.call("DELETE", f"{PODS}/{name}")
        for case in SERVICES:
            say(f"slice {phase}", case, (seen.wait(case, name) - begin) * 1e3)
        time.sleep(0.7)


def by_deletions(told: dict[str, Any]) -> None:
    api, seen = Api(told), Seen()
    for case, service in SERVICES.items():
        follow = (api, seen, service, case)
        threading.Thread(target=follow_slices, args=follow, daemon=True).start()
    for phase in told["phases"]:
        if phase == "idle":
            delete_in_turn(api, seen, phase, told["deletions"])
            continue
        begin = time.monotonic()
        with Churn(told) as churn:
            delete_in_turn(api, seen, phase, told["deletions"])
        say("changes", "a second", churn.done / (time.monotonic() - begin))


if __name__ == "__main__":
    {"connect": by_ways, "delete": by_deletions}[sys.argv[1]](json.loads(sys.argv[2]))
