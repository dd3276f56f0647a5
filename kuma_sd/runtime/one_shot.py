"""One publication of everything, for `kuma-sd run --once`."""

import logging
from itertools import chain

from kuma_sd.runtime.setting_warnings import warn
from kuma_sd.runtime.builder import Assembly, assemble, start_outputs
from kuma_sd.runtime.collect import collect, has_targets
from kuma_sd.core.errors import SourceError
from kuma_sd.core.model import Snapshot
from kuma_sd.core.options import show_duration
from kuma_sd.settings.loader import Settings
from kuma_sd.core.text import counted

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
    warn(assembly)
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
    try:
        snapshots = collect(assembly, timeout, allow_empty=allow_empty)
    except SourceError as error:
        raise SourceError(f"nothing was published {error}") from error
    if not allow_empty and not has_targets(snapshots):
        raise SourceError(
            f"nothing was published after {show_duration(timeout)}: there is no target; if that is right, use "
            "--allow-empty"
        )
    return snapshots
