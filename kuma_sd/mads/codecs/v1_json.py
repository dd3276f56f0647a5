"""MonitoringAssignment v1 in proto JSON, as over HTTP (Kuma 1.2.0 and later)."""

import sys
from collections.abc import Iterable, Iterator, Sequence
from itertools import repeat

import msgspec

from kuma_sd.core.decoding_errors import UNREADABLE
from kuma_sd.core.errors import SourceError
from kuma_sd.core.model import Key, Labels, Target
from kuma_sd.core.response_descriptions import problem_shown, type_shown
from kuma_sd.core.value_limits import refuse_many_json_values
from kuma_sd.mads.codecs import Part

TYPE_URL = "type.googleapis.com/kuma.observability.v1.MonitoringAssignment"


class _Target(msgspec.Struct):
    # Proto JSON: each field has two possible spellings; null means its default.
    name: str | None = None
    scheme: str | None = None
    address: str | None = None
    metrics_path: str | None = None
    metrics_path_in_camel_case: str | None = msgspec.field(default=None, name="metricsPath")
    labels: Labels | None = None


class _Assignment(msgspec.Struct):
    type_url: str = msgspec.field(default="", name="@type")
    mesh: str | None = None
    service: str | None = None
    targets: list[_Target] | None = None
    labels: Labels | None = None


_DECODER = msgspec.json.Decoder(_Assignment)
_ENCODER = msgspec.json.Encoder(order="deterministic")


class V1JSON:
    """MADS v1 over HTTP."""

    name = "v1-json"
    type_url = TYPE_URL

    def refuse_many_values(self, resource: bytes, most: int) -> None:
        """Refuse a resource with too many targets or labels."""
        refuse_many_json_values(resource, most)

    def names(self, resources: Sequence[bytes]) -> Iterator[None]:
        """Yield None for each resource: parsing them together would not save time."""
        return repeat(None, len(resources))

    def split(self, resource: bytes) -> Iterable[Part]:
        """Split a resource into its targets."""
        assignment = _parse(resource)
        mesh, targets = sys.intern(assignment.mesh or ""), assignment.targets or []
        if len(targets) == 1:
            yield mesh, targets[0].name or "", resource
            return
        for target in targets:
            single = _Assignment(assignment.type_url, mesh, assignment.service, [target], assignment.labels)
            yield mesh, target.name or "", _ENCODER.encode(single)

    def read(self, key: Key, data: bytes) -> Target:
        """Decode one target. The assignment's labels override the target's, as in native kuma_sd."""
        assignment = _parse(data)
        target = (assignment.targets or [_Target()])[0]
        return Target(
            control_plane=key.control_plane,
            mesh=key.mesh,
            service=assignment.service or "",
            name=key.name,
            address=target.address or "",
            scheme=target.scheme or "",
            metrics_path=target.metrics_path or target.metrics_path_in_camel_case or "",
            labels=(target.labels or {}) | (assignment.labels or {}),
        )


def _parse(data: bytes) -> _Assignment:
    try:
        assignment = _DECODER.decode(data)
    except UNREADABLE as error:
        raise SourceError(f"not a MonitoringAssignment of MADS v1: {problem_shown(error)}") from error
    if assignment.type_url != TYPE_URL:
        raise SourceError(f"its type is {type_shown(assignment.type_url)}")
    return assignment


V1_JSON = V1JSON()
