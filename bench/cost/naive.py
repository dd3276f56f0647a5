"""Compare the daemon with the naive program: the shortest program that does the job once.

The naive program parses a response, reads every target's map, makes a dictionary, dumps it all sorted, and writes a
synced file. It remembers nothing, so it takes the same for any change. Only its CPU counts, without start and imports;
of the daemon everything counts: its start, receiving over gRPC, and saving the state.
"""

import contextlib
import math
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from markdown import NUMBER, TEXT, markdown
from plane import Plane, serving
from watched import Watched, watching

COLD, ONE, ALL = "cold start", "one change", "everything changed"

MANY = 1_000_000
"""With so many targets every step is measured once, and everything changed not at all."""

SECONDS_BETWEEN_CHANGES = 1.2
"""Rapid changes are batched, so each change waits this long for an idle period, in seconds."""

RATIOS = {(100_000, 0, COLD): 0.9, (100_000, 0, ONE): 0.1, (100_000, 0, ALL): 1.3, (100_000, 64, ONE): 0.08}
"""The ratios to reach, by number of targets, of parts, and step."""

MEGABYTES = {(100_000, ONE): 220, (100_000, ALL): 330, (MANY, ONE): 2000}
"""The memory to stay under, by number of targets and step."""

STEP = {"targets": NUMBER, "output": TEXT, "step": TEXT}
"""The columns that name a step."""


@dataclass
class Beside:
    """What one step takes beside the naive program, which runs after each of its repetitions.

    Args:
        targets: how many there are.
        parts: how many parts they are divided into; 0 for a single file.
        step: what happened.
        ours: the CPU of the daemon's process each time, in seconds.
        naive: that of the naive program each time.
        durable: the time from the whole response to the durable file each time, in seconds; empty for many parts.
        memory: the most memory of the daemon so far, in MB.
    """

    targets: int
    parts: int
    step: str
    ours: list[float] = field(default_factory=list)
    naive: list[float] = field(default_factory=list)
    durable: list[float] = field(default_factory=list)
    memory: float = 0.0

    @property
    def ratio(self) -> float:
        """The ratio of the least of both, since whatever else the machine does only adds."""
        return min(self.ours) / min(self.naive)


@dataclass(frozen=True)
class Repetitions:
    """How often each step is measured: a start of a daemon, one change, and a change of everything."""

    starts: int
    changes: int
    everything: int


USUAL, FEW = Repetitions(3, 7, 3), Repetitions(1, 1, 0)


def beside(targets: int, parts: int) -> list[Beside]:
    """Measure a daemon over gRPC, with the naive program after each step."""
    times = FEW if targets >= MANY else USUAL
    cold, one, everything = (Beside(targets, parts, step) for step in (COLD, ONE, ALL))
    with serving(targets, "gRPC") as plane:
        for number in range(times.starts):
            with _started(plane, parts, cold) as (daemon, folder):
                if number == times.starts - 1:
                    for _ in range(times.changes):
                        _change(daemon, plane, folder, one, 1)
                    for _ in range(times.everything):
                        _change(daemon, plane, folder, everything, targets)
    return [step for step in (cold, one, everything) if step.ours]


@contextlib.contextmanager
def _started(plane: Plane, parts: int, cold: Beside) -> Iterator[tuple[Watched, Path]]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = [f"--output-file={folder}/targets.json"]
        if parts:
            path = [f"--output-file={folder}/{{part}}/targets.json", f"--file-sd-parts={parts}"]
        with watching(folder, f"--cp-address={plane.url}", "--max-message-size=1GiB", *path) as daemon:
            # Parts are made empty before anything is received.
            daemon.until("received")
            daemon.until("durable")
            cold.ours.append(daemon.settle())
            cold.naive.append(plane.naive(folder / "naive.json"))
            cold.memory = daemon.memory()
            yield daemon, folder


def _change(daemon: Watched, plane: Plane, folder: Path, step: Beside, count: int) -> None:
    time.sleep(SECONDS_BETWEEN_CHANGES)
    before = daemon.settle()
    daemon.forget()
    plane.change(count)
    moments = daemon.until("durable")
    step.ours.append(daemon.settle() - before)
    step.naive.append(plane.naive(folder / "naive.json"))
    step.memory = daemon.memory()
    if count == 1:
        step.durable.append(moments["durable"] - moments["received"])


def table(steps: Sequence[Beside]) -> str:
    """Return a table in Markdown."""
    numbers = ("CPU, s", "naive, s", "ratio", "to file, s", "most memory, MB")
    rows = []
    for step in steps:
        durable = f"{min(step.durable):.2f}" if step.durable else ""
        figures = f"{min(step.ours):.2f} | {min(step.naive):.2f} | {step.ratio:.2f} | {durable} | {step.memory:.0f}"
        rows.append(f"{_named(step)} | {figures}")
    return markdown(STEP | dict.fromkeys(numbers, NUMBER), rows)


def missed(steps: Sequence[Beside]) -> str:
    """Return a table of the goals that were not reached, in Markdown."""
    rows = []
    for step in steps:
        ratio = RATIOS.get((step.targets, step.parts, step.step), math.inf)
        memory = MEGABYTES.get((step.targets, step.step), math.inf)
        # As precise as the table shows them.
        if round(step.ratio, 2) > ratio:
            rows.append(f"{_named(step)} | ratio | {ratio} | {step.ratio:.2f}")
        if round(step.memory) > memory:
            rows.append(f"{_named(step)} | most memory, MB | {memory} | {step.memory:.0f}")
    return markdown(STEP | {"of": TEXT, "goal": NUMBER, "measured": NUMBER}, rows)


def _named(step: Beside) -> str:
    return f"{step.targets:,} | {f'{step.parts} parts' if step.parts else 'single file'} | {step.step}"
