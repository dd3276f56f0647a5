"""Publish once from a complete snapshot of every control plane, for `kuma-sd run --once` and `diff`."""

import itertools
import time
from collections.abc import Iterable, Mapping
from functools import partial

from kuma_sd.core.errors import SourceError
from kuma_sd.core.logger import Logger
from kuma_sd.core.mailbox import Mailbox
from kuma_sd.core.model import Snapshot, SourceEvent
from kuma_sd.core.option_types import show_duration
from kuma_sd.core.publication import Publication
from kuma_sd.core.text import counted
from kuma_sd.pipeline.source_worker import SourceWorker
from kuma_sd.plugin.interfaces import Output
from kuma_sd.plugin.optional_interfaces import WritesFiles
from kuma_sd.prometheus.sd_files import selected
from kuma_sd.runtime.builder import Components, build
from kuma_sd.runtime.output_starts import start_outputs
from kuma_sd.runtime.restore_from_published import groups_in, published_groups
from kuma_sd.runtime.setting_warnings import warn
from kuma_sd.runtime.shared_chains import ChainKey
from kuma_sd.settings.model import Settings
from kuma_sd.system.threads import Threads
from kuma_sd.telemetry.diff_without_keys import compare

_log = Logger(__name__)


def publish_once(settings: Settings, timeout: float, *, allow_empty: bool, accept: bool = False) -> None:
    """Publish one complete union of all control planes to every output.

    A single run has no guard that can hold targets. Instead, nothing is published if more than ``guard-max-drop`` of
    the targets in the existing files would vanish.

    Args:
        settings: the settings.
        timeout: timeout for the control planes, in seconds.
        allow_empty: whether to publish a union without targets; otherwise it counts as incomplete.
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
        publications = _publications(components, _collect_targets(components, timeout, allow_empty=allow_empty))
        for output_settings, output in components.outputs.values():
            if not accept:
                _check_drop(output_settings.name, output, publications[ChainKey.of(output_settings)], settings)
        for output_settings, output in components.outputs.values():
            publication = publications[ChainKey.of(output_settings)]
            output.publish(publication)
            _log.info("published", output=output_settings.name, targets=len(publication.groups))
    finally:
        for output in outputs.values():
            output.close()


def _publications(components: Components, snapshots: list[Snapshot]) -> dict[ChainKey, Publication]:
    """Return each chain's publication of the snapshots; quarantined targets stay as published before."""
    received = max(snapshot.received for snapshot in snapshots)
    assignments = list(itertools.chain.from_iterable(snapshot.assignments for snapshot in snapshots))
    publications = {}
    for key, chain in components.chains:
        outputs = [components.outputs[output.name][1] for output in components.outputs_of(key)]
        chain.fall_back_on(partial(published_groups, outputs), {}, (), {})
        publications[key] = chain.publication(assignments, received)
    return publications


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
        components: the components with the sources, which are closed afterwards.
        timeout: timeout for the control planes, in seconds.
        allow_empty: whether a result without targets is complete. If not, wait for targets until the timeout, since a
            restarting control plane is empty at first; then return the empty result.

    Raises:
        SourceError: a control plane does not respond in time, or its response cannot be decoded.
    """
    mailbox: Mailbox[SourceEvent] = Mailbox()
    workers = {
        name: SourceWorker(control_plane.title, name, source, partial(mailbox.put, name))
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
    """Tell whether any snapshot has targets."""
    return any(snapshot.assignments for snapshot in snapshots)


def _whole(snapshots: Mapping[str, Snapshot], workers: Mapping[str, SourceWorker]) -> bool:
    return all(name in snapshots and snapshots[name].complete for name in workers)


def _missing(snapshots: Mapping[str, Snapshot], workers: Mapping[str, SourceWorker]) -> str:
    for name, worker in workers.items():
        if name not in snapshots:
            return f"control plane {worker.title}: {worker.status.failing or 'no answer'}"
    title_ = next(worker.title for name, worker in workers.items() if not snapshots[name].complete)
    return f"control plane {title_} sends assignments that cannot be read"
