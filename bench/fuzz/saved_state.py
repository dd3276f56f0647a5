"""Saved state: a file that was cut, has another's content, or was written by somebody who knows the format."""

import contextlib
import io
import zlib
from collections.abc import Iterable

from target import BETWEEN, Target

from kuma_sd.core.model import Assignment, Key, Snapshot
from kuma_sd.mads.codecs import ResourceCodec
from kuma_sd.mads.codecs.v1 import V1_PROTOBUF
from kuma_sd.mads.codecs.v1_json import V1_JSON
from kuma_sd.mads.codecs.v1alpha1 import V1ALPHA1_PROTOBUF
from kuma_sd.pipeline.chain import Chain
from kuma_sd.prometheus.label_profiles import LabelProfile
from kuma_sd.proto.discovery_pb2 import ReceivedResponse
from kuma_sd.simulator import GeneratedWorld
from kuma_sd.simulator.encoders import GrpcV1
from kuma_sd.state import snapshot_file

CODECS: dict[str, ResourceCodec] = {codec.name: codec for codec in (V1_PROTOBUF, V1ALPHA1_PROTOBUF, V1_JSON)}

CHAIN = Chain(LabelProfile("both"))


def take(data: bytes) -> None:
    """Read a file; if the input is made of parts, each is a payload whose size and checksum are right."""
    parts = data.split(BETWEEN)
    if len(parts) > 1:
        checksum = zlib.crc32(snapshot_file.FIRST_LINE)
        data = snapshot_file.FIRST_LINE + snapshot_file.frames(parts, checksum)[1]
    with contextlib.suppress(ValueError):
        snapshot_file.read_last_good(io.BytesIO(data), "fuzz", CODECS.__getitem__)
    with contextlib.suppress(ValueError):
        snapshot = snapshot_file.read(io.BytesIO(data), "fuzz", "", CODECS.__getitem__)
        list(CHAIN.publication(snapshot.assignments, 1.0).lines)


def seeds() -> Iterable[bytes]:
    """Return a file, and its payloads with a change after them."""
    resource = ReceivedResponse.FromString(GeneratedWorld(3).renderer(GrpcV1())()[0]).resources[0]
    assignment = Assignment(Key("", "m", "n", 0), resource, V1_PROTOBUF)
    snapshot = Snapshot("", [assignment], 1.0, 0.0)
    pieces = list(snapshot_file.write(snapshot, "fuzz"))
    yield b"".join(pieces)
    yield BETWEEN.join([*pieces[2::2], snapshot_file.change([assignment], [assignment], 2.0, 3.0)])


TARGETS = {"state": lambda: Target(take, seeds)}
