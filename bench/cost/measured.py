"""Measure the cost of one configuration with a number of targets."""

import contextlib
import statistics
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from plane import Plane, serving
from watched import Watched, watching

RULES = """\
- {action: replace, source_labels: [mesh, service], separator: /, target_label: job}
- {action: keep, source_labels: [__address__], regex: .+}
- {action: replace, source_labels: [__address__], regex: '(.+):[0-9]+', target_label: host}
- {action: labelmap, regex: 'k8s_kuma_io_(.+)', replacement: pod_$1}
- {action: labeldrop, regex: 'team_.*'}
"""


@dataclass(frozen=True)
class Case:
    """One configuration.

    Args:
        targets: how many there are.
        protocol: gRPC or HTTP.
        form: JSON or YAML.
        rules: how many relabelling rules there are, 0 or 5.
    """

    targets: int
    protocol: str = "gRPC"
    form: str = "JSON"
    rules: int = 0

    @property
    def plain(self) -> bool:
        """Whether it is JSON without rules."""
        return self.form == "JSON" and not self.rules

    def __str__(self) -> str:
        rules = f", {self.rules} rules" if self.rules else ""
        return f"{self.targets:,}, {self.protocol}, {self.form}{rules}"


@dataclass
class Cost:
    """The cost of one step.

    Args:
        case: the configuration.
        step: what happened.
        seconds: from response received to file durable, each time; empty where no file is written.
        floors: the floor of each.
        cpu: what the whole process used each time, in seconds.
        memory: the most memory so far, in MB.
    """

    case: Case
    step: str
    seconds: list[float] = field(default_factory=list)
    floors: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    memory: float = 0.0

    @property
    def ratio(self) -> float:
        """The median ratio of a time to its floor."""
        return statistics.median(took / floor for took, floor in zip(self.seconds, self.floors, strict=True))


class Measurement:
    """One daemon and one control plane.

    Args:
        case: the configuration.
        plane: the control plane.
        path: the file that the daemon writes.
    """

    def __init__(self, case: Case, plane: Plane, path: Path) -> None:
        self._case = case
        self._plane = plane
        self._path = path

    def run(self, daemon: Watched, pairs: int) -> list[Cost]:
        """Take all steps."""
        targets = self._case.targets
        cold = Cost(self._case, "cold start")
        self._file(daemon, cold, 0.0)
        costs = [cold]
        for step, count, times in (
            ("one change", 1, pairs),
            ("1 % changed", max(1, targets // 100), min(3, pairs)),
            ("everything changed", targets, min(3, pairs)),
        ):
            cost = Cost(self._case, step)
            for _ in range(times):
                # Rapid changes are batched; each of these comes after an idle period.
                time.sleep(1.2)
                self._step(daemon, cost, count)
            costs.append(cost)
        return [*costs, self._reconnect(daemon)]

    def single(self, daemon: Watched, changes: int) -> list[float]:
        """Make single changes, and return how long each took to the file, in seconds."""
        daemon.until("durable")
        daemon.settle()
        seconds = []
        for _ in range(changes):
            time.sleep(1.2)
            daemon.forget()
            self._plane.change(1)
            moments = daemon.until("durable")
            seconds.append(moments["durable"] - moments["received"])
        return seconds

    def _step(self, daemon: Watched, cost: Cost, count: int) -> None:
        used = daemon.settle()
        daemon.forget()
        self._plane.change(count)
        self._file(daemon, cost, used)

    def _file(self, daemon: Watched, cost: Cost, used: float) -> None:
        moments = daemon.until("durable")
        cost.seconds.append(moments["durable"] - moments["received"])
        cost.cpu.append(daemon.settle() - used)
        cost.memory = daemon.memory()
        cost.floors.append(self._plane.least(self._path).seconds)

    def _reconnect(self, daemon: Watched) -> Cost:
        used = daemon.settle()
        daemon.forget()
        self._plane.restart()
        daemon.until("received")
        return Cost(self._case, "reconnect", cpu=[daemon.settle() - used], memory=daemon.memory())


def measured(case: Case, pairs: int) -> list[Cost]:
    """Measure one configuration."""
    with _running(case) as (measurement, daemon):
        return measurement.run(daemon, pairs)


def tail(case: Case, changes: int) -> list[float]:
    """Return the time to the file for each of this many single changes, in seconds; each comes after an idle period."""
    with _running(case) as (measurement, daemon):
        return measurement.single(daemon, changes)


@contextlib.contextmanager
def _running(case: Case) -> Iterator[tuple[Measurement, Watched]]:
    with tempfile.TemporaryDirectory() as name, serving(case.targets, case.protocol) as plane:
        folder = Path(name)
        path = folder / f"targets.{'json' if case.form == 'JSON' else 'yml'}"
        # A million targets are larger than the default.
        flags = [f"--cp-address={plane.url}", f"--output-file={path}", "--max-message-size=1GiB"]
        if case.rules:
            (folder / "rules.yml").write_text(RULES)
            flags += ["--transform=rules=relabel", f"--rules-rules={folder / 'rules.yml'}"]
        measurement = Measurement(case, plane, path)
        with watching(folder, *flags) as daemon:
            yield measurement, daemon
