"""Start outputs: side by side for a daemon, so that one that blocks delays no other; in order for a single run."""

from collections.abc import Callable, Mapping

from kuma_sd.core.errors import KumaSDError
from kuma_sd.pipeline.output_start import OutputStart
from kuma_sd.pipeline.output_worker import OutputWorker
from kuma_sd.plugin.interfaces import Output
from kuma_sd.runtime.opener import Owner, guarded


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
        if start.ends_in_time(give_up) and isinstance(start.error, KumaSDError):
            for other in reversed(starts):
                other.abandon()
            raise start.error.within(f"output {start.name}")


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
