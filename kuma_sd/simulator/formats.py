"""How each MADS protocol writes what a control plane knows."""

from collections.abc import Iterable
from typing import Protocol

from google.protobuf.any_pb2 import Any as AnyMessage

from kuma_sd.proto.discovery_pb2 import DiscoveryResponse
from kuma_sd.proto.mads_v1_pb2 import MonitoringAssignment
from kuma_sd.simulator.dataplane import Dataplane


class Format(Protocol):
    """One protocol's way to write resources and responses; resources are encoded once, and only joined afterwards.

    Args:
        transport: what recordings call it.
        type_url: the type of its resources.
    """

    transport: str
    type_url: str

    def resource(self, dataplane: Dataplane) -> bytes:
        """Encode one dataplane, as it will stand in a response."""

    def recorded(self, response: bytes) -> list[bytes]:
        """Encode each resource of a recorded response, as it will stand in another."""

    def response(self, version: str, nonce: str, resources: Iterable[bytes]) -> bytes:
        """Join encoded resources to a response."""


class GrpcV1:
    """MADS v1 over gRPC, served by Kuma 1.2.0 to 2.6.15."""

    transport = "grpc-v1"
    type_url = "type.googleapis.com/kuma.observability.v1.MonitoringAssignment"
    method = "/kuma.observability.v1.MonitoringAssignmentDiscoveryService/StreamMonitoringAssignments"

    def resource(self, dataplane: Dataplane) -> bytes:
        """Encode one dataplane as a MonitoringAssignment with one target, which is all that Kuma ever makes."""
        target = MonitoringAssignment.Target(
            name=dataplane.name,
            scheme=dataplane.scheme,
            address=dataplane.address,
            metrics_path=dataplane.metrics_path,
            labels=dict(dataplane.labels),
        )
        message = MonitoringAssignment(mesh=dataplane.mesh, service=dataplane.service, targets=[target])
        # Kuma's bytes of an unchanged assignment are the same in every recorded response.
        return _field(AnyMessage(type_url=self.type_url, value=message.SerializeToString(deterministic=True)))

    def recorded(self, response: bytes) -> list[bytes]:
        """Encode each resource of a recorded response; its type URL and bytes stay as they are."""
        return [_field(resource) for resource in DiscoveryResponse.FromString(response).resources]

    def response(self, version: str, nonce: str, resources: Iterable[bytes]) -> bytes:
        """Join encoded resources to a DiscoveryResponse."""
        head = DiscoveryResponse(version_info=version).SerializeToString()
        tail = DiscoveryResponse(type_url=self.type_url, nonce=nonce).SerializeToString()
        return b"".join((head, *resources, tail))


def _field(resource: AnyMessage) -> bytes:
    # Serialised messages may be concatenated: a response that holds only this resource is this resource's field.
    return DiscoveryResponse(resources=[resource]).SerializeToString()
