"""The status of an output: of its chain, its publishing and its last publication."""

from collections.abc import Mapping

import msgspec

from kuma_sd.telemetry.chain_status import ChainStatus
from kuma_sd.telemetry.duration_buckets import Histogram
from kuma_sd.telemetry.publication_counts import Parts, Size


class PublishingStatus(msgspec.Struct, frozen=True):
    """The publications of an output so far; replaced whole, never changed.

    Args:
        publications: the number of publications it published.
        failures: the number of failed attempts.
        failing: why the last attempt failed; empty if it succeeded.
        last: when it published last, in seconds of ``time.time()``; None before the first.
        seconds: the time from receiving a response to having published it.
    """

    publications: int = 0
    failures: int = 0
    failing: str = ""
    last: float | None = None
    seconds: Histogram = msgspec.field(default_factory=Histogram)


class OutputStatus(msgspec.Struct, frozen=True):
    """The status of an output.

    Args:
        name: the instance's name in the settings.
        plugin: the kind of output, like ``file_sd``.
        label_profile: the label profile of its targets.
        transforms: the names of its transforms, in order.
        chain: the status of its chain.
        publishing: its publications so far.
        busy: the duration of the current attempt so far, in seconds; 0 if there is none.
        starting: when its `start()` was called, if that has not returned; None if it has.
        superseded: the number of publications that a newer one replaced before the output took them.
        groups: the number of target groups in its last publication; each is one target for Prometheus.
        duplicates: the number of groups left out because an equal one is published.
        size: the size of its last publication.
        parts: the number of groups in it by mesh and by service.
        paths: the paths it serves on the daemon's listeners.
        facts: the facts that its plugin reports.
    """

    name: str
    plugin: str
    label_profile: str = ""
    transforms: tuple[str, ...] = ()
    chain: ChainStatus = ChainStatus()
    publishing: PublishingStatus = msgspec.field(default_factory=PublishingStatus)
    busy: float = 0.0
    starting: float | None = None
    superseded: int = 0
    groups: int = 0
    duplicates: int = 0
    size: Size = Size()
    parts: Parts = msgspec.field(default_factory=Parts)
    paths: tuple[str, ...] = ()
    facts: Mapping[str, str] = msgspec.field(default_factory=dict)
