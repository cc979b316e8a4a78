"""One pass over the chosen runs: what was tried, what came of it, and the summary at the end."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Protocol

from testlib.plan import Run
from testlib.results import Failure, Results, Skip


class Doer(Protocol):
    """What a session lets do; testlib.runner does it for real."""

    def say(self, text: str) -> None:
        ...

    def build(self, tree: str, beside: bool) -> bool:
        """`beside`: at the lowest priority."""
        ...

    def build_cluster_parts(self) -> bool:
        ...

    def test(self, run: Run, beside: bool) -> Results:
        ...


@dataclass
class Session:
    """A row for each step; one that isn't a test counts only when it failed."""

    doer: Doer
    rows: list[tuple[str, Results, float]] = field(default_factory=list)
    _there: dict[str, bool] = field(default_factory=dict)

    def run(self, runs: Iterable[Run]) -> None:
        """A tree that doesn't build is one failure, and the runs that need it are left out."""
        left = deque(runs)
        while left:
            run = left.popleft()
            if not self._can(run):
                continue
            if not run.mostly_waits:
                self._test(run)
                continue
            with ThreadPoolExecutor(1) as elsewhere:
                waiting = elsewhere.submit(self._test, run)
                for later in list(left):
                    if self._can(later, beside=True) and later.times_nothing:
                        self._test(later, beside=True)
                        left.remove(later)
                waiting.result()

    def _can(self, run: Run, beside: bool = False) -> bool:
        """Makes what it needs, once."""
        build = lambda: self.doer.build(run.tree, beside)  # noqa: E731
        missing = f"tree {run.tree} doesn't build"
        if self._have(f"{run.tree} build", build):
            missing = "the cluster's parts don't build"
            if not run.needs_parts or self._have("cluster parts", self.doer.build_cluster_parts):
                return True
        if not beside:
            self.doer.say(f"{run.name} is left out: {missing}, see above")
        return False

    def _test(self, run: Run, beside: bool = False) -> None:
        begin = time.monotonic()
        self._row(run.name, self.doer.test(run, beside), begin)

    @property
    def total(self) -> Results:
        return sum((results for _, results, _ in self.rows), Results())

    @property
    def succeeded(self) -> bool:
        return self.total.passed > 0 and self.total.failed == 0

    def summary(self) -> str:
        total = self.total
        lines = [_told(skip) for skip in total.skips]
        lines += [_reported(failure) for failure in total.failures]
        lines += ["", f"{'RUN':16}{'PASSED':>8}{'FAILED':>8}{'SKIPPED':>9}{'SECONDS':>9}"]
        for name, results, seconds in self.rows:
            counts = f"{results.passed:8}{results.failed:8}{results.skipped:9}"
            lines.append(f"{name:16}{counts}{seconds:9.0f}")
        lines.append(f"{total.passed} passed, {total.failed} failed, {total.skipped} skipped")
        return "\n".join(lines)

    def _have(self, name: str, make: Callable[[], bool]) -> bool:
        if name not in self._there:
            begin = time.monotonic()
            self._there[name] = make()
            self._row(name, Results(failed=0 if self._there[name] else 1), begin)
        return self._there[name]

    def _row(self, name: str, results: Results, begin: float) -> None:
        self.rows.append((name, results, time.monotonic() - begin))


def _told(skip: Skip) -> str:
    several = f" ({skip.times} tests)" if skip.times > 1 else ""
    return f"SKIPPED {skip.test}{several}: {skip.reason}"


def _reported(failure: Failure) -> str:
    """Said once more at the end: of a long run, that is what people see."""
    reason = "".join(f"\n    {line[:300]}" for line in failure.reason.splitlines())
    return f"FAILED {failure.test}{reason}"
