"""One publication of everything, for `kuma-sd run --once`."""

import logging
import time
from itertools import chain

from kuma_sd.assembly import Assembly, assemble, start_outputs, title
from kuma_sd.errors import SourceError
from kuma_sd.mailbox import Mailbox
from kuma_sd.model import Snapshot
from kuma_sd.options import show_duration
from kuma_sd.settings import Settings
from kuma_sd.threads import Threads
from kuma_sd.wording import counted
from kuma_sd.workers import SourceWorker

_log = logging.getLogger(__name__)


def publish_once(settings: Settings, timeout: float, *, allow_empty: bool) -> None:
    """Publish one complete union of all control planes to every output.

    Args:
        settings: what to run.
        timeout: how long the control planes may take, in seconds.
        allow_empty: whether a union without any target is published; otherwise it counts as not there yet.

    Raises:
        SourceError: a control plane is missing, or all are empty; nothing was published.
        OutputError: an output failed.
    """
    assembly = assemble(settings)
    outputs = {name: output for name, (_, output) in assembly.outputs.items()}
    start_outputs(outputs)
    try:
        snapshots = _collect(assembly, timeout, allow_empty=allow_empty)
        received = max(snapshot.received for snapshot in snapshots)
        for one, output in assembly.outputs.values():
            assignments = chain.from_iterable(snapshot.assignments for snapshot in snapshots)
            publication = assembly.branch_of(one).publication(assignments, received)
            output.publish(publication)
            _log.info("output %s: published, %s", one.name, counted(len(publication.groups), "target"))
    finally:
        for output in outputs.values():
            output.close()


def _collect(assembly: Assembly, timeout: float, *, allow_empty: bool) -> list[Snapshot]:
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
        while not _complete(snapshots, workers, allow_empty=allow_empty):
            if time.monotonic() >= deadline:
                raise SourceError(_missing(snapshots, workers, timeout))
            snapshots.update(mailbox.take(deadline - time.monotonic()))
    finally:
        threads.stop(timeout=1)
    return [snapshots[name] for name in sorted(snapshots)]


def _complete(snapshots: dict[str, Snapshot], workers: dict[str, SourceWorker], *, allow_empty: bool) -> bool:
    everybody = all(name in snapshots and snapshots[name].complete for name in workers)
    return everybody and (allow_empty or any(snapshot.assignments for snapshot in snapshots.values()))


def _missing(snapshots: dict[str, Snapshot], workers: dict[str, SourceWorker], timeout: float) -> str:
    waited = f"nothing was published after {show_duration(timeout)}"
    for name, worker in workers.items():
        if name not in snapshots:
            return f"{waited}: control plane {worker.title}: {worker.status.failing or 'no answer'}"
        if not snapshots[name].complete:
            return f"{waited}: control plane {worker.title} sends assignments that cannot be understood"
    return f"{waited}: there is no target; if that is right, use --allow-empty"
