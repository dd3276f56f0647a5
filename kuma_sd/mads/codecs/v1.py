"""``kuma.observability.v1.MonitoringAssignment`` in protobuf (Kuma 1.2.0 to 2.6). Importing this loads protobuf."""

import sys
from collections.abc import Iterable

from google.protobuf.message import DecodeError

from kuma_sd.errors import SourceError
from kuma_sd.mads.codecs import Part
from kuma_sd.model import Key, Target
from kuma_sd.proto.mads_v1_pb2 import MonitoringAssignment


class V1:
    """MADS v1 over gRPC."""

    name = "v1"
    type_url = "type.googleapis.com/kuma.observability.v1.MonitoringAssignment"

    def split(self, resource: bytes) -> Iterable[Part]:
        """Split a resource into its targets."""
        assignment = _parse(resource)
        mesh = sys.intern(assignment.mesh)
        if len(assignment.targets) == 1:
            yield mesh, assignment.targets[0].name, resource
            return
        for target in assignment.targets:
            single = MonitoringAssignment(
                mesh=mesh, service=assignment.service, targets=[target], labels=assignment.labels
            )
            yield mesh, target.name, single.SerializeToString(deterministic=True)

    def read(self, key: Key, data: bytes) -> Target:
        """Read one target. Labels of the assignment win over the target's, as in the Go program and native kuma_sd."""
        assignment = _parse(data)
        target = assignment.targets[0]
        labels = dict(target.labels)
        if assignment.labels:
            labels.update(assignment.labels)
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


def _parse(data: bytes) -> MonitoringAssignment:
    try:
        return MonitoringAssignment.FromString(data)
    except DecodeError as error:
        raise SourceError(f"not a MonitoringAssignment of MADS v1: {error}") from error


V1_PROTOBUF = V1()
