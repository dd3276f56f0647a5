"""Measure whether event hooks that misbehave disturb publishing.

One of many targets changes; the chain makes a publication, and the worker of a `file_sd` output writes the file. How
long that takes is measured in pairs: without any hook, and with one that is slow, raises, blocks, or is flooded with
events. The pairs alternate, and the best time of each side counts, since other programs only ever add to it.

    nice python bench/hooks.py
"""

import argparse
import logging
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from kuma_sd.core.model import Assignment
from kuma_sd.pipeline.chain import Chain
from kuma_sd.pipeline.chain_outputs import ChainOutputs
from kuma_sd.pipeline.event_delivery import Events
from kuma_sd.pipeline.output_worker import OutputWorker
from kuma_sd.plugin.hook_implementations import Listener, Listeners
from kuma_sd.plugin.manager import Plugins
from kuma_sd.prometheus.label_profiles import LabelProfile
from kuma_sd.runtime.builder import build
from kuma_sd.settings.loader import load
from kuma_sd.testing import assignment

FLOOD = 100
"""How many events come with each publication where they are a flood."""


def _slow(**_arguments: object) -> None:
    time.sleep(0.5)


def _raises(**_arguments: object) -> None:
    raise RuntimeError("of the benchmark")


def _blocks(**_arguments: object) -> None:
    threading.Event().wait()


def _quick(**_arguments: object) -> None:
    """Do nothing."""


KINDS: Mapping[str, tuple[str, Callable[..., None]]] = {
    "quick": ("kuma_sd_published", _quick),
    "slow": ("kuma_sd_published", _slow),
    "raising": ("kuma_sd_published", _raises),
    "blocking": ("kuma_sd_published", _blocks),
    "flooded": ("kuma_sd_connection_lost", _quick),
}


class Line:
    """A chain and one output, with or without a hook.

    Args:
        assignments: the targets.
        directory: where the file is.
        listeners: who listens.
    """

    def __init__(self, assignments: list[Assignment], directory: Path, listeners: Listeners) -> None:
        self._assignments = list(assignments)
        self._events = Events(listeners)
        settings = load([f"--file-sd-path={directory}/targets.json"], {}, Plugins())
        _, output = build(settings).outputs["file_sd"]
        self._worker = OutputWorker("file_sd", output, 0.0, self._events)
        self._chain_outputs = ChainOutputs(Chain(LabelProfile("kuma-prometheus-sd")), {"file_sd": self._worker.mailbox})
        self._version = 0
        for work in (self._events.run, self._worker.run):
            threading.Thread(target=work, daemon=True).start()
        self.publish(flood=0)

    def publish(self, flood: int) -> tuple[float, float]:
        """Change one target; return the wall and the CPU time until it is published, in seconds."""
        self._version += 1
        place = self._version % len(self._assignments)
        self._assignments[place] = assignment(f"backend-{place:06}", service=f"v{self._version}")
        publications = self._worker.status.publishing.publications
        began, used = time.perf_counter(), time.process_time()
        for _ in range(flood):
            self._events.connection_lost("east", "of the benchmark")
        self._chain_outputs.publish(list(self._assignments), time.time())
        while self._worker.status.publishing.publications == publications:
            time.sleep(0.0005)
        return time.perf_counter() - began, time.process_time() - used

    def close(self) -> None:
        """End its threads."""
        self._worker.close()
        self._events.close()


def main() -> None:
    """Measure all kinds, and print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--targets", type=int, default=100_000, help="how many targets (default: 100000)")
    parser.add_argument("--pairs", type=int, default=10, help="how many pairs for each kind (default: 10)")
    arguments = parser.parse_args()
    logging.disable()
    assignments = [assignment(f"backend-{number:06}") for number in range(arguments.targets)]
    print(f"{'hook':<10}{'without':>10}{'with':>10}{'ratio':>8}{'CPU':>8}")
    with tempfile.TemporaryDirectory() as directory:
        for kind, (hook, call) in KINDS.items():
            lines = [
                Line(assignments, Path(directory) / side, listeners)
                for side, listeners in (("without", {}), ("with", {hook: [Listener("bench", call)]}))
            ]
            flood = FLOOD * (kind == "flooded")
            pairs = [[line.publish(flood) for line in lines] for _ in range(arguments.pairs)]
            (without, used_without), (with_hook, used) = (
                [min(times) for times in zip(*side, strict=True)] for side in zip(*pairs, strict=True)
            )
            for line in lines:
                line.close()
            ratio, cpu = with_hook / without, used / used_without
            print(f"{kind:<10}{without * 1000:>7.0f} ms{with_hook * 1000:>7.0f} ms{ratio:>8.2f}{cpu:>8.2f}", flush=True)


if __name__ == "__main__":
    main()
