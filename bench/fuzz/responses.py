"""Responses of a control plane, up to the lines that are published."""

import contextlib
import json
from collections.abc import Callable, Iterable

from target import Target

from kuma_sd import SourceError
from kuma_sd.core.value_limits import MOST_VALUES
from kuma_sd.mads import grpc_response, http_response
from kuma_sd.mads.codecs import ResourceCodec
from kuma_sd.mads.codecs.v1 import V1_PROTOBUF
from kuma_sd.mads.codecs.v1_json import TYPE_URL, V1_JSON
from kuma_sd.mads.codecs.v1alpha1 import V1ALPHA1_PROTOBUF
from kuma_sd.mads.decoder import Decoder, MadsResponse
from kuma_sd.pipeline.chain import Chain
from kuma_sd.prometheus.label_profiles import LabelProfile
from kuma_sd.simulator import GeneratedWorld
from kuma_sd.simulator.encoders import GrpcV1, GrpcV1alpha1, HttpV1


def over_grpc(codec: ResourceCodec, format_: GrpcV1 | GrpcV1alpha1) -> Target:
    """Return the target of a version of MADS over gRPC."""

    def seeds() -> Iterable[bytes]:
        yield b""
        yield format_.response("1", "1", GeneratedWorld(3).renderer(format_)())

    return Target(_publishing(codec, lambda data: grpc_response.parse(data, codec, MOST_VALUES)[1]), seeds)


def over_http() -> Target:
    """Return the target of MADS over HTTP."""
    format_ = HttpV1()

    def seeds() -> Iterable[bytes]:
        yield b""
        yield b'{"version_info":"1","type_url":"%b","resources":[%b' % (TYPE_URL.encode(), b"[" * 2000)
        yield b"".join(format_.pieces("1", GeneratedWorld(3).renderer(format_)()))

    return Target(
        _publishing(V1_JSON, lambda data: http_response.parse(bytearray(data), MOST_VALUES)[1]),
        seeds,
        [b'"version_info"', b'"versionInfo"', b'"resources"', b'"targets"', b'"@type"', b'"labels"', b"\\ud800"],
    )


def _publishing(codec: ResourceCodec, parse: Callable[[bytes], Iterable[bytes]]) -> Callable[[bytes], None]:
    # The same ones for all inputs, as in a daemon that gets one response after the other.
    decoder, chain = Decoder(""), Chain(LabelProfile("both"))

    def take(data: bytes) -> None:
        with contextlib.suppress(SourceError):
            assignments, _ = decoder.decode(MadsResponse(codec, parse(data)))
            for line in chain.publication(assignments, received=1.0).lines:
                json.loads(line)

    return take


TARGETS = {
    "v1": lambda: over_grpc(V1_PROTOBUF, GrpcV1()),
    "v1alpha1": lambda: over_grpc(V1ALPHA1_PROTOBUF, GrpcV1alpha1()),
    "http": over_http,
}
