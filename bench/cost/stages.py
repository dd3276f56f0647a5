"""Run the stages between a response and its file one after the other, for callgrind.

Between two stages it calls getppid(2), which nothing else here does: there callgrind begins a new part.
"""

import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from shortest import naive

from kuma_sd.core.model import Snapshot
from kuma_sd.core.value_limits import MOST_VALUES
from kuma_sd.mads import grpc_response, http_response
from kuma_sd.mads.codecs.v1 import V1_PROTOBUF
from kuma_sd.mads.codecs.v1_json import V1_JSON
from kuma_sd.mads.decoder import Decoder, MadsResponse
from kuma_sd.pipeline.chain import Chain
from kuma_sd.prometheus.label_profiles import LabelProfile
from kuma_sd.state import snapshot_file
from kuma_sd.system import memory


def _grpc(data: bytes) -> MadsResponse:
    return MadsResponse(V1_PROTOBUF, grpc_response.parse(data, V1_PROTOBUF, MOST_VALUES)[1])


def _http(data: bytes) -> MadsResponse:
    return MadsResponse(V1_JSON, http_response.parse(bytearray(data), MOST_VALUES)[1])


def stages(parse: Callable[[bytes], MadsResponse], first: bytes, second: bytes) -> Iterator[str]:
    """Take two responses of equal content through all stages; yields the name of each when it is done."""
    decoder, profile = Decoder(""), LabelProfile("kuma-prometheus-sd")
    chain = Chain(profile)
    # So that no stage pays for giving back what another one made.
    kept: list[object] = []
    response = parse(first)
    yield "parse the response"
    assignments, _ = decoder.decode(response)
    yield "decode: take the resources apart, and sort"
    targets = [assignment.read() for assignment in assignments]
    yield "read the targets"
    kept.append([profile(target) for target in targets])
    yield "make their labels"
    publication = chain.publication(assignments, 0.0)
    yield "publication: read, make labels, render"
    kept.append([*snapshot_file.write(Snapshot("", assignments, 0.0, 0.0), "bench")])
    yield "encode the state"
    response = parse(second)
    yield "unchanged: parse the next response"
    assignments, _ = decoder.decode(response)
    yield "unchanged: decode"
    again = chain.publication(assignments, 0.0)
    yield "unchanged: publication"
    assert publication.lines == again.lines
    if parse is _grpc:
        with tempfile.TemporaryDirectory() as folder:
            naive(first, Path(folder) / "naive.json")
        yield "the naive program, all of it"


def main(protocol: str, *responses: str) -> None:
    """Go through the stages, and print their names; responses are the paths of two files."""
    memory.prepare()
    first, second = (Path(response).read_bytes() for response in responses)
    names = []
    os.getppid()
    for name in stages(_grpc if protocol == "gRPC" else _http, first, second):
        os.getppid()
        names.append(name)
    print("\n".join(names))


if __name__ == "__main__":
    main(*sys.argv[1:])
