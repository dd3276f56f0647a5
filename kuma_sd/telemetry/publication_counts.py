"""Count what a publication holds; on request only, never while it is being published."""

import threading
import time
import weakref
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import islice
from operator import attrgetter, is_not
from typing import Generic, TypeVar

import msgspec

from kuma_sd.core.publication import Publication
from kuma_sd.telemetry.target_counts import Count, TargetCounts

SHARE = 0.05
"""Maximum share of the time that counting may take under constant requests and new publications."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Size:
    """The size of a publication.

    Args:
        targets: the number of targets of the mesh in it; a target may have several groups.
        bytes: the size of its groups as JSON.
    """

    targets: int = 0
    bytes: int = 0

    @classmethod
    def of(cls, publication: Publication) -> "Size":
        """Measure a publication."""
        groups = publication.groups
        # The groups of a target are adjacent, and share its key object.
        keys = list(map(attrgetter("key.assignment"), groups))
        targets = sum(map(is_not, keys, islice(keys, 1, None))) + bool(keys)
        return cls(targets, sum(map(len, map(attrgetter("json"), groups))))


class _Labels(msgspec.Struct, gc=False):
    # Only the labels needed are decoded, in the names of all label profiles; the rest is skipped.
    service: str = ""
    job: str = ""
    kuma_sd_configs: str = msgspec.field(default="", name="__meta_kuma_service")


class _Group(msgspec.Struct, gc=False):
    labels: _Labels


_DECODER = msgspec.json.Decoder(_Group)


@dataclass(frozen=True, slots=True)
class Parts:
    """The number of groups in a publication by mesh and by service.

    Args:
        meshes: the number of groups of each mesh.
        services: the number of groups of each service.
    """

    meshes: TargetCounts = field(default_factory=TargetCounts)
    services: TargetCounts = field(default_factory=TargetCounts)

    @classmethod
    def of(cls, publication: Publication) -> "Parts":
        """Count the groups of a publication."""
        groups = publication.groups
        meshes = Counter(map(attrgetter("key.assignment.mesh"), groups))
        services: Counter[tuple[str, str]] = Counter()
        for group in groups:
            labels = _DECODER.decode(group.json).labels
            services[group.key.assignment.mesh, labels.service or labels.kuma_sd_configs or labels.job] += 1
        return cls(
            TargetCounts.of(Count(mesh, count) for mesh, count in meshes.items()),
            TargetCounts.of(Count(service, count, mesh) for (mesh, service), count in services.items()),
        )


class Measured(Generic[T]):
    """Caches a measurement of the last publication; any thread may use it.

    If measuring is slow, the last result is reused for a while, so that constant requests take at most SHARE of the
    time.

    Args:
        measure: measures a publication.
        nothing: the result without a publication.
    """

    def __init__(self, measure: Callable[[Publication], T], nothing: T) -> None:
        self._measure = measure
        self._value = self._nothing = nothing
        # Weak, since a publication is large, and the next request may come much later.
        self._last: Callable[[], Publication | None] = lambda: None
        self._good_until = float("-inf")
        self._lock = threading.Lock()

    def of(self, publication: Publication | None) -> T:
        """Return the measurement of a publication, or that of an earlier one if it is recent."""
        if publication is None:
            return self._nothing
        with self._lock:
            began = time.monotonic()
            if publication is not self._last() and began >= self._good_until:
                self._value = self._measure(publication)
                self._last = weakref.ref(publication)
                ended = time.monotonic()
                self._good_until = ended + (ended - began) / SHARE
            return self._value
