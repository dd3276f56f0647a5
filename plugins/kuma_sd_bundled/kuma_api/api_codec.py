"""Encode and decode targets of the source kuma-api.

The bytes of an assignment are two lines of JSON: the endpoint of the metrics, and the facts about the dataplane. So a
policy that moves the metrics of every dataplane leaves the facts unchanged.
"""

import ipaddress
import re

import msgspec

from kuma_sd import UNREADABLE, Key, Labels, Target, TransformError, problem_shown
from kuma_sd_bundled.kuma_api.endpoints import MetricsEndpoint

_HOST_NAME = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_.-]{0,251}[A-Za-z0-9_.])?")
_ONLY_DIGITS = re.compile(r"[0-9.]+")
_MOST_PORT = 65535
_GATEWAY_LABEL = "kuma_io_mesh_gateway"


class DataplaneFacts(msgspec.Struct, omit_defaults=True):
    """The facts about a dataplane.

    Args:
        name: its name in its zone.
        host: its address; checked when the assignment is decoded.
        service: its service.
        job: the value of Prometheus's label ``job``; empty for the service.
        labels: its labels.
        problem: why it cannot be read; then all other fields are empty.
    """

    name: str = ""
    host: str = ""
    service: str = ""
    job: str = ""
    labels: Labels = {}
    problem: str = ""


_FACTS = msgspec.json.Decoder(DataplaneFacts)
_ENDPOINT = msgspec.json.Decoder(MetricsEndpoint)
_ENCODER = msgspec.json.Encoder(order="deterministic")


def encode(facts: DataplaneFacts) -> bytes:
    """Encode the facts about a dataplane, without an endpoint; equal facts give equal bytes."""
    return b"\n" + _ENCODER.encode(facts)


def at_endpoint(data: bytes, endpoint: MetricsEndpoint) -> bytes:
    """Return the bytes of a dataplane with its metrics at an endpoint."""
    return _ENCODER.encode(endpoint) + data[data.index(b"\n") :]


class ApiCodec:
    """Decodes assignments that were built from responses of the API server."""

    name = "kuma-api"

    def read(self, key: Key, data: bytes) -> Target:
        """Decode one target.

        Raises:
            TransformError: it has no address, or another invalid value.
        """
        endpoint_line, _, facts_line = data.partition(b"\n")
        try:
            endpoint, facts = _ENDPOINT.decode(endpoint_line), _FACTS.decode(facts_line)
        except UNREADABLE as error:
            raise TransformError(f"not a target of the source kuma-api: {problem_shown(error)}") from error
        if facts.problem:
            raise TransformError(f"the API's answer cannot be read: {facts.problem}")
        return Target(
            control_plane=key.control_plane,
            mesh=key.mesh,
            service=facts.service,
            name=facts.name,
            address=_address(facts.host, endpoint.port),
            scheme=endpoint.scheme,
            metrics_path=endpoint.path,
            labels=facts.labels | ({_GATEWAY_LABEL: endpoint.gateway} if endpoint.gateway else {}),
            job=facts.job,
        )


def _address(host: str, port: int) -> str:
    if not host:
        raise TransformError("the dataplane has no address")
    if not 0 < port <= _MOST_PORT:
        raise TransformError(f"the port of its metrics cannot be {port}")
    try:
        version = ipaddress.ip_address(host).version
    except ValueError as error:
        if not _HOST_NAME.fullmatch(host) or _ONLY_DIGITS.fullmatch(host):
            raise TransformError(f"{host!r} is neither an IP address nor the name of a host") from error
        version = 4
    return f"[{host}]:{port}" if version == 6 else f"{host}:{port}"  # noqa: PLR2004 (IPv6)


API_CODEC = ApiCodec()
