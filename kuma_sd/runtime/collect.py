"""One complete snapshot of every control plane, for commands that need no more than that."""

import time
from collections.abc import Iterable, Mapping

from kuma_sd.runtime.builder import Assembly, title
from kuma_sd.core.errors import SourceError
from kuma_sd.core.mailbox import Mailbox
from kuma_sd.core.model import Snapshot
from kuma_sd.core.options import show_duration
from kuma_sd.system.threads import Threads
from kuma_sd.pipeline.workers import SourceWorker


def collect(assembly: Assembly, timeout: float, *, allow_empty: bool = False) -> list[Snapshot]:
    """Connect to all control planes, and return a complete snapshot of each, in the order of their names.

    Args:
        assembly: whose sources; they are closed afterwards.
        timeout: how long the control planes may take, in seconds.
        allow_empty: whether it may be that none has any target. If not, this is waited for, since a control plane that
            restarts is empty before it is full; and if it is still so at the end, that is what is returned.

    Raises:
        SourceError: a control plane does not answer in time, or not so that it can be understood.
    """
    mailbox: Mailbox[Snapshot] = Mailbox()
    workers = {
        name: SourceWorker(title(one), name, source, mailbox.put) for name, (one, source) in assembly.sources.items()
    }
    threads = Threads()
    deadline = time.monotonic() + timeout
    snapshots: dict[str, Snapshot] = {}
    try:
        for worker in workers.values():
            threads.start(f"control plane {worker.title}", worker)
        while not (_whole(snapshots, workers) and (allow_empty or has_targets(snapshots.values()))):
            if time.monotonic() >= deadline:
                break
            snapshots.update(mailbox.take(deadline - time.monotonic()))
    finally:
        threads.stop(timeout=1)
    if not _whole(snapshots, workers):
        raise SourceError(f"after {show_duration(timeout)}: {_missing(snapshots, workers)}")
    return [snapshots[name] for name in sorted(snapshots)]


def has_targets(snapshots: Iterable[Snapshot]) -> bool:
    """Tell whether anything is in these."""
    return any(snapshot.assignments for snapshot in snapshots)


def _whole(snapshots: Mapping[str, Snapshot], workers: Mapping[str, SourceWorker]) -> bool:
    return all(name in snapshots and snapshots[name].complete for name in workers)


def _missing(snapshots: Mapping[str, Snapshot], workers: Mapping[str, SourceWorker]) -> str:
    for name, worker in workers.items():
        if name not in snapshots:
            return f"control plane {worker.title}: {worker.status.failing or 'no answer'}"
    title_ = next(worker.title for name, worker in workers.items() if not snapshots[name].complete)
    return f"control plane {title_} sends assignments that cannot be understood"
