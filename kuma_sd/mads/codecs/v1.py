"""``kuma.observability.v1.MonitoringAssignment`` in protobuf (Kuma 1.2.0 to 2.6). Importing this loads protobuf."""

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import repeat
from typing import Any

from google.protobuf.message import DecodeError

from kuma_sd.core.encoded_target import EncodedTarget
from kuma_sd.core.errors import SourceError
from kuma_sd.core.model import Key, Target
from kuma_sd.core.response_descriptions import type_shown
from kuma_sd.mads.codecs import Part
from kuma_sd.mads.codecs.protobuf_fields import Inner, refuse_many_fields
from kuma_sd.proto.discovery_pb2 import ReceivedResponse
from kuma_sd.proto.mads_v1_labels_pb2 import Label, MonitoringAssignment, Resource, Resources

TYPE_URL = "type.googleapis.com/kuma.observability.v1.MonitoringAssignment"

MOST_LABELS = 10_000
"""Maximum number of cached labels."""

LONGEST_LABEL = 512
"""Maximum size of a cached label, in bytes."""

# A resource has an assignment, and that has targets.
_INNER: Inner = {2: {4: {}}}


class V1:
    """MADS v1 over gRPC."""

    name = "v1"
    type_url = TYPE_URL

    def refuse_many_values(self, resource: bytes, most: int) -> None:
        """Refuse a resource with too many targets, labels or other fields."""
        refuse_many_fields(resource, _INNER, most)

    def names(self, resources: Sequence[bytes]) -> Iterator[tuple[str, str] | None]:
        """Yield mesh and name of each resource that has exactly one target; None for one that must be split."""
        try:
            together = Resources.FromString(ReceivedResponse(resources=resources).SerializeToString())
        except DecodeError:
            # Which of them is malformed shows when each is split.
            yield from repeat(None, len(resources))
            return
        for received in together.resources:
            assignment = received.value
            targets = assignment.targets
            if len(targets) == 1 and received.type_url == TYPE_URL:
                yield sys.intern(assignment.mesh), targets[0].name
            else:
                yield None

    def split(self, resource: bytes) -> Iterable[Part]:
        """Split a resource into its targets; labels are decoded later, by `read`."""
        received = _parse(resource)
        if received.type_url != TYPE_URL:
            raise SourceError(f"its type is {type_shown(received.type_url)}")
        assignment = received.value
        mesh, targets = sys.intern(assignment.mesh), assignment.targets
        if len(targets) == 1:
            return ((mesh, targets[0].name, resource),)
        # Lazily, so that the caller can stop early: each target repeats the assignment's labels.
        return ((mesh, target.name, _only(assignment, target)) for target in targets)

    def read(self, key: Key, data: bytes) -> Target:
        """Decode one target."""
        one = self.read_encoded(key, data)
        labels = dict(map(_label, one.labels))
        return Target(
            one.control_plane, one.mesh, one.service, one.name, one.address, one.scheme, one.metrics_path, labels
        )

    def read_encoded(self, key: Key, data: bytes) -> EncodedTarget:
        """Decode one target without its labels.

        The assignment's labels override the target's, as in the Go program and native kuma_sd.
        """
        assignment = _parse(data).value
        target = assignment.targets[0]
        labels: list[bytes] = target.labels[:]
        if assignment.labels:
            labels += assignment.labels
        return EncodedTarget(
            key.control_plane,
            key.mesh,
            assignment.service,
            key.name,
            target.address,
            target.scheme,
            target.metrics_path,
            labels,
        )

    def label(self, encoded: bytes) -> tuple[str, str]:
        """Decode a label: its name and value. Whoever reads without decoding all labels remembers what it needs.

        Raises:
            SourceError: it is none.
        """
        return _decoded(encoded)


def _parse(data: bytes) -> Resource:
    try:
        return Resource.FromString(data)
    except DecodeError as error:
        raise SourceError("not a MonitoringAssignment of MADS v1") from error


def _decoded(entry: bytes) -> tuple[str, str]:
    try:
        label = Label.FromString(entry)
    except DecodeError as error:
        raise SourceError("not a label of MADS v1") from error
    return label.key, label.value


class _Labels(dict[bytes, tuple[str, str]]):
    """Label names and values by their bytes. The cache is bounded, since the input is not trusted."""

    def __missing__(self, entry: bytes) -> tuple[str, str]:
        label = _decoded(entry)
        if len(entry) <= LONGEST_LABEL:
            if len(self) >= MOST_LABELS:
                self.clear()
            self[entry] = label
        return label


def _only(assignment: MonitoringAssignment, target: MonitoringAssignment.Target) -> bytes:
    single = MonitoringAssignment(
        mesh=assignment.mesh, service=assignment.service, targets=[target], labels=assignment.labels
    )
    return Resource(type_url=TYPE_URL, value=single).SerializeToString(deterministic=True)


_label: Callable[[Any], tuple[str, str]] = _Labels().__getitem__

V1_PROTOBUF = V1()
