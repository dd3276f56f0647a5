"""Change targets for a long time: memory, descriptors, threads, targets and log lines must not grow."""

import statistics
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from daemon_process import kuma_sd
from findings import Outcome
from processes import Process
from reader import published
from waiting import eventually

from kuma_sd.simulator import GeneratedWorld, SimulatedControlPlane

TARGETS = 20_000
CHANGES = 50
"""How many there are a second."""

SAMPLE = 5.0
"""How often is looked, in seconds."""

FLAT = 0.05

LAST_SECONDS = 60.0
"""How long the last change may take: a target that is held stays for guard-hold, and the machine may be busy."""

MANY_TARGETS = 1.01
"""How many may be published, as a multiple of those that there are: one is held for a moment now and then."""

MANY_LINES = 20
"""How many lines may be logged after warming up; what repeats itself would be logged hundreds of times."""

MIB = 2**20


@dataclass(frozen=True)
class Sample:
    """What a process has, and what came of it, at one moment."""

    memory: int
    descriptors: int
    threads: int
    targets: int
    lines: int

    @staticmethod
    def of(daemon: Process, path: Path) -> "Sample":
        """Look at a process and at its file, which has a line for each target."""
        proc = Path(f"/proc/{daemon.pid}")
        status = dict(line.split(":", 1) for line in (proc / "status").read_text().splitlines())
        return Sample(
            memory=int(status["VmRSS"].split()[0]) * 1024,
            descriptors=len(list((proc / "fd").iterdir())),
            threads=int(status["Threads"]),
            targets=path.read_bytes().count(b'"targets"'),
            lines=daemon.printed,
        )


def soak(folder: Path, minutes: float, seed: int) -> Outcome:
    """Change a large world for some minutes.

    Args:
        folder: where to write.
        minutes: how long; the first third is warming up.
        seed: equal seeds make equal changes.
    """
    outcome = Outcome(f"{CHANGES} changes a second of {TARGETS} targets for {minutes:g} min", 1)
    path = folder / "targets.json"
    world = GeneratedWorld(TARGETS, seed)
    with (
        SimulatedControlPlane(world, refresh=1.0) as kuma,
        # Targets that are removed soon after the start are held; that shall be over long before the end.
        kuma_sd("run", f"--cp-address={kuma.url}", f"--output-file={path}", "--guard-hold=10s") as daemon,
    ):
        daemon.wait_for_line("published")
        samples, changes = _change(world, lambda: Sample.of(daemon, path), minutes * 60)
        served = {dataplane.key: dataplane.service for dataplane in world.dataplanes}
        ended = time.monotonic()
        try:
            eventually(lambda: published(path) == served, "each target's last state is published", LAST_SECONDS)
        except AssertionError as error:
            wrong = dict(published(path).items() ^ served.items())
            outcome.problems.append(f"{error}: {len(wrong)} targets are wrong, {wrong.keys() - served.keys()} stay")
        outcome.recovered(time.monotonic() - ended)
        daemon.stop()
    _judge(outcome, samples[len(samples) // 3 :])
    outcome.remarks.append(f"{changes} changes")
    return outcome


def _change(world: GeneratedWorld, sample: Callable[[], Sample], seconds: float) -> tuple[list[Sample], int]:
    """Change for so long; returns samples and how many changes there were."""
    samples, changes, began, pause = [sample()], 0, time.monotonic(), threading.Event()
    while (spent := time.monotonic() - began) < seconds:
        if spent >= len(samples) * SAMPLE:
            samples.append(sample())
        if changes < spent * CHANGES:
            world.change()
            changes += 1
        else:
            pause.wait(1 / CHANGES)
    return samples, changes


def _judge(outcome: Outcome, samples: list[Sample]) -> None:
    third = max(1, len(samples) // 3)
    before = statistics.mean(sample.memory for sample in samples[:third])
    after = statistics.mean(sample.memory for sample in samples[-third:])
    outcome.expect(abs(after / before - 1) <= FLAT, f"memory went from {before / MIB:.1f} to {after / MIB:.1f} MiB")
    for what in ("descriptors", "threads"):
        counts = [getattr(sample, what) for sample in samples]
        # More are there while a file is written; what leaks never goes away.
        least = min(counts[:third]), min(counts[-third:])
        outcome.expect(least[0] == least[1], f"{what} went from {least[0]} to {least[1]}")
        outcome.remarks.append(f"{what} {min(counts)} to {max(counts)}")
    targets = [sample.targets for sample in samples]
    outcome.expect(max(targets) <= MANY_TARGETS * TARGETS, f"up to {max(targets)} targets were published")
    outcome.remarks.append(f"targets {min(targets)} to {max(targets)}")
    lines = samples[-1].lines - samples[0].lines
    outcome.expect(lines <= MANY_LINES, f"{lines} lines were logged")
    outcome.remarks.append(f"{lines} log lines after warming up")
    outcome.remarks.append(f"memory {before / MIB:.1f} MiB after warming up, {after / MIB:.1f} MiB at the end")
