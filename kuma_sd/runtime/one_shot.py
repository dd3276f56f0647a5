"""One complete answer of every control plane, and one publication of it, for `kuma-sd run --once` and `diff`."""

import itertools
import logging
import time
from collections.abc import Iterable, Mapping
from functools import partial

from kuma_sd.core.errors import SourceError
from kuma_sd.core.mailbox import Mailbox
from kuma_sd.core.model import Snapshot, SourceEvent
from kuma_sd.core.options import show_duration
from kuma_sd.core.text import counted
from kuma_sd.pipeline.source_worker import SourceWorker
from kuma_sd.runtime.builder import Components, build, start_outputs, title
from kuma_sd.runtime.setting_warnings import warn
from kuma_sd.settings.loader import Settings
from kuma_sd.system.threads import Threads

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
    components = build(settings)
    warn(components)
    outputs = {name: output for name, (_, output) in components.outputs.items()}
    start_outputs(outputs)
    try:
        snapshots = _collect_targets(components, timeout, allow_empty=allow_empty)
        received = max(snapshot.received for snapshot in snapshots)
        for output_settings, output in components.outputs.values():
            assignments = itertools.chain.from_iterable(snapshot.assignments for snapshot in snapshots)
            publication = components.chain_of(output_settings).publication(assignments, received)
            output.publish(publication)
            _log.info("output %s: published, %s", output_settings.name, counted(len(publication.groups), "target"))
    finally:
        for output in outputs.values():
            output.close()


def _collect_targets(components: Components, timeout: float, *, allow_empty: bool) -> list[Snapshot]:
    try:
        snapshots = collect(components, timeout, allow_empty=allow_empty)
    except SourceError as error:
        raise SourceError(f"nothing was published {error}") from error
    if not allow_empty and not has_targets(snapshots):
        raise SourceError(
            f"nothing was published after {show_duration(timeout)}: there is no target; if that is right, use "
            "--allow-empty"
        )
    return snapshots


def collect(components: Components, timeout: float, *, allow_empty: bool = False) -> list[Snapshot]:
    """Connect to all control planes, and return a complete snapshot of each, in the order of their names.

    Args:
        components: whose sources; they are closed afterwards.
        timeout: how long the control planes may take, in seconds.
        allow_empty: whether it may be that none has any target. If not, this is waited for, since a control plane that
            restarts is empty before it is full; and if it is still so at the end, that is what is returned.

    Raises:
        SourceError: a control plane does not answer in time, or not so that it can be understood.
    """
    mailbox: Mailbox[SourceEvent] = Mailbox()
    workers = {
        name: SourceWorker(title(control_plane), name, source, partial(mailbox.put, name))
        for name, (control_plane, source) in components.sources.items()
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
            events = mailbox.take(deadline - time.monotonic()).values()
            snapshots.update({event.control_plane: event for event in events if isinstance(event, Snapshot)})
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
