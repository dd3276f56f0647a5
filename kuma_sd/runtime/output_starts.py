"""Start the outputs of a daemon side by side; one that blocks delays no other for ever."""

from collections.abc import Callable, Mapping

from kuma_sd.core.errors import KumaSDError
from kuma_sd.pipeline.output_start import OutputStart
from kuma_sd.pipeline.output_worker import OutputWorker


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
