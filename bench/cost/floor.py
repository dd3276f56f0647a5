"""Measure the floor: the minimum work of any program, for comparison."""

import os
import time
from pathlib import Path

import msgspec

from kuma_sd.proto.discovery_pb2 import DiscoveryResponse


class _Body(msgspec.Struct):
    resources: list[msgspec.Raw]


_DECODER = msgspec.json.Decoder(_Body)


def floor(protocol: str, response: bytes, content: bytes, path: Path) -> float:
    """Parse a response from memory, and write these bytes; return the duration in seconds."""
    begun = time.monotonic()
    if protocol == "gRPC":
        DiscoveryResponse.FromString(response)
    else:
        _DECODER.decode(response)
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    path.replace(path.with_suffix(".floor"))
    return time.monotonic() - begun
