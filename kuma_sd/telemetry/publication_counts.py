"""What is in a publication; found out when somebody asks, never on its way to an output."""

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
from kuma_sd.telemetry.status import Count, TargetCounts

SHARE = 0.05
"""How much of the time may go into finding out, when publications follow one another and somebody always asks."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Size:
    """How much it is.

    Args:
        targets: how many targets of the mesh its groups stand for.
        bytes: how large its groups are as JSON.
    """

    targets: int = 0
    bytes: int = 0

    @classmethod
    def of(cls, publication: Publication) -> "Size":
        """Measure a publication."""
        groups = publication.groups
        # The groups of one target stand side by side, and share its key.
        keys = list(map(attrgetter("key.assignment"), groups))
        targets = sum(map(is_not, keys, islice(keys, 1, None))) + bool(keys)
        return cls(targets, sum(map(len, map(attrgetter("json"), groups))))


class _Labels(msgspec.Struct, gc=False):
    # By the label profiles: what is asked for is decoded, the rest is passed over.
    service: str = ""
    job: str = ""
    kuma_sd_configs: str = msgspec.field(default="", name="__meta_kuma_service")


class _Group(msgspec.Struct, gc=False):
    labels: _Labels


_DECODER = msgspec.json.Decoder(_Group)


@dataclass(frozen=True, slots=True)
class Parts:
    """Whose it is.

    Args:
        meshes: how many groups each mesh has.
        services: how many groups each service has.
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
    """Remembers what was found out about the last publication; from any thread.

    When finding out is slow, the last answer stands for a while, so that asking again and again costs no more than
    SHARE of the time.

    Args:
        measure: finds out.
        nothing: what holds without a publication.
    """

    def __init__(self, measure: Callable[[Publication], T], nothing: T) -> None:
        self._measure = measure
        self._value = self._nothing = nothing
        # Weak, since nobody may ask again for a long time, and a publication is large.
        self._last: Callable[[], Publication | None] = lambda: None
        self._good_until = float("-inf")
        self._lock = threading.Lock()

    def of(self, publication: Publication | None) -> T:
        """Return what holds for a publication, or did for an earlier one a moment ago."""
        if publication is None:
            return self._nothing
        with self._lock:
            began = time.monotonic()
            if publication is not self._last() and began >= self._good_until:
                self._value, self._last = self._measure(publication), weakref.ref(publication)
                ended = time.monotonic()
                self._good_until = ended + (ended - began) / SHARE
            return self._value
