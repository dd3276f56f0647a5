"""``kuma.observability.v1.MonitoringAssignment`` in protobuf (Kuma 1.2.0 to 2.6). Importing this loads protobuf."""

import sys
from collections.abc import Iterable

from google.protobuf.message import DecodeError

from kuma_sd.core.errors import SourceError
from kuma_sd.core.model import Key, Target
from kuma_sd.core.response_descriptions import type_shown
from kuma_sd.mads.codecs import Part
from kuma_sd.mads.codecs.protobuf_fields import Inner, refuse_many_fields
from kuma_sd.proto.mads_v1_labels_pb2 import Label, MonitoringAssignment, Resource

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
        """Decode one target. The assignment's labels override the target's, as in the Go program and native kuma_sd."""
        assignment = _parse(data).value
        target = assignment.targets[0]
        try:
            labels = dict(map(_label, target.labels[:]))
            if assignment.labels:
                labels.update(map(_label, assignment.labels[:]))
        except DecodeError as error:
            raise SourceError("not a label of MADS v1") from error
        return Target(
            control_plane=key.control_plane,
            mesh=key.mesh,
            service=assignment.service,
            name=key.name,
            address=target.address,
            scheme=target.scheme,
            metrics_path=target.metrics_path,
            labels=labels,
        )


def _parse(data: bytes) -> Resource:
    try:
        return Resource.FromString(data)
    except DecodeError as error:
        raise SourceError("not a MonitoringAssignment of MADS v1") from error


class _Labels(dict[bytes, tuple[str, str]]):
    """Label names and values by their bytes. The cache is bounded, since the input is not trusted."""

    def __missing__(self, entry: bytes) -> tuple[str, str]:
        label = Label.FromString(entry)
        if len(entry) > LONGEST_LABEL:
            return label.key, label.value
        if len(self) >= MOST_LABELS:
            self.clear()
        self[entry] = label.key, label.value
        return self[entry]


def _only(assignment: MonitoringAssignment, target: MonitoringAssignment.Target) -> bytes:
    single = MonitoringAssignment(
        mesh=assignment.mesh, service=assignment.service, targets=[target], labels=assignment.labels
    )
    return Resource(type_url=TYPE_URL, value=single).SerializeToString(deterministic=True)


_label = _Labels().__getitem__

V1_PROTOBUF = V1()
