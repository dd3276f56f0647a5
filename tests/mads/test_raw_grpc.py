"""Streams that end or go on in ways that no library of gRPC would choose are lost connections, and never lists."""

import contextlib
import struct
from importlib.metadata import version
from itertools import islice

import pytest
from mads_streams import response
from raw_grpc import DATA, END_HEADERS, END_STREAM, HEADERS, RST_STREAM, message, raw_grpc, trailers

from kuma_sd import Access, SourceError, parse_address
from kuma_sd.mads import grpc_stream
from kuma_sd.mads.grpc_stream import V1, V1ALPHA1, Dialect, GrpcStream
from kuma_sd.mads.plugin import MadsOptions

END = END_STREAM | END_HEADERS

GRPCIO = tuple(map(int, version("grpcio").split(".")[:2]))
"""The installed version of grpcio."""


@pytest.mark.parametrize("dialect", [V1, V1ALPHA1], ids=["v1", "v1alpha1"])
@pytest.mark.parametrize(
    "then",
    [
        *(pytest.param((RST_STREAM, 0, struct.pack(">I", code)), id=f"reset with {code}") for code in (0, 2, 7, 8)),
        *(pytest.param((HEADERS, END, trailers(status)), id=f"status {status}") for status in (0, 8, 12, 14, 16, 99)),
        pytest.param((DATA, 0, message(b"no deflated bytes", compressed=True)), id="compressed without saying how"),
        pytest.param(
            (DATA, 0, message(b"x", size=2**32 - 1)),
            id="a size beyond every limit",
            marks=pytest.mark.skipif(GRPCIO < (1, 85), reason="grpcio 1.75 waits for the rest of such a message"),
        ),
        pytest.param((DATA, 0, message(b"")), id="an empty message"),
        pytest.param((DATA, 0, message(response(version=""))), id="no version"),
        pytest.param((DATA, 0, message(response(type_url=""))), id="no type"),
        pytest.param((DATA, 0, message(b"\xff\xff\xff")), id="no protobuf"),
    ],
)
def test_a_stream_that_does_not_go_on_with_a_right_answer_has_failed(
    then: tuple[int, int, bytes], dialect: Dialect
) -> None:
    options = MadsOptions()
    with raw_grpc(response(type_url=dialect.codec.type_url), then) as address:
        replica = parse_address(f"grpc://{address}").replicas[0]
        responses = iter(GrpcStream(replica, dialect, options, Access(options), 10.0))
        # A reset may overtake the answer before it.
        with pytest.raises(SourceError):
            list(islice(responses, 2))


def test_a_stream_that_ends_without_trailers_is_renewed_like_a_quiet_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grpc_stream, "QUIET_SECONDS", 0.2)
    options = MadsOptions()
    with raw_grpc(response(), (DATA, END_STREAM, b"")) as address:
        replica = parse_address(f"grpc://{address}").replicas[0]
        with contextlib.closing(GrpcStream(replica, V1, options, Access(options), 10.0)) as stream:
            assert len(list(islice(stream, 3))) == 3
