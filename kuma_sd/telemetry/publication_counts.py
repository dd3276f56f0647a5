"""Count what a publication holds: targets, bytes, and groups of each mesh and service."""

from collections import Counter
from itertools import islice
from operator import attrgetter, is_not

import msgspec

from kuma_sd.core.publication import Publication
from kuma_sd.telemetry.top_counts import Count, TargetCounts


class Size(msgspec.Struct, frozen=True):
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


class Parts(msgspec.Struct, frozen=True):
    """The number of groups in a publication by mesh and by service.

    Args:
        meshes: the number of groups of each mesh.
        services: the number of groups of each service.
    """

    meshes: TargetCounts = msgspec.field(default_factory=TargetCounts)
    services: TargetCounts = msgspec.field(default_factory=TargetCounts)

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
