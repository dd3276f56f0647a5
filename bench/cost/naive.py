"""Compare the daemon with the naive program: the shortest program that does the job once.

The naive program parses a response, reads every target's map, makes a dictionary, dumps it all sorted, and writes a
synced file. It remembers nothing, so it takes the same for any change. Only its CPU counts, without start and imports.
"""

import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from markdown import NUMBER, TEXT, markdown
from plane import Plane, serving
from watched import Watched, watching

CHANGES = 5
EVERYTHING = 3
SECONDS_BETWEEN_CHANGES = 1.2
"""Rapid changes are batched, so each change waits this long for an idle period, in seconds."""


@dataclass(frozen=True)
class Beside:
    """What the daemon takes beside the naive program, in one run.

    Args:
        targets: how many there are.
        parts: how many parts they are divided into; 0 for a single file.
        naive: the CPU of the naive program, in seconds.
        steps: the CPU of the daemon's process at each step, in seconds.
        memory: the most memory after each step, in MB.
    """

    targets: int
    parts: int
    naive: float
    steps: dict[str, float]
    memory: dict[str, float]


def beside(targets: int, parts: int) -> Beside:
    """Measure a daemon over gRPC, with the naive program before and after it."""
    with tempfile.TemporaryDirectory() as name, serving(targets, "gRPC") as plane:
        folder = Path(name)
        yardsticks = [plane.naive(folder / "naive.json")]
        directory = f"{folder}/{{part}}" if parts else str(folder)
        flags = [f"--cp-address={plane.url}", f"--output-file={directory}/targets.json"]
        with watching(folder, *flags, *([f"--file-sd-parts={parts}"] if parts else [])) as daemon:
            steps, memory = _steps(daemon, plane, targets)
        yardsticks.append(plane.naive(folder / "naive.json"))
    return Beside(targets, parts, statistics.mean(yardsticks), steps, memory)


def _steps(daemon: Watched, plane: Plane, targets: int) -> tuple[dict[str, float], dict[str, float]]:
    daemon.until("received")
    steps, memory = {"cold start": daemon.settle()}, {"cold start": daemon.memory()}
    for step, count, times in (("one change", 1, CHANGES), ("everything changed", targets, EVERYTHING)):
        costs = []
        for _ in range(times):
            time.sleep(SECONDS_BETWEEN_CHANGES)
            before = daemon.settle()
            daemon.forget()
            plane.change(count)
            daemon.until("received")
            costs.append(daemon.settle() - before)
        steps[step], memory[step] = statistics.mean(costs), daemon.memory()
    return steps, memory


def table(rows: Sequence[Beside]) -> str:
    """Return a table in Markdown."""
    numbers = ("CPU, s", "naive, s", "ratio", "most memory, MB")
    lines = []
    for row in rows:
        output = f"{row.parts} parts" if row.parts else "single file"
        for step, took in row.steps.items():
            figures = f"{took:.2f} | {row.naive:.2f} | {took / row.naive:.2f} | {row.memory[step]:.0f}"
            lines.append(f"{row.targets:,} | {output} | {step} | {figures}")
    return markdown({"targets": NUMBER, "output": TEXT, "step": TEXT} | dict.fromkeys(numbers, NUMBER), lines)
