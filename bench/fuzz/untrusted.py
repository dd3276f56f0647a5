"""A fuzz target for atheris: untrusted input may raise the expected error only.

Run it by hand, in an environment into which atheris was installed for it::

    python bench/fuzz/untrusted.py -max_total_time=600 -rss_limit_mb=512 NEW-INPUTS bench/fuzz/corpus

The first byte of an input says what the rest is; `--corpus` writes the inputs to begin with.
"""

import contextlib
import io
import json
import logging
import sys
from collections.abc import Iterable
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["kuma_sd"]):
    from kuma_sd import SourceError
    from kuma_sd.mads import grpc_stream, http_long_poll
    from kuma_sd.mads.codecs import ResourceCodec
    from kuma_sd.mads.codecs.v1 import V1_PROTOBUF
    from kuma_sd.mads.codecs.v1_json import V1_JSON
    from kuma_sd.mads.codecs.v1alpha1 import V1ALPHA1_PROTOBUF
    from kuma_sd.mads.decoder import Decoder, MadsResponse
    from kuma_sd.pipeline.chain import Chain
    from kuma_sd.prometheus.label_profiles import LabelProfile
    from kuma_sd.state import snapshot_file

CORPUS = Path(__file__).parent / "corpus"

V1, V1ALPHA1, HTTP, STATE = b"0123"

CODECS: dict[str, ResourceCodec] = {codec.name: codec for codec in (V1_PROTOBUF, V1ALPHA1_PROTOBUF, V1_JSON)}

# One for all inputs, as a daemon that is sent them one after the other.
DECODER, CHAIN = Decoder(""), Chain(LabelProfile("both"))


def one_input(data: bytes) -> None:
    """Take one input."""
    kind, rest = data[:1], data[1:]
    with contextlib.suppress(SourceError):
        if kind == bytes([V1]):
            _publish(V1_PROTOBUF, grpc_stream._parse(rest, V1_PROTOBUF).resources)  # noqa: SLF001 (the boundary)
        elif kind == bytes([V1ALPHA1]):
            _publish(V1ALPHA1_PROTOBUF, grpc_stream._parse(rest, V1ALPHA1_PROTOBUF).resources)  # noqa: SLF001 (as above)
        elif kind == bytes([HTTP]):
            _publish(V1_JSON, [bytes(raw) for raw in http_long_poll._parse(rest).resources or ()])  # noqa: SLF001 (as above)
        elif kind == bytes([STATE]):
            with contextlib.suppress(ValueError):
                snapshot = snapshot_file.read(io.BytesIO(rest), "fuzz", "", CODECS.__getitem__)
                list(CHAIN.publication(snapshot.assignments, 1.0).lines)


def _publish(codec: ResourceCodec, resources: Iterable[bytes]) -> None:
    assignments, _ = DECODER.decode(MadsResponse(codec, resources))
    for line in CHAIN.publication(assignments, received=1.0).lines:
        json.loads(line)


def write_corpus() -> None:
    """Write inputs to begin with: what a simulated control plane would send of a small world."""
    from kuma_sd.core.model import Assignment, Key, Snapshot  # noqa: PLC0415 (only here)
    from kuma_sd.proto.discovery_pb2 import ReceivedResponse  # noqa: PLC0415 (as above)
    from kuma_sd.simulator import GeneratedWorld  # noqa: PLC0415 (as above)
    from kuma_sd.simulator.encoders import GrpcV1, GrpcV1alpha1, HttpV1  # noqa: PLC0415 (as above)

    CORPUS.mkdir(exist_ok=True)
    world = GeneratedWorld(3)
    for name, kind, format_ in (("v1", V1, GrpcV1()), ("v1alpha1", V1ALPHA1, GrpcV1alpha1())):
        resources = world.renderer(format_)()
        (CORPUS / name).write_bytes(bytes([kind]) + format_.response("1", "1", resources))
    http = HttpV1()
    body = b"".join(http.pieces("1", world.renderer(http)()))
    (CORPUS / "http").write_bytes(bytes([HTTP]) + body)
    resource = ReceivedResponse.FromString(world.renderer(GrpcV1())()[0]).resources[0]
    snapshot = Snapshot("", [Assignment(Key("", "m", "n", 0), resource, V1_PROTOBUF)], 1.0, 0.0)
    (CORPUS / "state").write_bytes(bytes([STATE]) + b"".join(snapshot_file.write(snapshot, "fuzz")))
    for kind in (V1, V1ALPHA1, HTTP, STATE):
        (CORPUS / f"empty-{kind}").write_bytes(bytes([kind]))


if __name__ == "__main__":
    logging.disable()
    if "--corpus" in sys.argv:
        write_corpus()
    else:
        atheris.Setup(sys.argv, one_input)
        atheris.Fuzz()
