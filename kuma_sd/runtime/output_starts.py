"""Start outputs: side by side for a daemon, so that one that blocks delays no other; in order for a single run."""

import time
from collections.abc import Callable, Mapping

from kuma_sd.core.errors import KumaSDError
from kuma_sd.pipeline.output_start import OutputStart
from kuma_sd.pipeline.output_worker import OutputWorker
from kuma_sd.plugin.interfaces import Output
from kuma_sd.runtime.instances_kept_or_opened import Owner, guarded

START_TIMEOUT = 10.0
"""How long the start of the daemon and a reload wait for `start()` of an output, in seconds."""


def start_workers(workers: Mapping[str, OutputWorker], give_up: Callable[[], bool]) -> None:
    """Start the outputs of workers, and wait for them for a bounded time.

    The worker of an output that is still starting, or that raised an unexpected exception, goes on from there.

    Args:
        workers: the workers by name; none of them runs.
        give_up: asked while it waits; ends the wait.

    Raises:
        KumaSDError: an output refuses to start; the others are closed.
    """
    for name, worker in workers.items():
        worker.start = OutputStart(name, worker.output)
    starts = [worker.start for worker in workers.values() if worker.start]
    for start in starts:
        if ends_in_time(start, give_up) and isinstance(start.error, KumaSDError):
            for other in reversed(starts):
                other.abandon()
            raise start.error.within(f"output {start.name}")


def ends_in_time(start: OutputStart, give_up: Callable[[], bool]) -> bool:
    """Wait for a start for at most START_TIMEOUT since it began, and return whether it has ended; otherwise warn.

    Args:
        start: the start.
        give_up: asked while it waits; ends the wait.
    """
    ended = start.wait(lambda: give_up() or time.monotonic() >= start.began_at + START_TIMEOUT)
    if not ended:
        start.warn()
    return ended


def start_outputs(outputs: Mapping[str, Output]) -> None:
    """Start outputs in order; if one cannot be started, close those before it.

    Raises:
        OutputError: one cannot be started.
        PluginError: a plugin fails.
    """
    started: list[Output] = []
    try:
        for name, output in outputs.items():
            guarded(Owner(f"output {name}"), output.start)
            started.append(output)
    except KumaSDError:
        for output in reversed(started):
            output.close()
        raise
