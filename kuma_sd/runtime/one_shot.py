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
from kuma_sd.core.publication import Publication
from kuma_sd.core.text import counted
from kuma_sd.pipeline.source_worker import SourceWorker
from kuma_sd.plugin.interfaces import Output, WritesFiles
from kuma_sd.prometheus.sd_files import selected
from kuma_sd.runtime.builder import Components, build, path_of, start_outputs, title
from kuma_sd.runtime.published_files import groups_in
from kuma_sd.runtime.setting_warnings import warn
from kuma_sd.settings.loader import Settings
from kuma_sd.system.threads import Threads
from kuma_sd.telemetry.publication_diff import compare

_log = logging.getLogger(__name__)


def publish_once(settings: Settings, timeout: float, *, allow_empty: bool, accept: bool = False) -> None:
    """Publish one complete union of all control planes to every output.

    There is no guard that could wait. Instead, what would take more than ``guard-max-drop`` out of the files that are
    there is not published.

    Args:
        settings: what to run.
        timeout: how long the control planes may take, in seconds.
        allow_empty: whether a union without any target is published; otherwise it counts as not there yet.
        accept: whether any number of targets may vanish from the files.

    Raises:
        SourceError: a control plane is missing, or all are empty, or too many targets vanished; nothing was published.
        OutputError: an output failed.
    """
    components = build(settings)
    warn(components)
    outputs = {name: output for name, (_, output) in components.outputs.items()}
    start_outputs(outputs)
    try:
        snapshots = _collect_targets(components, timeout, allow_empty=allow_empty)
        received = max(snapshot.received for snapshot in snapshots)
        assignments = list(itertools.chain.from_iterable(snapshot.assignments for snapshot in snapshots))
        publications = {path: chain.publication(assignments, received) for path, chain in components.chains}
        for output_settings, output in components.outputs.values():
            if not accept:
                _check_drop(output_settings.name, output, publications[path_of(output_settings)], settings)
        for output_settings, output in components.outputs.values():
            publication = publications[path_of(output_settings)]
            output.publish(publication)
            _log.info("output %s: published, %s", output_settings.name, counted(len(publication.groups), "target"))
    finally:
        for output in outputs.values():
            output.close()


def _check_drop(name: str, output: Output, publication: Publication, settings: Settings) -> None:
    if not isinstance(output, WritesFiles):
        return
    before = [group for path in output.files(publication) for group in groups_in(path)]
    removed = compare(before, selected(output, publication)).counts.removed
    if removed > settings.core.guard_max_drop * len(before):
        raise SourceError(
            f"nothing was published: {removed} of {counted(len(before), 'target')} would vanish from output {name}, "
            "more than guard-max-drop; if that is right, use --accept"
        )


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
