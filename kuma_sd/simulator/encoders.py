"""Encode resources and responses for each MADS protocol."""

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Protocol

import msgspec
from google.protobuf.any_pb2 import Any as AnyMessage

from kuma_sd.proto.discovery_pb2 import DiscoveryResponse
from kuma_sd.proto.mads_v1_pb2 import MonitoringAssignment
from kuma_sd.proto.mads_v1alpha1_pb2 import MonitoringAssignment as AlphaAssignment
from kuma_sd.simulator.dataplane import Dataplane
from kuma_sd.simulator.kuma_versions import KumaVersion

_SERVICE = "/kuma.observability.{}.MonitoringAssignmentDiscoveryService/"
_TYPE_URL = "type.googleapis.com/kuma.observability.{}.MonitoringAssignment"


class Encoder(Protocol):
    """Encodes resources and responses of one protocol; each resource is encoded once, and joined to responses.

    Args:
        transport: its name in recordings.
        type_url: the type of its resources.
    """

    transport: str
    type_url: str

    def resource(self, dataplane: Dataplane) -> bytes:
        """Encode one dataplane as a part of a response."""

    def recorded(self, response: bytes) -> list[bytes]:
        """Encode each resource of a recorded response as a part of another response."""


class GrpcEncoder:
    """The common base of both versions over gRPC."""

    transport: str
    type_url: str
    method: str

    def recorded(self, response: bytes) -> list[bytes]:
        """Encode each resource of a recorded response; its type URL and bytes stay as they are."""
        return [_field(resource) for resource in DiscoveryResponse.FromString(response).resources]

    def response(self, version: str, nonce: str, resources: Iterable[bytes]) -> bytes:
        """Join encoded resources to a DiscoveryResponse."""
        head = DiscoveryResponse(version_info=version).SerializeToString()
        tail = DiscoveryResponse(type_url=self.type_url, nonce=nonce).SerializeToString()
        return b"".join((head, *resources, tail))

    def resource(self, dataplane: Dataplane) -> bytes:
        """Encode one dataplane as an assignment with one target, which is all that Kuma ever makes."""
        # Kuma's bytes of an unchanged assignment are the same in every recorded response.
        value = self._assignment(dataplane).SerializeToString(deterministic=True)
        return _field(AnyMessage(type_url=self.type_url, value=value))

    def _assignment(self, dataplane: Dataplane) -> MonitoringAssignment | AlphaAssignment:
        raise NotImplementedError


class GrpcV1(GrpcEncoder):
    """MADS v1 over gRPC, served by Kuma 1.2.0 to 2.6.15."""

    transport = "grpc-v1"
    type_url = _TYPE_URL.format("v1")
    method = _SERVICE.format("v1") + "StreamMonitoringAssignments"

    def _assignment(self, dataplane: Dataplane) -> MonitoringAssignment:
        target = MonitoringAssignment.Target(
            name=dataplane.name,
            scheme=dataplane.scheme,
            address=dataplane.address,
            metrics_path=dataplane.metrics_path,
            labels=dict(dataplane.labels),
        )
        return MonitoringAssignment(mesh=dataplane.mesh, service=dataplane.service, targets=[target])


class GrpcV1alpha1(GrpcEncoder):
    """MADS v1alpha1, served by Kuma 0.3.2 to 1.2.3, with labels in place of the fields of v1.

    Args:
        service_tag: the label of the service's tag; it has another name before Kuma 0.7.
    """

    transport = "grpc-v1alpha1"
    type_url = _TYPE_URL.format("v1alpha1")
    method = _SERVICE.format("v1alpha1") + "StreamMonitoringAssignments"

    def __init__(self, service_tag: str = "kuma_io_service") -> None:
        self._names = {f"kuma_io_service{plural}": f"{service_tag}{plural}" for plural in ("", "s")}

    def _assignment(self, dataplane: Dataplane) -> AlphaAssignment:
        labels = {self._names.get(name, name): value for name, value in dataplane.labels.items()}
        labels |= {"__scheme__": dataplane.scheme, "__metrics_path__": dataplane.metrics_path}
        labels |= {"job": dataplane.service, "instance": dataplane.name}
        labels |= {"mesh": dataplane.mesh, "dataplane": dataplane.name}
        name = f"/meshes/{dataplane.mesh}/dataplanes/{dataplane.name}"
        target = AlphaAssignment.Target(labels={"__address__": dataplane.address})
        return AlphaAssignment(name=name, targets=[target], labels=labels)


def _field(resource: AnyMessage) -> bytes:
    # Serialised messages may be concatenated: a response that holds only this resource is this resource's field.
    return DiscoveryResponse(resources=[resource]).SerializeToString()


class _Body(msgspec.Struct):
    resources: list[msgspec.Raw] = msgspec.field(default_factory=list)


_PIECE = 500
"""Number of resources in a piece of a response."""


class HttpV1:
    """MADS v1 over HTTP, served by Kuma 1.2.0 and later: proto JSON with the original names, empty values left out.

    Args:
        labels: whether labels are written; Kuma 3 writes none.
    """

    transport = "http-v1"
    type_url = _TYPE_URL.format("v1")
    path = "/v3/discovery:monitoringassignments"

    def __init__(self, *, labels: bool = True) -> None:
        self._labels = labels

    def resource(self, dataplane: Dataplane) -> bytes:
        """Encode one dataplane as an assignment with one target."""
        target = {
            "name": dataplane.name,
            "scheme": dataplane.scheme,
            "address": dataplane.address,
            "metrics_path": dataplane.metrics_path,
            "labels": dict(sorted(dataplane.labels.items())) if self._labels else {},
        }
        assignment = {"mesh": dataplane.mesh, "service": dataplane.service, "targets": [_present(target)]}
        return msgspec.json.encode({"@type": self.type_url, **_present(assignment)})

    def recorded(self, response: bytes) -> list[bytes]:
        """Take the resources out of a recorded response as they are."""
        return [bytes(resource) for resource in msgspec.json.decode(response or b"{}", type=_Body).resources]

    def pieces(self, version: str, resources: Iterable[bytes]) -> Iterator[bytes]:
        """Yield a response in pieces, since many resources make a large one; an empty one is a single piece."""
        remaining = iter(resources)
        text = b'{"version_info":' + msgspec.json.encode(version)
        separator = b',"resources":['
        while some := list(islice(remaining, _PIECE)):
            yield text + separator + b",".join(some)
            text, separator = b"", b","
        tail = b',"type_url":"' + self.type_url.encode() + b'"}'
        yield text + tail if text else b"]" + tail


def _present(fields: Mapping[str, object]) -> dict[str, object]:
    return {name: value for name, value in fields.items() if value}


def formats_of(line: KumaVersion) -> dict[str, GrpcEncoder | HttpV1]:
    """Return the encoders of a Kuma version, by transport."""
    every = (GrpcV1(), GrpcV1alpha1(line.service_tag), HttpV1(labels=line.labels))
    return {format_.transport: format_ for format_ in every if format_.transport in line.transports}
