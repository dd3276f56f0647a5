"""``kuma.observability.v1alpha1.MonitoringAssignment`` (Kuma 0.3.2 to 1.2.3). Importing this loads protobuf."""

import sys
from collections.abc import Iterable, Iterator, Sequence
from itertools import repeat

from google.protobuf.message import DecodeError

from kuma_sd.core.errors import SourceError
from kuma_sd.core.model import Key, Labels, Target
from kuma_sd.core.response_descriptions import type_shown
from kuma_sd.mads.codecs import Part
from kuma_sd.mads.codecs.protobuf_fields import Inner, refuse_many_fields
from kuma_sd.proto.mads_v1alpha1_pb2 import MonitoringAssignment, Resource

TYPE_URL = "type.googleapis.com/kuma.observability.v1alpha1.MonitoringAssignment"

# A resource has an assignment, and that has targets.
_INNER: Inner = {2: {2: {}}}


class V1alpha1:
    """MADS v1alpha1 over gRPC: labels carry what v1 has as fields."""

    name = "v1alpha1"
    type_url = TYPE_URL

    def refuse_many_values(self, resource: bytes, most: int) -> None:
        """Refuse a resource with too many targets, labels or other fields."""
        refuse_many_fields(resource, _INNER, most)

    def names(self, resources: Sequence[bytes]) -> Iterator[None]:
        """Yield None for each resource: parsing them together would not save time."""
        return repeat(None, len(resources))

    def split(self, resource: bytes) -> Iterable[Part]:
        """Split a resource into its targets."""
        received = _parse(resource)
        if received.type_url != TYPE_URL:
            raise SourceError(f"its type is {type_shown(received.type_url)}")
        assignment = received.value
        for target in assignment.targets:
            mesh, name = _identity(assignment.name, _labels(assignment, target))
            if len(assignment.targets) == 1:
                yield mesh, name, resource
                return
            single = MonitoringAssignment(name=assignment.name, targets=[target], labels=assignment.labels)
            yield mesh, name, Resource(type_url=TYPE_URL, value=single).SerializeToString(deterministic=True)

    def read(self, key: Key, data: bytes) -> Target:
        """Decode one target. Labels that are fields in v1 are removed, so that profiles treat it like a v1 target."""
        assignment = _parse(data).value
        labels = _labels(assignment, assignment.targets[0])
        for name in ("mesh", "dataplane", "instance"):
            labels.pop(name, None)
        return Target(
            control_plane=key.control_plane,
            mesh=key.mesh,
            service=labels.pop("job", ""),
            name=key.name,
            address=labels.pop("__address__", ""),
            scheme=labels.pop("__scheme__", ""),
            metrics_path=labels.pop("__metrics_path__", ""),
            labels=labels,
        )


def _labels(assignment: MonitoringAssignment, target: MonitoringAssignment.Target) -> Labels:
    # The target's labels override the assignment's, as in the Go program's converter for v1alpha1.
    return {**assignment.labels, **target.labels}


def _identity(resource_name: str, labels: Labels) -> tuple[str, str]:
    # Kuma's name is "/meshes/<mesh>/dataplanes/<name>"; labels distinguish the targets of one assignment.
    path = resource_name.split("/")
    mesh = labels.get("mesh") or (path[2] if len(path) > 2 else "")  # noqa: PLR2004 (the index in that path)
    return sys.intern(mesh), labels.get("dataplane") or labels.get("instance") or path[-1]


def _parse(data: bytes) -> Resource:
    try:
        return Resource.FromString(data)
    except DecodeError as error:
        raise SourceError("not a MonitoringAssignment of MADS v1alpha1") from error


V1ALPHA1_PROTOBUF = V1alpha1()
